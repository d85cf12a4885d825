#include "store/pack.h"

#include <assert.h>
#include <string.h>
#include <zstd_errors.h>

#define ZSTD_LEVEL 1

enum wr_result wr_pack_init(struct wr_pack *pack) {
    *pack = (struct wr_pack){.zstd = ZSTD_createCCtx()};
    if (!pack->zstd)
        return WR_NO_MEMORY;
    (void)ZSTD_CCtx_setParameter(pack->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    wr_buf_init(&pack->names, WR_CODEC_RAW_MAX);
    wr_buf_init(&pack->texts, WR_CODEC_RAW_MAX);
    wr_buf_init(&pack->raw, WR_CODEC_RAW_MAX);
    wr_buf_init(&pack->body, WR_SEGMENT_BODY_MAX);
    return WR_OK;
}

void wr_pack_fini(struct wr_pack *pack) {
    ZSTD_freeCCtx(pack->zstd);
    wr_buf_fini(&pack->names);
    wr_buf_fini(&pack->texts);
    wr_buf_fini(&pack->raw);
    wr_buf_fini(&pack->body);
}

void wr_pack_begin(struct wr_pack *pack) {
    wr_buf_clear(&pack->names);
    wr_buf_clear(&pack->texts);
    pack->n_texts = 0;
}

enum wr_result wr_pack_text(struct wr_pack *pack, const struct wr_pack_texts *texts, uint32_t symbol, const struct wr_symbol_table *symbols,
                            uint32_t *ret_index) {
    if (pack->n_texts == 0)
        memset(texts->slots, 0, texts->n_slots * sizeof texts->slots[0]);
    size_t slot = (symbol * UINT32_C(0x9E3779B1) >> 16) & (texts->n_slots - 1);
    while (texts->slots[slot] != 0 && texts->symbols[texts->slots[slot] - 1] != symbol)
        slot = (slot + 1) & (texts->n_slots - 1);
    if (texts->slots[slot] == 0) {
        size_t len = 0;
        const char *text = wr_symbol_text(symbols, symbol, &len);
        uint8_t head[WR_VARINT_MAX];
        WR_TRY(wr_buf_append(&pack->texts, head, (size_t)(wr_put_varint(head, len) - head)));
        WR_TRY(wr_buf_append(&pack->texts, text, len));
        texts->symbols[pack->n_texts++] = symbol;
        texts->slots[slot] = (uint16_t)pack->n_texts;
    }
    *ret_index = texts->slots[slot] - 1U;
    return WR_OK;
}

enum wr_result wr_pack_join(struct wr_pack *pack, const struct wr_pack_column *columns, unsigned n, const uint8_t *frames,
                            unsigned n_frames, size_t *frame_at) {
    struct wr_buf *raw = &pack->raw;
    uint8_t head[WR_PACK_COLUMNS_MAX * WR_VARINT_MAX];
    uint8_t *end = head;
    size_t total = 0;
    assert(n <= WR_PACK_COLUMNS_MAX);
    for (unsigned i = 0; i < n; i++) {
        total += columns[i].len;
        end = wr_put_varint(end, columns[i].len);
    }
    wr_buf_clear(raw);
    WR_TRY(wr_buf_reserve(raw, (size_t)(end - head) + total));
    WR_TRY(wr_buf_append(raw, head, (size_t)(end - head)));
    frame_at[0] = 0; /* with the lengths */
    unsigned frame = 1;
    for (unsigned i = 0; i < n; i++) {
        if (frame < n_frames && i == frames[frame])
            frame_at[frame++] = raw->len;
        if (columns[i].len > 0)
            WR_TRY(wr_buf_append(raw, columns[i].data, columns[i].len));
    }
    frame_at[n_frames] = raw->len;
    return WR_OK;
}

enum wr_result wr_pack_begin_body(struct wr_pack *pack) {
    wr_buf_clear(&pack->body);
    WR_TRY(wr_buf_reserve(&pack->body, WR_CODEC_HEADER_BYTES));
    pack->body.len = WR_CODEC_HEADER_BYTES;
    return WR_OK;
}

enum wr_result wr_pack_frame(struct wr_pack *pack, const uint8_t *raw, size_t len, int min_match) {
    struct wr_buf *body = &pack->body;
    size_t room = ZSTD_compressBound(len);
    if (room > WR_SEGMENT_BODY_MAX - body->len)
        room = WR_SEGMENT_BODY_MAX - body->len; /* zstd says so if it is not enough */
    WR_TRY(wr_buf_reserve(body, room));
    (void)ZSTD_CCtx_setParameter(pack->zstd, ZSTD_c_minMatch, min_match);
    const size_t packed = ZSTD_compress2(pack->zstd, body->data + body->len, room, raw, len);
    if (ZSTD_isError(packed))
        return ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? WR_NO_MEMORY : WR_LIMIT;
    body->len += packed;
    return WR_OK;
}

enum wr_result wr_pack_bits(struct wr_pack *pack, struct wr_bits *bits, const uint8_t *begin, struct wr_codec_header *header) {
    const size_t len = (size_t)(wr_end_bits(bits) - begin);
    header->raw_len = (uint32_t)pack->raw.len;
    header->bits_len = (uint32_t)len;
    return wr_buf_append(&pack->body, begin, len);
}
