/* Transactions: what is put into one, and what becomes true in memory once it is committed. */
#include <string.h>

#include "store/store_private.h"

/* By the statement that stands ready: where there is no memory, a new one cannot be made, and the transaction would stay open for good. */
static void roll_back(struct wr_store *store) {
    for (unsigned i = 0; i < WR_SQL_STATEMENTS; i++)
        sqlite3_reset(store->statements[i]);
    if (!sqlite3_get_autocommit(store->db))
        (void)!wr_sql_run(store, wr_sql_use(store, WR_SQL_ROLLBACK), NULL);
}

enum wr_result wr_commit_begin(struct wr_store *store, struct wr_error *err) {
    if (!sqlite3_get_autocommit(store->db))
        roll_back(store); /* what the last one could not */
    store->txn = (struct wr_transaction){.next_seq = store->next_seq};
    memcpy(store->spans_before, store->gaps.spans, sizeof store->spans_before);
    for (int lane = 0; lane < WR_LANES; lane++) {
        store->txn.newest[lane] = store->lanes[lane].newest;
        store->txn.offered[lane] = store->lanes[lane].offered;
    }
    return wr_sql_run(store, wr_sql_use(store, WR_SQL_BEGIN), err);
}

static void add(_Atomic uint64_t *number, uint64_t more) {
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

struct wr_counts wr_commit_counts(const struct wr_store *store, int lane) {
    const struct wr_transaction *txn = &store->txn;
    const struct wr_lane_state *state = &store->lanes[lane];
    return (struct wr_counts){.segments = state->unacked + txn->added[lane] - txn->removed[lane],
                              .bytes = state->unacked_bytes + txn->added_bytes[lane] - txn->removed_bytes[lane]};
}

struct wr_counts wr_commit_history(const struct wr_store *store) {
    const struct wr_transaction *txn = &store->txn;
    return (struct wr_counts){.segments = store->history.segments + txn->history_added.segments - txn->history_removed.segments,
                              .bytes = store->history.bytes + txn->history_added.bytes - txn->history_removed.bytes};
}

static void came_true(struct wr_store *store) {
    const struct wr_transaction *txn = &store->txn;
    store->history = wr_commit_history(store);
    wr_keep_ended(store, true);
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_lane_state *state = &store->lanes[lane];
        const struct wr_counts counts = wr_commit_counts(store, lane);
        state->newest = txn->newest[lane];
        state->offered = txn->offered[lane];
        state->unacked = counts.segments;
        state->unacked_bytes = counts.bytes;
    }
    store->next_seq = txn->next_seq;
    store->reopen.blank = false;
    wr_books_committed(store);
    store->boot_trusted |= txn->boot_trusted;
    if (txn->counts)
        wr_counts_committed(store);
    for (uint32_t i = 0; i < txn->n_gone; i++)
        wr_outbox_unpark(store, txn->gone[i]);
    add(&store->stats.segments, txn->segments);
    add(&store->stats.body_bytes, txn->body_bytes);
    add(&store->stats.evicted_segments, txn->evicted - txn->expired);
    add(&store->stats.evicted_unacked_segments, txn->evicted_unacked);
    add(&store->stats.evicted_readings, txn->evicted_readings);
    add(&store->stats.merged_segments, txn->merged);
    add(&store->stats.merged_readings, txn->merged_readings);
    add(&store->stats.expired_segments, txn->expired);
    add(&store->stats.expired_readings, txn->expired_readings);
    add(&store->stats.commits, 1);
}

enum wr_result wr_commit_end(struct wr_store *store, enum wr_result result, struct wr_error *err) {
    if (result == WR_OK)
        result = wr_sql_run(store, wr_sql_use(store, WR_SQL_COMMIT), err);
    if (result == WR_OK) {
        came_true(store);
        return WR_OK;
    }
    roll_back(store);
    wr_ledger_rolled_back(store);
    wr_keep_ended(store, false);
    memcpy(store->gaps.spans, store->spans_before, sizeof store->spans_before); /* nothing was lost or recovered then */
    for (int lane = 0; lane < WR_LANES; lane++)
        store->lanes[lane].evict_from = 0;
    return result;
}

static bool journal_waits(const struct wr_store *store) {
    return store->journal_records > 0 || store->snaps.len > 0;
}

static bool lane_goes(const struct wr_store *store, unsigned what, int lane) {
    return (what & WR_COMMIT_LANE(lane)) != 0 && store->lanes[lane].open.n > 0;
}

static bool any_lane_goes(const struct wr_store *store, unsigned what) {
    bool goes = false;
    for (int lane = 0; lane < WR_LANES; lane++)
        goes |= lane_goes(store, what, lane);
    return goes;
}

static enum wr_result fill(struct wr_store *store, unsigned what, bool journal, const struct wr_now *now, struct wr_error *err) {
    if (store->txn.next_seq == 1)
        WR_TRY(wr_totals_put(store, now, err)); /* what the books had before this epoch */
    if (any_lane_goes(store, what))             /* not for alarms alone: they do not wait for it */
        WR_TRY(wr_keep_expire(store, now, err));
    for (int lane = 0; lane < WR_LANES; lane++)
        if (lane_goes(store, what, lane))
            WR_TRY(wr_outbox_put_open(store, (enum wr_lane)lane, now, err));
    if (journal)
        WR_TRY(wr_journal_put(store, now, err));
    if ((what & WR_COMMIT_GAPS) != 0 && wr_gaps_due(store) != WR_NEVER_NS) {
        WR_TRY(wr_gaps_put(store, now, err));
        store->txn.gaps = true;
    }
    WR_TRY(wr_totals_put(store, now, err));
    WR_TRY(wr_boots_trust(store, now, err));
    WR_TRY(wr_books_finish(store, store->txn.gaps || ((what & WR_COMMIT_BOOKS) != 0 && store->txn.segments == 0), now, err));
    return wr_counts_save(store, (what & WR_COMMIT_COUNTS) != 0, now, err);
}

static void done(struct wr_store *store, unsigned what, bool journal, const struct wr_now *now) {
    for (int lane = 0; lane < WR_LANES; lane++)
        if (lane_goes(store, what, lane)) {
            add(&store->stats.aggregates, store->lanes[lane].open.n);
            store->lanes[lane].open.n = 0;
            store->lanes[lane].open.weight_bytes = 0;
        }
    if (journal)
        wr_journal_committed(store, now->boot_ns);
    if (store->txn.gaps)
        wr_gaps_committed(store, now);
    if (store->txn.totals)
        wr_totals_committed(store, now);
    wr_gaps_look(store, now);
    store->retry_ns = 0;
    if (store->txn.history_removed.segments > 0)
        wr_acks_prune(store);
    wr_thrift_look(store, now);
    wr_page_one_look(store);
}

void wr_commit_done(struct wr_store *store, const struct wr_now *now) {
    done(store, 0, false, now);
    wr_store_show(store);
}

/* One transaction, with as many attempts as old rows that cannot be read make necessary. */
static enum wr_result commit(struct wr_store *store, unsigned what, const struct wr_now *now, struct wr_error *err) {
    const bool journal = (what & WR_COMMIT_JOURNAL) != 0 && journal_waits(store);
    struct wr_reach_tries tries;
    enum wr_result result;
    wr_reach_begin(store, &tries, now);
    do {
        result = wr_commit_begin(store, err);
        if (result == WR_OK)
            result = wr_commit_end(store, fill(store, what, journal, now, err), err);
    } while (wr_reach_again(store, &tries, result));
    wr_reach_end(store, &tries, result, now);
    if (result != WR_OK)
        return result;
    done(store, what, journal, now);
    wr_store_show(store);
    return WR_OK;
}

static unsigned what_waits(const struct wr_store *store) {
    unsigned waits = journal_waits(store) ? WR_COMMIT_JOURNAL : 0;
    for (int lane = 0; lane < WR_LANES; lane++)
        waits |= store->lanes[lane].open.n > 0 ? WR_COMMIT_LANE(lane) : 0;
    return waits;
}

/* A commit without what was refused does not make the store well: alarms may go while the page that windows need is bad. */
static void note(struct wr_store *store, unsigned what, enum wr_result result, const struct wr_now *now) {
    if (result == WR_IO)
        store->failed |= what & what_waits(store);
    else if (result == WR_OK)
        store->failed &= what_waits(store) & ~what;
    wr_reopen_note(store, result == WR_OK && store->failed != 0 ? WR_EMPTY : result, true, now);
}

enum wr_result wr_commit(struct wr_store *store, unsigned what, const struct wr_now *now, struct wr_error *err) {
    enum wr_result result = WR_OK;
    wr_walls_look(store, now);
    if (any_lane_goes(store, what)) /* not for alarms alone: they do not wait for it */
        wr_merging_make_room(store, now);
    for (int attempt = 0; attempt < 2; attempt++) {
        result = store->db ? commit(store, what, now, err) : WR_CORRUPT;
        note(store, what, result, now);
        if (result == WR_OK)
            return WR_OK;
        if (result != WR_CORRUPT)
            break;
        enum wr_result fresh = wr_store_quarantine(store, now, err);
        if (fresh != WR_OK) {
            result = fresh;
            note(store, what, result, now);
            break;
        }
    }
    add(&store->stats.commit_failures, 1);
    store->retry_ns = wr_clock_add_ns(now->boot_ns, WR_STORE_RETRY_NS);
    return result;
}

/* When each lane, the journal, the books and the acks want to be committed; the earliest counts. */
static int64_t lane_due(const struct wr_store *store, int lane) {
    const struct wr_open_segment *open = &store->lanes[lane].open;
    return open->n == 0 ? WR_NEVER_NS : wr_clock_add_ns(open->since_boot_ns, store->options.max_loss_ns);
}

static int64_t books_due(const struct wr_store *store) {
    if (store->books_since_boot_ns == WR_NEVER_NS)
        return WR_NEVER_NS;
    return store->books_since_boot_ns == INT64_MIN ? 0 : wr_clock_add_ns(store->books_since_boot_ns, store->options.max_loss_ns);
}

static int64_t acks_due(const struct wr_store *store) {
    if (store->acks_waiting == 0)
        return WR_NEVER_NS;
    return store->acks_waiting >= WR_STORE_ACKS_BATCH && !wr_thrift_spares(store)
               ? 0
               : wr_clock_add_ns(store->acks_since_boot_ns, WR_STORE_ACKS_AGE_NS);
}

/* Where writing is spared they have a minute more, in which they mostly go with something else. */
static int64_t gaps_due(const struct wr_store *store) {
    const int64_t due = wr_gaps_due(store);
    return wr_thrift_spares(store) ? wr_clock_add_ns(due, WR_STORE_GAPS_FIRST_NS) : due;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* What nobody waits for. */
static int64_t chores_due(const struct wr_store *store) {
    const int64_t due = store->scan_next != INT64_MAX ? 0 : earlier(wr_keep_due(store), wr_salvage_due(store));
    return due < store->reach.rest_ns ? store->reach.rest_ns : due;
}

int64_t wr_store_due(const struct wr_store *store) {
    if (store->without)
        return WR_NEVER_NS;
    int64_t due = earlier(earlier(store->journal_due_ns, gaps_due(store)), earlier(books_due(store), acks_due(store)));
    due = earlier(earlier(due, wr_counts_due(store)), earlier(chores_due(store), wr_thrift_due(store)));
    due = earlier(due, wr_totals_due(store));
    for (int lane = 0; lane < WR_LANES; lane++)
        due = earlier(due, lane_due(store, lane));
    return due != WR_NEVER_NS && due < store->retry_ns ? store->retry_ns : due;
}

/* Lanes that are due; with one of them go those that would be due soon, which saves a commit; where writing is spared, all. */
static unsigned lanes_due(const struct wr_store *store, int64_t now_ns) {
    unsigned what = 0;
    unsigned soon = 0;
    for (int lane = 0; lane < WR_LANES; lane++) {
        int64_t due = lane_due(store, lane);
        if (due <= now_ns)
            what |= WR_COMMIT_LANE(lane);
        if (due != WR_NEVER_NS && (due - store->options.max_loss_ns / 2 <= now_ns || wr_thrift_spares(store)))
            soon |= WR_COMMIT_LANE(lane);
    }
    return what != 0 || books_due(store) <= now_ns ? what | soon : 0;
}

static enum wr_result do_chores(struct wr_store *store, bool idle, const struct wr_now *now, struct wr_error *err) {
    enum wr_result result = wr_keep_due(store) <= now->boot_ns ? wr_keep_step(store, now, err) : WR_OK;
    if (result == WR_CORRUPT)
        result = wr_store_quarantine(store, now, err);
    if (result == WR_OK && store->scan_next != INT64_MAX)
        return wr_outbox_scan(store, now, err);
    return result == WR_OK && idle ? wr_salvage_step(store, now, err) : result; /* last of all */
}

enum wr_result wr_store_tick(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    int64_t now_ns = now->boot_ns;
    wr_walls_look(store, now);
    if (now_ns < store->retry_ns || store->without)
        return WR_OK;
    unsigned what = lanes_due(store, now_ns);
    if (store->journal_due_ns <= now_ns)
        what |= WR_COMMIT_JOURNAL;
    if (books_due(store) <= now_ns || acks_due(store) <= now_ns)
        what |= WR_COMMIT_BOOKS;
    if (wr_counts_due(store) <= now_ns)
        what |= WR_COMMIT_COUNTS;
    if (wr_totals_due(store) <= now_ns)
        what |= WR_COMMIT_TOTALS;
    if (gaps_due(store) <= now_ns || (what != 0 && wr_gaps_due(store) <= now_ns))
        what |= WR_COMMIT_GAPS;
    if (what != 0)
        WR_TRY(wr_commit(store, what, now, err));
    wr_thrift_look(store, now);
    const enum wr_result result = wr_reach_rests(store, now) ? WR_OK : do_chores(store, what == 0, now, err);
    if (result == WR_IO && store->db) {
        wr_reach_rest(store, now); /* nobody waits for it, and if the disk refuses everything the next commit says so */
        return WR_OK;
    }
    if (result != WR_OK)
        store->retry_ns = wr_clock_add_ns(now_ns, WR_STORE_RETRY_NS);
    return result;
}

enum wr_result wr_store_flush(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    bool waits = journal_waits(store) || wr_ledger_waits(store) || wr_gaps_due(store) != WR_NEVER_NS || wr_counts_wait(store) ||
                 store->acks_waiting > 0;
    for (int lane = 0; lane < WR_LANES; lane++)
        waits |= store->lanes[lane].open.n > 0;
    return waits && !store->without ? wr_commit(store, WR_COMMIT_ALL, now, err) : WR_OK;
}
