/* What becomes of a signed command, from the payload whose signature is right to what is answered.
 *
 * Promise: nothing is done unless it is for this node, now (signed_order.h); what is done is done as over the control socket and HTTP, and answered when it is on disk
 * (orders.h). Whoever has the pinned key is told why a command is refused. The answer is one JSON object: node, site, key, and either the members of wr_order_to_json, or
 * result, reason (wr_remote_outcome_name) and problem.
 *
 * Threads: any that may wait, as wr_order_carry_out. Ownership: the answer is its caller's.
 */
#ifndef WEIR_AGENT_CONTROL_REMOTE_ORDER_H
#define WEIR_AGENT_CONTROL_REMOTE_ORDER_H

#include <stddef.h>

#include "agent/control/orders.h"

/* What came of a message, for metrics and answers. */
enum wr_remote_outcome {
    WR_REMOTE_DONE,      /* something was changed, now or under the same key before, and it is on disk */
    WR_REMOTE_REFUSED,   /* by the engine: no such alarm, none in a state that takes it, forbidden, another command's key */
    WR_REMOTE_UNSURE,    /* the engine did not answer in time, or it is not on disk */
    WR_REMOTE_UNSIGNED,  /* no signed message at all; as the next one, never answered */
    WR_REMOTE_SIGNATURE, /* not of the pinned key */
    WR_REMOTE_MALFORMED, /* signed, and makes no sense */
    WR_REMOTE_ELSEWHERE, /* for another node or site */
    WR_REMOTE_CLOCK,     /* our clock is not set: nobody knows whether it counts */
    WR_REMOTE_AHEAD,     /* issued in the future */
    WR_REMOTE_EXPIRED,
    WR_REMOTE_NOT_CHOSEN, /* a bundle: this node is not of the percentage */
    WR_REMOTE_OLD,        /* a bundle: its version is not above the highest */
    WR_REMOTE_REJECTED,   /* a bundle: its rules are not good here, or cannot be put in force */
    WR_REMOTE_NO_MEMORY,  /* nothing was done */
    WR_REMOTE_OUTCOMES
};

/* "done", "refused" ... */
const char *wr_remote_outcome_name(enum wr_remote_outcome outcome);

/* Carries out what the payload says, if it may be, and appends the answer to `into`: what cannot be written for want of memory is WR_NO_MEMORY in *ret_answered,
 * whatever was done. err says why it was refused, or is empty. */
enum wr_remote_outcome wr_remote_order(struct wr_agent *agent, const char *payload, size_t len, struct wr_context *context,
                                       struct wr_buf *into, enum wr_result *ret_answered, struct wr_error *err);

#endif
