/* Boots of the machine: which there were, and what their wall clocks were off once that was known.
 *
 * A segment says in its header which boot it was cut in, at which boot time. So times that were taken before the clock could be trusted can be put
 * right later, also after a restart of the agent.
 *
 * What a broken store knew of former boots comes over with its segments (salvage.c), in rows with ids below zero. In which order those were nobody asks:
 * of each the offset is known. */
#include <stdio.h>
#include <string.h>

#include "store/store_private.h"

#define BOOTS_KEPT 256

static bool is_unknown(const uint8_t boot_id[16]) {
    static const uint8_t unknown[16];
    return memcmp(boot_id, unknown, sizeof unknown) == 0;
}

enum wr_result wr_boots_note(struct wr_store *store, struct wr_error *err) {
    char sql[160];
    store->boot = 0;
    if (is_unknown(store->options.boot_id))
        return WR_OK;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_BOOT_FIND);
    sqlite3_bind_blob(statement, 1, store->options.boot_id, sizeof store->options.boot_id, SQLITE_STATIC);
    enum wr_result result = wr_sql_row(store, statement, err);
    if (result == WR_OK) {
        store->boot = sqlite3_column_int64(statement, 0);
        store->boot_trusted = sqlite3_column_type(statement, 1) != SQLITE_NULL;
        sqlite3_reset(statement);
        return WR_OK;
    }
    if (result != WR_EMPTY)
        return result;
    statement = wr_sql_use(store, WR_SQL_BOOT_PUT);
    sqlite3_bind_blob(statement, 1, store->options.boot_id, sizeof store->options.boot_id, SQLITE_STATIC);
    WR_TRY(wr_sql_run(store, statement, err));
    store->boot = sqlite3_last_insert_rowid(store->db);
    store->boot_trusted = false;
    snprintf(sql, sizeof sql, "DELETE FROM boot WHERE id <= %lld", (long long)store->boot - BOOTS_KEPT);
    return wr_sql_exec(store->db, sql, err);
}

enum wr_result wr_boots_trust(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    if (store->boot == 0 || store->boot_trusted || !now->wall_trusted)
        return WR_OK;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_BOOT_TRUST);
    sqlite3_bind_int64(statement, 1, store->boot);
    sqlite3_bind_int64(statement, 2, now->wall_ns - now->boot_ns);
    sqlite3_bind_int64(statement, 3, now->boot_ns);
    store->txn.boot_trusted = true;
    return wr_sql_run(store, statement, err);
}

enum wr_result wr_boots_adopt(struct wr_store *store, const struct wr_page_boot *boot, struct wr_error *err) {
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_BOOT_FIND);
    sqlite3_bind_blob(statement, 1, boot->id, sizeof boot->id, SQLITE_STATIC);
    const enum wr_result found = wr_sql_row(store, statement, err);
    const int64_t row = found == WR_OK ? sqlite3_column_int64(statement, 0) : 0;
    const bool trusted = found == WR_OK && sqlite3_column_type(statement, 1) != SQLITE_NULL;
    sqlite3_reset(statement);
    if (trusted || (found != WR_OK && found != WR_EMPTY))
        return found;
    statement = wr_sql_use(store, found == WR_OK ? WR_SQL_BOOT_TRUST : WR_SQL_BOOT_ADOPT);
    if (found == WR_OK)
        sqlite3_bind_int64(statement, 1, row);
    else
        sqlite3_bind_blob(statement, 1, boot->id, sizeof boot->id, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, boot->offset_ns);
    sqlite3_bind_int64(statement, 3, boot->trusted_ns);
    store->txn.boot_trusted |= found == WR_OK && row == store->boot;
    return wr_sql_run(store, statement, err);
}

/* Of the present boot, before a commit has noted it: what the clock says now. */
enum wr_result wr_boots_offset(struct wr_store *store, const uint8_t boot_id[16], const struct wr_now *now, int64_t *ret_offset_ns,
                               struct wr_error *err) {
    if (is_unknown(boot_id))
        return WR_EMPTY;
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_BOOT_FIND);
    sqlite3_bind_blob(row, 1, boot_id, sizeof store->options.boot_id, SQLITE_STATIC);
    const enum wr_result result = wr_sql_row(store, row, err);
    if (result != WR_OK && result != WR_EMPTY)
        return result;
    bool trusted = result == WR_OK && sqlite3_column_type(row, 1) != SQLITE_NULL;
    *ret_offset_ns = trusted ? sqlite3_column_int64(row, 1) : now->wall_ns - now->boot_ns;
    sqlite3_reset(row);
    trusted |= now->wall_trusted && memcmp(boot_id, store->options.boot_id, sizeof store->options.boot_id) == 0;
    return trusted ? WR_OK : WR_EMPTY;
}

enum wr_result wr_store_boots(struct wr_store *store, wr_store_boot_callback *callback, void *user, struct wr_error *err) {
    if (!store->db)
        return wr_error_set(err, WR_IO, "the store is not open");
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_BOOT_LIST);
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK) {
        struct wr_store_boot boot = {.trusted = sqlite3_column_type(row, 1) != SQLITE_NULL, .offset_ns = sqlite3_column_int64(row, 1)};
        if ((size_t)sqlite3_column_bytes(row, 0) == sizeof boot.id) {
            memcpy(boot.id, sqlite3_column_blob(row, 0), sizeof boot.id);
            callback(user, &boot);
        }
    }
    return result == WR_EMPTY ? WR_OK : result;
}
