/* Chunked bodies: the data of a body that comes in chunks, out of the bytes that have come so far.
 *
 * Promise: takes bytes cut anywhere; keeps nothing of them. Chunk extensions and trailers are passed over, within WR_HTTP_CHUNKS_LINE bytes
 * each. Source: RFC 9112, 7.1. Threads: any. Ownership: caller's memory, all zero at the beginning of a body.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_CHUNKS_H
#define WEIR_AGENT_HTTP_HTTP_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/series.h"

#define WR_HTTP_CHUNKS_LINE 256
#define WR_HTTP_CHUNKS_TRAILERS 32

struct wr_http_chunks {
    uint64_t left;     /* of the present chunk */
    uint16_t line_len; /* of the line under way */
    uint16_t trailers;
    uint8_t state;
    uint8_t digits;
};

/* DATA: *ret_data is the next piece. MORE: the bytes are used up. END: the body is complete, the bytes behind are of the next request.
 * BAD: not chunks. *at moves on. */
enum wr_http_chunk { WR_HTTP_CHUNK_DATA, WR_HTTP_CHUNK_MORE, WR_HTTP_CHUNK_END, WR_HTTP_CHUNK_BAD };
enum wr_http_chunk wr_http_chunks_next(struct wr_http_chunks *chunks, const char **at, const char *end, struct wr_word *ret_data);

#endif
