/* Any bytes as line protocol. Whatever they are: no crash, every line is counted, each reading has a canonical key, and the same readings come
 * when the bytes arrive in two pieces (the first byte says where they are cut), and when the sink guesses how the next line begins. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/line.h"
#include "tests/fuzz/seen.h"
#include "tests/support/guessing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t feed(struct wr_line_parser *parser, const uint8_t *data, size_t size, size_t cut, const struct wr_sink *sink) {
    uint64_t line = 0;
    size_t from = 0;
    for (int piece = 0; piece < 2; piece++) {
        const size_t to = piece == 0 ? cut : size;
        char *bytes = malloc(to - from + 1);
        must(bytes != NULL);
        memcpy(bytes, data + from, to - from);
        size_t consumed;
        must(wr_line_feed(parser, bytes, to - from, piece == 1, &line, sink, &consumed) == WR_OK);
        must(consumed <= to - from && (piece == 0 || consumed == to - from));
        free(bytes);
        from += consumed;
    }
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    static struct wr_line_parser parser;
    struct seen whole;
    struct seen cut;
    const struct wr_sink into_whole = {.record = record, .refused = refused, .user = &whole};
    const struct wr_sink into_cut = {.record = record, .refused = refused, .user = &cut};
    struct wr_guessing guessing;
    wr_buf_init(&whole.text, 0);
    wr_buf_init(&cut.text, 0);
    wr_guessing_init(&guessing, &into_cut, 1 << 16);
    wr_line_parser_init(&parser, (enum wr_precision)(data[0] % 4), 4096);
    whole.refused = 0;
    const uint64_t lines = feed(&parser, data + 1, size - 1, 0, &into_whole);
    for (int round = 0; round < 3; round++) { /* without guesses, with those of a first time, with those of a second */
        wr_buf_clear(&cut.text);
        cut.refused = 0;
        must(feed(&parser, data + 1, size - 1, data[0] * (size - 1) / 256, round == 0 ? &into_cut : &guessing.sink) == lines);
        must(whole.refused == cut.refused && strcmp(wr_buf_str(&whole.text), wr_buf_str(&cut.text)) == 0);
    }
    wr_guessing_fini(&guessing);
    uint64_t newlines = size > 1 && data[size - 1] != '\n';
    for (size_t i = 1; i < size; i++)
        newlines += data[i] == '\n';
    must(lines == newlines);
    wr_line_parser_fini(&parser);
    wr_buf_fini(&whole.text);
    wr_buf_fini(&cut.text);
    return 0;
}
