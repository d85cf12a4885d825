#include "agent/sources/exec_source.h"

#include "agent/sources/plugin.h"
#include "agent/sources/poller.h"
#include "core/quantity.h"

struct exec {
    struct wr_plugin_source base; /* first */
    struct wr_poller poller;
};

static struct exec *of(struct wr_source *source) {
    return (struct exec *)(void *)source;
}

/* The stop comes by wr_plugin_stop, not by the context: the program may end in peace. */
static void run_once(struct wr_context *context, void *user) {
    (void)context;
    struct exec *exec = user;
    const struct wr_config_program *config = &exec->base.source.env.config->program;
    const struct wr_plugin_plan plan = {.deadline_boot_ns = wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), config->timeout_ns),
                                        .max_output_bytes = config->max_output_bytes};
    const enum wr_plugin_end end = wr_plugin_run(&exec->base.plugin, &plan);
    if (end != WR_PLUGIN_ENDED || exec->base.plugin.status != 0)
        wr_plugin_report(&exec->base.plugin, end, "runs again in the next round");
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static void join(struct wr_plugin_source *base) {
    (void)!wr_poller_stop(&of(&base->source)->poller, WR_NEVER_NS); /* wr_plugin_stop sees to its end */
}

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    return wr_plugin_source_new(env, &wr_exec_source_ops, sizeof(struct exec), join, ret_source, err);
}

static enum wr_result start(struct wr_source *source, struct wr_error *err) {
    struct exec *exec = of(source);
    WR_TRY(wr_poller_start(&exec->poller, &exec->base.plugin.intake, 0, run_once, exec, err));
    exec->base.started = true;
    return WR_OK;
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    char every[32], timeout[32];
    wr_quantity_format_duration(every, sizeof every, config->every_ns);
    wr_quantity_format_duration(timeout, sizeof timeout, config->program.timeout_ns);
    WR_TRY(wr_plugin_describe(config, into));
    return wr_buf_printf(into, ", every %s, killed after %s", every, timeout);
}

static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    return sizeof(struct exec) + wr_plugin_bytes(config, limits);
}

const struct wr_source_ops wr_exec_source_ops = {.kind = WR_SOURCE_EXEC,
                                                 .name = "exec",
                                                 .create = create,
                                                 .start = start,
                                                 .prepare_stop = wr_plugin_source_prepare_stop,
                                                 .stop = wr_plugin_source_stop,
                                                 .free = wr_plugin_source_free,
                                                 .describe = describe,
                                                 .bytes = bytes};
