/* Much of a store that cannot be read at once: neighbours are one place, what cannot go is no room, and whoever asks is given the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"
#include "tests/support/disk_bed.h"
#include "tests/support/store_pages.h"

#define RECORDS 64
#define PAGES 2048 /* of 4 MB */

static bool bad[PAGES];

static const struct wr_store_stats *stats_of(void) {
    return wr_store_stats(fixture.store);
}

static void put(uint32_t account) {
    store_fixture_fill(&fixture, account, RECORDS, 2);
    store_fixture_noise(&fixture, 0, &dice);
    store_fixture_take(&fixture);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    store_fixture_advance(&fixture, 17 * WR_NS_PER_S);
}

/* Lanes take turns: the seqs of one have holes. */
static void make(int rounds) {
    must(store_fixture_open(&fixture));
    for (int i = 0; i < rounds; i++) {
        put(WINDOWS);
        put(CHANGES);
    }
}

/* A clean stop, after which all stands in the database. */
static void stop(void) {
    store_fixture_close(&fixture);
    wr_fault_vfs_remove(disk, WR_STORE_FILE "-wal"); /* it has copies */
    memset(bad, 0, sizeof bad);
}

/* Takes these pages of rows away. Returns how many rows it hits. */
static unsigned take_away(enum wr_lane lane, int64_t first, int64_t last, enum store_page_part part) {
    uint64_t len = 0;
    const uint8_t *file = wr_fault_vfs_file(disk, WR_STORE_FILE, &len);
    const unsigned rows = store_pages_of(file, len, lane, first, last, part, bad, PAGES);
    wr_fault_vfs_bad_pages(disk, WR_STORE_FILE, bad, PAGES, STORE_PAGE_BYTES);
    assert_true(rows > 0);
    return rows;
}

/* Reads a lane as the uplink does, which asks again for what failed, while others are committed. */
static unsigned read_lane(enum wr_lane lane, unsigned most_failures) {
    struct wr_segment segment;
    enum wr_result result;
    unsigned n = 0;
    unsigned failures = 0;
    int64_t after = 0;
    while ((result = wr_store_next(fixture.store, lane, after, INT64_MAX, &fixture.now, &segment, &fixture.err)) != WR_EMPTY) {
        if (result == WR_IO) {
            assert_true(++failures <= most_failures);
            put(CHANGES);
            continue;
        }
        must(result);
        after = segment.seq;
        n++;
        wr_segment_free(&segment);
    }
    return n;
}

static void test_neighbours_are_one_place(void **state) {
    (void)state;
    make(100);
    stop();
    const unsigned rows = take_away(WR_LANE_WINDOWS, 20, 180, STORE_PAGE_BODIES);
    assert_true(rows > WR_STORE_RANGES);
    must(store_fixture_open(&fixture));
    assert_int_equal(read_lane(WR_LANE_WINDOWS, rows), 100 - rows);
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 1);
}

static void test_what_can_be_read_between_them_keeps_places_apart(void **state) {
    (void)state;
    make(30);
    stop();
    const unsigned rows = take_away(WR_LANE_WINDOWS, 10, 20, STORE_PAGE_BODIES) + take_away(WR_LANE_WINDOWS, 23, 24, STORE_PAGE_BODIES);
    must(store_fixture_open(&fixture));
    assert_int_equal(read_lane(WR_LANE_WINDOWS, rows), 30 - rows);
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 2);
}

/* The row behind a page is found without the page. */
static void test_a_page_takes_no_row_of_another_with_it(void **state) {
    (void)state;
    make(100);
    stop();
    const unsigned rows = take_away(WR_LANE_WINDOWS, 60, 100, STORE_PAGE_HEADS);
    must(store_fixture_open(&fixture));
    assert_int_equal(read_lane(WR_LANE_WINDOWS, 1), 100 - rows);
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 1);
}

/* -- room that cannot be made --------------------------------------------------------------------------------------------------------------- */

/* A store that is nearly full, and nobody but the first rounds of it has the broker. */
static int make_nearly_full(void) {
    int rounds = 0;
    fixture.tells_lengths = true;
    must(store_fixture_open(&fixture));
    do {
        put(WINDOWS);
        rounds++;
    } while (atomic_load(&stats_of()->free_bytes) > 1 << 19);
    must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, 1, rounds / 2, &fixture.now, &fixture.err));
    return rounds;
}

/* Goes on until something had to be merged or was lost; only what nobody has could be. */
static void fill(void) {
    for (int i = 0; atomic_load(&stats_of()->merged_segments) + atomic_load(&stats_of()->evicted_unacked_segments) == 0; i++) {
        assert_true(i < 1000);
        put(WINDOWS);
    }
}

static void test_history_goes_before_anything_is_merged(void **state) {
    (void)state;
    const int rounds = make_nearly_full();
    stop();
    must(store_fixture_open(&fixture));
    fill();
    assert_true(atomic_load(&stats_of()->evicted_segments) > (uint64_t)rounds / 4);
    assert_int_equal(atomic_load(&stats_of()->evicted_unacked_segments), 0);
}

static void test_history_that_cannot_be_read_is_no_room(void **state) {
    (void)state;
    const int rounds = make_nearly_full();
    stop();
    (void)take_away(WR_LANE_WINDOWS, 20, rounds / 2, STORE_PAGE_HEADS); /* the first leaf is needed to open it */
    must(store_fixture_open(&fixture));
    fill();
    assert_true(atomic_load(&stats_of()->unreadable_places) > 0);
    assert_true(atomic_load(&stats_of()->history_segments) > (uint64_t)rounds / 4); /* it is still there */
    assert_int_equal(atomic_load(&stats_of()->evicted_unacked_segments), 0);
    assert_true(atomic_load(&stats_of()->merged_segments) > 0);
    for (uint32_t account = 0; account < 2; account++)
        (void)store_fixture_balance(&fixture, account);
}

int main(void) {
    dice = wr_random_begin();
#define TEST(name) cmocka_unit_test_setup_teardown(name, disk_bed_setup, disk_bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_neighbours_are_one_place),
        TEST(test_what_can_be_read_between_them_keeps_places_apart),
        TEST(test_a_page_takes_no_row_of_another_with_it),
        TEST(test_history_goes_before_anything_is_merged),
        TEST(test_history_that_cannot_be_read_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
