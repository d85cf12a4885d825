/* The channel against a model that is an array: random operations on one thread, every answer compared. The seed is printed; WEIR_SEED
 * repeats a run. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/channel.h"
#include "tests/support/random.h"

#define ROUNDS 3000
#define STEPS 120
#define BATCH 7
#define LOG 4096

static struct wr_random dice;

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

struct dropped {
    uint32_t values[LOG];
    size_t n;
};

static void note(void *element, void *user) {
    struct dropped *log = user;
    assert_true(log->n < LOG);
    memcpy(&log->values[log->n++], element, sizeof log->values[0]);
}

struct model {
    size_t capacity;
    enum wr_channel_policy policy;
    uint32_t inside[8];
    size_t depth;
    bool closed;
    bool armed[2];
    bool readable[2];
    struct wr_channel_stats stats;
    struct dropped dropped;
};

/* A model and the channel that must agree with it. */
struct pair {
    struct model model;
    struct wr_channel *channel;
    struct dropped dropped;
    int fd[2];
};

static uint32_t next_value;

static void model_wake(struct model *model, enum wr_channel_direction direction) {
    if (model->armed[direction]) {
        model->armed[direction] = false;
        model->readable[direction] = true;
    }
}

/* What one offered element becomes. */
static enum wr_result model_send(struct model *model, uint32_t value) {
    if (model->closed)
        return WR_CLOSED;
    if (model->depth == model->capacity) {
        if (model->policy == WR_CHANNEL_DROP_NEWEST) {
            model->stats.dropped_newest++;
            model->dropped.values[model->dropped.n++] = value;
            return WR_OK;
        }
        if (model->policy != WR_CHANNEL_DROP_OLDEST)
            return WR_FULL;
        model->stats.dropped_oldest++;
        model->dropped.values[model->dropped.n++] = model->inside[0];
        memmove(model->inside, model->inside + 1, --model->depth * sizeof model->inside[0]);
    }
    model->inside[model->depth++] = value;
    model->stats.accepted++;
    if (model->depth > model->stats.high_water)
        model->stats.high_water = model->depth;
    model_wake(model, WR_CHANNEL_RECV);
    return WR_OK;
}

static enum wr_result model_recv(struct model *model, uint32_t *ret_value) {
    if (model->depth == 0)
        return model->closed ? WR_CLOSED : WR_EMPTY;
    *ret_value = model->inside[0];
    memmove(model->inside, model->inside + 1, --model->depth * sizeof model->inside[0]);
    model->stats.received++;
    model_wake(model, WR_CHANNEL_SEND);
    return WR_OK;
}

static enum wr_result as_timeout(const struct model *model, enum wr_result result) {
    if (result == WR_EMPTY || (result == WR_FULL && model->policy == WR_CHANNEL_BLOCK))
        return WR_TIMEOUT;
    return result;
}

static void pair_open(struct pair *pair, size_t capacity, enum wr_channel_policy policy) {
    *pair = (struct pair){.model = {.capacity = capacity, .policy = policy}};
    const struct wr_channel_options options = {
        .name = "random", .capacity = capacity, .element_bytes = sizeof(uint32_t), .policy = policy, .drop = note, .user = &pair->dropped};
    assert_int_equal(wr_channel_new(&options, &pair->channel, NULL), WR_OK);
    for (int direction = 0; direction < 2; direction++)
        assert_int_equal(wr_channel_descriptor(pair->channel, (enum wr_channel_direction)direction, &pair->fd[direction], NULL), WR_OK);
}

static void pair_compare(struct pair *pair) {
    struct wr_channel_stats stats;
    wr_channel_stats(pair->channel, &stats);
    pair->model.stats.depth = pair->model.depth;
    assert_memory_equal(&stats, &pair->model.stats, sizeof stats);
    assert_int_equal(wr_channel_is_closed(pair->channel), pair->model.closed);
    assert_true(wr_channel_is_valid(pair->channel));
    assert_int_equal(pair->dropped.n, pair->model.dropped.n);
    assert_memory_equal(pair->dropped.values, pair->model.dropped.values, pair->dropped.n * sizeof pair->dropped.values[0]);
    for (int direction = 0; direction < 2; direction++) {
        struct pollfd one = {.fd = pair->fd[direction], .events = POLLIN};
        assert_int_equal(poll(&one, 1, 0), pair->model.readable[direction]); /* I6, and never without need */
    }
}

static void pair_close(struct pair *pair) {
    for (size_t i = 0; i < pair->model.depth; i++)
        pair->model.dropped.values[pair->model.dropped.n++] = pair->model.inside[i];
    wr_channel_free(pair->channel);
    assert_int_equal(pair->dropped.n, pair->model.dropped.n);
    assert_memory_equal(pair->dropped.values, pair->model.dropped.values, pair->dropped.n * sizeof pair->dropped.values[0]);
}

static void step_send(struct pair *pair, bool try_only) {
    const uint32_t value = next_value++;
    const enum wr_result expected = model_send(&pair->model, value);
    if (expected == WR_FULL && pair->model.policy == WR_CHANNEL_REJECT)
        pair->model.stats.rejected++;
    if (try_only)
        assert_int_equal(wr_channel_try_send(pair->channel, &value), expected);
    else
        assert_int_equal(wr_channel_send(pair->channel, &value, 0), as_timeout(&pair->model, expected));
}

static void step_recv(struct pair *pair, bool try_only) {
    uint32_t expected_value = 0;
    uint32_t value = 0;
    const enum wr_result expected = model_recv(&pair->model, &expected_value);
    if (try_only)
        assert_int_equal(wr_channel_try_recv(pair->channel, &value), expected);
    else
        assert_int_equal(wr_channel_recv(pair->channel, &value, 0), as_timeout(&pair->model, expected));
    assert_int_equal(value, expected_value);
}

static void step_send_batch(struct pair *pair) {
    uint32_t values[BATCH];
    const size_t n = below(BATCH + 1);
    for (size_t i = 0; i < n; i++)
        values[i] = next_value++;
    enum wr_result expected = WR_OK;
    size_t taken = 0;
    while (taken < n && (expected = model_send(&pair->model, values[taken])) == WR_OK)
        taken++;
    if (expected == WR_FULL && pair->model.policy == WR_CHANNEL_REJECT)
        pair->model.stats.rejected += n - taken;
    size_t sent = 99;
    assert_int_equal(wr_channel_send_batch(pair->channel, values, n, 0, &sent), as_timeout(&pair->model, expected));
    assert_int_equal(sent, taken);
}

static void step_recv_batch(struct pair *pair) {
    uint32_t expected_values[BATCH];
    uint32_t values[BATCH];
    const size_t max = 1 + below(BATCH);
    size_t expected_n = 0;
    enum wr_result expected = WR_OK;
    while (expected_n < max && (expected = model_recv(&pair->model, &expected_values[expected_n])) == WR_OK)
        expected_n++;
    if (expected_n > 0)
        expected = WR_OK;
    size_t n = 0;
    assert_int_equal(wr_channel_recv_batch(pair->channel, values, max, 0, &n), as_timeout(&pair->model, expected));
    assert_int_equal(n, expected_n);
    assert_memory_equal(values, expected_values, n * sizeof values[0]);
}

static void step_descriptor(struct pair *pair) {
    const enum wr_channel_direction direction = (enum wr_channel_direction)below(2);
    struct model *model = &pair->model;
    if (below(2) == 0) {
        const bool ready = model->closed || (direction == WR_CHANNEL_RECV ? model->depth > 0 : model->depth < model->capacity);
        model->armed[direction] = !ready;
        assert_int_equal(wr_channel_arm(pair->channel, direction), ready);
    } else {
        model->armed[direction] = false;
        model->readable[direction] = false;
        wr_channel_disarm(pair->channel, direction);
    }
}

static void step_close(struct pair *pair) {
    pair->model.closed = true;
    model_wake(&pair->model, WR_CHANNEL_SEND);
    model_wake(&pair->model, WR_CHANNEL_RECV);
    wr_channel_close(pair->channel);
}

/* A select over both channels: the first case from the rotor on that does not have to wait. */
static void step_select(struct pair *pairs, size_t *rotor) {
    struct wr_channel_case cases[4];
    uint32_t values[4];
    const size_t n = 1 + below(4);
    size_t expected_index = n;
    uint32_t expected_value = 0;
    enum wr_result expected = WR_TIMEOUT;
    struct pair *of[4];
    for (size_t i = 0; i < n; i++) {
        of[i] = &pairs[below(2)];
        values[i] = next_value++;
        cases[i] = (struct wr_channel_case){
            .channel = below(8) == 0 ? NULL : of[i]->channel, .direction = (enum wr_channel_direction)below(2), .element = &values[i]};
    }
    for (size_t k = 0; k < n && expected_index == n; k++) {
        const size_t i = (*rotor + k) % n;
        if (!cases[i].channel)
            continue;
        expected_value = values[i];
        const bool sends = cases[i].direction == WR_CHANNEL_SEND;
        const enum wr_result result = sends ? model_send(&of[i]->model, values[i]) : model_recv(&of[i]->model, &expected_value);
        if (result == WR_EMPTY || (result == WR_FULL && of[i]->model.policy == WR_CHANNEL_BLOCK))
            continue;
        if (result == WR_FULL)
            of[i]->model.stats.rejected++;
        expected = result;
        expected_index = i;
    }
    size_t index = n;
    const size_t before = *rotor;
    const enum wr_result result = wr_channel_select(cases, n, rotor, 0, &index);
    assert_int_equal(result, expected_index < n ? WR_OK : WR_TIMEOUT);
    assert_int_equal(index, expected_index);
    if (index < n) {
        assert_int_equal(cases[index].result, expected);
        assert_int_equal(values[index], expected_value);
        assert_int_equal(*rotor, index + 1);
    } else {
        assert_int_equal(*rotor, before);
    }
}

static void one_step(struct pair *pairs, size_t *rotor) {
    struct pair *pair = &pairs[below(2)];
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
        step_send(pair, below(2));
        break;
    case 3:
    case 4:
    case 5:
        step_recv(pair, below(2));
        break;
    case 6:
    case 7:
        step_send_batch(pair);
        break;
    case 8:
    case 9:
        step_recv_batch(pair);
        break;
    case 10:
    case 11:
    case 12:
        step_select(pairs, rotor);
        break;
    case 13:
    case 14:
        step_descriptor(pair);
        break;
    default:
        if (below(8) == 0)
            step_close(pair);
        break;
    }
}

static void agrees_with_the_model(void **state) {
    (void)state;
    static struct pair pairs[2];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            const size_t capacity = below(6);
            const enum wr_channel_policy policy =
                capacity > 0 ? (enum wr_channel_policy)below(4) : (below(2) ? WR_CHANNEL_BLOCK : WR_CHANNEL_REJECT);
            pair_open(&pairs[i], capacity, policy);
        }
        size_t rotor = below(9);
        for (int step = 0; step < STEPS; step++) {
            one_step(pairs, &rotor);
            pair_compare(&pairs[0]);
            pair_compare(&pairs[1]);
        }
        pair_close(&pairs[0]);
        pair_close(&pairs[1]);
    }
}

int main(void) {
    dice = wr_random_begin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_model)};
    return cmocka_run_group_tests_name("core/channel, against a model", tests, NULL, NULL);
}
