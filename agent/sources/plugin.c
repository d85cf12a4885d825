#include "agent/sources/plugin.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/quantity.h"

#define LOOK_NS (50 * WR_NS_PER_MS) /* how often a child without pidfd is looked after */

/* A run under way. */
struct run {
    struct wr_plugin *plugin;
    const struct wr_plugin_plan *plan;
    int64_t now_boot_ns;
    int64_t kill_boot_ns;    /* SIGKILL then */
    int64_t give_up_boot_ns; /* in a stop, after SIGKILL: not waited for any longer */
    bool out_open;           /* more may come */
    bool err_open;
    bool stalled; /* records wait for a batch */
    bool stopping;
    bool over;         /* the program has ended and was reaped */
    bool output_ended; /* what was left of its output is dealt with */
    bool cut;          /* what follows is refused */
    uint64_t out_left; /* bytes that were in the pipes at its end */
    uint64_t err_left;
    enum wr_plugin_end end;
};

/* -- stderr ---------------------------------------------------------------------------------------------------------------------------- */

static void log_line(struct wr_plugin *plugin) {
    char text[WR_PLUGIN_STDERR_BYTES];
    if (plugin->said_len == 0)
        return;
    wr_error_escape(text, sizeof text, plugin->said, plugin->said_len);
    const struct wr_log_value values[] = {WR_LOG_STR("source", plugin->env->config->name), WR_LOG_STR("line", text)};
    wr_log_write(&plugin->stderr_site, WR_LOG_WARN, "plugin", "says on stderr", values, 2);
}

static void take_stderr(struct wr_plugin *plugin, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (plugin->said_whole && bytes[i] != '\n') {
            plugin->said_whole = false;
            plugin->said_len = 0;
        }
        if (bytes[i] == '\n' && !plugin->said_whole) {
            log_line(plugin);
            plugin->said_whole = true;
        } else if (bytes[i] != '\n' && plugin->said_len < sizeof plugin->said) {
            plugin->said[plugin->said_len++] = bytes[i];
        }
    }
}

static void read_stderr(struct run *run) {
    char bytes[4096];
    const ssize_t n = read(run->plugin->child.err, bytes, sizeof bytes);
    const size_t len = n > 0 ? (size_t)n : 0;
    run->err_left = run->err_left > len ? run->err_left - len : 0;
    if (n > 0)
        take_stderr(run->plugin, bytes, len);
    else if (n == 0 || errno != EINTR)
        run->err_open = false;
}

/* -- stdout ---------------------------------------------------------------------------------------------------------------------------- */

static void refuse(struct run *run, enum wr_book reason, const char *message) {
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, reason, run->plugin->stream.line + 1, "", "", "%s", message);
    wr_intake_refuse(&run->plugin->intake, &refusal);
}

static void kill_it(struct run *run, enum wr_plugin_end why) {
    if (run->end == WR_PLUGIN_ENDED)
        run->end = why;
    run->kill_boot_ns = WR_NEVER_NS;
    run->give_up_boot_ns = wr_clock_add_ns(run->now_boot_ns, WR_PLUGIN_GIVE_UP_NS);
    wr_child_signal(&run->plugin->child, SIGKILL);
}

static void step_output(struct run *run) {
    struct wr_plugin *plugin = run->plugin;
    const uint64_t before = plugin->stream.bytes;
    const struct wr_now now = wr_clock_now(plugin->env->clock);
    wr_intake_arrived(&plugin->intake, &now);
    struct wr_error err = {0};
    const enum wr_result result = wr_codec_stream_step(&plugin->stream, &err);
    wr_intake_hand_over(&plugin->intake);
    const uint64_t n = plugin->stream.bytes - before;
    atomic_fetch_add_explicit(&plugin->env->counters->bytes, n, memory_order_relaxed);
    run->out_left = run->out_left > n ? run->out_left - n : 0;
    run->stalled = result == WR_FULL;
    if (result != WR_OK && result != WR_FULL)
        run->out_open = false;
    if (run->out_open && run->plan->max_output_bytes && plugin->stream.bytes > run->plan->max_output_bytes) {
        refuse(run, WR_BOOK_REJECTED_TOO_LONG, "the program printed more than max_output; the rest is refused");
        run->out_open = false;
        run->cut = true;
        kill_it(run, WR_PLUGIN_TOO_MUCH);
    }
}

/* Reads once, or goes on with what waited; as far as there are batches. */
static void take_output(struct run *run) {
    struct wr_channel *batches = run->plugin->env->pool->free;
    const bool waited = run->stalled;
    do
        step_output(run);
    while (run->stalled && wr_channel_arm(batches, WR_CHANNEL_RECV));
    if (run->stalled && !waited)
        atomic_fetch_add_explicit(&run->plugin->env->counters->waits, 1, memory_order_relaxed);
}

static void resume_output(struct run *run) {
    wr_channel_disarm(run->plugin->env->pool->free, WR_CHANNEL_RECV);
    take_output(run);
}

/* Everything was read. After a good end what is left is a last record without newline; after any other it may be half of one. */
static void end_output(struct run *run) {
    struct wr_plugin *plugin = run->plugin;
    run->output_ended = true;
    if (run->cut)
        return;
    if (plugin->status == 0 && (run->end == WR_PLUGIN_ENDED || run->end == WR_PLUGIN_STOPPED)) {
        wr_codec_stream_end(&plugin->stream);
        take_output(run);
    } else if (wr_codec_stream_holds_part(&plugin->stream)) {
        refuse(run, WR_BOOK_REJECTED_SYNTAX, "the program ended inside a record");
    }
}

/* -- the loop -------------------------------------------------------------------------------------------------------------------------- */

static void begin_stop(struct run *run) {
    struct wr_child *child = &run->plugin->child;
    const int64_t deadline_ns = run->plugin->stop_deadline_boot_ns;
    run->stopping = true;
    if (run->over)
        return;
    if (run->end == WR_PLUGIN_ENDED)
        run->end = WR_PLUGIN_STOPPED;
    if (child->in >= 0)
        close(child->in);
    child->in = -1;
    wr_child_signal(child, SIGTERM);
    run->kill_boot_ns = wr_clock_add_ns(run->now_boot_ns, WR_PLUGIN_GRACE_NS);
    if (run->kill_boot_ns > deadline_ns)
        run->kill_boot_ns = deadline_ns;
}

static void look_at_child(struct run *run) {
    struct wr_plugin *plugin = run->plugin;
    int out = 0, err = 0;
    if (run->over || !wr_child_ended(&plugin->child, &plugin->status))
        return;
    run->over = true;
    /* What is in the pipes now, and no more: a process that has left the group may hold them open for ever. */
    if (!run->out_open || ioctl(plugin->stream.fd, FIONREAD, &out) < 0)
        out = 0;
    if (!run->err_open || ioctl(plugin->child.err, FIONREAD, &err) < 0)
        err = 0;
    run->out_left = (uint64_t)out;
    run->err_left = (uint64_t)err;
}

/* What is in its pipes stays there; what it may have printed is nobody's any more. */
static void give_up(struct run *run) {
    WR_LOG_WITH(WR_LOG_ERROR, "plugin", "program cannot be killed: left behind", WR_LOG_STR("source", run->plugin->env->config->name),
                WR_LOG_INT("pid", run->plugin->child.pid));
    wr_child_abandon(&run->plugin->child);
    run->over = true;
    run->out_open = false;
    run->err_open = false;
    run->cut = true;
}

/* At the deadline of a stop nothing waits for a batch any more. */
static void look_at_deadlines(struct run *run) {
    if (!run->over && run->now_boot_ns >= run->kill_boot_ns)
        kill_it(run, WR_PLUGIN_OVERRAN);
    if (!run->over && run->stopping && run->now_boot_ns >= run->give_up_boot_ns)
        give_up(run);
    if (run->stopping && run->stalled && run->now_boot_ns >= run->plugin->stop_deadline_boot_ns) {
        wr_intake_discard(&run->plugin->intake);
        resume_output(run);
    }
}

static int timeout_ms(const struct run *run) {
    int64_t until_ns = run->over ? WR_NEVER_NS : run->kill_boot_ns;
    if (!run->over && run->stopping && run->give_up_boot_ns < until_ns)
        until_ns = run->give_up_boot_ns;
    if (run->stopping && run->stalled && run->plugin->stop_deadline_boot_ns < until_ns)
        until_ns = run->plugin->stop_deadline_boot_ns;
    if (!run->over && run->plugin->child.pidfd < 0 && until_ns > run->now_boot_ns + LOOK_NS)
        until_ns = run->now_boot_ns + LOOK_NS;
    if (until_ns == WR_NEVER_NS)
        return -1;
    const int64_t left_ms = (until_ns - run->now_boot_ns) / WR_NS_PER_MS + 1;
    return left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
}

enum watched { STOP, ENDED, ERR, OUT, BATCH, WATCHED };

/* Waits until something happens, and deals with it. */
static void turn(struct run *run) {
    struct wr_plugin *plugin = run->plugin;
    const bool read_out = run->out_open && !run->stalled;
    struct pollfd fds[WATCHED] = {
        [STOP] = {run->stopping ? -1 : plugin->stop_fd, POLLIN, 0},  [ENDED] = {run->over ? -1 : plugin->child.pidfd, POLLIN, 0},
        [ERR] = {run->err_open ? plugin->child.err : -1, POLLIN, 0}, [OUT] = {read_out ? plugin->stream.fd : -1, POLLIN, 0},
        [BATCH] = {run->stalled ? plugin->batch_fd : -1, POLLIN, 0},
    };
    if (poll(fds, WATCHED, timeout_ms(run)) < 0)
        memset(fds, 0, sizeof fds); /* interrupted: nothing is ready */
    run->now_boot_ns = wr_clock_boot_ns(wr_clock_real());
    if (fds[STOP].revents)
        begin_stop(run);
    if (fds[ERR].revents)
        read_stderr(run);
    if (fds[OUT].revents & POLLIN)
        take_output(run);
    else if (fds[OUT].revents)
        run->out_open = false; /* closed; whether that is a good end shows when the program has ended */
    if (fds[BATCH].revents)
        resume_output(run);
    look_at_child(run);
    look_at_deadlines(run);
    if (run->over) {
        run->out_open = run->out_open && run->out_left > 0;
        run->err_open = run->err_open && run->err_left > 0;
        if (!run->out_open && !run->stalled && !run->output_ended)
            end_output(run);
    }
}

static bool goes_on(const struct run *run) {
    return !run->over || run->out_open || run->err_open || run->stalled || !run->output_ended;
}

/* -- one run --------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result begin(struct wr_plugin *plugin, const struct wr_plugin_plan *plan) {
    char *const variables[] = {(char *)"PATH=/usr/local/bin:/usr/bin:/bin", plugin->source_variable, NULL};
    const struct wr_config_program *config = &plugin->env->config->program;
    const struct wr_child_plan child = {.argv = plugin->argv,
                                        .variables = variables,
                                        .bound = true,
                                        .memory_bytes = config->memory_bytes,
                                        .stdin_pipe = plan->stdin_pipe,
                                        .output_pipes = true};
    wr_codec_forget(&plugin->codec);
    WR_TRY(wr_child_spawn(&plugin->child, &child, &plugin->err));
    enum wr_result result = wr_codec_stream_attach(&plugin->stream, plugin->child.out, plugin->codec.feed, plugin->codec.parser,
                                                   &plugin->intake.sink, (size_t)plugin->env->limits->max_line_bytes, &plugin->err);
    if (result == WR_OK)
        plugin->child.out = -1; /* the stream's */
    else
        wr_child_close(&plugin->child);
    return result;
}

static void count_end(struct wr_plugin *plugin, enum wr_plugin_end end) {
    struct wr_intake_counters *counters = plugin->env->counters;
    const bool killed = end == WR_PLUGIN_OVERRAN || end == WR_PLUGIN_TOO_MUCH;
    if (killed)
        atomic_fetch_add_explicit(&counters->programs_killed, 1, memory_order_relaxed);
    if (killed || end == WR_PLUGIN_NOT_STARTED || (end == WR_PLUGIN_ENDED && plugin->status != 0))
        atomic_fetch_add_explicit(&counters->programs_failed, 1, memory_order_relaxed);
}

enum wr_plugin_end wr_plugin_run(struct wr_plugin *plugin, const struct wr_plugin_plan *plan) {
    struct wr_intake_counters *counters = plugin->env->counters;
    plugin->said_len = 0;
    plugin->said_whole = false;
    plugin->status = 0;
    if (plugin->stop_deadline_boot_ns != WR_NEVER_NS)
        return WR_PLUGIN_STOPPED;
    if (begin(plugin, plan) != WR_OK) {
        count_end(plugin, WR_PLUGIN_NOT_STARTED);
        return WR_PLUGIN_NOT_STARTED;
    }
    atomic_fetch_add_explicit(&counters->programs, 1, memory_order_relaxed);
    atomic_store_explicit(&counters->connections, 1, memory_order_relaxed);
    struct run run = {.plugin = plugin,
                      .plan = plan,
                      .now_boot_ns = wr_clock_boot_ns(wr_clock_real()),
                      .kill_boot_ns = plan->deadline_boot_ns,
                      .give_up_boot_ns = WR_NEVER_NS,
                      .out_open = true,
                      .err_open = true,
                      .end = WR_PLUGIN_ENDED};
    while (goes_on(&run))
        turn(&run);
    if (!plugin->said_whole)
        log_line(plugin);
    wr_codec_stream_close(&plugin->stream);
    wr_child_close(&plugin->child);
    atomic_store_explicit(&counters->connections, 0, memory_order_relaxed);
    count_end(plugin, run.end);
    return run.end;
}

bool wr_plugin_sleep(struct wr_plugin *plugin, int64_t until_boot_ns) {
    struct pollfd stop = {plugin->stop_fd, POLLIN, 0};
    for (;;) {
        const int64_t left_ns = until_boot_ns - wr_clock_boot_ns(wr_clock_real());
        if (left_ns <= 0)
            return plugin->stop_deadline_boot_ns == WR_NEVER_NS;
        const int64_t left_ms = left_ns / WR_NS_PER_MS + 1;
        if (poll(&stop, 1, left_ms > 60000 ? 60000 : (int)left_ms) > 0)
            return false;
    }
}

void wr_plugin_stop(struct wr_plugin *plugin, int64_t deadline_boot_ns) {
    atomic_store(&plugin->stop_deadline_boot_ns, deadline_boot_ns == WR_NEVER_NS ? WR_NEVER_NS - 1 : deadline_boot_ns);
    (void)eventfd_write(plugin->stop_fd, 1);
}

void wr_plugin_report(struct wr_plugin *plugin, enum wr_plugin_end end, const char *then) {
    char how[64] = "", said[WR_PLUGIN_STDERR_BYTES];
    const char *message = NULL;
    switch (end) {
    case WR_PLUGIN_ENDED:
        message = "program ended";
        wr_child_status_text(how, sizeof how, plugin->status);
        break;
    case WR_PLUGIN_OVERRAN:
        message = "program killed: it did not end in time";
        break;
    case WR_PLUGIN_TOO_MUCH:
        message = "program killed: it printed more than max_output";
        break;
    case WR_PLUGIN_NOT_STARTED:
        message = "program not started";
        snprintf(how, sizeof how, "%.63s", plugin->err.text);
        break;
    case WR_PLUGIN_STOPPED:
        return;
    }
    wr_error_escape(said, sizeof said, plugin->said, plugin->said_len);
    WR_LOG_WITH(WR_LOG_WARN, "plugin", message, WR_LOG_STR("source", plugin->env->config->name), WR_LOG_STR("program", plugin->argv[0]),
                WR_LOG_STR("how", how), WR_LOG_STR("last_words", said), WR_LOG_STR("then", then));
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static void where(void *user, char *text, size_t size) {
    const struct wr_plugin *plugin = user;
    snprintf(text, size, "%s", plugin->argv[0]);
}

enum wr_result wr_plugin_init(struct wr_plugin *plugin, const struct wr_source_env *env, struct wr_error *err) {
    memset(plugin, 0, sizeof *plugin);
    plugin->env = env;
    plugin->child = (struct wr_child){.pidfd = -1, .in = -1, .out = -1, .err = -1, .life = -1};
    plugin->stop_deadline_boot_ns = WR_NEVER_NS;
    snprintf(plugin->source_variable, sizeof plugin->source_variable, "WEIR_SOURCE=%s", env->config->name);
    for (unsigned i = 0; i < env->config->program.n_command && i < WR_CHILD_ARGUMENTS; i++)
        plugin->argv[i] = env->config->program.command[i];
    plugin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (plugin->stop_fd < 0)
        return wr_error_set(err, WR_IO, "no eventfd: %s", strerror(errno));
    enum wr_result result = wr_channel_descriptor(env->pool->free, WR_CHANNEL_RECV, &plugin->batch_fd, err);
    if (result != WR_OK) {
        close(plugin->stop_fd);
        return result;
    }
    wr_intake_init(&plugin->intake, env);
    plugin->intake.where = where;
    plugin->intake.where_user = plugin;
    result = wr_codec_init(&plugin->codec, env->config, NULL, (size_t)env->limits->max_line_bytes, err);
    if (result != WR_OK)
        wr_plugin_fini(plugin);
    return result;
}

void wr_plugin_fini(struct wr_plugin *plugin) {
    wr_codec_fini(&plugin->codec);
    wr_intake_fini(&plugin->intake);
    close(plugin->stop_fd);
}

enum wr_result wr_plugin_describe(const struct wr_config_source *config, struct wr_buf *into) {
    char size[32];
    WR_TRY(wr_buf_printf(into, " %s", config->program.command[0]));
    if (config->program.memory_bytes == 0)
        return wr_buf_text(into, " without a limit of memory");
    return wr_buf_printf(into, " in at most %s", wr_quantity_format_size(size, sizeof size, config->program.memory_bytes));
}

size_t wr_plugin_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    const size_t max_line = (size_t)limits->max_line_bytes;
    return sizeof(struct wr_plugin) + wr_intake_bytes(limits) + wr_codec_bytes(config, max_line) + (max_line > 65536 ? max_line : 65536);
}

/* -- what exec and execd have in common ---------------------------------------------------------------------------------------------------- */

static struct wr_plugin_source *of(struct wr_source *source) {
    return (struct wr_plugin_source *)(void *)source;
}

enum wr_result wr_plugin_source_new(const struct wr_source_env *env, const struct wr_source_ops *ops, size_t size,
                                    void (*join)(struct wr_plugin_source *source), struct wr_source **ret_source, struct wr_error *err) {
    struct wr_plugin_source *it = calloc(1, size);
    if (!it)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    it->source = (struct wr_source){.ops = ops, .env = *env};
    it->join = join;
    const enum wr_result result = wr_plugin_init(&it->plugin, &it->source.env, err);
    if (result != WR_OK) {
        free(it);
        return result;
    }
    *ret_source = &it->source;
    return WR_OK;
}

void wr_plugin_source_prepare_stop(struct wr_source *source, int64_t deadline_boot_ns) {
    wr_plugin_stop(&of(source)->plugin, deadline_boot_ns);
}

enum wr_result wr_plugin_source_stop(struct wr_source *source, int64_t deadline_boot_ns) {
    struct wr_plugin_source *it = of(source);
    wr_plugin_stop(&it->plugin, deadline_boot_ns);
    it->join(it);
    it->started = false;
    return it->plugin.intake.dropped > 0 ? WR_TIMEOUT : WR_OK;
}

void wr_plugin_source_free(struct wr_source *source) {
    struct wr_plugin_source *it = of(source);
    if (it->started)
        (void)!wr_plugin_source_stop(source, 0);
    wr_plugin_fini(&it->plugin);
    free(it);
}
