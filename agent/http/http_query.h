/* The query of a URL, and a form in a body: name=value&name=value, with percent escapes.
 *
 * Source: WHATWG URL, application/x-www-form-urlencoded. Threads: any. Ownership: caller's memory.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_QUERY_H
#define WEIR_AGENT_HTTP_HTTP_QUERY_H

#include "core/result.h"
#include "core/series.h"

/* The first value of a name (which has no escapes of its own), decoded, with a NUL behind it. WR_NOT_FOUND; WR_INVALID: a broken escape or
 * a NUL in it; WR_LIMIT: longer than size - 1. */
WR_MUST_USE enum wr_result wr_http_query_find(struct wr_word query, const char *name, char *into, size_t size);

#endif
