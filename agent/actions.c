#include "agent/actions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/actions_private.h"
#include "core/log.h"
#include "core/thread.h"
#include "rules/template.h"

#define PENDING_LOOK_NS (2 * WR_NS_PER_MS)

enum wr_result wr_actions_init(struct wr_actions *actions, struct wr_error *err) {
    const struct wr_channel_options options = {.name = "engine to actions",
                                               .capacity = WR_ACTIONS_CAPACITY,
                                               .element_bytes = sizeof(struct wr_alarm_entry),
                                               .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_channel_new(&options, &actions->transitions, err));
    actions->pending = calloc(WR_ACTIONS_PENDING, sizeof *actions->pending);
    if (!actions->pending) {
        wr_channel_free(actions->transitions);
        actions->transitions = NULL;
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the actions");
    }
    wr_children_init(&actions->children);
    pthread_mutex_init(&actions->lock, NULL);
    return WR_OK;
}

size_t wr_actions_bytes(void) {
    return WR_ACTIONS_CAPACITY * sizeof(struct wr_alarm_entry) + WR_ACTIONS_PENDING * sizeof(struct wr_actions_pending) +
           wr_actions_execute_bytes();
}

void wr_actions_fini(struct wr_actions *actions) {
    if (!actions->transitions)
        return;
    wr_pool_free(actions->starters);
    wr_children_fini(&actions->children);
    wr_channel_free(actions->transitions);
    actions->transitions = NULL;
    free(actions->pending);
    pthread_mutex_destroy(&actions->lock);
}

void wr_actions_use(struct wr_actions *actions, struct wr_ruleset *rules) {
    pthread_mutex_lock(&actions->lock);
    actions->rules = rules;
    pthread_mutex_unlock(&actions->lock);
}

void wr_actions_publish_to(struct wr_actions *actions, struct wr_channel *publish) {
    pthread_mutex_lock(&actions->lock);
    actions->publish = publish;
    pthread_mutex_unlock(&actions->lock);
}

/* -- log ------------------------------------------------------------------------------------------------------------------------------- */

static void log_alarm(struct wr_actions *actions, const struct wr_alarm *alarm) {
    char name[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 2];
    wr_alarm_display(name, sizeof name, alarm);
    struct wr_log_value values[12];
    size_t n = 0;
    values[n++] = WR_LOG_STR("alarm", name);
    values[n++] = WR_LOG_STR("cause", wr_alarm_cause_name(alarm->cause));
    values[n++] = WR_LOG_STR("state", wr_alarm_state_name(alarm->to));
    values[n++] = WR_LOG_STR("severity", wr_severity_name(alarm->severity));
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
    values[n++] = WR_LOG_INT("event_ns", alarm->event_ns);
    values[n++] = WR_LOG_INT("acted_ns", wr_clock_wall_ns(actions->clock));
    if (alarm->arrival_boot_ns)
        values[n++] = WR_LOG_INT("latency_us", (wr_clock_boot_ns(actions->clock) - alarm->arrival_boot_ns) / WR_NS_PER_US);
    /* No call site: an alarm is never held back by the log's rate limit; chattering is the evaluator's business. */
    wr_log_write(NULL, WR_LOG_INFO, "alarm", "alarm", values, n);
    actions->logged++;
}

/* -- mqtt ------------------------------------------------------------------------------------------------------------------------------ */

static void publish_failed(struct wr_actions *actions, const struct wr_alarm *alarm, const char *why) {
    actions->failed++;
    WR_LOG_WITH(WR_LOG_ERROR, "actions", "alarm not published", WR_LOG_STR("rule", alarm->rule), WR_LOG_STR("error", why));
}

static void publish(struct wr_actions *actions, struct wr_actions_pending *pending) {
    struct wr_uplink_direct direct = {
        .id = ++actions->direct_id, .qos = pending->qos, .retained = pending->retain, .repeat = pending->alarm.cause == WR_ALARM_REPEATED};
    struct wr_buf payload;
    wr_buf_init(&payload, 16384);
    memcpy(direct.topic, pending->topic, sizeof direct.topic);
    if (wr_alarm_to_json(&pending->alarm, &payload) != WR_OK) {
        publish_failed(actions, &pending->alarm, "no memory");
    } else if (!actions->publish) {
        publish_failed(actions, &pending->alarm, "no uplink is configured");
    } else {
        direct.payload = wr_buf_steal(&payload, &direct.payload_len);
        if (wr_channel_try_send(actions->publish, &direct) == WR_OK) {
            actions->published++;
        } else {
            free(direct.payload);
            publish_failed(actions, &pending->alarm, "too many publishes wait for the uplink");
        }
    }
    wr_buf_fini(&payload);
}

/* Publishes what is journalled by now, and what has waited long enough. */
static void publish_pending(struct wr_actions *actions) {
    int64_t boot_ns = wr_clock_boot_ns(actions->clock);
    unsigned kept = 0;
    for (unsigned i = 0; i < actions->n_pending; i++) {
        struct wr_actions_pending *pending = &actions->pending[i];
        bool journalled = pending->number != 0 && actions->journalled && actions->journalled(actions->journalled_user, pending->number);
        bool given_up = pending->number == 0 || !actions->journalled || boot_ns >= pending->deadline_boot_ns;
        if (!journalled && !given_up) {
            actions->pending[kept++] = *pending;
            continue;
        }
        pending->alarm.journalled = journalled;
        if (!journalled)
            actions->unjournalled++;
        publish(actions, pending);
    }
    actions->n_pending = kept;
}

static void plan_publish(struct wr_actions *actions, const struct wr_action_spec *action, const struct wr_alarm_entry *entry) {
    struct wr_actions_pending pending = {.alarm = entry->alarm, .number = entry->number, .qos = action->qos, .retain = action->retain};
    pending.deadline_boot_ns = entry->alarm.decided_boot_ns + WR_ACTIONS_JOURNAL_WAIT_NS;
    if (wr_template_topic(action->topic, &entry->alarm, actions->node, actions->site, pending.topic, sizeof pending.topic) != WR_OK) {
        publish_failed(actions, &entry->alarm, "the topic is too long");
        return;
    }
    if (actions->n_pending == WR_ACTIONS_PENDING) {
        publish(actions, &actions->pending[0]);
        actions->unjournalled++;
        actions->n_pending--;
        memmove(actions->pending, actions->pending + 1, actions->n_pending * sizeof pending);
    }
    actions->pending[actions->n_pending++] = pending;
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------------ */

static bool logged_by_default(enum wr_alarm_cause cause) {
    return cause == WR_ALARM_RAISED || cause == WR_ALARM_CLEARED || cause == WR_ALARM_ACKNOWLEDGED || cause == WR_ALARM_ESCALATED;
}

static void act(struct wr_actions *actions, const struct wr_alarm_entry *entry) {
    const struct wr_alarm *alarm = &entry->alarm;
    if (alarm->historic)
        return;
    if (alarm->arrival_boot_ns)
        wr_histogram_add(&actions->latency, wr_clock_boot_ns(actions->clock) - alarm->arrival_boot_ns);
    uint32_t rule = actions->rules ? wr_ruleset_find(actions->rules, alarm->rule) : UINT32_MAX;
    uint32_t n = 0;
    const struct wr_action_spec *list = rule == UINT32_MAX ? NULL : wr_ruleset_actions(actions->rules, rule, &n);
    if (n == 0 && logged_by_default(alarm->cause))
        log_alarm(actions, alarm);
    for (uint32_t i = 0; i < n; i++) {
        if (!wr_action_wants(&list[i], alarm->cause))
            continue;
        switch (list[i].kind) {
        case WR_ACTION_LOG:
            log_alarm(actions, alarm);
            break;
        case WR_ACTION_EXEC:
            wr_actions_execute(actions, &list[i], alarm);
            break;
        case WR_ACTION_MQTT:
            plan_publish(actions, &list[i], entry);
            break;
        }
    }
}

static void show_children(struct wr_actions *actions) {
    pthread_mutex_lock(&actions->children.lock);
    actions->programs_started = actions->children.started;
    actions->programs_failed = actions->children.failed;
    actions->programs_killed = actions->children.killed;
    pthread_mutex_unlock(&actions->children.lock);
}

/* Returns when to look again. */
static int64_t look_after_children(struct wr_actions *actions) {
    const bool starting = atomic_load(&actions->starting) > 0; /* before the look: one that is started in between is seen by it */
    const int64_t now_ns = wr_clock_boot_ns(actions->clock);
    const int64_t again_ns = wr_children_look(&actions->children, now_ns);
    show_children(actions);
    return starting ? now_ns + WR_CHILDREN_LOOK_NS : again_ns;
}

static void *run(void *user) {
    struct wr_actions *actions = user;
    wr_thread_name("weir-actions");
    struct wr_alarm_entry entry;
    for (int64_t look = WR_NEVER_NS;;) {
        int64_t deadline = look;
        if (actions->n_pending > 0 && deadline > wr_clock_boot_ns(actions->clock) + PENDING_LOOK_NS)
            deadline = wr_clock_boot_ns(actions->clock) + PENDING_LOOK_NS;
        enum wr_result received = wr_channel_recv(actions->transitions, &entry, deadline);
        pthread_mutex_lock(&actions->lock);
        if (received == WR_OK)
            act(actions, &entry);
        publish_pending(actions);
        pthread_mutex_unlock(&actions->lock);
        look = look_after_children(actions);
        if (received == WR_CLOSED && actions->n_pending == 0)
            return NULL;
    }
}

enum wr_result wr_actions_start(struct wr_actions *actions, struct wr_error *err) {
    return wr_thread_start(&actions->thread, run, actions, "actions", err);
}

enum wr_result wr_actions_stop(struct wr_actions *actions, int64_t deadline_boot_ns) {
    wr_channel_close(actions->transitions);
    WR_TRY(wr_thread_join(actions->thread, deadline_boot_ns));
    struct wr_error err = {0};
    if (actions->starters && wr_pool_stop(actions->starters, deadline_boot_ns, deadline_boot_ns, &err) != WR_OK) {
        WR_LOG_WITH(WR_LOG_ERROR, "actions", "a program is still being started", WR_LOG_ERR(&err));
        return WR_TIMEOUT;
    }
    show_children(actions);
    return WR_OK;
}
