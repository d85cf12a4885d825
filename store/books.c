#include "store/books.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "store/column.h"
#include "store/crc32c.h"
#include "store/ledger_check.h"
#include "store/store_private.h"

#define CRC_BYTES 4
#define ID_BYTES 8
#define ACCOUNT_BYTES_MAX ((2 + WR_BOOKS) * WR_VARINT_MAX)
#define LANES_BYTES_MAX ((2 + WR_LANES * 3) * WR_VARINT_MAX)
#define ACKS_BYTES_MAX (WR_LANES * (1 + 2 * WR_STORE_RANGES) * WR_VARINT_MAX)

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < CRC_BYTES; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get32(const uint8_t *at) {
    uint32_t value = 0;
    for (int i = 0; i < CRC_BYTES; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

static uint32_t crc_of(int64_t row_id, const uint8_t *bytes, size_t len) {
    uint8_t id[ID_BYTES];
    for (int i = 0; i < ID_BYTES; i++)
        id[i] = (uint8_t)((uint64_t)row_id >> 8 * i);
    return wr_crc32c(wr_crc32c(0, id, sizeof id), bytes, len);
}

/* Writing */

static uint8_t *put_lanes(const struct wr_store *store, uint8_t *at) {
    const struct wr_counts history = wr_commit_history(store);
    at = wr_put_varint(wr_put_varint(at, history.segments), history.bytes);
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_counts counts = wr_commit_counts(store, lane);
        at = wr_put_varint(wr_put_varint(at, counts.segments), counts.bytes);
        at = wr_put_varint(at, (uint64_t)store->txn.offered[lane]);
    }
    return at;
}

static uint8_t *put_account(const struct wr_stored_account *account, uint8_t *at) {
    uint64_t mask = 0;
    for (unsigned book = 1; book < WR_BOOKS; book++)
        if (wr_ledger_value(account, book) != account->saved[book])
            mask |= UINT64_C(1) << book;
    if (mask == 0)
        return at;
    at = wr_put_varint(wr_put_varint(at, (uint64_t)account->id), mask);
    for (unsigned book = 1; book < WR_BOOKS; book++)
        if (mask >> book & 1)
            at = wr_put_zigzag(at, (int64_t)(wr_ledger_value(account, book) - account->saved[book]));
    return at;
}

static uint8_t *put_acks(const struct wr_lane_state *lane, uint8_t *at) {
    if (!lane->acks_changed)
        return wr_put_varint(at, 0);
    at = wr_put_varint(at, (uint64_t)lane->acks.n + 1);
    int64_t end = 0;
    for (uint32_t i = 0; i < lane->acks.n; i++) {
        const struct wr_range *range = &lane->acks.at[i];
        at = wr_put_varint(wr_put_varint(at, (uint64_t)(range->first - end)), (uint64_t)(range->last - range->first));
        end = range->last;
    }
    return at;
}

/* The difference; 0 where `room` is too small. */
static size_t put_difference(const struct wr_store *store, uint8_t *bytes, size_t room) {
    uint8_t scratch[ACKS_BYTES_MAX];
    const uint8_t *const end = bytes + room;
    uint8_t *at = put_lanes(store, bytes);
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        if (end - at <= ACCOUNT_BYTES_MAX)
            return 0;
        at = put_account(&store->accounts[i], at);
    }
    at = wr_put_varint(at, 0);
    uint8_t *acks = scratch;
    for (int lane = 0; lane < WR_LANES; lane++)
        acks = put_acks(&store->lanes[lane], acks);
    if (end - at < acks - scratch)
        return 0;
    memcpy(at, scratch, (size_t)(acks - scratch));
    return (size_t)(at - bytes) + (size_t)(acks - scratch);
}

_Static_assert(LANES_BYTES_MAX + ACCOUNT_BYTES_MAX + CRC_BYTES < WR_BOOKS_STATE_BYTES, "the lanes and one account always fit");

void wr_books_put(struct wr_store *store, int64_t row_id, struct wr_books_state *ret_state) {
    struct wr_transaction *txn = &store->txn;
    uint8_t *bytes = ret_state->bytes + CRC_BYTES;
    txn->evicted_before_row = txn->evicted;
    txn->tables |= store->commits_since_tables + 1 >= WR_BOOKS_TABLES_EVERY;
    size_t len = txn->tables ? 0 : put_difference(store, bytes, WR_BOOKS_STATE_BYTES - CRC_BYTES);
    txn->tables |= len == 0;
    put32(ret_state->bytes, crc_of(row_id, bytes, len));
    ret_state->len = txn->tables ? 0 : CRC_BYTES + len;
}

static enum wr_result save_lanes(struct wr_store *store, struct wr_error *err) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_counts counts = wr_commit_counts(store, lane);
        sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_LANE_PUT);
        sqlite3_bind_int(statement, 1, lane);
        sqlite3_bind_int64(statement, 2, store->txn.offered[lane]);
        sqlite3_bind_int64(statement, 3, (int64_t)counts.segments);
        sqlite3_bind_int64(statement, 4, (int64_t)counts.bytes);
        WR_TRY(wr_sql_run(store, statement, err));
    }
    return WR_OK;
}

static enum wr_result save_tables(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    WR_TRY(wr_ledger_save(store, err));
    WR_TRY(wr_ledger_check_save(store, now, err));
    WR_TRY(wr_acks_save(store, err));
    WR_TRY(save_lanes(store, err));
    const struct wr_counts history = wr_commit_history(store);
    WR_TRY(wr_sql_meta_put(store, "history", (int64_t)history.segments, err));
    WR_TRY(wr_sql_meta_put(store, "history_bytes", (int64_t)history.bytes, err));
    WR_TRY(wr_sql_meta_put(store, "wall_ns", now->wall_ns, err));
    WR_TRY(wr_sql_meta_put(store, "boot_ns", now->boot_ns, err));
    WR_TRY(wr_sql_meta_put(store, "boot", store->boot, err));
    return wr_sql_meta_put(store, "next_seq", store->txn.next_seq, err);
}

enum wr_result wr_books_finish(struct wr_store *store, bool must, const struct wr_now *now, struct wr_error *err) {
    struct wr_transaction *txn = &store->txn;
    txn->tables |= must || txn->evicted > txn->evicted_before_row; /* after the last row, if there is one */
    txn->books = txn->tables || txn->segments > 0;
    if (txn->books)
        WR_TRY(wr_ledger_save_accounts(store, err));
    return txn->tables ? save_tables(store, now, err) : WR_OK;
}

void wr_books_committed(struct wr_store *store) {
    if (!store->txn.books)
        return;
    wr_ledger_committed(store, store->txn.tables);
    for (int lane = 0; lane < WR_LANES && store->txn.tables; lane++)
        store->lanes[lane].acks_changed = false;
    store->acks_waiting = 0;
    store->acks_since_boot_ns = WR_NEVER_NS;
    store->commits_since_tables = store->txn.tables ? 0 : store->commits_since_tables + 1;
    atomic_fetch_add_explicit(&store->stats.book_commits, 1, memory_order_relaxed);
}

/* Reading */

static enum wr_result no_sense(struct wr_error *err) {
    return wr_error_set(err, WR_CORRUPT, "the books of the newest segment make no sense");
}

static void get_lanes(struct wr_store *store, struct wr_cursor *cursor) {
    store->history.segments = wr_get_varint(cursor);
    store->history.bytes = wr_get_varint(cursor);
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_lane_state *state = &store->lanes[lane];
        state->unacked = wr_get_varint(cursor);
        state->unacked_bytes = wr_get_varint(cursor);
        int64_t offered = (int64_t)wr_get_varint(cursor);
        if (offered > state->offered)
            state->offered = offered; /* an offer of its own may have come after the row */
    }
}

static bool walk_accounts(struct wr_store *store, struct wr_cursor *cursor, bool add) {
    for (uint64_t id = wr_get_varint(cursor); id != 0; id = wr_get_varint(cursor)) {
        struct wr_stored_account *account = wr_ledger_by_id(store, (int64_t)id);
        uint64_t mask = wr_get_varint(cursor);
        if (!account || mask >> WR_BOOKS != 0)
            return false;
        for (unsigned book = 0; book < WR_BOOKS; book++) {
            const uint64_t more = mask >> book & 1 ? (uint64_t)wr_get_zigzag(cursor) : 0;
            account->kept[book] += add ? more : 0;
        }
    }
    return !cursor->bad;
}

/* All of it or nothing: a rescue goes on with the row before. */
static bool get_accounts(struct wr_store *store, struct wr_cursor *cursor) {
    struct wr_cursor ahead = *cursor;
    return walk_accounts(store, &ahead, false) && walk_accounts(store, cursor, true);
}

static bool get_acks(struct wr_lane_state *lane, struct wr_cursor *cursor) {
    uint64_t n = wr_get_varint(cursor);
    if (n == 0)
        return !cursor->bad;
    if (--n > WR_STORE_RANGES)
        return false;
    uint64_t end = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t first = end + wr_get_varint(cursor);
        end = first + wr_get_varint(cursor);
        lane->acks.at[i] = (struct wr_range){(int64_t)first, (int64_t)end};
    }
    lane->acks.n = (uint32_t)n;
    lane->acks_changed = true;
    return !cursor->bad && wr_ranges_valid(&lane->acks);
}

static enum wr_result get_difference(struct wr_store *store, int64_t row_id, const uint8_t *bytes, size_t len, struct wr_error *err) {
    if (len <= CRC_BYTES || get32(bytes) != crc_of(row_id, bytes + CRC_BYTES, len - CRC_BYTES))
        return wr_error_set(err, WR_CORRUPT, "the books of the newest segment are damaged");
    struct wr_cursor cursor = {bytes + CRC_BYTES, bytes + len, false};
    get_lanes(store, &cursor);
    bool good = get_accounts(store, &cursor);
    for (int lane = 0; lane < WR_LANES && good; lane++)
        good = get_acks(&store->lanes[lane], &cursor);
    return good && cursor.at == cursor.end ? WR_OK : no_sense(err);
}

static enum wr_result load_tables(struct wr_store *store, int64_t *ret_next_seq, struct wr_error *err) {
    static const char sql[] = "SELECT id, offered, segments, bytes FROM lane";
    int64_t history = 0;
    int64_t bytes = 0;
    WR_TRY(wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'next_seq'", ret_next_seq, err));
    WR_TRY(wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'history'", &history, err));
    WR_TRY(wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'history_bytes'", &bytes, err));
    store->history = (struct wr_counts){(uint64_t)history, (uint64_t)bytes};
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &row, NULL);
    if (code != SQLITE_OK)
        return wr_sql_failed(store->db, code, sql, err);
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK) {
        int64_t lane = sqlite3_column_int64(row, 0);
        if (lane < 0 || lane >= WR_LANES)
            continue;
        store->lanes[lane].offered = sqlite3_column_int64(row, 1);
        store->lanes[lane].unacked = (uint64_t)sqlite3_column_int64(row, 2);
        store->lanes[lane].unacked_bytes = (uint64_t)sqlite3_column_int64(row, 3);
    }
    sqlite3_finalize(row);
    return result == WR_EMPTY ? WR_OK : result;
}

/* The row with the highest seq of each lane below this one; *ret_id: the highest of all, -1: there is none. */
static enum wr_result find_newest(struct wr_store *store, int64_t below, int64_t *ret_id, struct wr_error *err) {
    *ret_id = -1;
    for (int lane = 0; lane < WR_LANES; lane++) {
        char sql[128];
        int64_t id = 0;
        snprintf(sql, sizeof sql, "SELECT id FROM seg WHERE id BETWEEN %lld AND %lld ORDER BY id DESC LIMIT 1",
                 (long long)wr_row_id(lane, 0), (long long)wr_row_id(lane, below - 1));
        enum wr_result result = wr_sql_integer(store->db, sql, &id, err);
        if (result == WR_NOT_FOUND)
            continue;
        if (result != WR_OK)
            return result;
        store->lanes[lane].newest = wr_row_seq(id);
        if (*ret_id < 0 || wr_row_seq(id) > wr_row_seq(*ret_id))
            *ret_id = id;
    }
    return WR_OK;
}

static int64_t get64(const void *blob) {
    int64_t value;
    memcpy(&value, blob, sizeof value);
    return (int64_t)le64toh((uint64_t)value);
}

/* When the last commit was: as the newest row says, if it was cut then and not salvaged; else as the tables do, which are a little older. Second and third column of the
 * row: epoch and wall time of its body, docs/segment-format.md. */
static enum wr_result load_wall(struct wr_store *store, sqlite3_stmt *row, struct wr_error *err) {
    int64_t epoch = 0;
    enum wr_result result = wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'epoch'", &epoch, err);
    const bool whole = row && sqlite3_column_bytes(row, 1) == sizeof epoch && sqlite3_column_bytes(row, 2) == sizeof epoch;
    if (result == WR_OK && whole && get64(sqlite3_column_blob(row, 1)) == epoch) {
        store->last_wall_ns = get64(sqlite3_column_blob(row, 2));
        return WR_OK;
    }
    if (result == WR_OK)
        result = wr_sql_integer(store->db, "SELECT value FROM meta WHERE key = 'wall_ns'", &store->last_wall_ns, err);
    return result == WR_NOT_FOUND ? WR_OK : result;
}

/* As if there were no rows from `below` on. *ret_newest: the row whose books were asked for. */
static enum wr_result load_below(struct wr_store *store, int64_t below, int64_t *ret_newest, struct wr_error *err) {
    int64_t next_seq = 0;
    int64_t newest;
    *ret_newest = -1;
    WR_TRY(load_tables(store, &next_seq, err));
    WR_TRY(find_newest(store, below, &newest, err));
    *ret_newest = newest;
    store->next_seq = next_seq;
    if (newest < 0 || wr_row_seq(newest) < next_seq)
        return load_wall(store, NULL, err);
    store->next_seq = wr_row_seq(newest) + 1;
    sqlite3_stmt *row = NULL;
    int code =
        sqlite3_prepare_v2(store->db, "SELECT state, substr(body, 17, 8), substr(body, 65, 8) FROM seg WHERE id = ?1", -1, &row, NULL);
    if (code != SQLITE_OK)
        return wr_sql_failed(store->db, code, "reading the books", err);
    sqlite3_bind_int64(row, 1, newest);
    enum wr_result result = wr_sql_row(store, row, err);
    if (result == WR_OK)
        result = load_wall(store, row, err);
    if (result == WR_OK)
        result = get_difference(store, newest, sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), err);
    sqlite3_finalize(row);
    return result;
}

enum wr_result wr_books_load(struct wr_store *store, struct wr_error *err) {
    int64_t newest;
    return load_below(store, INT64_MAX, &newest, err);
}

enum wr_result wr_books_rescue(struct wr_store *store, struct wr_error *err) {
    int64_t newest = -1;
    int64_t below = INT64_MAX;
    enum wr_result result = WR_CORRUPT;
    for (int i = 0; i < WR_BOOKS_TABLES_EVERY && result == WR_CORRUPT; i++) { /* so many commits behind the tables, at most */
        result = load_below(store, below, &newest, err);
        if (newest < 0)
            break;
        below = wr_row_seq(newest);
    }
    return result;
}
