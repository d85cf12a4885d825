/* Salvage: what a broken store still holds comes into the present one, in the background.
 *
 * Promise: each segment that is whole in the newest database that lies aside (store/aside.c), and of which nobody knows that it was acknowledged, becomes
 * a row of the present store, once. Its body stays as it is, so it goes upstream under its own key; its row has a seq of this store, under which it is
 * offered, acknowledged, evicted and kept as history like any other: the invariants S1 to S6 know nothing of it. Its readings are booked
 * as recovered and stored, in the same transaction, and gap records tell of them (store/gaps.c).
 * What it knew of the clocks of former boots comes first (store/boots.c): so what an unset clock stamped leaves corrected, as it would have done there.
 * What is older than its lane keeps anything (store/keep.h) is not taken: it stays dropped(store).
 * A receiver that drops known keys has each reading once, also where an acknowledgement could not be read.
 *
 * How far it is stands in `meta` (`salvage` the name, `salvage_at`, `salvage_whole`) and, as long as a broken store lies aside, in the rows of `salvaged`:
 * the keys that were taken, each with the id of its row, and those that it had salvaged itself and was done with. Where this store breaks as well, so tells
 * the next one what need not come again out of the one that still lies aside. Both are written in the transaction of the rows. So a kill costs nothing, and
 * takes nothing twice.
 * When all is read the database is removed; where nothing of it could be, it is kept for somebody with better tools, and not tried again.
 * It may be evicted before (store/space.c): data that nobody has goes before data that a broken file may still hold.
 *
 * It never evicts for itself what is not acknowledged: above WR_SALVAGE_FULL_PERCENT of the space it waits. Segments of a merged or coarser form are never made of it:
 * they may have been sent under their key before (merging has to ask the body for its epoch).
 *
 * Threads: that of the store. Errors: those of the present store; damage of the old one is none.
 */
#ifndef WEIR_STORE_SALVAGE_H
#define WEIR_STORE_SALVAGE_H

#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

#define WR_SALVAGE_FIRST_NS (1 * WR_NS_PER_S)       /* after the opening: others go first */
#define WR_SALVAGE_EVERY_NS (25 * WR_NS_PER_MS)     /* a slice */
#define WR_SALVAGE_AGAIN_NS (60 * WR_NS_PER_S)      /* some pages could not be read: all pages once more after */
#define WR_SALVAGE_AGAIN 10                         /* so often */
#define WR_SALVAGE_ROOM_NS (5 * WR_NS_PER_S)        /* no room: looks again after */
#define WR_SALVAGE_FULL_PERCENT 50                  /* of the file: when what is not acknowledged takes so much, it waits */
#define WR_SALVAGE_READINGS_MAX (UINT64_C(1) << 40) /* of one account in one segment: more is damage */

#define WR_SALVAGE_MEMORY_BYTES (UINT64_C(2) << 20) /* while one is under way: a second connection, the accounts, the largest record */

struct wr_store;

/* A database is open: whether there is something to salvage. */
void wr_salvage_look(struct wr_store *store, const struct wr_now *now);
/* When the next slice is due; WR_NEVER_NS. */
int64_t wr_salvage_due(const struct wr_store *store);
/* One slice, with a commit of its own. */
WR_MUST_USE enum wr_result wr_salvage_step(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
/* The database is about to be closed. */
void wr_salvage_end(struct wr_store *store);

#endif
