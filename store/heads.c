#include "store/heads.h"

#include <string.h>

#include "store/raw_files.h"
#include "store/store_private.h"

void wr_heads_begin(struct wr_heads *heads, struct wr_store *store) {
    const struct wr_wall *present = &store->walls.present;
    *heads = (struct wr_heads){.store = store};
    heads->now = (struct wr_now){.wall_ns = wr_clock_add_ns(present->to_boot_ns, present->offset_ns),
                                 .boot_ns = present->to_boot_ns,
                                 .wall_trusted = store->walls.known && present->trusted};
}

/* An open body is a transaction that holds up the checkpoint. */
void wr_heads_end(struct wr_heads *heads) {
    sqlite3_blob_close(heads->body);
    heads->body = NULL;
}

/* Where the clock can have stamped all of it, all of it moves. */
void wr_history_move(const struct wr_correction *correction, int64_t *t0_ns, int64_t *t1_ns) {
    const int64_t from_ns = wr_clock_add_ns(*t0_ns, correction->move_ns);
    const int64_t to_ns = wr_clock_add_ns(*t1_ns, correction->move_ns);
    const bool all = *t0_ns >= correction->from_ns && *t1_ns <= correction->to_ns;
    *t0_ns = all || from_ns < *t0_ns ? from_ns : *t0_ns;
    *t1_ns = all || to_ns > *t1_ns ? to_ns : *t1_ns;
}

/* Segments of one boot come one after the other. */
static enum wr_result find_offset(struct wr_heads *heads, const struct wr_codec_header *header, int64_t *ret_offset_ns,
                                  struct wr_error *err) {
    if (!heads->boot_known || memcmp(heads->boot_id, header->boot_id, sizeof heads->boot_id) != 0) {
        heads->found = wr_boots_offset(heads->store, header->boot_id, &heads->now, &heads->offset_ns, err);
        memcpy(heads->boot_id, header->boot_id, sizeof heads->boot_id);
        heads->boot_known = heads->found == WR_OK || heads->found == WR_EMPTY;
    }
    *ret_offset_ns = heads->offset_ns;
    return heads->found;
}

enum wr_result wr_heads_correct(struct wr_heads *heads, const struct wr_codec_header *header, struct wr_segment_head *head,
                                struct wr_error *err) {
    int64_t offset_ns;
    head->time_quality = (uint8_t)wr_codec_time_quality(header);
    if (head->time_quality != WR_TIME_UNTRUSTED)
        return WR_OK;
    const enum wr_result found = find_offset(heads, header, &offset_ns, err);
    if (found != WR_OK)
        return found == WR_EMPTY ? WR_OK : found;
    head->correction = wr_correction_of(header, offset_ns);
    head->time_quality = WR_TIME_CORRECTED;
    wr_history_move(&head->correction, &head->t0_ns, &head->t1_ns);
    return WR_OK;
}

/* The header of a body alone, of a row that is there. WR_CORRUPT: it is none; whoever reads the body will say so. */
static enum wr_result read_header(struct wr_heads *heads, int64_t row_id, struct wr_codec_header *ret_header, struct wr_error *err) {
    uint8_t bytes[WR_CODEC_HEADER_BYTES];
    sqlite3 *db = heads->store->db;
    int code =
        heads->body ? sqlite3_blob_reopen(heads->body, row_id) : sqlite3_blob_open(db, "main", "seg", "body", row_id, 0, &heads->body);
    if (code == SQLITE_OK)
        code = sqlite3_blob_read(heads->body, bytes, sizeof bytes, 0);
    if (code == SQLITE_OK)
        return wr_codec_peek(bytes, ret_header, NULL) == WR_OK ? WR_OK : WR_CORRUPT;
    const enum wr_result result = code == SQLITE_ERROR ? WR_CORRUPT : wr_sql_failed(db, code, "the header of a segment", err);
    wr_heads_end(heads); /* one that failed to open again cannot be used any more */
    return result;
}

static enum wr_result take_row(struct wr_heads *heads, sqlite3_stmt *row, enum wr_lane lane, struct wr_segment_head *ret_head,
                               struct wr_error *err) {
    const int64_t id = sqlite3_column_int64(row, 0);
    const int quality = wr_row_time_quality(sqlite3_column_int64(row, 6));
    struct wr_codec_header header;
    *ret_head = (struct wr_segment_head){.seq = wr_row_seq(id),
                                         .kind = (uint8_t)sqlite3_column_int(row, 1),
                                         .n = (uint32_t)sqlite3_column_int64(row, 2),
                                         .t0_ns = sqlite3_column_int64(row, 3),
                                         .t1_ns = sqlite3_column_int64(row, 4),
                                         .body_bytes = (uint32_t)sqlite3_column_int64(row, 5),
                                         .lane = (uint8_t)lane,
                                         .time_quality = (uint8_t)quality,
                                         .delivered = wr_ranges_find(&heads->store->lanes[lane].acks, wr_row_seq(id))};
    if (quality == WR_TIME_TRUSTED || quality == WR_TIME_CORRECTED)
        return WR_OK;
    ret_head->time_quality = WR_TIME_UNTRUSTED;
    const enum wr_result result = read_header(heads, id, &header, err);
    if (result != WR_OK)
        return result == WR_CORRUPT ? WR_OK : result;
    return wr_heads_correct(heads, &header, ret_head, err);
}

/* The heads of the next rows up to seq `last`. WR_EMPTY: there are no more; else the next is that behind walk->after. */
static enum wr_result walk_stretch(struct wr_heads *heads, struct wr_history_walk *walk, int64_t last, struct wr_segment_head *into,
                                   uint32_t *n, struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(heads->store, WR_SQL_SEG_WALK);
    sqlite3_bind_int64(row, 1, wr_row_id((int)walk->lane, walk->after));
    sqlite3_bind_int64(row, 2, wr_row_id((int)walk->lane, last));
    sqlite3_bind_int(row, 3, WR_HISTORY_HEADS);
    uint32_t looked = 0;
    enum wr_result result = WR_EMPTY;
    while (walk->after < last && (result = wr_sql_row(heads->store, row, err)) == WR_OK) { /* not a row more: it may be in the hole */
        struct wr_segment_head *head = &into[*n];
        result = take_row(heads, row, walk->lane, head, err);
        if (head->seq <= walk->after) { /* a damaged tree leads back: else the walk would never end */
            result = wr_error_set(err, WR_CORRUPT, "segment %lld comes behind %lld", (long long)head->seq, (long long)walk->after);
            break;
        }
        walk->after = result == WR_OK ? head->seq : head->seq - 1;
        if (result != WR_OK)
            break;
        looked++;
        *n += head->t1_ns >= walk->from_ns && head->t0_ns <= walk->to_ns;
    }
    sqlite3_reset(row); /* one that stays open keeps each checkpoint from its work */
    if (result != WR_OK && result != WR_EMPTY)
        return result;
    return looked == WR_HISTORY_HEADS ? WR_OK : WR_EMPTY;
}

/* Up to the next hole, or over one that is found. */
static enum wr_result walk_rows(struct wr_heads *heads, struct wr_history_walk *walk, struct wr_segment_head *into, uint32_t *ret_n,
                                struct wr_error *err) {
    struct wr_store *store = heads->store;
    const int lane = (int)walk->lane;
    int64_t hole = wr_reach_next_hole(store, lane, walk->after + 1, heads->now.boot_ns);
    uint32_t n = 0;
    enum wr_result result = WR_EMPTY;
    if (!wr_reach_is_behind(store, lane, walk->after + 1) && hole > walk->after + 1)
        result = walk_stretch(heads, walk, hole - 1, into, &n, err);
    if (result == WR_IO || result == WR_CORRUPT)
        hole = walk->after + 1;
    else if (result != WR_EMPTY && result != WR_OK)
        return result;
    walk->is_over = result != WR_OK && (hole == INT64_MAX || wr_reach_is_behind(store, lane, hole));
    if (result != WR_OK && !walk->is_over) {
        walk->after = wr_reach_hole_end(store, lane, hole, heads->now.boot_ns);
        walk->unreadable++;
    }
    *ret_n = n;
    return WR_OK;
}

enum wr_result wr_store_heads(struct wr_store *store, struct wr_history_walk *walk, struct wr_segment_head *into, uint32_t *ret_n,
                              struct wr_error *err) {
    struct wr_heads heads;
    enum wr_result result;
    wr_heads_begin(&heads, store);
    if (walk->lane == WR_LANE_RAW)
        result = wr_raw_files_heads(store->directory, &heads, walk, into, ret_n, err);
    else if (store->db)
        result = walk_rows(&heads, walk, into, ret_n, err);
    else
        result = wr_error_set(err, WR_IO, "the store is not open");
    wr_heads_end(&heads);
    return result;
}
