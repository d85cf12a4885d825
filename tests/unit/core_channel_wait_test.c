/* The channel with a second thread: waiting, rendezvous, close, contexts, descriptors. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/channel.h"
#include "core/clock.h"
#include "core/context.h"
#include "tests/support/failing.h"
#include "tests/support/waiting.h"

static struct wr_channel *channel_of(size_t capacity, enum wr_channel_policy policy) {
    const struct wr_channel_options options = {.name = "test", .capacity = capacity, .element_bytes = sizeof(int), .policy = policy};
    struct wr_channel *channel = NULL;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    return channel;
}

/* One blocking operation on a thread of its own. */
struct peer {
    pthread_t thread;
    struct wr_channel *channel;
    struct wr_context *context; /* with it: the context variants */
    int64_t deadline_boot_ns;
    int values[8];
    size_t n; /* above 1: the batch variants */
    size_t moved;
    enum wr_result result;
};

static void *send_main(void *user) {
    struct peer *peer = user;
    if (peer->context)
        peer->result = wr_channel_send_context(peer->channel, peer->values, peer->context);
    else if (peer->n > 1)
        peer->result = wr_channel_send_batch(peer->channel, peer->values, peer->n, peer->deadline_boot_ns, &peer->moved);
    else
        peer->result = wr_channel_send(peer->channel, peer->values, peer->deadline_boot_ns);
    return NULL;
}

static void *recv_main(void *user) {
    struct peer *peer = user;
    if (peer->context)
        peer->result = wr_channel_recv_context(peer->channel, peer->values, peer->context);
    else if (peer->n > 1)
        peer->result = wr_channel_recv_batch(peer->channel, peer->values, peer->n, peer->deadline_boot_ns, &peer->moved);
    else
        peer->result = wr_channel_recv(peer->channel, peer->values, peer->deadline_boot_ns);
    return NULL;
}

static void start(struct peer *peer, void *(*body)(void *)) {
    assert_int_equal(pthread_create(&peer->thread, NULL, body, peer), 0);
}

static enum wr_result result_of(struct peer *peer) {
    assert_int_equal(pthread_join(peer->thread, NULL), 0);
    return peer->result;
}

static int64_t soon(void) {
    return wr_clock_boot_ns(wr_clock_real()) + WR_NS_PER_MS;
}

static void a_send_completes_a_waiting_receiver(void **state) {
    (void)state;
    for (size_t capacity = 0; capacity < 2; capacity++) {
        struct wr_channel *channel = channel_of(capacity, WR_CHANNEL_BLOCK);
        struct peer peer = {.channel = channel, .deadline_boot_ns = WR_NEVER_NS};
        start(&peer, recv_main);
        wr_waiting_until(channel, WR_CHANNEL_RECV, 1);
        assert_true(wr_channel_is_valid(channel));
        const int seven = 7;
        assert_int_equal(wr_channel_try_send(channel, &seven), WR_OK);
        assert_int_equal(result_of(&peer), WR_OK);
        assert_int_equal(peer.values[0], 7);
        struct wr_channel_stats stats;
        wr_channel_stats(channel, &stats);
        assert_int_equal(stats.accepted, 1);
        assert_int_equal(stats.received, 1);
        assert_true(stats.recv_wait_ns > 0);
        assert_int_equal(stats.send_wait_ns, 0);
        wr_channel_free(channel);
    }
}

static void a_receive_completes_waiting_senders_in_order(void **state) {
    (void)state;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        struct wr_channel *channel = channel_of(capacity, WR_CHANNEL_BLOCK);
        for (int i = 0; i < (int)capacity; i++)
            assert_int_equal(wr_channel_try_send(channel, &i), WR_OK);
        struct peer peers[3];
        for (int i = 0; i < 3; i++) {
            peers[i] = (struct peer){.channel = channel, .deadline_boot_ns = WR_NEVER_NS, .values = {(int)capacity + i}};
            start(&peers[i], send_main);
            wr_waiting_until(channel, WR_CHANNEL_SEND, (size_t)i + 1);
        }
        assert_true(wr_channel_is_valid(channel));
        for (int i = 0; i < (int)capacity + 3; i++) {
            int got = -1;
            assert_int_equal(wr_channel_try_recv(channel, &got), WR_OK);
            assert_int_equal(got, i);
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(result_of(&peers[i]), WR_OK);
        wr_channel_free(channel);
    }
}

static void a_rendezvous_keeps_nothing(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(0, WR_CHANNEL_BLOCK);
    const int one = 1;
    int got = -1;
    assert_int_equal(wr_channel_try_send(channel, &one), WR_FULL);
    assert_int_equal(wr_channel_try_recv(channel, &got), WR_EMPTY);
    assert_int_equal(wr_channel_send(channel, &one, soon()), WR_TIMEOUT);
    assert_int_equal(wr_channel_recv(channel, &got, soon()), WR_TIMEOUT);
    assert_int_equal(wr_channel_try_recv(channel, &got), WR_EMPTY); /* the send that timed out took its element along */
    wr_channel_free(channel);

    channel = channel_of(0, WR_CHANNEL_REJECT);
    assert_int_equal(wr_channel_send(channel, &one, WR_NEVER_NS), WR_FULL);
    struct peer peer = {.channel = channel, .deadline_boot_ns = WR_NEVER_NS};
    start(&peer, recv_main);
    wr_waiting_until(channel, WR_CHANNEL_RECV, 1);
    assert_int_equal(wr_channel_send(channel, &one, WR_NEVER_NS), WR_OK);
    assert_int_equal(result_of(&peer), WR_OK);
    wr_channel_free(channel);
}

static void close_wakes_everybody(void **state) {
    (void)state;
    struct wr_channel *full = channel_of(1, WR_CHANNEL_BLOCK);
    struct wr_channel *empty = channel_of(1, WR_CHANNEL_BLOCK);
    const int first = 1;
    assert_int_equal(wr_channel_try_send(full, &first), WR_OK);
    struct peer senders[2] = {{.channel = full, .deadline_boot_ns = WR_NEVER_NS}, {.channel = full, .deadline_boot_ns = WR_NEVER_NS}};
    struct peer receivers[2] = {{.channel = empty, .deadline_boot_ns = WR_NEVER_NS}, {.channel = empty, .deadline_boot_ns = WR_NEVER_NS}};
    for (int i = 0; i < 2; i++) {
        start(&senders[i], send_main);
        start(&receivers[i], recv_main);
    }
    wr_waiting_until(full, WR_CHANNEL_SEND, 2);
    wr_waiting_until(empty, WR_CHANNEL_RECV, 2);
    wr_channel_close(full);
    wr_channel_close(empty);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(result_of(&senders[i]), WR_CLOSED);
        assert_int_equal(result_of(&receivers[i]), WR_CLOSED);
    }
    int got = 0;
    assert_int_equal(wr_channel_recv(full, &got, WR_NEVER_NS), WR_OK); /* what was inside is still there; what waited is not */
    assert_int_equal(got, 1);
    assert_int_equal(wr_channel_recv(full, &got, WR_NEVER_NS), WR_CLOSED);
    wr_channel_free(full);
    wr_channel_free(empty);
}

static void a_batch_waits_for_its_rest(void **state) {
    (void)state;
    for (size_t capacity = 0; capacity < 4; capacity++) {
        struct wr_channel *channel = channel_of(capacity, WR_CHANNEL_BLOCK);
        struct peer peer = {.channel = channel, .deadline_boot_ns = WR_NEVER_NS, .values = {0, 1, 2, 3, 4, 5, 6, 7}, .n = 8};
        start(&peer, send_main);
        int next = 0;
        while (next < 8) {
            int got[3];
            size_t n = 0;
            assert_int_equal(wr_channel_recv_batch(channel, got, 3, WR_NEVER_NS, &n), WR_OK);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(got[i], next++);
        }
        assert_int_equal(result_of(&peer), WR_OK);
        assert_int_equal(peer.moved, 8);

        peer = (struct peer){.channel = channel, .deadline_boot_ns = WR_NEVER_NS, .n = 8};
        start(&peer, recv_main);
        wr_waiting_until(channel, WR_CHANNEL_RECV, 1);
        const int two[] = {8, 9};
        size_t n = 0;
        enum wr_result result = wr_channel_send_batch(channel, two, capacity > 0 ? 2 : 1, 0, &n);
        assert_int_equal(result, WR_OK);
        assert_int_equal(result_of(&peer), WR_OK);
        assert_int_equal(peer.values[0], 8);
        assert_in_range(peer.moved, 1, n); /* it may have been woken before the second was in */
        wr_channel_free(channel);
    }
}

static void a_deadline_ends_the_wait(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(1, WR_CHANNEL_BLOCK);
    int value = 1;
    const int64_t before_ns = wr_clock_boot_ns(wr_clock_real());
    assert_int_equal(wr_channel_recv(channel, &value, before_ns + WR_NS_PER_MS), WR_TIMEOUT);
    assert_true(wr_clock_boot_ns(wr_clock_real()) >= before_ns + WR_NS_PER_MS);
    assert_int_equal(wr_channel_try_send(channel, &value), WR_OK);
    assert_int_equal(wr_channel_send(channel, &value, soon()), WR_TIMEOUT);
    assert_true(wr_channel_is_valid(channel));
    struct wr_channel_stats stats;
    wr_channel_stats(channel, &stats);
    assert_int_equal(stats.accepted, 1);
    assert_true(stats.send_wait_ns > 0);
    wr_channel_free(channel);
}

static void a_context_ends_the_wait(void **state) {
    (void)state;
    struct wr_context *parent = NULL;
    struct wr_context *context = NULL;
    assert_int_equal(wr_context_new(NULL, WR_NEVER_NS, 0, &parent, NULL), WR_OK);
    assert_int_equal(wr_context_new(parent, WR_NEVER_NS, 0, &context, NULL), WR_OK);
    struct wr_channel *full = channel_of(1, WR_CHANNEL_BLOCK);
    struct wr_channel *empty = channel_of(1, WR_CHANNEL_BLOCK);
    int value = 1;
    assert_int_equal(wr_channel_send_context(full, &value, context), WR_OK);
    struct peer sender = {.channel = full, .context = context};
    struct peer receiver = {.channel = empty, .context = context};
    start(&sender, send_main);
    start(&receiver, recv_main);
    wr_waiting_until(full, WR_CHANNEL_SEND, 1);
    wr_waiting_until(empty, WR_CHANNEL_RECV, 1);
    wr_context_cancel(parent);
    assert_int_equal(result_of(&sender), WR_CANCELED);
    assert_int_equal(result_of(&receiver), WR_CANCELED);
    assert_int_equal(wr_channel_recv_context(full, &value, context), WR_CANCELED); /* though one is there: a loop must end */
    assert_int_equal(wr_channel_send_context(empty, &value, context), WR_CANCELED);
    assert_true(wr_channel_is_valid(full) && wr_channel_is_valid(empty));
    wr_context_unref(context);
    wr_context_unref(parent);

    assert_int_equal(wr_context_new(NULL, soon(), 0, &context, NULL), WR_OK);
    assert_int_equal(wr_channel_recv_context(empty, &value, context), WR_TIMEOUT);
    wr_context_unref(context);
    assert_int_equal(wr_channel_recv_context(full, &value, NULL), WR_OK);
    wr_channel_free(full);
    wr_channel_free(empty);
}

static bool readable(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static int descriptor_of(struct wr_channel *channel, enum wr_channel_direction direction) {
    int fd = -1;
    assert_int_equal(wr_channel_descriptor(channel, direction, &fd, NULL), WR_OK);
    int again = -1;
    assert_int_equal(wr_channel_descriptor(channel, direction, &again, NULL), WR_OK);
    assert_int_equal(fd, again);
    return fd;
}

static void a_descriptor_is_written_only_when_armed(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(1, WR_CHANNEL_BLOCK);
    const int in = descriptor_of(channel, WR_CHANNEL_RECV);
    const int out = descriptor_of(channel, WR_CHANNEL_SEND);
    int value = 1;
    assert_true(wr_channel_arm(channel, WR_CHANNEL_SEND)); /* there is room */
    assert_int_equal(wr_channel_try_send(channel, &value), WR_OK);
    assert_false(readable(in)); /* nobody slept */
    assert_true(wr_channel_arm(channel, WR_CHANNEL_RECV));

    assert_false(wr_channel_arm(channel, WR_CHANNEL_SEND)); /* full: asleep */
    assert_false(readable(out));
    assert_int_equal(wr_channel_try_recv(channel, &value), WR_OK);
    assert_true(readable(out));
    wr_channel_disarm(channel, WR_CHANNEL_SEND);
    assert_false(readable(out));

    assert_false(wr_channel_arm(channel, WR_CHANNEL_RECV)); /* empty: asleep */
    assert_int_equal(wr_channel_try_send(channel, &value), WR_OK);
    assert_true(readable(in));
    wr_channel_disarm(channel, WR_CHANNEL_RECV);
    assert_false(readable(in));
    assert_int_equal(wr_channel_try_recv(channel, &value), WR_OK);
    assert_int_equal(wr_channel_try_send(channel, &value), WR_OK);
    assert_false(readable(in)); /* disarmed */
    assert_int_equal(wr_channel_try_recv(channel, &value), WR_OK);

    assert_false(wr_channel_arm(channel, WR_CHANNEL_RECV));
    wr_channel_close(channel);
    assert_true(readable(in));
    wr_channel_disarm(channel, WR_CHANNEL_RECV);
    assert_true(wr_channel_arm(channel, WR_CHANNEL_RECV));
    assert_true(wr_channel_arm(channel, WR_CHANNEL_SEND));
    assert_true(wr_channel_is_valid(channel));
    wr_channel_free(channel);
}

static void a_waiting_peer_is_ready_for_a_loop(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(0, WR_CHANNEL_BLOCK);
    const int in = descriptor_of(channel, WR_CHANNEL_RECV);
    const int out = descriptor_of(channel, WR_CHANNEL_SEND);
    assert_false(wr_channel_arm(channel, WR_CHANNEL_RECV));
    struct peer peer = {.channel = channel, .deadline_boot_ns = WR_NEVER_NS, .values = {5}};
    start(&peer, send_main);
    struct pollfd wait = {.fd = in, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, -1), 1);
    wr_channel_disarm(channel, WR_CHANNEL_RECV);
    assert_true(wr_channel_arm(channel, WR_CHANNEL_RECV));
    int got = 0;
    assert_int_equal(wr_channel_try_recv(channel, &got), WR_OK);
    assert_int_equal(got, 5);
    assert_int_equal(result_of(&peer), WR_OK);

    assert_false(wr_channel_arm(channel, WR_CHANNEL_SEND));
    start(&peer, recv_main);
    wait = (struct pollfd){.fd = out, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, -1), 1);
    wr_channel_disarm(channel, WR_CHANNEL_SEND);
    assert_true(wr_channel_arm(channel, WR_CHANNEL_SEND));
    assert_int_equal(wr_channel_try_send(channel, &got), WR_OK);
    assert_int_equal(result_of(&peer), WR_OK);
    wr_channel_free(channel);
}

static void a_failed_write_is_made_up_for(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(4, WR_CHANNEL_BLOCK);
    const int in = descriptor_of(channel, WR_CHANNEL_RECV);
    assert_false(wr_channel_arm(channel, WR_CHANNEL_RECV));
    const int value = 1;
    wr_failing_io(0, EIO);
    assert_int_equal(wr_channel_try_send(channel, &value), WR_OK);
    assert_true(wr_failing_hit());
    wr_failing_off();
    assert_false(readable(in));
    assert_int_equal(wr_channel_try_send(channel, &value), WR_OK);
    assert_true(readable(in));
    wr_channel_free(channel);
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_completes_a_waiting_receiver),
        cmocka_unit_test(a_receive_completes_waiting_senders_in_order),
        cmocka_unit_test(a_rendezvous_keeps_nothing),
        cmocka_unit_test(close_wakes_everybody),
        cmocka_unit_test(a_batch_waits_for_its_rest),
        cmocka_unit_test(a_deadline_ends_the_wait),
        cmocka_unit_test(a_context_ends_the_wait),
        cmocka_unit_test(a_descriptor_is_written_only_when_armed),
        cmocka_unit_test(a_waiting_peer_is_ready_for_a_loop),
        cmocka_unit_test(a_failed_write_is_made_up_for),
    };
    return cmocka_run_group_tests_name("core/channel, waiting", tests, NULL, NULL);
}
