/* Which version of MQTT is spoken: what each answer to a CONNECT proves, and the session against peers of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/mqtt_peer.h"
#include "tests/support/random.h"
#include "tests/support/session_alone.h"
#include "transport/session_version.h"

static void an_answer_tells_versions_from_refusals(void **state) {
    (void)state;
    static const struct {
        uint8_t tried;
        uint8_t reason;
        enum wr_mqtt_answer answer;
    } cases[] = {
        {WR_MQTT_5, 0x84, WR_MQTT_WRONG_VERSION},     {WR_MQTT_5, 1, WR_MQTT_WRONG_VERSION}, {WR_MQTT_5, 2, WR_MQTT_WRONG_VERSION},
        {WR_MQTT_5, 5, WR_MQTT_WRONG_VERSION},        {WR_MQTT_5, 0x86, WR_MQTT_REFUSED},    {WR_MQTT_5, 0x87, WR_MQTT_REFUSED},
        {WR_MQTT_5, 0x80, WR_MQTT_REFUSED},           {WR_MQTT_5, 0x8A, WR_MQTT_REFUSED},    {WR_MQTT_3_1_1, 1, WR_MQTT_WRONG_VERSION},
        {WR_MQTT_3_1_1, 2, WR_MQTT_REFUSED},          {WR_MQTT_3_1_1, 4, WR_MQTT_REFUSED},   {WR_MQTT_3_1_1, 5, WR_MQTT_REFUSED},
        {WR_MQTT_3_1_1, 0x84, WR_MQTT_WRONG_VERSION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(wr_session_version_answer(cases[i].tried, cases[i].reason), cases[i].answer);
    assert_string_equal(wr_session_version_return_code(5), "not authorised");
    assert_string_equal(wr_session_version_return_code(77), "unknown return code");
    assert_string_equal(wr_session_version_name(WR_MQTT_3_1_1), "3.1.1");
}

/* A broker of one kind, and what a connect to it comes to. */
enum kind { NEW, NEW_REFUSING, OLD_CODE, OLD_CLOSING, OLD_REFUSING, DEAD, KINDS };

static enum wr_mqtt_answer answer_of(enum kind kind, uint8_t version) {
    switch (kind) {
    case NEW:
        return WR_MQTT_ACCEPTED;
    case NEW_REFUSING:
        return WR_MQTT_REFUSED;
    case OLD_CODE:
        return version == WR_MQTT_5 ? WR_MQTT_WRONG_VERSION : WR_MQTT_ACCEPTED;
    case OLD_CLOSING:
        return version == WR_MQTT_5 ? WR_MQTT_CLOSED : WR_MQTT_ACCEPTED;
    case OLD_REFUSING:
        return version == WR_MQTT_5 ? WR_MQTT_CLOSED : WR_MQTT_REFUSED;
    case DEAD:
    case KINDS:
        break;
    }
    return WR_MQTT_CLOSED;
}

/* One connect as the session makes it; the number of CONNECTs, and the last answer. */
static unsigned dial(struct wr_session_version *version, enum kind kind, enum wr_mqtt_answer *ret_answer) {
    uint8_t first = wr_session_version_first(version);
    *ret_answer = answer_of(kind, first);
    if (!wr_session_version_learn(version, first, *ret_answer))
        return 1;
    *ret_answer = answer_of(kind, WR_MQTT_3_1_1);
    assert_false(wr_session_version_learn(version, WR_MQTT_3_1_1, *ret_answer));
    return 2;
}

/* Whatever came before: an old broker is reached by the first connect, one that accepts 5 is never spoken to in 3.1.1 for the rest of the run, and
 * a refusal in 5 is not asked for twice. */
static void any_sequence_of_brokers(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int run = 0; run < 2000; run++) {
        struct wr_session_version version = {.wanted = WR_MQTT_AUTO};
        for (int i = 0; i < 12; i++) {
            enum kind kind = (enum kind)wr_random_below(&random, KINDS);
            enum wr_mqtt_answer answer;
            uint8_t taken = version.taken;
            unsigned connects = dial(&version, kind, &answer);
            if (kind == NEW && taken != WR_MQTT_3_1_1)
                assert_true(connects == 1 && version.taken == WR_MQTT_5);
            if (kind == OLD_CODE)
                assert_true(answer == WR_MQTT_ACCEPTED && version.taken == WR_MQTT_3_1_1);
            if (kind == OLD_CLOSING && taken != WR_MQTT_5)
                assert_int_equal(answer, WR_MQTT_ACCEPTED);
            if (kind == NEW_REFUSING)
                assert_int_equal(connects, 1);
            if (kind == DEAD)
                assert_int_equal(version.taken, taken);
        }
    }
}

/* A close proves less than an answer: it takes two in a row, and nothing where MQTT 5 was taken once. */
static void closes_are_remembered_late(void **state) {
    (void)state;
    struct wr_session_version version = {.wanted = WR_MQTT_AUTO};
    enum wr_mqtt_answer answer;
    assert_int_equal(dial(&version, OLD_CLOSING, &answer), 2);
    assert_int_equal(version.taken, 0);
    assert_int_equal(dial(&version, OLD_CLOSING, &answer), 2);
    assert_int_equal(version.taken, WR_MQTT_3_1_1);
    assert_int_equal(dial(&version, OLD_CLOSING, &answer), 1);

    version = (struct wr_session_version){.wanted = WR_MQTT_AUTO};
    assert_int_equal(dial(&version, OLD_CLOSING, &answer), 2);
    assert_int_equal(dial(&version, DEAD, &answer), 2); /* then it was not about the version */
    assert_int_equal(dial(&version, OLD_CLOSING, &answer), 2);
    assert_int_equal(version.taken, 0);
    assert_int_equal(dial(&version, NEW, &answer), 1);
    assert_int_equal(dial(&version, DEAD, &answer), 1);
    assert_int_equal(version.taken, WR_MQTT_5);

    for (unsigned wanted = WR_MQTT_3_1_1; wanted <= WR_MQTT_5; wanted++) {
        version = (struct wr_session_version){.wanted = (uint8_t)wanted};
        assert_int_equal(wr_session_version_first(&version), wanted);
        for (int kind = 0; kind < KINDS; kind++)
            assert_int_equal(dial(&version, (enum kind)kind, &answer), 1);
        assert_int_equal(wr_session_version_first(&version), wanted);
    }
}

/* ---- the session ---- */

static void open_to(struct session_alone *link, uint16_t port, uint8_t version) {
    struct wr_session_config config = session_alone_config_plain(port, version);
    (void)snprintf(config.will_topic, sizeof config.will_topic, "weir/1/-/gw-7/state");
    (void)snprintf(config.will, sizeof config.will, "gone");
    session_alone_open(link, &config);
}

static struct wr_session_event connect_to(struct session_alone *link, uint64_t connection) {
    assert_int_equal(wr_session_ops()->connect(link->session, connection, 0), WR_OK);
    return session_alone_next(link);
}

static void is_connected(const struct wr_session_event *event, uint8_t version) {
    if (event->kind != WR_SESSION_CONNECTED || event->version != version)
        fail_msg("kind %d, version %d: %s", event->kind, event->version, event->text);
}

static void delivers(struct session_alone *link, uint64_t connection) {
    const struct wr_session_property property = {"node", "gw-7"};
    struct wr_session_publish publish = {.connection = connection,
                                         .id = 100 + connection,
                                         .topic = "weir/1/-/gw-7/agg/0000000000c0ffee/7",
                                         .payload = "x",
                                         .payload_len = 1,
                                         .qos = 1,
                                         .content_type = "text/plain",
                                         .properties = &property,
                                         .n_properties = 1};
    assert_int_equal(wr_session_ops()->publish(link->session, &publish, NULL), WR_OK);
    struct wr_session_event event = session_alone_next(link);
    assert_int_equal(event.kind, WR_SESSION_DELIVERED);
    assert_int_equal(event.id, 100 + connection);
}

static unsigned looks_at_publish(void *user, const uint8_t *packet, size_t len) {
    unsigned *longest = user;
    (void)packet;
    if (len > *longest)
        *longest = (unsigned)len;
    return 0;
}

static void an_old_broker(enum wr_test_peer_old old, unsigned connects_of_5) {
    unsigned longest = 0;
    struct wr_test_peer peer = {.old = old, .on_publish = looks_at_publish, .user = &longest};
    wr_test_peer_start(&peer);
    struct session_alone link;
    open_to(&link, peer.port, WR_MQTT_AUTO);
    for (uint64_t connection = 1; connection <= 3; connection++) {
        struct wr_session_event event = connect_to(&link, connection);
        is_connected(&event, WR_MQTT_3_1_1);
        assert_int_equal(event.receive_max, UINT16_MAX);
        delivers(&link, connection);
        wr_session_ops()->close(link.session, connection, true);
    }
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
    assert_int_equal(peer.connects[5], connects_of_5);
    assert_int_equal(peer.connects[4], 3);
    assert_int_equal(longest, 2 + strlen("weir/1/-/gw-7/agg/0000000000c0ffee/7") + 2 + 1); /* no properties, no length of them */
}

static void an_old_broker_is_spoken_to_in_3_1_1(void **state) {
    (void)state;
    an_old_broker(WR_TEST_PEER_OLD_CODE, 1);
    an_old_broker(WR_TEST_PEER_OLD_REASON, 1);
    an_old_broker(WR_TEST_PEER_OLD_CLOSES, 2);
}

static void a_refusal_is_not_taken_for_an_old_broker(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_reason = 0x87};
    wr_test_peer_start(&peer);
    struct session_alone link;
    open_to(&link, peer.port, WR_MQTT_AUTO);
    struct wr_session_event event = connect_to(&link, 1);
    assert_int_equal(event.kind, WR_SESSION_FAILED);
    assert_non_null(strstr(event.text, "the broker refused the connection: Not authorized (0x87)"));
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
    assert_int_equal(peer.connects[5], 1);
    assert_int_equal(peer.connects[4], 0);
}

static void refusals_of_an_old_broker_are_named(void **state) {
    (void)state;
    struct wr_test_peer peer = {.old = WR_TEST_PEER_OLD_CLOSES, .connack_reason = 4};
    wr_test_peer_start(&peer);
    struct session_alone link;
    open_to(&link, peer.port, WR_MQTT_AUTO);
    struct wr_session_event event = connect_to(&link, 1);
    assert_int_equal(event.kind, WR_SESSION_FAILED);
    assert_non_null(strstr(event.text, "the broker refused the connection: bad user name or password (MQTT 3.1.1 return code 4)"));
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
}

static void a_broker_that_closes_all_is_named(void **state) {
    (void)state;
    struct wr_test_peer peer = {.closes_all = true};
    wr_test_peer_start(&peer);
    struct session_alone link;
    open_to(&link, peer.port, WR_MQTT_AUTO);
    struct wr_session_event event = connect_to(&link, 1);
    assert_int_equal(event.kind, WR_SESSION_FAILED);
    assert_string_equal(event.text, "the broker closes the connection after the MQTT CONNECT, with MQTT 5 and with 3.1.1");
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
}

/* A version that the configuration names is the only one that is tried. */
static void a_given_version_is_kept(void **state) {
    (void)state;
    struct wr_test_peer old = {.old = WR_TEST_PEER_OLD_CODE};
    wr_test_peer_start(&old);
    struct session_alone link;
    open_to(&link, old.port, WR_MQTT_5);
    struct wr_session_event event = connect_to(&link, 1);
    assert_int_equal(event.kind, WR_SESSION_FAILED);
    assert_string_equal(event.text, "the broker does not speak MQTT 5 (return code 1)");
    session_alone_close(&link);
    wr_test_peer_stop(&old);
    assert_int_equal(old.connects[4], 0);

    struct wr_test_peer closing = {.old = WR_TEST_PEER_OLD_CLOSES};
    wr_test_peer_start(&closing);
    open_to(&link, closing.port, WR_MQTT_5);
    event = connect_to(&link, 1);
    assert_int_equal(event.kind, WR_SESSION_FAILED);
    assert_string_equal(event.text, "the broker closed the connection instead of answering: does it speak MQTT 5?");
    session_alone_close(&link);
    wr_test_peer_stop(&closing);
    assert_int_equal(closing.connects[4], 0);

    struct wr_test_peer peer = {0};
    wr_test_peer_start(&peer);
    open_to(&link, peer.port, WR_MQTT_3_1_1);
    event = connect_to(&link, 1);
    is_connected(&event, WR_MQTT_3_1_1);
    delivers(&link, 1);
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
    assert_int_equal(peer.connects[5], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_tells_versions_from_refusals),
        cmocka_unit_test(any_sequence_of_brokers),
        cmocka_unit_test(closes_are_remembered_late),
        cmocka_unit_test(an_old_broker_is_spoken_to_in_3_1_1),
        cmocka_unit_test(a_refusal_is_not_taken_for_an_old_broker),
        cmocka_unit_test(refusals_of_an_old_broker_are_named),
        cmocka_unit_test(a_broker_that_closes_all_is_named),
        cmocka_unit_test(a_given_version_is_kept),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
