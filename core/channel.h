/* The channel: a bounded queue between threads, with the guarantees of Go's and a named answer to "full".
 *
 * Promise: elements of a fixed size are copied in and out, in order per sender; none is duplicated, and none is lost but by the policy, which
 * counts it. Capacity 0 is a rendezvous: a send succeeds only together with its receive. After wr_channel_close senders get WR_CLOSED
 * at once; receivers drain what is left, then see WR_CLOSED. A select over several channels takes exactly one.
 * Policies (what a send does when full): BLOCK waits; DROP_NEWEST counts the element as dropped and returns WR_OK with the element gone;
 * DROP_OLDEST drops the head instead; REJECT returns WR_FULL. A rendezvous takes only BLOCK or REJECT.
 *
 * Invariants (the code and the Promela model in tests/model/channel.pml refer to the numbers):
 *   I1  0 <= depth <= capacity
 *   I2  accepted = received + depth + dropped_oldest
 *   I3  a waiter sleeps only while its condition is false: no lost wake-up
 *   I4  a select that returns an index moved exactly one element, on that channel
 *   I5  after close no send succeeds
 *   I6  a descriptor is readable whenever its peer declared itself asleep and its condition became true
 *
 * Descriptors: an event loop that cannot wait in wr_channel_recv asks for an eventfd per direction. It is written only when the loop has
 * declared itself asleep with wr_channel_arm_*, so a busy channel costs no system call: take until empty; arm; if arm says "ready", take
 * again; else wait for the descriptor, then wr_channel_disarm_* and take.
 *
 * Threads: any thread, all functions, but new and free. May block: those with a deadline.
 * Ownership: elements are bytes to the channel. drop, if given, is called for every element that the policy drops or that is still inside
 * when the channel is freed, without the lock held, from the sender's (the freeing) thread; it must not write to the element.
 * Limits: capacity <= 65536; element <= 65536 bytes, with DROP_OLDEST and a drop function <= WR_CHANNEL_DROP_BYTES; a select over at most
 * WR_CHANNEL_SELECT_MAX cases (WR_LIMIT beyond); one event loop per direction. A loop that is armed is not a waiting receiver: on a
 * rendezvous its peer must block.
 * Units: deadlines are CLOCK_BOOTTIME nanoseconds as wr_clock_boot_ns of the real clock; 0 or any past time: try; WR_NEVER_NS: for ever.
 */
#ifndef WEIR_CORE_CHANNEL_H
#define WEIR_CORE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_CHANNEL_SELECT_MAX 128
#define WR_CHANNEL_DROP_BYTES 4096

enum wr_channel_policy {
    WR_CHANNEL_BLOCK,
    WR_CHANNEL_DROP_NEWEST,
    WR_CHANNEL_DROP_OLDEST,
    WR_CHANNEL_REJECT,
};

struct wr_channel;
struct wr_context;

struct wr_channel_options {
    const char *name; /* for metrics and reports; must outlive the channel */
    size_t capacity;
    size_t element_bytes;
    enum wr_channel_policy policy;
    void (*drop)(void *element, void *user);
    void *user;
};

struct wr_channel_stats {
    size_t depth;
    size_t high_water;
    uint64_t accepted;
    uint64_t received;
    uint64_t dropped_newest;
    uint64_t dropped_oldest;
    uint64_t rejected;
    uint64_t send_wait_ns; /* time that senders spent blocked, in all */
    uint64_t recv_wait_ns;
};

WR_MUST_USE enum wr_result wr_channel_new(const struct wr_channel_options *options, struct wr_channel **ret_channel, struct wr_error *err);
/* No thread may be inside any more. NULL is fine. */
void wr_channel_free(struct wr_channel *channel);

/* WR_OK, WR_CLOSED, WR_FULL (REJECT), WR_TIMEOUT (BLOCK, deadline passed). */
WR_MUST_USE enum wr_result wr_channel_send(struct wr_channel *channel, const void *element, int64_t deadline_boot_ns);
/* As send, and WR_CANCELED when the context ends first; the context's deadline counts too. */
WR_MUST_USE enum wr_result wr_channel_send_context(struct wr_channel *channel, const void *element, struct wr_context *context);
/* Never waits; with policy BLOCK a full channel gives WR_FULL. A rendezvous succeeds if a receiver waits already. */
WR_MUST_USE enum wr_result wr_channel_try_send(struct wr_channel *channel, const void *element);
/* Sends n elements under as few locks as possible, in order. *ret_sent tells how many were taken (dropped ones count as taken);
 * less than n only with a result other than WR_OK. */
WR_MUST_USE enum wr_result wr_channel_send_batch(struct wr_channel *channel, const void *elements, size_t n, int64_t deadline_boot_ns,
                                                 size_t *ret_sent);

/* WR_OK, WR_TIMEOUT, WR_CLOSED (closed and drained). */
WR_MUST_USE enum wr_result wr_channel_recv(struct wr_channel *channel, void *ret_element, int64_t deadline_boot_ns);
WR_MUST_USE enum wr_result wr_channel_recv_context(struct wr_channel *channel, void *ret_element, struct wr_context *context);
/* WR_OK, WR_EMPTY, WR_CLOSED. */
WR_MUST_USE enum wr_result wr_channel_try_recv(struct wr_channel *channel, void *ret_element);
/* Waits for the first, then takes what is there, at most max. *ret_n >= 1 with WR_OK. */
WR_MUST_USE enum wr_result wr_channel_recv_batch(struct wr_channel *channel, void *ret_elements, size_t max, int64_t deadline_boot_ns,
                                                 size_t *ret_n);

enum wr_channel_direction { WR_CHANNEL_SEND, WR_CHANNEL_RECV };

struct wr_channel_case {
    struct wr_channel *channel; /* NULL: this case is never ready */
    enum wr_channel_direction direction;
    void *element;         /* RECV: filled; SEND: read */
    enum wr_result result; /* set for the chosen case: WR_OK, WR_CLOSED; a SEND on a full channel with another policy than BLOCK is ready at once */
};

/* Waits until one case can go, takes exactly that one, and says which. Among several that are ready the choice starts at *rotor and moves
 * on (rotor may be NULL: first ready case wins, a priority). WR_TIMEOUT when the deadline passes first. */
WR_MUST_USE enum wr_result wr_channel_select(struct wr_channel_case *cases, size_t n, size_t *rotor, int64_t deadline_boot_ns,
                                             size_t *ret_index);

/* The descriptor that becomes readable when receiving (sending) may succeed, made at the first call. WR_IO when there is none. */
WR_MUST_USE enum wr_result wr_channel_descriptor(struct wr_channel *channel, enum wr_channel_direction direction, int *ret_fd,
                                                 struct wr_error *err);
/* Declares the loop asleep. True: the condition holds already, do not sleep (nothing is armed then). */
bool wr_channel_arm(struct wr_channel *channel, enum wr_channel_direction direction);
/* After waking up: clears the descriptor and the declaration. */
void wr_channel_disarm(struct wr_channel *channel, enum wr_channel_direction direction);

/* Idempotent. Wakes everybody. */
void wr_channel_close(struct wr_channel *channel);
bool wr_channel_is_closed(const struct wr_channel *channel);

void wr_channel_stats(const struct wr_channel *channel, struct wr_channel_stats *ret_stats);
const char *wr_channel_name(const struct wr_channel *channel);
size_t wr_channel_capacity(const struct wr_channel *channel);
/* All invariants that can be checked at rest; for tests and assertions. */
bool wr_channel_is_valid(const struct wr_channel *channel);

#endif
