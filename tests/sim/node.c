#include "tests/sim/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile/ruleset.h"
#include "tests/sim/check.h"

#define HANDOVERS 8
#define BATCHES 8
#define WINDOWS 3
#define MAX_COUNTS 1024

struct sim_node {
    struct sim_node_options options;
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    struct wr_ruleset *rules;
    uint32_t ids[SIM_SERIES];
    struct wr_window_spec windows[SIM_LAYOUTS][WINDOWS];
    uint32_t n_windows[SIM_LAYOUTS];
    struct wr_accounts accounts;
    uint32_t *map;
    struct wr_batch_pool pool;
    struct wr_channel *batches;
    struct wr_channel *actions;
    struct wr_intake_counters counters;
    struct wr_engine_loop engine;
    struct wr_store_loop store;
    struct wr_uplink_runner *uplink;
    enum { RUNS, STOPS_ENGINE, STOPS_UPLINK, STOPS_STORE } stop;
    struct wr_accounts before;   /* reload: what a refusal puts back */
    struct wr_request *told;     /* the store is told of the accounts */
    struct wr_request *exchange; /* then the engine exchanges */
    struct wr_request *new_uplink;
    struct wr_request *audit;
    uint32_t layout;
};

/* -- birth ------------------------------------------------------------------------------------------------------------------------------- */

static const char rules_text[] = "rules:\n  - {rule: hot, when: \"temp > 80\", by: room, severity: low, respond: \"open the door\"}\n";

static void make_windows(struct sim_node *node) {
    const struct wr_window_spec fast = {.name = "fast", .every_ns = node->options.window_ns, .lateness_ns = 2 * WR_NS_PER_S};
    const struct wr_window_spec slow = {.name = "slow", .every_ns = 6 * node->options.window_ns, .lateness_ns = 2 * WR_NS_PER_S};
    const struct wr_window_spec states = {.name = "states", .forward = WR_FORWARD_CHANGES};
    const struct wr_window_spec *layouts[SIM_LAYOUTS][WINDOWS] = {{&fast, &states}, {&fast, &states, &slow}, {&slow, &states}};
    for (uint32_t layout = 0; layout < SIM_LAYOUTS; layout++) {
        for (uint32_t i = 0; i < WINDOWS && layouts[layout][i]; i++) {
            struct wr_window_spec *spec = &node->windows[layout][node->n_windows[layout]++];
            *spec = *layouts[layout][i];
            const char *of = spec->forward == WR_FORWARD_CHANGES ? "door" : "temp";
            SIM_MUST(wr_selector_parse(of, strlen(of), &spec->of, NULL, NULL));
        }
    }
}

static void make_series(struct sim_node *node) {
    SIM_MUST(wr_series_table_new(64, &node->series, NULL));
    SIM_MUST(wr_symbol_table_new(64, &node->symbols, NULL));
    for (uint32_t i = 0; i < SIM_SERIES; i++) {
        char room[16], key[WR_SERIES_KEY_BYTES];
        size_t len;
        snprintf(room, sizeof room, "r%u", i);
        struct wr_tag tag = {.name = {"room", 4}, .value = {room, strlen(room)}};
        const struct wr_word name = {i == SIM_DOOR ? "door" : "temp", 4};
        SIM_MUST(wr_series_key_make(name, (struct wr_word){"value", 5}, &tag, 1, key, &len, NULL));
        SIM_MUST(wr_series_intern(node->series, key, len, &node->ids[i]));
    }
}

static struct wr_engine *make_engine(struct sim_node *node, uint32_t layout, struct wr_evaluator *evaluator, uint32_t **ret_map) {
    const char *names[] = {"plant"};
    struct wr_engine *engine;
    SIM_MUST(wr_accounts_map(&node->accounts, names, 1, node->windows[layout], node->n_windows[layout], ret_map, NULL));
    const struct wr_engine_options options = {.series = node->series,
                                              .symbols = node->symbols,
                                              .max_series = 64,
                                              .n_sources = 1,
                                              .windows = node->windows[layout],
                                              .n_windows = node->n_windows[layout],
                                              .lengths = &node->accounts.lengths,
                                              .accounts = *ret_map,
                                              .evaluator = evaluator};
    SIM_MUST(wr_engine_new(&options, &engine, NULL));
    return engine;
}

static uint32_t intake_account(const struct sim_node *node, uint32_t layout, const uint32_t *map) {
    return map[node->n_windows[layout] + 1];
}

static struct wr_channel *make_channel(const char *name, size_t capacity, size_t element_bytes) {
    const struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes};
    struct wr_channel *channel;
    SIM_MUST(wr_channel_new(&options, &channel, NULL));
    return channel;
}

static void on_notice(void *user, const struct wr_uplink_notice *notice) {
    (void)user, (void)notice;
}

/* Alarms are JSON on the wire; here as they are stored, so that the receiver can compare the bodies. */
static enum wr_result as_stored(void *user, enum wr_payload_format format, const struct wr_segment *segment, struct wr_buf *into,
                                struct wr_error *err) {
    (void)user, (void)format, (void)err;
    return wr_buf_append(into, segment->body, segment->body_len);
}

static void make_uplink(struct sim_node *node) {
    struct wr_uplink_runner_config config = {.uplink = wr_uplink_defaults(),
                                             .format = WR_PAYLOAD_SEGMENT,
                                             .encode = as_stored,
                                             .notify = on_notice,
                                             .requests = node->store.from_uplink,
                                             .replies = node->store.to_uplink,
                                             .clock = node->options.clock,
                                             .ops = node->options.ops,
                                             .self = node->options.session};
    config.uplink.window = node->options.uplink_window;
    SIM_MUST(wr_place_init(&config.place, "weir", "sim", "node", NULL));
    SIM_MUST(wr_uplink_runner_new(&config, &node->uplink, NULL));
}

static void make_store(struct sim_node *node) {
    node->store.clock = node->options.clock;
    node->store.path = node->options.directory;
    node->store.symbols = node->symbols;
    node->store.accounts = &node->accounts;
    node->store.options = (struct wr_store_options){.budget_bytes = node->options.budget_bytes,
                                                    .max_loss_ns = node->options.max_loss_ns,
                                                    .epoch = node->options.epoch,
                                                    .vfs = wr_fault_vfs_name(node->options.disk),
                                                    .ledger_every_ns = 600 * WR_NS_PER_S,
                                                    .node = "node"};
    SIM_MUST(wr_store_loop_init(&node->store, HANDOVERS, WR_UPLINK_WINDOW_MAX, NULL));
}

struct sim_node *sim_node_new(const struct sim_node_options *options) {
    struct sim_node *node = calloc(1, sizeof *node);
    struct wr_diagnostics diagnostics;
    struct wr_evaluator *evaluator;
    SIM_ASSERT(node, "no memory");
    node->options = *options;
    node->layout = options->layout;
    make_windows(node);
    make_series(node);
    wr_diagnostics_init(&diagnostics);
    SIM_MUST(wr_ruleset_load_text("rules.yaml", rules_text, strlen(rules_text), NULL, &diagnostics, &node->rules, NULL));
    wr_diagnostics_fini(&diagnostics);
    SIM_MUST(wr_evaluator_new(node->rules, node->series, node->symbols, &evaluator, NULL));
    SIM_MUST(wr_batch_pool_init(&node->pool, BATCHES, 0, NULL));
    node->batches = make_channel("batches", BATCHES, sizeof(struct wr_batch *));
    node->actions = make_channel("actions", 1024, sizeof(struct wr_alarm_entry));
    node->engine.clock = options->clock;
    node->engine.engine = make_engine(node, node->layout, evaluator, &node->map);
    SIM_MUST(wr_engine_loop_init(&node->engine, HANDOVERS, MAX_COUNTS, NULL));
    make_store(node);
    node->engine.to_store = node->store.from_engine;
    node->engine.to_journal = node->store.journal;
    node->engine.to_actions = node->actions;
    node->engine.fresh_stores = &node->store.fresh_stores;
    wr_engine_loop_set_input(&node->engine, 0, node->batches, &node->counters, intake_account(node, node->layout, node->map));
    make_uplink(node);
    return node;
}

void sim_node_restore(struct sim_node *node) {
    const struct wr_now now = wr_clock_now(node->options.clock);
    for (uint32_t i = 0; i < node->store.n_restored; i++)
        SIM_MUST(wr_evaluator_restore(wr_engine_evaluator(node->engine.engine), &node->store.restored[i], &now));
}

/* -- death ------------------------------------------------------------------------------------------------------------------------------- */

static void give_batches_back(struct sim_node *node) {
    struct wr_batch *batch;
    while ((batch = node->engine.waiting[0])) {
        node->engine.waiting[0] = batch->next;
        wr_batch_return(batch);
    }
    while (wr_channel_try_recv(node->batches, &batch) == WR_OK)
        wr_batch_return(batch);
}

void sim_node_free(struct sim_node *node) {
    struct wr_request *requests[] = {node->told, node->exchange, node->new_uplink, node->audit};
    give_batches_back(node);
    wr_uplink_runner_free(node->uplink);
    wr_engine_loop_fini(&node->engine);
    wr_store_loop_fini(&node->store);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        wr_request_release(requests[i]);
    wr_engine_free(node->engine.engine);
    wr_channel_free(node->batches);
    wr_channel_free(node->actions);
    wr_batch_pool_fini(&node->pool);
    free(node->map);
    wr_ruleset_free(node->rules);
    wr_series_table_free(node->series);
    wr_symbol_table_free(node->symbols);
    free(node);
}

void sim_node_kill(struct sim_node *node, enum wr_fault_kept kept) {
    wr_fault_vfs_cut(node->options.disk); /* nothing that is done from here on reaches it */
    wr_store_abandon(node->store.store);
    node->store.store = NULL;
    wr_fault_vfs_power(node->options.disk, kept);
    sim_node_free(node);
}

/* -- turns ------------------------------------------------------------------------------------------------------------------------------- */

static bool step_engine(struct sim_node *node, const struct wr_now *now, int64_t *ret_due) {
    struct wr_engine_received received;
    wr_engine_loop_receive(&node->engine, 0, &received);
    *ret_due = wr_engine_loop_turn(&node->engine, now, &received);
    return received.request || received.batch || received.handover || received.ended;
}

static bool step_store(struct sim_node *node, const struct wr_now *now, int64_t *ret_due) {
    struct wr_store_received received = {.from = WR_STORE_NOTHING};
    if (node->store.phase != WR_STORE_BEGINS)
        wr_store_loop_receive(&node->store, 0, &received);
    *ret_due = wr_store_loop_turn(&node->store, now, &received);
    return received.from != WR_STORE_NOTHING;
}

static bool step_uplink(struct sim_node *node, const struct wr_now *now, int64_t *ret_due) {
    struct wr_uplink_received received = {.from = WR_UPLINK_FROM_NOBODY};
    wr_uplink_runner_receive(node->uplink, 0, &received);
    const bool any = received.from != WR_UPLINK_FROM_NOBODY;
    *ret_due = wr_uplink_runner_turn(node->uplink, now, &received);
    return any;
}

bool sim_node_step(struct sim_node *node, enum sim_loop loop, int64_t *ret_due) {
    const struct wr_now now = wr_clock_now(node->options.clock);
    if (loop == SIM_ENGINE)
        return step_engine(node, &now, ret_due);
    return loop == SIM_STORE ? step_store(node, &now, ret_due) : step_uplink(node, &now, ret_due);
}

static uint64_t put_into(const struct wr_channel *channel) {
    struct wr_channel_stats stats;
    wr_channel_stats(channel, &stats);
    return stats.accepted + wr_channel_is_closed(channel);
}

uint64_t sim_node_inputs(const struct sim_node *node, enum sim_loop loop) {
    if (loop == SIM_ENGINE)
        return put_into(node->engine.requests) + put_into(node->batches) + put_into(node->engine.handovers.free);
    if (loop == SIM_STORE)
        return put_into(node->store.journal) + put_into(node->store.from_engine) + put_into(node->store.from_uplink) +
               put_into(node->store.requests);
    if (!node->uplink)
        return 0;
    return put_into(node->store.to_uplink) + put_into(wr_uplink_runner_events(node->uplink)) + (node->stop >= STOPS_UPLINK);
}

bool sim_node_ended(const struct sim_node *node, enum sim_loop loop) {
    if (loop == SIM_ENGINE)
        return node->engine.phase == WR_ENGINE_ENDED;
    return loop == SIM_STORE ? node->store.phase == WR_STORE_ENDED : !node->uplink || wr_uplink_runner_ended(node->uplink);
}

/* -- what comes in ------------------------------------------------------------------------------------------------------------------------- */

bool sim_node_give(struct sim_node *node, const struct sim_reading *readings, uint32_t n) {
    struct wr_batch *batch;
    if (wr_batch_take(&node->pool, &batch) != WR_OK)
        return false;
    const struct wr_now now = wr_clock_now(node->options.clock);
    wr_batch_stamp(batch, &now);
    for (uint32_t i = 0; i < n; i++)
        batch->readings[batch->n++] = (struct wr_reading){.series = node->ids[readings[i].series],
                                                          .event_ns = readings[i].event_ns,
                                                          .value.f = readings[i].value,
                                                          .type = WR_TYPE_FLOAT,
                                                          .decimals = 1};
    wr_intake_count(&node->counters, WR_BOOK_RECEIVED, n);
    SIM_MUST(wr_channel_try_send(node->batches, &batch)); /* it holds every batch that exists */
    return true;
}

uint32_t sim_node_take_actions(struct sim_node *node) {
    struct wr_alarm_entry entry;
    uint32_t n = 0;
    while (wr_channel_try_recv(node->actions, &entry) == WR_OK)
        n++;
    return n;
}

/* -- a clean stop -------------------------------------------------------------------------------------------------------------------------- */

void sim_node_begin_stop(struct sim_node *node) {
    node->stop = STOPS_ENGINE;
    wr_engine_loop_no_more_inputs(&node->engine);
    wr_channel_close(node->batches);
}

static void go_on_stopping(struct sim_node *node) {
    if (node->stop == STOPS_ENGINE && sim_node_ended(node, SIM_ENGINE)) {
        node->stop = STOPS_UPLINK;
        if (node->uplink)
            wr_uplink_runner_ask_to_stop(node->uplink, wr_clock_boot_ns(node->options.clock) + 5 * WR_NS_PER_S);
    }
    if (node->stop == STOPS_UPLINK && sim_node_ended(node, SIM_UPLINK)) {
        node->stop = STOPS_STORE;
        wr_channel_close(node->store.requests);
    }
}

bool sim_node_stopped(const struct sim_node *node) {
    return node->stop == STOPS_STORE && sim_node_ended(node, SIM_STORE);
}

/* -- reload ---------------------------------------------------------------------------------------------------------------------------------- */

struct exchange {
    struct sim_node *node;
    struct wr_engine *engine;
    uint32_t *map;
    uint32_t layout;
};

static void free_exchange(void *input) {
    struct exchange *exchange = input;
    wr_engine_free(exchange->engine);
    free(exchange->map);
    free(exchange);
}

/* As the agent does it, with the rules as they are. The store has no time to make room for what does not fit into the handovers that are free. */
static void run_exchange(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    struct exchange *exchange = request->input;
    struct sim_node *node = exchange->node;
    struct wr_engine *old = loop->engine;
    uint64_t in_channel[WR_ENGINE_INPUTS_MAX] = {0};
    wr_engine_loop_count_in_channel(loop, in_channel);
    enum wr_result result =
        wr_engine_loop_exchange(loop, exchange->engine, node->accounts.n, MAX_COUNTS, wr_clock_boot_ns(loop->clock), &request->error);
    if (result == WR_OK) {
        (void)!wr_engine_swap_evaluator(exchange->engine, wr_engine_swap_evaluator(old, NULL));
        exchange->engine = old;
        uint32_t *map = node->map;
        node->map = exchange->map;
        node->layout = exchange->layout;
        exchange->map = map;
    }
    wr_request_finish(request, result);
}

static struct wr_accounts *copy_of_accounts(const struct sim_node *node) {
    struct wr_accounts *accounts = malloc(sizeof *accounts);
    SIM_ASSERT(accounts, "no memory");
    *accounts = node->accounts;
    return accounts;
}

/* The store is told what holds. Nobody looks for the answer: without one it merges nothing. */
static void settle(struct sim_node *node, bool refused) {
    struct wr_request *request;
    if (refused)
        node->accounts = node->before;
    SIM_MUST(wr_request_new(wr_store_loop_accounts, copy_of_accounts(node), free, &request, NULL));
    (void)!wr_request_post(request, node->store.requests, NULL);
    wr_request_release(request);
}

bool sim_node_begin_reload(struct sim_node *node, uint32_t layout) {
    struct exchange *exchange = calloc(1, sizeof *exchange);
    SIM_ASSERT(exchange, "no memory");
    exchange->node = node;
    node->before = node->accounts;
    exchange->layout = layout;
    exchange->engine = make_engine(node, layout, NULL, &exchange->map);
    struct wr_accounts *accounts = copy_of_accounts(node);
    SIM_MUST(wr_request_new(run_exchange, exchange, free_exchange, &node->exchange, NULL));
    SIM_MUST(wr_request_new(wr_store_loop_expect, accounts, free, &node->told, NULL));
    if (wr_request_post(node->told, node->store.requests, NULL) == WR_OK)
        return true;
    wr_request_release(node->told);
    wr_request_release(node->exchange);
    node->told = node->exchange = NULL;
    node->accounts = node->before;
    return false;
}

bool sim_node_reloading(const struct sim_node *node) {
    return node->exchange != NULL;
}

static enum wr_result look(struct wr_request **request) {
    const enum wr_result result = wr_request_look(*request, NULL);
    if (result == WR_EMPTY)
        return WR_EMPTY;
    wr_request_release(*request);
    *request = NULL;
    return result;
}

static void go_on_reloading(struct sim_node *node) {
    if (node->told) {
        const enum wr_result told = look(&node->told);
        if (told == WR_EMPTY)
            return;
        SIM_ASSERT(told == WR_OK || node->stop, "the store does not take the accounts");
        if (told != WR_OK || wr_request_post(node->exchange, node->engine.requests, NULL) != WR_OK) {
            wr_request_release(node->exchange);
            node->exchange = NULL;
            settle(node, true);
            return;
        }
    }
    const enum wr_result exchanged = look(&node->exchange);
    if (exchanged != WR_EMPTY)
        settle(node, exchanged != WR_OK); /* refused: everything goes on as it was */
}

void sim_node_renew_uplink(struct sim_node *node) {
    if (!node->uplink)
        return; /* the last one is still being made */
    wr_uplink_runner_free(node->uplink);
    node->uplink = NULL;
    SIM_MUST(wr_request_new(wr_store_loop_new_uplink, NULL, NULL, &node->new_uplink, NULL));
    SIM_MUST(wr_request_post(node->new_uplink, node->store.requests, NULL));
}

void sim_node_go_on(struct sim_node *node) {
    if (node->new_uplink && look(&node->new_uplink) == WR_OK && !node->stop)
        make_uplink(node);
    if (node->exchange)
        go_on_reloading(node);
    if (node->stop)
        go_on_stopping(node);
}

/* -- audit ------------------------------------------------------------------------------------------------------------------------------------ */

bool sim_node_begin_audit(struct sim_node *node) {
    SIM_MUST(wr_audit_ask(&node->accounts, &node->audit, NULL));
    if (wr_request_post(node->audit, node->engine.requests, NULL) == WR_OK)
        return true;
    wr_request_release(node->audit);
    node->audit = NULL;
    return false;
}

bool sim_node_auditing(const struct sim_node *node) {
    return node->audit != NULL;
}

enum wr_result sim_node_look_for_audit(struct sim_node *node, struct wr_audit *ret_audit) {
    const enum wr_result result = wr_request_look(node->audit, NULL);
    if (result == WR_EMPTY)
        return WR_EMPTY;
    if (result == WR_OK)
        wr_audit_answer(node->audit, ret_audit);
    wr_request_release(node->audit);
    node->audit = NULL;
    return result;
}

/* -- looks ------------------------------------------------------------------------------------------------------------------------------------ */

struct wr_store *sim_node_store(struct sim_node *node) {
    return node->store.store;
}

const struct wr_store_report *sim_node_report(const struct sim_node *node) {
    return &node->store.report;
}

struct wr_channel *sim_node_events(struct sim_node *node) {
    return node->uplink ? wr_uplink_runner_events(node->uplink) : NULL;
}

uint64_t sim_node_received(const struct sim_node *node) {
    return wr_intake_read(&node->counters, WR_BOOK_RECEIVED);
}

int64_t sim_node_counted(const struct sim_node *node) {
    const int64_t wall_ns = node->store.counted_wall_ns, now_ns = wr_clock_wall_ns(node->options.clock);
    return wall_ns == 0 ? 0 : wr_clock_boot_ns(node->options.clock) - (now_ns - wall_ns);
}

uint64_t sim_node_commits(const struct sim_node *node) {
    return node->store.store ? wr_store_stats(node->store.store)->book_commits : 0;
}

uint32_t sim_node_layout(const struct sim_node *node) {
    return node->layout;
}
