/* What `weir status` says of the uplink: the link, the broker in use and why, commands over MQTT, signed bundles.
 *
 * Threads: as wr_status_print, its only user.
 */
#ifndef WEIR_AGENT_CONTROL_STATUS_UPLINK_H
#define WEIR_AGENT_CONTROL_STATUS_UPLINK_H

#include "core/json.h"
#include "core/result.h"

struct wr_agent;

/* The member `uplink`; null where none is configured. */
void wr_status_uplink_json(struct wr_agent *agent, struct wr_json *json);
WR_MUST_USE enum wr_result wr_status_uplink_text(struct wr_agent *agent, struct wr_buf *into);

#endif
