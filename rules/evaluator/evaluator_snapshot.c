/* Snapshots: an alarm's state out, and back in after a restart; with it what the annunciator knows, groups, and the answers to commands. */
#include <stdio.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* The bytes of a snapshot: the struct, the rule's name, the instance, both with their NUL, then the annunciator's part up to the end: the store keeps
 * nothing else of an alarm. Opaque to everybody else. A new version gets a new number, an old one is read or refused. */
#define SNAP_VERSION 3
#define SNAP_VERSION_OLD 2 /* without the annunciator's part */
#define UNTOLD 1           /* the condition was changed by old data, which has not been told */
#define INVALID 2          /* its valid_if is not true */

struct snap {
    uint8_t version;
    uint8_t state;
    uint8_t delay;
    uint8_t condition;
    uint8_t no_data;
    uint8_t level;
    uint8_t historic;
    uint8_t flags;      /* UNTOLD, INVALID */
    int64_t elapsed_ns; /* of the delay */
    int64_t true_ns;    /* how long the condition has been true */
    int64_t changed_wall_ns;
    uint64_t transition;
};
_Static_assert(sizeof(struct snap) + WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + WR_ANNUNCIATOR_PART_BYTES <= WR_ALARM_SNAP_BYTES,
               "a snapshot fits its entry");

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
    snap.flags = (uint8_t)((instance->told != instance->condition ? UNTOLD : 0) | (instance->invalid ? INVALID : 0));
    snap.elapsed_ns = instance->delay == WR_DELAY_NONE ? 0 : wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns);
    snap.true_ns = evaluator->at.boot_ns - instance->true_boot_ns;
    snap.changed_wall_ns = instance->changed_wall_ns;
    snap.transition = instance->transition;
    memcpy(entry->snap, &snap, sizeof snap);
    entry->snap_len = sizeof snap;
    put_text(entry, wr_instance_rule(evaluator, instance)->name, WR_ALARM_NAME_BYTES);
    put_text(entry, instance->text, WR_ALARM_INSTANCE_BYTES);
    uint8_t *part = entry->snap + entry->snap_len;
    entry->snap_len =
        (uint16_t)(entry->snap_len +
                   wr_annunciator_encode(evaluator->annunciator, (uint32_t)(instance - evaluator->instances), &evaluator->at.now, part));
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

/* *ret_part: where the annunciator's part begins. */
static bool decode(const struct wr_alarm_entry *entry, struct snap *ret_snap, const char **ret_rule, const char **ret_instance,
                   size_t *ret_part) {
    size_t at = sizeof *ret_snap;
    if (entry->snap_len < at || entry->snap_len > sizeof entry->snap)
        return false;
    memcpy(ret_snap, entry->snap, at);
    *ret_rule = take_text(entry, &at, WR_ALARM_NAME_BYTES);
    *ret_instance = *ret_rule ? take_text(entry, &at, WR_ALARM_INSTANCE_BYTES) : NULL;
    if (!*ret_instance || (at != entry->snap_len && ret_snap->version != SNAP_VERSION))
        return false;
    *ret_part = at;
    return (ret_snap->version == SNAP_VERSION || ret_snap->version == SNAP_VERSION_OLD) && ret_snap->delay <= WR_DELAY_OFF &&
           ret_snap->condition <= 1 && (ret_snap->flags & ~(UNTOLD | INVALID)) == 0 &&
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
    size_t part;
    if (wr_annunciator_is_group_snapshot(entry))
        return wr_annunciator_restore_group(evaluator->annunciator, entry, now);
    if (wr_command_log_is_snapshot(entry))
        return wr_command_log_restore(&evaluator->commands, entry);
    if (wr_node_is_snapshot(entry))
        return wr_node_restore(evaluator, entry, now);
    if (!decode(entry, &snap, &name, &text, &part))
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
    instance->told = snap.condition != ((snap.flags & UNTOLD) != 0);
    instance->invalid = (snap.flags & INVALID) != 0;
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
    return wr_annunciator_restore(evaluator->annunciator, index, entry->snap + part, entry->snap_len - part, now);
}

enum wr_result wr_evaluator_restore_late(struct wr_evaluator *evaluator, const struct wr_alarm_entry *entry, const struct wr_now *now) {
    struct snap snap;
    const char *name;
    const char *text;
    size_t part;
    if (wr_annunciator_is_group_snapshot(entry) || wr_command_log_is_snapshot(entry) || wr_node_is_snapshot(entry))
        return WR_EXISTS;
    if (!decode(entry, &snap, &name, &text, &part))
        return WR_CORRUPT;
    const uint32_t rule = wr_ruleset_find(evaluator->rules, name);
    const uint32_t known = rule == UINT32_MAX ? WR_INSTANCE_NONE : wr_evaluator_find(evaluator, rule, text);
    if (known != WR_INSTANCE_NONE &&
        (evaluator->instances[known].state != WR_ALARM_NORMAL || evaluator->instances[known].changed_wall_ns != 0))
        return WR_EXISTS;
    return wr_evaluator_restore(evaluator, entry, now);
}

/* -- walking -------------------------------------------------------------------------------------------------------------------------------- */

static bool is_alarm(const struct wr_evaluator *evaluator, uint32_t index) {
    const struct wr_instance *instance = &evaluator->instances[index];
    return instance->rule != WR_INSTANCE_NONE && wr_instance_rule(evaluator, instance)->kind == WR_RULE_ALARM;
}

static bool is_known(const struct wr_evaluator *evaluator, uint32_t index, bool normal_too) {
    const struct wr_instance *instance = &evaluator->instances[index];
    return instance->state != WR_ALARM_NORMAL || (normal_too && instance->transition > 0) ||
           wr_annunciator_holds(evaluator->annunciator, index);
}

/* Looking changes nothing but what windows have forgotten. */
static void show(const struct wr_evaluator *evaluator, uint32_t index, struct wr_alarm_entry *entry) {
    const struct wr_instance *instance = &evaluator->instances[index];
    wr_instance_fill((struct wr_evaluator *)(uintptr_t)evaluator, instance, (enum wr_alarm_state)instance->state, (enum wr_alarm_cause)0,
                     entry);
    wr_annunciator_show(evaluator->annunciator, index, &entry->alarm);
    entry->alarm.event_ns = entry->alarm.wall_ns = instance->changed_wall_ns;
    entry->alarm.arrival_boot_ns = 0;
}

enum wr_evaluator_look wr_evaluator_look_alarm(const struct wr_evaluator *evaluator, bool normal_too, const struct wr_selector *selector,
                                               uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    if (*cursor >= evaluator->n_instances)
        return WR_EVALUATOR_END;
    const uint32_t index = (*cursor)++;
    const struct wr_instance *instance = &evaluator->instances[index];
    if (!is_alarm(evaluator, index) || !is_known(evaluator, index, normal_too) ||
        (selector && !wr_evaluator_selects(selector, wr_instance_rule(evaluator, instance)->name, instance->text)))
        return WR_EVALUATOR_PASSED;
    show(evaluator, index, ret_entry);
    return WR_EVALUATOR_ALARM;
}

bool wr_evaluator_next_alarm(const struct wr_evaluator *evaluator, bool normal_too, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    enum wr_evaluator_look look;
    do
        look = wr_evaluator_look_alarm(evaluator, normal_too, NULL, cursor, ret_entry);
    while (look == WR_EVALUATOR_PASSED);
    return look == WR_EVALUATOR_ALARM;
}

static bool next_instance(const struct wr_evaluator *evaluator, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    while (*cursor < evaluator->n_instances) {
        const uint32_t index = (*cursor)++;
        struct wr_instance *instance = &((struct wr_evaluator *)(uintptr_t)evaluator)->instances[index];
        if (instance->rule == WR_INSTANCE_NONE)
            continue;
        if (!is_alarm(evaluator, index)) {
            if (wr_node_encode((struct wr_evaluator *)(uintptr_t)evaluator, instance, ret_entry))
                return true;
        } else if (is_known(evaluator, index, true)) {
            show(evaluator, index, ret_entry);
            wr_instance_encode(evaluator, instance, ret_entry);
            return true;
        }
    }
    return false;
}

#define GROUPS_FROM (UINT32_C(1) << 30) /* cursors from here on walk the groups, and from the other on the answers to commands */
#define COMMANDS_FROM (UINT32_C(1) << 31)

bool wr_evaluator_next_snapshot(const struct wr_evaluator *evaluator, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    if (*cursor < GROUPS_FROM) {
        if (next_instance(evaluator, cursor, ret_entry))
            return true;
        *cursor = GROUPS_FROM;
    }
    if (*cursor < COMMANDS_FROM) {
        uint32_t group = *cursor - GROUPS_FROM;
        bool found = wr_annunciator_next_snapshot(evaluator->annunciator, &group, ret_entry);
        *cursor = found ? GROUPS_FROM + group : COMMANDS_FROM;
        if (found)
            return true;
    }
    uint32_t command = *cursor - COMMANDS_FROM;
    bool found = wr_command_log_next_snapshot(&evaluator->commands, &command, ret_entry);
    *cursor = COMMANDS_FROM + command;
    return found;
}
