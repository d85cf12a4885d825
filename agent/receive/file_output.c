#include "agent/receive/file_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define NAME_BYTES 160

void wr_file_output_init(struct wr_file_output *output, int directory_fd, const char *instance, enum wr_message_kind kind,
                         enum wr_render_format format) {
    *output = (struct wr_file_output){.directory_fd = directory_fd, .instance = instance, .kind = kind, .format = format, .fd = -1};
}

static const char *name_of(const struct wr_file_output *output, uint64_t number, bool part, char *name) {
    (void)snprintf(name, NAME_BYTES, "%s-%s-%06" PRIu64 ".%s%s", wr_message_kind_name(output->kind), output->instance, number,
                   wr_render_ending(output->format), part ? ".part" : "");
    return name;
}

static enum wr_result failed(const struct wr_file_output *output, const char *what, struct wr_error *err) {
    char name[NAME_BYTES];
    return wr_error_set(err, errno == ENOSPC || errno == EDQUOT ? WR_FULL : WR_IO, "%s: %s: %s",
                        name_of(output, output->number, true, name), what, strerror(errno));
}

/* The number of the next file: one of which there is none with its whole name. */
static uint64_t next_number(const struct wr_file_output *output) {
    char name[NAME_BYTES];
    uint64_t number = output->number + 1;
    while (faccessat(output->directory_fd, name_of(output, number, false, name), F_OK, 0) == 0)
        number++;
    return number;
}

/* The `.part` that a crash left before its first commit: the key log does not name it. */
static enum wr_result remove_orphan(const struct wr_file_output *output, struct wr_error *err) {
    char name[NAME_BYTES];
    if (unlinkat(output->directory_fd, name_of(output, next_number(output), true, name), 0) != 0 && errno != ENOENT)
        return failed(output, "removing what was not committed", err);
    return WR_OK;
}

enum wr_result wr_file_output_recover(struct wr_file_output *output, const struct wr_key_file *known, struct wr_error *err) {
    char name[NAME_BYTES];
    wr_file_output_close(output);
    output->number = known ? known->number : 0;
    WR_TRY(remove_orphan(output, err));
    if (!known)
        return WR_OK;
    output->fd = openat(output->directory_fd, name_of(output, known->number, true, name), O_WRONLY | O_CLOEXEC);
    if (output->fd < 0) /* it has its whole name, and perhaps was taken away; also when the format was changed */
        return errno == ENOENT ? WR_OK : failed(output, "open", err);
    const off_t length = lseek(output->fd, 0, SEEK_END);
    if (length < 0)
        return failed(output, "seek", err);
    if ((uint64_t)length < known->length)
        return wr_error_set(err, WR_CORRUPT, "%s: has %lld bytes, but %llu were written and synced; see docs/receive.md", name,
                            (long long)length, (unsigned long long)known->length);
    if (ftruncate(output->fd, (off_t)known->length) != 0 || lseek(output->fd, (off_t)known->length, SEEK_SET) < 0)
        return failed(output, "cutting off what was not committed", err);
    output->committed = output->written = known->length;
    output->opened_boot_ns = wr_clock_boot_ns(wr_clock_real());
    return WR_OK;
}

static enum wr_result write_all(struct wr_file_output *output, const void *bytes, size_t len, struct wr_error *err) {
    for (const uint8_t *at = bytes; len > 0;) {
        const ssize_t n = write(output->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(output, "write", err);
        at += n;
        len -= (size_t)n;
        output->written += (size_t)n;
    }
    return WR_OK;
}

static enum wr_result open_next(struct wr_file_output *output, struct wr_error *err) {
    char name[NAME_BYTES];
    output->number = next_number(output);
    output->fd = openat(output->directory_fd, name_of(output, output->number, true, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (output->fd < 0)
        return failed(output, "open", err);
    output->committed = output->written = 0;
    output->opened_boot_ns = wr_clock_boot_ns(wr_clock_real());
    const char *header = wr_render_header(output->format, output->kind);
    WR_TRY(write_all(output, header, strlen(header), err));
    return fdatasync(output->directory_fd) == 0 ? WR_OK : failed(output, "sync of the directory", err);
}

enum wr_result wr_file_output_append(struct wr_file_output *output, const uint8_t *bytes, size_t len, struct wr_error *err) {
    if (output->fd < 0)
        WR_TRY(open_next(output, err));
    return write_all(output, bytes, len, err);
}

enum wr_result wr_file_output_sync(struct wr_file_output *output, struct wr_error *err) {
    return fdatasync(output->fd) == 0 ? WR_OK : failed(output, "sync", err);
}

struct wr_key_file wr_file_output_mark(const struct wr_file_output *output) {
    struct wr_key_file mark = {.kind = (uint8_t)output->kind, .number = output->number, .length = output->written};
    (void)snprintf(mark.instance, sizeof mark.instance, "%s", output->instance);
    return mark;
}

void wr_file_output_committed(struct wr_file_output *output) {
    output->committed = output->written;
}

enum wr_result wr_file_output_finish(struct wr_file_output *output, struct wr_error *err) {
    char part[NAME_BYTES];
    char whole[NAME_BYTES];
    if (output->fd < 0 || output->committed == 0 || output->committed != output->written)
        return WR_OK;
    if (renameat(output->directory_fd, name_of(output, output->number, true, part), output->directory_fd,
                 name_of(output, output->number, false, whole)) != 0)
        return failed(output, "rename", err);
    wr_file_output_close(output);
    return fdatasync(output->directory_fd) == 0 ? WR_OK : failed(output, "sync of the directory", err);
}

void wr_file_output_close(struct wr_file_output *output) {
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
    output->committed = output->written = 0;
}
