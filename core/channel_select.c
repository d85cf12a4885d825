/* Select: one waiter with an entry in each of several channels; whichever peer claims the waiter first has chosen the case. */
#include "core/channel_private.h"

#include "core/clock.h"
#include "core/context.h"

struct selection {
    struct wr_channel_case *cases;
    size_t n;
    size_t first; /* where the search starts */
    size_t n_locked;
    struct wr_channel *locked[WR_CHANNEL_SELECT_MAX]; /* sorted by address, each once */
    struct wr_channel_waiter waiter;
    struct wr_channel_entry entries[WR_CHANNEL_SELECT_MAX];
};

/* Tries one case under its channel's lock. False: it would have to wait. */
static bool try_case(struct wr_channel_case *one, struct wr_channel_after *after) {
    size_t moved = 0;
    if (one->direction == WR_CHANNEL_SEND) {
        const enum wr_result result = wr_channel_push(one->channel, one->element, 1, &moved, after);
        if (result == WR_FULL && one->channel->policy == WR_CHANNEL_BLOCK)
            return false;
        one->result = result;
        return true;
    }
    const enum wr_result result = wr_channel_pull(one->channel, one->element, 1, &moved, &after->wake);
    if (result == WR_EMPTY)
        return false;
    one->result = result;
    return true;
}

/* One lock after the other: under load some case is ready, and nothing else is needed. */
static bool try_each(struct selection *selection, size_t *ret_index) {
    struct wr_channel_after after;
    for (size_t i = 0; i < selection->n; i++) {
        const size_t index = (selection->first + i) % selection->n;
        struct wr_channel_case *one = &selection->cases[index];
        if (!one->channel)
            continue;
        wr_channel_after_init(&after);
        wr_channel_lock(one->channel);
        const bool went = try_case(one, &after);
        wr_channel_unlock(one->channel);
        if (went) {
            wr_channel_after_run(one->channel, &after);
            *ret_index = index;
            return true;
        }
    }
    return false;
}

/* The channels of all cases, in the lock order: by address, each once. */
static void sort_channels(struct selection *selection) {
    selection->n_locked = 0;
    for (size_t i = 0; i < selection->n; i++) {
        struct wr_channel *channel = selection->cases[i].channel;
        size_t at = selection->n_locked;
        while (at > 0 && (uintptr_t)selection->locked[at - 1] > (uintptr_t)channel)
            at--;
        if (!channel || (at > 0 && selection->locked[at - 1] == channel))
            continue;
        for (size_t j = selection->n_locked++; j > at; j--)
            selection->locked[j] = selection->locked[j - 1];
        selection->locked[at] = channel;
    }
}

static void lock_all(struct selection *selection) {
    for (size_t i = 0; i < selection->n_locked; i++)
        wr_channel_lock(selection->locked[i]);
}

static void unlock_all(struct selection *selection) {
    for (size_t i = selection->n_locked; i-- > 0;)
        wr_channel_unlock(selection->locked[i]);
}

/* Looks at every case once more with all channels locked (C1). Either one goes, or an entry stands in every queue when the locks open. Two
 * selects that could meet have a channel in common, so one of them finds the other waiting. */
static bool try_or_enqueue(struct selection *selection, size_t *ret_index) {
    struct wr_channel_after after;
    lock_all(selection);
    for (size_t i = 0; i < selection->n; i++) {
        const size_t index = (selection->first + i) % selection->n;
        struct wr_channel_case *one = &selection->cases[index];
        if (!one->channel)
            continue;
        wr_channel_after_init(&after);
        if (try_case(one, &after)) {
            unlock_all(selection);
            wr_channel_after_run(one->channel, &after);
            *ret_index = index;
            return true;
        }
    }
    atomic_store_explicit(&selection->waiter.state, WR_WAITER_WAITING, memory_order_relaxed);
    for (size_t i = 0; i < selection->n; i++) {
        struct wr_channel_case *one = &selection->cases[i];
        selection->entries[i] = (struct wr_channel_entry){.waiter = &selection->waiter, .element = one->element, .index = i};
        if (one->channel)
            wr_channel_enqueue(one->channel, one->direction, &selection->entries[i]);
    }
    unlock_all(selection);
    return false;
}

/* C4: until every entry is out, a peer may still look at the waiter. */
static void dequeue_all(struct selection *selection) {
    for (size_t i = 0; i < selection->n; i++) {
        struct wr_channel_case *one = &selection->cases[i];
        if (!one->channel)
            continue;
        wr_channel_lock(one->channel);
        wr_channel_dequeue(one->channel, one->direction, &selection->entries[i]);
        wr_channel_unlock(one->channel);
    }
}

static enum wr_result wait_any(struct selection *selection, int64_t deadline_boot_ns, size_t *ret_index) {
    sort_channels(selection);
    if (try_or_enqueue(selection, ret_index))
        return WR_OK;
    const int64_t since_boot_ns = wr_clock_boot_ns(wr_clock_real());
    const enum wr_channel_waiter_state end = wr_channel_park(&selection->waiter, deadline_boot_ns, NULL);
    dequeue_all(selection);
    if (end != WR_WAITER_DONE)
        return WR_TIMEOUT;
    const size_t index = selection->waiter.index;
    struct wr_channel_case *chosen = &selection->cases[index];
    chosen->result = selection->waiter.result;
    wr_channel_add_wait(chosen->channel, chosen->direction, since_boot_ns); /* a select's wait counts where it ended */
    *ret_index = index;
    return WR_OK;
}

enum wr_result wr_channel_select(struct wr_channel_case *cases, size_t n, size_t *rotor, int64_t deadline_boot_ns, size_t *ret_index) {
    if (n > WR_CHANNEL_SELECT_MAX)
        return WR_LIMIT;
    struct selection selection; /* 8 KB: only what n needs is ever touched */
    selection.cases = cases;
    selection.n = n;
    selection.first = rotor && n > 0 ? *rotor % n : 0;
    size_t index = 0;
    if (!try_each(&selection, &index)) {
        if (deadline_boot_ns <= 0)
            return WR_TIMEOUT;
        WR_TRY(wait_any(&selection, deadline_boot_ns, &index));
    }
    if (rotor)
        *rotor = index + 1;
    *ret_index = index;
    return WR_OK;
}
