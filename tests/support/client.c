#include "tests/support/client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int wr_test_dial(uint16_t port) {
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

bool wr_test_put(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        const ssize_t n = sendto(fd, bytes, len, MSG_NOSIGNAL, NULL, 0);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

void wr_test_put_text(int fd, const char *text) {
    assert_true(wr_test_put(fd, text, strlen(text)));
}

bool wr_test_is_closed(int fd) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&wait, 1, 10000) == 1 && recvfrom(fd, &byte, 1, 0, NULL, NULL) <= 0;
}

int wr_test_get_reply(int fd, char *text, size_t size) {
    size_t len = 0;
    size_t want = SIZE_MAX;
    text[0] = '\0';
    while (len < want) {
        const ssize_t n = recvfrom(fd, text + len, want == SIZE_MAX ? 1 : want - len, 0, NULL, NULL);
        if (n <= 0)
            return 0;
        len += (size_t)n;
        assert_true(len < size);
        text[len] = '\0';
        if (want != SIZE_MAX || len < 4 || strcmp(text + len - 4, "\r\n\r\n") != 0)
            continue;
        const char *length = strstr(text, "Content-Length: ");
        want = len + (length ? (size_t)atol(length + 16) : 0);
        assert_true(want < size);
    }
    return atoi(text + 9);
}
