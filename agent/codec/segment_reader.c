#include "agent/codec/segment_reader.h"

#include <endian.h>
#include <string.h>

#include "core/record_json.h"

#define MAGIC "WEIR"
#define MAGIC_BYTES 4
#define KIND_AT 5
#define LENGTH_AT 8

enum wr_result wr_segment_reader_init(struct wr_segment_reader *reader, struct wr_error *err) {
    wr_buf_init(&reader->json, 0);
    reader->decoder = NULL;
    reader->raw = NULL;
    return wr_decoder_new(&reader->decoder) == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for a decoder");
}

void wr_segment_reader_fini(struct wr_segment_reader *reader) {
    wr_decoder_free(reader->decoder);
    wr_raw_decoder_free(reader->raw);
    wr_buf_fini(&reader->json);
}

static void refuse(struct wr_segment_reader *reader, uint64_t number, enum wr_book reason, const struct wr_sink *sink,
                   const char *message) {
    wr_refusal_set(&reader->refusal, reason, number, "", "", "%s", message);
    sink->refused(sink->user, &reader->refusal);
}

static enum wr_result print_aggregates(struct wr_segment_reader *reader, const struct wr_sink *sink, struct wr_error *err) {
    for (;;) {
        struct wr_aggregate aggregate;
        const enum wr_result more = wr_decode_aggregate(reader->decoder, &aggregate, err);
        if (more != WR_OK)
            return more;
        struct wr_json json;
        wr_buf_clear(&reader->json);
        wr_json_begin(&json, &reader->json);
        wr_record_aggregate_json(&json, &aggregate);
        if (wr_json_end(&json) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "no memory to print a segment");
        WR_TRY(sink->object(sink->user, (const char *)reader->json.data, reader->json.len));
    }
}

static enum wr_result print_texts(struct wr_segment_reader *reader, const struct wr_sink *sink, struct wr_error *err) {
    for (;;) {
        const char *text;
        size_t len;
        const enum wr_result more = wr_decode_text(reader->decoder, &text, &len, err);
        if (more != WR_OK)
            return more;
        WR_TRY(sink->object(sink->user, text, len));
    }
}

static enum wr_result print_readings(struct wr_segment_reader *reader, const struct wr_sink *sink, struct wr_error *err) {
    for (;;) {
        struct wr_raw_reading raw;
        const enum wr_result more = wr_raw_decode(reader->raw, &raw, err);
        if (more != WR_OK)
            return more;
        const struct wr_reading reading = {
            .event_ns = raw.time_ns, .value = raw.value, .type = raw.type, .quality = raw.quality, .decimals = raw.decimals};
        struct wr_json json;
        wr_buf_clear(&reader->json);
        wr_json_begin(&json, &reader->json);
        wr_record_reading_json(&json, raw.key, raw.key_len, &reading, raw.text, raw.text ? strlen(raw.text) : 0);
        if (wr_json_end(&json) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "no memory to print a segment");
        WR_TRY(sink->object(sink->user, (const char *)reader->json.data, reader->json.len));
    }
}

/* WR_EMPTY: all of it is printed. */
static enum wr_result print_raw(struct wr_segment_reader *reader, const uint8_t *body, size_t len, const struct wr_sink *sink,
                                struct wr_error *err) {
    struct wr_codec_header header;
    if (!reader->raw && wr_raw_decoder_new(&reader->raw) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a decoder of raw readings");
    WR_TRY(wr_raw_decode_begin(reader->raw, body, len, &header, err));
    return print_readings(reader, sink, err);
}

static enum wr_result print(struct wr_segment_reader *reader, const uint8_t *body, size_t len, const struct wr_sink *sink,
                            struct wr_error *err) {
    struct wr_codec_header header;
    if (body[KIND_AT] == WR_SEGMENT_RAW)
        return print_raw(reader, body, len, sink, err);
    WR_TRY(wr_decode_begin(reader->decoder, body, len, &header, err));
    const bool texts = header.kind == WR_SEGMENT_ALARMS || header.kind == WR_SEGMENT_GAPS;
    return texts ? print_texts(reader, sink, err) : print_aggregates(reader, sink, err);
}

/* One whole body. A failure that is not the sink's is told, and that is all. */
static enum wr_result take(struct wr_segment_reader *reader, const uint8_t *body, size_t len, uint64_t number, const struct wr_sink *sink) {
    struct wr_error err = {.text = "damaged"};
    const enum wr_result result = print(reader, body, len, sink, &err);
    if (result == WR_EMPTY)
        return WR_OK;
    if (result != WR_CORRUPT && result != WR_UNSUPPORTED && result != WR_NO_MEMORY)
        return result;
    refuse(reader, number, result == WR_NO_MEMORY ? WR_BOOK_REJECTED_MEMORY : WR_BOOK_REJECTED_SYNTAX, sink, err.text);
    return WR_CORRUPT;
}

/* The next place behind p that may be the beginning of a segment, or where one may still become visible. */
static const char *next_magic(const char *p, const char *end) {
    const char *found = memmem(p, (size_t)(end - p), MAGIC, MAGIC_BYTES);
    if (found)
        return found;
    return end - p >= MAGIC_BYTES ? end - (MAGIC_BYTES - 1) : p;
}

enum wr_result wr_codec_stream_feed_segment(void *codec, const char *bytes, size_t len, bool ended, uint64_t *line,
                                            const struct wr_sink *sink, size_t *ret_consumed) {
    struct wr_segment_reader *reader = codec;
    const char *p = bytes;
    const char *end = bytes + len;
    enum wr_result result = WR_OK;
    while (p < end && result == WR_OK) {
        const size_t left = (size_t)(end - p);
        uint32_t length = 0;
        const bool headed = left >= WR_CODEC_HEADER_BYTES;
        if (headed)
            memcpy(&length, p + LENGTH_AT, sizeof length);
        length = le32toh(length);
        const bool plausible =
            headed && memcmp(p, MAGIC, MAGIC_BYTES) == 0 && length >= WR_CODEC_HEADER_BYTES && length <= WR_SEGMENT_BODY_MAX;
        if (!ended && (!headed || (plausible && length > left)))
            break;
        ++*line;
        if (plausible && length <= left) {
            result = take(reader, (const uint8_t *)p, length, *line, sink);
            if (result == WR_OK) {
                p += length;
                continue;
            }
            if (result != WR_CORRUPT)
                break;
            result = WR_OK;
        } else {
            refuse(reader, *line, WR_BOOK_REJECTED_SYNTAX, sink, plausible || !headed ? "cut off inside a segment" : "not a segment");
        }
        p = next_magic(p + 1, end);
        if (ended && end - p < MAGIC_BYTES)
            p = end;
    }
    *ret_consumed = (size_t)(p - bytes);
    return result;
}
