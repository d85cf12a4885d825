/* The relay: paho talks plain TCP to 127.0.0.1, the relay carries it over a stream that is up already.
 *
 * Promise: the listener is ours alone and lives for one connection: a socket is let in only if both ends of it are descriptors of this very
 * process (the full four-tuple is compared: getsockname alone can coincide between processes). A stranger is closed at once and cannot
 * use up the place. After the right one came, the listener is closed; a port is never used twice. A stranger can delay us, not read or inject.
 * Bytes are carried in order, both ways, through one bounded buffer each (16 KB, one TLS record); a side that does not read stops the other.
 * When either end goes, what is still on its way to the other is delivered first (for at most a second), then both are closed, and the cause
 * is on record before paho can notice.
 *
 * Gated, for a client that receives: PUBACKs are held back until they are acknowledged (transport/ack_gate.h), and the reading from the broker
 * can be paused; what is on its way to the client meanwhile is at most about 100 KB (small socket buffers).
 *
 * Threads: one of its own between open and close. wr_relay_open, acknowledge, pause, end, stats from any thread; close once, from any other thread than its own.
 * Ownership: takes the stream. Errors: WR_IO, WR_NO_MEMORY at open; the end's cause by wr_relay_end.
 */
#ifndef WEIR_TRANSPORT_RELAY_H
#define WEIR_TRANSPORT_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/result.h"
#include "transport/dial.h"

#define WR_RELAY_BYTES 16384
#define WR_RELAY_FIRST_BYTES 512

struct wr_relay;

struct wr_relay_stats {
    uint64_t sent_bytes; /* to the broker, before TLS */
    uint64_t received_bytes;
    struct wr_wire_bytes wire;
    uint32_t strangers;    /* turned away */
    uint64_t acknowledged; /* gated: PUBACKs that left */
    uint64_t pauses;
    bool paused; /* now */
};

/* For a client that receives. */
struct wr_relay_gated {
    size_t packet_max_bytes; /* a broker that sends a longer packet is cut off: paho would take it into memory whole */
    int64_t pause_max_ns;    /* half a keepalive */
};

struct wr_relay_ack {
    uint64_t number; /* of the QoS 1 message on this connection, from 0 */
    uint16_t packet_id;
};

/* Waits for our own client until accept_deadline_boot_ns. Takes *stream also on failure. */
WR_MUST_USE enum wr_result wr_relay_open(struct wr_stream *stream, int64_t accept_deadline_boot_ns, struct wr_relay **ret_relay,
                                         uint16_t *ret_port, struct wr_error *err);

/* The same, gated; NULL: not. */
WR_MUST_USE enum wr_result wr_relay_open_gated(struct wr_stream *stream, int64_t accept_deadline_boot_ns,
                                               const struct wr_relay_gated *gated, struct wr_relay **ret_relay, uint16_t *ret_port,
                                               struct wr_error *err);
/* These messages are safe: their PUBACKs may go, in the order in which the messages came. */
void wr_relay_acknowledge(struct wr_relay *relay, const struct wr_relay_ack *acks, size_t n);
/* Whether to stop reading from the broker, for a while. */
void wr_relay_pause(struct wr_relay *relay, bool wanted);

/* True once it has ended; then *ret_cause (if not NULL) says why: WR_CLOSED "the broker closed the connection", WR_IO, WR_PROTOCOL, WR_DENIED
 * (an alert), WR_TIMEOUT (nobody of ours came), or WR_OK when our own side closed first. */
bool wr_relay_end(const struct wr_relay *relay, struct wr_error *ret_cause);

void wr_relay_stats(struct wr_relay *relay, struct wr_relay_stats *ret_stats);

/* The first bytes that the broker sent, at most WR_RELAY_FIRST_BYTES; how many. Not kept when gated. They stay in the relay, and only more can come behind them. */
size_t wr_relay_first(const struct wr_relay *relay, const uint8_t **ret_bytes);

/* Ends it if need be, joins its thread, frees. NULL is fine. */
void wr_relay_close(struct wr_relay *relay);

/* Memory of one that is gated, TLS not counted. */
size_t wr_relay_gated_bytes(void);

#endif
