/* As much of an agent as operators' commands need: an engine with some alarms (three, unless bed_rooms says otherwise) that are unack, the thread that serves its requests, and a clock by which a test
 * decides when the journal is on disk. One a program.
 *
 * Threads: begin and end from the test's; the engine's is bed.engine.
 */
#ifndef WEIR_TESTS_SUPPORT_ORDER_BED_H
#define WEIR_TESTS_SUPPORT_ORDER_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/agent.h"

#define ROOMS 3

static const char rules_text[] = "rules:\n"
                                 "  - {rule: hot, when: temp > 50, by: room}\n"
                                 "  - {rule: many, when: weir.alarm_rate_10m > 2}\n"
                                 "  - {rule: mix, when: \"weir.alarm_priority_mix{severity=low} > 50\"}\n";

/* Others may be set before begin. */
static const char *bed_rules = rules_text;
static unsigned bed_rooms = ROOMS;

/* A room of this name instead of the first; NULL: as it is. */
static const char *bed_first_room;

/* A, B ... then numbers. The text lasts until the next call. */
static inline const char *room_name(unsigned i) {
    static char name[32];
    if (i == 0 && bed_first_room)
        snprintf(name, sizeof name, "%s", bed_first_room);
    else if (i < ROOMS)
        snprintf(name, sizeof name, "%c", 'A' + (char)i);
    else
        snprintf(name, sizeof name, "%u", i);
    return name;
}

static struct bed {
    struct wr_agent agent;
    struct wr_window_spec window;
    uint32_t accounts[4];
    pthread_t engine;
    uint64_t commit_after; /* looks at the clock, until the journal is on disk; 0: never */
    _Atomic uint64_t looks;
} bed;

/* A clock that is read while the command waits: after so many looks the store has committed; each look takes
 * 10 ms more than it does. */
static int64_t look_boot_ns(const struct wr_clock *clock) {
    (void)clock;
    bed.looks++;
    if (bed.commit_after > 0 && bed.looks >= bed.commit_after)
        bed.agent.store.journalled = UINT64_MAX;
    return wr_clock_boot_ns(wr_clock_real()) + (int64_t)bed.looks * 10 * WR_NS_PER_MS;
}
static int64_t look_wall_ns(const struct wr_clock *clock) {
    (void)clock;
    return INT64_C(1772438400) * WR_NS_PER_S;
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

static struct wr_channel *make_channel(const char *name, size_t capacity, size_t element_bytes) {
    const struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes};
    struct wr_channel *channel;
    assert_int_equal(wr_channel_new(&options, &channel, NULL), WR_OK);
    return channel;
}

static uint32_t series_of(const char *room) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    uint32_t id;
    struct wr_tag tag = {.name = {"room", 4}, .value = {room, strlen(room)}};
    assert_int_equal(wr_series_key_make((struct wr_word){"temp", 4}, (struct wr_word){"value", 5}, &tag, 1, key, &len, NULL), WR_OK);
    assert_int_equal(wr_series_intern(bed.agent.series, key, len, &id), WR_OK);
    return id;
}

/* The engine's thread: requests, nothing else. */
static void *serve(void *user) {
    struct wr_engine_loop *loop = user;
    struct wr_request *request;
    while (wr_channel_recv(loop->requests, &request, WR_NEVER_NS) == WR_OK)
        request->run(request, loop);
    return NULL;
}

static void begin(size_t journal) {
    struct wr_diagnostics diagnostics;
    struct wr_evaluator *evaluator;
    struct wr_engine_loop *loop = &bed.agent.engine;
    memset(&bed, 0, sizeof bed);
    wr_diagnostics_init(&diagnostics);
    assert_int_equal(wr_ruleset_load_text("rules.yaml", bed_rules, strlen(bed_rules), NULL, &diagnostics, &bed.agent.rules, NULL), WR_OK);
    wr_diagnostics_fini(&diagnostics);
    assert_int_equal(wr_series_table_new(64 + bed_rooms, &bed.agent.series, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(64, &bed.agent.symbols, NULL), WR_OK);
    assert_int_equal(wr_evaluator_new(bed.agent.rules, bed.agent.series, bed.agent.symbols, &evaluator, NULL), WR_OK);
    bed.window.every_ns = WR_NS_PER_S;
    assert_int_equal(wr_selector_parse("*", 1, &bed.window.of, NULL, NULL), WR_OK);
    const struct wr_engine_options options = {.series = bed.agent.series,
                                              .symbols = bed.agent.symbols,
                                              .max_series = 64 + bed_rooms,
                                              .n_sources = 1,
                                              .windows = &bed.window,
                                              .n_windows = 1,
                                              .accounts = bed.accounts,
                                              .evaluator = evaluator};
    assert_int_equal(wr_engine_new(&options, &loop->engine, NULL), WR_OK);
    loop->clock = &look_clock;
    loop->figures.table = bed.agent.series;
    assert_int_equal(wr_engine_loop_init(loop, 2, wr_engine_max_counts(1, 1), NULL), WR_OK);
    loop->to_actions = make_channel("actions", 256, sizeof(struct wr_alarm_entry));
    loop->to_journal = make_channel("journal", journal, sizeof(struct wr_alarm_entry));
    bed.agent.clock = &look_clock;
    bed.agent.store.state = WR_STORE_OPEN;
    for (unsigned i = 0; i < bed_rooms; i++) {
        const struct wr_now now = wr_clock_now(&look_clock);
        struct wr_reading reading = {
            .event_ns = now.wall_ns, .value.f = 60, .series = series_of(room_name(i)), .type = WR_TYPE_FLOAT, .decimals = 1};
        assert_int_equal(wr_engine_tell(loop->engine, &reading, &now, &loop->out.alarms), WR_OK);
        loop->out.alarms.n = 0;
    }
    assert_int_equal(pthread_create(&bed.engine, NULL, serve, loop), 0);
}

static void end(void) {
    struct wr_engine_loop *loop = &bed.agent.engine;
    wr_channel_close(loop->requests);
    assert_int_equal(pthread_join(bed.engine, NULL), 0);
    wr_channel_free(loop->to_actions);
    wr_channel_free(loop->to_journal);
    wr_engine_free(loop->engine);
    wr_engine_loop_fini(loop);
    wr_ruleset_free(bed.agent.rules);
    wr_series_table_free(bed.agent.series);
    wr_symbol_table_free(bed.agent.symbols);
}

#endif
