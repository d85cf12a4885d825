/* Folding aggregates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/aggregate.h"

/* An aggregate of the given integers, as the engine would make it. */
static struct wr_aggregate ints(size_t n, const int64_t *values) {
    struct wr_aggregate aggregate = {.type = WR_TYPE_INT, .decimals = WR_DECIMALS_UNKNOWN, .n = n, .sum = wr_sum_zero(), .window_ns = 60};
    for (size_t i = 0; i < n; i++) {
        union wr_value value = {.i = values[i]};
        wr_sum_add(&aggregate.sum, WR_TYPE_INT, value, WR_DECIMALS_UNKNOWN);
        if (i == 0)
            aggregate.first = aggregate.min = aggregate.max = value;
        if (value.i < aggregate.min.i)
            aggregate.min = value;
        if (value.i > aggregate.max.i)
            aggregate.max = value;
        aggregate.last = value;
    }
    return aggregate;
}

static void two_halves_are_the_whole(void **state) {
    (void)state;
    static const int64_t values[] = {5, -7, 3, 900, -1, 2};
    for (size_t cut = 0; cut <= 6; cut++) {
        struct wr_aggregate whole = ints(6, values);
        struct wr_aggregate into = ints(cut, values);
        struct wr_aggregate other = ints(6 - cut, values + cut);
        into.bad = 2;
        other.bad = 3;
        wr_aggregate_merge(&into, &other);
        int64_t sum = 0;
        assert_int_equal(into.n, 6);
        assert_int_equal(into.bad, 5);
        assert_int_equal(wr_aggregate_readings(&into), 11);
        assert_true(wr_sum_int64(&into.sum, &sum) && sum == 902);
        assert_int_equal(into.min.i, whole.min.i);
        assert_int_equal(into.max.i, whole.max.i);
        assert_int_equal(into.first.i, whole.first.i);
        assert_int_equal(into.last.i, whole.last.i);
    }
}

static void each_type_compares_in_its_own_way(void **state) {
    (void)state;
    struct wr_aggregate a = {.type = WR_TYPE_FLOAT, .n = 1, .sum = wr_sum_zero(), .min.f = -1.5, .max.f = -1.5};
    struct wr_aggregate b = {.type = WR_TYPE_FLOAT, .n = 1, .sum = wr_sum_zero(), .min.f = -2.5, .max.f = -2.5};
    wr_aggregate_merge(&a, &b);
    assert_true(a.min.f == -2.5 && a.max.f == -1.5);
    struct wr_aggregate c = {.type = WR_TYPE_UINT, .n = 1, .sum = wr_sum_zero(), .min.u = 1, .max.u = 1};
    struct wr_aggregate d = {.type = WR_TYPE_UINT, .n = 1, .sum = wr_sum_zero(), .min.u = UINT64_MAX, .max.u = UINT64_MAX};
    wr_aggregate_merge(&c, &d);
    assert_true(c.min.u == 1 && c.max.u == UINT64_MAX);
    struct wr_aggregate e = {.type = WR_TYPE_BOOL, .n = 1, .sum = wr_sum_zero(), .min.u = 1, .max.u = 1};
    struct wr_aggregate f = {.type = WR_TYPE_BOOL, .n = 1, .sum = wr_sum_zero()};
    wr_aggregate_merge(&e, &f);
    assert_true(e.min.u == 0 && e.max.u == 1);
}

static void symbols_keep_first_and_last(void **state) {
    (void)state;
    struct wr_aggregate a = {.type = WR_TYPE_SYMBOL, .n = 2, .sum = wr_sum_zero(), .first_text = "open", .last_text = "shut"};
    struct wr_aggregate b = {.type = WR_TYPE_SYMBOL, .n = 1, .sum = wr_sum_zero(), .first_text = "x", .last_text = "y", .last.u = 4};
    wr_aggregate_merge(&a, &b);
    assert_int_equal(a.n, 3);
    assert_string_equal(a.first_text, "open");
    assert_string_equal(a.last_text, "y");
    assert_int_equal(a.last.u, 4);
}

static void what_describes_it_is_folded_too(void **state) {
    (void)state;
    static const int64_t values[] = {1};
    struct wr_aggregate a = ints(1, values);
    struct wr_aggregate b = ints(1, values);
    a.flags = WR_AGGREGATE_PARTIAL;
    a.decimals = 2;
    b.flags = WR_AGGREGATE_LATE;
    b.decimals = 3;
    b.quality = WR_QUALITY_UNCERTAIN;
    b.window_ns = 300;
    wr_aggregate_merge(&a, &b);
    assert_int_equal(a.flags, WR_AGGREGATE_PARTIAL | WR_AGGREGATE_LATE);
    assert_int_equal(a.decimals, 3);
    assert_int_equal(a.quality, WR_QUALITY_UNCERTAIN);
    assert_int_equal(a.window_ns, 300);
    b.decimals = WR_DECIMALS_UNKNOWN;
    wr_aggregate_merge(&a, &b);
    assert_int_equal(a.decimals, WR_DECIMALS_UNKNOWN);
    struct wr_aggregate nothing = {0};
    wr_aggregate_merge(&a, &nothing);
    assert_int_equal(a.n, 3);
    assert_int_equal(a.quality, WR_QUALITY_UNCERTAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_halves_are_the_whole),
        cmocka_unit_test(each_type_compares_in_its_own_way),
        cmocka_unit_test(symbols_keep_first_and_last),
        cmocka_unit_test(what_describes_it_is_folded_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
