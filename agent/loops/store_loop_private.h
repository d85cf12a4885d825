/* What the files of the store's loop share: store_loop.c (turns, and the thread), store_uplink.c (the uplink's side), store_ladder.c.
 *
 * Threads: all of it runs on the store's thread.
 */
#ifndef WEIR_AGENT_LOOPS_STORE_LOOP_PRIVATE_H
#define WEIR_AGENT_LOOPS_STORE_LOOP_PRIVATE_H

#include "agent/loops/store_loop.h"

/* How something that needs the disk ended: one line at the first refusal, then silence until it is over; everything is tried again every second. */
void wr_store_loop_disk_result(struct wr_store_loop *loop, enum wr_result result, const char *what, const struct wr_error *err);

/* Who the accounts are, and how long their windows. */
WR_MUST_USE enum wr_result wr_store_loop_tell_accounts(struct wr_store_loop *loop, const struct wr_accounts *accounts,
                                                       struct wr_error *err);

/* After commits: which step of the ladder it is on now. */
void wr_store_loop_climb(struct wr_store_loop *loop, const struct wr_now *now);

/* READY makes void whatever was answered and asked before it. */
void wr_store_loop_tell_ready(struct wr_store_loop *loop);
/* READY again, if the store is another one now, or tries again what it could not read. */
void wr_store_loop_look_for_fresh_store(struct wr_store_loop *loop);
/* After commits: what is the newest of each lane. */
void wr_store_loop_tell_available(struct wr_store_loop *loop);
/* Watermarks that wait for the disk. */
void wr_store_loop_commit_offers(struct wr_store_loop *loop, const struct wr_now *now);
bool wr_store_loop_offers_wait(const struct wr_store_loop *loop);
/* What is in loop->asked. */
void wr_store_loop_answer_uplink(struct wr_store_loop *loop, const struct wr_now *now);

/* store_raw.c: raw readings that windows keep */
WR_MUST_USE enum wr_result wr_store_loop_raw_init(struct wr_store_loop *loop, struct wr_error *err);
/* Puts them to the others, and returns them to their pool. What cannot be put is counted. */
void wr_store_loop_keep(struct wr_store_loop *loop, struct wr_kept *kept, const struct wr_now *now);
/* Removes what is older than it shall be kept, now and then. */
void wr_store_loop_raw_turn(struct wr_store_loop *loop, const struct wr_now *now);

#endif
