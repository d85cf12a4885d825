/* Snapshots and operators: an alarm's state out, back in after a restart, and changed by a command. */
#include <stdio.h>
#include <string.h>

#include "rules/evaluator_private.h"

/* The bytes of a snapshot: the struct, the rule's name, the instance, both with their NUL: the store keeps nothing else of an alarm. Opaque to
 * everybody else. A new version gets a new number, an old one is read or refused. */
#define SNAP_VERSION 2

struct snap {
    uint8_t version;
    uint8_t state;
    uint8_t delay;
    uint8_t condition;
    uint8_t no_data;
    uint8_t level;
    uint8_t historic;
    uint8_t untold;     /* the condition was changed by old data, which has not been told */
    int64_t elapsed_ns; /* of the delay */
    int64_t true_ns;    /* how long the condition has been true */
    int64_t changed_wall_ns;
    uint64_t transition;
};
_Static_assert(sizeof(struct snap) + WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES <= WR_ALARM_SNAP_BYTES, "a snapshot fits its entry");

/* Appends a text with its NUL, cut to size. */
static void put_text(struct wr_alarm_entry *entry, const char *text, size_t size) {
    size_t len = strnlen(text, size - 1);
    memcpy(entry->snap + entry->snap_len, text, len);
    entry->snap[entry->snap_len + len] = 0;
    entry->snap_len = (uint16_t)(entry->snap_len + len + 1);
}

void wr_instance_encode(const struct wr_evaluator *evaluator, const struct wr_instance *instance, struct wr_alarm_entry *entry) {
    struct snap snap;
    memset(&snap, 0, sizeof snap);
    snap.version = SNAP_VERSION;
    snap.state = instance->state;
    snap.delay = instance->delay;
    snap.condition = instance->condition;
    snap.no_data = instance->no_data;
    snap.level = instance->level;
    snap.historic = instance->historic;
    snap.untold = instance->told != instance->condition;
    snap.elapsed_ns = instance->delay == WR_DELAY_NONE ? 0 : wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns);
    snap.true_ns = evaluator->at.boot_ns - instance->true_boot_ns;
    snap.changed_wall_ns = instance->changed_wall_ns;
    snap.transition = instance->transition;
    memcpy(entry->snap, &snap, sizeof snap);
    entry->snap_len = sizeof snap;
    put_text(entry, wr_instance_rule(evaluator, instance)->name, WR_ALARM_NAME_BYTES);
    put_text(entry, instance->text, WR_ALARM_INSTANCE_BYTES);
}

static bool is_time(int64_t ns) {
    return ns >= -WR_EVALUATOR_TIME_MAX_NS && ns <= WR_EVALUATOR_TIME_MAX_NS;
}

/* The text at *at, which moves behind its NUL; NULL: it does not end in the snapshot, or is longer than size. */
static const char *take_text(const struct wr_alarm_entry *entry, size_t *at, size_t size) {
    const char *text = (const char *)entry->snap + *at;
    const char *nul = memchr(text, 0, entry->snap_len - *at);
    if (!nul || (size_t)(nul - text) >= size)
        return NULL;
    *at += (size_t)(nul - text) + 1;
    return text;
}

static bool decode(const struct wr_alarm_entry *entry, struct snap *ret_snap, const char **ret_rule, const char **ret_instance) {
    size_t at = sizeof *ret_snap;
    if (entry->snap_len < at || entry->snap_len > sizeof entry->snap)
        return false;
    memcpy(ret_snap, entry->snap, at);
    *ret_rule = take_text(entry, &at, WR_ALARM_NAME_BYTES);
    *ret_instance = *ret_rule ? take_text(entry, &at, WR_ALARM_INSTANCE_BYTES) : NULL;
    if (!*ret_instance || at != entry->snap_len)
        return false;
    return ret_snap->version == SNAP_VERSION && ret_snap->delay <= WR_DELAY_OFF && ret_snap->condition <= 1 && ret_snap->untold <= 1 &&
           wr_alarm_state_is_valid((enum wr_alarm_state)ret_snap->state, ret_snap->condition) && is_time(ret_snap->elapsed_ns) &&
           is_time(ret_snap->true_ns) && (ret_snap->state != WR_ALARM_PENDING || ret_snap->delay == WR_DELAY_ON) &&
           (ret_snap->state != WR_ALARM_NORMAL || ret_snap->delay != WR_DELAY_ON) &&
           (ret_snap->delay != WR_DELAY_ON || !ret_snap->condition) && (ret_snap->delay != WR_DELAY_OFF || ret_snap->condition);
}

enum wr_result wr_evaluator_restore(struct wr_evaluator *evaluator, const struct wr_alarm_entry *entry, const struct wr_now *now) {
    struct snap snap;
    uint32_t index;
    const char *name;
    const char *text;
    if (wr_node_is_snapshot(entry))
        return wr_node_restore(evaluator, entry, now);
    if (!decode(entry, &snap, &name, &text))
        return WR_CORRUPT;
    uint32_t rule = wr_ruleset_find(evaluator->rules, name);
    if (rule == UINT32_MAX || !wr_evaluator_text_fits(evaluator->rules->rules[rule], text))
        return WR_NOT_FOUND;
    WR_TRY(wr_evaluator_instance(evaluator, rule, text, now->boot_ns, &index));
    struct wr_instance *instance = &evaluator->instances[index];
    wr_instance_set_state(evaluator, instance, (enum wr_alarm_state)snap.state);
    instance->condition = snap.condition;
    instance->delay = snap.delay;
    instance->frozen = snap.delay != WR_DELAY_NONE; /* downtime is unknown: neither true nor false */
    instance->since_ns = snap.elapsed_ns;
    instance->true_boot_ns = now->boot_ns - snap.true_ns;
    instance->changed_wall_ns = snap.changed_wall_ns;
    instance->no_data = snap.no_data != 0;
    instance->level = snap.level <= evaluator->rules->rules[rule]->n_levels ? snap.level : 0;
    instance->historic = snap.historic != 0;
    instance->told = snap.condition != snap.untold;
    instance->unknown = true;
    instance->transition = snap.transition;
    const struct wr_trigger kept = evaluator->at;
    wr_evaluator_set_now(evaluator, now);
    wr_instance_settle(evaluator, instance);
    evaluator->at = kept;
    for (uint32_t i = 0; i < evaluator->rules->rules[rule]->n_operands; i++) {
        struct wr_signal *series = wr_instance_signal(evaluator, instance, i);
        if (series) {
            series->fresh = true; /* the next sample decides */
            wr_evaluator_refresh_band(evaluator, instance->signals[i]);
        }
    }
    return WR_OK;
}

static bool next(const struct wr_evaluator *evaluator, uint32_t *cursor, bool normal_too, struct wr_alarm_entry *ret_entry) {
    while (*cursor < evaluator->n_instances) {
        const struct wr_instance *instance = &evaluator->instances[(*cursor)++];
        if (instance->rule == WR_INSTANCE_NONE)
            continue;
        if (wr_instance_rule(evaluator, instance)->kind != WR_RULE_ALARM) {
            if (normal_too &&
                wr_node_encode((struct wr_evaluator *)(uintptr_t)evaluator, (struct wr_instance *)(uintptr_t)instance, ret_entry))
                return true;
            continue;
        }
        if (instance->state == WR_ALARM_NORMAL && (!normal_too || instance->transition == 0))
            continue;
        /* Looking changes nothing but what windows have forgotten. */
        wr_instance_fill((struct wr_evaluator *)(uintptr_t)evaluator, instance, (enum wr_alarm_state)instance->state,
                         (enum wr_alarm_cause)0, ret_entry);
        wr_instance_encode(evaluator, instance, ret_entry);
        ret_entry->alarm.event_ns = ret_entry->alarm.wall_ns = instance->changed_wall_ns;
        ret_entry->alarm.arrival_boot_ns = 0;
        return true;
    }
    return false;
}

bool wr_evaluator_next_alarm(const struct wr_evaluator *evaluator, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    return next(evaluator, cursor, false, ret_entry);
}

bool wr_evaluator_next_snapshot(const struct wr_evaluator *evaluator, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    return next(evaluator, cursor, true, ret_entry);
}

/* `rule`, or `rule{room=A1}`: read as a selector over the labels of `by`. */
static bool alarm_matches(const struct wr_selector *selector, const struct wr_instance *instance) {
    for (size_t i = 0; i < selector->n_matches; i++) {
        const struct wr_selector_match *match = &selector->matches[i];
        char value[WR_ALARM_INSTANCE_BYTES];
        bool has = wr_template_label(instance->text, match->tag, value, sizeof value);
        bool glob = match->op == WR_SELECTOR_GLOB || match->op == WR_SELECTOR_NOT_GLOB;
        bool equal = has && (glob ? wr_glob_match(match->word, value) : strcmp(value, match->word) == 0);
        if (equal != (match->op == WR_SELECTOR_EQUAL || match->op == WR_SELECTOR_GLOB))
            return false;
    }
    return true;
}

static bool would_take(const struct wr_rule *rule, const struct wr_instance *instance, enum wr_alarm_event event) {
    struct wr_alarm_step step;
    return wr_alarm_state_step((enum wr_alarm_state)instance->state, event, rule->latch, rule->auto_ack, &step);
}

enum wr_result wr_evaluator_command(struct wr_evaluator *evaluator, enum wr_alarm_command_kind kind, const char *alarm, const char *by_whom,
                                    const struct wr_now *now, struct wr_alarm_out *out, uint32_t *ret_n, struct wr_error *err) {
    enum wr_alarm_event event = kind == WR_ALARM_COMMAND_ACK ? WR_ALARM_EVENT_ACK : WR_ALARM_EVENT_RESET;
    struct wr_selector selector;
    WR_TRY(wr_selector_parse(alarm, strlen(alarm), &selector, NULL, err));
    uint32_t rule_index = wr_ruleset_find(evaluator->rules, selector.name);
    if (rule_index == UINT32_MAX)
        return wr_error_set(err, WR_NOT_FOUND, "there is no rule '%.63s'", selector.name);
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    uint32_t found = 0;
    uint32_t changed = 0;
    const char *state = "normal";
    wr_evaluator_set_now(evaluator, now);
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        struct wr_instance *instance = &evaluator->instances[i];
        if (instance->rule != rule_index || !alarm_matches(&selector, instance))
            continue;
        found++;
        if (!would_take(wr_instance_rule(evaluator, instance), instance, event)) {
            state = wr_alarm_state_name((enum wr_alarm_state)instance->state);
            continue;
        }
        *ret_n = changed;
        if (out->n >= out->cap)
            return wr_error_set(err, WR_FULL, "more alarms than there is room for: call again");
        changed += wr_instance_command(evaluator, instance, event, by_whom, out);
    }
    *ret_n = changed;
    if (found == 0)
        return wr_error_set(err, WR_NOT_FOUND, "there is no alarm %.191s", alarm);
    if (changed == 0)
        return wr_error_set(err, WR_INVALID, "%.191s is %s: nothing to %s", alarm, state,
                            kind == WR_ALARM_COMMAND_ACK ? "acknowledge" : "reset");
    return WR_OK;
}
