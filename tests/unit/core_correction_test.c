/* What a wrong clock can have stamped is moved, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/alarm.h"
#include "core/clock.h"
#include "core/correction.h"
#include "tests/support/failing.h"

/* A boot in 1970 that was ten minutes old; it was the 29th of February 2028, 12:00. */
#define NOON_NS (INT64_C(1835438400) * WR_NS_PER_S)
static const struct wr_correction boot = {.from_ns = 0, .to_ns = 600 * WR_NS_PER_S, .move_ns = NOON_NS};

static void times(void **state) {
    (void)state;
    static const struct {
        int64_t time_ns;
        bool moved;
    } cases[] = {{0, true}, {600 * WR_NS_PER_S, true}, {-1, false}, {600 * WR_NS_PER_S + 1, false}, {NOON_NS, false}, {INT64_MIN, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t time_ns = cases[i].time_ns;
        assert_int_equal(wr_correction_time(&boot, &time_ns), cases[i].moved);
        assert_int_equal(time_ns, cases[i].moved ? cases[i].time_ns + NOON_NS : cases[i].time_ns);
    }
    const struct wr_correction far = {.from_ns = 0, .to_ns = INT64_MAX, .move_ns = INT64_MAX};
    int64_t time_ns = 5;
    assert_true(wr_correction_time(&far, &time_ns));
    assert_true(time_ns == INT64_MAX);
}

/* The window in which the boot was begins before it. */
static void windows(void **state) {
    (void)state;
    int64_t start_ns = -30 * WR_NS_PER_S;
    assert_true(wr_correction_start(&boot, &start_ns, 60 * WR_NS_PER_S));
    assert_int_equal(start_ns, NOON_NS - 30 * WR_NS_PER_S);
    start_ns = -61 * WR_NS_PER_S;
    assert_false(wr_correction_start(&boot, &start_ns, 60 * WR_NS_PER_S));
    start_ns = INT64_MAX - 5;
    assert_false(wr_correction_start(&boot, &start_ns, INT64_MAX));
}

static void becomes(const char *object, const char *expected) {
    struct wr_buf into;
    wr_buf_init(&into, 0);
    assert_int_equal(wr_correction_json(&boot, object, strlen(object), &into), WR_OK);
    assert_string_equal(wr_buf_str(&into), expected);
    wr_buf_fini(&into);
}

static struct wr_alarm alarm_at(int64_t wall_ns, int64_t event_ns) {
    struct wr_alarm alarm = {
        .rule = "hot", .transition = 3, .from = WR_ALARM_NORMAL, .to = WR_ALARM_UNACK, .wall_ns = wall_ns, .event_ns = event_ns};
    (void)strcpy(alarm.message, "\"time_ns\":5,\"time\":\"never\" \"from_ns\":5,\"from\":\"x\"");
    return alarm;
}

/* Moving the text of an alarm gives the text of the moved alarm. */
static void alarm_becomes(struct wr_alarm alarm, const struct wr_alarm *moved) {
    struct wr_buf texts[2];
    for (int i = 0; i < 2; i++) {
        wr_buf_init(&texts[i], 0);
        assert_int_equal(wr_alarm_to_json(i == 0 ? &alarm : moved, &texts[i]), WR_OK);
    }
    becomes(wr_buf_str(&texts[0]), wr_buf_str(&texts[1]));
    wr_buf_fini(&texts[0]);
    wr_buf_fini(&texts[1]);
}

static void alarms(void **state) {
    (void)state;
    struct wr_alarm alarm = alarm_at(7 * WR_NS_PER_S, 6 * WR_NS_PER_S);
    alarm.until_wall_ns = 3607 * WR_NS_PER_S; /* behind all that the clock has shown */
    struct wr_alarm moved = alarm_at(NOON_NS + 7 * WR_NS_PER_S, NOON_NS + 6 * WR_NS_PER_S);
    moved.until_wall_ns = NOON_NS + 3607 * WR_NS_PER_S;
    alarm_becomes(alarm, &moved);
    alarm = alarm_at(7 * WR_NS_PER_S, NOON_NS - 5); /* the device has a clock of its own */
    moved = alarm_at(NOON_NS + 7 * WR_NS_PER_S, NOON_NS - 5);
    alarm_becomes(alarm, &moved);
    alarm = alarm_at(NOON_NS, NOON_NS);
    alarm.until_wall_ns = NOON_NS + 5;
    alarm_becomes(alarm, &alarm);
}

static void texts(void **state) {
    (void)state;
    becomes(
        "{\"reason\":\"late\",\"from_ns\":0,\"from\":\"1970-01-01T00:00:00.000Z\",\"to_ns\":1000000000,\"to\":\"1970-01-01T00:00:01.000Z\","
        "\"n\":1}",
        "{\"reason\":\"late\",\"from_ns\":1835438400000000000,\"from\":\"2028-02-29T12:00:00.000Z\",\"to_ns\":1835438401000000000,\"to\":"
        "\"2028-02-29T12:00:01.000Z\",\"n\":1}");
    static const char *const same[] = {"",
                                       "{}",
                                       "{\"time_ns\":",
                                       "{\"time_ns\":5}",
                                       "{\"time_ns\":5,\"time\":\"",
                                       "{\"time_ns\":\"5\",\"time\":\"x\"}",
                                       "{\"time_ns\":99999999999999999999,\"time\":\"x\"}",
                                       "{\"time_ns\":-,\"time\":\"x\"}",
                                       "{\"time_ns\":9223372036854775808,\"time\":\"x\"}",
                                       "{\"from\":\"normal\",\"to\":\"unack\"}",
                                       "{\"until_ns\":5,\"until\":\"x\"}",
                                       "{\"a\":\"\\\"time_ns\\\":5,\\\"time\\\":\\\"x\\\"\"}"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        becomes(same[i], same[i]);
}

static void without_memory(void **state) {
    (void)state;
    static const char object[] = "{\"time_ns\":5,\"time\":\"x\",\"b\":\"0123456789012345678901234567890123456789\"}";
    unsigned failed = 0;
    for (long nth = 0;; nth++) {
        struct wr_buf into;
        wr_buf_init(&into, 0);
        wr_failing_pieces(nth);
        const enum wr_result result = wr_correction_json(&boot, object, sizeof object - 1, &into);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&into);
        if (!hit)
            break;
        assert_int_equal(result, WR_NO_MEMORY);
        failed++;
    }
    assert_true(failed > 0);
}

static void names(void **state) {
    (void)state;
    for (int i = WR_TIME_TRUSTED; i <= WR_TIME_UNTRUSTED; i++) {
        enum wr_time_quality quality;
        const char *name = wr_time_quality_name((enum wr_time_quality)i);
        assert_true(wr_time_quality_parse(name, strlen(name), &quality));
        assert_int_equal(quality, i);
        assert_false(wr_time_quality_parse(name, strlen(name) - 1, &quality));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times), cmocka_unit_test(windows),        cmocka_unit_test(alarms),
        cmocka_unit_test(texts), cmocka_unit_test(without_memory), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
