/* The configuration: one file, read whole, checked whole, then immutable.
 *
 * Promise: a config that loads is complete: defaults are filled in, relative paths are made absolute (they resolve against the config
 * file), globs are expanded, addresses, selectors and tag lists are parsed. All errors come at once, each with its place in the file; with an
 * error there is no config. Warnings do not hinder. Nothing here is ever changed after wr_config_load: a reload makes a new one beside it.
 *
 * Threads: immutable, so any. Ownership: the tree belongs to wr_config_free; whoever keeps a pointer into it keeps the config.
 * Limits: WR_CONFIG_SOURCES_MAX sources, WR_WINDOWS_MAX windows. Units: in the names; durations are int64_t ns, sizes uint64_t bytes.
 * Source of the keys and defaults: agent/config/config_schema.c, from which docs/configuration.md is generated.
 */
#ifndef WEIR_AGENT_CONFIG_CONFIG_H
#define WEIR_AGENT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/result.h"
#include "rules/diagnostics/diagnostics.h"
#include "rules/engine/window.h"
#include "rules/yaml/yaml.h"
#include "transport/url.h"

#define WR_CONFIG_SOURCES_MAX 64

/* A place to listen on, or to dial. */
enum wr_address_kind { WR_ADDRESS_TCP, WR_ADDRESS_TLS, WR_ADDRESS_UDP, WR_ADDRESS_UNIX, WR_ADDRESS_STDIN };
struct wr_address {
    char *text; /* as it stands in the file, for logs */
    enum wr_address_kind kind;
    char *host; /* TCP, TLS, UDP: a name or an IP address, without brackets; "" means all interfaces */
    uint16_t port;
    char *path; /* UNIX: absolute */
};

struct wr_config_node {
    char *id;   /* [A-Za-z0-9._-]{1,64} */
    char *site; /* the same; "-" when not given */
};

/* How the time of a line-protocol stamp is written. */
enum wr_precision { WR_PRECISION_NS, WR_PRECISION_US, WR_PRECISION_MS, WR_PRECISION_S };

/* Each has a row in agent/config/config_sources.c, a checker in agent/config/config_source_KIND.c, and functions in agent/sources/. */
enum wr_source_kind { WR_SOURCE_LINE, WR_SOURCE_REPLAY, WR_SOURCE_MQTT, WR_SOURCE_EXEC, WR_SOURCE_EXECD, WR_SOURCE_SYSTEM, WR_SOURCE_HTTP };
#define WR_SOURCE_KINDS (WR_SOURCE_HTTP + 1)

/* What a source's bytes hold; which of them a kind can read is its checker's business. */
enum wr_source_format { WR_SOURCE_FORMAT_LINE, WR_SOURCE_FORMAT_CSV, WR_SOURCE_FORMAT_JSON, WR_SOURCE_FORMAT_VALUE };

/* Files of TLS: of a listener, or of a connection that we dial. Absolute paths; NULL when not given. */
struct wr_config_tls {
    char *ca;
    char *cert;
    char *key;
    char *crl;
};

/* kind: line. Influx line protocol, or JSON, over TCP, TLS, UDP, Unix socket or standard input. */
struct wr_config_line {
    char **listen;
    unsigned n_listen;
    struct wr_address *addresses; /* n_listen of them, parsed from listen */
    uint32_t max_connections;     /* of this source; limits.max_connections when not given */
};

/* How a CSV file is read. A list of names; what is left out: the first column is the time, the rest are fields. */
struct wr_config_csv {
    char *time_column; /* name of the column, or several joined by '+' ("Date+Time", read with a space between); NULL: the first one */
    char *time_format; /* as strptime, or "s", "ms", "us", "ns" since 1970; NULL: RFC 3339, or the same with a space for the T */
    char *tz;          /* zone of stamps that carry none: "UTC" or an Area/City */
    char *measurement; /* NULL: the file's name without directory and ending */
    char **tags;       /* a column that is a tag, or "name=value": a tag that every row gets */
    unsigned n_tags;
    char **skip_columns; /* columns that are no field */
    unsigned n_skip_columns;
};

/* What the members of a JSON object mean: agent/codec/json_mapping.h. Paths are names joined by dots. */
struct wr_config_json {
    char *records;     /* path of the records in each value; NULL: the value is one */
    char *time;        /* path of the time; NULL: the arrival */
    char *time_format; /* as of CSV; NULL: RFC 3339 */
    char *tz;
    char *measurement; /* of all records, or of those without measurement_path; NULL: the name of the source */
    char *measurement_path;
    char *quality; /* path of the quality */
    char **tags;   /* "path" or "name=path" */
    unsigned n_tags;
    char **constant_tags; /* "name=value" */
    unsigned n_constant_tags;
    char **fields; /* "path" or "name=path", perhaps ":type" behind it; none: all that is left */
    unsigned n_fields;
};

/* RECORDED: at the intervals of the recording. FAST: as fast as the engine takes it. RESCALE: the intervals divided by a number. */
enum wr_replay_pace { WR_REPLAY_RECORDED, WR_REPLAY_FAST, WR_REPLAY_RESCALE };
/* NOW: the first stamp becomes the time of the start, the others follow. AS_RECORDED: the stamps stay as they are.
 * When the key is not given: AS_RECORDED with pace fast, NOW with the others. */
enum wr_replay_start { WR_REPLAY_NOW, WR_REPLAY_AS_RECORDED };

/* kind: replay. Recordings; all files of a source are one timeline, sorted by first stamp. */
struct wr_config_replay {
    char **patterns; /* `files` as written */
    unsigned n_patterns;
    char **files; /* what the patterns match, absolute, sorted */
    unsigned n_files;
    struct wr_config_csv *csv; /* never NULL */
    int pace;                  /* enum wr_replay_pace */
    int64_t duration_ns;       /* rescale: the whole timeline takes this long; 0: see speedup */
    double speedup;            /* rescale: intervals are divided by this; 0: see duration_ns. One of the two is set. */
    int64_t max_gap_ns;        /* rescale: longer gaps are shortened to this before the division */
    bool loop;                 /* starts again at the end, the stamps moved on */
    int start;                 /* enum wr_replay_start */
};

/* kind: mqtt. A broker to subscribe to. */
struct wr_config_mqtt {
    char *broker; /* as written */
    struct wr_url url;
    char *user;
    char *password_file; /* absolute; NULL: none */
    char **topics;       /* patterns: agent/sources/topic_pattern.h */
    unsigned n_topics;
    uint32_t qos;    /* 0 or 1 */
    char *client_id; /* never NULL */
    int protocol;    /* enum wr_subscriber_protocol */
    int64_t session_expiry_ns;
    int64_t keepalive_ns;
    int64_t connect_timeout_ns;
    int64_t retry_max_ns;
    uint32_t receive_max;
    uint64_t buffer_bytes;
    uint64_t max_message_bytes;
    bool retained;     /* messages that the broker kept are taken */
    char *measurement; /* format value: of topics without one; of JSON without one; NULL: the source's name */
};

/* kind: exec, execd. A program that prints records. */
struct wr_config_program {
    char **command; /* its absolute path and arguments, n_command of them */
    unsigned n_command;
    int64_t timeout_ns;        /* exec: killed after this */
    uint64_t memory_bytes;     /* address space; 0: no limit */
    uint64_t max_output_bytes; /* exec: of one run */
};

/* What the source `system` collects. */
enum wr_system_part {
    WR_SYSTEM_CPU,
    WR_SYSTEM_MEMORY,
    WR_SYSTEM_LOAD,
    WR_SYSTEM_DISK,
    WR_SYSTEM_DISKIO,
    WR_SYSTEM_TEMPERATURE,
    WR_SYSTEM_NETWORK,
    WR_SYSTEM_CLOCK,
    WR_SYSTEM_OWN,
    WR_SYSTEM_PARTS
};
extern const char *const wr_system_part_names[WR_SYSTEM_PARTS];

/* kind: system. */
struct wr_config_system {
    char **collect; /* as written */
    unsigned n_collect;
    uint32_t parts; /* 1 << enum wr_system_part */
};

/* kind: http. Writes that come in over the section http. */
struct wr_config_http_in {
    char *token_file; /* absolute; NULL: anybody may write */
    uint64_t max_body_bytes;
    uint64_t bodies_bytes; /* all bodies under way */
};

struct wr_config_source {
    char *name;                  /* [A-Za-z0-9._-]{1,63}, unique */
    int kind;                    /* enum wr_source_kind: which of the structs below is meant */
    int format;                  /* enum wr_source_format; the kind's own default when not given */
    int precision;               /* enum wr_precision: of line-protocol stamps */
    int64_t every_ns;            /* of pollers */
    struct wr_config_json *json; /* format json: NULL: the objects that `weir decode` prints */
    struct wr_config_tls tls;    /* line: of its tls:// addresses; mqtt: of its mqtts:// broker */
    struct wr_config_line line;
    struct wr_config_replay replay;
    struct wr_config_mqtt mqtt;
    struct wr_config_program program;
    struct wr_config_system system;
    struct wr_config_http_in http;
};

/* A window as it stands in the file; compiled into windows[]. */
struct wr_config_window {
    char *name;
    int64_t every_ns;
    char *of;
    int forward; /* enum wr_window_forward */
    int64_t lateness_ns;
    char *keep; /* "raw 24h"; NULL: nothing */
};

/* What a lane of the store may keep. */
struct wr_config_lane {
    char *quota; /* a size, or a part of the budget: "30%" */
    int64_t ttl_ns;
    uint64_t quota_bytes; /* made from it; 0: none */
};

struct wr_config_lanes { /* NULL: no limits of its own */
    struct wr_config_lane *alarms;
    struct wr_config_lane *changes;
    struct wr_config_lane *windows;
};

struct wr_config_store {
    char *path;                /* absolute directory */
    uint64_t budget_bytes;     /* database, WAL and index together */
    int64_t max_loss_ns;       /* closed windows are committed at least this often */
    char *write_budget;        /* "200MB/day" */
    uint64_t write_budget_bytes; /* made from it, a day; 0: none */
    struct wr_config_lanes *lanes; /* NULL: none has limits of its own */
    uint64_t free_floor_bytes; /* free space on the file system that is left alone */
    int64_t ledger_every_ns;   /* ledger records go upstream so often; 0: never */
    uint64_t raw_budget_bytes; /* of raw readings that windows keep, beside budget_bytes */
};

enum wr_config_mqtt_version { WR_CONFIG_MQTT_AUTO, WR_CONFIG_MQTT_5, WR_CONFIG_MQTT_3_1_1 };

struct wr_broker {
    char *url; /* mqtt://host:port or mqtts://host:port */
    bool tls;
    char *host;    /* without brackets */
    uint16_t port; /* 1883 and 8883 when not given */
};

/* When the uplink is connected. */
struct wr_config_schedule {
    int64_t every_ns;
    int64_t open_ns; /* of each `every` */
};

/* Operators' commands over MQTT. */
struct wr_config_commands {
    char *key_file; /* absolute: PEM of a public key on P-256, which has signed what is carried out */
    bool bundles;   /* of rules are taken too */
    int64_t health_ns;
};

struct wr_config_uplink {
    char **urls;
    unsigned n_brokers;
    struct wr_broker *brokers; /* n_brokers of them, parsed from urls */
    char *ca;                  /* absolute paths; NULL when not given */
    char *cert;
    char *key;
    char *crl;
    char *user;
    char *password_file;
    char *prefix; /* first levels of every topic, no '/' at either end */
    int format;   /* enum wr_payload_format: of windows */
    int version;  /* enum wr_config_mqtt_version */
    int64_t keepalive_ns;
    int64_t connect_timeout_ns; /* name, TCP, TLS and MQTT together */
    int64_t retry_max_ns;       /* longest pause between two attempts */
    int64_t expiry_warn_ns;     /* an alarm when a certificate is valid for less; 0: none */
    char *alpn;                 /* NULL: none */
    uint64_t rate;              /* bytes of segments a second; 0: no limit */
    uint32_t backfill_share;    /* percent */
    uint64_t byte_budget;       /* a month; 0: none */
    uint64_t byte_budget_day;
    uint32_t byte_budget_from;           /* day on which months begin */
    struct wr_config_schedule *schedule; /* NULL: always connected */
    uint32_t window;                     /* messages in flight */
    uint64_t window_bytes;               /* bytes in flight, at most 1 MB */
    struct wr_config_commands *commands; /* NULL: none are taken */
};

struct wr_config_http {
    char *listen;
    struct wr_address address;
    uint32_t max_connections;
    char *command_token_file; /* absolute; NULL: no commands over HTTP */
};

struct wr_config_control {
    char *socket; /* absolute; where the agent listens and clients ask first */
    /* Where clients ask next, or NULL: the agent may run as a service that has a runtime directory, while the client has none. */
    char *socket_of_service;
};

struct wr_config_log {
    int level;  /* enum wr_log_level */
    int format; /* enum wr_log_format */
};

/* A secret that rules know by its name. */
struct wr_config_secret {
    char *name;
    char *file; /* absolute */
};

struct wr_config_limits {
    uint32_t max_series;
    uint32_t max_symbols;
    uint32_t max_instances;   /* of rules */
    uint32_t batches;         /* of each source */
    uint32_t max_connections; /* of each source */
    uint64_t max_line_bytes;
    uint64_t partial_lines_bytes; /* of each source: buffers of connections that hold a partial line */
    uint32_t worker_threads;      /* of the pool for work that blocks, at most */
    int64_t stop_deadline_ns;     /* a clean stop gives up after this */
};

struct wr_config_part;

struct wr_config {
    char *file;                  /* as it was named, for messages */
    char *directory;             /* absolute: what relative paths resolve against */
    struct wr_config_node *node; /* never NULL, as all sections but uplink and http */
    struct wr_config_source *sources;
    unsigned n_sources;
    struct wr_config_window *window_sections;
    unsigned n_windows;
    struct wr_window_spec *windows; /* n_windows of them */
    char **rule_patterns;
    unsigned n_rule_patterns;
    char **rule_files; /* what the patterns match, absolute, sorted; behind them those of the bundle in force */
    unsigned n_rule_files;
    unsigned n_own_rule_files; /* without those of the bundle */
    char **shadow_patterns;    /* shadow_rules, as rules */
    unsigned n_shadow_patterns;
    char **shadow_files;
    unsigned n_shadow_files;
    struct wr_config_store *store;
    struct wr_config_uplink *uplink; /* NULL: nothing is sent, the store keeps the last that fits */
    struct wr_config_http *http;     /* NULL: no HTTP */
    struct wr_config_control *control;
    struct wr_config_log *log;
    struct wr_config_limits *limits;
    char **exec_allow; /* programs that `exec` actions may run, absolute */
    unsigned n_exec_allow;
    char **file_allow; /* directories that `file` actions may write to, absolute */
    unsigned n_file_allow;
    char **http_allow; /* HOST or HOST:PORT that `webhook` actions may call without TLS */
    unsigned n_http_allow;
    struct wr_config_secret *secrets;
    unsigned n_secrets;
    struct wr_config_part *part; /* what a bundle brought of it, merged; NULL: none did */
    struct wr_yaml yaml;         /* where everything stands in the file; owns this tree */
};

/* Reads and checks a config. WR_INVALID: errors, all of them in diagnostics (initialised by the caller, who also renders them);
 * WR_IO, WR_NO_MEMORY: in err. */
WR_MUST_USE enum wr_result wr_config_load(const char *file, struct wr_diagnostics *diagnostics, struct wr_config **ret_config,
                                          struct wr_error *err);
/* The same with the rules in this directory in place of the bundle in force, where the config takes bundles. NULL: as wr_config_load; "": without any. */
WR_MUST_USE enum wr_result wr_config_load_with(const char *file, const char *bundle, struct wr_diagnostics *diagnostics,
                                               struct wr_config **ret_config, struct wr_error *err);
/* The same for a text in memory; `file` names it, and its directory is what relative paths resolve against. */
WR_MUST_USE enum wr_result wr_config_load_text(const char *file, const char *text, size_t len, struct wr_diagnostics *diagnostics,
                                               struct wr_config **ret_config, struct wr_error *err);
/* The same with a part of a bundle over it; NULL: none. */
WR_MUST_USE enum wr_result wr_config_load_text_with(const char *file, const char *text, size_t len, const char *part, size_t part_len,
                                                    struct wr_diagnostics *diagnostics, struct wr_config **ret_config,
                                                    struct wr_error *err);
void wr_config_free(struct wr_config *config);

/* True if `program` (absolute) is on the allow-list. */
bool wr_config_exec_allowed(const struct wr_config *config, const char *program);

/* How long raw readings are kept; 0: no window keeps them. All that do keep them equally long. */
int64_t wr_config_keep_ns(const struct wr_config *config);

/* The reference of all keys, as docs/configuration.md holds it. */
WR_MUST_USE enum wr_result wr_config_reference_markdown(struct wr_buf *into);

#endif
