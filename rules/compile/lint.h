/* Lint: what is allowed but seldom wise. Warnings only, and only for a set without errors.
 *
 * Source: ISA-18.2, rationalisation. Threads: one. Ownership: reads the set; lives in its arena while it works.
 */
#ifndef WEIR_RULES_COMPILE_LINT_H
#define WEIR_RULES_COMPILE_LINT_H

#include "rules/compile/compiled.h"
#include "rules/yaml/yaml.h"

struct wr_lint {
    struct wr_ruleset *ruleset;  /* its nodes are numbered */
    const struct wr_yaml *yamls; /* the files, for excerpts */
    size_t n_yamls;
    struct wr_diagnostics *diagnostics;
    bool *seen; /* nodes that were looked at: what several rules share is told once */
};

void wr_lint_ruleset(struct wr_ruleset *ruleset, const struct wr_yaml *yamls, size_t n_yamls, struct wr_diagnostics *diagnostics);

/* -- between lint's files -------------------------------------------------------------------------------------------------------------------- */

/* At the rule's place: "rule 'x': ..." */
void wr_lint_warn(const struct wr_lint *lint, unsigned code, const struct wr_rule *rule, const char *hint, const char *format, ...)
    WR_PRINTF(5, 6);

/* Limits and deadbands of a rule and of the nodes that it reads (lint_limits.c). */
void wr_lint_limits(struct wr_lint *lint, const struct wr_rule *rule);

#endif
