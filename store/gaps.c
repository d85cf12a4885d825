/* Gap records: what the books know as dropped, or as recovered, and no record has told yet, as lane-0 segments.
 *
 * The books are the truth: a gap is the difference between such a book and what was told of it. What was told stands in the ledger table
 * under WR_BOOK_TOLD + book, written in the transaction of the record; so a crash in between tells it later, never twice. The first loss
 * waits WR_STORE_GAPS_FIRST_NS, so that an outage is some records and not thousands; while losses go on, the wait doubles. */
#include <string.h>

#include "core/gap.h"
#include "store/records.h"
#include "store/store_private.h"

static uint64_t untold(const struct wr_stored_account *account, unsigned book) {
    const uint64_t dropped = wr_ledger_value(account, book);
    const uint64_t told = account->told[wr_gaps_index(book)];
    return dropped > told ? dropped - told : 0;
}

static uint64_t all_untold(const struct wr_store *store, unsigned book) {
    uint64_t readings = 0;
    for (uint32_t i = 0; i < store->n_accounts; i++)
        readings += untold(&store->accounts[i], book);
    return readings;
}

void wr_gaps_span(struct wr_store *store, enum wr_book book, int64_t t0_ns, int64_t t1_ns) {
    struct wr_gap_span *span = &store->gaps.spans[wr_gaps_index(book)];
    if (t0_ns <= 0 || t1_ns < t0_ns)
        return;
    if (!span->known || t0_ns < span->from_ns)
        span->from_ns = t0_ns;
    if (!span->known || t1_ns > span->to_ns)
        span->to_ns = t1_ns;
    span->known = true;
}

static void wait_for_more(struct wr_gaps *gaps, int64_t now_ns) {
    const bool goes_on = gaps->told_boot_ns != WR_NEVER_NS && now_ns - gaps->told_boot_ns < 2 * gaps->wait_ns;
    gaps->wait_ns = !goes_on || gaps->wait_ns == 0 ? WR_STORE_GAPS_FIRST_NS : 2 * gaps->wait_ns;
    if (gaps->wait_ns > WR_STORE_GAPS_LAST_NS)
        gaps->wait_ns = WR_STORE_GAPS_LAST_NS;
    gaps->due_ns = wr_clock_add_ns(now_ns, gaps->wait_ns);
}

void wr_gaps_look(struct wr_store *store, const struct wr_now *now) {
    struct wr_gaps *gaps = &store->gaps;
    for (unsigned i = 0; i < WR_GAP_BOOKS; i++) {
        const unsigned book = wr_gaps_book(i);
        const uint64_t readings = wr_gap_is_told(book) ? all_untold(store, book) : 0;
        struct wr_gap_span *span = &gaps->spans[wr_gaps_index(book)];
        if (readings == span->readings)
            continue;
        if (span->readings == 0)
            span->since_ns = gaps->looked_wall_ns;
        span->until_ns = now->wall_ns;
        span->readings = readings;
        if (gaps->due_ns == WR_NEVER_NS)
            wait_for_more(gaps, now->boot_ns);
    }
    gaps->looked_wall_ns = now->wall_ns;
}

int64_t wr_gaps_due(const struct wr_store *store) {
    return wr_records_pause(store) ? WR_NEVER_NS : store->gaps.due_ns;
}

/* The head of a record about a book: the readings' own times, or when it was booked. */
static void begin_record(const struct wr_store *store, unsigned book, struct wr_gap *gap) {
    const struct wr_gap_span *span = &store->gaps.spans[wr_gaps_index(book)];
    gap->book = (enum wr_book)book;
    gap->at_least = book == WR_BOOK_DROPPED_CRASH;
    gap->from_ns = span->known ? span->from_ns : span->since_ns;
    gap->to_ns = span->known ? span->to_ns : span->until_ns;
    (void)wr_walls_start(store, &gap->from_ns, 0);
    (void)wr_walls_start(store, &gap->to_ns, 0);
    if (gap->from_ns == 0 || gap->from_ns > gap->to_ns)
        gap->from_ns = gap->to_ns; /* the clock was set back meanwhile, or nobody knows since when */
    gap->n = 0;
}

static enum wr_result put_record(struct wr_records *records, const struct wr_gap *gap, struct wr_error *err) {
    struct wr_buf text;
    wr_buf_init(&text, WR_STORE_ALARM_BYTES);
    enum wr_result result = wr_gap_to_json(gap, &text);
    result = result == WR_OK ? wr_records_put(records, &text, gap->from_ns, gap->to_ns, err)
                             : wr_error_set(err, result, "a gap record: %s", wr_result_name(result));
    wr_buf_fini(&text);
    return result;
}

static enum wr_result tell_book(struct wr_records *records, unsigned book, struct wr_error *err) {
    struct wr_store *store = records->store;
    struct wr_gap gap;
    begin_record(store, book, &gap);
    for (uint32_t i = 0; i < store->n_accounts; i++) {
        struct wr_stored_account *account = &store->accounts[i];
        const uint64_t readings = untold(account, book);
        if (readings == 0)
            continue;
        gap.accounts[gap.n++] = (struct wr_gap_account){&account->name, readings, wr_ledger_value(account, book)};
        account->telling[wr_gaps_index(book)] = wr_ledger_value(account, book); /* the ledger is saved in the same transaction */
        if (gap.n == WR_GAP_ACCOUNTS) {
            WR_TRY(put_record(records, &gap, err));
            gap.n = 0;
        }
    }
    return gap.n > 0 ? put_record(records, &gap, err) : WR_OK;
}

enum wr_result wr_gaps_put(struct wr_store *store, const struct wr_now *now, struct wr_error *err) {
    struct wr_records records;
    enum wr_result result = WR_OK;
    wr_records_begin(&records, store, now);
    for (unsigned i = 0; i < WR_GAP_BOOKS && result == WR_OK; i++)
        if (wr_gap_is_told(wr_gaps_book(i)))
            result = tell_book(&records, wr_gaps_book(i), err);
    return wr_records_end(&records, result, err);
}

void wr_gaps_committed(struct wr_store *store, const struct wr_now *now) {
    struct wr_gaps *gaps = &store->gaps;
    memset(gaps->spans, 0, sizeof gaps->spans);
    gaps->told_boot_ns = now->boot_ns;
    gaps->due_ns = WR_NEVER_NS;
}
