#include "rules/suppress_compile.h"

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_suppress_fields[] = {
    STRING(wr_file_suppress, cause, .help = "not in this version"),
    STRING(wr_file_suppress, match, .help = "not in this version"),
    STRING(wr_file_suppress, equal, .help = "not in this version"),
    STRING(wr_file_suppress, linger, .help = "not in this version"),
    END,
};
/* clang-format on */

bool wr_compile_suppress(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    if (file->n_suppress > 0)
        wr_compile_refuse(compile, "suppress");
    return true;
}
