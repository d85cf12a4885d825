/* The clocks of what is computed from several series: old data that comes at once, series that were met before our own clock was set, series that are behind the others. */
#include "tests/support/rules_fixture.h"

#define S FIXTURE_SECOND
#define M FIXTURE_MINUTE

static void feed(struct rules_fixture *f, uint32_t series, double value, int64_t stamp_ns) {
    const struct wr_reading reading = {.series = series, .type = WR_TYPE_FLOAT, .value = {.f = value}, .decimals = WR_DECIMALS_UNKNOWN};
    fixture_feed(f, reading, stamp_ns);
}

static bool raised(const struct rules_fixture *f, const char *rule) {
    return wr_alarm_state_is_active(fixture_state(f, rule, ""));
}

/* The memory of a gateway with two sensors, which take turns: windows and delays on what is computed from both go by its stamps. */
static void old_data_in_turns(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "derive:\n"
                     "  - {point: d, of: a - b}\n"
                     "rules:\n"
                     "  - {rule: margin, when: d > 2, on_delay: 5m}\n"
                     "  - {rule: mean, when: \"avg(a - b, 10m) > 8\"}\n"
                     "  - {rule: all, when: \"count(d, 10m) == 20\", auto_ack: true}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    const int64_t begin_ns = f.now.wall_ns - 24 * 60 * M;
    for (int i = 0; i < 60; i++) {
        feed(&f, a, 10, begin_ns + i * M);
        feed(&f, b, i < 30 ? 10 : 1, begin_ns + i * M + 30 * S);
        if (i > 0) {
            assert_int_equal(raised(&f, "margin"), i >= 35);
            assert_int_equal(raised(&f, "mean"), i >= 39);
            assert_int_equal(raised(&f, "all"), i >= 10);
        }
    }
    fixture_fini(&f);
}

/* A device without a clock of its own begins in the past. Which series it has met before the time was set is no matter. */
static void our_clock_is_set(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: all, when: \"count(a - b, 20s) == 39\", auto_ack: true}\n"
                     "  - rule: order\n"
                     "    auto_ack: true\n"
                     "    sequence:\n"
                     "      - {step: a > 5}\n"
                     "      - {step: b > 5, within: 10s}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    fixture_run(&f, a, 1, 3, S);
    f.now.wall_ns += INT64_C(365) * 86400 * S;
    for (int i = 0; i < 100; i++) {
        fixture_value(&f, a, i % 20 < 10 ? 1 : 8);
        fixture_pass(&f, S / 2);
        fixture_value(&f, b, i % 20 < 15 ? 1 : 8);
        fixture_pass(&f, S / 2);
        assert_int_equal(raised(&f, "order"), i % 20 >= 15);
        assert_int_equal(raised(&f, "all"), i >= 19);
    }
    fixture_fini(&f);
}

/* Yesterday's memory of one of two series is nothing that happens now: it does not stand in the window of the last minutes. */
static void one_is_behind(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: few, when: \"count(a - b, 1m) <= 60\", auto_ack: true}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    fixture_value(&f, b, 1);
    fixture_run(&f, a, 1, 90, S);
    for (int i = 0; i < 1000; i++)
        feed(&f, b, 1, f.now.wall_ns - 86400 * S + i * S);
    fixture_run(&f, a, 1, 10, S);
    assert_true(raised(&f, "few"));
    fixture_fini(&f);
}

/* The first word of a series moves the clock of what others have told before: B comes too late, and B never came before. */
static void first_word(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - rule: order\n"
                     "    sequence:\n"
                     "      - {step: a > 5}\n"
                     "      - {step: b > 5, within: 10s}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    const int64_t begin_ns = f.now.wall_ns - 24 * 60 * M;
    feed(&f, a, 1, begin_ns);
    feed(&f, a, 8, begin_ns + 10 * S);
    feed(&f, b, 8, begin_ns + 25 * S);
    assert_false(raised(&f, "order"));
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(old_data_in_turns), cmocka_unit_test(first_word),
                                       cmocka_unit_test(our_clock_is_set), cmocka_unit_test(one_is_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
