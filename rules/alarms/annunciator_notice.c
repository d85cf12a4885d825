/* What a group says: first after `wait`, then at most each `update`, again each `repeat` while something in it is not acknowledged; that a flood begins and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "rules/alarms/annunciator_private.h"

#define FORGET_NS (7 * 86400 * WR_NS_PER_S) /* a tuple in which nothing happens is kept so long */

static const struct wr_group *group_of(const struct wr_annunciator *annunciator, const struct wr_tuple *tuple) {
    return &annunciator->rules->groups[tuple->group];
}

/* When fewer than flood_end raises are left in the window: the flood_end-th newest leaves it then. */
static int64_t flood_over(const struct wr_group *group, const struct wr_tuple *tuple) {
    uint32_t back = group->flood_end;
    if (tuple->n_stamps < back)
        return 0;
    uint32_t at = (tuple->stamp + group->flood_start - back) % group->flood_start;
    return wr_clock_add_ns(tuple->stamps[at], group->flood_window_ns + 1);
}

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static bool is_at_rest(const struct wr_tuple *tuple) {
    return tuple->active == 0 && tuple->told == WR_ALARM_NORMAL && tuple->fresh == 0 && !tuple->flood && !tuple->flood_told;
}

/* When this cause is due; WR_NEVER_NS. */
static int64_t due_of(const struct wr_annunciator *annunciator, const struct wr_tuple *tuple, enum wr_alarm_cause cause) {
    if (cause == WR_ALARM_RULE_CHANGED)
        return tuple->group == WR_ANNUNCIATOR_NONE ? 0 : WR_NEVER_NS;
    if (tuple->group == WR_ANNUNCIATOR_NONE)
        return WR_NEVER_NS;
    const struct wr_group *group = group_of(annunciator, tuple);
    switch (cause) {
    case WR_ALARM_ESCALATED:
        return tuple->flood && !tuple->flood_told ? 0 : WR_NEVER_NS;
    case WR_ALARM_DEESCALATED:
        return !tuple->flood_told ? WR_NEVER_NS : tuple->flood ? flood_over(group, tuple) : 0;
    case WR_ALARM_RAISED:
        return tuple->fresh > 0 && !tuple->flood ? tuple->due_boot_ns : WR_NEVER_NS;
    case WR_ALARM_CLEARED:
        return tuple->active == 0 && tuple->fresh == 0 && tuple->told != WR_ALARM_NORMAL && !tuple->flood
                   ? wr_clock_add_ns(tuple->last_boot_ns, group->update_ns)
                   : WR_NEVER_NS;
    case WR_ALARM_REPEATED:
        return group->repeat_ns > 0 && tuple->unacked > 0 && tuple->told != WR_ALARM_NORMAL
                   ? wr_clock_add_ns(tuple->last_boot_ns, group->repeat_ns)
                   : WR_NEVER_NS;
    default:
        return WR_NEVER_NS;
    }
}

/* In the order in which they are told when several are due. */
static const enum wr_alarm_cause causes[] = {WR_ALARM_RULE_CHANGED, WR_ALARM_ESCALATED, WR_ALARM_DEESCALATED,
                                             WR_ALARM_RAISED,       WR_ALARM_CLEARED,   WR_ALARM_REPEATED};
#define CAUSES (sizeof causes / sizeof causes[0])

int64_t wr_notice_due(const struct wr_annunciator *annunciator, const struct wr_tuple *tuple) {
    int64_t due = is_at_rest(tuple) ? wr_clock_add_ns(tuple->idle_boot_ns, FORGET_NS) : WR_NEVER_NS;
    for (size_t i = 0; i < CAUSES; i++)
        due = sooner(due, due_of(annunciator, tuple, causes[i]));
    return due;
}

/* -- the entry --------------------------------------------------------------------------------------------------------------------------- */

static const char *plural(uint32_t n) {
    return n == 1 ? "" : "s";
}

static void put_message(const struct wr_group *group, const struct wr_tuple *tuple, enum wr_alarm_cause cause, char *into, size_t size) {
    char text[512], first[32], out[192] = "", fresh[224] = "";
    wr_clock_format(first, sizeof first, tuple->first_wall_ns);
    if (group && group->first_out && tuple->first[0] != '\0')
        snprintf(out, sizeof out, "; first out %s at %s", tuple->first, first);
    if (tuple->fresh > 0)
        snprintf(fresh, sizeof fresh, "; %u new%s%s", tuple->fresh, tuple->names[0] ? ": " : "", tuple->names);
    snprintf(text, sizeof text, "%s%u alarm%s active, %u not acknowledged%s%s",
             cause == WR_ALARM_ESCALATED || (tuple->flood && cause == WR_ALARM_REPEATED) ? "flood: " : "", tuple->active,
             plural(tuple->active), tuple->unacked, out, fresh);
    wr_utf8_copy(into, size, text);
}

static uint8_t state_after(const struct wr_tuple *tuple, enum wr_alarm_cause cause) {
    if (cause == WR_ALARM_CLEARED || cause == WR_ALARM_RULE_CHANGED)
        return WR_ALARM_NORMAL;
    return tuple->unacked > 0 || tuple->active == 0 ? WR_ALARM_UNACK : WR_ALARM_ACKED;
}

static void fill(const struct wr_annunciator *annunciator, struct wr_tuple *tuple, enum wr_alarm_cause cause, const struct wr_now *now,
                 struct wr_alarm_entry *entry) {
    struct wr_alarm *alarm = &entry->alarm;
    memset(entry, 0, sizeof *entry);
    memcpy(alarm->rule, tuple->name, sizeof alarm->rule);
    memcpy(alarm->instance, tuple->labels, sizeof alarm->instance);
    alarm->id = wr_alarm_id(tuple->name, tuple->labels);
    alarm->transition = ++tuple->transition;
    alarm->from = tuple->told;
    alarm->to = tuple->told = state_after(tuple, cause);
    alarm->cause = (uint8_t)cause;
    alarm->severity = tuple->severity;
    alarm->has_value = true;
    alarm->value = tuple->active;
    alarm->event_ns = alarm->wall_ns = now->wall_ns;
    alarm->decided_boot_ns = now->boot_ns;
    if (tuple->flood)
        snprintf(alarm->level, sizeof alarm->level, "flood");
    put_message(tuple->group == WR_ANNUNCIATOR_NONE ? NULL : group_of(annunciator, tuple), tuple, cause, alarm->message,
                sizeof alarm->message);
}

/* What is told is not new any more. */
static void settle(struct wr_tuple *tuple, enum wr_alarm_cause cause, const struct wr_now *now) {
    tuple->last_boot_ns = now->boot_ns;
    tuple->flood_told = tuple->flood;
    tuple->fresh = 0;
    tuple->names[0] = '\0';
    if (cause == WR_ALARM_CLEARED) {
        tuple->raises = 0;
        tuple->severity = 0;
        tuple->first[0] = '\0';
    }
}

static void drop(struct wr_annunciator *annunciator, struct wr_tuple *tuple) {
    wr_timer_disarm(&annunciator->tuple_timers, tuple->index);
    free(tuple->stamps);
    *tuple = (struct wr_tuple){.index = tuple->index};
}

bool wr_notice_timer(struct wr_annunciator *annunciator, uint32_t index, const struct wr_now *now, struct wr_alarm_out *out) {
    struct wr_tuple *tuple = annunciator->tuples[index];
    if (wr_notice_due(annunciator, tuple) <= now->boot_ns && !wr_alarm_out_has_room(out)) {
        wr_timer_arm(&annunciator->tuple_timers, index, now->boot_ns);
        return false;
    }
    for (size_t i = 0; i < CAUSES; i++) {
        enum wr_alarm_cause cause = causes[i];
        if (due_of(annunciator, tuple, cause) > now->boot_ns)
            continue;
        struct wr_alarm_entry *entry = &out->entries[out->n++];
        if (cause == WR_ALARM_DEESCALATED)
            tuple->flood = false;
        fill(annunciator, tuple, cause, now, entry);
        settle(tuple, cause, now);
        if (cause == WR_ALARM_RULE_CHANGED) {
            drop(annunciator, tuple); /* without a snapshot: forgotten */
            return true;
        }
        wr_group_encode(tuple, entry);
        wr_timer_arm(&annunciator->tuple_timers, index, wr_notice_due(annunciator, tuple));
        return true;
    }
    if (is_at_rest(tuple) && wr_clock_add_ns(tuple->idle_boot_ns, FORGET_NS) <= now->boot_ns) {
        struct wr_alarm_entry *entry = &out->entries[out->n++];
        fill(annunciator, tuple, WR_ALARM_CLEARED, now, entry);
        entry->alarm.transition = 0; /* no transition, no snapshot: only forgotten */
        drop(annunciator, tuple);
        return true;
    }
    wr_timer_arm(&annunciator->tuple_timers, index, wr_notice_due(annunciator, tuple));
    return true;
}
