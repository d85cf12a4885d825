/* What a signal holds: the arrays of who reads it, sorted limits, the states of operators. */
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

struct wr_signal *wr_signal_new(struct wr_evaluator *evaluator, const struct wr_point *point) {
    struct wr_signal *signal = calloc(1, sizeof *signal);
    if (!signal) {
        evaluator->stats.no_memory++;
        return NULL;
    }
    evaluator->bytes += sizeof *signal;
    signal->point = point;
    signal->fresh = true;
    signal->sample_series = WR_SERIES_NONE;
    return signal;
}

static size_t block_bytes(uint32_t links, uint32_t thresholds) {
    return thresholds * sizeof(struct wr_threshold) + (size_t)links * (sizeof(struct wr_link) + sizeof(uint32_t));
}

bool wr_signal_reserve(struct wr_evaluator *evaluator, struct wr_signal *signal, uint32_t links, uint32_t thresholds) {
    if (links <= signal->cap_links && thresholds <= signal->cap_thresholds)
        return true;
    links = links > signal->cap_links ? links : signal->cap_links;
    thresholds = thresholds > signal->cap_thresholds ? thresholds : signal->cap_thresholds;
    const size_t before = block_bytes(signal->cap_links, signal->cap_thresholds);
    const size_t bytes = block_bytes(links, thresholds);
    unsigned char *room = malloc(bytes + 1);
    if (!room)
        return false;
    struct wr_threshold *new_thresholds = (struct wr_threshold *)(void *)room;
    struct wr_link *new_links = (struct wr_link *)(void *)(new_thresholds + thresholds);
    uint32_t *new_wakes = (uint32_t *)(void *)(new_links + links);
    if (signal->thresholds) {
        memcpy(new_thresholds, signal->thresholds, signal->n_thresholds * sizeof *new_thresholds);
        memcpy(new_links, signal->links, signal->n_links * sizeof *new_links);
        memcpy(new_wakes, signal->wakes, signal->n_wakes * sizeof *new_wakes);
    }
    free(signal->thresholds);
    evaluator->bytes += bytes - before;
    signal->thresholds = new_thresholds;
    signal->links = new_links;
    signal->wakes = new_wakes;
    signal->cap_links = links;
    signal->cap_thresholds = thresholds;
    return true;
}

bool wr_signal_grow(struct wr_evaluator *evaluator, struct wr_signal *signal, uint32_t links, uint32_t thresholds) {
    return wr_signal_reserve(evaluator, signal, links > signal->cap_links ? 2 * links : links,
                             thresholds > signal->cap_thresholds ? 2 * thresholds : thresholds);
}

static int by_threshold(const void *a, const void *b) {
    double left = ((const struct wr_threshold *)a)->at;
    double right = ((const struct wr_threshold *)b)->at;
    return (left > right) - (left < right);
}

void wr_signal_sort(struct wr_signal *signal) {
    if (signal->n_thresholds > 1)
        qsort(signal->thresholds, signal->n_thresholds, sizeof *signal->thresholds, by_threshold);
}

void wr_signal_insert(struct wr_signal *signal, uint32_t from) {
    for (uint32_t i = from; i < signal->n_thresholds; i++) {
        const struct wr_threshold added = signal->thresholds[i];
        uint32_t at = i;
        for (; at > 0 && signal->thresholds[at - 1].at > added.at; at--)
            signal->thresholds[at] = signal->thresholds[at - 1];
        signal->thresholds[at] = added;
    }
}

void wr_signal_want(struct wr_evaluator *evaluator, uint32_t id, struct wr_signal *signal, const struct wr_operator_spec *spec) {
    for (uint32_t i = 0; i < signal->n_operators; i++)
        if (wr_operator_same(&signal->operators[i]->spec, spec)) {
            signal->operators[i]->users++;
            return;
        }
    struct wr_signal_operator **operators = realloc(signal->operators, (signal->n_operators + 1) * sizeof(struct wr_signal_operator *));
    if (operators)
        signal->operators = operators;
    const bool joined = (id & WR_SIGNAL_NODE) && wr_instance_rule(evaluator, &evaluator->instances[signal->owner])->joined;
    const size_t one = wr_operator_room(spec, false), room = wr_operator_room(spec, joined);
    const size_t bytes = sizeof(struct wr_signal_operator) + room;
    struct wr_signal_operator *op = operators ? calloc(1, bytes) : NULL;
    if (!op) {
        evaluator->stats.no_memory++;
        return;
    }
    op->spec = *spec;
    op->users = 1;
    op->before = room > one ? op->state + one : NULL;
    wr_operator_init(&op->spec, op->state);
    wr_evaluator_remember(evaluator, id, op);
    signal->operators[signal->n_operators++] = op;
    evaluator->bytes += bytes;
}
