/* groups: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_GROUP_COMPILE_H
#define WEIR_RULES_GROUP_COMPILE_H

#include <stdbool.h>

#include "rules/yaml.h"

struct wr_compile;

struct wr_file_group {
    char *name;
    char *by;
    char *wait;
    char *update;
    char *repeat;
    char *first_out;
    char *flood_start;
    char *flood_end;
    char *flood_window;
};

extern const struct wr_yaml_field wr_group_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_groups(struct wr_compile *compile);

#endif
