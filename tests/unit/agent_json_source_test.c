/* JSON over real sockets: values cut anywhere, over several lines, without lines; bad ones leave the good ones; limits, backpressure, failing calls. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/line_source.h"
#include "tests/support/client.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"

static struct wr_bed bed;
static struct wr_config_json mapping;

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_LINE);
    static char *tags[] = {(char *)"s"};
    mapping = (struct wr_config_json){.tags = tags, .n_tags = 1, .time = (char *)"t", .time_format = (char *)"ns"};
    bed.config.format = WR_SOURCE_FORMAT_JSON;
    bed.config.json = &mapping;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_bed_fini(&bed);
    return 0;
}

static void put(int fd, const char *bytes, size_t len) {
    assert_true(wr_test_put(fd, bytes, len));
}

/* So that it is a read of its own. */
static void put_alone(int fd, const char *bytes, size_t len) {
    const uint64_t before = bed.counters.bytes;
    put(fd, bytes, len);
    wr_bed_wait(&bed.counters.bytes, before + len);
}

/* -- cut anywhere ------------------------------------------------------------------------------------------------------------------------ */

static void values_are_whole_wherever_they_are_cut(void **state) {
    (void)state;
    static const char text[] =
        "{\"s\":\"a\",\"v\":1}{\"s\":\"a\",\"v\":2}\n{\n \"s\": \"b\",\n \"v\": 3\n}\n[{\"v\":4},\n{\"v\":5}]\n\n{\"v\":6";
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    uint64_t taken = 0;
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        int fd = wr_bed_dial(&bed);
        put_alone(fd, text, cut);
        put_alone(fd, text + cut, sizeof text - 1 - cut);
        wr_test_put_text(fd, "}");
        close(fd);
        taken += 6;
        wr_bed_wait_taken(&bed, taken);
    }
    assert_int_equal(bed.value_sum, (int64_t)taken / 6 * 21);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 0);
}

static void values_in_single_bytes_from_many_clients(void **state) {
    (void)state;
    enum { CLIENTS = 20 };
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    int fds[CLIENTS];
    char values[CLIENTS][128];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = wr_bed_dial(&bed);
        snprintf(values[i], sizeof values[i], "{\"s\":\"client %d }\", \"v\":%d}{\"s\":\"x\",\r\n\"v\":1}", i, i);
    }
    for (size_t at = 0; at < sizeof values[0]; at++)
        for (int i = 0; i < CLIENTS; i++)
            if (at < strlen(values[i]))
                put(fds[i], &values[i][at], 1);
    wr_bed_wait_taken(&bed, 2 * CLIENTS); /* none needs a newline, or the end of its connection */
    assert_int_equal(bed.value_sum, CLIENTS * (CLIENTS - 1) / 2 + CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

static void a_lone_value_is_never_late(void **state) {
    (void)state;
    wr_bed_start(&bed);
    int fd = wr_bed_dial(&bed);
    for (int i = 1; i <= 20; i++) {
        put_alone(fd, "{\"v\":", 5);
        wr_test_put_text(fd, "1}");
        wr_bed_take_until(&bed, (uint64_t)i);
    }
    close(fd);
}

/* A long value of many lines is not read anew for each of them. */
static void a_long_value_of_many_lines(void **state) {
    (void)state;
    mapping.records = (char *)"r";
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, "{\"r\":[\n"), WR_OK);
    for (int i = 0; i < 2500; i++)
        assert_int_equal(wr_buf_printf(&text, "  {\"s\": \"a\", \"v\": %d}%s\n", i, i < 2499 ? "," : ""), WR_OK);
    assert_int_equal(wr_buf_text(&text, "]}\n{\"r\":{\"v\":1}}\n"), WR_OK);
    assert_true(text.len > 50000 && text.len < 65536);
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    for (int round = 0; round < 3; round++) {
        int fd = wr_bed_dial(&bed);
        for (size_t at = 0, step = round == 2 ? 7 : 1000; at < text.len; at += step)
            put(fd, (const char *)text.data + at, text.len - at < step ? text.len - at : step);
        wr_bed_wait_taken(&bed, (uint64_t)(round + 1) * 2501);
        close(fd);
    }
    assert_int_equal(bed.value_sum, 3 * (2500 * 2499 / 2 + 1));
    wr_buf_fini(&text);
}

/* -- what is bad ---------------------------------------------------------------------------------------------------------------------- */

static void bad_values_leave_the_good_ones(void **state) {
    (void)state;
    wr_bed_start(&bed);
    int fd = wr_bed_dial(&bed);
    wr_test_put_text(fd, "{\"v\":1}\n{\"v\":01}\n{\"v\":2\n{\"v\":3}\n\xFF\n{\"v\":\"x\n{\"t\":\"x\",\"v\":1}\n{\"v\":4} 5\n{\"v\":6}\n");
    wr_bed_take_until(&bed, 4);
    assert_int_equal(bed.value_sum, 14);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 5);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TIME), 1);
    close(fd);
}

static void what_has_no_end_is_one_refused_value(void **state) {
    (void)state;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    int fd = wr_bed_dial(&bed);
    char block[4096];
    memset(block, 'x', sizeof block);
    wr_test_put_text(fd, "{\"v\":1}\n{\"v\":\"");
    for (int i = 0; i < 256; i++)
        put(fd, block, sizeof block);
    wr_test_put_text(fd, "\"}\n{\"v\":2}\n");
    wr_bed_wait_taken(&bed, 2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 1);
    memset(block, '[', sizeof block); /* deeper than any value may be: known as soon as its line ends */
    for (int i = 0; i < 8; i++)
        put(fd, block, sizeof block);
    wr_test_put_text(fd, "\n{\"v\":3}\n");
    wr_bed_wait_taken(&bed, 3);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1);
    assert_int_equal(bed.counters.connections, 1);
    close(fd);
}

static void a_value_longer_than_max_line_is_refused_wherever_it_is_cut(void **state) {
    (void)state;
    bed.limits.max_line_bytes = 100;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    char value[200];
    snprintf(value, sizeof value, "{\"s\":\"%0120d\",\"v\":1}\n", 1);
    for (int pieces = 1; pieces <= 3; pieces++) {
        int fd = wr_bed_dial(&bed);
        for (int i = 0; i < pieces; i++) {
            const size_t from = strlen(value) * (size_t)i / (size_t)pieces;
            const size_t to = strlen(value) * (size_t)(i + 1) / (size_t)pieces;
            put_alone(fd, value + from, to - from);
        }
        wr_test_put_text(fd, "{\"v\":1}\n");
        wr_bed_wait_taken(&bed, (uint64_t)pieces);
        assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), pieces);
        close(fd);
    }
    /* What is short enough is taken, however much comes with it. */
    int fd = wr_bed_dial(&bed);
    char two[400];
    snprintf(two, sizeof two, "{\"s\":\"%060d\",\"v\":1}{\"s\":\"%060d\",\n\"v\":1}\n{\"v\":1}\n", 1, 2);
    put_alone(fd, two, 40);
    wr_test_put_text(fd, two + 40);
    wr_bed_wait_taken(&bed, 6);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 3);
    close(fd);
}

/* -- backpressure, failing calls ---------------------------------------------------------------------------------------------------------- */

static void a_full_pool_loses_nothing(void **state) {
    (void)state;
    enum { LISTS = 3000 };
    bed.limits.batches = 2;
    wr_bed_start(&bed);
    int fd = wr_bed_dial(&bed);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    struct wr_buf list;
    wr_buf_init(&list, 0);
    assert_int_equal(wr_buf_text(&list, "["), WR_OK);
    for (int i = 0; i < 700; i++)
        assert_int_equal(wr_buf_printf(&list, "%s{\"v\":1,\"w\":2%s}", i ? "," : "", i % 100 == 0 ? ",\"x\":3" : ""), WR_OK);
    assert_int_equal(wr_buf_text(&list, "] \n"), WR_OK);
    size_t sent = 0;
    bool blocked = false;
    while (!blocked && sent < LISTS * list.len) {
        const size_t at = sent % list.len;
        const ssize_t n = sendto(fd, list.data + at, list.len - at, MSG_NOSIGNAL, NULL, 0);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (n > 0)
            sent += (size_t)n;
        else
            blocked = poll(&wait, 1, 300) == 0;
    }
    assert_true(blocked && bed.counters.waits > 0);
    wr_bed_engine_start(&bed);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    if (sent % list.len != 0) {
        put(fd, (const char *)list.data + sent % list.len, list.len - sent % list.len);
        sent += list.len - sent % list.len;
    }
    close(fd);
    const uint64_t lists = sent / list.len;
    wr_bed_wait_taken(&bed, lists * 1407);
    assert_int_equal(bed.value_sum, (int64_t)lists * (700 * 3 + 7 * 3));
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(bed.taken, lists * 1407);
    wr_buf_fini(&list);
}

/* Whatever allocation fails: the source says so, or the readings are all there or refused. */
static void every_allocation_of_a_start_may_fail(void **state) {
    (void)state;
    wr_bed_create(&bed);
    for (long n = 0;; n++) {
        struct wr_source *source;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        const enum wr_result result = wr_source_create(&bed.env, &source, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        assert_true(!hit || strstr(err.text, "test"));
        if (result == WR_OK)
            wr_source_free(source);
        if (!hit)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_whole_wherever_they_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_in_single_bytes_from_many_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lone_value_is_never_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_value_of_many_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_values_leave_the_good_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_end_is_one_refused_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_value_longer_than_max_line_is_refused_wherever_it_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_pool_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_of_a_start_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
