/* The scheduler's loop: tasks on a pool by the real clock; they never overlap, and a remove leaves none running. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/scheduler_loop.h"
#include "tests/support/failing.h"
#include "tests/support/threads.h"
#include "tests/support/waiting.h"

struct bed {
    struct wr_pool *pool;
    struct wr_scheduler_loop *loop;
    unsigned threads_before;
};

static struct bed bed;

static int64_t now(void) {
    return wr_clock_boot_ns(wr_clock_real());
}

static int64_t in_s(int64_t s) {
    return now() + s * WR_NS_PER_S;
}

static int begin_with(unsigned threads_max, size_t queue) {
    wr_waiting_watchdog(60);
    bed.threads_before = wr_threads_count();
    const struct wr_pool_options options = {.name = "test-pool",
                                            .rules = {.threads_max = threads_max, .latency_ns = WR_NS_PER_MS},
                                            .queue = queue,
                                            .policy = WR_CHANNEL_REJECT,
                                            .watch_ns = WR_NS_PER_MS};
    assert_int_equal(wr_pool_new(&options, &bed.pool, NULL), WR_OK);
    assert_int_equal(wr_scheduler_loop_new("test-sched", bed.pool, &bed.loop, NULL), WR_OK);
    return 0;
}

static int begin(void **state) {
    (void)state;
    return begin_with(8, 16);
}

static int end(void **state) {
    (void)state;
    assert_int_equal(wr_scheduler_loop_stop(bed.loop, in_s(30)), WR_OK);
    assert_int_equal(wr_pool_stop(bed.pool, in_s(30), in_s(30), NULL), WR_OK);
    wr_scheduler_loop_free(bed.loop);
    wr_pool_free(bed.pool);
    wr_threads_expect(bed.threads_before);
    return 0;
}

struct job {
    _Atomic unsigned runs;
    _Atomic unsigned inside;
    _Atomic unsigned most_inside;
    _Atomic enum wr_result ended;
    _Atomic int64_t first_ns;
    _Atomic bool open;
};

static void come_in(struct job *job) {
    const unsigned inside = ++job->inside;
    if (inside > job->most_inside)
        job->most_inside = inside;
    if (job->runs == 0)
        job->first_ns = now();
}

static void run_quick(struct wr_context *context, void *user) {
    (void)context;
    struct job *job = user;
    come_in(job);
    job->inside--;
    job->runs++;
}

static void run_slowly(struct wr_context *context, void *user) {
    struct job *job = user;
    come_in(job);
    (void)!wr_context_sleep_until(context, now() + 5 * WR_NS_PER_MS);
    job->inside--;
    job->runs++;
}

static void run_until_ended(struct wr_context *context, void *user) {
    struct job *job = user;
    come_in(job);
    job->ended = wr_context_sleep_until(context, WR_NEVER_NS);
    job->inside--;
    job->runs++;
}

/* Heeds nothing but its gate. */
static void run_gated(struct wr_context *context, void *user) {
    (void)context;
    struct job *job = user;
    come_in(job);
    while (!job->open)
        (void)sched_yield();
    job->inside--;
    job->runs++;
}

static void wait_for(const _Atomic unsigned *count, unsigned value) {
    while (*count < value)
        (void)sched_yield();
}

static struct wr_scheduler_task task_of(void (*run)(struct wr_context *context, void *user), struct job *job, int64_t every_ns) {
    return (struct wr_scheduler_task){.plan = {.name = "job", .every_ns = every_ns}, .run = run, .user = job};
}

static void add(struct wr_scheduler_task *task) {
    assert_int_equal(wr_scheduler_loop_add(bed.loop, task, NULL), WR_OK);
}

static void a_task_comes_again_and_again(void **state) {
    (void)state;
    struct job job = {0}, once = {0};
    struct wr_scheduler_task task = task_of(run_quick, &job, WR_NS_PER_MS);
    struct wr_scheduler_task single = task_of(run_quick, &once, 0);
    single.plan.first_boot_ns = now() + 10 * WR_NS_PER_MS;
    add(&task);
    add(&single);
    wait_for(&job.runs, 20);
    wait_for(&once.runs, 1);
    assert_true(once.first_ns >= single.plan.first_boot_ns);
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK);
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK); /* once more does no harm */
    assert_int_equal(wr_scheduler_loop_remove(&single, in_s(30)), WR_OK);
    assert_int_equal(wr_scheduler_loop_runs(bed.loop), job.runs + once.runs);
    assert_int_equal(once.runs, 1);
}

static void runs_of_one_task_never_overlap(void **state) {
    (void)state;
    struct job slow = {0}, quick = {0};
    struct wr_scheduler_task task = task_of(run_slowly, &slow, WR_NS_PER_MS);
    struct wr_scheduler_task other = task_of(run_quick, &quick, WR_NS_PER_MS);
    task.plan.missed = WR_SCHEDULER_CATCH_UP;
    add(&task);
    add(&other);
    wait_for(&slow.runs, 10);
    wait_for(&quick.runs, 10); /* another is not held up */
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK);
    assert_int_equal(wr_scheduler_loop_remove(&other, in_s(30)), WR_OK);
    assert_int_equal(slow.most_inside, 1);
    assert_true(wr_scheduler_loop_missed(bed.loop) > 0 || slow.runs < 16); /* catching up has a limit */
}

static void a_run_ends_by_its_timeout(void **state) {
    (void)state;
    struct job job = {0};
    struct wr_scheduler_task task = task_of(run_until_ended, &job, 3600 * WR_NS_PER_S);
    task.timeout_ns = WR_NS_PER_S; /* a thread must be found within it, too */
    add(&task);
    wait_for(&job.runs, 1);
    assert_int_equal(job.ended, WR_TIMEOUT);
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK);
}

static void a_remove_cancels_and_waits(void **state) {
    (void)state;
    struct job job = {0};
    struct wr_scheduler_task task = task_of(run_until_ended, &job, WR_NS_PER_MS);
    add(&task);
    wait_for(&job.inside, 1);
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK);
    assert_int_equal(job.inside, 0);
    assert_int_equal(job.runs, 1);
    assert_int_equal(job.ended, WR_CANCELED);
}

static void a_remove_may_be_asked_again(void **state) {
    (void)state;
    struct job job = {0};
    struct wr_scheduler_task task = task_of(run_gated, &job, WR_NS_PER_MS);
    add(&task);
    wait_for(&job.inside, 1);
    assert_int_equal(wr_scheduler_loop_remove(&task, now() + WR_NS_PER_MS), WR_TIMEOUT);
    job.open = true;
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK);
    assert_int_equal(job.inside, 0);
}

/* A pool without room: the run is put off until there is some. */
static void a_full_pool_is_tried_again(void **state) {
    (void)state;
    struct job gate = {0}, filling = {0}, late = {0};
    const struct wr_pool_task work = {.name = "gate", .run = run_gated, .user = &gate, .deadline_boot_ns = WR_NEVER_NS};
    const struct wr_pool_task fill = {.name = "fill", .run = run_quick, .user = &filling, .deadline_boot_ns = WR_NEVER_NS};
    assert_int_equal(wr_pool_submit(bed.pool, &work, 0), WR_OK);
    wait_for(&gate.inside, 1);
    assert_int_equal(wr_pool_submit(bed.pool, &fill, 0), WR_OK);
    struct wr_scheduler_task task = task_of(run_quick, &late, 0);
    add(&task);
    while (wr_pool_counters(bed.pool)->refused < 2)
        (void)sched_yield();
    assert_int_equal(late.runs, 0);
    gate.open = true;
    wait_for(&late.runs, 1);
    assert_int_equal(filling.runs, 1);
    assert_int_equal(wr_scheduler_loop_remove(&task, in_s(30)), WR_OK);
}

static int begin_tight(void **state) {
    (void)state;
    return begin_with(1, 1);
}

/* Tasks that come and go under the scheduler's hands. */
static void many_come_and_go(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct job jobs[8] = {0};
        struct wr_scheduler_task tasks[8];
        for (int i = 0; i < 8; i++) {
            tasks[i] = task_of(i % 2 ? run_quick : run_slowly, &jobs[i], 100 * WR_NS_PER_US * (1 + i));
            tasks[i].plan.missed = (enum wr_scheduler_missed)(i % 3);
            tasks[i].plan.jitter_ns = i % 4 ? 50 * WR_NS_PER_US : 0;
            add(&tasks[i]);
        }
        if (round % 2)
            wait_for(&jobs[0].runs, 1);
        for (int i = 0; i < 8; i++)
            assert_int_equal(wr_scheduler_loop_remove(&tasks[i], in_s(30)), WR_OK);
        for (int i = 0; i < 8; i++) {
            assert_int_equal(jobs[i].inside, 0);
            assert_true(jobs[i].most_inside <= 1);
        }
    }
}

static void what_cannot_be_added(void **state) {
    (void)state;
    struct job job = {0};
    struct wr_scheduler_task task = task_of(run_quick, &job, 5);
    task.plan.jitter_ns = 5;
    assert_int_equal(wr_scheduler_loop_add(bed.loop, &task, NULL), WR_INVALID);
    assert_int_equal(wr_scheduler_loop_remove(&task, 0), WR_OK); /* it is not there */
    task.plan.jitter_ns = 0;
    task.plan.first_boot_ns = in_s(3600);
    for (long n = 0; n < 2; n++) {
        wr_failing_allocations(n);
        assert_int_equal(wr_scheduler_loop_add(bed.loop, &task, NULL), WR_NO_MEMORY);
        wr_failing_off();
    }
    wr_failing_allocations(0);
    struct wr_scheduler_loop *loop = NULL;
    assert_int_equal(wr_scheduler_loop_new("none", bed.pool, &loop, NULL), WR_NO_MEMORY);
    wr_failing_off();
    assert_null(loop);
    wr_scheduler_loop_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_task_comes_again_and_again, begin, end),
        cmocka_unit_test_setup_teardown(runs_of_one_task_never_overlap, begin, end),
        cmocka_unit_test_setup_teardown(a_run_ends_by_its_timeout, begin, end),
        cmocka_unit_test_setup_teardown(a_remove_cancels_and_waits, begin, end),
        cmocka_unit_test_setup_teardown(a_remove_may_be_asked_again, begin, end),
        cmocka_unit_test_setup_teardown(a_full_pool_is_tried_again, begin_tight, end),
        cmocka_unit_test_setup_teardown(many_come_and_go, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_added, begin, end),
    };
    return cmocka_run_group_tests_name("core/scheduler_loop", tests, NULL, NULL);
}
