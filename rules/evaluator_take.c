/* Samples and timers: what an instance has to look at, and the queue that holds it while out is full. */
#include <math.h>
#include <string.h>

#include "rules/evaluator_private.h"

void wr_evaluator_enqueue(struct wr_evaluator *evaluator, uint32_t index) {
    struct wr_instance *instance = &evaluator->instances[index];
    if (instance->queued)
        return;
    instance->queued = true;
    instance->next = WR_INSTANCE_NONE;
    if (evaluator->queue_head == WR_INSTANCE_NONE)
        evaluator->queue_head = index;
    else
        evaluator->instances[evaluator->queue_tail].next = index;
    evaluator->queue_tail = index;
}

bool wr_evaluator_run_queue(struct wr_evaluator *evaluator, struct wr_alarm_out *out) {
    while (evaluator->queue_head != WR_INSTANCE_NONE) {
        if (out->n >= out->cap)
            return false;
        struct wr_instance *instance = &evaluator->instances[evaluator->queue_head];
        evaluator->queue_head = instance->next;
        instance->queued = false;
        wr_instance_step(evaluator, instance, out);
    }
    return true;
}

static void enqueue_links(struct wr_evaluator *evaluator, const struct wr_series_state *series) {
    for (uint32_t i = 0; i < series->n_links; i++)
        wr_evaluator_enqueue(evaluator, series->links[i].instance);
}

/* Whose limits lie between the old value and the new one. */
static void enqueue_crossed(struct wr_evaluator *evaluator, const struct wr_series_state *series, double from, double to) {
    double low = from < to ? from : to;
    double high = from < to ? to : from;
    for (uint32_t i = wr_evaluator_lower_bound(series, low); i < series->n_thresholds && series->thresholds[i].at <= high; i++)
        wr_evaluator_enqueue(evaluator, series->thresholds[i].instance);
    for (uint32_t i = 0; i < series->n_wakes; i++)
        wr_evaluator_enqueue(evaluator, series->wakes[i]);
}

/* The time of a sample on its series' clock; moves the clock on when it is the newest. */
static int64_t move_clock(struct wr_evaluator *evaluator, struct wr_series_state *series, int64_t event_ns, int64_t arrival_ns,
                          const struct wr_now *now) {
    int64_t arrival_wall_ns = wr_clock_add_ns(now->wall_ns, arrival_ns - now->boot_ns);
    int64_t off_ns = event_ns > arrival_wall_ns ? event_ns - arrival_wall_ns : arrival_wall_ns - event_ns;
    bool live = off_ns >= 0 && off_ns <= WR_EVALUATOR_LIVE_NS;
    if (!series->met) {
        /* Delays that already run on this series were measured by boot time. */
        for (uint32_t i = 0; i < series->n_links; i++) {
            struct wr_instance *instance = &evaluator->instances[series->links[i].instance];
            if (instance->operand == series->links[i].operand)
                wr_instance_freeze(evaluator, instance, evaluator->at.boot_ns);
        }
        series->met = true;
        series->clock_ns = event_ns;
    } else if (live && series->live && arrival_ns >= series->clock_boot_ns) {
        series->clock_ns = wr_clock_add_ns(series->clock_ns, arrival_ns - series->clock_boot_ns);
    } else if (event_ns >= series->clock_event_ns) {
        series->clock_ns = wr_clock_add_ns(series->clock_ns, event_ns - series->clock_event_ns);
    } else {
        return series->clock_ns - (series->clock_event_ns - event_ns);
    }
    series->clock_event_ns = event_ns;
    series->clock_boot_ns = arrival_ns;
    series->live = live;
    return series->clock_ns;
}

/* A delay that was over before this sample came is over, whatever the sample says: as if its timer had fired in between. */
static void enqueue_over(struct wr_evaluator *evaluator, uint32_t id, const struct wr_series_state *series) {
    for (uint32_t i = 0; i < series->n_wakes; i++) {
        const struct wr_instance *instance = &evaluator->instances[series->wakes[i]];
        const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
        if (instance->delay == WR_DELAY_NONE || instance->frozen || instance->series[instance->operand] != id)
            continue;
        int64_t delay_ns = instance->delay == WR_DELAY_ON ? rule->on_delay_ns : rule->off_delay_ns;
        if (wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns) > delay_ns)
            wr_evaluator_enqueue(evaluator, series->wakes[i]);
    }
}

/* Puts a good sample into windows and values. Returns whether everybody has to look. */
static void apply_good(struct wr_evaluator *evaluator, uint32_t id, struct wr_series_state *series, const struct wr_reading *reading,
                       double value, int64_t at_ns, int64_t arrival_ns) {
    struct wr_evaluator_band *band = &evaluator->bands[id];
    bool all = !series->good || series->fresh || !series->ever;
    for (uint32_t i = 0; i < series->n_windows && !series->text; i++) {
        wr_sliding_advance(series->windows[i], series->clock_ns);
        if (series->windows[i]->span_ns > 0 && series->clock_ns - at_ns >= series->windows[i]->span_ns)
            continue;
        evaluator->stats.window_overflows += wr_sliding_add(series->windows[i], at_ns, value);
    }
    double old = band->value;
    series->has_prev = series->ever;
    series->prev = old;
    series->symbol = reading->value.symbol;
    series->good = series->ever = true;
    series->fresh = false;
    band->value = value;
    band->arrival_boot_ns = arrival_ns;
    if (all)
        enqueue_links(evaluator, series);
    else
        enqueue_crossed(evaluator, series, old, value);
}

static void apply_bad(struct wr_evaluator *evaluator, struct wr_series_state *series, int64_t arrival_ns) {
    bool was = series->good || series->fresh;
    series->good = false;
    series->fresh = false;
    series->bad_boot_ns = arrival_ns;
    if (was)
        enqueue_links(evaluator, series);
    else
        for (uint32_t i = 0; i < series->n_wakes; i++)
            wr_evaluator_enqueue(evaluator, series->wakes[i]);
}

enum wr_result wr_evaluator_take(struct wr_evaluator *evaluator, struct wr_reading *reading, int64_t arrival_boot_ns,
                                 const struct wr_now *now, struct wr_alarm_out *out) {
    struct wr_series_state *series = reading->series < evaluator->attached ? evaluator->series[reading->series] : NULL;
    bool text = reading->type == WR_TYPE_SYMBOL;
    double value = text ? 0 : wr_reading_number((enum wr_type)reading->type, reading->value);
    const struct wr_point *point = series ? series->point : NULL;
    if (!text && (!isfinite(value) || (point && (value < point->low || value > point->high))))
        reading->quality = WR_QUALITY_BAD;
    if (!series)
        return WR_OK;
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    int64_t event_ns = reading->event_ns;
    if (event_ns == WR_EVENT_NONE)
        event_ns = wr_clock_add_ns(now->wall_ns, arrival_boot_ns - now->boot_ns);
    if (event_ns > WR_EVALUATOR_TIME_MAX_NS || event_ns < -WR_EVALUATOR_TIME_MAX_NS)
        event_ns = event_ns > 0 ? WR_EVALUATOR_TIME_MAX_NS : -WR_EVALUATOR_TIME_MAX_NS;
    evaluator->at = (struct wr_trigger){
        .series = reading->series, .boot_ns = arrival_boot_ns, .arrival_boot_ns = arrival_boot_ns, .event_ns = event_ns, .now = *now};
    int64_t at_ns = move_clock(evaluator, series, event_ns, arrival_boot_ns, now);
    enqueue_over(evaluator, reading->series, series);
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    series->text = text;
    if (reading->quality == WR_QUALITY_BAD)
        apply_bad(evaluator, series, arrival_boot_ns);
    else
        apply_good(evaluator, reading->series, series, reading, value, at_ns, arrival_boot_ns);
    (void)wr_evaluator_run_queue(evaluator, out);
    wr_evaluator_refresh_band(evaluator, reading->series);
    return WR_OK;
}

enum wr_result wr_evaluator_timers(struct wr_evaluator *evaluator, const struct wr_now *now, uint32_t max, struct wr_alarm_out *out,
                                   bool *ret_more) {
    *ret_more = true;
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    /* Also what next_alarm tells is as of now from here on. */
    evaluator->at = (struct wr_trigger){.series = WR_SERIES_NONE, .boot_ns = now->boot_ns, .event_ns = now->wall_ns, .now = *now};
    for (uint32_t done = 0; wr_timer_next(&evaluator->timers) <= now->boot_ns; done++) {
        uint32_t index;
        if (done == max)
            return WR_OK;
        if (out->n >= out->cap)
            return WR_FULL;
        if (!wr_timer_take(&evaluator->timers, now->boot_ns, &index))
            break;
        wr_instance_step(evaluator, &evaluator->instances[index], out);
    }
    *ret_more = false;
    return WR_OK;
}
