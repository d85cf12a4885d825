#include "rules/evaluator/evaluator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* Who reads the output of each node: counted, then filled in. */
static bool list_readers(struct wr_evaluator *evaluator) {
    const struct wr_ruleset *rules = evaluator->rules;
    uint32_t total = 0;
    for (uint32_t i = 0; i < rules->n_nodes; i++)
        for (uint32_t k = 0; k < rules->rules[i]->n_operands; k++)
            total += rules->rules[i]->operands[k].node != WR_NODE_NO;
    evaluator->node_first = calloc(rules->n_nodes + 2, sizeof *evaluator->node_first);
    evaluator->node_readers = malloc((total + 1) * sizeof *evaluator->node_readers);
    if (!evaluator->node_first || !evaluator->node_readers)
        return false;
    uint32_t *first = evaluator->node_first;
    for (uint32_t i = 0; i < rules->n_nodes; i++)
        for (uint32_t k = 0; k < rules->rules[i]->n_operands; k++)
            if (rules->rules[i]->operands[k].node != WR_NODE_NO)
                first[rules->rules[i]->operands[k].node + 2]++;
    for (uint32_t i = 2; i < rules->n_nodes + 2; i++)
        first[i] += first[i - 1];
    for (uint32_t i = 0; i < rules->n_nodes; i++)
        for (uint32_t k = 0; k < rules->rules[i]->n_operands; k++)
            if (rules->rules[i]->operands[k].node != WR_NODE_NO)
                evaluator->node_readers[first[rules->rules[i]->operands[k].node + 1]++] = (struct wr_node_reader){i, k};
    return true;
}

enum wr_result wr_evaluator_new(struct wr_ruleset *rules, const struct wr_series_table *series, const struct wr_symbol_table *symbols,
                                struct wr_evaluator **ret_evaluator, struct wr_error *err) {
    struct wr_evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (!evaluator)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the evaluator");
    evaluator->rules = rules;
    evaluator->table = series;
    evaluator->symbols = symbols;
    evaluator->free_instances = WR_INSTANCE_NONE;
    evaluator->free_outputs = WR_INSTANCE_NONE;
    evaluator->per_rule = calloc(rules->n_nodes + 1, sizeof *evaluator->per_rule);
    evaluator->scheduled = calloc(rules->n_schedules + 1, sizeof *evaluator->scheduled);
    for (uint32_t rank = 0; rank <= WR_RULE_RANKS; rank++)
        evaluator->queues[rank].head = evaluator->queues[rank].tail = WR_INSTANCE_NONE;
    evaluator->bytes = sizeof *evaluator + rules->n_nodes * sizeof *evaluator->per_rule + rules->n_schedules * sizeof *evaluator->scheduled;
    wr_timer_init(&evaluator->timers);
    const struct wr_annunciator_host host = {.user = evaluator, .look = wr_instance_look, .tell = wr_instance_tell};
    if (!evaluator->per_rule || !evaluator->scheduled || !list_readers(evaluator) ||
        wr_annunciator_new(rules, &host, &evaluator->annunciator, err) != WR_OK) {
        wr_evaluator_free(evaluator);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the evaluator");
    }
    *ret_evaluator = evaluator;
    return WR_OK;
}

void wr_signal_free(struct wr_signal *signal) {
    if (!signal)
        return;
    for (uint32_t i = 0; i < signal->n_operators; i++)
        free(signal->operators[i]);
    free(signal->operators);
    free(signal->thresholds); /* the one block of links and wakes too */
    free(signal);
}

void wr_evaluator_free(struct wr_evaluator *evaluator) {
    if (!evaluator)
        return;
    for (uint32_t i = 0; i < evaluator->attached; i++)
        wr_signal_free(evaluator->series[i]);
    for (uint32_t i = 0; i < evaluator->n_outputs; i++)
        wr_signal_free(evaluator->outputs[i]);
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        wr_instance_more_free(evaluator->instances[i].more);
        free(evaluator->instances[i].text);
    }
    wr_annunciator_free(evaluator->annunciator);
    wr_command_log_fini(&evaluator->commands);
    wr_timer_fini(&evaluator->timers);
    wr_evaluator_forget_recalled(evaluator);
    free(evaluator->heirs);
    free(evaluator->meanings);
    free(evaluator->node_first);
    free(evaluator->node_readers);
    free(evaluator->output_bands);
    free(evaluator->outputs);
    free(evaluator->bands);
    free(evaluator->series);
    free(evaluator->instances);
    free(evaluator->buckets);
    free(evaluator->scheduled);
    free(evaluator->per_rule);
    free(evaluator);
}

struct wr_evaluator_band *wr_evaluator_bands(struct wr_evaluator *evaluator) {
    return evaluator->bands;
}

uint32_t wr_evaluator_lower_bound(const struct wr_signal *signal, double value) {
    uint32_t low = 0;
    uint32_t high = signal->n_thresholds;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (signal->thresholds[middle].at < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Between the two thresholds nearest to the value; a value that stands on a threshold has no band: either side would be a change. */
void wr_evaluator_refresh_band(struct wr_evaluator *evaluator, uint32_t id) {
    if (id & WR_SIGNAL_NODE)
        return; /* a node's values come here anyway */
    const struct wr_signal *series = evaluator->series[id];
    struct wr_evaluator_band *band = &evaluator->bands[id];
    band->low = INFINITY;
    band->high = -INFINITY;
    if (!series->good || series->fresh || series->text || series->unlinked || series->n_wakes > 0)
        return;
    double low = series->point ? series->point->low : -INFINITY;
    double high = series->point ? series->point->high : INFINITY;
    uint32_t at = wr_evaluator_lower_bound(series, band->value);
    if (at > 0 && series->thresholds[at - 1].at > low)
        low = series->thresholds[at - 1].at;
    if (at < series->n_thresholds) {
        if (series->thresholds[at].at <= band->value)
            return;
        if (series->thresholds[at].at < high)
            high = series->thresholds[at].at;
    }
    band->low = low;
    band->high = high;
}

int64_t wr_evaluator_next_timer(const struct wr_evaluator *evaluator) {
    int64_t next = wr_timer_next(&evaluator->timers);
    int64_t told = wr_annunciator_next_timer(evaluator->annunciator);
    return evaluator->n_queued > 0 ? INT64_MIN : told < next ? told : next;
}

bool wr_evaluator_reads(const struct wr_evaluator *evaluator, const char *name) {
    const struct wr_ruleset *rules = evaluator->rules;
    uint32_t n;
    const struct wr_reader *first = wr_ruleset_readers(rules, name, "", "", &n); /* those that want a tag stand behind them */
    return first < rules->readers + rules->n_readers && strcmp(first->name, name) == 0;
}

bool wr_evaluator_has_rule(const struct wr_evaluator *evaluator, const char *name) {
    return wr_ruleset_find(evaluator->rules, name) != UINT32_MAX;
}

bool wr_evaluator_measure(const struct wr_evaluator *evaluator, uint32_t *cursor, uint32_t max, const struct wr_now *now,
                          struct wr_alarm_kpis *kpis) {
    return wr_annunciator_measure(evaluator->annunciator, cursor, max, now, kpis);
}

int64_t wr_evaluator_lateness(const struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_signal *series = id < evaluator->attached ? evaluator->series[id] : NULL;
    return series && series->point ? series->point->lateness_ns : -1;
}

void wr_evaluator_stats(const struct wr_evaluator *evaluator, struct wr_evaluator_stats *ret_stats) {
    struct wr_evaluator_stats stats = evaluator->stats;
    stats.rules = evaluator->rules->n_rules;
    struct wr_annunciator_stats annunciator;
    wr_annunciator_stats(evaluator->annunciator, &annunciator);
    stats.bytes = evaluator->bytes + evaluator->rules->arena.bytes + annunciator.bytes;
    *ret_stats = stats;
}

static bool series_is_valid(const struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_signal *series = evaluator->series[id];
    const struct wr_evaluator_band *band = &evaluator->bands[id];
    if (!series)
        return true;
    bool quiet = band->low < band->high;
    for (uint32_t i = 0; i < series->n_thresholds; i++) {
        if (i > 0 && series->thresholds[i - 1].at > series->thresholds[i].at)
            return false;
        if (quiet && series->thresholds[i].at > band->low && series->thresholds[i].at < band->high)
            return false;
    }
    return !quiet || (series->good && !series->fresh && series->n_wakes == 0);
}

bool wr_evaluator_is_valid(const struct wr_evaluator *evaluator) {
    uint32_t queued = 0, active = 0, unacked = 0;
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        const struct wr_instance *instance = &evaluator->instances[i];
        if (instance->rule == WR_INSTANCE_NONE)
            continue;
        queued += instance->queued;
        if (wr_instance_rule(evaluator, instance)->kind != WR_RULE_ALARM)
            continue;
        active += wr_alarm_state_is_active((enum wr_alarm_state)instance->state);
        unacked += wr_alarm_state_wants_ack((enum wr_alarm_state)instance->state);
        if (!wr_alarm_state_is_valid((enum wr_alarm_state)instance->state, instance->condition))
            return false;
        if (instance->state == WR_ALARM_PENDING && instance->delay != WR_DELAY_ON)
            return false;
        if (instance->state == WR_ALARM_NORMAL && instance->delay == WR_DELAY_ON)
            return false;
    }
    if (queued != evaluator->n_queued)
        return false;
    for (uint32_t rank = 0; rank <= WR_RULE_RANKS; rank++)
        for (uint32_t i = evaluator->queues[rank].head; i != WR_INSTANCE_NONE; i = evaluator->instances[i].next)
            if (queued-- == 0 || !evaluator->instances[i].queued || wr_instance_rule(evaluator, &evaluator->instances[i])->rank != rank)
                return false;
    for (uint32_t i = 0; i < evaluator->attached; i++)
        if (!series_is_valid(evaluator, i))
            return false;
    return wr_annunciator_is_valid(evaluator->annunciator) && queued == 0 && active == evaluator->stats.active &&
           unacked == evaluator->stats.unacked && wr_timer_is_valid(&evaluator->timers);
}
