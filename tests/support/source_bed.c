#include "tests/support/source_bed.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/sources/line_source.h"
#include "core/log.h"
#include "core/record_json.h"
#include "tests/support/client.h"
#include "tests/support/failing.h"

int64_t wr_bed_in_s(int64_t seconds) {
    return wr_clock_boot_ns(wr_clock_real()) + seconds * WR_NS_PER_S;
}

void wr_bed_init(struct wr_bed *bed, enum wr_source_kind kind) {
    (void)signal(SIGPIPE, SIG_IGN);
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, 2);
    memset(bed, 0, sizeof *bed);
    bed->limits = (struct wr_config_limits){.max_series = 1000,
                                            .max_symbols = 100,
                                            .batches = 4,
                                            .max_connections = 100,
                                            .max_line_bytes = 65536,
                                            .partial_lines_bytes = 1 << 20};
    bed->config = (struct wr_config_source){.name = (char *)"test", .kind = (int)kind, .precision = WR_PRECISION_NS};
    bed->config.replay.csv = &bed->csv;
    bed->config.http.max_body_bytes = 1 << 20;
    bed->config.http.bodies_bytes = 4 << 20;
    wr_http_gate_init(&bed->gate);
    bed->config.replay.max_gap_ns = 3600 * WR_NS_PER_S;
    bed->address = (struct wr_address){.text = (char *)"tcp://127.0.0.1:0", .kind = WR_ADDRESS_TCP, .host = (char *)"127.0.0.1"};
    bed->config.line.addresses = &bed->address;
    bed->config.line.n_listen = 1;
    wr_buf_init(&bed->text, 0);
}

static void start_workers(struct wr_bed *bed) {
    struct wr_error err = {0};
    const struct wr_pool_options options = {.name = "bed", .rules.threads_max = 4, .queue = 8, .policy = WR_CHANNEL_REJECT};
    assert_int_equal(wr_pool_new(&options, &bed->workers, &err), WR_OK);
    assert_int_equal(wr_scheduler_loop_new("bed", bed->workers, &bed->scheduler, &err), WR_OK);
    bed->env.workers = bed->workers;
    bed->env.scheduler = bed->scheduler;
}

static void stop_workers(struct wr_bed *bed) {
    struct wr_error err = {0};
    assert_int_equal(wr_scheduler_loop_stop(bed->scheduler, wr_bed_in_s(10)), WR_OK);
    assert_int_equal(wr_pool_stop(bed->workers, 0, wr_bed_in_s(10), &err), WR_OK);
    wr_scheduler_loop_free(bed->scheduler);
    wr_pool_free(bed->workers);
}

void wr_bed_create(struct wr_bed *bed) {
    struct wr_error err = {0};
    assert_int_equal(wr_series_table_new(bed->limits.max_series, &bed->series, &err), WR_OK);
    assert_int_equal(wr_symbol_table_new(bed->limits.max_symbols, &bed->symbols, &err), WR_OK);
    assert_int_equal(wr_batch_pool_init(&bed->pool, bed->limits.batches, 0, &err), WR_OK);
    const struct wr_channel_options options = {
        .name = "test", .capacity = bed->limits.batches, .element_bytes = sizeof(struct wr_batch *), .policy = WR_CHANNEL_REJECT};
    assert_int_equal(wr_channel_new(&options, &bed->to_engine, &err), WR_OK);
    bed->env = (struct wr_source_env){.config = &bed->config,
                                      .limits = &bed->limits,
                                      .series = bed->series,
                                      .symbols = bed->symbols,
                                      .clock = bed->clock ? bed->clock : wr_clock_real(),
                                      .pool = &bed->pool,
                                      .to_engine = bed->to_engine,
                                      .counters = &bed->counters,
                                      .http = &bed->gate};
    if (bed->config.kind == WR_SOURCE_EXEC || bed->config.kind == WR_SOURCE_SYSTEM)
        start_workers(bed);
    if (wr_source_create(&bed->env, &bed->source, &err) != WR_OK)
        fail_msg("create: %s", err.text);
}

void wr_bed_start(struct wr_bed *bed) {
    struct wr_error err = {0};
    wr_bed_create(bed);
    if (wr_source_start(bed->source, &err) != WR_OK)
        fail_msg("start: %s", err.text);
}

void wr_bed_start_without_memory(struct wr_bed *bed) {
    wr_bed_create(bed);
    wr_source_free(bed->source);
    bed->source = NULL;
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_source_create(&bed->env, &bed->source, &err);
        if (result == WR_OK) {
            result = wr_source_start(bed->source, &err);
            if (result == WR_OK)
                assert_int_equal(wr_source_stop(bed->source, wr_bed_in_s(5)), WR_OK);
            wr_source_free(bed->source);
        }
        bed->source = NULL;
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (!hit)
            break;
        assert_true(result == WR_OK || err.text[0] != '\0');
    }
}

int wr_bed_dial(const struct wr_bed *bed) {
    return wr_test_dial(wr_line_source_port(bed->source, 0));
}

void wr_bed_stop(struct wr_bed *bed) {
    assert_int_equal(wr_source_stop(bed->source, wr_bed_in_s(10)), WR_OK);
}

static void print(struct wr_bed *bed, const struct wr_reading *reading) {
    const struct wr_series *series = wr_series_get(bed->series, reading->series);
    struct wr_json json;
    size_t len = 0;
    const char *text = reading->type == WR_TYPE_SYMBOL ? wr_symbol_text(bed->symbols, reading->value.symbol, &len) : NULL;
    wr_json_begin(&json, &bed->text);
    wr_record_reading_json(&json, series->key, series->key_len, reading, text, len);
    assert_int_equal(wr_json_end(&json), WR_OK);
    assert_int_equal(wr_buf_text(&bed->text, "\n"), WR_OK);
}

static uint64_t take_batch(struct wr_bed *bed, struct wr_batch *batch) {
    const uint32_t n = batch->n;
    for (uint32_t i = 0; i < n; i++) {
        if (bed->print)
            print(bed, &batch->readings[i]);
        bed->value_sum += (int64_t)wr_reading_number((enum wr_type)batch->readings[i].type, batch->readings[i].value);
    }
    wr_batch_return(batch);
    bed->batches++;
    bed->taken += n;
    return n;
}

uint64_t wr_bed_take(struct wr_bed *bed) {
    uint64_t readings = 0;
    struct wr_batch *batch;
    while (wr_channel_try_recv(bed->to_engine, &batch) == WR_OK)
        readings += take_batch(bed, batch);
    return readings;
}

void wr_bed_take_until(struct wr_bed *bed, uint64_t readings) {
    while (bed->taken < readings) {
        struct wr_batch *batch;
        if (wr_channel_recv(bed->to_engine, &batch, wr_bed_in_s(10)) != WR_OK)
            fail_msg("%llu of %llu readings came", (unsigned long long)bed->taken, (unsigned long long)readings);
        take_batch(bed, batch);
    }
}

static void *engine(void *user) {
    struct wr_bed *bed = user;
    struct wr_batch *batch;
    while (wr_channel_recv(bed->to_engine, &batch, WR_NEVER_NS) == WR_OK)
        take_batch(bed, batch);
    return NULL;
}

void wr_bed_engine_start(struct wr_bed *bed) {
    assert_int_equal(pthread_create(&bed->engine, NULL, engine, bed), 0);
}

void wr_bed_wait(const _Atomic uint64_t *counter, uint64_t value) {
    int64_t deadline = wr_bed_in_s(10);
    for (uint64_t seen = *counter, before = seen; seen < value; before = seen, seen = *counter) {
        if (seen != before)
            deadline = wr_bed_in_s(10);
        if (wr_clock_boot_ns(wr_clock_real()) > deadline)
            fail_msg("a counter stands at %llu instead of %llu", (unsigned long long)seen, (unsigned long long)value);
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

void wr_bed_wait_taken(struct wr_bed *bed, uint64_t readings) {
    wr_bed_wait(&bed->taken, readings);
}

uint64_t wr_bed_count(const struct wr_bed *bed, enum wr_book book) {
    return wr_intake_read(&bed->counters, book);
}

void wr_bed_fini(struct wr_bed *bed) {
    wr_failing_off();
    wr_source_free(bed->source);
    if (bed->workers)
        stop_workers(bed);
    if (bed->to_engine) {
        wr_channel_close(bed->to_engine);
        if (bed->engine)
            pthread_join(bed->engine, NULL);
        wr_bed_take(bed);
        wr_channel_free(bed->to_engine);
        wr_batch_pool_fini(&bed->pool);
    }
    wr_series_table_free(bed->series);
    wr_symbol_table_free(bed->symbols);
    wr_http_gate_fini(&bed->gate);
    wr_buf_fini(&bed->text);
    memset(bed, 0, sizeof *bed);
}
