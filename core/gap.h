/* The gap record: what an agent knows to be missing, when, and why, as it goes upstream on `…/gap`.
 *
 * Readings that the ledger books as dropped are told once, by reason: `accounts` says whose they were, and the total that the node has
 * lost of each for this reason so far. So whoever missed a record sees it by the totals of the next. What comes out of a broken store after all
 * is told the same way, with the reason "recovered": it corrects what was told as lost with it ("store"), and its segments arrive by themselves.
 *
 * Ownership: plain values; the accounts belong to the caller. Limits: WR_GAP_ACCOUNTS a record; more accounts are more records.
 * Units: wall times in ns. Where the readings' own times are known (evicted, corrupt), the range is theirs; else it lies between the last
 * commit that did not know of the loss and the one that did.
 */
#ifndef WEIR_CORE_GAP_H
#define WEIR_CORE_GAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/ledger.h"
#include "core/result.h"

#define WR_GAP_ACCOUNTS 64

struct wr_gap_account {
    const struct wr_account *account;
    uint64_t readings; /* of this record */
    uint64_t total;    /* with all that was told before */
};

struct wr_gap {
    enum wr_book book; /* a dropped one, or recovered */
    int64_t from_ns;
    int64_t to_ns;
    bool at_least; /* what a crash took of open windows is not known to the last reading */
    uint32_t n;
    struct wr_gap_account accounts[WR_GAP_ACCOUNTS];
};

/* Whether readings of this book are told. Those that no window wants are no loss. */
bool wr_gap_is_told(unsigned book);

/* Appends the record as one JSON object. */
WR_MUST_USE enum wr_result wr_gap_to_json(const struct wr_gap *gap, struct wr_buf *into);

#endif
