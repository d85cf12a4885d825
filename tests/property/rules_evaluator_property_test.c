/* The evaluator against a model that knows nothing of bands, timers, thresholds or queues: it looks at every rule at every second and at every
 * sample. Random samples (good, bad, out of range, late, in bursts of old data), times, steps of the wall clock, acknowledgements, resets,
 * restarts and reloads; both must be in the same states with the same numbers of transitions after every step. WEIR_SEED repeats a run. */
#include "tests/support/random.h"
#include "tests/support/rules_fixture.h"

#define S FIXTURE_SECOND
#define STEPS 60000
#define SAMPLES 512

static const char *const lines[] = {
    "  - {rule: r0, when: x > 8, on_delay: 5s, off_delay: 3s, deadband: 1}\n",
    "  - {rule: r1, when: x > 8, latch: true, no_data: raise, no_data_after: 20s}\n",
    "  - {rule: r2, when: x outside 2..8, off_delay: 4s, auto_ack: true, no_data: clear, no_data_after: 15s}\n",
    "  - {rule: r3, when: age(x) >= 12s, on_delay: 3s}\n",
    "  - {rule: r4, when: \"avg(x, 10s) > 6\", on_delay: 2s, no_data_after: 30s}\n",
    "  - {rule: r5, when: x > 5 and y < 3, on_delay: 4s}\n",
    "  - {rule: r6, when: x > 7 or not y, no_data_after: 25s}\n",
    "  - {rule: r7, when: \"count(x, 8s) < 3\", auto_ack: true, latch: true}\n",
    "  - {rule: r8, when: x - y > 2, clear: x < 4, on_delay: 2s}\n",
    "  - {rule: r9, when: delta(x) > 1 or age(y) >= 20s, off_delay: 5s}\n",
    "  - {rule: r10, when: \"max(y, count 3) >= 9\", on_delay: 1s, no_data: raise, no_data_after: 40s}\n",
};
static char text[4096];

#define RULES 11
#define NEVER 0

struct spec {
    int64_t on;
    int64_t off;
    bool latch;
    bool auto_ack;
    enum { HOLD, RAISE, CLEAR } no_data;
    int64_t after;
    bool reads[2];
};

static const struct spec specs[RULES] = {
    {5, 3, false, false, HOLD, NEVER, {true, false}}, {0, 0, true, false, RAISE, 20, {true, false}},
    {0, 4, false, true, CLEAR, 15, {true, false}},    {3, 0, false, false, HOLD, NEVER, {true, false}},
    {2, 0, false, false, HOLD, 30, {true, false}},    {4, 0, false, false, HOLD, NEVER, {true, true}},
    {0, 0, false, false, HOLD, 25, {true, true}},     {0, 0, true, true, HOLD, NEVER, {true, false}},
    {2, 0, false, false, HOLD, NEVER, {true, true}},  {0, 5, false, false, HOLD, NEVER, {true, true}},
    {1, 0, false, false, RAISE, 40, {false, true}},
};

struct model_series {
    bool arrived;
    bool live;
    bool ever;
    bool good;
    bool has_prev;
    double value;
    double prev;
    int64_t clock;
    int64_t event;
    int64_t anchor; /* boot time of both */
    int64_t good_boot;
    int64_t bad_boot;
    struct {
        int64_t at;
        double value;
        bool left8; /* the window of 8 s: what has left stays out, also when the clock goes back */
    } samples[SAMPLES];
    int n;
};

struct model_rule {
    bool absent; /* not in this run */
    bool exists;
    int64_t made;
    enum wr_alarm_state state;
    bool condition;
    int delay; /* 0, 1 on, 2 off */
    bool frozen;
    int64_t since;
    int series; /* whose clock */
    bool no_data;
    uint64_t transitions;
    uint64_t echoes; /* entries of the annunciator's: told again, or late, without a change of state */
};

struct model {
    struct model_series series[2];
    bool mean_known; /* avg(x, 10s) is a signal of its own: what is too old for its window is no sign of life from it */
    bool mean_now;
    int64_t mean_boot;
    struct model_rule rules[RULES];
    int64_t boot;
    int trigger; /* series, or -1 */
};

static int64_t clock_of(const struct model *m, int s) {
    const struct model_series *series = &m->series[s];
    if (!series->arrived)
        return m->boot;
    return series->clock + (m->boot > series->anchor ? m->boot - series->anchor : 0);
}

static int64_t good_boot(const struct model *m, int r, int s) {
    if (r == 4)
        return m->mean_known ? m->mean_boot : m->rules[r].made;
    return m->series[s].ever ? m->series[s].good_boot : m->rules[r].made;
}

static bool silent(const struct model *m, int r, int s) {
    return specs[r].after != NEVER && m->boot - good_boot(m, r, s) >= specs[r].after * S;
}

static double now_value(const struct model *m, int r, int s) {
    const struct model_series *series = &m->series[s];
    return series->good && !silent(m, r, s) ? series->value : NAN;
}

/* 1 or 0; unknown while the series has not come at all: it may be older. */
static double is_old(const struct model *m, int r, int s, int64_t seconds) {
    int64_t last = good_boot(m, r, s);
    if (m->series[s].arrived && m->series[s].bad_boot > last)
        last = m->series[s].bad_boot;
    bool old = m->boot - last >= seconds * S;
    return old ? 1 : m->series[s].arrived ? 0 : NAN;
}

/* What happened in the last `span` seconds; forgets the rest for good. */
static int in_window(struct model *m, int s, int64_t span, double *ret_sum) {
    struct model_series *series = &m->series[s];
    int n = 0;
    *ret_sum = 0;
    for (int i = 0; i < series->n; i++)
        if (clock_of(m, s) - series->samples[i].at < span * S && !(span == 8 && series->samples[i].left8)) {
            n++;
            *ret_sum += series->samples[i].value;
        }
    return n;
}

static double and3(double a, double b) {
    return a == 0 || b == 0 ? 0 : isnan(a) || isnan(b) ? NAN : 1;
}
static double or3(double a, double b) {
    return a > 0 || b > 0 ? 1 : isnan(a) || isnan(b) ? NAN : 0;
}
static double gt(double a, double b) {
    return isnan(a) || isnan(b) ? NAN : a > b;
}

static double when(struct model *m, int r) {
    double x = now_value(m, r, 0);
    double y = now_value(m, r, 1);
    double sum;
    switch (r) {
    case 0:
    case 1:
        return gt(x, 8);
    case 2:
        return isnan(x) ? NAN : x < 2 || x > 8;
    case 3:
        return is_old(m, r, 0, 12);
    case 4: {
        int n = in_window(m, 0, 10, &sum);
        return n == 0 || silent(m, r, 0) || !m->series[0].arrived ? NAN : sum / n > 6;
    }
    case 5:
        return and3(gt(x, 5), gt(3, y));
    case 6:
        return or3(gt(x, 7), isnan(y) ? NAN : y == 0);
    case 7:
        return m->series[0].arrived ? in_window(m, 0, 8, &sum) < 3 : NAN;
    case 8:
        return gt(x - y, 2);
    case 9:
        return or3(m->series[0].has_prev ? gt(x - m->series[0].prev, 1) : NAN, is_old(m, r, 1, 20));
    default: {
        const struct model_series *series = &m->series[1];
        double max = -1e9;
        for (int i = series->n > 3 ? series->n - 3 : 0; i < series->n; i++)
            max = series->samples[i].value > max ? series->samples[i].value : max;
        return series->n == 0 || silent(m, r, 1) ? NAN : max >= 9;
    }
    }
}

static double raw(struct model *m, int r) {
    double w = when(m, r);
    if (!m->rules[r].condition || isnan(w) || w > 0)
        return w;
    double x = now_value(m, r, 0);
    if (r == 0)
        return isnan(x) ? NAN : !(x <= 7);
    if (r == 8)
        return isnan(x) ? NAN : !(x < 4);
    return w;
}

static void go(struct model_rule *rule, enum wr_alarm_state to) {
    rule->state = to;
    rule->transitions++;
}

static void becomes(struct model_rule *rule, const struct spec *spec, bool condition) {
    rule->condition = condition;
    rule->delay = 0;
    if (condition)
        go(rule, spec->auto_ack ? WR_ALARM_ACKED : WR_ALARM_UNACK);
    else if (rule->state == WR_ALARM_UNACK)
        go(rule, spec->latch ? WR_ALARM_LATCHED_UNACK : WR_ALARM_RTN_UNACK);
    else
        go(rule, spec->latch ? WR_ALARM_LATCHED_ACK : WR_ALARM_NORMAL);
}

static int64_t elapsed(const struct model *m, const struct model_rule *rule) {
    return rule->frozen ? rule->since : clock_of(m, rule->series) - rule->since;
}

static void look(struct model *m, int r) {
    struct model_rule *rule = &m->rules[r];
    const struct spec *spec = &specs[r];
    if (!rule->exists)
        return;
    double value = raw(m, r);
    bool was = rule->no_data;
    uint64_t before = rule->transitions;
    bool expired = (spec->reads[0] && silent(m, r, 0)) || (spec->reads[1] && silent(m, r, 1));
    rule->no_data = isnan(value) && (was || expired);
    bool at_once = rule->no_data && spec->no_data != HOLD;
    if (at_once)
        value = spec->no_data == RAISE;
    if (isnan(value)) {
        if (rule->delay && !rule->frozen) {
            rule->since = elapsed(m, rule);
            rule->frozen = true;
        }
    } else if ((value > 0) == rule->condition) {
        rule->delay = 0;
        if (rule->state == WR_ALARM_PENDING)
            rule->state = WR_ALARM_NORMAL;
    } else {
        int64_t delay = (at_once ? 0 : value > 0 ? spec->on : spec->off) * S;
        if (!rule->delay && delay > 0) {
            rule->delay = value > 0 ? 1 : 2;
            rule->frozen = false;
            rule->series = m->trigger >= 0 && spec->reads[m->trigger] ? m->trigger
                           : spec->reads[0] && m->series[0].arrived   ? 0
                           : m->series[1].arrived && spec->reads[1]   ? 1
                           : spec->reads[0]                           ? 0
                                                                      : 1;
            rule->since = clock_of(m, rule->series);
            if (value > 0 && rule->state == WR_ALARM_NORMAL)
                rule->state = WR_ALARM_PENDING;
        }
        if (rule->delay && rule->frozen) {
            rule->since = clock_of(m, rule->series) - rule->since;
            rule->frozen = false;
        }
        if (delay == 0 || elapsed(m, rule) >= delay)
            becomes(rule, spec, value > 0);
    }
    if (rule->transitions == before && was != rule->no_data)
        rule->transitions++; /* data_stale, data_returned */
}

static void look_at_all(struct model *m, int trigger) {
    m->trigger = trigger;
    for (int r = 0; r < RULES; r++)
        look(m, r);
}

static void forget(struct model *m) {
    for (int s = 0; s < 2; s++) {
        struct model_series *series = &m->series[s];
        int keep = 0;
        for (int i = 0; i < series->n; i++)
            series->samples[i].left8 = series->samples[i].left8 || clock_of(m, s) - series->samples[i].at >= 8 * S;
        for (int i = 0; i < series->n; i++) /* the longest window, and three samples by count */
            if (s == 1 ? i >= series->n - 3 : clock_of(m, s) - series->samples[i].at < 10 * S)
                series->samples[keep++] = series->samples[i];
        series->n = keep;
    }
}

static void model_sample(struct model *m, int s, double value, int64_t event, int64_t wall) {
    struct model_series *series = &m->series[s];
    bool live = llabs(event - wall) <= 100000000;
    if (!series->arrived) {
        for (int r = 0; r < RULES; r++) {
            struct model_rule *rule = &m->rules[r];
            if (specs[r].reads[s] && !rule->exists && !rule->absent) {
                rule->exists = true;
                rule->made = m->boot;
            }
            if (specs[r].reads[s] && rule->delay && rule->series == s && !rule->frozen) {
                rule->since = elapsed(m, rule);
                rule->frozen = true;
            }
        }
        series->arrived = true;
        series->bad_boot = INT64_MIN;
        series->clock = event;
        series->event = event;
        series->anchor = m->boot;
        series->live = live;
    }
    int64_t at;
    if (live && series->live)
        at = series->clock + (m->boot - series->anchor);
    else
        at = series->clock + (event - series->event);
    if ((live && series->live) || event >= series->event) {
        series->clock = at;
        series->event = event;
        series->anchor = m->boot;
        series->live = live;
    }
    forget(m);
    m->trigger = s; /* delays that were over before this sample came */
    for (int r = 0; r < RULES; r++) {
        struct model_rule *rule = &m->rules[r];
        int64_t delay = (rule->delay == 1 ? specs[r].on : specs[r].off) * S;
        if (rule->delay && !rule->frozen && rule->series == s && elapsed(m, rule) > delay)
            look(m, r);
    }
    if (isnan(value) || (s == 0 && (value < -40 || value > 60))) {
        double sum;
        series->good = false;
        series->bad_boot = m->boot;
        if (s == 0) /* its time may end the window, as time alone does; a bad sample is no sign of life */
            m->mean_now = m->mean_now && in_window(m, 0, 10, &sum) > 0;
    } else {
        int i = series->n;
        if (s == 1 || series->clock - at < 10 * S) {
            assert_true(series->n < SAMPLES);
            for (series->n++; i > 0 && series->samples[i - 1].at > at; i--)
                series->samples[i] = series->samples[i - 1];
            series->samples[i].at = at;
            series->samples[i].value = value;
            series->samples[i].left8 = series->clock - at >= 8 * S;
        }
        series->has_prev = series->ever;
        series->prev = series->value;
        series->value = value;
        series->good = series->ever = true;
        series->good_boot = m->boot;
        double sum;
        bool known = s == 0 && in_window(m, 0, 10, &sum) > 0;
        if (s == 0 && (known || m->mean_now)) {
            m->mean_known = true;
            m->mean_boot = m->boot;
            m->mean_now = known;
        }
    }
    look_at_all(m, s);
    forget(m);
}

static void model_pass(struct model *m, int64_t seconds) {
    for (int64_t i = 0; i < seconds; i++) {
        m->boot += S;
        double sum;
        m->mean_now = m->mean_now && in_window(m, 0, 10, &sum) > 0;
        look_at_all(m, -1);
        forget(m);
    }
}

static void model_command(struct model *m, int r, bool reset) {
    struct model_rule *rule = &m->rules[r];
    enum wr_alarm_state from = rule->state;
    if (!rule->exists)
        return;
    if (!reset && from == WR_ALARM_UNACK)
        go(rule, WR_ALARM_ACKED);
    if (!reset && from == WR_ALARM_RTN_UNACK)
        go(rule, WR_ALARM_NORMAL);
    if (!reset && from == WR_ALARM_LATCHED_UNACK)
        go(rule, WR_ALARM_LATCHED_ACK);
    if (reset && from == WR_ALARM_LATCHED_ACK)
        go(rule, WR_ALARM_NORMAL);
    if (rule->state == WR_ALARM_NORMAL && rule->delay == 1)
        rule->state = WR_ALARM_PENDING;
}

static void compare(const struct rules_fixture *f, const struct model *m, int step, uint64_t seed) {
    for (int r = 0; r < RULES; r++) {
        char name[8];
        snprintf(name, sizeof name, "r%d", r);
        if (m->rules[r].absent)
            continue;
        uint32_t index = wr_evaluator_find(f->evaluator, wr_ruleset_find(f->rules, name), "");
        const struct model_rule *rule = &m->rules[r];
        if (index == WR_INSTANCE_NONE) {
            assert_false(rule->exists);
            continue;
        }
        const struct wr_instance *instance = &f->evaluator->instances[index];
        if (instance->state != rule->state || instance->condition != rule->condition ||
            instance->transition != rule->transitions + rule->echoes)
            fail_msg("WEIR_SEED=%llu step %d rule %s: %s %d %llu, the model says %s %d %llu", (unsigned long long)seed, step, name,
                     wr_alarm_state_name((enum wr_alarm_state)instance->state), instance->condition,
                     (unsigned long long)instance->transition, wr_alarm_state_name(rule->state), rule->condition,
                     (unsigned long long)(rule->transitions + rule->echoes));
    }
}

static void count_echoes(const struct rules_fixture *f, struct model *m) {
    for (uint32_t i = 0; i < f->n_log; i++) {
        const struct wr_alarm *alarm = &f->log[i].alarm;
        if (alarm->from == alarm->to && (alarm->cause == WR_ALARM_RAISED || alarm->cause == WR_ALARM_CLEARED))
            m->rules[atoi(alarm->rule + 1)].echoes++;
    }
}

/* A new process: states come back, values do not; downtime is unknown. */
static void restart(struct rules_fixture *f, struct model *m) {
    struct rules_fixture next;
    fixture_init(&next, text);
    next.now = f->now;
    next.now.boot_ns = 5000 * S;
    next.room = f->room;
    uint32_t cursor = 0;
    struct wr_alarm_entry entry;
    struct wr_alarm_out out = fixture_out(f);
    bool more;
    assert_int_equal(wr_evaluator_timers(f->evaluator, &f->now, 1, &out, &more), WR_OK);
    fixture_keep(f, &out);
    count_echoes(f, m);
    for (int r = 0; r < RULES; r++)
        m->rules[r].exists = m->rules[r].exists && (m->rules[r].transitions > 0 || m->rules[r].state != WR_ALARM_NORMAL);
    while (wr_evaluator_next_snapshot(f->evaluator, &cursor, &entry))
        assert_int_equal(wr_evaluator_restore(next.evaluator, &entry, &next.now), WR_OK);
    for (int r = 0; r < RULES; r++) {
        struct model_rule *rule = &m->rules[r];
        if (!rule->exists)
            *rule = (struct model_rule){.absent = rule->absent};
        rule->since = rule->delay ? elapsed(m, rule) : 0;
        rule->frozen = rule->delay != 0;
        rule->series = specs[r].reads[0] ? 0 : 1;
        rule->made = 5000 * S;
    }
    memset(m->series, 0, sizeof m->series);
    m->mean_known = m->mean_now = false;
    m->boot = 5000 * S;
    fixture_fini(f);
    *f = next;
}

/* The clock of a series does not see quiet samples, the model's clock sees all. That shows when a sample out of order, or a step of the wall
 * clock between recordings and live data, falls into quiet time: those are played only where no sample is quiet. */
enum play { LATE = 1, WALL_STEPS = 2, RECORDINGS = 4 };

/* mask: which of the rules take part. Returns how many samples were quiet. */
static uint64_t run(unsigned mask, int steps, unsigned play) {
    struct wr_random random = wr_random_begin();
    const uint64_t seed = random.state;
    static struct model m;
    memset(&m, 0, sizeof m);
    size_t n = (size_t)snprintf(text, sizeof text, "points:\n  - {point: x, range: \"-40..60\"}\nrules:\n");
    for (int r = 0; r < RULES; r++) {
        m.rules[r].absent = !(mask >> r & 1);
        if (mask >> r & 1)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", lines[r]);
    }
    struct rules_fixture f;
    fixture_init(&f, text);
    m.boot = f.now.boot_ns;
    int64_t lag = 0; /* of event time behind wall time: 0 live, else a recording that is played back */
    int64_t event[2] = {0, 0};
    uint64_t quiet = 0;
    for (int step = 0; step < steps; step++) {
        uint64_t r = wr_random_u64(&random);
        f.room = 1 + (uint32_t)(r >> 60) % 3;
        f.n_log = 0;
        unsigned dice = (unsigned)(r >> 32) % 1000;
        if (dice < 560) {
            int s = (int)(r >> 8) % 3 == 0;
            double value = (double)((r >> 16) % 24) / 2 - 1;
            value = (r >> 24) % 20 == 0 ? NAN : (r >> 24) % 50 == 1 ? 100 : value;
            if ((r >> 40) % 4 != 0 && f.evaluator->attached > 0 && m.series[s].good)
                value = m.series[s].value + (double)((int)((r >> 20) % 3) - 1) / 4;
            if (s == 1 && (r >> 44) % 3 == 0)
                value = 0;
            int64_t at = f.now.wall_ns;
            if (lag != 0)
                at = event[s] += (int64_t)((r >> 48) % 6) * S;
            if ((play & LATE) && (r >> 52) % 20 == 0)
                at -= 3 * S;
            const struct wr_reading reading = {.series = fixture_series(&f, s == 0 ? "x" : "y", ""),
                                               .type = WR_TYPE_FLOAT,
                                               .value = {.f = value},
                                               .quality = isnan(value) ? WR_QUALITY_BAD : WR_QUALITY_GOOD};
            fixture_feed(&f, reading, at);
            model_sample(&m, s, value, at, f.now.wall_ns);
        } else if (dice < 880) {
            int64_t seconds = (r >> 8) % 12 == 0 ? (int64_t)((r >> 16) % 45) : (int64_t)((r >> 16) % 4);
            fixture_pass(&f, seconds * S);
            model_pass(&m, seconds);
        } else if (dice < 980) {
            char name[8];
            int which = (int)((r >> 8) % RULES);
            bool reset = (r >> 16) % 2;
            snprintf(name, sizeof name, "r%d", which);
            (void)fixture_command(&f, reset ? WR_ALARM_COMMAND_RESET : WR_ALARM_COMMAND_ACK, name, NULL);
            model_command(&m, which, reset);
        } else if (dice < 988) {
            if (play & WALL_STEPS)
                f.now.wall_ns += ((int64_t)((r >> 8) % 7200) - 3600) * S;
        } else if (dice < 996) {
            lag = lag == 0 && (play & RECORDINGS) ? 100000 * S : 0;
            event[0] = event[1] = f.now.wall_ns - lag;
        } else if (dice < 998) {
            fixture_reload(&f, fixture_load(text), 3);
        } else if (dice < 999) {
            quiet += f.quiet;
            restart(&f, &m);
        }
        count_echoes(&f, &m);
        compare(&f, &m, step, seed);
        if (step % 64 == 0)
            assert_true(wr_evaluator_is_valid(f.evaluator));
    }
    quiet += f.quiet;
    print_message("%d steps, %llu samples were quiet\n", steps, (unsigned long long)quiet);
    fixture_fini(&f);
    return quiet;
}

static void all_rules(void **state) {
    (void)state;
    (void)run(0x7FF, 2 * STEPS, LATE | WALL_STEPS | RECORDINGS);
}

/* Only rules that leave room for quiet samples: whatever is wrong with a band shows here. */
static void quiet_rules(void **state) {
    (void)state;
    assert_true(run(0x06F, STEPS, WALL_STEPS) > STEPS / 50);
}

static void limits_only(void **state) {
    (void)state;
    assert_true(run(0x007, STEPS / 2, 0) > STEPS / 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_rules), cmocka_unit_test(quiet_rules), cmocka_unit_test(limits_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
