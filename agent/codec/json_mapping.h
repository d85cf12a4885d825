/* The mapping of JSON: which member of a device's object means what. Compiled once from the keys `json:` of a source.
 *
 * A path is names joined by dots: `data.temp`. Elements of a list go by number: `values.0`. A dot or a backslash in a name is written `\.` or `\\`.
 * Paths begin at the record; with `$.` before them at the whole value, of which `records` takes the records out (time, measurement, tags and
 * quality may stand there, once for all records).
 * Tags: `path`, or `name=path`; fields: the same, each with a type behind it if need be: `name=path:int` (float, int, uint, bool, string).
 * Without a name the path is the name, joined by `_`. No fields given: every number, bool and text that has no other meaning is one.
 * Refused: paths with an empty name, two tags or fields of one name, and what would do nothing.
 *
 * Threads: immutable after init, so any. Ownership: caller's memory, init/fini; the config outlives it.
 * Limits: WR_JSON_MAPPING_SLOTS paths, WR_SERIES_TAGS tags.
 */
#ifndef WEIR_AGENT_CODEC_JSON_MAPPING_H
#define WEIR_AGENT_CODEC_JSON_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/codec/time_format.h"
#include "agent/config/config.h"
#include "core/series.h"

#define WR_JSON_MAPPING_SLOTS 256
#define WR_JSON_MAPPING_WORDS (1 + WR_SERIES_TAGS) /* the measurement, then the tags */

enum wr_json_role { WR_JSON_NOTHING, WR_JSON_TIME, WR_JSON_QUALITY, WR_JSON_WORD, WR_JSON_FIELD };

/* A meaning of a member. */
struct wr_json_slot {
    uint8_t role;        /* enum wr_json_role */
    uint8_t type;        /* FIELD: enum wr_type; NONE: what the value looks like */
    uint8_t word;        /* WORD: 0 the measurement, 1 .. the tags */
    bool of_root;        /* stands beside the records, not in them */
    uint16_t number;     /* its own, from 1 */
    uint16_t next;       /* another meaning of the same member, or 0 */
    struct wr_word name; /* of the tag or field */
};

/* A name on the way of some path. Numbers from 1; 0: none. */
struct wr_json_node {
    struct wr_word name;
    uint16_t child;
    uint16_t sibling;
    uint16_t slot;
    bool records; /* what is here are the records */
};

struct wr_json_mapping {
    const struct wr_config_json *config;
    struct wr_time_format time;
    uint8_t time_digits; /* decimals of its unit down to a nanosecond: 9 of s, 0 of ns */
    bool any_field;      /* no fields were given */
    bool has_envelope;   /* records are taken out of a whole value */
    uint16_t record;     /* node where paths of records begin */
    uint16_t root;       /* node where paths of the whole value begin; the same without an envelope */
    uint16_t n_nodes;
    uint16_t n_slots;
    uint8_t n_words;
    struct wr_json_node *nodes; /* nodes[0] is not used; so slots[0] */
    struct wr_json_slot *slots;
    char *names;
};

/* WR_INVALID, WR_LIMIT, WR_NOT_FOUND (no such time zone), WR_NO_MEMORY; *ret_key and *ret_index then tell where: "tags", 2; index -1: no list. */
WR_MUST_USE enum wr_result wr_json_mapping_init(struct wr_json_mapping *mapping, const struct wr_config_json *config, const char **ret_key,
                                                int *ret_index, struct wr_error *err);
void wr_json_mapping_fini(struct wr_json_mapping *mapping);

/* The node of a member, its name as written and with its quotes; 0: none. */
uint16_t wr_json_mapping_member(const struct wr_json_mapping *mapping, uint16_t node, struct wr_word quoted);
uint16_t wr_json_mapping_element(const struct wr_json_mapping *mapping, uint16_t node, uint32_t index);

#endif
