/* Commands over HTTP without a whole agent: real sockets, the server, the desk, an engine and a journal that a test holds back; failing calls. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/control/desk.h"
#include "agent/http/http_server.h"
#include "tests/support/client.h"
#include "tests/support/failing.h"
#include "tests/support/order_bed.h"
#include "tests/support/waiting.h"

#define TOKEN "Authorization: Bearer secret\r\n"
#define ACK "{\"alarm\":\"hot\",\"by\":\"ana\",\"why\":\"seen\",\"key\":\"k1\"}"

static struct wr_http_gate writes, gate;
static struct wr_config_http config;
static struct wr_desk *desk;
static struct wr_http_server *server;
static char tokens[64];
static char reply[16384];

static bool yes(void *user, struct wr_buf *why) {
    (void)user, (void)why;
    return true;
}

static const char rules[] =
    "rules:\n"
    "  - {rule: hot, when: temp > 50, by: room}\n"
    "  - {rule: fire, when: temp > 50, by: room, severity: critical, consequence: c, respond: r, time_to_respond: 1m}\n";

static int set_up(void **state) {
    (void)state;
    snprintf(tokens, sizeof tokens, "/tmp/weir-desk-test-XXXXXX");
    const int fd = mkstemp(tokens);
    assert_true(fd >= 0 && write(fd, "secret\n", 7) == 7);
    close(fd);
    bed_rules = rules;
    begin(64);
    wr_http_gate_init(&writes);
    wr_http_gate_init(&gate);
    config = (struct wr_config_http){.listen = (char *)"127.0.0.1:0",
                                     .address = {.kind = WR_ADDRESS_TCP, .host = (char *)"127.0.0.1"},
                                     .max_connections = 40,
                                     .command_token_file = tokens};
    return 0;
}

static void start_server(struct wr_http_gate *desk_gate) {
    const struct wr_http_server_options options = {
        .config = &config, .health = {.healthy = yes, .ready = yes}, .gate = &writes, .desk = desk_gate};
    assert_int_equal(wr_http_server_start(&options, &server, NULL), WR_OK);
}

static void start(void) {
    assert_int_equal(wr_desk_start(&bed.agent, &config, &gate, &desk, NULL), WR_OK);
    start_server(&gate);
}

static void stop(int64_t within_ns) {
    wr_http_server_stop(server, wr_clock_boot_ns(wr_clock_real()) + within_ns);
    wr_desk_stop(desk);
    server = NULL;
    desk = NULL;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    stop(0);
    end();
    wr_http_gate_fini(&writes);
    wr_http_gate_fini(&gate);
    (void)unlink(tokens);
    return 0;
}

/* -- a client ---------------------------------------------------------------------------------------------------------------------------- */

static int dial_for(time_t patience_s) {
    const struct timeval patience = {.tv_sec = patience_s};
    const int fd = wr_test_dial(wr_http_server_port(server));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

static int dial(void) {
    return dial_for(20);
}

static void put(int fd, const char *line, const char *headers, const char *body) {
    char text[8192];
    const int len =
        body ? snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n%s", line, headers, strlen(body), body)
             : snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line, headers);
    (void)wr_test_put(fd, text, (size_t)len);
}

/* Reads one reply; its status, or 0: the connection ended. */
static int get(int fd) {
    return wr_test_get_reply(fd, reply, sizeof reply);
}

static int ask(int fd, const char *line, const char *headers, const char *body) {
    put(fd, line, headers, body);
    return get(fd);
}

static void has(const char *text) {
    if (!strstr(reply, text))
        fail_msg("no %s in %s", text, reply);
}

/* -- the engine, held ------------------------------------------------------------------------------------------------------------------- */

static struct wr_channel *release;

static void run_hold(struct wr_request *request, void *owner) {
    char word;
    (void)owner;
    (void)!wr_channel_recv(release, &word, WR_NEVER_NS);
    wr_request_finish(request, WR_OK);
}

/* From now on the engine does nothing more, until let_go. */
static void hold(void) {
    struct wr_request *request;
    release = make_channel("release", 1, 1);
    assert_int_equal(wr_request_new(run_hold, NULL, NULL, &request, NULL), WR_OK);
    assert_int_equal(wr_channel_send(bed.agent.engine.requests, &request, WR_NEVER_NS), WR_OK);
    wr_waiting_until(release, WR_CHANNEL_RECV, 1);
}

/* Until a command waits for the engine. */
static void until_it_waits(void) {
    struct wr_channel_stats stats;
    do
        wr_channel_stats(bed.agent.engine.requests, &stats);
    while (stats.depth == 0);
}

/* Also waits until the engine has done what stood behind it. */
static void let_go(void) {
    wr_channel_close(release);
    wr_waiting_until(bed.agent.engine.requests, WR_CHANNEL_RECV, 1);
    wr_channel_free(release);
}

/* -- tests ------------------------------------------------------------------------------------------------------------------------------- */

static void a_command_is_answered_when_it_is_on_disk(void **state) {
    (void)state;
    start();
    bed.commit_after = 50;
    int fd = dial();
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 200);
    assert_true(bed.looks >= 50);
    has("Content-Type: application/json");
    has("\"command\":\"ack\",\"alarm\":\"hot\",\"result\":\"ok\",\"changed\":3,\"refused\":0,\"by\":\"ana\",\"why\":\"seen\",\"key\":"
        "\"k1\","
        "\"repeated\":false,\"journalled\":true}\n");
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 200); /* on the same connection */
    has("\"repeated\":true");
    assert_int_equal(ask(fd, "GET /api/v1/alarms", TOKEN, NULL), 200);
    has("[{");
    has("\"to\":\"acked\"");
    close(fd);
}

static void each_outcome_has_its_status(void **state) {
    (void)state;
    static const struct {
        const char *verb, *body, *text;
        int status;
    } list[] = {
        {"ack", "{\"alarm\":\"cold\",\"by\":\"a\"}", "there is no rule 'cold'", 404},
        {"ack", "{\"alarm\":\"hot{room=Z}\",\"by\":\"a\"}", "\"result\":\"not found\"", 404},
        {"reset", "{\"alarm\":\"hot\",\"by\":\"a\"}", "nothing to reset", 409},
        {"ack", "{\"alarm\":\"hot{\",\"by\":\"a\"}", "\"problem\":", 400},
        {"ack", "{\"alarm\":\"hot\"}", "{\"error\":\"who says it?", 400},
        {"ack", "", "{\"error\":\"this is no JSON object", 400},
        {"shelve", "{\"alarm\":\"fire\",\"by\":\"a\",\"why\":\"x\",\"for\":\"1h\"}", "may not be shelved", 403},
        {"shelve", "{\"alarm\":\"hot\",\"by\":\"a\",\"why\":\"x\",\"for\":\"1h\",\"key\":\"k\"}", "\"until\":\"2026-03-02T09:00:00.000Z\"",
         200},
        {"unshelve", "{\"alarm\":\"hot\",\"by\":\"a\",\"key\":\"k\"}", "the key k was used for another command", 409},
        {"unshelve", "{\"alarm\":\"hot\",\"by\":\"a\"}", "\"changed\":3", 200},
        {"oos", "{\"alarm\":\"hot{room=A}\",\"by\":\"a\",\"why\":\"WO-1\"}", "\"changed\":1", 200},
        {"return", "{\"alarm\":\"hot{room=A}\",\"by\":\"a\"}", "\"changed\":1", 200},
    };
    bed.agent.store.journalled = UINT64_MAX;
    start();
    int fd = dial();
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "POST /api/v1/alarms/%s", list[i].verb);
        const int status = ask(fd, line, TOKEN, list[i].body);
        if (status != list[i].status)
            fail_msg("%s %s: %s", line, list[i].body, reply);
        has(list[i].text);
    }
    close(fd);
}

static void without_a_token_nothing_is_told(void **state) {
    (void)state;
    char large[WR_DESK_BODY_BYTES + 2];
    memset(large, ' ', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    bed.agent.store.journalled = UINT64_MAX;
    start();
    int fd = dial();
    assert_int_equal(ask(fd, "GET /api/v1/alarms", "", NULL), 401);
    assert_int_equal(ask(fd, "GET /api/v1/alarms?p=secret", "", NULL), 401);
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", "Authorization: Bearer Secret\r\n", ACK), 401);
    assert_int_equal(ask(fd, "GET /api/v1/alarms/ack", TOKEN, NULL), 405);
    assert_int_equal(ask(fd, "POST /api/v1/alarms", TOKEN, ACK), 405);
    assert_int_equal(ask(fd, "POST /api/v1/alarms/dance", TOKEN, ACK), 404);
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN "Content-Type: text/html\r\n", ACK), 415);
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, large), 413);
    has("a command has at most 4 KB");
    assert_int_equal(ask(fd, "POST /write", TOKEN, "m v=1"), 404); /* there is no source of kind http */
    assert_int_equal(ask(fd, "GET /api/v1/alarms", TOKEN, NULL), 200);
    assert_null(strstr(reply, "acked"));
    close(fd);
    stop(WR_NS_PER_S);
    start_server(NULL);
    fd = dial();
    assert_int_equal(ask(fd, "GET /api/v1/alarms", TOKEN, NULL), 404);
    has("there is no http.command_token_file");
    close(fd);
    stop(WR_NS_PER_S);
    start_server(&gate); /* the desk is gone: as for a moment in a reload */
    fd = dial();
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 503);
    close(fd);
}

static void a_list_that_is_too_long_is_told(void **state) {
    (void)state;
    start();
    int fd = dial();
    assert_int_equal(ask(fd, "GET /api/v1/alarms", TOKEN, NULL), 200);
    close(fd);
    stop(WR_NS_PER_S);
    end();
    bed_rooms = 1500; /* twice as many alarms */
    begin(64);
    start();
    fd = dial();
    assert_int_equal(ask(fd, "GET /api/v1/alarms", TOKEN, NULL), 503);
    has("the list is too long for HTTP");
    close(fd);
    bed_rooms = ROOMS;
}

static void a_client_that_goes_away_has_said_it(void **state) {
    (void)state;
    bed.agent.store.journalled = UINT64_MAX;
    start();
    hold();
    int fd = dial();
    put(fd, "POST /api/v1/alarms/ack", TOKEN, ACK);
    until_it_waits();
    close(fd);
    let_go();
    fd = dial();
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 200);
    has("\"changed\":3");
    has("\"repeated\":true");
    close(fd);
}

/* The engine stands still: what it has is answered after five seconds, and so is what waits behind; what does not fit is sent back at once. */
static void who_waits_for_too_long_is_told(void **state) {
    (void)state;
    int fds[WR_DESK_WAITING + 2];
    bed.agent.store.journalled = UINT64_MAX;
    start();
    hold();
    for (int i = 0; i < WR_DESK_WAITING + 2; i++) {
        fds[i] = dial();
        put(fds[i], "POST /api/v1/alarms/ack", TOKEN, ACK);
        if (i == 0)
            until_it_waits(); /* the desk has this one in hand */
    }
    int full = 0, unknown = 0, late = 0;
    for (int i = 0; i < WR_DESK_WAITING + 2; i++) {
        const int status = get(fds[i]);
        full += status == 503 && strstr(reply, "too many commands wait") && strstr(reply, "Retry-After: 1");
        late += status == 503 && strstr(reply, "others are waited for");
        unknown += status == 504 && strstr(reply, "this may still be done; ask again with the same key");
        close(fds[i]);
    }
    assert_int_equal(full, 1);
    assert_true(unknown >= 1);
    assert_int_equal(full + late + unknown, WR_DESK_WAITING + 2);
    let_go();
    int fd = dial();
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 200);
    has("\"repeated\":true"); /* it was done */
    close(fd);
}

static void a_stop_does_not_wait_for_the_engine(void **state) {
    (void)state;
    start();
    hold();
    int fd = dial();
    put(fd, "POST /api/v1/alarms/ack", TOKEN, ACK);
    until_it_waits();
    const int64_t before = wr_clock_boot_ns(wr_clock_real());
    stop(50 * WR_NS_PER_MS);
    assert_true(wr_clock_boot_ns(wr_clock_real()) - before < 3 * WR_NS_PER_S);
    assert_int_equal(get(fd), 504);
    close(fd);
    let_go();
}

static void a_store_that_does_not_write_is_told(void **state) {
    (void)state;
    bed.agent.store.state = WR_STORE_FAILED;
    start();
    int fd = dial();
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 504);
    has("\"changed\":3");
    has("\"journalled\":false,\"problem\":\"the store does not write");
    close(fd);
}

/* Whatever fails: an answer or an end of the connection, and the next one is served. */
static void when_calls_fail(void **state) {
    (void)state;
    bed.agent.store.journalled = UINT64_MAX;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = wr_desk_start(&bed.agent, &config, &gate, &desk, NULL);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK)
            break;
        assert_true(hit && result == WR_NO_MEMORY && desk == NULL);
    }
    start_server(&gate);
    for (int io = 0; io < 2; io++)
        for (long n = 0;; n++) {
            int fd = dial_for(3); /* where the wake-up of the server itself fails there is no answer */
            if (io)
                wr_failing_io(n, ECONNRESET);
            else
                wr_failing_allocations(n);
            int status = ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK);
            if (status != 0 && !wr_failing_hit())
                status = ask(fd, "GET /api/v1/alarms", TOKEN, NULL);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            close(fd);
            assert_true(status == 200 || (hit && (status == 0 || status == 503 || status == 504)));
            if (!hit)
                break;
            assert_true(n < 500);
        }
    int fd = dial();
    assert_int_equal(ask(fd, "POST /api/v1/alarms/ack", TOKEN, ACK), 200);
    close(fd);
}

static void a_bad_token_file_is_told(void **state) {
    (void)state;
    struct wr_error err = {0};
    char missing[] = "/nonexistent/tokens";
    config.command_token_file = missing;
    assert_int_equal(wr_desk_start(&bed.agent, &config, &gate, &desk, &err), WR_IO);
    assert_non_null(strstr(err.text, "/nonexistent/tokens: No such file"));
}

int main(void) {
    wr_waiting_watchdog(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_is_answered_when_it_is_on_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_outcome_has_its_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_token_nothing_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_that_is_too_long_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_goes_away_has_said_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_too_long_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_does_not_wait_for_the_engine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_does_not_write_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(when_calls_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_token_file_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
