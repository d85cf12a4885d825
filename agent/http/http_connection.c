#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/http/http_private.h"
#include "core/log.h"

#define KEPT_BYTES 16384 /* of requests behind the one under way: beyond, the connection ends with the reply */
#define JSON "application/json"

static void on_readable(evutil_socket_t fd, short what, void *user);
static void on_writable(evutil_socket_t fd, short what, void *user);
static void on_timer(evutil_socket_t fd, short what, void *user);

/* -- the socket: nothing else here reads or writes it -------------------------------------------------------------------------------- */

static ssize_t get_bytes(const struct wr_http_connection *connection, char *into, size_t room) {
    return recv(connection->fd, into, room, 0);
}

ssize_t wr_http_connection_put(const struct wr_http_connection *connection, const void *bytes, size_t len) {
    return send(connection->fd, bytes, len, MSG_NOSIGNAL);
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static void forget_request(struct wr_http_connection *connection) {
    wr_http_body_fini(&connection->body);
    if (connection->delivery) {
        wr_http_body_fini(&connection->delivery->body);
        wr_buf_fini(&connection->delivery->reply);
    }
    free(connection->delivery);
    connection->delivery = NULL;
    connection->refusal = 0;
    connection->server->shown_bodies_bytes = connection->server->bodies.used;
}

static void drop_kept(struct wr_http_connection *connection) {
    free(connection->kept);
    connection->kept = NULL;
    connection->kept_len = 0;
}

static void drop_out(struct wr_http_connection *connection) {
    connection->server->out_bytes -= connection->out.cap;
    wr_buf_fini(&connection->out);
    wr_buf_init(&connection->out, 0);
    connection->sent = 0;
}

void wr_http_connection_close(struct wr_http_connection *connection) {
    event_del(&connection->readable);
    event_del(&connection->writable);
    event_del(&connection->timer);
    forget_request(connection);
    drop_kept(connection);
    drop_out(connection);
    close(connection->fd);
    wr_http_server_forget(connection);
    free(connection);
}

static int64_t deadline_of(const struct wr_http_connection *connection) {
    const struct wr_http_server_options *options = &connection->server->options;
    switch (connection->state) {
    case WR_HTTP_IN_HEAD:
        return connection->kept_len > 0 ? options->head_ns : options->idle_ns;
    case WR_HTTP_IN_BODY:
        return options->body_ns;
    case WR_HTTP_WRITING:
        return connection->server->stopping ? connection->server->parting_ns : options->reply_ns;
    case WR_HTTP_LINGER:
        return options->linger_ns;
    default:
        return 0;
    }
}

/* Its place among those that may be closed when another needs the connection. */
static void take_place(struct wr_http_connection *connection) {
    const bool in_head = connection->state == WR_HTTP_IN_HEAD;
    const bool idle = in_head && connection->kept_len == 0;
    if (!idle)
        wr_link_remove(&connection->idle);
    else if (wr_link_alone(&connection->idle))
        wr_link_append(&connection->server->idle, &connection->idle);
    if (idle || (!in_head && connection->state != WR_HTTP_IN_BODY)) {
        wr_link_remove(&connection->coming);
    } else if (wr_link_alone(&connection->coming)) {
        connection->coming_since_boot_ns = wr_clock_boot_ns(wr_clock_real());
        wr_link_append(&connection->server->coming, &connection->coming);
    }
}

/* At the end of each callback: the events that its state waits for, the deadline of that state, its place; or its end. */
static void settle(struct wr_http_connection *connection) {
    if (connection->state == WR_HTTP_ENDED) {
        wr_http_connection_close(connection);
        return;
    }
    const enum wr_http_state state = connection->state;
    const bool reads = state == WR_HTTP_IN_HEAD || state == WR_HTTP_IN_BODY || state == WR_HTTP_LINGER;
    const bool idle = state == WR_HTTP_IN_HEAD && connection->kept_len == 0;
    int failed = reads ? event_add(&connection->readable, NULL) : 0; /* is taken off where it fires in vain */
    failed |= state == WR_HTTP_WRITING ? event_add(&connection->writable, NULL) : event_del(&connection->writable);
    take_place(connection);
    const int arm = state == WR_HTTP_WAITING ? -1 : (int)state * 2 + (idle ? 1 : 0);
    if (arm != connection->armed) {
        const int64_t ns = deadline_of(connection);
        const struct timeval left = {.tv_sec = (time_t)(ns / WR_NS_PER_S), .tv_usec = (suseconds_t)(ns % WR_NS_PER_S / WR_NS_PER_US)};
        failed |= arm < 0 ? event_del(&connection->timer) : event_add(&connection->timer, &left);
        connection->armed = arm;
    }
    if (failed && state != WR_HTTP_WAITING) {
        WR_LOG_WITH(WR_LOG_ERROR, "http", "no event for a connection: closed", WR_LOG_STR("from", connection->peer));
        wr_http_connection_close(connection);
    }
}

void wr_http_connection_open(struct wr_http_server *server, int fd, const char *peer) {
    struct wr_http_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        WR_LOG_WITH(WR_LOG_ERROR, "http", "no memory for a connection: closed", WR_LOG_STR("from", peer));
        server->connections_refused++;
        close(fd);
        return;
    }
    *connection = (struct wr_http_connection){.server = server, .fd = fd, .armed = -1, .state = WR_HTTP_IN_HEAD};
    strncpy(connection->peer, peer, sizeof connection->peer - 1);
    wr_buf_init(&connection->out, 0);
    wr_link_init(&connection->all);
    wr_link_init(&connection->idle);
    wr_link_init(&connection->coming);
    wr_link_append(&server->connections, &connection->all);
    server->shown_connections = ++server->n_connections;
    event_assign(&connection->readable, server->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    event_assign(&connection->writable, server->base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
    event_assign(&connection->timer, server->base, -1, 0, on_timer, connection);
    settle(connection);
}

void wr_http_connection_part(struct wr_http_connection *connection) {
    connection->keep_alive = false;
    connection->armed = -1; /* its reply has another deadline now */
    settle(connection);
}

/* -- replies --------------------------------------------------------------------------------------------------------------------------- */

static void after_reply(struct wr_http_connection *connection) {
    drop_out(connection);
    connection->armed = -1; /* the next deadline begins now, also if it is of the same state */
    wr_link_remove(&connection->idle);
    wr_link_remove(&connection->coming);
    if (connection->keep_alive) {
        connection->state = WR_HTTP_IN_HEAD;
        return;
    }
    (void)shutdown(connection->fd, SHUT_WR);
    connection->state = connection->server->stopping ? WR_HTTP_ENDED : WR_HTTP_LINGER;
}

/* Sends what goes now. */
static void flush(struct wr_http_connection *connection) {
    while (connection->sent < connection->out.len) {
        const ssize_t n =
            wr_http_connection_put(connection, connection->out.data + connection->sent, connection->out.len - connection->sent);
        if (n > 0) {
            connection->sent += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            connection->state = n < 0 && errno == EAGAIN ? WR_HTTP_WRITING : WR_HTTP_ENDED;
            return;
        }
    }
    after_reply(connection);
}

void wr_http_connection_reply(struct wr_http_connection *connection, int code, const char *type, const char *body, size_t len) {
    struct wr_http_server *server = connection->server;
    forget_request(connection);
    const struct wr_http_route *route = connection->route;
    const struct wr_http_reply reply = {
        .code = code,
        .type = type,
        .body = body,
        .len = len,
        .allow = code == 405 ? route->methods : NULL,
        .api = route ? route->api : WR_HTTP_API_OWN,
        .head_only = connection->head_only,
        .close = !connection->keep_alive,
    };
    server->out_bytes -= connection->out.cap;
    const bool wrote = wr_http_reply_write(&reply, &connection->out) == WR_OK;
    server->out_bytes += connection->out.cap;
    if (!wrote) {
        connection->state = WR_HTTP_ENDED;
        return;
    }
    server->replies[wr_http_reply_place(code)]++;
    flush(connection);
    /* Only what does not go out at once is held against the limit: clients that do not read must not cost others their answers. */
    if (connection->state == WR_HTTP_WRITING && server->out_bytes > WR_HTTP_PAGES_BYTES) {
        WR_LOG_WITH(WR_LOG_WARN, "http", "closed: too many replies wait for clients that do not read",
                    WR_LOG_STR("from", connection->peer));
        connection->state = WR_HTTP_ENDED;
    }
}

void wr_http_connection_reply_error(struct wr_http_connection *connection, int code, const char *message, uint64_t line) {
    struct wr_buf body;
    wr_buf_init(&body, 16384);
    if (wr_http_reply_error(connection->route ? connection->route->api : WR_HTTP_API_OWN, code, message, line, &body) == WR_OK)
        wr_http_connection_reply(connection, code, JSON, wr_buf_str(&body), body.len);
    else
        connection->state = WR_HTTP_ENDED;
    wr_buf_fini(&body);
}

void wr_http_connection_answer(struct wr_http_connection *connection, struct wr_http_delivery *delivery) {
    connection->delivery = delivery;
    connection->keep_alive = connection->keep_alive && !connection->server->stopping;
    wr_http_pages_answer_delivery(connection, delivery);
    on_writable(connection->fd, 0, connection);
}

/* -- bytes ----------------------------------------------------------------------------------------------------------------------------- */

static void keep(struct wr_http_connection *connection, const char *bytes, size_t len) {
    if (len == 0)
        return;
    connection->kept = len <= KEPT_BYTES ? malloc(len) : NULL;
    if (!connection->kept) { /* what lies behind the request is not known any more */
        connection->keep_alive = false;
        if (connection->state == WR_HTTP_IN_HEAD)
            connection->state = WR_HTTP_ENDED;
        return;
    }
    memcpy(connection->kept, bytes, len);
    connection->kept_len = len;
}

/* Goes through the states with the bytes at hand. */
static void process(struct wr_http_connection *connection, const char *p, const char *end) {
    for (;;) {
        if (connection->state == WR_HTTP_IN_HEAD) {
            struct wr_http_head head;
            const enum wr_http_found found = p < end ? wr_http_head_read(p, (size_t)(end - p), &head) : WR_HTTP_INCOMPLETE;
            if (found == WR_HTTP_INCOMPLETE)
                break;
            connection->route = NULL;
            connection->head_only = false;
            if (found == WR_HTTP_REFUSED) {
                wr_http_request_give_up(connection, head.code, head.message);
            } else {
                p += head.bytes;
                wr_http_request_head(connection, &head);
            }
        } else if (connection->state == WR_HTTP_IN_BODY) {
            size_t consumed;
            const enum wr_result result = wr_http_body_feed(&connection->body, p, (size_t)(end - p), &consumed);
            p += consumed;
            wr_http_request_body(connection, result);
            if (result == WR_EMPTY)
                return;
        } else {
            break;
        }
    }
    if (connection->state != WR_HTTP_LINGER && connection->state != WR_HTTP_ENDED)
        keep(connection, p, (size_t)(end - p));
}

/* What was kept comes first in the buffer; returns its length. */
static size_t unkeep(struct wr_http_connection *connection) {
    const size_t len = connection->kept_len;
    if (len > 0)
        memcpy(connection->server->buffer, connection->kept, len);
    drop_kept(connection);
    return len;
}

/* The peer is gone, or says no more. */
static void ended(struct wr_http_connection *connection, bool inside) {
    connection->server->broken += inside;
    connection->state = WR_HTTP_ENDED;
}

static void read_body(struct wr_http_connection *connection) {
    size_t room;
    char *into = wr_http_body_room(&connection->body, &room);
    struct wr_http_server *server = connection->server;
    const ssize_t n = into ? get_bytes(connection, into, room) : get_bytes(connection, server->buffer, sizeof server->buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        ended(connection, true);
    else if (into)
        wr_http_request_body(connection, wr_http_body_filled(&connection->body, (size_t)n));
    else
        process(connection, server->buffer, server->buffer + n);
}

static void read_head(struct wr_http_connection *connection) {
    struct wr_http_server *server = connection->server;
    const size_t before = connection->kept_len;
    const ssize_t n = get_bytes(connection, server->buffer + before, sizeof server->buffer - before);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        ended(connection, before > 0);
        return;
    }
    (void)unkeep(connection);
    process(connection, server->buffer, server->buffer + before + n);
}

static void on_readable(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_connection *connection = user;
    struct wr_http_server *server = connection->server;
    if (connection->state == WR_HTTP_IN_BODY) {
        read_body(connection);
    } else if (connection->state == WR_HTTP_IN_HEAD) {
        read_head(connection);
    } else if (connection->state != WR_HTTP_LINGER) {
        event_del(&connection->readable); /* until the reply is out */
        return;
    } else {
        const ssize_t n = get_bytes(connection, server->buffer, sizeof server->buffer);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            connection->state = WR_HTTP_ENDED;
    }
    settle(connection);
}

/* Goes on with the reply; and with what came behind the request, when that is done. */
static void on_writable(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_connection *connection = user;
    struct wr_http_server *server = connection->server;
    if (connection->state == WR_HTTP_WRITING)
        flush(connection);
    if (connection->state == WR_HTTP_IN_HEAD && connection->kept_len > 0) {
        const size_t len = unkeep(connection);
        process(connection, server->buffer, server->buffer + len);
    }
    settle(connection);
}

static void on_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_connection *connection = user;
    const bool inside = connection->state == WR_HTTP_IN_BODY || (connection->state == WR_HTTP_IN_HEAD && connection->kept_len > 0);
    connection->armed = -1;
    if (inside) {
        connection->server->broken++;
        if (connection->state == WR_HTTP_IN_HEAD)
            connection->route = NULL;
        wr_http_request_give_up(connection, 408, "the request did not come in time");
    } else {
        connection->state = WR_HTTP_ENDED;
    }
    settle(connection);
}
