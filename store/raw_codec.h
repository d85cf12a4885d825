/* The codec of raw readings: a segment of kind 4 and back. Such segments are kept (store/raw_log.h) and never sent.
 *
 * Promise: as store/codec.h: value, type, quality, flags and time come back bit for bit. `decimals` may come back as another number with which the value
 * is exact, or as unknown. The decoder accepts any bytes, answers WR_CORRUPT, never reads outside them, and allocates at most what the limits allow.
 * The format is docs/segment-format.md; grids and forms are those of aggregates (store/grid.h, store/form.h).
 *
 * Order: the decoder gives readings sorted by series key; those of one series in the order they were given.
 *
 * Threads: an encoder or decoder belongs to one thread at a time. Ownership: what they return points into their own memory and lives until the next call of
 * begin or encode. No allocation per segment once their buffers have grown.
 * Limits: WR_SEGMENT_READINGS readings; a body of WR_SEGMENT_BODY_MAX bytes; WR_CODEC_RAW_MAX bytes before compression.
 */
#ifndef WEIR_STORE_RAW_CODEC_H
#define WEIR_STORE_RAW_CODEC_H

#include "core/reading.h"
#include "core/series.h"
#include "store/codec.h"

struct wr_raw_encoder;

WR_MUST_USE enum wr_result wr_raw_encoder_new(struct wr_raw_encoder **ret_encoder);
void wr_raw_encoder_free(struct wr_raw_encoder *encoder);
/* What it takes at most, bodies of the usual size provided. */
size_t wr_raw_encoder_bytes(void);

/* Encodes n >= 1 readings, at most WR_SEGMENT_READINGS, each with the time of its event, of series of this table and with its type; texts of `symbols`. In `header`
 * epoch, seq, boot and wall are given; the rest is filled. WR_LIMIT: too large together (encode fewer); WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_raw_encode(struct wr_raw_encoder *encoder, struct wr_codec_header *header, const struct wr_reading *readings,
                                         size_t n, const struct wr_series_table *series, const struct wr_symbol_table *symbols,
                                         const uint8_t **ret_body, size_t *ret_len);
/* The same body with another header: its seq may depend on its length. What is in the header of the last wr_raw_encode must stay but for epoch, seq and clocks. */
void wr_raw_encode_seal(struct wr_raw_encoder *encoder, struct wr_codec_header *header);

/* A reading as it comes out of a body: with its key and text, which mean the same everywhere. */
struct wr_raw_reading {
    const char *key; /* the same pointer for all readings of a run, another one for each run */
    uint16_t key_len;
    uint8_t type;
    uint8_t quality;
    uint8_t decimals;
    uint8_t flags;
    int64_t time_ns;
    union wr_value value;
    const char *text; /* of a symbol, else NULL */
};

struct wr_raw_decoder;

WR_MUST_USE enum wr_result wr_raw_decoder_new(struct wr_raw_decoder **ret_decoder);
void wr_raw_decoder_free(struct wr_raw_decoder *decoder);
/* Checks and unpacks a body; body is not needed afterwards. WR_UNSUPPORTED: another kind, or a later version. */
WR_MUST_USE enum wr_result wr_raw_decode_begin(struct wr_raw_decoder *decoder, const uint8_t *body, size_t len,
                                               struct wr_codec_header *ret_header, struct wr_error *err);
/* The next reading; WR_EMPTY after the last one. */
WR_MUST_USE enum wr_result wr_raw_decode(struct wr_raw_decoder *decoder, struct wr_raw_reading *ret_reading, struct wr_error *err);
/* The key of run number `run`, from 0: readings come run by run, one for each series and type. NULL: there are no more. */
const char *wr_raw_decode_run(const struct wr_raw_decoder *decoder, uint32_t run, size_t *ret_key_len);

#endif
