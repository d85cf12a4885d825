/* Many senders of one line each: what one pass of the line source's loop reads goes to the engine together, and nothing of it is late or lost.
 *
 * A clock holds the source in the middle of a read callback: so what the test sends meanwhile is readable in the pass after that.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/intake.h"
#include "agent/sources/line_source.h"
#include "tests/support/source_bed.h"

#define SENDERS 20 /* so few are found in one look at the sockets */

static struct wr_bed bed;
static int fds[SENDERS];

/* -- a clock that holds whoever reads it ------------------------------------------------------------------------------------------------ */

struct holding_clock {
    struct wr_clock clock; /* first */
    _Atomic bool holding;  /* the next reading of it waits */
    _Atomic int64_t boot_ns;
    int64_t step_ns; /* each reading is so much later */
    sem_t held, go_on;
};

static int64_t boot_ns(const struct wr_clock *base) {
    struct holding_clock *clock = (struct holding_clock *)(uintptr_t)base;
    if (clock->holding) {
        clock->holding = false;
        sem_post(&clock->held);
        sem_wait(&clock->go_on);
    }
    return atomic_fetch_add(&clock->boot_ns, clock->step_ns) + clock->step_ns;
}

static int64_t wall_ns(const struct wr_clock *clock) {
    (void)clock;
    return INT64_C(1700000000) * WR_NS_PER_S;
}

static bool wall_trusted(const struct wr_clock *clock) {
    (void)clock;
    return true;
}

static uint64_t random_u64(const struct wr_clock *clock) {
    (void)clock;
    return 42;
}

static const struct wr_clock_ops holding_ops = {
    .boot_ns = boot_ns, .wall_ns = wall_ns, .wall_trusted = wall_trusted, .random_u64 = random_u64};
static struct holding_clock clock_of_test;

/* -- the bed -------------------------------------------------------------------------------------------------------------------------- */

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_LINE);
    bed.limits.batches = 32;
    clock_of_test = (struct holding_clock){.clock = {&holding_ops}, .boot_ns = WR_NS_PER_S};
    sem_init(&clock_of_test.held, 0, 0);
    sem_init(&clock_of_test.go_on, 0, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < SENDERS; i++)
        close(fds[i]);
    wr_bed_fini(&bed);
    sem_destroy(&clock_of_test.held);
    sem_destroy(&clock_of_test.go_on);
    return 0;
}

static void send_line(int fd) {
    assert_int_equal(write(fd, "m v=1i 1\n", 9), 9);
}

/* Connections that the source knows, and whose first lines it has handed over. */
static void start(void) {
    struct wr_error err = {0};
    wr_bed_create(&bed);
    bed.env.clock = &clock_of_test.clock;
    wr_source_free(bed.source);
    assert_int_equal(wr_source_create(&bed.env, &bed.source, &err), WR_OK);
    assert_int_equal(wr_source_start(bed.source, &err), WR_OK);
    for (int i = 0; i < SENDERS; i++) {
        fds[i] = wr_bed_dial(&bed);
        send_line(fds[i]);
        wr_bed_take_until(&bed, (uint64_t)i + 1);
    }
    assert_int_equal(bed.batches, SENDERS);
}

/* The source stands in the callback of the first sender, which has sent one line. */
static void hold(void) {
    clock_of_test.holding = true;
    send_line(fds[0]);
    sem_wait(&clock_of_test.held);
}

static void let_go(void) {
    sem_post(&clock_of_test.go_on);
}

/* -- the tests ------------------------------------------------------------------------------------------------------------------------ */

static void what_a_pass_reads_is_one_batch(void **state) {
    (void)state;
    start();
    hold();
    for (int i = 0; i < SENDERS; i++)
        send_line(fds[i]);
    let_go();
    wr_bed_take_until(&bed, 2 * SENDERS + 1);
    assert_int_equal(bed.counters.batches, SENDERS + 2); /* that of the pass in which it was held, and one of the pass after it */
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2 * SENDERS + 1);
}

static void a_long_pass_is_handed_over_in_parts(void **state) {
    (void)state;
    start();
    clock_of_test.step_ns = WR_INTAKE_TOGETHER_NS / 4;
    hold();
    for (int i = 0; i < SENDERS; i++)
        send_line(fds[i]);
    let_go();
    wr_bed_take_until(&bed, 2 * SENDERS + 1);
    assert_int_equal(bed.counters.batches,
                     SENDERS + 1 + SENDERS / 4); /* what comes a quarter, two, three quarters later is with the first */
}

static void a_lone_line_waits_for_nobody(void **state) {
    (void)state;
    start();
    for (uint64_t i = 1; i <= 50; i++) { /* the clock stands: no time that passes would send it */
        send_line(fds[0]);
        wr_bed_take_until(&bed, SENDERS + i);
        assert_int_equal(bed.counters.batches, SENDERS + i);
    }
}

static void a_batch_bears_the_stamp_of_its_first_reading(void **state) {
    (void)state;
    start();
    hold();
    for (int i = 0; i < SENDERS; i++)
        send_line(fds[i]);
    clock_of_test.step_ns = 1;
    const int64_t before_ns = clock_of_test.boot_ns;
    let_go();
    struct wr_batch *batch;
    for (int64_t k = 1; k <= 2; k++) {
        assert_int_equal(wr_channel_recv(bed.to_engine, &batch, wr_bed_in_s(10)), WR_OK);
        assert_int_equal(batch->arrival_boot_ns, before_ns + k);
        wr_batch_return(batch);
    }
}

static void senders_that_close_at_once_lose_nothing(void **state) {
    (void)state;
    start();
    hold();
    for (int i = 0; i < SENDERS; i++) {
        send_line(fds[i]);
        close(fds[i]);
        fds[i] = -1;
    }
    let_go();
    wr_bed_take_until(&bed, 2 * SENDERS + 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    assert_int_equal(bed.counters.connections, 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2 * SENDERS + 1);
}

static void *stop(void *user) {
    (void)user;
    wr_bed_stop(&bed);
    return NULL;
}

/* Wherever in a pass the stop comes. */
static void a_stop_in_a_pass_loses_nothing(void **state) {
    for (int round = 0; round < 10; round++) {
        start();
        hold();
        for (int i = 0; i < SENDERS; i++)
            send_line(fds[i]);
        pthread_t stopping;
        assert_int_equal(pthread_create(&stopping, NULL, stop, NULL), 0);
        let_go();
        pthread_join(stopping, NULL);
        (void)wr_bed_take(&bed);
        assert_int_equal(bed.taken, 2 * SENDERS + 1);
        assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2 * SENDERS + 1);
        assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP), 0);
        (void)tear_down(state);
        (void)set_up(state);
    }
    for (int i = 0; i < SENDERS; i++)
        fds[i] = -1;
}

/* Two batches for twenty senders with an engine that takes nothing: those that find no room wait, and all of it arrives. */
static void a_stall_in_a_pass_loses_nothing(void **state) {
    (void)state;
    enum { LINES = 2 * WR_BATCH_READINGS - 1 };
    bed.limits.batches = 2;
    start();
    static char text[LINES * 9];
    for (size_t at = 0; at < sizeof text; at += 9)
        memcpy(text + at, "m v=1i 1\n", 9);
    hold();
    for (int i = 1; i < SENDERS; i++) /* one of them has room */
        send_line(fds[i]);
    assert_int_equal(write(fds[0], text, sizeof text), sizeof text);
    let_go();
    wr_bed_wait(&bed.counters.waits, 1);
    wr_bed_take_until(&bed, SENDERS + 1 + LINES + SENDERS - 1);
    assert_int_equal(wr_source_stop(bed.source, wr_bed_in_s(5)), WR_OK);
    (void)wr_bed_take(&bed);
    assert_int_equal(bed.taken, SENDERS + 1 + LINES + SENDERS - 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), bed.taken);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_pass_reads_is_one_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_pass_is_handed_over_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lone_line_waits_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_bears_the_stamp_of_its_first_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(senders_that_close_at_once_lose_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_in_a_pass_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stall_in_a_pass_loses_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
