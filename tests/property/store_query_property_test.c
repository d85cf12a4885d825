/* Queries over segments against the same queries over an ordinary table of rows that holds the same records: random records of all types, some delivered, in
 * segments of random length, random questions. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/query_bed.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define RECORDS 1500
#define QUESTIONS 300
#define BASE_NS (INT64_C(1772000000) * WR_NS_PER_S)
#define SPAN_MINUTES 300

static struct wr_random dice;

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

/* -- series ------------------------------------------------------------------------------------------------------------------------------------ */

struct series {
    const char key[40];
    uint16_t len;
    uint8_t type;
    const char *words[4]; /* series, name, field, tags */
};

static const struct series all[] = {
    {"temp\0value\0room\0A", 18, WR_TYPE_FLOAT, {"temp{room=A}", "temp", "value", "{\"room\":\"A\"}"}},
    {"temp\0value\0room\0B", 18, WR_TYPE_FLOAT, {"temp{room=B}", "temp", "value", "{\"room\":\"B\"}"}},
    {"temp\0raw\0room\0B", 16, WR_TYPE_INT, {"temp.raw{room=B}", "temp", "raw", "{\"room\":\"B\"}"}},
    {"count\0value", 12, WR_TYPE_UINT, {"count", "count", "value", "{}"}},
    {"door\0open\0room\0A\0wing\0\xC3\xA4",
     25,
     WR_TYPE_BOOL,
     {"door.open{room=A,wing=\xC3\xA4}", "door", "open", "{\"room\":\"A\",\"wing\":\"\xC3\xA4\"}"}},
    {"state\0value", 12, WR_TYPE_SYMBOL, {"state", "state", "value", "{}"}},
};
#define SERIES (sizeof all / sizeof all[0])

static const char *const texts[] = {"on", "off", "half'way"};

/* -- records into both ---------------------------------------------------------------------------------------------------------------------------- */

struct model {
    struct store_fixture fixture;
    uint32_t symbols[3];
    sqlite3 *db;
    sqlite3_stmt *insert;
};

static void run(struct model *model, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(model->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static union wr_value random_value(const struct model *model, uint8_t type, uint32_t *ret_text) {
    *ret_text = below(3);
    switch (type) {
    case WR_TYPE_FLOAT:
        return (union wr_value){.f = (double)((int)below(2000) - 1000) / 10};
    case WR_TYPE_INT:
        return (union wr_value){.i = below(10) == 0 ? INT64_MIN + below(5) : (int)below(200) - 100};
    case WR_TYPE_UINT:
        return (union wr_value){.u = below(20) == 0 ? INT64_MAX - (uint64_t)below(5) : below(1000)};
    case WR_TYPE_BOOL:
        return (union wr_value){.u = below(2)};
    default:
        return (union wr_value){.u = model->symbols[*ret_text]};
    }
}

static void bind_value(sqlite3_stmt *row, int at, uint8_t type, union wr_value value, uint32_t text) {
    if (type == WR_TYPE_FLOAT)
        sqlite3_bind_double(row, at, value.f);
    else if (type == WR_TYPE_SYMBOL)
        sqlite3_bind_text(row, at, texts[text], -1, SQLITE_STATIC);
    else
        sqlite3_bind_int64(row, at, value.i);
}

/* Numbers that a sum in 128 bits is made of, and how often; 2^64 does not fit into what SQLite keeps as an integer. */
static void bind_sum(sqlite3_stmt *row, const struct wr_aggregate *aggregate) {
    const bool is_whole = aggregate->type != WR_TYPE_FLOAT && wr_i128_is_int64(aggregate->sum.scaled);
    if (is_whole)
        sqlite3_bind_int64(row, 10, wr_i128_low(aggregate->sum.scaled));
    else
        sqlite3_bind_double(row, 10, wr_sum_double(&aggregate->sum));
}

static void add_record(struct model *model) {
    const struct series *series = &all[below(SERIES)];
    const bool is_change = below(4) == 0;
    struct wr_aggregate aggregate = {.key = series->key,
                                     .key_len = series->len,
                                     .type = series->type,
                                     .decimals = 1,
                                     .account = is_change ? 0 : 1,
                                     .window_ns = is_change ? 0 : 60 * WR_NS_PER_S,
                                     .start_ns = BASE_NS + below(SPAN_MINUTES) * 60 * WR_NS_PER_S + (below(8) == 0 ? below(1000000000) : 0),
                                     .flags = (uint8_t)(below(3) == 0 ? below(16) : 0),
                                     .quality = (uint8_t)(is_change ? below(3) : 0),
                                     .sum = wr_sum_zero(),
                                     .bad = below(5) == 0 ? below(4) : 0};
    uint32_t text_of[4] = {0};
    const uint32_t n = below(8);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t text;
        const union wr_value value = random_value(model, series->type, &text);
        if (series->type != WR_TYPE_SYMBOL)
            wr_sum_add(&aggregate.sum, (enum wr_type)series->type, value, 1);
        if (i == 0) {
            aggregate.first = aggregate.min = aggregate.max = value;
            text_of[0] = text;
        }
        if (wr_reading_below((enum wr_type)series->type, value, aggregate.min))
            aggregate.min = value;
        if (wr_reading_below((enum wr_type)series->type, aggregate.max, value))
            aggregate.max = value;
        aggregate.last = value;
        text_of[1] = text;
    }
    aggregate.n = n;
    model->fixture.handover.aggregates[model->fixture.handover.n++] = aggregate;

    sqlite3_stmt *row =
        model->insert; /* series, name, field, tags, time_ns, window_ns, n, bad, quality, sum, min, max, first, last, late, partial */
    sqlite3_reset(row);
    sqlite3_clear_bindings(row);
    for (int i = 0; i < 4; i++)
        sqlite3_bind_text(row, 1 + i, series->words[i], -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 5, aggregate.start_ns);
    sqlite3_bind_int64(row, 6, aggregate.window_ns);
    sqlite3_bind_int64(row, 7, (int64_t)aggregate.n);
    sqlite3_bind_int64(row, 8, (int64_t)aggregate.bad);
    const char *quality = aggregate.quality == 1 || (aggregate.quality == 0 && n > 0 && aggregate.flags & WR_AGGREGATE_UNCERTAIN) ||
                                  (aggregate.quality == 0 && n == 0 && aggregate.bad == 0 && aggregate.flags & WR_AGGREGATE_UNCERTAIN)
                              ? "uncertain"
                          : aggregate.quality == 2 || (n == 0 && aggregate.bad > 0) ? "bad"
                                                                                    : "good";
    sqlite3_bind_text(row, 9, quality, -1, SQLITE_STATIC);
    if (n > 0 && series->type != WR_TYPE_SYMBOL) {
        bind_sum(row, &aggregate);
        bind_value(row, 11, series->type, aggregate.min, 0);
        bind_value(row, 12, series->type, aggregate.max, 0);
    }
    if (n > 0) {
        bind_value(row, 13, series->type, aggregate.first, text_of[0]);
        bind_value(row, 14, series->type, aggregate.last, text_of[1]);
    }
    sqlite3_bind_int(row, 15, (aggregate.flags & WR_AGGREGATE_LATE) != 0);
    sqlite3_bind_int(row, 16, (aggregate.flags & WR_AGGREGATE_PARTIAL) != 0);
    assert_int_equal(sqlite3_step(row), SQLITE_DONE);
}

static void fill(struct model *model) {
    struct store_fixture *fixture = &model->fixture;
    for (uint32_t left = RECORDS; left > 0;) {
        uint32_t n = 1 + below(200);
        n = n > left ? left : n;
        left -= n;
        for (uint32_t i = 0; i < n; i++)
            add_record(model);
        store_fixture_take(fixture);
        if (below(2) == 0)
            assert_int_equal(wr_store_flush(fixture->store, &fixture->now, &fixture->err), WR_OK);
    }
    assert_int_equal(wr_store_flush(fixture->store, &fixture->now, &fixture->err), WR_OK);
    assert_int_equal(wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, 5, &fixture->now, &fixture->err), WR_OK);
}

/* -- questions, the same for both but for times as texts ------------------------------------------------------------------------------------------- */

struct question {
    char here[2048];
    char there[2048];
};

static void say(struct question *question, const char *here, const char *there) {
    strncat(question->here, here, sizeof question->here - strlen(question->here) - 1);
    strncat(question->there, there, sizeof question->there - strlen(question->there) - 1);
}

WR_PRINTF(2, 3) static void say_both(struct question *question, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say(question, text, text);
}

static int64_t random_time(void) {
    return BASE_NS + ((int64_t)below(SPAN_MINUTES + 20) - 10) * 60 * WR_NS_PER_S + (below(4) == 0 ? below(1000000000) : 0);
}

/* A comparison with a time, as a text where the segments are asked. */
static void say_time(struct question *question) {
    static const char *const comparisons[] = {"<", "<=", ">", ">=", "=", "!="};
    char time[WR_QUERY_TIME_BYTES];
    char here[128];
    char there[128];
    const int64_t at = random_time();
    const char *comparison = comparisons[below(6)];
    wr_query_time_print(time, at);
    snprintf(here, sizeof here, "time %s '%s'", comparison, time);
    snprintf(there, sizeof there, "time_ns %s %" PRId64, comparison, at);
    say(question, below(2) ? here : there, there);
}

static void say_condition(struct question *question) {
    const struct series *series = &all[below(SERIES)];
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
        say_time(question);
        return;
    case 3:
        say_both(question, "(");
        say_time(question);
        say_both(question, below(2) ? " OR " : " AND ");
        say_time(question);
        say_both(question, ")");
        return;
    case 4:
    case 5:
        say_both(question, "series = '%s'", series->words[0]);
        return;
    case 6:
        say_both(question, "(series IN ('%s', 'temp{room=A}', 'none') OR name = '%s')", series->words[0], all[below(SERIES)].words[1]);
        return;
    case 7:
        say_both(question, "name = '%s' AND field != 'raw'", series->words[1]);
        return;
    case 8:
        say_both(question, "field = '%s'", series->words[2]);
        return;
    case 9:
        say_both(question, "tags->>'room' = 'B'");
        return;
    case 10:
        say_both(question, "n > %u", below(8));
        return;
    default:
        say_both(question, "quality %s 'good' AND (last > %u OR last IS NULL)", below(2) ? "=" : "!=", below(100));
        return;
    }
}

static void ask_anything(struct question *question) {
    static const char *const selects[] = {
        "SELECT series, name, field, tags, time_ns, window_ns, n, bad, quality, sum, min, max, first, last, late, partial FROM readings r",
        "SELECT count(*), sum(n), sum(bad), min(time_ns), max(time_ns), max(last) FROM readings r",
        "SELECT series, count(*), sum(n), min(min), max(max) FROM readings r",
        "SELECT time_ns / 3600000000000, quality, count(*) FROM readings r",
    };
    static const char *const ends[] = {" ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 LIMIT 500", "",
                                       " GROUP BY 1 ORDER BY 1", " GROUP BY 1, 2 ORDER BY 1, 2"};
    const uint32_t which = below(4);
    *question = (struct question){{0}, {0}};
    say_both(question, "%s", selects[which]);
    for (uint32_t i = 0, n = below(4); i < n; i++) {
        say_both(question, i == 0 ? " WHERE " : below(5) == 0 ? " OR " : " AND ");
        say_condition(question);
    }
    say_both(question, "%s", ends[which]);
}

static void rows_of(struct model *model, const char *sql, struct wr_buf *into) {
    sqlite3_stmt *row = NULL;
    int code;
    if (sqlite3_prepare_v2(model->db, sql, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(model->db));
    wr_buf_clear(into);
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(row); i++) {
            const char *before = i > 0 ? "|" : "";
            if (sqlite3_column_type(row, i) == SQLITE_FLOAT)
                assert_int_equal(wr_buf_printf(into, "%s%.17g", before, sqlite3_column_double(row, i)), WR_OK);
            else if (sqlite3_column_type(row, i) == SQLITE_NULL)
                assert_int_equal(wr_buf_text(into, before), WR_OK);
            else
                assert_int_equal(wr_buf_printf(into, "%s%s", before, (const char *)sqlite3_column_text(row, i)), WR_OK);
        }
        assert_int_equal(wr_buf_text(into, "\n"), WR_OK);
    }
    assert_int_equal(code, SQLITE_DONE);
    sqlite3_finalize(row);
}

static void test_the_same_as_a_table_of_rows(void **state) {
    struct model *model = calloc(1, sizeof *model);
    struct query_bed bed;
    struct wr_buf rows;
    (void)state;
    dice = wr_random_begin();
    store_fixture_init(&model->fixture);
    assert_int_equal(store_fixture_open(&model->fixture), WR_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wr_symbol_intern(model->fixture.symbols, texts[i], strlen(texts[i]), &model->symbols[i]), WR_OK);
    assert_int_equal(sqlite3_open(":memory:", &model->db), SQLITE_OK);
    run(model,
        "CREATE TABLE readings(series TEXT, name TEXT, field TEXT, tags TEXT, time_ns INTEGER, window_ns INTEGER, n INTEGER, bad INTEGER,"
        " quality TEXT, sum, min, max, first, last, late INTEGER, partial INTEGER)");
    assert_int_equal(
        sqlite3_prepare_v2(model->db, "INSERT INTO readings VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1, &model->insert, NULL), SQLITE_OK);
    fill(model);
    query_bed_init(&bed, wr_history_of_store(model->fixture.store));
    wr_buf_init(&rows, 0);
    uint64_t found = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct question question;
        ask_anything(&question);
        rows_of(model, question.there, &rows);
        if (query_bed_ask(&bed, question.here) != WR_OK)
            fail_msg("%s: %s", question.here, bed.err.text);
        if (strcmp(wr_buf_str(&bed.rows), wr_buf_str(&rows)) != 0)
            fail_msg("%s\n%.2000s-- a table of rows says\n%.2000s", question.here, wr_buf_str(&bed.rows), wr_buf_str(&rows));
        assert_int_equal(bed.report.damaged, 0);
        found += bed.report.rows;
    }
    assert_true(found > QUESTIONS);
    wr_buf_fini(&rows);
    query_bed_fini(&bed);
    sqlite3_finalize(model->insert);
    sqlite3_close(model->db);
    store_fixture_fini(&model->fixture);
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_same_as_a_table_of_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
