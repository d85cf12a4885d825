#include "rules/compile/lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URGENT_ONE_IN 20 /* 5 % */

void wr_lint_warn(const struct wr_lint *lint, unsigned code, const struct wr_rule *rule, const char *hint, const char *format, ...) {
    char text[300];
    const struct wr_yaml *yaml = NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < lint->n_yamls && !yaml; i++)
        if (strcmp(lint->yamls[i].file, rule->place.file) == 0)
            yaml = &lint->yamls[i];
    wr_diagnostics_add(lint->diagnostics, WR_DIAGNOSTIC_WARNING, code, rule->place.file, yaml ? yaml->text : NULL,
                       yaml ? yaml->text_len : 0, rule->place.at, hint, "rule '%s': %s", rule->name, text);
}

/* -- what stands in the rule ----------------------------------------------------------------------------------------------------------------- */

/* The highest that an alarm of it can have. */
static enum wr_severity worst_of(const struct wr_rule *rule) {
    enum wr_severity worst = rule->n_levels > 0 ? WR_SEVERITY_LOW : rule->severity;
    for (uint32_t i = 0; i < rule->n_levels; i++)
        worst = rule->levels[i].severity > worst ? rule->levels[i].severity : worst;
    return worst;
}

/* Of levels the most severe ones: it is they that leave no time; a first warning may take its time. */
static void lint_delay(const struct wr_lint *lint, const struct wr_rule *rule) {
    if (rule->time_to_respond_ns > 0 && rule->on_delay_ns > rule->time_to_respond_ns / 2)
        wr_lint_warn(lint, 403, rule, "a shorter on_delay", "on_delay takes more than half of time_to_respond");
    for (uint32_t i = 0; rule->time_to_respond_ns > 0 && i < rule->n_levels; i++)
        if (rule->levels[i].severity == worst_of(rule) &&
            lint->ruleset->rules[rule->operands[i].node]->on_delay_ns > rule->time_to_respond_ns / 2)
            wr_lint_warn(lint, 403, rule, "a shorter on_delay", "on_delay of level '%s' takes more than half of time_to_respond",
                         rule->levels[i].name);
}

static void lint_rule(struct wr_lint *lint, const struct wr_rule *rule) {
    const enum wr_severity worst = worst_of(rule);
    if (!rule->respond)
        wr_lint_warn(lint, 401, rule, "add respond: what to do", "without `respond` it is an event, not an alarm");
    if (worst >= WR_SEVERITY_HIGH && (!rule->consequence || rule->time_to_respond_ns == 0))
        wr_lint_warn(lint, 402, rule, rule->consequence ? "add time_to_respond: 20m" : "add consequence: what happens if nobody acts",
                     "severity %s needs `consequence` and `time_to_respond`", wr_severity_name(worst));
    lint_delay(lint, rule);
    wr_lint_limits(lint, rule);
}

/* -- what stands in the set ------------------------------------------------------------------------------------------------------------------ */

static int by_meaning(const void *a, const void *b) {
    const struct wr_rule *left = *(struct wr_rule *const *)a;
    const struct wr_rule *right = *(struct wr_rule *const *)b;
    int order = strcmp(left->canonical, right->canonical);
    return order != 0 ? order : strcmp(left->name, right->name);
}

static void lint_twins(const struct wr_lint *lint) {
    struct wr_ruleset *ruleset = lint->ruleset;
    struct wr_rule **sorted = wr_arena_take(&ruleset->arena, (ruleset->n_rules + 1) * sizeof *sorted);
    if (!sorted || ruleset->n_rules < 2)
        return;
    memcpy(sorted, ruleset->rules, ruleset->n_rules * sizeof *sorted);
    qsort(sorted, ruleset->n_rules, sizeof *sorted, by_meaning);
    for (uint32_t i = 1; i < ruleset->n_rules; i++)
        if (strcmp(sorted[i - 1]->canonical, sorted[i]->canonical) == 0 && wr_rule_same_by(sorted[i - 1], sorted[i]))
            wr_lint_warn(lint, 405, sorted[i], "levels: in one rule tell more and less of the same", "the same condition as rule '%s'",
                         sorted[i - 1]->name);
}

/* How many of the user's own rules are urgent: those that are built in are not his choice. */
static void lint_urgency(const struct wr_lint *lint) {
    const struct wr_ruleset *ruleset = lint->ruleset;
    const struct wr_rule *first = NULL;
    uint32_t high = 0;
    uint32_t own = 0;
    for (uint32_t i = 0; i < ruleset->n_rules; i++) {
        const struct wr_rule *rule = ruleset->rules[i];
        if (strcmp(rule->place.file, WR_RULESET_BUILTIN) == 0)
            continue;
        first = own == 0 ? rule : first;
        high += worst_of(rule) >= WR_SEVERITY_HIGH;
        own++;
    }
    if (own >= URGENT_ONE_IN && high * URGENT_ONE_IN > own)
        wr_lint_warn(lint, 407, first, NULL, "%u of %u rules are high or critical: more than 5 %%", high, own);
}

void wr_lint_ruleset(struct wr_ruleset *ruleset, const struct wr_yaml *yamls, size_t n_yamls, struct wr_diagnostics *diagnostics) {
    struct wr_lint lint = {.ruleset = ruleset, .yamls = yamls, .n_yamls = n_yamls, .diagnostics = diagnostics};
    lint.seen = wr_arena_take(&ruleset->arena, (ruleset->n_nodes + 1) * sizeof *lint.seen);
    if (!lint.seen)
        return;
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        lint_rule(&lint, ruleset->rules[i]);
    lint_twins(&lint);
    lint_urgency(&lint);
}
