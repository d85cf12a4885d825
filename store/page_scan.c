#include "store/page_scan.h"

#include <stdlib.h>
#include <string.h>

#include "store/codec_format.h"

#define LEAF 0x0D
#define LEAF_HEADER_BYTES 8
#define FIRST_PAGE_HEADER_BYTES 100
#define COLUMNS_MAX 16
#define ACCOUNT_COLUMNS 3
#define BOOT_COLUMNS 4

static uint32_t get_big(const uint8_t *at, unsigned bytes) {
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* SQLite's varint: seven bits a byte, the high ones first; the ninth byte has eight. 0: it does not end before `end`. */
static size_t get_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < 9 && at + i < end; i++) {
        if (i == 8) {
            *ret_value = value << 8 | at[i];
            return 9;
        }
        value = value << 7 | (at[i] & 0x7f);
        if (at[i] < 0x80) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

/* How much of a record lies in its cell; one that is small enough lies there whole. */
static size_t local_bytes(size_t len, uint32_t page_bytes) {
    const size_t most = page_bytes - 35;
    const size_t least = (page_bytes - 12) * 32 / 255 - 23;
    if (len <= most)
        return len;
    const size_t local = least + (len - least) % (page_bytes - 4);
    return local <= most ? local : least;
}

static enum wr_result make_room(struct wr_page_scan *scan, size_t len, struct wr_error *err) {
    if (len <= scan->record_bytes)
        return WR_OK;
    uint8_t *grown = realloc(scan->record, len);
    if (!grown)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a record of %zu bytes", len);
    scan->record = grown;
    scan->record_bytes = len;
    return WR_OK;
}

/* The rest of the record. WR_EMPTY: the chain ends before it does. */
static enum wr_result follow(struct wr_page_scan *scan, uint32_t next, size_t have, size_t len, const struct wr_page_visitor *visitor,
                             struct wr_error *err) {
    while (have < len) {
        if (next == 0 || scan->chain_pages++ == WR_PAGE_CHAIN_MAX)
            return WR_EMPTY;
        WR_TRY(visitor->read(visitor->user, next, scan->overflow, err));
        const size_t more = len - have < scan->page_bytes - 4 ? len - have : scan->page_bytes - 4;
        memcpy(scan->record + have, scan->overflow + 4, more);
        have += more;
        next = get_big(scan->overflow, 4);
    }
    return WR_OK;
}

/* A column of a record: where it lies in it. */
struct column {
    uint64_t type;
    const uint8_t *at;
    size_t len;
};

static bool is_blob(const struct column *column) {
    return column->type >= 12 && column->type % 2 == 0;
}
static bool is_text(const struct column *column) {
    return column->type >= 13 && column->type % 2 == 1;
}

static size_t column_bytes(uint64_t type) {
    static const uint8_t bytes[12] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    return type < 12 ? bytes[type] : (size_t)((type - 12) / 2);
}

/* How many columns there are; 0: this is no record. */
static size_t get_columns(const uint8_t *record, size_t len, struct column columns[COLUMNS_MAX]) {
    const uint8_t *const end = record + len;
    uint64_t header_len;
    size_t step = get_varint(record, end, &header_len);
    if (step == 0 || header_len > len)
        return 0;
    const uint8_t *at = record + step;
    const uint8_t *value = record + header_len;
    size_t n = 0;
    while (at < record + header_len) {
        uint64_t type;
        step = get_varint(at, record + header_len, &type);
        if (step == 0 || n == COLUMNS_MAX || type / 2 > len + 6 || column_bytes(type) > (size_t)(end - value))
            return 0;
        columns[n++] = (struct column){type, value, column_bytes(type)};
        value += column_bytes(type);
        at += step;
    }
    return n;
}

static enum wr_result show_account(int64_t id, const struct column columns[], const struct wr_page_visitor *visitor, struct wr_error *err) {
    struct wr_account name = {0};
    if (columns[0].type != 0 || !is_text(&columns[1]) || !is_text(&columns[2]) || columns[1].len >= sizeof name.source ||
        columns[2].len >= sizeof name.window)
        return WR_OK;
    memcpy(name.source, columns[1].at, columns[1].len);
    memcpy(name.window, columns[2].at, columns[2].len);
    return visitor->account(visitor->user, id, &name, err);
}

static bool is_integer(const struct column *column) {
    return (column->type >= 1 && column->type <= 6) || column->type == 8 || column->type == 9;
}

/* The high byte first, with a sign; the types 8 and 9 are the numbers 0 and 1. */
static int64_t get_integer(const struct column *column) {
    if (column->len == 0)
        return column->type == 9;
    uint64_t value = column->at[0] >= 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < column->len; i++)
        value = value << 8 | column->at[i];
    return (int64_t)value;
}

static enum wr_result show_boot(const struct column columns[], const struct wr_page_visitor *visitor, struct wr_error *err) {
    struct wr_page_boot boot;
    if (columns[0].type != 0 || !is_blob(&columns[1]) || columns[1].len != sizeof boot.id || !is_integer(&columns[2]) ||
        !is_integer(&columns[3]))
        return WR_OK;
    memcpy(boot.id, columns[1].at, sizeof boot.id);
    boot.offset_ns = get_integer(&columns[2]);
    boot.trusted_ns = get_integer(&columns[3]);
    return visitor->boot(visitor->user, &boot, err);
}

/* The accounts are the first blob of the row, the body is the one with the magic. */
static enum wr_result show(int64_t id, const uint8_t *record, size_t len, const struct wr_page_visitor *visitor, struct wr_error *err) {
    struct column columns[COLUMNS_MAX];
    const struct column *accounts = NULL;
    const size_t n = get_columns(record, len, columns);
    if (n == ACCOUNT_COLUMNS)
        return show_account(id, columns, visitor, err);
    if (n == BOOT_COLUMNS)
        return show_boot(columns, visitor, err);
    for (size_t i = 0; i < n; i++) {
        if (!is_blob(&columns[i]))
            continue;
        if (!accounts)
            accounts = &columns[i];
        if (columns[i].len < WR_CODEC_HEADER_BYTES || memcmp(columns[i].at, WR_CODEC_MAGIC, 4) != 0)
            continue;
        struct wr_page_row row = {.id = id, .body = columns[i].at, .body_len = columns[i].len};
        if (accounts != &columns[i]) {
            row.accounts = accounts->at;
            row.accounts_len = accounts->len;
        }
        return wr_codec_check(row.body, row.body_len, &row.header, NULL) == WR_OK ? visitor->row(visitor->user, &row, err)
                                                                                  : visitor->damaged(visitor->user);
    }
    return WR_OK;
}

static enum wr_result show_cell(struct wr_page_scan *scan, const uint8_t *cell, const struct wr_page_visitor *visitor,
                                struct wr_error *err) {
    const uint8_t *const end = scan->page + scan->page_bytes;
    uint64_t len;
    uint64_t id;
    size_t step = get_varint(cell, end, &len);
    cell += step;
    if (step == 0 || len == 0 || len > WR_PAGE_RECORD_BYTES)
        return WR_OK;
    step = get_varint(cell, end, &id);
    cell += step;
    const size_t local = local_bytes((size_t)len, scan->page_bytes);
    if (step == 0 || local + (local < len ? 4 : 0) > (size_t)(end - cell))
        return WR_OK;
    if (local == len)
        return show((int64_t)id, cell, local, visitor, err);
    WR_TRY(make_room(scan, (size_t)len, err));
    memcpy(scan->record, cell, local);
    const enum wr_result result = follow(scan, get_big(cell + local, 4), local, (size_t)len, visitor, err);
    if (result == WR_EMPTY)
        return memmem(cell, local, WR_CODEC_MAGIC, 4) ? visitor->damaged(visitor->user) : WR_OK;
    return result == WR_OK ? show((int64_t)id, scan->record, (size_t)len, visitor, err) : result;
}

enum wr_result wr_page_scan_page(struct wr_page_scan *scan, uint32_t page, const struct wr_page_visitor *visitor, struct wr_error *err) {
    WR_TRY(visitor->read(visitor->user, page, scan->page, err));
    scan->chain_pages = 0;
    const uint8_t *header = scan->page + (page == 1 ? FIRST_PAGE_HEADER_BYTES : 0);
    if (header[0] != LEAF)
        return WR_OK;
    const uint8_t *pointer = header + LEAF_HEADER_BYTES;
    for (uint32_t n = get_big(header + 3, 2); n > 0 && pointer + 2 <= scan->page + scan->page_bytes; n--, pointer += 2) {
        const uint32_t at = get_big(pointer, 2);
        if (at < scan->page_bytes)
            WR_TRY(show_cell(scan, scan->page + at, visitor, err));
    }
    return WR_OK;
}

void wr_page_scan_fini(struct wr_page_scan *scan) {
    free(scan->record);
    scan->record = NULL;
    scan->record_bytes = 0;
}
