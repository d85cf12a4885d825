/* What the files of the shadow share: shadow.c runs, shadow_report.c tells. */
#ifndef WEIR_RULES_SHADOW_SHADOW_PRIVATE_H
#define WEIR_RULES_SHADOW_SHADOW_PRIVATE_H

#include "rules/shadow/shadow.h"

#define WR_SHADOW_ROOM 8 /* entries at once: an evaluator keeps what finds none */

struct wr_shadow {
    const struct wr_series_table *series;
    struct wr_evaluator *evaluator;
    struct wr_shadow_table *table;
    uint32_t rules;
    uint32_t attached;
    uint32_t alarms_seen; /* cursor over those in force */
    bool found;           /* all of them */
    uint64_t readings;
    uint64_t skipped;
    int64_t since_wall_ns;
    struct wr_alarm_out out;
    struct wr_alarm_entry room[WR_SHADOW_ROOM];
};

#endif
