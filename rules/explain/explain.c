#include "rules/explain/explain.h"

#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"
#include "rules/alarms/annunciator.h"
#include "rules/explain/explain_private.h"
#include "rules/language/label.h"

/* The index of an alarm, or of a derived point that has a name. */
static uint32_t find_rule(const struct wr_ruleset *rules, const char *name) {
    uint32_t found = wr_ruleset_find(rules, name);
    for (uint32_t i = rules->n_rules; found == UINT32_MAX && i < rules->n_nodes; i++)
        if (strcmp(rules->rules[i]->name, name) == 0)
            found = i;
    return found;
}

static enum wr_result refuse_name(const struct wr_ruleset *rules, const char *name, struct wr_error *err) {
    const char **names = calloc(rules->n_rules + 1u, sizeof *names);
    for (uint32_t i = 0; names && i < rules->n_rules; i++)
        names[i] = rules->rules[i]->name;
    const char *near = names ? wr_nearest_name(name, names, rules->n_rules) : NULL;
    free(names);
    if (near)
        return wr_error_set(err, WR_NOT_FOUND, "there is no rule '%.63s': did you mean '%s'?", name, near);
    return wr_error_set(err, WR_NOT_FOUND, "there is no rule '%.63s'", name);
}

static bool selects(const struct wr_ruleset *rules, const struct wr_selector *selector, const char *labels) {
    for (size_t i = 0; i < selector->n_matches; i++) {
        const struct wr_selector_match *match = &selector->matches[i];
        char value[WR_ALARM_INSTANCE_BYTES] = "";
        const bool has = wr_label_find(rules, labels, match->tag, value, sizeof value);
        if (!wr_selector_tag_matches(match, has ? value : NULL))
            return false;
    }
    return true;
}

static enum wr_result explain_instance(struct wr_explanation *x, uint32_t index, bool json, struct wr_buf *into) {
    struct wr_evaluator *evaluator = x->evaluator;
    const struct wr_instance *instance = &evaluator->instances[index];
    *x = (struct wr_explanation){.evaluator = evaluator, .index = index};
    wr_instance_fill(evaluator, instance, (enum wr_alarm_state)instance->state, (enum wr_alarm_cause)0, &x->entry);
    if (wr_instance_rule(evaluator, instance)->kind == WR_RULE_ALARM)
        wr_annunciator_show(evaluator->annunciator, index, &x->entry.alarm);
    wr_explain_collect(x);
    return json ? wr_explain_json(x, into) : wr_explain_text(x, into);
}

/* Nothing of it exists yet: what it waits for. */
static enum wr_result refuse_instance(const struct wr_rule *rule, const char *alarm, bool any, struct wr_error *err) {
    if (any)
        return wr_error_set(err, WR_NOT_FOUND, "there is no %.191s", alarm);
    return wr_error_set(err, WR_NOT_FOUND, "%s has no alarm yet: nothing has come of %.120s", rule->name,
                        rule->n_operands > 0 ? rule->operands[0].text : "its series");
}

static enum wr_result explain_all(struct wr_explanation *x, uint32_t rule, const struct wr_selector *selector, const char *alarm, bool json,
                                  struct wr_buf *into, struct wr_error *err) {
    const struct wr_evaluator *evaluator = x->evaluator;
    uint32_t n = 0, left_out = 0;
    bool any = false;
    if (json)
        WR_TRY(wr_buf_text(into, "["));
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        if (evaluator->instances[i].rule != rule)
            continue;
        any = true;
        if (!selects(evaluator->rules, selector, evaluator->instances[i].text))
            continue;
        if (n == WR_EXPLAIN_INSTANCES) {
            left_out++;
            continue;
        }
        if (n++ > 0)
            WR_TRY(wr_buf_text(into, json ? ",\n" : "\n"));
        WR_TRY(explain_instance(x, i, json, into));
    }
    if (n == 0)
        return refuse_instance(evaluator->rules->rules[rule], alarm, any, err);
    if (json)
        return wr_buf_text(into, "]\n");
    return left_out > 0 ? wr_buf_printf(into, "\n... and %u more: name one, as in %s\n", left_out, "RULE{label=value}") : WR_OK;
}

enum wr_result wr_explain(struct wr_evaluator *evaluator, const char *alarm, const struct wr_now *now, bool json, struct wr_buf *into,
                          struct wr_error *err) {
    struct wr_selector selector;
    WR_TRY(wr_selector_parse(alarm, strlen(alarm), &selector, NULL, err));
    const uint32_t rule = find_rule(evaluator->rules, selector.name);
    if (rule == UINT32_MAX)
        return refuse_name(evaluator->rules, selector.name, err);
    struct wr_explanation *x = malloc(sizeof *x);
    if (!x)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    x->evaluator = evaluator;
    /* Looked at as a timer would do, but nobody's step: a pulse is over, and what is looked at goes on where it was. */
    const struct wr_trigger at = evaluator->at;
    const uint64_t trigger = evaluator->trigger;
    const uint64_t evaluations = evaluator->stats.evaluations;
    evaluator->at = (struct wr_trigger){.series = WR_SERIES_NONE, .boot_ns = now->boot_ns, .event_ns = now->wall_ns, .now = *now};
    evaluator->trigger = UINT64_MAX;
    enum wr_result result = explain_all(x, rule, &selector, alarm, json, into, err);
    evaluator->at = at;
    evaluator->trigger = trigger;
    evaluator->stats.evaluations = evaluations;
    free(x);
    if (result == WR_NO_MEMORY || result == WR_LIMIT)
        return wr_error_set(err, result, "no memory");
    return result;
}
