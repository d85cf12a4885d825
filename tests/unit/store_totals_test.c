/* Ledger records: at each cut they say exactly what the segments before it hold, over crashes, broken stores and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/store_fixture.h"

#define EVERY_NS (100 * WR_NS_PER_S)

static int setup(void **state) {
    (void)store_fixture_setup(state);
    struct store_fixture *fixture = *state;
    fixture->options.ledger_every_ns = EVERY_NS;
    return 0;
}

static void tick(struct store_fixture *fixture) {
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
}

/* What lane 0 says, and what the lanes of aggregates hold. */
struct seen {
    unsigned records;
    int64_t first_cut;
    int64_t cut;
    unsigned of;
    uint64_t first_stored;
    uint64_t stored; /* of all accounts, at the last cut */
    uint64_t evicted;
    uint64_t before; /* readings in segments between the cuts */
    uint64_t behind;
};

static uint64_t sum_of(const char *json, const char *book) {
    char member[40];
    uint64_t sum = 0;
    snprintf(member, sizeof member, "\"%s\":", book);
    for (const char *at = json; (at = strstr(at, member)) != NULL; at += strlen(member))
        sum += strtoull(at + strlen(member), NULL, 10);
    return sum;
}

static void see_record(struct seen *seen, const char *text, size_t len) {
    char json[16384];
    long long cut;
    assert_true(len < sizeof json);
    memcpy(json, text, len);
    json[len] = '\0';
    if (sscanf(json, "{\"cut\":%lld,", &cut) != 1)
        return; /* a gap record */
    seen->of = (unsigned)sum_of(json, "of");
    seen->stored = sum_of(json, "stored");
    seen->evicted = sum_of(json, "dropped(evicted)");
    if (seen->records++ == 0) {
        seen->first_cut = cut;
        seen->first_stored = seen->stored;
    }
    assert_true(cut > seen->cut);
    seen->cut = cut;
}

static void walk(struct store_fixture *fixture, enum wr_lane lane, struct seen *seen) {
    struct wr_decoder *decoder;
    struct wr_segment segment;
    int64_t after = 0;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    while (wr_store_next(fixture->store, lane, after, INT64_MAX, &fixture->now, &segment, &fixture->err) == WR_OK) {
        struct wr_codec_header header;
        struct wr_aggregate aggregate;
        const char *text;
        size_t len;
        after = segment.seq;
        assert_int_equal(wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err), WR_OK);
        if (segment.kind == WR_SEGMENT_GAPS)
            while (wr_decode_text(decoder, &text, &len, &fixture->err) == WR_OK)
                see_record(seen, text, len);
        else
            while (wr_decode_aggregate(decoder, &aggregate, &fixture->err) == WR_OK)
                *(segment.seq < seen->cut ? &seen->before : &seen->behind) += wr_aggregate_readings(&aggregate);
        wr_segment_free(&segment);
    }
    wr_decoder_free(decoder);
}

static struct seen look(struct store_fixture *fixture) {
    struct seen seen = {0};
    walk(fixture, WR_LANE_ALARMS, &seen);
    walk(fixture, WR_LANE_CHANGES, &seen);
    walk(fixture, WR_LANE_WINDOWS, &seen);
    return seen;
}

static void the_first_is_before_the_first_segment(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(wr_store_due(fixture->store) <= fixture->now.boot_ns);
    store_fixture_segment(fixture, 1, 10, 7); /* the same commit */
    struct seen seen = look(fixture);
    assert_int_equal(seen.records, 1);
    assert_int_equal(seen.cut, 1);
    assert_int_equal(seen.before, 0);
    assert_int_equal(seen.behind, 70);
    assert_int_equal(wr_store_due(fixture->store), fixture->now.boot_ns + EVERY_NS);
}

static void each_says_what_is_stored_before_it(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    tick(fixture);
    for (unsigned round = 1; round <= 20; round++) {
        store_fixture_fill(fixture, round % 2, 10 + round, round);
        store_fixture_take(fixture);
        if (round % 3 == 0)
            store_fixture_segment(fixture, 1, 3, 2);
        store_fixture_advance(fixture, EVERY_NS);
        tick(fixture); /* the open segments and the record in one commit */
        const struct seen seen = look(fixture);
        assert_int_equal(seen.records, round + 1);
        assert_int_equal(seen.first_cut, 1);
        assert_int_equal(seen.first_stored, 0);
        assert_int_equal(seen.behind, 0);
        assert_int_equal(seen.stored, seen.before);
        assert_true(seen.of >= 1 && seen.of <= 3);
    }
}

static void a_start_says_it_after_a_crash_too(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_segment(fixture, 1, 10, 10);
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
    tick(fixture);
    struct seen seen = look(fixture);
    assert_int_equal(seen.records, 2);
    assert_int_equal(seen.before, 100);
    assert_int_equal(seen.stored, 100);
    store_fixture_close(fixture); /* a stop writes none */
    fixture->options.ledger_every_ns = 0;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(wr_store_due(fixture->store), WR_NEVER_NS);
    store_fixture_segment(fixture, 1, 10, 10);
    assert_int_equal(look(fixture).records, 2);
}

/* The books go on in the next epoch: its first record says from where. */
static void a_broken_store_begins_with_what_the_books_had(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 30; i++)
        store_fixture_segment(fixture, 1, 256, 3);
    store_fixture_must(fixture, wr_store_offer(fixture->store, WR_LANE_WINDOWS, 10, &fixture->now, &fixture->err));
    store_fixture_must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, 2, 10, &fixture->now, &fixture->err));
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    const uint64_t epoch = wr_store_epoch(fixture->store);
    store_fixture_scribble(fixture, 4096, 2 << 20);
    while (wr_store_epoch(fixture->store) == epoch) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
    }
    store_fixture_advance(fixture, EVERY_NS);
    tick(fixture);
    const struct seen seen = look(fixture);
    assert_int_equal(seen.records, 2);
    assert_int_equal(seen.first_cut, 1);
    assert_true(seen.first_stored > 0);
    assert_true(seen.before > 0);
    assert_int_equal(seen.stored - seen.first_stored, seen.before);
}

static void no_memory_says_it_later(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    unsigned records = 1;
    tick(fixture);
    long n = 0;
    for (;; n++) {
        store_fixture_segment(fixture, 1, 5, 3);
        store_fixture_advance(fixture, EVERY_NS);
        wr_failing_allocations(n);
        const enum wr_result result = wr_store_tick(fixture->store, &fixture->now, &fixture->err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        records += !hit;
        struct seen seen = look(fixture);
        assert_int_equal(seen.records, records);
        assert_int_equal(seen.stored - seen.first_stored, seen.before);
        if (!hit)
            break;
        store_fixture_advance(fixture, 2 * WR_NS_PER_S);
        tick(fixture); /* tried again, and there */
        records++;
        assert_int_equal(look(fixture).records, records);
    }
    assert_true(n > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_is_before_the_first_segment, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(each_says_what_is_stored_before_it, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_start_says_it_after_a_crash_too, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_broken_store_begins_with_what_the_books_had, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(no_memory_says_it_later, setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
