/* Ledger records (core/ledger_record.h): what the books say, told upstream at the start and then every `ledger_every`.
 *
 * A record goes in as the last thing of its transaction, so that it states all that this one stores: the cut is its own seq. In an epoch that is empty
 * it goes in first, before the first segment: there it says what the books had when the epoch began (a broken store's books go on in the next), and
 * the readings of all segments of the epoch can be told from it. A stop writes none: nothing would send it before the next start, which writes one. */
#include "core/ledger_record.h"

#include "store/records.h"
#include "store/store_private.h"

static bool is_empty(const struct wr_stored_account *account) {
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (wr_ledger_value(account, book) > 0)
            return false;
    return true;
}

static void put_account(struct wr_json *json, const struct wr_stored_account *account) {
    uint64_t books[WR_BOOKS];
    for (unsigned book = 0; book < WR_BOOKS; book++)
        books[book] = wr_ledger_value(account, book);
    wr_ledger_record_account(json, &account->name, books);
}

/* One record, with the accounts from *at on. */
static enum wr_result put_record(struct wr_records *records, int64_t cut, uint32_t of, uint32_t *at, struct wr_error *err) {
    const struct wr_store *store = records->store;
    const int64_t time_ns = records->now->wall_ns;
    struct wr_buf text;
    struct wr_json json;
    wr_buf_init(&text, WR_STORE_ALARM_BYTES);
    wr_ledger_record_begin(&json, &text, cut, store->epoch, time_ns, of);
    for (uint32_t n = 0; *at < store->n_accounts && n < WR_LEDGER_RECORD_ACCOUNTS; (*at)++) {
        if (is_empty(&store->accounts[*at]))
            continue;
        put_account(&json, &store->accounts[*at]);
        n++;
    }
    enum wr_result result = wr_ledger_record_end(&json);
    result = result == WR_OK ? wr_records_put(records, &text, time_ns, time_ns, err)
                             : wr_error_set(err, result, "a ledger record: %s", wr_result_name(result));
    wr_buf_fini(&text);
    return result;
}

void wr_totals_start(struct wr_store *store) {
    store->totals_due_ns = store->options.ledger_every_ns > 0 ? INT64_MIN : WR_NEVER_NS;
}

int64_t wr_totals_due(const struct wr_store *store) {
    return wr_records_pause(store) ? WR_NEVER_NS : store->totals_due_ns;
}

enum wr_result wr_totals_put(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    if (store->txn.totals || wr_totals_due(store) > now->boot_ns)
        return WR_OK;
    const int64_t cut = store->txn.next_seq;
    struct wr_records records;
    uint32_t of = 0;
    uint32_t at = 0;
    enum wr_result result = WR_OK;
    for (uint32_t i = 0; i < store->n_accounts; i++)
        of += !is_empty(&store->accounts[i]);
    wr_records_begin(&records, store, now);
    do
        result = put_record(&records, cut, of, &at, err);
    while (result == WR_OK && at < store->n_accounts);
    WR_TRY(wr_records_end(&records, result, err));
    store->txn.totals = true;
    return WR_OK;
}

void wr_totals_committed(struct wr_store *store, const struct wr_now *now) {
    store->totals_due_ns = wr_clock_add_ns(now->boot_ns, store->options.ledger_every_ns);
}
