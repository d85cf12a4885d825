/* Why a handshake failed, in one sentence that a technician can act on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transport/tls_private.h"

/* Alerts that a peer may send, by number (RFC 5246 7.2, RFC 8446 6). */
static const struct {
    int number;
    const char *name;
    bool certificate; /* it is about our certificate */
} alerts[] = {
    {0, "close_notify", false},
    {10, "unexpected_message", false},
    {20, "bad_record_mac", false},
    {40, "handshake_failure", false},
    {42, "bad_certificate", true},
    {43, "unsupported_certificate", true},
    {44, "certificate_revoked", true},
    {45, "certificate_expired", true},
    {46, "certificate_unknown", true},
    {47, "illegal_parameter", false},
    {48, "unknown_ca", true},
    {49, "access_denied", true},
    {50, "decode_error", false},
    {51, "decrypt_error", true},
    {70, "protocol_version", false},
    {71, "insufficient_security", false},
    {80, "internal_error", false},
    {112, "unrecognized_name", false},
    {116, "certificate_required", true},
    {120, "no_application_protocol", false},
};

/* The word for the peer: a broker is the only server that we dial. */
static const char *peer_word(const struct wr_tls_stream *stream) {
    return stream->server ? "client" : "broker";
}

static enum wr_result alert_cause(struct wr_tls_stream *stream, struct wr_error *err) {
    int number = wr_tls_compat_alert(&stream->ssl);
    const char *name = "unknown";
    bool certificate = false;
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
        if (alerts[i].number == number) {
            name = alerts[i].name;
            certificate = alerts[i].certificate;
        }
    }
    bool after = !stream->handshaking || wr_tls_compat_after_certificate(&stream->ssl);
    if (!stream->has_cert && (certificate || (number == 40 && after)))
        return wr_error_set(err, WR_DENIED, "the broker requires a client certificate, and none is configured (TLS alert %d, %s)", number,
                            name);
    if (certificate)
        return wr_error_set(err, WR_DENIED, "the %s refused our certificate: %s (TLS alert %d)", peer_word(stream), name, number);
    if (number == 40 || number == 70 || number == 71)
        return wr_error_set(err, WR_PROTOCOL, "the %s accepts no TLS version or cipher that is offered (TLS alert %d, %s)",
                            peer_word(stream), number, name);
    if (number == 120)
        return wr_error_set(err, WR_PROTOCOL, "the %s does not speak the protocol that `alpn` names (TLS alert %d, %s)", peer_word(stream),
                            number, name);
    return wr_error_set(err, WR_PROTOCOL, "the %s sent TLS alert %d (%s)", peer_word(stream), number, name);
}

#define PURPOSE ((uint32_t)(MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE))

/* What mbedTLS looks at itself, after all certificates of the chain have been shown to us. */
static uint32_t purpose_flags(const struct wr_tls_stream *stream) {
    const uint32_t flags = mbedtls_ssl_get_verify_result(&stream->ssl);
    return flags == UINT32_MAX ? 0 : flags & PURPOSE; /* all bits: nothing was verified yet */
}

static void date(char text[16], const mbedtls_x509_time *time) {
    (void)snprintf(text, 16, "%04d-%02d-%02d", time->year % 10000, time->mon % 100, time->day % 100);
}

static enum wr_result verify_cause(struct wr_tls_stream *stream, struct wr_error *err) {
    const struct wr_tls_verdict *verdict = &stream->verdict;
    const char *who = peer_word(stream);
    char peer[160];
    char subject[160];
    char day[16];
    wr_error_escape(peer, sizeof peer, verdict->peer, strlen(verdict->peer));
    wr_error_escape(subject, sizeof subject, verdict->culprit, strlen(verdict->culprit));
    if (verdict->flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) is not signed by a CA in %s", who, peer, stream->set->ca_path);
    if (verdict->flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) is not for host '%s'", who, peer, stream->host);
    if (verdict->flags & MBEDTLS_X509_BADCERT_EXPIRED) {
        date(day, &verdict->to);
        return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) has expired on %s", who, subject, day);
    }
    if (verdict->flags & MBEDTLS_X509_BADCERT_FUTURE) {
        date(day, &verdict->from);
        return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) is not valid before %s: is the clock right?", who, subject, day);
    }
    if (verdict->flags & MBEDTLS_X509_BADCERT_REVOKED)
        return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) is revoked", who, subject);
    if (verdict->flags & MBEDTLS_X509_BADCRL_EXPIRED)
        return wr_error_set(err, WR_DENIED, "the CRL for the %s's certificate has expired", who);
    if (verdict->no_crl)
        return wr_error_set(err, WR_DENIED, "the CRL has no list of the CA that signed the %s's certificate (%s)", who, peer);
    if (verdict->flags & PURPOSE)
        return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) is for another purpose (keyUsage, extendedKeyUsage)", who, peer);
    char reason[128];
    int len = mbedtls_x509_crt_verify_info(reason, sizeof reason, "", verdict->flags);
    return wr_error_set(err, WR_DENIED, "the %s's certificate (%s) is refused: %.*s", who, subject,
                        len > 0 ? (int)strcspn(reason, "\n") : 7, len > 0 ? reason : "unknown");
}

/* The client went away while we shook hands. */
static enum wr_result client_gone(struct wr_tls_stream *stream, struct wr_error *err) {
    if (!wr_tls_compat_after_server_hello(&stream->ssl))
        return wr_error_set(err, WR_PROTOCOL, "the client closed the connection before it had said hello in TLS");
    if (!wr_tls_compat_after_certificate(&stream->ssl))
        return wr_error_set(err, WR_DENIED,
                            "the client closed the connection after our certificate, without saying why: does it trust it?");
    return wr_error_set(err, WR_IO, "the client closed the connection during the TLS handshake");
}

static enum wr_result closed_cause(struct wr_tls_stream *stream, struct wr_error *err) {
    const char *who = peer_word(stream);
    if (!stream->handshaking) {
        if (stream->io_errno != 0)
            return wr_error_set(err, WR_IO, "the %s's connection: %s", who, strerror(stream->io_errno));
        return wr_error_set(err, WR_CLOSED, "the %s closed the connection", who);
    }
    if (stream->io_errno != 0 && stream->io_errno != ECONNRESET && stream->io_errno != EPIPE)
        return wr_error_set(err, WR_IO, "during the TLS handshake: %s", strerror(stream->io_errno));
    if (stream->server)
        return client_gone(stream, err);
    if (!wr_tls_compat_after_server_hello(&stream->ssl))
        return wr_error_set(err, WR_PROTOCOL, "the peer closed the connection instead of answering in TLS: is this a TLS port?");
    if (wr_tls_compat_after_certificate(&stream->ssl))
        return wr_error_set(err, WR_DENIED, "the broker closed the connection after our %s, without saying why",
                            stream->has_cert ? "certificate" : "answer without a client certificate");
    return wr_error_set(err, WR_IO, "the broker closed the connection during the TLS handshake");
}

/* What is left: mbedTLS says it best. */
static enum wr_result other_cause(struct wr_tls_stream *stream, int result, struct wr_error *err) {
    char reason[128];
    mbedtls_strerror(result, reason, sizeof reason);
    if (!stream->handshaking || wr_tls_compat_after_server_hello(&stream->ssl))
        return wr_error_set(err, WR_PROTOCOL, "TLS: %s", reason);
    if (stream->server && wr_tls_compat_is_no_tls(result))
        return wr_error_set(err, WR_PROTOCOL, "the client does not speak TLS: this is a TLS port (%s)", reason);
    if (stream->server)
        return wr_error_set(err, WR_PROTOCOL, "no TLS version or cipher in common with the client (%s)", reason);
    return wr_error_set(err, WR_PROTOCOL, "the peer does not answer in TLS 1.2 or newer: is this a TLS port? (%s)", reason);
}

enum wr_result wr_tls_cause(struct wr_tls_stream *stream, int result, struct wr_error *err) {
    if (stream->handshaking)
        stream->verdict.flags |= purpose_flags(stream);
    if (stream->verdict.flags != 0 && stream->handshaking)
        return verify_cause(stream, err);
    switch (result) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return alert_cause(stream, err);
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_NET_RECV_FAILED:
    case MBEDTLS_ERR_NET_SEND_FAILED:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return closed_cause(stream, err);
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return wr_error_set(err, WR_DENIED, "the client shows no certificate, and one is required");
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    default:
        return other_cause(stream, result, err);
    }
}
