/* Bytes on the wire of a connection over the loopback: no fewer than what was sent, and the headers no more than they can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/wire_bytes.h"

#define BYTES 1000000u

static void connect_pair(int family, int fds[2]) {
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (family == AF_INET)
        ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    const int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0)
        skip(); /* no IPv6 here */
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    fds[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, len), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    (void)close(listener);
}

static void both_ends_count(int family) {
    static char piece[10000];
    struct wr_wire_bytes from = {0}, to = {0};
    int fds[2];
    connect_pair(family, fds);
    for (unsigned sent = 0; sent < BYTES; sent += sizeof piece) {
        assert_int_equal(send(fds[0], piece, sizeof piece, 0), sizeof piece);
        assert_int_equal(recv(fds[1], piece, sizeof piece, MSG_WAITALL), sizeof piece);
    }
    assert_int_equal(send(fds[1], "x", 1, 0), 1); /* with it comes the last acknowledgement */
    assert_int_equal(recv(fds[0], piece, 1, 0), 1);
    if (!wr_wire_bytes_of(fds[0], &from))
        skip(); /* an emulator of another processor cannot ask; that it is counted elsewhere, tests/system/brokers_test.py sees */
    assert_true(wr_wire_bytes_of(fds[1], &to));
    assert_in_range(from.sent, BYTES + 3 * 40, BYTES + BYTES / 5);
    assert_in_range(to.received, BYTES + 3 * 40, BYTES + BYTES / 5);
    assert_in_range(to.sent, 1 + 40, BYTES / 5);
    struct wr_wire_bytes sum = from;
    wr_wire_bytes_add(&sum, fds[0]);
    assert_true(sum.sent >= 2 * from.sent && sum.received >= 2 * from.received);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void over_ipv4(void **state) {
    (void)state;
    both_ends_count(AF_INET);
}

static void over_ipv6(void **state) {
    (void)state;
    both_ends_count(AF_INET6);
}

static void what_is_no_tcp_is_not_counted(void **state) {
    (void)state;
    int pair[2];
    struct wr_wire_bytes bytes = {.sent = 7};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_false(wr_wire_bytes_of(pair[0], &bytes));
    wr_wire_bytes_add(&bytes, pair[0]);
    wr_wire_bytes_add(&bytes, -1);
    assert_int_equal(bytes.sent, 7);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_ipv4),
        cmocka_unit_test(over_ipv6),
        cmocka_unit_test(what_is_no_tcp_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
