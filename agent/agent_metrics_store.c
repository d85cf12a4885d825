/* Metrics of the store's limits: they exist where the config sets some. */
#include "agent/agent.h"

static double quota_bytes(void *user) {
    return (double)((const struct wr_store_lane_options *)user)->quota_bytes;
}

static double ttl_seconds(void *user) {
    return (double)((const struct wr_store_lane_options *)user)->ttl_ns / (double)WR_NS_PER_S;
}

static double write_budget_bytes(void *user) {
    return (double)((const struct wr_store_options *)user)->write_budget_bytes;
}

static enum wr_result add_lane(struct wr_agent *agent, enum wr_lane lane) {
    struct wr_store_lane_options *options = &agent->store.options.lanes[lane];
    char label[64];
    wr_metrics_label(label, sizeof label, "lane", wr_lane_name(lane));
    if (options->ttl_ns > 0)
        WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_GAUGE, "weir_store_lane_ttl_seconds", "Time to live in a lane",
                                       label, ttl_seconds, options));
    if (options->quota_bytes == 0)
        return WR_OK;
    WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_GAUGE, "weir_store_lane_quota_bytes", "What a lane may take", label,
                                   quota_bytes, options));
    return wr_metrics_add(agent->metrics, agent, WR_METRIC_GAUGE, "weir_store_lane_bytes",
                          "What a lane takes, as its quota counts it; 0 until it is counted", label, &agent->store.stats->lane_bytes[lane]);
}

enum wr_result wr_agent_metrics_limits(struct wr_agent *agent) {
    const struct wr_store_stats *stats = agent->store.stats;
    for (unsigned lane = 0; lane < WR_LANES; lane++)
        WR_TRY(add_lane(agent, (enum wr_lane)lane));
    if (agent->store.options.write_budget_bytes == 0)
        return WR_OK;
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_store_write_budget_bytes", "What may be written in a day", .function = write_budget_bytes},
        {WR_METRIC_GAUGE, "weir_store_write_budget_spent_bytes", "What was written of it", .value = &stats->write_spent_bytes},
        {WR_METRIC_GAUGE, "weir_store_write_budget_level",
         "0: nothing is spared; 1: commits wait as long as max_loss allows; 2, 3: windows are longer as well",
         .value = &stats->write_level},
    };
    return WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, &agent->store.options);
}
