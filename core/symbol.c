#include "core/symbol.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/intern.h"

/* The table is the interning mechanism, with nothing in an entry but the text. */
struct wr_symbol_table {
    struct wr_intern texts;
};

static void made(void *entry, uint32_t id, uint64_t hash) {
    (void)entry;
    (void)id;
    (void)hash;
}

enum wr_result wr_symbol_table_new(uint32_t max_symbols, struct wr_symbol_table **ret_table, struct wr_error *err) {
    struct wr_symbol_table *table = calloc(1, sizeof *table);
    if (!table || wr_intern_init(&table->texts, max_symbols, 0, made) != WR_OK) {
        free(table);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a table of %u symbols", max_symbols);
    }
    *ret_table = table;
    return WR_OK;
}

void wr_symbol_table_free(struct wr_symbol_table *table) {
    if (!table)
        return;
    wr_intern_fini(&table->texts);
    free(table);
}

enum wr_result wr_symbol_intern(struct wr_symbol_table *table, const char *text, size_t len, uint32_t *ret_symbol) {
    if (len > WR_SYMBOL_BYTES)
        return WR_LIMIT;
    return wr_intern_put(&table->texts, text, len, XXH3_64bits(text, len), ret_symbol);
}

const char *wr_symbol_text(const struct wr_symbol_table *table, uint32_t symbol, size_t *ret_len) {
    const char *entry = wr_intern_get(&table->texts, symbol);
    uint16_t len = 0;
    if (entry)
        memcpy(&len, entry, sizeof len);
    if (ret_len)
        *ret_len = len;
    return entry ? entry + sizeof len : "";
}

uint32_t wr_symbol_count(const struct wr_symbol_table *table) {
    return wr_intern_count(&table->texts);
}
