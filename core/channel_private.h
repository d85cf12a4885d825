/* The inside of the channel, shared by core/channel*.c and nobody else.
 *
 * How it works: nobody is woken to look again; a waiter is woken when its operation is done. A thread that must wait puts an entry into
 * the channel's queue and parks on its waiter's state. The peer that comes later takes the entry out, claims the waiter, copies the
 * element to or from the waiter's own memory, and wakes it. From this follow order (first come, first served), rendezvous (the same copy
 * without a ring) and select (one waiter with an entry in several queues: the claim is won once).
 *
 *   WAITING --(peer, under the channel's lock)--> CLAIMED --(peer, after the lock)--> DONE
 *   WAITING --(the waiter itself: its deadline)--> EXPIRED
 *   WAITING --(its context: wr_context_cancel)---> CANCELED
 *
 * A claimed waiter cannot leave: until DONE its memory belongs to the peer. DONE is the peer's last access. An entry whose waiter left
 * WAITING by another door is stale: whoever meets it in a queue takes it out and goes on.
 *
 * At rest (lock free), besides I1 and I2 of channel.h: while an entry in `receivers` can be claimed the ring is empty, while one in
 * `senders` can be claimed the ring is full; both at once only by one and the same select.
 *
 * The wake-ups W1 to W9 and the checks C1 to C8 are marked in the code; the Promela model in tests/model/channel.pml has the same numbers,
 * and tests/model/check takes them out one by one.
 *   W1  a send completes a waiting receiver           C1  before sleeping, look again under the lock, and stay under it until the entry
 *   W2  a receive completes a waiting sender              stands in the queue
 *   W3  close completes the waiting receivers         C2  a peer claims a waiter before it touches its memory; only one can
 *   W4  close completes the waiting senders           C3  who gives up waiting must win its own waiter; if not, the operation was done
 *   W5  a put writes the receivers' descriptor        C4  a select takes its other entries out before it returns
 *   W6  a take writes the senders' descriptor         C5  arm looks at the condition under the lock before it declares the loop asleep
 *   W7  close writes both descriptors                 C6  disarm clears the descriptor
 *   W8  who waits on a rendezvous writes the          C7  the kernel looks at the state once more before the thread sleeps
 *       descriptor of the other side                  C8  a send looks at closed under the lock
 *   W9  done unparks the thread
 *
 * Lock order: a select locks its channels in order of their addresses; nobody else holds two.
 */
#ifndef WEIR_CORE_CHANNEL_PRIVATE_H
#define WEIR_CORE_CHANNEL_PRIVATE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "core/channel.h"

enum wr_channel_waiter_state {
    WR_WAITER_WAITING,
    WR_WAITER_CLAIMED,
    WR_WAITER_DONE,
    WR_WAITER_EXPIRED,
    WR_WAITER_CANCELED,
};

struct wr_channel_waiter {
    _Atomic uint32_t state; /* enum wr_channel_waiter_state; the word it parks on */
    enum wr_result result;  /* these two are written by the claimer, between CLAIMED and DONE */
    size_t index;
};

struct wr_channel_entry {
    struct wr_channel_entry *prev;
    struct wr_channel_entry *next;
    struct wr_channel_waiter *waiter;
    void *element; /* where a receiver wants it, or where a sender has it */
    size_t index;  /* of the case, in a select */
    bool linked;   /* in a queue of its channel */
};

struct wr_channel_queue {
    struct wr_channel_entry *first;
    struct wr_channel_entry *last;
};

struct wr_channel {
    pthread_mutex_t mutex;
    struct wr_channel_queue waiting[2]; /* by enum wr_channel_direction */
    size_t capacity;
    size_t element_bytes;
    size_t head; /* ring index of the oldest element */
    size_t depth;
    enum wr_channel_policy policy;
    _Atomic bool closed; /* written under the lock */
    bool armed[2];       /* by direction: a loop declared itself asleep, and its descriptor was not written since */
    int fd[2];           /* by direction, -1: none yet */
    size_t high_water;
    uint64_t accepted;
    uint64_t received;
    uint64_t dropped_newest;
    uint64_t dropped_oldest;
    uint64_t rejected;
    _Atomic uint64_t wait_ns[2];
    void (*drop)(void *element, void *user);
    void *user;
    const char *name;
    alignas(max_align_t) unsigned char ring[]; /* the drop function gets pointers into it */
};

/* What a send leaves to do once the lock is released: waiters to wake, dropped elements to hand to the drop function. */
struct wr_channel_after {
    struct wr_channel_queue wake;
    const unsigned char *newest; /* the caller's elements that were turned away */
    size_t n_newest;
    size_t n_oldest; /* copies of heads that had to go */
    alignas(max_align_t) unsigned char oldest[WR_CHANNEL_DROP_BYTES];
};

/* Leaves `oldest` as it is: most sends drop nothing. */
void wr_channel_after_init(struct wr_channel_after *after);
/* Without any lock: wakes and drops. */
void wr_channel_after_run(struct wr_channel *channel, struct wr_channel_after *after);

/* Moves up to n elements in, under the lock; *ret_n tells how many. WR_OK with less than n: run `after` and call again. WR_FULL: policy
 * BLOCK and no room, or REJECT. WR_CLOSED. */
enum wr_result wr_channel_push(struct wr_channel *channel, const unsigned char *elements, size_t n, size_t *ret_n,
                               struct wr_channel_after *after);
/* Moves up to max elements out, under the lock. WR_EMPTY or WR_CLOSED with *ret_n == 0. */
enum wr_result wr_channel_pull(struct wr_channel *channel, unsigned char *ret_elements, size_t max, size_t *ret_n,
                               struct wr_channel_queue *wake);

/* Puts an entry at the end of a queue of the channel, under the lock, and tells an event loop on the other side. */
void wr_channel_enqueue(struct wr_channel *channel, enum wr_channel_direction direction, struct wr_channel_entry *entry);
/* Takes it out if it is still in. */
void wr_channel_dequeue(struct wr_channel *channel, enum wr_channel_direction direction, struct wr_channel_entry *entry);
/* Under the lock: true if a waiter could be claimed; takes stale entries out. */
bool wr_channel_has_waiter(struct wr_channel *channel, enum wr_channel_direction direction);

/* Sleeps until the waiter is done, its deadline passes or its context (or NULL) is cancelled; returns DONE, EXPIRED or CANCELED. */
enum wr_channel_waiter_state wr_channel_park(struct wr_channel_waiter *waiter, int64_t deadline_boot_ns, struct wr_context *context);
/* Books the time since then as waited. */
void wr_channel_add_wait(struct wr_channel *channel, enum wr_channel_direction direction, int64_t since_boot_ns);
/* Tells the claimed waiters of `wake` that they are done. */
void wr_channel_wake(struct wr_channel_queue *wake);
/* Under the lock: claims the first waiter of a direction, adds its entry to `wake` and returns it; NULL when nobody waits. The caller
 * copies the element before it releases the lock. */
struct wr_channel_entry *wr_channel_claim(struct wr_channel *channel, enum wr_channel_direction direction, enum wr_result result,
                                          struct wr_channel_queue *wake);

/* Under the lock: writes the descriptor of a direction if its loop sleeps. */
void wr_channel_signal(struct wr_channel *channel, enum wr_channel_direction direction);

void wr_channel_lock(const struct wr_channel *channel);
void wr_channel_unlock(const struct wr_channel *channel);

#endif
