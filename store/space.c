/* Space: the reservation at the start, and eviction before every insert.
 *
 * Why both: on a full disk SQLite can neither insert, delete nor checkpoint, because each needs room in the WAL or in the file. So the file is
 * grown to its budget and the WAL to its reserve while there is room; afterwards everything happens inside them. Freed pages are whole
 * pages only: one eviction may free less than one insert needs, so evict until the free pages suffice. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/store_private.h"

#define STEP_BYTES (1 << 20)
#define CACHE_BYTES (256 << 10)     /* of SQLite, see schema.c: so much of a transaction never reaches the WAL */
#define WAL_SPARE_BYTES (512 << 10) /* what a checkpoint may lag behind the reserve */

static enum wr_result pages(struct wr_store *store, enum wr_statement which, int64_t *ret_pages, struct wr_error *err) {
    sqlite3_stmt *statement = wr_sql_use(store, which);
    WR_TRY(wr_sql_row(store, statement, err));
    *ret_pages = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return WR_OK;
}

static enum wr_result set_limit(struct wr_store *store, uint64_t limit, struct wr_error *err) {
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %llu", (unsigned long long)limit);
    int64_t got = 0;
    WR_TRY(wr_sql_integer(store->db, sql, &got, err));
    store->page_limit = (uint64_t)got; /* larger, if the file is already: a smaller budget takes effect on a fresh store only */
    return WR_OK;
}

static uint64_t full_limit(const struct wr_store *store) {
    return (store->options.budget_bytes - store->options.wal_reserve_bytes) / store->page_bytes;
}

/* What lies aside counts in the budget, but leaves a quarter of it. */
static uint64_t present_limit(const struct wr_store *store) {
    uint64_t limit = full_limit(store);
    uint64_t aside = wr_aside_bytes(store) / store->page_bytes;
    return aside < limit - limit / 4 ? limit - aside : limit / 4;
}

/* True while the file system has room for this many bytes more above its floor. */
static bool above_floor(const struct wr_store *store, uint64_t bytes) {
    struct statvfs status;
    if (statvfs(store->directory, &status) != 0)
        return true;
    return (uint64_t)status.f_bavail * status.f_frsize >= bytes + store->options.free_floor_bytes;
}

static enum wr_result grow_step(struct wr_store *store, int64_t missing, struct wr_error *err) {
    int64_t bytes = (missing - 2) * ((int64_t)store->page_bytes - 4);
    if (bytes > STEP_BYTES)
        bytes = STEP_BYTES;
    char sql[96];
    snprintf(sql, sizeof sql, "INSERT INTO reserve(body) VALUES(zeroblob(%lld))", (long long)bytes);
    return wr_sql_exec(store->db, sql, err);
}

/* Zero pages fill the file step by step; dropping them row by row turns them into free pages. */
static enum wr_result grow_file(struct wr_store *store, struct wr_error *err) {
    int64_t have = 0;
    WR_TRY(pages(store, WR_SQL_PAGE_COUNT, &have, err));
    bool left_over = false;
    int64_t tables = 0;
    WR_TRY(wr_sql_integer(store->db, "SELECT count(*) FROM sqlite_master WHERE name = 'reserve'", &tables, err));
    left_over = tables > 0; /* a start was interrupted here */
    if ((uint64_t)have + 8 >= store->page_limit && !left_over)
        return WR_OK;
    WR_TRY(wr_sql_exec(store->db, "CREATE TABLE IF NOT EXISTS reserve(id INTEGER PRIMARY KEY, body BLOB)", err));
    enum wr_result result = WR_OK;
    while (result == WR_OK && (uint64_t)have + 8 < store->page_limit && above_floor(store, STEP_BYTES)) {
        result = grow_step(store, (int64_t)store->page_limit - have, err);
        if (result == WR_OK)
            result = pages(store, WR_SQL_PAGE_COUNT, &have, err);
    }
    if (result == WR_FULL)
        result = WR_OK; /* as far as the disk has room */
    while (result == WR_OK) {
        int64_t left = 0;
        result = wr_sql_integer(store->db, "SELECT count(*) FROM reserve", &left, err);
        if (result != WR_OK || left == 0)
            break;
        result = wr_sql_exec(store->db, "DELETE FROM reserve WHERE id = (SELECT max(id) FROM reserve)", err);
    }
    return result == WR_OK ? wr_sql_exec(store->db, "DROP TABLE reserve", err) : result;
}

/* A large transaction that is rolled back: its pages spill into the WAL, which stays as long as it became. */
static enum wr_result grow_wal(struct wr_store *store, struct wr_error *err) {
    const int64_t want = (int64_t)store->options.wal_reserve_bytes - WAL_SPARE_BYTES;
    int64_t spare = 0;
    WR_TRY(pages(store, WR_SQL_FREELIST_COUNT, &spare, err));
    int64_t bytes = (spare - 8) * ((int64_t)store->page_bytes - 4);
    if (bytes > want + CACHE_BYTES)
        bytes = want + CACHE_BYTES;
    if (want <= 0 || wr_wal_bytes(store->db) >= bytes - CACHE_BYTES || !above_floor(store, store->options.wal_reserve_bytes))
        return WR_OK;
    char sql[192];
    WR_TRY(wr_sql_exec(store->db, "PRAGMA wal_checkpoint(RESTART)", err)); /* so that it begins at the front of the WAL */
    snprintf(sql, sizeof sql,
             "BEGIN; CREATE TABLE reserve(id INTEGER PRIMARY KEY, body BLOB);"
             "INSERT INTO reserve(body) VALUES(zeroblob(%lld))",
             (long long)bytes);
    enum wr_result result = wr_sql_exec(store->db, sql, err);
    if (!sqlite3_get_autocommit(store->db)) {
        enum wr_result back = wr_sql_exec(store->db, "ROLLBACK", err);
        if (result == WR_OK)
            result = back;
    }
    return result == WR_FULL ? WR_OK : result;
}

enum wr_result wr_space_reserve(struct wr_store *store, struct wr_error *err) {
    WR_TRY(set_limit(store, present_limit(store), err));
    WR_TRY(grow_file(store, err));
    int64_t have = 0;
    WR_TRY(pages(store, WR_SQL_PAGE_COUNT, &have, err));
    if ((uint64_t)have + 8 < store->page_limit)
        WR_TRY(set_limit(store, (uint64_t)have, err)); /* what is not reserved cannot be relied upon */
    return grow_wal(store, err);
}

enum wr_result wr_space_free_pages(struct wr_store *store, int64_t *ret_free, struct wr_error *err) {
    int64_t listed = 0;
    int64_t have = 0;
    WR_TRY(pages(store, WR_SQL_FREELIST_COUNT, &listed, err));
    WR_TRY(pages(store, WR_SQL_PAGE_COUNT, &have, err));
    *ret_free = listed + ((uint64_t)have < store->page_limit ? (int64_t)store->page_limit - have : 0);
    return WR_OK;
}

void wr_space_regain(struct wr_store *store) {
    if (store->page_limit < full_limit(store) && above_floor(store, 0))
        (void)!set_limit(store, present_limit(store), NULL); /* else with the next start */
}

void wr_space_measure(struct wr_store *store) {
    int64_t value = 0;
    if (wr_space_free_pages(store, &value, NULL) == WR_OK)
        atomic_store_explicit(&store->stats.free_bytes, (uint64_t)value * store->page_bytes, memory_order_relaxed);
    atomic_store_explicit(&store->stats.reserved_bytes, store->page_limit * store->page_bytes + store->options.wal_reserve_bytes,
                          memory_order_relaxed);
}

/* The head of the oldest segment of a lane in first..last that is in reach stands in the statement. */
static enum wr_result oldest(struct wr_store *store, int lane, int64_t first, int64_t last, sqlite3_stmt **ret_row, struct wr_error *err) {
    for (;;) {
        first = wr_reach_skip(store, lane, first);
        if (first > last || wr_reach_is_behind(store, lane, first))
            return WR_EMPTY;
        sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
        sqlite3_bind_int64(row, 1, wr_row_id(lane, first));
        sqlite3_bind_int64(row, 2, wr_row_id(lane, last));
        WR_TRY(wr_reach_failed(store, lane, first, true, wr_sql_row(store, row, err)));
        first = wr_row_seq(sqlite3_column_int64(row, 0));
        *ret_row = row;
        if (wr_reach_skip(store, lane, first) == first)
            return WR_OK;
        sqlite3_reset(row);
    }
}

enum wr_result wr_space_oldest(struct wr_store *store, int lane, int64_t from, sqlite3_stmt **ret_row, struct wr_error *err) {
    return oldest(store, lane, from, INT64_MAX, ret_row, err);
}

/* Adds up the bodies of first..last until there are enough. */
static enum wr_result add_up(struct wr_store *store, int lane, int64_t first, int64_t last, uint64_t enough_bytes, uint64_t *bytes,
                             struct wr_error *err) {
    while (*bytes < enough_bytes) {
        sqlite3_stmt *row;
        const enum wr_result result = oldest(store, lane, first, last, &row, err);
        if (result != WR_OK)
            return result == WR_EMPTY ? WR_OK : result;
        first = wr_row_seq(sqlite3_column_int64(row, 0)) + 1;
        *bytes += (uint64_t)sqlite3_column_int64(row, 2);
        sqlite3_reset(row);
    }
    return WR_OK;
}

enum wr_result wr_space_can_go(struct wr_store *store, uint64_t enough_bytes, uint64_t *ret_bytes, struct wr_error *err) {
    uint64_t bytes = 0;
    if (!wr_reach_has_lost(store)) {
        *ret_bytes = store->history.bytes;
        return WR_OK;
    }
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_ranges *acks = &store->lanes[lane].acks;
        for (uint32_t i = 0; i < acks->n; i++)
            WR_TRY(add_up(store, lane, acks->at[i].first, acks->at[i].last, enough_bytes, &bytes, err));
    }
    *ret_bytes = bytes;
    return WR_OK;
}

static enum wr_result delete_row(struct wr_store *store, int lane, int64_t seq, struct wr_error *err) {
    sqlite3_reset(store->statements[WR_SQL_SEG_HEADS]);
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_SEG_DELETE);
    sqlite3_bind_int64(statement, 1, wr_row_id(lane, seq));
    store->txn.evicted++;
    return wr_reach_failed(store, lane, seq, false, wr_sql_run(store, statement, err));
}

enum wr_result wr_space_drop_finished(struct wr_store *store, int lane, int64_t seq, uint64_t bytes, struct wr_error *err) {
    store->lanes[lane].evict_from = seq + 1;
    store->txn.history_removed.segments++;
    store->txn.history_removed.bytes += bytes;
    wr_keep_removed(store, lane, seq, bytes);
    return delete_row(store, lane, seq, err);
}

enum wr_result wr_space_evict_finished(struct wr_store *store, unsigned lanes, struct wr_error *err) {
    int64_t best = INT64_MAX;
    uint64_t best_bytes = 0;
    int best_lane = -1;
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_lane_state *state = &store->lanes[lane];
        for (uint32_t i = 0; i < state->acks.n && (lanes >> lane & 1) != 0; i++) {
            if (state->acks.at[i].last < state->evict_from)
                continue;
            int64_t first = state->acks.at[i].first > state->evict_from ? state->acks.at[i].first : state->evict_from;
            sqlite3_stmt *row;
            enum wr_result result = oldest(store, lane, first, state->acks.at[i].last, &row, err);
            if (result == WR_OK) {
                int64_t seq = wr_row_seq(sqlite3_column_int64(row, 0));
                uint64_t bytes = (uint64_t)sqlite3_column_int64(row, 2);
                sqlite3_reset(row);
                if (seq < best) {
                    best = seq;
                    best_bytes = bytes;
                    best_lane = lane;
                }
                break;
            }
            if (result != WR_EMPTY)
                return result;
        }
    }
    return best_lane < 0 ? WR_EMPTY : wr_space_drop_finished(store, best_lane, best, best_bytes, err);
}

enum wr_result wr_space_oldest_at_rest(struct wr_store *store, int lane, int64_t from, sqlite3_stmt **ret_row, struct wr_error *err) {
    enum wr_result result = oldest(store, lane, from, INT64_MAX, ret_row, err);
    while (result == WR_OK) {
        const int64_t seq = wr_row_seq(sqlite3_column_int64(*ret_row, 0));
        if (!wr_outbox_in_flight(&store->lanes[lane], seq))
            return WR_OK;
        sqlite3_reset(*ret_row);
        result = oldest(store, lane, seq + 1, INT64_MAX, ret_row, err);
    }
    return result;
}

enum wr_result wr_space_give_up(struct wr_store *store, int lane, sqlite3_stmt *row, enum wr_book book, struct wr_error *err) {
    struct wr_transaction *txn = &store->txn;
    const int64_t seq = wr_row_seq(sqlite3_column_int64(row, 0));
    wr_gaps_span(store, book, sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 3));
    const uint64_t readings = wr_ledger_book_list(store, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1), book);
    *(book == WR_BOOK_DROPPED_EXPIRED ? &txn->expired_readings : &txn->evicted_readings) += readings;
    txn->evicted_unacked += book != WR_BOOK_DROPPED_EXPIRED;
    txn->removed[lane]++;
    txn->removed_bytes[lane] += (uint64_t)sqlite3_column_int64(row, 2);
    for (uint32_t i = 0; i < store->n_parked; i++)
        if (store->parked[i] == seq && txn->n_gone < WR_STORE_PARKED)
            txn->gone[txn->n_gone++] = seq;
    return delete_row(store, lane, seq, err);
}

enum wr_result wr_space_drop_history(struct wr_store *store, struct wr_error *err) {
    enum wr_result result;
    do
        result = wr_space_evict_finished(store, ~0U, err);
    while (result == WR_OK);
    return result == WR_EMPTY ? WR_OK : result;
}

/* The oldest unfinished segment of the lowest lane; alarms last. Only called when nothing finished is left. Without `must` only one that can be
 * spared: no alarms, nothing in flight, nothing of this transaction. */
static enum wr_result evict_unfinished(struct wr_store *store, bool must, struct wr_error *err) {
    for (int lane = WR_LANES - 1; lane >= (must ? WR_LANE_ALARMS : WR_LANE_CHANGES); lane--) {
        sqlite3_stmt *row;
        enum wr_result result = wr_space_oldest_at_rest(store, lane, 0, &row, err);
        if (result == WR_EMPTY && must) /* all are: the oldest then */
            result = oldest(store, lane, 0, INT64_MAX, &row, err);
        if (result == WR_EMPTY)
            continue;
        if (result != WR_OK)
            return result;
        if (!must && wr_row_seq(sqlite3_column_int64(row, 0)) >= store->next_seq)
            continue;
        return wr_space_give_up(store, lane, row, WR_BOOK_DROPPED_EVICTED, err);
    }
    return WR_EMPTY;
}

int64_t wr_space_batch_pages(const struct wr_store *store) {
    int64_t part = (int64_t)(store->page_limit / 32);
    return part < WR_STORE_EVICT_PAGES ? part : WR_STORE_EVICT_PAGES;
}

enum wr_result wr_space_make_room(struct wr_store *store, size_t body_bytes, struct wr_error *err) {
    const int64_t need = (int64_t)(body_bytes / (store->page_bytes - 4)) + WR_STORE_PAGES_SPARE;
    int64_t target = need;
    bool lost = false; /* what nobody has is only evicted for the batch where some had to go in any case */
    for (;;) {
        int64_t spare = 0;
        WR_TRY(wr_space_free_pages(store, &spare, err));
        if (spare >= target)
            return WR_OK;
        const bool must = spare < need;
        if (must && !store->reach.bare)
            target = need + wr_space_batch_pages(store);
        enum wr_result result = wr_space_evict_finished(store, ~0U, err);
        if (result == WR_EMPTY && must && store->page_limit < full_limit(store) && above_floor(store, 0) &&
            wr_aside_shrink_oldest(store, 0)) {
            WR_TRY(set_limit(store, present_limit(store), err)); /* data that nobody has, before data that a broken file may still hold */
            continue;
        }
        if (result == WR_EMPTY && (must || lost)) {
            result = evict_unfinished(store, must, err);
            lost = true;
        }
        if (result == WR_EMPTY && !must)
            return WR_OK;
        if (result == WR_EMPTY)
            return wr_error_set(err, WR_FULL, "no room for a segment of %zu bytes: %lld pages free", body_bytes, (long long)spare);
        if (result != WR_OK)
            return result;
    }
}
