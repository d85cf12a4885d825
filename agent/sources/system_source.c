#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/sources/system_private.h"
#include "core/log.h"
#include "core/quantity.h"

#define WAIT_NS (1 * WR_NS_PER_S) /* for a batch, within a round */
#define STOP_LOOK_NS (50 * WR_NS_PER_MS)

static const char *proc_root = "/proc";
static const char *sys_root = "/sys";

void wr_system_source_roots(const char *proc, const char *sys) {
    proc_root = proc ? proc : "/proc";
    sys_root = sys ? sys : "/sys";
}

/* In the order of enum wr_system_part. */
static const struct {
    bool (*collect)(struct wr_system *system);
    const char *needs; /* for the one complaint */
} parts[WR_SYSTEM_PARTS] = {
    [WR_SYSTEM_CPU] = {wr_system_cpu, "/proc/stat"},
    [WR_SYSTEM_MEMORY] = {wr_system_memory, "/proc/meminfo"},
    [WR_SYSTEM_LOAD] = {wr_system_load, "/proc/loadavg and /proc/stat"},
    [WR_SYSTEM_DISK] = {wr_system_disk, "/proc/self/mountinfo"},
    [WR_SYSTEM_DISKIO] = {wr_system_diskio, "/proc/diskstats"},
    [WR_SYSTEM_TEMPERATURE] = {wr_system_temperature, "/sys/class"},
    [WR_SYSTEM_NETWORK] = {wr_system_network, "/proc/net/dev"},
    [WR_SYSTEM_CLOCK] = {wr_system_clock, "adjtimex"},
    [WR_SYSTEM_OWN] = {wr_system_own, "the agent's own metrics"},
};

static struct wr_system *of(struct wr_source *source) {
    return (struct wr_system *)(void *)source;
}

struct wr_proc_text wr_system_read(struct wr_system *system, const char *root, const char *name) {
    char path[WR_SYSTEM_ROOT_BYTES + 128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;
    while (fd >= 0 && len < sizeof system->buffer) {
        const ssize_t n = read(fd, system->buffer + len, sizeof system->buffer - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (len == sizeof system->buffer) /* a line that was cut is no line */
        while (len > 0 && system->buffer[len - 1] != '\n')
            len--;
    return (struct wr_proc_text){system->buffer, system->buffer + len};
}

static void complain(struct wr_system *system, unsigned part) {
    if (system->complained & UINT64_C(1) << part)
        return;
    system->complained |= UINT64_C(1) << part;
    WR_LOG_WITH(WR_LOG_WARN, "system", "cannot be read; its series stay away", WR_LOG_STR("source", system->source.env.config->name),
                WR_LOG_STR("part", wr_system_part_names[part]), WR_LOG_STR("from", parts[part].needs));
}

static void emit(struct wr_system *system, struct wr_context *context, uint32_t wanted) {
    system->now = wr_clock_now(system->source.env.clock);
    wr_intake_arrived(&system->intake, &system->now);
    system->sample.context = context;
    system->sample.wait_until_boot_ns = wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), WAIT_NS);
    system->sample.unsent = 0;
    system->stat_state = WR_SYSTEM_STAT_UNREAD;
    for (unsigned part = 0; part < WR_SYSTEM_PARTS; part++) {
        if (!(wanted & 1u << part))
            continue;
        if (parts[part].collect(system))
            system->complained &= ~(UINT64_C(1) << part);
        else
            complain(system, part);
    }
    if (system->sample.unsent > 0)
        WR_LOG_WITH(WR_LOG_WARN, "system", "the engine takes nothing: a round was left unfinished",
                    WR_LOG_STR("source", system->source.env.config->name), WR_LOG_INT("samples", system->sample.unsent));
}

static void run_round(struct wr_context *context, void *user) {
    struct wr_system *system = user;
    const uint32_t wanted = system->source.env.config->system.parts;
    int phase = WR_SYSTEM_MEASURING;
    system->phase = WR_SYSTEM_MEASURING;
    if (wanted & 1u << WR_SYSTEM_DISK)
        wr_system_measure(system);
    if (!atomic_compare_exchange_strong(&system->phase, &phase, WR_SYSTEM_EMITTING))
        return; /* abandoned: what is outside of this struct may be gone */
    emit(system, context, wanted);
    system->phase = WR_SYSTEM_IDLE;
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    struct wr_system *system = calloc(1, sizeof *system);
    if (!system)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    system->source = (struct wr_source){.ops = &wr_system_source_ops, .env = *env};
    snprintf(system->proc, sizeof system->proc, "%s", proc_root);
    snprintf(system->sys, sizeof system->sys, "%s", sys_root);
    wr_intake_init(&system->intake, &system->source.env);
    system->sample.intake = &system->intake;
    *ret_source = &system->source;
    return WR_OK;
}

static enum wr_result start(struct wr_source *source, struct wr_error *err) {
    struct wr_system *system = of(source);
    WR_TRY(wr_poller_start(&system->poller, &system->intake, 0, run_round, system, err));
    system->started = true;
    return WR_OK;
}

static enum wr_result stop(struct wr_source *source, int64_t deadline_boot_ns) {
    struct wr_system *system = of(source);
    system->started = false;
    while (wr_poller_stop(&system->poller, deadline_boot_ns) != WR_OK) {
        int phase = WR_SYSTEM_MEASURING;
        if (atomic_compare_exchange_strong(&system->phase, &phase, WR_SYSTEM_ABANDONED)) {
            WR_LOG_WITH(WR_LOG_ERROR, "system", "a file system does not answer: its round is left behind",
                        WR_LOG_STR("source", source->env.config->name));
            return WR_OK;
        }
        deadline_boot_ns = wr_clock_boot_ns(wr_clock_real()) + STOP_LOOK_NS; /* all but the measuring ends soon */
    }
    return WR_OK;
}

static void release(struct wr_source *source) {
    struct wr_system *system = of(source);
    if (system->started)
        (void)stop(source, 0);
    if (system->phase == WR_SYSTEM_ABANDONED)
        return; /* a thread still is in it */
    wr_intake_fini(&system->intake);
    free(system);
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    char every[32];
    const char *before = "";
    wr_quantity_format_duration(every, sizeof every, config->every_ns);
    WR_TRY(wr_buf_printf(into, " every %s:", every));
    for (unsigned part = 0; part < WR_SYSTEM_PARTS; part++) {
        if (!(config->system.parts & 1u << part))
            continue;
        WR_TRY(wr_buf_printf(into, "%s %s", before, wr_system_part_names[part]));
        before = ",";
    }
    return WR_OK;
}

static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    (void)config;
    return sizeof(struct wr_system) + wr_intake_bytes(limits);
}

const struct wr_source_ops wr_system_source_ops = {.kind = WR_SOURCE_SYSTEM,
                                                   .name = "system",
                                                   .create = create,
                                                   .start = start,
                                                   .stop = stop,
                                                   .free = release,
                                                   .describe = describe,
                                                   .bytes = bytes};
