#include "agent/reload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/config/config_diff.h"
#include "agent/config/load.h"
#include "agent/process/certificates.h"
#include "agent/process/working_set.h"
#include "core/log.h"
#include "rules/evaluator/migration.h"

#define ASK_NS (60 * WR_NS_PER_S)
#define ASK_EVERY_NS (20 * WR_NS_PER_MS)

/* What the engine's thread is asked to exchange. */
struct exchange {
    struct wr_agent *agent;
    const struct wr_config *config;
    struct wr_ruleset *rules;
    struct wr_evaluator *evaluator; /* the new one; afterwards the old one */
    struct wr_engine *engine;       /* new one, or NULL: sources and windows stay; afterwards the old one */
    uint32_t *map;
    uint32_t n_slots;
    uint32_t n_accounts;
    bool leaves[WR_CONFIG_SOURCES_MAX]; /* sources that have stopped for good */
    bool done;
};

/* Either what was not put in, or what was taken out. An engine owns its evaluator; one that was taken out has none any more. */
static void empty_exchange(struct exchange *exchange) {
    wr_engine_free(exchange->engine);
    if (!exchange->engine || exchange->done)
        wr_evaluator_free(exchange->evaluator);
    exchange->engine = NULL;
    exchange->evaluator = NULL;
}

static void free_exchange(void *input) {
    struct exchange *exchange = input;
    empty_exchange(exchange);
    free(exchange->map);
    free(exchange);
}

/* -- on the engine's thread -------------------------------------------------------------------------------------------------------------- */

static struct wr_now loop_now(void *user) {
    return wr_clock_now(((struct wr_engine_loop *)user)->clock);
}

static void loop_drain(void *user) {
    wr_engine_loop_drain_alarms(user);
}

static void set_inputs(struct wr_engine_loop *loop, const struct exchange *exchange) {
    struct wr_agent *agent = exchange->agent;
    uint32_t n_windows = exchange->config->n_windows;
    for (uint32_t slot = 0; slot < exchange->n_slots; slot++) {
        struct wr_agent_source *source = &agent->sources[slot];
        uint32_t intake = exchange->map[slot * (n_windows + 2) + n_windows + 1];
        bool leaves = !source->config || exchange->leaves[slot];
        if (leaves && loop->inputs[slot].batches)
            wr_engine_loop_set_input(loop, slot, NULL, NULL, 0);
        else if (!leaves && loop->inputs[slot].batches != source->batches)
            wr_engine_loop_set_input(loop, slot, source->batches, &source->counters, intake);
    }
}

static enum wr_result exchange_engine(struct wr_engine_loop *loop, struct exchange *exchange, struct wr_error *err) {
    uint64_t in_channel[WR_ENGINE_INPUTS_MAX] = {0};
    wr_engine_loop_count_in_channel(loop, in_channel); /* the last batches of sources that leave come before the exchange */
    struct wr_engine *old = loop->engine;
    uint32_t max_counts = wr_agent_max_counts(exchange->n_slots, exchange->config->n_windows, exchange->n_accounts);
    WR_TRY(wr_engine_loop_exchange(loop, exchange->engine, exchange->n_accounts, max_counts,
                                   wr_clock_boot_ns(loop->clock) + WR_AGENT_REQUEST_NS, err));
    set_inputs(loop, exchange);
    exchange->engine = old;
    return WR_OK;
}

static void run_exchange(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    struct exchange *exchange = request->input;
    struct wr_evaluator *old = wr_engine_evaluator(loop->engine);
    const struct wr_migration migration = {
        .from = old, .to = exchange->evaluator, .user = loop, .now = loop_now, .out = &loop->out.alarms, .drain = loop_drain};
    if (wr_migration_prepare(&migration) != WR_OK) {
        wr_request_finish(request, wr_error_set(&request->error, WR_NO_MEMORY, "no memory for the rules of %u series",
                                                wr_series_count(exchange->agent->series)));
        return;
    }
    if (exchange->engine) {
        enum wr_result result = exchange_engine(loop, exchange, &request->error);
        if (result != WR_OK) {
            wr_request_finish(request, result);
            return;
        }
        (void)wr_engine_swap_evaluator(exchange->engine, NULL); /* exchange->engine is the old one now */
    } else {
        (void)wr_engine_loop_exchange_rules(loop, exchange->evaluator);
    }
    wr_migration_run(&migration);
    /* Here, before the new rules can make a transition: those on their way are of the old ones. */
    wr_actions_use(&exchange->agent->actions, exchange->rules, wr_engine_loop_told_actions(loop));
    exchange->evaluator = old;
    exchange->done = true;
    wr_request_finish(request, WR_OK);
}

/* -- on the main thread ------------------------------------------------------------------------------------------------------------------ */

static enum wr_result call_engine(struct wr_agent *agent, struct exchange *exchange, struct wr_error *err) {
    struct wr_request *request;
    WR_TRY(wr_request_new(run_exchange, exchange, free_exchange, &request, err));
    /* No deadline here: the request has its own, and what it refers to must not be freed while it runs. */
    enum wr_result result = wr_request_call(request, agent->engine.requests, WR_NEVER_NS, err);
    if (result == WR_OK) {
        uint32_t *old_map = agent->account_map;
        if (exchange->map) {
            agent->account_map = exchange->map;
            exchange->map = old_map;
        }
    }
    /* Here, not wherever the request ends: they point into configs and rules that are freed next. */
    empty_exchange(exchange);
    wr_request_release(request);
    return result;
}

/* run: wr_store_loop_expect before the exchange, wr_store_loop_accounts behind it. */
static enum wr_result tell_store(struct wr_agent *agent, wr_request_run *run, struct wr_error *err) {
    struct wr_accounts *accounts = malloc(sizeof *accounts);
    struct wr_request *request;
    if (!accounts)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a reload");
    *accounts = agent->accounts;
    WR_TRY(wr_request_new(run, accounts, free, &request, err));
    enum wr_result result = wr_request_call(request, agent->store.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, err);
    wr_request_release(request);
    return result;
}

static uint32_t slot_of(const struct wr_agent *agent, const char *name) {
    for (uint32_t slot = 0; slot < agent->n_slots; slot++)
        if (agent->sources[slot].config && strcmp(agent->sources[slot].config->name, name) == 0)
            return slot;
    return UINT32_MAX;
}

static uint32_t free_slot(const struct wr_agent *agent) {
    uint32_t slot = 0;
    while (slot < WR_CONFIG_SOURCES_MAX && agent->sources[slot].config)
        slot++;
    return slot;
}

/* Opens what is new in free slots; nothing reads yet. A changed source needs a place beside its old self: its address may be in use. */
static enum wr_result open_new(struct wr_agent *agent, const struct wr_config *config, const struct wr_config_diff *diff, uint32_t *opened,
                               uint32_t *ret_n, struct wr_error *err) {
    *ret_n = 0;
    for (uint32_t i = 0; i < diff->n_sources; i++) {
        enum wr_config_change change = diff->sources[i].change;
        if (change != WR_CONFIG_ADDED && change != WR_CONFIG_CHANGED)
            continue;
        uint32_t slot = free_slot(agent);
        if (slot == WR_CONFIG_SOURCES_MAX)
            return wr_error_set(err, WR_LIMIT, "more than %d sources, the changed ones counted twice", WR_CONFIG_SOURCES_MAX);
        opened[(*ret_n)++] = slot;
        if (slot >= agent->n_slots)
            agent->n_slots = slot + 1;
        WR_TRY(wr_agent_source_open(agent, slot, config, diff->sources[i].after, err));
    }
    return WR_OK;
}

static void stop_old(struct wr_agent *agent, const struct wr_config_diff *diff, bool *leaves) {
    for (uint32_t i = 0; i < diff->n_sources; i++) {
        enum wr_config_change change = diff->sources[i].change;
        uint32_t slot = change == WR_CONFIG_REMOVED || change == WR_CONFIG_CHANGED ? slot_of(agent, diff->sources[i].name) : UINT32_MAX;
        if (slot == UINT32_MAX)
            continue;
        leaves[slot] = true;
        if (agent->sources[slot].started)
            wr_source_prepare_stop(agent->sources[slot].source, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS);
    }
    for (uint32_t slot = 0; slot < WR_CONFIG_SOURCES_MAX; slot++)
        if (leaves[slot])
            wr_agent_source_halt(agent, slot, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS);
}

/* The exchange failed: what was stopped for it goes on. */
static void restart_old(struct wr_agent *agent, const bool *leaves) {
    for (uint32_t slot = 0; slot < WR_CONFIG_SOURCES_MAX; slot++) {
        struct wr_error err = {0};
        if (leaves[slot] && wr_agent_source_restart(agent, slot, &err) != WR_OK)
            WR_LOG_WITH(WR_LOG_ERROR, "reload", "a source that was to change does not start again", WR_LOG_ERR(&err));
    }
}

static void close_sources(struct wr_agent *agent, const uint32_t *slots, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        wr_agent_source_close(agent, slots[i]);
}

/* A config that somebody still points into: the agent's first one (node, store, control never change), an unchanged source, the uplink, the
 * windows of the engine. */
static bool is_in_use(const struct wr_agent *agent, const struct wr_config *config) {
    if (config == agent->config || config == agent->first_config || config == agent->uplink_config || config == agent->engine_config)
        return true;
    for (uint32_t slot = 0; slot < agent->n_slots; slot++) {
        const struct wr_config_source *source = agent->sources[slot].config;
        if (source >= config->sources && source < config->sources + config->n_sources)
            return true;
    }
    return false;
}

void wr_agent_retire_configs(struct wr_agent *agent, bool all) {
    unsigned kept = 0;
    for (unsigned i = 0; i < agent->n_retired; i++) {
        if (!all && is_in_use(agent, agent->retired[i]))
            agent->retired[kept++] = agent->retired[i];
        else
            wr_config_free(agent->retired[i]);
    }
    agent->n_retired = kept;
}

/* Also where the uplink stays as it is: the key's file may hold another one now. */
static void restart_remote(struct wr_agent *agent, const struct wr_config *config) {
    struct wr_error err = {0};
    const enum wr_result result = agent->remote ? wr_remote_desk_reread(agent->remote, &err) : wr_agent_remote_start(agent, config, &err);
    if (result != WR_OK)
        WR_LOG_WITH(WR_LOG_ERROR, "reload",
                    agent->remote ? "commands over MQTT: the last good key stays" : "no commands over MQTT are taken", WR_LOG_ERR(&err));
}

static void add_wire(struct wr_wire_bytes *sum, const struct wr_wire_bytes *more, const struct wr_wire_bytes *counted) {
    sum->sent += more->sent - counted->sent;
    sum->received += more->received - counted->received;
}

static void restart_uplink(struct wr_agent *agent, const struct wr_config *config) {
    struct wr_error err = {0};
    wr_agent_remote_stop(agent);
    wr_actions_publish_to(&agent->actions, NULL);
    pthread_mutex_lock(&agent->lock);
    struct wr_uplink_link *old = agent->uplink;
    const struct wr_wire_bytes wire = wr_uplink_link_wire(old);
    agent->uplink = NULL;
    add_wire(&agent->wire_before, &wire, &(struct wr_wire_bytes){0}); /* at once: whoever looks meanwhile must not find less */
    pthread_mutex_unlock(&agent->lock);
    const struct wr_wire_bytes all = wr_uplink_link_stop(old, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS);
    pthread_mutex_lock(&agent->lock);
    add_wire(&agent->wire_before, &all, &wire);
    pthread_mutex_unlock(&agent->lock);
    struct wr_request *request;
    if (wr_request_new(wr_store_loop_new_uplink, NULL, NULL, &request, &err) == WR_OK) {
        (void)!wr_request_call(request, agent->store.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, &err);
        wr_request_release(request);
    }
    struct wr_uplink_link *link = NULL;
    if (config->uplink &&
        wr_uplink_link_start(config, &agent->running, agent->clock, agent->store.from_uplink, agent->store.to_uplink, &link, &err) != WR_OK)
        WR_LOG_WITH(WR_LOG_ERROR, "reload", "the uplink does not start; the store keeps everything", WR_LOG_ERR(&err));
    pthread_mutex_lock(&agent->lock);
    agent->uplink = link;
    agent->uplink_config = config;
    pthread_mutex_unlock(&agent->lock);
    if (link)
        wr_uplink_link_tell(link, wr_actions_published, &agent->actions);
    wr_actions_publish_to(&agent->actions, link ? link->directs : NULL);
}

static void restart_http(struct wr_agent *agent, const struct wr_config *config) {
    struct wr_error err = {0};
    wr_agent_http_stop(agent, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS);
    if (wr_agent_http_start(agent, config, &err) != WR_OK)
        WR_LOG_WITH(WR_LOG_ERROR, "reload", "HTTP does not start", WR_LOG_ERR(&err));
}

/* Always: so that a reload looks at the files at once. One that is stuck in reading stays as it is. */
static void restart_certificates(struct wr_agent *agent, const struct wr_config *config) {
    struct wr_error err = {0};
    if (wr_certificates_stop(agent->certificates, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS) != WR_OK)
        return;
    agent->certificates = NULL;
    if (wr_certificates_start(agent, config, &agent->certificates, &err) != WR_OK)
        WR_LOG_WITH(WR_LOG_ERROR, "reload", "certificates are not watched", WR_LOG_ERR(&err));
}

static bool sources_or_windows_differ(const struct wr_config_diff *diff) {
    for (uint32_t i = 0; i < diff->n_sources; i++)
        if (diff->sources[i].change != WR_CONFIG_SAME)
            return true;
    for (uint32_t i = 0; i < diff->n_windows; i++)
        if (diff->windows[i].change != WR_CONFIG_SAME)
            return true;
    return diff->other; /* the order of windows may differ, and the engine knows them by number */
}

/* Everything that can fail without trace, then the exchange, then what cannot be undone but only be reported. */
static enum wr_result try_to_apply(struct wr_agent *agent, struct wr_loaded *loaded, const struct wr_config_diff *diff,
                                   struct wr_error *err) {
    uint32_t opened[WR_CONFIG_SOURCES_MAX], n_opened = 0;
    bool leaves[WR_CONFIG_SOURCES_MAX] = {false};
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a reload");
    *exchange = (struct exchange){.agent = agent, .config = loaded->config, .rules = loaded->rules};
    enum wr_result result = wr_evaluator_new(loaded->rules, agent->series, agent->symbols, &exchange->evaluator, err);
    bool engine_too = sources_or_windows_differ(diff);
    pthread_mutex_lock(&agent->lock);
    if (result == WR_OK && engine_too)
        result = open_new(agent, loaded->config, diff, opened, &n_opened, err);
    if (result == WR_OK && engine_too)
        result = wr_agent_make_engine(agent, loaded->config, exchange->evaluator, &exchange->engine, &exchange->map, err);
    pthread_mutex_unlock(&agent->lock);
    if (result == WR_OK && engine_too)
        result = tell_store(agent, wr_store_loop_expect, err);
    if (result != WR_OK) {
        close_sources(agent, opened, n_opened);
        free_exchange(exchange);
        return result;
    }
    exchange->n_slots = agent->n_slots;
    exchange->n_accounts = agent->accounts.n;
    stop_old(agent, diff, leaves);
    memcpy(exchange->leaves, leaves, sizeof leaves);
    const int64_t keep_before_ns = agent->store.keep_ns;
    const int64_t keep_ns = wr_config_keep_ns(loaded->config);
    if (keep_ns > keep_before_ns)
        agent->store.keep_ns = keep_ns; /* before the first reading that is kept */
    result = call_engine(agent, exchange, err);
    agent->store.keep_ns = result == WR_OK ? keep_ns : keep_before_ns;
    if (result != WR_OK) {
        close_sources(agent, opened, n_opened);
        restart_old(agent, leaves);
        return result;
    }
    wr_actions_await_use(&agent->actions);
    for (uint32_t slot = 0; slot < WR_CONFIG_SOURCES_MAX; slot++)
        if (leaves[slot])
            wr_agent_source_close(agent, slot);
    return WR_OK;
}

/* Engine and store have the same accounts and lengths before and behind it; in between the store merges nothing. Of a config that is refused none stays. */
static enum wr_result apply(struct wr_agent *agent, struct wr_loaded *loaded, const struct wr_config_diff *diff, struct wr_error *err) {
    if (!sources_or_windows_differ(diff))
        return try_to_apply(agent, loaded, diff, err);
    struct wr_accounts *before = malloc(sizeof *before);
    if (!before)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a reload");
    *before = agent->accounts;
    const enum wr_result result = try_to_apply(agent, loaded, diff, err);
    if (result != WR_OK) {
        pthread_mutex_lock(&agent->lock);
        agent->accounts = *before;
        pthread_mutex_unlock(&agent->lock);
    }
    free(before);
    if (tell_store(agent, wr_store_loop_accounts, NULL) != WR_OK)
        WR_LOG(WR_LOG_WARN, "reload", "the store does not say that it knows the windows: it may merge none before the next reload");
    return result;
}

/* Starts what is configured and does not run: what this reload brought, and what an earlier one could not start. False: some part still does
 * not run; the log says why, and the next reload tries again. */
static bool start_idle_parts(struct wr_agent *agent) {
    bool all = true;
    for (uint32_t slot = 0; slot < agent->n_slots; slot++) {
        struct wr_error err = {0};
        if (!agent->sources[slot].config || agent->sources[slot].started || wr_agent_source_start(agent, slot, &err) == WR_OK)
            continue;
        WR_LOG_WITH(WR_LOG_ERROR, "reload", "a source does not start; the others run", WR_LOG_ERR(&err));
        all = false;
    }
    if (agent->config->http && !agent->http)
        restart_http(agent, agent->config);
    if (agent->config->uplink && !agent->uplink) {
        restart_uplink(agent, agent->config);
        restart_remote(agent, agent->config);
    }
    const bool remote = agent->config->uplink && agent->config->uplink->commands;
    return all && (!agent->config->http || agent->http) && (!agent->config->uplink || agent->uplink) && (!remote || agent->remote);
}

static void take_over(struct wr_agent *agent, struct wr_loaded *loaded, const struct wr_config_diff *diff) {
    const uint64_t ran = agent->running;
    agent->running = wr_running_hash(loaded->config, loaded->rules);
    if (diff->http != WR_CONFIG_SAME)
        restart_http(agent, loaded->config);
    if (diff->uplink != WR_CONFIG_SAME)
        restart_uplink(agent, loaded->config);
    else if (agent->uplink && agent->running != ran)
        wr_uplink_link_renew_state(agent->uplink);
    restart_remote(agent, loaded->config);
    restart_certificates(agent, loaded->config);
    pthread_mutex_lock(
        &agent->shadow.lock); /* not above: an uplink that stops waits for the remote desk, and that one perhaps for this lock */
    pthread_mutex_lock(&agent->lock);
    struct wr_ruleset *old_rules = agent->rules;
    agent->retired[agent->n_retired++] = agent->config;
    agent->config = loaded->config;
    agent->rules = loaded->rules;
    if (sources_or_windows_differ(diff))
        agent->engine_config = loaded->config;
    wr_agent_retire_configs(agent, false);
    pthread_mutex_unlock(&agent->lock);
    pthread_mutex_unlock(&agent->shadow.lock);
    (void)!wr_agent_shadow_renew(agent, NULL, NULL); /* logged: no reason not to reload */
    if (wr_agent_metrics(agent) != WR_OK)
        WR_LOG(WR_LOG_WARN, "reload", "no memory: some metrics are missing");
    wr_ruleset_free(old_rules);
}

static enum wr_result reload(struct wr_agent *agent, char *what, size_t size, bool *ret_in_part, struct wr_error *err) {
    struct wr_loaded loaded;
    struct wr_buf problems;
    wr_buf_init(&problems, 0);
    enum wr_result result = wr_load(agent->config->file, WR_DIAGNOSTICS_TEXT, &loaded, &problems, err);
    if (problems.len > 0)
        fputs(wr_buf_str(&problems), stderr);
    if (result == WR_INVALID)
        (void)wr_error_set(err, WR_INVALID, "errors in the config or rules, listed above");
    wr_buf_fini(&problems);
    if (result != WR_OK)
        return result;
    struct wr_config_diff diff;
    result = wr_config_compare(agent->config, loaded.config, &diff, err);
    if (result == WR_OK) {
        diff.rules |= wr_ruleset_fingerprint(agent->rules) != wr_ruleset_fingerprint(loaded.rules);
        wr_config_diff_describe(what, size, &diff);
        result = apply(agent, &loaded, &diff, err);
    }
    if (result != WR_OK) {
        wr_ruleset_free(loaded.rules);
        wr_config_free(loaded.config);
        return result;
    }
    take_over(agent, &loaded, &diff);
    *ret_in_part = !start_idle_parts(agent);
    if (*ret_in_part)
        return wr_error_set(err, WR_IO, "taken over, but some parts do not start: mend what the lines above name, then reload again");
    return WR_OK;
}

/* Whoever asked before it began is told. */
static void tell_askers(struct wr_agent *agent, uint64_t ticket, enum wr_result result, const struct wr_error *err) {
    pthread_mutex_lock(&agent->lock);
    agent->reload_served = ticket;
    agent->reload_outcome = *err;
    agent->reload_outcome.code = result;
    pthread_mutex_unlock(&agent->lock);
}

void wr_agent_reload(struct wr_agent *agent) {
    char what[512] = "";
    struct wr_error err = {0};
    bool in_part = false;
    const uint64_t ticket = agent->reload_asked;
    const enum wr_result result = reload(agent, what, sizeof what, &in_part, &err);
    if (result == WR_OK) {
        agent->reloads++;
        wr_working_set_trim_later(agent->base);
        WR_LOG_WITH(WR_LOG_INFO, "reload", "done", WR_LOG_STR("changed", what));
    } else {
        agent->reload_failures++;
        const char *what_became = in_part ? "done in part" : "refused; everything runs on as it was";
        WR_LOG_WITH(WR_LOG_ERROR, "reload", what_became, WR_LOG_ERR(&err));
    }
    tell_askers(agent, ticket, in_part ? WR_OK : result, &err);
}

enum wr_result wr_agent_reload_call(struct wr_agent *agent, struct wr_context *context, struct wr_error *err) {
    const int64_t deadline_ns = wr_clock_boot_ns(agent->clock) + ASK_NS;
    const uint64_t ticket = ++agent->reload_asked;
    if (kill(getpid(), SIGHUP) != 0)
        return wr_error_set(err, WR_IO, "the main thread cannot be asked for a reload");
    for (;;) {
        pthread_mutex_lock(&agent->lock);
        const bool served = agent->reload_served >= ticket;
        const struct wr_error outcome = agent->reload_outcome;
        pthread_mutex_unlock(&agent->lock);
        if (served)
            return outcome.code == WR_OK ? WR_OK : wr_error_set(err, outcome.code, "%s", outcome.text);
        const int64_t now_ns = wr_clock_boot_ns(agent->clock);
        if (now_ns >= deadline_ns)
            return wr_error_set(err, WR_TIMEOUT, "the reload takes more than a minute");
        if (wr_context_sleep_until(context, now_ns + ASK_EVERY_NS) == WR_CANCELED)
            return wr_error_set(err, WR_CANCELED, "the agent stops, or its uplink changes");
    }
}
