/* What time brings: shelvings that end, chattering, alarms that ring again, and what is owed to whom when a silence is over. */
#include <stdlib.h>
#include <string.h>

#include "rules/alarms/annunciator_private.h"

/* -- chattering ---------------------------------------------------------------------------------------------------------------------------- */

static void begin_chatter(struct wr_annunciated *record, const struct wr_now *now) {
    record->silent |= WR_ALARM_SILENT_CHATTERING;
    record->backoff_ns = WR_CHATTER_WITHIN_NS;
    record->chatter_until_boot_ns = wr_clock_add_ns(now->boot_ns, record->backoff_ns);
    record->chatter_severity = record->severity;
    record->raised_since = record->may_tell = false;
}

bool wr_annunciated_raised(struct wr_annunciated *record, enum wr_alarm_cause cause, const struct wr_now *now) {
    bool chatters = record->chatter_until_boot_ns != 0;
    bool worse = chatters && record->severity > record->chatter_severity;
    bool is_told = worse;
    if (worse)
        record->chatter_severity = record->severity;
    if (cause != WR_ALARM_RAISED)
        return is_told;
    const int64_t oldest = record->raised_boot_ns[WR_CHATTER_RAISES - 2];
    if (chatters) {
        record->raised_since = true;
        is_told = worse || record->may_tell;
        record->may_tell = record->may_tell && worse;
    } else if (oldest != WR_NEVER_NS && now->boot_ns - oldest <= WR_CHATTER_WITHIN_NS) {
        begin_chatter(record, now);
    }
    memmove(record->raised_boot_ns + 1, record->raised_boot_ns, (WR_CHATTER_RAISES - 2) * sizeof record->raised_boot_ns[0]);
    record->raised_boot_ns[0] = now->boot_ns;
    return is_told;
}

/* -- steps --------------------------------------------------------------------------------------------------------------------------------- */

/* One look at a record. Each step makes at most one entry, and does nothing at all where that finds no room. */
struct settling {
    struct wr_annunciator *annunciator;
    struct wr_annunciated *record;
    const struct wr_now *now;
    struct wr_alarm_out *out;
    const char *labels;
};

static void tell(struct settling *settling, enum wr_alarm_cause cause, uint8_t without, const struct wr_note *note) {
    wr_annunciated_tell(settling->annunciator, settling->record, cause, without, note, settling->now,
                        &settling->out->entries[settling->out->n++]);
}

static struct wr_note because(const char *why) {
    struct wr_note note = {0};
    size_t len = strnlen(why, sizeof note.why - 1);
    memcpy(note.why, why, len);
    return note;
}

static void end_silence(const struct settling *settling, uint8_t bit) {
    wr_annunciated_end_silence(settling->annunciator, settling->record, bit, settling->labels, settling->now);
}

static bool unshelve(struct settling *settling) {
    struct wr_annunciated *record = settling->record;
    if (!record->shelved || record->shelved_until_boot_ns > settling->now->boot_ns)
        return true;
    if (!wr_alarm_out_has_room(settling->out))
        return false;
    const struct wr_note note = because("its time is over");
    wr_note_put(settling->annunciator, &record->shelved, NULL);
    end_silence(settling, WR_ALARM_SILENT_SHELVED);
    tell(settling, WR_ALARM_UNSHELVED, 0, &note);
    return true;
}

/* A silence that comes and goes by itself. Told where the alarm is not normal. */
static bool follow(struct settling *settling, uint8_t bit, bool wanted, const char *why) {
    struct wr_annunciated *record = settling->record;
    bool is_active = wr_alarm_state_is_active((enum wr_alarm_state)record->state);
    if (wanted == ((record->silent & bit) != 0) || (wanted && !is_active))
        return true;
    if (is_active && !wr_alarm_out_has_room(settling->out))
        return false;
    if (wanted) {
        record->silent |= bit;
        wr_group_follow(settling->annunciator, record, wr_alarm_state_wants_ack((enum wr_alarm_state)record->state), settling->now);
    } else {
        end_silence(settling, bit);
    }
    const struct wr_note note = because(why);
    if (is_active)
        tell(settling, wanted ? WR_ALARM_SUPPRESSED : WR_ALARM_UNSUPPRESSED, 0, &note);
    return true;
}

static bool follow_causes(struct settling *settling) {
    const struct wr_rule *cause = wr_suppress_look(settling->annunciator, settling->record, settling->labels, settling->now);
    return follow(settling, WR_ALARM_SILENT_SUPPRESSED, cause != NULL, cause ? cause->name : "its cause is over");
}

static bool is_mistaken(const struct wr_annunciated *record) {
    return record->heard != wr_annunciated_condition(record->state);
}

/* The back-off is over: ends it, or makes it longer and tells once what is so. */
static bool back_off(struct settling *settling) {
    struct wr_annunciated *record = settling->record;
    if (record->chatter_until_boot_ns == 0 || record->chatter_until_boot_ns > settling->now->boot_ns)
        return true;
    if (!wr_alarm_out_has_room(settling->out))
        return false;
    if (!record->raised_since) {
        end_silence(settling, WR_ALARM_SILENT_CHATTERING);
        record->chatter_until_boot_ns = 0;
        return true;
    }
    record->backoff_ns = record->backoff_ns * 2 < WR_CHATTER_BACKOFF_MAX_NS ? record->backoff_ns * 2 : WR_CHATTER_BACKOFF_MAX_NS;
    record->chatter_until_boot_ns = wr_clock_add_ns(settling->now->boot_ns, record->backoff_ns);
    record->raised_since = false;
    record->may_tell = true;
    if (record->silent == WR_ALARM_SILENT_CHATTERING && is_mistaken(record)) {
        record->may_tell = !wr_annunciated_condition(record->state);
        tell(settling, record->may_tell ? WR_ALARM_CLEARED : WR_ALARM_RAISED, WR_ALARM_SILENT_CHATTERING, NULL);
    }
    return true;
}

static bool ring_again(struct settling *settling) {
    struct wr_annunciated *record = settling->record;
    if (record->re_alarm_boot_ns > settling->now->boot_ns)
        return true;
    if (record->silent == 0 && !wr_alarm_out_has_room(settling->out))
        return false;
    int64_t re_alarm_ns = settling->annunciator->rules->rules[record->rule]->re_alarm_ns;
    record->re_alarm_boot_ns = re_alarm_ns > 0 ? wr_clock_add_ns(settling->now->boot_ns, re_alarm_ns) : WR_NEVER_NS;
    if (record->silent == 0 && re_alarm_ns > 0)
        tell(settling, WR_ALARM_REPEATED, 0, NULL);
    return true;
}

/* What is owed when nothing silences it any more. */
static bool pay(struct settling *settling) {
    struct wr_annunciated *record = settling->record;
    bool condition = wr_annunciated_condition(record->state);
    if (record->silent != 0 || !(record->ring || is_mistaken(record)))
        return true;
    if (!wr_alarm_out_has_room(settling->out))
        return false;
    tell(settling, condition ? WR_ALARM_RAISED : WR_ALARM_CLEARED, 0, NULL);
    record->ring = false;
    return true;
}

bool wr_annunciated_settle(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_now *now,
                           struct wr_alarm_out *out) {
    struct wr_annunciator_view view;
    annunciator->host.look(annunciator->host.user, record->alarm, &view);
    struct settling settling = {.annunciator = annunciator, .record = record, .now = now, .out = out, .labels = view.labels};
    bool done = unshelve(&settling) && follow_causes(&settling) &&
                follow(&settling, WR_ALARM_SILENT_INVALID, record->invalid, "valid_if") && back_off(&settling) && ring_again(&settling) &&
                pay(&settling);
    if (!done) {
        wr_annunciated_arm_at(annunciator, record, now->boot_ns);
        return false;
    }
    if (wr_annunciated_is_idle(record) && wr_clock_add_ns(wr_annunciated_last(record), WR_ANNUNCIATOR_REST_NS) <= now->boot_ns)
        wr_annunciated_drop(annunciator, record, now);
    else
        wr_annunciated_arm(annunciator, record, now);
    return true;
}
