#include "core/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/channel_private.h"
#include "core/clock.h"
#include "core/context.h"

#define CAPACITY_MAX 65536
#define ELEMENT_MAX_BYTES 65536

static enum wr_result options_check(const struct wr_channel_options *options, struct wr_error *err) {
    const char *name = options->name ? options->name : "channel";
    if (options->capacity > CAPACITY_MAX)
        return wr_error_set(err, WR_LIMIT, "%s: a capacity of %zu is above %d", name, options->capacity, CAPACITY_MAX);
    if (options->element_bytes == 0 || options->element_bytes > ELEMENT_MAX_BYTES)
        return wr_error_set(err, WR_LIMIT, "%s: an element of %zu bytes is not within 1 to %d", name, options->element_bytes,
                            ELEMENT_MAX_BYTES);
    if (options->policy == WR_CHANNEL_DROP_OLDEST && options->drop && options->element_bytes > WR_CHANNEL_DROP_BYTES)
        return wr_error_set(err, WR_LIMIT, "%s: an element of %zu bytes is above %d, the most that drop-oldest hands to a function", name,
                            options->element_bytes, WR_CHANNEL_DROP_BYTES);
    const bool drops = options->policy == WR_CHANNEL_DROP_NEWEST || options->policy == WR_CHANNEL_DROP_OLDEST;
    if (options->capacity == 0 && drops)
        return wr_error_set(err, WR_INVALID, "%s: a rendezvous keeps nothing that could be dropped: block or reject", name);
    if (options->capacity > (SIZE_MAX - sizeof(struct wr_channel)) / options->element_bytes)
        return wr_error_set(err, WR_LIMIT, "%s: too large for this machine", name);
    return WR_OK;
}

enum wr_result wr_channel_new(const struct wr_channel_options *options, struct wr_channel **ret_channel, struct wr_error *err) {
    WR_TRY(options_check(options, err));
    struct wr_channel *channel = calloc(1, sizeof *channel + options->capacity * options->element_bytes);
    if (!channel)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a channel of %zu elements of %zu bytes", options->capacity,
                            options->element_bytes);
    (void)pthread_mutex_init(&channel->mutex, NULL); /* with default attributes it cannot fail */
    channel->capacity = options->capacity;
    channel->element_bytes = options->element_bytes;
    channel->policy = options->policy;
    channel->drop = options->drop;
    channel->user = options->user;
    channel->name = options->name ? options->name : "channel";
    channel->fd[WR_CHANNEL_SEND] = -1;
    channel->fd[WR_CHANNEL_RECV] = -1;
    *ret_channel = channel;
    return WR_OK;
}

void wr_channel_free(struct wr_channel *channel) {
    if (!channel)
        return;
    assert(!channel->waiting[WR_CHANNEL_SEND].first && !channel->waiting[WR_CHANNEL_RECV].first);
    for (; channel->drop && channel->depth > 0; channel->depth--) {
        channel->drop(channel->ring + channel->head * channel->element_bytes, channel->user);
        channel->head = channel->head + 1 == channel->capacity ? 0 : channel->head + 1;
    }
    for (int direction = 0; direction < 2; direction++)
        if (channel->fd[direction] >= 0)
            (void)close(channel->fd[direction]);
    (void)pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

/* A deadline of 0 is so common a way to say "try" that it must not cost a look at the clock. */
static bool only_tries(int64_t deadline_boot_ns) {
    return deadline_boot_ns <= 0;
}

/* With the lock held, after a push or pull that could not move: waits for a peer to move one element. Returns without the lock. */
static enum wr_result wait_one(struct wr_channel *channel, enum wr_channel_direction direction, void *element, int64_t deadline_boot_ns,
                               struct wr_context *context) {
    struct wr_channel_waiter waiter = {.state = WR_WAITER_WAITING};
    struct wr_channel_entry entry = {.waiter = &waiter, .element = element};
    wr_channel_enqueue(channel, direction, &entry); /* C1: the lock was held since the last look */
    wr_channel_unlock(channel);

    const int64_t since_boot_ns = wr_clock_boot_ns(wr_clock_real());
    const enum wr_channel_waiter_state end = wr_channel_park(&waiter, deadline_boot_ns, context);
    wr_channel_add_wait(channel, direction, since_boot_ns);
    if (end == WR_WAITER_DONE)
        return waiter.result;
    wr_channel_lock(channel);
    wr_channel_dequeue(channel, direction, &entry);
    wr_channel_unlock(channel);
    return end == WR_WAITER_EXPIRED ? WR_TIMEOUT : WR_CANCELED;
}

static enum wr_result send_some(struct wr_channel *channel, const unsigned char *elements, size_t n, int64_t deadline_boot_ns,
                                struct wr_context *context, size_t *ret_sent) {
    enum wr_result result = WR_OK;
    size_t sent = 0;
    while (result == WR_OK && sent < n) {
        struct wr_channel_after after;
        wr_channel_after_init(&after);
        size_t moved = 0;
        wr_channel_lock(channel);
        result = wr_channel_push(channel, elements + sent * channel->element_bytes, n - sent, &moved, &after);
        sent += moved;
        if (result == WR_FULL && channel->policy == WR_CHANNEL_BLOCK && !only_tries(deadline_boot_ns)) {
            /* Receivers that this batch completed must not wait until it has slept. The const is cast away for the entry alone: a
             * receiver copies the element from there and writes nothing. */
            wr_channel_wake(&after.wake);
            result = wait_one(channel, WR_CHANNEL_SEND, (void *)(elements + sent * channel->element_bytes), deadline_boot_ns, context);
            sent += result == WR_OK;
            continue;
        }
        wr_channel_unlock(channel);
        wr_channel_after_run(channel, &after);
    }
    *ret_sent = sent;
    return result;
}

enum wr_result wr_channel_send(struct wr_channel *channel, const void *element, int64_t deadline_boot_ns) {
    size_t sent = 0;
    return wr_channel_send_batch(channel, element, 1, deadline_boot_ns, &sent);
}

enum wr_result wr_channel_send_context(struct wr_channel *channel, const void *element, struct wr_context *context) {
    WR_TRY(wr_context_state(context));
    size_t sent = 0;
    return send_some(channel, element, 1, wr_context_deadline(context), context, &sent);
}

enum wr_result wr_channel_try_send(struct wr_channel *channel, const void *element) {
    size_t sent = 0;
    return send_some(channel, element, 1, 0, NULL, &sent);
}

enum wr_result wr_channel_send_batch(struct wr_channel *channel, const void *elements, size_t n, int64_t deadline_boot_ns,
                                     size_t *ret_sent) {
    const enum wr_result result = send_some(channel, elements, n, deadline_boot_ns, NULL, ret_sent);
    return result == WR_FULL && channel->policy == WR_CHANNEL_BLOCK ? WR_TIMEOUT : result;
}

static enum wr_result recv_some(struct wr_channel *channel, unsigned char *ret_elements, size_t max, int64_t deadline_boot_ns,
                                struct wr_context *context, size_t *ret_n) {
    struct wr_channel_queue wake = {0};
    size_t n = 0;
    wr_channel_lock(channel);
    enum wr_result result = wr_channel_pull(channel, ret_elements, max, &n, &wake);
    if (result != WR_EMPTY || only_tries(deadline_boot_ns)) {
        wr_channel_unlock(channel);
        wr_channel_wake(&wake);
    } else {
        result = wait_one(channel, WR_CHANNEL_RECV, ret_elements, deadline_boot_ns, context);
        n = result == WR_OK;
        if (n < max && result == WR_OK) {
            /* The sender that completed this wait may have sent more; what it answers to an empty channel does not matter now. */
            size_t more = 0;
            wr_channel_lock(channel);
            (void)wr_channel_pull(channel, ret_elements + channel->element_bytes, max - 1, &more, &wake);
            wr_channel_unlock(channel);
            wr_channel_wake(&wake);
            n += more;
        }
    }
    if (result == WR_OK)
        *ret_n = n;
    return result;
}

enum wr_result wr_channel_recv(struct wr_channel *channel, void *ret_element, int64_t deadline_boot_ns) {
    size_t n = 0;
    return wr_channel_recv_batch(channel, ret_element, 1, deadline_boot_ns, &n);
}

enum wr_result wr_channel_recv_context(struct wr_channel *channel, void *ret_element, struct wr_context *context) {
    WR_TRY(wr_context_state(context));
    size_t n = 0;
    return recv_some(channel, ret_element, 1, wr_context_deadline(context), context, &n);
}

enum wr_result wr_channel_try_recv(struct wr_channel *channel, void *ret_element) {
    size_t n = 0;
    return recv_some(channel, ret_element, 1, 0, NULL, &n);
}

enum wr_result wr_channel_recv_batch(struct wr_channel *channel, void *ret_elements, size_t max, int64_t deadline_boot_ns, size_t *ret_n) {
    assert(max > 0);
    const enum wr_result result = recv_some(channel, ret_elements, max, deadline_boot_ns, NULL, ret_n);
    return result == WR_EMPTY ? WR_TIMEOUT : result;
}

void wr_channel_close(struct wr_channel *channel) {
    struct wr_channel_queue wake = {0};
    wr_channel_lock(channel);
    if (!atomic_load_explicit(&channel->closed, memory_order_relaxed)) {
        atomic_store_explicit(&channel->closed, true, memory_order_release);
        while (wr_channel_claim(channel, WR_CHANNEL_RECV, WR_CLOSED, &wake)) /* W3 */
            continue;
        while (wr_channel_claim(channel, WR_CHANNEL_SEND, WR_CLOSED, &wake)) /* W4 */
            continue;
        wr_channel_signal(channel, WR_CHANNEL_RECV); /* W7 */
        wr_channel_signal(channel, WR_CHANNEL_SEND);
    }
    wr_channel_unlock(channel);
    wr_channel_wake(&wake);
}

bool wr_channel_is_closed(const struct wr_channel *channel) {
    return atomic_load_explicit(&channel->closed, memory_order_acquire);
}

void wr_channel_stats(const struct wr_channel *channel, struct wr_channel_stats *ret_stats) {
    wr_channel_lock(channel);
    *ret_stats = (struct wr_channel_stats){
        .depth = channel->depth,
        .high_water = channel->high_water,
        .accepted = channel->accepted,
        .received = channel->received,
        .dropped_newest = channel->dropped_newest,
        .dropped_oldest = channel->dropped_oldest,
        .rejected = channel->rejected,
        .send_wait_ns = atomic_load_explicit(&channel->wait_ns[WR_CHANNEL_SEND], memory_order_relaxed),
        .recv_wait_ns = atomic_load_explicit(&channel->wait_ns[WR_CHANNEL_RECV], memory_order_relaxed),
    };
    wr_channel_unlock(channel);
}

const char *wr_channel_name(const struct wr_channel *channel) {
    return channel->name;
}

size_t wr_channel_capacity(const struct wr_channel *channel) {
    return channel->capacity;
}

bool wr_channel_is_valid(const struct wr_channel *channel) {
    struct wr_channel *inside = (struct wr_channel *)channel; /* only stale entries are taken out */
    wr_channel_lock(channel);
    const bool senders = wr_channel_has_waiter(inside, WR_CHANNEL_SEND);
    const bool receivers = wr_channel_has_waiter(inside, WR_CHANNEL_RECV);
    const bool same_select =
        senders && receivers && inside->waiting[WR_CHANNEL_SEND].first->waiter == inside->waiting[WR_CHANNEL_RECV].first->waiter;
    const bool closed = atomic_load_explicit(&inside->closed, memory_order_relaxed);
    const bool valid = inside->depth <= inside->capacity &&                                             /* I1 */
                       inside->accepted == inside->received + inside->depth + inside->dropped_oldest && /* I2 */
                       inside->high_water >= inside->depth && inside->high_water <= inside->capacity &&
                       (inside->capacity == 0 || inside->head < inside->capacity) &&
                       !(senders && inside->depth < inside->capacity) &&                                  /* I3 */
                       !(receivers && inside->depth > 0) &&                                               /* I3 */
                       !(senders && receivers && !same_select) &&                                         /* I3 */
                       !(closed && (senders || receivers)) &&                                             /* I3, I5 */
                       !(inside->armed[WR_CHANNEL_RECV] && (inside->depth > 0 || closed)) &&              /* I6 */
                       !(inside->armed[WR_CHANNEL_SEND] && (inside->depth < inside->capacity || closed)); /* I6 */
    wr_channel_unlock(channel);
    return valid;
}
