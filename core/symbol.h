/* The symbol table: text values, interned and bounded.
 *
 * Promise: a reading carries a u32 symbol instead of text. A text keeps its id until the table is freed. Beyond `max_symbols` texts, or
 * for a text longer than WR_SYMBOL_BYTES, the answer is WR_LIMIT and the reading is rejected (symbols) by its source.
 * Threads: intern from any thread (one mutex; sources keep the last texts in a cache of their own); get without a lock.
 * Ownership: the table owns the texts until it is freed.
 */
#ifndef WEIR_CORE_SYMBOL_H
#define WEIR_CORE_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_SYMBOL_BYTES 1024

struct wr_symbol_table;

WR_MUST_USE enum wr_result wr_symbol_table_new(uint32_t max_symbols, struct wr_symbol_table **ret_table, struct wr_error *err);
void wr_symbol_table_free(struct wr_symbol_table *table);

WR_MUST_USE enum wr_result wr_symbol_intern(struct wr_symbol_table *table, const char *text, size_t len, uint32_t *ret_symbol);

/* NUL-terminated; ret_len may be NULL. An unknown symbol gives "". */
const char *wr_symbol_text(const struct wr_symbol_table *table, uint32_t symbol, size_t *ret_len);

uint32_t wr_symbol_count(const struct wr_symbol_table *table);

#endif
