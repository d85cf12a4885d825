#include "rules/table_compile.h"

#include <string.h>

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_table_fields[] = {
    STRING(wr_file_table, name, .required = true, .help = "not in this version"),
    STRING(wr_file_table, csv, .help = "not in this version"),
    STRING(wr_file_table, key, .help = "not in this version"),
    END,
};
/* clang-format on */

bool wr_compile_tables(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    if (file->n_tables > 0)
        wr_compile_refuse(compile, "tables");
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
        *ret_near = wr_diagnostics_nearest(name, names, ruleset->n_tables);
    return NULL;
}
