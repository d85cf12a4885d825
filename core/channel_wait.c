/* How threads wait in a channel's queues, are claimed by a peer, and leave. */
#include "core/channel_private.h"

#include "core/clock.h"
#include "core/context.h"
#include "core/park.h"

void wr_channel_lock(const struct wr_channel *channel) {
    (void)pthread_mutex_lock((pthread_mutex_t *)&channel->mutex);
}

void wr_channel_unlock(const struct wr_channel *channel) {
    (void)pthread_mutex_unlock((pthread_mutex_t *)&channel->mutex);
}

static void append(struct wr_channel_queue *queue, struct wr_channel_entry *entry) {
    entry->next = NULL;
    entry->prev = queue->last;
    if (queue->last)
        queue->last->next = entry;
    else
        queue->first = entry;
    queue->last = entry;
}

static void take_out(struct wr_channel_queue *queue, struct wr_channel_entry *entry) {
    if (entry->prev)
        entry->prev->next = entry->next;
    else
        queue->first = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    else
        queue->last = entry->prev;
    entry->linked = false;
}

void wr_channel_enqueue(struct wr_channel *channel, enum wr_channel_direction direction, struct wr_channel_entry *entry) {
    append(&channel->waiting[direction], entry);
    entry->linked = true;
    /* W8: in a rendezvous a waiting thread is what the loop on the other side waits for. */
    if (channel->capacity == 0)
        wr_channel_signal(channel, direction == WR_CHANNEL_SEND ? WR_CHANNEL_RECV : WR_CHANNEL_SEND);
}

void wr_channel_dequeue(struct wr_channel *channel, enum wr_channel_direction direction, struct wr_channel_entry *entry) {
    if (entry->linked)
        take_out(&channel->waiting[direction], entry);
}

bool wr_channel_has_waiter(struct wr_channel *channel, enum wr_channel_direction direction) {
    struct wr_channel_queue *queue = &channel->waiting[direction];
    while (queue->first && atomic_load_explicit(&queue->first->waiter->state, memory_order_relaxed) != WR_WAITER_WAITING)
        take_out(queue, queue->first);
    return queue->first;
}

struct wr_channel_entry *wr_channel_claim(struct wr_channel *channel, enum wr_channel_direction direction, enum wr_result result,
                                          struct wr_channel_queue *wake) {
    struct wr_channel_queue *queue = &channel->waiting[direction];
    while (queue->first) {
        struct wr_channel_entry *entry = queue->first;
        struct wr_channel_waiter *waiter = entry->waiter;
        take_out(queue, entry);
        uint32_t waiting = WR_WAITER_WAITING;
        if (atomic_compare_exchange_strong(&waiter->state, &waiting, WR_WAITER_CLAIMED)) { /* C2 */
            waiter->result = result;
            waiter->index = entry->index;
            append(wake, entry);
            return entry;
        }
    }
    return NULL;
}

void wr_channel_wake(struct wr_channel_queue *wake) {
    struct wr_channel_entry *next = NULL;
    for (struct wr_channel_entry *entry = wake->first; entry; entry = next) {
        next = entry->next;
        _Atomic uint32_t *state = &entry->waiter->state;
        atomic_store_explicit(state, WR_WAITER_DONE, memory_order_release);
        wr_unpark(state); /* W9: the entry may be gone by now, only the address is used */
    }
    *wake = (struct wr_channel_queue){0};
}

/* Leaves WAITING by the waiter's own door, unless a peer has claimed it. */
static bool leave(struct wr_channel_waiter *waiter, uint32_t to) {
    uint32_t waiting = WR_WAITER_WAITING;
    return atomic_compare_exchange_strong(&waiter->state, &waiting, to); /* C3 */
}

static void context_ended(void *user) {
    struct wr_channel_waiter *waiter = user;
    if (leave(waiter, WR_WAITER_CANCELED))
        wr_unpark(&waiter->state);
}

enum wr_channel_waiter_state wr_channel_park(struct wr_channel_waiter *waiter, int64_t deadline_boot_ns, struct wr_context *context) {
    struct wr_context_watch watch = {.ended = context_ended, .user = waiter};
    const bool watched = context && wr_context_watch(context, &watch) == WR_OK;
    if (context && !watched)
        (void)leave(waiter, WR_WAITER_CANCELED);

    uint32_t state = 0;
    while ((state = atomic_load_explicit(&waiter->state, memory_order_acquire)) <= WR_WAITER_CLAIMED) {
        const int64_t until_ns = state == WR_WAITER_CLAIMED ? WR_NEVER_NS : deadline_boot_ns;
        if (!wr_park(&waiter->state, state, until_ns)) /* C7 */
            (void)leave(waiter, WR_WAITER_EXPIRED);
    }
    if (watched)
        wr_context_unwatch(context, &watch);
    return (enum wr_channel_waiter_state)state;
}

void wr_channel_add_wait(struct wr_channel *channel, enum wr_channel_direction direction, int64_t since_boot_ns) {
    const int64_t waited_ns = wr_clock_boot_ns(wr_clock_real()) - since_boot_ns;
    if (waited_ns > 0)
        atomic_fetch_add_explicit(&channel->wait_ns[direction], (uint64_t)waited_ns, memory_order_relaxed);
}
