#include "agent/control/status_store.h"

#include <inttypes.h>

#include "agent/agent.h"
#include "core/quantity.h"

/* In the order in which they are shown. */
static const enum wr_lane lanes[] = {WR_LANE_ALARMS, WR_LANE_CHANGES, WR_LANE_WINDOWS};

static bool is_open(const struct wr_agent *agent) {
    return agent->store.state == WR_STORE_OPEN;
}

static bool has_limits(const struct wr_store_lane_options *lane) {
    return lane->quota_bytes > 0 || lane->ttl_ns > 0;
}

static const char *level_of(const struct wr_agent *agent) {
    return wr_budget_level_name((enum wr_budget_level)agent->store.stats->write_level);
}

void wr_status_store_json(const struct wr_agent *agent, struct wr_json *json) {
    const struct wr_store_options *options = &agent->store.options;
    if (!is_open(agent))
        return;
    wr_json_object(json, "lanes");
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        const struct wr_store_lane_options *lane = &options->lanes[lanes[i]];
        if (!has_limits(lane))
            continue;
        wr_json_object(json, wr_lane_name(lanes[i]));
        if (lane->quota_bytes > 0) {
            wr_json_uint(json, "quota_bytes", lane->quota_bytes);
            wr_json_uint(json, "bytes", agent->store.stats->lane_bytes[lanes[i]]);
        }
        if (lane->ttl_ns > 0)
            wr_json_int(json, "ttl_s", lane->ttl_ns / WR_NS_PER_S);
        wr_json_object_end(json);
    }
    wr_json_object_end(json);
    if (options->write_budget_bytes == 0)
        return;
    wr_json_object(json, "write_budget");
    wr_json_string(json, "level", level_of(agent));
    wr_json_uint(json, "limit_bytes", options->write_budget_bytes);
    wr_json_uint(json, "spent_bytes", agent->store.stats->write_spent_bytes);
    wr_json_object_end(json);
}

static enum wr_result lane_text(const struct wr_agent *agent, enum wr_lane lane, struct wr_buf *into) {
    const struct wr_store_lane_options *options = &agent->store.options.lanes[lane];
    char bytes[32], quota[32], ttl[32];
    if (!has_limits(options))
        return WR_OK;
    WR_TRY(wr_buf_printf(into, "         %s:", wr_lane_name(lane)));
    if (options->quota_bytes > 0)
        WR_TRY(wr_buf_printf(into, " %s of its quota of %s",
                             wr_quantity_format_size(bytes, sizeof bytes, agent->store.stats->lane_bytes[lane]),
                             wr_quantity_format_size(quota, sizeof quota, options->quota_bytes)));
    if (options->ttl_ns > 0)
        WR_TRY(wr_buf_printf(into, "%s kept for %s", options->quota_bytes > 0 ? "," : "",
                             wr_quantity_format_duration(ttl, sizeof ttl, options->ttl_ns)));
    return wr_buf_text(into, "\n");
}

static const char *level_text(const struct wr_agent *agent) {
    switch ((enum wr_budget_level)agent->store.stats->write_level) {
    case WR_BUDGET_FREE:
        return "";
    case WR_BUDGET_SPARING:
        return ": commits wait as long as max_loss allows";
    default:
        return ": commits wait as long as max_loss allows, windows are widened";
    }
}

enum wr_result wr_status_store_text(const struct wr_agent *agent, struct wr_buf *into) {
    char spent[32], limit[32];
    if (!is_open(agent))
        return WR_OK;
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++)
        WR_TRY(lane_text(agent, lanes[i], into));
    const uint64_t budget = agent->store.options.write_budget_bytes;
    if (budget == 0)
        return WR_OK;
    return wr_buf_printf(into, "         %s of %s written today, %s%s\n",
                         wr_quantity_format_size(spent, sizeof spent, agent->store.stats->write_spent_bytes),
                         wr_quantity_format_size(limit, sizeof limit, budget), level_of(agent), level_text(agent));
}
