/* Functions of an expression: what they are compiled into, and what they answer. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/language/check.h"
#include "rules/language/check_argument.h"
#include "rules/operators/t2q.h"

#define VECTORS 500 /* that a model learns from */

/* -- answers ------------------------------------------------------------------------------------------------------------------------------ */

static struct wr_unit answer_unit(enum wr_answer answer, const struct wr_unit *unit) {
    const struct wr_unit second = wr_unit_second();
    const struct wr_unit difference = wr_unit_difference(unit);
    struct wr_unit ratio = {.scale = 1};
    switch (answer) {
    case WR_ANSWER_SAME:
        return *unit;
    case WR_ANSWER_DIFFERENCE:
        return difference;
    case WR_ANSWER_PER_SECOND:
        /* An undeclared counter changes by so many a second: a bare number, too. */
        return unit->plain ? wr_unit_plain() : wr_unit_product(&difference, &second, true);
    case WR_ANSWER_TIMES_TIME:
        return unit->plain ? wr_unit_plain() : wr_unit_product(unit, &second, false);
    case WR_ANSWER_SECONDS:
        return second;
    case WR_ANSWER_RATIO:
        return ratio;
    case WR_ANSWER_CELSIUS:
        ratio.exponents[WR_BASE_K] = 1;
        ratio.offset = 273.15;
        ratio.point = true;
        snprintf(ratio.text, sizeof ratio.text, "°C");
        return ratio;
    default:
        return wr_unit_plain();
    }
}

/* period and resolution are what the point declares: constants. */
static bool answer_declared(struct wr_scope *scope, struct wr_node *call, struct wr_node *series) {
    const struct wr_operand *operand = series->kind == WR_NODE_SERIES ? &scope->rule->operands[series->operand] : NULL;
    if (!operand || !operand->selector) {
        wr_scope_complain(scope, 105, series, NULL, "'%s' takes a series here: it tells what its point declares", call->text);
        return false;
    }
    bool period = call->function->id == WR_FUNCTION_PERIOD;
    const struct wr_point *point = operand->point;
    call->number = !point ? 0 : period ? (double)point->every_ns / 1e9 : point->resolution;
    call->constant = call->fixed = true;
    if (call->number > 0)
        return true;
    char hint[160];
    snprintf(hint, sizeof hint, "add to points: - {point: %.80s, %s}", operand->selector->name, period ? "every: 30s" : "resolution: 0.1");
    wr_scope_complain(scope, 212, call, hint, "'%s' is not declared for '%.60s'", period ? "every" : "resolution", series->text);
    return false;
}

/* Lengths go to their places, the other numbers in the order of the parameters. */
static bool answer_operator(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    const struct wr_function *function = call->function;
    struct wr_operator_call operator= {.function = function->id, .numbers = {NAN, NAN, NAN, NAN}};
    unsigned n = wr_check_parameters(function);
    unsigned filled = 0;
    bool windowed = false;
    operator.condition = function->parameters[0].kind == WR_ARGUMENT_CONDITION;
    for (unsigned i = 1; i < n; i++) {
        const struct wr_parameter *parameter = &function->parameters[i];
        if (parameter->kind == WR_ARGUMENT_WINDOW)
            windowed = true;
        else if (parameter->kind == WR_ARGUMENT_WORD)
            operator.method =(uint8_t)(isnan(arguments->numbers[i]) ? WR_METHOD_ROBUST : WR_METHOD_ROBUST + (int)arguments->numbers[i]);
        else if (strcmp(parameter->name, "tau") == 0 || strcmp(parameter->name, "season") == 0 || strcmp(parameter->name, "warmup") == 0)
            operator.span_ns = arguments->durations_ns[i];
        else if (strcmp(parameter->name, "step") == 0)
            operator.step_ns = arguments->durations_ns[i];
        else
            operator.numbers[filled++] = arguments->numbers[i];
    }
    if (function->id == WR_FUNCTION_QUANTILE || function->id == WR_FUNCTION_FORECAST)
        call->argument = operator.numbers[0];
    return wr_check_memory(scope, call, &operator, windowed ? &arguments->window : NULL);
}

/* The rule is the node that the call becomes: its operands are the vector. */
static bool answer_vector(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    struct wr_rule *rule = scope->rule;
    struct wr_error err;
    uint32_t n = 1;
    for (struct wr_node *more = arguments->more, *after; more; more = after, n++) {
        after = more->next;
        more->next = NULL;
        if (!wr_check_signal(scope, more, WR_ARGUMENT_SIGNAL))
            return false;
    }
    rule->kind = WR_RULE_VECTOR;
    rule->every_sample = true;
    rule->vector = (struct wr_t2q_spec){rule->n_operands, isnan(arguments->numbers[1]) ? VECTORS : (uint32_t)arguments->numbers[1]};
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        rule->operands[i].opaque = true;
        wr_check_want_every_sample(scope, &rule->operands[i]);
    }
    if (rule->n_operands < n) {
        wr_check_wrong_arguments(scope, call, "a series stands twice in");
        return false;
    }
    if (wr_t2q_check(&rule->vector, &err) != WR_OK) {
        wr_scope_complain(scope, 215, call, NULL, "%s", err.text);
        return false;
    }
    return true;
}

/* -- arithmetic ---------------------------------------------------------------------------------------------------------------------------- */

/* A temperature in °C and a relative humidity as a ratio. */
static bool answer_air(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    const struct wr_unit plain = wr_unit_plain();
    const struct wr_unit celsius = answer_unit(WR_ANSWER_CELSIUS, &plain);
    const struct wr_unit ratio = answer_unit(WR_ANSWER_RATIO, &plain);
    const struct wr_unit *wanted[] = {&celsius, &ratio};
    for (unsigned i = 0; i < 2; i++) {
        struct wr_node *node = arguments->at[i];
        bool fits = wr_unit_same_dimension(&node->unit, wanted[i]) && node->unit.point == wanted[i]->point && (i == 0 || !node->unit.plain);
        if (!fits) {
            char described[64];
            wr_scope_complain(scope, 212, node, i == 0 ? "declare the point with unit: °C" : "declare the point with unit: \"%\"",
                              "'%s' takes a %s here, not a %s", call->text, i == 0 ? "temperature (°C)" : "relative humidity (%)",
                              wr_unit_describe(described, sizeof described, &node->unit));
            return false;
        }
        arguments->at[i] = wr_check_convert(scope, node, wanted[i]);
        if (!arguments->at[i])
            return false;
    }
    return true;
}

static bool answer_round(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    call->argument = isnan(arguments->numbers[1]) ? 1 : arguments->numbers[1];
    if (call->argument > 0)
        return true;
    wr_scope_complain(scope, 105, call, NULL, "the step of 'round' is above zero");
    return false;
}

/* clamp and the branches of if: numbers of one unit, which is the answer's. */
static bool unify_from(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments, unsigned first) {
    struct wr_node **all[] = {&arguments->at[first], &arguments->at[first + 1], &arguments->at[2]};
    if (!wr_check_pairs(scope, all, 3 - first, call))
        return false;
    call->unit = arguments->at[first]->unit;
    return true;
}

/* Bounds of numbers that can be told at once; cells of tables cannot. */
static bool answer_clamp(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    const struct wr_node *low, *high;
    if (!unify_from(scope, call, arguments, 0))
        return false;
    low = arguments->at[1];
    high = arguments->at[2];
    if (!low->constant || !high->constant || low->number <= high->number)
        return true;
    wr_scope_complain(scope, 219, high, "write clamp(x, low, high)", "`high` of 'clamp' is below its `low`");
    return false;
}

/* A function of constants is a constant. */
static void fold(struct wr_node *call, const struct wr_arguments *arguments) {
    call->fixed = true;
    call->constant = call->function->id == WR_FUNCTION_ABS;
    for (unsigned i = 0; i < WR_FUNCTION_PARAMETERS; i++)
        if (arguments->at[i] && isnan(arguments->numbers[i])) {
            call->fixed &= wr_check_fixed(arguments->at[i]);
            call->constant &= arguments->at[i]->constant;
        }
    if (call->constant)
        call->number = fabs(arguments->at[0]->number);
}

static bool answer_value(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    enum wr_function_id id = call->function->id;
    bool good = true;
    if (id == WR_FUNCTION_DEWPOINT || id == WR_FUNCTION_HEAT_INDEX)
        good = answer_air(scope, call, arguments);
    else if (id == WR_FUNCTION_ROUND)
        good = answer_round(scope, call, arguments);
    else if (id == WR_FUNCTION_CLAMP)
        good = answer_clamp(scope, call, arguments);
    else if (id == WR_FUNCTION_IF)
        good = unify_from(scope, call, arguments, 1);
    if (!good)
        return false;
    fold(call, arguments);
    struct wr_node **tail = &call->child;
    *tail = NULL;
    for (unsigned i = 0; i < WR_FUNCTION_PARAMETERS; i++)
        if (arguments->at[i] && isnan(arguments->numbers[i])) {
            *tail = arguments->at[i];
            tail = &arguments->at[i]->next;
            *tail = NULL;
        }
    return true;
}

static bool answer_vote(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    unsigned m = 1;
    struct wr_node **tail = &arguments->at[1]->next;
    call->child = arguments->at[1];
    *tail = NULL;
    for (struct wr_node *condition = arguments->more, *after; condition; condition = after, m++) {
        after = condition->next;
        condition->next = NULL;
        condition = wr_check_truth(scope, condition);
        if (!condition || condition->type == WR_NODE_IS_WRONG)
            return false;
        *tail = condition;
        tail = &condition->next;
        *tail = NULL;
    }
    call->number = arguments->numbers[0];
    call->argument = isnan(arguments->numbers[2]) ? 0 : arguments->numbers[2];
    if (m < 2 || m > 16 || call->number > m) {
        wr_check_wrong_arguments(
            scope, call, m < 2 || m > 16 ? "2 to 16 conditions are needed for" : "more votes are needed than there are conditions in");
        return false;
    }
    if (call->argument >= m) {
        wr_check_wrong_arguments(scope, call, "`degrade` is below the number of conditions in");
        return false;
    }
    return true;
}

/* -- all together -------------------------------------------------------------------------------------------------------------------------- */

static bool answer(struct wr_scope *scope, struct wr_node *call, struct wr_arguments *arguments) {
    const struct wr_function *function = call->function;
    struct wr_node *first = arguments->at[0];
    const struct wr_unit plain = wr_unit_plain();
    switch (function->how) {
    case WR_HOW_DECLARED:
        call->unit = answer_unit(function->answer, &first->unit);
        return answer_declared(scope, call, first);
    case WR_HOW_VOTE:
        return answer_vote(scope, call, arguments);
    case WR_HOW_HELD:
        return wr_check_held(scope, call, first, arguments->durations_ns[1]) != NULL;
    case WR_HOW_SET:
        return wr_check_set(scope, call, first) != NULL;
    case WR_HOW_VECTOR:
        call->unit = answer_unit(function->answer, &plain);
        return answer_vector(scope, call, arguments);
    case WR_HOW_TIME:
        call->child = NULL;
        call->unit = answer_unit(function->answer, &plain);
        scope->rule->by_hour |= function->id != WR_FUNCTION_TIME;
        scope->rule->every_sample |= function->id == WR_FUNCTION_TIME; /* no value of a sample says that nothing changes */
        return true;
    default:
        break;
    }
    if (function->no_points && first->unit.point) {
        wr_scope_complain(scope, 213, call, "take a difference first", "'%s' of temperatures on a scale has no meaning", call->text);
        return false;
    }
    call->unit = answer_unit(function->answer, &first->unit);
    if (function->how == WR_HOW_VALUE)
        return answer_value(scope, call, arguments);
    call->child = first;
    first->next = NULL;
    call->operand = first->operand;
    if (function->how == WR_HOW_PULSE) /* the pulse is over with the next sample */
        wr_check_want_every_sample(scope, &scope->rule->operands[first->operand]);
    bool windowed = arguments->window.length || arguments->window.step || arguments->window.tumbling;
    return function->how == WR_HOW_OPERATOR || windowed ? answer_operator(scope, call, arguments) : true;
}

bool wr_check_arguments(struct wr_scope *scope, struct wr_node *call) {
    struct wr_arguments arguments = {0};
    const struct wr_function *function = call->function;
    if (!wr_check_read_arguments(scope, call, &arguments) || !answer(scope, call, &arguments))
        return false;
    if (call->kind == WR_NODE_CALL) /* else a name for a node by now */
        call->type = function->answer == WR_ANSWER_TRUTH ? WR_NODE_IS_BOOL : WR_NODE_IS_NUMBER;
    return true;
}

/* delta(x) looks at the last two samples, delta(x, 5m) has a window. */
static bool has_memory(const struct wr_function *function, const struct wr_node *call) {
    return function->how == WR_HOW_OPERATOR || function->how == WR_HOW_VECTOR ||
           (function->id == WR_FUNCTION_DELTA && call->child && call->child->next);
}

bool wr_check_is_node_call(const struct wr_node *node) {
    const struct wr_function *function = node->kind == WR_NODE_CALL ? wr_function_find(node->text) : NULL;
    return function && (has_memory(function, node) || function->how == WR_HOW_HELD || function->how == WR_HOW_SET);
}

void wr_check_call(struct wr_scope *scope, struct wr_node *node) {
    node->type = WR_NODE_IS_WRONG;
    node->memory = WR_NODE_NONE;
    node->function = wr_function_find(node->text);
    struct wr_node name = *node;
    name.len = (uint32_t)strlen(node->text);
    if (!node->function) {
        char hint[80];
        const char *near = wr_function_nearest(node->text);
        snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
        wr_scope_complain(scope, 102, &name, near ? hint : NULL, "unknown function '%.60s'", node->text);
        return;
    }
    if (node->function->how == WR_HOW_LATER) {
        wr_scope_complain(scope, 103, &name, NULL, "the function '%s' is not supported in this version", node->text);
        return;
    }
    if (has_memory(node->function, node) ? wr_check_memory_call(scope, node) != NULL : wr_check_arguments(scope, node))
        return;
    node->type = WR_NODE_IS_WRONG;
    scope->failed = true;
}
