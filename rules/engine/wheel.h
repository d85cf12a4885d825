/* The timer wheel: when each of many elements of a slab is due, one timer an element.
 *
 * Promise: arm and disarm cost the same for one timer and for a million, and allocate nothing: a timer is three words inside its element.
 * A timer never fires early. Many timers of the same tick are handed out one by one, so that the caller can stop after any of them;
 * moving them down the levels is counted as work too.
 *
 * Threads: one at a time. Ownership: the elements are the slab's; the wheel only links them.
 * Units: ticks of 2^20 ns (about a millisecond) of boot time. Limits: a timer lies less than 2^31 ticks (26 days) ahead.
 * Source: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987, scheme 7.
 */
#ifndef WEIR_RULES_ENGINE_WHEEL_H
#define WEIR_RULES_ENGINE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/engine/slab.h"

#define WR_WHEEL_TICK_SHIFT 20
#define WR_WHEEL_LEVELS 8
#define WR_WHEEL_SLOTS 64

/* Stands inside an element; prev is WR_WHEEL_IDLE while it is not armed. */
struct wr_wheel_node {
    uint32_t next;
    uint32_t prev; /* WR_SLAB_NONE: the first of its slot */
    uint32_t tick; /* low half */
};

#define WR_WHEEL_IDLE (UINT32_MAX - 1)

struct wr_wheel {
    const struct wr_slab *slab;
    size_t node_offset;
    uint64_t elapsed; /* every timer before this tick was handed out */
    uint32_t armed;
    uint64_t occupied[WR_WHEEL_LEVELS]; /* one bit a slot */
    uint32_t slots[WR_WHEEL_LEVELS][WR_WHEEL_SLOTS];
};

void wr_wheel_init(struct wr_wheel *wheel, const struct wr_slab *slab, size_t node_offset);
void wr_wheel_node_init(struct wr_wheel_node *node);

/* The first tick that is not before this boot time, and the last that is not after it. */
static inline uint64_t wr_wheel_tick_after(int64_t boot_ns) {
    return ((uint64_t)boot_ns + (1u << WR_WHEEL_TICK_SHIFT) - 1) >> WR_WHEEL_TICK_SHIFT;
}
static inline uint64_t wr_wheel_tick_of(int64_t boot_ns) { return (uint64_t)boot_ns >> WR_WHEEL_TICK_SHIFT; }

/* Whether the tick with this low half is at or before now. */
static inline bool wr_wheel_is_due(uint32_t tick, uint64_t now_tick) { return (int32_t)(tick - (uint32_t)now_tick) <= 0; }

/* Sets the timer of an element, whether it was armed or not. A tick that is past is due at once. */
void wr_wheel_arm(struct wr_wheel *wheel, uint32_t index, uint32_t tick, uint64_t now_tick);
void wr_wheel_disarm(struct wr_wheel *wheel, uint32_t index);

/* Takes the next element that is due out of the wheel, or WR_SLAB_NONE. *budget counts down, also for timers moved a level down; at 0 it
 * ends, and *ret_more tells whether there may be more. */
uint32_t wr_wheel_pop(struct wr_wheel *wheel, uint64_t now_tick, uint32_t *budget, bool *ret_more);

/* The tick at which to call pop next: a timer, or work inside the wheel; UINT64_MAX while nothing is armed. */
uint64_t wr_wheel_next(const struct wr_wheel *wheel);

#endif
