/* A full store whose windows nobody has seen yet: they are merged before any are evicted; the books say so, and no reading is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/history.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define RECORDS 64 /* a segment */
#define READINGS 3 /* a record */
#define MINUTE_NS (60 * WR_NS_PER_S)

static int setup(void **state) {
    struct store_fixture *fixture = malloc(sizeof *fixture);
    store_fixture_init(fixture);
    fixture->tells_lengths = true;
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    store_fixture_fini(*state);
    free(*state);
    return 0;
}

static void must(struct store_fixture *fixture, enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), fixture->err.text);
}

static uint64_t merged_segments(const struct store_fixture *fixture) {
    return atomic_load(&wr_store_stats(fixture->store)->merged_segments);
}

static uint64_t evicted_readings(const struct store_fixture *fixture) {
    return atomic_load(&wr_store_stats(fixture->store)->evicted_readings);
}

/* One segment of windows of RECORDS / 8 minutes, of eight series, that end now. With noise it does not compress: the store is full soon. */
static void one_segment_with(struct store_fixture *fixture, struct wr_random *noise) {
    store_fixture_fill(fixture, 1, RECORDS, READINGS);
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct wr_aggregate *aggregate = &fixture->handover.aggregates[i];
        aggregate->start_ns = fixture->now.wall_ns / MINUTE_NS * MINUTE_NS - (int64_t)(i / 8) * MINUTE_NS;
        if (!noise)
            continue;
        aggregate->min.f = -(double)wr_random_u64(noise) / 3;
        aggregate->max.f = aggregate->first.f = (double)wr_random_u64(noise) * 7;
        aggregate->last.f = (double)wr_random_u64(noise) / 11;
    }
    store_fixture_take(fixture);
    must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    store_fixture_advance(fixture, RECORDS / 8 * MINUTE_NS);
}

static void one_segment(struct store_fixture *fixture) {
    one_segment_with(fixture, NULL);
}

/* What the store would send, added up. */
struct content {
    uint64_t segments;
    uint64_t readings;
    uint64_t longer; /* readings in windows that are longer than a minute */
    double sum;
    int64_t oldest_ns;
};

static struct content content_of(struct store_fixture *fixture) {
    struct wr_history_walk walk = {.lane = WR_LANE_WINDOWS, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    struct content content = {.oldest_ns = INT64_MAX};
    struct wr_decoder *decoder;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    while (!walk.is_over) {
        struct wr_segment_head heads[WR_HISTORY_HEADS];
        uint32_t n;
        must(fixture, wr_store_heads(fixture->store, &walk, heads, &n, &fixture->err));
        for (uint32_t i = 0; i < n; i++) {
            struct wr_segment segment;
            struct wr_codec_header header;
            struct wr_aggregate aggregate;
            must(fixture, wr_store_get(fixture->store, heads[i].seq, &segment, &fixture->err));
            must(fixture, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err));
            while (wr_decode_aggregate(decoder, &aggregate, &fixture->err) == WR_OK) {
                const uint64_t readings = wr_aggregate_readings(&aggregate);
                content.readings += readings;
                content.sum += wr_sum_double(&aggregate.sum);
                content.oldest_ns = aggregate.start_ns < content.oldest_ns ? aggregate.start_ns : content.oldest_ns;
                if (aggregate.window_ns == MINUTE_NS)
                    continue;
                content.longer += readings;
                assert_true(aggregate.window_ns == 5 * MINUTE_NS && aggregate.start_ns % (5 * MINUTE_NS) == 0);
                assert_true((aggregate.flags & WR_AGGREGATE_WIDENED) != 0);
            }
            content.segments++;
            wr_segment_free(&segment);
        }
    }
    wr_decoder_free(decoder);
    return content;
}

static void fill_until_merged(struct store_fixture *fixture, uint64_t more) {
    const uint64_t before = merged_segments(fixture);
    while (merged_segments(fixture) < before + more && evicted_readings(fixture) == 0)
        one_segment(fixture);
}

static void before_anything_is_evicted(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    const int64_t first_ns = fixture->now.wall_ns / MINUTE_NS * MINUTE_NS - (RECORDS / 8 - 1) * MINUTE_NS;
    fill_until_merged(fixture, 400);
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    struct content content = content_of(fixture);
    assert_int_equal(evicted_readings(fixture), 0);
    assert_int_equal(content.readings, fixture->taken[1]);
    assert_int_equal(wr_balance_held(&balance), content.readings);
    assert_int_equal(balance.books[WR_BOOK_MERGED], content.longer); /* each at most once, and only those */
    assert_int_equal(balance.books[WR_BOOK_MERGED], atomic_load(&wr_store_stats(fixture->store)->merged_readings));
    assert_true(content.longer > 400 * RECORDS * READINGS / 2);
    assert_true(content.oldest_ns <= first_ns && content.oldest_ns > first_ns - 5 * MINUTE_NS);
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->unacked_segments[WR_LANE_WINDOWS]), content.segments);

    wr_store_abandon(fixture->store); /* all of it is on the disk, and in its books */
    must(fixture, store_fixture_open(fixture));
    const struct content again = content_of(fixture);
    const struct wr_account_balance after = store_fixture_balance(fixture, 1);
    assert_memory_equal(&again, &content, sizeof content);
    assert_memory_equal(after.books, balance.books, sizeof balance.books);
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->unacked_segments[WR_LANE_WINDOWS]), content.segments);
}

/* Also when there is less of it than is needed: it goes, and nothing that waits is evicted for the rest. */
static void what_is_left_of_history_goes_first(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 3; i++)
        one_segment(fixture);
    must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, 3, &fixture->now, &fixture->err));
    fill_until_merged(fixture, 1);
    assert_int_equal(evicted_readings(fixture), 0);
    assert_true(merged_segments(fixture) > 0);
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->history_segments), 0);
}

/* It is a step, not the end: when all is merged, the oldest goes. */
static void what_cannot_be_merged_any_more_is_evicted(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_random noise = {1};
    must(fixture, store_fixture_open(fixture));
    while (evicted_readings(fixture) == 0)
        one_segment_with(fixture, &noise);
    const uint64_t with = fixture->taken[1];
    assert_true(merged_segments(fixture) > 100);
    const struct content content = content_of(fixture);
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(content.readings + balance.books[WR_BOOK_DROPPED_EVICTED], fixture->taken[1]);
    store_fixture_fini(fixture);
    store_fixture_init(fixture);
    must(fixture, store_fixture_open(fixture));
    while (evicted_readings(fixture) == 0)
        one_segment_with(fixture, &noise);
    assert_int_equal(merged_segments(fixture), 0);
    printf("the first reading is lost after %llu, without merging after %llu\n", (unsigned long long)with,
           (unsigned long long)fixture->taken[1]);
    assert_true(with > 2 * fixture->taken[1]);
}

static void what_the_broker_may_have_is_not(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_segment segment;
    must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 100; i++)
        one_segment(fixture);
    const int64_t offered = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
    must(fixture, wr_store_offer(fixture->store, WR_LANE_WINDOWS, offered, &fixture->now, &fixture->err));
    fill_until_merged(fixture, 1);
    for (int64_t seq = 1; seq <= offered; seq++) {
        must(fixture, wr_store_get(fixture->store, seq, &segment, &fixture->err));
        wr_segment_free(&segment);
    }
    wr_store_abandon(fixture->store); /* nobody remembers but the disk */
    must(fixture, store_fixture_open(fixture));
    fill_until_merged(fixture, 200);
    must(fixture, wr_store_get(fixture->store, 1, &segment, &fixture->err));
    wr_segment_free(&segment);
}

/* It lies ready in the uplink, which may publish it as soon as there is a connection. */
static void what_the_uplink_was_given_is_not(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_segment segment;
    int64_t last = 0;
    must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 50; i++)
        one_segment(fixture);
    for (int i = 0; i < 10; i++) {
        must(fixture, wr_store_next(fixture->store, WR_LANE_WINDOWS, last, INT64_MAX, &fixture->now, &segment, &fixture->err));
        last = segment.seq;
        wr_segment_free(&segment);
    }
    fill_until_merged(fixture, 100);
    last += 64; /* so many of those behind are spared where they are small: see merging.c */
    for (int64_t seq = 1; seq <= last; seq++) {
        must(fixture, wr_store_get(fixture->store, seq, &segment, &fixture->err));
        wr_segment_free(&segment);
    }
    assert_int_equal(wr_store_get(fixture->store, last + 1, &segment, &fixture->err), WR_NOT_FOUND);
}

static unsigned of_another_epoch(struct store_fixture *fixture) {
    struct wr_segment segment;
    int64_t after = 0;
    unsigned n = 0;
    while (wr_store_next(fixture->store, WR_LANE_WINDOWS, after, INT64_MAX, &fixture->now, &segment, &fixture->err) == WR_OK) {
        after = wr_segment_place(&segment);
        n += segment.epoch != wr_store_epoch(fixture->store);
        wr_segment_free(&segment);
    }
    return n;
}

/* The broker may have had it before: under another key it would count twice. */
static void what_was_salvaged_is_not(void **state) {
    enum { SALVAGED = 40 };
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < SALVAGED; i++)
        one_segment(fixture);
    must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
    fixture->store = NULL;
    store_fixture_forget_wal(fixture);
    store_fixture_scribble(fixture, 0, 4096);
    must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.quarantined);
    for (int i = 0; i < 1000 && atomic_load(&wr_store_stats(fixture->store)->salvaged_segments) < SALVAGED; i++) {
        store_fixture_advance(fixture, WR_NS_PER_S);
        must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    }
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->salvaged_segments), SALVAGED);
    fill_until_merged(fixture, 100);
    assert_int_equal(evicted_readings(fixture), 0);
    assert_int_equal(of_another_epoch(fixture), SALVAGED);
}

/* The first page, its copy, and each inner one of a table: what is left can be read page by page only. */
static void lose_the_structure(struct store_fixture *fixture) {
    enum { PAGE = 2048 };
    static const uint8_t zeros[PAGE];
    uint8_t page[PAGE];
    char path[512];
    unsigned lost = 0;
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE ".page1", fixture->directory);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE, fixture->directory);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    for (long at = 0; fseek(file, at, SEEK_SET) == 0 && fread(page, 1, PAGE, file) == PAGE; at += PAGE) {
        if (at > 0 && page[0] != 0x05)
            continue;
        assert_true(fseek(file, at, SEEK_SET) == 0 && fwrite(zeros, 1, PAGE, file) == PAGE);
        lost++;
    }
    fclose(file);
    assert_true(lost > 1);
}

/* Sends what waits; the readings in it, of segments with a seq above this one. */
static uint64_t deliver_lane(struct store_fixture *fixture, enum wr_lane lane, int64_t above) {
    struct wr_segment segment;
    struct wr_decoder *decoder;
    uint64_t readings = 0;
    int64_t after = 0;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    while (wr_store_next(fixture->store, lane, after, INT64_MAX, &fixture->now, &segment, &fixture->err) == WR_OK) {
        struct wr_codec_header header;
        struct wr_aggregate aggregate;
        must(fixture, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err));
        while (segment.seq > above && wr_decode_aggregate(decoder, &aggregate, &fixture->err) == WR_OK)
            readings += wr_aggregate_readings(&aggregate);
        after = wr_segment_place(&segment);
        must(fixture, wr_store_offer(fixture->store, lane, after, &fixture->now, &fixture->err));
        must(fixture, wr_store_ack(fixture->store, lane, after, after, &fixture->now, &fixture->err));
        wr_segment_free(&segment);
    }
    wr_decoder_free(decoder);
    return readings;
}

/* Breaks it so that it can be read by pages only; the readings that are salvaged, of segments above a seq. */
static uint64_t break_and_salvage(struct store_fixture *fixture, int64_t above) {
    must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
    fixture->store = NULL;
    store_fixture_forget_wal(fixture);
    lose_the_structure(fixture);
    must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.quarantined);
    uint64_t readings = 0;
    const _Atomic uint64_t *salvage = &wr_store_stats(fixture->store)->salvage;
    for (int i = 0; i < 20000 && atomic_load(salvage) != WR_SALVAGE_DONE; i++) {
        store_fixture_advance(fixture, 100 * WR_NS_PER_MS);
        must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
        readings += deliver_lane(fixture, WR_LANE_WINDOWS, above);
        (void)deliver_lane(fixture, WR_LANE_CHANGES, 0);
    }
    assert_int_equal(atomic_load(salvage), WR_SALVAGE_DONE);
    return readings;
}

/* Pages that are free keep what they held: a salvage must not find there what was merged, each reading would come twice. */
static void what_was_merged_does_not_come_back(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    fill_until_merged(fixture, 400);
    assert_int_equal(evicted_readings(fixture), 0);
    const uint64_t taken = fixture->taken[1];
    assert_int_equal(break_and_salvage(fixture, 0), taken);
}

static void random_segments(struct store_fixture *fixture, struct wr_random *random) {
    store_fixture_fill(fixture, 1, 1 + (uint32_t)wr_random_below(random, 30), READINGS);
    for (uint32_t i = 0; i < fixture->handover.n; i++)
        fixture->handover.aggregates[i].start_ns = fixture->now.wall_ns / MINUTE_NS * MINUTE_NS - (int64_t)(i / 8) * MINUTE_NS;
    store_fixture_take(fixture);
    must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    if (wr_random_below(random, 3) > 0)
        store_fixture_segment(fixture, 0, 1 + (uint32_t)wr_random_below(random, 60), 1);
    store_fixture_advance(fixture, MINUTE_NS);
}

/* Nor out of a page where a row lay before, in a store of which some was delivered, and of that some evicted: as long as only changes are. */
static void nor_out_of_pages_that_were_given_up(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_random random = {2}; /* of eight seeds the one that finds a row of before where those next to the edge are merged, too */
    must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 200; i++)
        random_segments(fixture, &random);
    (void)deliver_lane(fixture, WR_LANE_WINDOWS, 0);
    const int64_t delivered = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
    const uint64_t before = fixture->taken[1];
    while (merged_segments(fixture) < 500 && evicted_readings(fixture) == 0) {
        random_segments(fixture, &random);
        (void)deliver_lane(fixture, WR_LANE_CHANGES, 0);
    }
    assert_int_equal(evicted_readings(fixture), 0);
    const uint64_t unsent = fixture->taken[1] - before;
    assert_int_equal(break_and_salvage(fixture, delivered), unsent);
}

static void only_where_all_lengths_are_known(void **state) {
    struct store_fixture *fixture = *state;
    static const struct wr_account other[STORE_ACCOUNTS] = {{"floor", "states"}, {"floor", "m5"}, {"floor", WR_LEDGER_INTAKE}};
    static const int64_t lengths_ns[STORE_ACCOUNTS] = {0, 5 * MINUTE_NS, 0};
    must(fixture, store_fixture_open(fixture));
    fill_until_merged(fixture, 1);
    must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
    fixture->store = NULL;
    fixture->tells_lengths = false;
    must(fixture, store_fixture_open(fixture)); /* with a configuration that has no m1: how long was it? */
    must(fixture, wr_store_accounts(fixture->store, other, STORE_ACCOUNTS, false, &fixture->err));
    store_fixture_lengths(fixture, lengths_ns);
    fill_until_merged(fixture, 1);
    assert_int_equal(merged_segments(fixture), 0);
    assert_true(evicted_readings(fixture) > 0);
}

/* A reload is under way: whether its lengths hold is open. Then they are told, or those that held before. */
static void not_while_the_lengths_are_about_to_change(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    wr_store_lengths(fixture->store, NULL, 0, NULL);
    fill_until_merged(fixture, 1);
    assert_int_equal(merged_segments(fixture), 0);
    assert_true(evicted_readings(fixture) > 0);
    static const int64_t lengths_ns[STORE_ACCOUNTS] = {0, MINUTE_NS, 0};
    store_fixture_lengths(fixture, lengths_ns);
    for (int i = 0; i < 100 && merged_segments(fixture) == 0; i++)
        one_segment(fixture);
    assert_true(merged_segments(fixture) > 0);
}

/* What has left the store, by its age too, is of no length any more. */
static void an_unknown_length_that_has_expired_is_none(void **state) {
    struct store_fixture *fixture = *state;
    static const struct wr_account other[STORE_ACCOUNTS] = {{"floor", "states"}, {"floor", "m1 of today"}, {"floor", WR_LEDGER_INTAKE}};
    static const int64_t lengths_ns[STORE_ACCOUNTS] = {0, MINUTE_NS, 0};
    const int64_t ttl_ns = 100 * 24 * 60 * MINUTE_NS;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = ttl_ns;
    must(fixture, store_fixture_open(fixture));
    one_segment(fixture);
    must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
    fixture->store = NULL;
    fixture->tells_lengths = false;
    must(fixture, store_fixture_open(fixture));
    must(fixture, wr_store_accounts(fixture->store, other, STORE_ACCOUNTS, false, &fixture->err));
    store_fixture_lengths(fixture, lengths_ns);
    store_fixture_advance(fixture, 2 * ttl_ns);
    for (int i = 0; i < 100 && wr_store_due(fixture->store) <= fixture->now.boot_ns; i++)
        must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->expired_segments), 1);
    fill_until_merged(fixture, 1);
    assert_true(merged_segments(fixture) > 0);
    assert_int_equal(evicted_readings(fixture), 0);
}

/* As an agent does: it is told before there is a database. */
static void also_what_was_known_before_there_was_a_database(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture)); /* the accounts are on the disk already */
    fixture->tells_lengths = false;
    one_segment(fixture);
    must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
    fixture->store = NULL;
    must(fixture,
         wr_store_open_without(fixture->directory, &fixture->options, &fixture->now, fixture->symbols, &fixture->store, &fixture->err));
    static const int64_t lengths_ns[STORE_ACCOUNTS] = {0, MINUTE_NS, 0};
    must(fixture, wr_store_accounts(fixture->store, store_accounts, STORE_ACCOUNTS, false, &fixture->err));
    store_fixture_lengths(fixture, lengths_ns);
    must(fixture, wr_store_attach(fixture->store, &fixture->now, &fixture->report, &fixture->err));
    fill_until_merged(fixture, 1);
    assert_true(merged_segments(fixture) > 0);
    assert_int_equal(evicted_readings(fixture), 0);
}

static void only_by_a_clock_that_is_right(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    fixture->now.wall_trusted = false;
    const uint64_t most = 10;
    while (evicted_readings(fixture) < most)
        one_segment(fixture);
    assert_int_equal(merged_segments(fixture), 0);
    fixture->now.wall_trusted = true; /* now it is; what was cut before is still to be corrected */
    const int64_t cut_before = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
    for (int i = 0; i < 200; i++)
        one_segment(fixture);
    struct wr_segment segment;
    must(fixture, wr_store_get(fixture->store, cut_before, &segment, &fixture->err));
    wr_segment_free(&segment);
}

/* The link is back: what waits goes, and what comes is as before. */
static void it_ends_by_itself(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    fill_until_merged(fixture, 100);
    const int64_t newest = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
    must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, newest, &fixture->now, &fixture->err));
    const uint64_t merged = merged_segments(fixture);
    for (int i = 0; i < 500; i++)
        one_segment(fixture);
    assert_int_equal(merged_segments(fixture), merged);
    assert_int_equal(evicted_readings(fixture), 0);
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_DELIVERED] + wr_balance_held(&balance), fixture->taken[1]);
}

#define MANY 3000

/* A minute fills several segments: those of the same series come together. */
static void also_where_a_minute_fills_many_segments(void **state) {
    struct store_fixture *fixture = *state;
    static char keys[MANY][32];
    fixture->options.budget_bytes = 8 << 20;
    must(fixture, store_fixture_open(fixture));
    for (uint32_t i = 0; i < MANY; i++)
        (void)snprintf(keys[i], sizeof keys[i], "temp%05u%cvalue", i, 0);
    while (merged_segments(fixture) < 200 && evicted_readings(fixture) == 0) {
        for (uint32_t at = 0; at < MANY; at += 250) {
            store_fixture_fill(fixture, 1, 250, READINGS);
            for (uint32_t i = 0; i < 250; i++) {
                struct wr_aggregate *aggregate = &fixture->handover.aggregates[i];
                aggregate->key = keys[at + i];
                aggregate->key_len = 16;
                aggregate->start_ns = fixture->now.wall_ns / MINUTE_NS * MINUTE_NS;
            }
            store_fixture_take(fixture);
        }
        must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
        store_fixture_advance(fixture, MINUTE_NS);
    }
    const struct content content = content_of(fixture);
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(evicted_readings(fixture), 0);
    assert_int_equal(content.readings, fixture->taken[1]);
    assert_int_equal(balance.books[WR_BOOK_MERGED], content.longer);
    assert_true(content.longer > 100 * WR_SEGMENT_RECORDS * READINGS);
}

/* Two windows in each segment: account 0 of five minutes, account 1 of one. */
static const struct wr_account two[STORE_ACCOUNTS] = {{"floor", "m5"}, {"floor", "m1"}, {"floor", WR_LEDGER_INTAKE}};

static void one_segment_of_two(struct store_fixture *fixture, bool mixed, uint64_t given[2]) {
    store_fixture_fill(fixture, 1, 80, READINGS);
    for (uint32_t k = 0; k < 80; k++) {
        struct wr_aggregate *aggregate = &fixture->handover.aggregates[k];
        aggregate->account = k < 40 || !mixed;
        aggregate->window_ns = aggregate->account == 1 ? MINUTE_NS : 5 * MINUTE_NS;
        aggregate->start_ns = (fixture->now.wall_ns / MINUTE_NS - k / 8) * MINUTE_NS;
        aggregate->start_ns -= aggregate->start_ns % aggregate->window_ns;
        given[aggregate->account] += READINGS;
    }
    fixture->counts[0].readings = given[0];
    fixture->counts[1].readings = given[1];
    store_fixture_take(fixture);
    must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    store_fixture_advance(fixture, 10 * MINUTE_NS);
}

/* By its length alone, as a receiver would. */
static void sort_by_length(const struct wr_aggregate *aggregate, uint64_t found[2], uint64_t longer[2]) {
    const int64_t minutes = aggregate->window_ns / MINUTE_NS;
    assert_true(minutes == 1 || minutes == 6 || minutes == 5 || minutes == 25);
    found[minutes == 1 || minutes == 6] += wr_aggregate_readings(aggregate);
    longer[minutes == 6] += minutes == 6 || minutes == 25 ? wr_aggregate_readings(aggregate) : 0;
}

static void sort_all_by_length(struct store_fixture *fixture, uint64_t found[2], uint64_t longer[2]) {
    struct wr_decoder *decoder;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    for (int64_t seq = 1; seq <= wr_store_newest(fixture->store, WR_LANE_WINDOWS); seq++) {
        struct wr_segment segment;
        struct wr_codec_header header;
        struct wr_aggregate aggregate;
        if (wr_store_get(fixture->store, seq, &segment, &fixture->err) == WR_NOT_FOUND)
            continue;
        must(fixture, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err));
        while (wr_decode_aggregate(decoder, &aggregate, &fixture->err) == WR_OK)
            sort_by_length(&aggregate, found, longer);
        wr_segment_free(&segment);
    }
    wr_decoder_free(decoder);
}

static void accounts_stay_exact(void **state) {
    struct store_fixture *fixture = *state;
    static const int64_t lengths_ns[STORE_ACCOUNTS] = {5 * MINUTE_NS, MINUTE_NS, 0};
    uint64_t given[2] = {0}, found[2] = {0}, longer[2] = {0};
    fixture->tells_lengths = false;
    must(fixture, store_fixture_open(fixture));
    must(fixture, wr_store_accounts(fixture->store, two, STORE_ACCOUNTS, false, &fixture->err));
    store_fixture_lengths(fixture, lengths_ns);
    for (int i = 0; merged_segments(fixture) < 400; i++) {
        one_segment_of_two(fixture, i % 3 > 0, given);
        assert_int_equal(evicted_readings(fixture), 0);
    }
    sort_all_by_length(fixture, found, longer);
    struct wr_account_balance *balances;
    uint32_t n;
    assert_int_equal(wr_store_balances(fixture->store, &balances, &n), WR_OK);
    for (uint32_t i = 0; i < n; i++)
        for (int window = 0; window < 2; window++)
            if (strcmp(balances[i].account.window, two[window].window) == 0) {
                assert_int_equal(balances[i].books[WR_BOOK_STORED], given[window]);
                assert_int_equal(found[window], given[window]);
                assert_int_equal(balances[i].books[WR_BOOK_MERGED], longer[window]);
                assert_true(longer[window] > 0);
            }
    free(balances);
}

/* Without memory for it there is no merging, and nothing else fails. */
static void memory_fails_at_each_allocation(void **state) {
    struct store_fixture *fixture = *state;
    must(fixture, store_fixture_open(fixture));
    fill_until_merged(fixture, 1);
    for (long n = 0;; n++) {
        const uint64_t merged = merged_segments(fixture);
        const uint64_t taken = fixture->taken[1];
        bool hit = false;
        do { /* up to the next one that would merge */
            store_fixture_fill(fixture, 1, RECORDS, READINGS);
            uint32_t from = 0;
            wr_failing_allocations(n);
            enum wr_result result = wr_store_take(fixture->store, &fixture->handover, 0, &fixture->now, &from, &fixture->err);
            if (result == WR_OK)
                result = wr_store_flush(fixture->store, &fixture->now, &fixture->err);
            hit = wr_failing_hit();
            wr_failing_off();
            if (result != WR_OK)
                store_fixture_advance(fixture, 2 * WR_NS_PER_S);
            fixture->handover.n = 0;
            must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
        } while (!hit && merged_segments(fixture) == merged && evicted_readings(fixture) == 0);
        const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
        assert_int_equal(balance.books[WR_BOOK_STORED], fixture->taken[1]);
        assert_true(fixture->taken[1] > taken);
        if (!hit)
            break;
    }
    const struct content content = content_of(fixture);
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(wr_balance_held(&balance), content.readings);
}

/* A reload has dropped m5, of which the store may hold some: m1 becomes what it became before, and what the engine makes of it. */
static void a_dropped_window_keeps_its_length(void **state) {
    struct store_fixture *fixture = *state;
    static const int64_t both_ns[STORE_ACCOUNTS] = {5 * MINUTE_NS, MINUTE_NS, 0};
    static const struct wr_account one[STORE_ACCOUNTS] = {{"", ""}, {"floor", "m1"}, {"floor", WR_LEDGER_INTAKE}};
    uint64_t given[2] = {0}, found[2] = {0}, longer[2] = {0};
    fixture->tells_lengths = false;
    must(fixture, store_fixture_open(fixture));
    must(fixture, wr_store_accounts(fixture->store, two, STORE_ACCOUNTS, false, &fixture->err));
    store_fixture_lengths(fixture, both_ns);
    must(fixture, wr_store_accounts(fixture->store, one, STORE_ACCOUNTS, false, &fixture->err));
    static const int64_t one_ns[STORE_ACCOUNTS] = {0, MINUTE_NS, 0};
    store_fixture_lengths(fixture, one_ns);
    while (merged_segments(fixture) < 50 && evicted_readings(fixture) == 0)
        one_segment_of_two(fixture, false, given);
    sort_all_by_length(fixture, found, longer);
    assert_true(found[0] == 0 && found[1] == given[1] && longer[1] > 0);
}

/* The store has its turns while time passes. */
static void pass(struct store_fixture *fixture, int64_t ns) {
    const int64_t until = fixture->now.boot_ns + ns;
    for (int64_t due; (due = wr_store_due(fixture->store)) <= until;) {
        if (due > fixture->now.boot_ns)
            store_fixture_advance(fixture, due - fixture->now.boot_ns);
        must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    }
    store_fixture_advance(fixture, until - fixture->now.boot_ns);
}

#define DAY_NS (24 * 60 * MINUTE_NS)
#define TTL_NS (30 * DAY_NS)
#define SPAN_NS (32 * (RECORDS / 8) * MINUTE_NS) /* of one batch */
#define STEP_NS (DAY_NS / 2)
#define LATE_NS (20 * MINUTE_NS) /* as the docs say, and a segment's own windows */

/* Windows are merged on the way to a time to live that nothing has reached: from then on what is left is never older than that and the span of what was merged, and what goes is that old. */
static void age_on(struct store_fixture *fixture, bool restarts, bool is_history) {
    struct wr_random noise = {.state = 3}; /* the store is full soon */
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = TTL_NS;
    memset(fixture->options.boot_id, 1, sizeof fixture->options.boot_id);
    must(fixture, store_fixture_open(fixture));
    const int64_t began_ns = fixture->now.boot_ns;
    while (merged_segments(fixture) < 100 && evicted_readings(fixture) == 0)
        one_segment_with(fixture, &noise);
    assert_true(fixture->now.boot_ns - began_ns < TTL_NS - DAY_NS && fixture->now.boot_ns - began_ns > 2 * DAY_NS);
    if (restarts) { /* of the machine: only the wall clock knows how old they are */
        must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
        fixture->store = NULL;
        memset(fixture->options.boot_id, 2, sizeof fixture->options.boot_id);
        fixture->now.boot_ns = 5 * WR_NS_PER_S;
        must(fixture, store_fixture_open(fixture));
    }
    if (is_history)
        must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, wr_store_newest(fixture->store, WR_LANE_WINDOWS), &fixture->now,
                                   &fixture->err));
    const struct content before = content_of(fixture);
    const uint64_t all = before.readings;
    uint64_t left = all;
    pass(fixture, TTL_NS - (fixture->now.wall_ns - before.oldest_ns) - STEP_NS);
    while (left > 0) {
        pass(fixture, STEP_NS);
        const struct content content = content_of(fixture);
        const int64_t age_ns = fixture->now.wall_ns - content.oldest_ns; /* of what is left */
        assert_true(content.readings == 0 || age_ns < TTL_NS + SPAN_NS + LATE_NS + STEP_NS);
        if (content.readings < left && content.readings > 0)
            assert_true(age_ns > TTL_NS - LATE_NS - STEP_NS); /* what went was older than this */
        left = content.readings;
    }
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_EXPIRED], is_history ? 0 : all);
    assert_int_equal(evicted_readings(fixture), 0);
}

static void it_ages_on(void **state) {
    age_on(*state, false, false);
}

static void it_ages_on_as_history_too(void **state) {
    age_on(*state, true, true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(before_anything_is_evicted),
        TEST(what_is_left_of_history_goes_first),
        TEST(what_cannot_be_merged_any_more_is_evicted),
        TEST(what_the_broker_may_have_is_not),
        TEST(what_the_uplink_was_given_is_not),
        TEST(what_was_salvaged_is_not),
        TEST(what_was_merged_does_not_come_back),
        TEST(nor_out_of_pages_that_were_given_up),
        TEST(only_where_all_lengths_are_known),
        TEST(not_while_the_lengths_are_about_to_change),
        TEST(an_unknown_length_that_has_expired_is_none),
        TEST(also_what_was_known_before_there_was_a_database),
        TEST(only_by_a_clock_that_is_right),
        TEST(it_ends_by_itself),
        TEST(memory_fails_at_each_allocation),
        TEST(accounts_stay_exact),
        TEST(a_dropped_window_keeps_its_length),
        TEST(it_ages_on),
        TEST(it_ages_on_as_history_too),
        TEST(also_where_a_minute_fills_many_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
