/* The HTTP server and the source of kind http over real sockets: writes, refusals, backpressure, slow and rude clients, stop, failing calls. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/http/http_server.h"
#include "agent/sources/http_source.h"
#include "tests/support/client.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"

#define HOST "Host: a\r\n"

static struct wr_bed bed;
static struct wr_address address;
static struct wr_config_http config;
static struct wr_http_server_options options;
static struct wr_http_server *server;
static struct wr_metrics *metrics;

static bool yes(void *user, struct wr_buf *why) {
    (void)user, (void)why;
    return true;
}

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_HTTP);
    address = (struct wr_address){.kind = WR_ADDRESS_TCP, .host = (char *)"127.0.0.1"};
    config = (struct wr_config_http){.listen = (char *)"127.0.0.1:0", .address = address, .max_connections = 20};
    assert_int_equal(wr_metrics_new(&metrics), WR_OK);
    options =
        (struct wr_http_server_options){.config = &config, .metrics = metrics, .health = {.healthy = yes, .ready = yes}, .gate = &bed.gate};
    server = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    wr_http_server_stop(server, 0);
    wr_bed_fini(&bed);
    wr_metrics_free(metrics);
    return 0;
}

static void start_server(void) {
    struct wr_error err = {0};
    if (wr_http_server_start(&options, &server, &err) != WR_OK)
        fail_msg("server: %s", err.text);
}

static void start(void) {
    wr_bed_start(&bed);
    start_server();
}

/* -- a client ------------------------------------------------------------------------------------------------------------------------- */

static int dial(void) {
    const struct timeval ten_s = {.tv_sec = 10};
    int fd = wr_test_dial(wr_http_server_port(server));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten_s, sizeof ten_s), 0);
    return fd;
}

/* Where the peer closes in the middle, what it said before is what counts. */
static void put(int fd, const char *text, size_t len) {
    (void)wr_test_put(fd, text, len);
}

static void put_text(int fd, const char *text) {
    put(fd, text, strlen(text));
}

static char reply[16384];

/* Reads one reply, with its body; its status, or 0: the connection ended before. */
static int get(int fd) {
    return wr_test_get_reply(fd, reply, sizeof reply);
}

static int ask(int fd, const char *text) {
    put_text(fd, text);
    return get(fd);
}

static int write_lines(int fd, const char *target, const char *headers, const char *body, size_t len) {
    char head[1000];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n%s\r\n", target, len, headers);
    put_text(fd, head);
    put(fd, body, len);
    return get(fd);
}

/* n lines of one reading each; the caller frees. */
static char *lines_of(unsigned n, size_t *ret_len) {
    char *text = malloc((size_t)n * 32 + 1);
    assert_non_null(text);
    *ret_len = 0;
    for (unsigned i = 0; i < n; i++)
        *ret_len += (size_t)sprintf(text + *ret_len, "m,a=b v=%ui\n", i);
    return text;
}

static uint64_t metric(const char *name) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_metrics_render(metrics, &text), WR_OK);
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(wr_buf_str(&text), line);
    const uint64_t value = at ? strtoull(at + strlen(line), NULL, 10) : UINT64_MAX;
    wr_buf_fini(&text);
    return value;
}

static void wait_metric(const char *name, uint64_t value) {
    const int64_t deadline = wr_bed_in_s(10);
    while (metric(name) != value) {
        if (wr_clock_boot_ns(wr_clock_real()) > deadline)
            fail_msg("%s is %llu", name, (unsigned long long)metric(name));
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

/* -- writes --------------------------------------------------------------------------------------------------------------------------- */

static void writes_become_readings(void **state) {
    (void)state;
    bed.print = true;
    start();
    int fd = dial();
    assert_int_equal(write_lines(fd, "/write?db=x&precision=s", "", "a,t=1 v=1.5 2\n", 14), 204);
    assert_int_equal(write_lines(fd, "/api/v2/write?org=o&bucket=b&precision=ms", "", "a v=2i 3", 8), 204);
    static const char json[] = "[{\"measurement\":\"j\",\"value\":true,\"time_ns\":4}]";
    assert_int_equal(write_lines(fd, "/api/json", "Content-Type: application/json\r\n", json, sizeof json - 1), 204);
    assert_int_equal(write_lines(fd, "/write", "", "", 0), 204);
    wr_bed_take_until(&bed, 3);
    assert_string_equal(
        wr_buf_str(&bed.text),
        "{\"measurement\":\"a\",\"field\":\"v\",\"tags\":{\"t\":\"1\"},\"time_ns\":2000000000,\"value\":1.5,\"type\":\"float\",\"quality\":"
        "\"good\"}\n"
        "{\"measurement\":\"a\",\"field\":\"v\",\"tags\":{},\"time_ns\":3000000,\"value\":2,\"type\":\"int\",\"quality\":\"good\"}\n"
        "{\"measurement\":\"j\",\"field\":\"value\",\"tags\":{},\"time_ns\":4,\"value\":true,\"type\":\"bool\",\"quality\":\"good\"}\n");
    close(fd);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 3);
    assert_int_equal(metric("weir_http_requests_total{code=\"204\"}"), 4);
}

static void good_lines_are_taken_and_bad_ones_named(void **state) {
    (void)state;
    static const char body[] = "m v=1i\nbad\nm v=2i\nm v=\"text\"\nm v=x\nm v=y\nm v=z\nm v=q\nm v=3i\n";
    start();
    int fd = dial();
    assert_int_equal(write_lines(fd, "/write", "", body, sizeof body - 1), 400);
    assert_non_null(
        strstr(reply, "{\"error\":\"partial write: line 2, column 4: no fields at the end of the line; line 4, column 1: not the type that "
                      "the series began with: field 'v'; line 5"));
    assert_non_null(strstr(reply, "; and 1 more; dropped=6\"}"));
    assert_int_equal(write_lines(fd, "/api/v2/write", "", body, sizeof body - 1), 400);
    assert_non_null(strstr(reply, "{\"code\":\"invalid\",\"message\":\"partial write: line 2"));
    assert_non_null(strstr(reply, "\",\"line\":2}"));
    wr_bed_take_until(&bed, 6);
    assert_int_equal(bed.value_sum, 12);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 10);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TYPE), 2);
    close(fd);
}

static void requests_are_pipelined_and_chunked_and_cut_anywhere(void **state) {
    (void)state;
    static const char requests[] =
        "POST /write HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n7\r\nm v=1i\n\r\n7\r\nm v=2i\n\r\n0\r\n\r\n"
        "GET /ping HTTP/1.1\r\n" HOST "\r\n"
        "POST /write HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nm v=4i\n"
        "GET /nothing HTTP/1.1\r\n" HOST "\r\n"
        "HEAD /healthz HTTP/1.1\r\n" HOST "\r\n"
        "POST /write HTTP/1.0\r\nContent-Length: 6\r\n\r\nm v=8i";
    start();
    wr_bed_engine_start(&bed);
    for (size_t piece = 1; piece < sizeof requests + 40; piece += 41) {
        int fd = dial();
        for (size_t at = 0; at < sizeof requests - 1; at += piece) {
            put(fd, requests + at, sizeof requests - 1 - at < piece ? sizeof requests - 1 - at : piece);
            if (piece > 1)
                nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL); /* mostly a read of its own */
        }
        assert_int_equal(get(fd), 204);
        assert_int_equal(get(fd), 204);
        assert_int_equal(get(fd), 204);
        assert_int_equal(get(fd), 404);
        char head[400];
        size_t len = 0;
        while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0) /* a reply to HEAD: a length, and no body */
            assert_int_equal(recvfrom(fd, head + len++, 1, 0, NULL, NULL), 1);
        assert_memory_equal(head, "HTTP/1.1 200", 12);
        assert_int_equal(get(fd), 204);
        assert_non_null(strstr(reply, "Connection: close"));
        assert_true(wr_test_is_closed(fd));
        close(fd);
    }
    const uint64_t rounds = (sizeof requests + 79) / 41;
    wr_bed_wait_taken(&bed, 4 * rounds);
    assert_int_equal(bed.value_sum, 15 * rounds);
}

static void whoever_expects_a_word_gets_it(void **state) {
    (void)state;
    start();
    int fd = dial();
    assert_int_equal(ask(fd, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 7\r\nExpect: 100-continue\r\n\r\n"), 100);
    assert_int_equal(ask(fd, "m v=1i\n"), 204);
    wr_bed_take_until(&bed, 1);
    /* Refused by its head: no word, no body, and the connection ends. */
    assert_int_equal(ask(fd, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n"), 413);
    assert_true(wr_test_is_closed(fd));
    close(fd);
}

/* -- refusals ------------------------------------------------------------------------------------------------------------------------- */

static void refusals_leave_the_connection_where_they_can(void **state) {
    (void)state;
    start();
    int fd = dial();
    assert_int_equal(write_lines(fd, "/write", "Content-Encoding: deflate\r\n", "m v=1\n", 6), 415);
    assert_int_equal(write_lines(fd, "/write", "Content-Encoding: gzip\r\n", "", 0), 400); /* nothing is no gzip */
    assert_true(wr_test_is_closed(fd));
    close(fd);
    fd = dial();
    assert_int_equal(write_lines(fd, "/write?precision=x", "", "m v=1\n", 6), 400);
    assert_int_equal(write_lines(fd, "/metrics", "", "m v=1\n", 6), 405);
    assert_non_null(strstr(reply, "Allow: GET, HEAD\r\n"));
    assert_int_equal(ask(fd, "POST /write HTTP/1.1\r\n" HOST "\r\n"), 411);
    assert_int_equal(ask(fd, "GET /write HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_int_equal(ask(fd, "GET /metrics HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_int_equal(write_lines(fd, "/query", "", "q=CREATE+DATABASE+x", 19), 200);
    assert_int_equal(write_lines(fd, "/query", "", "q=SELECT", 8), 400);
    assert_int_equal(ask(fd, "GET /query?q=SHOW%20DATABASES HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_int_equal(ask(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_non_null(strstr(reply, "\"status\":\"pass\""));
    assert_int_equal(ask(fd, "\x16\x03\x01\x02"), 400);
    assert_true(wr_test_is_closed(fd));
    close(fd);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 0);
}

static void a_body_beyond_max_body_is_refused_however_it_comes(void **state) {
    (void)state;
    bed.config.http.max_body_bytes = 100000;
    start();
    size_t len;
    char *text = lines_of(20000, &len);
    int fd = dial();
    assert_int_equal(write_lines(fd, "/write", "", text, 250000), 413); /* passed over, and on */
    assert_int_equal(write_lines(fd, "/write", "", "m v=1i\n", 7), 204);
    put_text(fd, "POST /write HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n20000\r\n");
    put(fd, text, 0x20000);
    assert_int_equal(get(fd), 413);
    close(fd);
    fd = dial();
    assert_int_equal(ask(fd, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n"), 413);
    close(fd);
    wr_bed_take_until(&bed, 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 1);
    wait_metric("weir_http_bodies_bytes", 0);
    free(text);
}

static void bodies_share_their_memory(void **state) {
    (void)state;
    bed.config.http.max_body_bytes = 200000;
    bed.config.http.bodies_bytes = 300000;
    start();
    wr_bed_engine_start(&bed);
    size_t len;
    char *text = lines_of(20000, &len);
    int one = dial();
    int two = dial();
    put_text(one, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    put(one, text, 190000);
    wait_metric("weir_http_bodies_bytes", 200000);
    put_text(two, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 150000\r\n\r\n");
    put(two, text, 150000);
    assert_int_equal(get(two), 429);
    assert_non_null(strstr(reply, "Retry-After: 1\r\n"));
    put(one, text + 190000, 10000);
    assert_int_equal(get(one), 204);
    close(one);
    close(two);
    free(text);
    wait_metric("weir_http_bodies_bytes", 0);
}

static void without_a_source_writes_are_not_there(void **state) {
    (void)state;
    start_server();
    int fd = dial();
    assert_int_equal(write_lines(fd, "/write", "", "m v=1\n", 6), 404);
    assert_int_equal(ask(fd, "GET /readyz HTTP/1.1\r\n" HOST "\r\n"), 200);
    wr_bed_create(&bed);
    assert_int_equal(wr_source_start(bed.source, NULL), WR_OK);
    assert_int_equal(write_lines(fd, "/write", "", "m v=1i\n", 7), 204);
    wr_bed_take_until(&bed, 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(write_lines(fd, "/write", "", "m v=1\n", 6), 503); /* as in a reload */
    assert_non_null(strstr(reply, "Retry-After: 1\r\n"));
    close(fd);
}

/* -- backpressure --------------------------------------------------------------------------------------------------------------------- */

static void without_a_free_batch_nothing_is_taken(void **state) {
    (void)state;
    start();
    size_t len;
    char *text = lines_of(4 * WR_BATCH_READINGS, &len);
    int fd = dial();
    assert_int_equal(write_lines(fd, "/write", "", text, len), 204); /* all four batches are on their way */
    int late = dial();
    assert_int_equal(write_lines(fd, "/write", "", "m v=1i\n", 7), 429); /* after two seconds of patience */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 4 * WR_BATCH_READINGS);
    /* While one waits, the next is turned away at the door. */
    put_text(fd, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nm v=1i\n");
    const int64_t begun = wr_clock_boot_ns(wr_clock_real());
    int code = 0;
    while (code != 429) /* the stall counts from 250 ms on: until then it would wait too */
        if (wr_clock_boot_ns(wr_clock_real()) - begun > 400 * WR_NS_PER_MS)
            code = write_lines(late, "/write", "", "m v=1i\n", 7);
    assert_true(wr_clock_boot_ns(wr_clock_real()) - begun < 1500 * WR_NS_PER_MS);
    wr_bed_engine_start(&bed);
    assert_int_equal(get(fd), 204);
    assert_int_equal(write_lines(late, "/write", "", "m v=1i\n", 7), 204);
    wr_bed_wait_taken(&bed, 4 * WR_BATCH_READINGS + 2);
    close(fd);
    close(late);
    free(text);
}

static void what_was_begun_is_finished(void **state) {
    (void)state;
    start();
    size_t len;
    char *text = lines_of(10 * WR_BATCH_READINGS, &len);
    int fd = dial();
    char head[200];
    snprintf(head, sizeof head, "POST /write HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", len);
    put_text(fd, head);
    put(fd, text, len);
    wr_bed_wait(&bed.counters.waits, 1); /* in the middle */
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 50), 0);
    wr_bed_engine_start(&bed);
    assert_int_equal(get(fd), 204);
    wr_bed_wait_taken(&bed, 10 * WR_BATCH_READINGS);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 10 * WR_BATCH_READINGS);
    close(fd);
    free(text);
}

static void a_stop_answers_everybody(void **state) {
    (void)state;
    start();
    size_t len;
    char *text = lines_of(10 * WR_BATCH_READINGS, &len);
    int one = dial();
    int two = dial();
    char head[200];
    snprintf(head, sizeof head, "POST /write HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", len);
    put_text(one, head);
    put(one, text, len);
    wr_bed_wait(&bed.counters.waits, 1);
    put_text(two, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nm v=1i\n");
    wait_metric("weir_http_bodies_bytes", 7 + len); /* both are there */
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(0)), WR_TIMEOUT);
    assert_int_equal(get(one), 503);
    assert_non_null(strstr(reply, "the beginning of this was taken"));
    assert_int_equal(get(two), 503);
    assert_non_null(strstr(reply, "nothing of this was taken"));
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 4 * WR_BATCH_READINGS);
    assert_int_equal(wr_bed_take(&bed), 4 * WR_BATCH_READINGS);
    close(one);
    close(two);
    free(text);
}

static void a_server_in_a_hurry_gets_its_answers_and_the_source_goes_on(void **state) {
    (void)state;
    start();
    size_t len;
    char *text = lines_of(10 * WR_BATCH_READINGS, &len);
    int fd = dial();
    int idle = dial();
    char head[200];
    snprintf(head, sizeof head, "POST /write HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", len);
    put_text(fd, head);
    put(fd, text, len);
    wr_bed_wait(&bed.counters.waits, 1);
    wr_http_server_stop(server, wr_bed_in_s(0));
    server = NULL;
    assert_int_equal(get(fd), 503);
    assert_true(wr_test_is_closed(fd) && wr_test_is_closed(idle));
    close(fd);
    close(idle);
    wr_bed_engine_start(&bed);
    start_server();
    fd = dial();
    int code;
    while ((code = write_lines(fd, "/write", "", "m v=1i\n", 7)) == 503) /* until the source has calmed down */
        continue;
    assert_int_equal(code, 204);
    wr_bed_wait_taken(&bed, 4 * WR_BATCH_READINGS + 1);
    close(fd);
    free(text);
}

/* -- slow and rude clients ------------------------------------------------------------------------------------------------------------ */

static void slow_requests_have_a_deadline_as_a_whole(void **state) {
    (void)state;
    options.head_ns = 200 * WR_NS_PER_MS;
    options.body_ns = 200 * WR_NS_PER_MS;
    options.idle_ns = 300 * WR_NS_PER_MS;
    start();
    int head = dial();
    int body = dial();
    int idle = dial();
    put_text(head, "GET /metrics HTTP/1.1\r\n");
    put_text(body, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    for (int i = 0; i < 8; i++) { /* a byte now and then does not help */
        nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
        put_text(head, "X");
        put_text(body, "m");
    }
    assert_int_equal(get(head), 408);
    assert_int_equal(get(body), 408);
    assert_true(wr_test_is_closed(idle));
    close(head);
    close(body);
    close(idle);
    assert_int_equal(metric("weir_http_requests_broken_total"), 2);
    wait_metric("weir_http_connections", 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 0);
}

/* A page of some 300 KB: what a client that never reads leaves in the server. */
static void make_the_page_large(void) {
    static const _Atomic uint64_t value = 7;
    char label[160];
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(label, sizeof label, "number=\"%0150u\"", i);
        assert_int_equal(wr_metrics_add(metrics, &value, WR_METRIC_GAUGE, "filler", "Bytes", label, &value), WR_OK);
    }
}

/* Asks again and again without reading, until the server cannot send any more. */
static int dial_deaf(void) {
    const int small = 4096;
    int fd = dial();
    int other = dial();
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (int i = 0; i < 100; i++)
        put_text(fd, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 2; i++) /* a turn of the loop, at least: all that was sent has been looked at */
        assert_int_equal(ask(other, "GET /ping HTTP/1.1\r\n" HOST "\r\n"), 204);
    close(other);
    return fd;
}

static void who_does_not_read_takes_no_answers_from_others(void **state) {
    (void)state;
    start();
    wr_bed_engine_start(&bed);
    make_the_page_large();
    int deaf[6];
    for (int i = 0; i < 6; i++)
        deaf[i] = dial_deaf();
    int fd = dial();
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(write_lines(fd, "/write", "", "m v=1i\nrubbish\n", 15), 400);
        assert_non_null(strstr(reply, "partial write"));
        assert_int_equal(write_lines(fd, "/write", "", "m v=1i\n", 7), 204);
    }
    assert_int_equal(ask(fd, "GET /healthz HTTP/1.1\r\n" HOST "\r\n"), 200);
    close(fd);
    for (int i = 0; i < 6; i++)
        close(deaf[i]);
}

static void who_does_not_read_holds_up_no_stop(void **state) {
    (void)state;
    start();
    make_the_page_large();
    int deaf = dial_deaf();
    const int64_t before_ns = wr_clock_boot_ns(wr_clock_real());
    wr_http_server_stop(server, before_ns + 20 * WR_NS_PER_S);
    server = NULL;
    assert_true(wr_clock_boot_ns(wr_clock_real()) - before_ns < 10 * WR_NS_PER_S);
    close(deaf);
}

static void the_longest_idle_connection_makes_room(void **state) {
    (void)state;
    config.max_connections = 4;
    start();
    int fds[6];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial();
        assert_int_equal(ask(fds[i], "GET /ping HTTP/1.1\r\n" HOST "\r\n"), 204);
    }
    assert_int_equal(ask(fds[0], "GET /ping HTTP/1.1\r\n" HOST "\r\n"), 204); /* now the second is the oldest */
    fds[4] = dial();
    assert_int_equal(ask(fds[4], "GET /ping HTTP/1.1\r\n" HOST "\r\n"), 204);
    assert_true(wr_test_is_closed(fds[1]));
    assert_int_equal(ask(fds[0], "GET /ping HTTP/1.1\r\n" HOST "\r\n"), 204);
    put_text(fds[0], "G"); /* none of them is idle any more: nobody else comes in */
    put_text(fds[2], "G");
    put_text(fds[3], "G");
    put_text(fds[4], "G");
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    fds[5] = dial();
    assert_true(wr_test_is_closed(fds[5]));
    assert_int_equal(metric("weir_http_connections_refused_total"), 1);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
}

#define PING "GET /ping HTTP/1.1\r\n" HOST "\r\n"

/* A connection with the beginning of a request, which the server has seen: it came together with a request that was answered. */
static int dial_slow(const char *beginning) {
    char text[256];
    int fd = dial();
    snprintf(text, sizeof text, PING "%s", beginning);
    assert_int_equal(ask(fd, text), 204);
    return fd;
}

static bool is_open(int fd) {
    char byte;
    return recvfrom(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) < 0 && errno == EAGAIN;
}

/* All connections are held by requests that trickle in: the oldest of them gives way, though its own deadline is far. */
static void the_slowest_request_makes_room(void **state) {
    (void)state;
    config.max_connections = 4;
    options.contended_ns = 300 * WR_NS_PER_MS;
    start();
    int slow[4];
    for (int i = 0; i < 4; i++)
        slow[i] = dial_slow(i % 2 ? "GET /metrics HTTP/1.1\r\n" : "POST /write HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nm");
    const int64_t deadline_ns = wr_bed_in_s(5); /* a head has ten seconds, a body sixty */
    unsigned refused = 0;
    int fd = dial();
    for (; ask(fd, PING) != 204; fd = dial()) {
        assert_true(wr_clock_boot_ns(wr_clock_real()) < deadline_ns);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        refused++;
        close(fd);
    }
    assert_true(wr_test_is_closed(slow[0]));
    assert_true(is_open(slow[1]) && is_open(slow[2]) && is_open(slow[3]));
    assert_int_equal(metric("weir_http_requests_broken_total"), 1);
    assert_int_equal(metric("weir_http_connections_refused_total"), refused);
    int next = dial(); /* who is idle goes before who is slow */
    assert_int_equal(ask(next, PING), 204);
    assert_true(wr_test_is_closed(fd));
    assert_true(is_open(slow[1]) && is_open(slow[2]) && is_open(slow[3]));
    assert_int_equal(metric("weir_http_requests_broken_total"), 1);
    for (int i = 0; i < 4; i++)
        close(slow[i]);
    close(fd);
    close(next);
}

static void a_slow_request_has_some_time_all_the_same(void **state) {
    (void)state;
    config.max_connections = 4;
    options.contended_ns = 60 * WR_NS_PER_S;
    start();
    int slow[4];
    for (int i = 0; i < 4; i++)
        slow[i] = dial_slow("G");
    for (int i = 0; i < 4; i++) {
        int late = dial();
        assert_true(wr_test_is_closed(late));
        close(late);
    }
    assert_int_equal(metric("weir_http_connections_refused_total"), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(slow[i], "ET /ping HTTP/1.1\r\n" HOST "\r\n"), 204);
        close(slow[i]);
    }
}

/* Each request has a time of its own: who has sent many is not slow. */
static void the_age_is_that_of_the_request(void **state) {
    (void)state;
    config.max_connections = 4;
    options.contended_ns = 1;
    start();
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = dial_slow("G");
    assert_int_equal(ask(fds[0], "ET /ping HTTP/1.1\r\n" HOST "\r\nG"), 204); /* its next request is the youngest */
    int late = dial();
    assert_int_equal(ask(late, PING), 204);
    assert_true(wr_test_is_closed(fds[1]));
    assert_true(is_open(fds[0]) && is_open(fds[2]) && is_open(fds[3]));
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(late);
}

static void a_request_that_breaks_off_is_nothing(void **state) {
    (void)state;
    start();
    for (int i = 0; i < 2; i++) {
        int fd = dial();
        put_text(fd,
                 i == 0 ? "POST /write HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nm v=1i\nm v=2i\n" : "POST /write HTTP/1.1\r\nHost");
        close(fd);
    }
    wait_metric("weir_http_requests_broken_total", 2);
    wait_metric("weir_http_connections", 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 0);
    assert_int_equal(metric("weir_http_bodies_bytes"), 0);
}

static void a_client_that_does_not_wait_for_the_answer_has_written(void **state) {
    (void)state;
    start();
    wr_bed_engine_start(&bed);
    for (int i = 0; i < 20; i++) {
        int fd = dial();
        put_text(fd, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nm v=1i\n");
        const struct linger reset = {.l_onoff = 1};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        shutdown(fd, SHUT_WR);
        wr_bed_wait_taken(&bed, (uint64_t)i + 1);
        close(fd);
    }
    wait_metric("weir_http_connections", 0);
}

/* -- bad luck ------------------------------------------------------------------------------------------------------------------------- */

/* One request, whatever fails: an answer, or a closed connection; and never a reading more than was sent. */
static int try_one(void) {
    int fd = dial();
    const int code = write_lines(fd, "/write", "", "m,t=a v=1i\nm,t=b v=2i\nbad\n", 26);
    close(fd);
    return code;
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    start();
    wr_bed_engine_start(&bed);
    assert_int_equal(try_one(), 400);
    uint64_t fewest = 2;
    for (long n = 0;; n++) {
        const uint64_t before = bed.counters.books[WR_BOOK_RECEIVED];
        wr_failing_allocations(n);
        const int code = try_one();
        const bool hit = wr_failing_hit();
        wr_failing_off();
        const uint64_t got = bed.counters.books[WR_BOOK_RECEIVED] - before;
        assert_true(code == 400 || code == 503 || code == 0);
        assert_true(code == 503 ? got == 0 : got <= 2);
        if (got < fewest)
            fewest = got;
        if (!hit) {
            assert_int_equal(code, 400);
            break;
        }
    }
    assert_int_equal(fewest, 0); /* some of them mattered */
    assert_int_equal(try_one(), 400);
}

static void each_call_may_fail(void **state) {
    (void)state;
    start();
    wr_bed_engine_start(&bed);
    assert_int_equal(try_one(), 400);
    wait_metric("weir_http_connections", 0);
    const int errors[] = {ECONNRESET, EINTR, EAGAIN};
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++)
        for (long n = 0; n < 3; n++) { /* the reading, the sending, the reading of the end */
            wr_failing_io(n, errors[e]);
            int fd = dial();
            const int code = ask(fd, "GET /ping HTTP/1.1\r\n" HOST "\r\n");
            close(fd);
            wait_metric("weir_http_connections", 0);
            assert_true(wr_failing_hit());
            wr_failing_off();
            assert_int_equal(code, e == 0 && n < 2 ? 0 : 204);
        }
    int fd = dial(); /* inside a body: nothing of it */
    put_text(fd, "POST /write HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nm v");
    wait_metric("weir_http_bodies_bytes", 7);
    wr_failing_io(0, ECONNRESET);
    assert_int_equal(ask(fd, "=1i\n"), 0);
    wr_failing_off();
    close(fd);
    wait_metric("weir_http_requests_broken_total", 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2);
    wait_metric("weir_http_connections", 0);
}

static void a_start_that_fails_leaves_nothing(void **state) {
    (void)state;
    struct wr_error err = {0};
    wr_bed_create(&bed);
    bed.config.http.token_file = (char *)"/nonexistent/tokens";
    assert_int_equal(wr_source_start(bed.source, &err), WR_IO);
    bed.config.http.token_file = NULL;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = wr_source_start(bed.source, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK)
            break;
        assert_true(hit && result == WR_NO_MEMORY);
    }
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = wr_http_server_start(&options, &server, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK)
            break;
        assert_true(hit && result == WR_NO_MEMORY);
    }
    struct wr_http_server *second = NULL;
    config.address.port = wr_http_server_port(server);
    assert_int_equal(wr_http_server_start(&options, &second, &err), WR_BUSY);
    assert_int_equal(try_one(), 400);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_become_readings),
        TEST(good_lines_are_taken_and_bad_ones_named),
        TEST(requests_are_pipelined_and_chunked_and_cut_anywhere),
        TEST(whoever_expects_a_word_gets_it),
        TEST(refusals_leave_the_connection_where_they_can),
        TEST(a_body_beyond_max_body_is_refused_however_it_comes),
        TEST(bodies_share_their_memory),
        TEST(without_a_source_writes_are_not_there),
        TEST(without_a_free_batch_nothing_is_taken),
        TEST(what_was_begun_is_finished),
        TEST(a_stop_answers_everybody),
        TEST(a_server_in_a_hurry_gets_its_answers_and_the_source_goes_on),
        TEST(slow_requests_have_a_deadline_as_a_whole),
        TEST(who_does_not_read_takes_no_answers_from_others),
        TEST(who_does_not_read_holds_up_no_stop),
        TEST(the_longest_idle_connection_makes_room),
        TEST(the_slowest_request_makes_room),
        TEST(a_slow_request_has_some_time_all_the_same),
        TEST(the_age_is_that_of_the_request),
        TEST(a_request_that_breaks_off_is_nothing),
        TEST(a_client_that_does_not_wait_for_the_answer_has_written),
        TEST(each_allocation_may_fail),
        TEST(each_call_may_fail),
        TEST(a_start_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
