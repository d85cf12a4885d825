/* The pool: every task ends once, threads come and go, deadlines, policies, the stop. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/pool.h"
#include "core/thread.h"
#include "tests/support/failing.h"
#include "tests/support/threads.h"
#include "tests/support/waiting.h"

/* What a task of these tests tells of itself. */
struct job {
    _Atomic unsigned began;
    _Atomic unsigned ended;
    _Atomic unsigned dropped;
    _Atomic enum wr_result why;
    _Atomic bool open; /* a gated job returns once this is true */
};

static unsigned threads_before;

static int64_t now(void) {
    return wr_clock_boot_ns(wr_clock_real());
}

static int64_t in_s(int64_t s) {
    return now() + s * WR_NS_PER_S;
}

static int begin(void **state) {
    (void)state;
    wr_waiting_watchdog(60);
    threads_before = wr_threads_count();
    return 0;
}

static int end(void **state) {
    (void)state;
    wr_threads_expect(threads_before); /* no thread is left behind */
    return 0;
}

static void run_quick(struct wr_context *context, void *user) {
    struct job *job = user;
    assert_int_equal(wr_context_state(context), WR_OK);
    job->began++;
    job->ended++;
}

/* Heeds nothing but its gate. */
static void run_gated(struct wr_context *context, void *user) {
    struct job *job = user;
    (void)context;
    job->began++;
    while (!job->open)
        (void)sched_yield();
    job->ended++;
}

static void run_until_canceled(struct wr_context *context, void *user) {
    struct job *job = user;
    job->began++;
    job->why = wr_context_sleep_until(context, WR_NEVER_NS);
    job->ended++;
}

static void note_drop(void *user, enum wr_result why) {
    struct job *job = user;
    job->why = why;
    job->dropped++;
}

static struct wr_pool *pool_of(struct wr_pool_options options) {
    struct wr_pool *pool = NULL;
    if (!options.name)
        options.name = "test-pool";
    if (options.rules.threads_max == 0)
        options.rules.threads_max = 4;
    if (options.queue == 0)
        options.queue = 16;
    if (options.watch_ns == 0)
        options.watch_ns = WR_NS_PER_MS;
    assert_int_equal(wr_pool_new(&options, &pool, NULL), WR_OK);
    return pool;
}

static enum wr_result submit(struct wr_pool *pool, void (*run)(struct wr_context *context, void *user), struct job *job) {
    const struct wr_pool_task task = {.name = "job", .run = run, .dropped = note_drop, .user = job, .deadline_boot_ns = WR_NEVER_NS};
    return wr_pool_submit(pool, &task, 0);
}

static void stop_and_free(struct wr_pool *pool) {
    struct wr_error err = {0};
    const enum wr_result result = wr_pool_stop(pool, in_s(20), in_s(30), &err);
    if (result != WR_OK)
        print_error("%s\n", err.text);
    assert_int_equal(result, WR_OK);
    const struct wr_pool_counters *counters = wr_pool_counters(pool);
    assert_int_equal(counters->submitted, counters->done + counters->dropped);
    assert_int_equal(counters->threads, 0);
    assert_int_equal(counters->busy, 0);
    wr_pool_free(pool);
}

static void wait_for(const _Atomic unsigned *count, unsigned value) {
    while (*count < value)
        (void)sched_yield();
}

static void wait_for_counter(const _Atomic uint64_t *count, uint64_t value) {
    while (*count != value)
        (void)sched_yield();
}

/* -- tests ------------------------------------------------------------------------------------------------------------------------------- */

static void an_unused_pool_has_a_watcher_only(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){0});
    wr_threads_expect(threads_before + 1);
    stop_and_free(pool);
}

static void tasks_run_and_threads_go_again(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.linger_ns = WR_NS_PER_MS}});
    struct job job = {0};
    for (unsigned i = 1; i <= 20; i++) { /* from no thread, again and again */
        assert_int_equal(submit(pool, run_quick, &job), WR_OK);
        wait_for(&job.ended, i);
        if (i % 4 == 0)
            wait_for_counter(&wr_pool_counters(pool)->threads, 0);
    }
    assert_true(wr_pool_counters(pool)->threads_started >= 5);
    stop_and_free(pool);
    assert_int_equal(job.ended, 20);
    assert_int_equal(job.dropped, 0);
}

static void the_least_threads_are_there_without_tasks(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_min = 3, .linger_ns = 1}});
    wait_for_counter(&wr_pool_counters(pool)->threads, 3);
    wr_threads_expect(threads_before + 4);
    stop_and_free(pool);
}

/* Tasks that wait are what it grows for; four at a watch at most, and no more than are allowed. */
static void waiting_tasks_make_it_grow(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){
        .rules = {.threads_max = 6, .strategy = WR_POOL_MIXED, .latency_ns = WR_NS_PER_MS, .linger_ns = WR_NS_PER_MS}});
    struct job job = {0};
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(submit(pool, run_gated, &job), WR_OK);
    wait_for(&job.began, 6);
    assert_int_equal(wr_pool_counters(pool)->threads, 6);
    assert_int_equal(wr_pool_counters(pool)->busy, 6);
    assert_int_equal(wr_pool_queued(pool), 4);
    job.open = true;
    wait_for(&job.ended, 10);
    wait_for_counter(&wr_pool_counters(pool)->threads, 0);
    assert_int_equal(wr_pool_counters(pool)->threads_started, 6);
    stop_and_free(pool);
}

static void tasks_start_in_their_order(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_max = 1}});
    struct job gate = {0}, jobs[8] = {0};
    assert_int_equal(submit(pool, run_gated, &gate), WR_OK);
    for (int i = 0; i < 8; i++)
        assert_int_equal(submit(pool, i < 7 ? run_quick : run_gated, &jobs[i]), WR_OK);
    gate.open = true;
    wait_for(&jobs[7].began, 1);
    for (int i = 0; i < 7; i++)
        assert_int_equal(jobs[i].ended, 1);
    jobs[7].open = true;
    stop_and_free(pool);
}

static void a_full_queue_answers_by_its_policy(void **state) {
    (void)state;
    for (enum wr_channel_policy policy = WR_CHANNEL_BLOCK; policy <= WR_CHANNEL_REJECT; policy++) {
        struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_max = 1}, .queue = 2, .policy = policy});
        struct job gate = {0}, jobs[3] = {0};
        assert_int_equal(submit(pool, run_gated, &gate), WR_OK);
        wait_for(&gate.began, 1);
        assert_int_equal(submit(pool, run_quick, &jobs[0]), WR_OK);
        assert_int_equal(submit(pool, run_quick, &jobs[1]), WR_OK);
        const enum wr_result result = submit(pool, run_quick, &jobs[2]);
        gate.open = true;
        assert_int_equal(result, policy == WR_CHANNEL_REJECT ? WR_FULL : policy == WR_CHANNEL_BLOCK ? WR_TIMEOUT : WR_OK);
        stop_and_free(pool);
        assert_int_equal(jobs[0].ended, policy != WR_CHANNEL_DROP_OLDEST);
        assert_int_equal(jobs[0].dropped, policy == WR_CHANNEL_DROP_OLDEST);
        assert_int_equal(jobs[1].ended, 1);
        assert_int_equal(jobs[2].ended, policy == WR_CHANNEL_DROP_OLDEST);
        assert_int_equal(jobs[2].dropped, policy == WR_CHANNEL_DROP_NEWEST);
        if (policy == WR_CHANNEL_DROP_OLDEST)
            assert_int_equal(jobs[0].why, WR_FULL);
    }
}

/* Until it has begun: on a busy machine a short deadline may pass before a thread has it. */
static void begin_with_deadline(struct wr_pool *pool, const char *name, void (*run)(struct wr_context *context, void *user),
                                struct job *job) {
    for (unsigned dropped = 0; job->began == 0; dropped++) {
        const struct wr_pool_task task = {
            .name = name, .run = run, .dropped = note_drop, .user = job, .deadline_boot_ns = now() + (dropped + 1) * 10 * WR_NS_PER_MS};
        assert_int_equal(wr_pool_submit(pool, &task, 0), WR_OK);
        while (job->began == 0 && job->dropped == dropped)
            (void)sched_yield();
    }
}

/* -- deadlines and contexts ---------------------------------------------------------------------------------------------------------------- */

static _Atomic unsigned overruns;
static char overrun_name[64];
static _Atomic int64_t overrun_ns;

static void note_overrun(void *user, const char *task, int64_t over_ns) {
    (void)user;
    strncpy(overrun_name, task, sizeof overrun_name - 1);
    overrun_ns = over_ns;
    overruns++;
}

static void a_task_that_overruns_is_named_while_it_runs(void **state) {
    (void)state;
    overruns = 0;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.overrun = note_overrun});
    struct job job = {0};
    begin_with_deadline(pool, "poll plc", run_gated, &job);
    wait_for(&overruns, 1);
    assert_string_equal(overrun_name, "poll plc");
    assert_true(overrun_ns > 0);
    assert_int_equal(job.ended, 0);
    job.open = true;
    stop_and_free(pool);
    assert_int_equal(overruns, 1); /* once */
}

/* One that returns late between two looks of the watcher is named too. */
static void a_task_that_returns_late_is_named(void **state) {
    (void)state;
    overruns = 0;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.overrun = note_overrun, .watch_ns = 3600 * WR_NS_PER_S});
    struct job job = {0};
    begin_with_deadline(pool, "late", run_until_canceled, &job);
    wait_for(&overruns, 1);
    assert_string_equal(overrun_name, "late");
    assert_int_equal(job.why, WR_TIMEOUT); /* its context ended at the deadline */
    stop_and_free(pool);
    assert_int_equal(overruns, 1);
}

static void who_waits_too_long_is_dropped(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_max = 1}});
    struct job gate = {0}, late = {0}, canceled = {0};
    struct wr_context *context = NULL;
    assert_int_equal(wr_context_new(wr_pool_context(pool), WR_NEVER_NS, 7, &context, NULL), WR_OK);
    assert_int_equal(submit(pool, run_gated, &gate), WR_OK);
    wait_for(&gate.began, 1);
    struct wr_pool_task task = {.name = "late", .run = run_quick, .dropped = note_drop, .user = &late, .deadline_boot_ns = now()};
    assert_int_equal(wr_pool_submit(pool, &task, 0), WR_OK);
    task = (struct wr_pool_task){
        .name = "canceled", .run = run_quick, .dropped = note_drop, .user = &canceled, .context = context, .deadline_boot_ns = WR_NEVER_NS};
    assert_int_equal(wr_pool_submit(pool, &task, 0), WR_OK);
    wr_context_cancel(context);
    wr_context_unref(context); /* the task has its own */
    gate.open = true;
    stop_and_free(pool);
    assert_int_equal(late.dropped, 1);
    assert_int_equal(late.why, WR_TIMEOUT);
    assert_int_equal(canceled.dropped, 1);
    assert_int_equal(canceled.why, WR_CANCELED);
    assert_int_equal(late.began + canceled.began, 0);
}

static _Atomic uint64_t seen_trace;

static void note_trace(struct wr_context *context, void *user) {
    (void)user;
    seen_trace = wr_context_trace_id(context);
}

static void a_task_works_under_its_context(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){0});
    struct wr_context *context = NULL;
    assert_int_equal(wr_context_new(wr_pool_context(pool), WR_NEVER_NS, 4711, &context, NULL), WR_OK);
    const struct wr_pool_task task = {.name = "trace", .run = note_trace, .context = context, .deadline_boot_ns = in_s(60)};
    assert_int_equal(wr_pool_submit(pool, &task, 0), WR_OK);
    stop_and_free(pool);
    assert_int_equal(seen_trace, 4711);
    wr_context_unref(context); /* may outlive the pool */
}

/* -- the stop ---------------------------------------------------------------------------------------------------------------------------- */

static void a_stop_drains_first(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_max = 2}, .queue = 64});
    struct job job = {0};
    for (int i = 0; i < 64; i++)
        assert_int_equal(submit(pool, run_quick, &job), WR_OK);
    stop_and_free(pool);
    assert_int_equal(job.ended, 64);
}

static void a_stop_cancels_what_goes_on(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_max = 1}});
    struct job running = {0}, waiting = {0};
    assert_int_equal(submit(pool, run_until_canceled, &running), WR_OK);
    assert_int_equal(submit(pool, run_quick, &waiting), WR_OK);
    wait_for(&running.began, 1);
    assert_int_equal(wr_pool_stop(pool, now() + 10 * WR_NS_PER_MS, in_s(30), NULL), WR_OK);
    assert_int_equal(running.ended, 1);
    assert_int_equal(running.why, WR_CANCELED);
    assert_int_equal(waiting.dropped, 1);
    assert_int_equal(waiting.why, WR_CANCELED);
    assert_int_equal(submit(pool, run_quick, &waiting), WR_CLOSED);
    wr_pool_free(pool);
}

static void a_stop_names_what_does_not_end(void **state) {
    (void)state;
    struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_max = 2, .latency_ns = WR_NS_PER_MS}});
    struct job job = {0};
    struct wr_pool_task task = {.name = "poll plc", .run = run_gated, .user = &job, .deadline_boot_ns = WR_NEVER_NS};
    assert_int_equal(wr_pool_submit(pool, &task, 0), WR_OK);
    task.name = "poll scale";
    assert_int_equal(wr_pool_submit(pool, &task, 0), WR_OK);
    wait_for(&job.began, 2);
    struct wr_error err = {0};
    assert_int_equal(wr_pool_stop(pool, 0, now() + 10 * WR_NS_PER_MS, &err), WR_TIMEOUT);
    assert_non_null(strstr(err.text, "poll plc"));
    assert_non_null(strstr(err.text, "poll scale"));
    job.open = true;
    assert_int_equal(wr_pool_stop(pool, 0, in_s(30), &err), WR_OK); /* asked again */
    assert_int_equal(job.ended, 2);
    wr_pool_free(pool);
}

static void *stop_main(void *user) {
    return wr_pool_stop(user, in_s(30), in_s(30), NULL) == WR_OK ? NULL : user;
}

/* Senders, the watcher and the stop at once: whatever was taken ends once. */
struct crowd {
    struct wr_pool *pool;
    struct job *job;
    uint64_t taken;
};

static void *submit_main(void *user) {
    struct crowd *crowd = user;
    for (enum wr_result result = WR_OK; result != WR_CLOSED;) {
        const struct wr_pool_task task = {
            .name = "job", .run = run_quick, .dropped = note_drop, .user = crowd->job, .deadline_boot_ns = WR_NEVER_NS};
        result = wr_pool_submit(crowd->pool, &task, in_s(30));
        crowd->taken += result == WR_OK;
    }
    return NULL;
}

static void a_stop_under_the_hands_of_senders_loses_nothing(void **state) {
    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        struct job job = {0};
        struct wr_pool *pool = pool_of((struct wr_pool_options){.rules = {.threads_min = round % 2, .linger_ns = 1, .latency_ns = 1000},
                                                                .queue = 2,
                                                                .watch_ns = 20 * WR_NS_PER_US,
                                                                .policy = WR_CHANNEL_BLOCK});
        struct crowd crowd[3];
        pthread_t threads[4];
        for (int i = 0; i < 3; i++) {
            crowd[i] = (struct crowd){.pool = pool, .job = &job};
            assert_int_equal(wr_thread_start(&threads[i], submit_main, &crowd[i], "crowd", NULL), WR_OK);
        }
        wait_for(&job.ended, round);
        assert_int_equal(wr_thread_start(&threads[3], stop_main, pool, "stop", NULL), WR_OK);
        for (int i = 0; i < 4; i++)
            assert_int_equal(wr_thread_join(threads[i], WR_NEVER_NS), WR_OK);
        assert_int_equal(job.ended, crowd[0].taken + crowd[1].taken + crowd[2].taken);
        assert_int_equal(job.dropped, 0);
        assert_int_equal(wr_pool_counters(pool)->submitted, job.ended);
        wr_pool_free(pool);
    }
}

/* -- trouble ----------------------------------------------------------------------------------------------------------------------------- */

static void bad_options_are_refused(void **state) {
    (void)state;
    const struct wr_pool_options bad[] = {
        {.name = "p", .rules = {.threads_max = 0}, .queue = 1},
        {.name = "p", .rules = {.threads_max = WR_POOL_THREADS_MAX + 1}, .queue = 1},
        {.name = "p", .rules = {.threads_min = 3, .threads_max = 2}, .queue = 1},
        {.name = "p", .rules = {.threads_max = 1}, .queue = 0},
        {.name = "p", .rules = {.threads_max = 1}, .queue = 100000},
        {.name = "a-name-too-long", .rules = {.threads_max = 1}, .queue = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wr_pool *pool = NULL;
        struct wr_error err = {0};
        const enum wr_result result = wr_pool_new(&bad[i], &pool, &err);
        assert_true(result == WR_INVALID || result == WR_LIMIT);
        assert_true(err.text[0] != '\0');
        assert_null(pool);
    }
    wr_pool_free(NULL);
}

static void memory_that_runs_out(void **state) {
    (void)state;
    const struct wr_pool_options options = {.name = "test-pool", .rules = {.threads_max = 2}, .queue = 4, .watch_ns = WR_NS_PER_MS};
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_pool *pool = NULL;
        struct wr_error err = {0};
        struct job job = {0};
        unsigned taken = 0;
        wr_failing_allocations(n);
        const enum wr_result made = wr_pool_new(&options, &pool, &err);
        if (made == WR_OK) {
            const struct wr_pool_task task = {
                .name = "job", .run = run_quick, .dropped = note_drop, .user = &job, .deadline_boot_ns = in_s(60)};
            const enum wr_result result = wr_pool_submit(pool, &task, 0);
            assert_true(result == WR_OK || result == WR_NO_MEMORY);
            taken = result == WR_OK;
        } else {
            assert_int_equal(made, WR_NO_MEMORY);
        }
        hit = wr_failing_hit();
        wr_failing_off();
        if (made == WR_OK)
            stop_and_free(pool);
        assert_int_equal(job.ended, taken);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_unused_pool_has_a_watcher_only, begin, end),
        cmocka_unit_test_setup_teardown(tasks_run_and_threads_go_again, begin, end),
        cmocka_unit_test_setup_teardown(the_least_threads_are_there_without_tasks, begin, end),
        cmocka_unit_test_setup_teardown(waiting_tasks_make_it_grow, begin, end),
        cmocka_unit_test_setup_teardown(tasks_start_in_their_order, begin, end),
        cmocka_unit_test_setup_teardown(a_full_queue_answers_by_its_policy, begin, end),
        cmocka_unit_test_setup_teardown(a_task_that_overruns_is_named_while_it_runs, begin, end),
        cmocka_unit_test_setup_teardown(a_task_that_returns_late_is_named, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_too_long_is_dropped, begin, end),
        cmocka_unit_test_setup_teardown(a_task_works_under_its_context, begin, end),
        cmocka_unit_test_setup_teardown(a_stop_drains_first, begin, end),
        cmocka_unit_test_setup_teardown(a_stop_cancels_what_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(a_stop_names_what_does_not_end, begin, end),
        cmocka_unit_test_setup_teardown(a_stop_under_the_hands_of_senders_loses_nothing, begin, end),
        cmocka_unit_test_setup_teardown(bad_options_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(memory_that_runs_out, begin, end),
    };
    return cmocka_run_group_tests_name("core/pool", tests, NULL, NULL);
}
