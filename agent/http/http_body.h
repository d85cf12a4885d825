/* The body of a request while it comes: chunks taken apart, gzip unpacked, in one piece of memory that grows with what has come.
 *
 * Promise: a claim costs nothing: memory is taken for bytes that are there, never for those that a header promises. All bodies together stay
 * within a budget, each within its own limit, also while it is being unpacked. A body is either complete and whole (gzip's checksum agrees), or
 * it is nothing.
 * Threads: one at a time. Ownership: caller's memory, begin/fini; the budget outlives it. Limits: max_bytes, unpacked.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_BODY_H
#define WEIR_AGENT_HTTP_HTTP_BODY_H

#include "agent/http/gunzip.h"
#include "agent/http/http_chunks.h"
#include "agent/http/http_head.h"
#include "core/result.h"

struct wr_http_budget {
    size_t used;
    size_t max;
};

struct wr_http_body {
    struct wr_http_budget *budget;
    struct wr_gunzip *gunzip; /* NULL: as it comes */
    struct wr_http_chunks chunks;
    uint64_t claim; /* not chunked: what its length is said to be */
    uint64_t left;  /* of that, bytes to come */
    bool chunked;
    bool discarding;
    char *data;
    size_t len;
    size_t size;
    size_t max_bytes;
};

/* Begins a body as its head says. WR_FULL: the budget has no room for unpacking, WR_NO_MEMORY: nothing was begun. */
WR_MUST_USE enum wr_result wr_http_body_begin(struct wr_http_body *body, struct wr_http_budget *budget, const struct wr_http_head *head,
                                              bool gzip, size_t max_bytes);
/* The same for a body that nobody wants: it is only passed over. */
void wr_http_body_pass_over(struct wr_http_body *body, const struct wr_http_head *head);
/* Gives the memory back. All zero is fine, twice too. */
void wr_http_body_fini(struct wr_http_body *body);

/* WR_OK: complete, *ret_consumed bytes were of it. WR_EMPTY: all were consumed, more is to come. WR_INVALID: broken chunks, broken or cut off
 * gzip; WR_LIMIT: beyond max_bytes; WR_FULL: beyond the budget; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_http_body_feed(struct wr_http_body *body, const char *bytes, size_t len, size_t *ret_consumed);

/* Where a read may put bytes of the body directly; NULL: it may not, feed them. wr_http_body_filled then says how many came, and answers as feed. */
char *wr_http_body_room(struct wr_http_body *body, size_t *ret_room);
WR_MUST_USE enum wr_result wr_http_body_filled(struct wr_http_body *body, size_t n);

#endif
