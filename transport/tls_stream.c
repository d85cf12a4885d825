/* What both sides of TLS have in common: the set of keys and rules, the socket below, reading, writing, the end. */
#include <arpa/inet.h>
#include <errno.h>
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

/* -- the set ---------------------------------------------------------------------------------------------------------------------------- */

static int configure(struct wr_tls_set *set, const struct wr_tls_config *files, int side) {
    mbedtls_ssl_config *config = &set->config;
    int result = mbedtls_ssl_config_defaults(config, side, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (result != 0)
        return result;
    wr_tls_compat_versions(config);
    mbedtls_ssl_conf_ciphersuites(config, ciphers);
    mbedtls_ssl_conf_rng(config, wr_tls_random_bytes, NULL);
    mbedtls_ssl_conf_authmode(config, files->ca != NULL ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
    if (files->ca != NULL)
        mbedtls_ssl_conf_ca_chain(config, &set->keys.ca, files->crl != NULL ? &set->keys.crl : NULL);
    set->alpn[0] = side == MBEDTLS_SSL_IS_CLIENT ? files->alpn : NULL;
    if (set->alpn[0] != NULL && (result = mbedtls_ssl_conf_alpn_protocols(config, set->alpn)) != 0)
        return result;
    return files->cert != NULL ? mbedtls_ssl_conf_own_cert(config, &set->keys.cert, &set->keys.key) : 0;
}

static enum wr_result failed(int result, struct wr_error *err) {
    char reason[128];
    mbedtls_strerror(result, reason, sizeof reason);
    return wr_error_set(err, WR_NO_MEMORY, "TLS: %s", reason);
}

enum wr_result wr_tls_set_new(struct wr_tls *tls, int side, struct wr_tls_set **ret_set, struct wr_error *err) {
    struct wr_tls_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    set->users = 1;
    set->ca_path = tls->config.ca;
    wr_tls_keys_init(&set->keys);
    mbedtls_ssl_config_init(&set->config);
    mbedtls_ssl_ticket_init(&set->tickets);
    enum wr_result result = wr_tls_keys_load(tls, &set->keys, err);
    int failure = 0;
    if (result == WR_OK && (failure = configure(set, &tls->config, side)) != 0)
        result = failed(failure, err);
    if (result != WR_OK) {
        wr_tls_set_release(set);
        return result;
    }
    *ret_set = set;
    return WR_OK;
}

void wr_tls_set_release(struct wr_tls_set *set) {
    if (set == NULL || --set->users > 0)
        return;
    mbedtls_ssl_ticket_free(&set->tickets);
    mbedtls_ssl_config_free(&set->config);
    wr_tls_keys_free(&set->keys);
    free(set);
}

/* -- the socket ------------------------------------------------------------------------------------------------------------------------- */

/* While shaking hands, a failed send counts as sent: the peer has closed, and the next read finds the alert that it wrote before. It has
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
    if (stream->ahead_len > 0) {
        const size_t n = len < stream->ahead_len ? len : stream->ahead_len;
        memcpy(into, stream->ahead, n);
        stream->ahead += n;
        stream->ahead_len -= n;
        return (int)n;
    }
    if (stream->ahead_only)
        return MBEDTLS_ERR_SSL_WANT_READ;
    ssize_t n = recv(stream->fd, into, len, 0);
    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_READ;
    stream->io_errno = errno;
    return MBEDTLS_ERR_NET_RECV_FAILED;
}

/* -- the peer's certificates -------------------------------------------------------------------------------------------------------------- */

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

/* Whether there are lists, and none of the CA that signed this one. mbedTLS lets it pass then, revoked or not. */
static bool lacks_crl(const struct wr_tls_set *set, const mbedtls_x509_crt *cert) {
    const mbedtls_x509_crl *crl = &set->keys.crl;
    if (crl->raw.p == NULL)
        return false;
    for (; crl != NULL; crl = crl->next)
        if (crl->issuer_raw.len == cert->issuer_raw.len && memcmp(crl->issuer_raw.p, cert->issuer_raw.p, crl->issuer_raw.len) == 0)
            return false;
    return true;
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
    if (depth == 0) {
        take_subject(verdict->peer, sizeof verdict->peer, cert);
        verdict->no_crl = lacks_crl(stream->set, cert);
        if (verdict->no_crl)
            *flags |= MBEDTLS_X509_BADCRL_NOT_TRUSTED;
    }
    if (*flags == 0)
        return 0;
    verdict->flags |= *flags;
    verdict->from = cert->valid_from;
    verdict->to = cert->valid_to;
    take_subject(verdict->culprit, sizeof verdict->culprit, cert);
    return 0;
}

/* -- the stream ------------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_tls_stream_new(struct wr_tls_set *set, int fd, const struct wr_clock *clock, struct wr_tls_stream **ret_stream,
                                 struct wr_error *err) {
    struct wr_tls_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    stream->fd = fd;
    stream->handshaking = true;
    stream->give_up_boot_ns = WR_NEVER_NS;
    stream->clock_trusted = wr_clock_wall_trusted(clock);
    stream->set = set;
    set->users++;
    mbedtls_ssl_init(&stream->ssl);
    int result = mbedtls_ssl_setup(&stream->ssl, &set->config);
    if (result != 0) {
        wr_tls_close(stream);
        return failed(result, err);
    }
    mbedtls_ssl_set_verify(&stream->ssl, verify, stream);
    mbedtls_ssl_set_bio(&stream->ssl, stream, bio_send, bio_recv, NULL);
    *ret_stream = stream;
    return WR_OK;
}

enum wr_result wr_tls_stream_result(struct wr_tls_stream *stream, int result, struct wr_error *err) {
    if (result == MBEDTLS_ERR_SSL_WANT_READ)
        return WR_EMPTY;
    if (result == MBEDTLS_ERR_SSL_WANT_WRITE)
        return WR_FULL;
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        stream->said_goodbye = true;
    return wr_tls_cause(stream, result, err);
}

enum wr_result wr_tls_read(struct wr_tls_stream *stream, void *into, size_t len, size_t *ret_n, struct wr_error *err) {
    int n;
    do {
        n = mbedtls_ssl_read(&stream->ssl, into, len);
    } while (wr_tls_compat_is_ticket(n));
    if (n <= 0)
        return wr_tls_stream_result(stream, n == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : n, err);
    *ret_n = (size_t)n;
    return WR_OK;
}

enum wr_result wr_tls_read_all(struct wr_tls_stream *stream, void *ahead, size_t ahead_len, void *into, size_t len, size_t *ret_n,
                               struct wr_error *err) {
    const size_t room = len > WR_TLS_RECORD_BYTES ? len - WR_TLS_RECORD_BYTES : 0;
    *ret_n = 0;
    ssize_t got = recv(stream->fd, ahead, ahead_len < room ? ahead_len : room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return WR_EMPTY;
    stream->ahead = ahead;
    stream->ahead_len = got > 0 ? (size_t)got : 0;
    stream->ahead_only = got > 0;
    if (got < 0)
        stream->io_errno = errno;
    size_t taken = 0;
    enum wr_result result = got < 0 ? wr_tls_cause(stream, MBEDTLS_ERR_NET_RECV_FAILED, err) : WR_OK;
    while (result == WR_OK) {
        size_t n = 0;
        result = wr_tls_read(stream, (char *)into + taken, len - taken, &n, err);
        taken += n;
    }
    if (result == WR_FULL) /* only a peer that makes us answer, and never listens, comes here; what is ahead could not wait */
        result = wr_error_set(err, WR_PROTOCOL, "the client does not read what it is told");
    stream->ahead = NULL;
    stream->ahead_len = 0;
    stream->ahead_only = false;
    *ret_n = taken;
    return result;
}

enum wr_result wr_tls_write(struct wr_tls_stream *stream, const void *from, size_t len, size_t *ret_n, struct wr_error *err) {
    int n;
    do {
        n = mbedtls_ssl_write(&stream->ssl, from, len);
    } while (wr_tls_compat_is_ticket(n));
    if (n < 0)
        return wr_tls_stream_result(stream, n, err);
    *ret_n = (size_t)n;
    return WR_OK;
}

bool wr_tls_said_goodbye(const struct wr_tls_stream *stream) {
    return stream->said_goodbye;
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
    wr_tls_set_release(stream->set);
    explicit_bzero(stream, sizeof *stream);
    free(stream);
}
