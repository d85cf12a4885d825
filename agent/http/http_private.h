/* What the files of the HTTP server share: http_server.c (the loop, connections coming and going), http_connection.c (what a connection goes
 * through), http_request.c (what a request leads to), http_pages.c (what is answered). Everything here belongs to the server's thread, from start to join.
 *
 * A connection goes round: HEAD → BODY → WAITING → WRITING → HEAD, leaving out what a request does not need; the last reply leads to LINGER, where
 * what the client still sends is passed over so that it can read the reply; then CLOSED, and whoever called settles it.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_PRIVATE_H
#define WEIR_AGENT_HTTP_HTTP_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/types.h>

#include "agent/http/http_reply.h"
#include "agent/http/http_server.h"
#include "agent/sources/link.h"

#define WR_HTTP_READ_BYTES 65536
#define WR_HTTP_LISTENERS 8

enum wr_http_state {
    WR_HTTP_IN_HEAD, /* kept_len 0: idle */
    WR_HTTP_IN_BODY,
    WR_HTTP_WAITING, /* the source has the body */
    WR_HTTP_WRITING,
    WR_HTTP_LINGER,
    WR_HTTP_ENDED,
};

struct wr_http_connection {
    struct wr_http_server *server;
    struct wr_link all;
    struct wr_link idle;   /* in server->idle, the longest first, while it is */
    struct wr_link coming; /* in server->coming, the longest first, while a head or a body is */
    int64_t coming_since_boot_ns;
    struct event readable;
    struct event writable;
    struct event timer;
    int fd;
    enum wr_http_state state;
    int armed; /* for which state the timer runs; -1: none */
    bool keep_alive;
    bool head_only;
    /* The request under way. */
    const struct wr_http_route *route;
    struct wr_http_plan plan;
    struct wr_http_body body;
    int refusal; /* the body is passed over, then this is answered */
    const char *refusal_message;
    struct wr_http_delivery *delivery; /* being filled; not while the source has it */
    char *kept;                        /* the beginning of a head, or requests behind the one under way */
    size_t kept_len;
    struct wr_buf out;
    size_t sent;
    char peer[64];
};

struct wr_http_server {
    struct wr_http_server_options options;
    struct event_base *base;
    pthread_t thread;
    int listeners[WR_HTTP_LISTENERS];
    struct event acceptable[WR_HTTP_LISTENERS];
    unsigned n_listeners;
    struct event accept_again; /* no descriptor was left */
    uint16_t port;
    int stop_fd;
    struct event stop;
    struct event deadline;
    struct event answered;
    struct wr_channel *answers; /* of struct wr_http_delivery * */
    _Atomic int64_t stop_deadline_boot_ns;
    bool stopping;
    int64_t parting_ns; /* while stopping: for a client to read its last reply */
    struct wr_link connections;
    struct wr_link idle;
    struct wr_link coming;
    uint32_t n_connections;
    uint32_t max_connections;
    struct wr_http_budget bodies;
    struct wr_http_budget commands; /* their bodies: sensors that write take nothing of it */
    size_t out_bytes;               /* of replies not sent yet */
    _Atomic uint64_t shown_connections;
    _Atomic uint64_t shown_bodies_bytes;
    _Atomic uint64_t connections_refused;
    _Atomic uint64_t broken; /* requests that ended before they were whole */
    _Atomic uint64_t replies[WR_HTTP_REPLY_CODES];
    char buffer[WR_HTTP_READ_BYTES];
};

/* http_connection.c */
/* Takes over fd, also when it fails: then it is closed. */
void wr_http_connection_open(struct wr_http_server *server, int fd, const char *peer);
/* At once, in any state but WAITING. */
void wr_http_connection_close(struct wr_http_connection *connection);
/* While the server stops: it ends with the reply that is going out, which has little time left. It may be gone afterwards. */
void wr_http_connection_part(struct wr_http_connection *connection);
/* The source has sent its delivery back. */
void wr_http_connection_answer(struct wr_http_connection *connection, struct wr_http_delivery *delivery);
/* As send, without waiting. */
ssize_t wr_http_connection_put(const struct wr_http_connection *connection, const void *bytes, size_t len);
/* Sends a reply, or as much of it as goes. */
void wr_http_connection_reply(struct wr_http_connection *connection, int code, const char *type, const char *body, size_t len);
void wr_http_connection_reply_error(struct wr_http_connection *connection, int code, const char *message, uint64_t line);

/* http_request.c */
void wr_http_request_head(struct wr_http_connection *connection, const struct wr_http_head *head);
/* What feeding the body said; more is to come with WR_EMPTY. */
void wr_http_request_body(struct wr_http_connection *connection, enum wr_result result);
/* What was sent cannot be told from what is still to come: the last reply of this connection. */
void wr_http_request_give_up(struct wr_http_connection *connection, int code, const char *message);

/* http_pages.c */
/* Answers a page that needs no source. query: the q of /query, or NULL. */
void wr_http_pages_answer(struct wr_http_connection *connection, const char *query);
/* What became of a delivery, in the words of its API. */
void wr_http_pages_answer_delivery(struct wr_http_connection *connection, struct wr_http_delivery *delivery);

/* http_server.c */
void wr_http_server_forget(struct wr_http_connection *connection);

#endif
