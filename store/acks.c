/* Acknowledgements: ranges in memory at once, on disk with the next commit. A finished segment is one that nobody needs to send any more: the broker
 * has it, or it is damaged. */
#include <string.h>

#include "store/store_private.h"

bool wr_acks_row_between(void *user, int64_t a, int64_t b) {
    struct wr_acks_lane *lane = user;
    sqlite3_stmt *statement = wr_sql_use(lane->store, WR_SQL_SEG_NEXT);
    sqlite3_bind_int64(statement, 1, wr_row_id((int)lane->lane, a));
    sqlite3_bind_int64(statement, 2, wr_row_id((int)lane->lane, b));
    bool found = wr_sql_row(lane->store, statement, NULL) != WR_EMPTY; /* an error: rather two ranges than one too large */
    sqlite3_reset(statement);
    return found;
}

/* Books the rows of first..last, which were not finished before. *reached: the last one booked. */
static enum wr_result deliver(struct wr_store *store, enum wr_lane lane, int64_t first, int64_t last, int64_t *reached,
                              struct wr_error *err) {
    struct wr_lane_state *state = &store->lanes[lane];
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
    sqlite3_bind_int64(row, 1, wr_row_id((int)lane, first));
    sqlite3_bind_int64(row, 2, wr_row_id((int)lane, last));
    enum wr_result result = WR_EMPTY;
    while (*reached < last &&
           (result = wr_sql_row(store, row, err)) == WR_OK) { /* not a row more: it may be on a page that cannot be read */
        (void)wr_ledger_ack_list(store, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
        uint64_t bytes = (uint64_t)sqlite3_column_int64(row, 2);
        *reached = wr_row_seq(sqlite3_column_int64(row, 0));
        state->unacked--;
        state->unacked_bytes = state->unacked == 0 || bytes > state->unacked_bytes ? 0 : state->unacked_bytes - bytes;
        store->history.segments++;
        store->history.bytes += bytes;
        store->acks_waiting++;
        wr_keep_finished(store, (int)lane, *reached, bytes);
        wr_outbox_unpark(store, *reached);
    }
    sqlite3_reset(row);
    return result == WR_EMPTY ? WR_OK : result;
}

/* The parts of first..last that `before` does not have. */
static enum wr_result deliver_new(struct wr_store *store, enum wr_lane lane, const struct wr_ranges *before, int64_t first, int64_t last,
                                  int64_t *reached, struct wr_error *err) {
    for (uint32_t i = 0; first <= last; i++) {
        while (i < before->n && before->at[i].last < first)
            i++;
        bool met = i < before->n && before->at[i].first <= last;
        int64_t end = met ? before->at[i].first - 1 : last;
        if (first <= end)
            WR_TRY(deliver(store, lane, first, end, reached, err));
        first = met ? before->at[i].last + 1 : last + 1;
    }
    return WR_OK;
}

/* *again: a part cannot be read, and is passed over from now on. */
static enum wr_result ack(struct wr_store *store, enum wr_lane lane, int64_t first, int64_t last, const struct wr_now *now, bool *again,
                          struct wr_error *err) {
    struct wr_lane_state *state = &store->lanes[lane];
    struct wr_acks_lane between = {store, lane};
    if (last > state->newest)
        last = state->newest;
    if (!store->db || first > last || !wr_acks_row_between(&between, first - 1, last + 1))
        return WR_OK; /* of a former epoch, or evicted meanwhile */
    const struct wr_ranges before = state->acks;
    struct wr_ranges after = before;
    if (wr_ranges_add(&after, first, last, wr_acks_row_between, &between) != WR_OK)
        return wr_error_set(err, WR_FULL, "%s: %d acknowledged ranges already", wr_lane_name(lane), WR_STORE_RANGES);
    if (first < state->evict_from)
        state->evict_from = first; /* these are finished now, too */
    uint32_t waiting = store->acks_waiting;
    int64_t reached = first - 1;
    enum wr_result result = deliver_new(store, lane, &before, first, last, &reached, err);
    if (result == WR_OK)
        state->acks = after;
    else
        *again = wr_reach_read_failed(store, (int)lane, reached + 1, true, result, now);
    if (result != WR_OK && reached >= first && wr_ranges_add(&state->acks, first, reached, wr_acks_row_between, &between) != WR_OK)
        result = WR_CORRUPT; /* booked, but cannot be remembered */
    if (store->acks_waiting > waiting) {
        state->acks_changed = true;
        if (waiting == 0)
            store->acks_since_boot_ns = now->boot_ns;
        wr_store_show(store);
    }
    return result == WR_CORRUPT ? wr_store_quarantine(store, now, err) : result;
}

/* What cannot be read is not booked as delivered: it is sent again when it can be. */
enum wr_result wr_store_ack(struct wr_store *store, enum wr_lane lane, int64_t first, int64_t last, const struct wr_now *now,
                            struct wr_error *err) {
    while (first <= last) {
        first = wr_reach_skip(store, (int)lane, first);
        const int64_t until = wr_reach_until(store, (int)lane, first);
        const int64_t end = until < last ? until : last;
        bool again = false;
        const enum wr_result result = first <= end ? ack(store, lane, first, end, now, &again, err) : WR_OK;
        if (result == WR_IO && again)
            continue;
        WR_TRY(result);
        if (end == last)
            break;
        first = end + 1;
    }
    return WR_OK;
}

enum wr_result wr_acks_save(struct wr_store *store, struct wr_error *err) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_lane_state *state = &store->lanes[lane];
        if (!state->acks_changed)
            continue;
        sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_ACK_CLEAR);
        sqlite3_bind_int(statement, 1, lane);
        WR_TRY(wr_sql_run(store, statement, err));
        for (uint32_t i = 0; i < state->acks.n; i++) {
            statement = wr_sql_use(store, WR_SQL_ACK_PUT);
            sqlite3_bind_int(statement, 1, lane);
            sqlite3_bind_int64(statement, 2, state->acks.at[i].first);
            sqlite3_bind_int64(statement, 3, state->acks.at[i].last);
            WR_TRY(wr_sql_run(store, statement, err));
        }
    }
    return WR_OK;
}

enum wr_result wr_acks_load(struct wr_store *store, struct wr_error *err) {
    static const char sql[] = "SELECT lane, first, last FROM ack ORDER BY lane, first";
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &row, NULL);
    if (code != SQLITE_OK)
        return wr_sql_failed(store->db, code, sql, err);
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK) {
        int64_t lane = sqlite3_column_int64(row, 0);
        struct wr_range range = {sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2)};
        struct wr_ranges *acks = lane >= 0 && lane < WR_LANES ? &store->lanes[lane].acks : NULL;
        if (!acks || acks->n == WR_STORE_RANGES || range.first > range.last || (acks->n > 0 && acks->at[acks->n - 1].last >= range.first)) {
            result = wr_error_set(err, WR_CORRUPT, "the acknowledged ranges make no sense");
            break;
        }
        acks->at[acks->n++] = range;
    }
    sqlite3_finalize(row);
    return result == WR_EMPTY ? WR_OK : result;
}

/* Ranges whose rows were all evicted say nothing any more. On disk they go with the next acks. */
void wr_acks_prune(struct wr_store *store) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_lane_state *state = &store->lanes[lane];
        struct wr_acks_lane between = {store, (enum wr_lane)lane};
        while (state->acks.n > 0 && state->acks.at[0].first < state->evict_from &&
               !wr_acks_row_between(&between, state->acks.at[0].first - 1, state->acks.at[0].last + 1)) {
            wr_ranges_remove(&state->acks, 0);
            state->acks_changed = true;
        }
    }
}
