/* Expressions over several series have one sample a stamp: what the second series says at it corrects what the first one said. */
#include "tests/support/rules_fixture.h"

#define S FIXTURE_SECOND
#define M FIXTURE_MINUTE

/* A sample stamped ago_ns before now. */
static void feed(struct rules_fixture *f, uint32_t series, double value, int64_t ago_ns) {
    const struct wr_reading reading = {.series = series,
                                       .type = WR_TYPE_FLOAT,
                                       .value = {.f = value},
                                       .decimals = WR_DECIMALS_UNKNOWN,
                                       .quality = isfinite(value) ? WR_QUALITY_GOOD : WR_QUALITY_BAD};
    fixture_feed(f, reading, f->now.wall_ns - ago_ns);
}

static bool raised(const struct rules_fixture *f, const char *rule) {
    return wr_alarm_state_is_active(fixture_state(f, rule, ""));
}

/* Two series, each once a minute with one stamp, the second some seconds behind: five samples in five minutes. */
static void one_a_stamp(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: five, when: \"count(a - b, 5m) == 5\", auto_ack: true}\n"
                     "  - {rule: mean, when: \"avg(a - b, 5m) == 2\", auto_ack: true}\n"
                     "  - {rule: often, when: \"hits(a - b > 5, 2, 3)\", auto_ack: true}\n"
                     "  - {rule: any, when: \"count_if(a - b > 5, 10m) >= 1\", auto_ack: true}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    for (int i = 0; i < 12; i++) {
        feed(&f, a, 10 * i + 2, 0); /* against the old b a jump by ten */
        fixture_pass(&f, 3 * S);
        feed(&f, b, 10 * i, 3 * S);
        assert_true(i < 5 || (raised(&f, "five") && raised(&f, "mean")));
        assert_false(i > 0 && (raised(&f, "often") || raised(&f, "any")));
        fixture_pass(&f, 57 * S);
    }
    fixture_fini(&f);
}

/* The same with a reload between the two: what the second one says belongs to the sample that the first one began before it. */
static void one_a_stamp_over_a_reload(void **state) {
    (void)state;
    static const char text[] = "rules:\n"
                               "  - {rule: five, when: \"count(a - b, 5m) == 5\", auto_ack: true}\n"
                               "  - {rule: often, when: \"hits(a - b > 5, 1, 3)\", auto_ack: true}\n"
                               "  - {rule: jump, when: \"delta(a - b) > 5\", auto_ack: true}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    for (int i = 0; i < 12; i++) {
        feed(&f, a, 10 * i + 2, 0);
        fixture_pass(&f, 3 * S);
        fixture_reload(&f, fixture_load(text), 1);
        feed(&f, b, 10 * i, 3 * S);
        assert_true(i < 5 || raised(&f, "five"));
        assert_false(i > 0 && (raised(&f, "often") || raised(&f, "jump")));
        fixture_pass(&f, 57 * S);
    }
    fixture_fini(&f);
}

/* Another stamp is another sample, and so is the same series again: a device that stamps in whole seconds. */
static void others_count(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: many, when: \"count(a - b, 5m) == 9\", auto_ack: true}\n"
                     "  - {rule: alone, when: \"count(a - 1, 5m) == 5\", auto_ack: true}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    feed(&f, a, 1, 0);
    feed(&f, b, 1, 0); /* one */
    for (int i = 0; i < 4; i++) {
        feed(&f, a, i, 0); /* four */
        feed(&f, b, i, 0);
    }
    fixture_pass(&f, 1 * S);
    feed(&f, b, 1, 0);
    fixture_pass(&f, 1 * S);
    feed(&f, b, 1, 0);
    fixture_pass(&f, 1 * S);
    feed(&f, b, 1, 0);
    assert_false(raised(&f, "many"));
    fixture_pass(&f, 1 * S);
    feed(&f, b, 1, 0);
    assert_true(raised(&f, "many"));
    assert_true(raised(&f, "alone"));
    fixture_fini(&f);
}

/* A set is computed from several series too. A pulse that a correction confirms counts once, one that it takes back not at all. */
static void sets_and_pulses(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: three, when: \"count(avg_of(t), 5m) == 3\", auto_ack: true}\n"
                     "  - {rule: once, when: \"count_if(rises(a > b), 10m) == 1\", auto_ack: true}\n");
    uint32_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = fixture_series(&f, "t", (const char *[]){"n=1", "n=2", "n=3", "n=4"}[i]);
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 4; i++)
            feed(&f, t[i], i + k, 0);
        fixture_pass(&f, 30 * S);
    }
    assert_true(raised(&f, "three"));
    feed(&f, a, 1, 0);
    feed(&f, b, 2, 0);
    fixture_pass(&f, 30 * S);
    feed(&f, a, 3, 0); /* above the old b, which moves with it */
    feed(&f, b, 4, 0);
    assert_false(raised(&f, "once"));
    fixture_pass(&f, 30 * S);
    feed(&f, a, 9, 0);
    feed(&f, b, 5, 0);
    assert_true(raised(&f, "once"));
    fixture_pass(&f, 30 * S);
    feed(&f, b, 6, 0);
    assert_true(raised(&f, "once"));
    fixture_fini(&f);
}

/* A bad sample of the second series takes the value back; a good one puts it in the place of an unknown one. */
static void unknown(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: two, when: \"count(a - b, 5m) == 2\", auto_ack: true}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    for (int i = 0; i < 2; i++) {
        feed(&f, a, 1, 0);
        feed(&f, b, 1, 0);
        fixture_pass(&f, 10 * S);
    }
    assert_true(raised(&f, "two"));
    feed(&f, a, 1, 0);
    assert_false(raised(&f, "two"));
    feed(&f, b, NAN, 0);
    assert_true(raised(&f, "two"));
    fixture_pass(&f, 10 * S);
    feed(&f, b, 1, 0);
    feed(&f, a, 1, 0);
    assert_false(raised(&f, "two"));
    fixture_fini(&f);
}

/* A derived point that emits once a minute: its sample is what both say at that stamp. */
static void emitted(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(
        &f, "derive:\n  - {point: d, of: \"a - b\", emit: 1m}\nrules:\n  - {rule: apart, when: d != 2, auto_ack: true, on_delay: 10s}\n");
    const uint32_t a = fixture_series(&f, "a", ""), b = fixture_series(&f, "b", "");
    for (int i = 0; i < 4; i++) {
        feed(&f, a, 10 * i + 2, 0);
        fixture_pass(&f, 1 * S);
        feed(&f, b, 10 * i, 1 * S);
        fixture_pass(&f, 59 * S);
        assert_false(raised(&f, "apart"));
    }
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_a_stamp),  cmocka_unit_test(one_a_stamp_over_a_reload),
                                       cmocka_unit_test(others_count), cmocka_unit_test(sets_and_pulses),
                                       cmocka_unit_test(unknown),      cmocka_unit_test(emitted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
