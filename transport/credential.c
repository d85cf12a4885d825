#include "transport/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum wr_result failed(const char *path, int error, struct wr_error *err) {
    enum wr_result code = error == ENOENT || error == ENOTDIR ? WR_NOT_FOUND : error == EACCES || error == EPERM ? WR_DENIED : WR_IO;
    return wr_error_set(err, code, "%s: %s", path, strerror(error));
}

/* Reads up to len bytes; fewer when the file shrinks meanwhile. */
static enum wr_result read_all(int fd, const char *path, struct wr_credential *credential, size_t len, struct wr_error *err) {
    while (credential->len < len) {
        ssize_t n = read(fd, credential->data + credential->len, len - credential->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(path, errno, err);
        if (n == 0)
            break;
        credential->len += (size_t)n;
    }
    return WR_OK;
}

enum wr_result wr_credential_read(const char *path, size_t max, struct wr_credential *ret_credential, struct wr_error *err) {
    struct wr_credential credential = {0};
    enum wr_result result = WR_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return failed(path, errno, err);
    struct stat info;
    if (fstat(fd, &info) != 0) {
        result = failed(path, errno, err);
        goto close_file;
    }
    if (!S_ISREG(info.st_mode) || info.st_size == 0) {
        result = wr_error_set(err, WR_INVALID, "%s: %s", path, S_ISREG(info.st_mode) ? "the file is empty" : "not a regular file");
        goto close_file;
    }
    if ((uint64_t)info.st_size > max) {
        result = wr_error_set(err, WR_LIMIT, "%s: larger than %zu bytes", path, max);
        goto close_file;
    }
    credential.data = calloc(1, (size_t)info.st_size + 1);
    if (credential.data == NULL) {
        result = wr_error_set(err, WR_NO_MEMORY, "%s: no memory", path);
        goto close_file;
    }
    result = read_all(fd, path, &credential, (size_t)info.st_size, err);
    if (result != WR_OK) {
        credential.len = (size_t)info.st_size;
        wr_credential_free(&credential);
        goto close_file;
    }
    *ret_credential = credential;
close_file:
    (void)close(fd);
    return result;
}

void wr_credential_trim(struct wr_credential *credential) {
    if (credential->len > 0 && credential->data[credential->len - 1] == '\n')
        credential->data[--credential->len] = '\0';
    if (credential->len > 0 && credential->data[credential->len - 1] == '\r')
        credential->data[--credential->len] = '\0';
}

bool wr_credential_equal(const struct wr_credential *a, const struct wr_credential *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

void wr_credential_free(struct wr_credential *credential) {
    if (credential->data != NULL)
        explicit_bzero(credential->data, credential->len);
    free(credential->data);
    *credential = (struct wr_credential){0};
}
