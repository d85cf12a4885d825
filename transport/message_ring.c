#include "transport/message_ring.h"

#include <stdlib.h>

#include "core/park.h"

/* Before each record: its length, all counted, rounded up; a gap up to the end of the memory has the top bit. */
#define HEAD_BYTES WR_MESSAGE_RING_ALIGN
#define GAP (UINT64_C(1) << 63)

enum wr_result wr_message_ring_init(struct wr_message_ring *ring, size_t size, struct wr_error *err) {
    *ring = (struct wr_message_ring){.size = size / WR_MESSAGE_RING_ALIGN * WR_MESSAGE_RING_ALIGN};
    ring->bytes = malloc(ring->size);
    return ring->bytes != NULL ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for a ring of %zu bytes", size);
}

void wr_message_ring_fini(struct wr_message_ring *ring) {
    free(ring->bytes);
    ring->bytes = NULL;
}

static uint64_t *head_at(const struct wr_message_ring *ring, uint64_t position) {
    return (uint64_t *)(void *)(ring->bytes + position % ring->size);
}

void *wr_message_ring_reserve(struct wr_message_ring *ring, size_t len, size_t max_fill) {
    if (len > ring->size / 2)
        return NULL;
    size_t whole = HEAD_BYTES + (len + WR_MESSAGE_RING_ALIGN - 1) / WR_MESSAGE_RING_ALIGN * WR_MESSAGE_RING_ALIGN;
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t used = (size_t)(tail - atomic_load_explicit(&ring->head, memory_order_acquire));
    size_t to_end = ring->size - (size_t)(tail % ring->size);
    size_t gap = whole <= to_end ? 0 : to_end;
    size_t limit = max_fill < ring->size ? max_fill : ring->size;
    if (used + gap + whole > limit)
        return NULL;
    if (gap > 0)
        *head_at(ring, tail) = GAP | gap;
    ring->reserved = tail + gap;
    ring->reserved_len = whole;
    *head_at(ring, ring->reserved) = whole;
    return (uint8_t *)head_at(ring, ring->reserved) + HEAD_BYTES;
}

void wr_message_ring_commit(struct wr_message_ring *ring) {
    atomic_fetch_add_explicit(&ring->put, 1, memory_order_relaxed);
    atomic_store(&ring->tail, ring->reserved + ring->reserved_len);
    if (atomic_load(&ring->asleep) != 0 && atomic_exchange(&ring->asleep, 0) != 0)
        wr_message_ring_wake(ring);
}

void *wr_message_ring_peek(struct wr_message_ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == atomic_load(&ring->tail))
        return NULL;
    uint64_t mark = *head_at(ring, head);
    if ((mark & GAP) != 0) { /* a gap never stands alone: the record behind it was committed with it */
        head += mark & ~GAP;
        atomic_store_explicit(&ring->head, head, memory_order_release);
    }
    return (uint8_t *)head_at(ring, head) + HEAD_BYTES;
}

void wr_message_ring_release(struct wr_message_ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_fetch_add_explicit(&ring->taken, 1, memory_order_relaxed);
    atomic_store(&ring->head, head + *head_at(ring, head)); /* before whatever the caller looks at next */
}

/* The reader says that it sleeps, then looks; the writer stores, then looks whether somebody sleeps: one of the two sees the other. */
bool wr_message_ring_wait(struct wr_message_ring *ring, uint32_t bell, int64_t deadline_boot_ns) {
    atomic_store(&ring->asleep, 1);
    bool awake = atomic_load(&ring->tail) != atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (!awake)
        awake = wr_park(&ring->bell, bell, deadline_boot_ns);
    atomic_store(&ring->asleep, 0);
    return awake;
}

void wr_message_ring_wake(struct wr_message_ring *ring) {
    atomic_fetch_add(&ring->bell, 1);
    wr_unpark(&ring->bell);
}

size_t wr_message_ring_fill(const struct wr_message_ring *ring) {
    uint64_t head = atomic_load(&ring->head); /* first: it only grows, so that the difference is never negative */
    return (size_t)(atomic_load(&ring->tail) - head);
}

uint64_t wr_message_ring_depth(const struct wr_message_ring *ring) {
    uint64_t taken = atomic_load(&ring->taken);
    return atomic_load(&ring->put) - taken;
}
