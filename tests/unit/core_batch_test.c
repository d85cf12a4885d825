/* Pooled batches. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/batch.h"
#include "tests/support/failing.h"
#include "tests/support/waiting.h"

static struct wr_batch *take(struct wr_batch_pool *pool) {
    struct wr_batch *batch = NULL;
    assert_int_equal(wr_batch_take(pool, &batch), WR_OK);
    assert_non_null(batch);
    return batch;
}

static void a_pool_has_a_fixed_number(void **state) {
    (void)state;
    struct wr_batch_pool pool;
    struct wr_batch *batches[3];
    struct wr_batch *none = NULL;
    assert_int_equal(wr_batch_pool_init(&pool, 3, 7, NULL), WR_OK);
    for (int i = 0; i < 3; i++) {
        batches[i] = take(&pool);
        assert_int_equal(batches[i]->source, 7);
        assert_int_equal(batches[i]->n, 0);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(batches[i], batches[j]);
    }
    assert_int_equal(wr_batch_take(&pool, &none), WR_EMPTY);
    assert_int_equal(wr_batch_wait(&pool, 0, &none), WR_TIMEOUT);
    assert_null(none);
    batches[1]->n = 9;
    batches[1]->trace_id = 9;
    wr_batch_return(batches[1]);
    struct wr_batch *again = take(&pool);
    assert_ptr_equal(again, batches[1]);
    assert_int_equal(again->n, 0);
    assert_int_equal(again->trace_id, 0);
    for (int i = 0; i < 3; i++)
        wr_batch_return(batches[i]);
    wr_batch_pool_close(&pool);
    wr_batch_pool_fini(&pool);
    wr_batch_pool_fini(&pool); /* twice is fine */
}

static void there_are_never_less_than_two(void **state) {
    (void)state;
    struct wr_batch_pool pool;
    assert_int_equal(wr_batch_pool_init(&pool, 0, 0, NULL), WR_OK);
    struct wr_batch *first = take(&pool);
    struct wr_batch *second = take(&pool);
    wr_batch_return(first);
    wr_batch_return(second);
    wr_batch_pool_fini(&pool);
    assert_true(wr_batch_pool_bytes(0) == wr_batch_pool_bytes(WR_BATCH_POOL_MIN));
    assert_true(wr_batch_pool_bytes(10) >= (size_t)10 * WR_BATCH_READINGS * sizeof(struct wr_reading));
}

static void a_stamp_is_one_look_at_the_clock(void **state) {
    (void)state;
    struct wr_batch_pool pool;
    assert_int_equal(wr_batch_pool_init(&pool, 2, 0, NULL), WR_OK);
    struct wr_batch *batch = take(&pool);
    wr_batch_stamp(batch, &(struct wr_now){.boot_ns = 100, .wall_ns = 5000, .wall_trusted = true});
    assert_int_equal(batch->arrival_boot_ns, 100);
    assert_int_equal(batch->wall_offset_ns, 4900);
    assert_true(batch->wall_trusted);
    wr_batch_return(batch);
    wr_batch_pool_fini(&pool);
}

static enum wr_result waited;

static void *wait_for_one(void *user) {
    struct wr_batch *batch = NULL;
    waited = wr_batch_wait(user, WR_NEVER_NS, &batch);
    if (waited == WR_OK)
        wr_batch_return(batch);
    return NULL;
}

static enum wr_result joined(pthread_t thread) {
    pthread_join(thread, NULL);
    return waited;
}

static void a_waiter_gets_the_next_one_or_the_end(void **state) {
    (void)state;
    struct wr_batch_pool pool;
    pthread_t thread;
    wr_waiting_watchdog(60);
    assert_int_equal(wr_batch_pool_init(&pool, 2, 0, NULL), WR_OK);
    struct wr_batch *first = take(&pool);
    struct wr_batch *second = take(&pool);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &pool), 0);
    wr_waiting_until(pool.free, WR_CHANNEL_RECV, 1);
    wr_batch_return(first);
    assert_int_equal(joined(thread), WR_OK);
    first = take(&pool);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &pool), 0);
    wr_waiting_until(pool.free, WR_CHANNEL_RECV, 1);
    wr_batch_pool_close(&pool);
    assert_int_equal(joined(thread), WR_CLOSED);
    wr_batch_return(first); /* under way at the close, back later */
    wr_batch_return(second);
    wr_batch_pool_fini(&pool);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_batch_pool pool;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_batch_pool_init(&pool, 4, 0, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        assert_int_equal(err.code, result);
        wr_batch_pool_fini(&pool); /* fine after a failure too */
        if (!hit)
            break;
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_has_a_fixed_number),        cmocka_unit_test(there_are_never_less_than_two),
        cmocka_unit_test(a_stamp_is_one_look_at_the_clock), cmocka_unit_test(a_waiter_gets_the_next_one_or_the_end),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
