#include "store/reopen.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/column.h"
#include "store/store_private.h"

#define PATH_BYTES 4096
#define FILE_EPOCH "substr(body, 17, 8)" /* of a body: docs/segment-format.md */

void wr_reopen_note(struct wr_store *store, enum wr_result result, bool commit, const struct wr_now *now) {
    struct wr_reopen *reopen = &store->reopen;
    if (result == WR_OK) {
        reopen->ill_ns = 0;
        reopen->commit_failed = reopen->opened = reopen->cleared = false;
    } else if (result == WR_IO) {
        if (reopen->ill_ns == 0)
            reopen->ill_ns = now->boot_ns > 0 ? now->boot_ns : 1;
        reopen->commit_failed |= commit;
    }
}

void wr_reopen_attached(struct wr_store *store) {
    store->reopen.ill_ns = store->reopen.next_ns = 0;
    store->reopen.failures = 0;
}

bool wr_reopen_goes_on(const struct wr_store *store) {
    const struct wr_reopen *reopen = &store->reopen;
    return reopen->gone && (store->epoch == reopen->epoch || store->epoch == reopen->fresh_epoch);
}

bool wr_store_is_gone(const struct wr_store *store) {
    return store->reopen.gone;
}

int64_t wr_store_reopen_due(const struct wr_store *store) {
    const struct wr_reopen *reopen = &store->reopen;
    if (store->without || reopen->ill_ns == 0)
        return WR_NEVER_NS;
    const int64_t due_ns = wr_clock_add_ns(reopen->ill_ns, WR_REOPEN_AFTER_NS);
    return due_ns > reopen->next_ns ? due_ns : reopen->next_ns;
}

/* What may go (A1, A2) */

static bool is_empty(const struct stat *status) {
    return S_ISREG(status->st_mode) && status->st_size == 0;
}

static bool has_wal(const struct wr_store *store) {
    char path[PATH_BYTES];
    struct stat status;
    return (size_t)snprintf(path, sizeof path, "%s-wal", store->file) >= sizeof path || (stat(path, &status) == 0 && status.st_size > 0);
}

static bool is_same_file(const struct wr_reopen_file *file, const struct stat *status) {
    return status->st_dev == file->device && status->st_ino == file->inode;
}

static bool is_unchanged(const struct wr_reopen_file *file, const struct stat *status) {
    return is_same_file(file, status) && status->st_ctim.tv_sec == file->changed.tv_sec && status->st_ctim.tv_nsec == file->changed.tv_nsec;
}

void wr_reopen_file_opened(struct wr_store *store) {
    struct wr_reopen *reopen = &store->reopen;
    struct stat status;
    const bool there = lstat(store->file, &status) == 0;
    reopen->blank = there && ((reopen->blank && is_unchanged(&reopen->file, &status)) || (is_empty(&status) && !has_wal(store)));
    if (there)
        reopen->file = (struct wr_reopen_file){.device = status.st_dev, .inode = status.st_ino};
}

void wr_reopen_file_closed(struct wr_store *store) {
    struct wr_reopen *reopen = &store->reopen;
    struct stat status;
    reopen->blank = reopen->blank && lstat(store->file, &status) == 0 && is_same_file(&reopen->file, &status);
    if (reopen->blank)
        reopen->file.changed = status.st_ctim;
}

bool wr_reopen_is_blank(const struct wr_store *store) {
    const struct wr_reopen *reopen = &store->reopen;
    struct stat status;
    if (!reopen->blank || lstat(store->file, &status) != 0)
        return false;
    return store->db ? is_same_file(&reopen->file, &status) : is_unchanged(&reopen->file, &status);
}

bool wr_reopen_may_clear(const struct wr_store *store) {
    return !store->reopen.cleared || wr_reopen_is_blank(store) || wr_aside_has_room(store);
}

/* That is no damage: somebody else owns it, or the disk is for reading only. */
static bool is_forbidden(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && (!S_ISREG(status.st_mode) || access(path, R_OK | W_OK) != 0);
}

bool wr_reopen_gives_up(struct wr_store *store, enum wr_result result, const struct wr_now *now) {
    struct wr_reopen *reopen = &store->reopen;
    char wal[PATH_BYTES];
    snprintf(wal, sizeof wal, "%s-wal", store->file);
    if (result != WR_IO || is_forbidden(store->file) || is_forbidden(wal))
        return false;
    if (access(store->file, F_OK) != 0) { /* its disk is elsewhere: when that is back it has all its time */
        reopen->failures = 0;
        return false;
    }
    if (reopen->ill_ns == 0)
        reopen->ill_ns = now->boot_ns > 0 ? now->boot_ns : 1;
    return ++reopen->failures >= WR_REOPEN_TRIES && now->boot_ns >= wr_clock_add_ns(reopen->ill_ns, WR_REOPEN_TRIES * WR_REOPEN_AFTER_NS);
}

/* What is in the file of the last transaction (O2) */

/* Records in rows of this kind with seqs that memory has not used; none that was salvaged. */
static enum wr_result count_new(struct wr_store *store, int lane, enum wr_segment_kind kind, uint32_t *ret_n, struct wr_error *err) {
    static const char sql[] = "SELECT coalesce(sum(n), 0) FROM seg WHERE id BETWEEN ?1 AND ?2 AND kind = ?3 AND " FILE_EPOCH " = ?4";
    const uint64_t epoch = htole64(store->epoch);
    sqlite3_stmt *row = NULL;
    const int code = sqlite3_prepare_v2(store->db, sql, -1, &row, NULL);
    if (code != SQLITE_OK)
        return wr_sql_failed(store->db, code, sql, err);
    sqlite3_bind_int64(row, 1, wr_row_id(lane, store->reopen.next_seq));
    sqlite3_bind_int64(row, 2, wr_row_id(lane, INT64_MAX));
    sqlite3_bind_int(row, 3, (int)kind);
    sqlite3_bind_blob(row, 4, &epoch, sizeof epoch, SQLITE_STATIC);
    const enum wr_result result = wr_sql_row(store, row, err);
    if (result == WR_OK)
        *ret_n = (uint32_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return result;
}

static void take_out_aggregates(struct wr_store *store, int lane, uint32_t n) {
    struct wr_open_segment *open = &store->lanes[lane].open;
    n = n < open->n ? n : open->n;
    for (uint32_t i = 0; i < n; i++)
        open->weight_bytes -= wr_encode_weight(&open->records[i], store->symbols);
    open->n -= n;
    memmove(open->records, open->records + n, open->n * sizeof *open->records);
}

/* Their snapshots are written once more: the last one of each key is right. */
static void take_out_alarms(struct wr_store *store, uint32_t n) {
    struct wr_cursor cursor = {store->journal.data, store->journal.data + store->journal.len, false};
    if (n == 0 || n > store->journal_records)
        return;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t len = wr_get_varint(&cursor);
        cursor.at += len;
    }
    store->journal_records -= n;
    store->journal.len = (size_t)(cursor.end - cursor.at);
    memmove(store->journal.data, cursor.at, store->journal.len);
}

/* The books */

/* What the store has made of the readings that the engine gave it. */
static int64_t taken_in(const struct wr_stored_account *account) {
    return (int64_t)(account->kept[WR_BOOK_STORED] - account->kept[WR_BOOK_RECOVERED] + account->kept[WR_BOOK_DROPPED_STORE] +
                     account->kept[WR_BOOK_DROPPED_CRASH]);
}

/* O1, O3. */
static void go_on(struct wr_stored_account *into, const struct wr_stored_account *from) {
    const int64_t lacks = taken_in(from) - taken_in(into);
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (!wr_ledger_is_own_book(book)) {
            into->kept[book] = from->kept[book];
            into->counted[book] = from->counted[book];
        }
    if (lacks > 0)
        into->kept[WR_BOOK_DROPPED_STORE] += (uint64_t)lacks;
}

static bool is_same(const struct wr_account *a, const struct wr_account *b) {
    return strcmp(a->source, b->source) == 0 && strcmp(a->window, b->window) == 0;
}

/* Whether the file has stored readings that memory still has open. */
static bool has_more(const struct wr_store *store, const struct wr_books_apart *books) {
    for (uint32_t i = 0; i < books->n_accounts; i++)
        for (uint32_t k = 0; k < store->n_accounts; k++)
            if (is_same(&store->accounts[k].name, &books->accounts[i].name) &&
                taken_in(&store->accounts[k]) > taken_in(&books->accounts[i]))
                return true;
    return false;
}

/* The same store: all that can fail comes first. */
static enum wr_result join_same(struct wr_store *store, const struct wr_books_apart *books, struct wr_error *err) {
    uint32_t new[WR_LANES] = {0};
    WR_TRY(count_new(store, WR_LANE_ALARMS, WR_SEGMENT_ALARMS, &new[WR_LANE_ALARMS], err));
    const bool more = has_more(store, books); /* else new rows of aggregates are the work of a merge */
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS && more; lane++)
        WR_TRY(count_new(store, lane, WR_SEGMENT_AGGREGATES, &new[lane], err));
    WR_TRY(wr_books_add(store, books, go_on, err));
    take_out_alarms(store, new[WR_LANE_ALARMS]);
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++)
        take_out_aggregates(store, lane, new[lane]);
    return WR_OK;
}

static enum wr_result join_other(struct wr_store *store, struct wr_books_apart *books, struct wr_error *err) {
    const struct wr_books_apart found = wr_books_take_out(store);
    wr_books_put_back(store, books);
    wr_ledger_start_over(store);
    *books = wr_books_take_out(store);
    wr_books_put_back(store, &found);
    wr_counts_start_over(store);
    return wr_books_add(store, books, wr_books_add_up, err);
}

enum wr_result wr_reopen_bring_books(struct wr_store *store, struct wr_error *err) {
    WR_TRY(join_other(store, store->reopen.books, err));
    store->reopen.books = NULL;
    store->reopen.fresh_epoch = store->epoch;
    return WR_OK;
}

/* Opening */

static void close_it(struct wr_store *store) {
    struct wr_reopen *reopen = &store->reopen;
    reopen->epoch = store->epoch;
    reopen->next_seq = store->next_seq;
    reopen->gone = true;
    wr_store_close_database(store);
}

static enum wr_result open_it(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_store_report report = {0};
    struct wr_budget_count counts[WR_STORE_COUNTS];
    struct wr_books_apart books = wr_books_take_out(store);
    memcpy(counts, store->counts, sizeof counts);
    wr_store_forget_segments(store);
    store->reopen.books = &books;
    enum wr_result result = wr_store_open_database(store, false, now, &report, err);
    const bool brought = store->reopen.books == NULL;
    store->reopen.books = NULL;
    memcpy(store->counts, counts, sizeof counts); /* what was spent is known better here */
    wr_counts_start_over(store);
    if (result == WR_OK && !brought)
        result = wr_reopen_goes_on(store) ? join_same(store, &books, err) : join_other(store, &books, err);
    if (result == WR_OK)
        return WR_OK;
    if (!brought)
        wr_books_put_back(store, &books);
    wr_store_close_database(store);
    wr_store_forget_segments(store);
    store->epoch = store->reopen.epoch;
    return result;
}

/* Its place is cleared, and a fresh one made there; where that cannot be, it is gone, as before. */
static enum wr_result begin_anew(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    char name[WR_ASIDE_NAME_BYTES];
    WR_TRY(wr_aside_put(store, false, now, name, err));
    if (name[0])
        atomic_fetch_add_explicit(&store->stats.quarantines, 1, memory_order_relaxed);
    store->reopen.cleared = true;
    store->reopen.failures = 0;
    return open_it(store, now, err);
}

/* Opens it, or where it is broken, or has refused for long enough, a fresh one. */
static enum wr_result open_one(struct wr_store *store, bool hopeless, const struct wr_now *now, struct wr_error *err) {
    const enum wr_result result = hopeless && wr_reopen_may_clear(store) ? WR_CORRUPT : open_it(store, now, err);
    struct wr_error unmoved = {0};
    if (result == WR_CORRUPT && wr_reopen_may_clear(store))
        return begin_anew(store, now, err);
    if (wr_reopen_gives_up(store, result, now) && wr_reopen_may_clear(store) && begin_anew(store, now, &unmoved) == WR_OK)
        return WR_OK;
    return result;
}

enum wr_result wr_store_reopen(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_reopen *reopen = &store->reopen;
    reopen->next_ns = wr_clock_add_ns(now->boot_ns, WR_REOPEN_AFTER_NS);
    if (!store->db && !reopen->gone) /* it was broken, and no fresh one could be made */
        return wr_store_quarantine(store, now, err);
    const bool hopeless = store->db && reopen->opened && reopen->commit_failed;
    if (store->db)
        close_it(store);
    if (open_one(store, hopeless, now, err) != WR_OK)
        return wr_error_wrap(err, "store %s", store->directory);
    wr_reopen_attached(store);
    reopen->gone = reopen->commit_failed = false;
    reopen->fresh_epoch = 0;
    reopen->opened = true;
    store->retry_ns = 0;
    if (store->journal_due_ns != WR_NEVER_NS && store->journal_records == 0 && store->snaps.len == 0)
        wr_journal_committed(store, now->boot_ns); /* what was due is in the file */
    atomic_fetch_add_explicit(&store->stats.reopens, 1, memory_order_relaxed);
    wr_gaps_look(store, now);
    wr_store_show(store);
    return WR_OK;
}
