#include "agent/actions/actions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/actions/actions_private.h"
#include "core/log.h"
#include "core/thread.h"

#define PARTING_NS (500 * WR_NS_PER_MS) /* what is given up at a stop may still say so */
/* All that can run at once, programs twice: that they have begun, and how they ended. Never full. */
#define RESULTS (WR_ACTIONS_TARGETS + 2 * WR_CHILDREN_MAX + 2 * WR_UPLINK_DIRECT)

static enum wr_result new_channel(const char *name, size_t capacity, size_t element_bytes, struct wr_channel **ret_channel,
                                  struct wr_error *err) {
    const struct wr_channel_options options = {
        .name = name, .capacity = capacity, .element_bytes = element_bytes, .policy = WR_CHANNEL_REJECT};
    return wr_channel_new(&options, ret_channel, err);
}

enum wr_result wr_actions_init(struct wr_actions *actions, struct wr_error *err) {
    actions->cancel_fd = -1;
    enum wr_result result =
        new_channel("engine to actions", WR_ACTIONS_CAPACITY, sizeof(struct wr_alarm_entry), &actions->transitions, err);
    if (result == WR_OK)
        result = new_channel("ends of actions", RESULTS, sizeof(struct wr_action_result), &actions->results, err);
    if (result == WR_OK)
        result = wr_action_delay_init(&actions->delay, err);
    if (result == WR_OK && (actions->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        result = wr_error_set(err, WR_IO, "no descriptor for the actions");
    if (result == WR_OK) {
        pthread_cond_init(&actions->exchanged, NULL);
        wr_children_init(&actions->children, wr_actions_program_ended, actions);
        pthread_mutex_init(&actions->lock, NULL);
        return WR_OK;
    }
    if (actions->cancel_fd >= 0)
        close(actions->cancel_fd);
    wr_action_delay_fini(&actions->delay);
    wr_channel_free(actions->results);
    wr_channel_free(actions->transitions);
    actions->results = actions->transitions = NULL;
    return result;
}

size_t wr_actions_bytes(const struct wr_ruleset *rules, unsigned *ret_threads) {
    const struct wr_ruleset_actions_info info = rules ? wr_ruleset_actions_info(rules) : (struct wr_ruleset_actions_info){0};
    const size_t jobs = (size_t)info.targets * WR_ACTIONS_QUEUE + (info.delays ? WR_ACTION_DELAYS : 0);
    /* With each sender one that looks up a name. */
    *ret_threads = WR_ACTIONS_STARTERS + 2 * (info.senders < WR_ACTIONS_SENDERS ? info.senders : WR_ACTIONS_SENDERS);
    return WR_ACTIONS_CAPACITY * sizeof(struct wr_alarm_entry) + RESULTS * sizeof(struct wr_action_result) +
           WR_ACTION_DELAYS * sizeof(struct wr_action_job *) + jobs * wr_action_job_bytes() + wr_actions_execute_bytes() +
           info.senders * wr_actions_send_bytes();
}

void wr_actions_fini(struct wr_actions *actions) {
    if (!actions->transitions)
        return;
    wr_pool_free(actions->starters);
    wr_pool_free(actions->senders);
    wr_children_fini(&actions->children);
    wr_actions_free_targets(actions);
    wr_action_delay_fini(&actions->delay);
    wr_channel_free(actions->results);
    wr_channel_free(actions->transitions);
    actions->transitions = NULL;
    close(actions->cancel_fd);
    pthread_cond_destroy(&actions->exchanged);
    pthread_mutex_destroy(&actions->lock);
}

/* Under the lock. */
static void exchange_rules(struct wr_actions *actions) {
    if (!actions->next_rules || actions->taken < actions->next_from)
        return;
    actions->rules = actions->next_rules;
    actions->next_rules = NULL;
    pthread_cond_broadcast(&actions->exchanged);
}

void wr_actions_use(struct wr_actions *actions, struct wr_ruleset *rules, uint64_t from) {
    pthread_mutex_lock(&actions->lock);
    actions->next_rules = rules;
    actions->next_from = from;
    exchange_rules(actions);
    pthread_mutex_unlock(&actions->lock);
}

void wr_actions_await_use(struct wr_actions *actions) {
    pthread_mutex_lock(&actions->lock);
    while (actions->next_rules)
        pthread_cond_wait(&actions->exchanged, &actions->lock);
    pthread_mutex_unlock(&actions->lock);
}

void wr_actions_publish_to(struct wr_actions *actions, struct wr_channel *publish) {
    pthread_mutex_lock(&actions->lock);
    actions->publish = publish;
    actions->published_anew = true;
    actions->no_uplink_since_boot_ns = 0;
    pthread_mutex_unlock(&actions->lock);
    wr_actions_wake(actions);
}

/* -- log ------------------------------------------------------------------------------------------------------------------------------- */

void wr_actions_log(struct wr_actions *actions, const struct wr_alarm *alarm) {
    char name[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 2];
    wr_alarm_display(name, sizeof name, alarm);
    struct wr_log_value values[14];
    size_t n = 0;
    values[n++] = WR_LOG_STR("alarm", name);
    values[n++] = WR_LOG_STR("cause", wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause));
    values[n++] = WR_LOG_STR("state", wr_alarm_state_name((enum wr_alarm_state)alarm->to));
    values[n++] = WR_LOG_STR("severity", wr_severity_name((enum wr_severity)alarm->severity));
    if (alarm->level[0])
        values[n++] = WR_LOG_STR("level", alarm->level);
    if (alarm->has_value)
        values[n++] = WR_LOG_NUM("value", alarm->value);
    if (alarm->has_limit)
        values[n++] = WR_LOG_NUM("limit", alarm->limit);
    if (alarm->unit[0])
        values[n++] = WR_LOG_STR("unit", alarm->unit);
    if (alarm->message[0])
        values[n++] = WR_LOG_STR("message", alarm->message);
    if (alarm->by_whom[0])
        values[n++] = WR_LOG_STR("by", alarm->by_whom);
    if (alarm->why[0])
        values[n++] = WR_LOG_STR("why", alarm->why);
    values[n++] = WR_LOG_INT("event_ns", alarm->event_ns);
    values[n++] = WR_LOG_INT("acted_ns", wr_clock_wall_ns(actions->clock));
    if (alarm->arrival_boot_ns)
        values[n++] = WR_LOG_INT("latency_us", (wr_clock_boot_ns(actions->clock) - alarm->arrival_boot_ns) / WR_NS_PER_US);
    /* No call site: an alarm is never held back by the log's rate limit; chattering is the evaluator's business. */
    wr_log_write(NULL, WR_LOG_INFO, "alarm", "alarm", values, n);
    actions->logged++;
    actions->kinds[WR_ACTION_LOG].done++;
    wr_histogram_add(&actions->kinds[WR_ACTION_LOG].latency, wr_clock_boot_ns(actions->clock) - alarm->decided_boot_ns);
}

/* -- what is to be done ---------------------------------------------------------------------------------------------------------------- */

static bool logged_by_default(const struct wr_alarm *alarm) {
    const enum wr_alarm_cause cause = (enum wr_alarm_cause)alarm->cause;
    return wr_alarm_is_annunciated(alarm) &&
           (cause == WR_ALARM_RAISED || cause == WR_ALARM_CLEARED || cause == WR_ALARM_ACKNOWLEDGED || cause == WR_ALARM_ESCALATED);
}

static void put_off(struct wr_actions *actions, struct wr_action_job *job) {
    job->turn.due_boot_ns = wr_clock_add_ns(job->alarm.decided_boot_ns, job->spec.after_ns);
    const enum wr_result result = wr_action_delay_put(&actions->delay, job);
    if (result == WR_OK)
        return;
    if (result == WR_FULL)
        wr_actions_bury(actions, job->spec.kind, &job->alarm, job->address, 0, "too many actions wait for their time");
    free(job);
}

static void plan(struct wr_actions *actions, const struct wr_action_spec *spec, uint32_t index, uint32_t rule,
                 const struct wr_alarm_entry *entry) {
    struct wr_error err = {0};
    struct wr_action_job *job;
    if (spec->kind == WR_ACTION_LOG && spec->after_ns == 0) {
        wr_actions_log(actions, &entry->alarm);
        return;
    }
    const struct wr_rule_info info = wr_ruleset_info(actions->rules, rule);
    if (wr_action_job_new(spec, index, &info, entry, &actions->place, &job, &err) != WR_OK)
        wr_actions_bury(actions, spec->kind, &entry->alarm, spec->target ? spec->target : "", 0, err.text);
    else if (spec->after_ns > 0)
        put_off(actions, job);
    else
        wr_actions_enqueue(actions, job);
}

/* An alarm as it was before a restart: what waited for its time waits on. If that came meanwhile nobody knows whether it was done: then it is
 * done (again, under the same delivery, if the alarm has not changed), where `unless` says that somebody still needs to know. Without `unless`
 * only an alarm that is as it was raised tells how long ago that was: of any other the time may have come before it changed. */
static void resume(struct wr_actions *actions, const struct wr_alarm_entry *found, uint32_t rule, const struct wr_action_spec *list,
                   uint32_t n) {
    const bool as_raised = n > 0 && found->alarm.to == (wr_ruleset_info(actions->rules, rule).auto_ack ? WR_ALARM_ACKED : WR_ALARM_UNACK);
    const struct wr_now now = wr_clock_now(actions->clock);
    struct wr_alarm_entry entry = *found;
    entry.alarm.cause = WR_ALARM_RAISED;
    entry.alarm.journalled = true; /* else it would not be back */
    for (uint32_t i = 0; i < n; i++) {
        const struct wr_action_spec *spec = &list[i];
        int64_t left_ns = now.wall_trusted ? wr_clock_add_ns(found->alarm.wall_ns - now.wall_ns, spec->after_ns) : spec->after_ns;
        if (spec->after_ns == 0 || found->alarm.to == WR_ALARM_PENDING || !wr_action_is_wanted(spec, &entry.alarm) ||
            wr_action_is_needless(spec->unless, (enum wr_alarm_state)found->alarm.to) ||
            (spec->unless == 0 && (left_ns <= 0 || !as_raised)))
            continue;
        left_ns = left_ns < 0 ? 0 : left_ns > spec->after_ns ? spec->after_ns : left_ns;
        entry.alarm.decided_boot_ns = now.boot_ns + left_ns - spec->after_ns;
        plan(actions, spec, i, rule, &entry);
    }
}

static void act(struct wr_actions *actions, const struct wr_alarm_entry *entry) {
    const struct wr_alarm *alarm = &entry->alarm;
    if (alarm->historic)
        return;
    uint32_t rule = actions->rules ? wr_ruleset_find_teller(actions->rules, alarm->rule) : UINT32_MAX;
    uint32_t n = 0;
    const struct wr_action_spec *list = rule == UINT32_MAX ? NULL : wr_ruleset_actions(actions->rules, rule, &n);
    if (alarm->cause == 0) {
        resume(actions, entry, rule, list, n);
        return;
    }
    if (alarm->arrival_boot_ns)
        wr_histogram_add(&actions->latency, wr_clock_boot_ns(actions->clock) - alarm->arrival_boot_ns);
    wr_action_delay_observe(&actions->delay, alarm);
    if (n == 0 && logged_by_default(alarm))
        wr_actions_log(actions, alarm);
    for (uint32_t i = 0; i < n; i++)
        if (wr_action_is_wanted(&list[i], alarm))
            plan(actions, &list[i], i, rule, entry);
}

static void act_delayed(struct wr_actions *actions) {
    struct wr_action_job *job;
    while ((job = wr_action_delay_take(&actions->delay, wr_clock_boot_ns(actions->clock))) != NULL)
        wr_actions_enqueue(actions, job);
    actions->delayed = actions->delay.n;
    actions->needless = actions->delay.needless;
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------------ */

static void show_children(struct wr_actions *actions) {
    pthread_mutex_lock(&actions->children.lock);
    actions->programs_started = actions->children.started;
    actions->programs_failed = actions->children.failed;
    actions->programs_killed = actions->children.killed;
    pthread_mutex_unlock(&actions->children.lock);
}

/* Returns when to look again. */
static int64_t look_after_children(struct wr_actions *actions) {
    if (actions->programs == 0) {
        show_children(actions);
        return WR_NEVER_NS;
    }
    const int64_t now_ns = wr_clock_boot_ns(actions->clock);
    (void)wr_children_look(&actions->children, now_ns);
    show_children(actions);
    return now_ns + WR_CHILDREN_LOOK_NS;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* One turn: takes a transition or a result, or waits until something is due. False: there will be no more transitions. */
static bool turn(struct wr_actions *actions, bool open, int64_t deadline_boot_ns, int64_t *ret_due_boot_ns) {
    struct wr_alarm_entry entry;
    struct wr_action_result result;
    struct wr_channel_case cases[] = {
        {.channel = open ? actions->transitions : NULL, .direction = WR_CHANNEL_RECV, .element = &entry},
        {.channel = actions->results, .direction = WR_CHANNEL_RECV, .element = &result},
    };
    size_t index;
    const bool taken = wr_channel_select(cases, 2, NULL, deadline_boot_ns, &index) == WR_OK;
    if (taken && index == 0 && cases[0].result != WR_OK)
        open = false;
    pthread_mutex_lock(&actions->lock);
    if (taken && index == 0 && open) {
        act(actions, &entry);
        actions->taken++;
        exchange_rules(actions);
    } else if (taken && index == 1) {
        wr_actions_take_result(actions, &result);
    }
    act_delayed(actions);
    const int64_t due_ns = wr_actions_dispatch(actions);
    pthread_mutex_unlock(&actions->lock);
    *ret_due_boot_ns = earlier(earlier(due_ns, wr_action_delay_due(&actions->delay)), look_after_children(actions));
    return open;
}

/* The last act: what runs elsewhere is told to end, and has a moment to say how it did. */
static void part(struct wr_actions *actions) {
    const uint64_t one = 1;
    const int64_t until_ns = wr_clock_boot_ns(actions->clock) + PARTING_NS;
    struct wr_action_result result;
    if (write(actions->cancel_fd, &one, sizeof one) != sizeof one)
        WR_LOG(WR_LOG_WARN, "actions", "what is being sent cannot be told to stop");
    while (actions->sending > 0 && wr_channel_recv(actions->results, &result, until_ns) == WR_OK)
        wr_actions_take_result(actions, &result);
    wr_actions_give_up(actions);
}

static void *run(void *user) {
    struct wr_actions *actions = user;
    wr_thread_name("weir-actions");
    int64_t due_ns = WR_NEVER_NS;
    bool open = true;
    while (open || !wr_actions_are_idle(actions)) {
        if (!open && wr_clock_boot_ns(actions->clock) >= actions->drain_until_boot_ns)
            break;
        open = turn(actions, open, open ? due_ns : earlier(due_ns, actions->drain_until_boot_ns), &due_ns);
    }
    pthread_mutex_lock(&actions->lock);
    part(actions);
    pthread_mutex_unlock(&actions->lock);
    return NULL;
}

enum wr_result wr_actions_start(struct wr_actions *actions, struct wr_error *err) {
    return wr_thread_start(&actions->thread, run, actions, "actions", err);
}

static enum wr_result stop_pool(struct wr_pool *pool, int64_t deadline_boot_ns) {
    struct wr_error err = {0};
    if (!pool || wr_pool_stop(pool, deadline_boot_ns, deadline_boot_ns, &err) == WR_OK)
        return WR_OK;
    WR_LOG_WITH(WR_LOG_ERROR, "actions", "something is still being begun, sent or written", WR_LOG_ERR(&err));
    return WR_TIMEOUT;
}

enum wr_result wr_actions_stop(struct wr_actions *actions, int64_t deadline_boot_ns) {
    const int64_t now_ns = wr_clock_boot_ns(actions->clock);
    const int64_t half_ns = deadline_boot_ns > now_ns ? (deadline_boot_ns - now_ns) / 2 : 0;
    actions->drain_until_boot_ns = now_ns + earlier(half_ns, WR_ACTIONS_DRAIN_NS);
    wr_channel_close(actions->transitions);
    WR_TRY(wr_thread_join(actions->thread, deadline_boot_ns));
    WR_TRY(stop_pool(actions->starters, deadline_boot_ns));
    WR_TRY(stop_pool(actions->senders, deadline_boot_ns));
    show_children(actions);
    return WR_OK;
}
