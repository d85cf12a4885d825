/* Metrics and histograms. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/metrics.h"
#include "tests/support/failing.h"

static struct wr_metrics *metrics;
static struct wr_buf buf;

static int begin(void **state) {
    (void)state;
    wr_buf_init(&buf, 0);
    return wr_metrics_new(&metrics) == WR_OK ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    wr_metrics_free(metrics);
    wr_buf_fini(&buf);
    return 0;
}

static const char *rendered(void) {
    wr_buf_clear(&buf);
    assert_int_equal(wr_metrics_render(metrics, &buf), WR_OK);
    return wr_buf_str(&buf);
}

static double twice(void *user) {
    return *(double *)user * 2;
}

static void lines_of_one_name_stand_together(void **state) {
    (void)state;
    static _Atomic uint64_t a = 1;
    static _Atomic uint64_t b = 2;
    static _Atomic uint64_t c = UINT64_MAX;
    double temperature = 10.25;
    int owners[2];
    assert_string_equal(rendered(), "");
    assert_int_equal(
        wr_metrics_add(metrics, &owners[0], WR_METRIC_COUNTER, "weir_readings_total", "Readings\nby \\ source.", "source=\"floor\"", &a),
        WR_OK);
    assert_int_equal(wr_metrics_add(metrics, &owners[0], WR_METRIC_GAUGE, "weir_depth", "Depth.", NULL, &c), WR_OK);
    assert_int_equal(wr_metrics_add(metrics, &owners[1], WR_METRIC_COUNTER, "weir_readings_total", "x", "source=\"plc\"", &b), WR_OK);
    assert_int_equal(
        wr_metrics_add_function(metrics, &owners[1], WR_METRIC_GAUGE, "weir_temperature_celsius", "T.", NULL, twice, &temperature), WR_OK);
    assert_string_equal(rendered(), "# HELP weir_depth Depth.\n"
                                    "# TYPE weir_depth gauge\n"
                                    "weir_depth 18446744073709551615\n"
                                    "# HELP weir_readings_total Readings\\nby \\\\ source.\n"
                                    "# TYPE weir_readings_total counter\n"
                                    "weir_readings_total{source=\"floor\"} 1\n"
                                    "weir_readings_total{source=\"plc\"} 2\n"
                                    "# HELP weir_temperature_celsius T.\n"
                                    "# TYPE weir_temperature_celsius gauge\n"
                                    "weir_temperature_celsius 20.5\n");
    temperature = NAN;
    assert_non_null(strstr(rendered(), "celsius NaN\n"));
    temperature = -INFINITY;
    assert_non_null(strstr(rendered(), "celsius -Inf\n"));
    temperature = INFINITY;
    assert_non_null(strstr(rendered(), "celsius +Inf\n"));
    wr_metrics_drop(metrics, &owners[1]);
    assert_string_equal(rendered(), "# HELP weir_depth Depth.\n"
                                    "# TYPE weir_depth gauge\n"
                                    "weir_depth 18446744073709551615\n"
                                    "# HELP weir_readings_total Readings\\nby \\\\ source.\n"
                                    "# TYPE weir_readings_total counter\n"
                                    "weir_readings_total{source=\"floor\"} 1\n");
    wr_metrics_drop(metrics, &owners[0]);
    assert_string_equal(rendered(), "");
}

static void a_line_cannot_be_there_twice(void **state) {
    (void)state;
    static _Atomic uint64_t a;
    assert_int_equal(wr_metrics_add(metrics, &a, WR_METRIC_COUNTER, "weir_a_total", "A.", NULL, &a), WR_OK);
    assert_int_equal(wr_metrics_add(metrics, &a, WR_METRIC_COUNTER, "weir_a_total", "A.", NULL, &a), WR_EXISTS);
    assert_int_equal(wr_metrics_add(metrics, &a, WR_METRIC_COUNTER, "weir_a_total", "A.", "x=\"y\"", &a), WR_OK);
    assert_int_equal(wr_metrics_add(metrics, &a, WR_METRIC_GAUGE, "weir_a_total", "A.", "x=\"z\"", &a), WR_INVALID);
}

static void labels_are_escaped(void **state) {
    (void)state;
    char text[32];
    assert_string_equal(wr_metrics_label(text, sizeof text, "name", "a\"b\\c\nd\xFF"), "name=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\"");
    assert_string_equal(wr_metrics_label(text, sizeof text, "name", ""), "name=\"\"");
    assert_string_equal(wr_metrics_label(text, 10, "name", "abcdef"), "name=\"ab\"");
    assert_string_equal(wr_metrics_label(text, 10, "name", "a\"bc"), "name=\"a\"");
    assert_string_equal(wr_metrics_label(text, 8, "name", "abc"), "name=\"\"");
    assert_string_equal(wr_metrics_label(text, 7, "name", "abc"), "");
    assert_string_equal(wr_metrics_label(text, 1, "name", "abc"), "");
}

static void buckets_hold_what_they_say(void **state) {
    (void)state;
    static const int64_t times[] = {-5, 0, 1, 1023, 1024, 1279, 1280, 5000, 1000000, 999999999, INT64_C(68000000000)};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct wr_histogram histogram = {0};
        wr_histogram_add(&histogram, times[i]);
        int64_t edge = wr_histogram_quantile(&histogram, 0.5);
        assert_true(edge > times[i]);
        assert_true(times[i] < 1024 ? edge == 1024 : edge <= times[i] + times[i] / 4);
        assert_int_equal(atomic_load(&histogram.count), 1);
        assert_int_equal(atomic_load(&histogram.max_ns), times[i] > 0 ? times[i] : 0);
    }
}

static void quantiles(void **state) {
    (void)state;
    struct wr_histogram histogram = {0};
    assert_int_equal(wr_histogram_quantile(&histogram, 0.99), 0);
    for (int i = 0; i < 99; i++)
        wr_histogram_add(&histogram, 10000);
    wr_histogram_add(&histogram, INT64_C(1) << 50); /* above the last edge */
    assert_int_equal(wr_histogram_quantile(&histogram, 0), 10240);
    assert_int_equal(wr_histogram_quantile(&histogram, 0.5), 10240);
    assert_int_equal(wr_histogram_quantile(&histogram, 0.99), 10240);
    assert_int_equal(wr_histogram_quantile(&histogram, 0.995), INT64_C(1) << 50);
    assert_int_equal(wr_histogram_quantile(&histogram, 1), INT64_C(1) << 50);
}

static void a_histogram_is_cumulative(void **state) {
    (void)state;
    static struct wr_histogram histogram;
    wr_histogram_add(&histogram, 1000);             /* below 4.096 us */
    wr_histogram_add(&histogram, 5000);             /* below 16.384 us */
    wr_histogram_add(&histogram, INT64_C(1) << 40); /* above everything */
    assert_int_equal(wr_metrics_add_histogram(metrics, NULL, "weir_latency_seconds", "L.", "at=\"x\"", &histogram), WR_OK);
    const char *text = rendered();
    assert_non_null(strstr(text, "# TYPE weir_latency_seconds histogram\n"
                                 "weir_latency_seconds_bucket{at=\"x\",le=\"4.096e-06\"} 1\n"
                                 "weir_latency_seconds_bucket{at=\"x\",le=\"1.6384e-05\"} 2\n"));
    assert_non_null(strstr(text, "weir_latency_seconds_bucket{at=\"x\",le=\"0.001048576\"} 2\n"));
    assert_non_null(strstr(text, "weir_latency_seconds_bucket{at=\"x\",le=\"68.719476736\"} 2\n"
                                 "weir_latency_seconds_bucket{at=\"x\",le=\"+Inf\"} 3\n"
                                 "weir_latency_seconds_sum{at=\"x\"} 1099.511633776\n"
                                 "weir_latency_seconds_count{at=\"x\"} 3\n"));
    wr_metrics_drop(metrics, NULL);
    assert_int_equal(wr_metrics_add_histogram(metrics, NULL, "weir_other_seconds", "L.", NULL, &histogram), WR_OK);
    assert_non_null(strstr(rendered(), "weir_other_seconds_bucket{le=\"+Inf\"} 3\nweir_other_seconds_sum "));
}

/* Each edge counts exactly the times below it. */
static void edges_are_exact(void **state) {
    (void)state;
    static struct wr_histogram histogram;
    for (unsigned power = 10; power < 38; power++) {
        wr_histogram_add(&histogram, (INT64_C(1) << power) - 1);
        wr_histogram_add(&histogram, INT64_C(1) << power);
    }
    assert_int_equal(wr_metrics_add_histogram(metrics, NULL, "h", "H.", NULL, &histogram), WR_OK);
    const char *at = rendered();
    for (unsigned power = 12; power <= 36; power += 2) {
        at = strstr(at, "le=\"") + 4;
        assert_true(strtod(at, NULL) == (double)(INT64_C(1) << power) / 1e9);
        at = strstr(at, "} ") + 2;
        assert_int_equal(strtoul(at, NULL, 10), 2 * (power - 10) + 1);
    }
}

static double third(void *user) {
    (void)user;
    return 1.0 / 3;
}

static void note(void *user, const struct wr_metric_value *value) {
    char *text = user;
    snprintf(text + strlen(text), 256 - strlen(text), "%s{%s}%d:%d:%llu:%.3f:%d ", value->name, value->labels, (int)value->kind,
             (int)value->whole, (unsigned long long)value->count, value->number, value->histogram != NULL);
}

static void a_walk_sees_every_line_as_a_number(void **state) {
    (void)state;
    static _Atomic uint64_t a = 7, b = UINT64_MAX;
    static struct wr_histogram histogram;
    char seen[256] = "";
    assert_int_equal(wr_metrics_add(metrics, &a, WR_METRIC_COUNTER, "b", "B.", "x=\"1\"", &a), WR_OK);
    assert_int_equal(wr_metrics_add(metrics, &b, WR_METRIC_COUNTER, "b", "B.", "x=\"2\"", &b), WR_OK);
    assert_int_equal(wr_metrics_add_function(metrics, NULL, WR_METRIC_GAUGE, "a", "A.", NULL, third, NULL), WR_OK);
    assert_int_equal(wr_metrics_add_histogram(metrics, NULL, "c", "C.", NULL, &histogram), WR_OK);
    wr_metrics_walk(metrics, note, seen);
    assert_string_equal(seen, "a{}1:0:0:0.333:0 b{x=\"1\"}0:1:7:0.000:0 b{x=\"2\"}0:1:18446744073709551615:0.000:0 c{}2:0:0:0.000:1 ");
    wr_metrics_drop(metrics, &a);
    wr_metrics_drop(metrics, NULL);
    seen[0] = '\0';
    wr_metrics_walk(metrics, note, seen);
    assert_string_equal(seen, "b{x=\"2\"}0:1:18446744073709551615:0.000:0 ");
}

static void a_table_adds_its_rows_in_order_up_to_one_that_fails(void **state) {
    (void)state;
    static _Atomic uint64_t a = 7;
    static double half = 0.5;
    char seen[256] = "";
    const struct wr_metric_row rows[] = {
        {WR_METRIC_COUNTER, "weir_a_total", "A.", .value = &a},
        {WR_METRIC_GAUGE, "weir_b", "B.", .function = twice},
        {WR_METRIC_GAUGE, "weir_a_total", "A.", .value = &a}, /* another kind */
        {WR_METRIC_GAUGE, "weir_c", "C.", .value = &a},
    };
    assert_int_equal(wr_metrics_add_rows(metrics, &a, "x=\"y\"", rows, 2, &half), WR_OK);
    wr_metrics_walk(metrics, note, seen);
    assert_string_equal(seen, "weir_a_total{x=\"y\"}0:1:7:0.000:0 weir_b{x=\"y\"}1:0:0:1.000:0 ");
    wr_metrics_drop(metrics, &a);
    assert_int_equal(WR_METRICS_ADD_ALL(metrics, &a, NULL, rows, &half), WR_INVALID);
    seen[0] = '\0';
    wr_metrics_walk(metrics, note, seen);
    assert_string_equal(seen, "weir_a_total{}0:1:7:0.000:0 weir_b{}1:0:0:1.000:0 ");
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static _Atomic uint64_t a;
    for (long n = 0;; n++) {
        struct wr_metrics *own = NULL;
        struct wr_buf into;
        wr_buf_init(&into, 0);
        wr_failing_allocations(n);
        enum wr_result result = wr_metrics_new(&own);
        if (result == WR_OK)
            result = wr_metrics_add(own, NULL, WR_METRIC_GAUGE, "weir_a", "A.", "x=\"y\"", &a);
        if (result == WR_OK)
            result = wr_metrics_render(own, &into);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_metrics_free(own);
        wr_buf_fini(&into);
        if (!hit)
            break;
        assert_true(n < 100);
    }
}

/* ---- a registry that is filled anew while others look ---- */

static _Atomic bool looking_ends;

static void *look(void *user) {
    uintptr_t missed = 0;
    while (!looking_ends) {
        struct wr_buf text;
        wr_buf_init(&text, 0);
        if (wr_metrics_render(user, &text) != WR_OK || !strstr(wr_buf_str(&text), "\nweir_a 1\n") ||
            !strstr(wr_buf_str(&text), "\nweir_b 1\n"))
            missed++;
        wr_buf_fini(&text);
    }
    return (void *)missed;
}

static void whoever_looks_meanwhile_misses_nothing(void **state) {
    (void)state;
    static const _Atomic uint64_t one = 1;
    struct wr_metrics *all;
    pthread_t thread;
    void *missed;
    assert_int_equal(wr_metrics_new(&all), WR_OK);
    looking_ends = false;
    for (int i = 0; i < 2000; i++) {
        wr_metrics_hold(all);
        wr_metrics_drop(all, &one);
        assert_int_equal(wr_metrics_add(all, &one, WR_METRIC_GAUGE, "weir_a", "A", NULL, &one), WR_OK);
        assert_int_equal(wr_metrics_add(all, &one, WR_METRIC_GAUGE, "weir_b", "B", NULL, &one), WR_OK);
        wr_metrics_let_go(all);
        if (i == 0)
            assert_int_equal(pthread_create(&thread, NULL, look, all), 0);
    }
    looking_ends = true;
    assert_int_equal(pthread_join(thread, &missed), 0);
    assert_null(missed);
    wr_metrics_free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_of_one_name_stand_together, begin, end),
        cmocka_unit_test_setup_teardown(a_line_cannot_be_there_twice, begin, end),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(buckets_hold_what_they_say),
        cmocka_unit_test(quantiles),
        cmocka_unit_test_setup_teardown(a_histogram_is_cumulative, begin, end),
        cmocka_unit_test_setup_teardown(edges_are_exact, begin, end),
        cmocka_unit_test_setup_teardown(a_walk_sees_every_line_as_a_number, begin, end),
        cmocka_unit_test_setup_teardown(a_table_adds_its_rows_in_order_up_to_one_that_fails, begin, end),
        cmocka_unit_test(whoever_looks_meanwhile_misses_nothing),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
