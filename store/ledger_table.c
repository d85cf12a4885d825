/* The ledger on disk: accounts by name, and one row for each book that is not zero (or was when the tables were written: books.h).
 *
 * A book's value is kept (former processes, and what the store books) + counted (cumulative, by the engine) + delta (the transaction at
 * hand). Delivered waits in `acked` until a commit saves it, with the acknowledgements that it stands for. */
#include <stdlib.h>
#include <string.h>

#include "core/gap.h"
#include "store/column.h"
#include "store/ledger_check.h"
#include "store/store_private.h"

#define NO_ACCOUNT UINT32_MAX

/* Books that the store itself keeps: counts of others for them are not believed. */
bool wr_ledger_is_own_book(unsigned book) {
    return book == WR_BOOK_STORED || book == WR_BOOK_DELIVERED || book == WR_BOOK_MERGED || book == WR_BOOK_DROPPED_CRASH ||
           book == WR_BOOK_DROPPED_EVICTED || book == WR_BOOK_DROPPED_CORRUPT || book == WR_BOOK_DROPPED_STORE ||
           book == WR_BOOK_DROPPED_EXPIRED || book == WR_BOOK_RECOVERED;
}

uint64_t wr_ledger_value(const struct wr_stored_account *account, unsigned book) {
    uint64_t sum = account->kept[book] + account->counted[book] + account->delta[book];
    return book == WR_BOOK_DELIVERED ? sum + account->acked : sum;
}

static bool is_intake(const struct wr_stored_account *account) {
    return strcmp(account->name.window, WR_LEDGER_INTAKE) == 0;
}

struct wr_stored_account *wr_ledger_account(struct wr_store *store, uint32_t number) {
    if (number >= store->n_map || store->map[number] == NO_ACCOUNT)
        return NULL;
    return &store->accounts[store->map[number]];
}

enum wr_result wr_ledger_find(struct wr_store *store, const struct wr_account *name, uint32_t *ret_index) {
    int64_t highest = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        const struct wr_stored_account *account = &store->accounts[i];
        if (strcmp(account->name.source, name->source) == 0 && strcmp(account->name.window, name->window) == 0) {
            *ret_index = i;
            return WR_OK;
        }
        if (account->id > highest)
            highest = account->id;
    }
    struct wr_stored_account *grown = realloc(store->accounts, (store->n_accounts + 1) * sizeof *grown);
    if (!grown)
        return WR_NO_MEMORY;
    store->accounts = grown;
    grown[store->n_accounts] = (struct wr_stored_account){.name = *name, .id = highest + 1};
    *ret_index = store->n_accounts++;
    return WR_OK;
}

static void restart_counts(struct wr_store *store) {
    for (uint32_t i = 0; i < store->n_accounts; i++)
        for (unsigned book = 0; book < WR_BOOKS; book++) {
            store->accounts[i].kept[book] += store->accounts[i].counted[book];
            store->accounts[i].counted[book] = 0;
        }
}

/* Records in open segments carry indexes of store->accounts, which stay: only what comes after uses the new numbers. */
enum wr_result wr_store_accounts(struct wr_store *store, const struct wr_account *accounts, uint32_t n, bool counts_restart,
                                 struct wr_error *err) {
    if (n > WR_LEDGER_ACCOUNTS_MAX)
        return wr_error_set(err, WR_LIMIT, "%u ledger accounts, at most %d", n, WR_LEDGER_ACCOUNTS_MAX);
    uint32_t *map = calloc(n ? n : 1, sizeof *map);
    if (!map)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %u ledger accounts", n);
    enum wr_result result = WR_OK;
    for (uint32_t i = 0; i < n && result == WR_OK; i++) {
        map[i] = NO_ACCOUNT;
        if (accounts[i].source[0] == 0)
            continue;
        result = wr_ledger_find(store, &accounts[i], &map[i]);
        for (uint32_t k = 0; k < i && result == WR_OK; k++)
            if (map[k] == map[i])
                result = WR_EXISTS;
        if (result != WR_OK)
            (void)wr_error_set(err, result, "ledger account %s/%s: %s", accounts[i].source, accounts[i].window, wr_result_name(result));
    }
    if (result != WR_OK) {
        free(map);
        return result;
    }
    free(store->map);
    store->map = map;
    store->n_map = n;
    if (counts_restart)
        restart_counts(store);
    return WR_OK;
}

size_t wr_store_accounts_bytes(uint32_t n) {
    return n * (sizeof(struct wr_stored_account) + sizeof(uint32_t) + sizeof(struct wr_store_loss));
}

void wr_store_lengths(struct wr_store *store, const int64_t *length_ns, uint32_t n, const struct wr_lengths *all) {
    store->lengths = all ? *all : (struct wr_lengths){0};
    for (uint32_t i = 0; i < n && all; i++) {
        struct wr_stored_account *account = wr_ledger_account(store, i);
        if (!account)
            continue;
        account->length_ns = length_ns[i];
        account->length_known = true;
    }
}

void wr_store_book(struct wr_store *store, uint32_t number, enum wr_book book, uint64_t readings) {
    struct wr_stored_account *account = wr_ledger_account(store, number);
    if (account && (unsigned)book < WR_BOOKS && readings > 0) {
        account->kept[book] += readings;
        store->books_since_boot_ns = INT64_MIN; /* with the very next commit */
    }
}

/* The highest of what was said: a count never goes back. */
void wr_ledger_count(struct wr_store *store, const struct wr_account_count *counts, uint32_t n, int64_t now_ns) {
    for (uint32_t i = 0; i < n; i++) {
        struct wr_stored_account *account = wr_ledger_account(store, counts[i].account);
        uint32_t book = counts[i].book;
        if (!account || book >= WR_BOOKS || wr_ledger_is_own_book(book) || counts[i].readings <= account->counted[book])
            continue;
        account->counted[book] = counts[i].readings;
        if (store->books_since_boot_ns == WR_NEVER_NS)
            store->books_since_boot_ns = now_ns;
    }
}

static enum wr_result load_accounts(struct wr_store *store, sqlite3_stmt *row, struct wr_error *err) {
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK) {
        struct wr_account name = {0};
        const char *source = (const char *)sqlite3_column_text(row, 1);
        const char *window = (const char *)sqlite3_column_text(row, 2);
        strncat(name.source, source ? source : "", sizeof name.source - 1);
        strncat(name.window, window ? window : "", sizeof name.window - 1);
        uint32_t index;
        if (wr_ledger_find(store, &name, &index) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger");
        store->accounts[index].id = sqlite3_column_int64(row, 0);
        store->accounts[index].stored = store->accounts[index].told_stored = true;
    }
    return result == WR_EMPTY ? WR_OK : result;
}

struct wr_stored_account *wr_ledger_by_id(struct wr_store *store, int64_t id) {
    for (uint32_t i = 0; i < store->n_accounts; i++)
        if (store->accounts[i].id == id)
            return &store->accounts[i];
    return NULL;
}

static void load_book(struct wr_stored_account *account, int64_t book, uint64_t readings) {
    if (book >= 0 && book < WR_BOOKS)
        account->kept[book] = account->saved[book] = readings;
    else if (book >= WR_BOOK_TOLD && book < WR_BOOK_TOLD + WR_BOOKS && wr_gap_is_told((unsigned)(book - WR_BOOK_TOLD)))
        account->told[wr_gaps_index((unsigned)(book - WR_BOOK_TOLD))] = account->telling[wr_gaps_index((unsigned)(book - WR_BOOK_TOLD))] =
            readings;
    else if (book == WR_BOOK_CHECK)
        account->check = account->checking = readings;
}

static enum wr_result load_books(struct wr_store *store, sqlite3_stmt *row, struct wr_error *err) {
    uint32_t n_checks = 0;
    enum wr_result result;
    while ((result = wr_sql_row(store, row, err)) == WR_OK) {
        const int64_t id = sqlite3_column_int64(row, 0);
        const int64_t book = sqlite3_column_int64(row, 1);
        struct wr_stored_account *account = wr_ledger_by_id(store, id);
        if (!account)
            WR_TRY(wr_ledger_check_orphan(store, id, &account, err));
        load_book(account, book, (uint64_t)sqlite3_column_int64(row, 2));
        n_checks += book == WR_BOOK_CHECK;
    }
    return result == WR_EMPTY ? wr_ledger_check_all(store, n_checks, err) : result;
}

static enum wr_result load_with(struct wr_store *store, const char *sql,
                                enum wr_result (*load)(struct wr_store *, sqlite3_stmt *, struct wr_error *), struct wr_error *err) {
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &row, NULL);
    enum wr_result result = code == SQLITE_OK ? load(store, row, err) : wr_sql_failed(store->db, code, sql, err);
    sqlite3_finalize(row);
    return result;
}

enum wr_result wr_ledger_load(struct wr_store *store, struct wr_error *err) {
    WR_TRY(load_with(store, "SELECT id, source, window FROM account", load_accounts, err));
    return load_with(store, "SELECT account, reason, readings FROM ledger", load_books, err);
}

static enum wr_result save_account(struct wr_store *store, struct wr_stored_account *account, struct wr_error *err) {
    if (account->stored)
        return WR_OK;
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_ACCOUNT_PUT);
    sqlite3_bind_int64(statement, 1, account->id);
    sqlite3_bind_text(statement, 2, account->name.source, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, account->name.window, -1, SQLITE_STATIC);
    return wr_sql_run(store, statement, err);
}

enum wr_result wr_ledger_save_accounts(struct wr_store *store, struct wr_error *err) {
    for (uint32_t i = 0; i < store->n_accounts; i++)
        WR_TRY(save_account(store, &store->accounts[i], err));
    return WR_OK;
}

static enum wr_result put_row(struct wr_store *store, int64_t account, unsigned book, uint64_t readings, struct wr_error *err) {
    sqlite3_stmt *statement = wr_sql_use(store, WR_SQL_LEDGER_PUT);
    sqlite3_bind_int64(statement, 1, account);
    sqlite3_bind_int(statement, 2, (int)book);
    sqlite3_bind_int64(statement, 3, (int64_t)readings);
    return wr_sql_run(store, statement, err);
}

static enum wr_result save_told(struct wr_store *store, const struct wr_stored_account *account, struct wr_error *err) {
    for (unsigned i = 0; i < WR_GAP_BOOKS; i++)
        if (account->telling[i] != account->told[i] || (!account->told_stored && account->telling[i] > 0))
            WR_TRY(put_row(store, account->id, WR_BOOK_TOLD + wr_gaps_book(i), account->telling[i], err));
    return WR_OK;
}

static enum wr_result save_check(struct wr_store *store, struct wr_stored_account *account, struct wr_error *err) {
    account->checking = wr_ledger_check_of(account);
    return account->checking != account->check ? put_row(store, account->id, WR_BOOK_CHECK, account->checking, err) : WR_OK;
}

enum wr_result wr_ledger_save(struct wr_store *store, struct wr_error *err) {
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        const struct wr_stored_account *account = &store->accounts[i];
        for (unsigned book = 1; book < WR_BOOKS; book++) {
            uint64_t readings = wr_ledger_value(account, book);
            if (readings != account->saved[book])
                WR_TRY(put_row(store, account->id, book, readings, err));
        }
        WR_TRY(save_told(store, account, err));
        WR_TRY(save_check(store, &store->accounts[i], err));
    }
    return WR_OK;
}

void wr_ledger_committed(struct wr_store *store, bool tables) {
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        struct wr_stored_account *account = &store->accounts[i];
        account->stored = true;
        account->told_stored |= tables;
        account->check = tables ? account->checking : account->check;
        memcpy(account->told, account->telling, sizeof account->told);
        for (unsigned book = 1; book < WR_BOOKS; book++) {
            if (tables)
                account->saved[book] = wr_ledger_value(account, book);
            account->kept[book] += account->delta[book];
            account->delta[book] = 0;
        }
        account->kept[WR_BOOK_DELIVERED] += account->acked;
        account->acked = 0;
    }
    store->books_since_boot_ns = WR_NEVER_NS;
}

void wr_ledger_rolled_back(struct wr_store *store) {
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        memset(store->accounts[i].delta, 0, sizeof store->accounts[i].delta);
        memcpy(store->accounts[i].telling, store->accounts[i].told, sizeof store->accounts[i].told);
    }
}

enum walk_as { AS_BOOK, AS_ACKED, AS_SUM };

static uint64_t walk_list(struct wr_store *store, const uint8_t *list, size_t len, unsigned book, enum walk_as as) {
    struct wr_cursor cursor = {list, list + len, false};
    uint64_t sum = 0;
    while (len > 0 && cursor.at < cursor.end) {
        uint64_t id = wr_get_varint(&cursor);
        uint64_t readings = wr_get_varint(&cursor);
        struct wr_stored_account *account = cursor.bad || id > INT64_MAX ? NULL : wr_ledger_by_id(store, (int64_t)id);
        if (!account)
            continue; /* a damaged list ends or names nobody */
        *(as == AS_ACKED ? &account->acked : as == AS_SUM ? &account->in_segment : &account->delta[book]) += readings;
        sum += readings;
    }
    return sum;
}

uint64_t wr_ledger_book_list(struct wr_store *store, const uint8_t *list, size_t len, enum wr_book book) {
    return walk_list(store, list, len, book, AS_BOOK);
}

void wr_ledger_sum_list(struct wr_store *store, const uint8_t *list, size_t len) {
    (void)walk_list(store, list, len, 0, AS_SUM);
}

uint64_t wr_ledger_ack_list(struct wr_store *store, const uint8_t *list, size_t len) {
    return walk_list(store, list, len, 0, AS_ACKED);
}

static void balance_of(const struct wr_stored_account *account, struct wr_account_balance *balance) {
    *balance = (struct wr_account_balance){.account = account->name, .doubted = account->doubted};
    for (unsigned book = 0; book < WR_BOOKS; book++)
        balance->books[book] = wr_ledger_value(account, book);
}

enum wr_result wr_ledger_book_crash(struct wr_store *store, uint32_t *ret_n, uint64_t *ret_readings, struct wr_error *err) {
    free(store->losses);
    store->losses = calloc(store->n_accounts ? store->n_accounts : 1, sizeof *store->losses);
    if (!store->losses)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger");
    uint32_t n = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        struct wr_account_balance balance;
        uint64_t left;
        uint64_t right;
        balance_of(&store->accounts[i], &balance);
        (void)wr_balance_check(&balance, &left, &right);
        if (left <= right)
            continue;
        store->accounts[i].kept[WR_BOOK_DROPPED_CRASH] += left - right;
        store->losses[n++] = (struct wr_store_loss){balance.account, left - right};
        sum += left - right;
    }
    *ret_n = n;
    *ret_readings = sum;
    return WR_OK;
}

void wr_ledger_start_over(struct wr_store *store) {
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        struct wr_stored_account *account = &store->accounts[i];
        memset(account->delta, 0, sizeof account->delta);
        memset(account->saved, 0, sizeof account->saved);
        account->kept[WR_BOOK_DELIVERED] += account->acked;
        account->acked = 0;
        account->stored = account->told_stored = false;
        account->check = 0;
        struct wr_account_balance balance;
        balance_of(account, &balance);
        uint64_t held = is_intake(account) ? 0 : wr_balance_held(&balance);
        account->kept[WR_BOOK_STORED] -= held;
        account->kept[WR_BOOK_DROPPED_STORE] += held;
    }
}

bool wr_ledger_waits(const struct wr_store *store) {
    return store->books_since_boot_ns != WR_NEVER_NS;
}

static void add_open(const struct wr_store *store, struct wr_account_balance *balances) {
    for (int lane = 0; lane < WR_LANES; lane++) {
        const struct wr_open_segment *open = &store->lanes[lane].open;
        for (uint32_t i = 0; i < open->n; i++)
            if (open->records[i].account < store->n_accounts)
                balances[open->records[i].account].open += wr_aggregate_readings(&open->records[i]);
    }
}

enum wr_result wr_store_balances(const struct wr_store *store, struct wr_account_balance **ret_balances, uint32_t *ret_n) {
    struct wr_account_balance *balances = calloc(store->n_accounts ? store->n_accounts : 1, sizeof *balances);
    if (!balances)
        return WR_NO_MEMORY;
    for (uint32_t i = 0; i < store->n_accounts; i++)
        balance_of(&store->accounts[i], &balances[i]);
    add_open(store, balances);
    *ret_balances = balances;
    *ret_n = store->n_accounts;
    return WR_OK;
}
