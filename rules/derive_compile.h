/* derive: its part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_DERIVE_COMPILE_H
#define WEIR_RULES_DERIVE_COMPILE_H

#include <stdbool.h>

#include "rules/yaml.h"

struct wr_compile;

struct wr_file_derive {
    char *point;
    char *of;
    char *unit;
    char *by;
    char *max_age;
    char *emit;
};

extern const struct wr_yaml_field wr_derive_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_derive(struct wr_compile *compile);

#endif
