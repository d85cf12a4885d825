#include "store/salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/column.h"
#include "store/salvage_source.h"
#include "store/store_private.h"

#define DAY_NS (86400 * WR_NS_PER_S)
#define AT_KEPT (INT64_MIN + 1)    /* read to its end in vain */
#define AT_REMOVED (INT64_MIN + 2) /* read to its end: the file can go. Other values below zero: the next page */
#define LIST_BYTES (WR_LEDGER_ACCOUNTS_MAX * 2 * WR_VARINT_MAX)

static const struct wr_account nobody = {"salvaged", "unknown"}; /* where the accounts of a segment are gone */

struct wr_salvage {
    char name[WR_ASIDE_NAME_BYTES];
    char path[4096];
    struct wr_salvage_source *source;
    sqlite3_stmt *find; /* in `salvaged` */
    sqlite3_stmt *put;
    struct wr_salvage_position position;
    bool is_over;   /* all is read */
    uint64_t whole; /* segments that were found whole */
    /* of the slice at hand */
    struct wr_store *store;
    const struct wr_now *now;
    uint64_t taken;
    uint64_t noted; /* keys of rows that were not taken */
    uint64_t readings;
    uint64_t damaged;
};

const char *wr_salvage_state_name(enum wr_salvage_state state) {
    static const char *const names[] = {[WR_SALVAGE_NONE] = "none",
                                        [WR_SALVAGE_RUNS] = "running",
                                        [WR_SALVAGE_WAITS] = "waiting for room",
                                        [WR_SALVAGE_DONE] = "done",
                                        [WR_SALVAGE_KEPT] = "nothing readable, kept"};
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static void show(struct wr_store *store, enum wr_salvage_state state) {
    atomic_store_explicit(&store->stats.salvage, (uint64_t)state, memory_order_relaxed);
}

static void add(_Atomic uint64_t *number, uint64_t more) {
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

/* -- one row --------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_salvage_key key_of(const struct wr_page_row *row) {
    return (struct wr_salvage_key){row->header.epoch, row->header.seq};
}

static enum wr_result is_known(struct wr_salvage *salvage, const struct wr_salvage_key *key, bool *ret_known, struct wr_error *err) {
    sqlite3_bind_int64(salvage->find, 1, (int64_t)key->epoch);
    sqlite3_bind_int64(salvage->find, 2, key->seq);
    const enum wr_result result = wr_sql_row(salvage->store, salvage->find, err);
    sqlite3_reset(salvage->find);
    *ret_known = result == WR_OK;
    return result == WR_EMPTY ? WR_OK : result;
}

/* place: id of its row here; 0: none. */
static enum wr_result remember(struct wr_salvage *salvage, const struct wr_salvage_key *key, int64_t place, struct wr_error *err) {
    sqlite3_bind_int64(salvage->put, 1, (int64_t)key->epoch);
    sqlite3_bind_int64(salvage->put, 2, key->seq);
    sqlite3_bind_int64(salvage->put, 3, place);
    return wr_sql_run(salvage->store, salvage->put, err);
}

static enum wr_result count_for(struct wr_salvage *salvage, const struct wr_account *name, uint64_t readings, struct wr_error *err) {
    uint32_t index;
    if (wr_ledger_find(salvage->store, name, &index) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger");
    salvage->store->accounts[index].in_segment += readings;
    return WR_OK;
}

/* The accounts of the old store are found by their names: its numbers may be others than ours. */
static enum wr_result count_list(struct wr_salvage *salvage, const struct wr_page_row *row, struct wr_error *err) {
    if (row->accounts_len == 0)
        return WR_OK;
    struct wr_cursor cursor = {row->accounts, row->accounts + row->accounts_len, false};
    while (cursor.at < cursor.end) {
        const uint64_t id = wr_get_varint(&cursor);
        const uint64_t readings = wr_get_varint(&cursor);
        const struct wr_account *name = wr_salvage_source_account(salvage->source, id);
        if (cursor.bad || readings > WR_SALVAGE_READINGS_MAX)
            return WR_OK; /* a damaged list: the segment counts for what it says up to here */
        WR_TRY(count_for(salvage, name ? name : &nobody, readings, err));
    }
    return WR_OK;
}

static enum wr_result insert(struct wr_salvage *salvage, const struct wr_page_row *row, struct wr_error *err) {
    struct wr_store *store = salvage->store;
    struct wr_codec_header header = row->header;
    struct wr_buf list;
    header.seq = store->txn.next_seq; /* of its row */
    wr_buf_init(&list, LIST_BYTES);
    enum wr_result result = count_list(salvage, row, err);
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        store->accounts[i].delta[WR_BOOK_RECOVERED] += store->accounts[i].in_segment;
        salvage->readings += store->accounts[i].in_segment;
    }
    const enum wr_result listed = wr_outbox_put_list(store, true, &list);
    if (result == WR_OK && listed != WR_OK)
        result = wr_error_set(err, listed, "no memory for the accounts of a segment");
    if (result == WR_OK)
        result = wr_outbox_put_row(store, &header, &list, row->body, row->body_len, err);
    wr_buf_fini(&list);
    return result;
}

/* It would be deleted at once, if it stood at its place: among younger rows it would live on, and rows that were deleted for their age would come back. */
static enum wr_result is_too_old(struct wr_salvage *salvage, const struct wr_page_row *row, bool *ret_too_old, struct wr_error *err) {
    struct wr_store *store = salvage->store;
    const int64_t ttl_ns = store->options.lanes[row->header.lane].ttl_ns;
    int64_t age_ns = 0;
    if (ttl_ns > 0)
        WR_TRY(wr_age_at_least(store, store->txn.next_seq, row->body, row->body_len, salvage->now, &age_ns, err));
    *ret_too_old = ttl_ns > 0 && age_ns >= ttl_ns;
    return WR_OK;
}

/* What that store had salvaged itself and delivered: the one that it came out of may lie aside as well, and knows nothing of that. */
static enum wr_result note_finished(void *user, const struct wr_salvage_key *key, struct wr_error *err) {
    struct wr_salvage *salvage = user;
    bool known = false;
    WR_TRY(is_known(salvage, key, &known, err));
    if (known)
        return WR_OK;
    salvage->noted++;
    return remember(salvage, key, 0, err);
}

static enum wr_result take(void *user, const struct wr_page_row *row, struct wr_error *err) {
    struct wr_salvage *salvage = user;
    const struct wr_salvage_key key = key_of(row);
    bool not_wanted = false;
    salvage->whole++;
    if (row->header.epoch == salvage->store->epoch)
        return WR_OK;
    WR_TRY(wr_salvage_source_is_finished(salvage->source, row, &not_wanted, err));
    if (not_wanted)
        return wr_salvage_source_is_own(salvage->source, row) ? WR_OK : note_finished(salvage, &key, err);
    WR_TRY(is_known(salvage, &key, &not_wanted, err));
    if (!not_wanted)
        WR_TRY(is_too_old(salvage, row, &not_wanted, err));
    if (not_wanted)
        return WR_OK;
    const int64_t place = wr_row_id(row->header.lane, salvage->store->txn.next_seq);
    WR_TRY(insert(salvage, row, err));
    wr_gaps_span(salvage->store, WR_BOOK_RECOVERED, row->header.t0_ns, row->header.t1_ns);
    salvage->taken++;
    return remember(salvage, &key, place, err);
}

static enum wr_result see_damaged(void *user) {
    struct wr_salvage *salvage = user;
    salvage->damaged++;
    return WR_OK;
}

/* -- how far it is --------------------------------------------------------------------------------------------------------------------------- */

static int64_t coded(const struct wr_salvage_position *position) {
    return position->by_page ? -1 - position->at : position->at;
}

static struct wr_salvage_position decoded(int64_t at) {
    return (struct wr_salvage_position){.by_page = at < 0, .at = at < 0 ? -1 - at : at};
}

static enum wr_result save_position(struct wr_salvage *salvage, int64_t at, struct wr_error *err) {
    WR_TRY(wr_sql_meta_put(salvage->store, "salvage_at", at, err));
    return wr_sql_meta_put(salvage->store, "salvage_whole", (int64_t)salvage->whole, err);
}

/* Where a salvage of this name stands; 0 too where it is another one. */
static enum wr_result load_position(struct wr_salvage *salvage, bool *ret_begun, int64_t *ret_at, struct wr_error *err) {
    struct wr_store *store = salvage->store;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_GET);
    sqlite3_bind_text(statement, 1, "salvage", -1, SQLITE_STATIC);
    enum wr_result result = wr_sql_row(store, statement, err);
    const char *name = result == WR_OK ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    *ret_begun = name && strcmp(name, salvage->name) == 0;
    *ret_at = 0;
    sqlite3_reset(statement);
    if (result == WR_EMPTY || (result == WR_OK && !*ret_begun))
        return WR_OK;
    int64_t whole = 0;
    if (result == WR_OK)
        result = wr_sql_meta_get(store, "salvage_at", ret_at, err);
    if (result == WR_OK)
        result = wr_sql_meta_get(store, "salvage_whole", &whole, err);
    salvage->whole = (uint64_t)whole;
    return result;
}

/* Whether a clock can have been set like that: in the past, and not before there were such clocks. */
static bool is_likely(const struct wr_page_boot *boot, const struct wr_now *now) {
    const int64_t wall_ns = wr_clock_add_ns(boot->offset_ns, boot->trusted_ns);
    return boot->trusted_ns >= 0 && wall_ns > 0 && (!now->wall_trusted || wall_ns - DAY_NS <= now->wall_ns);
}

static enum wr_result take_boots(struct wr_salvage *salvage, const struct wr_now *now, struct wr_error *err) {
    uint32_t n;
    const struct wr_page_boot *boots = wr_salvage_source_boots(salvage->source, &n);
    for (uint32_t i = 0; i < n; i++)
        if (is_likely(&boots[i], now))
            WR_TRY(wr_boots_adopt(salvage->store, &boots[i], err));
    return WR_OK;
}

static enum wr_result put_begin(struct wr_salvage *salvage, struct wr_error *err) {
    struct wr_store *store = salvage->store;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_PUT);
    sqlite3_bind_text(statement, 1, "salvage", -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, salvage->name, -1, SQLITE_STATIC);
    WR_TRY(wr_sql_run(store, statement, err));
    WR_TRY(save_position(salvage, 0, err));
    return wr_sql_exec(
        store->db, "CREATE TABLE IF NOT EXISTS salvaged(epoch INTEGER, seq INTEGER, place INTEGER, PRIMARY KEY(epoch, seq)) WITHOUT ROWID",
        err);
}

/* -- begin and end --------------------------------------------------------------------------------------------------------------------------- */

static void free_salvage(struct wr_salvage *salvage) {
    if (!salvage)
        return;
    sqlite3_finalize(salvage->find);
    sqlite3_finalize(salvage->put);
    wr_salvage_source_close(salvage->source);
    free(salvage);
}

void wr_salvage_end(struct wr_store *store) {
    free_salvage(store->salvage);
    store->salvage = NULL;
    store->salvage_due_ns = WR_NEVER_NS;
}

void wr_salvage_look(struct wr_store *store, const struct wr_now *now) {
    char name[WR_ASIDE_NAME_BYTES];
    store->salvage_due_ns = wr_aside_newest(store, name) ? wr_clock_add_ns(now->boot_ns, WR_SALVAGE_FIRST_NS) : WR_NEVER_NS;
    store->salvage_again = 0;
}

int64_t wr_salvage_due(const struct wr_store *store) {
    return store->db ? store->salvage_due_ns : WR_NEVER_NS;
}

static enum wr_result prepare(struct wr_salvage *salvage, const char *sql, sqlite3_stmt **ret_statement, struct wr_error *err) {
    const int code = sqlite3_prepare_v2(salvage->store->db, sql, -1, ret_statement, NULL);
    return code == SQLITE_OK ? WR_OK : wr_sql_failed(salvage->store->db, code, sql, err);
}

static enum wr_result begin_new(struct wr_salvage *salvage, const struct wr_now *now, struct wr_error *err) {
    WR_TRY(wr_commit_begin(salvage->store, err));
    enum wr_result result = put_begin(salvage, err);
    if (result == WR_OK)
        result = take_boots(salvage, now, err);
    WR_TRY(wr_commit_end(salvage->store, result, err));
    salvage->store->page_one_due = true; /* there may be a table more */
    wr_page_one_look(salvage->store);
    return WR_OK;
}

/* *ret_at says where it goes on. WR_BUSY: the old one cannot be opened now, which is no trouble of the present one. */
static enum wr_result begin(struct wr_salvage *salvage, const struct wr_now *now, int64_t *ret_at, struct wr_error *err) {
    struct wr_store *store = salvage->store;
    bool begun = false;
    WR_TRY(load_position(salvage, &begun, ret_at, err));
    if (*ret_at == AT_KEPT || *ret_at == AT_REMOVED)
        return WR_OK;
    salvage->position = decoded(*ret_at);
    const enum wr_result opened = wr_salvage_source_open(salvage->path, store->options.vfs, &salvage->source, err);
    if (opened != WR_OK)
        return opened == WR_NO_MEMORY ? opened : WR_BUSY;
    if (!begun)
        WR_TRY(begin_new(salvage, now, err));
    (void)!wr_sql_exec(store->db, "ALTER TABLE salvaged ADD COLUMN place INTEGER", NULL); /* there were builds that made none */
    WR_TRY(prepare(salvage, "SELECT 1 FROM salvaged WHERE epoch = ?1 AND seq = ?2", &salvage->find, err));
    return prepare(salvage, "INSERT INTO salvaged(epoch, seq, place) VALUES(?1, ?2, ?3)", &salvage->put, err);
}

/* A piece of the file that is done with. When it is gone: an older one may be left. Until none is the keys stay: it may hold the same. */
static void remove_piece(struct wr_store *store, const char *name, const struct wr_now *now) {
    char other[WR_ASIDE_NAME_BYTES];
    if (wr_aside_shrink(store, name)) {
        show(store, WR_SALVAGE_RUNS);
        return;
    }
    wr_space_regain(store);
    if (!wr_aside_newest(store, other))
        (void)!wr_sql_exec(store->db, "DELETE FROM salvaged", NULL); /* else they only take room */
    show(store, WR_SALVAGE_DONE);
    wr_salvage_look(store, now);
}

/* The newest that lies aside; none: it is over. */
static enum wr_result take_up(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_salvage *salvage = calloc(1, sizeof *salvage);
    if (!salvage)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a salvage");
    int64_t at = 0;
    salvage->store = store;
    enum wr_result result = WR_EMPTY;
    if (wr_aside_newest(store, salvage->name) &&
        (size_t)snprintf(salvage->path, sizeof salvage->path, "%s/%s", store->directory, salvage->name) < sizeof salvage->path)
        result = begin(salvage, now, &at, err);
    if (result == WR_OK && at != AT_KEPT && at != AT_REMOVED) {
        store->salvage = salvage;
        show(store, WR_SALVAGE_RUNS);
        return WR_OK;
    }
    if (at == AT_REMOVED)
        remove_piece(store, salvage->name, now);
    else if (result == WR_EMPTY || at == AT_KEPT)
        store->salvage_due_ns = WR_NEVER_NS;
    if (at == AT_KEPT)
        show(store, WR_SALVAGE_KEPT);
    free_salvage(salvage);
    return result == WR_EMPTY ? WR_OK : result;
}

/* First the store knows that the file is done with, then it goes: a kill in between leaves that to the next start. Pages that could not be read may hold more. */
static enum wr_result finish(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_salvage *salvage = store->salvage;
    const bool missed = wr_salvage_source_missed(salvage->source);
    const bool again = missed && store->salvage_again < WR_SALVAGE_AGAIN;
    const bool in_vain = salvage->position.by_page && salvage->whole == 0;
    const bool first_page = again || (missed && in_vain); /* where it begins: after a while; with the next start */
    const struct wr_salvage_position page = {.by_page = true};
    const int64_t at = first_page ? coded(&page) : in_vain ? AT_KEPT : AT_REMOVED;
    salvage->whole = again ? 0 : salvage->whole;
    sqlite3_reset(salvage->find);
    sqlite3_reset(salvage->put);
    WR_TRY(wr_commit_begin(store, err));
    WR_TRY(wr_commit_end(store, save_position(salvage, at, err), err));
    wr_salvage_end(store);
    store->salvage_again += again;
    if (again)
        store->salvage_due_ns = wr_clock_add_ns(now->boot_ns, WR_SALVAGE_AGAIN_NS);
    else if (in_vain)
        show(store, WR_SALVAGE_KEPT);
    else
        store->salvage_due_ns = wr_clock_add_ns(now->boot_ns, WR_SALVAGE_EVERY_NS); /* to remove it, see take_up */
    return WR_OK;
}

/* -- slices ---------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result fill(struct wr_salvage *salvage, struct wr_error *err) {
    const struct wr_salvage_visitor visitor = {salvage, take, see_damaged, note_finished};
    enum wr_result result = wr_salvage_source_show(salvage->source, &salvage->position, &visitor, err);
    salvage->is_over = result == WR_EMPTY;
    if (result != WR_OK && result != WR_EMPTY)
        return result;
    if (salvage->taken == 0 && salvage->noted == 0)
        return WR_EMPTY; /* nothing to commit */
    WR_TRY(save_position(salvage, coded(&salvage->position), err));
    return wr_books_finish(salvage->store, false, salvage->now, err);
}

static enum wr_result slice(struct wr_salvage *salvage, const struct wr_now *now, struct wr_error *err) {
    struct wr_store *store = salvage->store;
    const struct wr_salvage before = *salvage;
    salvage->now = now;
    salvage->taken = salvage->noted = salvage->readings = salvage->damaged = 0;
    WR_TRY(wr_commit_begin(store, err));
    enum wr_result result = wr_commit_end(store, fill(salvage, err), err);
    if (result == WR_OK) {
        wr_commit_done(store, now);
        add(&store->stats.salvaged_segments, salvage->taken);
        add(&store->stats.salvaged_readings, salvage->readings);
    }
    if (result == WR_OK || result == WR_EMPTY) {
        add(&store->stats.salvage_damaged, store->salvage_again == 0 ? salvage->damaged : 0);
        return WR_OK;
    }
    sqlite3_reset(salvage->find);
    sqlite3_reset(salvage->put);
    *salvage = before;
    return result;
}

enum wr_result wr_salvage_step(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    if (now->boot_ns < wr_salvage_due(store))
        return WR_OK;
    store->salvage_due_ns = wr_clock_add_ns(now->boot_ns, WR_SALVAGE_EVERY_NS);
    if (store->salvage && access(store->salvage->path, F_OK) != 0) { /* it made room for others */
        wr_salvage_end(store);
        show(store, WR_SALVAGE_NONE);
        wr_salvage_look(store, now);
        return WR_OK;
    }
    enum wr_result result = WR_OK;
    if (!store->salvage) {
        result = take_up(store, now, err);
    } else if (store->salvage->is_over) {
        result = finish(store, now, err);
    } else if (wr_store_waiting_percent(store) < WR_SALVAGE_FULL_PERCENT && wr_keep_waiting_percent(store, ~0U) < WR_SALVAGE_FULL_PERCENT) {
        show(store, WR_SALVAGE_RUNS);
        result = slice(store->salvage, now, err);
    } else {
        result = WR_FULL;
    }
    if (result == WR_CORRUPT)
        return wr_store_quarantine(store, now, err);
    if (result == WR_OK)
        return WR_OK;
    store->salvage_due_ns = wr_clock_add_ns(now->boot_ns, WR_SALVAGE_ROOM_NS);
    if (result == WR_BUSY)
        return WR_OK; /* alarms must not wait for it, as they would for a disk that refuses */
    if (result != WR_FULL)
        return result;
    show(store, WR_SALVAGE_WAITS);
    return WR_OK;
}
