/* Metrics of what is inside the process: channels, the outbox as a whole, the uplink's numbers, commands over MQTT, the process itself. */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"

/* -- channels -------------------------------------------------------------------------------------------------------------------------- */

static double depth(void *user) {
    struct wr_channel_stats stats;
    wr_channel_stats(user, &stats);
    return (double)stats.depth;
}

static double high_water(void *user) {
    struct wr_channel_stats stats;
    wr_channel_stats(user, &stats);
    return (double)stats.high_water;
}

static enum wr_result add_channel(struct wr_agent *agent, const void *owner, struct wr_channel *channel, const char *labels) {
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_channel_depth", "Elements in the channel", .function = depth},
        {WR_METRIC_GAUGE, "weir_channel_high_water", "Most elements that were ever in it", .function = high_water},
    };
    return channel ? WR_METRICS_ADD_ALL(agent->metrics, owner, labels, list, channel) : WR_OK;
}

enum wr_result wr_agent_metrics_of_input(struct wr_agent *agent, uint32_t slot) {
    struct wr_agent_source *source = &agent->sources[slot];
    char name[128], labels[192];
    wr_metrics_label(name, sizeof name, "source", source->config->name);
    snprintf(labels, sizeof labels, "channel=\"source to engine\",%s", name);
    return add_channel(agent, source, source->batches, labels);
}

static enum wr_result add_channels(struct wr_agent *agent) {
    const struct {
        struct wr_channel *channel;
        const char *labels;
    } list[] = {
        {agent->store.from_engine, "channel=\"engine to store\""},     {agent->store.journal, "channel=\"engine to journal\""},
        {agent->actions.transitions, "channel=\"engine to actions\""}, {agent->store.from_uplink, "channel=\"uplink to store\""},
        {agent->store.to_uplink, "channel=\"store to uplink\""},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        WR_TRY(add_channel(agent, agent, list[i].channel, list[i].labels));
    return WR_OK;
}

/* -- outbox ---------------------------------------------------------------------------------------------------------------------------- */

/* The numbers of the store exist once it is open, and as long as the agent does. */
static double sum_of_lanes(const struct wr_agent *agent, const _Atomic uint64_t *lanes) {
    uint64_t sum = 0;
    for (unsigned lane = 0; agent->store.state == WR_STORE_OPEN && lane < WR_LANES; lane++)
        sum += lanes[lane];
    return (double)sum;
}

static double outbox_segments(void *user) {
    const struct wr_agent *agent = user;
    return agent->store.state == WR_STORE_OPEN ? sum_of_lanes(agent, agent->store.stats->unacked_segments) : 0;
}

static double outbox_bytes(void *user) {
    const struct wr_agent *agent = user;
    return agent->store.state == WR_STORE_OPEN ? sum_of_lanes(agent, agent->store.stats->unacked_bytes) : 0;
}

static double outbox_age(void *user) {
    const struct wr_agent *agent = user;
    const int64_t oldest_ns = agent->store.state == WR_STORE_OPEN ? (int64_t)agent->store.stats->oldest_unacked_wall_ns : 0;
    const int64_t now_ns = wr_clock_wall_ns(agent->clock);
    return oldest_ns > 0 && now_ns > oldest_ns ? (double)(now_ns - oldest_ns) / (double)WR_NS_PER_S : 0;
}

/* -- uplink ---------------------------------------------------------------------------------------------------------------------------- */

static struct wr_uplink_status status_of(struct wr_agent *agent) {
    struct wr_uplink_status status = {0};
    pthread_mutex_lock(&agent->lock);
    if (agent->uplink)
        wr_uplink_runner_status(agent->uplink->runner, &status);
    status.session.wire.sent += agent->wire_before.sent;
    status.session.wire.received += agent->wire_before.received;
    pthread_mutex_unlock(&agent->lock);
    return status;
}

static struct wr_uplink_stats uplink_of(struct wr_agent *agent) {
    return status_of(agent).uplink;
}

static double uplink_in_flight(void *user) {
    return uplink_of(user).in_flight;
}

static double uplink_attempts(void *user) {
    return uplink_of(user).attempts;
}

static double uplink_published(void *user) {
    return (double)uplink_of(user).published;
}

static double uplink_acknowledged(void *user) {
    return (double)uplink_of(user).acknowledged;
}

static double uplink_refused(void *user) {
    return (double)uplink_of(user).refused;
}

static double uplink_pace(void *user) {
    return uplink_of(user).pace;
}

static double uplink_pace_cuts(void *user) {
    return (double)uplink_of(user).pace_cuts;
}

static double uplink_latency(void *user) {
    return (double)uplink_of(user).latency_ns / (double)WR_NS_PER_S;
}

static double uplink_away(void *user) {
    const struct wr_uplink_stats uplink = uplink_of(user);
    return uplink.state == WR_UPLINK_ONLINE && uplink.broker_why != WR_ROUTE_FIRST;
}

static double uplink_failovers(void *user) {
    return (double)uplink_of(user).failovers;
}

static double uplink_redirects(void *user) {
    return (double)uplink_of(user).redirects;
}

static double uplink_strange_redirects(void *user) {
    return (double)uplink_of(user).strange_redirects;
}

static double uplink_returns(void *user) {
    return (double)uplink_of(user).returns;
}

static double uplink_wire_sent(void *user) {
    return (double)status_of(user).session.wire.sent;
}

static double uplink_wire_received(void *user) {
    return (double)status_of(user).session.wire.received;
}

static enum wr_result add_wire(struct wr_agent *agent) {
    static const char name[] = "weir_uplink_wire_bytes_total";
    static const char help[] = "Bytes on the wire, with TLS, repetitions and the headers of TCP and IP";
    WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_COUNTER, name, help, "direction=\"sent\"", uplink_wire_sent, agent));
    return wr_metrics_add_function(agent->metrics, agent, WR_METRIC_COUNTER, name, help, "direction=\"received\"", uplink_wire_received,
                                   agent);
}

static double budget_level(void *user) {
    return uplink_of(user).budget_level;
}

static double month_limit(void *user) {
    return (double)uplink_of(user).budgets[WR_BUDGET_MONTH].limit_bytes;
}

static double month_spent(void *user) {
    return (double)uplink_of(user).budgets[WR_BUDGET_MONTH].spent_bytes;
}

static double day_limit(void *user) {
    return (double)uplink_of(user).budgets[WR_BUDGET_DAY].limit_bytes;
}

static double day_spent(void *user) {
    return (double)uplink_of(user).budgets[WR_BUDGET_DAY].spent_bytes;
}

static enum wr_result add_budgets(struct wr_agent *agent) {
    static const struct {
        const char *name;
        const char *help;
        const char *label;
        double (*function)(void *user);
    } rows[] = {
        {"weir_uplink_budget_level", "0: nothing waits for the byte budget; 1: backfill does; 2: windows go at an even rate; 3: they wait",
         NULL, budget_level},
        {"weir_uplink_budget_bytes", "What the link may cost in a period; 0: no limit", "period=\"month\"", month_limit},
        {"weir_uplink_budget_bytes", "What the link may cost in a period; 0: no limit", "period=\"day\"", day_limit},
        {"weir_uplink_budget_spent_bytes", "What the link has cost in this period", "period=\"month\"", month_spent},
        {"weir_uplink_budget_spent_bytes", "What the link has cost in this period", "period=\"day\"", day_spent},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_GAUGE, rows[i].name, rows[i].help, rows[i].label, rows[i].function,
                                       agent));
    return WR_OK;
}

static enum wr_result add_brokers(struct wr_agent *agent) {
    static const char name[] = "weir_uplink_broker_changes_total";
    static const char help[] = "Changes to another broker of the list, by why; redirect_refused: the server named none of the list";
    static const struct {
        const char *label;
        double (*function)(void *user);
    } rows[] = {{"why=\"failover\"", uplink_failovers},
                {"why=\"redirect\"", uplink_redirects},
                {"why=\"redirect_refused\"", uplink_strange_redirects},
                {"why=\"return\"", uplink_returns}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_COUNTER, name, help, rows[i].label, rows[i].function, agent));
    return WR_OK;
}

/* -- commands over MQTT ------------------------------------------------------------------------------------------------------------------- */

static double commands_heard(void *user) {
    return uplink_of(user).commands == WR_UPLINK_COMMANDS_HEARD;
}

static double subscriptions_refused(void *user) {
    return (double)uplink_of(user).commands_refused;
}

static double commands_too_large(void *user) {
    return (double)status_of(user).session.commands.too_large;
}

static double commands_retained(void *user) {
    return (double)status_of(user).session.commands.retained;
}

static double commands_full(void *user) {
    return (double)status_of(user).session.commands.full;
}

static double answers_sent(void *user) {
    return (double)uplink_of(user).answers;
}

static double answers_dropped(void *user) {
    return (double)uplink_of(user).answers_dropped;
}

/* What came of each message: a line an outcome, whether the desk found it or the uplink before it. */
static enum wr_result add_outcomes(struct wr_agent *agent) {
    static const char name[] = "weir_commands_total";
    static const char help[] = "Messages on the topic of operators' commands over MQTT, by what came of them";
    static const struct {
        const char *label;
        double (*function)(void *user);
    } before[] = {
        {"outcome=\"too_large\"", commands_too_large}, {"outcome=\"retained\"", commands_retained}, {"outcome=\"full\"", commands_full}};
    for (int i = 0; i < WR_REMOTE_OUTCOMES; i++) {
        char label[64];
        wr_metrics_label(label, sizeof label, "outcome", wr_remote_outcome_name((enum wr_remote_outcome)i));
        WR_TRY(wr_metrics_add(agent->metrics, agent, WR_METRIC_COUNTER, name, help, label, &agent->remote_counters.outcomes[i]));
    }
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_COUNTER, name, help, before[i].label, before[i].function, agent));
    return WR_OK;
}

static double bundle_on_trial(void *user) {
    const struct wr_agent *agent = user;
    return agent->rollout.shown_trial;
}

/* Always there: the first shadow may come at any time. */
static enum wr_result add_shadow(struct wr_agent *agent) {
    struct wr_engine_shadow_shown *shown = &agent->engine.shadow.shown;
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_shadow_rules", "Rules that run in the shadow; 0: none do", .value = &shown->rules},
        {WR_METRIC_GAUGE, "weir_shadow_bundle_version", "Version of the bundle in the shadow; 0: none", .value = &agent->shadow.version},
        {WR_METRIC_GAUGE, "weir_shadow_alarms_active", "Alarms that would be active by the shadow rules", .value = &shown->active},
        {WR_METRIC_GAUGE, "weir_shadow_alarms_differing", "Alarms that would not be as they are, or were raised another number of times",
         .value = &shown->differ},
        {WR_METRIC_COUNTER, "weir_shadow_raised_total", "Alarms that shadow rules would have raised", .value = &shown->raised},
        {WR_METRIC_COUNTER, "weir_shadow_cleared_total", "Alarms that shadow rules would have cleared", .value = &shown->cleared},
        {WR_METRIC_COUNTER, "weir_shadow_readings_total", "Readings that shadow rules were shown", .value = &shown->readings},
        {WR_METRIC_COUNTER, "weir_shadow_skipped_total", "Readings that they were not shown, for want of time or memory",
         .value = &shown->skipped},
    };
    return WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, agent);
}

static enum wr_result add_bundles(struct wr_agent *agent) {
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_bundle_version", "Version of the bundle of rules in force; 0: none",
         .value = &agent->rollout.shown_version},
        {WR_METRIC_GAUGE, "weir_bundle_on_trial", "1: it is being watched", .function = bundle_on_trial},
        {WR_METRIC_COUNTER, "weir_bundles_kept_total", "Bundles whose time of watching is over", .value = &agent->rollout.kept},
        {WR_METRIC_COUNTER, "weir_bundles_rolled_back_total", "Bundles that were taken back, since alarms or errors jumped",
         .value = &agent->rollout.rolled_back},
    };
    return agent->rollout_open ? WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, agent) : WR_OK;
}

static enum wr_result add_commands(struct wr_agent *agent) {
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_commands_heard", "1: subscribed to operators' commands", .function = commands_heard},
        {WR_METRIC_COUNTER, "weir_commands_subscriptions_refused_total", "Subscriptions to commands that the broker did not grant",
         .function = subscriptions_refused},
        {WR_METRIC_COUNTER, "weir_commands_answers_total", "Answers to commands that the broker has", .function = answers_sent},
        {WR_METRIC_COUNTER, "weir_commands_answers_dropped_total", "Answers that the broker refused for good", .function = answers_dropped},
        {WR_METRIC_COUNTER, "weir_commands_unanswered_total", "Commands whose answer found no memory",
         .value = &agent->remote_counters.unanswered},
    };
    if (!agent->config->uplink || !agent->config->uplink->commands)
        return WR_OK;
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, agent));
    WR_TRY(add_bundles(agent));
    return add_outcomes(agent);
}

/* -- process --------------------------------------------------------------------------------------------------------------------------- */

static double resident_bytes(void *user) {
    (void)user;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* What is allocated and not freed: where this grows, something leaks. Resident memory also grows by pages that are touched late. */
static double heap_used_bytes(void *user) {
    (void)user;
#ifdef __GLIBC__
    const struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
#else
    return 0; /* musl does not say */
#endif
}

static double open_descriptors(void *user) {
    (void)user;
    DIR *directory = opendir("/proc/self/fd");
    double n = -1; /* the one of the directory itself */
    for (const struct dirent *entry; directory && (entry = readdir(directory)) != NULL;)
        n += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return n < 0 ? 0 : n;
}

static double cpu_seconds(void *user) {
    (void)user;
    struct timespec used = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double uptime_seconds(void *user) {
    const struct wr_agent *agent = user;
    return (double)(wr_clock_boot_ns(agent->clock) - agent->started_boot_ns) / (double)WR_NS_PER_S;
}

enum wr_result wr_agent_metrics_inside(struct wr_agent *agent) {
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_outbox_segments", "Segments of all lanes that wait for the broker", .function = outbox_segments},
        {WR_METRIC_GAUGE, "weir_outbox_bytes", "Bytes of all lanes that wait for the broker", .function = outbox_bytes},
        {WR_METRIC_GAUGE, "weir_outbox_oldest_seconds", "Age of the oldest segment that waits; 0: none", .function = outbox_age},
        {WR_METRIC_GAUGE, "weir_uplink_in_flight", "Segments published and not acknowledged", .function = uplink_in_flight},
        {WR_METRIC_GAUGE, "weir_uplink_failed_attempts", "Failed connections in a row", .function = uplink_attempts},
        {WR_METRIC_COUNTER, "weir_uplink_published_total", "Segments published", .function = uplink_published},
        {WR_METRIC_COUNTER, "weir_uplink_acknowledged_total", "Segments acknowledged by the broker", .function = uplink_acknowledged},
        {WR_METRIC_COUNTER, "weir_uplink_refused_total", "Segments refused by the broker", .function = uplink_refused},
        {WR_METRIC_GAUGE, "weir_uplink_pace", "Messages that may be in flight at once, as the link carries them", .function = uplink_pace},
        {WR_METRIC_COUNTER, "weir_uplink_pace_cuts_total", "Times that the pace was halved", .function = uplink_pace_cuts},
        {WR_METRIC_GAUGE, "weir_uplink_acknowledgement_seconds", "From publish to acknowledgement, smoothed", .function = uplink_latency},
        {WR_METRIC_GAUGE, "weir_uplink_away", "1: online, but not at the first choice of several brokers", .function = uplink_away},
        {WR_METRIC_GAUGE, "weir_uptime_seconds", "Since the start of the agent", .function = uptime_seconds},
        {WR_METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory", .function = resident_bytes},
        {WR_METRIC_GAUGE, "weir_heap_used_bytes", "Allocated and not freed; 0: the C library does not say", .function = heap_used_bytes},
        {WR_METRIC_GAUGE, "process_open_fds", "Open descriptors", .function = open_descriptors},
        {WR_METRIC_COUNTER, "process_cpu_seconds_total", "Processor time used, kernel counted", .function = cpu_seconds},
    };
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, agent));
    WR_TRY(add_brokers(agent));
    WR_TRY(add_wire(agent));
    WR_TRY(add_budgets(agent));
    WR_TRY(add_commands(agent));
    WR_TRY(add_shadow(agent));
    return add_channels(agent);
}
