/* What a source counts at its own door, per reason: the numbers of enum wr_book, written by the source's thread, read by anybody.
 *
 * received is counted before a batch is sent, rejected before received. Atomic and relaxed: each number is exact, a set of them is not a
 * moment in time; audit stops the engine between two batches and asks again if a source was just in between.
 */
#ifndef WEIR_AGENT_SOURCES_INTAKE_COUNTERS_H
#define WEIR_AGENT_SOURCES_INTAKE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/ledger.h"
#include "transport/subscriber_counters.h"

struct wr_intake_counters {
    _Atomic uint64_t books[WR_BOOKS]; /* received, dropped(reason), rejected(reason) */
    _Atomic uint64_t bytes;
    _Atomic uint64_t batches;
    _Atomic uint64_t waits;       /* times that the source had to wait for a batch */
    _Atomic uint64_t connections; /* open now */
    _Atomic uint64_t connections_refused;
    _Atomic uint64_t rounds;          /* of a poller: how often it asked */
    _Atomic uint64_t rounds_skipped;  /* no free batch, or the round before still ran */
    _Atomic uint64_t programs;        /* of exec and execd: started, */
    _Atomic uint64_t programs_failed; /* of these, or not started: with another end than exit code 0, */
    _Atomic uint64_t programs_killed; /* of these: for time or output */
    _Atomic uint64_t datagrams;
    _Atomic uint64_t datagrams_lost;     /* by the kernel, before we saw them: how many readings were in them nobody knows */
    _Atomic uint64_t handshakes;         /* of a TLS listener */
    _Atomic uint64_t handshakes_resumed; /* of them */
    _Atomic uint64_t handshakes_failed;
    struct wr_subscriber_counters mqtt;
    _Atomic uint64_t finished; /* 1: a source with an end (replay, stdin) has reached it */
};

static inline void wr_intake_count(struct wr_intake_counters *counters, enum wr_book book, uint64_t readings) {
    atomic_fetch_add_explicit(&counters->books[book], readings, memory_order_relaxed);
}

static inline uint64_t wr_intake_read(const struct wr_intake_counters *counters, enum wr_book book) {
    return atomic_load_explicit(&counters->books[book], memory_order_relaxed);
}

#endif
