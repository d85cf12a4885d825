#include "agent/loops/engine_loop_private.h"

#include <stdlib.h>

#include "core/log.h"
#include "core/thread.h"

static void drop_request(void *element, void *user) {
    (void)user;
    wr_request_finish(*(struct wr_request **)element, WR_CLOSED);
}

enum wr_result wr_engine_loop_init(struct wr_engine_loop *loop, uint32_t handovers, uint32_t max_counts, struct wr_error *err) {
    const struct wr_channel_options options = {
        .name = "engine requests", .capacity = 16, .element_bytes = sizeof(struct wr_request *), .drop = drop_request};
    WR_TRY(wr_channel_new(&options, &loop->requests, err));
    enum wr_result result = wr_handover_pool_init(&loop->handovers, handovers, max_counts, err);
    if (result == WR_OK && (result = wr_kept_pool_init(&loop->kept_pool, err)) != WR_OK)
        wr_handover_pool_fini(&loop->handovers);
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
    if (loop->kept_pool.free)
        wr_kept_pool_fini(&loop->kept_pool);
    wr_channel_free(loop->requests);
    loop->requests = NULL;
    free(loop->base);
    loop->base = NULL;
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
    shown->moved = stats.moved;
    shown->historic = stats.historic;
    shown->skewed = stats.skewed;
    shown->skewed_series = stats.skewed_series;
    shown->skew_ns = stats.skew_ns;
    shown->late = stats.late;
    shown->bad = stats.bad;
    shown->aggregates = stats.aggregates;
    shown->widened = stats.widened;
    shown->unkept = loop->unkept_before + stats.unkept;
    shown->open_windows = stats.open_windows;
    shown->engine_bytes = stats.bytes;
    wr_engine_shadow_show(&loop->shadow, boot_ns);
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
static bool take_waiting(struct wr_engine_loop *loop, uint32_t input, const struct wr_now *now) {
    struct wr_batch *batch = loop->waiting[input];
    while (loop->waiting_from[input] < batch->n) {
        wr_engine_loop_want_handover(loop);
        wr_engine_loop_want_kept(loop, now->boot_ns);
        loop->shadow.tap.n = 0;
        uint32_t taken = wr_engine_take(loop->engine, batch, loop->waiting_from[input], now, &loop->out);
        loop->waiting_from[input] += taken;
        wr_engine_loop_drain_alarms(loop);
        wr_engine_shadow_feed(loop, wr_engine_evaluator(loop->engine), batch->arrival_boot_ns, now); /* behind the rules in force */
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
bool wr_engine_loop_finish_waiting(struct wr_engine_loop *loop) {
    for (uint32_t i = 0; i < loop->n_inputs; i++) {
        while (loop->waiting[i]) {
            const struct wr_now now = wr_clock_now(loop->clock);
            if (!take_waiting(loop, i, &now))
                return false;
        }
    }
    return true;
}

static bool all_ended(const struct wr_engine_loop *loop) {
    for (uint32_t i = 0; i < loop->n_inputs; i++)
        if ((loop->inputs[i].batches && !loop->inputs[i].ended) || loop->waiting[i])
            return false;
    return loop->no_more && loop->out.alarms.n == 0; /* a raise that finds no room among the actions yet is waited for */
}

static void run_request(struct wr_engine_loop *loop, struct wr_request *request) {
    wr_engine_loop_drain_alarms(loop);
    request->run(request, loop);
    wr_engine_loop_drain_alarms(loop);
}

/* Requests and inputs in rotation; no batch while something is in hand. At the end only handovers that come back from the store. */
void wr_engine_loop_receive(struct wr_engine_loop *loop, int64_t deadline_boot_ns, struct wr_engine_received *ret_received) {
    struct wr_channel_case cases[WR_ENGINE_INPUTS_MAX + 2];
    struct wr_engine_received received = {0};
    struct wr_batch *batch[WR_ENGINE_INPUTS_MAX] = {NULL};
    const bool runs = loop->phase == WR_ENGINE_RUNS;
    size_t n = 0;
    cases[n++] =
        (struct wr_channel_case){.channel = runs ? loop->requests : NULL, .direction = WR_CHANNEL_RECV, .element = &received.request};
    for (uint32_t i = 0; i < loop->n_inputs; i++, n++) {
        bool wanted = runs && loop->clear && !loop->inputs[i].ended && !loop->waiting[i];
        cases[n] = (struct wr_channel_case){
            .channel = wanted ? loop->inputs[i].batches : NULL, .direction = WR_CHANNEL_RECV, .element = &batch[i]};
    }
    if (loop->phase == WR_ENGINE_FLUSHES && !loop->handover)
        cases[n++] = (struct wr_channel_case){.channel = loop->handovers.free, .direction = WR_CHANNEL_RECV, .element = &received.handover};
    size_t index;
    *ret_received = received;
    if (wr_channel_select(cases, n, &loop->turn, deadline_boot_ns, &index) != WR_OK)
        return;
    bool taken = cases[index].result == WR_OK;
    if (index > 0 && index <= loop->n_inputs) {
        received.input = (uint32_t)index - 1;
        received.ended = !taken;
        received.batch = taken ? batch[received.input] : NULL;
    }
    *ret_received = received;
}

static void take(struct wr_engine_loop *loop, const struct wr_now *now, const struct wr_engine_received *received) {
    if (received->request)
        run_request(loop, received->request);
    if (received->handover)
        loop->handover = received->handover;
    if (received->ended)
        loop->inputs[received->input].ended = true;
    if (!received->batch)
        return;
    received->batch->next = NULL;
    loop->waiting[received->input] = received->batch;
    loop->waiting_from[received->input] = 0;
    (void)take_waiting(loop, received->input, now);
}

/* Until when nothing has to be done without a message. */
static int64_t next_deadline(const struct wr_engine_loop *loop, int64_t boot_ns) {
    bool held_up = loop->out.alarms.n > 0 || !loop->handover || loop->handover->n == WR_HANDOVER_AGGREGATES;
    if (held_up)
        return boot_ns + WR_NS_PER_MS; /* look again: others make the room. What is overdue must not make it spin meanwhile */
    int64_t deadline = wr_engine_next_timer(loop->engine);
    if (loop->handover && loop->handover->n > 0 && loop->handover_since_boot_ns + WR_ENGINE_HANDOVER_AGE_NS < deadline)
        deadline = loop->handover_since_boot_ns + WR_ENGINE_HANDOVER_AGE_NS;
    if (loop->counts_due_boot_ns < deadline)
        deadline = loop->counts_due_boot_ns;
    if (loop->kept && loop->kept->n > 0 && loop->kept->since_boot_ns + WR_ENGINE_KEPT_AGE_NS < deadline)
        deadline = loop->kept->since_boot_ns + WR_ENGINE_KEPT_AGE_NS;
    bool snapshots = loop->snapshotting || loop->resnapshot;
    if (snapshots && deadline > boot_ns + WR_ENGINE_SNAPSHOT_PAUSE_NS)
        deadline = boot_ns + WR_ENGINE_SNAPSHOT_PAUSE_NS; /* slice after slice, also when no reading comes */
    return deadline;
}

/* -- turns ------------------------------------------------------------------------------------------------------------------------------- */

/* Step 2 of the ladder of backpressure. Said each turn, since a reload exchanges the engine. */
static void feel_pressure(struct wr_engine_loop *loop) {
    const uint64_t why = loop->high_water ? atomic_load_explicit(loop->high_water, memory_order_relaxed) : 0;
    const bool high = why != 0;
    wr_engine_widen(loop->engine, high);
    if (high == loop->widens)
        return;
    loop->widens = high;
    if (high)
        WR_LOG(WR_LOG_WARN, "engine",
               (why & WR_STORE_PRESSURE_ROOM) != 0
                   ? "the outbox is above its high-water mark: windows that open are longer until it has drained"
                   : "the write budget of the store is tight: windows that open are longer until it is not");
    else
        WR_LOG(WR_LOG_INFO, "engine", "the pressure on the store is over: windows are as configured again");
}

static int64_t do_what_is_due(struct wr_engine_loop *loop, const struct wr_now *now) {
    feel_pressure(loop);
    wr_engine_loop_want_handover(loop);
    wr_engine_loop_drain_alarms(loop);
    bool more = false;
    if (loop->out.alarms.n == 0)
        more = wr_engine_timers(loop->engine, now, WR_ENGINE_TIMER_SLICE, &loop->out);
    wr_engine_loop_drain_alarms(loop);
    wr_engine_loop_hand_over_due(loop, now->boot_ns);
    wr_engine_loop_kept_due(loop, now->boot_ns);
    wr_engine_loop_snapshot(loop, now->boot_ns);
    if (loop->out.alarms.n == 0)
        wr_engine_figures_turn(&loop->figures, loop->engine, now, &loop->out.alarms);
    wr_engine_loop_drain_alarms(loop);
    const int64_t shadow_due_ns = wr_engine_shadow_turn(loop, wr_engine_evaluator(loop->engine), now);
    show_stats(loop, now->boot_ns);
    loop->clear = loop->out.alarms.n == 0 && wr_engine_loop_finish_waiting(loop);
    bool room = loop->handover && loop->handover->n < WR_HANDOVER_AGGREGATES;
    if (more && room)
        return 0;
    const int64_t deadline = next_deadline(loop, now->boot_ns);
    return shadow_due_ns < deadline ? shadow_due_ns : deadline;
}

int64_t wr_engine_loop_turn(struct wr_engine_loop *loop, const struct wr_now *now, const struct wr_engine_received *received) {
    take(loop, now, received);
    if (loop->phase == WR_ENGINE_RUNS && !all_ended(loop))
        return do_what_is_due(loop, now);
    int64_t due_boot_ns = wr_engine_loop_end_turn(loop, now->boot_ns);
    if (loop->phase == WR_ENGINE_ENDED) {
        loop->show_due_boot_ns = 0;
        show_stats(loop, now->boot_ns);
    }
    return due_boot_ns;
}

static void *run(void *user) {
    struct wr_engine_loop *loop = user;
    struct wr_engine_received received = {0};
    wr_thread_name("weir-engine");
    while (loop->phase != WR_ENGINE_ENDED) {
        const struct wr_now now = wr_clock_now(loop->clock);
        const int64_t due_boot_ns = wr_engine_loop_turn(loop, &now, &received);
        if (loop->phase != WR_ENGINE_ENDED)
            wr_engine_loop_receive(loop, due_boot_ns, &received);
    }
    return NULL;
}

enum wr_result wr_engine_loop_start(struct wr_engine_loop *loop, struct wr_error *err) {
    return wr_thread_start(&loop->thread, run, loop, "engine", err);
}

enum wr_result wr_engine_loop_join(struct wr_engine_loop *loop, int64_t deadline_boot_ns) {
    return wr_thread_join(loop->thread, deadline_boot_ns);
}
