/* `weir query` and `weir replay` over a store with bad sectors, of a running agent and of a stopped one: what can be read is given, and how much is left out is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "agent/control/control_history.h"
#include "core/log.h"
#include "tests/support/disk_bed.h"
#include "tests/support/said.h"
#include "tests/support/store_pages.h"

#define PAGES 2048
#define SEGMENTS 300

static struct wr_agent *agent;
static struct wr_accounts accounts;
static struct wr_control_server *server;
static char config[300];
static char rules[300];
static char stub[300];
static bool bad[PAGES];
static unsigned heads;
static unsigned bodies;

static void put_file(char path[300], const char *name, const char *text) {
    snprintf(path, 300, "%s/%s", fixture.directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A page of rows, and the bodies of some more. */
static void spoil(void) {
    uint64_t len = 0;
    wr_fault_vfs_remove(disk, WR_STORE_FILE "-wal"); /* it has copies */
    const uint8_t *file = wr_fault_vfs_file(disk, WR_STORE_FILE, &len);
    heads = store_pages_of(file, len, WR_LANE_WINDOWS, 100, 100, STORE_PAGE_HEADS, bad, PAGES);
    bodies = store_pages_of(file, len, WR_LANE_WINDOWS, 200, 205, STORE_PAGE_BODIES, bad, PAGES);
    assert_true(heads > 0 && bodies > 1);
    wr_fault_vfs_bad_pages(disk, WR_STORE_FILE, bad, PAGES, STORE_PAGE_BYTES);
}

static int set_up(void **state) {
    char text[1024];
    (void)disk_bed_setup(state);
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
    must(store_fixture_open(&fixture));
    for (int i = 0; i < SEGMENTS; i++) {
        store_fixture_fill(&fixture, WINDOWS, 64, 2);
        store_fixture_noise(&fixture, 0, &dice);
        store_fixture_take(&fixture);
        must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
        store_fixture_advance(&fixture, 60 * WR_NS_PER_S);
    }
    store_fixture_close(&fixture);
    spoil();
    snprintf(text, sizeof text,
             "node: {id: gw-7}\nsources:\n  - {name: floor, kind: line, listen: \"tcp://127.0.0.1:8094\"}\n"
             "windows:\n  - {name: m1, every: 1m, of: \"*\"}\nstore: {path: %s}\ncontrol: {socket: %s/weir.sock}\n",
             fixture.directory, fixture.directory);
    put_file(config, "weir.yaml", text);
    put_file(rules, "rules.yaml", "weir: 1\npoints:\n  - {point: temp, unit: °C}\nrules:\n  - rule: hot\n    when: temp > 80°C\n");
    put_file(stub, WR_STORE_FILE, ""); /* the real one is on the faulty disk */
    wr_fault_vfs_default(disk, true);
    return 0;
}

static int tear_down(void **state) {
    wr_fault_vfs_default(disk, false);
    return disk_bed_teardown(state);
}

static int on_words(void *user, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    (void)user, (void)by_whom;
    return wr_control_history(agent, argc, argv, answer);
}

static void start_agent(void) {
    char path[300];
    memcpy(accounts.list, store_accounts, sizeof store_accounts);
    accounts.n = STORE_ACCOUNTS;
    agent = calloc(1, sizeof *agent);
    assert_non_null(agent);
    agent->clock = wr_clock_real();
    agent->store = (struct wr_store_loop){
        .clock = wr_clock_real(), .path = fixture.directory, .options = fixture.options, .symbols = fixture.symbols, .accounts = &accounts};
    must(wr_store_loop_init(&agent->store, 4, 16, NULL));
    must(wr_store_loop_start(&agent->store, NULL));
    must(wr_store_loop_wait_open(&agent->store, WR_NEVER_NS, NULL));
    snprintf(path, sizeof path, "%s/weir.sock", fixture.directory);
    must(wr_control_server_start(path, on_words, NULL, &server, NULL));
}

static void stop_agent(void) {
    wr_control_server_stop(server);
    (void)!wr_store_loop_stop(&agent->store, WR_NEVER_NS);
    wr_store_loop_fini(&agent->store);
    free(agent);
}

static void is_said(const char *words) {
    expect(WR_EXIT_FOUND, WR_EXIT_FOUND, words);
}

static void query(char *format, const char *before, const char *behind) {
    char sql[] = "SELECT count(DISTINCT seq) AS segments FROM readings";
    char rows[64];
    char left_out[96];
    const int code = say(wr_command_query, (char *[]){"query", "-c", config, format, sql, NULL});
    snprintf(rows, sizeof rows, "%s%u%sweir query:", before, SEGMENTS - heads - bodies, behind);
    snprintf(left_out, sizeof left_out, "weir query: %u segments are left out: damaged, or not to be read\n", bodies);
    expect(code, WR_EXIT_FOUND, rows);
    is_said("weir query: 1 place of the store cannot be read: the segments there are left out");
    is_said(left_out);
}

static void all_but_the_bad(void) {
    query("--csv", "segments\n", "\n");
    query("--json", "[\n{\"segments\":", "}\n]\n");
    expect(say(wr_command_query, (char *[]){"query", "-c", config, "SELECT 1", NULL}), WR_EXIT_OK, "1\n");
    const int code = say(wr_command_replay, (char *[]){"replay", "-c", config, "--from", "2026-02-01", "--rules", rules, "--json", NULL});
    expect(code, WR_EXIT_FOUND, "\"rule\":\"hot\"");
    is_said("weir replay: 1 place of the store cannot be read: the segments there are left out");
    is_said(" are left out: damaged, or not to be read\n");
}

static void test_of_a_running_agent(void **state) {
    (void)state;
    start_agent();
    all_but_the_bad();
    stop_agent();
}

static void test_of_a_stopped_one(void **state) {
    (void)state;
    all_but_the_bad();
}

int main(void) {
    dice = wr_random_begin();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_of_a_running_agent), TEST(test_of_a_stopped_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
