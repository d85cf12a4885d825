/* Zone files: TZif. */
#include <stdlib.h>
#include <string.h>

#include "core/timezone_private.h"

#define HEAD_BYTES 44
#define TYPE_BYTES 6
#define RULE_BYTES 128

/* One block of a file: what its head counts, and where its parts stand. */
struct block {
    size_t leaps;
    size_t times;
    size_t types;
    const uint8_t *data;
    const uint8_t *end;
};

static int64_t big_endian(const uint8_t *p, size_t bytes) {
    uint64_t value = p[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

static bool read_head(const uint8_t *p, size_t len, size_t time_bytes, struct block *block) {
    if (len < HEAD_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    size_t count[6]; /* UTC flags, standard flags, leap seconds, times, types, letters */
    for (size_t i = 0; i < 6; i++) {
        const int64_t n = big_endian(p + 20 + 4 * i, 4);
        if (n < 0 || n > WR_TIMEZONE_FILE_BYTES)
            return false;
        count[i] = (size_t)n;
    }
    *block = (struct block){.leaps = count[2], .times = count[3], .types = count[4], .data = p + HEAD_BYTES};
    const size_t bytes =
        block->times * (time_bytes + 1) + block->types * TYPE_BYTES + count[5] + block->leaps * (time_bytes + 4) + count[1] + count[0];
    if (block->types > WR_TIMEZONE_TYPES || len - HEAD_BYTES < bytes)
        return false;
    block->end = block->data + bytes;
    return true;
}

static enum wr_result corrupt(struct wr_error *err) {
    return wr_error_set(err, WR_CORRUPT, "not a time zone file");
}

static enum wr_result read_block(struct wr_timezone *zone, const struct block *block, size_t time_bytes, struct wr_error *err) {
    const uint8_t *indexes = block->data + block->times * time_bytes;
    const uint8_t *types = indexes + block->times;
    if (block->types == 0)
        return corrupt(err);
    if (block->leaps > 0)
        return wr_error_set(err, WR_UNSUPPORTED, "it counts leap seconds: take the zone without right/ before its name");
    zone->at_s = calloc(block->times + 1, sizeof *zone->at_s);
    zone->type = calloc(block->times + 1, 1);
    if (!zone->at_s || !zone->type)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a time zone");
    zone->n = block->times;
    for (size_t i = 0; i < block->types; i++) {
        const int64_t offset_s = big_endian(types + TYPE_BYTES * i, 4);
        if (offset_s < -WR_TIMEZONE_OFFSET_MAX_S || offset_s > WR_TIMEZONE_OFFSET_MAX_S)
            return corrupt(err);
        zone->offset_s[i] = (int32_t)offset_s;
    }
    for (size_t i = 0; i < block->times; i++) {
        zone->at_s[i] = big_endian(block->data + time_bytes * i, time_bytes);
        zone->type[i] = indexes[i];
        if (indexes[i] >= block->types || (i > 0 && zone->at_s[i] <= zone->at_s[i - 1]))
            return corrupt(err);
    }
    return WR_OK;
}

static bool read_rule(struct wr_timezone *zone, const uint8_t *footer, size_t len) {
    const uint8_t *end = len > 1 && footer[0] == '\n' ? memchr(footer + 1, '\n', len - 1) : NULL;
    char text[RULE_BYTES];
    if (!end || (size_t)(end - footer) > sizeof text)
        return false;
    const size_t text_len = (size_t)(end - footer) - 1;
    memcpy(text, footer + 1, text_len);
    text[text_len] = '\0';
    return wr_timezone_rule_parse(&zone->rule, text);
}

/* Version 1 has one block, of 32-bit times; later ones have a second one, of 64-bit times, and the rule behind it. */
static enum wr_result read_file(struct wr_timezone *zone, const uint8_t *bytes, size_t len, struct wr_error *err) {
    struct block block;
    if (!read_head(bytes, len, 4, &block))
        return corrupt(err);
    if (bytes[4] == '\0')
        return read_block(zone, &block, 4, err);
    const uint8_t *second = block.end;
    if (bytes[4] < '2' || !read_head(second, len - (size_t)(second - bytes), 8, &block))
        return corrupt(err);
    WR_TRY(read_block(zone, &block, 8, err));
    return read_rule(zone, block.end, len - (size_t)(block.end - bytes)) ? WR_OK : corrupt(err);
}

enum wr_result wr_timezone_parse(const uint8_t *bytes, size_t len, struct wr_timezone **ret_zone, struct wr_error *err) {
    struct wr_timezone *zone = calloc(1, sizeof *zone);
    if (!zone)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a time zone");
    const enum wr_result result = read_file(zone, bytes, len, err);
    if (result != WR_OK) {
        wr_timezone_free(zone);
        return result;
    }
    *ret_zone = zone;
    return WR_OK;
}

size_t wr_timezone_bytes(const struct wr_timezone *zone) {
    return zone ? sizeof *zone + (zone->n + 1) * (sizeof *zone->at_s + 1) : 0;
}

void wr_timezone_free(struct wr_timezone *zone) {
    if (!zone)
        return;
    free(zone->at_s);
    free(zone->type);
    free(zone);
}
