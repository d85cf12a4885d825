/* The engine's loop between channels that are full, a store that stands still, and a reload: no raise is lost, and the ledger balances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/loops/engine_loop_private.h"
#include "rules/compile/ruleset.h"
#include "tests/support/failing.h"
#include "tests/support/waiting.h"

#define ROOMS 50
#define BATCHES 8
#define WINDOWS 1
#define ACCOUNTS (WINDOWS + 2)
#define ACCOUNT_NONE 1
#define ACCOUNT_INTAKE 2

static const uint32_t account_map[ACCOUNTS] = {0, ACCOUNT_NONE, ACCOUNT_INTAKE};

/* A clock that counts how often it is looked at: a loop that turns without waiting gives itself away. */
static _Atomic uint64_t looks;

static int64_t look_boot_ns(const struct wr_clock *clock) {
    (void)clock;
    looks++;
    return wr_clock_boot_ns(wr_clock_real());
}
static int64_t look_wall_ns(const struct wr_clock *clock) {
    (void)clock;
    return wr_clock_wall_ns(wr_clock_real());
}
static bool look_trusted(const struct wr_clock *clock) {
    (void)clock;
    return true;
}
static uint64_t look_random(const struct wr_clock *clock) {
    (void)clock;
    return 4;
}

static const struct wr_clock_ops look_ops = {look_boot_ns, look_wall_ns, look_trusted, look_random};
static const struct wr_clock look_clock = {&look_ops};

struct bed {
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    struct wr_ruleset *rules;
    struct wr_window_spec window;
    struct wr_batch_pool pool;
    struct wr_channel *batches;
    struct wr_intake_counters counters;
    struct wr_engine_loop loop;
    uint32_t rooms[ROOMS];
    uint64_t sent;
    /* What came to the store. */
    uint64_t handed; /* readings in aggregates */
    uint64_t books[WR_BOOKS];
    uint64_t received; /* of the intake */
    bool final;
};

static struct bed bed;

static struct wr_channel *make_channel(const char *name, size_t capacity, size_t element_bytes) {
    const struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes};
    struct wr_channel *channel;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    return channel;
}

static struct wr_engine *make_engine(void) {
    struct wr_evaluator *evaluator;
    struct wr_engine *engine;
    assert_int_equal(wr_evaluator_new(bed.rules, bed.series, bed.symbols, &evaluator, NULL), WR_OK);
    const struct wr_engine_options options = {.series = bed.series,
                                              .symbols = bed.symbols,
                                              .max_series = 64,
                                              .n_sources = 1,
                                              .windows = &bed.window,
                                              .n_windows = WINDOWS,
                                              .accounts = account_map,
                                              .evaluator = evaluator};
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_OK);
    return engine;
}

static void begin(int64_t every_ns, uint32_t handovers, size_t actions, size_t journal) {
    static const char rules[] = "rules:\n  - {rule: hot, when: \"temp > 50\", by: room, severity: low, respond: \"open the door\"}\n";
    struct wr_diagnostics diagnostics;
    memset(&bed, 0, sizeof bed);
    wr_diagnostics_init(&diagnostics);
    assert_int_equal(wr_ruleset_load_text("rules.yaml", rules, strlen(rules), NULL, &diagnostics, &bed.rules, NULL), WR_OK);
    wr_diagnostics_fini(&diagnostics);
    assert_int_equal(wr_series_table_new(64, &bed.series, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(64, &bed.symbols, NULL), WR_OK);
    for (uint32_t i = 0; i < ROOMS; i++) {
        char name[16], key[WR_SERIES_KEY_BYTES];
        size_t len;
        snprintf(name, sizeof name, "r%u", i);
        struct wr_tag tag = {.name = {"room", 4}, .value = {name, strlen(name)}};
        assert_int_equal(wr_series_key_make((struct wr_word){"temp", 4}, (struct wr_word){"value", 5}, &tag, 1, key, &len, NULL), WR_OK);
        assert_int_equal(wr_series_intern(bed.series, key, len, &bed.rooms[i]), WR_OK);
    }
    snprintf(bed.window.name, sizeof bed.window.name, "w");
    bed.window.every_ns = every_ns;
    assert_int_equal(wr_selector_parse("*", 1, &bed.window.of, NULL, NULL), WR_OK);
    assert_int_equal(wr_batch_pool_init(&bed.pool, BATCHES, 0, NULL), WR_OK);
    bed.batches = make_channel("batches", BATCHES, sizeof(struct wr_batch *));
    struct wr_engine_loop *loop = &bed.loop;
    loop->clock = &look_clock;
    loop->engine = make_engine();
    assert_int_equal(wr_engine_loop_init(loop, handovers, wr_engine_max_counts(1, WINDOWS) + ACCOUNTS * WR_BOOKS, NULL), WR_OK);
    loop->to_store = make_channel("store", handovers + 4, sizeof(struct wr_store_message));
    loop->to_actions = make_channel("actions", actions, sizeof(struct wr_alarm_entry));
    loop->to_journal = make_channel("journal", journal, sizeof(struct wr_alarm_entry));
    wr_engine_loop_set_input(loop, 0, bed.batches, &bed.counters, ACCOUNT_INTAKE);
}

static void end(void) {
    struct wr_batch *batch;
    while (wr_channel_try_recv(bed.batches, &batch) == WR_OK)
        wr_batch_return(batch);
    wr_channel_free(bed.loop.to_store);
    wr_channel_free(bed.loop.to_actions);
    wr_channel_free(bed.loop.to_journal);
    wr_engine_loop_fini(&bed.loop);
    wr_engine_free(bed.loop.engine);
    wr_channel_free(bed.batches);
    wr_batch_pool_fini(&bed.pool);
    wr_ruleset_free(bed.rules);
    wr_series_table_free(bed.series);
    wr_symbol_table_free(bed.symbols);
}

/* One reading of this value for each room, as soon as the engine lets go of a batch. */
static void send_rooms(double value) {
    struct wr_batch *batch;
    assert_int_equal(wr_batch_wait(&bed.pool, WR_NEVER_NS, &batch), WR_OK);
    const struct wr_now now = wr_clock_now(wr_clock_real());
    wr_batch_stamp(batch, &now);
    for (uint32_t i = 0; i < ROOMS; i++)
        batch->readings[batch->n++] =
            (struct wr_reading){.series = bed.rooms[i], .event_ns = now.wall_ns, .value.f = value, .type = WR_TYPE_FLOAT, .decimals = 1};
    wr_intake_count(&bed.counters, WR_BOOK_RECEIVED, ROOMS);
    bed.sent += ROOMS;
    assert_int_equal(wr_channel_try_send(bed.batches, &batch), WR_OK);
}

/* The store: takes one handover, at the latest when the watchdog does. */
static void take_handover(void) {
    struct wr_store_message message;
    assert_int_equal(wr_channel_recv(bed.loop.to_store, &message, WR_NEVER_NS), WR_OK);
    for (uint32_t i = 0; i < message.handover->n; i++)
        bed.handed += message.handover->aggregates[i].n + message.handover->aggregates[i].bad;
    for (uint32_t i = 0; i < message.handover->n_counts; i++) {
        const struct wr_account_count *count = &message.handover->counts[i];
        uint64_t *book = count->account == ACCOUNT_INTAKE ? &bed.received : &bed.books[count->book];
        if (count->account == ACCOUNT_NONE || (count->account == ACCOUNT_INTAKE && count->book != WR_BOOK_RECEIVED))
            continue;
        assert_true(count->readings >= *book); /* counts never go back */
        *book = count->readings;
    }
    bed.final = message.handover->final;
    wr_handover_return(message.handover);
}

static void take_what_is_there(void) {
    struct wr_channel_stats stats;
    for (wr_channel_stats(bed.loop.to_store, &stats); stats.depth > 0; stats.depth--)
        take_handover();
}

/* Sends until all handovers are under way, and over some windows more, which have nowhere to go. */
static void exhaust_handovers(void) {
    struct wr_channel_stats stats;
    do {
        send_rooms(20);
        wr_channel_stats(bed.loop.to_store, &stats);
    } while (stats.depth < bed.loop.handovers.n);
    int64_t until = wr_clock_boot_ns(wr_clock_real()) + 5 * bed.window.every_ns;
    while (wr_clock_boot_ns(wr_clock_real()) < until)
        send_rooms(20);
}

static void start(void) {
    assert_int_equal(wr_engine_loop_start(&bed.loop, NULL), WR_OK);
}

static void let_it_end(void) {
    wr_engine_loop_no_more_inputs(&bed.loop);
    wr_channel_close(bed.batches);
}

static void everything_was_handed_over(void) {
    while (!bed.final)
        take_handover();
    assert_int_equal(wr_engine_loop_join(&bed.loop, WR_NEVER_NS), WR_OK);
    assert_true(bed.loop.flushed);
    assert_int_equal(bed.received, bed.sent);
    assert_int_equal(bed.books[WR_BOOK_TAKEN], bed.sent);
    assert_int_equal(bed.handed, bed.sent);
}

static void everything_was_handed_over_by_turns(void) {
    while (!bed.final)
        take_handover();
    assert_int_equal(bed.loop.phase, WR_ENGINE_ENDED);
    assert_true(bed.loop.flushed);
    assert_int_equal(bed.books[WR_BOOK_TAKEN], bed.sent);
    assert_int_equal(bed.handed, bed.sent);
}

static void expect_transitions(uint32_t n, enum wr_alarm_cause cause) {
    struct wr_alarm_entry entry;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(wr_channel_recv(bed.loop.to_actions, &entry, WR_NEVER_NS), WR_OK);
        assert_int_equal(entry.alarm.cause, cause);
    }
}

/* -- full channels --------------------------------------------------------------------------------------------------------------------- */

static void a_full_journal_holds_up_nothing(void **state) {
    (void)state;
    begin(WR_NS_PER_S, 8, 1024, 8);
    start();
    send_rooms(60);
    struct wr_alarm_entry entry;
    uint64_t numbered = 0;
    for (uint32_t i = 0; i < ROOMS; i++) {
        assert_int_equal(wr_channel_recv(bed.loop.to_actions, &entry, WR_NEVER_NS), WR_OK);
        assert_int_equal(entry.alarm.cause, WR_ALARM_RAISED);
        assert_int_equal(entry.number, i < 8 ? i + 1 : 0); /* what is not journalled has no number to wait for */
        numbered += entry.number != 0;
    }
    assert_int_equal(numbered, 8);
    assert_int_equal(bed.loop.shown.unjournalled, ROOMS - 8);
    /* With room again, the states of all of them follow, numbered without a gap. */
    bool snapped[ROOMS] = {false};
    uint32_t n_snapped = 0;
    for (uint64_t number = 1; n_snapped < ROOMS; number++) {
        assert_int_equal(wr_channel_recv(bed.loop.to_journal, &entry, WR_NEVER_NS), WR_OK);
        assert_int_equal(entry.number, number);
        uint32_t room = (uint32_t)strtoul(entry.alarm.instance + strlen("room=r"), NULL, 10);
        assert_true(room < ROOMS);
        n_snapped += !snapped[room];
        snapped[room] = true;
    }
    wr_channel_close(bed.loop.to_journal);
    let_it_end();
    everything_was_handed_over();
    end();
}

static void full_actions_hold_back_sources_and_lose_no_raise(void **state) {
    (void)state;
    begin(WR_NS_PER_S, 8, 2, 1024);
    start();
    for (int i = 0; i < 4; i++) {
        send_rooms(60);
        send_rooms(40);
    }
    let_it_end(); /* a stop does not lose them either */
    for (int i = 0; i < 4; i++) {
        expect_transitions(ROOMS, WR_ALARM_RAISED);
        expect_transitions(ROOMS, WR_ALARM_CLEARED);
    }
    everything_was_handed_over();
    assert_int_equal(bed.loop.shown.transitions, 8 * ROOMS);
    end();
}

/* Where a new rule set begins: behind what has no room yet. */
static void what_waits_for_room_among_the_actions_is_told_of(void **state) {
    (void)state;
    begin(WR_NS_PER_S, 8, 2, 1024);
    struct wr_alarm_out *alarms = &bed.loop.out.alarms;
    for (alarms->n = 0; alarms->n < 6; alarms->n++) {
        alarms->entries[alarms->n] = (struct wr_alarm_entry){0};
        alarms->entries[alarms->n].alarm.transition = alarms->n % 3; /* 0: a state for the journal alone */
    }
    wr_engine_loop_drain_alarms(&bed.loop);
    assert_int_equal(alarms->n, 3); /* there was room for two */
    assert_int_equal(wr_engine_loop_told_actions(&bed.loop), 4);
    expect_transitions(2, (enum wr_alarm_cause)0);
    wr_engine_loop_drain_alarms(&bed.loop);
    assert_int_equal(alarms->n, 0);
    assert_int_equal(wr_engine_loop_told_actions(&bed.loop), 4);
    end();
}

static void without_handovers_windows_widen_and_the_ledger_balances(void **state) {
    (void)state;
    begin(10 * WR_NS_PER_MS, 2, 1024, 1024);
    start();
    exhaust_handovers();
    /* Held up, it looks again each millisecond: a loop that does not wait would look a thousand times as often. */
    const struct timespec pause = {0, 50 * WR_NS_PER_MS};
    uint64_t before = looks;
    int64_t since = wr_clock_boot_ns(wr_clock_real());
    (void)nanosleep(&pause, NULL);
    int64_t ms = (wr_clock_boot_ns(wr_clock_real()) - since) / WR_NS_PER_MS;
    assert_true(looks - before < (uint64_t)(50 * ms));
    let_it_end();
    everything_was_handed_over();
    assert_true(bed.books[WR_BOOK_WIDENED] > 0);
    end();
}

/* A full outbox widens the windows that open, until it has drained. */
static void above_the_high_water_mark_windows_are_longer(void **state) {
    (void)state;
    _Atomic uint64_t high_water = 1;
    begin(WR_NS_PER_MS, 8, 1024, 1024);
    bed.loop.high_water = &high_water;
    const struct wr_engine_received nothing = {0};
    struct wr_now now = wr_clock_now(wr_clock_real());
    (void)!wr_engine_loop_turn(&bed.loop, &now, &nothing);
    assert_true(bed.loop.widens);
    send_rooms(20);
    struct wr_engine_received received = {0};
    wr_engine_loop_receive(&bed.loop, WR_NEVER_NS, &received);
    (void)!wr_engine_loop_turn(&bed.loop, &now, &received);
    high_water = 0;
    (void)!wr_engine_loop_turn(&bed.loop, &now, &nothing);
    assert_false(bed.loop.widens);
    now.boot_ns += 10 * WR_NS_PER_S;
    (void)!wr_engine_loop_turn(&bed.loop, &now, &nothing);
    let_it_end();
    while (bed.loop.phase != WR_ENGINE_ENDED) {
        wr_engine_loop_receive(&bed.loop, now.boot_ns, &received);
        (void)!wr_engine_loop_turn(&bed.loop, &now, &received);
        take_what_is_there();
    }
    assert_int_equal(bed.handed, ROOMS);
    assert_int_equal(bed.books[WR_BOOK_WIDENED], ROOMS);
    end();
}

static void a_stop_with_a_store_that_stands_still_has_an_end(void **state) {
    (void)state;
    begin(WR_NS_PER_MS, 1, 1024, 1024);
    start();
    exhaust_handovers();
    let_it_end();
    assert_int_equal(wr_engine_loop_join(&bed.loop, wr_clock_boot_ns(wr_clock_real()) + 20 * WR_NS_PER_MS), WR_TIMEOUT);
    wr_channel_close(bed.loop.to_store); /* the store gave up */
    assert_int_equal(wr_engine_loop_join(&bed.loop, WR_NEVER_NS), WR_OK);
    assert_false(bed.loop.flushed);
    end();
}

static void kept_readings_that_nobody_takes_are_counted(void **state) {
    (void)state;
    for (int is_closed = 0; is_closed < 2; is_closed++) { /* else it is full, and stays so */
        const struct wr_store_message other = {0};
        const struct wr_engine_received nothing = {0};
        begin(WR_NS_PER_MS, 1, 1024, 1024);
        assert_int_equal(wr_kept_take(&bed.loop.kept_pool, &bed.loop.kept), WR_OK);
        bed.loop.kept->n = 7;
        while (!is_closed && wr_channel_try_send(bed.loop.to_store, &other) == WR_OK) {
        }
        if (is_closed)
            wr_channel_close(bed.loop.to_store);
        let_it_end();
        while (bed.loop.phase != WR_ENGINE_ENDED) {
            const struct wr_now now = wr_clock_now(wr_clock_real());
            struct wr_engine_received received = nothing;
            wr_engine_loop_receive(&bed.loop, now.boot_ns, &received);
            (void)!wr_engine_loop_turn(&bed.loop, &now, &received);
        }
        assert_int_equal(bed.loop.shown.unkept, 7);
        assert_null(bed.loop.kept);
        end();
    }
}

static void a_fresh_store_is_given_all_states(void **state) {
    (void)state;
    static _Atomic uint64_t fresh_stores;
    begin(WR_NS_PER_S, 8, 1024, 1024);
    bed.loop.fresh_stores = &fresh_stores;
    start();
    send_rooms(60);
    struct wr_alarm_entry entry;
    uint32_t raised = 0;
    while (raised < ROOMS) {
        assert_int_equal(wr_channel_recv(bed.loop.to_journal, &entry, WR_NEVER_NS), WR_OK);
        raised += entry.alarm.transition != 0;
    }
    expect_transitions(ROOMS, WR_ALARM_RAISED);
    fresh_stores++;
    for (uint32_t i = 0; i < ROOMS; i++) {
        assert_int_equal(wr_channel_recv(bed.loop.to_journal, &entry, WR_NEVER_NS), WR_OK);
        assert_int_equal(entry.alarm.transition, 0);
        assert_true(entry.snap_len > 0);
    }
    let_it_end();
    everything_was_handed_over();
    end();
}

/* -- turns on the test's thread, on a clock of its own --------------------------------------------------------------------------------------- */

static struct wr_clock_virtual own_clock;

static void begin_on_own_clock(size_t journal) {
    begin(WR_NS_PER_S, 2, 1024, journal);
    const struct wr_now now = wr_clock_now(wr_clock_real());
    wr_clock_virtual_init(&own_clock, now.boot_ns, now.wall_ns, 1);
    bed.loop.clock = &own_clock.clock;
}

/* All turns of this moment; when the loop wants to run again. */
static int64_t turn(void) {
    struct wr_engine_received received = {0};
    for (;;) {
        const struct wr_now now = wr_clock_now(&own_clock.clock);
        const int64_t due = wr_engine_loop_turn(&bed.loop, &now, &received);
        if (bed.loop.phase == WR_ENGINE_ENDED)
            return WR_NEVER_NS;
        wr_engine_loop_receive(&bed.loop, 0, &received);
        const bool nothing = !received.request && !received.batch && !received.handover && !received.ended;
        if (nothing && due > now.boot_ns)
            return due;
    }
}

static void turns_need_no_thread_and_no_real_time(void **state) {
    (void)state;
    begin_on_own_clock(1024);
    const int64_t first = wr_clock_boot_ns(&own_clock.clock);
    (void)turn();
    send_rooms(60);
    int64_t due = turn();
    expect_transitions(ROOMS, WR_ALARM_RAISED);
    while (bed.handed == 0) {
        const int64_t now = wr_clock_boot_ns(&own_clock.clock);
        assert_true(due > now && due <= now + WR_NS_PER_S); /* it turns at least once a second */
        wr_clock_virtual_advance(&own_clock, due - now);
        due = turn();
        take_what_is_there();
    }
    assert_int_equal(bed.handed, ROOMS);
    assert_true(wr_clock_boot_ns(&own_clock.clock) - first < 5 * WR_NS_PER_S);
    let_it_end();
    while (turn() != WR_NEVER_NS)
        take_what_is_there(); /* it needs them back */
    everything_was_handed_over_by_turns();
    end();
}

/* The journal has a second for the states of all alarms, the store as long as it likes. */
static void the_end_waits_for_the_journal_and_then_for_the_store(void **state) {
    (void)state;
    begin_on_own_clock(ROOMS);
    send_rooms(60);
    (void)turn();
    expect_transitions(ROOMS, WR_ALARM_RAISED); /* the journal is full of them */
    struct wr_handover *held[2];
    assert_int_equal(wr_handover_take(&bed.loop.handovers, &held[0]), WR_OK); /* the other one is being filled */
    let_it_end();
    const int64_t since = wr_clock_boot_ns(&own_clock.clock);
    int64_t due = turn();
    while (bed.loop.phase == WR_ENGINE_SNAPSHOTS) {
        assert_true(due <= since + WR_NS_PER_S + WR_NS_PER_MS);
        wr_clock_virtual_advance(&own_clock, due - wr_clock_boot_ns(&own_clock.clock));
        due = turn();
    }
    assert_true(wr_clock_boot_ns(&own_clock.clock) - since >= WR_NS_PER_S);
    assert_int_equal(bed.loop.phase, WR_ENGINE_ENDED); /* one handover was enough */
    assert_true(bed.loop.flushed);
    wr_handover_return(held[0]);
    everything_was_handed_over_by_turns();
    end();
}

/* -- reload: on the test's thread, as in a request --------------------------------------------------------------------------------------- */

static void take_in_hand(void) {
    uint64_t in_channel[WR_ENGINE_INPUTS_MAX] = {0};
    uint64_t waiting = bed.sent;
    wr_engine_loop_count_in_channel(&bed.loop, in_channel);
    assert_true(in_channel[0] <= waiting);
    assert_true(wr_engine_loop_finish_waiting(&bed.loop));
}

static void counts_go_on_over_an_exchange(void **state) {
    (void)state;
    begin(60 * WR_NS_PER_S, 4, 1024, 1024);
    send_rooms(20);
    take_in_hand();
    assert_true(wr_engine_loop_handover(&bed.loop));
    take_handover();
    for (int i = 0; i < 2; i++) { /* the second one changes the base, it does not make it */
        struct wr_engine *old = bed.loop.engine;
        assert_int_equal(wr_engine_loop_exchange(&bed.loop, make_engine(), ACCOUNTS, bed.loop.handovers.max_counts, WR_NEVER_NS, NULL),
                         WR_OK);
        wr_engine_free(old);
        send_rooms(20);
        take_in_hand();
        while (bed.handed < bed.sent - ROOMS)
            take_handover();
    }
    /* The source leaves, too: what it had received stays. */
    wr_engine_loop_set_input(&bed.loop, 0, NULL, NULL, 0);
    assert_int_equal(wr_engine_loop_flush(&bed.loop, true, WR_NEVER_NS), WR_OK);
    while (!bed.final)
        take_handover();
    assert_int_equal(bed.handed, 3 * ROOMS);
    assert_int_equal(bed.books[WR_BOOK_TAKEN], 3 * ROOMS);
    assert_int_equal(bed.received, 3 * ROOMS);
    end();
}

static void *be_the_store(void *user) {
    (void)user;
    while (!bed.final)
        take_handover();
    return NULL;
}

/* A round of states that is under way when the alarms become others: its place in the old ones means nothing in the new. */
static void a_round_of_states_begins_anew_with_an_exchange(void **state) {
    (void)state;
    begin(60 * WR_NS_PER_S, 4, 1024, 1024);
    struct wr_engine *old = bed.loop.engine;
    bed.loop.snapshotting = true;
    bed.loop.snapshot_cursor = 7;
    assert_int_equal(wr_engine_loop_exchange(&bed.loop, make_engine(), ACCOUNTS, bed.loop.handovers.max_counts, WR_NEVER_NS, NULL), WR_OK);
    wr_engine_free(old);
    assert_false(bed.loop.snapshotting);
    assert_true(bed.loop.resnapshot);
    struct wr_evaluator *others;
    assert_int_equal(wr_evaluator_new(bed.rules, bed.series, bed.symbols, &others, NULL), WR_OK);
    bed.loop.snapshotting = true;
    bed.loop.resnapshot = false;
    wr_evaluator_free(wr_engine_loop_exchange_rules(&bed.loop, others)); /* of the rules alone */
    assert_false(bed.loop.snapshotting);
    assert_true(bed.loop.resnapshot);
    end();
}

/* More accounts than before: the handovers are made anew, while the store works. */
static void an_exchange_that_finds_no_memory_changes_nothing(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        begin(60 * WR_NS_PER_S, 4, 1024, 1024);
        send_rooms(20);
        take_in_hand();
        struct wr_engine *old = bed.loop.engine, *other = make_engine();
        pthread_t store;
        assert_int_equal(pthread_create(&store, NULL, be_the_store, NULL), 0);
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_engine_loop_exchange(&bed.loop, other, ACCOUNTS, bed.loop.handovers.max_counts + 8, WR_NEVER_NS, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        assert_ptr_equal(bed.loop.engine, hit ? old : other);
        wr_engine_free(hit ? other : old);
        send_rooms(20); /* it goes on, with whichever engine */
        take_in_hand();
        assert_int_equal(wr_engine_loop_flush(&bed.loop, true, WR_NEVER_NS), WR_OK);
        assert_int_equal(pthread_join(store, NULL), 0);
        assert_int_equal(bed.books[WR_BOOK_TAKEN], 2 * ROOMS);
        assert_int_equal(bed.handed, 2 * ROOMS);
        end();
        if (!hit)
            return;
    }
}

static void init_fails_cleanly(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_engine_loop *loop = calloc(1, sizeof *loop);
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_engine_loop_init(loop, 4, 100, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_engine_loop_fini(loop);
        free(loop);
        if (!hit)
            return;
    }
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_journal_holds_up_nothing),
        cmocka_unit_test(full_actions_hold_back_sources_and_lose_no_raise),
        cmocka_unit_test(what_waits_for_room_among_the_actions_is_told_of),
        cmocka_unit_test(without_handovers_windows_widen_and_the_ledger_balances),
        cmocka_unit_test(above_the_high_water_mark_windows_are_longer),
        cmocka_unit_test(a_stop_with_a_store_that_stands_still_has_an_end),
        cmocka_unit_test(kept_readings_that_nobody_takes_are_counted),
        cmocka_unit_test(a_fresh_store_is_given_all_states),
        cmocka_unit_test(turns_need_no_thread_and_no_real_time),
        cmocka_unit_test(the_end_waits_for_the_journal_and_then_for_the_store),
        cmocka_unit_test(counts_go_on_over_an_exchange),
        cmocka_unit_test(a_round_of_states_begins_anew_with_an_exchange),
        cmocka_unit_test(an_exchange_that_finds_no_memory_changes_nothing),
        cmocka_unit_test(init_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
