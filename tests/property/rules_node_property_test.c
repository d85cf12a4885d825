/* Nodes against a model that knows nothing of signals, thresholds, queues or timers: it looks at every rule at every second and at every sample, and
 * computes everything anew from what was said so far. Live, with samples that are late, some of them too late for the engine; and as a recording. Both must
 * hold the same conditions after every step. WEIR_SEED repeats a run. */
#include "tests/support/engine_fixture.h"
#include "tests/support/rules_fixture.h"

#include <inttypes.h>

#include "tests/support/random.h"

#define S FIXTURE_SECOND
#define STEPS 30000
#define MEMBERS 3
#define HISTORY 8
#define LATENESS 5 /* seconds: what is later the engine does not show to rules */

#define RULES_OF(three, four, five, eight, ten)                                                                                            \
    "derive:\n"                                                                                                                            \
    "  - {point: d, of: \"a - b\"}\n"                                                                                                      \
    "rules:\n"                                                                                                                             \
    "  - {rule: held, when: \"held(a > 5, " ten ")\"}\n"                                                                                   \
    "  - {rule: hits, when: \"hits(a > 5, 2, 3)\"}\n"                                                                                      \
    "  - {rule: pairs, when: \"hits(p > q, 2, 3)\"}\n"                                                                                     \
    "  - {rule: jump, when: delta(p - q) > 3}\n"                                                                                           \
    "  - {rule: margin, when: d > 2, on_delay: " five ", off_delay: " three "}\n"                                                          \
    "  - {rule: highest, when: max_of(m) > 7}\n"                                                                                           \
    "  - {rule: count, when: \"count_of(m > 5) >= 2\"}\n"                                                                                  \
    "  - {rule: spread, when: spread_of(m) > 4}\n"                                                                                         \
    "  - {rule: vote, when: \"vote(2, a > 5, b > 5, c > 5)\"}\n"                                                                           \
    "  - {rule: inner, when: \"held(d > 1, " four ") or avg(b, count 3) > 7\"}\n"                                                          \
    "  - rule: level\n"                                                                                                                    \
    "    value: a\n"                                                                                                                       \
    "    levels:\n"                                                                                                                        \
    "      - {name: H, when: value > 5, on_delay: " five "}\n"                                                                             \
    "      - {name: HH, when: value > 8, deadband: 2}\n"                                                                                   \
    "  - rule: order\n"                                                                                                                    \
    "    sequence:\n"                                                                                                                      \
    "      - {step: a > 5}\n"                                                                                                              \
    "      - {step: b > 5, within: " ten "}\n"                                                                                             \
    "  - rule: absent\n"                                                                                                                   \
    "    sequence:\n"                                                                                                                      \
    "      - {step: rises(c)}\n"                                                                                                           \
    "      - {step: b > 5, within: " eight ", absent: true}\n"
static const char live_text[] = RULES_OF("3s", "4s", "5s", "8s", "10s");
/* No delay ends at the stamp of a sample, which has whole seconds: there it would be a matter of who comes first. */
static const char recorded_text[] = RULES_OF("2500ms", "3500ms", "4500ms", "7500ms", "9500ms");

enum { A, B, C, P, Q, MEMBER, SERIES = MEMBER + MEMBERS };

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
    int64_t t;              /* live: the time; of a recording how far it has come */
    int64_t at[RULES];      /* the time of each rule */
    bool begun[RULES];      /* of a recording: at holds */
    int64_t newest[SERIES]; /* stamp of each series */
    bool spoken[SERIES];
    bool has[3]; /* a, b, c */
    double value[3];
    double member[MEMBERS];
    bool good_member[MEMBERS];
    double as[HISTORY]; /* the last samples of a, the newest first */
    int n_as;
    struct {
        int64_t stamp;
        double value;
    } bs[HISTORY]; /* of b, the newest stamp first: what is late has its place in a window */
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

/* Each rule looks by itself, at its own time: m->at. fresh: the series that has just spoken, -1: none. */
static void look_at_sets(struct model *m) {
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
}

static void look_at_vote(struct model *m) {
    const int known = m->has[0] + m->has[1] + m->has[2];
    int votes = 0;
    for (int i = 0; i < 3; i++)
        votes += m->has[i] && m->value[i] > 5;
    if (votes >= 2)
        m->condition[VOTE] = true;
    else if (votes + 3 - known < 2)
        m->condition[VOTE] = false;
}

static void look_at_inner(struct model *m) {
    const bool has_d = m->has[0] && m->has[1];
    double mean = 0;
    for (int i = 0; i < 3 && i < m->n_bs; i++)
        mean += m->bs[i].value;
    mean = m->n_bs > 0 ? mean / (m->n_bs < 3 ? m->n_bs : 3) : 0;
    const bool inner = has_d && delay(&m->inner, m->value[0] - m->value[1] > 1, m->at[INNER], 4, 0);
    if (m->n_bs > 0 && mean > 7)
        m->condition[INNER] = true;
    else if (has_d)
        m->condition[INNER] = inner;
}

/* a > 5, then b > 5 within ten seconds; complete as long as b stays above. */
static void look_at_order(struct model *m, bool rose) {
    const bool b = m->has[1] && m->value[1] > 5;
    const int64_t t = m->at[ORDER];
    for (bool again = true; again;) {
        const bool met = m->order == 1 && b && t - m->order_since <= 10;
        again = false;
        if ((m->order == 2 && !b) || (m->order == 1 && !met && t - m->order_since >= 10)) {
            m->order = 0;
            again = true;
        } else if (m->order == 0 && rose) {
            m->order = 1;
            m->order_since = t;
            rose = false;
            again = true;
        } else if (met) {
            m->order = 2;
        } else if (m->order == 1 && rose) {
            m->order_since = t;
            rose = false;
        }
    }
    if (m->has[0])
        m->condition[ORDER] = m->order == 2;
}

/* c rises, then eight seconds without b > 5. */
static void look_at_absence(struct model *m, bool pulse) {
    const bool b = m->has[1] && m->value[1] > 5;
    const int64_t t = m->at[ABSENT];
    for (bool again = true; again;) {
        again = false;
        if (m->absent == 2 && b) {
            m->absent = 0;
            again = true;
        } else if (m->absent == 0 && pulse) {
            m->absent = 1;
            m->absent_since = t;
            pulse = false;
            again = true;
        } else if (m->absent == 1 && b && t - m->absent_since <= 8) {
            m->absent = 0;
        } else if (m->absent == 1 && t - m->absent_since >= 8) {
            m->absent = 2;
            again = true;
        }
    }
    if (m->has[2])
        m->condition[ABSENT] = m->absent == 2;
}

static void look(struct model *m, int rule, int fresh) {
    const bool a = m->has[0] && m->value[0] > 5;
    int hits = 0;
    switch (rule) {
    case HELD:
        if (m->has[0])
            m->condition[HELD] = delay(&m->held, a, m->at[HELD], 10, 0);
        break;
    case HITS:
        for (int i = 0; i < 3 && i < m->n_as; i++)
            hits += m->as[i] > 5;
        m->condition[HITS] = hits >= 2;
        break;
    case MARGIN:
        if (m->has[0] && m->has[1])
            m->condition[MARGIN] = delay(&m->margin, m->value[0] - m->value[1] > 2, m->at[MARGIN], 5, 3);
        break;
    case COUNT:
        look_at_sets(m);
        break;
    case VOTE:
        look_at_vote(m);
        break;
    case INNER:
        look_at_inner(m);
        break;
    case LEVEL:
        if (m->has[0]) {
            const bool first = delay(&m->high, a, m->at[LEVEL], 5, 0);
            m->high_high = m->value[0] > 8 || (m->high_high && m->value[0] > 6);
            m->condition[LEVEL] = first || m->high_high;
        }
        break;
    case ORDER:
        look_at_order(m, fresh == 0 && a && m->has_a_was && !m->a_was);
        break;
    case ABSENT:
        look_at_absence(m, fresh == 2 && m->has_c_was && !m->c_was && m->value[2] != 0);
        break;
    default: /* PAIRS and JUMP: model_pair */
        break;
    }
}

/* Up to here, second by second. */
static void rule_pass(struct model *m, int rule, int64_t to) {
    while (m->at[rule] < to) {
        m->at[rule]++;
        look(m, rule, -1);
    }
}

static void model_pass(struct model *m, int64_t seconds) {
    m->t += seconds;
    for (int r = 0; r < RULES; r++)
        rule_pass(m, r, m->t);
}

/* Whose clock a rule's time goes by in a recording: of a, b, c, once it begins. */
static bool reads(int rule, int series) {
    static const bool read[RULES][3] = {
        [HELD] = {true, false, false}, [LEVEL] = {true, false, false}, [MARGIN] = {true, true, false},
        [INNER] = {true, true, false}, [ORDER] = {true, true, false},  [ABSENT] = {false, true, true},
    };
    return read[rule][series];
}

static bool has_clock(const struct model *m, int rule) {
    if (rule == MARGIN || rule == INNER)
        return m->has[A] && m->has[B];
    return rule == ORDER ? m->has[A] || m->has[B] : rule == ABSENT ? m->has[B] || m->has[C] : m->has[A];
}

/* p > q: what the other one says at the stamp of who made it known, or unknown, corrects that; who began it begins a new one; unknown as before is none. */
static void model_pair(struct model *m, int series, bool good, double value, int64_t stamp) {
    struct pair *pair = &m->pair;
    pair->good[series] = good;
    if (good)
        pair->value[series] = value;
    const bool known = pair->good[0] && pair->good[1];
    const bool corrects = pair->begun && pair->at == stamp && pair->first != series;
    const bool begins = !corrects && (known || pair->known);
    if (begins) {
        pair->begun = true;
        pair->first = series;
        pair->at = stamp;
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

/* In a recording time passes for a rule when one of its series speaks, up to that stamp. */
static void recorded_pass(struct model *m, int series, int64_t stamp) {
    for (int r = 0; r < RULES; r++)
        if (reads(r, series) && m->begun[r])
            rule_pass(m, r, stamp);
}

static void model_sample(struct model *m, int series, double value, bool recorded, int64_t stamp) {
    if (recorded)
        recorded_pass(m, series, stamp);
    m->has[series] = true;
    m->value[series] = value;
    int place = 0;
    if (series == A) {
        memmove(m->as + 1, m->as, (HISTORY - 1) * sizeof *m->as);
        m->as[0] = value;
        m->n_as += m->n_as < HISTORY;
    } else if (series == B) {
        while (place < m->n_bs && m->bs[place].stamp > stamp)
            place++;
        if (place < HISTORY) {
            memmove(m->bs + place + 1, m->bs + place, (size_t)(HISTORY - 1 - place) * sizeof *m->bs);
            m->bs[place].stamp = stamp;
            m->bs[place].value = value;
            m->n_bs += m->n_bs < HISTORY;
        }
    }
    for (int r = 0; r < RULES; r++) {
        if (recorded && !m->begun[r] && has_clock(m, r)) {
            m->begun[r] = true;
            m->at[r] = stamp;
        }
        look(m, r, series);
    }
    if (series == 0) {
        m->has_a_was = true;
        m->a_was = value > 5;
    }
    if (series == 2) {
        m->has_c_was = true;
        m->c_was = value != 0;
    }
}

static void model_member(struct model *m, int which, bool good, double value) {
    m->good_member[which] = good;
    if (good)
        m->member[which] = value;
    look(m, COUNT, -1);
}

/* -- both ------------------------------------------------------------------------------------------------------------------------------------ */

static uint32_t series_named(struct wr_test_engine *test, int series) {
    static const char *const keys[SERIES] = {"a", "b", "c", "p", "q", "m,n=1", "m,n=2", "m,n=3"};
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    uint32_t id;
    const char *tag = strchr(keys[series], '=');
    struct wr_tag tags[] = {{{"n", 1}, {tag ? tag + 1 : "", 1}}};
    const struct wr_word name = {keys[series], 1};
    assert_int_equal(wr_series_key_make(name, (struct wr_word){"value", 5}, tags, tag != NULL, key, &len, NULL), WR_OK);
    assert_int_equal(wr_series_intern(test->series, key, len, &id), WR_OK);
    return id;
}

struct run {
    struct wr_test_engine test;
    struct wr_ruleset *rules;
    struct wr_evaluator *evaluator;
    struct model m;
    struct wr_random random;
    uint64_t seed;
    bool recorded;
    int64_t begin_ns; /* the stamp of second 0 */
    uint32_t series[SERIES];
};

/* Time passes, each timer at its own time. */
static void pass(struct run *run, int64_t seconds) {
    struct wr_test_engine *test = &run->test;
    const int64_t end_ns = test->now.boot_ns + seconds * S;
    model_pass(&run->m, seconds);
    for (bool more = true; more;) {
        int64_t due_ns = wr_engine_next_timer(test->engine);
        due_ns = due_ns > end_ns ? end_ns : due_ns < test->now.boot_ns ? test->now.boot_ns : due_ns;
        test->now.wall_ns += due_ns - test->now.boot_ns;
        test->now.boot_ns = due_ns;
        more = wr_engine_timers(test->engine, &test->now, 64, &test->out) || due_ns < end_ns;
        test->out.alarms.n = 0;
    }
}

static void send(struct run *run, int series, int64_t stamp, bool good, double value) {
    struct wr_test_engine *test = &run->test;
    test->batch = (struct wr_batch){.n = 1,
                                    .arrival_boot_ns = test->now.boot_ns,
                                    .wall_offset_ns = test->now.wall_ns - test->now.boot_ns,
                                    .wall_trusted = true,
                                    .recorded = run->recorded};
    test->batch.readings[0] = wr_test_reading(run->series[series], run->begin_ns + stamp * S, good ? value : NAN);
    while (wr_engine_take(test->engine, &test->batch, 0, &test->now, &test->out) == 0)
        test->out.alarms.n = 0;
    test->out.alarms.n = 0;
    if (run->recorded) { /* in almost no time */
        test->now.boot_ns++;
        test->now.wall_ns++;
    }
    while (wr_engine_next_timer(test->engine) <= test->now.boot_ns) { /* and what waited for room */
        (void)wr_engine_timers(test->engine, &test->now, 64, &test->out);
        test->out.alarms.n = 0;
    }
}

/* The stamp of the next sample of a series: mostly now. A delay on live data goes by the time of its arrival, so what is late there is older than what its series
 * has said; nobody measures time on p, q and the members. */
static int64_t stamp_of(struct run *run, int series) {
    const struct model *m = &run->m;
    if (wr_random_below(&run->random, 4) > 0)
        return m->t;
    const int64_t stamp = m->t - (int64_t)wr_random_below(&run->random, 9);
    const bool any = run->recorded || series >= P;
    return any || (m->spoken[series] && stamp < m->newest[series]) ? stamp : m->t;
}

static void say(struct run *run, int series) {
    struct model *m = &run->m;
    double value = (double)wr_random_below(&run->random, 11);
    bool good = true;
    if (series == C)
        value = wr_random_below(&run->random, 2) ? value : 0;
    if (series >= P)
        good = wr_random_below(&run->random, series >= MEMBER ? 5 : 4) > 0;
    const int64_t stamp = stamp_of(run, series);
    send(run, series, stamp, good, value);
    if (m->spoken[series] && stamp < m->newest[series] - LATENESS)
        return;
    if (!m->spoken[series] || stamp > m->newest[series])
        m->newest[series] = stamp;
    m->spoken[series] = true;
    if (series >= MEMBER)
        model_member(m, series - MEMBER, good, value);
    else if (series >= P)
        model_pair(m, series - P, good, value, stamp);
    else
        model_sample(m, series, value, run->recorded, stamp);
}

static void compare(const struct run *run, int step) {
    for (int r = 0; r < RULES; r++) {
        const uint32_t index = wr_evaluator_find(run->evaluator, wr_ruleset_find(run->rules, names[r]), "");
        const bool condition = index != WR_INSTANCE_NONE && run->evaluator->instances[index].condition;
        if (condition != run->m.condition[r]) {
            print_error("WEIR_SEED=%" PRIu64 " step %d, second %lld: %s is %d, the model says %d\n", run->seed, step, (long long)run->m.t,
                        names[r], condition, run->m.condition[r]);
            fail();
        }
    }
}

static void run_against_model(bool recorded) {
    static struct run run;
    struct wr_error err;
    run = (struct run){.random = wr_random_begin(), .recorded = recorded, .test = {.n_sources = 1, .unchecked = true}};
    run.seed = run.random.state;
    run.rules = fixture_load(recorded ? recorded_text : live_text);
    wr_test_engine_start(&run.test);
    if (wr_evaluator_new(run.rules, run.test.series, NULL, &run.evaluator, &err) != WR_OK)
        fail_msg("%s", err.text);
    (void)wr_engine_swap_evaluator(run.test.engine, run.evaluator);
    run.begin_ns = run.test.now.wall_ns - (recorded ? 400 * 86400 * S : 0);
    for (int i = 0; i < SERIES; i++)
        run.series[i] = series_named(&run.test, i);
    for (int step = 0; step < STEPS; step++) {
        const uint64_t what = wr_random_below(&run.random, 13);
        if (what < 3 && recorded)
            run.m.t += (int64_t)wr_random_below(&run.random, 8);
        else if (what < 3)
            pass(&run, (int64_t)wr_random_below(&run.random, 8));
        else if (what < 8)
            say(&run, (int)wr_random_below(&run.random, P));
        else if (what < 11)
            say(&run, P + (int)wr_random_below(&run.random, 2));
        else
            say(&run, MEMBER + (int)wr_random_below(&run.random, MEMBERS));
        compare(&run, step);
        if (step % 64 == 0)
            assert_true(wr_evaluator_is_valid(run.evaluator));
    }
    wr_test_engine_stop(&run.test);
    wr_ruleset_free(run.rules);
}

static void live(void **state) {
    (void)state;
    run_against_model(false);
}

/* Old data, as from a recording or the memory of a device: it comes in no time at all. */
static void recorded(void **state) {
    (void)state;
    run_against_model(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(live), cmocka_unit_test(recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
