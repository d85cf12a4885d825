/* Units of what is computed: a quotient of two quantities is a ratio, wherever it stands; a function of several numbers is in the unit of one of them. */
#include "tests/support/rules_fixture.h"

#define POINTS                                                                                                                             \
    "points:\n"                                                                                                                            \
    "  - {point: p, unit: kW}\n"                                                                                                           \
    "  - {point: q, unit: W}\n"                                                                                                            \
    "  - {point: t, unit: °C}\n"                                                                                                          \
    "derive:\n"

/* The value of a derived point `d` in its unit: p = 2 kW, q = 5000 W, t = 20 °C, x = 3, y = 12. */
static double value_of(const char *derive, const char *limit) {
    struct rules_fixture f;
    char text[1024];
    snprintf(text, sizeof text, POINTS "  - {point: d, %s}\nrules:\n  - {rule: r, when: d > %s}\n", derive, limit);
    fixture_init(&f, text);
    fixture_value(&f, fixture_series(&f, "p", ""), 2);
    fixture_value(&f, fixture_series(&f, "q", ""), 5000);
    fixture_value(&f, fixture_series(&f, "t", ""), 20);
    fixture_value(&f, fixture_series(&f, "x", ""), 3);
    fixture_value(&f, fixture_series(&f, "y", ""), 12);
    double value = f.n_log > 0 ? f.log[f.n_log - 1].alarm.value : NAN;
    fixture_fini(&f);
    return value;
}

static void check(const char *derive, const char *limit, double expected) {
    double value = value_of(derive, limit);
    if (!(fabs(value - expected) < 1e-9))
        fail_msg("%s: %.9g, not %.9g", derive, value, expected);
}

static void ratios(void **state) {
    (void)state;
    check("of: p / q, unit: \"%\"", "1%", 40);
    check("of: 1 - p / q, unit: \"%\"", "1%", 60);
    check("of: (q - p) / q, unit: \"%\"", "1%", 60);
    check("of: \"clamp(p / q, 0, 1)\", unit: \"%\"", "1%", 40);
    check("of: \"avg(p / q, 5m)\", unit: \"%\"", "1%", 40);
    check("of: \"if(x > 1, p / q, 0)\", unit: \"%\"", "1%", 40);
    check("of: 2 * (p / q), unit: \"%\"", "1%", 80);
    check("of: p / q", "0.1", 0.4);
    check("of: p * x / q, unit: \"%\"", "1%", 120);
}

/* A bare series has the unit that is said, but for quotients of two. */
static void bare(void **state) {
    (void)state;
    check("of: x / y, unit: \"%\"", "1%", 25);
    check("of: 1 - x / y, unit: \"%\"", "1%", 75);
    check("of: \"clamp(x / y, 0, 1)\", unit: \"%\"", "1%", 25);
    check("of: x / 10, unit: \"%\"", "0.1%", 0.3);
    check("of: x + 1, unit: \"%\"", "1%", 4);
    check("of: x * (p / q), unit: kW", "1kW", 1.2);
    check("of: y / x, unit: bar", "1bar", 4);
}

static void one_unit(void **state) {
    (void)state;
    check("of: \"clamp(1500W, p, 9000W)\"", "1kW", 2);
    check("of: \"clamp(3000W, p * 0, p)\", unit: kW", "1kW", 2);
    check("of: \"clamp(50°F, t, 86°F)\"", "15°C", 20);
    check("of: \"clamp(p, 2500W, 9kW)\"", "1kW", 2.5);
    check("of: \"if(3W in 1W..p, 7, 8)\"", "1", 7);
    check("of: \"if(300000W in 1kW..p, 7, 8)\"", "1", 8);
    check("of: \"if(1500W outside p..9000W, 7, 8)\"", "1", 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ratios), cmocka_unit_test(bare), cmocka_unit_test(one_unit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
