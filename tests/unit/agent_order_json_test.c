/* Operators' commands as JSON: what is taken, and what is refused in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/control/order_json.h"
#include "tests/support/failing.h"

static struct wr_order order;
static struct wr_error err;

static enum wr_result read_order(const char *verb, const char *text) {
    memset(&order, 0, sizeof order);
    memset(&err, 0, sizeof err);
    order.verb = wr_order_verb_of(verb);
    return wr_order_from_json(&order, text, strlen(text), &err);
}

static void what_is_taken(void **state) {
    (void)state;
    assert_int_equal(read_order("shelve", "\n{\"alarm\":\"warm{room=A1}\", \"by\" : \"Ana \\u00c9\\ud83d\\ude00\", \"why\":\"a "
                                          "\\\"b\\\"\",\"for\":\"90m\",\"key\":\"k\"}\n"),
                     WR_OK);
    assert_string_equal(order.alarm, "warm{room=A1}");
    assert_string_equal(order.by_whom, "Ana \xc3\x89\xf0\x9f\x98\x80");
    assert_string_equal(order.why, "a \"b\"");
    assert_string_equal(order.key, "k");
    assert_true(order.for_ns == 90 * 60 * WR_NS_PER_S && order.until_wall_ns == 0);
    assert_int_equal(read_order("shelve", "{\"until\":\"2026-03-02T16:00:00Z\",\"alarm\":\"*\",\"by\":\"b\",\"why\":\"c\"}"), WR_OK);
    assert_true(order.for_ns == 0 && order.until_wall_ns == INT64_C(1772467200) * WR_NS_PER_S);
    assert_int_equal(read_order("ack", "{\"alarm\":\"*\",\"by\":\"b\"}"), WR_OK);
    assert_string_equal(order.key, "");
}

static void texts_have_their_lengths(void **state) {
    (void)state;
    char key[WR_COMMAND_KEY_BYTES + 1], text[256];
    memset(key, 'k', sizeof key);
    key[WR_COMMAND_KEY_BYTES - 1] = '\0';
    snprintf(text, sizeof text, "{\"alarm\":\"a\",\"by\":\"b\",\"key\":\"%s\"}", key);
    assert_int_equal(read_order("ack", text), WR_OK);
    assert_string_equal(order.key, key);
    snprintf(text, sizeof text, "{\"alarm\":\"a\",\"by\":\"b\",\"key\":\"%sk\"}", key);
    assert_int_equal(read_order("ack", text), WR_INVALID);
    assert_string_equal(err.text, "key is longer than 63 bytes");
    char escaped[8 * 1024] = "{\"by\":\"b\",\"alarm\":\"";
    for (int i = 0; i < WR_ORDER_ALARM_BYTES - 1; i++)
        strcat(escaped, "\\u0061");
    strcat(escaped, "\"}");
    assert_int_equal(read_order("ack", escaped), WR_OK);
    assert_int_equal(strlen(order.alarm), WR_ORDER_ALARM_BYTES - 1);
}

static void what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *verb, *text, *problem;
    } list[] = {
        {"ack", "", "this is no JSON object of a command: byte 1: "},
        {"ack", "{\"alarm\":\"a\"", "byte 13: unexpected end"},
        {"ack", "{\"alarm\" \"a\"}", "this is no JSON object of a command: byte 10: "},
        {"ack", "[]", "a command is a JSON object"},
        {"ack", "\"x\"", "a command is a JSON object"},
        {"ack", "{\"alarm\":\"a\",\"by\":\"b\"} {}", "something stands behind the object"},
        {"ack", "{\"alram\":\"a\"}", "'alram' is none of alarm, by, why, for, until, key"},
        {"ack", "{\"alarm\":\"a\",\"alarm\":\"b\"}", "alarm stands there twice"},
        {"ack", "{\"alarm\":7}", "alarm takes a text in quotes"},
        {"ack", "{\"alarm\":null}", "alarm takes a text in quotes"},
        {"ack", "{\"alarm\":{\"a\":1}}", "alarm takes a text in quotes"},
        {"ack", "{\"alarm\":\"a\\u0000b\"}", "alarm takes plain UTF-8 text"},
        {"ack", "{\"alarm\":\"a\",\"by\":\"a\\u001b[1m\"}", "by takes plain UTF-8 text"},
        {"ack", "{\"alarm\":\"a\",\"by\":\"\xff\"}", "by takes plain UTF-8 text"},
        {"ack", "{\"alarm\":\"a\",\"by\":\"\\ud800\"}", "by has half of a surrogate pair in it"},
        {"ack", "{\"by\":\"b\"}", "which alarm?"},
        {"ack", "{\"alarm\":\"a\"}", "who says it?"},
        {"ack", "{\"alarm\":\"a\",\"by\":\"b\",\"for\":\"2h\"}", "for and until go with shelve"},
        {"shelve", "{\"alarm\":\"a\",\"by\":\"b\",\"for\":\"2h\"}", "to shelve needs why"},
        {"shelve", "{\"alarm\":\"a\",\"by\":\"b\",\"why\":\"c\"}", "to shelve needs why"},
        {"shelve", "{\"alarm\":\"a\",\"by\":\"b\",\"why\":\"c\",\"for\":\"long\"}", "for takes a duration"},
        {"shelve", "{\"alarm\":\"a\",\"by\":\"b\",\"why\":\"c\",\"until\":\"soon\"}", "until takes a time"},
        {"shelve", "{\"alarm\":\"a\",\"by\":\"b\",\"why\":\"c\",\"for\":\"2h\",\"until\":\"2026-03-02T16:00:00Z\"}", "exclude each other"},
        {"oos", "{\"alarm\":\"a\",\"by\":\"b\"}", "oos needs why"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        assert_int_equal(read_order(list[i].verb, list[i].text), WR_INVALID);
        if (!strstr(err.text, list[i].problem))
            fail_msg("%s: %s", list[i].text, err.text);
    }
}

static void without_memory(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result =
            read_order("shelve", "{\"until\":\"2026-03-02T16:00:00Z\",\"alarm\":\"*\",\"by\":\"b\",\"why\":\"c\"}");
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(texts_have_their_lengths),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
