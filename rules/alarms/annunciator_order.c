/* Operators: shelve, unshelve, out of service, return. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "rules/alarms/annunciator_private.h"

static struct wr_note *note_of(const struct wr_alarm_order *order, const struct wr_now *now) {
    struct wr_note *note = calloc(1, sizeof *note);
    if (!note)
        return NULL;
    note->since_wall_ns = now->wall_ns;
    wr_utf8_copy(note->by_whom, sizeof note->by_whom, order->by_whom);
    wr_utf8_copy(note->why, sizeof note->why, order->why);
    return note;
}

static char *duration(char *text, size_t size, int64_t ns) {
    int64_t s = ns / WR_NS_PER_S;
    if (s % 3600 == 0)
        snprintf(text, size, "%lldh", (long long)(s / 3600));
    else if (s % 60 == 0)
        snprintf(text, size, "%lldm", (long long)(s / 60));
    else
        snprintf(text, size, "%llds", (long long)s);
    return text;
}

static enum wr_result check_shelve(const struct wr_rule *rule, const struct wr_alarm_order *order, const struct wr_now *now,
                                   struct wr_error *err) {
    char most[32];
    int64_t for_ns = order->until_wall_ns - now->wall_ns;
    if (order->why[0] == '\0')
        return wr_error_set(err, WR_INVALID, "to shelve needs a reason");
    if (rule->shelve_max_ns == 0)
        return wr_error_set(err, WR_DENIED, "%s may not be shelved: its shelve_max is 0s, as of any critical alarm that gives none",
                            rule->name);
    if (for_ns <= 0)
        return wr_error_set(err, WR_INVALID, "to shelve needs a time that is still to come");
    if (for_ns > rule->shelve_max_ns)
        return wr_error_set(err, WR_DENIED, "%s may be shelved for %s at most", rule->name,
                            duration(most, sizeof most, rule->shelve_max_ns));
    return WR_OK;
}

/* Silences that an operator sets: the alarm leaves its group. */
static void silence(struct wr_annunciator *annunciator, struct wr_annunciated *record, uint8_t bit, const struct wr_now *now) {
    record->silent |= bit;
    record->ring = false;
    wr_group_follow(annunciator, record, wr_alarm_state_wants_ack((enum wr_alarm_state)record->state), now);
}

static void end(struct wr_annunciator *annunciator, struct wr_annunciated *record, uint8_t bit, struct wr_note **note, const char *labels,
                const struct wr_now *now) {
    wr_note_put(annunciator, note, NULL);
    wr_annunciated_end_silence(annunciator, record, bit, labels, now);
}

static struct wr_annunciated *record_of(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now) {
    struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    struct wr_annunciator_view view;
    if (record)
        return record;
    annunciator->host.look(annunciator->host.user, alarm, &view);
    record = wr_annunciated_make(annunciator, alarm, now);
    if (!record)
        return NULL;
    record->rule = view.rule;
    record->severity = view.severity;
    wr_annunciated_follow(annunciator, record, view.state, view.labels, now);
    record->heard = wr_annunciated_condition(record->state);
    return record;
}

/* The change itself, and the cause of its entry. */
static enum wr_alarm_cause change(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_alarm_order *order,
                                  struct wr_note *note, const char *labels, const struct wr_now *now) {
    switch (order->kind) {
    case WR_ALARM_ORDER_SHELVE:
        note->until_wall_ns = order->until_wall_ns;
        wr_note_put(annunciator, &record->shelved, note);
        record->shelved_until_boot_ns = wr_clock_add_ns(now->boot_ns, order->until_wall_ns - now->wall_ns);
        silence(annunciator, record, WR_ALARM_SILENT_SHELVED, now);
        return WR_ALARM_SHELVED;
    case WR_ALARM_ORDER_UNSHELVE:
        end(annunciator, record, WR_ALARM_SILENT_SHELVED, &record->shelved, labels, now);
        return WR_ALARM_UNSHELVED;
    case WR_ALARM_ORDER_OUT_OF_SERVICE:
        wr_note_put(annunciator, &record->out_of_service, note);
        silence(annunciator, record, WR_ALARM_SILENT_OUT_OF_SERVICE, now);
        return WR_ALARM_OUT_OF_SERVICE;
    default: /* WR_ALARM_ORDER_RETURN */
        end(annunciator, record, WR_ALARM_SILENT_OUT_OF_SERVICE, &record->out_of_service, labels, now);
        return WR_ALARM_RETURNED;
    }
}

static enum wr_result check(const struct wr_rule *rule, const struct wr_annunciated *record, const struct wr_alarm_order *order,
                            const struct wr_now *now, struct wr_error *err) {
    switch (order->kind) {
    case WR_ALARM_ORDER_SHELVE:
        return check_shelve(rule, order, now, err);
    case WR_ALARM_ORDER_UNSHELVE:
        return record && record->shelved ? WR_OK : wr_error_set(err, WR_INVALID, "%s is not shelved", rule->name);
    case WR_ALARM_ORDER_OUT_OF_SERVICE:
        if (order->why[0] == '\0')
            return wr_error_set(err, WR_INVALID, "to take out of service needs a reference: a work order, a permit");
        return record && record->out_of_service ? wr_error_set(err, WR_INVALID, "%s is out of service already", rule->name) : WR_OK;
    case WR_ALARM_ORDER_RETURN:
        return record && record->out_of_service ? WR_OK : wr_error_set(err, WR_INVALID, "%s is not out of service", rule->name);
    }
    return WR_OK;
}

enum wr_result wr_annunciator_order(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_alarm_order *order,
                                    const struct wr_now *now, struct wr_alarm_entry *entry, struct wr_error *err) {
    struct wr_annunciator_view view;
    annunciator->host.look(annunciator->host.user, alarm, &view);
    WR_TRY(check(annunciator->rules->rules[view.rule], wr_annunciated_find(annunciator, alarm), order, now, err));
    bool keeps = order->kind == WR_ALARM_ORDER_SHELVE || order->kind == WR_ALARM_ORDER_OUT_OF_SERVICE;
    if (keeps && annunciator->n_notes >= WR_ANNUNCIATOR_NOTES)
        return wr_error_set(err, WR_LIMIT, "%d alarms are shelved or out of service already", WR_ANNUNCIATOR_NOTES);
    struct wr_note *note = note_of(order, now);
    struct wr_annunciated *record = note ? record_of(annunciator, alarm, now) : NULL;
    if (!record) {
        free(note);
        return wr_error_set(err, WR_NO_MEMORY, "no memory to remember that");
    }
    if (order->key != 0)
        record->key = order->key;
    struct wr_note said = *note;
    enum wr_alarm_cause cause = change(annunciator, record, order, note, view.labels, now);
    said.until_wall_ns = cause == WR_ALARM_SHELVED ? order->until_wall_ns : 0;
    if (!keeps)
        free(note);
    wr_annunciated_tell(annunciator, record, cause, 0, &said, now, entry);
    wr_annunciated_arm(annunciator, record, now);
    return WR_OK;
}

bool wr_annunciator_holds(const struct wr_annunciator *annunciator, uint32_t alarm) {
    const struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    return record && (record->shelved || record->out_of_service);
}

void wr_annunciator_show(const struct wr_annunciator *annunciator, uint32_t alarm, struct wr_alarm *into) {
    const struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    if (!record)
        return;
    const struct wr_note *note = record->out_of_service ? record->out_of_service : record->shelved;
    into->silent |= record->silent;
    if (record->shelved)
        into->until_wall_ns = record->shelved->until_wall_ns;
    if (!note)
        return;
    memcpy(into->by_whom, note->by_whom, sizeof into->by_whom);
    memcpy(into->why, note->why, sizeof into->why);
}

bool wr_annunciator_has_key(const struct wr_annunciator *annunciator, uint32_t alarm, uint64_t key) {
    const struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    return key != 0 && record && record->key == key;
}

void wr_annunciator_set_key(struct wr_annunciator *annunciator, uint32_t alarm, uint64_t key, const struct wr_now *now) {
    struct wr_annunciated *record = record_of(annunciator, alarm, now);
    if (!record)
        return; /* said twice it is done twice */
    record->key = key;
    record->touched_boot_ns = now->boot_ns;
    wr_annunciated_arm(annunciator, record, now);
}
