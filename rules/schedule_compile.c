#include "rules/schedule_compile.h"

#include <string.h>

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_schedule_fields[] = {
    STRING(wr_file_schedule, name, .help = "not in this version"),
    STRING(wr_file_schedule, tz, .help = "not in this version"),
    STRING(wr_file_schedule, days, .help = "not in this version"),
    STRING(wr_file_schedule, from, .help = "not in this version"),
    STRING(wr_file_schedule, to, .help = "not in this version"),
    END,
};
/* clang-format on */

bool wr_compile_schedules(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    if (file->n_schedules > 0)
        wr_compile_refuse(compile, "schedules");
    return true;
}

const struct wr_schedule *wr_ruleset_schedule(const struct wr_ruleset *ruleset, const char *name, const char **ret_near) {
    const char *names[WR_RULESET_SCHEDULES];
    for (uint32_t i = 0; i < ruleset->n_schedules; i++) {
        names[i] = ruleset->schedules[i]->name;
        if (strcmp(names[i], name) == 0)
            return ruleset->schedules[i];
    }
    if (ret_near)
        *ret_near = wr_diagnostics_nearest(name, names, ruleset->n_schedules);
    return NULL;
}
