/* The timer wheel against an array of due ticks: never early, never forgotten, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/engine/wheel.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define TIMERS 700
#define STEPS 20000

struct element {
    uint64_t something;
    struct wr_wheel_node node;
};

static struct wr_slab slab;
static struct wr_wheel wheel;
static bool armed[TIMERS];
static uint64_t due[TIMERS];

static void start(void) {
    assert_int_equal(wr_slab_init(&slab, sizeof(struct element), TIMERS), WR_OK);
    wr_wheel_init(&wheel, &slab, offsetof(struct element, node));
    memset(armed, 0, sizeof armed);
    for (uint32_t i = 0; i < TIMERS; i++) {
        assert_int_equal(wr_slab_ensure(&slab, i), WR_OK);
        wr_wheel_node_init(&((struct element *)wr_slab_at(&slab, i))->node);
    }
}

static uint64_t earliest(void) {
    uint64_t tick = UINT64_MAX;
    for (uint32_t i = 0; i < TIMERS; i++)
        if (armed[i] && due[i] < tick)
            tick = due[i];
    return tick;
}

static uint64_t some_delay(struct wr_random *random) {
    switch (wr_random_below(random, 5)) {
    case 0:
        return wr_random_below(random, 3);
    case 1:
        return wr_random_below(random, 64 * 64);
    case 2:
        return wr_random_below(random, UINT64_C(1) << 30);
    default:
        return wr_random_below(random, 200);
    }
}

/* Hands out all that is due, with budgets of all sizes. */
static void drain(struct wr_random *random, uint64_t now) {
    for (;;) {
        uint32_t budget = (uint32_t)wr_random_below(random, 20);
        uint32_t given = budget;
        bool more;
        uint32_t index = wr_wheel_pop(&wheel, now, &budget, &more);
        if (index != WR_SLAB_NONE) {
            assert_true(budget < given);
            assert_true(armed[index] && due[index] <= now);
            armed[index] = false;
        } else if (!more) {
            break;
        } else {
            assert_int_equal(budget, 0);
        }
    }
    assert_true(earliest() > now);
}

static void it_agrees_with_an_array(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int run = 0; run < 5; run++) {
        start();
        uint64_t now = wr_random_below(&random, UINT64_C(1) << 42);
        for (int step = 0; step < STEPS; step++) {
            uint32_t index = (uint32_t)wr_random_below(&random, TIMERS);
            switch (wr_random_below(&random, 8)) {
            case 0:
                wr_wheel_disarm(&wheel, index);
                armed[index] = false;
                break;
            case 1:
            case 2:
                drain(&random, now);
                now += some_delay(&random) % (1 << (step % 25));
                if (wr_random_below(&random, 4) == 0 && wr_wheel_next(&wheel) != UINT64_MAX && wr_wheel_next(&wheel) > now)
                    now = wr_wheel_next(&wheel);
                break;
            case 3: /* overdue when it is armed */
                due[index] = now - wr_random_below(&random, 100);
                armed[index] = true;
                wr_wheel_arm(&wheel, index, (uint32_t)due[index], now);
                break;
            default:
                due[index] = now + some_delay(&random);
                armed[index] = true;
                wr_wheel_arm(&wheel, index, (uint32_t)due[index], now);
            }
            uint32_t n = 0;
            for (uint32_t i = 0; i < TIMERS; i++)
                n += armed[i];
            assert_int_equal(wheel.armed, n);
            uint64_t first = earliest();
            assert_true(wr_wheel_next(&wheel) <= (first < now ? now : first)); /* never asleep beyond a timer */
            assert_true((wr_wheel_next(&wheel) == UINT64_MAX) == (n == 0));
        }
        wr_slab_fini(&slab);
    }
}

/* Working through the levels to a far timer takes a handful of wake-ups, not one a tick. */
static void a_far_timer_costs_few_wake_ups(void **state) {
    (void)state;
    start();
    uint64_t now = 123456789;
    uint64_t far = now + (UINT64_C(1) << 31) - 1;
    wr_wheel_arm(&wheel, 3, (uint32_t)far, now);
    int wakes = 0;
    for (;; wakes++) {
        uint32_t budget = 10;
        bool more;
        now = wr_wheel_next(&wheel);
        if (wr_wheel_pop(&wheel, now, &budget, &more) == 3)
            break;
    }
    assert_int_equal(now, far);
    assert_true(wakes < WR_WHEEL_LEVELS);
    assert_true(wr_wheel_next(&wheel) == UINT64_MAX);
    wr_slab_fini(&slab);
}

static void ticks_round_up(void **state) {
    (void)state;
    int64_t tick_ns = INT64_C(1) << WR_WHEEL_TICK_SHIFT;
    assert_int_equal(wr_wheel_tick_after(0), 0);
    assert_int_equal(wr_wheel_tick_after(1), 1);
    assert_int_equal(wr_wheel_tick_after(tick_ns), 1);
    assert_int_equal(wr_wheel_tick_after(tick_ns + 1), 2);
    assert_int_equal(wr_wheel_tick_of(2 * tick_ns - 1), 1);
    assert_true(wr_wheel_is_due(UINT32_MAX, UINT64_C(0x100000000))); /* the low half turns over */
    assert_false(wr_wheel_is_due(1, UINT64_C(0x100000000)));
}

/* -- the slab -------------------------------------------------------------------------------------------------------------------------- */

static void a_slab_gives_each_element_once(void **state) {
    (void)state;
    struct wr_slab pool;
    assert_int_equal(wr_slab_init(&pool, 96, 1500), WR_OK);
    for (uint32_t i = 0; i < 1500; i++) {
        uint32_t index = wr_slab_take(&pool);
        assert_int_equal(index, i);
        memset(wr_slab_at(&pool, index), (int)i, 96);
    }
    assert_int_equal(wr_slab_take(&pool), WR_SLAB_NONE);
    for (uint32_t i = 0; i < 1500; i++)
        for (size_t byte = 0; byte < 96; byte++)
            assert_int_equal(((uint8_t *)wr_slab_at(&pool, i))[byte], (uint8_t)i);
    assert_true((uintptr_t)wr_slab_at(&pool, WR_SLAB_CHUNK) % 64 == 0);
    wr_slab_give(&pool, 7);
    wr_slab_give(&pool, 900);
    assert_int_equal(pool.in_use, 1498);
    assert_int_equal(wr_slab_take(&pool), 900);
    assert_int_equal(wr_slab_take(&pool), 7);
    assert_true(pool.bytes <= wr_slab_bytes(96, 1500));
    assert_int_equal(wr_slab_ensure(&pool, 3 * WR_SLAB_CHUNK), WR_LIMIT);
    wr_slab_fini(&pool);
    wr_slab_fini(&pool);
}

static void a_slab_survives_failing_allocations(void **state) {
    (void)state;
    struct wr_slab pool;
    wr_failing_allocations(0);
    assert_int_equal(wr_slab_init(&pool, 96, 1500), WR_NO_MEMORY);
    wr_slab_fini(&pool);
    wr_failing_allocations(1);
    assert_int_equal(wr_slab_init(&pool, 96, 1500), WR_OK);
    assert_int_equal(wr_slab_take(&pool), WR_SLAB_NONE);
    assert_int_equal(wr_slab_take(&pool), 0);
    wr_failing_off();
    wr_slab_fini(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_an_array),
        cmocka_unit_test(a_far_timer_costs_few_wake_ups),
        cmocka_unit_test(ticks_round_up),
        cmocka_unit_test(a_slab_gives_each_element_once),
        cmocka_unit_test(a_slab_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
