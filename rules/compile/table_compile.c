#include "rules/compile/table_compile.h"

#include <stdio.h>
#include <string.h>

#include "core/fingerprint.h"
#include "core/nearest.h"
#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"

#define NAME_BYTES 64

enum { TABLE_CODE = 340, TWICE_CODE = 348 };

/* clang-format off */
const struct wr_yaml_field wr_table_fields[] = {
    STRING(wr_file_table, name, .required = true, .help = "name, unique over all files: rooms.hi is its column hi"),
    STRING(wr_file_table, csv, .required = true, .help = "the CSV; relative to the rule file"),
    STRING(wr_file_table, key, .required = true, .help = "the column that is looked up: a label of the rules that use the table"),
    END,
};
/* clang-format on */

/* The path of a file that a rule file names: beside it, unless it is absolute. */
static const char *path_beside(struct wr_compile *compile, const char *file) {
    const char *own = compile->yaml->file;
    const char *slash = strrchr(own, '/');
    const size_t directory = slash ? (size_t)(slash - own) + 1 : 0;
    if (file[0] == '/' || directory == 0)
        return file;
    const size_t size = directory + strlen(file) + 1;
    char *path = wr_arena_take(&compile->ruleset->arena, size);
    if (path)
        snprintf(path, size, "%.*s%s", (int)directory, own, file);
    return path;
}

static bool is_name(const char *name) {
    const size_t len = strlen(name);
    return len > 0 && len < NAME_BYTES && !(name[0] >= '0' && name[0] <= '9') &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* Whether the name can be given to this table; what is wrong is told. */
static bool check(struct wr_compile *compile, const struct wr_file_table *record) {
    const struct wr_ruleset *ruleset = compile->ruleset;
    if (!is_name(record->name)) {
        WR_COMPILE_ERROR(compile, TABLE_CODE, "name", NULL, "the name of a table is 1 to %d letters, digits or _, and begins with no digit",
                         NAME_BYTES - 1);
        return false;
    }
    if (wr_ruleset_table(ruleset, record->name, NULL)) {
        WR_COMPILE_ERROR(compile, TWICE_CODE, "name", NULL, "the table '%s' is given twice", record->name);
        return false;
    }
    if (ruleset->n_tables == WR_RULESET_TABLES) {
        WR_COMPILE_ERROR(compile, TABLE_CODE, "name", NULL, "more than %d tables", WR_RULESET_TABLES);
        return false;
    }
    return true;
}

static bool compile_table(struct wr_compile *compile, const struct wr_file_table *record) {
    struct wr_ruleset *ruleset = compile->ruleset;
    if (!check(compile, record))
        return true;
    const struct wr_table_origin origin = {
        .name = record->name,
        .key = record->key,
        .file = compile->file,
        .text = compile->yaml->text,
        .text_len = compile->yaml->text_len,
        .at = wr_compile_where(compile, "csv"),
        .key_at = wr_compile_where(compile, "key"),
    };
    const char *path = path_beside(compile, record->csv);
    if (!path || !wr_table_load(&ruleset->arena, &origin, path, compile->diagnostics, &ruleset->tables[ruleset->n_tables]))
        return false;
    const uint64_t fingerprint = wr_table_fingerprint(ruleset->tables[ruleset->n_tables++]);
    ruleset->fingerprint = wr_fingerprint_add(ruleset->fingerprint, &fingerprint, sizeof fingerprint);
    return true;
}

bool wr_compile_tables(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    compile->list = "tables";
    for (unsigned i = 0; i < file->n_tables; i++) {
        compile->index = i;
        if (!compile_table(compile, &file->tables[i]))
            return false;
    }
    return true;
}

const struct wr_table *wr_ruleset_table(const struct wr_ruleset *ruleset, const char *name, const char **ret_near) {
    const char *names[WR_RULESET_TABLES];
    for (uint32_t i = 0; i < ruleset->n_tables; i++) {
        names[i] = wr_table_name(ruleset->tables[i]);
        if (strcmp(names[i], name) == 0)
            return ruleset->tables[i];
    }
    if (ret_near)
        *ret_near = wr_nearest_name(name, names, ruleset->n_tables);
    return NULL;
}
