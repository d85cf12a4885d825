/* Random requests, of random bodies in random forms, written in random pieces over connections that are kept: each is answered with the status that a
 * small model says, in order, and the readings are the ones of the model, once. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "agent/http/http_server.h"
#include "tests/support/random.h"
#include "tests/support/source_bed.h"

#define CONNECTIONS 300
#define REQUESTS 8
#define LINES 400

static struct wr_random seed;
static struct wr_bed bed;

/* What the model knows: the readings there must be, and their sum. */
static uint64_t readings;
static int64_t value_sum;

static uint64_t below(uint64_t end) {
    return wr_random_below(&seed, end);
}

/* Lines, some of them bad; the model counts what is taken. Returns how many are bad. */
static unsigned make_lines(struct wr_buf *into, bool counted) {
    const unsigned n = (unsigned)below(below(4) == 0 ? LINES : 4);
    unsigned bad = 0;
    for (unsigned i = 0; i < n; i++) {
        const int value = (int)below(1000);
        if (below(20) == 0) {
            bad++;
            assert_int_equal(wr_buf_printf(into, "m,t=%d v=%dx\n", value % 7, value), WR_OK);
            continue;
        }
        assert_int_equal(wr_buf_printf(into, "m,t=%d v=%di%s", value % 7, value, below(9) == 0 ? "\r\n\n# said\n" : "\n"), WR_OK);
        readings += counted;
        value_sum += counted ? value : 0;
    }
    if (into->len > 0 && below(3) == 0 && into->data[into->len - 1] == '\n')
        into->len--; /* the last line needs none */
    return bad;
}

static void pack(struct wr_buf *body) {
    struct wr_buf packed;
    wr_buf_init(&packed, 0);
    z_stream stream = {.next_in = body->data ? body->data : (Bytef *)"", .avail_in = (uInt)body->len};
    assert_int_equal(deflateInit2(&stream, (int)below(10), Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(wr_buf_reserve(&packed, body->len + 200), WR_OK);
    stream.next_out = packed.data;
    stream.avail_out = (uInt)packed.cap;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.len = stream.total_out;
    deflateEnd(&stream);
    wr_buf_fini(body);
    *body = packed;
}

static void put_chunks(struct wr_buf *into, const struct wr_buf *body) {
    for (size_t at = 0; at < body->len;) {
        const size_t n = 1 + below(body->len - at);
        assert_int_equal(wr_buf_printf(into, "%s%zx%s\r\n", below(2) ? "0" : "", n, below(5) ? "" : ";a=b"), WR_OK);
        assert_int_equal(wr_buf_append(into, body->data + at, n), WR_OK);
        assert_int_equal(wr_buf_text(into, "\r\n"), WR_OK);
        at += n;
    }
    assert_int_equal(wr_buf_text(into, below(4) ? "0\r\n\r\n" : "00\r\nTrailer: x\r\n\r\n"), WR_OK);
}

/* One request behind the others; returns the status it must get. */
static int make_request(struct wr_buf *into) {
    static const char *const pages[] = {"/ping", "/readyz", "/nothing"};
    static const int statuses[] = {204, 200, 404};
    if (below(5) == 0) {
        const uint64_t which = below(3);
        assert_int_equal(wr_buf_printf(into, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", pages[which]), WR_OK);
        return statuses[which];
    }
    const bool refused = below(8) == 0; /* by its head; the body is passed over */
    const bool gzip = below(3) == 0;
    const bool chunked = !refused && below(2) == 0;
    struct wr_buf body;
    wr_buf_init(&body, 0);
    const unsigned bad = make_lines(&body, !refused);
    if (gzip)
        pack(&body);
    assert_int_equal(wr_buf_printf(into, "POST %s%s HTTP/1.1\r\nhost:a\r\n%s", below(2) ? "/write?db=x" : "/api/v2/write?bucket=b",
                                   refused ? "&precision=never" : "", gzip ? "Content-Encoding: gzip\r\n" : ""),
                     WR_OK);
    if (chunked) {
        assert_int_equal(wr_buf_text(into, "Transfer-Encoding: chunked\r\n\r\n"), WR_OK);
        put_chunks(into, &body);
    } else {
        assert_int_equal(wr_buf_printf(into, "Content-Length: %zu\r\n\r\n", body.len), WR_OK);
        assert_int_equal(wr_buf_append(into, body.data ? (const void *)body.data : "", body.len), WR_OK);
    }
    wr_buf_fini(&body);
    return refused || bad > 0 ? 400 : 204;
}

/* Reads one reply; its status. */
static int get(int fd) {
    char reply[8192];
    size_t len = 0;
    size_t want = SIZE_MAX;
    while (len < want) {
        assert_true(len < sizeof reply - 1);
        assert_int_equal(recvfrom(fd, reply + len, 1, 0, NULL, NULL), 1);
        reply[++len] = '\0';
        if (want != SIZE_MAX || len < 4 || memcmp(reply + len - 4, "\r\n\r\n", 4) != 0)
            continue;
        const char *length = strstr(reply, "Content-Length: ");
        want = len + (length ? (size_t)atol(length + 16) : 0);
    }
    return atoi(reply + 9);
}

static void talk(uint16_t port) {
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval ten_s = {.tv_sec = 10};
    const int on = 1;
    struct wr_buf sent;
    int expected[REQUESTS];
    const unsigned n = 1 + (unsigned)below(REQUESTS);
    wr_buf_init(&sent, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten_s, sizeof ten_s) == 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0); /* else each small piece waits for the last one */
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    size_t at = 0;
    unsigned answered = 0;
    for (unsigned i = 0; i < n; i++) {
        expected[i] = make_request(&sent);
        const bool pipelined = i + 1 < n && sent.len - at < 8192 && below(2) == 0; /* what is kept behind a request is bounded */
        if (pipelined)
            continue;
        while (at < sent.len) {
            const size_t most = sent.len - at;
            const size_t piece = 1 + below(below(2) ? most : most < 100 ? most : 100);
            assert_int_equal(sendto(fd, sent.data + at, piece, MSG_NOSIGNAL, NULL, 0), piece);
            at += piece;
        }
        for (; answered <= i; answered++)
            if (get(fd) != expected[answered])
                fail_msg("request %u of %u: not the status %d", answered, n, expected[answered]);
    }
    close(fd);
    wr_buf_fini(&sent);
}

static bool yes(void *user, struct wr_buf *why) {
    (void)user, (void)why;
    return true;
}

static void random_requests_are_answered_as_the_model_says(void **state) {
    (void)state;
    seed = wr_random_begin();
    struct wr_address address = {.kind = WR_ADDRESS_TCP, .host = (char *)"127.0.0.1"};
    struct wr_config_http config = {.listen = (char *)"127.0.0.1:0", .address = address, .max_connections = 20};
    const struct wr_http_server_options options = {.config = &config, .health = {.healthy = yes, .ready = yes}, .gate = &bed.gate};
    struct wr_http_server *server;
    struct wr_error err = {0};
    wr_bed_init(&bed, WR_SOURCE_HTTP);
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
    assert_int_equal(wr_http_server_start(&options, &server, &err), WR_OK);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        talk(wr_http_server_port(server));
    wr_bed_wait_taken(&bed, readings);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), readings);
    assert_int_equal(bed.value_sum, value_sum);
    wr_http_server_stop(server, wr_bed_in_s(5));
    wr_bed_fini(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_requests_are_answered_as_the_model_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
