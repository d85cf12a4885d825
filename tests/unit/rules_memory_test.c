/* Memory that runs out while rules are loaded: whichever allocation and whichever piece of an arena fails, there is no rule set, no leak, and no line that blames
 * the file. A text for each part of the language, so that a run is short. */
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

#define FILE_NAME WEIR_TEST_DATA "/rules/memory.yaml" /* beside the tables */
#define POINTS                                                                                                                             \
    "points:\n"                                                                                                                            \
    "  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s}\n"                                                         \
    "  - {point: air, unit: °C}\n"                                                                                                        \
    "  - {point: hum, unit: \"%\"}\n"

static const char *const texts[] = {
    /* points and derived points */
    "points:\n"
    "  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s, lateness: 5s}\n"
    "  - {point: energy, unit: kWh, counter: true, wrap: 4294967296}\n"
    "derive:\n"
    "  - {point: low, of: margin < 2K, by: room}\n"
    "  - {point: margin, of: \"t - dewpoint(t, 50%)\", unit: K, by: room, max_age: 60s, emit: 1s}\n"
    "  - {point: share, of: \"p{k=a} / p{k=b}\", unit: \"%\"}\n"
    "rules:\n"
    "  - {rule: a, when: low and margin < 1K, by: \"site, room\"}\n",
    /* expressions */
    POINTS "rules:\n"
           "  - {rule: a, when: \"if(x > 1, t - 1K, t) > 8°C or -(x + 2 * y mod 3) < -15 and z != 'auto'\"}\n"
           "  - {rule: b, when: \"not (t outside 2°C..8°C) and x in 1..3 and clamp(x, 0, 3) > y / 2\"}\n",
    POINTS "rules:\n"
           "  - {rule: a, when: \"t - air > 3K and t + 2K > 280K + 0°C and air < t\"}\n"
           "  - {rule: b, when: \"abs(min(x, 3m)) > 3 and mode == auto and quality(t) == bad\"}\n"
           "  - {rule: c, when: \"age(t) > 3 * period(t) and 5min >= age(t) and hour() > 5 and weekday() in 1..5\"}\n",
    /* windows, models, sets, vectors */
    POINTS "rules:\n"
           "  - {rule: a, when: \"avg(t, 5m, step=1m) > 8°C and max(x, count 3) > 2 and rise(t, 5m) > 1K\", by: room}\n"
           "  - {rule: b, when: \"hits(avg(t - 2K, 5m) > 8°C, 2, 3) and held(t > 8°C, 2m) and quantile(t, 90%, 1h) > 8°C\"}\n"
           "  - {rule: c, when: \"anomaly(t, method=novelty, warmup=1d) > 0.99 or t2q(x, y, z, warmup=500) > 0.99\", by: room}\n",
    POINTS "rules:\n"
           "  - {rule: d, when: \"spread_of(t) > 5K and count_of(x > 3) >= 2 and avg_of(t{k=a}) > 8°C\"}\n"
           "  - {rule: e, when: \"vote(2, x > 12, y > 12, t > 12°C, degrade=1) and span(t, 30m) < 2 * resolution(t)\"}\n"
           "  - {rule: f, when: \"rises(x) and changed(y) or falls(t > 3°C)\"}\n",
    /* what a rule may say */
    POINTS "defaults: {severity: low, no_data: hold, shelve_max: 8h, on_delay: 1s}\n"
           "rules:\n"
           "  - {rule: a, when: t > 8°C, by: room, deadband: 1K, on_delay: 5m, off_delay: 2m, valid_if: \"held(x > 1, 1m)\", latch: true,\n"
           "     no_data: raise, no_data_after: 10m, message: \"{room} at {value} for {duration}\", consequence: \"{room} lost\",\n"
           "     respond: \"open {room}\", time_to_respond: 1h, re_alarm: 30m, max_instances: 50, forget: 3d}\n"
           "  - {rule: b, when: \"t > 8°C or x > 3\", clear: \"t < 7°C and x < 3\"}\n"
           "  - {rule: c, when: \"t > 8°C + (air - 3°C)\", deadband: 0.5K}\n"
           "  - {rule: d, when: t outside 2°C..8°C, deadband: 0.5K}\n",
    POINTS "rules:\n"
           "  - rule: steps\n"
           "    value: avg(t, 5m)\n"
           "    by: room\n"
           "    levels:\n"
           "      - {name: H, when: value > 8°C, on_delay: 10m, deadband: 1K, severity: medium}\n"
           "      - {name: HH, when: value > 10°C, clear: value < 8°C, severity: high}\n"
           "  - rule: order\n"
           "    by: room\n"
           "    sequence:\n"
           "      - {step: rises(x)}\n"
           "      - {step: \"held(t > 8°C, 1s)\", within: 20s, absent: true}\n"
           "  - {rule: order2, by: room, sequence: [{step: rises(x)}, {step: \"held(t > 8°C, 1s)\", within: 20s, absent: true}]}\n"
           "  - {rule: steps2, value: \"avg(t, 5m)\", by: room, levels: [{name: H, when: value > 8°C, on_delay: 10m, deadband: 1K}]}\n",
    /* actions */
    POINTS
    "rules:\n"
    "  - rule: a\n"
    "    when: t > 8°C\n"
    "    by: room\n"
    "    then:\n"
    "      - {log: true, at: [raised, escalated, cleared]}\n"
    "      - {exec: {argv: [/bin/beep, \"{room}\", x]}, after: 10m, unless: acked}\n"
    "      - {mqtt: {topic: \"alarm/{room}\", qos: 1}}\n"
    "      - {webhook: {url: \"https://pager.example/{room}\", secret: pager, method: PUT, headers: [\"X-Key: 1\", \"X-Other: 2\"]}}\n"
    "      - {file: {path: \"/var/log/{room}.jsonl\"}}\n"
    "      - {file: {path: /var/log/all.jsonl}}\n",
    /* tables and schedules */
    "tables:\n"
    "  - {name: rooms, csv: rooms.csv, key: room}\n"
    "  - {name: pumps, csv: pumps.csv, key: pump}\n" POINTS "  - {point: vib, unit: mm/s}\nschedules:\n"
    "  - {name: closed, tz: Europe/Riga, days: mon-fri, from: \"20:00\", to: \"06:00\"}\n"
    "  - {name: closed, tz: UTC, days: sun, dates: \"12-24..12-26\"}\n"
    "rules:\n"
    "  - {rule: a, when: t > rooms.hi and vib > pumps.vib_alarm, by: \"room, pump\", message: \"{rooms.spare} {rooms.hi}\", active: "
    "closed}\n"
    "  - {rule: b, when: \"held(t < rooms.lo, 1m) or x > 3\", by: room, active: closed}\n",
    /* suppress, groups */
    "rules:\n"
    "  - {rule: a, when: x > 3, by: gw}\n"
    "  - {rule: b, when: y > 3, by: \"gw, room\"}\n"
    "suppress:\n"
    "  - {cause: a, match: \"rule!=a\", equal: gw, linger: 60s}\n"
    "  - {cause: a, match: \"rule=b,severity=low\", equal: gw}\n"
    "groups:\n"
    "  - {name: by_gw, by: \"gw, room\", wait: 2s, update: 30s, repeat: 4h, first_out: true, flood_start: 10, flood_end: 5, flood_window: "
    "10m,\n"
    "     then: [{at: [raised], log: true}]}\n"
    "  - {name: rest, by: gw}\n",
    /* tests of rules */
    "rules:\n"
    "  - {rule: a, when: t > 8, by: room, on_delay: 1m}\n"
    "tests:\n"
    "  - test: warm\n"
    "    rules: [a]\n"
    "    start: \"2026-03-02T08:00:00Z\"\n"
    "    every: 30s\n"
    "    given:\n"
    "      - {series: \"t{room=A1}\", values: \"4.0*3 9.0*14 _*3 1\"}\n"
    "      - {series: \"t{room=A2}\", values: \"1 2 3\", every: 1m}\n"
    "    do:\n"
    "      - {t: 4m, cmd: ack, alarm: \"a{room=A1}\", who: ana}\n"
    "      - {t: 5m, cmd: shelve, alarm: \"a{room=A1}\", for: 1h, who: ana, why: known}\n"
    "    expect:\n"
    "      - {t: 1m, none: a}\n"
    "      - {t: 3m, alarm: \"a{room=A1}\", state: unack, severity: low}\n"
    "      - {until: 16m, count: 2, rule: a}\n",
};

/* What else a text may need is allowed. */
static const char *const programs[] = {"/bin/beep"};
static const char *const folders[] = {"/var/log"};
static const struct wr_ruleset_secret secrets[] = {{"pager", "/etc/weir/pager"}};
static const struct wr_ruleset_options options = {.exec_allow = programs,
                                                  .n_exec_allow = 1,
                                                  .file_allow = folders,
                                                  .n_file_allow = 1,
                                                  .secrets = secrets,
                                                  .n_secrets = 1,
                                                  .keep_tests = true};

static enum wr_result load(const char *text, struct wr_diagnostics *diagnostics) {
    struct wr_ruleset *rules = NULL;
    wr_diagnostics_init(diagnostics);
    const enum wr_result result = wr_ruleset_load_text(FILE_NAME, text, strlen(text), &options, diagnostics, &rules, NULL);
    assert_true((result == WR_OK) == (rules != NULL));
    wr_ruleset_free(rules);
    return result;
}

static void print(struct wr_diagnostics *diagnostics) {
    struct wr_buf shown;
    wr_buf_init(&shown, 0);
    if (wr_diagnostics_render(diagnostics, WR_DIAGNOSTICS_TEXT, &shown) == WR_OK)
        print_error("%s\n", wr_buf_str(&shown));
    wr_buf_fini(&shown);
}

/* How often it had to be tried until nothing failed. */
static long until_it_loads(const char *text, void (*arm)(long n)) {
    for (long n = 0;; n++) {
        struct wr_diagnostics diagnostics;
        arm(n);
        const enum wr_result result = load(text, &diagnostics);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (diagnostics.errors > 0 || (!hit && result != WR_OK)) {
            print(&diagnostics);
            fail_msg("%ld of: %s", n, text);
        }
        wr_diagnostics_fini(&diagnostics);
        if (!hit)
            return n;
        if (result != WR_NO_MEMORY && result != WR_OK)
            fail_msg("%ld gives %d of: %s", n, result, text);
    }
}

static void texts_load(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct wr_diagnostics diagnostics;
        if (load(texts[i], &diagnostics) != WR_OK) {
            print(&diagnostics);
            fail_msg("text %zu", i);
        }
        wr_diagnostics_fini(&diagnostics);
    }
}

static void allocations(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_true(until_it_loads(texts[i], wr_failing_allocations) > 10);
}

static void pieces(void **state) {
    (void)state;
    long n = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        n += until_it_loads(texts[i], wr_failing_pieces);
    print_message("%ld pieces\n", n);
    assert_true(n > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_load), cmocka_unit_test(allocations), cmocka_unit_test(pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
