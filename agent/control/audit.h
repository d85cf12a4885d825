/* The audit: every account counted at one moment, and whether its equation holds.
 *
 * On a live agent it runs on the engine first, which counts what is in channels and in open windows by walking them, then travels behind the
 * handovers to the store, which adds what is on disk and what waits there. On a stopped one it reads the store alone, and adds up what its segments hold.
 * Threads: wr_audit_live from any thread but engine and store. Ownership: the caller frees with wr_audit_fini.
 */
#ifndef WEIR_AGENT_CONTROL_AUDIT_H
#define WEIR_AGENT_CONTROL_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/ledger.h"
#include "core/result.h"
#include "store/store.h"

struct wr_accounts;
struct wr_agent;
struct wr_request;

struct wr_audit {
    struct wr_account_balance *balances; /* of accounts that have a name, sorted by source and window */
    uint32_t n;
    bool live;
    bool clean; /* of a stopped store: it was closed cleanly */
    struct wr_store_recount segments; /* of a stopped store */
    struct wr_store_lost_books lost;
    uint64_t epoch;
    bool balanced;
};

/* Asks again for a moment if a source was just between counting and sending. WR_TIMEOUT, WR_BUSY: the store does not answer now. */
WR_MUST_USE enum wr_result wr_audit_live(struct wr_agent *agent, struct wr_audit *ret_audit, struct wr_error *err);
/* The same in two halves, for an asker that does not wait: a request for the engine; and, once it has ended with WR_OK, what it found. */
WR_MUST_USE enum wr_result wr_audit_ask(const struct wr_accounts *accounts, struct wr_request **ret_request, struct wr_error *err);
void wr_audit_answer(struct wr_request *request, struct wr_audit *ret_audit);
WR_MUST_USE enum wr_result wr_audit_stopped(const char *store_path, struct wr_audit *ret_audit, struct wr_error *err);
void wr_audit_fini(struct wr_audit *audit);

WR_MUST_USE enum wr_result wr_audit_print(const struct wr_audit *audit, bool json, struct wr_buf *into);

#endif
