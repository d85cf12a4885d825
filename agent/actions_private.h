/* What the files of the actions share. */
#ifndef WEIR_AGENT_ACTIONS_PRIVATE_H
#define WEIR_AGENT_ACTIONS_PRIVATE_H

#include "agent/actions.h"

/* The action `exec`: hands the program with what it learns of the alarm to the pool that starts it. Never waits. */
void wr_actions_execute(struct wr_actions *actions, const struct wr_action_spec *action, const struct wr_alarm *alarm);
/* Upper bound of what is kept for programs that are to be started. */
size_t wr_actions_execute_bytes(void);

#endif
