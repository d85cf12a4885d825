/* The times of heads: as they stand in the row or body, or moved, where their clock could not be trusted and it is known by now what it was off.
 *
 * Most heads say in their row that nothing is to be done. Of the others the header of the body is read, and the boot that it names is looked up once for all that follow.
 *
 * Threads: the store's. Ownership: begin/end; between them no other transaction.
 */
#ifndef WEIR_STORE_HEADS_H
#define WEIR_STORE_HEADS_H

#include <sqlite3.h>

#include "store/codec.h"
#include "store/history.h"

/* Behind its CRC a row says how far its times can be relied on, so that nobody has to look into the body. Not there: an earlier version wrote it. */
static inline int64_t wr_row_crc(const struct wr_codec_header *header) {
    return (int64_t)header->crc | (int64_t)(wr_codec_time_quality(header) + 1) << 32;
}
static inline int wr_row_time_quality(int64_t crc) { /* -1: it is not there */
    return (int)(crc >> 32 & 3) - 1;
}

struct wr_heads {
    struct wr_store *store;
    struct wr_now now;  /* the clock as the store saw it last */
    sqlite3_blob *body; /* of the head that was read last; NULL: none was */
    bool boot_known;
    uint8_t boot_id[WR_CODEC_BOOT_ID_BYTES]; /* that was looked up last ... */
    enum wr_result found;                    /* ... WR_EMPTY: nobody knows what its clock was off */
    int64_t offset_ns;
};

void wr_heads_begin(struct wr_heads *heads, struct wr_store *store);
void wr_heads_end(struct wr_heads *heads);
/* Sets quality and correction of a head, and moves its times, by the header of its body. WR_NO_MEMORY, WR_IO. */
WR_MUST_USE enum wr_result wr_heads_correct(struct wr_heads *heads, const struct wr_codec_header *header, struct wr_segment_head *head,
                                            struct wr_error *err);

#endif
