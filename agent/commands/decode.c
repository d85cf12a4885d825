/* `weir decode`: any input or uplink format as one JSON object a line. Constant memory: nothing is kept from one record to the next. */
#include "agent/commands/decode.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/codec/csv.h"
#include "agent/codec/json.h"
#include "agent/codec/json_map.h"
#include "agent/codec/line.h"
#include "agent/codec/segment_reader.h"
#include "agent/codec/stream.h"
#include "agent/commands/commands.h"
#include "core/clock.h"
#include "core/record_json.h"

#define LINE_BYTES_MAX (1 << 20)
#define RECORD_BYTES_MAX (16 << 20) /* a JSON envelope of the uplink may be long */
#define SEGMENT_BYTES_MAX (2 * (size_t)WR_SEGMENT_BODY_MAX)
#define OUTPUT_BYTES 65536

struct decode {
    const struct wr_decode_options *options;
    int64_t default_time_ns;
    struct wr_buf output;
    bool malformed;
    struct wr_sink sink;
    union {
        struct wr_line_parser line;
        struct wr_csv csv;
        struct wr_json_reader json;
        struct wr_json_map map;
        struct wr_segment_reader segment;
    } codec;
};

/* -- the sink ---------------------------------------------------------------------------------------------------------------------- */

static enum wr_result flush(struct decode *decode) {
    const size_t len = decode->output.len;
    decode->output.len = 0;
    if (len > 0 && fwrite(decode->output.data, 1, len, stdout) != len)
        return WR_IO;
    return fflush(stdout) == 0 ? WR_OK : WR_IO;
}

static enum wr_result end_line(struct decode *decode) {
    WR_TRY(wr_buf_append(&decode->output, "\n", 1));
    return decode->output.len >= OUTPUT_BYTES ? flush(decode) : WR_OK;
}

static void take_refusal(void *user, const struct wr_refusal *refusal) {
    struct decode *decode = user;
    decode->malformed = true;
    fprintf(stderr, "%s:%llu:%u: %s\n", decode->options->format_name, (unsigned long long)refusal->line, refusal->column, refusal->message);
}

static enum wr_result take_record(void *user, const struct wr_record *record) {
    struct decode *decode = user;
    for (size_t i = 0; i < record->n_fields; i++) {
        const struct wr_field *field = &record->fields[i];
        char key[WR_SERIES_KEY_BYTES];
        size_t len;
        struct wr_refusal refusal;
        if (wr_record_key(record, field, key, &len, &refusal) != WR_OK) {
            take_refusal(decode, &refusal);
            return WR_OK;
        }
        const struct wr_reading reading = wr_record_reading(record, field, decode->default_time_ns);
        struct wr_json json;
        wr_json_begin(&json, &decode->output);
        wr_record_reading_json(&json, key, len, &reading, field->text.text, field->text.len);
        WR_TRY(wr_json_end(&json));
        WR_TRY(end_line(decode));
    }
    return WR_OK;
}

static enum wr_result take_object(void *user, const char *json, size_t len) {
    struct decode *decode = user;
    WR_TRY(wr_buf_append(&decode->output, json, len));
    return end_line(decode);
}

/* -- the codecs ------------------------------------------------------------------------------------------------------------------------ */

static char precision_names[][3] = {[WR_PRECISION_NS] = "ns", [WR_PRECISION_US] = "us", [WR_PRECISION_MS] = "ms", [WR_PRECISION_S] = "s"};

static enum wr_result run(struct decode *decode, wr_codec_stream_feed *feed, size_t record_bytes_max, struct wr_error *err) {
    struct wr_codec_stream stream;
    WR_TRY(wr_codec_stream_open(&stream, decode->options->file, feed, &decode->codec, &decode->sink, record_bytes_max, err));
    enum wr_result result;
    do {
        result = wr_codec_stream_step(&stream, err);
        if (result == WR_OK || result == WR_CLOSED) {
            if (flush(decode) != WR_OK)
                result = WR_IO;
        }
        if (result == WR_IO && err->text[0] == '\0')
            (void)wr_error_set(err, WR_IO, "cannot write to standard output");
        if (result == WR_NO_MEMORY && err->text[0] == '\0')
            (void)wr_error_set(err, WR_NO_MEMORY, "no memory");
    } while (result == WR_OK);
    wr_codec_stream_close(&stream);
    return result == WR_CLOSED ? WR_OK : result;
}

static enum wr_result run_csv(struct decode *decode, struct wr_error *err) {
    struct wr_config_csv csv = decode->options->csv;
    if (!csv.time_format && decode->options->precision != WR_PRECISION_NS)
        csv.time_format = precision_names[decode->options->precision];
    enum wr_result result = wr_csv_init(&decode->codec.csv, &csv, "csv", err);
    if (result == WR_OK)
        result = run(decode, wr_codec_stream_feed_csv, LINE_BYTES_MAX, err);
    wr_csv_fini(&decode->codec.csv);
    return result;
}

static enum wr_result run_json(struct decode *decode, struct wr_error *err) {
    enum wr_result result;
    if (!decode->options->has_json) {
        wr_json_reader_init(&decode->codec.json);
        result = run(decode, wr_codec_stream_feed_json, RECORD_BYTES_MAX, err);
        wr_json_reader_fini(&decode->codec.json);
        return result;
    }
    struct wr_config_json json = decode->options->json;
    if (!json.time_format && json.time && decode->options->precision != WR_PRECISION_NS)
        json.time_format = precision_names[decode->options->precision];
    WR_TRY(wr_json_map_init(&decode->codec.map, &json, "json", RECORD_BYTES_MAX, err));
    result = run(decode, wr_codec_stream_feed_json_map, RECORD_BYTES_MAX, err);
    wr_json_map_fini(&decode->codec.map);
    return result;
}

static enum wr_result run_format(struct decode *decode, struct wr_error *err) {
    enum wr_result result = WR_OK;
    switch (decode->options->format) {
    case WR_DECODE_INFLUX:
        wr_line_parser_init(&decode->codec.line, decode->options->precision, LINE_BYTES_MAX);
        result = run(decode, wr_codec_stream_feed_line, LINE_BYTES_MAX, err);
        wr_line_parser_fini(&decode->codec.line);
        break;
    case WR_DECODE_JSON:
        result = run_json(decode, err);
        break;
    case WR_DECODE_CSV:
        result = run_csv(decode, err);
        break;
    case WR_DECODE_WEIR:
        result = wr_segment_reader_init(&decode->codec.segment, err);
        if (result == WR_OK)
            result = run(decode, wr_codec_stream_feed_segment, SEGMENT_BYTES_MAX, err);
        wr_segment_reader_fini(&decode->codec.segment);
        break;
    }
    return result;
}

int wr_command_decode(int argc, char **argv) {
    struct wr_decode_options options;
    struct wr_error err = {0};
    if (wr_decode_options_read(argc, argv, &options, &err) != WR_OK)
        return wr_command_usage("decode", "%s", err.text);
    int code = WR_EXIT_CANNOT;
    struct decode *decode = calloc(1, sizeof *decode);
    if (decode) {
        decode->options = &options;
        decode->default_time_ns = options.has_default_time ? options.default_time_ns : wr_clock_wall_ns(wr_clock_real());
        decode->sink = (struct wr_sink){.record = take_record, .refused = take_refusal, .object = take_object, .user = decode};
        wr_buf_init(&decode->output, 0);
        const enum wr_result result = run_format(decode, &err);
        if (result == WR_OK)
            code = decode->malformed ? WR_EXIT_FOUND : WR_EXIT_OK;
        else
            fprintf(stderr, "weir decode: %s\n", err.text);
        wr_buf_fini(&decode->output);
    } else {
        fprintf(stderr, "weir decode: no memory\n");
    }
    free(decode);
    wr_decode_options_fini(&options);
    return code;
}
