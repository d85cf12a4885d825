/* What an alarm tells of its value and its limit. */
#include "tests/support/rules_fixture.h"

#define POINTS "points:\n  - {point: t, unit: °C, every: 30s}\n  - {point: p, unit: bar}\n"

/* A message speaks in the unit in which its limit is written, where the value's own is made up of others; else in that of its point. */
static void told_as_written(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n"
                            "  - {rule: fast, when: \"slope(t, 5m) > 0.5K/min\", message: \"{value}, {limit} {unit}\"}\n"
                            "  - {rule: left, when: \"30K/h < slope(t, 5m)\", message: \"{value}, {limit} {unit}\"}\n"
                            "  - {rule: hot, when: t > 50°F, message: \"{value}, {limit} {unit}\"}\n"
                            "  - {rule: out, when: t outside 41°F .. 50°F, message: \"{value}, {limit} {unit}\"}\n"
                            "  - {rule: share, when: \"p / 4bar > 20%\", message: \"{value}, {limit} {unit}\"}\n"
                            "  - {rule: own, when: p > 1bar, message: \"{value}, {limit} {unit}\"}\n");
    static const char *const wanted[][2] = {
        {"fast", "1 K/min, 0.5 K/min K/min"}, {"left", "60 K/h, 30 K/h K/h"}, {"hot", "11 °C, 10 °C °C"},
        {"out", "11 °C, 10 °C °C"},           {"share", "50 %, 20 % %"},      {"own", "2 bar, 1 bar bar"}};
    const uint32_t t = fixture_series(&f, "t", "");
    for (int i = 0; i <= 6; i++) {
        fixture_value(&f, t, 5 + i);
        fixture_pass(&f, FIXTURE_MINUTE);
    }
    fixture_value(&f, fixture_series(&f, "p", ""), 2);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *told = "";
        for (uint32_t k = f.n_log; k-- > 0;)
            if (strcmp(f.log[k].alarm.rule, wanted[i][0]) == 0)
                told = f.log[k].alarm.message;
        assert_string_equal(told, wanted[i][1]);
    }
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(told_as_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
