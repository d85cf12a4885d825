#include "store/salvage_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_private.h"

#define GUESS_BYTES (1U << 20)
#define BOOTS_MAX 256

struct wr_salvage_source {
    struct wr_store old; /* only its database, books and acknowledgements */
    sqlite3_stmt *next;  /* NULL: its rows cannot be asked for */
    sqlite3_stmt *below; /* the nearest row, from an id on downwards */
    sqlite3_stmt *above;
    sqlite3_stmt *before; /* the same, without the id itself */
    sqlite3_stmt *behind;
    sqlite3_stmt *keys; /* NULL: it never salvaged anything */
    struct wr_page_scan scan;
    uint64_t rows;  /* that it should have; UINT64_MAX: nobody knows */
    uint32_t pages; /* of the file */
    uint32_t shown; /* by the call at hand: rows, and bytes of their bodies */
    size_t shown_bytes;
    struct wr_page_boot boots[BOOTS_MAX]; /* each once, with its offset */
    uint32_t n_boots;
    bool knows_boots;
    bool by_page; /* the row at hand was found there */
    bool looked_for_tables;
    bool missed; /* a page could not be read */
};

/* -- through SQLite ------------------------------------------------------------------------------------------------------------------------ */

/* Damage, and a disk that cannot read a sector, is what all this is about; to lack memory is a passing state. */
static enum wr_result unless_damaged(enum wr_result result) {
    return result == WR_NO_MEMORY ? WR_NO_MEMORY : WR_OK;
}

static enum wr_result connect(struct wr_salvage_source *source, struct wr_error *err) {
    sqlite3 *db = NULL;
    WR_TRY(wr_schema_open(source->old.file, source->old.options.vfs, SQLITE_OPEN_READWRITE, &db, err));
    source->old.db = db;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return wr_sql_exec(db, "PRAGMA locking_mode = EXCLUSIVE", err); /* does not look at the file */
}

static sqlite3_file *file_of(const struct wr_salvage_source *source) {
    sqlite3_file *file = NULL;
    if (!source->old.db || sqlite3_file_control(source->old.db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file ||
        !file->pMethods)
        return NULL;
    return file;
}

/* What the WAL holds comes into the file, for whoever reads by page. SQLite does not write far behind the end of a file, so one that was cut short
 * is as long as it was before. */
static void take_in_wal(struct wr_salvage_source *source) {
    sqlite3_file *file = file_of(source);
    sqlite3_int64 bytes = 0;
    int64_t pages = 0;
    int64_t page_bytes = 0;
    if (file && file->pMethods->xFileSize(file, &bytes) == SQLITE_OK &&
        wr_sql_integer(source->old.db, "PRAGMA page_size", &page_bytes, NULL) == WR_OK &&
        wr_sql_integer(source->old.db, "PRAGMA page_count", &pages, NULL) == WR_OK && pages * page_bytes > bytes)
        (void)file->pMethods->xTruncate(file, pages * page_bytes);
    (void)sqlite3_wal_checkpoint_v2(source->old.db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static enum wr_result probe(struct wr_salvage_source *source, struct wr_error *err) {
    int64_t version = 0;
    WR_TRY(wr_sql_integer(source->old.db, "SELECT count(*) FROM sqlite_master", &version, err));
    WR_TRY(wr_sql_integer(source->old.db, "PRAGMA user_version", &version, err));
    WR_TRY(wr_sql_exec(source->old.db, "PRAGMA cache_size = -256", err));
    if (version == 0)
        return wr_error_set(err, WR_CORRUPT, "not a store");
    WR_TRY(wr_sql_exec(source->old.db, "PRAGMA synchronous = OFF", err)); /* the WAL stays until all is read */
    take_in_wal(source);
    return wr_sql_exec(source->old.db, "PRAGMA query_only = ON", err);
}

/* What the books and the acknowledgements say, as far as they can be read. */
static enum wr_result read_books(struct wr_salvage_source *source, struct wr_error *err) {
    int64_t epoch = 0;
    if (wr_sql_integer(source->old.db, "SELECT value FROM meta WHERE key = 'epoch'", &epoch, NULL) == WR_OK)
        source->old.epoch = (uint64_t)epoch;
    enum wr_result result = wr_ledger_load(&source->old, err);
    if (unless_damaged(result) == WR_OK)
        result = wr_acks_load(&source->old, err);
    if (result == WR_OK) /* the difference in the newest row is one to the tables */
        result = wr_books_rescue(&source->old, err);
    source->rows = result == WR_OK ? source->old.history.segments : UINT64_MAX;
    for (int lane = 0; lane < WR_LANES && result == WR_OK; lane++)
        source->rows += source->old.lanes[lane].unacked;
    return unless_damaged(result);
}

static void note_boot(struct wr_salvage_source *source, const struct wr_page_boot *boot) {
    for (uint32_t i = 0; i < source->n_boots; i++)
        if (memcmp(source->boots[i].id, boot->id, sizeof boot->id) == 0)
            return;
    if (source->n_boots < BOOTS_MAX)
        source->boots[source->n_boots++] = *boot;
}

static enum wr_result read_boots(struct wr_salvage_source *source, struct wr_error *err) {
    static const char sql[] = "SELECT uuid, offset_ns, trusted_at FROM boot WHERE offset_ns NOT NULL ORDER BY id DESC";
    sqlite3_stmt *row = NULL;
    const int code = sqlite3_prepare_v2(source->old.db, sql, -1, &row, NULL);
    enum wr_result result = code == SQLITE_OK ? WR_OK : wr_sql_failed(source->old.db, code, sql, err);
    while (result == WR_OK && (result = wr_sql_row(&source->old, row, err)) == WR_OK) {
        struct wr_page_boot boot = {.offset_ns = sqlite3_column_int64(row, 1), .trusted_ns = sqlite3_column_int64(row, 2)};
        if ((size_t)sqlite3_column_bytes(row, 0) != sizeof boot.id)
            continue;
        memcpy(boot.id, sqlite3_column_blob(row, 0), sizeof boot.id);
        note_boot(source, &boot);
    }
    sqlite3_finalize(row);
    source->knows_boots = result == WR_EMPTY;
    return unless_damaged(result);
}

static enum wr_result prepare(struct wr_salvage_source *source, struct wr_error *err) {
    const struct {
        const char *sql;
        sqlite3_stmt **statement;
    } all[] = {
        {"SELECT id, accounts, body FROM seg WHERE id > ?1 ORDER BY id LIMIT 1", &source->next},
        {"SELECT id FROM seg WHERE id <= ?1 ORDER BY id DESC LIMIT 1", &source->below},
        {"SELECT id FROM seg WHERE id >= ?1 ORDER BY id LIMIT 1", &source->above},
        {"SELECT id FROM seg WHERE id < ?1 ORDER BY id DESC LIMIT 1", &source->before},
        {"SELECT id FROM seg WHERE id > ?1 ORDER BY id LIMIT 1", &source->behind},
        {"SELECT epoch, seq, place FROM salvaged WHERE (epoch, seq) > (?1, ?2) ORDER BY epoch, seq LIMIT 1", &source->keys},
    };
    enum wr_result result = WR_OK;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && result == WR_OK; i++) {
        const int code = sqlite3_prepare_v2(source->old.db, all[i].sql, -1, all[i].statement, NULL);
        result = code == SQLITE_OK ? WR_OK : wr_sql_failed(source->old.db, code, all[i].sql, err);
    }
    return unless_damaged(result); /* what is NULL then is not asked */
}

static void measure(struct wr_salvage_source *source, uint32_t page_bytes) {
    sqlite3_file *file = file_of(source);
    sqlite3_int64 bytes = 0;
    source->scan.page_bytes = page_bytes;
    if (file && file->pMethods->xFileSize(file, &bytes) == SQLITE_OK)
        source->pages = (uint32_t)((bytes + page_bytes - 1) / page_bytes);
}

/* With the first page in its place, if that helps. */
static enum wr_result read_what_is_known(struct wr_salvage_source *source, struct wr_error *err) {
    enum wr_result result = probe(source, err);
    if (result == WR_CORRUPT && wr_page_one_restore(source->old.file) == WR_OK) {
        sqlite3_close(source->old.db);
        source->old.db = NULL;
        if (connect(source, err) != WR_OK)
            return WR_NO_MEMORY; /* it was there a moment ago: tried again */
        result = probe(source, err);
    }
    if (result == WR_OK)
        result = read_books(source, err);
    if (result == WR_OK)
        result = read_boots(source, err);
    return result == WR_OK ? prepare(source, err) : result;
}

void wr_salvage_source_close(struct wr_salvage_source *source) {
    if (!source)
        return;
    sqlite3_finalize(source->next);
    sqlite3_finalize(source->below);
    sqlite3_finalize(source->above);
    sqlite3_finalize(source->before);
    sqlite3_finalize(source->behind);
    sqlite3_finalize(source->keys);
    sqlite3_close(source->old.db);
    wr_page_scan_fini(&source->scan);
    free(source->old.accounts);
    free(source->old.file);
    free(source);
}

/* -- what is known --------------------------------------------------------------------------------------------------------------------------- */

/* The nearest row; `none` where there is none on that side. */
static enum wr_result nearest(struct wr_salvage_source *source, sqlite3_stmt *statement, int64_t id, int64_t none, int64_t *ret_id,
                              struct wr_error *err) {
    if (!statement)
        return WR_CORRUPT;
    sqlite3_bind_int64(statement, 1, id);
    const enum wr_result result = wr_sql_row(&source->old, statement, err);
    *ret_id = result == WR_OK ? sqlite3_column_int64(statement, 0) : none;
    sqlite3_reset(statement);
    return result == WR_EMPTY ? WR_OK : result;
}

/* Whether it is certain that there is no row of this id. An inner page that leads to a wrong leaf gives itself away there: a neighbour is on the wrong side,
 * or from one of them the way does not lead to the other one. */
static enum wr_result is_gone(struct wr_salvage_source *source, int64_t id, bool *ret_gone, struct wr_error *err) {
    int64_t low, high;
    int64_t behind_low = 0;
    int64_t before_high = 0;
    *ret_gone = false;
    enum wr_result result = nearest(source, source->below, id, INT64_MIN, &low, err);
    if (result == WR_OK)
        result = nearest(source, source->above, id, INT64_MAX, &high, err);
    if (result != WR_OK || low >= id || high <= id || (low == INT64_MIN && high == INT64_MAX)) /* no row at all is hard to believe */
        return unless_damaged(result);
    result = nearest(source, source->behind, low, INT64_MAX, &behind_low, err);
    if (result == WR_OK)
        result = nearest(source, source->before, high, INT64_MIN, &before_high, err);
    *ret_gone = result == WR_OK && behind_low == high && before_high == low;
    return unless_damaged(result);
}

enum wr_result wr_salvage_source_is_finished(struct wr_salvage_source *source, const struct wr_page_row *row, bool *ret_finished,
                                             struct wr_error *err) {
    *ret_finished = wr_ranges_find(&source->old.lanes[row->header.lane].acks, wr_row_seq(row->id)) != NULL;
    return *ret_finished || !source->by_page ? WR_OK : is_gone(source, row->id, ret_finished, err);
}

bool wr_salvage_source_is_own(const struct wr_salvage_source *source, const struct wr_page_row *row) {
    return source->old.epoch == 0 || row->header.epoch == source->old.epoch;
}

const struct wr_account *wr_salvage_source_account(const struct wr_salvage_source *source, uint64_t id) {
    for (uint32_t i = 0; i < source->old.n_accounts; i++)
        if ((uint64_t)source->old.accounts[i].id == id)
            return &source->old.accounts[i].name;
    return NULL;
}

bool wr_salvage_source_missed(const struct wr_salvage_source *source) {
    return source->missed;
}

const struct wr_page_boot *wr_salvage_source_boots(const struct wr_salvage_source *source, uint32_t *ret_n) {
    *ret_n = source->n_boots;
    return source->boots;
}

/* Whoever waits for the disk, as an alarm may, waits for no more than one call. */
static bool has_shown_enough(const struct wr_salvage_source *source) {
    return source->shown >= WR_SALVAGE_ROWS || source->shown_bytes >= WR_SALVAGE_BYTES;
}

static void count_shown(struct wr_salvage_source *source, const struct wr_page_row *row) {
    source->shown++;
    source->shown_bytes += row->body_len;
}

/* -- keys ------------------------------------------------------------------------------------------------------------------------------------ */

/* The next one. WR_EMPTY: there is none, or none that can be read. */
static enum wr_result next_key(struct wr_salvage_source *source, struct wr_salvage_key *key, int64_t *ret_place, struct wr_error *err) {
    sqlite3_bind_int64(source->keys, 1, (int64_t)key->epoch);
    sqlite3_bind_int64(source->keys, 2, key->seq);
    const enum wr_result result = wr_sql_row(&source->old, source->keys, err);
    if (result == WR_OK) {
        *key = (struct wr_salvage_key){(uint64_t)sqlite3_column_int64(source->keys, 0), sqlite3_column_int64(source->keys, 1)};
        *ret_place = sqlite3_column_int64(source->keys, 2);
    }
    sqlite3_reset(source->keys);
    return result == WR_OK || result == WR_NO_MEMORY ? result : WR_EMPTY;
}

static enum wr_result show_keys(struct wr_salvage_source *source, struct wr_salvage_position *position,
                                const struct wr_salvage_visitor *visitor, struct wr_error *err) {
    if (!position->keys_begun)
        position->key = (struct wr_salvage_key){(uint64_t)INT64_MIN, INT64_MIN};
    position->keys_begun = true;
    for (int i = 0; i < WR_SALVAGE_KEYS; i++) {
        int64_t place = 0;
        bool gone = true;
        const enum wr_result result = source->keys ? next_key(source, &position->key, &place, err) : WR_EMPTY;
        position->keys_shown = result == WR_EMPTY;
        if (result != WR_OK)
            return result == WR_EMPTY ? WR_OK : result;
        if (place != 0)
            WR_TRY(is_gone(source, place, &gone, err));
        if (gone)
            WR_TRY(visitor->gone(visitor->user, &position->key, err));
    }
    return WR_OK;
}

/* -- rows ------------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result show_row(struct wr_salvage_source *source, const struct wr_salvage_visitor *visitor, struct wr_error *err) {
    struct wr_page_row row = {.id = sqlite3_column_int64(source->next, 0),
                              .accounts = sqlite3_column_blob(source->next, 1),
                              .accounts_len = (size_t)sqlite3_column_bytes(source->next, 1),
                              .body = sqlite3_column_blob(source->next, 2),
                              .body_len = (size_t)sqlite3_column_bytes(source->next, 2)};
    if (!row.body && sqlite3_errcode(source->old.db) == SQLITE_NOMEM)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a segment");
    count_shown(source, &row);
    if (!row.body || wr_codec_check(row.body, row.body_len, &row.header, NULL) != WR_OK)
        return visitor->damaged(visitor->user);
    return visitor->row(visitor->user, &row, err);
}

/* By id, until SQLite meets damage: then by page, from the first. *ret_damaged tells. */
static enum wr_result show_by_id(struct wr_salvage_source *source, struct wr_salvage_position *position,
                                 const struct wr_salvage_visitor *visitor, bool *ret_damaged, struct wr_error *err) {
    *ret_damaged = false;
    while (!has_shown_enough(source)) {
        struct wr_error why = {0};
        sqlite3_bind_int64(source->next, 1, position->at);
        enum wr_result result = wr_sql_row(&source->old, source->next, &why);
        if (result == WR_EMPTY) {
            *ret_damaged = position->rows < source->rows; /* a wrong number in an inner page passes rows by */
            return WR_EMPTY;
        }
        if (result != WR_OK) {
            *ret_damaged = result != WR_NO_MEMORY;
            return *ret_damaged ? WR_OK : wr_error_set(err, result, "%s", why.text);
        }
        const int64_t id = sqlite3_column_int64(source->next, 0);
        if (id <= position->at) { /* an inner page leads the wrong way: so it would go on for ever */
            sqlite3_reset(source->next);
            *ret_damaged = true;
            return WR_OK;
        }
        position->at = id;
        position->rows++;
        result = show_row(source, visitor, err);
        sqlite3_reset(source->next);
        if (result != WR_OK)
            return result;
    }
    return WR_OK;
}

/* -- pages ----------------------------------------------------------------------------------------------------------------------------------- */

struct looking {
    struct wr_salvage_source *source;
    const struct wr_salvage_visitor *visitor; /* NULL: only accounts are looked for */
};

/* What cannot be read is as good as empty, but remembered. */
static enum wr_result read_page(void *user, uint32_t page, uint8_t *bytes, struct wr_error *err) {
    struct looking *looking = user;
    sqlite3_file *file = file_of(looking->source);
    if (!file || page == 0 || page > looking->source->pages)
        return WR_EMPTY;
    const uint32_t page_bytes = looking->source->scan.page_bytes;
    const int code = file->pMethods->xRead(file, bytes, (int)page_bytes, (sqlite3_int64)(page - 1) * page_bytes);
    if (code == SQLITE_IOERR_NOMEM)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a page");
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) {
        memset(bytes, 0, page_bytes);
        looking->source->missed = true;
    }
    return WR_OK;
}

static enum wr_result found_row(void *user, const struct wr_page_row *row, struct wr_error *err) {
    struct looking *looking = user;
    count_shown(looking->source, row);
    return looking->visitor ? looking->visitor->row(looking->visitor->user, row, err) : WR_OK;
}

static enum wr_result found_damaged(void *user) {
    struct looking *looking = user;
    return looking->visitor ? looking->visitor->damaged(looking->visitor->user) : WR_OK;
}

/* Only where the table itself could not be read. */
static enum wr_result found_account(void *user, int64_t id, const struct wr_account *name, struct wr_error *err) {
    struct wr_salvage_source *source = ((struct looking *)user)->source;
    uint32_t index;
    if (id <= 0 || source->old.n_accounts >= WR_LEDGER_ACCOUNTS_MAX || wr_salvage_source_account(source, (uint64_t)id))
        return WR_OK;
    if (wr_ledger_find(&source->old, name, &index) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the accounts of a broken store");
    source->old.accounts[index].id = id;
    return WR_OK;
}

static enum wr_result found_boot(void *user, const struct wr_page_boot *boot, struct wr_error *err) {
    (void)err;
    note_boot(((struct looking *)user)->source, boot);
    return WR_OK;
}

/* Those that SQLite cannot show are made with the store, so they begin in its first pages: before the first row is shown, and again after a restart. */
static enum wr_result look_for_tables(struct wr_salvage_source *source, struct wr_error *err) {
    struct looking looking = {.source = source};
    const struct wr_page_visitor pages = {&looking, read_page, found_row, found_damaged, found_account, found_boot};
    for (uint32_t page = 1; page <= WR_SALVAGE_PAGES && page <= source->pages && !source->looked_for_tables; page++)
        WR_TRY(wr_page_scan_page(&source->scan, page, &pages, err));
    source->looked_for_tables = true;
    return WR_OK;
}

static enum wr_result show_by_page(struct wr_salvage_source *source, struct wr_salvage_position *position,
                                   const struct wr_salvage_visitor *visitor, struct wr_error *err) {
    struct looking looking = {.source = source, .visitor = visitor};
    const struct wr_page_visitor pages = {&looking, read_page, found_row, found_damaged, found_account, found_boot};
    for (int i = 0; i < WR_SALVAGE_PAGES && !has_shown_enough(source); i++) {
        if (position->at >= source->pages)
            return WR_EMPTY;
        WR_TRY(wr_page_scan_page(&source->scan, (uint32_t)position->at + 1, &pages, err));
        position->at++;
    }
    return WR_OK;
}

/* Accounts and boots are asked for when it is known how. */
static enum wr_result pass_account(void *user, int64_t id, const struct wr_account *name, struct wr_error *err) {
    (void)user, (void)id, (void)name, (void)err;
    return WR_OK;
}

static enum wr_result pass_boot(void *user, const struct wr_page_boot *boot, struct wr_error *err) {
    (void)user, (void)boot, (void)err;
    return WR_OK;
}

/* Where the first page and its copy are gone: the size that shows more whole rows. Both may show some: those that begin early on a page. */
static enum wr_result guess_page_bytes(struct wr_salvage_source *source, struct wr_error *err) {
    static const uint32_t sizes[] = {WR_STORE_PAGE_BYTES, WR_STORE_PAGE_BYTES_MAX};
    uint32_t best = sizes[0];
    uint32_t most = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct looking looking = {.source = source};
        const struct wr_page_visitor pages = {&looking, read_page, found_row, found_damaged, pass_account, pass_boot};
        source->shown = 0;
        measure(source, sizes[i]);
        for (uint32_t page = 1; page <= GUESS_BYTES / sizes[i] && page <= source->pages; page++)
            WR_TRY(wr_page_scan_page(&source->scan, page, &pages, err));
        if (source->shown > most) {
            most = source->shown;
            best = sizes[i];
        }
    }
    measure(source, best);
    return WR_OK;
}

enum wr_result wr_salvage_source_open(const char *file, const char *vfs, struct wr_salvage_source **ret_source, struct wr_error *err) {
    struct wr_salvage_source *source = calloc(1, sizeof *source);
    if (!source || !(source->old.file = strdup(file))) {
        free(source);
        return wr_error_set(err, WR_NO_MEMORY, "no memory to salvage %s", file);
    }
    source->old.options.vfs = vfs;
    if (wr_page_one_is_missed(file))
        (void)!wr_page_one_restore(file); /* before SQLite sees an empty file, and throws its WAL away */
    enum wr_result result = connect(source, err);
    if (result == WR_OK)
        result = unless_damaged(read_what_is_known(source, err));
    if (result != WR_OK) {
        wr_salvage_source_close(source);
        return result == WR_NO_MEMORY
                   ? result
                   : wr_error_set(err, WR_IO, "%s cannot be opened", file); /* never corrupt: that is said of the present store */
    }
    const uint32_t page_bytes = wr_page_one_size(file);
    measure(source, page_bytes > 0 ? page_bytes : WR_STORE_PAGE_BYTES);
    if (page_bytes == 0)
        result = guess_page_bytes(source, err);
    if (result == WR_OK && !source->knows_boots)
        result = look_for_tables(source, err);
    if (result != WR_OK)
        wr_salvage_source_close(source);
    else
        *ret_source = source;
    return result;
}

enum wr_result wr_salvage_source_show(struct wr_salvage_source *source, struct wr_salvage_position *position,
                                      const struct wr_salvage_visitor *visitor, struct wr_error *err) {
    source->shown = 0;
    source->shown_bytes = 0;
    source->by_page = position->by_page;
    if (!position->keys_shown)
        return show_keys(source, position, visitor, err);
    if (!position->by_page && source->next) {
        bool damaged = false;
        const enum wr_result result = show_by_id(source, position, visitor, &damaged, err);
        if (!damaged)
            return result;
    }
    source->by_page = true;
    if (!position->by_page) {
        position->by_page = true;
        position->at = 0;
    }
    WR_TRY(look_for_tables(source, err));
    return show_by_page(source, position, visitor, err);
}
