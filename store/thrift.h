/* Sparing the flash: `write_budget`, the bytes that may go to the device in a day.
 *
 * What is written is counted where it is (written.h; raw readings beside the database by raw_log.h), and compared with the budget by core/budget.h. As that grows tight:
 *   sparing   acknowledgements go with segments, or after WR_STORE_ACKS_AGE_NS, however many wait; a commit takes all lanes along; a full segment waits for more or for
 *             max_loss; gap records wait a minute longer for a commit to go with
 *   slow, spent   the pressure is raised as well: windows that open are longer (stats.write_level says it, agent/loops/store_loop.c acts)
 * max_loss is never stretched, alarms never wait for it, and nothing is refused: what has to be written is written, and counted. Each step ends by itself (G4).
 * What the first start reserves is no part of it. The count goes to disk with commits that are made anyway, every WR_THRIFT_SAVE_NS at most: a kill forgets so much of it.
 *
 * Threads: the store's.
 */
#ifndef WEIR_STORE_THRIFT_H
#define WEIR_STORE_THRIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/budget.h"

#define WR_THRIFT_SAVE_NS (600 * WR_NS_PER_S)
#define WR_THRIFT_LOOK_NS                                                                                                                  \
    (3600 * WR_NS_PER_S) /* while nothing is spared and nothing is written: so that yesterday's count is not shown for long */

struct wr_store;

struct wr_thrift {
    struct wr_budget budget;
    uint64_t counted_bytes; /* of stats.written_bytes */
    uint64_t beside_bytes;  /* written by others, not counted yet */
    int64_t saved_boot_ns;
    bool began; /* the count of former runs is in it */
};

void wr_thrift_init(struct wr_store *store);
/* A database is open, its counts are loaded: what was written up to now is no part of the budget. */
void wr_thrift_start(struct wr_store *store, const struct wr_now *now);
/* Counts what was written since the last look. */
void wr_thrift_look(struct wr_store *store, const struct wr_now *now);
bool wr_thrift_spares(const struct wr_store *store);
/* When time alone may change something; WR_NEVER_NS. */
int64_t wr_thrift_due(const struct wr_store *store);
/* Whether the count goes with the commit at hand; it stands in its place of the store's counts then. */
bool wr_thrift_save(struct wr_store *store, bool must, const struct wr_now *now);
/* That commit is on disk. */
void wr_thrift_saved(struct wr_store *store);

#endif
