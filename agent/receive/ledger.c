#include "agent/receive/ledger.h"

#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/codec/number.h"
#include "agent/receive/members.h"
#include "agent/receive/message.h"

static enum wr_result wrong(struct wr_error *err, const char *what) {
    return wr_error_set(err, WR_INVALID, "a ledger record: %s", what);
}

static bool is_member(struct wr_word name, const char *text) {
    return name.len == strlen(text) + 2 && memcmp(name.text + 1, text, name.len - 2) == 0;
}

static enum wr_result read_name(struct wr_word object, const char *member, char name[WR_LEDGER_NAME_BYTES], struct wr_error *err) {
    struct wr_word value;
    struct wr_buf text;
    if (!wr_members_find(object.text, object.len, member, &value) || value.text[0] != '"')
        return wrong(err, "an account without source or window");
    wr_buf_init(&text, 0);
    enum wr_result result = wr_members_text(&text, value);
    if (result == WR_OK && text.len >= WR_LEDGER_NAME_BYTES)
        result = wrong(err, "a name that is too long");
    else if (result == WR_OK)
        memcpy(name, wr_buf_str(&text), text.len + 1);
    else
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for a ledger record");
    wr_buf_fini(&text);
    return result;
}

static enum wr_result add_book(struct wr_word name, uint64_t readings, uint64_t *books, struct wr_error *err) {
    for (unsigned book = 0; book < WR_BOOKS; book++) {
        const char *known = wr_book_name((enum wr_book)book);
        if (!known || !is_member(name, known))
            continue;
        if (readings > (uint64_t)INT64_MAX - books[book])
            return wrong(err, "more readings than can be counted");
        books[book] += readings;
    }
    return WR_OK;
}

enum wr_result wr_receive_ledger_books(const char *json, size_t len, uint64_t *books, struct wr_error *err) {
    struct wr_json_scan scan = wr_json_scan_begin(json, json + len, true);
    struct wr_word name;
    struct wr_word value;
    if (!wr_json_scan_enter(&scan))
        return WR_OK;
    while (wr_json_scan_member(&scan, &name) && wr_json_scan_value(&scan, &value)) {
        uint64_t readings;
        if (!wr_number_uint64(value.text, value.text + value.len, &readings) || readings > INT64_MAX)
            return wrong(err, "a book that is no count");
        WR_TRY(add_book(name, readings, books, err));
    }
    return WR_OK;
}

static enum wr_result read_account(struct wr_word object, struct wr_receive_ledger *ledger, wr_receive_account_callback *callback,
                                   void *user, struct wr_error *err) {
    struct wr_account account = {0};
    uint64_t books[WR_BOOKS] = {0};
    struct wr_word list;
    if (object.text[0] != '{')
        return wrong(err, "an account that is no object");
    WR_TRY(read_name(object, "source", account.source, err));
    WR_TRY(read_name(object, "window", account.window, err));
    if (!wr_members_find(object.text, object.len, "books", &list) || list.text[0] != '{')
        return wrong(err, "an account without books");
    WR_TRY(wr_receive_ledger_books(list.text, list.len, books, err));
    ledger->n++;
    if (strcmp(account.window, WR_LEDGER_INTAKE) != 0)
        WR_TRY(wr_receive_ledger_books(list.text, list.len, ledger->books, err));
    return callback ? callback(user, &account, books) : WR_OK;
}

static enum wr_result read_head(const char *json, size_t len, struct wr_receive_ledger *ledger, struct wr_error *err) {
    struct wr_word epoch;
    const int64_t of = wr_members_int(json, len, "of", -1);
    ledger->cut = wr_members_int(json, len, "cut", 0);
    ledger->time_ns = wr_members_int(json, len, "time_ns", 0);
    if (ledger->cut <= 0 || of < 0 || of > INT32_MAX)
        return wrong(err, "without `cut` above 0, or without `of`");
    ledger->of = (uint32_t)of;
    if (!wr_members_find(json, len, "epoch", &epoch) || epoch.len < 2 ||
        !wr_message_epoch((struct wr_word){epoch.text + 1, epoch.len - 2}, &ledger->epoch))
        return wrong(err, "its epoch is not 16 hex digits");
    return WR_OK;
}

enum wr_result wr_receive_ledger_read(const char *json, size_t len, wr_receive_account_callback *callback, void *user,
                                      struct wr_receive_ledger *ret_ledger, struct wr_error *err) {
    struct wr_receive_ledger ledger = {0};
    struct wr_word list;
    struct wr_word object;
    if (!wr_members_find(json, len, "ledger", &list))
        return WR_NOT_FOUND;
    if (list.text[0] != '[')
        return wrong(err, "`ledger` is no list");
    WR_TRY(read_head(json, len, &ledger, err));
    struct wr_json_scan scan = wr_json_scan_begin(list.text, list.text + list.len, true);
    if (wr_json_scan_enter(&scan))
        while (wr_json_scan_value(&scan, &object))
            WR_TRY(read_account(object, &ledger, callback, user, err));
    *ret_ledger = ledger;
    return WR_OK;
}
