/* Records of the ledger, JSON texts, packed into segments of the alarms' lane: gap records and ledger records.
 *
 * Promise: each text goes into one segment, whole, in the order of the puts; a segment is put whenever the next text would not fit.
 * Where a broker takes alarms and forbids these, or the other way round, each row that it does not take parts two ranges of acknowledgements. So none are written once there are
 * WR_RECORDS_PAUSE_RANGES of them: the other half stays for what is in flight, and what was to be told is told when there are less. The books know it meanwhile.
 *
 * Threads: as in store/store.h. Ownership: texts are copied. Limits: a text has WR_STORE_ALARM_BYTES at most. Errors: those of an insert.
 */
#ifndef WEIR_STORE_RECORDS_H
#define WEIR_STORE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/result.h"

#define WR_RECORDS_PAUSE_RANGES (WR_STORE_RANGES / 2)

struct wr_store;

struct wr_records {
    struct wr_store *store;
    const struct wr_now *now;
    struct wr_buf texts;
    uint32_t n;
    int64_t t0_ns;
    int64_t t1_ns;
};
/* None is to be written now. */
bool wr_records_pause(const struct wr_store *store);
/* Inside a transaction: begin, put, end; the end puts the last segment if the result so far is WR_OK, and frees. */
void wr_records_begin(struct wr_records *records, struct wr_store *store, const struct wr_now *now);
WR_MUST_USE enum wr_result wr_records_put(struct wr_records *records, const struct wr_buf *text, int64_t t0_ns, int64_t t1_ns,
                                          struct wr_error *err);
WR_MUST_USE enum wr_result wr_records_end(struct wr_records *records, enum wr_result result, struct wr_error *err);

#endif
