/* The control socket: how `weir status`, `alarms` and `audit` ask a running agent.
 *
 * Protocol: the client connects to a Unix stream socket, sends its words, each followed by NUL, and shuts down its sending side; the server
 * answers with the exit code as a decimal number and a newline, then the text, and closes.
 * Promise: mode 0660, so the file system decides who may ask; who asked is known from the peer credentials. One request at a time; a client
 * that stalls is dropped after WR_CONTROL_TIMEOUT_NS. A socket file left by a killed agent is replaced; one that answers is not.
 *
 * Threads: one of its own; the handler runs on it. Ownership: the handler's user must outlive the server.
 * Limits: WR_CONTROL_REQUEST_BYTES a request, WR_CONTROL_WORDS words, WR_CONTROL_ANSWER_BYTES an answer.
 */
#ifndef WEIR_AGENT_CONTROL_CONTROL_SERVER_H
#define WEIR_AGENT_CONTROL_CONTROL_SERVER_H

#include "core/buf.h"
#include "core/clock.h"
#include "core/result.h"

#define WR_CONTROL_REQUEST_BYTES 4096
#define WR_CONTROL_WORDS 32
#define WR_CONTROL_ANSWER_BYTES (2u << 20)
#define WR_CONTROL_TIMEOUT_NS (5 * WR_NS_PER_S)

struct wr_control_server;

/* Answers a request: fills the text, which takes WR_CONTROL_ANSWER_BYTES, and returns the exit code. by_whom: the user name of the peer. */
typedef int wr_control_handler(void *user, int argc, char **argv, const char *by_whom, struct wr_buf *answer);

/* WR_EXISTS: another agent answers on this socket. */
WR_MUST_USE enum wr_result wr_control_server_start(const char *path, wr_control_handler *handler, void *user,
                                                   struct wr_control_server **ret_server, struct wr_error *err);
/* Joins the thread and removes the socket file. NULL is fine. */
void wr_control_server_stop(struct wr_control_server *server);

/* What an answer takes, beside what the handler does. */
size_t wr_control_server_bytes(void);

#endif
