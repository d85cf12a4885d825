/* The intake and its series cache: series, types, texts, what is refused and counted, and full pools in the middle of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/line.h"
#include "agent/sources/intake.h"
#include "core/log.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"

static struct wr_bed bed;
static struct wr_intake intake;
static struct wr_line_parser parser;
static uint64_t line;

static void begin(void) {
    wr_bed_create(&bed);
    wr_intake_init(&intake, &bed.env);
    wr_line_parser_init(&parser, WR_PRECISION_NS, 1 << 20);
    line = 0;
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
}

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_LINE);
    bed.print = true;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_intake_fini(&intake);
    wr_line_parser_fini(&parser);
    wr_bed_fini(&bed);
    return 0;
}

/* Feeds all of it, with an engine that takes whenever the pool is empty. */
static void feed(const char *text) {
    const struct wr_now now = wr_clock_now(bed.env.clock);
    wr_intake_arrived(&intake, &now);
    size_t len = strlen(text);
    for (;;) {
        size_t consumed;
        const enum wr_result result = wr_line_feed(&parser, text, len, true, &line, &intake.sink, &consumed);
        text += consumed;
        len -= consumed;
        if (result == WR_OK)
            break;
        assert_int_equal(result, WR_FULL);
        assert_true(wr_bed_take(&bed) > 0);
    }
    wr_intake_hand_over(&intake);
    wr_bed_take(&bed);
}

#define R(field, value, type)                                                                                                              \
    "{\"measurement\":\"m\",\"field\":\"" field "\",\"tags\":{},\"time_ns\":1,\"value\":" value ",\"type\":\"" type                        \
    "\",\"quality\":\"good\"}\n"

static void readings_of_every_type_arrive(void **state) {
    (void)state;
    begin();
    feed("m f=1.5,i=2i,u=3u,b=t,s=\"on\" 1\nm f=-1.5,i=-2i,u=4u,b=f,s=\"off\" 1\n");
    assert_string_equal(wr_buf_str(&bed.text), R("f", "1.5", "float") R("i", "2", "int") R("u", "3", "uint") R("b", "true", "bool")
                                                   R("s", "\"on\"", "string") R("f", "-1.5", "float") R("i", "-2", "int")
                                                       R("u", "4", "uint") R("b", "false", "bool") R("s", "\"off\"", "string"));
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 10);
    assert_int_equal(wr_series_count(bed.series), 5);
}

static void tags_in_any_order_are_one_series(void **state) {
    (void)state;
    begin();
    feed("m,a=1,b=2 v=1 1\nm,b=2,a=1 v=2 1\nm,a=1,b=2 v=3 1\nm,b=2,a=1 v=4 1\nm\\,x v=1 1\nm,x=1 v=1 1\n");
    assert_int_equal(wr_series_count(bed.series), 3);
    assert_int_equal(bed.taken, 6);
}

static void a_type_is_fixed_by_the_first_reading(void **state) {
    (void)state;
    begin();
    feed("m f=1.5,i=1i 1\nm f=2i,i=3 1\nm f=9007199254740993i,i=1.5 1\nm f=\"x\",i=t 1\nm f=t,i=4u 1\nm f=nan,i=nan 1\n");
    assert_string_equal(
        wr_buf_str(&bed.text),
        R("f", "1.5", "float") R("i", "1", "int") R("f", "2", "float") R("i", "3", "int") R(
            "i", "4",
            "int") "{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{},\"time_ns\":1,\"value\":null,\"type\":\"float\",\"quality\":\"bad\"}"
                   "\n"
                   "{\"measurement\":\"m\",\"field\":\"i\",\"tags\":{},\"time_ns\":1,\"value\":0,\"type\":\"int\",\"quality\":\"bad\"}\n");
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TYPE), 5);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), bed.taken);
}

static void series_beyond_the_limit_are_refused_and_counted(void **state) {
    (void)state;
    bed.limits.max_series = 10;
    bed.print = false;
    begin();
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "m,id=%d v=1 1\n", i);
        feed(text);
    }
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SERIES), 990);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 10);
    feed("m,id=3 v=2 1\n"); /* those that are known go on */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 11);
}

static void texts_beyond_the_limit_are_refused_and_counted(void **state) {
    (void)state;
    bed.limits.max_symbols = 3;
    bed.print = false;
    begin();
    char text[2048];
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "m s=\"text %d\" 1\nm s=\"text 0\" 1\n", i);
        feed(text);
    }
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYMBOLS), 7);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 13);
    memset(text, 'x', sizeof text);
    memcpy(text, "m s=\"", 5);
    memcpy(text + sizeof text - 6, "\" 1\n", 5);
    feed(text);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYMBOLS), 8);
}

static void malformed_series_are_refused(void **state) {
    (void)state;
    begin();
    feed(",a=1 v=1 1\nm,a v=1 1\nm,a=1,a=2 v=1,w=2 1\nm v=1 1\nm v=x 1\nm v=1 x\n");
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 5); /* of the line with two fields each one */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TIME), 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 1);
}

/* A record longer than all batches of the pool, offered until it is taken: each field once, in order. */
static void a_record_longer_than_the_pool(void **state) {
    (void)state;
    bed.limits.batches = 2;
    bed.limits.max_series = 2000;
    bed.print = false;
    begin();
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, "m "), WR_OK);
    for (int i = 0; i < WR_LINE_FIELDS; i++)
        assert_int_equal(wr_buf_printf(&text, "%sf%d=%di", i ? "," : "", i, i), WR_OK);
    assert_int_equal(wr_buf_text(&text, " 1\nm f0=7i 1\n"), WR_OK);
    feed(wr_buf_str(&text));
    feed(wr_buf_str(&text));
    assert_int_equal(bed.taken, 2 * (WR_LINE_FIELDS + 1));
    assert_int_equal(bed.value_sum, 2 * (WR_LINE_FIELDS * (WR_LINE_FIELDS - 1) / 2 + 7));
    assert_int_equal(wr_series_count(bed.series), WR_LINE_FIELDS);
    wr_buf_fini(&text);
}

static void after_the_deadline_readings_are_booked(void **state) {
    (void)state;
    bed.limits.batches = 2;
    begin();
    const struct wr_now now = wr_clock_now(bed.env.clock);
    wr_intake_arrived(&intake, &now);
    struct wr_buf text;
    wr_buf_init(&text, 0);
    for (int i = 0; i < 700; i++)
        assert_int_equal(wr_buf_printf(&text, "m a=1,b=2 %d\n", i), WR_OK);
    size_t consumed;
    assert_int_equal(wr_line_feed(&parser, (char *)text.data, text.len, true, &line, &intake.sink, &consumed), WR_FULL);
    size_t first = consumed;
    wr_intake_discard(&intake);
    assert_int_equal(wr_line_feed(&parser, (char *)text.data + first, text.len - first, true, &line, &intake.sink, &consumed), WR_OK);
    wr_intake_hand_over(&intake);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 1400);
    assert_int_equal(wr_bed_take(&bed), 2 * WR_BATCH_READINGS);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP), 1400 - 2 * WR_BATCH_READINGS);
    assert_int_equal(intake.dropped, 1400 - 2 * WR_BATCH_READINGS);
    wr_buf_fini(&text);
}

static void an_engine_that_is_gone_is_booked(void **state) {
    (void)state;
    begin();
    wr_channel_close(bed.to_engine);
    feed("m v=1 1\nm v=2 1\n");
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP), 2);
}

static void out_of_memory_refuses_one_reading_and_lives(void **state) {
    (void)state;
    bed.print = false;
    begin();
    feed("m a=1 1\n");
    for (long n = 0; n < 40; n++) {
        char text[128];
        snprintf(text, sizeof text, "m,n=%ld v=1,s=\"text %ld\" 1\nm a=2 1\n", n, n);
        const uint64_t before = bed.taken;
        const uint64_t refused = wr_bed_count(&bed, WR_BOOK_REJECTED_MEMORY);
        wr_failing_allocations(n % 4);
        feed(text);
        wr_failing_off();
        assert_int_equal(bed.taken - before + wr_bed_count(&bed, WR_BOOK_REJECTED_MEMORY) - refused, 3);
    }
}

/* -- the cache alone, against a simple model ----------------------------------------------------------------------------------------- */

static void the_cache_tells_what_was_put(void **state) {
    (void)state;
    begin();
    for (unsigned small = 0; small < 2; small++) {
        struct wr_series_cache cache;
        wr_series_cache_init(&cache, small ? 8192 : 4 << 20, 1);
        unsigned known = 0;
        for (uint32_t round = 0; round < 40000; round++) {
            const uint32_t id = (round * 2654435761u) % 5000;
            char origin[64];
            char name[32];
            const int origin_len = snprintf(origin, sizeof origin, "m,host=%.*s%u", (int)(id % 20), "aaaaaaaaaaaaaaaaaaaaa", id / 3);
            const int name_len = snprintf(name, sizeof name, "f%.*s%u", (int)(id % 9), "bbbbbbbbbb", id % 3);
            struct wr_series_cursor cursor = wr_series_cache_begin((struct wr_word){origin, (size_t)origin_len});
            struct wr_series_hit hit;
            if (wr_series_cache_find(&cache, &cursor, (struct wr_word){name, (size_t)name_len}, &hit)) {
                assert_int_equal(hit.series, id);
                assert_int_equal(hit.type, id % 5);
                known++;
            } else {
                wr_series_cache_put(&cache, &cursor, (struct wr_word){name, (size_t)name_len},
                                    (struct wr_series_hit){id, (uint8_t)(id % 5)});
            }
            assert_true(cache.n_slots * sizeof(uint64_t) + cache.memory_size * sizeof(uint64_t) <= cache.max_bytes);
        }
        assert_true(small || known >= 35000);
        wr_series_cache_fini(&cache);
    }
}

static void the_cache_lives_without_memory(void **state) {
    (void)state;
    begin();
    struct wr_series_cache cache;
    wr_series_cache_init(&cache, 1 << 20, 1);
    for (int i = 0; i < 2000; i++) {
        char origin[32];
        const int len = snprintf(origin, sizeof origin, "m,host=%d", i);
        struct wr_series_cursor cursor = wr_series_cache_begin((struct wr_word){origin, (size_t)len});
        struct wr_series_hit hit;
        wr_failing_allocations(0);
        assert_false(wr_series_cache_find(&cache, &cursor, (struct wr_word){"v", 1}, &hit));
        wr_series_cache_put(&cache, &cursor, (struct wr_word){"v", 1}, (struct wr_series_hit){(uint32_t)i, 1});
        wr_failing_off();
        if (i == 500)
            wr_series_cache_put(&cache, &cursor, (struct wr_word){"v", 1}, (struct wr_series_hit){(uint32_t)i, 1});
    }
    wr_series_cache_fini(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readings_of_every_type_arrive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_in_any_order_are_one_series, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_type_is_fixed_by_the_first_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(series_beyond_the_limit_are_refused_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_beyond_the_limit_are_refused_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_series_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_longer_than_the_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_the_deadline_readings_are_booked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_engine_that_is_gone_is_booked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_refuses_one_reading_and_lives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cache_tells_what_was_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cache_lives_without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
