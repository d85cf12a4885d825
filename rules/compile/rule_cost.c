#include "rules/compile/rule_cost.h"

#include "rules/evaluator/evaluator_private.h"

/* Measured on one core of a small gateway: an instruction takes about 3 ns, the step around it 60 ns, a member of a set 10 ns, a vector of n series 100 + 25 n. */
#define STEP_NS 60
#define INSTRUCTION_NS 3
#define MEMBER_NS 10
#define VECTOR_NS 100
#define SERIES_NS 25
#define TEXT_BYTES 32 /* of an instance: its labels */

static uint32_t sum(uint32_t a, uint32_t b) {
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static struct wr_rule_cost own_cost(const struct wr_ruleset *ruleset, const struct wr_rule *rule) {
    struct wr_rule_cost cost = {.quiet = !rule->every_sample};
    cost.ns = STEP_NS + INSTRUCTION_NS * ((uint32_t)rule->when.n + rule->clear.n + rule->valid_if.n);
    size_t bytes = sizeof(struct wr_instance) + sizeof(struct wr_timer) + 2 * sizeof(uint32_t) + TEXT_BYTES;
    if (rule->kind == WR_RULE_ALARM)
        bytes += wr_annunciator_bytes_per_alarm();
    else
        bytes += sizeof(struct wr_signal) + sizeof(struct wr_evaluator_band);
    if (rule->kind == WR_RULE_SET)
        cost.ns = sum(cost.ns, WR_SET_MEMBERS * MEMBER_NS);
    if (rule->kind == WR_RULE_VECTOR) {
        cost.ns = sum(cost.ns, VECTOR_NS + SERIES_NS * rule->vector.series);
        bytes += sizeof(struct wr_t2q);
    }
    if (rule->kind == WR_RULE_SET || rule->kind == WR_RULE_SEQUENCE || rule->kind == WR_RULE_VECTOR || rule->n_cells > 0)
        bytes += sizeof(struct wr_instance_more);
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        const struct wr_operand *operand = &rule->operands[i];
        bytes += ((size_t)operand->n_thresholds + operand->n_limits) * sizeof(struct wr_threshold) + sizeof(struct wr_link);
        cost.quiet = cost.quiet && !operand->opaque;
    }
    for (uint32_t i = 0; i < rule->n_operators; i++) {
        const struct wr_operator_spec *spec = &rule->operators[i].spec;
        cost.ns = sum(cost.ns, spec->cost_ns);
        const uint32_t node = rule->operands[rule->operators[i].operand].node;
        bytes += sizeof(struct wr_signal_operator) + wr_operator_room(spec, node != WR_NODE_NO && ruleset->rules[node]->joined);
        cost.edge = spec->edge > cost.edge ? spec->edge : cost.edge;
    }
    cost.bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    return cost;
}

/* Each node once, however many ways lead to it. */
static void add_nodes(struct wr_ruleset *ruleset, const struct wr_rule *reader, struct wr_rule_cost *cost) {
    for (uint32_t i = 0; i < reader->n_operands; i++) {
        struct wr_rule *node = reader->operands[i].node != WR_NODE_NO ? ruleset->rules[reader->operands[i].node] : NULL;
        if (!node || node->walk == ruleset->walks)
            continue;
        node->walk = ruleset->walks;
        cost->ns = sum(cost->ns, node->cost.ns);
        cost->bytes = sum(cost->bytes, node->cost.bytes);
        cost->edge = node->cost.edge > cost->edge ? node->cost.edge : cost->edge;
        cost->quiet = cost->quiet && node->cost.quiet;
        cost->nodes++;
        add_nodes(ruleset, node, cost);
    }
}

void wr_rule_cost_all(struct wr_ruleset *ruleset) {
    for (uint32_t i = 0; i < ruleset->n_nodes; i++)
        ruleset->rules[i]->cost = own_cost(ruleset, ruleset->rules[i]);
    for (uint32_t i = 0; i < ruleset->n_rules; i++) {
        ruleset->walks++;
        add_nodes(ruleset, ruleset->rules[i], &ruleset->rules[i]->cost);
    }
}
