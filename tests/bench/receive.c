/* weir-receive without a network: segments of a made-up fleet through decoder, sink and acknowledgement, as fast as they go.
 *
 * Usage: bench_receive TO SEGMENTS [SERIES [NODES]]    TO: postgresql://..., file:DIRECTORY or stdout
 * Prints one JSON object (with TO stdout on stderr): aggregates, seconds, and the CPU seconds of this process; making the segments is not counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/receive/file_sink.h"
#include "agent/receive/postgres.h"
#include "agent/receive/receiver.h"
#include "store/codec.h"
#include "transport/encode_json.h"

#define PER_SEGMENT WR_SEGMENT_RECORDS
#define NODES_MAX 64

struct fleet {
    unsigned n_nodes;
    unsigned n_series;
    unsigned n_segments;
    unsigned sent;
    unsigned acknowledged;
    struct wr_encoder *encoder;
    struct wr_symbol_table *symbols;
    struct wr_aggregate records[PER_SEGMENT];
    char (*keys)[128];
    size_t *key_lens;
    /* Encoded ahead, so that the encoder is not counted: bodies are made once, and only their keys differ. */
    struct wr_subscriber_message message;
    char topic[64];
};

static void die(const char *what) {
    fprintf(stderr, "bench_receive: %s\n", what);
    exit(2);
}

static void make_keys(struct fleet *fleet) {
    fleet->keys = calloc(fleet->n_series, sizeof *fleet->keys);
    fleet->key_lens = calloc(fleet->n_series, sizeof *fleet->key_lens);
    if (!fleet->keys || !fleet->key_lens)
        die("no memory");
    for (unsigned i = 0; i < fleet->n_series; i++) {
        static char key[WR_SERIES_KEY_BYTES];
        char room[16];
        char sensor[16];
        snprintf(room, sizeof room, "room%u", i % 97);
        snprintf(sensor, sizeof sensor, "s%u", i);
        struct wr_tag tags[] = {{{"room", 4}, {room, strlen(room)}}, {{"sensor", 6}, {sensor, strlen(sensor)}}};
        if (wr_series_key_make((struct wr_word){"temperature", 11}, (struct wr_word){"value", 5}, tags, 2, key, &fleet->key_lens[i],
                               NULL) != WR_OK)
            die("key");
        memcpy(fleet->keys[i], key, fleet->key_lens[i]);
    }
}

/* Segment number `index`: the next 1024 windows of the node's series, a minute each. */
static void make_segment(struct fleet *fleet, unsigned index) {
    const unsigned node = index % fleet->n_nodes;
    const uint64_t first = (uint64_t)(index / fleet->n_nodes) * PER_SEGMENT;
    for (unsigned i = 0; i < PER_SEGMENT; i++) {
        const unsigned series = (unsigned)((first + i) % fleet->n_series);
        const uint64_t window = (first + i) / fleet->n_series;
        struct wr_aggregate *record = &fleet->records[i];
        *record = (struct wr_aggregate){.key = fleet->keys[series],
                                        .key_len = (uint16_t)fleet->key_lens[series],
                                        .type = WR_TYPE_FLOAT,
                                        .decimals = 1,
                                        .start_ns = INT64_C(1700000000000000000) + (int64_t)window * 60 * WR_NS_PER_S,
                                        .window_ns = 60 * WR_NS_PER_S,
                                        .n = 60,
                                        .sum = wr_sum_zero()};
        record->first.f = (double)(200 + (series * 7 + window * 3) % 50) / 10;
        record->last.f = (double)(200 + (series * 5 + window * 11) % 50) / 10;
        record->min.f = 19.5;
        record->max.f = 25.5;
        for (int k = 0; k < 60; k++)
            wr_sum_add(&record->sum, WR_TYPE_FLOAT, record->first, 1);
    }
    struct wr_codec_header header = {
        .kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS, .epoch = 1 + node, .seq = (int64_t)(index / fleet->n_nodes) + 1};
    const uint8_t *body;
    size_t len;
    if (wr_encode_aggregates(fleet->encoder, &header, fleet->records, PER_SEGMENT, fleet->symbols, &body, &len) != WR_OK)
        die("encode");
    snprintf(fleet->topic, sizeof fleet->topic, "weir/1/riga/gw-%u/agg", node);
    fleet->message = (struct wr_subscriber_message){.topic = {fleet->topic, strlen(fleet->topic)},
                                                    .payload = {(const char *)body, len},
                                                    .content_type = {WR_CONTENT_SEGMENT, strlen(WR_CONTENT_SEGMENT)},
                                                    .qos = 1,
                                                    .token = {.connection = 1, .number = index}};
}

static double encode_s; /* the generator is not counted */

static double cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static enum wr_result fleet_receive(void *self, int64_t deadline_boot_ns, struct wr_subscriber_message *ret_message) {
    struct fleet *fleet = self;
    (void)deadline_boot_ns;
    if (fleet->sent == fleet->n_segments)
        return WR_CLOSED;
    const double begin = cpu_s();
    make_segment(fleet, fleet->sent++);
    encode_s += cpu_s() - begin;
    *ret_message = fleet->message;
    return WR_OK;
}

static void fleet_acknowledge(void *self, const struct wr_subscriber_token *tokens, size_t n) {
    struct fleet *fleet = self;
    (void)tokens;
    fleet->acknowledged += (unsigned)n;
}

static void fleet_wake(void *self) {
    (void)self;
}

static const struct wr_receive_feed_ops feed = {fleet_receive, fleet_acknowledge, fleet_wake};

static enum wr_result open_sink(const char *to, struct wr_receive_sink *sink, struct wr_error *err) {
    static struct wr_postgres_options postgres = {
        .schema = "weir", .connect_timeout_ns = 10 * WR_NS_PER_S, .statement_timeout_ns = 60 * WR_NS_PER_S, .stop_fd = -1};
    const struct wr_file_sink_options files = {.directory = strncmp(to, "file:", 5) == 0 ? to + 5 : NULL,
                                               .instance = "bench",
                                               .rotate_bytes = 64000000,
                                               .rotate_ns = 3600 * WR_NS_PER_S};
    postgres.url = to;
    return strncmp(to, "postgres", 8) == 0 ? wr_postgres_sink_new(&postgres, sink, err) : wr_file_sink_new(&files, sink, err);
}

int main(int argc, char **argv) {
    static struct fleet fleet;
    struct wr_error err = {0};
    struct wr_receive_sink sink;
    struct wr_receiver receiver;
    if (argc < 3)
        die("usage: bench_receive TO SEGMENTS [SERIES [NODES]]");
    fleet.n_segments = (unsigned)strtoul(argv[2], NULL, 10);
    fleet.n_series = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1000;
    fleet.n_nodes = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 8;
    if (fleet.n_series == 0 || fleet.n_nodes == 0 || fleet.n_nodes > NODES_MAX)
        die("no series, or too many nodes");
    if (wr_encoder_new(&fleet.encoder) != WR_OK || wr_symbol_table_new(16, &fleet.symbols, NULL) != WR_OK)
        die("no memory");
    make_keys(&fleet);
    if (open_sink(argv[1], &sink, &err) != WR_OK)
        die(err.text);
    const struct wr_receiver_options options = {.feed = &feed,
                                                .feed_self = &fleet,
                                                .sink = sink,
                                                .prefix = "weir/1",
                                                .quarantine = "bench-quarantine",
                                                .quarantine_max_bytes = 1 << 20,
                                                .batch_messages = 256,
                                                .batch_bytes = 32000000,
                                                .batch_delay_ns = 100 * WR_NS_PER_MS,
                                                .retry_max_ns = WR_NS_PER_S,
                                                .clock = wr_clock_real(),
                                                .stop_fd = eventfd(0, EFD_CLOEXEC)};
    if (wr_receiver_init(&receiver, &options, &err) != WR_OK)
        die(err.text);
    const int64_t begin_ns = wr_clock_boot_ns(wr_clock_real());
    if (wr_receiver_run(&receiver, &err) != WR_CLOSED)
        die(err.text);
    const double seconds = (double)(wr_clock_boot_ns(wr_clock_real()) - begin_ns) / 1e9;
    struct wr_sink_counts counts;
    sink.ops->counts(sink.self, &counts);
    fprintf(strcmp(argv[1], "stdout") == 0 ? stderr : stdout,
            "{\"aggregates\":%llu,\"segments\":%llu,\"known\":%llu,\"acknowledged\":%u,\"seconds\":%.3f,\"encode_cpu_s\":%.3f,"
            "\"cpu_s\":%.3f,\"aggregates_per_s\":%.0f}\n",
            (unsigned long long)counts.aggregates, (unsigned long long)counts.segments, (unsigned long long)counts.known,
            fleet.acknowledged, seconds, encode_s, cpu_s() - encode_s, (double)counts.aggregates / (seconds - encode_s));
    sink.ops->close(sink.self);
    wr_receiver_fini(&receiver);
    wr_encoder_free(fleet.encoder);
    wr_symbol_table_free(fleet.symbols);
    free(fleet.keys);
    free(fleet.key_lens);
    return fleet.acknowledged == fleet.n_segments ? 0 : 1;
}
