/* The ledger record of a node (core/ledger_record.h), read at the central side.
 *
 * Promise: any JSON object is read without harm; what WR_OK was answered for is whole: names are texts, books are counts. A book that this
 * version has no name for is passed over.
 * Threads: none; pure. Errors: WR_NOT_FOUND: no ledger record (a gap record); WR_INVALID, with what is wrong; WR_NO_MEMORY.
 */
#ifndef WEIR_AGENT_RECEIVE_LEDGER_H
#define WEIR_AGENT_RECEIVE_LEDGER_H

#include <stdint.h>

#include "core/buf.h"
#include "core/ledger.h"
#include "core/result.h"

struct wr_receive_ledger {
    int64_t cut; /* above 0 */
    uint64_t epoch;
    int64_t time_ns;
    uint32_t of;              /* accounts in all records of this cut */
    uint32_t n;               /* of them in this one */
    uint64_t books[WR_BOOKS]; /* of all its accounts but those of the intake, added up */
};

/* One account of a record; books by number. */
typedef enum wr_result wr_receive_account_callback(void *user, const struct wr_account *account, const uint64_t *books);

/* `json` is a checked object. callback NULL: none. */
WR_MUST_USE enum wr_result wr_receive_ledger_read(const char *json, size_t len, wr_receive_account_callback *callback, void *user,
                                                  struct wr_receive_ledger *ret_ledger, struct wr_error *err);
/* Books alone, as {"taken":1,...}: adds them to books[WR_BOOKS]. The same errors. */
WR_MUST_USE enum wr_result wr_receive_ledger_books(const char *json, size_t len, uint64_t *books, struct wr_error *err);

#endif
