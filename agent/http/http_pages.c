#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/http/http_private.h"

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

static void answer_buf(struct wr_http_connection *connection, int code, const char *type, const struct wr_buf *body) {
    wr_http_connection_reply(connection, code, type, wr_buf_str(body), body->len);
}

static void answer_metrics(struct wr_http_connection *connection) {
    struct wr_buf body;
    wr_buf_init(&body, WR_HTTP_PAGES_BYTES);
    if (wr_metrics_render(connection->server->options.metrics, &body) == WR_OK)
        answer_buf(connection, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
    else
        wr_http_connection_reply_error(connection, 503, "no memory for the metrics", 0);
    wr_buf_fini(&body);
}

static void answer_health(struct wr_http_connection *connection, bool (*question)(void *, struct wr_buf *)) {
    struct wr_buf why;
    wr_buf_init(&why, 4096);
    const bool yes = question(connection->server->options.health.user, &why);
    if (why.len == 0 && wr_buf_text(&why, yes ? "ok\n" : "no\n") != WR_OK)
        wr_buf_clear(&why);
    answer_buf(connection, yes ? 200 : 503, TEXT, &why);
    wr_buf_fini(&why);
}

/* InfluxDB 2's /health; clients look at status. */
static void answer_influx_health(struct wr_http_connection *connection) {
    struct wr_buf why, body;
    const struct wr_http_health *health = &connection->server->options.health;
    wr_buf_init(&why, 4096);
    wr_buf_init(&body, 4096);
    const bool yes = health->ready(health->user, &why);
    if (wr_buf_printf(&body, "{\"name\":\"weir\",\"message\":\"%s\",\"status\":\"%s\",\"version\":\"weir-%s\"}\n",
                      yes ? "ready for writes" : "not ready", yes ? "pass" : "fail", WEIR_VERSION) == WR_OK)
        answer_buf(connection, yes ? 200 : 503, JSON, &body);
    else
        wr_http_connection_reply_error(connection, 503, "no memory", 0);
    wr_buf_fini(&why);
    wr_buf_fini(&body);
}

static void answer_query(struct wr_http_connection *connection, const char *query) {
    const char *answer = query ? wr_http_route_answer(query) : NULL;
    if (answer)
        wr_http_connection_reply(connection, 200, JSON, answer, strlen(answer));
    else
        wr_http_connection_reply_error(connection, 400, query ? "Weir takes writes; it answers no queries" : "missing parameter q", 0);
}

void wr_http_pages_answer(struct wr_http_connection *connection, const char *query) {
    const struct wr_http_health *health = &connection->server->options.health;
    switch (connection->route->page) {
    case WR_HTTP_PAGE_METRICS:
        answer_metrics(connection);
        break;
    case WR_HTTP_PAGE_HEALTHZ:
        answer_health(connection, health->healthy);
        break;
    case WR_HTTP_PAGE_READYZ:
        answer_health(connection, health->ready);
        break;
    case WR_HTTP_PAGE_PING:
        wr_http_connection_reply(connection, 204, NULL, NULL, 0);
        break;
    case WR_HTTP_PAGE_HEALTH:
        answer_influx_health(connection);
        break;
    case WR_HTTP_PAGE_QUERY:
        answer_query(connection, query);
        break;
    case WR_HTTP_PAGE_WRITE:
    case WR_HTTP_PAGE_ALARMS:
    case WR_HTTP_PAGE_COMMAND:
    case WR_HTTP_PAGE_NONE:
        wr_http_connection_reply_error(connection, 404, "no such page", 0);
        break;
    }
}

/* A reply goes with its delivery, which ends when it is answered: so it is taken out first. */
static void answer_as_said(struct wr_http_connection *connection, struct wr_http_delivery *delivery) {
    struct wr_buf reply = delivery->reply;
    wr_buf_init(&delivery->reply, 0);
    if (delivery->code != 0)
        answer_buf(connection, delivery->code, JSON, &reply);
    else
        wr_http_connection_reply_error(connection, 503, "no memory for the answer", 0);
    wr_buf_fini(&reply);
}

void wr_http_pages_answer_delivery(struct wr_http_connection *connection, struct wr_http_delivery *delivery) {
    char message[WR_HTTP_MESSAGE_BYTES + 128];
    switch (delivery->outcome) {
    case WR_HTTP_TAKEN:
        if (delivery->refused == 0) {
            wr_http_connection_reply(connection, 204, NULL, NULL, 0);
            return;
        }
        /* "partial write" and "dropped=N" are what InfluxDB 1's clients look for: so they do not send it all again. */
        snprintf(message, sizeof message, "partial write: %s dropped=%" PRIu64, delivery->message, delivery->refused);
        wr_http_connection_reply_error(connection, 400, message, delivery->line);
        return;
    case WR_HTTP_BUSY:
        wr_http_connection_reply_error(connection, 429, "the engine is behind: nothing of this was taken, send it again", 0);
        return;
    case WR_HTTP_PARTLY:
        wr_http_connection_reply_error(connection, 503, "stopping: the beginning of this was taken, the rest was not", 0);
        return;
    case WR_HTTP_ANSWERED:
        answer_as_said(connection, delivery);
        return;
    case WR_HTTP_STOPPING:
        wr_http_connection_reply_error(connection, 503, "stopping: nothing of this was taken, send it again", 0);
        return;
    }
}
