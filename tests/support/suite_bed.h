/* Runs the tests of a rule file's text, and its mutants, as `weir test` does: what it would print, and the counts. */
#ifndef WEIR_TESTS_SUPPORT_SUITE_BED_H
#define WEIR_TESTS_SUPPORT_SUITE_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/testing/mutate.h"
#include "rules/testing/run.h"
#include "rules/testing/suite.h"

struct suite_bed {
    struct wr_buf words;
    struct wr_suite_counts counts;
    struct wr_mutate_counts mutants;
};

static inline struct suite_bed suite_run(const char *name, const char *text) {
    struct suite_bed bed = {0};
    const struct wr_ruleset_text file = {name, text, strlen(text)};
    const struct wr_suite_options options = {.seed = WR_TEST_SEED, .verbose = true};
    wr_buf_init(&bed.words, 0);
    const struct wr_suite_output output = {.words = &bed.words};
    struct wr_error err = {0};
    if (wr_suite_run(&file, &options, &output, &bed.counts, &err) != WR_OK)
        fail_msg("%s", err.text);
    return bed;
}

static inline struct suite_bed suite_mutate(const char *name, const char *text) {
    struct suite_bed bed = {0};
    const struct wr_ruleset_text file = {name, text, strlen(text)};
    const struct wr_suite_options options = {.seed = WR_TEST_SEED};
    wr_buf_init(&bed.words, 0);
    const struct wr_suite_output output = {.words = &bed.words};
    struct wr_error err = {0};
    if (wr_mutate_run(&file, &options, &output, &bed.mutants, &err) != WR_OK)
        fail_msg("%s", err.text);
    return bed;
}

static inline void suite_fini(struct suite_bed *bed) {
    wr_buf_fini(&bed->words);
}

#endif
