#include "store/inherit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/aside.h"
#include "store/ledger_check.h"
#include "store/store_private.h"

#define KEY "lost_books"
#define LINE_BYTES (16 + 1 + WR_STORE_ASIDE_BYTES + 1)
#define LINE "%016" PRIx64 " %s\n"
#define LINE_OF "%16" SCNx64 " %63s\n%n" /* WR_STORE_ASIDE_BYTES, less the zero */

/* -- books that are lost --------------------------------------------------------------------------------------------------------------------- */

static void note_lost(struct wr_store_lost_books *lost, uint64_t epoch, const char *aside) {
    if (lost->n == WR_STORE_LOST_BOOKS) { /* the newest of them are known */
        memmove(&lost->of[0], &lost->of[1], sizeof lost->of - sizeof lost->of[0]);
        lost->n--;
    }
    struct wr_store_lost_book *book = &lost->of[lost->n++];
    book->epoch = epoch;
    snprintf(book->aside, sizeof book->aside, "%s", aside);
}

enum wr_result wr_inherit_save(struct wr_store *store, struct wr_error *err) {
    char text[WR_STORE_LOST_BOOKS * LINE_BYTES + 1] = "";
    size_t len = 0;
    if (store->lost.n == 0)
        return WR_OK;
    for (uint32_t i = 0; i < store->lost.n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, LINE, store->lost.of[i].epoch, store->lost.of[i].aside);
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_PUT);
    sqlite3_bind_text(statement, 1, KEY, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, text, (int)len, SQLITE_STATIC);
    const enum wr_result result = wr_sql_run(store, statement, err);
    sqlite3_clear_bindings(statement);
    return result;
}

static void parse(const char *text, struct wr_store_lost_books *lost) {
    *lost = (struct wr_store_lost_books){0};
    while (lost->n < WR_STORE_LOST_BOOKS) {
        int len = 0;
        struct wr_store_lost_book *book = &lost->of[lost->n];
        if (sscanf(text, LINE_OF, &book->epoch, book->aside, &len) != 2)
            return;
        text += len;
        lost->n++;
    }
}

enum wr_result wr_inherit_load(sqlite3 *db, struct wr_store_lost_books *ret_lost, struct wr_error *err) {
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = '" KEY "'", -1, &row, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    enum wr_result result = WR_OK;
    if (code == SQLITE_ROW && sqlite3_column_text(row, 0))
        parse((const char *)sqlite3_column_text(row, 0), ret_lost);
    else if (code != SQLITE_ROW && code != SQLITE_DONE)
        result = wr_sql_failed(db, code, "reading whose books are lost", err);
    sqlite3_finalize(row);
    return result;
}

const struct wr_store_lost_books *wr_store_lost_books(const struct wr_store *store) {
    return &store->lost;
}

/* -- the store that lies aside --------------------------------------------------------------------------------------------------------------- */

static enum wr_result connect(struct wr_store *old, struct wr_error *err) {
    WR_TRY(wr_schema_open(old->file, old->options.vfs, SQLITE_OPEN_READWRITE, &old->db, err));
    sqlite3_db_config(old->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* its WAL is needed by whoever salvages it */
    WR_TRY(wr_sql_exec(old->db, "PRAGMA locking_mode = EXCLUSIVE", err));
    return wr_sql_exec(old->db, "PRAGMA query_only = ON", err);
}

static void disconnect(struct wr_store *old) {
    sqlite3_close(old->db);
    old->db = NULL;
    old->n_accounts = 0;
}

static enum wr_result read_books(struct wr_store *old, struct wr_error *err) {
    int64_t epoch = 0;
    WR_TRY(wr_sql_integer(old->db, "SELECT value FROM meta WHERE key = 'epoch'", &epoch, err));
    old->epoch = (uint64_t)epoch;
    WR_TRY(wr_inherit_load(old->db, &old->lost, err));
    WR_TRY(wr_ledger_load(old, err));
    enum wr_result result = wr_books_rescue(old, err);
    if (result != WR_OK && result != WR_NO_MEMORY) {
        old->n_accounts = 0;
        result = wr_ledger_load(old, err);
    }
    if (result == WR_OK && wr_counts_load(old, NULL) == WR_NO_MEMORY)
        result = WR_NO_MEMORY;
    return result;
}

static enum wr_result try_to_read(struct wr_store *old, struct wr_error *err) {
    enum wr_result result = connect(old, err);
    if (result == WR_OK)
        result = read_books(old, err);
    return result;
}

/* Every account that was in the tables is there, as it was written: no other page could lead to them. */
static bool is_proven(struct wr_store *old) {
    int64_t checks = 0;
    return wr_ledger_check_number(old, &checks, NULL) == WR_OK && checks > 0 && wr_ledger_check_doubted(old) == 0;
}

/* Where the copy is gone as well. */
static enum wr_result read_with_lent_page(struct wr_store *store, struct wr_store *old, struct wr_error *err) {
    uint8_t before[WR_STORE_PAGE_BYTES_MAX];
    WR_TRY(wr_page_one_lend(store, old->file, before));
    enum wr_result result = try_to_read(old, err);
    if (result == WR_OK && !is_proven(old))
        result = wr_error_set(err, WR_CORRUPT, "its books are not proven");
    if (result == WR_OK)
        return WR_OK;
    disconnect(old);
    old->epoch = 0;
    old->lost = (struct wr_store_lost_books){0};
    wr_page_one_take_back(store, old->file, before);
    return result;
}

/* As it is, else with the copy of its first page, else with that of the fresh store. */
static enum wr_result read_old(struct wr_store *store, struct wr_store *old, struct wr_error *err) {
    if (wr_page_one_is_missed(old->file))
        (void)!wr_page_one_restore(old->file); /* before SQLite sees an empty file, and throws its WAL away */
    enum wr_result result = try_to_read(old, err);
    if (result == WR_OK || result == WR_NO_MEMORY)
        return result;
    disconnect(old);
    if (wr_page_one_restore(old->file) == WR_OK)
        return try_to_read(old, err);
    const enum wr_result lent = read_with_lent_page(store, old, err);
    return lent == WR_OK || lent == WR_NO_MEMORY ? lent : result;
}

/* -- taking over ----------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result take_over(struct wr_store *store, struct wr_store *old, struct wr_store_report *report, struct wr_error *err) {
    free(store->accounts);
    store->accounts = old->accounts;
    store->n_accounts = old->n_accounts;
    old->accounts = NULL;
    memcpy(store->counts, old->counts, sizeof store->counts);
    wr_ledger_start_over(store);
    wr_counts_start_over(store);
    store->last_wall_ns = old->last_wall_ns;
    report->books_kept = true;
    return wr_ledger_book_crash(store, &report->n_losses, &report->crash_readings, err);
}

/* The one that was put aside by this opening, or by one that was killed before it had made a fresh store. */
static bool find(const struct wr_store *store, const struct wr_store_report *report, char name[WR_ASIDE_NAME_BYTES]) {
    if (!report->quarantined)
        return wr_aside_last(store, name);
    snprintf(name, WR_ASIDE_NAME_BYTES, "%s", report->aside);
    return true;
}

enum wr_result wr_inherit_books(struct wr_store *store, struct wr_store_report *report, struct wr_error *err) {
    char name[WR_ASIDE_NAME_BYTES];
    char path[4096];
    if (!find(store, report, name) || (size_t)snprintf(path, sizeof path, "%s/%s", store->directory, name) >= sizeof path)
        return WR_OK;
    struct wr_store *old = calloc(1, sizeof *old);
    if (!old)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the books of %s", name);
    struct wr_error why = {0};
    old->file = path;
    old->options.vfs = store->options.vfs;
    memcpy(old->counts, store->counts, sizeof old->counts); /* where it has none they stay */
    enum wr_result result = wr_aside_is_newer(name) ? WR_UNSUPPORTED : read_old(store, old, &why);
    store->lost = old->lost;
    if (result == WR_OK)
        result = take_over(store, old, report, err);
    else if (result == WR_NO_MEMORY)
        (void)wr_error_set(err, result, "%s: %s", name, why.text);
    else
        note_lost(&store->lost, old->epoch, name);
    sqlite3_close(old->db);
    free(old->accounts);
    free(old);
    return result == WR_NO_MEMORY ? result : WR_OK;
}
