/* The queue of an action's target against a plain list: who waits, who runs, who has to go, and when the next try is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/actions/action_queue.h"
#include "core/clock.h"
#include "tests/support/random.h"

#define TURNS_MAX 8

/* The model: a list in order of arrival; every question is answered by looking at all of it. */
struct model {
    struct wr_action_turn *list[TURNS_MAX + 1];
    bool running[TURNS_MAX + 1];
    uint32_t tried[TURNS_MAX + 1];
    int64_t due[TURNS_MAX + 1];
    uint32_t n;
};

static void model_remove(struct model *model, uint32_t at) {
    model->n--;
    for (uint32_t i = at; i < model->n; i++) {
        model->list[i] = model->list[i + 1];
        model->running[i] = model->running[i + 1];
        model->tried[i] = model->tried[i + 1];
        model->due[i] = model->due[i + 1];
    }
}

static uint32_t model_find(const struct model *model, const struct wr_action_turn *turn) {
    uint32_t i = 0;
    while (i < model->n && model->list[i] != turn)
        i++;
    assert_true(i < model->n);
    return i;
}

/* Q0 to Q3, in words of the header. */
static struct wr_action_turn *model_put(struct model *model, struct wr_action_turn *turn, uint32_t capacity) {
    uint32_t goes = model->n; /* the new one */
    const bool full = model->n == capacity;
    bool found = false;
    for (uint32_t i = 0; i < model->n && !found; i++) {
        const struct wr_action_turn *older = model->list[i];
        const bool same = older->alarm == turn->alarm && older->action == turn->action && older->line == turn->line;
        const bool both_repeat = older->importance == WR_ACTION_REPEAT && turn->importance == WR_ACTION_REPEAT;
        if (!model->running[i] && same && (turn->line != 0 || both_repeat)) {
            goes = i;
            found = true;
        }
    }
    for (int level = WR_ACTION_REPEAT; level <= WR_ACTION_NEWS && full && !found; level++) {
        for (uint32_t i = 0; i < model->n && !found; i++)
            if (!model->running[i] && model->list[i]->importance == level) {
                goes = i;
                found = true;
            }
        if (turn->importance == level)
            break; /* the new one goes before anything more important */
    }
    model->list[model->n] = turn;
    model->running[model->n] = false;
    model->tried[model->n] = 0;
    model->due[model->n] = turn->due_boot_ns;
    model->n++;
    if (!found && !full)
        return NULL;
    struct wr_action_turn *who = model->list[goes];
    model_remove(model, goes);
    return who;
}

static uint32_t model_running(const struct model *model) {
    uint32_t running = 0;
    for (uint32_t i = 0; i < model->n; i++)
        running += model->running[i];
    return running;
}

static bool model_is_first_of_its_line(const struct model *model, uint32_t at) {
    for (uint32_t i = 0; i < at; i++)
        if (model->list[i]->line != 0 && model->list[i]->line == model->list[at]->line)
            return false;
    return true;
}

static struct wr_action_turn *model_next(const struct model *model, uint32_t parallel, int64_t now_ns, int64_t *ret_due) {
    struct wr_action_turn *next = NULL;
    *ret_due = WR_NEVER_NS;
    if (model_running(model) == parallel)
        return NULL;
    for (uint32_t i = 0; i < model->n; i++) {
        if (model->running[i] || !model_is_first_of_its_line(model, i))
            continue;
        if (!next && model->due[i] <= now_ns)
            next = model->list[i];
        if (model->due[i] < *ret_due)
            *ret_due = model->due[i];
    }
    return next;
}

static struct wr_action_turn *new_turn(struct wr_random *random, int64_t now_ns) {
    struct wr_action_turn *turn = calloc(1, sizeof *turn);
    assert_non_null(turn);
    turn->alarm = wr_random_below(random, 3);
    turn->action = (uint32_t)wr_random_below(random, 2);
    turn->line = wr_random_below(random, 2) == 0 ? wr_random_below(random, 3) : 0;
    turn->importance = (uint8_t)wr_random_below(random, 3);
    turn->retry = (struct wr_retry){.tries = 1 + (uint32_t)wr_random_below(random, 4), .percent = 150, .wait_ns = 1000};
    turn->due_boot_ns = now_ns + (wr_random_below(random, 4) == 0 ? (int64_t)wr_random_below(random, 5000) : 0);
    return turn;
}

struct run {
    struct wr_action_queue queue;
    struct model model;
    struct wr_random *random;
    int64_t now_ns;
    uint64_t repeats_dropped, dead;
};

static void put(struct run *run) {
    struct wr_action_turn *turn = new_turn(run->random, run->now_ns);
    struct wr_action_turn *expected = model_put(&run->model, turn, run->queue.capacity);
    struct wr_action_turn *goes = wr_action_queue_put(&run->queue, turn);
    assert_ptr_equal(goes, expected);
    if (!goes)
        return;
    if (goes->importance == WR_ACTION_RAISE &&
        (goes == turn || !wr_action_turn_replaces(turn, goes))) { /* never for something less: every place is taken by a raise, or runs */
        for (uint32_t i = 0; i < run->model.n; i++)
            assert_true(run->model.running[i] || run->model.list[i]->importance == WR_ACTION_RAISE);
    }
    free(goes);
}

static void begin(struct run *run, struct wr_action_turn *turn) {
    const uint32_t at = model_find(&run->model, turn);
    run->model.running[at] = true;
    run->model.tried[at]++;
    wr_action_queue_begin(&run->queue, turn);
}

static void end(struct run *run, struct wr_action_turn *turn) {
    const uint32_t at = model_find(&run->model, turn);
    const int64_t patience_ns = wr_random_below(run->random, 3) == 0 ? (int64_t)wr_random_below(run->random, 20000) : 0;
    int64_t wait_ns = 1000;
    switch (wr_random_below(run->random, 4)) {
    case 0: /* not its fault */
        run->model.running[at] = false;
        run->model.tried[at]--;
        run->model.due[at] = run->now_ns + 7;
        wr_action_queue_again(&run->queue, turn, run->now_ns + 7);
        return;
    case 1:
        model_remove(&run->model, at);
        wr_action_queue_remove(&run->queue, turn);
        free(turn);
        return;
    default:
        break;
    }
    const bool more = run->model.tried[at] < turn->retry.tries;
    assert_int_equal(wr_action_queue_failed(&run->queue, turn, patience_ns, run->now_ns, wr_random_u64(run->random)), more);
    if (!more) {
        model_remove(&run->model, at);
        free(turn);
        return;
    }
    for (uint32_t i = 1; i < run->model.tried[at]; i++)
        wait_ns = wait_ns * 3 / 2;
    int64_t least = wait_ns > patience_ns ? wait_ns : patience_ns,
            most = wait_ns + wait_ns / 5 > patience_ns ? wait_ns + wait_ns / 5 : patience_ns;
    assert_in_range(turn->due_boot_ns, run->now_ns + least, run->now_ns + most);
    run->model.running[at] = false;
    run->model.due[at] = turn->due_boot_ns;
}

static void step(struct run *run) {
    int64_t due_ns;
    struct wr_action_turn *next = model_next(&run->model, run->queue.parallel, run->now_ns, &due_ns);
    assert_ptr_equal(wr_action_queue_next(&run->queue, run->now_ns), next);
    assert_int_equal(wr_action_queue_due(&run->queue), due_ns);
    switch (wr_random_below(run->random, 5)) {
    case 0:
    case 1:
        put(run);
        break;
    case 2:
        if (next)
            begin(run, next);
        break;
    case 3: { /* one of those that run ends */
        uint32_t running = model_running(&run->model);
        uint32_t wanted = running > 0 ? (uint32_t)wr_random_below(run->random, running) : 0;
        for (uint32_t i = 0; running > 0 && i < run->model.n; i++)
            if (run->model.running[i] && wanted-- == 0) {
                end(run, run->model.list[i]);
                break;
            }
        break;
    }
    default:
        run->now_ns += (int64_t)wr_random_below(run->random, 1500);
        break;
    }
    assert_int_equal(run->queue.n, run->model.n);
    assert_true(wr_action_queue_is_valid(&run->queue));
}

static void it_does_what_the_model_does(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 300; round++) {
        struct run run = {.random = &random, .now_ns = 1};
        run.queue.capacity = 1 + (uint32_t)wr_random_below(&random, TURNS_MAX);
        run.queue.parallel = 1 + (uint32_t)wr_random_below(&random, 3);
        for (int i = 0; i < 400; i++)
            step(&run);
        while (run.queue.first) {
            struct wr_action_turn *turn = run.queue.first;
            wr_action_queue_remove(&run.queue, turn);
            free(turn);
        }
        assert_true(wr_action_queue_is_valid(&run.queue));
        assert_int_equal(run.queue.running, 0);
    }
}

static struct wr_action_turn turn_of(enum wr_action_importance importance, uint64_t alarm) {
    return (struct wr_action_turn){.importance = (uint8_t)importance, .alarm = alarm, .retry = {.tries = 1, .percent = 100}};
}

static void a_raise_goes_only_when_all_are_raises(void **state) {
    (void)state;
    struct wr_action_queue queue = {.capacity = 3, .parallel = 1};
    struct wr_action_turn raise[4], news = turn_of(WR_ACTION_NEWS, 7), repeat = turn_of(WR_ACTION_REPEAT, 8);
    for (int i = 0; i < 4; i++)
        raise[i] = turn_of(WR_ACTION_RAISE, (uint64_t)i);
    assert_null(wr_action_queue_put(&queue, &raise[0]));
    assert_null(wr_action_queue_put(&queue, &news));
    assert_null(wr_action_queue_put(&queue, &repeat));
    assert_ptr_equal(wr_action_queue_put(&queue, &raise[1]), &repeat);
    assert_ptr_equal(wr_action_queue_put(&queue, &raise[2]), &news);
    assert_ptr_equal(wr_action_queue_put(&queue, &repeat), &repeat);
    assert_ptr_equal(wr_action_queue_put(&queue, &news), &news);
    assert_ptr_equal(wr_action_queue_put(&queue, &raise[3]), &raise[3]);
    assert_ptr_equal(wr_action_queue_next(&queue, 0), &raise[0]);
}

static void a_repeat_takes_the_place_of_an_older_one(void **state) {
    (void)state;
    struct wr_action_queue queue = {.capacity = 3, .parallel = 1};
    struct wr_action_turn old = turn_of(WR_ACTION_REPEAT, 1), other = turn_of(WR_ACTION_REPEAT, 2), new = turn_of(WR_ACTION_REPEAT, 1);
    assert_null(wr_action_queue_put(&queue, &old));
    assert_null(wr_action_queue_put(&queue, &other));
    assert_ptr_equal(wr_action_queue_put(&queue, &new), &old);
    assert_ptr_equal(wr_action_queue_next(&queue, 0), &other);
    assert_int_equal(queue.n, 2);
}

/* What is told of a topic last is what is: an older one goes, whatever it is, and what runs is waited for. */
static void a_line_keeps_its_order_and_only_the_newest(void **state) {
    (void)state;
    struct wr_action_queue queue = {.capacity = 4, .parallel = 4};
    struct wr_action_turn raise = turn_of(WR_ACTION_RAISE, 1), clear = turn_of(WR_ACTION_NEWS, 1), again = turn_of(WR_ACTION_RAISE, 1),
                          other = turn_of(WR_ACTION_NEWS, 2);
    raise.line = clear.line = again.line = other.line = 7;
    assert_null(wr_action_queue_put(&queue, &raise));
    wr_action_queue_begin(&queue, &raise);
    assert_null(wr_action_queue_put(&queue, &clear));
    assert_null(wr_action_queue_next(&queue, 0));
    assert_int_equal(wr_action_queue_due(&queue), WR_NEVER_NS);
    assert_null(wr_action_queue_put(&queue, &other)); /* another alarm of the same topic */
    wr_action_queue_again(&queue, &raise, 5);
    assert_null(wr_action_queue_next(&queue, 4)); /* put off: still nobody passes it */
    assert_int_equal(wr_action_queue_due(&queue), 5);
    assert_ptr_equal(wr_action_queue_put(&queue, &again), &raise);
    assert_true(wr_action_turn_replaces(&again, &raise));
    assert_ptr_equal(wr_action_queue_next(&queue, 0), &clear);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_does_what_the_model_does),
        cmocka_unit_test(a_raise_goes_only_when_all_are_raises),
        cmocka_unit_test(a_repeat_takes_the_place_of_an_older_one),
        cmocka_unit_test(a_line_keeps_its_order_and_only_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
