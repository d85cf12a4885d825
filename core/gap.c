#include "core/gap.h"

#include <stddef.h>
#include <string.h>

#include "core/json.h"

bool wr_gap_is_told(unsigned book) {
    if (book == WR_BOOK_RECOVERED)
        return true;
    return wr_book_is_dropped(book) && book != WR_BOOK_DROPPED_UNWANTED && wr_book_name((enum wr_book)book) != NULL;
}

/* "evicted" of "dropped(evicted)", and "recovered". */
static void put_reason(struct wr_json *json, enum wr_book book) {
    const char *name = wr_book_name(book);
    const char *reason = strchr(name, '(');
    reason = reason ? reason + 1 : name;
    wr_json_bytes(json, "reason", reason, strcspn(reason, ")"));
}

enum wr_result wr_gap_to_json(const struct wr_gap *gap, struct wr_buf *into) {
    struct wr_json json;
    uint64_t readings = 0;
    for (uint32_t i = 0; i < gap->n; i++)
        readings += gap->accounts[i].readings;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    put_reason(&json, gap->book);
    wr_json_time(&json, "from_ns", "from", gap->from_ns);
    wr_json_time(&json, "to_ns", "to", gap->to_ns);
    wr_json_uint(&json, "readings", readings);
    wr_json_bool(&json, "at_least", gap->at_least);
    wr_json_array(&json, "accounts");
    for (uint32_t i = 0; i < gap->n; i++) {
        wr_json_object(&json, NULL);
        wr_json_string(&json, "source", gap->accounts[i].account->source);
        wr_json_string(&json, "window", gap->accounts[i].account->window);
        wr_json_uint(&json, "readings", gap->accounts[i].readings);
        wr_json_uint(&json, "total", gap->accounts[i].total);
        wr_json_object_end(&json);
    }
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}
