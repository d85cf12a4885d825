/* Open, close, and what happens when the database is broken. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/aside.h"
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
        const int64_t from = acks->n > 0 && acks->at[0].first <= store->live_from ? acks->at[0].last + 1 : 0;
        sqlite3_stmt *row = NULL;
        if (wr_space_oldest(store, lane, from, &row, NULL) == WR_OK) {
            int64_t t1_ns = sqlite3_column_int64(row, 3);
            if (t1_ns > 0 && (oldest == 0 || (uint64_t)t1_ns < oldest))
                oldest = (uint64_t)t1_ns;
        }
        sqlite3_reset(row);
    }
    return oldest;
}

/* By what the file really has in use, of which what waits has its share: a page is seldom full, so bodies alone would never come so far. */
unsigned wr_store_waiting_percent(const struct wr_store *store) {
    const uint64_t limit = store->page_limit * store->page_bytes;
    const uint64_t unused = atomic_load_explicit(&store->stats.free_bytes, memory_order_relaxed);
    uint64_t waiting_bytes = 0;
    for (int lane = 0; lane < WR_LANES; lane++)
        waiting_bytes += store->lanes[lane].unacked_bytes;
    if (waiting_bytes == 0 || unused >= limit)
        return 0;
    const uint64_t all_bytes = waiting_bytes + store->history.bytes;
    return (unsigned)((double)(limit - unused) * (double)waiting_bytes / (double)all_bytes * 100 / (double)limit);
}

/* Of the store, or of what windows may take of it: it is they that are longer then. */
static bool is_high(const struct wr_store *store) {
    const bool was = atomic_load_explicit(&store->stats.high_water, memory_order_relaxed) != 0;
    const unsigned limit = was ? LOW_WATER_PERCENT : HIGH_WATER_PERCENT;
    return wr_store_waiting_percent(store) >= limit || wr_keep_waiting_percent(store, 1U << WR_LANE_WINDOWS) >= limit;
}

void wr_store_show(struct wr_store *store) {
    struct wr_store_stats *stats = &store->stats;
    for (int lane = 0; lane < WR_LANES; lane++) {
        show(&stats->unacked_segments[lane], store->lanes[lane].unacked);
        show(&stats->unacked_bytes[lane], store->lanes[lane].unacked_bytes);
        show(&stats->lane_bytes[lane], wr_keep_bytes(store, lane));
    }
    show(&stats->history_segments, store->history.segments);
    show(&stats->parked_segments, store->n_parked);
    show(&stats->budget_bytes, store->options.budget_bytes);
    if (store->db)
        wr_space_measure(store);
    show(&stats->high_water, store->db && is_high(store));
    if (!store->db)
        return;
    show(&stats->oldest_unacked_wall_ns, oldest_unacked(store));
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

/* S1: above all that ever bore a seq. */
static enum wr_result raise_next_seq(struct wr_store *store, struct wr_error *err) {
    int64_t highest = 0;
    WR_TRY(wr_sql_integer(store->db, "SELECT coalesce(max(seq), 0) FROM badseg", &highest, err));
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_lane_state *state = &store->lanes[lane];
        if (state->offered > highest)
            highest = state->offered;
        if (state->acks.n > 0 && state->acks.at[state->acks.n - 1].last > highest)
            highest = state->acks.at[state->acks.n - 1].last;
    }
    if (store->next_seq <= highest)
        store->next_seq = highest + 1;
    return WR_OK;
}

static enum wr_result load(struct wr_store *store, bool *ret_unclean, struct wr_error *err) {
    int64_t epoch = 0;
    int64_t clean = 0;
    WR_TRY(wr_sql_meta_get(store, "epoch", &epoch, err));
    WR_TRY(wr_sql_meta_get(store, "clean", &clean, err));
    WR_TRY(wr_acks_load(store, err));
    WR_TRY(wr_books_load(store, err));
    WR_TRY(raise_next_seq(store, err));
    store->epoch = (uint64_t)epoch;
    if (wr_reopen_goes_on(store) && store->next_seq < store->reopen.next_seq)
        store->next_seq = store->reopen.next_seq;
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
    store->reach.read_commits = 0;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_PUT);
    sqlite3_bind_text(statement, 1, "node", -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, store->options.node, -1, SQLITE_STATIC);
    WR_TRY(wr_sql_run(store, statement, err));
    return wr_sql_meta_put(store, "clean", 0, err);
}

/* A file left by a start that was killed between making the tables and the first commit (mark), which names the epoch, is as good as none. */
static enum wr_result has_epoch(struct wr_store *store, bool *fresh, struct wr_error *err) {
    int64_t epoch;
    enum wr_result result = wr_sql_meta_get(store, "epoch", &epoch, err);
    if (result != WR_NOT_FOUND)
        return result;
    int64_t segments = 0;
    WR_TRY(wr_sql_integer(store->db, "SELECT count(*) FROM seg", &segments, err));
    if (segments > 0)
        return wr_error_set(err, WR_CORRUPT, "the store has lost its epoch");
    *fresh = true;
    return WR_OK;
}

void wr_store_close_database(struct wr_store *store) {
    wr_salvage_end(store);
    wr_sql_finalize_all(store);
    sqlite3_close(store->db);
    if (store->db)
        wr_reopen_file_closed(store);
    store->db = NULL;
}

void wr_store_forget_segments(struct wr_store *store) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_open_segment open = store->lanes[lane].open;
        store->lanes[lane] = (struct wr_lane_state){.open = open};
    }
    store->n_parked = 0;
    store->history = (struct wr_counts){0};
    store->acks_waiting = 0;
    store->commits_since_tables = 0;
    store->acks_since_boot_ns = WR_NEVER_NS;
    store->scan_next = INT64_MAX;
}

/* Written with all that opening found out, in one transaction. */
static enum wr_result mark(struct wr_store *store, bool fresh, bool clean, const struct wr_now *now, struct wr_error *err) {
    WR_TRY(wr_commit_begin(store, err));
    enum wr_result result = wr_sql_meta_put(store, "clean", clean, err);
    if (result == WR_OK && fresh)
        result = wr_sql_meta_put(store, "epoch", (int64_t)store->epoch, err);
    if (result == WR_OK && fresh)
        result = wr_inherit_save(store, err);
    if (result == WR_OK && !clean)
        result = wr_boots_note(store, err);
    if (result == WR_OK)
        result = wr_boots_trust(store, now, err);
    if (result == WR_OK)
        result = wr_books_finish(store, true, now, err);
    if (result == WR_OK)
        result = wr_counts_save(store, true, now, err);
    return wr_commit_end(store, result, err);
}

enum wr_result wr_store_open_database(struct wr_store *store, bool keep_books, const struct wr_now *now, struct wr_store_report *report,
                                      struct wr_error *err) {
    bool fresh = false;
    bool unclean = false;
    int64_t version = 0;
    report->newer = false;
    wr_aside_finish(store);
    if (wr_page_one_is_missed(store->file)) /* SQLite would take it for a fresh one, and throw its WAL away */
        return wr_error_set(err, WR_CORRUPT, "the file is empty, though it was a store");
    const int create = store->reopen.gone && !store->reopen.cleared ? 0 : SQLITE_OPEN_CREATE;
    WR_TRY(wr_schema_open(store->file, wr_written_vfs(store->written), SQLITE_OPEN_READWRITE | create, &store->db, err));
    wr_reopen_file_opened(store);
    WR_TRY(wr_schema_is_newer(store->db, &report->newer, err));
    if (report->newer)
        return wr_error_set(err, WR_UNSUPPORTED, "a later version of this program made it");
    WR_TRY(wr_schema_configure(store->db, &store->page_bytes, err));
    WR_TRY(wr_wal_refresh(store->db, err));
    WR_TRY(wr_schema_ensure(store->db, &fresh, &version, err));
    if (!fresh)
        WR_TRY(wr_migrate(store->db, version, err));
    WR_TRY(wr_sql_prepare_all(store, err));
    WR_TRY(wr_schema_check(store->db, err));
    if (!fresh)
        WR_TRY(has_epoch(store, &fresh, err));
    if (!keep_books)
        WR_TRY(wr_ledger_load(store, err));
    if (!keep_books && !fresh)
        WR_TRY(wr_counts_load(store, err));
    if (!fresh)
        WR_TRY(wr_inherit_load(store->db, &store->lost, err));
    if (fresh)
        WR_TRY(make_fresh(store, err));
    else
        WR_TRY(load(store, &unclean, err));
    if (fresh && !keep_books)
        WR_TRY(store->reopen.gone ? wr_reopen_bring_books(store, err) : wr_inherit_books(store, report, err));
    WR_TRY(wr_space_reserve(store, err));
    if (unclean && !keep_books && !wr_reopen_goes_on(store)) /* else what was open then still is */
        WR_TRY(wr_ledger_book_crash(store, &report->n_losses, &report->crash_readings, err));
    store->scan_next = unclean ? 0 : INT64_MAX;
    report->fresh = fresh;
    report->unclean |= unclean;
    report->last_wall_ns = store->last_wall_ns;
    wr_totals_start(store);
    store->opened_boot_ns = now->boot_ns;
    wr_keep_start(store);
    wr_reach_start(store);
    wr_page_one_save(store);
    wr_page_one_look(store);     /* of a fresh one it brings the reserve into the file */
    wr_thrift_start(store, now); /* before the first commit: what that counts is no reserve any more */
    const bool blank = store->reopen.blank;
    WR_TRY(mark(store, fresh, false, now, err));
    store->reopen.blank = blank; /* that says nothing which the next one would not say */
    wr_salvage_look(store, now);
    return WR_OK;
}

/* Quarantine */

static enum wr_result rename_aside(struct wr_store *store, bool newer, const struct wr_now *now, struct wr_store_report *report,
                                   struct wr_error *err) {
    char name[WR_ASIDE_NAME_BYTES];
    WR_TRY(wr_aside_put(store, newer, now, name, err));
    store->reopen.cleared |= !newer;
    if (name[0] == 0) /* it was blank: what was put aside before it still is what there is to tell of */
        return WR_OK;
    snprintf(report->aside, sizeof report->aside, "%s", name);
    report->aside_newer = newer;
    report->quarantined = true;
    if (!newer)
        atomic_fetch_add_explicit(&store->stats.quarantines, 1, memory_order_relaxed);
    return WR_OK;
}

enum wr_result wr_store_quarantine(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_store_report report = {0};
    if (store->reopen.gone)
        return wr_error_set(err, WR_IO, "the store is closed until it can be opened again");
    if (store->db && store->reopen.ill_ns != 0)
        return wr_error_set(err, WR_IO, "what is read since the disk failed is not believed: the store is opened again first");
    if (store->db && store->reopen.cleared) { /* to make the next one costs as many writes as the store has bytes */
        wr_reopen_note(store, WR_IO, false, now);
        return wr_error_set(err, WR_IO, "a fresh store broke before its first commit: it is begun again with the next opening");
    }
    if (store->db) {
        wr_store_close_database(store);
        wr_ledger_start_over(store);
        wr_counts_start_over(store);
        wr_store_forget_segments(store);
        store->rename_due = true;
    }
    if (store->rename_due) { /* until that succeeds there is no store: the broken one must not be opened again with these books */
        WR_TRY(rename_aside(store, false, now, &report, err));
        store->rename_due = false;
    }
    enum wr_result result = wr_store_open_database(store, true, now, &report, err);
    if (result != WR_OK)
        wr_store_close_database(store); /* without a database until the next attempt */
    else
        wr_store_show(store);
    return result;
}

/* Open and close */

static void free_store(struct wr_store *store) {
    if (store->db)
        wr_store_close_database(store);
    wr_written_free(store->written);
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
    store->salvage_due_ns = WR_NEVER_NS;
    store->books_since_boot_ns = WR_NEVER_NS;
    store->counts_since_boot_ns = WR_NEVER_NS;
    store->totals_due_ns = WR_NEVER_NS;
    wr_thrift_init(store);
    wr_walls_look(store, now);
    store->gaps = (struct wr_gaps){.due_ns = WR_NEVER_NS, .told_boot_ns = WR_NEVER_NS};
    wr_store_forget_segments(store);
    wr_buf_init(&store->journal, WR_STORE_ALARM_BYTES + 64);
    wr_buf_init(&store->snaps, WR_STORE_SNAP_BYTES + 64);
    store->directory = strdup(path);
    store->file = join(path, WR_STORE_FILE);
    bool complete = store->directory && store->file && wr_encoder_new(&store->encoder) == WR_OK &&
                    wr_written_new(options->vfs, &store->stats.written_bytes, &store->written) == WR_OK;
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

void wr_store_let_go(struct wr_store *store) {
    wr_store_close_database(store);
    wr_store_forget_segments(store);
    store->epoch = 0;
}

/* The database that is there goes aside; the fresh one takes over its books. */
static enum wr_result put_aside(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_store_report *found = &store->found;
    const bool newer = found->newer;
    wr_store_let_go(store);
    wr_counts_start_over(store);
    store->n_accounts = 0; /* of what could be loaded of it */
    return rename_aside(store, newer, now, found, err);
}

enum wr_result wr_store_take_up(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    enum wr_result result = wr_store_open_database(store, false, now, &store->found, err);
    const bool broken = result == WR_CORRUPT || wr_reopen_gives_up(store, result, now);
    if (store->found.newer || (broken && wr_reopen_may_clear(store))) {
        store->reopen.failures = 0;
        WR_TRY(put_aside(store, now, err));
        result = wr_store_open_database(store, false, now, &store->found, err);
    }
    while (result == WR_FULL && store->found.quarantined && wr_aside_shrink_oldest(store, 1)) {
        wr_store_let_go(store); /* rather room for what comes than the older of two that nobody fetched */
        store->n_accounts = 0;
        result = wr_store_open_database(store, false, now, &store->found, err);
    }
    return result;
}

enum wr_result wr_store_open_without(const char *path, const struct wr_store_options *options, const struct wr_now *now,
                                     const struct wr_symbol_table *symbols, struct wr_store **ret_store, struct wr_error *err) {
    if (options->budget_bytes < WR_STORE_BUDGET_MIN_BYTES || options->wal_reserve_bytes > options->budget_bytes / 2)
        return wr_error_set(err, WR_INVALID, "a store of %llu bytes is too small", (unsigned long long)options->budget_bytes);
    if (new_store(path, options, now, symbols, ret_store) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the store");
    (*ret_store)->without = true;
    return WR_OK;
}

enum wr_result wr_store_open(const char *path, const struct wr_store_options *options, const struct wr_now *now,
                             const struct wr_symbol_table *symbols, struct wr_store **ret_store, struct wr_store_report *ret_report,
                             struct wr_error *err) {
    struct wr_store *store = NULL;
    WR_TRY(wr_store_open_without(path, options, now, symbols, &store, err));
    enum wr_result result = wr_store_attach(store, now, ret_report, err);
    if (result != WR_OK) {
        free_store(store);
        return result;
    }
    *ret_store = store;
    return WR_OK;
}

enum wr_result wr_store_close(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    if (!store)
        return WR_OK;
    enum wr_result result = wr_store_flush(store, now, err);
    if (result == WR_OK && !store->without)
        result = store->db ? mark(store, false, true, now, err) : wr_error_set(err, WR_IO, "the store is not open");
    free_store(store);
    return result;
}

void wr_store_abandon(struct wr_store *store) {
    if (store)
        free_store(store);
}
