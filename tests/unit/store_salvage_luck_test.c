/* A salvage that is interrupted, has no room or no memory, finds nothing, or breaks itself: what came comes once, what is left comes later. */
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/fault_memory.h"
#include "tests/support/salvage_bed.h"

static void interrupted(void (*hurt)(void)) {
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_read_file(SALVAGE_ASIDE);
    hurt();
    salvage_bed_write_file(SALVAGE_ASIDE, salvage.content_len);
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    for (int kills = 0; kills < 400 && !salvage_bed_is_over(); kills++) {
        for (int i = (int)wr_random_below(&salvage.random_numbers, 30); i >= 0 && !salvage_bed_is_over(); i--)
            salvage_bed_tick();
        if (wr_random_below(&salvage.random_numbers, 2) == 0) {
            salvage_bed_deliver();
            salvage_bed_must(wr_store_flush(salvage.fixture.store, &salvage.fixture.now,
                                            &salvage.fixture.err)); /* an acknowledgement that a kill takes is a repetition */
        }
        if (!salvage_bed_is_over()) {
            salvage_bed_abandon();
            salvage_bed_must(store_fixture_open(&salvage.fixture));
        }
    }
    salvage_bed_all();
    assert_int_equal(salvage_bed_distinct(), SALVAGE_SEGMENTS);
    salvage_bed_each_once();
    assert_int_equal(store_fixture_balance(&salvage.fixture, 1).books[WR_BOOK_RECOVERED],
                     SALVAGE_SEGMENTS * SALVAGE_RECORDS * SALVAGE_READINGS);
    assert_false(salvage_bed_exists(SALVAGE_ASIDE));
}

static void a_kill_costs_nothing(void **state) {
    (void)state;
    interrupted(salvage_bed_hurt_nothing);
}

static void a_kill_costs_nothing_by_pages(void **state) {
    (void)state;
    interrupted(salvage_bed_hurt_inner_pages);
}

static void what_cannot_be_read_is_kept(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    (void)unlink(salvage_bed_file(SALVAGE_ASIDE ".page1"));
    salvage_bed_read_file(SALVAGE_ASIDE);
    salvage_bed_noise(0, salvage.content_len);
    salvage_bed_write_file(SALVAGE_ASIDE, salvage.content_len);
    for (int i = 0; i < 2; i++) {
        salvage_bed_must(store_fixture_open(&salvage.fixture));
        salvage_bed_all();
        assert_int_equal(salvage_bed_state(), WR_SALVAGE_KEPT);
        assert_true(salvage_bed_exists(SALVAGE_ASIDE));
        assert_int_equal(salvage_bed_distinct(), 0);
        salvage_bed_tick();
        assert_true(wr_store_due(salvage.fixture.store) > salvage.fixture.now.boot_ns); /* not again and again */
        salvage_bed_close();
    }
}

/* An alarm that comes meanwhile waits for one slice. */
static void one_slice_is_short(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    uint64_t before = 0;
    for (int i = 0; i < 20000 && !salvage_bed_is_over(); i++) {
        salvage_bed_tick();
        const uint64_t segments = salvage_bed_count(&wr_store_stats(salvage.fixture.store)->salvaged_segments);
        assert_true(segments - before <= (64 << 10) / salvage.shortest_body + 1);
        before = segments;
        if (i % 8 == 0)
            salvage_bed_deliver();
    }
    assert_int_equal(before, SALVAGE_SEGMENTS);
}

/* As when space is needed for what comes. */
/* Its row may be the newest, and was cut long before the commit that brought it in. */
static void the_last_commit_is_not_that_of_the_broken_store(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    store_fixture_advance(&salvage.fixture, 86400 * WR_NS_PER_S);
    const int64_t opened_wall_ns = salvage.fixture.now.wall_ns;
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    for (int i = 0; i < 16; i++)
        salvage_bed_tick();
    assert_true(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->salvaged_segments) > 0);
    salvage_bed_abandon();
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    assert_true(salvage.fixture.report.last_wall_ns >= opened_wall_ns);
}

/* It would be deleted as soon as its turn came, and until then live among younger ones. */
static void what_is_too_old_is_not_taken(void **state) {
    (void)state;
    const int64_t ttl_ns = 3600 * WR_NS_PER_S;
    salvage.fixture.options.lanes[WR_LANE_WINDOWS].ttl_ns = ttl_ns;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    store_fixture_advance(&salvage.fixture, 2 * ttl_ns);
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    salvage_bed_all();
    assert_int_equal(salvage_bed_state(), WR_SALVAGE_DONE);
    assert_int_equal(salvage_bed_distinct(), 0);
    assert_int_equal(store_fixture_balance(&salvage.fixture, 1).books[WR_BOOK_RECOVERED], 0);
    assert_false(salvage_bed_exists(SALVAGE_ASIDE));
}

static void the_file_may_go_meanwhile(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    for (int i = 0; i < 13; i++)
        salvage_bed_tick();
    assert_int_equal(salvage_bed_state(), WR_SALVAGE_RUNS);
    assert_int_equal(unlink(salvage_bed_file(SALVAGE_ASIDE)), 0);
    for (int i = 0; i < 16; i++)
        salvage_bed_tick();
    assert_int_equal(salvage_bed_state(), WR_SALVAGE_NONE);
    salvage_bed_deliver();
    assert_true(salvage_bed_distinct() > 0 && salvage_bed_distinct() < SALVAGE_SEGMENTS);
    salvage_bed_each_once();
    salvage_bed_put_segment();
}

/* Nothing that nobody has is evicted for it: it waits until the broker has taken enough. */
static void it_waits_for_room(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_must(store_fixture_open(&salvage.fixture)); /* the broken one takes most of the budget */
    for (int i = 0; i < 300 && salvage_bed_state() != WR_SALVAGE_WAITS; i++)
        salvage_bed_tick();
    assert_int_equal(salvage_bed_state(), WR_SALVAGE_WAITS);
    assert_int_equal(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->evicted_unacked_segments), 0);
    salvage_bed_all();
    assert_int_equal(salvage_bed_distinct(), SALVAGE_SEGMENTS);
    salvage_bed_each_once();
    assert_int_equal(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->evicted_unacked_segments), 0);
}

static void try_to_tick(void) {
    store_fixture_advance(&salvage.fixture, 6 * WR_NS_PER_S);
    const enum wr_result result = wr_store_tick(salvage.fixture.store, &salvage.fixture.now, &salvage.fixture.err);
    assert_true(result == WR_OK || result == WR_NO_MEMORY || result == WR_IO || result == WR_FULL);
}

/* Each allocation in turn, of ours and of SQLite. */
static void without_memory_it_goes_on_later(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_read_file(SALVAGE_ASIDE);
    salvage_bed_hurt_a_leaf(); /* by id, then by page */
    salvage_bed_write_file(SALVAGE_ASIDE, salvage.content_len);
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    for (long n = 0; n < 400 && !salvage_bed_is_over(); n++) {
        wr_failing_allocations(n % 20);
        try_to_tick();
        wr_failing_off();
        wr_fault_memory_plan(n, false);
        try_to_tick();
        wr_fault_memory_plan(-1, false);
        salvage_bed_deliver();
    }
    salvage_bed_all();
    assert_true(salvage_bed_distinct() >= SALVAGE_SEGMENTS - 8);
    salvage_bed_each_once();
    assert_int_equal(wr_store_epoch(salvage.fixture.store) == salvage.epoch, 0);
    assert_int_equal(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->quarantines), 0);
    assert_int_equal(store_fixture_balance(&salvage.fixture, 1).books[WR_BOOK_RECOVERED],
                     salvage_bed_distinct() * SALVAGE_RECORDS * SALVAGE_READINGS);
}

/* Rows of `salvaged`, in a store that is closed. */
static int keys(void) {
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_open_v2(salvage_bed_file(WR_STORE_FILE), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM salvaged", -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    const int n = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return n;
}

static unsigned before[SALVAGE_SEGMENTS + 1]; /* what had arrived when the second one broke */

/* A store that breaks while it salvages another, when some of what it took is delivered. */
static void break_a_second_one(bool with_copy) {
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    for (int i = 0; i < 16; i++)
        salvage_bed_tick();
    salvage_bed_deliver();
    memcpy(before, salvage.arrived, sizeof before);
    for (int i = 0; i < 2; i++)
        salvage_bed_tick();
    assert_true(salvage_bed_exists(SALVAGE_ASIDE) && salvage_bed_distinct() > 0);
    assert_true(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->salvaged_segments) > salvage_bed_distinct());
    salvage_bed_close();
    store_fixture_forget_wal(&salvage.fixture);
    store_fixture_scribble(&salvage.fixture, 0, SALVAGE_PAGE);
    if (!with_copy)
        (void)unlink(salvage_bed_file(WR_STORE_FILE ".page1"));
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    assert_true(salvage.fixture.report.quarantined);
    for (int i = 0; i < 4000 && (!salvage_bed_is_over() || salvage_bed_exists(SALVAGE_ASIDE)); i++) {
        salvage_bed_tick();
        salvage_bed_deliver();
    }
    assert_int_equal(salvage_bed_distinct(), SALVAGE_SEGMENTS);
    assert_false(salvage_bed_exists(SALVAGE_ASIDE));
    (void)store_fixture_balance(&salvage.fixture, 1);
    salvage_bed_close();
    assert_int_equal(keys(), 0);
}

/* What came out of the first comes out of the second, under its first key; and not out of the first again, delivered or not. */
static void a_second_one_breaks(void **state) {
    (void)state;
    salvage.fixture.options.budget_bytes *= 2; /* so that it keeps what it delivered */
    break_a_second_one(true);
    salvage_bed_each_once();
}

/* Nobody can say what it had delivered: that comes again, by the same key, and nothing else does. */
static void the_acknowledgements_of_a_second_one_break_too(void **state) {
    (void)state;
    break_a_second_one(false);
    for (int seq = 1; seq <= SALVAGE_SEGMENTS; seq++)
        if (salvage.arrived[seq] > before[seq] + 1)
            fail_msg("segment %d came %u times, %u of them before", seq, salvage.arrived[seq], before[seq]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, salvage_bed_setup, salvage_bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_slice_is_short),
        TEST(a_kill_costs_nothing),
        TEST(a_kill_costs_nothing_by_pages),
        TEST(what_cannot_be_read_is_kept),
        TEST(the_last_commit_is_not_that_of_the_broken_store),
        TEST(what_is_too_old_is_not_taken),
        TEST(the_file_may_go_meanwhile),
        TEST(it_waits_for_room),
        TEST(without_memory_it_goes_on_later),
        TEST(a_second_one_breaks),
        TEST(the_acknowledgements_of_a_second_one_break_too),
    };
    wr_fault_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
