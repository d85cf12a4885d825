/* The HTTP server: /metrics (Prometheus), /healthz, /readyz.
 *
 * Promise: reads only; answers GET and HEAD, everything else is 405 or 404. Listens where the config says, on loopback by default.
 * Threads: runs on the main thread's event loop; handlers must not wait. Ownership: health's user must outlive the server.
 */
#ifndef WEIR_AGENT_HTTP_SERVER_H
#define WEIR_AGENT_HTTP_SERVER_H

#include <stdbool.h>

#include "agent/config.h"
#include "core/buf.h"
#include "core/metrics.h"
#include "core/result.h"

struct event_base;
struct wr_http_server;

struct wr_http_health {
    bool (*healthy)(void *user, struct wr_buf *why); /* no: restart me */
    bool (*ready)(void *user, struct wr_buf *why);   /* no: send me nothing yet */
    void *user;
};

WR_MUST_USE enum wr_result wr_http_server_start(struct event_base *base, const struct wr_config_http *config, struct wr_metrics *metrics,
                                                const struct wr_http_health *health, struct wr_http_server **ret_server,
                                                struct wr_error *err);
/* NULL is fine. */
void wr_http_server_stop(struct wr_http_server *server);

#endif
