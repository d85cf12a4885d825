/* SIGHUP: a new config beside the running one, then an exchange of what differs.
 *
 * Promise: a config or rule with an error changes nothing. node, store, control and the sizes of shared tables need a restart: then the reload is
 * refused, and says so. Unchanged sources keep their connections; rules keep the state of their alarms where name, `by` and condition are
 * the same. When sources or windows differ, open windows are written as partials, which merge with what follows; nothing is lost.
 *
 * Threads: the main thread; the engine runs a request in between.
 */
#ifndef WEIR_AGENT_RELOAD_H
#define WEIR_AGENT_RELOAD_H

struct wr_agent;

#include "core/context.h"
#include "core/result.h"

/* Logs what became of it. */
void wr_agent_reload(struct wr_agent *agent);

/* Asks the main thread for one and waits for its end, a minute at most. Threads: any but main. WR_OK also when some parts do not start; WR_CANCELED, WR_TIMEOUT: it may still
 * be done; else why it was refused. */
WR_MUST_USE enum wr_result wr_agent_reload_call(struct wr_agent *agent, struct wr_context *context, struct wr_error *err);

#endif
