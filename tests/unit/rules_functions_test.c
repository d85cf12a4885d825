/* Every function of the rule language: one use that is taken, with what it is compiled into, and one that is refused. */
#include "rules/language/nodes.h"
#include "tests/support/rules_fixture.h"

/* The points that the examples of rules/language/functions.c speak of. */
#define POINTS                                                                                                                             \
    "points:\n"                                                                                                                            \
    "  - {point: room_temp, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s}\n"                                                 \
    "  - {point: rack_temp, unit: °C}\n"                                                                                                  \
    "  - {point: air_temp, unit: °C}\n"                                                                                                   \
    "  - {point: surface_temp, unit: °C}\n"                                                                                               \
    "  - {point: humidity, unit: \"%\"}\n"                                                                                                 \
    "  - {point: power, unit: kW, every: 10s}\n"                                                                                           \
    "  - {point: energy, unit: kWh, counter: true, every: 10s}\n"                                                                          \
    "  - {point: flow, unit: L/min, resolution: 0.1, range: \"0..100\", every: 10s}\n"                                                     \
    "  - {point: tank_level, unit: \"%\", range: \"0..100\", resolution: 0.1}\n"                                                           \
    "  - {point: vib, unit: mm/s, range: \"0..50\", resolution: 0.01, every: 1s}\n"                                                        \
    "  - {point: pt101, unit: bar}\n"                                                                                                      \
    "  - {point: pt102, unit: bar}\n"                                                                                                      \
    "  - {point: pt103, unit: bar}\n"                                                                                                      \
    "  - {point: current, unit: A, range: \"0..100\"}\n"                                                                                   \
    "rules:\n"

static struct wr_ruleset *load(const char *when, char *shown, size_t size) {
    char text[4096];
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_buf buf;
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&buf, 0);
    snprintf(text, sizeof text, "%s  - rule: r\n    by: room\n    respond: x\n    when: '%s'\n", POINTS, when);
    if (wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, NULL) != WR_OK)
        rules = NULL;
    assert_int_equal(wr_diagnostics_render(&diagnostics, false, &buf), WR_OK);
    snprintf(shown, size, "%s", wr_buf_str(&buf));
    wr_buf_fini(&buf);
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

static bool is_pending(const struct wr_function *function) {
    return function->how == WR_HOW_LATER;
}

static void examples(void **state) {
    (void)state;
    char shown[8192];
    for (const struct wr_function *function = wr_functions; function->name; function++) {
        assert_ptr_equal(wr_function_find(function->name), function);
        assert_true(strlen(function->usage) > 0 && strlen(function->help) > 0);
        if (is_pending(function))
            continue;
        assert_non_null(function->example);
        assert_non_null(strstr(function->example, function->name));
        struct wr_ruleset *rules = load(function->example, shown, sizeof shown);
        if (!rules || shown[0])
            fail_msg("%s:\n%s", function->example, shown);
        const struct wr_rule *rule = rules->rules[0];
        assert_true(rule->n_operands > 0 && rule->when.n > 0);
        for (uint32_t i = rules->n_rules; i < rules->n_nodes; i++) {
            const struct wr_rule *node = rules->rules[i];
            assert_int_equal(node->index, i);
            assert_int_equal(node->n_by, 1);
            for (uint32_t k = 0; k < node->n_operands; k++)
                assert_true(node->operands[k].node == WR_NODE_NO ||
                            (node->operands[k].node >= rules->n_rules && node->operands[k].node < i));
        }
        wr_ruleset_free(rules);
    }
}

static void refused(void **state) {
    (void)state;
    const char *const table[][2] = {
        {"last(8°C) > 8°C", "W217: this never changes"},
        {"prev(room_temp, 3) > 8°C", "W104: too many arguments for 'prev'"},
        {"delta(room_temp) > 3°C", "W213: cannot compare a temperature (°C) with a temperature difference (K)"},
        {"age(room_temp) == 5s", "W216: age can only be compared"},
        {"quality(room_temp) == \"fine\"", "W105: no quality: \"fine\""},
        {"age(x) > 3 * period(x)", "W212: 'every' is not declared for 'x'"},
        {"span(x, 5m) > resolution(room_temp + 1K)", "W105: "},
        {"x and time() > 5bar", "W210: cannot compare duration (s) with pressure (bar)"},
        {"x and hour(\"Europe/Rigaa\") > 5", "Europe/Rig"},
        {"x and weekday(5) > 5", "W104: a time zone in quotes is needed for 'weekday'"},
        {"rises(room_temp)", "W110: true or false is needed here, not a temperature (°C)"},
        {"falls(flow)", "W110: true or false is needed here, not a flow (L/min)"},
        {"changed(x, y)", "W104: too many arguments for 'changed'"},
        {"held(x, 2bar)", "W105: a duration is needed here"},
        {"held(room_temp, 2m)", "W110: true or false is needed here, not a temperature (°C)"},
        {"hits(x, 1.5, 10)", "W105: 'n' is a whole number of 1 to 4096"},
        {"hits(x, 11, 10)", "W215: hits takes whole numbers"},
        {"duty(room_temp, 1h) > 80%", "W110: true or false is needed here"},
        {"duty(x, 1h) > 8°C", "W210: cannot compare ratio with temperature (°C)"},
        {"count_if(power, 1h) > 3", "W110: true or false is needed here, not a power (kW)"},
        {"vote(3, x, y)", "W104: more votes are needed than there are conditions in 'vote'"},
        {"vote(2, x, y, degrade=2)", "W104: `degrade` is below the number of conditions in 'vote'"},
        {"vote(1, x)", "W104: 2 to 16 conditions are needed for 'vote'"},
        {"vote(2, x, room_temp)", "W110: true or false is needed here, not a temperature (°C)"},
        {"avg(room_temp > 8°C, 5m) > 1", "W110: a number is needed here, not true or false"},
        {"min(room_temp, 5°C) > 8°C", "W105: a duration is needed here"},
        {"max(room_temp, tumbling=1m, step=1m) > 8°C", "W104: a window is sliding or tumbling, not both"},
        {"sum(room_temp, 1h) > 5°C", "W213: 'sum' of temperatures on a scale has no meaning"},
        {"count(x, 5m) > 3%", "W211: "},
        {"span(room_temp, 5m) > 3°C", "W213: "},
        {"stddev(room_temp, 10m) > 2°C", "W213: "},
        {"rms(room_temp, 10s) > 5°C", "W213: 'rms' of temperatures on a scale has no meaning"},
        {"median(vib) > 1mm/s", "W104: the window of 'median' is missing"},
        {"quantile(vib, 1.5, 1h) > 1mm/s", "W105: 'q' is a constant of 0 to 1"},
        {"slope(tank_level, 2m) > 5%", "W210: cannot compare"},
        {"rise(room_temp, 5m) > 1.5°C", "W213: "},
        {"fall(tank_level, 10m, k=2) > 20%", "W111: 'fall' has no argument 'k='"},
        {"first(room_temp, count 3) > 3K", "W213: "},
        {"integral(room_temp, 1h) > 3K", "W213: 'integral' of temperatures on a scale has no meaning"},
        {"coverage(room_temp, 1h) < 90s", "W210: cannot compare ratio with duration (s)"},
        {"changes(x) > 2", "W104: the window of 'changes' is missing"},
        {"increase(energy, 1h) > 50kW", "W210: cannot compare energy (kWh) with power (kW)"},
        {"rate(energy, 1h) > 50kWh", "W210: "},
        {"resets(x, 1h) > 1s", "W211: "},
        {"avg_of(rack_temp + 1K) > 8°C", "W105: 'avg_of' takes a series here"},
        {"max_of(rack_temp, 5m) > 8°C", "W104: too many arguments for 'max_of'"},
        {"min_of() > 8°C", "W104: an argument is missing for 'min_of'"},
        {"spread_of(rack_temp) > 8°C", "W213: "},
        {"count_of(rack_temp > power) >= 2", "W210: "},
        {"count_of(pt101 > pt102) >= 2", "W105: 'count_of' takes a condition over the present value of one series"},
        {"ewma(power, count 10) > 3kW", "W105: `count` stands where a window is wanted"},
        {"baseline(power, 1d, 99) > 3kW", "W105: 'seasons' is a whole number of 1 to 31"},
        {"cusum(power, 6h) > 3kW", "W211: "},
        {"anomaly(power, method=robustt) > 0.9", "W105: no such 'method'"},
        {"anomaly(power, metod=robust) > 0.9", "did you mean 'method='?"},
        {"forecast(tank_level, 1h) > 95%", "W104: an argument is missing for 'forecast'"},
        {"t2q(current, vib, current) > 0.9", "W104: a series stands twice in 't2q'"},
        {"t2q(current) > 0.9", "W215: "},
        {"t2q(current, vib, warmup=5%) > 0.9", "W105: 'warmup' is a whole number"},
        {"abs(room_temp) > 8°C", "W213: 'abs' of temperatures on a scale has no meaning"},
        {"if(x, 8°C, 3bar) > 8°C", "W210: "},
        {"clamp(power, 1, 5) > 2kW", "W211: "},
        {"round(room_temp, 5°C) > 8°C", "W213: "},
        {"round(power, 0kW) > 2kW", "W105: the step of 'round' is above zero"},
        {"dewpoint(humidity, air_temp) > 8°C", "W212: 'dewpoint' takes a temperature (°C) here"},
        {"heat_index(air_temp, x) > 8°C", "W212: 'heat_index' takes a relative humidity (%) here"},
        {"hour() >= 22", "W332: it reads no series"},
    };
    char shown[8192];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wr_ruleset *rules = load(table[i][0], shown, sizeof shown);
        if (rules || !strstr(shown, table[i][1]))
            fail_msg("%s\ngave:\n%sexpected:\n%s", table[i][0], shown, table[i][1]);
    }
    for (const struct wr_function *function = wr_functions; function->name; function++) {
        char start[32];
        bool found = is_pending(function);
        snprintf(start, sizeof start, "%s(", function->name);
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
            found |= strstr(table[i][0], start) != NULL;
        if (!found)
            fail_msg("no refused use of '%s'", function->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
