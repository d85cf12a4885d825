/* The HTTP server of the section `http`: pages of the agent (/metrics, /healthz, /readyz) and, where there is a source of kind http, the write
 * paths of InfluxDB 1 and 2 and JSON; and where commands are configured, operators' commands on alarms (agent/http/http_route.h).
 *
 * Promise: one thread, one loop, never waits: not for a client, not for the engine. A body is handed to the source whole (http_gate.h); what may
 * not write, is too large, or finds no room is refused by its head, before it costs memory. Nobody holds a connection for nothing: a head, a body
 * and a reply each have a deadline as a whole, however few bytes trickle in, and when all connections are taken the one that has been idle longest
 * makes room; when none is idle, the one whose head and body have been coming longest, but not before contended_ns. Requests may be pipelined; they are answered in order, one at a time.
 * Why not libevent's own HTTP server: 2.1 calls back only with a whole body, so it cannot refuse by the head nor bound all bodies together, its
 * timeouts start anew with every byte, and it has no limit on connections.
 *
 * Threads: start and stop from the thread that owns it; its own is `weir-http`, on which health's functions and the metrics are called.
 * Ownership: what the options point to outlives the server.
 * Limits: max_connections; heads of WR_HTTP_HEAD_BYTES; WR_HTTP_PAGES_BYTES of replies that slow clients have not read yet: whoever takes no
 * more of its reply beyond that is closed. What a client takes at once is always sent.
 * Source: RFC 9110, RFC 9112.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_SERVER_H
#define WEIR_AGENT_HTTP_HTTP_SERVER_H

#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/http/http_gate.h"
#include "agent/http/http_reply.h"
#include "core/buf.h"
#include "core/metrics.h"
#include "core/result.h"

#define WR_HTTP_PAGES_BYTES (1u << 20)

struct wr_http_server;

struct wr_http_health {
    bool (*healthy)(void *user, struct wr_buf *why); /* no: restart me */
    bool (*ready)(void *user, struct wr_buf *why);   /* no: send me nothing yet */
    void *user;
};

struct wr_http_server_options {
    const struct wr_config_http *config; /* only during the start */
    struct wr_metrics *metrics;
    struct wr_http_health health;
    struct wr_http_gate *gate;
    struct wr_http_gate *desk; /* for commands; NULL: as one that is not configured */
    /* Deadlines; 0: what is said here. */
    int64_t idle_ns;      /* between two requests: 2 min */
    int64_t head_ns;      /* from the first byte of a head to its last: 10 s */
    int64_t body_ns;      /* of a body: 60 s */
    int64_t contended_ns; /* of a head and its body, when all connections are taken and another comes: 5 s */
    int64_t reply_ns;     /* until the client has read the reply: 30 s */
    int64_t linger_ns;    /* for the rest of what a refused client sends: 2 s */
};

WR_MUST_USE enum wr_result wr_http_server_start(const struct wr_http_server_options *options, struct wr_http_server **ret_server,
                                                struct wr_error *err);
/* The port it got (0 in the config: any). */
uint16_t wr_http_server_port(const struct wr_http_server *server);
struct wr_http_status {
    uint64_t connections;
    uint64_t refused;                      /* connections */
    uint64_t broken;                       /* requests that ended before they were whole */
    uint64_t replies[WR_HTTP_REPLY_CODES]; /* by wr_http_reply_codes */
};
/* Any thread, while the server is there. */
void wr_http_server_status(const struct wr_http_server *server, struct wr_http_status *ret_status);
/* Requests that the source has are answered until the deadline; then it is hurried, and answers them at once. A client has an eighth of that time,
 * at most a second, to read its last reply: one that does not read leaves the others their time to stop. NULL is fine. */
void wr_http_server_stop(struct wr_http_server *server, int64_t deadline_boot_ns);

/* Upper bound of its memory, without bodies and thread. */
size_t wr_http_server_bytes(const struct wr_config_http *config);

#endif
