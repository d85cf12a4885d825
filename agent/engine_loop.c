#include "agent/engine_loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/thread.h"

static void drop_request(void *element, void *user) {
    (void)user;
    wr_request_finish(*(struct wr_request **)element, WR_CLOSED);
}

enum wr_result wr_engine_loop_init(struct wr_engine_loop *loop, uint32_t handovers, uint32_t max_counts, struct wr_error *err) {
    const struct wr_channel_options options = {
        .name = "engine requests", .capacity = 16, .element_bytes = sizeof(struct wr_request *), .drop = drop_request};
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
    free(loop->base);
    loop->base = NULL;
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
            (void)!wr_channel_try_send(loop->to_actions, entry); /* there is room: this thread is the only sender */
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
        if (!input->counters)
            continue;
        for (unsigned book = 0; book < WR_BOOKS; book++) {
            uint64_t readings = wr_intake_read(input->counters, book);
            if (readings > 0 && handover->n_counts < handover->pool->max_counts)
                handover->counts[handover->n_counts++] = (struct wr_account_count){input->intake_account, book, readings};
        }
    }
}

/* Adds what ended engines and sources had counted. */
static void add_base(const struct wr_engine_loop *loop, struct wr_handover *handover) {
    for (uint32_t account = 0; account < loop->n_base; account++) {
        for (uint32_t book = 0; book < WR_BOOKS; book++) {
            uint64_t before = loop->base[account][book];
            uint32_t i = 0;
            while (before > 0 && i < handover->n_counts && (handover->counts[i].account != account || handover->counts[i].book != book))
                i++;
            if (before > 0 && i < handover->n_counts)
                handover->counts[i].readings += before;
            else if (before > 0 && handover->n_counts < handover->pool->max_counts)
                handover->counts[handover->n_counts++] = (struct wr_account_count){account, book, before};
        }
    }
}

static void count_all(const struct wr_engine_loop *loop, struct wr_handover *handover) {
    handover->n_counts = 0;
    handover->counted_wall_ns = wr_clock_wall_ns(loop->clock);
    wr_engine_counts(loop->engine, handover);
    count_intake(loop, handover);
    add_base(loop, handover);
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
    count_all(loop, loop->handover);
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
    loop->waiting[input] = batch->next;
    loop->waiting_from[input] = 0;
    wr_batch_return(batch);
    return true;
}

/* Batches that could not be finished go first. False: at least one is still there. */
static bool finish_waiting(struct wr_engine_loop *loop) {
    for (uint32_t i = 0; i < loop->n_inputs; i++)
        while (loop->waiting[i])
            if (!take_waiting(loop, i))
                return false;
    return true;
}

static bool all_ended(const struct wr_engine_loop *loop) {
    for (uint32_t i = 0; i < loop->n_inputs; i++)
        if ((loop->inputs[i].batches && !loop->inputs[i].ended) || loop->waiting[i])
            return false;
    return loop->no_more;
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
    batch[input]->next = NULL;
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

/* -- flush, exchange ------------------------------------------------------------------------------------------------------------------- */

/* Everything that is still open goes to the store as partials. Waits for the store, the only place where it may. */
static enum wr_result flush(struct wr_engine_loop *loop, bool final, int64_t deadline_boot_ns) {
    for (bool more = true; more;) {
        const struct wr_now now = wr_clock_now(loop->clock);
        want_handover(loop);
        if (!loop->handover) {
            if (now.boot_ns >= deadline_boot_ns || wr_channel_is_closed(loop->to_store))
                return WR_TIMEOUT;
            (void)!wr_channel_recv(loop->handovers.free, &loop->handover, wr_clock_add_ns(now.boot_ns, 100 * WR_NS_PER_MS));
            continue;
        }
        more = wr_engine_flush(loop->engine, &now, &loop->out);
        loop->handover->final = final && !more;
        if (!wr_engine_loop_handover(loop))
            return WR_TIMEOUT;
    }
    return WR_OK;
}

static enum wr_result grow_base(struct wr_engine_loop *loop, uint32_t n_accounts, struct wr_error *err) {
    if (n_accounts <= loop->n_base)
        return WR_OK;
    uint64_t(*base)[WR_BOOKS] = realloc(loop->base, n_accounts * sizeof *base);
    if (!base)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %u ledger accounts", n_accounts);
    memset(base + loop->n_base, 0, (n_accounts - loop->n_base) * sizeof *base);
    loop->base = base;
    loop->n_base = n_accounts;
    return WR_OK;
}

/* The handovers of a larger ledger: all old ones must be back from the store. */
static enum wr_result grow_handovers(struct wr_engine_loop *loop, uint32_t max_counts, int64_t deadline_boot_ns, struct wr_error *err) {
    if (max_counts <= loop->handovers.max_counts)
        return WR_OK;
    struct wr_handover *back[64];
    uint32_t n = 0;
    if (loop->handover)
        back[n++] = loop->handover;
    while (n < loop->handovers.n && wr_channel_recv(loop->handovers.free, &back[n], deadline_boot_ns) == WR_OK)
        n++;
    struct wr_handover_pool larger;
    enum wr_result result = n < loop->handovers.n ? wr_error_set(err, WR_TIMEOUT, "the store is too slow for a reload now")
                                                  : wr_handover_pool_init(&larger, loop->handovers.n, max_counts, err);
    if (result != WR_OK) {
        for (uint32_t i = loop->handover ? 1 : 0; i < n; i++)
            wr_handover_return(back[i]);
        return result;
    }
    wr_handover_pool_fini(&loop->handovers);
    loop->handovers = larger;
    for (uint32_t i = 0; i < larger.n; i++)
        loop->handovers.all[i].pool = &loop->handovers;
    loop->handover = NULL;
    loop->out.handover = NULL;
    return WR_OK;
}

enum wr_result wr_engine_loop_exchange(struct wr_engine_loop *loop, struct wr_engine *engine, uint32_t n_accounts, uint32_t max_counts,
                                       int64_t deadline_boot_ns, struct wr_error *err) {
    assert(loop->handovers.n <= 64);
    if (!finish_waiting(loop) || flush(loop, false, deadline_boot_ns) != WR_OK)
        return wr_error_set(err, WR_TIMEOUT, "the store is too slow for a reload now");
    WR_TRY(grow_base(loop, n_accounts, err));
    WR_TRY(grow_handovers(loop, max_counts, deadline_boot_ns, err));
    want_handover(loop);
    if (!loop->handover)
        return wr_error_set(err, WR_TIMEOUT, "the store is too slow for a reload now");
    loop->handover->n_counts = 0;
    wr_engine_counts(loop->engine, loop->handover);
    for (uint32_t i = 0; i < loop->handover->n_counts; i++)
        loop->base[loop->handover->counts[i].account][loop->handover->counts[i].book] += loop->handover->counts[i].readings;
    loop->handover->n_counts = 0;
    loop->engine = engine;
    loop->counted_taken = 0;
    return WR_OK;
}

void wr_engine_loop_set_input(struct wr_engine_loop *loop, uint32_t slot, struct wr_channel *batches,
                              const struct wr_intake_counters *counters, uint32_t intake_account) {
    struct wr_engine_input *input = &loop->inputs[slot];
    for (unsigned book = 0; input->counters && !counters && input->intake_account < loop->n_base && book < WR_BOOKS; book++)
        loop->base[input->intake_account][book] += wr_intake_read(input->counters, book);
    *input = (struct wr_engine_input){.batches = batches, .counters = counters, .intake_account = intake_account};
    if (slot >= loop->n_inputs)
        loop->n_inputs = slot + 1;
}

void wr_engine_loop_no_more_inputs(struct wr_engine_loop *loop) {
    loop->no_more = true;
}

void wr_engine_loop_count_in_channel(struct wr_engine_loop *loop, uint64_t *in_channel) {
    for (uint32_t i = 0; i < loop->n_inputs; i++) {
        struct wr_batch **last = &loop->waiting[i];
        while (*last)
            last = &(*last)->next;
        struct wr_batch *batch;
        while (loop->inputs[i].batches && wr_channel_try_recv(loop->inputs[i].batches, &batch) == WR_OK) {
            batch->next = NULL;
            *last = batch;
            last = &batch->next;
        }
        in_channel[i] = 0;
        for (batch = loop->waiting[i]; batch; batch = batch->next)
            in_channel[i] += batch->n - (batch == loop->waiting[i] ? loop->waiting_from[i] : 0);
    }
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------------ */

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
    loop->flushed = flush(loop, true, WR_NEVER_NS) == WR_OK;
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
