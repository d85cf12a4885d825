#include "agent/sources/execd_source.h"

#include <stdio.h>

#include "agent/sources/plugin.h"
#include "core/backoff.h"
#include "core/quantity.h"
#include "core/thread.h"

#define PAUSE_MIN_NS (1 * WR_NS_PER_S)
#define PAUSE_MAX_NS (120 * WR_NS_PER_S)
#define STABLE_NS (60 * WR_NS_PER_S)

struct execd {
    struct wr_plugin_source base; /* first */
    struct wr_backoff backoff;
    pthread_t thread;
};

static struct execd *of(struct wr_source *source) {
    return (struct execd *)(void *)source;
}

static int64_t report(struct execd *execd, enum wr_plugin_end end, int64_t ran_ns) {
    char then[64], pause[32];
    const int64_t pause_ns = wr_backoff_ended(&execd->backoff, ran_ns, wr_clock_random_u64(execd->base.source.env.clock));
    wr_quantity_format_duration(pause, sizeof pause, pause_ns / WR_NS_PER_MS * WR_NS_PER_MS);
    snprintf(then, sizeof then, "starts again in %s", pause);
    wr_plugin_report(&execd->base.plugin, end, then);
    return pause_ns;
}

static void *run(void *user) {
    struct execd *execd = user;
    char name[16];
    snprintf(name, sizeof name, "execd %.9s", execd->base.source.env.config->name);
    wr_thread_name(name);
    const struct wr_plugin_plan plan = {.deadline_boot_ns = WR_NEVER_NS, .stdin_pipe = true};
    for (;;) {
        const int64_t start_boot_ns = wr_clock_boot_ns(wr_clock_real());
        const enum wr_plugin_end end = wr_plugin_run(&execd->base.plugin, &plan);
        if (end == WR_PLUGIN_STOPPED)
            return NULL;
        const int64_t now_boot_ns = wr_clock_boot_ns(wr_clock_real());
        const int64_t pause_ns = report(execd, end, now_boot_ns - start_boot_ns);
        if (!wr_plugin_sleep(&execd->base.plugin, wr_clock_add_ns(now_boot_ns, pause_ns)))
            return NULL;
    }
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static void join(struct wr_plugin_source *base) {
    pthread_join(of(&base->source)->thread, NULL);
}

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    WR_TRY(wr_plugin_source_new(env, &wr_execd_source_ops, sizeof(struct execd), join, ret_source, err));
    of(*ret_source)->backoff = (struct wr_backoff){.min_ns = PAUSE_MIN_NS, .max_ns = PAUSE_MAX_NS, .stable_ns = STABLE_NS};
    return WR_OK;
}

static enum wr_result start(struct wr_source *source, struct wr_error *err) {
    struct execd *execd = of(source);
    WR_TRY(wr_thread_start(&execd->thread, run, execd, source->env.config->name, err));
    execd->base.started = true;
    return WR_OK;
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    WR_TRY(wr_plugin_describe(config, into));
    return wr_buf_text(into, ", kept running");
}

static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    return sizeof(struct execd) + wr_plugin_bytes(config, limits);
}

const struct wr_source_ops wr_execd_source_ops = {.kind = WR_SOURCE_EXECD,
                                                  .name = "execd",
                                                  .create = create,
                                                  .start = start,
                                                  .prepare_stop = wr_plugin_source_prepare_stop,
                                                  .stop = wr_plugin_source_stop,
                                                  .free = wr_plugin_source_free,
                                                  .describe = describe,
                                                  .bytes = bytes};
