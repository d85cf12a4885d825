/* The books of a store that nobody has open, and what its segments hold: for `weir audit`.
 *
 * The books alone would balance without a segment that is gone: so the account lists of all rows that are still to be delivered are added up,
 * and compared with what the books hold (S3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/column.h"
#include "store/store_private.h"

static struct wr_stored_account *account_of(struct wr_store *store, uint64_t id) {
    for (uint32_t i = 0; i < store->n_accounts; i++)
        if ((uint64_t)store->accounts[i].id == id)
            return &store->accounts[i];
    return NULL;
}

static void add_list(struct wr_store *store, const uint8_t *list, size_t len, struct wr_store_recount *recount) {
    struct wr_cursor cursor = {list, list + len, false};
    while (len > 0 && cursor.at < cursor.end) {
        const uint64_t id = wr_get_varint(&cursor);
        const uint64_t readings = wr_get_varint(&cursor);
        if (cursor.bad)
            return;
        struct wr_stored_account *account = account_of(store, id);
        if (account)
            account->in_segment += readings;
        else
            recount->of_nobody += readings;
    }
}

/* The row is one of recount_rows. */
static void add_row(struct wr_store *store, sqlite3_stmt *row, struct wr_store_recount *recount) {
    const int64_t seq = sqlite3_column_int64(row, 0);
    const int64_t lane = sqlite3_column_int64(row, 1);
    recount->rows++;
    if (lane >= 0 && lane < WR_LANES && wr_ranges_find(&store->lanes[lane].acks, seq))
        return;
    struct wr_codec_header header;
    const uint8_t *body = sqlite3_column_blob(row, 3);
    recount->unfinished++;
    if (!body || wr_codec_check(body, (size_t)sqlite3_column_bytes(row, 3), &header, NULL) != WR_OK ||
        (header.seq != seq && header.epoch == store->epoch) || header.lane != lane) {
        recount->damaged++;
        if (recount->first_damaged_seq == 0)
            recount->first_damaged_seq = seq;
    }
    add_list(store, sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2), recount);
}

/* Rows of version 1, of one that is on its way to version 2 (migrate.c), and of version 2. */
static const char *rows_of(int64_t version, bool moving) {
    if (version < 2)
        return "SELECT seq, lane, accounts, body FROM seg";
    return moving ? "SELECT id & ((1 << 56) - 1), iif(lane > 0, lane, id >> 56), accounts, body FROM seg"
                  : "SELECT id & ((1 << 56) - 1), id >> 56, accounts, body FROM seg";
}

static enum wr_result recount_rows(struct wr_store *store, int64_t version, struct wr_store_recount *recount, struct wr_error *err) {
    int64_t moving = 0;
    WR_TRY(wr_sql_integer(store->db, "SELECT count(*) FROM meta WHERE key = 'moving'", &moving, err));
    const char *sql = rows_of(version, moving > 0);
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &row, NULL);
    if (code != SQLITE_OK)
        return wr_sql_failed(store->db, code, sql, err);
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK)
        add_row(store, row, recount);
    sqlite3_finalize(row);
    return result == WR_EMPTY ? WR_OK : result;
}

/* Reading needs the WAL of an unclean stop, and that needs write access; query_only keeps the rest as it is. */
static enum wr_result read_books(struct wr_store *store, bool *ret_clean, uint64_t *ret_epoch, struct wr_store_recount *recount,
                                 struct wr_error *err) {
    bool fresh = false;
    int64_t epoch = 0;
    int64_t clean = 0;
    WR_TRY(wr_schema_open(store->file, NULL, SQLITE_OPEN_READWRITE, &store->db, err));
    WR_TRY(wr_sql_exec(store->db, "PRAGMA locking_mode = EXCLUSIVE", err));
    WR_TRY(wr_sql_exec(store->db, "PRAGMA query_only = ON", err));
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int64_t version = 0;
    WR_TRY(wr_sql_integer(store->db, "PRAGMA user_version", &version, err));
    if (version == 0)
        return wr_error_set(err, WR_CORRUPT, "%s is not a store", store->file);
    WR_TRY(wr_schema_ensure(store->db, &fresh, &version, err));
    WR_TRY(wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'epoch'", &epoch, err));
    WR_TRY(wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'clean'", &clean, err));
    store->epoch = (uint64_t)epoch; /* bodies of another one were salvaged */
    WR_TRY(wr_inherit_load(store->db, &recount->lost, err));
    WR_TRY(wr_ledger_load(store, err));
    WR_TRY(wr_acks_load(store, err));
    if (version >= 2) /* before, the tables were written with every commit */
        WR_TRY(wr_books_load(store, err));
    WR_TRY(recount_rows(store, version, recount, err));
    *ret_clean = clean != 0;
    *ret_epoch = (uint64_t)epoch;
    return WR_OK;
}

enum wr_result wr_store_audit(const char *path, struct wr_account_balance **ret_balances, uint32_t *ret_n, bool *ret_clean,
                              uint64_t *ret_epoch, struct wr_store_recount *ret_recount, struct wr_error *err) {
    char file[4096];
    snprintf(file, sizeof file, "%s/%s", path, WR_STORE_FILE);
    if (access(file, F_OK) != 0)
        return wr_error_set(err, WR_NOT_FOUND, "there is no store in %s", path);
    struct wr_store *store = calloc(1, sizeof *store);
    if (!store)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the store");
    store->file = file;
    bool clean = false;
    uint64_t epoch = 0;
    struct wr_store_recount recount = {0};
    enum wr_result result = read_books(store, &clean, &epoch, &recount, err);
    if (result == WR_OK && (result = wr_store_balances(store, ret_balances, ret_n)) != WR_OK)
        result = wr_error_set(err, result, "no memory for the ledger");
    if (result == WR_OK) {
        for (uint32_t i = 0; i < *ret_n; i++) {
            (*ret_balances)[i].recounted = strcmp(store->accounts[i].name.window, WR_LEDGER_INTAKE) != 0;
            (*ret_balances)[i].recount = store->accounts[i].in_segment;
        }
        *ret_recount = recount;
        *ret_clean = clean;
        *ret_epoch = epoch;
    }
    sqlite3_close(store->db);
    free(store->accounts);
    free(store);
    return result;
}
