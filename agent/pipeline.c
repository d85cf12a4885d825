/* The boot order, as a list, and its mirror. */
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "agent/config/load.h"
#include "agent/loops/memories.h"
#include "agent/process/boot_id.h"
#include "agent/process/certificates.h"
#include "agent/process/descriptors.h"
#include "agent/process/working_set.h"
#include "agent/reload.h"
#include "agent/remote/remote_bundle.h"
#include "core/log.h"

/* -- tables ---------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result start_tables(struct wr_agent *agent, struct wr_error *err) {
    wr_http_gate_init(&agent->http_gate);
    wr_http_gate_init(&agent->desk_gate);
    agent->base = event_base_new();
    if (!agent->base || wr_metrics_new(&agent->metrics) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the event loop");
    WR_TRY(wr_series_table_new(agent->config->limits->max_series, &agent->series, err));
    return wr_symbol_table_new(agent->config->limits->max_symbols, &agent->symbols, err);
}

static void stop_tables(struct wr_agent *agent, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    wr_http_gate_fini(&agent->http_gate);
    wr_http_gate_fini(&agent->desk_gate);
    wr_metrics_free(agent->metrics);
    wr_series_table_free(agent->series);
    wr_symbol_table_free(agent->symbols);
    if (agent->base)
        event_base_free(agent->base);
}

/* -- workers ----------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result start_workers(struct wr_agent *agent, struct wr_error *err) {
    return wr_agent_workers_start(agent, err);
}

static void stop_workers(struct wr_agent *agent, int64_t deadline_boot_ns) {
    struct wr_error err = {0};
    if (wr_agent_workers_stop(agent, deadline_boot_ns, &err) == WR_OK)
        return;
    WR_LOG_WITH(WR_LOG_ERROR, "workers", "did not stop in time", WR_LOG_ERR(&err));
    _Exit(WR_EXIT_FOUND);
}

/* -- sources, first half: pools and channels, so that the accounts have names before the store opens ------------------------------------- */

static enum wr_result open_sources(struct wr_agent *agent, struct wr_error *err) {
    for (uint32_t slot = 0; slot < agent->config->n_sources; slot++) {
        WR_TRY(wr_agent_source_open(agent, slot, agent->config, slot, err));
        agent->n_slots = slot + 1;
    }
    return WR_OK;
}

static void close_sources(struct wr_agent *agent, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    for (uint32_t slot = 0; slot < WR_CONFIG_SOURCES_MAX; slot++)
        wr_agent_source_close(agent, slot);
}

/* -- engine, first half: made before the store opens, since it names the accounts --------------------------------------------------------- */

static enum wr_result make_engine(struct wr_agent *agent, struct wr_error *err) {
    struct wr_evaluator *evaluator;
    WR_TRY(wr_evaluator_new(agent->rules, agent->series, agent->symbols, &evaluator, err));
    uint32_t max_counts = wr_agent_max_counts(agent->n_slots, agent->config->n_windows, 0);
    enum wr_result result = wr_agent_make_engine(agent, agent->config, evaluator, &agent->engine.engine, &agent->account_map, err);
    if (result != WR_OK) {
        wr_evaluator_free(evaluator);
        return result;
    }
    agent->engine.clock = agent->clock;
    agent->engine.figures.table = agent->series;
    WR_TRY(wr_engine_loop_init(&agent->engine, WR_AGENT_HANDOVERS, max_counts, err));
    (void)!wr_agent_shadow_renew(agent, NULL, NULL); /* logged: no reason not to start */
    return WR_OK;
}

static void free_engine(struct wr_agent *agent, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    wr_agent_shadow_fini(agent);
    wr_engine_loop_fini(&agent->engine);
    wr_engine_free(agent->engine.engine);
    free(agent->account_map);
}

/* -- store ------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result start_store(struct wr_agent *agent, struct wr_error *err) {
    const struct wr_config_store *config = agent->config->store;
    struct wr_store_loop *store = &agent->store;
    store->clock = agent->clock;
    store->path = config->path;
    store->symbols = agent->symbols;
    store->accounts = &agent->accounts;
    wr_store_loop_keep_raw(store, agent->series, config->raw_budget_bytes, wr_config_keep_ns(agent->config));
    store->options = wr_agent_store_options(agent->config);
    wr_boot_id_read(WR_BOOT_ID_FILE, agent->clock, store->options.boot_id);
    WR_TRY(wr_store_loop_init(store, WR_AGENT_HANDOVERS, WR_UPLINK_WINDOW_MAX, err)); /* a reload may widen the window */
    WR_TRY(wr_store_loop_start(store, err));
    enum wr_result opened = wr_store_loop_wait_open(store, wr_clock_boot_ns(agent->clock) + WR_AGENT_STORE_WAIT_NS, err);
    if (opened == WR_TIMEOUT) {
        WR_LOG(WR_LOG_WARN, "store", "still opening; alarms run already, windows wait");
        return WR_OK;
    }
    return opened != WR_BUSY && store->state != WR_STORE_FAILED ? WR_OK : opened; /* without a store it goes on; not beside another agent */
}

/* Its last commit has two seconds, whatever the others took. */
static void stop_store(struct wr_agent *agent, int64_t deadline_boot_ns) {
    if (!agent->store.requests)
        return;
    const int64_t least_boot_ns = wr_clock_boot_ns(agent->clock) + 2 * WR_NS_PER_S;
    const int64_t until_boot_ns = deadline_boot_ns > least_boot_ns ? deadline_boot_ns : least_boot_ns;
    if (agent->store.thread && wr_store_loop_stop(&agent->store, until_boot_ns) != WR_OK) {
        WR_LOG(WR_LOG_ERROR, "store", "did not stop in time; what it had not committed is booked at the next start");
        _Exit(WR_EXIT_FOUND); /* its thread still uses memory that would be freed below */
    }
    wr_store_loop_fini(&agent->store);
}

/* -- uplink, actions --------------------------------------------------------------------------------------------------------------------- */

static enum wr_result start_uplink(struct wr_agent *agent, struct wr_error *err) {
    if (!agent->config->uplink)
        return WR_OK;
    return wr_uplink_link_start(agent->config, &agent->running, agent->clock, agent->store.from_uplink, agent->store.to_uplink,
                                &agent->uplink, err);
}

/* What is in flight may be acknowledged yet; a link that has gone silent takes half of what is left, and the close of its session. */
static void stop_uplink(struct wr_agent *agent, int64_t deadline_boot_ns) {
    const int64_t now_boot_ns = wr_clock_boot_ns(agent->clock);
    wr_uplink_link_stop(agent->uplink, deadline_boot_ns > now_boot_ns ? (now_boot_ns + deadline_boot_ns) / 2 : now_boot_ns);
    agent->uplink = NULL;
}

static bool is_journalled(void *user, uint64_t number) {
    struct wr_agent *agent = user;
    return agent->store.journalled >= number;
}

static enum wr_result start_actions(struct wr_agent *agent, struct wr_error *err) {
    struct wr_actions *actions = &agent->actions;
    actions->clock = agent->clock;
    actions->place = (struct wr_action_place){agent->config->node->id, agent->config->node->site};
    actions->journalled = is_journalled;
    actions->journalled_user = agent;
    actions->journal = agent->store.journal;
    WR_TRY(wr_actions_init(actions, err));
    wr_actions_use(actions, agent->rules, 0);
    wr_actions_publish_to(actions, agent->uplink ? agent->uplink->directs : NULL);
    if (agent->uplink)
        wr_uplink_link_tell(agent->uplink, wr_actions_published, actions);
    return wr_actions_start(actions, err);
}

static void stop_actions(struct wr_agent *agent, int64_t deadline_boot_ns) {
    if (!agent->actions.transitions)
        return;
    if (agent->actions.thread && wr_actions_stop(&agent->actions, deadline_boot_ns) != WR_OK) {
        WR_LOG(WR_LOG_ERROR, "actions", "did not stop in time");
        _Exit(WR_EXIT_FOUND);
    }
    if (agent->uplink)
        wr_uplink_link_tell(agent->uplink, NULL, NULL);
    wr_actions_fini(&agent->actions);
}

/* -- engine, second half ------------------------------------------------------------------------------------------------------------------ */

static void log_report(const struct wr_store_report *report) {
    if (report->aside_newer)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "a later version of weir made this store: renamed aside, a fresh one is in use",
                    WR_LOG_STR("aside", report->aside), WR_LOG_STR("todo", "keep it for the later version, or remove it"));
    else if (report->quarantined)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "broken store renamed aside, a fresh one is in use", WR_LOG_STR("aside", report->aside),
                    WR_LOG_STR("books", report->books_kept ? "kept" : "cannot be read: they begin at zero"));
    if (report->unclean)
        WR_LOG_WITH(WR_LOG_WARN, "store", "the last stop was not clean", WR_LOG_INT("lost_readings_at_least", report->crash_readings),
                    WR_LOG_INT("last_commit_wall_s", report->last_wall_ns / WR_NS_PER_S));
}

/* Actions that were to come later, and for which the alarm is still there: those that are as they were before this wall time. On the engine's thread, or before
 * it runs: nobody else sends to the actions. */
static void resume_actions(struct wr_agent *agent, const struct wr_evaluator *evaluator, int64_t before_wall_ns) {
    struct wr_alarm_entry entry;
    uint32_t cursor = 0, missed = 0;
    if (!wr_ruleset_actions_info(agent->rules).delays)
        return;
    while (wr_evaluator_next_alarm(evaluator, false, &cursor, &entry))
        if (entry.alarm.wall_ns < before_wall_ns)
            missed += wr_channel_try_send(agent->actions.transitions, &entry) != WR_OK;
    if (missed > 0)
        WR_LOG_WITH(WR_LOG_WARN, "actions", "too many alarms are back: some actions with `after` do not come",
                    WR_LOG_INT("alarms", missed));
}

static void restore_alarms(struct wr_agent *agent, struct wr_evaluator *evaluator) {
    const struct wr_now now = wr_clock_now(agent->clock);
    const bool late = agent->store.open_failures > 0;
    uint32_t restored = 0;
    for (uint32_t i = 0; i < agent->store.n_restored; i++)
        restored += (late ? wr_evaluator_restore_late : wr_evaluator_restore)(evaluator, &agent->store.restored[i], &now) == WR_OK;
    if (restored > 0)
        WR_LOG_WITH(WR_LOG_INFO, "rules", "alarm states restored", WR_LOG_INT("alarms", restored));
    if (restored > 0)
        resume_actions(agent, evaluator, late ? now.wall_ns - (now.boot_ns - agent->started_boot_ns) : INT64_MAX);
    wr_memories_recall(evaluator, &agent->store);
    agent->restored = true;
    log_report(&agent->store.report);
}

static void run_restore(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    restore_alarms(request->input, wr_engine_evaluator(loop->engine));
    wr_request_finish(request, WR_OK);
}

/* The store opens late, or after some time without one: the alarms come back while the engine runs already. */
static void on_restore_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_agent *agent = user;
    const int state = agent->store.state;
    if (!agent->restored && state == WR_STORE_WITHOUT && !agent->without_store) {
        agent->without_store = true;
        (void)!wr_agent_metrics(agent); /* now with those of the store: what it drops */
        const struct timeval seldom = {.tv_sec = 1};
        (void)event_add(agent->restore_timer, &seldom); /* it may take days */
    }
    if (!agent->restored && (state == WR_STORE_OPENING || state == WR_STORE_GONE || state == WR_STORE_WITHOUT))
        return;
    event_del(agent->restore_timer);
    if (agent->restored || state != WR_STORE_OPEN)
        return;
    struct wr_request *request;
    if (wr_request_new(run_restore, agent, NULL, &request, NULL) != WR_OK)
        return;
    (void)!wr_request_call(request, agent->engine.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, NULL);
    wr_request_release(request);
    (void)!wr_agent_metrics(agent); /* now with those of the store */
}

static enum wr_result start_engine(struct wr_agent *agent, struct wr_error *err) {
    agent->engine.to_store = agent->store.from_engine;
    agent->engine.to_journal = agent->store.journal;
    agent->engine.to_actions = agent->actions.transitions;
    agent->engine.high_water = &agent->store.high_water;
    agent->engine.fresh_stores = &agent->store.fresh_stores;
    for (uint32_t slot = 0; slot < agent->n_slots; slot++)
        wr_engine_loop_set_input(&agent->engine, slot, agent->sources[slot].batches, &agent->sources[slot].counters,
                                 agent->account_map[slot * (agent->config->n_windows + 2) + agent->config->n_windows + 1]);
    if (agent->store.state == WR_STORE_OPEN)
        restore_alarms(agent, wr_engine_evaluator(agent->engine.engine));
    return wr_engine_loop_start(&agent->engine, err);
}

static void stop_engine(struct wr_agent *agent, int64_t deadline_boot_ns) {
    if (!agent->engine.thread)
        return;
    if (wr_engine_loop_join(&agent->engine, deadline_boot_ns) != WR_OK) {
        WR_LOG(WR_LOG_ERROR, "engine", "did not stop in time; what is open is booked at the next start");
        _Exit(WR_EXIT_FOUND);
    }
    wr_memories_save(wr_engine_evaluator(agent->engine.engine), &agent->store, deadline_boot_ns);
}

/* -- sources, second half ---------------------------------------------------------------------------------------------------------------- */

static enum wr_result start_sources(struct wr_agent *agent, struct wr_error *err) {
    for (uint32_t slot = 0; slot < agent->n_slots; slot++)
        WR_TRY(wr_agent_source_start(agent, slot, err));
    return WR_OK;
}

static void stop_sources(struct wr_agent *agent, int64_t deadline_boot_ns) {
    if (agent->engine.thread)
        wr_engine_loop_no_more_inputs(&agent->engine); /* before the last input ends: that is what wakes the engine */
    for (uint32_t slot = 0; slot < WR_CONFIG_SOURCES_MAX; slot++)
        if (agent->sources[slot].started)
            wr_source_prepare_stop(agent->sources[slot].source, deadline_boot_ns);
    for (uint32_t slot = 0; slot < WR_CONFIG_SOURCES_MAX; slot++)
        wr_agent_source_stop(agent, slot, deadline_boot_ns);
}

/* -- certificates ------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result start_certificates(struct wr_agent *agent, struct wr_error *err) {
    return wr_certificates_start(agent, agent->config, &agent->certificates, err);
}

static void stop_certificates(struct wr_agent *agent, int64_t deadline_boot_ns) {
    if (wr_certificates_stop(agent->certificates, deadline_boot_ns) != WR_OK) {
        WR_LOG(WR_LOG_ERROR, "certificates", "did not stop in time");
        _Exit(WR_EXIT_FOUND); /* a run of it still uses memory that would be freed below */
    }
    agent->certificates = NULL;
}

/* -- control, commands over MQTT, HTTP, signals --------------------------------------------------------------------------------------------------------------- */

static enum wr_result start_control(struct wr_agent *agent, struct wr_error *err) {
    return wr_control_server_start(agent->config->control->socket, wr_agent_control, agent, &agent->control, err);
}

static void stop_control(struct wr_agent *agent, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    wr_control_server_stop(agent->control);
}

enum wr_result wr_agent_remote_start(struct wr_agent *agent, const struct wr_config *config, struct wr_error *err) {
    const struct wr_config_commands *commands = config->uplink ? config->uplink->commands : NULL;
    struct wr_error why = {0};
    if (!commands || !agent->uplink)
        return WR_OK;
    if (wr_remote_bundle_open(agent, config, &why) != WR_OK)
        WR_LOG_WITH(WR_LOG_ERROR, "commands", "no bundles are taken", WR_LOG_ERR(&why));
    return wr_remote_desk_start(agent, commands, agent->uplink->commands, agent->uplink->answers, &agent->remote, err);
}

void wr_agent_remote_stop(struct wr_agent *agent) {
    wr_remote_desk_stop(agent->remote);
    agent->remote = NULL;
}

static enum wr_result start_remote(struct wr_agent *agent, struct wr_error *err) {
    return wr_agent_remote_start(agent, agent->config, err);
}

static void stop_remote(struct wr_agent *agent, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    wr_agent_remote_stop(agent);
}

static void stop_desk(struct wr_agent *agent) {
    wr_desk_stop(agent->desk);
    agent->desk = NULL;
}

enum wr_result wr_agent_http_start(struct wr_agent *agent, const struct wr_config *config, struct wr_error *err) {
    const struct wr_http_server_options options = {
        .config = config->http,
        .metrics = agent->metrics,
        .health = {.healthy = wr_agent_is_healthy, .ready = wr_agent_is_ready, .user = agent},
        .gate = &agent->http_gate,
        .desk = config->http && config->http->command_token_file ? &agent->desk_gate : NULL,
    };
    struct wr_http_server *server;
    if (!config->http)
        return WR_OK;
    if (options.desk)
        WR_TRY(wr_desk_start(agent, config->http, options.desk, &agent->desk, err));
    const enum wr_result result = wr_http_server_start(&options, &server, err);
    if (result != WR_OK) {
        stop_desk(agent);
        return result;
    }
    pthread_mutex_lock(&agent->lock);
    agent->http = server;
    pthread_mutex_unlock(&agent->lock);
    return WR_OK;
}

void wr_agent_http_stop(struct wr_agent *agent, int64_t deadline_boot_ns) {
    pthread_mutex_lock(&agent->lock);
    struct wr_http_server *server = agent->http;
    agent->http = NULL;
    pthread_mutex_unlock(&agent->lock);
    wr_http_server_stop(server, deadline_boot_ns);
    stop_desk(agent);
}

static enum wr_result start_http(struct wr_agent *agent, struct wr_error *err) {
    WR_TRY(wr_agent_metrics(agent));
    return wr_agent_http_start(agent, agent->config, err);
}

static void on_stop_signal(evutil_socket_t number, short what, void *user) {
    (void)what;
    struct wr_agent *agent = user;
    WR_LOG_WITH(WR_LOG_INFO, "weir", "stopping", WR_LOG_STR("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
    event_base_loopbreak(agent->base);
}

static void on_reload_signal(evutil_socket_t number, short what, void *user) {
    (void)number, (void)what;
    wr_agent_reload(user);
}

static enum wr_result start_signals(struct wr_agent *agent, struct wr_error *err) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* inherited as ignored, the kernel would keep no exit code of our programs */
    agent->signals[0] = evsignal_new(agent->base, SIGTERM, on_stop_signal, agent);
    agent->signals[1] = evsignal_new(agent->base, SIGINT, on_stop_signal, agent);
    agent->signals[2] = evsignal_new(agent->base, SIGHUP, on_reload_signal, agent);
    agent->restore_timer = event_new(agent->base, -1, EV_PERSIST, on_restore_timer, agent);
    const struct timeval often = {.tv_usec = 100000};
    for (int i = 0; i < 3; i++)
        if (!agent->signals[i] || event_add(agent->signals[i], NULL) < 0)
            return wr_error_set(err, WR_NO_MEMORY, "cannot watch for signals");
    if (!agent->restore_timer || (!agent->restored && event_add(agent->restore_timer, &often) < 0))
        return wr_error_set(err, WR_NO_MEMORY, "cannot make a timer");
    return WR_OK;
}

static void stop_signals(struct wr_agent *agent, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    for (int i = 0; i < 3; i++)
        if (agent->signals[i])
            event_free(agent->signals[i]);
    if (agent->restore_timer)
        event_free(agent->restore_timer);
}

/* -- the list ---------------------------------------------------------------------------------------------------------------------------- */

/* Started from the top, stopped from the bottom. A stop must cope with a part that was started halfway, or not at all. */
static const struct {
    const char *name;
    enum wr_result (*start)(struct wr_agent *agent, struct wr_error *err);
    void (*stop)(struct wr_agent *agent, int64_t deadline_boot_ns);
} parts[] = {
    {"tables", start_tables, stop_tables},                   /* series, symbols, metrics, event loop */
    {"signals", start_signals, stop_signals},                /* before any thread: they all block signals */
    {"workers", start_workers, stop_workers},                /* threads: scheduler, pool of those that poll */
    {"inputs", open_sources, close_sources},                 /* batches and channels of the sources */
    {"rules", make_engine, free_engine},                     /* windows and rules; names the ledger's accounts */
    {"store", start_store, stop_store},                      /* thread: SQLite */
    {"uplink", start_uplink, stop_uplink},                   /* thread: MQTT */
    {"actions", start_actions, stop_actions},                /* thread: log, exec, mqtt, webhook, file */
    {"engine", start_engine, stop_engine},                   /* thread: rules and windows */
    {"sources", start_sources, stop_sources},                /* threads: one each; from here on readings come in */
    {"certificates", start_certificates, stop_certificates}, /* when they expire: a task of the workers */
    {"control", start_control, stop_control},                /* thread: the Unix socket */
    {"remote", start_remote, stop_remote},                   /* thread: signed commands over MQTT */
    {"http", start_http, wr_agent_http_stop},                /* threads: pages, writes for the source of kind http; commands */
};
#define PARTS ((int)(sizeof parts / sizeof parts[0]))

static void stop_parts(struct wr_agent *agent, int started) {
    int64_t deadline = wr_clock_boot_ns(agent->clock) + agent->config->limits->stop_deadline_ns;
    agent->ready = false;
    for (int i = started - 1; i >= 0; i--)
        parts[i].stop(agent, deadline);
}

int wr_agent_run(struct wr_config *config, struct wr_ruleset *rules) {
    struct wr_agent *agent = calloc(1, sizeof *agent);
    if (!agent)
        return WR_EXIT_CANNOT;
    agent->config = config;
    agent->first_config = config;
    agent->uplink_config = config;
    agent->engine_config = config;
    agent->rules = rules;
    agent->running = wr_running_hash(config, rules);
    agent->clock = wr_clock_real();
    agent->started_boot_ns = wr_clock_boot_ns(agent->clock);
    pthread_mutex_init(&agent->lock, NULL);
    wr_agent_shadow_init(&agent->shadow);
    wr_log_configure((enum wr_log_level)config->log->level, (enum wr_log_format)config->log->format, 2);
    wr_descriptors_raise();
    struct wr_error err = {0};
    int code = WR_EXIT_OK;
    int started = 0;
    while (started < PARTS && code == WR_EXIT_OK) {
        if (parts[started].start(agent, &err) != WR_OK) {
            WR_LOG_WITH(WR_LOG_ERROR, "weir", "cannot start", WR_LOG_STR("part", parts[started].name), WR_LOG_ERR(&err));
            code = WR_EXIT_CANNOT;
        }
        started++;
    }
    if (code == WR_EXIT_OK) {
        agent->ready = true;
        wr_working_set_trim_later(agent->base);
        WR_LOG_WITH(WR_LOG_INFO, "weir", "ready", WR_LOG_STR("node", config->node->id), WR_LOG_STR("version", WEIR_VERSION),
                    WR_LOG_INT("ms", (wr_clock_boot_ns(agent->clock) - agent->started_boot_ns) / WR_NS_PER_MS));
        event_base_dispatch(agent->base);
    }
    stop_parts(agent, started);
    if (code == WR_EXIT_OK)
        WR_LOG(WR_LOG_INFO, "weir", "stopped");
    pthread_mutex_destroy(&agent->lock);
    wr_ruleset_free(agent->rules);
    wr_agent_retire_configs(agent, true);
    wr_config_free(agent->config);
    free(agent);
    return code;
}
