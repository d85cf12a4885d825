/* What is known of one instance: the parts of its condition, those of the nodes it reads, and the series behind them all. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/quantity.h"
#include "core/utf8.h"
#include "rules/explain/explain_private.h"
#include "rules/language/ast.h"
#include "rules/language/schedule.h"

#define MEMBERS_SHOWN 20
#define MS_NS INT64_C(1000000)

static struct wr_explain_row *add_row(struct wr_explanation *x, unsigned depth, const char *text, size_t len) {
    if (x->n == WR_EXPLAIN_ROWS) {
        x->left_out++;
        return NULL;
    }
    struct wr_explain_row *row = &x->rows[x->n++];
    *row = (struct wr_explain_row){.depth = (uint8_t)(depth < UINT8_MAX ? depth : UINT8_MAX), .number = NAN, .unit = "", .age_s = NAN};
    snprintf(row->text, sizeof row->text, "%.*s", (int)wr_utf8_cut(text, len, sizeof row->text - 1), text);
    return row;
}

/* Durations as people read them: no nanoseconds. */
static char *format_time(char *text, size_t size, int64_t ns) {
    int64_t round_ns = ns >= 10 * WR_NS_PER_S ? WR_NS_PER_S : MS_NS;
    return wr_quantity_format_duration(text, size, ns < 0 ? 0 : ns - ns % round_ns);
}

void wr_explain_delay(const struct wr_evaluator *evaluator, const struct wr_instance *instance, char *note, size_t size) {
    char passed[32], whole[32];
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    note[0] = '\0';
    if (instance->delay == WR_DELAY_NONE)
        return;
    int64_t whole_ns = instance->delay == WR_DELAY_ON ? rule->on_delay_ns : rule->off_delay_ns;
    int64_t passed_ns = wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns);
    passed_ns = passed_ns < whole_ns ? passed_ns : whole_ns;
    snprintf(note, size, "%s for %s of %s%s", instance->delay == WR_DELAY_ON ? "true" : "false",
             format_time(passed, sizeof passed, passed_ns), format_time(whole, sizeof whole, whole_ns),
             instance->frozen ? ", stands still: unknown" : "");
}

/* -- conditions ---------------------------------------------------------------------------------------------------------------------------- */

static void explain_node(struct wr_explanation *x, const struct wr_view *view, uint32_t operand, unsigned depth,
                         struct wr_explain_row *row);

static bool is_visited(struct wr_explanation *x, uint32_t index) {
    for (uint32_t i = 0; i < x->n_visited; i++)
        if (x->visited[i] == index)
            return true;
    if (x->n_visited < WR_EXPLAIN_VISITED)
        x->visited[x->n_visited++] = index;
    return false;
}

/* The signal that an operand stands for, as a row: its value now. */
static struct wr_explain_row *explain_operand(struct wr_explanation *x, struct wr_view *view, uint32_t operand, const char *text,
                                              unsigned depth) {
    const struct wr_operand *read = &view->rule->operands[operand];
    const struct wr_instruction value = {.op = WR_OP_VALUE, .a = (uint16_t)operand};
    const struct wr_program program = {.code = &value, .n = 1};
    struct wr_explain_row *row = add_row(x, depth, text, strlen(text));
    const bool truth = read->node != WR_NODE_NO && view->evaluator->rules->rules[read->node]->truth;
    if (row) {
        row->kind = truth ? WR_EXPLAIN_TRUTH : WR_EXPLAIN_NUMBER;
        row->number = wr_view_run(view, &program);
        row->unit = read->point ? read->point->unit.text : "";
    }
    explain_node(x, view, operand, depth + 1, row);
    return row;
}

static bool is_load(const struct wr_instruction *instruction) {
    return instruction->op < WR_OP_CONVERT && instruction->op != WR_OP_NUMBER && instruction->op != WR_OP_CELL &&
           instruction->op != WR_OP_TIME;
}

/* The signal that an instruction reads. */
static uint32_t operand_of(const struct wr_rule *rule, const struct wr_instruction *instruction) {
    return instruction->op == WR_OP_OPERATOR ? rule->operators[instruction->a].operand : instruction->a;
}

static void fill_text(const struct wr_view *view, const struct wr_instruction *instruction, struct wr_explain_row *row) {
    const struct wr_signal *signal = wr_instance_signal(view->evaluator, view->instance, instruction->a);
    if (signal && signal->ever && signal->text)
        snprintf(row->note, sizeof row->note, "it is '%.80s'", wr_symbol_text(view->evaluator->symbols, signal->symbol, NULL));
}

/* What instruction `last` of the condition leaves on the stack, and below it what that was made from. */
static void explain_part(struct wr_explanation *x, struct wr_view *view, uint16_t last, unsigned depth) {
    const struct wr_rule *rule = view->rule;
    const struct wr_node *node = rule->parts[last];
    const struct wr_instruction *instruction = &rule->when.code[last];
    const struct wr_program slice = wr_program_slice(&rule->when, last);
    struct wr_explain_row *row = NULL;
    if (node && node->constant)
        return;
    const bool shown = node && node->kind != WR_NODE_CONVERT;
    if (shown && (row = add_row(x, depth, rule->source + node->offset, node->len))) {
        row->kind = node->type == WR_NODE_IS_BOOL ? WR_EXPLAIN_TRUTH : WR_EXPLAIN_NUMBER;
        row->number = wr_view_run(view, &slice);
        row->unit = node->unit.text;
    }
    if (row && instruction->op == WR_OP_NOT && slice.n == 2)
        fill_text(view, slice.code, row); /* `mode != "auto"` */
    else if (row && instruction->op == WR_OP_TEXT_IS)
        fill_text(view, instruction, row);
    depth += shown;
    if (is_load(instruction)) {
        explain_node(x, view, operand_of(rule, instruction), depth, row);
        return;
    }
    /* The values below it on the stack, the first one first. */
    const uint16_t first = (uint16_t)(slice.code - rule->when.code);
    for (uint16_t at = first; at < last;) {
        uint16_t end = at; /* of the longest slice that begins here */
        for (uint16_t i = at; i < last; i++)
            if (wr_program_slice(&rule->when, i).code == rule->when.code + at)
                end = i;
        explain_part(x, view, end, depth);
        at = (uint16_t)(end + 1);
    }
}

static void note_members(const struct wr_instance_more *more, struct wr_explain_row *row) {
    if (row)
        snprintf(row->note, sizeof row->note, "over %u series", more ? more->n_members : 0);
}

static void explain_steps(struct wr_explanation *x, struct wr_view *view, unsigned depth) {
    const struct wr_instance_more *more = view->instance->more;
    for (uint32_t i = 0; i < view->rule->n_steps; i++) {
        const struct wr_rule_step *step = &view->rule->steps[i];
        char text[32], within[32];
        snprintf(text, sizeof text, "step %u", i + 1);
        struct wr_explain_row *row = explain_operand(x, view, i, text, depth);
        if (!row)
            continue;
        const char *state = !more || i > more->step ? "" : i < more->step ? "met" : "awaited";
        snprintf(row->note, sizeof row->note, "%s%s%s%s", state, step->within_ns > 0 ? " within " : "",
                 step->within_ns > 0 ? format_time(within, sizeof within, step->within_ns) : "", step->absent ? ", must not come" : "");
    }
}

/* Everything that decides an instance. row: the line that stands for it already, or NULL. */
static void explain_condition(struct wr_explanation *x, struct wr_view *view, unsigned depth, struct wr_explain_row *row) {
    const struct wr_rule *rule = view->rule;
    if (rule->kind == WR_RULE_SET) {
        note_members(view->instance->more, row);
    } else if (rule->kind == WR_RULE_SEQUENCE) {
        explain_steps(x, view, depth);
    } else if (rule->n_levels > 0) {
        for (uint32_t i = 0; i < rule->n_levels; i++) {
            char text[WR_ALARM_LEVEL_BYTES + 16];
            snprintf(text, sizeof text, "level %s", rule->levels[i].name);
            explain_operand(x, view, i, text, depth);
        }
    } else if (rule->parts && rule->when.n > 0) {
        uint16_t last = (uint16_t)(rule->when.n - 1);
        if (rule->when.code[last].op == WR_OP_TRUTH && last > 0)
            last--;
        if (row && rule->when.code[last].op == WR_OP_OPERATOR) /* its text is that of the row */
            explain_operand(x, view, operand_of(rule, &rule->when.code[last]),
                            rule->operands[operand_of(rule, &rule->when.code[last])].text, depth);
        else
            explain_part(x, view, last, depth);
    } else {
        for (uint32_t i = 0; i < rule->n_operands; i++)
            explain_operand(x, view, i, rule->operands[i].node == WR_NODE_NO ? rule->operands[i].text : rule->when_text, depth);
    }
}

/* The node behind an operand, if it is one: its delay goes to the row that stands for it, its parts below. */
static void explain_node(struct wr_explanation *x, const struct wr_view *view, uint32_t operand, unsigned depth,
                         struct wr_explain_row *row) {
    const uint32_t id = view->instance->signals[operand];
    if (id == WR_SERIES_NONE) {
        if (row)
            snprintf(row->note, sizeof row->note, "nothing has come yet");
        return;
    }
    if (!(id & WR_SIGNAL_NODE))
        return;
    const uint32_t owner = wr_signal_at(view->evaluator, id)->owner;
    const struct wr_instance *instance = &view->evaluator->instances[owner];
    if (row)
        wr_explain_delay(view->evaluator, instance, row->note, sizeof row->note);
    if (is_visited(x, owner)) {
        if (row && !row->note[0])
            snprintf(row->note, sizeof row->note, "see above");
        return;
    }
    struct wr_view inner = wr_view_of(view->evaluator, instance);
    explain_condition(x, &inner, depth, row);
}

/* -- what else counts ------------------------------------------------------------------------------------------------------------------------ */

/* The limit at which `clear` is decided, where it is one comparison. */
static void explain_clear(struct wr_explanation *x, struct wr_view *view) {
    const struct wr_program *clear = &view->rule->clear;
    struct wr_explain_row *row = clear->n > 0 ? add_row(x, 0, "clear", 5) : NULL;
    if (!row)
        return;
    row->kind = WR_EXPLAIN_TRUTH;
    row->number = wr_view_run(view, clear);
    const uint16_t last = (uint16_t)(clear->n - 1);
    if (clear->n < 3 || clear->code[last].op != WR_OP_COMPARE)
        return;
    const struct wr_program right = wr_program_slice(clear, (uint16_t)(last - 1));
    const struct wr_program left = wr_program_slice(clear, (uint16_t)(right.code - clear->code - 1));
    const struct wr_leaf *leaf = view->rule->n_leaves > 0 ? &view->rule->leaves[0] : NULL;
    const bool fixed = right.n == 1 && (right.code[0].op == WR_OP_NUMBER || right.code[0].op == WR_OP_CELL);
    const double limit = wr_view_run(view, fixed || left.code[0].op == WR_OP_VALUE ? &right : &left);
    if (isfinite(limit))
        snprintf(row->note, sizeof row->note, "at %.6g %s", leaf ? wr_leaf_told(leaf, limit) : limit, leaf ? leaf->unit : "");
}

static void explain_schedule(struct wr_explanation *x, const struct wr_view *view) {
    const struct wr_schedule *active = view->rule->active;
    struct wr_explain_row *row = active ? add_row(x, 0, "active", 6) : NULL;
    char until[32];
    if (!row)
        return;
    const int64_t wall_ns = view->evaluator->at.now.wall_ns;
    row->kind = WR_EXPLAIN_TRUTH;
    row->number = wr_schedule_active(active, wall_ns);
    snprintf(row->note, sizeof row->note, "%.60s, until %s", active->name,
             wr_clock_format(until, sizeof until, wr_schedule_next_edge(active, wall_ns)));
}

static void explain_validity(struct wr_explanation *x, struct wr_view *view) {
    struct wr_explain_row *row = view->rule->valid_if.n > 0 ? add_row(x, 0, "valid_if", 8) : NULL;
    if (!row)
        return;
    row->kind = WR_EXPLAIN_TRUTH;
    row->number = wr_view_run(view, &view->rule->valid_if);
    if (!(row->number > 0))
        snprintf(row->note, sizeof row->note, "nobody is told");
}

/* -- series ----------------------------------------------------------------------------------------------------------------------------------- */

static void explain_series(struct wr_explanation *x, const struct wr_instance *instance, uint32_t operand, uint32_t id) {
    static const char *const qualities[] = {"good", "uncertain", "bad"};
    const struct wr_evaluator *evaluator = x->evaluator;
    const struct wr_signal *signal = evaluator->series[id];
    const struct wr_series *series = wr_series_get(evaluator->table, id);
    char text[160];
    wr_series_display(text, sizeof text, series->key, series->key_len);
    for (uint32_t i = x->n_condition; i < x->n; i++)
        if (strcmp(x->rows[i].text, text) == 0)
            return;
    struct wr_explain_row *row = add_row(x, 0, text, strlen(text));
    if (!row)
        return;
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    row->kind = WR_EXPLAIN_NUMBER;
    row->unit = signal->point ? signal->point->unit.text : "";
    if (signal->ever && signal->text) {
        row->kind = WR_EXPLAIN_WORD;
        row->word = wr_symbol_text(evaluator->symbols, signal->symbol, NULL);
    } else if (signal->ever) {
        row->number = wr_signal_band(evaluator, id)->value;
    }
    if (!signal->ever && signal->bad_boot_ns == 0) {
        snprintf(row->note, sizeof row->note, "nothing has come yet");
    } else {
        row->age_s = (double)(evaluator->at.boot_ns - wr_view_last_arrival(evaluator, instance, operand)) / 1e9;
        row->quality = qualities[signal->quality < 3 ? signal->quality : 2];
    }
    if (signal->ever && !signal->good)
        snprintf(row->note, sizeof row->note, "the last sample was bad: missing");
    else if (signal->ever && wr_view_is_silent(evaluator, instance, rule, operand))
        snprintf(row->note, sizeof row->note, "stale: older than no_data_after");
}

static void explain_absent(struct wr_explanation *x, const char *text) {
    struct wr_explain_row *row = add_row(x, 0, text, strlen(text));
    if (!row)
        return;
    row->kind = WR_EXPLAIN_NUMBER;
    snprintf(row->note, sizeof row->note, "nothing has come yet");
}

static void explain_inputs(struct wr_explanation *x, uint32_t index) {
    const struct wr_instance *instance = &x->evaluator->instances[index];
    const struct wr_rule *rule = wr_instance_rule(x->evaluator, instance);
    const struct wr_instance_more *more = instance->more;
    if (rule->kind == WR_RULE_SET) {
        for (uint32_t i = 0; more && i < more->n_members; i++)
            if (i < MEMBERS_SHOWN)
                explain_series(x, instance, 0, more->members[i]);
            else
                x->left_out++;
        return;
    }
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        const uint32_t id = instance->signals[i];
        if (id != WR_SERIES_NONE && !(id & WR_SIGNAL_NODE))
            explain_series(x, instance, i, id);
        else if (id == WR_SERIES_NONE && rule->operands[i].node == WR_NODE_NO)
            explain_absent(x, rule->operands[i].text);
    }
}

void wr_explain_collect(struct wr_explanation *x) {
    struct wr_view view = wr_view_of(x->evaluator, &x->evaluator->instances[x->index]);
    (void)is_visited(x, x->index);
    explain_condition(x, &view, 0, NULL);
    explain_clear(x, &view);
    explain_validity(x, &view);
    explain_schedule(x, &view);
    x->n_condition = x->n;
    for (uint32_t i = 0; i < x->n_visited; i++)
        explain_inputs(x, x->visited[i]);
}
