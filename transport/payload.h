/* What a publish carries: the formats of the uplink, with their names, content types and encoders behind one face.
 *
 * A segment goes up as it is stored, or encoded again for receivers that know nothing of Weir. Only aggregates of windows have a choice: alarms, gaps and
 * events are JSON whatever is configured. One publish a segment, never split.
 * The caller walks its decoder and hands over one record at a time: nothing is held twice.
 *
 * Threads: one at a time. Ownership: keys of aggregates must live until the end. Errors: those of wr_buf (WR_NO_MEMORY, WR_LIMIT), WR_INVALID when
 * the number of records is not the segment's.
 */
#ifndef WEIR_TRANSPORT_PAYLOAD_H
#define WEIR_TRANSPORT_PAYLOAD_H

#include "transport/encode_influx.h"
#include "transport/encode_json.h"
#include "transport/encode_senml.h"
#include "transport/topic.h"

enum wr_payload_format {
    WR_PAYLOAD_SEGMENT, /* the body as it is: docs/segment-format.md */
    WR_PAYLOAD_JSON,
    WR_PAYLOAD_INFLUX,
    WR_PAYLOAD_SENML_JSON,
    WR_PAYLOAD_SENML_CBOR,
    WR_PAYLOAD_FORMATS,
};

#define WR_PAYLOAD_BYTES_MAX (8u << 20) /* a segment, encoded; a larger one is parked */

/* "segment", "json", "influx", "senml+json", "senml+cbor" */
const char *wr_payload_name(enum wr_payload_format format);
const char *wr_payload_content_type(enum wr_payload_format format);
/* What a segment is sent as, where `configured` is. */
enum wr_payload_format wr_payload_of(enum wr_payload_format configured, const struct wr_segment *segment);
/* What an aggregate with a key of that length takes in a payload, estimated on the safe side: for the memory ceiling. */
size_t wr_payload_record_bytes(enum wr_payload_format format, size_t key_bytes);

struct wr_payload {
    enum wr_payload_format format;
    union {
        struct wr_encode_json json;
        struct wr_encode_influx influx;
        struct wr_encode_senml senml;
    };
};

/* Any format but SEGMENT. Only the key fields of segment are read. place must live until the end. */
void wr_payload_begin(struct wr_payload *payload, enum wr_payload_format format, struct wr_buf *into, const struct wr_place *place,
                      const struct wr_segment *segment);
void wr_payload_aggregate(struct wr_payload *payload, const struct wr_aggregate *aggregate);
/* An alarm or gap: one JSON object. JSON alone carries it. */
void wr_payload_object(struct wr_payload *payload, const char *object, size_t len);
/* Always to be called, once. */
WR_MUST_USE enum wr_result wr_payload_end(struct wr_payload *payload, struct wr_error *err);

#endif
