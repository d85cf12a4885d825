#include "agent/accounts.h"

#include <stdio.h>
#include <stdlib.h>

void wr_accounts_fini(struct wr_accounts *accounts) {
    free(accounts->list);
    free(accounts->indexes);
    *accounts = (struct wr_accounts){0};
}

static const char *window_name(const struct wr_window_spec *windows, uint32_t n_windows, uint32_t window) {
    return window < n_windows ? windows[window].name : window == n_windows ? WR_LEDGER_NONE : WR_LEDGER_INTAKE;
}

enum wr_result wr_accounts_make(const char *const *names, uint32_t n_sources, const struct wr_window_spec *windows, uint32_t n_windows,
                                struct wr_accounts *ret_accounts, struct wr_error *err) {
    struct wr_accounts made = {.n = n_sources * (n_windows + 2), .n_sources = n_sources, .n_windows = n_windows};
    if (made.n > WR_LEDGER_ACCOUNTS_MAX)
        return wr_error_set(err, WR_LIMIT, "%u sources with %u windows make more than %d ledger accounts", n_sources, n_windows,
                            WR_LEDGER_ACCOUNTS_MAX);
    made.list = calloc(made.n ? made.n : 1, sizeof *made.list);
    made.indexes = calloc(made.n ? made.n : 1, sizeof *made.indexes);
    if (!made.list || !made.indexes) {
        wr_accounts_fini(&made);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger accounts");
    }
    for (uint32_t i = 0; i < made.n; i++) {
        made.indexes[i] = i;
        const char *source = names[i / (n_windows + 2)];
        if (!source)
            continue;
        snprintf(made.list[i].source, sizeof made.list[i].source, "%s", source);
        snprintf(made.list[i].window, sizeof made.list[i].window, "%s", window_name(windows, n_windows, i % (n_windows + 2)));
    }
    *ret_accounts = made;
    return WR_OK;
}
