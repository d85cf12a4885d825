/* The shape of a record: what is the same from one record of a device to the next, everything but the scalars. Most senders write their members in
 * the same order with the same spaces, so that the next record is read by comparing the bytes between the scalars with those of the last one.
 *
 *   {"ts":1700000000.001,"sensor":"s0042","temp":4.31}   learned as   `{"ts":` # `,"sensor":` # `,"temp":` # `}`
 *
 * Promise: a record that matches is valid JSON and means what the long way through the scanner would say: the bytes between were checked when
 * they were learned, the scalars are checked now. Whatever does not match, or is unusual in any way, is left to the long way. The last
 * WR_JSON_SHAPES shapes are kept, so that devices may take turns.
 * Threads: one at a time. Ownership: caller's memory, no allocation. Limits: WR_JSON_SHAPE_STEPS scalars and WR_JSON_SHAPE_BYTES; larger records
 * go the long way.
 */
#ifndef WEIR_AGENT_CODEC_JSON_SHAPE_H
#define WEIR_AGENT_CODEC_JSON_SHAPE_H

#include "agent/codec/json_record.h"

#define WR_JSON_SHAPES 4
#define WR_JSON_SHAPE_STEPS 128
#define WR_JSON_SHAPE_BYTES 4096

/* Some bytes, then a scalar. */
struct wr_json_step {
    uint16_t at; /* of the bytes */
    uint16_t len;
    uint16_t slot;    /* what the scalar means; 0: nothing, or a field of its own name */
    uint16_t name_at; /* of a field of no slot */
    uint16_t name_len;
    uint8_t role; /* enum wr_json_role */
    uint8_t type; /* FIELD: as in the slot */
    uint8_t word; /* WORD: as in the slot */
};

struct wr_json_shape {
    uint16_t n_steps;
    uint16_t len;      /* bytes of text that are used */
    uint16_t tail_at;  /* what comes behind the last scalar */
    uint16_t tail_len; /* 0: nothing is learned here */
    bool newlines;
    struct wr_json_step steps[WR_JSON_SHAPE_STEPS];
    char text[WR_JSON_SHAPE_BYTES + 16]; /* 16 bytes may be read anywhere */
};

struct wr_json_shapes {
    uint8_t last;    /* matched last */
    uint8_t learned; /* learned last */
    bool learning;
    const char *from; /* where the bytes before the next scalar begin */
    struct wr_json_shape shapes[WR_JSON_SHAPES];
};

void wr_json_shapes_init(struct wr_json_shapes *shapes);

/* Learning: begin at a record, add each scalar (name: of a field of no slot, else empty), end behind the record. A record that does not come to its
 * end is not learned. */
void wr_json_shapes_begin(struct wr_json_shapes *shapes, const char *object);
void wr_json_shapes_add(struct wr_json_shapes *shapes, const struct wr_json_mapping *mapping, uint16_t slot, struct wr_word name,
                        struct wr_word scalar);
void wr_json_shapes_end(struct wr_json_shapes *shapes, const char *behind);

/* Reads the record at p into `record`, which is begun here. Returns the byte behind it; NULL: no shape fits, or there is something to refuse; then
 * nothing is known. *ret_newlines: there may be newlines in it. */
const char *wr_json_shapes_match(struct wr_json_shapes *shapes, struct wr_json_record *record, const char *p, const char *end,
                                 bool *ret_newlines);

#endif
