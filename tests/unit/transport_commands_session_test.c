/* The session's subscription to commands, in both versions of MQTT, with a peer that grants, refuses, hangs up and floods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/commands_bed.h"
#include "tests/support/mqtt_peer.h"
#include "tests/support/session_alone.h"

struct link {
    struct session_alone alone;
    struct wr_channel *commands;
};

static void link_open(struct link *link, uint16_t port, uint8_t version) {
    struct wr_session_config config = session_alone_config_plain(port, version);
    link->commands = config.commands = command_channel();
    session_alone_open(&link->alone, &config);
    assert_int_equal(wr_session_ops()->connect(link->alone.session, 1, 0), WR_OK);
    assert_int_equal(session_alone_next(&link->alone).kind, WR_SESSION_CONNECTED);
    assert_int_equal(wr_session_ops()->subscribe(link->alone.session, 1, CMD, NULL), WR_OK);
}

static void link_close(struct link *link) {
    struct wr_session_stats stats;
    wr_session_stats(link->alone.session, &stats);
    assert_int_equal(stats.events_lost, 0);
    session_alone_close(&link->alone);
    wr_channel_free(link->commands);
}

/* The SUBSCRIBE byte by byte: QoS 1, and with MQTT 5 no retained messages. */
static unsigned grants(void *user, const uint8_t *packet, size_t len) {
    const uint8_t *version = user;
    static const uint8_t five[] = "\x00\x00\x14" CMD "\x21"; /* no properties, the topic, its options */
    static const uint8_t three[] = "\x00\x14" CMD "\x01";
    bool is = *version == WR_MQTT_5 ? len == 2 + sizeof five - 1 && memcmp(packet + 2, five, sizeof five - 1) == 0
                                    : len == 2 + sizeof three - 1 && memcmp(packet + 2, three, sizeof three - 1) == 0;
    return is ? 1 : 0x8F;
}

static const uint8_t versions[] = {WR_MQTT_5, WR_MQTT_3_1_1};

static void commands_arrive_in_both_versions(void **state) {
    (void)state;
    static char large[WR_COMMAND_BYTES + 1];
    static const struct wr_test_peer_message messages[] = {
        {.flags = 0x03, .topic = CMD, .payload = "old", .payload_len = 3},
        {.flags = 0x02, .topic = CMD, .payload = large, .payload_len = sizeof large},
        {.flags = 0x02, .topic = CMD, .payload = "\x00\xFF{", .payload_len = 3}, /* whatever it is */
        {.flags = 0x00, .topic = CMD, .payload = "", .payload_len = 0},
        {.flags = 0x02, .topic = CMD, .payload = large, .payload_len = WR_COMMAND_BYTES},
    };
    for (size_t i = 0; i < 2; i++) {
        uint8_t version = versions[i];
        struct wr_test_peer peer = {.old = version == WR_MQTT_5 ? WR_TEST_PEER_NOT_OLD : WR_TEST_PEER_OLD_CODE,
                                    .on_subscribe = grants,
                                    .user = &version,
                                    .messages = messages,
                                    .n_messages = sizeof messages / sizeof messages[0]};
        wr_test_peer_start(&peer);
        struct link link;
        link_open(&link, peer.port, version);
        struct wr_session_event event = session_alone_next(&link.alone);
        assert_int_equal(event.kind, WR_SESSION_SUBSCRIBED);
        assert_int_equal(event.connection, 1);
        assert_int_equal(event.reason, 1);
        command_is(link.commands, "\x00\xFF{", 3);
        command_is(link.commands, "", 0);
        command_is(link.commands, large, WR_COMMAND_BYTES);
        struct wr_session_stats stats;
        wr_session_stats(link.alone.session, &stats);
        assert_int_equal(stats.commands.retained, 1);
        assert_int_equal(stats.commands.too_large, 1);
        until(peer.pubacks == 4); /* those too that were only counted: they do not come again */
        link_close(&link);
        wr_test_peer_stop(&peer);
    }
}

static unsigned refuses(void *user, const uint8_t *packet, size_t len) {
    (void)packet;
    (void)len;
    return *(const unsigned *)user;
}

static void a_refused_subscription_leaves_the_session_alone(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bool five = versions[i] == WR_MQTT_5;
        unsigned reason = five ? 0x87 : 0x80;
        struct wr_test_peer peer = {.old = five ? WR_TEST_PEER_NOT_OLD : WR_TEST_PEER_OLD_CODE, .on_subscribe = refuses, .user = &reason};
        wr_test_peer_start(&peer);
        struct link link;
        link_open(&link, peer.port, versions[i]);
        struct wr_session_event event = session_alone_next(&link.alone);
        assert_int_equal(event.kind, WR_SESSION_SUBSCRIBED);
        assert_int_equal(event.reason, reason);
        assert_string_equal(event.text, five ? "the broker refuses the subscription to commands: Not authorized (0x87)"
                                             : "the broker refuses the subscription to commands");
        struct wr_session_publish publish = {.connection = 1, .id = 9, .topic = "t", .payload = "x", .payload_len = 1, .qos = 1};
        assert_int_equal(wr_session_ops()->publish(link.alone.session, &publish, NULL), WR_OK);
        assert_int_equal(session_alone_next(&link.alone).kind, WR_SESSION_DELIVERED);
        link_close(&link);
        wr_test_peer_stop(&peer);
    }
}

static void a_peer_that_hangs_up_at_a_subscription_is_a_lost_connection(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct wr_test_peer peer = {.old = versions[i] == WR_MQTT_5 ? WR_TEST_PEER_NOT_OLD : WR_TEST_PEER_OLD_CODE};
        wr_test_peer_start(&peer);
        struct link link;
        link_open(&link, peer.port, versions[i]);
        assert_int_equal(session_alone_next(&link.alone).kind, WR_SESSION_LOST);
        assert_int_equal(wr_session_ops()->subscribe(link.alone.session, 1, CMD, NULL), WR_CLOSED);
        link_close(&link);
        wr_test_peer_stop(&peer);
    }
}

/* Nobody takes them: sixteen wait, the others are counted, and what the uplink sends is acknowledged all the same. */
static void a_flood_of_commands_is_counted(void **state) {
    (void)state;
    enum { FLOOD = 300 };
    static struct wr_test_peer_message messages[FLOOD];
    for (size_t i = 0; i < FLOOD; i++)
        messages[i] = (struct wr_test_peer_message){.flags = 0x02, .topic = CMD, .payload = "again", .payload_len = 5};
    uint8_t version = WR_MQTT_5;
    struct wr_test_peer peer = {.on_subscribe = grants, .user = &version, .messages = messages, .n_messages = FLOOD};
    wr_test_peer_start(&peer);
    struct link link;
    link_open(&link, peer.port, version);
    assert_int_equal(session_alone_next(&link.alone).kind, WR_SESSION_SUBSCRIBED);
    struct wr_session_publish publish = {.connection = 1, .id = 9, .topic = "t", .payload = "x", .payload_len = 1, .qos = 1};
    assert_int_equal(wr_session_ops()->publish(link.alone.session, &publish, NULL), WR_OK);
    assert_int_equal(session_alone_next(&link.alone).kind, WR_SESSION_DELIVERED);
    until(peer.pubacks == FLOOD);
    struct wr_session_stats stats;
    until((wr_session_stats(link.alone.session, &stats), stats.commands.received + stats.commands.full == FLOOD));
    assert_int_equal(stats.commands.received, WR_COMMANDS);
    link_close(&link);
    wr_test_peer_stop(&peer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_arrive_in_both_versions),
        cmocka_unit_test(a_refused_subscription_leaves_the_session_alone),
        cmocka_unit_test(a_peer_that_hangs_up_at_a_subscription_is_a_lost_connection),
        cmocka_unit_test(a_flood_of_commands_is_counted),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
