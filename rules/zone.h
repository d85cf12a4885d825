/* Time zones: local time from wall time, by the system's tzdata.
 *
 * Threads: immutable, so any.
 */
#ifndef WEIR_RULES_ZONE_H
#define WEIR_RULES_ZONE_H

#include <stdint.h>

struct wr_zone;

struct wr_zone_time {
    int hour;    /* 0 to 23 */
    int weekday; /* 1 Monday to 7 Sunday */
};

/* NULL: UTC. */
struct wr_zone_time wr_zone_local(const struct wr_zone *zone, int64_t wall_ns);

#endif
