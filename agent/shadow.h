/* The agent's shadow rules (rules/shadow/): found, made, exchanged, told of.
 *
 * Promise: what the config's `shadow_rules` and the bundle in the shadow say runs beside the rules in force, anew whenever either of the two sets, or limits.max_instances, has changed. Errors in
 * shadow rules are logged, and then there is none: they are no reason not to start, not to reload, nor not to take a bundle.
 * Threads: renew from the main thread and the remote desk's, one waits for the other; the engine runs a request in between. Ownership: its rules are its own.
 */
#ifndef WEIR_AGENT_SHADOW_H
#define WEIR_AGENT_SHADOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/context.h"
#include "core/result.h"

struct wr_agent;
struct wr_ruleset;

struct wr_agent_shadow {
    pthread_mutex_t lock;     /* over what follows, and over agent->config and agent->rules for who is not the main thread */
    struct wr_ruleset *rules; /* NULL: none */
    _Atomic uint64_t pair;    /* what runs in the shadow, and in force, as a number; 0: none */
    _Atomic uint64_t told;    /* what its last report upstream said, as a number */
    _Atomic uint64_t version; /* of its bundle; 0: only the config's */
};

void wr_agent_shadow_init(struct wr_agent_shadow *shadow);
/* The engine does not run any more. */
void wr_agent_shadow_fini(struct wr_agent *agent);

/* Looks for what is to run now. WR_INVALID: it has errors, logged; WR_NO_MEMORY, WR_IO: there is none now, or what ran before goes on. WR_OK: also
 * where there is none.
 * WR_TIMEOUT, WR_CANCELED (the context; NULL: none): the engine has not taken it in WR_AGENT_REQUEST_NS, and will not: what ran before goes on, until this is called again. */
WR_MUST_USE enum wr_result wr_agent_shadow_renew(struct wr_agent *agent, struct wr_context *context, struct wr_error *err);

/* Its report, from the engine: one JSON object, or lines; at most `most` rules and alarms. WR_NOT_FOUND: there is none. */
WR_MUST_USE enum wr_result wr_agent_shadow_report(struct wr_agent *agent, bool json, uint32_t most, struct wr_context *context,
                                                  struct wr_buf *into, bool *ret_differs, struct wr_error *err);

#endif
