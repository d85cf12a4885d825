/* What a request leads to: a refusal, a page, or a body for the source. */
#include <errno.h>
#include <stdlib.h>

#include "agent/http/http_private.h"
#include "agent/http/http_query.h"
#include "core/log.h"

#define PASS_OVER_BYTES 262144 /* an unwanted body up to this is read, so that the connection can go on */
#define QUERY_BYTES 4096

void wr_http_request_give_up(struct wr_http_connection *connection, int code, const char *message) {
    connection->keep_alive = false;
    wr_http_connection_reply_error(connection, code, message, 0);
}

/* -- handing over ---------------------------------------------------------------------------------------------------------------------- */

static bool is_for_desk(const struct wr_http_connection *connection) {
    return connection->route->page == WR_HTTP_PAGE_COMMAND || connection->route->page == WR_HTTP_PAGE_ALARMS;
}

static void post(struct wr_http_connection *connection) {
    struct wr_http_delivery *delivery = connection->delivery;
    connection->delivery = NULL;
    *delivery = (struct wr_http_delivery){
        .format = connection->route->format,
        .unit_ns = connection->plan.unit_ns,
        .body = connection->body,
        .posted_boot_ns = wr_clock_boot_ns(wr_clock_real()),
        .answers = connection->server->answers,
        .connection = connection,
        .peer = connection->peer,
        .verb = connection->route->verb,
    };
    connection->body = (struct wr_http_body){.budget = NULL};
    connection->state = WR_HTTP_WAITING;
    const struct wr_http_server_options *options = &connection->server->options;
    if (wr_http_gate_post(is_for_desk(connection) ? options->desk : options->gate, delivery))
        return;
    delivery->outcome = WR_HTTP_STOPPING;
    connection->delivery = delivery;
    if (is_for_desk(connection))
        wr_http_connection_reply_error(connection, 503, "too many commands wait: nothing of this was done, send it again", 0);
    else
        wr_http_pages_answer_delivery(connection, delivery);
}

/* -- what a head leads to -------------------------------------------------------------------------------------------------------------- */

/* Refuses a request, after its body if that is short: then the connection can go on. */
static void refuse(struct wr_http_connection *connection, const struct wr_http_head *head, int code, const char *message) {
    if (head->length == 0 && !head->chunked) {
        wr_http_connection_reply_error(connection, code, message, 0);
        return;
    }
    if (head->chunked || head->length > PASS_OVER_BYTES || head->expects_continue) {
        wr_http_request_give_up(connection, code, message);
        return;
    }
    wr_http_body_pass_over(&connection->body, head);
    connection->refusal = code;
    connection->refusal_message = message;
    connection->state = WR_HTTP_IN_BODY;
}

/* The gate of writes says no: true, and it is answered. */
static bool is_shut_out(struct wr_http_connection *connection, const struct wr_http_head *head, struct wr_http_terms *ret_terms) {
    const int64_t now = wr_clock_boot_ns(wr_clock_real());
    switch (wr_http_gate_ask(connection->server->options.gate, head, now, ret_terms)) {
    case WR_HTTP_ADMITTED:
        connection->server->bodies.max = ret_terms->bodies_bytes;
        return false;
    case WR_HTTP_NOBODY:
        refuse(connection, head, 404, "writes are not configured: there is no source of kind http");
        return true;
    case WR_HTTP_CLOSED:
        refuse(connection, head, 503, "the source of kind http does not run now");
        return true;
    case WR_HTTP_DENIED:
        WR_LOG_WITH(WR_LOG_WARN, "http", "a write without a token that is known", WR_LOG_STR("from", connection->peer));
        refuse(connection, head, 401, "unauthorized access: no token, or one that is not known here");
        return true;
    case WR_HTTP_STALLED:
        refuse(connection, head, 429, "the engine is behind: nothing of this was taken, send it again");
        return true;
    }
    return true;
}

static void begin_body(struct wr_http_connection *connection, struct wr_http_budget *budget, const struct wr_http_head *head, bool gzip,
                       size_t max_bytes) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    switch (wr_http_body_begin(&connection->body, budget, head, gzip, max_bytes)) {
    case WR_OK:
        break;
    case WR_FULL:
        refuse(connection, head, 429, "other bodies take all the memory that there is for them: send it again");
        return;
    default:
        refuse(connection, head, 503, "no memory for the body");
        return;
    }
    connection->state = WR_HTTP_IN_BODY;
    /* Some bytes into an empty socket: if that does not go, the client sends its body after a second all the same. */
    if (head->expects_continue && wr_http_connection_put(connection, go_on, sizeof go_on - 1) < 0 && errno != EAGAIN)
        connection->state = WR_HTTP_ENDED;
}

static void begin_write(struct wr_http_connection *connection, const struct wr_http_head *head) {
    struct wr_http_terms terms;
    const char *message;
    if (is_shut_out(connection, head, &terms))
        return;
    const int code = wr_http_route_plan(connection->route, head, &terms, &connection->plan, &message);
    if (code != 0) {
        refuse(connection, head, code, message);
        return;
    }
    connection->delivery = calloc(1, sizeof *connection->delivery);
    if (!connection->delivery)
        refuse(connection, head, 503, "no memory for the request");
    else
        begin_body(connection, &connection->server->bodies, head, connection->plan.gzip, terms.max_body_bytes);
}

/* The q of the URL, or the form in the body. */
static void begin_query(struct wr_http_connection *connection, const struct wr_http_head *head) {
    char query[QUERY_BYTES];
    struct wr_http_terms terms;
    if (is_shut_out(connection, head, &terms))
        return;
    const enum wr_result found = wr_http_query_find(head->query, "q", query, sizeof query);
    if (head->length == 0 && !head->chunked)
        wr_http_pages_answer(connection, found == WR_OK ? query : NULL);
    else if (found == WR_OK) /* in both: clients put other parameters into the body then */
        refuse(connection, head, 400, "q in the URL and a body too");
    else if (head->length > QUERY_BYTES)
        refuse(connection, head, 413, "a query has at most 4 KB");
    else
        begin_body(connection, &connection->server->bodies, head, false, QUERY_BYTES);
}

/* The desk says no: true, and it is answered. */
static bool is_sent_away(struct wr_http_connection *connection, const struct wr_http_head *head, struct wr_http_terms *ret_terms) {
    struct wr_http_gate *desk = connection->server->options.desk;
    const int64_t now = wr_clock_boot_ns(wr_clock_real());
    struct wr_http_head shown = *head;
    shown.query.len = 0; /* a secret in a URL ends in logs: writes put up with it, for old clients */
    switch (desk ? wr_http_gate_ask(desk, &shown, now, ret_terms) : WR_HTTP_NOBODY) {
    case WR_HTTP_ADMITTED:
        connection->server->commands.max = ret_terms->bodies_bytes;
        return false;
    case WR_HTTP_DENIED:
        WR_LOG_WITH(WR_LOG_WARN, "http", "a command without a token that is known", WR_LOG_STR("from", connection->peer));
        refuse(connection, head, 401,
               "unauthorized access: no token of http.command_token_file in Authorization, or one that is not known here");
        return true;
    case WR_HTTP_NOBODY:
        refuse(connection, head, 404, "commands are not configured: there is no http.command_token_file");
        return true;
    default:
        refuse(connection, head, 503, "commands are not taken now: send it again");
        return true;
    }
}

/* The list of alarms, or a command. */
static void begin_command(struct wr_http_connection *connection, const struct wr_http_head *head) {
    const bool has_body = connection->route->page == WR_HTTP_PAGE_COMMAND;
    struct wr_http_terms terms;
    const char *message;
    if (is_sent_away(connection, head, &terms))
        return;
    const int code = has_body ? wr_http_route_plan(connection->route, head, &terms, &connection->plan, &message) : 0;
    if (code != 0) {
        refuse(connection, head, code, code == 413 ? "a command has at most 4 KB" : message);
        return;
    }
    connection->delivery = calloc(1, sizeof *connection->delivery);
    if (!connection->delivery)
        refuse(connection, head, 503, "no memory for the request");
    else if (has_body)
        begin_body(connection, &connection->server->commands, head, connection->plan.gzip, terms.max_body_bytes);
    else
        post(connection);
}

void wr_http_request_head(struct wr_http_connection *connection, const struct wr_http_head *head) {
    connection->route = wr_http_route_of(head->path);
    connection->keep_alive = head->keep_alive && !connection->server->stopping;
    connection->head_only = wr_http_word_is(head->method, "HEAD");
    if (connection->route->page == WR_HTTP_PAGE_NONE)
        refuse(connection, head, 404, "no such page");
    else if (!wr_http_route_allows(connection->route, head->method))
        refuse(connection, head, 405, "this page does not take that method");
    else if (connection->route->page == WR_HTTP_PAGE_WRITE)
        begin_write(connection, head);
    else if (connection->route->page == WR_HTTP_PAGE_QUERY)
        begin_query(connection, head);
    else if (connection->route->page != WR_HTTP_PAGE_COMMAND && (head->length > 0 || head->chunked))
        refuse(connection, head, 400, "this page takes no body");
    else if (is_for_desk(connection))
        begin_command(connection, head);
    else
        wr_http_pages_answer(connection, NULL);
}

/* -- bodies ---------------------------------------------------------------------------------------------------------------------------- */

static void answer_form(struct wr_http_connection *connection) {
    char query[QUERY_BYTES];
    const struct wr_word form = {connection->body.data ? connection->body.data : "", connection->body.len};
    const bool found = wr_http_query_find(form, "q", query, sizeof query) == WR_OK;
    wr_http_pages_answer(connection, found ? query : NULL);
}

void wr_http_request_body(struct wr_http_connection *connection, enum wr_result result) {
    connection->server->shown_bodies_bytes = connection->server->bodies.used;
    if (result == WR_EMPTY)
        return;
    if (result == WR_OK && connection->refusal)
        wr_http_connection_reply_error(connection, connection->refusal, connection->refusal_message, 0);
    else if (result == WR_OK && connection->route->page == WR_HTTP_PAGE_QUERY)
        answer_form(connection);
    else if (result == WR_OK)
        post(connection);
    else if (result == WR_LIMIT && is_for_desk(connection))
        wr_http_request_give_up(connection, 413, "a command has at most 4 KB");
    else if (result == WR_LIMIT)
        wr_http_request_give_up(connection, 413, "the body is larger than max_body: send smaller batches");
    else if (result == WR_FULL)
        wr_http_request_give_up(connection, 429, "other bodies take all the memory that there is for them: send it again");
    else if (result == WR_NO_MEMORY)
        wr_http_request_give_up(connection, 503, "no memory for the body");
    else
        wr_http_request_give_up(connection, 400, "the body is cut off or damaged: nothing of it was taken");
}
