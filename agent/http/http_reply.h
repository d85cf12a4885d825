/* Replies: status line, headers and body of an answer; and errors in the words of each API.
 *
 * Threads: any. Ownership: writes into the caller's buffer. Source: RFC 9110.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_REPLY_H
#define WEIR_AGENT_HTTP_HTTP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/http/http_route.h"
#include "core/buf.h"

struct wr_http_reply {
    int code;
    const char *type; /* of the body; NULL: there is none */
    const char *body;
    size_t len;
    const char *allow; /* 405 */
    enum wr_http_api api;
    bool head_only; /* the length of the body without the body */
    bool close;     /* the connection ends with it */
};

/* 429 and 503 say Retry-After, 401 says what to show. WR_NO_MEMORY: into is as it was. */
WR_MUST_USE enum wr_result wr_http_reply_write(const struct wr_http_reply *reply, struct wr_buf *into);

/* OWN: {"error":"...","line":7}; V1: {"error":"..."}; V2: {"code":"invalid","message":"...","line":7}. line 0: none. */
WR_MUST_USE enum wr_result wr_http_reply_error(enum wr_http_api api, int code, const char *message, uint64_t line, struct wr_buf *into);

/* The status codes that are answered, for counting: place in wr_http_reply_codes, whose end is 0. */
extern const int wr_http_reply_codes[];
#define WR_HTTP_REPLY_CODES 19
unsigned wr_http_reply_place(int code);

#endif
