#include "agent/http/http_route.h"

#include <string.h>
#include <strings.h>

#include "agent/http/http_query.h"
#include "core/clock.h"

static const struct wr_http_route routes[] = {
    {"/metrics", WR_HTTP_PAGE_METRICS, WR_HTTP_API_OWN, WR_HTTP_LINE, "GET, HEAD", ""},
    {"/healthz", WR_HTTP_PAGE_HEALTHZ, WR_HTTP_API_OWN, WR_HTTP_LINE, "GET, HEAD", ""},
    {"/readyz", WR_HTTP_PAGE_READYZ, WR_HTTP_API_OWN, WR_HTTP_LINE, "GET, HEAD", ""},
    {"/write", WR_HTTP_PAGE_WRITE, WR_HTTP_API_V1, WR_HTTP_LINE, "POST", ""},
    {"/api/v2/write", WR_HTTP_PAGE_WRITE, WR_HTTP_API_V2, WR_HTTP_LINE, "POST", ""},
    {"/api/json", WR_HTTP_PAGE_WRITE, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", ""},
    {"/api/v1/alarms", WR_HTTP_PAGE_ALARMS, WR_HTTP_API_OWN, WR_HTTP_JSON, "GET, HEAD", ""},
    {"/api/v1/alarms/ack", WR_HTTP_PAGE_COMMAND, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", "ack"},
    {"/api/v1/alarms/reset", WR_HTTP_PAGE_COMMAND, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", "reset"},
    {"/api/v1/alarms/shelve", WR_HTTP_PAGE_COMMAND, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", "shelve"},
    {"/api/v1/alarms/unshelve", WR_HTTP_PAGE_COMMAND, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", "unshelve"},
    {"/api/v1/alarms/oos", WR_HTTP_PAGE_COMMAND, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", "oos"},
    {"/api/v1/alarms/return", WR_HTTP_PAGE_COMMAND, WR_HTTP_API_OWN, WR_HTTP_JSON, "POST", "return"},
    {"/ping", WR_HTTP_PAGE_PING, WR_HTTP_API_V1, WR_HTTP_LINE, "GET, HEAD, POST", ""},
    {"/health", WR_HTTP_PAGE_HEALTH, WR_HTTP_API_V2, WR_HTTP_LINE, "GET, HEAD", ""},
    {"/query", WR_HTTP_PAGE_QUERY, WR_HTTP_API_V1, WR_HTTP_LINE, "GET, POST", ""},
};

const struct wr_http_route *wr_http_route_of(struct wr_word path) {
    static const struct wr_http_route none = {"", WR_HTTP_PAGE_NONE, WR_HTTP_API_OWN, WR_HTTP_LINE, "", ""};
    static const struct wr_http_route none_v2 = {"", WR_HTTP_PAGE_NONE, WR_HTTP_API_V2, WR_HTTP_LINE, "", ""};
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strlen(routes[i].path) == path.len && memcmp(routes[i].path, path.text, path.len) == 0)
            return &routes[i];
    return path.len > 8 && memcmp(path.text, "/api/v2/", 8) == 0 ? &none_v2 : &none;
}

bool wr_http_route_allows(const struct wr_http_route *route, struct wr_word method) {
    for (const char *p = route->methods; *p;) {
        const size_t len = strcspn(p, ", ");
        if (len == method.len && memcmp(p, method.text, len) == 0)
            return true;
        p += len;
        p += strspn(p, ", ");
    }
    return false;
}

/* -- writes ---------------------------------------------------------------------------------------------------------------------------- */

/* 0: not a precision of that API. */
static int64_t unit_of(enum wr_http_api api, const char *precision) {
    static const struct {
        const char *name;
        int64_t unit_ns;
        bool v1_only;
    } units[] = {{"ns", 1, false}, {"us", WR_NS_PER_US, false}, {"ms", WR_NS_PER_MS, false},   {"s", WR_NS_PER_S, false},
                 {"n", 1, true},   {"u", WR_NS_PER_US, true},   {"m", 60 * WR_NS_PER_S, true}, {"h", 3600 * WR_NS_PER_S, true}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].name, precision) == 0 && (api == WR_HTTP_API_V1 || !units[i].v1_only))
            return units[i].unit_ns;
    return 0;
}

/* The media type without its parameters. */
static struct wr_word media_type(struct wr_word header) {
    const char *semicolon = header.len > 0 ? memchr(header.text, ';', header.len) : NULL;
    if (semicolon)
        header.len = (size_t)(semicolon - header.text);
    while (header.len > 0 && (header.text[header.len - 1] == ' ' || header.text[header.len - 1] == '\t'))
        header.len--;
    return header;
}

/* What is allowed beside the type of the format: none at all, what curl says of any --data, and what libraries say of any bytes. */
static bool type_fits(const struct wr_http_route *route, struct wr_word header) {
    const struct wr_word type = media_type(header);
    if (type.len == 0 || wr_http_word_is(type, "application/x-www-form-urlencoded") || wr_http_word_is(type, "application/octet-stream") ||
        wr_http_word_is(type, "text/plain"))
        return true;
    if (route->format == WR_HTTP_JSON)
        return wr_http_word_is(type, "application/json") || wr_http_word_is(type, "application/x-ndjson") ||
               wr_http_word_is(type, "application/x-json-stream");
    return wr_http_word_is(type, "application/vnd.influx.line-protocol") || wr_http_word_is(type, "application/influx");
}

static int refuse(int code, const char *message, const char **ret_message) {
    *ret_message = message;
    return code;
}

int wr_http_route_plan(const struct wr_http_route *route, const struct wr_http_head *head, const struct wr_http_terms *terms,
                       struct wr_http_plan *ret_plan, const char **ret_message) {
    char precision[8] = "";
    const enum wr_result found = wr_http_query_find(head->query, "precision", precision, sizeof precision);
    *ret_plan = (struct wr_http_plan){.unit_ns = terms->unit_ns};
    if (found != WR_NOT_FOUND && (found != WR_OK || precision[0] != '\0')) {
        ret_plan->unit_ns = found == WR_OK ? unit_of(route->api, precision) : 0;
        if (ret_plan->unit_ns == 0)
            return refuse(400, route->api == WR_HTTP_API_V1 ? "precision is one of n, u, ms, s, m, h" : "precision is one of ns, us, ms, s",
                          ret_message);
    }
    if (!type_fits(route, head->content_type))
        return refuse(415,
                      route->format == WR_HTTP_JSON ? "this takes JSON: Content-Type: application/json"
                                                    : "this takes line protocol: Content-Type: text/plain; charset=utf-8",
                      ret_message);
    ret_plan->gzip = wr_http_word_is(head->content_encoding, "gzip");
    if (!ret_plan->gzip && head->content_encoding.len > 0 && !wr_http_word_is(head->content_encoding, "identity"))
        return refuse(415, "the only Content-Encoding is gzip", ret_message);
    if (!head->has_length && !head->chunked)
        return refuse(411, "a write needs a Content-Length, or comes in chunks", ret_message);
    if (head->length > terms->max_body_bytes)
        return refuse(413, "the body is larger than max_body: send smaller batches", ret_message);
    return 0;
}

/* -- queries --------------------------------------------------------------------------------------------------------------------------- */

static const char *skip_words(const char *p, const char *words) {
    while (*words) {
        p += strspn(p, " \t\r\n");
        const size_t len = strcspn(words, " ");
        if (strncasecmp(p, words, len) != 0)
            return NULL;
        p += len;
        words += len;
        words += strspn(words, " ");
    }
    return *p == '\0' || strchr(" \t\r\n;", *p) ? p : NULL;
}

const char *wr_http_route_answer(const char *query) {
    if (skip_words(query, "CREATE DATABASE"))
        return "{\"results\":[{\"statement_id\":0}]}\n";
    if (skip_words(query, "SHOW DATABASES"))
        return "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"],\"values\":[[\"weir\"]]}]}]}"
               "\n";
    return NULL;
}
