/* Any bytes as JSON records. No crash, the same readings when the bytes come in two pieces (the first byte says where they are cut), and what
 * was read and printed is read again as the same. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json.h"
#include "tests/fuzz/seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum wr_result object(void *user, const char *json, size_t len) {
    struct seen *seen = user;
    must(len >= 2 && json[0] == '{' && json[len - 1] == '}');
    return wr_buf_append(&seen->text, json, len);
}

static void feed(const uint8_t *data, size_t size, size_t cut, struct seen *seen) {
    struct wr_json_reader reader;
    const struct wr_sink sink = {.record = record, .refused = refused, .object = object, .user = seen};
    uint64_t line = 0;
    size_t from = 0;
    wr_json_reader_init(&reader);
    wr_buf_init(&seen->text, 0);
    for (int piece = 0; piece < 2; piece++) {
        const size_t to = piece == 0 ? cut : size;
        char *bytes = malloc(to - from + 1);
        must(bytes != NULL);
        memcpy(bytes, data + from, to - from);
        size_t consumed;
        must(wr_json_feed(&reader, bytes, to - from, piece == 1, &line, &sink, &consumed) == WR_OK);
        must(consumed <= to - from && (piece == 0 || consumed == to - from));
        free(bytes);
        from += consumed;
    }
    wr_json_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct seen whole = {0};
    struct seen cut = {0};
    struct seen again = {0};
    feed(data + 1, size - 1, 0, &whole);
    feed(data + 1, size - 1, data[0] * (size - 1) / 256, &cut);
    must(whole.refused == cut.refused && strcmp(wr_buf_str(&whole.text), wr_buf_str(&cut.text)) == 0);
    bool ascii = true; /* two names that are no UTF-8 may be printed alike */
    for (size_t i = 0; i < size; i++)
        ascii = ascii && (i == 0 || data[i] < 0x80);
    feed(whole.text.data ? whole.text.data : (const uint8_t *)"", whole.text.len, 0, &again);
    must(!ascii || (again.refused == 0 && again.text.len == whole.text.len));
    wr_buf_fini(&whole.text);
    wr_buf_fini(&cut.text);
    wr_buf_fini(&again.text);
    return 0;
}
