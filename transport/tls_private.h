/* Shared by the files of TLS: tls_files.c (credentials), tls_stream.c (streams of either side), tls.c (the client's handshake), tls_server.c
 * (the server's), tls_cause.c (why a handshake failed). Nobody else includes it.
 */
#ifndef WEIR_TRANSPORT_TLS_PRIVATE_H
#define WEIR_TRANSPORT_TLS_PRIVATE_H

#include "transport/credential.h"
#include "transport/tls.h"
#include "transport/tls_compat.h"

#include "transport/url.h"

/* The bytes of the files, as they were when they last parsed and matched. */
struct wr_tls_files {
    struct wr_credential ca;
    struct wr_credential cert;
    struct wr_credential key;
    struct wr_credential password;
    struct wr_credential crl;
};

/* The same, parsed. */
struct wr_tls_keys {
    mbedtls_x509_crt ca;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
    mbedtls_x509_crl crl;
};

struct wr_tls {
    struct wr_tls_config config; /* ca is NULL on the side of a server that asks for no certificates, and there only */
    bool system_ca;              /* a bundle that may hold what mbedTLS cannot read */
    const struct wr_clock *clock;
    bool good; /* files holds a set that works */
    struct wr_tls_files files;
    int64_t expires_wall_ns;
    char load_error[WR_ERROR_TEXT_BYTES];
    bool has_session;
    char session_host[WR_URL_HOST_BYTES];
    mbedtls_ssl_session session;
};

/* One state of the files, ready for use: the client's stream has its own, those of a server share the newest. */
struct wr_tls_set {
    unsigned users; /* of one thread */
    const char *ca_path;
    struct wr_tls_keys keys;
    mbedtls_ssl_config config;
    mbedtls_ssl_ticket_context tickets; /* of a server */
    const char *alpn[2];                /* of a client; mbedTLS keeps the pointer */
};

/* What the verification of the peer's chain found. */
struct wr_tls_verdict {
    uint32_t flags;    /* all that was wrong, MBEDTLS_X509_BADCERT_* */
    bool no_crl;       /* there is a CRL, and none for its own certificate */
    char peer[128];    /* subject of the peer's own certificate */
    char culprit[128]; /* subject of the certificate in the chain that was found bad last */
    mbedtls_x509_time from;
    mbedtls_x509_time to;
};

struct wr_tls_stream {
    int fd;
    int io_errno;
    int64_t give_up_boot_ns; /* a send failed during the handshake: no waiting beyond this */
    bool server;             /* we are */
    bool handshaking;
    bool resumed;
    bool clock_trusted;
    bool numeric_host;
    bool has_cert;
    bool said_goodbye; /* the peer, by close_notify */
    char host[WR_URL_HOST_BYTES];
    struct wr_tls_verdict verdict;
    const uint8_t *ahead; /* bytes that one recv brought, and that mbedTLS has not taken yet: only during wr_tls_read_all */
    size_t ahead_len;
    bool ahead_only; /* no further recv now */
    struct wr_tls_set *set;
    mbedtls_ssl_context ssl;
};

/* The kernel's random numbers; fails instead of waiting while they are not ready. */
wr_tls_random wr_tls_random_bytes;

/* WR_NEVER_NS for what lies beyond 2262. */
int64_t wr_tls_time_ns(const mbedtls_x509_time *time);
void wr_tls_keys_init(struct wr_tls_keys *keys);
void wr_tls_keys_free(struct wr_tls_keys *keys);
/* Reads the files into keys, or falls back to the last good set. */
WR_MUST_USE enum wr_result wr_tls_keys_load(struct wr_tls *tls, struct wr_tls_keys *keys, struct wr_error *err);
void wr_tls_drop_session(struct wr_tls *tls);

/* Loads the files; versions, ciphers and keys of the given side (MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_IS_SERVER). One user. */
WR_MUST_USE enum wr_result wr_tls_set_new(struct wr_tls *tls, int side, struct wr_tls_set **ret_set, struct wr_error *err);
/* One user less; frees after the last. NULL is fine. */
void wr_tls_set_release(struct wr_tls_set *set);

/* A stream that uses the set (and becomes one of its users) on this socket; the handshake is still to come. */
WR_MUST_USE enum wr_result wr_tls_stream_new(struct wr_tls_set *set, int fd, const struct wr_clock *clock,
                                             struct wr_tls_stream **ret_stream, struct wr_error *err);
/* mbedTLS said that there is nothing to do but to wait: WR_EMPTY or WR_FULL; any other failure with its cause. */
WR_MUST_USE enum wr_result wr_tls_stream_result(struct wr_tls_stream *stream, int result, struct wr_error *err);

/* Sets err to why mbedTLS returned `result` on this stream. */
enum wr_result wr_tls_cause(struct wr_tls_stream *stream, int result, struct wr_error *err);

#endif
