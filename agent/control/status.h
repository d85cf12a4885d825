/* What the agent does now, in words or as JSON: `weir status`, and the answers of /healthz and /readyz.
 *
 * Threads: any but engine and store. Numbers are each exact and a few milliseconds old; a set of them is no moment in time (audit is).
 */
#ifndef WEIR_AGENT_CONTROL_STATUS_H
#define WEIR_AGENT_CONTROL_STATUS_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/result.h"

struct wr_agent;

WR_MUST_USE enum wr_result wr_status_print(struct wr_agent *agent, bool json, struct wr_buf *into);

#endif
