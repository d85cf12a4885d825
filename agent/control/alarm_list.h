/* The list of alarms, as `weir alarms` prints it and HTTP answers it: asked of the engine in parts of WR_ALARM_LIST_SLICE, sorted and written by the
 * asker, so that a list of a hundred thousand holds no alarm up. Each part is of one moment; the whole is not, and where a reload comes between
 * two parts an alarm may be missing or stand there twice.
 *
 * Threads: any that may wait.
 */
#ifndef WEIR_AGENT_CONTROL_ALARM_LIST_H
#define WEIR_AGENT_CONTROL_ALARM_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/context.h"
#include "core/result.h"

#define WR_ALARM_LIST_SLICE 512

struct wr_agent;

struct wr_alarm_listing {
    bool json;  /* an array of objects; else a line each */
    bool all;   /* pending ones, and all that were ever raised, too */
    size_t max; /* alarms, 0: no limit; WR_LIMIT when there are more */
};

/* The most severe first. Waits until the engine answers (5 s a part at most), or the context ends (NULL: it does not). WR_TIMEOUT, WR_CANCELED,
 * WR_CLOSED, WR_NO_MEMORY; WR_LIMIT, also of into. */
WR_MUST_USE enum wr_result wr_alarm_list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context,
                                         struct wr_buf *into, struct wr_error *err);

#endif
