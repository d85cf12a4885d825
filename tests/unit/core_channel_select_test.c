/* Select: choice, fairness, deadlines, close, and two selects that meet. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/channel.h"
#include "core/clock.h"
#include "tests/support/waiting.h"

/* The thread sanitizer's deadlock detector knows at most 64 locks held at once. */
#define MANY 60

static struct wr_channel *channel_of(size_t capacity, enum wr_channel_policy policy) {
    const struct wr_channel_options options = {.name = "test", .capacity = capacity, .element_bytes = sizeof(int), .policy = policy};
    struct wr_channel *channel = NULL;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    return channel;
}

static int64_t soon(void) {
    return wr_clock_boot_ns(wr_clock_real()) + WR_NS_PER_MS;
}

static void nothing_ready(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(1, WR_CHANNEL_BLOCK);
    int got = 0;
    size_t index = 99;
    struct wr_channel_case cases[] = {{.channel = NULL}, {.channel = channel, .direction = WR_CHANNEL_RECV, .element = &got}};
    assert_int_equal(wr_channel_select(cases, 2, NULL, 0, &index), WR_TIMEOUT);
    assert_int_equal(wr_channel_select(cases, 2, NULL, soon(), &index), WR_TIMEOUT);
    assert_int_equal(wr_channel_select(cases, 1, NULL, soon(), &index), WR_TIMEOUT);
    assert_int_equal(wr_channel_select(NULL, 0, NULL, soon(), &index), WR_TIMEOUT);
    assert_int_equal(wr_channel_select(cases, WR_CHANNEL_SELECT_MAX + 1, NULL, 0, &index), WR_LIMIT);
    assert_int_equal(index, 99);
    assert_true(wr_channel_is_valid(channel));
    wr_channel_free(channel);
}

static void the_rotor_is_fair(void **state) {
    (void)state;
    struct wr_channel *channels[3];
    struct wr_channel_case cases[3];
    int got = 0;
    for (int i = 0; i < 3; i++) {
        channels[i] = channel_of(4, WR_CHANNEL_BLOCK);
        for (int k = 0; k < 4; k++)
            assert_int_equal(wr_channel_try_send(channels[i], &i), WR_OK);
        cases[i] = (struct wr_channel_case){.channel = channels[i], .direction = WR_CHANNEL_RECV, .element = &got};
    }
    size_t rotor = 0;
    size_t index = 0;
    for (size_t k = 0; k < 6; k++) {
        assert_int_equal(wr_channel_select(cases, 3, &rotor, 0, &index), WR_OK);
        assert_int_equal(index, k % 3);
        assert_int_equal(got, index);
        assert_int_equal(cases[index].result, WR_OK);
    }
    for (size_t k = 0; k < 6; k++) { /* without a rotor the first wins as long as it can */
        assert_int_equal(wr_channel_select(cases, 3, NULL, 0, &index), WR_OK);
        assert_int_equal(index, k / 2);
    }
    for (int i = 0; i < 3; i++)
        wr_channel_free(channels[i]);
}

static void policies_and_close_are_ready_at_once(void **state) {
    (void)state;
    const int value = 3;
    size_t index = 99;
    struct wr_channel *reject = channel_of(1, WR_CHANNEL_REJECT);
    struct wr_channel_case one = {.channel = reject, .direction = WR_CHANNEL_SEND, .element = (void *)&value};
    assert_int_equal(wr_channel_select(&one, 1, NULL, WR_NEVER_NS, &index), WR_OK);
    assert_int_equal(one.result, WR_OK);
    assert_int_equal(wr_channel_select(&one, 1, NULL, WR_NEVER_NS, &index), WR_OK);
    assert_int_equal(one.result, WR_FULL);
    wr_channel_close(reject);
    assert_int_equal(wr_channel_select(&one, 1, NULL, WR_NEVER_NS, &index), WR_OK);
    assert_int_equal(one.result, WR_CLOSED);
    wr_channel_free(reject);

    struct wr_channel *oldest = channel_of(1, WR_CHANNEL_DROP_OLDEST);
    one.channel = oldest;
    for (int i = 0; i < 3; i++)
        assert_int_equal(wr_channel_select(&one, 1, NULL, WR_NEVER_NS, &index), WR_OK);
    struct wr_channel_stats stats;
    wr_channel_stats(oldest, &stats);
    assert_int_equal(stats.dropped_oldest, 2);
    wr_channel_free(oldest);
}

struct selector {
    pthread_t thread;
    struct wr_channel_case cases[MANY];
    size_t n;
    size_t index;
    int values[MANY];
    enum wr_result result;
};

static void *select_main(void *user) {
    struct selector *selector = user;
    selector->result = wr_channel_select(selector->cases, selector->n, NULL, WR_NEVER_NS, &selector->index);
    return NULL;
}

static void add(struct selector *selector, struct wr_channel *channel, enum wr_channel_direction direction, int value) {
    selector->values[selector->n] = value;
    selector->cases[selector->n] =
        (struct wr_channel_case){.channel = channel, .direction = direction, .element = &selector->values[selector->n]};
    selector->n++;
}

static void start(struct selector *selector) {
    assert_int_equal(pthread_create(&selector->thread, NULL, select_main, selector), 0);
}

static void finish(struct selector *selector) {
    assert_int_equal(pthread_join(selector->thread, NULL), 0);
    assert_int_equal(selector->result, WR_OK);
}

static void a_peer_chooses_one_of_many(void **state) {
    (void)state;
    struct wr_channel *channels[MANY];
    for (size_t i = 0; i < MANY; i++)
        channels[i] = channel_of(i % 2, WR_CHANNEL_BLOCK);
    for (size_t chosen = 0; chosen < MANY; chosen += 7) {
        struct selector selector = {.n = 0};
        for (size_t i = 0; i < MANY; i++)
            add(&selector, channels[i], WR_CHANNEL_RECV, -1);
        start(&selector);
        wr_waiting_until(channels[chosen], WR_CHANNEL_RECV, 1);
        const int value = (int)chosen;
        assert_int_equal(wr_channel_try_send(channels[chosen], &value), WR_OK);
        finish(&selector);
        assert_int_equal(selector.index, chosen);
        assert_int_equal(selector.cases[chosen].result, WR_OK);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal(selector.values[i], i == chosen ? value : -1);
            assert_true(wr_channel_is_valid(channels[i]));
            assert_false(i % 2 == 0 && wr_channel_arm(channels[i], WR_CHANNEL_SEND)); /* nobody waits there any more */
            wr_channel_disarm(channels[i], WR_CHANNEL_SEND);
        }
    }
    for (size_t i = 0; i < MANY; i++)
        wr_channel_free(channels[i]);
}

static void close_ends_a_select(void **state) {
    (void)state;
    struct wr_channel *a = channel_of(0, WR_CHANNEL_BLOCK);
    struct wr_channel *b = channel_of(1, WR_CHANNEL_BLOCK);
    struct selector selector = {.n = 0};
    add(&selector, a, WR_CHANNEL_SEND, 1);
    add(&selector, b, WR_CHANNEL_RECV, -1);
    start(&selector);
    wr_waiting_until(b, WR_CHANNEL_RECV, 1);
    wr_channel_close(b);
    finish(&selector);
    assert_int_equal(selector.index, 1);
    assert_int_equal(selector.cases[1].result, WR_CLOSED);
    int got = -1;
    assert_int_equal(wr_channel_try_recv(a, &got), WR_EMPTY);
    wr_channel_free(a);
    wr_channel_free(b);
}

static void two_selects_meet(void **state) {
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct wr_channel *a = channel_of(0, WR_CHANNEL_BLOCK);
        struct wr_channel *b = channel_of(0, WR_CHANNEL_BLOCK);
        struct selector left = {.n = 0};
        struct selector right = {.n = 0};
        add(&left, a, WR_CHANNEL_SEND, 1);
        add(&left, b, WR_CHANNEL_RECV, -1);
        add(&right, b, WR_CHANNEL_SEND, 2);
        add(&right, a, WR_CHANNEL_RECV, -1);
        start(&left);
        start(&right);
        finish(&left);
        finish(&right);
        if (left.index == 0) { /* both tell the same story: either 1 went through a, or 2 through b */
            assert_int_equal(right.index, 1);
            assert_int_equal(right.values[1], 1);
            assert_int_equal(left.values[1], -1);
        } else {
            assert_int_equal(right.index, 0);
            assert_int_equal(left.values[1], 2);
            assert_int_equal(right.values[1], -1);
        }
        assert_true(wr_channel_is_valid(a) && wr_channel_is_valid(b));
        wr_channel_free(a);
        wr_channel_free(b);
    }
}

static void a_select_does_not_meet_itself(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(0, WR_CHANNEL_BLOCK);
    struct selector both = {.n = 0};
    add(&both, channel, WR_CHANNEL_SEND, 1);
    add(&both, channel, WR_CHANNEL_RECV, -1);
    size_t index = 99;
    assert_int_equal(wr_channel_select(both.cases, 2, NULL, soon(), &index), WR_TIMEOUT);
    start(&both);
    wr_waiting_until(channel, WR_CHANNEL_RECV, 1);
    assert_true(wr_channel_is_valid(channel));
    int got = -1;
    assert_int_equal(wr_channel_try_recv(channel, &got), WR_OK);
    assert_int_equal(got, 1);
    finish(&both);
    assert_int_equal(both.index, 0);
    assert_int_equal(both.values[1], -1);
    assert_int_equal(wr_channel_try_send(channel, &got), WR_FULL); /* its other half does not receive any more */
    wr_channel_free(channel);
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_ready),
        cmocka_unit_test(the_rotor_is_fair),
        cmocka_unit_test(policies_and_close_are_ready_at_once),
        cmocka_unit_test(a_peer_chooses_one_of_many),
        cmocka_unit_test(close_ends_a_select),
        cmocka_unit_test(two_selects_meet),
        cmocka_unit_test(a_select_does_not_meet_itself),
    };
    return cmocka_run_group_tests_name("core/channel, select", tests, NULL, NULL);
}
