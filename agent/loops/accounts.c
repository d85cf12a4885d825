#include "agent/loops/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wr_result wr_accounts_number(struct wr_accounts *accounts, const char *source, const char *window, uint32_t *ret_number,
                                  struct wr_error *err) {
    for (uint32_t i = 0; i < accounts->n; i++) {
        if (strcmp(accounts->list[i].source, source) == 0 && strcmp(accounts->list[i].window, window) == 0) {
            *ret_number = i;
            return WR_OK;
        }
    }
    if (accounts->n == WR_LEDGER_ACCOUNTS_MAX)
        return wr_error_set(err, WR_LIMIT, "more than %d ledger accounts: a source with a window is one", WR_LEDGER_ACCOUNTS_MAX);
    struct wr_account *account = &accounts->list[accounts->n];
    snprintf(account->source, sizeof account->source, "%s", source);
    snprintf(account->window, sizeof account->window, "%s", window);
    *ret_number = accounts->n++;
    return WR_OK;
}

static const char *window_name(const struct wr_window_spec *windows, uint32_t n_windows, uint32_t window) {
    return window < n_windows ? windows[window].name : window == n_windows ? WR_LEDGER_NONE : WR_LEDGER_INTAKE;
}

static int64_t length_of(const struct wr_window_spec *window) {
    return window->forward == WR_FORWARD_WINDOWS ? window->every_ns : 0;
}

enum wr_result wr_accounts_map(struct wr_accounts *accounts, const char *const *names, uint32_t n_slots,
                               const struct wr_window_spec *windows, uint32_t n_windows, uint32_t **ret_map, struct wr_error *err) {
    uint32_t *map = calloc((size_t)n_slots * (n_windows + 2) + 1, sizeof *map);
    if (!map)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger accounts");
    for (uint32_t window = 0; window < n_windows; window++)
        wr_lengths_add(&accounts->lengths, length_of(&windows[window]));
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        for (uint32_t window = 0; names[slot] && window < n_windows + 2; window++) {
            uint32_t *number = &map[slot * (n_windows + 2) + window];
            enum wr_result result = wr_accounts_number(accounts, names[slot], window_name(windows, n_windows, window), number, err);
            if (result != WR_OK) {
                free(map);
                return result;
            }
            accounts->length_ns[*number] = window < n_windows ? length_of(&windows[window]) : 0;
        }
    }
    *ret_map = map;
    return WR_OK;
}
