/* Lint: what is allowed but seldom wise. Warnings only, and only for a set without errors. Source: ISA-18.2, rationalisation. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rule_compile.h"

WR_PRINTF(5, 6)
static void warn(struct wr_diagnostics *diagnostics, unsigned code, const struct wr_rule *rule, const char *hint, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_WARNING, code, rule->place.file, NULL, 0, rule->place.at, hint, "rule '%s': %s",
                       rule->name, text);
}

/* A limit outside the declared range is never reached, or always. The deadband's thresholds are limits too. */
static void lint_limits(const struct wr_rule *rule, struct wr_diagnostics *diagnostics) {
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        const struct wr_operand *operand = &rule->operands[i];
        for (uint32_t k = 0; operand->point && k < operand->n_thresholds; k++)
            if (operand->thresholds[k] < operand->point->low || operand->thresholds[k] > operand->point->high) {
                warn(diagnostics, 406, rule, NULL, "the limit %.9g%s is outside the range of '%s'", operand->thresholds[k],
                     operand->point->unit.text, operand->point->name);
                break;
            }
    }
}

/* The first two thresholds of a comparison with a deadband are the limit and where it clears. */
static void lint_deadband(const struct wr_rule *rule, struct wr_diagnostics *diagnostics) {
    const struct wr_operand *operand = &rule->operands[0];
    if (rule->clear.n == 0 || rule->when.kernel != WR_KERNEL_COMPARE || rule->clear.kernel != WR_KERNEL_COMPARE || !operand->point)
        return;
    double deadband = fabs(rule->when.low - rule->clear.low);
    if (operand->point->resolution > 0 && deadband < 2 * operand->point->resolution * (1 - 1e-9))
        warn(diagnostics, 404, rule, NULL, "the deadband is below twice the resolution of '%s': it will chatter", operand->point->name);
}

static void lint_rule(const struct wr_rule *rule, struct wr_diagnostics *diagnostics) {
    if (!rule->respond)
        warn(diagnostics, 401, rule, "add respond: what to do", "without `respond` it is an event, not an alarm");
    if (rule->severity >= WR_SEVERITY_HIGH && (!rule->consequence || rule->time_to_respond_ns == 0))
        warn(diagnostics, 402, rule, NULL, "severity %s needs `consequence` and `time_to_respond`", wr_severity_name(rule->severity));
    if (rule->time_to_respond_ns > 0 && rule->on_delay_ns > rule->time_to_respond_ns / 2)
        warn(diagnostics, 403, rule, NULL, "on_delay takes more than half of time_to_respond");
    lint_deadband(rule, diagnostics);
    lint_limits(rule, diagnostics);
}

static int by_meaning(const void *a, const void *b) {
    const struct wr_rule *left = *(struct wr_rule *const *)a;
    const struct wr_rule *right = *(struct wr_rule *const *)b;
    int order = strcmp(left->canonical, right->canonical);
    return order != 0 ? order : strcmp(left->name, right->name);
}

static void lint_twins(struct wr_ruleset *ruleset, struct wr_diagnostics *diagnostics) {
    struct wr_rule **sorted = wr_arena_take(&ruleset->arena, (ruleset->n_rules + 1) * sizeof *sorted);
    if (!sorted || ruleset->n_rules < 2)
        return;
    memcpy(sorted, ruleset->rules, ruleset->n_rules * sizeof *sorted);
    qsort(sorted, ruleset->n_rules, sizeof *sorted, by_meaning);
    for (uint32_t i = 1; i < ruleset->n_rules; i++)
        if (strcmp(sorted[i - 1]->canonical, sorted[i]->canonical) == 0 && wr_rule_same_by(sorted[i - 1], sorted[i]))
            warn(diagnostics, 405, sorted[i], NULL, "the same condition as rule '%s'", sorted[i - 1]->name);
}

/* How many of the user's own rules are urgent: those that are built in are not his choice. */
static void lint_urgency(const struct wr_ruleset *ruleset, struct wr_diagnostics *diagnostics) {
    const struct wr_rule *first = NULL;
    uint32_t high = 0;
    uint32_t own = 0;
    for (uint32_t i = 0; i < ruleset->n_rules; i++) {
        const struct wr_rule *rule = ruleset->rules[i];
        if (strcmp(rule->place.file, WR_RULESET_BUILTIN) == 0)
            continue;
        first = own == 0 ? rule : first;
        high += rule->severity >= WR_SEVERITY_HIGH;
        own++;
    }
    if (own >= 20 && high * 20 > own)
        warn(diagnostics, 407, first, NULL, "%u of %u rules are high or critical: more than 5 %%", high, own);
}

void wr_lint_ruleset(struct wr_ruleset *ruleset, struct wr_diagnostics *diagnostics) {
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        lint_rule(ruleset->rules[i], diagnostics);
    lint_twins(ruleset, diagnostics);
    lint_urgency(ruleset, diagnostics);
}
