#include "agent/actions/webhook.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/web_url.h"
#include "transport/credential.h"
#include "transport/dial.h"
#include "transport/hmac.h"
#include "transport/relay.h"

#define SECRET_BYTES 4096
#define PARTING_NS (1 * WR_NS_PER_S) /* the rest of an answer whose status is known */
#define SHOWN_BYTES 96               /* of an answer, in a message */

/* One request under way. */
struct exchange {
    const struct wr_webhook *webhook;
    struct wr_action_end *end;
    struct event_base *base;
    struct event *timer;
    struct event *cancel;
    struct evhttp_connection *connection;
    int status; /* 0: not known yet */
    bool canceled;
    bool overdue;
    char shown[SHOWN_BYTES]; /* how the answer begins, escaped */
};

static void fail(struct wr_action_end *end, enum wr_action_verdict verdict, const char *why) {
    end->verdict = verdict;
    snprintf(end->why, sizeof end->why, "%s", why);
}

/* -- what it means --------------------------------------------------------------------------------------------------------------------- */

int64_t wr_webhook_patience_ns(const char *retry_after, int64_t now_wall_ns) {
    char *rest;
    struct tm tm = {0};
    const long seconds = strtol(retry_after, &rest, 10);
    int64_t patience_ns = 0;
    if (rest != retry_after && *rest == 0) {
        patience_ns = seconds < 0 ? 0 : seconds > 1000000 ? WR_ACTION_PATIENCE_NS : seconds * WR_NS_PER_S;
    } else if ((rest = strptime(retry_after, "%a, %d %b %Y %H:%M:%S GMT", &tm)) != NULL && *rest == 0) {
        const time_t at = timegm(&tm);
        if (at > now_wall_ns / WR_NS_PER_S && at < now_wall_ns / WR_NS_PER_S + 1000000)
            patience_ns = (int64_t)at * WR_NS_PER_S - now_wall_ns;
    }
    return patience_ns < WR_ACTION_PATIENCE_NS ? patience_ns : WR_ACTION_PATIENCE_NS;
}

static void judge(struct exchange *exchange) {
    struct wr_action_end *end = exchange->end;
    const int status = exchange->status;
    if (status >= 200 && status < 300) {
        fail(end, WR_ACTION_DONE, "");
        return;
    }
    const bool later = status == 408 || status == 425 || status == 429 || status >= 500;
    end->verdict = later ? WR_ACTION_FAILED : WR_ACTION_REFUSED;
    snprintf(end->why, sizeof end->why, "the server answers %d%s%s%s", status, exchange->shown[0] ? ": " : "", exchange->shown,
             status >= 300 && status < 400 ? " (redirects are not followed)" : "");
}

/* -- events of libevent ---------------------------------------------------------------------------------------------------------------- */

static void set_timer(struct exchange *exchange, int64_t ns) {
    const int64_t us = ns > 0 ? ns / WR_NS_PER_US : 0;
    const struct timeval after = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
    (void)event_add(exchange->timer, &after);
}

static int64_t left_ns(const struct wr_webhook *webhook) {
    return webhook->deadline_boot_ns - wr_clock_boot_ns(wr_clock_real());
}

static void on_timer(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct exchange *exchange = user;
    exchange->overdue = true;
    event_base_loopbreak(exchange->base);
}

static void on_cancel(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct exchange *exchange = user;
    exchange->canceled = true;
    event_base_loopbreak(exchange->base);
}

/* From here on the outcome is known; the rest is for the message only. */
static int on_headers(struct evhttp_request *request, void *user) {
    struct exchange *exchange = user;
    const char *retry_after = evhttp_find_header(evhttp_request_get_input_headers(request), "Retry-After");
    if (evhttp_request_get_response_code(request) < 200) /* to be followed by the answer itself */
        return 0;
    exchange->status = evhttp_request_get_response_code(request);
    if (retry_after)
        exchange->end->patience_ns = wr_webhook_patience_ns(retry_after, wr_clock_wall_ns(exchange->webhook->clock));
    if (left_ns(exchange->webhook) > PARTING_NS)
        set_timer(exchange, PARTING_NS);
    return 0;
}

static void on_end(struct evhttp_request *request, void *user) {
    struct exchange *exchange = user;
    if (request && evhttp_request_get_response_code(request) >= 200) {
        char text[SHOWN_BYTES];
        exchange->status = evhttp_request_get_response_code(request);
        const ssize_t n = evbuffer_copyout(evhttp_request_get_input_buffer(request), text, sizeof text);
        if (n > 0)
            wr_error_escape(exchange->shown, sizeof exchange->shown, text, (size_t)n);
    }
    event_base_loopbreak(exchange->base);
}

/* -- the request ----------------------------------------------------------------------------------------------------------------------- */

static bool add(struct evhttp_request *request, const char *name, const char *value) {
    return evhttp_add_header(evhttp_request_get_output_headers(request), name, value) == 0;
}

static enum wr_result read_secret(const char *file, struct wr_credential *ret_secret, struct wr_error *err) {
    WR_TRY(wr_credential_read(file, SECRET_BYTES, ret_secret, err));
    wr_credential_trim(ret_secret);
    if (ret_secret->len > 0)
        return WR_OK;
    wr_credential_free(ret_secret);
    return wr_error_set(err, WR_INVALID, "%s is empty", file);
}

static enum wr_result sign(struct evhttp_request *request, const struct wr_webhook *webhook, struct wr_error *err) {
    char timestamp[24], value[WR_HMAC_HEX_BYTES + 8] = "sha256=";
    struct wr_credential secret;
    snprintf(timestamp, sizeof timestamp, "%" PRId64, wr_clock_wall_ns(webhook->clock) / WR_NS_PER_S);
    if (!add(request, "X-Weir-Timestamp", timestamp))
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    if (!webhook->secret_file)
        return WR_OK;
    const struct wr_hmac_part parts[] = {{timestamp, strlen(timestamp)}, {".", 1}, {webhook->body, webhook->body_len}};
    WR_TRY(read_secret(webhook->secret_file, &secret, err));
    enum wr_result result = wr_hmac_sha256(secret.data, secret.len, parts, 3, value + strlen(value), err);
    wr_credential_free(&secret);
    if (result == WR_OK && !add(request, "X-Weir-Signature", value))
        result = wr_error_set(err, WR_NO_MEMORY, "no memory");
    return result;
}

static enum wr_result log_in(struct evhttp_request *request, const struct wr_webhook *webhook, struct wr_error *err) {
    struct wr_credential token;
    char value[SECRET_BYTES + 16];
    if (!webhook->token_file)
        return WR_OK;
    WR_TRY(read_secret(webhook->token_file, &token, err));
    snprintf(value, sizeof value, "Bearer %s", (const char *)token.data);
    wr_credential_free(&token);
    const bool added = strpbrk(value, "\r\n") == NULL && add(request, "Authorization", value);
    explicit_bzero(value, sizeof value);
    return added ? WR_OK : wr_error_set(err, WR_INVALID, "%s holds more than one line", webhook->token_file);
}

static enum wr_result fill(struct evhttp_request *request, const struct wr_webhook *webhook, const struct wr_web_url *url,
                           struct wr_error *err) {
    char authority[WR_AUTHORITY_TEXT_BYTES];
    wr_authority_text(authority, sizeof authority, url->host, url->port);
    if (url->port == (url->tls ? 443 : 80))
        *strrchr(authority, ':') = 0;
    bool added = add(request, "Host", authority) && add(request, "Connection", "close") &&
                 add(request, "Content-Type", "application/json") && add(request, "User-Agent", "weir/" WEIR_VERSION) &&
                 add(request, "X-Weir-Delivery", webhook->delivery);
    for (size_t i = 0; webhook->headers && webhook->headers[i] && added; i += 2)
        added = add(request, webhook->headers[i], webhook->headers[i + 1]);
    if (!added || evbuffer_add(evhttp_request_get_output_buffer(request), webhook->body, webhook->body_len) != 0)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the request");
    WR_TRY(sign(request, webhook, err));
    return log_in(request, webhook, err);
}

static enum wr_result prepare(struct exchange *exchange, uint16_t port, struct wr_error *err) {
    const struct wr_webhook *webhook = exchange->webhook;
    exchange->base = event_base_new();
    if (exchange->base) {
        exchange->timer = evtimer_new(exchange->base, on_timer, exchange);
        exchange->connection = evhttp_connection_base_new(exchange->base, NULL, "127.0.0.1", port);
        if (webhook->cancel_fd >= 0)
            exchange->cancel = event_new(exchange->base, webhook->cancel_fd, EV_READ, on_cancel, exchange);
    }
    if (!exchange->timer || !exchange->connection ||
        (webhook->cancel_fd >= 0 && (!exchange->cancel || event_add(exchange->cancel, NULL) != 0)))
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the request");
    evhttp_connection_set_max_headers_size(exchange->connection, WR_WEBHOOK_HEADER_BYTES);
    evhttp_connection_set_max_body_size(exchange->connection, WR_WEBHOOK_ANSWER_BYTES);
    set_timer(exchange, left_ns(webhook));
    return WR_OK;
}

static enum wr_result ask(struct exchange *exchange, const struct wr_web_url *url, struct wr_error *err) {
    struct evhttp_request *request = evhttp_request_new(on_end, exchange);
    if (!request)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the request");
    enum wr_result result = fill(request, exchange->webhook, url, err);
    if (result != WR_OK) {
        evhttp_request_free(request);
        return result;
    }
    evhttp_request_set_header_cb(request, on_headers);
    const bool put = strcmp(exchange->webhook->method, "PUT") == 0;
    if (evhttp_make_request(exchange->connection, request, put ? EVHTTP_REQ_PUT : EVHTTP_REQ_POST, url->path) != 0)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the request");
    (void)event_base_dispatch(exchange->base);
    return WR_OK;
}

static void finish(struct exchange *exchange) {
    if (exchange->connection)
        evhttp_connection_free(exchange->connection);
    if (exchange->timer)
        event_free(exchange->timer);
    if (exchange->cancel)
        event_free(exchange->cancel);
    if (exchange->base)
        event_base_free(exchange->base);
}

/* transport/ knows peers as brokers. */
static void name_it_server(struct wr_error *err) {
    for (char *at = err->text; (at = strstr(at, "the broker")) != NULL;)
        memcpy(at, "the server", 10);
}

/* Why there was no answer: what the relay saw of the connection is more exact than what libevent makes of it. */
static void no_answer(const struct exchange *exchange, const struct wr_relay *relay, struct wr_error *err) {
    struct wr_error cause = {0};
    if (exchange->canceled)
        (void)wr_error_set(err, WR_CANCELED, "given up");
    else if (exchange->overdue)
        (void)wr_error_set(err, WR_TIMEOUT, "no answer in time");
    else if (wr_relay_end(relay, &cause) && cause.code != WR_OK && cause.code != WR_CLOSED)
        *err = cause;
    else
        (void)wr_error_set(err, WR_PROTOCOL, "the connection ended before there was an answer that is HTTP");
}

static enum wr_result talk(struct exchange *exchange, const struct wr_web_url *url, struct wr_error *err) {
    const struct wr_webhook *webhook = exchange->webhook;
    struct wr_url target = {.tls = url->tls, .numeric = wr_authority_is_numeric(url->host), .port = url->port};
    memcpy(target.host, url->host, sizeof target.host);
    const struct wr_dial dial = {.url = &target,
                                 .tls = webhook->tls,
                                 .deadline_boot_ns = webhook->deadline_boot_ns,
                                 .user_timeout_ns = left_ns(webhook) > 0 ? left_ns(webhook) : 0,
                                 .cancel_fd = webhook->cancel_fd};
    struct wr_stream stream;
    struct wr_relay *relay;
    uint16_t port;
    WR_TRY(wr_dial(&dial, &stream, err));
    WR_TRY(wr_relay_open(&stream, webhook->deadline_boot_ns, &relay, &port, err));
    enum wr_result result = prepare(exchange, port, err);
    if (result == WR_OK)
        result = ask(exchange, url, err);
    if (result == WR_OK && exchange->status == 0) {
        no_answer(exchange, relay, err);
        result = err->code;
    }
    finish(exchange);
    wr_relay_close(relay);
    return result;
}

void wr_webhook_send(const struct wr_webhook *webhook, struct wr_action_end *ret_end) {
    struct exchange exchange = {.webhook = webhook, .end = ret_end};
    struct wr_web_url url;
    struct wr_error err = {0};
    *ret_end = (struct wr_action_end){.verdict = WR_ACTION_FAILED};
    if (wr_web_url_parse(webhook->url, &url, &err) != WR_OK)
        fail(ret_end, WR_ACTION_REFUSED, err.text);
    else if (talk(&exchange, &url, &err) == WR_OK)
        judge(&exchange);
    else {
        name_it_server(&err);
        fail(ret_end, WR_ACTION_FAILED, err.text);
    }
}

size_t wr_webhook_bytes(void) {
    return 2 * (WR_WEBHOOK_ANSWER_BYTES + WR_WEBHOOK_HEADER_BYTES) + 2 * (size_t)WR_RELAY_BYTES;
}
