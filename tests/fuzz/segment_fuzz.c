/* Any bytes as a segment body. The CRC would keep the fuzzer out, so length and CRC are set right before the body is decoded; a second way
 * takes the bytes as a payload before compression, so that mutations reach the columns. Its seeds begin with kind, lane, records and length
 * of the bits, two bytes each of the last two; then come the columns, then the bits. */
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "store/codec_format.h"

#define HEAD_BYTES 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* what is read must be readable */

static void decode(struct wr_decoder *decoder, const uint8_t *body, size_t len) {
    struct wr_codec_header header;
    struct wr_error err;
    if (wr_decode_begin(decoder, body, len, &header, &err) != WR_OK)
        return;
    if (header.kind == WR_SEGMENT_AGGREGATES) {
        struct wr_aggregate aggregate;
        while (wr_decode_aggregate(decoder, &aggregate, &err) == WR_OK) {
            sink += (uint8_t)aggregate.key[aggregate.key_len - 1] + aggregate.n;
            sink += (uint64_t)(wr_sum_double(&aggregate.sum) > 0);
            if (aggregate.first_text)
                sink += strlen(aggregate.first_text) + strlen(aggregate.last_text);
        }
    } else {
        const char *text;
        size_t text_len;
        while (wr_decode_text(decoder, &text, &text_len, &err) == WR_OK)
            sink += strlen(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_decoder *decoder;
    if (!decoder && wr_decoder_new(&decoder) != WR_OK)
        abort();
    if (size < HEAD_BYTES + sizeof(uint32_t) || size > 65536)
        return 0;
    uint8_t *body = malloc(WR_CODEC_HEADER_BYTES + ZSTD_compressBound(size) + size);
    if (!body)
        abort();
    const uint8_t *payload = data + HEAD_BYTES;
    size_t len = size - HEAD_BYTES;
    size_t bits_len = (size_t)(data[4] | data[5] << 8) % (len + 1);
    size_t raw_len = len - bits_len;
    struct wr_codec_header header = {.kind = (uint8_t)(data[0] & 3) + 1,
                                     .lane = data[1] & 3,
                                     .n = (uint32_t)(data[2] | data[3] << 8) % (WR_SEGMENT_RECORDS + 2),
                                     .raw_len = (uint32_t)raw_len,
                                     .bits_len = (uint32_t)bits_len};
    size_t packed = ZSTD_compress(body + WR_CODEC_HEADER_BYTES, ZSTD_compressBound(size), payload, raw_len, 1);
    if (!ZSTD_isError(packed)) {
        memcpy(body + WR_CODEC_HEADER_BYTES + packed, payload + raw_len, bits_len);
        wr_codec_header_write(body, WR_CODEC_HEADER_BYTES + packed + bits_len, &header);
        decode(decoder, body, WR_CODEC_HEADER_BYTES + packed + bits_len);
    }
    memcpy(&header.raw_len, payload, sizeof header.raw_len);
    memcpy(body + WR_CODEC_HEADER_BYTES, payload + sizeof header.raw_len, len - sizeof header.raw_len);
    wr_codec_header_write(body, WR_CODEC_HEADER_BYTES + len - sizeof header.raw_len, &header);
    decode(decoder, body, WR_CODEC_HEADER_BYTES + len - sizeof header.raw_len);
    decode(decoder, data, size);
    free(body);
    return 0;
}
