/* The channel without waiting: policies, order, counters, close, batches, dropped elements, what birth refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/channel.h"
#include "core/clock.h"
#include "tests/support/failing.h"

static struct wr_channel *channel_of(size_t capacity, enum wr_channel_policy policy) {
    const struct wr_channel_options options = {.name = "test", .capacity = capacity, .element_bytes = sizeof(int), .policy = policy};
    struct wr_channel *channel = NULL;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    return channel;
}

static enum wr_result put(struct wr_channel *channel, int value) {
    return wr_channel_try_send(channel, &value);
}

static void expect(struct wr_channel *channel, int value) {
    int got = -1;
    assert_int_equal(wr_channel_try_recv(channel, &got), WR_OK);
    assert_int_equal(got, value);
    assert_true(wr_channel_is_valid(channel));
}

static void expect_none(struct wr_channel *channel, enum wr_result why) {
    int got = -1;
    assert_int_equal(wr_channel_try_recv(channel, &got), why);
    assert_int_equal(got, -1);
}

static struct wr_channel_stats stats_of(const struct wr_channel *channel) {
    struct wr_channel_stats stats;
    wr_channel_stats(channel, &stats);
    assert_true(wr_channel_is_valid(channel));
    return stats;
}

static void birth_refuses(void **state) {
    (void)state;
    const struct wr_channel_options good = {.name = "inbox", .capacity = 65536, .element_bytes = 8};
    struct wr_channel_options bad[6] = {good, good, good, good, good, good};
    bad[0].capacity = 65537;
    bad[1].element_bytes = 0;
    bad[2].element_bytes = 65537;
    bad[3].capacity = 0;
    bad[3].policy = WR_CHANNEL_DROP_NEWEST;
    bad[4].capacity = 0;
    bad[4].policy = WR_CHANNEL_DROP_OLDEST;
    bad[5].policy = WR_CHANNEL_DROP_OLDEST;
    bad[5].element_bytes = WR_CHANNEL_DROP_BYTES + 1;
    bad[5].drop = (void (*)(void *, void *))abort;
    for (size_t i = 0; i < 6; i++) {
        struct wr_error err = {0};
        struct wr_channel *channel = NULL;
        const enum wr_result result = wr_channel_new(&bad[i], &channel, &err);
        assert_true(result == WR_LIMIT || result == WR_INVALID);
        assert_int_equal(err.code, result);
        assert_non_null(strstr(err.text, "inbox"));
        assert_null(channel);
    }
    struct wr_channel *channel = NULL;
    assert_int_equal(wr_channel_new(&good, &channel, NULL), WR_OK);
    assert_string_equal(wr_channel_name(channel), "inbox");
    assert_int_equal(wr_channel_capacity(channel), 65536);
    wr_channel_free(channel);
    wr_channel_free(NULL);
}

static void birth_without_memory(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "test", .capacity = 4, .element_bytes = 8};
    for (long n = 0;; n++) {
        struct wr_channel *channel = NULL;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        const enum wr_result result = wr_channel_new(&options, &channel, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        assert_int_equal(channel == NULL, hit);
        wr_channel_free(channel);
        if (!hit) {
            assert_true(n > 0);
            break;
        }
    }
}

static void block_keeps_order(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(3, WR_CHANNEL_BLOCK);
    expect_none(channel, WR_EMPTY);
    int got = 0;
    assert_int_equal(wr_channel_recv(channel, &got, 0), WR_TIMEOUT);
    for (int round = 0; round < 5; round++) { /* the ring goes round */
        assert_int_equal(put(channel, round), WR_OK);
        assert_int_equal(put(channel, round + 100), WR_OK);
        expect(channel, round);
        expect(channel, round + 100);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(channel, i), WR_OK);
    assert_int_equal(put(channel, 3), WR_FULL);
    const int three = 3;
    assert_int_equal(wr_channel_send(channel, &three, 0), WR_TIMEOUT);
    assert_int_equal(wr_channel_send(channel, &three, wr_clock_boot_ns(wr_clock_real()) - 1), WR_TIMEOUT);
    const struct wr_channel_stats stats = stats_of(channel);
    assert_int_equal(stats.depth, 3);
    assert_int_equal(stats.high_water, 3);
    assert_int_equal(stats.accepted, 13);
    assert_int_equal(stats.received, 10);
    assert_int_equal(stats.rejected, 0);
    wr_channel_free(channel);
}

static void reject_answers_full(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(1, WR_CHANNEL_REJECT);
    assert_int_equal(put(channel, 1), WR_OK);
    const int two = 2;
    assert_int_equal(wr_channel_send(channel, &two, WR_NEVER_NS), WR_FULL); /* never waits */
    assert_int_equal(put(channel, 3), WR_FULL);
    assert_int_equal(stats_of(channel).rejected, 2);
    expect(channel, 1);
    expect_none(channel, WR_EMPTY);
    wr_channel_free(channel);
}

static void drop_newest_keeps_the_old(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(2, WR_CHANNEL_DROP_NEWEST);
    for (int i = 0; i < 5; i++)
        assert_int_equal(put(channel, i), WR_OK);
    assert_int_equal(stats_of(channel).dropped_newest, 3);
    assert_int_equal(stats_of(channel).accepted, 2);
    expect(channel, 0);
    expect(channel, 1);
    expect_none(channel, WR_EMPTY);
    wr_channel_free(channel);
}

static void drop_oldest_keeps_the_new(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(2, WR_CHANNEL_DROP_OLDEST);
    for (int i = 0; i < 5; i++)
        assert_int_equal(put(channel, i), WR_OK);
    assert_int_equal(stats_of(channel).dropped_oldest, 3);
    assert_int_equal(stats_of(channel).accepted, 5);
    expect(channel, 3);
    expect(channel, 4);
    expect_none(channel, WR_EMPTY);
    wr_channel_free(channel);
}

static void close_drains_then_ends(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(2, WR_CHANNEL_BLOCK);
    assert_int_equal(put(channel, 1), WR_OK);
    assert_false(wr_channel_is_closed(channel));
    wr_channel_close(channel);
    wr_channel_close(channel);
    assert_true(wr_channel_is_closed(channel));
    assert_int_equal(put(channel, 2), WR_CLOSED);
    const int two = 2;
    assert_int_equal(wr_channel_send(channel, &two, WR_NEVER_NS), WR_CLOSED);
    expect(channel, 1);
    expect_none(channel, WR_CLOSED);
    int got = 0;
    assert_int_equal(wr_channel_recv(channel, &got, WR_NEVER_NS), WR_CLOSED);
    wr_channel_free(channel);
}

static void batches(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(4, WR_CHANNEL_BLOCK);
    const int six[] = {1, 2, 3, 4, 5, 6};
    size_t n = 99;
    assert_int_equal(wr_channel_send_batch(channel, six, 0, 0, &n), WR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(wr_channel_send_batch(channel, six, 6, 0, &n), WR_TIMEOUT);
    assert_int_equal(n, 4);
    int got[8] = {0};
    assert_int_equal(wr_channel_recv_batch(channel, got, 3, 0, &n), WR_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(got, six, 3 * sizeof(int));
    assert_int_equal(wr_channel_send_batch(channel, six + 4, 2, 0, &n), WR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(wr_channel_recv_batch(channel, got, 8, 0, &n), WR_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(got, six + 3, 3 * sizeof(int));
    assert_int_equal(wr_channel_recv_batch(channel, got, 8, 0, &n), WR_TIMEOUT);
    assert_int_equal(n, 3); /* set on success only */
    wr_channel_close(channel);
    assert_int_equal(wr_channel_send_batch(channel, six, 6, 0, &n), WR_CLOSED);
    assert_int_equal(n, 0);
    assert_int_equal(wr_channel_recv_batch(channel, got, 8, 0, &n), WR_CLOSED);
    wr_channel_free(channel);
}

struct large {
    int value;
    char rest[996];
};

struct log {
    int values[64];
    size_t n;
};

static void note(void *element, void *user) {
    struct log *log = user;
    log->values[log->n++] = ((const struct large *)element)->value;
}

static void drops_go_to_the_function(void **state) {
    (void)state;
    static struct large batch[20];
    for (int i = 0; i < 20; i++)
        batch[i].value = i;
    struct log log = {0};
    struct wr_channel_options options = {.name = "test", .capacity = 3, .element_bytes = sizeof(struct large), .drop = note, .user = &log};
    struct wr_channel *channel = NULL;
    size_t n = 0;

    options.policy = WR_CHANNEL_DROP_OLDEST; /* 17 go, more than one lock's worth of copies */
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    assert_int_equal(wr_channel_send_batch(channel, batch, 20, 0, &n), WR_OK);
    assert_int_equal(n, 20);
    assert_int_equal(log.n, 17);
    struct large got;
    assert_int_equal(wr_channel_try_recv(channel, &got), WR_OK);
    assert_int_equal(got.value, 17);
    assert_int_equal(log.n, 17);
    wr_channel_free(channel); /* and what is inside */
    assert_int_equal(log.n, 19);
    for (int i = 0; i < 17; i++)
        assert_int_equal(log.values[i], i);
    assert_int_equal(log.values[17], 18);
    assert_int_equal(log.values[18], 19);

    log.n = 0;
    options.policy = WR_CHANNEL_DROP_NEWEST;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    assert_int_equal(wr_channel_send_batch(channel, batch, 5, 0, &n), WR_OK);
    assert_int_equal(n, 5);
    assert_int_equal(log.n, 2);
    assert_int_equal(log.values[0], 3);
    assert_int_equal(log.values[1], 4);
    wr_channel_free(channel);
    assert_int_equal(log.n, 5);
}

static void reject_counts_a_batch(void **state) {
    (void)state;
    struct wr_channel *channel = channel_of(2, WR_CHANNEL_REJECT);
    const int five[] = {1, 2, 3, 4, 5};
    size_t n = 0;
    assert_int_equal(wr_channel_send_batch(channel, five, 5, WR_NEVER_NS, &n), WR_FULL);
    assert_int_equal(n, 2);
    assert_int_equal(stats_of(channel).rejected, 3);
    wr_channel_free(channel);
}

static long resident_bytes(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Memory that no element has been in is not touched: a deep channel that is drained each time costs what it holds, not its room. */
static void empty_ring_begins_anew(void **state) {
    (void)state;
    static char element[4096];
    const struct wr_channel_options options = {.name = "deep", .capacity = 8192, .element_bytes = sizeof element};
    struct wr_channel *channel = NULL;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    const long before = resident_bytes();
    for (int i = 0; i < 8192; i++) {
        assert_int_equal(wr_channel_try_send(channel, element), WR_OK);
        assert_int_equal(wr_channel_try_recv(channel, element), WR_OK);
    }
    assert_in_range(resident_bytes() - before + (1 << 20), 0, 8 << 20); /* it may also become less; the ring has 32 MB */
    wr_channel_free(channel);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(birth_refuses),
        cmocka_unit_test(birth_without_memory),
        cmocka_unit_test(block_keeps_order),
        cmocka_unit_test(reject_answers_full),
        cmocka_unit_test(drop_newest_keeps_the_old),
        cmocka_unit_test(drop_oldest_keeps_the_new),
        cmocka_unit_test(close_drains_then_ends),
        cmocka_unit_test(batches),
        cmocka_unit_test(drops_go_to_the_function),
        cmocka_unit_test(reject_counts_a_batch),
        cmocka_unit_test(empty_ring_begins_anew),
    };
    return cmocka_run_group_tests_name("core/channel", tests, NULL, NULL);
}
