/* The workers of the pipeline: one elastic pool for whatever blocks, and the scheduler that drives it. No thread of it runs on the way of a
 * reading or an alarm. */
#include "agent/agent.h"
#include "core/log.h"

#define QUEUE (2 * WR_CONFIG_SOURCES_MAX) /* each source has one task at a time */

static void log_overrun(void *user, const char *task, int64_t over_ns) {
    (void)user;
    WR_LOG_WITH(WR_LOG_WARN, "workers", "runs past its deadline", WR_LOG_STR("task", task), WR_LOG_INT("over_ms", over_ns / WR_NS_PER_MS));
}

static struct wr_pool_options options_of(const struct wr_config_limits *limits) {
    return (struct wr_pool_options){.name = "weir-pool",
                                    .rules = {.strategy = WR_POOL_MIXED, .threads_max = limits->worker_threads},
                                    .queue = QUEUE,
                                    .policy = WR_CHANNEL_REJECT,
                                    .overrun = log_overrun};
}

size_t wr_agent_workers_bytes(const struct wr_config_limits *limits) {
    const struct wr_pool_options options = options_of(limits);
    return wr_pool_bytes(&options);
}

enum wr_result wr_agent_workers_start(struct wr_agent *agent, struct wr_error *err) {
    const struct wr_pool_options options = options_of(agent->config->limits);
    WR_TRY(wr_pool_new(&options, &agent->workers, err));
    return wr_scheduler_loop_new("weir-scheduler", agent->workers, &agent->scheduler, err);
}

enum wr_result wr_agent_workers_stop(struct wr_agent *agent, int64_t deadline_boot_ns, struct wr_error *err) {
    if (agent->scheduler && wr_scheduler_loop_stop(agent->scheduler, deadline_boot_ns) != WR_OK)
        return wr_error_set(err, WR_TIMEOUT, "the scheduler");
    /* Whoever had work done here has stopped before: there is nothing left to wait for but what a source left behind. That tells the scheduler when it
     * ends, so the scheduler is freed after it. */
    if (agent->workers)
        WR_TRY(wr_pool_stop(agent->workers, 0, deadline_boot_ns, err));
    wr_scheduler_loop_free(agent->scheduler);
    wr_pool_free(agent->workers);
    agent->scheduler = NULL;
    agent->workers = NULL;
    return WR_OK;
}
