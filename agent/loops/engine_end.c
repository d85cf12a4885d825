/* The end of a run, turn by turn: the states of all alarms to the journal, then everything that is open to the store. Nothing else comes any more. */
#include "agent/loops/engine_loop_private.h"
#include "rules/evaluator/evaluator_memory.h"

#define JOURNAL_NS WR_NS_PER_S             /* so long the journal may take to make room */
#define LOOK_AGAIN_NS WR_NS_PER_MS         /* at a journal that is full */
#define STORE_LOOK_NS (100 * WR_NS_PER_MS) /* whether the store is still there, if it gives no handover back */

/* False: the journal is full now. One that is closed, or stays full, gets no more: what is missing was journalled with its transition. */
static bool snapshot_rest(struct wr_engine_loop *loop, int64_t boot_ns) {
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    struct wr_alarm_entry entry;
    for (uint32_t cursor = loop->snapshot_cursor; evaluator && wr_evaluator_next_snapshot(evaluator, &cursor, &entry);) {
        entry.alarm.transition = 0;
        entry.number = loop->journal_number + 1;
        enum wr_result sent = wr_channel_try_send(loop->to_journal, &entry);
        if (sent != WR_OK)
            return sent != WR_FULL || boot_ns >= loop->end_due_boot_ns;
        loop->journal_number++;
        loop->snapshot_cursor = cursor;
    }
    return true;
}

int64_t wr_engine_loop_end_turn(struct wr_engine_loop *loop, int64_t boot_ns) {
    wr_engine_loop_send_kept(loop);
    if (loop->phase == WR_ENGINE_RUNS) {
        loop->phase = WR_ENGINE_SNAPSHOTS;
        loop->snapshot_cursor = 0;
        loop->end_due_boot_ns = wr_clock_add_ns(boot_ns, JOURNAL_NS);
    }
    if (loop->phase == WR_ENGINE_SNAPSHOTS) {
        if (!snapshot_rest(loop, boot_ns))
            return boot_ns + LOOK_AGAIN_NS;
        loop->phase = WR_ENGINE_FLUSHES;
    }
    enum wr_result flushed = wr_engine_loop_flush_some(loop, true);
    if (flushed == WR_EMPTY)
        return wr_clock_add_ns(boot_ns, STORE_LOOK_NS);
    wr_engine_loop_give_up_kept(loop);
    loop->flushed = flushed == WR_OK;
    loop->phase = WR_ENGINE_ENDED;
    return 0;
}
