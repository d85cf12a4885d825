/* A store of version 1 becomes one of version 2.
 *
 * Version 1 had its rows in the order of their seqs, an index by lane, and no column `state`. The new tables are made in one transaction, which
 * also makes it version 2. The rows then move to their new ids a few at a time: all at once they would fill a WAL as large as the store,
 * and a disk that is full has no room for that. `moving` in `meta` says that some may still have to: their id is below the first row of
 * lane 1, and their lane, a column that only migrated stores have, is above 0. Killed anywhere, the next start goes on; keys stay, and so do bodies. */
#include "store/store_private.h"

#define MOVE_ROWS 64
#define MOVE_BYTES (256 << 10)

static const char new_tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE boot(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, offset_ns INTEGER, trusted_at INTEGER);"
    "ALTER TABLE lane ADD COLUMN segments INTEGER;"
    "ALTER TABLE lane ADD COLUMN bytes INTEGER;"
    "INSERT OR IGNORE INTO lane(id, offered) VALUES(0, 0), (1, 0), (2, 0), (3, 0);"
    "UPDATE lane SET (segments, bytes) = (SELECT count(*), coalesce(sum(length(body)), 0) FROM seg WHERE seg.lane = lane.id"
    " AND NOT EXISTS (SELECT 1 FROM ack WHERE ack.lane = seg.lane AND seq BETWEEN first AND last));"
    "INSERT OR REPLACE INTO meta(key, value) VALUES"
    " ('history', (SELECT count(*) FROM seg) - (SELECT sum(segments) FROM lane)),"
    " ('history_bytes', (SELECT coalesce(sum(length(body)), 0) FROM seg) - (SELECT sum(bytes) FROM lane)),"
    " ('next_seq', 1 + max(coalesce((SELECT max(seq) FROM seg), 0), coalesce((SELECT max(last) FROM ack), 0),"
    "  coalesce((SELECT max(seq) FROM badseg), 0), (SELECT max(offered) FROM lane))),"
    " ('moving', 1);"
    "DELETE FROM meta WHERE key LIKE 'unacked_bytes_%';"
    "DROP INDEX seg_lane;"
    "ALTER TABLE seg RENAME COLUMN seq TO id;"
    "ALTER TABLE seg ADD COLUMN state BLOB;"
    "PRAGMA user_version = 2;"
    "COMMIT;";

static enum wr_result make_tables(sqlite3 *db, struct wr_error *err) {
    const enum wr_result result = wr_sql_or_stranger(db, wr_sql_exec(db, new_tables, err), err);
    if (result != WR_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/* The next row behind `after` that has to move. WR_EMPTY. */
static enum wr_result next_row(sqlite3 *db, sqlite3_stmt *find, int64_t after, int64_t *ret_id, int64_t *ret_bytes, struct wr_error *err) {
    sqlite3_bind_int64(find, 1, after);
    int code = sqlite3_step(find);
    enum wr_result result = WR_OK;
    if (code == SQLITE_ROW) {
        *ret_id = sqlite3_column_int64(find, 0);
        *ret_bytes = sqlite3_column_int64(find, 1);
    } else {
        result = code == SQLITE_DONE ? WR_EMPTY : wr_sql_failed(db, code, "moving the rows of an older store", err);
    }
    sqlite3_reset(find);
    return result;
}

/* One transaction of it; *after goes on. WR_EMPTY: nothing is left. */
static enum wr_result move_some(sqlite3 *db, sqlite3_stmt *find, sqlite3_stmt *move, int64_t *after, struct wr_error *err) {
    int64_t bytes = 0;
    enum wr_result result = wr_sql_exec(db, "BEGIN IMMEDIATE", err);
    for (int i = 0; i < MOVE_ROWS && bytes < MOVE_BYTES && result == WR_OK; i++) {
        int64_t more = 0;
        result = next_row(db, find, *after, after, &more, err);
        if (result != WR_OK)
            break;
        bytes += more;
        sqlite3_bind_int64(move, 1, *after);
        int code = sqlite3_step(move);
        sqlite3_reset(move);
        if (code != SQLITE_DONE)
            result = wr_sql_failed(db, code, "moving the rows of an older store", err);
    }
    if (result == WR_OK || result == WR_EMPTY) {
        enum wr_result committed = wr_sql_exec(db, "COMMIT", err);
        if (committed != WR_OK)
            result = committed;
    }
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

static enum wr_result move_all(sqlite3 *db, struct wr_error *err) {
    static const char find_sql[] = "SELECT id, length(body) FROM seg WHERE id > ?1 AND id < 1 << 56 AND lane > 0 ORDER BY id LIMIT 1";
    static const char move_sql[] = "UPDATE seg SET id = lane << 56 | id, lane = NULL WHERE id = ?1";
    sqlite3_stmt *find = NULL;
    sqlite3_stmt *move = NULL;
    int64_t after = 0;
    int code = sqlite3_prepare_v2(db, find_sql, -1, &find, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, move_sql, -1, &move, NULL);
    enum wr_result result = code == SQLITE_OK ? WR_OK : wr_sql_failed(db, code, "moving the rows of an older store", err);
    while (result == WR_OK)
        result = move_some(db, find, move, &after, err);
    sqlite3_finalize(find);
    sqlite3_finalize(move);
    return result == WR_EMPTY ? wr_sql_exec(db, "DELETE FROM meta WHERE key = 'moving'", err) : result;
}

enum wr_result wr_migrate(sqlite3 *db, int64_t version, struct wr_error *err) {
    int64_t moving = 0;
    if (version == 1)
        WR_TRY(make_tables(db, err));
    WR_TRY(wr_sql_or_stranger(db, wr_sql_integer(db, "SELECT count(*) FROM meta WHERE key = 'moving'", &moving, err), err));
    return moving > 0 ? move_all(db, err) : WR_OK;
}
