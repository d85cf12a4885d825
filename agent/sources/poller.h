/* A poller: a source that asks once per interval, on the agent's pool of threads for work that blocks.
 *
 * Promise: rounds come every `every_ns`, without drift, never two at once. The first comes within WR_POLLER_SPREAD_NS of the start, how
 * soon depends on the source's name, so that many pollers do not all ask in the same moment. A round that could not start in time (the one before
 * still ran, the pool was full, the machine slept) is skipped, never made up. So is one that finds no free batch: nothing is asked for that
 * nobody could take. Both are counted in counters->rounds_skipped.
 *
 * Threads: start and stop by the owner of the source; rounds on a thread of the pool. Ownership: caller's memory, between start and stop.
 * Units: CLOCK_BOOTTIME ns.
 */
#ifndef WEIR_AGENT_SOURCES_POLLER_H
#define WEIR_AGENT_SOURCES_POLLER_H

#include "agent/sources/intake.h"
#include "core/scheduler_loop.h"

#define WR_POLLER_SPREAD_NS (2 * WR_NS_PER_S)

struct wr_poller {
    struct wr_scheduler_task task;
    const struct wr_source_env *env;
    struct wr_intake *intake;
    void (*round)(struct wr_context *context, void *user); /* the context ends with the source, and at the timeout */
    void *user;
    uint64_t missed; /* of those counted so far */
};

/* When the first round is due. */
int64_t wr_poller_first_ns(const char *name, int64_t every_ns, int64_t now_boot_ns);

/* timeout_ns: the deadline of a round, 0: none. */
WR_MUST_USE enum wr_result wr_poller_start(struct wr_poller *poller, struct wr_intake *intake, int64_t timeout_ns,
                                           void (*round)(struct wr_context *context, void *user), void *user, struct wr_error *err);
/* No more rounds; the present one is told to end, and waited for. WR_TIMEOUT: it still runs: call again, or leave this memory alone for good. */
WR_MUST_USE enum wr_result wr_poller_stop(struct wr_poller *poller, int64_t deadline_boot_ns);

#endif
