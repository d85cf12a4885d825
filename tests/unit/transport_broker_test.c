/* The whole uplink, thread and session, against real brokers that are killed, frozen and restarted, and a scripted one that refuses:
 * every segment reaches the broker at least once, and none is booked before its PUBACK. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "tests/support/mqtt_peer.h"
#include "transport/uplink_runner.h"

#define WINDOW 8
#define SEGMENTS 200
#define PATIENCE_NS (30 * WR_NS_PER_S)

static char dir[64];

/* A store in an array: seq 1..n, lanes as lane_of says. */
struct bench {
    struct wr_uplink_runner *runner;
    struct wr_channel *requests;
    struct wr_channel *replies;
    struct wr_channel *directs;
    int64_t committed;
    int64_t offered[WR_LANES];
    bool acked[SEGMENTS + 1];
    bool parked[SEGMENTS + 1];
    uint8_t park_reason[SEGMENTS + 1];
    unsigned done; /* acked or parked */
    size_t body_bytes;
    _Atomic unsigned directs_delivered;
    _Atomic unsigned offline;          /* notices */
    char cause[WR_UPLINK_CAUSE_BYTES]; /* of the last offline notice; read when the runner is stopped */
};

static uint8_t lane_of(int64_t seq) {
    return seq % 10 == 0 ? WR_LANE_ALARMS : seq % 10 == 1 ? WR_LANE_CHANGES : WR_LANE_WINDOWS;
}

static struct wr_channel *channel(const char *name, size_t capacity, size_t element_bytes) {
    struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes, .policy = WR_CHANNEL_BLOCK};
    struct wr_channel *made = NULL;
    assert_int_equal(wr_channel_new(&options, &made, NULL), WR_OK);
    return made;
}

static enum wr_result as_json(void *user, enum wr_payload_format format, const struct wr_segment *segment, struct wr_buf *into,
                              struct wr_error *err) {
    (void)user;
    assert_int_equal(format, WR_PAYLOAD_JSON);
    (void)err;
    return wr_buf_printf(into, "{\"seq\":%lld}", (long long)segment->seq);
}

static void on_notice(void *user, const struct wr_uplink_notice *notice) {
    struct bench *bench = user;
    if (notice->kind == WR_UPLINK_NOTICE_DIRECT_DONE)
        bench->directs_delivered += notice->delivered;
    if (notice->kind == WR_UPLINK_NOTICE_STATE && notice->to == WR_UPLINK_OFFLINE) {
        (void)snprintf(bench->cause, sizeof bench->cause, "%s", notice->text);
        bench->offline++;
    }
}

static void reply(struct bench *bench, const struct wr_uplink_reply *what) {
    assert_int_equal(wr_channel_try_send(bench->replies, what), WR_OK); /* cannot fill */
}

static void answer_get(struct bench *bench, const struct wr_uplink_request *get) {
    uint32_t given = 0;
    for (int64_t seq = get->first; seq <= get->last && seq <= bench->committed && given < get->max_segments; seq++) {
        if (lane_of(seq) != get->lane || bench->acked[seq] || bench->parked[seq])
            continue;
        struct wr_uplink_reply segment = {.kind = WR_UPLINK_SEGMENT, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
        segment.segment = (struct wr_segment){.epoch = 0xC0FFEE,
                                              .seq = seq,
                                              .lane = get->lane,
                                              .kind = get->lane == WR_LANE_ALARMS ? WR_SEGMENT_ALARMS : WR_SEGMENT_AGGREGATES,
                                              .n = 3,
                                              .t0_ns = 1,
                                              .t1_ns = 2,
                                              .body = calloc(1, bench->body_bytes),
                                              .body_len = bench->body_bytes};
        assert_non_null(segment.segment.body);
        reply(bench, &segment);
        given++;
    }
    reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_DONE, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket});
}

/* Plays the store until `done` segments are booked. */
static void serve(struct bench *bench, unsigned done) {
    int64_t deadline_ns = wr_clock_boot_ns(wr_clock_real()) + PATIENCE_NS;
    while (bench->done < done) {
        struct wr_uplink_request request;
        if (wr_channel_recv(bench->requests, &request, deadline_ns) != WR_OK)
            fail_msg("only %u of %u booked: %s", bench->done, done, bench->cause);
        switch ((enum wr_uplink_request_kind)request.kind) {
        case WR_UPLINK_GET:
            answer_get(bench, &request);
            break;
        case WR_UPLINK_OFFER:
            bench->offered[request.lane] = request.last;
            reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last});
            break;
        case WR_UPLINK_ACK:
            assert_int_equal(request.epoch, 0xC0FFEE);
            assert_false(bench->acked[request.first]);
            bench->acked[request.first] = true;
            bench->done++;
            break;
        case WR_UPLINK_PARK:
            bench->parked[request.first] = true;
            bench->park_reason[request.first] = request.reason;
            bench->done++;
            break;
        case WR_UPLINK_COUNT:
            fail_msg("a count without a budget");
            break;
        }
    }
}

static struct wr_uplink_runner_config config_for(uint16_t port, bool tls) {
    char text[64];
    struct wr_uplink_runner_config config = {
        .uplink = wr_uplink_defaults(),
        .session = {.client_id = "gw-7",
                    .keepalive_s = 30,
                    .connect_timeout_ns = 15 * WR_NS_PER_S,
                    .tls = {.ca = wr_test_path(dir, "ca.pem")}},
        .encode = as_json,
        .clock = wr_clock_real(),
    };
    config.uplink.window = WINDOW;
    config.uplink.backoff_min_ns = 10 * WR_NS_PER_MS;
    config.uplink.backoff_max_ns = 50 * WR_NS_PER_MS;
    config.uplink.refusal_backoff_ns = 5 * WR_NS_PER_MS;
    (void)snprintf(text, sizeof text, "%s://localhost:%u", tls ? "mqtts" : "mqtt", (unsigned)port);
    assert_int_equal(wr_url_parse(text, &config.session.brokers[0], NULL), WR_OK);
    config.session.n_brokers = 1;
    assert_int_equal(wr_place_init(&config.place, "weir/1", "riga", "gw-7", NULL), WR_OK);
    if (tls) {
        config.session.tls.cert = wr_test_path(dir, "client.pem");
        config.session.tls.key = wr_test_path(dir, "client.key");
    }
    return config;
}

static void bench_open(struct bench *bench, struct wr_uplink_runner_config *config, int64_t committed) {
    *bench = (struct bench){.committed = committed, .body_bytes = 500};
    bench->requests = channel("requests", WR_UPLINK_REQUESTS(WINDOW), sizeof(struct wr_uplink_request));
    bench->replies = channel("replies", WR_UPLINK_REPLIES(WINDOW), sizeof(struct wr_uplink_reply));
    bench->directs = channel("directs", 4, sizeof(struct wr_uplink_direct));
    config->requests = bench->requests;
    config->replies = bench->replies;
    config->directs = bench->directs;
    config->notify = on_notice;
    config->notify_user = bench;
    struct wr_error err;
    if (wr_uplink_runner_new(config, &bench->runner, &err) != WR_OK || wr_uplink_runner_start(bench->runner, &err) != WR_OK)
        fail_msg("%s", err.text);
    reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_READY, .epoch = 0xC0FFEE, .seq = committed / 2});
    for (uint8_t lane = 0; lane < WR_LANES; lane++)
        reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_AVAILABLE, .lane = lane, .seq = committed});
}

static void bench_close(struct bench *bench) {
    wr_uplink_runner_stop(bench->runner, wr_clock_boot_ns(wr_clock_real()) + 5 * WR_NS_PER_S);
    struct wr_uplink_status status;
    wr_uplink_runner_status(bench->runner, &status);
    assert_int_equal(status.session.events_lost, 0);
    wr_uplink_runner_free(bench->runner);
    struct wr_uplink_reply left;
    while (wr_channel_try_recv(bench->replies, &left) == WR_OK)
        wr_segment_free(&left.segment);
    wr_channel_free(bench->requests);
    wr_channel_free(bench->replies);
    wr_channel_free(bench->directs);
}

/* Reads the subscriber until each of 1..n has come; counts what came. */
static void subscriber_has(struct wr_test_subscriber *subscriber, int64_t n) {
    bool seen[SEGMENTS + 1] = {false};
    int64_t missing = n;
    while (missing > 0) {
        const char *line = wr_test_subscriber_line(subscriber, 10000);
        if (line == NULL)
            fail_msg("%lld segments did not reach the subscriber", (long long)missing);
        const char *at = strstr(line, " seq:");
        long long seq = at != NULL ? atoll(at + 5) : 0;
        if (seq < 1 || seq > n)
            continue;
        const char *topic = lane_of(seq) == WR_LANE_ALARMS    ? "weir/1/riga/gw-7/alarm "
                            : lane_of(seq) == WR_LANE_CHANGES ? "weir/1/riga/gw-7/event "
                                                              : "weir/1/riga/gw-7/agg ";
        assert_memory_equal(line, topic, strlen(topic));
        assert_non_null(strstr(line, "epoch:0000000000c0ffee"));
        assert_non_null(strstr(line, "node:gw-7"));
        missing -= !seen[seq];
        seen[seq] = true;
    }
}

static void start_pair(struct wr_test_broker *broker, uint16_t *plain_port) {
    static char more[64];
    *plain_port = wr_test_free_port();
    (void)snprintf(more, sizeof more, "listener %u 127.0.0.1\nallow_anonymous true", (unsigned)*plain_port);
    struct wr_test_broker_options options = {.dir = dir, .server_cert = "server", .client_cert = true, .more = more};
    wr_test_broker_start(broker, &options);
}

#define FORMAT "%t %P"

static void everything_arrives_over_mutual_tls(void **state) {
    (void)state;
    struct wr_test_broker broker;
    struct wr_test_subscriber subscriber;
    uint16_t plain_port = 0;
    start_pair(&broker, &plain_port);
    wr_test_subscriber_start(&subscriber, plain_port, FORMAT);
    struct wr_uplink_runner_config config = config_for(broker.port, true);
    struct bench bench;
    bench_open(&bench, &config, SEGMENTS);
    struct wr_uplink_direct direct = {.id = 5, .topic = "alarm/riga", .payload = (uint8_t *)strdup("hot"), .payload_len = 3, .qos = 1};
    assert_int_equal(wr_channel_send(bench.directs, &direct, WR_NEVER_NS), WR_OK);
    serve(&bench, SEGMENTS);
    subscriber_has(&subscriber, SEGMENTS);
    bench_close(&bench);
    assert_int_equal(bench.directs_delivered, 1);
    for (int64_t seq = 1; seq <= SEGMENTS; seq++)
        assert_true(bench.acked[seq]);
    wr_test_subscriber_stop(&subscriber);
    wr_test_broker_kill(&broker);
}

/* The retained state: a birth while it is there, "offline" with cause "stop" after a clean stop. */
static void the_state_is_retained(void **state) {
    (void)state;
    struct wr_test_broker broker;
    struct wr_test_subscriber subscriber;
    wr_test_broker_start(&broker, &(struct wr_test_broker_options){.dir = dir});
    wr_test_subscriber_start(&subscriber, broker.port, "%t %p");
    struct wr_uplink_runner_config config = config_for(broker.port, false);
    struct bench bench;
    bench_open(&bench, &config, 2);
    serve(&bench, 2);
    bench_close(&bench);
    bool online = false;
    bool offline = false;
    while (!offline) {
        const char *line = wr_test_subscriber_line(&subscriber, 10000);
        assert_non_null(line);
        bool is_state = strstr(line, "weir/1/riga/gw-7/state {\"node\":\"gw-7\"") == line;
        assert_null(strstr(line, "connection lost")); /* the last will was held back */
        online |= is_state && strstr(line, "\"state\":\"online\"") != NULL;
        offline = is_state && strstr(line, "\"state\":\"offline\",\"cause\":\"stop\"") != NULL;
    }
    assert_true(online);
    wr_test_subscriber_stop(&subscriber);
    wr_test_broker_kill(&broker);
}

/* Killed while segments are in flight, then up again on the same port: what was not acknowledged is sent again. */
static void a_killed_broker_loses_nothing(void **state) {
    (void)state;
    struct wr_test_broker broker;
    uint16_t plain_port = 0;
    start_pair(&broker, &plain_port);
    struct wr_uplink_runner_config config = config_for(broker.port, true);
    struct bench bench;
    bench_open(&bench, &config, SEGMENTS);
    serve(&bench, SEGMENTS / 3);
    wr_test_broker_kill(&broker);
    wr_test_broker_restart(&broker);
    struct wr_test_subscriber subscriber;
    wr_test_subscriber_start(&subscriber, plain_port, FORMAT);
    serve(&bench, SEGMENTS);
    bench_close(&bench);
    assert_true(bench.offline >= 1);
    for (int64_t seq = 1; seq <= SEGMENTS; seq++)
        assert_true(bench.acked[seq]);
    wr_test_subscriber_stop(&subscriber);
    wr_test_broker_kill(&broker);
}

/* Frozen: the connection stands, nothing is acknowledged. "Connected" proves nothing. */
static void a_frozen_broker_is_noticed(void **state) {
    (void)state;
    struct wr_test_broker broker;
    uint16_t plain_port = 0;
    start_pair(&broker, &plain_port);
    struct wr_uplink_runner_config config = config_for(broker.port, true);
    config.uplink.ack_timeout_ns = 300 * WR_NS_PER_MS;
    config.session.connect_timeout_ns = 300 * WR_NS_PER_MS;
    struct bench bench;
    bench_open(&bench, &config, SEGMENTS);
    serve(&bench, SEGMENTS / 3);
    wr_test_broker_signal(&broker, SIGSTOP);
    struct wr_uplink_request request;
    while (bench.offline == 0) { /* until it is noticed, by time-out of the acknowledgements */
        if (wr_channel_recv(bench.requests, &request, wr_clock_boot_ns(wr_clock_real()) + 20 * WR_NS_PER_MS) != WR_OK)
            continue;
        if (request.kind == WR_UPLINK_GET)
            answer_get(&bench, &request);
        else if (request.kind == WR_UPLINK_OFFER)
            reply(&bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last});
        else if (request.kind == WR_UPLINK_ACK && !bench.acked[request.first]) {
            bench.acked[request.first] = true;
            bench.done++;
        }
    }
    wr_test_broker_signal(&broker, SIGCONT);
    if (strstr(bench.cause, "acknowledged nothing for 300 ms") == NULL && strstr(bench.cause, "in time") == NULL)
        fail_msg("%s", bench.cause);
    serve(&bench, SEGMENTS);
    bench_close(&bench);
    wr_test_broker_kill(&broker);
}

/* ---- a scripted broker ---- */

static int64_t seq_of(const uint8_t *packet, size_t len) {
    for (size_t i = 0; i + 8 < len; i++) {
        if (memcmp(packet + i, "\x00\x03seq\x00", 6) == 0)
            return atoll((const char *)packet + i + 7); /* one byte of length; what follows is no digit */
    }
    return 0;
}

static unsigned refuse_some(void *user, const uint8_t *packet, size_t len) {
    unsigned *seen = user;
    int64_t seq = seq_of(packet, len);
    if (seq == 7)
        return 0x99; /* always */
    if (seq == 8 && seen[8]++ < 2)
        return 0x97; /* twice */
    return seq == 9 ? 0x10 : 0;
}

/* A poisoned segment is tried five times and parked; others pass it; "no matching subscribers" is delivered. */
static void refused_segments_do_not_block(void **state) {
    (void)state;
    unsigned seen[SEGMENTS + 1] = {0};
    struct wr_test_peer peer = {.on_publish = refuse_some, .user = seen};
    wr_test_peer_start(&peer);
    struct wr_uplink_runner_config config = config_for(peer.port, false);
    struct bench bench;
    bench_open(&bench, &config, 60);
    serve(&bench, 60);
    bench_close(&bench);
    assert_true(bench.parked[7]);
    assert_int_equal(bench.park_reason[7], 0x99);
    assert_true(bench.acked[8]);
    assert_true(bench.acked[9]);
    assert_int_equal(bench.offline, 0);
    wr_test_peer_stop(&peer);
}

static void a_segment_above_the_packet_size_is_parked(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_properties = (const uint8_t[]){0x27, 0, 0, 1, 0xF4, 0x21, 0, 3}, .connack_properties_len = 8};
    wr_test_peer_start(&peer);
    struct wr_uplink_runner_config config = config_for(peer.port, false);
    struct bench bench;
    bench_open(&bench, &config, 20);
    serve(&bench, 20); /* bodies of 500 bytes; alarms and changes are JSON of 12 */
    bench_close(&bench);
    for (int64_t seq = 1; seq <= 20; seq++)
        assert_int_equal(bench.parked[seq], lane_of(seq) == WR_LANE_WINDOWS);
    assert_int_equal(bench.park_reason[2], 0x95);
    wr_test_peer_stop(&peer);
}

static unsigned moody(void *user, const uint8_t *packet, size_t len) {
    _Atomic unsigned *n = user;
    (void)packet;
    (void)len;
    unsigned now = ++*n;
    return now % 23 == 0 ? WR_TEST_PEER_CLOSE : now % 31 == 0 ? WR_TEST_PEER_DISCONNECT | 0x8B : 0;
}

static void a_broker_that_hangs_up_again_and_again_gets_everything(void **state) {
    (void)state;
    _Atomic unsigned n = 0;
    struct wr_test_peer peer = {.on_publish = moody, .user = &n};
    wr_test_peer_start(&peer);
    struct wr_uplink_runner_config config = config_for(peer.port, false);
    struct bench bench;
    bench_open(&bench, &config, 80);
    serve(&bench, 80);
    bench_close(&bench);
    assert_true(bench.offline >= 2);
    wr_test_peer_stop(&peer);
}

/* Starting offline is normal, and a stop while nothing answers is quick. */
static void a_stop_while_offline_is_quick(void **state) {
    (void)state;
    uint16_t port = 0;
    int fd = wr_test_silent_listener(&port);
    struct wr_uplink_runner_config config = config_for(port, true);
    struct bench bench;
    bench_open(&bench, &config, 5);
    bench_close(&bench); /* would take 15 s if the handshake were waited for */
    assert_int_equal(bench.done, 0);
    (void)close(fd);
}

static void no_memory_at_the_start(void **state) {
    (void)state;
    struct wr_uplink_runner_config config = config_for(1, true);
    for (long n = 0;; n++) {
        struct wr_uplink_runner *runner = NULL;
        wr_failing_allocations(n);
        enum wr_result result = wr_uplink_runner_new(&config, &runner, NULL);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_uplink_runner_free(runner);
        if (!hit)
            break;
    }
}

static int start(void **state) {
    (void)state;
    wr_test_dir_make(dir);
    return 0;
}

static int stop(void **state) {
    (void)state;
    wr_test_dir_remove(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_over_mutual_tls),
        cmocka_unit_test(the_state_is_retained),
        cmocka_unit_test(a_killed_broker_loses_nothing),
        cmocka_unit_test(a_frozen_broker_is_noticed),
        cmocka_unit_test(refused_segments_do_not_block),
        cmocka_unit_test(a_segment_above_the_packet_size_is_parked),
        cmocka_unit_test(a_broker_that_hangs_up_again_and_again_gets_everything),
        cmocka_unit_test(a_stop_while_offline_is_quick),
        cmocka_unit_test(no_memory_at_the_start),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, start, stop);
}
