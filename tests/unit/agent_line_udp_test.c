/* Lines in datagrams: what becomes of them, what is refused, no free batch, a flood (the sender's own count must come out), stop, failing calls. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
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
static struct wr_address addresses[2]; /* UDP, and where a test wants it TCP */
static int sender = -1;

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_LINE);
    bed.limits.stop_deadline_ns = 10 * WR_NS_PER_S;
    addresses[0] = addresses[1] = bed.address;
    addresses[0].kind = WR_ADDRESS_UDP;
    bed.config.line.addresses = addresses;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    if (sender >= 0)
        close(sender);
    sender = -1;
    wr_bed_fini(&bed);
    return 0;
}

static void start(void) {
    wr_bed_start(&bed);
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(wr_line_source_port(bed.source, 0)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(sender, (const struct sockaddr *)&to, sizeof to), 0);
    const int large = 1 << 20;
    (void)setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
}

static void put(const void *bytes, size_t len) {
    assert_int_equal(sendto(sender, bytes, len, 0, NULL, 0), len);
}

static void say(const char *text) {
    put(text, strlen(text));
}

static void stop(void) {
    wr_bed_stop(&bed);
}

/* -- what becomes of a datagram ---------------------------------------------------------------------------------------------------------------- */

static void datagrams_become_readings(void **state) {
    (void)state;
    bed.print = true;
    start();
    say("room_temp,room=A1 value=21.5 1\nroom_temp,room=A2 value=22 2");
    wr_bed_take_until(&bed, 2);
    assert_string_equal(wr_buf_str(&bed.text), "{\"measurement\":\"room_temp\",\"field\":\"value\",\"tags\":{\"room\":\"A1\"},\"time_ns\":"
                                               "1,\"value\":21.5,\"type\":\"float\",\"quality\":\"good\"}\n"
                                               "{\"measurement\":\"room_temp\",\"field\":\"value\",\"tags\":{\"room\":\"A2\"},\"time_ns\":"
                                               "2,\"value\":22,\"type\":\"float\",\"quality\":\"good\"}\n");
    bed.print = false;
    say("m v=1i 1\r\n\n# nothing\nm v=2i,w=3i 1\n");
    say("");
    say("m v=10i 1");
    wr_bed_take_until(&bed, 6);
    assert_int_equal(bed.value_sum, 43 + 16); /* 21.5 counts as 21 */
    stop();
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 6);
    assert_int_equal(bed.counters.datagrams, 4);
    assert_int_equal(bed.counters.datagrams_lost, 0);
}

/* A line that is not complete is not completed by the next datagram, which may be somebody else's. */
static void nothing_goes_on_in_the_next_datagram(void **state) {
    (void)state;
    start();
    say("m v=1i 1\nm v=");
    say("2i 1\nm v=3i 1");
    wr_bed_take_until(&bed, 2);
    assert_int_equal(bed.value_sum, 4);
    stop();
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 2);
}

static void json_in_datagrams(void **state) {
    (void)state;
    bed.config.format = WR_SOURCE_FORMAT_JSON;
    start();
    say("{\"measurement\":\"m\",\"field\":\"v\",\"tags\":{},\"time_ns\":1,\"value\":5,\"type\":\"int\",\"quality\":\"good\"}");
    say("{\"measurement\":\"m\",\"field\":");
    say("{\"measurement\":\"m\",\"field\":\"v\",\"tags\":{},\"time_ns\":1,\"value\":6,\"type\":\"int\",\"quality\":\"good\"}\n");
    wr_bed_take_until(&bed, 2);
    assert_int_equal(bed.value_sum, 11);
    stop();
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1);
}

static void a_datagram_that_is_cut_off_is_refused_whole(void **state) {
    (void)state;
    enum { LONGEST = 64000, LARGEST = 65507 };
    static char bytes[LARGEST];
    start();
    wr_bed_engine_start(&bed);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = "m v=1i 1\n"[i % 9];
    put(bytes, LONGEST + 1);
    put(bytes, LARGEST);
    put(bytes, LONGEST - LONGEST % 9);
    wr_bed_wait_taken(&bed, LONGEST / 9);
    stop();
    assert_int_equal(bed.taken, LONGEST / 9);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 2);
}

static void ipv6(void **state) {
    (void)state;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&to, sizeof to) < 0)
        skip(); /* a machine without IPv6 */
    addresses[0].host = (char *)"::1";
    start();
    to.sin6_port = htons(wr_line_source_port(bed.source, 0));
    assert_int_equal(sendto(fd, "m v=7i 1\nbad\n", 13, 0, (const struct sockaddr *)&to, sizeof to), 13);
    wr_bed_take_until(&bed, 1);
    close(fd);
}

static void an_address_in_use_is_told(void **state) {
    (void)state;
    start();
    struct wr_bed second;
    wr_bed_init(&second, WR_SOURCE_LINE);
    second.address.kind = WR_ADDRESS_UDP;
    second.address.port = wr_line_source_port(bed.source, 0);
    wr_bed_create(&second);
    struct wr_error err;
    assert_int_equal(wr_source_start(second.source, &err), WR_BUSY);
    assert_non_null(strstr(err.text, "in use"));
    wr_bed_fini(&second);
}

/* -- no free batch ---------------------------------------------------------------------------------------------------------------------------- */

/* A few datagrams wait for the engine in the socket's buffer. */
static void a_short_stall_costs_nothing(void **state) {
    (void)state;
    enum { DATAGRAMS = 40, READINGS = 60 };
    char text[READINGS * 9 + 1] = "";
    for (int i = 0; i < READINGS; i++)
        strcat(text, "m v=1i 1\n");
    bed.limits.batches = 2;
    start();
    for (int i = 0; i < DATAGRAMS; i++)
        say(text);
    wr_bed_wait(&bed.counters.waits, 1);
    assert_true(wr_bed_count(&bed, WR_BOOK_RECEIVED) <= 2 * WR_BATCH_READINGS);
    wr_bed_engine_start(&bed);
    wr_bed_wait_taken(&bed, DATAGRAMS * READINGS);
    stop();
    assert_int_equal(bed.taken, DATAGRAMS * READINGS);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW), 0);
    assert_int_equal(bed.counters.datagrams_lost, 0);
}

enum { FLOOD_READINGS = 20 };

static const char *flood_text(void) {
    static char text[FLOOD_READINGS * 16 + 1];
    text[0] = '\0';
    for (int i = 0; i < FLOOD_READINGS / 2; i++)
        strcat(text, "m a=1i,b=1i 1\n");
    return text;
}

/* The sender's count against ours: each reading was taken, or dropped and booked; each datagram that we never saw is in the kernel's count. */
static void the_count_comes_out(uint64_t sent) {
    wr_bed_wait_taken(&bed, wr_bed_count(&bed, WR_BOOK_RECEIVED) - wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW) -
                                wr_bed_count(&bed, WR_BOOK_DROPPED_STOP));
    assert_int_equal(bed.counters.datagrams + bed.counters.datagrams_lost, sent);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), bed.counters.datagrams * FLOOD_READINGS);
    assert_int_equal(bed.taken + wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW) + wr_bed_count(&bed, WR_BOOK_DROPPED_STOP),
                     wr_bed_count(&bed, WR_BOOK_RECEIVED));
}

/* The engine takes nothing for a long while: the oldest are dropped, line by line into the books. */
static void a_flood_without_an_engine_is_booked(void **state) {
    (void)state;
    const char *text = flood_text();
    uint64_t sent = 0;
    bed.limits.batches = 2;
    start();
    const int64_t deadline = wr_bed_in_s(20);
    for (; wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW) < 100000; sent++) {
        say(text);
        assert_true(wr_clock_boot_ns(wr_clock_real()) < deadline);
    }
    wr_bed_engine_start(&bed);
    stop();
    the_count_comes_out(sent);
    assert_true(bed.taken >= 2 * WR_BATCH_READINGS); /* what was there first waited for the engine, and so did the newest */
    assert_true(bed.counters.waits > 0);
}

static _Atomic bool flooding;
static void *flood(void *user) {
    const char *text = flood_text();
    for (uint64_t *sent = user; flooding; ++*sent)
        say(text);
    return NULL;
}

static void a_flood_with_an_engine(void **state) {
    (void)state;
    uint64_t sent = 0;
    pthread_t thread;
    start();
    wr_bed_engine_start(&bed);
    flooding = true;
    assert_int_equal(pthread_create(&thread, NULL, flood, &sent), 0);
    wr_bed_wait_taken(&bed, 400000);
    flooding = false;
    pthread_join(thread, NULL);
    stop();
    the_count_comes_out(sent);
}

/* The other way round: a TCP sender in the middle of a record waits for a batch, and datagrams are dropped meanwhile, with the same codec's kind. */
static void datagrams_are_dropped_while_a_connection_waits(void **state) {
    (void)state;
    enum { LINES = 3000 };
    const char *text = flood_text();
    uint64_t sent = 0;
    bed.limits.batches = 2;
    bed.config.line.n_listen = 2;
    start();
    int fd = wr_test_dial(wr_line_source_port(bed.source, 1));
    struct wr_buf lines;
    wr_buf_init(&lines, 0);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(wr_buf_text(&lines, "t x=1i,y=2i,z=3i 1\n"), WR_OK);
    assert_int_equal(sendto(fd, wr_buf_str(&lines), lines.len, MSG_NOSIGNAL, NULL, 0), lines.len);
    wr_buf_fini(&lines);
    wr_bed_wait(&bed.counters.waits, 1);
    const int64_t deadline = wr_bed_in_s(20);
    for (; wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW) < 50000; sent++) {
        say(text);
        assert_true(wr_clock_boot_ns(wr_clock_real()) < deadline);
    }
    wr_bed_engine_start(&bed);
    const uint64_t of_tcp = (uint64_t)LINES * 3;
    wr_bed_wait_taken(&bed, of_tcp);
    stop();
    wr_bed_wait_taken(&bed, wr_bed_count(&bed, WR_BOOK_RECEIVED) - wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW));
    assert_int_equal(bed.counters.datagrams + bed.counters.datagrams_lost, sent);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), of_tcp + bed.counters.datagrams * FLOOD_READINGS);
    assert_int_equal(bed.taken + wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW), wr_bed_count(&bed, WR_BOOK_RECEIVED));
    assert_int_equal(bed.value_sum, LINES * 6 + (int64_t)(bed.taken - of_tcp)); /* no reading of TCP twice, or of another line */
    close(fd);
}

/* -- stop -------------------------------------------------------------------------------------------------------------------------------------- */

static void stop_takes_what_has_arrived(void **state) {
    (void)state;
    enum { DATAGRAMS = 100 };
    const char *text = flood_text();
    bed.limits.batches = 2;
    start();
    for (int i = 0; i < DATAGRAMS; i++)
        say(text);
    wr_bed_engine_start(&bed);
    stop();
    the_count_comes_out(DATAGRAMS);
    assert_int_equal(bed.taken, DATAGRAMS * FLOOD_READINGS);
}

static void stop_with_an_engine_that_takes_nothing_books_it(void **state) {
    (void)state;
    enum { DATAGRAMS = 100 };
    const char *text = flood_text();
    bed.limits.batches = 2;
    start();
    for (int i = 0; i < DATAGRAMS; i++)
        say(text);
    wr_bed_wait(&bed.counters.waits, 1);
    assert_int_equal(wr_source_stop(bed.source, wr_clock_boot_ns(wr_clock_real())), WR_TIMEOUT);
    wr_bed_take(&bed);
    the_count_comes_out(DATAGRAMS);
    assert_true(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP) > 0);
}

/* -- failing calls ------------------------------------------------------------------------------------------------------------------------------- */

static void every_allocation_of_create_and_start_may_fail(void **state) {
    (void)state;
    wr_bed_start_without_memory(&bed);
}

static void a_read_that_fails_is_only_tried_again(void **state) {
    (void)state;
    start();
    wr_bed_engine_start(&bed);
    const int codes[] = {EINTR, ENOMEM, EAGAIN};
    for (uint64_t i = 0; i < 3; i++) {
        wr_failing_io(0, codes[i]);
        say("m v=1i 1\n");
        wr_bed_wait_taken(&bed, i + 1);
        assert_true(wr_failing_hit());
        wr_failing_off();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datagrams_become_readings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_goes_on_in_the_next_datagram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_in_datagrams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_datagram_that_is_cut_off_is_refused_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_in_use_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_stall_costs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_without_an_engine_is_booked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_with_an_engine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(datagrams_are_dropped_while_a_connection_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_takes_what_has_arrived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_with_an_engine_that_takes_nothing_books_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_of_create_and_start_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_that_fails_is_only_tried_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
