#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_BYTES 65536

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
