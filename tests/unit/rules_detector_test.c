/* Detectors in rules as people write them: which go on speaking while something is odd, and which speak when it begins. */
#include "tests/support/rules_fixture.h"

#define M FIXTURE_MINUTE

/* The same on every run: even, from -1 to 1. */
static double noise(void) {
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(state >> 11) / 4503599627370496.0 - 1;
}

static const char *told_of(const struct rules_fixture *f, const char *rule) {
    for (uint32_t i = 0; i < f->n_log; i++)
        if (strcmp(f->log[i].alarm.rule, rule) == 0 && f->log[i].alarm.cause == WR_ALARM_RAISED)
            return "raised";
    return "";
}

/* A jump: relent raises with its first sample, and is at home with it before five of ten are odd; robust keeps speaking. */
static void a_jump(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "points:\n  - {point: x, range: \"0..100\", every: 1m}\n"
                     "rules:\n"
                     "  - {rule: begins, when: \"anomaly(x, method=relent) > 0.99\", auto_ack: true}\n"
                     "  - {rule: relent, when: \"hits(anomaly(x, method=relent) > 0.99, 5, 10)\", auto_ack: true}\n"
                     "  - {rule: robust, when: \"hits(anomaly(x, method=robust) > 0.99, 5, 10)\", auto_ack: true}\n");
    const uint32_t x = fixture_series(&f, "x", "");
    for (int i = 0; i < 500; i++) {
        fixture_value(&f, x, 20 + 5 * noise());
        fixture_pass(&f, M);
    }
    f.n_log = 0;
    fixture_value(&f, x, 80 + 5 * noise());
    assert_string_equal(told_of(&f, "begins"), "raised");
    for (int i = 0; i < 100; i++) {
        fixture_pass(&f, M);
        fixture_value(&f, x, 80 + 5 * noise());
    }
    assert_string_equal(told_of(&f, "relent"), "");
    assert_string_equal(told_of(&f, "robust"), "raised");
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_jump)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
