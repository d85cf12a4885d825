#include "agent/sources/exec_source.h"

#include <stdlib.h>

#include "agent/sources/plugin.h"
#include "agent/sources/poller.h"
#include "core/quantity.h"

struct exec {
    struct wr_source source; /* first */
    struct wr_plugin plugin;
    struct wr_poller poller;
    bool started;
};

static struct exec *of(struct wr_source *source) {
    return (struct exec *)(void *)source;
}

/* The stop comes by wr_plugin_stop, not by the context: the program may end in peace. */
static void run_once(struct wr_context *context, void *user) {
    (void)context;
    struct exec *exec = user;
    const struct wr_config_program *config = &exec->source.env.config->program;
    const struct wr_plugin_plan plan = {.deadline_boot_ns = wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), config->timeout_ns),
                                        .max_output_bytes = config->max_output_bytes};
    const enum wr_plugin_end end = wr_plugin_run(&exec->plugin, &plan);
    if (end != WR_PLUGIN_ENDED || exec->plugin.status != 0)
        wr_plugin_report(&exec->plugin, end, "runs again in the next round");
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    exec->source = (struct wr_source){.ops = &wr_exec_source_ops, .env = *env};
    enum wr_result result = wr_plugin_init(&exec->plugin, &exec->source.env, err);
    if (result != WR_OK) {
        free(exec);
        return result;
    }
    *ret_source = &exec->source;
    return WR_OK;
}

static enum wr_result start(struct wr_source *source, struct wr_error *err) {
    struct exec *exec = of(source);
    WR_TRY(wr_poller_start(&exec->poller, &exec->plugin.intake, 0, run_once, exec, err));
    exec->started = true;
    return WR_OK;
}

static void prepare_stop(struct wr_source *source, int64_t deadline_boot_ns) {
    wr_plugin_stop(&of(source)->plugin, deadline_boot_ns);
}

static enum wr_result stop(struct wr_source *source, int64_t deadline_boot_ns) {
    struct exec *exec = of(source);
    wr_plugin_stop(&exec->plugin, deadline_boot_ns);
    (void)!wr_poller_stop(&exec->poller, WR_NEVER_NS); /* wr_plugin_stop sees to its end */
    exec->started = false;
    return exec->plugin.intake.dropped > 0 ? WR_TIMEOUT : WR_OK;
}

static void release(struct wr_source *source) {
    struct exec *exec = of(source);
    if (exec->started)
        (void)stop(source, 0);
    wr_plugin_fini(&exec->plugin);
    free(exec);
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
                                                 .prepare_stop = prepare_stop,
                                                 .stop = stop,
                                                 .free = release,
                                                 .describe = describe,
                                                 .bytes = bytes};
