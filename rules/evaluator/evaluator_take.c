/* Samples and timers: what an instance has to look at, and the queue that holds it while out is full. */
#include <math.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

void wr_evaluator_enqueue(struct wr_evaluator *evaluator, uint32_t index) {
    struct wr_instance *instance = &evaluator->instances[index];
    if (instance->queued)
        return;
    uint32_t rank = wr_instance_rule(evaluator, instance)->rank;
    instance->queued = true;
    instance->next = WR_INSTANCE_NONE;
    if (evaluator->queues[rank].head == WR_INSTANCE_NONE)
        evaluator->queues[rank].head = index;
    else
        evaluator->instances[evaluator->queues[rank].tail].next = index;
    evaluator->queues[rank].tail = index;
    evaluator->n_queued++;
}

bool wr_evaluator_run_queue(struct wr_evaluator *evaluator, struct wr_alarm_out *out) {
    for (uint32_t rank = 0; evaluator->n_queued > 0;) {
        uint32_t index = evaluator->queues[rank].head;
        if (index == WR_INSTANCE_NONE) {
            rank++;
            continue;
        }
        if (out->n >= out->cap)
            return false;
        struct wr_instance *instance = &evaluator->instances[index];
        evaluator->queues[rank].head = instance->next;
        instance->queued = false;
        evaluator->n_queued--;
        if (instance->output != WR_INSTANCE_NONE && evaluator->outputs[instance->output]->unlinked) {
            wr_node_rejoin(evaluator, index); /* who reads it was forgotten, and it speaks again */
            instance = &evaluator->instances[index];
        }
        wr_instance_step(evaluator, instance, out); /* what it puts into the queue has a higher rank */
    }
    return true;
}

void wr_evaluator_set_trigger(struct wr_evaluator *evaluator, const struct wr_trigger *trigger) {
    evaluator->at = *trigger;
    evaluator->trigger++;
}

void wr_evaluator_set_now(struct wr_evaluator *evaluator, const struct wr_now *now) {
    const struct wr_trigger trigger = {.series = WR_SERIES_NONE, .boot_ns = now->boot_ns, .event_ns = now->wall_ns, .now = *now};
    wr_evaluator_set_trigger(evaluator, &trigger);
}

/* The stamp of a sample; the arrival where it has none. Held where differences of times fit. */
static int64_t event_of(const struct wr_reading *reading, int64_t arrival_boot_ns, const struct wr_now *now) {
    int64_t event_ns = reading->event_ns;
    if (event_ns == WR_EVENT_NONE)
        event_ns = wr_clock_add_ns(now->wall_ns, arrival_boot_ns - now->boot_ns);
    if (event_ns > WR_EVALUATOR_TIME_MAX_NS)
        return WR_EVALUATOR_TIME_MAX_NS;
    return event_ns < -WR_EVALUATOR_TIME_MAX_NS ? -WR_EVALUATOR_TIME_MAX_NS : event_ns;
}

enum wr_result wr_evaluator_take(struct wr_evaluator *evaluator, struct wr_reading *reading, int64_t arrival_boot_ns,
                                 const struct wr_now *now, struct wr_alarm_out *out) {
    struct wr_signal *signal = reading->series < evaluator->attached ? evaluator->series[reading->series] : NULL;
    bool text = reading->type == WR_TYPE_SYMBOL;
    double value = text ? 0 : wr_reading_number((enum wr_type)reading->type, reading->value);
    const struct wr_point *point = signal ? signal->point : NULL;
    if (!text && (!isfinite(value) || (point && (value < point->low || value > point->high))))
        reading->quality = WR_QUALITY_BAD;
    if (!signal)
        return WR_OK;
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    int64_t event_ns = event_of(reading, arrival_boot_ns, now);
    struct wr_trigger trigger = {.series = reading->series,
                                 .historic = (reading->flags & WR_READING_HISTORIC) != 0,
                                 .boot_ns = arrival_boot_ns,
                                 .arrival_boot_ns = arrival_boot_ns,
                                 .event_ns = event_ns,
                                 .now = *now};
    wr_evaluator_set_trigger(evaluator, &trigger);
    if (signal->unlinked)
        wr_evaluator_rejoin(evaluator, reading->series);
    int64_t at_ns = wr_signal_move_clock(evaluator, signal, event_ns, arrival_boot_ns, now);
    evaluator->at.clock_ns = at_ns > signal->clock_ns ? at_ns : signal->clock_ns;
    wr_signal_enqueue_over(evaluator, reading->series);
    if (evaluator->n_queued > 0) {
        evaluator->at.over = true;
        if (!wr_evaluator_run_queue(evaluator, out))
            return WR_FULL;
        evaluator->at.over = false;
        evaluator->trigger++; /* what the timers would have done is not what the sample does */
    }
    signal->text = text;
    signal->quality = reading->quality;
    if (reading->quality == WR_QUALITY_BAD)
        wr_signal_take_bad(evaluator, reading->series, arrival_boot_ns);
    else
        wr_signal_take_good(evaluator, reading->series, value, reading->value.symbol, at_ns, arrival_boot_ns);
    (void)wr_evaluator_run_queue(evaluator, out);
    wr_evaluator_refresh_band(evaluator, reading->series);
    return WR_OK;
}

/* A timer, for what may have changed by time alone; or for what nobody speaks for any more. */
static void step_timer(struct wr_evaluator *evaluator, uint32_t index, struct wr_alarm_out *out) {
    const uint32_t before = out->n;
    wr_instance_step(evaluator, &evaluator->instances[index], out);
    if (out->n == before && !evaluator->instances[index].queued &&
        wr_instance_forget_at(evaluator, &evaluator->instances[index]) <= evaluator->at.boot_ns)
        wr_instance_forget(evaluator, index, out);
}

enum wr_result wr_evaluator_timers(struct wr_evaluator *evaluator, const struct wr_now *now, uint32_t max, struct wr_alarm_out *out,
                                   bool *ret_more) {
    *ret_more = true;
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    /* Also what next_alarm tells is as of now from here on. */
    wr_evaluator_set_now(evaluator, now);
    uint32_t index;
    for (uint32_t done = 0; done < max && wr_timer_take(&evaluator->timers, now->boot_ns, &index); done++) {
        if (wr_instance_forget_at(evaluator, &evaluator->instances[index]) > now->boot_ns || out->n >= out->cap)
            wr_evaluator_enqueue(evaluator, index); /* what is due at one time looks by rank: a node before who reads it */
        else
            step_timer(evaluator, index, out);
    }
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    WR_TRY(wr_annunciator_timers(evaluator->annunciator, now, max, out, ret_more));
    *ret_more = *ret_more || wr_timer_next(&evaluator->timers) <= now->boot_ns;
    return WR_OK;
}
