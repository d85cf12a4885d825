#include "agent/receive/key_record.h"

#include <endian.h>
#include <string.h>

enum { TAG_RANGE = 1, TAG_AND_THEN = 2, TAG_FILE = 3 };

void wr_key_record_begin(struct wr_key_record_writer *writer, struct wr_buf *into) {
    *writer = (struct wr_key_record_writer){.into = into};
}

static uint8_t *put_name(uint8_t *p, const char *name) {
    const size_t len = strlen(name);
    *p++ = (uint8_t)len;
    memcpy(p, name, len);
    return p + len;
}

enum wr_result wr_key_record_range(struct wr_key_record_writer *writer, const char *node, uint64_t epoch, int64_t first, int64_t last) {
    uint8_t bytes[WR_MESSAGE_NAME_BYTES + 32];
    uint8_t *p = bytes;
    if (writer->node[0] != '\0' && strcmp(writer->node, node) == 0 && writer->epoch == epoch && first >= writer->last + 2) {
        *p++ = TAG_AND_THEN;
        p = wr_put_varint(p, (uint64_t)(first - writer->last - 2));
    } else {
        const uint64_t little = htole64(epoch);
        *p++ = TAG_RANGE;
        p = put_name(p, node);
        memcpy(p, &little, sizeof little);
        p = wr_put_varint(p + sizeof little, (uint64_t)first);
    }
    p = wr_put_varint(p, (uint64_t)(last - first));
    WR_TRY(wr_buf_append(writer->into, bytes, (size_t)(p - bytes)));
    memcpy(writer->node, node, strlen(node) + 1);
    writer->epoch = epoch;
    writer->last = last;
    return WR_OK;
}

enum wr_result wr_key_record_file(struct wr_key_record_writer *writer, const struct wr_key_file *file) {
    uint8_t bytes[WR_MESSAGE_NAME_BYTES + 32];
    uint8_t *p = bytes;
    *p++ = TAG_FILE;
    p = put_name(p, file->instance);
    *p++ = file->kind;
    p = wr_put_varint(p, file->number);
    p = wr_put_varint(p, file->length);
    return wr_buf_append(writer->into, bytes, (size_t)(p - bytes));
}

void wr_key_record_read(struct wr_key_record_reader *reader, const uint8_t *bytes, size_t len) {
    *reader = (struct wr_key_record_reader){.cursor = {.at = bytes, .end = bytes + len}};
}

static bool get_name(struct wr_cursor *cursor, char *name) {
    const size_t len = wr_get_byte(cursor);
    if (cursor->bad || len == 0 || len >= WR_MESSAGE_NAME_BYTES || len > (size_t)(cursor->end - cursor->at) || memchr(cursor->at, 0, len))
        return false;
    memcpy(name, cursor->at, len);
    name[len] = '\0';
    cursor->at += len;
    return true;
}

/* first = after + distance, last = first + length: within what a seq can be. */
static bool get_range(struct wr_key_record_reader *reader, int64_t after) {
    struct wr_key_item *item = &reader->item;
    const uint64_t distance = wr_get_varint(&reader->cursor);
    const uint64_t length = wr_get_varint(&reader->cursor);
    if (reader->cursor.bad || distance > (uint64_t)(INT64_MAX - after) || length > (uint64_t)(INT64_MAX - after) - distance)
        return false;
    item->is_file = false;
    item->first = after + (int64_t)distance;
    item->last = item->first + (int64_t)length;
    return item->first > 0;
}

static bool get_stream(struct wr_key_record_reader *reader) {
    struct wr_cursor *cursor = &reader->cursor;
    uint64_t little;
    if (!get_name(cursor, reader->item.node) || (size_t)(cursor->end - cursor->at) < sizeof little)
        return false;
    memcpy(&little, cursor->at, sizeof little);
    cursor->at += sizeof little;
    reader->item.epoch = le64toh(little);
    reader->ranged = true;
    return get_range(reader, 0);
}

static bool get_file(struct wr_key_record_reader *reader) {
    struct wr_key_file *file = &reader->item.file;
    reader->item.is_file = true;
    if (!get_name(&reader->cursor, file->instance))
        return false;
    file->kind = wr_get_byte(&reader->cursor);
    file->number = wr_get_varint(&reader->cursor);
    file->length = wr_get_varint(&reader->cursor);
    return !reader->cursor.bad && file->kind <= WR_MESSAGE_LIST;
}

bool wr_key_record_next(struct wr_key_record_reader *reader) {
    struct wr_cursor *cursor = &reader->cursor;
    if (cursor->bad || cursor->at == cursor->end)
        return false;
    bool good = false;
    switch (wr_get_byte(cursor)) {
    case TAG_RANGE:
        good = get_stream(reader);
        break;
    case TAG_AND_THEN:
        good = reader->ranged && reader->item.last <= INT64_MAX - 2 && get_range(reader, reader->item.last + 2);
        break;
    case TAG_FILE:
        good = get_file(reader);
        break;
    default:
        break;
    }
    cursor->bad = cursor->bad || !good;
    return good;
}
