#include "agent/process/unix_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static enum wr_result make_address(const char *path, struct sockaddr_un *address, struct wr_error *err) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path)
        return wr_error_set(err, WR_LIMIT, "%s: a socket path has at most %zu characters", path, sizeof address->sun_path - 1);
    memcpy(address->sun_path, path, strlen(path) + 1);
    return WR_OK;
}

enum wr_result wr_unix_socket_connect(const char *path, int *ret_fd, struct wr_error *err) {
    struct sockaddr_un address;
    WR_TRY(make_address(path, &address, err));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int reason = errno;
        close(fd);
        enum wr_result code = reason == ENOENT || reason == ECONNREFUSED ? WR_NOT_FOUND : reason == EACCES ? WR_DENIED : WR_IO;
        return wr_error_set(err, code, "%s: %s", path, strerror(reason));
    }
    *ret_fd = fd;
    return WR_OK;
}

/* A socket file on which nobody listens is what a killed process leaves behind. */
static enum wr_result remove_stale(const char *path, struct wr_error *err) {
    struct stat status;
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? WR_OK : wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return wr_error_set(err, WR_DENIED, "%s exists and is no socket: remove it, or choose another path", path);
    int fd = -1;
    enum wr_result asked = wr_unix_socket_connect(path, &fd, err);
    if (asked == WR_OK) {
        close(fd);
        return wr_error_set(err, WR_EXISTS, "%s: somebody listens there already", path);
    }
    if (asked != WR_NOT_FOUND)
        return asked; /* whose it is cannot be told: it stays */
    return unlink(path) == 0 || errno == ENOENT ? WR_OK : wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
}

static void make_directory_of(const char *path) {
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || (size_t)(slash - path) >= sizeof directory)
        return;
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = 0;
    (void)mkdir(directory, 0750); /* if it fails, bind says why */
}

enum wr_result wr_unix_socket_listen(const char *path, int *ret_fd, struct wr_error *err) {
    struct sockaddr_un address;
    WR_TRY(make_address(path, &address, err));
    make_directory_of(path);
    WR_TRY(remove_stale(path, err));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
    /* The mode must be right before anybody can connect: fchmod before bind sets it for the file that bind makes. */
    if (fchmod(fd, 0660) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0660) < 0 ||
        listen(fd, 64) < 0) {
        enum wr_result result = wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
        close(fd);
        return result;
    }
    *ret_fd = fd;
    return WR_OK;
}
