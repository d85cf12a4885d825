/* The action `exec`: a program for an alarm. Threads of a pool start it; what it does then is seen by agent/actions/children.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/actions/actions_private.h"
#include "core/log.h"
#include "rules/language/template.h"

#define VARIABLES_MAX 24
#define VARIABLES_BYTES (2 * WR_TEMPLATE_BYTES + 4096) /* of consequence and respond, and of all that is in an alarm */
#define LATENCY_NS (10 * WR_NS_PER_MS)                 /* a start that waits so long gets another thread */
#define BEGIN_NS (10 * WR_NS_PER_S)                    /* one that takes longer is said to */

struct variables {
    char text[VARIABLES_BYTES];
    char *list[VARIABLES_MAX + 1];
    unsigned n;
    size_t len; /* of text */
};

__attribute__((format(printf, 2, 3))) static void add_variable(struct variables *variables, const char *format, ...) {
    char *text = variables->text + variables->len;
    const size_t room = sizeof variables->text - variables->len;
    va_list args;
    va_start(args, format);
    const size_t len = (size_t)vsnprintf(text, room, format, args);
    va_end(args);
    if (len >= room)
        return; /* not a part of it; there is room for all that there can be */
    variables->len += len + 1;
    variables->list[variables->n] = text;
    variables->list[++variables->n] = NULL;
}

/* What a program learns of the alarm: in its environment only, so that no value is ever parsed as an argument. */
static void describe(const struct wr_action_job *job, const struct wr_action_place *place, struct variables *variables) {
    const struct wr_alarm *alarm = &job->alarm;
    char delivery[WR_ACTION_DELIVERY_BYTES];
    variables->n = 0;
    variables->len = 0;
    add_variable(variables, "PATH=/usr/local/bin:/usr/bin:/bin");
    add_variable(variables, "WEIR_NODE=%s", place->node);
    add_variable(variables, "WEIR_SITE=%s", place->site);
    add_variable(variables, "WEIR_RULE=%s", alarm->rule);
    add_variable(variables, "WEIR_INSTANCE=%s", alarm->instance);
    add_variable(variables, "WEIR_CAUSE=%s", wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause));
    add_variable(variables, "WEIR_STATE=%s", wr_alarm_state_name((enum wr_alarm_state)alarm->to));
    add_variable(variables, "WEIR_SEVERITY=%s", wr_severity_name((enum wr_severity)alarm->severity));
    add_variable(variables, "WEIR_LEVEL=%s", alarm->level);
    add_variable(variables, "WEIR_MESSAGE=%s", alarm->message);
    add_variable(variables, "WEIR_RESPOND=%s", job->respond ? job->respond : "");
    add_variable(variables, "WEIR_CONSEQUENCE=%s", job->consequence ? job->consequence : "");
    add_variable(variables, "WEIR_BY=%s", alarm->by_whom);
    add_variable(variables, "WEIR_WHY=%s", alarm->why);
    add_variable(variables, "WEIR_UNIT=%s", alarm->unit);
    add_variable(variables, "WEIR_EVENT_NS=%lld", (long long)alarm->event_ns);
    add_variable(variables, "WEIR_ALARM_ID=%016llx", (unsigned long long)alarm->id);
    add_variable(variables, "WEIR_TRANSITION=%llu", (unsigned long long)alarm->transition);
    add_variable(variables, "WEIR_DELIVERY=%s", wr_action_job_delivery(delivery, job));
    if (alarm->has_value)
        add_variable(variables, "WEIR_VALUE=%.17g", alarm->value);
    if (alarm->has_limit)
        add_variable(variables, "WEIR_LIMIT=%.17g", alarm->limit);
}

static void run_start(struct wr_context *context, void *user) {
    (void)context;
    struct wr_action_job *job = user;
    struct wr_actions *actions = job->owner;
    _Atomic uint32_t *starting = job->starting;
    struct wr_error err = {0};
    struct variables variables;
    describe(job, &actions->place, &variables);
    const struct wr_children_start start = {
        .argv = (char *const *)(uintptr_t)job->spec.exec.argv, .variables = variables.list, .time_ns = job->spec.timeout_ns, .tag = job};
    const enum wr_result result = wr_children_start(&actions->children, &start, wr_clock_boot_ns(actions->clock), &err);
    (*starting)--;
    if (result == WR_OK) { /* from here on its end is told by the children, perhaps already */
        wr_actions_wake(actions);
        return;
    }
    struct wr_action_end end = {.verdict = result == WR_LIMIT ? WR_ACTION_PUT_OFF : WR_ACTION_FAILED};
    snprintf(end.why, sizeof end.why, "%s", err.text);
    wr_actions_report(actions, job, &end);
}

static void drop_start(void *user, enum wr_result why) {
    struct wr_action_job *job = user;
    struct wr_action_end end = {.verdict = WR_ACTION_FAILED};
    (*job->starting)--;
    snprintf(end.why, sizeof end.why, "%s",
             why == WR_NO_MEMORY ? "no memory"
             : why == WR_FULL    ? "too many programs wait to begin"
                                 : "those before it did not begin in time");
    wr_actions_report(job->owner, job, &end);
}

void wr_actions_program_ended(void *user, void *tag, int status, bool killed) {
    struct wr_action_job *job = tag;
    struct wr_action_end end = {.verdict = status == 0 && !killed ? WR_ACTION_DONE : WR_ACTION_FAILED};
    char text[80];
    if (killed)
        snprintf(end.why, sizeof end.why, "killed after %lld ms", (long long)(job->spec.timeout_ns / WR_NS_PER_MS));
    else if (status != 0)
        snprintf(end.why, sizeof end.why, "%s", wr_child_status_text(text, sizeof text, status));
    wr_actions_report(user, job, &end);
}

static void log_overrun(void *user, const char *task, int64_t over_ns) {
    (void)user, (void)task;
    WR_LOG_WITH(WR_LOG_WARN, "actions", "a program does not begin", WR_LOG_INT("after_ms", (BEGIN_NS + over_ns) / WR_NS_PER_MS));
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
    return wr_pool_bytes(&options) + WR_ACTIONS_STARTERS * sizeof(struct variables);
}

void wr_actions_execute(struct wr_actions *actions, struct wr_action_target *target, struct wr_action_job *job) {
    enum wr_result result = WR_NO_MEMORY;
    job->owner = actions;
    job->starting = &target->starting;
    target->starting++;
    const struct wr_pool_task task = {.name = "exec",
                                      .run = run_start,
                                      .dropped = drop_start,
                                      .user = job,
                                      .deadline_boot_ns = wr_clock_boot_ns(wr_clock_real()) + BEGIN_NS};
    if (actions->starters || wr_pool_new(&options, &actions->starters, NULL) == WR_OK)
        result = wr_pool_submit(actions->starters, &task, 0);
    if (result != WR_OK)
        drop_start(job, result);
}
