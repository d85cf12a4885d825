/* `weir explain` on the agent's side: the evaluator is asked on the engine's thread.
 *
 * Threads: the control thread.
 */
#ifndef WEIR_AGENT_CONTROL_CONTROL_EXPLAIN_H
#define WEIR_AGENT_CONTROL_CONTROL_EXPLAIN_H

#include "core/buf.h"

struct wr_agent;

/* argv[0] is "explain". Returns an exit code of agent/commands. */
int wr_control_explain(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer);

#endif
