/* `weir shadow` over the control socket. Threads: the control thread. Ownership: the answer is the caller's. */
#ifndef WEIR_AGENT_CONTROL_CONTROL_SHADOW_H
#define WEIR_AGENT_CONTROL_CONTROL_SHADOW_H

#include <stdbool.h>

#include "core/buf.h"

struct wr_agent;

/* Returns the exit code of the command. */
int wr_control_shadow(struct wr_agent *agent, bool json, struct wr_buf *answer);

#endif
