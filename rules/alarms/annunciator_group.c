/* Groups: which alarms belong together, and whether there are too many of them. An alarm belongs to the first group all of whose labels it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/alarms/annunciator_private.h"
#include "rules/language/label.h"

void wr_group_fini(struct wr_annunciator *annunciator) {
    for (uint32_t i = 0; i < annunciator->n_tuples; i++) {
        free(annunciator->tuples[i]->stamps);
        free(annunciator->tuples[i]);
    }
    free(annunciator->tuples);
    wr_timer_fini(&annunciator->tuple_timers);
}

uint32_t wr_group_find(const struct wr_ruleset *rules, const char *name) {
    for (uint32_t i = 0; i < rules->n_groups; i++)
        if (strcmp(rules->groups[i].name, name) == 0)
            return i;
    return WR_ANNUNCIATOR_NONE;
}

/* -- tuples ------------------------------------------------------------------------------------------------------------------------------ */

/* Appends "line=1" as an instance has it: with a backslash before what would end a value. False: it does not fit. */
static bool put_label(char *into, size_t size, size_t *len, const char *label, const char *value) {
    size_t at = *len;
    int head = snprintf(into + at, size - at, "%s%s=", at > 0 ? "," : "", label);
    if (head < 0 || (size_t)head >= size - at)
        return false;
    at += (size_t)head;
    for (const char *c = value; *c; c++) {
        if (size - at < 3)
            return false;
        if (strchr(",=\\", *c))
            into[at++] = '\\';
        into[at++] = *c;
    }
    into[at] = '\0';
    *len = at;
    return true;
}

/* The labels of the group; false: one is missing. What is the same for the whole agent is left out. */
static bool labels_of(const struct wr_ruleset *rules, const struct wr_group *group, const char *labels, char *into, size_t size) {
    size_t len = 0;
    into[0] = '\0';
    for (uint32_t i = 0; i < group->n_by; i++) {
        char value[WR_ALARM_INSTANCE_BYTES];
        if (!wr_label_find(rules, labels, group->by[i], value, sizeof value))
            return false;
        if (value[0] != '\0' && !put_label(into, size, &len, group->by[i], value))
            return false;
    }
    return true;
}

static struct wr_tuple *find(const struct wr_annunciator *annunciator, const char *name, const char *labels, uint32_t hash,
                             uint32_t *ret_free) {
    *ret_free = annunciator->n_tuples;
    for (uint32_t i = 0; i < annunciator->n_tuples; i++) {
        struct wr_tuple *tuple = annunciator->tuples[i];
        if (!tuple->in_use)
            *ret_free = i;
        else if (tuple->hash == hash && strcmp(tuple->name, name) == 0 && strcmp(tuple->labels, labels) == 0)
            return tuple;
    }
    return NULL;
}

static bool grow(struct wr_annunciator *annunciator) {
    if (annunciator->n_tuples >= WR_ANNUNCIATOR_TUPLES)
        return false;
    if (annunciator->n_tuples == annunciator->cap_tuples) {
        uint32_t cap = annunciator->cap_tuples ? annunciator->cap_tuples * 2 : 16;
        struct wr_tuple **more = realloc(annunciator->tuples, cap * sizeof *more);
        if (!more)
            return false;
        annunciator->tuples = more;
        annunciator->cap_tuples = cap;
    }
    struct wr_tuple *tuple =
        wr_timer_reserve(&annunciator->tuple_timers, annunciator->n_tuples + 1) == WR_OK ? calloc(1, sizeof *tuple) : NULL;
    if (!tuple)
        return false;
    tuple->index = annunciator->n_tuples;
    annunciator->tuples[annunciator->n_tuples++] = tuple;
    return true;
}

struct wr_tuple *wr_group_tuple(struct wr_annunciator *annunciator, const char *name, const char *labels, const struct wr_now *now) {
    uint32_t at;
    uint32_t hash = (uint32_t)wr_alarm_id(name, labels);
    struct wr_tuple *tuple = find(annunciator, name, labels, hash, &at);
    if (tuple)
        return tuple;
    if (at == annunciator->n_tuples && !grow(annunciator))
        return NULL;
    tuple = annunciator->tuples[at];
    uint32_t group = wr_group_find(annunciator->rules, name);
    uint32_t flood_start = group == WR_ANNUNCIATOR_NONE ? 0 : annunciator->rules->groups[group].flood_start;
    int64_t *stamps = flood_start > 0 ? calloc(flood_start, sizeof *stamps) : NULL;
    if (flood_start > 0 && !stamps)
        return NULL; /* its place stays free */
    *tuple = (struct wr_tuple){.index = at,
                               .in_use = true,
                               .group = group,
                               .hash = hash,
                               .stamps = stamps,
                               .due_boot_ns = WR_NEVER_NS,
                               .idle_boot_ns = now->boot_ns};
    tuple->last_boot_ns = now->boot_ns;
    snprintf(tuple->name, sizeof tuple->name, "%s", name);
    snprintf(tuple->labels, sizeof tuple->labels, "%s", labels);
    return tuple;
}

static void arm(struct wr_annunciator *annunciator, const struct wr_tuple *tuple) {
    wr_timer_arm(&annunciator->tuple_timers, tuple->index, wr_notice_due(annunciator, tuple));
}

/* -- coming and going -------------------------------------------------------------------------------------------------------------------- */

static struct wr_tuple *join(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels,
                             const struct wr_now *now) {
    const struct wr_ruleset *rules = annunciator->rules;
    char text[WR_ALARM_INSTANCE_BYTES];
    if (record->tuple != WR_ANNUNCIATOR_NONE)
        return annunciator->tuples[record->tuple];
    uint32_t group = 0;
    while (group < rules->n_groups && !labels_of(rules, &rules->groups[group], labels, text, sizeof text))
        group++;
    if (group == rules->n_groups)
        return NULL;
    struct wr_tuple *tuple = wr_group_tuple(annunciator, rules->groups[group].name, text, now);
    if (!tuple) {
        annunciator->refused++;
        return NULL;
    }
    record->tuple = tuple->index;
    tuple->active++;
    tuple->unacked += wr_alarm_state_wants_ack((enum wr_alarm_state)record->state);
    return tuple;
}

void wr_group_join(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, const struct wr_now *now) {
    struct wr_tuple *tuple = join(annunciator, record, labels, now);
    if (!tuple)
        return;
    tuple->severity = record->severity > tuple->severity ? record->severity : tuple->severity;
    arm(annunciator, tuple);
}

static void stamp(struct wr_tuple *tuple, const struct wr_group *group, const struct wr_now *now) {
    if (!tuple->stamps)
        return;
    tuple->stamps[tuple->stamp] = now->boot_ns;
    tuple->stamp = (tuple->stamp + 1) % group->flood_start;
    tuple->n_stamps += tuple->n_stamps < group->flood_start;
    /* The next place holds the oldest of the last flood_start raises. */
    if (tuple->n_stamps == group->flood_start && now->boot_ns - tuple->stamps[tuple->stamp] <= group->flood_window_ns)
        tuple->flood = true;
}

static void put_name(struct wr_tuple *tuple, const char *name) {
    size_t len = strlen(tuple->names);
    if (len + strlen(name) + 3 <= sizeof tuple->names)
        snprintf(tuple->names + len, sizeof tuple->names - len, "%s%s", len > 0 ? ", " : "", name);
}

bool wr_group_raise(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, bool new_raise,
                    const struct wr_now *now) {
    struct wr_tuple *tuple = join(annunciator, record, labels, now);
    if (!tuple)
        return false;
    const struct wr_group *group = &annunciator->rules->groups[tuple->group];
    bool speaks = record->severity < WR_SEVERITY_HIGH && (tuple->flood || group->n_actions > 0);
    char name[sizeof tuple->first];
    struct wr_alarm alarm = {0};
    snprintf(alarm.rule, sizeof alarm.rule, "%s", annunciator->rules->rules[record->rule]->name);
    snprintf(alarm.instance, sizeof alarm.instance, "%s", labels);
    wr_alarm_display(name, sizeof name, &alarm);
    if (tuple->raises == 0) {
        memcpy(tuple->first, name, sizeof name);
        tuple->first_wall_ns = now->wall_ns;
    }
    if (tuple->fresh == 0) {
        int64_t soon = wr_clock_add_ns(now->boot_ns, group->wait_ns);
        int64_t update = wr_clock_add_ns(tuple->last_boot_ns, group->update_ns);
        tuple->due_boot_ns = tuple->told == WR_ALARM_NORMAL || soon > update ? soon : update;
    }
    put_name(tuple, name);
    tuple->fresh++;
    tuple->raises++;
    tuple->severity = record->severity > tuple->severity ? record->severity : tuple->severity;
    if (new_raise)
        stamp(tuple, group, now);
    arm(annunciator, tuple);
    return speaks;
}

void wr_group_follow(struct wr_annunciator *annunciator, struct wr_annunciated *record, bool wanted_ack, const struct wr_now *now) {
    if (record->tuple == WR_ANNUNCIATOR_NONE)
        return;
    struct wr_tuple *tuple = annunciator->tuples[record->tuple];
    bool leaves = !wr_alarm_state_is_active((enum wr_alarm_state)record->state) || (record->silent & WR_SILENT_HARD) != 0;
    tuple->unacked -= wanted_ack;
    if (leaves) {
        tuple->active--;
        tuple->idle_boot_ns = now->boot_ns;
        record->tuple = WR_ANNUNCIATOR_NONE;
        if (record->silent & WR_SILENT_HARD) /* the group speaks for it no longer: it is owed a word of its own when that ends */
            record->silent &= (uint8_t)~WR_ALARM_SILENT_GROUPED;
    } else {
        tuple->unacked += wr_alarm_state_wants_ack((enum wr_alarm_state)record->state);
    }
    arm(annunciator, tuple);
}
