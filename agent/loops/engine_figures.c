#include "agent/loops/engine_figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/loops/engine_shadow.h"
#include "core/reading.h"
#include "rules/evaluator/evaluator.h"

/* scale: what the metric is of the series: base units there, what people say here. */
static const struct figure {
    const char *field; /* of the measurement weir */
    const char *metric;
    const char *help;
    double scale;
    uint8_t decimals;
} figures_of[WR_FIGURES] = {
    [WR_FIGURE_RATE_10M] = {"alarm_rate_10m", "weir_alarm_rate_10m", "Alarms told in the last ten minutes", 1, 0},
    [WR_FIGURE_FLOOD_PCT] = {"alarm_flood_pct", "weir_alarm_flood_ratio",
                             "Share of the ten-minute periods of the last day with more than ten alarms", 0.01, 1},
    [WR_FIGURE_STALE] = {"alarm_stale", "weir_alarms_stale", "Alarms whose condition has been true for more than a day", 1, 0},
    [WR_FIGURE_CHATTERING] = {"alarm_chattering", "weir_alarms_chattering", "Alarms that chatter", 1, 0},
    [WR_FIGURE_TOP10_SHARE] = {"alarm_top10_share", "weir_alarm_top10_ratio", "Share of the ten most frequent alarms in all that were told",
                               0.01, 1},
    [WR_FIGURE_MIX +
        WR_SEVERITY_LOW] = {"alarm_priority_mix", "weir_alarm_priority_ratio", "Share of a severity in all alarms that were told", 0.01, 1},
    [WR_FIGURE_MIX + WR_SEVERITY_MEDIUM] = {"alarm_priority_mix", "weir_alarm_priority_ratio", NULL, 0.01, 1},
    [WR_FIGURE_MIX + WR_SEVERITY_HIGH] = {"alarm_priority_mix", "weir_alarm_priority_ratio", NULL, 0.01, 1},
    [WR_FIGURE_MIX + WR_SEVERITY_CRITICAL] = {"alarm_priority_mix", "weir_alarm_priority_ratio", NULL, 0.01, 1},
    [WR_FIGURE_UNACKED_MAX_AGE] = {"alarm_unacked_max_age", "weir_alarm_unacked_max_age_seconds",
                                   "Age of the oldest alarm that nobody has acknowledged", 1, 0},
    [WR_FIGURE_SHELVED] = {"alarm_shelved", "weir_alarms_shelved", "Alarms that an operator has shelved", 1, 0},
    [WR_FIGURE_SUPPRESSED] = {"alarm_suppressed", "weir_alarms_suppressed", "Alarms that another alarm explains, or that are not valid", 1,
                              0},
    [WR_FIGURE_OUT_OF_SERVICE] = {"alarm_out_of_service", "weir_alarms_out_of_service", "Alarms that an operator has taken out of service",
                                  1, 0},
};

static bool is_mix(uint32_t figure) {
    return figure >= WR_FIGURE_MIX && figure < WR_FIGURE_MIX + WR_KPI_SEVERITIES;
}

static const char *severity_of(uint32_t figure) {
    return wr_severity_name((enum wr_severity)(figure - WR_FIGURE_MIX));
}

/* The series of a figure, made where it is new. WR_LIMIT, WR_NO_MEMORY: there are none left. */
static enum wr_result series_of(const struct wr_engine_figures *figures, uint32_t i, uint32_t *ret_series) {
    const struct figure *figure = &figures_of[i];
    struct wr_tag tag = {{"severity", 8}, {"", 0}};
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    if (is_mix(i))
        tag.value = (struct wr_word){severity_of(i), strlen(severity_of(i))};
    WR_TRY(wr_series_key_make((struct wr_word){"weir", 4}, (struct wr_word){figure->field, strlen(figure->field)}, &tag, is_mix(i), key,
                              &len, NULL));
    WR_TRY(wr_series_intern(figures->table, key, len, ret_series));
    (void)wr_series_fix_type(wr_series_get(figures->table, *ret_series), WR_TYPE_FLOAT);
    return WR_OK;
}

static void take(struct wr_engine_figures *figures) {
    const struct wr_alarm_kpis *kpis = &figures->kpis;
    double *values = figures->values;
    values[WR_FIGURE_RATE_10M] = kpis->rate_10m;
    values[WR_FIGURE_FLOOD_PCT] = kpis->flood_pct;
    values[WR_FIGURE_STALE] = kpis->stale;
    values[WR_FIGURE_CHATTERING] = kpis->chattering;
    values[WR_FIGURE_TOP10_SHARE] = kpis->top10_share;
    for (unsigned i = 0; i < WR_KPI_SEVERITIES; i++)
        values[WR_FIGURE_MIX + i] = kpis->priority_mix[i];
    values[WR_FIGURE_UNACKED_MAX_AGE] = kpis->unacked_max_age_s;
    values[WR_FIGURE_SHELVED] = kpis->shelved;
    values[WR_FIGURE_SUPPRESSED] = kpis->suppressed;
    values[WR_FIGURE_OUT_OF_SERVICE] = kpis->out_of_service;
    for (uint32_t i = 0; i < WR_FIGURES; i++) {
        const double step = figures_of[i].decimals == 0 ? 1 : 10;
        values[i] = round(values[i] * step) / step;
        figures->shown[i] = values[i] * figures_of[i].scale;
    }
    figures->left = figures->table ? WR_FIGURES : 0;
}

/* One after the other; what finds no room is told in the next turn. */
static void tell(struct wr_engine_figures *figures, struct wr_engine *engine, const struct wr_now *now, struct wr_alarm_out *alarms) {
    char name[64];
    for (; figures->left > 0; figures->left--) {
        const uint32_t i = WR_FIGURES - figures->left;
        struct wr_reading reading = {
            .event_ns = now->wall_ns, .value.f = figures->values[i], .type = WR_TYPE_FLOAT, .decimals = figures_of[i].decimals};
        snprintf(name, sizeof name, "weir.%s", figures_of[i].field);
        const bool in_force = wr_evaluator_reads(wr_engine_evaluator(engine), name);
        const bool beside = figures->shadow && wr_shadow_reads(figures->shadow->shadow, name);
        if ((!in_force && !beside) || series_of(figures, i, &reading.series) != WR_OK)
            continue;
        const struct wr_reading shown = reading;
        if (in_force && wr_engine_tell(engine, &reading, now, alarms) == WR_FULL)
            return;
        if (beside)
            wr_engine_shadow_tell(figures->shadow, &shown, now);
    }
}

void wr_engine_figures_turn(struct wr_engine_figures *figures, struct wr_engine *engine, const struct wr_now *now,
                            struct wr_alarm_out *alarms) {
    const struct wr_evaluator *evaluator = wr_engine_evaluator(engine);
    if (!evaluator)
        return;
    tell(figures, engine, now, alarms);
    if (!figures->measuring && now->boot_ns < figures->due_boot_ns)
        return;
    if (!figures->measuring) {
        figures->cursor = 0;
        figures->due_boot_ns = now->boot_ns + WR_FIGURES_EVERY_NS;
    }
    figures->measuring = wr_evaluator_measure(evaluator, &figures->cursor, WR_FIGURES_SLICE, now, &figures->kpis);
    if (figures->measuring)
        return;
    take(figures);
    tell(figures, engine, now, alarms);
}

/* -- metrics ------------------------------------------------------------------------------------------------------------------------------- */

static double read_shown(void *user) {
    return *(const _Atomic double *)user;
}

enum wr_result wr_engine_figures_metrics(struct wr_engine_figures *figures, struct wr_metrics *metrics, void *owner) {
    for (uint32_t i = 0; i < WR_FIGURES; i++) {
        const struct figure *figure = &figures_of[i];
        const char *help = is_mix(i) ? figures_of[WR_FIGURE_MIX].help : figure->help;
        char label[64] = "";
        if (is_mix(i))
            wr_metrics_label(label, sizeof label, "severity", severity_of(i));
        WR_TRY(wr_metrics_add_function(metrics, owner, WR_METRIC_GAUGE, figure->metric, help, is_mix(i) ? label : NULL, read_shown,
                                       &figures->shown[i]));
    }
    return WR_OK;
}
