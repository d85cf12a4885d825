/* Runs the tests of a rule file on each of its mutants: one that no test notices shows what the tests leave open.
 *
 * What does not load is no mutant, and a default that every rule overrules is none. Of a rule only the tests that look at it are run, until one notices.
 * Threads: one at a time. Ownership: the text is the caller's.
 */
#ifndef WEIR_RULES_TESTING_MUTATE_H
#define WEIR_RULES_TESTING_MUTATE_H

#include "rules/testing/suite.h"

struct wr_mutate_counts {
    uint32_t mutants;
    uint32_t killed;
};

/* Survivors are shown in output->words, or added to the open array output->json. Adds to the counts. The file's tests must pass. */
WR_MUST_USE enum wr_result wr_mutate_run(const struct wr_ruleset_text *file, const struct wr_suite_options *options,
                                         const struct wr_suite_output *output, struct wr_mutate_counts *counts, struct wr_error *err);

#endif
