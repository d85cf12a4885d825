/* The history of a running agent: a store's thread behind a control socket says what the store itself would, and nonsense of a server is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "agent/control/control_history.h"
#include "agent/query/agent_history.h"
#include "core/log.h"
#include "tests/support/failing.h"
#include "tests/support/query_bed.h"
#include "tests/support/store_fixture.h"

static struct store_fixture fixture;
static struct wr_agent *agent;
static struct wr_accounts accounts;
static struct wr_control_server *server;
static struct wr_config_control control;
static struct wr_agent_history history;
static char path[300];
static const char *nonsense; /* what a wrong server answers to all but the first question */
static size_t nonsense_len;

static int on_words(void *user, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    (void)user, (void)by_whom;
    if (!nonsense || argc == 1)
        return wr_control_history(agent, argc, argv, answer);
    return wr_buf_append(answer, nonsense, nonsense_len) == WR_OK ? WR_EXIT_OK : WR_EXIT_CANNOT;
}

static int set_up(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
    store_fixture_init(&fixture);
    memset(fixture.options.boot_id, 1, sizeof fixture.options.boot_id);
    const struct wr_now now = fixture.now;
    fixture.now = (struct wr_now){.boot_ns = now.boot_ns - 10 * WR_NS_PER_S, .wall_ns = 60 * WR_NS_PER_S}; /* in 1970 */
    if (store_fixture_open(&fixture) != WR_OK)
        return -1;
    store_fixture_fill(&fixture, 1, 1, 2);
    fixture.handover.aggregates[0].start_ns = 0; /* a window that ends now */
    store_fixture_take(&fixture);
    if (wr_store_flush(fixture.store, &fixture.now, &fixture.err) != WR_OK)
        return -1;
    fixture.now = now;
    for (int i = 1; i < 300; i++) /* more heads than one answer holds */
        store_fixture_segment(&fixture, 1, i < 260 ? 1 : 200, 2);
    if (wr_store_ack(fixture.store, WR_LANE_WINDOWS, 1, 7, &fixture.now, &fixture.err) != WR_OK ||
        wr_store_close(fixture.store, &fixture.now, &fixture.err) != WR_OK)
        return -1;
    fixture.store = NULL;
    snprintf(path, sizeof path, "%s/weir.sock", fixture.directory);
    control = (struct wr_config_control){.socket = path};
    memcpy(accounts.list, store_accounts, sizeof store_accounts);
    accounts.n = STORE_ACCOUNTS;
    agent = calloc(1, sizeof *agent);
    if (!agent)
        return -1;
    agent->clock = wr_clock_real();
    agent->store = (struct wr_store_loop){
        .clock = wr_clock_real(), .path = fixture.directory, .options = fixture.options, .symbols = fixture.symbols, .accounts = &accounts};
    if (wr_store_loop_init(&agent->store, 4, 16, NULL) != WR_OK || wr_store_loop_start(&agent->store, NULL) != WR_OK ||
        wr_store_loop_wait_open(&agent->store, WR_NEVER_NS, NULL) != WR_OK)
        return -1;
    return wr_control_server_start(path, on_words, NULL, &server, NULL) == WR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    wr_control_server_stop(server);
    (void)!wr_store_loop_stop(&agent->store, WR_NEVER_NS);
    wr_store_loop_fini(&agent->store);
    free(agent);
    store_fixture_fini(&fixture);
    return 0;
}

static enum wr_result ask(struct query_bed *bed, const char *sql) {
    struct wr_error err = {0};
    WR_TRY(wr_agent_history_init(&history, &control, &err));
    query_bed_init(bed, wr_agent_history_source(&history));
    const enum wr_result result = query_bed_ask(bed, sql);
    wr_agent_history_fini(&history);
    return result;
}

static void answers(const char *sql, const char *rows) {
    struct query_bed bed;
    if (ask(&bed, sql) != WR_OK)
        fail_msg("%s: %s", sql, bed.err.text);
    if (strcmp(wr_buf_str(&bed.rows), rows) != 0)
        fail_msg("%s\n%s not\n%s", sql, wr_buf_str(&bed.rows), rows);
    query_bed_fini(&bed);
}

static void test_the_same_as_from_the_store(void **state) {
    (void)state;
    answers("SELECT count(*), sum(n), sum(delivered), min(seq), max(seq) FROM segments", "300|8260|7|1|300\n");
    answers("SELECT count(*), sum(n), count(DISTINCT series), count(DISTINCT seq) FROM readings", "8260|16520|8|300\n");
    answers("SELECT series, n FROM readings WHERE seq = 12", "temp{room=A0}|2\n");
    /* Two walks at once: each asks for bodies that the other did not fetch. */
    answers("SELECT count(*) FROM readings a JOIN readings b ON a.seq = b.seq WHERE a.seq < 4 AND b.seq < 4", "3\n");
    answers("SELECT count(*) FROM alarms", "0\n");
}

static void test_times_are_corrected(void **state) {
    (void)state;
    answers("SELECT count(*), min(seq) FROM readings WHERE time < '2000-01-01' OR time_quality IS NOT NULL", "1|1\n");
    answers("SELECT time, time_quality FROM readings WHERE time < '2026-02-25T06:13:20Z' AND time > '2026-02-25T06:12:00Z'",
            "2026-02-25T06:12:10Z|corrected\n");
    answers("SELECT first_time, last_time, time_quality FROM segments WHERE seq <= 2",
            "2026-02-25T06:12:10Z|2026-02-25T06:13:10Z|corrected\n2026-02-25T06:13:20Z|2026-02-25T06:14:20Z|\n");
}

static void test_nonsense_is_refused(void **state) {
    static const struct {
        const char *text;
        size_t len;
    } wrong[] = {
#define WRONG(t) {t, sizeof(t) - 1}
        WRONG(""),
        WRONG("x"),
        WRONG("5"),
        WRONG("-1 1\n"),
        WRONG("0 0\n"), /* would go on for ever */
        WRONG("1 2\n"),
        WRONG("1 1 x\n"),
        WRONG("1 1 -1\n"),
        WRONG("1 1 65536\n"),
        WRONG("1 1\n1 1 1 1 1 1 0\n"),
        WRONG("1 1\n1 1 1 1 1 1 2 0\n"),
        WRONG("1 1\n0 1 1 1 1 1 0 0\n"),
        WRONG("1 1\n1 300 1 1 1 1 0 0\n"),
        WRONG("1 1\n1 1 1 1 1 1 0 3\n"),
        WRONG("1 1\n1 1 1 1 1 1 0 0 5 6\n"), /* half a correction */
        WRONG("1 1\n99999999999999999999 1 1 1 1 1 0 0 \n"),
#undef WRONG
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct query_bed bed;
        nonsense = wrong[i].text;
        nonsense_len = wrong[i].len;
        const enum wr_result result = ask(&bed, "SELECT count(*) FROM readings");
        if (result != WR_PROTOCOL)
            fail_msg("'%s': %s %s", nonsense, wr_result_name(result), bed.err.text);
        query_bed_fini(&bed);
    }
    nonsense = NULL;
}

static void test_places_that_cannot_be_read_are_added_up(void **state) {
    struct query_bed bed;
    (void)state;
    nonsense = "5 1 2\n"; /* of each of the two lanes */
    nonsense_len = strlen(nonsense);
    assert_int_equal(ask(&bed, "SELECT count(*) FROM readings"), WR_OK);
    assert_int_equal(bed.report.unreadable, 4);
    query_bed_fini(&bed);
    nonsense = NULL;
}

static void test_nonsense_in_place_of_bodies(void **state) {
    static const char *const wrong[] = {"", "1", "1 5\nabc", "1 -2\n", "1 99999999\n", "2 3\nabc", "1 3\nabc"};
    struct wr_segment_head head = {.seq = 1, .lane = WR_LANE_WINDOWS};
    struct wr_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct wr_segment segment = {0};
        nonsense = wrong[i];
        nonsense_len = strlen(wrong[i]);
        assert_int_equal(wr_agent_history_init(&history, &control, &err), WR_OK);
        const struct wr_history source = wr_agent_history_source(&history);
        const enum wr_result result = source.body(source.user, &head, 1, &segment, &err);
        /* The last is as the protocol wants it; that it is no segment is seen where it is decoded. */
        assert_int_equal(result, i + 1 == sizeof wrong / sizeof wrong[0] ? WR_OK : WR_PROTOCOL);
        wr_segment_free(&segment);
        wr_agent_history_fini(&history);
    }
    nonsense = NULL;
}

static void test_survives_failing_allocations(void **state) {
    static const char question[] = "SELECT seq FROM readings LIMIT 3"; /* the bodies of two calls */
    (void)state;
    for (long n = 0;; n++) {
        struct query_bed bed;
        wr_failing_allocations(n); /* also of the agent's threads: then it says so */
        memset(&bed, 0, sizeof bed);
        const enum wr_result result = ask(&bed, question);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK)
            assert_string_equal(wr_buf_str(&bed.rows), "1\n2\n3\n");
        query_bed_fini(&bed);
        if (!hit)
            break;
    }
    answers(question, "1\n2\n3\n");
}

static void test_no_agent(void **state) {
    struct wr_error err = {0};
    const struct wr_config_control other = {.socket = (char *)"/nonexistent/weir.sock"};
    (void)state;
    assert_int_equal(wr_agent_history_init(&history, &other, &err), WR_NOT_FOUND);
    wr_agent_history_fini(&history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_as_from_the_store),
        cmocka_unit_test(test_times_are_corrected),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_places_that_cannot_be_read_are_added_up),
        cmocka_unit_test(test_nonsense_in_place_of_bodies),
        cmocka_unit_test(test_survives_failing_allocations),
        cmocka_unit_test(test_no_agent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
