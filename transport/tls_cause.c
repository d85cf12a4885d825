/* Why a handshake failed, in one sentence that a technician can act on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "transport/tls_private.h"

/* Alerts that a broker may send, by number (RFC 5246 7.2, RFC 8446 6). */
static const struct {
    int number;
    const char *name;
    bool certificate; /* it is about our certificate */
} alerts[] = {
    {0, "close_notify", false},           {10, "unexpected_message", false}, {20, "bad_record_mac", false},
    {40, "handshake_failure", false},     {42, "bad_certificate", true},     {43, "unsupported_certificate", true},
    {44, "certificate_revoked", true},    {45, "certificate_expired", true}, {46, "certificate_unknown", true},
    {47, "illegal_parameter", false},     {48, "unknown_ca", true},          {49, "access_denied", true},
    {50, "decode_error", false},          {51, "decrypt_error", true},       {70, "protocol_version", false},
    {71, "insufficient_security", false}, {80, "internal_error", false},     {112, "unrecognized_name", false},
    {116, "certificate_required", true},
};

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
        return wr_error_set(err, WR_DENIED, "the broker refused our certificate: %s (TLS alert %d)", name, number);
    if (number == 40 || number == 70 || number == 71)
        return wr_error_set(err, WR_PROTOCOL, "the broker accepts no TLS version or cipher that is offered (TLS alert %d, %s)", number,
                            name);
    return wr_error_set(err, WR_PROTOCOL, "the broker sent TLS alert %d (%s)", number, name);
}

static void date(char text[16], const mbedtls_x509_time *time) {
    (void)snprintf(text, 16, "%04d-%02d-%02d", time->year % 10000, time->mon % 100, time->day % 100);
}

static enum wr_result verify_cause(struct wr_tls_stream *stream, const char *ca_path, struct wr_error *err) {
    const struct wr_tls_verdict *verdict = &stream->verdict;
    char peer[160];
    char subject[160];
    char day[16];
    wr_error_escape(peer, sizeof peer, verdict->peer, strlen(verdict->peer));
    wr_error_escape(subject, sizeof subject, verdict->culprit, strlen(verdict->culprit));
    if (verdict->flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return wr_error_set(err, WR_DENIED, "the broker's certificate (%s) is not signed by a CA in %s", peer, ca_path);
    if (verdict->flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        return wr_error_set(err, WR_DENIED, "the broker's certificate (%s) is not for host '%s'", peer, stream->host);
    if (verdict->flags & MBEDTLS_X509_BADCERT_EXPIRED) {
        date(day, &verdict->to);
        return wr_error_set(err, WR_DENIED, "the broker's certificate (%s) has expired on %s", subject, day);
    }
    if (verdict->flags & MBEDTLS_X509_BADCERT_FUTURE) {
        date(day, &verdict->from);
        return wr_error_set(err, WR_DENIED, "the broker's certificate (%s) is not valid before %s: is the clock right?", subject, day);
    }
    if (verdict->flags & MBEDTLS_X509_BADCERT_REVOKED)
        return wr_error_set(err, WR_DENIED, "the broker's certificate (%s) is revoked", subject);
    if (verdict->flags & MBEDTLS_X509_BADCRL_EXPIRED)
        return wr_error_set(err, WR_DENIED, "the CRL for the broker's certificate has expired");
    char reason[128];
    int len = mbedtls_x509_crt_verify_info(reason, sizeof reason, "", verdict->flags);
    return wr_error_set(err, WR_DENIED, "the broker's certificate (%s) is refused: %.*s", subject, len > 0 ? (int)strcspn(reason, "\n") : 7,
                        len > 0 ? reason : "unknown");
}

static enum wr_result closed_cause(struct wr_tls_stream *stream, struct wr_error *err) {
    if (!stream->handshaking) {
        if (stream->io_errno != 0)
            return wr_error_set(err, WR_IO, "the broker's connection: %s", strerror(stream->io_errno));
        return wr_error_set(err, WR_CLOSED, "the broker closed the connection");
    }
    if (stream->io_errno != 0 && stream->io_errno != ECONNRESET && stream->io_errno != EPIPE)
        return wr_error_set(err, WR_IO, "during the TLS handshake: %s", strerror(stream->io_errno));
    if (!wr_tls_compat_after_server_hello(&stream->ssl))
        return wr_error_set(err, WR_PROTOCOL, "the peer closed the connection instead of answering in TLS: is this a TLS port?");
    if (wr_tls_compat_after_certificate(&stream->ssl))
        return wr_error_set(err, WR_DENIED, "the broker closed the connection after our %s, without saying why",
                            stream->has_cert ? "certificate" : "answer without a client certificate");
    return wr_error_set(err, WR_IO, "the broker closed the connection during the TLS handshake");
}

enum wr_result wr_tls_cause(struct wr_tls_stream *stream, int result, const char *ca_path, struct wr_error *err) {
    if (stream->verdict.flags != 0 && stream->handshaking)
        return verify_cause(stream, ca_path, err);
    switch (result) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return alert_cause(stream, err);
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_NET_CONN_RESET:
    case MBEDTLS_ERR_NET_RECV_FAILED:
    case MBEDTLS_ERR_NET_SEND_FAILED:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return closed_cause(stream, err);
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    default:
        break;
    }
    char reason[128];
    mbedtls_strerror(result, reason, sizeof reason);
    if (stream->handshaking && !wr_tls_compat_after_server_hello(&stream->ssl))
        return wr_error_set(err, WR_PROTOCOL, "the peer does not answer in TLS 1.2 or newer: is this a TLS port? (%s)", reason);
    return wr_error_set(err, WR_PROTOCOL, "TLS: %s", reason);
}
