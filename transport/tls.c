#include "transport/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "transport/tls_private.h"

/* ECDHE and AEAD only. 2.28 encrypts AES one block at a time, so ChaCha20 is almost twice as fast there, and far more so without AES
 * instructions; 3.6 has both, so that hardware AES goes first. */
static const int ciphers[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

#define ALERT_NS WR_NS_PER_S

/* While shaking hands, a failed send counts as sent: the broker has closed, and the next read finds the alert that it wrote before. It has
 * ALERT_NS to be found. */
static int bio_send(void *user, const unsigned char *from, size_t len) {
    struct wr_tls_stream *stream = user;
    ssize_t n = send(stream->fd, from, len, MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    stream->io_errno = errno;
    if (!stream->handshaking)
        return MBEDTLS_ERR_NET_SEND_FAILED;
    stream->give_up_boot_ns = wr_clock_boot_ns(wr_clock_real()) + ALERT_NS;
    return (int)len;
}

static int bio_recv(void *user, unsigned char *into, size_t len) {
    struct wr_tls_stream *stream = user;
    ssize_t n = recv(stream->fd, into, len, 0);
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_READ;
    stream->io_errno = errno;
    return MBEDTLS_ERR_NET_RECV_FAILED;
}

#if !WR_TLS_COMPAT_MATCHES_IP
/* Whether the certificate names the IP address: subjectAltName of type iPAddress, compared byte for byte. */
static bool names_address(const mbedtls_x509_crt *cert, const char *host) {
    unsigned char address[16];
    size_t len = 0;
    if (inet_pton(AF_INET, host, address) == 1)
        len = 4;
    else if (inet_pton(AF_INET6, host, address) == 1)
        len = 16;
    for (const mbedtls_x509_sequence *name = &cert->subject_alt_names; name != NULL; name = name->next) {
        int tag = name->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
        if (len > 0 && tag == 7 && name->buf.len == len && memcmp(name->buf.p, address, len) == 0)
            return true;
    }
    return false;
}
#endif

static void take_subject(char *into, size_t size, const mbedtls_x509_crt *cert) {
    if (mbedtls_x509_dn_gets(into, size, &cert->subject) < 0)
        memcpy(into, "unreadable name", sizeof "unreadable name");
}

/* Called for each certificate of the peer's chain, from the top down to its own. */
static int verify(void *user, mbedtls_x509_crt *cert, int depth, uint32_t *flags) {
    struct wr_tls_stream *stream = user;
    stream->resumed = false; /* a resumed session brings no certificates */
#if !WR_TLS_COMPAT_MATCHES_IP
    if (depth == 0 && stream->numeric_host && !names_address(cert, stream->host))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
#endif
    if (!stream->clock_trusted)
        *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_FUTURE | MBEDTLS_X509_BADCRL_FUTURE);
    struct wr_tls_verdict *verdict = &stream->verdict;
    if (depth == 0)
        take_subject(verdict->peer, sizeof verdict->peer, cert);
    if (*flags == 0)
        return 0;
    verdict->flags |= *flags;
    verdict->from = cert->valid_from;
    verdict->to = cert->valid_to;
    take_subject(verdict->culprit, sizeof verdict->culprit, cert);
    return 0;
}

static enum wr_result configure(struct wr_tls *tls, struct wr_tls_stream *stream, struct wr_error *err) {
    mbedtls_ssl_config *config = &stream->config;
    int result = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (result == 0) {
        wr_tls_compat_versions(config);
        mbedtls_ssl_conf_ciphersuites(config, ciphers);
        mbedtls_ssl_conf_rng(config, wr_tls_random_bytes, NULL);
        mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
        mbedtls_ssl_conf_verify(config, verify, stream);
        mbedtls_ssl_conf_ca_chain(config, &stream->keys.ca, tls->config.crl != NULL ? &stream->keys.crl : NULL);
        if (stream->has_cert)
            result = mbedtls_ssl_conf_own_cert(config, &stream->keys.cert, &stream->keys.key);
    }
    if (result == 0)
        result = mbedtls_ssl_setup(&stream->ssl, config);
    if (result == 0) /* NULL where our own callback compares the address; never left unset */
        result = mbedtls_ssl_set_hostname(&stream->ssl, stream->numeric_host && !WR_TLS_COMPAT_MATCHES_IP ? NULL : stream->host);
    if (result != 0) {
        char reason[128];
        mbedtls_strerror(result, reason, sizeof reason);
        return wr_error_set(err, WR_NO_MEMORY, "TLS: %s", reason);
    }
    mbedtls_ssl_set_bio(&stream->ssl, stream, bio_send, bio_recv, NULL);
    if (tls->has_session && strcmp(tls->session_host, stream->host) == 0)
        stream->resumed = mbedtls_ssl_set_session(&stream->ssl, &tls->session) == 0;
    return WR_OK;
}

/* Waits for the socket. WR_OK: it may go on. */
static enum wr_result wait_for(struct wr_tls_stream *stream, short events, int64_t deadline_boot_ns, int cancel_fd, struct wr_error *err) {
    for (;;) {
        int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
        int64_t left_ns = (deadline_boot_ns < stream->give_up_boot_ns ? deadline_boot_ns : stream->give_up_boot_ns) - now_ns;
        if (left_ns <= 0 && now_ns < deadline_boot_ns)
            return wr_tls_cause(stream, MBEDTLS_ERR_NET_SEND_FAILED, "", err);
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

static enum wr_result shake_hands(struct wr_tls *tls, struct wr_tls_stream *stream, int64_t deadline_boot_ns, int cancel_fd,
                                  struct wr_error *err) {
    int result;
    while ((result = mbedtls_ssl_handshake(&stream->ssl)) != 0) {
        if (wr_tls_compat_is_ticket(result))
            continue;
        if (result != MBEDTLS_ERR_SSL_WANT_READ && result != MBEDTLS_ERR_SSL_WANT_WRITE)
            return wr_tls_cause(stream, result, tls->config.ca != NULL ? tls->config.ca : WR_TLS_SYSTEM_CA, err);
        WR_TRY(wait_for(stream, result == MBEDTLS_ERR_SSL_WANT_READ ? POLLIN : POLLOUT, deadline_boot_ns, cancel_fd, err));
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

enum wr_result wr_tls_handshake(struct wr_tls *tls, int fd, const char *host, int64_t deadline_boot_ns, int cancel_fd,
                                struct wr_tls_stream **ret_stream, struct wr_error *err) {
    struct wr_tls_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    unsigned char address[16];
    stream->fd = fd;
    stream->handshaking = true;
    stream->give_up_boot_ns = WR_NEVER_NS;
    stream->clock_trusted = wr_clock_wall_trusted(tls->clock);
    stream->numeric_host = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    stream->has_cert = tls->config.cert != NULL;
    strncpy(stream->host, host, sizeof stream->host - 1);
    wr_tls_keys_init(&stream->keys);
    mbedtls_ssl_config_init(&stream->config);
    mbedtls_ssl_init(&stream->ssl);
    enum wr_result result = wr_tls_keys_load(tls, &stream->keys, err);
    if (result == WR_OK)
        result = configure(tls, stream, err);
    if (result == WR_OK) {
        result = shake_hands(tls, stream, deadline_boot_ns, cancel_fd, err);
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

enum wr_result wr_tls_read(struct wr_tls_stream *stream, void *into, size_t len, size_t *ret_n, struct wr_error *err) {
    int n;
    do {
        n = mbedtls_ssl_read(&stream->ssl, into, len);
    } while (wr_tls_compat_is_ticket(n));
    if (n > 0) {
        *ret_n = (size_t)n;
        return WR_OK;
    }
    if (n == MBEDTLS_ERR_SSL_WANT_READ)
        return WR_EMPTY;
    if (n == MBEDTLS_ERR_SSL_WANT_WRITE)
        return WR_FULL;
    return wr_tls_cause(stream, n == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : n, "", err);
}

enum wr_result wr_tls_write(struct wr_tls_stream *stream, const void *from, size_t len, size_t *ret_n, struct wr_error *err) {
    int n;
    do {
        n = mbedtls_ssl_write(&stream->ssl, from, len);
    } while (wr_tls_compat_is_ticket(n));
    if (n >= 0) {
        *ret_n = (size_t)n;
        return WR_OK;
    }
    if (n == MBEDTLS_ERR_SSL_WANT_READ)
        return WR_EMPTY;
    if (n == MBEDTLS_ERR_SSL_WANT_WRITE)
        return WR_FULL;
    return wr_tls_cause(stream, n, "", err);
}

void wr_tls_info(const struct wr_tls_stream *stream, struct wr_tls_info *ret_info) {
    ret_info->version = mbedtls_ssl_get_version(&stream->ssl);
    ret_info->cipher = mbedtls_ssl_get_ciphersuite(&stream->ssl);
    ret_info->resumed = stream->resumed;
}

void wr_tls_close(struct wr_tls_stream *stream) {
    if (stream == NULL)
        return;
    if (!stream->handshaking)
        (void)mbedtls_ssl_close_notify(&stream->ssl);
    mbedtls_ssl_free(&stream->ssl);
    mbedtls_ssl_config_free(&stream->config);
    wr_tls_keys_free(&stream->keys);
    explicit_bzero(stream, sizeof *stream);
    free(stream);
}
