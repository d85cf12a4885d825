/* What a relay needs in addition when its client receives: the acknowledgement gate, shared between threads, and the pause.
 *
 * Promise: acknowledgements come from any thread and wake nobody by themselves: the caller is told when the relay has something to send.
 * A pause stops the reading from the broker for at most pause_max_ns, in one go or several; time spent reading gives back twice as much. When
 * it is used up, the relay reads on for half of pause_max_ns, so that the answer to a PINGREQ comes through, before it may pause again.
 *
 * Threads: the relay's for step and may_read; any for acknowledge and pause. Ownership: the relay's.
 */
#ifndef WEIR_TRANSPORT_RELAY_GATE_H
#define WEIR_TRANSPORT_RELAY_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "transport/ack_gate.h"
#include "transport/relay.h"

struct wr_relay_gate {
    pthread_mutex_t lock; /* over `ack` and `failure` */
    struct wr_ack_gate ack;
    struct wr_error failure; /* of an acknowledgement: told to the relay at its next step */
    _Atomic uint64_t released;

    _Atomic bool pause_wanted;
    _Atomic bool paused;
    _Atomic uint64_t pauses;
    int64_t pause_max_ns;
    int64_t paused_since_ns; /* 0: not now */
    int64_t paused_ns;       /* used up, of pause_max_ns */
    int64_t read_since_ns;   /* the end of the last pause */
    int64_t read_until_ns;   /* has to read on until then */

    size_t packet_max_bytes;
    uint64_t packet_left;   /* bytes of the broker's present packet to come; while its length is read: the length so far */
    unsigned packet_digits; /* of its length, read so far; 0: its first byte is next or its body is under way */
    bool packet_length;     /* its length is being read */

    size_t from; /* bytes of the client that have not passed yet */
    size_t to;
    uint8_t bytes[WR_RELAY_BYTES];
};

WR_MUST_USE enum wr_result wr_relay_gate_new(const struct wr_relay_gated *options, struct wr_relay_gate **ret_gate, struct wr_error *err);
void wr_relay_gate_free(struct wr_relay_gate *gate);

/* Passes what it holds, and what was released, on into out. *ret_moved: anything was taken or put. */
WR_MUST_USE enum wr_result wr_relay_gate_step(struct wr_relay_gate *gate, uint8_t *out, size_t out_len, size_t *ret_put, bool *ret_moved,
                                              struct wr_error *err);
/* Looks at what the broker sends. WR_LIMIT: a packet that is too long; WR_PROTOCOL: no packets. */
WR_MUST_USE enum wr_result wr_relay_gate_watch(struct wr_relay_gate *gate, const uint8_t *bytes, size_t len, struct wr_error *err);
/* True: the relay has something to do. */
bool wr_relay_gate_acknowledge(struct wr_relay_gate *gate, const struct wr_relay_ack *acks, size_t n);

/* Whether to read from the broker now. False: *ret_left_ns tells when to ask again. */
bool wr_relay_gate_may_read(struct wr_relay_gate *gate, int64_t now_boot_ns, int64_t *ret_left_ns);
#endif
