/* The alarm transition: names, display, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/alarm.h"
#include "tests/support/failing.h"

static void names(void **state) {
    (void)state;
    static const char *const states[] = {"normal", "pending", "unack", "acked", "rtn_unack", "latched_unack", "latched_ack", "unknown"};
    for (int i = 0; i <= WR_ALARM_STATES; i++)
        assert_string_equal(wr_alarm_state_name((enum wr_alarm_state)i), states[i]);
    static const char *const causes[] = {"unknown",        "raised",   "cleared",       "acknowledged", "reset",
                                         "escalated",      "repeated", "rule_changed",  "data_stale",   "data_returned",
                                         "deescalated",    "shelved",  "unshelved",     "suppressed",   "unsuppressed",
                                         "out_of_service", "returned", "action_failed", "unknown"};
    for (int i = 0; i <= WR_ALARM_CAUSES; i++)
        assert_string_equal(wr_alarm_cause_name((enum wr_alarm_cause)i), causes[i]);
    assert_string_equal(wr_severity_name((enum wr_severity)4), "unknown");
}

static void severities_are_read_back(void **state) {
    (void)state;
    for (int i = WR_SEVERITY_LOW; i <= WR_SEVERITY_CRITICAL; i++) {
        enum wr_severity severity = (enum wr_severity)9;
        assert_int_equal(wr_severity_parse(wr_severity_name((enum wr_severity)i), &severity, NULL), WR_OK);
        assert_int_equal(severity, i);
    }
    enum wr_severity severity = (enum wr_severity)9;
    struct wr_error err = {0};
    assert_int_equal(wr_severity_parse("High\n", &severity, &err), WR_INVALID);
    assert_string_equal(err.text, "'High\\x0a' is no severity: write low, medium, high or critical");
    assert_int_equal(severity, 9);
}

static struct wr_alarm sample(void) {
    return (struct wr_alarm){
        .rule = "warm",
        .instance = "room=A1,site=\"riga\"",
        .id = 0x00000000DEADBEEF,
        .transition = 3,
        .from = WR_ALARM_NORMAL,
        .to = WR_ALARM_UNACK,
        .cause = WR_ALARM_RAISED,
        .severity = WR_SEVERITY_HIGH,
        .journalled = true,
        .has_value = true,
        .value = 31.5,
        .has_limit = true,
        .limit = 30,
        .unit = "\xC2\xB0"
                "C",
        .event_ns = INT64_C(1772438400123456789),
        .wall_ns = INT64_C(1772438400124000000),
        .arrival_boot_ns = 1000,
        .decided_boot_ns = 1250,
        .message = "too warm",
    };
}

static void display(void **state) {
    (void)state;
    struct wr_alarm alarm = sample();
    char text[64];
    assert_string_equal(wr_alarm_display(text, sizeof text, &alarm), "warm{room=A1,site=\"riga\"}");
    assert_string_equal(wr_alarm_display(text, 8, &alarm), "warm{ro");
    alarm.instance[0] = '\0';
    assert_string_equal(wr_alarm_display(text, sizeof text, &alarm), "warm");
    memset(alarm.rule, 'r', sizeof alarm.rule); /* even without its NUL nothing is read behind it */
    memset(alarm.instance, 'i', sizeof alarm.instance);
    char all[400];
    assert_int_equal(strlen(wr_alarm_display(all, sizeof all, &alarm)), WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 2);
}

static void json(void **state) {
    (void)state;
    struct wr_buf buf;
    wr_buf_init(&buf, 0);
    struct wr_alarm alarm = sample();
    assert_int_equal(wr_alarm_to_json(&alarm, &buf), WR_OK);
    assert_string_equal(wr_buf_str(&buf),
                        "{\"alarm\":\"warm{room=A1,site=\\\"riga\\\"}\",\"id\":\"00000000deadbeef\",\"transition\":3,\"rule\":\"warm\","
                        "\"instance\":\"room=A1,site=\\\"riga\\\"\",\"severity\":\"high\",\"cause\":\"raised\",\"from\":\"normal\","
                        "\"to\":\"unack\",\"event_ns\":1772438400123456789,\"event\":\"2026-03-02T08:00:00.123Z\","
                        "\"time_ns\":1772438400124000000,\"time\":\"2026-03-02T08:00:00.124Z\",\"value\":31.5,\"limit\":30,"
                        "\"unit\":\"\xC2\xB0"
                        "C\",\"message\":\"too warm\",\"data\":\"ok\",\"historic\":false,\"journalled\":true,"
                        "\"decided_after_ns\":250}");
    wr_buf_clear(&buf);
    struct wr_alarm timer = {.rule = "silent", .data = WR_ALARM_DATA_STALE_NOW, .historic = true, .by_whom = "ana"};
    assert_int_equal(wr_alarm_to_json(&timer, &buf), WR_OK);
    assert_null(strstr(wr_buf_str(&buf), "\"value\""));
    assert_null(strstr(wr_buf_str(&buf), "\"limit\""));
    assert_null(strstr(wr_buf_str(&buf), "\"unit\""));
    assert_null(strstr(wr_buf_str(&buf), "decided_after_ns"));
    assert_non_null(strstr(wr_buf_str(&buf), "\"data\":\"stale\",\"by\":\"ana\",\"historic\":true,\"journalled\":false}"));
    wr_buf_fini(&buf);
}

static void json_of_a_silence(void **state) {
    (void)state;
    struct wr_buf buf;
    wr_buf_init(&buf, 0);
    struct wr_alarm alarm = {.rule = "warm",
                             .cause = WR_ALARM_SHELVED,
                             .silent = WR_ALARM_SILENT_SHELVED | WR_ALARM_SILENT_CHATTERING,
                             .level = "HH",
                             .by_whom = "ana",
                             .why = "door \"3\" is being painted",
                             .until_wall_ns = INT64_C(1772438400124000000)};
    assert_int_equal(wr_alarm_to_json(&alarm, &buf), WR_OK);
    assert_non_null(strstr(wr_buf_str(&buf), "\"silent\":[\"shelved\",\"chattering\"],\"level\":\"HH\",\"by\":\"ana\","
                                             "\"why\":\"door \\\"3\\\" is being painted\",\"until_ns\":1772438400124000000,"
                                             "\"until\":\"2026-03-02T08:00:00.124Z\",\"historic\""));
    wr_buf_fini(&buf);
}

static void who_is_told(void **state) {
    (void)state;
    struct wr_alarm alarm = {.cause = WR_ALARM_RAISED};
    assert_true(wr_alarm_is_annunciated(&alarm));
    static const char *const silences[] = {"shelved", "suppressed", "invalid", "out_of_service", "chattering", "grouped"};
    for (int i = 0; i < 6; i++) {
        alarm.silent = (uint8_t)(1 << i);
        assert_string_equal(wr_alarm_silence_name((enum wr_alarm_silence)alarm.silent), silences[i]);
        for (int cause = 0; cause < WR_ALARM_CAUSES; cause++) {
            alarm.cause = (uint8_t)cause;
            bool asked = cause == WR_ALARM_ACKNOWLEDGED || cause == WR_ALARM_RESET || cause == WR_ALARM_SHELVED ||
                         cause == WR_ALARM_UNSHELVED || cause == WR_ALARM_OUT_OF_SERVICE || cause == WR_ALARM_RETURNED;
            assert_int_equal(wr_alarm_is_annunciated(&alarm), asked);
        }
    }
    assert_string_equal(wr_alarm_silence_name((enum wr_alarm_silence)0), "unknown");
}

static void ids_are_what_they_were(void **state) {
    (void)state;
    assert_true(wr_alarm_id("warm", "room=A1") != wr_alarm_id("warmroom=A1", ""));
    assert_true(wr_alarm_id("", "") == UINT64_C(0xAF63BD4C8601B7DF));
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct wr_alarm alarm = sample();
    for (long n = 0;; n++) {
        struct wr_buf buf;
        wr_buf_init(&buf, 0);
        wr_failing_allocations(n);
        enum wr_result result = wr_alarm_to_json(&alarm, &buf);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_buf_fini(&buf);
        if (!hit)
            break;
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),       cmocka_unit_test(severities_are_read_back),
        cmocka_unit_test(display),     cmocka_unit_test(json_of_a_silence),
        cmocka_unit_test(who_is_told), cmocka_unit_test(ids_are_what_they_were),
        cmocka_unit_test(json),        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
