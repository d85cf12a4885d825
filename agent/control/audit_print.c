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
        if (balance->recounted)
            wr_json_uint(json, "recounted", balance->recount);
        wr_json_uint(json, "delivered", balance->books[WR_BOOK_DELIVERED]);
    }
    wr_json_uint(json, "taken", balance->books[WR_BOOK_TAKEN]);
    wr_json_uint(json, "dropped_total", wr_balance_dropped(balance));
    wr_json_object(json, "books");
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (balance->books[book] > 0 && wr_book_name(book))
            wr_json_uint(json, wr_book_name(book), balance->books[book]);
    wr_json_object_end(json);
    wr_json_bool(json, "changed", balance->doubted);
    wr_json_bool(json, "balanced", wr_balance_check(balance, NULL, NULL));
    wr_json_object_end(json);
}

static void lost_json(struct wr_json *json, const struct wr_store_lost_books *lost) {
    wr_json_array(json, "lost_books");
    for (uint32_t i = 0; i < lost->n; i++) {
        char epoch[17];
        snprintf(epoch, sizeof epoch, "%016" PRIx64, lost->of[i].epoch);
        wr_json_object(json, NULL);
        if (lost->of[i].epoch != 0)
            wr_json_string(json, "epoch", epoch);
        wr_json_string(json, "aside", lost->of[i].aside);
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
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
    if (!audit->live) {
        wr_json_uint(&json, "segments", audit->segments.rows);
        wr_json_uint(&json, "damaged_segments", audit->segments.damaged);
        wr_json_uint(&json, "readings_of_nobody", audit->segments.of_nobody);
    }
    lost_json(&json, &audit->lost);
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
        WR_TRY(wr_buf_printf(into, "%s / %s: taken %" PRIu64, balance->account.source, balance->account.window,
                             balance->books[WR_BOOK_TAKEN]));
        if (balance->books[WR_BOOK_RECOVERED] > 0)
            WR_TRY(wr_buf_printf(into, " + recovered %" PRIu64, balance->books[WR_BOOK_RECOVERED]));
        WR_TRY(wr_buf_printf(into, " = open %" PRIu64 " + held %" PRIu64 " + delivered %" PRIu64 " + dropped %" PRIu64, balance->open,
                             wr_balance_held(balance), balance->books[WR_BOOK_DELIVERED], wr_balance_dropped(balance)));
        WR_TRY(print_books(balance, false, into));
        if (balance->books[WR_BOOK_BAD])
            WR_TRY(wr_buf_printf(into, "  (bad quality: %" PRIu64 ")", balance->books[WR_BOOK_BAD]));
    }
    if (!good && left != right)
        WR_TRY(wr_buf_printf(into, "  DOES NOT BALANCE: %" PRIu64 " against %" PRIu64, left, right));
    if (balance->recounted && balance->recount != wr_balance_held(balance))
        WR_TRY(wr_buf_printf(into, "  HELD IS OFF: %" PRIu64 " in the books, %" PRIu64 " in its segments", wr_balance_held(balance),
                             balance->recount));
    else if (!good && left == right && !balance->doubted)
        WR_TRY(wr_buf_text(into, "  CANNOT BE: more has left the store than came into it"));
    if (balance->doubted)
        WR_TRY(wr_buf_text(into, "  CHANGED: its books, or its name, are not what was written"));
    return wr_buf_text(into, "\n");
}

static enum wr_result print_segments(const struct wr_audit *audit, struct wr_buf *into) {
    const struct wr_store_recount *segments = &audit->segments;
    WR_TRY(wr_buf_printf(into, "%" PRIu64 " segments read, %" PRIu64 " of them still to be delivered\n", segments->rows,
                         segments->unfinished));
    if (segments->damaged > 0)
        WR_TRY(wr_buf_printf(into, "DAMAGED: %" PRIu64 " segments that are still to be delivered, the first has seq %" PRId64 "\n",
                             segments->damaged, segments->first_damaged_seq));
    if (segments->of_nobody > 0)
        WR_TRY(wr_buf_printf(into, "OF NOBODY: segments hold %" PRIu64 " readings of accounts that the books do not know\n",
                             segments->of_nobody));
    return WR_OK;
}

/* What balances since then says nothing of what was before. */
static enum wr_result print_lost(const struct wr_store_lost_books *lost, struct wr_buf *into) {
    for (uint32_t i = 0; i < lost->n; i++) {
        const struct wr_store_lost_book *book = &lost->of[i];
        char epoch[32] = "unknown";
        if (book->epoch != 0)
            snprintf(epoch, sizeof epoch, "%016" PRIx64, book->epoch);
        WR_TRY(wr_buf_printf(into,
                             "BOOKS LOST: those of epoch %s, of a store that was put aside as %s, could not be read: "
                             "what it took, delivered and dropped is not in these\n",
                             epoch, book->aside));
    }
    return WR_OK;
}

enum wr_result wr_audit_print(const struct wr_audit *audit, bool json, struct wr_buf *into) {
    if (json)
        return print_json(audit, into);
    for (uint32_t i = 0; i < audit->n; i++)
        WR_TRY(print_account(&audit->balances[i], into));
    if (!audit->live)
        WR_TRY(print_segments(audit, into));
    if (!audit->live && !audit->clean)
        WR_TRY(wr_buf_text(into, "The store was not closed cleanly: the next start books what is missing as dropped(crash).\n"));
    WR_TRY(print_lost(&audit->lost, into));
    if (!audit->balanced)
        return wr_buf_text(into, "NOT BALANCED\n");
    return wr_buf_text(into, audit->lost.n > 0 ? "balanced, but for the books that are lost\n" : "balanced\n");
}
