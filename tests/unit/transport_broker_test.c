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
#include "tests/support/uplink_bench.h"

#define SEGMENTS UPLINK_BENCH_SEGMENTS

static char dir[64];

static void start_pair(struct wr_test_broker *broker, uint16_t *plain_port) {
    static char more[64];
    *plain_port = wr_test_free_port();
    (void)snprintf(more, sizeof more, "listener %u 127.0.0.1\nallow_anonymous true", (unsigned)*plain_port);
    struct wr_test_broker_options options = {.dir = dir, .server_cert = "server", .client_cert = true, .more = more};
    wr_test_broker_start(broker, &options);
}

static void everything_arrives_over_mutual_tls(void **state) {
    (void)state;
    struct wr_test_broker broker;
    struct wr_test_subscriber subscriber;
    uint16_t plain_port = 0;
    start_pair(&broker, &plain_port);
    wr_test_subscriber_start(&subscriber, plain_port, UPLINK_BENCH_FORMAT);
    struct wr_uplink_runner_config config = uplink_bench_config(dir, broker.port, true);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, SEGMENTS);
    struct wr_uplink_direct direct = {.id = 5, .topic = "alarm/riga", .payload = (uint8_t *)strdup("hot"), .payload_len = 3, .qos = 1};
    assert_int_equal(wr_channel_send(bench.directs, &direct, WR_NEVER_NS), WR_OK);
    uplink_bench_serve(&bench, SEGMENTS);
    uplink_bench_has_arrived(&subscriber, "gw-7", SEGMENTS);
    uplink_bench_close(&bench);
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
    struct wr_uplink_runner_config config = uplink_bench_config(dir, broker.port, false);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, 2);
    uplink_bench_serve(&bench, 2);
    uplink_bench_close(&bench);
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
    struct wr_uplink_runner_config config = uplink_bench_config(dir, broker.port, true);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, SEGMENTS);
    uplink_bench_serve(&bench, SEGMENTS / 3);
    wr_test_broker_kill(&broker);
    wr_test_broker_restart(&broker);
    struct wr_test_subscriber subscriber;
    wr_test_subscriber_start(&subscriber, plain_port, UPLINK_BENCH_FORMAT);
    uplink_bench_serve(&bench, SEGMENTS);
    uplink_bench_close(&bench);
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
    struct wr_uplink_runner_config config = uplink_bench_config(dir, broker.port, true);
    config.uplink.ack_timeout_ns = 300 * WR_NS_PER_MS;
    config.session.connect_timeout_ns = 300 * WR_NS_PER_MS;
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, SEGMENTS);
    uplink_bench_serve(&bench, SEGMENTS / 3);
    wr_test_broker_signal(&broker, SIGSTOP);
    while (bench.offline == 0) /* until it is noticed, by time-out of the acknowledgements */
        (void)uplink_bench_turn(&bench, wr_clock_boot_ns(wr_clock_real()) + 20 * WR_NS_PER_MS);
    wr_test_broker_signal(&broker, SIGCONT);
    if (strstr(bench.cause, "acknowledged nothing for 300 ms") == NULL && strstr(bench.cause, "in time") == NULL)
        fail_msg("%s", bench.cause);
    uplink_bench_serve(&bench, SEGMENTS);
    uplink_bench_close(&bench);
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
    struct wr_uplink_runner_config config = uplink_bench_config(dir, peer.port, false);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, 60);
    uplink_bench_serve(&bench, 60);
    uplink_bench_close(&bench);
    assert_true(bench.parked[7]);
    assert_int_equal(bench.park_reason[7], 0x99);
    assert_true(bench.acked[8]);
    assert_true(bench.acked[9]);
    assert_int_equal(bench.offline, 0);
    assert_in_range(bench.refusals, 2, 7); /* told: each reason, not each message */
    wr_test_peer_stop(&peer);
}

static void a_segment_above_the_packet_size_is_parked(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_properties = (const uint8_t[]){0x27, 0, 0, 1, 0xF4, 0x21, 0, 3}, .connack_properties_len = 8};
    wr_test_peer_start(&peer);
    struct wr_uplink_runner_config config = uplink_bench_config(dir, peer.port, false);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, 20);
    for (uint64_t id = 1; id <= 2; id++) {
        const size_t len = id == 1 ? 600 : 10;
        assert_int_equal(
            wr_channel_try_send(
                bench.directs, &(struct wr_uplink_direct){.id = id, .topic = "t", .payload = calloc(1, len), .payload_len = len, .qos = 1}),
            WR_OK);
    }
    uplink_bench_serve(&bench, 20); /* bodies of 500 bytes; alarms and changes are JSON of 12 */
    while (bench.directs_delivered == 0)
        (void)uplink_bench_turn(&bench, wr_clock_boot_ns(wr_clock_real()) + 10 * WR_NS_PER_MS);
    struct wr_uplink_status status;
    wr_uplink_runner_status(bench.runner, &status);
    assert_int_equal(status.uplink.direct_dropped, 1); /* it would end each session */
    uplink_bench_close(&bench);
    for (int64_t seq = 1; seq <= 20; seq++)
        assert_int_equal(bench.parked[seq], uplink_bench_lane(seq) == WR_LANE_WINDOWS);
    assert_int_equal(bench.park_reason[2], 0x95);
    wr_test_peer_stop(&peer);
}

static unsigned babble(void *user, const uint8_t *packet, size_t len) {
    (void)user;
    (void)packet;
    (void)len;
    return WR_TEST_PEER_BABBLE;
}

/* It claims a session that was not asked for, acknowledges twice, and what it was never sent: each segment is booked once (the bench looks at that), by its own answer. */
static void a_broker_that_babbles_acknowledges_nothing_twice(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_flags = 1, .on_publish = babble};
    wr_test_peer_start(&peer);
    struct wr_uplink_runner_config config = uplink_bench_config(dir, peer.port, false);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, 60);
    uplink_bench_serve(&bench, 60);
    assert_int_equal(bench.offline, 0);
    uplink_bench_close(&bench);
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
    struct wr_uplink_runner_config config = uplink_bench_config(dir, peer.port, false);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, 80);
    uplink_bench_serve(&bench, 80);
    uplink_bench_close(&bench);
    assert_true(bench.offline >= 2);
    wr_test_peer_stop(&peer);
}

/* Starting offline is normal, and a stop while nothing answers is quick. */
static void a_stop_while_offline_is_quick(void **state) {
    (void)state;
    uint16_t port = 0;
    int fd = wr_test_silent_listener(&port);
    struct wr_uplink_runner_config config = uplink_bench_config(dir, port, true);
    struct uplink_bench bench;
    uplink_bench_open(&bench, &config, 5);
    uplink_bench_close(&bench); /* would take 15 s if the handshake were waited for */
    assert_int_equal(bench.done, 0);
    (void)close(fd);
}

static void no_memory_at_the_start(void **state) {
    (void)state;
    struct wr_uplink_runner_config config = uplink_bench_config(dir, 1, true);
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
        cmocka_unit_test(a_broker_that_babbles_acknowledges_nothing_twice),
        cmocka_unit_test(a_broker_that_hangs_up_again_and_again_gets_everything),
        cmocka_unit_test(a_stop_while_offline_is_quick),
        cmocka_unit_test(no_memory_at_the_start),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, start, stop);
}
