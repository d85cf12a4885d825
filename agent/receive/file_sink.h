/* The sink of files, or of standard output: each record one line, each segment once (how: agent/receive/key_log.h).
 *
 * Files are DIRECTORY/KIND-INSTANCE-NUMBER.ENDING, as agg-a-000017.jsonl; aggregates and changes share `agg`. The one being written ends
 * in `.part`; when it has rotate_bytes, or is rotate_ns old, or at a clean stop, it loses that ending by a rename: what has its whole name is
 * complete, synced and never touched again, so it can be picked up and taken away.
 * With JSON there is an output more, `segment`: the list of the segments that are there, a line each, committed with them; the audit reads it.
 * Standard output has no length to cut back to: a crash between writing and the key log repeats at most one batch. Without a state directory known
 * keys are remembered as long as the process lives.
 *
 * Several instances on one directory: each has its own files by its name, all share the key log, under its lock; two with the same name are
 * refused (WR_BUSY).
 *
 * Threads: one at a time. Ownership: new; the sink's close frees. Limits: a batch lies in memory: see bytes.
 */
#ifndef WEIR_AGENT_RECEIVE_FILE_SINK_H
#define WEIR_AGENT_RECEIVE_FILE_SINK_H

#include <stdint.h>

#include "agent/receive/render.h"
#include "agent/receive/sink.h"

struct wr_file_sink_options {
    const char *directory; /* made if need be; NULL: standard output */
    const char *state;     /* directory of the key log; NULL: DIRECTORY/.keys, or none for standard output */
    const char *instance;  /* [A-Za-z0-9._-]{1,64} */
    enum wr_render_format format;
    uint64_t rotate_bytes;
    int64_t rotate_ns;
};

WR_MUST_USE enum wr_result wr_file_sink_new(const struct wr_file_sink_options *options, struct wr_receive_sink *ret_sink,
                                            struct wr_error *err);

#endif
