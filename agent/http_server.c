#include "agent/http_server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 8192
#define BODY_MAX 65536
#define TIMEOUT_S 10

struct wr_http_server {
    struct evhttp *http;
    struct wr_metrics *metrics;
    struct wr_http_health health;
};

static void answer(struct evhttp_request *request, int code, const char *reason, const char *type, const struct wr_buf *body) {
    struct evbuffer *out = evhttp_request_get_output_buffer(request);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    (void)evhttp_add_header(headers, "Content-Type", type);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    (void)evbuffer_add(out, wr_buf_str(body), body->len);
    evhttp_send_reply(request, code, reason, NULL);
}

static void on_metrics(struct evhttp_request *request, void *user) {
    struct wr_http_server *server = user;
    struct wr_buf body;
    wr_buf_init(&body, 0);
    if (wr_metrics_render(server->metrics, &body) == WR_OK)
        answer(request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", &body);
    else
        evhttp_send_error(request, 503, "out of memory");
    wr_buf_fini(&body);
}

static void answer_health(struct evhttp_request *request, bool (*question)(void *, struct wr_buf *), void *user) {
    struct wr_buf why;
    wr_buf_init(&why, 4096);
    bool yes = question(user, &why);
    if (why.len == 0 && wr_buf_text(&why, yes ? "ok\n" : "no\n") != WR_OK)
        wr_buf_clear(&why);
    answer(request, yes ? 200 : 503, yes ? "OK" : "Service Unavailable", "text/plain; charset=utf-8", &why);
    wr_buf_fini(&why);
}

static void on_healthz(struct evhttp_request *request, void *user) {
    struct wr_http_server *server = user;
    answer_health(request, server->health.healthy, server->health.user);
}

static void on_readyz(struct evhttp_request *request, void *user) {
    struct wr_http_server *server = user;
    answer_health(request, server->health.ready, server->health.user);
}

static void on_other(struct evhttp_request *request, void *user) {
    (void)user;
    evhttp_send_error(request, 404, "Not Found");
}

enum wr_result wr_http_server_start(struct event_base *base, const struct wr_config_http *config, struct wr_metrics *metrics,
                                    const struct wr_http_health *health, struct wr_http_server **ret_server, struct wr_error *err) {
    struct wr_http_server *server = calloc(1, sizeof *server);
    if (!server)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the HTTP server");
    server->metrics = metrics;
    server->health = *health;
    server->http = evhttp_new(base);
    if (!server->http) {
        free(server);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the HTTP server");
    }
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(server->http, HEADERS_MAX);
    evhttp_set_max_body_size(server->http, BODY_MAX);
    evhttp_set_timeout(server->http, TIMEOUT_S);
    evhttp_set_gencb(server->http, on_other, server);
    bool failed = evhttp_set_cb(server->http, "/metrics", on_metrics, server) < 0 ||
                  evhttp_set_cb(server->http, "/healthz", on_healthz, server) < 0 ||
                  evhttp_set_cb(server->http, "/readyz", on_readyz, server) < 0;
    const char *host = config->address.host && *config->address.host ? config->address.host : "0.0.0.0";
    errno = 0;
    if (failed || evhttp_bind_socket(server->http, host, config->address.port) < 0) {
        enum wr_result result =
            wr_error_set(err, WR_IO, "http.listen %s: %s", config->listen, errno ? strerror(errno) : "cannot listen there");
        wr_http_server_stop(server);
        return result;
    }
    *ret_server = server;
    return WR_OK;
}

void wr_http_server_stop(struct wr_http_server *server) {
    if (!server)
        return;
    evhttp_free(server->http);
    free(server);
}
