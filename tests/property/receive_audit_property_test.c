/* The audit of PostgreSQL against a model of a node: random segments, cuts, losses and messages that come twice, windows that are merged, segments of the
 * store before that are salvaged; keys that are folded at any moment. After each step the audit says what the model knows. The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/receive/audit.h"
#include "agent/receive/postgres_private.h"
#include "core/ledger_record.h"
#include "core/log.h"
#include "core/series.h"
#include "tests/support/postgres_bed.h"
#include "tests/support/random.h"

#define SEGMENTS 400
#define EPOCH UINT64_C(0xfedcba9876543210)

static struct wr_random dice;
static struct wr_error err;

enum fate { WAITS, ARRIVED, EVICTED, VANISHED, MERGED, SALVAGED };

/* The node, and what of it arrived. */
struct model {
    int64_t next; /* seq */
    uint64_t readings[SEGMENTS + 1];
    enum fate fates[SEGMENTS + 1];
    bool is_cut[SEGMENTS + 1];
    bool merges[SEGMENTS + 1]; /* readings that were stored before */
    uint64_t books[WR_BOOKS];
    int64_t first_cut; /* of the records that arrived, with the books at it */
    int64_t last_cut;
    uint64_t first_books[WR_BOOKS];
    uint64_t last_books[WR_BOOKS];
};

static struct model model;
static struct wr_receive_sink sink;

static void must(enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), err.text);
}

static struct wr_message_origin origin_of(enum wr_message_kind kind, int64_t seq) {
    return (struct wr_message_origin){.site = "riga", .kind = kind, .keyed = true, .key = {.epoch = EPOCH, .seq = seq, .node = "gw-1"}};
}

static void commit(void) {
    size_t poison;
    must(sink.ops->commit(sink.self, &poison, &err));
}

/* A segment comes, perhaps not for the first time. */
static void arrive(int64_t seq) {
    const struct wr_message_origin origin = origin_of(WR_MESSAGE_AGG, seq);
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    assert_int_equal(wr_series_key_make((struct wr_word){"m", 1}, (struct wr_word){"value", 5}, NULL, 0, key, &len, NULL), WR_OK);
    const struct wr_aggregate aggregate = {
        .key = key, .key_len = (uint16_t)len, .type = WR_TYPE_INT, .n = model.readings[seq] - 1, .bad = 1, .sum = wr_sum_zero()};
    must(sink.ops->begin(sink.self, &origin, &err));
    must(sink.ops->aggregate(sink.self, &aggregate, &err));
    sink.ops->end(sink.self, true);
    if (model.fates[seq] == WAITS)
        model.books[WR_BOOK_DELIVERED] += model.readings[seq];
    model.fates[seq] = ARRIVED;
}

/* A ledger record in two parts, the second with the account of the intake, which the audit passes over. */
static void send_record(int64_t cut, const uint64_t *books) {
    const struct wr_message_origin origin = origin_of(WR_MESSAGE_GAP, cut);
    static const struct wr_account accounts[] = {{.source = "floor", .window = "m1"}, {.source = "floor", .window = "intake"}};
    struct wr_buf text;
    struct wr_json json;
    must(sink.ops->begin(sink.self, &origin, &err));
    for (int i = 0; i < 2; i++) {
        wr_buf_init(&text, 0);
        wr_ledger_record_begin(&json, &text, cut, EPOCH, cut * WR_NS_PER_S, 2);
        wr_ledger_record_account(&json, &accounts[i], books);
        must(wr_ledger_record_end(&json));
        must(sink.ops->text(sink.self, wr_buf_str(&text), text.len, &err));
        wr_buf_fini(&text);
    }
    sink.ops->end(sink.self, true);
}

static void cut(void) {
    const int64_t seq = model.next++;
    model.is_cut[seq] = true;
    model.fates[seq] = ARRIVED;
    send_record(seq, model.books);
    if (model.first_cut == 0) {
        model.first_cut = seq;
        memcpy(model.first_books, model.books, sizeof model.books);
    }
    model.last_cut = seq;
    memcpy(model.last_books, model.books, sizeof model.books);
}

/* Segments that wait become one, with a later seq. */
static void merge(int64_t seq) {
    const int64_t merged = model.next++;
    for (int64_t i = seq; i < merged && i < seq + 10; i++) {
        if (model.is_cut[i] || model.fates[i] != WAITS)
            continue;
        model.readings[merged] += model.readings[i];
        model.fates[i] = MERGED;
    }
    model.merges[merged] = true;
    model.books[WR_BOOK_MERGED] += model.readings[merged];
}

/* It takes a seq, and arrives under the key that it had in the store before. */
static void salvage(void) {
    const int64_t seq = model.next++;
    const uint64_t readings = 2 + wr_random_below(&dice, 100);
    model.fates[seq] = SALVAGED;
    model.books[WR_BOOK_RECOVERED] += readings;
    model.books[WR_BOOK_STORED] += readings;
    if (wr_random_below(&dice, 5) == 0)
        model.books[WR_BOOK_DROPPED_EVICTED] += readings;
    else
        model.books[WR_BOOK_DELIVERED] += readings;
}

static void store(void) {
    const int64_t seq = model.next++;
    model.readings[seq] = 2 + wr_random_below(&dice, 100);
    model.books[WR_BOOK_TAKEN] += model.readings[seq] + 1;
    model.books[WR_BOOK_DROPPED_LATE]++;
    model.books[WR_BOOK_STORED] += model.readings[seq];
}

static void step(void) {
    const int64_t seq = 1 + (int64_t)wr_random_below(&dice, (uint64_t)(model.next > 1 ? model.next - 1 : 1));
    const bool waits = seq < model.next && !model.is_cut[seq] && model.fates[seq] == WAITS;
    const unsigned what = (unsigned)wr_random_below(&dice, 20);
    if (what < 6 && model.next < SEGMENTS) {
        store();
    } else if (what < 14 && waits) {
        arrive(seq);
    } else if (what == 14 && seq < model.next && !model.is_cut[seq] && model.fates[seq] == ARRIVED) {
        arrive(seq);
    } else if (what == 15 && waits) {
        model.fates[seq] = EVICTED;
        model.books[WR_BOOK_DROPPED_EVICTED] += model.readings[seq];
    } else if (what == 16 && waits && wr_random_below(&dice, 3) == 0) { /* the broker said yes, and nobody has it */
        model.fates[seq] = VANISHED;
        model.books[WR_BOOK_DELIVERED] += model.readings[seq];
    } else if (what == 17 && waits && model.next < SEGMENTS && wr_random_below(&dice, 2) == 0) {
        merge(seq);
    } else if (what == 18 && model.next < SEGMENTS && wr_random_below(&dice, 4) == 0) {
        salvage();
    } else if (what < 19 && model.next < SEGMENTS) {
        cut();
    } else {
        commit();
        postgres_bed_query(wr_random_below(&dice, 3) > 0 ? "SELECT weir.compact('0 seconds')" : "SELECT 1", NULL, 0);
    }
}

static uint64_t held_of(const uint64_t *books) {
    return books[WR_BOOK_STORED] - books[WR_BOOK_DELIVERED] - books[WR_BOOK_DROPPED_EVICTED];
}

static uint64_t grown(unsigned book) {
    return model.last_books[book] - model.first_books[book];
}

static uint64_t lost_of(const uint64_t *books) {
    return books[WR_BOOK_DROPPED_EVICTED] + books[WR_BOOK_DROPPED_CORRUPT];
}

static void check(void) {
    struct wr_audit audit;
    char off[32];
    uint64_t arrived = 0;
    uint64_t absent = 0;
    commit();
    wr_audit_init(&audit);
    must(wr_audit_postgres(&postgres_bed, &audit, &err));
    if (model.first_cut == 0) {
        wr_audit_fini(&audit);
        return;
    }
    for (int64_t seq = model.first_cut; seq <= model.last_cut; seq++) {
        arrived += model.fates[seq] == ARRIVED ? model.readings[seq] : 0;
        absent += model.fates[seq] != ARRIVED;
    }
    assert_int_equal(audit.n, 1);
    const struct wr_audit_epoch *epoch = &audit.epochs[0];
    assert_int_equal(epoch->first_cut, model.first_cut);
    assert_int_equal(epoch->last_cut, model.last_cut);
    assert_true(epoch->epoch == EPOCH);
    assert_int_equal(epoch->time_ns, model.last_cut * WR_NS_PER_S);
    assert_int_equal(epoch->arrived, arrived);
    assert_int_equal(epoch->absent, absent);
    assert_int_equal(epoch->stored, grown(WR_BOOK_STORED) - grown(WR_BOOK_RECOVERED));
    assert_int_equal(epoch->recovered, grown(WR_BOOK_RECOVERED));
    assert_int_equal(epoch->carried, grown(WR_BOOK_MERGED) > 0 ? held_of(model.first_books) : 0);
    assert_int_equal(epoch->lost, lost_of(model.last_books) - lost_of(model.first_books));
    assert_memory_equal(epoch->books, model.last_books, sizeof epoch->books);
    postgres_bed_query("SELECT off FROM weir.audit", off, sizeof off);
    assert_int_equal(strtoll(off, NULL, 10), wr_audit_judge(epoch).off); /* one verdict, written twice */
    uint64_t named = 0;
    for (unsigned i = 0; i < epoch->n_holes; i++) {
        named += (uint64_t)(epoch->holes[i].last - epoch->holes[i].first + 1);
        for (int64_t seq = epoch->holes[i].first; seq <= epoch->holes[i].last; seq++)
            assert_int_not_equal(model.fates[seq], ARRIVED);
    }
    if (epoch->n_holes > 0 && epoch->n_holes < WR_AUDIT_HOLES)
        assert_int_equal(named, absent);
    wr_audit_fini(&audit);
}

static void test_the_audit_says_what_the_model_knows(void **state) {
    (void)state;
    unsigned off = 0;
    for (int round = 0; round < 12; round++) {
        postgres_bed_query("TRUNCATE weir.aggregate, weir.segment, weir.segment_range, weir.ledger, weir.gap", NULL, 0);
        model = (struct model){.next = 1};
        if (round % 2 == 0) /* else the first record comes in the midst */
            cut();
        for (int i = 0; i < 300; i++) {
            step();
            if (wr_random_below(&dice, 12) == 0)
                check();
        }
        for (int64_t seq = 1; seq < model.next; seq++) /* at the end all is here that is to come, and the last record says so */
            if (!model.is_cut[seq] && model.fates[seq] == WAITS)
                arrive(seq);
        cut();
        check();
        uint64_t vanished = 0; /* of them nobody knows */
        uint64_t lost = 0;     /* of the epoch's own; salvaged ones that were lost again excuse as many that vanished */
        for (int64_t seq = model.first_cut; seq < model.last_cut; seq++) {
            vanished += model.fates[seq] == VANISHED ? model.readings[seq] : 0;
            lost += model.fates[seq] == EVICTED ? model.readings[seq] : 0;
        }
        const uint64_t excused = lost_of(model.last_books) - lost_of(model.first_books) - lost;
        char text[32];
        postgres_bed_query("SELECT off FROM weir.audit", text, sizeof text);
        if (model.first_cut == 1) /* else something from before the first cut may have been lost behind it */
            assert_int_equal(strtoull(text, NULL, 10), vanished > excused ? vanished - excused : 0);
        else
            assert_true(strtoull(text, NULL, 10) <= vanished);
        off += vanished > excused;
    }
    assert_true(off > 0);
}

static void test_what_was_lost_when_whose_and_why(void **state) {
    (void)state;
    static const char gap[] =
        "{\"reason\":\"crash\",\"from_ns\":1000000000,\"to_ns\":2000000000,\"readings\":9,\"at_least\":true,\"accounts\":["
        "{\"source\":\"floor\",\"window\":\"m1\",\"readings\":5,\"total\":12},{\"source\":\"plc\",\"window\":\"m1\","
        "\"readings\":4,\"total\":4}]}";
    static const char recovered[] = "{\"reason\":\"recovered\",\"from_ns\":3000000000,\"to_ns\":4000000000,\"accounts\":["
                                    "{\"source\":\"plc\",\"window\":\"m1\",\"readings\":3,\"total\":3}]}";
    static const char odd[] = "{\"reason\":\"odd\",\"accounts\":{\"source\":1}}";
    const struct wr_message_origin origin = origin_of(WR_MESSAGE_GAP, SEGMENTS + 1);
    char got[200];
    must(sink.ops->begin(sink.self, &origin, &err));
    must(sink.ops->text(sink.self, gap, strlen(gap), &err));
    must(sink.ops->text(sink.self, recovered, strlen(recovered), &err));
    must(sink.ops->text(sink.self, odd, strlen(odd), &err));
    sink.ops->end(sink.self, true);
    commit();
    postgres_bed_query(
        "SELECT string_agg(concat_ws(' ', node, reason, source, window_name, readings, total, at_least, extract(epoch FROM since)::int, "
        "extract(epoch FROM until)::int), ';' ORDER BY source, reason) FROM weir.lost",
        got, sizeof got);
    assert_string_equal(got, "gw-1 crash floor m1 5 12 t 1 2;gw-1 crash plc m1 4 4 t 1 2;gw-1 recovered plc m1 -3 3 f 3 4");
    struct wr_audit audit;
    wr_audit_init(&audit);
    must(wr_audit_postgres(&postgres_bed, &audit, &err));
    assert_int_equal(audit.n_losses, 3);
    assert_string_equal(audit.losses[0].reason, "crash");
    assert_int_equal(audit.losses[0].readings, 5);
    assert_int_equal(audit.losses[0].to_ns, 2 * WR_NS_PER_S);
    wr_audit_fini(&audit);
}

/* Somebody takes away segments at both ends, the cuts among them. */
static void test_holes_at_the_cuts(void **state) {
    struct wr_audit audit;
    (void)state;
    postgres_bed_query("TRUNCATE weir.aggregate, weir.segment, weir.segment_range, weir.ledger, weir.gap", NULL, 0);
    model = (struct model){.next = 1};
    cut();
    for (int64_t seq = 2; seq < 9; seq++) {
        store();
        arrive(seq);
    }
    cut();
    store();
    arrive(10); /* behind it */
    commit();
    for (int folded = 0; folded < 2; folded++) {
        postgres_bed_query("DELETE FROM weir.segment WHERE seq IN (1, 2, 5, 8, 9)", NULL, 0);
        wr_audit_init(&audit);
        must(wr_audit_postgres(&postgres_bed, &audit, &err));
        assert_int_equal(audit.epochs[0].n_holes, 3);
        assert_int_equal(audit.epochs[0].holes[0].first, 1);
        assert_int_equal(audit.epochs[0].holes[0].last, 2);
        assert_int_equal(audit.epochs[0].holes[1].first, 5);
        assert_int_equal(audit.epochs[0].holes[1].last, 5);
        assert_int_equal(audit.epochs[0].holes[2].first, 8);
        assert_int_equal(audit.epochs[0].holes[2].last, 9);
        wr_audit_fini(&audit);
        postgres_bed_query("SELECT weir.compact('0 seconds')", NULL, 0);
    }
}

/* A record of an epoch of a node of its own, with nothing but what was taken. */
static void send_epoch(uint64_t epoch, enum wr_time_quality quality, int64_t time_ns, uint64_t taken) {
    const struct wr_message_origin origin = {
        .site = "riga", .kind = WR_MESSAGE_GAP, .keyed = true, .key = {.epoch = epoch, .seq = 1, .node = "gw-2"}, .time_quality = quality};
    static const struct wr_account account = {.source = "floor", .window = "m1"};
    const uint64_t books[WR_BOOKS] = {[WR_BOOK_TAKEN] = taken};
    struct wr_buf text;
    struct wr_json json;
    wr_buf_init(&text, 0);
    wr_ledger_record_begin(&json, &text, 1, epoch, time_ns, 1);
    wr_ledger_record_account(&json, &account, books);
    must(wr_ledger_record_end(&json));
    must(sink.ops->begin(sink.self, &origin, &err));
    must(sink.ops->text(sink.self, wr_buf_str(&text), text.len, &err));
    sink.ops->end(sink.self, true);
    wr_buf_fini(&text);
}

/* As in receive_audit_test.c: a broken store, and a boot in 1970. */
static void test_the_newest_epoch(void **state) {
    static const uint64_t order[] = {5, 2, 1, 4, 3};
    char taken[32];
    struct wr_audit audit;
    (void)state;
    postgres_bed_query("TRUNCATE weir.aggregate, weir.segment, weir.segment_range, weir.ledger, weir.gap", NULL, 0);
    send_epoch(3, WR_TIME_UNTRUSTED, 7 * WR_NS_PER_S, 90);
    send_epoch(1, WR_TIME_TRUSTED, INT64_C(1000000000) * WR_NS_PER_S, 80);
    send_epoch(2, WR_TIME_TRUSTED, INT64_C(900000000) * WR_NS_PER_S, 70);
    send_epoch(4, WR_TIME_CORRECTED, INT64_C(1100000000) * WR_NS_PER_S, 85);
    send_epoch(5, WR_TIME_UNTRUSTED, 9 * WR_NS_PER_S, 10);
    commit();
    wr_audit_init(&audit);
    must(wr_audit_postgres(&postgres_bed, &audit, &err));
    assert_int_equal(audit.n, 5);
    for (size_t i = 0; i < audit.n; i++)
        assert_true(audit.epochs[i].epoch == order[i]);
    postgres_bed_query("SELECT books->>'taken' FROM weir.audit WHERE nth = 5", taken, sizeof taken);
    assert_string_equal(taken, "90");
    wr_audit_fini(&audit);
}

static int start(void **state) {
    if (postgres_bed_start(state) != 0)
        return 1;
    return wr_postgres_sink_new(&postgres_bed, &sink, &err) == WR_OK ? 0 : 1;
}

static int stop(void **state) {
    sink.ops->close(sink.self);
    return postgres_bed_stop(state);
}

int main(void) {
    dice = wr_random_begin();
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, STDERR_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_audit_says_what_the_model_knows),
        cmocka_unit_test(test_what_was_lost_when_whose_and_why),
        cmocka_unit_test(test_holes_at_the_cuts),
        cmocka_unit_test(test_the_newest_epoch),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
