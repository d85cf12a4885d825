/* The options of weir-receive: a YAML file, command-line words, or both; each word is a key of the file with `--` in front, and wins over it.
 *
 * Promise: all errors at once, each with its place ("command line" for the words); what loads is complete and checked. Secrets are given by file
 * only: an address with a password in it is refused.
 * Threads: immutable after the load. Ownership: load, free. Source of keys, defaults and help: agent/receive/options_schema.c.
 */
#ifndef WEIR_AGENT_RECEIVE_OPTIONS_H
#define WEIR_AGENT_RECEIVE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/result.h"
#include "rules/yaml/yaml.h"
#include "transport/url.h"

enum wr_receive_target { WR_TARGET_STDOUT, WR_TARGET_FILES, WR_TARGET_POSTGRES };

struct wr_receive_options {
    char *broker;
    char *user;
    char *password_file;
    char *ca;
    char *cert;
    char *key;
    char *key_password_file;
    char *crl;
    char *client_id;
    int protocol; /* enum wr_subscriber_protocol */
    int64_t keepalive_ns;
    int64_t session_expiry_ns;
    int64_t connect_timeout_ns;
    int64_t retry_max_ns;
    char *prefix;
    char *group; /* "": no shared subscription */
    char **kinds;
    unsigned n_kinds;
    char *to;
    char *postgres_password_file;
    char *schema;
    int format; /* enum wr_render_format */
    uint64_t rotate_size_bytes;
    int64_t rotate_every_ns;
    char *state;
    char *instance;
    char *quarantine;
    uint64_t quarantine_max_bytes;
    uint32_t batch;
    uint64_t batch_size_bytes;
    int64_t batch_delay_ns;
    uint64_t buffer_bytes;
    int log_level;
    int log_format;
    int64_t report_every_ns;

    /* Derived. */
    struct wr_url url;
    enum wr_receive_target target;
    const char *directory; /* of files */
    unsigned kind_set;     /* bits of enum wr_message_kind */
};

struct wr_receive_loaded {
    struct wr_yaml file; /* record NULL: none was given */
    struct wr_yaml words;
    struct wr_receive_options *options; /* the record of words, made whole */
};

extern const struct wr_yaml_field wr_receive_fields[];

/* file NULL: words alone. argv holds only --KEY VALUE and --KEY=VALUE. Errors are rendered into problems: WR_INVALID; others in err.
 * connect: broker and what belongs to it must be there, too. */
WR_MUST_USE enum wr_result wr_receive_options_load(const char *file, int argc, char **argv, bool connect,
                                                   struct wr_receive_loaded *ret_loaded, struct wr_buf *problems, struct wr_error *err);
void wr_receive_options_free(struct wr_receive_loaded *loaded);

/* All keys with defaults and help, for --help. */
void wr_receive_options_help(FILE *to);
/* The same as a table in Markdown, for docs/receive.md. */
WR_MUST_USE enum wr_result wr_receive_options_reference(struct wr_buf *into);

#endif
