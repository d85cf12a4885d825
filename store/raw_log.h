/* Raw readings kept for a time, beside the outbox: files that are appended to, and removed as a whole (store/raw_files.h reads them).
 *
 * Promise: they are history only: never sent, in no book of the ledger (their windows are), and nothing waits for them. Their bytes on disk stay below bytes_max,
 * and the file system keeps its free floor: the oldest file goes first, before anything of the outbox does. Each byte is written once (a page that is filled later once more), without fsync: a power cut takes
 * what the kernel has not written, a crash of the agent nothing that was put. What could not be put, and what went before its age, is counted.
 * A file that cannot be written costs the readings of that call; the next call begins another one.
 *
 * Threads: one calls everything; the numbers of wr_raw_log_stats may be read by any thread. Ownership: the tables outlive it. It allocates with the first put.
 * Limits: WR_RAW_FILES files, each at most a sixteenth of bytes_max and of the age. Units: ns. Errors: WR_FULL, WR_IO, WR_NO_MEMORY: counted as missed.
 */
#ifndef WEIR_STORE_RAW_LOG_H
#define WEIR_STORE_RAW_LOG_H

#include <stdatomic.h>

#include "core/clock.h"
#include "core/reading.h"
#include "core/series.h"
#include "core/symbol.h"

#define WR_RAW_LOG_BYTES_MIN (UINT64_C(1) << 20)

struct wr_raw_log;

struct wr_raw_log_options {
    const char *directory; /* of the store; there has to be one */
    uint64_t bytes_max;    /* WR_RAW_LOG_BYTES_MIN at least */
    uint64_t free_floor_bytes;
    uint8_t boot_id[16];
    const struct wr_series_table *series;
    const struct wr_symbol_table *symbols;
};

struct wr_raw_log_stats {
    _Atomic uint64_t readings; /* put, since the start */
    _Atomic uint64_t missed;   /* not put */
    _Atomic uint64_t expired;  /* removed at their age */
    _Atomic uint64_t dropped;  /* removed before it, for want of space */
    _Atomic uint64_t written_bytes; /* since the start, in whole pages as the system writes them */
    _Atomic uint64_t bytes; /* on disk now */
};

WR_MUST_USE enum wr_result wr_raw_log_new(const struct wr_raw_log_options *options, struct wr_raw_log **ret_log, struct wr_error *err);
void wr_raw_log_free(struct wr_raw_log *log);

/* Appends n >= 1 readings, at most WR_SEGMENT_READINGS, in one write for most. times_moved: of some, to the present clock (store/walls.h). age_ns: how long they are
 * kept. */
WR_MUST_USE enum wr_result wr_raw_log_put(struct wr_raw_log *log, const struct wr_reading *readings, size_t n, bool times_moved,
                                          int64_t age_ns, const struct wr_now *now, struct wr_error *err);
/* Counts readings that never came here. */
void wr_raw_log_missed(struct wr_raw_log *log, uint64_t readings);
/* Removes files whose newest readings are older than age_ns (0: all), not by a clock that is not trusted, nor one that was not when they were written; and the oldest while the file system is below its floor. */
void wr_raw_log_expire(struct wr_raw_log *log, int64_t age_ns, const struct wr_now *now);

const struct wr_raw_log_stats *wr_raw_log_stats(const struct wr_raw_log *log);
/* What it takes in memory once it is used. */
size_t wr_raw_log_memory(void);

#endif
