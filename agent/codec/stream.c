#include "agent/codec/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/codec/csv.h"
#include "agent/codec/json.h"
#include "agent/codec/json_map.h"
#include "agent/codec/line.h"

#define FIRST_BYTES 65536

enum wr_result wr_codec_stream_feed_line(void *codec, const char *bytes, size_t len, bool ended, uint64_t *line, const struct wr_sink *sink,
                                         size_t *ret_consumed) {
    return wr_line_feed(codec, bytes, len, ended, line, sink, ret_consumed);
}

enum wr_result wr_codec_stream_feed_csv(void *codec, const char *bytes, size_t len, bool ended, uint64_t *line, const struct wr_sink *sink,
                                        size_t *ret_consumed) {
    return wr_csv_feed(codec, bytes, len, ended, line, sink, ret_consumed);
}

enum wr_result wr_codec_stream_feed_json(void *codec, const char *bytes, size_t len, bool ended, uint64_t *line, const struct wr_sink *sink,
                                         size_t *ret_consumed) {
    return wr_json_feed(codec, bytes, len, ended, line, sink, ret_consumed);
}

enum wr_result wr_codec_stream_feed_json_map(void *codec, const char *bytes, size_t len, bool ended, uint64_t *line,
                                             const struct wr_sink *sink, size_t *ret_consumed) {
    return wr_json_map_feed(codec, bytes, len, ended, line, sink, ret_consumed);
}

enum wr_result wr_codec_stream_open(struct wr_codec_stream *stream, const char *path, wr_codec_stream_feed *feed, void *codec,
                                    const struct wr_sink *sink, size_t record_bytes_max, struct wr_error *err) {
    int fd = STDIN_FILENO;
    if (path) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            *stream = (struct wr_codec_stream){.fd = -1};
            return wr_error_set(err, errno == ENOENT ? WR_NOT_FOUND : WR_IO, "%s: %s", path, strerror(errno));
        }
    }
    if (wr_codec_stream_attach(stream, fd, feed, codec, sink, record_bytes_max, err) == WR_OK)
        return WR_OK;
    if (path)
        close(fd);
    return wr_error_wrap(err, "%s", path ? path : "standard input");
}

enum wr_result wr_codec_stream_attach(struct wr_codec_stream *stream, int fd, wr_codec_stream_feed *feed, void *codec,
                                      const struct wr_sink *sink, size_t record_bytes_max, struct wr_error *err) {
    *stream = (struct wr_codec_stream){
        .fd = fd, .feed = feed, .codec = codec, .sink = sink, .record_bytes_max = record_bytes_max, .size = FIRST_BYTES, .hungry = true};
    stream->buffer = malloc(stream->size);
    if (stream->buffer)
        return WR_OK;
    stream->fd = -1;
    return wr_error_set(err, WR_NO_MEMORY, "no memory to read it");
}

void wr_codec_stream_end(struct wr_codec_stream *stream) {
    stream->ended = true;
}

bool wr_codec_stream_holds_part(const struct wr_codec_stream *stream) {
    for (size_t i = stream->from; i < stream->to; i++)
        if (!strchr(" \t\r\n", stream->buffer[i]))
            return true;
    return false;
}

void wr_codec_stream_close(struct wr_codec_stream *stream) {
    if (stream->fd > STDIN_FILENO)
        close(stream->fd);
    stream->fd = -1;
    free(stream->buffer);
    stream->buffer = NULL;
}

/* The record at hand is longer than may be: on with the line behind its first one. */
static void skip_record(struct wr_codec_stream *stream, enum wr_book reason, const char *message) {
    const char *start = stream->buffer + stream->from;
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, reason, stream->line + 1, start, start, "%s", message);
    stream->sink->refused(stream->sink->user, &refusal);
    stream->skipping = true;
}

/* Room behind the unread bytes: they move to the front, or the buffer grows. */
static void make_room(struct wr_codec_stream *stream) {
    if (stream->from > 0) {
        memmove(stream->buffer, stream->buffer + stream->from, stream->to - stream->from);
        stream->to -= stream->from;
        stream->from = 0;
    }
    if (stream->to < stream->size)
        return;
    if (stream->size >= stream->record_bytes_max) {
        skip_record(stream, WR_BOOK_REJECTED_TOO_LONG, "record too long");
        return;
    }
    size_t size = stream->size * 2 < stream->record_bytes_max ? stream->size * 2 : stream->record_bytes_max;
    char *buffer = realloc(stream->buffer, size);
    if (!buffer) {
        skip_record(stream, WR_BOOK_REJECTED_MEMORY, "no memory for the record");
        return;
    }
    stream->buffer = buffer;
    stream->size = size;
}

static void skip_to_newline(struct wr_codec_stream *stream) {
    const char *from = stream->buffer + stream->from;
    const char *newline = memchr(from, '\n', stream->to - stream->from);
    stream->from = newline ? (size_t)(newline + 1 - stream->buffer) : stream->to;
    stream->line += newline != NULL;
    stream->skipping = !newline;
}

static enum wr_result read_more(struct wr_codec_stream *stream, struct wr_error *err) {
    make_room(stream);
    if (stream->skipping) {
        skip_to_newline(stream);
        stream->from = stream->skipping ? 0 : stream->from;
        stream->to = stream->skipping ? 0 : stream->to;
        if (!stream->skipping)
            return WR_OK;
    }
    ssize_t n;
    do
        n = read(stream->fd, stream->buffer + stream->to, stream->size - stream->to);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return wr_error_set(err, WR_IO, "read: %s", strerror(errno));
    stream->to += (size_t)n;
    stream->bytes += (uint64_t)n;
    stream->ended = n == 0;
    if (stream->skipping)
        skip_to_newline(stream);
    return WR_OK;
}

enum wr_result wr_codec_stream_step(struct wr_codec_stream *stream, struct wr_error *err) {
    if (stream->hungry && !stream->ended) {
        WR_TRY(read_more(stream, err));
        if (stream->skipping && !stream->ended)
            return WR_OK;
    }
    size_t consumed;
    enum wr_result result = stream->feed(stream->codec, stream->buffer + stream->from, stream->to - stream->from, stream->ended,
                                         &stream->line, stream->sink, &consumed);
    stream->from += consumed;
    stream->hungry = result == WR_OK;
    if (result == WR_INVALID)
        return wr_error_set(err, WR_INVALID, "the input cannot be read");
    if (result != WR_OK)
        return result;
    return stream->ended ? WR_CLOSED : WR_OK;
}
