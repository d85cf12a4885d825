/* The source `system`: the gateway itself, and the agent in it, as series that rules can watch.
 *
 * Each round reads /proc and /sys once, without allocation, and makes the samples of the wanted parts; percentages are those of the time between
 * two rounds, so that the first has none. docs/sources-system.md lists every series with its unit. The agent's own numbers, `weir.*`, are
 * those of /metrics, with the ledger of the store beside them.
 *
 * What a machine does not have (no swap, no sensors) gives no series. A file that cannot be read is reported once. A file larger than
 * WR_SYSTEM_FILE_BYTES is read as far as that. A file system that is asked for its space and does not answer (a dead disk) holds up this
 * source alone: rounds are skipped meanwhile, and a stop leaves the round that hangs, and its memory, behind.
 */
#ifndef WEIR_AGENT_SOURCES_SYSTEM_SOURCE_H
#define WEIR_AGENT_SOURCES_SYSTEM_SOURCE_H

#include "agent/sources/source.h"

#define WR_SYSTEM_FILE_BYTES 65536

extern const struct wr_source_ops wr_system_source_ops;

/* For tests: other roots than /proc and /sys, for sources that are created from now on. NULL: the real one. */
void wr_system_source_roots(const char *proc, const char *sys);
/* For tests: what is asked in place of statvfs. NULL: that. */
struct statvfs;
void wr_system_source_space(int (*ask)(const char *path, struct statvfs *ret_space));

#endif
