/* What `weir status` says of the store's limits: quotas of lanes, and the write budget. Nothing where there are none.
 *
 * Threads: as wr_status_print, its only user.
 */
#ifndef WEIR_AGENT_CONTROL_STATUS_STORE_H
#define WEIR_AGENT_CONTROL_STATUS_STORE_H

#include "core/json.h"
#include "core/result.h"

struct wr_agent;

/* Members of the object `outbox`: `lanes`, `write_budget`. */
void wr_status_store_json(const struct wr_agent *agent, struct wr_json *json);
WR_MUST_USE enum wr_result wr_status_store_text(const struct wr_agent *agent, struct wr_buf *into);

#endif
