/* Kept raw readings against a model: a list of what was put. Whatever happens (restarts, a disk that refuses, torn ends, time), what can be read is the newest part of that
 * list, no more than the limit lies on the disk, and every reading is on disk, expired or dropped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/raw_codec.h"
#include "store/raw_files.h"
#include "store/raw_log.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define STEPS 1200
#define HOUR_NS (3600 * WR_NS_PER_S)
#define AGE_NS (24 * HOUR_NS)

static struct wr_random dice;
static char directory[64];
static struct wr_series_table *table;
static uint32_t ids[100];
static struct wr_reading readings[WR_SEGMENT_READINGS];

/* What was put, and what became of it over all lives of the log. */
static struct {
    struct wr_raw_log *log;
    struct wr_now now;
    struct {
        size_t n;
        int64_t t0_ns;
        int64_t put_wall_ns;
    } put[STEPS];
    size_t n_put;
    uint64_t readings;
    uint64_t gone; /* expired and dropped in former lives */
    int64_t next_ns;
} model;

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

static void begin(void) {
    const struct wr_raw_log_options options = {.directory = directory, .bytes_max = WR_RAW_LOG_BYTES_MIN, .series = table};
    assert_int_equal(wr_raw_log_new(&options, &model.log, NULL), WR_OK);
    wr_raw_log_expire(model.log, AGE_NS, &model.now); /* it looks what there is */
}

static uint64_t gone(void) {
    const struct wr_raw_log_stats *stats = wr_raw_log_stats(model.log);
    return stats->expired + stats->dropped;
}

static void end(void) {
    model.gone += gone();
    wr_raw_log_free(model.log);
}

static void put(void) {
    const size_t n = 1 + below(below(4) ? 3000 : 100);
    const uint32_t series = 1 + below(100);
    for (size_t i = 0; i < n; i++)
        readings[i] = (struct wr_reading){.event_ns = model.next_ns++,
                                          .series = ids[i % series],
                                          .type = WR_TYPE_FLOAT,
                                          .decimals = WR_DECIMALS_UNKNOWN,
                                          .value.u = wr_random_u64(&dice)};
    struct wr_error err = {0};
    const uint64_t missed = wr_raw_log_stats(model.log)->missed;
    const bool fails = below(6) == 0;
    if (fails)
        wr_failing_io(0, below(2) ? EIO : EFBIG);
    const enum wr_result result = wr_raw_log_put(model.log, readings, n, false, AGE_NS, &model.now, &err);
    wr_failing_off();
    assert_int_equal(result, fails ? WR_IO : WR_OK);
    assert_int_equal(wr_raw_log_stats(model.log)->missed - missed, fails ? n : 0);
    if (fails)
        return;
    model.put[model.n_put].n = n;
    model.put[model.n_put].t0_ns = readings[0].event_ns;
    model.put[model.n_put++].put_wall_ns = model.now.wall_ns;
    model.readings += n;
}

/* A power cut in the middle of a write. */
static void tear(void) {
    uint32_t numbers[WR_RAW_FILES];
    char path[WR_RAW_PATH_BYTES];
    struct stat status;
    end();
    const uint32_t n = wr_raw_files_list(directory, numbers);
    if (n > 0 && wr_raw_files_path(path, directory, numbers[n - 1]) && stat(path, &status) == 0) {
        FILE *file = fopen(path, "a");
        assert_non_null(file);
        fwrite("WEIR\1\4", 1, 1 + below(6), file);
        fclose(file);
    }
    begin();
}

static void check_body(const struct wr_segment_head *head) {
    static struct wr_raw_decoder *decoder;
    struct wr_segment segment;
    struct wr_codec_header header;
    struct wr_raw_reading got;
    struct wr_error err = {0};
    uint32_t n = 0;
    if (!decoder)
        assert_int_equal(wr_raw_decoder_new(&decoder), WR_OK);
    assert_int_equal(wr_raw_files_body(directory, head->seq, &segment, &err), WR_OK);
    assert_int_equal(wr_raw_decode_begin(decoder, segment.body, segment.body_len, &header, &err), WR_OK);
    while (wr_raw_decode(decoder, &got, &err) == WR_OK)
        n++;
    assert_int_equal(n, head->n);
    wr_segment_free(&segment);
}

static void check(void) {
    struct wr_history_walk walk = {.lane = WR_LANE_RAW, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    static struct wr_segment_head all[STEPS];
    size_t n = 0;
    uint64_t on_disk = 0;
    uint64_t bytes = 0;
    while (!walk.is_over) {
        struct wr_segment_head heads[WR_HISTORY_HEADS];
        uint32_t some;
        assert_int_equal(wr_raw_files_heads(directory, NULL, &walk, heads, &some, NULL), WR_OK);
        for (uint32_t i = 0; i < some; i++)
            all[n++] = heads[i];
    }
    assert_true(n <= model.n_put);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(all[i].n, model.put[model.n_put - n + i].n);
        assert_true(all[i].t0_ns == model.put[model.n_put - n + i].t0_ns);
        assert_true(i == 0 || all[i].seq > all[i - 1].seq);
        on_disk += all[i].n;
        bytes += all[i].body_bytes;
    }
    assert_true(bytes <= WR_RAW_LOG_BYTES_MIN);
    assert_true(wr_raw_log_stats(model.log)->bytes <= WR_RAW_LOG_BYTES_MIN && wr_raw_log_stats(model.log)->bytes >= bytes);
    assert_true(on_disk + gone() + model.gone == model.readings);
    if (n > 0)
        check_body(&all[below((uint32_t)n)]);
}

static void what_can_be_read_is_the_newest_of_what_was_put(void **state) {
    (void)state;
    model.now = (struct wr_now){.boot_ns = 1, .wall_ns = (int64_t)1770000000 * WR_NS_PER_S, .wall_trusted = true};
    model.next_ns = model.now.wall_ns;
    begin();
    for (int step = 0; step < STEPS; step++) {
        model.now.wall_ns += below(HOUR_NS / 2 / 1000000) * INT64_C(1000000);
        if (below(100) == 0)
            tear();
        else if (below(50) == 0)
            wr_raw_log_expire(model.log, AGE_NS, &model.now);
        else
            put();
        if (step % 20 == 0)
            check();
    }
    check();
    assert_true(wr_raw_log_stats(model.log)->expired + model.gone > 0);
    wr_raw_log_expire(model.log, 0, &model.now);
    assert_true(gone() + model.gone == model.readings);
    assert_int_equal(wr_raw_log_stats(model.log)->bytes, 0);
    end();
}

/* Files go at their age and not before; by a clock that is not trusted none does. */
static void they_go_at_their_age(void **state) {
    (void)state;
    memset(&model, 0, sizeof model);
    model.now = (struct wr_now){.boot_ns = 1, .wall_ns = (int64_t)1770000000 * WR_NS_PER_S, .wall_trusted = true};
    begin();
    for (size_t i = 0; i < 10; i++)
        readings[i] = (struct wr_reading){.event_ns = (int64_t)i, .series = ids[0], .type = WR_TYPE_INT};
    assert_int_equal(wr_raw_log_put(model.log, readings, 10, false, AGE_NS, &model.now, NULL), WR_OK);
    model.now.wall_ns += AGE_NS - 1;
    wr_raw_log_expire(model.log, AGE_NS, &model.now);
    assert_int_equal(gone(), 0);
    model.now.wall_ns += 2;
    model.now.wall_trusted = false;
    wr_raw_log_expire(model.log, AGE_NS, &model.now);
    assert_int_equal(gone(), 0);
    model.now.wall_trusted = true;
    wr_raw_log_expire(model.log, AGE_NS, &model.now);
    assert_int_equal(gone(), 10);
    end();
}

/* What was kept in 1970, before the clock was set, was kept a moment ago; after a restart too. */
static void a_clock_that_is_set_makes_nothing_old(void **state) {
    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        memset(&model, 0, sizeof model);
        model.now = (struct wr_now){.boot_ns = HOUR_NS, .wall_ns = HOUR_NS};
        begin();
        readings[0] = (struct wr_reading){.event_ns = 5, .series = ids[0], .type = WR_TYPE_INT};
        assert_int_equal(wr_raw_log_put(model.log, readings, 1, false, AGE_NS, &model.now, NULL), WR_OK);
        if (restarts) {
            end();
            begin();
        }
        model.now = (struct wr_now){.boot_ns = 2 * HOUR_NS, .wall_ns = (int64_t)1770000000 * WR_NS_PER_S, .wall_trusted = true};
        wr_raw_log_expire(model.log, AGE_NS, &model.now);
        assert_int_equal(gone(), 0);
        model.now.boot_ns += AGE_NS - HOUR_NS / 2 + (restarts ? HOUR_NS : 0);
        model.now.wall_ns += AGE_NS - HOUR_NS / 2 + (restarts ? HOUR_NS : 0);
        wr_raw_log_expire(model.log, AGE_NS, &model.now);
        assert_int_equal(gone(), 1);
        end();
    }
}

static void a_disk_below_its_floor_has_none(void **state) {
    (void)state;
    struct wr_raw_log *log;
    struct wr_error err = {0};
    const struct wr_now now = {.wall_ns = 1};
    const struct wr_raw_log_options options = {
        .directory = directory, .bytes_max = WR_RAW_LOG_BYTES_MIN, .free_floor_bytes = INT64_MAX, .series = table};
    assert_int_equal(wr_raw_log_new(&options, &log, NULL), WR_OK);
    readings[0] = (struct wr_reading){.event_ns = 5, .series = ids[0], .type = WR_TYPE_INT};
    begin();
    assert_int_equal(wr_raw_log_put(model.log, readings, 1, false, AGE_NS, &now, &err), WR_OK); /* it had room before */
    end();
    wr_raw_log_expire(log, AGE_NS, &now);
    assert_int_equal(wr_raw_log_stats(log)->dropped, 1);
    assert_int_equal(wr_raw_log_stats(log)->bytes, 0);
    assert_int_equal(wr_raw_log_put(log, readings, 1, false, AGE_NS, &now, &err), WR_FULL);
    assert_int_equal(wr_raw_log_stats(log)->missed, 1);
    wr_raw_log_free(log);
}

static void any_allocation_may_fail(void **state) {
    (void)state;
    const struct wr_raw_log_options options = {.directory = directory, .bytes_max = WR_RAW_LOG_BYTES_MIN, .series = table};
    const struct wr_now now = {.wall_ns = 1};
    readings[0] = (struct wr_reading){.event_ns = 5, .series = ids[0], .type = WR_TYPE_INT};
    for (long n = 0;; n++) {
        struct wr_raw_log *log;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_raw_log_new(&options, &log, &err);
        if (result == WR_OK) {
            result = wr_raw_log_put(log, readings, 1, false, AGE_NS, &now, &err);
            assert_int_equal(wr_raw_log_stats(log)->missed, result == WR_OK ? 0 : 1);
            wr_raw_log_free(log);
        }
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            return;
    }
}

int main(void) {
    dice = wr_random_begin();
    snprintf(directory, sizeof directory, "/tmp/weir-raw-log-XXXXXX");
    if (!mkdtemp(directory) || wr_series_table_new(1000, &table, NULL) != WR_OK)
        return 1;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char key[32];
        const size_t len = (size_t)snprintf(key, sizeof key, "m%u%cvalue", i, 0) + 1;
        if (wr_series_intern(table, key, len, &ids[i]) != WR_OK)
            return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_can_be_read_is_the_newest_of_what_was_put),
                                       cmocka_unit_test(they_go_at_their_age), cmocka_unit_test(a_clock_that_is_set_makes_nothing_old),
                                       cmocka_unit_test(a_disk_below_its_floor_has_none), cmocka_unit_test(any_allocation_may_fail)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", directory);
    wr_series_table_free(table);
    return system(command) == 0 ? failed : 1; /* NOLINT(cert-env33-c) */
}
