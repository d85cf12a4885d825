/* The table `raw` against a list of what was kept: random questions have the answers of a loop over it; only segments of the time are read; a damaged one is left out and told. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/raw_files.h"
#include "store/raw_log.h"
#include "tests/support/failing.h"
#include "tests/support/query_bed.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define SEGMENTS 30
#define EACH 200
#define ROOMS 5
#define T0_NS (INT64_C(1772000000) * WR_NS_PER_S)

static struct wr_random dice;
static struct store_fixture store;
static struct query_bed query;
static struct wr_series_table *table;
static uint32_t rooms[ROOMS];
static struct wr_reading kept[SEGMENTS][EACH]; /* each segment has a minute of its own */

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

static int setup(void **state) {
    struct wr_raw_log *log;
    (void)state;
    dice = wr_random_begin();
    store_fixture_init(&store);
    assert_int_equal(store_fixture_open(&store), WR_OK);
    query_bed_init(&query, wr_history_of_store(store.store));
    assert_int_equal(wr_series_table_new(ROOMS, &table, NULL), WR_OK);
    for (uint32_t i = 0; i < ROOMS; i++) {
        char key[40];
        const size_t len = (size_t)snprintf(key, sizeof key, "%s%cvalue%croom%cR%u", i < 3 ? "temp" : "humid", 0, 0, 0, i) + 1;
        assert_int_equal(wr_series_intern(table, key, len, &rooms[i]), WR_OK);
    }
    const struct wr_raw_log_options options = {
        .directory = store.directory, .bytes_max = WR_RAW_LOG_BYTES_MIN, .series = table, .symbols = store.symbols};
    assert_int_equal(wr_raw_log_new(&options, &log, NULL), WR_OK);
    for (int s = 0; s < SEGMENTS; s++) {
        for (int i = 0; i < EACH; i++)
            kept[s][i] = (struct wr_reading){.event_ns = T0_NS + s * 60 * WR_NS_PER_S + below(60) * WR_NS_PER_S,
                                             .value.i = below(1000),
                                             .series = rooms[below(ROOMS)],
                                             .type = WR_TYPE_INT};
        assert_int_equal(wr_raw_log_put(log, kept[s], EACH, false, 3600 * WR_NS_PER_S, &store.now, NULL), WR_OK);
    }
    wr_raw_log_free(log);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    query_bed_fini(&query);
    wr_series_table_free(table);
    store_fixture_fini(&store);
    return 0;
}

static void answers(const char *sql, const char *rows) {
    if (query_bed_ask(&query, sql) != WR_OK)
        fail_msg("%s: %s", sql, query.err.text);
    if (strcmp(wr_buf_str(&query.rows), rows) != 0)
        fail_msg("%s\n%s not\n%s", sql, wr_buf_str(&query.rows), rows);
}

/* Number and sum of what is from..to, of one room, or of another or a time (an OR). */
static void test_random_questions(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        const int64_t from_ns = T0_NS + ((int64_t)below(SEGMENTS * 60) - 60) * WR_NS_PER_S;
        const int64_t to_ns = from_ns + below(600) * WR_NS_PER_S;
        const uint32_t room = below(ROOMS);
        const uint32_t other = below(ROOMS);
        const bool either = below(3) == 0;
        uint64_t n = 0;
        int64_t sum = 0;
        for (int s = 0; s < SEGMENTS; s++)
            for (int i = 0; i < EACH; i++) {
                const struct wr_reading *reading = &kept[s][i];
                const bool in_time = reading->event_ns >= from_ns && reading->event_ns < to_ns;
                if (either ? reading->series == rooms[other] || (in_time && reading->series == rooms[room])
                           : in_time && reading->series == rooms[room]) {
                    n++;
                    sum += reading->value.i;
                }
            }
        char sql[400];
        char rows[64];
        snprintf(sql, sizeof sql,
                 "SELECT count(*), coalesce(sum(value), 0) FROM raw WHERE %s%s%s%u}' AND time_ns >= %" PRId64 " AND time_ns < %" PRId64,
                 either ? "series = '" : "", either ? "" : "series = '", room < 3 ? "temp{room=R" : "humid{room=R", room, from_ns, to_ns);
        if (either) {
            const size_t len = strlen(sql);
            snprintf(sql + len, sizeof sql - len, " OR series = '%s{room=R%u}'", other < 3 ? "temp" : "humid", other);
        }
        snprintf(rows, sizeof rows, "%" PRIu64 "|%" PRId64 "\n", n, sum);
        answers(sql, rows);
        if (!either)
            assert_true(query.report.segments <= 12); /* ten minutes, and what they touch */
    }
}

static void test_columns(void **state) {
    (void)state;
    answers("SELECT * FROM raw LIMIT 0", "");
    assert_string_equal(wr_buf_str(&query.names), "time|series|value|quality");
    answers("SELECT lane, kind, sum(n), count(*), max(delivered) FROM segments GROUP BY 1, 2", "raw|raw|6000|30|0\n");
    answers("SELECT count(*) FROM readings", "0\n");
    assert_int_equal(query.report.segments, 0);
    answers("SELECT DISTINCT name, field, type, historic, quality FROM raw WHERE tags->>'room' = 'R4'", "humid|value|int|0|good\n");
    answers("SELECT count(*) = count(DISTINCT rowid), min(rowid) < 0 FROM raw", "1|1\n");
}

static void test_any_allocation_may_fail(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = query_bed_ask(&query, "SELECT max(tags) FROM raw WHERE name = 'temp'");
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            return;
    }
}

static void test_damage_is_told(void **state) {
    (void)state;
    char path[WR_RAW_PATH_BYTES];
    uint32_t numbers[WR_RAW_FILES];
    assert_true(wr_raw_files_list(store.directory, numbers) >= 1);
    assert_true(wr_raw_files_path(path, store.directory, numbers[0]));
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 150, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, 150, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
    answers("SELECT count(*) FROM raw", "5800\n");
    assert_int_equal(query.report.damaged, 1);
    assert_int_equal(truncate(path, 200), 0); /* the first is torn, and what was behind it is gone */
    assert_int_equal(query_bed_ask(&query, "SELECT count(*) FROM raw"), WR_OK);
    assert_int_equal(query.report.damaged, 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(query_bed_ask(&query, "SELECT count(*) FROM raw"), WR_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_questions), cmocka_unit_test(test_columns),
                                       cmocka_unit_test(test_any_allocation_may_fail), cmocka_unit_test(test_damage_is_told)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
