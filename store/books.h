/* The state of the store that changes with every commit: the books, what is acknowledged, and what each lane holds.
 *
 * It stands in the tables `ledger`, `ack`, `lane` and `meta`. To rewrite those with each commit would cost more than the segments themselves, so
 * most commits write only how it differs from the tables, into the column `state` of the row that they insert anyway; every 64th
 * commit, one that inserts nothing and one whose difference would be too long rewrite the tables. `next_seq` in `meta` says when that was:
 * the state is that of the tables, with the difference of the row with the highest seq if it is not below next_seq. S2 keeps that row.
 *
 *   S6  after every commit: the tables with that difference are what memory would be after a clean stop
 *
 * Format of the difference, all numbers varints: CRC-32C (4 bytes, little endian, over the row id as 8 bytes and all that follows); finished
 * segments and their bytes; for each lane its unfinished segments, their bytes and `offered`; for each account that differs its id, a mask of its books that differ, and
 * the zigzag differences; 0; for each lane 0 if `ack` is right, else the number of its ranges and 1, and for each range the distance
 * from the end of the one before to its first seq, and to its last.
 */
#ifndef WEIR_STORE_BOOKS_H
#define WEIR_STORE_BOOKS_H

#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

#define WR_BOOKS_STATE_BYTES 4096 /* a longer difference makes the tables be rewritten */
#define WR_BOOKS_TABLES_EVERY 64  /* commits */

struct wr_store;

struct wr_books_state {
    size_t len; /* 0: the tables are rewritten in the same transaction */
    uint8_t bytes[WR_BOOKS_STATE_BYTES];
};

/* Inside a transaction: the difference as of this row, which is about to be inserted and counted in the transaction already. */
void wr_books_put(struct wr_store *store, int64_t row_id, struct wr_books_state *ret_state);

/* Inside a transaction, when all its rows are in: rewrites the tables where that is due; `must`: in any case. */
WR_MUST_USE enum wr_result wr_books_finish(struct wr_store *store, bool must, const struct wr_now *now, struct wr_error *err);

/* The transaction is committed: what it wrote of the books is on disk. */
void wr_books_committed(struct wr_store *store);

/* Reads the state of a store whose ledger and acknowledgements are loaded as they stand in the tables. WR_CORRUPT. */
WR_MUST_USE enum wr_result wr_books_load(struct wr_store *store, struct wr_error *err);
/* The same of a store that is broken: where the books of the newest row are damaged those of the one before it are as good, but for a commit; and so on. */
WR_MUST_USE enum wr_result wr_books_rescue(struct wr_store *store, struct wr_error *err);

#endif
