/* A JSON writer into a wr_buf: commas and nesting are its business, the order is the caller's.
 *
 * Promise: the output is valid UTF-8 JSON whatever the input: bytes that are no UTF-8 become U+FFFD, control characters are escaped, NaN
 * and infinity become null. A double is printed as the shortest text that reads back as the same double (beside a power of two
 * sometimes one digit more); integers exactly.
 * Errors stick: after a failed append nothing more is written and wr_json_end returns the failure; so callers check once.
 * Source: RFC 8259.
 * Threads: one at a time. Limits: WR_JSON_DEPTH levels.
 */
#ifndef WEIR_CORE_JSON_H
#define WEIR_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/decimal.h"
#include "core/result.h"

#define WR_JSON_DEPTH 16

struct wr_json {
    struct wr_buf *into;
    enum wr_result failed;
    unsigned depth;
    bool comma[WR_JSON_DEPTH];
};

void wr_json_begin(struct wr_json *json, struct wr_buf *into);
WR_MUST_USE enum wr_result wr_json_end(struct wr_json *json);

/* name is NULL inside an array and at the top. */
void wr_json_object(struct wr_json *json, const char *name);
void wr_json_object_end(struct wr_json *json);
void wr_json_array(struct wr_json *json, const char *name);
void wr_json_array_end(struct wr_json *json);
void wr_json_string(struct wr_json *json, const char *name, const char *text);
void wr_json_bytes(struct wr_json *json, const char *name, const char *text, size_t len);
void wr_json_int(struct wr_json *json, const char *name, int64_t value);
void wr_json_uint(struct wr_json *json, const char *name, uint64_t value);
void wr_json_i128(struct wr_json *json, const char *name, wr_i128 value);
void wr_json_double(struct wr_json *json, const char *name, double value);
void wr_json_bool(struct wr_json *json, const char *name, bool value);
void wr_json_null(struct wr_json *json, const char *name);
/* A wall time twice: exact for programs, readable for people. */
void wr_json_time(struct wr_json *json, const char *name_ns, const char *name, int64_t wall_ns);
/* Text that is JSON already. */
void wr_json_raw(struct wr_json *json, const char *name, const char *text, size_t len);

/* The shortest decimal text that reads back as value, into text[32]. NaN gives "null". Returns its length. */
size_t wr_json_format_double(char *text, double value);

#endif
