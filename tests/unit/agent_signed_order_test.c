/* The envelope of a signed command: what is taken, what is refused in which words, and for whom and how long it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/control/order_json.h"
#include "agent/control/signed_order.h"
#include "tests/support/failing.h"

#define AT INT64_C(1772467200) /* 2026-03-02T16:00:00Z */
#define PLACE "\"node\":\"gw-7\",\"site\":\"riga\","
#define TIMES "\"issued\":\"2026-03-02T16:00:00Z\",\"expires\":\"2026-03-02T16:05:00Z\","
#define COMMAND "\"command\":{\"verb\":\"ack\",\"alarm\":\"warm{room=A1}\",\"by\":\"ana\"}"
#define WHOLE "{" PLACE TIMES "\"key\":\"k1\"," COMMAND "}"

static struct wr_signed_order message;
static struct wr_error err;

static enum wr_result read_message(const char *text) {
    memset(&message, 0, sizeof message);
    memset(&err, 0, sizeof err);
    return wr_signed_order_read(&message, text, strlen(text), &err);
}

static void what_is_taken(void **state) {
    (void)state;
    assert_int_equal(read_message(" " WHOLE "\n"), WR_OK);
    assert_string_equal(message.node, "gw-7");
    assert_string_equal(message.site, "riga");
    assert_true(message.issued_wall_ns == AT * WR_NS_PER_S && message.expires_wall_ns == (AT + 300) * WR_NS_PER_S);
    assert_string_equal(message.order.verb->name, "ack");
    assert_string_equal(message.order.alarm, "warm{room=A1}");
    assert_string_equal(message.order.key, "k1");
    /* in another order, without a site, for an hour */
    assert_int_equal(read_message("{" COMMAND ",\"key\":\"k2\",\"expires\":\"2026-03-02T17:00:00Z\",\"issued\":\"2026-03-02T16:00:00Z\","
                                  "\"node\":\"gw-7\"}"),
                     WR_OK);
    assert_string_equal(message.order.key, "k2");
    assert_string_equal(message.site, "");
}

static void what_is_refused(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "this is no JSON object of a signed command: byte 1"},
        {"{" PLACE, "this is no JSON object of a signed command"},
        {"[]", "a signed command is a JSON object"},
        {WHOLE "{}", "something stands behind the object"},
        {"{}", "node is missing"},
        {"{" TIMES "\"key\":\"k\"," COMMAND "}", "node is missing"},
        {"{" PLACE TIMES COMMAND "}", "key is missing"},
        {"{" PLACE TIMES "\"key\":\"\"," COMMAND "}", "the key is empty"},
        {"{" PLACE TIMES "\"key\":\"k\"}", "command is missing"},
        {"{" PLACE "\"key\":\"k\"," COMMAND "}", "issued is missing"},
        {"{" PLACE "\"node\":\"gw-8\"}", "node stands there twice"},
        {"{" PLACE "\"force\":true}", "'force' is none of node, site, key, issued, expires, command"},
        {"{\"node\":7}", "node takes a text in quotes"},
        {"{\"issued\":\"yesterday\"}", "issued takes a time"},
        {"{\"expires\":1772467200}", "expires takes a text in quotes"},
        {"{\"command\":\"ack\"}", "command: a command is a JSON object"},
        {"{\"command\":{\"alarm\":\"a\",\"by\":\"b\"}}", "command: which command? \"verb\""},
        {"{\"command\":{\"verb\":\"delete\",\"alarm\":\"a\",\"by\":\"b\"}}", "command: verb takes ack, reset"},
        {"{\"command\":{\"verb\":\"ack\",\"by\":\"b\"}}", "command: which alarm?"},
        {"{\"command\":{\"verb\":\"shelve\",\"alarm\":\"a\",\"by\":\"b\"}}", "command: to shelve needs why"},
        {"{\"command\":{\"verb\":\"ack\",\"alarm\":\"a\",\"by\":\"b\",\"key\":\"k\"}}", "the key stands beside the command"},
        {"{\"command\":{\"verb\":\"ack\",\"verb\":\"oos\"}}", "command: verb stands there twice"},
        {"{\"command\":{\"x\":\"ack\"}}", "command: 'x' is none of verb, alarm"},
        {"{" PLACE "\"issued\":\"2026-03-02T16:00:00Z\",\"expires\":\"2026-03-02T16:00:00Z\",\"key\":\"k\"," COMMAND "}",
         "expires is not behind issued"},
        {"{" PLACE "\"issued\":\"2026-03-02T16:00:00Z\",\"expires\":\"2026-03-02T17:00:01Z\",\"key\":\"k\"," COMMAND "}",
         "it is valid for more than an hour"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (read_message(cases[i][0]) != WR_INVALID || strncmp(err.text, cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s: '%s' is not '%s'", cases[i][0], err.text, cases[i][1]);
    char text[256];
    snprintf(text, sizeof text, "{\"node\":\"%065d\"}", 0);
    assert_int_equal(read_message(text), WR_INVALID);
    assert_string_equal(err.text, "node is longer than 64 bytes");
    assert_int_equal(read_message("{\"key\":\"k3\",\"command\":{}}"), WR_INVALID);
    assert_string_equal(message.order.key, "k3"); /* so that the answer can name it */
}

static void an_order_with_a_verb_takes_none(void **state) {
    (void)state;
    struct wr_order order = {.verb = wr_order_verb_of("ack")};
    static const char text[] = "{\"verb\":\"oos\",\"alarm\":\"a\",\"by\":\"b\"}";
    assert_int_equal(wr_order_from_json(&order, text, sizeof text - 1, &err), WR_INVALID);
    assert_string_equal(err.text, "'verb' is none of alarm, by, why, for, until, key");
}

static enum wr_signed_order_flaw flaw_at(const char *node, const char *site, int64_t wall_ns, bool trusted) {
    const struct wr_now now = {.wall_ns = wall_ns, .wall_trusted = trusted};
    memset(&err, 0, sizeof err);
    const enum wr_signed_order_flaw flaw = wr_signed_order_flaw(&message, node, site, &now, &err);
    assert_true((flaw == WR_SIGNED_ORDER_FINE) == (err.text[0] == '\0'));
    return flaw;
}

static void for_whom_and_how_long(void **state) {
    (void)state;
    const int64_t at = AT * WR_NS_PER_S;
    assert_int_equal(read_message(WHOLE), WR_OK);
    assert_int_equal(flaw_at("gw-7", "riga", at, true), WR_SIGNED_ORDER_FINE);
    assert_int_equal(flaw_at("gw-8", "riga", at, true), WR_SIGNED_ORDER_ELSEWHERE);
    assert_int_equal(flaw_at("gw-7", "oslo", at, true), WR_SIGNED_ORDER_ELSEWHERE);
    assert_int_equal(flaw_at("gw-7", "-", at, true), WR_SIGNED_ORDER_ELSEWHERE);
    assert_int_equal(flaw_at("gw-7", "riga", at, false), WR_SIGNED_ORDER_CLOCK);
    assert_int_equal(flaw_at("gw-7", "riga", at - WR_SIGNED_ORDER_AHEAD_NS, true), WR_SIGNED_ORDER_FINE);
    assert_int_equal(flaw_at("gw-7", "riga", at - WR_SIGNED_ORDER_AHEAD_NS - 1, true), WR_SIGNED_ORDER_AHEAD);
    assert_int_equal(flaw_at("gw-7", "riga", at + 300 * WR_NS_PER_S - 1, true), WR_SIGNED_ORDER_FINE);
    assert_int_equal(flaw_at("gw-7", "riga", at + 300 * WR_NS_PER_S, true), WR_SIGNED_ORDER_EXPIRED);
    message.site[0] = '\0';
    assert_int_equal(flaw_at("gw-7", "riga", at, true), WR_SIGNED_ORDER_ELSEWHERE);
    assert_string_equal(err.text, "it names no site, and this node has one");
    assert_int_equal(flaw_at("gw-7", "-", at, true), WR_SIGNED_ORDER_FINE);
    assert_int_equal(flaw_at("gw-7", "", at, true), WR_SIGNED_ORDER_FINE);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static const char *const commands[] = {
        "{\"verb\":\"ack\",\"alarm\":\"warm{room=\\\"A \\u00e9\\\"}\",\"by\":\"ana\"}",
        "{\"verb\":\"shelve\",\"alarm\":\"*\",\"by\":\"ana\",\"why\":\"a \\\\ b\",\"for\":\"1h30m\"}",
        "{\"verb\":\"shelve\",\"alarm\":\"*\",\"by\":\"ana\",\"why\":\"x\",\"until\":\"2026-03-02T20:00:00.250Z\"}",
        "{\"verb\":\"oos\",\"alarm\":\"pump\",\"by\":\"ana\",\"why\":\"WO-1\"}",
    };
    for (size_t i = 0; i < 2 * sizeof commands / sizeof commands[0]; i++) {
        char text[512];
        struct wr_buf written;
        snprintf(text, sizeof text, "{%s" TIMES "\"key\":\"k\",\"command\":%s}", i % 2 ? PLACE : "\"node\":\"gw-7\",", commands[i / 2]);
        assert_int_equal(read_message(text), WR_OK);
        const struct wr_signed_order first = message;
        wr_buf_init(&written, 0);
        assert_int_equal(wr_signed_order_write(&first, &written), WR_OK);
        assert_int_equal(read_message(wr_buf_str(&written)), WR_OK);
        assert_memory_equal(&message, &first, sizeof first);
        wr_buf_fini(&written);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    bool done = false;
    for (long n = 0; !done; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = read_message(WHOLE);
        done = !wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, done ? WR_OK : WR_NO_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(an_order_with_a_verb_takes_none),
        cmocka_unit_test(for_whom_and_how_long),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
