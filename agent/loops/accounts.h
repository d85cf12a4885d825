/* The ledger accounts of this process: one for each (source, window), one `none` and one `intake` for each source.
 *
 * A number is given once per name and never changes its meaning while the process lives: a reload adds numbers, and finds old ones again. With them goes how
 * long the windows are, and were: engine and store are told the same lengths, those of windows that a reload has dropped among them, since the store may hold some.
 * Threads: changed by the main thread only, while neither engine nor store look at it (they get copies or run a request).
 * Ownership: caller's memory. Limits: WR_LEDGER_ACCOUNTS_MAX accounts.
 */
#ifndef WEIR_AGENT_LOOPS_ACCOUNTS_H
#define WEIR_AGENT_LOOPS_ACCOUNTS_H

#include "core/ledger.h"
#include "core/lengths.h"
#include "core/result.h"
#include "rules/engine/window.h"

struct wr_accounts {
    struct wr_account list[WR_LEDGER_ACCOUNTS_MAX];
    int64_t length_ns[WR_LEDGER_ACCOUNTS_MAX]; /* of the windows; 0: changes, `none`, `intake` */
    uint32_t n;
    struct wr_lengths lengths; /* of all windows since the process began */
};

/* The number of an account, a new one if need be. WR_LIMIT. */
WR_MUST_USE enum wr_result wr_accounts_number(struct wr_accounts *accounts, const char *source, const char *window, uint32_t *ret_number,
                                              struct wr_error *err);

/* The map that the engine is given: map[slot * (n_windows + 2) + window], with `none` and `intake` behind the windows. names[slot] is the
 * source in that slot, NULL: nobody, its numbers are those of account 0 and never used. The caller frees the map. */
WR_MUST_USE enum wr_result wr_accounts_map(struct wr_accounts *accounts, const char *const *names, uint32_t n_slots,
                                           const struct wr_window_spec *windows, uint32_t n_windows, uint32_t **ret_map,
                                           struct wr_error *err);

#endif
