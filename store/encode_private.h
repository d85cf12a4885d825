/* What the two files of the encoder share: its memory, its columns. */
#ifndef WEIR_STORE_ENCODE_PRIVATE_H
#define WEIR_STORE_ENCODE_PRIVATE_H

#include "store/form.h"
#include "store/pack.h"

#define RUN_SLOTS ((size_t)4 * WR_SEGMENT_RECORDS)
#define TEXT_SLOTS ((size_t)4 * WR_SEGMENT_RECORDS)
#define COLUMN_BYTES (WR_SEGMENT_RECORDS * 2 * WR_VARINT_MAX) /* at most two varints a record */
#define BITS_BYTES (WR_SEGMENT_RECORDS * 56 + WR_BITS_BEHIND) /* four numbers of 64 bits and one of 128 a record */

struct wr_encoder {
    struct wr_pack pack;
    uint32_t n_runs;
    uint8_t *end[WR_COLUMNS_PACKED]; /* where the next byte of each column goes */
    struct wr_run runs[WR_SEGMENT_RECORDS];
    uint16_t run_of[WR_SEGMENT_RECORDS]; /* record -> run */
    uint16_t sorted[WR_SEGMENT_RECORDS]; /* runs in the order of their keys */
    uint16_t order[WR_SEGMENT_RECORDS];  /* records in the order of the segment */
    uint16_t run_slots[RUN_SLOTS];
    uint16_t text_slots[TEXT_SLOTS];
    uint32_t text_symbols[2 * WR_SEGMENT_RECORDS];
    struct wr_codes codes[WR_SEGMENT_RECORDS]; /* of the run at hand */
    struct wr_bits bits;
    uint8_t bit_column[BITS_BYTES];
    uint8_t columns[WR_COLUMNS_PACKED][COLUMN_BYTES];
};

static inline void wr_column_byte(struct wr_encoder *encoder, enum wr_column column, uint8_t byte) { *encoder->end[column]++ = byte; }

static inline void wr_column_varint(struct wr_encoder *encoder, enum wr_column column, uint64_t value) {
    encoder->end[column] = wr_put_varint(encoder->end[column], value);
}

static inline void wr_column_zigzag(struct wr_encoder *encoder, enum wr_column column, int64_t value) {
    encoder->end[column] = wr_put_zigzag(encoder->end[column], value);
}

/* Writes the grid and the values of a numeric run. */
void wr_encode_values(struct wr_encoder *encoder, const struct wr_run *run, const struct wr_aggregate *records);

#endif
