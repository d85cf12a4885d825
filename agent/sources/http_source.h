/* The source `http`: writes that come in over the section `http`, as InfluxDB 1 and 2 take them, and JSON records.
 *
 * The server (agent/http) has the sockets; this source opens the gate to it, takes one delivery after the other on a thread of its own, parses it
 * into batches, and answers. What can go otherwise:
 *   - No batch is free before the first record: the delivery waits for at most WR_HTTP_PATIENCE_NS, then it goes back as BUSY, untouched. While no
 *     batch comes free, the gate lets nothing new in (429).
 *   - No batch is free in the middle: it waits as long as it takes. What was begun is finished: so what a client is told is true of all of it.
 *   - Records are refused: the others are taken; the answer names the first few.
 *   - A stop: what was posted is taken until the deadline; then the one under way is answered as PARTLY, the rest as STOPPING. Neither is booked as
 *     received, for the client is told to keep it.
 */
#ifndef WEIR_AGENT_SOURCES_HTTP_SOURCE_H
#define WEIR_AGENT_SOURCES_HTTP_SOURCE_H

#include "agent/sources/source.h"

extern const struct wr_source_ops wr_http_source_ops;

#endif
