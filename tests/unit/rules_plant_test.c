/* The rule file of the language's description loads as it stands (tests/data/rules/plant.yaml), with the points that it takes for known, and its rules are what their comments say. */
#include "rules/language/nodes.h"
#include "tests/support/rules_fixture.h"

#define FILES WEIR_TEST_DATA "/rules/"

static const struct wr_rule *rule_of(const struct wr_ruleset *rules, const char *name) {
    uint32_t index = wr_ruleset_find(rules, name);
    assert_true(index != UINT32_MAX);
    return rules->rules[index];
}

static const struct wr_rule *node_of(const struct wr_ruleset *rules, const struct wr_rule *rule, uint32_t operand) {
    assert_true(operand < rule->n_operands && rule->operands[operand].node != WR_NODE_NO);
    return rules->rules[rule->operands[operand].node];
}

static struct wr_ruleset *load(void) {
    const char *const files[] = {FILES "plant.yaml", FILES "points.yaml"};
    const struct wr_ruleset_options options = {.any_action = true};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    wr_diagnostics_init(&diagnostics);
    if (wr_ruleset_load(files, 2, &options, &diagnostics, &rules, NULL) != WR_OK)
        fail_msg("%s:%u: %s", diagnostics.list[0].file, diagnostics.list[0].at.line, diagnostics.list[0].message);
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

/* The limit comes from the table, for each room; it clears 1 K below. */
static void limits_from_tables(void **state) {
    (void)state;
    struct wr_ruleset *rules = load();
    const struct wr_rule *warm = rule_of(rules, "cold_room_warm");
    assert_int_equal(warm->operands[0].n_limits, 2);
    assert_false(warm->operands[0].opaque);
    assert_int_equal(warm->n_cells, 1);
    assert_int_equal(warm->when.code[1].op, WR_OP_CELL);
    assert_true(warm->clear.n > 0 && warm->latch && warm->no_data == WR_NO_DATA_RAISE);
    struct wr_alarm alarm = {.rule = "cold_room_warm", .instance = "room=A1", .has_value = true, .value = 9, .unit = "°C"};
    char text[256];
    assert_string_equal(wr_template_message(&warm->message, &alarm, 360 * FIXTURE_SECOND, text, sizeof text),
                        "A1 at 9 °C for 6m (limit 8 °C)");
    assert_string_equal(wr_template_message(&warm->respond_text, &alarm, 0, text, sizeof text),
                        "Close door, check defrost; move stock to B1");
    snprintf(alarm.instance, sizeof alarm.instance, "room=ZZ");
    assert_string_equal(wr_template_message(&warm->respond_text, &alarm, 0, text, sizeof text),
                        "Close door, check defrost; move stock to -");
    wr_ruleset_free(rules);
}

static void compiled(void **state) {
    (void)state;
    struct wr_ruleset *rules = load();
    assert_int_equal(wr_ruleset_count(rules), 14);
    assert_int_equal(rule_of(rules, "freezer_levels")->n_levels, 2);
    const struct wr_rule *door = rule_of(rules, "door_open_and_warming");
    assert_int_equal(node_of(rules, door, 0)->on_delay_ns, 120 * FIXTURE_SECOND);
    assert_true(rule_of(rules, "tank_level_fast")->clear.n > 0);
    assert_true(rule_of(rules, "flow_stuck")->valid_if.n > 0);
    assert_int_equal(rule_of(rules, "sensor_silent")->ages[0].after_ns, 90 * FIXTURE_SECOND + 1); /* 3 periods of 30 s, by timer */
    const struct wr_rule *wear = rule_of(rules, "bearing_wear");
    assert_string_equal(node_of(rules, wear, 0)->name, "vib_rms");
    assert_int_equal(wear->operands[0].n_limits, 1);
    const struct wr_rule *odd = rule_of(rules, "motor_odd");
    assert_true(node_of(rules, odd, 0)->truth && node_of(rules, node_of(rules, odd, 0), 0)->every_sample);
    const struct wr_rule *pressure = rule_of(rules, "overpressure");
    assert_int_equal(pressure->when.code[pressure->when.n - 1].op, WR_OP_VOTE);
    assert_int_equal(pressure->on_delay_ns, FIXTURE_SECOND / 5);
    const struct wr_rule *steps = node_of(rules, rule_of(rules, "pump_no_flow"), 0);
    assert_true(steps->n_steps == 2 && steps->steps[1].absent);
    assert_string_equal(rule_of(rules, "night_load")->active->name, "closed");
    assert_int_equal(node_of(rules, rule_of(rules, "energy_spike"), 0)->operators[0].spec.counter, true);
    assert_string_equal(rule_of(rules, "plc_restarting")->operands[0].text, "resets(uptime{kind=plc}, 1h)");
    assert_int_equal(rule_of(rules, "gateway_offline")->ages[0].after_ns, 30 * FIXTURE_SECOND + 1);
    struct wr_rule_info info = wr_ruleset_info(rules, wr_ruleset_find(rules, "bearing_wear"));
    assert_true(info.nodes >= 3 && info.bytes_per_instance > 1000 && info.cost_ns > 100 && !info.quiet);
    assert_true(wr_ruleset_info(rules, wr_ruleset_find(rules, "overpressure")).quiet);
    wr_ruleset_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits_from_tables), cmocka_unit_test(compiled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
