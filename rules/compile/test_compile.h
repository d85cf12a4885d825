/* tests: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_TEST_COMPILE_H
#define WEIR_RULES_COMPILE_TEST_COMPILE_H

#include <stdbool.h>

#include "rules/yaml/yaml.h"

struct wr_compile;

struct wr_file_test_series {
    char *series;
    char *values;
    char *every;
};

struct wr_file_test_do {
    char *t;
    char *cmd;
    char *alarm;
    char *who;
    char *why;
    char *for_time;
};

struct wr_file_test_expect {
    char *t;
    char *until;
    char *alarm;
    char *none;
    char *rule;
    char *series;
    char *state;
    char *severity;
    char *level;
    char *data;
    char *message;
    char *value;
    char *within;
    char **silent;
    unsigned n_silent;
    char *acked;
    char *historic;
    char *count;
    char *cause;
    char *action;
};

struct wr_file_test {
    char *test;
    char **rules;
    unsigned n_rules;
    char *start;
    char *every;
    struct wr_file_test_series *given;
    unsigned n_given;
    struct wr_file_test_do *dos;
    unsigned n_dos;
    struct wr_file_test_expect *expect;
    unsigned n_expect;
};

extern const struct wr_yaml_field wr_test_fields[];

/* All of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_tests(struct wr_compile *compile);

#endif
