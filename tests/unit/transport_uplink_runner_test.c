/* The uplink's turns on the test's thread and a clock of its own, with a session and a store that are played: no thread, no network, no real time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/uplink_runner.h"

#define WINDOW 4
#define EPOCH 0xC0FFEE

struct bench {
    struct wr_clock_virtual clock;
    struct wr_uplink_runner *runner;
    struct wr_channel *requests;
    struct wr_channel *replies;
    struct wr_channel *directs;
    unsigned cleared; /* topics, by an empty message */
    bool refuses;     /* connections */
    uint64_t connection;
    unsigned connects;
    unsigned published; /* of segments */
    unsigned closed;
    bool clean;
    char state[256]; /* the retained one */
};

static struct bench bench;

static void tell(enum wr_session_event_kind kind, uint64_t id) {
    const struct wr_session_event event = {.kind = (uint8_t)kind,
                                           .connection = bench.connection,
                                           .id = id,
                                           .version = WR_MQTT_5,
                                           .retain_available = true,
                                           .receive_max = 65535,
                                           .max_packet_bytes = UINT32_MAX};
    assert_int_equal(wr_channel_try_send(wr_uplink_runner_events(bench.runner), &event), WR_OK);
}

static enum wr_result fake_connect(void *self, uint64_t connection, unsigned broker) {
    (void)broker;
    assert_ptr_equal(self, &bench);
    bench.connection = connection;
    bench.connects++;
    if (bench.refuses) {
        tell(WR_SESSION_FAILED, 0);
        return WR_OK;
    }
    tell(WR_SESSION_DIALLED, 0);
    tell(WR_SESSION_CONNECTED, 0);
    return WR_OK;
}

static enum wr_result fake_publish(void *self, const struct wr_session_publish *publish, struct wr_error *err) {
    (void)self, (void)err;
    assert_true(publish->connection == bench.connection);
    if (publish->retained && publish->payload_len == 0)
        bench.cleared++;
    else if (publish->retained)
        snprintf(bench.state, sizeof bench.state, "%.*s", (int)publish->payload_len, (const char *)publish->payload);
    else
        bench.published++;
    tell(WR_SESSION_DELIVERED, publish->id);
    return WR_OK;
}

static void fake_close(void *self, uint64_t connection, bool clean) {
    (void)self, (void)connection;
    bench.closed++;
    bench.clean = clean;
}

static const struct wr_session_ops fake_ops = {.connect = fake_connect, .publish = fake_publish, .close = fake_close};

static void notify(void *user, const struct wr_uplink_notice *notice) {
    (void)user, (void)notice;
}

static struct wr_channel *channel(const char *name, size_t capacity, size_t element_bytes) {
    const struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes};
    struct wr_channel *made;
    assert_int_equal(wr_channel_new(&options, &made, NULL), WR_OK);
    return made;
}

static int set_up(void **state) {
    (void)state;
    memset(&bench, 0, sizeof bench);
    wr_clock_virtual_init(&bench.clock, WR_NS_PER_S, INT64_C(1700000000) * WR_NS_PER_S, 5);
    bench.requests = channel("requests", WR_UPLINK_REQUESTS(WINDOW), sizeof(struct wr_uplink_request));
    bench.directs = channel("directs", WR_UPLINK_DIRECT, sizeof(struct wr_uplink_direct));
    bench.replies = channel("replies", WR_UPLINK_REPLIES(WINDOW), sizeof(struct wr_uplink_reply));
    struct wr_uplink_runner_config config = {.uplink = wr_uplink_defaults(),
                                             .notify = notify,
                                             .requests = bench.requests,
                                             .replies = bench.replies,
                                             .directs = bench.directs,
                                             .clock = &bench.clock.clock,
                                             .ops = &fake_ops,
                                             .self = &bench};
    config.uplink.window = WINDOW;
    assert_int_equal(wr_place_init(&config.place, "weir", "site", "node", NULL), WR_OK);
    return wr_uplink_runner_new(&config, &bench.runner, NULL) == WR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    wr_uplink_runner_free(bench.runner);
    wr_channel_free(bench.requests);
    wr_channel_free(bench.replies);
    wr_channel_free(bench.directs);
    return 0;
}

/* All turns of this moment; when the loop wants to run again. */
static int64_t turn(void) {
    struct wr_uplink_received received = {.from = WR_UPLINK_FROM_NOBODY};
    for (;;) {
        const struct wr_now now = wr_clock_now(&bench.clock.clock);
        const int64_t due = wr_uplink_runner_turn(bench.runner, &now, &received);
        if (wr_uplink_runner_ended(bench.runner))
            return WR_NEVER_NS;
        wr_uplink_runner_receive(bench.runner, 0, &received);
        if (received.from == WR_UPLINK_FROM_NOBODY && due > now.boot_ns)
            return due;
    }
}

static void reply(const struct wr_uplink_reply *what) {
    assert_int_equal(wr_channel_try_send(bench.replies, what), WR_OK);
}

static struct wr_uplink_request asked(enum wr_uplink_request_kind kind) {
    struct wr_uplink_request request;
    do {
        (void)turn();
        assert_int_equal(wr_channel_try_recv(bench.requests, &request), WR_OK);
    } while (request.kind != kind);
    return request;
}

static void one_segment_goes_all_the_way(void **state) {
    (void)state;
    (void)turn();
    assert_int_equal(bench.connects, 1);
    assert_non_null(strstr(bench.state, "online"));
    reply(&(struct wr_uplink_reply){.kind = WR_UPLINK_READY, .epoch = EPOCH});
    reply(&(struct wr_uplink_reply){.kind = WR_UPLINK_AVAILABLE, .lane = WR_LANE_WINDOWS, .seq = 1});
    struct wr_uplink_request get;
    do {
        get = asked(WR_UPLINK_GET);
        if (get.lane != WR_LANE_WINDOWS || get.cursor != WR_CURSOR_LIVE)
            reply(&(struct wr_uplink_reply){.kind = WR_UPLINK_DONE, .lane = get.lane, .cursor = get.cursor, .ticket = get.ticket});
    } while (get.lane != WR_LANE_WINDOWS || get.cursor != WR_CURSOR_LIVE);
    struct wr_uplink_reply segment = {.kind = WR_UPLINK_SEGMENT, .lane = get.lane, .cursor = get.cursor, .ticket = get.ticket};
    segment.segment = (struct wr_segment){
        .epoch = EPOCH, .seq = 1, .lane = WR_LANE_WINDOWS, .kind = WR_SEGMENT_AGGREGATES, .n = 1, .body = calloc(1, 100), .body_len = 100};
    reply(&segment);
    reply(&(struct wr_uplink_reply){.kind = WR_UPLINK_DONE, .lane = get.lane, .cursor = get.cursor, .ticket = get.ticket});
    const struct wr_uplink_request offer = asked(WR_UPLINK_OFFER);
    assert_int_equal(bench.published, 0); /* not before the watermark is on disk */
    reply(&(struct wr_uplink_reply){.kind = WR_UPLINK_OFFERED, .lane = offer.lane, .seq = offer.last});
    assert_int_equal(asked(WR_UPLINK_ACK).first, 1);
    assert_int_equal(bench.published, 1);
    wr_uplink_runner_ask_to_stop(bench.runner, wr_clock_boot_ns(&bench.clock.clock) + WR_NS_PER_S);
    assert_int_equal(turn(), WR_NEVER_NS);
    assert_true(bench.clean);
    assert_non_null(strstr(bench.state, "offline"));
}

/* Both come through the channel of direct messages: what has no payload is still a message, what has no topic is none. */
static void an_empty_message_is_sent_and_a_hint_renews_the_state(void **state) {
    (void)state;
    (void)turn();
    struct wr_uplink_direct direct = {.id = 1, .topic = "alarm/a", .qos = 1, .retained = true};
    bench.state[0] = '\0';
    assert_int_equal(wr_channel_try_send(bench.directs, &direct), WR_OK);
    (void)turn();
    assert_int_equal(bench.cleared, 1);
    assert_string_equal(bench.state, "");
    direct = (struct wr_uplink_direct){.topic = ""};
    assert_int_equal(wr_channel_try_send(bench.directs, &direct), WR_OK);
    (void)turn();
    assert_int_equal(bench.cleared, 1);
    assert_non_null(strstr(bench.state, "online"));
    wr_uplink_runner_ask_to_stop(bench.runner, 0);
    (void)turn();
}

/* A day without a broker: attempts with backoff of at most two minutes, and none of it takes real time. */
static void a_day_offline_is_a_matter_of_turns(void **state) {
    (void)state;
    bench.refuses = true;
    const int64_t day = 24 * 3600 * WR_NS_PER_S, since = wr_clock_boot_ns(&bench.clock.clock);
    int64_t due = turn();
    while (due < since + day) {
        assert_true(due <= wr_clock_boot_ns(&bench.clock.clock) + 120 * WR_NS_PER_S);
        wr_clock_virtual_advance(&bench.clock, due - wr_clock_boot_ns(&bench.clock.clock));
        due = turn();
    }
    assert_true(bench.connects > 720 && bench.connects < 5000); /* one a minute on average */
    bench.refuses = false;
    wr_clock_virtual_advance(&bench.clock, due - wr_clock_boot_ns(&bench.clock.clock));
    (void)turn();
    assert_non_null(strstr(bench.state, "online"));
    wr_uplink_runner_ask_to_stop(bench.runner, 0);
    assert_int_equal(turn(), WR_NEVER_NS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_segment_goes_all_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_message_is_sent_and_a_hint_renews_the_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_day_offline_is_a_matter_of_turns, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
