/* A CBOR writer into a wr_buf: the order and the nesting are the caller's.
 *
 * Promise: lengths are definite; numbers and lengths take the shortest form, a double 4 bytes where that loses nothing. Text is valid UTF-8 whatever
 * the input: bytes that are no UTF-8 become U+FFFD. Only an array that is counted while it is written has a head of 3 bytes.
 * Errors stick: after a failed append nothing more is written and wr_cbor_end returns the failure; so callers check once.
 * Threads: one at a time. Limits: 65535 elements in a counted array.
 * Source: RFC 8949.
 */
#ifndef WEIR_TRANSPORT_CBOR_H
#define WEIR_TRANSPORT_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/result.h"

struct wr_cbor {
    struct wr_buf *into;
    enum wr_result failed;
    size_t array_at; /* of the counted array */
};

void wr_cbor_begin(struct wr_cbor *cbor, struct wr_buf *into);
WR_MUST_USE enum wr_result wr_cbor_end(struct wr_cbor *cbor);

/* An array whose elements are counted when it ends; not nested. */
void wr_cbor_array(struct wr_cbor *cbor);
void wr_cbor_array_end(struct wr_cbor *cbor, size_t elements);
/* n pairs follow. */
void wr_cbor_map(struct wr_cbor *cbor, size_t n);
void wr_cbor_int(struct wr_cbor *cbor, int64_t value);
void wr_cbor_uint(struct wr_cbor *cbor, uint64_t value);
void wr_cbor_double(struct wr_cbor *cbor, double value);
void wr_cbor_bool(struct wr_cbor *cbor, bool value);
void wr_cbor_text(struct wr_cbor *cbor, const char *text, size_t len);

#endif
