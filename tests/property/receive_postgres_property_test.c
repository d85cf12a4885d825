/* Rows that are there once, whatever happens, in a real PostgreSQL: no memory for each allocation in turn, connections that are ended at random
 * moments, several writers with the same messages, keys that are folded meanwhile. The seed is printed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/postgres_private.h"
#include "core/log.h"
#include "tests/support/failing.h"
#include "tests/support/postgres_bed.h"
#include "tests/support/receive_bed.h"

#define RECORDS 3

static struct wr_random dice;

static void start(struct receive_bed *bed, unsigned n) {
    postgres_bed_query("TRUNCATE weir.aggregate, weir.alarm, weir.segment, weir.segment_range", NULL, 0);
    receive_bed_init(bed, n, 3, RECORDS);
}

static enum wr_result run(struct receive_bed *bed, struct wr_error *err) {
    struct wr_receive_sink sink;
    WR_TRY(wr_postgres_sink_new(&postgres_bed, &sink, err));
    return receive_bed_run(bed, sink, "/nowhere", 0, err);
}

static void check_rows(const struct receive_bed *bed) {
    char got[64];
    char expected[64];
    unsigned alarms = 0;
    for (unsigned i = 0; i < bed->n; i++)
        alarms += i % 7 == 6;
    snprintf(expected, sizeof expected, "%u %u", (bed->n - alarms) * RECORDS, (bed->n - alarms) * RECORDS);
    postgres_bed_query(
        "SELECT count(*) || ' ' || count(DISTINCT (s.tags->>'msg', s.tags->>'k')) FROM weir.aggregate a JOIN weir.series s ON s.id = "
        "a.series "
        "WHERE a.sum = a.first + a.last AND a.first = (s.tags->>'msg')::float8 + 0.5 AND s.node = 'gw-' || (s.tags->>'msg')::int % 3",
        got, sizeof got);
    assert_string_equal(got, expected);
    snprintf(expected, sizeof expected, "%u %u", alarms * RECORDS, alarms * RECORDS);
    postgres_bed_query("SELECT count(*) || ' ' || count(DISTINCT alarm) FROM weir.alarm", got, sizeof got);
    assert_string_equal(got, expected);
    snprintf(expected, sizeof expected, "%u", bed->n);
    postgres_bed_query("SELECT (SELECT count(*) FROM weir.segment) + coalesce((SELECT sum(last - first + 1) FROM weir.segment_range), 0)",
                       got, sizeof got);
    assert_string_equal(got, expected);
    assert_true(receive_bed_all_acknowledged(bed));
}

static void test_all_once_and_what_comes_twice_is_dropped(void **state) {
    (void)state;
    static struct receive_bed bed;
    struct wr_error err;
    start(&bed, 100);
    for (int round = 0; round < 3; round++) {
        memset((void *)bed.acknowledged, 0, bed.n);
        receive_bed_connect(&bed, &dice, 30);
        assert_int_equal(run(&bed, &err), WR_OK);
        check_rows(&bed);
        postgres_bed_query("SELECT weir.compact('0 seconds')", NULL, 0); /* known by ranges from here on */
        check_rows(&bed);
    }
    receive_bed_fini(&bed);
}

static void test_every_failing_allocation_is_survived(void **state) {
    (void)state;
    static struct receive_bed bed;
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_error err;
        start(&bed, 8);
        postgres_bed_query("TRUNCATE weir.series", NULL, 0);
        receive_bed_connect(&bed, &dice, 2);
        wr_failing_allocations(n);
        const enum wr_result result = run(&bed, &err);
        hit = wr_failing_hit();
        wr_failing_off();
        if (result != WR_OK) {
            assert_int_equal(result, WR_NO_MEMORY);
            receive_bed_connect(&bed, &dice, 2);
            assert_int_equal(run(&bed, &err), WR_OK);
        }
        check_rows(&bed);
        receive_bed_fini(&bed);
    }
}

/* -- side by side -------------------------------------------------------------------------------------------------------------------------------- */

static void *run_thread(void *user) {
    struct wr_error err;
    return run(user, &err) == WR_OK ? user : NULL;
}

static _Atomic bool disturbing;

/* Ends connections of others, and folds keys. */
static void *disturb(void *user) {
    struct wr_postgres_connection connection = {.options = &postgres_bed};
    struct wr_random random = {*(uint64_t *)user};
    struct wr_error err;
    if (wr_postgres_connect(&connection, &err) != WR_OK)
        return NULL;
    while (disturbing && connection.conn) {
        const bool end = wr_random_below(&random, 3) > 0;
        (void)!wr_postgres_exec(&connection,
                                end ? "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir-receive' "
                                      "AND pid <> pg_backend_pid() AND query NOT LIKE '%count%' ORDER BY random() LIMIT 1"
                                    : "SELECT weir.compact('0 seconds')",
                                NULL, 0, NULL, &err);
        usleep((useconds_t)(1000 + wr_random_below(&random, 8000)));
    }
    if (connection.conn)
        wr_postgres_disconnect(&connection);
    return user;
}

static void test_several_writers_whose_connections_end_at_any_moment(void **state) {
    (void)state;
    enum { WRITERS = 3 };
    static struct receive_bed beds[WRITERS];
    for (int round = 0; round < 5; round++) {
        pthread_t writers[WRITERS];
        pthread_t disturber;
        uint64_t seed = wr_random_u64(&dice);
        start(&beds[0], 120);
        for (int i = 1; i < WRITERS; i++)
            receive_bed_init(&beds[i], 120, 3, RECORDS);
        for (int i = 0; i < WRITERS; i++)
            receive_bed_connect(&beds[i], &dice, 40);
        postgres_bed_let_go();
        disturbing = true;
        assert_int_equal(pthread_create(&disturber, NULL, disturb, &seed), 0);
        for (int i = 0; i < WRITERS; i++)
            assert_int_equal(pthread_create(&writers[i], NULL, run_thread, &beds[i]), 0);
        for (int i = 0; i < WRITERS; i++) {
            void *result;
            pthread_join(writers[i], &result);
            assert_non_null(result);
        }
        disturbing = false;
        pthread_join(disturber, NULL);
        for (int i = 0; i < WRITERS; i++)
            check_rows(&beds[i]);
        for (int i = 0; i < WRITERS; i++)
            receive_bed_fini(&beds[i]);
    }
}

/* -- one sink, step by step --------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result commit_alarm(const struct wr_receive_sink *sink, int64_t seq, struct wr_error *err) {
    static const char alarm[] = "{\"alarm\":\"hot\"}";
    const struct wr_message_origin origin = {
        .site = "riga", .kind = WR_MESSAGE_ALARM, .keyed = true, .key = {.epoch = 7, .seq = seq, .node = "gw-1"}};
    size_t poison;
    WR_TRY(sink->ops->begin(sink->self, &origin, err));
    WR_TRY(sink->ops->text(sink->self, alarm, strlen(alarm), err));
    sink->ops->end(sink->self, true);
    return sink->ops->commit(sink->self, &poison, err);
}

static void expect(const char *sql, const char *expected) {
    char got[64];
    postgres_bed_query(sql, got, sizeof got);
    assert_string_equal(got, expected);
}

#define FOLDED "SELECT (SELECT count(*) FROM weir.segment) || ' ' || (SELECT count(*) FROM weir.segment_range)"

static void test_keys_are_folded_also_when_messages_never_pause(void **state) {
    (void)state;
    struct wr_receive_sink sink;
    struct wr_error err;
    postgres_bed_query("TRUNCATE weir.alarm, weir.segment, weir.segment_range", NULL, 0);
    assert_int_equal(wr_postgres_sink_new(&postgres_bed, &sink, &err), WR_OK);
    for (int64_t seq = 1; seq <= 3; seq++)
        assert_int_equal(commit_alarm(&sink, seq, &err), WR_OK);
    postgres_bed_query("UPDATE weir.segment SET received = now() - interval '2 days'", NULL, 0);
    assert_int_equal(commit_alarm(&sink, 4, &err), WR_OK);
    expect(FOLDED, "4 0"); /* not yet */
    struct wr_postgres_sink *inside = sink.self;
    inside->compacted_ns -= 3601 * WR_NS_PER_S;
    assert_int_equal(commit_alarm(&sink, 5, &err), WR_OK);
    expect(FOLDED, "2 1");
    for (int64_t seq = 1; seq <= 5; seq++)
        assert_int_equal(commit_alarm(&sink, seq, &err), WR_OK);
    expect("SELECT count(*) FROM weir.alarm", "5");
    sink.ops->close(sink.self);
}

struct again {
    const struct wr_postgres_options *options;
    enum wr_result result;
};

static void *send_again(void *user) {
    struct again *again = user;
    struct wr_receive_sink sink;
    struct wr_error err;
    again->result = wr_postgres_sink_new(again->options, &sink, &err);
    if (again->result == WR_OK) {
        again->result = commit_alarm(&sink, 1, &err);
        sink.ops->close(sink.self);
    }
    return NULL;
}

/* Folding goes on while a message comes again, in a database whose transactions see only what was there when they began. */
static void test_a_repeated_message_during_folding(void **state) {
    (void)state;
    static char address[400];
    struct wr_postgres_options options = postgres_bed;
    struct again again = {.options = &options};
    struct wr_receive_sink sink;
    struct wr_error err;
    pthread_t thread;
    char waiting[16] = "0";
    snprintf(address, sizeof address, "%s&options=-c%%20default_transaction_isolation%%3Drepeatable%%5C%%20read", postgres_bed.url);
    options.url = address;
    postgres_bed_query("TRUNCATE weir.alarm, weir.segment, weir.segment_range", NULL, 0);
    assert_int_equal(wr_postgres_sink_new(&options, &sink, &err), WR_OK);
    assert_int_equal(commit_alarm(&sink, 1, &err), WR_OK);
    sink.ops->close(sink.self);
    postgres_bed_query("BEGIN; SELECT weir.compact('0 seconds')", NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, send_again, &again), 0);
    while (strcmp(waiting, "0") == 0)
        postgres_bed_query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", waiting, sizeof waiting);
    postgres_bed_query("COMMIT", NULL, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(again.result, WR_OK);
    expect("SELECT count(*) FROM weir.alarm", "1");
    expect(FOLDED, "0 1");
}

static void test_a_refused_message_leaves_nothing(void **state) {
    (void)state;
    const struct wr_message_origin origin = {.site = "riga", .keyed = true, .key = {.epoch = 7, .seq = 1, .node = "gw-1"}};
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    struct wr_receive_sink sink;
    struct wr_error err;
    assert_int_equal(wr_series_key_make((struct wr_word){"m", 1}, (struct wr_word){"value", 5}, NULL, 0, key, &len, NULL), WR_OK);
    const struct wr_aggregate aggregate = {
        .key = key, .key_len = (uint16_t)len, .type = WR_TYPE_SYMBOL, .n = 1, .first_text = "open", .last_text = "shut"};
    assert_int_equal(wr_postgres_sink_new(&postgres_bed, &sink, &err), WR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sink.ops->begin(sink.self, &origin, &err), WR_OK);
        assert_int_equal(sink.ops->aggregate(sink.self, &aggregate, &err), WR_OK);
        sink.ops->end(sink.self, false);
        assert_int_equal(sink.ops->bytes(sink.self), 0);
    }
    struct wr_postgres_sink *inside = sink.self; /* nor is it refused for ever what others left no room for */
    uint32_t number;
    for (uint32_t i = 0; i < WR_POSTGRES_SERIES; i++)
        (void)!wr_postgres_series_number(&inside->series, &origin, (const char *)&i, sizeof i, &number);
    assert_int_equal(wr_postgres_series_number(&inside->series, &origin, "full", 4, &number), WR_NO_MEMORY);
    key[0] = 'n'; /* a series that it does not know yet */
    assert_int_equal(sink.ops->begin(sink.self, &origin, &err), WR_OK);
    assert_int_equal(sink.ops->aggregate(sink.self, &aggregate, &err), WR_OK);
    sink.ops->close(sink.self);
}

/* -- waiting ----------------------------------------------------------------------------------------------------------------------------------------- */

static void test_nothing_waits_for_ever(void **state) {
    (void)state;
    struct wr_error err;
    struct wr_postgres_options options = postgres_bed;
    struct wr_postgres_connection connection = {.options = &options};
    options.statement_timeout_ns = 200 * WR_NS_PER_MS;
    assert_int_equal(wr_postgres_connect(&connection, &err), WR_OK);
    assert_int_equal(wr_postgres_exec(&connection, "SELECT pg_sleep(30)", NULL, 0, NULL, &err), WR_TIMEOUT);
    assert_null(connection.conn);
    options.statement_timeout_ns = WR_NS_PER_S;
    assert_int_equal(wr_postgres_connect(&connection, &err), WR_OK);
    postgres_bed_query("BEGIN; LOCK TABLE weir.node", NULL, 0);
    const enum wr_result waited = wr_postgres_exec(&connection, "SELECT count(*) FROM weir.node", NULL, 0, NULL, &err);
    assert_true(waited == WR_TIMEOUT || waited == WR_IO); /* we gave up, or the server was the quicker one */
    assert_null(connection.conn);
    char left[16] = "";
    for (int i = 0; i < 1000 && strcmp(left, "0") != 0; i++) { /* ours is gone, and the server must not wait in its place */
        postgres_bed_query("SELECT count(*) FROM pg_locks WHERE relation = 'weir.node'::regclass AND NOT granted", left, sizeof left);
        usleep(10000);
    }
    postgres_bed_query("ROLLBACK", NULL, 0);
    assert_string_equal(left, "0");
    options.statement_timeout_ns = 30 * WR_NS_PER_S;
    assert_int_equal(wr_postgres_connect(&connection, &err), WR_OK);
    options.stop_fd = eventfd(1, EFD_CLOEXEC); /* not before the connect: an answer that is there goes before a stop */
    assert_int_equal(wr_postgres_exec(&connection, "SELECT pg_sleep(30)", NULL, 0, NULL, &err), WR_CANCELED);
    assert_null(connection.conn);
    close(options.stop_fd);
    options.stop_fd = -1;
    options.url = "postgresql://weir@/weir?host=/nowhere";
    assert_int_equal(wr_postgres_connect(&connection, &err), WR_IO);
    assert_non_null(strstr(err.text, "/nowhere"));
    assert_null(strchr(err.text, '\n'));
    options.url = postgres_bed.url;
    options.password_file = "/nowhere";
    assert_int_equal(wr_postgres_connect(&connection, &err), WR_NOT_FOUND);
}

static void test_data_that_is_refused_leaves_the_connection(void **state) {
    (void)state;
    struct wr_error err;
    struct wr_postgres_connection connection = {.options = &postgres_bed};
    assert_int_equal(wr_postgres_connect(&connection, &err), WR_OK);
    assert_int_equal(wr_postgres_exec(&connection, "SELECT '{\"a\":\"\\u0000\"}'::jsonb", NULL, 0, NULL, &err), WR_CORRUPT);
    assert_non_null(strstr(err.text, "SQLSTATE 22"));
    assert_non_null(connection.conn);
    assert_int_equal(wr_postgres_exec(&connection, "SELECT nonsense", NULL, 0, NULL, &err), WR_IO);
    assert_null(connection.conn);
}

static void test_addresses(void **state) {
    (void)state;
    struct wr_error err;
    assert_int_equal(wr_postgres_check("postgresql://me@db.example.com:5433/weir?sslmode=verify-full", &err), WR_OK);
    assert_int_equal(wr_postgres_check("postgresql://me:secret@db/weir", &err), WR_INVALID);
    assert_null(strstr(err.text, "secret"));
    assert_int_equal(wr_postgres_check("postgresql://db/weir?password=secret", &err), WR_INVALID);
    assert_null(strstr(err.text, "secret"));
    assert_int_equal(wr_postgres_check("postgresql://db/weir?nonsense=1", &err), WR_INVALID);
    assert_non_null(strstr(err.text, "nonsense"));
}

int main(void) {
    dice = wr_random_begin();
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, STDERR_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_once_and_what_comes_twice_is_dropped),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_several_writers_whose_connections_end_at_any_moment),
        cmocka_unit_test(test_keys_are_folded_also_when_messages_never_pause),
        cmocka_unit_test(test_a_repeated_message_during_folding),
        cmocka_unit_test(test_a_refused_message_leaves_nothing),
        cmocka_unit_test(test_nothing_waits_for_ever),
        cmocka_unit_test(test_data_that_is_refused_leaves_the_connection),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, postgres_bed_start, postgres_bed_stop);
}
