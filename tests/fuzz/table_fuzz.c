/* Any bytes as the CSV of a table. What is read without an error answers by each of its keys, and what is refused is told. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/language/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

static void ask(const struct wr_table *table) {
    uint32_t n;
    const struct wr_table_column *columns = wr_table_columns(table, &n);
    const uint32_t key = wr_table_column(table, wr_table_key(table), NULL);
    must(key < n && !columns[key].number);
    for (uint32_t row = 0; row < wr_table_rows(table); row++) {
        const char *text = wr_table_text(table, row, key);
        must(text && text[0] && wr_table_row(table, text, strlen(text)) == row);
        for (uint32_t column = 0; column < n; column++) {
            const double number = wr_table_number(table, row, column);
            text = wr_table_text(table, row, column);
            must(!isinf(number) && (!text || strlen(text) <= WR_TABLE_CELL_BYTES));
            must(isnan(number) == !(columns[column].number && text));
        }
    }
    for (uint32_t column = 0; column < n; column++)
        must(wr_table_column(table, columns[column].name, NULL) == column);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct wr_table_origin origin = {.name = "t", .key = "k", .file = "r.yaml", .at = {1, 1, 0}, .key_at = {1, 1, 0}};
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_table *table = NULL;
    struct wr_buf shown;
    char *bytes = malloc(size > 0 ? size : 1); /* an exact copy: a byte too far is seen */
    must(bytes != NULL);
    memcpy(bytes, data, size);
    wr_arena_init(&arena);
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&shown, 0);
    must(wr_table_read(&arena, &origin, "t.csv", bytes, size, &diagnostics, &table));
    must(wr_table_broken(table) == (diagnostics.errors > 0));
    must(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &shown) == WR_OK);
    if (!wr_table_broken(table))
        ask(table);
    wr_buf_fini(&shown);
    wr_diagnostics_fini(&diagnostics);
    wr_arena_fini(&arena);
    free(bytes);
    return 0;
}
