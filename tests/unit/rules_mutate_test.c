/* Mutants: what is changed in a rule file, where, and which of the changes the tests notice. */
#include "tests/support/suite_bed.h"

#include <stdio.h>

#include "rules/compile/rule_file.h"
#include "rules/testing/mutants.h"
#include "tests/support/failing.h"

/* "6:21 > to >=; ..." of all mutants of a text. */
static const char *mutants_of(const char *text) {
    static char words[16384];
    struct wr_diagnostics diagnostics;
    struct wr_yaml yaml;
    struct wr_arena arena;
    struct wr_mutants mutants;
    size_t n = 0;
    words[0] = '\0';
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    assert_int_equal(
        wr_yaml_load_text("r.yaml", text, strlen(text), wr_rule_file_fields, sizeof(struct wr_rule_file), &diagnostics, &yaml, NULL),
        WR_OK);
    assert_int_equal(wr_mutants_find(&yaml, &arena, &mutants, NULL), WR_OK);
    for (uint32_t i = 0; i < mutants.n; i++) {
        const struct wr_mutant *mutant = &mutants.list[i];
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%u:%u %.*s to %s", i > 0 ? "; " : "", mutant->place.line,
                              mutant->place.column, (int)mutant->len, yaml.text + mutant->at, mutant->with);
    }
    wr_arena_fini(&arena);
    wr_yaml_free(&yaml);
    wr_diagnostics_fini(&diagnostics);
    return words;
}

static void places(void **state) {
    (void)state;
    assert_string_equal(mutants_of("rules:\n  - {rule: a, when: t > 8°C}\n"),
                        "2:23 > to <=; 2:23 > to >=; 2:25 8°C to 7.2°C; 2:25 8°C to 8.8°C");
    assert_string_equal(
        mutants_of("rules:\n  - {rule: a, when: \"not (t in -5..0) and u - 3 < v * 40\"}\n"),
        "2:22 not  to ; 2:29 in to outside; 2:32 - to ; 2:33 5 to 4; 2:33 5 to 6; 2:36 0 to 1; 2:39 and to or; 2:45 - to +; "
        "2:47 3 to 2; 2:47 3 to 4; 2:49 < to <=; 2:49 < to >=; 2:53 * to /; 2:55 40 to 36; 2:55 40 to 44");
    assert_string_equal(
        mutants_of("rules:\n  - {rule: a, when: \"held(door, 2m)\", on_delay: 1m30s}\n"),
        "2:22 held(door, 2m) to not (held(door, 2m)); 2:33 2m to 1m; 2:33 2m to 4m; 2:49 1m30s to 0s; 2:49 1m30s to 3m; 2:49 1m30s to 45s");
    assert_string_equal(
        mutants_of("defaults: {severity: critical, latch: true}\nrules:\n  - {rule: a, when: t == 1, no_data: hold, deadband: 1.5K}\n"),
        "1:22 critical to high; 1:39 true to false; 3:23 == to !=; 3:26 1 to 0; 3:26 1 to 2; 3:38 hold to clear; 3:38 hold to raise; "
        "3:54 1.5K to 0.75K; 3:54 1.5K to 0K; 3:54 1.5K to 3K");
    /* Escapes in quotes stand otherwise in the file: left alone where they are, right behind them. */
    assert_string_equal(mutants_of("rules:\n  - {rule: a, when: \"t == \\\"\\u0061\\\" or u < 4\"}\n"),
                        "2:24 == to !=; 2:38 or to and; 2:43 < to <=; 2:43 < to >=; 2:45 4 to 3; 2:45 4 to 5");
    /* Several lines. */
    assert_string_equal(
        mutants_of("rules:\n  - rule: a\n    when: t > 3\n      and u < 4\n"),
        "3:13 > to <=; 3:13 > to >=; 3:15 3 to 2; 3:15 3 to 4; 4:7 and to or; 4:13 < to <=; 4:13 < to >=; 4:15 4 to 3; 4:15 4 to 5");
    assert_string_equal(mutants_of("weir: 1\n"), "");
}

#define RULE                                                                                                                               \
    "rules:\n"                                                                                                                             \
    "  - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"                                       \
    "tests:\n"

static void survivors(void **state) {
    (void)state;
    /* A test that hardly looks. */
    struct suite_bed bed = suite_mutate("r.yaml", RULE "  - {test: t, rules: [hot], given: [{series: \"t{m=1}\", values: \"50*4 100*6\"}], "
                                                       "expect: [{t: 4m, alarm: \"hot{m=1}\", state: unack}]}\n");
    assert_string_equal(wr_buf_str(&bed.words),
                        "r.yaml:2:25: warning W368: no test notices when '>' becomes '>='\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                         ^\n"
                        "r.yaml:2:27: warning W368: no test notices when '80' becomes '72'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                           ^^\n"
                        "r.yaml:2:27: warning W368: no test notices when '80' becomes '88'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                           ^^\n"
                        "r.yaml:2:48: warning W368: no test notices when '1m' becomes '0s'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                ^^\n"
                        "r.yaml:2:48: warning W368: no test notices when '1m' becomes '2m'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                ^^\n"
                        "r.yaml:2:48: warning W368: no test notices when '1m' becomes '30s'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                ^^\n"
                        "r.yaml:2:62: warning W368: no test notices when '5' becomes '0'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                              ^\n"
                        "r.yaml:2:62: warning W368: no test notices when '5' becomes '10'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                              ^\n"
                        "r.yaml:2:62: warning W368: no test notices when '5' becomes '2.5'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                              ^\n"
                        "r.yaml:2:75: warning W368: no test notices when 'high' becomes 'medium'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                                           ^^^^\n"
                        "r.yaml:2:88: warning W368: no test notices when 'true' becomes 'false'\n"
                        "    2 |   - {rule: hot, when: t > 80, by: m, on_delay: 1m, deadband: 5, severity: high, latch: true}\n"
                        "      |                                                                                        ^^^^\n");
    assert_int_equal(bed.mutants.mutants, 12);
    assert_int_equal(bed.mutants.killed, 1);
    suite_fini(&bed);
}

/* A test at each limit, and on both sides of each delay, notices everything. */
static void all_noticed(void **state) {
    (void)state;
    struct suite_bed bed = suite_mutate(
        "r.yaml", RULE "  - {test: t, rules: [hot], every: 1s, given: [{series: \"t{m=1}\", values: \"80*120 81*90 75*30 74*30\"}],\n"
                       "     expect: [{t: 179s, none: hot}, {t: 179s, alarm: \"hot{m=1}\", state: pending}, {t: 3m, alarm: \"hot{m=1}\", "
                       "state: unack, severity: high},\n"
                       "              {t: 239s, alarm: \"hot{m=1}\", state: unack}, {t: 4m, alarm: \"hot{m=1}\", state: latched_unack}]}\n"
                       "  - {test: u, rules: [hot], every: 1s, given: [{series: \"t{m=1}\", values: \"87*90\"}], expect: [{t: 1m, alarm: "
                       "\"hot{m=1}\", state: unack}]}\n");
    assert_string_equal(wr_buf_str(&bed.words), "");
    assert_int_equal(bed.mutants.mutants, 12);
    assert_int_equal(bed.mutants.killed, 12);
    suite_fini(&bed);
}

/* What does not load is no mutant; what every rule overrules is none; a rule that no test looks at is not tested. */
static void what_counts(void **state) {
    (void)state;
    static const char test[] = "tests:\n  - {test: t, rules: [a], given: [{series: t, values: \"1 9\"}], expect: [{t: 29s, none: a}, {t: "
                               "30s, alarm: a, state: unack, severity: high}]}\n";
    char text[2048];
    snprintf(text, sizeof text, "defaults: {severity: low, no_data: hold}\nrules:\n  - {rule: a, when: t > 8, severity: high}\n%s", test);
    struct suite_bed bed = suite_mutate("r.yaml", text);
    assert_int_equal(bed.mutants.mutants, 5); /* > twice, 8 twice, severity; `no_data: raise` has no no_data_after */
    suite_fini(&bed);
    snprintf(text, sizeof text,
             "defaults: {severity: low}\nrules:\n  - {rule: a, when: t > 8, severity: high}\n  - {rule: b, when: t > 8}\n%s", test);
    bed = suite_mutate("r.yaml", text);
    assert_int_equal(bed.mutants.mutants, 10);
    assert_int_equal(bed.mutants.killed, 3);
    suite_fini(&bed);
    bed = suite_mutate("r.yaml", "rules:\n  - {rule: a, when: t > 8}\n"); /* no tests */
    assert_int_equal(bed.mutants.mutants, 0);
    suite_fini(&bed);
}

static void no_memory(void **state) {
    (void)state;
    static const char text[] =
        "rules:\n  - {rule: a, when: t > 8, severity: high}\n"
        "tests:\n  - {test: t, rules: [a], given: [{series: t, values: \"1 9\"}], expect: [{t: 30s, alarm: a, state: unack}]}\n";
    const struct wr_ruleset_text file = {"r.yaml", text, strlen(text)};
    const struct wr_suite_options options = {.seed = WR_TEST_SEED};
    long n = 0;
    for (;; n++) {
        struct wr_buf words;
        struct wr_mutate_counts counts = {0};
        struct wr_error err = {0};
        wr_buf_init(&words, 0);
        const struct wr_suite_output output = {.words = &words};
        wr_failing_allocations(n);
        enum wr_result result = wr_mutate_run(&file, &options, &output, &counts, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&words);
        assert_true(result == WR_OK || (hit && result == WR_NO_MEMORY));
        if (!hit)
            break;
    }
    assert_true(n > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),      cmocka_unit_test(survivors), cmocka_unit_test(all_noticed),
        cmocka_unit_test(what_counts), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
