/* JSON of devices: arbitrary objects become records by a mapping (agent/codec/json_mapping.h).
 *
 * Each object is a record; of a list each element; with `records` each object is an envelope that has the records, a list or one object, at that
 * path. What the members mean, and the values: agent/codec/json_record.h. Without fields in the mapping every number, bool and text is a field, its
 * name the names of the path joined by `_`, in lists the number of the element.
 * Values may follow each other in lines or without them. After an error the reading goes on with the line behind the one in which the bad value
 * began. A value that is no JSON is refused whole, also a list of which the first records are good; of a value that is JSON each record is taken or
 * refused for itself: a member of the wrong kind, the same member twice, no field at all.
 * Source: RFC 8259. Limits: WR_JSON_PARSE_DEPTH levels, max_bytes a value, 1024 fields and WR_JSON_MAP_NAMES bytes of their names a record.
 *
 * Threads: one at a time. Ownership: caller's memory (large: not on the stack), init/fini; config and measurement outlive it.
 */
#ifndef WEIR_AGENT_CODEC_JSON_MAP_H
#define WEIR_AGENT_CODEC_JSON_MAP_H

#include "agent/codec/json_mapping.h"
#include "agent/codec/json_record.h"
#include "agent/codec/json_shape.h"

#define WR_JSON_MAP_NAMES 16384

struct wr_json_map {
    struct wr_json_mapping mapping;
    size_t max_bytes;
    uint64_t taken; /* records of the present whole value that the sink has: offered again, they are passed over */
    uint64_t seen;
    struct wr_json_shapes shapes;
    struct wr_refusal refusal;
    bool been[WR_JSON_MAPPING_SLOTS + 1]; /* the slot has its member in this object */
    size_t names_len;
    char names[WR_JSON_MAP_NAMES]; /* of fields, joined */
    struct wr_json_record record;
};

/* measurement: of records that have none by the config. Errors as wr_json_mapping_init. */
WR_MUST_USE enum wr_result wr_json_map_init(struct wr_json_map *map, const struct wr_config_json *config, const char *measurement,
                                            size_t max_bytes, struct wr_error *err);
void wr_json_map_fini(struct wr_json_map *map);

/* As wr_line_feed, for whole values. */
WR_MUST_USE enum wr_result wr_json_map_feed(struct wr_json_map *map, const char *bytes, size_t len, bool ended, uint64_t *line,
                                            const struct wr_sink *sink, size_t *ret_consumed);

#endif
