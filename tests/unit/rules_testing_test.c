/* Tests of rules: what each part of a test means, what a failure says, and the order of things at one instant. */
#include "tests/support/suite_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/failing.h"

#define RULES                                                                                                                              \
    "weir: 1\n"                                                                                                                            \
    "points:\n"                                                                                                                            \
    "  - {point: temp, unit: °C, range: \"-40..60\", resolution: 0.1, lateness: 5s}\n"                                                    \
    "rules:\n"                                                                                                                             \
    "  - rule: warm\n"                                                                                                                     \
    "    when: temp > 8°C\n"                                                                                                              \
    "    by: room\n"                                                                                                                       \
    "    on_delay: 5m\n"                                                                                                                   \
    "    deadband: 1K\n"                                                                                                                   \
    "    off_delay: 2m\n"                                                                                                                  \
    "    severity: high\n"                                                                                                                 \
    "    latch: true\n"                                                                                                                    \
    "    no_data: raise\n"                                                                                                                 \
    "    no_data_after: 10m\n"                                                                                                             \
    "    message: \"{room} at {value}\"\n"                                                                                                 \
    "    consequence: c\n"                                                                                                                 \
    "    respond: r\n"                                                                                                                     \
    "    time_to_respond: 20m\n"                                                                                                           \
    "    then: [{at: [raised], log: true}]\n"                                                                                              \
    "  - {rule: frost, when: temp < -2°C, by: room}\n"                                                                                    \
    "  - {rule: door, when: door == \"open\", by: room, on_delay: 1m}\n"                                                                   \
    "  - {rule: pump, when: not pump_on}\n"                                                                                                \
    "tests:\n"

#define WARM "  - {test: t, given: [{series: \"temp{room=A1}\", values: \"4.0*10 9.0*14 6.9*10\"}],\n"

/* How many expectations of one test fail; -1: the file has errors. */
static int failures(const char *text, int expected) {
    char all[8192];
    snprintf(all, sizeof all, RULES "%s", text);
    struct suite_bed bed = suite_run("r.yaml", all);
    int n = 0;
    for (const char *at = wr_buf_str(&bed.words); (at = strstr(at, "error W365")); at++)
        n++;
    if (strstr(wr_buf_str(&bed.words), "error W") && n == 0)
        n = -1;
    if (n != expected)
        print_error("%s", wr_buf_str(&bed.words));
    suite_fini(&bed);
    return n;
}

#define PASSES(text) assert_int_equal(failures(text, 0), 0)
#define FAILS(text, n) assert_int_equal(failures(text, n), n)

static void states(void **state) {
    (void)state;
    PASSES(WARM "expect: [{t: 9m59s, none: warm}, {t: 9m59s, alarm: \"warm{room=A1}\", state: pending},"
                "{t: 10m, alarm: \"warm{room=A1}\", state: unack, severity: high, data: ok, value: 9, message: \"A1 at 9*\", acked: false, "
                "silent: none},"
                "{t: 13m59s, alarm: \"warm{room=A1}\", state: unack}, {t: 14m, alarm: \"warm{room=A1}\", state: latched_unack},"
                "{t: 10m, alarm: \"frost{room=A1}\", state: normal}]}\n");
    /* One word wrong in each. */
    FAILS(WARM "expect: [{t: 10m, none: warm}]}\n", 1);
    FAILS(WARM "expect: [{t: 9m59s, alarm: \"warm{room=A1}\", state: unack}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", severity: low}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", data: stale}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", value: 9.1}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", message: \"A1 at 9\"}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", acked: true}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", silent: shelved}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", historic: true}]}\n", 1);
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A1}\", level: HH}]}\n", 1);
    /* An alarm that no sample made is no alarm in normal. */
    FAILS(WARM "expect: [{t: 10m, alarm: \"warm{room=A2}\", state: normal}]}\n", 1);
    PASSES(WARM "expect: [{t: 10m, none: \"warm{room=A2}\"}]}\n");
    FAILS(WARM "expect: [{t: 10m, none: \"warm{room=A*}\"}, {t: 10m, none: \"warm{room=~A*}\"}]}\n", 1);
}

static void counts(void **state) {
    (void)state;
    PASSES(WARM "expect: [{until: 16m, count: 1, rule: warm}, {until: 9m59s, count: 0, rule: warm}, {until: 14m, count: 1, rule: warm, "
                "cause: cleared},"
                "{until: 13m59s, count: 0, rule: warm, cause: cleared}, {until: 16m, count: 1, alarm: \"warm{room=A1}\"},"
                "{until: 16m, count: 0, alarm: \"warm{room=A2}\"}, {until: 16m, count: 1, rule: warm, silent: none}]}\n");
    FAILS(WARM "expect: [{until: 16m, count: 2, rule: warm}, {until: 16m, count: 1, rule: warm, silent: shelved}]}\n", 2);
    /* Old data raises, and nobody is told; of the second raise somebody is, when live data follows. */
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"@late(3h):-3 @late(2h):-3 -3*20\"}], expect: [{until: 30s, count: "
           "1, rule: frost}, {until: 30s, count: 0, rule: frost, silent: none}, {until: 10m, count: 2, rule: frost},"
           "{until: 10m, count: 1, rule: frost, silent: none}]}\n");
    PASSES(WARM "expect: [{t: 10m, action: log, alarm: \"warm{room=A1}\"}, {until: 16m, action: log, rule: warm, count: 1}, {t: 9m, "
                "action: log, rule: warm, count: 0}]}\n");
    FAILS(WARM "expect: [{t: 10m1s, action: log, rule: warm}, {t: 10m, action: mqtt, rule: warm}, {until: 16m, action: log, rule: warm, "
               "count: 2}]}\n",
          3);
}

/* Actions that wait: at their time, unless; once while they wait. */
static void actions(void **state) {
    (void)state;
    static const char text[] =
        "rules:\n"
        "  - {rule: a, when: t > 8, then: [{at: [raised], after: 10m, unless: acked, exec: {argv: [/bin/page]}}, {at: [raised], after: 5m, "
        "unless: "
        "cleared, "
        "webhook: {url: \"https://pager.example/x\"}}, {at: [cleared], log: true}, "
        "{at: [raised, cleared], after: 5m, file: {path: /var/log/a}}]}\n"
        "tests:\n"
        "  - {test: nobody cares, given: [{series: t, values: \"1*2 9*60\"}], expect: [{t: 5m59s, action: webhook, rule: a, count: 0}, "
        "{t: 6m, action: webhook, rule: a}, {until: 10m59s, action: exec, rule: a, count: 0}, {t: 11m, action: exec, alarm: a}, "
        "{until: 20m, action: exec, rule: a, count: 1}, {until: 20m, action: log, rule: a, count: 0}]}\n"
        "  - {test: somebody does, given: [{series: t, values: \"1*2 9*60\"}], do: [{t: 10m, cmd: ack, alarm: a}], expect: [{until: 20m, "
        "action: exec, rule: a, count: 0}, "
        "{until: 20m, action: webhook, rule: a, count: 1}]}\n"
        "  - {test: it ends, given: [{series: t, values: \"1*2 9*4 1 9*2 1*20\"}], expect: [{until: 20m, action: webhook, rule: a, count: "
        "0}, {until: 20m, action: log, rule: a, count: 2}, "
        "{until: 10m59s, action: exec, rule: a, count: 0}, {until: 20m, action: exec, rule: a, count: 1}, {until: 20m, action: file, rule: "
        "a, count: 4}]}\n";
    static const struct wr_ruleset_options any = {.any_action = true};
    const struct wr_ruleset_text file = {"r.yaml", text, strlen(text)};
    const struct wr_suite_options options = {.rules = &any, .seed = WR_TEST_SEED};
    struct wr_buf words;
    struct wr_suite_counts n = {0};
    struct wr_error err = {0};
    const struct wr_suite_output output = {.words = &words};
    wr_buf_init(&words, 0);
    assert_int_equal(wr_suite_run(&file, &options, &output, &n, &err), WR_OK);
    assert_string_equal(wr_buf_str(&words), "");
    assert_int_equal(n.passed, 3);
    wr_buf_fini(&words);
}

static void commands(void **state) {
    (void)state;
    PASSES(WARM
           "do: [{t: 11m, cmd: ack, alarm: \"warm{room=A1}\", who: ana}, {t: 15m, cmd: reset, alarm: warm}],\n"
           "expect: [{t: 10m59s, alarm: \"warm{room=A1}\", state: unack}, {t: 11m, alarm: \"warm{room=A1}\", state: acked, acked: true},"
           "{t: 14m, alarm: \"warm{room=A1}\", state: latched_ack}, {t: 15m, alarm: \"warm{room=A1}\", state: normal}]}\n");
    /* What the alarm does not take is a failure of the test. */
    FAILS(WARM "do: [{t: 5m, cmd: ack, alarm: \"warm{room=A1}\"}], expect: [{t: 16m, alarm: \"warm{room=A1}\", state: latched_unack}]}\n",
          1);
    FAILS(WARM "do: [{t: 11m, cmd: ack, alarm: \"warm{room=A7}\"}], expect: [{t: 16m, none: frost}]}\n", 1);
    FAILS(WARM "do: [{t: 17m, cmd: ack, alarm: \"warm{room=A7}\"}], expect: [{t: 16m, none: frost}]}\n", 1);
}

/* At one instant: samples, then timers, then commands, then expectations. */
static void order(void **state) {
    (void)state;
    /* The sample at 10m ends it just as the delay would be over; one at 10m0.001s is too late. */
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"9*11 7*2\", every: 1m}], expect: [{t: 5m, alarm: "
           "\"warm{room=A1}\", state: unack}]}\n");
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"9*5 6*2\", every: 1m}], expect: [{t: 7m, alarm: "
           "\"warm{room=A1}\", state: normal}]}\n");
    /* A command at the time of a sample finds its state. */
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"1 -3 1\", every: 1m}], do: [{t: 1m, cmd: ack, alarm: frost}],\n"
           "     expect: [{t: 1m, alarm: \"frost{room=A1}\", state: acked}, {t: 2m, alarm: \"frost{room=A1}\", state: normal}]}\n");
    /* Series of different periods come in the order of time, whatever the order of the file; expectations too. */
    PASSES("  - {test: t, given: [{series: \"temp{room=A2}\", values: \"1 -3\", every: 90s}, {series: \"temp{room=A1}\", values: \"1 -3\", "
           "every: 1m}],\n"
           "     expect: [{t: 90s, alarm: \"frost{room=A2}\", state: unack}, {t: 1m, none: \"frost{room=A2}\"}, {until: 89s, count: 1, "
           "rule: frost}]}\n");
}

/* The limit of timers is that of a test: a replay, whose recording ends, has none. */
static void timers_without_end(void **state) {
    (void)state;
    static const char text[] = "weir: 1\nrules:\n  - {rule: r, when: \"avg(t, 1h) > 5\"}\n";
    static const char key[] = "t\0value";
    const struct wr_test_series series = {.shown = "t", .key = key, .key_len = sizeof key};
    const struct wr_sample sample = {.kind = WR_SAMPLE_NUMBER, .number = 1};
    for (uint32_t max = 0; max < 4; max += 3) {
        struct wr_diagnostics diagnostics;
        struct wr_ruleset *rules;
        struct wr_world world;
        struct wr_error err = {0};
        wr_diagnostics_init(&diagnostics);
        assert_int_equal(wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, &err), WR_OK);
        wr_diagnostics_fini(&diagnostics);
        assert_int_equal(wr_world_init(&world, rules, 0, 1, &err), WR_OK);
        world.max_timers = max;
        for (int i = 0; i < 10; i++) {
            assert_int_equal(wr_world_move(&world, i * WR_NS_PER_S, false, &err), WR_OK);
            assert_int_equal(wr_world_take(&world, &series, &sample, 0, &err), WR_OK);
        }
        assert_int_equal(wr_world_move(&world, 7200 * WR_NS_PER_S, true, &err), max == 0 ? WR_OK : WR_LIMIT);
        wr_world_fini(&world);
        wr_ruleset_free(rules);
    }
}

static void samples(void **state) {
    (void)state;
    /* What lies beyond all time never comes, neither at once nor before the start. */
    PASSES(
        "  - {test: t, every: 3660d, given: [{series: \"temp{room=A1}\", values: \"1 _*40 -3*20\"}], expect: [{t: 10m, none: frost}]}\n");
    PASSES("  - {test: t, every: 3660d, given: [{series: \"temp{room=A1}\", values: \"1*41 -3*20\"}], expect: [{t: 10m, none: frost}]}\n");
    /* Missing for ten minutes: raised; a broken probe neither raises nor clears. */
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"4*8 _*30 4*2\"}], expect: [{t: 13m29s, none: warm}, {t: 13m30s, "
           "alarm: \"warm{room=A1}\", state: unack, data: stale},"
           "{t: 19m, alarm: \"warm{room=A1}\", state: unack, data: ok}]}\n");
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"1 bad(-9) nan -127 1\"}], expect: [{until: 3m, count: 0, rule: "
           "frost}]}\n");
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"1 -9 bad(5) 5\"}], expect: [{t: 1m, alarm: \"frost{room=A1}\", "
           "state: unack}, {t: 90s, alarm: \"frost{room=A1}\", state: rtn_unack}]}\n");
    /* Late by more than the point allows: not evaluated. */
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"1 @late(1h):-9 1\"}], expect: [{until: 3m, count: 0, rule: "
           "frost}]}\n");
    PASSES("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"1 @late(1s):-9 1\"}], expect: [{until: 3m, count: 1, rule: "
           "frost}]}\n");
    PASSES("  - {test: t, given: [{series: \"door{room=A1}\", values: \"'shut' 'open'*3 'shut'\"}], expect: [{t: 89s, none: door}, {t: "
           "90s, alarm: \"door{room=A1}\", state: unack}]}\n");
    PASSES("  - {test: t, given: [{series: pump_on, values: \"true false\"}], expect: [{t: 29s, none: pump}, {t: 30s, alarm: pump, state: "
           "unack}]}\n");
    PASSES(
        "  - {test: t, given: [{series: \"temp{room=A1}\", values: \"-2.0+-0.0*3 0~-4/5\"}], expect: [{t: 179s, none: frost}, {t: 3m30s, "
        "alarm: \"frost{room=A1}\", value: -4}]}\n");
}

static void write_file(char *path, const char *text) {
    int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void csv(void **state) {
    (void)state;
    char path[] = "/tmp/weir-column-XXXXXX.csv";
    char test[1024];
    write_file(path, "time,temp,door\n2026-03-02T00:00:00Z,1.5,shut\n2026-03-02T00:01:00Z,-3.5,open\n2026-03-02T00:00:10Z,9,\n2026-03-"
                     "02T00:03:00Z,,open\n\n2026-03-02T00:05:00Z,1,shut\n");
    snprintf(test, sizeof test,
             "  - {test: t, given: [{series: \"temp{room=A1}\", values: \"1 csv(%s, temp) -5\"}],\n"
             "     expect: [{t: 89s, none: frost}, {t: 90s, alarm: \"frost{room=A1}\", value: -3.5}, {t: 5m29s, alarm: \"frost{room=A1}\", "
             "state: unack},"
             "{t: 5m30s, alarm: \"frost{room=A1}\", state: rtn_unack}, {t: 6m, alarm: \"frost{room=A1}\", state: unack, value: -5}]}\n",
             path);
    PASSES(test);
    snprintf(test, sizeof test,
             "  - {test: t, given: [{series: \"door{room=A1}\", values: \"csv(%s, door)\"}], expect: [{t: 2m, alarm: \"door{room=A1}\", "
             "state: unack}]}\n",
             path);
    PASSES(test);
    snprintf(test, sizeof test,
             "  - {test: t, given: [{series: \"temp{room=A1}\", values: \"csv(%s, tmp)\"}], expect: [{t: 6m, none: frost}]}\n", path);
    FAILS(test, 1);
    unlink(path);
    FAILS(test, 1);
    char plain[] = "/tmp/weir-column-XXXXXX.csv";
    write_file(plain, "a,temp\n1,1\n2,-3\n3,\n4,1\n");
    snprintf(test, sizeof test,
             "  - {test: t, every: 10s, given: [{series: \"temp{room=A1}\", values: \"csv(%s, temp)\"}], expect: [{t: 9s, none: frost}, "
             "{t: 29s, alarm: \"frost{room=A1}\", state: unack}, {t: 30s, alarm: \"frost{room=A1}\", state: rtn_unack}]}\n",
             plain);
    PASSES(test);
    unlink(plain);
}

/* -- what is refused ------------------------------------------------------------------------------------------------------------------- */

#define POINTS                                                                                                                             \
    "derive:\n"                                                                                                                            \
    "  - {point: margin, of: \"a - b\", unit: K, by: room, max_age: 2m}\n"                                                                 \
    "points:\n  - {point: a, unit: °C}\n  - {point: b, unit: °C}\n"                                                                      \
    "rules:\n  - {rule: close, when: margin < 1K, by: room}\n"                                                                             \
    "tests:\n  - {test: t, given: [{series: \"a{room=A}\", values: \"9*6\"}, {series: \"b{room=A}\", values: \"5~4.5/6\"}], expect: ["

static struct suite_bed points(const char *expect) {
    char all[4096];
    snprintf(all, sizeof all, POINTS "%s]}\n", expect);
    return suite_run("r.yaml", all);
}

/* The value of a derived point can be asked for: with a margin, and where it is unknown. */
static void derived(void **state) {
    (void)state;
    static const struct {
        const char *expect;
        const char *says; /* NULL: it passes */
    } cases[] = {
        {"{t: 0s, series: \"margin{room=A}\", value: 4}, {t: 1m, series: \"margin{room=A}\", value: 4.2}", NULL},
        {"{t: 1m, series: \"margin{room=A}\", value: 4, within: 0.2}", NULL},
        {"{t: 4m29s, series: \"margin{room=A}\", value: 4.5}, {t: 4m30s, series: \"margin{room=A}\", value: unknown}", NULL},
        {"{t: 1m, series: \"margin{room=A}\", value: 4, within: 0.19}", "W365: at 1m: margin{room=A} is 4.2 K, expected 4"},
        {"{t: 1m, series: \"margin{room=A}\", value: 4.3}", "W365: at 1m: margin{room=A} is 4.2 K, expected 4.3"},
        {"{t: 5m, series: \"margin{room=A}\", value: 4.5}", "W365: at 5m: margin{room=A} is unknown, expected 4.5"},
        {"{t: 1m, series: \"margin{room=A}\", value: unknown}", "margin{room=A} is 4.2 K, expected unknown"},
        {"{t: 1m, series: \"margin{room=B}\", value: 4.2}", "margin{room=B}: no sample made such a series"},
        {"{t: 1m, series: margn, value: 4}", "W362: there is no derived point 'margn'"},
        {"{t: 1m, series: margn, value: 4}", "did you mean 'margin'?"},
        {"{t: 1m, series: margin, value: 4}", "which one? The derived point 'margin' is by 'room': write margin{room=...}"},
        {"{t: 1m, series: \"margin{rom=A}\", value: 4}", "the derived point 'margin' is not by 'rom'"},
        {"{t: 1m, series: \"margin{room=~A}\", value: 4}", "one series is meant: write label=value"},
        {"{t: 1m, series: \"margin{room\", value: 4}", "error W362"},
        {"{t: 1m, series: \"margin{room=A}\"}", "`series` goes with `value` and `within` only"},
        {"{t: 1m, series: \"margin{room=A}\", value: 4, rule: close}", "`series` goes with `value` and `within` only"},
        {"{t: 1m, series: \"margin{room=A}\", value: 4K}", "without its unit, in the unit of the point; or unknown"},
        {"{t: 1m, series: \"margin{room=A}\", value: 4, within: -1}", "not below 0"},
        {"{t: 1m, series: \"margin{room=A}\", value: 4, within: a}", "expected a number"},
        {"{until: 1m, series: \"margin{room=A}\", value: 4}", "`until` goes with `count` or `action`"},
        {"{t: 1m, alarm: \"close{room=A}\", value: 4, within: 1}", "`within` goes with `series` and `value`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct suite_bed bed = points(cases[i].expect);
        if (cases[i].says ? !strstr(wr_buf_str(&bed.words), cases[i].says) : bed.counts.passed != 1)
            fail_msg("%s: expected '%s' in:\n%s", cases[i].expect, cases[i].says ? cases[i].says : "1 passed", wr_buf_str(&bed.words));
        suite_fini(&bed);
    }
}

static void refuses(const char *test, const char *says) {
    char all[8192];
    snprintf(all, sizeof all, RULES "%s", test);
    struct suite_bed bed = suite_run("r.yaml", all);
    if (!strstr(wr_buf_str(&bed.words), says))
        fail_msg("expected '%s' in:\n%s", says, wr_buf_str(&bed.words));
    assert_int_equal(bed.counts.failed, 1);
    assert_int_equal(bed.counts.passed, 0);
    suite_fini(&bed);
}

static void errors(void **state) {
    (void)state;
    refuses("  - {test: t, rules: [warn], expect: [{t: 1m, none: warm}]}\n", "r.yaml:24:23: error W362: there is no rule 'warn'");
    refuses("  - {test: t, rules: [frost], expect: [{t: 1m, none: warm}]}\n",
            "error W362: the rule 'warm' is not among those of this test");
    refuses("  - {test: t, expect: [{t: 1m, alarm: warm, state: normal}]}\n",
            "which one? The rule 'warm' is by 'room': write warm{room=...}");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{rom=A1}\", state: normal}]}\n", "error W362: the rule 'warm' is not by 'rom'");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room=~A*}\", state: normal}]}\n", "one alarm is meant: write label=value");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room\", state: normal}]}\n", "error W362");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room=A1}\", state: unacked}]}\n", "error W361: 'unacked' is not normal, pending");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room=A1}\"}]}\n", "error W363: what is expected of the alarm?");
    refuses("  - {test: t, expect: [{t: 1, none: warm}]}\n", "error W361: '1' has no unit");
    refuses("  - {test: t, expect: [{none: warm}]}\n", "error W363: an expectation has one of `t` and `until`");
    refuses("  - {test: t, expect: [{until: 1m, none: warm}]}\n", "`until` goes with `count` or `action`");
    refuses("  - {test: t, expect: [{t: 1m, none: warm, state: normal}]}\n", "`none` stands alone");
    refuses("  - {test: t, expect: [{t: 1m, count: 1, rule: warm}]}\n", "transitions are counted with `until` and `count`");
    refuses("  - {test: t, expect: [{until: 1m, count: -1, rule: warm}]}\n", "expected a number of 0 or more");
    refuses("  - {test: t, expect: [{until: 1m, count: 1, rule: warm, cause: rised}]}\n", "'rised' is not raised, cleared");
    refuses("  - {test: t, expect: [{until: 1m, count: 1, rule: warm, cause: rised}]}\n",
            "data_returned, deescalated, shelved, unshelved, suppressed, unsuppressed, out_of_service, returned or action_failed\n");
    refuses("  - {test: t, expect: [{until: 1m, count: 1}]}\n", "an expectation names an alarm");
    refuses("  - {test: t, expect: [{until: 1m, count: 1, rule: warm, none: warm}]}\n", "`none` stands alone");
    refuses("  - {test: t, expect: [{t: 1m, action: page, rule: warm}]}\n", "'page' is not log");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room=A1}\", value: 9°C}]}\n", "expected a number");
    refuses("  - {test: t, expect: []}\n", "a test expects something");
    refuses("  - {test: t}\n", "missing key 'expect'");
    refuses("  - {test: t, start: yesterday, expect: [{t: 1m, none: warm}]}\n", "'yesterday' is no time");
    refuses("  - {test: t, every: 0, expect: [{t: 1m, none: warm}]}\n", "the time between two samples is more than 0");
    refuses("  - {test: t, do: [{t: 1m, cmd: akc, alarm: warm}], expect: [{t: 1m, none: warm}]}\n", "did you mean 'ack'?");
    refuses("  - {test: t, do: [{t: 1m, cmd: ack, alarm: warm, for: 1h}], expect: [{t: 1m, none: warm}]}\n",
            "r.yaml:24:56: error W361: `for` goes with shelve");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room=A1}\", silent: [none, shelved]}]}\n", "error W363: `none` stands alone");
    refuses("  - {test: t, expect: [{t: 1m, alarm: \"warm{room=A1}\", silent: [shelved, none]}]}\n", "error W363: `none` stands alone");
    refuses("  - {test: t, given: [{series: temp, values: \"1 @late(5h):csv(f.csv, c)\"}], expect: [{t: 1m, none: warm}]}\n",
            "error W360: @late goes with a value, not with a file");
    refuses("  - {test: t, given: [{series: temp, values: \"1 @late(5h):_\"}], expect: [{t: 1m, none: warm}]}\n",
            "error W360: @late goes with a value, not with what is missing");
    refuses("  - {test: t, given: [{series: \"te*\", values: \"1\"}], expect: [{t: 1m, none: warm}]}\n", "one series is meant");
    refuses("  - {test: t, given: [{series: temp, values: \"1\"}, {series: temp, values: \"1\"}], expect: [{t: 1m, none: warm}]}\n",
            "the series is given twice");
    refuses("  - {test: t, given: [{series: temp, values: \"1 'open'\"}], expect: [{t: 1m, none: warm}]}\n", "not several of these");
    refuses("  - {test: t, given: [{series: \"temp{room=A1}\", values: \"4.0*10 9.0x\"}], expect: [{t: 1m, none: warm}]}\n",
            "r.yaml:24:68: error W360: unexpected 'x'\n"
            "   24 |   - {test: t, given: [{series: \"temp{room=A1}\", values: \"4.0*10 9.0x\"}], expect: [{t: 1m, none: warm}]}\n"
            "      |                                                                    ^ words stand apart: 4.0*10 9.0*14\n");
    refuses(
        "  - {test: t, given: [{series: a, values: \"1*3000000\"}, {series: b, values: \"1*3000000\"}], expect: [{t: 1m, none: warm}]}\n",
        "error W366: a test makes at most 5000000 samples");
}

/* Every allocation of a run fails in turn: an error, and nothing is lost. */
static void no_memory(void **state) {
    (void)state;
    char all[8192];
    snprintf(all, sizeof all,
             RULES WARM "do: [{t: 10m30s, cmd: restart}, {t: 10m40s, cmd: reload}, {t: 11m, cmd: ack, alarm: warm}], expect: [{t: 10m, "
                        "alarm: \"warm{room=A1}\", state: acked}, {until: 16m, "
                        "count: 1, rule: warm}]}\n");
    const struct wr_ruleset_text file = {"r.yaml", all, strlen(all)};
    const struct wr_suite_options options = {.seed = WR_TEST_SEED, .verbose = true};
    long n = 0;
    for (;; n++) {
        struct wr_buf words;
        struct wr_suite_counts counts = {0};
        struct wr_error err = {0};
        wr_buf_init(&words, 0);
        const struct wr_suite_output output = {.words = &words};
        wr_failing_allocations(n);
        enum wr_result result = wr_suite_run(&file, &options, &output, &counts, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&words);
        if (!hit) {
            assert_int_equal(result, WR_OK);
            break;
        }
        /* The evaluator counts what it could not make and goes on: then the test fails, and says so. */
        assert_true(result == WR_NO_MEMORY || (result == WR_OK && counts.failed == 1));
    }
    assert_true(n > 50);
}

static const char restarts[] = "points:\n"
                               "  - {point: t, unit: °C, every: 30s}\n"
                               "rules:\n"
                               "  - {rule: warm, when: t > 8°C, by: room, on_delay: 5m, latch: true, respond: x}\n"
                               "  - {rule: mean, when: \"avg(t, 10m) > 8°C\", by: room, respond: x}\n"
                               "tests:\n"
                               "  - test: a restart within the delay\n"
                               "    every: 30s\n"
                               "    given:\n"
                               "      - {series: \"t{room=A}\", values: \"9*6 _*10 9*20 7*40\"}\n"
                               "    do:\n"
                               "      - {t: 2m40s, cmd: %s}\n"
                               "      - {t: 12m, cmd: ack, alarm: \"warm{room=A}\"}\n"
                               "      - {t: 12m10s, cmd: %s}\n"
                               "    expect:\n"
                               "      - {t: 2m39s, alarm: \"warm{room=A}\", state: pending}\n"
                               "      - {t: 2m50s, alarm: \"warm{room=A}\", state: pending}\n"
                               "      - {t: 5m, alarm: \"warm{room=A}\", state: %s}\n"
                               "      - {t: 12m20s, alarm: \"warm{room=A}\", state: acked}\n"
                               "      - {t: 12m20s, alarm: \"mean{room=A}\", state: unack}\n"
                               "      - {t: 18m10s, alarm: \"warm{room=A}\", state: latched_ack}\n"
                               "      - {until: 20m, count: 1, rule: warm}\n"
                               "      - {until: 20m, count: 1, rule: mean}\n";

/* The delay stands still after a restart until the next sample, and goes on through a reload. */
static void restart_and_reload(void **state) {
    (void)state;
    static const char *const tries[][2] = {{"restart", "pending"}, {"reload", "unack"}};
    for (unsigned i = 0; i < 2; i++) {
        char text[4096];
        snprintf(text, sizeof text, restarts, tries[i][0], tries[i][0], tries[i][1]);
        struct suite_bed bed = suite_run("rules.yaml", text);
        if (bed.counts.failed > 0)
            fail_msg("%s", wr_buf_str(&bed.words));
        assert_int_equal(bed.counts.passed, 1);
        suite_fini(&bed);
    }
    static const char *const wrong[][2] = {
        {"cmd: restart, alarm: warm", "'restart' is of the whole agent"},
        {"cmd: reload, for: 5m", "'reload' is of the whole agent"},
        {"cmd: ack", "'ack' needs an `alarm`"},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "rules:\n  - {rule: warm, when: t > 8, respond: x}\ntests:\n  - test: x\n    do: [{t: 1m, %s}]\n    expect: [{t: 2m, "
                 "none: warm}]\n",
                 wrong[i][0]);
        struct suite_bed bed = suite_run("rules.yaml", text);
        assert_int_equal(bed.counts.failed, 1);
        assert_non_null(strstr(wr_buf_str(&bed.words), wrong[i][1]));
        suite_fini(&bed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states),   cmocka_unit_test(counts),    cmocka_unit_test(actions),
        cmocka_unit_test(commands), cmocka_unit_test(order),     cmocka_unit_test(timers_without_end),
        cmocka_unit_test(samples),  cmocka_unit_test(csv),       cmocka_unit_test(derived),
        cmocka_unit_test(errors),   cmocka_unit_test(no_memory), cmocka_unit_test(restart_and_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
