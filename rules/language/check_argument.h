/* The arguments of a call as the checker reads them, by the table of functions.c. Between check_argument.c and check_call.c. */
#ifndef WEIR_RULES_LANGUAGE_CHECK_ARGUMENT_H
#define WEIR_RULES_LANGUAGE_CHECK_ARGUMENT_H

#include "rules/language/check.h"

/* One place for each parameter of the function. */
struct wr_arguments {
    struct wr_node *at[WR_FUNCTION_PARAMETERS];
    struct wr_node *more; /* the chain of those that repeat the last one */
    struct wr_window_arguments window;
    double numbers[WR_FUNCTION_PARAMETERS]; /* NaN: not given */
    int64_t durations_ns[WR_FUNCTION_PARAMETERS];
};

/* Reports W104 with the usage of the function: "WHAT 'avg'". */
void wr_check_wrong_arguments(struct wr_scope *scope, const struct wr_node *node, const char *what);
/* How many parameters the function has. */
unsigned wr_check_parameters(const struct wr_function *function);
/* *arguments is all zero. False after complaints. */
bool wr_check_read_arguments(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments);

#endif
