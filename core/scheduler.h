/* The scheduler: what is to run next, and when. A priority queue by (due time, priority), with jitter and a policy for runs that were missed.
 *
 * Promise: a plan's times are first, first + every, first + 2 every, ...: they never drift, whatever jitter or a late run does. An entry that was
 * taken is not taken again before wr_scheduler_done: runs of one entry never overlap. At equal times the lower priority number goes first,
 * then who waits longer.
 *
 * A run is missed when it could not start within `grace` after its time: the machine slept, the run before took too long, nobody had a thread.
 *   SKIP      nothing is made up: the next run is at the next time to come
 *   RUN_ONCE  one run at once stands for all that were missed
 *   CATCH_UP  each is made up, one after another; of more than WR_SCHEDULER_CATCH_UP_MAX only the latest
 * Every time that got no run of its own counts in entry->missed. A plan that runs once is never missed, only late.
 *
 * It is pure: the time is an argument, so that a virtual clock drives it; the clock it is given lends only random numbers.
 * core/scheduler_loop.h is the thread that drives one by the real clock.
 *
 * Threads: one. Ownership: entries are their owner's memory, from add until remove. Only add allocates.
 * Units: CLOCK_BOOTTIME nanoseconds.
 */
#ifndef WEIR_CORE_SCHEDULER_H
#define WEIR_CORE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

#define WR_SCHEDULER_CATCH_UP_MAX 16

enum wr_scheduler_missed { WR_SCHEDULER_SKIP, WR_SCHEDULER_RUN_ONCE, WR_SCHEDULER_CATCH_UP };

struct wr_scheduler_plan {
    const char *name; /* for reports; must outlive the entry */
    int64_t first_boot_ns;
    int64_t every_ns;  /* 0: once */
    int64_t jitter_ns; /* each run comes up to this much later, at random; below every */
    int64_t grace_ns;  /* 0: half of every */
    uint32_t priority; /* 0 goes first */
    enum wr_scheduler_missed missed;
};

struct wr_scheduler_entry {
    struct wr_scheduler_plan plan; /* set by the owner before add */
    uint64_t runs;                 /* that have ended */
    uint64_t missed;
    /* The scheduler's own. */
    int64_t slot_ns;   /* the time of the present or next run by the plan */
    int64_t wanted_ns; /* with its jitter: what grace is counted from */
    int64_t due_ns;    /* the same, or later if it was put off */
    uint64_t order;
    size_t at; /* in the queue, from 1; 0: not in it */
    bool taken;
};

struct wr_scheduler {
    const struct wr_clock *clock;
    struct wr_scheduler_entry **queue; /* a binary heap, from 1 */
    size_t n;
    size_t members; /* with those that are taken: each has its place */
    size_t room;
    uint64_t orders;
    uint64_t missed; /* of all entries so far */
};

void wr_scheduler_init(struct wr_scheduler *scheduler, const struct wr_clock *clock);
/* Entries need not have been removed. */
void wr_scheduler_fini(struct wr_scheduler *scheduler);

/* WR_INVALID: a negative time, or a jitter that is not below every. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_scheduler_add(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, struct wr_error *err);
/* Also while it is taken; wr_scheduler_done must not be called then. */
void wr_scheduler_remove(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry);

/* When the next entry is due; WR_NEVER_NS: none is planned. */
int64_t wr_scheduler_next(const struct wr_scheduler *scheduler);
/* The entry that is to run now, or NULL: none is due. Skips what is missed. */
struct wr_scheduler_entry *wr_scheduler_take(struct wr_scheduler *scheduler, int64_t now_ns);
/* Its run has ended: it is planned again, unless it was to run once. */
void wr_scheduler_done(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry);
/* It was taken but could not run: due again at at_ns, for the same time of its plan; does not count as a run. */
void wr_scheduler_put_off(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, int64_t at_ns);

/* The order of the queue, and that each entry knows its place; for tests and assertions. */
bool wr_scheduler_is_valid(const struct wr_scheduler *scheduler);

#endif
