/* The schema of a rule file: what may stand in it, as tables for rules/yaml/yaml.h. Each section has its part beside its compiler.
 *
 * What the language has but this version does not is in the schema too, so that it is refused by name and place.
 * Where an absent value must be told from a given one, it is loaded as text and read by the compiler.
 */
#ifndef WEIR_RULES_COMPILE_RULE_FILE_H
#define WEIR_RULES_COMPILE_RULE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/compile/derive_compile.h"
#include "rules/compile/group_compile.h"
#include "rules/compile/point_compile.h"
#include "rules/compile/rule_action.h"
#include "rules/compile/schedule_compile.h"
#include "rules/compile/suppress_compile.h"
#include "rules/compile/table_compile.h"
#include "rules/compile/test_compile.h"
#include "rules/yaml/yaml.h"

struct wr_file_level {
    char *name;
    char *when;
    char *on_delay;
    char *off_delay;
    char *deadband;
    char *clear;
    char *severity;
};

struct wr_file_step {
    char *step;
    char *within;
    char *absent;
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
    char *value;
    struct wr_file_level *levels;
    unsigned n_levels;
    struct wr_file_step *sequence;
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
    char *backfill;
    char *re_alarm;
    char *shelve_max;
    char *forget;
    char *max_instances;
};

struct wr_rule_file {
    int64_t version;
    struct wr_file_table *tables;
    unsigned n_tables;
    struct wr_file_point *points;
    unsigned n_points;
    struct wr_file_schedule *schedules;
    unsigned n_schedules;
    struct wr_file_derive *derive;
    unsigned n_derive;
    struct wr_file_defaults *defaults;
    struct wr_file_rule *rules;
    unsigned n_rules;
    struct wr_file_suppress *suppress;
    unsigned n_suppress;
    struct wr_file_group *groups;
    unsigned n_groups;
    struct wr_file_test *tests;
    unsigned n_tests;
};

extern const struct wr_yaml_field wr_rule_file_fields[];
/* rule_compile.c */
extern const struct wr_yaml_field wr_rule_fields[];
extern const struct wr_yaml_field wr_defaults_fields[];

#endif
