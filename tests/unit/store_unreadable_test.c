/* Much of a store that cannot be read at once: neighbours are one place, what cannot go is no room, and whoever asks is given the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/history.h"
#include "tests/support/disk_bed.h"
#include "tests/support/query_bed.h"
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

/* -- whoever only looks -------------------------------------------------------------------------------------------------------------------- */

static struct query_bed ask(struct wr_store *store, const char *sql) {
    struct query_bed bed;
    query_bed_init(&bed, wr_history_of_store(store));
    if (query_bed_ask(&bed, sql) != WR_OK)
        fail_msg("%s: %s", sql, bed.err.text);
    return bed;
}

/* What is asked has one number for an answer. */
static unsigned number(struct wr_store *store, const char *sql, unsigned unreadable, unsigned damaged) {
    struct query_bed bed = ask(store, sql);
    const unsigned answer = (unsigned)strtoul(wr_buf_str(&bed.rows), NULL, 10);
    assert_int_equal(bed.report.unreadable, unreadable);
    assert_int_equal(bed.report.damaged, damaged);
    query_bed_fini(&bed);
    return answer;
}

#define SEGMENTS "SELECT count(*) FROM segments WHERE lane = 'windows'"
#define WITH_ROWS "SELECT count(DISTINCT seq) FROM readings WHERE lane = 'windows'"

static void sees_all_but(struct wr_store *store, unsigned heads, unsigned bodies) {
    assert_int_equal(number(store, SEGMENTS, heads > 0 ? 2 : 0, 0), 300 - heads);
    assert_int_equal(number(store, WITH_ROWS, heads > 0 ? 2 : 0, bodies), 300 - heads - bodies);
    assert_int_equal(number(store, "SELECT count(*) FROM journal WHERE kind = 'alarms'", 0, 0), 0);
}

/* A store that nobody has open. */
static void look_at_stopped(struct wr_store **ret_store) {
    char path[300];
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE, fixture.directory);
    FILE *file = fopen(path, "w"); /* the real one is on the faulty disk */
    assert_non_null(file);
    fclose(file);
    wr_fault_vfs_default(disk, true);
    must(wr_history_open(fixture.directory, ret_store, &fixture.err));
}

static void leave(struct wr_store *store) {
    wr_store_abandon(store);
    wr_fault_vfs_default(disk, false);
}

static void test_a_query_gives_what_can_be_read(void **state) {
    (void)state;
    make(300);
    stop();
    const unsigned heads = take_away(WR_LANE_WINDOWS, 60, 100, STORE_PAGE_HEADS) + take_away(WR_LANE_WINDOWS, 500, 501, STORE_PAGE_HEADS);
    const unsigned bodies = take_away(WR_LANE_WINDOWS, 200, 220, STORE_PAGE_BODIES);
    must(store_fixture_open(&fixture));
    sees_all_but(fixture.store, heads, bodies);
    store_fixture_abandon(&fixture);
    struct wr_store *store = NULL;
    look_at_stopped(&store);
    sees_all_but(store, heads, bodies);
    leave(store);
}

/* A store of which nobody knows where it ends is read all the same, when nobody has it open: an agent would put it aside. */
static void test_the_newest_rows_may_be_those(void **state) {
    struct wr_store *store = NULL;
    (void)state;
    make(100);
    stop();
    const unsigned heads = take_away(WR_LANE_WINDOWS, 195, 200, STORE_PAGE_HEADS);
    look_at_stopped(&store);
    assert_int_equal(number(store, SEGMENTS, 1, 0), 100 - heads);
    assert_int_equal(number(store, WITH_ROWS, 1, 0), 100 - heads);
    assert_int_equal(number(store, "SELECT count(*) FROM segments WHERE lane = 'changes'", 1, 0), 100);
    leave(store);
}

/* A hole is not looked for again with each walk; after a while it is. */
static void test_a_hole_is_known_for_a_while(void **state) {
    (void)state;
    make(100);
    stop();
    const unsigned heads = take_away(WR_LANE_WINDOWS, 60, 61, STORE_PAGE_HEADS);
    must(store_fixture_open(&fixture));
    assert_int_equal(number(fixture.store, SEGMENTS, 1, 0), 100 - heads);
    wr_fault_vfs_plan(disk, NULL); /* so that a bad page is hit only from now on */
    assert_int_equal(number(fixture.store, SEGMENTS, 1, 0), 100 - heads);
    assert_false(wr_fault_vfs_hit(disk));
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 0); /* one that only looks is no judge */
    wr_fault_vfs_bad(disk, NULL, 0, 0);
    store_fixture_advance(&fixture, 60 * WR_NS_PER_S);
    put(CHANGES);
    assert_int_equal(number(fixture.store, SEGMENTS, 0, 0), 100);
}

/* A directory cannot be read as a file, a link to itself cannot be opened. */
static void test_files_of_raw_readings_too(void **state) {
    char path[300];
    (void)state;
    must(store_fixture_open(&fixture));
    put(WINDOWS);
    snprintf(path, sizeof path, "%s/raw", fixture.directory);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/raw/0000000a.weir", fixture.directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/raw/0000000b.weir", fixture.directory);
    assert_int_equal(symlink("0000000b.weir", path), 0);
    assert_int_equal(number(fixture.store, "SELECT count(*) FROM raw", 2, 0), 0);
    assert_int_equal(number(fixture.store, "SELECT count(*) FROM segments", 2, 0), 1);
}

/* -- what commits need themselves ---------------------------------------------------------------------------------------------------------- */

static enum wr_result raise_one(uint32_t transition) {
    const struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = transition, .rule = "hot"}};
    uint32_t taken = 0;
    return wr_store_alarms(fixture.store, &entry, 1, &fixture.now, &taken, &fixture.err);
}

static void test_alarms_that_go_say_nothing_of_windows(void **state) {
    uint32_t taken = 0;
    uint32_t alarms = 0;
    (void)state;
    make(100);
    stop();
    must(store_fixture_open(&fixture));
    (void)take_away(WR_LANE_WINDOWS, 199, 200, STORE_PAGE_HEADS);
    assert_true(number(fixture.store, SEGMENTS, 1, 0) < 100); /* a look at all: the newest page is in no cache any more */
    store_fixture_fill(&fixture, WINDOWS, 1, 2);
    must(wr_store_take(fixture.store, &fixture.handover, 0, &fixture.now, &taken, &fixture.err));
    fixture.handover.n = 0;
    const int64_t began_ns = fixture.now.boot_ns;
    while (wr_store_reopen_due(fixture.store) > fixture.now.boot_ns) {
        assert_true(fixture.now.boot_ns - began_ns < 90 * WR_NS_PER_S);
        store_fixture_advance(&fixture, WR_NS_PER_S);
        assert_int_equal(wr_store_tick(fixture.store, &fixture.now, &fixture.err), WR_IO);
        store_fixture_advance(&fixture, WR_NS_PER_S);
        must(raise_one(++alarms));
    }
    assert_int_equal(wr_store_journalled(fixture.store), alarms);
    wr_fault_vfs_bad(disk, NULL, 0, 0);
    store_fixture_advance(&fixture, WR_NS_PER_S);
    must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    assert_true(wr_store_reopen_due(fixture.store) == WR_NEVER_NS);
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
        TEST(test_a_query_gives_what_can_be_read),
        TEST(test_the_newest_rows_may_be_those),
        TEST(test_a_hole_is_known_for_a_while),
        TEST(test_alarms_that_go_say_nothing_of_windows),
        TEST(test_files_of_raw_readings_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
