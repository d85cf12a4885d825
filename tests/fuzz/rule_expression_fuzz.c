/* Any bytes as a condition: parsed, checked, compiled and run on missing and present values. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/timezone.h"
#include "rules/compile/compiled.h"
#include "rules/language/check.h"
#include "rules/language/parser.h"

static void ignore(void *user, const struct wr_complaint *complaint) {
    (void)user;
    if (memchr(complaint->text, 0, sizeof complaint->text) == NULL)
        abort();
}

struct seen {
    int scale; /* 0: nothing has come */
    const struct wr_ruleset *ruleset;
    const struct wr_rule *rule;
};

static bool is_truth(const struct seen *seen, const struct wr_instruction *instruction) {
    if (instruction->op != WR_OP_VALUE && instruction->op != WR_OP_LAST && instruction->op != WR_OP_PREV)
        return instruction->op == WR_OP_TEXT_IS || instruction->op == WR_OP_PULSE;
    const struct wr_operand *operand = &seen->rule->operands[instruction->a];
    return operand->node != WR_NODE_NO && wr_nodes_get(seen->ruleset->nodes, operand->node)->truth;
}

static double load(void *user, const struct wr_instruction *instruction) {
    const struct seen *seen = user;
    if (seen->scale == 0)
        return NAN;
    return is_truth(seen, instruction) ? seen->scale > 0 : (double)(instruction->a + 1) * seen->scale;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_point temperature = {
        .name = "t", .low = -40, .high = 60, .resolution = 0.1, .every_ns = 30000000000, .lateness_ns = -1};
    struct wr_point *points[] = {&temperature};
    struct wr_ruleset ruleset = {.points = points, .n_points = 1};
    struct wr_rule rule = {.name = "r"};
    struct wr_scope scope = {.ruleset = &ruleset, .rule = &rule, .complain = ignore};
    struct wr_complaint complaint;
    if (wr_unit_parse("°C", 3, &temperature.unit, NULL) != WR_OK)
        abort();
    wr_arena_init(&ruleset.arena);
    ruleset.nodes = wr_nodes_new(&ruleset.arena, 16);
    struct wr_node *node = wr_parse_expression((const char *)data, size, &ruleset.arena, &complaint);
    if (!node && complaint.offset > size)
        abort();
    struct wr_buf text;
    wr_buf_init(&text, 0);
    if (node && wr_node_canonical(node, false, &text) != WR_OK)
        abort();
    wr_buf_fini(&text);
    node = node ? wr_check_condition(&scope, node) : NULL;
    struct wr_program program;
    bool too_deep;
    if (node && wr_check_thresholds(&scope, node, true) && wr_program_compile(node, true, &ruleset.arena, &program, &too_deep))
        for (int scale = -1; scale < 3; scale++) {
            struct seen seen = {scale, &ruleset, &rule};
            double truth = wr_program_run(&program, load, &seen);
            if (!isnan(truth) && truth != 0 && truth != 1)
                abort();
        }
    for (uint32_t i = 0; i < ruleset.n_zones; i++)
        wr_timezone_free(ruleset.zones[i].zone);
    wr_arena_fini(&ruleset.arena);
    return 0;
}
