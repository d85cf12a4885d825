/* Any bytes as a test file of promtool, on rules that do not change: errors have their place; what loads runs to its end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/testing/promtool.h"
#include "rules/testing/run.h"

#define RULES                                                                                                                              \
    "rules:\n"                                                                                                                             \
    "  - {rule: InstanceDown, when: up == 0, by: \"instance, job\", on_delay: 5m, severity: critical}\n"                                   \
    "  - {rule: Hot, when: temp > 80}\n"

#define HOUR_NS (3600 * INT64_C(1000000000))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Long tests are only slow. */
static int is_short(const struct wr_test *test) {
    uint64_t samples = 0;
    for (uint32_t i = 0; i < test->n_given; i++)
        for (uint32_t k = 0; k < test->given[i].n_runs; k++)
            samples += test->given[i].runs[k].n;
    return samples < 1000 && (test->n_expects == 0 || test->expects[test->n_expects - 1].t_ns < HOUR_NS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_ruleset *rules;
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_test *tests = NULL;
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    if (!rules && wr_ruleset_load_text("rules.yaml", RULES, strlen(RULES), NULL, &diagnostics, &rules, NULL) != WR_OK)
        abort();
    enum wr_result result = wr_promtool_load("t.yml", (const char *)data, size, rules, &arena, &diagnostics, &tests, NULL);
    if ((result == WR_OK) != (diagnostics.errors == 0))
        abort();
    for (const struct wr_test *test = result == WR_OK ? tests : NULL; test; test = test->next) {
        const struct wr_test_options options = {.seed = WR_TEST_SEED, .max_timers = 10000};
        uint32_t failures;
        if (is_short(test)) {
            enum wr_result ran = wr_test_run(rules, test, &options, &failures, NULL);
            if (ran != WR_OK && ran != WR_LIMIT)
                abort();
        }
    }
    wr_arena_fini(&arena);
    wr_diagnostics_fini(&diagnostics);
    return 0;
}
