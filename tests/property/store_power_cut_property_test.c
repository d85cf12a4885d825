/* Power cuts at random moments of random work: what was promised is there after each start. And: mistakes that are made on purpose are found.
 *
 * WEIR_CUTS=N cuts as many times (tests/soak/power-cuts). A cut that breaks a promise prints its seed; WEIR_SEED=N repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/random.h"
#include "tests/support/store_life.h"

#define CUTS 40
#define MANY_CUTS 600           /* among so many lives some fill their store with windows that can be merged */
#define LEGS 12                 /* of a disk */
#define LIVES_WITH_A_MISTAKE 60 /* in one of them it must be found */

static struct wr_random dice;

/* Mistakes made on purpose, between the store and SQLite: the linker sends the store's calls of sqlite3_step here. */

static enum {
    NONE,
    YES_BEFORE_COMMIT, /* COMMIT says yes at once and is done with the next transaction */
    IN_PIECES,         /* each change of a transaction is one of its own: acknowledgements, books and evictions without their segments */
} mistake;

int __real_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_step(sqlite3_stmt *statement);

static bool begins(const char *sql, const char *with) {
    return sql && strncmp(sql, with, strlen(with)) == 0;
}

int __wrap_sqlite3_step(sqlite3_stmt *statement) {
    const char *sql = sqlite3_sql(statement);
    sqlite3 *db = sqlite3_db_handle(statement);
    if (mistake == YES_BEFORE_COMMIT && begins(sql, "COMMIT"))
        return SQLITE_DONE;
    if (mistake == YES_BEFORE_COMMIT && begins(sql, "BEGIN") && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    int code = __real_sqlite3_step(statement);
    bool change = begins(sql, "INSERT") || begins(sql, "DELETE") || begins(sql, "UPDATE");
    if (mistake == IN_PIECES && change && code == SQLITE_DONE && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "COMMIT; BEGIN IMMEDIATE", NULL, NULL, NULL);
    return code;
}

static uint64_t wanted_cuts(void) {
    const char *given = getenv("WEIR_CUTS");
    return given ? strtoull(given, NULL, 10) : CUTS;
}

static void print_numbers(const struct store_life_numbers *n) {
    printf("%llu power cuts (%llu of them during a start), %llu kills, %llu clean stops, %lld days; %llu segments, %llu of them merged, "
           "%llu alarm entries; "
           "%llu readings delivered, %llu evicted (%llu of them for their age), %llu lost, the oldest %.3f s before the cut; %llu segments "
           "came twice\n",
           (unsigned long long)n->cuts, (unsigned long long)n->cuts_at_start, (unsigned long long)n->kills,
           (unsigned long long)n->clean_stops, (long long)n->days, (unsigned long long)n->segments, (unsigned long long)n->merged,
           (unsigned long long)n->alarms, (unsigned long long)n->delivered, (unsigned long long)n->evicted, (unsigned long long)n->expired,
           (unsigned long long)n->lost, (double)n->oldest_lost_ns / 1e9, (unsigned long long)n->resent);
}

static void test_a_power_cut_breaks_no_promise(void **state) {
    (void)state;
    struct store_life_numbers sum = {0};
    while (sum.cuts < wanted_cuts()) {
        uint64_t seed = dice.state;
        struct store_life *life = store_life_new(seed);
        for (int leg = 0; leg < LEGS && store_life_broken(life)[0] == 0; leg++)
            (void)store_life_leg(life);
        store_life_count(life, &sum);
        char broken[512];
        snprintf(broken, sizeof broken, "%s", store_life_broken(life));
        store_life_free(life);
        if (broken[0])
            fail_msg("WEIR_SEED=%llu: %s", (unsigned long long)seed, broken);
        (void)wr_random_u64(&dice);
    }
    print_numbers(&sum);
    assert_true(sum.segments > sum.cuts);
    assert_true(sum.merged > 0 || sum.cuts < MANY_CUTS);
}

/* Whether some life breaks a promise; says which. */
static bool found(long lie_every) {
    bool is_found = false;
    for (int i = 0; i < LIVES_WITH_A_MISTAKE && !is_found; i++) {
        struct store_life *life = store_life_new(wr_random_u64(&dice));
        wr_fault_vfs_lie(store_life_disk(life), lie_every);
        for (int leg = 0; leg < LEGS && store_life_broken(life)[0] == 0; leg++)
            (void)store_life_leg(life);
        is_found = store_life_broken(life)[0] != 0;
        if (is_found)
            printf("found in life %d: %s\n", i + 1, store_life_broken(life));
        store_life_free(life);
    }
    return is_found;
}

static void test_a_skipped_sync_is_found(void **state) {
    (void)state;
    assert_true(found(1));
    assert_true(found(5)); /* one in five is enough */
}

static void test_a_yes_before_the_commit_is_found(void **state) {
    (void)state;
    mistake = YES_BEFORE_COMMIT;
    assert_true(found(0));
}

static void test_a_transaction_in_pieces_is_found(void **state) {
    (void)state;
    mistake = IN_PIECES;
    assert_true(found(0));
}

static int no_mistake(void **state) {
    (void)state;
    mistake = NONE;
    return 0;
}

static int setup(void **state) {
    (void)state;
    dice = wr_random_begin();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_power_cut_breaks_no_promise),
        cmocka_unit_test(test_a_skipped_sync_is_found),
        cmocka_unit_test_teardown(test_a_yes_before_the_commit_is_found, no_mistake),
        cmocka_unit_test_teardown(test_a_transaction_in_pieces_is_found, no_mistake),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
