/* The one bridge between mbedTLS 2.28 (Debian 12) and 3.6 (Debian 13, OpenWrt). Only transport/tls*.c, jws.c and identity.c include it.
 *
 * 2.28 has TLS 1.2 only, can still renegotiate, and cannot match IP addresses in certificates; 3.6 adds TLS 1.3, which needs PSA started
 * once and reports tickets as an error code. mbedTLS 4 is not supported.
 */
#ifndef WEIR_TRANSPORT_TLS_COMPAT_H
#define WEIR_TRANSPORT_TLS_COMPAT_H

#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <mbedtls/version.h>

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#define WR_TLS_FIELD(name) MBEDTLS_PRIVATE(name)
#else
#define WR_TLS_FIELD(name) name
#endif

typedef int wr_tls_random(void *user, unsigned char *into, size_t len);

static inline int wr_tls_compat_start(void) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
#else
    return 0;
#endif
}

static inline int wr_tls_compat_parse_key(mbedtls_pk_context *key, const unsigned char *pem, size_t len, const unsigned char *password,
                                          size_t password_len, wr_tls_random *random) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key, pem, len, password, password_len, random, NULL);
#else
    (void)random;
    return mbedtls_pk_parse_key(key, pem, len, password, password_len);
#endif
}

static inline int wr_tls_compat_check_pair(mbedtls_pk_context *public_key, mbedtls_pk_context *private_key, wr_tls_random *random) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(public_key, private_key, random, NULL);
#else
    (void)random;
    return mbedtls_pk_check_pair(public_key, private_key);
#endif
}

#if defined(MBEDTLS_X509_CSR_WRITE_C)
#include <mbedtls/x509_csr.h>

static inline int wr_tls_compat_request_extension(mbedtls_x509write_csr *request, const char *oid, size_t oid_len,
                                                  const unsigned char *value, size_t len) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_x509write_csr_set_extension(request, oid, oid_len, 0, value, len);
#else
    return mbedtls_x509write_csr_set_extension(request, oid, oid_len, value, len);
#endif
}
#endif

/* At least TLS 1.2, no renegotiation, session tickets. */
static inline void wr_tls_compat_versions(mbedtls_ssl_config *config) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#endif
}

/* A result of handshake, read or write that means "call again": a TLS 1.3 ticket that arrived. */
static inline int wr_tls_compat_is_ticket(int result) {
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    return result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
#else
    (void)result;
    return 0;
#endif
}

static inline int wr_tls_compat_handshake_over(mbedtls_ssl_context *ssl) {
    return ssl->WR_TLS_FIELD(state) == MBEDTLS_SSL_HANDSHAKE_OVER;
}

/* Whether the server's own certificate is to be sent next: on a resumed session that never comes. */
static inline int wr_tls_compat_at_server_certificate(mbedtls_ssl_context *ssl) {
    return ssl->WR_TLS_FIELD(state) == MBEDTLS_SSL_SERVER_CERTIFICATE;
}

/* A result of the first record that means that it was no record at all. */
static inline int wr_tls_compat_is_no_tls(int result) {
#if defined(MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO)
    if (result == MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO)
        return 1;
#endif
    return result == MBEDTLS_ERR_SSL_INVALID_RECORD || result == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
}

/* Past the server's first flight: it has spoken TLS, and whatever it refuses now is ours. */
static inline int wr_tls_compat_after_server_hello(mbedtls_ssl_context *ssl) {
    return ssl->WR_TLS_FIELD(state) > MBEDTLS_SSL_SERVER_HELLO;
}

static inline int wr_tls_compat_after_certificate(mbedtls_ssl_context *ssl) {
    return ssl->WR_TLS_FIELD(state) > MBEDTLS_SSL_CLIENT_CERTIFICATE;
}

/* The number of the fatal alert that the last read returned as an error. */
static inline int wr_tls_compat_alert(mbedtls_ssl_context *ssl) {
    return ssl->WR_TLS_FIELD(in_msg) != NULL ? ssl->WR_TLS_FIELD(in_msg)[1] : -1;
}

/* mbedTLS matches IP addresses in certificates by itself only from 3.5 on. */
#define WR_TLS_COMPAT_MATCHES_IP (MBEDTLS_VERSION_NUMBER >= 0x03050000)

#endif
