/* The schema of a rule file: what may stand in it, as tables for rules/yaml.h.
 *
 * What the language has but this version does not is in the schema too, so that it is refused by name and place (rules/ruleset.c).
 * Where an absent value must be told from a given one, it is loaded as text and read in rules/rule_compile.c.
 */
#ifndef WEIR_RULES_RULE_FILE_H
#define WEIR_RULES_RULE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/yaml.h"

struct wr_file_point {
    char *point;
    char *unit;
    char *range; /* "-40..60", in the unit */
    double resolution;
    int64_t every_ns;
    char *lateness;
    bool counter;
    double wrap;
};

struct wr_file_exec {
    char **argv;
    unsigned n_argv;
};

struct wr_file_mqtt {
    char *topic;
    int64_t qos;
    bool retain;
};

/* A list or record of which only the presence matters: it is not supported in this version. */
struct wr_file_later {
    char *any[9];
};

struct wr_file_action {
    char **at;
    unsigned n_at;
    bool log;
    struct wr_file_exec *exec;
    struct wr_file_mqtt *mqtt;
    struct wr_file_later *webhook;
    char *after;
    char *unless;
    char *retry;
};

struct wr_file_rule {
    char *rule;
    char *when;
    char **by;
    unsigned n_by;
    char *on_delay;
    char *off_delay;
    char *deadband;
    char *clear;
    char *latch;
    char *auto_ack;
    char *severity;
    char *no_data;
    char *no_data_after;
    char *message;
    char *consequence;
    char *respond;
    char *time_to_respond;
    struct wr_file_action *then;
    unsigned n_then;
    /* Not supported in this version. */
    char *value;
    struct wr_file_later *levels;
    unsigned n_levels;
    struct wr_file_later *sequence;
    unsigned n_sequence;
    char *valid_if;
    char *active;
    char *backfill;
    char *forget;
    char *max_instances;
    char *re_alarm;
    char *shelve_max;
};

/* The same names as in a rule: what a rule leaves out is taken from here. */
struct wr_file_defaults {
    char *on_delay;
    char *off_delay;
    char *latch;
    char *auto_ack;
    char *severity;
    char *no_data;
    char *no_data_after;
    char *shelve_max;
};

struct wr_rule_file {
    int64_t version;
    struct wr_file_point *points;
    unsigned n_points;
    struct wr_file_defaults *defaults;
    struct wr_file_rule *rules;
    unsigned n_rules;
    /* Not supported in this version. */
    struct wr_file_later *tables;
    unsigned n_tables;
    struct wr_file_later *schedules;
    unsigned n_schedules;
    struct wr_file_later *derive;
    unsigned n_derive;
    struct wr_file_later *suppress;
    unsigned n_suppress;
    struct wr_file_later *groups;
    unsigned n_groups;
    struct wr_file_later *tests;
    unsigned n_tests;
};

extern const struct wr_yaml_field wr_rule_file_fields[];

#endif
