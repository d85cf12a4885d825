/* Kept readings between the loops: when the engine's sends them, and what the store's does with them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/loops/engine_loop_private.h"
#include "agent/loops/store_loop_private.h"
#include "core/log.h"
#include "store/raw_files.h"
#include "tests/support/failing.h"
#include "tests/support/store_fixture.h"

static struct wr_engine_loop engine;

static int setup(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "to store", .capacity = 1, .element_bytes = sizeof(struct wr_store_message)};
    memset(&engine, 0, sizeof engine);
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
    return wr_channel_new(&options, &engine.to_store, NULL) == WR_OK && wr_kept_pool_init(&engine.kept_pool, NULL) == WR_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    wr_channel_free(engine.to_store);
    wr_kept_pool_fini(&engine.kept_pool);
    return 0;
}

static struct wr_kept *sent(void) {
    struct wr_store_message message;
    return wr_channel_try_recv(engine.to_store, &message) == WR_OK ? message.kept : NULL;
}

static void they_are_sent_when_full_or_old(void **state) {
    (void)state;
    wr_engine_loop_want_kept(&engine, 5);
    struct wr_kept *first = engine.out.kept;
    assert_non_null(first);
    wr_engine_loop_kept_due(&engine, 5 + 2 * WR_ENGINE_KEPT_AGE_NS);
    assert_null(sent()); /* nothing is in it */
    wr_engine_loop_want_kept(&engine, 100);
    first->n = 1;
    wr_engine_loop_kept_due(&engine, 99 + WR_ENGINE_KEPT_AGE_NS);
    assert_null(sent());
    wr_engine_loop_kept_due(&engine, 100 + WR_ENGINE_KEPT_AGE_NS);
    assert_ptr_equal(sent(), first);
    assert_null(engine.out.kept);
    wr_engine_loop_want_kept(&engine, 200);
    struct wr_kept *second = engine.out.kept;
    second->n = WR_SEGMENT_READINGS - WR_BATCH_READINGS;
    wr_engine_loop_want_kept(&engine, 201);
    assert_ptr_equal(engine.out.kept, second); /* a batch still fits */
    second->n++;
    wr_engine_loop_want_kept(&engine, 202);
    assert_ptr_equal(sent(), second);
    assert_ptr_not_equal(engine.out.kept, second);
    wr_kept_return(first);
    assert_int_equal(first->n, 0);
}

/* The store is slow: all are on their way, or its channel is full. */
static void nobody_waits_for_room(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        wr_engine_loop_want_kept(&engine, i);
        assert_non_null(engine.out.kept);
        engine.out.kept->n = WR_SEGMENT_READINGS;
        wr_engine_loop_send_kept(&engine);
        if (i < 2)
            assert_non_null(sent());
    }
    wr_engine_loop_want_kept(&engine, 10);
    assert_null(engine.out.kept);
    struct wr_kept *last = sent();
    wr_kept_return(last);
    wr_engine_loop_want_kept(&engine, 11);
    assert_ptr_equal(engine.out.kept, last);
    const struct wr_store_message other = {0};
    assert_int_equal(wr_channel_try_send(engine.to_store, &other), WR_OK);
    last->n = 3;
    last->since_boot_ns = 0;
    wr_engine_loop_kept_due(&engine, WR_ENGINE_KEPT_AGE_NS);
    assert_ptr_equal(engine.out.kept, last); /* it stays in hand, and is tried again after the same time */
    assert_true(last->since_boot_ns == WR_ENGINE_KEPT_AGE_NS);
    assert_null(sent());
    wr_engine_loop_kept_due(&engine, 2 * WR_ENGINE_KEPT_AGE_NS);
    assert_ptr_equal(sent(), last);
}

/* The store has ended: what would be kept is counted, and the pool goes round. */
static void behind_a_closed_channel_they_are_counted(void **state) {
    (void)state;
    wr_channel_close(engine.to_store);
    for (int i = 1; i < 2 * WR_KEPT_POOL; i++) {
        wr_engine_loop_want_kept(&engine, i);
        assert_non_null(engine.out.kept);
        engine.out.kept->n = 3;
        wr_engine_loop_kept_due(&engine, i + WR_ENGINE_KEPT_AGE_NS);
        assert_null(engine.out.kept);
        assert_int_equal(engine.unkept_before, 3 * i);
    }
}

/* The store's loop, without its thread, and a store that may be opened. */
static struct store_fixture fixture;
static struct wr_store_loop store;
static struct wr_series_table *table;
static uint32_t series;

static void begin_store(void) {
    store_fixture_init(&fixture);
    assert_int_equal(wr_series_table_new(10, &table, NULL), WR_OK);
    assert_int_equal(wr_series_intern(table, "a\0value", 8, &series), WR_OK);
    memset(&store, 0, sizeof store);
    store.path = fixture.directory;
    store.series = table;
    store.symbols = fixture.symbols;
    store.raw_budget_bytes = 2000000;
    store.keep_ns = 3600 * WR_NS_PER_S;
    assert_int_equal(wr_store_loop_init(&store, 4, 16, NULL), WR_OK);
}

static void open_store(void) {
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    store.store = fixture.store;
    store.state = WR_STORE_OPEN;
}

static void end_store(void) {
    store.store = NULL; /* the fixture's */
    wr_store_loop_fini(&store);
    wr_series_table_free(table);
    store_fixture_fini(&fixture);
}

static struct wr_kept *filled(uint32_t n, int64_t t0_ns) {
    struct wr_kept *kept;
    assert_int_equal(wr_kept_take(&engine.kept_pool, &kept), WR_OK);
    for (uint32_t i = 0; i < n; i++)
        kept->readings[kept->n++] =
            (struct wr_reading){.event_ns = t0_ns + i, .series = series, .type = WR_TYPE_INT, .value.i = (int64_t)i};
    return kept;
}

static uint64_t on_disk(const char *directory) {
    struct wr_history_walk walk = {.lane = WR_LANE_RAW, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    struct wr_segment_head heads[WR_HISTORY_HEADS];
    uint64_t readings = 0;
    uint32_t n;
    assert_int_equal(wr_raw_files_heads(directory, NULL, &walk, heads, &n, NULL), WR_OK);
    for (uint32_t i = 0; i < n; i++)
        readings += heads[i].n;
    return readings;
}

static void the_store_keeps_them_while_it_is_open(void **state) {
    (void)state;
    const struct wr_now now = {.boot_ns = 5, .wall_ns = (int64_t)1770000000 * WR_NS_PER_S, .wall_trusted = true};
    begin_store();
    fixture.options.write_budget_bytes = 100000000;
    store.state = WR_STORE_WITHOUT;
    wr_store_loop_keep(&store, filled(10, now.wall_ns), &now);
    assert_int_equal(store.raw_stats->missed, 10);
    assert_int_equal(on_disk(fixture.directory), 0);
    open_store();
    wr_store_wrote(fixture.store, 0, &now); /* what the open itself wrote */
    const uint64_t spent = wr_store_stats(fixture.store)->write_spent_bytes;
    wr_store_loop_keep(&store, filled(20, now.wall_ns), &now);
    assert_int_equal(on_disk(fixture.directory), 20);
    assert_int_equal(wr_store_stats(fixture.store)->write_spent_bytes, spent + 4096);
    assert_int_equal(store.raw_stats->written_bytes, 4096);
    wr_failing_io(0, EIO);
    wr_store_loop_keep(&store, filled(30, now.wall_ns), &now);
    wr_failing_off();
    assert_int_equal(store.raw_stats->missed, 40);
    wr_store_loop_keep(&store, filled(40, now.wall_ns), &now);
    assert_int_equal(on_disk(fixture.directory), 60);
    struct wr_now later = now;
    later.boot_ns += 120 * WR_NS_PER_S;
    wr_store_loop_raw_turn(&store, &later);
    assert_int_equal(on_disk(fixture.directory), 60);
    later.boot_ns += 120 * WR_NS_PER_S;
    later.wall_ns += 2 * 3600 * WR_NS_PER_S;
    wr_store_loop_raw_turn(&store, &later);
    assert_int_equal(on_disk(fixture.directory), 0);
    assert_int_equal(store.raw_stats->expired, 60);
    store.keep_ns = 0; /* a reload ends it: what still comes is nobody's */
    wr_store_loop_keep(&store, filled(5, now.wall_ns), &later);
    later.boot_ns += 120 * WR_NS_PER_S;
    wr_store_loop_raw_turn(&store, &later);
    assert_true(store.raw_due_boot_ns == WR_NEVER_NS);
    assert_int_equal(store.raw_stats->missed, 40);
    for (int i = 0; i < WR_KEPT_POOL; i++)
        (void)filled(1, 0); /* all are back */
    end_store();
}

/* Kept in 1970, put when the clock has been set: at the right time, and said to be corrected. */
static void their_clock_is_set_on_the_way(void **state) {
    (void)state;
    const struct wr_now now = {.boot_ns = 70 * WR_NS_PER_S, .wall_ns = (int64_t)1770000000 * WR_NS_PER_S, .wall_trusted = true};
    begin_store();
    fixture.now = (struct wr_now){.boot_ns = 60 * WR_NS_PER_S, .wall_ns = 60 * WR_NS_PER_S};
    open_store();
    wr_store_loop_keep(&store, filled(3, 65 * WR_NS_PER_S), &now);
    wr_store_loop_keep(&store, filled(3, now.wall_ns), &now);
    struct wr_history_walk walk = {.lane = WR_LANE_RAW, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
    struct wr_segment_head heads[WR_HISTORY_HEADS];
    uint32_t n;
    assert_int_equal(wr_store_heads(fixture.store, &walk, heads, &n, NULL), WR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(heads[0].t0_ns, now.wall_ns - 5 * WR_NS_PER_S);
    assert_int_equal(heads[0].time_quality, WR_TIME_CORRECTED);
    assert_int_equal(heads[1].t0_ns, now.wall_ns);
    assert_int_equal(heads[1].time_quality, WR_TIME_TRUSTED);
    end_store();
}

static void without_memory_there_is_no_pool(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_kept_pool pool;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        const enum wr_result result = wr_kept_pool_init(&pool, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (result == WR_OK)
            wr_kept_pool_fini(&pool);
        if (!hit)
            return;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(they_are_sent_when_full_or_old),        TEST(nobody_waits_for_room),         TEST(behind_a_closed_channel_they_are_counted),
        TEST(the_store_keeps_them_while_it_is_open), TEST(their_clock_is_set_on_the_way), TEST(without_memory_there_is_no_pool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
