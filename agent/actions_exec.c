/* The action `exec`: a program for an alarm. The actions' thread only writes down what is to be started; threads of a pool start it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/actions_private.h"
#include "core/log.h"

#define VARIABLES_MAX 16
#define VARIABLE_BYTES (WR_ALARM_TEXT_BYTES + 32)
#define ARGUMENTS_BYTES 4096           /* of the command line, for the ceiling; a longer one is as long as the rule file says */
#define LATENCY_NS (10 * WR_NS_PER_MS) /* a start that waits so long gets another thread */

struct variables {
    char text[VARIABLES_MAX][VARIABLE_BYTES];
    char *list[VARIABLES_MAX + 1];
    unsigned n;
};

__attribute__((format(printf, 2, 3))) static void add_variable(struct variables *variables, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(variables->text[variables->n], VARIABLE_BYTES, format, args);
    va_end(args);
    variables->list[variables->n] = variables->text[variables->n];
    variables->list[++variables->n] = NULL;
}

/* What a program learns of the alarm: in its environment only, so that no value is ever parsed as an argument. */
static void describe(const struct wr_alarm *alarm, struct variables *variables) {
    variables->n = 0;
    add_variable(variables, "PATH=/usr/local/bin:/usr/bin:/bin");
    add_variable(variables, "WEIR_RULE=%s", alarm->rule);
    add_variable(variables, "WEIR_INSTANCE=%s", alarm->instance);
    add_variable(variables, "WEIR_CAUSE=%s", wr_alarm_cause_name(alarm->cause));
    add_variable(variables, "WEIR_STATE=%s", wr_alarm_state_name(alarm->to));
    add_variable(variables, "WEIR_SEVERITY=%s", wr_severity_name(alarm->severity));
    add_variable(variables, "WEIR_MESSAGE=%s", alarm->message);
    add_variable(variables, "WEIR_UNIT=%s", alarm->unit);
    add_variable(variables, "WEIR_EVENT_NS=%lld", (long long)alarm->event_ns);
    add_variable(variables, "WEIR_ALARM_ID=%016llx", (unsigned long long)alarm->id);
    add_variable(variables, "WEIR_TRANSITION=%llu", (unsigned long long)alarm->transition);
    if (alarm->has_value)
        add_variable(variables, "WEIR_VALUE=%.17g", alarm->value);
    if (alarm->has_limit)
        add_variable(variables, "WEIR_LIMIT=%.17g", alarm->limit);
}

/* One start: everything in one piece of memory, since the rule set may be exchanged before it comes to that. */
struct start {
    struct wr_actions *actions;
    char rule[WR_ALARM_NAME_BYTES];
    struct variables variables;
    char *argv[]; /* ends with NULL; behind it the texts */
};

static struct start *start_of(struct wr_actions *actions, const struct wr_action_spec *action, const struct wr_alarm *alarm) {
    size_t n = 0, bytes = 0;
    for (; action->argv[n]; n++)
        bytes += strlen(action->argv[n]) + 1;
    struct start *start = malloc(sizeof *start + (n + 1) * sizeof start->argv[0] + bytes);
    if (!start)
        return NULL;
    start->actions = actions;
    (void)snprintf(start->rule, sizeof start->rule, "%s", alarm->rule);
    describe(alarm, &start->variables);
    char *text = (char *)&start->argv[n + 1];
    for (size_t i = 0; i < n; i++) {
        start->argv[i] = text;
        text = stpcpy(text, action->argv[i]) + 1;
    }
    start->argv[n] = NULL;
    return start;
}

static void not_started(struct wr_actions *actions, const char *rule, const char *why) {
    actions->failed++;
    WR_LOG_WITH(WR_LOG_ERROR, "actions", "program not started", WR_LOG_STR("rule", rule), WR_LOG_STR("error", why));
}

static void run_start(struct wr_context *context, void *user) {
    (void)context;
    struct start *start = user;
    struct wr_actions *actions = start->actions;
    struct wr_error err = {0};
    if (wr_children_start(&actions->children, start->argv, start->variables.list, wr_clock_boot_ns(actions->clock), &err) != WR_OK)
        not_started(actions, start->rule, err.text);
    free(start);
    atomic_fetch_sub(&actions->starting, 1);
}

static void drop_start(void *user, enum wr_result why) {
    struct start *start = user;
    struct wr_actions *actions = start->actions;
    not_started(actions, start->rule,
                why == WR_FULL        ? "too many programs wait to begin"
                : why == WR_NO_MEMORY ? "no memory"
                                      : "those before it did not begin in time");
    free(start);
    atomic_fetch_sub(&actions->starting, 1);
}

static void log_overrun(void *user, const char *task, int64_t over_ns) {
    (void)user;
    WR_LOG_WITH(WR_LOG_WARN, "actions", "a program does not begin", WR_LOG_STR("program", task),
                WR_LOG_INT("after_ms", (WR_CHILDREN_TIME_NS + over_ns) / WR_NS_PER_MS));
}

static const struct wr_pool_options options = {
    .name = "weir-exec",
    .rules = {.strategy = WR_POOL_LATENCY, .threads_max = WR_ACTIONS_STARTERS, .latency_ns = LATENCY_NS},
    .queue = WR_CHILDREN_MAX,
    .policy = WR_CHANNEL_REJECT,
    .watch_ns = 2 * LATENCY_NS,
    .overrun = log_overrun,
};

size_t wr_actions_execute_bytes(void) {
    return wr_pool_bytes(&options) + (WR_CHILDREN_MAX + WR_ACTIONS_STARTERS) * (sizeof(struct start) + ARGUMENTS_BYTES);
}

void wr_actions_execute(struct wr_actions *actions, const struct wr_action_spec *action, const struct wr_alarm *alarm) {
    struct start *start = start_of(actions, action, alarm);
    if (!start || (!actions->starters && wr_pool_new(&options, &actions->starters, NULL) != WR_OK)) {
        not_started(actions, alarm->rule, "no memory");
        free(start);
        return;
    }
    const struct wr_pool_task task = {.name = start->argv[0],
                                      .run = run_start,
                                      .dropped = drop_start,
                                      .user = start,
                                      .deadline_boot_ns = wr_clock_boot_ns(wr_clock_real()) + WR_CHILDREN_TIME_NS};
    atomic_fetch_add(&actions->starting, 1);
    const enum wr_result result = wr_pool_submit(actions->starters, &task, 0);
    if (result != WR_OK)
        drop_start(start, result);
}
