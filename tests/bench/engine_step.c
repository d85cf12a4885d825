/* What one reading costs in the engine's step: time per reading and memory per series, without sources, threads and store.
 *
 *   bench_engine_step [readings]
 *
 * Series take turns (round robin, the worst order for caches); each has a reading a second of event time, so a window of one minute closes
 * after sixty; closing and timers are in the figure. The evaluator is a stand-in with one quiet band per series: the compare is in the
 * figure, rules are not. To be built by tests/bench/CMakeLists.txt: needs this file, weir_rules and weir_core. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/engine/engine.h"

#define MAX_WINDOWS 3
#define RUNS 5
#define START_WALL_NS (INT64_C(1700000000) * WR_NS_PER_S)

struct wr_evaluator {
    struct wr_evaluator_band *bands;
    uint32_t n;
};

void wr_evaluator_free(struct wr_evaluator *evaluator) {
    (void)evaluator;
}
uint32_t wr_evaluator_attach(struct wr_evaluator *evaluator, uint32_t series_count, const struct wr_now *now) {
    (void)now;
    for (uint32_t i = evaluator->n; i < series_count; i++)
        evaluator->bands[i] = (struct wr_evaluator_band){.low = -1e6, .high = 1e6};
    evaluator->n = series_count;
    return series_count;
}
struct wr_evaluator_band *wr_evaluator_bands(struct wr_evaluator *evaluator) {
    return evaluator->bands;
}
enum wr_result wr_evaluator_take(struct wr_evaluator *evaluator, struct wr_reading *reading, int64_t arrival_boot_ns,
                                 const struct wr_now *now, struct wr_alarm_out *out) {
    (void)evaluator, (void)reading, (void)arrival_boot_ns, (void)now, (void)out;
    return WR_OK;
}
enum wr_result wr_evaluator_timers(struct wr_evaluator *evaluator, const struct wr_now *now, uint32_t max, struct wr_alarm_out *out,
                                   bool *ret_more) {
    (void)evaluator, (void)now, (void)max, (void)out;
    *ret_more = false;
    return WR_OK;
}
int64_t wr_evaluator_next_timer(const struct wr_evaluator *evaluator) {
    (void)evaluator;
    return WR_NEVER_NS;
}
int64_t wr_evaluator_lateness(const struct wr_evaluator *evaluator, uint32_t series) {
    (void)evaluator, (void)series;
    return -1;
}

struct bench {
    struct wr_series_table *series;
    struct wr_engine *engine;
    struct wr_evaluator evaluator;
    struct wr_window_spec windows[MAX_WINDOWS];
    uint32_t accounts[MAX_WINDOWS + 2];
    struct wr_handover *handover;
    struct wr_batch *batch;
    struct wr_engine_out out;
    uint32_t n_series;
    uint64_t made; /* readings put into batches so far */
};

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static long resident_kb(void) {
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fclose(file);
    return kb;
}

static void must(bool ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "bench_engine_step: %s failed\n", what);
    exit(2);
}

static void make_series(struct bench *bench) {
    must(wr_series_table_new(bench->n_series, &bench->series, NULL) == WR_OK, "series table");
    for (uint32_t i = 0; i < bench->n_series; i++) {
        char name[32];
        int len = snprintf(name, sizeof name, "s%06u", i);
        struct wr_tag tag = {{"sensor", 6}, {name, (size_t)len}};
        char key[WR_SERIES_KEY_BYTES];
        size_t key_len;
        uint32_t id;
        must(wr_series_key_make((struct wr_word){"temp", 4}, (struct wr_word){"value", 5}, &tag, 1, key, &key_len, NULL) == WR_OK, "key");
        must(wr_series_intern(bench->series, key, key_len, &id) == WR_OK, "intern");
    }
}

static void start(struct bench *bench, uint32_t n_series, uint32_t n_windows) {
    static const int64_t every_s[MAX_WINDOWS] = {60, 10, 300};
    *bench = (struct bench){.n_series = n_series};
    make_series(bench);
    for (uint32_t i = 0; i < n_windows; i++) {
        bench->windows[i] = (struct wr_window_spec){.every_ns = every_s[i] * WR_NS_PER_S, .lateness_ns = 5 * WR_NS_PER_S};
        must(wr_selector_parse("*", 1, &bench->windows[i].of, NULL, NULL) == WR_OK, "selector");
    }
    bench->evaluator.bands = calloc(n_series, sizeof *bench->evaluator.bands);
    bench->handover = calloc(1, sizeof *bench->handover);
    bench->batch = calloc(1, sizeof *bench->batch);
    must(bench->evaluator.bands && bench->handover && bench->batch, "memory");
    const struct wr_engine_options options = {.series = bench->series,
                                              .max_series = n_series,
                                              .n_sources = 1,
                                              .windows = bench->windows,
                                              .n_windows = n_windows,
                                              .accounts = bench->accounts,
                                              .evaluator = &bench->evaluator};
    must(wr_engine_new(&options, &bench->engine, NULL) == WR_OK, "engine");
    bench->out.handover = bench->handover;
}

static void stop(struct bench *bench) {
    wr_engine_free(bench->engine);
    wr_series_table_free(bench->series);
    free(bench->evaluator.bands);
    free(bench->handover);
    free(bench->batch);
}

/* One round of all series is a second of event time. */
static void fill(struct bench *bench) {
    struct wr_batch *batch = bench->batch;
    batch->n = WR_BATCH_READINGS;
    batch->wall_trusted = true;
    uint64_t per_series_ns = (uint64_t)WR_NS_PER_S / bench->n_series;
    for (uint32_t i = 0; i < batch->n; i++, bench->made++) {
        uint64_t series = bench->made % bench->n_series;
        uint64_t round = bench->made / bench->n_series;
        int64_t event_ns = START_WALL_NS + (int64_t)(round * (uint64_t)WR_NS_PER_S + series * per_series_ns);
        batch->readings[i] = (struct wr_reading){.event_ns = event_ns,
                                                 .value.f = (double)(180 + (series + round) % 100) / 10,
                                                 .series = (uint32_t)series,
                                                 .type = WR_TYPE_FLOAT,
                                                 .decimals = 1};
    }
    batch->arrival_boot_ns = batch->readings[batch->n - 1].event_ns - START_WALL_NS + WR_NS_PER_S;
    batch->wall_offset_ns = START_WALL_NS - WR_NS_PER_S;
}

/* Nanoseconds of one batch in the engine. */
static double step(struct bench *bench) {
    fill(bench);
    const struct wr_now now = {.boot_ns = bench->batch->arrival_boot_ns,
                               .wall_ns = bench->batch->arrival_boot_ns + bench->batch->wall_offset_ns,
                               .wall_trusted = true};
    double before = cpu_ns();
    for (uint32_t from = 0; from < bench->batch->n;) {
        from += wr_engine_take(bench->engine, bench->batch, from, &now, &bench->out);
        if (bench->handover->n == WR_HANDOVER_AGGREGATES)
            bench->handover->n = 0;
    }
    while (wr_engine_timers(bench->engine, &now, 256, &bench->out))
        bench->handover->n = 0;
    return cpu_ns() - before;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(uint32_t n_series, uint32_t n_windows, uint64_t readings) {
    struct bench bench;
    long before_kb = resident_kb();
    start(&bench, n_series, n_windows);
    long table_kb = resident_kb() - before_kb;
    while (bench.made < n_series) /* each series once: streams and states are made */
        (void)step(&bench);
    double clock_ns = cpu_ns();
    for (int i = 0; i < 1000; i++)
        (void)cpu_ns();
    clock_ns = (cpu_ns() - clock_ns) / 1000;
    double ns[RUNS];
    for (int run = 0; run < RUNS; run++) {
        double spent = 0;
        uint64_t batches = readings / WR_BATCH_READINGS;
        for (uint64_t i = 0; i < batches; i++)
            spent += step(&bench) - clock_ns;
        ns[run] = spent / (double)(batches * WR_BATCH_READINGS);
    }
    qsort(ns, RUNS, sizeof *ns, ascending);
    struct wr_engine_stats stats;
    wr_engine_stats(bench.engine, &stats);
    printf("%8u %8u %10.1f %10.1f %10.1f %14.1f %14.1f %12llu\n", n_series, n_windows, ns[RUNS / 2], ns[0], ns[RUNS - 1],
           (double)stats.bytes / n_series, (double)table_kb * 1024 / n_series, (unsigned long long)stats.aggregates);
    stop(&bench);
}

int main(int argc, char **argv) {
    uint64_t readings = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    static const uint32_t series[] = {1, 1000, 10000, 100000};
    static const uint32_t windows[] = {0, 1, 3};
    printf("%8s %8s %10s %10s %10s %14s %14s %12s\n", "series", "windows", "ns/reading", "min", "max", "engine B/ser.", "others B/ser.",
           "aggregates");
    for (size_t s = 0; s < sizeof series / sizeof *series; s++)
        for (size_t w = 0; w < sizeof windows / sizeof *windows; w++)
            measure(series[s], windows[w], readings);
    return 0;
}
