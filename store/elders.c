/* Elders: segments that are older than their place. A merged one has the clock of the youngest that it was made of (merging.c), and stands behind segments that were cut since.
 *
 * So the oldest of a lane is either the first, or the first elder: they stand in the order of their age, as all others do. A cursor goes along the lane and stops at the next elder until
 * that is gone. Each row is looked at once, and of its body only the header, without a check: whoever deletes asks wr_age_at_least. */
#include <string.h>

#include "store/store_private.h"

/* The boot time at which it was cut, below zero before this boot. False: nobody knows well enough. */
bool wr_elders_born(const struct wr_store *store, int64_t seq, const struct wr_codec_header *header, const struct wr_now *now,
                    int64_t *ret_born_ns) {
    static const uint8_t unknown[WR_CODEC_BOOT_ID_BYTES];
    const bool is_unknown = memcmp(header->boot_id, unknown, sizeof unknown) == 0;
    const bool here = memcmp(header->boot_id, store->options.boot_id, sizeof unknown) == 0 && (!is_unknown || seq >= store->live_from);
    if (!here && (is_unknown || !header->wall_trusted || !now->wall_trusted))
        return false;
    *ret_born_ns = here ? header->boot_ns : now->boot_ns - (now->wall_ns - header->wall_ns);
    return true;
}

/* WR_EMPTY: it says nothing. WR_IO */
static enum wr_result peek(struct wr_store *store, int64_t id, struct wr_codec_header *ret_header) {
    uint8_t head[WR_CODEC_HEADER_BYTES];
    sqlite3_blob *body = NULL;
    int code = sqlite3_blob_open(store->db, "main", "seg", "body", id, 0, &body);
    if (code == SQLITE_OK)
        code = sqlite3_blob_bytes(body) < (int)sizeof head ? SQLITE_CORRUPT : sqlite3_blob_read(body, head, (int)sizeof head, 0);
    (void)sqlite3_blob_close(body);
    if (code == SQLITE_NOMEM)
        return WR_NO_MEMORY;
    if ((code & 0xff) == SQLITE_IOERR)
        return WR_IO;
    return code == SQLITE_OK && wr_codec_peek(head, ret_header, NULL) == WR_OK ? WR_OK : WR_EMPTY;
}

enum wr_result wr_elders_next(struct wr_store *store, int lane, const struct wr_now *now, int64_t slack_ns, int64_t *ret_seq,
                              int64_t *ret_born_ns, struct wr_error *err) {
    struct wr_elders *elders = &store->keep[lane].elders;
    for (int i = 0; i < WR_KEEP_COUNT_ROWS; i++) {
        struct wr_codec_header header;
        elders->at = wr_reach_skip(store, lane, elders->at + 1) - 1;
        sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_NEXT);
        sqlite3_bind_int64(row, 1, wr_row_id(lane, elders->at));
        sqlite3_bind_int64(row, 2, wr_row_id(lane, store->lanes[lane].newest) + 1);
        WR_TRY(wr_reach_failed(store, lane, elders->at + 1, true, wr_sql_row(store, row, err)));
        const int64_t id = sqlite3_column_int64(row, 0);
        sqlite3_reset(row);
        const enum wr_result peeked = peek(store, id, &header);
        if (peeked == WR_NO_MEMORY)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for the header of segment %lld", (long long)wr_row_seq(id));
        if (peeked == WR_IO)
            return wr_reach_failed(store, lane, wr_row_seq(id), false,
                                   wr_error_set(err, WR_IO, "the header of segment %lld cannot be read", (long long)wr_row_seq(id)));
        if (peeked == WR_OK && wr_elders_born(store, wr_row_seq(id), &header, now, ret_born_ns)) {
            if (wr_clock_add_ns(*ret_born_ns, slack_ns) < elders->place_ns) {
                *ret_seq = wr_row_seq(id);
                return WR_OK;
            }
            elders->place_ns = *ret_born_ns > elders->place_ns ? *ret_born_ns : elders->place_ns;
        }
        elders->at = wr_row_seq(id);
    }
    return WR_FULL;
}
