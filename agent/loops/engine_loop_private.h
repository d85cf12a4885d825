/* What the files of the engine's loop share: engine_loop.c (the thread), engine_alarms.c, engine_handover.c, engine_exchange.c.
 *
 * Threads: all of it runs on the engine's thread.
 */
#ifndef WEIR_AGENT_LOOPS_ENGINE_LOOP_PRIVATE_H
#define WEIR_AGENT_LOOPS_ENGINE_LOOP_PRIVATE_H

#include "agent/loops/engine_loop.h"

/* Makes sure that there is a handover to fill, if one is free; without one windows stay open. */
void wr_engine_loop_want_handover(struct wr_engine_loop *loop);
/* A full handover goes at once, an old one soon, and counts alone once a second if there are new ones. */
void wr_engine_loop_hand_over_due(struct wr_engine_loop *loop, int64_t boot_ns);
/* Everything that is open goes to the store as partials. Waits for the store. WR_TIMEOUT. */
WR_MUST_USE enum wr_result wr_engine_loop_flush(struct wr_engine_loop *loop, bool final, int64_t deadline_boot_ns);
/* Batches that could not be finished go first. False: at least one is still there. */
bool wr_engine_loop_finish_waiting(struct wr_engine_loop *loop);
/* States of alarms for the journal: a slice of them, or all. */
void wr_engine_loop_snapshot(struct wr_engine_loop *loop, int64_t boot_ns);
void wr_engine_loop_snapshot_all(struct wr_engine_loop *loop, int64_t deadline_boot_ns);

#endif
