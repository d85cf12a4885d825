#include "transport/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/resolve.h"

#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3

static void set_option(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* Options that help but are no condition. */
static void tune(int fd, const struct wr_dial *dial) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    if (dial->user_timeout_ns > 0)
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(dial->user_timeout_ns / WR_NS_PER_MS));
}

/* One address. On failure the socket is closed and errno of the cause is in *ret_errno (0: result says it all). */
static enum wr_result connect_one(const struct wr_dial *dial, const struct addrinfo *address, int *ret_fd, int *ret_errno) {
    *ret_errno = 0;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    if (fd < 0) {
        *ret_errno = errno;
        return WR_IO;
    }
    tune(fd, dial);
    enum wr_result result = WR_OK;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        int error = errno;
        if (error == EINPROGRESS) {
            result = wr_resolve_wait(fd, POLLOUT, dial->deadline_boot_ns, dial->cancel_fd);
            socklen_t len = sizeof error;
            if (result == WR_OK && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
                error = errno;
        }
        if (result == WR_OK && error != 0) {
            *ret_errno = error;
            result = WR_IO;
        }
    }
    if (result != WR_OK) {
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    return WR_OK;
}

static enum wr_result connect_any(const struct wr_dial *dial, const struct addrinfo *list, int *ret_fd, struct wr_error *err) {
    enum wr_result result = WR_NOT_FOUND;
    int error = 0;
    for (const struct addrinfo *address = list; address != NULL; address = address->ai_next) {
        result = connect_one(dial, address, ret_fd, &error);
        if (result == WR_OK || result == WR_TIMEOUT || result == WR_CANCELED)
            break;
    }
    if (result == WR_OK)
        return WR_OK;
    char authority[WR_URL_TEXT_BYTES];
    const char *why = error != 0 ? strerror(error) : result == WR_TIMEOUT ? "no answer in time" : wr_result_name(result);
    return wr_error_set(err, result, "connect to %s: %s", wr_url_authority(authority, sizeof authority, dial->url), why);
}

enum wr_result wr_dial(const struct wr_dial *dial, struct wr_stream *ret_stream, struct wr_error *err) {
    struct addrinfo *list = NULL;
    struct wr_stream stream = {.fd = -1};
    WR_TRY(wr_resolve(dial->url, dial->deadline_boot_ns, dial->cancel_fd, &list, err));
    enum wr_result result = connect_any(dial, list, &stream.fd, err);
    freeaddrinfo(list);
    if (result != WR_OK)
        return result;
    if (dial->url->tls) {
        result = wr_tls_handshake(dial->tls, stream.fd, dial->url->host, dial->deadline_boot_ns, dial->cancel_fd, &stream.tls, err);
        if (result != WR_OK) {
            char authority[WR_URL_TEXT_BYTES];
            if (dial->failed != NULL)
                wr_wire_bytes_add(dial->failed, stream.fd);
            wr_stream_close(&stream);
            (void)wr_error_wrap(err, "TLS to %s", wr_url_authority(authority, sizeof authority, dial->url));
            return result;
        }
    }
    *ret_stream = stream;
    return WR_OK;
}

static enum wr_result socket_failure(ssize_t n, enum wr_result would_block, struct wr_error *err) {
    if (n == 0)
        return wr_error_set(err, WR_CLOSED, "the broker closed the connection");
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return would_block;
    return wr_error_set(err, WR_IO, "the broker's connection: %s", strerror(errno));
}

enum wr_result wr_stream_read(struct wr_stream *stream, void *into, size_t len, size_t *ret_n, struct wr_error *err) {
    if (stream->tls != NULL)
        return wr_tls_read(stream->tls, into, len, ret_n, err);
    ssize_t n = recv(stream->fd, into, len, 0);
    if (n <= 0)
        return socket_failure(n, WR_EMPTY, err);
    *ret_n = (size_t)n;
    return WR_OK;
}

enum wr_result wr_stream_write(struct wr_stream *stream, const void *from, size_t len, size_t *ret_n, struct wr_error *err) {
    if (stream->tls != NULL)
        return wr_tls_write(stream->tls, from, len, ret_n, err);
    ssize_t n = send(stream->fd, from, len, MSG_NOSIGNAL);
    if (n < 0)
        return socket_failure(n, WR_FULL, err);
    *ret_n = (size_t)n;
    return WR_OK;
}

void wr_stream_close(struct wr_stream *stream) {
    wr_tls_close(stream->tls);
    stream->tls = NULL;
    if (stream->fd >= 0)
        (void)close(stream->fd);
    stream->fd = -1;
}
