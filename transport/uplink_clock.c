/* Windows that were stamped by a clock which cannot be trusted yet wait for it to be set: a link that is up is what time comes over, mostly within seconds. */
#include "transport/uplink_private.h"

#define LOOK_NS WR_NS_PER_S /* nothing tells when the clock is set */

/* U14: from the first connection on, and no longer than that. */
void wr_uplink_clock_look(struct wr_uplink *uplink, const struct wr_now *now) {
    if (uplink->clock_until_boot_ns == 0)
        uplink->clock_until_boot_ns = wr_clock_add_ns(now->boot_ns, uplink->config.clock_wait_ns);
    uplink->clock_waits = !now->wall_trusted && now->boot_ns < uplink->clock_until_boot_ns;
    uplink->clock_look_boot_ns = wr_clock_add_ns(now->boot_ns, LOOK_NS);
    if (uplink->clock_until_boot_ns < uplink->clock_look_boot_ns)
        uplink->clock_look_boot_ns = uplink->clock_until_boot_ns;
}

bool wr_uplink_clock_bars(const struct wr_uplink *uplink, size_t lane) {
    return uplink->clock_waits && (lane == WR_LANE_WINDOWS || lane == WR_LANE_RAW);
}

int64_t wr_uplink_clock_wake_ns(const struct wr_uplink *uplink) {
    return uplink->clock_waits ? uplink->clock_look_boot_ns : WR_NEVER_NS;
}
