/* The relay: lets in this process and nobody else, carries every byte in order both ways, and says how it ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/failing.h"
#include "transport/relay.h"

#define PATIENCE_NS (10 * WR_NS_PER_S)
#define FLOOD_BYTES (1u << 20)

static int64_t soon(void) {
    return wr_clock_boot_ns(wr_clock_real()) + PATIENCE_NS;
}

/* A relay whose "broker" is the other end of a socketpair. */
static struct wr_relay *relay_to(int *ret_broker_fd, uint16_t *ret_port, int64_t deadline_ns) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    struct wr_stream stream = {.fd = pair[0]};
    struct wr_relay *relay = NULL;
    assert_int_equal(wr_relay_open(&stream, deadline_ns, &relay, ret_port, NULL), WR_OK);
    assert_int_equal(stream.fd, -1);
    *ret_broker_fd = pair[1];
    return relay;
}

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Waits for the end through its sign: the other end of our socket closes. */
static void await_end(int fd) {
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        ;
}

/* Another process: true if it was let in far enough to get a byte. */
static bool stranger_gets_in(uint16_t port) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int fd = 3; fd < 256; fd++) /* nothing of its parent's: only its own socket */
            (void)close(fd);
        int fd = connect_to(port);
        char byte = 'x';
        bool in = fd >= 0 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
        _exit(in ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) != 0;
}

static void a_stranger_stays_out_and_we_get_in(void **state) {
    (void)state;
    int broker = -1;
    uint16_t port = 0;
    struct wr_relay *relay = relay_to(&broker, &port, soon());
    for (int i = 0; i < 3; i++)
        assert_false(stranger_gets_in(port));
    int own = connect_to(port);
    assert_true(own >= 0);
    assert_int_equal(send(own, "hello", 5, 0), 5);
    char text[8] = "";
    assert_int_equal(recv(broker, text, 5, MSG_WAITALL), 5);
    assert_string_equal(text, "hello");     /* and not the strangers' bytes */
    assert_int_equal(connect_to(port), -1); /* the listener is gone */
    (void)close(own);
    await_end(broker);
    struct wr_relay_stats stats;
    wr_relay_stats(relay, &stats);
    assert_int_equal(stats.strangers, 3);
    assert_int_equal(stats.sent_bytes, 5);
    wr_relay_close(relay);
    (void)close(broker);
}

static uint8_t pattern(size_t at) {
    return (uint8_t)(at * 31 + (at >> 8));
}

/* A megabyte each way at once, through ends that read when they can. */
static void bytes_keep_their_order(void **state) {
    (void)state;
    int broker = -1;
    uint16_t port = 0;
    struct wr_relay *relay = relay_to(&broker, &port, soon());
    int own = connect_to(port);
    int fds[2] = {own, broker};
    size_t sent[2] = {0, 0};
    size_t received[2] = {0, 0};
    while (received[0] < FLOOD_BYTES || received[1] < FLOOD_BYTES) {
        struct pollfd polls[2];
        for (int i = 0; i < 2; i++)
            polls[i] = (struct pollfd){.fd = fds[i], .events = (short)(POLLIN | (sent[i] < FLOOD_BYTES ? POLLOUT : 0))};
        assert_true(poll(polls, 2, 10000) > 0);
        for (int i = 0; i < 2; i++) {
            uint8_t bytes[5000];
            if (polls[i].revents & POLLOUT) {
                size_t n = sizeof bytes < FLOOD_BYTES - sent[i] ? sizeof bytes : FLOOD_BYTES - sent[i];
                for (size_t k = 0; k < n; k++)
                    bytes[k] = pattern(sent[i] + k);
                ssize_t done = send(fds[i], bytes, n, MSG_DONTWAIT);
                sent[i] += done > 0 ? (size_t)done : 0;
            }
            if (polls[i].revents & POLLIN) {
                ssize_t done = recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT);
                for (ssize_t k = 0; k < done; k++)
                    assert_int_equal(bytes[k], pattern(received[i] + (size_t)k));
                received[i] += done > 0 ? (size_t)done : 0;
            }
        }
    }
    (void)close(own);
    await_end(broker);
    struct wr_relay_stats stats;
    wr_relay_stats(relay, &stats);
    assert_int_equal(stats.sent_bytes, FLOOD_BYTES);
    assert_int_equal(stats.received_bytes, FLOOD_BYTES);
    wr_relay_close(relay);
    (void)close(broker);
}

/* The last words of an end that goes still arrive. */
static void last_words_arrive(void **state) {
    (void)state;
    int broker = -1;
    uint16_t port = 0;
    struct wr_error cause;
    char text[8] = "";
    struct wr_relay *relay = relay_to(&broker, &port, soon());
    int own = connect_to(port);
    assert_int_equal(send(broker, "reason", 6, 0), 6);
    (void)close(broker);
    assert_int_equal(recv(own, text, 6, MSG_WAITALL), 6);
    assert_string_equal(text, "reason");
    await_end(own);
    assert_true(wr_relay_end(relay, &cause));
    assert_int_equal(cause.code, WR_CLOSED);
    assert_string_equal(cause.text, "the broker closed the connection");
    (void)close(own);
    wr_relay_close(relay);

    relay = relay_to(&broker, &port, soon());
    own = connect_to(port);
    assert_int_equal(send(own, "1", 1, 0), 1);
    assert_int_equal(recv(broker, text, 1, MSG_WAITALL), 1); /* it is accepted: a socket that is closed before belongs to nobody */
    assert_int_equal(send(own, "goodby", 6, 0), 6);
    (void)close(own);
    assert_int_equal(recv(broker, text, 6, MSG_WAITALL), 6);
    assert_string_equal(text, "goodby");
    await_end(broker);
    assert_true(wr_relay_end(relay, &cause));
    assert_int_equal(cause.code, WR_OK);
    wr_relay_close(relay);
    (void)close(broker);
}

/* A DISCONNECT that was written just before the close goes out, although the stop comes at once. */
static void a_stop_passes_on_what_was_written(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        int broker = -1;
        uint16_t port = 0;
        char text[8] = "";
        struct wr_relay *relay = relay_to(&broker, &port, soon());
        int own = connect_to(port);
        assert_int_equal(send(own, "1", 1, 0), 1);
        assert_int_equal(recv(broker, text, 1, MSG_WAITALL), 1); /* it is accepted */
        assert_int_equal(send(own, "bye", 3, 0), 3);
        wr_relay_close(relay);
        assert_int_equal(recv(broker, text, 3, MSG_WAITALL), 3);
        assert_string_equal(text, "bye");
        (void)close(own);
        (void)close(broker);
    }
}

static void nobody_comes(void **state) {
    (void)state;
    int broker = -1;
    uint16_t port = 0;
    struct wr_error cause;
    struct wr_relay *relay = relay_to(&broker, &port, 0);
    await_end(broker);
    assert_true(wr_relay_end(relay, &cause));
    assert_int_equal(cause.code, WR_TIMEOUT);
    wr_relay_close(relay);
    (void)close(broker);
}

static void no_memory(void **state) {
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct wr_stream stream = {.fd = pair[0]};
    struct wr_relay *relay = NULL;
    uint16_t port = 0;
    wr_failing_allocations(0);
    assert_int_equal(wr_relay_open(&stream, soon(), &relay, &port, NULL), WR_NO_MEMORY);
    wr_failing_off();
    assert_int_equal(stream.fd, -1); /* taken, and closed */
    await_end(pair[1]);
    (void)close(pair[1]);
}

/* Each of the relay's first socket calls fails once: it ends, and both sides see the end. Our own side writes with write, which counts as well. */
static void broken_sockets(void **state) {
    (void)state;
    for (long n = 0; n < 8; n++) {
        int broker = -1;
        uint16_t port = 0;
        char text[4];
        struct wr_relay *relay = relay_to(&broker, &port, soon());
        int own = connect_to(port);
        assert_int_equal(send(own, "1", 1, 0), 1);
        assert_int_equal(recv(broker, text, 1, MSG_WAITALL), 1);
        wr_failing_io(n, EPIPE); /* among the calls that follow, ours and the relay's */
        (void)send(own, "2", 1, MSG_NOSIGNAL);
        (void)send(broker, "3", 1, MSG_NOSIGNAL);
        (void)shutdown(broker, SHUT_WR);
        await_end(own);
        wr_failing_off();
        (void)close(own);
        await_end(broker);
        wr_relay_close(relay);
        (void)close(broker);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_stays_out_and_we_get_in),
        cmocka_unit_test(bytes_keep_their_order),
        cmocka_unit_test(last_words_arrive),
        cmocka_unit_test(a_stop_passes_on_what_was_written),
        cmocka_unit_test(nobody_comes),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(broken_sockets),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
