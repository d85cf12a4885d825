/* points: what is known about series: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_POINT_COMPILE_H
#define WEIR_RULES_COMPILE_POINT_COMPILE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/yaml/yaml.h"

struct wr_compile;

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

extern const struct wr_yaml_field wr_point_fields[];

/* All points of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_points(struct wr_compile *compile);

#endif
