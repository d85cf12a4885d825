#include "rules/alarms/alarm_kpi.h"

#include <math.h>
#include <string.h>

#define SLOTS_PER_PERIOD (WR_KPI_PERIOD_NS / WR_KPI_SLOT_NS)
#define DECAY_STEP_NS (60 * WR_NS_PER_S) /* counts are made smaller once a minute at most */

void wr_alarm_kpi_init(struct wr_alarm_kpi *kpi, int64_t boot_ns) {
    *kpi = (struct wr_alarm_kpi){.began_boot_ns = boot_ns, .decayed_boot_ns = boot_ns};
}

/* Empties what time has passed by. */
static void move_to(struct wr_alarm_kpi *kpi, int64_t boot_ns) {
    int64_t slot = (boot_ns - kpi->began_boot_ns) / WR_KPI_SLOT_NS;
    if (slot <= kpi->slot)
        return;
    int64_t period = slot / SLOTS_PER_PERIOD;
    int64_t old_period = kpi->slot / SLOTS_PER_PERIOD;
    for (int64_t i = kpi->slot + 1; i <= slot && i <= kpi->slot + WR_KPI_SLOTS; i++)
        kpi->slots[i % WR_KPI_SLOTS] = 0;
    for (int64_t i = old_period + 1; i <= period && i <= old_period + WR_KPI_PERIODS; i++)
        kpi->periods[i % WR_KPI_PERIODS] = 0;
    kpi->slot = slot;
}

static void decay_to(struct wr_alarm_kpi *kpi, int64_t boot_ns) {
    if (boot_ns - kpi->decayed_boot_ns < DECAY_STEP_NS)
        return;
    double factor = exp2(-(double)(boot_ns - kpi->decayed_boot_ns) / (double)(WR_KPI_PERIODS * WR_KPI_PERIOD_NS));
    for (uint32_t i = 0; i < kpi->n_counters; i++)
        kpi->counters[i].count *= factor;
    for (unsigned i = 0; i < WR_KPI_SEVERITIES; i++)
        kpi->severities[i] *= factor;
    kpi->decayed_boot_ns = boot_ns;
}

/* Space-Saving: an alarm without a counter takes that of the rarest, with its count. */
static struct wr_kpi_counter *counter_of(struct wr_alarm_kpi *kpi, uint64_t alarm) {
    uint32_t rarest = 0;
    for (uint32_t i = 0; i < kpi->n_counters; i++) {
        if (kpi->counters[i].alarm == alarm)
            return &kpi->counters[i];
        if (kpi->counters[i].count < kpi->counters[rarest].count)
            rarest = i;
    }
    if (kpi->n_counters < WR_KPI_COUNTERS) {
        rarest = kpi->n_counters++;
        kpi->counters[rarest].count = 0;
    }
    kpi->counters[rarest].alarm = alarm;
    return &kpi->counters[rarest];
}

void wr_alarm_kpi_told(struct wr_alarm_kpi *kpi, uint64_t alarm, enum wr_severity severity, int64_t boot_ns) {
    move_to(kpi, boot_ns);
    decay_to(kpi, boot_ns);
    kpi->slots[kpi->slot % WR_KPI_SLOTS]++;
    kpi->periods[kpi->slot / SLOTS_PER_PERIOD % WR_KPI_PERIODS]++;
    if ((unsigned)severity < WR_KPI_SEVERITIES)
        kpi->severities[severity]++;
    counter_of(kpi, alarm)->count++;
}

/* The sum of the ten largest counters. */
static double top10(const struct wr_alarm_kpi *kpi) {
    double top[10] = {0};
    for (uint32_t i = 0; i < kpi->n_counters; i++) {
        double count = kpi->counters[i].count;
        for (unsigned k = 0; k < 10; k++)
            if (count > top[k]) {
                double smaller = top[k];
                top[k] = count;
                count = smaller;
            }
    }
    double sum = 0;
    for (unsigned k = 0; k < 10; k++)
        sum += top[k];
    return sum;
}

void wr_alarm_kpi_read(struct wr_alarm_kpi *kpi, int64_t boot_ns, struct wr_alarm_kpis *ret_kpis) {
    move_to(kpi, boot_ns);
    decay_to(kpi, boot_ns);
    ret_kpis->rate_10m = 0;
    for (unsigned i = 0; i < WR_KPI_SLOTS; i++)
        ret_kpis->rate_10m += kpi->slots[i];
    int64_t n = kpi->slot / SLOTS_PER_PERIOD + 1; /* the present one counts too */
    int64_t floods = 0;
    for (unsigned i = 0; i < WR_KPI_PERIODS; i++)
        floods += kpi->periods[i] > WR_KPI_FLOOD;
    ret_kpis->flood_pct = 100.0 * (double)floods / (double)(n < WR_KPI_PERIODS ? n : WR_KPI_PERIODS);
    double all = 0;
    for (unsigned i = 0; i < WR_KPI_SEVERITIES; i++)
        all += kpi->severities[i];
    ret_kpis->top10_share = all > 0 ? fmin(100, 100 * top10(kpi) / all) : 0;
    for (unsigned i = 0; i < WR_KPI_SEVERITIES; i++)
        ret_kpis->priority_mix[i] = all > 0 ? 100 * kpi->severities[i] / all : 0;
}
