/* Requests: answered, given up before and after the owner runs them, passed on, dropped with a closed owner; each is freed exactly once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/loops/request.h"
#include "core/clock.h"
#include "tests/support/failing.h"
#include "tests/support/waiting.h"

static _Atomic int freed;
static struct wr_channel *owner;

static void free_input(void *input) {
    free(input);
    freed++;
}

static void drop(void *element, void *user) {
    (void)user;
    wr_request_finish(*(struct wr_request **)element, WR_CLOSED);
}

static int set_up(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "owner", .capacity = 1, .element_bytes = sizeof(struct wr_request *), .drop = drop};
    freed = 0;
    return wr_channel_new(&options, &owner, NULL) == WR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    wr_channel_free(owner);
    return 0;
}

/* Doubles the number that it finds; fails with what it says, if it is negative. */
static void run_double(struct wr_request *request, void *user) {
    int64_t *number = request->input;
    *(int *)user += 1;
    if (*number < 0) {
        wr_request_finish(request, wr_error_set(&request->error, WR_INVALID, "%d is less than nothing", (int)*number));
        return;
    }
    *number *= 2;
    wr_request_finish(request, wr_buf_text(&request->text, "doubled"));
}

static struct wr_request *make(int64_t number) {
    int64_t *input = malloc(sizeof *input);
    struct wr_request *request;
    *input = number;
    assert_int_equal(wr_request_new(run_double, input, free_input, &request, NULL), WR_OK);
    return request;
}

static int64_t soon(void) {
    return wr_clock_boot_ns(wr_clock_real()) + 5 * WR_NS_PER_MS;
}

/* An owner that runs n requests. */
static void *own(void *user) {
    int *n = user, ran = 0;
    while (ran < *n) {
        struct wr_request *request;
        assert_int_equal(wr_channel_recv(owner, &request, WR_NEVER_NS), WR_OK);
        request->run(request, &ran);
    }
    return NULL;
}

static void answers_and_errors_come_back(void **state) {
    (void)state;
    int n = 2;
    pthread_t thread;
    struct wr_error err = {0};
    assert_int_equal(pthread_create(&thread, NULL, own, &n), 0);
    struct wr_request *request = make(21);
    assert_int_equal(wr_request_call(request, owner, WR_NEVER_NS, &err), WR_OK);
    assert_int_equal(*(int64_t *)request->input, 42);
    assert_string_equal(wr_buf_str(&request->text), "doubled");
    wr_request_release(request);
    request = make(-1);
    assert_int_equal(wr_request_call(request, owner, WR_NEVER_NS, &err), WR_INVALID);
    assert_string_equal(err.text, "-1 is less than nothing");
    wr_request_release(request);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(freed, 2);
}

static void an_asker_gives_up_before_the_owner_runs_it(void **state) {
    (void)state;
    struct wr_error err = {0};
    struct wr_request *request = make(1), *taken;
    assert_int_equal(wr_request_call(request, owner, soon(), &err), WR_TIMEOUT);
    wr_request_release(request);
    assert_int_equal(freed, 0); /* the owner still has it */
    int ran = 0;
    assert_int_equal(wr_channel_try_recv(owner, &taken), WR_OK);
    taken->run(taken, &ran);
    assert_int_equal(ran, 1);
    assert_int_equal(freed, 1);
}

static void an_asker_gives_up_after_the_owner_ran_it(void **state) {
    (void)state;
    struct wr_error err = {0};
    struct wr_request *request = make(1), *taken;
    assert_int_equal(wr_request_call(request, owner, soon(), &err), WR_TIMEOUT);
    int ran = 0;
    assert_int_equal(wr_channel_try_recv(owner, &taken), WR_OK);
    taken->run(taken, &ran);
    assert_int_equal(freed, 0); /* the asker still has it, and may look at it */
    assert_int_equal(*(int64_t *)request->input, 2);
    wr_request_release(request);
    assert_int_equal(freed, 1);
}

static void a_busy_owner_is_not_waited_for_for_ever(void **state) {
    (void)state;
    struct wr_error err = {0};
    struct wr_request *first = make(1), *second = make(2);
    assert_int_equal(wr_request_call(first, owner, soon(), &err), WR_TIMEOUT);
    assert_int_equal(wr_request_call(second, owner, soon(), &err), WR_TIMEOUT); /* its channel is full */
    wr_request_release(second);
    assert_int_equal(freed, 1);
    wr_request_release(first); /* left in the channel: freed with it */
    wr_channel_free(owner);
    owner = NULL;
    assert_int_equal(freed, 2);
}

static void a_posted_one_is_looked_for(void **state) {
    (void)state;
    struct wr_request *request = make(21), *other = make(-1), *taken;
    struct wr_error err = {0};
    int runs = 0;
    assert_int_equal(wr_request_post(request, owner, &err), WR_OK);
    assert_int_equal(wr_request_look(request, &err), WR_EMPTY);
    assert_int_equal(wr_request_post(other, owner, &err), WR_FULL);
    assert_int_equal(wr_channel_try_recv(owner, &taken), WR_OK);
    taken->run(taken, &runs);
    assert_int_equal(wr_request_look(request, &err), WR_OK);
    assert_int_equal(*(int64_t *)request->input, 42);
    wr_request_release(request);
    /* One whose asker has let go is freed by the owner. */
    assert_int_equal(wr_request_post(other, owner, &err), WR_OK);
    assert_int_equal(wr_channel_try_recv(owner, &taken), WR_OK);
    taken->run(taken, &runs);
    assert_int_equal(wr_request_look(other, &err), WR_INVALID);
    assert_int_equal(err.code, WR_INVALID);
    wr_request_release(other);
    request = make(1);
    assert_int_equal(wr_request_post(request, owner, &err), WR_OK);
    wr_request_release(request);
    assert_int_equal(freed, 2);
    assert_int_equal(wr_channel_try_recv(owner, &taken), WR_OK);
    taken->run(taken, &runs);
    assert_int_equal(freed, 3);
    wr_channel_close(owner);
    request = make(1);
    assert_int_equal(wr_request_post(request, owner, &err), WR_CLOSED);
    wr_request_release(request);
    assert_int_equal(freed, 4);
}

static void *ask(void *user) {
    struct wr_request *request = make(1);
    struct wr_error err = {0};
    *(enum wr_result *)user = wr_request_call(request, owner, WR_NEVER_NS, &err);
    wr_request_release(request);
    return NULL;
}

static void an_owner_that_ends_lets_its_askers_go(void **state) {
    (void)state;
    enum wr_result result = WR_OK;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &result), 0);
    struct wr_request *request;
    assert_int_equal(wr_channel_recv(owner, &request, WR_NEVER_NS), WR_OK);
    wr_channel_close(owner);
    wr_request_finish(request, WR_CLOSED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, WR_CLOSED);
    request = make(1);
    struct wr_error err = {0};
    assert_int_equal(wr_request_call(request, owner, WR_NEVER_NS, &err), WR_CLOSED);
    assert_string_equal(err.text, "owner does not answer: closed");
    wr_request_release(request);
    assert_int_equal(freed, 2);
}

/* Asker and owner let go at the same time, over and over: under the sanitizers this finds a use after free. */
static void both_let_go_at_once(void **state) {
    (void)state;
    int n = 500;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, own, &n), 0);
    for (int i = 0; i < n; i++) {
        struct wr_request *request = make(i);
        struct wr_error err = {0};
        /* Every other one gives up at once, once it is in the channel. */
        enum wr_result result;
        do {
            result = wr_request_call(request, owner, i % 2 ? WR_NEVER_NS : wr_clock_boot_ns(wr_clock_real()) + 50 * WR_NS_PER_US, &err);
        } while (result == WR_TIMEOUT && strstr(err.text, "does not answer"));
        assert_true(result == WR_OK || (result == WR_TIMEOUT && i % 2 == 0));
        wr_request_release(request);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(freed, n);
}

static void without_memory_the_input_is_freed(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        int64_t *input = malloc(sizeof *input);
        struct wr_request *request = NULL;
        struct wr_error err = {0};
        freed = 0;
        wr_failing_allocations(n);
        enum wr_result result = wr_request_new(run_double, input, free_input, &request, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            wr_request_release(request);
        assert_int_equal(freed, 1);
        if (!hit)
            return;
    }
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_and_errors_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_asker_gives_up_before_the_owner_runs_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_asker_gives_up_after_the_owner_ran_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_owner_is_not_waited_for_for_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_owner_that_ends_lets_its_askers_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_let_go_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_posted_one_is_looked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_the_input_is_freed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
