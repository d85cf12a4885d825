/* What can be counted: the figures of ISA-18.2, memory, and the invariants. */
#include <math.h>

#include "rules/alarms/annunciator_private.h"

static void count(const struct wr_annunciated *record, const struct wr_now *now, struct wr_alarm_kpis *kpis) {
    kpis->stale += wr_annunciated_condition(record->state) && now->boot_ns - record->active_boot_ns > WR_KPI_STALE_NS;
    kpis->chattering += record->chatter_until_boot_ns != 0;
    kpis->shelved += record->shelved != NULL;
    kpis->out_of_service += record->out_of_service != NULL;
    kpis->suppressed += (record->silent & (WR_ALARM_SILENT_SUPPRESSED | WR_ALARM_SILENT_INVALID)) != 0;
    if (wr_alarm_state_wants_ack((enum wr_alarm_state)record->state))
        kpis->unacked_max_age_s = fmax(kpis->unacked_max_age_s, (double)(now->boot_ns - record->unacked_boot_ns) / (double)WR_NS_PER_S);
}

bool wr_annunciator_measure(const struct wr_annunciator *annunciator, uint32_t *cursor, uint32_t max, const struct wr_now *now,
                            struct wr_alarm_kpis *kpis) {
    if (*cursor == 0) {
        *kpis = (struct wr_alarm_kpis){0};
        if (annunciator->kpi->began_boot_ns == WR_NEVER_NS)
            wr_alarm_kpi_init(annunciator->kpi, now->boot_ns);
        wr_alarm_kpi_read(annunciator->kpi, now->boot_ns, kpis);
    }
    for (uint32_t i = 0; i < max && *cursor < annunciator->records.fresh; i++) {
        const struct wr_annunciated *record = wr_annunciated_at(annunciator, (*cursor)++);
        if (record->alarm != WR_ANNUNCIATOR_NONE)
            count(record, now, kpis);
    }
    return *cursor < annunciator->records.fresh;
}

void wr_annunciator_stats(const struct wr_annunciator *annunciator, struct wr_annunciator_stats *ret_stats) {
    *ret_stats = (struct wr_annunciator_stats){
        .records = annunciator->records.in_use,
        .causes = annunciator->causes.in_use,
        .refused = annunciator->refused,
        .bytes = sizeof *annunciator + sizeof *annunciator->kpi + annunciator->records.bytes + annunciator->causes.bytes +
                 annunciator->cap_alarms * sizeof *annunciator->record_of + annunciator->timers.ids * (sizeof(struct wr_timer) + 4) +
                 annunciator->n_tuples * sizeof(struct wr_tuple) + annunciator->n_notes * sizeof(struct wr_note),
    };
    for (uint32_t i = 0; i < annunciator->n_tuples; i++)
        ret_stats->tuples += annunciator->tuples[i]->in_use;
}

size_t wr_annunciator_bytes_per_alarm(void) {
    return sizeof(struct wr_annunciated) + sizeof(struct wr_timer) + 2 * sizeof(uint32_t) + sizeof(struct wr_cause);
}

size_t wr_annunciator_bytes(const struct wr_ruleset *rules) {
    size_t bytes = sizeof(struct wr_annunciator) + sizeof(struct wr_alarm_kpi) + WR_ANNUNCIATOR_NOTES * sizeof(struct wr_note) +
                   2 * (WR_ANNUNCIATOR_ALARMS >> WR_SLAB_SHIFT) * 2 * sizeof(void *) + WR_CAUSE_BUCKETS * sizeof(uint32_t);
    uint32_t stamps = 0;
    for (uint32_t i = 0; i < rules->n_groups; i++)
        stamps = rules->groups[i].flood_start > stamps ? rules->groups[i].flood_start : stamps;
    if (rules->n_groups > 0)
        bytes += WR_ANNUNCIATOR_TUPLES * (sizeof(struct wr_tuple) + sizeof(void *) + sizeof(struct wr_timer) + stamps * sizeof(int64_t));
    return bytes;
}

/* A5: whatever is owed now must be armed, at whichever time. */
static bool is_armed(const struct wr_timer_heap *timers, uint32_t id, int64_t due_boot_ns) {
    return due_boot_ns == WR_NEVER_NS ||
           (timers->position[id] != WR_TIMER_NONE && timers->heap[timers->position[id]].due_boot_ns <= due_boot_ns);
}

static bool record_is_valid(const struct wr_annunciator *annunciator, uint32_t index) {
    const struct wr_annunciated *record = wr_annunciated_at(annunciator, index);
    if (record->alarm == WR_ANNUNCIATOR_NONE)
        return true;
    bool shelved = (record->silent & WR_ALARM_SILENT_SHELVED) != 0;
    bool out_of_service = (record->silent & WR_ALARM_SILENT_OUT_OF_SERVICE) != 0;
    bool chatters = (record->silent & WR_ALARM_SILENT_CHATTERING) != 0;
    bool grouped = (record->silent & WR_ALARM_SILENT_GROUPED) != 0;
    return record->alarm < annunciator->cap_alarms && annunciator->record_of[record->alarm] == index && /* A1 */
           shelved == (record->shelved != NULL) && out_of_service == (record->out_of_service != NULL) &&
           chatters == (record->chatter_until_boot_ns != 0) && !(grouped && record->severity >= WR_SEVERITY_HIGH) && /* A2 */
           !(grouped && record->tuple == WR_ANNUNCIATOR_NONE) &&                                                     /* A7 */
           is_armed(&annunciator->timers, index, wr_annunciated_due(record, WR_NEVER_NS - 1)) &&                     /* A5 */
           record->causing == wr_annunciated_condition(record->state) &&
           (record->tuple == WR_ANNUNCIATOR_NONE || (record->silent & WR_SILENT_HARD) == 0);
}

/* A3, A5 */
static bool tuple_is_valid(const struct wr_annunciator *annunciator, uint32_t index) {
    const struct wr_tuple *tuple = annunciator->tuples[index];
    uint32_t active = 0, unacked = 0;
    for (uint32_t i = 0; i < annunciator->records.fresh; i++) {
        const struct wr_annunciated *record = wr_annunciated_at(annunciator, i);
        if (record->alarm == WR_ANNUNCIATOR_NONE || record->tuple != index)
            continue;
        active++;
        unacked += wr_alarm_state_wants_ack((enum wr_alarm_state)record->state);
    }
    return tuple->index == index && tuple->active == active && tuple->unacked == unacked && (tuple->in_use || active == 0) &&
           (!tuple->in_use || is_armed(&annunciator->tuple_timers, index, wr_notice_due(annunciator, tuple)));
}

bool wr_annunciator_is_valid(const struct wr_annunciator *annunciator) {
    uint32_t notes = 0;
    for (uint32_t i = 0; i < annunciator->records.fresh; i++) {
        const struct wr_annunciated *record = wr_annunciated_at(annunciator, i);
        if (!record_is_valid(annunciator, i))
            return false;
        if (record->alarm != WR_ANNUNCIATOR_NONE)
            notes += (uint32_t)(record->shelved != NULL) + (uint32_t)(record->out_of_service != NULL);
    }
    if (notes != annunciator->n_notes)
        return false;
    for (uint32_t i = 0; i < annunciator->n_tuples; i++)
        if (!tuple_is_valid(annunciator, i))
            return false;
    return wr_suppress_is_valid(annunciator) && wr_timer_is_valid(&annunciator->timers) && wr_timer_is_valid(&annunciator->tuple_timers) &&
           wr_timer_is_valid(&annunciator->cause_timers);
}
