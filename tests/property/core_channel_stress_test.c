/* The channel under many threads: whatever is chosen at random, each element ends exactly once (received or dropped), every receiver sees
 * each sender's elements in order, and everything ends: a lost wake-up is a hang, which the watchdog turns into a failure. The seed is
 * printed; WEIR_SEED repeats the choices (not the scheduling). */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/channel.h"
#include "core/clock.h"
#include "core/context.h"
#include "tests/support/random.h"
#include "tests/support/waiting.h"

#define CHANNELS 2
#define SENDERS 3
#define RECEIVERS 3
#define ELEMENTS 300 /* per sender and channel */
#define ROUNDS 40
#define BATCH 5

struct element {
    uint32_t channel;
    uint32_t sender;
    uint32_t seq;
};

enum fate { ABROAD, SENT = 1, ARRIVED = 2, DROPPED = 4 };

struct world {
    struct wr_channel *channels[CHANNELS];
    size_t capacity;
    enum wr_channel_policy policy;
    bool loop_sends; /* one sender is an event loop */
    _Atomic bool closed;
    _Atomic unsigned wrong; /* cmocka's assertions belong to the main thread */
    _Atomic uint8_t fate[CHANNELS][SENDERS][ELEMENTS];
};

struct worker {
    struct world *world;
    pthread_t thread;
    uint32_t id;
    struct wr_random dice;
    uint32_t next[CHANNELS];         /* sender: the next element of each channel */
    int64_t last[CHANNELS][SENDERS]; /* receiver: the last element seen */
};

static uint32_t below(struct wr_random *dice, uint32_t n) {
    return (uint32_t)wr_random_below(dice, n);
}

static void check(struct world *world, bool right) {
    if (!right)
        world->wrong++;
}

static void mark(struct world *world, const struct element *element, uint8_t fate) {
    const uint8_t before = atomic_fetch_or(&world->fate[element->channel][element->sender][element->seq], fate);
    check(world, (before & fate) == 0); /* once */
}

static void note_drop(void *element, void *user) {
    mark(user, element, DROPPED);
}

static int64_t in_us(uint32_t us) {
    return wr_clock_boot_ns(wr_clock_real()) + us * WR_NS_PER_US;
}

/* ---- senders ---- */

static struct element nth(const struct worker *worker, uint32_t channel, uint32_t ahead) {
    return (struct element){.channel = channel, .sender = worker->id, .seq = worker->next[channel] + ahead};
}

static void sent(struct worker *worker, uint32_t channel, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const struct element element = nth(worker, channel, i);
        mark(worker->world, &element, SENT);
    }
}

static void send_batch(struct worker *worker, uint32_t channel, int64_t deadline_boot_ns) {
    struct element batch[BATCH];
    uint32_t n = 1 + below(&worker->dice, BATCH);
    if (n > ELEMENTS - worker->next[channel])
        n = ELEMENTS - worker->next[channel];
    for (uint32_t i = 0; i < n; i++)
        batch[i] = nth(worker, channel, i);
    size_t taken = 0;
    const enum wr_result result = wr_channel_send_batch(worker->world->channels[channel], batch, n, deadline_boot_ns, &taken);
    check(worker->world, (result == WR_OK) == (taken == n));
    sent(worker, channel, (uint32_t)taken);
    worker->next[channel] += n;
}

/* One select that would send to either channel. */
static void send_select(struct worker *worker, int64_t deadline_boot_ns) {
    struct element elements[CHANNELS];
    struct wr_channel_case cases[CHANNELS];
    for (uint32_t i = 0; i < CHANNELS; i++) {
        elements[i] = nth(worker, i, 0);
        cases[i] = (struct wr_channel_case){.channel = worker->next[i] < ELEMENTS ? worker->world->channels[i] : NULL,
                                            .direction = WR_CHANNEL_SEND,
                                            .element = &elements[i]};
    }
    size_t index = 0;
    size_t rotor = below(&worker->dice, CHANNELS);
    if (wr_channel_select(cases, CHANNELS, &rotor, deadline_boot_ns, &index) == WR_OK) {
        if (cases[index].result == WR_OK)
            sent(worker, (uint32_t)index, 1);
        worker->next[index]++;
    }
}

/* As an event loop does: try, declare asleep, wait for the descriptor. */
static enum wr_result send_as_loop(struct wr_channel *channel, const struct element *element) {
    int fd = -1;
    if (wr_channel_descriptor(channel, WR_CHANNEL_SEND, &fd, NULL) != WR_OK)
        return WR_IO;
    enum wr_result result = WR_OK;
    while ((result = wr_channel_try_send(channel, element)) == WR_FULL) {
        if (wr_channel_arm(channel, WR_CHANNEL_SEND))
            continue;
        struct pollfd one = {.fd = fd, .events = POLLIN};
        (void)poll(&one, 1, -1);
        wr_channel_disarm(channel, WR_CHANNEL_SEND);
    }
    return result;
}

static void send_one(struct worker *worker, uint32_t channel, int64_t deadline_boot_ns) {
    struct world *world = worker->world;
    const struct element element = nth(worker, channel, 0);
    const bool was_closed = world->closed;
    enum wr_result result = WR_OK;
    if (world->loop_sends && worker->id == 0 && world->policy == WR_CHANNEL_BLOCK)
        result = send_as_loop(world->channels[channel], &element);
    else if (below(&worker->dice, 4) == 0)
        result = wr_channel_try_send(world->channels[channel], &element);
    else
        result = wr_channel_send(world->channels[channel], &element, deadline_boot_ns);
    check(world, !(was_closed && result == WR_OK)); /* I5 */
    if (result == WR_OK)
        sent(worker, channel, 1);
    worker->next[channel]++;
}

static void *send_main(void *user) {
    struct worker *worker = user;
    while (worker->next[0] < ELEMENTS || worker->next[1] < ELEMENTS) {
        uint32_t channel = below(&worker->dice, CHANNELS);
        if (worker->next[channel] == ELEMENTS)
            channel = 1 - channel;
        const int64_t deadline_ns = below(&worker->dice, 4) ? WR_NEVER_NS : in_us(below(&worker->dice, 200));
        switch (below(&worker->dice, 3)) {
        case 0:
            send_batch(worker, channel, deadline_ns);
            break;
        case 1:
            send_select(worker, deadline_ns);
            break;
        default:
            send_one(worker, channel, deadline_ns);
            break;
        }
    }
    return NULL;
}

/* ---- receivers: each serves one channel or both, so that every channel is always served ---- */

static void arrived(struct worker *worker, const struct element *elements, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct element *element = &elements[i];
        mark(worker->world, element, ARRIVED);
        int64_t *last = &worker->last[element->channel][element->sender];
        check(worker->world, *last < (int64_t)element->seq);
        *last = element->seq;
    }
}

static void *recv_main(void *user) {
    struct worker *worker = user;
    struct wr_channel *channel = worker->world->channels[worker->id % CHANNELS];
    struct element elements[BATCH];
    enum wr_result result = WR_OK;
    while (result != WR_CLOSED) {
        size_t n = 1;
        switch (below(&worker->dice, 4)) {
        case 0:
            result = wr_channel_recv(channel, elements, in_us(below(&worker->dice, 100)));
            break;
        case 1:
            result = wr_channel_recv_batch(channel, elements, BATCH, WR_NEVER_NS, &n);
            break;
        case 2:
            result = wr_channel_try_recv(channel, elements);
            break;
        default:
            result = wr_channel_recv(channel, elements, WR_NEVER_NS);
            break;
        }
        arrived(worker, elements, result == WR_OK ? n : 0);
    }
    return NULL;
}

static void *recv_loop_main(void *user) {
    struct worker *worker = user;
    struct wr_channel *channel = worker->world->channels[worker->id % CHANNELS];
    struct element elements[BATCH];
    int fd = -1;
    enum wr_result result = wr_channel_descriptor(channel, WR_CHANNEL_RECV, &fd, NULL);
    while (result != WR_CLOSED) {
        size_t n = 0;
        result = wr_channel_recv_batch(channel, elements, BATCH, 0, &n);
        arrived(worker, elements, result == WR_OK ? n : 0);
        if (result != WR_TIMEOUT || wr_channel_arm(channel, WR_CHANNEL_RECV))
            continue;
        struct pollfd one = {.fd = fd, .events = POLLIN};
        (void)poll(&one, 1, -1);
        wr_channel_disarm(channel, WR_CHANNEL_RECV);
    }
    return NULL;
}

static void *recv_select_main(void *user) {
    struct worker *worker = user;
    struct element elements[CHANNELS];
    struct wr_channel_case cases[CHANNELS];
    for (size_t i = 0; i < CHANNELS; i++)
        cases[i] = (struct wr_channel_case){.channel = worker->world->channels[i], .direction = WR_CHANNEL_RECV, .element = &elements[i]};
    size_t rotor = 0;
    for (size_t open = CHANNELS; open > 0;) {
        size_t index = 0;
        const int64_t deadline_ns = below(&worker->dice, 4) ? WR_NEVER_NS : in_us(below(&worker->dice, 100));
        if (wr_channel_select(cases, CHANNELS, &rotor, deadline_ns, &index) != WR_OK)
            continue;
        if (cases[index].result == WR_OK) {
            check(worker->world, elements[index].channel == index); /* I4 */
            arrived(worker, &elements[index], 1);
        } else {
            cases[index].channel = NULL;
            open--;
        }
    }
    return NULL;
}

/* ---- one round ---- */

static void world_open(struct world *world, struct wr_random *dice) {
    *world = (struct world){.capacity = below(dice, 2) ? below(dice, 3) : below(dice, 20)};
    world->policy = (enum wr_channel_policy)below(dice, 4);
    if (below(dice, 2) || (world->capacity == 0 && world->policy != WR_CHANNEL_REJECT))
        world->policy = WR_CHANNEL_BLOCK;
    const struct wr_channel_options options = {.name = "stress",
                                               .capacity = world->capacity,
                                               .element_bytes = sizeof(struct element),
                                               .policy = world->policy,
                                               .drop = note_drop,
                                               .user = world};
    for (size_t i = 0; i < CHANNELS; i++)
        assert_int_equal(wr_channel_new(&options, &world->channels[i], NULL), WR_OK);
}

static void world_check(struct world *world, const struct worker *senders) {
    assert_int_equal(world->wrong, 0);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        struct wr_channel_stats stats;
        wr_channel_stats(world->channels[i], &stats);
        uint64_t counts[3] = {0}; /* sent, arrived, dropped */
        for (uint32_t sender = 0; sender < SENDERS; sender++)
            for (uint32_t seq = 0; seq < senders[sender].next[i]; seq++) {
                const uint8_t fate = world->fate[i][sender][seq];
                assert_true(fate == ABROAD || fate == (SENT | ARRIVED) || fate == (SENT | DROPPED));
                counts[0] += (fate & SENT) != 0;
                counts[1] += (fate & ARRIVED) != 0;
                counts[2] += (fate & DROPPED) != 0;
            }
        assert_int_equal(stats.depth, 0);
        assert_int_equal(stats.received, counts[1]);
        assert_int_equal(stats.dropped_newest + stats.dropped_oldest, counts[2]);
        assert_int_equal(stats.accepted + stats.dropped_newest, counts[0]);
        assert_true(wr_channel_is_valid(world->channels[i])); /* I1, I2 */
        wr_channel_free(world->channels[i]);
    }
}

static void each_element_ends_once(void **state) {
    struct wr_random *dice = *state;
    static struct world world;
    for (int round = 0; round < ROUNDS; round++) {
        world_open(&world, dice);
        struct worker senders[SENDERS] = {0};
        struct worker receivers[RECEIVERS] = {0};
        /* The first two serve a channel each, blocking or as a loop; the third selects. Two loops can only meet through a ring. */
        const bool loop_receives = below(dice, 2);
        world.loop_sends = below(dice, 2) && !(loop_receives && world.capacity == 0);
        for (uint32_t i = 0; i < RECEIVERS; i++) {
            receivers[i] = (struct worker){.world = &world, .id = i, .dice = {wr_random_u64(dice)}};
            for (int channel = 0; channel < CHANNELS; channel++)
                for (int sender = 0; sender < SENDERS; sender++)
                    receivers[i].last[channel][sender] = -1;
            void *(*body)(void *) = i == 2 ? recv_select_main : loop_receives && i == 0 ? recv_loop_main : recv_main;
            assert_int_equal(pthread_create(&receivers[i].thread, NULL, body, &receivers[i]), 0);
        }
        for (uint32_t i = 0; i < SENDERS; i++) {
            senders[i] = (struct worker){.world = &world, .id = i, .dice = {wr_random_u64(dice)}};
            assert_int_equal(pthread_create(&senders[i].thread, NULL, send_main, &senders[i]), 0);
        }
        const bool early = below(dice, 4) == 0; /* closed under the senders' hands */
        for (uint32_t i = 0; i < SENDERS && !early; i++)
            assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        for (int i = 0; i < CHANNELS; i++)
            wr_channel_close(world.channels[i]);
        world.closed = true;
        for (uint32_t i = 0; i < SENDERS && early; i++)
            assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        for (uint32_t i = 0; i < RECEIVERS; i++)
            assert_int_equal(pthread_join(receivers[i].thread, NULL), 0);
        world_check(&world, senders);
    }
}

/* A cancel and a send race for the same waiting receiver: either it has the element, or the channel still has it. */
struct race {
    struct wr_channel *channel;
    struct wr_context *context;
    struct element element;
    enum wr_result result;
};

static void *race_main(void *user) {
    struct race *race = user;
    race->result = wr_channel_recv_context(race->channel, &race->element, race->context);
    return NULL;
}

static void *cancel_main(void *user) {
    wr_context_cancel(user);
    return NULL;
}

static void cancel_or_element(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "race", .capacity = 1, .element_bytes = sizeof(struct element)};
    struct race race = {0};
    assert_int_equal(wr_channel_new(&options, &race.channel, NULL), WR_OK);
    for (uint32_t round = 0; round < 1500; round++) {
        assert_int_equal(wr_context_new(NULL, round % 3 == 0 ? in_us(50) : WR_NEVER_NS, 0, &race.context, NULL), WR_OK);
        pthread_t receiver;
        pthread_t canceler;
        assert_int_equal(pthread_create(&receiver, NULL, race_main, &race), 0);
        assert_int_equal(pthread_create(&canceler, NULL, cancel_main, race.context), 0);
        const struct element element = {.seq = round};
        assert_int_equal(wr_channel_try_send(race.channel, &element), WR_OK);
        assert_int_equal(pthread_join(receiver, NULL), 0);
        assert_int_equal(pthread_join(canceler, NULL), 0);
        if (race.result == WR_OK) {
            assert_int_equal(race.element.seq, round);
        } else {
            assert_true(race.result == WR_CANCELED || race.result == WR_TIMEOUT);
            assert_int_equal(wr_channel_try_recv(race.channel, &race.element), WR_OK);
            assert_int_equal(race.element.seq, round);
        }
        assert_int_equal(wr_channel_try_recv(race.channel, &race.element), WR_EMPTY);
        wr_context_unref(race.context);
    }
    wr_channel_free(race.channel);
}

int main(void) {
    struct wr_random dice = wr_random_begin();
    wr_waiting_watchdog(240);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(each_element_ends_once, &dice),
        cmocka_unit_test(cancel_or_element),
    };
    return cmocka_run_group_tests_name("core/channel, many threads", tests, NULL, NULL);
}
