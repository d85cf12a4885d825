/* Operators' commands on alarms: `weir alarms ack|reset|shelve|unshelve|oos|return ALARM`.
 *
 * Promise: what is answered is on disk: the answer waits until the journal has every transition that the command made, at most
 * WR_ORDER_JOURNAL_NS; where the store cannot write it says so, with WR_EXIT_CANNOT, though the alarms have changed. With a key the same command may
 * be said again: it is answered the same, and done once, also over a crash (rules/alarms/command_log.h).
 *
 * Threads: the control thread; the command itself is a request on the engine's.
 */
#ifndef WEIR_AGENT_CONTROL_ORDERS_H
#define WEIR_AGENT_CONTROL_ORDERS_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/clock.h"
#include "rules/evaluator/evaluator.h"

#define WR_ORDER_JOURNAL_NS (5 * WR_NS_PER_S)

struct wr_agent;

/* The command of a verb; false: there is none of that name. */
bool wr_order_kind(const char *verb, enum wr_alarm_command_kind *ret_kind);

/* Whether the word is an option of a command that takes a value. */
bool wr_order_option(const char *word);

/* argv[0] is the verb. by_whom: of the peer, unless --by says otherwise. Returns an exit code of agent/commands. */
int wr_control_order(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer);

#endif
