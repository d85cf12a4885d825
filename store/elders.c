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
    if (!here && (header->wall_ns < 0 || header->wall_ns > now->wall_ns))
        return false;
    *ret_born_ns = here ? header->boot_ns : now->boot_ns - (now->wall_ns - header->wall_ns);
    return *ret_born_ns <= now->boot_ns;
}

/* WR_EMPTY: it says nothing. */
static enum wr_result peek(struct wr_store *store, int lane, int64_t seq, struct wr_codec_header *ret_header, struct wr_error *err) {
    uint8_t head[WR_CODEC_HEADER_BYTES];
    sqlite3_blob *body = NULL;
    bool has_head = false;
    int code = sqlite3_blob_open(store->db, "main", "seg", "body", wr_row_id(lane, seq), 0, &body);
    if (code == SQLITE_OK && sqlite3_blob_bytes(body) >= (int)sizeof head) {
        code = sqlite3_blob_read(body, head, (int)sizeof head, 0);
        has_head = code == SQLITE_OK;
    }
    (void)sqlite3_blob_close(body);
    if (code != SQLITE_OK && code != SQLITE_ERROR) /* this one: it is no blob */
        return wr_reach_failed(store, lane, seq, false, wr_sql_failed(store->db, code, "reading the head of a segment", err));
    return has_head && wr_codec_peek(head, ret_header, NULL) == WR_OK ? WR_OK : WR_EMPTY;
}

/* The first row behind the cursor that the disk gives back. */
static enum wr_result find(struct wr_store *store, int lane, int64_t *ret_seq, struct wr_error *err) {
    struct wr_elders *elders = &store->keep[lane].elders;
    for (;; elders->at = *ret_seq) {
        elders->at = wr_reach_skip(store, lane, elders->at + 1) - 1;
        if (wr_reach_is_behind(store, lane, elders->at + 1))
            return WR_EMPTY;
        sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_NEXT);
        sqlite3_bind_int64(row, 1, wr_row_id(lane, elders->at));
        sqlite3_bind_int64(row, 2, wr_row_id(lane, store->lanes[lane].newest) + 1);
        WR_TRY(wr_reach_failed(store, lane, elders->at + 1, true, wr_sql_row(store, row, err)));
        *ret_seq = wr_row_seq(sqlite3_column_int64(row, 0));
        sqlite3_reset(row);
        if (wr_reach_skip(store, lane, *ret_seq) == *ret_seq)
            return WR_OK;
    }
}

enum wr_result wr_elders_next(struct wr_store *store, int lane, const struct wr_now *now, int64_t slack_ns, int64_t *ret_seq,
                              int64_t *ret_born_ns, struct wr_error *err) {
    struct wr_elders *elders = &store->keep[lane].elders;
    for (int i = 0; i < WR_KEEP_COUNT_ROWS; i++) {
        struct wr_codec_header header = {0};
        int64_t seq = 0;
        WR_TRY(find(store, lane, &seq, err));
        const enum wr_result peeked = peek(store, lane, seq, &header, err);
        if (peeked != WR_OK && peeked != WR_EMPTY)
            return peeked;
        if (peeked == WR_OK && wr_elders_born(store, seq, &header, now, ret_born_ns)) {
            if (wr_clock_add_ns(*ret_born_ns, slack_ns) < elders->place_ns) {
                *ret_seq = seq;
                return WR_OK;
            }
            elders->place_ns = *ret_born_ns > elders->place_ns ? *ret_born_ns : elders->place_ns;
        }
        elders->at = seq;
    }
    return WR_FULL;
}
