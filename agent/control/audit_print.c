#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/audit.h"
#include "core/json.h"

static bool is_intake(const struct wr_account_balance *balance) {
    return strcmp(balance->account.window, WR_LEDGER_INTAKE) == 0;
}

static void account_json(struct wr_json *json, const struct wr_account_balance *balance) {
    wr_json_object(json, NULL);
    wr_json_string(json, "source", balance->account.source);
    wr_json_string(json, "window", balance->account.window);
    if (is_intake(balance)) {
        wr_json_uint(json, "received", balance->books[WR_BOOK_RECEIVED]);
        wr_json_uint(json, "in_channel", balance->open);
    } else {
        wr_json_uint(json, "open", balance->open);
        wr_json_uint(json, "held", wr_balance_held(balance));
        wr_json_uint(json, "delivered", balance->books[WR_BOOK_DELIVERED]);
    }
    wr_json_uint(json, "taken", balance->books[WR_BOOK_TAKEN]);
    wr_json_uint(json, "dropped_total", wr_balance_dropped(balance));
    wr_json_object(json, "books");
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (balance->books[book] > 0 && wr_book_name(book))
            wr_json_uint(json, wr_book_name(book), balance->books[book]);
    wr_json_object_end(json);
    wr_json_bool(json, "balanced", wr_balance_check(balance, NULL, NULL));
    wr_json_object_end(json);
}

static enum wr_result print_json(const struct wr_audit *audit, struct wr_buf *into) {
    struct wr_json json;
    char epoch[17];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, audit->epoch);
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_bool(&json, "balanced", audit->balanced);
    wr_json_bool(&json, "live", audit->live);
    wr_json_bool(&json, "clean", audit->clean);
    wr_json_string(&json, "epoch", epoch);
    wr_json_array(&json, "accounts");
    for (uint32_t i = 0; i < audit->n; i++)
        account_json(&json, &audit->balances[i]);
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}

static enum wr_result print_books(const struct wr_account_balance *balance, bool rejected, struct wr_buf *into) {
    for (unsigned book = 16; book < WR_BOOKS; book++)
        if (balance->books[book] > 0 && wr_book_is_rejected(book) == rejected && wr_book_name(book))
            WR_TRY(wr_buf_printf(into, "  %s %" PRIu64, wr_book_name(book), balance->books[book]));
    return WR_OK;
}

static enum wr_result print_account(const struct wr_account_balance *balance, struct wr_buf *into) {
    uint64_t left, right;
    bool good = wr_balance_check(balance, &left, &right);
    if (is_intake(balance)) {
        WR_TRY(wr_buf_printf(into, "%s: received %" PRIu64 " = in channel %" PRIu64 " + taken %" PRIu64 " + dropped %" PRIu64,
                             balance->account.source, left, balance->open, balance->books[WR_BOOK_TAKEN], wr_balance_dropped(balance)));
        WR_TRY(print_books(balance, false, into));
        WR_TRY(print_books(balance, true, into));
    } else {
        WR_TRY(wr_buf_printf(into,
                             "%s / %s: taken %" PRIu64 " = open %" PRIu64 " + held %" PRIu64 " + delivered %" PRIu64 " + dropped %" PRIu64,
                             balance->account.source, balance->account.window, left, balance->open, wr_balance_held(balance),
                             balance->books[WR_BOOK_DELIVERED], wr_balance_dropped(balance)));
        WR_TRY(print_books(balance, false, into));
        if (balance->books[WR_BOOK_BAD])
            WR_TRY(wr_buf_printf(into, "  (bad quality: %" PRIu64 ")", balance->books[WR_BOOK_BAD]));
    }
    if (!good)
        WR_TRY(wr_buf_printf(into, "  DOES NOT BALANCE: %" PRIu64 " against %" PRIu64, left, right));
    return wr_buf_text(into, "\n");
}

enum wr_result wr_audit_print(const struct wr_audit *audit, bool json, struct wr_buf *into) {
    if (json)
        return print_json(audit, into);
    for (uint32_t i = 0; i < audit->n; i++)
        WR_TRY(print_account(&audit->balances[i], into));
    if (!audit->live && !audit->clean)
        WR_TRY(wr_buf_text(into, "The store was not closed cleanly: the next start books what is missing as dropped(crash).\n"));
    return wr_buf_text(into, audit->balanced ? "balanced\n" : "NOT BALANCED\n");
}
