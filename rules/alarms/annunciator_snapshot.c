/* Restart and reload: what is kept of an alarm's silences and of its group. */
#include <stdlib.h>
#include <string.h>

#include "rules/alarms/annunciator_private.h"

/* -- an alarm's part of its snapshot: the struct, then by and why of the shelving, then of out of service, each with its NUL ---------------- */

#define PART_VERSION 1
enum { HEARD = 1, INVALID = 2, RAISED_SINCE = 4, MAY_TELL = 8, RING = 16 };

struct part {
    uint8_t version;
    uint8_t silent;
    uint8_t flags;
    uint8_t chatter_severity;
    uint8_t reserved[4];
    int64_t shelved_since_wall_ns; /* 0: it is not shelved */
    int64_t shelved_until_wall_ns;
    int64_t out_of_service_since_wall_ns; /* 0: it is in service */
    int64_t chatter_left_ns;              /* 0: does not chatter */
    int64_t backoff_ns;
    int64_t re_alarm_left_ns; /* 0: does not ring again */
    int64_t active_ns;
    int64_t unacked_ns;
    uint64_t key;
};
_Static_assert(sizeof(struct part) + 2 * (64 + WR_ALARM_WHY_BYTES) <= WR_ANNUNCIATOR_PART_BYTES, "the part fits");

/* At least 1, so that 0 means none. */
static int64_t left(int64_t until_boot_ns, const struct wr_now *now) {
    return until_boot_ns > now->boot_ns ? until_boot_ns - now->boot_ns : 1;
}

static size_t put_note(const struct wr_note *note, uint8_t *into) {
    if (!note)
        return 0;
    size_t by = strlen(note->by_whom) + 1, why = strlen(note->why) + 1;
    memcpy(into, note->by_whom, by);
    memcpy(into + by, note->why, why);
    return by + why;
}

uint16_t wr_annunciator_encode(const struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now, uint8_t *into) {
    const struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    if (!record || (wr_annunciated_is_idle(record) && record->key == 0))
        return 0;
    struct part part = {
        .version = PART_VERSION,
        .silent = record->silent,
        .chatter_severity = record->chatter_severity,
        .backoff_ns = record->backoff_ns,
        .active_ns = now->boot_ns - record->active_boot_ns,
        .unacked_ns = now->boot_ns - record->unacked_boot_ns,
        .key = record->key,
    };
    part.flags = (uint8_t)((record->heard ? HEARD : 0) | (record->invalid ? INVALID : 0) | (record->raised_since ? RAISED_SINCE : 0) |
                           (record->may_tell ? MAY_TELL : 0) | (record->ring ? RING : 0));
    if (record->shelved) {
        part.shelved_since_wall_ns = record->shelved->since_wall_ns;
        part.shelved_until_wall_ns = record->shelved->until_wall_ns;
    }
    if (record->out_of_service)
        part.out_of_service_since_wall_ns = record->out_of_service->since_wall_ns;
    if (record->chatter_until_boot_ns != 0)
        part.chatter_left_ns = left(record->chatter_until_boot_ns, now);
    if (record->re_alarm_boot_ns != WR_NEVER_NS)
        part.re_alarm_left_ns = left(record->re_alarm_boot_ns, now);
    memcpy(into, &part, sizeof part);
    size_t len = sizeof part;
    len += put_note(record->shelved, into + len);
    len += put_note(record->out_of_service, into + len);
    return (uint16_t)len;
}

/* A text with its NUL at *at, which moves behind it. */
static bool take_text(const uint8_t *bytes, size_t len, size_t *at, char *into, size_t size) {
    const uint8_t *nul = *at < len ? memchr(bytes + *at, 0, len - *at) : NULL;
    size_t n = nul ? (size_t)(nul - (bytes + *at)) + 1 : size + 1;
    if (n > size)
        return false;
    memcpy(into, bytes + *at, n);
    *at += n;
    return true;
}

/* NULL with WR_OK: there is none (since is 0). */
static enum wr_result take_note(const uint8_t *bytes, size_t len, size_t *at, int64_t since_wall_ns, int64_t until_wall_ns,
                                struct wr_note **ret_note) {
    if (since_wall_ns == 0)
        return WR_OK;
    struct wr_note *note = calloc(1, sizeof *note);
    if (!note)
        return WR_NO_MEMORY;
    note->since_wall_ns = since_wall_ns;
    note->until_wall_ns = until_wall_ns;
    if (!take_text(bytes, len, at, note->by_whom, sizeof note->by_whom) || !take_text(bytes, len, at, note->why, sizeof note->why)) {
        free(note);
        return WR_CORRUPT;
    }
    *ret_note = note;
    return WR_OK;
}

static bool is_span(int64_t ns) {
    return ns >= 0 && ns <= WR_ANNUNCIATOR_TIME_MAX_NS;
}

static bool is_sane(const struct part *part) {
    return part->version == PART_VERSION && is_span(part->shelved_since_wall_ns) && is_span(part->shelved_until_wall_ns) &&
           is_span(part->out_of_service_since_wall_ns) && is_span(part->chatter_left_ns) && is_span(part->backoff_ns) &&
           is_span(part->re_alarm_left_ns) && is_span(part->active_ns) && is_span(part->unacked_ns) &&
           part->chatter_severity <= WR_SEVERITY_CRITICAL && (part->chatter_left_ns == 0 || part->backoff_ns >= WR_CHATTER_WITHIN_NS);
}

/* A shelving ends when it would have; with a clock that is wrong, after the rule's longest time. */
static int64_t shelved_until(const struct wr_rule *rule, const struct wr_note *note, const struct wr_now *now) {
    int64_t left_ns = note->until_wall_ns - now->wall_ns;
    return wr_clock_add_ns(now->boot_ns, left_ns < 0 ? 0 : left_ns > rule->shelve_max_ns ? rule->shelve_max_ns : left_ns);
}

static void apply(struct wr_annunciated *record, const struct part *part, const struct wr_rule *rule, const struct wr_now *now) {
    record->heard = (part->flags & HEARD) != 0;
    record->invalid = (part->flags & INVALID) != 0;
    /* Whether its group had spoken for it is not kept: so it is none of its group's now, and raised again, into it. An escalation is, too, though who listens
     * knows that the alarm is active. */
    const bool spoken_for = (part->silent & WR_ALARM_SILENT_GROUPED) != 0;
    record->ring = ((part->flags & RING) != 0 || spoken_for) && record->state == WR_ALARM_UNACK;
    record->key = part->key;
    record->active_boot_ns = now->boot_ns - part->active_ns;
    record->unacked_boot_ns = now->boot_ns - part->unacked_ns;
    record->silent = part->silent & (WR_ALARM_SILENT_SUPPRESSED | WR_ALARM_SILENT_INVALID);
    if (part->re_alarm_left_ns > 0 && record->state == WR_ALARM_UNACK && rule->re_alarm_ns > 0)
        record->re_alarm_boot_ns = wr_clock_add_ns(now->boot_ns, part->re_alarm_left_ns);
    if (part->chatter_left_ns > 0) {
        record->silent |= WR_ALARM_SILENT_CHATTERING;
        record->chatter_until_boot_ns = wr_clock_add_ns(now->boot_ns, part->chatter_left_ns);
        record->backoff_ns = part->backoff_ns < WR_CHATTER_BACKOFF_MAX_NS ? part->backoff_ns : WR_CHATTER_BACKOFF_MAX_NS;
        record->chatter_severity = part->chatter_severity;
        record->raised_since = (part->flags & RAISED_SINCE) != 0;
        record->may_tell = (part->flags & MAY_TELL) != 0;
    }
}

/* The alarm stands in its state; what it explains and where it belongs follows from that. */
static struct wr_annunciated *stand(struct wr_annunciator *annunciator, uint32_t alarm, struct wr_annunciator_view *view,
                                    const struct wr_now *now) {
    annunciator->host.look(annunciator->host.user, alarm, view);
    struct wr_annunciated *record = wr_annunciated_make(annunciator, alarm, now);
    if (!record)
        return NULL;
    record->rule = view->rule;
    record->severity = view->severity;
    wr_annunciated_follow(annunciator, record, view->state, view->labels, now);
    record->heard = wr_annunciated_condition(record->state);
    return record;
}

static void take_place(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, const struct wr_now *now) {
    if (wr_alarm_state_is_active((enum wr_alarm_state)record->state) && (record->silent & WR_SILENT_HARD) == 0)
        wr_group_join(annunciator, record, labels, now);
    if (record->silent & WR_ALARM_SILENT_SUPPRESSED)
        annunciator->sweep = 0; /* whether its cause is there is seen when all are */
    wr_annunciated_arm(annunciator, record, now);
}

enum wr_result wr_annunciator_restore(struct wr_annunciator *annunciator, uint32_t alarm, const uint8_t *bytes, size_t len,
                                      const struct wr_now *now) {
    struct part part = {.version = 0};
    struct wr_annunciator_view view;
    struct wr_note *shelved = NULL, *out_of_service = NULL;
    size_t at = sizeof part;
    enum wr_result result = len == 0 || len >= sizeof part ? WR_OK : WR_CORRUPT;
    if (len >= sizeof part) {
        memcpy(&part, bytes, sizeof part);
        result = is_sane(&part) ? take_note(bytes, len, &at, part.shelved_since_wall_ns, part.shelved_until_wall_ns, &shelved) : WR_CORRUPT;
        if (result == WR_OK)
            result = take_note(bytes, len, &at, part.out_of_service_since_wall_ns, 0, &out_of_service);
        if (result == WR_OK && at != len)
            result = WR_CORRUPT;
    }
    if (result == WR_OK && part.version != 0)
        wr_annunciator_forget(annunciator, alarm,
                              now); /* the store may open late, when something is known already: what was kept goes before */
    annunciator->host.look(annunciator->host.user, alarm, &view);
    bool needed = part.version != 0 || wr_alarm_state_is_active((enum wr_alarm_state)view.state);
    struct wr_annunciated *record = needed ? stand(annunciator, alarm, &view, now) : NULL;
    if (result != WR_OK || !record) {
        free(shelved);
        free(out_of_service);
        if (record)
            take_place(annunciator, record, view.labels, now); /* an alarm is annunciated also when nothing else is known of it */
        return result == WR_OK && needed ? WR_NO_MEMORY : result;
    }
    const struct wr_rule *rule = annunciator->rules->rules[record->rule];
    if (part.version != 0)
        apply(record, &part, rule, now);
    wr_note_put(annunciator, &record->shelved, shelved);
    wr_note_put(annunciator, &record->out_of_service, out_of_service);
    record->silent |= (shelved ? WR_ALARM_SILENT_SHELVED : 0) | (out_of_service ? WR_ALARM_SILENT_OUT_OF_SERVICE : 0);
    if (shelved)
        record->shelved_until_boot_ns = shelved_until(rule, shelved, now);
    take_place(annunciator, record, view.labels, now);
    return WR_OK;
}

/* -- reload ---------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result copy_note(const struct wr_note *note, struct wr_note **ret_copy) {
    if (!note)
        return WR_OK;
    struct wr_note *copy = malloc(sizeof *copy);
    if (!copy)
        return WR_NO_MEMORY;
    *copy = *note;
    *ret_copy = copy;
    return WR_OK;
}

/* Its group speaks for it as before: it still has `then`, or there was a flood. */
static bool is_spoken_for(const struct wr_annunciator *annunciator, const struct wr_annunciated *record, const struct wr_annunciator *old,
                          const struct wr_annunciated *from) {
    const struct wr_group *groups = annunciator->rules->groups;
    if (record->tuple == WR_ANNUNCIATOR_NONE)
        return false;
    return groups[annunciator->tuples[record->tuple]->group].n_actions > 0 ||
           old->rules->groups[old->tuples[from->tuple]->group].n_actions == 0;
}

enum wr_result wr_annunciator_take_over(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_annunciator *old,
                                        uint32_t old_alarm, const struct wr_now *now) {
    const struct wr_annunciated *from = wr_annunciated_find(old, old_alarm);
    struct wr_annunciator_view view;
    struct wr_note *shelved = NULL, *out_of_service = NULL;
    if (!from)
        return WR_OK;
    enum wr_result result = copy_note(from->shelved, &shelved);
    if (result == WR_OK)
        result = copy_note(from->out_of_service, &out_of_service);
    struct wr_annunciated *record = result == WR_OK ? stand(annunciator, alarm, &view, now) : NULL;
    if (!record) {
        free(shelved);
        free(out_of_service);
        return WR_NO_MEMORY;
    }
    const struct wr_rule *rule = annunciator->rules->rules[record->rule];
    struct wr_annunciated copy = *from;
    copy.alarm = record->alarm;
    copy.rule = record->rule;
    copy.severity = record->severity;
    copy.causing = record->causing;
    copy.tuple = record->tuple;
    copy.shelved = copy.out_of_service = NULL;
    if (copy.severity >= WR_SEVERITY_HIGH)
        copy.silent &= (uint8_t)~WR_ALARM_SILENT_GROUPED;
    if (rule->re_alarm_ns == 0)
        copy.re_alarm_boot_ns = WR_NEVER_NS;
    if (from->shelved && copy.shelved_until_boot_ns - now->boot_ns > rule->shelve_max_ns)
        copy.shelved_until_boot_ns = wr_clock_add_ns(now->boot_ns, rule->shelve_max_ns);
    *record = copy;
    wr_note_put(annunciator, &record->shelved, shelved);
    wr_note_put(annunciator, &record->out_of_service, out_of_service);
    take_place(annunciator, record, view.labels, now);
    if ((record->silent & WR_ALARM_SILENT_GROUPED) && !is_spoken_for(annunciator, record, old, from)) {
        record->silent &= (uint8_t)~WR_ALARM_SILENT_GROUPED;
        wr_annunciated_arm(annunciator, record, now);
    }
    return WR_OK;
}

static void inherit_tuple(struct wr_annunciator *annunciator, const struct wr_annunciator *old, const struct wr_tuple *from,
                          const struct wr_now *now) {
    struct wr_tuple *tuple = wr_group_tuple(annunciator, from->name, from->labels, now);
    if (!tuple) {
        annunciator->refused++;
        return;
    }
    struct wr_tuple copy = *from;
    copy.index = tuple->index;
    copy.group = tuple->group;
    copy.active = tuple->active;
    copy.unacked = tuple->unacked;
    copy.stamps = tuple->stamps;
    bool same = tuple->group != WR_ANNUNCIATOR_NONE &&
                annunciator->rules->groups[tuple->group].flood_start == old->rules->groups[from->group].flood_start;
    if (same && tuple->stamps) {
        memcpy(tuple->stamps, from->stamps, annunciator->rules->groups[tuple->group].flood_start * sizeof *tuple->stamps);
    } else {
        copy.flood = false;
        copy.n_stamps = copy.stamp = 0;
    }
    *tuple = copy;
    wr_timer_arm(&annunciator->tuple_timers, tuple->index, wr_notice_due(annunciator, tuple));
}

void wr_annunciator_inherit(struct wr_annunciator *annunciator, struct wr_annunciator *old, const struct wr_now *now) {
    struct wr_alarm_kpi *kpi = annunciator->kpi;
    annunciator->kpi = old->kpi;
    old->kpi = kpi;
    annunciator->refused += old->refused;
    wr_suppress_take_over(annunciator, old, now);
    for (uint32_t i = 0; i < old->n_tuples; i++) {
        const struct wr_tuple *from = old->tuples[i];
        bool is_gone = from->in_use && from->group == WR_ANNUNCIATOR_NONE;
        if (from->in_use && !is_gone &&
            (from->told != WR_ALARM_NORMAL || wr_group_find(annunciator->rules, from->name) != WR_ANNUNCIATOR_NONE))
            inherit_tuple(annunciator, old, from, now);
    }
}

/* -- groups: the struct, then name, labels, first, each with its NUL ---------------------------------------------------------------------- */

#define GROUP_VERSION 0xE1 /* no version of an alarm's snapshot */

struct group_part {
    uint8_t version;
    uint8_t told;
    uint8_t severity;
    uint8_t reserved;
    uint32_t raises;
    int64_t first_wall_ns;
    uint64_t transition;
};
_Static_assert(sizeof(struct group_part) + WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 128 <= WR_ALARM_SNAP_BYTES,
               "a group fits its entry");

void wr_group_encode(const struct wr_tuple *tuple, struct wr_alarm_entry *entry) {
    const struct group_part part = {.version = GROUP_VERSION,
                                    .told = tuple->told,
                                    .severity = tuple->severity,
                                    .raises = tuple->raises,
                                    .first_wall_ns = tuple->first_wall_ns,
                                    .transition = tuple->transition};
    const char *const texts[] = {tuple->name, tuple->labels, tuple->first};
    memcpy(entry->snap, &part, sizeof part);
    size_t len = sizeof part;
    for (unsigned i = 0; i < 3; i++) {
        memcpy(entry->snap + len, texts[i], strlen(texts[i]) + 1);
        len += strlen(texts[i]) + 1;
    }
    entry->snap_len = (uint16_t)len;
}

bool wr_annunciator_is_group_snapshot(const struct wr_alarm_entry *entry) {
    return entry->snap_len > 0 && entry->snap[0] == GROUP_VERSION;
}

enum wr_result wr_annunciator_restore_group(struct wr_annunciator *annunciator, const struct wr_alarm_entry *entry,
                                            const struct wr_now *now) {
    struct group_part part;
    struct wr_tuple texts = {.index = 0};
    size_t at = sizeof part;
    if (entry->snap_len < sizeof part || entry->snap_len > sizeof entry->snap)
        return WR_CORRUPT;
    memcpy(&part, entry->snap, sizeof part);
    if (part.version != GROUP_VERSION || part.told >= WR_ALARM_STATES || part.severity > WR_SEVERITY_CRITICAL ||
        !take_text(entry->snap, entry->snap_len, &at, texts.name, sizeof texts.name) ||
        !take_text(entry->snap, entry->snap_len, &at, texts.labels, sizeof texts.labels) ||
        !take_text(entry->snap, entry->snap_len, &at, texts.first, sizeof texts.first) || at != entry->snap_len)
        return WR_CORRUPT;
    if (wr_group_find(annunciator->rules, texts.name) == WR_ANNUNCIATOR_NONE && part.told == WR_ALARM_NORMAL)
        return WR_NOT_FOUND;
    struct wr_tuple *tuple = wr_group_tuple(annunciator, texts.name, texts.labels, now);
    if (!tuple)
        return WR_NO_MEMORY;
    tuple->told = part.told;
    tuple->severity = part.severity > tuple->severity ? part.severity : tuple->severity;
    tuple->raises = part.raises;
    tuple->first_wall_ns = part.first_wall_ns;
    tuple->transition = part.transition;
    memcpy(tuple->first, texts.first, sizeof tuple->first);
    wr_timer_arm(&annunciator->tuple_timers, tuple->index, wr_notice_due(annunciator, tuple));
    return WR_OK;
}

bool wr_annunciator_next_snapshot(const struct wr_annunciator *annunciator, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    while (*cursor < annunciator->n_tuples) {
        const struct wr_tuple *tuple = annunciator->tuples[(*cursor)++];
        if (!tuple->in_use || tuple->transition == 0 || tuple->group == WR_ANNUNCIATOR_NONE)
            continue;
        memset(ret_entry, 0, sizeof *ret_entry);
        memcpy(ret_entry->alarm.rule, tuple->name, sizeof ret_entry->alarm.rule);
        memcpy(ret_entry->alarm.instance, tuple->labels, sizeof ret_entry->alarm.instance);
        ret_entry->alarm.id = wr_alarm_id(tuple->name, tuple->labels);
        ret_entry->alarm.transition = tuple->transition;
        wr_group_encode(tuple, ret_entry);
        return true;
    }
    return false;
}
