/* What the encoders of both kinds of bodies do alike: texts that are written once, columns joined and compressed, a body behind its header. store/unpack.h is the way back.
 *
 * Threads: one at a time. Ownership: a pack belongs to its encoder. No allocation per body once its buffers have grown. Errors: WR_LIMIT: too large together; WR_NO_MEMORY.
 */
#ifndef WEIR_STORE_PACK_H
#define WEIR_STORE_PACK_H

#include <zstd.h>

#include "core/buf.h"
#include "core/symbol.h"
#include "store/bits.h"
#include "store/codec_format.h"
#include "store/runs.h"

#define WR_PACK_MATCH_USUAL 5
#define WR_PACK_MATCH_SKEWED 7 /* short matches in columns without repetitions are chance, and cost more than they save */

struct wr_pack {
    ZSTD_CCtx *zstd;
    struct wr_buf names; /* suffixes of keys */
    struct wr_buf texts;
    struct wr_buf raw; /* what is compressed */
    struct wr_buf body;
    uint32_t n_texts;
};

/* WR_NO_MEMORY: nothing is left behind. */
WR_MUST_USE enum wr_result wr_pack_init(struct wr_pack *pack);
void wr_pack_fini(struct wr_pack *pack);

/* No names, no texts. */
void wr_pack_begin(struct wr_pack *pack);

/* Where the texts of a body are looked up: slots are more than symbols, and a power of two. */
struct wr_pack_texts {
    uint16_t *slots;
    size_t n_slots;
    uint32_t *symbols;
};
/* The place of a symbol's text among the texts; it is appended if it is not there yet. */
WR_MUST_USE enum wr_result wr_pack_text(struct wr_pack *pack, const struct wr_pack_texts *texts, uint32_t symbol,
                                        const struct wr_symbol_table *symbols, uint32_t *ret_index);

struct wr_pack_column {
    const uint8_t *data;
    size_t len;
};
static inline struct wr_pack_column wr_pack_buf_column(const struct wr_buf *buf) { return (struct wr_pack_column){buf->data, buf->len}; }

/* Joins columns to `raw`: the length of each, then all bytes. frames[] are the first columns of n_frames frames (ascending, the first is 0); frame_at[] becomes where each begins, and
 * behind them the end of the last. */
#define WR_PACK_COLUMNS_MAX 32
WR_MUST_USE enum wr_result wr_pack_join(struct wr_pack *pack, const struct wr_pack_column *columns, unsigned n, const uint8_t *frames,
                                        unsigned n_frames, size_t *frame_at);

/* An empty body with room for its header; then a zstd frame, or bytes as they are, behind what it has. */
WR_MUST_USE enum wr_result wr_pack_begin_body(struct wr_pack *pack);
WR_MUST_USE enum wr_result wr_pack_frame(struct wr_pack *pack, const uint8_t *raw, size_t len, int min_match);
/* The bits as the last thing; fills in the lengths. */
WR_MUST_USE enum wr_result wr_pack_bits(struct wr_pack *pack, struct wr_bits *bits, const uint8_t *begin, struct wr_codec_header *header);

#endif
