#include "core/context.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/park.h"

/* A child hangs in its parent's list of watches like everybody else who wants to know: cancelling walks the list, and the child's watch
 * cancels the child.
 *
 * Only the cancelling thread takes watches out to call them, one at a time and without the lock; `calling` names the one whose function
 * may be running, and unwatch waits until it has returned: then the watch is its owner's alone. */
struct wr_context {
    _Atomic uint32_t references;
    _Atomic uint32_t canceled; /* 0 or 1; the word that wr_context_sleep_until parks on is the sleeper's own */
    struct wr_context *parent;
    const struct wr_clock *clock; /* of the root */
    int64_t deadline_boot_ns;
    uint64_t trace_id;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t called;
    struct wr_context_watch *watches;
    const struct wr_context_watch *calling;
    struct wr_context_watch up; /* in the parent's list */
    bool watches_parent;
};

static void parent_ended(void *user) {
    wr_context_cancel(user);
}

enum wr_result wr_context_new_on(const struct wr_clock *clock, int64_t deadline_boot_ns, uint64_t trace_id, struct wr_context **ret_context,
                                 struct wr_error *err) {
    struct wr_context *context = calloc(1, sizeof *context);
    if (!context)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a context");
    atomic_init(&context->references, 1);
    atomic_init(&context->canceled, 0);
    (void)pthread_mutex_init(&context->mutex, NULL); /* neither can fail with default attributes */
    (void)pthread_cond_init(&context->called, NULL);
    context->clock = clock;
    context->deadline_boot_ns = deadline_boot_ns;
    context->trace_id = trace_id;
    *ret_context = context;
    return WR_OK;
}

enum wr_result wr_context_new(struct wr_context *parent, int64_t deadline_boot_ns, uint64_t trace_id, struct wr_context **ret_context,
                              struct wr_error *err) {
    struct wr_context *context = NULL;
    const enum wr_result result = wr_context_new_on(parent ? parent->clock : wr_clock_real(), deadline_boot_ns, trace_id, &context, err);
    if (!context)
        return result;
    if (parent) {
        if (parent->deadline_boot_ns < deadline_boot_ns)
            context->deadline_boot_ns = parent->deadline_boot_ns;
        if (trace_id == 0)
            context->trace_id = parent->trace_id;
        context->parent = wr_context_ref(parent);
        context->up = (struct wr_context_watch){.ended = parent_ended, .user = context};
        context->watches_parent = wr_context_watch(parent, &context->up) == WR_OK;
        if (!context->watches_parent)
            atomic_store(&context->canceled, 1);
    }
    *ret_context = context;
    return WR_OK;
}

struct wr_context *wr_context_ref(struct wr_context *context) {
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void wr_context_unref(struct wr_context *context) {
    /* A loop, not a recursion: giving up the last child of a long chain frees the whole chain. */
    while (context && atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1) {
        struct wr_context *parent = context->parent;
        if (context->watches_parent)
            wr_context_unwatch(parent, &context->up);
        assert(!context->watches); /* a watch must not outlive the reference it was made with */
        (void)pthread_cond_destroy(&context->called);
        (void)pthread_mutex_destroy(&context->mutex);
        free(context);
        context = parent;
    }
}

static void link_watch(struct wr_context *context, struct wr_context_watch *watch) {
    watch->next = context->watches;
    watch->link = &context->watches;
    if (watch->next)
        watch->next->link = &watch->next;
    context->watches = watch;
}

static void unlink_watch(struct wr_context_watch *watch) {
    *watch->link = watch->next;
    if (watch->next)
        watch->next->link = watch->link;
    watch->next = NULL;
    watch->link = NULL;
}

void wr_context_cancel(struct wr_context *context) {
    (void)pthread_mutex_lock(&context->mutex);
    if (atomic_load(&context->canceled)) {
        (void)pthread_mutex_unlock(&context->mutex);
        return;
    }
    atomic_store(&context->canceled, 1); /* from here on nobody adds a watch */
    while (context->watches) {
        struct wr_context_watch *watch = context->watches;
        unlink_watch(watch);
        context->calling = watch;
        (void)pthread_mutex_unlock(&context->mutex);
        watch->ended(watch->user);
        (void)pthread_mutex_lock(&context->mutex);
        context->calling = NULL;
        (void)pthread_cond_broadcast(&context->called);
    }
    (void)pthread_mutex_unlock(&context->mutex);
}

/* Looks up the tree too: between the parent's cancel and the call of this context's watch the answer must already be the parent's. */
static bool is_canceled(const struct wr_context *context) {
    for (; context; context = context->parent)
        if (atomic_load_explicit(&context->canceled, memory_order_acquire))
            return true;
    return false;
}

enum wr_result wr_context_state(struct wr_context *context) {
    if (!context)
        return WR_OK;
    if (is_canceled(context))
        return WR_CANCELED;
    if (context->deadline_boot_ns != WR_NEVER_NS && wr_clock_boot_ns(context->clock) >= context->deadline_boot_ns)
        return WR_TIMEOUT;
    return WR_OK;
}

int64_t wr_context_deadline(const struct wr_context *context) {
    return context ? context->deadline_boot_ns : WR_NEVER_NS;
}

uint64_t wr_context_trace_id(const struct wr_context *context) {
    return context ? context->trace_id : 0;
}

static void wake_sleeper(void *user) {
    _Atomic uint32_t *ended = user;
    atomic_store_explicit(ended, 1, memory_order_release);
    wr_unpark(ended);
}

enum wr_result wr_context_sleep_until(struct wr_context *context, int64_t deadline_boot_ns) {
    _Atomic uint32_t ended = 0;
    struct wr_context_watch watch = {.ended = wake_sleeper, .user = &ended};
    if (context && wr_context_watch(context, &watch) != WR_OK)
        return WR_CANCELED;
    const int64_t own_ns = wr_context_deadline(context);
    const int64_t until_ns = own_ns < deadline_boot_ns ? own_ns : deadline_boot_ns;
    while (wr_park(&ended, 0, until_ns) && !atomic_load_explicit(&ended, memory_order_acquire))
        continue;
    if (context)
        wr_context_unwatch(context, &watch);
    return wr_context_state(context);
}

enum wr_result wr_context_watch(struct wr_context *context, struct wr_context_watch *watch) {
    (void)pthread_mutex_lock(&context->mutex);
    const bool canceled = is_canceled(context);
    if (!canceled)
        link_watch(context, watch);
    (void)pthread_mutex_unlock(&context->mutex);
    return canceled ? WR_CANCELED : WR_OK;
}

void wr_context_unwatch(struct wr_context *context, struct wr_context_watch *watch) {
    (void)pthread_mutex_lock(&context->mutex);
    if (watch->link)
        unlink_watch(watch);
    while (context->calling == watch)
        (void)pthread_cond_wait(&context->called, &context->mutex);
    (void)pthread_mutex_unlock(&context->mutex);
}
