#include "rules/compile/suppress_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"
#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"
#include "rules/language/label.h"

#define SUPPRESS_MAX 256

enum { CAUSE_CODE = 350, MATCH_CODE = 351, LABEL_CODE = 352, CYCLE_CODE = 353, MANY_CODE = 354 };

/* clang-format off */
const struct wr_yaml_field wr_suppress_fields[] = {
    STRING(wr_file_suppress, cause, .required = true, .help = "a rule: while an alarm of it is active, the others are silent"),
    STRING(wr_file_suppress, match, .help = "which others, as \"rule!=x, severity=low, room=~A*\"; default: those of all other rules"),
    {.key = "equal", .kind = WR_YAML_STRINGS, LIST(wr_file_suppress, equal),
     .help = "labels that cause and alarm must have the same values of; also columns of a table that a label of the alarm is the key of"},
    STRING(wr_file_suppress, linger, .help = "how long after the cause is over; default 0"),
    END,
};
/* clang-format on */

/* -- what it says -------------------------------------------------------------------------------------------------------------------------- */

static uint32_t find_rule(const struct wr_ruleset *ruleset, const char *name) {
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        if (ruleset->rules[i]->name && strcmp(ruleset->rules[i]->name, name) == 0)
            return i;
    return UINT32_MAX;
}

static void complain_of_rule(struct wr_compile *compile, unsigned code, const char *key, const char *name) {
    struct wr_nearest nearest;
    const char *near = NULL;
    char hint[100], shown[80];
    wr_nearest_init(&nearest, name);
    for (uint32_t i = 0; i < compile->ruleset->n_rules; i++)
        if (compile->ruleset->rules[i]->name && wr_nearest_take(&nearest, compile->ruleset->rules[i]->name))
            near = compile->ruleset->rules[i]->name;
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    WR_COMPILE_ERROR(compile, code, key, near ? hint : NULL, "there is no rule '%s'",
                     wr_error_escape(shown, sizeof shown, name, strlen(name)));
}

/* "rule!=x, room=~A*" is read as the matches of a selector. */
static const struct wr_selector *read_match(struct wr_compile *compile, const char *text) {
    char braced[WR_SELECTOR_BYTES];
    struct wr_error err = {0};
    size_t at = 0;
    struct wr_selector *selector = wr_arena_take(&compile->ruleset->arena, sizeof *selector);
    int len = snprintf(braced, sizeof braced, "x{%s}", text);
    if (!selector)
        return NULL;
    if (len >= (int)sizeof braced || wr_selector_parse(braced, (size_t)len, selector, &at, &err) != WR_OK) {
        size_t offset = at > 2 ? at - 2 : 0;
        wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, MATCH_CODE, "match", text, offset < strlen(text) ? offset : 0, 1,
                            "write match: \"rule!=x, severity=low, room=~A*\"", "%s", err.text[0] ? err.text : "too long");
        return NULL;
    }
    return selector;
}

static bool is_severity(const char *word) {
    enum wr_severity severity;
    return wr_severity_parse(word, &severity, NULL) == WR_OK;
}

/* -- what it can reach --------------------------------------------------------------------------------------------------------------------- */

static bool severity_may_match(const struct wr_selector_match *match, const struct wr_rule *rule) {
    bool any = wr_selector_tag_matches(match, wr_severity_name(rule->severity));
    for (uint32_t i = 0; i < rule->n_levels; i++)
        any = any || wr_selector_tag_matches(match, wr_severity_name(rule->levels[i].severity));
    return any;
}

/* Whether alarms of the rule can be suppressed by it: what is known without their labels' values. */
static bool may_match(const struct wr_ruleset *ruleset, const struct wr_suppress *suppress, uint32_t index) {
    const struct wr_rule *rule = ruleset->rules[index];
    if (index == suppress->cause || !rule->name)
        return false;
    for (uint32_t i = 0; i < suppress->n_equal; i++)
        if (!wr_label_is_known(ruleset, rule->by, rule->n_by, suppress->equal[i]))
            return false;
    for (size_t i = 0; suppress->match && i < suppress->match->n_matches; i++) {
        const struct wr_selector_match *match = &suppress->match->matches[i];
        if (strcmp(match->tag, "rule") == 0       ? !wr_selector_tag_matches(match, rule->name)
            : strcmp(match->tag, "severity") == 0 ? !severity_may_match(match, rule)
                                                  : !wr_label_is_known(ruleset, rule->by, rule->n_by, match->tag))
            return false;
    }
    return true;
}

/* Whether the alarms of rule `from` suppress, over others perhaps, those of rule `to`. seen: one byte each of the suppressions. */
static bool reaches(const struct wr_ruleset *ruleset, uint32_t from, uint32_t to, char *seen) {
    for (uint32_t i = 0; i < ruleset->n_suppresses; i++) {
        const struct wr_suppress *suppress = &ruleset->suppresses[i];
        if (suppress->cause != from || seen[i])
            continue;
        seen[i] = 1;
        if (may_match(ruleset, suppress, to))
            return true;
        for (uint32_t k = 0; k < ruleset->n_suppresses; k++)
            if (may_match(ruleset, suppress, ruleset->suppresses[k].cause) && reaches(ruleset, ruleset->suppresses[k].cause, to, seen))
                return true;
    }
    return false;
}

static void check_reach(struct wr_compile *compile, const struct wr_suppress *added) {
    const struct wr_ruleset *ruleset = compile->ruleset;
    const char *cause = ruleset->rules[added->cause]->name;
    char seen[SUPPRESS_MAX] = {0};
    char hint[160];
    bool any = false;
    for (uint32_t i = 0; i < ruleset->n_rules && !any; i++)
        any = may_match(ruleset, added, i);
    if (!any)
        WR_COMPILE_ERROR(compile, LABEL_CODE,
                         added->n_equal > 0 ? "equal"
                         : added->match     ? "match"
                                            : "cause",
                         "labels are those of `by`, and columns of a table whose key is one of them",
                         "no alarm of another rule can match: nothing would be suppressed");
    if (!reaches(ruleset, added->cause, added->cause, seen))
        return;
    snprintf(hint, sizeof hint, "leave out what suppresses %.60s in its turn: match: \"rule!=...\"", cause);
    WR_COMPILE_ERROR(compile, CYCLE_CODE, added->match ? "match" : "cause", hint, "alarms of %s would suppress each other in a circle",
                     cause);
}

/* -- all of them ---------------------------------------------------------------------------------------------------------------------------- */

static bool check_words(struct wr_compile *compile, const struct wr_selector *match) {
    for (size_t i = 0; match && i < match->n_matches; i++) {
        const struct wr_selector_match *one = &match->matches[i];
        bool exact = one->op == WR_SELECTOR_EQUAL || one->op == WR_SELECTOR_NOT_EQUAL;
        if (exact && strcmp(one->tag, "rule") == 0 && find_rule(compile->ruleset, one->word) == UINT32_MAX) {
            complain_of_rule(compile, CAUSE_CODE, "match", one->word);
            return false;
        }
        if (exact && strcmp(one->tag, "severity") == 0 && !is_severity(one->word)) {
            WR_COMPILE_ERROR(compile, MATCH_CODE, "match", "low, medium, high or critical", "'%s' is no severity", one->word);
            return false;
        }
    }
    return true;
}

static void compile_one(struct wr_compile *compile, const struct wr_file_suppress *record) {
    struct wr_ruleset *ruleset = compile->ruleset;
    struct wr_suppress suppress = {.place = {compile->file, wr_compile_where(compile, NULL)}};
    size_t errors = compile->diagnostics->errors;
    suppress.cause = find_rule(ruleset, record->cause);
    if (suppress.cause == UINT32_MAX)
        complain_of_rule(compile, CAUSE_CODE, "cause", record->cause);
    if (record->match)
        suppress.match = read_match(compile, record->match);
    suppress.n_equal = wr_compile_labels(compile, LABEL_CODE, "equal", record->equal, record->n_equal, suppress.equal, WR_RULE_LABELS);
    suppress.linger_ns = wr_compile_duration(compile, "linger", record->linger, NULL, 0);
    const struct wr_rule *cause = suppress.cause == UINT32_MAX ? NULL : ruleset->rules[suppress.cause];
    for (uint32_t i = 0; cause && i < suppress.n_equal; i++)
        if (!wr_label_is_known(ruleset, cause->by, cause->n_by, suppress.equal[i]))
            WR_COMPILE_ERROR(compile, LABEL_CODE, "equal", "labels of its `by`, or columns of a table whose key is one",
                             "alarms of %s have no label '%s'", cause->name, suppress.equal[i]);
    if (!check_words(compile, suppress.match) || compile->diagnostics->errors > errors)
        return;
    ruleset->suppresses[ruleset->n_suppresses++] = suppress;
    check_reach(compile, &suppress);
}

bool wr_compile_suppress(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    struct wr_ruleset *ruleset = compile->ruleset;
    if (file->n_suppress == 0)
        return true;
    compile->list = "suppress";
    if (ruleset->n_suppresses + file->n_suppress > SUPPRESS_MAX) {
        compile->index = SUPPRESS_MAX - ruleset->n_suppresses;
        WR_COMPILE_ERROR(compile, MANY_CODE, NULL, NULL, "more than %d suppressions", SUPPRESS_MAX);
        return true;
    }
    struct wr_suppress *all = wr_arena_take(&ruleset->arena, (ruleset->n_suppresses + file->n_suppress) * sizeof *all);
    if (!all)
        return false;
    if (ruleset->n_suppresses > 0)
        memcpy(all, ruleset->suppresses, ruleset->n_suppresses * sizeof *all);
    ruleset->suppresses = all;
    for (compile->index = 0; compile->index < file->n_suppress; compile->index++)
        compile_one(compile, &file->suppress[compile->index]);
    return true;
}
