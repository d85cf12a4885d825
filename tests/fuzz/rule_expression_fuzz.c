/* Any bytes as a condition: parsed, checked, compiled and run on missing and present values. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/check.h"
#include "rules/compiled.h"
#include "rules/parser.h"

static void ignore(void *user, const struct wr_complaint *complaint) {
    (void)user;
    if (memchr(complaint->text, 0, sizeof complaint->text) == NULL)
        abort();
}

static double load(void *user, const struct wr_instruction *instruction) {
    if (instruction->op == WR_OP_TEXT_IS)
        return *(const int *)user > 0;
    return *(const int *)user == 0 ? NAN : (double)(instruction->a + 1) * *(const int *)user;
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
    if (node && wr_check_thresholds(&scope, node) && wr_program_compile(node, true, &ruleset.arena, &program, &too_deep))
        for (int scale = -1; scale < 3; scale++) {
            double truth = wr_program_run(&program, load, &scale);
            if (!isnan(truth) && truth != 0 && truth != 1)
                abort();
        }
    wr_arena_fini(&ruleset.arena);
    return 0;
}
