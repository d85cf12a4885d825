/* tests: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_TEST_COMPILE_H
#define WEIR_RULES_TEST_COMPILE_H

#include <stdbool.h>

#include "rules/yaml.h"

struct wr_compile;

struct wr_file_test {
    char *test;
    char *start;
    char *every;
};

extern const struct wr_yaml_field wr_test_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_tests(struct wr_compile *compile);

#endif
