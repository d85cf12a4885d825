/* SQL over history: what stands in its tables, what it reads of the store, what it may do, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/query_bed.h"
#include "tests/support/store_fixture.h"

struct bed {
    struct store_fixture store;
    struct query_bed query;
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    store_fixture_init(&bed->store);
    assert_int_equal(store_fixture_open(&bed->store), WR_OK);
    query_bed_init(&bed->query, wr_history_of_store(bed->store.store));
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    query_bed_fini(&bed->query);
    store_fixture_fini(&bed->store);
    free(bed);
    return 0;
}

static void answers(struct bed *bed, const char *sql, const char *rows) {
    if (query_bed_ask(&bed->query, sql) != WR_OK)
        fail_msg("%s: %s", sql, bed->query.err.text);
    if (strcmp(wr_buf_str(&bed->query.rows), rows) != 0)
        fail_msg("%s\n%s not\n%s", sql, wr_buf_str(&bed->query.rows), rows);
}

static void fails(struct bed *bed, const char *sql, enum wr_result with, const char *words) {
    assert_int_equal(query_bed_ask(&bed->query, sql), with);
    if (!strstr(bed->query.err.text, words))
        fail_msg("%s: '%s' does not say '%s'", sql, bed->query.err.text, words);
}

/* -- tables ---------------------------------------------------------------------------------------------------------------------------------- */

static void test_a_window_is_a_row(void **state) {
    struct bed *bed = *state;
    answers(bed, "SELECT * FROM readings", "");
    assert_string_equal(wr_buf_str(&bed->query.names), "time|series|n|mean|min|max|first|last|sum|bad|quality");
    store_fixture_segment(&bed->store, 1, 9, 3);
    answers(
        bed, "SELECT * FROM readings WHERE series = 'temp{room=A0}'",
        "2026-02-25T06:13:20Z|temp{room=A0}|3|20.100000000000001|20|20.199999999999999|20|20.199999999999999|60.299999999999997|0|good\n"
        "2026-02-25T06:14:20Z|temp{room=A0}|3|20.5|20.399999999999999|20.600000000000001|20.399999999999999|20.600000000000001|61.5|0|"
        "good\n");
    answers(bed, "SELECT name, field, tags, type, window_ns, late, partial, widened, lane, seq FROM readings LIMIT 1",
            "temp|value|{\"room\":\"A0\"}|float|60000000000|0|0|0|windows|1\n");
    answers(bed, "SELECT tags->>'room', count(*), sum(n) FROM readings GROUP BY 1 HAVING count(*) > 1", "A0|2|6\n");
}

static void test_what_was_delivered_is_there_too(void **state) {
    struct bed *bed = *state;
    store_fixture_segment(&bed->store, 1, 8, 2);
    store_fixture_segment(&bed->store, 0, 4, 2);
    assert_int_equal(wr_store_ack(bed->store.store, WR_LANE_WINDOWS, 1, 1, &bed->store.now, &bed->store.err), WR_OK);
    answers(bed, "SELECT lane, seq, kind, n, delivered FROM segments ORDER BY seq", "windows|1|aggregates|8|1\nchanges|2|aggregates|4|0\n");
    answers(bed, "SELECT lane, count(*) FROM readings GROUP BY lane ORDER BY 1", "changes|4\nwindows|8\n");
}

static void test_alarms(void **state) {
    struct bed *bed = *state;
    const int64_t at = bed->store.now.wall_ns;
    struct wr_alarm_entry entries[2] = {{.alarm = {.id = 1,
                                                   .transition = 1,
                                                   .rule = "hot",
                                                   .instance = "room=A1",
                                                   .from = WR_ALARM_NORMAL,
                                                   .to = WR_ALARM_UNACK,
                                                   .cause = WR_ALARM_RAISED,
                                                   .severity = WR_SEVERITY_HIGH,
                                                   .has_value = true,
                                                   .value = 31.5,
                                                   .has_limit = true,
                                                   .limit = 30,
                                                   .unit = "degC",
                                                   .message = "warm, \"time_ns\":5",
                                                   .wall_ns = at}},
                                        {.alarm = {.id = 1,
                                                   .transition = 2,
                                                   .rule = "hot",
                                                   .instance = "room=A1",
                                                   .from = WR_ALARM_UNACK,
                                                   .to = WR_ALARM_ACKED,
                                                   .cause = WR_ALARM_ACKNOWLEDGED,
                                                   .severity = WR_SEVERITY_HIGH,
                                                   .by_whom = "ann",
                                                   .why = "seen",
                                                   .wall_ns = at + 60 * WR_NS_PER_S}}};
    uint32_t taken;
    assert_int_equal(wr_store_alarms(bed->store.store, entries, 2, &bed->store.now, &taken, &bed->store.err), WR_OK);
    assert_int_equal(wr_store_flush(bed->store.store, &bed->store.now, &bed->store.err), WR_OK);
    answers(
        bed,
        "SELECT time, alarm, severity, cause, from_state, to_state, value, limit_value, unit, message FROM alarms WHERE cause = 'raised'",
        "2026-02-25T06:13:20Z|hot{room=A1}|high|raised|normal|unack|31.5|30|degC|warm, \"time_ns\":5\n");
    answers(bed, "SELECT time, by_whom, why, transition FROM alarms WHERE time > '2026-02-25T06:13:20.5Z'",
            "2026-02-25T06:14:20Z|ann|seen|2\n");
    answers(bed, "SELECT count(*) FROM alarms WHERE time < '2026-02-25'", "0\n");
    answers(bed, "SELECT count(*) FROM journal WHERE kind = 'gaps'", "0\n");
}

/* -- times ----------------------------------------------------------------------------------------------------------------------------------- */

static void test_times_compare_in_any_form(void **state) {
    struct bed *bed = *state;
    store_fixture_segment(&bed->store, 1, 16, 1); /* eight at 06:13:20, eight at 06:14:20 */
    static const struct {
        const char *where;
        const char *count;
    } cases[] = {
        {"time = '2026-02-25T06:13:20Z'", "8\n"},
        {"time = '2026-02-25 07:13:20.000+01:00'", "8\n"},
        {"time = '2026-02-25T02:43:20-0330'", "8\n"},
        {"time >= '2026-02-25T06:13:20.000Z'", "16\n"},
        {"time > '2026-02-25T06:13:20.000000000Z'", "8\n"},
        {"time > '2026-02-25 06:13'", "16\n"},
        {"time < '2026-02-26'", "16\n"},
        {"time < '2026-02-25'", "0\n"},
        {"time BETWEEN '2026-02-25T06:14Z' AND '2026-02-25T06:15Z'", "8\n"},
        {"time = '2026-02-25T06:14:20Z' OR time < '2026-02-25T06:13:20.001Z'", "16\n"},
        {"time IN ('2026-02-25T06:14:20.0Z', '2026-01-01')", "8\n"},
        {"time > ago('3h')", "16\n"}, /* it is 09:00 */
        {"time > ago('2h')", "0\n"},
        {"time > NULL", "0\n"},
        {"time_ns = 1772000000000000000", "8\n"},
        {"time_ns > 1772000000000000000.5 AND time_ns < 1e300", "8\n"},
        {"time_ns >= time_ns('2026-02-25T06:14:20Z')", "8\n"},
        {"time > '2026-02-25T07:00Z' AND time < '2026-02-25T06:00Z'", "0\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM readings WHERE %s", cases[i].where);
        answers(bed, sql, cases[i].count);
    }
    answers(bed,
            "SELECT bucket('5m', '2026-02-25T06:13:20Z'), bucket('1d', -1), bucket('1h', NULL), time_of(1500000), time_ns('1970-01-01')",
            "2026-02-25T06:10:00Z|1969-12-31T00:00:00Z||1970-01-01T00:00:00.001500Z|0\n");
}

static void test_what_is_no_time_is_told(void **state) {
    struct bed *bed = *state;
    fails(bed, "SELECT * FROM readings WHERE time > 'yesterday'", WR_INVALID, "what is no time");
    fails(bed, "SELECT * FROM readings WHERE time > 1772000000", WR_INVALID, "what is no time");
    fails(bed, "SELECT * FROM readings WHERE time_ns > ago('1h')", WR_INVALID, "time_ns is a number of ns");
    fails(bed, "SELECT ago('soon')", WR_INVALID, "ago: 'soon' is no duration");
    fails(bed, "SELECT bucket('0s', time) FROM (SELECT '2026-02-25' AS time)", WR_INVALID, "is no duration");
    fails(bed, "SELECT time_ns('2026-02-30')", WR_INVALID, "time_ns: '2026-02-30' is no time");
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-13-01",
                                        "2026-02-29",
                                        "2026-02-25T24:00Z",
                                        "2026-02-25T06",
                                        "2026-02-25T06:00:61Z",
                                        "2026-02-25T06:00:00.Z",
                                        "2026-02-25T06:00Zx",
                                        "2026-02-25T06:00+1",
                                        "1600-01-01",
                                        "2262-01-01"};
    int64_t ns;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(wr_query_time_read(wrong[i], strlen(wrong[i]), &ns));
    static const char *const right[] = {"2024-02-29", "1678-01-01T00:00:00.000000001Z", "2261-12-31T23:59:60Z",
                                        "2026-02-25 06:00:00.1234567890123+23:59"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(wr_query_time_read(right[i], strlen(right[i]), &ns));
}

/* -- what is read of the store ------------------------------------------------------------------------------------------------------------------ */

static void test_segments_outside_of_the_time_are_not_read(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 40; i++) {
        store_fixture_fill(&bed->store, 1, 8, 1);
        for (uint32_t k = 0; k < 8; k++)
            bed->store.handover.aggregates[k].start_ns += i * 60 * WR_NS_PER_S;
        store_fixture_take(&bed->store);
        assert_int_equal(wr_store_flush(bed->store.store, &bed->store.now, &bed->store.err), WR_OK);
    }
    answers(bed, "SELECT count(*) FROM readings WHERE time >= '2026-02-25T06:23:20Z' AND time < '2026-02-25T06:25:20Z'", "16\n");
    assert_in_range(bed->query.report.segments, 2, 4); /* with those that touch it */
    answers(bed, "SELECT count(*) FROM readings", "320\n");
    assert_int_equal(bed->query.report.segments, 40);
    answers(bed, "SELECT series FROM readings LIMIT 1", "temp{room=A0}\n");
    assert_int_equal(bed->query.report.segments, 1);
    answers(bed, "SELECT count(*) FROM segments", "40\n");
    assert_int_equal(bed->query.report.segments, 0);
    answers(bed, "SELECT count(*) FROM readings WHERE series = 'temp{room=A3}' AND series = 'temp{room=A4}'", "0\n");
    assert_int_equal(bed->query.report.segments, 0);
}

static void test_series_that_look_alike(void **state) {
    struct bed *bed = *state;
    static const struct {
        const char key[32];
        uint16_t len;
        const char *shown;
    } keys[] = {{"a\0value", 8, "a"},
                {"a\0b", 4, "a.b"},
                {"a.b\0value", 10, "a.b"},
                {"a\0value\0x\0y", 12, "a{x=y}"},
                {"a{x\0value", 10, "a{x"},
                {"a\0value\0x\0y,z=w", 16, "a{x=y,z=w}"},
                {"a\0value\0x\0y\0z\0w", 16, "a{x=y,z=w}"}};
    const unsigned n = sizeof keys / sizeof keys[0];
    store_fixture_fill(&bed->store, 1, n, 1);
    for (unsigned i = 0; i < n; i++) {
        bed->store.handover.aggregates[i].key = keys[i].key;
        bed->store.handover.aggregates[i].key_len = keys[i].len;
    }
    store_fixture_take(&bed->store);
    assert_int_equal(wr_store_flush(bed->store.store, &bed->store.now, &bed->store.err), WR_OK);
    for (unsigned i = 0; i < n; i++) {
        char sql[128];
        char wanted[8];
        unsigned same = 0;
        for (unsigned k = 0; k < n; k++)
            same += strcmp(keys[k].shown, keys[i].shown) == 0;
        snprintf(wanted, sizeof wanted, "%u\n", same);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM readings WHERE series = '%s'", keys[i].shown);
        answers(bed, sql, wanted);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM readings WHERE +series = '%s'", keys[i].shown); /* not looked at before */
        answers(bed, sql, wanted);
    }
    answers(bed, "SELECT count(*) FROM readings WHERE series = 'a{x=y'", "0\n");
    answers(bed, "SELECT field FROM readings WHERE name = 'a' AND field = 'b'", "b\n");
}

/* A history that damages the second body it gives, and has lost the third. */
struct damaging {
    struct wr_history of;
    unsigned given;
};

static enum wr_result damaged_heads(void *user, struct wr_history_walk *walk, struct wr_segment_head *heads, uint32_t *ret_n,
                                    struct wr_error *err) {
    struct damaging *damaging = user;
    return damaging->of.heads(damaging->of.user, walk, heads, ret_n, err);
}

static enum wr_result damaged_body(void *user, const struct wr_segment_head *heads, uint32_t n, struct wr_segment *ret_segment,
                                   struct wr_error *err) {
    struct damaging *damaging = user;
    if (++damaging->given == 3)
        return wr_error_set(err, WR_NOT_FOUND, "gone");
    const enum wr_result result = damaging->of.body(damaging->of.user, heads, n, ret_segment, err);
    if (result == WR_OK && damaging->given == 2)
        ret_segment->body[ret_segment->body_len - 1] ^= 1;
    return result;
}

static void test_damaged_segments_are_left_out_and_told(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 4; i++)
        store_fixture_segment(&bed->store, 1, 8, 1);
    struct damaging damaging = {.of = bed->query.options.history};
    bed->query.options.history = (struct wr_history){.user = &damaging, .heads = damaged_heads, .body = damaged_body};
    answers(bed, "SELECT seq, count(*) FROM readings GROUP BY seq ORDER BY seq", "1|8\n4|8\n");
    assert_int_equal(bed->query.report.damaged, 1);
    assert_int_equal(bed->query.report.segments, 3);
}

/* -- what it may do ------------------------------------------------------------------------------------------------------------------------------ */

static void test_only_select_over_these_tables(void **state) {
    struct bed *bed = *state;
    static const char *const denied[] = {
        "DELETE FROM readings",
        "INSERT INTO segments(seq) VALUES(1)",
        "UPDATE readings SET n = 1",
        "ATTACH '/etc/passwd' AS x",
        "DETACH main",
        "PRAGMA user_version",
        "PRAGMA temp_store = FILE",
        "VACUUM INTO '/tmp/x'",
        "VACUUM",
        "CREATE TABLE t(a)",
        "CREATE TEMP TABLE t(a)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE t USING fts5(a)",
        "DROP VIEW alarms",
        "BEGIN",
        "SAVEPOINT s",
        "ANALYZE",
        "REINDEX",
        "ALTER TABLE readings RENAME TO x",
        "SELECT * FROM sqlite_master",
        "SELECT name FROM sqlite_temp_schema",
        "SELECT * FROM pragma_database_list",
        "SELECT count(*) FROM pragma_table_list",
        "SELECT * FROM dbstat",
        "SELECT * FROM sqlite_dbpage",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT sqlite_log(1, 'x')",
        "EXPLAIN DELETE FROM segments",
    };
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        const enum wr_result result = query_bed_ask(&bed->query, denied[i]);
        if (result != WR_DENIED && result != WR_INVALID)
            fail_msg("%s: %s %s", denied[i], wr_result_name(result), bed->query.err.text);
        assert_int_equal(bed->query.rows.len, 0);
    }
    fails(bed, "ATTACH '/etc/passwd' AS x", WR_DENIED,
          "ATTACH is not allowed: a query reads readings, raw, alarms, journal and segments, with SELECT");
    fails(bed, "SELECT a FROM sqlite_master", WR_INVALID, "no such column: a");
    fails(bed, "SELECT name FROM sqlite_master", WR_DENIED, "reading sqlite_master is not allowed");
    answers(bed, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 3) SELECT sum(x), (SELECT count(*) FROM c) FROM c",
            "6|3\n");
    answers(bed, "SELECT value FROM json_each('[1,2]') ;; -- done", "1\n2\n");
    answers(bed, "VALUES(1, x'0041')", "1|\0A\n"); /* up to its NUL, to a C string */
}

static void test_errors_say_where(void **state) {
    struct bed *bed = *state;
    static const struct {
        const char *sql;
        int at;
        const char *words;
    } cases[] = {{"SELECT men FROM readings", 7, "no such column: men"},
                 {"  SELECT n, FROM readings", 12, "near \"FROM\": syntax error"},
                 {"-- a day\nSELECT n FROM reading", -1, "no such table: reading"},
                 {"SELECT 1; SELECT 2", 10, "one statement at a time"},
                 {"", -1, "there is no query"},
                 {" ; -- nothing\n /* at all", -1, "there is no query"},
                 {"SELECT ?", -1, "parameters have no value"},
                 {"SELECT 'open", 7, "unrecognized token"},
                 {"SELECT n FROM readings WHERE nowhere(n)", 29, "no such function: nowhere"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fails(bed, cases[i].sql, WR_INVALID, cases[i].words);
        assert_int_equal(bed->query.report.error_at, cases[i].at);
    }
}

/* -- what ends it -------------------------------------------------------------------------------------------------------------------------------- */

static bool stop_after(void *user) {
    return --*(int *)user < 0;
}

static void test_ends_when_it_is_told_to(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 8; i++)
        store_fixture_segment(&bed->store, 1, 256, 1);
    int looks = 1000;
    bed->query.options.stop = stop_after;
    bed->query.options.stop_user = &looks;
    fails(bed, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c", WR_TIMEOUT, "stopped");
    looks = 3; /* within a segment's rows, none of which comes out */
    fails(bed, "SELECT * FROM readings WHERE series = 'nowhere'", WR_TIMEOUT, "stopped");
    looks = 10000;
    answers(bed, "SELECT count(*) FROM readings", "2048\n");
}

static void test_rows_and_memory_are_limited(void **state) {
    struct bed *bed = *state;
    for (int i = 0; i < 8; i++)
        store_fixture_segment(&bed->store, 1, 256, 1);
    bed->query.options.rows_max = 2;
    answers(bed, "SELECT seq FROM segments ORDER BY seq", "1\n2\n");
    assert_true(bed->query.report.cut);
    answers(bed, "SELECT seq FROM segments LIMIT 2", "1\n2\n");
    assert_false(bed->query.report.cut);
    bed->query.options.memory_bytes = 1 << 18;
    fails(bed, "SELECT a.series, b.series FROM segments, readings a, segments b2, readings b ORDER BY random()", WR_LIMIT,
          "does not fit into");
    fails(bed, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM (SELECT DISTINCT x FROM c)", WR_LIMIT,
          "does not fit into");
    fails(bed, "SELECT length(zeroblob(2000000))", WR_INVALID, "too big");
    answers(bed, "SELECT count(*) FROM readings", "2048\n");
}

static void test_survives_failing_allocations(void **state) {
    struct bed *bed = *state;
    store_fixture_segment(&bed->store, 1, 8, 1);
    store_fixture_segment(&bed->store, 1, 8, 1);
    static const char sql[] = "SELECT series, tags, count(*) FROM readings WHERE name = 'temp' GROUP BY 1 ORDER BY 1 LIMIT 1";
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = query_bed_ask(&bed->query, sql);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result != WR_NO_MEMORY) {
            assert_int_equal(result, WR_OK);
            assert_string_equal(wr_buf_str(&bed->query.rows), "temp{room=A0}|{\"room\":\"A0\"}|2\n");
        }
        if (!hit)
            break;
    }
}

/* -- a store that nobody has open ------------------------------------------------------------------------------------------------------------------ */

static void test_a_stopped_store_is_read_and_not_changed(void **state) {
    struct bed *bed = *state;
    struct store_fixture *fixture = &bed->store;
    struct wr_store *store;
    struct wr_error err = {0};
    store_fixture_segment(fixture, 1, 8, 2);
    assert_int_equal(wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, 1, &fixture->now, &fixture->err), WR_OK);
    assert_int_equal(wr_history_open(fixture->directory, &store, &err), WR_BUSY);
    for (int crash = 0; crash < 2; crash++) {
        if (crash)
            wr_store_abandon(fixture->store);
        else
            assert_int_equal(wr_store_close(fixture->store, &fixture->now, &fixture->err), WR_OK);
        fixture->store = NULL;
        struct wr_account_balance *balances;
        uint32_t n;
        bool clean;
        uint64_t epoch;
        struct wr_store_recount recount;
        assert_int_equal(wr_store_audit(fixture->directory, &balances, &n, &clean, &epoch, &recount, &err), WR_OK);
        free(balances);
        assert_int_equal(clean, !crash);
        assert_int_equal(wr_history_open(fixture->directory, &store, &err), WR_OK);
        bed->query.options.history = wr_history_of_store(store);
        answers(bed, "SELECT n, delivered FROM segments ORDER BY seq", crash ? "8|1\n4|0\n" : "8|1\n");
        answers(bed, "SELECT count(*) FROM readings", crash ? "12\n" : "8\n");
        wr_store_abandon(store);
        assert_int_equal(wr_store_audit(fixture->directory, &balances, &n, &clean, &epoch, &recount, &err), WR_OK);
        free(balances);
        assert_int_equal(clean, !crash); /* as it was */
        assert_int_equal(store_fixture_open(fixture), WR_OK);
        assert_int_equal(fixture->report.unclean, crash);
        store_fixture_segment(fixture, 1, 4, 2);
    }
}

static void test_what_is_no_store(void **state) {
    struct bed *bed = *state;
    struct wr_store *store;
    struct wr_error err = {0};
    char path[300];
    assert_int_equal(wr_history_open("/nonexistent", &store, &err), WR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/other", bed->store.directory);
    char command[700];
    snprintf(command, sizeof command, "mkdir -p %s && head -c 8192 /dev/zero >%s/outbox.db", path, path);
    assert_int_equal(system(command), 0);
    const enum wr_result result = wr_history_open(path, &store, &err);
    assert_true(result == WR_CORRUPT || result == WR_IO);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        assert_int_not_equal(wr_history_open(path, &store, &err), WR_OK);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (!hit)
            break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_window_is_a_row),
        TEST(test_what_was_delivered_is_there_too),
        TEST(test_alarms),
        TEST(test_times_compare_in_any_form),
        TEST(test_what_is_no_time_is_told),
        TEST(test_segments_outside_of_the_time_are_not_read),
        TEST(test_series_that_look_alike),
        TEST(test_damaged_segments_are_left_out_and_told),
        TEST(test_only_select_over_these_tables),
        TEST(test_errors_say_where),
        TEST(test_ends_when_it_is_told_to),
        TEST(test_rows_and_memory_are_limited),
        TEST(test_survives_failing_allocations),
        TEST(test_a_stopped_store_is_read_and_not_changed),
        TEST(test_what_is_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
