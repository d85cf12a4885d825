#include "rules/compile/derive_compile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_derive_fields[] = {
    STRING(wr_file_derive, point, .required = true, .help = "its name, as rules write it"),
    STRING(wr_file_derive, of, .required = true, .help = "the expression: a number, or true and false"),
    STRING(wr_file_derive, unit, .help = "unit of its values; the expression must be of that kind"),
    {.key = "by", .kind = WR_YAML_STRINGS, LIST(wr_file_derive, by), .help = "labels: one value for each of theirs"},
    STRING(wr_file_derive, max_age, .help = "older values of what it is made from do not count"),
    STRING(wr_file_derive, emit, .help = "at most one new value in so long; default: as they come"),
    END,
};
/* clang-format on */

static bool add_name(struct wr_compile *compile, const struct wr_file_derive *record) {
    struct wr_ruleset *ruleset = compile->ruleset;
    struct wr_derived *derived = wr_arena_take(&ruleset->arena, sizeof *derived);
    struct wr_compile *kept = wr_arena_take(&ruleset->arena, sizeof *kept);
    if (!derived || !kept)
        return false;
    *kept = *compile;
    if (!record->point) {
        ruleset->lost = true;
        return true;
    }
    char plain[WR_SELECTOR_BYTES];
    *derived = (struct wr_derived){.record = record, .compile = kept, .place = {compile->file, wr_compile_where(compile, "point")}};
    if (!wr_compile_point_name(compile, record->point))
        return true;
    derived->name = wr_compile_copy(compile, wr_ruleset_plain_name(record->point, plain, sizeof plain));
    if (!derived->name)
        return false;
    char path[64];
    snprintf(path, sizeof path, "derive[%u]", compile->index);
    derived->begun = derived->done = wr_yaml_damaged(compile->yaml, path); /* told already; who needs it is not blamed */
    const struct wr_derived *twin = wr_nodes_derived(ruleset->nodes, derived->name);
    if (twin)
        WR_COMPILE_ERROR(compile, 321, "point", NULL, "the derived point '%.60s' is given twice: first at %s:%u:%u", derived->name,
                         twin->place.file, twin->place.at.line, twin->place.at.column);
    return wr_nodes_add_derived(ruleset->nodes, &ruleset->arena, derived);
}

bool wr_compile_derive_names(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    compile->list = "derive";
    for (compile->index = 0; compile->index < file->n_derive; compile->index++)
        if (!add_name(compile, &file->derive[compile->index]))
            return false;
    return true;
}

/* -- one derived point --------------------------------------------------------------------------------------------------------------------- */

/* Numbers of which nobody has said in what they are: a quotient of two is a ratio all the same, 0.4 is 40%, and what is made of ratios and constants
 * (1 - a / b) is one, too. A series by a constant is none: x / 10 tells in what steps x comes. */
static bool is_quotient(const struct wr_node *node) {
    const struct wr_node *first = node->child;
    bool found = false;
    if (node->kind == WR_NODE_DIVIDE && !first->next->constant)
        return true;
    if (node->kind == WR_NODE_DIVIDE)
        return is_quotient(first);
    bool arithmetic = node->kind == WR_NODE_ADD || node->kind == WR_NODE_SUBTRACT || node->kind == WR_NODE_MULTIPLY ||
                      node->kind == WR_NODE_NEGATE || (node->kind == WR_NODE_CALL && node->function->how == WR_HOW_VALUE);
    for (const struct wr_node *child = first; arithmetic && child; child = child->next) {
        if (child->constant || child->type == WR_NODE_IS_BOOL)
            continue;
        found = is_quotient(child);
        if (!found)
            return false;
    }
    return found;
}

/* Whether somebody makes percent of a ratio by hand, which its unit does already. */
static bool is_times_hundred(const struct wr_node *node) {
    while (node->kind == WR_NODE_DIVIDE || node->kind == WR_NODE_CONVERT)
        node = node->child;
    if (node->kind != WR_NODE_MULTIPLY)
        return false;
    for (const struct wr_node *child = node->child; child; child = child->next)
        if ((child->constant && child->unit.plain && fabs(child->number - 100) < 1e-9) || is_times_hundred(child))
            return true;
    return false;
}

/* The unit that the record or `points` gives, to which the expression is brought; NULL after a complaint. */
static struct wr_node *take_unit(struct wr_compile *compile, struct wr_scope *scope, const struct wr_file_derive *record,
                                 const struct wr_point *declared, struct wr_node *checked) {
    struct wr_unit unit = declared ? declared->unit : wr_unit_plain();
    struct wr_error err;
    char first[64];
    char second[64];
    if (record->unit && wr_unit_parse(record->unit, strlen(record->unit), &unit, &err) != WR_OK) {
        WR_COMPILE_ERROR(compile, 106, "unit", NULL, "%s", err.text);
        return NULL;
    }
    if (unit.plain)
        return checked;
    unit.ambiguous_m = false;
    bool truth = checked->type == WR_NODE_IS_BOOL;
    const struct wr_unit plain = wr_unit_plain();
    bool quotient = wr_unit_same_dimension(&unit, &plain) && is_quotient(checked);
    if (!truth && checked->unit.plain && !quotient) { /* nobody has said in what it is: here it is said */
        checked->unit = unit;
        return checked;
    }
    if (truth || !wr_unit_same_dimension(&unit, &checked->unit) || unit.point != checked->unit.point) {
        WR_COMPILE_ERROR(compile, 210, record->unit ? "unit" : "point", NULL, "the expression is %s%s, not a %s", truth ? "" : "a ",
                         truth ? "true or false" : wr_unit_describe(first, sizeof first, &checked->unit),
                         wr_unit_describe(second, sizeof second, &unit));
        return NULL;
    }
    if (fabs(unit.scale - 0.01) < 1e-12 && wr_unit_same_dimension(&unit, &plain) && is_times_hundred(checked))
        wr_compile_complain(compile, WR_DIAGNOSTIC_WARNING, 408, "of", NULL, 0, 0, "leave `* 100` out", "a ratio of 0.4 is 40%% already");
    return wr_check_convert(scope, checked, &unit);
}

/* What is known about its values: what `points` says; else, where it is a series or a function of one as it is, what that has. */
static struct wr_point *describe(struct wr_compile *compile, const struct wr_rule *rule, const struct wr_point *declared,
                                 const struct wr_node *checked) {
    struct wr_point *output = wr_arena_take(&compile->ruleset->arena, sizeof *output);
    const struct wr_point *same = declared;
    if (!same && checked->kind == WR_NODE_SERIES)
        same = rule->operands[checked->operand].point;
    if (!output)
        return NULL;
    *output = (struct wr_point){.low = -INFINITY, .high = INFINITY, .lateness_ns = -1};
    if (same) {
        output->low = same->low;
        output->high = same->high;
        output->resolution = same->resolution;
        output->every_ns = declared ? declared->every_ns : 0;
        output->counter = same->counter;
        output->wrap = same->wrap;
    }
    output->name = rule->name;
    output->unit = checked->unit;
    output->place = rule->place;
    return output;
}

/* `points` may say more about a derived point; a unit in both must be one. */
static const struct wr_point *declared_point(struct wr_compile *compile, const struct wr_derived *derived) {
    const struct wr_point *declared = wr_ruleset_point(compile->ruleset, derived->name);
    struct wr_unit unit;
    struct wr_error err;
    if (declared && declared->lateness_ns >= 0)
        WR_COMPILE_ERROR(compile, 321, "point", "give it to the series that it is made from",
                         "the point '%.60s' has a `lateness` at %s:%u:%u, which a derived point cannot have", derived->name,
                         declared->place.file, declared->place.at.line, declared->place.at.column);
    if (!declared || declared->unit.plain || !derived->record->unit ||
        wr_unit_parse(derived->record->unit, strlen(derived->record->unit), &unit, &err) != WR_OK)
        return declared;
    if (!wr_unit_same_dimension(&unit, &declared->unit) || !wr_unit_same_scale(&unit, &declared->unit))
        WR_COMPILE_ERROR(compile, 321, "unit", NULL, "the point '%.60s' has another unit (%s) at %s:%u:%u", derived->name,
                         declared->unit.text, declared->place.file, declared->place.at.line, declared->place.at.column);
    return declared;
}

static bool compile_of(struct wr_compile *compile, struct wr_derived *derived, struct wr_rule *rule) {
    const struct wr_file_derive *record = derived->record;
    struct wr_node *node = wr_compile_parse(compile, "of", record->of);
    if (!node)
        return false;
    char head[WR_SELECTOR_BYTES + 8];
    snprintf(head, sizeof head, "%s = ", rule->name);
    rule->canonical = wr_compile_canonical(compile, node, false);
    rule->shape = wr_compile_canonical(compile, node, true);
    if (!rule->canonical || !rule->shape)
        return false;
    rule->canonical = wr_compile_joined(compile, "", head, rule->canonical);
    rule->shape = wr_compile_joined(compile, "", head, rule->shape);
    if (record->unit)
        wr_compile_append(compile, " in ", record->unit);
    if (record->max_age)
        wr_compile_append(compile, " max_age ", record->max_age);
    if (record->emit)
        wr_compile_append(compile, " emit ", record->emit);
    struct wr_scope scope = wr_compile_scope(compile);
    scope.derived = derived;
    struct wr_node *checked = wr_check_value(&scope, node);
    const struct wr_point *declared = declared_point(compile, derived);
    checked = checked ? take_unit(compile, &scope, record, declared, checked) : NULL;
    if (!checked)
        return false;
    rule->truth = checked->type == WR_NODE_IS_BOOL;
    rule->output = describe(compile, rule, declared, checked);
    if (!rule->output)
        return false;
    return wr_check_thresholds(&scope, checked, rule->truth) && wr_compile_when(compile, checked, rule->truth);
}

static bool compile_node(struct wr_compile *compile, struct wr_derived *derived, struct wr_rule *rule) {
    const struct wr_file_derive *record = derived->record;
    size_t errors = compile->diagnostics->errors;
    rule->kind = WR_RULE_DERIVED;
    rule->name = derived->name;
    rule->has_name = true;
    rule->place = derived->place;
    rule->when_text = wr_compile_copy(compile, record->of);
    rule->forget_ns = WR_RULE_FORGET_NS;
    wr_compile_by(compile, record->by, record->n_by);
    rule->no_data_after_ns = wr_compile_duration(compile, "max_age", record->max_age, NULL, 0);
    rule->emit_ns = wr_compile_duration(compile, "emit", record->emit, NULL, 0);
    if (!compile_of(compile, derived, rule) || compile->diagnostics->errors > errors)
        return false;
    if (rule->n_operands == 0) {
        WR_COMPILE_ERROR(compile, 332, "of", NULL, "it reads no series: nothing would ever compute it");
        return false;
    }
    struct wr_scope scope = wr_compile_scope(compile);
    enum wr_result result = wr_check_spell(&scope, rule);
    if (result == WR_LIMIT)
        WR_COMPILE_ERROR(compile, 107, "of", NULL, WR_CHECK_SPELL_LONG, WR_CHECK_SPELL_BYTES);
    if (result != WR_OK)
        return false;
    uint32_t rank = wr_nodes_rank(compile->ruleset->nodes, rule);
    if (rank >= WR_RULE_RANKS) {
        WR_COMPILE_ERROR(compile, 107, "of", NULL, "derived points of derived points: more than %d levels", WR_RULE_RANKS);
        return false;
    }
    rule->rank = (uint8_t)rank;
    char key[WR_SELECTOR_BYTES + 8];
    snprintf(key, sizeof key, "derive\x1f%s", rule->name);
    return wr_nodes_add(compile->ruleset->nodes, &compile->ruleset->arena, key, rule);
}

bool wr_derive_compile(struct wr_ruleset *ruleset, struct wr_derived *derived, struct wr_derived *within) {
    if (derived->begun)
        return derived->node != NULL;
    derived->begun = true;
    derived->within = within;
    struct wr_rule *rule = wr_arena_take(&ruleset->arena, sizeof *rule);
    struct wr_compile compile = *derived->compile;
    compile.rule = rule;
    if (rule && compile_node(&compile, derived, rule))
        derived->node = rule;
    derived->done = true;
    return derived->node != NULL;
}

bool wr_compile_derive(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    struct wr_ruleset *ruleset = compile->ruleset;
    compile->list = "derive";
    for (compile->index = 0; compile->index < file->n_derive; compile->index++) {
        char plain[WR_SELECTOR_BYTES];
        if (!file->derive[compile->index].point)
            continue;
        const char *name = wr_ruleset_plain_name(file->derive[compile->index].point, plain, sizeof plain);
        struct wr_derived *derived = wr_nodes_derived(ruleset->nodes, name);
        if (derived && !wr_derive_compile(ruleset, derived, NULL) && ruleset->arena.failed)
            return false;
    }
    return true;
}
