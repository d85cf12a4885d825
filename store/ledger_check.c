#include "store/ledger_check.h"

#include <stdio.h>
#include <string.h>

#include "store/crc32c.h"
#include "store/store_private.h"

#define IS_CRC (UINT64_C(1) << 32)  /* beside the CRC, so that none is 0 */
#define DOUBTED (UINT64_C(1) << 33) /* in place of one */

static uint32_t add(uint32_t crc, uint64_t number) {
    uint8_t bytes[sizeof number];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    return wr_crc32c(crc, bytes, sizeof bytes);
}

static uint32_t add_book(uint32_t crc, unsigned book, uint64_t readings, bool *any) {
    *any |= readings > 0;
    return readings > 0 ? add(add(crc, book), readings) : crc; /* a row with 0 is as good as none */
}

uint64_t wr_ledger_check_of(const struct wr_stored_account *account) {
    bool any = account->check != 0;
    uint32_t crc = add(0, (uint64_t)account->id);
    crc = wr_crc32c(crc, account->name.source, strlen(account->name.source) + 1);
    crc = wr_crc32c(crc, account->name.window, strlen(account->name.window) + 1);
    for (unsigned book = 1; book < WR_BOOKS; book++)
        crc = add_book(crc, book, wr_ledger_value(account, book), &any);
    for (unsigned i = 0; i < WR_GAP_BOOKS; i++)
        crc = add_book(crc, WR_BOOK_TOLD + wr_gaps_book(i), account->telling[i], &any);
    if (account->doubted)
        return DOUBTED;
    return any ? IS_CRC | crc : 0;
}

enum wr_result wr_ledger_check_save(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    int64_t checks = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++)
        checks += store->accounts[i].checking != 0;
    WR_TRY(wr_sql_meta_put(store, "checks", checks, err));
    return wr_sql_meta_put(store, "checked", now->wall_ns, err);
}

enum wr_result wr_ledger_check_orphan(struct wr_store *store, int64_t id, struct wr_stored_account **ret_account, struct wr_error *err) {
    struct wr_account name = {.source = "unknown"};
    uint32_t index;
    if (store->n_accounts < WR_LEDGER_ACCOUNTS_MAX) /* else the last of them stands for the rest */
        snprintf(name.window, sizeof name.window, "%lld", (long long)id);
    if (wr_ledger_find(store, &name, &index) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the ledger");
    struct wr_stored_account *account = &store->accounts[index];
    if (id > 0 && name.window[0] != 0)
        account->id = id;
    account->doubted = true;
    *ret_account = account;
    return WR_OK;
}

enum wr_result wr_ledger_check_number(struct wr_store *store, int64_t *ret_checks, struct wr_error *err) {
    static const char sql[] = "SELECT value FROM meta WHERE key = 'checks' AND (SELECT value FROM meta WHERE key = 'checked')"
                              " = (SELECT value FROM meta WHERE key = 'wall_ns')";
    const enum wr_result result = wr_sql_integer(store->db, sql, ret_checks, err);
    if (result != WR_NOT_FOUND)
        return result;
    *ret_checks = -1;
    return WR_OK;
}

enum wr_result wr_ledger_check_all(struct wr_store *store, uint32_t n_rows, struct wr_error *err) {
    int64_t checks = 0;
    WR_TRY(wr_ledger_check_number(store, &checks, err));
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        struct wr_stored_account *account = &store->accounts[i];
        account->doubted |= account->check == DOUBTED || (checks >= 0 && account->check != wr_ledger_check_of(account));
    }
    if (checks < 0 || checks == n_rows)
        return WR_OK;
    struct wr_stored_account *missing;
    return wr_ledger_check_orphan(store, 0, &missing, err);
}

uint32_t wr_ledger_check_doubted(const struct wr_store *store) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++)
        n += store->accounts[i].doubted;
    return n;
}
