#include "rules/evaluator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator_private.h"

enum wr_result wr_evaluator_new(struct wr_ruleset *rules, const struct wr_series_table *series, const struct wr_symbol_table *symbols,
                                struct wr_evaluator **ret_evaluator, struct wr_error *err) {
    struct wr_evaluator *evaluator = calloc(1, sizeof *evaluator);
    uint32_t *per_rule = calloc(rules->n_rules + 1, sizeof *per_rule);
    if (!evaluator || !per_rule) {
        free(evaluator);
        free(per_rule);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the evaluator");
    }
    evaluator->rules = rules;
    evaluator->table = series;
    evaluator->symbols = symbols;
    evaluator->per_rule = per_rule;
    evaluator->queue_head = evaluator->queue_tail = WR_INSTANCE_NONE;
    evaluator->bytes = sizeof *evaluator + rules->n_rules * sizeof *per_rule;
    wr_timer_init(&evaluator->timers);
    *ret_evaluator = evaluator;
    return WR_OK;
}

static void series_free(struct wr_series_state *series) {
    if (!series)
        return;
    for (uint32_t i = 0; i < series->n_windows; i++)
        wr_sliding_free(series->windows[i]);
    free(series->windows);
    free(series->links);
    free(series->thresholds);
    free(series->wakes);
    free(series);
}

void wr_evaluator_free(struct wr_evaluator *evaluator) {
    if (!evaluator)
        return;
    for (uint32_t i = 0; i < evaluator->attached; i++)
        series_free(evaluator->series[i]);
    for (uint32_t i = 0; i < evaluator->n_instances; i++)
        free(evaluator->instances[i].text);
    wr_timer_fini(&evaluator->timers);
    free(evaluator->bands);
    free(evaluator->series);
    free(evaluator->instances);
    free(evaluator->buckets);
    free(evaluator->per_rule);
    free(evaluator);
}

struct wr_evaluator_band *wr_evaluator_bands(struct wr_evaluator *evaluator) {
    return evaluator->bands;
}

uint32_t wr_evaluator_lower_bound(const struct wr_series_state *series, double value) {
    uint32_t low = 0;
    uint32_t high = series->n_thresholds;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (series->thresholds[middle].at < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Between the two thresholds nearest to the value; a value that stands on a threshold has no band: either side would be a change. */
void wr_evaluator_refresh_band(struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_series_state *series = evaluator->series[id];
    struct wr_evaluator_band *band = &evaluator->bands[id];
    band->low = INFINITY;
    band->high = -INFINITY;
    if (!series->good || series->fresh || series->text || series->n_wakes > 0)
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
    return evaluator->queue_head != WR_INSTANCE_NONE ? INT64_MIN : wr_timer_next(&evaluator->timers);
}

int64_t wr_evaluator_lateness(const struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_series_state *series = id < evaluator->attached ? evaluator->series[id] : NULL;
    return series && series->point ? series->point->lateness_ns : -1;
}

void wr_evaluator_stats(const struct wr_evaluator *evaluator, struct wr_evaluator_stats *ret_stats) {
    struct wr_evaluator_stats stats = evaluator->stats;
    stats.rules = evaluator->rules->n_rules;
    stats.instances = evaluator->n_instances;
    stats.bytes = evaluator->bytes + evaluator->rules->arena.bytes;
    *ret_stats = stats;
}

static bool series_is_valid(const struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_series_state *series = evaluator->series[id];
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
        active += wr_alarm_state_is_active((enum wr_alarm_state)instance->state);
        unacked += wr_alarm_state_wants_ack((enum wr_alarm_state)instance->state);
        if (!wr_alarm_state_is_valid((enum wr_alarm_state)instance->state, instance->condition))
            return false;
        if (instance->state == WR_ALARM_PENDING && instance->delay != WR_DELAY_ON)
            return false;
        if (instance->state == WR_ALARM_NORMAL && instance->delay == WR_DELAY_ON)
            return false;
        queued += instance->queued;
    }
    for (uint32_t i = evaluator->queue_head; i != WR_INSTANCE_NONE; i = evaluator->instances[i].next)
        if (queued-- == 0 || !evaluator->instances[i].queued)
            return false;
    for (uint32_t i = 0; i < evaluator->attached; i++)
        if (!series_is_valid(evaluator, i))
            return false;
    return queued == 0 && active == evaluator->stats.active && unacked == evaluator->stats.unacked && wr_timer_is_valid(&evaluator->timers);
}
