#include "agent/receive/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/json.h"
#include "store/crc32c.h"

#define NAME_BYTES 64

enum wr_result wr_quarantine_open(struct wr_quarantine *quarantine, const char *directory, uint64_t max_bytes, struct wr_error *err) {
    *quarantine = (struct wr_quarantine){.directory_fd = -1, .max_bytes = max_bytes, .directory = strdup(directory)};
    return quarantine->directory ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for the quarantine");
}

void wr_quarantine_close(struct wr_quarantine *quarantine) {
    if (quarantine->directory_fd >= 0)
        close(quarantine->directory_fd);
    quarantine->directory_fd = -1;
    free(quarantine->directory);
    quarantine->directory = NULL;
}

static enum wr_result failed(const struct wr_quarantine *quarantine, const char *what, struct wr_error *err) {
    return wr_error_set(err, errno == ENOSPC || errno == EDQUOT ? WR_FULL : WR_IO, "%s: %s: %s", quarantine->directory, what,
                        strerror(errno));
}

/* Made at the first need: most receivers never have one. */
static enum wr_result make_directory(struct wr_quarantine *quarantine, struct wr_error *err) {
    if (quarantine->directory_fd >= 0)
        return WR_OK;
    if (mkdir(quarantine->directory, 0750) != 0 && errno != EEXIST)
        return failed(quarantine, "mkdir", err);
    quarantine->directory_fd = open(quarantine->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return quarantine->directory_fd >= 0 ? WR_OK : failed(quarantine, "open", err);
}

/* Bytes in the directory: counted each time, since people take files away. */
static uint64_t used(const struct wr_quarantine *quarantine) {
    uint64_t sum = 0;
    const int fd = openat(quarantine->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!listing) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        struct stat status;
        if (fstatat(quarantine->directory_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
            sum += (uint64_t)status.st_size;
    }
    closedir(listing);
    return sum;
}

/* Whole and synced, or not there under this name. */
static enum wr_result write_file(struct wr_quarantine *quarantine, const char *name, const void *bytes, size_t len, struct wr_error *err) {
    const int fd = openat(quarantine->directory_fd, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return failed(quarantine, "open", err);
    enum wr_result result = WR_OK;
    for (const uint8_t *at = bytes; len > 0 && result == WR_OK;) {
        const ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            result = failed(quarantine, "write", err);
            break;
        }
        at += n;
        len -= (size_t)n;
    }
    if (result == WR_OK && fdatasync(fd) != 0)
        result = failed(quarantine, "sync", err);
    close(fd);
    if (result == WR_OK && renameat(quarantine->directory_fd, "new", quarantine->directory_fd, name) != 0)
        result = failed(quarantine, "rename", err);
    if (result != WR_OK)
        (void)unlinkat(quarantine->directory_fd, "new", 0);
    return result;
}

static enum wr_result describe(struct wr_buf *into, const struct wr_subscriber_message *message, const char *reason) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "reason", reason);
    wr_json_bytes(&json, "topic", message->topic.text, message->topic.len);
    if (message->content_type.len > 0)
        wr_json_bytes(&json, "content_type", message->content_type.text, message->content_type.len);
    wr_json_int(&json, "received_ns", message->arrival.wall_ns);
    wr_json_uint(&json, "payload_bytes", message->payload.len);
    wr_json_array(&json, "properties");
    for (size_t i = 0; i < message->n_properties; i++) {
        wr_json_object(&json, NULL);
        wr_json_bytes(&json, "name", message->properties[i].name.text, message->properties[i].name.len);
        wr_json_bytes(&json, "value", message->properties[i].value.text, message->properties[i].value.len);
        wr_json_object_end(&json);
    }
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}

/* With the lock held. */
static enum wr_result keep(struct wr_quarantine *quarantine, const char *name, const struct wr_subscriber_message *message,
                           const char *reason, struct wr_error *err) {
    struct wr_buf about;
    if (faccessat(quarantine->directory_fd, name, F_OK, 0) == 0)
        return WR_OK;
    if (used(quarantine) + message->payload.len > quarantine->max_bytes)
        return wr_error_set(err, WR_FULL, "%s holds more than quarantine_max: look at it, and make room", quarantine->directory);
    wr_buf_init(&about, 0);
    enum wr_result result = describe(&about, message, reason);
    if (result != WR_OK)
        result = wr_error_set(err, result, "no memory for the quarantine");
    char about_name[NAME_BYTES + 8];
    (void)snprintf(about_name, sizeof about_name, "%.*s.json", (int)(strrchr(name, '.') - name), name);
    if (result == WR_OK)
        result = write_file(quarantine, about_name, about.data, about.len, err);
    if (result == WR_OK) /* last: it is what says that both are there */
        result = write_file(quarantine, name, message->payload.text, message->payload.len, err);
    wr_buf_fini(&about);
    quarantine->kept += result == WR_OK;
    return result;
}

/* Other instances keep theirs in the same directory, by way of the same new file. */
static enum wr_result lock(const struct wr_quarantine *quarantine, struct wr_error *err) {
    while (flock(quarantine->directory_fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return failed(quarantine, "lock", err);
    return WR_OK;
}

enum wr_result wr_quarantine_keep(struct wr_quarantine *quarantine, const struct wr_subscriber_message *message, const char *reason,
                                  struct wr_error *err) {
    char name[NAME_BYTES];
    WR_TRY(make_directory(quarantine, err));
    const uint32_t of_topic = wr_crc32c(0, message->topic.text, message->topic.len);
    const uint32_t of_payload = wr_crc32c(of_topic, message->payload.text, message->payload.len);
    (void)snprintf(name, sizeof name, "%08" PRIx32 "%08" PRIx32 "-%zu.payload", of_topic, of_payload, message->payload.len);
    WR_TRY(lock(quarantine, err));
    enum wr_result result = keep(quarantine, name, message, reason, err);
    if (result == WR_OK && fdatasync(quarantine->directory_fd) != 0) /* also of one that is there: its sync may have failed */
        result = failed(quarantine, "sync of the directory", err);
    (void)flock(quarantine->directory_fd, LOCK_UN);
    return result;
}
