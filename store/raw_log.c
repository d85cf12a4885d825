#include "store/raw_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/raw_codec.h"
#include "store/raw_files.h"

#define PARTS 16                           /* of the whole, and of the age, that a file has at most: what goes at once */
#define PAGE_BYTES 4096                    /* of the system's cache: what it writes is whole */
#define FILE_BYTES_MAX (UINT64_C(8) << 20) /* so that offsets fit into a seq */

struct file {
    uint32_t number;
    uint64_t bytes;
    int64_t newest_wall_ns; /* when it was appended to last */
    int64_t newest_boot_ns; /* the same; INT64_MAX: in an earlier run */
    bool undated;           /* newest_wall_ns is of a clock that was not trusted: it is dated as soon as one is */
};

struct wr_raw_log {
    struct wr_raw_log_options options;
    struct wr_raw_encoder *encoder; /* NULL: not yet */
    bool listed;
    int fd; /* of the last file; -1: none is open, the next put begins one */
    int64_t since_wall_ns;
    bool times_moved; /* of what is put */
    uint32_t next_number;
    uint32_t n_files;
    struct file files[WR_RAW_FILES]; /* oldest first */
    struct wr_raw_log_stats stats;
};

enum wr_result wr_raw_log_new(const struct wr_raw_log_options *options, struct wr_raw_log **ret_log, struct wr_error *err) {
    struct wr_raw_log *log = calloc(1, sizeof *log);
    char *directory = strdup(options->directory);
    if (!log || !directory) {
        free(log);
        free(directory);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for raw readings");
    }
    log->options = *options;
    log->options.directory = directory;
    log->fd = -1;
    log->next_number = 1;
    *ret_log = log;
    return WR_OK;
}

void wr_raw_log_free(struct wr_raw_log *log) {
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    wr_raw_encoder_free(log->encoder);
    free((char *)log->options.directory);
    free(log);
}

const struct wr_raw_log_stats *wr_raw_log_stats(const struct wr_raw_log *log) {
    return &log->stats;
}

size_t wr_raw_log_memory(void) {
    return sizeof(struct wr_raw_log) + wr_raw_encoder_bytes();
}

static void add(_Atomic uint64_t *number, uint64_t more) {
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

void wr_raw_log_missed(struct wr_raw_log *log, uint64_t readings) {
    add(&log->stats.missed, readings);
}

/* -- files --------------------------------------------------------------------------------------------------------------------------------- */

static void end_file(struct wr_raw_log *log) {
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static bool is_undated(const char *path) {
    struct wr_codec_header header;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool undated = fd >= 0 && wr_raw_files_head(fd, 0, &header) && !header.wall_trusted;
    if (fd >= 0)
        close(fd);
    return undated;
}

/* By a clock that is trusted: what was written before it was. Nobody knows when that was in an earlier run: not later than now. */
static void date_files(struct wr_raw_log *log, const struct wr_now *now) {
    for (uint32_t i = 0; i < log->n_files; i++) {
        struct file *file = &log->files[i];
        if (!file->undated)
            continue;
        file->newest_wall_ns = file->newest_boot_ns == INT64_MAX ? now->wall_ns : now->wall_ns - (now->boot_ns - file->newest_boot_ns);
        file->undated = false;
    }
}

/* What earlier runs have left. Their ends may be torn: nothing is appended to them. */
static void list_files(struct wr_raw_log *log) {
    uint32_t numbers[WR_RAW_FILES];
    const uint32_t n = wr_raw_files_list(log->options.directory, numbers);
    log->n_files = 0;
    for (uint32_t i = 0; i < n; i++) {
        char path[WR_RAW_PATH_BYTES];
        struct stat status;
        log->next_number = numbers[i] + 1;
        if (!wr_raw_files_path(path, log->options.directory, numbers[i]) || stat(path, &status) < 0)
            continue;
        log->files[log->n_files++] = (struct file){.number = numbers[i],
                                                   .bytes = (uint64_t)status.st_size,
                                                   .newest_wall_ns = (int64_t)status.st_mtim.tv_sec * WR_NS_PER_S + status.st_mtim.tv_nsec,
                                                   .newest_boot_ns = INT64_MAX,
                                                   .undated = is_undated(path)};
        add(&log->stats.bytes, (uint64_t)status.st_size);
    }
    log->listed = true;
}

static uint64_t count_readings(const char *path) {
    struct wr_codec_header header;
    uint64_t readings = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (uint64_t offset = 0; wr_raw_files_head(fd, offset, &header); offset += header.length)
        readings += header.n;
    close(fd);
    return readings;
}

/* False: there is none, or it cannot be removed. */
static bool remove_oldest(struct wr_raw_log *log, _Atomic uint64_t *counter) {
    char path[WR_RAW_PATH_BYTES];
    if (log->n_files == 0 || !wr_raw_files_path(path, log->options.directory, log->files[0].number))
        return false;
    const uint64_t readings = count_readings(path);
    if (unlink(path) < 0 && errno != ENOENT)
        return false;
    if (log->n_files == 1)
        end_file(log);
    add(counter, readings);
    atomic_fetch_sub_explicit(&log->stats.bytes, log->files[0].bytes, memory_order_relaxed);
    log->n_files--;
    memmove(log->files, log->files + 1, log->n_files * sizeof log->files[0]);
    return true;
}

static bool above_floor(const struct wr_raw_log *log, size_t len) {
    struct statvfs status;
    return statvfs(log->options.directory, &status) != 0 ||
           (uint64_t)status.f_bavail * status.f_frsize >= len + log->options.free_floor_bytes;
}

void wr_raw_log_expire(struct wr_raw_log *log, int64_t age_ns, const struct wr_now *now) {
    if (!log->listed)
        list_files(log);
    while (log->n_files > 0 && !above_floor(log, 0)) /* others have filled the disk */
        if (!remove_oldest(log, &log->stats.dropped))
            return;
    if (age_ns > 0 && !now->wall_trusted)
        return;
    date_files(log, now);
    while (log->n_files > 0 && (age_ns == 0 || log->files[0].newest_wall_ns < now->wall_ns - age_ns))
        if (!remove_oldest(log, &log->stats.expired))
            return;
}

static enum wr_result make_room(struct wr_raw_log *log, size_t len, struct wr_error *err) {
    while ((log->fd < 0 && log->n_files == WR_RAW_FILES) || log->stats.bytes + len > log->options.bytes_max || !above_floor(log, len))
        if (!remove_oldest(log, &log->stats.dropped))
            return wr_error_set(err, WR_FULL, "no space for raw readings: the file system has less free than store.free_floor");
    return WR_OK;
}

static enum wr_result begin_file(struct wr_raw_log *log, const struct wr_now *now, struct wr_error *err) {
    char path[WR_RAW_PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/" WR_RAW_DIRECTORY, log->options.directory) >= (int)sizeof path ||
        log->next_number > WR_RAW_FILE_NUMBER_MAX)
        return wr_error_set(err, WR_LIMIT, "raw readings: no name for a file");
    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
    (void)wr_raw_files_path(path, log->options.directory, log->next_number);
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (log->fd < 0)
        return wr_error_set(err, errno == ENOSPC ? WR_FULL : WR_IO, "%s: %s", path, strerror(errno));
    log->files[log->n_files++] = (struct file){.number = log->next_number++, .newest_wall_ns = now->wall_ns};
    log->since_wall_ns = now->wall_ns;
    return WR_OK;
}

/* The file that the next body goes into. */
static enum wr_result choose_file(struct wr_raw_log *log, size_t len, int64_t age_ns, const struct wr_now *now, struct wr_error *err) {
    uint64_t most = log->options.bytes_max / PARTS;
    most = most < FILE_BYTES_MAX ? most : FILE_BYTES_MAX;
    if (log->fd >= 0) {
        const struct file *last = &log->files[log->n_files - 1];
        const int64_t open_ns = now->wall_ns - log->since_wall_ns;
        if ((last->bytes > 0 && last->bytes + len > most) || open_ns < 0 || open_ns >= age_ns / PARTS)
            end_file(log);
    }
    WR_TRY(make_room(log, len, err));
    return log->fd >= 0 ? WR_OK : begin_file(log, now, err);
}

/* -- putting ------------------------------------------------------------------------------------------------------------------------------- */

/* Between two bodies the system has mostly written what it had: a page that both lie in counts twice. */
static void count_written(struct wr_raw_log *log, uint64_t at, size_t len) {
    if (len > 0)
        add(&log->stats.written_bytes, ((at + len - 1) / PAGE_BYTES - at / PAGE_BYTES + 1) * PAGE_BYTES);
}

/* All of it, or nothing: what a write has left behind is cut off again; if even that fails, the file has ended. */
static enum wr_result append(struct wr_raw_log *log, const uint8_t *body, size_t len, struct wr_error *err) {
    struct file *file = &log->files[log->n_files - 1];
    size_t done = 0;
    while (done < len) {
        const ssize_t wrote = write(log->fd, body + done, len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            const int why = wrote < 0 ? errno : ENOSPC;
            count_written(log, file->bytes, done);
            if (ftruncate(log->fd, (off_t)file->bytes) < 0) {
                file->bytes += done;
                add(&log->stats.bytes, done);
            }
            end_file(log);
            return wr_error_set(err, why == ENOSPC || why == EDQUOT ? WR_FULL : WR_IO, "raw readings: %s", strerror(why));
        }
        done += (size_t)wrote;
    }
    count_written(log, file->bytes, len);
    file->bytes += len;
    add(&log->stats.bytes, len);
    return WR_OK;
}

/* The seq says where it lies, which depends on its length: so it is set last. */
static enum wr_result put_some(struct wr_raw_log *log, const struct wr_reading *readings, size_t n, int64_t age_ns,
                               const struct wr_now *now, size_t *ret_put, struct wr_error *err) {
    struct wr_codec_header header = {.wall_trusted = now->wall_trusted,
                                     .times_moved = log->times_moved,
                                     .boot_ns = now->boot_ns,
                                     .wall_ns = now->wall_ns,
                                     .seq = WR_RAW_SEQ};
    const uint8_t *body;
    size_t len;
    memcpy(header.boot_id, log->options.boot_id, sizeof header.boot_id);
    enum wr_result result = wr_raw_encode(log->encoder, &header, readings, n, log->options.series, log->options.symbols, &body, &len);
    if (n > 1 && (result == WR_LIMIT || (result == WR_OK && len > WR_SEGMENT_BODY_BYTES))) {
        WR_TRY(put_some(log, readings, n / 2, age_ns, now, ret_put, err));
        return put_some(log, readings + n / 2, n - n / 2, age_ns, now, ret_put, err);
    }
    if (result != WR_OK)
        return wr_error_set(err, result, "encoding %zu raw readings: %s", n, wr_result_name(result));
    WR_TRY(choose_file(log, len, age_ns, now, err));
    struct file *file = &log->files[log->n_files - 1];
    header.seq = wr_raw_seq(file->number, file->bytes);
    wr_raw_encode_seal(log->encoder, &header);
    WR_TRY(append(log, body, len, err));
    file->newest_wall_ns = now->wall_ns;
    file->newest_boot_ns = now->boot_ns;
    file->undated = !now->wall_trusted;
    add(&log->stats.readings, n);
    *ret_put += n;
    return WR_OK;
}

enum wr_result wr_raw_log_put(struct wr_raw_log *log, const struct wr_reading *readings, size_t n, bool times_moved, int64_t age_ns,
                              const struct wr_now *now, struct wr_error *err) {
    size_t put = 0;
    enum wr_result result = WR_OK;
    if (!log->listed)
        list_files(log);
    log->times_moved = times_moved;
    if (!log->encoder && wr_raw_encoder_new(&log->encoder) != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for the codec of raw readings");
    if (result == WR_OK)
        result = put_some(log, readings, n, age_ns, now, &put, err);
    if (result == WR_FULL && remove_oldest(log, &log->stats.dropped)) /* the disk knows better than statvfs */
        result = put_some(log, readings + put, n - put, age_ns, now, &put, err);
    if (result != WR_OK)
        add(&log->stats.missed, n - put);
    return result;
}
