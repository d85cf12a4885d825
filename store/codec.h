/* The segment codec: records to the body of a segment, and back.
 *
 * Promise: what comes out of the decoder is what went into the encoder, bit for bit: every value is checked while it is encoded and
 * takes the next plainer form when it does not come back. An approximate sum comes back as the one double that is published
 * (wr_sum_double). With n = 0 the values have no meaning, and none are stored. The decoder accepts any bytes and answers WR_CORRUPT;
 * it never reads outside them, and allocates at most what the limits below allow. The format is docs/segment-format.md.
 *
 * Not in a body: the ledger account (it stands in the row), ids of series and symbols (their texts stand in every body).
 * Order: the decoder gives aggregates sorted by series key and window; those of one series and window in the order they were given.
 *
 * Threads: an encoder or decoder belongs to one thread at a time. Ownership: what they return points into their own memory and lives
 * until the next call of begin or encode, or until they are freed. No allocation per segment once their buffers have grown.
 * Limits: WR_SEGMENT_RECORDS records; a body of WR_SEGMENT_BODY_MAX bytes; WR_CODEC_RAW_MAX bytes before compression.
 */
#ifndef WEIR_STORE_CODEC_H
#define WEIR_STORE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/aggregate.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/segment.h"
#include "core/symbol.h"

#define WR_CODEC_VERSION 1
#define WR_CODEC_RAW_VERSION 2 /* of raw readings; those of version 1 are read */
#define WR_CODEC_HEADER_BYTES 96
#define WR_CODEC_RAW_MAX (8U << 20)
#define WR_CODEC_BOOT_ID_BYTES 16

/* What stands in front of every body. */
struct wr_codec_header {
    uint8_t version;
    uint8_t kind;      /* enum wr_segment_kind */
    uint8_t lane;      /* enum wr_lane */
    bool wall_trusted; /* wall_ns below could be trusted when the segment was cut */
    bool times_moved;  /* to the clock of wall_ns: some were stamped by a former one, which could not be trusted */
    uint32_t length;   /* of the whole body, header included */
    uint32_t crc;
    uint64_t epoch;
    int64_t seq;
    uint32_t n;
    uint32_t raw_len;  /* of what is compressed */
    uint32_t bits_len; /* of what stands behind it as it is */
    int64_t t0_ns;     /* smallest start and largest end of its records */
    int64_t t1_ns;
    int64_t boot_ns; /* when it was cut */
    int64_t wall_ns;
    uint8_t boot_id[WR_CODEC_BOOT_ID_BYTES]; /* which boot; all zero: unknown */
};

/* What its flags say of its times. */
enum wr_time_quality wr_codec_time_quality(const struct wr_codec_header *header);

struct wr_encoder;

WR_MUST_USE enum wr_result wr_encoder_new(struct wr_encoder **ret_encoder);
void wr_encoder_free(struct wr_encoder *encoder);

/* Encodes n >= 1 aggregates, at most WR_SEGMENT_RECORDS. In `header` kind, lane, epoch, seq, boot and wall are given; the rest is filled.
 * WR_LIMIT: too large together (encode fewer); WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_encode_aggregates(struct wr_encoder *encoder, struct wr_codec_header *header,
                                                const struct wr_aggregate *records, size_t n, const struct wr_symbol_table *symbols,
                                                const uint8_t **ret_body, size_t *ret_len);

/* Encodes n records that are JSON texts already (alarms, gaps), packed as wr_encode_pack_text does. */
WR_MUST_USE enum wr_result wr_encode_texts(struct wr_encoder *encoder, struct wr_codec_header *header, const uint8_t *packed, size_t len,
                                           size_t n, const uint8_t **ret_body, size_t *ret_len);
/* Appends one text to such a pack. */
WR_MUST_USE enum wr_result wr_encode_pack_text(struct wr_buf *packed, const void *text, size_t len);

/* An upper bound of what an aggregate adds to a body before compression, shared names not considered. */
size_t wr_encode_weight(const struct wr_aggregate *aggregate, const struct wr_symbol_table *symbols);

/* Reads the header of a body and checks magic, version, lengths and CRC. WR_CORRUPT, or WR_UNSUPPORTED for a later version. */
WR_MUST_USE enum wr_result wr_codec_check(const uint8_t *body, size_t len, struct wr_codec_header *ret_header, struct wr_error *err);

/* The same from the first WR_CODEC_HEADER_BYTES alone: without its CRC, and without a look at the length. */
WR_MUST_USE enum wr_result wr_codec_peek(const uint8_t *head, struct wr_codec_header *ret_header, struct wr_error *err);

struct wr_decoder;

WR_MUST_USE enum wr_result wr_decoder_new(struct wr_decoder **ret_decoder);
void wr_decoder_free(struct wr_decoder *decoder);

/* Checks and unpacks a body; body is not needed afterwards. */
WR_MUST_USE enum wr_result wr_decode_begin(struct wr_decoder *decoder, const uint8_t *body, size_t len, struct wr_codec_header *ret_header,
                                           struct wr_error *err);
/* The next aggregate; WR_EMPTY after the last one. Its account is 0. */
WR_MUST_USE enum wr_result wr_decode_aggregate(struct wr_decoder *decoder, struct wr_aggregate *ret_aggregate, struct wr_error *err);
/* The key of run number `run`, from 0, of a body of aggregates: records come run by run. NULL: it has no more. A key stays where it is until the next begin. */
const char *wr_decode_run(const struct wr_decoder *decoder, uint32_t run, size_t *ret_key_len);
/* The next JSON text of a segment of alarms or gaps, NUL-terminated; WR_EMPTY after the last one. */
WR_MUST_USE enum wr_result wr_decode_text(struct wr_decoder *decoder, const char **ret_text, size_t *ret_len, struct wr_error *err);

#endif
