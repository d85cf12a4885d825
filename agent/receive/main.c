/* weir-receive: the central side. Takes segments off the broker and writes each once. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/receive/audit.h"
#include "agent/receive/file_sink.h"
#include "agent/receive/options.h"
#include "agent/receive/postgres.h"
#include "agent/receive/receiver.h"
#include "core/log.h"
#include "core/thread.h"

enum { EXIT_GOOD = 0, EXIT_WRONG = 1, EXIT_CANNOT = 2 };

#define STATEMENT_TIMEOUT_NS (60 * WR_NS_PER_S)
#define MESSAGE_BYTES_MAX (2u << 20)
#define FILTERS_MAX (2 * WR_MESSAGE_KINDS)
#define FILTER_BYTES 320

static void print_help(void) {
    fputs("weir-receive: takes what Weir agents sent to a broker, and writes each reading once: to files, standard output or PostgreSQL.\n"
          "\n"
          "Usage: weir-receive [-c FILE] [--KEY VALUE]...      run; a word wins over the file\n"
          "       weir-receive --check [-c FILE] [...]         say what is wrong, and do nothing\n"
          "       weir-receive --print-schema [--schema NAME]  the SQL that makes the tables of PostgreSQL\n"
          "       weir-receive --init [-c FILE] [...]          run it, and do nothing else\n"
          "       weir-receive --audit [--json] [-c FILE] [...] is all here that the nodes stored, or known to be lost?\n"
          "       weir-receive --version | --help\n"
          "\n"
          "Examples:\n"
          "  weir-receive --broker mqtt://127.0.0.1 --to stdout\n"
          "  weir-receive --broker mqtts://broker.example.com --ca ca.pem --cert me.pem --key me.key --to file:/var/lib/weir-receive/data\n"
          "  weir-receive --audit --to postgresql://weir@db.example.com/weir\n"
          "  weir-receive --broker mqtts://broker.example.com --user me --password-file pw --to postgresql://weir@db.example.com/weir\n"
          "\n"
          "Keys, as words or in the file (YAML, with _ for -), and what holds without them:\n",
          stdout);
    wr_receive_options_help(stdout);
    fputs("\nSIGTERM and SIGINT stop it cleanly. Exit codes: 0 stopped; 1 wrong options; 2 it cannot go on.\n"
          "Of --audit: 0 balanced; 1 something is off, or cannot be checked; 2 nothing to audit, or wrong options.\n",
          stdout);
}

/* -- the feed ------------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result feed_receive(void *self, int64_t deadline_boot_ns, struct wr_subscriber_message *ret_message) {
    return wr_subscriber_receive(self, deadline_boot_ns, ret_message);
}

static void feed_acknowledge(void *self, const struct wr_subscriber_token *tokens, size_t n) {
    wr_subscriber_acknowledge(self, tokens, n);
}

static void feed_wake(void *self) {
    wr_subscriber_wake(self);
}

static const struct wr_receive_feed_ops feed = {feed_receive, feed_acknowledge, feed_wake};

struct filters {
    char text[FILTERS_MAX][FILTER_BYTES];
    const char *list[FILTERS_MAX];
    size_t n;
};

/* For each kind the topic of MQTT 5, and that of 3.1.1 with the key behind it. */
static void make_filters(const struct wr_receive_options *options, struct filters *filters) {
    filters->n = 0;
    for (int kind = 0; kind < WR_MESSAGE_KINDS; kind++)
        for (int keyed = 0; keyed < 2; keyed++) {
            if ((options->kind_set & 1U << kind) == 0 || (keyed && kind == WR_MESSAGE_STATE))
                continue;
            char *text = filters->text[filters->n];
            (void)snprintf(text, FILTER_BYTES, "%s%s%s%s/+/+/%s%s", options->group[0] ? "$share/" : "", options->group,
                           options->group[0] ? "/" : "", options->prefix, wr_message_kind_name((enum wr_message_kind)kind),
                           keyed ? "/+/+" : "");
            filters->list[filters->n++] = text;
        }
}

static enum wr_result subscribe(const struct wr_receive_options *options, const struct filters *filters,
                                struct wr_subscriber **ret_subscriber, struct wr_error *err) {
    const struct wr_subscriber_config config = {
        .url = options->url,
        .tls = {.ca = options->ca ? options->ca : WR_TLS_SYSTEM_CA,
                .cert = options->cert,
                .key = options->key,
                .key_password_file = options->key_password_file,
                .crl = options->crl},
        .client_id = options->client_id,
        .user = options->user,
        .password_file = options->password_file,
        .filters = filters->list,
        .n_filters = filters->n,
        .qos = 1,
        .protocol = (enum wr_subscriber_protocol)options->protocol,
        .session_expiry_s = (uint32_t)(options->session_expiry_ns / WR_NS_PER_S),
        .keepalive_s = (uint16_t)(options->keepalive_ns / WR_NS_PER_S),
        .connect_timeout_ns = options->connect_timeout_ns,
        .retry_max_ns = options->retry_max_ns,
        .receive_max = (uint16_t)(options->batch * 2 < UINT16_MAX ? options->batch * 2 : UINT16_MAX),
        .buffer_bytes = options->buffer_bytes,
        .max_message_bytes = options->buffer_bytes / 4 < MESSAGE_BYTES_MAX ? options->buffer_bytes / 4 : MESSAGE_BYTES_MAX,
        .clock = wr_clock_real(),
    };
    return wr_subscriber_new(&config, ret_subscriber, err);
}

/* -- signals ------------------------------------------------------------------------------------------------------------------------------------- */

struct watcher {
    pthread_t thread;
    struct wr_receiver *receiver;
    struct wr_subscriber *subscriber;
    _Atomic bool done;
};

/* Waits for a signal to stop, and tells meanwhile when the connection comes and goes. */
static void *watch(void *user) {
    struct watcher *watcher = user;
    struct wr_subscriber_status told = {0};
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    wr_thread_name("weir-r-watch");
    while (!watcher->done) {
        if (sigtimedwait(&stop, NULL, &(struct timespec){.tv_nsec = 200 * WR_NS_PER_MS}) > 0) {
            wr_receiver_stop(watcher->receiver);
            break;
        }
        struct wr_subscriber_status now;
        wr_subscriber_status(watcher->subscriber, &now);
        if (now.connected && now.since_boot_ns != told.since_boot_ns) /* also one that was lost and back between two looks */
            WR_LOG_WITH(WR_LOG_INFO, "broker", "connected", WR_LOG_STR("mqtt", now.mqtt_version == 5 ? "5" : "3.1.1"),
                        WR_LOG_STR("session", now.session_present ? "kept" : "new"));
        else if (!now.connected && now.cause[0] && (told.connected || strcmp(now.cause, told.cause) != 0))
            WR_LOG_WITH(WR_LOG_WARN, "broker", "not connected", WR_LOG_STR("cause", now.cause));
        if (now.warning[0] && strcmp(now.warning, told.warning) != 0)
            WR_LOG_WITH(WR_LOG_WARN, "broker", "warning", WR_LOG_STR("cause", now.warning));
        told = now;
    }
    return NULL;
}

/* -- run ------------------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_postgres_options postgres_of(const struct wr_receive_options *options, int stop_fd) {
    return (struct wr_postgres_options){.url = options->to,
                                        .password_file = options->postgres_password_file,
                                        .schema = options->schema,
                                        .connect_timeout_ns = options->connect_timeout_ns,
                                        .statement_timeout_ns = STATEMENT_TIMEOUT_NS,
                                        .stop_fd = stop_fd};
}

static enum wr_result open_sink(const struct wr_receive_options *options, int stop_fd, struct wr_receive_sink *ret_sink,
                                struct wr_error *err) {
    if (options->target == WR_TARGET_POSTGRES) {
        const struct wr_postgres_options postgres = postgres_of(options, stop_fd);
        return wr_postgres_sink_new(&postgres, ret_sink, err);
    }
    const struct wr_file_sink_options files = {.directory = options->directory,
                                               .state = options->state,
                                               .instance = options->instance,
                                               .format = (enum wr_render_format)options->format,
                                               .rotate_bytes = options->rotate_size_bytes,
                                               .rotate_ns = options->rotate_every_ns};
    return wr_file_sink_new(&files, ret_sink, err);
}

static enum wr_result receive(const struct wr_receive_options *options, struct wr_receive_sink sink, struct wr_subscriber *subscriber,
                              int stop_fd, struct wr_error *err) {
    struct wr_receiver receiver;
    const struct wr_receiver_options loop = {.feed = &feed,
                                             .feed_self = subscriber,
                                             .sink = sink,
                                             .prefix = options->prefix,
                                             .quarantine = options->quarantine,
                                             .quarantine_max_bytes = options->quarantine_max_bytes,
                                             .batch_messages = options->batch,
                                             .batch_bytes = options->batch_size_bytes,
                                             .batch_delay_ns = options->batch_delay_ns,
                                             .retry_max_ns = options->retry_max_ns,
                                             .report_every_ns = options->report_every_ns,
                                             .clock = wr_clock_real(),
                                             .stop_fd = stop_fd};
    WR_TRY(wr_receiver_init(&receiver, &loop, err));
    struct watcher watcher = {.receiver = &receiver, .subscriber = subscriber};
    enum wr_result result = wr_thread_start(&watcher.thread, watch, &watcher, "the watcher", err);
    if (result == WR_OK) {
        result = wr_receiver_run(&receiver, err);
        watcher.done = true;
        (void)pthread_join(watcher.thread, NULL);
    }
    wr_receiver_fini(&receiver);
    return result;
}

static int run(const struct wr_receive_options *options) {
    struct wr_error err = {0};
    struct wr_receive_sink sink = {0};
    struct wr_subscriber *subscriber = NULL;
    struct filters filters;
    const int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    make_filters(options, &filters);
    enum wr_result result = stop_fd >= 0 ? open_sink(options, stop_fd, &sink, &err) : wr_error_set(&err, WR_IO, "no eventfd");
    if (result == WR_OK)
        result = subscribe(options, &filters, &subscriber, &err);
    if (result == WR_OK) {
        WR_LOG_WITH(WR_LOG_INFO, "receive", "started", WR_LOG_STR("version", WEIR_VERSION), WR_LOG_STR("broker", options->broker),
                    WR_LOG_STR("to", options->to), WR_LOG_STR("instance", options->instance));
        result = receive(options, sink, subscriber, stop_fd, &err);
    }
    wr_subscriber_free(subscriber);
    if (sink.ops)
        sink.ops->close(sink.self);
    if (stop_fd >= 0)
        close(stop_fd);
    if (result != WR_OK) {
        WR_LOG_WITH(WR_LOG_ERROR, "receive", "cannot go on", WR_LOG_ERR(&err));
        return EXIT_CANNOT;
    }
    WR_LOG(WR_LOG_INFO, "receive", "stopped");
    return EXIT_GOOD;
}

/* -- what is asked for ------------------------------------------------------------------------------------------------------------------------------ */

static int print_schema(const struct wr_receive_options *options) {
    struct wr_buf sql;
    wr_buf_init(&sql, 0);
    const bool good = wr_postgres_schema(options->schema, &sql) == WR_OK && fwrite(sql.data, 1, sql.len, stdout) == sql.len;
    wr_buf_fini(&sql);
    return good && fflush(stdout) == 0 ? EXIT_GOOD : EXIT_CANNOT;
}

static int init(const struct wr_receive_options *options) {
    struct wr_error err = {0};
    if (options->target != WR_TARGET_POSTGRES) {
        fprintf(stderr, "weir-receive: --init is for `to: postgresql://...`\n");
        return EXIT_WRONG;
    }
    const struct wr_postgres_options postgres = postgres_of(options, -1);
    if (wr_postgres_init(&postgres, &err) == WR_OK)
        return EXIT_GOOD;
    fprintf(stderr, "weir-receive: %s\n", err.text);
    return EXIT_CANNOT;
}

static enum wr_result read_audit(const struct wr_receive_options *options, struct wr_audit *audit, struct wr_error *err) {
    if (options->target == WR_TARGET_POSTGRES) {
        const struct wr_postgres_options postgres = postgres_of(options, -1);
        return wr_audit_postgres(&postgres, audit, err);
    }
    if (options->target != WR_TARGET_FILES || options->format != WR_RENDER_JSON)
        return wr_error_set(err, WR_UNSUPPORTED, "--audit is for `to: postgresql://...`, and for `to: file:...` with `format: json`");
    return wr_audit_files(options->directory, options->state, audit, err);
}

static int audit(const struct wr_receive_options *options, bool json) {
    struct wr_error err = {0};
    struct wr_audit audit;
    struct wr_buf text;
    wr_audit_init(&audit);
    wr_buf_init(&text, 0);
    enum wr_result result = read_audit(options, &audit, &err);
    if (result == WR_OK && audit.n == 0)
        result = wr_error_set(&err, WR_NOT_FOUND, "nothing to audit: no segment and no ledger record is here");
    if (result == WR_OK && (json ? wr_audit_print_json(&audit, &text) : wr_audit_print(&audit, &text)) != WR_OK)
        result = wr_error_set(&err, WR_NO_MEMORY, "no memory for the audit");
    if (result == WR_OK && (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0))
        result = wr_error_set(&err, WR_CLOSED, "standard output is closed");
    if (result != WR_OK)
        fprintf(stderr, "weir-receive: %s\n", err.text);
    const int code = result != WR_OK ? EXIT_CANNOT : wr_audit_balances(&audit) ? EXIT_GOOD : EXIT_WRONG;
    wr_buf_fini(&text);
    wr_audit_fini(&audit);
    return code;
}

enum task { RUN, CHECK, PRINT_SCHEMA, INIT, AUDIT, AUDIT_JSON };

/* Takes the words that are no keys out of argv. */
static bool take_word(int *argc, char **argv, const char *word) {
    for (int i = 1; i < *argc; i++)
        if (strcmp(argv[i], word) == 0) {
            memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
            --*argc;
            return true;
        }
    return false;
}

static const char *take_config(int *argc, char **argv) {
    for (int i = 1; i + 1 < *argc; i++)
        if (strcmp(argv[i], "-c") == 0) {
            const char *file = argv[i + 1];
            memmove(&argv[i], &argv[i + 2], (size_t)(*argc - i - 1) * sizeof *argv);
            *argc -= 2;
            return file;
        }
    return NULL;
}

static int load_and_do(enum task task, const char *config, int argc, char **argv) {
    struct wr_receive_loaded loaded;
    struct wr_buf problems;
    struct wr_error err = {0};
    wr_buf_init(&problems, 0);
    const enum wr_result result =
        wr_receive_options_load(config, argc - 1, argv + 1, task == RUN || task == CHECK, &loaded, &problems, &err);
    fputs(wr_buf_str(&problems), stderr);
    const bool told = problems.len > 0;
    wr_buf_fini(&problems);
    if (result != WR_OK) {
        if (!told || result != WR_INVALID)
            fprintf(stderr, "weir-receive: %s\n", err.text);
        return result == WR_INVALID && task < AUDIT ? EXIT_WRONG : EXIT_CANNOT;
    }
    wr_log_configure((enum wr_log_level)loaded.options->log_level, (enum wr_log_format)loaded.options->log_format, STDERR_FILENO);
    const int code = task == RUN            ? run(loaded.options)
                     : task == PRINT_SCHEMA ? print_schema(loaded.options)
                     : task == INIT         ? init(loaded.options)
                     : task >= AUDIT        ? audit(loaded.options, task == AUDIT_JSON)
                                            : EXIT_GOOD;
    wr_receive_options_free(&loaded);
    return code;
}

int main(int argc, char **argv) {
    sigset_t stop;
    if (take_word(&argc, argv, "--help") || take_word(&argc, argv, "-h")) {
        print_help();
        return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_CANNOT;
    }
    if (take_word(&argc, argv, "--version")) {
        printf("weir-receive %s\n", WEIR_VERSION);
        return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_CANNOT;
    }
    const enum task task = take_word(&argc, argv, "--check")          ? CHECK
                           : take_word(&argc, argv, "--print-schema") ? PRINT_SCHEMA
                           : take_word(&argc, argv, "--init")         ? INIT
                           : take_word(&argc, argv, "--audit")        ? take_word(&argc, argv, "--json") ? AUDIT_JSON : AUDIT
                                                                      : RUN;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL); /* the watcher waits for them */
    (void)signal(SIGPIPE, SIG_IGN);
    const char *config = take_config(&argc, argv);
    return load_and_do(task, config, argc, argv);
}
