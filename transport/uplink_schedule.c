/* Whether the uplink is to be connected: its schedule, and what overrides it. */
#include "transport/uplink_private.h"

/* An alarm that the broker does not have, or may not: what is not known yet is asked for. */
static bool alarm_waits(const struct wr_uplink *uplink) {
    const struct cursor *live = &uplink->cursors[WR_CURSOR_LIVE][WR_LANE_ALARMS];
    const struct cursor *backfill = &uplink->cursors[WR_CURSOR_BACKFILL][WR_LANE_ALARMS];
    if (!uplink->store_ready)
        return false;
    if (live->maybe_more || (backfill->maybe_more && backfill->position < uplink->start_seq))
        return true;
    for (size_t i = 0; i < uplink->n_items; i++) {
        const struct item *item = &uplink->items[i];
        if (item->state != ITEM_FREE && item->lane == WR_LANE_ALARMS && item->refusals < WR_UPLINK_REFUSALS_TO_PARK &&
            item->suspicion.times < WR_UPLINK_REFUSALS_TO_PARK)
            return true; /* one that the broker refuses until somebody does something does not hold the link open */
    }
    return false;
}

static bool direct_waits(const struct wr_uplink *uplink) {
    for (size_t i = 0; i < DIRECTS; i++)
        if (uplink->directs[i].state == DIRECT_WAITING || uplink->directs[i].state == DIRECT_IN_FLIGHT)
            return true;
    return false;
}

void wr_uplink_look(struct wr_uplink *uplink, const struct wr_now *now) {
    uplink->open = wr_link_schedule_is_open(&uplink->config.schedule, now->boot_ns, &uplink->look_boot_ns);
    if (uplink->open)
        return;
    if (alarm_waits(uplink) || direct_waits(uplink))
        uplink->linger_boot_ns = wr_clock_add_ns(now->boot_ns, WR_LINK_LINGER_NS);
    if (now->boot_ns >= uplink->linger_boot_ns)
        return;
    uplink->open = true;
    if (uplink->linger_boot_ns < uplink->look_boot_ns)
        uplink->look_boot_ns = uplink->linger_boot_ns;
}

const char *wr_uplink_leaving_name(uint8_t leaving) {
    static const char *const names[] = {
        [WR_UPLINK_STAYS] = "stop", [WR_UPLINK_LEAVES] = "stop", [WR_UPLINK_GOES_HOME] = "move", [WR_UPLINK_CLOSES] = "schedule"};
    return names[leaving < sizeof names / sizeof names[0] ? leaving : 0];
}
