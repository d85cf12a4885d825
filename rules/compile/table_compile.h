/* tables: limits that live in a spreadsheet: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_TABLE_COMPILE_H
#define WEIR_RULES_COMPILE_TABLE_COMPILE_H

#include <stdbool.h>

#include "rules/yaml/yaml.h"

struct wr_compile;

struct wr_file_table {
    char *name;
    char *csv;
    char *key;
};

extern const struct wr_yaml_field wr_table_fields[];

/* All tables of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_tables(struct wr_compile *compile);

#endif
