/* Test files of promtool (Prometheus' rule tests) as tests of Weir rules of the same names.
 *
 * input_series become what is given, with Prometheus' own notation; each alert_rule_test becomes: exactly these alarms of the rule are active, their
 * condition true. Labels are compared as far as the rule is `by` them; `severity` where it is one of Weir's words; everything else of an alert has no
 * counterpart, and a warning says so. Rules in PromQL and tests of expressions are errors with their place: nothing is passed over.
 *
 * Source: prometheus.io, "Unit testing for rules". Threads: one at a time. Ownership: everything is copied into the arena.
 */
#ifndef WEIR_RULES_TESTING_PROMTOOL_H
#define WEIR_RULES_TESTING_PROMTOOL_H

#include "rules/compile/compiled.h"
#include "rules/language/arena.h"
#include "rules/testing/scenario.h"

/* What is wrong goes to diagnostics (then *ret_tests may be NULL). WR_INVALID: there are errors; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_promtool_load(const char *name, const char *text, size_t len, const struct wr_ruleset *rules,
                                            struct wr_arena *arena, struct wr_diagnostics *diagnostics, struct wr_test **ret_tests,
                                            struct wr_error *err);

/* Its rule_files, beside it; *ret_n 0: it names none. The list lives in the arena. WR_INVALID: diagnostics tell; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_promtool_rule_files(const char *name, const char *text, size_t len, struct wr_arena *arena,
                                                  struct wr_diagnostics *diagnostics, const char *const **ret_files, size_t *ret_n,
                                                  struct wr_error *err);

#endif
