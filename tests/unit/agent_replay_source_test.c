/* Replay: one timeline out of several files, the three paces, loops, stop, and what cannot be read. Where it counts what was handed over together, the
 * test moves the clock: with the real one that would depend on how busy the machine is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/replay_source.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"

#define FILES 4
static struct wr_bed bed;
static struct wr_clock_virtual hands;
static char paths[FILES][64];
static char *files[FILES];

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_REPLAY);
    bed.print = true;
    bed.csv.time_format = (char *)"s";
    bed.config.replay.files = files;
    bed.config.format = WR_SOURCE_FORMAT_CSV;
    bed.config.replay.pace = WR_REPLAY_FAST;
    bed.config.replay.start = WR_REPLAY_AS_RECORDED;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    const unsigned n = bed.config.replay.n_files;
    wr_bed_fini(&bed);
    for (unsigned i = 0; i < n; i++)
        (void)unlink(paths[i]);
    return 0;
}

static void add_file(const char *text) {
    const unsigned i = bed.config.replay.n_files++;
    snprintf(paths[i], sizeof paths[i], "/tmp/weir-replay-%ld-%u.csv", (long)getpid(), i);
    files[i] = paths[i];
    FILE *file = fopen(paths[i], "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The stamps of the readings, in seconds and tenths, as one text. */
static const char *stamps(int64_t minus_ns) {
    static char text[1024];
    size_t len = 0;
    text[0] = '\0';
    for (const char *p = wr_buf_str(&bed.text); (p = strstr(p, "\"time_ns\":")) != NULL; p++) {
        const long long ns = atoll(p + 10) - minus_ns;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%lld.%lld", len ? " " : "", ns / 1000000000, ns % 1000000000 / 100000000);
    }
    return text;
}

static int64_t first_stamp(void) {
    return atoll(strstr(wr_buf_str(&bed.text), "\"time_ns\":") + 10);
}

static void ends(uint64_t readings) {
    wr_bed_wait(&bed.counters.finished, 1);
    assert_int_equal(wr_bed_take(&bed), 0);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), readings);
}

static void play_to_the_end(uint64_t readings) {
    wr_bed_start(&bed);
    wr_bed_take_until(&bed, readings);
    ends(readings);
}

/* A clock that only the test moves. */
static void stop_the_clock(void) {
    wr_clock_virtual_init(&hands, 0, INT64_C(1772438400) * WR_NS_PER_S, 1);
    bed.clock = &hands.clock;
}

/* Moves it to when the next records are due; all of them come in one batch. */
static void move_and_take(int64_t ms, uint64_t readings) {
    const uint64_t batches = bed.batches;
    wr_clock_virtual_advance(&hands, ms * WR_NS_PER_MS);
    wr_bed_take_until(&bed, bed.taken + readings);
    assert_int_equal(bed.batches, batches + 1);
}

static void files_are_one_timeline(void **state) {
    (void)state;
    bed.csv.measurement = (char *)"m";
    add_file("t,b\n30,1\n40,2\n");
    add_file("t,a\n10,1\n20,2\n");
    add_file("t,c\n15,1\n35,2\n35,3\n50,4\n");
    play_to_the_end(8);
    assert_string_equal(stamps(0), "10.0 15.0 20.0 30.0 35.0 35.0 40.0 50.0");
}

static void equal_stamps_go_in_the_order_of_the_files(void **state) {
    (void)state;
    add_file("t,a\n10,1\n20,3\n");
    add_file("t,a\n10,2\n20,4\n");
    play_to_the_end(4);
    const char *text = wr_buf_str(&bed.text);
    for (int value = 1; value <= 4; value++) {
        char want[32];
        snprintf(want, sizeof want, "\"value\":%d,", value);
        text = strstr(text, want);
        assert_non_null(text);
    }
}

static void the_measurement_is_the_files_name(void **state) {
    (void)state;
    add_file("t,a\n10,1\n");
    play_to_the_end(1);
    char want[64];
    snprintf(want, sizeof want, "\"measurement\":\"weir-replay-%ld-0\"", (long)getpid());
    assert_non_null(strstr(wr_buf_str(&bed.text), want));
}

static void line_protocol_too(void **state) {
    (void)state;
    bed.config.format = WR_SOURCE_FORMAT_LINE;
    bed.config.precision = WR_PRECISION_S;
    add_file("m v=2 20\nbad\nm v=3 30\nm v=4");
    add_file("# c\nm v=1 10\nm v=1 25\n");
    play_to_the_end(5);
    assert_non_null(strstr(wr_buf_str(&bed.text), "\"time_ns\":null")); /* no stamp: its arrival */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1);
}

static void fast_keeps_stamps_and_order(void **state) {
    (void)state;
    add_file("t,a\n10,1\n100000,2\n50,3\n100001,4\n");
    play_to_the_end(4);
    assert_string_equal(stamps(0), "10.0 100000.0 50.0 100001.0");
}

static void rescale_divides_intervals_and_shortens_gaps(void **state) {
    (void)state;
    bed.config.replay.pace = WR_REPLAY_RESCALE;
    bed.config.replay.speedup = 100;
    bed.config.replay.max_gap_ns = 20 * WR_NS_PER_S;
    bed.config.replay.start = WR_REPLAY_NOW;
    add_file("t,a\n10,1\n20,2\n1000000,3\n999995,4\n1000010,5\n");
    stop_the_clock();
    const int64_t start_ns = wr_clock_wall_ns(&hands.clock);
    wr_bed_start(&bed);
    /* 0, 10 s, + 20 s (shortened), 5 s before that, + 10 s: all over 100. Each is handed over when it is due, before the next wait. */
    move_and_take(0, 1);
    move_and_take(100, 1);
    move_and_take(200, 2);
    move_and_take(100, 1);
    ends(5);
    assert_int_equal(first_stamp(), start_ns);
    assert_string_equal(stamps(start_ns), "0.0 0.1 0.3 0.2 0.4");
}

static void rescale_to_a_duration(void **state) {
    (void)state;
    bed.config.replay.pace = WR_REPLAY_RESCALE;
    bed.config.replay.duration_ns = 400 * WR_NS_PER_MS;
    bed.config.replay.start = WR_REPLAY_NOW;
    add_file("t,a\n1000,1\n1010,2\n1040,3\n");
    add_file("t,a\n1020,1\nbad,7\n");
    play_to_the_end(4);
    assert_string_equal(stamps(first_stamp()), "0.0 0.1 0.2 0.4");
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TIME), 1); /* the pass that measures does not count */
}

static void recorded_waits_as_the_recording_did(void **state) {
    (void)state;
    bed.config.replay.pace = WR_REPLAY_RECORDED;
    bed.config.replay.start = WR_REPLAY_NOW;
    bed.csv.time_format = (char *)"ms";
    add_file("t,a\n1000,1\n1100,2\n1300,3\n");
    stop_the_clock();
    wr_bed_start(&bed);
    move_and_take(0, 1);
    move_and_take(100, 1);
    move_and_take(200, 1);
    ends(3);
    assert_string_equal(stamps(first_stamp()), "0.0 0.1 0.3");
}

static void a_loop_goes_on_behind_its_end(void **state) {
    (void)state;
    bed.config.replay.loop = true;
    add_file("t,a\n10,1\n30,2\n40,3\n");
    wr_bed_start(&bed);
    wr_bed_take_until(&bed, 8);
    assert_int_equal(bed.counters.finished, 0);
    while (wr_source_stop(bed.source, wr_bed_in_s(5)) != WR_OK)
        ;
    char text[64];
    snprintf(text, sizeof text, "%.40s", stamps(0));
    assert_string_equal(text, "10.0 30.0 40.0 50.0 70.0 80.0 90.0 110.0");
}

static void a_loop_over_nothing_ends(void **state) {
    (void)state;
    bed.config.replay.loop = true;
    add_file("t,a\n");
    play_to_the_end(0);
}

static void stop_does_not_wait_for_the_recording(void **state) {
    (void)state;
    bed.config.replay.pace = WR_REPLAY_RECORDED;
    add_file("t,a\n10,1\n1000000,2\n");
    wr_bed_start(&bed);
    wr_bed_take_until(&bed, 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(bed.counters.finished, 0);
}

static void stop_while_it_waits_for_a_batch(void **state) {
    (void)state;
    bed.limits.batches = 2;
    bed.print = false;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, "t,a,b,c\n"), WR_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wr_buf_printf(&text, "%d,1,1,1\n", i), WR_OK);
    add_file(wr_buf_str(&text));
    wr_buf_fini(&text);
    wr_bed_start(&bed);
    wr_bed_wait(&bed.counters.waits, 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(wr_bed_take(&bed), 2 * WR_BATCH_READINGS);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2 * WR_BATCH_READINGS);
}

static void a_slow_engine_loses_nothing(void **state) {
    (void)state;
    bed.limits.batches = 2;
    bed.print = false;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, "t,a,b,c\n"), WR_OK);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(wr_buf_printf(&text, "%d,1,2,%d\n", i, i % 7), WR_OK);
    add_file(wr_buf_str(&text));
    add_file(wr_buf_str(&text));
    wr_buf_fini(&text);
    play_to_the_end(30000);
    assert_int_equal(bed.value_sum, 2 * (3 * 5000 + 14995));
}

static void files_that_cannot_be_read_are_left_out(void **state) {
    (void)state;
    add_file("t,a\n10,1\n");
    add_file("t,a\n20,1\n");
    add_file("when,a\n30,1\n");
    bed.csv.time_column = (char *)"t";
    assert_int_equal(unlink(paths[1]), 0);
    play_to_the_end(1);
}

static void no_file_at_all_is_told_at_the_start(void **state) {
    (void)state;
    wr_bed_create(&bed);
    struct wr_error err;
    assert_int_equal(wr_source_start(bed.source, &err), WR_NOT_FOUND);
}

static void failing_reads_and_allocations(void **state) {
    (void)state;
    bed.print = false;
    add_file("t,a\n10,1\n20,\"x\"\"y\"\n");
    add_file("t,a\n15,1\n");
    for (int kind = 0; kind < 2; kind++) {
        for (long n = 0;; n++) {
            struct wr_error err = {0};
            wr_bed_create(&bed);
            if (kind == 0)
                wr_failing_io(n, EIO);
            else
                wr_failing_allocations(n);
            if (wr_source_start(bed.source, &err) == WR_OK) {
                wr_bed_wait(&bed.counters.finished, 1);
                assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
            }
            const bool hit = wr_failing_hit();
            wr_failing_off();
            wr_bed_take(&bed);
            const uint64_t seen = bed.taken;
            assert_int_equal(seen, wr_bed_count(&bed, WR_BOOK_RECEIVED));
            assert_true(hit || seen == 2 || seen == 3); /* the text does not fit the type of its series */
            struct wr_config_replay replay = bed.config.replay;
            struct wr_config_csv csv = bed.csv;
            wr_bed_fini(&bed);
            wr_bed_init(&bed, WR_SOURCE_REPLAY);
            bed.config.replay = replay;
            bed.config.format = WR_SOURCE_FORMAT_CSV;
            bed.csv = csv;
            bed.config.replay.csv = &bed.csv;
            if (!hit)
                break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_one_timeline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_stamps_go_in_the_order_of_the_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_measurement_is_the_files_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(line_protocol_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fast_keeps_stamps_and_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rescale_divides_intervals_and_shortens_gaps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rescale_to_a_duration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(recorded_waits_as_the_recording_did, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_goes_on_behind_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_loop_over_nothing_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_does_not_wait_for_the_recording, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_while_it_waits_for_a_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_engine_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_file_at_all_is_told_at_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failing_reads_and_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
