/* Arguments of a call: which is which, and what each must be, by the table of functions.c. */
#include "rules/language/check_argument.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/nearest.h"

void wr_check_wrong_arguments(struct wr_scope *scope, const struct wr_node *node, const char *what) {
    char hint[120];
    snprintf(hint, sizeof hint, "write %s", node->function->usage);
    wr_scope_complain(scope, 104, node, hint, "%s '%s'", what, node->text);
}

unsigned wr_check_parameters(const struct wr_function *function) {
    unsigned n = 0;
    while (n < WR_FUNCTION_PARAMETERS && function->parameters[n].name)
        n++;
    return n;
}

/* -- which argument is which ---------------------------------------------------------------------------------------------------------- */

static bool take_named(struct wr_scope *scope, const struct wr_node *call, struct wr_node *named, struct wr_arguments *arguments) {
    const struct wr_function *function = call->function;
    unsigned n = wr_check_parameters(function);
    const char *known[WR_FUNCTION_PARAMETERS + 2];
    size_t n_known = 0;
    bool windowed = false;
    for (unsigned i = 0; i < n; i++) {
        windowed |= function->parameters[i].kind == WR_ARGUMENT_WINDOW;
        known[n_known++] = function->parameters[i].name;
    }
    struct wr_node **slot = NULL;
    if (windowed) {
        known[n_known++] = "step";
        known[n_known++] = "tumbling";
        slot = strcmp(named->text, "step") == 0       ? &arguments->window.step
               : strcmp(named->text, "tumbling") == 0 ? &arguments->window.tumbling
                                                      : NULL;
    }
    for (unsigned i = 0; i < n; i++)
        if (strcmp(function->parameters[i].name, named->text) == 0)
            slot = function->parameters[i].kind == WR_ARGUMENT_WINDOW ? &arguments->window.length : &arguments->at[i];
    if (!slot) {
        char hint[160];
        const char *near = wr_nearest_name(named->text, known, n_known);
        if (near)
            snprintf(hint, sizeof hint, "did you mean '%s='?", near);
        else
            snprintf(hint, sizeof hint, "write %s", function->usage);
        wr_scope_complain(scope, 111, named, hint, "'%s' has no argument '%.40s='", call->text, named->text);
        return false;
    }
    if (*slot) {
        wr_scope_complain(scope, 104, named, NULL, "the argument '%.40s' is given twice", named->text);
        return false;
    }
    *slot = named->child;
    return true;
}

static bool take_arguments(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    const struct wr_function *function = call->function;
    unsigned n = wr_check_parameters(function);
    unsigned next = 0;
    struct wr_node **tail = &arguments->more;
    for (struct wr_node *argument = call->child, *after; argument; argument = after) {
        after = argument->next;
        argument->next = NULL;
        if (argument->kind == WR_NODE_NAMED) {
            if (!take_named(scope, call, argument, arguments))
                return false;
            continue;
        }
        while (next < n && (function->parameters[next].by_name || arguments->at[next]))
            next++;
        if (next < n && function->parameters[next].kind == WR_ARGUMENT_WINDOW && !arguments->window.length) {
            arguments->window.length = argument;
            next++;
        } else if (next < n) {
            arguments->at[next++] = argument;
        } else if (function->many) {
            *tail = argument;
            tail = &argument->next;
        } else {
            wr_check_wrong_arguments(scope, call, "too many arguments for");
            return false;
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (!arguments->at[i] && !function->parameters[i].optional && function->parameters[i].kind != WR_ARGUMENT_WINDOW) {
            wr_check_wrong_arguments(scope, call, "an argument is missing for");
            return false;
        }
    return true;
}

/* -- one argument ----------------------------------------------------------------------------------------------------------------------- */

static bool read_plain(struct wr_scope *scope, const struct wr_parameter *parameter, struct wr_node *node, double *ret_number) {
    bool whole = parameter->kind == WR_ARGUMENT_COUNT;
    node = wr_check_number(scope, node);
    if (!node || node->type == WR_NODE_IS_WRONG)
        return false;
    double n = node->number;
    if (!node->constant || !node->unit.plain || n < parameter->low || n > parameter->high || (whole && n > floor(n))) {
        wr_scope_complain(scope, 105, node, NULL, "'%s' is a %snumber of %.9g to %.9g", parameter->name, whole ? "whole " : "",
                          parameter->low, parameter->high);
        return false;
    }
    *ret_number = n;
    return true;
}

static bool read_ratio(struct wr_scope *scope, const struct wr_parameter *parameter, struct wr_node *node, double *ret_number) {
    node = wr_check_number(scope, node);
    if (!node || node->type == WR_NODE_IS_WRONG)
        return false;
    const struct wr_unit plain = wr_unit_plain();
    double ratio = wr_unit_same_dimension(&node->unit, &plain) ? node->number * node->unit.scale : -1;
    if (!node->constant || !(ratio >= 0 && ratio <= 1)) {
        wr_scope_complain(scope, 105, node, "write 95% or 0.95", "'%s' is a constant of 0 to 1", parameter->name);
        return false;
    }
    *ret_number = ratio;
    return true;
}

/* A difference in the unit of the first argument. */
static bool read_difference(struct wr_scope *scope, const struct wr_parameter *parameter, struct wr_node *signal, struct wr_node *node,
                            double *ret_number) {
    if (!signal) /* every function with such a parameter needs one before it */
        return false;
    struct wr_node stand_in = *signal;
    struct wr_node *left = &stand_in;
    stand_in.next = NULL;
    stand_in.unit = wr_unit_difference(&signal->unit);
    struct wr_node *number = wr_check_number(scope, node);
    if (!number || number->type == WR_NODE_IS_WRONG || !wr_check_pair(scope, &left, &number, node))
        return false;
    if (!number->constant) {
        wr_scope_complain(scope, 105, node, NULL, "'%s' is a constant", parameter->name);
        return false;
    }
    *ret_number = number->number;
    return true;
}

static bool read_word(struct wr_scope *scope, const struct wr_parameter *parameter, const struct wr_node *node, double *ret_number) {
    size_t n = 0;
    for (; parameter->words[n]; n++)
        if (node->kind == WR_NODE_SERIES && strcmp(node->text, parameter->words[n]) == 0) {
            *ret_number = (double)n;
            return true;
        }
    const char *near = node->kind == WR_NODE_SERIES ? wr_nearest_name(node->text, parameter->words, n) : NULL;
    char hint[160] = "one of";
    for (size_t i = 0; i < n; i++)
        snprintf(hint + strlen(hint), sizeof hint - strlen(hint), "%s %s", i > 0 ? "," : "", parameter->words[i]);
    if (near)
        snprintf(hint, sizeof hint, "did you mean '%s'?", near);
    wr_scope_complain(scope, 105, node, hint, "no such '%s'", parameter->name);
    return false;
}

static bool read_zone(struct wr_scope *scope, struct wr_node *call, const struct wr_node *node) {
    struct wr_error err;
    if (node->kind != WR_NODE_TEXT) {
        wr_check_wrong_arguments(scope, call, "a time zone in quotes is needed for");
        return false;
    }
    enum wr_result result = wr_ruleset_zone(scope->ruleset, node->text, &call->zone, &err);
    if (result != WR_OK)
        wr_scope_complain(scope, 105, node, NULL, "%s", err.text);
    return result == WR_OK;
}

/* Fills arguments->at[i], numbers[i] or durations_ns[i]. */
static bool read_argument(struct wr_scope *scope, struct wr_node *call, unsigned i, struct wr_arguments *arguments) {
    const struct wr_parameter *parameter = &call->function->parameters[i];
    struct wr_node **at = &arguments->at[i];
    switch (parameter->kind) {
    case WR_ARGUMENT_NUMBER:
        *at = wr_check_number(scope, *at);
        return *at && (*at)->type != WR_NODE_IS_WRONG;
    case WR_ARGUMENT_TRUTH:
        *at = wr_check_truth(scope, *at);
        return *at && (*at)->type != WR_NODE_IS_WRONG;
    case WR_ARGUMENT_SIGNAL:
    case WR_ARGUMENT_ANY:
    case WR_ARGUMENT_CONDITION:
        if (call->function->how == WR_HOW_HELD)
            return true;
        *at = wr_check_signal(scope, *at, parameter->kind);
        return *at != NULL;
    case WR_ARGUMENT_SERIES:
        if ((*at)->kind == WR_NODE_SERIES)
            wr_check_name(scope, *at);
        return (*at)->type != WR_NODE_IS_WRONG;
    case WR_ARGUMENT_DURATION:
        if (!wr_check_duration(scope, *at, parameter->low, parameter->high, &arguments->durations_ns[i]))
            return false;
        arguments->numbers[i] = (double)arguments->durations_ns[i] / 1e9;
        return true;
    case WR_ARGUMENT_COUNT:
    case WR_ARGUMENT_PLAIN:
        return read_plain(scope, parameter, *at, &arguments->numbers[i]);
    case WR_ARGUMENT_RATIO:
        return read_ratio(scope, parameter, *at, &arguments->numbers[i]);
    case WR_ARGUMENT_DIFFERENCE:
        return read_difference(scope, parameter, arguments->at[0], *at, &arguments->numbers[i]);
    case WR_ARGUMENT_WORD:
        return read_word(scope, parameter, *at, &arguments->numbers[i]);
    case WR_ARGUMENT_ZONE:
        return read_zone(scope, call, *at);
    default: /* WINDOW, SELECTOR, ELEMENT: read by their functions */
        return true;
    }
}

bool wr_check_read_arguments(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    bool good = take_arguments(scope, call, arguments);
    for (unsigned i = 0; i < WR_FUNCTION_PARAMETERS; i++) {
        arguments->numbers[i] = NAN;
        if (good && arguments->at[i] && arguments->at[i]->kind == WR_NODE_COUNT) {
            wr_scope_complain(scope, 105, arguments->at[i], NULL, "`count` stands where a window is wanted");
            good = false;
        }
        good = good && (!arguments->at[i] || read_argument(scope, call, i, arguments));
    }
    return good;
}
