/* The output files of one instance, one a kind of record: append, sync, cut back, rotate.
 *
 * Promise: `committed` bytes of the open file are what the key log says; wr_file_output_recover makes the file so, whatever happened before.
 * A number is never given twice while a file of that name is there.
 * Threads: one at a time. Ownership: caller's memory.
 */
#ifndef WEIR_AGENT_RECEIVE_FILE_OUTPUT_H
#define WEIR_AGENT_RECEIVE_FILE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/receive/key_record.h"
#include "agent/receive/render.h"
#include "core/result.h"

struct wr_file_output {
    int directory_fd; /* the sink's */
    const char *instance;
    enum wr_message_kind kind;
    enum wr_render_format format;
    int fd;          /* -1: none is open */
    uint64_t number; /* of the open file, or of the last one */
    uint64_t committed;
    uint64_t written;
    int64_t opened_boot_ns;
};

void wr_file_output_init(struct wr_file_output *output, int directory_fd, const char *instance, enum wr_message_kind kind,
                         enum wr_render_format format);
/* Opens the file that the key log knows, if it is still being written, and cuts off what was not committed. NULL: it knows none. */
WR_MUST_USE enum wr_result wr_file_output_recover(struct wr_file_output *output, const struct wr_key_file *known, struct wr_error *err);
/* Appends; opens the next file, with its header, if none is open. */
WR_MUST_USE enum wr_result wr_file_output_append(struct wr_file_output *output, const uint8_t *bytes, size_t len, struct wr_error *err);
WR_MUST_USE enum wr_result wr_file_output_sync(struct wr_file_output *output, struct wr_error *err);
/* What the key log is to be told. */
struct wr_key_file wr_file_output_mark(const struct wr_file_output *output);
void wr_file_output_committed(struct wr_file_output *output);
/* Gives the open file its whole name, if all of it is committed. */
WR_MUST_USE enum wr_result wr_file_output_finish(struct wr_file_output *output, struct wr_error *err);
/* Leaves the file as it is. */
void wr_file_output_close(struct wr_file_output *output);

#endif
