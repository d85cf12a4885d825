/* Operators' commands on alarms as words: `weir alarms ack|reset|shelve|unshelve|oos|return ALARM` (agent/control/orders.h).
 *
 * Threads: the control thread.
 */
#ifndef WEIR_AGENT_CONTROL_CONTROL_ORDERS_H
#define WEIR_AGENT_CONTROL_CONTROL_ORDERS_H

#include "core/buf.h"

struct wr_agent;

/* argv[0] is the verb. by_whom: of the peer, unless --by says otherwise. Returns an exit code of agent/commands; where the store does not write
 * that is WR_EXIT_CANNOT, though the alarms have changed. */
int wr_control_order(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer);

#endif
