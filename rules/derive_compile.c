#include "rules/derive_compile.h"

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_derive_fields[] = {
    STRING(wr_file_derive, point, .help = "not in this version"),
    STRING(wr_file_derive, of, .help = "not in this version"),
    STRING(wr_file_derive, unit, .help = "not in this version"),
    STRING(wr_file_derive, by, .help = "not in this version"),
    STRING(wr_file_derive, max_age, .help = "not in this version"),
    STRING(wr_file_derive, emit, .help = "not in this version"),
    END,
};
/* clang-format on */

bool wr_compile_derive(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    if (file->n_derive > 0)
        wr_compile_refuse(compile, "derive");
    return true;
}
