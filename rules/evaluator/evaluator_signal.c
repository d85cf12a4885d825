/* A signal takes a sample: its clock, its operators, its value, and who has to look. */
#include <math.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* -- the clock ---------------------------------------------------------------------------------------------------------------------------- */

int64_t wr_signal_clock(const struct wr_signal *signal, int64_t boot_ns) {
    return boot_ns > signal->clock_boot_ns ? wr_clock_add_ns(signal->clock_ns, boot_ns - signal->clock_boot_ns) : signal->clock_ns;
}

/* Delays that already run on a signal that had no clock were measured by boot time. */
static void freeze_delays(struct wr_evaluator *evaluator, const struct wr_signal *signal) {
    for (uint32_t i = 0; i < signal->n_links; i++) {
        struct wr_instance *instance = &evaluator->instances[signal->links[i].instance];
        if (instance->operand == signal->links[i].operand)
            wr_instance_freeze(evaluator, instance, evaluator->at.boot_ns);
    }
}

int64_t wr_signal_move_clock(struct wr_evaluator *evaluator, struct wr_signal *signal, int64_t event_ns, int64_t arrival_ns,
                             const struct wr_now *now) {
    int64_t arrival_wall_ns = wr_clock_add_ns(now->wall_ns, arrival_ns - now->boot_ns);
    int64_t off_ns = event_ns > arrival_wall_ns ? event_ns - arrival_wall_ns : arrival_wall_ns - event_ns;
    bool live = off_ns >= 0 && off_ns <= WR_EVALUATOR_LIVE_NS;
    if (!signal->met) {
        freeze_delays(evaluator, signal);
        signal->met = true;
        signal->clock_ns = event_ns;
    } else if (live && signal->live && arrival_ns >= signal->clock_boot_ns) {
        signal->clock_ns = wr_clock_add_ns(signal->clock_ns, arrival_ns - signal->clock_boot_ns);
    } else if (event_ns >= signal->clock_event_ns) {
        signal->clock_ns = wr_clock_add_ns(signal->clock_ns, event_ns - signal->clock_event_ns);
    } else {
        return signal->clock_ns - (signal->clock_event_ns - event_ns);
    }
    signal->clock_event_ns = event_ns;
    signal->clock_boot_ns = arrival_ns;
    signal->live = live;
    return signal->clock_ns;
}

/* The stamp of what is looked at; nothing is later than now. */
static int64_t stamp_of(const struct wr_trigger *at) {
    return at->event_ns < at->now.wall_ns ? at->event_ns : at->now.wall_ns;
}

/* The same on the clock of a node's signal. */
static int64_t stamp_on(const struct wr_trigger *at, const struct wr_signal *signal) {
    return wr_clock_add_ns(stamp_of(at), signal->offset_ns - (at->now.wall_ns - at->now.boot_ns));
}

/* The clock of a node's signal goes with that of the series which it is computed from. From one series to another it goes by stamps, so that old data and recordings need no
 * real time where several series take turns; these are told in boot time, so that it is no matter which series was met before our own clock was set. A live sample is as of
 * now; what else is older than the clock shows moves nothing. Neither does a timer. */
static void follow_clock(struct wr_evaluator *evaluator, struct wr_signal *signal) {
    const struct wr_trigger *at = &evaluator->at;
    if (!signal->met) {
        freeze_delays(evaluator, signal);
        signal->met = true;
        signal->clock_ns = stamp_of(at);
        signal->clock_boot_ns = at->boot_ns;
        signal->clock_source = WR_SERIES_NONE;
        signal->offset_ns = at->now.wall_ns - at->now.boot_ns;
    }
    if (at->series == WR_SERIES_NONE)
        return;
    const struct wr_signal *source = wr_signal_at(evaluator, at->series);
    if (signal->clock_source == at->series) {
        signal->clock_ns = wr_clock_add_ns(signal->clock_ns, source->clock_ns - signal->clock_event_ns);
        signal->clock_boot_ns = source->clock_boot_ns;
    } else {
        const int64_t stamp_ns = stamp_on(at, signal), shown_ns = wr_signal_clock(signal, at->boot_ns);
        const bool live = source->live && source->clock_boot_ns == at->boot_ns;
        if (stamp_ns < shown_ns && !live)
            return;
        signal->clock_ns = stamp_ns < shown_ns ? shown_ns : stamp_ns;
        signal->clock_boot_ns = at->boot_ns;
    }
    signal->clock_source = at->series;
    signal->clock_event_ns = source->clock_ns;
}

int64_t wr_signal_now(const struct wr_evaluator *evaluator, const struct wr_signal *signal) {
    const struct wr_trigger *at = &evaluator->at;
    if (!signal->met)
        return stamp_of(at);
    if (at->series == WR_SERIES_NONE)
        return wr_signal_clock(signal, at->boot_ns);
    const int64_t stamp_ns = stamp_on(at, signal);
    return at->series == signal->clock_source || stamp_ns > signal->clock_ns ? signal->clock_ns : stamp_ns;
}

/* -- who has to look ---------------------------------------------------------------------------------------------------------------------- */

static void enqueue_links(struct wr_evaluator *evaluator, const struct wr_signal *signal) {
    for (uint32_t i = 0; i < signal->n_links; i++)
        wr_evaluator_enqueue(evaluator, signal->links[i].instance);
}

static void enqueue_wakes(struct wr_evaluator *evaluator, const struct wr_signal *signal) {
    for (uint32_t i = 0; i < signal->n_wakes; i++)
        wr_evaluator_enqueue(evaluator, signal->wakes[i]);
}

/* Whose limits lie between the old value and the new one. */
static void enqueue_crossed(struct wr_evaluator *evaluator, const struct wr_signal *signal, double from, double to) {
    double low = from < to ? from : to;
    double high = from < to ? to : from;
    for (uint32_t i = wr_evaluator_lower_bound(signal, low); i < signal->n_thresholds && signal->thresholds[i].at <= high; i++)
        wr_evaluator_enqueue(evaluator, signal->thresholds[i].instance);
}

static bool is_over(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (instance->delay == WR_DELAY_NONE || instance->frozen)
        return false;
    int64_t delay_ns = instance->delay == WR_DELAY_ON ? rule->on_delay_ns : rule->off_delay_ns;
    return wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns) > delay_ns;
}

void wr_signal_enqueue_over(struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_signal *signal = wr_signal_at(evaluator, id);
    for (uint32_t i = 0; i < signal->n_wakes; i++) {
        const struct wr_instance *instance = &evaluator->instances[signal->wakes[i]];
        if (instance->signals[instance->operand] == id && is_over(evaluator, instance))
            wr_evaluator_enqueue(evaluator, signal->wakes[i]);
    }
    /* Delays on what is computed from it go on with it. */
    for (uint32_t i = 0; i < signal->n_node_links; i++) {
        const struct wr_instance *instance = &evaluator->instances[signal->links[i].instance];
        uint32_t output = instance->output;
        struct wr_signal *computed = evaluator->outputs[output];
        if (computed->met)
            follow_clock(evaluator, computed);
        if (wr_node_is_over(evaluator, instance))
            wr_evaluator_enqueue(evaluator, signal->links[i].instance);
        /* Also behind one that has no value yet: who reads it may have others, and a clock by them. */
        const uint32_t before = evaluator->n_queued;
        wr_signal_enqueue_over(evaluator, output | WR_SIGNAL_NODE);
        if (evaluator->n_queued > before) /* what has left its window by then counts no more */
            wr_evaluator_enqueue(evaluator, signal->links[i].instance);
    }
}

/* -- samples ------------------------------------------------------------------------------------------------------------------------------ */

bool wr_signal_is_corrected(const struct wr_evaluator *evaluator, const struct wr_signal *signal) {
    const struct wr_trigger *at = &evaluator->at;
    return at->series != WR_SERIES_NONE && signal->sample_series != WR_SERIES_NONE && at->series != signal->sample_series &&
           at->event_ns == signal->sample_event_ns;
}

/* True: it takes the place of the one before. */
static bool begin_sample(const struct wr_evaluator *evaluator, uint32_t id, struct wr_signal *signal) {
    if (id & WR_SIGNAL_NODE) {
        if (wr_signal_is_corrected(evaluator, signal))
            return true;
        signal->sample_series = evaluator->at.series;
        signal->sample_event_ns = evaluator->at.event_ns;
        signal->sample_at_ns = wr_signal_now(evaluator, signal);
    }
    signal->sample_known = false;
    return false;
}

static void feed(struct wr_evaluator *evaluator, struct wr_signal *signal, double value, int64_t at_ns, bool corrects) {
    for (uint32_t i = 0; i < signal->n_operators; i++) {
        struct wr_signal_operator *op = signal->operators[i];
        if (op->before && corrects && op->begun)
            memcpy(op->state, op->before, op->spec.bytes);
        else if (op->before)
            memcpy(op->before, op->state, op->spec.bytes);
        op->begun = true;
        wr_operator_advance(&op->spec, op->state, signal->clock_ns);
        evaluator->stats.window_overflows += wr_operator_add(&op->spec, op->state, at_ns, value);
    }
}

void wr_signal_take_good(struct wr_evaluator *evaluator, uint32_t id, double value, uint32_t symbol, int64_t at_ns, int64_t arrival_ns) {
    struct wr_signal *signal = wr_signal_at(evaluator, id);
    struct wr_evaluator_band *band = wr_signal_band(evaluator, id);
    if ((id & WR_SIGNAL_NODE) && !signal->met)
        follow_clock(evaluator, signal);
    bool all = !signal->good || signal->fresh || !signal->ever;
    double old = band->value;
    const bool corrects = begin_sample(evaluator, id, signal);
    if (!signal->sample_known) { /* else the one before stays the one before */
        signal->has_prev = signal->ever;
        signal->prev = old;
        signal->sample_known = true;
    }
    const double prev = signal->prev;
    bool changed = signal->has_prev && (prev < value || prev > value || (signal->text && signal->symbol != symbol));
    feed(evaluator, signal, signal->text ? (double)symbol : value, corrects ? signal->sample_at_ns : at_ns, corrects);
    signal->symbol = symbol;
    signal->good = signal->ever = true;
    signal->fresh = false;
    signal->sampled_at = evaluator->trigger;
    if (changed)
        signal->changed_at = evaluator->trigger;
    band->value = value;
    band->arrival_boot_ns = arrival_ns;
    if (all) {
        enqueue_links(evaluator, signal);
    } else {
        enqueue_crossed(evaluator, signal, old, value);
        enqueue_wakes(evaluator, signal);
    }
}

void wr_signal_take_bad(struct wr_evaluator *evaluator, uint32_t id, int64_t arrival_ns) {
    struct wr_signal *signal = wr_signal_at(evaluator, id);
    bool was = signal->good || signal->fresh;
    /* Unknown as before begins no sample: that does who makes it known. */
    const bool corrects = signal->good ? begin_sample(evaluator, id, signal) : wr_signal_is_corrected(evaluator, signal);
    if (signal->met) /* without a clock no time has passed */
        feed(evaluator, signal, NAN, signal->clock_ns, corrects);
    signal->good = false;
    signal->fresh = false;
    signal->bad_boot_ns = arrival_ns;
    if (was)
        enqueue_links(evaluator, signal);
    else
        enqueue_wakes(evaluator, signal);
}
