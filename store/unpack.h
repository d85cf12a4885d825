/* What the decoders of both kinds of bodies do alike: unpacking, columns, the keys of runs, grids, texts. Everything is checked before it is used. store/pack.h is the way there.
 *
 * Threads: one at a time. Ownership: keys and texts point into the unpack's own memory until the next body. Errors: WR_CORRUPT, WR_NO_MEMORY, told with the number of the segment.
 */
#ifndef WEIR_STORE_UNPACK_H
#define WEIR_STORE_UNPACK_H

#include <zstd.h>

#include "core/buf.h"
#include "store/bits.h"
#include "store/codec_format.h"
#include "store/form.h"
#include "store/runs.h"

#define WR_UNPACK_COLUMNS 26 /* at most */

struct wr_unpack {
    ZSTD_DCtx *zstd;
    struct wr_buf raw;
    struct wr_buf keys;
    const char **texts; /* of symbols: into raw */
    size_t n_texts;
    size_t texts_max;
    struct wr_codec_header header;
    struct wr_cursor columns[WR_UNPACK_COLUMNS];
    unsigned n_columns;
    struct wr_bit_cursor bits;
};

/* WR_NO_MEMORY: wr_unpack_fini is due all the same. */
WR_MUST_USE enum wr_result wr_unpack_init(struct wr_unpack *unpack, size_t runs_max, size_t texts_max);
void wr_unpack_fini(struct wr_unpack *unpack);

/* Sets the error: WR_CORRUPT. */
enum wr_result wr_unpack_corrupt(const struct wr_unpack *unpack, struct wr_error *err, const char *what);

/* Into raw what was compressed, and behind it a NUL and the bits, by the lengths of unpack->header. */
WR_MUST_USE enum wr_result wr_unpack_body(struct wr_unpack *unpack, const uint8_t *packed, size_t len, struct wr_error *err);
/* What was compressed is that many columns. */
WR_MUST_USE enum wr_result wr_unpack_columns(struct wr_unpack *unpack, unsigned n, struct wr_error *err);

/* The front-coded keys of runs: each is a prefix of the one before and a suffix of its own; from these columns. */
WR_MUST_USE enum wr_result wr_unpack_keys(struct wr_unpack *unpack, struct wr_run *runs, uint32_t n_runs, unsigned shared, unsigned suffix,
                                          unsigned names, struct wr_error *err);
/* A grid, of a run of this type. False: it is none. */
WR_MUST_USE bool wr_unpack_grid(struct wr_cursor *column, uint8_t type, struct wr_grid *grid);
/* The texts in this column; they are NUL-terminated where they stand. */
WR_MUST_USE enum wr_result wr_unpack_texts(struct wr_unpack *unpack, unsigned column, struct wr_error *err);

/* True if more was read than there is. */
static inline bool wr_unpack_past_end(const struct wr_unpack *unpack) {
    bool bad = unpack->bits.bad;
    for (unsigned i = 0; i < unpack->n_columns; i++)
        bad |= unpack->columns[i].bad;
    return bad;
}

#endif
