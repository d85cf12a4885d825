/* Timers by boot time: a binary heap over ids 0..n-1, at most one timer an id.
 *
 * Promise: arming and taking allocate nothing: room for every id is made when the id is. Arming is lazy: a timer that is moved to a later time
 * stays where it is and fires early; whoever armed it looks at the clock then and arms it again. So a series that speaks all the time costs
 * no work here.
 * Threads: one at a time. Units: boot time ns.
 */
#ifndef WEIR_RULES_EVALUATOR_TIMER_H
#define WEIR_RULES_EVALUATOR_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/result.h"

#define WR_TIMER_NONE UINT32_MAX

struct wr_timer_heap {
    struct wr_timer {
        int64_t due_boot_ns;
        uint32_t id;
    } * heap;
    uint32_t *position; /* of id in heap; WR_TIMER_NONE: not armed */
    uint32_t n;
    uint32_t ids;
};

void wr_timer_init(struct wr_timer_heap *timers);
void wr_timer_fini(struct wr_timer_heap *timers);
/* Makes room for ids below `ids`. */
WR_MUST_USE enum wr_result wr_timer_reserve(struct wr_timer_heap *timers, uint32_t ids);

/* Fires at due at the latest; WR_NEVER_NS: nothing changes. */
void wr_timer_arm(struct wr_timer_heap *timers, uint32_t id, int64_t due_boot_ns);
void wr_timer_disarm(struct wr_timer_heap *timers, uint32_t id);
/* WR_NEVER_NS when none is armed. */
int64_t wr_timer_next(const struct wr_timer_heap *timers);
/* Takes one timer that is due; false: none is. */
bool wr_timer_take(struct wr_timer_heap *timers, int64_t now_boot_ns, uint32_t *ret_id);

/* The heap order and the positions agree: for tests. */
bool wr_timer_is_valid(const struct wr_timer_heap *timers);

#endif
