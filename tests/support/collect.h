/* A sink for codec tests: writes every reading as the JSON line of `weir decode`, and every refusal as "!LINE:COLUMN reason: message", into one
 * text. It can say WR_FULL at chosen moments.
 */
#ifndef WEIR_TESTS_SUPPORT_COLLECT_H
#define WEIR_TESTS_SUPPORT_COLLECT_H

#include "agent/codec/record.h"
#include "agent/codec/stream.h"
#include "core/buf.h"

struct wr_collect {
    struct wr_sink sink;
    const struct wr_sink *around; /* NULL, or a sink that hands on to this one: what is fed goes there */
    struct wr_buf text;
    struct wr_buf decimals; /* one character a reading: 0..9, a..f, '-' unknown */
    unsigned readings;
    unsigned refusals;
    unsigned full_every; /* every nth offer is answered with WR_FULL; 0: none */
    unsigned offers;
};

void wr_collect_init(struct wr_collect *collect);
void wr_collect_fini(struct wr_collect *collect);
void wr_collect_clear(struct wr_collect *collect);

/* Feeds text[len] in pieces: the first `cut` bytes, then `step` at a time (0: the rest at once), keeping what the codec leaves, as a stream does. */
void wr_collect_feed(struct wr_collect *collect, wr_codec_stream_feed *feed, void *codec, const char *text, size_t len, size_t cut,
                     size_t step);

/* The text, without the columns of refusals: of the second value of a line the column counts from where the bytes at hand begin, so that a comparison of two ways
 * to cut them leaves it out. Takes them out of the text. */
const char *wr_collect_without_columns(struct wr_collect *collect);

#endif
