/* The scars of others that the store alone can show: docs/scars.md tells the stories. Those that need the whole agent are in tests/system/scars_test.py. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/history.h"
#include "tests/support/failing.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

#define SEGMENTS 60
#define FEW 20
#define MANY 2000
#define LARGE 200 /* aggregates of a segment that fills a page and more */
#define BURST 4000
#define LOG_BYTES (1 << 20)

static enum wr_result next(struct store_fixture *fixture, enum wr_lane lane, int64_t after, struct wr_segment *ret_segment) {
    return wr_store_next(fixture->store, lane, after, INT64_MAX, &fixture->now, ret_segment, &fixture->err);
}

/* What waits to be sent, segment by segment. */
static uint32_t read_backlog(struct store_fixture *fixture, struct wr_segment *segments) {
    uint32_t n = 0;
    for (int lane = 0; lane < WR_LANES; lane++) {
        int64_t after = 0;
        while (next(fixture, (enum wr_lane)lane, after, &segments[n]) == WR_OK) {
            after = segments[n++].seq;
            assert_true(n <= SEGMENTS);
        }
    }
    return n;
}

/* The same, and a look at all of it by the check that follows an unclean stop. */
static void is_still_there(struct store_fixture *fixture, const struct wr_segment *before) {
    while (wr_store_due(fixture->store) == 0)
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    struct wr_segment now[SEGMENTS + 1];
    assert_int_equal(read_backlog(fixture, now), SEGMENTS);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        assert_true(now[i].epoch == before[i].epoch && now[i].seq == before[i].seq && now[i].lane == before[i].lane);
        assert_int_equal(now[i].body_len, before[i].body_len);
        assert_memory_equal(now[i].body, before[i].body, before[i].body_len);
        wr_segment_free(&now[i]);
    }
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->bad_segments), 0);
    for (uint32_t account = 0; account < 2; account++)
        assert_int_equal(store_fixture_balance(fixture, account).books[WR_BOOK_DROPPED_CORRUPT], 0);
}

/* Fluent Bit #7279: what could not be delivered before a restart was taken for damaged by the start, and thrown away. Here what was offered to a broker that
 * did not acknowledge it is whole for the next start, after a stop and after a kill, and is offered again, byte by byte the same. */
static void fluent_bit_7279_a_restart_throws_nothing_away(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (uint32_t i = 0; i < SEGMENTS; i++)
        store_fixture_segment(fixture, i % 2, 1 + i % 50, 1 + i % 9);
    struct wr_segment before[SEGMENTS + 1];
    assert_int_equal(read_backlog(fixture, before), SEGMENTS);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        store_fixture_must(fixture,
                           wr_store_offer(fixture->store, (enum wr_lane)before[i].lane, before[i].seq, &fixture->now, &fixture->err));
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_false(fixture->report.unclean);
    is_still_there(fixture, before);
    store_fixture_abandon(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.unclean);
    is_still_there(fixture, before);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        wr_segment_free(&before[i]);
}

struct start {
    long reads; /* of the disk */
    long allocations;
    long descriptors;
};

static long descriptors(void) {
    long n = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static void add_until(struct store_fixture *fixture, uint32_t segments) {
    while (wr_store_newest(fixture->store, WR_LANE_WINDOWS) < segments)
        store_fixture_segment(fixture, 1, LARGE, 1);
}

/* What a start after a kill does before the store is ready. */
static struct start start_with(struct store_fixture *fixture, struct wr_fault_vfs *disk, uint32_t segments) {
    store_fixture_must(fixture, store_fixture_open(fixture));
    add_until(fixture, segments);
    store_fixture_close(fixture); /* so that the log is short in both cases */
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_abandon(fixture);
    struct start start = {.descriptors = -descriptors()};
    if (disk)
        wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_NONE, WR_FAULT_READ, -1, false});
    wr_failing_allocations(-1);
    store_fixture_must(fixture, store_fixture_open(fixture));
    start.allocations = wr_failing_count();
    wr_failing_off();
    start.reads = disk ? wr_fault_vfs_count(disk, WR_FAULT_READ) : 0;
    start.descriptors += descriptors();
    uint64_t waiting = 0;
    for (int lane = 0; lane < WR_LANES; lane++)
        waiting += atomic_load(&wr_store_stats(fixture->store)->unacked_segments[lane]);
    assert_true(waiting >= segments);
    store_fixture_close(fixture);
    return start;
}

/* Fluent Bit #5166: with thousands of chunks on the disk a start opened and read them all, ran out of descriptors or memory, and failed again and again. Here a
 * start costs the same whatever waits: as many allocations and descriptors with 2000 segments as with 20, and it reads SQLite's log, which has a limit, and a
 * few pages. */
static void fluent_bit_5166_a_start_does_not_read_the_backlog(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.budget_bytes = 32 << 20;
    const struct start few_files = start_with(fixture, NULL, FEW);
    const struct start many_files = start_with(fixture, NULL, MANY);
    assert_int_equal(many_files.descriptors, few_files.descriptors);
    assert_int_equal(many_files.allocations, few_files.allocations);

    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    struct store_fixture on_disk;
    store_fixture_init(&on_disk);
    on_disk.options.budget_bytes = 32 << 20;
    on_disk.options.vfs = wr_fault_vfs_name(disk);
    on_disk.options.wal_reserve_bytes = LOG_BYTES;
    const struct start few = start_with(&on_disk, disk, FEW);
    const struct start many = start_with(&on_disk, disk, MANY);
    print_message("reads of a start: %ld with %d segments, %ld with %d\n", few.reads, FEW, many.reads, MANY);
    assert_true(few.reads > 0 && many.reads < few.reads + MANY / 20); /* how full the log is makes a difference */
    store_fixture_fini(&on_disk);
    wr_fault_vfs_free(disk);
}

/* grappa-irc #2287: a burst of writes let the write-ahead log grow far beyond its limit, since readers kept the checkpoints from coming to an end. Here whoever reads,
 * history step by step and what is to be sent, is done with each step: the log never outgrows what is set aside for it. */
static void grappa_2287_readers_do_not_let_the_log_grow(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture->options.vfs = wr_fault_vfs_name(disk);
    fixture->options.budget_bytes = 16 << 20;
    fixture->options.wal_reserve_bytes = 2 << 20;
    store_fixture_must(fixture, store_fixture_open(fixture));
    add_until(fixture, 2 * WR_HISTORY_HEADS);
    struct wr_history_walk walk = {.lane = WR_LANE_WINDOWS, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    struct wr_segment_head heads[WR_HISTORY_HEADS];
    uint64_t longest = 0;
    const uint64_t before = wr_fault_vfs_written(disk);
    for (uint32_t i = 0; i < BURST; i++) {
        uint32_t n;
        struct wr_segment segment;
        store_fixture_must(fixture, wr_store_heads(fixture->store, &walk, heads, &n, &fixture->err));
        if (walk.is_over)
            walk.after = 0, walk.is_over = false;
        store_fixture_must(fixture, next(fixture, WR_LANE_WINDOWS, i, &segment));
        wr_segment_free(&segment);
        store_fixture_segment(fixture, 1, 50, 1);
        uint64_t len = 0;
        assert_non_null(wr_fault_vfs_file(disk, "-wal", &len));
        longest = len > longest ? len : longest;
    }
    const uint64_t written = wr_fault_vfs_written(disk) - before;
    print_message("%.1f MB written, the log was never longer than %.2f MB\n", (double)written / 1e6, (double)longest / 1e6);
    assert_true(written > 5 * fixture->options.wal_reserve_bytes); /* it would have been */
    assert_true(longest <= fixture->options.wal_reserve_bytes);
    assert_true(wr_fault_vfs_bytes(disk) <= fixture->options.budget_bytes);
    store_fixture_close(fixture);
    wr_fault_vfs_free(disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fluent_bit_7279_a_restart_throws_nothing_away, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(fluent_bit_5166_a_start_does_not_read_the_backlog, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(grappa_2287_readers_do_not_let_the_log_grow, store_fixture_setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
