/* suppress: alarms that explain others. A cause is one rule's alarms with the same values of the labels that must be equal; it is active while the condition
 * of one of them is true, and for `linger` after. When causes come or go, all records are looked at anew, in slices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/alarms/annunciator_private.h"
#include "rules/language/label.h"

enum wr_result wr_suppress_init(struct wr_annunciator *annunciator) {
    annunciator->sweep = WR_ANNUNCIATOR_NONE;
    wr_timer_init(&annunciator->cause_timers);
    if (annunciator->rules->n_suppresses == 0)
        return WR_OK;
    annunciator->buckets = malloc(WR_CAUSE_BUCKETS * sizeof *annunciator->buckets);
    if (!annunciator->buckets)
        return WR_NO_MEMORY;
    for (unsigned i = 0; i < WR_CAUSE_BUCKETS; i++)
        annunciator->buckets[i] = WR_ANNUNCIATOR_NONE;
    return wr_slab_init(&annunciator->causes, sizeof(struct wr_cause), WR_ANNUNCIATOR_ALARMS);
}

void wr_suppress_fini(struct wr_annunciator *annunciator) {
    for (uint32_t i = 0; i < annunciator->causes.fresh; i++)
        free(wr_cause_at(annunciator, i)->values);
    wr_slab_fini(&annunciator->causes);
    wr_timer_fini(&annunciator->cause_timers);
    free(annunciator->buckets);
}

/* -- which cause ----------------------------------------------------------------------------------------------------------------------- */

/* The values of the labels that must be equal, one after the other; false: one is missing, or they are too long. */
static bool values_of(const struct wr_ruleset *rules, const struct wr_suppress *suppress, const char *labels, char *into, size_t size) {
    size_t len = 0;
    for (uint32_t i = 0; i < suppress->n_equal; i++) {
        if (size - len < 2 || !wr_label_find(rules, labels, suppress->equal[i], into + len, size - len - 1))
            return false;
        len += strlen(into + len);
        into[len++] = '\x1F';
    }
    into[len] = '\0';
    return true;
}

static uint32_t hash_of(uint32_t suppress, const char *values) {
    uint32_t hash = 2166136261u ^ suppress;
    for (const char *c = values; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash ^ hash >> 15;
}

static uint32_t find(const struct wr_annunciator *annunciator, uint32_t suppress, const char *values) {
    uint32_t hash = hash_of(suppress, values);
    uint32_t index = annunciator->buckets[hash % WR_CAUSE_BUCKETS];
    while (index != WR_ANNUNCIATOR_NONE) {
        const struct wr_cause *cause = wr_cause_at(annunciator, index);
        if (cause->hash == hash && cause->suppress == suppress && strcmp(cause->values, values) == 0)
            return index;
        index = cause->next;
    }
    return WR_ANNUNCIATOR_NONE;
}

static uint32_t make(struct wr_annunciator *annunciator, uint32_t suppress, const char *values) {
    char *copy = strdup(values);
    uint32_t index = copy ? wr_slab_take(&annunciator->causes) : WR_SLAB_NONE;
    if (index == WR_SLAB_NONE) {
        free(copy);
        return WR_ANNUNCIATOR_NONE;
    }
    struct wr_cause *cause = wr_cause_at(annunciator, index);
    *cause = (struct wr_cause){.suppress = suppress, .hash = hash_of(suppress, values), .values = copy};
    if (wr_timer_reserve(&annunciator->cause_timers, annunciator->causes.fresh) != WR_OK) {
        free(copy);
        cause->values = NULL;
        wr_slab_give(&annunciator->causes, index);
        return WR_ANNUNCIATOR_NONE;
    }
    uint32_t *bucket = &annunciator->buckets[cause->hash % WR_CAUSE_BUCKETS];
    cause->next = *bucket;
    *bucket = index;
    return index;
}

static void drop(struct wr_annunciator *annunciator, uint32_t index) {
    struct wr_cause *cause = wr_cause_at(annunciator, index);
    uint32_t *link = &annunciator->buckets[cause->hash % WR_CAUSE_BUCKETS];
    while (*link != index)
        link = &wr_cause_at(annunciator, *link)->next;
    *link = cause->next;
    wr_timer_disarm(&annunciator->cause_timers, index);
    free(cause->values);
    cause->values = NULL;
    wr_slab_give(&annunciator->causes, index);
}

/* -- coming and going -------------------------------------------------------------------------------------------------------------------- */

static void begin(struct wr_annunciator *annunciator, uint32_t suppress, const char *values) {
    uint32_t index = find(annunciator, suppress, values);
    if (index == WR_ANNUNCIATOR_NONE) {
        index = make(annunciator, suppress, values);
        if (index == WR_ANNUNCIATOR_NONE) {
            annunciator->refused++; /* nothing is suppressed */
            return;
        }
        annunciator->sweep = 0;
    }
    wr_cause_at(annunciator, index)->active++;
}

static void end(struct wr_annunciator *annunciator, uint32_t suppress, const char *values, const struct wr_now *now) {
    uint32_t index = find(annunciator, suppress, values);
    struct wr_cause *cause = index == WR_ANNUNCIATOR_NONE ? NULL : wr_cause_at(annunciator, index);
    if (!cause || cause->active == 0 || --cause->active > 0)
        return;
    cause->until_boot_ns = wr_clock_add_ns(now->boot_ns, annunciator->rules->suppresses[suppress].linger_ns);
    wr_timer_arm(&annunciator->cause_timers, index, cause->until_boot_ns);
}

void wr_suppress_cause(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, bool holds,
                       const struct wr_now *now) {
    char values[WR_CAUSE_BYTES];
    record->causing = holds;
    for (uint32_t i = 0; i < annunciator->rules->n_suppresses; i++) {
        const struct wr_suppress *suppress = &annunciator->rules->suppresses[i];
        if (suppress->cause != record->rule || !values_of(annunciator->rules, suppress, labels, values, sizeof values))
            continue;
        if (holds)
            begin(annunciator, i, values);
        else
            end(annunciator, i, values, now);
    }
}

void wr_suppress_timer(struct wr_annunciator *annunciator, uint32_t index, const struct wr_now *now) {
    const struct wr_cause *cause = wr_cause_at(annunciator, index);
    if (cause->active > 0)
        return;
    if (cause->until_boot_ns > now->boot_ns) {
        wr_timer_arm(&annunciator->cause_timers, index, cause->until_boot_ns);
        return;
    }
    drop(annunciator, index);
    annunciator->sweep = 0;
}

/* -- looking ----------------------------------------------------------------------------------------------------------------------------- */

/* A label that is missing never matches. */
static bool matches(const struct wr_ruleset *rules, const struct wr_suppress *suppress, const struct wr_annunciated *record,
                    const char *labels) {
    const struct wr_selector *selector = suppress->match;
    for (size_t i = 0; selector && i < selector->n_matches; i++) {
        const struct wr_selector_match *match = &selector->matches[i];
        char text[WR_ALARM_INSTANCE_BYTES];
        const char *value = text;
        if (strcmp(match->tag, "rule") == 0)
            value = rules->rules[record->rule]->name;
        else if (strcmp(match->tag, "severity") == 0)
            value = wr_severity_name((enum wr_severity)record->severity);
        else if (!wr_label_find(rules, labels, match->tag, text, sizeof text))
            return false;
        if (!wr_selector_tag_matches(match, value))
            return false;
    }
    return true;
}

const struct wr_rule *wr_suppress_look(const struct wr_annunciator *annunciator, const struct wr_annunciated *record, const char *labels,
                                       const struct wr_now *now) {
    char values[WR_CAUSE_BYTES];
    if (annunciator->causes.in_use == 0)
        return NULL;
    for (uint32_t i = 0; i < annunciator->rules->n_suppresses; i++) {
        const struct wr_suppress *suppress = &annunciator->rules->suppresses[i];
        if (suppress->cause == record->rule || !matches(annunciator->rules, suppress, record, labels) ||
            !values_of(annunciator->rules, suppress, labels, values, sizeof values))
            continue;
        uint32_t index = find(annunciator, i, values);
        if (index == WR_ANNUNCIATOR_NONE)
            continue;
        const struct wr_cause *cause = wr_cause_at(annunciator, index);
        if (cause->active > 0 || cause->until_boot_ns > now->boot_ns)
            return annunciator->rules->rules[suppress->cause];
    }
    return NULL;
}

/* -- for tests --------------------------------------------------------------------------------------------------------------------------- */

/* How many records hold a cause up; false: one of them has no cause at all. */
static bool count_holders(const struct wr_annunciator *annunciator, uint32_t index, uint32_t *ret_n) {
    char values[WR_CAUSE_BYTES];
    *ret_n = 0;
    for (uint32_t i = 0; i < annunciator->records.fresh; i++) {
        const struct wr_annunciated *record = wr_annunciated_at(annunciator, i);
        struct wr_annunciator_view view;
        if (record->alarm == WR_ANNUNCIATOR_NONE || !record->causing)
            continue;
        annunciator->host.look(annunciator->host.user, record->alarm, &view);
        for (uint32_t k = 0; k < annunciator->rules->n_suppresses; k++) {
            const struct wr_suppress *suppress = &annunciator->rules->suppresses[k];
            if (suppress->cause != record->rule || !values_of(annunciator->rules, suppress, view.labels, values, sizeof values))
                continue;
            const uint32_t held = find(annunciator, k, values);
            if (held == WR_ANNUNCIATOR_NONE)
                return false;
            *ret_n += held == index;
        }
    }
    return true;
}

bool wr_suppress_is_valid(const struct wr_annunciator *annunciator) {
    uint32_t n;
    if (annunciator->rules->n_suppresses == 0 || annunciator->refused > 0)
        return true;
    if (!count_holders(annunciator, WR_ANNUNCIATOR_NONE, &n))
        return false;
    for (uint32_t i = 0; i < annunciator->causes.fresh; i++) {
        const struct wr_cause *cause = wr_cause_at(annunciator, i);
        if (!cause->values)
            continue;
        if (!count_holders(annunciator, i, &n) || n != cause->active)
            return false;
        if (cause->active == 0 && annunciator->cause_timers.position[i] == WR_TIMER_NONE)
            return false;
    }
    return true;
}

/* -- reload ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_same(const struct wr_ruleset *rules, const struct wr_suppress *a, const struct wr_ruleset *old_rules,
                    const struct wr_suppress *b) {
    if (strcmp(rules->rules[a->cause]->name, old_rules->rules[b->cause]->name) != 0 || a->n_equal != b->n_equal)
        return false;
    for (uint32_t i = 0; i < a->n_equal; i++)
        if (strcmp(a->equal[i], b->equal[i]) != 0)
            return false;
    return true;
}

/* Causes that linger: those that are active come with their alarms. */
void wr_suppress_take_over(struct wr_annunciator *annunciator, const struct wr_annunciator *old, const struct wr_now *now) {
    for (uint32_t i = 0; annunciator->rules->n_suppresses > 0 && i < old->causes.fresh; i++) {
        const struct wr_cause *cause = wr_cause_at(old, i);
        if (!cause->values || cause->active > 0 || cause->until_boot_ns <= now->boot_ns)
            continue;
        for (uint32_t k = 0; k < annunciator->rules->n_suppresses; k++)
            if (is_same(annunciator->rules, &annunciator->rules->suppresses[k], old->rules, &old->rules->suppresses[cause->suppress]) &&
                find(annunciator, k, cause->values) == WR_ANNUNCIATOR_NONE) {
                uint32_t index = make(annunciator, k, cause->values);
                if (index == WR_ANNUNCIATOR_NONE)
                    continue;
                wr_cause_at(annunciator, index)->until_boot_ns = cause->until_boot_ns;
                wr_timer_arm(&annunciator->cause_timers, index, cause->until_boot_ns);
            }
    }
    annunciator->sweep = annunciator->causes.in_use > 0 || old->causes.in_use > 0 ? 0 : WR_ANNUNCIATOR_NONE;
}
