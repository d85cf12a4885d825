/* The write budget of the store: what is counted, what waits for it, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "store/thrift.h"
#include "store/written.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

#define BUDGET 3000000
#define DAY_S INT64_C(86400)
#define MAX_LOSS_S 10

static int setup(void **state) {
    (void)store_fixture_setup(state);
    struct store_fixture *fixture = *state;
    fixture->options.max_loss_ns = MAX_LOSS_S * WR_NS_PER_S;
    fixture->options.write_budget_bytes = BUDGET;
    fixture->now.wall_ns = INT64_C(20500) * DAY_S * WR_NS_PER_S; /* a day begins */
    return 0;
}

static void open_store(struct store_fixture *fixture) {
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
}

static const struct wr_store_stats *stats_of(const struct store_fixture *fixture) {
    return wr_store_stats(fixture->store);
}

static uint64_t commits(const struct store_fixture *fixture) {
    return atomic_load(&stats_of(fixture)->commits);
}

static uint64_t level(const struct store_fixture *fixture) {
    return atomic_load(&stats_of(fixture)->write_level);
}

static uint64_t spent(const struct store_fixture *fixture) {
    return atomic_load(&stats_of(fixture)->write_spent_bytes);
}

static void tick(struct store_fixture *fixture) {
    if (wr_store_due(fixture->store) <= fixture->now.boot_ns)
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
}

static void pass(struct store_fixture *fixture, int64_t seconds) {
    for (int64_t s = 0; s < seconds; s++) {
        store_fixture_advance(fixture, WR_NS_PER_S);
        tick(fixture);
    }
}

/* Writes until it is so tight, no time passes. */
static void write_until(struct store_fixture *fixture, enum wr_budget_level wanted) {
    for (int i = 0; level(fixture) < (uint64_t)wanted; i++) {
        assert_true(i < 10000);
        store_fixture_segment(fixture, 1, 64, 1);
    }
}

static void take(struct store_fixture *fixture, uint32_t account, uint32_t n) {
    for (uint32_t some; n > 0; n -= some) {
        some = n < WR_HANDOVER_AGGREGATES ? n : WR_HANDOVER_AGGREGATES;
        store_fixture_fill(fixture, account, some, 1);
        store_fixture_take(fixture);
    }
}

/* -- counting ------------------------------------------------------------------------------------------------------------------------------ */

/* Whole pages, once between two syncs: a small commit lies across three pages of the WAL, where SQLite writes two. */
static void what_is_counted_is_what_the_disk_gets(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture->options.vfs = wr_fault_vfs_name(disk);
    open_store(fixture);
    const uint64_t reserved = atomic_load(&stats_of(fixture)->written_bytes);
    assert_true(reserved >= wr_fault_vfs_written(disk) && reserved < wr_fault_vfs_written(disk) * 3 / 2);
    for (int i = 0; i < 300; i++) { /* checkpoints are among them: one in 256 pages */
        const uint64_t counted = atomic_load(&stats_of(fixture)->written_bytes);
        const uint64_t bytes = wr_fault_vfs_written(disk);
        store_fixture_segment(fixture, 1, 64, 1);
        const uint64_t pages = (atomic_load(&stats_of(fixture)->written_bytes) - counted) / 4096;
        const uint64_t least = (wr_fault_vfs_written(disk) - bytes) / 4096;
        assert_int_equal((atomic_load(&stats_of(fixture)->written_bytes) - counted) % 4096, 0);
        assert_true(pages >= least && pages <= least + 2);
    }
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    wr_fault_vfs_free(disk);
}

/* Against the file itself, page by page. */
static void writes_are_counted_in_whole_pages(void **state) {
    struct store_fixture *fixture = *state;
    _Atomic uint64_t bytes = 0;
    struct wr_written *written;
    sqlite3 *db;
    char path[320];
    assert_int_equal(wr_written_new("no such thing", &bytes, &written), WR_NOT_FOUND);
    assert_int_equal(wr_written_new(NULL, &bytes, &written), WR_OK);
    snprintf(path, sizeof path, "%s/plain.db", fixture->directory);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, wr_written_vfs(written)), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t(x)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_file *wal = NULL;
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal), SQLITE_OK);
    static const struct {
        int len;
        sqlite3_int64 at;
        uint64_t pages;
    } writes[] = {{4096, 8192, 1}, {24, 12288, 1}, {4096, 12312, 1}, {10, 16408, 0}, {4097, 40960, 2}, {1, 0, 1}, {0, 4096, 0}};
    static const char zeros[8192];
    assert_int_equal(wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL), SQLITE_OK);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
            const uint64_t before = bytes;
            assert_int_equal(wal->pMethods->xWrite(wal, zeros, writes[i].len, writes[i].at), SQLITE_OK);
            assert_int_equal(bytes - before, writes[i].pages * 4096);
        }
    const uint64_t before = bytes; /* written again after a sync, a page is written again */
    assert_int_equal(wal->pMethods->xWrite(wal, zeros, 1, 5), SQLITE_OK);
    assert_int_equal(bytes, before);
    assert_int_equal(wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_int_equal(wal->pMethods->xWrite(wal, zeros, 1, 6), SQLITE_OK);
    assert_int_equal(bytes, before + 4096);
    sqlite3_close(db);
    wr_written_free(written);
    wr_written_free(NULL);
}

static void the_reserve_is_no_part_of_it(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    store_fixture_segment(fixture, 1, 64, 1);
    assert_true(spent(fixture) > 4096 && spent(fixture) < 200000);
    assert_int_equal(level(fixture), WR_BUDGET_FREE);
}

/* Nor is that of a fresh store which takes the place of one that broke. */
static void nor_is_the_reserve_of_another_store(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.write_budget_bytes = 1000 * (uint64_t)BUDGET;
    open_store(fixture);
    for (int i = 0; i < 300; i++)
        store_fixture_segment(fixture, 1, 200, 10);
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    open_store(fixture);
    const uint64_t epoch = wr_store_epoch(fixture->store);
    store_fixture_scribble(fixture, 4096, 2 << 20);
    uint64_t before = spent(fixture);
    for (int i = 0; i < 400 && wr_store_epoch(fixture->store) == epoch; i++) {
        before = spent(fixture);
        store_fixture_segment(fixture, 1, 200, 10);
    }
    assert_true(wr_store_epoch(fixture->store) != epoch);
    assert_true(spent(fixture) - before < 400000); /* a segment, and a checkpoint perhaps; the reserve is 4 MB */
}

static void it_outlives_a_restart_and_most_of_it_a_kill(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    write_until(fixture, WR_BUDGET_SPARING);
    const uint64_t before = spent(fixture);
    store_fixture_close(fixture);
    open_store(fixture);
    assert_true(spent(fixture) >= before && spent(fixture) < before + 100000);
    assert_int_equal(level(fixture), WR_BUDGET_SPARING);
    store_fixture_advance(fixture, WR_THRIFT_SAVE_NS);
    for (int i = 0; i < 10; i++)
        store_fixture_segment(fixture, 1, 64, 1);
    const uint64_t later = spent(fixture);
    wr_store_abandon(fixture->store);
    open_store(fixture);
    assert_true(spent(fixture) >= before && spent(fixture) <= later);
    assert_true(spent(fixture) > before + 4096); /* the first commit after ten minutes took it along */
}

static void counting_alone_makes_no_commit(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    store_fixture_segment(fixture, 1, 64, 1);
    pass(fixture, 60);
    const uint64_t before = commits(fixture);
    const uint64_t written = atomic_load(&stats_of(fixture)->written_bytes);
    pass(fixture, 7200);
    assert_int_equal(commits(fixture), before);
    assert_int_equal(atomic_load(&stats_of(fixture)->written_bytes), written);
    assert_true(wr_store_due(fixture->store) > fixture->now.boot_ns); /* a look at the clock now and then */
}

/* Raw readings lie beside the database, on the same flash. */
static void what_others_write_counts(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    wr_store_wrote(fixture->store, 0, &fixture->now); /* what the open itself wrote */
    const uint64_t before = spent(fixture);
    wr_store_wrote(fixture->store, 8192, &fixture->now);
    assert_int_equal(spent(fixture), before + 8192);
    assert_int_equal(level(fixture), WR_BUDGET_FREE);
    wr_store_wrote(fixture->store, BUDGET, &fixture->now);
    assert_int_equal(level(fixture), WR_BUDGET_SPENT);
    const uint64_t written = spent(fixture);
    store_fixture_close(fixture);
    open_store(fixture);
    assert_true(spent(fixture) >= written);
}

static void without_a_budget_nothing_is_spared(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.write_budget_bytes = 0;
    open_store(fixture);
    for (int i = 0; i < 500; i++)
        store_fixture_segment(fixture, 1, 64, 1);
    assert_int_equal(level(fixture), WR_BUDGET_FREE);
    assert_int_equal(wr_store_count(fixture->store, WR_STORE_COUNT_WRITTEN).spent, 0);
    assert_int_equal(wr_store_due(fixture->store), WR_NEVER_NS);
}

/* -- what waits ----------------------------------------------------------------------------------------------------------------------------- */

static void acknowledgements_go_with_segments_or_after_a_minute(void **state) {
    struct store_fixture *fixture = *state;
    for (int spares = 0; spares < 2; spares++) {
        fixture->options.write_budget_bytes = spares ? BUDGET : 1000 * (uint64_t)BUDGET;
        open_store(fixture);
        if (spares)
            write_until(fixture, WR_BUDGET_SPARING);
        const int64_t first = wr_store_newest(fixture->store, WR_LANE_WINDOWS) + 1;
        for (int i = 0; i < 300; i++)
            store_fixture_segment(fixture, 1, 1, 1);
        const uint64_t before = commits(fixture);
        store_fixture_must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, first, first + 299, &fixture->now, &fixture->err));
        tick(fixture);
        assert_int_equal(commits(fixture) - before, spares ? 0 : 1);
        pass(fixture, 59);
        assert_int_equal(commits(fixture) - before, spares ? 0 : 1);
        pass(fixture, 1);
        assert_int_equal(commits(fixture) - before, 1);
        store_fixture_must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, first - 1, &fixture->now, &fixture->err));
        take(fixture, 1, 1);
        pass(fixture, MAX_LOSS_S); /* goes along */
        assert_int_equal(commits(fixture) - before, 2);
        pass(fixture, 120);
        assert_int_equal(commits(fixture) - before, 2);
        wr_store_abandon(fixture->store);
    }
    open_store(fixture);
}

static void a_full_segment_waits_for_more_or_for_max_loss(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    uint64_t before = commits(fixture);
    take(fixture, 1, WR_SEGMENT_RECORDS);
    assert_int_equal(commits(fixture) - before, 1);
    write_until(fixture, WR_BUDGET_SPARING);
    before = commits(fixture);
    take(fixture, 1, WR_SEGMENT_RECORDS);
    pass(fixture, MAX_LOSS_S - 1);
    assert_int_equal(commits(fixture), before);
    pass(fixture, 1);
    assert_int_equal(commits(fixture) - before, 1);
    take(fixture, 1, WR_SEGMENT_RECORDS);
    take(fixture, 1, 1); /* memory has room for one */
    assert_int_equal(commits(fixture) - before, 2);
    pass(fixture, MAX_LOSS_S);
    assert_int_equal(commits(fixture) - before, 3);
}

static void lanes_go_together(void **state) {
    struct store_fixture *fixture = *state;
    for (int spares = 0; spares < 2; spares++) {
        open_store(fixture);
        if (spares)
            write_until(fixture, WR_BUDGET_SPARING);
        const uint64_t before = commits(fixture);
        take(fixture, 1, 3);
        pass(fixture, MAX_LOSS_S - 2);
        take(fixture, 0, 3);
        pass(fixture, 2 * MAX_LOSS_S);
        assert_int_equal(commits(fixture) - before, spares ? 1 : 2);
        wr_store_abandon(fixture->store);
    }
    open_store(fixture);
}

/* However tight: nothing is on disk later than max_loss, and alarms at once. */
static void max_loss_and_alarms_stay(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    write_until(fixture, WR_BUDGET_SPENT);
    for (int round = 0; round < 30; round++) {
        uint64_t before = atomic_load(&stats_of(fixture)->segments);
        take(fixture, round % 2 ? 0 : 1, 5);
        const int64_t due = wr_store_due(fixture->store);
        assert_true(due <= fixture->now.boot_ns + MAX_LOSS_S * WR_NS_PER_S);
        store_fixture_advance(fixture, MAX_LOSS_S * WR_NS_PER_S);
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
        assert_int_equal(atomic_load(&stats_of(fixture)->segments), before + 1);
    }
    const struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = 1, .rule = "hot"}};
    uint32_t taken;
    store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    assert_int_equal(wr_store_journalled(fixture->store), 1);
}

static void it_is_undone_by_itself(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    write_until(fixture, WR_BUDGET_SPENT);
    assert_true(wr_store_due(fixture->store) <= fixture->now.boot_ns + WR_BUDGET_LOOK_NS);
    pass(fixture, DAY_S / 2);
    assert_int_equal(level(fixture), WR_BUDGET_SPENT);
    pass(fixture, DAY_S / 2 + 3600);
    assert_int_equal(level(fixture), WR_BUDGET_FREE);
    assert_int_equal(spent(fixture), 0);
    assert_int_equal(wr_store_due(fixture->store), WR_NEVER_NS);
}

/* What a commit of some windows costs, its share of checkpoints included: agent/config/config_store.c has the figure. */
static void a_small_commit_costs_what_the_config_says(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.write_budget_bytes = 0;
    fixture->options.budget_bytes = 16 << 20;
    open_store(fixture);
    for (int i = 0; i < 100; i++)
        store_fixture_segment(fixture, 1, 20, 1);
    const uint64_t before = atomic_load(&stats_of(fixture)->written_bytes);
    for (int i = 0; i < 2000; i++)
        store_fixture_segment(fixture, 1, 20, 1);
    const uint64_t each = (atomic_load(&stats_of(fixture)->written_bytes) - before) / 2000;
    printf("a commit of 20 windows writes %llu bytes\n", (unsigned long long)each);
    assert_true(each > 7000 && each < 13000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_counted_is_what_the_disk_gets, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(writes_are_counted_in_whole_pages, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(the_reserve_is_no_part_of_it, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(nor_is_the_reserve_of_another_store, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(it_outlives_a_restart_and_most_of_it_a_kill, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(counting_alone_makes_no_commit, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_others_write_counts, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(without_a_budget_nothing_is_spared, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(acknowledgements_go_with_segments_or_after_a_minute, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_segment_waits_for_more_or_for_max_loss, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(lanes_go_together, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(max_loss_and_alarms_stay, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(it_is_undone_by_itself, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_small_commit_costs_what_the_config_says, setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
