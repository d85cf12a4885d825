/* Actions that wait for their time (`after: 10m`), and are needless if the alarm is acknowledged or over by then (`unless: acked`).
 *
 * Promise: what an action tells last while it waits is not told again: a raise that follows a raise does not begin it anew; the end of
 * the alarm after its raise, where the action is for both, waits behind it. `acked` is an alarm that nobody needs to acknowledge any
 * more; `cleared` one whose condition has ended. An action is known by what it is, not by its place in `then`: a reload may move it. What has no room is given back.
 * Threads: one; pure. Ownership: takes the jobs; gives them back, or frees those that have become needless. Limits: WR_ACTION_DELAYS.
 */
#ifndef WEIR_AGENT_ACTIONS_ACTION_DELAY_H
#define WEIR_AGENT_ACTIONS_ACTION_DELAY_H

#include "agent/actions/action_job.h"

#define WR_ACTION_DELAYS 1024

struct wr_action_delay {
    struct wr_action_job **jobs; /* WR_ACTION_DELAYS of them */
    uint32_t n;
    uint64_t needless; /* so many were */
};

WR_MUST_USE enum wr_result wr_action_delay_init(struct wr_action_delay *delay, struct wr_error *err);
/* Frees what waits. */
void wr_action_delay_fini(struct wr_action_delay *delay);

/* It is due at turn.due_boot_ns. WR_EXISTS: one waits already (nothing is lost by freeing this one); WR_FULL. Then it is the caller's again. */
WR_MUST_USE enum wr_result wr_action_delay_put(struct wr_action_delay *delay, struct wr_action_job *job);
/* A transition: frees what has become needless. */
void wr_action_delay_observe(struct wr_action_delay *delay, const struct wr_alarm *alarm);
/* One that is due, the caller's from now on; NULL: none. */
struct wr_action_job *wr_action_delay_take(struct wr_action_delay *delay, int64_t now_boot_ns);
/* When the next one is; WR_NEVER_NS. */
int64_t wr_action_delay_due(const struct wr_action_delay *delay);

#endif
