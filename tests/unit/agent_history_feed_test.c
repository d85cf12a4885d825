/* What a store holds as readings for a replay: which points a window is, which windows are taken, and their order. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/replay/history_feed.h"
#include "store/raw_log.h"
#include "tests/support/failing.h"
#include "tests/support/store_fixture.h"

#define BASE_NS (INT64_C(1772000000) * WR_NS_PER_S)

struct bed {
    struct store_fixture store;
    struct wr_history_feed feed;
    struct wr_error err;
    struct wr_buf told;
    int64_t last_ns;
    long room; /* records that the sink takes */
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    store_fixture_init(&bed->store);
    assert_int_equal(store_fixture_open(&bed->store), WR_OK);
    bed->feed = (struct wr_history_feed){.history = wr_history_of_store(bed->store.store), .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    wr_buf_init(&bed->told, 0);
    bed->room = 100000;
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    wr_buf_fini(&bed->told);
    store_fixture_fini(&bed->store);
    free(bed);
    return 0;
}

static struct wr_aggregate window(const char *key, uint16_t len, int64_t at_s, int64_t length_s, double first, double min, double max,
                                  double last) {
    return (struct wr_aggregate){.key = key,
                                 .key_len = len,
                                 .type = WR_TYPE_FLOAT,
                                 .account = length_s > 0,
                                 .decimals = 1,
                                 .start_ns = BASE_NS + at_s * WR_NS_PER_S,
                                 .window_ns = length_s * WR_NS_PER_S,
                                 .n = 4,
                                 .sum = wr_sum_zero(),
                                 .first.f = first,
                                 .min.f = min,
                                 .max.f = max,
                                 .last.f = last};
}
#define TEMP "temp\0value\0room\0A", 18
#define HUMID "humid\0value", 12

static void put(struct bed *bed, struct wr_aggregate aggregate) {
    bed->store.handover.aggregates[bed->store.handover.n++] = aggregate;
}

static void store(struct bed *bed) {
    store_fixture_take(&bed->store);
    assert_int_equal(wr_store_flush(bed->store.store, &bed->store.now, &bed->store.err), WR_OK);
}

/* "A 12.5=20 uncertain": the last word of the series, seconds, value. */
static enum wr_result on_record(void *user, const struct wr_record *record) {
    struct bed *bed = user;
    struct wr_refusal refusal;
    char key[WR_SERIES_KEY_BYTES];
    char text[64];
    size_t len = 0;
    const struct wr_field *field = record->fields;
    assert_int_equal(record->n_fields, 1);
    assert_int_equal(wr_record_key(record, field, key, &len, &refusal), WR_OK);
    assert_true(record->time_ns >= bed->last_ns);
    bed->last_ns = record->time_ns;
    const char *word = key + len - 1;
    while (word > key && word[-1] != '\0')
        word--;
    if (field->type == WR_TYPE_SYMBOL)
        snprintf(text, sizeof text, "%.*s", (int)field->text.len, field->text.text);
    else if (field->type == WR_TYPE_FLOAT)
        snprintf(text, sizeof text, "%g", field->value.f);
    else
        snprintf(text, sizeof text, "%" PRId64, field->value.i);
    if (bed->room-- == 0)
        return WR_FULL;
    return wr_buf_printf(&bed->told, "%s %g=%s%s\n", word, (double)(record->time_ns - BASE_NS) / 1e9, text,
                         field->quality == WR_QUALITY_GOOD  ? ""
                         : field->quality == WR_QUALITY_BAD ? " bad"
                                                            : " uncertain");
}

static enum wr_result feed(struct bed *bed) {
    const struct wr_sink sink = {.user = bed, .record = on_record};
    wr_buf_clear(&bed->told);
    bed->last_ns = INT64_MIN;
    bed->feed.damaged = 0;
    memset(&bed->err, 0, sizeof bed->err);
    return wr_history_feed(&bed->feed, &sink, &bed->err);
}

static void tells(struct bed *bed, const char *wanted) {
    if (feed(bed) != WR_OK)
        fail_msg("%s", bed->err.text);
    assert_string_equal(wr_buf_str(&bed->told), wanted);
}

static void test_a_window_is_up_to_four_readings(void **state) {
    struct bed *bed = *state;
    tells(bed, "");
    put(bed, window(TEMP, 0, 60, 1, 0, 9, 5));   /* rises: the lowest comes first */
    put(bed, window(TEMP, 60, 60, 5, 0, 9, 1));  /* falls */
    put(bed, window(TEMP, 120, 60, 2, 2, 7, 7)); /* nothing but its ends */
    put(bed, window(TEMP, 180, 60, 3, 3, 3, 3));
    store(bed);
    tells(bed, "A 0=1\nA 20=0\nA 40=9\nA 60=5\n"
               "A 60=5\nA 80=9\nA 100=0\nA 120=1\n"
               "A 120=2\nA 180=7\nA 180=3\n");
}

static void test_changes_texts_and_quality(void **state) {
    struct bed *bed = *state;
    uint32_t on, off;
    assert_int_equal(wr_symbol_intern(bed->store.symbols, "on", 2, &on), WR_OK);
    assert_int_equal(wr_symbol_intern(bed->store.symbols, "off", 3, &off), WR_OK);
    struct wr_aggregate change = window(TEMP, 5, 0, 1, 1, 2, 2);
    change.quality = WR_QUALITY_UNCERTAIN;
    put(bed, change);
    struct wr_aggregate text = window("door\0state", 11, 0, 60, 0, 0, 0, 0);
    text.type = WR_TYPE_SYMBOL;
    text.first.u = on;
    text.last.u = off;
    put(bed, text);
    struct wr_aggregate nothing = window(TEMP, 30, 0, 0, 0, 0, 0);
    nothing.n = 0;
    nothing.bad = 3;
    put(bed, nothing);
    struct wr_aggregate whole = window("count\0value", 12, 0, 60, 0, 0, 0, 0);
    whole.type = WR_TYPE_INT;
    whole.first.i = whole.min.i = INT64_MIN;
    whole.last.i = whole.max.i = INT64_MAX;
    put(bed, whole);
    store(bed);
    tells(bed, "value 0=-9223372036854775808\nstate 0=on\nA 5=2 uncertain\nvalue 60=9223372036854775807\nstate 60=off\n");
}

static void test_the_shortest_windows_of_a_series(void **state) {
    struct bed *bed = *state;
    put(bed, window(TEMP, 0, 600, 1, 1, 9, 9));
    put(bed, window(HUMID, 0, 600, 3, 3, 4, 4));
    put(bed, window(TEMP, 0, 60, 1, 1, 2, 2));
    struct wr_aggregate widened = window(TEMP, 60, 120, 5, 5, 6, 6);
    widened.flags = WR_AGGREGATE_WIDENED;
    put(bed, widened);
    store(bed);
    tells(bed, "value 0=3\nA 0=1\nA 60=2\nA 60=5\nA 180=6\nvalue 600=4\n");
}

static void test_in_the_order_of_time_over_slices_and_segments(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 8; i++) { /* windows of 20 minutes reach over slices of 15; segments are out of order */
        const int k = i ^ 1;
        put(bed, window(HUMID, k * 1200, 1200, k, k - 1, k + 10, k + 1));
        for (int m = 0; m < 20; m++)
            put(bed, window(TEMP, k * 1200 + m * 60, 60, m, m, m + 1, m + 1));
        store(bed);
    }
    assert_int_equal(feed(bed), WR_OK); /* the sink looks at the order */
    unsigned n = 0;
    for (const char *at = wr_buf_str(&bed->told); (at = strchr(at, '\n')); at++)
        n++;
    assert_int_equal(n, 8 * (4 + 20 * 2));
    bed->feed.from_ns = BASE_NS + 1200 * WR_NS_PER_S;
    bed->feed.to_ns = BASE_NS + 1260 * WR_NS_PER_S;
    tells(bed, "value 1200=1\nA 1200=0\nA 1260=1\nA 1260=1\nA 1320=2\nvalue 1600=0\nvalue 2000=11\nvalue 2400=2\n");
    bed->room = 2;
    assert_int_equal(feed(bed), WR_FULL);
}

/* Keeps readings of temp{room=A} at these seconds, whose value is the second. */
static void keep(struct bed *bed, const double *seconds, size_t n) {
    struct wr_series_table *table;
    struct wr_raw_log *log;
    struct wr_reading readings[40] = {0};
    const char key[] = "temp\0value\0room\0A";
    uint32_t id;
    assert_int_equal(wr_series_table_new(4, &table, NULL), WR_OK);
    assert_int_equal(wr_series_intern(table, key, sizeof key, &id), WR_OK);
    const struct wr_raw_log_options options = {
        .directory = bed->store.directory, .bytes_max = WR_RAW_LOG_BYTES_MIN, .series = table, .symbols = bed->store.symbols};
    assert_int_equal(wr_raw_log_new(&options, &log, NULL), WR_OK);
    for (size_t i = 0; i < n; i++)
        readings[i] = (struct wr_reading){.event_ns = BASE_NS + (int64_t)(seconds[i] * 1e9),
                                          .value.f = seconds[i],
                                          .series = id,
                                          .type = WR_TYPE_FLOAT,
                                          .quality = seconds[i] == 7 ? WR_QUALITY_BAD : WR_QUALITY_GOOD};
    assert_int_equal(wr_raw_log_put(log, readings, n, false, 3600 * WR_NS_PER_S, &bed->store.now, NULL), WR_OK);
    wr_raw_log_free(log);
    wr_series_table_free(table);
}

static void remove_kept(struct bed *bed) {
    char command[400];
    snprintf(command, sizeof command, "rm -r %s/raw", bed->store.directory);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

/* Windows of four readings: of the first all are there, of the second three, of the third all, the third begins in one slice and ends in the next. */
static void test_raw_readings_stand_for_windows_that_they_fill(void **state) {
    struct bed *bed = *state;
    put(bed, window(TEMP, 0, 10, 1, 0, 9, 5));
    put(bed, window(TEMP, 10, 10, 2, 2, 7, 7));
    put(bed, window(TEMP, 55, 10, 3, 3, 3, 3));
    put(bed, window(HUMID, 0, 10, 4, 4, 4, 4));
    store(bed);
    const double seconds[] = {1, 3, 7, 9.5, 11, 12, 13, 30, 56, 57, 61, 64, 66, 200};
    keep(bed, seconds, sizeof seconds / sizeof seconds[0]);
    tells(bed, "value 0=4\nA 1=1\nA 3=3\nA 7=7 bad\nA 9.5=9.5\n"
               "A 10=2\nA 20=7\n"
               "A 30=30\nA 56=56\nA 57=57\nA 61=61\nA 64=64\nA 66=66\nA 200=200\n");
    bed->feed.from_ns = BASE_NS + 12 * WR_NS_PER_S;
    tells(bed, "A 12=12\nA 13=13\nA 30=30\nA 56=56\nA 57=57\nA 61=61\nA 64=64\nA 66=66\nA 200=200\n");
    bed->feed.from_ns = INT64_MIN;
    remove_kept(bed);
    tells(bed, "value 0=4\nA 0=1\nA 3.33333=0\nA 6.66667=9\nA 10=5\nA 10=2\nA 20=7\nA 55=3\n");
}

/* The first raw readings lie in the middle of a window: that is told as it was, and nothing of it twice. */
static void test_raw_readings_that_begin_in_a_window(void **state) {
    struct bed *bed = *state;
    put(bed, window(TEMP, 0, 60, 1, 1, 2, 2));
    put(bed, window(TEMP, 60, 60, 3, 3, 4, 4));
    store(bed);
    const double seconds[] = {40, 50, 61, 62, 63, 64};
    keep(bed, seconds, sizeof seconds / sizeof seconds[0]);
    tells(bed, "A 0=1\nA 60=2\nA 61=61\nA 62=62\nA 63=63\nA 64=64\n");
    remove_kept(bed);
}

static void test_raw_readings_beside_changes(void **state) {
    struct bed *bed = *state;
    put(bed, window(TEMP, 5, 0, 1, 1, 5, 5));
    put(bed, window(TEMP, 8, 0, 5, 5, 8, 8));
    store(bed);
    const double seconds[] = {5, 6};
    keep(bed, seconds, sizeof seconds / sizeof seconds[0]);
    tells(bed, "A 5=5\nA 6=6\nA 8=8\n");
    remove_kept(bed);
}

static void test_survives_failing_allocations(void **state) {
    struct bed *bed = *state;
    const double seconds[] = {5, 6, 70};
    put(bed, window(TEMP, 0, 60, 1, 0, 9, 5));
    store(bed);
    keep(bed, seconds, sizeof seconds / sizeof seconds[0]);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = feed(bed);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (!hit)
            break;
        assert_true(result == WR_NO_MEMORY || result == WR_OK);
    }
    remove_kept(bed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_window_is_up_to_four_readings),
        TEST(test_changes_texts_and_quality),
        TEST(test_the_shortest_windows_of_a_series),
        TEST(test_in_the_order_of_time_over_slices_and_segments),
        TEST(test_raw_readings_stand_for_windows_that_they_fill),
        TEST(test_raw_readings_that_begin_in_a_window),
        TEST(test_raw_readings_beside_changes),
        TEST(test_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
