/* What an evaluator remembers beyond alarms: the states of its windows, counters and models, for a restart.
 *
 * Promise: saved at a clean stop, by key, and recalled at the next start: when a signal asks for an operator whose state was saved under the same
 * meaning, it goes on with it. Samples keep their time, so downtime is a gap: what has left a window meanwhile has left it. What cannot be read (another
 * version, damaged) is left out, and the operator begins anew.
 * Threads: as the evaluator. Ownership: bodies belong to the evaluator until the next call; recalled ones are copied. Limits: WR_EVALUATOR_MEMORY_MAX bytes
 * are recalled; what nobody asks for waits a day or as long as its window, and 16 starts.
 */
#ifndef WEIR_RULES_EVALUATOR_EVALUATOR_MEMORY_H
#define WEIR_RULES_EVALUATOR_EVALUATOR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_EVALUATOR_MEMORY_MAX (32u << 20)

struct wr_evaluator;

struct wr_evaluator_memory {
    uint64_t key; /* stable over restarts and versions */
    const uint8_t *body;
    size_t len;
};

/* Walks the states, those last that still wait for their signal: *cursor starts at 0; false at the end. */
bool wr_evaluator_next_memory(const struct wr_evaluator *evaluator, uint64_t *cursor, struct wr_evaluator_memory *ret_memory);

/* Brings one back, for the signal that is still to come; one that has been here already has begun anew. WR_CORRUPT: cannot be one; WR_LIMIT: too many,
 * or its signal has not come for too many starts; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_evaluator_recall(struct wr_evaluator *evaluator, uint64_t key, const uint8_t *body, size_t len);

/* Drops those whose signal has not come for a day, or for as long as their window is. A part of them a call: to be called about once a minute, it has been
 * round after an hour. Returns how many are gone. */
uint32_t wr_evaluator_drop_recalled(struct wr_evaluator *evaluator, int64_t boot_ns);

#endif
