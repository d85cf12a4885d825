/* Operators' commands without a whole agent: the answer waits for the journal, and says where there is none; words; no memory. And the figures that the engine tells
 * its rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "agent/control_alarms.h"
#include "tests/support/failing.h"

#define ROOMS 3

static const char rules_text[] = "rules:\n"
                                 "  - {rule: hot, when: temp > 50, by: room}\n"
                                 "  - {rule: many, when: weir.alarm_rate_10m > 2}\n"
                                 "  - {rule: mix, when: \"weir.alarm_priority_mix{severity=low} > 50\"}\n";

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
    assert_int_equal(wr_ruleset_load_text("rules.yaml", rules_text, strlen(rules_text), NULL, &diagnostics, &bed.agent.rules, NULL), WR_OK);
    wr_diagnostics_fini(&diagnostics);
    assert_int_equal(wr_series_table_new(64, &bed.agent.series, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(64, &bed.agent.symbols, NULL), WR_OK);
    assert_int_equal(wr_evaluator_new(bed.agent.rules, bed.agent.series, bed.agent.symbols, &evaluator, NULL), WR_OK);
    bed.window.every_ns = WR_NS_PER_S;
    assert_int_equal(wr_selector_parse("*", 1, &bed.window.of, NULL, NULL), WR_OK);
    const struct wr_engine_options options = {.series = bed.agent.series,
                                              .symbols = bed.agent.symbols,
                                              .max_series = 64,
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
    for (uint32_t i = 0; i < ROOMS; i++) {
        const char room[] = {(char)('A' + (char)i), '\0'};
        const struct wr_now now = wr_clock_now(&look_clock);
        struct wr_reading reading = {
            .event_ns = now.wall_ns, .value.f = 60, .series = series_of(room), .type = WR_TYPE_FLOAT, .decimals = 1};
        assert_int_equal(wr_engine_tell(loop->engine, &reading, &now, &loop->out.alarms), WR_OK);
    }
    loop->out.alarms.n = 0;
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

/* `weir alarms WORDS`, and its answer. */
static int say(const char *words, char *ret_answer, size_t size) {
    char copy[256], *argv[16] = {"alarms"};
    int argc = 1;
    struct wr_buf answer;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    wr_buf_init(&answer, 0);
    int code = wr_control_alarms(&bed.agent, argc, argv, "ana", &answer);
    snprintf(ret_answer, size, "%s", answer.len > 0 ? wr_buf_str(&answer) : "");
    wr_buf_fini(&answer);
    return code;
}

static void the_answer_waits_for_the_journal(void **state) {
    (void)state;
    char answer[1024];
    begin(64);
    bed.commit_after = 100;
    assert_int_equal(say("ack hot --why seen", answer, sizeof answer), WR_EXIT_OK);
    assert_string_equal(answer, "3 alarms acknowledged\n");
    assert_true(bed.looks >= 100);
    end();
}

static void a_store_that_does_not_write_is_told(void **state) {
    (void)state;
    char answer[1024];
    begin(64);
    assert_int_equal(say("shelve hot{room=A} --for 2h --why paint --json", answer, sizeof answer), WR_EXIT_CANNOT); /* after five seconds */
    assert_non_null(strstr(answer, "\"changed\":1"));
    assert_non_null(strstr(answer, "\"until\":\"2026-03-02T10:00:00.000Z\""));
    assert_non_null(strstr(answer, "\"journalled\":false"));
    bed.agent.store.state = WR_STORE_FAILED;
    assert_int_equal(say("unshelve hot{room=A}", answer, sizeof answer), WR_EXIT_CANNOT);
    assert_non_null(strstr(answer, "1 alarm unshelved\nweir alarms: the store does not write"));
    assert_int_equal(say("unshelve hot{room=A}", answer, sizeof answer), WR_EXIT_FOUND); /* nothing was done: nothing to wait for */
    assert_string_equal(answer, "weir alarms: hot is not shelved\n");
    end();
}

static void a_journal_without_room_is_told(void **state) {
    (void)state;
    char answer[1024];
    begin(1);
    bed.agent.store.journalled = UINT64_MAX;
    assert_int_equal(say("ack hot", answer, sizeof answer), WR_EXIT_CANNOT);
    assert_non_null(strstr(answer, "3 alarms acknowledged\nweir alarms: the store does not write"));
    end();
}

static void the_list_shows_silences(void **state) {
    (void)state;
    char answer[4096];
    begin(64);
    bed.agent.store.journalled = UINT64_MAX;
    assert_int_equal(say("--by bob shelve hot{room=A} --for 90m --why paint", answer, sizeof answer), WR_EXIT_OK);
    assert_int_equal(say("oos hot{room=B} --why WO-1", answer, sizeof answer), WR_EXIT_OK);
    assert_int_equal(say("", answer, sizeof answer), WR_EXIT_OK);
    assert_non_null(
        strstr(answer, "hot{room=A}  since 2026-03-02T08:00:00.000Z  at 60   shelved until 2026-03-02T09:30:00.000Z by bob: paint\n"));
    assert_non_null(strstr(answer, "out_of_service by ana: WO-1\n"));
    assert_null(strstr(answer, "many"));
    assert_int_equal(say("--all --json", answer, sizeof answer), WR_EXIT_OK);
    assert_non_null(strstr(answer, "\"silent\":[\"shelved\"],\"by\":\"bob\",\"why\":\"paint\""));
    assert_int_equal(say("--loud", answer, sizeof answer), WR_EXIT_CANNOT);
    end();
}

static void without_memory(void **state) {
    (void)state;
    static const char *const commands[] = {"shelve hot --for 1h --why x --key k --json", "ack hot", "--all"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        for (long n = 0;; n++) {
            char answer[8192];
            begin(64);
            bed.agent.store.journalled = UINT64_MAX;
            wr_failing_allocations(n);
            int code = say(commands[i], answer, sizeof answer);
            bool hit = wr_failing_hit();
            wr_failing_off();
            assert_true(code == WR_EXIT_OK || (hit && code == WR_EXIT_CANNOT));
            end();
            if (!hit)
                break;
            assert_true(n < 200);
        }
}

/* The rules on the figures are raised by them; nothing is made for figures that no rule reads. */
static void figures_are_told_to_rules(void **state) {
    (void)state;
    begin(64);
    struct wr_engine_loop *loop = &bed.agent.engine;
    struct wr_now now = wr_clock_now(&look_clock);
    const uint32_t before = wr_series_count(bed.agent.series);
    loop->out.alarms.cap = 1; /* two of them are raised: the second one waits for room */
    wr_engine_figures_turn(&loop->figures, loop->engine, &now, &loop->out.alarms);
    assert_int_equal(loop->out.alarms.n, 1);
    assert_string_equal(loop->out.alarms.entries[0].alarm.rule, "many");
    loop->out.alarms.n = 0;
    bool more;
    assert_int_equal(wr_evaluator_timers(wr_engine_evaluator(loop->engine), &now, 16, &loop->out.alarms, &more), WR_OK);
    wr_engine_figures_turn(&loop->figures, loop->engine, &now, &loop->out.alarms);
    assert_int_equal(loop->out.alarms.n, 1);
    assert_string_equal(loop->out.alarms.entries[0].alarm.rule, "mix");
    loop->out.alarms.n = 0;
    assert_int_equal(wr_series_count(bed.agent.series), before + 1 + WR_KPI_SEVERITIES);
    assert_true(loop->figures.shown[WR_FIGURE_RATE_10M] == 3);
    assert_true(loop->figures.shown[WR_FIGURE_MIX + WR_SEVERITY_LOW] == 1);
    now.boot_ns += WR_FIGURES_EVERY_NS - 1;
    loop->figures.shown[WR_FIGURE_STALE] = 77;
    wr_engine_figures_turn(&loop->figures, loop->engine, &now, &loop->out.alarms);
    assert_true(loop->figures.shown[WR_FIGURE_STALE] == 77); /* not yet */
    now.boot_ns += 1;
    wr_engine_figures_turn(&loop->figures, loop->engine, &now, &loop->out.alarms);
    assert_true(loop->figures.shown[WR_FIGURE_STALE] == 0);
    loop->out.alarms.cap = WR_ENGINE_ALARM_ROOM;
    loop->out.alarms.n = 0;
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_waits_for_the_journal),
        cmocka_unit_test(a_store_that_does_not_write_is_told),
        cmocka_unit_test(a_journal_without_room_is_told),
        cmocka_unit_test(the_list_shows_silences),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(figures_are_told_to_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
