/* One record of the key log, in bytes: a list of items, each with its tag.
 *
 *   1  range:    length of the node (1 byte), node, epoch (8, little endian), varint first, varint last - first
 *   2  and then: varint first - last of the range before - 2, varint last - first: another range of the same node and epoch
 *   3  file:     length of the instance (1 byte), instance, kind (1 byte), varint number, varint committed length
 *
 * Promise: any bytes are read without harm; what wr_key_record_range and _file wrote is read back as it was.
 * Threads: none. Errors: those of wr_buf; a reader that meets something else than items sets `bad` and ends.
 */
#ifndef WEIR_AGENT_RECEIVE_KEY_RECORD_H
#define WEIR_AGENT_RECEIVE_KEY_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/receive/message.h"
#include "core/buf.h"
#include "store/column.h"

/* How far an instance has written: what stands behind `length` in that file was never committed. */
struct wr_key_file {
    char instance[WR_MESSAGE_NAME_BYTES];
    uint8_t kind; /* enum wr_message_kind */
    uint64_t number;
    uint64_t length;
};

struct wr_key_item {
    bool is_file;
    char node[WR_MESSAGE_NAME_BYTES]; /* a range */
    uint64_t epoch;
    int64_t first; /* above 0 */
    int64_t last;
    struct wr_key_file file;
};

struct wr_key_record_writer {
    struct wr_buf *into;
    char node[WR_MESSAGE_NAME_BYTES]; /* of the range before; "": none */
    uint64_t epoch;
    int64_t last;
};

void wr_key_record_begin(struct wr_key_record_writer *writer, struct wr_buf *into);
/* Ranges of one stream come in rising order, not touching. */
WR_MUST_USE enum wr_result wr_key_record_range(struct wr_key_record_writer *writer, const char *node, uint64_t epoch, int64_t first,
                                               int64_t last);
WR_MUST_USE enum wr_result wr_key_record_file(struct wr_key_record_writer *writer, const struct wr_key_file *file);

struct wr_key_record_reader {
    struct wr_cursor cursor;
    struct wr_key_item item;
    bool ranged; /* item holds a range */
};

void wr_key_record_read(struct wr_key_record_reader *reader, const uint8_t *bytes, size_t len);
/* The next item in reader->item; false at the end, or where the record is bad (cursor.bad). */
bool wr_key_record_next(struct wr_key_record_reader *reader);

#endif
