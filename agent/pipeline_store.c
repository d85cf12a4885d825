/* What the config says of the store. */
#include <string.h>

#include "agent/agent.h"

static struct wr_store_lane_options lane_options(const struct wr_config_lane *lane) {
    return lane ? (struct wr_store_lane_options){.quota_bytes = lane->quota_bytes, .ttl_ns = lane->ttl_ns}
                : (struct wr_store_lane_options){0};
}

static void limit_lanes(struct wr_store_options *options, const struct wr_config_lanes *lanes) {
    if (!lanes)
        return;
    options->lanes[WR_LANE_ALARMS] = lane_options(lanes->alarms);
    options->lanes[WR_LANE_CHANGES] = lane_options(lanes->changes);
    options->lanes[WR_LANE_WINDOWS] = lane_options(lanes->windows);
}

struct wr_store_options wr_agent_store_options(const struct wr_config *config) {
    const struct wr_config_store *store = config->store;
    struct wr_store_options options = {.budget_bytes = store->budget_bytes,
                                       .free_floor_bytes = store->free_floor_bytes,
                                       .max_loss_ns = store->max_loss_ns,
                                       .ledger_every_ns =
                                           config->uplink ? store->ledger_every_ns : 0, /* without an uplink nobody reads them */
                                       .write_budget_bytes = store->write_budget_bytes};
    limit_lanes(&options, store->lanes);
    strncpy(options.node, config->node->id, sizeof options.node - 1);
    return options;
}
