/* Targets and their queues: who is next, and what becomes of whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/actions/actions_private.h"
#include "core/log.h"

#define JOURNAL_LOOK_NS (2 * WR_NS_PER_MS)
#define PUT_OFF_NS (100 * WR_NS_PER_MS)
#define NO_UPLINK_NS (10 * WR_NS_PER_S)         /* a reload may take it away for a moment */
#define STARTS_OF_ONE (WR_ACTIONS_STARTERS / 2) /* as that: one whose start hangs */
#define PROGRAMS_OF_ONE (WR_CHILDREN_MAX / 2)   /* so that one that hangs leaves room for the others */

void wr_actions_report(struct wr_actions *actions, struct wr_action_job *job, const struct wr_action_end *end) {
    const struct wr_action_result result = {.job = job, .end = *end};
    (void)!wr_channel_try_send(actions->results, &result); /* there is room for all that can run */
}

void wr_actions_published(void *user, uint64_t id, bool delivered) {
    struct wr_actions *actions = user;
    struct wr_action_result result = {.published = id, .end = {.verdict = delivered ? WR_ACTION_DONE : WR_ACTION_REFUSED}};
    if (!delivered)
        snprintf(result.end.why, sizeof result.end.why, "the broker refuses it");
    (void)!wr_channel_try_send(actions->results, &result);
}

void wr_actions_wake(struct wr_actions *actions) {
    wr_actions_published(actions, 0, true); /* of no publish */
}

/* -- dead letters ---------------------------------------------------------------------------------------------------------------------- */

static bool journal(struct wr_actions *actions, const struct wr_alarm *alarm, const char *kind, const char *address, const char *why) {
    struct wr_alarm_entry entry = {.alarm = *alarm, .note = true};
    entry.alarm.cause = WR_ALARM_ACTION_FAILED;
    entry.alarm.from = entry.alarm.to;
    entry.alarm.wall_ns = wr_clock_wall_ns(actions->clock);
    snprintf(entry.alarm.message, sizeof entry.alarm.message, "%s %.*s of %s: %s", kind, WR_ALARM_TEXT_BYTES / 3, address,
             wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause), why);
    return actions->journal && wr_channel_try_send(actions->journal, &entry) == WR_OK;
}

void wr_actions_bury(struct wr_actions *actions, enum wr_action_kind kind, const struct wr_alarm *alarm, const char *address,
                     uint32_t tries, const char *why) {
    char name[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 3];
    const bool journalled = journal(actions, alarm, wr_action_kind_names[kind], address, why);
    actions->failed++;
    actions->kinds[kind].dead++;
    const struct wr_log_value values[] = {
        WR_LOG_STR("alarm", wr_alarm_display(name, sizeof name, alarm)),
        WR_LOG_STR("cause", wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause)),
        WR_LOG_STR("action", wr_action_kind_names[kind]),
        WR_LOG_STR("to", address),
        WR_LOG_INT("tries", tries),
        WR_LOG_STR("error", why),
        WR_LOG_STR("journalled", journalled ? "yes" : "no"),
    };
    /* No call site, as for alarms: each of these is something that did not happen though a rule wants it. */
    wr_log_write(NULL, WR_LOG_ERROR, "actions", "action given up", values, sizeof values / sizeof values[0]);
}

static void bury_job(struct wr_actions *actions, struct wr_action_job *job, const char *why) {
    wr_actions_bury(actions, job->spec.kind, &job->alarm, job->address, job->turn.tried, why);
    free(job);
}

/* -- targets --------------------------------------------------------------------------------------------------------------------------- */

static void forget(struct wr_action_target *target) {
    free(target->name);
    wr_tls_free(target->tls);
    *target = (struct wr_action_target){0};
}

static uint32_t parallel_of(enum wr_action_kind kind) {
    return kind == WR_ACTION_EXEC ? PROGRAMS_OF_ONE : kind == WR_ACTION_MQTT ? WR_UPLINK_DIRECT : 1;
}

static struct wr_action_target *find(struct wr_actions *actions, const char *name) {
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++)
        if (actions->targets[i].name && strcmp(actions->targets[i].name, name) == 0)
            return &actions->targets[i];
    return NULL;
}

/* A free place, or that of a target for which nothing waits. */
static struct wr_action_target *vacant(struct wr_actions *actions) {
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++)
        if (!actions->targets[i].name)
            return &actions->targets[i];
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++)
        if (actions->targets[i].queue.n == 0 && actions->targets[i].starting == 0) {
            forget(&actions->targets[i]);
            return &actions->targets[i];
        }
    return NULL;
}

static enum wr_result open_target(struct wr_actions *actions, const struct wr_action_job *job, struct wr_action_target **ret_target,
                                  struct wr_error *err) {
    const char *name = job->spec.target ? job->spec.target : "log";
    *ret_target = find(actions, name);
    if (*ret_target)
        return WR_OK;
    struct wr_action_target *target = vacant(actions);
    if (!target)
        return wr_error_set(err, WR_LIMIT, "too many places to send to are at work");
    *target =
        (struct wr_action_target){.name = strdup(name), .queue = {.capacity = WR_ACTIONS_QUEUE, .parallel = parallel_of(job->spec.kind)}};
    enum wr_result result = target->name ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory");
    if (result == WR_OK && job->spec.kind == WR_ACTION_WEBHOOK) {
        /* The target's name ends with the authority's file, and lives as long as the credentials. */
        const char *ca = job->spec.webhook.ca ? target->name + strlen(name) - strlen(job->spec.webhook.ca) : NULL;
        result = wr_tls_new(&(struct wr_tls_config){.ca = ca}, actions->clock, &target->tls, err);
    }
    if (result != WR_OK)
        forget(target);
    else
        *ret_target = target;
    return result;
}

void wr_actions_enqueue(struct wr_actions *actions, struct wr_action_job *job) {
    struct wr_action_target *target;
    struct wr_error err = {0};
    job->turn.due_boot_ns = 0;
    if (open_target(actions, job, &target, &err) != WR_OK) {
        bury_job(actions, job, err.text);
        return;
    }
    struct wr_action_turn *goes = wr_action_queue_put(&target->queue, &job->turn);
    actions->kinds[job->spec.kind].queued += goes == NULL;
    if (!goes)
        return;
    struct wr_action_job *loser = wr_action_job_of(goes);
    if (goes->importance == WR_ACTION_REPEAT || (goes != &job->turn && wr_action_turn_replaces(&job->turn, goes))) {
        actions->kinds[loser->spec.kind].repeats++;
        free(loser);
    } else {
        bury_job(actions, loser, goes == &job->turn ? "too many actions wait there" : "something more important needed its place");
    }
}

/* -- tries ----------------------------------------------------------------------------------------------------------------------------- */

static bool goes_out(enum wr_action_kind kind) {
    return kind == WR_ACTION_MQTT || kind == WR_ACTION_WEBHOOK;
}

/* Whether it has to wait for the journal (still). */
static bool awaits_journal(struct wr_actions *actions, struct wr_action_job *job) {
    if (job->alarm.journalled)
        return false;
    job->alarm.journalled = job->number != 0 && actions->journalled && actions->journalled(actions->journalled_user, job->number);
    if (job->alarm.journalled || !goes_out(job->spec.kind))
        return false;
    if (job->number != 0 && actions->journalled &&
        wr_clock_boot_ns(actions->clock) < wr_clock_add_ns(job->alarm.decided_boot_ns, WR_ACTIONS_JOURNAL_WAIT_NS))
        return true;
    actions->unjournalled += !job->hurried;
    job->hurried = true;
    return false;
}

/* No uplink is configured, or a reload exchanges it just now: that is told apart by waiting. */
static bool awaits_uplink(struct wr_actions *actions) {
    const int64_t now_ns = wr_clock_boot_ns(actions->clock);
    if (actions->publish || wr_channel_is_closed(actions->transitions))
        return false;
    if (actions->no_uplink_since_boot_ns == 0)
        actions->no_uplink_since_boot_ns = now_ns;
    return now_ns - actions->no_uplink_since_boot_ns < NO_UPLINK_NS;
}

/* For how long the oldest of a target has to wait, and so all behind it; 0: it may go; WR_NEVER_NS: until a result comes. */
static int64_t held_up_ns(struct wr_actions *actions, const struct wr_action_target *target, struct wr_action_job *job) {
    if (job->spec.kind == WR_ACTION_EXEC && actions->programs >= WR_CHILDREN_MAX)
        return WR_NEVER_NS; /* one that ends makes room */
    if (job->spec.kind == WR_ACTION_EXEC && target->starting >= STARTS_OF_ONE)
        return WR_NEVER_NS;
    if (awaits_journal(actions, job))
        return JOURNAL_LOOK_NS;
    return job->spec.kind == WR_ACTION_MQTT && awaits_uplink(actions) ? PUT_OFF_NS : 0;
}

static void finish(struct wr_actions *actions, struct wr_action_target *target, struct wr_action_job *job,
                   const struct wr_action_end *end) {
    struct wr_action_counters *counters = &actions->kinds[job->spec.kind];
    const int64_t now_ns = wr_clock_boot_ns(actions->clock);
    switch (end->verdict) {
    case WR_ACTION_DONE:
        counters->done++;
        counters->queued--;
        wr_histogram_add(&counters->latency, now_ns - wr_clock_add_ns(job->alarm.decided_boot_ns, job->spec.after_ns));
        target->complained = false;
        wr_action_queue_remove(&target->queue, &job->turn);
        free(job);
        break;
    case WR_ACTION_PUT_OFF:
        wr_action_queue_again(&target->queue, &job->turn, now_ns + PUT_OFF_NS);
        break;
    case WR_ACTION_FAILED:
        if (wr_action_queue_failed(&target->queue, &job->turn, end->patience_ns, now_ns, wr_clock_random_u64(actions->clock))) {
            counters->retried++;
            if (!target->complained)
                WR_LOG_WITH(WR_LOG_WARN, "actions", "tried again later", WR_LOG_STR("to", target->name), WR_LOG_STR("error", end->why));
            target->complained = true;
            break;
        }
        counters->queued--;
        bury_job(actions, job, end->why);
        break;
    case WR_ACTION_REFUSED:
        counters->queued--;
        wr_action_queue_remove(&target->queue, &job->turn);
        bury_job(actions, job, end->why);
        break;
    }
}

/* The publish of this number; NULL: the uplink that had it is gone, and it was given to another one. */
static struct wr_action_job *published_job(const struct wr_action_target *target, uint64_t id) {
    struct wr_action_turn *turn = target ? target->queue.first : NULL;
    while (turn && (turn->state != WR_ACTION_RUNNING || wr_action_job_of(turn)->published != id))
        turn = turn->behind;
    return turn ? wr_action_job_of(turn) : NULL;
}

void wr_actions_take_result(struct wr_actions *actions, const struct wr_action_result *result) {
    struct wr_action_target *target = find(actions, result->job ? result->job->spec.target : "mqtt");
    struct wr_action_job *job = result->job ? result->job : published_job(target, result->published);
    if (!job || !target)
        return;
    actions->programs -= job->spec.kind == WR_ACTION_EXEC;
    actions->sending -= job->spec.kind == WR_ACTION_WEBHOOK || job->spec.kind == WR_ACTION_FILE;
    finish(actions, target, job, &result->end);
}

static void begin(struct wr_actions *actions, struct wr_action_target *target, struct wr_action_job *job) {
    struct wr_action_end end = {.verdict = WR_ACTION_DONE};
    wr_action_queue_begin(&target->queue, &job->turn);
    switch (job->spec.kind) {
    case WR_ACTION_EXEC:
        actions->programs++;
        wr_actions_execute(actions, target, job);
        break;
    case WR_ACTION_WEBHOOK:
    case WR_ACTION_FILE:
        actions->sending++;
        wr_actions_send(actions, target, job);
        break;
    case WR_ACTION_MQTT:
        if (!wr_actions_publish(actions, job, &end))
            finish(actions, target, job, &end);
        break;
    case WR_ACTION_LOG: /* one that had to wait: counted by the log itself */
        wr_actions_log(actions, &job->alarm);
        actions->kinds[WR_ACTION_LOG].queued--;
        wr_action_queue_remove(&target->queue, &job->turn);
        free(job);
        break;
    case WR_ACTION_KINDS:
        break;
    }
}

/* Begins what may begin for one target. Returns when to look again. */
static int64_t dispatch(struct wr_actions *actions, struct wr_action_target *target) {
    struct wr_action_turn *turn;
    while ((turn = wr_action_queue_next(&target->queue, wr_clock_boot_ns(actions->clock))) != NULL) {
        struct wr_action_job *job = wr_action_job_of(turn);
        const int64_t wait_ns = held_up_ns(actions, target, job);
        if (wait_ns != 0)
            return wr_clock_add_ns(wr_clock_boot_ns(actions->clock), wait_ns);
        begin(actions, target, job);
    }
    return wr_action_queue_due(&target->queue);
}

/* Another uplink knows nothing of what the former one had. */
static void publish_anew(struct wr_actions *actions) {
    struct wr_action_target *target = find(actions, "mqtt");
    for (struct wr_action_turn *turn = target ? target->queue.first : NULL; turn; turn = turn->behind)
        if (turn->state == WR_ACTION_RUNNING)
            wr_action_queue_again(&target->queue, turn, 0);
    actions->published_anew = false;
}

int64_t wr_actions_dispatch(struct wr_actions *actions) {
    int64_t due_ns = WR_NEVER_NS;
    if (actions->published_anew)
        publish_anew(actions);
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++) {
        if (!actions->targets[i].name || actions->targets[i].queue.n == 0)
            continue;
        const int64_t target_due_ns = dispatch(actions, &actions->targets[i]);
        due_ns = target_due_ns < due_ns ? target_due_ns : due_ns;
    }
    return due_ns;
}

/* -- the end --------------------------------------------------------------------------------------------------------------------------- */

/* What the uplink has, it has. */
static bool is_settled(const struct wr_action_turn *turn) {
    return turn->state == WR_ACTION_RUNNING && ((const struct wr_action_job *)turn)->spec.kind == WR_ACTION_MQTT;
}

bool wr_actions_are_idle(const struct wr_actions *actions) {
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++)
        for (const struct wr_action_turn *turn = actions->targets[i].queue.first; turn; turn = turn->behind)
            if (!is_settled(turn))
                return false;
    return true;
}

void wr_actions_give_up(struct wr_actions *actions) {
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++) {
        struct wr_action_queue *queue = &actions->targets[i].queue;
        for (struct wr_action_turn *turn; (turn = wr_action_queue_waiting(queue)) != NULL;) {
            actions->kinds[wr_action_job_of(turn)->spec.kind].queued--;
            wr_action_queue_remove(queue, turn);
            bury_job(actions, wr_action_job_of(turn), "the agent stops");
        }
        for (struct wr_action_turn *turn = queue->first; turn; turn = turn->behind) { /* freed with its target: it still may be in use */
            struct wr_action_job *job = wr_action_job_of(turn);
            if (!is_settled(turn))
                wr_actions_bury(actions, job->spec.kind, &job->alarm, job->address, turn->tried, "the agent stops in the middle of it");
        }
    }
}

void wr_actions_free_targets(struct wr_actions *actions) {
    for (unsigned i = 0; i < WR_ACTIONS_TARGETS; i++) {
        struct wr_action_queue *queue = &actions->targets[i].queue;
        while (queue->first) {
            struct wr_action_job *job = wr_action_job_of(queue->first);
            wr_action_queue_remove(queue, queue->first);
            free(job);
        }
        forget(&actions->targets[i]);
    }
}
