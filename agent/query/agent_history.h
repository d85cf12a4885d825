/* The history of a running agent, over its control socket: agent/control/control_history.h.
 *
 * Each call is a connection of its own, so that `weir status` and others come in between. Bodies are fetched several at a time, and kept until they are asked for.
 *
 * Threads: one. Ownership: init/fini; the config outlives it. Errors: WR_NOT_FOUND no agent answers (at init); WR_PROTOCOL it is another version.
 */
#ifndef WEIR_AGENT_QUERY_AGENT_HISTORY_H
#define WEIR_AGENT_QUERY_AGENT_HISTORY_H

#include "agent/config/config.h"
#include "core/buf.h"
#include "store/history.h"

struct wr_agent_history {
    const struct wr_config_control *control;
    struct wr_buf bodies; /* the last answer */
    size_t at;            /* what comes next of it */
};

WR_MUST_USE enum wr_result wr_agent_history_init(struct wr_agent_history *agent, const struct wr_config_control *control,
                                                 struct wr_error *err);
void wr_agent_history_fini(struct wr_agent_history *agent);
struct wr_history wr_agent_history_source(struct wr_agent_history *agent);

#endif
