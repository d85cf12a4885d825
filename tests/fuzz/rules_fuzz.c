/* Any bytes as a rule file; what loads is attached to series and fed, and explained. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/series.h"
#include "rules/compile/ruleset.h"
#include "rules/evaluator/evaluator.h"
#include "rules/evaluator/evaluator_private.h"
#include "rules/explain/explain.h"
#include "rules/testing/run.h"

static void feed(struct wr_evaluator *evaluator, uint32_t n) {
    static struct wr_alarm_entry entries[4];
    struct wr_now now = {.boot_ns = 1000000000000, .wall_ns = 1772438400000000000, .wall_trusted = true};
    for (unsigned i = 0; i < 64; i++) {
        struct wr_alarm_out out = {.entries = entries, .cap = 4};
        bool more;
        now.boot_ns += 7000000000;
        now.wall_ns += 7000000000;
        if (wr_evaluator_timers(evaluator, &now, 100, &out, &more) != WR_OK)
            continue;
        struct wr_reading reading = {
            .series = i % n, .type = WR_TYPE_FLOAT, .value = {.f = (double)(i * 37 % 101) - 20}, .event_ns = now.wall_ns};
        if (!wr_evaluator_quiet(&wr_evaluator_bands(evaluator)[reading.series], reading.value.f, now.boot_ns))
            while (wr_evaluator_take(evaluator, &reading, now.boot_ns, &now, &out) == WR_FULL)
                out.n = 0;
        if (!wr_evaluator_is_valid(evaluator))
            abort();
    }
}

/* Whatever a rule is made of can be taken apart; asking changes nothing. */
static void explain(struct wr_evaluator *evaluator, const struct wr_ruleset *rules) {
    const struct wr_now now = {.boot_ns = 1500000000000, .wall_ns = 1772438900000000000, .wall_trusted = true};
    for (uint32_t i = 0; i < rules->n_nodes && i < 16; i++) {
        struct wr_buf text;
        struct wr_error err;
        wr_buf_init(&text, 0);
        const enum wr_result result = wr_explain(evaluator, rules->rules[i]->name, &now, i % 2 == 0, &text, &err);
        if (result != WR_OK && result != WR_NOT_FOUND && result != WR_INVALID) /* the name of a hidden node is no selector */
            abort();
        wr_buf_fini(&text);
    }
    if (!wr_evaluator_is_valid(evaluator))
        abort();
}

/* Tests that are not long, and read no files, run to their end. */
static int is_short(const struct wr_test *test) {
    uint64_t samples = 0;
    for (uint32_t i = 0; i < test->n_given; i++)
        for (uint32_t k = 0; k < test->given[i].n_runs; k++) {
            if (test->given[i].runs[k].kind == WR_SAMPLE_CSV)
                return 0;
            samples += test->given[i].runs[k].n;
        }
    return samples < 500 && (test->n_expects == 0 || test->expects[test->n_expects - 1].t_ns < 3600 * INT64_C(1000000000));
}

static void run_tests(struct wr_ruleset *rules) {
    unsigned n = 0;
    for (const struct wr_test *test = rules->tests; test && n < 4; test = test->next, n++) {
        const struct wr_test_options options = {.seed = WR_TEST_SEED, .max_timers = 10000};
        uint32_t failures;
        if (is_short(test))
            (void)!wr_test_run(rules, test, &options, &failures, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"room_temp\0value\0room\0A1", "power\0value\0machine\0comp1", "t\0value\0", "x\0y\0room\0A1"};
    static const size_t lengths[] = {24, 26, 8, 12};
    static const struct wr_ruleset_options options = {.keep_tests = true};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_series_table *table = NULL;
    struct wr_evaluator *evaluator = NULL;
    uint32_t id;
    wr_diagnostics_init(&diagnostics);
    struct wr_buf shown;
    wr_buf_init(&shown, 0);
    enum wr_result result = wr_ruleset_load_text("r.yaml", (const char *)data, size, &options, &diagnostics, &rules, NULL);
    if ((result == WR_OK) != (diagnostics.errors == 0) || wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &shown) != WR_OK)
        abort();
    if (rules && wr_series_table_new(16, &table, NULL) == WR_OK && wr_evaluator_new(rules, table, NULL, &evaluator, NULL) == WR_OK) {
        const struct wr_now now = {.boot_ns = 1, .wall_ns = 1772438400000000000};
        for (int i = 0; i < 4; i++)
            if (!wr_series_key_valid(keys[i], lengths[i]) || wr_series_intern(table, keys[i], lengths[i], &id) != WR_OK)
                abort();
        feed(evaluator, wr_evaluator_attach(evaluator, 4, &now));
        explain(evaluator, rules);
    }
    wr_evaluator_free(evaluator);
    wr_series_table_free(table);
    if (rules)
        run_tests(rules);
    wr_ruleset_free(rules);
    wr_buf_fini(&shown);
    wr_diagnostics_fini(&diagnostics);
    return 0;
}
