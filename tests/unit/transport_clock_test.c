/* While the wall clock cannot be trusted windows wait, and nothing else; not for long; and not once it can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/uplink_alone.h"
#include "transport/encode_json.h"

#define PATIENT (1u << WR_LANE_WINDOWS | 1u << WR_LANE_RAW)
#define ALL ((1u << WR_LANES) - 1)

/* With something of each lane before and behind its start. */
static void bench_open(struct uplink_alone *bench) {
    const struct wr_uplink_config config = wr_uplink_defaults();
    uplink_alone_init(bench, &config, (struct wr_now){.boot_ns = 100 * WR_NS_PER_S});
    uplink_alone_tell(bench, (struct wr_uplink_reply){.kind = WR_UPLINK_READY, .epoch = 7, .seq = 100});
}

/* The lanes that are asked for now; each is told: nothing yet, but there may be more. */
static unsigned asked(struct uplink_alone *bench) {
    unsigned lanes = 0;
    while (uplink_alone_next(bench)) {
        const struct wr_uplink_request get = bench->action.request;
        assert_int_equal(bench->action.kind, WR_UPLINK_ACT_REQUEST);
        assert_int_equal(get.kind, WR_UPLINK_GET);
        lanes |= 1u << get.lane;
        uplink_alone_done(bench, &get);
    }
    return lanes;
}

static bool waits(const struct uplink_alone *bench) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(bench->uplink, &stats);
    return stats.clock_waits;
}

static void windows_wait_until_it_is_set(void **state) {
    (void)state;
    struct uplink_alone bench;
    bench_open(&bench);
    uplink_alone_connect(&bench);
    assert_int_equal(asked(&bench), ALL & ~PATIENT);
    assert_true(waits(&bench));
    assert_int_equal(wr_uplink_wake_ns(bench.uplink) - bench.now.boot_ns, WR_NS_PER_S); /* nothing tells of it */
    bench.now.boot_ns += WR_NS_PER_S;
    assert_int_equal(asked(&bench), 0);
    bench.now.boot_ns += WR_NS_PER_S;
    bench.now.wall_trusted = true;
    assert_int_equal(asked(&bench), PATIENT);
    assert_false(waits(&bench));
    assert_true(wr_uplink_wake_ns(bench.uplink) > bench.now.boot_ns + WR_NS_PER_S);
    wr_uplink_free(bench.uplink);
}

/* From the first connection on, however often there is a new one: without a link no time can come. */
static void but_not_for_long(void **state) {
    (void)state;
    struct uplink_alone bench;
    bench_open(&bench);
    bench.now.boot_ns += 3600 * WR_NS_PER_S;
    const int64_t until_ns = bench.now.boot_ns + wr_uplink_defaults().clock_wait_ns;
    uplink_alone_connect(&bench);
    assert_int_equal(asked(&bench), ALL & ~PATIENT);
    bench.now.boot_ns += 20 * WR_NS_PER_S;
    uplink_alone_session(&bench, WR_SESSION_LOST, 0);
    bench.now.boot_ns += 20 * WR_NS_PER_S;
    uplink_alone_connect(&bench);
    assert_int_equal(asked(&bench) & PATIENT, 0);
    bench.now.boot_ns = until_ns - 1;
    assert_int_equal(asked(&bench), 0);
    assert_int_equal(wr_uplink_wake_ns(bench.uplink), until_ns);
    bench.now.boot_ns = until_ns;
    assert_int_equal(asked(&bench), PATIENT);
    assert_false(waits(&bench));
    wr_uplink_free(bench.uplink);
}

static void what_the_envelope_says(enum wr_time_quality quality, const char *expected) {
    const struct wr_segment segment = {.epoch = 1, .seq = 2, .kind = WR_SEGMENT_ALARMS, .n = 1, .time_quality = (uint8_t)quality};
    struct wr_encode_json encode;
    struct wr_buf into;
    wr_buf_init(&into, 0);
    wr_encode_json_begin(&encode, &into, "gw-7", &segment);
    wr_encode_json_object(&encode, "{}", 2);
    assert_int_equal(wr_encode_json_end(&encode, NULL), WR_OK);
    assert_non_null(strstr(wr_buf_str(&into), expected));
    wr_buf_fini(&into);
}

static void the_envelope_says_it(void **state) {
    (void)state;
    what_the_envelope_says(WR_TIME_TRUSTED, "\"t1_ns\":0,\"records\":[{}]}");
    what_the_envelope_says(WR_TIME_CORRECTED, "\"t1_ns\":0,\"time_quality\":\"corrected\",\"records\":[{}]}");
    what_the_envelope_says(WR_TIME_UNTRUSTED, "\"t1_ns\":0,\"time_quality\":\"untrusted\",\"records\":[{}]}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_wait_until_it_is_set),
        cmocka_unit_test(but_not_for_long),
        cmocka_unit_test(the_envelope_says_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
