/* Any bytes as the body of a segment of raw readings, of both versions: as tests/fuzz/segment_fuzz.c does it. Seeds begin with records and length of the bits, two bytes each;
 * then come the columns, then the bits; or they are whole bodies. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "store/codec_format.h"
#include "store/crc32c.h"
#include "store/raw_codec.h"

#define HEAD_BYTES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* what is read must be readable */

static void decode(struct wr_raw_decoder *decoder, const uint8_t *body, size_t len) {
    struct wr_codec_header header;
    struct wr_raw_reading reading;
    struct wr_error err;
    if (wr_raw_decode_begin(decoder, body, len, &header, &err) != WR_OK)
        return;
    while (wr_raw_decode(decoder, &reading, &err) == WR_OK)
        sink += (uint8_t)reading.key[reading.key_len - 1] + reading.value.u + (uint64_t)reading.time_ns +
                (reading.text ? strlen(reading.text) : 0);
}

/* The same body as version 1. */
static void make_old(uint8_t *body, size_t len) {
    body[4] = 1;
    memset(body + WR_CODEC_CRC_AT, 0, 4);
    const uint32_t crc = htole32(wr_crc32c(0, body, len));
    memcpy(body + WR_CODEC_CRC_AT, &crc, sizeof crc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_raw_decoder *decoder;
    if (!decoder && wr_raw_decoder_new(&decoder) != WR_OK)
        abort();
    if (size < HEAD_BYTES || size > 65536)
        return 0;
    uint8_t *body = malloc(WR_CODEC_HEADER_BYTES + ZSTD_compressBound(size) + size);
    if (!body)
        abort();
    const uint8_t *payload = data + HEAD_BYTES;
    const size_t len = size - HEAD_BYTES;
    const size_t bits_len = (size_t)(data[2] | data[3] << 8) % (len + 1);
    const size_t raw_len = len - bits_len;
    struct wr_codec_header header = {.kind = WR_SEGMENT_RAW,
                                     .lane = WR_LANE_RAW,
                                     .n = (uint32_t)(data[0] | data[1] << 8) % (WR_SEGMENT_READINGS + 2),
                                     .raw_len = (uint32_t)raw_len,
                                     .bits_len = (uint32_t)bits_len};
    const size_t packed = ZSTD_compress(body + WR_CODEC_HEADER_BYTES, ZSTD_compressBound(size), payload, raw_len, 1);
    if (!ZSTD_isError(packed)) {
        memcpy(body + WR_CODEC_HEADER_BYTES + packed, payload + raw_len, bits_len);
        wr_codec_header_write(body, WR_CODEC_HEADER_BYTES + packed + bits_len, &header);
        decode(decoder, body, WR_CODEC_HEADER_BYTES + packed + bits_len);
        make_old(body, WR_CODEC_HEADER_BYTES + packed + bits_len);
        decode(decoder, body, WR_CODEC_HEADER_BYTES + packed + bits_len);
    }
    decode(decoder, data, size);
    free(body);
    return 0;
}
