/* Whether the books in the tables are those that were written there.
 *
 * An equation says nothing of readings that moved from one reason to another, of those that only count (bad, widened, rejected ...), nor of a name. So each account has
 * one more row in `ledger`, WR_BOOK_CHECK: the CRC-32C of its id, its names and all its books, and of what was told of them, as they stand in the tables. The difference in
 * the newest row has a CRC of its own (books.h). `checks` in `meta` says how many such rows there are.
 *
 * An account of which this is not true is doubted, for good: its check says so from then on. Its numbers are used as they are, there are no others; an audit names it. A row of
 * an account that is not there makes one, of the source "unknown", which is doubted.
 *
 * `checked` in `meta` is the `wall_ns` of the tables that have checks: an earlier version of this program, which knows of none, leaves another one.
 *
 * Threads: the store's. Limits: a name that was never in the tables with a book has no check yet.
 */
#ifndef WEIR_STORE_LEDGER_CHECK_H
#define WEIR_STORE_LEDGER_CHECK_H

#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

struct wr_store;
struct wr_stored_account;

/* As the account is in the transaction at hand; 0: none, it has no book yet. */
uint64_t wr_ledger_check_of(const struct wr_stored_account *account);
/* Inside a transaction, when all of them are written. */
WR_MUST_USE enum wr_result wr_ledger_check_save(struct wr_store *store, const struct wr_now *now, struct wr_error *err);

/* A row of `ledger` that is of no account. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_ledger_check_orphan(struct wr_store *store, int64_t id, struct wr_stored_account **ret_account,
                                                  struct wr_error *err);
/* The tables are loaded, and no difference to them yet. n_rows: the checks among them. */
WR_MUST_USE enum wr_result wr_ledger_check_all(struct wr_store *store, uint32_t n_rows, struct wr_error *err);

/* *ret_checks: how many checks there are to be; -1: an earlier version wrote the tables last. */
WR_MUST_USE enum wr_result wr_ledger_check_number(struct wr_store *store, int64_t *ret_checks, struct wr_error *err);
/* How many accounts are doubted. */
uint32_t wr_ledger_check_doubted(const struct wr_store *store);

#endif
