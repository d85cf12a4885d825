/* What one reading costs, stage by stage: the step functions of the agent on one thread, without sockets and loops.
 *
 *   bench_stages READINGS DIRECTORY
 *
 * Each row runs the whole chain up to its stage: lines are parsed and their series found (as a line source does it, batches and channel
 * included); then the engine with so many quiet limits a series; then with a window of one minute; then with a store below DIRECTORY. The text
 * is made outside of the clock, 64 KB at a time, so it lies in the cache as it does after a read. At the end open windows are flushed and
 * committed: in the figure too. What comes out is counted: a wrong count ends the program with 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/codec/line.h"
#include "agent/sources/intake.h"
#include "core/buf.h"
#include "rules/compile/ruleset.h"
#include "rules/diagnostics/diagnostics.h"
#include "rules/engine/engine.h"
#include "store/store.h"
#include "tests/bench/input.h"

#define CHUNK_BYTES 65536
#define BATCHES 8
#define ALARMS 16

enum stage { STAGE_PARSE, STAGE_RULES, STAGE_WINDOWS, STAGE_STORE };

struct chain {
    enum stage stage;
    struct wr_config_source config;
    struct wr_config_limits limits;
    struct wr_intake_counters counters;
    struct wr_source_env env;
    struct wr_batch_pool pool;
    struct wr_intake intake;
    struct wr_line_parser *parser;
    struct wr_ruleset *rules;
    struct wr_window_spec window;
    struct wr_engine *engine;
    struct wr_handover_pool handovers;
    struct wr_store *store;
    struct wr_engine_out out;
    struct wr_alarm_entry alarms[ALARMS];
    uint32_t accounts[3]; /* m1, none, intake */
    uint64_t taken;
    uint64_t in_windows;
};

static void must(enum wr_result result, const char *what, const struct wr_error *err) {
    if (result == WR_OK)
        return;
    fprintf(stderr, "bench_stages: %s: %s: %s\n", what, wr_result_name(result), err ? err->text : "");
    exit(2);
}

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* -- making a chain -------------------------------------------------------------------------------------------------------------------- */

static void start_source(struct chain *chain, uint32_t series) {
    struct wr_error err = {0};
    chain->config.name = (char[]){"bench"};
    chain->limits =
        (struct wr_config_limits){.max_series = series + 1, .max_symbols = 16, .batches = BATCHES, .max_line_bytes = CHUNK_BYTES};
    chain->env = (struct wr_source_env){
        .config = &chain->config, .limits = &chain->limits, .clock = wr_clock_real(), .pool = &chain->pool, .counters = &chain->counters};
    must(wr_series_table_new(series + 1, &chain->env.series, &err), "series", &err);
    must(wr_symbol_table_new(16, &chain->env.symbols, &err), "symbols", &err);
    must(wr_batch_pool_init(&chain->pool, BATCHES, 0, &err), "batches", &err);
    const struct wr_channel_options options = {
        .name = "source to engine", .capacity = BATCHES, .element_bytes = sizeof(struct wr_batch *), .policy = WR_CHANNEL_REJECT};
    must(wr_channel_new(&options, &chain->env.to_engine, &err), "channel", &err);
    chain->parser = malloc(sizeof *chain->parser);
    if (!chain->parser)
        exit(2);
    wr_line_parser_init(chain->parser, WR_PRECISION_NS, CHUNK_BYTES);
    wr_intake_init(&chain->intake, &chain->env);
}

static struct wr_evaluator *make_rules(struct chain *chain, uint32_t limits) {
    struct wr_error err = {0};
    struct wr_buf text;
    struct wr_diagnostics diagnostics;
    struct wr_evaluator *evaluator = NULL;
    wr_buf_init(&text, 0);
    wr_diagnostics_init(&diagnostics);
    must(wr_buf_text(&text, "weir: 1\nrules:\n"), "rules", NULL);
    for (uint32_t i = 0; i < limits; i++)
        must(wr_buf_printf(&text, "  - {rule: high_%u, when: temps > %u, by: sensor, severity: low}\n", i, 1000 + i), "rules", NULL);
    if (wr_ruleset_load_text("bench", wr_buf_str(&text), text.len, NULL, &diagnostics, &chain->rules, &err) != WR_OK) {
        struct wr_buf shown;
        wr_buf_init(&shown, 0);
        must(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &shown), "diagnostics", NULL);
        fprintf(stderr, "%s\n", wr_buf_str(&shown));
        exit(2);
    }
    must(wr_evaluator_new(chain->rules, chain->env.series, chain->env.symbols, &evaluator, &err), "evaluator", &err);
    wr_diagnostics_fini(&diagnostics);
    wr_buf_fini(&text);
    return evaluator;
}

static void start_engine(struct chain *chain, uint32_t limits) {
    struct wr_error err = {0};
    uint32_t windows = chain->stage >= STAGE_WINDOWS ? 1 : 0;
    chain->window = (struct wr_window_spec){.name = "m1", .every_ns = INPUT_WINDOW_NS, .lateness_ns = WR_WINDOW_LATENESS_NS};
    must(wr_selector_parse("*", 1, &chain->window.of, NULL, &err), "selector", &err);
    for (uint32_t i = 0; i < 3; i++)
        chain->accounts[i] = i;
    const struct wr_engine_options options = {.series = chain->env.series,
                                              .symbols = chain->env.symbols,
                                              .max_series = chain->limits.max_series,
                                              .n_sources = 1,
                                              .windows = &chain->window,
                                              .n_windows = windows,
                                              .accounts = windows ? chain->accounts : chain->accounts + 1,
                                              .evaluator = limits ? make_rules(chain, limits) : NULL};
    must(wr_engine_new(&options, &chain->engine, &err), "engine", &err);
    must(wr_handover_pool_init(&chain->handovers, 2, wr_engine_max_counts(1, 1) + WR_BOOKS, &err), "handovers", &err);
    must(wr_handover_take(&chain->handovers, &chain->out.handover), "handover", NULL);
    chain->out.alarms = (struct wr_alarm_out){.entries = chain->alarms, .cap = ALARMS};
}

static void start_store(struct chain *chain, const char *directory) {
    struct wr_error err = {0};
    struct wr_store_report report;
    const struct wr_account accounts[] = {{"bench", "m1"}, {"bench", WR_LEDGER_NONE}, {"bench", WR_LEDGER_INTAKE}};
    const struct wr_store_options options = {.budget_bytes = UINT64_C(256) << 20, .max_loss_ns = 15 * WR_NS_PER_S, .node = "bench"};
    const struct wr_now now = wr_clock_now(wr_clock_real());
    if (mkdir(directory, 0700) < 0)
        must(WR_EXISTS, directory, NULL);
    must(wr_store_open(directory, &options, &now, chain->env.symbols, &chain->store, &report, &err), "store", &err);
    must(wr_store_accounts(chain->store, accounts, 3, true, &err), "accounts", &err);
}

static void stop(struct chain *chain) {
    const struct wr_now now = wr_clock_now(wr_clock_real());
    wr_intake_fini(&chain->intake);
    wr_line_parser_fini(chain->parser);
    free(chain->parser);
    if (chain->engine) {
        wr_handover_return(chain->out.handover);
        wr_engine_free(chain->engine);
        wr_ruleset_free(chain->rules);
        wr_handover_pool_fini(&chain->handovers);
    }
    must(chain->store ? wr_store_close(chain->store, &now, NULL) : WR_OK, "closing the store", NULL);
    wr_batch_pool_close(&chain->pool);
    wr_channel_free(chain->env.to_engine);
    wr_batch_pool_fini(&chain->pool);
    wr_series_table_free(chain->env.series);
    wr_symbol_table_free(chain->env.symbols);
}

/* -- one chunk of text ----------------------------------------------------------------------------------------------------------------- */

static void pass_on_handover(struct chain *chain, const struct wr_now *now) {
    struct wr_handover *handover = chain->out.handover;
    for (uint32_t i = 0; i < handover->n; i++)
        chain->in_windows += handover->aggregates[i].n;
    if (chain->store) {
        struct wr_error err = {0};
        uint32_t taken;
        wr_engine_counts(chain->engine, handover);
        must(wr_store_take(chain->store, handover, 0, now, &taken, &err), "store", &err);
    }
    wr_handover_return(handover);
    must(wr_handover_take(&chain->handovers, &chain->out.handover), "handover", NULL);
}

static void to_engine(struct chain *chain, struct wr_batch *batch, const struct wr_now *now) {
    for (uint32_t from = 0; from < batch->n;) {
        from += wr_engine_take(chain->engine, batch, from, now, &chain->out);
        if (chain->out.handover->n == WR_HANDOVER_AGGREGATES)
            pass_on_handover(chain, now);
        if (chain->out.alarms.n > 0)
            must(WR_INVALID, "an alarm, but all limits are quiet", NULL);
    }
    while (wr_engine_next_timer(chain->engine) <= now->boot_ns && wr_engine_timers(chain->engine, now, 64, &chain->out))
        pass_on_handover(chain, now);
}

static void drain(struct chain *chain, const struct wr_now *now) {
    struct wr_batch *batch;
    while (wr_channel_try_recv(chain->env.to_engine, &batch) == WR_OK) {
        chain->taken += batch->n;
        if (chain->engine)
            to_engine(chain, batch, now);
        wr_batch_return(batch);
    }
}

static void take_text(struct chain *chain, const char *text, size_t len, uint64_t *line) {
    const struct wr_now now = wr_clock_now(wr_clock_real());
    wr_intake_arrived(&chain->intake, &now);
    for (size_t at = 0; at < len;) {
        size_t consumed = 0;
        enum wr_result result = wr_line_feed(chain->parser, text + at, len - at, false, line, &chain->intake.sink, &consumed);
        if (result != WR_FULL)
            must(result, "parser", NULL);
        at += consumed;
        wr_intake_hand_over(&chain->intake);
        drain(chain, &now);
    }
}

static void finish(struct chain *chain) {
    const struct wr_now now = wr_clock_now(wr_clock_real());
    struct wr_error err = {0};
    while (chain->engine && wr_engine_flush(chain->engine, &now, &chain->out))
        pass_on_handover(chain, &now);
    if (chain->engine)
        pass_on_handover(chain, &now);
    if (chain->store)
        must(wr_store_flush(chain->store, &now, &err), "flush", &err);
}

/* -- one row --------------------------------------------------------------------------------------------------------------------------- */

static uint64_t stored(struct chain *chain) {
    struct wr_account_balance *balances;
    uint32_t n;
    uint64_t sum = 0;
    must(wr_store_balances(chain->store, &balances, &n), "balances", NULL);
    for (uint32_t i = 0; i < n; i++)
        sum += wr_balance_held(&balances[i]);
    free(balances);
    return sum;
}

static void check(const char *what, uint64_t is, uint64_t should_be) {
    if (is == should_be)
        return;
    fprintf(stderr, "bench_stages: %s: %" PRIu64 " readings instead of %" PRIu64 "\n", what, is, should_be);
    exit(1);
}

static void run(const char *name, enum stage stage, uint32_t series, uint32_t limits, uint64_t readings, const char *directory) {
    static char text[CHUNK_BYTES];
    struct chain *chain = calloc(1, sizeof *chain);
    if (!chain)
        exit(2);
    chain->stage = stage;
    start_source(chain, series);
    if (stage > STAGE_PARSE)
        start_engine(chain, limits);
    if (stage == STAGE_STORE)
        start_store(chain, directory);
    int64_t start_ns = input_start_ns(wr_clock_wall_ns(wr_clock_real()), readings, series);
    uint64_t line = 0;
    uint64_t measured = 0;
    double spent_ns = 0;
    for (uint64_t i = 0; i < readings;) {
        char *end = text;
        uint64_t first = i;
        for (; i < readings && end + INPUT_LINE_MAX <= text + sizeof text; i++)
            end = input_line(end, "temps", i, series, input_time_ns(start_ns, i, series));
        double before_ns = cpu_ns();
        take_text(chain, text, (size_t)(end - text), &line);
        if (first < series)
            continue; /* the first round makes series, instances and states */
        spent_ns += cpu_ns() - before_ns;
        measured += i - first;
    }
    double before_ns = cpu_ns();
    finish(chain);
    spent_ns += cpu_ns() - before_ns;
    printf("%s series %u limits %u ns_a_reading %.2f\n", name, series, limits, spent_ns / (double)measured);
    fflush(stdout);
    check("taken", chain->taken, readings);
    check("in windows", stage >= STAGE_WINDOWS ? chain->in_windows : readings, readings);
    check("stored", stage == STAGE_STORE ? stored(chain) : readings, readings);
    stop(chain);
    free(chain);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: bench_stages READINGS DIRECTORY\n");
        return 2;
    }
    uint64_t readings = strtoull(argv[1], NULL, 10);
    run("parse", STAGE_PARSE, 10000, 0, readings, NULL);
    run("rules", STAGE_RULES, 100, 0, readings, NULL);
    run("rules", STAGE_RULES, 100, 1, readings, NULL);
    run("rules", STAGE_RULES, 100, 10, readings, NULL);
    run("rules", STAGE_RULES, 100, 1000, readings, NULL);
    run("rules", STAGE_RULES, 10000, 3, readings, NULL);
    run("windows", STAGE_WINDOWS, 10000, 3, readings, NULL);
    run("store", STAGE_STORE, 10000, 3, readings, argv[2]);
    return 0;
}
