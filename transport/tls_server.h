/* TLS as a server: one set of files for all connections of a listener, handshakes in steps that never wait.
 *
 * Promise: TLS 1.2 with ECDHE and AEAD only, ChaCha20 first (TLS 1.3 too where mbedTLS is 3.6), no renegotiation, no ALPN. With `ca` every client
 * must show a certificate that chains to it and is not in the `crl`; without it clients stay anonymous, and only we are verified by them.
 * A step of a handshake does one piece of work (a signature, a key exchange) and comes back, so that a loop can serve others between two.
 * The files are looked at again by wr_tls_server_refresh; when they are unreadable, do not parse or do not match each other (a rotation half
 * done), the last good set stays in use. Connections keep the set that they began with.
 * Sessions are resumed by tickets, whose keys live in memory only, change with the files, and make a ticket good for WR_TLS_SERVER_TICKET_S at most;
 * for so long a client that resumes is not checked again against the dates of its certificate.
 * "Not yet valid" is tolerated only while the wall clock is untrusted; "expired" never.
 *
 * Threads: one at a time, and the streams of a server on the same thread. Ownership: a stream may outlive its server; it does not own the
 * descriptor. Limits: WR_TLS_SERVER_STREAM_BYTES a stream (mbedTLS as Debian builds it has two buffers of a whole record in each, for good), and
 * WR_TLS_SERVER_HANDSHAKE_BYTES more while it shakes hands.
 * Errors name the file and the cause, or the client's fault: no TLS, nothing in common, certificate missing, of another CA, expired, revoked.
 * Source: RFC 5246, RFC 8446, RFC 5280, RFC 5077 (tickets).
 */
#ifndef WEIR_TRANSPORT_TLS_SERVER_H
#define WEIR_TRANSPORT_TLS_SERVER_H

#include "transport/tls.h"

#define WR_TLS_SERVER_STREAM_BYTES (40 << 10)
#define WR_TLS_SERVER_HANDSHAKE_BYTES (16 << 10)
#define WR_TLS_SERVER_BYTES (32 << 10) /* the files, parsed; two sets while they change */
#define WR_TLS_SERVER_TICKET_S 3600
#define WR_TLS_SERVER_LOOK_NS WR_NS_PER_S

struct wr_tls_server;

/* cert and key are needed; ca NULL: clients need no certificate. Allocates only. WR_INVALID: cert or key is missing. */
WR_MUST_USE enum wr_result wr_tls_server_new(const struct wr_tls_config *config, const struct wr_clock *clock,
                                             struct wr_tls_server **ret_server, struct wr_error *err);
/* Before an accept: reads the files if there is no good set yet, or if they are others now; at most once in WR_TLS_SERVER_LOOK_NS. *ret_changed: new
 * streams use a new set. A failure says why there is none, or why the last good one stays in use; the same one is told once. */
WR_MUST_USE enum wr_result wr_tls_server_refresh(struct wr_tls_server *server, bool *ret_changed, struct wr_error *err);
/* Whether there is a good set of files. */
bool wr_tls_server_is_ready(const struct wr_tls_server *server);
/* Wall time at which the certificate in use expires; WR_NEVER_NS while there is none. */
int64_t wr_tls_server_expires_wall_ns(const struct wr_tls_server *server);
/* NULL is fine. */
void wr_tls_server_free(struct wr_tls_server *server);

/* The stream of an accepted, non-blocking socket. Allocates, reads and sends nothing yet. WR_NOT_FOUND: there is no good set of files yet. */
WR_MUST_USE enum wr_result wr_tls_accept(struct wr_tls_server *server, int fd, struct wr_tls_stream **ret_stream, struct wr_error *err);
/* The next step of its handshake. WR_OK: done, the stream can be used; WR_BUSY: there is more to do at once; WR_EMPTY: call again when the socket
 * is readable, WR_FULL: when it is writable; a failure has its cause, was told to the client, and leaves nothing but wr_tls_close. */
WR_MUST_USE enum wr_result wr_tls_accept_step(struct wr_tls_stream *stream, struct wr_error *err);

#endif
