/* How the tables of rule_file.h are written: for the .c files that hold a part of the schema, not for headers. */
#ifndef WEIR_RULES_COMPILE_RULE_SCHEMA_H
#define WEIR_RULES_COMPILE_RULE_SCHEMA_H

#include <stddef.h>

#include "rules/yaml/yaml.h"

#define AT(type, member) .offset = offsetof(struct type, member)
#define LIST(type, member) .offset = offsetof(struct type, member), .count_offset = offsetof(struct type, n_##member)
#define STRING(type, member, ...)                                                                                                          \
    { .key = #member, .kind = WR_YAML_STRING, AT(type, member), __VA_ARGS__ }
#define RECORDS(type, member, record, list, ...)                                                                                           \
    { .key = #member, .kind = WR_YAML_RECORDS, LIST(type, member), .fields = list, .record_bytes = sizeof(struct record), __VA_ARGS__ }
#define RECORD(type, member, record, list, ...)                                                                                            \
    { .key = #member, .kind = WR_YAML_RECORD, AT(type, member), .fields = list, .record_bytes = sizeof(struct record), __VA_ARGS__ }
#define END                                                                                                                                \
    { .key = NULL }

#endif
