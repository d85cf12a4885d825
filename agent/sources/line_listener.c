#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/process/descriptors.h"
#include "agent/process/unix_socket.h"
#include "agent/sources/line_source_private.h"
#include "core/log.h"

#define ACCEPT_BURST 32 /* connections a callback, so that readers get their turn */
#define BACKLOG 1024
#define RETRY_US 200000

/* -- accepting ------------------------------------------------------------------------------------------------------------------- */

static void refuse_connection(struct wr_line_source *source, int fd, const char *message) {
    atomic_fetch_add_explicit(&source->source.env.counters->connections_refused, 1, memory_order_relaxed);
    close(fd);
    WR_LOG_WITH(WR_LOG_WARN, "line", message, WR_LOG_STR("source", source->source.env.config->name),
                WR_LOG_INT("max_connections", source->max_connections));
}

/* A peer that has vanished without a word is noticed after two minutes. The flights of a handshake are small, and must not wait for each other. */
static void tune(int fd) {
    const int on = 1;
    const int idle_s = 60;
    const int interval_s = 10;
    const int probes = 6;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void on_acceptable(evutil_socket_t listening, short what, void *user) {
    (void)what;
    struct wr_line_listener *listener = user;
    struct wr_line_source *source = listener->owner;
    wr_intake_hand_over(&source->intake); /* what this pass has read does not wait for them */
    for (int i = 0; i < ACCEPT_BURST; i++) {
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno == EAGAIN)
                return;
            /* No descriptor or no memory: the connection stays in the kernel's queue, and would wake us again and again. */
            WR_LOG_WITH(WR_LOG_ERROR, "line", "cannot accept", WR_LOG_STR("source", source->source.env.config->name),
                        WR_LOG_STR("error", strerror(errno)));
            const struct timeval pause = {0, RETRY_US};
            event_del(&listener->readable);
            event_add(&listener->retry, &pause);
            return;
        }
        if (source->n_connections >= source->max_connections && !wr_line_tls_make_room(source)) {
            refuse_connection(source, fd, "connection refused: max_connections reached");
            continue;
        }
        if (!wr_descriptors_spare(fd)) {
            refuse_connection(source, fd, "connection refused: the process may have no more files open (ulimit -n)");
            continue;
        }
        if (listener->address->kind != WR_ADDRESS_UNIX)
            tune(fd);
        struct wr_line_connection *connection = wr_line_connection_open(source, fd, false);
        if (connection && listener->address->kind == WR_ADDRESS_TLS)
            wr_line_tls_begin(connection);
        else if (connection)
            wr_line_connection_listen(connection);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_listener *listener = user;
    event_add(&listener->readable, NULL);
}

/* -- opening --------------------------------------------------------------------------------------------------------------------- */

/* Takes over fd, also when it fails: then NULL. */
static struct wr_line_listener *add_listener(struct wr_line_source *source, const struct wr_address *address, int fd,
                                             struct wr_error *err) {
    if (source->n_listeners == WR_LINE_LISTENERS) {
        close(fd);
        (void)wr_error_set(err, WR_LIMIT, "more than %d addresses to listen on", WR_LINE_LISTENERS);
        return NULL;
    }
    struct wr_line_listener *listener = &source->listeners[source->n_listeners++];
    *listener = (struct wr_line_listener){.owner = source, .address = address, .fd = fd};
    event_assign(&listener->readable, source->base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    event_assign(&listener->retry, source->base, -1, 0, on_retry, listener);
    if (event_add(&listener->readable, NULL) == 0)
        return listener;
    (void)wr_error_set(err, WR_IO, "%s: no event for the listener", address->text);
    return NULL; /* closed with the others */
}

static uint16_t bound_port(int fd) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    if (getsockname(fd, &bound.any, &len) < 0)
        return 0;
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

/* TCP, TLS or UDP. */
static enum wr_result open_port_at(struct wr_line_source *source, const struct wr_address *address, const struct addrinfo *info,
                                   struct wr_error *err) {
    const bool datagrams = address->kind == WR_ADDRESS_UDP;
    int fd = socket(info->ai_family, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "%s: %s", address->text, strerror(errno));
    const int on = 1;
    if (!datagrams) /* of UDP it would let two listen at one address */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on); /* IPv4 has a listener of its own */
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || (!datagrams && listen(fd, BACKLOG) < 0)) {
        const int because = errno;
        close(fd);
        return wr_error_set(err, because == EADDRINUSE ? WR_BUSY : WR_IO, "%s: %s", address->text, strerror(because));
    }
    struct wr_line_listener *listener = add_listener(source, address, fd, err);
    if (!listener)
        return WR_LIMIT;
    listener->port = bound_port(fd);
    return datagrams ? wr_line_udp_open(listener, err) : WR_OK;
}

static enum wr_result open_port(struct wr_line_source *source, const struct wr_address *address, struct wr_error *err) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = address->kind == WR_ADDRESS_UDP ? SOCK_DGRAM : SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    struct addrinfo *found;
    const int failed = getaddrinfo(address->host[0] ? address->host : NULL, port, &hints, &found);
    if (failed != 0)
        return wr_error_set(err, WR_NOT_FOUND, "%s: %s", address->text, gai_strerror(failed));
    enum wr_result result = WR_OK;
    unsigned opened = 0;
    for (const struct addrinfo *info = found; info; info = info->ai_next) {
        result = open_port_at(source, address, info, err);
        opened += result == WR_OK;
        if (result == WR_BUSY)
            break;
    }
    freeaddrinfo(found);
    return opened > 0 && result != WR_BUSY ? WR_OK : result; /* a machine without IPv6 has only one of the two */
}

static enum wr_result open_unix(struct wr_line_source *source, const struct wr_address *address, struct wr_error *err) {
    int fd;
    WR_TRY(wr_unix_socket_listen(address->path, &fd, err));
    struct stat made = {0};
    (void)lstat(address->path, &made);
    struct wr_line_listener *listener = add_listener(source, address, fd, err);
    if (!listener)
        return WR_LIMIT;
    listener->socket_dev = made.st_dev;
    listener->socket_ino = made.st_ino;
    return WR_OK;
}

static void open_stdin(struct wr_line_source *source) {
    struct wr_line_connection *connection = wr_line_connection_open(source, STDIN_FILENO, true);
    if (connection)
        wr_line_connection_listen(connection);
}

enum wr_result wr_line_listeners_open(struct wr_line_source *source, struct wr_error *err) {
    const struct wr_config_line *config = &source->source.env.config->line;
    for (unsigned i = 0; i < config->n_listen; i++) {
        const struct wr_address *address = &config->addresses[i];
        enum wr_result result = WR_OK;
        if (address->kind == WR_ADDRESS_TLS && !source->tls)
            result = wr_line_tls_open(source, err);
        if (result != WR_OK)
            return wr_error_wrap(err, "source %s", source->source.env.config->name);
        if (address->kind == WR_ADDRESS_UNIX)
            result = open_unix(source, address, err);
        else if (address->kind == WR_ADDRESS_STDIN)
            open_stdin(source);
        else
            result = open_port(source, address, err);
        if (result != WR_OK)
            return wr_error_wrap(err, "source %s", source->source.env.config->name);
    }
    for (unsigned i = 0; i < source->n_listeners; i++)
        WR_LOG_WITH(WR_LOG_INFO, "line", "listening", WR_LOG_STR("source", source->source.env.config->name),
                    WR_LOG_STR("on", source->listeners[i].address->text), WR_LOG_INT("port", source->listeners[i].port));
    return WR_OK;
}

static void close_listener(struct wr_line_listener *listener) {
    event_del(&listener->readable);
    event_del(&listener->retry);
    if (listener->udp)
        wr_line_udp_close(listener);
    close(listener->fd);
    struct stat there;
    if (listener->address->kind == WR_ADDRESS_UNIX && lstat(listener->address->path, &there) == 0 && there.st_dev == listener->socket_dev &&
        there.st_ino == listener->socket_ino)
        (void)unlink(listener->address->path);
    listener->fd = -1;
}

void wr_line_listeners_close(struct wr_line_source *source, bool datagrams_too) {
    for (unsigned i = 0; i < source->n_listeners; i++)
        if (source->listeners[i].fd >= 0 && (datagrams_too || !source->listeners[i].udp))
            close_listener(&source->listeners[i]);
    if (datagrams_too)
        source->n_listeners = 0;
}
