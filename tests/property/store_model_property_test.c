/* The outbox against a simple model: random appends, acknowledgements, offers, evictions, clean and unclean restarts, with and without quotas, times to live and a
 * write budget. After every step the books balance, and what the store still has to send is what the model says; and what stands on the disk is, on its own, a store whose books
 * say what its rows say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/history.h"
#include "store/keep.h"
#include "store/ranges.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/random.h"
#include "tests/support/slow.h"
#include "tests/support/store_fixture.h"

#define STEPS 2500
#define SEGMENTS 8192
#define PHASES                                                                                                                             \
    4 /* of a run: with an uplink; without one; with one; without one and by a clock that cannot be trusted, so that nothing is merged */
#define SEEN_LATE_NS (4 * WR_NS_PER_S)     /* a step */
#define EXPIRES_LATE_NS (15 * WR_NS_PER_S) /* what goes together waits a little, and so does what was in flight */

static struct wr_random dice;

static uint64_t random_u64(void) {
    return wr_random_u64(&dice);
}

static uint32_t below(uint32_t n) {
    return (uint32_t)(random_u64() % n);
}

enum fate { NEVER, HELD, ACKED_UNSAVED, ACKED };

/* What the model knows of a segment, by its seq. */
struct known {
    enum fate fate;
    uint8_t lane;
    uint32_t readings;
    size_t body_len;
    int64_t seen_ns; /* boot time: it was there then */
};

struct model {
    struct store_fixture fixture;
    struct wr_decoder *decoder;
    struct wr_fault_vfs *disk;
    bool saved;     /* nothing waits for a commit */
    bool hands_out; /* what is offered was handed out before: it is in flight */
    bool offline;   /* nobody acknowledges anything: the store gets full */
    struct known segments[SEGMENTS];
    int64_t highest;
    int64_t asked;    /* of the windows' lane: up to here they may be in flight */
    uint64_t old[2];  /* of what is gone, what was older than the time to live of its lane */
    uint64_t open[2]; /* readings that wait in the store, per account */
    uint64_t delivered[2];
    uint64_t evicted;
    uint64_t merged;   /* segments that stand for others */
    uint64_t lost;     /* that a crash took */
    uint64_t given[2]; /* all readings ever handed over */
};

static void must(struct model *model, enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), model->fixture.err.text);
}

/* The readings of a segment. *ret_merged: some of its aggregates stand for others: whatever is given has two readings each. */
static uint32_t readings_of(const struct model *model, const struct wr_segment *segment, bool *ret_merged) {
    struct wr_codec_header header;
    struct wr_aggregate aggregate;
    uint64_t readings = 0;
    *ret_merged = false;
    assert_int_equal(wr_decode_begin(model->decoder, segment->body, segment->body_len, &header, NULL), WR_OK);
    while (wr_decode_aggregate(model->decoder, &aggregate, NULL) == WR_OK) {
        readings += wr_aggregate_readings(&aggregate);
        *ret_merged |= wr_aggregate_readings(&aggregate) != 2;
    }
    return (uint32_t)readings;
}

static void look_at(struct model *model, enum wr_lane lane, const struct wr_segment *segment) {
    struct known *known = &model->segments[segment->seq];
    assert_true(segment->epoch == wr_store_epoch(model->fixture.store));
    if (known->fate == NEVER) {
        bool merged;
        const uint32_t readings = readings_of(model, segment, &merged);
        assert_true(segment->seq > model->highest || known->lane == 0); /* a seq is used once */
        *known = (struct known){HELD, (uint8_t)lane, readings, segment->body_len, model->fixture.now.boot_ns};
        if (merged) { /* what it stands for is gone, and is not evicted */
            model->evicted -= readings;
            model->merged++;
        } else {
            model->open[lane - 1] -= readings;
        }
    }
    assert_int_equal(known->fate, HELD); /* nothing acknowledged is sent again */
    assert_int_equal(known->lane, lane);
    assert_int_equal(known->body_len, segment->body_len);
}

/* Looks at all that the store would send; learns new segments, and which ones were evicted. As a query does, so that they may still be merged. */
static void look(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    static bool seen[SEGMENTS];
    memset(seen, 0, sizeof seen);
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++) {
        struct wr_history_walk walk = {.lane = (enum wr_lane)lane, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
        while (!walk.is_over) {
            struct wr_segment_head heads[WR_HISTORY_HEADS];
            uint32_t n;
            must(model, wr_store_heads(fixture->store, &walk, heads, &n, &fixture->err));
            for (uint32_t i = 0; i < n; i++) {
                struct wr_segment segment;
                if (heads[i].delivered)
                    continue;
                assert_true(heads[i].seq < SEGMENTS);
                must(model, wr_store_get(fixture->store, heads[i].seq, &segment, &fixture->err));
                look_at(model, (enum wr_lane)lane, &segment);
                seen[segment.seq] = true;
                wr_segment_free(&segment);
            }
        }
    }
    uint64_t evicted = 0;
    for (int64_t seq = 1; seq < SEGMENTS; seq++) {
        if (seen[seq] && seq > model->highest)
            model->highest = seq;
        if (model->segments[seq].fate == HELD && !seen[seq]) {
            const struct known *known = &model->segments[seq];
            const int64_t ttl_ns = fixture->options.lanes[known->lane].ttl_ns;
            evicted += known->readings;
            if (ttl_ns > 0 && fixture->now.boot_ns - known->seen_ns + SEEN_LATE_NS >= ttl_ns)
                model->old[known->lane - 1] += known->readings;
            model->segments[seq].fate = ACKED; /* gone: whatever is said of it later changes nothing */
        }
    }
    model->evicted += evicted;
}

static void check(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    look(model);
    uint64_t evicted = 0;
    uint64_t lost = 0;
    uint64_t in_books = 0;
    uint64_t in_store = 0;
    for (uint32_t account = 0; account < 2; account++) {
        struct wr_account_balance balance = store_fixture_balance(fixture, account);
        assert_int_equal(balance.books[WR_BOOK_DELIVERED], model->delivered[account]);
        assert_int_equal(balance.open, model->open[account]);
        in_books += wr_balance_held(&balance);
        evicted += balance.books[WR_BOOK_DROPPED_EVICTED] + balance.books[WR_BOOK_DROPPED_EXPIRED];
        assert_true(balance.books[WR_BOOK_DROPPED_EXPIRED] <= model->old[account]);
        lost += model->given[account] - balance.books[WR_BOOK_TAKEN] + balance.books[WR_BOOK_DROPPED_CRASH];
    }
    assert_int_equal(evicted, model->evicted);
    assert_int_equal(lost, model->lost);
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    uint64_t held = 0;
    for (int64_t seq = 1; seq <= model->highest; seq++)
        if (model->segments[seq].fate == HELD) {
            held++;
            in_store += model->segments[seq].readings;
        }
    assert_int_equal(in_books, in_store);
    assert_int_equal(atomic_load(&stats->unacked_segments[1]) + atomic_load(&stats->unacked_segments[2]), held);
}

static uint64_t held_by(struct store_fixture *fixture, uint32_t account) {
    const struct wr_account_balance balance = store_fixture_balance(fixture, account);
    return wr_balance_held(&balance);
}

/* Those of what was looked at before are known. */
static uint32_t readings_on_disk(const struct model *model, const struct wr_segment *segment) {
    const struct known *known = &model->segments[segment->seq];
    bool merged;
    return known->fate == NEVER || known->body_len != segment->body_len ? readings_of(model, segment, &merged) : known->readings;
}

/* S3 and S6, by rows alone: what the copy of a running store has, against what its books say. */
static void check_rows(struct model *model, struct store_fixture *copy, int64_t highest) {
    const struct wr_store_stats *stats = wr_store_stats(copy->store);
    uint64_t unacked = 0;
    uint64_t rows = 0;
    struct wr_segment segment;
    for (int lane = WR_LANE_ALARMS; lane <= WR_LANE_WINDOWS; lane++) {
        uint64_t readings = 0;
        uint64_t segments = 0;
        uint64_t bytes = 0;
        bool corrected = false;
        for (int64_t after = 0;
             wr_store_next(copy->store, (enum wr_lane)lane, after, INT64_MAX, &copy->now, &segment, &copy->err) == WR_OK;) {
            after = segment.seq;
            segments++;
            if (lane != WR_LANE_ALARMS)
                readings += readings_on_disk(model, &segment);
            bytes += segment.body_len;
            corrected |= segment.time_quality == WR_TIME_CORRECTED;
            wr_segment_free(&segment);
        }
        if (lane != WR_LANE_ALARMS) /* gap records hold no readings */
            assert_int_equal(held_by(copy, (uint32_t)lane - 1), readings);
        assert_int_equal(atomic_load(&stats->unacked_segments[lane]), segments);
        if (!corrected) /* else its body is another than that of the row */
            assert_int_equal(atomic_load(&stats->unacked_bytes[lane]), bytes);
        unacked += segments;
    }
    for (int64_t seq = 1; seq <= highest + 64; seq++)
        if (wr_store_get(copy->store, seq, &segment, &copy->err) == WR_OK) {
            rows++;
            wr_segment_free(&segment);
        }
    assert_int_equal(atomic_load(&stats->history_segments), rows - unacked);
}

static void settle(struct store_fixture *fixture) {
    for (int turns = 0; wr_store_due(fixture->store) <= fixture->now.boot_ns; turns++) {
        assert_true(turns < 1000);
        if (wr_store_tick(fixture->store, &fixture->now, &fixture->err) != WR_OK)
            fail_msg("%s", fixture->err.text);
    }
}

/* What a quota counts, by rows alone; and it is kept: in a store that has just been opened nothing is in flight. */
static void check_quotas(struct store_fixture *copy, int64_t highest) {
    uint64_t bytes[WR_LANES] = {0};
    struct wr_segment segment;
    settle(copy);
    for (int64_t seq = 1; seq <= highest + 64; seq++)
        if (wr_store_get(copy->store, seq, &segment, &copy->err) == WR_OK) {
            bytes[segment.lane] += segment.body_len + WR_KEEP_SEGMENT_BYTES;
            wr_segment_free(&segment);
        }
    for (int lane = 0; lane < WR_LANES; lane++) {
        const uint64_t quota = copy->options.lanes[lane].quota_bytes;
        assert_int_equal(atomic_load(&wr_store_stats(copy->store)->lane_bytes[lane]), quota > 0 ? bytes[lane] : 0);
        assert_true(quota == 0 || bytes[lane] <= quota);
    }
}

/* The disk as a kill would leave it now. */
static void check_disk(struct model *model) {
    static struct store_fixture copy;
    struct wr_fault_vfs *disk = wr_fault_vfs_copy(model->disk);
    copy = model->fixture;
    copy.store = NULL;
    copy.options.vfs = wr_fault_vfs_name(disk);
    if (store_fixture_open(&copy) != WR_OK)
        fail_msg("%s", copy.err.text);
    assert_false(copy.report.fresh || copy.report.quarantined);
    check_rows(model, &copy, model->highest);
    for (uint32_t account = 0; account < STORE_ACCOUNTS && model->saved; account++) {
        const struct wr_account_balance here = store_fixture_balance(&model->fixture, account);
        const struct wr_account_balance there = store_fixture_balance(&copy, account);
        assert_memory_equal(here.books, there.books, sizeof here.books);
    }
    wr_store_abandon(copy.store);
    copy.store = NULL;
    if (store_fixture_open(&copy) != WR_OK) /* again: what check_rows looked at counts as handed out */
        fail_msg("%s", copy.err.text);
    check_quotas(&copy, model->highest);
    wr_store_abandon(copy.store);
    wr_fault_vfs_free(disk);
}

static void append(struct model *model) {
    uint32_t account = below(4) == 0 ? 0 : 1;
    uint32_t n = 1 + below(WR_HANDOVER_AGGREGATES);
    store_fixture_fill(&model->fixture, account, n, 2);
    store_fixture_noise(&model->fixture, 0, &dice); /* so the budget is reached */
    model->open[account] += 2 * n;
    model->given[account] += 2 * n;
    store_fixture_take(&model->fixture);
}

/* Acks reach the disk at the latest with a flush. */
static void saved(struct model *model) {
    for (int64_t seq = 1; seq <= model->highest; seq++)
        if (model->segments[seq].fate == ACKED_UNSAVED)
            model->segments[seq].fate = ACKED;
}

static void flush(struct model *model) {
    must(model, wr_store_flush(model->fixture.store, &model->fixture.now, &model->fixture.err));
    look(model);
    saved(model);
    model->saved = true;
}

static void acknowledge(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    look(model);
    if (model->highest == 0 || model->offline)
        return;
    enum wr_lane lane = below(4) == 0 ? WR_LANE_CHANGES : WR_LANE_WINDOWS;
    int64_t first = 1 + below((uint32_t)model->highest);
    int64_t last = below(3) ? first : first + below(20);
    enum wr_result result = wr_store_ack(fixture->store, lane, first, last, &fixture->now, &fixture->err);
    if (result == WR_FULL)
        return;
    must(model, result);
    for (int64_t seq = first; seq <= last && seq <= model->highest; seq++) {
        struct known *known = &model->segments[seq];
        if (known->fate != HELD || known->lane != lane)
            continue;
        known->fate = ACKED_UNSAVED;
        model->delivered[lane == WR_LANE_CHANGES ? 0 : 1] += known->readings;
    }
}

/* Never the newest: while there is no uplink the store gets full of what nobody was offered. */
static void offer(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    if (model->highest <= 1)
        return;
    const int64_t seq = 1 + below((uint32_t)model->highest / 2);
    if (model->hands_out) {
        struct wr_segment segment;
        if (wr_store_next(fixture->store, WR_LANE_WINDOWS, seq - 1, seq + 1, &fixture->now, &segment, &fixture->err) == WR_OK)
            wr_segment_free(&segment);
    }
    must(model, wr_store_offer(fixture->store, WR_LANE_WINDOWS, seq, &fixture->now, &fixture->err));
    model->asked = seq > model->asked ? seq : model->asked;
}

/* All that is due is done: what is at rest is not over its quota, and not too old. */
static void check_limits(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    settle(fixture);
    look(model);
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++) {
        const struct wr_store_lane_options *options = &fixture->options.lanes[lane];
        bool out = false;
        for (int64_t seq = 1; seq <= model->highest; seq++) {
            const struct known *known = &model->segments[seq];
            if (known->fate != HELD || known->lane != lane)
                continue;
            const bool may_be_out = lane == WR_LANE_WINDOWS && seq <= model->asked;
            out |= may_be_out;
            const bool is_dated = fixture->options.boot_id[0] != 0 ||
                                  seq >= wr_store_live_from(fixture->store); /* else its age begins anew with each start */
            if (options->ttl_ns > 0 && !may_be_out && is_dated)
                assert_true(fixture->now.boot_ns - known->seen_ns < options->ttl_ns + EXPIRES_LATE_NS);
        }
        if (options->quota_bytes > 0 && !out)
            assert_true(atomic_load(&wr_store_stats(fixture->store)->lane_bytes[lane]) <= options->quota_bytes);
    }
}

static void reopen(struct model *model) {
    model->fixture.store = NULL;
    model->asked = 0;
    must(model, store_fixture_open(&model->fixture));
    assert_false(model->fixture.report.fresh || model->fixture.report.quarantined);
    assert_true(wr_store_live_from(model->fixture.store) > model->highest);
}

static void stop_cleanly(struct model *model) {
    flush(model);
    must(model, wr_store_close(model->fixture.store, &model->fixture.now, &model->fixture.err));
    reopen(model);
    assert_false(model->fixture.report.unclean);
}

static void crash(struct model *model) {
    look(model);
    wr_store_abandon(model->fixture.store);
    model->fixture.handover.n = 0;
    model->lost += model->open[0] + model->open[1];
    model->open[0] = model->open[1] = 0;
    for (int64_t seq = 1; seq <= model->highest; seq++)
        if (model->segments[seq].fate == ACKED_UNSAVED)
            model->segments[seq].fate = HELD; /* unless a commit took them along: learned below */
    reopen(model);
    assert_true(model->fixture.report.unclean);
    /* Acks that some commit took along are on disk: the delivered books tell how many, the store which. */
    static bool sent[SEGMENTS];
    memset(sent, 0, sizeof sent);
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++) {
        struct wr_history_walk walk = {.lane = (enum wr_lane)lane, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
        while (!walk.is_over) {
            struct wr_segment_head heads[WR_HISTORY_HEADS];
            uint32_t n;
            must(model, wr_store_heads(model->fixture.store, &walk, heads, &n, &model->fixture.err));
            for (uint32_t i = 0; i < n; i++)
                sent[heads[i].seq] = !heads[i].delivered;
        }
    }
    model->delivered[0] = store_fixture_balance(&model->fixture, 0).books[WR_BOOK_DELIVERED];
    model->delivered[1] = store_fixture_balance(&model->fixture, 1).books[WR_BOOK_DELIVERED];
    for (int64_t seq = 1; seq <= model->highest; seq++)
        if (model->segments[seq].fate == HELD && !sent[seq])
            model->segments[seq].fate = ACKED;
}

static void step(struct model *model) {
    model->saved = false;
    switch (below(40)) {
    case 0:
        stop_cleanly(model);
        break;
    case 1:
        crash(model);
        break;
    case 2:
    case 3:
        flush(model);
        break;
    case 4:
        offer(model);
        break;
    case 5:
    case 6:
    case 7:
        store_fixture_advance(&model->fixture, (int64_t)below(3000) * WR_NS_PER_MS);
        must(model, wr_store_tick(model->fixture.store, &model->fixture.now, &model->fixture.err));
        break;
    case 8:
        check_limits(model);
        break;
    case 9:
    case 10:
    case 11:
        acknowledge(model);
        break;
    default:
        append(model);
    }
}

/* What the books know as lost was told, all of it and once, over all crashes. */
static void check_gaps(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    struct store_told told = {0};
    uint64_t lost = 0;
    must(model, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    must(model, wr_store_flush(fixture->store, &fixture->now, &fixture->err)); /* what the first evicted */
    for (uint32_t account = 0; account < STORE_ACCOUNTS; account++) {
        const struct wr_account_balance balance = store_fixture_balance(fixture, account);
        lost += wr_balance_dropped(&balance);
    }
    store_fixture_read_gaps(fixture, &told);
    assert_int_equal(told.readings, lost);
}

static void limit(struct wr_store_options *options) {
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++) {
        options->lanes[lane].quota_bytes = below(2) == 0 ? 0 : 200000 + below(800000);
        options->lanes[lane].ttl_ns = below(2) == 0 ? 0 : (10 + below(60)) * WR_NS_PER_S;
    }
    options->write_budget_bytes = below(2) == 0 ? 0 : 1000000 + below(100000000);
    memset(options->boot_id, (int)below(2), sizeof options->boot_id);
}

static void run(bool limited) {
    static struct model model;
    memset(&model, 0, sizeof model);
    store_fixture_init(&model.fixture);
    model.hands_out = limited;
    if (limited)
        limit(&model.fixture.options);
    model.disk = wr_fault_vfs_new(random_u64());
    model.fixture.options.vfs = wr_fault_vfs_name(model.disk);
    model.fixture.tells_lengths = true;
    assert_int_equal(wr_decoder_new(&model.decoder), WR_OK);
    must(&model, store_fixture_open(&model.fixture));
    const int steps = wr_test_is_slow() || limited ? STEPS / 4 : STEPS;
    for (int i = 0; i < steps && model.highest < SEGMENTS - 100; i++) {
        const int phase = i * PHASES / steps;
        model.offline = phase % 2 == 1;
        model.fixture.now.wall_trusted = phase < PHASES - 1;
        step(&model);
        look(&model); /* every time: a segment may be evicted by the next one already */
        if (below(4) == 0)
            check(&model);
        if (model.saved || below(16) == 0)
            check_disk(&model);
    }
    check(&model);
    check_disk(&model);
    check_gaps(&model);
    const uint64_t expired = store_fixture_balance(&model.fixture, 0).books[WR_BOOK_DROPPED_EXPIRED] +
                             store_fixture_balance(&model.fixture, 1).books[WR_BOOK_DROPPED_EXPIRED];
    printf("%lld segments, %llu of them merged; delivered %llu, evicted %llu (%llu of them for their age), lost in crashes %llu readings\n",
           (long long)model.highest, (unsigned long long)model.merged, (unsigned long long)(model.delivered[0] + model.delivered[1]),
           (unsigned long long)model.evicted, (unsigned long long)expired, (unsigned long long)model.lost);
    assert_true(model.highest > steps / 25);
    assert_true((model.merged > 0 && model.evicted > 0) || steps < STEPS);
    wr_store_abandon(model.fixture.store);
    model.fixture.store = NULL;
    store_fixture_fini(&model.fixture);
    wr_decoder_free(model.decoder);
    wr_fault_vfs_free(model.disk);
}

static void test_the_store_does_what_the_model_does(void **state) {
    (void)state;
    run(false);
}

static void test_with_limits_too(void **state) {
    (void)state;
    for (int i = 0; i < (WR_TEST_SANITIZED ? 2 : 4); i++)
        run(true);
}

/* Ranges */

static bool rows[400]; /* seqs of the lane */

static bool row_between(void *user, int64_t a, int64_t b) {
    (void)user;
    for (int64_t seq = a + 1; seq < b; seq++)
        if (rows[seq])
            return true;
    return false;
}

static void test_ranges_are_sets(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct wr_ranges ranges = {0};
        bool in[400] = {false};
        for (int i = 0; i < 400; i++)
            rows[i] = below(3) > 0;
        for (int i = 0; i < 60; i++) {
            int64_t first = 1 + below(380);
            int64_t last = first + below(4) * below(5);
            if (last > 398)
                last = 398;
            assert_int_equal(wr_ranges_add(&ranges, first, last, row_between, NULL), WR_OK);
            for (int64_t seq = first; seq <= last; seq++)
                in[seq] = true;
            assert_true(wr_ranges_valid(&ranges));
            for (int64_t seq = 1; seq < 399; seq++)
                if (rows[seq])
                    assert_int_equal(wr_ranges_find(&ranges, seq) != NULL, in[seq]);
            for (uint32_t k = 1; k < ranges.n; k++) /* what touches is merged */
                assert_true(row_between(NULL, ranges.at[k - 1].last, ranges.at[k].first));
        }
    }
    struct wr_ranges full = {0};
    for (int i = 0; i < 400; i++)
        rows[i] = true;
    for (int64_t i = 0; i < WR_STORE_RANGES; i++)
        assert_int_equal(wr_ranges_add(&full, 1 + 3 * i, 1 + 3 * i, row_between, NULL), WR_OK);
    assert_int_equal(wr_ranges_add(&full, 300, 300, row_between, NULL), WR_FULL);
    assert_int_equal(wr_ranges_add(&full, 2, 2, row_between, NULL), WR_OK);
    assert_int_equal(full.n, WR_STORE_RANGES);
}

static int setup(void **state) {
    (void)state;
    dice = wr_random_begin();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_sets),
        cmocka_unit_test(test_the_store_does_what_the_model_does),
        cmocka_unit_test(test_with_limits_too),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
