/* The codec and the store on the recordings: bytes an aggregate, and how fast. The store is made in a directory below the second argument
 * (default: the current one), with a budget of 64 MB.
 *
 *   bench_store_codec [RECORDINGS] [DIRECTORY]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/segment.h"
#include "store/codec.h"
#include "store/store.h"
#include "tests/bench/recordings.h"

#define ROUNDS 5

static double seconds(clockid_t which) {
    struct timespec now;
    clock_gettime(which, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void must(enum wr_result result, const struct wr_error *err) {
    if (result == WR_OK)
        return;
    fprintf(stderr, "%s: %s\n", wr_result_name(result), err ? err->text : "");
    exit(1);
}

static void measure_codec(const struct recordings *recordings, size_t per_segment) {
    struct wr_encoder *encoder;
    struct wr_decoder *decoder;
    struct wr_error err = {0};
    must(wr_encoder_new(&encoder), NULL);
    must(wr_decoder_new(&decoder), NULL);
    double encoding = 0;
    double decoding = 0;
    size_t n = 0;
    size_t bytes = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t at = 0; at + per_segment <= recordings->n; at += per_segment) {
            struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS};
            struct wr_aggregate aggregate;
            const uint8_t *body;
            size_t len;
            double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
            must(wr_encode_aggregates(encoder, &header, recordings->aggregates + at, per_segment, NULL, &body, &len), NULL);
            double middle = seconds(CLOCK_PROCESS_CPUTIME_ID);
            must(wr_decode_begin(decoder, body, len, &header, &err), &err);
            while (wr_decode_aggregate(decoder, &aggregate, &err) == WR_OK)
                n++;
            encoding += middle - start;
            decoding += seconds(CLOCK_PROCESS_CPUTIME_ID) - middle;
            bytes += len;
        }
    printf("codec, %zu a segment: %.2f B/aggregate, encode %.1f M/s, decode %.1f M/s (CPU)\n", per_segment, (double)bytes / (double)n,
           (double)n / encoding / 1e6, (double)n / decoding / 1e6);
    wr_encoder_free(encoder);
    wr_decoder_free(decoder);
}

static void append(struct wr_store *store, const struct recordings *recordings, const struct wr_now *now) {
    static struct wr_handover handover;
    struct wr_error err = {0};
    for (size_t at = 0; at < recordings->n;) {
        handover.n = 0;
        while (at < recordings->n && handover.n < WR_HANDOVER_AGGREGATES)
            handover.aggregates[handover.n++] = recordings->aggregates[at++];
        uint32_t taken;
        must(wr_store_take(store, &handover, 0, now, &taken, &err), &err);
    }
}

static size_t drain(struct wr_store *store, const struct wr_now *now) {
    struct wr_segment segment;
    struct wr_error err = {0};
    size_t n = 0;
    int64_t after = 0;
    while (wr_store_next(store, WR_LANE_WINDOWS, after, INT64_MAX, now, &segment, &err) == WR_OK) {
        after = segment.seq;
        n += segment.n;
        must(wr_store_offer(store, WR_LANE_WINDOWS, after, now, &err), &err);
        must(wr_store_ack(store, WR_LANE_WINDOWS, after, after, now, &err), &err);
        must(wr_store_tick(store, now, &err), &err);
        wr_segment_free(&segment);
    }
    return n;
}

static void measure_store(const struct recordings *recordings, const char *directory) {
    const struct wr_store_options options = {.budget_bytes = 64U << 20, .max_loss_ns = 15 * WR_NS_PER_S, .node = "bench"};
    const struct wr_now now = wr_clock_now(wr_clock_real());
    const struct wr_account account = {"bench", "m"};
    struct wr_store *store;
    struct wr_store_report report;
    struct wr_error err = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s/weir-bench-XXXXXX", directory);
    if (!mkdtemp(path))
        exit(2);
    double start = seconds(CLOCK_MONOTONIC);
    must(wr_store_open(path, &options, &now, NULL, &store, &report, &err), &err);
    double opened = seconds(CLOCK_MONOTONIC);
    must(wr_store_accounts(store, &account, 1, false, &err), &err);
    const struct wr_store_stats *stats = wr_store_stats(store);
    uint64_t free_before = atomic_load(&stats->free_bytes);
    uint64_t written_before = atomic_load(&stats->written_bytes);
    double appending = seconds(CLOCK_MONOTONIC);
    for (int round = 0; round < ROUNDS; round++)
        append(store, recordings, &now);
    must(wr_store_flush(store, &now, &err), &err);
    appending = seconds(CLOCK_MONOTONIC) - appending;
    size_t n = ROUNDS * recordings->n;
    double pages = (double)(free_before - atomic_load(&stats->free_bytes)) / (double)n;
    double draining = seconds(CLOCK_MONOTONIC);
    size_t drained = drain(store, &now);
    draining = seconds(CLOCK_MONOTONIC) - draining;
    printf("store: reserve %.2f s, append %.2f M/s durable, drain %.1f M/s, %.2f B of pages and %.1f B of WAL an aggregate\n",
           opened - start, (double)n / appending / 1e6, (double)drained / draining / 1e6, pages,
           (double)(atomic_load(&stats->written_bytes) - written_before) / (double)n);
    must(wr_store_close(store, &now, &err), &err);
    char file[1100];
    snprintf(file, sizeof file, "%s/%s", path, WR_STORE_FILE);
    unlink(file);
    strcat(file, "-wal");
    unlink(file);
    rmdir(path);
}

int main(int argc, char **argv) {
    struct recordings recordings;
    recordings_read(&recordings, argc > 1 ? argv[1] : "tests/data");
    printf("%zu series, %zu windows of ten samples, interleaved\n", recordings.n_series, recordings.n);
    measure_codec(&recordings, WR_SEGMENT_RECORDS);
    measure_codec(&recordings, 256);
    measure_codec(&recordings, 64);
    measure_store(&recordings, argc > 2 ? argv[2] : ".");
    recordings_free(&recordings);
    return 0;
}
