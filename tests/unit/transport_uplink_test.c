/* The uplink's decisions one by one, on times and random numbers given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/failing.h"
#include "transport/pace_drain.h"
#include "transport/uplink.h"

struct bench {
    struct wr_uplink *uplink;
    struct wr_now now;
    struct wr_uplink_action action;
};

static void bench_open_with(struct bench *bench, const struct wr_uplink_config *config) {
    *bench = (struct bench){.now = {.boot_ns = WR_NS_PER_S, .wall_trusted = true}};
    assert_int_equal(wr_uplink_new(config, &bench->uplink, NULL), WR_OK);
}

static void bench_open(struct bench *bench) {
    struct wr_uplink_config config = wr_uplink_defaults();
    bench_open_with(bench, &config);
}

static bool next(struct bench *bench) {
    return wr_uplink_next(bench->uplink, &bench->now, 0, &bench->action);
}

static void expect(struct bench *bench, enum wr_uplink_action_kind kind) {
    assert_true(next(bench));
    assert_int_equal(bench->action.kind, kind);
}

static void session(struct bench *bench, enum wr_session_event_kind kind, uint64_t id, uint64_t random) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench->uplink, &stats);
    struct wr_session_event event = {.kind = (uint8_t)kind,
                                     .connection = stats.connections,
                                     .id = id,
                                     .receive_max = 65535,
                                     .max_packet_bytes = UINT32_MAX,
                                     .text = "why"};
    wr_uplink_on_session(bench->uplink, &bench->now, random, &event);
}

static void online(struct bench *bench) {
    expect(bench, WR_UPLINK_ACT_CONNECT);
    session(bench, WR_SESSION_DIALLED, 0, 0);
    session(bench, WR_SESSION_CONNECTED, 0, 0);
    expect(bench, WR_UPLINK_ACT_BIRTH);
    assert_true(bench->action.online);
    session(bench, WR_SESSION_DELIVERED, bench->action.id, 0);
}

static int64_t delay(struct bench *bench) {
    return wr_uplink_wake_ns(bench->uplink) - bench->now.boot_ns;
}

/* Delays are anywhere up to a cap of 1, 2, 4 ... 120 s; a session must be stable for a minute to bring the cap back to 1 s. */
static void backoff_has_full_jitter_and_resets_when_stable(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    int64_t cap_s = 1;
    for (int i = 0; i < 12; i++) {
        expect(&bench, WR_UPLINK_ACT_CONNECT);
        int64_t cap_ns = (cap_s < 120 ? cap_s : 120) * WR_NS_PER_S;
        session(&bench, WR_SESSION_FAILED, 0, (uint64_t)cap_ns);
        assert_int_equal(delay(&bench), cap_ns);
        assert_false(next(&bench)); /* not before its time */
        bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
        cap_s *= 2;
    }
    online(&bench);
    bench.now.boot_ns += 59 * WR_NS_PER_S;
    session(&bench, WR_SESSION_LOST, 0, (uint64_t)(120 * WR_NS_PER_S));
    assert_int_equal(delay(&bench), 120 * WR_NS_PER_S); /* it was not stable */
    bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    online(&bench);
    bench.now.boot_ns += 60 * WR_NS_PER_S;
    session(&bench, WR_SESSION_LOST, 0, (uint64_t)WR_NS_PER_S);
    assert_int_equal(delay(&bench), WR_NS_PER_S);
    session(&bench, WR_SESSION_LOST, 0, 7); /* once more for the same connection: nothing */
    assert_int_equal(delay(&bench), WR_NS_PER_S);
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench.uplink, &stats);
    assert_string_equal(stats.cause, "why");
    wr_uplink_free(bench.uplink);
}

static bool give(struct bench *bench, uint64_t id) {
    struct wr_uplink_direct direct = {.id = id, .topic = "t", .payload = malloc(4), .payload_len = 4, .qos = 1};
    bool taken = wr_uplink_on_direct(bench->uplink, &direct);
    free(direct.payload);
    return taken;
}

/* Direct messages go in the order in which they came; what has no place stays with its sender. */
static void direct_messages_keep_their_order(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    for (uint64_t id = 0; id < WR_UPLINK_DIRECT; id++) {
        assert_true(wr_uplink_direct_room(bench.uplink));
        assert_true(give(&bench, id));
    }
    assert_false(wr_uplink_direct_room(bench.uplink));
    assert_false(give(&bench, 100));
    online(&bench);
    for (uint64_t id = 0; id < WR_UPLINK_DIRECT; id++) {
        expect(&bench, WR_UPLINK_ACT_DIRECT);
        assert_int_equal(bench.action.direct->id, id);
        session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
        expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
        assert_int_equal(bench.action.id, id);
        assert_true(bench.action.delivered);
        assert_true(wr_uplink_direct_room(bench.uplink));
    }
    wr_uplink_free(bench.uplink);
}

/* "Connected" proves nothing: silence with something in flight ends the session; silence without does not. */
static void silence_ends_a_session_only_with_something_in_flight(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    online(&bench);
    bench.now.boot_ns += 3600 * WR_NS_PER_S;
    assert_false(next(&bench));
    assert_true(give(&bench, 1));
    expect(&bench, WR_UPLINK_ACT_DIRECT);
    assert_int_equal(delay(&bench), 30 * WR_NS_PER_S);
    bench.now.boot_ns += 30 * WR_NS_PER_S;
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_false(bench.action.clean);
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench.uplink, &stats);
    assert_string_equal(stats.cause, "the broker acknowledged nothing for 30000 ms with 1 messages in flight");
    assert_int_equal(stats.direct_waiting, 1); /* it is kept */
    wr_uplink_free(bench.uplink);
}

/* An acknowledgement that was lost holds its message, and its place in the window, only so long, however many others come. */
static void a_message_that_is_left_out_ends_the_session(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    online(&bench);
    uint64_t left_out = 0;
    for (uint64_t i = 1; i <= 100; i++) {
        assert_true(give(&bench, i));
        expect(&bench, WR_UPLINK_ACT_DIRECT);
        if (i == 4) {
            left_out = bench.action.id;
            continue;
        }
        session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
        expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
        if (i == 50) { /* late is not lost */
            session(&bench, WR_SESSION_DELIVERED, left_out, 0);
            expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
        }
        bench.now.boot_ns += WR_NS_PER_S / 2;
        assert_false(next(&bench));
    }
    assert_true(give(&bench, 101));
    expect(&bench, WR_UPLINK_ACT_DIRECT);
    int64_t overtaken_ns = 0;
    for (uint64_t i = 102; overtaken_ns == 0 || bench.now.boot_ns < overtaken_ns + 30 * WR_NS_PER_S; i++) {
        assert_true(give(&bench, i));
        expect(&bench, WR_UPLINK_ACT_DIRECT);
        session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
        if (overtaken_ns == 0)
            overtaken_ns = bench.now.boot_ns;
        expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
        assert_false(next(&bench));
        const int64_t due_ns = wr_uplink_wake_ns(bench.uplink);
        assert_true(due_ns <= overtaken_ns + 30 * WR_NS_PER_S);
        bench.now.boot_ns += WR_NS_PER_S;
    }
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench.uplink, &stats);
    assert_string_equal(stats.cause, "the broker acknowledged later messages, and for 30000 ms not the one before them");
    assert_int_equal(stats.direct_waiting, 1); /* it is kept, and goes again */
    wr_uplink_free(bench.uplink);
}

/* The same message each time: it is given up as one that was refused, and the sessions stay. */
static void a_message_that_is_never_answered_is_given_up(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    assert_true(give(&bench, 1));
    for (uint64_t i = 0; i < WR_UPLINK_REFUSALS_TO_PARK; i++) {
        online(&bench);
        expect(&bench, WR_UPLINK_ACT_DIRECT);
        assert_int_equal(bench.action.direct->id, 1);
        for (uint64_t later = 0; later < 2; later++) {
            assert_true(give(&bench, 100 + 2 * i + later));
            expect(&bench, WR_UPLINK_ACT_DIRECT);
            session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
            expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
            bench.now.boot_ns += later == 0 ? 29 * WR_NS_PER_S : WR_NS_PER_S;
        }
        expect(&bench, WR_UPLINK_ACT_CLOSE);
    }
    expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
    assert_int_equal(bench.action.id, 1);
    assert_false(bench.action.delivered);
    online(&bench);
    assert_false(next(&bench));
    wr_uplink_free(bench.uplink);
}

static void a_stop_says_goodbye(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    online(&bench);
    assert_true(give(&bench, 1));
    wr_uplink_on_stop(bench.uplink, &bench.now, bench.now.boot_ns + WR_NS_PER_S);
    expect(&bench, WR_UPLINK_ACT_DIRECT); /* nobody else keeps it */
    assert_false(next(&bench));
    session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
    expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
    expect(&bench, WR_UPLINK_ACT_BIRTH);
    assert_false(bench.action.online);
    session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_true(bench.action.clean);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_STOPPED);
    assert_false(next(&bench));
    wr_uplink_free(bench.uplink);

    bench_open(&bench); /* silence until the deadline */
    online(&bench);
    assert_true(give(&bench, 1));
    expect(&bench, WR_UPLINK_ACT_DIRECT);
    wr_uplink_on_stop(bench.uplink, &bench.now, bench.now.boot_ns + WR_NS_PER_S);
    assert_false(next(&bench));
    bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_STOPPED);
    wr_uplink_free(bench.uplink);

    bench_open(&bench); /* while it dials */
    expect(&bench, WR_UPLINK_ACT_CONNECT);
    wr_uplink_on_stop(bench.uplink, &bench.now, WR_NEVER_NS);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_STOPPED);
    wr_uplink_free(bench.uplink);
}

static void get(struct bench *bench, enum wr_cursor cursor, uint8_t lane) {
    expect(bench, WR_UPLINK_ACT_REQUEST);
    assert_int_equal(bench->action.request.kind, WR_UPLINK_GET);
    assert_int_equal(bench->action.request.cursor, cursor);
    assert_int_equal(bench->action.request.lane, lane);
}

/* Alarms of both cursors first; then live, with one segment in four for backfill. */
static void lanes_and_cursors_take_turns(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1, .seq = 100};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    get(&bench, WR_CURSOR_LIVE, WR_LANE_ALARMS);
    assert_int_equal(bench.action.request.first, 101);
    const uint64_t live = bench.action.request.ticket;
    get(&bench, WR_CURSOR_BACKFILL, WR_LANE_ALARMS);
    assert_int_equal(bench.action.request.first, 1);
    assert_int_equal(bench.action.request.last, 100);
    assert_false(next(&bench)); /* lanes of unknown size: 16 of 64 KB fill the window of bytes */
    struct wr_uplink_reply done = {
        .kind = WR_UPLINK_DONE, .lane = WR_LANE_ALARMS, .cursor = WR_CURSOR_BACKFILL, .ticket = bench.action.request.ticket};
    wr_uplink_on_store(bench.uplink, &bench.now, &done, 0, WR_OK);
    assert_false(next(&bench)); /* what is asked for is more than a connection begins with */
    done.cursor = WR_CURSOR_LIVE;
    done.ticket = live;
    wr_uplink_on_store(bench.uplink, &bench.now, &done, 0, WR_OK);
    get(&bench, WR_CURSOR_LIVE, WR_LANE_CHANGES);
    assert_int_equal(bench.action.request.max_segments, 2); /* of 64 KB: an eighth of the window */
    wr_uplink_free(bench.uplink);
}

/* A segment that the store salvaged out of a former one goes under its own key, and is offered and acknowledged by its place. */
static void a_salvaged_segment_is_known_by_its_place(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    get(&bench, WR_CURSOR_LIVE, WR_LANE_ALARMS);
    struct wr_uplink_reply reply = {.kind = WR_UPLINK_SEGMENT, .cursor = WR_CURSOR_LIVE, .ticket = bench.action.request.ticket};
    for (int64_t i = 0; i < 2; i++) { /* its own seq is below that of the one before */
        reply.segment = (struct wr_segment){.epoch = 77, .seq = 900 - i, .place = 5 + i, .body = malloc(10), .body_len = 10};
        wr_uplink_on_store(bench.uplink, &bench.now, &reply, 10, WR_OK);
    }
    expect(&bench, WR_UPLINK_ACT_REQUEST);
    assert_int_equal(bench.action.request.kind, WR_UPLINK_OFFER);
    assert_int_equal(bench.action.request.last, 6 + WR_UPLINK_STRIDE - 1);
    struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .seq = bench.action.request.last};
    wr_uplink_on_store(bench.uplink, &bench.now, &offered, 0, WR_OK);
    for (int64_t i = 0; i < 2; i++) {
        do
            assert_true(next(&bench));
        while (bench.action.kind == WR_UPLINK_ACT_REQUEST);
        assert_int_equal(bench.action.kind, WR_UPLINK_ACT_PUBLISH);
        assert_int_equal(bench.action.segment->epoch, 77);
        assert_int_equal(bench.action.segment->seq, 900 - i);
        session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
        do
            assert_true(next(&bench));
        while (bench.action.kind != WR_UPLINK_ACT_REQUEST || bench.action.request.kind != WR_UPLINK_ACK);
        assert_int_equal(bench.action.request.epoch, 1);
        assert_int_equal(bench.action.request.first, 5 + i);
        assert_int_equal(bench.action.request.last, 5 + i);
    }
    wr_uplink_free(bench.uplink);
}

/* ---- pace ---- */

static void segment_comes(struct bench *bench, int64_t seq) {
    struct wr_uplink_reply reply = {.kind = WR_UPLINK_SEGMENT,
                                    .lane = bench->action.request.lane,
                                    .cursor = bench->action.request.cursor,
                                    .ticket = bench->action.request.ticket};
    reply.segment = (struct wr_segment){.seq = seq,
                                        .lane = reply.lane,
                                        .kind = reply.lane == WR_LANE_ALARMS ? WR_SEGMENT_GAPS : WR_SEGMENT_AGGREGATES,
                                        .body = malloc(1000),
                                        .body_len = 1000};
    wr_uplink_on_store(bench->uplink, &bench->now, &reply, 1000, WR_OK);
}

/* Two windows, once, of which the broker answers the second alone. */
static void serve(struct bench *bench, int64_t *seq, uint64_t *left_out) {
    while (next(bench)) {
        const struct wr_uplink_request request = bench->action.request;
        const uint64_t id = bench->action.id;
        if (bench->action.kind == WR_UPLINK_ACT_PUBLISH && *left_out == 0) {
            *left_out = id;
        } else if (bench->action.kind == WR_UPLINK_ACT_PUBLISH) {
            session(bench, WR_SESSION_DELIVERED, id, 0);
        } else if (request.kind == WR_UPLINK_GET) {
            while (*seq < 2 && request.lane == WR_LANE_WINDOWS)
                segment_comes(bench, ++*seq);
            struct wr_uplink_reply done = {
                .kind = WR_UPLINK_DONE, .lane = request.lane, .cursor = request.cursor, .ticket = request.ticket};
            wr_uplink_on_store(bench->uplink, &bench->now, &done, 0, WR_OK);
        } else if (request.kind == WR_UPLINK_OFFER) {
            struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last};
            wr_uplink_on_store(bench->uplink, &bench->now, &offered, 0, WR_OK);
        }
    }
}

/* What was left out is in flight no more: nobody waits for it, and nobody spins. */
static void a_fresh_store_forgets_what_was_left_out(void **state) {
    (void)state;
    struct bench bench;
    int64_t seq = 0;
    uint64_t left_out = 0;
    bench_open(&bench);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    serve(&bench, &seq, &left_out);
    assert_true(seq == 2 && left_out > 0);
    assert_int_equal(delay(&bench), 30 * WR_NS_PER_S);
    ready.epoch = 2;
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    serve(&bench, &seq, &left_out);
    bench.now.boot_ns += 31 * WR_NS_PER_S;
    serve(&bench, &seq, &left_out);
    assert_true(wr_uplink_wake_ns(bench.uplink) > bench.now.boot_ns);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_ONLINE);
    wr_uplink_free(bench.uplink);
}

/* Runs a drain of windows, without end unless seq is NULL, all acknowledged at once. Returns how many went until then. */
static unsigned drains(struct bench *bench, int64_t until_boot_ns, int64_t *seq) {
    unsigned published = 0;
    for (;;) {
        while (next(bench)) {
            const struct wr_uplink_request request = bench->action.request;
            const uint64_t id = bench->action.id;
            if (bench->action.kind == WR_UPLINK_ACT_PUBLISH) {
                published++;
                session(bench, WR_SESSION_DELIVERED, id, 0);
            } else if (bench->action.kind == WR_UPLINK_ACT_REQUEST && request.kind == WR_UPLINK_GET) {
                for (uint32_t i = 0;
                     seq != NULL && i < request.max_segments && request.lane == WR_LANE_WINDOWS && request.cursor == WR_CURSOR_LIVE; i++)
                    segment_comes(bench, ++*seq);
                struct wr_uplink_reply done = {
                    .kind = WR_UPLINK_DONE, .lane = request.lane, .cursor = request.cursor, .ticket = request.ticket};
                wr_uplink_on_store(bench->uplink, &bench->now, &done, 0, WR_OK);
            } else if (bench->action.kind == WR_UPLINK_ACT_REQUEST && request.kind == WR_UPLINK_OFFER) {
                struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last};
                wr_uplink_on_store(bench->uplink, &bench->now, &offered, 0, WR_OK);
            }
        }
        const int64_t wake_ns = wr_uplink_wake_ns(bench->uplink);
        if (wake_ns > until_boot_ns)
            return published;
        assert_true(wake_ns > bench->now.boot_ns); /* it does not spin */
        bench->now.boot_ns = wake_ns;
    }
}

/* Segments that each cursor asks for in 400 GETs, while both always have some. */
static void asks_of_both(uint32_t percent, unsigned ret_asked[2]) {
    struct wr_uplink_config config = wr_uplink_defaults();
    struct bench bench;
    config.backfill_percent = percent;
    bench_open_with(&bench, &config);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1, .seq = 1000000};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    int64_t seq[2] = {1000000, 0};
    ret_asked[0] = ret_asked[1] = 0;
    for (int gets = 0; gets < 400;) {
        assert_true(next(&bench));
        const struct wr_uplink_request request = bench.action.request;
        if (bench.action.kind == WR_UPLINK_ACT_PUBLISH) {
            session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
        } else if (request.kind == WR_UPLINK_GET) {
            const bool has = request.lane == WR_LANE_WINDOWS;
            for (uint32_t i = 0; has && i < request.max_segments; i++)
                segment_comes(&bench, ++seq[request.cursor]);
            struct wr_uplink_reply done = {
                .kind = WR_UPLINK_DONE, .lane = request.lane, .cursor = request.cursor, .ticket = request.ticket};
            wr_uplink_on_store(bench.uplink, &bench.now, &done, 0, WR_OK);
            ret_asked[request.cursor] += has ? request.max_segments : 0;
            gets += has;
        } else if (request.kind == WR_UPLINK_OFFER) {
            struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last};
            wr_uplink_on_store(bench.uplink, &bench.now, &offered, 0, WR_OK);
        }
    }
    wr_uplink_free(bench.uplink);
}

static void backfill_has_its_share(void **state) {
    static const uint32_t percents[] = {0, 10, 25, 50, 90};
    (void)state;
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        unsigned asked[2];
        asks_of_both(percents[i], asked);
        const unsigned share = 100 * asked[WR_CURSOR_BACKFILL] / (asked[WR_CURSOR_LIVE] + asked[WR_CURSOR_BACKFILL]);
        assert_in_range(share, percents[i] > 2 ? percents[i] - 2 : 0, percents[i] + 2);
    }
}

static void segments_keep_to_the_rate(void **state) {
    (void)state;
    struct wr_uplink_config config = wr_uplink_defaults();
    struct bench bench;
    int64_t seq = 0;
    config.rate_bytes_per_s = 10000;
    bench_open_with(&bench, &config);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    assert_in_range(drains(&bench, bench.now.boot_ns + 10 * WR_NS_PER_S, &seq), 108, 112); /* 10 s, and the second that was saved up */
    assert_true(give(&bench, 1)); /* does not wait for it; then a stop, which does not ask for the rate any more */
    expect(&bench, WR_UPLINK_ACT_DIRECT);
    assert_false(next(&bench)); /* a segment stands ready */
    wr_uplink_on_stop(bench.uplink, &bench.now, bench.now.boot_ns + 5 * WR_NS_PER_S);
    assert_false(next(&bench));
    bench.now.boot_ns += 2 * WR_NS_PER_S;
    assert_false(next(&bench));
    assert_int_equal(delay(&bench), 3 * WR_NS_PER_S);
    wr_uplink_free(bench.uplink);
}

/* A refusal of the kind "enough" halves what is in flight; another kind does not. */
static void a_quota_slows_down(void **state) {
    (void)state;
    for (int quota = 0; quota < 2; quota++) {
        struct bench bench;
        struct wr_uplink_stats stats;
        bench_open(&bench);
        online(&bench);
        struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
        wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
        get(&bench, WR_CURSOR_LIVE, WR_LANE_ALARMS);
        segment_comes(&bench, 1);
        expect(&bench, WR_UPLINK_ACT_REQUEST);
        struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = WR_LANE_ALARMS, .seq = bench.action.request.last};
        wr_uplink_on_store(bench.uplink, &bench.now, &offered, 0, WR_OK);
        do
            assert_true(next(&bench));
        while (bench.action.kind != WR_UPLINK_ACT_PUBLISH);
        struct wr_session_event event = {.kind = WR_SESSION_REFUSED, .reason = quota ? 0x97 : 0x87, .connection = 1, .id = bench.action.id};
        wr_uplink_on_session(bench.uplink, &bench.now, 0, &event);
        wr_uplink_stats(bench.uplink, &stats);
        assert_int_equal(stats.pace, quota ? WR_PACE_START / 2 : WR_PACE_START);
        assert_int_equal(stats.pace_cuts, quota);
        wr_uplink_free(bench.uplink);
    }
}

/* Its time has come, but the window is full: only an acknowledgement, or the lack of one, changes that. */
static void a_refused_segment_that_finds_no_room_is_waited_for(void **state) {
    (void)state;
    struct wr_uplink_config config = wr_uplink_defaults();
    struct bench bench;
    config.window = 1;
    bench_open_with(&bench, &config);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    get(&bench, WR_CURSOR_LIVE, WR_LANE_ALARMS);
    segment_comes(&bench, 1);
    expect(&bench, WR_UPLINK_ACT_REQUEST);
    struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = WR_LANE_ALARMS, .seq = bench.action.request.last};
    wr_uplink_on_store(bench.uplink, &bench.now, &offered, 0, WR_OK);
    do
        assert_true(next(&bench));
    while (bench.action.kind != WR_UPLINK_ACT_PUBLISH);
    struct wr_session_event event = {.kind = WR_SESSION_REFUSED, .reason = 0x87, .connection = 1, .id = bench.action.id};
    wr_uplink_on_session(bench.uplink, &bench.now, 0, &event);
    assert_true(give(&bench, 1)); /* takes the only place, and is not answered */
    do
        assert_true(next(&bench));
    while (bench.action.kind != WR_UPLINK_ACT_DIRECT);
    const uint64_t direct = bench.action.id;
    while (next(&bench))
        continue;
    assert_int_equal(delay(&bench), 5 * WR_NS_PER_S); /* the retry */
    bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    assert_false(next(&bench));
    assert_int_equal(delay(&bench), 25 * WR_NS_PER_S); /* the direct message, if it stays unanswered */
    session(&bench, WR_SESSION_DELIVERED, direct, 0);
    do
        assert_true(next(&bench));
    while (bench.action.kind != WR_UPLINK_ACT_REQUEST || bench.action.request.cursor != WR_CURSOR_RETRY);
    assert_int_equal(bench.action.request.first, 1);
    wr_uplink_free(bench.uplink);
}

/* ---- what a broker does not take ---- */

/* A store with windows 1 to n, one more each second, and a broker that closes the connection whenever it sees `poison`. */
struct suspects {
    struct bench bench;
    int64_t n;
    int64_t poison;   /* 0: each of them */
    int64_t sent[64]; /* in the order of publishing: seq, 0: anything else */
    uint64_t ids[64];
    unsigned n_sent;
    bool acked[200];
    int64_t parked; /* the last; 0: none */
    bool is_parked[200];
    bool others; /* segments 1 to 60 are no windows, but of this lane */
    uint8_t lane;
    uint8_t park_reason;
    unsigned sessions;
};

static void suspects_open(struct suspects *suspects, int64_t n, int64_t poison) {
    *suspects = (struct suspects){.n = n, .poison = poison};
    bench_open(&suspects->bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(suspects->bench.uplink, &suspects->bench.now, &ready, 0, WR_OK);
}

static uint8_t suspects_lane(const struct suspects *suspects, int64_t seq) {
    return suspects->others && seq <= 60 ? suspects->lane : WR_LANE_WINDOWS;
}

static void suspects_get(struct suspects *suspects, const struct wr_uplink_request *get) {
    uint32_t given = 0;
    for (int64_t seq = get->first; seq <= suspects->n && seq <= get->last && given < get->max_segments; seq++)
        if (suspects_lane(suspects, seq) == get->lane && !suspects->acked[seq] && !suspects->is_parked[seq]) {
            segment_comes(&suspects->bench, seq);
            given++;
        }
    struct wr_uplink_reply done = {.kind = WR_UPLINK_DONE, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
    wr_uplink_on_store(suspects->bench.uplink, &suspects->bench.now, &done, 0, WR_OK);
}

/* Everything that is due; true: something was published. */
static bool suspects_act(struct suspects *suspects) {
    struct bench *bench = &suspects->bench;
    suspects->n_sent = 0;
    while (next(bench)) {
        const struct wr_uplink_request request = bench->action.request;
        if (bench->action.kind == WR_UPLINK_ACT_CONNECT) {
            suspects->sessions++;
            session(bench, WR_SESSION_CONNECTED, 0, 0);
        } else if (bench->action.kind == WR_UPLINK_ACT_PUBLISH || bench->action.kind == WR_UPLINK_ACT_BIRTH ||
                   bench->action.kind == WR_UPLINK_ACT_DIRECT) {
            assert_true(suspects->n_sent < 64);
            suspects->ids[suspects->n_sent] = bench->action.id;
            suspects->sent[suspects->n_sent++] = bench->action.kind == WR_UPLINK_ACT_PUBLISH ? bench->action.segment->seq : 0;
        } else if (bench->action.kind == WR_UPLINK_ACT_REQUEST && request.kind == WR_UPLINK_GET) {
            suspects_get(suspects, &request);
        } else if (bench->action.kind == WR_UPLINK_ACT_REQUEST && request.kind == WR_UPLINK_OFFER) {
            struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last};
            wr_uplink_on_store(bench->uplink, &bench->now, &offered, 0, WR_OK);
        } else if (bench->action.kind == WR_UPLINK_ACT_REQUEST && request.kind == WR_UPLINK_ACK) {
            suspects->acked[request.first] = true;
        } else if (bench->action.kind == WR_UPLINK_ACT_REQUEST && request.kind == WR_UPLINK_PARK) {
            assert_false(suspects->is_parked[request.first]);
            suspects->parked = request.first;
            suspects->is_parked[request.first] = true;
            suspects->park_reason = request.reason;
        }
    }
    assert_true(wr_uplink_is_valid(bench->uplink));
    return suspects->n_sent > 0;
}

/* Runs until there is nothing left, or so long. The broker takes what comes before the poison, and is never heard of what is behind it. */
static void suspects_run(struct suspects *suspects, int64_t for_ns) {
    struct bench *bench = &suspects->bench;
    const int64_t until_ns = bench->now.boot_ns + for_ns;
    while (bench->now.boot_ns < until_ns && suspects->parked == 0) {
        while (suspects_act(suspects)) {
            bool broken = false;
            for (unsigned i = 0; i < suspects->n_sent && !broken; i++) {
                broken = suspects->sent[i] > 0 && (suspects->poison == 0 || suspects->sent[i] == suspects->poison);
                if (!broken)
                    session(bench, WR_SESSION_DELIVERED, suspects->ids[i], 0);
            }
            if (broken)
                session(bench, WR_SESSION_LOST, 0, (uint64_t)WR_NS_PER_S);
        }
        bench->now.boot_ns += WR_NS_PER_S;
        if (bench->now.boot_ns % (4 * WR_NS_PER_S) == 0 && suspects->n < 150) {
            struct wr_uplink_reply available = {.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_WINDOWS, .seq = ++suspects->n};
            wr_uplink_on_store(bench->uplink, &bench->now, &available, 0, WR_OK);
        }
    }
}

/* MQTT 3.1.1 has no word for it: what ends each session that it comes in is found among others, put aside, and parked while they go on. */
static void what_each_session_ends_over_is_parked(void **state) {
    (void)state;
    for (int64_t poison = 1; poison <= 40; poison += 13) {
        struct suspects suspects;
        suspects_open(&suspects, 40, poison);
        suspects_run(&suspects, 1800 * WR_NS_PER_S);
        assert_int_equal(suspects.parked, poison);
        assert_int_equal(suspects.park_reason, WR_UPLINK_HANGUP);
        assert_true(suspects.sessions <= 12);
        for (int64_t seq = 1; seq <= 40; seq++)
            assert_int_equal(suspects.acked[seq], seq != poison);
        wr_uplink_free(suspects.bench.uplink);
    }
}

/* The same with an action's message, without any store: it is given up, and those behind it go at once. */
static void a_message_that_sessions_end_over_is_given_up(void **state) {
    (void)state;
    struct suspects suspects = {0};
    struct bench *bench = &suspects.bench;
    struct wr_uplink_stats stats;
    bench_open(bench);
    unsigned sessions = 0;
    uint64_t given = 0;
    unsigned delivered = 0;
    bool given_up = false;
    for (int64_t second = 0; second < 1800 && !given_up; second++) {
        if (second % 10 == 0)
            (void)give(bench, ++given); /* the first is the one */
        while (next(bench)) {
            const uint64_t id = bench->action.id;
            if (bench->action.kind == WR_UPLINK_ACT_CONNECT) {
                sessions++;
                session(bench, WR_SESSION_CONNECTED, 0, 0);
            } else if (bench->action.kind == WR_UPLINK_ACT_DIRECT && bench->action.direct->id == 1) {
                session(bench, WR_SESSION_LOST, 0, (uint64_t)WR_NS_PER_S);
            } else if (bench->action.kind == WR_UPLINK_ACT_DIRECT || bench->action.kind == WR_UPLINK_ACT_BIRTH) {
                session(bench, WR_SESSION_DELIVERED, id, 0);
            } else if (bench->action.kind == WR_UPLINK_ACT_DIRECT_DONE) {
                delivered += bench->action.delivered;
                given_up |= id == 1 && !bench->action.delivered;
            }
        }
        bench->now.boot_ns += WR_NS_PER_S;
    }
    wr_uplink_stats(bench->uplink, &stats);
    assert_true(given_up && sessions <= 12);
    assert_int_equal(delivered, given - 1);
    wr_uplink_free(bench->uplink);
}

/* A link that always breaks, or a broker that is ill, ends sessions over anything: it all goes when that is over. */
static void a_broken_link_parks_nothing(void **state) {
    (void)state;
    struct suspects suspects;
    suspects_open(&suspects, 40, 0);
    suspects_run(&suspects, 3600 * WR_NS_PER_S);
    assert_int_equal(suspects.parked, 0);
    assert_true(suspects.sessions >= 20);
    suspects.poison = -1;
    suspects_run(&suspects, 300 * WR_NS_PER_S);
    for (int64_t seq = 1; seq <= suspects.n; seq++)
        assert_true(suspects.acked[seq]);
    wr_uplink_free(suspects.bench.uplink);
}

/* How often the only segment is refused for this reason until it is parked, at most 20 times. */
static unsigned refusals_until_parked(uint8_t reason) {
    struct suspects suspects;
    unsigned refused = 0;
    suspects_open(&suspects, 1, -1);
    while (suspects.parked == 0 && refused < 20) {
        (void)suspects_act(&suspects);
        for (unsigned i = 0; i < suspects.n_sent; i++) {
            struct wr_session_event event = {.kind = suspects.sent[i] > 0 ? WR_SESSION_REFUSED : WR_SESSION_DELIVERED,
                                             .reason = suspects.sent[i] > 0 ? reason : 0,
                                             .connection = 1,
                                             .id = suspects.ids[i]};
            refused += suspects.sent[i] > 0;
            wr_uplink_on_session(suspects.bench.uplink, &suspects.bench.now, 0, &event);
        }
        (void)suspects_act(&suspects);
        suspects.bench.now.boot_ns += 100 * WR_NS_PER_S;
    }
    if (suspects.parked == 0) { /* then it goes */
        suspects_run(&suspects, 100 * WR_NS_PER_S);
        assert_true(suspects.acked[1]);
    }
    wr_uplink_free(suspects.bench.uplink);
    return refused;
}

/* What the broker does with a segment. */
typedef void answer_with(struct suspects *suspects, int64_t seq, uint64_t id);

static void one_more(struct suspects *suspects) {
    if (suspects->n >= 150)
        return;
    struct wr_uplink_reply available = {.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_WINDOWS, .seq = ++suspects->n};
    wr_uplink_on_store(suspects->bench.uplink, &suspects->bench.now, &available, 0, WR_OK);
}

static void refuse(struct suspects *suspects, uint64_t id) {
    const struct wr_session_event event = {
        .kind = WR_SESSION_REFUSED, .reason = 0x87, .connection = suspects->bench.action.connection, .id = id};
    wr_uplink_on_session(suspects->bench.uplink, &suspects->bench.now, 0, &event);
}

/* One more segment every ten seconds. */
static void suspects_meet(struct suspects *suspects, int64_t seconds, answer_with *answer) {
    for (int64_t second = 0; second < seconds; second++) {
        while (suspects_act(suspects)) {
            const unsigned session_no = suspects->sessions;
            struct wr_uplink_stats stats = {.state = WR_UPLINK_ONLINE};
            for (unsigned i = 0; i < suspects->n_sent && session_no == suspects->sessions && stats.state == WR_UPLINK_ONLINE; i++) {
                if (suspects->sent[i] > 0)
                    answer(suspects, suspects->sent[i], suspects->ids[i]);
                else
                    session(&suspects->bench, WR_SESSION_DELIVERED, suspects->ids[i], 0);
                wr_uplink_stats(suspects->bench.uplink, &stats);
            }
        }
        suspects->bench.now.boot_ns += WR_NS_PER_S;
        if (second % 10 == 9)
            one_more(suspects);
    }
}

static void every_other_is_forbidden(struct suspects *suspects, int64_t seq, uint64_t id) {
    if (seq % 2 == 1)
        refuse(suspects, id);
    else
        session(&suspects->bench, WR_SESSION_DELIVERED, id, 0);
}

static unsigned n_parked(const struct suspects *suspects) {
    unsigned n = 0;
    for (size_t seq = 0; seq < 200; seq++)
        n += suspects->is_parked[seq];
    return n;
}

/* Where a broker takes one of two topics, the other keeps nothing out: fifteen wait until they may go, and no more. */
static void what_is_forbidden_keeps_nothing_else_out(void **state) {
    (void)state;
    struct suspects suspects;
    suspects_open(&suspects, 20, -1);
    suspects_meet(&suspects, 50, every_other_is_forbidden); /* 12 are forbidden */
    for (int64_t seq = 2; seq <= 20; seq += 2)
        assert_true(suspects.acked[seq]);
    suspects_meet(&suspects, 600, every_other_is_forbidden);
    assert_true(suspects.n > 80);
    suspects_meet(&suspects, 1800, every_other_is_forbidden);
    for (int64_t seq = 2; seq <= 140; seq += 2)
        assert_true(suspects.acked[seq]);
    assert_true(n_parked(&suspects) >= 75 - WR_UPLINK_REFUSED && n_parked(&suspects) <= 75 - WR_UPLINK_REFUSED + 1);
    suspects_run(&suspects, 200 * WR_NS_PER_S); /* the right was given */
    wr_uplink_free(suspects.bench.uplink);
}

/* Sixteen and more in a row: nothing of another topic was among them. */
static void all_of_the_beginning_are_forbidden(struct suspects *suspects, int64_t seq, uint64_t id) {
    if (seq <= 60)
        refuse(suspects, id);
    else
        session(&suspects->bench, WR_SESSION_DELIVERED, id, 0);
}

static void suspects_beside(struct suspects *suspects, uint8_t lane, int64_t n) {
    struct wr_uplink_reply reply = {.kind = WR_UPLINK_AVAILABLE, .lane = lane, .seq = n};
    suspects_open(suspects, n, -1);
    suspects->others = true;
    suspects->lane = lane;
    wr_uplink_on_store(suspects->bench.uplink, &suspects->bench.now, &reply, 0, WR_OK);
}

static void windows_have_their_lane_and_gaps_their_topic(void **state) {
    (void)state;
    struct suspects suspects;
    suspects_beside(&suspects, WR_LANE_CHANGES, 60);
    suspects_meet(&suspects, 1800, all_of_the_beginning_are_forbidden);
    assert_true(n_parked(&suspects) > 0);
    for (int64_t seq = 61; seq <= 140; seq++)
        assert_true(suspects.acked[seq]);
    wr_uplink_free(suspects.bench.uplink);

    suspects_beside(&suspects, WR_LANE_ALARMS, 60);
    suspects_meet(&suspects, 1800, all_of_the_beginning_are_forbidden);
    assert_true(n_parked(&suspects) == 60 - WR_UPLINK_REFUSED + 1 || n_parked(&suspects) == 60 - WR_UPLINK_REFUSED);
    wr_uplink_free(suspects.bench.uplink);
}

static void few_are_forbidden(struct suspects *suspects, int64_t seq, uint64_t id) {
    if (seq > 5) {
        session(&suspects->bench, WR_SESSION_DELIVERED, id, 0);
        return;
    }
    refuse(suspects, id);
    session(&suspects->bench, WR_SESSION_LOST, 0, 110 * (uint64_t)WR_NS_PER_S);
}

/* Mosquitto 2.0.11 with max_queued_messages 0. */
static void a_broker_that_refuses_and_closes_takes_the_others(void **state) {
    (void)state;
    struct suspects suspects;
    suspects_open(&suspects, 20, -1);
    suspects_meet(&suspects, 3600, few_are_forbidden);
    assert_int_equal(suspects.n, 150);
    for (int64_t seq = 6; seq <= 150; seq++)
        assert_true(suspects.acked[seq]);
    assert_int_equal(n_parked(&suspects), 0);
    wr_uplink_free(suspects.bench.uplink);
}

static void first_hangs_up_then_swallows(struct suspects *suspects, int64_t seq, uint64_t id) {
    if (suspects->sessions <= 2)
        session(&suspects->bench, WR_SESSION_LOST, 0, (uint64_t)WR_NS_PER_S);
    else if (seq != 1)
        session(&suspects->bench, WR_SESSION_DELIVERED, id, 0);
}

static void hangs_up_then_swallows_the_suspect(struct suspects *suspects, int64_t seq, uint64_t id) {
    if (seq != 1)
        session(&suspects->bench, WR_SESSION_DELIVERED, id, 0);
    else if (suspects->sessions <= 3)
        session(&suspects->bench, WR_SESSION_LOST, 0, (uint64_t)WR_NS_PER_S);
}

/* While messages go one by one nothing overtakes one that is never answered. */
static void what_is_swallowed_after_hangups_is_parked_too(void **state) {
    (void)state;
    answer_with *const answers[] = {first_hangs_up_then_swallows, hangs_up_then_swallows_the_suspect};
    for (size_t i = 0; i < 2; i++) {
        struct suspects suspects;
        suspects_open(&suspects, 20, -1);
        suspects_meet(&suspects, 1800, answers[i]);
        for (int64_t seq = 2; seq <= 140; seq++)
            assert_true(suspects.acked[seq]);
        assert_true(suspects.is_parked[1] && n_parked(&suspects) == 1);
        wr_uplink_free(suspects.bench.uplink);
    }
}

/* What is about the node is none of the segment's fault: somebody gives it the right, or a larger quota, and then it goes. */
static void only_what_is_about_a_segment_parks_it(void **state) {
    (void)state;
    assert_int_equal(refusals_until_parked(0x80), WR_UPLINK_REFUSALS_TO_PARK);
    assert_int_equal(refusals_until_parked(0x99), WR_UPLINK_REFUSALS_TO_PARK);
    assert_int_equal(refusals_until_parked(0x95), 1); /* its size stays */
    assert_int_equal(refusals_until_parked(0x87), 20);
    assert_int_equal(refusals_until_parked(0x97), 20);
}

/* A window of one has no part to keep for alarms: what is held in it for its rate must not keep them out. */
static void what_waits_for_its_rate_keeps_no_alarm_out(void **state) {
    (void)state;
    struct wr_uplink_config config = wr_uplink_defaults();
    struct suspects suspects = {.n = 50, .poison = -1};
    config.window = 1;
    config.rate_bytes_per_s = 100;
    bench_open_with(&suspects.bench, &config);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(suspects.bench.uplink, &suspects.bench.now, &ready, 0, WR_OK);
    suspects_run(&suspects, 15 * WR_NS_PER_S);
    assert_true(suspects.acked[1] && !suspects.acked[10]);
    struct wr_uplink_reply alarm = {.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_ALARMS, .seq = 100};
    wr_uplink_on_store(suspects.bench.uplink, &suspects.bench.now, &alarm, 0, WR_OK);
    get(&suspects.bench, WR_CURSOR_LIVE, WR_LANE_ALARMS);
    segment_comes(&suspects.bench, 100);
    do
        assert_true(next(&suspects.bench));
    while (suspects.bench.action.kind != WR_UPLINK_ACT_REQUEST || suspects.bench.action.request.kind != WR_UPLINK_OFFER);
    struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = WR_LANE_ALARMS, .seq = suspects.bench.action.request.last};
    wr_uplink_on_store(suspects.bench.uplink, &suspects.bench.now, &offered, 0, WR_OK);
    expect(&suspects.bench, WR_UPLINK_ACT_PUBLISH);
    assert_int_equal(suspects.bench.action.segment->seq, 100);
    wr_uplink_free(suspects.bench.uplink);
}

/* ---- commands ---- */

static void listening_open(struct bench *bench) {
    struct wr_uplink_config config = wr_uplink_defaults();
    config.commands = true;
    bench_open_with(bench, &config);
}

static void connected(struct bench *bench) {
    expect(bench, WR_UPLINK_ACT_CONNECT);
    session(bench, WR_SESSION_DIALLED, 0, 0);
    session(bench, WR_SESSION_CONNECTED, 0, 0);
}

static void suback(struct bench *bench, uint8_t reason) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench->uplink, &stats);
    struct wr_session_event event = {
        .kind = WR_SESSION_SUBSCRIBED, .reason = reason, .connection = stats.connections, .text = "not for you"};
    wr_uplink_on_session(bench->uplink, &bench->now, 0, &event);
}

static void born(struct bench *bench) {
    expect(bench, WR_UPLINK_ACT_BIRTH);
    session(bench, WR_SESSION_DELIVERED, bench->action.id, 0);
    assert_false(next(bench));
}

static void lose(struct bench *bench) {
    session(bench, WR_SESSION_LOST, 0, 0);
    bench->now.boot_ns = wr_uplink_wake_ns(bench->uplink);
}

static void commands_are(const struct bench *bench, enum wr_uplink_commands commands, unsigned refused) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench->uplink, &stats);
    assert_int_equal(stats.commands, commands);
    assert_int_equal(stats.commands_refused, refused);
    assert_true(wr_uplink_is_valid(bench->uplink));
}

/* Whoever sees "online" is heard: the subscription goes first, with each connection, and the birth does not wait for its answer. */
static void commands_are_asked_for_before_the_birth(void **state) {
    (void)state;
    struct bench bench;
    listening_open(&bench);
    for (int i = 0; i < 3; i++) {
        commands_are(&bench, WR_UPLINK_COMMANDS_OFF, 0);
        connected(&bench);
        expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
        commands_are(&bench, WR_UPLINK_COMMANDS_ASKED, 0);
        born(&bench);
        suback(&bench, 1);
        commands_are(&bench, WR_UPLINK_COMMANDS_HEARD, 0);
        suback(&bench, 0x87); /* once more for the same: nothing */
        commands_are(&bench, WR_UPLINK_COMMANDS_HEARD, 0);
        assert_false(next(&bench));
        assert_int_equal(wr_uplink_wake_ns(bench.uplink), WR_NEVER_NS);
        lose(&bench);
    }
    wr_uplink_free(bench.uplink);
    bench_open(&bench);
    connected(&bench);
    born(&bench); /* not wanted: not asked for */
    wr_uplink_free(bench.uplink);
}

/* The data goes on. Rights may be given while the session is up: so it is asked for again. */
static void a_refused_subscription_is_asked_for_again(void **state) {
    (void)state;
    struct bench bench;
    listening_open(&bench);
    connected(&bench);
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    suback(&bench, 0x87);
    commands_are(&bench, WR_UPLINK_COMMANDS_REFUSED, 1);
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench.uplink, &stats);
    assert_string_equal(stats.commands_cause, "not for you");
    born(&bench);
    assert_int_equal(delay(&bench), 300 * WR_NS_PER_S);
    bench.now.boot_ns += 300 * WR_NS_PER_S;
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    suback(&bench, 0x80);
    commands_are(&bench, WR_UPLINK_COMMANDS_REFUSED, 2);
    lose(&bench);
    connected(&bench);
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE); /* and with the next connection at once */
    suback(&bench, 0);
    commands_are(&bench, WR_UPLINK_COMMANDS_HEARD, 2);
    wr_uplink_free(bench.uplink);
}

/* There are brokers that close the connection instead of refusing: the data must not suffer with each of them. */
static void a_broker_that_hangs_up_is_not_asked_each_time(void **state) {
    (void)state;
    struct bench bench;
    listening_open(&bench);
    for (int i = 0; i < 3; i++) {
        commands_are(&bench, WR_UPLINK_COMMANDS_OFF, 0);
        connected(&bench);
        expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
        lose(&bench);
    }
    int64_t barred_ns = 300 * WR_NS_PER_S;
    commands_are(&bench, WR_UPLINK_COMMANDS_OFF, 1);
    for (int i = 0; i < 2; i++) { /* each connection now, until the time is over */
        connected(&bench);
        commands_are(&bench, WR_UPLINK_COMMANDS_REFUSED, 1);
        born(&bench);
        assert_in_range(delay(&bench), barred_ns - 10 * WR_NS_PER_S, barred_ns);
        if (i == 0)
            lose(&bench);
    }
    bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    lose(&bench); /* still so: one connection in five minutes */
    commands_are(&bench, WR_UPLINK_COMMANDS_OFF, 2);
    connected(&bench);
    born(&bench);
    bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    suback(&bench, 1);            /* mended */
    for (int i = 0; i < 3; i++) { /* and it is counted from the beginning */
        lose(&bench);
        connected(&bench);
        expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    }
    wr_uplink_free(bench.uplink);
}

/* It is owed an answer as a publish is. */
static void a_subscription_without_an_answer_ends_an_idle_session(void **state) {
    (void)state;
    struct bench bench;
    listening_open(&bench);
    connected(&bench);
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    born(&bench);
    assert_int_equal(delay(&bench), 30 * WR_NS_PER_S);
    bench.now.boot_ns += 30 * WR_NS_PER_S;
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench.uplink, &stats);
    assert_string_equal(stats.cause, "the broker acknowledged nothing for 30000 ms with 1 messages in flight");
    wr_uplink_free(bench.uplink);

    listening_open(&bench); /* but a stop does not wait for it */
    connected(&bench);
    expect(&bench, WR_UPLINK_ACT_SUBSCRIBE);
    born(&bench);
    wr_uplink_on_stop(bench.uplink, &bench.now, bench.now.boot_ns + WR_NS_PER_S);
    expect(&bench, WR_UPLINK_ACT_BIRTH);
    assert_false(bench.action.online);
    session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_STOPPED);
    wr_uplink_free(bench.uplink);
}

/* Neither takes the other's places, and each is counted as what it is. */
static void answers_have_places_of_their_own(void **state) {
    (void)state;
    struct bench bench;
    bench_open(&bench);
    for (uint64_t id = 0; id < WR_UPLINK_ANSWERS; id++) {
        assert_true(wr_uplink_answer_room(bench.uplink));
        assert_true(give(&bench, WR_UPLINK_ANSWER | id));
    }
    assert_false(wr_uplink_answer_room(bench.uplink));
    assert_false(give(&bench, WR_UPLINK_ANSWER | 99));
    for (uint64_t id = 0; id < WR_UPLINK_DIRECT; id++)
        assert_true(give(&bench, id));
    assert_false(wr_uplink_direct_room(bench.uplink));
    assert_false(give(&bench, WR_UPLINK_ANSWER | 100));
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench.uplink, &stats);
    assert_int_equal(stats.direct_waiting, WR_UPLINK_DIRECT);
    online(&bench);
    unsigned answers = 0;
    for (int i = 0; i < WR_UPLINK_DIRECT + WR_UPLINK_ANSWERS; i++) {
        expect(&bench, WR_UPLINK_ACT_DIRECT);
        bool answer = (bench.action.direct->id & WR_UPLINK_ANSWER) != 0;
        session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
        expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
        assert_int_equal((bench.action.id & WR_UPLINK_ANSWER) != 0, answer);
        answers += answer;
    }
    assert_int_equal(answers, WR_UPLINK_ANSWERS);
    assert_true(give(&bench, WR_UPLINK_ANSWER | 7));
    for (int i = 0; i < WR_UPLINK_REFUSALS_TO_PARK; i++) {
        expect(&bench, WR_UPLINK_ACT_DIRECT);
        session(&bench, WR_SESSION_REFUSED, bench.action.id, 0);
        if (i < WR_UPLINK_REFUSALS_TO_PARK - 1)
            bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    }
    expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
    assert_false(bench.action.delivered);
    wr_uplink_stats(bench.uplink, &stats);
    assert_int_equal(stats.answers, WR_UPLINK_ANSWERS);
    assert_int_equal(stats.answers_dropped, 1);
    assert_int_equal(stats.direct_dropped, 0);
    wr_uplink_free(bench.uplink);
}

static void no_memory_and_nonsense(void **state) {
    (void)state;
    struct wr_uplink_config config = wr_uplink_defaults();
    struct wr_uplink *uplink = NULL;
    wr_failing_allocations(0);
    assert_int_equal(wr_uplink_new(&config, &uplink, NULL), WR_NO_MEMORY);
    wr_failing_off();
    config.window = 0;
    assert_int_equal(wr_uplink_new(&config, &uplink, NULL), WR_INVALID);
    config = wr_uplink_defaults();
    config.backoff_max_ns = config.backoff_min_ns - 1;
    assert_int_equal(wr_uplink_new(&config, &uplink, NULL), WR_INVALID);
    config = wr_uplink_defaults();
    config.subscribe_retry_ns = 0;
    assert_int_equal(wr_uplink_new(&config, &uplink, NULL), WR_INVALID);
    assert_null(uplink);
    assert_string_equal(wr_uplink_state_name(WR_UPLINK_DRAINING), "draining");
}

/* ---- a schedule ---- */

static void closes(struct bench *bench) {
    expect(bench, WR_UPLINK_ACT_BIRTH);
    assert_true(!bench->action.online);
    assert_int_equal(bench->action.leaving, WR_UPLINK_CLOSES);
    session(bench, WR_SESSION_DELIVERED, bench->action.id, 0);
    expect(bench, WR_UPLINK_ACT_CLOSE);
    assert_true(bench->action.clean);
    assert_int_equal(wr_uplink_state(bench->uplink), WR_UPLINK_OFFLINE);
    assert_false(next(bench));
}

/* Ten minutes from the start and at half past each hour; in between only where an alarm or a direct message waits, and ten seconds more. */
static void a_schedule_is_kept_and_an_alarm_overrides_it(void **state) {
    (void)state;
    const int64_t minute_ns = 60 * WR_NS_PER_S;
    struct wr_uplink_config config = wr_uplink_defaults();
    struct wr_uplink_stats stats;
    struct bench bench;
    config.schedule = (struct wr_link_schedule){
        .every_ns = 60 * minute_ns, .open_ns = 10 * minute_ns, .place_ns = 30 * minute_ns, .start_boot_ns = WR_NS_PER_S};
    bench_open_with(&bench, &config);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    (void)drains(&bench, bench.now.boot_ns, NULL);
    bench.now.boot_ns = 10 * minute_ns;
    (void)drains(&bench, bench.now.boot_ns, NULL);
    assert_int_equal(wr_uplink_wake_ns(bench.uplink), 10 * minute_ns + WR_NS_PER_S);
    bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
    closes(&bench);
    wr_uplink_stats(bench.uplink, &stats);
    assert_true(stats.planned && stats.opens_boot_ns == 30 * minute_ns && stats.attempts == 0);
    assert_int_equal(wr_uplink_wake_ns(bench.uplink), 30 * minute_ns);

    bench.now.boot_ns = 20 * minute_ns;
    struct wr_uplink_reply window = {.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_WINDOWS, .seq = 1000};
    wr_uplink_on_store(bench.uplink, &bench.now, &window, 0, WR_OK);
    assert_false(next(&bench)); /* a window waits */
    struct wr_uplink_reply alarm = {.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_ALARMS, .seq = 1001};
    wr_uplink_on_store(bench.uplink, &bench.now, &alarm, 0, WR_OK);
    online(&bench);
    (void)drains(&bench, bench.now.boot_ns, NULL); /* it is asked for, and was nothing after all */
    bench.now.boot_ns += WR_LINK_LINGER_NS - 1;
    (void)drains(&bench, bench.now.boot_ns, NULL);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_ONLINE);
    bench.now.boot_ns += WR_NS_PER_S;
    closes(&bench);
    assert_true(give(&bench, 7)); /* an action's message is urgent too */
    expect(&bench, WR_UPLINK_ACT_CONNECT);
    session(&bench, WR_SESSION_FAILED, 0, 0);
    bench.now.boot_ns = 30 * minute_ns;
    online(&bench);
    wr_uplink_free(bench.uplink);
}

/* An alarm that comes while what is in flight at the schedule's end has no answer yet: the goodbye is said, and the next connection is at once. */
static void an_alarm_in_the_last_moment_connects_again(void **state) {
    (void)state;
    const int64_t minute_ns = 60 * WR_NS_PER_S;
    struct wr_uplink_config config = wr_uplink_defaults();
    struct bench bench;
    int64_t seq = 0;
    uint64_t left_out = 0;
    config.schedule = (struct wr_link_schedule){
        .every_ns = 60 * minute_ns, .open_ns = 10 * minute_ns, .place_ns = 30 * minute_ns, .start_boot_ns = WR_NS_PER_S};
    bench_open_with(&bench, &config);
    online(&bench);
    struct wr_uplink_reply ready = {.kind = WR_UPLINK_READY, .epoch = 1};
    wr_uplink_on_store(bench.uplink, &bench.now, &ready, 0, WR_OK);
    bench.now.boot_ns = 10 * minute_ns + WR_NS_PER_S - 1;
    serve(&bench, &seq, &left_out);
    bench.now.boot_ns++;
    assert_false(next(&bench)); /* waits for the answer */
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_DRAINING);
    struct wr_uplink_reply alarm = {.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_ALARMS, .seq = 100};
    wr_uplink_on_store(bench.uplink, &bench.now, &alarm, 0, WR_OK);
    session(&bench, WR_SESSION_DELIVERED, left_out, 0);
    do
        assert_true(next(&bench));
    while (bench.action.kind != WR_UPLINK_ACT_BIRTH);
    session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    online(&bench);
    get(&bench, WR_CURSOR_LIVE, WR_LANE_ALARMS);
    wr_uplink_free(bench.uplink);
}

/* ---- several brokers ---- */

static void bench_open_three(struct bench *bench) {
    struct wr_uplink_config config = wr_uplink_defaults();
    const struct wr_url urls[] = {{.host = "a"}, {.host = "b"}, {.host = "c"}};
    wr_route_init(&config.route, "gw-7", urls, 3);
    bench_open_with(bench, &config);
}

/* In the order of this node. */
static uint8_t place_of(unsigned broker) {
    const struct wr_url urls[] = {{.host = "a"}, {.host = "b"}, {.host = "c"}};
    struct wr_route route;
    wr_route_init(&route, "gw-7", urls, 3);
    uint8_t place = 0;
    while (route.order[place] != broker)
        place++;
    return place;
}

static void connects_to(struct bench *bench, unsigned place) {
    bench->now.boot_ns = wr_uplink_wake_ns(bench->uplink) > bench->now.boot_ns ? wr_uplink_wake_ns(bench->uplink) : bench->now.boot_ns;
    expect(bench, WR_UPLINK_ACT_CONNECT);
    assert_int_equal(place_of(bench->action.broker), place);
}

static void comes_up(struct bench *bench) {
    session(bench, WR_SESSION_CONNECTED, 0, 0);
    expect(bench, WR_UPLINK_ACT_BIRTH);
    assert_true(bench->action.online);
    session(bench, WR_SESSION_DELIVERED, bench->action.id, 0);
}

/* One dead broker costs one pause of a second at most; the cap grows with each round over all of them. */
static void a_dead_broker_gives_way_to_the_next(void **state) {
    (void)state;
    struct bench bench;
    bench_open_three(&bench);
    for (unsigned i = 0; i < 9; i++) {
        connects_to(&bench, i % 3);
        const int64_t cap_ns = ((int64_t)1 << i / 3) * WR_NS_PER_S;
        session(&bench, WR_SESSION_FAILED, 0, (uint64_t)cap_ns);
        assert_int_equal(delay(&bench), cap_ns);
    }
    wr_uplink_free(bench.uplink);
}

/* After a stable hour away: what is in flight ends, the state says that we move, and the first choice is tried at once; where it is still down, the next. */
static void it_goes_home_after_a_stable_hour(void **state) {
    (void)state;
    struct bench bench;
    struct wr_uplink_stats stats;
    bench_open_three(&bench);
    connects_to(&bench, 0);
    session(&bench, WR_SESSION_FAILED, 0, 0);
    connects_to(&bench, 1);
    comes_up(&bench);
    assert_true(give(&bench, 1));
    expect(&bench, WR_UPLINK_ACT_DIRECT);
    const uint64_t in_flight = bench.action.id;
    bench.now.boot_ns += WR_ROUTE_HOME_NS - 1;
    session(&bench, WR_SESSION_DELIVERED, 0, 0); /* the link is alive */
    assert_false(next(&bench));
    bench.now.boot_ns += 1;
    assert_false(next(&bench)); /* something is in flight */
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_DRAINING);
    session(&bench, WR_SESSION_DELIVERED, in_flight, 0);
    expect(&bench, WR_UPLINK_ACT_DIRECT_DONE);
    expect(&bench, WR_UPLINK_ACT_BIRTH);
    assert_true(!bench.action.online && bench.action.leaving == WR_UPLINK_GOES_HOME);
    session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_true(bench.action.clean);
    connects_to(&bench, 0);
    session(&bench, WR_SESSION_FAILED, 0, 0);
    connects_to(&bench, 1);
    comes_up(&bench);
    wr_uplink_stats(bench.uplink, &stats);
    assert_int_equal(stats.returns, 1);
    assert_int_equal(stats.failovers, 2);
    assert_int_equal(stats.broker_why, WR_ROUTE_FAILOVER);
    wr_uplink_free(bench.uplink);
}

/* A stop in the middle of a move is a stop. */
static void a_stop_overtakes_a_move(void **state) {
    (void)state;
    struct bench bench;
    bench_open_three(&bench);
    connects_to(&bench, 0);
    session(&bench, WR_SESSION_FAILED, 0, 0);
    connects_to(&bench, 1);
    comes_up(&bench);
    bench.now.boot_ns += WR_ROUTE_HOME_NS;
    expect(&bench, WR_UPLINK_ACT_BIRTH);
    wr_uplink_on_stop(bench.uplink, &bench.now, bench.now.boot_ns + WR_NS_PER_S);
    session(&bench, WR_SESSION_DELIVERED, bench.action.id, 0);
    expect(&bench, WR_UPLINK_ACT_CLOSE);
    assert_int_equal(wr_uplink_state(bench.uplink), WR_UPLINK_STOPPED);
    wr_uplink_free(bench.uplink);
}

static void ends_with(struct bench *bench, enum wr_session_event_kind kind, uint8_t reason, unsigned place, uint64_t random) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench->uplink, &stats);
    struct wr_session_event event = {.kind = (uint8_t)kind, .reason = reason, .connection = stats.connections};
    for (uint8_t broker = 0; broker < 3; broker++)
        if (place < 3 && place_of(broker) == place)
            event.sent_to = (uint8_t)(broker + 1);
    wr_uplink_on_session(bench->uplink, &bench->now, random, &event);
}

static void a_broker_may_send_us_to_another_of_the_list(void **state) {
    (void)state;
    struct bench bench;
    struct wr_uplink_stats stats;
    bench_open_three(&bench);
    connects_to(&bench, 0);
    ends_with(&bench, WR_SESSION_FAILED, 0x9C, 2, 0);
    connects_to(&bench, 2);
    comes_up(&bench);
    wr_uplink_stats(bench.uplink, &stats);
    assert_int_equal(stats.broker_why, WR_ROUTE_SENT);
    ends_with(&bench, WR_SESSION_LOST, 0x9D, 3, 0); /* somewhere that nobody knows: the next of the order */
    connects_to(&bench, 0);
    ends_with(&bench, WR_SESSION_FAILED, 0x9D, 1, 0); /* for good: what was second is first now */
    connects_to(&bench, 1);
    wr_uplink_stats(bench.uplink, &stats);
    assert_int_equal(stats.redirects, 2);
    assert_int_equal(stats.strange_redirects, 1);
    assert_int_equal(stats.broker_why, WR_ROUTE_FIRST);
    wr_uplink_free(bench.uplink);
}

/* Two brokers that send us to each other: each round waits longer, up to the cap. */
static void a_circle_of_redirects_is_not_run_round(void **state) {
    (void)state;
    struct bench bench;
    bench_open_three(&bench);
    unsigned hops = 0;
    for (; bench.now.boot_ns < 3600 * WR_NS_PER_S; hops++) {
        bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink) > bench.now.boot_ns ? wr_uplink_wake_ns(bench.uplink) : bench.now.boot_ns;
        expect(&bench, WR_UPLINK_ACT_CONNECT);
        ends_with(&bench, WR_SESSION_FAILED, 0x9C, place_of(bench.action.broker) == 0, UINT64_MAX / 2);
    }
    assert_in_range(hops, 10, 100);
    wr_uplink_free(bench.uplink);
}

/* Where a second is of no use, at least half of a longer pause goes by: two agents with one id do not throw each other out all the time. */
static void reasons_that_stay_are_not_run_against(void **state) {
    static const uint8_t reasons[] = {0x8E, 0x87, 0x86, 0x97, 0x9F, 4, 5};
    (void)state;
    for (size_t i = 0; i < sizeof reasons; i++) {
        struct bench bench;
        struct wr_uplink_stats stats;
        bench_open(&bench);
        int64_t least_s = 15;
        for (int again = 0; again < 4; again++) {
            bench.now.boot_ns = wr_uplink_wake_ns(bench.uplink);
            expect(&bench, WR_UPLINK_ACT_CONNECT);
            session(&bench, WR_SESSION_CONNECTED, 0, 0);
            bench.now.boot_ns += 59 * WR_NS_PER_S;
            ends_with(&bench, WR_SESSION_LOST, reasons[i], 3, 0);
            assert_int_equal(delay(&bench), least_s * WR_NS_PER_S);
            least_s = least_s < 60 ? 2 * least_s : 60;
        }
        wr_uplink_stats(bench.uplink, &stats);
        assert_int_equal(stats.reason, reasons[i]);
        wr_uplink_free(bench.uplink);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_has_full_jitter_and_resets_when_stable),
        cmocka_unit_test(direct_messages_keep_their_order),
        cmocka_unit_test(silence_ends_a_session_only_with_something_in_flight),
        cmocka_unit_test(a_message_that_is_left_out_ends_the_session),
        cmocka_unit_test(a_message_that_is_never_answered_is_given_up),
        cmocka_unit_test(a_fresh_store_forgets_what_was_left_out),
        cmocka_unit_test(a_stop_says_goodbye),
        cmocka_unit_test(lanes_and_cursors_take_turns),
        cmocka_unit_test(a_salvaged_segment_is_known_by_its_place),
        cmocka_unit_test(backfill_has_its_share),
        cmocka_unit_test(segments_keep_to_the_rate),
        cmocka_unit_test(a_quota_slows_down),
        cmocka_unit_test(a_refused_segment_that_finds_no_room_is_waited_for),
        cmocka_unit_test(what_each_session_ends_over_is_parked),
        cmocka_unit_test(a_message_that_sessions_end_over_is_given_up),
        cmocka_unit_test(a_broken_link_parks_nothing),
        cmocka_unit_test(only_what_is_about_a_segment_parks_it),
        cmocka_unit_test(what_is_forbidden_keeps_nothing_else_out),
        cmocka_unit_test(windows_have_their_lane_and_gaps_their_topic),
        cmocka_unit_test(a_broker_that_refuses_and_closes_takes_the_others),
        cmocka_unit_test(what_is_swallowed_after_hangups_is_parked_too),
        cmocka_unit_test(what_waits_for_its_rate_keeps_no_alarm_out),
        cmocka_unit_test(commands_are_asked_for_before_the_birth),
        cmocka_unit_test(a_refused_subscription_is_asked_for_again),
        cmocka_unit_test(a_broker_that_hangs_up_is_not_asked_each_time),
        cmocka_unit_test(a_subscription_without_an_answer_ends_an_idle_session),
        cmocka_unit_test(answers_have_places_of_their_own),
        cmocka_unit_test(a_schedule_is_kept_and_an_alarm_overrides_it),
        cmocka_unit_test(an_alarm_in_the_last_moment_connects_again),
        cmocka_unit_test(a_circle_of_redirects_is_not_run_round),
        cmocka_unit_test(a_dead_broker_gives_way_to_the_next),
        cmocka_unit_test(it_goes_home_after_a_stable_hour),
        cmocka_unit_test(a_stop_overtakes_a_move),
        cmocka_unit_test(a_broker_may_send_us_to_another_of_the_list),
        cmocka_unit_test(reasons_that_stay_are_not_run_against),
        cmocka_unit_test(no_memory_and_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
