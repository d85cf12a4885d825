/* The stream: a file, pipe or terminal read through a codec, in constant memory.
 *
 * It keeps what the codec could not take yet (the beginning of a record) and grows its buffer for it, up to a limit: a record beyond that
 * is refused as too long, and the reading goes on with the next line. Whoever does not want a record now says WR_FULL in the sink: nothing is lost.
 *
 * Threads: one at a time; may block in read. Ownership: caller's memory, open/close; the descriptor belongs to the stream (but 0, standard
 * input, stays open); codec and sink stay the caller's.
 */
#ifndef WEIR_AGENT_CODEC_STREAM_H
#define WEIR_AGENT_CODEC_STREAM_H

#include "agent/codec/record.h"

/* The feed function of a codec, as wr_line_feed. */
typedef enum wr_result wr_codec_stream_feed(void *codec, const char *bytes, size_t len, bool ended, uint64_t *line,
                                            const struct wr_sink *sink, size_t *ret_consumed);

extern wr_codec_stream_feed wr_codec_stream_feed_line;     /* codec: struct wr_line_parser */
extern wr_codec_stream_feed wr_codec_stream_feed_csv;      /* struct wr_csv */
extern wr_codec_stream_feed wr_codec_stream_feed_json;     /* struct wr_json_reader */
extern wr_codec_stream_feed wr_codec_stream_feed_json_map; /* struct wr_json_map */

struct wr_codec_stream {
    int fd;
    wr_codec_stream_feed *feed;
    void *codec;
    const struct wr_sink *sink;
    size_t record_bytes_max;
    char *buffer;
    size_t size;
    size_t from; /* unread bytes are buffer[from .. to) */
    size_t to;
    uint64_t line;
    uint64_t bytes; /* read so far */
    bool ended;
    bool hungry;   /* the codec wants more than there is */
    bool skipping; /* inside a record that is too long */
};

/* Opens path; NULL: standard input. */
WR_MUST_USE enum wr_result wr_codec_stream_open(struct wr_codec_stream *stream, const char *path, wr_codec_stream_feed *feed, void *codec,
                                                const struct wr_sink *sink, size_t record_bytes_max, struct wr_error *err);
/* Reads a descriptor that is open already, and takes it over if it succeeds. */
WR_MUST_USE enum wr_result wr_codec_stream_attach(struct wr_codec_stream *stream, int fd, wr_codec_stream_feed *feed, void *codec,
                                                  const struct wr_sink *sink, size_t record_bytes_max, struct wr_error *err);
/* Nothing more comes: the next step takes what is left as the last record, whatever the descriptor says. */
void wr_codec_stream_end(struct wr_codec_stream *stream);
/* Whether it holds the beginning of a record: more than white space. */
bool wr_codec_stream_holds_part(const struct wr_codec_stream *stream);
/* Twice is fine. */
void wr_codec_stream_close(struct wr_codec_stream *stream);

/* Feeds what is there, or reads once and feeds that. WR_OK: go on; WR_CLOSED: the end was reached and all of it taken; WR_FULL: the sink
 * wanted no more; WR_IO: the read failed, WR_INVALID: the codec gave up (it told the sink why); or a failure of the sink. */
WR_MUST_USE enum wr_result wr_codec_stream_step(struct wr_codec_stream *stream, struct wr_error *err);

#endif
