/* The outbox: aggregates become segments, segments become rows; rows are handed to the uplink in order. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/column.h"
#include "store/heads.h"
#include "store/store_private.h"

struct wr_codec_header wr_outbox_header(const struct wr_store *store, enum wr_lane lane, enum wr_segment_kind kind,
                                        const struct wr_now *now) {
    struct wr_codec_header header = {.kind = (uint8_t)kind,
                                     .lane = (uint8_t)lane,
                                     .epoch = store->epoch,
                                     .seq = store->txn.next_seq,
                                     .wall_trusted = now->wall_trusted,
                                     .boot_ns = now->boot_ns,
                                     .wall_ns = now->wall_ns};
    memcpy(header.boot_id, store->options.boot_id, sizeof header.boot_id);
    return header;
}

/* The uplink has seen everything up to now: it will want this one too, and should not need a commit of its own for it. */
static void offer_ahead(struct wr_store *store, int lane, int64_t seq) {
    const struct wr_lane_state *state = &store->lanes[lane];
    if (state->asked > 0 && state->asked >= store->txn.newest[lane] && seq > store->txn.offered[lane])
        store->txn.offered[lane] = seq + WR_STORE_OFFER_STRIDE - 1;
}

/* The row is in, as far as memory is concerned: what is written with it already says so. */
static void count_row(struct wr_store *store, int lane, int64_t seq, size_t len) {
    struct wr_transaction *txn = &store->txn;
    offer_ahead(store, lane, seq);
    txn->next_seq = seq + 1;
    txn->newest[lane] = seq;
    txn->added[lane]++;
    txn->added_bytes[lane] += len;
    txn->segments++;
    txn->body_bytes += len;
}

enum wr_result wr_outbox_put_row(struct wr_store *store, const struct wr_codec_header *header, const struct wr_buf *accounts,
                                 const uint8_t *body, size_t len, struct wr_error *err) {
    const int64_t id = wr_row_id(header->lane, header->seq);
    size_t list_len = accounts ? accounts->len : 0;
    struct wr_books_state state;
    WR_TRY(wr_keep_make_room(store, header->lane, len, err));
    WR_TRY(wr_space_make_room(store, len + list_len + sizeof state.bytes, err));
    count_row(store, header->lane, header->seq, len);
    wr_books_put(store, id, &state);
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_SEG_PUT);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int(statement, 2, header->kind);
    sqlite3_bind_int64(statement, 3, header->n);
    sqlite3_bind_int64(statement, 4, header->t0_ns);
    sqlite3_bind_int64(statement, 5, header->t1_ns);
    sqlite3_bind_blob(statement, 6, list_len > 0 ? (const void *)accounts->data : "", (int)list_len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 7, wr_row_crc(header));
    sqlite3_bind_blob(statement, 8, state.bytes, (int)state.len, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 9, body, (int)len, SQLITE_STATIC);
    return wr_sql_run(store, statement, err);
}

enum wr_result wr_outbox_put_list(struct wr_store *store, bool stored, struct wr_buf *list) {
    enum wr_result result = WR_OK;
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        struct wr_stored_account *account = &store->accounts[i];
        if (account->in_segment == 0)
            continue;
        uint8_t pair[2 * WR_VARINT_MAX];
        uint8_t *end = wr_put_varint(wr_put_varint(pair, (uint64_t)account->id), account->in_segment);
        account->delta[WR_BOOK_STORED] += stored ? account->in_segment : 0;
        account->in_segment = 0;
        if (result == WR_OK)
            result = wr_buf_append(list, pair, (size_t)(end - pair));
    }
    return result;
}

/* The row's account list, and the same readings booked as stored. */
static enum wr_result book_stored(struct wr_store *store, const struct wr_aggregate *records, size_t n, struct wr_buf *list) {
    for (size_t i = 0; i < n; i++)
        if (records[i].account < store->n_accounts)
            store->accounts[records[i].account].in_segment += wr_aggregate_readings(&records[i]);
    return wr_outbox_put_list(store, true, list);
}

/* Records that are too large together for one segment become two. */
static enum wr_result put_records(struct wr_store *store, enum wr_lane lane, const struct wr_aggregate *records, size_t n,
                                  const struct wr_now *now, struct wr_error *err) {
    struct wr_codec_header header = wr_outbox_header(store, lane, WR_SEGMENT_AGGREGATES, now);
    header.times_moved = store->lanes[lane].open.moved;
    const uint8_t *body;
    size_t len;
    enum wr_result result = wr_encode_aggregates(store->encoder, &header, records, n, store->symbols, &body, &len);
    if (n > 1 && (result == WR_LIMIT || (result == WR_OK && len > WR_SEGMENT_BODY_BYTES))) {
        WR_TRY(put_records(store, lane, records, n / 2, now, err));
        return put_records(store, lane, records + n / 2, n - n / 2, now, err);
    }
    if (result != WR_OK)
        return wr_error_set(err, result, "encoding a segment of %zu aggregates: %s", n, wr_result_name(result));
    struct wr_buf list;
    wr_buf_init(&list, WR_STORE_LIST_BYTES);
    result = book_stored(store, records, n, &list);
    if (result == WR_OK)
        result = wr_outbox_put_row(store, &header, &list, body, len, err);
    else
        result = wr_error_set(err, result, "no memory for the accounts of a segment");
    wr_buf_fini(&list);
    return result;
}

enum wr_result wr_outbox_put_open(struct wr_store *store, enum wr_lane lane, const struct wr_now *now, struct wr_error *err) {
    const struct wr_open_segment *open = &store->lanes[lane].open;
    return put_records(store, lane, open->records, open->n, now, err);
}

enum wr_result wr_store_take(struct wr_store *store, const struct wr_handover *handover, uint32_t from, const struct wr_now *now,
                             uint32_t *ret_taken, struct wr_error *err) {
    if (store->without) {
        wr_detached_take(store, handover, from, now);
        *ret_taken = handover->n - from;
        return WR_OK;
    }
    wr_ledger_count(store, handover->counts, handover->n_counts, now->boot_ns);
    wr_walls_look(store, now);
    *ret_taken = 0;
    for (uint32_t i = from; i < handover->n; i++) {
        const struct wr_aggregate *aggregate = &handover->aggregates[i];
        enum wr_lane lane = aggregate->window_ns == 0 ? WR_LANE_CHANGES : WR_LANE_WINDOWS;
        struct wr_open_segment *open = &store->lanes[lane].open;
        size_t weight = wr_encode_weight(aggregate, store->symbols);
        if (open->n == WR_SEGMENT_RECORDS || (open->n > 0 && open->weight_bytes + weight > WR_STORE_OPEN_BYTES)) {
            if (now->boot_ns < store->retry_ns)
                return wr_error_set(err, WR_FULL, "the last commit failed; the next attempt is due in a moment");
            WR_TRY(wr_commit(store, WR_COMMIT_LANE(lane), now, err));
        }
        if (open->n == 0) {
            open->since_boot_ns = now->boot_ns;
            open->moved = false;
        }
        struct wr_aggregate *copy = &open->records[open->n++];
        *copy = *aggregate;
        copy->account = aggregate->account < store->n_map ? store->map[aggregate->account] : UINT32_MAX;
        open->moved |= wr_walls_start(store, &copy->start_ns, copy->window_ns);
        open->weight_bytes += weight;
        ++*ret_taken;
    }
    for (int lane = 0; lane < WR_LANES && !wr_thrift_spares(store); lane++)
        if (store->lanes[lane].open.n == WR_SEGMENT_RECORDS && now->boot_ns >= store->retry_ns) {
            struct wr_error later; /* everything is taken: what fails now is tried again when more comes, or by a tick */
            if (wr_commit(store, WR_COMMIT_LANE(lane), now, &later) != WR_OK)
                break;
        }
    return WR_OK;
}

/* Reading */

/* A wrong number in an inner page of the tree leads to a row that was passed already, for ever, or to one that is not found by its id. */
static enum wr_result lost_its_way(struct wr_error *err) {
    return wr_error_set(err, WR_CORRUPT, "the segments are not in their order");
}

static enum wr_result next_seq(struct wr_store *store, enum wr_lane lane, int64_t after, int64_t before, int64_t *ret_seq,
                               struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_NEXT);
    sqlite3_bind_int64(row, 1, wr_row_id((int)lane, after));
    sqlite3_bind_int64(row, 2, wr_row_id((int)lane, before));
    WR_TRY(wr_sql_row(store, row, err));
    *ret_seq = wr_row_seq(sqlite3_column_int64(row, 0));
    sqlite3_reset(row);
    return *ret_seq > after ? WR_OK : lost_its_way(err);
}

/* Row and body must agree; else the body is as bad as one with a wrong CRC. One of another epoch was salvaged: its own seq is not that of the row. */
static enum wr_result check_row(uint64_t epoch, enum wr_lane lane, int64_t seq, uint32_t crc, const uint8_t *body, size_t len,
                                struct wr_segment *ret_segment, struct wr_error *err) {
    struct wr_codec_header header;
    if (!body)
        return wr_error_set(err, WR_CORRUPT, "segment %lld has no body", (long long)seq);
    if (wr_codec_check(body, len, &header, err) != WR_OK)
        return WR_CORRUPT;
    if ((header.seq != seq && header.epoch == epoch) || header.lane != lane || header.crc != crc)
        return wr_error_set(err, WR_CORRUPT, "segment %lld: row and body are not of the same segment", (long long)seq);
    *ret_segment = (struct wr_segment){.epoch = header.epoch,
                                       .seq = header.seq,
                                       .place = header.epoch == epoch ? 0 : seq,
                                       .lane = header.lane,
                                       .kind = header.kind,
                                       .n = header.n,
                                       .t0_ns = header.t0_ns,
                                       .t1_ns = header.t1_ns,
                                       .time_quality = (uint8_t)wr_codec_time_quality(&header),
                                       .body_len = len};
    return WR_OK;
}

enum wr_result wr_outbox_fetch(struct wr_store *store, enum wr_lane lane, int64_t seq, struct wr_segment *ret_segment, bool *ret_bad,
                               struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_GET);
    sqlite3_bind_int64(row, 1, wr_row_id((int)lane, seq));
    *ret_bad = false;
    enum wr_result result = wr_sql_row(store, row, err);
    if (result != WR_OK)
        return result == WR_EMPTY ? wr_error_set(err, WR_NOT_FOUND, "no segment %lld", (long long)seq) : result;
    const uint8_t *body = sqlite3_column_blob(row, 1);
    size_t len = (size_t)sqlite3_column_bytes(row, 1);
    struct wr_segment segment;
    if (!body && sqlite3_errcode(store->db) == SQLITE_NOMEM) {
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for segment %lld", (long long)seq);
    } else {
        result = check_row(store->epoch, lane, seq, (uint32_t)sqlite3_column_int64(row, 0), body, len, &segment, err);
        *ret_bad = result == WR_CORRUPT;
    }
    if (result == WR_OK && ret_segment) {
        segment.body = malloc(len);
        if (segment.body) {
            memcpy(segment.body, body, len);
            *ret_segment = segment;
        } else {
            result = wr_error_set(err, WR_NO_MEMORY, "no memory for a segment of %zu bytes", len);
        }
    }
    sqlite3_reset(row);
    return result;
}

bool wr_outbox_is_parked(const struct wr_store *store, int64_t seq) {
    for (uint32_t i = 0; i < store->n_parked; i++)
        if (store->parked[i] == seq)
            return true;
    return false;
}

bool wr_outbox_in_flight(const struct wr_lane_state *lane, int64_t seq) {
    bool found = false;
    for (uint32_t i = 0; i < WR_STORE_OUT && i < lane->n_out && !found; i++)
        found = lane->out[i] == seq;
    return found && seq <= lane->asked;
}

static void handed_out(struct wr_lane_state *lane, int64_t seq) {
    lane->handed = seq > lane->handed ? seq : lane->handed;
    for (uint32_t i = 0; i < WR_STORE_OUT && i < lane->n_out; i++)
        if (lane->out[i] == seq)
            return;
    lane->out[lane->n_out++ % WR_STORE_OUT] = seq;
}

static enum wr_result correct(struct wr_store *store, const struct wr_now *now, struct wr_segment *segment, struct wr_error *err) {
    const enum wr_result result = wr_correct_segment(store, now, segment, err);
    if (result != WR_OK)
        wr_segment_free(segment);
    return result;
}

enum wr_result wr_store_next(struct wr_store *store, enum wr_lane lane, int64_t after, int64_t before, const struct wr_now *now,
                             struct wr_segment *ret_segment, struct wr_error *err) {
    if (!store->db)
        return WR_EMPTY;
    for (;;) {
        int64_t seq = 0;
        bool bad = false;
        after = wr_reach_skip(store, (int)lane, after + 1) - 1;
        if (wr_reach_is_behind(store, (int)lane, after + 1))
            return WR_EMPTY;
        enum wr_result result = next_seq(store, lane, after, before, &seq, err);
        const bool search = result != WR_OK;
        if (result == WR_OK) {
            if (wr_reach_skip(store, (int)lane, seq) != seq) {
                after = seq - 1;
                continue;
            }
            const struct wr_range *finished = wr_ranges_find(&store->lanes[lane].acks, seq);
            if (finished || wr_outbox_is_parked(store, seq)) {
                after = finished ? finished->last : seq;
                continue;
            }
            result = wr_outbox_fetch(store, lane, seq, ret_segment, &bad, err);
            if (result == WR_NOT_FOUND)
                result = lost_its_way(err);
            if (result == WR_OK && ret_segment->time_quality == WR_TIME_UNTRUSTED)
                result = correct(store, now, ret_segment, err);
            if (result == WR_OK && !bad)
                handed_out(&store->lanes[lane], seq);
        }
        if (bad) {
            WR_TRY(wr_outbox_mark_bad(store, lane, seq, now, err));
            after = seq;
            continue;
        }
        if (wr_reach_read_failed(store, (int)lane, search ? after + 1 : seq, search, result, now))
            continue;
        wr_reopen_note(store, result == WR_OK ? WR_EMPTY : result, false, now);
        if (result != WR_CORRUPT)
            return result;
        WR_TRY(wr_store_quarantine(store, now, err)); /* a fresh store: look there */
        after = 0;
    }
}

enum wr_result wr_store_get(struct wr_store *store, int64_t seq, struct wr_segment *ret_segment, struct wr_error *err) {
    if (!store->db)
        return wr_error_set(err, WR_IO, "the store is not open");
    for (int lane = 0; lane < WR_LANES; lane++) {
        bool bad;
        enum wr_result result = wr_outbox_fetch(store, (enum wr_lane)lane, seq, ret_segment, &bad, err);
        if (result != WR_NOT_FOUND)
            return result;
    }
    return WR_NOT_FOUND;
}

enum wr_result wr_store_offer(struct wr_store *store, enum wr_lane lane, int64_t seq, const struct wr_now *now, struct wr_error *err) {
    struct wr_lane_state *state = &store->lanes[lane];
    if (seq > state->asked)
        state->asked = seq;
    if (seq <= state->offered)
        return WR_OK;
    if (!store->db)
        return wr_error_set(err, WR_IO, "the store is not open");
    enum wr_result result = wr_commit_begin(store, err);
    if (result == WR_OK) {
        store->txn.offered[lane] = seq + WR_STORE_OFFER_STRIDE - 1;
        sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_LANE_OFFER);
        sqlite3_bind_int(statement, 1, (int)lane);
        sqlite3_bind_int64(statement, 2, store->txn.offered[lane]);
        result = wr_commit_end(store, wr_sql_run(store, statement, err), err);
    }
    wr_reopen_note(store, result == WR_OK ? WR_EMPTY : result, true, now);
    return result == WR_CORRUPT ? wr_store_quarantine(store, now, err) : result;
}

enum wr_result wr_store_park(struct wr_store *store, enum wr_lane lane, int64_t seq) {
    if (wr_outbox_is_parked(store, seq) || wr_ranges_find(&store->lanes[lane].acks, seq))
        return WR_OK;
    if (store->n_parked == WR_STORE_PARKED)
        return WR_FULL;
    store->parked_lane[store->n_parked] = (uint8_t)lane;
    store->parked[store->n_parked++] = seq;
    wr_store_show(store);
    return WR_OK;
}

void wr_outbox_unpark(struct wr_store *store, int64_t seq) {
    for (uint32_t i = 0; i < store->n_parked; i++)
        if (store->parked[i] == seq) {
            store->n_parked--;
            store->parked[i] = store->parked[store->n_parked];
            store->parked_lane[i] = store->parked_lane[store->n_parked];
            return;
        }
}

/* Damage */

/* Inside a transaction: the row of `badseg` and the books. */
static enum wr_result put_bad(struct wr_store *store, enum wr_lane lane, int64_t seq, const struct wr_now *now, struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
    sqlite3_bind_int64(row, 1, wr_row_id((int)lane, seq));
    sqlite3_bind_int64(row, 2, wr_row_id((int)lane, seq));
    WR_TRY(wr_sql_row(store, row, err));
    wr_gaps_span(store, WR_BOOK_DROPPED_CORRUPT, sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 3));
    uint64_t readings =
        wr_ledger_book_list(store, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1), WR_BOOK_DROPPED_CORRUPT);
    store->txn.removed[lane]++;
    const uint64_t bytes = (uint64_t)sqlite3_column_int64(row, 2);
    store->txn.removed_bytes[lane] += bytes;
    store->txn.history_added = (struct wr_counts){1, bytes};
    sqlite3_reset(row);
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_BAD_PUT);
    sqlite3_bind_int64(statement, 1, seq);
    sqlite3_bind_int(statement, 2, (int)lane);
    sqlite3_bind_text(statement, 3, "crc", -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, (int64_t)readings);
    WR_TRY(wr_sql_run(store, statement, err));
    return wr_books_finish(store, true, now, err);
}

enum wr_result wr_outbox_mark_bad(struct wr_store *store, enum wr_lane lane, int64_t seq, const struct wr_now *now, struct wr_error *err) {
    struct wr_lane_state *state = &store->lanes[lane];
    struct wr_acks_lane between = {store, lane};
    const struct wr_ranges before = state->acks;
    const bool changed = state->acks_changed;
    if (wr_ranges_add(&state->acks, seq, seq, wr_acks_row_between, &between) != WR_OK)
        return wr_store_park(store, lane, seq) == WR_OK ? WR_OK : wr_error_set(err, WR_FULL, "too many damaged segments");
    state->acks_changed = true;
    if (seq < state->evict_from)
        state->evict_from = seq;
    enum wr_result result = wr_commit_begin(store, err);
    if (result == WR_OK)
        result = wr_commit_end(store, put_bad(store, lane, seq, now, err), err);
    if (result != WR_OK) {
        state->acks = before;
        state->acks_changed = changed;
        return result == WR_CORRUPT ? wr_store_quarantine(store, now, err) : result;
    }
    wr_keep_finished(store, (int)lane, seq, store->txn.history_added.bytes);
    wr_outbox_unpark(store, seq);
    wr_gaps_look(store, now);
    atomic_fetch_add_explicit(&store->stats.bad_segments, 1, memory_order_relaxed);
    wr_store_show(store);
    return WR_OK;
}

/* The next row from store->scan_next on; *seq: that it has, or where the search for it failed. WR_EMPTY. */
static enum wr_result next_row(struct wr_store *store, int *lane, int64_t *seq, struct wr_error *err) {
    *seq = wr_row_seq(store->scan_next);
    for (*lane = (int)wr_row_lane(store->scan_next); *lane < WR_LANES; ++*lane, *seq = 0) {
        sqlite3_stmt *row;
        const enum wr_result result = wr_space_oldest(store, *lane, *seq, &row, err);
        if (result == WR_EMPTY)
            continue;
        if (result == WR_OK) {
            *seq = wr_row_seq(sqlite3_column_int64(row, 0));
            sqlite3_reset(row);
        }
        return result;
    }
    return WR_EMPTY;
}

enum wr_result wr_outbox_scan(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    for (int i = 0; i < WR_STORE_SCAN_SEGMENTS && store->scan_next != INT64_MAX && store->db; i++) {
        int lane;
        int64_t seq;
        bool bad = false;
        enum wr_result result = next_row(store, &lane, &seq, err);
        if (result == WR_EMPTY) {
            store->scan_next = INT64_MAX;
            return WR_OK;
        }
        if (result == WR_OK) {
            const int64_t id = wr_row_id(lane, seq);
            if (id < store->scan_next)
                result = lost_its_way(err);
            store->scan_next = id + 1;
            if (result == WR_OK && !wr_ranges_find(&store->lanes[lane].acks, seq))
                result = wr_outbox_fetch(store, (enum wr_lane)lane, seq, NULL, &bad, err);
            if (result == WR_NOT_FOUND)
                result = lost_its_way(err);
        } else if (wr_reach_read_failed(store, lane, seq, true, result, now)) {
            continue;
        }
        if (bad)
            result = wr_outbox_mark_bad(store, (enum wr_lane)lane, seq, now, err);
        else if (result == WR_CORRUPT)
            result = wr_store_quarantine(store, now, err);
        if (result != WR_OK)
            return result;
    }
    return WR_OK;
}
