/* The store on real segments: the recordings below tests/data as windows of ten samples, again and again, each copy ten years later.
 *
 *   bench_outbox fill DIRECTORY DATA COPIES BATCH BUDGET_MB    append; BATCH aggregates a commit
 *   bench_outbox cycle DIRECTORY DATA COPIES BATCH BUDGET_MB   append, offer and acknowledge each segment, as the uplink does
 *   bench_outbox steady DIRECTORY DATA COPIES BATCH BUDGET_MB  the same, in a store that is full: history is evicted for what comes
 *   bench_outbox noise DIRECTORY DATA MEGABYTES BATCH BUDGET_MB   append what does not compress, until the bodies have so many bytes
 *   bench_outbox fleet DIRECTORY DATA AGGREGATES BATCH BUDGET_MB   append windows of a minute of 1000 series, temp{room=R0} to temp{room=R999}, minute by minute
 *                                                             from 2026-03-02T00:00Z on, with the values of the recordings
 *
 * The store's clock goes on by max_loss with each batch, as it does where so much comes in that time.
 * After the store is open (and full) it prints "ready" and waits for a line on stdin, so that whoever measures the disk can look at its counters. Then:
 * aggregates, readings, seconds, CPU seconds, segments, bytes of bodies, of pages written, and what the kernel counted as written (-1: does not say).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/store.h"
#include "tests/bench/recordings.h"

#define MAX_LOSS_NS (15 * WR_NS_PER_S)
#define COPY_NS (INT64_C(3653) * 24 * 3600 * WR_NS_PER_S)

#define FLEET_NS (INT64_C(1772409600) * WR_NS_PER_S) /* 2026-03-02T00:00Z */

struct outbox {
    struct wr_store *store;
    struct wr_handover handover;
    struct wr_account_count count;
    uint32_t batch;       /* aggregates a commit */
    uint32_t uncommitted; /* aggregates since the last commit */
    struct wr_now now;
    bool acknowledge;
    int64_t acknowledged; /* seq */
    uint64_t aggregates;
    uint64_t readings;
};

static void must(enum wr_result result, const char *what, const struct wr_error *err) {
    if (result == WR_OK)
        return;
    fprintf(stderr, "bench_outbox: %s: %s: %s\n", what, wr_result_name(result), err ? err->text : "");
    exit(2);
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Bytes that this process caused to be sent to the storage layer. */
static long long written_bytes(void) {
    char line[128];
    long long bytes = -1;
    FILE *file = fopen("/proc/self/io", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "write_bytes:", 12) == 0)
            bytes = strtoll(line + 12, NULL, 10);
    if (file)
        fclose(file);
    return bytes;
}

static void open_store(struct outbox *outbox, const char *directory, uint64_t budget_mb) {
    struct wr_error err = {0};
    struct wr_store_report report;
    const struct wr_account account = {"recordings", "ten"};
    const struct wr_store_options options = {.budget_bytes = budget_mb << 20, .max_loss_ns = MAX_LOSS_NS, .node = "bench"};
    struct wr_symbol_table *symbols;
    outbox->now = wr_clock_now(wr_clock_real());
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        perror(directory);
    must(wr_symbol_table_new(1, &symbols, &err), "symbols", &err);
    must(wr_store_open(directory, &options, &outbox->now, symbols, &outbox->store, &report, &err), "open", &err);
    must(wr_store_accounts(outbox->store, &account, 1, true, &err), "accounts", &err);
    outbox->acknowledged = wr_store_newest(outbox->store, WR_LANE_WINDOWS);
}

/* What the uplink does with each new segment: says that it will send it, has it acknowledged. */
static void acknowledge(struct outbox *outbox) {
    struct wr_error err = {0};
    for (int64_t newest = wr_store_newest(outbox->store, WR_LANE_WINDOWS); outbox->acknowledged < newest;) {
        int64_t seq = ++outbox->acknowledged;
        must(wr_store_offer(outbox->store, WR_LANE_WINDOWS, seq, &outbox->now, &err), "offer", &err);
        must(wr_store_ack(outbox->store, WR_LANE_WINDOWS, seq, seq, &outbox->now, &err), "acknowledge", &err);
    }
}

static void hand_over(struct outbox *outbox) {
    struct wr_error err = {0};
    uint32_t taken;
    outbox->count = (struct wr_account_count){0, WR_BOOK_TAKEN, outbox->readings};
    outbox->handover.counts = &outbox->count;
    outbox->handover.n_counts = 1;
    must(wr_store_take(outbox->store, &outbox->handover, 0, &outbox->now, &taken, &err), "take", &err);
    outbox->uncommitted += outbox->handover.n;
    outbox->handover.n = 0;
    if (outbox->uncommitted >= outbox->batch) {
        outbox->now.boot_ns += MAX_LOSS_NS;
        outbox->now.wall_ns += MAX_LOSS_NS;
        must(wr_store_tick(outbox->store, &outbox->now, &err), "commit", &err);
        outbox->uncommitted = 0;
    }
    if (outbox->acknowledge)
        acknowledge(outbox);
}

static void put(struct outbox *outbox, const struct wr_aggregate *aggregate) {
    uint32_t room = outbox->batch < WR_HANDOVER_AGGREGATES ? outbox->batch : WR_HANDOVER_AGGREGATES;
    outbox->handover.aggregates[outbox->handover.n++] = *aggregate;
    outbox->aggregates++;
    outbox->readings += wr_aggregate_readings(aggregate);
    if (outbox->handover.n == room)
        hand_over(outbox);
}

static void put_recordings(struct outbox *outbox, const struct recordings *recordings, uint64_t copies) {
    for (uint64_t copy = 0; copy < copies; copy++)
        for (size_t i = 0; i < recordings->n; i++) {
            struct wr_aggregate aggregate = recordings->aggregates[i];
            aggregate.start_ns += (int64_t)copy * COPY_NS;
            put(outbox, &aggregate);
        }
}

/* Until what comes needs room that something has. */
static void fill_up(struct outbox *outbox, const struct recordings *recordings) {
    const struct wr_store_stats *stats = wr_store_stats(outbox->store);
    struct wr_error err = {0};
    while (stats->evicted_segments < 64)
        put_recordings(outbox, recordings, 1);
    hand_over(outbox);
    must(wr_store_flush(outbox->store, &outbox->now, &err), "flush", &err);
    outbox->uncommitted = 0;
    outbox->aggregates = 0;
}

static double noise(void) {
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 1e-3;
}

/* Values of full length, which no codec makes smaller. */
static void put_noise(struct outbox *outbox, const struct recordings *recordings, uint64_t megabytes) {
    const struct wr_store_stats *stats = wr_store_stats(outbox->store);
    for (uint64_t i = 0; stats->body_bytes < megabytes << 20; i++) {
        struct wr_aggregate aggregate = recordings->aggregates[i % recordings->n];
        aggregate.start_ns += (int64_t)(i / recordings->n) * COPY_NS;
        aggregate.sum = wr_sum_zero();
        aggregate.min.f = noise();
        aggregate.max.f = aggregate.min.f + noise();
        aggregate.first.f = noise();
        aggregate.last.f = noise();
        aggregate.decimals = WR_DECIMALS_UNKNOWN;
        wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, (union wr_value){.f = noise()}, WR_DECIMALS_UNKNOWN);
        put(outbox, &aggregate);
    }
}

static void put_fleet(struct outbox *outbox, const struct recordings *recordings, uint64_t aggregates) {
    static char keys[1000][32];
    static uint16_t key_lens[1000];
    for (unsigned i = 0; i < 1000; i++)
        key_lens[i] = (uint16_t)(snprintf(keys[i], sizeof keys[i], "temp%cvalue%croom%cR%u", 0, 0, 0, i) + 1);
    for (uint64_t i = 0; i < aggregates; i++) {
        struct wr_aggregate aggregate = recordings->aggregates[i % recordings->n];
        aggregate.key = keys[i % 1000];
        aggregate.key_len = key_lens[i % 1000];
        aggregate.window_ns = 60 * WR_NS_PER_S;
        aggregate.start_ns = FLEET_NS + (int64_t)(i / 1000) * aggregate.window_ns;
        put(outbox, &aggregate);
    }
}

int main(int argc, char **argv) {
    static struct outbox outbox;
    struct recordings recordings;
    if (argc != 7) {
        fprintf(stderr, "usage: bench_outbox fill|cycle|steady|noise|fleet DIRECTORY DATA COPIES BATCH BUDGET_MB\n");
        return 2;
    }
    uint64_t amount = strtoull(argv[4], NULL, 10);
    outbox.batch = (uint32_t)strtoul(argv[5], NULL, 10);
    outbox.acknowledge = strcmp(argv[1], "cycle") == 0 || strcmp(argv[1], "steady") == 0;
    recordings_read(&recordings, argv[3]);
    open_store(&outbox, argv[2], strtoull(argv[6], NULL, 10));
    if (strcmp(argv[1], "steady") == 0)
        fill_up(&outbox, &recordings);
    const struct wr_store_stats *stats = wr_store_stats(outbox.store);
    const uint64_t segments_before = stats->segments, bodies_before = stats->body_bytes, pages_before = stats->written_bytes,
                   kept_before = stats->aggregates, readings_before = outbox.readings;
    printf("ready\n");
    fflush(stdout);
    (void)getchar();
    double begin = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    long long written = written_bytes();
    if (strcmp(argv[1], "noise") == 0)
        put_noise(&outbox, &recordings, amount);
    else if (strcmp(argv[1], "fleet") == 0)
        put_fleet(&outbox, &recordings, amount);
    else
        put_recordings(&outbox, &recordings, amount);
    hand_over(&outbox);
    struct wr_error err = {0};
    must(wr_store_flush(outbox.store, &outbox.now, &err), "flush", &err);
    begin = seconds(CLOCK_MONOTONIC) - begin;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    uint64_t segments = stats->segments - segments_before, bodies = stats->body_bytes - bodies_before,
             pages = stats->written_bytes - pages_before, kept = stats->aggregates - kept_before;
    must(wr_store_close(outbox.store, &outbox.now, &err), "close", &err);
    if (written >= 0)
        written = written_bytes() - written;
    printf("aggregates %" PRIu64 " readings %" PRIu64 " seconds %.4f cpu_seconds %.4f segments %" PRIu64 " body_bytes %" PRIu64
           " page_bytes %" PRIu64 " written_bytes %lld\n",
           outbox.aggregates, outbox.readings - readings_before, begin, cpu, segments, bodies, pages, written);
    recordings_free(&recordings);
    return kept == outbox.aggregates ? 0 : 1;
}
