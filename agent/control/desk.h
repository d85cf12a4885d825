/* The desk: operators' commands and the list of alarms over HTTP, for the server's requests to /api/v1/alarms.
 *
 * Promise: whoever has no token of `http.command_token_file` is told nothing and changes nothing. The server's thread never waits: it posts a delivery into the
 * gate; the desk lets the engine carry it out (orders.h), one after the other, and sends it back when it is on disk. Each is answered within WR_DESK_QUEUE_NS and
 * what an order may take: what waited for longer than that is sent back untouched (503); where nobody can tell what came of it, or it is not on disk, the answer is
 * 504, and the same key asks again safely. A client that goes away meanwhile changes nothing: what was said is done.
 *
 * Threads: start and stop from the main thread, before and after the server; one of its own, `weir-desk`.
 * Limits: WR_DESK_WAITING deliveries; more are refused by the server (503); commands of WR_DESK_BODY_BYTES.
 */
#ifndef WEIR_AGENT_CONTROL_DESK_H
#define WEIR_AGENT_CONTROL_DESK_H

#include "agent/config/config.h"
#include "agent/http/http_gate.h"

#define WR_DESK_WAITING 16
#define WR_DESK_BODY_BYTES 4096
#define WR_DESK_BODIES_BYTES (16 * WR_DESK_BODY_BYTES)
#define WR_DESK_QUEUE_NS (5 * WR_NS_PER_S)

struct wr_agent;
struct wr_desk;

/* Opens the gate. WR_IO, WR_INVALID: the file of the tokens. config need not outlive the call. */
WR_MUST_USE enum wr_result wr_desk_start(struct wr_agent *agent, const struct wr_config_http *config, struct wr_http_gate *gate,
                                         struct wr_desk **ret_desk, struct wr_error *err);
/* When the server has stopped: everything is answered. NULL is fine. */
void wr_desk_stop(struct wr_desk *desk);

size_t wr_desk_bytes(void);

#endif
