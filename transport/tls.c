#include "transport/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "transport/tls_private.h"

/* Waits for the socket. WR_OK: it may go on. */
static enum wr_result wait_for(struct wr_tls_stream *stream, short events, int64_t deadline_boot_ns, int cancel_fd, struct wr_error *err) {
    for (;;) {
        int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
        int64_t left_ns = (deadline_boot_ns < stream->give_up_boot_ns ? deadline_boot_ns : stream->give_up_boot_ns) - now_ns;
        if (left_ns <= 0 && now_ns < deadline_boot_ns)
            return wr_tls_cause(stream, MBEDTLS_ERR_NET_SEND_FAILED, err);
        if (left_ns <= 0)
            return wr_error_set(err, WR_TIMEOUT,
                                wr_tls_compat_after_server_hello(&stream->ssl) ? "the broker did not finish the TLS handshake in time"
                                                                               : "the peer did not answer the TLS handshake in time");
        int64_t left_ms = left_ns / WR_NS_PER_MS + 1;
        struct pollfd fds[2] = {{.fd = stream->fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}};
        int n = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (n < 0 && errno != EINTR)
            return wr_error_set(err, WR_IO, "poll: %s", strerror(errno));
        if (n > 0 && fds[1].revents != 0)
            return wr_error_set(err, WR_CANCELED, "TLS handshake: cancelled");
        if (n > 0 && fds[0].revents != 0)
            return WR_OK;
    }
}

static enum wr_result shake_hands(struct wr_tls_stream *stream, int64_t deadline_boot_ns, int cancel_fd, struct wr_error *err) {
    int failure;
    while ((failure = mbedtls_ssl_handshake(&stream->ssl)) != 0) {
        if (wr_tls_compat_is_ticket(failure))
            continue;
        enum wr_result result = wr_tls_stream_result(stream, failure, err);
        if (result != WR_EMPTY && result != WR_FULL)
            return result;
        WR_TRY(wait_for(stream, result == WR_EMPTY ? POLLIN : POLLOUT, deadline_boot_ns, cancel_fd, err));
    }
    stream->handshaking = false;
    return WR_OK;
}

/* Keeps the ticket for the next connect. Without one it is simply a full handshake again. */
static void keep_session(struct wr_tls *tls, struct wr_tls_stream *stream) {
    wr_tls_drop_session(tls);
    mbedtls_ssl_session_init(&tls->session);
    if (mbedtls_ssl_get_session(&stream->ssl, &tls->session) != 0) {
        mbedtls_ssl_session_free(&tls->session);
        return;
    }
    memcpy(tls->session_host, stream->host, sizeof tls->session_host);
    tls->has_session = true;
}

/* Whom we expect, and the ticket of last time. */
static enum wr_result name_peer(struct wr_tls *tls, struct wr_tls_stream *stream, const char *host, struct wr_error *err) {
    unsigned char address[16];
    stream->numeric_host = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    stream->has_cert = tls->config.cert != NULL;
    strncpy(stream->host, host, sizeof stream->host - 1);
    /* NULL where our own callback compares the address; never left unset */
    if (mbedtls_ssl_set_hostname(&stream->ssl, stream->numeric_host && !WR_TLS_COMPAT_MATCHES_IP ? NULL : stream->host) != 0)
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    if (tls->has_session && strcmp(tls->session_host, stream->host) == 0)
        stream->resumed = mbedtls_ssl_set_session(&stream->ssl, &tls->session) == 0;
    return WR_OK;
}

enum wr_result wr_tls_handshake(struct wr_tls *tls, int fd, const char *host, int64_t deadline_boot_ns, int cancel_fd,
                                struct wr_tls_stream **ret_stream, struct wr_error *err) {
    struct wr_tls_set *set;
    struct wr_tls_stream *stream;
    WR_TRY(wr_tls_set_new(tls, MBEDTLS_SSL_IS_CLIENT, &set, err));
    enum wr_result result = wr_tls_stream_new(set, fd, tls->clock, &stream, err);
    wr_tls_set_release(set); /* the stream has it */
    if (result != WR_OK)
        return result;
    result = name_peer(tls, stream, host, err);
    if (result == WR_OK) {
        result = shake_hands(stream, deadline_boot_ns, cancel_fd, err);
        if (result != WR_OK)
            wr_tls_drop_session(tls); /* it may be to blame */
        else
            keep_session(tls, stream);
    }
    if (result != WR_OK) {
        wr_tls_close(stream);
        return result;
    }
    *ret_stream = stream;
    return WR_OK;
}
