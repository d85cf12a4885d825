/* The database: how it is opened, and its tables: docs/store-format.md says what stands in them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store_private.h"

#define WAL_BYTES (1 << 20) /* then it is written into the file */

/* In this order: locking_mode before anything looks at the file, because a WAL database that is touched without it makes a shared memory
 * file, and on a full disk cannot; page_size and auto_vacuum before the file has pages; the rest at will. Each is read back: a library
 * built otherwise must not go unnoticed. The limit of pages follows in space.c. */
static const struct {
    const char *set;
    const char *get;
    int64_t number;
    const char *text; /* instead of the number */
    bool of_file;     /* it stands in the file, where only damage makes another of it */
} pragmas[] = {
    {"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA locking_mode", 0, "exclusive", false},
    {"PRAGMA page_size = 2048", NULL, 0, NULL, false}, /* one that is there keeps its own */
    {"PRAGMA auto_vacuum = NONE", "PRAGMA auto_vacuum", 0, NULL, true},
    {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", 0, "wal", false},
    {"PRAGMA synchronous = FULL", "PRAGMA synchronous", 2, NULL, false},
    {"PRAGMA secure_delete = OFF", "PRAGMA secure_delete", 0, NULL, false},
    {"PRAGMA journal_size_limit = -1", "PRAGMA journal_size_limit", -1, NULL, false},
    {"PRAGMA cache_size = -256", "PRAGMA cache_size", -256, NULL, false},
    {"PRAGMA mmap_size = 0", NULL, 0, NULL, false}, /* a library without mmap gives no answer */
    {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", 2, NULL, false},
    {"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", 0, NULL, false},
};

static const char tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE account(id INTEGER PRIMARY KEY, source TEXT NOT NULL, window TEXT NOT NULL);"
    "CREATE TABLE ledger(account INTEGER, reason INTEGER, readings INTEGER, PRIMARY KEY(account, reason)) WITHOUT ROWID;"
    "CREATE TABLE seg(id INTEGER PRIMARY KEY, kind INTEGER, n INTEGER, t0 INTEGER, t1 INTEGER,"
    " accounts BLOB, crc INTEGER, state BLOB, body BLOB);"
    "CREATE TABLE lane(id INTEGER PRIMARY KEY, offered INTEGER, segments INTEGER, bytes INTEGER);"
    "CREATE TABLE ack(lane INTEGER, first INTEGER, last INTEGER, PRIMARY KEY(lane, first)) WITHOUT ROWID;"
    "CREATE TABLE badseg(seq INTEGER PRIMARY KEY, lane INTEGER, reason TEXT, readings INTEGER);"
    "CREATE TABLE snap(kind INTEGER, key INTEGER, body BLOB, PRIMARY KEY(kind, key)) WITHOUT ROWID;"
    "CREATE TABLE boot(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, offset_ns INTEGER, trusted_at INTEGER);"
    "INSERT INTO lane(id, offered, segments, bytes) VALUES(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0);"
    "INSERT INTO meta(key, value) VALUES('history', 0), ('history_bytes', 0), ('next_seq', 1);"
    "PRAGMA user_version = 2;"
    "COMMIT;";

enum wr_result wr_schema_open(const char *file, const char *vfs, int flags, sqlite3 **ret_db, struct wr_error *err) {
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(file, &db, flags | SQLITE_OPEN_NOMUTEX, vfs);
    if (code != SQLITE_OK) {
        enum wr_result result = wr_sql_failed(db, code, file, err);
        sqlite3_close(db);
        return result;
    }
    sqlite3_extended_result_codes(db, 1);
    int keep_wal = 1;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_wal); /* its reservation outlives a clean stop */
    *ret_db = db;
    return WR_OK;
}

static enum wr_result read_back(sqlite3 *db, size_t i, struct wr_error *err) {
    if (!pragmas[i].get)
        return WR_OK;
    const enum wr_result other = pragmas[i].of_file ? WR_CORRUPT : WR_UNSUPPORTED;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, pragmas[i].get, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    enum wr_result result = WR_OK;
    if (code != SQLITE_ROW) {
        result = wr_sql_failed(db, code, pragmas[i].get, err);
    } else if (pragmas[i].text) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (!text || strcmp(text, pragmas[i].text) != 0)
            result = wr_error_set(err, other, "%s: SQLite answers %s", pragmas[i].set, text ? text : "nothing");
    } else if (sqlite3_column_int64(statement, 0) != pragmas[i].number) {
        result = wr_error_set(err, other, "%s: SQLite answers %lld", pragmas[i].set, (long long)sqlite3_column_int64(statement, 0));
    }
    sqlite3_finalize(statement);
    return result;
}

/* What goes by pages: the database has those it was made with. */
static enum wr_result configure_pages(sqlite3 *db, uint32_t *ret_page_bytes, struct wr_error *err) {
    char sql[64];
    int64_t bytes = 0;
    int64_t got = 0;
    WR_TRY(wr_sql_integer(db, "PRAGMA page_size", &bytes, err));
    if (bytes != WR_STORE_PAGE_BYTES && bytes != WR_STORE_PAGE_BYTES_MAX)
        return wr_error_set(err, WR_CORRUPT, "pages of %lld bytes: not a store", (long long)bytes);
    const int64_t pages = WAL_BYTES / bytes;
    snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %lld", (long long)pages);
    WR_TRY(wr_sql_integer(db, sql, &got, err));
    if (got != pages)
        return wr_error_set(err, WR_UNSUPPORTED, "%s: SQLite answers %lld", sql, (long long)got);
    *ret_page_bytes = (uint32_t)bytes;
    return WR_OK;
}

/* A header may say by damage that only a later SQLite can write: the file itself is as it was. */
static enum wr_result may_write(sqlite3 *db, struct wr_error *err) {
    if (sqlite3_db_readonly(db, "main") == 1 && access(sqlite3_db_filename(db, "main"), W_OK) == 0)
        return wr_error_set(err, WR_CORRUPT, "its header says that it is for reading only");
    return WR_OK;
}

enum wr_result wr_schema_configure(sqlite3 *db, uint32_t *ret_page_bytes, struct wr_error *err) {
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        WR_TRY(wr_sql_or_stranger(db, wr_sql_exec(db, pragmas[i].set, err), err));
        WR_TRY(read_back(db, i, err));
    }
    WR_TRY(may_write(db, err));
    return configure_pages(db, ret_page_bytes, err);
}

enum wr_result wr_schema_check(sqlite3 *db, struct wr_error *err) {
    static const char *const ids[][2] = {{"seg", "id"}, {"lane", "id"}, {"account", "id"}, {"badseg", "seq"}, {"boot", "id"}};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const char *type = NULL;
        int is_key = 0;
        const int code = sqlite3_table_column_metadata(db, NULL, ids[i][0], ids[i][1], &type, NULL, NULL, &is_key, NULL);
        if (code != SQLITE_OK)
            return wr_sql_failed(db, code, "looking at the tables", err);
        if (!type || strcmp(type, "INTEGER") != 0 || !is_key)
            return wr_error_set(err, WR_CORRUPT, "the definition of the table %s is damaged", ids[i][0]);
    }
    return WR_OK;
}

enum wr_result wr_schema_is_newer(sqlite3 *db, bool *ret_newer, struct wr_error *err) {
    int64_t version = 0;
    WR_TRY(wr_sql_exec(db, pragmas[0].set, err)); /* before anything looks at the file */
    WR_TRY(wr_sql_integer(db, "PRAGMA user_version", &version, err));
    if (version < 0 || version > WR_STORE_SCHEMA_VERSION_MAX)
        return wr_error_set(err, WR_CORRUPT, "its version is %lld, which none has", (long long)version);
    *ret_newer = version > WR_STORE_SCHEMA_VERSION;
    return WR_OK;
}

enum wr_result wr_schema_ensure(sqlite3 *db, bool *ret_fresh, int64_t *ret_version, struct wr_error *err) {
    int64_t version = 0;
    WR_TRY(wr_sql_integer(db, "PRAGMA user_version", &version, err));
    if (version > WR_STORE_SCHEMA_VERSION)
        return wr_error_set(err, WR_UNSUPPORTED, "the store was made by a later version of this program (%lld)", (long long)version);
    *ret_fresh = version == 0;
    *ret_version = version == 0 ? WR_STORE_SCHEMA_VERSION : version;
    if (version != 0)
        return WR_OK;
    int64_t strangers = 0;
    WR_TRY(wr_sql_integer(db, "SELECT count(*) FROM sqlite_master", &strangers, err));
    if (strangers > 0)
        return wr_error_set(err, WR_CORRUPT, "a database, but not a store");
    enum wr_result result = wr_sql_exec(db, tables, err);
    if (result != WR_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}
