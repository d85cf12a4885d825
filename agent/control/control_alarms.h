/* `weir alarms` on the agent's side: list, acknowledge, reset. The work is done by requests that run on the engine's thread.
 *
 * Threads: the control thread.
 */
#ifndef WEIR_AGENT_CONTROL_CONTROL_ALARMS_H
#define WEIR_AGENT_CONTROL_CONTROL_ALARMS_H

#include "core/buf.h"

struct wr_agent;

/* argv[0] is "alarms". Returns an exit code of agent/commands. */
int wr_control_alarms(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer);

#endif
