/* When the uplink may be connected: for a part of each stretch of time, which an alarm overrides.
 *
 * Promise: open for `open_ns` of each `every_ns`, at a place in it that comes from the node's name, so that a fleet is spread over the time; and for `open_ns` from the start, so that
 * who installs a gateway sees it connect. The wall clock plays no part: a clock that is set moves nothing.
 * Threads: none; pure. Units: CLOCK_BOOTTIME ns. All zero: always open.
 */
#ifndef WEIR_TRANSPORT_LINK_SCHEDULE_H
#define WEIR_TRANSPORT_LINK_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define WR_LINK_LINGER_NS (10 * WR_NS_PER_S) /* after what was urgent: alarms come in groups */

struct wr_link_schedule {
    int64_t every_ns; /* 0: always open */
    int64_t open_ns;  /* < every_ns */
    int64_t place_ns; /* in a stretch, 0 .. every_ns - 1 */
    int64_t start_boot_ns;
};

void wr_link_schedule_init(struct wr_link_schedule *schedule, const char *node, int64_t every_ns, int64_t open_ns);
/* Whether it is open; nothing changes before *ret_change_boot_ns; WR_NEVER_NS: nothing ever does. */
bool wr_link_schedule_is_open(const struct wr_link_schedule *schedule, int64_t now_boot_ns, int64_t *ret_change_boot_ns);

#endif
