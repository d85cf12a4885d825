/* Every call that the uplink makes of a socket fails once, wherever it is made from (dialling, TLS, the relay, paho): every segment reaches a real broker, none is
 * booked before, the next connection works, and no descriptor is left behind.
 *
 * WEIR_EVERY=1 takes each call (tests/soak/fail-nth-socket), else a sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/broker.h"
#include "tests/support/failing_sockets.h"
#include "tests/support/slow.h"
#include "tests/support/uplink_bench.h"

#define SEGMENTS 12
#define SAMPLES 3 /* of each fault, without WEIR_EVERY */
#define SLOWEST_NS (WR_TEST_SANITIZED ? 25 * WR_NS_PER_S : 8 * WR_NS_PER_S)

static struct place {
    char dir[64];
    struct wr_test_broker broker;
    struct wr_test_subscriber subscriber;
    unsigned runs;  /* each is a node of its own */
    unsigned ended; /* runs of a sweep in which a connection ended by it, or was not made */
    int64_t slowest_ns;
    char slowest[128];
} place;

static long descriptors(void) {
    long n = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static struct wr_uplink_runner_config config_of(const char *node) {
    struct wr_uplink_runner_config config = uplink_bench_config(place.dir, place.broker.port, true);
    config.uplink.ack_timeout_ns = 3 * WR_NS_PER_S; /* paho goes on with a write after a second */
    config.session.connect_timeout_ns = 2 * WR_NS_PER_S;
    config.session.client_id = node;
    assert_int_equal(wr_place_init(&config.place, "weir/1", "riga", node, NULL), WR_OK);
    return config;
}

/* From a start to a stop. */
static void run(void) {
    char node[32];
    (void)snprintf(node, sizeof node, "gw-%u-", place.runs++);
    const int64_t begin_ns = wr_clock_boot_ns(wr_clock_real());
    const long before = descriptors();
    struct wr_uplink_runner_config config = config_of(node);
    struct uplink_bench bench;
    struct wr_error err = {0};
    if (uplink_bench_try_open(&bench, &config, SEGMENTS, &err) != WR_OK) { /* a start that fails says why, and the next one works */
        assert_true(wr_failing_sockets_hit(NULL) && err.text[0] != 0);
        uplink_bench_open(&bench, &config, SEGMENTS);
    }
    uplink_bench_serve(&bench, SEGMENTS);
    uplink_bench_close(&bench);
    const char *call = NULL;
    const bool hit = wr_failing_sockets_hit(&call);
    wr_failing_sockets_off();
    for (int64_t seq = 1; seq <= SEGMENTS; seq++)
        assert_true(bench.acked[seq]);
    uplink_bench_has_arrived(&place.subscriber, node, SEGMENTS);
    const long after = descriptors();
    if (after != before)
        fail_msg("%ld descriptors were open, %ld are", before, after);
    const int64_t took_ns = wr_clock_boot_ns(wr_clock_real()) - begin_ns;
    if (took_ns > SLOWEST_NS)
        fail_msg("it took %lld ms", (long long)(took_ns / WR_NS_PER_MS));
    place.ended += bench.offline > 0;
    if (took_ns <= place.slowest_ns)
        return;
    place.slowest_ns = took_ns;
    (void)snprintf(place.slowest, sizeof place.slowest, "%s: %s", hit ? call : "none", bench.offline ? bench.cause : "never offline");
}

static long stride_of(enum wr_socket_fault fault) {
    const char *every = getenv("WEIR_EVERY");
    if (every && every[0] == '1')
        return 1;
    wr_failing_sockets(-1, fault);
    run();
    const long samples = wr_test_is_slow() ? 2 : SAMPLES;
    const long calls = wr_failing_sockets_count();
    return calls < samples ? 1 : calls / samples;
}

static void sweep(enum wr_socket_fault fault) {
    const long stride = stride_of(fault);
    const char *call = "none";
    unsigned hits = 0;
    place.slowest_ns = 0;
    place.ended = 0;
    for (long n = stride / 2;; n += stride) {
        print_message("[  %s, call %ld\r", wr_socket_fault_name(fault), n);
        wr_failing_sockets(n, fault);
        run();
        if (!wr_failing_sockets_hit(&call))
            break;
        hits++;
    }
    print_message("%s: %u calls failed, %u of them ended a connection or kept it from being made; the slowest run took %lld ms (%s)\n",
                  wr_socket_fault_name(fault), hits, place.ended, (long long)(place.slowest_ns / WR_NS_PER_MS), place.slowest);
    assert_true(hits > 0);
    if (fault == WR_SOCKET_SHORT)
        assert_int_equal(place.ended, 0); /* that is no failure */
}

static void every_reset(void **state) {
    (void)state;
    sweep(WR_SOCKET_RESET);
}

static void every_broken_pipe(void **state) {
    (void)state;
    sweep(WR_SOCKET_PIPE);
}

static void every_lack_of_room(void **state) {
    (void)state;
    sweep(WR_SOCKET_NO_ROOM);
}

static void every_interruption(void **state) {
    (void)state;
    sweep(WR_SOCKET_INTERRUPTED);
}

static void every_short_transfer(void **state) {
    (void)state;
    sweep(WR_SOCKET_SHORT);
}

static void every_end(void **state) {
    (void)state;
    sweep(WR_SOCKET_END);
}

static int start(void **state) {
    (void)state;
    static char more[64];
    const uint16_t plain_port = wr_test_free_port();
    wr_test_dir_make(place.dir);
    (void)snprintf(more, sizeof more, "listener %u 127.0.0.1\nallow_anonymous true", (unsigned)plain_port);
    wr_test_broker_start(&place.broker,
                         &(struct wr_test_broker_options){.dir = place.dir, .server_cert = "server", .client_cert = true, .more = more});
    wr_test_subscriber_start(&place.subscriber, plain_port, UPLINK_BENCH_FORMAT);
    run(); /* what is made once is made: it is no descriptor left behind */
    return 0;
}

static int stop(void **state) {
    (void)state;
    wr_failing_sockets_off();
    wr_test_subscriber_stop(&place.subscriber);
    wr_test_broker_kill(&place.broker);
    wr_test_dir_remove(place.dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reset),        cmocka_unit_test(every_broken_pipe),    cmocka_unit_test(every_lack_of_room),
        cmocka_unit_test(every_interruption), cmocka_unit_test(every_short_transfer), cmocka_unit_test(every_end),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, start, stop);
}
