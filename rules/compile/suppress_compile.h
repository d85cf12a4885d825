/* suppress: its part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_SUPPRESS_COMPILE_H
#define WEIR_RULES_COMPILE_SUPPRESS_COMPILE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/yaml/yaml.h"

struct wr_compile;

struct wr_file_suppress {
    char *cause;
    char *match;
    char **equal;
    unsigned n_equal;
    char *linger;
};

extern const struct wr_yaml_field wr_suppress_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_suppress(struct wr_compile *compile);

#endif
