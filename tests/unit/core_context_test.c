/* The context: the tree, deadlines, cancelling, watches, sleeping. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/context.h"
#include "tests/support/failing.h"
#include "tests/support/waiting.h"

static struct wr_context *context_of(struct wr_context *parent, int64_t deadline_boot_ns, uint64_t trace_id) {
    struct wr_context *context = NULL;
    assert_int_equal(wr_context_new(parent, deadline_boot_ns, trace_id, &context, NULL), WR_OK);
    return context;
}

static int64_t now(void) {
    return wr_clock_boot_ns(wr_clock_real());
}

static void deadlines_and_traces_go_down(void **state) {
    (void)state;
    const int64_t far_ns = now() + 3600 * WR_NS_PER_S;
    struct wr_context *root = context_of(NULL, far_ns, 7);
    struct wr_context *later = context_of(root, far_ns + 1, 0);
    struct wr_context *earlier = context_of(root, far_ns - 1, 8);
    struct wr_context *open = context_of(later, WR_NEVER_NS, 0);
    assert_int_equal(wr_context_deadline(later), far_ns);
    assert_int_equal(wr_context_deadline(earlier), far_ns - 1);
    assert_int_equal(wr_context_deadline(open), far_ns);
    assert_int_equal(wr_context_deadline(NULL), WR_NEVER_NS);
    assert_int_equal(wr_context_trace_id(open), 7);
    assert_int_equal(wr_context_trace_id(earlier), 8);
    assert_int_equal(wr_context_state(open), WR_OK);
    assert_int_equal(wr_context_state(NULL), WR_OK);
    struct wr_context *past = context_of(root, now() - 1, 0);
    assert_int_equal(wr_context_state(past), WR_TIMEOUT);
    assert_int_equal(wr_context_state(root), WR_OK);
    wr_context_unref(root); /* children keep it alive */
    wr_context_unref(past);
    wr_context_unref(earlier);
    wr_context_unref(later);
    wr_context_unref(open);
    wr_context_unref(NULL);
}

static void a_tree_lives_on_the_clock_of_its_root(void **state) {
    (void)state;
    struct wr_clock_virtual clock;
    struct wr_context *root;
    wr_clock_virtual_init(&clock, 1000, 0, 1);
    assert_int_equal(wr_context_new_on(&clock.clock, WR_NEVER_NS, 7, &root, NULL), WR_OK);
    struct wr_context *child = context_of(root, 2000, 0);
    assert_int_equal(wr_context_trace_id(child), 7);
    assert_int_equal(wr_context_state(child), WR_OK); /* by the real clock it would be over since long */
    wr_clock_virtual_advance(&clock, 999);
    assert_int_equal(wr_context_state(child), WR_OK);
    wr_clock_virtual_advance(&clock, 1);
    assert_int_equal(wr_context_state(child), WR_TIMEOUT);
    assert_int_equal(wr_context_state(root), WR_OK);
    wr_context_unref(child);
    wr_context_unref(root);
}

static void cancelling_goes_down_not_up(void **state) {
    (void)state;
    struct wr_context *root = context_of(NULL, WR_NEVER_NS, 0);
    struct wr_context *left = context_of(root, WR_NEVER_NS, 0);
    struct wr_context *right = context_of(root, WR_NEVER_NS, 0);
    struct wr_context *leaf = context_of(left, WR_NEVER_NS, 0);
    wr_context_cancel(left);
    wr_context_cancel(left);
    assert_int_equal(wr_context_state(left), WR_CANCELED);
    assert_int_equal(wr_context_state(leaf), WR_CANCELED);
    assert_int_equal(wr_context_state(right), WR_OK);
    assert_int_equal(wr_context_state(root), WR_OK);
    struct wr_context *born_late = context_of(leaf, WR_NEVER_NS, 0);
    assert_int_equal(wr_context_state(born_late), WR_CANCELED);
    wr_context_cancel(root);
    assert_int_equal(wr_context_state(right), WR_CANCELED);
    wr_context_unref(born_late);
    wr_context_unref(left);
    wr_context_unref(leaf);
    wr_context_unref(root);
    wr_context_unref(right);
}

static void count_up(void *user) {
    ++*(int *)user;
}

static void watches_are_called_once(void **state) {
    (void)state;
    struct wr_context *context = context_of(NULL, WR_NEVER_NS, 0);
    int calls[3] = {0};
    struct wr_context_watch watches[3];
    for (int i = 0; i < 3; i++) {
        watches[i] = (struct wr_context_watch){.ended = count_up, .user = &calls[i]};
        assert_int_equal(wr_context_watch(context, &watches[i]), WR_OK);
    }
    wr_context_unwatch(context, &watches[1]);
    wr_context_unwatch(context, &watches[1]);
    wr_context_cancel(context);
    wr_context_cancel(context);
    assert_int_equal(calls[0], 1);
    assert_int_equal(calls[1], 0);
    assert_int_equal(calls[2], 1);
    wr_context_unwatch(context, &watches[0]);
    assert_int_equal(wr_context_watch(context, &watches[1]), WR_CANCELED);
    wr_context_unref(context);
}

static void a_sleep_ends_by_its_deadline(void **state) {
    (void)state;
    const int64_t until_ns = now() + WR_NS_PER_MS;
    assert_int_equal(wr_context_sleep_until(NULL, until_ns), WR_OK);
    assert_true(now() >= until_ns);
    struct wr_context *context = context_of(NULL, now() + WR_NS_PER_MS, 0);
    assert_int_equal(wr_context_sleep_until(context, 0), WR_OK);
    assert_int_equal(wr_context_sleep_until(context, WR_NEVER_NS), WR_TIMEOUT);
    wr_context_cancel(context);
    assert_int_equal(wr_context_sleep_until(context, WR_NEVER_NS), WR_CANCELED);
    wr_context_unref(context);
}

static _Atomic int sleeping;

static void *sleep_main(void *user) {
    struct wr_context *context = user;
    sleeping++;
    return wr_context_sleep_until(context, WR_NEVER_NS) == WR_CANCELED ? NULL : user;
}

static void cancelling_wakes_sleepers(void **state) {
    (void)state;
    struct wr_context *root = context_of(NULL, WR_NEVER_NS, 0);
    struct wr_context *leaf = context_of(root, WR_NEVER_NS, 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_main, i % 2 ? root : leaf), 0);
    while (sleeping < 4) /* on the way at least; cancelling must work before and after they lie down */
        continue;
    wr_context_cancel(root);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    wr_context_unref(root);
    wr_context_unref(leaf);
}

/* Threads that make and give up children and watches while another cancels: for the thread sanitizer, and for memory. */
static void *churn_main(void *user) {
    struct wr_context *root = user;
    enum wr_result result = WR_OK;
    while (result == WR_OK) {
        struct wr_context *child = NULL;
        struct wr_context *grandchild = NULL;
        if (wr_context_new(root, WR_NEVER_NS, 0, &child, NULL) != WR_OK ||
            wr_context_new(child, WR_NEVER_NS, 0, &grandchild, NULL) != WR_OK)
            return user;
        int calls = 0;
        struct wr_context_watch watch = {.ended = count_up, .user = &calls};
        const bool watched = wr_context_watch(grandchild, &watch) == WR_OK;
        wr_context_unref(child);
        result = wr_context_state(grandchild);
        if (watched)
            wr_context_unwatch(grandchild, &watch); /* from here on `calls` is ours */
        if (calls > 1 || (calls == 1 && wr_context_state(root) != WR_CANCELED))
            return user;
        wr_context_unref(grandchild);
    }
    return NULL;
}

static void the_tree_is_safe_while_it_is_cancelled(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct wr_context *root = context_of(NULL, WR_NEVER_NS, 0);
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, churn_main, root), 0);
        wr_context_cancel(root);
        for (int i = 0; i < 3; i++) {
            void *failed = NULL;
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
        wr_context_unref(root);
    }
}

static void without_memory(void **state) {
    (void)state;
    struct wr_context *root = context_of(NULL, WR_NEVER_NS, 0);
    for (long n = 0;; n++) {
        struct wr_context *context = NULL;
        wr_failing_allocations(n);
        const enum wr_result result = wr_context_new(root, WR_NEVER_NS, 0, &context, NULL);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_context_unref(context);
        if (!hit) {
            assert_true(n > 0);
            break;
        }
    }
    wr_context_unref(root);
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_and_traces_go_down),
        cmocka_unit_test(a_tree_lives_on_the_clock_of_its_root),
        cmocka_unit_test(cancelling_goes_down_not_up),
        cmocka_unit_test(watches_are_called_once),
        cmocka_unit_test(a_sleep_ends_by_its_deadline),
        cmocka_unit_test(cancelling_wakes_sleepers),
        cmocka_unit_test(the_tree_is_safe_while_it_is_cancelled),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("core/context", tests, NULL, NULL);
}
