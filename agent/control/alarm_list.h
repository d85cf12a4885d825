/* The list of alarms, as `weir alarms` prints it and HTTP answers it: asked of the engine in parts of WR_ALARM_LIST_SLICE, sorted and written by the
 * asker, so that a list of a hundred thousand holds no alarm up. Each part is of one moment; the whole is not, and where a reload comes between
 * two parts an alarm may be missing or stand there twice.
 *
 * Promise: the memory of a list is bounded, however many alarms there are: the WR_ALARM_LIST_MAX most severe are kept, of one severity the oldest. What is left out
 * for that, or because the text is full, is counted and said at the end; JSON has no place to say so, and there a list that is not whole is none (WR_LIMIT).
 *
 * Threads: any that may wait. Limits: WR_ALARM_LIST_MAX alarms, and the text that `into` takes.
 */
#ifndef WEIR_AGENT_CONTROL_ALARM_LIST_H
#define WEIR_AGENT_CONTROL_ALARM_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/context.h"
#include "core/result.h"

#define WR_ALARM_LIST_MAX 2048
#define WR_ALARM_LIST_SLICE 128  /* alarms in a part */
#define WR_ALARM_LIST_LOOKS 4096 /* instances that are looked at for a part */

struct wr_agent;

struct wr_alarm_listing {
    bool json;        /* an array of objects; else a line each */
    bool all;         /* pending ones, and all that were ever raised, too */
    const char *only; /* `rule{room=A1}`, as commands name alarms; NULL: every one */
};

/* The most severe first. Waits until the engine answers (5 s a part at most), or the context ends (NULL: it does not). WR_INVALID, WR_NOT_FOUND: `only` makes no
 * sense, or there is no such rule. WR_TIMEOUT, WR_CANCELED, WR_CLOSED, WR_NO_MEMORY, WR_LIMIT: into may have the beginning of a list then. */
WR_MUST_USE enum wr_result wr_alarm_list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context,
                                         struct wr_buf *into, struct wr_error *err);

/* What a list takes beside its text. */
size_t wr_alarm_list_bytes(void);

#endif
