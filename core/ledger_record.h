/* The ledger record: the books of a node as they stood between two of its segments, as they go upstream beside the gap records on `…/gap`.
 *
 *   {"cut":812,"epoch":"c0ffee0000000001","time_ns":1764230400000000000,"time":"2025-11-27T08:00:00.000Z","of":2,
 *    "ledger":[{"source":"floor","window":"m1","books":{"taken":120000,"stored":118000,"delivered":117000,"dropped(late)":12}}]}
 *
 * Between two records of an epoch with the cuts A < B the node stored, in segments with A < seq < B, exactly as many readings as `stored` less `recovered` has
 * grown from one to the other; what it merged since came out of some of them, and went with a later seq. So whoever keeps the seqs and the readings of what arrived knows, without asking the node, what has not: that
 * is the central side's half of the audit (agent/receive/audit.h). `of` is the number of accounts in all records of this cut: with fewer of them, one
 * is still on its way. Books that are zero are left out; names as in wr_book_name.
 *
 * Why a record in lane 0, and no retained topic: it is written in the transaction of the books that it states, so it is exact; it has a key, so it is
 * delivered as an alarm is, over crashes of either side; and it needs nothing of MQTT that 3.1.1 does not have.
 *
 * Threads: none; plain functions. Limits: WR_LEDGER_RECORD_ACCOUNTS a record, so that it fits a segment whatever the names are; more are more records.
 */
#ifndef WEIR_CORE_LEDGER_RECORD_H
#define WEIR_CORE_LEDGER_RECORD_H

#include <stdint.h>

#include "core/json.h"
#include "core/ledger.h"

#define WR_LEDGER_RECORD_ACCOUNTS 16

/* begin, accounts, end: one JSON object. The failure of any of them is that of the end. */
void wr_ledger_record_begin(struct wr_json *json, struct wr_buf *into, int64_t cut, uint64_t epoch, int64_t time_ns, uint32_t of);
/* books[book], WR_BOOKS of them. */
void wr_ledger_record_account(struct wr_json *json, const struct wr_account *account, const uint64_t *books);
WR_MUST_USE enum wr_result wr_ledger_record_end(struct wr_json *json);

#endif
