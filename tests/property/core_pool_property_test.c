/* The pool against a model: with one thread everything is told beforehand; with many, each task ends once. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/pool.h"
#include "core/thread.h"
#include "tests/support/random.h"
#include "tests/support/threads.h"
#include "tests/support/waiting.h"

static int64_t in_s(int64_t s) {
    return wr_clock_boot_ns(wr_clock_real()) + s * WR_NS_PER_S;
}

static void wait_until(const _Atomic uint32_t *value, uint32_t wanted) {
    while (*value != wanted)
        (void)sched_yield();
}

/* -- one thread ------------------------------------------------------------------------------------------------------------------------------ */

#define JOBS 400
#define QUEUE_MAX 4

enum fate { NOTHING, REFUSED, WAITS, RUNS, RAN, CANCELED, PASSED, DISPLACED };

struct job {
    struct wr_context *context;
    _Atomic uint32_t began, open, ended, dropped;
    _Atomic enum wr_result why;
    enum fate fate; /* the model's */
};

static struct job jobs[JOBS];
static int waiting[QUEUE_MAX], n_waiting; /* the model's queue */
static int running;                       /* -1: none */

static void run_job(struct wr_context *context, void *user) {
    struct job *job = user;
    (void)context;
    job->began++;
    while (!job->open)
        (void)sched_yield();
    job->ended++;
}

static void drop_job(void *user, enum wr_result why) {
    struct job *job = user;
    job->why = why;
    job->dropped++;
}

/* The thread takes what is next, passing over what was cancelled. */
static void model_next(void) {
    running = -1;
    while (n_waiting > 0 && running < 0) {
        const int first = waiting[0];
        for (int i = 1; i < n_waiting; i++)
            waiting[i - 1] = waiting[i];
        n_waiting--;
        if (jobs[first].fate != CANCELED)
            running = first;
        else
            jobs[first].fate = PASSED;
    }
    if (running >= 0)
        jobs[running].fate = RUNS;
}

static void model_submit(int job, int capacity, enum wr_channel_policy policy) {
    jobs[job].fate = WAITS;
    if (n_waiting == capacity && policy == WR_CHANNEL_DROP_OLDEST) {
        jobs[waiting[0]].fate = DISPLACED; /* even if it was cancelled: nobody looks */
        for (int i = 1; i < n_waiting; i++)
            waiting[i - 1] = waiting[i];
        waiting[n_waiting - 1] = job;
    } else if (n_waiting == capacity) {
        jobs[job].fate = policy == WR_CHANNEL_DROP_NEWEST ? DISPLACED : REFUSED;
    } else {
        waiting[n_waiting++] = job;
        if (running < 0)
            model_next();
    }
}

static enum wr_result expected_result(const struct job *job, enum wr_channel_policy policy) {
    return job->fate != REFUSED ? WR_OK : policy == WR_CHANNEL_REJECT ? WR_FULL : WR_TIMEOUT;
}

static void compare(void) {
    for (int i = 0; i < JOBS; i++) {
        struct job *job = &jobs[i];
        if (job->fate == RUNS)
            wait_until(&job->began, 1);
        assert_int_equal(job->began, job->fate == RUNS || job->fate == RAN);
        assert_int_equal(job->ended, job->fate == RAN);
        if (job->fate == PASSED)
            wait_until(&job->dropped, 1);
        assert_int_equal(job->dropped, job->fate == DISPLACED || job->fate == PASSED);
    }
}

static void one_thread_does_as_told(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    wr_waiting_watchdog(120);
    const unsigned threads = wr_threads_count();
    for (int round = 0; round < 12; round++) {
        const enum wr_channel_policy policy = (enum wr_channel_policy)(round % 4);
        const int capacity = 1 + (int)wr_random_below(&random, QUEUE_MAX);
        const struct wr_pool_options options = {.name = "test-pool",
                                                .rules = {.threads_max = 1, .threads_min = (unsigned)round % 2, .linger_ns = 1},
                                                .queue = (size_t)capacity,
                                                .policy = policy,
                                                .watch_ns = 50 * WR_NS_PER_US};
        struct wr_pool *pool = NULL;
        assert_int_equal(wr_pool_new(&options, &pool, NULL), WR_OK);
        for (int i = 0; i < JOBS; i++)
            jobs[i] = (struct job){0};
        n_waiting = 0;
        running = -1;
        for (int next = 0; next < JOBS;) {
            struct job *job = &jobs[next];
            const uint64_t what = wr_random_below(&random, 8);
            if (what < 4) {
                assert_int_equal(wr_context_new(wr_pool_context(pool), WR_NEVER_NS, 0, &job->context, NULL), WR_OK);
                const struct wr_pool_task task = {.name = "job",
                                                  .run = run_job,
                                                  .dropped = drop_job,
                                                  .user = job,
                                                  .context = job->context,
                                                  .deadline_boot_ns = wr_random_below(&random, 2) ? in_s(3600) : WR_NEVER_NS};
                model_submit(next++, capacity, policy);
                assert_int_equal(wr_pool_submit(pool, &task, 0), expected_result(job, policy));
            } else if (what < 7 && running >= 0) {
                struct job *now = &jobs[running];
                now->open = 1;
                wait_until(&now->ended, 1);
                now->fate = RAN;
                model_next();
            } else if (what == 7 && n_waiting > 0) {
                struct job *one = &jobs[waiting[wr_random_below(&random, (uint64_t)n_waiting)]];
                wr_context_cancel(one->context);
                one->fate = CANCELED;
            }
            compare();
        }
        if (running >= 0) { /* it is in the way until all contexts have ended; who waits is dropped */
            assert_int_equal(wr_pool_stop(pool, 0, 0, NULL), WR_TIMEOUT);
            jobs[running].open = 1;
        }
        assert_int_equal(wr_pool_stop(pool, 0, in_s(60), NULL), WR_OK);
        for (int i = 0; i < JOBS; i++) {
            struct job *job = &jobs[i];
            assert_int_equal(job->ended, job->fate == RAN || job->fate == RUNS);
            assert_int_equal(job->dropped, job->fate == DISPLACED || job->fate == PASSED || job->fate == CANCELED || job->fate == WAITS);
            if (job->fate == DISPLACED)
                assert_int_equal(job->why, WR_FULL);
            if (job->fate == WAITS || job->fate == CANCELED || job->fate == PASSED)
                assert_int_equal(job->why, WR_CANCELED);
            wr_context_unref(job->context);
        }
        wr_pool_free(pool);
    }
    wr_threads_expect(threads);
}

/* -- many threads --------------------------------------------------------------------------------------------------------------------------- */

#define SENDERS 3
#define TASKS 300

struct crowd_task {
    struct wr_pool *pool;
    struct crowd_task *child; /* a task that this one submits, or NULL */
    uint32_t sleeps_us;
    _Atomic uint32_t taken, ended;
};

static void crowd_drop(void *user, enum wr_result why) {
    struct crowd_task *task = user;
    assert_true(why == WR_FULL || why == WR_CANCELED || why == WR_TIMEOUT || why == WR_CLOSED);
    task->ended++;
}

static void crowd_submit(struct crowd_task *task, int64_t deadline_boot_ns, int64_t wait_boot_ns);

static void crowd_run(struct wr_context *context, void *user) {
    struct crowd_task *task = user;
    if (task->sleeps_us > 0)
        (void)!wr_context_sleep_until(context, wr_clock_boot_ns(wr_clock_real()) + task->sleeps_us * WR_NS_PER_US);
    if (task->child)
        crowd_submit(task->child, WR_NEVER_NS, 0); /* a task must not wait for room */
    task->ended++;
}

static void crowd_submit(struct crowd_task *task, int64_t deadline_boot_ns, int64_t wait_boot_ns) {
    const struct wr_pool_task work = {
        .name = "crowd", .run = crowd_run, .dropped = crowd_drop, .user = task, .deadline_boot_ns = deadline_boot_ns};
    task->taken = wr_pool_submit(task->pool, &work, wait_boot_ns) == WR_OK;
}

struct sender {
    struct wr_pool *pool;
    struct wr_random random;
    struct crowd_task tasks[2 * TASKS];
};

static void *send_all(void *user) {
    struct sender *sender = user;
    for (int i = 0; i < TASKS; i++) {
        struct crowd_task *task = &sender->tasks[i];
        struct crowd_task *child = &sender->tasks[TASKS + i];
        task->pool = child->pool = sender->pool;
        task->child = wr_random_below(&sender->random, 4) == 0 ? child : NULL;
        task->sleeps_us = wr_random_below(&sender->random, 3) == 0 ? (uint32_t)wr_random_below(&sender->random, 300) : 0;
        const int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
        const int64_t deadline_ns =
            wr_random_below(&sender->random, 3) == 0 ? now_ns + (int64_t)wr_random_below(&sender->random, 200) * WR_NS_PER_US : WR_NEVER_NS;
        crowd_submit(task, deadline_ns, wr_random_below(&sender->random, 2) ? in_s(60) : 0);
    }
    return NULL;
}

static void every_task_ends_once(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    wr_waiting_watchdog(120);
    const unsigned threads = wr_threads_count();
    struct sender *senders = calloc(SENDERS, sizeof *senders);
    assert_non_null(senders);
    for (int round = 0; round < 24; round++) {
        struct wr_pool_options options = {.name = "test-pool",
                                          .rules = {.strategy = (enum wr_pool_strategy)(round % 3),
                                                    .threads_min = (unsigned)wr_random_below(&random, 3),
                                                    .latency_ns = 1 + (int64_t)wr_random_below(&random, 1000000),
                                                    .linger_ns = 1 + (int64_t)wr_random_below(&random, 1000000)},
                                          .queue = 1 + wr_random_below(&random, 16),
                                          .policy = (enum wr_channel_policy)(round % 4),
                                          .watch_ns = 1000 + (int64_t)wr_random_below(&random, 1000000)};
        options.rules.threads_max = options.rules.threads_min + 1 + (unsigned)wr_random_below(&random, 6);
        struct wr_pool *pool = NULL;
        pthread_t sending[SENDERS];
        assert_int_equal(wr_pool_new(&options, &pool, NULL), WR_OK);
        for (int i = 0; i < SENDERS; i++) {
            senders[i] = (struct sender){.pool = pool, .random = {wr_random_u64(&random)}};
            assert_int_equal(wr_thread_start(&sending[i], send_all, &senders[i], "sender", NULL), WR_OK);
        }
        if (round % 2) /* under their hands, now and then at once */
            while (wr_pool_counters(pool)->done < wr_random_below(&random, SENDERS * TASKS / 4))
                (void)sched_yield();
        else
            for (int i = 0; i < SENDERS; i++)
                assert_int_equal(wr_thread_join(sending[i], WR_NEVER_NS), WR_OK);
        assert_int_equal(wr_pool_stop(pool, wr_random_below(&random, 2) ? 0 : in_s(60), in_s(60), NULL), WR_OK);
        for (int i = 0; i < SENDERS && round % 2; i++)
            assert_int_equal(wr_thread_join(sending[i], WR_NEVER_NS), WR_OK);
        uint64_t taken = 0;
        for (int i = 0; i < SENDERS; i++)
            for (int j = 0; j < 2 * TASKS; j++) {
                assert_int_equal(senders[i].tasks[j].ended, senders[i].tasks[j].taken);
                taken += senders[i].tasks[j].taken;
            }
        const struct wr_pool_counters *counters = wr_pool_counters(pool);
        assert_int_equal(counters->submitted, taken);
        assert_int_equal(counters->done + counters->dropped, taken);
        assert_int_equal(counters->threads + counters->busy, 0);
        wr_pool_free(pool);
    }
    free(senders);
    wr_threads_expect(threads);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_does_as_told),
        cmocka_unit_test(every_task_ends_once),
    };
    return cmocka_run_group_tests_name("core/pool, at random", tests, NULL, NULL);
}
