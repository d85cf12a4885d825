/* Readings: names, numbers, exact conversion. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/reading.h"

static void names(void **state) {
    (void)state;
    assert_string_equal(wr_type_name(WR_TYPE_FLOAT), "float");
    assert_string_equal(wr_type_name(WR_TYPE_INT), "int");
    assert_string_equal(wr_type_name(WR_TYPE_UINT), "uint");
    assert_string_equal(wr_type_name(WR_TYPE_BOOL), "bool");
    assert_string_equal(wr_type_name(WR_TYPE_SYMBOL), "string");
    assert_string_equal(wr_type_name(WR_TYPE_NONE), "none");
    assert_string_equal(wr_type_name((enum wr_type)99), "none");
    assert_string_equal(wr_quality_name(WR_QUALITY_GOOD), "good");
    assert_string_equal(wr_quality_name(WR_QUALITY_UNCERTAIN), "uncertain");
    assert_string_equal(wr_quality_name(WR_QUALITY_BAD), "bad");
}

static void a_reading_is_24_bytes(void **state) {
    (void)state;
    assert_int_equal(sizeof(struct wr_reading), 24);
}

static void numbers(void **state) {
    (void)state;
    assert_true(wr_reading_number(WR_TYPE_FLOAT, (union wr_value){.f = 1.5}) == 1.5);
    assert_true(wr_reading_number(WR_TYPE_INT, (union wr_value){.i = -3}) == -3.0);
    assert_true(wr_reading_number(WR_TYPE_UINT, (union wr_value){.u = UINT64_MAX}) == 18446744073709551616.0);
    assert_true(wr_reading_number(WR_TYPE_BOOL, (union wr_value){.u = 1}) == 1.0);
    assert_true(wr_reading_number(WR_TYPE_BOOL, (union wr_value){.u = 0}) == 0.0);
    assert_true(isnan(wr_reading_number(WR_TYPE_SYMBOL, (union wr_value){.u = 1})));
    assert_true(isnan(wr_reading_number(WR_TYPE_NONE, (union wr_value){.u = 1})));
}

static void exact_conversions(void **state) {
    (void)state;
    union wr_value to = {.u = 0};
    assert_true(wr_reading_convert(WR_TYPE_FLOAT, (union wr_value){.f = -7.0}, WR_TYPE_INT, &to) && to.i == -7);
    assert_true(wr_reading_convert(WR_TYPE_FLOAT, (union wr_value){.f = -9223372036854775808.0}, WR_TYPE_INT, &to) && to.i == INT64_MIN);
    assert_true(wr_reading_convert(WR_TYPE_FLOAT, (union wr_value){.f = 9223372036854775808.0}, WR_TYPE_UINT, &to) && to.u == UINT64_C(1)
                                                                                                                                  << 63);
    assert_true(wr_reading_convert(WR_TYPE_INT, (union wr_value){.i = INT64_MIN}, WR_TYPE_FLOAT, &to) && to.f == -9223372036854775808.0);
    assert_true(wr_reading_convert(WR_TYPE_INT, (union wr_value){.i = 5}, WR_TYPE_UINT, &to) && to.u == 5);
    assert_true(wr_reading_convert(WR_TYPE_UINT, (union wr_value){.u = 5}, WR_TYPE_INT, &to) && to.i == 5);
    assert_true(wr_reading_convert(WR_TYPE_UINT, (union wr_value){.u = UINT64_C(1) << 63}, WR_TYPE_FLOAT, &to) &&
                to.f == 9223372036854775808.0);
    assert_true(wr_reading_convert(WR_TYPE_BOOL, (union wr_value){.u = 1}, WR_TYPE_BOOL, &to) && to.u == 1);
}

static void inexact_conversions_are_refused(void **state) {
    (void)state;
    static const struct {
        enum wr_type from;
        union wr_value value;
        enum wr_type to;
    } cases[] = {
        {WR_TYPE_FLOAT, {.f = 1.5}, WR_TYPE_INT},
        {WR_TYPE_FLOAT, {.f = -1.0}, WR_TYPE_UINT},
        {WR_TYPE_FLOAT, {.f = NAN}, WR_TYPE_INT},
        {WR_TYPE_FLOAT, {.f = NAN}, WR_TYPE_UINT},
        {WR_TYPE_FLOAT, {.f = INFINITY}, WR_TYPE_INT},
        {WR_TYPE_FLOAT, {.f = 9223372036854775808.0}, WR_TYPE_INT},
        {WR_TYPE_FLOAT, {.f = 18446744073709551616.0}, WR_TYPE_UINT},
        {WR_TYPE_INT, {.i = (INT64_C(1) << 53) + 1}, WR_TYPE_FLOAT},
        {WR_TYPE_INT, {.i = INT64_MAX}, WR_TYPE_FLOAT},
        {WR_TYPE_UINT, {.u = UINT64_MAX}, WR_TYPE_FLOAT},
        {WR_TYPE_INT, {.i = -1}, WR_TYPE_UINT},
        {WR_TYPE_UINT, {.u = UINT64_C(1) << 63}, WR_TYPE_INT},
        {WR_TYPE_BOOL, {.u = 1}, WR_TYPE_INT},
        {WR_TYPE_INT, {.i = 1}, WR_TYPE_BOOL},
        {WR_TYPE_SYMBOL, {.u = 1}, WR_TYPE_SYMBOL},
        {WR_TYPE_SYMBOL, {.u = 1}, WR_TYPE_INT},
        {WR_TYPE_INT, {.u = 1}, WR_TYPE_SYMBOL},
        {WR_TYPE_NONE, {.u = 1}, WR_TYPE_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        union wr_value to = {.u = 77};
        if (wr_reading_convert(cases[i].from, cases[i].value, cases[i].to, &to))
            fail_msg("case %zu was converted", i);
        assert_int_equal(to.u, 77); /* set only on success */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(a_reading_is_24_bytes),
        cmocka_unit_test(numbers),
        cmocka_unit_test(exact_conversions),
        cmocka_unit_test(inexact_conversions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
