#include "rules/shadow/shadow_private.h"

#include <stdlib.h>

#include "core/reading.h"

enum wr_result wr_shadow_new(struct wr_ruleset *rules, const struct wr_ruleset *in_force, const struct wr_series_table *series,
                             const struct wr_symbol_table *symbols, const struct wr_now *now, struct wr_shadow **ret_shadow,
                             struct wr_error *err) {
    struct wr_shadow *shadow = calloc(1, sizeof *shadow);
    if (!shadow)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for shadow rules");
    shadow->series = series;
    shadow->rules = wr_ruleset_count(rules);
    shadow->since_wall_ns = now->wall_ns;
    shadow->out = (struct wr_alarm_out){.entries = shadow->room, .cap = WR_SHADOW_ROOM};
    enum wr_result result = wr_evaluator_new(rules, series, symbols, &shadow->evaluator, err);
    if (result == WR_OK && wr_shadow_table_new(rules, in_force, &shadow->table) != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for shadow rules");
    if (result == WR_OK)
        *ret_shadow = shadow;
    else
        wr_shadow_free(shadow);
    return result;
}

void wr_shadow_free(struct wr_shadow *shadow) {
    if (!shadow)
        return;
    wr_evaluator_free(shadow->evaluator);
    wr_shadow_table_free(shadow->table);
    free(shadow);
}

bool wr_shadow_reads(const struct wr_shadow *shadow, const char *name) {
    return wr_evaluator_reads(shadow->evaluator, name);
}

/* -- what it would have done --------------------------------------------------------------------------------------------------------------- */

/* Here its transitions end. */
static void drain(struct wr_shadow *shadow) {
    for (uint32_t i = 0; i < shadow->out.n; i++)
        wr_shadow_table_take(shadow->table, WR_SHADOW_BESIDE, &shadow->room[i].alarm);
    shadow->out.n = 0;
}

void wr_shadow_saw(struct wr_shadow *shadow, const struct wr_alarm *alarm) {
    wr_shadow_table_take(shadow->table, WR_SHADOW_IN_FORCE, alarm);
}

/* -- what it sees -------------------------------------------------------------------------------------------------------------------------- */

/* The next series that it does not know. False: there are none, or no memory for them. */
static bool attach(struct wr_shadow *shadow, const struct wr_now *now) {
    const uint32_t before = shadow->attached, count = wr_series_count(shadow->series);
    if (before >= count)
        return false;
    const uint32_t end = count - before > WR_SHADOW_SLICE_SERIES ? before + WR_SHADOW_SLICE_SERIES : count;
    shadow->attached = wr_evaluator_attach(shadow->evaluator, end, now);
    return shadow->attached > before;
}

bool wr_shadow_prepare(struct wr_shadow *shadow, const struct wr_evaluator *in_force, const struct wr_now *now) {
    struct wr_alarm_entry entry;
    const bool attached = attach(shadow, now);
    for (unsigned i = 0; in_force && i < WR_SHADOW_SLICE_ALARMS && !shadow->found; i++) {
        const enum wr_evaluator_look look = wr_evaluator_look_alarm(in_force, false, NULL, &shadow->alarms_seen, &entry);
        shadow->found = look == WR_EVALUATOR_END;
        if (look == WR_EVALUATOR_ALARM)
            wr_shadow_table_find(shadow->table, &entry.alarm);
    }
    return (attached && shadow->attached < wr_series_count(shadow->series)) || (in_force && !shadow->found);
}

void wr_shadow_take(struct wr_shadow *shadow, const struct wr_reading *seen, int64_t arrival_boot_ns, const struct wr_now *now) {
    /* New ones, here and there; many at once come with wr_shadow_prepare, between two looks at the clock. */
    if (seen->series >= shadow->attached && seen->series - shadow->attached < WR_SHADOW_SLICE_SERIES)
        (void)attach(shadow, now);
    if (seen->series >= shadow->attached) {
        shadow->skipped++;
        return;
    }
    struct wr_reading reading = *seen; /* its quality may become bad here, and stays as it is elsewhere */
    const double number = wr_reading_number((enum wr_type)reading.type, reading.value);
    struct wr_evaluator_band *band = &wr_evaluator_bands(shadow->evaluator)[reading.series];
    shadow->readings++;
    if (reading.quality != WR_QUALITY_BAD && wr_evaluator_quiet(band, number, arrival_boot_ns))
        return;
    while (wr_evaluator_take(shadow->evaluator, &reading, arrival_boot_ns, now, &shadow->out) == WR_FULL)
        drain(shadow);
    drain(shadow);
}

void wr_shadow_skip(struct wr_shadow *shadow, uint64_t readings) {
    shadow->skipped += readings;
}

bool wr_shadow_timers(struct wr_shadow *shadow, const struct wr_now *now, uint32_t max) {
    bool more = false;
    const enum wr_result result = wr_evaluator_timers(shadow->evaluator, now, max, &shadow->out, &more);
    drain(shadow);
    return result == WR_FULL || more;
}

int64_t wr_shadow_next_timer(const struct wr_shadow *shadow) {
    return wr_evaluator_next_timer(shadow->evaluator);
}

size_t wr_shadow_bytes(uint32_t n_rules) {
    return sizeof(struct wr_shadow) + wr_shadow_table_bytes(n_rules);
}
