#include "agent/engine_loop.h"

#include <assert.h>
#include <string.h>

#include "agent/thread.h"

enum wr_result wr_engine_loop_init(struct wr_engine_loop *loop, uint32_t handovers, uint32_t max_counts, struct wr_error *err) {
    const struct wr_channel_options options = {
        .name = "engine requests", .capacity = 16, .element_bytes = sizeof(struct wr_request *), .policy = WR_CHANNEL_BLOCK};
    WR_TRY(wr_channel_new(&options, &loop->requests, err));
    enum wr_result result = wr_handover_pool_init(&loop->handovers, handovers, max_counts, err);
    if (result != WR_OK) {
        wr_channel_free(loop->requests);
        loop->requests = NULL;
        return result;
    }
    loop->out.alarms = (struct wr_alarm_out){.entries = loop->alarm_room, .cap = WR_ENGINE_ALARM_ROOM};
    return WR_OK;
}

void wr_engine_loop_fini(struct wr_engine_loop *loop) {
    if (loop->handovers.free)
        wr_handover_pool_fini(&loop->handovers);
    wr_channel_free(loop->requests);
    loop->requests = NULL;
}

/* -- alarms ---------------------------------------------------------------------------------------------------------------------------- */

/* The journal never holds up an alarm: what finds no room is counted, and the states are journalled anew later. */
static void journal(struct wr_engine_loop *loop, struct wr_alarm_entry *entry) {
    entry->number = loop->journal_number + 1;
    if (wr_channel_try_send(loop->to_journal, entry) == WR_OK) {
        loop->journal_number++;
        return;
    }
    entry->number = 0;
    loop->resnapshot = true;
    if (entry->alarm.transition != 0)
        loop->shown.unjournalled++;
}

/* Sends transitions out, oldest first, without waiting. What finds no room among the actions stays: the engine takes nothing new then. */
static void drain_alarms(struct wr_engine_loop *loop) {
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
            (void)wr_channel_try_send(loop->to_actions, entry); /* there is room: this thread is the only sender */
            loop->shown.transitions++;
        }
        sent++;
    }
    alarms->n -= sent;
    if (sent > 0 && alarms->n > 0)
        memmove(alarms->entries, alarms->entries + sent, alarms->n * sizeof *alarms->entries);
}

void wr_engine_loop_drain_alarms(struct wr_engine_loop *loop) {
    drain_alarms(loop);
}

/* After the journal was full: the present state of every alarm, without transitions. */
static void resnapshot(struct wr_engine_loop *loop) {
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    struct wr_channel_stats stats;
    wr_channel_stats(loop->to_journal, &stats);
    if (!evaluator || stats.depth > wr_channel_capacity(loop->to_journal) / 2)
        return;
    loop->resnapshot = false;
    uint32_t cursor = 0;
    struct wr_alarm_entry entry;
    while (!loop->resnapshot && wr_evaluator_next_alarm(evaluator, &cursor, &entry)) {
        entry.alarm.transition = 0;
        journal(loop, &entry);
    }
}

/* -- handovers ------------------------------------------------------------------------------------------------------------------------- */

/* The source's own counts go with the engine's, so that one commit holds both. */
static void count_intake(const struct wr_engine_loop *loop, struct wr_handover *handover) {
    for (uint32_t i = 0; i < loop->n_inputs; i++) {
        const struct wr_engine_input *input = &loop->inputs[i];
        for (unsigned book = 0; book < WR_BOOKS; book++) {
            uint64_t readings = wr_intake_read(input->counters, book);
            if (readings > 0 && handover->n_counts < handover->pool->max_counts)
                handover->counts[handover->n_counts++] = (struct wr_account_count){input->intake_account, book, readings};
        }
    }
}

/* Makes sure that there is a handover to fill; without one windows stay open. */
static void want_handover(struct wr_engine_loop *loop) {
    if (!loop->handover && wr_handover_take(&loop->handovers, &loop->handover) == WR_OK)
        loop->handover_since_boot_ns = wr_clock_boot_ns(loop->clock);
    loop->out.handover = loop->handover;
}

bool wr_engine_loop_handover(struct wr_engine_loop *loop) {
    want_handover(loop);
    if (!loop->handover)
        return false;
    loop->handover->n_counts = 0;
    wr_engine_counts(loop->engine, loop->handover);
    count_intake(loop, loop->handover);
    const struct wr_store_message message = {.handover = loop->handover};
    if (wr_channel_try_send(loop->to_store, &message) != WR_OK)
        return false;
    struct wr_engine_stats stats;
    wr_engine_stats(loop->engine, &stats);
    loop->counted_taken = stats.taken;
    loop->handover = NULL;
    loop->out.handover = NULL;
    return true;
}

/* A full handover goes at once, an old one soon, and counts alone once a second if there are new ones. */
static void hand_over_due(struct wr_engine_loop *loop, int64_t boot_ns) {
    want_handover(loop);
    if (!loop->handover)
        return;
    bool full = loop->handover->n == WR_HANDOVER_AGGREGATES;
    if (loop->handover->n == 0)
        loop->handover_since_boot_ns = boot_ns;
    bool old = loop->handover->n > 0 && boot_ns - loop->handover_since_boot_ns >= WR_ENGINE_HANDOVER_AGE_NS;
    bool counts = false;
    if (boot_ns >= loop->counts_due_boot_ns) {
        struct wr_engine_stats stats;
        wr_engine_stats(loop->engine, &stats);
        counts = stats.taken != loop->counted_taken;
        loop->counts_due_boot_ns = boot_ns + WR_ENGINE_COUNTS_AGE_NS;
    }
    if (full || old || counts) {
        (void)wr_engine_loop_handover(loop);
        want_handover(loop);
    }
}

/* -- taking ---------------------------------------------------------------------------------------------------------------------------- */

static void show_stats(struct wr_engine_loop *loop, int64_t boot_ns) {
    loop->shown.turned_boot_ns = (uint64_t)boot_ns;
    if (boot_ns < loop->show_due_boot_ns)
        return;
    loop->show_due_boot_ns = boot_ns + WR_ENGINE_SHOW_AGE_NS;
    struct wr_engine_stats stats;
    wr_engine_stats(loop->engine, &stats);
    struct wr_engine_stats_shown *shown = &loop->shown;
    shown->taken = stats.taken;
    shown->clamped = stats.clamped;
    shown->late = stats.late;
    shown->bad = stats.bad;
    shown->aggregates = stats.aggregates;
    shown->widened = stats.widened;
    shown->open_windows = stats.open_windows;
    shown->engine_bytes = stats.bytes;
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    if (!evaluator)
        return;
    struct wr_evaluator_stats rules;
    wr_evaluator_stats(evaluator, &rules);
    shown->alarms_active = rules.active;
    shown->alarms_unacked = rules.unacked;
    shown->instances = rules.instances;
    shown->instances_refused = rules.instances_refused;
}

/* Takes what is left of the batch of one input. False: it could not be finished, since transitions or changes find no room now. */
static bool take_waiting(struct wr_engine_loop *loop, uint32_t input) {
    struct wr_batch *batch = loop->waiting[input];
    const struct wr_now now = wr_clock_now(loop->clock);
    while (loop->waiting_from[input] < batch->n) {
        want_handover(loop);
        uint32_t taken = wr_engine_take(loop->engine, batch, loop->waiting_from[input], &now, &loop->out);
        loop->waiting_from[input] += taken;
        drain_alarms(loop);
        if (loop->handover && loop->handover->n == WR_HANDOVER_AGGREGATES)
            (void)wr_engine_loop_handover(loop);
        if (taken == 0 && (loop->out.alarms.n > 0 || (loop->handover && loop->handover->n == WR_HANDOVER_AGGREGATES)))
            return false;
    }
    loop->waiting[input] = NULL;
    loop->waiting_from[input] = 0;
    wr_batch_return(batch);
    return true;
}

/* Batches that could not be finished go first. False: at least one is still there. */
static bool finish_waiting(struct wr_engine_loop *loop) {
    for (uint32_t i = 0; i < loop->n_inputs; i++)
        if (loop->waiting[i] && !take_waiting(loop, i))
            return false;
    return true;
}

static bool all_ended(const struct wr_engine_loop *loop) {
    for (uint32_t i = 0; i < loop->n_inputs; i++)
        if (!loop->inputs[i].ended || loop->waiting[i])
            return false;
    return true;
}

static void run_request(struct wr_engine_loop *loop, struct wr_request *request) {
    drain_alarms(loop);
    request->run(request, loop);
    drain_alarms(loop);
}

/* Waits for a request, a batch (if batches may be taken), room for transitions, or the deadline; takes exactly one of them. */
static void wait_and_take(struct wr_engine_loop *loop, bool batches_too, int64_t deadline_boot_ns) {
    struct wr_channel_case cases[WR_ENGINE_INPUTS_MAX + 2];
    struct wr_request *request = NULL;
    struct wr_batch *batch[WR_ENGINE_INPUTS_MAX] = {NULL};
    size_t n = 0;
    cases[n++] = (struct wr_channel_case){.channel = loop->requests, .direction = WR_CHANNEL_RECV, .element = &request};
    for (uint32_t i = 0; i < loop->n_inputs; i++, n++) {
        bool wanted = batches_too && !loop->inputs[i].ended && !loop->waiting[i];
        cases[n] = (struct wr_channel_case){
            .channel = wanted ? loop->inputs[i].batches : NULL, .direction = WR_CHANNEL_RECV, .element = &batch[i]};
    }
    size_t index;
    if (wr_channel_select(cases, n, &loop->turn, deadline_boot_ns, &index) != WR_OK)
        return;
    if (index == 0) {
        if (cases[0].result == WR_OK)
            run_request(loop, request);
        return;
    }
    uint32_t input = (uint32_t)index - 1;
    if (cases[index].result != WR_OK) {
        loop->inputs[input].ended = true;
        return;
    }
    loop->waiting[input] = batch[input];
    loop->waiting_from[input] = 0;
    (void)take_waiting(loop, input);
}

/* Until when nothing has to be done without a message. */
static int64_t next_deadline(const struct wr_engine_loop *loop, int64_t boot_ns) {
    int64_t deadline = wr_engine_next_timer(loop->engine);
    if (loop->handover && loop->handover->n > 0 && loop->handover_since_boot_ns + WR_ENGINE_HANDOVER_AGE_NS < deadline)
        deadline = loop->handover_since_boot_ns + WR_ENGINE_HANDOVER_AGE_NS;
    if (loop->counts_due_boot_ns < deadline)
        deadline = loop->counts_due_boot_ns;
    bool held_up = loop->out.alarms.n > 0 || !loop->handover || loop->handover->n == WR_HANDOVER_AGGREGATES;
    if (held_up && deadline > boot_ns + WR_NS_PER_MS)
        deadline = boot_ns + WR_NS_PER_MS; /* look again: others make the room */
    return deadline;
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------------ */

/* Everything that is still open goes to the store as partials, then the final handover. Waits for the store, the only place where it may. */
static void flush(struct wr_engine_loop *loop) {
    for (bool more = true; more;) {
        const struct wr_now now = wr_clock_now(loop->clock);
        want_handover(loop);
        if (!loop->handover) {
            if (wr_channel_is_closed(loop->to_store))
                return;
            (void)wr_channel_recv(loop->handovers.free, &loop->handover, now.boot_ns + 100 * WR_NS_PER_MS);
            continue;
        }
        more = wr_engine_flush(loop->engine, &now, &loop->out);
        loop->handover->final = !more;
        if (!wr_engine_loop_handover(loop))
            return;
    }
    loop->flushed = true;
}

static void *run(void *user) {
    struct wr_engine_loop *loop = user;
    wr_thread_name("weir-engine");
    while (!all_ended(loop)) {
        const struct wr_now now = wr_clock_now(loop->clock);
        want_handover(loop);
        drain_alarms(loop);
        bool more = false;
        if (loop->out.alarms.n == 0)
            more = wr_engine_timers(loop->engine, &now, WR_ENGINE_TIMER_SLICE, &loop->out);
        drain_alarms(loop);
        hand_over_due(loop, now.boot_ns);
        if (loop->resnapshot)
            resnapshot(loop);
        show_stats(loop, now.boot_ns);
        bool clear = loop->out.alarms.n == 0 && finish_waiting(loop);
        bool room = loop->handover && loop->handover->n < WR_HANDOVER_AGGREGATES;
        wait_and_take(loop, clear, more && room ? 0 : next_deadline(loop, now.boot_ns));
    }
    flush(loop);
    loop->show_due_boot_ns = 0;
    show_stats(loop, wr_clock_boot_ns(loop->clock));
    return NULL;
}

enum wr_result wr_engine_loop_start(struct wr_engine_loop *loop, struct wr_error *err) {
    return wr_thread_start(&loop->thread, run, loop, "engine", err);
}

enum wr_result wr_engine_loop_join(struct wr_engine_loop *loop, int64_t deadline_boot_ns) {
    return wr_thread_join(loop->thread, deadline_boot_ns);
}
