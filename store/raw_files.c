#include "store/raw_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/heads.h"

#define NAME_BYTES 13 /* 01234567.weir */

bool wr_raw_files_path(char path[WR_RAW_PATH_BYTES], const char *directory, uint32_t number) {
    return snprintf(path, WR_RAW_PATH_BYTES, "%s/" WR_RAW_DIRECTORY "/%08x.weir", directory, number) < WR_RAW_PATH_BYTES;
}

static bool number_of(const char *name, uint32_t *ret_number) {
    char again[NAME_BYTES + 8];
    char *end;
    const unsigned long number = strtoul(name, &end, 16);
    if (end == name || number == 0 || number > WR_RAW_FILE_NUMBER_MAX)
        return false;
    snprintf(again, sizeof again, "%08lx.weir", number);
    *ret_number = (uint32_t)number;
    return strcmp(again, name) == 0;
}

/* Sorted as they come: there are few, and mostly they come in order. */
static void insert(uint32_t numbers[WR_RAW_FILES], uint32_t *n, uint32_t number) {
    uint32_t at = *n;
    while (at > 0 && numbers[at - 1] > number)
        at--;
    if (*n == WR_RAW_FILES) {
        if (at == 0)
            return;
        memmove(numbers, numbers + 1, (at - 1) * sizeof *numbers);
        numbers[at - 1] = number;
        return;
    }
    memmove(numbers + at + 1, numbers + at, (*n - at) * sizeof *numbers);
    numbers[at] = number;
    ++*n;
}

uint32_t wr_raw_files_list(const char *directory, uint32_t numbers[WR_RAW_FILES]) {
    char path[WR_RAW_PATH_BYTES];
    uint32_t n = 0;
    uint32_t number;
    if (snprintf(path, sizeof path, "%s/" WR_RAW_DIRECTORY, directory) >= (int)sizeof path)
        return 0;
    DIR *opened = opendir(path);
    if (!opened)
        return 0;
    for (struct dirent *entry = readdir(opened); entry; entry = readdir(opened))
        if (number_of(entry->d_name, &number))
            insert(numbers, &n, number);
    closedir(opened);
    return n;
}

bool wr_raw_files_head(int fd, uint64_t offset, struct wr_codec_header *ret_header) {
    uint8_t head[WR_CODEC_HEADER_BYTES];
    struct stat status;
    return offset < UINT64_C(1) << WR_RAW_OFFSET_BITS && pread(fd, head, sizeof head, (off_t)offset) == (ssize_t)sizeof head &&
           wr_codec_peek(head, ret_header, NULL) == WR_OK && ret_header->kind == WR_SEGMENT_RAW &&
           ret_header->length >= WR_CODEC_HEADER_BYTES && ret_header->length <= WR_SEGMENT_BODY_MAX && fstat(fd, &status) == 0 &&
           offset + ret_header->length <= (uint64_t)status.st_size;
}

static int open_file(const char *directory, uint32_t number) {
    char path[WR_RAW_PATH_BYTES];
    return wr_raw_files_path(path, directory, number) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* -- heads --------------------------------------------------------------------------------------------------------------------------------- */

struct walking {
    struct wr_heads *times;
    struct wr_history_walk *walk;
    struct wr_segment_head *heads;
    uint32_t n;
    uint32_t looked;
};

static enum wr_result take_head(struct walking *walking, const struct wr_codec_header *header, struct wr_error *err) {
    struct wr_segment_head *head = &walking->heads[walking->n];
    *head = (struct wr_segment_head){.seq = walking->walk->after,
                                     .t0_ns = header->t0_ns,
                                     .t1_ns = header->t1_ns,
                                     .n = header->n,
                                     .body_bytes = header->length,
                                     .lane = WR_LANE_RAW,
                                     .kind = WR_SEGMENT_RAW,
                                     .time_quality = (uint8_t)wr_codec_time_quality(header)};
    if (walking->times)
        WR_TRY(wr_heads_correct(walking->times, header, head, err));
    walking->n += head->t1_ns >= walking->walk->from_ns && head->t0_ns <= walking->walk->to_ns;
    return WR_OK;
}

/* There is no head here: the file ends, or the disk does not give it back. */
static enum wr_result leave_file(struct wr_history_walk *walk, int fd, uint64_t offset) {
    uint8_t byte;
    walk->unreadable += pread(fd, &byte, sizeof byte, (off_t)offset) < 0;
    return WR_OK;
}

/* The heads of a file from walk->after on; where one cannot be read, nobody knows where the next one is. WR_FULL: enough were looked at. */
static enum wr_result walk_file(struct walking *walking, int fd, uint32_t number, struct wr_error *err) {
    struct wr_history_walk *walk = walking->walk;
    struct wr_codec_header header;
    uint64_t offset = 0;
    if (walk->after >= wr_raw_seq(number, 0)) { /* in this file: behind the one that was looked at last */
        offset = wr_raw_seq_offset(walk->after);
        if (!wr_raw_files_head(fd, offset, &header))
            return leave_file(walk, fd, offset);
        offset += header.length;
    }
    for (; wr_raw_files_head(fd, offset, &header); offset += header.length) {
        if (walking->looked == WR_HISTORY_HEADS)
            return WR_FULL;
        walking->looked++;
        walk->after = wr_raw_seq(number, offset);
        WR_TRY(take_head(walking, &header, err));
    }
    return leave_file(walk, fd, offset);
}

enum wr_result wr_raw_files_heads(const char *directory, struct wr_heads *times, struct wr_history_walk *walk,
                                  struct wr_segment_head *heads, uint32_t *ret_n, struct wr_error *err) {
    uint32_t numbers[WR_RAW_FILES];
    const uint32_t n_files = wr_raw_files_list(directory, numbers);
    struct walking walking = {.times = times, .walk = walk, .heads = heads};
    enum wr_result result = WR_OK;
    for (uint32_t i = 0; i < n_files && result == WR_OK; i++) {
        if (walk->after > 0 && numbers[i] < wr_raw_seq_number(walk->after))
            continue;
        const int fd = open_file(directory, numbers[i]);
        if (fd < 0) {
            walk->unreadable += errno != ENOENT; /* else it went meanwhile */
            continue;
        }
        result = walk_file(&walking, fd, numbers[i], err);
        close(fd);
    }
    if (result != WR_OK && result != WR_FULL)
        return result;
    walk->is_over = result == WR_OK;
    *ret_n = walking.n;
    return WR_OK;
}

/* -- bodies -------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result read_body(int fd, int64_t seq, struct wr_segment *ret_segment, struct wr_error *err) {
    struct wr_codec_header header;
    if (!wr_raw_files_head(fd, wr_raw_seq_offset(seq), &header))
        return wr_error_set(err, WR_CORRUPT, "raw readings %lld: there is no segment", (long long)seq);
    uint8_t *body = malloc(header.length);
    if (!body)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a segment of %u bytes", header.length);
    const size_t len = header.length;
    enum wr_result result = WR_CORRUPT;
    if (pread(fd, body, len, (off_t)wr_raw_seq_offset(seq)) == (ssize_t)len)
        result = wr_codec_check(body, len, &header, err);
    else
        result = wr_error_set(err, WR_CORRUPT, "raw readings %lld: not all there", (long long)seq);
    if (result == WR_OK && header.seq != seq)
        result = wr_error_set(err, WR_CORRUPT, "raw readings %lld: they say that they are %lld", (long long)seq, (long long)header.seq);
    if (result != WR_OK) {
        free(body);
        return result;
    }
    *ret_segment = (struct wr_segment){.epoch = header.epoch,
                                       .seq = seq,
                                       .lane = WR_LANE_RAW,
                                       .kind = WR_SEGMENT_RAW,
                                       .n = header.n,
                                       .t0_ns = header.t0_ns,
                                       .t1_ns = header.t1_ns,
                                       .body = body,
                                       .body_len = len};
    return WR_OK;
}

enum wr_result wr_raw_files_body(const char *directory, int64_t seq, struct wr_segment *ret_segment, struct wr_error *err) {
    const int fd = open_file(directory, wr_raw_seq_number(seq));
    if (fd < 0)
        return errno == ENOENT ? wr_error_set(err, WR_NOT_FOUND, "these raw readings are gone")
                               : wr_error_set(err, WR_IO, "raw readings: %s", strerror(errno));
    const enum wr_result result = read_body(fd, seq, ret_segment, err);
    close(fd);
    return result;
}
