/* What the files of the config loader share. */
#ifndef WEIR_AGENT_CONFIG_CONFIG_PRIVATE_H
#define WEIR_AGENT_CONFIG_CONFIG_PRIVATE_H

#include "agent/config/config.h"

/* Codes of the diagnostics of the config: docs/diagnostics.md. */
enum wr_config_code {
    WR_CONFIG_W_NAME = 500,      /* characters, length, reserved words */
    WR_CONFIG_W_DUPLICATE = 501, /* two of one name, two on one address */
    WR_CONFIG_W_FOREIGN = 502,   /* a key of another kind */
    WR_CONFIG_W_NEEDED = 503,    /* a key that another one needs */
    WR_CONFIG_W_CONFLICT = 504,
    WR_CONFIG_W_ADDRESS = 505,
    WR_CONFIG_W_SELECTOR = 506,
    WR_CONFIG_W_FILE = 507, /* not there, not readable, readable for too many */
    WR_CONFIG_W_NOT_YET = 508,
    WR_CONFIG_W_EXPOSED = 509, /* reachable from other machines without protection */
    WR_CONFIG_W_USELESS = 510, /* allowed, but does nothing */
    WR_CONFIG_W_LIMIT = 511,
    WR_CONFIG_W_TIME = 512,     /* no time zone, no time format */
    WR_CONFIG_W_LEFT_OUT = 513, /* not in this build */
    WR_CONFIG_W_MAPPING = 514,  /* of JSON: a path, a name, a type */
    WR_CONFIG_W_KEEP = 515,     /* not what a window can keep */
    WR_CONFIG_W_NOT_IN_BUNDLE = 516,
};

extern const struct wr_yaml_field wr_config_fields[];
extern const struct wr_yaml_field wr_config_source_fields[];
extern const struct wr_yaml_field wr_config_lanes_fields[];

struct wr_config_load;

/* What the config knows of a kind of source; agent/sources/source.h has what it does. */
struct wr_config_kind {
    const char *name;
    const char *const *keys; /* those it has beside name and kind; ends with NULL */
    bool left_out;           /* this build goes without it */
    void (*check)(struct wr_config_load *load, unsigned index);
};

extern const struct wr_config_kind wr_config_kind_line;
extern const struct wr_config_kind wr_config_kind_replay;
extern const struct wr_config_kind wr_config_kind_mqtt;
extern const struct wr_config_kind wr_config_kind_exec;
extern const struct wr_config_kind wr_config_kind_execd;
extern const struct wr_config_kind wr_config_kind_system;
extern const struct wr_config_kind wr_config_kind_http;
extern const char *const wr_config_kind_names[]; /* by enum wr_source_kind; ends with NULL */

/* A load under way. */
struct wr_config_load {
    struct wr_config *config;
    struct wr_diagnostics *diagnostics;
    const char *bundle; /* NULL: the one in force */
    const char *part;   /* the text of a part (config_part.h), in place of the bundle's; NULL: that one */
    size_t part_len;
    enum wr_result failed; /* WR_NO_MEMORY sticks: what comes after does not matter any more */
};

void wr_config_error(struct wr_config_load *load, enum wr_config_code code, const char *path, const char *hint, const char *format, ...)
    WR_PRINTF(5, 6);
void wr_config_warn(struct wr_config_load *load, enum wr_config_code code, const char *path, const char *hint, const char *format, ...)
    WR_PRINTF(5, 6);

/* "sources[3].listen[0]"; index2 < 0: none. Returns text[WR_YAML_PATH_BYTES]. */
char *wr_config_path(char *text, const char *list, unsigned index, const char *key, int index2);

/* Makes *path absolute against directory; replaces the string. NULL stays. */
WR_MUST_USE enum wr_result wr_config_resolve(char **path, const char *directory);
/* All files that match any of the patterns, absolute, sorted, each once. ret_matched (n_patterns of them) tells what each pattern found. */
WR_MUST_USE enum wr_result wr_config_glob(char *const *patterns, unsigned n_patterns, const char *directory, char ***ret_files,
                                          unsigned *ret_n, unsigned *ret_matched);
void wr_config_strings_free(char **strings, unsigned n);
/* Complains at `path` about each of the files that is no regular file, or cannot be read. */
/* The rule files of the bundle, behind those that the config names; none is fine. */
void wr_config_add_bundle(struct wr_config_load *load);
void wr_config_check_readable(struct wr_config_load *load, const char *path, char *const *files, unsigned n);
/* A file of TLS or a password, which may be missing: the agent runs, but "the uplink stays down" until it is there. Makes *file absolute. What is
 * secret must not be readable for all. */
void wr_config_check_credential(struct wr_config_load *load, const char *path, char **file, bool secret, const char *without);

/* "tcp://host:port", "tls://", "udp://", "unix://path", "stdin"; a relative path resolves against directory. */
WR_MUST_USE enum wr_result wr_address_parse(const char *text, const char *directory, struct wr_address *ret_address, struct wr_error *err);
/* "host:port" or "[v6]:port". */
WR_MUST_USE enum wr_result wr_address_parse_tcp(const char *text, struct wr_address *ret_address, struct wr_error *err);
void wr_address_fini(struct wr_address *address);
/* The name of the source that listens at this address; NULL: none does. */
const char *wr_config_source_at(const struct wr_config *config, const struct wr_address *address);
/* True for 127.0.0.0/8, ::1 and localhost. */
bool wr_address_is_loopback(const char *host);

/* Merges the part of the config that is in the bundle: before any check. */
void wr_config_add_part(struct wr_config_load *load);
/* True when the file itself, or the part, gives a value at this path. */
bool wr_config_given(const struct wr_config_load *load, const char *path);
/* The same of a key of a source. */
bool wr_config_source_given(const struct wr_config_load *load, unsigned index, const char *key);

/* For kinds that read line protocol or JSON: `format`, `precision` and `json` go together, and the mapping compiles. */
void wr_config_check_format(struct wr_config_load *load, unsigned index);
/* Its mapping, which is given. */
void wr_config_check_mapping(struct wr_config_load *load, unsigned index);

/* The steps of the semantic check, in this order. */
void wr_config_check_node(struct wr_config_load *load);
void wr_config_check_sources(struct wr_config_load *load);
void wr_config_check_windows(struct wr_config_load *load);
void wr_config_check_keep(struct wr_config_load *load, unsigned index); /* of a window */
void wr_config_check_rules(struct wr_config_load *load);
void wr_config_check_store(struct wr_config_load *load);
void wr_config_check_uplink(struct wr_config_load *load);
void wr_config_check_services(struct wr_config_load *load);    /* http, control, limits, and what rules may do */
void wr_config_check_permissions(struct wr_config_load *load); /* exec_allow, file_allow, http_allow, secrets */

/* [A-Za-z0-9._-]{1,max}; complains otherwise. */
bool wr_config_check_name(struct wr_config_load *load, const char *path, const char *name, size_t max);

#endif
