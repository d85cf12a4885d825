#include "transport/pace_drain.h"

#define SMOOTHING 8

void wr_pace_drain_begin(struct wr_pace_drain *pace, uint32_t window, int64_t now_boot_ns) {
    *pace = (struct wr_pace_drain){.window = window,
                                   .limit = window < WR_PACE_START ? window : WR_PACE_START,
                                   .starting = true,
                                   .base_ns = WR_NEVER_NS,
                                   .base_before_ns = WR_NEVER_NS,
                                   .base_since_boot_ns = now_boot_ns,
                                   .cuts = pace->cuts};
}

/* What the link needs. */
static int64_t base_of(const struct wr_pace_drain *pace) {
    return pace->base_ns < pace->base_before_ns ? pace->base_ns : pace->base_before_ns;
}

static void learn(struct wr_pace_drain *pace, int64_t latency_ns, int64_t now_boot_ns) {
    if (now_boot_ns - pace->base_since_boot_ns >= WR_PACE_BASE_NS) { /* P2 */
        pace->base_before_ns = pace->base_ns;
        pace->base_ns = WR_NEVER_NS;
        pace->base_since_boot_ns = now_boot_ns;
    }
    if (latency_ns < pace->base_ns)
        pace->base_ns = latency_ns;
    pace->latency_ns += pace->latency_ns == 0 ? latency_ns : (latency_ns - pace->latency_ns) / SMOOTHING;
}

static void cut(struct wr_pace_drain *pace, int64_t now_boot_ns) {
    pace->limit = pace->limit > 1 ? pace->limit / 2 : 1;
    pace->starting = false;
    pace->credit = 0;
    pace->cut_boot_ns = now_boot_ns;
    pace->cuts++;
}

static void grow(struct wr_pace_drain *pace) {
    if (pace->limit == pace->window)
        return;
    pace->credit++;
    if (!pace->starting && pace->credit < pace->limit)
        return;
    pace->credit = 0;
    pace->limit++;
}

void wr_pace_drain_acknowledged(struct wr_pace_drain *pace, int64_t published_boot_ns, bool used, int64_t now_boot_ns) {
    const int64_t latency_ns = now_boot_ns > published_boot_ns ? now_boot_ns - published_boot_ns : 0;
    learn(pace, latency_ns, now_boot_ns);
    if (published_boot_ns < pace->cut_boot_ns) /* P3 */
        return;
    if (latency_ns - base_of(pace) > WR_PACE_QUEUE_NS)
        cut(pace, now_boot_ns);
    else if (used) /* P4 */
        grow(pace);
}

void wr_pace_drain_enough(struct wr_pace_drain *pace, int64_t published_boot_ns, int64_t now_boot_ns) {
    if (published_boot_ns >= pace->cut_boot_ns)
        cut(pace, now_boot_ns);
}

uint32_t wr_pace_drain_bytes(const struct wr_pace_drain *pace, uint32_t window_bytes) {
    return (uint32_t)((uint64_t)window_bytes * pace->limit / pace->window);
}

bool wr_pace_drain_is_valid(const struct wr_pace_drain *pace) {
    return pace->limit >= 1 && pace->limit <= pace->window && pace->credit <= pace->limit; /* P1 */
}

void wr_pace_rate_sent(struct wr_pace_rate *rate, uint64_t bytes, int64_t now_boot_ns) {
    if (rate->bytes_per_s == 0)
        return;
    const int64_t earliest_ns = now_boot_ns - WR_PACE_BURST_NS;
    if (rate->free_boot_ns < earliest_ns)
        rate->free_boot_ns = earliest_ns;
    rate->free_boot_ns += (int64_t)((double)bytes / (double)rate->bytes_per_s * (double)WR_NS_PER_S);
}
