/* How the store's loop gets its store: at the start, again and again while none can be opened, and again when an open one does not answer any more.
 *
 * A store that cannot be used stops nothing: the loop runs with a store without a database (wr_store_open_without), which drops and books what would
 * be stored, and opening is tried again after a second, then after longer, at last each minute. One log line says it with its cause and what to do, and
 * one says that it is over. Alarms that are found in the store then come back, unless they have spoken since; the engine writes the states of all.
 *
 * One whose disk has refused everything for a minute is closed and opened again (store/reopen.h). Until that succeeds nothing is dropped: handovers wait, windows stay
 * open. Then the uplink begins again, as after a start, and the engine writes the states of all alarms.
 *
 * Threads: the store's thread; wr_store_loop_trouble any.
 */
#ifndef WEIR_AGENT_LOOPS_STORE_OPENING_H
#define WEIR_AGENT_LOOPS_STORE_OPENING_H

#include "agent/loops/store_loop.h"

#define WR_STORE_REOPEN_MIN_NS (1 * WR_NS_PER_S)
#define WR_STORE_REOPEN_MAX_NS (60 * WR_NS_PER_S)

/* The first attempt, for which loop->opened waits. WR_OK: there is a store, with or without its database; loop->state says which, loop->open_error
 * why not. WR_NO_MEMORY, WR_INVALID: there is none at all. */
WR_MUST_USE enum wr_result wr_store_opening_begin(struct wr_store_loop *loop, const struct wr_now *now);
/* Tries again if it is time. `now_or_never`: also before its time, if it is closed now. */
void wr_store_opening_turn(struct wr_store_loop *loop, const struct wr_now *now, bool now_or_never);
/* When it is time; WR_NEVER_NS: the store is open and well. */
int64_t wr_store_opening_due(const struct wr_store_loop *loop);

/* Why the store cannot be used, and what to do; "" while it is open, or is still being opened. Returns text. */
const char *wr_store_loop_trouble(struct wr_store_loop *loop, char *text, size_t bytes);

#endif
