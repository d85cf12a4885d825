/* The inside of the store, shared by the files of store/ and nobody else.
 *
 * Invariants (checked by the model test; the code refers to the numbers):
 *   S1  a seq is used once: next_seq is above every seq in seg, ack, badseg, every `offered`, and next_seq in meta
 *   S2  the row with the highest seq is deleted only in a transaction that inserts a higher one, or rewrites the tables
 *   S3  after every commit, for each account: stored = readings in its segments not finished + delivered + evicted + expired + corrupt
 *   S4  memory changes only after COMMIT said yes: a transaction that fails leaves everything as it was, and may be tried again
 *   S5  acknowledged ranges and the delivered books change in the same transaction
 *   S6  see books.h: the tables with the difference in the newest row are the state
 */
#ifndef WEIR_STORE_STORE_PRIVATE_H
#define WEIR_STORE_STORE_PRIVATE_H

#include <sqlite3.h>

#include "core/buf.h"
#include "store/books.h"
#include "store/codec.h"
#include "store/inherit.h"
#include "store/keep.h"
#include "store/ledger_table.h"
#include "store/merge.h"
#include "store/page_scan.h"
#include "store/ranges.h"
#include "store/reach.h"
#include "store/reopen.h"
#include "store/salvage.h"
#include "store/space.h"
#include "store/store.h"
#include "store/thrift.h"
#include "store/walls.h"
#include "store/written.h"

#define WR_STORE_SCHEMA_VERSION 2
#define WR_STORE_SCHEMA_VERSION_MAX 9999 /* later versions have one up to this; other numbers are damage */
#define WR_STORE_PAGE_BYTES 2048     /* of a fresh store: a commit of 64 aggregates changes few bytes on several pages */
#define WR_STORE_PAGE_BYTES_MAX 4096 /* of one that an earlier version made */
#define WR_STORE_PAGES_SPARE 48 /* free pages that an insert finds, beyond those for its body */
#define WR_STORE_OFFER_STRIDE 16
#define WR_STORE_OUT 256        /* what may be in flight: the uplink's largest window */
#define WR_STORE_EVICT_PAGES 128 /* what an eviction frees beyond the need: whole leaves go, none is rewritten half empty */
#define WR_STORE_ACKS_BATCH 256 /* acknowledgements go with every commit; so many, or ... */
#define WR_STORE_ACKS_AGE_NS                                                                                                               \
    (60 * WR_NS_PER_S) /* ... so old, they get one of their own: if lost, they cost repetitions, which receivers know by the key */
#define WR_STORE_ALARM_GROUP_NS (25 * WR_NS_PER_MS) /* half of what a network action waits for the journal */
#define WR_STORE_ALARM_SLOW_NS (1 * WR_NS_PER_S)
#define WR_STORE_ALARM_RATE 2 /* commits a second on average, in bursts of ... */
#define WR_STORE_ALARM_BURST 20
#define WR_STORE_ALARM_BYTES 60000    /* texts waiting for the journal: always one segment */
#define WR_STORE_SNAP_BYTES (1 << 20) /* snapshots waiting */
#define WR_STORE_OPEN_BYTES (1 << 19) /* weight at which an open segment is cut */
#define WR_STORE_RETRY_NS (1 * WR_NS_PER_S)
#define WR_STORE_COUNTS_AGE_NS (60 * WR_NS_PER_S)
#define WR_STORE_GAPS_FIRST_NS (60 * WR_NS_PER_S)  /* how long a loss waits for others before it is told; twice as long where they go on, */
#define WR_STORE_GAPS_LAST_NS (3600 * WR_NS_PER_S) /* ... up to this */
#define WR_STORE_SCAN_SEGMENTS 16                  /* a tick of the check after an unclean stop */
#define WR_STORE_LIST_BYTES (WR_LEDGER_ACCOUNTS_MAX * 2 * 10) /* of a row's accounts: two varints each */
#define WR_STORE_MERGE_SEGMENTS 32                            /* looked at for one merge */
#define WR_STORE_MERGES 2                                     /* before a commit: what comes meanwhile, an alarm, waits so long */

enum wr_statement {
    WR_SQL_BEGIN,
    WR_SQL_COMMIT,
    WR_SQL_ROLLBACK,
    WR_SQL_PAGE_COUNT,
    WR_SQL_FREELIST_COUNT,
    WR_SQL_META_PUT,
    WR_SQL_META_GET,
    WR_SQL_ACCOUNT_PUT,
    WR_SQL_LEDGER_PUT,
    WR_SQL_SEG_PUT,
    WR_SQL_SEG_NEXT,
    WR_SQL_SEG_GET,
    WR_SQL_SEG_HEADS,
    WR_SQL_SEG_WALK,
    WR_SQL_SEG_DELETE,
    WR_SQL_LANE_PUT,
    WR_SQL_LANE_OFFER,
    WR_SQL_BOOT_FIND,
    WR_SQL_BOOT_PUT,
    WR_SQL_BOOT_TRUST,
    WR_SQL_BOOT_LIST,
    WR_SQL_BOOT_ADOPT,
    WR_SQL_ACK_CLEAR,
    WR_SQL_ACK_PUT,
    WR_SQL_BAD_PUT,
    WR_SQL_SNAP_PUT,
    WR_SQL_SNAP_DELETE,
    WR_SQL_SNAP_LIST,
    WR_SQL_STATEMENTS
};

/* A segment that is being filled. */
struct wr_open_segment {
    struct wr_aggregate *records; /* WR_SEGMENT_RECORDS */
    uint32_t n;
    size_t weight_bytes;
    int64_t since_boot_ns; /* of its first record */
    bool moved;            /* some of its times were stamped by a former clock */
};

/* Segments, and the bytes of their bodies. */
struct wr_counts {
    uint64_t segments;
    uint64_t bytes;
};

struct wr_lane_state {
    struct wr_open_segment open; /* lanes of aggregates */
    struct wr_ranges acks;
    bool acks_changed;         /* they are not what stands in the table `ack` */
    int64_t offered;           /* on disk */
    int64_t asked;             /* highest seq that the uplink offered */
    int64_t newest;            /* seq of the newest segment */
    int64_t handed;            /* highest seq that the uplink was given: it may publish it any time */
    int64_t evict_from;        /* where the search for finished rows begins */
    int64_t merge_after;       /* up to here everything is merged that can be */
    int64_t out[WR_STORE_OUT]; /* handed to the uplink last, a ring: those of them that were offered may be in flight */
    uint32_t n_out;
    uint64_t unacked; /* segments */
    uint64_t unacked_bytes;
};

/* When what is lost and not told yet was; `known`: the readings' own times. */
struct wr_gap_span {
    bool known;
    int64_t from_ns;
    int64_t to_ns;
    int64_t since_ns;  /* the last commit that did not know of it ... */
    int64_t until_ns;  /* ... and the last one that knew of more */
    uint64_t readings; /* of all accounts, as of the last look */
};

struct wr_gaps {
    struct wr_gap_span spans[WR_GAP_BOOKS];
    int64_t looked_wall_ns; /* the last commit of the books */
    int64_t told_boot_ns;   /* WR_NEVER_NS: never */
    int64_t wait_ns;
    int64_t due_ns; /* WR_NEVER_NS: nothing waits */
};

/* What a transaction changes in memory once it is committed. */
struct wr_transaction {
    bool books;  /* they are in it, with the acknowledgements */
    bool tables; /* in the tables, not only as a difference */
    bool gaps;   /* gap records are in it */
    bool counts; /* of budgets */
    bool totals; /* a ledger record is in it */
    bool boot_trusted;
    uint64_t evicted_before_row; /* of `evicted`, those that the newest row knows of */
    int64_t next_seq;
    uint64_t segments;
    uint64_t body_bytes;
    uint64_t evicted;
    uint64_t evicted_unacked;
    uint64_t evicted_readings;
    uint64_t merged;
    uint64_t merged_readings;
    uint64_t expired; /* of `evicted`, for their age */
    uint64_t expired_readings;
    uint64_t added[WR_LANES];
    uint64_t added_bytes[WR_LANES];
    uint64_t removed[WR_LANES]; /* unacknowledged ones */
    uint64_t removed_bytes[WR_LANES];
    struct wr_counts history_removed;
    struct wr_counts history_added;
    int64_t newest[WR_LANES];
    int64_t offered[WR_LANES];
    int64_t gone[WR_STORE_PARKED]; /* evicted seqs that were parked */
    uint32_t n_gone;
};

struct wr_store {
    sqlite3 *db;
    sqlite3_stmt *statements[WR_SQL_STATEMENTS];
    char *file; /* path of the database */
    char *directory;
    struct wr_store_options options;
    const struct wr_symbol_table *symbols;
    struct wr_encoder *encoder;
    uint64_t epoch;
    int64_t next_seq;
    int64_t live_from;
    struct wr_lane_state lanes[WR_LANES];
    struct wr_transaction txn;

    struct wr_stored_account *accounts;
    uint32_t n_accounts;
    uint32_t *map; /* process number -> index in accounts, UINT32_MAX: none */
    uint32_t n_map;
    int64_t books_since_boot_ns; /* of the first change of counts that is not on disk; WR_NEVER_NS: none */
    int64_t acks_since_boot_ns;
    uint32_t acks_waiting;
    uint32_t commits_since_tables;
    int64_t boot;      /* row in `boot`; 0: none */
    bool boot_trusted; /* its offset stands there */

    struct wr_buf journal; /* packed texts */
    struct wr_buf snaps;
    uint32_t journal_records;
    int64_t journal_t0_ns;
    int64_t journal_t1_ns;
    struct wr_wall journal_wall; /* the clock of its first text */
    bool journal_moved;
    int64_t journal_due_ns; /* WR_NEVER_NS: nothing waits */
    int64_t journal_committed_ns;
    double journal_tokens;
    int64_t journal_tokens_ns;
    uint64_t entries_taken;
    uint64_t entries_journalled;

    struct wr_budget_count counts[WR_STORE_COUNTS];
    int64_t counts_since_boot_ns; /* of the first change that is not on disk; WR_NEVER_NS: none */
    bool counts_urgent;

    struct wr_lengths lengths; /* of all windows that this process ever knew; none: see wr_store_lengths */
    struct wr_walls walls;
    struct wr_gaps gaps;
    struct wr_gap_span spans_before[WR_GAP_BOOKS]; /* the transaction at hand */
    int64_t totals_due_ns; /* of the next ledger record, but see wr_totals_due; WR_NEVER_NS: none is wanted */
    int64_t parked[WR_STORE_PARKED];
    uint8_t parked_lane[WR_STORE_PARKED];
    uint32_t n_parked;
    struct wr_counts history; /* finished segments of all lanes */
    struct wr_keep keep[WR_LANES];
    struct wr_reach reach;
    struct wr_reopen reopen;
    unsigned failed; /* WR_COMMIT_LANE, WR_COMMIT_JOURNAL: what the disk refused, and waits since */
    struct wr_thrift thrift;
    struct wr_written *written; /* what all files are reached by */
    int64_t opened_boot_ns;
    uint32_t page_bytes; /* of the database that is open */
    uint64_t page_limit;
    int64_t retry_ns;             /* after a failed commit: not before */
    int64_t last_wall_ns;         /* of the last commit before it was opened */
    int64_t scan_next;            /* check after an unclean stop: next row; INT64_MAX: none under way */
    struct wr_salvage *salvage;   /* under way; NULL: none */
    int64_t salvage_due_ns;       /* WR_NEVER_NS: nothing is left to salvage */
    uint32_t salvage_again;       /* so often the pages were gone through again */
    bool page_one_due;            /* the copy of the first page is not what it should be */
    bool rename_due;              /* a broken store still has the name of the good one */
    bool without;                 /* there has been no database since wr_store_open_without */
    struct wr_store_report found; /* by attempts to open; what was put aside stays in it until one succeeds */
    struct wr_store_loss *losses;
    struct wr_store_lost_books lost;
    struct wr_store_stats stats;
};

/* sql.c */
/* The result that a SQLite code means, with its message. */
enum wr_result wr_sql_failed(sqlite3 *db, int code, const char *doing, struct wr_error *err);
/* Right after a statement, while the store is opened: WR_CORRUPT where SQLite refused it for what the tables are, and not for what the disk does. */
WR_MUST_USE enum wr_result wr_sql_or_stranger(sqlite3 *db, enum wr_result result, struct wr_error *err);
WR_MUST_USE enum wr_result wr_sql_exec(sqlite3 *db, const char *sql, struct wr_error *err);
/* One integer, the first column of the first row. */
WR_MUST_USE enum wr_result wr_sql_integer(sqlite3 *db, const char *sql, int64_t *ret_value, struct wr_error *err);
WR_MUST_USE enum wr_result wr_sql_prepare_all(struct wr_store *store, struct wr_error *err);
void wr_sql_finalize_all(struct wr_store *store);
/* A statement ready for binding. */
sqlite3_stmt *wr_sql_use(struct wr_store *store, enum wr_statement statement);
/* Runs a statement that gives no rows. */
WR_MUST_USE enum wr_result wr_sql_run(struct wr_store *store, sqlite3_stmt *statement, struct wr_error *err);
/* The next row: WR_OK, or WR_EMPTY after the last one. Reset it when done: wr_sql_use does, a cursor left open would hold the checkpoint. */
WR_MUST_USE enum wr_result wr_sql_row(struct wr_store *store, sqlite3_stmt *statement, struct wr_error *err);
WR_MUST_USE enum wr_result wr_sql_meta_put(struct wr_store *store, const char *key, int64_t value, struct wr_error *err);
/* WR_NOT_FOUND. */
WR_MUST_USE enum wr_result wr_sql_meta_get(struct wr_store *store, const char *key, int64_t *ret_value, struct wr_error *err);

/* schema.c */
WR_MUST_USE enum wr_result wr_schema_open(const char *file, const char *vfs, int flags, sqlite3 **ret_db, struct wr_error *err);
WR_MUST_USE enum wr_result wr_schema_configure(sqlite3 *db, uint32_t *ret_page_bytes, struct wr_error *err);
/* Makes the tables if there are none. *ret_fresh tells. *ret_version: 1 is to be migrated. WR_UNSUPPORTED: a later version made it. */
WR_MUST_USE enum wr_result wr_schema_ensure(sqlite3 *db, bool *ret_fresh, int64_t *ret_version, struct wr_error *err);

/* Whether the ids of the tables are those of their rows, which a single wrong letter in the schema changes: then SQLite finds no row by its id. WR_CORRUPT. */
WR_MUST_USE enum wr_result wr_schema_check(sqlite3 *db, struct wr_error *err);

/* migrate.c */
/* Makes a store of version 1 one of version 2, or goes on with it where that was interrupted. */
WR_MUST_USE enum wr_result wr_migrate(sqlite3 *db, int64_t version, struct wr_error *err);

/* page_one.c */
/* Keeps a copy of the first page beside the database; where it is not in the file yet that is due. */
void wr_page_one_save(struct wr_store *store);
/* If it is due. */
void wr_page_one_look(struct wr_store *store);
/* The size of a page, by what the first one or the copy of it says; 0: neither can be read. */
uint32_t wr_page_one_size(const char *file);
/* Puts the copy that lies beside this database in its place. WR_NOT_FOUND, WR_IO. */
WR_MUST_USE enum wr_result wr_page_one_restore(const char *file);
/* Where neither it nor its copy can be read: puts the first page of a store in its place that was made just now, since all that were made with these tables are laid out
 * alike. Whether this one was is for the caller to prove; else it takes the page back. WR_NOT_FOUND, WR_IO. */
WR_MUST_USE enum wr_result wr_page_one_lend(struct wr_store *fresh, const char *file, uint8_t ret_before[WR_STORE_PAGE_BYTES_MAX]);
void wr_page_one_take_back(const struct wr_store *fresh, const char *file, const uint8_t before[WR_STORE_PAGE_BYTES_MAX]);
/* The database has no page at all, but there is a copy of its first. */
bool wr_page_one_is_missed(const char *file);

/* boots.c */
/* Inside a transaction: the row of this boot. */
WR_MUST_USE enum wr_result wr_boots_note(struct wr_store *store, struct wr_error *err);
/* Inside a transaction: its offset, as soon as the wall clock can be trusted. */
WR_MUST_USE enum wr_result wr_boots_trust(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
/* Inside a transaction: what a broken store knew of a boot, which may be the present one. */
WR_MUST_USE enum wr_result wr_boots_adopt(struct wr_store *store, const struct wr_page_boot *boot, struct wr_error *err);
/* What the wall clock of a boot is off. WR_EMPTY: nobody knows. */
WR_MUST_USE enum wr_result wr_boots_offset(struct wr_store *store, const uint8_t boot_id[16], const struct wr_now *now,
                                           int64_t *ret_offset_ns, struct wr_error *err);

/* *ret_newer: a later version made it. Asked before anything is changed in it. */
WR_MUST_USE enum wr_result wr_schema_is_newer(sqlite3 *db, bool *ret_newer, struct wr_error *err);

/* detached.c */
/* wr_store_take of a store without a database: what would be stored is booked as dropped(store). */
void wr_detached_take(struct wr_store *store, const struct wr_handover *handover, uint32_t from, const struct wr_now *now);

/* wal.c */
/* 0: there is none, or it cannot be told. */
int64_t wr_wal_bytes(sqlite3 *db);
/* Before anything is committed: makes sure that what is read in the WAL is on the disk. */
WR_MUST_USE enum wr_result wr_wal_refresh(sqlite3 *db, struct wr_error *err);

/* space.c */
WR_MUST_USE enum wr_result wr_space_reserve(struct wr_store *store, struct wr_error *err);
/* Inside a transaction: evicts until a body of this size fits. */
WR_MUST_USE enum wr_result wr_space_make_room(struct wr_store *store, size_t body_bytes, struct wr_error *err);
void wr_space_measure(struct wr_store *store);
/* What lay aside is gone: its bytes may be used. */
void wr_space_regain(struct wr_store *store);
/* Inside a transaction: all that is finished goes. */
WR_MUST_USE enum wr_result wr_space_drop_history(struct wr_store *store, struct wr_error *err);
/* Pages that an insert finds without an eviction. */
WR_MUST_USE enum wr_result wr_space_free_pages(struct wr_store *store, int64_t *ret_free, struct wr_error *err);

/* merging.c */
/* Before aggregates are committed: where only unsent segments could be evicted for them, merges the oldest windows instead, in a transaction of its own. What
 * fails here fails nothing else: then there is no more room than before. */
void wr_merging_make_room(struct wr_store *store, const struct wr_now *now);

/* commit.c */
#define WR_COMMIT_LANE(lane) (1U << (lane))
#define WR_COMMIT_JOURNAL 16U
#define WR_COMMIT_BOOKS 32U /* also where nothing is inserted */
#define WR_COMMIT_GAPS 64U
#define WR_COMMIT_COUNTS 128U
#define WR_COMMIT_ALL 255U
#define WR_COMMIT_TOTALS 256U /* a ledger record is due: it goes with any commit then */
WR_MUST_USE enum wr_result wr_commit(struct wr_store *store, unsigned what, const struct wr_now *now, struct wr_error *err);
/* Bare transactions. end: COMMIT if result is WR_OK, else ROLLBACK; what the transaction changes in memory happens or not. */
WR_MUST_USE enum wr_result wr_commit_begin(struct wr_store *store, struct wr_error *err);
WR_MUST_USE enum wr_result wr_commit_end(struct wr_store *store, enum wr_result result, struct wr_error *err);
/* After a commit with rows of others: what follows from it. */
void wr_commit_done(struct wr_store *store, const struct wr_now *now);
/* How it will be once the transaction is committed. */
struct wr_counts wr_commit_counts(const struct wr_store *store, int lane);
struct wr_counts wr_commit_history(const struct wr_store *store);

/* A row's id holds its lane and its seq, so that a lane is a range of rows. */
#define WR_STORE_SEQ_BITS 56
static inline int64_t wr_row_id(int lane, int64_t seq) {
    const int64_t end = (INT64_C(1) << WR_STORE_SEQ_BITS) - 1;
    return (int64_t)lane << WR_STORE_SEQ_BITS | (seq < 0 ? 0 : seq > end ? end : seq);
}
static inline int64_t wr_row_seq(int64_t id) {
    return id & ((INT64_C(1) << WR_STORE_SEQ_BITS) - 1);
}
static inline int64_t wr_row_lane(int64_t id) {
    return id >> WR_STORE_SEQ_BITS;
}

/* outbox.c */
/* Whether the uplink may have published it without an answer yet: evicting it would book as lost what the receiver may have. */
bool wr_outbox_in_flight(const struct wr_lane_state *lane, int64_t seq);
/* A copy of one segment; NULL: it is only checked. *ret_bad: this one body is damaged, the database is not. WR_NOT_FOUND, WR_CORRUPT. */
WR_MUST_USE enum wr_result wr_outbox_fetch(struct wr_store *store, enum wr_lane lane, int64_t seq, struct wr_segment *ret_segment,
                                           bool *ret_bad, struct wr_error *err);
bool wr_outbox_is_parked(const struct wr_store *store, int64_t seq);
/* The account list of all that was added up in in_segment, which is zero afterwards. `stored`: and books it as stored. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_outbox_put_list(struct wr_store *store, bool stored, struct wr_buf *list);
WR_MUST_USE enum wr_result wr_outbox_put_open(struct wr_store *store, enum wr_lane lane, const struct wr_now *now, struct wr_error *err);
/* Inside a transaction: a row with this body. */
WR_MUST_USE enum wr_result wr_outbox_put_row(struct wr_store *store, const struct wr_codec_header *header, const struct wr_buf *accounts,
                                             const uint8_t *body, size_t len, struct wr_error *err);
/* Inside a transaction: what stands in `in_segment` of the accounts is booked as stored, put into a row's list, and cleared. WR_NO_MEMORY. */
struct wr_codec_header wr_outbox_header(const struct wr_store *store, enum wr_lane lane, enum wr_segment_kind kind,
                                        const struct wr_now *now);
/* Books a damaged segment and takes it out of the way. */
WR_MUST_USE enum wr_result wr_outbox_mark_bad(struct wr_store *store, enum wr_lane lane, int64_t seq, const struct wr_now *now,
                                              struct wr_error *err);
/* Forgets that a segment was parked. */
void wr_outbox_unpark(struct wr_store *store, int64_t seq);
/* A slice of the check after an unclean stop. */
WR_MUST_USE enum wr_result wr_outbox_scan(struct wr_store *store, const struct wr_now *now, struct wr_error *err);

/* acks.c */
WR_MUST_USE enum wr_result wr_acks_save(struct wr_store *store, struct wr_error *err);
WR_MUST_USE enum wr_result wr_acks_load(struct wr_store *store, struct wr_error *err);
void wr_acks_prune(struct wr_store *store);
bool wr_acks_row_between(void *lane, int64_t a, int64_t b);
struct wr_acks_lane {
    struct wr_store *store;
    enum wr_lane lane;
};

/* journal.c */
/* Inside a transaction. */
WR_MUST_USE enum wr_result wr_journal_put(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
void wr_journal_committed(struct wr_store *store, int64_t now_ns);

/* gaps.c */
static inline unsigned wr_gaps_index(unsigned book) {
    return book == WR_BOOK_RECOVERED ? WR_GAP_BOOKS - 1 : book - 16;
}
static inline unsigned wr_gaps_book(unsigned index) {
    return index == WR_GAP_BOOKS - 1 ? WR_BOOK_RECOVERED : index + 16;
}
/* Times of readings that are booked as dropped now. */
void wr_gaps_span(struct wr_store *store, enum wr_book book, int64_t t0_ns, int64_t t1_ns);
/* After a commit of the books: whether something is to be told, and when. */
void wr_gaps_look(struct wr_store *store, const struct wr_now *now);
/* When records are to be written; WR_NEVER_NS: there is nothing to tell, or they pause (records.h). */
int64_t wr_gaps_due(const struct wr_store *store);
/* Inside a transaction: records of all that is not told yet. */
WR_MUST_USE enum wr_result wr_gaps_put(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
void wr_gaps_committed(struct wr_store *store, const struct wr_now *now);

/* counts.c */
bool wr_counts_wait(const struct wr_store *store);
int64_t wr_counts_due(const struct wr_store *store);
/* Inside a transaction, after the books: if it is time, or must be. */
WR_MUST_USE enum wr_result wr_counts_save(struct wr_store *store, bool must, const struct wr_now *now, struct wr_error *err);
void wr_counts_committed(struct wr_store *store);
/* Makes those in memory wait for the next commit. */
void wr_counts_start_over(struct wr_store *store);
WR_MUST_USE enum wr_result wr_counts_load(struct wr_store *store, struct wr_error *err);

/* totals.c */
/* A database was opened: the first ledger record is due at once. */
void wr_totals_start(struct wr_store *store);
int64_t wr_totals_due(const struct wr_store *store);
/* Inside a transaction: the ledger record, if it is due and not in it already. */
WR_MUST_USE enum wr_result wr_totals_put(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
void wr_totals_committed(struct wr_store *store, const struct wr_now *now);

/* store.c */
/* The database as it is in the directory, or a fresh one, with the books that stand in it; a broken or later one is renamed aside. */
WR_MUST_USE enum wr_result wr_store_take_up(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
/* Without a database again, as after an attempt that failed. */
void wr_store_let_go(struct wr_store *store);
/* Renames the broken store aside and goes on with a fresh one. */
WR_MUST_USE enum wr_result wr_store_quarantine(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
void wr_store_show(struct wr_store *store);
/* How much of the file is taken by what nobody has acknowledged, as of the last show. */
unsigned wr_store_waiting_percent(const struct wr_store *store);

#endif
