/* The queue of one target of actions: a host that is called, a program, a directory of files, the broker.
 *
 * Promise: bounded, in order of arrival, each turn with tries of its own: one that waits for its next try lets those behind it go first,
 * but for those of its line: they run one at a time, in order, since each tells what is and not what happened. At most `parallel` run at once. When it is full, somebody must go, never silently:
 *   Q1  the oldest repeat that waits, or the new one if it is itself the only repeat;
 *   Q2  without a repeat the oldest that is no raise, or the new one if it is no raise and no other is there;
 *   Q3  only where every place is taken by a raise: the new one.
 * Repeats are dropped; what goes by Q2 or Q3 is dead, and its owner writes it down (a dead letter). Also a repeat makes an older repeat of the same
 * alarm needless (Q0), and any turn of a line an older one of it: it takes its place, and that is dropped too. What runs is never taken out.
 * A try that failed is followed by another one after its wait, a fifth longer at random, so that a crowd does not come back in step; the
 * target may ask for more patience, which counts up to WR_ACTION_PATIENCE_NS.
 *
 * Threads: one; pure: time and randomness are arguments. Ownership: turns belong to whoever puts them in; the queue only links them.
 * Units: CLOCK_BOOTTIME ns.
 */
#ifndef WEIR_AGENT_ACTIONS_ACTION_QUEUE_H
#define WEIR_AGENT_ACTIONS_ACTION_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/alarms/retry.h"

#define WR_ACTION_PATIENCE_NS WR_RETRY_WAIT_MAX_NS

enum wr_action_importance { WR_ACTION_REPEAT, WR_ACTION_NEWS, WR_ACTION_RAISE };
enum wr_action_turn_state { WR_ACTION_WAITING, WR_ACTION_RUNNING };

struct wr_action_turn {
    /* Set by the owner. */
    uint64_t alarm; /* together: what a repeat is a repeat of */
    uint32_t action;
    uint64_t line;      /* 0: none */
    uint8_t importance; /* enum wr_action_importance */
    struct wr_retry retry;
    int64_t due_boot_ns; /* not before */
    /* The queue's own. */
    uint8_t state; /* enum wr_action_turn_state */
    uint32_t tried;
    struct wr_action_turn *before;
    struct wr_action_turn *behind;
};

struct wr_action_queue {
    uint32_t capacity; /* set by the owner; the rest starts as zero */
    uint32_t parallel;
    uint32_t n;
    uint32_t running;
    struct wr_action_turn *first;
    struct wr_action_turn *last;
};

/* Returns who had to go: NULL, the new one, or one that waited (unlinked already). A repeat that goes, or one that the new one replaces, is dropped; anything
 * else is dead. */
struct wr_action_turn *wr_action_queue_put(struct wr_action_queue *queue, struct wr_action_turn *turn);
/* Q0. */
bool wr_action_turn_replaces(const struct wr_action_turn *turn, const struct wr_action_turn *older);

/* The oldest that may run now; NULL: none is due, or enough run. */
struct wr_action_turn *wr_action_queue_next(const struct wr_action_queue *queue, int64_t now_boot_ns);
/* When to look again; WR_NEVER_NS: when something changes. */
int64_t wr_action_queue_due(const struct wr_action_queue *queue);

/* A try begins. */
void wr_action_queue_begin(struct wr_action_queue *queue, struct wr_action_turn *turn);
/* A try did not come about, through no fault of the target: it does not count, and is made at due_boot_ns. */
void wr_action_queue_again(struct wr_action_queue *queue, struct wr_action_turn *turn, int64_t due_boot_ns);
/* A try failed. True: there is another one. False: that was the last, it is unlinked. */
bool wr_action_queue_failed(struct wr_action_queue *queue, struct wr_action_turn *turn, int64_t patience_ns, int64_t now_boot_ns,
                            uint64_t random);
/* It is done with, one way or the other, running or not: unlinked. */
void wr_action_queue_remove(struct wr_action_queue *queue, struct wr_action_turn *turn);

/* The oldest that does not run; NULL: none. */
struct wr_action_turn *wr_action_queue_waiting(const struct wr_action_queue *queue);

/* All invariants that can be checked at rest; for tests. */
bool wr_action_queue_is_valid(const struct wr_action_queue *queue);

#endif
