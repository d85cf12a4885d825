#include "core/ledger.h"

#include <stddef.h>
#include <string.h>

static const char *const names[WR_BOOKS] = {
    [WR_BOOK_RECEIVED] = "received",
    [WR_BOOK_TAKEN] = "taken",
    [WR_BOOK_BAD] = "bad",
    [WR_BOOK_STORED] = "stored",
    [WR_BOOK_DELIVERED] = "delivered",
    [WR_BOOK_WIDENED] = "widened",
    [WR_BOOK_LATE] = "late",
    [WR_BOOK_MERGED] = "merged",
    [WR_BOOK_RECOVERED] = "recovered",
    [WR_BOOK_DROPPED_LATE] = "dropped(late)",
    [WR_BOOK_DROPPED_CRASH] = "dropped(crash)",
    [WR_BOOK_DROPPED_EVICTED] = "dropped(evicted)",
    [WR_BOOK_DROPPED_CORRUPT] = "dropped(corrupt)",
    [WR_BOOK_DROPPED_OVERFLOW] = "dropped(overflow)",
    [WR_BOOK_DROPPED_MEMORY] = "dropped(memory)",
    [WR_BOOK_DROPPED_UNWANTED] = "dropped(unwanted)",
    [WR_BOOK_DROPPED_STOP] = "dropped(stop)",
    [WR_BOOK_DROPPED_STORE] = "dropped(store)",
    [WR_BOOK_DROPPED_EXPIRED] = "dropped(expired)",
    [WR_BOOK_REJECTED_SYNTAX] = "rejected(syntax)",
    [WR_BOOK_REJECTED_TIME] = "rejected(time)",
    [WR_BOOK_REJECTED_TYPE] = "rejected(type)",
    [WR_BOOK_REJECTED_SERIES] = "rejected(series)",
    [WR_BOOK_REJECTED_SYMBOLS] = "rejected(symbols)",
    [WR_BOOK_REJECTED_TOO_LONG] = "rejected(too_long)",
    [WR_BOOK_REJECTED_MEMORY] = "rejected(memory)",
};

const char *wr_book_name(enum wr_book book) {
    return (unsigned)book < WR_BOOKS ? names[book] : NULL;
}

/* What has left the store, for whatever reason. */
static uint64_t left_store(const struct wr_account_balance *balance) {
    return balance->books[WR_BOOK_DELIVERED] + balance->books[WR_BOOK_DROPPED_EVICTED] + balance->books[WR_BOOK_DROPPED_CORRUPT] +
           balance->books[WR_BOOK_DROPPED_EXPIRED];
}

uint64_t wr_balance_held(const struct wr_account_balance *balance) {
    uint64_t stored = balance->books[WR_BOOK_STORED];
    uint64_t left = left_store(balance);
    return stored > left ? stored - left : 0;
}

uint64_t wr_balance_dropped(const struct wr_account_balance *balance) {
    uint64_t dropped = 0;
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (wr_book_is_dropped(book))
            dropped += balance->books[book];
    return dropped;
}

static bool is_intake(const struct wr_account_balance *balance) {
    return strcmp(balance->account.window, WR_LEDGER_INTAKE) == 0;
}

bool wr_balance_check(const struct wr_account_balance *balance, uint64_t *ret_left, uint64_t *ret_right) {
    bool possible = true;
    uint64_t left;
    uint64_t right = balance->open + wr_balance_dropped(balance);
    if (is_intake(balance)) {
        left = balance->books[WR_BOOK_RECEIVED];
        right += balance->books[WR_BOOK_TAKEN];
    } else {
        left = balance->books[WR_BOOK_TAKEN] + balance->books[WR_BOOK_RECOVERED];
        right += wr_balance_held(balance) + balance->books[WR_BOOK_DELIVERED];
        /* More has left the store than ever was in it: no equation can be right then. */
        possible = left_store(balance) <= balance->books[WR_BOOK_STORED];
    }
    if (balance->recounted)
        possible = possible && balance->recount == wr_balance_held(balance);
    if (ret_left)
        *ret_left = left;
    if (ret_right)
        *ret_right = right;
    return possible && left == right && !balance->doubted;
}
