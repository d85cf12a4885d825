#include "rules/test_compile.h"

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_test_fields[] = {
    STRING(wr_file_test, test, .help = "not in this version"),
    STRING(wr_file_test, start, .help = "not in this version"),
    STRING(wr_file_test, every, .help = "not in this version"),
    END,
};
/* clang-format on */

bool wr_compile_tests(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    if (file->n_tests > 0)
        wr_compile_refuse(compile, "tests");
    return true;
}
