/* The journal: alarm transitions as lane-0 records, and snapshots, committed together.
 *
 * When: the first at once; then grouped within 50 ms; above two commits a second on average (a bucket of tokens) within a second. */
#include <string.h>

#include "store/store_private.h"

#define SNAP_HEAD_BYTES 16 /* kind 4, length 4, key 8 */

static enum wr_result put_snap(struct wr_store *store, int kind, uint64_t key, const void *body, size_t len) {
    int32_t kind32 = kind;
    uint32_t len32 = (uint32_t)len;
    uint8_t head[SNAP_HEAD_BYTES];
    memcpy(head, &kind32, 4);
    memcpy(head + 4, &len32, 4);
    memcpy(head + 8, &key, 8);
    WR_TRY(wr_buf_reserve(&store->snaps, sizeof head + len));
    WR_TRY(wr_buf_append(&store->snaps, head, sizeof head));
    return len > 0 ? wr_buf_append(&store->snaps, body, len) : WR_OK;
}

static void fill_tokens(struct wr_store *store, int64_t now_ns) {
    store->journal_tokens += (double)(now_ns - store->journal_tokens_ns) / (double)WR_NS_PER_S * WR_STORE_ALARM_RATE;
    if (store->journal_tokens > WR_STORE_ALARM_BURST)
        store->journal_tokens = WR_STORE_ALARM_BURST;
    store->journal_tokens_ns = now_ns;
}

static void set_due(struct wr_store *store, bool urgent, int64_t now_ns) {
    fill_tokens(store, now_ns);
    int64_t due = wr_clock_add_ns(now_ns, WR_STORE_ALARM_SLOW_NS);
    if (urgent && store->journal_tokens >= 1) {
        due = wr_clock_add_ns(store->journal_committed_ns, WR_STORE_ALARM_GROUP_NS);
        if (due < now_ns)
            due = now_ns;
    }
    if (due < store->journal_due_ns)
        store->journal_due_ns = due;
}

static enum wr_result put_text(struct wr_store *store, const struct wr_alarm *alarm) {
    struct wr_alarm copy = *alarm;
    copy.journalled = true; /* whoever reads it there, reads the truth */
    const bool moved = wr_walls_alarm(store, &copy);
    struct wr_buf text;
    wr_buf_init(&text, WR_STORE_ALARM_BYTES);
    enum wr_result result = wr_alarm_to_json(&copy, &text);
    if (result == WR_OK && store->journal.len + text.len + 8 > WR_STORE_ALARM_BYTES)
        result = WR_FULL;
    if (result == WR_OK)
        result = wr_encode_pack_text(&store->journal, text.data, text.len);
    wr_buf_fini(&text);
    if (result != WR_OK)
        return result;
    if (store->journal_records == 0) {
        store->journal_wall = store->walls.present;
        store->journal_moved = false;
    }
    store->journal_moved |= moved;
    if (store->journal_records == 0 || copy.wall_ns < store->journal_t0_ns)
        store->journal_t0_ns = copy.wall_ns;
    if (store->journal_records == 0 || copy.wall_ns > store->journal_t1_ns)
        store->journal_t1_ns = copy.wall_ns;
    store->journal_records++;
    return WR_OK;
}

/* All of an entry or nothing. */
static enum wr_result put_entry(struct wr_store *store, const struct wr_alarm_entry *entry) {
    size_t snaps_len = store->snaps.len;
    if (store->journal_records == WR_SEGMENT_RECORDS || snaps_len + SNAP_HEAD_BYTES + entry->snap_len > WR_STORE_SNAP_BYTES)
        return WR_FULL;
    size_t snap_len = entry->snap_len > WR_ALARM_SNAP_BYTES ? WR_ALARM_SNAP_BYTES : entry->snap_len;
    if (!entry->note)
        WR_TRY(put_snap(store, WR_SNAP_ALARM, entry->alarm.id, entry->snap, snap_len));
    enum wr_result result = entry->alarm.transition > 0 ? put_text(store, &entry->alarm) : WR_OK;
    if (result != WR_OK)
        store->snaps.len = snaps_len;
    return result;
}

enum wr_result wr_store_alarms(struct wr_store *store, const struct wr_alarm_entry *entries, uint32_t n, const struct wr_now *now,
                               uint32_t *ret_taken, struct wr_error *err) {
    *ret_taken = 0;
    wr_walls_look(store, now);
    if (store->journal_records > 0 && !wr_walls_is_present(store, &store->journal_wall) && now->boot_ns >= store->retry_ns)
        (void)!wr_commit(store, WR_COMMIT_JOURNAL, now,
                         NULL); /* a segment has one clock; a disk that refuses makes it two, and some times wrong */
    for (; store->without && *ret_taken < n; ++*ret_taken) { /* numbers go on; the states are written again once there is a database */
        store->entries_taken += !entries[*ret_taken].note;
        atomic_fetch_add_explicit(&store->stats.dropped_transitions, entries[*ret_taken].alarm.transition > 0, memory_order_relaxed);
    }
    enum wr_result result = WR_OK;
    while (*ret_taken < n && result == WR_OK) {
        const struct wr_alarm_entry *entry = &entries[*ret_taken];
        result = put_entry(store, entry);
        if (result == WR_FULL && now->boot_ns >= store->retry_ns) {
            result = wr_commit(store, WR_COMMIT_JOURNAL, now, err);
            continue;
        }
        if (result == WR_OK) {
            store->entries_taken += !entry->note;
            set_due(store, entry->alarm.transition > 0, now->boot_ns);
            ++*ret_taken;
        }
    }
    if (result != WR_OK)
        return wr_error_set(err, result == WR_NO_MEMORY ? WR_NO_MEMORY : WR_FULL, "the journal takes no more: %s", wr_result_name(result));
    if (store->journal_due_ns <= now->boot_ns && now->boot_ns >= store->retry_ns) {
        struct wr_error later; /* taken is taken: the caller sees in wr_store_journalled what is on disk; a tick tries again */
        (void)!wr_commit(store, WR_COMMIT_JOURNAL, now, &later);
    }
    return WR_OK;
}

uint64_t wr_store_journalled(const struct wr_store *store) {
    return store->entries_journalled;
}

enum wr_result wr_store_snap_put(struct wr_store *store, int kind, uint64_t key, const void *body, size_t len, const struct wr_now *now) {
    if (store->without)
        return WR_IO;
    if (store->snaps.len + SNAP_HEAD_BYTES + len > WR_STORE_SNAP_BYTES) {
        if (now->boot_ns < store->retry_ns || wr_commit(store, WR_COMMIT_JOURNAL, now, NULL) != WR_OK || len > WR_STORE_SNAP_BYTES / 2)
            return WR_FULL;
    }
    WR_TRY(put_snap(store, kind, key, body, len));
    set_due(store, false, now->boot_ns);
    return WR_OK;
}

static enum wr_result write_snaps(struct wr_store *store, struct wr_error *err) {
    for (size_t at = 0; at < store->snaps.len;) {
        int32_t kind;
        uint32_t len;
        uint64_t key;
        memcpy(&kind, store->snaps.data + at, 4);
        memcpy(&len, store->snaps.data + at + 4, 4);
        memcpy(&key, store->snaps.data + at + 8, 8);
        at += SNAP_HEAD_BYTES;
        sqlite3_stmt *statement = wr_sql_use(store, len > 0 ? WR_SQL_SNAP_PUT : WR_SQL_SNAP_DELETE);
        sqlite3_bind_int(statement, 1, kind);
        sqlite3_bind_int64(statement, 2, (int64_t)key);
        if (len > 0)
            sqlite3_bind_blob(statement, 3, store->snaps.data + at, (int)len, SQLITE_STATIC);
        WR_TRY(wr_sql_run(store, statement, err));
        at += len;
    }
    return WR_OK;
}

enum wr_result wr_journal_put(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    if (store->snaps.len > 0) /* they may be more than the spare pages hold; a page is seldom full of them */
        WR_TRY(wr_space_make_room(store, store->journal.len + store->snaps.len + store->snaps.len / 4, err));
    if (store->journal_records > 0) {
        struct wr_codec_header header = wr_outbox_header(store, WR_LANE_ALARMS, WR_SEGMENT_ALARMS, now);
        header.t0_ns = store->journal_t0_ns;
        header.t1_ns = store->journal_t1_ns;
        header.wall_trusted = store->journal_wall.trusted; /* texts are not moved where the clock was set behind the first */
        header.wall_ns = wr_clock_add_ns(header.boot_ns, store->journal_wall.offset_ns);
        header.times_moved = store->journal_moved;
        const uint8_t *body;
        size_t len;
        enum wr_result result =
            wr_encode_texts(store->encoder, &header, store->journal.data, store->journal.len, store->journal_records, &body, &len);
        if (result != WR_OK)
            return wr_error_set(err, result, "encoding %u alarms: %s", store->journal_records, wr_result_name(result));
        WR_TRY(wr_outbox_put_row(store, &header, NULL, body, len, err));
    }
    return write_snaps(store, err);
}

void wr_journal_committed(struct wr_store *store, int64_t now_ns) {
    atomic_fetch_add_explicit(&store->stats.alarms, store->journal_records, memory_order_relaxed);
    wr_buf_clear(&store->journal);
    wr_buf_clear(&store->snaps);
    store->journal_records = 0;
    store->entries_journalled = store->entries_taken;
    fill_tokens(store, now_ns);
    store->journal_tokens -= 1;
    store->journal_committed_ns = now_ns;
    store->journal_due_ns = WR_NEVER_NS;
}

enum wr_result wr_store_snaps(struct wr_store *store, int kind, wr_store_snap_callback *callback, void *user, struct wr_error *err) {
    if (!store->db)
        return wr_error_set(err, WR_IO, "the store is not open");
    sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SNAP_LIST);
    sqlite3_bind_int(row, 1, kind);
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK)
        callback(user, (uint64_t)sqlite3_column_int64(row, 0), sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
    return result == WR_EMPTY ? WR_OK : result;
}
