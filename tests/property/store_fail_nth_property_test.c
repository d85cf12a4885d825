/* Every call that the store makes of the disk and of memory fails once: the error is clear, nothing that was promised is lost, and without
 * the fault the same store goes on; also after a power cut that follows.
 *
 * WEIR_EVERY=1 takes each call (tests/soak/fail-nth), else a sample. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/fault_memory.h"
#include "tests/support/random.h"
#include "tests/support/slow.h"
#include "tests/support/store_life.h"

#define STEPS 40
#define LEGS 4 /* before: there are segments, acknowledgements, evictions */
#define LIVES 2
#define SMALL_BYTES (4 << 20) /* they are copied for every call */
#define SAMPLES 4             /* calls of a kind, without WEIR_EVERY */

static struct wr_random dice; /* stays as it began */
static struct wr_random offsets;
static struct store_life *lives[LIVES]; /* at rest: one with a broker, one that runs over */

static bool every(void) {
    const char *given = getenv("WEIR_EVERY");
    return given && given[0] == '1';
}

static long stride_of(long calls) {
    const long samples = wr_test_is_slow() ? 1 : SAMPLES;
    return every() || calls < samples ? 1 : calls / samples;
}

enum place { DISK, SQLITE_HEAP, OWN_HEAP };

struct sweep {
    const char *name;
    enum place place;
    struct wr_fault_plan plan;
};

/* A sweep's fault, armed for one run. */
struct armed {
    const struct sweep *sweep;
    struct wr_fault_vfs *disk;
    bool was_hit;
    long calls; /* that could have failed, until it was taken away */
};

static void arm(struct armed *armed, long at) {
    struct wr_fault_plan plan = armed->sweep->plan;
    plan.at = at;
    switch (armed->sweep->place) {
    case DISK:
        wr_fault_vfs_plan(armed->disk, &plan);
        break;
    case SQLITE_HEAP:
        wr_fault_memory_plan(at, plan.for_good);
        break;
    case OWN_HEAP:
        wr_failing_allocations(at);
        break;
    }
}

static bool is_hit(void *user) {
    const struct armed *armed = user;
    switch (armed->sweep->place) {
    case DISK:
        return wr_fault_vfs_hit(armed->disk);
    case SQLITE_HEAP:
        return wr_fault_memory_hit();
    default:
        return wr_failing_hit();
    }
}

static long calls_of(const struct armed *armed) {
    switch (armed->sweep->place) {
    case DISK:
        return wr_fault_vfs_count(armed->disk, armed->sweep->plan.calls);
    case SQLITE_HEAP:
        return wr_fault_memory_count();
    default:
        return wr_failing_count();
    }
}

static void off(void *user) {
    struct armed *armed = user;
    if (armed->calls == 0)
        armed->calls = calls_of(armed);
    armed->was_hit |= is_hit(armed);
    wr_fault_vfs_plan(armed->disk, NULL);
    wr_fault_memory_plan(-1, false);
    wr_failing_off();
}

/* One run with one fault. False: there are not so many calls. */
static bool run(const struct store_life *base, const struct sweep *sweep, long at, long *ret_calls) {
    struct store_life *life = store_life_copy(base);
    struct armed armed = {.sweep = sweep, .disk = store_life_disk(life)};
    const struct store_life_faults faults = {is_hit, off, &armed};
    arm(&armed, at);
    if (!store_life_suffer(life, &faults, STEPS))
        fail_msg("WEIR_SEED=%llu: %s, call %ld: %s", (unsigned long long)dice.state, sweep->name, at, store_life_broken(life));
    store_life_free(life);
    *ret_calls = armed.calls;
    return armed.was_hit;
}

static void sweep_over(const struct sweep *sweep) {
    for (int i = 0; i < LIVES; i++) {
        long calls = 0;
        long runs = 0;
        assert_false(run(lives[i], sweep, LONG_MAX, &calls));
        long stride = stride_of(calls);
        long n = stride == 1 ? 0 : (long)wr_random_below(&offsets, (uint64_t)stride);
        long unused;
        for (; run(lives[i], sweep, n, &unused); n += stride)
            runs++;
        printf("%s: %ld calls, %ld of them failed in turn\n", sweep->name, calls, runs);
        assert_true(runs > 0);
    }
}

#define SWEEP(function, text, where, ...)                                                                                                  \
    static void function(void **state) {                                                                                                   \
        (void)state;                                                                                                                       \
        const struct sweep sweep = {text, where, {__VA_ARGS__}};                                                                           \
        sweep_over(&sweep);                                                                                                                \
    }

#define WRITES (WR_FAULT_WRITE | WR_FAULT_TRUNCATE | WR_FAULT_OPEN)

SWEEP(test_input_output_error, "an error of any call", DISK, .kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY)
SWEEP(test_dead_disk, "errors of all calls from one on", DISK, .kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .for_good = true)
SWEEP(test_failed_sync, "a sync that fails and forgets", DISK, .kind = WR_FAULT_EIO, .calls = WR_FAULT_SYNC)
SWEEP(test_short_write, "half a write", DISK, .kind = WR_FAULT_SHORT, .calls = WR_FAULT_WRITE)
SWEEP(test_no_space, "no space, once", DISK, .kind = WR_FAULT_ENOSPC, .calls = WRITES)
SWEEP(test_full_disk, "no space from one write on", DISK, .kind = WR_FAULT_ENOSPC, .calls = WRITES, .for_good = true)
SWEEP(test_no_kernel_memory, "no memory in the kernel", DISK, .kind = WR_FAULT_ENOMEM, .calls = WR_FAULT_ANY)
SWEEP(test_no_sqlite_memory, "no memory for SQLite, once", SQLITE_HEAP, .for_good = false)
SWEEP(test_no_sqlite_memory_for_good, "no memory for SQLite from one piece on", SQLITE_HEAP, .for_good = true)
SWEEP(test_no_memory, "no memory for the store", OWN_HEAP, .for_good = false)

/* The first start of all, on an empty disk; and the audit of a store that nobody has open. */

static const struct sweep first_start[] = {
    {"the first start: an error", DISK, {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY}},
    {"the first start: no space", DISK, {.kind = WR_FAULT_ENOSPC, .calls = WRITES}},
    {"the first start: a power cut", DISK, {.kind = WR_FAULT_CUT, .calls = WR_FAULT_ANY}},
    {"the first start: no memory for SQLite", SQLITE_HEAP, {.for_good = false}},
    {"the first start: no memory for the store", OWN_HEAP, {.for_good = false}},
};

/* Errors have a text, or the call said yes. */
static void clear_error(const struct store_fixture *fixture, enum wr_result result) {
    if (result != WR_OK)
        assert_true(fixture->err.text[0] != 0);
}

static bool start_first(const struct sweep *sweep, long at, long *ret_calls) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    struct armed armed = {.sweep = sweep, .disk = wr_fault_vfs_new((uint64_t)at + 1)};
    fixture.options.vfs = wr_fault_vfs_name(armed.disk);
    arm(&armed, at);
    clear_error(&fixture, store_fixture_open(&fixture));
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    off(&armed);
    if (sweep->plan.kind == WR_FAULT_CUT)
        wr_fault_vfs_cut(armed.disk);
    wr_fault_vfs_power(armed.disk, sweep->plan.kind == WR_FAULT_CUT ? WR_FAULT_SECTORS : WR_FAULT_ALL);
    if (store_fixture_open(&fixture) != WR_OK)
        fail_msg("%s, call %ld: %s", sweep->name, at, fixture.err.text);
    assert_false(fixture.report.quarantined); /* what the first left is good enough to go on with */
    store_fixture_segment(&fixture, 1, 10, 2);
    assert_int_equal(wr_store_close(fixture.store, &fixture.now, &fixture.err), WR_OK);
    fixture.store = NULL;
    store_fixture_fini(&fixture);
    wr_fault_vfs_free(armed.disk);
    *ret_calls = armed.calls;
    return armed.was_hit;
}

/* Calls `once` with every call, or a sample of them, failing. */
static void for_each_call(const struct sweep *sweep, bool (*once)(const struct sweep *sweep, long at, long *ret_calls)) {
    long calls = 0;
    long runs = 0;
    long unused;
    assert_false(once(sweep, LONG_MAX, &calls));
    long stride = stride_of(calls);
    for (long n = stride == 1 ? 0 : (long)wr_random_below(&offsets, (uint64_t)stride); once(sweep, n, &unused); n += stride)
        runs++;
    printf("%s: %ld calls, %ld of them failed in turn\n", sweep->name, calls, runs);
    assert_true(runs > 0);
}

static void test_the_first_start(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof first_start / sizeof first_start[0]; i++)
        for_each_call(&first_start[i], start_first);
}

static const struct sweep audits[] = {
    {"audit: an error", DISK, {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY}},
    {"audit: no memory in the kernel", DISK, {.kind = WR_FAULT_ENOMEM, .calls = WR_FAULT_ANY}},
    {"audit: no memory for SQLite", SQLITE_HEAP, {.for_good = false}},
    {"audit: no memory for the store", OWN_HEAP, {.for_good = false}},
};

static struct store_fixture audited;
static struct wr_fault_vfs *audited_disk;

static bool audit_once(const struct sweep *sweep, long at, long *ret_calls) {
    struct armed armed = {.sweep = sweep, .disk = wr_fault_vfs_copy(audited_disk)};
    struct wr_account_balance *balances = NULL;
    uint32_t n = 0;
    bool clean = false;
    uint64_t epoch = 0;
    struct wr_store_recount recount;
    wr_fault_vfs_default(armed.disk, true);
    arm(&armed, at);
    audited.err.text[0] = 0;
    enum wr_result result = wr_store_audit(audited.directory, &balances, &n, &clean, &epoch, &recount, &audited.err);
    off(&armed);
    wr_fault_vfs_default(armed.disk, false);
    clear_error(&audited, result);
    if (!armed.was_hit)
        assert_int_equal(result, WR_OK);
    if (result == WR_OK) {
        assert_int_equal(n, STORE_ACCOUNTS);
        for (uint32_t i = 0; i < n; i++)
            assert_true(wr_balance_check(&balances[i], NULL, NULL));
        free(balances);
    }
    audited.options.vfs = wr_fault_vfs_name(armed.disk);
    assert_int_equal(store_fixture_open(&audited), WR_OK); /* it was only looked at */
    assert_false(audited.report.quarantined);
    wr_store_abandon(audited.store);
    audited.store = NULL;
    wr_fault_vfs_free(armed.disk);
    *ret_calls = armed.calls;
    return armed.was_hit;
}

static void test_audit(void **state) {
    (void)state;
    store_fixture_init(&audited);
    audited_disk = wr_fault_vfs_new(1);
    audited.options.vfs = wr_fault_vfs_name(audited_disk);
    assert_int_equal(store_fixture_open(&audited), WR_OK);
    for (int i = 0; i < 3; i++)
        store_fixture_segment(&audited, 1, 10, 2);
    store_fixture_abandon(&audited); /* unclean: the WAL is read too */
    store_fixture_placeholder(&audited);
    for (size_t i = 0; i < sizeof audits / sizeof audits[0]; i++)
        for_each_call(&audits[i], audit_once);
    store_fixture_fini(&audited);
    wr_fault_vfs_free(audited_disk);
}

static int setup(void **state) {
    (void)state;
    wr_fault_memory_install();
    dice = wr_random_begin();
    offsets = dice;
    for (int i = 0; i < LIVES;) { /* until there is one of each kind */
        struct store_life *life = store_life_new(wr_random_u64(&offsets));
        for (int leg = 0; leg < LEGS && store_life_broken(life)[0] == 0; leg++)
            (void)store_life_leg(life);
        struct store_life_numbers numbers = {0};
        store_life_count(life, &numbers);
        bool wanted = i == 0 ? numbers.delivered > 0 : numbers.evicted + numbers.merged > 0;
        if (!wanted || wr_fault_vfs_bytes(store_life_disk(life)) > SMALL_BYTES || !store_life_rest(life)) {
            store_life_free(life);
            continue;
        }
        lives[i++] = life;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < LIVES; i++)
        store_life_free(lives[i]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_output_error),
        cmocka_unit_test(test_dead_disk),
        cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_short_write),
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_no_kernel_memory),
        cmocka_unit_test(test_no_sqlite_memory),
        cmocka_unit_test(test_no_sqlite_memory_for_good),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_the_first_start),
        cmocka_unit_test(test_audit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
