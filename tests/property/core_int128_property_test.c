/* The two-word form of 128-bit integers against the compiler's own (where there is none: against laws that hold for both), and against itself
 * by other ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/int128.h"
#include "tests/support/random.h"

#define ROUNDS 300000

/* Words of few bits, of many, and of a run of ones: carries and borrows. */
static uint64_t word(struct wr_random *random) {
    uint64_t value = wr_random_u64(random) >> wr_random_below(random, 64);
    switch (wr_random_below(random, 4)) {
    case 0:
        return ~value;
    case 1:
        return UINT64_C(1) << wr_random_below(random, 64);
    default:
        return value;
    }
}

static struct wr_words words(struct wr_random *random) {
    return (struct wr_words){word(random), wr_random_below(random, 3) == 0 ? 0 : word(random)};
}

static bool same(struct wr_words a, struct wr_words b) {
    return a.low == b.low && a.high == b.high;
}

static void laws(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < ROUNDS; i++) {
        const struct wr_words a = words(&random);
        const struct wr_words b = words(&random);
        const uint64_t divisor = word(&random) | 1U;
        assert_true(same(wr_words_subtract(wr_words_add(a, b), b), a));
        assert_int_equal(wr_words_below(a, b), !same(a, b) && !wr_words_below(b, a));
        uint64_t rest;
        bool overflow;
        const struct wr_words quotient = wr_words_divide(a, divisor, &rest);
        assert_true(rest < divisor);
        assert_true(same(wr_words_add(wr_words_multiply(quotient, divisor, &overflow), (struct wr_words){rest, 0}), a));
        assert_false(overflow);
        const unsigned n = (unsigned)wr_random_below(&random, 64);
        assert_true(same(wr_words_left(a, n), wr_words_multiply(a, UINT64_C(1) << n, NULL)));
        assert_true(same(wr_words_right(a, n), wr_words_divide(a, UINT64_C(1) << n, &rest)));
        assert_true(same(wr_words_product(a.low, b.low), wr_words_multiply((struct wr_words){a.low, 0}, b.low, &overflow)));
        assert_false(overflow);
    }
}

static void signs(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < ROUNDS; i++) {
        const int64_t a = (int64_t)word(&random);
        const int64_t b = (int64_t)word(&random);
        wr_i128 product = wr_i128_of(a);
        assert_false(wr_i128_multiply_overflow(product, b, &product)); /* of two words: always fits */
        assert_int_equal(wr_i128_negative(product), a != 0 && b != 0 && (a < 0) != (b < 0));
        if (b > 0) {
            int64_t rest;
            assert_true(wr_i128_equal(wr_i128_divide(product, b, &rest), wr_i128_of(a)));
            assert_int_equal(rest, 0);
            assert_int_equal(wr_i128_low(wr_i128_divide(wr_i128_of(a), b, &rest)), a / b);
            assert_int_equal(rest, a % b);
        }
        wr_i128 twice = product;
        if (!wr_i128_add_overflow(product, product, &twice)) {
            wr_i128 doubled = product;
            assert_false(wr_i128_multiply_overflow(product, 2, &doubled));
            assert_true(wr_i128_equal(doubled, twice));
        } else {
            assert_true(wr_i128_multiply_overflow(product, 2, &twice));
            assert_true(wr_i128_equal(twice, product)); /* not touched */
        }
        assert_true(wr_i128_equal(wr_i128_negate(wr_i128_negate(product)), product));
        assert_true(wr_i128_is_int64(wr_i128_of(a)));
        const double value = (double)(a >> 11) * 1024; /* whole, and exact in a double */
        assert_true(wr_i128_double(wr_i128_of_double(value)) == value);
        assert_true(wr_i128_double(wr_i128_of_double(value * 0x1p40)) == value * 0x1p40);
    }
}

#if defined(__SIZEOF_INT128__)
__extension__ typedef unsigned __int128 native;

static native native_of(struct wr_words a) {
    return (native)a.high << 64 | a.low;
}

static bool is(struct wr_words a, native b) {
    return a.low == (uint64_t)b && a.high == (uint64_t)(b >> 64);
}

static void as_the_compiler(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < ROUNDS; i++) {
        const struct wr_words a = words(&random);
        const struct wr_words b = words(&random);
        const uint64_t c = word(&random) | 1U;
        const unsigned n = (unsigned)wr_random_below(&random, 128);
        assert_true(is(wr_words_add(a, b), native_of(a) + native_of(b)));
        assert_true(is(wr_words_subtract(a, b), native_of(a) - native_of(b)));
        assert_int_equal(wr_words_below(a, b), native_of(a) < native_of(b));
        assert_true(is(wr_words_left(a, n), native_of(a) << n) && is(wr_words_right(a, n), native_of(a) >> n));
        assert_true(is(wr_words_product(a.low, c), (native)a.low * c));
        bool overflow;
        native product;
        const struct wr_words ours = wr_words_multiply(a, c, &overflow);
        assert_int_equal(overflow, __builtin_mul_overflow(native_of(a), (native)c, &product));
        assert_true(is(ours, product));
        uint64_t rest;
        assert_true(is(wr_words_divide(a, c, &rest), native_of(a) / c) && rest == (uint64_t)(native_of(a) % c));
        const double got = wr_words_double(a);
        const double wanted = (double)native_of(a);
        assert_memory_equal(&got, &wanted, sizeof got);
    }
}
#else
static void as_the_compiler(void **state) {
    (void)state;
    skip(); /* this compiler has none */
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(laws), cmocka_unit_test(signs), cmocka_unit_test(as_the_compiler)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
