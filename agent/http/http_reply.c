#include "agent/http/http_reply.h"

#include <time.h>

#include "core/json.h"

static const struct {
    int code;
    const char *reason;
    const char *v2; /* InfluxDB 2's name of it */
} statuses[] = {
    {200, "OK", ""},
    {204, "No Content", ""},
    {400, "Bad Request", "invalid"},
    {401, "Unauthorized", "unauthorized"},
    {403, "Forbidden", "forbidden"},
    {404, "Not Found", "not found"},
    {405, "Method Not Allowed", "method not allowed"},
    {408, "Request Timeout", "invalid"},
    {409, "Conflict", "conflict"},
    {411, "Length Required", "invalid"},
    {413, "Content Too Large", "request too large"},
    {415, "Unsupported Media Type", "unsupported media type"},
    {417, "Expectation Failed", "invalid"},
    {429, "Too Many Requests", "too many requests"},
    {431, "Request Header Fields Too Large", "request too large"},
    {501, "Not Implemented", "not implemented"},
    {503, "Service Unavailable", "unavailable"},
    {504, "Gateway Timeout", "unavailable"},
    {505, "HTTP Version Not Supported", "invalid"},
};
#define STATUSES (sizeof statuses / sizeof statuses[0])
_Static_assert(STATUSES == WR_HTTP_REPLY_CODES, "each status is counted");

const int wr_http_reply_codes[] = {200, 204, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 417, 429, 431, 501, 503, 504, 505, 0};

unsigned wr_http_reply_place(int code) {
    unsigned at = 0;
    while (at < STATUSES - 1 && statuses[at].code != code)
        at++;
    return at;
}

static enum wr_result write_head(const struct wr_http_reply *reply, struct wr_buf *into) {
    char date[64];
    struct tm utc;
    const time_t now = time(NULL);
    const bool has_body = reply->type != NULL;
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    WR_TRY(wr_buf_printf(into, "HTTP/1.1 %d %s\r\nDate: %s\r\n", reply->code, statuses[wr_http_reply_place(reply->code)].reason, date));
    if (reply->api != WR_HTTP_API_OWN)
        WR_TRY(wr_buf_text(into, "X-Influxdb-Build: Weir\r\nX-Influxdb-Version: weir-" WEIR_VERSION "\r\n"));
    if (reply->code == 401)
        WR_TRY(wr_buf_text(into, "WWW-Authenticate: Token\r\n"));
    if (reply->code == 429 || reply->code == 503)
        WR_TRY(wr_buf_text(into, "Retry-After: 1\r\n"));
    if (reply->allow)
        WR_TRY(wr_buf_printf(into, "Allow: %s\r\n", reply->allow));
    if (has_body)
        WR_TRY(wr_buf_printf(into, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n", reply->type));
    if (reply->code != 204)
        WR_TRY(wr_buf_printf(into, "Content-Length: %zu\r\n", has_body ? reply->len : 0));
    return wr_buf_text(into, reply->close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
}

enum wr_result wr_http_reply_write(const struct wr_http_reply *reply, struct wr_buf *into) {
    const size_t before = into->len;
    enum wr_result result = write_head(reply, into);
    if (result == WR_OK && reply->type && !reply->head_only)
        result = wr_buf_append(into, reply->body, reply->len);
    if (result != WR_OK)
        into->len = before;
    return result;
}

enum wr_result wr_http_reply_error(enum wr_http_api api, int code, const char *message, uint64_t line, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    if (api == WR_HTTP_API_V2)
        wr_json_string(&json, "code", statuses[wr_http_reply_place(code)].v2);
    wr_json_string(&json, api == WR_HTTP_API_V2 ? "message" : "error", message);
    if (line > 0 && api != WR_HTTP_API_V1)
        wr_json_uint(&json, "line", line);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}
