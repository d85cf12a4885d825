/* A store without a database, and how it gets one.
 *
 * Books: those that are kept meanwhile stay by themselves until a database is open, with its own books loaded and what an unclean stop took
 * booked in them alone: the readings that the engine has open now are no part of that loss. Only then the two are added, account by account. */
#include <stdlib.h>
#include <string.h>

#include "store/ledger_check.h"
#include "store/store_private.h"

struct wr_books_apart wr_books_take_out(struct wr_store *store) {
    const struct wr_books_apart books = {store->accounts, store->n_accounts, store->map, store->n_map};
    store->accounts = NULL;
    store->n_accounts = 0;
    store->map = NULL;
    store->n_map = 0;
    return books;
}

void wr_books_put_back(struct wr_store *store, const struct wr_books_apart *books) {
    free(store->accounts);
    store->accounts = books->accounts;
    store->n_accounts = books->n_accounts;
    store->map = books->map;
    store->n_map = books->n_map;
}

void wr_books_add_up(struct wr_stored_account *into, const struct wr_stored_account *from) {
    for (unsigned book = 0; book < WR_BOOKS; book++) {
        into->kept[book] += from->kept[book];
        into->counted[book] += from->counted[book];
    }
    into->doubted |= from->doubted;
    for (unsigned book = 0; book < WR_GAP_BOOKS; book++) {
        into->told_stored &= from->told[book] == 0; /* the sum is not what stands in the table */
        into->telling[book] = into->told[book] += from->told[book];
    }
}

static bool is_empty(const struct wr_stored_account *account) {
    bool empty = true;
    for (unsigned book = 0; book < WR_BOOKS; book++)
        empty &= account->kept[book] + account->counted[book] == 0;
    return empty;
}

/* What waits in memory is of the same accounts as before. */
static void renumber(struct wr_store *store, const uint32_t *index, uint32_t n) {
    for (uint32_t number = 0; number < store->n_map; number++)
        if (store->map[number] < n)
            store->map[number] = index[store->map[number]];
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_open_segment *open = &store->lanes[lane].open;
        for (uint32_t i = 0; i < open->n; i++)
            if (open->records[i].account < n)
                open->records[i].account = index[open->records[i].account];
    }
}

enum wr_result wr_books_add(struct wr_store *store, const struct wr_books_apart *books, wr_books_join *join, struct wr_error *err) {
    uint32_t *index = calloc(books->n_accounts ? books->n_accounts : 1, sizeof *index);
    enum wr_result result = index ? WR_OK : WR_NO_MEMORY;
    for (uint32_t i = 0; i < books->n_accounts && result == WR_OK; i++)
        result = wr_ledger_find(store, &books->accounts[i].name, &index[i]);
    if (result != WR_OK) {
        free(index);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger");
    }
    for (uint32_t i = 0; i < books->n_accounts; i++) {
        struct wr_stored_account *account = &store->accounts[index[i]];
        account->length_ns = books->accounts[i].length_ns;
        account->length_known = books->accounts[i].length_known;
        join(account, &books->accounts[i]);
        if (!is_empty(&books->accounts[i]))
            store->books_since_boot_ns = INT64_MIN; /* on disk with the very next commit */
    }
    store->map = books->map;
    store->n_map = books->n_map;
    renumber(store, index, books->n_accounts);
    free(books->accounts);
    free(index);
    return WR_OK;
}

bool wr_store_is_without(const struct wr_store *store) {
    return store->without;
}

enum wr_result wr_store_attach(struct wr_store *store, const struct wr_now *now, struct wr_store_report *ret_report, struct wr_error *err) {
    if (!store->without)
        return wr_error_set(err, WR_INVALID, "the store has a database");
    const struct wr_books_apart since = wr_books_take_out(store);
    enum wr_result result = wr_store_take_up(store, now, err);
    if (result == WR_OK)
        result = wr_books_add(store, &since, wr_books_add_up, err);
    if (result != WR_OK) {
        wr_books_put_back(store, &since);
        wr_store_let_go(store);
        return wr_error_wrap(err, "store %s", store->directory);
    }
    store->without = false;
    wr_reopen_attached(store);
    store->gaps.looked_wall_ns = store->last_wall_ns;
    wr_gaps_look(store, now);
    wr_store_show(store);
    store->found.losses = store->losses;
    store->found.doubted_accounts = wr_ledger_check_doubted(store);
    store->found.reserved_bytes = atomic_load_explicit(&store->stats.reserved_bytes, memory_order_relaxed);
    *ret_report = store->found;
    return WR_OK;
}

/* Everything that is kept here is dropped(store) at once: held nowhere, open nowhere. */
void wr_detached_take(struct wr_store *store, const struct wr_handover *handover, uint32_t from, const struct wr_now *now) {
    wr_ledger_count(store, handover->counts, handover->n_counts, now->boot_ns);
    for (uint32_t i = from; i < handover->n; i++) {
        const uint64_t readings = wr_aggregate_readings(&handover->aggregates[i]);
        wr_store_book(store, handover->aggregates[i].account, WR_BOOK_DROPPED_STORE, readings);
        atomic_fetch_add_explicit(&store->stats.dropped_readings, readings, memory_order_relaxed);
    }
}
