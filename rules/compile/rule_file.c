#include "rules/compile/rule_file.h"

#include "rules/compile/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_rule_file_fields[] = {
    {.key = "weir", .kind = WR_YAML_INT, AT(wr_rule_file, version), .fallback = "1", .min = 1, .max = 1000, .help = "version of the language: 1"},
    RECORDS(wr_rule_file, tables, wr_file_table, wr_table_fields, .help = "limits and texts in CSV files"),
    RECORDS(wr_rule_file, points, wr_file_point, wr_point_fields, .help = "what is known about series: unit, range, period"),
    RECORDS(wr_rule_file, schedules, wr_file_schedule, wr_schedule_fields, .help = "named spans of local time, for `active`"),
    RECORDS(wr_rule_file, derive, wr_file_derive, wr_derive_fields, .help = "not in this version"),
    RECORD(wr_rule_file, defaults, wr_file_defaults, wr_defaults_fields, .help = "for the rules of this file"),
    RECORDS(wr_rule_file, rules, wr_file_rule, wr_rule_fields, .help = "the rules"),
    RECORDS(wr_rule_file, suppress, wr_file_suppress, wr_suppress_fields, .help = "not in this version"),
    RECORDS(wr_rule_file, groups, wr_file_group, wr_group_fields, .help = "not in this version"),
    RECORDS(wr_rule_file, tests, wr_file_test, wr_test_fields, .help = "tests of the rules, for weir test"),
    END,
};
/* clang-format on */
