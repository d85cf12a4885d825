/* The long way through an object: token by token, each checked, each member looked up in the mapping. On the way the shape is learned.
 *
 * Threads: one at a time.
 */
#ifndef WEIR_AGENT_CODEC_JSON_WALK_H
#define WEIR_AGENT_CODEC_JSON_WALK_H

#include "agent/codec/json_map.h"
#include "agent/codec/json_scan.h"

/* Reads the record at scan->p into map->record; p is behind it then. What cannot be taken is noted in the record, which is FOUND all the same. */
enum wr_json_found wr_json_walk_record(struct wr_json_map *map, struct wr_json_scan *scan);

/* The same for an envelope. *ret_records: what is at the path of the records; text NULL: nothing. */
enum wr_json_found wr_json_walk_envelope(struct wr_json_map *map, struct wr_json_scan *scan, struct wr_word *ret_records);

#endif
