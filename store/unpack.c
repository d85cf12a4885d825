#include "store/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "core/series.h"

enum wr_result wr_unpack_init(struct wr_unpack *unpack, size_t runs_max, size_t texts_max) {
    wr_buf_init(&unpack->raw, WR_CODEC_RAW_MAX + WR_SEGMENT_BODY_MAX + 1);
    wr_buf_init(&unpack->keys, runs_max * WR_SERIES_KEY_BYTES + 1);
    unpack->texts = calloc(texts_max, sizeof *unpack->texts);
    unpack->texts_max = texts_max;
    unpack->zstd = ZSTD_createDCtx();
    return unpack->texts && unpack->zstd ? WR_OK : WR_NO_MEMORY;
}

void wr_unpack_fini(struct wr_unpack *unpack) {
    ZSTD_freeDCtx(unpack->zstd);
    wr_buf_fini(&unpack->raw);
    wr_buf_fini(&unpack->keys);
    free(unpack->texts);
}

enum wr_result wr_unpack_corrupt(const struct wr_unpack *unpack, struct wr_error *err, const char *what) {
    return wr_error_set(err, WR_CORRUPT, "segment %lld: %s", (long long)unpack->header.seq, what);
}

enum wr_result wr_unpack_body(struct wr_unpack *unpack, const uint8_t *packed, size_t len, struct wr_error *err) {
    const size_t raw_len = unpack->header.raw_len;
    const size_t bits_len = unpack->header.bits_len;
    if (bits_len > len)
        return wr_unpack_corrupt(unpack, err, "its bits are not all there");
    wr_buf_clear(&unpack->raw);
    if (wr_buf_reserve(&unpack->raw, raw_len + 1 + bits_len) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a segment of %zu bytes", raw_len);
    const size_t got = ZSTD_decompressDCtx(unpack->zstd, unpack->raw.data, raw_len, packed, len - bits_len);
    if (ZSTD_isError(got) || got != raw_len)
        return wr_unpack_corrupt(unpack, err, "its payload does not unpack");
    unpack->raw.len = raw_len;
    unpack->raw.data[raw_len] = 0;
    uint8_t *bits = unpack->raw.data + raw_len + 1;
    if (bits_len > 0)
        memcpy(bits, packed + len - bits_len, bits_len);
    unpack->bits = (struct wr_bit_cursor){.bytes = bits, .n_bytes = bits_len};
    return WR_OK;
}

enum wr_result wr_unpack_columns(struct wr_unpack *unpack, unsigned n, struct wr_error *err) {
    struct wr_cursor raw = {unpack->raw.data, unpack->raw.data + unpack->raw.len, false};
    uint64_t len[WR_UNPACK_COLUMNS];
    for (unsigned i = 0; i < n; i++)
        len[i] = wr_get_varint(&raw);
    for (unsigned i = 0; i < n; i++) {
        if (raw.bad || len[i] > (size_t)(raw.end - raw.at))
            return wr_unpack_corrupt(unpack, err, "a column is not all there");
        unpack->columns[i] = (struct wr_cursor){raw.at, raw.at + len[i], false};
        raw.at += len[i];
    }
    unpack->n_columns = n;
    return raw.at == raw.end ? WR_OK : wr_unpack_corrupt(unpack, err, "there are bytes after its last column");
}

/* Makes room for all keys together. */
static enum wr_result reserve_keys(struct wr_unpack *unpack, uint32_t n_runs, struct wr_cursor shared, struct wr_cursor suffix,
                                   struct wr_error *err) {
    size_t total = 1;
    for (uint32_t i = 0; i < n_runs; i++) {
        const uint64_t a = wr_get_varint(&shared);
        const uint64_t b = wr_get_varint(&suffix);
        if (a > WR_SERIES_KEY_BYTES || b > WR_SERIES_KEY_BYTES || a + b > WR_SERIES_KEY_BYTES)
            return wr_unpack_corrupt(unpack, err, "a series key is too long");
        total += (size_t)(a + b);
    }
    wr_buf_clear(&unpack->keys);
    if (wr_buf_reserve(&unpack->keys, total) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %zu bytes of series keys", total);
    return WR_OK;
}

enum wr_result wr_unpack_keys(struct wr_unpack *unpack, struct wr_run *runs, uint32_t n_runs, unsigned shared, unsigned suffix,
                              unsigned names, struct wr_error *err) {
    struct wr_cursor *columns = unpack->columns;
    struct wr_cursor *from = &columns[names];
    const char *before = NULL;
    size_t before_len = 0;
    WR_TRY(reserve_keys(unpack, n_runs, columns[shared], columns[suffix], err));
    char *to = (char *)unpack->keys.data;
    for (uint32_t i = 0; i < n_runs; i++) {
        const size_t a = (size_t)wr_get_varint(&columns[shared]);
        const size_t b = (size_t)wr_get_varint(&columns[suffix]);
        if (a > before_len || b > (size_t)(from->end - from->at))
            return wr_unpack_corrupt(unpack, err, "a series key is not all there");
        if (a > 0)
            memcpy(to, before, a);
        memcpy(to + a, from->at, b);
        from->at += b;
        if (!wr_series_key_valid(to, a + b))
            return wr_unpack_corrupt(unpack, err, "a series key is not canonical");
        runs[i].key = to;
        runs[i].key_len = (uint16_t)(a + b);
        before = to;
        before_len = a + b;
        to += a + b;
    }
    return WR_OK;
}

bool wr_unpack_grid(struct wr_cursor *column, uint8_t type, struct wr_grid *grid) {
    const uint64_t step = wr_get_varint(column);
    *grid = (struct wr_grid){.step = (int64_t)step, .decimals = WR_FORM_DOUBLE};
    if (step == 0 || step > INT64_MAX)
        return false;
    if (type != WR_TYPE_FLOAT)
        return true;
    grid->decimals = wr_get_byte(column);
    const uint64_t parts = wr_get_varint(column);
    if (grid->decimals > WR_FORM_DOUBLE || parts > WR_GRID_PARTS_MAX)
        return false;
    grid->parts = (uint32_t)parts;
    if (parts == 0)
        return true;
    grid->digits = wr_get_byte(column);
    grid->fine_bits = wr_get_byte(column);
    return grid->digits > 0 && grid->digits <= WR_GRID_DIGITS_MAX && grid->fine_bits <= WR_GRID_FINE_MAX;
}

/* Each moves down over the length in front of it. */
enum wr_result wr_unpack_texts(struct wr_unpack *unpack, unsigned column, struct wr_error *err) {
    struct wr_cursor *texts = &unpack->columns[column];
    uint8_t *base = unpack->raw.data;
    unpack->n_texts = 0;
    while (texts->at < texts->end) {
        const size_t head = (size_t)(texts->at - base);
        const uint64_t len = wr_get_varint(texts);
        if (texts->bad || len > (size_t)(texts->end - texts->at) || unpack->n_texts == unpack->texts_max)
            return wr_unpack_corrupt(unpack, err, "a text is not all there");
        memmove(base + head, texts->at, (size_t)len);
        base[head + len] = 0;
        if (memchr(base + head, 0, (size_t)len))
            return wr_unpack_corrupt(unpack, err, "a text contains a NUL");
        unpack->texts[unpack->n_texts++] = (const char *)base + head;
        texts->at += len;
    }
    return WR_OK;
}
