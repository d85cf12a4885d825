/* One source of the pipeline: its pool of batches, its channel to the engine, its thread. */
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "core/log.h"

/* -- the ledger, for the source `system` --------------------------------------------------------------------------------------------------- */

static void copy_balances(struct wr_request *request, void *owner) {
    const struct wr_store_loop *loop = owner;
    struct wr_account_balance *balances;
    uint32_t n;
    enum wr_result result = wr_store_balances(loop->store, &balances, &n);
    if (result == WR_OK) {
        result = wr_buf_append(&request->text, balances, n * sizeof *balances);
        free(balances);
    }
    wr_request_finish(request, result);
}

static enum wr_result ask_for_balances(void *user, int64_t deadline_boot_ns, struct wr_account_balance **ret_balances, uint32_t *ret_n) {
    struct wr_agent *agent = user;
    struct wr_request *request;
    const int state = agent->store.state;
    if (state != WR_STORE_OPEN && state != WR_STORE_GONE && state != WR_STORE_WITHOUT)
        return WR_CLOSED;
    WR_TRY(wr_request_new(copy_balances, NULL, NULL, &request, NULL));
    enum wr_result result = wr_request_call(request, agent->store.requests, deadline_boot_ns, NULL);
    if (result == WR_OK) {
        size_t len = 0;
        *ret_balances = (struct wr_account_balance *)(void *)wr_buf_steal(&request->text, &len);
        *ret_n = (uint32_t)(len / sizeof **ret_balances);
    }
    wr_request_release(request);
    return result;
}

/* -- life ---------------------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_agent_source_open(struct wr_agent *agent, uint32_t slot, const struct wr_config *whole, uint32_t index,
                                    struct wr_error *err) {
    struct wr_agent_source *entry = &agent->sources[slot];
    const struct wr_config_source *config = &whole->sources[index];
    uint32_t batches = whole->limits->batches;
    *entry = (struct wr_agent_source){.config = config};
    WR_TRY(wr_batch_pool_init(&entry->pool, batches, slot, err));
    const struct wr_channel_options options = {
        .name = config->name, .capacity = batches, .element_bytes = sizeof(struct wr_batch *), .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_channel_new(&options, &entry->batches, err));
    const struct wr_source_env env = {.config = config,
                                      .limits = whole->limits,
                                      .series = agent->series,
                                      .symbols = agent->symbols,
                                      .clock = agent->clock,
                                      .pool = &entry->pool,
                                      .to_engine = entry->batches,
                                      .counters = &entry->counters,
                                      .metrics = agent->metrics,
                                      .balances = ask_for_balances,
                                      .agent = agent,
                                      .workers = agent->workers,
                                      .scheduler = agent->scheduler,
                                      .http = &agent->http_gate};
    if (wr_source_create(&env, &entry->source, err) != WR_OK)
        return wr_error_wrap(err, "source '%s'", config->name);
    return WR_OK;
}

enum wr_result wr_agent_source_start(struct wr_agent *agent, uint32_t slot, struct wr_error *err) {
    struct wr_agent_source *entry = &agent->sources[slot];
    if (wr_source_start(entry->source, err) != WR_OK)
        return wr_error_wrap(err, "source '%s'", entry->config->name);
    entry->started = true;
    return WR_OK;
}

void wr_agent_source_halt(struct wr_agent *agent, uint32_t slot, int64_t deadline_boot_ns) {
    struct wr_agent_source *entry = &agent->sources[slot];
    if (entry->started && wr_source_stop(entry->source, deadline_boot_ns) != WR_OK)
        WR_LOG_WITH(WR_LOG_WARN, "source", "stopped before the engine took everything", WR_LOG_STR("source", entry->config->name));
    entry->started = false;
}

enum wr_result wr_agent_source_restart(struct wr_agent *agent, uint32_t slot, struct wr_error *err) {
    struct wr_agent_source *entry = &agent->sources[slot];
    const struct wr_source_env env = entry->source->env;
    struct wr_source *again;
    if (wr_source_create(&env, &again, err) != WR_OK)
        return wr_error_wrap(err, "source '%s'", entry->config->name);
    pthread_mutex_lock(&agent->lock);
    wr_source_free(entry->source);
    entry->source = again;
    pthread_mutex_unlock(&agent->lock);
    return wr_agent_source_start(agent, slot, err);
}

void wr_agent_source_stop(struct wr_agent *agent, uint32_t slot, int64_t deadline_boot_ns) {
    struct wr_agent_source *entry = &agent->sources[slot];
    if (!entry->config || !entry->batches)
        return;
    wr_agent_source_halt(agent, slot, deadline_boot_ns);
    wr_channel_close(entry->batches);
}

void wr_agent_source_close(struct wr_agent *agent, uint32_t slot) {
    struct wr_agent_source *entry = &agent->sources[slot];
    if (!entry->config)
        return;
    if (agent->metrics)
        wr_metrics_drop(agent->metrics, entry);
    pthread_mutex_lock(&agent->lock); /* the control thread may be looking at it */
    wr_source_free(entry->source);
    struct wr_batch *batch;
    while (entry->batches && wr_channel_try_recv(entry->batches, &batch) == WR_OK)
        wr_batch_return(batch);
    wr_channel_free(entry->batches);
    if (entry->pool.free)
        wr_batch_pool_fini(&entry->pool);
    memset(entry, 0, sizeof *entry);
    pthread_mutex_unlock(&agent->lock);
}

enum wr_result wr_agent_make_engine(struct wr_agent *agent, const struct wr_config *config, struct wr_evaluator *evaluator,
                                    struct wr_engine **ret_engine, uint32_t **ret_map, struct wr_error *err) {
    const char *names[WR_CONFIG_SOURCES_MAX];
    for (uint32_t slot = 0; slot < agent->n_slots; slot++)
        names[slot] = agent->sources[slot].config ? agent->sources[slot].config->name : NULL;
    uint32_t *map;
    WR_TRY(wr_accounts_map(&agent->accounts, names, agent->n_slots, config->windows, config->n_windows, &map, err));
    const struct wr_engine_options options = {.series = agent->series,
                                              .symbols = agent->symbols,
                                              .max_series = config->limits->max_series,
                                              .n_sources = agent->n_slots,
                                              .windows = config->windows,
                                              .n_windows = config->n_windows,
                                              .lengths = &agent->accounts.lengths,
                                              .accounts = map,
                                              .evaluator = evaluator};
    enum wr_result result = wr_engine_new(&options, ret_engine, err);
    if (result != WR_OK) {
        free(map);
        return result;
    }
    *ret_map = map;
    return WR_OK;
}

uint32_t wr_agent_max_counts(uint32_t n_slots, uint32_t n_windows, uint32_t n_base) {
    return wr_engine_max_counts(n_slots, n_windows) + (n_slots + n_base) * WR_BOOKS;
}
