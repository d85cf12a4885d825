/* History over the control socket: how `weir query` reads the store of a running agent. It hands out heads and bodies of segments; it runs no SQL.
 *
 *   history                       answers with nothing: the agent is there, and can do this
 *   history heads LANE AFTER FROM TO    a line "AFTER OVER", with a third number where places were passed over that cannot be read; then a line a head: seq, kind, n, t0, t1,
 *                                 bytes, delivered, quality of its times, and their correction where there is one
 *   history bodies LANE SEQ...    for each, in this order, a line "SEQ LENGTH" and so many bytes; LENGTH 0: it is gone, -1: it is damaged, or cannot be read. Ends early, behind a whole
 *                                 one, when the answer grows beyond WR_CONTROL_HISTORY_BYTES
 *
 * Promise: the store is asked for one body, or for the heads of 256 rows, at a time: whatever it has to commit goes ahead of the next.
 */
#ifndef WEIR_AGENT_CONTROL_CONTROL_HISTORY_H
#define WEIR_AGENT_CONTROL_CONTROL_HISTORY_H

#include "core/buf.h"

#define WR_CONTROL_HISTORY_BYTES (256 << 10)

struct wr_agent;

int wr_control_history(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer);

#endif
