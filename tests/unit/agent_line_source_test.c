/* The line source over real sockets: many clients, parts of lines, limits, backpressure, stop, and failing calls. What is about streams of bytes runs
 * a second time over TLS, through tunnels that the tests know nothing of. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/line_source.h"
#include "tests/support/broker.h"
#include "tests/support/client.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"
#include "tests/support/tls_tunnel.h"

static struct wr_bed bed;
static bool over_tls;
static char dir[64]; /* certificates */
static char ca[128], cert[128], key[128];

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_LINE);
    if (over_tls) {
        bed.address.kind = WR_ADDRESS_TLS;
        bed.config.tls.cert = cert;
        bed.config.tls.key = key;
    }
    return 0;
}

static int set_up_tls(void **state) {
    (void)state;
    wr_test_dir_make(dir);
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    snprintf(cert, sizeof cert, "%s/server.pem", dir);
    snprintf(key, sizeof key, "%s/server.key", dir);
    over_tls = true;
    return 0;
}

static int tear_down_tls(void **state) {
    (void)state;
    wr_test_dir_remove(dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_bed_fini(&bed);
    wr_test_tunnels_close();
    return 0;
}

static int dial(void) {
    const struct wr_tls_config tls = {.ca = ca};
    return over_tls ? wr_test_tunnel(wr_line_source_port(bed.source, 0), &tls) : wr_bed_dial(&bed);
}

/* Calls of the system, not of the code under test: they must not count for wr_failing_io. */
static ssize_t put(int fd, const void *bytes, size_t len) {
    return sendto(fd, bytes, len, MSG_NOSIGNAL, NULL, 0);
}

/* -- the happy path -------------------------------------------------------------------------------------------------------------- */

static void lines_become_readings(void **state) {
    (void)state;
    bed.print = true;
    wr_bed_start(&bed);
    int fd = dial();
    wr_test_put_text(fd, "room_temp,room=A1 value=21.5 1\nroom_temp,room=A2 value=22 2\n");
    wr_bed_take_until(&bed, 2);
    assert_string_equal(wr_buf_str(&bed.text), "{\"measurement\":\"room_temp\",\"field\":\"value\",\"tags\":{\"room\":\"A1\"},\"time_ns\":"
                                               "1,\"value\":21.5,\"type\":\"float\",\"quality\":\"good\"}\n"
                                               "{\"measurement\":\"room_temp\",\"field\":\"value\",\"tags\":{\"room\":\"A2\"},\"time_ns\":"
                                               "2,\"value\":22,\"type\":\"float\",\"quality\":\"good\"}\n");
    assert_int_equal(bed.batches, 1); /* one read callback, one batch */
    close(fd);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2);
}

static void a_lone_reading_is_never_late(void **state) {
    (void)state;
    wr_bed_start(&bed);
    int fd = dial();
    for (int i = 1; i <= 50; i++) {
        wr_test_put_text(fd, "m v=1 1\n");
        wr_bed_take_until(&bed, (uint64_t)i);
    }
    close(fd);
}

static void lines_in_single_bytes_from_many_clients(void **state) {
    (void)state;
    enum { CLIENTS = 50 };
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    int fds[CLIENTS];
    char lines[CLIENTS][96];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial();
        snprintf(lines[i], sizeof lines[i], "m,client=%d value=%di 1\nm,client=%d value=1i 2\r\n", i, i, i);
    }
    for (size_t at = 0; at < sizeof lines[0]; at++)
        for (int i = 0; i < CLIENTS; i++)
            if (at < strlen(lines[i]))
                assert_int_equal(put(fds[i], &lines[i][at], 1), 1);
    wr_bed_wait_taken(&bed, 2 * CLIENTS);
    assert_int_equal(bed.value_sum, CLIENTS * (CLIENTS - 1) / 2 + CLIENTS);
    assert_int_equal(bed.counters.connections, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(bed.counters.connections, 0);
    assert_int_equal(bed.taken, 2 * CLIENTS);
}

static void a_last_line_without_newline_is_taken(void **state) {
    (void)state;
    wr_bed_start(&bed);
    int fd = dial();
    wr_test_put_text(fd, "m v=1i 1\nm v=41i 2");
    close(fd);
    wr_bed_take_until(&bed, 2);
    assert_int_equal(bed.value_sum, 42);
    fd = dial();
    wr_test_put_text(fd, "m v=");
    wr_bed_wait(&bed.counters.bytes, 22);
    wr_test_put_text(fd, "5i");
    close(fd);
    wr_bed_take_until(&bed, 3);
    assert_int_equal(bed.value_sum, 47);
}

static void malformed_lines_leave_the_good_ones(void **state) {
    (void)state;
    wr_bed_start(&bed);
    int fd = dial();
    wr_test_put_text(fd, "good v=1 1\nbad\n\xFF\xFE\nbad v=x 1\nbad v=1 x\ngood v=2 2\n");
    wr_bed_take_until(&bed, 2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 3);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TIME), 1);
    close(fd);
}

/* -- limits ------------------------------------------------------------------------------------------------------------------------ */

static void a_megabyte_without_a_newline_is_one_refused_line(void **state) {
    (void)state;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    int fd = dial();
    char block[4096];
    memset(block, 'x', sizeof block);
    wr_test_put_text(fd, "m v=1 1\n");
    for (int i = 0; i < 256; i++)
        assert_int_equal(put(fd, block, sizeof block), sizeof block);
    wr_test_put_text(fd, "\nm v=2 2\n");
    wr_bed_wait_taken(&bed, 2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 1);
    assert_int_equal(bed.counters.connections, 1);
    close(fd);
}

static void a_line_longer_than_max_line_is_refused_wherever_it_is_cut(void **state) {
    (void)state;
    bed.limits.max_line_bytes = 100;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    char line[200];
    snprintf(line, sizeof line, "m,t=%0120d v=1 1\n", 1);
    for (int pieces = 1; pieces <= 3; pieces++) {
        int fd = dial();
        for (int i = 0; i < pieces; i++) {
            const size_t from = strlen(line) * (size_t)i / (size_t)pieces;
            const size_t to = strlen(line) * (size_t)(i + 1) / (size_t)pieces;
            const uint64_t before = bed.counters.bytes;
            assert_int_equal(put(fd, line + from, to - from), to - from);
            wr_bed_wait(&bed.counters.bytes, before + to - from); /* so that each piece is a read of its own */
        }
        wr_test_put_text(fd, "m v=1 1\n");
        wr_bed_wait_taken(&bed, (uint64_t)pieces);
        assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), pieces);
        close(fd);
    }
}

static void the_oldest_part_goes_when_the_budget_is_used_up(void **state) {
    (void)state;
    bed.limits.partial_lines_bytes = 4096;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    char part[1000];
    memset(part, 'x', sizeof part);
    int fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = dial();
        const uint64_t before = bed.counters.bytes;
        assert_int_equal(put(fds[i], part, sizeof part), sizeof part);
        wr_bed_wait(&bed.counters.bytes, before + sizeof part);
    }
    assert_true(wr_test_is_closed(fds[0])); /* 1024 bytes each: four fit */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 1);
    for (int i = 0; i < 2000 && bed.counters.connections != 4; i++) /* it is closed, and counted a moment later */
        usleep(1000);
    assert_int_equal(bed.counters.connections, 4);
    wr_test_put_text(fds[1], " v=1 1\n"); /* the others are whole */
    wr_bed_wait_taken(&bed, 1);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}

static void a_part_that_does_not_fit_at_all_closes_its_own_connection(void **state) {
    (void)state;
    bed.limits.partial_lines_bytes = 512;
    wr_bed_start(&bed);
    int fd = dial();
    char part[1000];
    memset(part, 'x', sizeof part);
    assert_int_equal(put(fd, part, sizeof part), sizeof part);
    assert_true(wr_test_is_closed(fd));
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 1);
    close(fd);
}

static void connections_beyond_the_limit_are_closed_and_counted(void **state) {
    (void)state;
    bed.config.line.max_connections = 3;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    int fds[5];
    for (int i = 0; i < 5; i++)
        fds[i] = dial();
    assert_true(wr_test_is_closed(fds[3]));
    assert_true(wr_test_is_closed(fds[4]));
    assert_int_equal(bed.counters.connections_refused, 2);
    wr_test_put_text(fds[0], "m v=1 1\n");
    wr_bed_wait_taken(&bed, 1);
    close(fds[0]);
    for (;;) { /* its place is free as soon as the loop has seen it go */
        int fd = dial();
        (void)put(fd, "m v=1 1\n", 8);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        const bool refused = poll(&wait, 1, 20) == 1;
        close(fd);
        if (!refused)
            break;
    }
    wr_bed_wait_taken(&bed, 2);
    for (int i = 1; i < 5; i++)
        close(fds[i]);
}

/* -- backpressure ---------------------------------------------------------------------------------------------------------------- */

/* An engine that takes nothing: the client's send blocks, and nothing is lost. */
static void a_full_pool_blocks_the_sender(void **state) {
    (void)state;
    enum { LINES = 4000000 }; /* more than both sockets hold */
    bed.limits.batches = 2;
    wr_bed_start(&bed);
    int fd = dial();
    int other = dial();
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    static const char text[] = "m v=1i 1\n";
    size_t sent = 0;
    const size_t all = (size_t)LINES * (sizeof text - 1);
    bool blocked = false;
    while (sent < all && !blocked) {
        const size_t at = sent % (sizeof text - 1);
        const ssize_t n = put(fd, text + at, sizeof text - 1 - at);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        assert_true(errno == EAGAIN);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        blocked = poll(&wait, 1, 300) == 0;
    }
    assert_true(blocked);
    assert_true(wr_bed_count(&bed, WR_BOOK_RECEIVED) <= 2 * WR_BATCH_READINGS);
    assert_true(bed.counters.waits > 0);
    wr_test_put_text(other, text); /* another client of the same source waits, too */

    wr_bed_engine_start(&bed);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    while (sent % (sizeof text - 1) != 0) {
        const size_t at = sent % (sizeof text - 1);
        const ssize_t n = put(fd, text + at, sizeof text - 1 - at);
        assert_true(n > 0);
        sent += (size_t)n;
    }
    close(fd);
    close(other);
    wr_bed_wait_taken(&bed, sent / (sizeof text - 1) + 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(bed.taken, sent / (sizeof text - 1) + 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), bed.taken);
}

/* -- stop ---------------------------------------------------------------------------------------------------------------------------- */

/* In one write, so that all of it is readable at the other end when this returns. */
static void send_lines(int fd, int n) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(wr_buf_text(&text, "m v=1i 1\n"), WR_OK);
    wr_test_put_text(fd, wr_buf_str(&text));
    wr_buf_fini(&text);
}

static void stop_takes_what_is_readable(void **state) {
    (void)state;
    enum { LINES = 2000 };
    bed.limits.batches = 2;
    wr_bed_start(&bed);
    int fd = dial();
    int idle = dial();
    wr_test_put_text(idle, "m v=1i 1\nm v=unfinish");
    send_lines(fd, LINES);
    wr_bed_wait(&bed.counters.waits, 1); /* the first batches are full, and the buffer and the socket hold the rest */
    wr_bed_engine_start(&bed);
    wr_bed_stop(&bed);
    wr_bed_wait_taken(&bed, LINES + 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), LINES + 1);
    assert_true(wr_test_is_closed(fd));
    assert_true(wr_test_is_closed(idle));
    close(fd);
    close(idle);
}

static void stop_with_an_engine_that_takes_nothing_books_what_was_read(void **state) {
    (void)state;
    enum { LINES = 2000 };
    bed.limits.batches = 2;
    wr_bed_start(&bed);
    int fd = dial();
    send_lines(fd, LINES);
    wr_bed_wait(&bed.counters.waits, 1);
    assert_int_equal(wr_source_stop(bed.source, wr_clock_boot_ns(wr_clock_real())), WR_TIMEOUT);
    const uint64_t received = wr_bed_count(&bed, WR_BOOK_RECEIVED);
    const uint64_t taken = wr_bed_take(&bed);
    assert_true(taken > 0 && taken < received); /* what was in the buffer found no batch, and is booked */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP), received - taken);
    close(fd);
}

struct flood {
    int fd;
    _Atomic uint64_t sent;
};

static void *flood(void *user) {
    struct flood *client = user;
    static const char text[] = "m v=1i 1\nm v=1i 1\nm v=1i 1\nm v=1i 1\n";
    ssize_t n;
    while ((n = put(client->fd, text, sizeof text - 1)) > 0)
        client->sent += (uint64_t)n;
    return NULL;
}

static void stop_while_clients_send(void **state) {
    (void)state;
    enum { CLIENTS = 8 };
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    pthread_t threads[CLIENTS];
    struct flood clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].fd = dial();
        clients[i].sent = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, flood, &clients[i]), 0);
    }
    wr_bed_wait_taken(&bed, 20000);
    wr_bed_stop(&bed);
    uint64_t sent = 0;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        close(clients[i].fd);
        sent += clients[i].sent;
    }
    wr_bed_wait_taken(&bed, wr_bed_count(&bed, WR_BOOK_RECEIVED));
    assert_int_equal(bed.taken, wr_bed_count(&bed, WR_BOOK_RECEIVED));
    assert_true(bed.taken <= sent / 9 + CLIENTS);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP), 0);
}

/* -- Unix sockets, stdin, addresses ---------------------------------------------------------------------------------------------------- */

static char path[108];

static int dial_unix(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, path);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static void use_unix(void) {
    snprintf(path, sizeof path, "/tmp/weir-line-%ld.sock", (long)getpid());
    bed.address = (struct wr_address){.text = path, .kind = WR_ADDRESS_UNIX, .path = path};
}

static void a_unix_socket(void **state) {
    (void)state;
    use_unix();
    wr_bed_start(&bed);
    struct stat made;
    assert_int_equal(stat(path, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0660);
    int fd = dial_unix();
    assert_true(fd >= 0);
    wr_test_put_text(fd, "m v=1 1\n");
    wr_bed_take_until(&bed, 1);
    close(fd);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(stat(path, &made), -1);
}

static void a_stale_socket_is_replaced_and_a_live_one_never(void **state) {
    (void)state;
    use_unix();
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    assert_int_equal(bind(stale, (const struct sockaddr *)&name, sizeof name), 0);
    close(stale);
    wr_bed_start(&bed);

    struct wr_bed second;
    wr_bed_init(&second, WR_SOURCE_LINE);
    second.address = bed.address;
    wr_bed_create(&second);
    struct wr_error err;
    assert_int_not_equal(wr_source_start(second.source, &err), WR_OK);
    wr_bed_fini(&second);
    int fd = dial_unix(); /* still the first one's */
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);

    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    wr_bed_init(&second, WR_SOURCE_LINE);
    second.address = bed.address;
    wr_bed_create(&second);
    assert_int_not_equal(wr_source_start(second.source, &err), WR_OK);
    wr_bed_fini(&second);
    assert_int_equal(unlink(path), 0); /* and was not removed */
}

static void an_address_in_use_is_told(void **state) {
    (void)state;
    wr_bed_start(&bed);
    struct wr_bed second;
    wr_bed_init(&second, WR_SOURCE_LINE);
    second.address.port = wr_line_source_port(bed.source, 0);
    wr_bed_create(&second);
    struct wr_error err;
    assert_int_equal(wr_source_start(second.source, &err), WR_BUSY);
    assert_non_null(strstr(err.text, "in use"));
    wr_bed_fini(&second);
}

static void read_stdin(int fd, bool is_file) {
    int saved = dup(STDIN_FILENO);
    dup2(fd, STDIN_FILENO);
    bed.address = (struct wr_address){.text = (char *)"stdin", .kind = WR_ADDRESS_STDIN};
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    wr_bed_wait_taken(&bed, 3000);
    if (is_file)
        wr_bed_wait(&bed.counters.finished, 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(bed.taken, 3000);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void stdin_may_be_a_pipe(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(dprintf(ends[1], "m v=1i 1\n"), 9);
    read_stdin(ends[0], false);
    close(ends[0]);
    close(ends[1]);
}

static void stdin_may_be_a_file(void **state) {
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    for (int i = 0; i < 3000; i++)
        fprintf(file, "m v=1i 1\n");
    fflush(file);
    rewind(file);
    read_stdin(fileno(file), true);
    fclose(file);
}

/* -- failing calls ----------------------------------------------------------------------------------------------------------------- */

static void every_allocation_of_create_and_start_may_fail(void **state) {
    (void)state;
    wr_bed_start_without_memory(&bed);
}

/* Whatever allocation fails while two clients send: at most one line or one connection is lost, it is counted, and the rest arrives. */
static void any_allocation_may_fail_while_clients_send(void **state) {
    (void)state;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    for (long n = 0; n < 12; n++) {
        const uint64_t before = bed.taken + wr_bed_count(&bed, WR_BOOK_REJECTED_MEMORY) + bed.counters.connections_refused;
        wr_failing_allocations(n);
        int fd = dial();
        char text[128];
        snprintf(text, sizeof text, "m,n=%ld v=1,s=\"a \\\"b\\\" %ld\" 1\nm,n=x v", n, n);
        wr_test_put_text(fd, text);
        const int64_t deadline = wr_bed_in_s(10);
        while (bed.taken + wr_bed_count(&bed, WR_BOOK_REJECTED_MEMORY) + bed.counters.connections_refused == before &&
               wr_clock_boot_ns(wr_clock_real()) < deadline)
            sched_yield();
        wr_failing_off();
        (void)put(fd, "=1 1\n", 5);
        close(fd);
    }
    int fd = dial();
    const uint64_t before = bed.taken;
    wr_test_put_text(fd, "m v=1i 1\n");
    wr_bed_wait_taken(&bed, before + 1);
    close(fd);
}

static void a_read_that_fails_closes_that_connection_only(void **state) {
    (void)state;
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    int good = dial();
    int bad = dial();
    wr_test_put_text(good, "m v=1 1\n");
    wr_test_put_text(bad, "m v=1 1\nm v=4");
    wr_bed_wait_taken(&bed, 2);
    wr_bed_wait(&bed.counters.bytes, 21);
    wr_failing_io(0, ECONNRESET);
    wr_test_put_text(bad, "2 1\n");
    assert_true(wr_test_is_closed(bad));
    wr_failing_off();
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1); /* the part of a line */
    wr_test_put_text(good, "m v=2 1\n");
    wr_bed_wait_taken(&bed, 3);
    wr_failing_io(0, EINTR); /* no failure at all */
    wr_test_put_text(good, "m v=3 1\n");
    wr_bed_wait_taken(&bed, 4);
    close(good);
    close(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_become_readings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lone_reading_is_never_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_in_single_bytes_from_many_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_last_line_without_newline_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_lines_leave_the_good_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_megabyte_without_a_newline_is_one_refused_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_longer_than_max_line_is_refused_wherever_it_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_part_goes_when_the_budget_is_used_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_that_does_not_fit_at_all_closes_its_own_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_beyond_the_limit_are_closed_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_pool_blocks_the_sender, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_takes_what_is_readable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_with_an_engine_that_takes_nothing_books_what_was_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_while_clients_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_unix_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stale_socket_is_replaced_and_a_live_one_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_in_use_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stdin_may_be_a_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stdin_may_be_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_of_create_and_start_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_allocation_may_fail_while_clients_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_that_fails_closes_that_connection_only, set_up, tear_down),
    };
    const struct CMUnitTest tls_tests[] = {
        cmocka_unit_test_setup_teardown(lines_become_readings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lone_reading_is_never_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_in_single_bytes_from_many_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_last_line_without_newline_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_lines_leave_the_good_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_megabyte_without_a_newline_is_one_refused_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_longer_than_max_line_is_refused_wherever_it_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_part_goes_when_the_budget_is_used_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_that_does_not_fit_at_all_closes_its_own_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_pool_blocks_the_sender, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_while_clients_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_in_use_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_of_create_and_start_may_fail, set_up, tear_down),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(tls_tests, set_up_tls, tear_down_tls);
}
