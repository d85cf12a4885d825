#include "agent/receive/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"

void wr_audit_init(struct wr_audit *audit) {
    *audit = (struct wr_audit){0};
}

void wr_audit_fini(struct wr_audit *audit) {
    free(audit->epochs);
    free(audit->losses);
    *audit = (struct wr_audit){0};
}

struct wr_audit_epoch *wr_audit_add_epoch(struct wr_audit *audit) {
    struct wr_audit_epoch *grown = realloc(audit->epochs, (audit->n + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    audit->epochs = grown;
    grown[audit->n] = (struct wr_audit_epoch){0};
    return &grown[audit->n++];
}

static bool same_loss(const struct wr_audit_loss *a, const struct wr_audit_loss *b) {
    return strcmp(a->node, b->node) == 0 && strcmp(a->reason, b->reason) == 0 && strcmp(a->account.source, b->account.source) == 0 &&
           strcmp(a->account.window, b->account.window) == 0;
}

enum wr_result wr_audit_add_loss(struct wr_audit *audit, const struct wr_audit_loss *loss) {
    for (size_t i = 0; i < audit->n_losses; i++) {
        struct wr_audit_loss *known = &audit->losses[i];
        if (!same_loss(known, loss))
            continue;
        known->readings += loss->readings;
        known->from_ns = loss->from_ns < known->from_ns ? loss->from_ns : known->from_ns;
        known->to_ns = loss->to_ns > known->to_ns ? loss->to_ns : known->to_ns;
        return WR_OK;
    }
    struct wr_audit_loss *grown = realloc(audit->losses, (audit->n_losses + 1) * sizeof *grown);
    if (!grown)
        return WR_NO_MEMORY;
    audit->losses = grown;
    grown[audit->n_losses++] = *loss;
    return WR_OK;
}

/* -- the verdict ------------------------------------------------------------------------------------------------------------------------------ */

static uint64_t above(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

/* What is dropped before it is stored. */
static bool is_before_store(unsigned book) {
    return wr_book_is_dropped(book) && !wr_book_leaves_store(book);
}

static uint64_t held_of(const uint64_t *books) {
    struct wr_account_balance balance = {0};
    memcpy(balance.books, books, sizeof balance.books);
    return wr_balance_held(&balance);
}

void wr_audit_between(struct wr_audit_epoch *epoch, const uint64_t *first_books) {
    uint64_t grown[WR_BOOKS];
    epoch->lost = 0;
    for (unsigned book = 0; book < WR_BOOKS; book++) {
        grown[book] = above(epoch->books[book], first_books[book]);
        epoch->lost += wr_book_leaves_store(book) ? grown[book] : 0;
    }
    epoch->recovered = grown[WR_BOOK_RECOVERED];
    epoch->stored = above(grown[WR_BOOK_STORED], epoch->recovered);
    epoch->carried = grown[WR_BOOK_MERGED] > 0 ? held_of(first_books) : 0;
}

struct wr_audit_verdict wr_audit_judge(const struct wr_audit_epoch *epoch) {
    const uint64_t taken = epoch->books[WR_BOOK_TAKEN] + epoch->books[WR_BOOK_RECOVERED];
    const uint64_t surplus = above(epoch->arrived, epoch->stored);
    struct wr_audit_verdict verdict = {.held = held_of(epoch->books)};
    uint64_t gone = epoch->books[WR_BOOK_STORED];
    for (unsigned book = 0; book < WR_BOOKS; book++)
        gone += is_before_store(book) ? epoch->books[book] : 0;
    verdict.open = above(taken, gone);
    verdict.impossible = gone > taken;
    const uint64_t missing = above(epoch->stored, epoch->arrived);
    const uint64_t unexplained = above(missing, epoch->lost + verdict.held);
    verdict.carried = surplus < epoch->carried ? surplus : epoch->carried;
    verdict.off = surplus - verdict.carried + (epoch->absent == 0 ? missing : unexplained);
    verdict.lost = missing < epoch->lost ? missing : epoch->lost;
    verdict.on_way = above(missing - verdict.lost, verdict.off);
    return verdict;
}

static bool is_good(const struct wr_audit_epoch *epoch) {
    const struct wr_audit_verdict verdict = wr_audit_judge(epoch);
    return epoch->last_cut > 0 && verdict.off == 0 && !verdict.impossible;
}

bool wr_audit_balances(const struct wr_audit *audit) {
    for (size_t i = 0; i < audit->n; i++)
        if (!is_good(&audit->epochs[i]))
            return false;
    return true;
}

/* -- for people --------------------------------------------------------------------------------------------------------------------------------- */

/* "evicted" of "dropped(evicted)". */
static enum wr_result put_reason(struct wr_buf *into, unsigned book, uint64_t readings, const char *before) {
    const char *name = strchr(wr_book_name((enum wr_book)book), '(') + 1;
    return wr_buf_printf(into, "%s%.*s %" PRIu64, before, (int)strcspn(name, ")"), name, readings);
}

static enum wr_result put_time(struct wr_buf *into, const char *before, int64_t ns) {
    char text[40];
    return wr_buf_printf(into, "%s%s", before, wr_clock_format(text, sizeof text, ns));
}

static enum wr_result put_node(const struct wr_audit_epoch *epoch, struct wr_buf *into) {
    const struct wr_audit_verdict verdict = wr_audit_judge(epoch);
    const char *before = " (";
    uint64_t dropped = 0;
    if (epoch->last_cut == 0)
        return wr_buf_printf(into, "%s/%s:\n", epoch->site, epoch->node);
    for (unsigned book = 0; book < WR_BOOKS; book++)
        dropped += is_before_store(book) ? epoch->books[book] : 0;
    WR_TRY(wr_buf_printf(into, "%s/%s: took %" PRIu64, epoch->site, epoch->node, epoch->books[WR_BOOK_TAKEN]));
    if (epoch->books[WR_BOOK_RECOVERED] > 0)
        WR_TRY(wr_buf_printf(into, " + recovered %" PRIu64, epoch->books[WR_BOOK_RECOVERED]));
    WR_TRY(wr_buf_printf(into, " = stored %" PRIu64 " + open %" PRIu64 " + dropped %" PRIu64, epoch->books[WR_BOOK_STORED], verdict.open,
                         dropped));
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (is_before_store(book) && epoch->books[book] > 0 && wr_book_name((enum wr_book)book)) {
            WR_TRY(put_reason(into, book, epoch->books[book], before));
            before = ", ";
        }
    WR_TRY(put_time(into, before[0] == ',' ? "), as of " : ", as of ", epoch->time_ns));
    return wr_buf_text(into, verdict.impossible ? "\n  CANNOT BE: more was stored and dropped than taken\n" : "\n");
}

/* What the node held when an epoch ended went with that store: the books of the next one have it as dropped(store). */
static enum wr_result put_epoch(const struct wr_audit_epoch *epoch, bool goes_on, struct wr_buf *into) {
    const struct wr_audit_verdict verdict = wr_audit_judge(epoch);
    const bool moved = epoch->books[WR_BOOK_MERGED] > 0 || epoch->recovered > 0;
    const char *not_here = moved ? "; not here, unless merged or recovered: segments " : "; not here: segments ";
    if (epoch->last_cut == 0)
        return wr_buf_printf(into, "  epoch %016" PRIx64 ": %" PRIu64 " segments, and no ledger record: CANNOT BE CHECKED\n", epoch->epoch,
                             epoch->newer);
    WR_TRY(wr_buf_printf(into,
                         "  epoch %016" PRIx64 ", segments %" PRId64 " to %" PRId64 ": stored %" PRIu64 " = arrived %" PRIu64
                         " + %s %" PRIu64 " + lost %" PRIu64,
                         epoch->epoch, epoch->first_cut, epoch->last_cut, epoch->stored, epoch->arrived,
                         goes_on ? "on the way" : "gone with the store", verdict.on_way, verdict.lost));
    if (verdict.carried > 0)
        WR_TRY(wr_buf_printf(into, " - merged from before %" PRIu64, verdict.carried));
    if (epoch->recovered > 0)
        WR_TRY(wr_buf_printf(into, "; recovered %" PRIu64 ", under the epoch they had", epoch->recovered));
    WR_TRY(wr_buf_text(into, "\n"));
    if (verdict.off == 0)
        return WR_OK;
    WR_TRY(wr_buf_printf(into, "  OFF BY %" PRIu64 ": %s", verdict.off,
                         epoch->arrived > epoch->stored ? "more arrived than the node stored" : "the node knows them as delivered"));
    for (unsigned i = 0; i < epoch->n_holes; i++)
        WR_TRY(wr_buf_printf(into, "%s%" PRId64 " to %" PRId64, i == 0 ? not_here : ", ", epoch->holes[i].first, epoch->holes[i].last));
    return wr_buf_printf(into, "%s\n", epoch->n_holes == WR_AUDIT_HOLES ? " ..." : "");
}

static enum wr_result put_losses(const struct wr_audit *audit, const char *node, struct wr_buf *into) {
    for (size_t i = 0; i < audit->n_losses; i++) {
        const struct wr_audit_loss *loss = &audit->losses[i];
        if (strcmp(loss->node, node) != 0)
            continue;
        WR_TRY(
            wr_buf_printf(into, "  told: %s, %s/%s: %" PRIu64, loss->reason, loss->account.source, loss->account.window, loss->readings));
        WR_TRY(put_time(into, ", between ", loss->from_ns));
        WR_TRY(put_time(into, " and ", loss->to_ns));
        WR_TRY(wr_buf_text(into, "\n"));
    }
    return WR_OK;
}

static bool is_last_of_node(const struct wr_audit *audit, size_t i) {
    return i + 1 == audit->n || strcmp(audit->epochs[i].node, audit->epochs[i + 1].node) != 0;
}

/* The books go on from epoch to epoch: the newest has the node's totals. */
enum wr_result wr_audit_print(const struct wr_audit *audit, struct wr_buf *into) {
    size_t off = 0;
    size_t first = 0;
    for (size_t i = 0; i < audit->n; i++) {
        off += !is_good(&audit->epochs[i]);
        if (!is_last_of_node(audit, i))
            continue;
        WR_TRY(put_node(&audit->epochs[i], into));
        for (; first <= i; first++)
            WR_TRY(put_epoch(&audit->epochs[first], first == i, into));
        WR_TRY(put_losses(audit, audit->epochs[i].node, into));
    }
    return off == 0 ? wr_buf_text(into, "balanced\n") : wr_buf_printf(into, "%zu epochs are off or cannot be checked\n", off);
}

/* -- for programs ------------------------------------------------------------------------------------------------------------------------------- */

static void epoch_json(struct wr_json *json, const struct wr_audit_epoch *epoch) {
    const struct wr_audit_verdict verdict = wr_audit_judge(epoch);
    char hex[17];
    (void)snprintf(hex, sizeof hex, "%016" PRIx64, epoch->epoch);
    wr_json_object(json, NULL);
    wr_json_string(json, "site", epoch->site);
    wr_json_string(json, "node", epoch->node);
    wr_json_string(json, "epoch", hex);
    wr_json_bool(json, "balanced", is_good(epoch));
    wr_json_int(json, "first_cut", epoch->first_cut);
    wr_json_int(json, "last_cut", epoch->last_cut);
    wr_json_time(json, "time_ns", "time", epoch->time_ns);
    wr_json_uint(json, "stored", epoch->stored);
    wr_json_uint(json, "arrived", epoch->arrived);
    wr_json_uint(json, "on_the_way", verdict.on_way);
    wr_json_uint(json, "lost", verdict.lost);
    wr_json_uint(json, "off", verdict.off);
    wr_json_uint(json, "merged_from_before", verdict.carried);
    wr_json_uint(json, "recovered", epoch->recovered);
    wr_json_uint(json, "absent_segments", epoch->absent);
    wr_json_uint(json, "newer_segments", epoch->newer);
    wr_json_uint(json, "open", verdict.open);
    wr_json_object(json, "books");
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (epoch->books[book] > 0 && wr_book_name((enum wr_book)book))
            wr_json_uint(json, wr_book_name((enum wr_book)book), epoch->books[book]);
    wr_json_object_end(json);
    wr_json_object_end(json);
}

static void loss_json(struct wr_json *json, const struct wr_audit_loss *loss) {
    wr_json_object(json, NULL);
    wr_json_string(json, "node", loss->node);
    wr_json_string(json, "reason", loss->reason);
    wr_json_string(json, "source", loss->account.source);
    wr_json_string(json, "window", loss->account.window);
    wr_json_uint(json, "readings", loss->readings);
    wr_json_time(json, "from_ns", "from", loss->from_ns);
    wr_json_time(json, "to_ns", "to", loss->to_ns);
    wr_json_object_end(json);
}

enum wr_result wr_audit_print_json(const struct wr_audit *audit, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_bool(&json, "balanced", wr_audit_balances(audit));
    wr_json_array(&json, "epochs");
    for (size_t i = 0; i < audit->n; i++)
        epoch_json(&json, &audit->epochs[i]);
    wr_json_array_end(&json);
    wr_json_array(&json, "losses");
    for (size_t i = 0; i < audit->n_losses; i++)
        loss_json(&json, &audit->losses[i]);
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}
