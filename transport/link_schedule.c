#include "transport/link_schedule.h"

#include <string.h>

#include "core/clock.h"
#include "core/fingerprint.h"

void wr_link_schedule_init(struct wr_link_schedule *schedule, const char *node, int64_t every_ns, int64_t open_ns) {
    *schedule = (struct wr_link_schedule){.every_ns = every_ns, .open_ns = open_ns};
    if (every_ns == 0)
        return;
    uint64_t hash = wr_fingerprint_add(WR_FINGERPRINT_START, node, strlen(node));
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* names differ in their last letter: as SplitMix64 */
    schedule->place_ns = (int64_t)((hash ^ hash >> 31) % (uint64_t)every_ns);
}

bool wr_link_schedule_is_open(const struct wr_link_schedule *schedule, int64_t now_boot_ns, int64_t *ret_change_boot_ns) {
    *ret_change_boot_ns = WR_NEVER_NS;
    if (schedule->every_ns == 0)
        return true;
    const int64_t into_ns = (now_boot_ns + schedule->every_ns - schedule->place_ns) % schedule->every_ns;
    const bool open = into_ns < schedule->open_ns;
    const int64_t first_end_ns = wr_clock_add_ns(schedule->start_boot_ns, schedule->open_ns);
    int64_t change_ns = wr_clock_add_ns(now_boot_ns, (open ? schedule->open_ns : schedule->every_ns) - into_ns);
    if (now_boot_ns < first_end_ns && !open) /* the first time after the start; a stretch that begins in it goes on after it */
        change_ns = first_end_ns < change_ns ? first_end_ns : wr_clock_add_ns(change_ns, schedule->open_ns);
    else if (open && change_ns < first_end_ns)
        change_ns = first_end_ns;
    *ret_change_boot_ns = change_ns;
    return open || now_boot_ns < first_end_ns;
}
