/* Open, close, and what happens when the database is broken. */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_private.h"

#define HIGH_WATER_PERCENT 80
#define LOW_WATER_PERCENT 60 /* below it the pressure is over: what eases it must not switch on and off */

static void show(_Atomic uint64_t *number, uint64_t value) {
    atomic_store_explicit(number, value, memory_order_relaxed);
}

/* Last time in the oldest segment that is not finished. One look at the head of each lane. */
static uint64_t oldest_unacked(struct wr_store *store) {
    uint64_t oldest = 0;
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_ranges *acks = &store->lanes[lane].acks;
        if (store->lanes[lane].unacked == 0)
            continue;
        sqlite3_stmt *row = wr_sql_use(store, WR_SQL_SEG_HEADS);
        sqlite3_bind_int(row, 1, lane);
        sqlite3_bind_int64(row, 2, acks->n > 0 && acks->at[0].first <= store->live_from ? acks->at[0].last + 1 : 0);
        sqlite3_bind_int64(row, 3, INT64_MAX);
        if (wr_sql_row(store, row, NULL) == WR_OK) {
            int64_t t1_ns = sqlite3_column_int64(row, 3);
            if (t1_ns > 0 && (oldest == 0 || (uint64_t)t1_ns < oldest))
                oldest = (uint64_t)t1_ns;
        }
        sqlite3_reset(row);
    }
    return oldest;
}

static bool is_high(const struct wr_store *store, uint64_t waiting_bytes) {
    const bool was = atomic_load_explicit(&store->stats.high_water, memory_order_relaxed) != 0;
    return waiting_bytes * 100 > store->page_limit * WR_STORE_PAGE_BYTES * (was ? LOW_WATER_PERCENT : HIGH_WATER_PERCENT);
}

void wr_store_show(struct wr_store *store) {
    struct wr_store_stats *stats = &store->stats;
    uint64_t bytes = 0;
    for (int lane = 0; lane < WR_LANES; lane++) {
        show(&stats->unacked_segments[lane], store->lanes[lane].unacked);
        show(&stats->unacked_bytes[lane], store->lanes[lane].unacked_bytes);
        bytes += store->lanes[lane].unacked_bytes;
    }
    show(&stats->history_segments, store->history);
    show(&stats->parked_segments, store->n_parked);
    show(&stats->budget_bytes, store->options.budget_bytes);
    show(&stats->high_water, is_high(store, bytes));
    if (!store->db)
        return;
    wr_space_measure(store);
    show(&stats->oldest_unacked_wall_ns, oldest_unacked(store));
    int pages = 0;
    int unused = 0;
    if (sqlite3_db_status(store->db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &unused, 1) == SQLITE_OK)
        atomic_fetch_add_explicit(&stats->written_bytes, (uint64_t)pages * (WR_STORE_PAGE_BYTES + 24), memory_order_relaxed);
}

const struct wr_store_stats *wr_store_stats(const struct wr_store *store) {
    return &store->stats;
}
uint64_t wr_store_epoch(const struct wr_store *store) {
    return store->epoch;
}
int64_t wr_store_newest(const struct wr_store *store, enum wr_lane lane) {
    return store->lanes[lane].newest;
}

int64_t wr_store_live_from(const struct wr_store *store) {
    return store->live_from;
}

/* Loading */

WR_PRINTF(4, 5) static enum wr_result integer(struct wr_store *store, int64_t *ret_value, struct wr_error *err, const char *format, ...) {
    char sql[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    return wr_sql_integer(store->db, sql, ret_value, err);
}

/* Segments of each lane by its index alone. Their bytes are what the last clean stop noted, else estimated. */
static enum wr_result load_lane(struct wr_store *store, int lane, struct wr_error *err) {
    struct wr_lane_state *state = &store->lanes[lane];
    int64_t all = 0;
    int64_t finished = 0;
    WR_TRY(integer(store, &state->offered, err, "SELECT coalesce(max(offered), 0) FROM lane WHERE id = %d", lane));
    WR_TRY(integer(store, &state->newest, err, "SELECT coalesce(max(seq), 0) FROM seg WHERE lane = %d", lane));
    WR_TRY(integer(store, &all, err, "SELECT count(*) FROM seg WHERE lane = %d", lane));
    for (uint32_t i = 0; i < state->acks.n; i++) {
        int64_t in_range = 0;
        WR_TRY(integer(store, &in_range, err, "SELECT count(*) FROM seg WHERE lane = %d AND seq BETWEEN %lld AND %lld", lane,
                       (long long)state->acks.at[i].first, (long long)state->acks.at[i].last));
        finished += in_range;
    }
    state->unacked = (uint64_t)(all - finished);
    store->history += (uint64_t)finished;
    char key[32];
    int64_t bytes = 0;
    snprintf(key, sizeof key, "unacked_bytes_%d", lane);
    enum wr_result result = wr_sql_meta_get(store, key, &bytes, err);
    state->unacked_bytes = result == WR_OK && bytes > 0 && state->unacked > 0 ? (uint64_t)bytes : 0;
    return result == WR_NOT_FOUND ? WR_OK : result;
}

static void estimate_bytes(struct wr_store *store) {
    int64_t have = 0;
    int64_t spare = 0;
    uint64_t segments = store->history;
    for (int lane = 0; lane < WR_LANES; lane++)
        segments += store->lanes[lane].unacked;
    if (segments == 0 || integer(store, &have, NULL, "PRAGMA page_count") != WR_OK ||
        integer(store, &spare, NULL, "PRAGMA freelist_count") != WR_OK)
        return;
    uint64_t each = (uint64_t)(have - spare) * WR_STORE_PAGE_BYTES / segments;
    for (int lane = 0; lane < WR_LANES; lane++)
        store->lanes[lane].unacked_bytes = store->lanes[lane].unacked * each;
}

static enum wr_result load(struct wr_store *store, bool *ret_unclean, struct wr_error *err) {
    int64_t epoch = 0;
    int64_t clean = 0;
    int64_t highest = 0;
    WR_TRY(wr_sql_meta_get(store, "epoch", &epoch, err));
    WR_TRY(wr_sql_meta_get(store, "clean", &clean, err));
    WR_TRY(wr_acks_load(store, err));
    /* S1: all that ever bore a seq */
    WR_TRY(integer(store, &highest, err,
                   "SELECT max(coalesce((SELECT max(seq) FROM seg), 0), coalesce((SELECT max(last) FROM ack), 0),"
                   " coalesce((SELECT max(seq) FROM badseg), 0), coalesce((SELECT max(offered) FROM lane), 0))"));
    store->epoch = (uint64_t)epoch;
    store->next_seq = highest + 1;
    for (int lane = 0; lane < WR_LANES; lane++)
        WR_TRY(load_lane(store, lane, err));
    if (!clean)
        estimate_bytes(store);
    store->live_from = store->next_seq;
    *ret_unclean = !clean;
    return WR_OK;
}

static enum wr_result make_fresh(struct wr_store *store, struct wr_error *err) {
    store->epoch = store->options.epoch;
    store->options.epoch = 0; /* the next fresh store needs another one */
    while (store->epoch == 0)
        sqlite3_randomness(sizeof store->epoch, &store->epoch);
    store->next_seq = 1;
    store->live_from = 1;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_PUT);
    sqlite3_bind_text(statement, 1, "node", -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, store->options.node, -1, SQLITE_STATIC);
    WR_TRY(wr_sql_run(store, statement, err));
    WR_TRY(wr_sql_meta_put(store, "clean", 0, err));
    return wr_sql_meta_put(store, "epoch", (int64_t)store->epoch, err); /* last: with it the store is whole, see has_epoch */
}

/* A file left by a start that was killed between making the tables and naming the epoch is as good as none. */
static enum wr_result has_epoch(struct wr_store *store, bool *fresh, struct wr_error *err) {
    int64_t epoch;
    enum wr_result result = wr_sql_meta_get(store, "epoch", &epoch, err);
    if (result != WR_NOT_FOUND)
        return result;
    int64_t segments = 0;
    WR_TRY(integer(store, &segments, err, "SELECT count(*) FROM seg"));
    if (segments > 0)
        return wr_error_set(err, WR_CORRUPT, "the store has lost its epoch");
    *fresh = true;
    return WR_OK;
}

static void close_database(struct wr_store *store) {
    wr_sql_finalize_all(store);
    sqlite3_close(store->db);
    store->db = NULL;
}

static void forget_segments(struct wr_store *store) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_open_segment open = store->lanes[lane].open;
        store->lanes[lane] = (struct wr_lane_state){.open = open};
    }
    store->n_parked = 0;
    store->history = 0;
    store->acks_waiting = 0;
    store->acks_since_boot_ns = WR_NEVER_NS;
    store->scan_next = INT64_MAX;
}

/* The database as it is in the directory, or a fresh one. keep_books: what is in memory is the truth. */
static enum wr_result open_database(struct wr_store *store, bool keep_books, struct wr_store_report *report, struct wr_error *err) {
    bool fresh = false;
    bool unclean = false;
    WR_TRY(wr_schema_open(store->file, store->options.vfs, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &store->db, err));
    WR_TRY(wr_schema_configure(store->db, err));
    WR_TRY(wr_schema_ensure(store->db, &fresh, err));
    WR_TRY(wr_sql_prepare_all(store, err));
    if (!fresh)
        WR_TRY(has_epoch(store, &fresh, err));
    if (!keep_books)
        WR_TRY(wr_ledger_load(store, err));
    if (fresh)
        WR_TRY(make_fresh(store, err));
    else
        WR_TRY(load(store, &unclean, err));
    WR_TRY(wr_space_reserve(store, err));
    if (unclean || (keep_books && report->quarantined && report->books_kept))
        WR_TRY(wr_ledger_book_crash(store, &report->n_losses, &report->crash_readings, err));
    store->scan_next = unclean ? 0 : INT64_MAX;
    report->fresh = fresh;
    report->unclean |= unclean;
    enum wr_result result = wr_commit_begin(store, err);
    if (result == WR_OK) {
        result = wr_sql_meta_put(store, "clean", 0, err);
        if (result == WR_OK)
            result = wr_ledger_save(store, true, err);
        result = wr_commit_end(store, result, err);
    }
    if (result == WR_OK)
        wr_ledger_committed(store, true);
    return result;
}

/* Quarantine */

static void remove_older(const struct wr_store *store) {
    static const char prefix[] = WR_STORE_FILE ".corrupt-";
    DIR *directory = opendir(store->directory);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        char path[4096];
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
            (size_t)snprintf(path, sizeof path, "%s/%s", store->directory, entry->d_name) < sizeof path)
            (void)unlink(path);
    }
    closedir(directory);
}

/* One broken store is kept, for salvage: two would be more than the budget can bear. */
static enum wr_result rename_aside(struct wr_store *store, const struct wr_now *now, struct wr_store_report *report, struct wr_error *err) {
    char aside[4096];
    char from[4096];
    char to[4200];
    remove_older(store);
    snprintf(aside, sizeof aside, "%s.corrupt-%lld", store->file, (long long)(now->wall_ns / WR_NS_PER_S));
    if (rename(store->file, aside) != 0)
        return wr_error_set(err, WR_IO, "cannot rename the broken store to %s: %s", aside, strerror(errno));
    snprintf(from, sizeof from, "%s-wal", store->file);
    snprintf(to, sizeof to, "%s-wal", aside);
    if (rename(from, to) != 0)
        (void)unlink(from); /* a WAL must never be applied to another database */
    const char *name = strrchr(aside, '/');
    snprintf(report->aside, sizeof report->aside, "%.*s", (int)sizeof report->aside - 1, name ? name + 1 : aside);
    report->quarantined = true;
    return WR_OK;
}

enum wr_result wr_store_quarantine(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_store_report report = {0};
    if (store->db) {
        close_database(store);
        wr_ledger_start_over(store);
        forget_segments(store);
        atomic_fetch_add_explicit(&store->stats.quarantines, 1, memory_order_relaxed);
        store->rename_due = true;
    }
    if (store->rename_due) { /* until that succeeds there is no store: the broken one must not be opened again with these books */
        WR_TRY(rename_aside(store, now, &report, err));
        store->rename_due = false;
    }
    enum wr_result result = open_database(store, true, &report, err);
    if (result != WR_OK)
        close_database(store); /* without a database until the next attempt */
    else
        wr_store_show(store);
    return result;
}

/* Open and close */

static void free_store(struct wr_store *store) {
    if (store->db)
        close_database(store);
    for (int lane = 0; lane < WR_LANES; lane++)
        free(store->lanes[lane].open.records);
    wr_encoder_free(store->encoder);
    wr_buf_fini(&store->journal);
    wr_buf_fini(&store->snaps);
    free(store->accounts);
    free(store->map);
    free(store->losses);
    free(store->file);
    free(store->directory);
    free(store);
}

static char *join(const char *directory, const char *name) {
    size_t len = strlen(directory) + strlen(name) + 2;
    char *path = malloc(len);
    if (path)
        snprintf(path, len, "%s/%s", directory, name);
    return path;
}

static enum wr_result new_store(const char *path, const struct wr_store_options *options, const struct wr_now *now,
                                const struct wr_symbol_table *symbols, struct wr_store **ret_store) {
    struct wr_store *store = calloc(1, sizeof *store);
    if (!store)
        return WR_NO_MEMORY;
    store->options = *options;
    if (store->options.wal_reserve_bytes == 0)
        store->options.wal_reserve_bytes =
            options->budget_bytes / 2 < WR_STORE_WAL_RESERVE_BYTES ? options->budget_bytes / 2 : WR_STORE_WAL_RESERVE_BYTES;
    store->symbols = symbols;
    store->journal_tokens = WR_STORE_ALARM_BURST;
    store->journal_tokens_ns = now->boot_ns;
    store->journal_committed_ns = wr_clock_add_ns(now->boot_ns, -WR_NS_PER_S);
    store->journal_due_ns = WR_NEVER_NS;
    store->books_since_boot_ns = WR_NEVER_NS;
    forget_segments(store);
    wr_buf_init(&store->journal, WR_STORE_ALARM_BYTES + 64);
    wr_buf_init(&store->snaps, WR_STORE_SNAP_BYTES + 64);
    store->directory = strdup(path);
    store->file = join(path, WR_STORE_FILE);
    bool complete = store->directory && store->file && wr_encoder_new(&store->encoder) == WR_OK;
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++) {
        store->lanes[lane].open.records = malloc(WR_SEGMENT_RECORDS * sizeof(struct wr_aggregate));
        complete &= store->lanes[lane].open.records != NULL;
    }
    if (!complete) {
        free_store(store);
        return WR_NO_MEMORY;
    }
    *ret_store = store;
    return WR_OK;
}

/* The books of a broken store, if they can still be read. */
static bool save_books(struct wr_store *store) {
    store->n_accounts = 0;
    if (!store->db || wr_ledger_load(store, NULL) != WR_OK)
        store->n_accounts = 0;
    return store->n_accounts > 0;
}

enum wr_result wr_store_open(const char *path, const struct wr_store_options *options, const struct wr_now *now,
                             const struct wr_symbol_table *symbols, struct wr_store **ret_store, struct wr_store_report *ret_report,
                             struct wr_error *err) {
    struct wr_store_report report = {0};
    struct wr_store *store = NULL;
    if (options->budget_bytes < WR_STORE_BUDGET_MIN_BYTES || options->wal_reserve_bytes > options->budget_bytes / 2)
        return wr_error_set(err, WR_INVALID, "a store of %llu bytes is too small", (unsigned long long)options->budget_bytes);
    if (new_store(path, options, now, symbols, &store) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the store");
    enum wr_result result = open_database(store, false, &report, err);
    if (result == WR_CORRUPT) {
        report = (struct wr_store_report){.books_kept = save_books(store)};
        close_database(store);
        wr_ledger_start_over(store);
        forget_segments(store);
        result = rename_aside(store, now, &report, err);
        if (result == WR_OK)
            result = open_database(store, true, &report, err);
        atomic_fetch_add_explicit(&store->stats.quarantines, 1, memory_order_relaxed);
    }
    if (result != WR_OK) {
        free_store(store);
        return wr_error_wrap(err, "store %s", path);
    }
    wr_store_show(store);
    report.losses = store->losses;
    report.reserved_bytes = atomic_load_explicit(&store->stats.reserved_bytes, memory_order_relaxed);
    *ret_report = report;
    *ret_store = store;
    return WR_OK;
}

static enum wr_result mark_clean(struct wr_store *store, struct wr_error *err) {
    WR_TRY(wr_commit_begin(store, err));
    enum wr_result result = wr_sql_meta_put(store, "clean", 1, err);
    for (int lane = 0; lane < WR_LANES && result == WR_OK; lane++) {
        char key[32];
        snprintf(key, sizeof key, "unacked_bytes_%d", lane);
        result = wr_sql_meta_put(store, key, (int64_t)store->lanes[lane].unacked_bytes, err);
    }
    return wr_commit_end(store, result, err);
}

enum wr_result wr_store_close(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    if (!store)
        return WR_OK;
    enum wr_result result = wr_store_flush(store, now, err);
    if (result == WR_OK)
        result = store->db ? mark_clean(store, err) : wr_error_set(err, WR_IO, "the store is not open");
    free_store(store);
    return result;
}

void wr_store_abandon(struct wr_store *store) {
    if (store)
        free_store(store);
}
