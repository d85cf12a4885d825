/* Whole files into memory.
 *
 * Promise: reads no more than it is allowed, and waits for nobody: what is not a regular file (a pipe, a device) is refused before it is read.
 * Threads: any. Ownership: the bytes are appended to the caller's buffer. Errors name the file.
 */
#ifndef WEIR_CORE_FILE_H
#define WEIR_CORE_FILE_H

#include "core/buf.h"
#include "core/result.h"

/* Appends what fd still has, up to max bytes and one more, so that the caller sees when it is too much. WR_IO, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_file_read_all(int fd, size_t max, struct wr_buf *into, struct wr_error *err);
/* A regular file. WR_NOT_FOUND: there is none; WR_INVALID: not a regular file; WR_LIMIT: more than max bytes; WR_IO, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_file_read(const char *path, size_t max, struct wr_buf *into, struct wr_error *err);

#endif
