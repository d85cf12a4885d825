/* The keys of weir-receive: the one table from which loading, errors, --help and the reference in docs/receive.md are made. */
#include <string.h>

#include "agent/receive/options.h"
#include "agent/receive/render.h"
#include "core/clock.h"
#include "core/log.h"
#include "transport/subscriber.h"

#define AT(member) .offset = offsetof(struct wr_receive_options, member)
#define MS ((double)WR_NS_PER_MS)
#define S ((double)WR_NS_PER_S)
#define DAY (86400 * S)
#define MB 1e6

static const char *const protocols[] = {
    [WR_SUBSCRIBER_AUTO] = "auto", [WR_SUBSCRIBER_MQTT5] = "5", [WR_SUBSCRIBER_MQTT311] = "3.1.1", NULL};
static const char *const formats[] = {[WR_RENDER_JSON] = "json", [WR_RENDER_CSV] = "csv", [WR_RENDER_LINE] = "line", NULL};
static const char *const log_levels[] = {
    [WR_LOG_DEBUG] = "debug", [WR_LOG_INFO] = "info", [WR_LOG_WARN] = "warn", [WR_LOG_ERROR] = "error", NULL};
static const char *const log_formats[] = {[WR_LOG_LOGFMT] = "logfmt", [WR_LOG_JSON] = "json", NULL};

#define TEXT(name, member, otherwise, about)                                                                                               \
    { .key = (name), .kind = WR_YAML_STRING, AT(member), .fallback = (otherwise), .help = (about) }
#define NAME(name, member, list, otherwise, about)                                                                                         \
    { .key = (name), .kind = WR_YAML_ENUM, AT(member), .fallback = (otherwise), .names = (list), .help = (about) }
#define TIME(name, member, otherwise, from, to, about)                                                                                     \
    { .key = (name), .kind = WR_YAML_DURATION, AT(member), .fallback = (otherwise), .min = (from), .max = (to), .help = (about) }
#define SIZE(name, member, otherwise, from, to, about)                                                                                     \
    { .key = (name), .kind = WR_YAML_SIZE, AT(member), .fallback = (otherwise), .min = (from), .max = (to), .help = (about) }

const struct wr_yaml_field wr_receive_fields[] = {
    TEXT("broker", broker, NULL, "`mqtts://host[:8883]` or `mqtt://host[:1883]`"),
    TEXT("user", user, NULL, "user name at the broker"),
    TEXT("password_file", password_file, NULL, "file with its password"),
    TEXT("ca", ca, NULL, "who signed the broker's certificate; the system's authorities when not given"),
    TEXT("cert", cert, NULL, "our own certificate, with `key`"),
    TEXT("key", key, NULL, "our own key"),
    TEXT("key_password_file", key_password_file, NULL, "file with the password of `key`"),
    TEXT("crl", crl, NULL, "revoked certificates"),
    TEXT("client_id", client_id, NULL,
         "name at the broker, one of its own for each instance; `weir-receive-` and `instance` when not given"),
    NAME("protocol", protocol, protocols, "auto", "MQTT version; auto: 5, and 3.1.1 where the broker has no other"),
    TIME("keepalive", keepalive_ns, "30s", 2 * S, 3600 * S, "how soon a dead connection is noticed"),
    TIME("session_expiry", session_expiry_ns, "7d", 60 * S, 365 * DAY, "how long the broker keeps for us what comes while we are away"),
    TIME("connect_timeout", connect_timeout_ns, "10s", 100 * MS, 300 * S, "for name, TCP, TLS and MQTT together"),
    TIME("retry_max", retry_max_ns, "30s", 100 * MS, 3600 * S, "longest pause between two attempts, at the broker and at PostgreSQL"),
    TEXT("prefix", prefix, "weir/1", "`uplink.prefix` of the agents"),
    TEXT("group", group, "", "group of the shared subscription, by which several instances divide the work; each gets all when not given"),
    {.key = "kinds",
     .kind = WR_YAML_STRINGS,
     AT(kinds),
     .count_offset = offsetof(struct wr_receive_options, n_kinds),
     .help = "which topics: a list out of `agg`, `event`, `alarm`, `gap`, `state`; all when not given"},
    TEXT("to", to, "stdout", "`stdout`, `file:DIRECTORY`, or `postgresql://[user@]host[:port]/database` (libpq's form)"),
    TEXT("postgres_password_file", postgres_password_file, NULL, "PostgreSQL: file with the password"),
    TEXT("schema", schema, "weir", "PostgreSQL: schema of the tables"),
    NAME("format", format, formats, "json", "stdout and files: json (lines), csv, line (line protocol)"),
    SIZE("rotate_size", rotate_size_bytes, "64MB", 1e3, 1e12, "files: a file is finished at this size"),
    TIME("rotate_every", rotate_every_ns, "1h", 1 * S, 365 * DAY, "files: and at this age"),
    TEXT("state", state, NULL,
         "files, stdout: directory of the key log. Files: `.keys` in their directory when not given; stdout: keys are then forgotten at a "
         "stop"),
    TEXT("instance", instance, "1", "name of this instance among several: 1 to 64 of A-Z a-z 0-9 . _ -"),
    TEXT("quarantine", quarantine, NULL,
         "directory for messages that cannot be read. When not given: `.quarantine` in the directory of files; else "
         "`weir-receive-quarantine` here"),
    SIZE("quarantine_max", quarantine_max_bytes, "256MB", 1e3, 1e12, "when it is full, nothing more is acknowledged"),
    {.key = "batch", .kind = WR_YAML_COUNT, AT(batch), .fallback = "256", .min = 1, .max = 4096, .help = "messages a commit, at most"},
    SIZE("batch_size", batch_size_bytes, "32MB", 1e5, 1e9, "bytes a commit, at most, in memory"),
    TIME("batch_delay", batch_delay_ns, "100ms", 0, 10 * S, "how long the first message of a batch waits for others"),
    SIZE("buffer", buffer_bytes, "16MB", 8 * MB, 1e9, "messages that wait in memory; beyond it the broker keeps them"),
    NAME("log_level", log_level, log_levels, "info", "least severe line that is logged"),
    NAME("log_format", log_format, log_formats, "logfmt", "form of the log"),
    TIME("report_every", report_every_ns, "1m", 1 * S, DAY, "a line with the counts, when something came"),
    {.key = NULL},
};
