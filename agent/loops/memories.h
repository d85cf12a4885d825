/* The states of windows, counters and models over a restart: saved at a clean stop, recalled at the next start.
 *
 * Promise: what is saved is at most a sixteenth of the store's budget, so that it never pushes out data; what does not fit is left out, counted and told in the
 * log. A crash saves none: windows begin anew then, as rules/evaluator/evaluator_memory.h says. The rows are deleted once they are recalled.
 * Threads: save and recall from the main thread, or from the engine's while it runs a request; the rest on the store's.
 */
#ifndef WEIR_AGENT_LOOPS_MEMORIES_H
#define WEIR_AGENT_LOOPS_MEMORIES_H

#include "agent/loops/store_loop.h"
#include "rules/evaluator/evaluator.h"

#define WR_MEMORIES_OF_BUDGET 16

/* Hands the states of the evaluator to the store. The engine has stopped. */
void wr_memories_save(const struct wr_evaluator *evaluator, struct wr_store_loop *store, int64_t deadline_boot_ns);

/* Reads what is saved, on the store's thread when it has opened. */
WR_MUST_USE enum wr_result wr_memories_read(struct wr_store_loop *store, struct wr_error *err);
/* Gives it to the evaluator, and has the rows deleted. */
void wr_memories_recall(struct wr_evaluator *evaluator, struct wr_store_loop *store);

#endif
