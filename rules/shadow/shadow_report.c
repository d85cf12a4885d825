/* What the shadow tells of itself. */
#include <inttypes.h>
#include <string.h>

#include "rules/shadow/shadow_private.h"

void wr_shadow_figures(const struct wr_shadow *shadow, struct wr_shadow_figures *ret_figures) {
    const struct wr_shadow_table *table = shadow->table;
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(shadow->evaluator, &stats);
    *ret_figures = (struct wr_shadow_figures){.rules = shadow->rules,
                                              .readings = shadow->readings,
                                              .skipped = shadow->skipped,
                                              .refused = stats.instances_refused + stats.no_memory,
                                              .sums = {table->sums[0], table->sums[1]},
                                              .differ = table->differ,
                                              .not_compared = table->not_compared,
                                              .since_wall_ns = shadow->since_wall_ns,
                                              .preparing = !shadow->found || shadow->attached < wr_series_count(shadow->series)};
}

/* -- JSON ---------------------------------------------------------------------------------------------------------------------------------- */

static const char *const sides[WR_SHADOW_SIDES] = {[WR_SHADOW_IN_FORCE] = "in_force", [WR_SHADOW_BESIDE] = "shadow"};

static void sum_json(struct wr_json *json, const char *name, const struct wr_shadow_sum *sum, bool known) {
    if (!known) {
        wr_json_null(json, name);
        return;
    }
    wr_json_object(json, name);
    wr_json_uint(json, "raised", sum->raised);
    wr_json_uint(json, "cleared", sum->cleared);
    wr_json_uint(json, "active", sum->active);
    wr_json_object_end(json);
}

static uint32_t rules_json(const struct wr_shadow_table *table, uint32_t most, struct wr_json *json) {
    uint32_t left_out = 0;
    wr_json_array(json, "rules_that_differ");
    for (uint32_t i = 0; i < table->n_rules; i++) {
        const struct wr_shadow_rule *rule = &table->rules[i];
        if (rule->differ == 0)
            continue;
        if (most == 0) {
            left_out++;
            continue;
        }
        most--;
        wr_json_object(json, NULL);
        wr_json_string(json, "rule", rule->name);
        for (int side = 0; side < WR_SHADOW_SIDES; side++)
            sum_json(json, sides[side], &rule->sums[side], rule->known[side]);
        wr_json_uint(json, "alarms_that_differ", rule->differ);
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
    return left_out;
}

static uint32_t alarms_json(const struct wr_shadow_table *table, uint32_t most, struct wr_json *json) {
    uint32_t left_out = 0;
    wr_json_array(json, "alarms");
    for (uint32_t i = 0; i < table->n_alarms; i++) {
        const struct wr_shadow_alarm *alarm = &table->alarms[i];
        if (!wr_shadow_alarm_differs(alarm))
            continue;
        if (most == 0) {
            left_out++;
            continue;
        }
        most--;
        wr_json_object(json, NULL);
        wr_json_string(json, "rule", table->rules[alarm->rule].name);
        wr_json_string(json, "instance", alarm->instance);
        for (int side = 0; side < WR_SHADOW_SIDES; side++) {
            wr_json_object(json, sides[side]);
            wr_json_uint(json, "raised", alarm->raised[side]);
            wr_json_bool(json, "active", alarm->active[side]);
            wr_json_object_end(json);
        }
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
    return left_out;
}

void wr_shadow_json(const struct wr_shadow *shadow, uint32_t most, struct wr_json *json) {
    struct wr_shadow_figures figures;
    wr_shadow_figures(shadow, &figures);
    wr_json_uint(json, "rules", figures.rules);
    wr_json_time(json, "since_ns", "since", figures.since_wall_ns);
    wr_json_bool(json, "preparing", figures.preparing);
    wr_json_uint(json, "readings", figures.readings);
    wr_json_uint(json, "skipped", figures.skipped);
    wr_json_uint(json, "refused", figures.refused);
    for (int side = 0; side < WR_SHADOW_SIDES; side++)
        sum_json(json, sides[side], &figures.sums[side], true);
    wr_json_uint(json, "alarms_that_differ", figures.differ);
    wr_json_uint(json, "not_compared", figures.not_compared);
    const uint32_t rules_left_out = rules_json(shadow->table, most, json);
    const uint32_t alarms_left_out = alarms_json(shadow->table, most, json);
    wr_json_uint(json, "rules_left_out", rules_left_out);
    wr_json_uint(json, "alarms_left_out", alarms_left_out);
}

/* -- lines --------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result sum_text(const char *before, const struct wr_shadow_sum *sum, struct wr_buf *into) {
    return wr_buf_printf(into, "%s raised %" PRIu64 ", cleared %" PRIu64 ", active %" PRIu32, before, sum->raised, sum->cleared,
                         sum->active);
}

static enum wr_result rule_text(const struct wr_shadow_rule *rule, struct wr_buf *into) {
    WR_TRY(wr_buf_printf(into, "  %s:", rule->name));
    if (rule->known[WR_SHADOW_IN_FORCE])
        WR_TRY(sum_text(" in force", &rule->sums[WR_SHADOW_IN_FORCE], into));
    else
        WR_TRY(wr_buf_text(into, " not in force"));
    if (rule->known[WR_SHADOW_BESIDE])
        WR_TRY(sum_text("; shadow", &rule->sums[WR_SHADOW_BESIDE], into));
    else
        WR_TRY(wr_buf_text(into, "; not in the shadow"));
    return wr_buf_text(into, "\n");
}

/* Labels come from whoever sends readings: what a terminal would obey is escaped. */
static enum wr_result alarm_text(const struct wr_shadow_table *table, const struct wr_shadow_alarm *alarm, struct wr_buf *into) {
    char instance[4 * WR_SHADOW_INSTANCE_BYTES];
    wr_error_escape(instance, sizeof instance, alarm->instance, strlen(alarm->instance));
    WR_TRY(wr_buf_printf(into, "  %s{%s}:", table->rules[alarm->rule].name, instance));
    for (int side = 0; side < WR_SHADOW_SIDES; side++)
        WR_TRY(wr_buf_printf(into, "%s raised %" PRIu32 "%s", side == WR_SHADOW_IN_FORCE ? " in force" : "; shadow", alarm->raised[side],
                             alarm->active[side] ? ", active" : ""));
    return wr_buf_text(into, "\n");
}

static enum wr_result differences_text(const struct wr_shadow_table *table, uint32_t most, struct wr_buf *into) {
    uint32_t shown = 0, left_out = 0;
    WR_TRY(wr_buf_text(into, "rules that differ\n"));
    for (uint32_t i = 0; i < table->n_rules; i++)
        if (table->rules[i].differ > 0 && (shown < most ? (shown++, true) : (left_out++, false)))
            WR_TRY(rule_text(&table->rules[i], into));
    if (left_out > 0)
        WR_TRY(wr_buf_printf(into, "  ... and %" PRIu32 " more\n", left_out));
    shown = left_out = 0;
    WR_TRY(wr_buf_text(into, "alarms that differ\n"));
    for (uint32_t i = 0; i < table->n_alarms; i++)
        if (wr_shadow_alarm_differs(&table->alarms[i]) && (shown < most ? (shown++, true) : (left_out++, false)))
            WR_TRY(alarm_text(table, &table->alarms[i], into));
    return left_out > 0 ? wr_buf_printf(into, "  ... and %" PRIu32 " more\n", left_out) : WR_OK;
}

enum wr_result wr_shadow_text(const struct wr_shadow *shadow, uint32_t most, struct wr_buf *into) {
    struct wr_shadow_figures figures;
    char since[32];
    wr_shadow_figures(shadow, &figures);
    WR_TRY(wr_buf_printf(into, "%" PRIu32 " rules since %s%s: %" PRIu64 " readings seen, %" PRIu64 " skipped, %" PRIu64 " refused\n",
                         figures.rules, wr_clock_format(since, sizeof since, figures.since_wall_ns),
                         figures.preparing ? ", still preparing" : "", figures.readings, figures.skipped, figures.refused));
    WR_TRY(sum_text("in force: ", &figures.sums[WR_SHADOW_IN_FORCE], into));
    WR_TRY(sum_text("\nshadow:   ", &figures.sums[WR_SHADOW_BESIDE], into));
    WR_TRY(
        wr_buf_printf(into, "\n%" PRIu32 " alarms differ, %" PRIu64 " transitions not compared\n", figures.differ, figures.not_compared));
    return figures.differ > 0 ? differences_text(shadow->table, most, into) : WR_OK;
}
