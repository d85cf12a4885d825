/* What a query sees of a boot in 1970: each time as it is known by now, found where it belongs, of an open store and of a stopped one. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/raw_log.h"
#include "tests/support/failing.h"
#include "tests/support/query_bed.h"
#include "tests/support/store_fixture.h"

#define S WR_NS_PER_S
#define SET_NS (INT64_C(1772010000) * S) /* 2026-02-25T09:00Z, which query_bed.h takes for now */

struct bed {
    struct store_fixture fixture;
    struct query_bed query;
    struct wr_series_table *series;
    struct wr_raw_log *raw;
    uint32_t kept; /* a series */
};

static void must(struct bed *bed, enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), bed->fixture.err.text);
}

static void answers(struct bed *bed, const char *sql, const char *rows) {
    if (query_bed_ask(&bed->query, sql) != WR_OK)
        fail_msg("%s: %s", sql, bed->query.err.text);
    if (strcmp(wr_buf_str(&bed->query.rows), rows) != 0)
        fail_msg("%s\n%s not\n%s", sql, wr_buf_str(&bed->query.rows), rows);
}

/* A window of a minute and a change that begin then. */
static void take(struct bed *bed, int64_t start_ns) {
    for (uint32_t account = 0; account < 2; account++) {
        store_fixture_fill(&bed->fixture, account, 1, 1);
        bed->fixture.handover.aggregates[0].start_ns = start_ns;
        store_fixture_take(&bed->fixture);
    }
}

static void flush(struct bed *bed) {
    must(bed, wr_store_flush(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
}

static void raise_alarm(struct bed *bed) {
    const int64_t at = bed->fixture.now.wall_ns;
    const struct wr_alarm_entry entry = {.alarm = {.rule = "hot", .transition = 1, .to = WR_ALARM_UNACK, .wall_ns = at, .event_ns = at},
                                         .number = 1};
    uint32_t taken;
    must(bed, wr_store_alarms(bed->fixture.store, &entry, 1, &bed->fixture.now, &taken, &bed->fixture.err));
}

/* The machine has been up for a minute; of that boot are a window and a change, an alarm, a raw reading. Ten seconds later the clock is set to SET_NS if it is said. */
static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    store_fixture_init(&bed->fixture);
    memset(bed->fixture.options.boot_id, 1, sizeof bed->fixture.options.boot_id);
    bed->fixture.now = (struct wr_now){.boot_ns = 60 * S, .wall_ns = 60 * S};
    must(bed, store_fixture_open(&bed->fixture));
    query_bed_init(&bed->query, wr_history_of_store(bed->fixture.store));
    assert_int_equal(wr_series_table_new(10, &bed->series, NULL), WR_OK);
    assert_int_equal(wr_series_intern(bed->series, "a\0value", 8, &bed->kept), WR_OK);
    struct wr_raw_log_options options = {
        .directory = bed->fixture.directory, .bytes_max = WR_RAW_LOG_BYTES_MIN, .series = bed->series, .symbols = bed->fixture.symbols};
    memcpy(options.boot_id, bed->fixture.options.boot_id, sizeof options.boot_id);
    assert_int_equal(wr_raw_log_new(&options, &bed->raw, NULL), WR_OK);
    take(bed, 5 * S);
    raise_alarm(bed);
    const struct wr_reading reading = {.event_ns = 60 * S, .series = bed->kept, .type = WR_TYPE_INT, .value.i = 7};
    must(bed, wr_raw_log_put(bed->raw, &reading, 1, false, 3600 * S, &bed->fixture.now, &bed->fixture.err));
    store_fixture_advance(&bed->fixture, 6 * S);
    flush(bed);
    store_fixture_advance(&bed->fixture, 4 * S);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    wr_raw_log_free(bed->raw);
    wr_series_table_free(bed->series);
    query_bed_fini(&bed->query);
    store_fixture_fini(&bed->fixture);
    free(bed);
    return 0;
}

static void set_clock(struct bed *bed) {
    bed->fixture.now.wall_ns = SET_NS;
    bed->fixture.now.wall_trusted = true;
    flush(bed);
    must(bed, wr_store_tick(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
}

static void nobody_knows_it_yet(void **state) {
    struct bed *bed = *state;
    answers(bed, "SELECT time, lane, time_quality FROM readings ORDER BY lane",
            "1970-01-01T00:00:05Z|changes|untrusted\n1970-01-01T00:00:05Z|windows|untrusted\n");
    answers(bed, "SELECT count(*) FROM readings WHERE time > ago('1h')", "0\n");
    answers(bed, "SELECT time, time_quality FROM raw", "1970-01-01T00:01:00Z|untrusted\n");
    answers(bed, "SELECT count(*) FROM segments WHERE time_quality = 'untrusted'", "4\n");
}

/* What is asked of an open store and of a stopped one. */
static void all_is_right(struct bed *bed) {
    answers(bed, "SELECT time, time_quality FROM readings WHERE time > ago('2m') ORDER BY lane",
            "2026-02-25T08:58:55Z|corrected\n2026-02-25T08:58:55Z|corrected\n");
    assert_int_equal(bed->query.report.segments, 2);
    answers(bed, "SELECT count(*) FROM readings WHERE time_ns = 1772009935000000000 AND lane = 'windows'", "1\n");
    answers(bed, "SELECT count(*) FROM readings WHERE time > ago('64s')", "0\n");
    assert_int_equal(bed->query.report.segments, 1); /* no change that late; the window ends later */
    answers(bed, "SELECT count(*) FROM readings WHERE time < '2026-01-01'", "0\n");
    assert_int_equal(bed->query.report.segments, 0);
    answers(bed, "SELECT time, event, time_quality, json LIKE '%1970%' FROM alarms WHERE time > ago('1h')",
            "2026-02-25T08:59:50Z|2026-02-25T08:59:50.000Z|corrected|0\n");
    answers(bed, "SELECT count(*) FROM alarms WHERE time < '2026-01-01'", "0\n");
    answers(bed, "SELECT time, value, time_quality FROM raw WHERE time > ago('1h')", "2026-02-25T08:59:50Z|7|corrected\n");
    answers(bed, "SELECT kind, first_time, last_time, time_quality FROM segments WHERE kind <> 'gaps' ORDER BY seq",
            "alarms|2026-02-25T08:59:50Z|2026-02-25T08:59:50Z|corrected\naggregates|2026-02-25T08:58:55Z|2026-02-25T08:58:55Z|corrected\n"
            "aggregates|2026-02-25T08:58:55Z|2026-02-25T08:59:55Z|corrected\nraw|2026-02-25T08:59:50Z|2026-02-25T08:59:50Z|corrected\n");
}

static void the_clock_is_set(void **state) {
    struct bed *bed = *state;
    set_clock(bed);
    all_is_right(bed);
}

static void of_a_store_that_nobody_has_open(void **state) {
    struct bed *bed = *state;
    struct wr_store *store;
    set_clock(bed);
    must(bed, wr_store_close(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
    bed->fixture.store = NULL;
    must(bed, wr_history_open(bed->fixture.directory, &store, &bed->fixture.err));
    bed->query.options.history = wr_history_of_store(store);
    all_is_right(bed);
    wr_store_abandon(store);
}

/* Rows that say nothing of their times: what an earlier version wrote. */
static void of_an_earlier_version(void **state) {
    struct bed *bed = *state;
    char file[300];
    sqlite3 *db;
    set_clock(bed);
    take(bed, SET_NS);
    flush(bed);
    must(bed, wr_store_close(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
    bed->fixture.store = NULL;
    snprintf(file, sizeof file, "%s/outbox.db", bed->fixture.directory);
    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE seg SET crc = crc & 0xFFFFFFFF", NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_changes(db) > 4);
    sqlite3_close(db);
    must(bed, store_fixture_open(&bed->fixture));
    bed->query.options.history = wr_history_of_store(bed->fixture.store);
    answers(bed, "SELECT time, time_quality FROM readings WHERE lane = 'windows' AND time > ago('2m')",
            "2026-02-25T08:58:55Z|corrected\n2026-02-25T09:00:00Z|\n");
}

/* A device with a clock of its own was right all along: the segment reaches from its time to the corrected one. */
static void a_clock_of_its_own_is_left_alone(void **state) {
    struct bed *bed = *state;
    take(bed, SET_NS - 7200 * S);
    take(bed, 66 * S);
    flush(bed);
    set_clock(bed);
    answers(bed, "SELECT time FROM readings WHERE lane = 'windows' AND time BETWEEN ago('3h') AND ago('1h')", "2026-02-25T07:00:00Z\n");
    answers(bed, "SELECT time FROM readings WHERE lane = 'windows' AND time > ago('5s')", "2026-02-25T08:59:56Z\n");
}

/* A boot that never had the right time stays as it is, also when the next one has it. */
static void a_boot_that_was_never_set(void **state) {
    struct bed *bed = *state;
    must(bed, wr_store_close(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
    bed->fixture.store = NULL;
    memset(bed->fixture.options.boot_id, 2, sizeof bed->fixture.options.boot_id);
    bed->fixture.now = (struct wr_now){.boot_ns = 10 * S, .wall_ns = 10 * S};
    must(bed, store_fixture_open(&bed->fixture));
    bed->query.options.history = wr_history_of_store(bed->fixture.store);
    take(bed, 10 * S);
    flush(bed);
    set_clock(bed);
    answers(bed, "SELECT time, time_quality FROM readings WHERE lane = 'windows'",
            "1970-01-01T00:00:05Z|untrusted\n2026-02-25T09:00:00Z|corrected\n");
}

static void without_memory(void **state) {
    struct bed *bed = *state;
    unsigned failed = 0;
    set_clock(bed);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = query_bed_ask(&bed->query, "SELECT time FROM alarms UNION ALL SELECT min(time) FROM readings");
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK)
            assert_string_equal(wr_buf_str(&bed->query.rows), "2026-02-25T08:59:50Z\n2026-02-25T08:58:55Z\n");
        else
            assert_int_equal(result, WR_NO_MEMORY);
        failed += result != WR_OK;
        if (!hit)
            break;
    }
    assert_true(failed > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nobody_knows_it_yet),
        TEST(the_clock_is_set),
        TEST(of_a_store_that_nobody_has_open),
        TEST(of_an_earlier_version),
        TEST(a_clock_of_its_own_is_left_alone),
        TEST(a_boot_that_was_never_set),
        TEST(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
