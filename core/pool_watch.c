/* The pool's watcher: how many threads there should be, who starts and joins them, and who runs past its deadline. */
#include <string.h>

#include "core/clock.h"
#include "core/park.h"
#include "core/pool_private.h"
#include "core/thread.h"

/* Joins the workers that went: they have nothing more to do than to return. */
static void collect(struct wr_pool *pool) {
    for (unsigned i = 0; i < pool->options.rules.threads_max; i++) {
        struct wr_pool_worker *worker = &pool->workers[i];
        if (atomic_load(&worker->state) != WR_POOL_WENT)
            continue;
        (void)!wr_thread_join(worker->thread, WR_NEVER_NS);
        atomic_store(&worker->state, WR_POOL_FREE);
        atomic_fetch_sub_explicit(&pool->counters.threads, 1, memory_order_relaxed);
        pool->alive--;
        pool->leaving--;
    }
}

static bool someone_went(const struct wr_pool *pool) {
    for (unsigned i = 0; i < pool->options.rules.threads_max; i++)
        if (atomic_load(&pool->workers[i].state) == WR_POOL_WENT)
            return true;
    return false;
}

static bool start_worker(struct wr_pool *pool) {
    unsigned i = 0;
    while (i < pool->options.rules.threads_max && atomic_load(&pool->workers[i].state) != WR_POOL_FREE)
        i++;
    if (i == pool->options.rules.threads_max)
        return false;
    struct wr_pool_worker *worker = &pool->workers[i];
    atomic_store(&worker->state, WR_POOL_ALIVE);
    atomic_fetch_add_explicit(&pool->counters.threads, 1, memory_order_relaxed);
    if (wr_thread_start(&worker->thread, wr_pool_work, worker, pool->options.name, NULL) != WR_OK) {
        atomic_store(&worker->state, WR_POOL_FREE);
        atomic_fetch_sub_explicit(&pool->counters.threads, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pool->counters.threads_failed, 1, memory_order_relaxed);
        return false;
    }
    atomic_fetch_add_explicit(&pool->counters.threads_started, 1, memory_order_relaxed);
    pool->alive++;
    return true;
}

/* Who was told to go but has not heard it yet may stay. */
static bool call_back(struct wr_pool *pool) {
    char told;
    if (pool->leaving == 0 || wr_channel_try_recv(pool->leave, &told) != WR_OK)
        return false;
    pool->leaving--;
    return true;
}

static bool send_away(struct wr_pool *pool) {
    const char told = 1;
    if (wr_channel_try_send(pool->leave, &told) != WR_OK)
        return false;
    pool->leaving++;
    return true;
}

static void resize(struct wr_pool *pool, unsigned wanted) {
    bool changed = true;
    while (changed && pool->alive - pool->leaving < wanted)
        changed = call_back(pool) || start_worker(pool);
    while (changed && pool->alive - pool->leaving > wanted)
        changed = send_away(pool);
}

static void report_overruns(struct wr_pool *pool, int64_t now_ns) {
    for (unsigned i = 0; i < pool->options.rules.threads_max; i++) {
        struct wr_pool_worker *worker = &pool->workers[i];
        char task[WR_POOL_TASK_BYTES];
        (void)pthread_mutex_lock(&pool->mutex);
        const bool late = worker->busy && !worker->reported && now_ns > worker->deadline_boot_ns;
        const int64_t over_ns = now_ns - worker->deadline_boot_ns;
        if (late) {
            worker->reported = true;
            memcpy(task, worker->task, sizeof task);
        }
        (void)pthread_mutex_unlock(&pool->mutex);
        if (late)
            wr_pool_report(pool, task, over_ns);
    }
}

/* A channel does not tell how long its oldest element waits. But if none was taken since an earlier look that found some, the oldest waits
 * at least since then. */
static struct wr_pool_load measure(struct wr_pool *pool, int64_t now_ns) {
    struct wr_channel_stats queue;
    wr_channel_stats(pool->queue, &queue);
    pool->queue_was_empty = queue.depth == 0;
    if (queue.depth == 0 || queue.received != pool->received_before)
        pool->stalled_since_ns = now_ns;
    pool->received_before = queue.received;
    struct wr_pool_load load = {.threads = pool->alive - pool->leaving,
                                .busy = (unsigned)atomic_load_explicit(&pool->counters.busy, memory_order_relaxed),
                                .queued = queue.depth,
                                .capacity = pool->options.queue,
                                .wait_ns = (int64_t)atomic_exchange(&pool->max_wait_ns, 0)};
    if (now_ns - pool->stalled_since_ns > load.wait_ns)
        load.wait_ns = now_ns - pool->stalled_since_ns;
    const bool low = wr_pool_pressure(&pool->options.rules, &load) < WR_POOL_LOW;
    if (!low)
        pool->low_since_ns = 0;
    else if (pool->low_since_ns == 0)
        pool->low_since_ns = now_ns;
    load.low_ns = low ? now_ns - pool->low_since_ns : 0;
    return load;
}

/* True: there is nothing to watch until somebody rings. */
static bool look(struct wr_pool *pool, int64_t now_ns) {
    collect(pool);
    report_overruns(pool, now_ns);
    const struct wr_pool_load load = measure(pool, now_ns);
    resize(pool, wr_pool_size(&pool->options.rules, &load));
    return pool->alive == pool->options.rules.threads_min && pool->leaving == 0 && atomic_load(&pool->unfinished) == 0;
}

/* A task came into the queue between the last look, which found it on its way only, and now: nobody would run it before the next look. (Where
 * the last look found it there and could start no thread, it waits for the next: else this would go round and round.) */
static bool nobody_for_a_task(struct wr_pool *pool) {
    struct wr_channel_stats queue;
    if (pool->alive > 0 || !pool->queue_was_empty)
        return false;
    wr_channel_stats(pool->queue, &queue);
    return queue.depth > 0;
}

static void rest(struct wr_pool *pool, bool sleeps, int64_t until_ns) {
    const uint32_t bell = sleeps ? WR_POOL_SLEEPS : WR_POOL_RESTS;
    atomic_store(&pool->bell, bell);
    const bool look_again = atomic_load(&pool->stopping) || someone_went(pool) || nobody_for_a_task(pool) ||
                            (sleeps && atomic_load(&pool->unfinished) > 0); /* P3 */
    while (!look_again && atomic_load(&pool->bell) == bell && wr_park(&pool->bell, bell, sleeps ? WR_NEVER_NS : until_ns))
        continue;
    atomic_store(&pool->bell, WR_POOL_AWAKE);
}

/* From here on no task comes. Those that are there have a worker afterwards, unless there is no memory for one. */
static void last_look(struct wr_pool *pool) {
    while (call_back(pool))
        continue;
    for (collect(pool); pool->leaving > 0; collect(pool)) { /* P7 */
        atomic_store(&pool->bell, WR_POOL_RESTS);
        if (!someone_went(pool))
            (void)wr_park(&pool->bell, WR_POOL_RESTS, wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), pool->options.watch_ns));
    }
    if (pool->alive == 0 && wr_pool_queued(pool) > 0) /* P8 */
        (void)start_worker(pool);
}

void *wr_pool_watch(void *user) {
    struct wr_pool *pool = user;
    wr_thread_name(pool->options.name);
    while (!atomic_load(&pool->stopping)) {
        const int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
        const bool sleeps = look(pool, now_ns);
        rest(pool, sleeps, wr_clock_add_ns(now_ns, pool->options.watch_ns));
    }
    last_look(pool);
    return NULL;
}
