/* https://www.sqlite.org/fileformat2.html, 1.6 (b-tree pages) and 1.7 (overflow pages). */
#include "tests/support/store_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LEAF_OF_TABLE 0x0D
#define USABLE STORE_PAGE_BYTES
#define SEQ_BITS 56

static uint32_t big_endian(const uint8_t *at, unsigned bytes) {
    uint32_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | *at++;
    return value;
}

static int64_t take_varint(const uint8_t **at) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        const uint8_t byte = *(*at)++;
        value = value << 7 | (byte & 0x7F);
        if (byte < 0x80)
            return (int64_t)value;
    }
    return (int64_t)(value << 8 | *(*at)++);
}

/* What of a row's payload lies on its leaf. */
static int64_t local_bytes(int64_t payload) {
    const int64_t most = USABLE - 35;
    const int64_t least = (USABLE - 12) * 32 / 255 - 23;
    const int64_t rest = least + (payload - least) % (USABLE - 4);
    if (payload <= most)
        return payload;
    return rest <= most ? rest : least;
}

/* Of a leaf of this lane. */
struct cell {
    int64_t seq;
    uint32_t behind; /* the number of its overflow page, from 1; 0: it has none */
};

/* False: it is a row of another table or lane. */
static bool take_cell(const uint8_t *leaf, uint32_t i, enum wr_lane lane, struct cell *ret_cell) {
    const uint8_t *at = leaf + big_endian(leaf + 8 + (size_t)2 * i, 2) % (STORE_PAGE_BYTES - 20);
    const int64_t payload = take_varint(&at);
    const int64_t id = take_varint(&at);
    const int64_t local = local_bytes(payload);
    const bool goes_on = payload > local && at + local + 4 <= leaf + STORE_PAGE_BYTES;
    *ret_cell = (struct cell){.seq = id & ((INT64_C(1) << SEQ_BITS) - 1), .behind = goes_on ? big_endian(at + local, 4) : 0};
    return id >> SEQ_BITS == (int64_t)lane;
}

unsigned store_pages_of(const uint8_t *file, uint64_t len, enum wr_lane lane, int64_t first, int64_t last, enum store_page_part part,
                        bool *pages, uint64_t n_pages) {
    unsigned rows = 0;
    assert_true(lane > 0 && len <= n_pages * STORE_PAGE_BYTES);
    for (uint64_t page = 1; page < len / STORE_PAGE_BYTES; page++) { /* the first one is the schema's */
        const uint8_t *leaf = file + page * STORE_PAGE_BYTES;
        const uint32_t cells = leaf[0] == LEAF_OF_TABLE ? big_endian(leaf + 3, 2) % (STORE_PAGE_BYTES / 2 - 4) : 0;
        unsigned on_leaf = 0;
        bool hit = false;
        for (uint32_t i = 0; i < cells; i++) {
            struct cell cell;
            if (!take_cell(leaf, i, lane, &cell))
                continue;
            const bool wanted = cell.seq >= first && cell.seq <= last;
            on_leaf++;
            hit |= wanted;
            if (part == STORE_PAGE_BODIES && wanted && cell.behind > 0 && cell.behind <= n_pages) {
                pages[cell.behind - 1] = true;
                rows++;
            }
        }
        if (part == STORE_PAGE_HEADS && hit) {
            pages[page] = true;
            rows += on_leaf;
        }
    }
    return rows;
}
