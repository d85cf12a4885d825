/* A store whose open handle has died: it is closed and opened again, and the books in memory go on with those of the file.
 *
 * A disk that was pulled and plugged in again, or a file system that was mounted read-only and back: the path is fine, and every call on the old handle fails
 * for good. What a store goes through:
 *
 *   state    what it means                                            and then
 *   well     the last commit succeeded                                ill: something fails with WR_IO
 *   ill      it has failed since then; all is tried each second       well: a commit succeeds; gone: after WR_REOPEN_AFTER_NS
 *            what it reads then and looks broken is not believed: memory
 *            may have pages of a disk that is gone
 *   gone     closed; takes until it is full, drops nothing,           opened: it is tried each WR_REOPEN_AFTER_NS; aside: it is broken, or has
 *            hands out nothing, keeps its epoch                       refused WR_REOPEN_TRIES times, and can be renamed
 *   opened   there is a database again, and no commit since           well: a commit succeeds; aside: commits have failed for as long again
 *   aside    what each commit needs cannot be read or written there:  well, in another epoch; or aside again, as a store like any other
 *            renamed, as a broken one, to be salvaged, and a fresh
 *            one is in use
 *
 * A disk that takes nothing must not push out what lies aside. So until a commit has succeeded:
 *   A1  a file that this process began as an empty one, and in which it has committed nothing (it is blank), is not renamed: it is removed, and begun again
 *   A2  any other is renamed only while fewer than WR_ASIDE_KEEP lie aside; else it stays, and is tried again
 *   A3  it is cleared by an opening only, so not more often than each WR_REOPEN_AFTER_NS: to make a store writes all its bytes
 * That it is the same file is known by its device and inode while the handle is open, and then by its time of change as well.
 *
 * One that cannot be read at a start (detached.c) takes the same way: it is put aside once it has refused as often, and for as long, as a running one.
 * Only refusals in a row count of a file that is seen there: a disk that is away for an hour, and comes back between two calls, has not been read in vain.
 *
 * Promise: nothing that was committed is lost or comes twice, and what is in memory stays there for the next commit. Acknowledgements that were not committed are
 * forgotten: those segments are sent again under their keys. The books come into a fresh one with the commit that makes it one; where that failed, and came about all the
 * same, it is known by its epoch. A file that is not there is waited for, and never made: its disk may be elsewhere for the moment.
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
#include <sys/types.h>
#include <time.h>

#include "core/clock.h"
#include "core/result.h"

#define WR_REOPEN_TRIES 10

struct wr_store;
struct wr_stored_account;
struct wr_store_report;

struct wr_reopen_file {
    dev_t device;
    ino_t inode;
    struct timespec changed; /* as it was closed */
};

struct wr_books_apart;

struct wr_reopen {
    int64_t ill_ns;  /* boot time of the first failure; 0: it is well */
    int64_t next_ns; /* the next attempt, not before */
    bool commit_failed;
    bool gone;
    bool opened;
    bool cleared;               /* its place was, and no commit since: a fresh one may be made there */
    bool blank;                 /* A1, of the file that is open, or was last */
    struct wr_reopen_file file; /* ... */
    unsigned failures;          /* to open it */
    uint64_t epoch;             /* when it was closed */
    int64_t next_seq;           /* ... */
    uint64_t fresh_epoch;       /* of a fresh one that got these books, and may have been committed; 0: none */
    struct wr_books_apart *books; /* memory's, while it is opened: a fresh one begins with them; NULL: they are in use */
};

/* How something that needs the disk ended. */
void wr_reopen_note(struct wr_store *store, enum wr_result result, bool commit, const struct wr_now *now);
/* It was opened at a start: all is well. */
void wr_reopen_attached(struct wr_store *store);
/* An attempt to open it ended so. True: it could not be read WR_REOPEN_TRIES times, nor for WR_REOPEN_TRIES times WR_REOPEN_AFTER_NS; not counted where it must not be. */
bool wr_reopen_gives_up(struct wr_store *store, enum wr_result result, const struct wr_now *now);
/* SQLite has opened the file, and written nothing yet; it is closed again. */
void wr_reopen_file_opened(struct wr_store *store);
void wr_reopen_file_closed(struct wr_store *store);
/* Before the first commit of a fresh one that is opened in place of one that is gone: the books come with it. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_reopen_bring_books(struct wr_store *store, struct wr_error *err);
/* A1: the file has nothing that anybody could miss. */
bool wr_reopen_is_blank(const struct wr_store *store);
/* A1, A2. */
bool wr_reopen_may_clear(const struct wr_store *store);
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
