#include "agent/receive/key_log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "store/crc32c.h"

#define MAGIC "WEIRKEY1"
#define MAGIC_BYTES 8
#define HEAD_BYTES 8
#define LOCK_WAIT_NS (10 * WR_NS_PER_S)
#define READ_BYTES (64u << 10)

static enum wr_result failed(const struct wr_key_log *log, const char *what, struct wr_error *err) {
    return wr_error_set(err, errno == ENOSPC || errno == EDQUOT ? WR_FULL : WR_IO, "%s/keys: %s: %s", log->directory, what,
                        strerror(errno));
}

/* -- in memory ----------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result put_file(struct wr_key_log *log, const struct wr_key_file *file) {
    for (size_t i = 0; i < log->n_files; i++)
        if (log->files[i].kind == file->kind && strcmp(log->files[i].instance, file->instance) == 0) {
            log->files[i] = *file;
            return WR_OK;
        }
    if (log->n_files == WR_KEY_LOG_FILES)
        return WR_LIMIT;
    if (!log->files && !(log->files = calloc(WR_KEY_LOG_FILES, sizeof *log->files)))
        return WR_NO_MEMORY;
    log->files[log->n_files++] = *file;
    return WR_OK;
}

/* Takes a record in. Doing so twice is harmless. */
static enum wr_result apply(struct wr_key_log *log, const uint8_t *payload, size_t len, struct wr_error *err) {
    struct wr_key_record_reader reader;
    wr_key_record_read(&reader, payload, len);
    while (wr_key_record_next(&reader)) {
        const struct wr_key_item *item = &reader.item;
        const enum wr_result result =
            item->is_file ? put_file(log, &item->file) : wr_key_set_add(&log->set, item->node, item->epoch, item->first, item->last);
        if (result == WR_LIMIT)
            return wr_error_set(err, WR_LIMIT, "%s/keys: more than %u ranges of keys, or %u files: too many segments are missing",
                                log->directory, WR_KEY_SET_RANGES, WR_KEY_LOG_FILES);
        if (result != WR_OK)
            return wr_error_set(err, result, "%s/keys: %s", log->directory, wr_result_name(result));
    }
    if (reader.cursor.bad)
        return wr_error_set(err, WR_CORRUPT, "%s/keys: the record at byte %llu is no record of this version", log->directory,
                            (unsigned long long)log->offset);
    return WR_OK;
}

static void forget(struct wr_key_log *log) {
    wr_key_set_fini(&log->set);
    free(log->files);
    log->files = NULL;
    log->n_files = 0;
    log->offset = 0;
    log->compacted = 0;
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

/* -- reading --------------------------------------------------------------------------------------------------------------------------------- */

/* Everything from byte `from` on into the buffer. */
static enum wr_result read_rest(struct wr_key_log *log, uint64_t from, struct wr_error *err) {
    if (lseek(log->fd, (off_t)from, SEEK_SET) < 0)
        return failed(log, "seek", err);
    wr_buf_clear(&log->buffer);
    for (;;) {
        if (wr_buf_reserve(&log->buffer, READ_BYTES) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "%s/keys: no memory to read it", log->directory);
        const ssize_t n = read(log->fd, log->buffer.data + log->buffer.len, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(log, "read", err);
        if (n == 0)
            return WR_OK;
        log->buffer.len += (size_t)n;
    }
}

static uint32_t get32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return le32toh(value);
}

/* The length of the whole record at p, 0: there is none. */
static size_t record_at(const uint8_t *p, size_t left) {
    if (left < HEAD_BYTES)
        return 0;
    const size_t len = get32(p);
    if (len == 0 || len > left - HEAD_BYTES || wr_crc32c(0, p + HEAD_BYTES, len) != get32(p + 4))
        return 0;
    return HEAD_BYTES + len;
}

/* Behind a record that is not whole nothing whole may come: a crash leaves no such thing. */
static bool is_tail(const uint8_t *p, size_t left) {
    for (size_t at = 1; at < left; at++)
        if (record_at(p + at, left - at) > HEAD_BYTES)
            return false;
    return true;
}

/* Takes up what was appended since; cuts off a tail that is not whole. */
static enum wr_result catch_up(struct wr_key_log *log, struct wr_error *err) {
    WR_TRY(read_rest(log, log->offset, err));
    size_t at = 0;
    for (size_t len; (len = record_at(log->buffer.data + at, log->buffer.len - at)) > 0; at += len) {
        WR_TRY(apply(log, log->buffer.data + at + HEAD_BYTES, len - HEAD_BYTES, err));
        log->offset += len;
    }
    if (at == log->buffer.len)
        return WR_OK;
    if (!is_tail(log->buffer.data + at, log->buffer.len - at))
        return wr_error_set(err, WR_CORRUPT, "%s/keys: damaged at byte %llu, with good records behind it; see docs/receive.md",
                            log->directory, (unsigned long long)log->offset);
    if (ftruncate(log->fd, (off_t)log->offset) != 0 || fdatasync(log->fd) != 0)
        return failed(log, "cutting off the tail", err);
    return WR_OK;
}

/* -- writing ----------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result write_all(const struct wr_key_log *log, int fd, const uint8_t *bytes, size_t len, struct wr_error *err) {
    while (len > 0) {
        const ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(log, "write", err);
        bytes += n;
        len -= (size_t)n;
    }
    return WR_OK;
}

/* The head of a record, over the room that was left for it at `at`. */
static void seal(struct wr_buf *buffer, size_t at) {
    const uint32_t len = htole32((uint32_t)(buffer->len - at - HEAD_BYTES));
    const uint32_t crc = htole32(wr_crc32c(0, buffer->data + at + HEAD_BYTES, buffer->len - at - HEAD_BYTES));
    memcpy(buffer->data + at, &len, sizeof len);
    memcpy(buffer->data + at + 4, &crc, sizeof crc);
}

static enum wr_result open_record(struct wr_buf *buffer, size_t *ret_at) {
    static const uint8_t room[HEAD_BYTES];
    *ret_at = buffer->len;
    return wr_buf_append(buffer, room, sizeof room);
}

/* All that is known, as a file: magic and records of bounded length. */
static enum wr_result snapshot(struct wr_key_log *log) {
    struct wr_buf *buffer = &log->buffer;
    struct wr_key_record_writer writer;
    size_t at;
    wr_buf_clear(buffer);
    WR_TRY(wr_buf_append(buffer, MAGIC, MAGIC_BYTES));
    WR_TRY(open_record(buffer, &at));
    wr_key_record_begin(&writer, buffer);
    for (size_t i = 0; i < log->set.n; i++)
        for (size_t r = 0; r < log->set.streams[i].n; r++) {
            const struct wr_key_stream *stream = &log->set.streams[i];
            WR_TRY(wr_key_record_range(&writer, stream->node, stream->epoch, stream->ranges[r].first, stream->ranges[r].last));
            if (buffer->len - at < WR_KEY_RECORD_BYTES / 2)
                continue;
            seal(buffer, at);
            WR_TRY(open_record(buffer, &at));
            wr_key_record_begin(&writer, buffer);
        }
    for (size_t i = 0; i < log->n_files; i++)
        WR_TRY(wr_key_record_file(&writer, &log->files[i]));
    if (buffer->len == at + HEAD_BYTES)
        buffer->len = at;
    else
        seal(buffer, at);
    return WR_OK;
}

/* Writes `keys` anew beside, and renames it over the old one. */
static enum wr_result write_anew(struct wr_key_log *log, struct wr_error *err) {
    if (snapshot(log) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "%s/keys: no memory to write it anew", log->directory);
    const int fd = openat(log->directory_fd, "keys.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return failed(log, "keys.new", err);
    enum wr_result result = write_all(log, fd, log->buffer.data, log->buffer.len, err);
    if (result == WR_OK && fdatasync(fd) != 0)
        result = failed(log, "sync of keys.new", err);
    if (result == WR_OK && renameat(log->directory_fd, "keys.new", log->directory_fd, "keys") != 0)
        result = failed(log, "rename of keys.new", err);
    if (result == WR_OK && fdatasync(log->directory_fd) != 0)
        result = failed(log, "sync of the directory", err);
    if (result != WR_OK) {
        close(fd);
        return result;
    }
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->offset = log->buffer.len;
    log->compacted = log->offset;
    return WR_OK;
}

/* -- the lock --------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result open_keys(struct wr_key_log *log, struct wr_error *err) {
    char magic[MAGIC_BYTES];
    log->fd = openat(log->directory_fd, "keys", O_RDWR | O_CLOEXEC);
    if (log->fd < 0)
        return errno == ENOENT ? write_anew(log, err) : failed(log, "open", err);
    ssize_t n;
    do
        n = read(log->fd, magic, sizeof magic);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return failed(log, "read", err);
    if (n != MAGIC_BYTES || memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
        return wr_error_set(err, WR_CORRUPT, "%s/keys: this is no key log; see docs/receive.md", log->directory);
    log->offset = MAGIC_BYTES;
    return WR_OK;
}

static bool was_replaced(const struct wr_key_log *log) {
    struct stat open;
    struct stat named;
    return fstat(log->fd, &open) != 0 || fstatat(log->directory_fd, "keys", &named, 0) != 0 || open.st_ino != named.st_ino ||
           open.st_dev != named.st_dev;
}

enum wr_result wr_key_log_lock(struct wr_key_log *log, struct wr_error *err) {
    const int64_t deadline = wr_clock_boot_ns(wr_clock_real()) + LOCK_WAIT_NS;
    while (flock(log->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return failed(log, "lock", err);
        if (wr_clock_boot_ns(wr_clock_real()) > deadline)
            return wr_error_set(err, WR_BUSY, "%s: another instance holds the lock for more than ten seconds", log->directory);
        nanosleep(&(struct timespec){.tv_nsec = 2 * WR_NS_PER_MS}, NULL);
    }
    log->locked = true;
    if (log->fd >= 0 && was_replaced(log))
        forget(log);
    enum wr_result result = log->fd < 0 ? open_keys(log, err) : WR_OK;
    if (result == WR_OK)
        result = catch_up(log, err);
    if (result != WR_OK) {
        forget(log);
        wr_key_log_unlock(log);
    }
    return result;
}

void wr_key_log_unlock(struct wr_key_log *log) {
    if (log->locked)
        (void)flock(log->lock_fd, LOCK_UN);
    log->locked = false;
}

enum wr_result wr_key_log_open(struct wr_key_log *log, const char *directory, struct wr_error *err) {
    *log = (struct wr_key_log){.directory_fd = -1, .lock_fd = -1, .fd = -1};
    wr_key_set_init(&log->set);
    wr_buf_init(&log->buffer, 0);
    log->directory = strdup(directory);
    if (!log->directory)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the key log");
    if (mkdir(directory, 0750) != 0 && errno != EEXIST)
        return wr_error_set(err, WR_IO, "%s: %s", directory, strerror(errno));
    log->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->directory_fd < 0)
        return wr_error_set(err, WR_IO, "%s: %s", directory, strerror(errno));
    log->lock_fd = openat(log->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (log->lock_fd < 0)
        return failed(log, "lock", err);
    WR_TRY(wr_key_log_lock(log, err));
    wr_key_log_unlock(log);
    return WR_OK;
}

void wr_key_log_close(struct wr_key_log *log) {
    forget(log);
    if (log->lock_fd >= 0)
        close(log->lock_fd);
    if (log->directory_fd >= 0)
        close(log->directory_fd);
    wr_buf_fini(&log->buffer);
    free(log->directory);
    log->directory = NULL;
    log->lock_fd = log->directory_fd = -1;
    log->locked = false;
}

/* -- use ------------------------------------------------------------------------------------------------------------------------------------------ */

bool wr_key_log_has(const struct wr_key_log *log, const struct wr_message_key *key) {
    return wr_key_set_has(&log->set, key->node, key->epoch, key->seq);
}

const struct wr_key_file *wr_key_log_file(const struct wr_key_log *log, const char *instance, enum wr_message_kind kind) {
    for (size_t i = 0; i < log->n_files; i++)
        if (log->files[i].kind == kind && strcmp(log->files[i].instance, instance) == 0)
            return &log->files[i];
    return NULL;
}

static int compare_keys(const void *a, const void *b) {
    const struct wr_message_key *one = a;
    const struct wr_message_key *two = b;
    const int by_node = strcmp(one->node, two->node);
    if (by_node != 0)
        return by_node;
    if (one->epoch != two->epoch)
        return one->epoch < two->epoch ? -1 : 1;
    return one->seq < two->seq ? -1 : one->seq > two->seq;
}

/* Sorted keys as ranges, and the files. */
static enum wr_result write_record(struct wr_buf *buffer, const struct wr_message_key *keys, size_t n, const struct wr_key_file *files,
                                   size_t n_files) {
    struct wr_key_record_writer writer;
    size_t at;
    WR_TRY(open_record(buffer, &at));
    wr_key_record_begin(&writer, buffer);
    for (size_t from = 0; from < n;) {
        size_t to = from + 1;
        while (to < n && strcmp(keys[to].node, keys[from].node) == 0 && keys[to].epoch == keys[from].epoch &&
               keys[to].seq <= keys[to - 1].seq + 1)
            to++;
        WR_TRY(wr_key_record_range(&writer, keys[from].node, keys[from].epoch, keys[from].seq, keys[to - 1].seq));
        from = to;
    }
    for (size_t i = 0; i < n_files; i++)
        WR_TRY(wr_key_record_file(&writer, &files[i]));
    seal(buffer, at);
    return WR_OK;
}

/* Appends what is in the buffer. A failure takes back what was written of it; if even that fails, the next lock reads what is there. */
static enum wr_result append(struct wr_key_log *log, struct wr_error *err) {
    if (lseek(log->fd, (off_t)log->offset, SEEK_SET) < 0)
        return failed(log, "seek", err);
    enum wr_result result = write_all(log, log->fd, log->buffer.data, log->buffer.len, err);
    if (result == WR_OK && fdatasync(log->fd) != 0)
        result = failed(log, "sync", err);
    if (result != WR_OK && ftruncate(log->fd, (off_t)log->offset) != 0)
        forget(log);
    return result;
}

enum wr_result wr_key_log_commit(struct wr_key_log *log, const struct wr_message_key *keys, size_t n, const struct wr_key_file *files,
                                 size_t n_files, struct wr_error *err) {
    struct wr_message_key *sorted = malloc((n + 1) * sizeof *sorted);
    wr_buf_clear(&log->buffer);
    enum wr_result result = sorted ? WR_OK : WR_NO_MEMORY;
    if (result == WR_OK) {
        if (n > 0)
            memcpy(sorted, keys, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_keys);
        result = write_record(&log->buffer, sorted, n, files, n_files);
    }
    free(sorted);
    if (result != WR_OK)
        return wr_error_set(err, result, "%s/keys: no memory for a record", log->directory);
    if (log->buffer.len <= HEAD_BYTES)
        return WR_OK;
    WR_TRY(append(log, err));
    WR_TRY(apply(log, log->buffer.data + HEAD_BYTES, log->buffer.len - HEAD_BYTES, err));
    log->offset += log->buffer.len;
    if (log->offset > 2 * log->compacted + WR_KEY_LOG_SLACK_BYTES) {
        struct wr_error ignored; /* it is only longer than need be: tried again at the next commit */
        (void)write_anew(log, &ignored);
    }
    return WR_OK;
}
