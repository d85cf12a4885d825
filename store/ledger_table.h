/* The ledger on disk and in memory: accounts by name, and one row for each book that is not zero. ledger_table.c says what a book is made of.
 *
 * Threads: the store's. Ownership: the array of accounts is the store's; pointers into it hold until an account is added.
 */
#ifndef WEIR_STORE_LEDGER_TABLE_H
#define WEIR_STORE_LEDGER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ledger.h"
#include "core/result.h"

#define WR_GAP_BOOKS 17   /* the dropped ones, 16 to 31, and recovered */
#define WR_BOOK_TOLD 64   /* in the ledger table: + a book, what gap records have told of it */
#define WR_BOOK_CHECK 128 /* in the ledger table: the check of an account */

struct wr_store;

/* One account with its books. */
struct wr_stored_account {
    struct wr_account name;
    int64_t id;                     /* row in `account` */
    bool stored;                    /* the row is there */
    uint64_t kept[WR_BOOKS];        /* from before this process, and what the store books itself */
    uint64_t counted[WR_BOOKS];     /* cumulative, by whoever counts */
    uint64_t delta[WR_BOOKS];       /* of the transaction at hand */
    uint64_t saved[WR_BOOKS];       /* as it stands in the table `ledger` */
    uint64_t told[WR_GAP_BOOKS];    /* what stands in gap records, by wr_gaps_index of the book */
    uint64_t telling[WR_GAP_BOOKS]; /* ... with those of the transaction at hand */
    bool told_stored;               /* as told */
    uint64_t check;                 /* as it stands in the table: ledger_check.h */
    uint64_t checking;              /* ... with the transaction at hand */
    bool doubted;                   /* something else than this program has changed them */
    uint64_t acked;                 /* delivered, their ack not on disk yet */
    uint64_t in_segment;            /* while a segment's readings are added up */
    uint64_t in_list;               /* what the list of a segment that is being merged says */
    int64_t length_ns;              /* of its windows; 0: it has none */
    bool length_known;
};

WR_MUST_USE enum wr_result wr_ledger_load(struct wr_store *store, struct wr_error *err);
/* Inside a transaction: rows for accounts that have none. */
WR_MUST_USE enum wr_result wr_ledger_save_accounts(struct wr_store *store, struct wr_error *err);
/* Inside a transaction: writes the books that are not what stands in the table. */
WR_MUST_USE enum wr_result wr_ledger_save(struct wr_store *store, struct wr_error *err);
void wr_ledger_committed(struct wr_store *store, bool tables);
/* What is written of a book, in the transaction at hand. */
uint64_t wr_ledger_value(const struct wr_stored_account *account, unsigned book);
/* NULL: there is none. */
struct wr_stored_account *wr_ledger_by_id(struct wr_store *store, int64_t id);
void wr_ledger_rolled_back(struct wr_store *store);
/* Adds readings of a row's account list to a book of the transaction; returns the sum. */
uint64_t wr_ledger_book_list(struct wr_store *store, const uint8_t *list, size_t len, enum wr_book book);
/* Adds them up in in_segment. */
void wr_ledger_sum_list(struct wr_store *store, const uint8_t *list, size_t len);
/* The same as delivered, waiting for the next commit. */
uint64_t wr_ledger_ack_list(struct wr_store *store, const uint8_t *list, size_t len);
/* Books what an unclean stop took; fills store->losses. */
WR_MUST_USE enum wr_result wr_ledger_book_crash(struct wr_store *store, uint32_t *ret_n, uint64_t *ret_readings, struct wr_error *err);
/* The books go into a fresh store: what the old one held is dropped(store). */
void wr_ledger_start_over(struct wr_store *store);
/* Cumulative counts of whoever counts. */
void wr_ledger_count(struct wr_store *store, const struct wr_account_count *counts, uint32_t n, int64_t now_ns);
bool wr_ledger_waits(const struct wr_store *store);
/* The index of an account in store->accounts by its name; made if it is new. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_ledger_find(struct wr_store *store, const struct wr_account *name, uint32_t *ret_index);
struct wr_stored_account *wr_ledger_account(struct wr_store *store, uint32_t number);

#endif
