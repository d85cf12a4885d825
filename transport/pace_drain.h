/* How fast the drain goes: no more in flight than the link carries without a queue, and no more bytes a second than the config allows.
 *
 * Promise: the limit is a share of the uplink's window, in messages and in bytes. It grows while acknowledgements come in time: at first with each of them, after the first cut by one
 * message a window; and is halved when one comes WR_PACE_QUEUE_NS later than the link needs, or when the broker says that it has enough. So a slow link has about a second of
 * messages under way: what is live, and alarms above all, does not wait behind minutes of backfill; and a fast link has the whole window after a few round trips.
 *   P1  1 <= limit <= window
 *   P2  what the link needs is the least latency of the last five to ten minutes: another route is learnt
 *   P3  one cut a window: of what was published before a cut nothing more is learnt
 *   P4  a window that is not used does not grow
 *   P5  over any time, what is held to the rate sends at most rate * (time + 1 s) and one message
 *
 * Threads: one at a time; pure: time is an argument. Units: CLOCK_BOOTTIME ns, bytes.
 * Source: additive increase, multiplicative decrease: D. Chiu, R. Jain (1989); slow start: RFC 5681; cut by delay: RFC 6817 (LEDBAT), for which a queue of 100 ms is
 * too much already; a cellular link alone varies by more.
 */
#ifndef WEIR_TRANSPORT_PACE_DRAIN_H
#define WEIR_TRANSPORT_PACE_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

#define WR_PACE_QUEUE_NS WR_NS_PER_S
#define WR_PACE_START 4                     /* messages */
#define WR_PACE_BASE_NS (300 * WR_NS_PER_S) /* what is older than two of them is forgotten */
#define WR_PACE_BURST_NS WR_NS_PER_S

struct wr_pace_drain {
    uint32_t window;
    uint32_t limit;
    bool starting;   /* nothing was cut yet */
    uint32_t credit; /* acknowledgements towards the next message */
    int64_t base_ns; /* least latency in this stretch; WR_NEVER_NS: none yet */
    int64_t base_before_ns;
    int64_t base_since_boot_ns;
    int64_t cut_boot_ns; /* what was published before does not count */
    int64_t latency_ns;  /* smoothed, to be shown; 0: none yet */
    uint64_t cuts;
};

/* A connection begins. The latency of an earlier one is forgotten: it may be another link. window >= 1. */
void wr_pace_drain_begin(struct wr_pace_drain *pace, uint32_t window, int64_t now_boot_ns);
/* An acknowledgement of what was published at published_boot_ns; used: the limit was in use. */
void wr_pace_drain_acknowledged(struct wr_pace_drain *pace, int64_t published_boot_ns, bool used, int64_t now_boot_ns);
/* The broker has enough of what was published then. */
void wr_pace_drain_enough(struct wr_pace_drain *pace, int64_t published_boot_ns, int64_t now_boot_ns);
/* The limit's share of a number of bytes. */
uint32_t wr_pace_drain_bytes(const struct wr_pace_drain *pace, uint32_t window_bytes);
bool wr_pace_drain_is_valid(const struct wr_pace_drain *pace);

/* Bytes a second. All zero: no limit. */
struct wr_pace_rate {
    uint64_t bytes_per_s;
    int64_t free_boot_ns; /* when what was sent is paid for */
};

/* When the next message may go: now, or later. */
static inline int64_t wr_pace_rate_ready_ns(const struct wr_pace_rate *rate) {
    return rate->bytes_per_s == 0 ? 0 : rate->free_boot_ns;
}

/* It goes, and so do those that do not wait. A rate that was not used is saved up for WR_PACE_BURST_NS. */
void wr_pace_rate_sent(struct wr_pace_rate *rate, uint64_t bytes, int64_t now_boot_ns);

#endif
