#include "store/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/books.h"
#include "store/raw_files.h"
#include "store/store_private.h"

/* -- a store that nobody has open ---------------------------------------------------------------------------------------------------------- */

static enum wr_result heads_of(void *user, struct wr_history_walk *walk, struct wr_segment_head *heads, uint32_t *ret_n,
                               struct wr_error *err) {
    return wr_store_heads(user, walk, heads, ret_n, err);
}

static enum wr_result body_of(void *user, const struct wr_segment_head *heads, uint32_t n, struct wr_segment *ret_segment,
                              struct wr_error *err) {
    struct wr_store *store = user;
    const int64_t seq = heads[0].seq;
    const bool is_raw = wr_raw_is_seq(seq);
    bool bad = false;
    (void)n;
    if (!is_raw && !store->db)
        return wr_error_set(err, WR_IO, "the store is not open");
    const enum wr_result result = is_raw ? wr_raw_files_body(store->directory, seq, ret_segment, err)
                                         : wr_outbox_fetch(store, (enum wr_lane)heads[0].lane, seq, ret_segment, &bad, err);
    return result == WR_IO ? wr_error_set(err, WR_CORRUPT, "segment %lld cannot be read", (long long)seq) : result;
}

struct wr_history wr_history_of_store(struct wr_store *store) {
    return (struct wr_history){.user = store, .heads = heads_of, .body = body_of};
}

/* What the newest row has, and the tables have not: acknowledgements. Where it cannot be read they are a little older, and any seq may be the newest. */
static enum wr_result load_books(struct wr_store *store, struct wr_error *err) {
    const enum wr_result result = wr_books_load(store, err);
    if (result != WR_IO && result != WR_CORRUPT)
        return result;
    for (int lane = 0; lane < WR_LANES; lane++)
        store->lanes[lane].newest = wr_row_seq(INT64_MAX);
    return WR_OK;
}

/* As for an audit: the WAL of an unclean stop needs write access; query_only keeps all as it is. */
static enum wr_result open_database(struct wr_store *store, struct wr_error *err) {
    int64_t version = 0;
    bool fresh = false;
    WR_TRY(wr_schema_open(store->file, NULL, SQLITE_OPEN_READWRITE, &store->db, err));
    WR_TRY(wr_sql_exec(store->db, "PRAGMA locking_mode = EXCLUSIVE", err));
    WR_TRY(wr_sql_exec(store->db, "PRAGMA query_only = ON", err));
    WR_TRY(wr_sql_exec(store->db, "PRAGMA cache_size = -2048", err));
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    WR_TRY(wr_sql_integer(store->db, "PRAGMA user_version", &version, err));
    if (version == 0)
        return wr_error_set(err, WR_CORRUPT, "%s is not a store", store->file);
    WR_TRY(wr_schema_ensure(store->db, &fresh, &version, err));
    if (version < WR_STORE_SCHEMA_VERSION)
        return wr_error_set(err, WR_UNSUPPORTED, "the store was made by an earlier version of this program: start its agent once");
    WR_TRY(wr_sql_prepare_all(store, err));
    int64_t moving = 0;
    if (wr_sql_meta_get(store, "moving", &moving, NULL) == WR_OK && moving > 0)
        return wr_error_set(err, WR_UNSUPPORTED,
                            "the store is only half taken over from an earlier version of this program: let its agent run for a while");
    int64_t epoch = 0;
    WR_TRY(wr_sql_meta_get(store, "epoch", &epoch, err));
    store->epoch = (uint64_t)epoch;
    WR_TRY(wr_ledger_load(store, err));
    WR_TRY(wr_acks_load(store, err));
    return load_books(store, err);
}

enum wr_result wr_history_open(const char *path, struct wr_store **ret_store, struct wr_error *err) {
    const size_t len = strlen(path) + sizeof WR_STORE_FILE + 1;
    struct wr_store *store = calloc(1, sizeof *store);
    if (store) {
        store->file = malloc(len);
        store->directory = strdup(path);
    }
    if (!store || !store->file || !store->directory) {
        wr_store_abandon(store);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the store");
    }
    snprintf(store->file, len, "%s/%s", path, WR_STORE_FILE);
    enum wr_result result =
        access(store->file, F_OK) == 0 ? open_database(store, err) : wr_error_set(err, WR_NOT_FOUND, "there is no store in %s", path);
    if (result != WR_OK) {
        wr_store_abandon(store);
        return result;
    }
    *ret_store = store;
    return WR_OK;
}
