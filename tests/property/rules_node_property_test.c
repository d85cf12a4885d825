/* Nodes against a model that knows nothing of signals, thresholds, queues or timers: it looks at every rule at every second and at every sample, and
 * computes everything anew from what was said so far. Both must hold the same conditions after every step. WEIR_SEED repeats a run. */
#include "tests/support/rules_fixture.h"

#include <time.h>

#define S FIXTURE_SECOND
#define STEPS 40000
#define MEMBERS 3
#define HISTORY 8

static const char text[] = "derive:\n"
                           "  - {point: d, of: \"a - b\"}\n"
                           "rules:\n"
                           "  - {rule: held, when: \"held(a > 5, 10s)\"}\n"
                           "  - {rule: hits, when: \"hits(a > 5, 2, 3)\"}\n"
                           "  - {rule: pairs, when: \"hits(a > b, 2, 3)\"}\n"
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

enum { HELD, HITS, PAIRS, MARGIN, HIGHEST, COUNT, SPREAD, VOTE, INNER, LEVEL, ORDER, ABSENT, RULES };
static const char *const names[RULES] = {"held",   "hits", "pairs", "margin", "highest", "count",
                                         "spread", "vote", "inner", "level",  "order",   "absent"};

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
    bool pairs[HISTORY]; /* a > b, one a stamp */
    int n_pairs;
    int pair_first; /* whose sample began the last of them */
    int64_t pair_at;
    bool pair_known;
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
    hits = 0;
    for (int i = 0; i < 3 && i < m->n_pairs; i++)
        hits += m->pairs[i];
    m->condition[PAIRS] = hits >= 2;
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

/* a > b: what b says at the stamp of a corrects what a said, and the other way round; the same series again is a new sample. */
static void model_pair(struct model *m, int series) {
    const bool corrects = m->pair_at == m->t && m->pair_first != series;
    const bool known = m->has[0] && m->has[1];
    if (!known && m->pair_first >= 0)
        return; /* unknown as before */
    if (!corrects) {
        m->pair_first = series;
        m->pair_at = m->t;
    }
    if (known && (!corrects || !m->pair_known)) {
        memmove(m->pairs + 1, m->pairs, (HISTORY - 1) * sizeof *m->pairs);
        m->n_pairs += m->n_pairs < HISTORY;
    }
    if (known)
        m->pairs[0] = m->value[0] > m->value[1];
    m->pair_known = known;
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
    if (series < 2)
        model_pair(m, series);
    look(m, series);
}

static void compare(const struct rules_fixture *f, const struct model *m, int step, unsigned seed) {
    for (int r = 0; r < RULES; r++) {
        uint32_t index = wr_evaluator_find(f->evaluator, wr_ruleset_find(f->rules, names[r]), "");
        bool condition = index != WR_INSTANCE_NONE && f->evaluator->instances[index].condition;
        if (condition != m->condition[r]) {
            print_error("WEIR_SEED=%u step %d, second %lld: %s is %d, the model says %d\n", seed, step, (long long)m->t, names[r],
                        condition, m->condition[r]);
            fail();
        }
    }
}

static void against_model(void **state) {
    (void)state;
    const char *given = getenv("WEIR_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("WEIR_SEED=%u\n", seed);
    unsigned random = seed;
    struct rules_fixture f;
    struct model m = {.pair_first = -1};
    uint32_t series[3], members[MEMBERS];
    fixture_init(&f, text);
    for (int i = 0; i < 3; i++)
        series[i] = fixture_series(&f, (const char *[]){"a", "b", "c"}[i], "");
    for (int i = 0; i < MEMBERS; i++)
        members[i] = fixture_series(&f, "m", (const char *[]){"n=1", "n=2", "n=3"}[i]);
    for (int step = 0; step < STEPS; step++) {
        f.n_log = 0;
        unsigned what = (unsigned)rand_r(&random) % 10;
        double value = (double)(rand_r(&random) % 11);
        if (what < 3) {
            int64_t seconds = rand_r(&random) % 8;
            fixture_pass(&f, seconds * S);
            model_pass(&m, seconds);
        } else if (what < 8) {
            int which = rand_r(&random) % 3;
            if (which == 2)
                value = rand_r(&random) % 2 ? value : 0;
            fixture_value(&f, series[which], value);
            model_sample(&m, which, value);
        } else {
            int which = rand_r(&random) % MEMBERS;
            bool bad = rand_r(&random) % 5 == 0;
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
