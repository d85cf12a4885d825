/* Dialling: name, TCP, TLS, with one deadline over all three and a way to cancel; and the stream that comes out of it.
 *
 * Promise: each failure names the step and the cause ("connect to broker:8883: Connection refused"). Sockets are non-blocking, close-on-exec,
 * with TCP_NODELAY, keepalive (15 s idle, 5 s apart, 3 probes) and TCP_USER_TIMEOUT, so that a black hole is noticed without help of the
 * protocol above.
 * Names: getaddrinfo cannot be cancelled and may block for half a minute. It runs in a thread of its own, which is given up when the
 * deadline or a cancel comes first: then it ends by itself as soon as the name service lets it go. At most WR_DIAL_LOOKUPS such threads
 * exist, and WR_DIAL_LOOKUPS_OF_HOST of one host; beyond that a dial fails at once. A numeric host needs no thread.
 *
 * Threads: wr_dial may block, from any thread; a stream belongs to one thread at a time. Ownership: wr_stream_close closes the socket.
 * Units: deadlines are CLOCK_BOOTTIME ns. Source: RFC 8305 only in so far as addresses are tried in the order of getaddrinfo.
 */
#ifndef WEIR_TRANSPORT_DIAL_H
#define WEIR_TRANSPORT_DIAL_H

#include <stdint.h>

#include "core/result.h"
#include "transport/tls.h"
#include "transport/url.h"
#include "transport/wire_bytes.h"

#define WR_DIAL_LOOKUPS 96
#define WR_DIAL_LOOKUPS_OF_HOST 4

struct wr_stream {
    int fd;
    struct wr_tls_stream *tls; /* NULL: plain TCP */
};

struct wr_dial {
    const struct wr_url *url;
    struct wr_tls *tls; /* needed where url->tls; not used elsewhere */
    int64_t deadline_boot_ns;
    int64_t user_timeout_ns; /* sent bytes unacknowledged for so long break the connection; 0: the system's default */
    int cancel_fd;           /* readable: give up with WR_CANCELED; -1: none */
    struct wr_wire_bytes *failed; /* what a handshake that failed has cost is added; NULL: nobody counts */
};

/* WR_NOT_FOUND (name), WR_IO (TCP), WR_TIMEOUT, WR_CANCELED, and those of wr_tls_handshake. */
WR_MUST_USE enum wr_result wr_dial(const struct wr_dial *dial, struct wr_stream *ret_stream, struct wr_error *err);

/* As wr_tls_read and wr_tls_write, for either kind: WR_OK, WR_EMPTY (wait until readable), WR_FULL (until writable), WR_CLOSED, failures. */
WR_MUST_USE enum wr_result wr_stream_read(struct wr_stream *stream, void *into, size_t len, size_t *ret_n, struct wr_error *err);
WR_MUST_USE enum wr_result wr_stream_write(struct wr_stream *stream, const void *from, size_t len, size_t *ret_n, struct wr_error *err);
/* Says goodbye where TLS does, without waiting. Idempotent. */
void wr_stream_close(struct wr_stream *stream);

/* How many look-ups are under way, given up ones included; for tests and reports. */
unsigned wr_dial_lookups(void);

#endif
