/* The scheduler against a model that knows only a list of plans and counts their times one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/scheduler.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define ENTRIES 24
#define STEPS 4000

struct model {
    struct wr_scheduler_plan plan;
    int64_t slot_ns, wanted_ns, due_ns;
    uint64_t order, runs, missed;
    bool queued, taken;
};

static struct model models[ENTRIES];
static struct wr_scheduler_entry entries[ENTRIES];
static struct wr_clock_virtual clock_of_model, clock_of_code; /* of the same seed: both draw the same jitter */
static uint64_t orders;

static void model_plan(struct model *model, int64_t slot_ns) {
    model->slot_ns = model->wanted_ns = slot_ns;
    if (model->plan.jitter_ns > 0)
        model->wanted_ns += (int64_t)(wr_clock_random_u64(&clock_of_model.clock) % (uint64_t)model->plan.jitter_ns);
    model->due_ns = model->wanted_ns;
}

static void model_queue(struct model *model) {
    model->queued = true;
    model->order = orders++;
}

static bool before(const struct model *a, const struct model *b) {
    if (a->due_ns != b->due_ns)
        return a->due_ns < b->due_ns;
    return a->plan.priority != b->plan.priority ? a->plan.priority < b->plan.priority : a->order < b->order;
}

static struct model *model_first(void) {
    struct model *first = NULL;
    for (int i = 0; i < ENTRIES; i++)
        if (models[i].queued && (!first || before(&models[i], first)))
            first = &models[i];
    return first;
}

static void model_pass(struct model *model) {
    model->slot_ns += model->plan.every_ns;
    model->wanted_ns = model->due_ns = model->slot_ns;
    model->missed++;
}

static void model_miss(struct model *model, int64_t now_ns) {
    const int64_t every_ns = model->plan.every_ns;
    const int64_t grace_ns = model->plan.grace_ns ? model->plan.grace_ns : every_ns / 2;
    if (every_ns == 0 || now_ns - model->wanted_ns <= grace_ns)
        return;
    switch (model->plan.missed) {
    case WR_SCHEDULER_SKIP:
        do
            model_pass(model);
        while (now_ns - model->slot_ns > grace_ns);
        model_plan(model, model->slot_ns);
        break;
    case WR_SCHEDULER_RUN_ONCE:
        while (model->slot_ns + every_ns <= now_ns)
            model_pass(model);
        break;
    case WR_SCHEDULER_CATCH_UP:
        while (model->slot_ns + WR_SCHEDULER_CATCH_UP_MAX * every_ns <= now_ns)
            model_pass(model);
        break;
    }
}

static struct model *model_take(int64_t now_ns) {
    for (struct model *first; (first = model_first()) && first->due_ns <= now_ns;) {
        first->queued = false;
        model_miss(first, now_ns);
        if (first->due_ns <= now_ns) {
            first->taken = true;
            return first;
        }
        model_queue(first);
    }
    return NULL;
}

/* -- both, side by side ------------------------------------------------------------------------------------------------------------------- */

static void add(struct wr_random *random, struct wr_scheduler *scheduler, int i, int64_t now_ns) {
    static const int64_t intervals[] = {0, 1, 7, 100, 1000, 60000};
    struct wr_scheduler_plan plan = {.name = "task",
                                     .first_boot_ns = now_ns + (int64_t)wr_random_below(random, 300),
                                     .every_ns = intervals[wr_random_below(random, 6)],
                                     .priority = (uint32_t)wr_random_below(random, 3),
                                     .missed = (enum wr_scheduler_missed)wr_random_below(random, 3)};
    if (plan.every_ns > 1 && wr_random_below(random, 2))
        plan.jitter_ns = (int64_t)wr_random_below(random, (uint64_t)plan.every_ns);
    if (wr_random_below(random, 3) == 0)
        plan.grace_ns = (int64_t)wr_random_below(random, 300);
    models[i] = (struct model){.plan = plan};
    entries[i] = (struct wr_scheduler_entry){.plan = plan};
    model_plan(&models[i], plan.first_boot_ns);
    model_queue(&models[i]);
    assert_int_equal(wr_scheduler_add(scheduler, &entries[i], NULL), WR_OK);
}

static void compare(const struct wr_scheduler *scheduler) {
    const struct model *first = model_first();
    assert_true(wr_scheduler_is_valid(scheduler));
    assert_int_equal(wr_scheduler_next(scheduler), first ? first->due_ns : WR_NEVER_NS);
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(entries[i].at > 0, models[i].queued);
        assert_int_equal(entries[i].taken, models[i].taken);
        assert_int_equal(entries[i].runs, models[i].runs);
        assert_int_equal(entries[i].missed, models[i].missed);
    }
}

static void end_run(struct wr_random *random, struct wr_scheduler *scheduler, int i, int64_t now_ns) {
    models[i].taken = false;
    if (wr_random_below(random, 4) == 0) {
        const int64_t at_ns = now_ns + (int64_t)wr_random_below(random, 50);
        wr_scheduler_put_off(scheduler, &entries[i], at_ns);
        models[i].due_ns = at_ns > models[i].due_ns ? at_ns : models[i].due_ns;
        model_queue(&models[i]);
        return;
    }
    wr_scheduler_done(scheduler, &entries[i]);
    models[i].runs++;
    if (models[i].plan.every_ns == 0)
        return;
    model_plan(&models[i], models[i].slot_ns + models[i].plan.every_ns);
    model_queue(&models[i]);
}

static void remove_entry(struct wr_scheduler *scheduler, int i) {
    wr_scheduler_remove(scheduler, &entries[i]);
    models[i].queued = models[i].taken = false;
}

static int64_t pass_time(struct wr_random *random) {
    switch (wr_random_below(random, 8)) {
    case 0:
        return (int64_t)wr_random_below(random, 100000); /* the machine slept */
    case 1:
    case 2:
        return (int64_t)wr_random_below(random, 500);
    default:
        return (int64_t)wr_random_below(random, 10);
    }
}

static void behaves_as_the_model(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    const uint64_t seed = wr_random_u64(&random);
    struct wr_scheduler scheduler;
    memset(models, 0, sizeof models);
    memset(entries, 0, sizeof entries);
    wr_clock_virtual_init(&clock_of_model, 1000, 0, seed);
    wr_clock_virtual_init(&clock_of_code, 1000, 0, seed);
    wr_scheduler_init(&scheduler, &clock_of_code.clock);
    for (int step = 0; step < STEPS; step++) {
        const int64_t now_ns = wr_clock_boot_ns(&clock_of_code.clock);
        const int i = (int)wr_random_below(&random, ENTRIES);
        const uint64_t what = wr_random_below(&random, 8);
        if (!models[i].queued && !models[i].taken && what < 4) {
            add(&random, &scheduler, i, now_ns);
        } else if (models[i].taken && what < 7) {
            end_run(&random, &scheduler, i, now_ns);
        } else if (what == 7 && wr_random_below(&random, 4) == 0) {
            remove_entry(&scheduler, i);
        } else if (what < 4) {
            const struct model *expected = model_take(now_ns);
            const struct wr_scheduler_entry *taken = wr_scheduler_take(&scheduler, now_ns);
            assert_ptr_equal(taken, expected ? &entries[expected - models] : NULL);
        } else {
            wr_clock_virtual_advance(&clock_of_code, pass_time(&random));
        }
        compare(&scheduler);
    }
    wr_scheduler_fini(&scheduler);
}

/* What the header says in words, on one plan each: every 100 from 1000, with a run that takes until `late`. */
static void each_policy_by_example(void **state) {
    (void)state;
    static const struct {
        enum wr_scheduler_missed missed;
        int64_t late_ns; /* now, when the run of 1000 ends */
        int64_t next_ns; /* the plan's time of the next run */
        bool at_once;
        uint64_t counted;
    } rows[] = {
        {WR_SCHEDULER_SKIP, 1130, 1100, true, 0},      /* late, but within grace */
        {WR_SCHEDULER_SKIP, 1160, 1200, false, 1},     /* missed: waits for the next time */
        {WR_SCHEDULER_SKIP, 1510, 1500, true, 4},      /* just in time for a later one */
        {WR_SCHEDULER_RUN_ONCE, 1130, 1100, true, 0},  /* */
        {WR_SCHEDULER_RUN_ONCE, 1160, 1100, true, 0},  /* */
        {WR_SCHEDULER_RUN_ONCE, 1590, 1500, true, 4},  /* one for five */
        {WR_SCHEDULER_CATCH_UP, 1590, 1100, true, 0},  /* each of them */
        {WR_SCHEDULER_CATCH_UP, 4150, 2600, true, 15}, /* the latest sixteen */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wr_scheduler scheduler;
        struct wr_scheduler_entry entry = {.plan = {.name = "task", .first_boot_ns = 1000, .every_ns = 100, .missed = rows[i].missed}};
        wr_scheduler_init(&scheduler, wr_clock_real());
        assert_int_equal(wr_scheduler_add(&scheduler, &entry, NULL), WR_OK);
        assert_null(wr_scheduler_take(&scheduler, 999));
        assert_ptr_equal(wr_scheduler_take(&scheduler, 1000), &entry);
        assert_null(wr_scheduler_take(&scheduler, 1250)); /* it runs: it does not overlap itself */
        wr_scheduler_done(&scheduler, &entry);
        assert_ptr_equal(wr_scheduler_take(&scheduler, rows[i].late_ns), rows[i].at_once ? &entry : NULL);
        assert_int_equal(entry.slot_ns, rows[i].next_ns);
        assert_int_equal(entry.missed, rows[i].counted);
        assert_int_equal(scheduler.missed, rows[i].counted);
        wr_scheduler_fini(&scheduler);
    }
}

static void times_at_the_end_of_time(void **state) {
    (void)state;
    struct wr_scheduler scheduler;
    struct wr_scheduler_entry late = {.plan = {.name = "late", .first_boot_ns = WR_NEVER_NS - 1, .every_ns = WR_NEVER_NS}};
    struct wr_scheduler_entry never = {.plan = {.name = "never", .first_boot_ns = WR_NEVER_NS}};
    wr_scheduler_init(&scheduler, wr_clock_real());
    assert_int_equal(wr_scheduler_add(&scheduler, &never, NULL), WR_OK);
    assert_int_equal(wr_scheduler_add(&scheduler, &late, NULL), WR_OK);
    assert_int_equal(wr_scheduler_next(&scheduler), WR_NEVER_NS - 1);
    assert_ptr_equal(wr_scheduler_take(&scheduler, WR_NEVER_NS - 1), &late);
    wr_scheduler_done(&scheduler, &late);
    assert_null(wr_scheduler_take(&scheduler, WR_NEVER_NS - 1));
    wr_scheduler_fini(&scheduler);
}

static void bad_plans_and_no_memory(void **state) {
    (void)state;
    struct wr_scheduler scheduler;
    wr_scheduler_init(&scheduler, wr_clock_real());
    const struct wr_scheduler_plan bad[] = {{.name = "a", .first_boot_ns = -1},
                                            {.name = "b", .every_ns = -1},
                                            {.name = "c", .every_ns = 5, .jitter_ns = 5},
                                            {.name = "d", .every_ns = 5, .jitter_ns = -1},
                                            {.name = "e", .every_ns = 5, .grace_ns = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wr_scheduler_entry entry = {.plan = bad[i]};
        struct wr_error err = {0};
        assert_int_equal(wr_scheduler_add(&scheduler, &entry, &err), WR_INVALID);
        assert_true(err.text[0] == bad[i].name[0]);
    }
    static struct wr_scheduler_entry many[40];
    memset(many, 0, sizeof many);
    size_t there = 0;
    for (long n = 0; there < sizeof many / sizeof many[0]; n++) { /* each growth fails once */
        many[there].plan.name = "many";
        wr_failing_allocations(n % 2);
        const enum wr_result result = wr_scheduler_add(&scheduler, &many[there], NULL);
        assert_int_equal(result, wr_failing_hit() ? WR_NO_MEMORY : WR_OK);
        wr_failing_off();
        assert_true(wr_scheduler_is_valid(&scheduler));
        there += result == WR_OK;
    }
    for (size_t i = 0; i < there; i++)
        wr_scheduler_remove(&scheduler, &many[i]);
    assert_int_equal(scheduler.members, 0);
    wr_scheduler_fini(&scheduler);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_the_model),
        cmocka_unit_test(each_policy_by_example),
        cmocka_unit_test(times_at_the_end_of_time),
        cmocka_unit_test(bad_plans_and_no_memory),
    };
    return cmocka_run_group_tests_name("core/scheduler", tests, NULL, NULL);
}
