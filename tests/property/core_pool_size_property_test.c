/* How many threads a pool should have: the promises of the header on random loads, and a pool of numbers that follows the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/pool_size.h"
#include "tests/support/random.h"

#define LOADS 200000
#define WATCH_NS (100 * WR_NS_PER_MS)

static struct wr_pool_rules random_rules(struct wr_random *random) {
    struct wr_pool_rules rules = {.strategy = (enum wr_pool_strategy)wr_random_below(random, 3),
                                  .threads_min = (unsigned)wr_random_below(random, 8)};
    rules.threads_max = rules.threads_min + (unsigned)wr_random_below(random, 20);
    rules.threads_max += rules.threads_max == 0;
    rules.latency_ns = wr_random_below(random, 2) ? (int64_t)wr_random_below(random, 1000) * WR_NS_PER_MS : 0;
    rules.linger_ns = wr_random_below(random, 2) ? (int64_t)wr_random_below(random, 1000) * WR_NS_PER_MS : 0;
    return rules;
}

static struct wr_pool_load random_load(struct wr_random *random, const struct wr_pool_rules *rules) {
    struct wr_pool_load load = {.threads = (unsigned)wr_random_below(random, rules->threads_max + 1),
                                .capacity = 1 + wr_random_below(random, 300),
                                .wait_ns = (int64_t)wr_random_below(random, 1000) * WR_NS_PER_MS,
                                .low_ns = (int64_t)wr_random_below(random, 4000) * WR_NS_PER_MS};
    load.busy = (unsigned)wr_random_below(random, load.threads + 1);
    load.queued = wr_random_below(random, 2) ? wr_random_below(random, load.capacity + 1) : 0;
    if (wr_random_below(random, 4) == 0)
        load.wait_ns = wr_random_below(random, 2) ? 0 : INT64_MAX;
    return load;
}

static int64_t or_default(int64_t value, int64_t otherwise) {
    return value ? value : otherwise;
}

static void keeps_its_promises(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < LOADS; i++) {
        const struct wr_pool_rules rules = random_rules(&random);
        const struct wr_pool_load load = random_load(&random, &rules);
        const unsigned wanted = wr_pool_size(&rules, &load);
        assert_in_range(wanted, rules.threads_min, rules.threads_max);
        assert_true(wanted > 0 || load.queued == 0);
        if (wanted > load.threads) { /* for who waits, or because there must be some */
            const unsigned more = wanted - load.threads;
            assert_true(wanted == rules.threads_min || load.queued > 0);
            assert_true(wanted == rules.threads_min || (more <= WR_POOL_STEP && more <= load.queued));
        } else if (wanted < load.threads) {
            assert_true(load.threads - wanted <= WR_POOL_STEP);
            assert_true(load.threads - wanted <= load.threads - load.busy);
            assert_true(load.low_ns >= or_default(rules.linger_ns, WR_POOL_LINGER_NS));
        }
        /* The borders in whole numbers, as a person would compute them. */
        const uint64_t queued = load.queued * 100, wait = load.wait_ns < INT64_MAX ? (uint64_t)load.wait_ns * 100 : UINT64_MAX;
        const uint64_t latency = (uint64_t)or_default(rules.latency_ns, WR_POOL_LATENCY_NS);
        const bool by_queue = rules.strategy != WR_POOL_LATENCY, by_latency = rules.strategy != WR_POOL_QUEUE;
        const bool high =
            (by_queue && queued >= (WR_POOL_HIGH + 1) * load.capacity) || (by_latency && wait >= (WR_POOL_HIGH + 1) * latency);
        const bool low = (!by_queue || queued < WR_POOL_LOW * load.capacity) && (!by_latency || wait < WR_POOL_LOW * latency);
        if (high && load.queued > 0 && load.threads < rules.threads_max)
            assert_true(wanted > load.threads);
        if (wanted < load.threads)
            assert_true(low);
        if (low && load.queued == 0 && load.busy == 0 && load.threads > rules.threads_min &&
            load.low_ns >= or_default(rules.linger_ns, WR_POOL_LINGER_NS))
            assert_true(wanted < load.threads);
    }
}

/* A crowd of tasks that never end brings it to the most in steps of four; when they are gone it comes back to the least. */
static void follows_a_crowd(void **state) {
    (void)state;
    for (enum wr_pool_strategy strategy = WR_POOL_MIXED; strategy <= WR_POOL_LATENCY; strategy++) {
        const struct wr_pool_rules rules = {.strategy = strategy, .threads_min = 1, .threads_max = 10};
        struct wr_pool_load load = {.threads = 1, .busy = 1, .queued = 100, .capacity = 100};
        unsigned looks = 0;
        for (; load.threads < rules.threads_max; looks++) {
            load.wait_ns += WATCH_NS;
            const unsigned wanted = wr_pool_size(&rules, &load);
            assert_int_equal(wanted, load.threads + WR_POOL_STEP < 10 ? load.threads + WR_POOL_STEP : 10);
            load.threads = load.busy = wanted;
            load.queued = 90;
        }
        assert_int_equal(looks, 3);
        load = (struct wr_pool_load){.threads = 10, .capacity = 100};
        for (looks = 0; load.threads > rules.threads_min && looks < 100; looks++) {
            load.threads = wr_pool_size(&rules, &load);
            load.low_ns += WATCH_NS;
            assert_true(load.low_ns > WR_POOL_LINGER_NS || load.threads == 10); /* not at the first calm */
        }
        assert_int_equal(looks, WR_POOL_LINGER_NS / WATCH_NS + 3);
    }
}

static void each_strategy_sees_its_own(void **state) {
    (void)state;
    const struct wr_pool_load full = {.queued = 9, .capacity = 10};
    const struct wr_pool_load slow = {.queued = 1, .capacity = 10, .wait_ns = WR_POOL_LATENCY_NS};
    const struct {
        enum wr_pool_strategy strategy;
        unsigned full, slow;
    } rows[] = {{WR_POOL_QUEUE, 90, 10}, {WR_POOL_LATENCY, 0, 100}, {WR_POOL_MIXED, 90, 100}};
    for (size_t i = 0; i < 3; i++) {
        const struct wr_pool_rules rules = {.strategy = rows[i].strategy, .threads_max = 4};
        assert_int_equal(wr_pool_pressure(&rules, &full), rows[i].full);
        assert_int_equal(wr_pool_pressure(&rules, &slow), rows[i].slow);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_its_promises),
        cmocka_unit_test(follows_a_crowd),
        cmocka_unit_test(each_strategy_sees_its_own),
    };
    return cmocka_run_group_tests_name("core/pool_size", tests, NULL, NULL);
}
