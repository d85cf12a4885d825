/* A store in a directory of its own, with series, symbols and a handover to fill: what every test of store/ needs. */
#ifndef WEIR_TESTS_SUPPORT_STORE_FIXTURE_H
#define WEIR_TESTS_SUPPORT_STORE_FIXTURE_H

#include <sys/types.h>

#include "core/handover.h"
#include "core/series.h"
#include "core/symbol.h"
#include "store/codec.h"
#include "store/store.h"
#include "tests/support/random.h"

#define STORE_ACCOUNTS 3 /* two windows of source "floor", and its intake */

struct store_fixture {
    char directory[256];
    struct wr_store_options options;
    bool tells_lengths; /* of the accounts' windows: the store may merge */
    struct wr_lengths lengths; /* that were told since the opening */
    struct wr_now now;
    struct wr_symbol_table *symbols;
    struct wr_store *store;
    struct wr_store_report report;
    struct wr_error err;
    struct wr_handover handover;
    struct wr_account_count counts[8];
    uint64_t taken[STORE_ACCOUNTS]; /* cumulative, of this process */
};

/* All gap records that were found so far, added up. */
struct store_told {
    int64_t after; /* seq up to which lane 0 was read */
    unsigned records;
    uint64_t readings;
    uint64_t total;
    char reason[16];
    int64_t from_ns;
    int64_t to_ns;
    bool at_least;
};

extern const struct wr_account store_accounts[STORE_ACCOUNTS];

/* A fresh directory, a budget of 4 MB, max_loss of 1 s. Nothing is opened. */
void store_fixture_init(struct store_fixture *fixture);
/* Abandons the store if it is open and removes the directory. */
void store_fixture_fini(struct store_fixture *fixture);
/* Opens the store and tells it the accounts; counts begin at zero. */
enum wr_result store_fixture_open(struct store_fixture *fixture);
/* Tells it how long the windows of the accounts are, as a process that has known no others since the opening but those that this told. */
void store_fixture_lengths(struct store_fixture *fixture, const int64_t *length_ns);
/* For cmocka: a fixture in *state, nothing opened; and its end. */
int store_fixture_setup(void **state);
int store_fixture_teardown(void **state);
/* Fails the test with the error's text. */
void store_fixture_must(struct store_fixture *fixture, enum wr_result result);
/* A clean stop; and a kill. */
void store_fixture_close(struct store_fixture *fixture);
void store_fixture_abandon(struct store_fixture *fixture);
/* Puts n aggregates of `readings` readings each into the handover, of account 0 (changes) or 1, at the time of the fixture. */
void store_fixture_fill(struct store_fixture *fixture, uint32_t account, uint32_t n, uint64_t readings);
/* From the nth on in the handover their values are noise, which does not compress: a store is full soon. */
void store_fixture_noise(struct store_fixture *fixture, uint32_t from, struct wr_random *dice);
/* Hands it over; fails the test unless all were taken. */
void store_fixture_take(struct store_fixture *fixture);
/* fill, take, flush: one segment. */
void store_fixture_segment(struct store_fixture *fixture, uint32_t account, uint32_t n, uint64_t readings);
/* A path in its directory, until the next call. */
const char *store_fixture_path(const struct store_fixture *fixture, const char *name);
/* The database is on a disk of fault_vfs.h: a file for those who ask the system whether there is one, or rename it. */
void store_fixture_placeholder(const struct store_fixture *fixture);
/* After a clean stop everything stands in the database; the WAL still has copies, which would heal it. */
void store_fixture_forget_wal(struct store_fixture *fixture);
/* Overwrites bytes of the database file. */
void store_fixture_scribble(struct store_fixture *fixture, off_t at, size_t len);
void store_fixture_advance(struct store_fixture *fixture, int64_t ns);
/* The balance of an account by number; asserts that every equation holds. */
struct wr_account_balance store_fixture_balance(struct store_fixture *fixture, uint32_t account);
/* Reads on in lane 0, and adds up what its gap records tell. */
void store_fixture_read_gaps(struct store_fixture *fixture, struct store_told *told);
/* An aggregate with values that depend on i. */
struct wr_aggregate store_fixture_aggregate(uint32_t i, uint64_t n);

#endif
