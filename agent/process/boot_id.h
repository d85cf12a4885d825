/* Which boot of the machine this is: what makes boot times comparable. It stands in the header of each segment, beside the boot time of its cut.
 *
 * Linux makes one at each boot (/proc/sys/kernel/random/boot_id); a container sees that of its host, whose boot time it has as well. Where it cannot be
 * read, a random one stands for it: then each run of the agent is a boot of its own, and no two are mixed up.
 *
 * Threads: any.
 */
#ifndef WEIR_AGENT_PROCESS_BOOT_ID_H
#define WEIR_AGENT_PROCESS_BOOT_ID_H

#include <stdint.h>

#include "core/clock.h"

#define WR_BOOT_ID_BYTES 16
#define WR_BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* file: WR_BOOT_ID_FILE, a UUID in text. Never all zero, which would mean that nobody knows. */
void wr_boot_id_read(const char *file, const struct wr_clock *clock, uint8_t ret_id[WR_BOOT_ID_BYTES]);

#endif
