/* Databases that were renamed aside, each with its WAL and the copy of its first page (page_one.c): broken ones, to be salvaged, and one that a later version made.
 *
 * NAME.corrupt-<wall s> and NAME.newer-<wall s>, with -<n> behind it where that second is taken: a clock that starts in 1970 gives the same
 * one again and again, and nothing is renamed over a file. Each name is later than those that are there, also where the clock is behind them: whose books are to go
 * on, and what makes room, goes by it. At most WR_ASIDE_KEEP broken ones are kept, and the oldest by their names make
 * room where space is needed; what a later version made is never removed by us. All their bytes count in the budget.
 *
 * Threads: the store's. Errors: a file that cannot be looked at or removed stays, and is not counted.
 */
#ifndef WEIR_STORE_ASIDE_H
#define WEIR_STORE_ASIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

struct wr_store;

#define WR_ASIDE_KEEP 2
#define WR_ASIDE_NAME_BYTES 64
#define WR_PAGE_ONE ".page1" /* behind the name of a database: the copy of its first page */
/* Of all that lies aside. */
uint64_t wr_aside_bytes(const struct wr_store *store);
/* Removes a piece of the oldest broken one where there are more than `keep`, all of it in the end; false: there are not, or it cannot be removed. */
bool wr_aside_shrink_oldest(const struct wr_store *store, unsigned keep);
/* The last one that broke. False: there is none. */
bool wr_aside_newest(const struct wr_store *store, char ret_name[WR_ASIDE_NAME_BYTES]);
/* The last one that was put aside, also where a later version made it. False: there is none. */
bool wr_aside_last(const struct wr_store *store, char ret_name[WR_ASIDE_NAME_BYTES]);
/* By its name: a later version made it. */
bool wr_aside_is_newer(const char *name);
/* A piece of this one: a large file that goes at once holds up the disk for a second. False: that was the last, or it cannot be removed. */
bool wr_aside_shrink(const struct wr_store *store, const char *name);
/* Whether one more can lie there, and none has to go for it. */
bool wr_aside_has_room(const struct wr_store *store);
/* Renames the database, which is closed, with its WAL and first page; a blank one (store/reopen.h) it removes, and gives it no name. WR_IO. */
WR_MUST_USE enum wr_result wr_aside_put(const struct wr_store *store, bool newer, const struct wr_now *now,
                                        char ret_name[WR_ASIDE_NAME_BYTES], struct wr_error *err);
/* Before anything is opened: a renaming that a kill cut short is brought to its end. What had followed else would be gone: SQLite throws a WAL away that stands beside a file
 * without pages, and what was committed with it. */
void wr_aside_finish(const struct wr_store *store);

#endif
