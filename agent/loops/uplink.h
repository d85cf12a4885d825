/* The uplink as the agent sees it: the config made into a running session, wired to the store and to the actions.
 *
 * Threads: start and stop from the main thread; status from any. Ownership: strings of the config must live as long as the uplink.
 */
#ifndef WEIR_AGENT_LOOPS_UPLINK_H
#define WEIR_AGENT_LOOPS_UPLINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/result.h"
#include "transport/uplink_runner.h"

struct wr_uplink_link {
    struct wr_uplink_runner *runner;
    const struct wr_config_uplink *config;
    struct wr_channel *directs;  /* struct wr_uplink_direct, from the actions */
    struct wr_channel *commands; /* struct wr_command_message, to whoever carries them out; NULL: none are taken */
    struct wr_channel *answers;  /* struct wr_command_answer, from there */
    struct wr_decoder *decoder;  /* of the uplink's thread, for what is not sent as it is stored */
    struct wr_place place;
    const _Atomic uint64_t *running; /* fingerprint of config and rules */
    char last_cause[WR_UPLINK_CAUSE_BYTES];    /* logged already: an outage is one line, not one an attempt */
    char last_deafness[WR_UPLINK_CAUSE_BYTES]; /* of commands, likewise */
    pthread_mutex_t lock;                      /* over the next two */
    void (*published)(void *user, uint64_t id, bool delivered);
    void *user;
};

/* requests and replies: the store loop's channels. running outlives the link. */
WR_MUST_USE enum wr_result wr_uplink_link_start(const struct wr_config *config, const _Atomic uint64_t *running, const struct wr_clock *clock,
                                                struct wr_channel *requests, struct wr_channel *replies, struct wr_uplink_link **ret_link,
                                                struct wr_error *err);
/* *running has changed: the retained state is published anew. Threads: any. */
void wr_uplink_link_renew_state(struct wr_uplink_link *link);
/* What becomes of each message of `directs`, told on the uplink's thread; NULL: nobody wants to know any more. */
void wr_uplink_link_tell(struct wr_uplink_link *link, void (*published)(void *user, uint64_t id, bool delivered), void *user);
/* The broker in use, or tried next, as the config names it. */
const char *wr_uplink_link_broker(const struct wr_uplink_link *link, const struct wr_uplink_status *status);
/* What its connections have cost on the wire. */
struct wr_wire_bytes wr_uplink_link_wire(struct wr_uplink_link *link);
/* Ends by the deadline; what is not acknowledged stays in the store. NULL is fine. Returns what its connections have cost in all, but for the farewell. */
struct wr_wire_bytes wr_uplink_link_stop(struct wr_uplink_link *link, int64_t deadline_boot_ns);

#endif
