#include "core/pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/park.h"
#include "core/pool_private.h"
#include "core/thread.h"

#define NAME_MAX_BYTES 12 /* with "-63" behind it a thread's name */

static int64_t now_ns(void) {
    return wr_clock_boot_ns(wr_clock_real());
}

/* -- tasks ------------------------------------------------------------------------------------------------------------------------------- */

static void end_task(struct wr_pool *pool, const struct wr_pool_item *item) {
    wr_context_unref(item->task.context);
    atomic_fetch_sub(&pool->unfinished, 1);
}

void wr_pool_drop(struct wr_pool *pool, const struct wr_pool_item *item, enum wr_result why) {
    atomic_fetch_add_explicit(&pool->counters.dropped, 1, memory_order_relaxed);
    if (item->task.dropped)
        item->task.dropped(item->task.user, why);
    end_task(pool, item);
}

/* By the queue's policy, from the thread that submits. */
static void drop_by_policy(void *element, void *user) {
    wr_pool_drop(user, element, WR_FULL);
}

void wr_pool_report(struct wr_pool *pool, const char *task, int64_t over_ns) {
    atomic_fetch_add_explicit(&pool->counters.overruns, 1, memory_order_relaxed);
    if (pool->options.overrun)
        pool->options.overrun(pool->options.user, task, over_ns);
}

void wr_pool_ring(struct wr_pool *pool, enum wr_pool_bell from) {
    if (atomic_load(&pool->bell) >= from && atomic_exchange(&pool->bell, WR_POOL_AWAKE) != WR_POOL_AWAKE)
        wr_unpark(&pool->bell);
}

/* A context of the task's own, so that its deadline reaches whatever it calls. */
static enum wr_result give_context(struct wr_pool *pool, struct wr_pool_task *task) {
    struct wr_context *parent = task->context ? task->context : pool->context;
    if (task->deadline_boot_ns != WR_NEVER_NS)
        return wr_context_new(parent, task->deadline_boot_ns, 0, &task->context, NULL);
    task->context = wr_context_ref(parent);
    return WR_OK;
}

enum wr_result wr_pool_submit(struct wr_pool *pool, const struct wr_pool_task *task, int64_t wait_boot_ns) {
    struct wr_pool_item item = {.task = *task, .queued_boot_ns = now_ns()};
    enum wr_result result = give_context(pool, &item.task);
    if (result == WR_OK) {
        atomic_fetch_add(&pool->unfinished, 1); /* P1 */
        result = wr_channel_send(pool->queue, &item, wait_boot_ns);
        if (result != WR_OK)
            end_task(pool, &item);
    }
    atomic_fetch_add_explicit(result == WR_OK ? &pool->counters.submitted : &pool->counters.refused, 1, memory_order_relaxed);
    if (result == WR_OK) { /* P2; a watcher that only rests has seen to the threads, unless there is none */
        const bool nobody = atomic_load(&pool->counters.threads) == 0;
        wr_pool_ring(pool, nobody ? WR_POOL_RESTS : WR_POOL_SLEEPS);
    }
    return result;
}

/* -- the workers ------------------------------------------------------------------------------------------------------------------------- */

static void note_wait(struct wr_pool *pool, int64_t wait_ns) {
    wr_histogram_add(&pool->counters.wait, wait_ns);
    const uint64_t wait = wait_ns > 0 ? (uint64_t)wait_ns : 0;
    uint64_t max = atomic_load_explicit(&pool->max_wait_ns, memory_order_relaxed);
    while (wait > max && !atomic_compare_exchange_weak_explicit(&pool->max_wait_ns, &max, wait, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void begin(struct wr_pool_worker *worker, const struct wr_pool_task *task) {
    struct wr_pool *pool = worker->pool;
    (void)pthread_mutex_lock(&pool->mutex);
    (void)snprintf(worker->task, sizeof worker->task, "%s", task->name);
    worker->deadline_boot_ns = task->deadline_boot_ns;
    worker->reported = false;
    worker->busy = true;
    (void)pthread_mutex_unlock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->counters.busy, 1, memory_order_relaxed);
}

/* Nothing of the task may be touched but what was copied: its owner may know already that it has ended. */
static void finish(struct wr_pool_worker *worker, int64_t began_ns) {
    struct wr_pool *pool = worker->pool;
    const int64_t ended_ns = now_ns();
    wr_histogram_add(&pool->counters.run, ended_ns - began_ns);
    (void)pthread_mutex_lock(&pool->mutex);
    const bool late = !worker->reported && ended_ns > worker->deadline_boot_ns;
    const int64_t over_ns = ended_ns - worker->deadline_boot_ns;
    worker->reported = true;
    worker->busy = false;
    (void)pthread_mutex_unlock(&pool->mutex);
    if (late)
        wr_pool_report(pool, worker->task, over_ns);
    atomic_fetch_sub_explicit(&pool->counters.busy, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->counters.done, 1, memory_order_relaxed);
}

static void run_item(struct wr_pool_worker *worker, struct wr_pool_item *item) {
    struct wr_pool *pool = worker->pool;
    const int64_t began_ns = now_ns();
    note_wait(pool, began_ns - item->queued_boot_ns);
    const enum wr_result state = wr_context_state(item->task.context);
    if (state != WR_OK) {
        wr_pool_drop(pool, item, state);
        return;
    }
    begin(worker, &item->task);
    item->task.run(item->task.context, item->task.user);
    finish(worker, began_ns);
    end_task(pool, item);
}

void *wr_pool_work(void *user) {
    struct wr_pool_worker *worker = user;
    struct wr_pool *pool = worker->pool;
    char name[WR_POOL_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%.*s-%u", NAME_MAX_BYTES, pool->options.name, worker->number);
    wr_thread_name(name);
    uint32_t end = WR_POOL_ALIVE;
    while (end == WR_POOL_ALIVE) {
        struct wr_pool_item item;
        char told = 0;
        struct wr_channel_case cases[] = {{.channel = pool->queue, .direction = WR_CHANNEL_RECV, .element = &item},
                                          {.channel = pool->leave, .direction = WR_CHANNEL_RECV, .element = &told}};
        size_t which = 0;
        const enum wr_result result = wr_channel_select(cases, 2, NULL, WR_NEVER_NS, &which); /* the queue comes first */
        assert(result == WR_OK);
        (void)result;
        if (which == 1)
            end = WR_POOL_WENT;
        else if (cases[0].result == WR_OK)
            run_item(worker, &item);
        else
            end = WR_POOL_ENDED;
    }
    atomic_store(&worker->state, end);
    wr_pool_ring(pool, WR_POOL_RESTS);
    return NULL;
}

/* -- life -------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result options_check(const struct wr_pool_options *options, struct wr_error *err) {
    const struct wr_pool_rules *rules = &options->rules;
    if (strlen(options->name) > NAME_MAX_BYTES)
        return wr_error_set(err, WR_LIMIT, "%s: a pool's name has at most %d characters", options->name, NAME_MAX_BYTES);
    if (rules->threads_max == 0 || rules->threads_max > WR_POOL_THREADS_MAX || rules->threads_min > rules->threads_max)
        return wr_error_set(err, WR_INVALID, "%s: %u to %u threads: at least one, at most %d, and the least not above the most",
                            options->name, rules->threads_min, rules->threads_max, WR_POOL_THREADS_MAX);
    if (options->queue == 0)
        return wr_error_set(err, WR_INVALID, "%s: a pool needs a queue", options->name);
    return WR_OK;
}

static enum wr_result make_channels(struct wr_pool *pool, struct wr_error *err) {
    const struct wr_channel_options queue = {.name = pool->options.name,
                                             .capacity = pool->options.queue,
                                             .element_bytes = sizeof(struct wr_pool_item),
                                             .policy = pool->options.policy,
                                             .drop = drop_by_policy,
                                             .user = pool};
    const struct wr_channel_options leave = {
        .name = "leave", .capacity = pool->options.rules.threads_max, .element_bytes = 1, .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_channel_new(&queue, &pool->queue, err));
    WR_TRY(wr_channel_new(&leave, &pool->leave, err));
    WR_TRY(wr_context_new(NULL, WR_NEVER_NS, 0, &pool->context, err));
    WR_TRY(wr_thread_start(&pool->watcher, wr_pool_watch, pool, pool->options.name, err));
    pool->watched = true;
    return WR_OK;
}

static size_t bytes_of(const struct wr_pool_options *options) {
    return sizeof(struct wr_pool) + options->rules.threads_max * sizeof(struct wr_pool_worker);
}

size_t wr_pool_bytes(const struct wr_pool_options *options) {
    /* The channels with their rings, and a context for each task that may be there. */
    const size_t tasks = options->queue + options->rules.threads_max;
    return bytes_of(options) + options->queue * sizeof(struct wr_pool_item) + tasks * 256 + 4096;
}

enum wr_result wr_pool_new(const struct wr_pool_options *options, struct wr_pool **ret_pool, struct wr_error *err) {
    WR_TRY(options_check(options, err));
    struct wr_pool *pool = calloc(1, bytes_of(options));
    if (!pool)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a pool of %u threads", options->rules.threads_max);
    pool->options = *options;
    if (pool->options.watch_ns == 0)
        pool->options.watch_ns = WR_POOL_WATCH_NS;
    (void)pthread_mutex_init(&pool->mutex, NULL); /* with default attributes it cannot fail */
    for (unsigned i = 0; i < options->rules.threads_max; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].number = i;
    }
    const enum wr_result result = make_channels(pool, err);
    if (result != WR_OK) {
        wr_pool_free(pool);
        return result;
    }
    *ret_pool = pool;
    return WR_OK;
}

struct wr_context *wr_pool_context(struct wr_pool *pool) {
    return pool->context;
}

const struct wr_pool_counters *wr_pool_counters(const struct wr_pool *pool) {
    return &pool->counters;
}

size_t wr_pool_queued(const struct wr_pool *pool) {
    struct wr_channel_stats stats;
    wr_channel_stats(pool->queue, &stats);
    return stats.depth;
}

/* -- the stop ---------------------------------------------------------------------------------------------------------------------------- */

/* Joins the workers that end in time; returns how many do not. */
static unsigned join_workers(struct wr_pool *pool, int64_t deadline_boot_ns) {
    unsigned left = 0;
    for (unsigned i = 0; i < pool->options.rules.threads_max; i++) {
        struct wr_pool_worker *worker = &pool->workers[i];
        if (atomic_load(&worker->state) == WR_POOL_FREE)
            continue;
        if (wr_thread_join(worker->thread, deadline_boot_ns) == WR_OK) {
            atomic_store(&worker->state, WR_POOL_FREE);
            atomic_fetch_sub_explicit(&pool->counters.threads, 1, memory_order_relaxed);
            pool->alive--;
        } else {
            left++;
        }
    }
    return left;
}

/* "poll plc, poll scale": what the threads that are left are at. */
static enum wr_result name_the_stuck(struct wr_pool *pool, struct wr_error *err) {
    char names[WR_ERROR_TEXT_BYTES / 2] = "";
    size_t at = 0;
    for (unsigned i = 0; i < pool->options.rules.threads_max && at < sizeof names; i++) {
        struct wr_pool_worker *worker = &pool->workers[i];
        if (atomic_load(&worker->state) == WR_POOL_FREE)
            continue;
        (void)pthread_mutex_lock(&pool->mutex);
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at > 0 ? ", " : "", worker->busy ? worker->task : "(ending)");
        (void)pthread_mutex_unlock(&pool->mutex);
    }
    return wr_error_set(err, WR_TIMEOUT, "%s: did not stop in time: %s", pool->options.name, names);
}

enum wr_result wr_pool_stop(struct wr_pool *pool, int64_t drain_boot_ns, int64_t deadline_boot_ns, struct wr_error *err) {
    wr_channel_close(pool->queue); /* P4 */
    atomic_store(&pool->stopping, true);
    wr_pool_ring(pool, WR_POOL_RESTS);                                               /* P5 */
    if (pool->watched && wr_thread_join(pool->watcher, deadline_boot_ns) != WR_OK) { /* P6 */
        wr_context_cancel(pool->context);
        return wr_error_set(err, WR_TIMEOUT, "%s: its watcher did not stop in time", pool->options.name);
    }
    pool->watched = false;
    unsigned left = join_workers(pool, drain_boot_ns < deadline_boot_ns ? drain_boot_ns : deadline_boot_ns);
    wr_context_cancel(pool->context); /* P9 */
    if (left > 0)
        left = join_workers(pool, deadline_boot_ns);
    if (left > 0)
        return name_the_stuck(pool, err);
    struct wr_pool_item item;
    while (wr_channel_try_recv(pool->queue, &item) == WR_OK) /* P10 */
        wr_pool_drop(pool, &item, WR_CLOSED);
    return WR_OK;
}

void wr_pool_free(struct wr_pool *pool) {
    if (!pool)
        return;
    assert(!pool->watched && pool->alive == 0);
    wr_channel_free(pool->queue);
    wr_channel_free(pool->leave);
    wr_context_unref(pool->context);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
