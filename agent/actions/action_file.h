/* The action `file`: one line behind another, in a file that others may rotate, or we do.
 *
 * Promise: a line is there whole or not at all: on a full disk what was written of it is taken back. Opened anew for each line, so that a file
 * that was renamed or removed is no trouble. A link, a pipe or a device in its place is refused. Above max_bytes the file becomes PATH.1, that
 * PATH.2, and so on; the oldest beyond `keep` goes. A file that we make can be read by its group (0640).
 *
 * Threads: one a path at a time; may block as long as the file system does. Errors: WR_IO with the path and the cause.
 */
#ifndef WEIR_AGENT_ACTIONS_ACTION_FILE_H
#define WEIR_AGENT_ACTIONS_ACTION_FILE_H

#include <stdint.h>

#include "core/result.h"

struct wr_action_file {
    const char *path;
    uint64_t max_bytes;
    uint32_t keep;
};

/* line ends with its newline. */
WR_MUST_USE enum wr_result wr_action_file_append(const struct wr_action_file *file, const void *line, size_t len, struct wr_error *err);

#endif
