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

#include "agent/commands/commands.h"
#include "agent/control/alarm_list.h"
#include "agent/control/control_alarms.h"
#include "agent/loops/engine_loop_private.h"
#include "tests/support/failing.h"
#include "tests/support/order_bed.h"

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

/* The loop's own work, which the bed's engine does not do: room in the journal, and a round of states into it. */
static void write_states_again(void) {
    struct wr_engine_loop *loop = &bed.agent.engine;
    struct wr_alarm_entry entry;
    for (int turn = 0; loop->journal_behind; turn++) {
        while (wr_channel_try_recv(loop->to_journal, &entry) == WR_OK)
            continue;
        wr_engine_loop_snapshot(loop, 0);
        assert_true(turn < 100);
    }
}

static void a_journal_without_room_is_told(void **state) {
    (void)state;
    char answer[1024];
    begin(4);
    bed.agent.store.journalled = UINT64_MAX;
    assert_int_equal(say("shelve hot --for 2h --why paint --key k1", answer, sizeof answer), WR_EXIT_OK);
    assert_int_equal(say("unshelve hot --key k2", answer, sizeof answer), WR_EXIT_CANNOT); /* the store writes: it is behind */
    assert_non_null(strstr(answer, "3 alarms unshelved\nweir alarms: too many changes at once"));
    assert_int_equal(say("unshelve hot --key k2", answer, sizeof answer), WR_EXIT_CANNOT);
    assert_non_null(strstr(answer, "the key is known"));
    assert_non_null(strstr(answer, "too many changes at once"));
    write_states_again();
    assert_int_equal(say("unshelve hot --key k2", answer, sizeof answer), WR_EXIT_OK);
    assert_non_null(strstr(answer, "the key is known"));
    end();
}

/* Others' changes, which found no room, are no business of a command that found it. */
static void a_journal_that_is_behind_with_others_is_not_told(void **state) {
    (void)state;
    char answer[1024];
    begin(64);
    bed.agent.store.journalled = UINT64_MAX;
    bed.agent.engine.resnapshot = true;
    bed.agent.engine.journal_behind = true;
    assert_int_equal(say("ack hot", answer, sizeof answer), WR_EXIT_OK);
    assert_string_equal(answer, "3 alarms acknowledged\n");
    end();
}

static void a_store_that_is_not_open_yet_is_waited_for(void **state) {
    (void)state;
    char answer[1024];
    begin(64);
    bed.agent.store.state = WR_STORE_OPENING;
    const uint64_t looks = bed.looks;
    assert_int_equal(say("ack hot", answer, sizeof answer), WR_EXIT_CANNOT); /* after five seconds */
    assert_true(bed.looks - looks >= 100);
    assert_non_null(strstr(answer, "weir alarms: the store is not open yet"));
    end();
}

/* What a terminal would obey, when somebody looks at the list, is refused. */
static void only_plain_text_is_taken(void **state) {
    (void)state;
    char answer[1024];
    begin(64);
    bed.agent.store.journalled = UINT64_MAX;
    assert_int_equal(say("ack hot --why \033[2Jseen", answer, sizeof answer), WR_EXIT_CANNOT);
    assert_non_null(strstr(answer, "the text behind --why takes plain UTF-8 text, without control characters"));
    assert_int_equal(say("ack hot --by an\xc2\x9b"
                         "2J",
                         answer, sizeof answer),
                     WR_EXIT_CANNOT);
    assert_non_null(strstr(answer, "the name behind --by takes plain"));
    assert_int_equal(say("ack hot --key \xff", answer, sizeof answer), WR_EXIT_CANNOT);
    assert_int_equal(say("ack hot --why gepr\xc3\xbc"
                         "ft",
                         answer, sizeof answer),
                     WR_EXIT_OK);
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

/* The engine is asked in parts, between which it does other things; the list is whole all the same. */
static void a_long_list_comes_in_parts(void **state) {
    (void)state;
    enum { LONG = 2 * WR_ALARM_LIST_SLICE + 7 };
    static char answer[LONG * 1024];
    struct wr_channel_stats before, after;
    bed_rooms = LONG;
    begin(64);
    wr_channel_stats(bed.agent.engine.requests, &before);
    assert_int_equal(say("--json", answer, sizeof answer), WR_EXIT_OK);
    wr_channel_stats(bed.agent.engine.requests, &after);
    assert_int_equal(after.accepted - before.accepted, 3);
    for (unsigned i = 0; i < LONG; i++) {
        char name[64];
        snprintf(name, sizeof name, "\"hot{room=%s}\"", room_name(i));
        const char *at = strstr(answer, name);
        assert_non_null(at);
        assert_null(strstr(at + 1, name));
    }
    end();
    bed_rooms = ROOMS;
}

/* A sensor's label with a command for the terminal, and another line, in it. */
static void a_label_is_no_command_for_a_terminal(void **state) {
    (void)state;
    char answer[4096];
    bed_first_room = "\033[2J\nlow";
    begin(64);
    assert_int_equal(say("", answer, sizeof answer), WR_EXIT_OK);
    assert_non_null(strstr(answer, "hot{room=\\x1b[2J\\x0alow}  since"));
    assert_null(strchr(answer, '\033'));
    end();
    bed_first_room = NULL;
}

/* Rooms with a 3 have a medium alarm beside the low one, with a 5 a high one, with a 7 a critical one: by far more than fit into a list. */
static const char four_rules[] =
    "rules:\n"
    "  - {rule: hot, when: temp > 50, by: room, severity: low}\n"
    "  - {rule: three, when: \"temp{room=~*3} > 50\", by: room, severity: medium}\n"
    "  - {rule: five, when: \"temp{room=~*5} > 50\", by: room, severity: high, consequence: c, respond: r, time_to_respond: 1m}\n"
    "  - {rule: seven, when: \"temp{room=~*7} > 50\", by: room, severity: critical, consequence: c, respond: r, time_to_respond: 1m}\n";

enum { MANY = 2103, EACH = 210 }; /* 3, 13 ... 2093, and so on */

static void begin_with_many(void) {
    bed_rooms = MANY;
    bed_rules = four_rules;
    begin(64);
}

static void end_with_many(void) {
    end();
    bed_rooms = ROOMS;
    bed_rules = rules_text;
}

/* How many lines of the list there are of each severity; they must come in this order. */
static void count_lines(const char *list, uint32_t *ret_counts, const char **ret_end) {
    static const char *const severities[] = {"critical", "high", "medium", "low"};
    for (unsigned i = 0; i < 4; i++)
        for (ret_counts[i] = 0; strncmp(list, severities[i], strlen(severities[i])) == 0; ret_counts[i]++)
            list = strchr(list, '\n') + 1;
    *ret_end = list;
}

static void a_list_has_the_most_severe(void **state) {
    (void)state;
    static char answer[WR_ALARM_LIST_MAX * 1024];
    uint32_t counts[4];
    const char *end_of_list;
    char left_out[64];
    begin_with_many();
    assert_int_equal(say("", answer, sizeof answer), WR_EXIT_OK);
    count_lines(answer, counts, &end_of_list);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(counts[i], EACH);
    assert_int_equal(counts[3], WR_ALARM_LIST_MAX - 3 * EACH);
    snprintf(left_out, sizeof left_out, "... and %d more, no more severe", MANY + 3 * EACH - WR_ALARM_LIST_MAX);
    assert_int_equal(strncmp(end_of_list, left_out, strlen(left_out)), 0);
    assert_int_equal(say("--json", answer, sizeof answer), WR_EXIT_CANNOT); /* all or nothing: an array does not say what it lacks */
    snprintf(left_out, sizeof left_out, "weir alarms: %d alarms do not fit", MANY + 3 * EACH);
    assert_int_equal(strncmp(answer, left_out, strlen(left_out)), 0);
    end_with_many();
}

static void a_list_may_be_of_some(void **state) {
    (void)state;
    static char answer[EACH * 1024];
    uint32_t counts[4];
    const char *end_of_list;
    begin_with_many();
    assert_int_equal(say("--only five", answer, sizeof answer), WR_EXIT_OK);
    count_lines(answer, counts, &end_of_list);
    assert_int_equal(counts[1], EACH);
    assert_string_equal(end_of_list, "");
    assert_int_equal(say("--only *{room=2097}", answer, sizeof answer), WR_EXIT_OK);
    count_lines(answer, counts, &end_of_list);
    assert_true(counts[0] == 1 && counts[3] == 1 && *end_of_list == '\0');
    assert_int_equal(say("--json --only hot{room=2000}", answer, sizeof answer), WR_EXIT_OK);
    assert_non_null(strstr(answer, "[{\"alarm\":\"hot{room=2000}\""));
    assert_int_equal(say("--only hot{room=Z}", answer, sizeof answer), WR_EXIT_OK);
    assert_string_equal(answer, "no alarms\n");
    assert_int_equal(say("--only cold", answer, sizeof answer), WR_EXIT_FOUND);
    assert_string_equal(answer, "weir alarms: there is no rule 'cold'\n");
    assert_int_equal(say("--only hot{", answer, sizeof answer), WR_EXIT_FOUND);
    assert_int_equal(say("--only", answer, sizeof answer), WR_EXIT_CANNOT);
    end_with_many();
}

/* Where the text is full the rest is counted, too. */
static void a_list_is_as_long_as_there_is_room(void **state) {
    (void)state;
    const struct wr_alarm_listing wanted = {.only = "seven"};
    struct wr_error err = {0};
    struct wr_buf text;
    uint32_t counts[4];
    const char *end_of_list;
    char left_out[64];
    begin_with_many();
    wr_buf_init(&text, 4096);
    assert_int_equal(wr_alarm_list(&bed.agent, &wanted, NULL, &text, &err), WR_OK);
    count_lines(wr_buf_str(&text), counts, &end_of_list);
    assert_true(counts[0] > 20 && counts[0] < EACH);
    snprintf(left_out, sizeof left_out, "... and %u more, no more severe", EACH - counts[0]);
    assert_int_equal(strncmp(end_of_list, left_out, strlen(left_out)), 0);
    wr_buf_fini(&text);
    end_with_many();
}

static void without_memory(void **state) {
    (void)state;
    static const char *const commands[] = {"shelve hot --for 1h --why x --key k --json", "ack hot", "--all", "--only hot"};
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
        cmocka_unit_test(a_journal_that_is_behind_with_others_is_not_told),
        cmocka_unit_test(a_store_that_is_not_open_yet_is_waited_for),
        cmocka_unit_test(only_plain_text_is_taken),
        cmocka_unit_test(a_long_list_comes_in_parts),
        cmocka_unit_test(a_list_has_the_most_severe),
        cmocka_unit_test(a_list_may_be_of_some),
        cmocka_unit_test(a_label_is_no_command_for_a_terminal),
        cmocka_unit_test(a_list_is_as_long_as_there_is_room),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(figures_are_told_to_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
