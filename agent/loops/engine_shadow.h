/* Shadow rules on the engine's thread: when they are shown what, and how much of the thread's time they get.
 *
 * Promise: the rules in force come first: their transitions have left before the shadow sees the readings that caused them. The shadow takes at most a WR_SHADOW_SHAREth of the
 * time, WR_SHADOW_STRETCH_NS at a stretch (and one more slice), after a pause WR_SHADOW_BURST_NS: what does not fit is skipped and counted, and nobody waits for it. Its cost is
 * measured by the loop's clock, so a machine that is busy with other things shortens it too.
 * An alarm waits for it WR_SHADOW_LOOK_NS, a slice, and a share of what it waits for others, in all, however many batches are before it: so often the shadow looks whether
 * something waits for the engine (readings, a timer of a rule), and while it does, it has no more in advance than that. With the slice that is a half of the millisecond that an
 * alarm may take.
 * Threads: the engine's; `shown` from any. Ownership: the shadow is whoever exchanged it in; all zero at first: none.
 */
#ifndef WEIR_AGENT_LOOPS_ENGINE_SHADOW_H
#define WEIR_AGENT_LOOPS_ENGINE_SHADOW_H

#include <stdatomic.h>

#include "rules/engine/engine.h"
#include "rules/shadow/shadow.h"

#define WR_SHADOW_SHARE 5
#define WR_SHADOW_STRETCH_NS (2 * WR_NS_PER_MS)
#define WR_SHADOW_LOOK_NS (WR_NS_PER_MS / 5)
#define WR_SHADOW_BURST_NS (50 * WR_NS_PER_MS)
#define WR_SHADOW_SLICE 16   /* readings between two looks at the clock */
#define WR_SHADOW_TIMERS 256 /* likewise; as many as the rules in force run at once: of those due at one instant the order may decide */
#define WR_SHADOW_SAY_NS (60 * WR_NS_PER_S)

/* Counts go on from one shadow to the next, as metrics must. */
struct wr_engine_shadow_shown {
    _Atomic uint64_t rules; /* 0: there is none; as the next three of the present one */
    _Atomic uint64_t active;
    _Atomic uint64_t in_force_active; /* of the alarms that it compares */
    _Atomic uint64_t differ;
    _Atomic uint64_t readings;
    _Atomic uint64_t skipped;
    _Atomic uint64_t refused;
    _Atomic uint64_t raised;
    _Atomic uint64_t cleared;
};

struct wr_engine_shadow {
    struct wr_shadow *shadow;        /* NULL: none */
    int64_t paid_boot_ns;            /* until then its share is used up */
    int64_t say_boot_ns;             /* nothing is logged before */
    uint32_t said;                   /* how many differed when it was logged last */
    struct wr_shadow_figures before; /* as shown last: counts grow by the difference */
    struct wr_engine_tap tap;
    struct wr_engine_shadow_shown shown;
};

struct wr_engine_loop;

/* Behind wr_engine_take, with what it was shown. in_force: NULL, or the rules in force. */
void wr_engine_shadow_feed(struct wr_engine_loop *loop, const struct wr_evaluator *in_force, int64_t arrival_boot_ns,
                           const struct wr_now *now);
/* A reading of the agent's own, for the rules alone. */
void wr_engine_shadow_tell(struct wr_engine_shadow *shadow, const struct wr_reading *reading, const struct wr_now *now);
/* What is due, in a turn of the loop; returns when it wants the next. */
int64_t wr_engine_shadow_turn(struct wr_engine_loop *loop, const struct wr_evaluator *in_force, const struct wr_now *now);
/* Its numbers for others; says at most once a minute that there are new differences. */
void wr_engine_shadow_show(struct wr_engine_shadow *shadow, int64_t boot_ns);

/* In a request, or before the start: another one, or NULL. Returns the present one, which is the caller's. */
struct wr_shadow *wr_engine_loop_exchange_shadow(struct wr_engine_loop *loop, struct wr_shadow *shadow);

#endif
