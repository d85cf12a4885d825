/* Test files of promtool: what in them has no counterpart here is said at its place; what alerts are compared with; files that are named inside; no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile/compiled.h"
#include "rules/testing/promtool.h"
#include "rules/testing/run.h"
#include "tests/support/failing.h"

#define RULES                                                                                                                              \
    "rules:\n"                                                                                                                             \
    "  - {rule: Down, when: up == 0, by: \"instance, job\", on_delay: 5m, severity: critical, respond: r, consequence: c, "                \
    "time_to_respond: 30m}\n"                                                                                                              \
    "  - {rule: Hot, when: temp > 80, latch: true}\n"

static struct wr_ruleset *rules;

static int load_rules(void **state) {
    (void)state;
    struct wr_diagnostics diagnostics;
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_ruleset_load_text("rules.yaml", RULES, strlen(RULES), NULL, &diagnostics, &rules, NULL);
    wr_diagnostics_fini(&diagnostics);
    return result == WR_OK ? 0 : 1;
}

static int free_rules(void **state) {
    (void)state;
    wr_ruleset_free(rules);
    return 0;
}

/* -- complaints --------------------------------------------------------------------------------------------------------------------------- */

/* The words of everything that is said about a file. */
static const char *said(const char *text, enum wr_result expected) {
    static char words[8192];
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_test *tests;
    struct wr_buf shown;
    struct wr_error err;
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    wr_buf_init(&shown, 0);
    if (wr_promtool_load("t.yml", text, strlen(text), rules, &arena, &diagnostics, &tests, &err) != expected)
        fail_msg("not as expected: %s", text);
    assert_int_equal(wr_diagnostics_render(&diagnostics, false, &shown), WR_OK);
    snprintf(words, sizeof words, "%s", wr_buf_str(&shown));
    wr_buf_fini(&shown);
    wr_arena_fini(&arena);
    wr_diagnostics_fini(&diagnostics);
    return words;
}

static void complains(const char *text, const char *words) {
    const char *all = said(text, WR_INVALID);
    if (!strstr(all, words))
        fail_msg("'%s' is not in:\n%s", words, all);
}

#define SERIES(key, values) "tests:\n  - input_series: [{series: '" key "', values: '" values "'}]\n"
#define ALERT(key, alerts)                                                                                                                 \
    "tests:\n  - input_series: [{series: temp, values: 1x5}]\n    alert_rule_test: [{eval_time: 1m, alertname: " key                       \
    ", exp_alerts: [" alerts "]}]\n"

static void what_has_no_counterpart(void **state) {
    (void)state;
    complains("evaluation_interval: soon\n" SERIES("up", "1"), "t.yml:1:22: error W367");
    complains("tests:\n  - interval: 0s\n    input_series: [{series: up, values: 1}]\n", "the time between two samples is more than 0");
    complains("tests:\n  - interval: 4000d\n", "more than ");
    complains("tests:\n  - start_timestamp: 5\n", "a start has no counterpart here");
    complains("tests:\n  - promql_expr_test: [{expr: up, eval_time: 1m}]\n", "leave it out");
    complains(SERIES("up{job=", "1"), "as in up{job=\"a\", instance=\"b\"}");
    complains(SERIES("up{job!=\"a\"}", "1"), "one series is meant: a name, and labels with =");
    complains(SERIES("up*{job=\"a\"}", "1"), "one series is meant: a name, and labels with =");
    complains(SERIES("up{a=\"1\",a=\"2\"}", "1"), "t.yml:2:");
    complains(SERIES("up", "1x5000000"), "at most");
    complains("tests:\n  - input_series: [{series: up, values: 1x3000000}, {series: temp, values: 1x3000000}]\n",
              "a test makes at most 5000000 samples");
    complains(ALERT("Hott", ""), "did you mean 'Hot'?");
    complains(ALERT("SomethingElse", ""), "a Weir rule of the alert's name is tested");
    complains(ALERT("Down", "{exp_labels: {job: 'a\"b'}}"), "with a quote in it, cannot be named here");
}

/* More series than a test may have, and a label longer than a selector. */
static void too_much(void **state) {
    (void)state;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    size_t n = (size_t)snprintf(text, 1 << 20, "tests:\n  - input_series:\n");
    for (int i = 0; i <= WR_TEST_SERIES; i++)
        n += (size_t)snprintf(text + n, (1 << 20) - n, "      - {series: s%d, values: 1}\n", i);
    complains(text, "a test has at most");
    n = (size_t)snprintf(text, 1 << 20, "tests:\n  - alert_rule_test: [{eval_time: 1m, alertname: Down, exp_alerts: [{exp_labels: {job: ");
    memset(text + n, 'a', WR_SELECTOR_BYTES);
    snprintf(text + n + WR_SELECTOR_BYTES, 100, "}}]}]\n");
    complains(text, "a label that is too long");
    n = (size_t)snprintf(text, 1 << 20, "tests:\n  - alert_rule_test: [{eval_time: 1m, alertname: Down, exp_alerts: [{exp_labels: {job: ");
    memset(text + n, 'a', WR_SELECTOR_BYTES - 8);
    snprintf(text + n + WR_SELECTOR_BYTES - 8, 100, "}}]}]\n");
    complains(text, "labels that cannot be named here");
    free(text);
}

static void what_is_not_compared(void **state) {
    (void)state;
    const char *words =
        said(ALERT("Hot", "{exp_labels: {alertname: Hot, team: ops, severity: page}, exp_annotations: {summary: s}}"), WR_OK);
    assert_non_null(strstr(words, "warning W367: not compared: the rule 'Hot' is not by 'team'"));
    assert_non_null(strstr(words, "is not by 'severity'")); /* no severity of ours */
    assert_non_null(strstr(words, "annotations are not compared"));
    assert_null(strstr(words, "alertname'"));
}

/* -- running ------------------------------------------------------------------------------------------------------------------------------ */

struct seen {
    char words[4096];
    const char *name;
};

static void keep(void *user, const struct wr_test_failure *failure) {
    struct seen *seen = user;
    const size_t len = strlen(seen->words);
    seen->name = failure->test->name;
    snprintf(seen->words + len, sizeof seen->words - len, "%s%s", len > 0 ? "; " : "", failure->message);
}

/* What fails in a file's first test; "" when it passes. */
static void fails(const char *text, const char *words) {
    struct seen seen = {.words = ""};
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_test *tests;
    struct wr_error err;
    uint32_t failures = 0;
    const struct wr_test_options options = {.seed = WR_TEST_SEED, .failed = keep, .user = &seen};
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    assert_int_equal(wr_promtool_load("t.yml", text, strlen(text), rules, &arena, &diagnostics, &tests, &err), WR_OK);
    assert_int_equal(wr_test_run(rules, tests, &options, &failures, &err), WR_OK);
    assert_string_equal(seen.words, words);
    assert_true((failures > 0) == (words[0] != '\0'));
    wr_arena_fini(&arena);
    wr_diagnostics_fini(&diagnostics);
}

#define HOT "tests:\n  - input_series: [{series: temp, values: '50 90x5 50x9'}]\n    alert_rule_test: "
#define DOWN "tests:\n  - input_series: [{series: 'up{instance=\"a\",job=\"b\"}', values: '0x20'}]\n    alert_rule_test: "

static void what_fires(void **state) {
    (void)state;
    fails(HOT "[{eval_time: 3m, alertname: Hot, exp_alerts: [{}]}]\n", "");
    fails(HOT "[{eval_time: 30s, alertname: Hot}]\n", "");
    /* Over, though it is latched here: Prometheus has it resolved. */
    fails(HOT "[{eval_time: 10m, alertname: Hot}]\n", "");
    fails(HOT "[{eval_time: 10m, alertname: Hot, exp_alerts: [{}]}]\n", "Hot does not fire");
    fails(HOT "[{eval_time: 3m, alertname: Hot}]\n", "Hot fires, expected not to");
    /* In the order of time, whatever their order in the file; two of one time in that of the file. */
    fails(HOT "[{eval_time: 10m, alertname: Hot, exp_alerts: [{}]}, {eval_time: 3m, alertname: Hot}, {eval_time: 3m, alertname: Down, "
              "exp_alerts: [{}]}]\n",
          "Hot fires, expected not to; Down does not fire; Hot does not fire");
    /* Pending does not fire. */
    fails(DOWN "[{eval_time: 2m, alertname: Down}]\n", "");
    fails(DOWN "[{eval_time: 10m, alertname: Down, exp_alerts: [{exp_labels: {instance: a, job: b, severity: critical}}]}]\n", "");
    fails(DOWN "[{eval_time: 10m, alertname: Down, exp_alerts: [{exp_labels: {instance: a, job: b, severity: low}}]}]\n",
          "Down{instance=\"a\",job=\"b\"}: the severity is critical, expected low");
    fails(DOWN "[{eval_time: 10m, alertname: Down, exp_alerts: [{exp_labels: {instance: a}}, {exp_labels: {job: b}}]}]\n",
          "Down: 1 fire, expected 2");
}

/* A test has the name that it is given, else its place. */
static void names(void **state) {
    (void)state;
    static const char text[] = "tests:\n  - {name: first, input_series: []}\n  - {name: ''}\n  - {}\n";
    static const char *const expected[] = {"first", "tests[1]", "tests[2]"};
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_test *tests;
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    assert_int_equal(wr_promtool_load("t.yml", text, strlen(text), rules, &arena, &diagnostics, &tests, NULL), WR_OK);
    for (size_t i = 0; i < 3; i++, tests = tests->next)
        assert_string_equal(tests->name, expected[i]);
    assert_null(tests);
    wr_arena_fini(&arena);
    wr_diagnostics_fini(&diagnostics);
}

/* -- files that are named inside ---------------------------------------------------------------------------------------------------------- */

static void rule_files(void **state) {
    (void)state;
    static const char text[] = "rule_files: [a.yaml, /etc/weir/b.yaml]\ntests: []\n";
    static const char *const expected[][2] = {{"t.yml", "a.yaml"}, {"tests/t.yml", "tests/a.yaml"}, {"/srv/x/t.yml", "/srv/x/a.yaml"}};
    for (size_t i = 0; i < 3; i++) {
        struct wr_diagnostics diagnostics;
        struct wr_arena arena;
        const char *const *files;
        size_t n;
        wr_diagnostics_init(&diagnostics);
        wr_arena_init(&arena);
        assert_int_equal(wr_promtool_rule_files(expected[i][0], text, strlen(text), &arena, &diagnostics, &files, &n, NULL), WR_OK);
        assert_int_equal(n, 2);
        assert_string_equal(files[0], expected[i][1]);
        assert_string_equal(files[1], "/etc/weir/b.yaml");
        assert_int_equal(wr_promtool_rule_files("t.yml", "tests: [", 8, &arena, &diagnostics, &files, &n, NULL), WR_INVALID);
        wr_arena_fini(&arena);
        wr_diagnostics_fini(&diagnostics);
    }
}

/* -- no memory ---------------------------------------------------------------------------------------------------------------------------- */

#define ARENA_BYTES 16384

/* The arena has so many bytes left, and the allocation number n fails. *ret_count: how many there were. */
static bool load_in(const char *text, size_t room, long n, long *ret_count) {
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_test *tests;
    const char *const *files;
    size_t n_files;
    struct wr_error err = {0};
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    assert_non_null(wr_arena_take(&arena, ARENA_BYTES - room));
    wr_failing_allocations(n);
    enum wr_result result = wr_promtool_load("t.yml", text, strlen(text), rules, &arena, &diagnostics, &tests, &err);
    const bool hit = wr_failing_hit();
    *ret_count = wr_failing_count();
    wr_failing_off();
    assert_true(result == WR_OK || (hit && result == WR_NO_MEMORY));
    if (arena.failed)
        assert_int_equal(result, WR_NO_MEMORY);
    wr_arena_fini(&arena);
    wr_arena_init(&arena);
    assert_non_null(wr_arena_take(&arena, ARENA_BYTES - (room < 64 ? room : 64)));
    wr_failing_allocations(n);
    result = wr_promtool_rule_files("t.yml", text, strlen(text), &arena, &diagnostics, &files, &n_files, &err);
    assert_true(result == WR_OK || (wr_failing_hit() && result == WR_NO_MEMORY));
    wr_failing_off();
    wr_arena_fini(&arena);
    wr_diagnostics_fini(&diagnostics);
    return hit;
}

/* Pieces of the arena fail one by one only when it is full already: so each place meets its end. */
static void no_memory(void **state) {
    (void)state;
    static const char text[] =
        "rule_files: [a.yaml, b.yaml]\n" DOWN "[{eval_time: 10m, alertname: Down, exp_alerts: [{exp_labels: {instance: a, "
        "job: b}}]}]\n";
    long all;
    (void)load_in(text, ARENA_BYTES, -1, &all);
    unsigned hits = 0;
    for (size_t room = 0; room < 4096; room += 16) {
        long count;
        for (long n = all > 8 ? all - 8 : 0; n <= all + 1; n++)
            hits += load_in(text, room, n, &count);
    }
    assert_true(hits > 100);
    for (long n = 0; n <= all; n++)
        (void)load_in(text, 0, n, &all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_counterpart),
        cmocka_unit_test(too_much),
        cmocka_unit_test(what_is_not_compared),
        cmocka_unit_test(what_fires),
        cmocka_unit_test(names),
        cmocka_unit_test(rule_files),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, load_rules, free_rules);
}
