#include "core/scheduler_loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/park.h"
#include "core/thread.h"

struct wr_scheduler_loop {
    struct wr_pool *pool;
    char name[16];
    pthread_t thread;
    _Atomic uint32_t bell; /* one more with each change that the thread must see; what it parks on */
    _Atomic uint64_t runs;
    _Atomic uint64_t missed;
    pthread_mutex_t mutex; /* guards what follows, and `removing` of the tasks */
    struct wr_scheduler scheduler;
    bool stopping;
};

static void ring(struct wr_scheduler_loop *loop) {
    atomic_fetch_add(&loop->bell, 1);
    wr_unpark(&loop->bell);
}

static struct wr_scheduler_task *task_of(struct wr_scheduler_entry *entry) {
    return (struct wr_scheduler_task *)((char *)entry - offsetof(struct wr_scheduler_task, entry));
}

/* The run has ended, or never began. `running` is cleared under the lock, before the loop can hand the task over again and set it anew; from there
 * on the task may be gone, and is but an address. */
static void end_run(struct wr_scheduler_task *task, bool ran) {
    struct wr_scheduler_loop *loop = task->loop;
    (void)pthread_mutex_lock(&loop->mutex);
    if (!task->removing && ran)
        wr_scheduler_done(&loop->scheduler, &task->entry);
    else if (!task->removing)
        wr_scheduler_put_off(&loop->scheduler, &task->entry,
                             wr_clock_add_ns(wr_clock_boot_ns(loop->scheduler.clock), WR_SCHEDULER_LOOP_RETRY_NS));
    ring(loop);
    atomic_store_explicit(&task->running, 0, memory_order_release);
    (void)pthread_mutex_unlock(&loop->mutex);
    wr_unpark(&task->running);
}

static void run_on_pool(struct wr_context *context, void *user) {
    struct wr_scheduler_task *task = user;
    atomic_fetch_add_explicit(&task->loop->runs, 1, memory_order_relaxed);
    task->run(context, task->user);
    end_run(task, true);
}

static void dropped_by_pool(void *user, enum wr_result why) {
    (void)why; /* it is tried again, or it is being removed */
    end_run(user, false);
}

/* Without the lock: the pool may drop the task at once. */
static void hand_over(struct wr_scheduler_loop *loop, struct wr_scheduler_task *task) {
    const struct wr_pool_task work = {.name = task->plan.name,
                                      .run = run_on_pool,
                                      .dropped = dropped_by_pool,
                                      .user = task,
                                      .context = task->context,
                                      .deadline_boot_ns = task->timeout_ns > 0
                                                              ? wr_clock_add_ns(wr_clock_boot_ns(loop->scheduler.clock), task->timeout_ns)
                                                              : WR_NEVER_NS};
    if (wr_pool_submit(loop->pool, &work, 0) != WR_OK)
        end_run(task, false);
}

static void *loop_main(void *user) {
    struct wr_scheduler_loop *loop = user;
    wr_thread_name(loop->name);
    (void)pthread_mutex_lock(&loop->mutex);
    while (!loop->stopping) {
        struct wr_scheduler_entry *entry = wr_scheduler_take(&loop->scheduler, wr_clock_boot_ns(loop->scheduler.clock));
        atomic_store_explicit(&loop->missed, loop->scheduler.missed, memory_order_relaxed);
        const int64_t next_ns = wr_scheduler_next(&loop->scheduler);
        const uint32_t bell = atomic_load(&loop->bell);
        if (entry) {
            struct wr_scheduler_task *task = task_of(entry);
            atomic_store(&task->running, 1);
            (void)pthread_mutex_unlock(&loop->mutex);
            hand_over(loop, task);
        } else {
            (void)pthread_mutex_unlock(&loop->mutex);
            (void)wr_park(&loop->bell, bell, next_ns); /* whatever woke it: look again */
        }
        (void)pthread_mutex_lock(&loop->mutex);
    }
    (void)pthread_mutex_unlock(&loop->mutex);
    return NULL;
}

enum wr_result wr_scheduler_loop_new(const char *name, struct wr_pool *pool, struct wr_scheduler_loop **ret_loop, struct wr_error *err) {
    struct wr_scheduler_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a scheduler");
    loop->pool = pool;
    (void)snprintf(loop->name, sizeof loop->name, "%s", name);
    (void)pthread_mutex_init(&loop->mutex, NULL); /* with default attributes it cannot fail */
    wr_scheduler_init(&loop->scheduler, wr_clock_real());
    const enum wr_result result = wr_thread_start(&loop->thread, loop_main, loop, name, err);
    if (result != WR_OK) {
        loop->stopping = true;
        wr_scheduler_loop_free(loop);
        return result;
    }
    *ret_loop = loop;
    return WR_OK;
}

enum wr_result wr_scheduler_loop_add(struct wr_scheduler_loop *loop, struct wr_scheduler_task *task, struct wr_error *err) {
    const int64_t now_ns = wr_clock_boot_ns(loop->scheduler.clock);
    WR_TRY(wr_context_new(wr_pool_context(loop->pool), WR_NEVER_NS, 0, &task->context, err));
    task->entry = (struct wr_scheduler_entry){.plan = task->plan};
    if (task->entry.plan.first_boot_ns < now_ns)
        task->entry.plan.first_boot_ns = now_ns;
    atomic_store(&task->running, 0);
    task->removing = false;
    task->loop = loop;
    (void)pthread_mutex_lock(&loop->mutex);
    enum wr_result result = loop->stopping ? wr_error_set(err, WR_CLOSED, "%s: the scheduler is stopped", task->plan.name)
                                           : wr_scheduler_add(&loop->scheduler, &task->entry, err);
    if (result == WR_OK)
        ring(loop);
    (void)pthread_mutex_unlock(&loop->mutex);
    if (result != WR_OK) {
        wr_context_unref(task->context);
        task->context = NULL;
        task->loop = NULL;
    }
    return result;
}

enum wr_result wr_scheduler_loop_remove(struct wr_scheduler_task *task, int64_t deadline_boot_ns) {
    struct wr_scheduler_loop *loop = task->loop;
    if (!loop)
        return WR_OK;
    (void)pthread_mutex_lock(&loop->mutex);
    if (!task->removing) {
        task->removing = true;
        wr_scheduler_remove(&loop->scheduler, &task->entry);
    }
    (void)pthread_mutex_unlock(&loop->mutex);
    wr_context_cancel(task->context);
    bool in_time = true;
    while (atomic_load_explicit(&task->running, memory_order_acquire) == 1) {
        if (!in_time)
            return WR_TIMEOUT;
        in_time = wr_park(&task->running, 1, deadline_boot_ns);
    }
    wr_context_unref(task->context);
    task->context = NULL;
    task->loop = NULL;
    return WR_OK;
}

uint64_t wr_scheduler_loop_runs(const struct wr_scheduler_loop *loop) {
    return atomic_load_explicit(&loop->runs, memory_order_relaxed);
}

uint64_t wr_scheduler_loop_missed(const struct wr_scheduler_loop *loop) {
    return atomic_load_explicit(&loop->missed, memory_order_relaxed);
}

enum wr_result wr_scheduler_loop_stop(struct wr_scheduler_loop *loop, int64_t deadline_boot_ns) {
    (void)pthread_mutex_lock(&loop->mutex);
    loop->stopping = true;
    ring(loop);
    (void)pthread_mutex_unlock(&loop->mutex);
    return wr_thread_join(loop->thread, deadline_boot_ns);
}

void wr_scheduler_loop_free(struct wr_scheduler_loop *loop) {
    if (!loop)
        return;
    assert(loop->stopping);
    wr_scheduler_fini(&loop->scheduler);
    (void)pthread_mutex_destroy(&loop->mutex);
    free(loop);
}
