/* The audit of the central side: is what arrived, with what the nodes know to be lost, all that they stored?
 *
 * What a segment can say and what not: its readings (n + bad of its records) and its seq, never whose they are: series and windows stand in it, the accounts
 * (source, window) only in the node's books. So two things are counted apart and must meet:
 *   here     the keys that arrived, each with its readings: table `segment` in PostgreSQL, `segment-*.jsonl` of files
 *   there    ledger records (core/ledger_record.h): the books of each account at a cut between two segments of an epoch
 * Within an epoch each seq is given once. So between its first and its last cut, without asking anybody:
 *
 *   stored (grown between the cuts, without what was recovered) = arrived + absent - carried
 *   absent <= lost (evicted, expired and corrupt, grown between the cuts) + held (by the node, at the last cut)
 *   carried <= held (at the first cut), and 0 unless the node merged windows between the cuts
 *
 * and with no seq absent, no reading may be. What is left over is *off*: delivered as the node thinks, and not here. Segments beyond the last cut are
 * `newer`: the next record tells of them. What the node lost before anything was stored (late, crash, ...) its books say:
 * taken + recovered = stored + open + dropped.
 *
 * Merged windows come under a later seq than those that they were made of, which never come: so readings count, not segments; and what was stored
 * before the first cut may come behind it (carried). What is salvaged out of a broken store comes under the epoch and seq that it had there, and counts
 * there: what was gone with that store becomes less. The row that it took in the new store is a seq that never comes.
 *
 * Which epoch is the node's newest, with its totals? That of the latest record, as long as the clocks were right. One that has only records of a clock that nobody had set
 * stands behind those whose books it goes on from: a node's books never become less, whichever store they stand in.
 *
 * Threads: one at a time. Ownership: init/fini. Limits: WR_AUDIT_HOLES ranges of absent segments are named.
 */
#ifndef WEIR_AGENT_RECEIVE_AUDIT_H
#define WEIR_AGENT_RECEIVE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/receive/message.h"
#include "agent/receive/postgres.h"
#include "core/buf.h"
#include "core/ledger.h"
#include "core/result.h"

#define WR_AUDIT_HOLES 8
#define WR_AUDIT_REASON_BYTES 24

/* One epoch of a node. */
struct wr_audit_epoch {
    char site[WR_MESSAGE_NAME_BYTES];
    char node[WR_MESSAGE_NAME_BYTES];
    uint64_t epoch;
    int64_t first_cut;
    int64_t last_cut;         /* 0: no ledger record came, nothing can be said */
    int64_t time_ns;          /* of the last record */
    int64_t known_ns;         /* of the last whose clock was not untrusted; INT64_MIN: there is none */
    int64_t place_ns;         /* the same, or where it stands instead among the node's */
    uint64_t books[WR_BOOKS]; /* at the last cut, of all accounts but intakes */
    uint64_t stored;          /* these: between the cuts; without what was recovered */
    uint64_t recovered;       /* out of a store before this one */
    uint64_t lost;
    uint64_t carried; /* at most so many were stored before the first cut, and came behind it */
    uint64_t arrived;
    uint64_t absent; /* segments */
    uint64_t newer;  /* segments beyond the last cut */
    struct {
        int64_t first;
        int64_t last;
    } holes[WR_AUDIT_HOLES]; /* the first of the absent segments */
    unsigned n_holes;
};

/* What gap records say, added up. */
struct wr_audit_loss {
    char node[WR_MESSAGE_NAME_BYTES];
    char reason[WR_AUDIT_REASON_BYTES];
    struct wr_account account;
    uint64_t readings;
    int64_t from_ns;
    int64_t to_ns;
};

struct wr_audit {
    struct wr_audit_epoch *epochs; /* by node, then as they followed on each other */
    size_t n;
    struct wr_audit_loss *losses; /* by node */
    size_t n_losses;
};

/* What the books at the last cut have grown by since the first. */
void wr_audit_between(struct wr_audit_epoch *epoch, const uint64_t *first_books);

void wr_audit_init(struct wr_audit *audit);
void wr_audit_fini(struct wr_audit *audit);
/* The new one at the end, zeroed; NULL: no memory. */
struct wr_audit_epoch *wr_audit_add_epoch(struct wr_audit *audit);
/* The loss of this kind, with these readings and times added. */
WR_MUST_USE enum wr_result wr_audit_add_loss(struct wr_audit *audit, const struct wr_audit_loss *loss);

struct wr_audit_verdict {
    uint64_t held;   /* at the node, at the last cut */
    uint64_t on_way; /* readings that are absent, and the node holds them */
    uint64_t lost;   /* ..., and the node knows that they are lost */
    uint64_t off;    /* nobody knows: 0 is good */
    uint64_t carried;
    uint64_t open;   /* at the node, taken and not stored yet */
    bool impossible; /* the node's books say more stored and dropped than taken */
};

struct wr_audit_verdict wr_audit_judge(const struct wr_audit_epoch *epoch);
/* Nothing is off, and there is something to check everywhere. */
bool wr_audit_balances(const struct wr_audit *audit);
/* For people, and as one JSON object. */
WR_MUST_USE enum wr_result wr_audit_print(const struct wr_audit *audit, struct wr_buf *into);
WR_MUST_USE enum wr_result wr_audit_print_json(const struct wr_audit *audit, struct wr_buf *into);

/* Where the numbers come from. WR_NOT_FOUND: no such directory, or no tables yet. */
WR_MUST_USE enum wr_result wr_audit_postgres(const struct wr_postgres_options *options, struct wr_audit *audit, struct wr_error *err);
/* state NULL: DIRECTORY/.keys, if it is there: it says how much of unfinished files counts. */
WR_MUST_USE enum wr_result wr_audit_files(const char *directory, const char *state, struct wr_audit *audit, struct wr_error *err);

#endif
