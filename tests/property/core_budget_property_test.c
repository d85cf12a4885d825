/* Budgets against a list of everything that was spent, with its true time: over restarts and kills, months of all lengths, and boots whose wall clock begins in 1970. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include "core/budget.h"
#include "tests/support/random.h"

#define ROUNDS 60
#define STEPS 3000
#define HOUR_NS (3600 * WR_NS_PER_S)
#define DAY_NS (24 * HOUR_NS)
#define START_S 1700000000 /* in November 2023: what follows has a leap day */

struct spending {
    int64_t true_ns;
    uint64_t bytes;
};

struct world {
    struct wr_random dice;
    enum wr_budget_period period;
    unsigned from_day;
    struct spending list[STEPS];
    unsigned n;
    int64_t true_ns;
    int64_t boot_ns;
    bool trusted;
    uint64_t unsure; /* spent since the clock was last trusted */
    struct wr_budget budget;
    /* as of the last check */
    bool sure;  /* the clock was trusted */
    bool vague; /* running time ended a period: nobody can say what is of which, until the next one */
    int64_t begins_ns;
    uint64_t excess; /* counted beyond what was spent in the period: it might have been */
    uint64_t count;  /* as of the last look */
};

static uint64_t below(struct world *w, uint64_t end) {
    return wr_random_below(&w->dice, end);
}

static struct wr_now now_of(const struct world *w) {
    return (struct wr_now){.boot_ns = w->boot_ns, .wall_ns = w->trusted ? w->true_ns : w->boot_ns, .wall_trusted = w->trusted};
}

/* By the C library's calendar. */
static int64_t period_begins_ns(const struct world *w, int64_t at_ns) {
    time_t seconds = (time_t)(at_ns / WR_NS_PER_S);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    parts.tm_sec = parts.tm_min = parts.tm_hour = 0;
    if (w->period == WR_BUDGET_MONTH) {
        if (parts.tm_mday < (int)w->from_day)
            parts.tm_mon--;
        parts.tm_mday = (int)w->from_day;
    }
    return (int64_t)timegm(&parts) * WR_NS_PER_S;
}

static uint64_t spent_since(const struct world *w, int64_t from_ns) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->n; i++)
        sum += w->list[i].true_ns >= from_ns ? w->list[i].bytes : 0;
    return sum;
}

/* Where there is no clock a period may end here, unseen by the list. */
static void look(struct world *w) {
    const struct wr_now now = now_of(w);
    wr_budget_look(&w->budget, &now);
    w->vague |= !w->trusted && w->budget.count.spent < w->count;
    w->count = w->budget.count.spent;
}

static void spend(struct world *w) {
    const struct wr_now now = now_of(w);
    look(w);
    const uint64_t bytes = below(w, 1000);
    struct wr_budget less = w->budget;
    wr_budget_spend(&less, bytes / 2, &now);
    wr_budget_spend(&w->budget, bytes, &now);
    assert_true(less.level <= w->budget.level); /* G4 */
    w->list[w->n++] = (struct spending){.true_ns = w->true_ns, .bytes = bytes};
    w->unsure += w->trusted ? 0 : bytes;
}

static void check_trusted(struct world *w) {
    const struct wr_budget_count *count = &w->budget.count;
    const int64_t begins_ns = period_begins_ns(w, w->true_ns);
    assert_int_equal(count->begins_wall_ns, begins_ns);
    assert_true(w->true_ns < count->ends_wall_ns);
    assert_int_equal(period_begins_ns(w, count->ends_wall_ns), count->ends_wall_ns);
    if (w->sure && begins_ns != w->begins_ns) {
        w->vague = false;
        w->excess = 0;
    }
    w->begins_ns = begins_ns;
    if (w->vague)
        return;
    const uint64_t spent = spent_since(w, begins_ns);
    assert_true(count->spent >= spent); /* G1 */
    if (w->sure)
        assert_int_equal(count->spent - spent, w->excess); /* G1 */
    else
        assert_true(count->spent - spent <= w->excess + w->unsure); /* G2 */
    w->excess = count->spent - spent;
}

static void check(struct world *w) {
    look(w);
    assert_true(wr_budget_is_valid(&w->budget));
    assert_true(wr_budget_next_look_ns(&w->budget) > w->boot_ns);
    if (w->trusted)
        check_trusted(w);
    w->sure = w->trusted;
    w->unsure = w->trusted ? 0 : w->unsure;
}

static void restart(struct world *w, bool first, uint64_t limit) {
    const struct wr_budget_count kept = w->budget.count;
    w->true_ns += first ? 0 : (int64_t)below(w, 3 * DAY_NS);
    w->boot_ns = (int64_t)below(w, 100 * WR_NS_PER_S);
    w->trusted = below(w, 2) == 0;
    wr_budget_init(&w->budget, w->period, limit, w->from_day);
    w->count = 0;
    if (below(w, 2) == 0) /* something is sent before the store has told what it keeps */
        spend(w);
    if (!first)
        wr_budget_restore(&w->budget, &kept);
    w->count = w->budget.count.spent; /* what it restored may be all over at the first look */
    check(w);
}

static void step(struct world *w, uint64_t limit) {
    const int64_t pass_ns = (int64_t)below(w, 2) ? (int64_t)below(w, 2 * HOUR_NS) : (int64_t)below(w, WR_NS_PER_S);
    w->true_ns += pass_ns;
    w->boot_ns += pass_ns;
    switch (below(w, 50)) {
    case 0:
        if (w->trusted) /* one that is not is another test's */
            restart(w, false, limit);
        break;
    case 1:
    case 2:
        w->trusted = true;
        break;
    default:
        if (w->n < STEPS - 1)
            spend(w);
    }
    check(w);
}

static void counts_are_those_of_a_list(void **state) {
    (void)state;
    struct wr_random dice = wr_random_begin();
    for (unsigned round = 0; round < ROUNDS; round++) {
        static struct world w;
        w = (struct world){.dice = dice, .period = round % 2 ? WR_BUDGET_DAY : WR_BUDGET_MONTH, .true_ns = START_S * WR_NS_PER_S};
        w.from_day = 1 + (unsigned)below(&w, WR_BUDGET_FROM_DAY_MAX);
        w.true_ns += (int64_t)below(&w, 365 * DAY_NS);
        const uint64_t limit = below(&w, 4) ? 1 + below(&w, 200000) : 0;
        restart(&w, true, limit);
        for (unsigned i = 0; i < STEPS - 200; i++)
            step(&w, limit);
        dice = w.dice;
    }
}

/* Whoever spends evenly is never told to spare, and whoever heeds the levels has something left for what is urgent, to the end. */
static void the_ladder_lasts_to_the_end(void **state) {
    (void)state;
    struct wr_random dice = wr_random_begin();
    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t limit = 100000 + wr_random_below(&dice, 100000000);
        const uint64_t urgent = wr_random_below(&dice, limit / 20 / 1440); /* a minute: less than a twentieth in all */
        struct wr_budget even, greedy;
        struct wr_now now = {.boot_ns = WR_NS_PER_S, .wall_ns = 20000 * DAY_NS, .wall_trusted = true};
        const int64_t end_ns = now.wall_ns + DAY_NS;
        wr_budget_init(&even, WR_BUDGET_DAY, limit, 1);
        wr_budget_init(&greedy, WR_BUDGET_DAY, limit, 1);
        unsigned seen = 0;
        for (; now.wall_ns < end_ns; now.wall_ns += 60 * WR_NS_PER_S, now.boot_ns += 60 * WR_NS_PER_S) {
            wr_budget_spend(&even, limit / 1440, &now);
            assert_true(even.level == WR_BUDGET_FREE || end_ns - now.wall_ns <= 600 * WR_NS_PER_S);
            wr_budget_spend(&greedy, urgent, &now);
            seen |= 1u << greedy.level;
            if (greedy.level == WR_BUDGET_SLOW)
                wr_budget_spend(&greedy, 60 * wr_budget_even_bytes_per_s(&greedy), &now);
            else if (greedy.level < WR_BUDGET_SLOW)
                wr_budget_spend(&greedy, limit / 200, &now);
            assert_true(end_ns - now.wall_ns < 3600 * WR_NS_PER_S || wr_budget_left(&greedy) > 0);
        }
        assert_true(greedy.count.spent <= limit + limit / 200 + 60 * urgent);
        assert_true(seen & 1u << WR_BUDGET_SLOW);
        wr_budget_look(&greedy, &now);
        assert_int_equal(greedy.count.spent, 0);
        assert_int_equal(greedy.level, WR_BUDGET_FREE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_are_those_of_a_list), cmocka_unit_test(the_ladder_lasts_to_the_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
