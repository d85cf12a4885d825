/* The uplink's `json` format: one publish per segment, never split:
 *   {"node":"gw-7","epoch":"00c0ffee00c0ffee","seq":17,"kind":"aggregates","lane":2,"t0_ns":1,"t1_ns":2,"records":[...]}
 * With "time_quality":"corrected" or "untrusted" in front of the records where their times are not the trusted ones of the node's clock (core/correction.h).
 * The epoch is a string of 16 hex digits: 64 bits do not fit a JSON number. Records stand exactly as `weir decode` prints them; alarms and
 * gaps are JSON objects in their segments already, and pass through as they are.
 *
 * The caller walks its decoder and hands over one record at a time, so that nothing needs to be held twice.
 * Threads: one at a time. Errors: those of wr_buf (WR_NO_MEMORY, WR_LIMIT), WR_INVALID when the number of records is not the segment's.
 */
#ifndef WEIR_TRANSPORT_ENCODE_JSON_H
#define WEIR_TRANSPORT_ENCODE_JSON_H

#include "core/aggregate.h"
#include "core/buf.h"
#include "core/json.h"
#include "core/reading.h"
#include "core/result.h"
#include "core/segment.h"

#define WR_CONTENT_SEGMENT "application/vnd.weir.segment"
#define WR_CONTENT_JSON "application/json"

struct wr_encode_json {
    struct wr_json json;
    uint32_t announced;
    uint32_t written;
};

/* Opens the object. Only the key fields of segment are read, not its body. */
void wr_encode_json_begin(struct wr_encode_json *encode, struct wr_buf *into, const char *node, const struct wr_segment *segment);
void wr_encode_json_aggregate(struct wr_encode_json *encode, const struct wr_aggregate *aggregate);
void wr_encode_json_reading(struct wr_encode_json *encode, const char *key, size_t key_len, const struct wr_reading *reading,
                            const char *text, size_t text_len);
/* An alarm or gap record: one JSON object. */
void wr_encode_json_object(struct wr_encode_json *encode, const char *object, size_t len);
WR_MUST_USE enum wr_result wr_encode_json_end(struct wr_encode_json *encode, struct wr_error *err);

#endif
