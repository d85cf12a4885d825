/* The figures of an alarm system: how many alarms people get, of which severity, from how few sources, in floods or not.
 *
 *   rate_10m        alarms told in the last ten minutes
 *   flood_pct       share of the ten-minute periods of the last day in which more than ten were told
 *   top10_share     share of the ten most frequent alarms in all that were told, a raise of a day ago counting half
 *   priority_mix    share of each severity, counted likewise
 *   and, from the alarms as they are now: stale (true for more than a day), chattering, unacked_max_age
 *
 * The most frequent are found with a fixed number of counters (Space-Saving: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and
 * top-k elements in data streams", 2005): exact while at most WR_KPI_COUNTERS different alarms are told, else the share is at most 10 / WR_KPI_COUNTERS too high. They decay by
 * the method of Cormode, Shkapenyuk, Srivastava and Xu, "Forward decay", 2009.
 *
 * Source: ISA-18.2 / IEC 62682, clause on monitoring and assessment, for what is counted.
 * Threads: the engine's. Memory: sizeof(struct wr_alarm_kpi). Units: boot time ns; shares in percent.
 */
#ifndef WEIR_RULES_ALARMS_ALARM_KPI_H
#define WEIR_RULES_ALARMS_ALARM_KPI_H

#include <stdint.h>

#include "core/alarm.h"
#include "core/clock.h"

#define WR_KPI_COUNTERS 128
#define WR_KPI_PERIOD_NS (600 * WR_NS_PER_S)
#define WR_KPI_SLOT_NS (10 * WR_NS_PER_S)
#define WR_KPI_SLOTS 60    /* of ten seconds: rate_10m is exact to one of them */
#define WR_KPI_PERIODS 144 /* of ten minutes: a day */
#define WR_KPI_FLOOD 10    /* more than so many alarms in ten minutes are too many for one person */
#define WR_KPI_STALE_NS (86400 * WR_NS_PER_S)
#define WR_KPI_SEVERITIES 4

struct wr_alarm_kpi {
    int64_t began_boot_ns; /* 0: nothing was told yet, and no time has passed */
    int64_t slot;          /* the present one, since began */
    uint32_t slots[WR_KPI_SLOTS];
    uint32_t periods[WR_KPI_PERIODS];
    double severities[WR_KPI_SEVERITIES]; /* decayed to decayed_boot_ns */
    int64_t decayed_boot_ns;
    uint32_t n_counters;
    struct wr_kpi_counter {
        uint64_t alarm;
        double count;
    } counters[WR_KPI_COUNTERS];
};

struct wr_alarm_kpis {
    uint32_t rate_10m;
    double flood_pct;
    uint32_t stale;
    uint32_t chattering;
    double top10_share;
    double priority_mix[WR_KPI_SEVERITIES]; /* by enum wr_severity */
    double unacked_max_age_s;
    uint32_t shelved;
    uint32_t suppressed; /* by other alarms, or their valid_if */
    uint32_t out_of_service;
};

/* The clock begins to count. */
void wr_alarm_kpi_init(struct wr_alarm_kpi *kpi, int64_t boot_ns);
/* An alarm is told: raised, or escalated. */
void wr_alarm_kpi_told(struct wr_alarm_kpi *kpi, uint64_t alarm, enum wr_severity severity, int64_t boot_ns);
/* The figures of what was told; those of the present state stay as they are. */
void wr_alarm_kpi_read(struct wr_alarm_kpi *kpi, int64_t boot_ns, struct wr_alarm_kpis *ret_kpis);

#endif
