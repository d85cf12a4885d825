/* The message ring: records of any length, from one thread to another, in memory of a fixed size.
 *
 * Promise: what is put in comes out whole, in order, once; nothing is allocated or locked on the way, and a record is not moved again: the
 * reader sees it in place. A record that finds no room is refused, and nothing of it is kept. The reader can sleep until there is one.
 *
 * A record lies in one piece: where it would run over the end of the memory, the rest there is left empty. So the largest record that always
 * fits into an empty ring is half of it.
 *
 * Invariants: M1 head <= tail <= head + size; M2 bytes in [head, tail) belong to the reader, the others to the writer.
 *
 * Threads: reserve and commit: one writer; peek, release, wait: one reader; wake, fill: any. Ownership: caller's memory, init/fini.
 */
#ifndef WEIR_TRANSPORT_MESSAGE_RING_H
#define WEIR_TRANSPORT_MESSAGE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_MESSAGE_RING_ALIGN 8

struct wr_message_ring {
    uint8_t *bytes;
    size_t size;           /* a multiple of WR_MESSAGE_RING_ALIGN */
    _Atomic uint64_t head; /* bytes released so far, gaps counted */
    _Atomic uint64_t tail; /* bytes committed so far */
    uint64_t reserved;     /* the writer's: where the reserved record begins */
    size_t reserved_len;
    _Atomic uint64_t put;   /* records */
    _Atomic uint64_t taken; /* records */
    _Atomic uint32_t bell;  /* changes at each wake-up */
    _Atomic uint32_t asleep;
};

WR_MUST_USE enum wr_result wr_message_ring_init(struct wr_message_ring *ring, size_t size, struct wr_error *err);
void wr_message_ring_fini(struct wr_message_ring *ring);

/* Room for a record of len bytes, aligned, if afterwards at most max_fill bytes of the ring are in use; else NULL. */
void *wr_message_ring_reserve(struct wr_message_ring *ring, size_t len, size_t max_fill);
/* Hands the reserved record over, and wakes a reader that sleeps. */
void wr_message_ring_commit(struct wr_message_ring *ring);

/* The oldest record, or NULL. The same one until it is released. */
void *wr_message_ring_peek(struct wr_message_ring *ring);
void wr_message_ring_release(struct wr_message_ring *ring);
/* Sleeps until there is a record, the bell rings, or the deadline passes (then false). True says: look again. `bell` is what the bell was
 * before the last look. */
bool wr_message_ring_wait(struct wr_message_ring *ring, uint32_t bell, int64_t deadline_boot_ns);
/* Rings the bell. */
void wr_message_ring_wake(struct wr_message_ring *ring);

/* Bytes in use. */
size_t wr_message_ring_fill(const struct wr_message_ring *ring);
uint64_t wr_message_ring_depth(const struct wr_message_ring *ring);

#endif
