/* Which pages of a store's file hold which rows: for tests that take some of them away.
 *
 * Reads the file's bytes as SQLite's format has them (table leaves, and the first overflow page of a row); what only the WAL has is not seen, so close the store
 * first. A row is that of a segment if its id says a lane and a seq; no other table of a store has ids that high. Not for lane 0, whose ids are any table's.
 *
 * Threads: none. Limits: pages of 2048 bytes.
 */
#ifndef WEIR_TESTS_SUPPORT_STORE_PAGES_H
#define WEIR_TESTS_SUPPORT_STORE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/segment.h"

#define STORE_PAGE_BYTES 2048

enum store_page_part {
    STORE_PAGE_HEADS,  /* the leaf: without it nobody can say that the row is there */
    STORE_PAGE_BODIES, /* where the row goes on: its head can be read, its body not */
};

/* Sets pages[] for those rows of first..last that have such a page. Returns how many rows of the lane lie on them. */
unsigned store_pages_of(const uint8_t *file, uint64_t len, enum wr_lane lane, int64_t first, int64_t last, enum store_page_part part,
                        bool *pages, uint64_t n_pages);

#endif
