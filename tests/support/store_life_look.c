/* What must be on disk, and what the books must say of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/history.h"
#include "tests/support/store_life_private.h"

static uint64_t hash_of(const struct wr_segment *segment) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ segment->lane;
    for (size_t i = 0; i < segment->body_len; i++)
        hash = (hash ^ segment->body[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t store_life_readings(const struct store_life_known *known) {
    return known->readings;
}

int store_life_account(const struct store_life_known *known) {
    return known->lane == WR_LANE_CHANGES ? 0 : 1;
}

/* Segments */

/* *ret_merged: it stands for segments that are gone, since whatever is given has as many readings in each aggregate. False: no memory. */
static bool read_body(const struct wr_segment *segment, uint64_t *ret_readings, bool *ret_merged) {
    struct wr_decoder *decoder = NULL;
    struct wr_codec_header header;
    struct wr_aggregate aggregate;
    *ret_readings = 0;
    *ret_merged = false;
    if (segment->kind != WR_SEGMENT_AGGREGATES)
        return true;
    enum wr_result result = wr_decoder_new(&decoder);
    if (result == WR_OK)
        result = wr_decode_begin(decoder, segment->body, segment->body_len, &header, NULL);
    while (result == WR_OK && (result = wr_decode_aggregate(decoder, &aggregate, NULL)) == WR_OK) {
        *ret_readings += wr_aggregate_readings(&aggregate);
        *ret_merged |= wr_aggregate_readings(&aggregate) != STORE_LIFE_PER_AGGREGATE;
    }
    wr_decoder_free(decoder);
    assert_true(result == WR_EMPTY || result == WR_NO_MEMORY);
    return result == WR_EMPTY;
}

static void see_new(struct store_life *life, struct store_life_known *known, const struct wr_segment *segment) {
    uint64_t readings;
    bool merged;
    if (!read_body(segment, &readings, &merged)) /* an allocation fails once */
        assert_true(read_body(segment, &readings, &merged));
    *known = (struct store_life_known){HELD, segment->lane, segment->n, hash_of(segment), readings, store_life_true_ns(life)};
    life->numbers.segments++;
    life->numbers.merged += merged;
    if (merged)
        life->evicted[store_life_account(known)] -= known->readings;
}

bool store_life_meet(struct store_life *life, const struct wr_segment *segment) {
    if (segment->seq <= 0 || segment->seq >= STORE_LIFE_SEGMENTS)
        BREAK("seq %lld is out of range", (long long)segment->seq);
    if (segment->epoch != life->epoch)
        BREAK("segment %lld is of another epoch", (long long)segment->seq);
    struct store_life_known *known = &life->known[segment->seq];
    if (known->fate == UNKNOWN) {
        if (segment->seq <= life->highest)
            BREAK("segment %lld appears, although %lld was seen before it", (long long)segment->seq, (long long)life->highest);
        see_new(life, known, segment);
    } else if (known->hash != hash_of(segment) || known->lane != segment->lane) {
        BREAK("segment %lld has another content than before", (long long)segment->seq);
    }
    return true;
}

static int64_t newest(const struct store_life *life) {
    int64_t seq = 0;
    for (int lane = 0; lane < WR_LANES; lane++)
        if (wr_store_newest(life->fixture.store, (enum wr_lane)lane) > seq)
            seq = wr_store_newest(life->fixture.store, (enum wr_lane)lane);
    return seq;
}

enum answer { THERE, NOT_THERE, UNREAD }; /* acknowledged or not; a call failed */

static bool look_at(struct store_life *life, int64_t seq, enum answer *ret_answer) {
    struct wr_segment segment;
    enum wr_result result = wr_store_get(life->fixture.store, seq, &segment, &life->fixture.err);
    *ret_answer = result == WR_OK ? THERE : result == WR_NOT_FOUND ? NOT_THERE : UNREAD;
    if (*ret_answer == NOT_THERE)
        return true;
    if (*ret_answer == UNREAD)
        return store_life_fine(life, result, "reading a segment");
    bool good = store_life_is_dark(life) || store_life_meet(life, &segment);
    wr_segment_free(&segment);
    return good;
}

bool store_life_learn(struct store_life *life) {
    const int64_t last = newest(life);
    while (life->highest < last) {
        enum answer answer;
        life->fixture.err.text[0] = 0;
        TRY(look_at(life, life->highest + 1, &answer));
        if (answer == UNREAD || store_life_is_dark(life))
            return true; /* later */
        life->highest++;
    }
    return true;
}

#define SEEN_LATE_NS (3600 * WR_NS_PER_S) /* at most so much after it was cut */

static bool was_old(const struct store_life *life, const struct store_life_known *known) {
    const int64_t ttl_ns = life->fixture.options.lanes[known->lane].ttl_ns;
    return ttl_ns > 0 && store_life_true_ns(life) - known->seen_ns + SEEN_LATE_NS >= ttl_ns;
}

/* All that was seen: it is there, or was evicted, or has expired. */
static bool look_at_known(struct store_life *life) {
    for (int64_t seq = 1; seq <= life->highest; seq++) {
        struct store_life_known *known = &life->known[seq];
        enum answer answer;
        if (known->fate == UNKNOWN || known->fate == GONE)
            continue;
        TRY(look_at(life, seq, &answer));
        if (answer == THERE)
            continue;
        if (known->lane == WR_LANE_ALARMS && known->fate != SAID)
            BREAK("segment %lld of alarms is lost", (long long)seq);
        if (known->fate != SAID) /* whether that was booked is seen below */
            life->evicted[store_life_account(known)] += store_life_readings(known);
        else
            life->unsure[store_life_account(known)] += store_life_readings(known);
        if (was_old(life, known))
            life->old[store_life_account(known)] += store_life_readings(known);
        known->fate = GONE;
    }
    return true;
}

/* As an uplink that asks for one after the other. */
static bool walk_as_uplink(struct store_life *life, enum wr_lane lane, bool *offered) {
    struct store_fixture *fixture = &life->fixture;
    struct wr_segment segment;
    enum wr_result result;
    for (int64_t after = 0;
         (result = wr_store_next(fixture->store, lane, after, INT64_MAX, &fixture->now, &segment, &fixture->err)) == WR_OK;) {
        after = segment.seq;
        bool good = store_life_meet(life, &segment);
        wr_segment_free(&segment);
        TRY(good);
        offered[after] = true;
    }
    if (result != WR_EMPTY)
        BREAK("next: %s: %s", wr_result_name(result), fixture->err.text);
    return true;
}

/* As a query, after which the store may merge what was looked at. */
static bool walk_as_query(struct store_life *life, enum wr_lane lane, bool *offered) {
    struct wr_history_walk history = {.lane = lane, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    while (!history.is_over) {
        struct wr_segment_head heads[WR_HISTORY_HEADS];
        uint32_t n = 0;
        enum wr_result result = wr_store_heads(life->fixture.store, &history, heads, &n, &life->fixture.err);
        if (result != WR_OK)
            BREAK("heads: %s: %s", wr_result_name(result), life->fixture.err.text);
        for (uint32_t i = 0; i < n; i++) {
            if (heads[i].delivered)
                continue;
            enum answer answer;
            TRY(look_at(life, heads[i].seq, &answer));
            offered[heads[i].seq] = answer == THERE;
            if (answer != THERE)
                BREAK("segment %lld has a head and no body", (long long)heads[i].seq);
        }
    }
    return true;
}

/* What the store would send: all that is there and was not acknowledged. */
static bool walk(struct store_life *life, uint64_t held[2]) {
    static bool offered[STORE_LIFE_SEGMENTS];
    memset(offered, 0, sizeof offered);
    const bool as_query = life->fixture.tells_lengths; /* else nothing would be left that was not handed to the uplink */
    for (int lane = 0; lane < WR_LANES; lane++)
        TRY(as_query ? walk_as_query(life, (enum wr_lane)lane, offered) : walk_as_uplink(life, (enum wr_lane)lane, offered));
    if (newest(life) > life->highest)
        life->highest = newest(life);
    for (int64_t seq = 1; seq <= life->highest; seq++) {
        struct store_life_known *known = &life->known[seq];
        if (known->fate == SAID && offered[seq]) { /* the acknowledgement was not on disk */
            life->said[store_life_account(known)] -= store_life_readings(known);
            life->numbers.resent++;
            known->fate = HELD;
        }
        known->fate = known->fate == PARKED ? HELD : known->fate;
        if (known->fate == HELD && !offered[seq])
            BREAK("segment %lld was never acknowledged, and is not offered again", (long long)seq);
        if (known->fate == HELD)
            held[store_life_account(known)] += store_life_readings(known);
    }
    return true;
}

/* Books */

static bool look_at_run(struct store_life *life, int account, uint64_t stored) {
    const uint64_t before = life->stored_at_start[account];
    const int64_t max_loss_ns = life->stopped ? INT64_MIN : life->hurt ? INT64_MAX : life->fixture.options.max_loss_ns;
    if (stored < life->promised[account])
        BREAK("%s: %llu readings were called stored, %llu are", store_accounts[account].window, (unsigned long long)life->promised[account],
              (unsigned long long)stored);
    if (stored - before < life->flushed[account])
        BREAK("%s: %llu readings were flushed, %llu are stored", store_accounts[account].window, (unsigned long long)life->flushed[account],
              (unsigned long long)(stored - before));
    uint64_t sum = 0;
    for (uint32_t i = 0; i < life->n_given; i++) {
        int64_t age_ns = life->cut_boot_ns - life->given[i].boot_ns;
        sum = life->given[i].sum[account];
        if (stored - before >= sum)
            continue;
        if (age_ns > max_loss_ns)
            BREAK("%s: readings are lost that were taken %.3f s before the end, max_loss is %.3f s", store_accounts[account].window,
                  (double)age_ns / 1e9, (double)max_loss_ns / 1e9);
        if (age_ns > life->numbers.oldest_lost_ns)
            life->numbers.oldest_lost_ns = age_ns;
    }
    if (stored - before > sum)
        BREAK("%s: %llu readings stored, %llu given", store_accounts[account].window, (unsigned long long)(stored - before),
              (unsigned long long)sum);
    life->numbers.lost += sum - (stored - before);
    return true;
}

static bool look_at_account(struct store_life *life, int account, const struct wr_account_balance *balance, uint64_t held) {
    const char *name = store_accounts[account].window;
    const uint64_t *books = balance->books;
    if (wr_balance_held(balance) != held)
        BREAK("%s: the books hold %llu readings, the rows %llu", name, (unsigned long long)wr_balance_held(balance),
              (unsigned long long)held);
    const uint64_t gone = books[WR_BOOK_DROPPED_EVICTED] + books[WR_BOOK_DROPPED_EXPIRED];
    const uint64_t more = gone - life->evicted[account];
    if (more <= life->unsure[account]) { /* their acknowledgements were not on disk when a start evicted them */
        life->evicted[account] += more;
        life->said[account] -= more;
    }
    life->unsure[account] = 0;
    if (books[WR_BOOK_DELIVERED] > life->said[account])
        BREAK("%s: %llu readings are booked as delivered, %llu were acknowledged", name, (unsigned long long)books[WR_BOOK_DELIVERED],
              (unsigned long long)life->said[account]);
    if (gone != life->evicted[account])
        BREAK("%s: %llu readings are booked as evicted or expired, %llu are gone", name, (unsigned long long)gone,
              (unsigned long long)life->evicted[account]);
    if (books[WR_BOOK_DROPPED_EXPIRED] > life->old[account])
        BREAK("%s: %llu readings are booked as expired, %llu were so old", name, (unsigned long long)books[WR_BOOK_DROPPED_EXPIRED],
              (unsigned long long)life->old[account]);
    if (books[WR_BOOK_DROPPED_CORRUPT] + books[WR_BOOK_DROPPED_STORE] > 0)
        BREAK("%s: a power cut made damage", name);
    if (books[WR_BOOK_TAKEN] > life->handed[account])
        BREAK("%s: more taken than was given", name);
    life->numbers.expired += books[WR_BOOK_DROPPED_EXPIRED] - life->expired[account];
    life->expired[account] = books[WR_BOOK_DROPPED_EXPIRED];
    TRY(look_at_run(life, account, books[WR_BOOK_STORED]));
    life->stored_at_start[account] = life->promised[account] = books[WR_BOOK_STORED];
    return true;
}

static bool look_at_books(struct store_life *life, const uint64_t held[2]) {
    struct wr_account_balance *balances;
    uint32_t n;
    bool good = true;
    assert_int_equal(wr_store_balances(life->fixture.store, &balances, &n), WR_OK);
    for (uint32_t i = 0; i < n && good; i++) {
        uint64_t left;
        uint64_t right;
        const struct wr_account *name = &balances[i].account;
        if (!wr_balance_check(&balances[i], &left, &right))
            good = store_life_break(life, "%s/%s: %llu is not %llu", name->source, name->window, (unsigned long long)left,
                                    (unsigned long long)right);
        for (int account = 0; account < 2 && good; account++)
            if (strcmp(name->window, store_accounts[account].window) == 0)
                good = look_at_account(life, account, &balances[i], held[account]);
    }
    free(balances);
    return good;
}

/* Alarms */

static void see_snap(void *user, uint64_t key, const uint8_t *body, size_t len) {
    uint64_t *versions = user;
    if (key < STORE_LIFE_SNAPS && len == sizeof *versions)
        memcpy(&versions[key], body, len);
}

static bool look_at_alarms(struct store_life *life) {
    uint64_t entries = 0;
    uint64_t versions[STORE_LIFE_SNAPS] = {0};
    for (int64_t seq = 1; seq <= life->highest; seq++)
        if (life->known[seq].fate != UNKNOWN && life->known[seq].lane == WR_LANE_ALARMS)
            entries += life->known[seq].n;
    if (entries < life->journalled)
        BREAK("%llu alarm entries were called journalled, %llu are on disk", (unsigned long long)life->journalled,
              (unsigned long long)entries);
    TRY(store_life_fine(life, wr_store_snaps(life->fixture.store, WR_SNAP_ALARM, see_snap, versions, &life->fixture.err), "snaps"));
    for (int key = 0; key < STORE_LIFE_SNAPS; key++) {
        if (versions[key] < life->version[key])
            BREAK("snapshot %d is version %llu, %llu was called journalled", key, (unsigned long long)versions[key],
                  (unsigned long long)life->version[key]);
        life->version[key] = versions[key];
    }
    life->journalled = entries;
    return true;
}

/* Budgets */

#define COUNT_NS (60 * WR_NS_PER_S)
#define URGENT_NS (1 * WR_NS_PER_S)

static bool look_at_counts(struct store_life *life) {
    const uint64_t kept = wr_store_count(life->fixture.store, 0).spent;
    uint64_t least = life->spent_kept;
    for (uint32_t i = 0; i < life->n_counts; i++) {
        const int64_t age_ns = life->cut_boot_ns - life->counts[i].boot_ns;
        if (life->stopped || (!life->hurt && age_ns > (life->counts[i].urgent ? URGENT_NS : COUNT_NS)))
            least = life->counts[i].spent;
    }
    if (kept < least || kept > life->spent)
        BREAK("a count of %llu bytes was put long ago, and of %llu last: %llu is kept", (unsigned long long)least,
              (unsigned long long)life->spent, (unsigned long long)kept);
    life->spent = life->spent_kept = kept;
    return true;
}

static bool look_at_report(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    if (fixture->report.quarantined)
        BREAK("a power cut led to a quarantine");
    if (fixture->report.doubted_accounts > 0)
        BREAK("the books of %u accounts are not what was written", fixture->report.doubted_accounts);
    if (fixture->report.fresh && life->epoch != wr_store_epoch(fixture->store))
        BREAK("the store is another one than before");
    if (life->stopped && fixture->report.unclean)
        BREAK("a clean stop is not known as one");
    for (int i = 0; wr_store_due(fixture->store) == 0; i++) { /* the check after an unclean stop */
        if (i > 10000)
            BREAK("the check never ends");
        TRY(store_life_fine(life, wr_store_tick(fixture->store, &fixture->now, &fixture->err), "check"));
    }
    if (wr_store_stats(fixture->store)->bad_segments > 0)
        BREAK("a power cut made a bad segment");
    if (wr_store_live_from(fixture->store) <= life->highest)
        BREAK("the next seq is %lld, but %lld is used", (long long)wr_store_live_from(fixture->store), (long long)life->highest);
    return true;
}

/* What was cut so late that the end came before it was seen: it was there then, and may be too old by now. */
static bool look_at_last(struct store_life *life) {
    const int64_t first = life->highest + 1;
    TRY(store_life_learn(life));
    for (int64_t seq = first; seq <= life->highest; seq++)
        life->known[seq].seen_ns = life->cut_true_ns;
    return true;
}

bool store_life_look(struct store_life *life) {
    uint64_t held[2] = {0};
    TRY(look_at_last(life));
    TRY(look_at_report(life));
    TRY(look_at_known(life));
    TRY(walk(life, held));
    TRY(look_at_books(life, held));
    TRY(look_at_counts(life));
    return look_at_alarms(life);
}
