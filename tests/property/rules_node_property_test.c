/* Nodes against a model that knows nothing of signals, thresholds, queues or timers: it looks at every rule at every second and at every sample, and
 * computes everything anew from what was said so far. Both must hold the same conditions after every step. WEIR_SEED repeats a run. */
#include "tests/support/rules_fixture.h"

#include <inttypes.h>

#include "tests/support/random.h"

#define S FIXTURE_SECOND
#define STEPS 40000
#define MEMBERS 3
#define HISTORY 8

static const char text[] = "derive:\n"
                           "  - {point: d, of: \"a - b\"}\n"
                           "rules:\n"
                           "  - {rule: held, when: \"held(a > 5, 10s)\"}\n"
                           "  - {rule: hits, when: \"hits(a > 5, 2, 3)\"}\n"
                           "  - {rule: pairs, when: \"hits(p > q, 2, 3)\"}\n"
                           "  - {rule: jump, when: delta(p - q) > 3}\n"
                           "  - {rule: margin, when: d > 2, on_delay: 5s, off_delay: 3s}\n"
                           "  - {rule: highest, when: max_of(m) > 7}\n"
                           "  - {rule: count, when: \"count_of(m > 5) >= 2\"}\n"
                           "  - {rule: spread, when: spread_of(m) > 4}\n"
                           "  - {rule: vote, when: \"vote(2, a > 5, b > 5, c > 5)\"}\n"
                           "  - {rule: inner, when: \"held(d > 1, 4s) or avg(b, count 3) > 7\"}\n"
                           "  - rule: level\n"
                           "    value: a\n"
                           "    levels:\n"
                           "      - {name: H, when: value > 5, on_delay: 5s}\n"
                           "      - {name: HH, when: value > 8, deadband: 2}\n"
                           "  - rule: order\n"
                           "    sequence:\n"
                           "      - {step: a > 5}\n"
                           "      - {step: b > 5, within: 10s}\n"
                           "  - rule: absent\n"
                           "    sequence:\n"
                           "      - {step: rises(c)}\n"
                           "      - {step: b > 5, within: 8s, absent: true}\n";

enum { HELD, HITS, PAIRS, JUMP, MARGIN, HIGHEST, COUNT, SPREAD, VOTE, INNER, LEVEL, ORDER, ABSENT, RULES };
static const char *const names[RULES] = {"held",   "hits", "pairs", "jump",  "margin", "highest", "count",
                                         "spread", "vote", "inner", "level", "order",  "absent"};

/* A condition that has to be true for on, or false for off seconds. */
struct delayed {
    bool now;
    bool pending;
    int64_t since;
};

static bool delay(struct delayed *d, bool raw, int64_t t, int64_t on, int64_t off) {
    if (raw == d->now) {
        d->pending = false;
        return d->now;
    }
    if (!d->pending) {
        d->pending = true;
        d->since = t;
    }
    if (t - d->since >= (raw ? on : off)) {
        d->now = raw;
        d->pending = false;
    }
    return d->now;
}

struct model {
    int64_t t;
    bool has[3]; /* a, b, c */
    double value[3];
    double member[MEMBERS];
    bool has_member[MEMBERS];
    bool good_member[MEMBERS];
    double as[HISTORY]; /* the last samples of a, the newest first */
    int n_as;
    double bs[HISTORY];
    int n_bs;
    struct pair {
        bool good[2]; /* p, q */
        double value[2];
        bool hit[HISTORY]; /* p > q, the newest first */
        int n;
        bool begun; /* a sample, by first, at at */
        int first;
        int64_t at;
        bool known;
        bool counted; /* the last sample is in hit */
        bool ever, moved, has_before;
        double last, before; /* p - q: of the last sample that had a value, of the one before it */
    } pair;
    struct delayed held, margin, inner, high;
    bool high_high;
    int order; /* steps met */
    int64_t order_since;
    bool a_was, c_was;
    bool has_a_was;
    bool has_c_was;
    int absent;
    int64_t absent_since;
    bool hits;
    bool condition[RULES];
};

/* fresh: the series that has just spoken; -1: none. */
static void look(struct model *m, int fresh) {
    bool a = m->has[0] && m->value[0] > 5;
    bool b = m->has[1] && m->value[1] > 5;
    bool c = m->has[2] && m->value[2] > 5;
    double d = m->value[0] - m->value[1];
    bool has_d = m->has[0] && m->has[1];
    if (m->has[0])
        m->condition[HELD] = delay(&m->held, a, m->t, 10, 0);
    int hits = 0;
    for (int i = 0; i < 3 && i < m->n_as; i++)
        hits += m->as[i] > 5;
    m->condition[HITS] = hits >= 2;
    if (has_d)
        m->condition[MARGIN] = delay(&m->margin, d > 2, m->t, 5, 3);
    int n = 0, above = 0;
    double low = 100, high = -100;
    for (int i = 0; i < MEMBERS; i++) {
        if (!m->good_member[i])
            continue;
        n++;
        above += m->member[i] > 5;
        low = m->member[i] < low ? m->member[i] : low;
        high = m->member[i] > high ? m->member[i] : high;
    }
    if (n > 0) {
        m->condition[HIGHEST] = high > 7;
        m->condition[SPREAD] = high - low > 4;
    }
    m->condition[COUNT] = above >= 2;
    int known = m->has[0] + m->has[1] + m->has[2];
    if (a + b + c >= 2)
        m->condition[VOTE] = true;
    else if (a + b + c + 3 - known < 2)
        m->condition[VOTE] = false;
    double mean = 0;
    for (int i = 0; i < 3 && i < m->n_bs; i++)
        mean += m->bs[i];
    mean = m->n_bs > 0 ? mean / (m->n_bs < 3 ? m->n_bs : 3) : 0;
    bool inner = has_d && delay(&m->inner, d > 1, m->t, 4, 0);
    if (m->n_bs > 0 && mean > 7)
        m->condition[INNER] = true;
    else if (has_d)
        m->condition[INNER] = inner;
    if (m->has[0]) {
        bool first = delay(&m->high, a, m->t, 5, 0);
        m->high_high = m->value[0] > 8 || (m->high_high && m->value[0] > 6);
        m->condition[LEVEL] = first || m->high_high;
    }
    /* a > 5, then b > 5 within ten seconds; complete as long as b stays above. */
    bool rose = fresh == 0 && a && m->has_a_was && !m->a_was;
    for (bool again = true; again;) {
        again = false;
        if (m->order == 2 && !b) {
            m->order = 0;
            again = true;
        } else if (m->order == 0 && rose) {
            m->order = 1;
            m->order_since = m->t;
            rose = false;
            again = true;
        } else if (m->order == 1 && b && m->t - m->order_since <= 10) {
            m->order = 2;
        } else if (m->order == 1 && m->t - m->order_since >= 10) {
            m->order = 0;
            again = true;
        } else if (m->order == 1 && rose) {
            m->order_since = m->t;
            rose = false;
        }
    }
    if (m->has[0])
        m->condition[ORDER] = m->order == 2;
    /* c rises, then eight seconds without b > 5. */
    bool pulse = fresh == 2 && m->has_c_was && !m->c_was && m->value[2] != 0;
    for (bool again = true; again;) {
        again = false;
        if (m->absent == 2 && b) {
            m->absent = 0;
            again = true;
        } else if (m->absent == 0 && pulse) {
            m->absent = 1;
            m->absent_since = m->t;
            pulse = false;
            again = true;
        } else if (m->absent == 1 && b && m->t - m->absent_since <= 8) {
            m->absent = 0;
        } else if (m->absent == 1 && m->t - m->absent_since >= 8) {
            m->absent = 2;
            again = true;
        }
    }
    if (m->has[2])
        m->condition[ABSENT] = m->absent == 2;
    if (fresh == 0) {
        m->has_a_was = true;
        m->a_was = a;
    }
    if (fresh == 2) {
        m->has_c_was = true;
        m->c_was = m->value[2] != 0;
    }
}

static void model_pass(struct model *m, int64_t seconds) {
    for (int64_t i = 0; i < seconds; i++) {
        m->t++;
        look(m, -1);
    }
}

/* p > q: what the other one says at the stamp of who made it known, or unknown, corrects that; who began it begins a new one; unknown as before is none. */
static void model_pair(struct model *m, int series, bool good, double value) {
    struct pair *pair = &m->pair;
    pair->good[series] = good;
    if (good)
        pair->value[series] = value;
    const bool known = pair->good[0] && pair->good[1];
    const bool corrects = pair->begun && pair->at == m->t && pair->first != series;
    const bool begins = !corrects && (known || pair->known);
    if (begins) {
        pair->begun = true;
        pair->first = series;
        pair->at = m->t;
    }
    if (corrects && pair->counted && !known) { /* it was one, and is none */
        memmove(pair->hit, pair->hit + 1, (HISTORY - 1) * sizeof *pair->hit);
        pair->n--;
        pair->counted = false;
    }
    if (begins)
        pair->counted = pair->moved = false;
    if (known && !pair->counted) {
        memmove(pair->hit + 1, pair->hit, (HISTORY - 1) * sizeof *pair->hit);
        pair->n += pair->n < HISTORY;
        pair->counted = true;
    }
    const double d = pair->value[0] - pair->value[1];
    if (known && !pair->moved) {
        pair->has_before = pair->ever;
        pair->before = pair->last;
    }
    if (known) {
        pair->hit[0] = d > 0;
        pair->last = d;
        pair->ever = pair->moved = true;
    }
    pair->known = known;
    int hits = 0;
    for (int i = 0; i < 3 && i < pair->n; i++)
        hits += pair->hit[i];
    if (pair->n > 0)
        m->condition[PAIRS] = hits >= 2;
    if (known && pair->has_before)
        m->condition[JUMP] = d - pair->before > 3;
}

static void model_sample(struct model *m, int series, double value) {
    m->has[series] = true;
    m->value[series] = value;
    double *history = series == 0 ? m->as : series == 1 ? m->bs : NULL;
    int *n = series == 0 ? &m->n_as : &m->n_bs;
    if (history) {
        memmove(history + 1, history, (HISTORY - 1) * sizeof *history);
        history[0] = value;
        *n += *n < HISTORY;
    }
    look(m, series);
}

static void compare(const struct rules_fixture *f, const struct model *m, int step, uint64_t seed) {
    for (int r = 0; r < RULES; r++) {
        uint32_t index = wr_evaluator_find(f->evaluator, wr_ruleset_find(f->rules, names[r]), "");
        bool condition = index != WR_INSTANCE_NONE && f->evaluator->instances[index].condition;
        if (condition != m->condition[r]) {
            print_error("WEIR_SEED=%" PRIu64 " step %d, second %lld: %s is %d, the model says %d\n", seed, step, (long long)m->t, names[r],
                        condition, m->condition[r]);
            fail();
        }
    }
}

static void against_model(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    const uint64_t seed = random.state;
    struct rules_fixture f;
    struct model m = {0};
    uint32_t series[3], pair[2], members[MEMBERS];
    fixture_init(&f, text);
    for (int i = 0; i < 3; i++)
        series[i] = fixture_series(&f, (const char *[]){"a", "b", "c"}[i], "");
    for (int i = 0; i < 2; i++)
        pair[i] = fixture_series(&f, i == 0 ? "p" : "q", "");
    for (int i = 0; i < MEMBERS; i++)
        members[i] = fixture_series(&f, "m", (const char *[]){"n=1", "n=2", "n=3"}[i]);
    for (int step = 0; step < STEPS; step++) {
        f.n_log = 0;
        const uint64_t what = wr_random_below(&random, 13);
        double value = (double)wr_random_below(&random, 11);
        if (what < 3) {
            const int64_t seconds = (int64_t)wr_random_below(&random, 8);
            fixture_pass(&f, seconds * S);
            model_pass(&m, seconds);
        } else if (what < 8) {
            const int which = (int)wr_random_below(&random, 3);
            if (which == 2)
                value = wr_random_below(&random, 2) ? value : 0;
            fixture_value(&f, series[which], value);
            model_sample(&m, which, value);
        } else if (what < 11) {
            const int which = (int)wr_random_below(&random, 2);
            const bool good = wr_random_below(&random, 4) > 0;
            fixture_value(&f, pair[which], good ? value : NAN);
            model_pair(&m, which, good, value);
        } else {
            const int which = (int)wr_random_below(&random, MEMBERS);
            const bool bad = wr_random_below(&random, 5) == 0;
            fixture_value(&f, members[which], bad ? NAN : value);
            m.has_member[which] = true;
            m.good_member[which] = !bad;
            if (!bad)
                m.member[which] = value;
            look(&m, -1);
        }
        compare(&f, &m, step, seed);
        if (step % 64 == 0)
            assert_true(wr_evaluator_is_valid(f.evaluator));
    }
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
