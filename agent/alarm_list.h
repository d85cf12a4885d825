/* The list of alarms, as `weir alarms` prints it and HTTP answers it: made by a request on the engine's thread.
 *
 * Threads: any that may wait.
 */
#ifndef WEIR_AGENT_ALARM_LIST_H
#define WEIR_AGENT_ALARM_LIST_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/context.h"
#include "core/result.h"

struct wr_agent;

struct wr_alarm_listing {
    bool json; /* an array of objects; else a line each */
    bool all;  /* pending ones, and all that were ever raised, too */
};

/* The most severe first. Waits until the engine answers, or the context ends (NULL: it does not). WR_TIMEOUT, WR_CANCELED, WR_CLOSED, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_alarm_list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context,
                                         struct wr_buf *into, struct wr_error *err);

#endif
