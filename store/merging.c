/* Merging in the store: which segments, when, and the transaction that puts one or two in place of many. What becomes of the aggregates: merge.h.
 *
 * Taken are the oldest windows that nobody can have seen: above `offered`, as it is on disk, and above what the uplink was given in this run. They are deleted in the
 * transaction that inserts what they have become, with new seqs, and account lists that name the same readings: so S3 holds without any being booked but
 * as merged. What is merged is cut with a clock that can be trusted, from segments that were: others are still to be corrected by their own boot.
 *
 * Nor what was salvaged: the broker may have had it before that store broke, and only its own key tells a receiver so.
 *
 * What was merged away is overwritten with zeros: a page that is free keeps what it held, and a salvage by pages (page_scan.c) would find there, under keys that no receiver
 * knows, readings that are in longer windows now. That reaches the pages where a row lies then. Others have held it before if rows beside it were evicted, since what is left on
 * a page moves to the next one, and nothing overwrites the page: so of the first EDGE_ROWS rows that nobody has seen those stay that lie wholly on one page.
 *
 * Whose is it? Where each aggregate's account is certain (the segment's list has no other, or no other with windows of this length), all accounts are exact. Else
 * the segments become a single one, whose list is the sum of theirs.
 *
 * One batch is at most WR_STORE_MERGE_SEGMENTS segments. It begins with the oldest; another one joins if it is small, or most of its windows find partners: so also where a minute fills
 * many segments, those of the same series come together. A batch is waited for until it is full, since what is merged once is not merged again. Where one gains
 * less than a quarter it stays as it is. */
#include <string.h>

#include "store/store_private.h"

#define BODY_PAGES (WR_SEGMENT_BODY_BYTES / WR_STORE_PAGE_BYTES + 1)
#define NOBODY UINT32_MAX
#define EDGE_ROWS 64 /* on three pages, the most that are put in order together, lie less */

struct source {
    int64_t seq;
    uint32_t n;
};

struct batch {
    struct source sources[WR_STORE_MERGE_SEGMENTS];
    uint32_t n; /* as they were found; then those that are merged */
    uint64_t bytes;
    int64_t edge;    /* up to this seq small rows are not merged */
    int64_t first;   /* the one it began with */
    int64_t skipped; /* the oldest that would have made it too large; 0: none */
    int64_t last;    /* that was looked at */
    bool exact;      /* the account of each aggregate is certain */
    bool moved;      /* some times in it were (walls.c) */
    int64_t born_ns; /* when the youngest that is in it was cut; INT64_MIN: nobody knows */
    struct wr_codec_header youngest;
    const struct wr_now *now;
    struct wr_merge *merge;
    struct wr_decoder *decoder;
};

/* A window whose length nobody told may be any: as long as the store holds readings of one, no length is certain. */
static bool knows_all_lengths(const struct wr_store *store) {
    if (store->lengths.n == 0 || store->lengths.too_many)
        return false;
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        const struct wr_stored_account *account = &store->accounts[i];
        if (account->length_known)
            continue;
        const uint64_t left = wr_ledger_value(account, WR_BOOK_DELIVERED) + wr_ledger_value(account, WR_BOOK_DROPPED_EVICTED) +
                              wr_ledger_value(account, WR_BOOK_DROPPED_CORRUPT) + wr_ledger_value(account, WR_BOOK_DROPPED_EXPIRED);
        if (wr_ledger_value(account, WR_BOOK_STORED) > left)
            return false;
    }
    return true;
}

static int64_t last_seen(const struct wr_lane_state *lane) {
    const int64_t last = lane->offered > lane->asked ? lane->offered : lane->asked;
    return lane->handed > last ? lane->handed : last;
}

static enum wr_result find_edge(struct wr_store *store, int64_t *ret_edge, struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_WALK);
    *ret_edge = last_seen(&store->lanes[WR_LANE_WINDOWS]);
    sqlite3_bind_int64(row, 1, wr_row_id(WR_LANE_WINDOWS, *ret_edge));
    sqlite3_bind_int64(row, 2, wr_row_id(WR_LANE_WINDOWS, INT64_MAX));
    sqlite3_bind_int(row, 3, EDGE_ROWS);
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK)
        *ret_edge = wr_row_seq(sqlite3_column_int64(row, 0));
    const bool known = result == WR_IO && wr_reach_skip(store, WR_LANE_WINDOWS, *ret_edge + 1) != *ret_edge + 1;
    return result == WR_EMPTY || known ? WR_OK : wr_reach_failed(store, WR_LANE_WINDOWS, *ret_edge + 1, true, result);
}

/* Those of the next rows after *after that may be merged. WR_EMPTY: there are no more rows. */
static enum wr_result find_some(struct wr_store *store, int64_t *after, struct batch *batch, uint32_t *records, struct wr_error *err) {
    const struct wr_lane_state *lane = &store->lanes[WR_LANE_WINDOWS];
    const int64_t began = *after;
    *after = wr_reach_skip(store, WR_LANE_WINDOWS, began + 1) - 1;
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_WALK);
    sqlite3_bind_int64(row, 1, wr_row_id(WR_LANE_WINDOWS, *after));
    sqlite3_bind_int64(row, 2, wr_row_id(WR_LANE_WINDOWS, lane->newest - 1));
    sqlite3_bind_int(row, 3, (int)(WR_STORE_MERGE_SEGMENTS - batch->n));
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK) {
        const struct source source = {wr_row_seq(sqlite3_column_int64(row, 0)), (uint32_t)sqlite3_column_int64(row, 2)};
        const bool is_windows = sqlite3_column_int(row, 1) == WR_SEGMENT_AGGREGATES;
        const bool is_small = sqlite3_column_int64(row, 5) < store->page_bytes;
        *after = source.seq;
        const bool in_reach = wr_reach_skip(store, WR_LANE_WINDOWS, source.seq) == source.seq;
        if (is_windows && in_reach && !(is_small && source.seq <= batch->edge) && !wr_ranges_find(&lane->acks, source.seq) &&
            !wr_outbox_is_parked(store, source.seq)) {
            batch->sources[batch->n++] = source;
            *records += source.n;
        }
    }
    if (result == WR_IO && wr_reach_skip(store, WR_LANE_WINDOWS, *after + 1) != *after + 1)
        result = WR_EMPTY; /* it is known already: go on behind it */
    if (result != WR_EMPTY)
        return wr_reach_failed(store, WR_LANE_WINDOWS, *after + 1, true, result);
    return *after == began ? WR_EMPTY : WR_OK;
}

/* The oldest segments that may be merged, never the newest: what comes next may be its neighbour. WR_EMPTY: not enough to make it worth while. */
static enum wr_result find(struct wr_store *store, struct batch *batch, struct wr_error *err) {
    const struct wr_lane_state *lane = &store->lanes[WR_LANE_WINDOWS];
    int64_t after = last_seen(lane) > lane->merge_after ? last_seen(lane) : lane->merge_after;
    uint32_t records = 0;
    WR_TRY(find_edge(store, &batch->edge, err));
    while (batch->n < WR_STORE_MERGE_SEGMENTS && records < WR_MERGE_RECORDS)
        WR_TRY(find_some(store, &after, batch, &records, err));
    return WR_OK;
}

/* The only account in the list at hand that an aggregate can be of. */
static uint32_t account_of(const struct wr_store *store, const struct wr_aggregate *aggregate) {
    const bool by_length = (aggregate->flags & WR_AGGREGATE_WIDENED) == 0;
    uint32_t any = NOBODY;
    uint32_t fitting = NOBODY;
    unsigned n = 0;
    unsigned n_fitting = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        if (store->accounts[i].in_list == 0)
            continue;
        any = i;
        n++;
        if (by_length && store->accounts[i].length_ns == aggregate->window_ns) {
            fitting = i;
            n_fitting++;
        }
    }
    return n == 1 ? any : n_fitting == 1 ? fitting : NOBODY;
}

/* The account list of a segment into in_list. */
static enum wr_result read_list(struct wr_store *store, int64_t seq, struct wr_error *err) {
    const int64_t id = wr_row_id(WR_LANE_WINDOWS, seq);
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
    sqlite3_bind_int64(row, 1, id);
    sqlite3_bind_int64(row, 2, id);
    WR_TRY(wr_reach_failed(store, WR_LANE_WINDOWS, seq, false, wr_sql_row(store, row, err)));
    wr_ledger_sum_list(store, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
    sqlite3_reset(row);
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        store->accounts[i].in_list = store->accounts[i].in_segment;
        store->accounts[i].in_segment = 0;
    }
    return WR_OK;
}

/* Whether the accounts that were found add up to what the list says; the sums are zero afterwards. */
static bool agrees_with_list(struct wr_store *store) {
    bool agrees = true;
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        agrees &= store->accounts[i].in_segment == store->accounts[i].in_list;
        store->accounts[i].in_segment = 0;
    }
    return agrees;
}

/* Decodes all aggregates into the merge, with their accounts. */
static enum wr_result add_aggregates(struct wr_store *store, struct batch *batch, struct wr_error *err) {
    struct wr_aggregate aggregate;
    enum wr_result result;
    int64_t window_ns = -1; /* of the one before, and its account */
    uint8_t flags = 0;
    uint32_t account = NOBODY;
    while ((result = wr_decode_aggregate(batch->decoder, &aggregate, err)) == WR_OK) {
        if (aggregate.window_ns != window_ns || ((aggregate.flags ^ flags) & WR_AGGREGATE_WIDENED) != 0)
            account = account_of(store, &aggregate);
        window_ns = aggregate.window_ns;
        flags = aggregate.flags;
        aggregate.account = account;
        if (account != NOBODY)
            store->accounts[account].in_segment += wr_aggregate_readings(&aggregate);
        if ((result = wr_merge_add(batch->merge, &aggregate)) != WR_OK)
            return result;
    }
    return result == WR_EMPTY ? WR_OK : result;
}

/* Whether a segment, added to the merge, may stay in it. */
static bool joins(const struct batch *batch, uint32_t before, uint32_t n, bool exact) {
    const uint32_t results = wr_merge_results(batch->merge);
    if (results <= WR_SEGMENT_RECORDS)
        return true;
    return exact && batch->exact && (before == 0 || results - before <= n / 4);
}

/* What is merged ages on as the youngest that is in it: so nothing goes too early, and nothing later than all of it would have gone (elders.c). */
static void note_clock(const struct wr_store *store, struct batch *batch, int64_t seq, const struct wr_codec_header *header) {
    int64_t born_ns;
    if (!wr_elders_born(store, seq, header, batch->now, &born_ns) || born_ns < batch->born_ns)
        return;
    batch->born_ns = born_ns;
    batch->youngest = *header;
}

/* WR_FULL: it would become too large. WR_EMPTY: the segment is not fit to be merged. One with a key that is not of this store and row is not: it was salvaged, and
 * the broker may have had it from the store that broke. */
static enum wr_result add_body(struct wr_store *store, struct batch *batch, int64_t seq, const struct wr_segment *segment,
                               struct wr_error *err) {
    struct wr_codec_header header;
    const uint32_t before = wr_merge_results(batch->merge);
    enum wr_result result = wr_decode_begin(batch->decoder, segment->body, segment->body_len, &header, err);
    if (result != WR_OK)
        return result == WR_NO_MEMORY ? result : WR_EMPTY;
    if (!header.wall_trusted || header.epoch != store->epoch || header.seq != seq)
        return WR_EMPTY;
    WR_TRY(read_list(store, seq, err));
    wr_merge_begin(batch->merge);
    result = add_aggregates(store, batch, err);
    const bool exact = agrees_with_list(store);
    if (result == WR_OK && wr_merge_candidates(batch->merge) == 0)
        result = WR_EMPTY;
    if (result == WR_OK && !joins(batch, before, header.n, exact))
        result = WR_FULL;
    if (result == WR_OK) {
        batch->exact &= exact;
        batch->moved |= header.times_moved;
        note_clock(store, batch, seq, &header);
        return WR_OK;
    }
    wr_merge_take_back(batch->merge);
    return result == WR_INVALID || result == WR_LIMIT || result == WR_CORRUPT ? WR_EMPTY : result;
}

/* Reads what was found; what does not fit is left for another batch. What is damaged is booked as that, and another time is better. */
static enum wr_result read_all(struct wr_store *store, struct batch *batch, const struct wr_now *now, struct wr_error *err) {
    const uint32_t found = batch->n;
    batch->n = 0;
    batch->exact = true;
    batch->born_ns = INT64_MIN;
    batch->now = now;
    batch->first = batch->sources[0].seq;
    for (uint32_t i = 0; i < found; i++) {
        const struct source source = batch->sources[i];
        struct wr_segment segment = {0};
        bool bad = false;
        enum wr_result result = wr_outbox_fetch(store, WR_LANE_WINDOWS, source.seq, &segment, &bad, err);
        if (bad)
            result = wr_outbox_mark_bad(store, WR_LANE_WINDOWS, source.seq, now, err);
        if (bad || result != WR_OK)
            return result == WR_OK ? WR_BUSY : wr_reach_failed(store, WR_LANE_WINDOWS, source.seq, false, result);
        result = add_body(store, batch, source.seq, &segment, err);
        const size_t len = segment.body_len;
        wr_segment_free(&segment);
        if (result != WR_OK && result != WR_EMPTY && result != WR_FULL)
            return result;
        batch->last = source.seq;
        if (result == WR_FULL && batch->skipped == 0)
            batch->skipped = source.seq;
        if (result != WR_OK)
            continue;
        batch->sources[batch->n++] = source;
        batch->bytes += len;
    }
    return batch->n > 1 ? WR_OK : WR_EMPTY;
}

/* Inside the transaction: one source goes. Where accounts are not exact its list is added up. */
static enum wr_result remove_source(struct wr_store *store, int64_t seq, bool sum, struct wr_error *err) {
    const int64_t id = wr_row_id(WR_LANE_WINDOWS, seq);
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
    sqlite3_bind_int64(row, 1, id);
    sqlite3_bind_int64(row, 2, id);
    WR_TRY(wr_reach_failed(store, WR_LANE_WINDOWS, seq, false, wr_sql_row(store, row, err)));
    if (sum)
        wr_ledger_sum_list(store, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
    store->txn.removed[WR_LANE_WINDOWS]++;
    store->txn.removed_bytes[WR_LANE_WINDOWS] += (uint64_t)sqlite3_column_int64(row, 2);
    store->txn.merged++;
    sqlite3_reset(row);
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_SEG_DELETE);
    sqlite3_bind_int64(statement, 1, id);
    return wr_reach_failed(store, WR_LANE_WINDOWS, seq, false, wr_sql_run(store, statement, err));
}

/* Books what lost resolution, of windows of one length, where only the lists are known: shared between the accounts as their readings are. */
static void book_by_length(struct wr_store *store, int64_t length_ns, uint64_t lost) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++)
        all += store->accounts[i].length_ns == length_ns ? store->accounts[i].in_segment : 0;
    lost = lost > all ? all : lost;
    store->txn.merged_readings += lost;
    for (uint32_t i = 0; i < store->n_accounts && lost > 0; i++) {
        struct wr_stored_account *account = &store->accounts[i];
        if (account->length_ns != length_ns || account->in_segment == 0)
            continue;
        uint64_t share = (uint64_t)((double)lost * (double)account->in_segment / (double)all);
        share = share > lost || account->in_segment == all ? lost : share;
        share = share > account->in_segment ? account->in_segment : share;
        account->delta[WR_BOOK_MERGED] += share;
        all -= account->in_segment;
        lost -= share;
    }
}

static void book_exactly(void *user, uint32_t account, uint64_t readings, bool is_longer) {
    struct wr_store *store = user;
    if (account >= store->n_accounts)
        return; /* an aggregate of no readings */
    store->accounts[account].in_segment += readings;
    store->accounts[account].delta[WR_BOOK_MERGED] += is_longer ? readings : 0;
    store->txn.merged_readings += is_longer ? readings : 0;
}

/* One of the new rows. WR_EMPTY: it is too large for one. */
static enum wr_result put_row(struct wr_store *store, struct batch *batch, const struct wr_aggregate *records, uint32_t from, uint32_t n,
                              const struct wr_now *now, uint64_t *bytes, struct wr_error *err) {
    struct wr_codec_header header = wr_outbox_header(store, WR_LANE_WINDOWS, WR_SEGMENT_AGGREGATES, now);
    header.times_moved = batch->moved;
    if (batch->born_ns != INT64_MIN) {
        header.boot_ns = batch->youngest.boot_ns;
        header.wall_ns = batch->youngest.wall_ns;
        memcpy(header.boot_id, batch->youngest.boot_id, sizeof header.boot_id);
    }
    const uint8_t *body;
    size_t len;
    enum wr_result result = wr_encode_aggregates(store->encoder, &header, records + from, n, wr_merge_texts(batch->merge), &body, &len);
    if (result == WR_LIMIT || (result == WR_OK && len > WR_SEGMENT_BODY_BYTES))
        return WR_EMPTY;
    if (result != WR_OK)
        return wr_error_set(err, result, "encoding a merged segment: %s", wr_result_name(result));
    *bytes += len;
    struct wr_buf list;
    wr_buf_init(&list, WR_STORE_LIST_BYTES);
    if (batch->exact)
        wr_merge_sum(batch->merge, from, n, book_exactly, store);
    result = wr_outbox_put_list(store, false, &list);
    if (result == WR_OK)
        result = wr_outbox_put_row(store, &header, &list, body, len, err);
    else
        result = wr_error_set(err, result, "no memory for the accounts of a segment");
    wr_buf_fini(&list);
    return result;
}

static void forget_sums(struct wr_store *store) {
    for (uint32_t i = 0; i < store->n_accounts; i++)
        store->accounts[i].in_segment = 0;
}

/* Inside the transaction. WR_EMPTY: it gains too little. */
static enum wr_result replace(struct wr_store *store, struct batch *batch, const struct wr_now *now, struct wr_error *err) {
    const struct wr_aggregate *records;
    uint32_t n;
    uint64_t bytes = 0;
    enum wr_result result = WR_OK;
    wr_merge_run(batch->merge, &records, &n);
    WR_TRY(wr_space_drop_history(store, err)); /* the little that is left of it */
    WR_TRY(wr_sql_exec(store->db, "PRAGMA secure_delete = ON", err));
    for (uint32_t i = 0; i < batch->n && result == WR_OK; i++)
        result = remove_source(store, batch->sources[i].seq, !batch->exact, err);
    for (uint32_t i = 0; i < store->lengths.n && result == WR_OK && !batch->exact; i++)
        book_by_length(store, store->lengths.length_ns[i], wr_merge_lost(batch->merge, i));
    const uint32_t rows = (n + WR_SEGMENT_RECORDS - 1) / WR_SEGMENT_RECORDS;
    for (uint32_t i = 0; i < rows && result == WR_OK; i++)
        result = put_row(store, batch, records, n * i / rows, n * (i + 1) / rows - n * i / rows, now, &bytes, err);
    forget_sums(store);
    if (result == WR_OK && bytes > batch->bytes / 4 * 3)
        result = WR_EMPTY;
    return result == WR_OK ? wr_books_finish(store, false, now, err) : result;
}

/* What came of it is not looked at again in this run. */
static void go_on(struct wr_store *store, const struct batch *batch, bool merged) {
    int64_t *after = &store->lanes[WR_LANE_WINDOWS].merge_after;
    if (batch->skipped == 0)
        *after = batch->last;
    else
        *after = merged ? batch->skipped - 1 : batch->first;
}

/* A transaction in which no source that is deleted can be read any more. Where the last line finds no memory others pay for that until the next one, with some pages more. */
static enum wr_result replace_for_good(struct wr_store *store, struct batch *batch, const struct wr_now *now, struct wr_error *err) {
    enum wr_result result = wr_commit_begin(store, err);
    if (result == WR_OK)
        result = wr_commit_end(store, replace(store, batch, now, err), err);
    (void)!wr_sql_exec(store->db, "PRAGMA secure_delete = OFF", NULL);
    if (result == WR_OK)
        wr_keep_merged(store, now);
    return result;
}

/* WR_EMPTY: nothing came of it. */
static enum wr_result merge_batch(struct wr_store *store, struct batch *batch, const struct wr_now *now, struct wr_error *err) {
    WR_TRY(find(store, batch, err));
    if (wr_decoder_new(&batch->decoder) != WR_OK || wr_merge_new(&store->lengths, &batch->merge) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for merging segments");
    enum wr_result result = read_all(store, batch, now, err);
    if (result == WR_OK)
        result = replace_for_good(store, batch, now, err);
    if (result == WR_OK || result == WR_EMPTY)
        go_on(store, batch, result == WR_OK);
    return result;
}

/* Whether only what nobody has could be evicted for the next commit. */
static enum wr_result is_full(struct wr_store *store, bool *ret_full, struct wr_error *err) {
    const int64_t enough = WR_STORE_PAGES_SPARE + BODY_PAGES + 2 * wr_space_batch_pages(store);
    int64_t spare = 0;
    uint64_t can_go_bytes = 0;
    WR_TRY(wr_space_free_pages(store, &spare, err));
    if (spare < enough)
        WR_TRY(wr_space_can_go(store, (uint64_t)(enough - spare) * store->page_bytes, &can_go_bytes, err));
    *ret_full = spare + (int64_t)(can_go_bytes / store->page_bytes) < enough;
    return WR_OK;
}

/* WR_EMPTY: nothing came of it, or needs to. */
static enum wr_result merge_if_full(struct wr_store *store, const struct wr_now *now, bool *ret_full) {
    struct batch batch = {0};
    WR_TRY(is_full(store, ret_full, NULL));
    if (!*ret_full)
        return WR_EMPTY;
    const enum wr_result result = merge_batch(store, &batch, now, NULL);
    wr_merge_free(batch.merge);
    wr_decoder_free(batch.decoder);
    return result;
}

void wr_merging_make_room(struct wr_store *store, const struct wr_now *now) {
    struct wr_reach_tries tries;
    enum wr_result result = WR_OK;
    bool full = true;
    bool merged = false;
    if (!store->db || wr_reach_rests(store, now))
        return;
    wr_reach_begin(store, &tries, now);
    for (int i = 0; i < WR_STORE_MERGES && full && (result == WR_OK || result == WR_EMPTY); i++) {
        if (!store->db || !now->wall_trusted || !knows_all_lengths(store))
            break;
        do
            result = merge_if_full(store, now, &full);
        while (wr_reach_again(store, &tries, result) && !store->reach.bare);
        merged |= result == WR_OK;
    }
    if (result == WR_IO || (tries.n > 0 && !merged)) /* it would meet the same place at once again */
        wr_reach_rest(store, now); /* what is wrong with the database shows at the commit that comes now, and is treated there */
    wr_reach_end(store, &tries, result == WR_EMPTY ? WR_OK : result, now);
}
