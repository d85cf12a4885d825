#include "store/keep.h"

#include "store/store_private.h"

static const struct wr_store_lane_options *options_of(const struct wr_store *store, int lane) {
    return &store->options.lanes[lane];
}

static bool is_finished(const struct wr_store *store, int lane, int64_t seq) {
    return wr_ranges_find(&store->lanes[lane].acks, seq) != NULL;
}

static uint64_t less(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

/* Counting */

static bool has_limits(const struct wr_store *store) {
    bool has = false;
    for (int lane = 0; lane < WR_LANES; lane++)
        has |= options_of(store, lane)->quota_bytes > 0 || options_of(store, lane)->ttl_ns > 0;
    return has;
}

void wr_keep_start(struct wr_store *store) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        const bool all_counted = options_of(store, lane)->quota_bytes == 0 || store->history.segments == 0;
        store->keep[lane] = (struct wr_keep){.counted_to = all_counted ? INT64_MAX : 0, .elders.place_ns = INT64_MIN};
        store->keep[lane].elders_before = store->keep[lane].elders;
    }
}

static bool counts(const struct wr_store *store, int lane, int64_t seq) {
    return seq < store->keep[lane].counted_to || seq >= store->live_from;
}

void wr_keep_finished(struct wr_store *store, int lane, int64_t seq, uint64_t bytes) {
    if (!counts(store, lane, seq))
        return;
    store->keep[lane].segments++;
    store->keep[lane].bytes += bytes;
}

void wr_keep_removed(struct wr_store *store, int lane, int64_t seq, uint64_t bytes) {
    if (!counts(store, lane, seq))
        return;
    store->keep[lane].gone++;
    store->keep[lane].gone_bytes += bytes;
}

void wr_keep_ended(struct wr_store *store, bool committed) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_keep *keep = &store->keep[lane];
        if (committed) {
            keep->segments = less(keep->segments, keep->gone);
            keep->bytes = less(keep->bytes, keep->gone_bytes);
            keep->elders_before = keep->elders;
        } else if (store->txn.evicted > 0) {
            keep->expires_ns = keep->look_ns = 0; /* what it believed to be gone is not */
            keep->elders = keep->elders_before;
            keep->elders.due_ns = 0;
        }
        keep->gone = keep->gone_bytes = 0;
    }
}

/* The next rows of former runs: which of them are finished. */
static enum wr_result count_some(struct wr_store *store, int lane, struct wr_error *err) {
    struct wr_keep *keep = &store->keep[lane];
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_WALK);
    keep->counted_to = wr_reach_skip(store, lane, keep->counted_to);
    sqlite3_bind_int64(row, 1, wr_row_id(lane, keep->counted_to) - 1);
    sqlite3_bind_int64(row, 2, wr_row_id(lane, store->live_from - 1));
    sqlite3_bind_int(row, 3, WR_KEEP_COUNT_ROWS);
    enum wr_result result;
    int rows = 0;
    if (wr_reach_is_behind(store, lane, keep->counted_to))
        result = WR_EMPTY;
    else
        while ((result = wr_sql_row(store, row, err)) == WR_OK) {
            const int64_t seq = wr_row_seq(sqlite3_column_int64(row, 0));
            rows++;
            keep->counted_to = seq + 1;
            if (is_finished(store, lane, seq))
                wr_keep_finished(store, lane, seq, (uint64_t)sqlite3_column_int64(row, 5));
        }
    if (result != WR_EMPTY)
        return wr_reach_failed(store, lane, keep->counted_to, true, result);
    if (rows < WR_KEEP_COUNT_ROWS) {
        keep->counted_to = INT64_MAX;
        wr_store_show(store);
    }
    return WR_OK;
}

static int uncounted_lane(const struct wr_store *store) {
    for (int lane = 0; lane < WR_LANES; lane++)
        if (store->keep[lane].counted_to != INT64_MAX)
            return lane;
    return -1;
}

/* Quotas */

static uint64_t cost(uint64_t segments, uint64_t bytes) {
    return bytes + segments * WR_KEEP_SEGMENT_BYTES;
}

uint64_t wr_keep_bytes(const struct wr_store *store, int lane) {
    const struct wr_keep *keep = &store->keep[lane];
    if (options_of(store, lane)->quota_bytes == 0 || keep->counted_to != INT64_MAX)
        return 0;
    return cost(store->lanes[lane].unacked + keep->segments, store->lanes[lane].unacked_bytes + keep->bytes);
}

unsigned wr_keep_waiting_percent(const struct wr_store *store, unsigned lanes) {
    unsigned fullest = 0;
    for (int lane = 0; lane < WR_LANES; lane++) {
        const uint64_t quota = options_of(store, lane)->quota_bytes;
        if (quota == 0 || (lanes >> lane & 1) == 0)
            continue;
        const unsigned percent =
            (unsigned)((double)cost(store->lanes[lane].unacked, store->lanes[lane].unacked_bytes) * 100 / (double)quota);
        fullest = percent > fullest ? percent : fullest;
    }
    return fullest;
}

/* As it will be once the transaction is committed. */
static uint64_t bytes_then(const struct wr_store *store, int lane) {
    const struct wr_keep *keep = &store->keep[lane];
    const struct wr_counts unacked = wr_commit_counts(store, lane);
    return cost(unacked.segments + less(keep->segments, keep->gone), unacked.bytes + less(keep->bytes, keep->gone_bytes));
}

static bool is_over(const struct wr_store *store, int lane) {
    return wr_keep_bytes(store, lane) > options_of(store, lane)->quota_bytes;
}

/* The oldest one that nobody has, nothing in flight and nothing of this transaction. WR_EMPTY. */
static enum wr_result evict_unsent(struct wr_store *store, int lane, struct wr_error *err) {
    sqlite3_stmt *row;
    WR_TRY(wr_space_oldest_at_rest(store, lane, 0, &row, err));
    if (wr_row_seq(sqlite3_column_int64(row, 0)) >= store->next_seq) {
        sqlite3_reset(row);
        return WR_EMPTY;
    }
    return wr_space_give_up(store, lane, row, WR_BOOK_DROPPED_EVICTED, err);
}

/* Where some must go, whole leaves go: see wr_space_batch_pages. What nobody has goes for that only where some of it had to go in any case. *left: so many rows may go. */
static enum wr_result trim(struct wr_store *store, int lane, uint64_t more_bytes, uint32_t *left, struct wr_error *err) {
    const uint64_t quota = options_of(store, lane)->quota_bytes;
    if (quota == 0 || store->keep[lane].counted_to != INT64_MAX || bytes_then(store, lane) + more_bytes <= quota)
        return WR_OK;
    uint64_t batch = (uint64_t)wr_space_batch_pages(store) * store->page_bytes;
    batch = batch < quota / 32 ? batch : quota / 32;
    bool lost = false;
    enum wr_result result = WR_OK;
    while (*left > 0 && result == WR_OK && bytes_then(store, lane) + more_bytes > quota - batch) {
        const bool must = bytes_then(store, lane) + more_bytes > quota;
        result = wr_space_evict_finished(store, 1U << lane, err);
        if (result == WR_EMPTY && (must || lost)) {
            result = evict_unsent(store, lane, err);
            lost = true;
        }
        *left -= result == WR_OK;
    }
    return result == WR_EMPTY ? WR_OK : result;
}

enum wr_result wr_keep_make_room(struct wr_store *store, int lane, size_t body_bytes, struct wr_error *err) {
    uint32_t left = WR_KEEP_ROWS_ALONG;
    return store->reach.bare ? WR_OK : trim(store, lane, cost(1, body_bytes), &left, err);
}

/* Time to live */

static int64_t slack_ns(int64_t ttl_ns) {
    const int64_t slack = ttl_ns / 64;
    return slack < WR_NS_PER_S ? WR_NS_PER_S : slack < WR_KEEP_SLACK_MAX_NS ? slack : WR_KEEP_SLACK_MAX_NS;
}

/* Nothing is too old before `expires`. Several are waited for, so that they go together. */
static void look_later(struct wr_store *store, int lane, int64_t expires_ns, const struct wr_now *now) {
    struct wr_keep *keep = &store->keep[lane];
    const int64_t latest_ns = wr_clock_add_ns(now->boot_ns, WR_KEEP_LOOK_NS);
    keep->expires_ns = expires_ns < latest_ns ? expires_ns : latest_ns;
    keep->look_ns = wr_clock_add_ns(expires_ns, slack_ns(options_of(store, lane)->ttl_ns));
    if (keep->look_ns > latest_ns)
        keep->look_ns = latest_ns;
}

static enum wr_result age_of(struct wr_store *store, int lane, int64_t seq, const struct wr_now *now, int64_t *ret_age_ns,
                             struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_GET);
    sqlite3_bind_int64(row, 1, wr_row_id(lane, seq));
    WR_TRY(wr_reach_failed(store, lane, seq, false, wr_sql_row(store, row, err)));
    const uint8_t *body = sqlite3_column_blob(row, 1);
    enum wr_result result = WR_OK;
    if (!body && sqlite3_errcode(store->db) == SQLITE_NOMEM)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for segment %lld", (long long)seq);
    else
        result = wr_age_at_least(store, seq, body, (size_t)sqlite3_column_bytes(row, 1), now, ret_age_ns, err);
    sqlite3_reset(row);
    return result;
}

/* The oldest one that is finished or not in flight stands in the statement. *ret_passed: older ones are in flight. */
static enum wr_result oldest_to_go(struct wr_store *store, int lane, sqlite3_stmt **ret_row, bool *ret_passed, struct wr_error *err) {
    int64_t from = 0;
    for (*ret_passed = false;; *ret_passed = true) {
        WR_TRY(wr_space_oldest(store, lane, from, ret_row, err));
        const int64_t seq = wr_row_seq(sqlite3_column_int64(*ret_row, 0));
        if (is_finished(store, lane, seq) || !wr_outbox_in_flight(&store->lanes[lane], seq))
            return WR_OK;
        from = seq + 1;
    }
}

/* That whose head stands in the statement. */
static enum wr_result drop_expired(struct wr_store *store, int lane, sqlite3_stmt *row, struct wr_error *err) {
    const int64_t seq = wr_row_seq(sqlite3_column_int64(row, 0));
    store->txn.expired++;
    if (!is_finished(store, lane, seq))
        return wr_space_give_up(store, lane, row, WR_BOOK_DROPPED_EXPIRED, err);
    return wr_space_drop_finished(store, lane, seq, (uint64_t)sqlite3_column_int64(row, 2), err);
}

/* WR_EMPTY: the oldest is not too old, or there is none. */
static enum wr_result expire_one(struct wr_store *store, int lane, const struct wr_now *now, struct wr_error *err) {
    const int64_t ttl_ns = options_of(store, lane)->ttl_ns;
    sqlite3_stmt *row = NULL;
    bool passed = false;
    int64_t seq = 0;
    int64_t age_ns = 0;
    enum wr_result result = oldest_to_go(store, lane, &row, &passed, err);
    if (result == WR_OK) {
        seq = wr_row_seq(sqlite3_column_int64(row, 0));
        result = age_of(store, lane, seq, now, &age_ns, err);
    }
    if (result != WR_OK && result != WR_EMPTY)
        return result;
    if (result == WR_EMPTY || age_ns < ttl_ns) {
        sqlite3_reset(store->statements[WR_SQL_SEG_HEADS]);
        const int64_t left_ns = ttl_ns - age_ns;
        look_later(store, lane, wr_clock_add_ns(now->boot_ns, passed && left_ns > WR_KEEP_RETRY_NS ? WR_KEEP_RETRY_NS : left_ns), now);
        return WR_EMPTY;
    }
    return drop_expired(store, lane, row, err);
}

static enum wr_result expire_lane(struct wr_store *store, int lane, uint32_t *left, const struct wr_now *now, struct wr_error *err) {
    enum wr_result result = WR_OK;
    for (; *left > 0 && result == WR_OK; *left -= result == WR_OK)
        result = expire_one(store, lane, now, err);
    return result == WR_EMPTY ? WR_OK : result;
}

/* WR_EMPTY: the next elder, whose age cannot be less than what its header says unless that is damaged, is not too old. */
static enum wr_result expire_elder(struct wr_store *store, int lane, int64_t seq, int64_t born_ns, const struct wr_now *now,
                                   struct wr_error *err) {
    struct wr_elders *elders = &store->keep[lane].elders;
    const int64_t ttl_ns = options_of(store, lane)->ttl_ns;
    int64_t age_ns = 0;
    sqlite3_stmt *row;
    WR_TRY(age_of(store, lane, seq, now, &age_ns, err));
    if (age_ns < now->boot_ns - born_ns) {
        elders->at = seq;
        return WR_OK;
    }
    const bool goes = is_finished(store, lane, seq) || !wr_outbox_in_flight(&store->lanes[lane], seq);
    if (age_ns < ttl_ns || !goes) {
        elders->due_ns = wr_clock_add_ns(now->boot_ns, goes ? ttl_ns - age_ns + slack_ns(ttl_ns) : WR_KEEP_RETRY_NS);
        return WR_EMPTY;
    }
    WR_TRY(wr_space_oldest(store, lane, seq, &row, err));
    const int64_t evict_from = store->lanes[lane].evict_from; /* there may be history before it */
    const enum wr_result result = drop_expired(store, lane, row, err);
    store->lanes[lane].evict_from = evict_from;
    return result;
}

/* Those that stand behind younger ones, in transactions that are made for it: it may have to look at many. */
static enum wr_result expire_elders(struct wr_store *store, int lane, uint32_t *left, const struct wr_now *now, struct wr_error *err) {
    struct wr_elders *elders = &store->keep[lane].elders;
    const int64_t ttl_ns = options_of(store, lane)->ttl_ns;
    enum wr_result result = WR_OK;
    if (ttl_ns == 0 || elders->due_ns > now->boot_ns)
        return WR_OK;
    if (!now->wall_trusted) {
        elders->due_ns = wr_clock_add_ns(now->boot_ns, WR_KEEP_LOOK_NS);
        return WR_OK;
    }
    for (; *left > 0 && result == WR_OK; *left -= result == WR_OK) {
        int64_t seq = 0, born_ns = 0;
        const enum wr_result found = wr_elders_next(store, lane, now, slack_ns(ttl_ns), &seq, &born_ns, err);
        if (found == WR_EMPTY)
            elders->due_ns = WR_NEVER_NS;
        if (found != WR_OK)
            return found == WR_EMPTY || found == WR_FULL ? WR_OK : found; /* with more to look at, or after an error, it stays due */
        result = expire_elder(store, lane, seq, born_ns, now, err);
    }
    return result == WR_EMPTY ? WR_OK : result;
}

void wr_keep_merged(struct wr_store *store, const struct wr_now *now) {
    struct wr_elders *elders = &store->keep[WR_LANE_WINDOWS].elders;
    const int64_t soon_ns = wr_clock_add_ns(now->boot_ns, slack_ns(options_of(store, WR_LANE_WINDOWS)->ttl_ns));
    elders->due_ns = elders->due_ns < soon_ns ? elders->due_ns : soon_ns;
}

/* Alarms last. */
static enum wr_result expire(struct wr_store *store, uint32_t *left, const struct wr_now *now, struct wr_error *err) {
    for (int lane = WR_LANES - 1; lane >= 0; lane--)
        if (options_of(store, lane)->ttl_ns > 0 && store->keep[lane].expires_ns <= now->boot_ns)
            WR_TRY(expire_lane(store, lane, left, now, err));
    return WR_OK;
}

enum wr_result wr_keep_expire(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    uint32_t left = WR_KEEP_ROWS_ALONG;
    return store->reach.bare ? WR_OK : expire(store, &left, now, err);
}

/* Pieces of its own */

int64_t wr_keep_due(const struct wr_store *store) {
    if (!store->db || !has_limits(store))
        return WR_NEVER_NS;
    if (uncounted_lane(store) >= 0)
        return 0;
    int64_t due = WR_NEVER_NS;
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_keep *keep = &store->keep[lane];
        if (options_of(store, lane)->ttl_ns > 0 && keep->look_ns < due)
            due = keep->look_ns;
        if (lane == WR_LANE_WINDOWS && options_of(store, lane)->ttl_ns > 0 && keep->elders.due_ns < due)
            due = keep->elders.due_ns;
        if (options_of(store, lane)->quota_bytes > 0 && is_over(store, lane) && keep->stuck_ns < due)
            due = keep->stuck_ns;
    }
    return due;
}

static enum wr_result make_less(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    uint32_t left = WR_KEEP_ROWS;
    WR_TRY(expire(store, &left, now, err));
    WR_TRY(expire_elders(store, WR_LANE_WINDOWS, &left, now, err)); /* only windows are merged */
    for (int lane = WR_LANES - 1; lane >= 0; lane--)
        WR_TRY(trim(store, lane, 0, &left, err));
    return store->txn.evicted > 0 ? wr_books_finish(store, true, now, err) : WR_EMPTY;
}

/* What could not go now is not tried at once again. */
static void note_stuck(struct wr_store *store, bool nothing_went, const struct wr_now *now) {
    for (int lane = 0; lane < WR_LANES; lane++)
        if (options_of(store, lane)->quota_bytes > 0)
            store->keep[lane].stuck_ns = nothing_went && is_over(store, lane) ? wr_clock_add_ns(now->boot_ns, WR_KEEP_RETRY_NS) : 0;
}

static enum wr_result step(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    const int lane = uncounted_lane(store);
    if (lane >= 0)
        return count_some(store, lane, err);
    enum wr_result result = wr_commit_begin(store, err);
    if (result != WR_OK)
        return result;
    result = make_less(store, now, err);
    if (result == WR_EMPTY) {
        (void)!wr_commit_end(store, WR_EMPTY, NULL); /* a look that changes nothing */
        note_stuck(store, true, now);
        return WR_OK;
    }
    WR_TRY(wr_commit_end(store, result, err));
    note_stuck(store, false, now);
    wr_commit_done(store, now);
    return WR_OK;
}

enum wr_result wr_keep_step(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_reach_tries tries;
    enum wr_result result;
    wr_reach_begin(store, &tries, now);
    do
        result = step(store, now, err);
    while (wr_reach_again(store, &tries, result) && !store->reach.bare);
    wr_reach_end(store, &tries, result, now);
    return result;
}
