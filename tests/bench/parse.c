/* What a line of input costs before the engine: parse alone, and parse, find the series, fill batches.
 *
 *   bench_parse [readings]
 *
 * The text lies in memory and is fed in pieces of 64 KB, as a read would. Per row the least and the median of RUNS runs, in ns a line. Batches go
 * straight back to the pool. "new series" is the first sight of each series: the table and its mutex, no hit in the cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/codec/csv.h"
#include "agent/codec/json.h"
#include "agent/codec/json_map.h"
#include "agent/codec/line.h"
#include "agent/codec/stream.h"
#include "agent/sources/intake.h"
#include "tests/bench/input.h"

#define RUNS 31
#define PIECE 65536
#define SERIES_MAX 200000

struct text {
    char *bytes;
    size_t len;
    uint64_t lines;
};

static uint64_t seen;
static double sum;

static enum wr_result look(void *user, const struct wr_record *record) {
    (void)user;
    seen += record->n_fields;
    sum += record->fields[0].value.f;
    return WR_OK;
}

static void refuse(void *user, const struct wr_refusal *refusal) {
    (void)user;
    fprintf(stderr, "refused: %s\n", refusal->message);
    exit(1);
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void feed_all(const struct text *text, wr_codec_stream_feed *feed, void *codec, const struct wr_sink *sink,
                     struct wr_intake *intake) {
    uint64_t line = 0;
    for (size_t from = 0; from < text->len;) {
        const size_t to = from + PIECE < text->len ? from + PIECE : text->len;
        size_t consumed;
        if (feed(codec, text->bytes + from, to - from, to == text->len, &line, sink, &consumed) == WR_CLOSED || consumed == 0)
            exit(1);
        from += consumed;
        if (!intake)
            continue;
        wr_intake_hand_over(intake);
        struct wr_batch *batch;
        while (wr_channel_try_recv(intake->env->to_engine, &batch) == WR_OK) {
            seen += batch->n;
            wr_batch_return(batch);
        }
    }
}

static void measure(const char *what, const struct text *text, wr_codec_stream_feed *feed, void *codec, const struct wr_sink *sink,
                    struct wr_intake *intake) {
    double runs[RUNS];
    for (int run = 0; run < RUNS; run++) {
        const double from = now_ns();
        feed_all(text, feed, codec, sink, intake);
        runs[run] = (now_ns() - from) / (double)text->lines;
    }
    qsort(runs, RUNS, sizeof runs[0], compare);
    printf("  %-44s %7.1f %7.1f\n", what, runs[0], runs[RUNS / 2]);
}

/* -- input ---------------------------------------------------------------------------------------------------------------------------- */

enum shape { SHAPE_PLAIN, SHAPE_BENCH, SHAPE_RANDOM, SHAPE_FIELDS, SHAPE_JSON, SHAPE_MAPPED, SHAPE_WIDE, SHAPE_CSV };

static char *make_line(char *at, enum shape shape, uint64_t i, uint64_t series) {
    const unsigned host = (unsigned)(i % series);
    const unsigned value = (unsigned)(i * 7919 % 1125 + 775);
    const long long time_ns = 1700000000000000000LL + (long long)i * 1000;
    switch (shape) {
    case SHAPE_PLAIN:
        return at + sprintf(at, "cpu,host=h%04u,dc=riga usage=%u.%02u %lld\n", host, value / 100, value % 100, time_ns);
    case SHAPE_FIELDS:
        return at + sprintf(at, "env,sensor=sn%05u temp=%u.%02u,hum=%u.%u,co2=%ui,on=t %lld\n", host, value / 100, value % 100, value / 20,
                            value % 10, value, time_ns);
    case SHAPE_JSON:
        return at +
               sprintf(at,
                       "{\"measurement\":\"temp\",\"field\":\"value\",\"tags\":{\"sensor\":\"sn%05u\"},\"time_ns\":%lld,\"value\":%u.%02u,"
                       "\"type\":\"float\",\"quality\":\"good\"}\n",
                       host, time_ns, value / 100, value % 100);
    case SHAPE_MAPPED:
        return input_json(at, i, series, input_time_ns(1700000000000000000LL, i, series));
    case SHAPE_WIDE:
        return at + sprintf(at,
                            "{\"time\": \"2023-11-14T22:13:%02uZ\", \"device\": {\"id\": \"dev-%05u\", \"fw\": \"1.2\"}, \"data\": "
                            "{\"temp\": %u.%02u, "
                            "\"hum\": %u, \"on\": true, \"mode\": \"auto\", \"rms\": [%u.%03u, null, 21.299999999999997]}}\n",
                            (unsigned)(i % 60), host, value / 100, value % 100, value / 20, value / 7, value % 1000);
    case SHAPE_CSV:
        return at + sprintf(at, "%lld,%u.%02u,%u.%u,%u,%u,%u.%u,1\n", time_ns, value / 100, value % 100, value / 20, value % 10, value,
                            value * 2, value / 3, value % 7);
    case SHAPE_RANDOM:
        return at + sprintf(at, "temps,sensor=sn%05u value=%u.%02u %lld\n", (unsigned)((i < series ? i : i * 2654435761u >> 7) % series),
                            value / 100, value % 100, time_ns);
    case SHAPE_BENCH:
        break;
    }
    return input_line(at, "temps", i, series, input_time_ns(1700000000000000000LL, i, series));
}

static struct text make_text(enum shape shape, uint64_t lines, uint64_t series) {
    struct text text = {.bytes = malloc(lines * 256 + 100), .lines = lines};
    if (!text.bytes)
        exit(1);
    char *at = text.bytes;
    if (shape == SHAPE_CSV)
        at += sprintf(at, "time,temp,hum,light,co2,ratio,occupied\n");
    for (uint64_t i = 0; i < lines; i++)
        at = make_line(at, shape, i, series);
    text.len = (size_t)(at - text.bytes);
    return text;
}

static struct wr_config_limits limits = {.max_series = SERIES_MAX, .max_symbols = 1000, .batches = 8, .max_line_bytes = 65536};
static struct wr_config_source config = {.name = (char *)"bench"};

static void run_shape(const char *name, enum shape shape, uint64_t lines, uint64_t series, struct wr_source_env *env) {
    static struct wr_line_parser parser;
    static struct wr_json_reader json;
    static struct wr_json_map map;
    static struct wr_csv csv;
    static char *sensor[] = {(char *)"sensor"};
    static char *device[] = {(char *)"device.id"};
    static const struct wr_config_json mapped = {
        .time = (char *)"ts", .time_format = (char *)"s", .measurement = (char *)"temps", .tags = sensor, .n_tags = 1};
    static const struct wr_config_json wide = {.time = (char *)"time", .tags = device, .n_tags = 1};
    static struct wr_config_csv options = {.time_format = (char *)"ns"};
    struct wr_error err;
    struct text text = make_text(shape, lines, series);
    printf("%s, %llu series, %.1f bytes a line\n", name, (unsigned long long)series, (double)text.len / (double)lines);
    wr_codec_stream_feed *feed = wr_codec_stream_feed_line;
    void *codec = &parser;
    if (shape == SHAPE_JSON) {
        feed = wr_codec_stream_feed_json;
        codec = &json;
    } else if (shape == SHAPE_MAPPED || shape == SHAPE_WIDE) {
        feed = wr_codec_stream_feed_json_map;
        codec = &map;
    } else if (shape == SHAPE_CSV) {
        feed = wr_codec_stream_feed_csv;
        codec = &csv;
    }
    wr_line_parser_init(&parser, WR_PRECISION_NS, limits.max_line_bytes);
    wr_json_reader_init(&json);
    if (wr_json_map_init(&map, shape == SHAPE_WIDE ? &wide : &mapped, "m", limits.max_line_bytes, &err) != WR_OK)
        exit(1);
    if (wr_csv_init(&csv, &options, "csv", &err) != WR_OK || wr_series_table_new(SERIES_MAX, &env->series, &err) != WR_OK)
        exit(1);
    if (shape != SHAPE_CSV) {
        const struct wr_sink sink = {.record = look, .refused = refuse};
        measure("parse", &text, feed, codec, &sink, NULL);
    }
    struct wr_intake intake;
    wr_intake_init(&intake, env);
    intake.sink.refused = refuse;
    const struct wr_now now = wr_clock_now(wr_clock_real());
    wr_intake_arrived(&intake, &now);
    if (shape == SHAPE_CSV) { /* the header comes once: one run */
        const double from = now_ns();
        feed_all(&text, feed, codec, &intake.sink, &intake);
        printf("  %-44s %7.1f\n", "parse, find series, fill batches", (now_ns() - from) / (double)lines);
    } else {
        const double from = now_ns();
        struct text first = {.bytes = text.bytes, .lines = series};
        for (uint64_t i = 0; i < series; i++)
            first.len = (size_t)((char *)memchr(text.bytes + first.len, '\n', text.len - first.len) + 1 - text.bytes);
        feed_all(&first, feed, codec, &intake.sink, &intake);
        printf("  %-44s %7.1f\n", "new series", (now_ns() - from) / (double)series);
        measure("parse, find series, fill batches", &text, feed, codec, &intake.sink, &intake);
    }
    wr_intake_fini(&intake);
    wr_series_table_free(env->series);
    wr_csv_fini(&csv);
    wr_json_reader_fini(&json);
    wr_json_map_fini(&map);
    wr_line_parser_fini(&parser);
    free(text.bytes);
}

int main(int argc, char **argv) {
    const uint64_t lines = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    struct wr_error err;
    static struct wr_intake_counters counters;
    static struct wr_batch_pool pool;
    struct wr_source_env env = {.config = &config, .limits = &limits, .clock = wr_clock_real(), .pool = &pool, .counters = &counters};
    if (lines < 10000) {
        fprintf(stderr, "usage: bench_parse [readings >= 10000]\n");
        return 2;
    }
    /* A piece of 64 KB has at most as many readings as the pool. */
    limits.batches = 64;
    const struct wr_channel_options options = {
        .name = "bench", .capacity = limits.batches, .element_bytes = sizeof(struct wr_batch *), .policy = WR_CHANNEL_REJECT};
    if (wr_batch_pool_init(&pool, limits.batches, 0, &err) != WR_OK || wr_channel_new(&options, &env.to_engine, &err) != WR_OK ||
        wr_symbol_table_new(limits.max_symbols, &env.symbols, &err) != WR_OK)
        return 1;
    printf("ns of CPU a line: least, median of %d\n", RUNS);
    run_shape("one field, two tags", SHAPE_PLAIN, lines, 10000, &env);
    run_shape("the bench's input", SHAPE_BENCH, lines, 10000, &env);
    run_shape("the bench's input", SHAPE_BENCH, lines, 100, &env);
    if (lines >= 100000)
        run_shape("the bench's input", SHAPE_BENCH, lines, 100000, &env);
    run_shape("series in random order", SHAPE_RANDOM, lines, 10000, &env);
    run_shape("four fields", SHAPE_FIELDS, lines, 2000, &env);
    run_shape("JSON records", SHAPE_JSON, lines, 10000, &env);
    run_shape("JSON by a mapping", SHAPE_MAPPED, lines, 10000, &env);
    run_shape("JSON by a mapping, nested, ten scalars", SHAPE_WIDE, lines, 2000, &env);
    run_shape("CSV, six fields a row", SHAPE_CSV, lines, 1, &env);
    fprintf(stderr, "(%llu readings, %g)\n", (unsigned long long)seen, sum);
    wr_channel_free(env.to_engine);
    wr_batch_pool_fini(&pool);
    wr_symbol_table_free(env.symbols);
    return 0;
}
