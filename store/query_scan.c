/* The segments that a query has to look at, one after the other. */
#include "store/query_private.h"

#define LOOK_AHEAD 24 /* bodies that a history may fetch together; one at first: a query may want no more */

void wr_query_scan_begin(struct wr_query_scan *scan, struct wr_query *query, unsigned lanes, int64_t from_ns, int64_t to_ns) {
    scan->query = query;
    scan->walk = (struct wr_history_walk){.from_ns = from_ns, .to_ns = to_ns};
    scan->lanes = lanes;
    scan->is_walking = false;
    scan->n_heads = 0;
    scan->at = 0;
}

void wr_query_scan_fini(struct wr_query_scan *scan) {
    wr_decoder_free(scan->decoder);
    scan->decoder = NULL;
    wr_raw_decoder_free(scan->raw);
    scan->raw = NULL;
}

static bool next_lane(struct wr_query_scan *scan) {
    for (unsigned lane = 0; lane < WR_LANES; lane++)
        if (scan->lanes & 1U << lane) {
            scan->lanes &= ~(1U << lane);
            scan->walk.lane = (enum wr_lane)lane;
            scan->walk.after = 0;
            scan->walk.is_over = false;
            scan->is_walking = true;
            return true;
        }
    return false;
}

enum wr_result wr_query_scan_head(struct wr_query_scan *scan, const struct wr_segment_head **ret_head) {
    const struct wr_history *history = &scan->query->options->history;
    if (scan->at < scan->n_heads)
        scan->at++;
    while (scan->at >= scan->n_heads) {
        if (wr_query_has_to_end(scan->query))
            return scan->query->ended;
        if ((!scan->is_walking || scan->walk.is_over) && !next_lane(scan))
            return WR_EMPTY;
        scan->at = scan->n_heads = 0;
        WR_TRY(history->heads(history->user, &scan->walk, scan->heads, &scan->n_heads, &scan->query->error));
        if (scan->walk.unreadable > scan->query->report->unreadable)
            scan->query->report->unreadable = scan->walk.unreadable;
    }
    *ret_head = &scan->heads[scan->at];
    return WR_OK;
}

/* A salvaged body has a seq of its own, but all else stands in the row too. */
static bool is_of(const struct wr_segment_head *head, const struct wr_codec_header *header) {
    int64_t t0_ns = header->t0_ns;
    int64_t t1_ns = header->t1_ns;
    if (head->correction.move_ns != 0)
        wr_history_move(&head->correction, &t0_ns, &t1_ns);
    return header->kind == head->kind &&
           (header->seq == head->seq || (header->n == head->n && t0_ns == head->t0_ns && t1_ns == head->t1_ns));
}

static enum wr_result make_decoder(struct wr_query_scan *scan, bool is_raw) {
    enum wr_result result = WR_OK;
    if (is_raw && !scan->raw)
        result = wr_raw_decoder_new(&scan->raw);
    else if (!is_raw && !scan->decoder)
        result = wr_decoder_new(&scan->decoder);
    return result == WR_OK ? WR_OK : wr_error_set(&scan->query->error, WR_NO_MEMORY, "no memory for a decoder");
}

/* WR_NOT_FOUND: it is not there any more. WR_CORRUPT: it is damaged; the next may be whole. */
static enum wr_result fetch(struct wr_query_scan *scan) {
    const struct wr_history *history = &scan->query->options->history;
    struct wr_segment segment = {0};
    struct wr_codec_header header;
    const uint32_t left = scan->n_heads - scan->at;
    const uint64_t wanted = scan->query->report->segments + 1; /* the longer it runs, the more it will want */
    const uint32_t ahead = wanted < LOOK_AHEAD ? (uint32_t)wanted : LOOK_AHEAD;
    const bool is_raw = scan->heads[scan->at].kind == WR_SEGMENT_RAW;
    WR_TRY(make_decoder(scan, is_raw));
    WR_TRY(history->body(history->user, &scan->heads[scan->at], left < ahead ? left : ahead, &segment, &scan->query->error));
    enum wr_result result = is_raw ? wr_raw_decode_begin(scan->raw, segment.body, segment.body_len, &header, &scan->query->error)
                                   : wr_decode_begin(scan->decoder, segment.body, segment.body_len, &header, &scan->query->error);
    if (result == WR_OK && !is_of(&scan->heads[scan->at], &header))
        result = WR_NOT_FOUND; /* of a store that took the place of the one whose heads these are */
    wr_segment_free(&segment);
    return result;
}

enum wr_result wr_query_scan_segment(struct wr_query_scan *scan, unsigned kinds, const struct wr_segment_head **ret_head) {
    for (;;) {
        WR_TRY(wr_query_scan_head(scan, ret_head));
        if ((*ret_head)->kind >= 32 || !(kinds & 1U << (*ret_head)->kind))
            continue;
        if (wr_query_has_to_end(scan->query))
            return scan->query->ended;
        const enum wr_result result = fetch(scan);
        if (result == WR_NOT_FOUND)
            continue;
        scan->query->report->segments++;
        if (result == WR_OK)
            return WR_OK;
        if (result != WR_CORRUPT && result != WR_UNSUPPORTED)
            return result;
        scan->query->report->damaged++;
    }
}

const char *wr_query_scan_run(const struct wr_query_scan *scan, uint32_t run, size_t *ret_key_len) {
    return scan->heads[scan->at].kind == WR_SEGMENT_RAW ? wr_raw_decode_run(scan->raw, run, ret_key_len)
                                                        : wr_decode_run(scan->decoder, run, ret_key_len);
}
