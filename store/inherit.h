/* What a fresh store takes over of the one that was put aside before it: its books.
 *
 * Promise: where the books of that one can be read they go on, and what it held is dropped(store), until it is salvaged (store/salvage.h). They come in with the
 * commit that makes the fresh store one: until then it has no epoch, and the next start makes it again, so that a kill in between costs nothing. Where its first page
 * is gone the copy of it goes in its place first (page_one.c); where that is gone too the one of the fresh store, if the checks of all accounts (ledger_check.h) then prove that it is the right one. It is not
 * used again, with that page: it does not know which pages are free.
 * The newest row's books, else those of a row before, else those of the tables (books.h), which are some commits older.
 * Where none can be read that is remembered for good, with its epoch as far as that is known: what it took, delivered and dropped stands nowhere, and an audit says so.
 *
 * Threads: the store's. Errors: WR_NO_MEMORY, then the opening is to be tried again; that books cannot be read is none.
 */
#ifndef WEIR_STORE_INHERIT_H
#define WEIR_STORE_INHERIT_H

#include <sqlite3.h>

#include "core/result.h"

struct wr_store;
struct wr_store_lost_books;
struct wr_store_report;

/* Inside no transaction, before the first commit of a fresh store that knows no books. */
WR_MUST_USE enum wr_result wr_inherit_books(struct wr_store *store, struct wr_store_report *report, struct wr_error *err);

/* Inside a transaction: the stores whose books nobody could read. */
WR_MUST_USE enum wr_result wr_inherit_save(struct wr_store *store, struct wr_error *err);
WR_MUST_USE enum wr_result wr_inherit_load(sqlite3 *db, struct wr_store_lost_books *ret_lost, struct wr_error *err);

#endif
