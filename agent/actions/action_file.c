#include "agent/actions/action_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum wr_result failed(const struct wr_action_file *file, const char *doing, int error, struct wr_error *err) {
    return wr_error_set(err, WR_IO, "%s %s: %s", doing, file->path, strerror(error));
}

/* *ret_bytes: how long it is already. */
static enum wr_result open_file(const struct wr_action_file *file, int *ret_fd, uint64_t *ret_bytes, struct wr_error *err) {
    struct stat stat_of;
    const int fd = open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0)
        return failed(file, "opening", errno, err);
    if (fstat(fd, &stat_of) != 0 || !S_ISREG(stat_of.st_mode)) {
        close(fd);
        return wr_error_set(err, WR_IO, "%s is no regular file", file->path);
    }
    *ret_fd = fd;
    *ret_bytes = (uint64_t)stat_of.st_size;
    return WR_OK;
}

static enum wr_result rotate(const struct wr_action_file *file, struct wr_error *err) {
    char from[PATH_MAX], to[PATH_MAX];
    for (uint32_t i = file->keep; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%u", file->path, i);
        snprintf(from, sizeof from, "%s.%u", file->path, i - 1);
        if (rename(i == 1 ? file->path : from, to) != 0 && errno != ENOENT)
            return failed(file, "rotating", errno, err);
    }
    return WR_OK;
}

static enum wr_result write_all(const struct wr_action_file *file, int fd, uint64_t before, const char *line, size_t len,
                                struct wr_error *err) {
    size_t written = 0;
    int error = 0;
    while (written < len && error == 0) {
        const ssize_t n = write(fd, line + written, len - written);
        if (n > 0)
            written += (size_t)n;
        else
            error = n == 0 ? ENOSPC : errno == EINTR ? 0 : errno;
    }
    if (error == 0)
        return WR_OK;
    struct stat stat_of; /* only if nobody else wrote behind it */
    if (written > 0 && fstat(fd, &stat_of) == 0 && (uint64_t)stat_of.st_size == before + written && ftruncate(fd, (off_t)before) != 0)
        error = errno;
    return failed(file, "writing", error, err);
}

enum wr_result wr_action_file_append(const struct wr_action_file *file, const void *line, size_t len, struct wr_error *err) {
    int fd = -1;
    uint64_t before = 0;
    WR_TRY(open_file(file, &fd, &before, err));
    if (before > 0 && before + len > file->max_bytes) {
        close(fd);
        WR_TRY(rotate(file, err));
        WR_TRY(open_file(file, &fd, &before, err));
    }
    enum wr_result result = write_all(file, fd, before, line, len, err);
    if (close(fd) != 0 && result == WR_OK)
        result = failed(file, "writing", errno, err);
    return result;
}
