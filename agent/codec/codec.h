/* The codec of a source: line protocol or JSON, as its config says. Whatever brings bytes (a connection, an MQTT message, an HTTP body, a child's
 * output) feeds them here, and gets records in its sink.
 *
 * How to feed: a stream offers what it has, with `ended` false, and offers again, with what follows, what was not consumed. A payload that is whole is
 * offered with `ended` true, and *line 0.
 * WR_FULL: the sink had no room; the same bytes, from the first one that was not consumed, are offered again before any others, or
 * wr_codec_forget is called first (and wr_intake_forget, for an intake), if they never will be.
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini; source and measurement outlive it. Limits: max_bytes a line or JSON value.
 */
#ifndef WEIR_AGENT_CODEC_CODEC_H
#define WEIR_AGENT_CODEC_CODEC_H

#include "agent/codec/json_scan.h"
#include "agent/codec/stream.h"
#include "agent/config/config.h"

struct wr_codec {
    wr_codec_stream_feed *feed;
    void *parser;
    void (*forget)(void *parser);
    void (*free)(void *parser);
    bool by_lines;                                                                      /* a record ends with its line, and not before */
    bool (*is_whole)(struct wr_json_progress *progress, const char *bytes, size_t len); /* see wr_codec_is_whole */
};

/* By format, precision and json of the source. measurement: of JSON that has none; NULL: the source's name. WR_NO_MEMORY, or what is wrong with the
 * mapping. CSV has no such codec: WR_UNSUPPORTED. */
WR_MUST_USE enum wr_result wr_codec_init(struct wr_codec *codec, const struct wr_config_source *source, const char *measurement,
                                         size_t max_bytes, struct wr_error *err);
/* A codec that was never initialised but is zero is fine. */
void wr_codec_fini(struct wr_codec *codec);

/* As wr_line_feed. */
WR_MUST_USE static inline enum wr_result wr_codec_feed(struct wr_codec *codec, const char *bytes, size_t len, bool ended, uint64_t *line,
                                                       const struct wr_sink *sink, size_t *ret_consumed) {
    return codec->feed(codec->parser, bytes, len, ended, line, sink, ret_consumed);
}

/* After WR_FULL: these bytes will not be offered again. */
static inline void wr_codec_forget(struct wr_codec *codec) {
    codec->forget(codec->parser);
}

/* For who gathers an unfinished record bit by bit: whether it is time to feed bytes[len]. progress is of this record (zero at its beginning, and again
 * after each feed); bytes are those of the last call, and more behind them. */
static inline bool wr_codec_is_whole(const struct wr_codec *codec, struct wr_json_progress *progress, const char *bytes, size_t len) {
    return codec->is_whole(progress, bytes, len);
}

/* What a codec takes, for the memory ceiling. */
size_t wr_codec_bytes(const struct wr_config_source *source, size_t max_bytes);

#endif
