#include "transport/payload.h"

#include <assert.h>

static const struct {
    const char *name;
    const char *content_type;
    size_t record_bytes; /* of an aggregate, without its key */
    size_t key_times;    /* how often the key may stand there, escaped */
} formats[WR_PAYLOAD_FORMATS] = {
    [WR_PAYLOAD_SEGMENT] = {"segment", WR_CONTENT_SEGMENT, 64, 0},
    [WR_PAYLOAD_JSON] = {"json", WR_CONTENT_JSON, 320, 2},
    [WR_PAYLOAD_INFLUX] = {"influx", "text/plain; charset=utf-8", 512, 4}, /* the field's name stands before each statistic */
    [WR_PAYLOAD_SENML_JSON] = {"senml+json", "application/senml+json", 512, 3},
    [WR_PAYLOAD_SENML_CBOR] = {"senml+cbor", "application/senml+cbor", 256, 3},
};

const char *wr_payload_name(enum wr_payload_format format) {
    return formats[format].name;
}

const char *wr_payload_content_type(enum wr_payload_format format) {
    return formats[format].content_type;
}

enum wr_payload_format wr_payload_of(enum wr_payload_format configured, const struct wr_segment *segment) {
    enum wr_topic topic = wr_topic_of((enum wr_lane)segment->lane, (enum wr_segment_kind)segment->kind);
    return wr_topic_is_json(topic) ? WR_PAYLOAD_JSON : configured;
}

size_t wr_payload_record_bytes(enum wr_payload_format format, size_t key_bytes) {
    return formats[format].record_bytes + formats[format].key_times * key_bytes;
}

void wr_payload_begin(struct wr_payload *payload, enum wr_payload_format format, struct wr_buf *into, const struct wr_place *place,
                      const struct wr_segment *segment) {
    payload->format = format;
    switch (format) {
    case WR_PAYLOAD_JSON:
        wr_encode_json_begin(&payload->json, into, place->node, segment);
        return;
    case WR_PAYLOAD_INFLUX:
        wr_encode_influx_begin(&payload->influx, into, place->site, place->node, segment);
        return;
    case WR_PAYLOAD_SENML_JSON:
    case WR_PAYLOAD_SENML_CBOR:
        wr_encode_senml_begin(&payload->senml, format == WR_PAYLOAD_SENML_CBOR, into, place->node, segment);
        return;
    case WR_PAYLOAD_SEGMENT:
    case WR_PAYLOAD_FORMATS:
        break;
    }
    assert(!"a segment is sent as it is");
}

void wr_payload_aggregate(struct wr_payload *payload, const struct wr_aggregate *aggregate) {
    if (payload->format == WR_PAYLOAD_JSON)
        wr_encode_json_aggregate(&payload->json, aggregate);
    else if (payload->format == WR_PAYLOAD_INFLUX)
        wr_encode_influx_aggregate(&payload->influx, aggregate);
    else
        wr_encode_senml_aggregate(&payload->senml, aggregate);
}

void wr_payload_object(struct wr_payload *payload, const char *object, size_t len) {
    assert(payload->format == WR_PAYLOAD_JSON);
    wr_encode_json_object(&payload->json, object, len);
}

enum wr_result wr_payload_end(struct wr_payload *payload, struct wr_error *err) {
    if (payload->format == WR_PAYLOAD_JSON)
        return wr_encode_json_end(&payload->json, err);
    if (payload->format == WR_PAYLOAD_INFLUX)
        return wr_encode_influx_end(&payload->influx, err);
    return wr_encode_senml_end(&payload->senml, err);
}
