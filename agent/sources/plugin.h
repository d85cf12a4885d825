/* One run of a program that prints records: what exec does once per interval, and execd for ever.
 *
 * The happy path: the program runs as a bound child (agent/process/child.h); what it prints goes through the codec into batches as it comes; each line
 * of its stderr becomes a line of the log; it ends with exit code 0, and a last line without newline is taken. What can go otherwise:
 *   - No batch is free: its stdout is not read until one is; the pipe fills, and the program waits.
 *   - It runs beyond its deadline, or prints more than it may: the whole group is killed. What it printed until then is taken but for
 *     an unfinished record: half a number is not a number. That, and what is beyond max_output, is refused and counted.
 *   - It ends with another code or by a signal: the same, and the caller is told.
 *   - It closes its stdout and goes on: its end is waited for. It ends, and what it started goes on: that is killed with its group.
 *   - It cannot be started, or there is no memory to read it: told; nothing else happens.
 *   - Stop: its stdin ends (where that is a pipe) and the group gets SIGTERM; what it still prints is taken; after WR_PLUGIN_GRACE_NS, or at the
 *     deadline of the stop, SIGKILL. What finds no batch by then is booked as received and dropped(stop).
 *   - Not even SIGKILL ends it (a device hangs in the kernel): a stop leaves it behind after another WR_PLUGIN_GIVE_UP_NS; an exec skips rounds.
 * A line of stderr longer than WR_PLUGIN_STDERR_BYTES is cut; more lines than the log takes from one place are counted there as suppressed.
 *
 * Threads: one at a time runs it, wr_plugin_stop from any.
 * Ownership: caller's memory, init/fini; the environment outlives it. Units: CLOCK_BOOTTIME ns, bytes.
 */
#ifndef WEIR_AGENT_SOURCES_PLUGIN_H
#define WEIR_AGENT_SOURCES_PLUGIN_H

#include "agent/codec/codec.h"
#include "agent/process/child.h"
#include "agent/sources/intake.h"
#include "core/log.h"

#define WR_PLUGIN_GRACE_NS (2 * WR_NS_PER_S) /* from SIGTERM to SIGKILL */
#define WR_PLUGIN_GIVE_UP_NS (1 * WR_NS_PER_S)
#define WR_PLUGIN_STDERR_BYTES 512

enum wr_plugin_end {
    WR_PLUGIN_ENDED,       /* by itself: status tells how */
    WR_PLUGIN_OVERRAN,     /* killed at its deadline */
    WR_PLUGIN_TOO_MUCH,    /* killed since it printed more than max_output */
    WR_PLUGIN_STOPPED,     /* by wr_plugin_stop */
    WR_PLUGIN_NOT_STARTED, /* err tells why */
};

struct wr_plugin_plan {
    int64_t deadline_boot_ns;  /* WR_NEVER_NS: none */
    uint64_t max_output_bytes; /* 0: no limit */
    bool stdin_pipe;           /* an empty pipe that ends when the program is to stop; else /dev/null */
};

struct wr_plugin {
    const struct wr_source_env *env;
    struct wr_intake intake;
    struct wr_codec codec;
    struct wr_codec_stream stream;
    struct wr_child child;
    int stop_fd;                           /* eventfd: readable from the stop on */
    int batch_fd;                          /* the pool's: readable when a batch has come back */
    _Atomic int64_t stop_deadline_boot_ns; /* WR_NEVER_NS: no stop yet */
    int status;                            /* of the last run, as waitpid gives it */
    struct wr_error err;
    struct wr_log_site stderr_site;
    char said[WR_PLUGIN_STDERR_BYTES]; /* the last line of its stderr, whole once a newline has come */
    size_t said_len;
    bool said_whole;
    char source_variable[WR_LEDGER_NAME_BYTES + 16];
    char *argv[WR_CHILD_ARGUMENTS + 1];
};

/* What the sources exec and execd have in common; each has it as its first member. */
struct wr_plugin_source {
    struct wr_source source; /* first */
    struct wr_plugin plugin;
    bool started;
    /* Waits until nothing runs the plugin any more; it has been told to stop. */
    void (*join)(struct wr_plugin_source *source);
};

WR_MUST_USE enum wr_result wr_plugin_init(struct wr_plugin *plugin, const struct wr_source_env *env, struct wr_error *err);
void wr_plugin_fini(struct wr_plugin *plugin);

/* Runs it once, from start to end. */
enum wr_plugin_end wr_plugin_run(struct wr_plugin *plugin, const struct wr_plugin_plan *plan);

/* Sleeps until then; false: the stop came first. */
bool wr_plugin_sleep(struct wr_plugin *plugin, int64_t until_boot_ns);

/* For good: the present run ends soon, and later ones at once. */
void wr_plugin_stop(struct wr_plugin *plugin, int64_t deadline_boot_ns);

/* One line of the log about an end that is not as it should be. `then` says what comes next. */
void wr_plugin_report(struct wr_plugin *plugin, enum wr_plugin_end end, const char *then);

/* For the operations of both. new: size bytes, which begin with a struct wr_plugin_source; the rest is 0. */
WR_MUST_USE enum wr_result wr_plugin_source_new(const struct wr_source_env *env, const struct wr_source_ops *ops, size_t size,
                                                void (*join)(struct wr_plugin_source *source), struct wr_source **ret_source,
                                                struct wr_error *err);
void wr_plugin_source_prepare_stop(struct wr_source *source, int64_t deadline_boot_ns);
WR_MUST_USE enum wr_result wr_plugin_source_stop(struct wr_source *source, int64_t deadline_boot_ns);
void wr_plugin_source_free(struct wr_source *source);

/* " /usr/bin/probe, at most 256 MB": for `weir check`. */
WR_MUST_USE enum wr_result wr_plugin_describe(const struct wr_config_source *config, struct wr_buf *into);
/* The share of the memory ceiling. */
size_t wr_plugin_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits);

#endif
