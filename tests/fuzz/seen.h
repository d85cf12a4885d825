/* What the fuzz targets of the parsers share: a sink that checks each record and prints it as `weir decode` does, so that two ways of
 * reading the same bytes can be compared. */
#ifndef WEIR_TESTS_FUZZ_SEEN_H
#define WEIR_TESTS_FUZZ_SEEN_H

#include <stdlib.h>

#include "agent/codec/record.h"
#include "core/record_json.h"

struct seen {
    struct wr_buf text;
    uint64_t refused;
};

static void must(int holds) {
    if (!holds)
        abort();
}

static enum wr_result record(void *user, const struct wr_record *taken) {
    struct seen *seen = user;
    must(taken->n_fields > 0);
    for (size_t i = 0; i < taken->n_fields; i++) {
        char key[WR_SERIES_KEY_BYTES];
        size_t len;
        struct wr_refusal refusal;
        if (wr_record_key(taken, &taken->fields[i], key, &len, &refusal) != WR_OK) {
            must(refusal.column >= 1 && refusal.message[0] != '\0');
            seen->refused++;
            return WR_OK;
        }
        must(wr_series_key_valid(key, len));
        const struct wr_reading reading = wr_record_reading(taken, &taken->fields[i], 0);
        struct wr_json json;
        wr_json_begin(&json, &seen->text);
        wr_record_reading_json(&json, key, len, &reading, taken->fields[i].text.text, taken->fields[i].text.len);
        must(wr_json_end(&json) == WR_OK);
    }
    return WR_OK;
}

static void refused(void *user, const struct wr_refusal *refusal) {
    struct seen *seen = user;
    must(refusal->line >= 1 && refusal->column >= 1 && wr_book_is_rejected(refusal->reason) && refusal->message[0] != '\0');
    seen->refused++;
}

#endif
