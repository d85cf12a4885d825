/* Which segments go, one by one, for whoever decides that some must: space.c where the file is full, keep.c where a lane may not keep more.
 *
 * A head stands in a statement of the store until the next call here, or until that is reset.
 *
 * Threads: the store's.
 */
#ifndef WEIR_STORE_SPACE_H
#define WEIR_STORE_SPACE_H

#include <sqlite3.h>
#include <stdint.h>

#include "core/ledger.h"
#include "core/result.h"

struct wr_store;

/* What is freed beyond the need once something must go. A row that goes alone leaves a page half empty, which is written and later merged;
 * rows that go together leave whole pages, which are only listed. */
int64_t wr_space_batch_pages(const struct wr_store *store);
/* The head of the oldest segment of a lane, from a seq on, or of the oldest that is not in flight, stands in the statement. WR_EMPTY. */
WR_MUST_USE enum wr_result wr_space_oldest(struct wr_store *store, int lane, int64_t from, sqlite3_stmt **ret_row, struct wr_error *err);
WR_MUST_USE enum wr_result wr_space_oldest_at_rest(struct wr_store *store, int lane, int64_t from, sqlite3_stmt **ret_row,
                                                   struct wr_error *err);
/* Bytes of bodies that are finished and can go: all of them, or, where some are out of reach, those that are not, up to enough_bytes of them. */
WR_MUST_USE enum wr_result wr_space_can_go(struct wr_store *store, uint64_t enough_bytes, uint64_t *ret_bytes, struct wr_error *err);
/* Inside a transaction: deletes the oldest finished segment of these lanes (bits). WR_EMPTY: there is none. */
WR_MUST_USE enum wr_result wr_space_evict_finished(struct wr_store *store, unsigned lanes, struct wr_error *err);
/* Inside a transaction: deletes this finished segment, of which there is no older one; or an unfinished one whose head stands in the statement, and books it. */
WR_MUST_USE enum wr_result wr_space_drop_finished(struct wr_store *store, int lane, int64_t seq, uint64_t bytes, struct wr_error *err);
WR_MUST_USE enum wr_result wr_space_give_up(struct wr_store *store, int lane, sqlite3_stmt *row, enum wr_book book, struct wr_error *err);

#endif
