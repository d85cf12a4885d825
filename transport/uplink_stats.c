/* What the uplink shows of itself: numbers for status and metrics, and the invariants that can be checked at rest. */
#include <stdio.h>
#include <string.h>

#include "transport/uplink.h"
#include "transport/uplink_private.h"

enum wr_uplink_state wr_uplink_state(const struct wr_uplink *uplink) {
    return uplink->state;
}

void wr_uplink_stats(const struct wr_uplink *uplink, struct wr_uplink_stats *ret_stats) {
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    *ret_stats = uplink->stats;
    ret_stats->state = (uint8_t)uplink->state;
    ret_stats->store_ready = uplink->store_ready;
    ret_stats->in_flight = load.in_flight;
    ret_stats->commands = (uint8_t)uplink->commands;
    ret_stats->in_flight_bytes = load.in_flight_bytes;
    ret_stats->window = uplink->window;
    ret_stats->max_packet_bytes = uplink->max_packet_bytes;
    ret_stats->pace = uplink->pace.limit;
    ret_stats->latency_ns = uplink->pace.latency_ns;
    ret_stats->pace_cuts = uplink->pace.cuts;
    ret_stats->clock_waits = uplink->clock_waits && uplink->state == WR_UPLINK_ONLINE;
    ret_stats->budget_level = uplink->budget_level;
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++)
        ret_stats->budgets[i] = (struct wr_uplink_budget){.limit_bytes = uplink->budgets[i].limit,
                                                          .spent_bytes = uplink->budgets[i].count.spent,
                                                          .ends_wall_ns = uplink->budgets[i].count.ends_wall_ns};
    ret_stats->waiting_refused = load.refused[0] + load.refused[1];
    ret_stats->direct_waiting = load.direct_waiting;
    ret_stats->attempts = uplink->attempts;
    ret_stats->opens_boot_ns = uplink->state == WR_UPLINK_OFFLINE && !uplink->open ? uplink->look_boot_ns : WR_NEVER_NS;
    ret_stats->broker = (uint8_t)wr_route_broker(&uplink->route);
    ret_stats->broker_why = uplink->route.why;
    ret_stats->home_boot_ns = uplink->route.home_boot_ns;
    ret_stats->failovers = uplink->route.failovers;
    ret_stats->redirects = uplink->route.redirects;
    ret_stats->strange_redirects = uplink->route.strange_redirects;
    ret_stats->returns = uplink->route.returns;
    ret_stats->retry_boot_ns = uplink->retry_boot_ns;
    ret_stats->online_since_boot_ns = uplink->online_since_boot_ns;
}

bool wr_uplink_is_valid(const struct wr_uplink *uplink) {
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    bool open = uplink->state == WR_UPLINK_ONLINE || uplink->state == WR_UPLINK_DRAINING;
    if (!open && (load.in_flight > 0 || uplink->commands != WR_UPLINK_COMMANDS_OFF))
        return false;
    if (load.in_flight > uplink->window || !wr_route_is_valid(&uplink->route) || !wr_pace_drain_is_valid(&uplink->pace))
        return false; /* U2 */
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++) {
        if (!wr_budget_is_valid(&uplink->budgets[i]))
            return false;
    }
    for (size_t lane = 0; lane < WR_LANES; lane++) {
        if (uplink->offering[lane] < uplink->offered[lane])
            return false;
    }
    for (size_t i = 0; i < uplink->n_items; i++) {
        const struct item *item = &uplink->items[i];
        if (item->state == ITEM_HELD && item->segment.body == NULL && item->bytes > 0)
            return false;
        if (item->state == ITEM_IN_FLIGHT && item->seq > uplink->offered[item->lane])
            return false; /* U3 */
    }
    return true;
}
