/* A broken store as a source: what can still be read of it.
 *
 * First by the ids of its rows, through SQLite, as long as that says nothing of damage; then by its pages (page_scan.h). Also where there should be more rows, by the books. What was acknowledged, whose
 * accounts its numbers are, and what it knew of clocks is asked of SQLite too, and where it cannot tell that is not known: then everything counts as not acknowledged.
 * A row that was deleted may still lie in a page that is free now: nobody wants it back. It had been acknowledged, or was merged into another one, or given up. So what
 * the pages show is asked for by its id, and where the search comes out between two other rows that are neighbours, it is none.
 * Where the first page is gone, the copy of it that lies beside it is put in its place before, and what its WAL holds follows. But for that nothing is
 * written into the database.
 *
 * Threads: one. Ownership: rows are lent to the callbacks until they return. Errors: damage is none, nor is a sector that cannot be read; WR_NO_MEMORY.
 */
#ifndef WEIR_STORE_SALVAGE_SOURCE_H
#define WEIR_STORE_SALVAGE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/result.h"
#include "store/page_scan.h"

#define WR_SALVAGE_KEYS 128          /* one call shows so many keys, ... */
#define WR_SALVAGE_ROWS 16           /* ... or so many rows, ... */
#define WR_SALVAGE_BYTES (64U << 10) /* ... or bodies of so many bytes, each with what else is on the same page, ... */
#define WR_SALVAGE_PAGES 128         /* ... or looks at so many pages */

struct wr_salvage_source;

struct wr_salvage_key {
    uint64_t epoch;
    int64_t seq;
};

/* How far it was read. Zero: at its beginning. Keys come first. */
struct wr_salvage_position {
    bool by_page;
    int64_t at; /* the id of the last row, or the number of the last page */
    uint64_t rows; /* shown by id; after a restart it begins again, and where there are less than there should be it goes on by page */
    bool keys_begun;
    bool keys_shown;
    struct wr_salvage_key key; /* the last one */
};

struct wr_salvage_visitor {
    void *user;
    enum wr_result (*row)(void *user, const struct wr_page_row *row, struct wr_error *err);
    enum wr_result (*damaged)(void *user);
    /* What that store had itself salvaged, and certainly has no row of any more. */
    enum wr_result (*gone)(void *user, const struct wr_salvage_key *key, struct wr_error *err);
};

/* vfs: as of the store that it is salvaged into. */
WR_MUST_USE enum wr_result wr_salvage_source_open(const char *file, const char *vfs, struct wr_salvage_source **ret_source,
                                                  struct wr_error *err);
/* Shows the next rows and moves the position. WR_EMPTY: these were the last. WR_NO_MEMORY, and what a callback answers. */
WR_MUST_USE enum wr_result wr_salvage_source_show(struct wr_salvage_source *source, struct wr_salvage_position *position,
                                                  const struct wr_salvage_visitor *visitor, struct wr_error *err);
/* Whether it is known that nobody needs this row any more. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_salvage_source_is_finished(struct wr_salvage_source *source, const struct wr_page_row *row, bool *ret_finished,
                                                         struct wr_error *err);
/* Whether it was cut there: not salvaged out of another one. Where that is not known it was. */
bool wr_salvage_source_is_own(const struct wr_salvage_source *source, const struct wr_page_row *row);
/* NULL: nobody knows whose number it is. */
const struct wr_account *wr_salvage_source_account(const struct wr_salvage_source *source, uint64_t id);
/* The disk did not give back a page of it, so there may be more than was shown. */
bool wr_salvage_source_missed(const struct wr_salvage_source *source);
/* What it knew of clocks of former boots. */
const struct wr_page_boot *wr_salvage_source_boots(const struct wr_salvage_source *source, uint32_t *ret_n);
void wr_salvage_source_close(struct wr_salvage_source *source);

#endif
