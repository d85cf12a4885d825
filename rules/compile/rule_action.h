/* then: the actions of a rule: their part of the schema, and into the rule. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_RULE_ACTION_H
#define WEIR_RULES_COMPILE_RULE_ACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/yaml/yaml.h"

struct wr_action_spec;
struct wr_compile;
struct wr_file_rule;

struct wr_file_exec {
    char **argv;
    unsigned n_argv;
};

struct wr_file_mqtt {
    char *topic;
    int64_t qos;
    bool retain;
    bool clear;
};

struct wr_file_webhook {
    char *url;
    char *secret;
    char *token;
    int method; /* index into wr_webhook_methods */
    char *ca;
    char **headers;
    unsigned n_headers;
};

struct wr_file_output {
    char *path;
    int format; /* 0: JSON, 1: line */
    uint64_t max_bytes;
    uint32_t keep;
};

struct wr_file_action {
    char **at;
    unsigned n_at;
    bool log;
    struct wr_file_exec *exec;
    struct wr_file_mqtt *mqtt;
    struct wr_file_webhook *webhook;
    struct wr_file_output *file;
    int64_t after_ns;
    char **unless;
    unsigned n_unless;
    char *retry;
    int64_t timeout_ns; /* 0: not given */
};

extern const struct wr_yaml_field wr_action_fields[];
extern const char *const wr_webhook_methods[];

/* `then` of the record at compile->list[compile->index], whose alarms have the labels of compile->rule->by. What is wrong goes to diagnostics. NULL: none, or no
 * memory, which the arena remembers. */
struct wr_action_spec *wr_compile_then(struct wr_compile *compile, const struct wr_file_action *then, unsigned n);
/* That of a rule. */
void wr_compile_actions(struct wr_compile *compile, const struct wr_file_rule *record);

/* -- between rule_action.c and rule_action_kinds.c: key is "then[0]" ---------------------------------------------------------------------- */

void wr_compile_exec(struct wr_compile *compile, const char *key, const struct wr_file_exec *record, struct wr_action_spec *action);
void wr_compile_mqtt(struct wr_compile *compile, const char *key, const struct wr_file_mqtt *record, struct wr_action_spec *action);
void wr_compile_webhook(struct wr_compile *compile, const char *key, const struct wr_file_webhook *record, struct wr_action_spec *action);
void wr_compile_output(struct wr_compile *compile, const char *key, const struct wr_file_output *record, struct wr_action_spec *action);

#endif
