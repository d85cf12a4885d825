/* Counts of budgets, kept for whoever spends: docs/store-format.md, key `counts` of the table meta.
 *
 * When: with whatever commits the tables anyway; else with any commit that finds one older than half of WR_STORE_COUNTS_AGE_NS; else in a commit of its own once it is that
 * old. One that is urgent waits a second. So a kill forgets what was spent in the last minute, and the disk is written once a minute at most. */
#include <endian.h>
#include <string.h>

#include "store/store_private.h"

#define FIELDS 4
#define BLOB_BYTES (WR_STORE_COUNTS * FIELDS * 8)

void wr_store_count_put(struct wr_store *store, unsigned place, const struct wr_budget_count *count, bool urgent,
                        const struct wr_now *now) {
    store->counts[place] = *count;
    if (store->counts_since_boot_ns == WR_NEVER_NS)
        store->counts_since_boot_ns = now->boot_ns;
    store->counts_urgent |= urgent;
}

struct wr_budget_count wr_store_count(const struct wr_store *store, unsigned place) {
    return store->counts[place];
}

/* What was in memory goes into a database that knows nothing of it. */
void wr_counts_start_over(struct wr_store *store) {
    static const struct wr_budget_count none[WR_STORE_COUNTS];
    if (memcmp(store->counts, none, sizeof none) != 0)
        store->counts_since_boot_ns = 0;
}

bool wr_counts_wait(const struct wr_store *store) {
    return store->counts_since_boot_ns != WR_NEVER_NS;
}

int64_t wr_counts_due(const struct wr_store *store) {
    if (!wr_counts_wait(store))
        return WR_NEVER_NS;
    return wr_clock_add_ns(store->counts_since_boot_ns, store->counts_urgent ? WR_NS_PER_S : WR_STORE_COUNTS_AGE_NS);
}

static void put64(uint8_t *at, uint64_t value) {
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint64_t get64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static enum wr_result write_blob(struct wr_store *store, struct wr_error *err) {
    uint8_t blob[BLOB_BYTES];
    for (size_t i = 0; i < WR_STORE_COUNTS; i++) {
        const struct wr_budget_count *count = &store->counts[i];
        put64(blob + (i * FIELDS + 0) * 8, count->spent);
        put64(blob + (i * FIELDS + 1) * 8, (uint64_t)count->begins_wall_ns);
        put64(blob + (i * FIELDS + 2) * 8, (uint64_t)count->ends_wall_ns);
        put64(blob + (i * FIELDS + 3) * 8, (uint64_t)count->counted_ns);
    }
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_META_PUT);
    sqlite3_bind_text(statement, 1, "counts", -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, blob, sizeof blob, SQLITE_STATIC);
    const enum wr_result result = wr_sql_run(store, statement, err);
    sqlite3_clear_bindings(statement);
    return result;
}

enum wr_result wr_counts_save(struct wr_store *store, bool must, const struct wr_now *now, struct wr_error *err) {
    const bool own = wr_thrift_save(store, must || store->txn.tables, now);
    if (!wr_counts_wait(store) && !own)
        return WR_OK;
    const bool old = own || now->boot_ns >= wr_clock_add_ns(store->counts_since_boot_ns, WR_STORE_COUNTS_AGE_NS / 2);
    if (!must && !store->txn.tables && !store->counts_urgent && !old)
        return WR_OK;
    store->txn.counts = true;
    return write_blob(store, err);
}

void wr_counts_committed(struct wr_store *store) {
    store->counts_since_boot_ns = WR_NEVER_NS;
    store->counts_urgent = false;
    wr_thrift_saved(store);
}

static void read_blob(struct wr_store *store, const uint8_t *blob) {
    for (size_t i = 0; i < WR_STORE_COUNTS; i++)
        store->counts[i] = (struct wr_budget_count){
            .spent = get64(blob + (i * FIELDS + 0) * 8),
            .begins_wall_ns = (int64_t)get64(blob + (i * FIELDS + 1) * 8),
            .ends_wall_ns = (int64_t)get64(blob + (i * FIELDS + 2) * 8),
            .counted_ns = (int64_t)get64(blob + (i * FIELDS + 3) * 8),
        };
}

enum wr_result wr_counts_load(struct wr_store *store, struct wr_error *err) {
    sqlite3_stmt *row = NULL;
    const int code = sqlite3_prepare_v2(store->db, "SELECT value FROM meta WHERE key = 'counts'", -1, &row, NULL);
    if (code != SQLITE_OK)
        return wr_sql_failed(store->db, code, "reading the counts", err);
    const enum wr_result result = wr_sql_row(store, row, err);
    if (result == WR_OK && sqlite3_column_bytes(row, 0) == BLOB_BYTES) /* else of another version: it begins anew */
        read_blob(store, sqlite3_column_blob(row, 0));
    sqlite3_finalize(row);
    return result == WR_EMPTY ? WR_OK : result;
}
