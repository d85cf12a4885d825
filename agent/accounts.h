/* The ledger accounts of a config: one for each (source, window), one `none` and one `intake` for each source.
 *
 * The account of a (source slot, window) is slot * (n_windows + 2) + window; window n_windows is `none`, n_windows + 1 is `intake`. This order
 * is what rules/engine.h and store/ are given; names, not numbers, are what is stored.
 * Threads: immutable after make. Ownership: the lists are freed by wr_accounts_fini.
 */
#ifndef WEIR_AGENT_ACCOUNTS_H
#define WEIR_AGENT_ACCOUNTS_H

#include "agent/config.h"
#include "core/ledger.h"
#include "core/result.h"

struct wr_accounts {
    struct wr_account *list;
    uint32_t *indexes; /* 0, 1, 2, ...: what the engine is given */
    uint32_t n;
    uint32_t n_sources;
    uint32_t n_windows;
};

/* names[slot] is the source in that slot, or NULL: its accounts have no names and no readings. */
WR_MUST_USE enum wr_result wr_accounts_make(const char *const *names, uint32_t n_sources, const struct wr_window_spec *windows,
                                            uint32_t n_windows, struct wr_accounts *ret_accounts, struct wr_error *err);
void wr_accounts_fini(struct wr_accounts *accounts);

static inline uint32_t wr_accounts_intake(const struct wr_accounts *accounts, uint32_t slot) {
    return slot * (accounts->n_windows + 2) + accounts->n_windows + 1;
}

#endif
