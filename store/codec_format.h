/* What encoder and decoder agree on besides the columns: the header in bytes. docs/segment-format.md is the same in prose. */
#ifndef WEIR_STORE_CODEC_FORMAT_H
#define WEIR_STORE_CODEC_FORMAT_H

#include "store/codec.h"

#define WR_CODEC_MAGIC "WEIR"
#define WR_CODEC_CRC_AT 12

/* Units of the START column, largest first while writing: all starts of the segment are multiples of it. */
#define WR_TIME_UNITS 4
extern const int64_t wr_time_units[WR_TIME_UNITS];

/* Fills in length, then the CRC over header and payload, where the CRC field counts as zero. body has room for the header in front. */
void wr_codec_header_write(uint8_t *body, size_t len, struct wr_codec_header *header);

#endif
