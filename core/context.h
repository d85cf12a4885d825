/* The context: cancellation and deadline, handed down a tree.
 *
 * Promise: a child ends no later than its parent: cancelling a context cancels all below it, and a child's deadline is the earlier of its
 * own and its parent's. Ending is final. A context carries the trace id of what it works for.
 * Threads: any thread. Ownership: counted references; a child keeps its parent alive. wr_context_cancel does not give up the reference.
 * Units: nanoseconds of CLOCK_BOOTTIME, or of the clock that the root was born with.
 */
#ifndef WEIR_CORE_CONTEXT_H
#define WEIR_CORE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/result.h"

struct wr_clock;
struct wr_context;

/* A child of parent (NULL: a root). deadline WR_NEVER_NS: only the parent's. trace_id 0: the parent's. */
WR_MUST_USE enum wr_result wr_context_new(struct wr_context *parent, int64_t deadline_boot_ns, uint64_t trace_id,
                                          struct wr_context **ret_context, struct wr_error *err);
/* A root whose deadline, and those of all below, is a time of this clock. On a virtual one nobody can sleep or wait with it: it is only asked. */
WR_MUST_USE enum wr_result wr_context_new_on(const struct wr_clock *clock, int64_t deadline_boot_ns, uint64_t trace_id,
                                             struct wr_context **ret_context, struct wr_error *err);
struct wr_context *wr_context_ref(struct wr_context *context);
/* NULL is fine. */
void wr_context_unref(struct wr_context *context);

/* Idempotent. Wakes everybody who waits with it. */
void wr_context_cancel(struct wr_context *context);

/* WR_OK while it lasts, WR_CANCELED, or WR_TIMEOUT once its deadline has passed. NULL: WR_OK. */
enum wr_result wr_context_state(struct wr_context *context);
int64_t wr_context_deadline(const struct wr_context *context);
uint64_t wr_context_trace_id(const struct wr_context *context);

/* Waits until it ends or the deadline passes; for sleeping that can be cancelled. Returns what ended it, WR_OK for the deadline given. */
enum wr_result wr_context_sleep_until(struct wr_context *context, int64_t deadline_boot_ns);

/* Called once when the context ends by cancel (not by deadline), from the thread that cancels, without locks of the context held. Returns
 * WR_CANCELED, without registering, if it was cancelled. The watcher is caller's memory, alive until wr_context_unwatch returned: that waits
 * for a call under way, so `ended` itself must not unwatch, nor give up a last reference. */
struct wr_context_watch {
    void (*ended)(void *user);
    void *user;
    struct wr_context_watch *next;
    struct wr_context_watch **link;
};
WR_MUST_USE enum wr_result wr_context_watch(struct wr_context *context, struct wr_context_watch *watch);
void wr_context_unwatch(struct wr_context *context, struct wr_context_watch *watch);

#endif
