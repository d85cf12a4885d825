#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES 65536

/* -- reading ------------------------------------------------------------------------------------------------------------------------------ */

enum wr_result wr_file_read_all(int fd, size_t max, struct wr_buf *into, struct wr_error *err) {
    const size_t before = into->len;
    while (into->len - before <= max) {
        size_t room = max + 1 - (into->len - before);
        if (room > STEP_BYTES)
            room = STEP_BYTES;
        if (wr_buf_reserve(into, room) != WR_OK)
            return wr_error_set(err, WR_NO_MEMORY, "no memory");
        const ssize_t got = read(fd, into->data + into->len, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wr_error_set(err, WR_IO, "%s", strerror(errno));
        if (got == 0)
            break;
        into->len += (size_t)got;
    }
    into->data[into->len] = '\0'; /* reserve left room for it */
    return WR_OK;
}

static enum wr_result read_regular(int fd, size_t max, struct wr_buf *into, struct wr_error *err) {
    struct stat about;
    if (fstat(fd, &about) != 0)
        return wr_error_set(err, WR_IO, "%s", strerror(errno));
    if (!S_ISREG(about.st_mode))
        return wr_error_set(err, WR_INVALID, "not a regular file");
    const size_t before = into->len;
    WR_TRY(wr_file_read_all(fd, max, into, err));
    return into->len - before > max ? wr_error_set(err, WR_LIMIT, "more than %zu bytes", max) : WR_OK;
}

enum wr_result wr_file_read(const char *path, size_t max, struct wr_buf *into, struct wr_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return wr_error_set(err, errno == ENOENT || errno == ENOTDIR ? WR_NOT_FOUND : WR_IO, "%s: %s", path, strerror(errno));
    enum wr_result result = read_regular(fd, max, into, err);
    close(fd);
    if (result != WR_OK && err)
        result = wr_error_wrap(err, "%s", path);
    return result;
}

/* -- writing ------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result failed(const char *path, int error, struct wr_error *err) {
    const enum wr_result code = error == ENOENT || error == ENOTDIR                   ? WR_NOT_FOUND
                                : error == EACCES || error == EPERM || error == EROFS ? WR_DENIED
                                : error == EEXIST                                     ? WR_EXISTS
                                                                                      : WR_IO;
    return wr_error_set(err, code, "%s: %s", path, strerror(error));
}

static enum wr_result fill(int fd, const char *path, const uint8_t *bytes, size_t len, const struct wr_file_form *form,
                           struct wr_error *err) {
    if (form->uid != WR_FILE_KEEP || form->gid != (gid_t)WR_FILE_KEEP)
        if (fchown(fd, form->uid, form->gid) != 0)
            return failed(path, errno, err);
    if (fchmod(fd, form->mode) != 0)
        return failed(path, errno, err);
    for (size_t done = 0; done < len;) {
        const ssize_t n = write(fd, bytes + done, len - done);
        if (n < 0 && errno != EINTR)
            return failed(path, errno, err);
        done += n > 0 ? (size_t)n : 0;
    }
    return fdatasync(fd) == 0 ? WR_OK : failed(path, errno, err);
}

enum wr_result wr_file_sync_names(const char *path, struct wr_error *err) {
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash && snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, path) >= (int)sizeof folder)
        return failed(path, ENAMETOOLONG, err);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(folder, errno, err);
    const enum wr_result result = fdatasync(fd) == 0 ? WR_OK : failed(folder, errno, err);
    close(fd);
    return result;
}

enum wr_result wr_file_rename(const char *from, const char *to, struct wr_error *err) {
    if (rename(from, to) != 0)
        return failed(to, errno, err);
    return wr_file_sync_names(to, err);
}

/* Under its name; the other one goes in any case. */
static enum wr_result name_it(const char *part, const char *path, const struct wr_file_form *form, struct wr_error *err) {
    if (!form->only_new)
        return wr_file_rename(part, path, err);
    if (link(part, path) != 0)
        return failed(path, errno, err);
    (void)unlink(part);
    return wr_file_sync_names(path, err);
}

enum wr_result wr_file_write(const char *path, const void *bytes, size_t len, const struct wr_file_form *form, struct wr_error *err) {
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return wr_error_set(err, WR_LIMIT, "%s: the path is too long", path);
    (void)unlink(part); /* of one that was killed */
    const int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(path, errno, err);
    enum wr_result result = fill(fd, path, bytes, len, form, err);
    if (close(fd) != 0 && result == WR_OK)
        result = failed(path, errno, err);
    if (result == WR_OK)
        result = name_it(part, path, form, err);
    if (result != WR_OK)
        (void)unlink(part);
    return result;
}
