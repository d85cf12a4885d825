/* The store: the outbox of segments, the ledger and the alarm journal, in one SQLite file with a hard limit.
 *
 * Promise: what a function says is committed survives kill -9 and power loss. The ledger rows are committed in the same transaction as the
 * segments that they count, so that the books balance at every commit. Keys (node, epoch, seq): the epoch is a random number made with
 * every new store, a seq is never used twice in it. The file and its WAL never grow beyond the budget; space is made before it is needed:
 * first from segments that were acknowledged (they are only history), then by merging windows that were never offered into longer ones, then from the
 * oldest of the lowest lane, alarms last.
 * A broken store never stops the agent: it is renamed aside (store/aside.c) and a fresh one is opened, with the books that are still in memory.
 * Then the epoch is another one (wr_store_epoch), stats.quarantines goes up, cursors begin again at 0, and snapshots have to be put again. One
 * that a later version made is renamed aside as well, and so is one that cannot be read for ten minutes; where the disk lets nothing be opened there
 * is a store without a database.
 *
 * It reads no clock and starts no thread: time is an argument; all I/O is SQLite's (and the rename of a broken store).
 *
 * Threads: one thread calls everything (agent/loops/store_loop.c); the numbers of wr_store_stats may be read by any thread.
 * Ownership: series keys of aggregates must stay valid until they are committed: the series table promises more. Bodies that
 * wr_store_next hands out belong to the caller (wr_segment_free).
 * Limits: WR_LEDGER_ACCOUNTS_MAX accounts; WR_STORE_RANGES acknowledged ranges a lane; WR_STORE_PARKED parked segments.
 * Units: boot times and wall times in ns. Errors: WR_BUSY another process has the store open (never a reason to quarantine); WR_FULL no
 * space can be made; WR_IO the disk refuses, try again later: nothing in memory was lost; WR_NO_MEMORY.
 */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/budget.h"
#include "core/clock.h"
#include "core/handover.h"
#include "core/ledger.h"
#include "core/lengths.h"
#include "core/result.h"
#include "core/segment.h"
#include "core/symbol.h"

#define WR_STORE_RANGES 64
#define WR_STORE_PARKED 64
#define WR_STORE_FILE "outbox.db"
#define WR_STORE_WAL_RESERVE_BYTES (UINT64_C(4) << 20)
#define WR_STORE_BUDGET_MIN_BYTES (UINT64_C(4) << 20)

struct wr_store;

/* What a lane may keep. */
struct wr_store_lane_options {
    uint64_t quota_bytes; /* 0: what the store has room for */
    int64_t ttl_ns;       /* 0: until room is needed */
};

struct wr_store_options {
    uint64_t budget_bytes;                        /* file and WAL together, at least WR_STORE_BUDGET_MIN_BYTES */
    uint64_t wal_reserve_bytes;                   /* of the budget; 0: WR_STORE_WAL_RESERVE_BYTES, or half of a small budget */
    uint64_t free_floor_bytes;                    /* of the file system: the reservation stops above it */
    int64_t max_loss_ns;                          /* a closed window is committed at most so much later */
    int64_t ledger_every_ns;                      /* ledger records go upstream so often, and after each open; 0: never */
    uint64_t write_budget_bytes;                  /* of a day, to the device: store/thrift.c; 0: none */
    struct wr_store_lane_options lanes[WR_LANES]; /* store/keep.h */
    char node[65];
    const char *vfs;     /* name of the SQLite VFS that all files are reached by, must live as long as the store; NULL: the system's own */
    uint8_t boot_id[16]; /* all zero: unknown */
    uint64_t epoch;      /* of a fresh store, for reproducible tests; 0: random */
};

/* Readings of one account that an unclean stop took. */
struct wr_store_loss {
    struct wr_account account;
    uint64_t readings;
};

/* What opening found. */
struct wr_store_report {
    bool fresh;              /* there was no store */
    bool unclean;            /* the last owner did not close it */
    bool quarantined;        /* a store that cannot be used was renamed aside: a broken one, or ... */
    bool aside_newer;        /* ... one that a later version of this program made */
    bool newer;              /* what is there now is such a one: never in the report of a success */
    bool books_kept;         /* of the broken store: else they begin at zero, and wr_store_lost_books knows of it */
    char aside[256];         /* its new name, in the same directory */
    uint64_t reserved_bytes; /* less than the budget where the disk has no more room */
    uint64_t crash_readings; /* booked as dropped(crash), in all accounts */
    int64_t last_wall_ns;    /* of the last commit before, by its own clock; 0: there was none */
    uint32_t doubted_accounts; /* their books were changed by something else: weir audit names them */
    uint32_t n_losses;
    const struct wr_store_loss *losses; /* until the store is closed */
};

/* Opens or makes the store in the directory `path`. The first time this writes the whole budget once. */
WR_MUST_USE enum wr_result wr_store_open(const char *path, const struct wr_store_options *options, const struct wr_now *now,
                                         const struct wr_symbol_table *symbols, struct wr_store **ret_store,
                                         struct wr_store_report *ret_report, struct wr_error *err);

/* A store without a database, for as long as none can be opened. It takes everything: readings are booked as dropped(store), journal entries
 * are counted; it hands out nothing, its epoch is 0, and it is never due. WR_INVALID, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_store_open_without(const char *path, const struct wr_store_options *options, const struct wr_now *now,
                                                 const struct wr_symbol_table *symbols, struct wr_store **ret_store, struct wr_error *err);
bool wr_store_is_without(const struct wr_store *store);
/* Gives it its database, as wr_store_open does; the books that were kept meanwhile are added to those that it finds. With an error it is without
 * as before, to be tried again. */
WR_MUST_USE enum wr_result wr_store_attach(struct wr_store *store, const struct wr_now *now, struct wr_store_report *ret_report,
                                           struct wr_error *err);

/* When a store whose disk has answered nothing for a minute is to be opened again; WR_NEVER_NS: it is well. store/reopen.h says what becomes of it. */
#define WR_REOPEN_AFTER_NS (60 * WR_NS_PER_S)
int64_t wr_store_reopen_due(const struct wr_store *store);
/* Closed, and not open again yet. */
bool wr_store_is_gone(const struct wr_store *store);
/* Closes it, unless that is done, and opens it again. With WR_OK stats.reopens has gone up, and perhaps stats.quarantines; cursors begin again, as they do after a
 * start. With an error it is gone, and to be tried again. */
WR_MUST_USE enum wr_result wr_store_reopen(struct wr_store *store, const struct wr_now *now, struct wr_error *err);

uint64_t wr_store_epoch(const struct wr_store *store);
/* Segments with this seq and above were committed since the store was opened ("live"), those below before ("backfill"). */
int64_t wr_store_live_from(const struct wr_store *store);

/* The seq of the newest committed segment of a lane; 0: none. */
int64_t wr_store_newest(const struct wr_store *store, enum wr_lane lane);

/* Tells who the account numbers of aggregates and counts belong to: accounts[i] is number i; an empty source name is a number that is not
 * used. May be called again after a reload, between two handovers. Counts go on: they are cumulative per name, since the process started;
 * unless counts_restart says that whoever counts begins at zero again. WR_LIMIT; WR_EXISTS the same name twice. */
WR_MUST_USE enum wr_result wr_store_accounts(struct wr_store *store, const struct wr_account *accounts, uint32_t n, bool counts_restart,
                                             struct wr_error *err);

/* Memory that so many accounts take. */
size_t wr_store_accounts_bytes(uint32_t n);

/* How long the windows of the accounts are: length_ns[i] of number i; 0: it has none (changes, intake). To be told again with the accounts. A store that does
 * not know all its windows merges none: which window an aggregate is of would no longer be certain (store/merge.h). `all`: what they are told apart by, the same that
 * the engine was given; NULL: the engine is about to be given others, and until they are told nothing is merged. */
void wr_store_lengths(struct wr_store *store, const int64_t *length_ns, uint32_t n, const struct wr_lengths *all);

/* Takes a handover's counts and aggregates; commits what is full. With an error other than WR_OK some aggregates are not in the store yet:
 * *ret_taken of them are, call again with the rest by `from`. Everything else about the handover stays the caller's. */
WR_MUST_USE enum wr_result wr_store_take(struct wr_store *store, const struct wr_handover *handover, uint32_t from,
                                         const struct wr_now *now, uint32_t *ret_taken, struct wr_error *err);

/* Takes alarm entries for the journal; commits at once if that is due. WR_FULL: *ret_taken of them are taken, nothing more fits before a
 * commit succeeds. */
WR_MUST_USE enum wr_result wr_store_alarms(struct wr_store *store, const struct wr_alarm_entry *entries, uint32_t n,
                                           const struct wr_now *now, uint32_t *ret_taken, struct wr_error *err);
/* How many of the entries taken since the store was opened are on disk: the first so many. */
uint64_t wr_store_journalled(const struct wr_store *store);

/* The boot time at which wr_store_tick has something to do; WR_NEVER_NS. */
int64_t wr_store_due(const struct wr_store *store);
/* Commits what is due. */
WR_MUST_USE enum wr_result wr_store_tick(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
/* Commits everything at once: before a clean stop, and for tests. */
WR_MUST_USE enum wr_result wr_store_flush(struct wr_store *store, const struct wr_now *now, struct wr_error *err);

/* The oldest segment of a lane that is still to be sent, with after < seq < before. Skips what is acknowledged, parked or damaged; a body
 * whose CRC is wrong is booked as dropped(corrupt) and skipped. WR_EMPTY. */
WR_MUST_USE enum wr_result wr_store_next(struct wr_store *store, enum wr_lane lane, int64_t after, int64_t before, const struct wr_now *now,
                                         struct wr_segment *ret_segment, struct wr_error *err);
/* The body of one segment, acknowledged or not, for `weir decode` and later queries. WR_NOT_FOUND, WR_CORRUPT. */
WR_MUST_USE enum wr_result wr_store_get(struct wr_store *store, int64_t seq, struct wr_segment *ret_segment, struct wr_error *err);

/* Before a segment is published: afterwards it is on disk that seqs up to this one may be out there. */
WR_MUST_USE enum wr_result wr_store_offer(struct wr_store *store, enum wr_lane lane, int64_t seq, const struct wr_now *now,
                                          struct wr_error *err);
/* The broker has the segments first..last of the lane. Booked as delivered once, however often it is said; on disk with a later commit.
 * WR_FULL: there are WR_STORE_RANGES ranges already; send the oldest first, and say this again. */
WR_MUST_USE enum wr_result wr_store_ack(struct wr_store *store, enum wr_lane lane, int64_t first, int64_t last, const struct wr_now *now,
                                        struct wr_error *err);
/* The broker refuses it: kept, shown and evictable, not sent again until the next start. WR_FULL: too many are parked. */
WR_MUST_USE enum wr_result wr_store_park(struct wr_store *store, enum wr_lane lane, int64_t seq);

/* Snapshots of rules/ and others, kept by kind and key. Alarm entries write theirs as kind WR_SNAP_ALARM with the alarm's id as key;
 * WR_SNAP_MEMORY: states of windows, at a clean stop. */
enum wr_snap_kind { WR_SNAP_ALARM = 1, WR_SNAP_MEMORY = 2 };
typedef void wr_store_snap_callback(void *user, uint64_t key, const uint8_t *body, size_t len);
WR_MUST_USE enum wr_result wr_store_snaps(struct wr_store *store, int kind, wr_store_snap_callback *callback, void *user,
                                          struct wr_error *err);
/* Committed within a second. len 0 deletes. WR_FULL as wr_store_alarms. */
WR_MUST_USE enum wr_result wr_store_snap_put(struct wr_store *store, int kind, uint64_t key, const void *body, size_t len,
                                             const struct wr_now *now);

/* Every account with its books as of now; `open` is what waits in the store for its commit. The caller frees the array. */
WR_MUST_USE enum wr_result wr_store_balances(const struct wr_store *store, struct wr_account_balance **ret_balances, uint32_t *ret_n);
/* Books readings that the agent knows of and no engine counts: dropped(stop). Committed with the next commit. */
void wr_store_book(struct wr_store *store, uint32_t account, enum wr_book book, uint64_t readings);

/* Counts of budgets, WR_STORE_COUNTS of them, for whoever spends: they outlive a restart, and a store that is replaced. Put: on disk within a minute and with a clean stop,
 * an urgent one within a second. Not put yet: all zero. place < WR_STORE_COUNTS. */
#define WR_STORE_COUNTS 4
#define WR_STORE_COUNT_WRITTEN 2 /* this place is the store's own where it has a write_budget */
void wr_store_count_put(struct wr_store *store, unsigned place, const struct wr_budget_count *count, bool urgent, const struct wr_now *now);
struct wr_budget_count wr_store_count(const struct wr_store *store, unsigned place);

/* A boot of the machine that the store was open in. */
struct wr_store_boot {
    uint8_t id[16];
    bool trusted;      /* the wall clock could be trusted at some time in it */
    int64_t offset_ns; /* wall - boot time, then */
};
typedef void wr_store_boot_callback(void *user, const struct wr_store_boot *boot);
/* The last 256 boots, oldest first. */
WR_MUST_USE enum wr_result wr_store_boots(struct wr_store *store, wr_store_boot_callback *callback, void *user, struct wr_error *err);

/* What becomes of the newest broken store that lies aside. */
enum wr_salvage_state {
    WR_SALVAGE_NONE, /* there is none, or it has not begun */
    WR_SALVAGE_RUNS,
    WR_SALVAGE_WAITS, /* for room: too much waits for the broker */
    WR_SALVAGE_DONE,  /* what was readable is in this store, the file is removed */
    WR_SALVAGE_KEPT,  /* nothing of it could be read: it stays where it is */
};
/* "none", "running", "waiting for room", "done", "nothing readable, kept". */
const char *wr_salvage_state_name(enum wr_salvage_state state);

/* Numbers for metrics and status. */
/* What somebody else wrote into its directory, beside the database: the write budget is one for both. */
void wr_store_wrote(struct wr_store *store, uint64_t bytes, const struct wr_now *now);

struct wr_store_stats {
    _Atomic uint64_t unacked_segments[WR_LANES];
    _Atomic uint64_t unacked_bytes[WR_LANES]; /* of bodies */
    _Atomic uint64_t history_segments;
    _Atomic uint64_t oldest_unacked_wall_ns; /* last time in the oldest segment that is not acknowledged; 0: none */
    _Atomic uint64_t budget_bytes;
    _Atomic uint64_t reserved_bytes;
    _Atomic uint64_t free_bytes;
    _Atomic uint64_t
        high_water; /* 1: unacknowledged segments take more than 80 % of the reservation, or windows of their quota, until it is less than 60 % */
    _Atomic uint64_t parked_segments;
    _Atomic uint64_t bad_segments;
    _Atomic uint64_t unreadable_places; /* in the database, passed over: store/reach.h */
    _Atomic uint64_t unreadable_again;  /* times that they are to be tried again: cursors have to begin anew for that */
    _Atomic uint64_t evicted_segments; /* all of these since the start */
    _Atomic uint64_t evicted_unacked_segments;
    _Atomic uint64_t evicted_readings;
    _Atomic uint64_t merged_segments;      /* that are now part of others */
    _Atomic uint64_t merged_readings;      /* in windows that are longer than they were */
    _Atomic uint64_t expired_segments;     /* deleted for their age, acknowledged or not */
    _Atomic uint64_t expired_readings;     /* of those that nobody had */
    _Atomic uint64_t lane_bytes[WR_LANES]; /* what lanes with a quota keep, as that counts it; 0 until it is counted */
    _Atomic uint64_t segments;
    _Atomic uint64_t aggregates;
    _Atomic uint64_t alarms;
    _Atomic uint64_t commits;
    _Atomic uint64_t book_commits; /* of these, with the ledger: an offer alone has none */
    _Atomic uint64_t commit_failures;
    _Atomic uint64_t body_bytes;
    _Atomic uint64_t written_bytes;     /* to the files of the database, in whole pages: WAL, checkpoints, reserve */
    _Atomic uint64_t write_level;       /* enum wr_budget_level of write_budget */
    _Atomic uint64_t write_spent_bytes; /* of this day's */
    _Atomic uint64_t quarantines;
    _Atomic uint64_t reopens; /* of a store whose handle had died */
    _Atomic uint64_t salvage; /* enum wr_salvage_state */
    _Atomic uint64_t salvaged_segments;
    _Atomic uint64_t salvaged_readings;
    _Atomic uint64_t salvage_damaged;  /* segments that were found and are not whole; by its pages those that were deleted long ago too */
    _Atomic uint64_t dropped_readings; /* for want of a database */
    _Atomic uint64_t dropped_transitions; /* of alarms, not journalled for want of a database */
};
const struct wr_store_stats *wr_store_stats(const struct wr_store *store);

/* Commits everything, marks the store clean and closes it. It is closed and freed even when that fails. NULL is fine. */
enum wr_result wr_store_close(struct wr_store *store, const struct wr_now *now, struct wr_error *err);

/* For tests: gives everything up as a crash would. */
void wr_store_abandon(struct wr_store *store);

/* Stores whose books could not be read when they were put aside: what those took, delivered and dropped stands in no book of this one. The newest of them. */
#define WR_STORE_LOST_BOOKS 8
#define WR_STORE_ASIDE_BYTES 64
struct wr_store_lost_book {
    uint64_t epoch;                   /* 0: that could not be read either */
    char aside[WR_STORE_ASIDE_BYTES]; /* the name of its file then */
};
struct wr_store_lost_books {
    uint32_t n;
    struct wr_store_lost_book of[WR_STORE_LOST_BOOKS];
};
const struct wr_store_lost_books *wr_store_lost_books(const struct wr_store *store);

/* What the rows of a store hold, read one by one. */
struct wr_store_recount {
    uint64_t rows;
    uint64_t unfinished;       /* still to be delivered */
    uint64_t damaged;          /* of these, with a body that is not what was written */
    int64_t first_damaged_seq; /* 0: none */
    uint64_t of_nobody;        /* readings that are counted for an account that there is not */
    struct wr_store_lost_books lost;
};

/* The books of a store that no agent has open, without changing it: for `weir audit`. Each balance is recounted from the segments. *ret_clean false: the next
 * start will book what the equation lacks as dropped(crash). WR_BUSY, WR_NOT_FOUND, WR_CORRUPT. The caller frees the array. */
WR_MUST_USE enum wr_result wr_store_audit(const char *path, struct wr_account_balance **ret_balances, uint32_t *ret_n, bool *ret_clean,
                                          uint64_t *ret_epoch, struct wr_store_recount *ret_recount, struct wr_error *err);

#endif
