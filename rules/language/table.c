#include <math.h>
#include <string.h>

#include "rules/language/table_private.h"

#include "core/nearest.h"

const char *wr_table_name(const struct wr_table *table) {
    return table->name;
}

uint64_t wr_table_fingerprint(const struct wr_table *table) {
    return table->fingerprint;
}

bool wr_table_broken(const struct wr_table *table) {
    return table->broken;
}

const char *wr_table_key(const struct wr_table *table) {
    return table->key;
}

uint32_t wr_table_rows(const struct wr_table *table) {
    return table->n_rows;
}

const struct wr_table_column *wr_table_columns(const struct wr_table *table, uint32_t *ret_n) {
    *ret_n = table->n_columns;
    return table->columns;
}

uint32_t wr_table_column(const struct wr_table *table, const char *name, const char **ret_near) {
    const char *names[WR_TABLE_COLUMNS];
    for (uint32_t i = 0; i < table->n_columns; i++) {
        names[i] = table->columns[i].name;
        if (strcmp(names[i], name) == 0)
            return i;
    }
    if (ret_near)
        *ret_near = wr_nearest_name(name, names, table->n_columns);
    return WR_TABLE_NONE;
}

/* As strcmp(key, row), for a key without a NUL. */
static int compare(const char *key, size_t len, const char *row) {
    const int order = strncmp(key, row, len);
    return order != 0 ? order : row[len] == '\0' ? 0 : -1;
}

uint32_t wr_table_row(const struct wr_table *table, const char *key, size_t len) {
    uint32_t low = 0;
    uint32_t high = table->n_rows;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = compare(key, len, table->rows[middle].key);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return WR_TABLE_NONE;
}

double wr_table_number(const struct wr_table *table, uint32_t row, uint32_t column) {
    return row < table->n_rows && column < table->n_columns && table->numbers[column] ? table->numbers[column][row] : NAN;
}

const char *wr_table_text(const struct wr_table *table, uint32_t row, uint32_t column) {
    if (row >= table->n_rows || column >= table->n_columns)
        return NULL;
    const uint32_t at = table->cells[table->rows[row].cells + column];
    return at == WR_TABLE_NONE ? NULL : table->texts + at;
}
