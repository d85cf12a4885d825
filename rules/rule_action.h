/* then: the actions of a rule: their part of the schema, and into the rule. Inside rules/ only. */
#ifndef WEIR_RULES_RULE_ACTION_H
#define WEIR_RULES_RULE_ACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/yaml.h"

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
};

/* Not supported in this version. */
struct wr_file_webhook {
    char *url;
    char *secret;
    char *method;
    char *ca;
};

struct wr_file_action {
    char **at;
    unsigned n_at;
    bool log;
    struct wr_file_exec *exec;
    struct wr_file_mqtt *mqtt;
    struct wr_file_webhook *webhook;
    char *after;
    char *unless;
    char *retry;
};

extern const struct wr_yaml_field wr_action_fields[];

/* What is wrong goes to diagnostics. */
void wr_compile_actions(struct wr_compile *compile, const struct wr_file_rule *record);

#endif
