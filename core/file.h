/* Whole files into memory, and whole files onto the disk.
 *
 * Promise: reads no more than it is allowed, and waits for nobody: what is not a regular file (a pipe, a device) is refused before it is read. A file that is written is
 * there with all its bytes or not at all, whatever happens on the way, a loss of power too: it is made aside (PATH.part), brought to the disk, and then given its name.
 * Threads: any; two at the same path get in each other's way, and one of them fails. Ownership: the bytes are appended to the caller's buffer. Errors name the file.
 */
#ifndef WEIR_CORE_FILE_H
#define WEIR_CORE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/result.h"

/* Appends what fd still has, up to max bytes and one more, so that the caller sees when it is too much. WR_IO, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_file_read_all(int fd, size_t max, struct wr_buf *into, struct wr_error *err);
/* A regular file. WR_NOT_FOUND: there is none; WR_INVALID: not a regular file; WR_LIMIT: more than max bytes; WR_IO, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_file_read(const char *path, size_t max, struct wr_buf *into, struct wr_error *err);

#define WR_FILE_KEEP ((uid_t)-1) /* and (gid_t)-1: whoever makes it owns it */

struct wr_file_form {
    mode_t mode; /* exactly this, whatever the umask is */
    uid_t uid;
    gid_t gid;
    bool only_new; /* what has the name already stays: WR_EXISTS */
};

/* Takes the place of what was at path. After a failure that is as it was. WR_DENIED, WR_NOT_FOUND (no such directory), WR_IO, WR_LIMIT (path too long). */
WR_MUST_USE enum wr_result wr_file_write(const char *path, const void *bytes, size_t len, const struct wr_file_form *form,
                                         struct wr_error *err);
/* To another name in the same directory, over what has it, and on the disk when it returns. */
WR_MUST_USE enum wr_result wr_file_rename(const char *from, const char *to, struct wr_error *err);
/* The names in the directory of this file are on the disk when it returns. */
WR_MUST_USE enum wr_result wr_file_sync_names(const char *path, struct wr_error *err);

#endif
