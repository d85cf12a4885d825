/* groups: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_GROUP_COMPILE_H
#define WEIR_RULES_COMPILE_GROUP_COMPILE_H

#include <stdbool.h>

#include "rules/compile/rule_action.h"
#include "rules/yaml/yaml.h"

struct wr_compile;

struct wr_file_group {
    char *name;
    char **by;
    unsigned n_by;
    char *wait;
    char *update;
    char *repeat;
    bool first_out;
    int64_t flood_start;
    char *flood_end;
    char *flood_window;
    struct wr_file_action *then;
    unsigned n_then;
};

extern const struct wr_yaml_field wr_group_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_groups(struct wr_compile *compile);

#endif
