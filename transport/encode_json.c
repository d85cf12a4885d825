#include "transport/encode_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/record_json.h"

void wr_encode_json_begin(struct wr_encode_json *encode, struct wr_buf *into, const char *node, const struct wr_segment *segment) {
    char epoch[17];
    (void)snprintf(epoch, sizeof epoch, "%016" PRIx64, segment->epoch);
    encode->announced = segment->n;
    encode->written = 0;
    struct wr_json *json = &encode->json;
    wr_json_begin(json, into);
    wr_json_object(json, NULL);
    wr_json_string(json, "node", node);
    wr_json_string(json, "epoch", epoch);
    wr_json_int(json, "seq", segment->seq);
    wr_json_string(json, "kind", wr_segment_kind_name((enum wr_segment_kind)segment->kind));
    wr_json_uint(json, "lane", segment->lane);
    wr_json_int(json, "t0_ns", segment->t0_ns);
    wr_json_int(json, "t1_ns", segment->t1_ns);
    if (segment->time_quality != WR_TIME_TRUSTED)
        wr_json_string(json, "time_quality", wr_time_quality_name((enum wr_time_quality)segment->time_quality));
    wr_json_array(json, "records");
}

void wr_encode_json_aggregate(struct wr_encode_json *encode, const struct wr_aggregate *aggregate) {
    wr_record_aggregate_json(&encode->json, aggregate);
    encode->written++;
}

void wr_encode_json_reading(struct wr_encode_json *encode, const char *key, size_t key_len, const struct wr_reading *reading,
                            const char *text, size_t text_len) {
    wr_record_reading_json(&encode->json, key, key_len, reading, text, text_len);
    encode->written++;
}

void wr_encode_json_object(struct wr_encode_json *encode, const char *object, size_t len) {
    wr_json_raw(&encode->json, NULL, object, len);
    encode->written++;
}

enum wr_result wr_encode_json_end(struct wr_encode_json *encode, struct wr_error *err) {
    wr_json_array_end(&encode->json);
    wr_json_object_end(&encode->json);
    enum wr_result result = wr_json_end(&encode->json);
    if (result != WR_OK)
        return wr_error_set(err, result, "encoding a segment as JSON: %s", wr_result_name(result));
    if (encode->written != encode->announced)
        return wr_error_set(err, WR_INVALID, "the segment announces %" PRIu32 " records and holds %" PRIu32, encode->announced,
                            encode->written);
    return WR_OK;
}
