/* A stand-in for rules/evaluator/evaluator.c: a test program that includes this has it instead of the real one, and sees what the engine asks of it.
 * To be included by one file of a program. */
#ifndef WEIR_TESTS_SUPPORT_FAKE_EVALUATOR_H
#define WEIR_TESTS_SUPPORT_FAKE_EVALUATOR_H

#include <math.h>

#include "rules/evaluator/evaluator.h"

#define FAKE_SERIES 4096

struct wr_evaluator {
    double low; /* the band of every series */
    double high;
    double bad_above;    /* its range; 0: none */
    int64_t lateness_ns; /* of every point; -1: none */
    int64_t timer_ns;    /* one timer; 0: none */
    bool alarms;         /* every sample that it sees raises one */
    bool no_memory;      /* attaches nothing */
    struct wr_evaluator_band bands[FAKE_SERIES];
    uint32_t attached;
    uint32_t n_taken;
    uint32_t n_timers;
    struct wr_reading last;
    int64_t last_arrival_ns;
};

void wr_evaluator_free(struct wr_evaluator *evaluator) {
    (void)evaluator;
}
uint32_t wr_evaluator_attach(struct wr_evaluator *evaluator, uint32_t series_count, const struct wr_now *now) {
    (void)now;
    for (; evaluator->attached < series_count && !evaluator->no_memory; evaluator->attached++)
        evaluator->bands[evaluator->attached] = (struct wr_evaluator_band){.low = evaluator->low, .high = evaluator->high};
    return evaluator->attached;
}
struct wr_evaluator_band *wr_evaluator_bands(struct wr_evaluator *evaluator) {
    return evaluator->bands;
}
enum wr_result wr_evaluator_take(struct wr_evaluator *evaluator, struct wr_reading *reading, int64_t arrival_boot_ns,
                                 const struct wr_now *now, struct wr_alarm_out *out) {
    (void)now;
    if (evaluator->alarms && out->n == out->cap)
        return WR_FULL;
    if (evaluator->alarms)
        out->n++;
    evaluator->n_taken++;
    evaluator->last = *reading;
    evaluator->last_arrival_ns = arrival_boot_ns;
    if (evaluator->bad_above != 0 && reading->value.f > evaluator->bad_above)
        reading->quality = WR_QUALITY_BAD;
    return WR_OK;
}
enum wr_result wr_evaluator_timers(struct wr_evaluator *evaluator, const struct wr_now *now, uint32_t max, struct wr_alarm_out *out,
                                   bool *ret_more) {
    (void)max;
    (void)out;
    *ret_more = false;
    if (evaluator->timer_ns != 0 && evaluator->timer_ns <= now->boot_ns) {
        evaluator->n_timers++;
        evaluator->timer_ns = 0;
    }
    return WR_OK;
}
int64_t wr_evaluator_next_timer(const struct wr_evaluator *evaluator) {
    return evaluator->timer_ns ? evaluator->timer_ns : WR_NEVER_NS;
}
int64_t wr_evaluator_lateness(const struct wr_evaluator *evaluator, uint32_t series) {
    (void)series;
    return evaluator->lateness_ns;
}

#endif
