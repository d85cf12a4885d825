#include "agent/control/status_uplink.h"

#include <inttypes.h>

#include "agent/agent.h"
#include "core/quantity.h"

static const char *const commands_words[] = {[WR_UPLINK_COMMANDS_OFF] = "off",
                                             [WR_UPLINK_COMMANDS_ASKED] = "asked",
                                             [WR_UPLINK_COMMANDS_HEARD] = "heard",
                                             [WR_UPLINK_COMMANDS_REFUSED] = "refused"};

static uint64_t commands_not_done(const struct wr_agent *agent, const struct wr_uplink_status *status) {
    const struct wr_command_counts *before = &status->session.commands;
    uint64_t sum = before->too_large + before->retained + before->full;
    for (int i = WR_REMOTE_DONE + 1; i < WR_REMOTE_OUTCOMES; i++)
        sum += agent->remote_counters.outcomes[i];
    return sum;
}

static void commands_json(const struct wr_agent *agent, const struct wr_uplink_status *status, struct wr_json *json) {
    wr_json_object(json, "commands");
    wr_json_string(json, "state", commands_words[status->uplink.commands]);
    wr_json_string(json, "cause", status->uplink.commands == WR_UPLINK_COMMANDS_REFUSED ? status->uplink.commands_cause : "");
    wr_json_uint(json, "done", agent->remote_counters.outcomes[WR_REMOTE_DONE]);
    wr_json_uint(json, "not_done", commands_not_done(agent, status));
    if (agent->rollout_open) {
        wr_json_uint(json, "bundle", agent->rollout.shown_version);
        wr_json_bool(json, "bundle_on_trial", agent->rollout.shown_trial);
        wr_json_uint(json, "bundle_in_the_shadow", agent->rollout.shown_shadow);
    }
    wr_json_object_end(json);
}

static uint64_t seconds_until(const struct wr_agent *agent, int64_t boot_ns) {
    const int64_t left_ns = boot_ns - wr_clock_boot_ns(agent->clock);
    return left_ns > 0 ? (uint64_t)(left_ns / WR_NS_PER_S) : 0;
}

static void brokers_json(const struct wr_agent *agent, const struct wr_uplink_status *status, struct wr_json *json) {
    wr_json_object(json, "broker");
    wr_json_string(json, "url", wr_uplink_link_broker(agent->uplink, status));
    wr_json_string(json, "why", wr_route_why_name(status->uplink.broker_why));
    wr_json_uint(json, "of", agent->uplink->config->n_brokers);
    if (status->uplink.home_boot_ns != WR_NEVER_NS)
        wr_json_uint(json, "returns_in_s", seconds_until(agent, status->uplink.home_boot_ns));
    wr_json_uint(json, "failovers", status->uplink.failovers);
    wr_json_uint(json, "redirects", status->uplink.redirects);
    wr_json_uint(json, "redirects_not_followed", status->uplink.strange_redirects);
    wr_json_uint(json, "returns", status->uplink.returns);
    wr_json_object_end(json);
}

static bool has_budget(const struct wr_uplink_status *status) {
    const struct wr_uplink_budget *budgets = status->uplink.budgets;
    return budgets[WR_BUDGET_MONTH].limit_bytes > 0 || budgets[WR_BUDGET_DAY].limit_bytes > 0;
}

static void budgets_json(const struct wr_uplink_status *status, struct wr_json *json) {
    wr_json_object(json, "budget");
    wr_json_string(json, "level", wr_budget_level_name((enum wr_budget_level)status->uplink.budget_level));
    for (int i = 0; i < WR_BUDGET_PERIODS; i++) {
        const struct wr_uplink_budget *budget = &status->uplink.budgets[i];
        char until[32];
        wr_json_object(json, wr_budget_period_name((enum wr_budget_period)i));
        wr_json_uint(json, "limit_bytes", budget->limit_bytes);
        wr_json_uint(json, "spent_bytes", budget->spent_bytes);
        if (budget->ends_wall_ns != 0)
            wr_json_string(json, "until", wr_clock_format(until, sizeof until, budget->ends_wall_ns));
        wr_json_object_end(json);
    }
    wr_json_object_end(json);
}

void wr_status_uplink_json(struct wr_agent *agent, struct wr_json *json) {
    if (!agent->uplink) {
        wr_json_null(json, "uplink");
        return;
    }
    struct wr_uplink_status status;
    char until[32];
    wr_uplink_runner_status(agent->uplink->runner, &status);
    wr_json_object(json, "uplink");
    wr_json_string(json, "state", wr_uplink_state_name(status.uplink.state));
    wr_json_string(json, "cause", status.uplink.cause);
    wr_json_uint(json, "reason", status.uplink.reason);
    if (status.uplink.opens_boot_ns != WR_NEVER_NS)
        wr_json_uint(json, "opens_in_s", seconds_until(agent, status.uplink.opens_boot_ns));
    brokers_json(agent, &status, json);
    wr_json_string(json, "warning", status.session.tls_warning);
    if (status.session.cert_expires_wall_ns != WR_NEVER_NS)
        wr_json_string(json, "certificate_until", wr_clock_format(until, sizeof until, status.session.cert_expires_wall_ns));
    wr_json_string(json, "mqtt", wr_session_version_name(status.uplink.mqtt_version));
    wr_json_uint(json, "attempts", status.uplink.attempts);
    wr_json_uint(json, "connections", status.uplink.connections);
    wr_json_uint(json, "in_flight", status.uplink.in_flight);
    wr_json_uint(json, "window", status.uplink.window);
    wr_json_uint(json, "pace", status.uplink.pace);
    wr_json_double(json, "acknowledgement_s", (double)status.uplink.latency_ns / 1e9);
    wr_json_uint(json, "published", status.uplink.published);
    wr_json_uint(json, "acknowledged", status.uplink.acknowledged);
    wr_json_uint(json, "refused", status.uplink.refused);
    wr_json_uint(json, "parked", status.uplink.parked);
    wr_json_uint(json, "resent", status.uplink.resent);
    wr_json_uint(json, "sent_bytes", status.session.sent_bytes);
    wr_json_uint(json, "wire_sent_bytes", agent->wire_before.sent + status.session.wire.sent);
    wr_json_uint(json, "wire_received_bytes", agent->wire_before.received + status.session.wire.received);
    wr_json_bool(json, "waits_for_clock", status.uplink.clock_waits);
    if (has_budget(&status))
        budgets_json(&status, json);
    if (agent->uplink->commands)
        commands_json(agent, &status, json);
    wr_json_object_end(json);
}

static enum wr_result commands_text(const struct wr_agent *agent, const struct wr_uplink_status *status, struct wr_buf *into) {
    const bool refused = status->uplink.commands == WR_UPLINK_COMMANDS_REFUSED;
    const char *heard = status->uplink.commands == WR_UPLINK_COMMANDS_HEARD ? "heard" : refused ? "not heard: " : "not heard now";
    return wr_buf_printf(into, "         commands %s%s; %" PRIu64 " done, %" PRIu64 " not\n", heard,
                         refused ? status->uplink.commands_cause : "", (uint64_t)agent->remote_counters.outcomes[WR_REMOTE_DONE],
                         commands_not_done(agent, status));
}

static enum wr_result broker_text(const struct wr_agent *agent, const struct wr_uplink_status *status, struct wr_buf *into) {
    const char *broker = wr_uplink_link_broker(agent->uplink, status);
    if (agent->uplink->config->n_brokers == 1)
        return wr_buf_printf(into, "         broker %s\n", broker);
    WR_TRY(wr_buf_printf(into, "         broker %s, %s of %u; %" PRIu64 " failovers, %" PRIu64 " returns", broker,
                         wr_route_why_name(status->uplink.broker_why), agent->uplink->config->n_brokers, status->uplink.failovers,
                         status->uplink.returns));
    if (status->uplink.home_boot_ns == WR_NEVER_NS)
        return wr_buf_text(into, "\n");
    char left[32];
    wr_quantity_format_duration(left, sizeof left, (int64_t)seconds_until(agent, status->uplink.home_boot_ns) * WR_NS_PER_S);
    return wr_buf_printf(into, "; back to the first choice in %s\n", left);
}

static enum wr_result budgets_text(const struct wr_uplink_status *status, struct wr_buf *into) {
    static const char *const effects[WR_BUDGET_LEVELS] = {[WR_BUDGET_FREE] = "",
                                                          [WR_BUDGET_SPARING] = ": windows from before this start wait",
                                                          [WR_BUDGET_SLOW] = ": windows go at an even rate, older ones wait",
                                                          [WR_BUDGET_SPENT] = ": windows wait, alarms and changes go"};
    const char *between = "         budget ";
    for (int i = 0; i < WR_BUDGET_PERIODS; i++) {
        const struct wr_uplink_budget *budget = &status->uplink.budgets[i];
        char spent[32];
        char limit[32];
        if (budget->limit_bytes == 0)
            continue;
        WR_TRY(wr_buf_printf(into, "%s%s of %s this %s", between, wr_quantity_format_size(spent, sizeof spent, budget->spent_bytes),
                             wr_quantity_format_size(limit, sizeof limit, budget->limit_bytes),
                             wr_budget_period_name((enum wr_budget_period)i)));
        between = ", ";
    }
    return wr_buf_printf(into, "%s\n", effects[status->uplink.budget_level]);
}

static enum wr_result bundle_text(const struct wr_agent *agent, struct wr_buf *into) {
    const uint64_t version = agent->rollout.shown_version;
    if (!agent->rollout_open)
        return WR_OK;
    if (agent->rollout.shown_shadow != 0)
        WR_TRY(wr_buf_printf(into, "         bundle %" PRIu64 " in the shadow\n", agent->rollout.shown_shadow));
    if (version == 0)
        return wr_buf_text(into, "         bundle none yet\n");
    return wr_buf_printf(into, "         bundle %" PRIu64 "%s\n", version, agent->rollout.shown_trial ? ", on trial" : "");
}

enum wr_result wr_status_uplink_text(struct wr_agent *agent, struct wr_buf *into) {
    if (!agent->uplink)
        return wr_buf_text(into, "uplink   none configured\n");
    struct wr_uplink_status status;
    char until[32];
    wr_uplink_runner_status(agent->uplink->runner, &status);
    const char *version = wr_session_version_name(status.uplink.mqtt_version);
    WR_TRY(wr_buf_printf(into, "uplink   %s%s%s; %" PRIu64 " segments acknowledged, %u in flight\n",
                         wr_uplink_state_name(status.uplink.state), version[0] ? ", MQTT " : "", version, status.uplink.acknowledged,
                         status.uplink.in_flight));
    WR_TRY(broker_text(agent, &status, into));
    if (has_budget(&status))
        WR_TRY(budgets_text(&status, into));
    if (status.uplink.clock_waits)
        WR_TRY(wr_buf_text(into, "         windows wait until the clock is set, two minutes at most\n"));
    if (status.uplink.opens_boot_ns != WR_NEVER_NS) {
        char left[32];
        wr_quantity_format_duration(left, sizeof left, (int64_t)seconds_until(agent, status.uplink.opens_boot_ns) * WR_NS_PER_S);
        return wr_buf_printf(into, "         by its schedule it connects in %s, or when there is an alarm\n", left);
    }
    if (status.uplink.state == WR_UPLINK_ONLINE && status.uplink.pace_cuts > 0 && status.uplink.pace < status.uplink.window)
        WR_TRY(wr_buf_printf(into, "         slowed down to %u of %u messages at once: an acknowledgement takes %.3g s\n",
                             status.uplink.pace, status.uplink.window, (double)status.uplink.latency_ns / 1e9));
    if (agent->uplink->commands)
        WR_TRY(commands_text(agent, &status, into));
    WR_TRY(bundle_text(agent, into));
    if (status.session.tls_warning[0])
        WR_TRY(wr_buf_printf(into, "         the last good certificate files are in use: %s\n", status.session.tls_warning));
    if (status.session.cert_expires_wall_ns != WR_NEVER_NS)
        WR_TRY(wr_buf_printf(into, "         certificate until %s\n",
                             wr_clock_format(until, sizeof until, status.session.cert_expires_wall_ns)));
    if (status.uplink.state != WR_UPLINK_ONLINE && status.uplink.cause[0])
        return wr_buf_printf(into, "         %s (attempt %u)\n", status.uplink.cause, status.uplink.attempts);
    return WR_OK;
}
