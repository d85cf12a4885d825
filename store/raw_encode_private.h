/* What the files of the encoder of raw readings share: its memory, its columns. */
#ifndef WEIR_STORE_RAW_ENCODE_PRIVATE_H
#define WEIR_STORE_RAW_ENCODE_PRIVATE_H

#include "store/pack.h"
#include "store/raw_format.h"

#define WR_RAW_SLOTS ((size_t)2 * WR_SEGMENT_READINGS)
#define WR_RAW_BITS_PER_READING 16    /* bytes: a time and a value */
#define WR_RAW_COLUMNS_PER_READING 72 /* bytes of all columns, a run for each reading: see raw_encode.c */

struct wr_raw_encoder {
    struct wr_pack pack;
    const struct wr_symbol_table *symbols;
    uint32_t n_runs;
    int64_t times_start_ns;     /* first time of the last run that has times of its own */
    int64_t period;             /* and its period, in its units */
    uint8_t scale;              /* of the numbers before, if they had one */
    union wr_value first;       /* the first one that has a number of the last run that has any, and its type */
    uint8_t first_type;
    struct wr_run runs[WR_SEGMENT_READINGS];
    uint32_t series[WR_SEGMENT_READINGS]; /* of the runs */
    uint16_t run_of[WR_SEGMENT_READINGS]; /* reading -> run */
    uint16_t sorted[WR_SEGMENT_READINGS]; /* runs in the order of their keys */
    uint16_t order[WR_SEGMENT_READINGS];  /* readings in the order of the segment */
    uint16_t slots[WR_RAW_SLOTS];         /* runs by series; afterwards places in `sorted` by times */
    uint16_t text_slots[WR_RAW_SLOTS];
    uint32_t text_symbols[WR_SEGMENT_READINGS];
    /* Of the run at hand. */
    uint32_t count;
    uint8_t type;
    union wr_value values[WR_SEGMENT_READINGS];
    uint8_t decimals[WR_SEGMENT_READINGS];
    uint8_t forms[WR_SEGMENT_READINGS]; /* WR_RAW_CONSTANT: it is the constant */
    struct wr_code codes[WR_SEGMENT_READINGS];
    uint64_t numbers[WR_SEGMENT_READINGS]; /* of its times, then of its values */
    struct wr_bits bits;
    uint8_t *begin[WR_RAW_COLUMNS];
    uint8_t *end[WR_RAW_COLUMNS]; /* where the next byte of each column goes */
    uint8_t bit_column[WR_SEGMENT_READINGS * WR_RAW_BITS_PER_READING + WR_BITS_BEHIND];
    uint8_t columns[WR_SEGMENT_READINGS * WR_RAW_COLUMNS_PER_READING];
};

static inline void wr_raw_byte(struct wr_raw_encoder *encoder, enum wr_raw_column column, uint8_t byte) {
    *encoder->end[column]++ = byte;
}
static inline void wr_raw_varint(struct wr_raw_encoder *encoder, enum wr_raw_column column, uint64_t value) {
    encoder->end[column] = wr_put_varint(encoder->end[column], value);
}
static inline void wr_raw_zigzag(struct wr_raw_encoder *encoder, enum wr_raw_column column, int64_t value) {
    encoder->end[column] = wr_put_zigzag(encoder->end[column], value);
}
/* A byte of the numbers, and what it leaves. */
static inline void wr_raw_number(struct wr_raw_encoder *encoder, enum wr_raw_column column, uint64_t number, unsigned scale) {
    if (number >> scale < WR_RAW_PLAIN) {
        wr_raw_byte(encoder, column, (uint8_t)(number >> scale));
        wr_put_below(&encoder->bits, wr_u128_of(number), scale + 1);
        return;
    }
    const unsigned width = wr_width(number);
    wr_raw_byte(encoder, column, (uint8_t)(WR_RAW_PLAIN + width));
    wr_put_below(&encoder->bits, wr_u128_of(number), width);
}

/* raw_encode_run.c: the scale that suits the first n of numbers[]. */
struct wr_raw_scale wr_raw_encode_scale(struct wr_raw_encoder *encoder, uint32_t n);
/* The times of the run number `place` in the order of keys. */
void wr_raw_encode_times(struct wr_raw_encoder *encoder, uint32_t place, const struct wr_reading *readings);

/* How the values of a run are written. */
struct wr_raw_forms {
    struct wr_grid grid; /* its step is 1 yet */
    uint8_t usual;       /* the form that most have */
    bool has_constant;
    union wr_value constant;
};

/* raw_encode_forms.c: chooses it, and a form and a code for each of values[]. */
void wr_raw_encode_forms(struct wr_raw_encoder *encoder, struct wr_raw_forms *forms);
/* raw_encode_values.c: the values of a numeric run. */
void wr_raw_encode_values(struct wr_raw_encoder *encoder, const struct wr_run *run, const struct wr_reading *readings);

#endif
