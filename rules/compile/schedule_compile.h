/* schedules: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_SCHEDULE_COMPILE_H
#define WEIR_RULES_COMPILE_SCHEDULE_COMPILE_H

#include <stdbool.h>

#include "rules/yaml/yaml.h"

struct wr_compile;

struct wr_file_schedule {
    char *name;
    char *tz;
    char **days;
    unsigned n_days;
    char *from;
    char *to;
    char **dates;
    unsigned n_dates;
    char **except;
    unsigned n_except;
};

extern const struct wr_yaml_field wr_schedule_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_schedules(struct wr_compile *compile);

#endif
