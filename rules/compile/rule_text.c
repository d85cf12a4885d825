/* message, consequence and respond: templates, checked at load. */
#include <stdio.h>
#include <string.h>

#include "rules/compile/rule_compile.h"

/* timeless: it is filled in where nobody knows how long the condition has been true. */
static void read_text(struct wr_compile *compile, const char *key, const char *text, bool timeless, struct wr_template *into) {
    const struct wr_rule *rule = compile->rule;
    const struct wr_ruleset *ruleset = compile->ruleset;
    const struct wr_template_names names = {
        .labels = rule->by, .n_labels = rule->n_by, .tables = ruleset->tables, .n_tables = ruleset->n_tables, .timeless = timeless};
    size_t at;
    size_t len;
    const char *near;
    struct wr_error err;
    if (!text || wr_template_parse_names(text, &names, &compile->ruleset->arena, into, &at, &len, &near, &err) == WR_OK)
        return;
    char hint[120];
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    if (err.code != WR_NO_MEMORY)
        wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 327, key, text, at, len, near ? hint : NULL, "%s", err.text);
}

void wr_compile_texts(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    rule->consequence = wr_compile_copy(compile, record->consequence);
    rule->respond = wr_compile_copy(compile, record->respond);
    read_text(compile, "message", record->message, false, &rule->message);
    read_text(compile, "consequence", record->consequence, true, &rule->consequence_text);
    read_text(compile, "respond", record->respond, true, &rule->respond_text);
}
