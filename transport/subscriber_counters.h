/* What a subscriber counts while it runs, for whoever shows it: written by its threads, read by anybody.
 *
 * Atomic and relaxed where it matters: each number is exact, a set of them is not a moment in time. They go on when the next subscriber uses them.
 */
#ifndef WEIR_TRANSPORT_SUBSCRIBER_COUNTERS_H
#define WEIR_TRANSPORT_SUBSCRIBER_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct wr_subscriber_counters {
    _Atomic uint64_t messages;      /* taken into the ring */
    _Atomic uint64_t message_bytes; /* topic and payload of these */
    _Atomic uint64_t redelivered;   /* of these: dup */
    _Atomic uint64_t dropped;       /* QoS 0 without room */
    _Atomic uint64_t too_long;      /* more than max_message_bytes */
    _Atomic uint64_t waiting;       /* in the ring now */
    _Atomic uint64_t pauses;        /* times that the ring was half full, and the reading stopped */
    _Atomic uint64_t connected;     /* 1: subscribed */
    _Atomic uint64_t connects;      /* connections that got as far as subscribed */
    _Atomic uint64_t failures;      /* attempts that did not, and connections that were lost */
};

#endif
