#include "core/ledger_record.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

void wr_ledger_record_begin(struct wr_json *json, struct wr_buf *into, int64_t cut, uint64_t epoch, int64_t time_ns, uint32_t of) {
    char hex[17];
    (void)snprintf(hex, sizeof hex, "%016" PRIx64, epoch);
    wr_json_begin(json, into);
    wr_json_object(json, NULL);
    wr_json_int(json, "cut", cut);
    wr_json_string(json, "epoch", hex);
    wr_json_time(json, "time_ns", "time", time_ns);
    wr_json_uint(json, "of", of);
    wr_json_array(json, "ledger");
}

void wr_ledger_record_account(struct wr_json *json, const struct wr_account *account, const uint64_t *books) {
    wr_json_object(json, NULL);
    wr_json_string(json, "source", account->source);
    wr_json_string(json, "window", account->window);
    wr_json_object(json, "books");
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (books[book] > 0 && wr_book_name((enum wr_book)book) != NULL)
            wr_json_uint(json, wr_book_name((enum wr_book)book), books[book]);
    wr_json_object_end(json);
    wr_json_object_end(json);
}

enum wr_result wr_ledger_record_end(struct wr_json *json) {
    wr_json_array_end(json);
    wr_json_object_end(json);
    return wr_json_end(json);
}
