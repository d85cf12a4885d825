/* gzip, unpacked piece by piece into memory that the caller bounds.
 *
 * Promise: never writes more than there is room for, whatever the input claims; checks the trailer's CRC and length. Several members in a row
 * are one stream, as gzip says. Source: RFC 1952. Threads: one at a time. Ownership: new/free. Limits: WR_GUNZIP_BYTES of its own.
 */
#ifndef WEIR_AGENT_HTTP_GUNZIP_H
#define WEIR_AGENT_HTTP_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/result.h"

#define WR_GUNZIP_BYTES 49152 /* zlib: a window of 32 KB and some 7 KB of tables */

struct wr_gunzip;

/* WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_gunzip_new(struct wr_gunzip **ret_gunzip);
/* NULL is fine. */
void wr_gunzip_free(struct wr_gunzip *gunzip);

/* Unpacks from *bytes, which moves on, into into[room]. WR_OK: all of the input is used up; WR_FULL: there is no room left, and maybe more to
 * come; WR_INVALID: not gzip, or damaged; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_gunzip_feed(struct wr_gunzip *gunzip, const char **bytes, const char *end, char *into, size_t room,
                                          size_t *ret_len);

/* Whether the input ended where a member ends: else it was cut off. */
bool wr_gunzip_is_complete(const struct wr_gunzip *gunzip);

#endif
