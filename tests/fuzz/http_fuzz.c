/* Any bytes as a connection of HTTP: request after request, to readings. No crash, no body beyond its limit or the budget, and the same requests,
 * bodies and readings when the bytes come in two pieces (the first byte says where they are cut). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json.h"
#include "agent/codec/line.h"
#include "agent/http/http_body.h"
#include "agent/http/http_query.h"
#include "agent/http/http_reply.h"
#include "agent/http/http_route.h"
#include "agent/http/http_tokens.h"
#include "tests/fuzz/seen.h"

#define BODY_MAX 20000
#define BUDGET (BODY_MAX + WR_GUNZIP_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct connection {
    struct seen seen;
    struct wr_http_budget budget;
    struct wr_http_body body;
    const struct wr_http_route *route;
    struct wr_http_plan plan;
    bool in_body;
    bool ended;
    struct wr_line_parser lines;
    struct wr_json_reader json;
};

static void say(struct connection *connection, int code) {
    must(wr_buf_printf(&connection->seen.text, "%d\n", code) == WR_OK);
    connection->ended = code >= 400;
}

/* The whole body to records, as the source does. */
static void deliver(struct connection *connection) {
    const struct wr_sink sink = {.record = record, .refused = refused, .user = &connection->seen};
    const struct wr_http_body *body = &connection->body;
    char *exact = malloc(body->len + 1);
    size_t consumed;
    uint64_t line = 0;
    must(exact && body->len <= BODY_MAX && body->size <= BODY_MAX);
    if (body->len > 0)
        memcpy(exact, body->data, body->len);
    connection->lines.unit_ns = connection->plan.unit_ns;
    must((connection->route->format == WR_HTTP_JSON
              ? wr_json_feed(&connection->json, exact, body->len, true, &line, &sink, &consumed)
              : wr_line_feed(&connection->lines, exact, body->len, true, &line, &sink, &consumed)) == WR_OK);
    must(consumed == body->len);
    free(exact);
    say(connection, 204);
}

static void take_head(struct connection *connection, const struct wr_http_head *head) {
    const struct wr_http_terms terms = {.max_body_bytes = BODY_MAX, .unit_ns = 1};
    struct wr_http_token token = {.len = 1, .text = "t"};
    const struct wr_http_tokens tokens = {.list = &token, .n = 1};
    const char *message = NULL;
    char query[64];
    (void)wr_http_tokens_allow(&tokens, head);
    if (wr_http_query_find(head->query, "q", query, sizeof query) == WR_OK)
        (void)wr_http_route_answer(query);
    connection->route = wr_http_route_of(head->path);
    if (connection->route->page != WR_HTTP_PAGE_WRITE || !wr_http_route_allows(connection->route, head->method)) {
        wr_http_body_pass_over(&connection->body, head);
        connection->in_body = true;
        return;
    }
    const int code = wr_http_route_plan(connection->route, head, &terms, &connection->plan, &message);
    must((code == 0) == (message == NULL));
    if (code != 0) {
        struct wr_buf told;
        wr_buf_init(&told, 0);
        must(wr_http_reply_error(connection->route->api, code, message, 0, &told) == WR_OK);
        wr_buf_fini(&told);
        say(connection, code);
        return;
    }
    must(wr_http_body_begin(&connection->body, &connection->budget, head, connection->plan.gzip, BODY_MAX) == WR_OK);
    connection->in_body = true;
}

/* Goes on with bytes[len]; returns how many were used. */
static size_t go_on(struct connection *connection, const char *bytes, size_t len) {
    size_t at = 0;
    while (!connection->ended) {
        size_t consumed;
        if (!connection->in_body) {
            struct wr_http_head head;
            const enum wr_http_found found = wr_http_head_read(bytes + at, len - at, &head);
            if (found == WR_HTTP_INCOMPLETE)
                return at;
            if (found == WR_HTTP_REFUSED) {
                must(head.code >= 400 && head.message != NULL);
                say(connection, head.code);
                return at;
            }
            must(head.bytes <= len - at && head.path.len > 0);
            at += head.bytes;
            take_head(connection, &head);
            continue;
        }
        const enum wr_result result = wr_http_body_feed(&connection->body, bytes + at, len - at, &consumed);
        must(connection->budget.used <= BUDGET && consumed <= len - at);
        at += consumed;
        if (result == WR_EMPTY)
            return at;
        must(result == WR_OK || result == WR_INVALID || result == WR_LIMIT);
        if (result != WR_OK)
            say(connection, result == WR_LIMIT ? 413 : 400);
        else if (connection->body.discarding)
            say(connection, 200);
        else
            deliver(connection);
        wr_http_body_fini(&connection->body);
        connection->in_body = false;
    }
    return at;
}

static void run(const uint8_t *data, size_t size, size_t cut, struct connection *connection) {
    *connection = (struct connection){.budget = {.max = BUDGET}};
    wr_line_parser_init(&connection->lines, WR_PRECISION_NS, 65536);
    wr_json_reader_init(&connection->json);
    wr_buf_init(&connection->seen.text, 0);
    size_t from = 0;
    for (int piece = 0; piece < 2; piece++) {
        const size_t to = piece == 0 ? cut : size;
        char *bytes = malloc(to - from + 1);
        must(bytes != NULL);
        memcpy(bytes, data + from, to - from);
        from += go_on(connection, bytes, to - from);
        free(bytes);
    }
    wr_http_body_fini(&connection->body);
    must(connection->budget.used == 0);
    wr_line_parser_fini(&connection->lines);
    wr_json_reader_fini(&connection->json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct connection whole;
    static struct connection cut;
    if (size == 0)
        return 0;
    run(data + 1, size - 1, 0, &whole);
    run(data + 1, size - 1, data[0] * (size - 1) / 256, &cut);
    must(whole.seen.refused == cut.seen.refused && strcmp(wr_buf_str(&whole.seen.text), wr_buf_str(&cut.seen.text)) == 0);
    wr_buf_fini(&whole.seen.text);
    wr_buf_fini(&cut.seen.text);
    return 0;
}
