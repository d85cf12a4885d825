/* What table.c and table_read.c share. Nobody else includes this. */
#ifndef WEIR_RULES_LANGUAGE_TABLE_PRIVATE_H
#define WEIR_RULES_LANGUAGE_TABLE_PRIVATE_H

#include "rules/language/table.h"

/* A row by its key; sorted by key, so that a row number is its place here. */
struct wr_table_entry {
    const char *key;
    uint32_t cells; /* the first of its cells */
    uint32_t line;  /* of the CSV */
};

struct wr_table {
    const char *name;
    const char *key;
    bool broken;
    uint64_t fingerprint; /* of the CSV */
    uint32_t n_columns;
    uint32_t n_rows;
    struct wr_table_column columns[WR_TABLE_COLUMNS];
    struct wr_table_entry *rows;
    uint32_t *cells; /* places in texts, row by row; WR_TABLE_NONE: missing */
    const char *texts;
    double *numbers[WR_TABLE_COLUMNS]; /* by row; NULL: a column of texts */
};

/* A plain decimal number, with an exponent or without; the whole text. */
bool wr_table_read_number(const char *text, double *ret_number);

#endif
