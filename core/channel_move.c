/* How elements move under the lock: into and out of the ring, and straight between two threads. */
#include "core/channel_private.h"

#include <string.h>

static unsigned char *slot(struct wr_channel *channel, size_t nth) {
    size_t at = channel->head + nth;
    if (at >= channel->capacity)
        at -= channel->capacity;
    return channel->ring + at * channel->element_bytes;
}

static void put_tail(struct wr_channel *channel, const void *element) {
    memcpy(slot(channel, channel->depth), element, channel->element_bytes);
    channel->depth++;
    channel->accepted++;
    if (channel->depth > channel->high_water)
        channel->high_water = channel->depth;
}

/* An empty ring begins anew: one that holds a few elements at a time touches a few pages, not one after the other until it has been around. */
static void take_head(struct wr_channel *channel) {
    channel->depth--;
    channel->head = channel->depth == 0 || channel->head + 1 == channel->capacity ? 0 : channel->head + 1;
}

void wr_channel_after_init(struct wr_channel_after *after) {
    after->wake = (struct wr_channel_queue){0};
    after->newest = NULL;
    after->n_newest = 0;
    after->n_oldest = 0;
}

void wr_channel_after_run(struct wr_channel *channel, struct wr_channel_after *after) {
    wr_channel_wake(&after->wake);
    if ((after->n_oldest == 0 && after->n_newest == 0) || !channel->drop)
        return;
    for (size_t i = 0; i < after->n_oldest; i++)
        channel->drop(after->oldest + i * channel->element_bytes, channel->user);
    for (size_t i = 0; i < after->n_newest; i++)
        channel->drop((void *)(after->newest + i * channel->element_bytes), channel->user);
}

/* Makes room by dropping the head. False: `after` can hold no more copies for the drop function. */
static bool drop_head(struct wr_channel *channel, struct wr_channel_after *after) {
    if (channel->drop) {
        if ((after->n_oldest + 1) * channel->element_bytes > sizeof after->oldest)
            return false;
        memcpy(after->oldest + after->n_oldest * channel->element_bytes, slot(channel, 0), channel->element_bytes);
        after->n_oldest++;
    }
    take_head(channel);
    channel->dropped_oldest++;
    return true;
}

/* No room and no receiver: what the policy says about elements[0..n). Returns how many it settled; 0 ends the push. */
static size_t push_full(struct wr_channel *channel, const unsigned char *elements, size_t n, enum wr_result *result,
                        struct wr_channel_after *after) {
    switch (channel->policy) {
    case WR_CHANNEL_DROP_NEWEST:
        channel->dropped_newest += n;
        after->newest = elements;
        after->n_newest = n;
        return n;
    case WR_CHANNEL_DROP_OLDEST:
        if (!drop_head(channel, after))
            return 0;
        put_tail(channel, elements);
        return 1;
    case WR_CHANNEL_REJECT:
        channel->rejected += n;
        break;
    case WR_CHANNEL_BLOCK:
        break;
    }
    *result = WR_FULL;
    return 0;
}

enum wr_result wr_channel_push(struct wr_channel *channel, const unsigned char *elements, size_t n, size_t *ret_n,
                               struct wr_channel_after *after) {
    enum wr_result result = WR_OK;
    const size_t step = channel->element_bytes;
    size_t i = 0;
    while (i < n) {
        if (atomic_load_explicit(&channel->closed, memory_order_relaxed)) {
            result = WR_CLOSED; /* C8 */
            break;
        }
        struct wr_channel_entry *receiver = wr_channel_claim(channel, WR_CHANNEL_RECV, WR_OK, &after->wake); /* W1 */
        if (receiver) {
            memcpy(receiver->element, elements + i * step, step);
            channel->accepted++;
            channel->received++;
            i++;
        } else if (channel->depth < channel->capacity) {
            put_tail(channel, elements + i * step);
            i++;
        } else {
            const size_t settled = push_full(channel, elements + i * step, n - i, &result, after);
            i += settled;
            if (settled == 0)
                break;
        }
    }
    if (i > 0 && channel->depth > 0)
        wr_channel_signal(channel, WR_CHANNEL_RECV); /* W5 */
    *ret_n = i;
    return result;
}

enum wr_result wr_channel_pull(struct wr_channel *channel, unsigned char *ret_elements, size_t max, size_t *ret_n,
                               struct wr_channel_queue *wake) {
    const size_t step = channel->element_bytes;
    size_t i = 0;
    for (; i < max; i++) {
        const bool from_ring = channel->depth > 0;
        if (from_ring) {
            memcpy(ret_elements + i * step, slot(channel, 0), step);
            take_head(channel);
        }
        /* A sender waits only while the ring is full: its element takes the place that has become free, or, in a rendezvous, goes across. */
        struct wr_channel_entry *sender = wr_channel_claim(channel, WR_CHANNEL_SEND, WR_OK, wake); /* W2 */
        if (sender && from_ring) {
            put_tail(channel, sender->element);
        } else if (sender) {
            memcpy(ret_elements + i * step, sender->element, step);
            channel->accepted++;
        } else if (!from_ring) {
            break;
        }
        channel->received++;
    }
    *ret_n = i;
    if (i == 0)
        return atomic_load_explicit(&channel->closed, memory_order_relaxed) ? WR_CLOSED : WR_EMPTY;
    if (channel->depth < channel->capacity)
        wr_channel_signal(channel, WR_CHANNEL_SEND); /* W6 */
    return WR_OK;
}
