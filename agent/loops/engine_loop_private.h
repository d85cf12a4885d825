/* What the files of the engine's loop share: engine_loop.c (turns, and the thread), engine_alarms.c, engine_handover.c, engine_exchange.c,
 * engine_end.c.
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
/* Everything that is open goes to the store as partials, as far as handovers are free now. WR_EMPTY: go on when one is back; WR_CLOSED: the store does
 * not take any more. */
WR_MUST_USE enum wr_result wr_engine_loop_flush_some(struct wr_engine_loop *loop, bool final);
/* The same, waiting for the store. WR_TIMEOUT. */
WR_MUST_USE enum wr_result wr_engine_loop_flush(struct wr_engine_loop *loop, bool final, int64_t deadline_boot_ns);
/* Batches that could not be finished go first. False: at least one is still there. */
bool wr_engine_loop_finish_waiting(struct wr_engine_loop *loop);
/* States of alarms for the journal: a slice of them. */
void wr_engine_loop_snapshot(struct wr_engine_loop *loop, int64_t boot_ns);
/* A turn at the end of a run, when every input has ended. */
WR_MUST_USE int64_t wr_engine_loop_end_turn(struct wr_engine_loop *loop, int64_t boot_ns);

/* engine_kept.c */
/* Before a batch is taken: makes sure that there is room for what it may keep. Without room readings go unkept. */
void wr_engine_loop_want_kept(struct wr_engine_loop *loop, int64_t boot_ns);
/* Sends kept readings that have waited long enough. */
void wr_engine_loop_kept_due(struct wr_engine_loop *loop, int64_t boot_ns);
/* Sends all that there are; counts them as unkept where the store has ended. */
void wr_engine_loop_send_kept(struct wr_engine_loop *loop);
/* What is still in hand goes unkept. */
void wr_engine_loop_give_up_kept(struct wr_engine_loop *loop);

#endif
