#include <string.h>

#include "store/store_private.h"

static const char *const texts[WR_SQL_STATEMENTS] = {
    [WR_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [WR_SQL_COMMIT] = "COMMIT",
    [WR_SQL_ROLLBACK] = "ROLLBACK",
    [WR_SQL_PAGE_COUNT] = "PRAGMA page_count",
    [WR_SQL_FREELIST_COUNT] = "PRAGMA freelist_count",
    [WR_SQL_META_PUT] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)",
    [WR_SQL_META_GET] = "SELECT value FROM meta WHERE key = ?1",
    [WR_SQL_ACCOUNT_PUT] = "INSERT OR REPLACE INTO account(id, source, window) VALUES(?1, ?2, ?3)",
    [WR_SQL_LEDGER_PUT] = "INSERT OR REPLACE INTO ledger(account, reason, readings) VALUES(?1, ?2, ?3)",
    [WR_SQL_SEG_PUT] = "INSERT INTO seg(id, kind, n, t0, t1, accounts, crc, state, body) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    /* "id >= ?1 + 1": with "id > ?1" SQLite goes to the row ?1 first, which may be on a page that cannot be read, and from there to the next */
    [WR_SQL_SEG_NEXT] = "SELECT id FROM seg WHERE id >= ?1 + 1 AND id < ?2 ORDER BY id LIMIT 1",
    [WR_SQL_SEG_GET] = "SELECT crc, body FROM seg WHERE id = ?1",
    [WR_SQL_SEG_HEADS] = "SELECT id, accounts, length(body), t1, t0 FROM seg WHERE id >= ?1 AND id <= ?2 ORDER BY id",
    [WR_SQL_SEG_WALK] = "SELECT id, kind, n, t0, t1, length(body), crc FROM seg WHERE id >= ?1 + 1 AND id <= ?2 ORDER BY id LIMIT ?3",
    [WR_SQL_SEG_DELETE] = "DELETE FROM seg WHERE id = ?1",
    [WR_SQL_LANE_PUT] = "INSERT OR REPLACE INTO lane(id, offered, segments, bytes) VALUES(?1, ?2, ?3, ?4)",
    [WR_SQL_LANE_OFFER] = "UPDATE lane SET offered = ?2 WHERE id = ?1",
    [WR_SQL_BOOT_FIND] = "SELECT id, offset_ns FROM boot WHERE uuid = ?1",
    [WR_SQL_BOOT_PUT] = "INSERT INTO boot(uuid) VALUES(?1)",
    [WR_SQL_BOOT_TRUST] = "UPDATE boot SET offset_ns = ?2, trusted_at = ?3 WHERE id = ?1",
    [WR_SQL_BOOT_LIST] = "SELECT uuid, offset_ns, id FROM boot ORDER BY id",
    [WR_SQL_BOOT_ADOPT] = "INSERT INTO boot(id, uuid, offset_ns, trusted_at) SELECT min(0, coalesce(min(id), 0)) - 1, ?1, ?2, ?3 FROM boot",
    [WR_SQL_ACK_CLEAR] = "DELETE FROM ack WHERE lane = ?1",
    [WR_SQL_ACK_PUT] = "INSERT INTO ack(lane, first, last) VALUES(?1, ?2, ?3)",
    [WR_SQL_BAD_PUT] = "INSERT OR REPLACE INTO badseg(seq, lane, reason, readings) VALUES(?1, ?2, ?3, ?4)",
    [WR_SQL_SNAP_PUT] = "INSERT OR REPLACE INTO snap(kind, key, body) VALUES(?1, ?2, ?3)",
    [WR_SQL_SNAP_DELETE] = "DELETE FROM snap WHERE kind = ?1 AND key = ?2",
    [WR_SQL_SNAP_LIST] = "SELECT key, body FROM snap WHERE kind = ?1 ORDER BY key",
};

static enum wr_result meaning(int code) {
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return WR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return WR_CORRUPT;
    case SQLITE_FULL:
        return WR_FULL;
    case SQLITE_NOMEM:
        return WR_NO_MEMORY;
    default:
        return WR_IO;
    }
}

enum wr_result wr_sql_failed(sqlite3 *db, int code, const char *doing, struct wr_error *err) {
    if (meaning(code) == WR_BUSY) /* the owner holds its lock for as long as it lives */
        return wr_error_set(err, WR_BUSY, "another process owns it (SQLite %d)", code);
    return wr_error_set(err, meaning(code), "%s: %s (SQLite %d)", doing, db ? sqlite3_errmsg(db) : sqlite3_errstr(code), code);
}

enum wr_result wr_sql_or_stranger(sqlite3 *db, enum wr_result result, struct wr_error *err) {
    if (result != WR_IO || sqlite3_extended_errcode(db) != SQLITE_ERROR)
        return result;
    return wr_error_set(err, WR_CORRUPT, "a database, but not a store: %s", sqlite3_errmsg(db));
}

enum wr_result wr_sql_exec(sqlite3 *db, const char *sql, struct wr_error *err) {
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? WR_OK : wr_sql_failed(db, code, sql, err);
}

enum wr_result wr_sql_integer(sqlite3 *db, const char *sql, int64_t *ret_value, struct wr_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    enum wr_result result = WR_OK;
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(statement, 0);
    else
        result = code == SQLITE_DONE ? wr_error_set(err, WR_NOT_FOUND, "%s: no answer", sql) : wr_sql_failed(db, code, sql, err);
    sqlite3_finalize(statement);
    return result;
}

enum wr_result wr_sql_prepare_all(struct wr_store *store, struct wr_error *err) {
    for (unsigned i = 0; i < WR_SQL_STATEMENTS; i++) {
        int code = sqlite3_prepare_v3(store->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
        if (code != SQLITE_OK)
            return wr_sql_or_stranger(store->db, wr_sql_failed(store->db, code, texts[i], err), err);
    }
    return WR_OK;
}

void wr_sql_finalize_all(struct wr_store *store) {
    for (unsigned i = 0; i < WR_SQL_STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
}

sqlite3_stmt *wr_sql_use(struct wr_store *store, enum wr_statement statement) {
    sqlite3_reset(store->statements[statement]);
    return store->statements[statement];
}

enum wr_result wr_sql_row(struct wr_store *store, sqlite3_stmt *statement, struct wr_error *err) {
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return WR_OK;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement);
        return WR_EMPTY;
    }
    enum wr_result result = wr_sql_failed(store->db, code, sqlite3_sql(statement), err);
    sqlite3_reset(statement);
    return result;
}

enum wr_result wr_sql_run(struct wr_store *store, sqlite3_stmt *statement, struct wr_error *err) {
    enum wr_result result = wr_sql_row(store, statement, err);
    if (result == WR_EMPTY)
        result = WR_OK;
    sqlite3_reset(statement);
    return result;
}

enum wr_result wr_sql_meta_put(struct wr_store *store, const char *key, int64_t value, struct wr_error *err) {
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_PUT);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, value);
    return wr_sql_run(store, statement, err);
}

enum wr_result wr_sql_meta_get(struct wr_store *store, const char *key, int64_t *ret_value, struct wr_error *err) {
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_GET);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    enum wr_result result = wr_sql_row(store, statement, err);
    if (result == WR_OK)
        *ret_value = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return result == WR_EMPTY ? wr_error_set(err, WR_NOT_FOUND, "the store has no '%s'", key) : result;
}
