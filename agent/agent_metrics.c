/* The metrics of all parts, as /metrics shows them. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/process/certificates.h"

/* What only some kinds have. */
static enum wr_result add_rounds(struct wr_agent *agent, const struct wr_agent_source *source, const char *label) {
    const struct wr_intake_counters *c = &source->counters;
    const int kind = source->config->kind;
    const struct wr_metric_row rounds[] = {
        {WR_METRIC_COUNTER, "weir_source_rounds_total", "Rounds of a poller", .value = &c->rounds},
        {WR_METRIC_COUNTER, "weir_source_rounds_skipped_total", "Rounds skipped: no free batch, or the one before still ran",
         .value = &c->rounds_skipped},
    };
    const struct wr_metric_row programs[] = {
        {WR_METRIC_COUNTER, "weir_source_programs_total", "Programs started", .value = &c->programs},
        {WR_METRIC_COUNTER, "weir_source_programs_failed_total", "Programs that did not start, or ended with an error",
         .value = &c->programs_failed},
        {WR_METRIC_COUNTER, "weir_source_programs_killed_total", "Programs killed for their time or output", .value = &c->programs_killed},
    };
    const struct wr_metric_row messages[] = {
        {WR_METRIC_GAUGE, "weir_source_connected", "1: subscribed at the broker", .value = &c->mqtt.connected},
        {WR_METRIC_COUNTER, "weir_source_connects_total", "Connections to the broker that got as far as subscribed",
         .value = &c->mqtt.connects},
        {WR_METRIC_COUNTER, "weir_source_connect_failures_total", "Attempts to connect that failed, and connections that were lost",
         .value = &c->mqtt.failures},
        {WR_METRIC_COUNTER, "weir_source_messages_total", "Messages taken from the broker", .value = &c->mqtt.messages},
        {WR_METRIC_COUNTER, "weir_source_messages_redelivered_total", "Of them, those that the broker had sent before",
         .value = &c->mqtt.redelivered},
        {WR_METRIC_GAUGE, "weir_source_messages_waiting", "Messages that wait for the engine", .value = &c->mqtt.waiting},
        {WR_METRIC_COUNTER, "weir_source_pauses_total", "Times that reading from the broker paused, since the engine was behind",
         .value = &c->mqtt.pauses},
    };
    if (kind == WR_SOURCE_MQTT)
        WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, source, label, messages, NULL));
    if (kind == WR_SOURCE_EXEC || kind == WR_SOURCE_SYSTEM)
        WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, source, label, rounds, NULL));
    if (kind == WR_SOURCE_EXEC || kind == WR_SOURCE_EXECD)
        WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, source, label, programs, NULL));
    return WR_OK;
}

static bool listens(const struct wr_config_source *config, enum wr_address_kind kind) {
    for (unsigned i = 0; config->kind == WR_SOURCE_LINE && i < config->line.n_listen; i++)
        if (config->line.addresses[i].kind == kind)
            return true;
    return false;
}

/* What only some addresses have. */
static enum wr_result add_listeners(struct wr_agent *agent, struct wr_agent_source *source, const char *label) {
    const struct wr_intake_counters *c = &source->counters;
    const struct wr_metric_row datagrams[] = {
        {WR_METRIC_COUNTER, "weir_source_datagrams_total", "Datagrams read", .value = &c->datagrams},
        {WR_METRIC_COUNTER, "weir_source_datagrams_lost_total", "Datagrams that the kernel threw away: the socket's buffer was full",
         .value = &c->datagrams_lost},
    };
    const struct wr_metric_row handshakes[] = {
        {WR_METRIC_COUNTER, "weir_source_handshakes_total", "TLS handshakes that succeeded", .value = &c->handshakes},
        {WR_METRIC_COUNTER, "weir_source_handshakes_resumed_total", "Of them, with the ticket of an earlier one",
         .value = &c->handshakes_resumed},
        {WR_METRIC_COUNTER, "weir_source_handshakes_failed_total", "TLS handshakes that failed", .value = &c->handshakes_failed},
    };
    if (listens(source->config, WR_ADDRESS_UDP))
        WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, source, label, datagrams, NULL));
    if (listens(source->config, WR_ADDRESS_TLS))
        WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, source, label, handshakes, NULL));
    return WR_OK;
}

enum wr_result wr_agent_metrics_of_source(struct wr_agent *agent, uint32_t slot) {
    struct wr_agent_source *source = &agent->sources[slot];
    char label[128];
    wr_metrics_label(label, sizeof label, "source", source->config->name);
    const struct wr_intake_counters *c = &source->counters;
    const struct wr_metric_row list[] = {
        {WR_METRIC_COUNTER, "weir_source_received_total", "Readings received", .value = &c->books[WR_BOOK_RECEIVED]},
        {WR_METRIC_COUNTER, "weir_source_bytes_total", "Bytes read", .value = &c->bytes},
        {WR_METRIC_COUNTER, "weir_source_batches_total", "Batches handed to the engine", .value = &c->batches},
        {WR_METRIC_COUNTER, "weir_source_waits_total", "Times the source had to wait for a free batch", .value = &c->waits},
        {WR_METRIC_GAUGE, "weir_source_connections", "Open connections", .value = &c->connections},
        {WR_METRIC_COUNTER, "weir_source_connections_refused_total", "Connections refused", .value = &c->connections_refused},
        {WR_METRIC_GAUGE, "weir_source_finished", "1: a source with an end has reached it", .value = &c->finished},
    };
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, source, label, list, NULL));
    WR_TRY(add_rounds(agent, source, label));
    WR_TRY(add_listeners(agent, source, label));
    for (unsigned book = 16; book < WR_BOOKS; book++) {
        if (!wr_book_name(book))
            continue;
        char labels[256], reason[64];
        wr_metrics_label(reason, sizeof reason, "reason", wr_book_name(book));
        snprintf(labels, sizeof labels, "%s,%s", label, reason);
        const char *name = wr_book_is_dropped(book) ? "weir_source_dropped_total" : "weir_source_rejected_total";
        const char *help =
            wr_book_is_dropped(book) ? "Readings dropped after they were received" : "Records refused before they were received";
        WR_TRY(wr_metrics_add(agent->metrics, source, WR_METRIC_COUNTER, name, help, labels, &c->books[book]));
    }
    return WR_OK;
}

static enum wr_result add_engine(struct wr_agent *agent) {
    const struct wr_engine_stats_shown *s = &agent->engine.shown;
    const struct wr_metric_row list[] = {
        {WR_METRIC_COUNTER, "weir_engine_taken_total", "Readings taken by the engine", .value = &s->taken},
        {WR_METRIC_COUNTER, "weir_engine_clamped_total", "Readings whose stamp lay in the future", .value = &s->clamped},
        {WR_METRIC_COUNTER, "weir_engine_moved_total", "Readings whose stamp was moved, since the clock of their device is off",
         .value = &s->moved},
        {WR_METRIC_COUNTER, "weir_engine_historic_total", "Readings that were old when they came", .value = &s->historic},
        {WR_METRIC_GAUGE, "weir_engine_skewed_streams", "Series of a source whose device has a clock that is off", .value = &s->skewed},
        {WR_METRIC_COUNTER, "weir_engine_late_total", "Readings that came after their window had closed", .value = &s->late},
        {WR_METRIC_COUNTER, "weir_engine_bad_total", "Readings of bad quality", .value = &s->bad},
        {WR_METRIC_COUNTER, "weir_engine_aggregates_total", "Windows closed", .value = &s->aggregates},
        {WR_METRIC_COUNTER, "weir_engine_widened_total", "Readings in windows that were longer than configured", .value = &s->widened},
        {WR_METRIC_GAUGE, "weir_engine_open_windows", "Windows open now", .value = &s->open_windows},
        {WR_METRIC_GAUGE, "weir_engine_memory_bytes", "Memory of window state", .value = &s->engine_bytes},
        {WR_METRIC_GAUGE, "weir_alarms_active", "Alarms that are raised or latched", .value = &s->alarms_active},
        {WR_METRIC_GAUGE, "weir_alarms_unacknowledged", "Alarms not acknowledged", .value = &s->alarms_unacked},
        {WR_METRIC_GAUGE, "weir_rule_instances", "Rule instances", .value = &s->instances},
        {WR_METRIC_COUNTER, "weir_rule_instances_refused_total", "Instances refused by max_instances", .value = &s->instances_refused},
        {WR_METRIC_COUNTER, "weir_alarm_transitions_total", "Alarm transitions", .value = &s->transitions},
        {WR_METRIC_COUNTER, "weir_alarm_unjournalled_total", "Transitions for which the journal had no room", .value = &s->unjournalled},
    };
    return WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, NULL);
}

static enum wr_result add_kind_of_action(struct wr_agent *agent, enum wr_action_kind kind) {
    const struct wr_action_counters *c = &agent->actions.kinds[kind];
    char label[64];
    wr_metrics_label(label, sizeof label, "kind", wr_action_kind_names[kind]);
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_action_queued", "Actions that wait or are under way", .value = &c->queued},
        {WR_METRIC_COUNTER, "weir_action_done_total", "Actions carried out", .value = &c->done},
        {WR_METRIC_COUNTER, "weir_action_retried_total", "Tries that failed and were followed by another", .value = &c->retried},
        {WR_METRIC_COUNTER, "weir_action_dead_total", "Actions given up: dead letters", .value = &c->dead},
        {WR_METRIC_COUNTER, "weir_action_repeats_dropped_total",
         "Repeats, and states of topics, dropped since newer or more important ones came", .value = &c->repeats},
    };
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, label, list, NULL));
    return wr_metrics_add_histogram(agent->metrics, agent, "weir_action_seconds", "From the alarm to the end of its action", label,
                                    &c->latency);
}

static enum wr_result add_actions(struct wr_agent *agent) {
    const struct wr_actions *a = &agent->actions;
    const struct wr_metric_row list[] = {
        {WR_METRIC_COUNTER, "weir_action_logged_total", "Alarms logged", .value = &a->logged},
        {WR_METRIC_COUNTER, "weir_action_published_total", "Alarms given to the uplink by mqtt actions", .value = &a->published},
        {WR_METRIC_COUNTER, "weir_action_programs_total", "Programs started", .value = &a->programs_started},
        {WR_METRIC_COUNTER, "weir_action_programs_failed_total", "Programs that did not start or ended with an error",
         .value = &a->programs_failed},
        {WR_METRIC_COUNTER, "weir_action_programs_killed_total", "Programs killed since they overran", .value = &a->programs_killed},
        {WR_METRIC_COUNTER, "weir_action_failed_total", "Actions given up, of all kinds", .value = &a->failed},
        {WR_METRIC_COUNTER, "weir_action_unjournalled_total", "Actions that did not wait for the journal any longer",
         .value = &a->unjournalled},
        {WR_METRIC_GAUGE, "weir_action_delayed", "Actions that wait for their time (`after`)", .value = &a->delayed},
        {WR_METRIC_COUNTER, "weir_action_needless_total", "Of them, those that `unless` made needless", .value = &a->needless},
    };
    for (int kind = 0; kind < WR_ACTION_KINDS; kind++)
        WR_TRY(add_kind_of_action(agent, (enum wr_action_kind)kind));
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, NULL));
    return wr_metrics_add_histogram(agent->metrics, agent, "weir_alarm_latency_seconds",
                                    "Arrival of the reading to just before its first action", NULL, &a->latency);
}

static double workers_queued(void *user) {
    return (double)wr_pool_queued(((struct wr_agent *)user)->workers);
}

static double scheduler_runs(void *user) {
    return (double)wr_scheduler_loop_runs(((struct wr_agent *)user)->scheduler);
}

static double scheduler_missed(void *user) {
    return (double)wr_scheduler_loop_missed(((struct wr_agent *)user)->scheduler);
}

static enum wr_result add_workers(struct wr_agent *agent) {
    const struct wr_pool_counters *c = wr_pool_counters(agent->workers);
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_pool_threads", "Threads for work that blocks", .value = &c->threads},
        {WR_METRIC_GAUGE, "weir_pool_busy_threads", "Of them, those at work", .value = &c->busy},
        {WR_METRIC_COUNTER, "weir_pool_threads_started_total", "Threads started", .value = &c->threads_started},
        {WR_METRIC_COUNTER, "weir_pool_threads_failed_total", "Threads that could not be started", .value = &c->threads_failed},
        {WR_METRIC_COUNTER, "weir_pool_tasks_total", "Tasks taken", .value = &c->submitted},
        {WR_METRIC_COUNTER, "weir_pool_tasks_refused_total", "Tasks refused for want of room or memory", .value = &c->refused},
        {WR_METRIC_COUNTER, "weir_pool_tasks_dropped_total", "Tasks that ended before they had a thread", .value = &c->dropped},
        {WR_METRIC_COUNTER, "weir_pool_tasks_overrun_total", "Tasks that ran past their deadline", .value = &c->overruns},
    };
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, NULL));
    WR_TRY(wr_metrics_add_histogram(agent->metrics, agent, "weir_pool_wait_seconds", "How long tasks waited for a thread", NULL, &c->wait));
    return wr_metrics_add_histogram(agent->metrics, agent, "weir_pool_run_seconds", "How long tasks ran", NULL, &c->run);
}

/* -- store: its numbers exist once it is open or unusable ----------------------------------------------------------------------------------- */

static double number_of_series(void *user) {
    return wr_series_count(((struct wr_agent *)user)->series);
}

static double store_is_open(void *user) {
    return ((struct wr_agent *)user)->store.state == WR_STORE_OPEN;
}

static double uplink_is_online(void *user) {
    struct wr_agent *agent = user;
    struct wr_uplink_status status = {0};
    pthread_mutex_lock(&agent->lock);
    if (agent->uplink)
        wr_uplink_runner_status(agent->uplink->runner, &status);
    pthread_mutex_unlock(&agent->lock);
    return status.uplink.state == WR_UPLINK_ONLINE;
}

static double handshakes(struct wr_agent *agent, bool resumed) {
    struct wr_uplink_status status = {0};
    pthread_mutex_lock(&agent->lock);
    if (agent->uplink)
        wr_uplink_runner_status(agent->uplink->runner, &status);
    pthread_mutex_unlock(&agent->lock);
    return (double)(resumed ? status.session.tls_resumed : status.session.tls_full);
}

static double full_handshakes(void *user) {
    return handshakes(user, false);
}

static double resumed_handshakes(void *user) {
    return handshakes(user, true);
}

static enum wr_result add_functions(struct wr_agent *agent) {
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_series", "Series known", .function = number_of_series},
        {WR_METRIC_GAUGE, "weir_pool_queued", "Tasks that wait for a thread", .function = workers_queued},
        {WR_METRIC_COUNTER, "weir_scheduler_runs_total", "Runs of sources that poll", .function = scheduler_runs},
        {WR_METRIC_COUNTER, "weir_scheduler_missed_total", "Runs that were due but could not start in time", .function = scheduler_missed},
        {WR_METRIC_GAUGE, "weir_store_open", "1: the store is open", .function = store_is_open},
        {WR_METRIC_GAUGE, "weir_uplink_online", "1: connected to the broker", .function = uplink_is_online},
    };
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, agent));
    const char *name = "weir_uplink_tls_handshakes_total";
    const char *help = "TLS handshakes with the broker";
    WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_COUNTER, name, help, "kind=\"full\"", full_handshakes, agent));
    WR_TRY(wr_metrics_add_function(agent->metrics, agent, WR_METRIC_COUNTER, name, help, "kind=\"resumed\"", resumed_handshakes, agent));
    return wr_certificates_metrics(agent->certificates);
}

/* Raw readings that windows keep. */
static enum wr_result add_raw(struct wr_agent *agent) {
    static const char name[] = "weir_raw_removed_readings_total";
    static const char help[] = "Kept raw readings removed, by why: age as configured, space before that";
    const struct wr_raw_log_stats *s = agent->store.raw_stats;
    WR_TRY(wr_metrics_add(agent->metrics, agent, WR_METRIC_COUNTER, name, help, "why=\"age\"", &s->expired));
    WR_TRY(wr_metrics_add(agent->metrics, agent, WR_METRIC_COUNTER, name, help, "why=\"space\"", &s->dropped));
    const struct wr_metric_row list[] = {
        {WR_METRIC_COUNTER, "weir_raw_readings_total", "Raw readings kept", .value = &s->readings},
        {WR_METRIC_COUNTER, "weir_raw_missed_readings_total", "Raw readings that a window keeps, and that could not be written",
         .value = &s->missed},
        {WR_METRIC_COUNTER, "weir_raw_unkept_readings_total",
         "Raw readings that a window keeps, and the store was too slow for, or had ended", .value = &agent->engine.shown.unkept},
        {WR_METRIC_COUNTER, "weir_raw_written_bytes_total", "Bytes of kept raw readings written to flash, in whole pages",
         .value = &s->written_bytes},
        {WR_METRIC_GAUGE, "weir_raw_bytes", "Bytes of kept raw readings on disk", .value = &s->bytes},
    };
    return WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, agent);
}

static enum wr_result add_store(struct wr_agent *agent) {
    const struct wr_store_stats *s = agent->store.stats;
    const int state = agent->store.state;
    if (state != WR_STORE_OPEN && state != WR_STORE_GONE && state != WR_STORE_WITHOUT)
        return WR_OK;
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        char label[64];
        wr_metrics_label(label, sizeof label, "lane", wr_lane_name((enum wr_lane)lane));
        WR_TRY(wr_metrics_add(agent->metrics, agent, WR_METRIC_GAUGE, "weir_store_unacked_segments", "Segments that wait for the broker",
                              label, &s->unacked_segments[lane]));
        WR_TRY(wr_metrics_add(agent->metrics, agent, WR_METRIC_GAUGE, "weir_store_unacked_bytes", "Bytes that wait for the broker", label,
                              &s->unacked_bytes[lane]));
    }
    WR_TRY(wr_agent_metrics_limits(agent));
    const struct wr_metric_row list[] = {
        {WR_METRIC_GAUGE, "weir_store_history_segments", "Acknowledged segments kept as history", .value = &s->history_segments},
        {WR_METRIC_GAUGE, "weir_store_budget_bytes", "Limit of the store", .value = &s->budget_bytes},
        {WR_METRIC_GAUGE, "weir_store_free_bytes", "Free within the limit", .value = &s->free_bytes},
        {WR_METRIC_GAUGE, "weir_store_high_water", "1: more than 80 % of the limit waits for the broker", .value = &s->high_water},
        {WR_METRIC_GAUGE, "weir_store_ladder", "What is done for room: 0 nothing, 1 windows are widened, 2 merged, 3 the oldest is evicted",
         .value = &agent->store.ladder},
        {WR_METRIC_GAUGE, "weir_store_parked_segments", "Segments that the broker refuses", .value = &s->parked_segments},
        {WR_METRIC_COUNTER, "weir_store_bad_segments_total", "Segments with a wrong checksum", .value = &s->bad_segments},
        {WR_METRIC_GAUGE, "weir_store_unreadable_places", "Places in the store that the disk does not give back: passed over",
         .value = &s->unreadable_places},
        {WR_METRIC_COUNTER, "weir_store_merged_segments_total", "Segments merged into others for space", .value = &s->merged_segments},
        {WR_METRIC_COUNTER, "weir_store_merged_readings_total", "Readings whose windows were merged into longer ones",
         .value = &s->merged_readings},
        {WR_METRIC_COUNTER, "weir_store_evicted_segments_total", "Segments evicted for space or a quota", .value = &s->evicted_segments},
        {WR_METRIC_COUNTER, "weir_store_evicted_readings_total", "Readings lost with evicted segments", .value = &s->evicted_readings},
        {WR_METRIC_COUNTER, "weir_store_expired_segments_total", "Segments deleted for their age", .value = &s->expired_segments},
        {WR_METRIC_COUNTER, "weir_store_expired_readings_total", "Readings lost with segments that nobody had in their time to live",
         .value = &s->expired_readings},
        {WR_METRIC_COUNTER, "weir_store_segments_total", "Segments committed", .value = &s->segments},
        {WR_METRIC_COUNTER, "weir_store_aggregates_total", "Aggregates committed", .value = &s->aggregates},
        {WR_METRIC_COUNTER, "weir_store_commits_total", "Commits", .value = &s->commits},
        {WR_METRIC_COUNTER, "weir_store_commit_failures_total", "Commits that failed", .value = &s->commit_failures},
        {WR_METRIC_COUNTER, "weir_store_written_bytes_total", "Bytes written to the files of the store, checkpoints included",
         .value = &s->written_bytes},
        {WR_METRIC_COUNTER, "weir_store_reopens_total", "Times that a store whose disk did not answer was opened again",
         .value = &s->reopens},
        {WR_METRIC_COUNTER, "weir_store_quarantines_total", "Broken stores renamed aside", .value = &s->quarantines},
        {WR_METRIC_GAUGE, "weir_store_salvage",
         "Salvage of a broken store: 0 none, 1 running, 2 waiting for room, 3 done, 4 nothing readable", .value = &s->salvage},
        {WR_METRIC_COUNTER, "weir_store_salvaged_segments_total", "Segments recovered from broken stores", .value = &s->salvaged_segments},
        {WR_METRIC_COUNTER, "weir_store_salvaged_readings_total", "Readings recovered from broken stores", .value = &s->salvaged_readings},
        {WR_METRIC_COUNTER, "weir_store_salvage_damaged_total", "Damaged segments found in broken stores", .value = &s->salvage_damaged},
        {WR_METRIC_COUNTER, "weir_store_open_failures_total", "Attempts to open the store that failed",
         .value = &agent->store.open_failures},
        {WR_METRIC_COUNTER, "weir_store_dropped_readings_total", "Readings dropped for want of a usable store",
         .value = &s->dropped_readings},
        {WR_METRIC_COUNTER, "weir_store_dropped_transitions_total", "Transitions not journalled for want of a usable store",
         .value = &s->dropped_transitions},
    };
    return WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, list, NULL);
}

static enum wr_result add_everything(struct wr_agent *agent) {
    wr_metrics_drop(agent->metrics, agent);
    const struct wr_metric_row own[] = {
        {WR_METRIC_COUNTER, "weir_reloads_total", "Configs taken over by SIGHUP", .value = &agent->reloads},
        {WR_METRIC_COUNTER, "weir_reload_failures_total", "Reloads refused", .value = &agent->reload_failures},
    };
    WR_TRY(WR_METRICS_ADD_ALL(agent->metrics, agent, NULL, own, NULL));
    WR_TRY(add_engine(agent));
    WR_TRY(wr_engine_figures_metrics(&agent->engine.figures, agent->metrics, agent));
    WR_TRY(add_actions(agent));
    WR_TRY(add_workers(agent));
    WR_TRY(add_functions(agent));
    WR_TRY(wr_agent_metrics_inside(agent));
    WR_TRY(add_store(agent));
    if (agent->store.keep_ns > 0)
        WR_TRY(add_raw(agent));
    for (uint32_t slot = 0; slot < agent->n_slots; slot++) {
        if (!agent->sources[slot].config)
            continue;
        wr_metrics_drop(agent->metrics, &agent->sources[slot]);
        WR_TRY(wr_agent_metrics_of_source(agent, slot));
        WR_TRY(wr_agent_metrics_of_input(agent, slot));
    }
    return WR_OK;
}

enum wr_result wr_agent_metrics(struct wr_agent *agent) {
    wr_metrics_hold(agent->metrics); /* who asks meanwhile sees all of them, the old ones or the new ones */
    const enum wr_result result = add_everything(agent);
    wr_metrics_let_go(agent->metrics);
    return result;
}
