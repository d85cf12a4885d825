/* A store whose open handle has died: it is closed and opened again, and the books in memory go on with those of the file.
 *
 * A disk that was pulled and plugged in again, or a file system that was mounted read-only and back: the path is fine, and every call on the old handle fails
 * for good. What a store goes through:
 *
 *   state    what it means                                            and then
 *   well     the last commit succeeded                                ill: something fails with WR_IO
 *   ill      it has failed since then; all is tried each second       well: a commit succeeds; gone: after WR_REOPEN_AFTER_NS
 *   gone     closed; takes until it is full, drops nothing,           opened: it is tried each WR_REOPEN_AFTER_NS; aside: it is broken, or has
 *            hands out nothing, keeps its epoch                       refused WR_REOPEN_TRIES times, and can be renamed
 *   opened   there is a database again, and no commit since           well: a commit succeeds; aside: commits have failed for as long again
 *   aside    what each commit needs cannot be read or written there:  well, in another epoch. It happens once until a commit has succeeded: a disk
 *            renamed, as a broken one, to be salvaged, and a fresh    that takes nothing must not push out what lies aside
 *            one is in use
 *
 * Promise: nothing that was committed is lost or comes twice, and what is in memory stays there for the next commit. Acknowledgements that were not committed are
 * forgotten: those segments are sent again under their keys. A file that is not there is waited for, and never made: its disk may be elsewhere for the moment.
 *
 * The last transaction of the old handle failed, and yet may be in the file. So the file's rows decide, for it and memory differ by this one transaction at most:
 *   O1  what the store itself books (stored, delivered, evicted ...) is what the file says; what the engine counts is what memory says
 *   O2  aggregates and alarms in memory whose rows the file has, with seqs that memory has not used yet, are taken out of memory: they are the first of each lane,
 *       since what waits only grows
 *   O3  readings that memory knows as stored and the file does not (it is older: the disk had not kept its word) are dropped(store)
 *   O4  seqs go on behind the higher of both (S1)
 * A file of another epoch is another store: what this one held is dropped(store), and the books of both are added up, as in detached.c.
 *
 * Threads: the store's.
 */
#ifndef WEIR_STORE_REOPEN_H
#define WEIR_STORE_REOPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"

#define WR_REOPEN_TRIES 10

struct wr_store;
struct wr_stored_account;
struct wr_store_report;

struct wr_reopen {
    int64_t ill_ns;  /* boot time of the first failure; 0: it is well */
    int64_t next_ns; /* the next attempt, not before */
    bool commit_failed;
    bool gone;
    bool opened;
    bool put_aside;    /* and no commit since: not again */
    unsigned failures; /* to open it */
    uint64_t epoch;   /* when it was closed */
    int64_t next_seq; /* ... */
};

/* How something that needs the disk ended. */
void wr_reopen_note(struct wr_store *store, enum wr_result result, bool commit, const struct wr_now *now);
/* The database that was opened is the one that was closed, of this very process. */
bool wr_reopen_goes_on(const struct wr_store *store);

/* store.c: the database as it is; keep_books: what is in memory is the truth. With an error close it again. */
WR_MUST_USE enum wr_result wr_store_open_database(struct wr_store *store, bool keep_books, const struct wr_now *now,
                                                  struct wr_store_report *report, struct wr_error *err);
void wr_store_close_database(struct wr_store *store);
/* All that is known of segments on disk. */
void wr_store_forget_segments(struct wr_store *store);

/* ledger_table.c: a book that the store itself keeps. */
bool wr_ledger_is_own_book(unsigned book);

/* detached.c: what makes up the books in memory, while those of a database are loaded. */
struct wr_books_apart {
    struct wr_stored_account *accounts;
    uint32_t n_accounts;
    uint32_t *map;
    uint32_t n_map;
};
/* What becomes of an account that both have, or only the books apart: then the other is empty. */
typedef void wr_books_join(struct wr_stored_account *into, const struct wr_stored_account *from);
struct wr_books_apart wr_books_take_out(struct wr_store *store);
void wr_books_put_back(struct wr_store *store, const struct wr_books_apart *books);
/* Joins them with those in the store, and frees them. WR_NO_MEMORY: nothing has changed but that some accounts exist. */
WR_MUST_USE enum wr_result wr_books_add(struct wr_store *store, const struct wr_books_apart *books, wr_books_join *join,
                                        struct wr_error *err);
wr_books_join wr_books_add_up;

#endif
