#include "agent/http/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/http/http_private.h"
#include "agent/process/descriptors.h"
#include "core/log.h"
#include "core/thread.h"

#define BACKLOG 256
#define ACCEPT_BURST 32
#define RETRY_US 200000
#define PARTING_NS (1 * WR_NS_PER_S)
#define FEW 16 /* connections that may be had with any descriptor: /metrics must be reachable when sensors take the rest */

union peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* -- connections come and go ----------------------------------------------------------------------------------------------------------- */

static void name_peer(const union peer *peer, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN] = "";
    if (peer->any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &peer->v6.sin6_addr, host, sizeof host))
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(peer->v6.sin6_port));
    else if (peer->any.sa_family == AF_INET && inet_ntop(AF_INET, &peer->v4.sin_addr, host, sizeof host))
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(peer->v4.sin_port));
    else
        snprintf(text, size, "unknown");
}

/* Makes room by closing the one that has been idle longest; or else the one whose request has been coming longest, if that is too long. */
static bool make_room(struct wr_http_server *server) {
    if (server->n_connections < server->max_connections)
        return true;
    if (!wr_link_alone(&server->idle)) {
        wr_http_connection_close(WR_LINK_OWNER(server->idle.next, struct wr_http_connection, idle));
        return true;
    }
    if (wr_link_alone(&server->coming))
        return false;
    struct wr_http_connection *slow = WR_LINK_OWNER(server->coming.next, struct wr_http_connection, coming);
    if (wr_clock_boot_ns(wr_clock_real()) - slow->coming_since_boot_ns < server->options.contended_ns)
        return false;
    server->broken++;
    WR_LOG_WITH(WR_LOG_WARN, "http", "closed in the middle of a slow request: max_connections are in use", WR_LOG_STR("from", slow->peer));
    wr_http_connection_close(slow);
    return true;
}

static void take_connection(struct wr_http_server *server, int fd, const union peer *peer) {
    char name[64];
    const int on = 1;
    name_peer(peer, name, sizeof name);
    if (!make_room(server) || (server->n_connections >= FEW && !wr_descriptors_spare(fd))) {
        server->connections_refused++;
        close(fd);
        WR_LOG_WITH(WR_LOG_WARN, "http", "connection refused: max_connections are in use, or the process has no more files (ulimit -n)",
                    WR_LOG_STR("from", name), WR_LOG_INT("max_connections", server->max_connections));
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    wr_http_connection_open(server, fd, name);
}

static void on_acceptable(evutil_socket_t listener, short what, void *user) {
    (void)what;
    struct wr_http_server *server = user;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        union peer peer = {.any.sa_family = AF_UNSPEC};
        socklen_t len = sizeof peer;
        const int fd = accept4(listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(server, fd, &peer);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            WR_LOG_WITH(WR_LOG_ERROR, "http", "cannot accept", WR_LOG_STR("error", strerror(errno)));
            for (unsigned l = 0; l < server->n_listeners; l++)
                event_del(&server->acceptable[l]); /* the connection stays in the kernel's queue, and would wake us again and again */
            event_add(&server->accept_again, &(const struct timeval){.tv_usec = RETRY_US});
            return;
        }
    }
}

static void on_accept_again(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_server *server = user;
    for (unsigned i = 0; i < server->n_listeners; i++)
        event_add(&server->acceptable[i], NULL);
}

void wr_http_server_forget(struct wr_http_connection *connection) {
    struct wr_http_server *server = connection->server;
    wr_link_remove(&connection->idle);
    wr_link_remove(&connection->coming);
    wr_link_remove(&connection->all);
    server->shown_connections = --server->n_connections;
    if (server->stopping && server->n_connections == 0)
        event_base_loopbreak(server->base);
}

/* -- the loop -------------------------------------------------------------------------------------------------------------------------- */

static void on_answered(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_server *server = user;
    wr_channel_disarm(server->answers, WR_CHANNEL_RECV);
    do {
        struct wr_http_delivery *delivery;
        while (wr_channel_try_recv(server->answers, &delivery) == WR_OK)
            wr_http_connection_answer(delivery->connection, delivery);
    } while (wr_channel_arm(server->answers, WR_CHANNEL_RECV));
}

/* Closes all but those whose request the source has, and, unless it is late, those that are being answered. */
static void close_connections(struct wr_http_server *server, bool late) {
    struct wr_link *next;
    for (struct wr_link *link = server->connections.next; link != &server->connections; link = next) {
        struct wr_http_connection *connection = WR_LINK_OWNER(link, struct wr_http_connection, all);
        next = link->next;
        if (connection->state == WR_HTTP_WAITING)
            connection->keep_alive = false;
        else if (connection->state == WR_HTTP_WRITING && !late)
            wr_http_connection_part(connection);
        else
            wr_http_connection_close(connection);
    }
}

static void close_listeners(struct wr_http_server *server) {
    event_del(&server->accept_again);
    for (unsigned i = 0; i < server->n_listeners; i++) {
        event_del(&server->acceptable[i]);
        close(server->listeners[i]);
    }
    server->n_listeners = 0;
}

static void on_stop(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_server *server = user;
    int64_t left_ns = atomic_load(&server->stop_deadline_boot_ns) - wr_clock_boot_ns(wr_clock_real());
    if (left_ns < 0)
        left_ns = 0;
    const struct timeval left = {.tv_sec = (time_t)(left_ns / WR_NS_PER_S), .tv_usec = (suseconds_t)(left_ns % WR_NS_PER_S / WR_NS_PER_US)};
    server->stopping = true;
    server->parting_ns = left_ns / 8 < PARTING_NS ? left_ns / 8 : PARTING_NS;
    close_listeners(server);
    close_connections(server, false);
    event_add(&server->deadline, &left);
    if (server->n_connections == 0)
        event_base_loopbreak(server->base);
}

static void on_deadline(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_http_server *server = user;
    server->parting_ns = 0;
    close_connections(server, true); /* whoever is left has its request at the source */
    if (server->n_connections > 0)
        wr_http_gate_hurry(server->options.gate);
    if (server->n_connections > 0 && server->options.desk)
        wr_http_gate_hurry(server->options.desk);
    if (server->n_connections == 0)
        event_base_loopbreak(server->base);
}

static void *run(void *user) {
    struct wr_http_server *server = user;
    wr_thread_name("weir-http");
    (void)event_base_loop(server->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

/* -- start ----------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result listen_at(struct wr_http_server *server, const struct addrinfo *info, struct wr_error *err) {
    const char *text = server->options.config->listen;
    const int on = 1;
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "http.listen %s: %s", text, strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on); /* IPv4 has a listener of its own */
    union peer bound = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, &bound.any, &len) < 0) {
        const int because = errno;
        close(fd);
        return wr_error_set(err, because == EADDRINUSE ? WR_BUSY : WR_IO, "http.listen %s: %s", text, strerror(because));
    }
    const unsigned i = server->n_listeners++;
    server->listeners[i] = fd;
    server->port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    event_assign(&server->acceptable[i], server->base, fd, EV_READ | EV_PERSIST, on_acceptable, server);
    return event_add(&server->acceptable[i], NULL) == 0 ? WR_OK : wr_error_set(err, WR_IO, "http.listen %s: no event", text);
}

/* A machine without IPv6 has only one of the two addresses of "all" or of a name. */
static enum wr_result listen_all(struct wr_http_server *server, struct wr_error *err) {
    const struct wr_address *address = &server->options.config->address;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *host = address->host && *address->host ? address->host : NULL;
    char port[8];
    struct addrinfo *found;
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    const int failed = getaddrinfo(host, port, &hints, &found);
    if (failed != 0)
        return wr_error_set(err, WR_NOT_FOUND, "http.listen %s: %s", server->options.config->listen, gai_strerror(failed));
    enum wr_result result = WR_OK;
    for (const struct addrinfo *info = found; info && result != WR_BUSY && server->n_listeners < WR_HTTP_LISTENERS; info = info->ai_next)
        result = listen_at(server, info, err);
    freeaddrinfo(found);
    return server->n_listeners > 0 && result != WR_BUSY ? WR_OK : result;
}

static enum wr_result prepare(struct wr_http_server *server, struct wr_error *err) {
    const struct wr_channel_options answers = {.name = "http answers",
                                               .capacity = server->max_connections,
                                               .element_bytes = sizeof(struct wr_http_delivery *),
                                               .policy = WR_CHANNEL_REJECT};
    int fd;
    server->base = event_base_new();
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!server->base || server->stop_fd < 0)
        return wr_error_set(err, WR_NO_MEMORY, "no event loop for the HTTP server");
    WR_TRY(wr_channel_new(&answers, &server->answers, err));
    WR_TRY(wr_channel_descriptor(server->answers, WR_CHANNEL_RECV, &fd, err));
    event_assign(&server->stop, server->base, server->stop_fd, EV_READ, on_stop, server);
    event_assign(&server->answered, server->base, fd, EV_READ | EV_PERSIST, on_answered, server);
    event_assign(&server->deadline, server->base, -1, 0, on_deadline, server);
    event_assign(&server->accept_again, server->base, -1, 0, on_accept_again, server);
    (void)wr_channel_arm(server->answers, WR_CHANNEL_RECV);
    if (event_add(&server->stop, NULL) < 0 || event_add(&server->answered, NULL) < 0)
        return wr_error_set(err, WR_NO_MEMORY, "no events for the HTTP server");
    return listen_all(server, err);
}

static enum wr_result add_metrics(struct wr_http_server *server) {
    struct wr_metrics *metrics = server->options.metrics;
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_http_connections", "Open HTTP connections", .value = &server->shown_connections},
        {WR_METRIC_GAUGE, "weir_http_bodies_bytes", "Memory of bodies under way", .value = &server->shown_bodies_bytes},
        {WR_METRIC_COUNTER, "weir_http_connections_refused_total", "HTTP connections refused", .value = &server->connections_refused},
        {WR_METRIC_COUNTER, "weir_http_requests_broken_total", "Requests that ended before they were whole", .value = &server->broken},
    };
    WR_TRY(WR_METRICS_ADD_ALL(metrics, server, NULL, list, NULL));
    for (unsigned i = 0; i < WR_HTTP_REPLY_CODES; i++) {
        char label[32];
        snprintf(label, sizeof label, "code=\"%d\"", wr_http_reply_codes[i]);
        WR_TRY(wr_metrics_add(metrics, server, WR_METRIC_COUNTER, "weir_http_requests_total", "HTTP requests answered", label,
                              &server->replies[i]));
    }
    return WR_OK;
}

static void free_server(struct wr_http_server *server) {
    if (server->options.metrics)
        wr_metrics_drop(server->options.metrics, server);
    if (server->answers && server->base) {
        close_listeners(server);
        event_del(&server->stop);
        event_del(&server->answered);
        event_del(&server->deadline);
    }
    if (server->base)
        event_base_free(server->base);
    wr_channel_free(server->answers);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    free(server);
}

enum wr_result wr_http_server_start(const struct wr_http_server_options *options, struct wr_http_server **ret_server,
                                    struct wr_error *err) {
    struct wr_http_server *server = calloc(1, sizeof *server);
    if (!server)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the HTTP server");
    server->options = *options;
    server->max_connections = options->config->max_connections;
    server->stop_fd = -1;
    wr_link_init(&server->connections);
    wr_link_init(&server->idle);
    wr_link_init(&server->coming);
    struct wr_http_server_options *o = &server->options;
    o->idle_ns = o->idle_ns ? o->idle_ns : 120 * WR_NS_PER_S;
    o->head_ns = o->head_ns ? o->head_ns : 10 * WR_NS_PER_S;
    o->body_ns = o->body_ns ? o->body_ns : 60 * WR_NS_PER_S;
    o->contended_ns = o->contended_ns ? o->contended_ns : 5 * WR_NS_PER_S;
    o->reply_ns = o->reply_ns ? o->reply_ns : 30 * WR_NS_PER_S;
    o->linger_ns = o->linger_ns ? o->linger_ns : 2 * WR_NS_PER_S;
    enum wr_result result = prepare(server, err);
    if (result == WR_OK && o->metrics && add_metrics(server) != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for the metrics of HTTP");
    if (result == WR_OK)
        result = wr_thread_start(&server->thread, run, server, "http", err);
    if (result != WR_OK) {
        free_server(server);
        return result;
    }
    WR_LOG_WITH(WR_LOG_INFO, "http", "listening", WR_LOG_STR("on", o->config->listen), WR_LOG_INT("port", server->port));
    o->config = NULL; /* may go at the next reload */
    *ret_server = server;
    return WR_OK;
}

uint16_t wr_http_server_port(const struct wr_http_server *server) {
    return server->port;
}

void wr_http_server_status(const struct wr_http_server *server, struct wr_http_status *ret_status) {
    *ret_status =
        (struct wr_http_status){.connections = server->shown_connections, .refused = server->connections_refused, .broken = server->broken};
    for (unsigned i = 0; i < WR_HTTP_REPLY_CODES; i++)
        ret_status->replies[i] = server->replies[i];
}

void wr_http_server_stop(struct wr_http_server *server, int64_t deadline_boot_ns) {
    if (!server)
        return;
    atomic_store(&server->stop_deadline_boot_ns, deadline_boot_ns);
    (void)eventfd_write(server->stop_fd, 1);
    (void)!wr_thread_join(server->thread, WR_NEVER_NS);
    free_server(server);
}

size_t wr_http_server_bytes(const struct wr_config_http *config) {
    const size_t a_connection = sizeof(struct wr_http_connection) + sizeof(struct wr_http_delivery) + 2 * WR_HTTP_HEAD_BYTES + 1024;
    const size_t pages = 3 * (size_t)WR_HTTP_PAGES_BYTES; /* one rendered, the same on its way out, and what waits for clients */
    return sizeof(struct wr_http_server) + pages + config->max_connections * a_connection;
}
