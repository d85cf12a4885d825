#include "rules/compile/rule_reference.h"

#include <stdio.h>

#include "rules/compile/rule_file.h"
#include "rules/language/functions.h"
#include "rules/yaml/yaml.h"

/* A bar would end the cell. */
static enum wr_result write_help(struct wr_buf *into, const char *help) {
    for (const char *c = help ? help : ""; *c; c++)
        WR_TRY(*c == '|' ? wr_buf_text(into, "\\|") : wr_buf_append(into, c, 1));
    return WR_OK;
}

static enum wr_result write_table(struct wr_buf *into, const char *path, const struct wr_yaml_field *fields) {
    char below[128];
    WR_TRY(wr_buf_printf(into, "### `%s`\n\n| key | value | what it says |\n|---|---|---|\n", path));
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        WR_TRY(wr_buf_printf(into, "| `%s`%s | ", field->key, field->required ? " (required)" : ""));
        WR_TRY(wr_yaml_write_kind(field, into));
        WR_TRY(wr_buf_printf(into, "%s%s%s | ", field->fallback ? ", default `" : "", field->fallback ? field->fallback : "",
                             field->fallback ? "`" : ""));
        WR_TRY(write_help(into, field->help));
        WR_TRY(wr_buf_text(into, " |\n"));
    }
    WR_TRY(wr_buf_text(into, "\n"));
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        if (field->kind != WR_YAML_RECORD && field->kind != WR_YAML_RECORDS)
            continue;
        snprintf(below, sizeof below, "%s.%s", path, field->key);
        WR_TRY(write_table(into, below, field->fields));
    }
    return WR_OK;
}

enum wr_result wr_rule_reference_keys(struct wr_buf *into) {
    for (const struct wr_yaml_field *field = wr_rule_file_fields; field->key; field++)
        if (field->fields)
            WR_TRY(write_table(into, field->key, field->fields));
    return WR_OK;
}

enum wr_result wr_rule_reference_functions(struct wr_buf *into) {
    WR_TRY(wr_buf_text(into, "| function | what it answers | as in |\n|---|---|---|\n"));
    for (const struct wr_function *function = wr_functions; function->name; function++) {
        WR_TRY(wr_buf_printf(into, "| `%s` | ", function->usage));
        WR_TRY(write_help(into, function->help));
        WR_TRY(function->example ? wr_buf_printf(into, " | `%s` |\n", function->example) : wr_buf_text(into, " | |\n"));
    }
    return WR_OK;
}
