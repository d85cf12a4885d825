/* derive, levels, sequence, tables, valid_if: what a rule set is made of beside plain conditions. */
#include "rules/language/nodes.h"
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

#define POINTS                                                                                                                             \
    "points:\n"                                                                                                                            \
    "  - {point: t, unit: °C, every: 30s}\n"                                                                                              \
    "  - {point: hum, unit: \"%\"}\n"                                                                                                      \
    "  - {point: p, unit: bar}\n"

static struct wr_ruleset *load(const char *text, char *shown, size_t size) {
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_buf buf;
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&buf, 0);
    if (wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, NULL) != WR_OK)
        rules = NULL;
    assert_int_equal(wr_diagnostics_render(&diagnostics, false, &buf), WR_OK);
    snprintf(shown, size, "%s", wr_buf_str(&buf));
    wr_buf_fini(&buf);
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

static const struct wr_rule *node_of(const struct wr_ruleset *rules, const struct wr_rule *rule, uint32_t operand) {
    assert_true(operand < rule->n_operands && rule->operands[operand].node != WR_NODE_NO);
    return rules->rules[rule->operands[operand].node];
}

static uint32_t nodes_in(const struct wr_ruleset *rules) {
    return rules->n_nodes - rules->n_rules;
}

/* One node for the same expression with the same labels, another one for other labels. */
static void shared(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load(POINTS "rules:\n"
                                                   "  - {rule: a, when: \"held(t > 8°C, 2m) and x\", by: room}\n"
                                                   "  - {rule: b, when: \"held( (t > 8°C),  2min )\", by: room}\n"
                                                   "  - {rule: c, when: \"held(t > 8°C, 2m)\"}\n"
                                                   "  - {rule: d, when: \"held(t > 8°C, 3m)\", by: room}\n");
    assert_int_equal(nodes_in(rules), 3);
    assert_ptr_equal(node_of(rules, rules->rules[0], 0), node_of(rules, rules->rules[1], 0));
    assert_ptr_not_equal(node_of(rules, rules->rules[0], 0), node_of(rules, rules->rules[2], 0));
    const struct wr_rule *node = node_of(rules, rules->rules[0], 0);
    assert_int_equal(node->kind, WR_RULE_DERIVED);
    assert_true(node->truth && !node->operands[0].opaque);
    assert_int_equal(node->on_delay_ns, 120 * FIXTURE_SECOND);
    assert_int_equal(node->n_by, 1);
    assert_int_equal(node->operands[0].n_thresholds, 1);
    assert_int_equal(rules->rules[0]->rank, 1);
    wr_ruleset_free(rules);
}

/* Every sample of a counted condition is told; ranks go up by what is read. */
static void counted(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load(POINTS "rules:\n"
                                                   "  - {rule: a, when: \"hits(avg(t - 2K, 5m) > 8°C, 2, 3)\"}\n"
                                                   "  - {rule: b, when: \"quantile(t, 90%, 1h) > 8°C and quantile(t, 0.5, 1h) > 5°C\"}\n");
    const struct wr_rule *hits = node_of(rules, rules->rules[0], 0);
    const struct wr_rule *above = node_of(rules, hits, 0);
    const struct wr_rule *mean = node_of(rules, above, 0);
    const struct wr_rule *less = node_of(rules, mean, 0);
    assert_true(hits->truth && above->truth && !mean->truth && above->every_sample);
    assert_int_equal(less->rank, 0);
    assert_int_equal(rules->rules[0]->rank, 4);
    assert_int_equal(hits->operators[0].spec.count > 0 || hits->operators[0].spec.capacity > 0, true);
    const struct wr_rule *q90 = node_of(rules, rules->rules[1], 0);
    const struct wr_rule *q50 = node_of(rules, rules->rules[1], 1);
    assert_true(wr_operator_same(&q90->operators[0].spec, &q50->operators[0].spec));
    assert_true(fabs(q90->when.code[0].number - 0.9) < 1e-12 && fabs(q50->when.code[0].number - 0.5) < 1e-12);
    assert_int_equal(rules->rules[1]->operands[0].n_thresholds, 1);
    assert_false(rules->rules[1]->operands[0].opaque);
    wr_ruleset_free(rules);
}

static void derived(void **state) {
    (void)state;
    struct wr_ruleset *rules =
        fixture_load(POINTS "derive:\n"
                            "  - {point: late, of: margin < 2K, by: room}\n"
                            "  - {point: margin, of: \"t - dewpoint(t, hum)\", unit: K, by: room, max_age: 60s, emit: 1s}\n"
                            "  - {point: in_mbar, of: p, unit: mbar}\n"
                            "rules:\n"
                            "  - {rule: a, when: late and margin < 1K, by: \"site, room\"}\n"
                            "  - {rule: b, when: in_mbar > 3bar}\n");
    const struct wr_rule *late = node_of(rules, rules->rules[0], 0);
    const struct wr_rule *margin = node_of(rules, rules->rules[0], 1);
    assert_string_equal(margin->name, "margin");
    assert_string_equal(margin->output->unit.text, "K");
    assert_int_equal(margin->no_data_after_ns, 60 * FIXTURE_SECOND);
    assert_int_equal(margin->emit_ns, FIXTURE_SECOND);
    assert_ptr_equal(node_of(rules, late, 0), margin);
    assert_int_equal(rules->rules[0]->rank, 2);
    assert_true(rules->rules[1]->operands[0].thresholds[0] > 2999.9 && rules->rules[1]->operands[0].thresholds[0] < 3000.1);
    assert_non_null(strstr(rules->rules[0]->canonical, "margin = (t - dewpoint(t, hum)) in K max_age 60s emit 1s"));
    wr_ruleset_free(rules);
}

/* A quotient is a number; the unit makes it one of a hundred. What is bare is counted. */
static void quotients(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "derive:\n"
                            "  - {point: share, of: \"p{k=a} / p{k=b}\", unit: \"%\"}\n"
                            "rules:\n"
                            "  - {rule: most, when: share > 30%}\n"
                            "  - {rule: two, when: count_of(p) >= 2}\n");
    fixture_value(&f, fixture_series(&f, "p", "k=a"), 2);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, fixture_series(&f, "p", "k=b"), 5);
    for (uint32_t i = 0; i < f.n_log; i++)
        assert_true(strcmp(f.log[i].alarm.rule, "two") == 0 || fabs(f.log[i].alarm.value - 40) < 1e-9);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack");
    fixture_fini(&f);
}

static void levels(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load(POINTS "defaults: {off_delay: 7s}\n"
                                                   "rules:\n"
                                                   "  - rule: a\n"
                                                   "    value: t{kind=freezer}\n"
                                                   "    by: freezer\n"
                                                   "    on_delay: 3s\n"
                                                   "    levels:\n"
                                                   "      - {name: H, when: value > -15°C, on_delay: 10m, deadband: 1K, severity: medium}\n"
                                                   "      - {name: HH, when: value > -10°C, clear: value < -11°C, severity: high}\n");
    const struct wr_rule *rule = rules->rules[0];
    assert_int_equal(rule->n_levels, 2);
    assert_string_equal(rule->levels[0].name, "H");
    assert_int_equal(rule->levels[1].severity, WR_SEVERITY_HIGH);
    const struct wr_rule *high = node_of(rules, rule, 0);
    const struct wr_rule *highest = node_of(rules, rule, 1);
    assert_int_equal(high->on_delay_ns, 600 * FIXTURE_SECOND);
    assert_int_equal(high->off_delay_ns, 7 * FIXTURE_SECOND);
    assert_int_equal(highest->on_delay_ns, 3 * FIXTURE_SECOND);
    assert_true(high->clear.n > 0 && highest->clear.n > 0);
    assert_true(high->clear.low < -15.9 && high->clear.low > -16.1);
    assert_int_equal(rule->on_delay_ns, 0);
    assert_int_equal(rule->n_leaves, 2);
    assert_true(rule->leaves[0].low.code[0].number < -9.9 && rule->leaves[0].low.code[0].number > -10.1);
    assert_string_equal(rule->operands[2].text, "t{kind=freezer}");
    assert_false(rule->operands[2].opaque);
    wr_ruleset_free(rules);
}

static void sequence(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load("rules:\n"
                                            "  - rule: a\n"
                                            "    by: pump\n"
                                            "    sequence:\n"
                                            "      - {step: rises(run)}\n"
                                            "      - {step: run}\n"
                                            "      - {step: rises(run), within: 20s, absent: true}\n");
    const struct wr_rule *steps = node_of(rules, rules->rules[0], 0);
    assert_int_equal(steps->kind, WR_RULE_SEQUENCE);
    assert_int_equal(steps->n_steps, 3);
    assert_int_equal(steps->n_operands, 3);
    assert_int_equal(steps->operands[0].node, steps->operands[2].node);
    assert_true(steps->steps[2].absent && steps->steps[2].within_ns == 20 * FIXTURE_SECOND);
    assert_true(node_of(rules, steps, 1)->truth);
    assert_string_equal(rules->rules[0]->canonical, "sequence rises(run), run, rises(run) within 20s absent");
    wr_ruleset_free(rules);
}

/* No two nodes mean the same, however a call is come by: after a reload or a restart each finds its own. */
static void one_meaning(void **state) {
    (void)state;
    struct wr_ruleset *rules =
        fixture_load(POINTS "rules:\n"
                            "  - rule: steps\n"
                            "    sequence:\n"
                            "      - {step: \"held(x > 8, 2s)\"}\n"
                            "      - {step: \"hits(x > 8, 2, 3)\"}\n"
                            "      - {step: \"avg(x, 5m)\"}\n"
                            "      - {step: count_of(x > 8)}\n"
                            "      - {step: x}\n"
                            "  - {rule: same, when: \"held(x > 8, 2s) and hits(x > 8, 2, 3) and avg(x, 5m) > 0 and count_of(x > 8) > 0\"}\n"
                            "  - {rule: change, when: \"avg(delta(x, 5m), 1h) > 1 and delta(x, 5m) > 2\"}\n");
    const struct wr_rule *steps = node_of(rules, rules->rules[0], 0);
    assert_int_equal(steps->operands[0].node, rules->rules[1]->operands[0].node);
    assert_int_equal(steps->operands[1].node, rules->rules[1]->operands[1].node);
    assert_int_equal(node_of(rules, steps, 2)->operands[0].node, rules->rules[1]->operands[2].node);
    assert_string_equal(rules->rules[0]->operands[0].text, "sequence held((x>8), 2s), hits((x>8), 2, 3), avg(x, 5m), count_of((x>8)), x");
    for (uint32_t i = rules->n_rules; i < rules->n_nodes; i++)
        for (uint32_t k = rules->n_rules; k < i; k++)
            if (strcmp(rules->rules[i]->canonical, rules->rules[k]->canonical) == 0)
                fail_msg("two nodes: %s", rules->rules[i]->canonical);
    wr_ruleset_free(rules);
}

static void options(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load("defaults: {shelve_max: 1h, backfill: evaluate, forget: 1d}\n"
                                            "rules:\n"
                                            "  - {rule: a, when: x, valid_if: \"held(run, 1m)\", re_alarm: 30m, max_instances: 7}\n"
                                            "  - {rule: b, when: x == false, severity: critical, backfill: ignore, forget: 2h}\n"
                                            "  - {rule: c, when: true != x, shelve_max: 0s}\n");
    const struct wr_rule *a = rules->rules[0];
    const struct wr_rule *b = rules->rules[1];
    assert_int_equal(a->shelve_max_ns, 3600 * FIXTURE_SECOND);
    assert_int_equal(a->backfill, WR_BACKFILL_EVALUATE);
    assert_int_equal(a->re_alarm_ns, 1800 * FIXTURE_SECOND);
    assert_int_equal(a->max_instances, 7);
    assert_int_equal(a->valid_if.n, 1);
    assert_string_equal(a->canonical, "x valid_if held(run, 1m)");
    assert_int_equal(b->shelve_max_ns, 0);
    assert_int_equal(b->backfill, WR_BACKFILL_IGNORE);
    assert_int_equal(b->forget_ns, 7200 * FIXTURE_SECOND);
    assert_int_equal(b->when.code[b->when.n - 1].op, WR_OP_NOT);
    assert_int_equal(rules->rules[2]->when.code[rules->rules[2]->when.n - 1].op, WR_OP_NOT);
    assert_int_equal(rules->rules[2]->shelve_max_ns, 0);
    wr_ruleset_free(rules);
}

/* With one level that is critical the alarm is: nobody shelves it by default. */
static void shelved(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load(POINTS "defaults: {shelve_max: 1h}\n"
                                                   "rules:\n"
                                                   "  - rule: a\n"
                                                   "    value: t\n"
                                                   "    levels:\n"
                                                   "      - {name: H, when: value > 8°C}\n"
                                                   "      - {name: HH, when: value > 12°C, severity: critical}\n"
                                                   "  - rule: b\n"
                                                   "    value: t\n"
                                                   "    severity: critical\n"
                                                   "    levels:\n"
                                                   "      - {name: H, when: value > 8°C, severity: low}\n"
                                                   "      - {name: HH, when: value > 12°C, severity: high}\n"
                                                   "  - rule: c\n"
                                                   "    value: t\n"
                                                   "    shelve_max: 2h\n"
                                                   "    severity: critical\n"
                                                   "    levels:\n"
                                                   "      - {name: H, when: value > 8°C}\n"
                                                   "      - {name: HH, when: value > 12°C}\n");
    assert_int_equal(rules->rules[0]->shelve_max_ns, 0);
    assert_int_equal(rules->rules[1]->shelve_max_ns, 3600 * FIXTURE_SECOND);
    assert_int_equal(rules->rules[2]->shelve_max_ns, 7200 * FIXTURE_SECOND);
    wr_ruleset_free(rules);
}

/* A derived point is a counter where its declaration says so, or where it is one as it is. */
static void derived_counters(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load(POINTS "  - {point: both, unit: kWh, counter: true, wrap: 1000}\n"
                                                   "  - {point: a, unit: kWh, counter: true, wrap: 500}\n"
                                                   "  - {point: b, unit: kWh}\n"
                                                   "derive:\n"
                                                   "  - {point: both, of: a + b}\n"
                                                   "  - {point: same, of: a, by: site}\n"
                                                   "rules:\n"
                                                   "  - {rule: both, when: \"delta(both, 5m) > 7kWh\"}\n"
                                                   "  - {rule: same, when: \"delta(same, 5m) > 7kWh\", by: site}\n"
                                                   "  - {rule: none, when: \"delta(a + b, 5m) > 7kWh\"}\n");
    const double wraps[] = {1000, 500, 0};
    for (uint32_t i = 0; i < 3; i++) {
        const struct wr_operator_spec *spec = &node_of(rules, rules->rules[i], 0)->operators[0].spec;
        assert_int_equal(spec->counter, wraps[i] > 0);
        assert_true(fabs(spec->wrap - wraps[i]) < 1e-9);
    }
    wr_ruleset_free(rules);
}

/* The model of t2q is the most of what it needs. */
static void cost_of_a_model(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load("rules:\n"
                                            "  - {rule: a, when: \"t2q(a, b) > 0.99\"}\n"
                                            "  - {rule: b, when: \"t2q(a, b, c, d, e, f) > 0.99\"}\n");
    struct wr_rule_info two = wr_ruleset_info(rules, wr_ruleset_find(rules, "a"));
    struct wr_rule_info six = wr_ruleset_info(rules, wr_ruleset_find(rules, "b"));
    assert_true(two.bytes_per_instance > sizeof(struct wr_t2q) + sizeof(struct wr_instance_more));
    assert_true(two.cost_ns > 200 && six.cost_ns > two.cost_ns);
    wr_ruleset_free(rules);
}

static void refused(void **state) {
    (void)state;
    const char *const table[][2] = {
        {"derive:\n  - {point: a, of: b > 1, by: room}\n  - {point: b, of: c, by: room}\n  - {point: c, of: \"if(a, 1, 2)\", by: room}\n",
         "W334: the derived point 'a' needs itself: a -> b -> c -> a"},
        {"derive:\n  - {point: m, of: t - 2K, unit: bar}\n",
         "6:34: error W210: the expression is a temperature (°C), not a pressure (bar)"},
        {"derive:\n  - {point: m, of: t, unit: K}\n", "W210: the expression is a temperature (°C), not a temperature difference (K)"},
        {"derive:\n  - {point: m, of: \"3 + 4\"}\n", "W217: this never changes"},
        {"derive:\n  - {point: m, of: x}\n  - {point: m, of: y}\n", "W321: the derived point 'm' is given twice: first at r.yaml:6:13"},
        {"derive:\n  - {point: p, of: x, unit: mbar}\n", "W321: the point 'p' has another unit (bar) at r.yaml:4:13"},
        {"derive:\n  - {point: m, of: x, by: room}\nrules:\n  - {rule: r, when: m > 3}\n",
         "W335: there is one 'm' for each 'room', which is not in `by` here"},
        {"derive:\n  - {point: m, of: x}\nrules:\n  - {rule: r, when: \"m{room=a} > 3\"}\n", "W109: 'm' is a derived point"},
        {"rules:\n  - rule: r\n    levels:\n      - {name: H, when: x > 1}\n    deadband: 1\n",
         "W333: `deadband` goes with `when`, not with `levels`"},
        {"rules:\n  - rule: r\n    value: x\n    levels:\n      - {name: H, when: value > 1}\n      - {name: H, when: value > 2}\n",
         "W320: two levels are called 'H'"},
        {"rules:\n  - rule: r\n    value: t\n    levels:\n      - {name: H, when: value > 1bar}\n",
         "9:25: error W210: cannot compare temperature"},
        {"rules:\n  - rule: r\n    sequence:\n      - {step: x, absent: true}\n      - {step: y}\n",
         "W339: the first step has no `within`"},
        {"rules:\n  - rule: r\n    sequence:\n      - {step: x}\n      - {step: y, absent: true}\n", "W339: `absent` needs `within`"},
        {"rules:\n  - {rule: r, when: \"t > 8°C and held(hour() >= 6, 5m)\"}\n",
         "6:39: error W332: it reads no series: nothing would ever"},
        {"rules:\n  - {rule: r, when: \"t > 8°C and duty(hour() >= 6, 5m) > 50%\"}\n", "6:39: error W332: it reads no series"},
        {"rules:\n  - {rule: r, when: \"t > 8°C and rises(hour() >= 6)\"}\n", "6:40: error W332: it reads no series"},
        {"rules:\n  - rule: r\n    value: t\n    levels:\n      - {name: H, when: hour() >= 6}\n", "9:25: error W332: it reads no series"},
        {"rules:\n  - rule: r\n    sequence:\n      - {step: t > 8°C}\n      - {step: hour() >= 6, within: 1h}\n",
         "9:16: error W332: it reads no series"},
        {"rules:\n  - rule: r\n    sequence:\n      - {step: x}\n", "W339: a sequence has 2 to 8 steps"},
        {"rules:\n  - {rule: r, when: \"slope(p{k=a} / p, 5m) > 0.1\"}\n", "write 10%/s"},
        {"rules:\n  - {rule: r, when: (t > 8°C) == true, deadband: 1K}\n", "6:50: error W323: a deadband needs a `when` of one comparison"},
        {"rules:\n  - {rule: r, when: count_of(age(t) > 30s) > 2}\n", "W105: 'count_of' takes a condition over the present value"},
        {"points:\n  - {point: m, lateness: 5m}\nderive:\n  - {point: m, of: x}\n",
         "W321: the point 'm' has a `lateness` at r.yaml:5:13, which a derived point cannot have"},
    };
    char shown[8192];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[2048];
        bool own = strncmp(table[i][0], "points:\n", 8) == 0; /* then these are more of them */
        snprintf(text, sizeof text, "%s%s", POINTS, table[i][0] + (own ? 8 : 0));
        struct wr_ruleset *rules = load(text, shown, sizeof shown);
        if (rules || !strstr(shown, table[i][1]))
            fail_msg("%s\ngave:\n%sexpected:\n%s", table[i][0], shown, table[i][1]);
    }
}

/* Derived points in layers of 16, each the sum of all 16 below it: there are 16 * 16 * 16 ways through three layers. pad: how often each of the lowest layer adds
 * something, to be long. several: each of the second layer has a lowest layer of its own. */
static void write_layers(struct wr_buf *text, int layers, int pad, bool several) {
    enum wr_result result = wr_buf_text(text, POINTS "derive:\n");
    for (int layer = 0; layer < layers; layer++)
        for (int i = 0; i < (several && layer == 0 ? 256 : 16); i++) {
            result |= wr_buf_printf(text, "  - {point: d%d_%d, of: \"", layer, i);
            for (int k = 0; layer > 0 && k < 16; k++)
                result |= wr_buf_printf(text, "%sd%d_%d", k > 0 ? " + " : "", layer - 1, several && layer == 1 ? 16 * i + k : k);
            if (layer == 0)
                result |= wr_buf_printf(text, "x * %d", i + 1);
            for (int k = 0; layer == 0 && k < pad; k++)
                result |= wr_buf_printf(text, " + y * %d", k);
            result |= wr_buf_text(text, "\"}\n");
        }
    result |= wr_buf_text(text, "rules:\n  - {rule: r, when: \"0 > ");
    for (int k = 0; k < 16; k++)
        result |= wr_buf_printf(text, "%sd%d_%d", k > 0 ? " + " : "", layers - 1, k);
    result |= wr_buf_text(text, "\"}\n");
    assert_int_equal(result, WR_OK);
}

static unsigned count(const char *text, const char *word) {
    unsigned n = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        n++;
    return n;
}

/* What is read in several ways is there once: in the text that tells whether a rule changed, and in what it costs. */
static void read_in_many_ways(void **state) {
    (void)state;
    char shown[8192];
    struct wr_buf text;
    wr_buf_init(&text, 0);
    write_layers(&text, 3, 0, false);
    struct wr_ruleset *rules = load(wr_buf_str(&text), shown, sizeof shown);
    if (!rules)
        fail_msg("%s", shown);
    const struct wr_rule_info info = wr_ruleset_info(rules, 0);
    assert_int_equal(info.nodes, 48);
    assert_true(info.cost_ns < 48 * 400);
    assert_int_equal(count(info.canonical, " with d"), 48);
    assert_int_equal(count(info.canonical, "d0_7 = "), 1);
    wr_ruleset_free(rules);
    wr_buf_fini(&text);
}

/* The same by levels and a sequence. */
static void spelled_once(void **state) {
    (void)state;
    struct wr_ruleset *rules =
        fixture_load(POINTS "derive:\n"
                            "  - {point: d, of: \"avg(p, 5m)\"}\n"
                            "  - {point: a, of: d + 1bar}\n"
                            "  - {point: b, of: d + 2bar}\n"
                            "rules:\n"
                            "  - {rule: r, when: a + b > 8bar}\n"
                            "  - {rule: l, value: a, levels: [{name: H, when: value > 1bar}, {name: HH, when: value > 2bar}]}\n"
                            "  - {rule: s, sequence: [{step: a > 1bar}, {step: \"held(b > 2bar, 1m)\", within: 1m}]}\n");
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(count(rules->rules[i]->canonical, "d = "), 1);
        assert_int_equal(count(rules->rules[i]->shape, "d = "), 1);
        assert_int_equal(count(rules->rules[i]->canonical, "a = "), 1);
    }
    assert_int_equal(wr_ruleset_info(rules, 0).nodes, 4); /* a, b, d and the window */
    wr_ruleset_free(rules);
}

/* Too long is an error at its place, not a lack of memory. */
static void too_long(void **state) {
    (void)state;
    char shown[8192];
    struct wr_buf text;
    wr_buf_init(&text, 0);
    write_layers(&text, 2, 100, true);
    assert_null(load(wr_buf_str(&text), shown, sizeof shown));
    if (!strstr(shown, "error W107: with the derived points in it, written out, it has more than 131072 bytes") ||
        !strstr(shown, "r.yaml:279:"))
        fail_msg("%s", shown);
    wr_buf_fini(&text);
    /* What reads a point with errors is not blamed besides. */
    assert_null(load(POINTS "derive: [{point: m, of: t - 2bar}]\nrules: [{rule: r, when: m > 3}]\n", shown, sizeof shown));
    assert_int_equal(count(shown, "error W"), 1);
}

/* What a node reads may stay between its limits for hours: as long as it comes, the node is alive, too; when it stops, so does the node. */
static void quiet_is_alive(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "  - {point: v, unit: °C}\n"
                            "derive:\n"
                            "  - {point: spread, of: t - avg_of(v), max_age: 5m}\n"
                            "rules:\n"
                            "  - {rule: a, when: \"held(t > 8°C, 2m)\", no_data: raise, no_data_after: 5m}\n"
                            "  - {rule: b, when: spread > 90K, no_data: raise, no_data_after: 5m}\n"
                            "  - {rule: c, when: count_of(u > 90) > 2, no_data: raise, no_data_after: 5m}\n");
    uint32_t t = fixture_series(&f, "t", "");
    uint32_t u = fixture_series(&f, "u", "");
    uint32_t v = fixture_series(&f, "v", "probe=1");
    for (int minute = 0; minute < 60; minute++) {
        fixture_value(&f, t, 5);
        fixture_value(&f, u, 3);
        fixture_value(&f, v, 4);
        fixture_pass(&f, FIXTURE_MINUTE);
    }
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 3 * FIXTURE_MINUTE + 59 * FIXTURE_SECOND);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 2 * FIXTURE_SECOND);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack; raised unack");
    fixture_fini(&f);
}

/* Whichever allocation fails: an error that says so, nothing leaks, nothing is half there. */
static void without_memory(void **state) {
    (void)state;
    const char *const files[] = {WEIR_SOURCE_DIR "/tests/fuzz/corpus/rules/everything.yaml"};
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_diagnostics diagnostics;
        struct wr_ruleset *rules = NULL;
        wr_diagnostics_init(&diagnostics);
        wr_failing_allocations(n);
        enum wr_result result = wr_ruleset_load(files, 1, NULL, &diagnostics, &rules, NULL);
        hit = wr_failing_hit();
        wr_failing_off();
        assert_true(hit ? result != WR_OK || rules : result == WR_OK);
        assert_true(result == WR_OK || (result == WR_NO_MEMORY && !rules));
        wr_ruleset_free(rules);
        wr_diagnostics_fini(&diagnostics);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shared),           cmocka_unit_test(counted),
                                       cmocka_unit_test(derived),          cmocka_unit_test(quotients),
                                       cmocka_unit_test(levels),           cmocka_unit_test(sequence),
                                       cmocka_unit_test(one_meaning),      cmocka_unit_test(options),
                                       cmocka_unit_test(refused),          cmocka_unit_test(shelved),
                                       cmocka_unit_test(derived_counters), cmocka_unit_test(cost_of_a_model),
                                       cmocka_unit_test(quiet_is_alive),   cmocka_unit_test(read_in_many_ways),
                                       cmocka_unit_test(spelled_once),     cmocka_unit_test(too_long),
                                       cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
