/* Segments out of the pages of a database that SQLite cannot read any more: a root, an inner page or the header is gone, the file is cut short.
 *
 * Each page is looked at for itself. One that has the form of a table's leaf lists its cells; a cell is a record, which may go on over a chain of
 * overflow pages. A record whose last columns hold a segment's body with the right CRC is a row of `seg`, of any version of the schema; nothing
 * else is believed of it but that. Rows that were deleted may still lie in pages that are free now: they are found as well.
 * Any bytes are taken for an answer; nothing outside of them is read, and a chain that leads in a circle ends with the length of its record.
 *
 * Threads: one. Ownership: what is handed to the visitor is lent until it returns.
 * Limits: records of WR_PAGE_RECORD_BYTES; pages of 512 to WR_PAGE_BYTES_MAX bytes, all of them used (store/schema.c).
 * Source: "Database File Format", sections 1.6 and 2.1, sqlite.org/fileformat2.html.
 */
#ifndef WEIR_STORE_PAGE_SCAN_H
#define WEIR_STORE_PAGE_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "core/ledger.h"
#include "core/result.h"
#include "store/codec.h"

#define WR_PAGE_BYTES_MAX 4096
#define WR_PAGE_CHAIN_MAX 4096 /* overflow pages that are read for one leaf: its rows never have so many, noise may claim any number */
#define WR_PAGE_RECORD_BYTES (WR_SEGMENT_BODY_MAX + (64 << 10))

/* A segment that is whole. */
struct wr_page_row {
    int64_t id; /* of its row */
    struct wr_codec_header header;
    const uint8_t *body;
    size_t body_len;
    const uint8_t *accounts;
    size_t accounts_len;
};

/* A boot of the machine whose clock could be trusted: store/boots.c. */
struct wr_page_boot {
    uint8_t id[WR_CODEC_BOOT_ID_BYTES];
    int64_t offset_ns;
    int64_t trusted_ns; /* boot time */
};

struct wr_page_visitor {
    void *user;
    /* Page number `page`, from 1: page_bytes of it. WR_EMPTY: it lies behind the end. Any other error ends the scan. */
    enum wr_result (*read)(void *user, uint32_t page, uint8_t *bytes, struct wr_error *err);
    enum wr_result (*row)(void *user, const struct wr_page_row *row, struct wr_error *err);
    /* A body that is not what was written. */
    enum wr_result (*damaged)(void *user);
    /* A row of the table `account`. */
    enum wr_result (*account)(void *user, int64_t id, const struct wr_account *name, struct wr_error *err);
    /* A row of the table `boot`. */
    enum wr_result (*boot)(void *user, const struct wr_page_boot *boot, struct wr_error *err);
};

/* Begins as zero but for page_bytes. The room for a record grows with the largest. */
struct wr_page_scan {
    uint32_t page_bytes;
    uint8_t page[WR_PAGE_BYTES_MAX];
    uint8_t overflow[WR_PAGE_BYTES_MAX];
    uint32_t chain_pages; /* read for the present page */
    uint8_t *record;
    size_t record_bytes;
};

/* Shows the visitor what is on one page. WR_EMPTY: behind the end of the file. WR_NO_MEMORY; what the visitor answers. */
WR_MUST_USE enum wr_result wr_page_scan_page(struct wr_page_scan *scan, uint32_t page, const struct wr_page_visitor *visitor,
                                             struct wr_error *err);
void wr_page_scan_fini(struct wr_page_scan *scan);

#endif
