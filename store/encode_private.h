/* What the two files of the encoder share: its memory, its columns. */
#ifndef WEIR_STORE_ENCODE_PRIVATE_H
#define WEIR_STORE_ENCODE_PRIVATE_H

#include <zstd.h>

#include "store/bits.h"
#include "store/codec_format.h"
#include "store/form.h"

#define RUN_SLOTS ((size_t)4 * WR_SEGMENT_RECORDS)
#define TEXT_SLOTS ((size_t)4 * WR_SEGMENT_RECORDS)
#define COLUMN_BYTES (WR_SEGMENT_RECORDS * 2 * WR_VARINT_MAX) /* at most two varints a record */
#define BITS_BYTES (WR_SEGMENT_RECORDS * 56 + WR_BITS_BEHIND) /* four numbers of 64 bits and one of 128 a record */

/* Records of one series and window. */
struct wr_run {
    const char *key;
    uint16_t key_len;
    uint8_t type;
    int64_t window_ns;
    uint32_t count;
    uint32_t at; /* where its records begin in order[] */
};

struct wr_encoder {
    ZSTD_CCtx *zstd;
    struct wr_buf names;
    struct wr_buf texts;
    struct wr_buf raw;
    struct wr_buf body;
    uint32_t n_runs;
    uint32_t n_texts;
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
