/* A page of the database that cannot be read any more: windows and alarms are committed all the same, the oldest that can be read goes on going, and the books
 * balance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/keep.h"
#include "store/reach.h"
#include "store/reopen.h"
#include "tests/support/disk_bed.h"

#define HOUR_NS (3600 * WR_NS_PER_S)
#define RECORDS 64
#define PAGE_BYTES 2048
#define PAGES 1024
#define RUNS 20 /* of each store, a bad page each */
#define HURT 8  /* of them: pages that a new row itself must touch */

static int setup(void **state) {
    (void)disk_bed_setup(state);
    memset(fixture.options.boot_id, 1, sizeof fixture.options.boot_id);
    return 0;
}

static enum wr_result try_put(uint32_t account) {
    uint32_t taken = 0;
    store_fixture_fill(&fixture, account, RECORDS, 2);
    store_fixture_noise(&fixture, 0, &dice);
    must(wr_store_take(fixture.store, &fixture.handover, 0, &fixture.now, &taken, &fixture.err));
    assert_int_equal(taken, fixture.handover.n);
    fixture.handover.n = 0;
    return wr_store_flush(fixture.store, &fixture.now, &fixture.err);
}

static void put(uint32_t account) {
    must(try_put(account));
}

static enum wr_result try_alarm(void) {
    const struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = 1, .rule = "hot"}};
    uint32_t taken;
    const uint64_t before = wr_store_journalled(fixture.store);
    WR_TRY(wr_store_alarms(fixture.store, &entry, 1, &fixture.now, &taken, &fixture.err));
    WR_TRY(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    assert_true(taken == 1 && wr_store_journalled(fixture.store) == before + 1);
    return WR_OK;
}

static void pass(int64_t ns) {
    const int64_t until = fixture.now.boot_ns + ns;
    unsigned turns = 0;
    for (int64_t due; (due = wr_store_due(fixture.store)) <= until; turns++) {
        assert_true(turns < 10000);
        if (due > fixture.now.boot_ns)
            store_fixture_advance(&fixture, due - fixture.now.boot_ns);
        must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    }
    store_fixture_advance(&fixture, until - fixture.now.boot_ns);
}

static const struct wr_store_stats *stats_of(void) {
    return wr_store_stats(fixture.store);
}

static void acknowledge_up_to(enum wr_lane lane, int64_t last) {
    must(wr_store_ack(fixture.store, lane, 1, last, &fixture.now, &fixture.err));
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
}

/* The books balance, and what they hold are the rows. */
static void look(void) {
    for (uint32_t account = 0; account < 2; account++)
        (void)store_fixture_balance(&fixture, account);
}

/* A store of one kind is made; then it lives on, once for each page that is bad. */
struct kind {
    const char *name;
    void (*make)(void);
    int steps;
    bool clean; /* stopped cleanly: else all is read once, to check it */
};

/* False: what the newest rows themselves need is on that page. */
static bool survives(int steps) {
    for (int i = 0; i < steps; i++) {
        store_fixture_advance(&fixture, 120 * WR_NS_PER_S);
        if (try_put(i % 5 == 4 ? CHANGES : WINDOWS) != WR_OK || try_alarm() != WR_OK)
            return false;
        pass(WR_NS_PER_S);
        look();
    }
    return true;
}

/* The sector is good again: so are its rows, after a while. */
static void heals(void) {
    wr_fault_vfs_bad(disk, NULL, 0, 0);
    store_fixture_advance(&fixture, WR_REACH_AGAIN_NS);
    put(WINDOWS);
    pass(WR_NS_PER_S);
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 0);
    look();
}

/* The files on the faulty disk cannot be renamed aside: they are removed, and one of the system's stands for them. */
static void rename_for_it(void) {
    wr_fault_vfs_bad(disk, NULL, 0, 0); /* a fresh file has other sectors */
    wr_fault_vfs_remove(disk, WR_STORE_FILE);
    wr_fault_vfs_remove(disk, WR_STORE_FILE "-wal");
    store_fixture_placeholder(&fixture);
}

/* What each commit needs is on the page: after a minute it is opened again, after another one put aside. */
static void comes_back(void) {
    const uint64_t epoch = wr_store_epoch(fixture.store);
    bool renamed = false;
    unsigned failures = 0;
    enum wr_result result = WR_IO;
    for (int i = 0; i < 2000 && result != WR_OK; i++) {
        store_fixture_advance(&fixture, WR_NS_PER_S);
        if (wr_store_reopen_due(fixture.store) <= fixture.now.boot_ns)
            failures += wr_store_reopen(fixture.store, &fixture.now, &fixture.err) != WR_OK;
        if (!renamed && failures > 0 && (strstr(fixture.err.text, "cannot rename") || failures == WR_REOPEN_TRIES - 1)) {
            rename_for_it();
            renamed = true;
        }
        result = wr_store_flush(fixture.store, &fixture.now, &fixture.err);
    }
    must(result);
    if (renamed)
        assert_true(wr_store_epoch(fixture.store) != epoch && atomic_load(&stats_of()->quarantines) == 1);
    must(try_alarm());
    put(WINDOWS);
    look();
}

static struct wr_fault_vfs *base;
static struct wr_now began;

/* The store as it was made, on a disk of its own. */
static void begin(void) {
    disk = wr_fault_vfs_copy(base);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    fixture.now = began;
    must(store_fixture_open(&fixture));
    wr_fault_vfs_plan(disk, NULL);
}

static void end(void) {
    store_fixture_abandon(&fixture);
    wr_fault_vfs_free(disk);
    disk = base;
}

/* The pages that a life on a good disk reads. */
static void watch(const struct kind *kind, bool seen[PAGES]) {
    begin();
    memset(seen, 0, PAGES);
    wr_fault_vfs_watch(disk, WR_STORE_FILE, seen, PAGES, PAGE_BYTES);
    assert_true(survives(kind->steps));
    end();
}

static void for_each_page(const struct kind *kind) {
    bool seen[PAGES];
    unsigned runs = 0, passed_over = 0, hurt = 0;
    kind->make();
    if (kind->clean)
        store_fixture_close(&fixture);
    else
        store_fixture_abandon(&fixture);
    base = disk;
    began = fixture.now;
    watch(kind, seen);
    for (int tries = 0; tries < 100 * RUNS && runs < RUNS; tries++) {
        const uint64_t page = wr_random_below(&dice, PAGES);
        if (!seen[page])
            continue;
        seen[page] = false;
        begin();
        wr_fault_vfs_bad(disk, WR_STORE_FILE, page * PAGE_BYTES, PAGE_BYTES);
        const bool good = survives(kind->steps);
        if (!good)
            printf("%s: page %llu: %s\n", kind->name, (unsigned long long)page, fixture.err.text);
        runs++;
        hurt += !good;
        passed_over += atomic_load(&stats_of()->unreadable_places) > 0;
        assert_int_equal(atomic_load(&stats_of()->quarantines), 0);
        if (good)
            heals();
        else
            comes_back();
        end();
    }
    printf("%s: %u pages: %u passed over, %u in the way\n", kind->name, runs, passed_over, hurt);
    assert_true(passed_over > 0);
    assert_true(hurt <= HURT);
}

static void make_old(void) {
    fixture.options.lanes[WR_LANE_WINDOWS].ttl_ns = HOUR_NS;
    fixture.options.lanes[WR_LANE_CHANGES].ttl_ns = HOUR_NS;
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 200; i++) {
        put(i % 5 == 4 ? CHANGES : WINDOWS);
        store_fixture_advance(&fixture, 17 * WR_NS_PER_S);
    }
    acknowledge_up_to(WR_LANE_WINDOWS, 100);
}

static void make_full(void) {
    must(store_fixture_open(&fixture));
    const struct wr_store_stats *stats = stats_of();
    for (int i = 0; atomic_load(&stats->evicted_unacked_segments) + atomic_load(&stats->merged_segments) == 0; i++) {
        assert_true(i < 2000);
        put(i % 5 == 4 ? CHANGES : WINDOWS);
        store_fixture_advance(&fixture, 17 * WR_NS_PER_S);
    }
}

static void make_mergeable(void) {
    fixture.tells_lengths = true;
    make_full();
}

static void what_is_too_old(void **state) {
    (void)state;
    for_each_page(&(struct kind){"too old", make_old, 25, false});
}

static void what_makes_room(void **state) {
    (void)state;
    for_each_page(&(struct kind){"makes room", make_full, 60, true});
}

static void what_is_merged(void **state) {
    (void)state;
    for_each_page(&(struct kind){"is merged", make_mergeable, 60, true});
}

/* -- what is only read ------------------------------------------------------------------------------------------------------------------- */

/* Reads a lane as the uplink does, which asks again for what failed. Returns how many segments there are. */
static unsigned read_lane(enum wr_lane lane, unsigned *ret_failures) {
    struct wr_segment segment;
    unsigned n = 0;
    int64_t after = 0;
    for (*ret_failures = 0;;) {
        const enum wr_result result = wr_store_next(fixture.store, lane, after, INT64_MAX, &fixture.now, &segment, &fixture.err);
        if (result == WR_EMPTY)
            return n;
        if (result == WR_IO) {
            assert_true(++*ret_failures < 10);
            put(CHANGES); /* the disk takes others */
            continue;
        }
        must(result);
        after = segment.seq;
        n++;
        wr_segment_free(&segment);
    }
}

static enum wr_result acknowledge_all(void) {
    return wr_store_ack(fixture.store, WR_LANE_WINDOWS, 1, wr_store_newest(fixture.store, WR_LANE_WINDOWS), &fixture.now, &fixture.err);
}

static void the_uplink_goes_on(void **state) {
    (void)state;
    unsigned failures, met = 0;
    make_old();
    fixture.options.lanes[WR_LANE_WINDOWS].ttl_ns = fixture.options.lanes[WR_LANE_CHANGES].ttl_ns = 0;
    store_fixture_abandon(&fixture);
    base = disk;
    began = fixture.now;
    for (uint64_t page = 10; page < 1000 && met < 4; page++) {
        begin();
        const unsigned all = (unsigned)atomic_load(&stats_of()->unacked_segments[WR_LANE_WINDOWS]);
        wr_fault_vfs_bad(disk, WR_STORE_FILE, page * PAGE_BYTES, PAGE_BYTES);
        const unsigned n = read_lane(WR_LANE_WINDOWS, &failures);
        assert_true(n <= all && n + 4 >= all && (failures > 0 || n == all));
        met += failures > 0;
        for (enum wr_result result; (result = acknowledge_all()) != WR_OK;) {
            assert_int_equal(result, WR_IO);
            assert_true(++failures < 10);
            put(CHANGES);
        }
        put(CHANGES);
        const struct wr_account_balance windows = store_fixture_balance(&fixture, WINDOWS);
        assert_true(wr_balance_held(&windows) <= 4 * 2 * RECORDS); /* what the broker has, but nobody can say of which account */
        assert_true(atomic_load(&stats_of()->unacked_segments[WR_LANE_WINDOWS]) <= 4);
        end();
    }
    assert_int_equal(met, 4);
}

/* The sector is good again: whoever reads from the beginning after the hour has all. */
static void after_an_hour_it_begins_anew(void **state) {
    (void)state;
    unsigned failures = 0;
    make_old();
    fixture.options.lanes[WR_LANE_WINDOWS].ttl_ns = fixture.options.lanes[WR_LANE_CHANGES].ttl_ns = 0;
    store_fixture_abandon(&fixture);
    base = disk;
    began = fixture.now;
    unsigned all, n;
    for (uint64_t page = 10;; page++) {
        assert_true(page < 1000);
        begin();
        all = (unsigned)atomic_load(&stats_of()->unacked_segments[WR_LANE_WINDOWS]);
        wr_fault_vfs_bad(disk, WR_STORE_FILE, page * PAGE_BYTES, PAGE_BYTES);
        n = read_lane(WR_LANE_WINDOWS, &failures);
        if (n < all)
            break;
        end();
    }
    assert_true(atomic_load(&stats_of()->unreadable_places) > 0);
    wr_fault_vfs_bad(disk, NULL, 0, 0);
    assert_int_equal(read_lane(WR_LANE_WINDOWS, &failures), n);
    store_fixture_advance(&fixture, WR_REACH_AGAIN_NS - WR_NS_PER_S);
    put(CHANGES);
    assert_int_equal(atomic_load(&stats_of()->unreadable_again), 0);
    store_fixture_advance(&fixture, WR_NS_PER_S);
    put(CHANGES);
    assert_int_equal(atomic_load(&stats_of()->unreadable_again), 1);
    assert_int_equal(read_lane(WR_LANE_WINDOWS, &failures), all);
    store_fixture_advance(&fixture, 2 * WR_REACH_AGAIN_NS);
    put(CHANGES);
    assert_int_equal(atomic_load(&stats_of()->unreadable_again), 1); /* nothing was passed over since */
    end();
}

static void a_disk_that_refuses_everything_says_nothing_about_rows(void **state) {
    (void)state;
    const struct wr_fault_plan dead = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .for_good = true};
    struct wr_segment segment;
    make_old();
    store_fixture_abandon(&fixture);
    must(store_fixture_open(&fixture));
    wr_fault_vfs_plan(disk, &dead);
    assert_int_equal(try_put(WINDOWS), WR_IO);
    for (int i = 0; i < 3; i++) {
        store_fixture_advance(&fixture, 2 * WR_NS_PER_S);
        assert_int_equal(wr_store_next(fixture.store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture.now, &segment, &fixture.err), WR_IO);
        assert_int_equal(wr_store_tick(fixture.store, &fixture.now, &fixture.err), WR_IO);
    }
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 0);
    wr_fault_vfs_plan(disk, NULL);
    store_fixture_advance(&fixture, 2 * WR_NS_PER_S);
    pass(WR_NS_PER_S);
    must(wr_store_next(fixture.store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture.now, &segment, &fixture.err));
    wr_segment_free(&segment);
    assert_int_equal(atomic_load(&stats_of()->unreadable_places), 0);
    look();
}

int main(void) {
    dice = wr_random_begin();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, disk_bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_too_old),
        TEST(what_makes_room),
        TEST(what_is_merged),
        TEST(the_uplink_goes_on),
        TEST(after_an_hour_it_begins_anew),
        TEST(a_disk_that_refuses_everything_says_nothing_about_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
