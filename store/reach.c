#include "store/reach.h"

#include <string.h>

#include "store/store_private.h"

static uint64_t count(const struct wr_store *store) {
    uint64_t places = 0;
    for (int lane = 0; lane < WR_LANES; lane++)
        places += store->reach.lost[lane].n;
    return places;
}

static void show(struct wr_store *store) {
    atomic_store_explicit(&store->stats.unreadable_places, count(store), memory_order_relaxed);
}

/* Tries everything again. */
static void forget(struct wr_store *store) {
    memset(store->reach.lost, 0, sizeof store->reach.lost);
    for (int lane = 0; lane < WR_LANES; lane++)
        store->lanes[lane].evict_from = 0;
    show(store);
}

void wr_reach_start(struct wr_store *store) {
    store->reach = (struct wr_reach){.read = store->reach.read, .read_commits = store->reach.read_commits};
    forget(store);
}

bool wr_reach_has_lost(const struct wr_store *store) {
    return count(store) > 0;
}

int64_t wr_reach_skip(const struct wr_store *store, int lane, int64_t seq) {
    const struct wr_range *range = wr_ranges_find(&store->reach.lost[lane], seq);
    return range ? range->last + 1 : seq;
}

int64_t wr_reach_until(const struct wr_store *store, int lane, int64_t seq) {
    const struct wr_ranges *lost = &store->reach.lost[lane];
    for (uint32_t i = 0; i < lost->n; i++)
        if (lost->at[i].last >= seq)
            return lost->at[i].first - 1;
    return INT64_MAX;
}

bool wr_reach_is_behind(const struct wr_store *store, int lane, int64_t seq) {
    return seq > store->lanes[lane].newest && seq > store->txn.newest[lane];
}

enum wr_result wr_reach_failed(struct wr_store *store, int lane, int64_t seq, bool search, enum wr_result result) {
    if (result == WR_IO) {
        store->reach.failed = true;
        store->reach.at = (struct wr_reach_place){lane, seq, search};
    }
    return result;
}

static bool can_search(struct wr_store *store, int lane, int64_t seq) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
    sqlite3_bind_int64(row, 1, wr_row_id(lane, seq));
    sqlite3_bind_int64(row, 2, wr_row_id(lane, INT64_MAX));
    const enum wr_result result = wr_sql_row(store, row, NULL);
    sqlite3_reset(row);
    return result == WR_OK || result == WR_EMPTY;
}

/* Where a search fails: the last seq from which it does, up to where it succeeds again (R2). In growing steps first: there may be another bad place far behind it. */
static int64_t end_of(struct wr_store *store, int lane, int64_t first) {
    int64_t last = first;
    int64_t good = store->lanes[lane].newest + 1;
    for (int64_t step = 1; good - last > step; step *= 2) {
        if (can_search(store, lane, last + step))
            good = last + step;
        else
            last += step;
    }
    while (good - last > 1) {
        const int64_t middle = last + (good - last) / 2;
        if (can_search(store, lane, middle))
            good = middle;
        else
            last = middle;
    }
    return last;
}

/* Neighbours make one place: a bad stretch of the disk may lie under many rows. False: there are too many places already. */
static bool pass_over(struct wr_store *store, const struct wr_reach_place *place) {
    if (wr_reach_is_behind(store, place->lane, place->seq))
        return true;
    const int64_t last = place->search ? end_of(store, place->lane, place->seq) : place->seq;
    struct wr_acks_lane between = {store, (enum wr_lane)place->lane};
    return wr_ranges_add(&store->reach.lost[place->lane], place->seq, last, wr_acks_row_between, &between) == WR_OK;
}

static uint64_t commits_of(const struct wr_store *store) {
    return atomic_load_explicit(&store->stats.commits, memory_order_relaxed);
}

void wr_reach_begin(struct wr_store *store, struct wr_reach_tries *tries, const struct wr_now *now) {
    struct wr_reach *reach = &store->reach;
    *tries = (struct wr_reach_tries){
        .commits = commits_of(store), .epoch = store->epoch, .forgot = reach->again_ns != 0 && now->boot_ns >= reach->again_ns};
    memcpy(tries->before, reach->lost, sizeof tries->before);
    if (tries->forgot) {
        reach->again_ns = 0;
        forget(store);
    }
    reach->failed = false;
    reach->bare = wr_reach_rests(store, now);
}

bool wr_reach_again(struct wr_store *store, struct wr_reach_tries *tries, enum wr_result result) {
    struct wr_reach *reach = &store->reach;
    const bool at_row = result == WR_IO && reach->failed && store->db;
    const bool was_bare = reach->bare;
    reach->failed = false;
    if (!at_row || ++tries->n > 2 * WR_REACH_TRIES)
        return false;
    reach->bare |= tries->n >= WR_REACH_TRIES;
    if (pass_over(store, &reach->at))
        return true;
    reach->bare = true;
    return !was_bare;
}

static void remember(struct wr_store *store, const struct wr_now *now) {
    if (store->reach.again_ns == 0)
        store->reach.again_ns = wr_clock_add_ns(now->boot_ns, WR_REACH_AGAIN_NS);
    show(store);
}

/* What was passed over before is again; of another store nothing is known. */
static void restore(struct wr_store *store, const struct wr_reach_tries *tries, const struct wr_now *now) {
    if (tries->epoch != store->epoch)
        return;
    memcpy(store->reach.lost, tries->before, sizeof tries->before);
    for (int lane = 0; lane < WR_LANES; lane++)
        if (tries->before[lane].n > 0)
            remember(store, now);
    show(store);
}

/* An attempt that proved nothing. One that had nothing to do leaves what it forgot to be tried by the next. */
static void take_back(struct wr_store *store, const struct wr_reach_tries *tries, enum wr_result result, const struct wr_now *now) {
    if (tries->n == 0 && result == WR_OK && commits_of(store) > tries->commits)
        return;
    restore(store, tries, now);
    if (tries->n == 0 && result == WR_OK && store->reach.again_ns != 0)
        store->reach.again_ns = now->boot_ns > 0 ? now->boot_ns : 1;
}

void wr_reach_end(struct wr_store *store, const struct wr_reach_tries *tries, enum wr_result result, const struct wr_now *now) {
    struct wr_reach *reach = &store->reach;
    const bool tired = reach->bare && !wr_reach_rests(store, now);
    const bool committed = result == WR_OK && commits_of(store) > tries->commits;
    reach->bare = false;
    if (tries->forgot && committed)
        atomic_fetch_add_explicit(&store->stats.unreadable_again, 1, memory_order_relaxed);
    if (tries->n > 0 && committed)
        remember(store, now);
    else if (tries->n > 0 || tries->forgot)
        take_back(store, tries, result, now);
    if (tired && tries->n > 0)
        wr_reach_rest(store, now);
}

bool wr_reach_read_failed(struct wr_store *store, int lane, int64_t seq, bool search, enum wr_result result, const struct wr_now *now) {
    struct wr_reach *reach = &store->reach;
    const struct wr_reach_place place = {lane, seq, search};
    const uint64_t commits = commits_of(store);
    if (result != WR_IO || !store->db)
        return false;
    const bool same = reach->read.lane == lane && reach->read.seq == seq && reach->read.search == search && reach->read_commits > 0;
    if (!same || reach->read_commits == commits + 1) {
        reach->read = place;
        reach->read_commits = commits + 1; /* 0: nothing failed yet */
        return false;
    }
    reach->read_commits = 0;
    if (!pass_over(store, &place))
        return false;
    remember(store, now);
    return true;
}

int64_t wr_reach_next_hole(struct wr_store *store, int lane, int64_t seq, int64_t now_ns) {
    struct wr_reach *reach = &store->reach;
    const struct wr_ranges *holes = &reach->holes[lane];
    if (now_ns >= reach->holes_until_ns)
        memset(reach->holes, 0, sizeof reach->holes);
    for (uint32_t i = 0; i < holes->n; i++)
        if (holes->at[i].last >= seq)
            return holes->at[i].first > seq ? holes->at[i].first : seq;
    return INT64_MAX;
}

/* Where there are too many it is looked for again the next time. */
int64_t wr_reach_hole_end(struct wr_store *store, int lane, int64_t seq, int64_t now_ns) {
    struct wr_reach *reach = &store->reach;
    struct wr_acks_lane between = {store, (enum wr_lane)lane};
    const struct wr_range *known = wr_ranges_find(&reach->holes[lane], seq);
    if (known)
        return known->last;
    const int64_t last = end_of(store, lane, seq);
    if (now_ns >= reach->holes_until_ns)
        reach->holes_until_ns = wr_clock_add_ns(now_ns, WR_REACH_HOLE_NS);
    (void)!wr_ranges_add(&reach->holes[lane], seq, last, wr_acks_row_between, &between);
    return last;
}

void wr_reach_rest(struct wr_store *store, const struct wr_now *now) {
    store->reach.rest_ns = wr_clock_add_ns(now->boot_ns, WR_REACH_REST_NS);
}

bool wr_reach_rests(const struct wr_store *store, const struct wr_now *now) {
    return now->boot_ns < store->reach.rest_ns;
}
