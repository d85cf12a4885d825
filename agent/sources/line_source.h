/* The source `line`: Influx line protocol over TCP, Unix sockets and standard input, many connections, one thread, one event loop.
 *
 * The happy path: a connection is readable; one read into the buffer that all share; the lines in it are parsed in place into a batch; the
 * batch is handed over. What can go otherwise:
 *   - The read ends inside a line: the connection keeps that part in a buffer of its own, until the newline comes. All these
 *     buffers together have a budget (limits.partial_lines); the connection with the oldest part is closed when it is used up.
 *   - A line is longer than limits.max_line: refused once, skipped to its newline.
 *   - No batch is free: the source is stalled. The rest of the shared buffer waits where it is, nobody reads, and TCP pushes back on the
 *     senders. The loop sleeps on the descriptor of the pool's free list.
 *   - Too many connections: one whose TLS handshake hangs is closed in favour of the new one, else the new one; counted, logged.
 *   - No more descriptors: the new one is closed, or left in the kernel's queue for a moment; counted, logged.
 *   - A connection ends without a last newline: the line is taken. It breaks (reset): the part is refused.
 *
 * Stop: listeners close; of each connection what was readable by then is read; the deadline is a timer. An unfinished line at a stop is left to its
 * sender, who sees the connection close.
 */
#ifndef WEIR_AGENT_SOURCES_LINE_SOURCE_H
#define WEIR_AGENT_SOURCES_LINE_SOURCE_H

#include "agent/sources/source.h"

extern const struct wr_source_ops wr_line_source_ops;

/* The TCP port that listener number i got (port 0 in the config: any); 0 when it is none of TCP. After start. */
uint16_t wr_line_source_port(const struct wr_source *source, unsigned i);

#endif
