#include <endian.h>
#include <string.h>

#include "store/codec_format.h"
#include "store/crc32c.h"

const int64_t wr_time_units[WR_TIME_UNITS] = {1, 1000, 1000000, 1000000000};

/*  0 magic 4 | 4 version 1 | 5 kind 1 | 6 lane 1 | 7 flags 1 | 8 length 4 | 12 crc 4 | 16 epoch 8 | 24 seq 8 | 32 n 4 | 36 raw length 4
 * 40 t0 8 | 48 t1 8 | 56 boot time 8 | 64 wall time 8 | 72 boot id 16 | 88 bits length 4 | 92 reserved 4 | 96 payload */

#define FLAG_TRUSTED 1
#define FLAG_MOVED 2

static void put32(uint8_t *p, uint32_t value) {
    value = htole32(value);
    memcpy(p, &value, sizeof value);
}

static void put64(uint8_t *p, uint64_t value) {
    value = htole64(value);
    memcpy(p, &value, sizeof value);
}

static uint32_t get32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return le64toh(value);
}

static uint32_t body_crc(const uint8_t *body, size_t len) {
    static const uint8_t zero[4];
    uint32_t crc = wr_crc32c(0, body, WR_CODEC_CRC_AT);
    crc = wr_crc32c(crc, zero, sizeof zero);
    return wr_crc32c(crc, body + WR_CODEC_CRC_AT + 4, len - WR_CODEC_CRC_AT - 4);
}

void wr_codec_header_write(uint8_t *body, size_t len, struct wr_codec_header *header) {
    header->version = header->kind == WR_SEGMENT_RAW ? WR_CODEC_RAW_VERSION : WR_CODEC_VERSION;
    header->length = (uint32_t)len;
    memset(body, 0, WR_CODEC_HEADER_BYTES);
    memcpy(body, WR_CODEC_MAGIC, 4);
    body[4] = header->version;
    body[5] = header->kind;
    body[6] = header->lane;
    body[7] = (uint8_t)((header->wall_trusted ? FLAG_TRUSTED : 0) | (header->times_moved ? FLAG_MOVED : 0));
    put32(body + 8, header->length);
    put64(body + 16, header->epoch);
    put64(body + 24, (uint64_t)header->seq);
    put32(body + 32, header->n);
    put32(body + 36, header->raw_len);
    put64(body + 40, (uint64_t)header->t0_ns);
    put64(body + 48, (uint64_t)header->t1_ns);
    put64(body + 56, (uint64_t)header->boot_ns);
    put64(body + 64, (uint64_t)header->wall_ns);
    memcpy(body + 72, header->boot_id, sizeof header->boot_id);
    put32(body + 88, header->bits_len);
    header->crc = body_crc(body, len);
    put32(body + WR_CODEC_CRC_AT, header->crc);
}

enum wr_time_quality wr_codec_time_quality(const struct wr_codec_header *header) {
    if (!header->wall_trusted)
        return WR_TIME_UNTRUSTED;
    return header->times_moved ? WR_TIME_CORRECTED : WR_TIME_TRUSTED;
}

static enum wr_result check_version(const uint8_t *head, struct wr_error *err) {
    const unsigned most = head[5] == WR_SEGMENT_RAW ? WR_CODEC_RAW_VERSION : WR_CODEC_VERSION;
    if (head[4] >= WR_CODEC_VERSION && head[4] <= most)
        return WR_OK;
    return wr_error_set(err, WR_UNSUPPORTED, "segment format version %u, this program reads %u", head[4], most);
}

enum wr_result wr_codec_peek(const uint8_t *head, struct wr_codec_header *ret_header, struct wr_error *err) {
    if (memcmp(head, WR_CODEC_MAGIC, 4) != 0)
        return wr_error_set(err, WR_CORRUPT, "not a segment: its magic is missing");
    WR_TRY(check_version(head, err));
    struct wr_codec_header header = {
        .version = head[4],
        .kind = head[5],
        .lane = head[6],
        .wall_trusted = (head[7] & FLAG_TRUSTED) != 0,
        .times_moved = (head[7] & FLAG_MOVED) != 0,
        .length = get32(head + 8),
        .crc = get32(head + WR_CODEC_CRC_AT),
        .epoch = get64(head + 16),
        .seq = (int64_t)get64(head + 24),
        .n = get32(head + 32),
        .raw_len = get32(head + 36),
        .bits_len = get32(head + 88),
        .t0_ns = (int64_t)get64(head + 40),
        .t1_ns = (int64_t)get64(head + 48),
        .boot_ns = (int64_t)get64(head + 56),
        .wall_ns = (int64_t)get64(head + 64),
    };
    memcpy(header.boot_id, head + 72, sizeof header.boot_id);
    const uint32_t n_max = header.kind == WR_SEGMENT_RAW ? WR_SEGMENT_READINGS : WR_SEGMENT_RECORDS;
    if (header.kind < WR_SEGMENT_AGGREGATES || header.kind > WR_SEGMENT_RAW || header.lane >= WR_LANES || header.n == 0 ||
        header.n > n_max || header.raw_len > WR_CODEC_RAW_MAX)
        return wr_error_set(err, WR_CORRUPT, "segment %lld: kind %u, lane %u, %u records, %u bytes", (long long)header.seq, header.kind,
                            header.lane, header.n, header.raw_len);
    *ret_header = header;
    return WR_OK;
}

enum wr_result wr_codec_check(const uint8_t *body, size_t len, struct wr_codec_header *ret_header, struct wr_error *err) {
    struct wr_codec_header header;
    if (len < WR_CODEC_HEADER_BYTES || len > WR_SEGMENT_BODY_MAX || memcmp(body, WR_CODEC_MAGIC, 4) != 0)
        return wr_error_set(err, WR_CORRUPT, "not a segment: %zu bytes without its magic", len);
    WR_TRY(check_version(body, err));
    const uint32_t length = get32(body + 8);
    const int64_t seq = (int64_t)get64(body + 24);
    if (length != len)
        return wr_error_set(err, WR_CORRUPT, "segment of %zu bytes says that it has %u", len, length);
    const uint32_t crc = body_crc(body, len);
    if (crc != get32(body + WR_CODEC_CRC_AT))
        return wr_error_set(err, WR_CORRUPT, "segment %lld: CRC is %08x, should be %08x", (long long)seq, crc,
                            get32(body + WR_CODEC_CRC_AT));
    WR_TRY(wr_codec_peek(body, &header, err));
    *ret_header = header;
    return WR_OK;
}
