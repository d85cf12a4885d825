/* Tests of rules against a slow model: samples fed by hand, one after the other. What the model sees a test that expects it must see too, and a test that
 * expects one transition more or fewer must fail. */
#include "tests/support/rules_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include "rules/testing/run.h"
#include "rules/testing/suite.h"
#include "tests/support/random.h"

#define RUNS 150
#define SERIES 3
#define SAMPLES 60
#define TEXT_BYTES 65536

static const char rules_text[] = "weir: 1\n"
                                 "points: [{point: temp, unit: °C, range: \"-40..60\", lateness: 5s}]\n"
                                 "rules:\n"
                                 "  - {rule: warm, when: temp > 8°C, by: room, on_delay: 65s, deadband: 1K, off_delay: 20s, latch: true}\n"
                                 "  - {rule: cold, when: temp < 2°C, by: room, auto_ack: true, no_data: raise, no_data_after: 3m}\n"
                                 "  - {rule: quick, when: \"max(temp, 1m) - min(temp, 1m) > 4K\", by: room}\n";

/* One sample of the model: when it comes, of which series. */
struct event {
    int64_t t_ns;
    uint32_t series;
    double value; /* NaN: bad */
};

struct script {
    char text[TEXT_BYTES];
    size_t len;
    struct event events[SERIES * SAMPLES];
    size_t n_events;
};

static void say(struct script *script, const char *format, ...) WR_PRINTF(2, 3);

static void say(struct script *script, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    script->len += (size_t)vsnprintf(script->text + script->len, sizeof script->text - script->len, format, arguments);
    va_end(arguments);
    assert_true(script->len < sizeof script->text);
}

/* Random words of the notation, and the same as events. */
static void make_series(struct script *script, struct wr_random *random, uint32_t series, int64_t every_s) {
    int64_t t_s = 0;
    say(script, "      - {series: \"temp{room=R%u}\", every: %llds, values: \"", series, (long long)every_s);
    for (unsigned made = 0; made < SAMPLES;) {
        unsigned n = 1 + (unsigned)wr_random_below(random, 8);
        if (n > SAMPLES - made)
            n = SAMPLES - made;
        const unsigned kind = (unsigned)wr_random_below(random, 10);
        const int from = (int)wr_random_below(random, 14) - 1;
        const int step = (int)wr_random_below(random, 3) - 1;
        if (kind == 0)
            say(script, "_*%u ", n);
        else if (kind == 1)
            say(script, "nan*%u ", n);
        else if (kind == 2)
            say(script, "bad(%d)*%u ", from, n);
        else if (kind < 6)
            say(script, "%d~%d/%u ", from, from + step * (int)(n - 1), n);
        else
            say(script, "%d*%u ", from, n);
        for (unsigned i = 0; i < n; i++, t_s += every_s) {
            const double value = kind == 1 || kind == 2 ? (double)NAN : kind > 2 && kind < 6 ? from + step * (int)i : from;
            if (kind > 0)
                script->events[script->n_events++] = (struct event){t_s * FIXTURE_SECOND, series, value};
        }
        made += n;
    }
    say(script, "\"}\n");
}

static int by_time(const void *a, const void *b) {
    const struct event *left = a;
    const struct event *right = b;
    if (left->t_ns != right->t_ns)
        return left->t_ns > right->t_ns ? 1 : -1;
    return (left->series > right->series) - (left->series < right->series);
}

/* As fixture_value, but no timer fires: they come behind all samples of the instant. */
static void feed(struct rules_fixture *model, uint32_t series, double value) {
    struct wr_reading reading = {.event_ns = model->now.wall_ns,
                                 .series = series,
                                 .type = WR_TYPE_FLOAT,
                                 .value = {.f = value},
                                 .decimals = WR_DECIMALS_UNKNOWN,
                                 .quality = isfinite(value) ? WR_QUALITY_GOOD : WR_QUALITY_BAD};
    if (series >= model->attached)
        model->attached = wr_evaluator_attach(model->evaluator, wr_series_count(model->table), &model->now);
    if (reading.quality != WR_QUALITY_BAD && wr_evaluator_quiet(&wr_evaluator_bands(model->evaluator)[series], value, model->now.boot_ns))
        return;
    struct wr_alarm_out out = fixture_out(model);
    out.cap = 64;
    assert_int_equal(wr_evaluator_take(model->evaluator, &reading, model->now.boot_ns, &model->now, &out), WR_OK);
    fixture_keep(model, &out);
}

/* To t: timers before it, then what comes at t, then timers at t. */
static void move(struct rules_fixture *model, int64_t t_ns, const struct script *script, size_t *at) {
    const int64_t now_ns = model->now.wall_ns - FIXTURE_WALL;
    if (t_ns > now_ns) {
        fixture_pass(model, t_ns - now_ns - 1);
        model->now.wall_ns++;
        model->now.boot_ns++;
    }
    for (; *at < script->n_events && script->events[*at].t_ns == t_ns; (*at)++) {
        char tags[16];
        snprintf(tags, sizeof tags, "room=R%u", script->events[*at].series);
        feed(model, fixture_series(model, "temp", tags), script->events[*at].value);
    }
    fixture_timers(model);
}

/* Every transition of the model as an expectation; wrong: one count that cannot be. */
static void expect_told(struct script *script, struct rules_fixture *model, bool wrong) {
    uint32_t raised = 0;
    say(script, "    expect:\n");
    for (uint32_t i = 0; i < model->n_log; i++) {
        const struct wr_alarm *alarm = &model->log[i].alarm;
        raised += alarm->cause == WR_ALARM_RAISED && strcmp(alarm->rule, "warm") == 0;
        const bool last = i + 1 == model->n_log || model->log[i + 1].alarm.wall_ns != alarm->wall_ns;
        if (!last) /* of several at one instant only the last is there to be seen */
            continue;
        say(script, "      - {t: %lldns, alarm: \"%s{%s}\", state: %s}\n", (long long)(alarm->wall_ns - FIXTURE_WALL), alarm->rule,
            alarm->instance, wr_alarm_state_name((enum wr_alarm_state)alarm->to));
    }
    say(script, "      - {until: 2h, rule: warm, count: %u}\n", raised + wrong);
}

static void finish(struct rules_fixture *model, const struct script *script) {
    size_t at = 0;
    while (at < script->n_events)
        move(model, script->events[at].t_ns, script, &at);
    fixture_pass(model, FIXTURE_WALL + 120 * FIXTURE_MINUTE - model->now.wall_ns);
}

static struct wr_suite_counts run_script(const struct script *script, bool wrong) {
    struct wr_suite_counts counts = {0};
    struct wr_buf words;
    struct wr_error err = {0};
    const struct wr_ruleset_text file = {"r.yaml", script->text, script->len};
    const struct wr_suite_options options = {.seed = WR_TEST_SEED};
    const struct wr_suite_output output = {.words = &words};
    wr_buf_init(&words, 0);
    if (wr_suite_run(&file, &options, &output, &counts, &err) != WR_OK)
        fail_msg("%s", err.text);
    if (!wrong && counts.passed != 1)
        fprintf(stderr, "%s\n%s", script->text, wr_buf_str(&words));
    wr_buf_fini(&words);
    return counts;
}

static void as_by_hand(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    static struct script script;
    uint64_t transitions = 0;
    for (unsigned run = 0; run < RUNS; run++) {
        struct rules_fixture model;
        script.len = script.n_events = 0;
        say(&script, "%stests:\n  - test: t\n    start: \"2026-03-02T08:00:00Z\"\n    given:\n", rules_text);
        for (uint32_t i = 0; i < SERIES; i++)
            make_series(&script, &random, i, 5 + (int64_t)wr_random_below(&random, 30));
        qsort(script.events, script.n_events, sizeof script.events[0], by_time);
        fixture_init(&model, rules_text);
        finish(&model, &script);
        transitions += model.n_log;
        const size_t given = script.len;
        expect_told(&script, &model, false);
        assert_int_equal(run_script(&script, false).passed, 1);
        script.len = given;
        expect_told(&script, &model, true);
        assert_int_equal(run_script(&script, true).failed, 1);
        fixture_fini(&model);
    }
    print_message("%u runs, %llu transitions\n", RUNS, (unsigned long long)transitions);
    assert_true(transitions > RUNS * 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
