/* Byte budgets of the uplink: what waits at which level, at what rate windows go, how the counts are kept, and what is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/uplink_alone.h"
#include "transport/uplink_runner.h"

#define DAY_NS (86400 * WR_NS_PER_S)
#define MIDNIGHT_NS (20000 * DAY_NS)
#define LIMIT 1000000
#define EPOCH 7

static void pass(struct uplink_alone *bench, int64_t ns) {
    bench->now.boot_ns += ns;
    bench->now.wall_ns += ns;
}

/* Online, at the beginning of a day. */
static void bench_open(struct uplink_alone *bench, uint64_t month_bytes, uint64_t day_bytes) {
    struct wr_uplink_config config = wr_uplink_defaults();
    config.budget_bytes[WR_BUDGET_MONTH] = month_bytes;
    config.budget_bytes[WR_BUDGET_DAY] = day_bytes;
    uplink_alone_init(bench, &config, (struct wr_now){.boot_ns = 100 * WR_NS_PER_S, .wall_ns = MIDNIGHT_NS, .wall_trusted = true});
    uplink_alone_connect(bench);
    assert_false(uplink_alone_next(bench));
}

/* What the store keeps, then READY with something of each lane before and behind it. */
static void ready(struct uplink_alone *bench, uint64_t spent) {
    const struct wr_budget_count count = {.spent = spent, .begins_wall_ns = MIDNIGHT_NS, .ends_wall_ns = MIDNIGHT_NS + DAY_NS};
    uplink_alone_tell(bench, (struct wr_uplink_reply){.kind = WR_UPLINK_COUNTED, .lane = WR_BUDGET_MONTH});
    uplink_alone_tell(bench, (struct wr_uplink_reply){.kind = WR_UPLINK_COUNTED, .lane = WR_BUDGET_DAY, .count = count});
    uplink_alone_tell(bench, (struct wr_uplink_reply){.kind = WR_UPLINK_READY, .epoch = EPOCH, .seq = 100});
}

struct asked {
    unsigned cursors[2]; /* a bit a lane */
    uint32_t most;       /* segments of windows in one GET */
    struct wr_uplink_request window;
};

static void answer_get(struct uplink_alone *bench, const struct wr_uplink_request *get, bool leave_windows, struct asked *asked) {
    asked->cursors[get->cursor] |= 1u << get->lane;
    if (get->lane == WR_LANE_WINDOWS && get->max_segments > asked->most)
        asked->most = get->max_segments;
    if (leave_windows && get->lane == WR_LANE_WINDOWS && get->cursor == WR_CURSOR_LIVE)
        asked->window = *get;
    else
        uplink_alone_done(bench, get);
}

/* All GETs of this moment; each is answered: there is nothing. leave_windows: but that of live windows stays open. What is published arrives. */
static struct asked gets(struct uplink_alone *bench, bool leave_windows) {
    struct asked asked = {0};
    while (uplink_alone_next(bench)) {
        const struct wr_uplink_request request = bench->action.request;
        if (bench->action.kind == WR_UPLINK_ACT_PUBLISH) {
            uplink_alone_session(bench, WR_SESSION_DELIVERED, bench->action.id);
            continue;
        }
        assert_int_equal(bench->action.kind, WR_UPLINK_ACT_REQUEST);
        if (request.kind == WR_UPLINK_GET)
            answer_get(bench, &request, leave_windows, &asked);
        else if (request.kind == WR_UPLINK_OFFER)
            uplink_alone_tell(bench, (struct wr_uplink_reply){.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last});
    }
    return asked;
}

static uint8_t level(const struct uplink_alone *bench) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench->uplink, &stats);
    return stats.budget_level;
}

static void the_least_urgent_waits_first(void **state) {
    (void)state;
    static const struct {
        uint64_t spent;
        enum wr_budget_level level;
        unsigned live, backfill;
    } cases[] = {
        {0, WR_BUDGET_FREE, 0xF, 0xF},
        {LIMIT * 6 / 10, WR_BUDGET_SPARING, 0xF, 0x3},
        {LIMIT * 8 / 10, WR_BUDGET_SLOW, 0xF, 0x3},
        {LIMIT * 97 / 100, WR_BUDGET_SPENT, 0x3, 0x3},
        {LIMIT * 3, WR_BUDGET_SPENT, 0x3, 0x3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct uplink_alone bench;
        bench_open(&bench, 0, LIMIT);
        ready(&bench, cases[i].spent);
        const struct asked asked = gets(&bench, false);
        assert_int_equal(level(&bench), cases[i].level);
        assert_int_equal(asked.cursors[WR_CURSOR_LIVE], cases[i].live);
        assert_int_equal(asked.cursors[WR_CURSOR_BACKFILL], cases[i].backfill);
        if (cases[i].level < WR_BUDGET_SLOW)
            assert_true(asked.most > 1);
        else
            assert_int_equal(asked.most, cases[i].level == WR_BUDGET_SLOW ? 1 : 0);
        assert_false(uplink_alone_next(&bench));
        assert_true(wr_uplink_wake_ns(bench.uplink) > bench.now.boot_ns);
        wr_uplink_free(bench.uplink);
    }
}

static void give_window(struct uplink_alone *bench, const struct wr_uplink_request *get, int64_t seq, size_t bytes) {
    struct wr_uplink_reply reply = {.kind = WR_UPLINK_SEGMENT, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
    reply.segment = (struct wr_segment){
        .epoch = EPOCH, .seq = seq, .lane = get->lane, .kind = WR_SEGMENT_AGGREGATES, .n = 1, .body = calloc(1, bytes), .body_len = bytes};
    assert_non_null(reply.segment.body);
    uplink_alone_tell(bench, reply);
    uplink_alone_done(bench, get);
}

/* With a fifth left at midnight: windows go at what that makes a second, one by one; the uplink sleeps in between. */
static void windows_go_at_an_even_rate(void **state) {
    (void)state;
    struct uplink_alone bench;
    bench_open(&bench, 0, LIMIT);
    ready(&bench, LIMIT * 8 / 10);
    struct asked asked = gets(&bench, true);
    const int64_t each_ns = 40 * WR_NS_PER_S / (LIMIT / 5 / 86400); /* 40 bytes at 2 a second */
    for (int64_t seq = 101; seq < 110; seq++) {
        assert_int_equal(asked.most, 1);
        const int64_t since_ns = bench.now.boot_ns;
        give_window(&bench, &asked.window, seq, 40);
        asked = gets(&bench, true);
        assert_int_equal(asked.most, 0);
        while (bench.now.boot_ns < since_ns + each_ns - WR_NS_PER_S) { /* a second's worth is saved up */
            assert_int_equal(asked.most, 0);
            assert_true(wr_uplink_wake_ns(bench.uplink) > bench.now.boot_ns);
            pass(&bench, wr_uplink_wake_ns(bench.uplink) - bench.now.boot_ns);
            asked = gets(&bench, true);
        }
    }
    wr_uplink_free(bench.uplink);
}

static void the_next_day_goes_on(void **state) {
    (void)state;
    struct uplink_alone bench;
    bench_open(&bench, 0, LIMIT);
    pass(&bench, DAY_NS - 10 * WR_NS_PER_S);
    ready(&bench, LIMIT + 1);
    struct asked asked = gets(&bench, false);
    assert_int_equal(asked.cursors[WR_CURSOR_LIVE], 0x3);
    assert_int_equal(wr_uplink_wake_ns(bench.uplink) - bench.now.boot_ns, 10 * WR_NS_PER_S);
    pass(&bench, 10 * WR_NS_PER_S);
    asked = gets(&bench, false);
    assert_int_equal(asked.cursors[WR_CURSOR_LIVE], 0xC);
    assert_int_equal(asked.cursors[WR_CURSOR_BACKFILL], 0xC);
    assert_int_equal(level(&bench), WR_BUDGET_FREE);
    wr_uplink_free(bench.uplink);
}

/* What was under way when a day's budget ran out is not owed at the rate of that budget, which is none. */
static void a_spent_day_owes_nothing_to_the_next(void **state) {
    (void)state;
    struct uplink_alone bench;
    bench_open(&bench, 100 * LIMIT, LIMIT);
    uplink_alone_tell(&bench, (struct wr_uplink_reply){.kind = WR_UPLINK_COUNTED, .lane = WR_BUDGET_MONTH, .count = {.spent = 80 * LIMIT}});
    uplink_alone_tell(&bench, (struct wr_uplink_reply){.kind = WR_UPLINK_COUNTED, .lane = WR_BUDGET_DAY});
    uplink_alone_tell(&bench, (struct wr_uplink_reply){.kind = WR_UPLINK_READY, .epoch = EPOCH, .seq = 100});
    struct asked asked = gets(&bench, true);
    assert_int_equal(level(&bench), WR_BUDGET_SLOW);
    assert_int_equal(asked.most, 1);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT);
    assert_int_equal(level(&bench), WR_BUDGET_SPENT);
    give_window(&bench, &asked.window, 101, 200000); /* at a byte a second: more than two days */
    asked = gets(&bench, true);
    assert_int_equal(asked.most, 0);
    pass(&bench, DAY_NS);
    asked = gets(&bench, true);
    assert_int_equal(level(&bench), WR_BUDGET_SLOW);
    assert_int_equal(asked.most, 1);
    wr_uplink_free(bench.uplink);
}

/* Either budget alone may be the tighter one. */
static void the_tighter_of_both_counts(void **state) {
    (void)state;
    struct uplink_alone bench;
    bench_open(&bench, 100 * LIMIT, LIMIT);
    ready(&bench, 0);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT);
    assert_int_equal(level(&bench), WR_BUDGET_SPENT);
    wr_uplink_free(bench.uplink);
    bench_open(&bench, LIMIT, 100 * LIMIT);
    ready(&bench, 0);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT);
    assert_int_equal(level(&bench), WR_BUDGET_SPENT);
    wr_uplink_free(bench.uplink);
}

/* The next COUNT of the day's budget that is due now. */
static bool next_count(struct uplink_alone *bench, struct wr_uplink_request *ret_count) {
    bool found = false;
    while (uplink_alone_next(bench)) {
        const struct wr_uplink_request *request = &bench->action.request;
        if (bench->action.kind != WR_UPLINK_ACT_REQUEST || request->kind != WR_UPLINK_COUNT || request->lane != WR_BUDGET_DAY)
            continue;
        *ret_count = *request;
        found = true;
    }
    return found;
}

static void counts_are_kept_in_time(void **state) {
    (void)state;
    struct uplink_alone bench;
    struct wr_uplink_request count = {0};
    bench_open(&bench, 0, LIMIT);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT / 2);
    pass(&bench, 60 * WR_NS_PER_S);
    assert_false(next_count(&bench, &count)); /* U13: it would overwrite what is kept */
    ready(&bench, 1000);
    assert_true(next_count(&bench, &count));
    assert_true(count.urgent);
    assert_int_equal(count.count.spent, LIMIT / 2 + 1000);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT / 2 + 10);
    assert_false(next_count(&bench, &count)); /* a little can wait */
    pass(&bench, WR_UPLINK_COUNT_NS);
    assert_true(next_count(&bench, &count));
    assert_false(count.urgent);
    assert_int_equal(count.count.spent, LIMIT / 2 + 1010);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT / 2 + 10 + LIMIT / 100);
    assert_true(next_count(&bench, &count)); /* much cannot */
    assert_true(count.urgent);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT / 2 + 20 + LIMIT / 100);
    ready(&bench, 5); /* a fresh store: what it says of counts is old */
    wr_uplink_on_stop(bench.uplink, &bench.now, bench.now.boot_ns);
    assert_true(next_count(&bench, &count)); /* and at the end everything */
    assert_int_equal(count.count.spent, LIMIT / 2 + 1020 + LIMIT / 100);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_STOPPED);
    wr_uplink_free(bench.uplink);
}

static void without_a_budget_nobody_counts(void **state) {
    (void)state;
    struct uplink_alone bench;
    struct wr_uplink_request count = {0};
    bench_open(&bench, 0, 0);
    assert_false(wr_uplink_has_budget(bench.uplink));
    ready(&bench, 1000);
    (void)gets(&bench, true);
    assert_int_equal(wr_uplink_wake_ns(bench.uplink), WR_NEVER_NS);
    wr_uplink_on_wire(bench.uplink, &bench.now, LIMIT);
    pass(&bench, 60 * WR_NS_PER_S);
    assert_false(next_count(&bench, &count));
    assert_int_equal(level(&bench), WR_BUDGET_FREE);
    wr_uplink_free(bench.uplink);
    struct wr_uplink_config config = wr_uplink_defaults();
    config.budget_from_day = 29;
    assert_int_equal(wr_uplink_new(&config, &bench.uplink, NULL), WR_INVALID);
}

/* ---- the loop around it ---- */

static struct {
    struct wr_clock_virtual clock;
    struct wr_uplink_runner *runner;
    struct wr_channel *requests, *replies;
    struct wr_wire_bytes wire;
    unsigned read;
    unsigned notices;
    struct wr_uplink_notice notice;
} loop;

static enum wr_result fake_connect(void *self, uint64_t connection, unsigned broker) {
    (void)self, (void)connection, (void)broker;
    return WR_OK; /* it dials for ever */
}

static void fake_close(void *self, uint64_t connection, bool clean) {
    (void)self, (void)connection, (void)clean;
}

static void fake_wire(void *self, struct wr_wire_bytes *ret_bytes) {
    (void)self;
    loop.read++;
    *ret_bytes = loop.wire;
}

static void notify(void *user, const struct wr_uplink_notice *notice) {
    (void)user;
    if (notice->kind != WR_UPLINK_NOTICE_BUDGET)
        return;
    loop.notices++;
    loop.notice = *notice;
}

static const struct wr_session_ops fake_ops = {.connect = fake_connect, .close = fake_close, .wire = fake_wire};

static struct wr_channel *channel(const char *name, size_t element_bytes) {
    const struct wr_channel_options options = {.name = name, .capacity = 600, .element_bytes = element_bytes};
    struct wr_channel *made;
    assert_int_equal(wr_channel_new(&options, &made, NULL), WR_OK);
    return made;
}

static int set_up(void **state) {
    (void)state;
    memset(&loop, 0, sizeof loop);
    wr_clock_virtual_init(&loop.clock, WR_NS_PER_S, MIDNIGHT_NS, 5);
    loop.requests = channel("requests", sizeof(struct wr_uplink_request));
    loop.replies = channel("replies", sizeof(struct wr_uplink_reply));
    struct wr_uplink_runner_config config = {.uplink = wr_uplink_defaults(),
                                             .notify = notify,
                                             .requests = loop.requests,
                                             .replies = loop.replies,
                                             .clock = &loop.clock.clock,
                                             .ops = &fake_ops};
    config.uplink.budget_bytes[WR_BUDGET_DAY] = LIMIT;
    assert_int_equal(wr_place_init(&config.place, "weir", "site", "node", NULL), WR_OK);
    return wr_uplink_runner_new(&config, &loop.runner, NULL) == WR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    wr_uplink_runner_free(loop.runner);
    wr_channel_free(loop.requests);
    wr_channel_free(loop.replies);
    return 0;
}

static void turn_after(int64_t ns) {
    struct wr_uplink_received received = {.from = WR_UPLINK_FROM_NOBODY};
    wr_clock_virtual_advance(&loop.clock, ns);
    const struct wr_now now = wr_clock_now(&loop.clock.clock);
    (void)!wr_uplink_runner_turn(loop.runner, &now, &received);
}

static void each_level_is_told_once(void **state) {
    (void)state;
    turn_after(0);
    assert_int_equal(loop.notices, 0);
    loop.wire = (struct wr_wire_bytes){.sent = LIMIT / 2, .received = LIMIT / 10}; /* both ways are billed */
    turn_after(WR_NS_PER_S);
    assert_int_equal(loop.notices, 1);
    assert_int_equal(loop.notice.to, WR_BUDGET_SPARING);
    loop.wire.sent += LIMIT * 36 / 100;
    turn_after(WR_NS_PER_S);
    assert_int_equal(loop.notices, 2);
    assert_int_equal(loop.notice.to, WR_BUDGET_SPENT);
    turn_after(DAY_NS * 7 / 10); /* windows go again for a while: no news, nor is the next time that they wait */
    struct wr_uplink_status status;
    wr_uplink_runner_status(loop.runner, &status);
    assert_int_equal(status.uplink.budget_level, WR_BUDGET_SLOW);
    assert_int_equal(status.uplink.budgets[WR_BUDGET_DAY].spent_bytes, LIMIT * 96 / 100);
    loop.wire.sent += LIMIT;
    turn_after(WR_NS_PER_S);
    assert_int_equal(loop.notices, 2);
    turn_after(DAY_NS * 3 / 10);
    assert_int_equal(loop.notices, 3);
    assert_int_equal(loop.notice.to, WR_BUDGET_FREE);
}

/* The kernel is not asked at each turn. */
static void the_wire_is_read_in_time(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++)
        turn_after(WR_NS_PER_MS);
    assert_true(loop.read >= 10 && loop.read <= 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_urgent_waits_first),
        cmocka_unit_test(windows_go_at_an_even_rate),
        cmocka_unit_test(the_next_day_goes_on),
        cmocka_unit_test(a_spent_day_owes_nothing_to_the_next),
        cmocka_unit_test(the_tighter_of_both_counts),
        cmocka_unit_test(counts_are_kept_in_time),
        cmocka_unit_test(without_a_budget_nobody_counts),
        cmocka_unit_test_setup_teardown(each_level_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_wire_is_read_in_time, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
