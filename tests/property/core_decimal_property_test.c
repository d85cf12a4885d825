/* Decimal sums against exact integers, and against the C library's strtod, which rounds correctly. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/decimal.h"
#include "tests/support/random.h"

#define SUMS 20000
#define READINGS_MAX 40

/* mantissa / 10^decimals as text. */
static const char *text_of(wr_i128 mantissa, unsigned decimals) {
    static char text[64];
    char *at = text + sizeof text - 1;
    *at = '\0';
    bool negative = wr_i128_negative(mantissa);
    for (unsigned digits = 0; !wr_i128_equal(mantissa, wr_i128_zero()) || digits <= decimals; digits++) {
        if (digits == decimals && decimals > 0)
            *--at = '.';
        int64_t digit;
        mantissa = wr_i128_divide(mantissa, 10, &digit);
        *--at = (char)('0' + abs((int)digit));
    }
    if (negative)
        *--at = '-';
    return at;
}

static double written(wr_i128 mantissa, unsigned decimals) {
    return strtod(text_of(mantissa, decimals), NULL);
}

static wr_i128 plus(wr_i128 a, wr_i128 b) {
    assert_false(wr_i128_add_overflow(a, b, &a));
    return a;
}

static wr_i128 times_ten(wr_i128 a) {
    assert_false(wr_i128_multiply_overflow(a, 10, &a));
    return a;
}

/* Any number of bits is equally likely. */
static wr_i128 random_i128(struct wr_random *random, unsigned max_bits) {
    unsigned bits = (unsigned)wr_random_below(random, max_bits + 1);
    wr_u128 value = wr_u128_left(wr_u128_of(wr_random_u64(random) >> 1), 63);
    value = wr_u128_right(wr_u128_or(value, wr_u128_of(wr_random_u64(random) >> 1)), 126 - bits);
    return wr_i128_of_size(wr_random_u64(random) & 1, value);
}

static int64_t random_mantissa(struct wr_random *random) {
    int64_t mantissa = wr_i128_low(random_i128(random, 50));
    return mantissa % 1000000000000000;
}

static void to_double_rounds_once(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < 200000; i++) {
        wr_i128 mantissa = random_i128(&random, 126);
        if (i % 4 == 0) { /* near the middle between two doubles, where rounding twice shows */
            unsigned shift = 54 + (unsigned)wr_random_below(&random, 60);
            mantissa = wr_i128_signed(wr_u128_add(wr_u128_left(wr_u128_of(1), shift), wr_u128_left(wr_u128_of(1), shift - 53)));
            mantissa = plus(mantissa, wr_i128_of((int)wr_random_below(&random, 3) - 1));
        }
        unsigned decimals = (unsigned)wr_random_below(&random, WR_DECIMALS_MAX + 1);
        if (i % 4 == 1) { /* the middle between two doubles, and the least bit below or above it */
            const wr_u128 odd = wr_u128_of((wr_random_u64(&random) >> 11) | (UINT64_C(1) << 53) | 1);
            mantissa = wr_i128_signed(wr_u128_left(odd, (unsigned)wr_random_below(&random, 20)));
            for (unsigned up = 0; up < decimals; up++)
                mantissa = times_ten(mantissa);
            mantissa = plus(mantissa, wr_i128_of((int)wr_random_below(&random, 3) - 1));
        }
        double got = wr_decimal_to_double(mantissa, (uint8_t)decimals);
        if (got != written(mantissa, decimals))
            fail_msg("%s: %.17g, not %.17g", text_of(mantissa, decimals), got, written(mantissa, decimals));
    }
}

static void a_written_value_scales_back(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < 200000; i++) {
        int64_t mantissa = random_mantissa(&random);
        unsigned decimals = (unsigned)wr_random_below(&random, WR_DECIMALS_MAX + 1);
        int64_t got = 0;
        if (!wr_decimal_scale(written(wr_i128_of(mantissa), decimals), (uint8_t)decimals, &got) || got != mantissa)
            fail_msg("%s scaled to %" PRId64, text_of(wr_i128_of(mantissa), decimals), got);
        union wr_value noise = {.bits = wr_random_u64(&random)};
        if (wr_decimal_scale(noise.f, (uint8_t)decimals, &got)) {
            union wr_value back = {.f = written(wr_i128_of(got), decimals)};
            assert_true(back.bits == noise.bits);
        }
    }
}

static void a_sum_is_the_integer_sum(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < SUMS; i++) {
        struct wr_sum forward = wr_sum_zero();
        struct wr_sum backward = wr_sum_zero();
        struct wr_sum parts[2] = {wr_sum_zero(), wr_sum_zero()};
        double values[READINGS_MAX];
        uint8_t decimals[READINGS_MAX];
        size_t n = 1 + wr_random_below(&random, READINGS_MAX);
        unsigned usual = (unsigned)wr_random_below(&random, 7);
        wr_i128 model = wr_i128_zero(); /* at 15 decimals */
        unsigned largest = 0;
        for (size_t r = 0; r < n; r++) {
            int64_t mantissa = random_mantissa(&random);
            unsigned d = wr_random_below(&random, 4) ? usual : (unsigned)wr_random_below(&random, WR_DECIMALS_MAX + 1);
            wr_i128 scaled = wr_i128_of(mantissa);
            for (unsigned up = d; up < WR_DECIMALS_MAX; up++)
                scaled = times_ten(scaled);
            model = plus(model, scaled);
            largest = d > largest ? d : largest;
            values[r] = written(wr_i128_of(mantissa), d);
            decimals[r] = (uint8_t)d;
            wr_sum_add(&forward, WR_TYPE_FLOAT, (union wr_value){.f = values[r]}, decimals[r]);
            wr_sum_add(&parts[wr_random_u64(&random) & 1], WR_TYPE_FLOAT, (union wr_value){.f = values[r]}, decimals[r]);
        }
        for (size_t r = n; r-- > 0;)
            wr_sum_add(&backward, WR_TYPE_FLOAT, (union wr_value){.f = values[r]}, decimals[r]);
        wr_sum_merge(&parts[0], &parts[1]);
        assert_true(forward.exact && backward.exact && parts[0].exact);
        assert_int_equal(forward.decimals, largest);
        assert_int_equal(backward.decimals, largest);
        assert_int_equal(parts[0].decimals, largest);
        assert_true(wr_i128_equal(forward.scaled, backward.scaled) && wr_i128_equal(forward.scaled, parts[0].scaled));
        double expected = written(model, WR_DECIMALS_MAX);
        if (wr_sum_double(&forward) != expected)
            fail_msg("sum of %zu: %.17g, not %.17g", n, wr_sum_double(&forward), expected);
    }
}

static void integer_sums_are_exact(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < SUMS; i++) {
        struct wr_sum sum = wr_sum_zero();
        wr_i128 model = wr_i128_zero();
        for (size_t n = wr_random_below(&random, READINGS_MAX); n > 0; n--) {
            union wr_value value = {.bits = wr_random_u64(&random) >> wr_random_below(&random, 64)};
            enum wr_type type = wr_random_u64(&random) & 1 ? WR_TYPE_INT : WR_TYPE_UINT;
            model = plus(model, type == WR_TYPE_INT ? wr_i128_of(value.i) : wr_i128_of_u64(value.u));
            wr_sum_add(&sum, type, value, WR_DECIMALS_UNKNOWN);
        }
        int64_t whole = 0;
        assert_true(sum.exact && sum.decimals == 0 && wr_i128_equal(sum.scaled, model));
        bool fits = wr_sum_int64(&sum, &whole);
        assert_int_equal(fits, wr_i128_is_int64(model));
        assert_true(!fits || whole == wr_i128_low(model));
        assert_true(wr_sum_double(&sum) == written(model, 0));
    }
}

static void the_fallback_stays_close(void **state) {
    (void)state;
    if (LDBL_MANT_DIG <= DBL_MANT_DIG)
        skip(); /* the model needs more bits than a double has */
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < SUMS; i++) {
        struct wr_sum sum = wr_sum_zero();
        long double model = 0;
        double all = 0;
        for (size_t n = 1 + wr_random_below(&random, READINGS_MAX); n > 0; n--) {
            double value = (double)(int64_t)wr_random_u64(&random) / (double)(1 + wr_random_below(&random, 1000000));
            wr_sum_add(&sum, WR_TYPE_FLOAT, (union wr_value){.f = value}, WR_DECIMALS_UNKNOWN);
            model += value;
            all += fabs(value);
        }
        assert_false(sum.exact);
        assert_true(fabs(wr_sum_double(&sum) - (double)model) <= all * 0x1p-52); /* without the carry: n times that */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_double_rounds_once),  cmocka_unit_test(a_written_value_scales_back), cmocka_unit_test(a_sum_is_the_integer_sum),
        cmocka_unit_test(integer_sums_are_exact), cmocka_unit_test(the_fallback_stays_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
