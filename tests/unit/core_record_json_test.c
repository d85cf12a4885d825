/* Records as JSON objects. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/record_json.h"

static struct wr_buf buf;

static int begin(void **state) {
    (void)state;
    wr_buf_init(&buf, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    wr_buf_fini(&buf);
    return 0;
}

static const char key[] = "m\0f\0room\0A\"1\0site\0riga";
#define SERIES "{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{\"room\":\"A\\\"1\",\"site\":\"riga\"},"

static const char *reading_json(const struct wr_reading *reading, const char *text, size_t len) {
    struct wr_json json;
    wr_buf_clear(&buf);
    wr_json_begin(&json, &buf);
    wr_record_reading_json(&json, key, sizeof key, reading, text, len);
    assert_int_equal(wr_json_end(&json), WR_OK);
    return wr_buf_str(&buf);
}

static const char *aggregate_json(const struct wr_aggregate *aggregate) {
    struct wr_json json;
    wr_buf_clear(&buf);
    wr_json_begin(&json, &buf);
    wr_record_aggregate_json(&json, aggregate);
    assert_int_equal(wr_json_end(&json), WR_OK);
    return wr_buf_str(&buf);
}

static void readings_of_every_type(void **state) {
    (void)state;
    struct wr_reading reading = {.event_ns = 1, .value.f = 1.5, .type = WR_TYPE_FLOAT};
    assert_string_equal(reading_json(&reading, NULL, 0), SERIES "\"time_ns\":1,\"value\":1.5,\"type\":\"float\",\"quality\":\"good\"}");
    reading = (struct wr_reading){.event_ns = -5, .value.i = INT64_MIN, .type = WR_TYPE_INT, .quality = WR_QUALITY_UNCERTAIN};
    assert_string_equal(reading_json(&reading, NULL, 0),
                        SERIES "\"time_ns\":-5,\"value\":-9223372036854775808,\"type\":\"int\",\"quality\":\"uncertain\"}");
    reading = (struct wr_reading){.event_ns = INT64_MAX, .value.u = UINT64_MAX, .type = WR_TYPE_UINT};
    assert_string_equal(reading_json(&reading, NULL, 0), SERIES "\"time_ns\":9223372036854775807,\"value\":18446744073709551615,"
                                                                "\"type\":\"uint\",\"quality\":\"good\"}");
    reading = (struct wr_reading){.event_ns = 2, .value.u = 1, .type = WR_TYPE_BOOL};
    assert_string_equal(reading_json(&reading, NULL, 0), SERIES "\"time_ns\":2,\"value\":true,\"type\":\"bool\",\"quality\":\"good\"}");
    reading = (struct wr_reading){.event_ns = 3, .value.u = 7, .type = WR_TYPE_SYMBOL};
    assert_string_equal(reading_json(&reading, "a\0\n", 3),
                        SERIES "\"time_ns\":3,\"value\":\"a\\u0000\\n\",\"type\":\"string\",\"quality\":\"good\"}");
    reading = (struct wr_reading){.event_ns = WR_EVENT_NONE, .value.f = NAN, .type = WR_TYPE_FLOAT, .quality = WR_QUALITY_BAD};
    assert_string_equal(reading_json(&reading, NULL, 0), SERIES "\"time_ns\":null,\"value\":null,\"type\":\"float\",\"quality\":\"bad\"}");
}

static void aggregates_of_every_type(void **state) {
    (void)state;
    struct wr_aggregate aggregate = {.key = key, .key_len = sizeof key, .type = WR_TYPE_FLOAT, .start_ns = 1000, .window_ns = 60, .n = 2};
    aggregate.sum = wr_sum_zero();
    wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, (union wr_value){.f = 0.1}, 1);
    wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, (union wr_value){.f = 0.2}, 1);
    aggregate.min.f = aggregate.first.f = 0.1;
    aggregate.max.f = aggregate.last.f = 0.2;
    aggregate.bad = 4;
    assert_string_equal(aggregate_json(&aggregate), SERIES "\"time_ns\":1000,\"window_ns\":60,\"n\":2,\"sum\":0.3,\"min\":0.1,"
                                                           "\"max\":0.2,\"first\":0.1,\"last\":0.2,\"bad\":4}");
    aggregate.n = 0;
    assert_string_equal(aggregate_json(&aggregate), SERIES "\"time_ns\":1000,\"window_ns\":60,\"n\":0,\"sum\":null,\"min\":null,"
                                                           "\"max\":null,\"first\":null,\"last\":null,\"bad\":4}");

    aggregate = (struct wr_aggregate){.key = key, .key_len = sizeof key, .type = WR_TYPE_UINT, .n = 2, .sum = wr_sum_zero()};
    union wr_value largest = {.u = UINT64_MAX};
    wr_sum_add(&aggregate.sum, WR_TYPE_UINT, largest, 0);
    wr_sum_add(&aggregate.sum, WR_TYPE_UINT, largest, 0);
    aggregate.min = aggregate.max = aggregate.first = aggregate.last = largest;
    assert_string_equal(aggregate_json(&aggregate),
                        SERIES "\"time_ns\":0,\"window_ns\":0,\"n\":2,\"sum\":36893488147419103230,\"min\":18446744073709551615,"
                               "\"max\":18446744073709551615,\"first\":18446744073709551615,\"last\":18446744073709551615,\"bad\":0}");

    aggregate = (struct wr_aggregate){.key = key, .key_len = sizeof key, .type = WR_TYPE_BOOL, .n = 3, .sum = wr_sum_zero()};
    aggregate.sum.scaled = wr_i128_of(2);
    aggregate.max.u = aggregate.last.u = 1;
    assert_string_equal(aggregate_json(&aggregate), SERIES "\"time_ns\":0,\"window_ns\":0,\"n\":3,\"sum\":2,\"min\":false,"
                                                           "\"max\":true,\"first\":false,\"last\":true,\"bad\":0}");

    aggregate = (struct wr_aggregate){.key = key, .key_len = sizeof key, .type = WR_TYPE_SYMBOL, .n = 3, .sum = wr_sum_zero()};
    aggregate.last_text = "open";
    assert_string_equal(aggregate_json(&aggregate), SERIES "\"time_ns\":0,\"window_ns\":0,\"n\":3,\"sum\":null,\"min\":null,"
                                                           "\"max\":null,\"first\":null,\"last\":\"open\",\"bad\":0}");
}

static void an_inexact_sum_is_a_double(void **state) {
    (void)state;
    struct wr_aggregate aggregate = {.key = "m\0f", .key_len = 4, .type = WR_TYPE_INT, .n = 1};
    aggregate.sum = (struct wr_sum){.approx = 1.5, .exact = false};
    assert_string_equal(aggregate_json(&aggregate), "{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{},\"time_ns\":0,\"window_ns\":0,"
                                                    "\"n\":1,\"sum\":1.5,\"min\":0,\"max\":0,\"first\":0,\"last\":0,\"bad\":0}");
}

static void records_are_elements_of_an_array(void **state) {
    (void)state;
    struct wr_reading reading = {.type = WR_TYPE_INT};
    struct wr_json json;
    wr_json_begin(&json, &buf);
    wr_json_array(&json, NULL);
    wr_record_reading_json(&json, "m\0f", 4, &reading, NULL, 0);
    wr_record_reading_json(&json, "m\0f", 4, &reading, NULL, 0);
    wr_json_array_end(&json);
    assert_int_equal(wr_json_end(&json), WR_OK);
    assert_non_null(strstr(wr_buf_str(&buf), "},{"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readings_of_every_type, begin, end),
        cmocka_unit_test_setup_teardown(aggregates_of_every_type, begin, end),
        cmocka_unit_test_setup_teardown(an_inexact_sum_is_a_double, begin, end),
        cmocka_unit_test_setup_teardown(records_are_elements_of_an_array, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
