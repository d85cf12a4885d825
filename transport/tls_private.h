/* Shared by tls.c (streams), tls_files.c (credentials) and tls_cause.c (why a handshake failed). Nobody else includes it. */
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
    struct wr_tls_config config;
    const struct wr_clock *clock;
    bool good; /* files holds a set that works */
    struct wr_tls_files files;
    int64_t expires_wall_ns;
    char load_error[WR_ERROR_TEXT_BYTES];
    bool has_session;
    char session_host[WR_URL_HOST_BYTES];
    mbedtls_ssl_session session;
};

/* What the verification of the peer's chain found. */
struct wr_tls_verdict {
    uint32_t flags; /* all that was wrong, MBEDTLS_X509_BADCERT_* */
    char peer[128];    /* subject of the peer's own certificate */
    char culprit[128]; /* subject of the certificate in the chain that was found bad last */
    mbedtls_x509_time from;
    mbedtls_x509_time to;
};

struct wr_tls_stream {
    int fd;
    int io_errno;
    int64_t give_up_boot_ns; /* a send failed during the handshake: no waiting beyond this */
    bool handshaking;
    bool resumed;
    bool clock_trusted;
    bool numeric_host;
    bool has_cert;
    char host[WR_URL_HOST_BYTES];
    struct wr_tls_verdict verdict;
    struct wr_tls_keys keys;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
};

/* The kernel's random numbers; fails instead of waiting while they are not ready. */
wr_tls_random wr_tls_random_bytes;

void wr_tls_keys_init(struct wr_tls_keys *keys);
void wr_tls_keys_free(struct wr_tls_keys *keys);
/* Reads the files into keys, or falls back to the last good set. */
WR_MUST_USE enum wr_result wr_tls_keys_load(struct wr_tls *tls, struct wr_tls_keys *keys, struct wr_error *err);
void wr_tls_drop_session(struct wr_tls *tls);

/* Sets err to why mbedTLS returned `result` on this stream. ca_path is named where the CA is to blame. */
enum wr_result wr_tls_cause(struct wr_tls_stream *stream, int result, const char *ca_path, struct wr_error *err);

#endif
