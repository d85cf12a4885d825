#include "rules/compile/group_compile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"
#include "rules/language/label.h"

#define GROUPS_MAX 64
#define NAME_BYTES 56 /* "group:" before it, and it fits the name of a rule */
#define WAIT_NS (2 * INT64_C(1000000000))
#define UPDATE_NS (30 * INT64_C(1000000000))
#define REPEAT_NS (4 * 3600 * INT64_C(1000000000))
#define WINDOW_NS (600 * INT64_C(1000000000))

enum { LABEL_CODE = 352, MANY_CODE = 354, NAME_CODE = 355, FLOOD_CODE = 356 };

/* clang-format off */
const struct wr_yaml_field wr_group_fields[] = {
    STRING(wr_file_group, name, .required = true, .help = "name; its notices are called group:NAME"),
    {.key = "by", .kind = WR_YAML_STRINGS, LIST(wr_file_group, by), .required = true,
     .help = "labels: alarms with the same values are told together; also columns of a table that a label of the alarm is the key of"},
    STRING(wr_file_group, wait, .help = "how long after the first alarm the first notice comes; default 2s"),
    STRING(wr_file_group, update, .help = "the time between two notices at least; default 30s"),
    STRING(wr_file_group, repeat, .help = "again after so long while something is not acknowledged, 0s: never; default 4h"),
    {.key = "first_out", .kind = WR_YAML_BOOL, AT(wr_file_group, first_out), .help = "notices say which alarm came first"},
    {.key = "flood_start", .kind = WR_YAML_INT, AT(wr_file_group, flood_start), .min = 0, .max = 1000,
     .help = "so many alarms within flood_window are a flood: low and medium ones are silent in it; default 0: never"},
    STRING(wr_file_group, flood_end, .help = "the flood is over with fewer than so many; default half of flood_start"),
    STRING(wr_file_group, flood_window, .help = "default 10m"),
    RECORDS(wr_file_group, then, wr_file_action, wr_action_fields,
            .help = "actions of its notices; with any the group speaks for its low and medium alarms: their own actions do not run"),
    END,
};
/* clang-format on */

static bool is_name(const char *text) {
    size_t len = strlen(text);
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
            return false;
    return len > 0 && len <= NAME_BYTES;
}

static void read_name(struct wr_compile *compile, const char *text, struct wr_group *group) {
    char name[WR_ALARM_NAME_BYTES];
    if (!is_name(text)) {
        WR_COMPILE_ERROR(compile, NAME_CODE, "name", "letters, digits, _ - and .", "no name for a group, or longer than %d characters",
                         NAME_BYTES);
        return;
    }
    snprintf(name, sizeof name, "group:%s", text);
    group->name = wr_arena_string(&compile->ruleset->arena, name);
    for (uint32_t i = 0; i < compile->ruleset->n_groups; i++)
        if (strcmp(compile->ruleset->groups[i].name, name) == 0)
            WR_COMPILE_ERROR(compile, NAME_CODE, "name", NULL, "the group '%s' is given twice: first at %s:%u", text,
                             compile->ruleset->groups[i].place.file, compile->ruleset->groups[i].place.at.line);
}

/* Some rule must have each label, or the group would be empty for ever. */
static void check_labels(struct wr_compile *compile, const struct wr_group *group) {
    const struct wr_ruleset *ruleset = compile->ruleset;
    for (uint32_t i = 0; i < group->n_by; i++) {
        bool known = false;
        for (uint32_t k = 0; k < ruleset->n_rules && !known; k++)
            known = wr_label_is_known(ruleset, ruleset->rules[k]->by, ruleset->rules[k]->n_by, group->by[i]);
        if (!known)
            WR_COMPILE_ERROR(compile, LABEL_CODE, "by", "labels of a rule's `by`, or columns of a table whose key is one",
                             "no rule has the label '%s'", group->by[i]);
    }
}

static void read_flood(struct wr_compile *compile, const struct wr_file_group *record, struct wr_group *group) {
    char *end = NULL;
    group->flood_start = (uint32_t)record->flood_start;
    group->flood_window_ns = wr_compile_duration(compile, "flood_window", record->flood_window, NULL, WINDOW_NS);
    group->flood_end = (group->flood_start + 1) / 2;
    if (record->flood_end) {
        unsigned long n = strtoul(record->flood_end, &end, 10);
        if (!isdigit((unsigned char)record->flood_end[0]) || *end != '\0' || n < 1 || n > group->flood_start)
            WR_COMPILE_ERROR(compile, FLOOD_CODE, "flood_end", NULL, "a number of alarms, 1 to flood_start (%u)", group->flood_start);
        group->flood_end = (uint32_t)(n <= group->flood_start ? n : group->flood_start);
    }
    if (group->flood_start == 1)
        WR_COMPILE_ERROR(compile, FLOOD_CODE, "flood_start", "10 in 10 minutes is what one person can follow", "one alarm is no flood");
    if (group->flood_window_ns < INT64_C(1000000000))
        WR_COMPILE_ERROR(compile, FLOOD_CODE, "flood_window", NULL, "at least 1s");
}

/* The actions are read as those of a rule with the same labels. */
static bool read_actions(struct wr_compile *compile, struct wr_file_group *record, struct wr_group *group) {
    struct wr_rule *rule = wr_arena_take(&compile->ruleset->arena, sizeof *rule);
    if (!rule)
        return false;
    rule->name = group->name;
    rule->n_by = group->n_by;
    memcpy(rule->by, group->by, sizeof rule->by);
    compile->rule = rule;
    group->actions = wr_compile_then(compile, record->then, record->n_then);
    group->n_actions = group->actions ? record->n_then : 0;
    compile->rule = NULL;
    return true;
}

static bool compile_one(struct wr_compile *compile, struct wr_file_group *record) {
    struct wr_group *group = &compile->ruleset->groups[compile->ruleset->n_groups];
    size_t errors = compile->diagnostics->errors;
    group->place = (struct wr_place){compile->file, wr_compile_where(compile, NULL)};
    read_name(compile, record->name, group);
    group->n_by = wr_compile_labels(compile, LABEL_CODE, "by", record->by, record->n_by, group->by, WR_RULE_LABELS);
    group->wait_ns = wr_compile_duration(compile, "wait", record->wait, NULL, WAIT_NS);
    group->update_ns = wr_compile_duration(compile, "update", record->update, NULL, UPDATE_NS);
    group->repeat_ns = wr_compile_duration(compile, "repeat", record->repeat, NULL, REPEAT_NS);
    group->first_out = record->first_out;
    read_flood(compile, record, group);
    check_labels(compile, group);
    if (!read_actions(compile, record, group))
        return false;
    compile->ruleset->n_groups += compile->diagnostics->errors == errors;
    return true;
}

bool wr_compile_groups(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    struct wr_ruleset *ruleset = compile->ruleset;
    if (file->n_groups == 0)
        return true;
    compile->list = "groups";
    if (ruleset->n_groups + file->n_groups > GROUPS_MAX) {
        compile->index = GROUPS_MAX - ruleset->n_groups;
        WR_COMPILE_ERROR(compile, MANY_CODE, NULL, NULL, "more than %d groups", GROUPS_MAX);
        return true;
    }
    struct wr_group *all = wr_arena_take(&ruleset->arena, (ruleset->n_groups + file->n_groups) * sizeof *all);
    if (!all)
        return false;
    if (ruleset->n_groups > 0)
        memcpy(all, ruleset->groups, ruleset->n_groups * sizeof *all);
    ruleset->groups = all;
    for (compile->index = 0; compile->index < file->n_groups; compile->index++) {
        memset(&ruleset->groups[ruleset->n_groups], 0, sizeof *all);
        if (!compile_one(compile, &file->groups[compile->index]))
            return false;
    }
    return true;
}
