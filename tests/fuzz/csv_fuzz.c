/* Any bytes as CSV, with and without options, and with any of the time formats. No crash, and the same readings when the bytes come
 * in two pieces. The first byte says where they are cut and which options they are read with. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/csv.h"
#include "tests/fuzz/seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum wr_result row(void *user, const struct wr_record *taken) {
    must(taken->time_ns != WR_EVENT_NONE); /* a row has its time, or it is refused */
    return record(user, taken);
}

static void feed(struct wr_csv *csv, const uint8_t *data, size_t size, size_t cut, struct seen *seen) {
    const struct wr_sink sink = {.record = row, .refused = refused, .user = seen};
    uint64_t line = 0;
    size_t from = 0;
    for (int piece = 0; piece < 2; piece++) {
        const size_t to = piece == 0 ? cut : size;
        char *bytes = malloc(to - from + 1);
        must(bytes != NULL);
        memcpy(bytes, data + from, to - from);
        size_t consumed;
        const enum wr_result result = wr_csv_feed(csv, bytes, to - from, piece == 1, &line, &sink, &consumed);
        free(bytes);
        must(result == WR_OK || (result == WR_INVALID && seen->refused > 0));
        must(consumed <= to - from && (piece == 0 || result != WR_OK || consumed == to - from));
        from += consumed;
        if (result != WR_OK)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    static const char *const formats[] = {NULL, "s", "ms", "%Y-%m-%d %H:%M:%S", "%d %b %y %I:%M %p", "%s", "%j %Y %T%z", "%D %R %Z"};
    char *tags[] = {(char *)(uintptr_t) "site=riga", (char *)(uintptr_t) "room"};
    char *skip[] = {(char *)(uintptr_t) "x"};
    struct wr_config_csv options = {.time_format = (char *)(uintptr_t)formats[data[0] % 8], .tags = tags, .skip_columns = skip};
    options.n_tags = data[0] / 8 % 3;
    options.n_skip_columns = data[0] / 32 % 2;
    options.time_column = data[0] & 64 ? (char *)(uintptr_t) "date+time" : NULL;
    static struct wr_csv csv;
    struct seen seen[2] = {{{0}, 0}, {{0}, 0}};
    for (int run = 0; run < 2; run++) {
        struct wr_error err;
        wr_buf_init(&seen[run].text, 0);
        must(wr_csv_init(&csv, &options, "m", &err) == WR_OK);
        feed(&csv, data + 1, size - 1, run == 0 ? 0 : data[0] * (size - 1) / 256, &seen[run]);
        wr_csv_fini(&csv);
    }
    must(seen[0].refused == seen[1].refused && strcmp(wr_buf_str(&seen[0].text), wr_buf_str(&seen[1].text)) == 0);
    wr_buf_fini(&seen[0].text);
    wr_buf_fini(&seen[1].text);
    return 0;
}
