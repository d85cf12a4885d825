/* The acknowledgement gate: holds back the PUBACKs in what an MQTT client sends, until somebody says that the message is safe.
 *
 * paho acknowledges a QoS 1 message by itself, at once. The gate stands between it and the broker: it finds the packets in the stream
 * (fixed header, remaining length, packet identifier; nothing else is looked at), takes each PUBACK out, and puts it back in when it was
 * acknowledged and all PUBACKs before it were: in the order of arrival, as MQTT-4.6.0-2 wants it. Everything else passes unchanged and
 * without delay, a PINGREQ and a DISCONNECT too.
 *
 * Messages are counted, not named: number n is the nth QoS 1 message of the connection, and so the nth PUBACK. The packet identifier is
 * compared as well: should the two ever differ, the gate says WR_PROTOCOL, and the connection has to end; the broker then sends again
 * what is not acknowledged. An acknowledgement may come before its PUBACK does: paho hands over a message and sends its PUBACK from
 * the same thread, but the stream is slower than a quick writer.
 *
 * Invariants:
 *   G1  released <= seen
 *   G2  what leaves is what came, without the PUBACKs not yet released; a PUBACK leaves only between two other packets
 *   G3  PUBACK n leaves only after acknowledge(n), and after PUBACK n - 1
 *   G4  seen - released <= size <= WR_ACK_GATE_MAX
 *
 * Threads: none; pure. Whoever shares it locks it. Ownership: caller's memory, init/fini. It grows with what is outstanding, by doubling.
 * Limits: WR_ACK_GATE_MAX outstanding, which is what MQTT has packet identifiers for. A receive maximum is no limit to rely on:
 * mosquitto 2.0.11 sends all it has queued after the first PUBACK.
 * Errors: WR_PROTOCOL (not MQTT, or an acknowledgement that does not fit), WR_LIMIT, WR_NO_MEMORY.
 * Source: MQTT 5.0, 2.1.1 (fixed header), 1.5.5 (variable byte integer), 3.4 (PUBACK); 3.1.1 the same.
 */
#ifndef WEIR_TRANSPORT_ACK_GATE_H
#define WEIR_TRANSPORT_ACK_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_ACK_GATE_MAX 65536
#define WR_ACK_GATE_PUBACK_BYTES 5 /* the longest that leaves: with a reason */

struct wr_ack_gate_entry {
    uint16_t packet_id;
    uint8_t reason; /* 0: success, the short form */
    bool seen : 1;  /* its PUBACK came */
    bool acknowledged : 1;
};

/* What the next byte of the client's stream belongs to. */
enum wr_ack_gate_state { WR_ACK_GATE_HEADER, WR_ACK_GATE_LENGTH, WR_ACK_GATE_BODY, WR_ACK_GATE_PUBACK };

struct wr_ack_gate {
    struct wr_ack_gate_entry *entries; /* number n stands at n % size */
    uint32_t size;                     /* a power of two */
    uint64_t seen;                     /* PUBACKs that came */
    uint64_t released;                 /* PUBACKs that left, or are the one in `leaving` */
    uint8_t leaving[WR_ACK_GATE_PUBACK_BYTES];
    uint8_t leaving_len;
    uint8_t leaving_from;
    enum wr_ack_gate_state state;
    bool absorbs;   /* the present packet is a PUBACK */
    uint8_t digits; /* of the remaining length, read so far */
    uint32_t left;  /* bytes of the present packet to come */
    uint32_t at;    /* bytes of a PUBACK's body read so far */
    uint16_t packet_id;
    uint8_t reason;
};

WR_MUST_USE enum wr_result wr_ack_gate_init(struct wr_ack_gate *gate, struct wr_error *err);
void wr_ack_gate_fini(struct wr_ack_gate *gate);

/* Takes bytes from in[in_len] and puts what may leave into out[out_len], as far as both go: *ret_taken, *ret_put. in_len 0: only what was released
 * meanwhile. Nothing more can be done when out is full, or when all of in is taken and less than out_len was put. */
WR_MUST_USE enum wr_result wr_ack_gate_step(struct wr_ack_gate *gate, const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len,
                                            size_t *ret_taken, size_t *ret_put, struct wr_error *err);

/* Message number n, with this packet identifier, is safe. Twice is fine. */
WR_MUST_USE enum wr_result wr_ack_gate_acknowledge(struct wr_ack_gate *gate, uint64_t n, uint16_t packet_id, struct wr_error *err);

/* A step without input would put something. */
bool wr_ack_gate_is_ready(const struct wr_ack_gate *gate);

#endif
