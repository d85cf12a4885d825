/* TLS as a client: credentials from files, one verified stream a connection, and a precise cause when there is none. The streams are the same
 * for the server's side, transport/tls_server.h.
 *
 * Promise: the peer's certificate chain is always verified against the CA, and its name or IP address against the host that was dialled;
 * there is no switch that turns this off. TLS 1.2 with ECDHE and AEAD only, ChaCha20 first (TLS 1.3 too where mbedTLS is 3.6); no renegotiation.
 * The files are read again before each connect; when they are unreadable, do not parse or do not match each other (a rotation half done), the
 * last good set stays in use and wr_tls_load_error tells why. Secrets stay in memory only in that set, are wiped when it goes, and never
 * appear in a text.
 * Where the key is missing or of another certificate, and one beside it, under its name with WR_TLS_NEXT_KEY behind it, is the right one, then that is used: so a
 * change of both cannot be interrupted at a bad moment, if the certificate goes first (`weir enroll`).
 * Session tickets are kept in memory only, per credentials and host; a changed file drops them. On a resumed session the peer's chain is not
 * verified a second time: that is how tickets work, and why they never outlive the process or the files.
 * "Not yet valid" is tolerated only while the wall clock is untrusted (a gateway without a battery clock in 1970); "expired" never.
 *
 * Threads: a wr_tls serves one connect at a time. A stream belongs to one thread at a time; it does not refer to its wr_tls after the
 * handshake. Ownership: the stream does not own the descriptor. Limits: a file at most WR_TLS_FILE_BYTES.
 * Errors name the file and the cause, or the peer and the cause: wrong CA, wrong host, expired, not yet valid, revoked, client certificate
 * refused or missing, no TLS on that port, no common cipher, timed out.
 * Source: RFC 5246, RFC 7301, RFC 8446, RFC 5280, RFC 6125 (IP addresses: subjectAltName only).
 */
#ifndef WEIR_TRANSPORT_TLS_H
#define WEIR_TRANSPORT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

#define WR_TLS_FILE_BYTES (1 << 20)
#define WR_TLS_RECORD_BYTES 16384 /* of data, at most */
#define WR_TLS_NEXT_KEY ".new"
#define WR_TLS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* Paths; the strings must outlive the wr_tls. */
struct wr_tls_config {
    const char *ca;                /* PEM; NULL: WR_TLS_SYSTEM_CA */
    const char *cert;              /* PEM, own chain; NULL: no client certificate. cert and key go together */
    const char *key;               /* PEM */
    const char *key_password_file; /* NULL: the key is not encrypted. One trailing newline is ignored */
    const char *crl;               /* PEM; NULL: none */
    const char *alpn;              /* as a client: the protocol to ask for (RFC 7301), 1 to 255 bytes; NULL: none. A server that knows nothing of it ignores it */
};

struct wr_tls;
struct wr_tls_stream;

/* Allocates only; the files are read at each handshake. WR_INVALID: cert without key or the reverse. */
WR_MUST_USE enum wr_result wr_tls_new(const struct wr_tls_config *config, const struct wr_clock *clock, struct wr_tls **ret_tls,
                                      struct wr_error *err);
/* Reads and parses the files now: for `weir check`. */
WR_MUST_USE enum wr_result wr_tls_load(struct wr_tls *tls, struct wr_error *err);
/* Why the last load failed although the connect went on with the last good set; "" when it did not. */
const char *wr_tls_load_error(const struct wr_tls *tls);
/* Wall time at which the own certificate expires; WR_NEVER_NS without one, or before the first good load. */
int64_t wr_tls_expires_wall_ns(const struct wr_tls *tls);
void wr_tls_free(struct wr_tls *tls);

/* The handshake on a connected, non-blocking socket. cancel_fd (or -1) becoming readable ends it with WR_CANCELED.
 * Results: WR_DENIED when a certificate is refused by either side, WR_PROTOCOL when the peer does not speak (our) TLS, WR_TIMEOUT, WR_CANCELED,
 * WR_IO, WR_NOT_FOUND / WR_INVALID for the files. */
WR_MUST_USE enum wr_result wr_tls_handshake(struct wr_tls *tls, int fd, const char *host, int64_t deadline_boot_ns, int cancel_fd,
                                            struct wr_tls_stream **ret_stream, struct wr_error *err);

/* Never block. WR_OK with *ret_n >= 1; WR_EMPTY: wait until the socket is readable; WR_FULL: until it is writable (call write again
 * with the same bytes); WR_CLOSED: the peer ended the stream; WR_IO, WR_PROTOCOL, WR_DENIED (an alert) with a cause. */
WR_MUST_USE enum wr_result wr_tls_read(struct wr_tls_stream *stream, void *into, size_t len, size_t *ret_n, struct wr_error *err);
WR_MUST_USE enum wr_result wr_tls_write(struct wr_tls_stream *stream, const void *from, size_t len, size_t *ret_n, struct wr_error *err);

/* For loops that sleep on the socket: one recv of at most ahead_len bytes into `ahead`, scratch memory of the caller that is free again
 * afterwards, and what it completes, decrypted, into `into`. Nothing readable stays behind in the stream, where the socket would not tell of it.
 * len must be above WR_TLS_RECORD_BYTES; better WR_TLS_RECORD_BYTES + ahead_len. *ret_n bytes came in any case, also before a failure; WR_EMPTY: and now
 * wait until the socket is readable; otherwise as wr_tls_read. */
WR_MUST_USE enum wr_result wr_tls_read_all(struct wr_tls_stream *stream, void *ahead, size_t ahead_len, void *into, size_t len,
                                           size_t *ret_n, struct wr_error *err);
/* After WR_CLOSED: the peer said that this is the end; else the connection was cut, and the last bytes may be missing. */
bool wr_tls_said_goodbye(const struct wr_tls_stream *stream);

struct wr_tls_info {
    const char *version; /* "TLSv1.2" */
    const char *cipher;
    bool resumed;
};
void wr_tls_info(const struct wr_tls_stream *stream, struct wr_tls_info *ret_info);

/* Sends close_notify if it can without waiting, and frees. NULL is fine. */
void wr_tls_close(struct wr_tls_stream *stream);

#endif
