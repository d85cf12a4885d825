/* All tests of one rule file, run and told of.
 *
 * Promise: every test of the file runs, whatever the ones before it did; what failed is shown with its place, what was expected, what was there, and
 * what the alarm had told until then. Threads: one at a time. Ownership: the text is the caller's.
 */
#ifndef WEIR_RULES_TESTING_SUITE_H
#define WEIR_RULES_TESTING_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/json.h"
#include "core/result.h"
#include "rules/compile/ruleset.h"

struct wr_suite_options {
    const struct wr_ruleset_options *rules;
    const char *pattern; /* a glob: the tests whose names match it; NULL: all */
    uint64_t seed;
    bool verbose; /* tests that passed are listed too */
};

/* What came out: as text in `words`, or as JSON (an open array of tests) where json is not NULL. */
struct wr_suite_output {
    struct wr_buf *words;
    struct wr_json *json;
};

struct wr_suite_counts {
    uint32_t passed;
    uint32_t failed;
    uint32_t broken;   /* of these: files with errors */
    uint32_t left_out; /* by the pattern */
};

/* The tests of this file, not those of options->rules->others. Adds to the counts. A file with errors counts as one test that failed, and shows them. err may not be NULL. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_suite_run(const struct wr_ruleset_text *file, const struct wr_suite_options *options,
                                        const struct wr_suite_output *output, struct wr_suite_counts *counts, struct wr_error *err);

/* The tests of a promtool file (rules/testing/promtool.h), on the rules of files that are loaded together (none: those that it names itself). As wr_suite_run; warnings are shown too. */
WR_MUST_USE enum wr_result wr_suite_run_promtool(const struct wr_ruleset_text *file, const char *const *rule_files, size_t n_rule_files,
                                                 const struct wr_suite_options *options, const struct wr_suite_output *output,
                                                 struct wr_suite_counts *counts, struct wr_error *err);

#endif
