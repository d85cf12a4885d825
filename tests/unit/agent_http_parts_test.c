/* The parts of HTTP that need no socket: heads, queries, chunks, gzip, bodies, routes, tokens, replies. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "agent/http/http_body.h"
#include "agent/http/http_query.h"
#include "agent/http/http_reply.h"
#include "agent/http/http_route.h"
#include "agent/http/http_tokens.h"
#include "core/clock.h"
#include "core/log.h"
#include "tests/support/failing.h"

/* -- heads ---------------------------------------------------------------------------------------------------------------------------- */

static enum wr_http_found read_head(const char *text, struct wr_http_head *head) {
    return wr_http_head_read(text, strlen(text), head);
}

static void a_head_is_found_wherever_it_is_cut(void **state) {
    (void)state;
    static const char text[] =
        "\r\nPOST /write?db=x&precision=s HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:  12 \r\nContent-Type: text/plain\r\n"
        "Expect: 100-continue\r\nAuthorization: Token x\r\nX-Other: \xc3\xa9\r\n\r\nbody";
    struct wr_http_head head;
    for (size_t len = 0; len < sizeof text - 5; len++)
        assert_int_equal(wr_http_head_read(text, len, &head), WR_HTTP_INCOMPLETE);
    assert_int_equal(read_head(text, &head), WR_HTTP_FOUND);
    assert_int_equal(head.bytes, sizeof text - 5);
    assert_true(wr_http_word_is(head.method, "POST") && wr_http_word_is(head.path, "/write"));
    assert_true(wr_http_word_is(head.query, "db=x&precision=s") && wr_http_word_is(head.content_type, "text/plain"));
    assert_true(wr_http_word_is(head.authorization, "token x"));
    assert_true(head.has_length && head.length == 12 && head.keep_alive && head.expects_continue && !head.chunked);
}

static void what_is_no_head_is_refused_with_its_status(void **state) {
    (void)state;
    static const struct {
        int code;
        const char *text;
    } heads[] = {
        {400, "\x16\x03\x01"},
        {400, "\x80"},
        {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Token a\r\nAuthorization: Token b\r\n\r\n"},
        {413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct wr_http_head head;
        if (read_head(heads[i].text, &head) != WR_HTTP_REFUSED || head.code != heads[i].code || !head.message)
            fail_msg("%zu: %d instead of %d: %s", i, head.code, heads[i].code, heads[i].text);
    }
    char *large = malloc(WR_HTTP_HEAD_BYTES);
    struct wr_http_head head;
    assert_non_null(large);
    memset(large, 'x', WR_HTTP_HEAD_BYTES);
    assert_int_equal(wr_http_head_read(large, WR_HTTP_HEAD_BYTES - 1, &head), WR_HTTP_INCOMPLETE);
    assert_int_equal(wr_http_head_read(large, WR_HTTP_HEAD_BYTES, &head), WR_HTTP_REFUSED);
    assert_int_equal(head.code, 431);
    free(large);
}

static void connections_stay_or_end_as_the_version_says(void **state) {
    (void)state;
    struct wr_http_head head;
    assert_int_equal(read_head("GET http://h:1/a?b HTTP/1.0\r\n\r\n", &head), WR_HTTP_FOUND);
    assert_true(!head.keep_alive && wr_http_word_is(head.path, "/a") && wr_http_word_is(head.query, "b"));
    assert_int_equal(read_head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &head), WR_HTTP_FOUND);
    assert_true(head.keep_alive);
    assert_int_equal(read_head("GET / HTTP/1.1\r\nHost: a\r\nConnection: x , close\r\n\r\n", &head), WR_HTTP_FOUND);
    assert_false(head.keep_alive);
}

/* -- queries -------------------------------------------------------------------------------------------------------------------------- */

static void values_of_a_query_are_decoded(void **state) {
    (void)state;
    char value[8];
    const struct wr_word query = {"a=1&b=x%20y%2B+z&empty=&flag&a=2&bad=%4&nul=%00", 47};
    assert_int_equal(wr_http_query_find(query, "a", value, sizeof value), WR_OK);
    assert_string_equal(value, "1");
    assert_int_equal(wr_http_query_find(query, "b", value, sizeof value), WR_OK);
    assert_string_equal(value, "x y+ z");
    assert_int_equal(wr_http_query_find(query, "b", value, 4), WR_LIMIT);
    assert_int_equal(wr_http_query_find(query, "empty", value, sizeof value), WR_OK);
    assert_string_equal(value, "");
    assert_int_equal(wr_http_query_find(query, "flag", value, sizeof value), WR_OK);
    assert_int_equal(wr_http_query_find(query, "c", value, sizeof value), WR_NOT_FOUND);
    assert_int_equal(wr_http_query_find(query, "bad", value, sizeof value), WR_INVALID);
    assert_int_equal(wr_http_query_find(query, "nul", value, sizeof value), WR_INVALID);
    assert_string_equal(wr_http_route_answer(" create  database \"x\""), "{\"results\":[{\"statement_id\":0}]}\n");
    assert_non_null(wr_http_route_answer("SHOW DATABASES"));
    assert_null(wr_http_route_answer("SELECT * FROM m"));
    assert_null(wr_http_route_answer("CREATE DATABASES"));
}

/* -- bodies --------------------------------------------------------------------------------------------------------------------------- */

static struct wr_http_budget budget;

/* Feeds text in pieces of so many bytes. */
static enum wr_result feed_in(struct wr_http_body *body, const char *text, size_t len, size_t piece, size_t *ret_taken) {
    enum wr_result result = WR_EMPTY;
    *ret_taken = 0;
    while (result == WR_EMPTY && *ret_taken < len) {
        const size_t n = len - *ret_taken < piece ? len - *ret_taken : piece;
        size_t consumed;
        result = wr_http_body_feed(body, text + *ret_taken, n, &consumed);
        *ret_taken += consumed;
    }
    return result;
}

static size_t zip(const char *text, size_t len, char *into, size_t size) {
    z_stream stream = {.next_in = (z_const Bytef *)text, .avail_in = (uInt)len, .next_out = (Bytef *)into, .avail_out = (uInt)size};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    const size_t made = size - stream.avail_out;
    deflateEnd(&stream);
    return made;
}

static void bodies_come_in_pieces_of_any_size(void **state) {
    (void)state;
    static const char chunks[] = "5;x=y\r\nhello\r\n1\r\n \r\nA \r\n0123456789\r\n0\r\nT: railer\r\n\r\nNEXT";
    const struct wr_http_head chunked = {.chunked = true};
    const struct wr_http_head plain = {.has_length = true, .length = 16};
    budget = (struct wr_http_budget){.max = 1 << 20};
    for (size_t piece = 1; piece < sizeof chunks; piece++) {
        struct wr_http_body body;
        size_t taken;
        assert_int_equal(wr_http_body_begin(&body, &budget, &chunked, false, 1000), WR_OK);
        assert_int_equal(feed_in(&body, chunks, sizeof chunks - 1, piece, &taken), WR_OK);
        assert_int_equal(taken, sizeof chunks - 5);
        assert_int_equal(body.len, 16);
        assert_memory_equal(body.data, "hello 0123456789", 16);
        wr_http_body_fini(&body);
        assert_int_equal(wr_http_body_begin(&body, &budget, &plain, false, 1000), WR_OK);
        assert_int_equal(feed_in(&body, "hello 0123456789NEXT", 20, piece, &taken), WR_OK);
        assert_int_equal(taken, 16);
        assert_memory_equal(body.data, "hello 0123456789", 16);
        wr_http_body_fini(&body);
        assert_int_equal(budget.used, 0);
    }
}

static void broken_chunks_are_refused(void **state) {
    (void)state;
    static const char *const broken[] = {"x\r\n",
                                         "\r\n",
                                         "1\n",
                                         "1\r\nab",
                                         "1\r\na\rb",
                                         "1111111111111111\r\n",
                                         "-1\r\n",
                                         "0\r\n\n",
                                         "1;\n",
                                         "0\r\nA\n",
                                         "1 2\r\na\r\n0\r\n\r\n",
                                         "0 x\r\n\r\n"};
    const struct wr_http_head chunked = {.chunked = true};
    budget = (struct wr_http_budget){.max = 1 << 20};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct wr_http_body body;
        size_t taken;
        assert_int_equal(wr_http_body_begin(&body, &budget, &chunked, false, 1000), WR_OK);
        if (feed_in(&body, broken[i], strlen(broken[i]), 1, &taken) != WR_INVALID)
            fail_msg("%zu: %s", i, broken[i]);
        wr_http_body_fini(&body);
    }
    struct wr_http_body body; /* a line of an extension, and trailers, without an end */
    size_t taken;
    char *many = malloc(100000);
    assert_non_null(many);
    assert_int_equal(wr_http_body_begin(&body, &budget, &chunked, false, 1000), WR_OK);
    memset(many, ';', 1000);
    many[0] = '1';
    assert_int_equal(feed_in(&body, many, 1000, 100, &taken), WR_INVALID);
    wr_http_body_fini(&body);
    size_t len = (size_t)sprintf(many, "0\r\n");
    for (int i = 0; i < 1000; i++)
        len += (size_t)sprintf(many + len, "a: b\r\n");
    assert_int_equal(wr_http_body_begin(&body, &budget, &chunked, false, 1000), WR_OK);
    assert_int_equal(feed_in(&body, many, len, len, &taken), WR_INVALID);
    wr_http_body_fini(&body);
    free(many);
}

static void gzip_is_unpacked_within_the_limit(void **state) {
    (void)state;
    enum { BYTES = 200000, LIMIT = 100000 };
    char *text = malloc(BYTES);
    char *packed = malloc(BYTES);
    assert_true(text && packed);
    for (int i = 0; i < BYTES; i++)
        text[i] = (char)('a' + i / 7 % 26);
    budget = (struct wr_http_budget){.max = 1 << 20};
    for (int round = 0; round < 3; round++) { /* just fits, one byte too many, many */
        const size_t len = (size_t[]){LIMIT, LIMIT + 1, BYTES}[round];
        const size_t made = zip(text, len, packed, BYTES);
        const struct wr_http_head head = {.has_length = true, .length = made};
        struct wr_http_body body;
        size_t taken;
        assert_int_equal(wr_http_body_begin(&body, &budget, &head, true, LIMIT), WR_OK);
        assert_int_equal(feed_in(&body, packed, made, 77, &taken), round == 0 ? WR_OK : WR_LIMIT);
        assert_true(body.len <= LIMIT && body.size <= LIMIT);
        if (round == 0)
            assert_memory_equal(body.data, text, LIMIT);
        wr_http_body_fini(&body);
        assert_int_equal(budget.used, 0);
    }
    free(text);
    free(packed);
}

static void damaged_gzip_is_nothing(void **state) {
    (void)state;
    static const char text[] = "m,a=b v=1\nm,a=b v=2\n";
    char packed[200];
    const size_t made = zip(text, sizeof text - 1, packed, sizeof packed);
    memcpy(packed + made, packed, made); /* two members are one stream */
    budget = (struct wr_http_budget){.max = 1 << 20};
    for (size_t len = 0; len <= 2 * made; len++) { /* cut off everywhere */
        const struct wr_http_head head = {.has_length = true, .length = len};
        struct wr_http_body body;
        size_t taken;
        size_t consumed;
        assert_int_equal(wr_http_body_begin(&body, &budget, &head, true, 1000), WR_OK);
        const enum wr_result result = len == 0 ? wr_http_body_feed(&body, "", 0, &consumed) : feed_in(&body, packed, len, 9, &taken);
        assert_int_equal(result, len == made || len == 2 * made ? WR_OK : WR_INVALID);
        assert_int_equal(body.len, len == 2 * made ? 40 : len == made ? 20 : body.len);
        wr_http_body_fini(&body);
    }
    for (size_t at = 0; at < made; at++) { /* a byte of it changed: but for the parts of the header that say nothing */
        if (at >= 4 && at < 10)
            continue;
        const struct wr_http_head head = {.has_length = true, .length = made};
        struct wr_http_body body;
        size_t taken;
        packed[at] = (char)(packed[at] ^ 0x55);
        assert_int_equal(wr_http_body_begin(&body, &budget, &head, true, 1000), WR_OK);
        if (feed_in(&body, packed, made, made, &taken) == WR_OK)
            fail_msg("byte %zu", at);
        wr_http_body_fini(&body);
        packed[at] = (char)(packed[at] ^ 0x55);
    }
    assert_int_equal(budget.used, 0);
}

static void all_bodies_share_one_budget(void **state) {
    (void)state;
    const struct wr_http_head head = {.has_length = true, .length = 1000000};
    struct wr_http_body a;
    struct wr_http_body b;
    struct wr_http_body c;
    char block[20000] = {0};
    size_t taken;
    budget = (struct wr_http_budget){.max = WR_GUNZIP_BYTES + 16384 + 32768};
    assert_int_equal(wr_http_body_begin(&a, &budget, &head, false, 1 << 20), WR_OK);
    assert_int_equal(wr_http_body_begin(&b, &budget, &head, false, 1 << 20), WR_OK);
    assert_int_equal(feed_in(&a, block, 15000, 1000, &taken), WR_EMPTY); /* what is there costs, not what is claimed */
    assert_true(budget.used < 20000);
    assert_int_equal(wr_http_body_begin(&c, &budget, &head, true, 1 << 20), WR_OK);
    assert_int_equal(feed_in(&b, block, sizeof block, 1000, &taken), WR_EMPTY);
    assert_int_equal(feed_in(&a, block, sizeof block, sizeof block, &taken), WR_FULL);
    wr_http_body_fini(&c);
    wr_http_body_fini(&a);
    wr_http_body_fini(&b);
    assert_int_equal(budget.used, 0);
    budget.max = 10000;
    assert_int_equal(wr_http_body_begin(&c, &budget, &head, true, 1 << 20), WR_FULL);
    wr_http_body_fini(&c);
}

static void no_memory_for_a_body(void **state) {
    (void)state;
    char packed[200];
    const size_t made = zip("m v=1\n", 6, packed, sizeof packed);
    const struct wr_http_head head = {.has_length = true, .length = made};
    budget = (struct wr_http_budget){.max = 1 << 20};
    long n = 0;
    for (;; n++) {
        struct wr_http_body body = {0};
        size_t taken;
        wr_failing_allocations(n);
        enum wr_result result = wr_http_body_begin(&body, &budget, &head, true, 1000);
        if (result == WR_OK)
            result = feed_in(&body, packed, made, 5, &taken);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_http_body_fini(&body);
        assert_int_equal(budget.used, 0);
        if (!hit)
            break;
    }
    assert_true(n >= 3);
}

/* -- routes and replies --------------------------------------------------------------------------------------------------------------- */

static int plan(const char *target, const char *headers, struct wr_http_plan *ret_plan) {
    char text[1000];
    struct wr_http_head head;
    const char *message = NULL;
    const struct wr_http_terms terms = {.max_body_bytes = 1000, .unit_ns = 7};
    snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, headers);
    assert_int_equal(read_head(text, &head), WR_HTTP_FOUND);
    const struct wr_http_route *route = wr_http_route_of(head.path);
    assert_int_equal(route->page, WR_HTTP_PAGE_WRITE);
    const int code = wr_http_route_plan(route, &head, &terms, ret_plan, &message);
    assert_true((code == 0) == (message == NULL));
    return code;
}

static void a_write_says_what_it_brings(void **state) {
    (void)state;
    static const struct {
        const char *target;
        int64_t unit_ns;
    } units[] = {{"/write?db=a&precision=n", 1},
                 {"/write?precision=ns", 1},
                 {"/write?precision=u", 1000},
                 {"/write?precision=ms", 1000000},
                 {"/write?precision=s", 1000000000},
                 {"/write?precision=m", 60000000000},
                 {"/write?precision=h", 3600000000000},
                 {"/write", 7},
                 {"/write?precision=", 7},
                 {"/write?precision=%6ds", 1000000},
                 {"/api/v2/write?org=o&bucket=b&precision=us", 1000},
                 {"/api/v2/write?precision=s", 1000000000},
                 {"/api/v2/write?precision=m", 0},
                 {"/api/v2/write?precision=n", 0},
                 {"/write?precision=sec", 0},
                 {"/write?precision=nanoseconds", 0},
                 {"/write?precision=%", 0}};
    struct wr_http_plan what;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        assert_int_equal(plan(units[i].target, "Content-Length: 1\r\n", &what), units[i].unit_ns ? 0 : 400);
        if (units[i].unit_ns)
            assert_int_equal(what.unit_ns, units[i].unit_ns);
    }
    assert_int_equal(plan("/write", "", &what), 411);
    assert_int_equal(plan("/write", "Transfer-Encoding: chunked\r\n", &what), 0);
    assert_int_equal(plan("/write", "Content-Length: 1001\r\n", &what), 413);
    assert_int_equal(plan("/write", "Content-Length: 1\r\nContent-Encoding: gzip\r\n", &what), 0);
    assert_true(what.gzip);
    assert_int_equal(plan("/write", "Content-Length: 1\r\nContent-Encoding: br\r\n", &what), 415);
    assert_int_equal(plan("/write", "Content-Length: 1\r\nContent-Type: text/plain; charset=utf-8\r\n", &what), 0);
    assert_int_equal(plan("/write", "Content-Length: 1\r\nContent-Type: application/json\r\n", &what), 415);
    assert_int_equal(plan("/api/json", "Content-Length: 1\r\nContent-Type: application/json\r\n", &what), 0);
    assert_int_equal(plan("/api/json", "Content-Length: 1\r\nContent-Type: text/csv\r\n", &what), 415);
    const struct wr_http_route *route = wr_http_route_of((struct wr_word){"/ping", 5});
    assert_true(wr_http_route_allows(route, (struct wr_word){"HEAD", 4}) && wr_http_route_allows(route, (struct wr_word){"POST", 4}));
    assert_false(wr_http_route_allows(route, (struct wr_word){"HEA", 3}) || wr_http_route_allows(route, (struct wr_word){"PUT", 3}));
    assert_int_equal(wr_http_route_of((struct wr_word){"/writes", 7})->page, WR_HTTP_PAGE_NONE);
    assert_int_equal(wr_http_route_of((struct wr_word){"/api/v2/buckets", 15})->api, WR_HTTP_API_V2);
}

static void errors_are_told_in_the_words_of_their_api(void **state) {
    (void)state;
    static const char *const texts[] = {[WR_HTTP_API_OWN] = "{\"error\":\"no \\\"x\\\"\",\"line\":7}\n",
                                        [WR_HTTP_API_V1] = "{\"error\":\"no \\\"x\\\"\"}\n",
                                        [WR_HTTP_API_V2] = "{\"code\":\"invalid\",\"message\":\"no \\\"x\\\"\",\"line\":7}\n"};
    for (int api = WR_HTTP_API_OWN; api <= WR_HTTP_API_V2; api++) {
        struct wr_buf into;
        wr_buf_init(&into, 0);
        assert_int_equal(wr_http_reply_error((enum wr_http_api)api, 400, "no \"x\"", 7, &into), WR_OK);
        assert_string_equal(wr_buf_str(&into), texts[api]);
        wr_buf_fini(&into);
    }
    for (unsigned i = 0; i < WR_HTTP_REPLY_CODES; i++)
        assert_int_equal(wr_http_reply_place(wr_http_reply_codes[i]), i);
    struct wr_buf into;
    wr_buf_init(&into, 10); /* too small for a reply: nothing of it */
    const struct wr_http_reply reply = {.code = 204};
    assert_int_equal(wr_http_reply_write(&reply, &into), WR_LIMIT);
    assert_int_equal(into.len, 0);
    wr_buf_fini(&into);
}

/* -- tokens --------------------------------------------------------------------------------------------------------------------------- */

static char token_path[64];

static void write_tokens(const char *text, int touch_s) {
    FILE *file = fopen(token_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
    const struct timespec times[2] = {{.tv_sec = 1000 + touch_s}, {.tv_sec = 1000 + touch_s}};
    assert_int_equal(utimensat(AT_FDCWD, token_path, times, 0), 0);
}

static bool allows(const struct wr_http_tokens *tokens, const char *authorization, const char *query) {
    const struct wr_http_head head = {.authorization = {authorization, strlen(authorization)}, .query = {query, strlen(query)}};
    return wr_http_tokens_allow(tokens, &head);
}

static void whoever_has_a_token_may_write(void **state) {
    (void)state;
    struct wr_http_tokens tokens;
    write_tokens("# for Telegraf\none\n\n  two:three  \r\nfour", 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, NULL), WR_OK);
    static const struct {
        bool allowed;
        const char *authorization, *query;
    } tries[] = {
        {true, "Token one", ""},
        {true, "token  one", ""},
        {true, "Bearer four", ""},
        {true, "Token two:three", ""},
        {true, "Token user:one", ""},
        {true, "Basic dTpvbmU=", ""},
        {true, "Basic dTpvbmU", ""},
        {true, "", "u=x&p=one"},
        {false, "", ""},
        {false, "Token on", ""},
        {false, "Token one ", ""},
        {false, "Token ", ""},
        {false, "Token", ""},
        {false, "Digest one", ""},
        {false, "Basic !!", ""},
        {true, "Basic b25l", "p=none"},
        {false, "", "p=two"},
        {false, "", "p=%"},
        {false, "Token three", ""},
        {false, "Token # for Telegraf", ""},
        {false, "Token two:three:", ""},
    };
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
        if (allows(&tokens, tries[i].authorization, tries[i].query) != tries[i].allowed)
            fail_msg("%zu: '%s' '%s'", i, tries[i].authorization, tries[i].query);
    char longest[1000] = "Token ";
    memset(longest + 6, 'x', sizeof longest - 7);
    longest[sizeof longest - 1] = '\0';
    assert_false(allows(&tokens, longest, ""));
    wr_http_tokens_close(&tokens);
}

static void tokens_are_read_again_when_the_file_changes(void **state) {
    (void)state;
    struct wr_http_tokens tokens;
    write_tokens("one\n", 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, NULL), WR_OK);
    int64_t now = WR_NS_PER_S;
    wr_http_tokens_refresh(&tokens, now);
    write_tokens("two\n", 1);
    wr_http_tokens_refresh(&tokens, now + WR_NS_PER_S / 2); /* not looked at yet */
    assert_true(allows(&tokens, "Token one", ""));
    wr_http_tokens_refresh(&tokens, now += 2 * WR_NS_PER_S);
    assert_true(allows(&tokens, "Token two", "") && !allows(&tokens, "Token one", ""));
    assert_int_equal(unlink(token_path), 0);
    wr_http_tokens_refresh(&tokens, now += 2 * WR_NS_PER_S);
    write_tokens("# nobody\n", 2);
    wr_http_tokens_refresh(&tokens, now += 2 * WR_NS_PER_S);
    assert_true(allows(&tokens, "Token two", "")); /* what cannot be read changes nothing */
    write_tokens("three\n", 3);
    wr_http_tokens_refresh(&tokens, now + 2 * WR_NS_PER_S);
    assert_true(allows(&tokens, "Token three", "") && !allows(&tokens, "Token two", ""));
    wr_http_tokens_close(&tokens);
}

static void bad_token_files_say_what_is_wrong(void **state) {
    (void)state;
    struct wr_http_tokens tokens;
    struct wr_error err;
    char text[20000];
    write_tokens("", 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, &err), WR_INVALID);
    write_tokens("one\ntwo words\n", 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, &err), WR_INVALID);
    assert_non_null(strstr(err.text, ":2: a token is one word"));
    memset(text, 'x', 300);
    text[300] = '\0';
    write_tokens(text, 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, &err), WR_LIMIT);
    text[0] = '\0';
    for (int i = 0; i < 65; i++)
        strcat(text, "t\n");
    write_tokens(text, 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, &err), WR_LIMIT);
    write_tokens("one\n", 0);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = wr_http_tokens_open(&tokens, token_path, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
    wr_http_tokens_close(&tokens);
    wr_failing_io(0, 5);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, &err), WR_IO);
    wr_failing_off();
    assert_int_equal(unlink(token_path), 0);
    assert_int_equal(wr_http_tokens_open(&tokens, token_path, &err), WR_IO);
}

static int set_up(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, 2);
    snprintf(token_path, sizeof token_path, "/tmp/weir-tokens-%d", (int)getpid());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    (void)unlink(token_path);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_found_wherever_it_is_cut),
        cmocka_unit_test(what_is_no_head_is_refused_with_its_status),
        cmocka_unit_test(connections_stay_or_end_as_the_version_says),
        cmocka_unit_test(values_of_a_query_are_decoded),
        cmocka_unit_test(bodies_come_in_pieces_of_any_size),
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(gzip_is_unpacked_within_the_limit),
        cmocka_unit_test(damaged_gzip_is_nothing),
        cmocka_unit_test(all_bodies_share_one_budget),
        cmocka_unit_test(no_memory_for_a_body),
        cmocka_unit_test(a_write_says_what_it_brings),
        cmocka_unit_test(errors_are_told_in_the_words_of_their_api),
        cmocka_unit_test(whoever_has_a_token_may_write),
        cmocka_unit_test(tokens_are_read_again_when_the_file_changes),
        cmocka_unit_test(bad_token_files_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
