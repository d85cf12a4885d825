/* What leaves the engine for the actions and the journal: transitions at once, snapshots in between. */
#include <string.h>

#include "agent/loops/engine_loop_private.h"
#include "core/log.h"
#include "rules/evaluator/evaluator_memory.h"

/* The journal never holds up an alarm: what finds no room is counted, and the states are journalled anew later. */
static void journal(struct wr_engine_loop *loop, struct wr_alarm_entry *entry) {
    entry->number = loop->journal_number + 1;
    if (wr_channel_try_send(loop->to_journal, entry) == WR_OK) {
        loop->journal_number++;
        return;
    }
    entry->number = 0;
    loop->resnapshot = true;
    loop->journal_behind = true;
    loop->journal_missed++;
    if (entry->alarm.transition != 0)
        loop->shown.unjournalled++;
}

/* Sends transitions out, oldest first, without waiting. What finds no room among the actions stays: the engine takes nothing new then. */
void wr_engine_loop_drain_alarms(struct wr_engine_loop *loop) {
    struct wr_alarm_out *alarms = &loop->out.alarms;
    uint32_t sent = 0;
    while (sent < alarms->n) {
        struct wr_alarm_entry *entry = &alarms->entries[sent];
        struct wr_channel_stats actions;
        wr_channel_stats(loop->to_actions, &actions);
        if (actions.depth == wr_channel_capacity(loop->to_actions))
            break;
        entry->alarm.decided_boot_ns = wr_clock_boot_ns(loop->clock);
        journal(loop, entry); /* first, so that the actions learn its number */
        if (entry->alarm.transition != 0) {
            (void)!wr_channel_try_send(loop->to_actions, entry); /* there is room: this thread is the only sender */
            loop->shown.transitions++;
            if (loop->shadow.shadow)
                wr_shadow_saw(loop->shadow.shadow, &entry->alarm);
        }
        sent++;
    }
    alarms->n -= sent;
    if (sent > 0 && alarms->n > 0)
        memmove(alarms->entries, alarms->entries + sent, alarms->n * sizeof *alarms->entries);
}

uint64_t wr_engine_loop_told_actions(const struct wr_engine_loop *loop) {
    struct wr_channel_stats actions;
    wr_channel_stats(loop->to_actions, &actions);
    uint64_t told = actions.accepted;
    for (uint32_t i = 0; i < loop->out.alarms.n; i++)
        told += loop->out.alarms.entries[i].alarm.transition != 0;
    return told;
}

static void drop_recalled(struct wr_evaluator *evaluator, int64_t boot_ns) {
    const uint32_t dropped = wr_evaluator_drop_recalled(evaluator, boot_ns);
    if (dropped > 0)
        WR_LOG_WITH(WR_LOG_INFO, "rules", "states of windows from before the restart are dropped: their signals did not come",
                    WR_LOG_INT("states", (int64_t)dropped));
}

/* The states of all alarms, without transitions: once a minute, for timers that no transition tells of, after the journal was full, and for a fresh store. In
 * slices, and only while the journal is at most half full: transitions go first. */
void wr_engine_loop_snapshot(struct wr_engine_loop *loop, int64_t boot_ns) {
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    if (loop->fresh_stores && *loop->fresh_stores != loop->fresh_stores_seen) {
        loop->fresh_stores_seen = *loop->fresh_stores;
        loop->resnapshot = true;
        loop->journal_behind = true;
    }
    if (!loop->snapshotting && (loop->resnapshot || boot_ns >= loop->snapshot_due_boot_ns)) {
        loop->snapshotting = evaluator != NULL;
        loop->resnapshot = false;
        loop->snapshot_cursor = 0;
        loop->snapshot_due_boot_ns = boot_ns + WR_ENGINE_SNAPSHOT_AGE_NS;
        if (evaluator)
            drop_recalled(evaluator, boot_ns);
    }
    struct wr_channel_stats stats;
    wr_channel_stats(loop->to_journal, &stats);
    size_t room = wr_channel_capacity(loop->to_journal) / 2;
    for (int i = 0; loop->snapshotting && i < WR_ENGINE_SNAPSHOT_SLICE && stats.depth + (size_t)i < room; i++) {
        struct wr_alarm_entry entry;
        loop->snapshotting = wr_evaluator_next_snapshot(evaluator, &loop->snapshot_cursor, &entry);
        entry.alarm.transition = 0;
        if (loop->snapshotting)
            journal(loop, &entry);
        else
            loop->journal_behind = loop->resnapshot; /* what found no room meanwhile is written in the next round */
    }
}
