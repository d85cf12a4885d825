/* The head of an HTTP/1.1 request: request line and headers, read out of the bytes that have come so far.
 *
 * Promise: strict where leniency lets two readers disagree about where a request ends: lines end with CR LF, no header is folded or has a
 * space before its colon, a length is given once and never beside chunks, the host once. What is refused comes with the status to answer.
 * Headers that are not named below are checked for their form and passed over.
 * Source: RFC 9110, RFC 9112 (sections 2, 3, 5, 6). Threads: any. Ownership: the words point into the bytes. Limits: WR_HTTP_HEAD_BYTES.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_HEAD_H
#define WEIR_AGENT_HTTP_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/series.h"

#define WR_HTTP_HEAD_BYTES 8192

struct wr_http_head {
    struct wr_word method;
    struct wr_word path;         /* begins with a slash; as written */
    struct wr_word query;        /* behind the '?', as written */
    struct wr_word content_type; /* len 0: not given */
    struct wr_word content_encoding;
    struct wr_word authorization;
    uint64_t length; /* Content-Length */
    bool has_length;
    bool chunked;
    bool keep_alive;
    bool expects_continue;
    size_t bytes; /* of the head, its empty line counted */
    /* When it is refused: */
    int code;
    const char *message;
};

enum wr_http_found { WR_HTTP_INCOMPLETE, WR_HTTP_FOUND, WR_HTTP_REFUSED };

/* Looks at bytes[len] from the first one of the request. INCOMPLETE: more is needed. REFUSED: code and message are set, and where the next
 * request begins is not known. */
enum wr_http_found wr_http_head_read(const char *bytes, size_t len, struct wr_http_head *ret_head);

/* Whether the words are equal, letters in any case. */
bool wr_http_word_is(struct wr_word word, const char *text);

#endif
