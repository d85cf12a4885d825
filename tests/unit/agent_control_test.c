/* The control socket: stale files, live ones, clients that stall or say too much, and a stop in between. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/control/control_client.h"
#include "agent/control/control_server.h"
#include "agent/process/unix_socket.h"
#include "tests/support/failing.h"
#include "tests/support/waiting.h"

static char directory[] = "/tmp/weir-control-XXXXXX";
static char path[64];
static struct wr_control_server *server;
static _Atomic int handled;

/* Says the words back; `code N` is the exit code. */
static int say_back(void *user, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    (void)user;
    assert_true(strlen(by_whom) > 0);
    handled++;
    for (int i = 0; i < argc; i++)
        assert_int_equal(wr_buf_printf(answer, "[%s]", argv[i]), WR_OK);
    return argc > 1 && strcmp(argv[0], "code") == 0 ? atoi(argv[1]) : 0;
}

static int make_directory(void **state) {
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/weir.sock", directory);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

static int stop(void **state) {
    (void)state;
    wr_control_server_stop(server);
    server = NULL;
    handled = 0;
    return 0;
}

static void start(void) {
    assert_int_equal(wr_control_server_start(path, say_back, NULL, &server, NULL), WR_OK);
}

static enum wr_result ask(int argc, char **argv, int *ret_code, char *text, size_t size) {
    const struct wr_config_control control = {.socket = path};
    struct wr_buf answer;
    struct wr_error err = {0};
    wr_buf_init(&answer, 0);
    enum wr_result result = wr_control_client_ask(&control, argc, argv, ret_code, &answer, &err);
    snprintf(text, size, "%s", result == WR_OK ? wr_buf_str(&answer) : err.text);
    wr_buf_fini(&answer);
    return result;
}

static void expect_answer(void) {
    char *words[] = {"code", "1", "b c"};
    char text[256];
    int code = -1;
    assert_int_equal(ask(3, words, &code, text, sizeof text), WR_OK);
    assert_int_equal(code, 1);
    assert_string_equal(text, "[code][1][b c]");
}

static int connect_raw(void) {
    int fd = -1;
    assert_int_equal(wr_unix_socket_connect(path, &fd, NULL), WR_OK);
    return fd;
}

/* The server hung up: what it said before that is returned. */
static size_t read_to_the_end(int fd, char *bytes, size_t size) {
    size_t len = 0;
    ssize_t got;
    while ((got = recv(fd, bytes + len, size - len, 0)) > 0)
        len += (size_t)got;
    assert_true(got == 0 || errno == ECONNRESET);
    close(fd);
    return len;
}

static void words_go_there_and_back(void **state) {
    (void)state;
    start();
    expect_answer();
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
}

static void a_stale_file_is_replaced(void **state) {
    (void)state;
    int fd = -1;
    assert_int_equal(wr_unix_socket_listen(path, &fd, NULL), WR_OK);
    close(fd); /* as after a kill: the file is there, and nobody behind it */
    assert_int_equal(access(path, F_OK), 0);
    start();
    expect_answer();
}

static void a_live_one_is_refused_and_goes_on(void **state) {
    (void)state;
    start();
    struct wr_control_server *second = NULL;
    struct wr_error err = {0};
    assert_int_equal(wr_control_server_start(path, say_back, NULL, &second, &err), WR_EXISTS);
    assert_non_null(strstr(err.text, "somebody listens there already"));
    expect_answer();
}

static void what_is_no_socket_is_left_alone(void **state) {
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    struct wr_error err = {0};
    assert_int_equal(wr_control_server_start(path, say_back, NULL, &server, &err), WR_DENIED);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    assert_null(server);
}

/* A datagram socket: it is there and answers in its own way; it cannot be told to be stale. */
static void a_socket_that_refuses_for_another_reason_is_left_alone(void **state) {
    (void)state;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un {
        sa_family_t family;
        char path[108];
    } address = {.family = AF_UNIX};
    memcpy(address.path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    struct wr_error err = {0};
    assert_true(wr_control_server_start(path, say_back, NULL, &server, &err) != WR_OK);
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
    assert_int_equal(unlink(path), 0);
}

static void a_client_that_stalls_does_not_hold_up_a_stop(void **state) {
    (void)state;
    start();
    int silent = connect_raw();
    int half = connect_raw();
    assert_int_equal(send(silent, "sta", 3, MSG_NOSIGNAL), 3); /* no end */
    assert_int_equal(send(half, "status", 7, MSG_NOSIGNAL), 7);
    wr_control_server_stop(server); /* returns, though both are still there */
    server = NULL;
    char byte;
    assert_int_equal(read_to_the_end(silent, &byte, 1), 0);
    assert_int_equal(read_to_the_end(half, &byte, 1), 0);
    assert_int_equal(handled, 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_client_that_hangs_up_is_nobodys_trouble(void **state) {
    (void)state;
    start();
    for (int i = 0; i < 20; i++) {
        int fd = connect_raw();
        assert_int_equal(send(fd, "a", 2, MSG_NOSIGNAL), 2);
        close(fd); /* before the answer */
    }
    expect_answer();
}

static void a_request_that_is_too_long_is_dropped(void **state) {
    (void)state;
    start();
    char words[WR_CONTROL_REQUEST_BYTES];
    memset(words, 'x', sizeof words);
    int fd = connect_raw();
    assert_int_equal(send(fd, words, sizeof words, MSG_NOSIGNAL), (ssize_t)sizeof words);
    shutdown(fd, SHUT_WR);
    char byte;
    assert_int_equal(read_to_the_end(fd, &byte, 1), 0);
    assert_int_equal(handled, 0);
    expect_answer();
}

static void at_most_so_many_words(void **state) {
    (void)state;
    start();
    char *words[WR_CONTROL_WORDS + 8];
    for (int i = 0; i < WR_CONTROL_WORDS + 8; i++)
        words[i] = "w";
    char text[256];
    int code = -1;
    assert_int_equal(ask(WR_CONTROL_WORDS + 8, words, &code, text, sizeof text), WR_OK);
    assert_int_equal(strlen(text), 3 * WR_CONTROL_WORDS);
}

static void nobody_there_is_told_from_a_mistake(void **state) {
    (void)state;
    char *words[] = {"status"};
    char text[256];
    int code = -1;
    assert_int_equal(ask(1, words, &code, text, sizeof text), WR_NOT_FOUND);
    assert_non_null(strstr(text, "no agent answers"));
}

static void a_start_without_memory_leaves_nothing_behind(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_control_server_start(path, say_back, NULL, &server, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            return;
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(words_go_there_and_back, stop),
        cmocka_unit_test_teardown(a_stale_file_is_replaced, stop),
        cmocka_unit_test_teardown(a_live_one_is_refused_and_goes_on, stop),
        cmocka_unit_test_teardown(what_is_no_socket_is_left_alone, stop),
        cmocka_unit_test_teardown(a_socket_that_refuses_for_another_reason_is_left_alone, stop),
        cmocka_unit_test_teardown(a_client_that_stalls_does_not_hold_up_a_stop, stop),
        cmocka_unit_test_teardown(a_client_that_hangs_up_is_nobodys_trouble, stop),
        cmocka_unit_test_teardown(a_request_that_is_too_long_is_dropped, stop),
        cmocka_unit_test_teardown(at_most_so_many_words, stop),
        cmocka_unit_test_teardown(nobody_there_is_told_from_a_mistake, stop),
        cmocka_unit_test_teardown(a_start_without_memory_leaves_nothing_behind, stop),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
