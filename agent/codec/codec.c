#include "agent/codec/codec.h"

#include <stdlib.h>

#include "agent/codec/json.h"
#include "agent/codec/json_map.h"
#include "agent/codec/line.h"

/* A line is gathered up to its newline, and no further. */
static bool is_whole_line(struct wr_json_progress *progress, const char *bytes, size_t len) {
    (void)progress;
    return len > 0 && bytes[len - 1] == '\n';
}

static void forget_line(void *parser) {
    (void)parser;
}

static void forget_json(void *parser) {
    struct wr_json_reader *reader = parser;
    reader->taken = 0;
}

static void forget_map(void *parser) {
    struct wr_json_map *map = parser;
    map->taken = 0;
}

static void free_line(void *parser) {
    wr_line_parser_fini(parser);
    free(parser);
}

static void free_json(void *parser) {
    wr_json_reader_fini(parser);
    free(parser);
}

static void free_map(void *parser) {
    wr_json_map_fini(parser);
    free(parser);
}

static enum wr_result init_line(struct wr_codec *codec, const struct wr_config_source *source, size_t max_bytes, struct wr_error *err) {
    struct wr_line_parser *parser = malloc(sizeof *parser);
    if (!parser)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a parser");
    wr_line_parser_init(parser, (enum wr_precision)source->precision, max_bytes);
    *codec = (struct wr_codec){.feed = wr_codec_stream_feed_line,
                               .parser = parser,
                               .forget = forget_line,
                               .free = free_line,
                               .by_lines = true,
                               .is_whole = is_whole_line};
    return WR_OK;
}

static enum wr_result init_json(struct wr_codec *codec, struct wr_error *err) {
    struct wr_json_reader *reader = malloc(sizeof *reader);
    if (!reader)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a parser");
    wr_json_reader_init(reader);
    *codec = (struct wr_codec){
        .feed = wr_codec_stream_feed_json, .parser = reader, .forget = forget_json, .free = free_json, .is_whole = wr_json_scan_progress};
    return WR_OK;
}

static enum wr_result init_map(struct wr_codec *codec, const struct wr_config_source *source, const char *measurement, size_t max_bytes,
                               struct wr_error *err) {
    struct wr_json_map *map = calloc(1, sizeof *map);
    if (!map)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a parser");
    const enum wr_result result = wr_json_map_init(map, source->json, measurement ? measurement : source->name, max_bytes, err);
    if (result != WR_OK) {
        free(map);
        return result;
    }
    *codec = (struct wr_codec){
        .feed = wr_codec_stream_feed_json_map, .parser = map, .forget = forget_map, .free = free_map, .is_whole = wr_json_scan_progress};
    return WR_OK;
}

enum wr_result wr_codec_init(struct wr_codec *codec, const struct wr_config_source *source, const char *measurement, size_t max_bytes,
                             struct wr_error *err) {
    *codec = (struct wr_codec){0};
    if (source->format == WR_SOURCE_FORMAT_LINE)
        return init_line(codec, source, max_bytes, err);
    if (source->format != WR_SOURCE_FORMAT_JSON)
        return wr_error_set(err, WR_UNSUPPORTED, "no codec of this format here");
    return source->json ? init_map(codec, source, measurement, max_bytes, err) : init_json(codec, err);
}

void wr_codec_fini(struct wr_codec *codec) {
    if (codec->parser)
        codec->free(codec->parser);
    codec->parser = NULL;
}

size_t wr_codec_bytes(const struct wr_config_source *source, size_t max_bytes) {
    const size_t buffers = 4 * max_bytes; /* texts, the last line */
    if (source->format == WR_SOURCE_FORMAT_LINE)
        return sizeof(struct wr_line_parser) + buffers;
    return (source->json ? sizeof(struct wr_json_map) : sizeof(struct wr_json_reader)) + buffers;
}
