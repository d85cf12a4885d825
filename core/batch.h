/* Pooled batches of readings: how readings travel from a source to the engine.
 *
 * Promise: each source owns a pool with a fixed number of batches, at least WR_BATCH_POOL_MIN, all allocated at its start. No free batch
 * means that this source waits: that is the backpressure, and why memory has a ceiling. The free list is itself a channel, so that a
 * source can wait for a batch with a deadline, with select, or by descriptor in an event loop.
 *
 * Threads: the source takes, the engine returns; each batch has one owner at a time.
 * Ownership: a batch belongs to its pool; after the engine has taken all readings it returns it with wr_batch_return.
 * Limits: WR_BATCH_READINGS readings; 24 bytes a reading.
 */
#ifndef WEIR_CORE_BATCH_H
#define WEIR_CORE_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/channel.h"
#include "core/clock.h"
#include "core/reading.h"
#include "core/result.h"

#define WR_BATCH_READINGS 512 /* a source hands over some at a time, and to wake the engine costs as much as 250 readings do */
#define WR_BATCH_POOL_MIN 2

struct wr_batch_pool;

struct wr_batch {
    struct wr_batch_pool *pool;
    struct wr_batch *next;   /* for whoever holds several */
    uint32_t source;         /* index of the source in the engine's table */
    uint32_t n;              /* readings filled */
    int64_t arrival_boot_ns; /* of the first reading in it; the source bounds how much later the others came */
    int64_t wall_offset_ns;  /* wall = boot + offset at arrival */
    bool wall_trusted;
    bool recorded;     /* the stamps are those of a recording: they stay as they are, whatever the pace */
    uint64_t trace_id; /* 0: none */
    struct wr_reading readings[WR_BATCH_READINGS];
};

struct wr_batch_pool {
    struct wr_channel *free; /* of struct wr_batch * */
    struct wr_batch *all;
    uint32_t n;
    _Atomic uint32_t strays; /* batches that came back after the close */
};

WR_MUST_USE enum wr_result wr_batch_pool_init(struct wr_batch_pool *pool, uint32_t batches, uint32_t source, struct wr_error *err);

/* Takes an empty batch without waiting. WR_EMPTY when all are on their way. */
WR_MUST_USE enum wr_result wr_batch_take(struct wr_batch_pool *pool, struct wr_batch **ret_batch);

/* Takes an empty batch, waits until deadline_boot_ns. WR_TIMEOUT; WR_CLOSED once the pool is closed and
 * nothing lies ready any more. */
WR_MUST_USE enum wr_result wr_batch_wait(struct wr_batch_pool *pool, int64_t deadline_boot_ns, struct wr_batch **ret_batch);

/* Stamps arrival and wall offset, once, before the first reading is put in. */
void wr_batch_stamp(struct wr_batch *batch, const struct wr_now *now);

/* Gives a batch back to its pool, empty. Any thread. Never blocks, never fails. */
void wr_batch_return(struct wr_batch *batch);

/* Waiters see WR_CLOSED, once the batches that lie ready are taken. Batches still under way may be returned later. */
void wr_batch_pool_close(struct wr_batch_pool *pool);

/* Frees the memory; every batch must be back (asserted). */
void wr_batch_pool_fini(struct wr_batch_pool *pool);

/* Bytes that a pool of this many batches occupies, for the memory ceiling. */
size_t wr_batch_pool_bytes(uint32_t batches);

#endif
