/* How old a segment is, by clocks that can be believed: K1 of keep.h.
 *
 * Within one boot of the machine boot time says it. Of another boot two things are known: it was before this one began, which is as long ago as boot time
 * says; and, while the wall clock is trusted, when it was cut: by its own wall clock if that was trusted then, else by the offset that its boot turned out to
 * have (boots.c), else not later than the beginning of the next boot whose offset is known. Boots that only a broken store saw
 * have ids below zero, in no order: they say when something was cut in them, and nothing else. */
#include <string.h>

#include "store/store_private.h"

static const uint8_t unknown[WR_CODEC_BOOT_ID_BYTES];

static bool same_boot(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, WR_CODEC_BOOT_ID_BYTES) == 0;
}

/* The latest wall time at which something can have been cut in this boot; INT64_MAX: nothing is known. */
static enum wr_result cut_before(struct wr_store *store, const struct wr_codec_header *header, int64_t *ret_wall_ns, struct wr_error *err) {
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_BOOT_LIST);
    int64_t first_ns = INT64_MAX; /* of all boots that are known: where its own is not among them, it was before them */
    int64_t behind_ns = INT64_MAX;
    bool found = false;
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK && behind_ns == INT64_MAX) {
        const bool known = sqlite3_column_type(row, 1) != SQLITE_NULL;
        const int64_t offset_ns = sqlite3_column_int64(row, 1);
        const bool is_it =
            sqlite3_column_bytes(row, 0) == WR_CODEC_BOOT_ID_BYTES && same_boot(sqlite3_column_blob(row, 0), header->boot_id);
        if (is_it && known)
            behind_ns = wr_clock_add_ns(offset_ns, header->boot_ns);
        else if (found && known)
            behind_ns = offset_ns;
        if (known && first_ns == INT64_MAX && sqlite3_column_int64(row, 2) > 0)
            first_ns = offset_ns;
        found |= is_it;
    }
    sqlite3_reset(row);
    if (result != WR_OK && result != WR_EMPTY)
        return result;
    *ret_wall_ns = found ? behind_ns : first_ns;
    return WR_OK;
}

/* Since then, by this boot's clock. */
static int64_t running_ns(const struct wr_store *store, int64_t seq, const struct wr_codec_header *header, const struct wr_now *now) {
    if (same_boot(store->options.boot_id, unknown) || same_boot(header->boot_id, unknown))
        return now->boot_ns - (seq >= store->live_from ? header->boot_ns : store->opened_boot_ns);
    return same_boot(header->boot_id, store->options.boot_id) ? now->boot_ns - header->boot_ns : now->boot_ns;
}

enum wr_result wr_age_at_least(struct wr_store *store, int64_t seq, const uint8_t *body, size_t len, const struct wr_now *now,
                               int64_t *ret_age_ns, struct wr_error *err) {
    struct wr_codec_header header;
    if (!body || wr_codec_check(body, len, &header, NULL) != WR_OK) { /* a damaged one says nothing of itself */
        *ret_age_ns = seq >= store->live_from ? 0 : now->boot_ns - store->opened_boot_ns;
        return WR_OK;
    }
    int64_t age_ns = running_ns(store, seq, &header, now);
    const bool here = same_boot(header.boot_id, store->options.boot_id) && !same_boot(header.boot_id, unknown);
    if (now->wall_trusted && !here) {
        int64_t cut_ns = header.wall_ns;
        if (!header.wall_trusted)
            WR_TRY(cut_before(store, &header, &cut_ns, err));
        if (cut_ns != INT64_MAX && now->wall_ns - cut_ns > age_ns)
            age_ns = now->wall_ns - cut_ns;
    }
    *ret_age_ns = age_ns > 0 ? age_ns : 0;
    return WR_OK;
}
