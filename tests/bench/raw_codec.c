/* The codec of raw readings: bits a reading, and how fast, on the recordings (each file by itself, then all of them mixed) and on streams as gateways
 * have them. One line of JSON each.
 *
 *   bench_raw_codec [RECORDINGS]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/kept.h"
#include "store/raw_codec.h"
#include "tests/bench/recordings.h"

#define SERIES_MAX 2048
#define READINGS_MAX (4U << 20)
#define T0_NS (INT64_C(1770000000) * 1000000000)

static struct wr_series_table *table;
static struct wr_reading *readings; /* of the stream at hand */
static size_t n_readings;
static struct wr_reading *samples; /* of the recordings, file by file */
static size_t n_samples;
static uint64_t dice = 88172645463325252U;

static void must(enum wr_result result) {
    if (result == WR_OK)
        return;
    fprintf(stderr, "%s\n", wr_result_name(result));
    exit(1);
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void measure(const char *name, size_t per_segment) {
    struct wr_raw_encoder *encoder;
    struct wr_raw_decoder *decoder;
    struct wr_error err = {0};
    size_t bytes = 0;
    size_t decoded = 0;
    double encoding = 0;
    double decoding = 0;
    must(wr_raw_encoder_new(&encoder));
    must(wr_raw_decoder_new(&decoder));
    for (size_t at = 0; at < n_readings; at += per_segment) {
        struct wr_codec_header header = {.seq = 1};
        struct wr_raw_reading reading;
        const uint8_t *body;
        size_t len;
        const double start = cpu_seconds();
        must(wr_raw_encode(encoder, &header, readings + at, n_readings - at < per_segment ? n_readings - at : per_segment, table, NULL,
                           &body, &len));
        const double middle = cpu_seconds();
        must(wr_raw_decode_begin(decoder, body, len, &header, &err));
        while (wr_raw_decode(decoder, &reading, &err) == WR_OK)
            decoded++;
        encoding += middle - start;
        decoding += cpu_seconds() - middle;
        bytes += len;
    }
    if (decoded != n_readings)
        exit(1);
    printf("{\"stream\": \"%s\", \"per_segment\": %zu, \"readings\": %zu, \"bits\": %.2f, \"encode_per_second\": %.0f, "
           "\"decode_per_second\": %.0f}\n",
           name, per_segment, n_readings, 8.0 * (double)bytes / (double)n_readings, (double)n_readings / encoding,
           (double)n_readings / decoding);
    wr_raw_encoder_free(encoder);
    wr_raw_decoder_free(decoder);
}

/* -- recordings ---------------------------------------------------------------------------------------------------------------------------- */

static void on_sample(const char *key, size_t key_len, int64_t time_ns, double value, uint8_t decimals) {
    uint32_t id;
    must(wr_series_intern(table, key, key_len, &id));
    samples[n_samples++] =
        (struct wr_reading){.event_ns = time_ns, .value.f = value, .series = id, .type = WR_TYPE_FLOAT, .decimals = decimals};
}

static int by_time(const void *a, const void *b) {
    const struct wr_reading *one = a;
    const struct wr_reading *other = b;
    if (one->event_ns != other->event_ns)
        return one->event_ns < other->event_ns ? -1 : 1;
    return one->series < other->series ? -1 : one->series > other->series;
}

static const char *file_of(const struct wr_reading *reading) {
    return wr_series_measurement(wr_series_get(table, reading->series)->key);
}

static void measure_recordings(const char *dir) {
    struct recordings recordings;
    samples = malloc(READINGS_MAX * sizeof *samples);
    if (!samples)
        exit(1);
    recordings_sample = on_sample;
    recordings_read(&recordings, dir);
    for (size_t at = 0; at < n_samples;) {
        const char *name = file_of(&samples[at]);
        for (n_readings = 0; at < n_samples && strcmp(file_of(&samples[at]), name) == 0; at++)
            readings[n_readings++] = samples[at];
        measure(name, WR_SEGMENT_READINGS);
    }
    memcpy(readings, samples, n_samples * sizeof *samples);
    n_readings = n_samples;
    qsort(readings, n_readings, sizeof *readings, by_time);
    measure("all recordings, in the order of time", WR_SEGMENT_READINGS);
    recordings_free(&recordings);
    free(samples);
}

/* -- streams ------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t random_u64(void) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

static int64_t below(uint64_t n) {
    return (int64_t)(random_u64() % n);
}

enum times { WHOLE, JITTER_MS, SHARED_ARRIVAL, OWN_ARRIVAL, JITTER_NS };
enum values { WALK, NOISY, DOUBLES };

/* n series at one reading a period each. */
static void measure_stream(const char *name, uint32_t n, int64_t period_ns, enum times times, enum values values) {
    static uint32_t ids[SERIES_MAX];
    static int64_t walk[SERIES_MAX];
    static int64_t at_ns[SERIES_MAX];
    for (uint32_t i = 0; i < n; i++) {
        char key[64];
        const size_t len = (size_t)snprintf(key, sizeof key, "temp%cvalue%cdevice%cd%04u", 0, 0, 0, i) + 1;
        must(wr_series_intern(table, key, len, &ids[i]));
        walk[i] = 2000 + below(500);
        at_ns[i] = T0_NS + (times == WHOLE ? 0 : below((uint64_t)period_ns / 1000000) * 1000000);
    }
    n_readings = 0;
    for (int64_t round = 0; n_readings + n <= 400000; round++) {
        const int64_t arrival_ns = T0_NS + round * period_ns + below(2000000) / WR_KEPT_ARRIVAL_NS * WR_KEPT_ARRIVAL_NS;
        for (uint32_t i = 0; i < n; i++) {
            const int64_t own_ns = at_ns[i] + round * period_ns;
            const int64_t event_ns = times == WHOLE            ? own_ns
                                     : times == JITTER_MS      ? own_ns + below(5) * 1000000
                                     : times == SHARED_ARRIVAL ? arrival_ns
                                     : times == OWN_ARRIVAL    ? own_ns + below(2000000) / WR_KEPT_ARRIVAL_NS * WR_KEPT_ARRIVAL_NS
                                                               : own_ns + below(2000000);
            walk[i] += values == WALK ? below(5) - 2 : 0;
            const double value = values == WALK    ? (double)walk[i] / 100
                                 : values == NOISY ? (double)(walk[i] + below(100) - 50) / 100
                                                   : sin((double)round / 50 + i) * 17.3;
            readings[n_readings++] = (struct wr_reading){.event_ns = event_ns,
                                                         .value.f = value,
                                                         .series = ids[i],
                                                         .type = WR_TYPE_FLOAT,
                                                         .decimals = values == DOUBLES ? WR_DECIMALS_UNKNOWN : 2};
        }
    }
    measure(name, WR_SEGMENT_READINGS);
}

int main(int argc, char **argv) {
    readings = malloc(READINGS_MAX * sizeof *readings);
    if (!readings || wr_series_table_new(4 * SERIES_MAX, &table, NULL) != WR_OK)
        return 1;
    measure_recordings(argc > 1 ? argv[1] : "tests/data");
    measure_stream("100 sensors each second, whole seconds, 2 decimals", 100, WR_NS_PER_S, WHOLE, WALK);
    measure_stream("100 sensors each second, stamps in ms, 2 decimals", 100, WR_NS_PER_S, JITTER_MS, WALK);
    measure_stream("100 sensors each second, one arrival for all, 2 decimals", 100, WR_NS_PER_S, SHARED_ARRIVAL, WALK);
    measure_stream("100 sensors each second, each its arrival, 2 decimals", 100, WR_NS_PER_S, OWN_ARRIVAL, WALK);
    measure_stream("100 sensors each second, stamps in ns", 100, WR_NS_PER_S, JITTER_NS, WALK);
    measure_stream("1000 sensors each second, stamps in ms, 2 decimals", 1000, WR_NS_PER_S, JITTER_MS, WALK);
    measure_stream("10 sensors each 10 ms, stamps in ms, noise of 100 steps", 10, 10 * WR_NS_PER_MS, WHOLE, NOISY);
    measure_stream("10 sensors each 10 ms, doubles of a computation", 10, 10 * WR_NS_PER_MS, WHOLE, DOUBLES);
    wr_series_table_free(table);
    free(readings);
    return 0;
}
