#include "rules/group_compile.h"

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_group_fields[] = {
    STRING(wr_file_group, name, .help = "not in this version"),
    STRING(wr_file_group, by, .help = "not in this version"),
    STRING(wr_file_group, wait, .help = "not in this version"),
    STRING(wr_file_group, update, .help = "not in this version"),
    STRING(wr_file_group, repeat, .help = "not in this version"),
    STRING(wr_file_group, first_out, .help = "not in this version"),
    STRING(wr_file_group, flood_start, .help = "not in this version"),
    STRING(wr_file_group, flood_end, .help = "not in this version"),
    STRING(wr_file_group, flood_window, .help = "not in this version"),
    END,
};
/* clang-format on */

bool wr_compile_groups(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    if (file->n_groups > 0)
        wr_compile_refuse(compile, "groups");
    return true;
}
