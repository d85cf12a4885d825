/* The limits of the store that the config sets. */
#include "agent/agent.h"

static struct wr_store_lane_options lane_options(const struct wr_config_lane *lane) {
    return lane ? (struct wr_store_lane_options){.quota_bytes = lane->quota_bytes, .ttl_ns = lane->ttl_ns}
                : (struct wr_store_lane_options){0};
}

void wr_agent_limit_store(struct wr_store_options *options, const struct wr_config_store *config) {
    const struct wr_config_lanes *lanes = config->lanes;
    options->write_budget_bytes = config->write_budget_bytes;
    if (!lanes)
        return;
    options->lanes[WR_LANE_ALARMS] = lane_options(lanes->alarms);
    options->lanes[WR_LANE_CHANGES] = lane_options(lanes->changes);
    options->lanes[WR_LANE_WINDOWS] = lane_options(lanes->windows);
}
