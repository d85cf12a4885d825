#include "tests/support/tls_tunnel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/client.h"

#define TUNNELS 128

int64_t wr_test_tls_patience_ns = 20 * WR_NS_PER_S;

struct tunnel {
    pthread_t thread;
    struct wr_tls_stream *stream;
    int fd;
    int end;
};

static struct tunnel tunnels[TUNNELS];
static unsigned n_tunnels;

struct wr_tls_stream *wr_test_tls_dial(uint16_t port, const struct wr_tls_config *config, int *ret_fd, struct wr_error *err) {
    struct wr_tls *tls;
    struct wr_tls_stream *stream = NULL;
    *ret_fd = wr_test_dial(port);
    assert_int_equal(fcntl(*ret_fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(wr_tls_new(config, wr_clock_real(), &tls, err), WR_OK);
    const enum wr_result result =
        wr_tls_handshake(tls, *ret_fd, "localhost", wr_clock_boot_ns(wr_clock_real()) + wr_test_tls_patience_ns, -1, &stream, err);
    wr_tls_free(tls);
    return result == WR_OK ? stream : NULL;
}

bool wr_test_tls_write(struct wr_tls_stream *stream, int fd, const char *bytes, size_t len) {
    struct wr_error err;
    while (len > 0) {
        size_t n = 0;
        const enum wr_result result = wr_tls_write(stream, bytes, len, &n, &err);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (result == WR_FULL && poll(&wait, 1, 20000) == 1)
            continue;
        if (result != WR_OK)
            return false;
        bytes += n;
        len -= n;
    }
    return true;
}

/* The end is readable. False: it is over. */
static bool out(struct tunnel *tunnel) {
    char bytes[16384];
    const ssize_t n = recvfrom(tunnel->end, bytes, sizeof bytes, 0, NULL, NULL); /* not one of the calls that tests make fail */
    return n > 0 && wr_test_tls_write(tunnel->stream, tunnel->fd, bytes, (size_t)n);
}

/* The TLS side is readable: nothing is expected of it but its end. */
static bool in(struct tunnel *tunnel) {
    char bytes[64];
    size_t n;
    struct wr_error err;
    return wr_tls_read(tunnel->stream, bytes, sizeof bytes, &n, &err) == WR_EMPTY;
}

static void *run(void *user) {
    struct tunnel *tunnel = user;
    struct pollfd wait[2] = {{.fd = tunnel->end, .events = POLLIN}, {.fd = tunnel->fd, .events = POLLIN}};
    bool open = true;
    while (open && poll(wait, 2, -1) > 0) {
        if (wait[1].revents != 0)
            open = in(tunnel);
        if (open && wait[0].revents != 0)
            open = out(tunnel);
    }
    wr_tls_close(tunnel->stream);
    close(tunnel->fd);
    close(tunnel->end);
    return NULL;
}

int wr_test_tunnel(uint16_t port, const struct wr_tls_config *config) {
    struct wr_error err = {0};
    int ends[2];
    assert_true(n_tunnels < TUNNELS);
    struct tunnel *tunnel = &tunnels[n_tunnels++];
    tunnel->stream = wr_test_tls_dial(port, config, &tunnel->fd, &err);
    if (!tunnel->stream)
        fail_msg("tunnel: %s", err.text);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    tunnel->end = ends[0];
    assert_int_equal(pthread_create(&tunnel->thread, NULL, run, tunnel), 0);
    return ends[1];
}

void wr_test_tunnels_close(void) {
    for (; n_tunnels > 0; n_tunnels--)
        pthread_join(tunnels[n_tunnels - 1].thread, NULL);
}
