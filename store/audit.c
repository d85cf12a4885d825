/* The books of a store that nobody has open: for `weir audit`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_private.h"

/* Reading needs the WAL of an unclean stop, and that needs write access; query_only keeps the rest as it is. */
static enum wr_result read_books(struct wr_store *store, bool *ret_clean, uint64_t *ret_epoch, struct wr_error *err) {
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
    WR_TRY(wr_ledger_load(store, err));
    if (version >= 2) /* before, the tables were written with every commit */
        WR_TRY(wr_books_load(store, err));
    *ret_clean = clean != 0;
    *ret_epoch = (uint64_t)epoch;
    return WR_OK;
}

enum wr_result wr_store_audit(const char *path, struct wr_account_balance **ret_balances, uint32_t *ret_n, bool *ret_clean,
                              uint64_t *ret_epoch, struct wr_error *err) {
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
    enum wr_result result = read_books(store, &clean, &epoch, err);
    if (result == WR_OK && (result = wr_store_balances(store, ret_balances, ret_n)) != WR_OK)
        result = wr_error_set(err, result, "no memory for the ledger");
    if (result == WR_OK) {
        *ret_clean = clean;
        *ret_epoch = epoch;
    }
    sqlite3_close(store->db);
    free(store->accounts);
    free(store);
    return result;
}
