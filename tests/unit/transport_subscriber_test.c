/* The subscriber against real brokers: what is published comes out in order; a PUBACK goes out when the message is acknowledged and not before;
 * what was not acknowledged comes again after the connection, the broker or the subscriber went away; a ring that is full loses no QoS 1 message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "tests/support/mqtt_peer.h"
#include "tests/support/mqtt_publisher.h"
#include "transport/subscriber.h"

#define PATIENCE_NS (30 * WR_NS_PER_S)

static char dir[64];
static struct wr_test_broker broker;
static struct wr_test_publisher publisher;
static const char *const all[] = {"t/#"};

static int64_t in_ns(int64_t ns) {
    return wr_clock_boot_ns(wr_clock_real()) + ns;
}

static struct wr_subscriber_config config_for(const char *url) {
    struct wr_subscriber_config config = {.client_id = "weir-test",
                                          .filters = all,
                                          .n_filters = 1,
                                          .qos = 1,
                                          .session_expiry_s = 3600,
                                          .keepalive_s = 10,
                                          .connect_timeout_ns = 5 * WR_NS_PER_S,
                                          .retry_max_ns = WR_NS_PER_S / 10,
                                          .receive_max = 100,
                                          .buffer_bytes = WR_SUBSCRIBER_BUFFER_MIN,
                                          .max_message_bytes = 65536,
                                          .clock = wr_clock_real()};
    assert_int_equal(wr_url_parse(url, &config.url, NULL), WR_OK);
    return config;
}

static struct wr_subscriber_config config_plain(void) {
    char url[64];
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)broker.port);
    return config_for(url);
}

static struct wr_subscriber *start(const struct wr_subscriber_config *config) {
    struct wr_subscriber *subscriber = NULL;
    struct wr_error err = {0};
    if (wr_subscriber_new(config, &subscriber, &err) != WR_OK)
        fail_msg("%s", err.text);
    return subscriber;
}

static struct wr_subscriber_status status_of(struct wr_subscriber *subscriber) {
    struct wr_subscriber_status status;
    wr_subscriber_status(subscriber, &status);
    return status;
}

static struct wr_subscriber_stats stats_of(struct wr_subscriber *subscriber) {
    struct wr_subscriber_stats stats;
    wr_subscriber_stats(subscriber, &stats);
    return stats;
}

static void poll_once(void) {
    (void)usleep(2000); /* what another process does can only be polled */
}

#define WAIT_FOR(condition)                                                                                                                \
    do {                                                                                                                                   \
        int64_t until_ns = in_ns(PATIENCE_NS);                                                                                             \
        while (!(condition)) {                                                                                                             \
            if (in_ns(0) > until_ns)                                                                                                       \
                fail_msg("timed out: %s (%s)", #condition, status_of(subscriber).cause);                                                   \
            poll_once();                                                                                                                   \
        }                                                                                                                                  \
    } while (0)

static void await_connected(struct wr_subscriber *subscriber, uint64_t connects) {
    WAIT_FOR(stats_of(subscriber).connects >= connects && status_of(subscriber).connected);
}

static void publish_numbers(unsigned from, unsigned to, uint8_t qos) {
    for (unsigned i = from; i < to; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%u", i);
        wr_test_publisher_publish(&publisher, "t/a", text, (size_t)len, qos, false);
    }
    wr_test_publisher_flush(&publisher);
}

static unsigned number_of(const struct wr_subscriber_message *message) {
    char text[16];
    (void)snprintf(text, sizeof text, "%.*s", (int)message->payload.len, message->payload.text);
    return (unsigned)strtoul(text, NULL, 10);
}

static struct wr_subscriber_message receive(struct wr_subscriber *subscriber) {
    struct wr_subscriber_message message;
    enum wr_result result = wr_subscriber_receive(subscriber, in_ns(PATIENCE_NS), &message);
    if (result != WR_OK)
        fail_msg("receive: %s (%s)", wr_result_name(result), status_of(subscriber).cause);
    return message;
}

/* Receives numbers from..to, each at least once, acknowledging each. Returns how many came twice. */
static unsigned take_numbers(struct wr_subscriber *subscriber, unsigned from, unsigned to) {
    bool *seen = calloc(to, sizeof *seen);
    assert_non_null(seen);
    unsigned twice = 0;
    for (unsigned left = to - from; left > 0;) {
        struct wr_subscriber_message message = receive(subscriber);
        unsigned number = number_of(&message);
        assert_in_range(number, from, to - 1);
        twice += seen[number];
        left -= !seen[number];
        seen[number] = true;
        wr_subscriber_acknowledge(subscriber, &message.token, 1);
    }
    free(seen);
    return twice;
}

static void messages_come_out_whole_and_in_order(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    assert_int_equal(status_of(subscriber).mqtt_version, 5);
    publish_numbers(0, 5000, 1);
    for (unsigned i = 0; i < 5000; i++) {
        struct wr_subscriber_message message = receive(subscriber);
        if (number_of(&message) != i)
            fail_msg("%u instead of %u (failures %u: %s)", number_of(&message), i, (unsigned)stats_of(subscriber).failures,
                     status_of(subscriber).cause);
        assert_int_equal(message.qos, 1);
        assert_int_equal(message.topic.len, 3);
        assert_memory_equal(message.topic.text, "t/a", 3);
        assert_false(message.dup);
        wr_subscriber_acknowledge(subscriber, &message.token, 1);
    }
    WAIT_FOR(stats_of(subscriber).acknowledged == 5000);
    assert_int_equal(stats_of(subscriber).unacknowledged, 0);
    struct wr_subscriber_message none;
    assert_int_equal(wr_subscriber_receive(subscriber, in_ns(0), &none), WR_TIMEOUT);
    wr_subscriber_wake(subscriber);
    assert_int_equal(wr_subscriber_receive(subscriber, in_ns(PATIENCE_NS), &none), WR_CANCELED);
    wr_subscriber_free(subscriber);
}

/* The broker may have receive_max unanswered, and stops there: so that is what comes, until the first is acknowledged. */
static void nothing_is_acknowledged_before_it_is_told(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "held";
    config.receive_max = 20;
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    publish_numbers(0, 50, 1);
    struct wr_subscriber_token tokens[20];
    for (unsigned i = 0; i < 20; i++)
        tokens[i] = receive(subscriber).token;
    struct wr_subscriber_message none;
    assert_int_equal(wr_subscriber_receive(subscriber, in_ns(WR_NS_PER_S / 5), &none), WR_TIMEOUT);
    assert_int_equal(stats_of(subscriber).acknowledged, 0);
    assert_int_equal(stats_of(subscriber).unacknowledged, 20);
    wr_subscriber_acknowledge(subscriber, tokens + 1, 19); /* all but the first: order holds them back */
    assert_int_equal(wr_subscriber_receive(subscriber, in_ns(WR_NS_PER_S / 5), &none), WR_TIMEOUT);
    wr_subscriber_acknowledge(subscriber, tokens, 1);
    assert_int_equal(take_numbers(subscriber, 20, 50), 0);
    WAIT_FOR(stats_of(subscriber).acknowledged == 50);
    wr_subscriber_free(subscriber);
}

/* Half of what came is acknowledged; the subscriber goes; the next one gets the other half. */
static void what_was_not_acknowledged_comes_again(void **state) {
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct wr_subscriber_config config = config_plain();
        config.protocol = version == 0 ? WR_SUBSCRIBER_MQTT5 : WR_SUBSCRIBER_MQTT311;
        config.client_id = version == 0 ? "again-5" : "again-311";
        struct wr_subscriber *subscriber = start(&config);
        await_connected(subscriber, 1);
        assert_int_equal(status_of(subscriber).mqtt_version, version == 0 ? 5 : 4);
        assert_false(status_of(subscriber).session_present);
        publish_numbers(0, 60, 1);
        for (unsigned i = 0; i < 60; i++) {
            struct wr_subscriber_message message = receive(subscriber);
            assert_int_equal(number_of(&message), i);
            if (i < 30)
                wr_subscriber_acknowledge(subscriber, &message.token, 1);
        }
        wr_subscriber_free(subscriber);
        publish_numbers(60, 100, 1); /* while we are away */
        subscriber = start(&config);
        await_connected(subscriber, 1);
        assert_true(status_of(subscriber).session_present);
        assert_int_equal(take_numbers(subscriber, 30, 100), 0);
        assert_int_equal(stats_of(subscriber).redelivered, 30);
        wr_subscriber_free(subscriber);
    }
}

WR_PRINTF(1, 2)
static void shell(const char *format, ...) {
    char command[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

/* Somebody used our client id before us and asked for QoS 2: the broker keeps that subscription beside ours. */
static void qos_2_of_an_older_subscription_is_no_trouble(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "heir";
    shell("mosquitto_sub -V 5 -c -x 3600 -E -h 127.0.0.1 -p %u -i heir -q 2 -t old", (unsigned)broker.port);
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    for (unsigned i = 0; i < 20; i += 2) {
        shell("mosquitto_pub -V 5 -h 127.0.0.1 -p %u -q 2 -t old -m %u", (unsigned)broker.port, i);
        publish_numbers(i + 1, i + 2, 1);
        for (unsigned k = 0; k < 2; k++) {
            struct wr_subscriber_message message = receive(subscriber);
            assert_int_equal(message.qos, number_of(&message) % 2);
            assert_int_equal(number_of(&message) / 2, i / 2);
            wr_subscriber_acknowledge(subscriber, &message.token, 1);
        }
    }
    WAIT_FOR(stats_of(subscriber).acknowledged == 10);
    assert_int_equal(stats_of(subscriber).unacknowledged, 0);
    assert_int_equal(stats_of(subscriber).failures, 0);
    wr_subscriber_free(subscriber);
}

/* One that nobody receives from: the relay pauses; then the ring is full; then the connection is given up, again and again. All come. */
static void a_full_ring_loses_no_qos_1_message(void **state) {
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct wr_subscriber_config config = config_plain();
        config.protocol = version == 0 ? WR_SUBSCRIBER_MQTT5 : WR_SUBSCRIBER_MQTT311;
        config.client_id = version == 0 ? "full-5" : "full-311";
        config.receive_max = 2000;
        config.keepalive_s = 2;
        struct wr_subscriber *subscriber = start(&config);
        await_connected(subscriber, 1);
        static char payload[4096];
        for (unsigned i = 0; i < 1000; i++) {
            (void)snprintf(payload, sizeof payload, "%u", i);
            wr_test_publisher_publish(&publisher, "t/a", payload, sizeof payload, 1, false);
        }
        wr_test_publisher_flush(&publisher);
        WAIT_FOR(stats_of(subscriber).pauses >= 1);
        WAIT_FOR(stats_of(subscriber).failures >= 1);
        assert_true(stats_of(subscriber).depth_bytes <= config.buffer_bytes);
        assert_non_null(strstr(status_of(subscriber).cause, "buffer"));
        (void)take_numbers(subscriber, 0, 1000);
        assert_int_equal(stats_of(subscriber).dropped, 0);
        WAIT_FOR(stats_of(subscriber).unacknowledged == 0);
        wr_subscriber_free(subscriber);
    }
}

/* A pause alone, shorter than half a keepalive, loses nothing, of QoS 0 either: TCP holds it back. */
static void a_pause_loses_nothing(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "pause";
    config.qos = 0;
    config.keepalive_s = 60;
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    publish_numbers(0, 30000, 0);
    WAIT_FOR(stats_of(subscriber).pauses >= 1);
    for (unsigned i = 0; i < 30000; i++) {
        struct wr_subscriber_message message = receive(subscriber);
        assert_int_equal(number_of(&message), i);
    }
    assert_int_equal(stats_of(subscriber).dropped, 0);
    wr_subscriber_free(subscriber);
}

static void qos_0_beyond_the_ring_is_dropped_and_counted(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "drop";
    config.qos = 0;
    config.keepalive_s = 2;
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    publish_numbers(0, 30000, 0);
    WAIT_FOR(stats_of(subscriber).messages + stats_of(subscriber).dropped == 30000);
    assert_true(stats_of(subscriber).dropped > 0);
    assert_int_equal(stats_of(subscriber).failures, 0); /* the keep-alive went through all the time */
    uint64_t messages = stats_of(subscriber).messages;
    for (uint64_t i = 0; i < messages; i++)
        (void)receive(subscriber);
    struct wr_subscriber_message none;
    assert_int_equal(wr_subscriber_receive(subscriber, in_ns(0), &none), WR_TIMEOUT);
    wr_subscriber_free(subscriber);
}

/* Its parts as a receiver of segments needs them. */
static void properties_and_flags_come_along(void **state) {
    (void)state;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)broker.port);
    char command[512];
    (void)snprintf(command, sizeof command,
                   "mosquitto_pub -V 5 -q 1 -r -h 127.0.0.1 -p %s -t kept/x -m hello -D PUBLISH user-property node gw-7 "
                   "-D PUBLISH user-property seq 42 -D PUBLISH content-type application/x",
                   port);
    assert_int_equal(system(command), 0);
    static const char *const kept[] = {"kept/+", "$share/group/other"};
    struct wr_subscriber_config config = config_plain();
    config.filters = kept;
    config.n_filters = 2;
    config.client_id = "properties";
    struct wr_subscriber *subscriber = start(&config);
    struct wr_subscriber_message message = receive(subscriber);
    assert_true(message.retained);
    assert_int_equal(message.n_properties, 2);
    assert_memory_equal(message.properties[0].name.text, "node", 4);
    assert_memory_equal(message.properties[0].value.text, "gw-7", 4);
    assert_memory_equal(message.properties[1].value.text, "42", 2);
    assert_int_equal(message.content_type.len, strlen("application/x"));
    assert_memory_equal(message.payload.text, "hello", 5);
    wr_subscriber_acknowledge(subscriber, &message.token, 1);
    wr_test_publisher_publish(&publisher, "other", "shared", 6, 1, false);
    wr_test_publisher_flush(&publisher);
    message = receive(subscriber);
    assert_memory_equal(message.payload.text, "shared", 6);
    wr_subscriber_free(subscriber);

    config.skip_retained = true;
    config.client_id = "properties-2";
    subscriber = start(&config);
    await_connected(subscriber, 1);
    wr_test_publisher_publish(&publisher, "kept/y", "now", 3, 1, false);
    wr_test_publisher_flush(&publisher);
    message = receive(subscriber);
    assert_memory_equal(message.payload.text, "now", 3);
    wr_subscriber_free(subscriber);
}

/* Too long for us: a broker of MQTT 5 does not send it; of one that does we say that we have it. The next one comes. */
static void what_is_too_long_is_passed_over(void **state) {
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct wr_subscriber_config config = config_plain();
        config.protocol = version == 0 ? WR_SUBSCRIBER_MQTT5 : WR_SUBSCRIBER_MQTT311;
        config.client_id = version == 0 ? "long-5" : "long-311";
        config.max_message_bytes = 1000;
        struct wr_subscriber *subscriber = start(&config);
        await_connected(subscriber, 1);
        static const char payload[2000];
        wr_test_publisher_publish(&publisher, "t/a", payload, sizeof payload, 1, false);
        wr_test_publisher_publish(&publisher, "t/a", "7", 1, 1, false);
        wr_test_publisher_flush(&publisher);
        assert_int_equal(take_numbers(subscriber, 7, 8), 0);
        assert_int_equal(stats_of(subscriber).too_long, version);
        wr_subscriber_free(subscriber);
    }
}

/* Beyond all measure, and MQTT 3.1.1 has no way to say so: the connection is cut off before it is in memory. */
static void a_packet_without_measure_ends_the_connection(void **state) {
    (void)state;
    char command[160];
    (void)snprintf(command, sizeof command, "head -c 3000000 /dev/zero | mosquitto_pub -q 1 -h 127.0.0.1 -p %u -t t/huge -s",
                   (unsigned)broker.port);
    struct wr_subscriber_config config = config_plain();
    config.client_id = "huge";
    config.protocol = WR_SUBSCRIBER_MQTT311;
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    assert_int_equal(system(command), 0);
    WAIT_FOR(strstr(status_of(subscriber).cause, "a packet of 3000010 bytes") != NULL);
    assert_int_equal(stats_of(subscriber).messages, 0);
    wr_subscriber_free(subscriber);
}

/* A stop: nothing new is taken, what is there can be received; and what comes after it is the next one's. */
static void a_stop_leaves_the_rest_to_the_broker(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "stop";
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    publish_numbers(0, 10, 1);
    WAIT_FOR(stats_of(subscriber).messages == 10);
    wr_subscriber_stop(subscriber);
    publish_numbers(10, 20, 1);
    assert_int_equal(take_numbers(subscriber, 0, 10), 0);
    struct wr_subscriber_message none;
    assert_int_equal(wr_subscriber_receive(subscriber, in_ns(PATIENCE_NS), &none), WR_CLOSED);
    wr_subscriber_free(subscriber);
    subscriber = start(&config);
    assert_int_equal(take_numbers(subscriber, 10, 20), 0);
    wr_subscriber_free(subscriber);
}

/* ---- reasons to be offline ---- */

static void why_it_is_offline_is_said(void **state) {
    (void)state;
    char url[64];
    struct wr_test_broker guarded;
    wr_test_broker_start(&guarded,
                         &(struct wr_test_broker_options){.dir = dir, .server_cert = "server", .user = "weir", .password = "right"});
    (void)snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", (unsigned)guarded.port);
    struct wr_subscriber_config config = config_for(url);
    config.tls.ca = wr_test_path(dir, "other-ca.pem");
    struct wr_subscriber *subscriber = start(&config);
    WAIT_FOR(strstr(status_of(subscriber).cause, "CA") != NULL);
    wr_subscriber_free(subscriber);

    const char *file = wr_test_path(dir, "password");
    config.tls.ca = wr_test_path(dir, "ca.pem");
    config.user = "weir";
    config.password_file = file;
    for (int version = 0; version < 2; version++) {
        config.protocol = version == 0 ? WR_SUBSCRIBER_MQTT5 : WR_SUBSCRIBER_MQTT311;
        wr_test_write_file(file, "wrong\n");
        subscriber = start(&config);
        WAIT_FOR(strstr(status_of(subscriber).cause, version == 0 ? "Not authorized" : "not authorized") != NULL);
        wr_test_write_file(file, "right\n"); /* read again before each connect */
        await_connected(subscriber, 1);
        assert_string_equal(status_of(subscriber).cause, "");
        wr_test_broker_kill(&guarded);
        WAIT_FOR(!status_of(subscriber).connected && status_of(subscriber).cause[0] != '\0');
        wr_test_broker_restart(&guarded);
        await_connected(subscriber, 2);
        wr_subscriber_free(subscriber);
    }
    wr_test_broker_kill(&guarded);

    subscriber = start(&config);
    WAIT_FOR(strstr(status_of(subscriber).cause, "refused") != NULL);
    wr_subscriber_free(subscriber);
}

static void a_client_certificate_is_enough(void **state) {
    (void)state;
    char url[64];
    struct wr_test_broker mutual;
    wr_test_broker_start(&mutual, &(struct wr_test_broker_options){.dir = dir, .server_cert = "server", .client_cert = true});
    (void)snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", (unsigned)mutual.port);
    struct wr_subscriber_config config = config_for(url);
    config.tls = (struct wr_tls_config){
        .ca = wr_test_path(dir, "ca.pem"), .cert = wr_test_path(dir, "client.pem"), .key = wr_test_path(dir, "client.key")};
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    assert_true(stats_of(subscriber).cert_expires_wall_ns < WR_NEVER_NS);
    wr_subscriber_free(subscriber);
    wr_test_broker_kill(&mutual);
}

/* A server that speaks 3.1.1 only, and two that say nothing of use. */
static void odd_brokers_are_named(void **state) {
    (void)state;
    char url[64];
    struct wr_test_peer peer = {.connack_reason = 0x84};
    wr_test_peer_start(&peer);
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)peer.port);
    struct wr_subscriber_config config = config_for(url);
    config.connect_timeout_ns = WR_NS_PER_S / 2;
    struct wr_subscriber *subscriber = start(&config);
    WAIT_FOR(peer.connects[5] >= 2 && peer.connects[4] >= 2 && stats_of(subscriber).failures >= 2); /* both, a pause, both */
    WAIT_FOR(strstr(status_of(subscriber).cause, "rotocol") != NULL);
    wr_subscriber_free(subscriber);
    wr_test_peer_stop(&peer);

    uint16_t port = 0;
    int silent = wr_test_silent_listener(&port);
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)port);
    config = config_for(url);
    config.connect_timeout_ns = WR_NS_PER_S / 2;
    subscriber = start(&config);
    WAIT_FOR(strstr(status_of(subscriber).cause, "did not answer the MQTT CONNECT") != NULL);
    wr_subscriber_free(subscriber);
    (void)close(silent);
}

static unsigned grant(void *user, const uint8_t *packet, size_t len) {
    (void)user;
    (void)packet;
    (void)len;
    return 1;
}

/* That a broker is of 3.1.1 is no failure; that it may not know what a shared subscription is, is said. */
static void an_old_broker_is_no_failure(void **state) {
    (void)state;
    char url[64];
    struct wr_test_peer peer = {.old = WR_TEST_PEER_OLD_CODE, .on_subscribe = grant};
    wr_test_peer_start(&peer);
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)peer.port);
    struct wr_subscriber_config config = config_for(url);
    config.filters = (const char *const[]){"$share/g/a"};
    config.n_filters = 1;
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    assert_int_equal(peer.connects[5], 1);
    assert_int_equal(status_of(subscriber).mqtt_version, 4);
    assert_int_equal(stats_of(subscriber).failures, 0);
    assert_non_null(strstr(status_of(subscriber).warning, "no shared subscriptions"));
    wr_subscriber_free(subscriber);
    wr_test_peer_stop(&peer);
}

static unsigned grant_the_second(void *user, const uint8_t *packet, size_t len) {
    unsigned *asked = user;
    (void)packet;
    (void)len;
    return (*asked)++ == 0 ? WR_TEST_PEER_CLOSE : 1;
}

static void a_shorter_keepalive_is_obeyed(void **state) {
    (void)state;
    char url[64];
    unsigned asked = 0;
    struct wr_test_peer peer = {
        .connack_properties = (const uint8_t[]){0x13, 0, 7}, .connack_properties_len = 3, .on_subscribe = grant_the_second, .user = &asked};
    wr_test_peer_start(&peer);
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)peer.port);
    struct wr_subscriber_config config = config_for(url);
    config.protocol = WR_SUBSCRIBER_MQTT5;
    config.retry_max_ns = 10 * WR_NS_PER_MS;
    struct wr_subscriber *subscriber = start(&config);
    await_connected(subscriber, 1);
    assert_int_equal(peer.keepalive_s, 7); /* the second time */
    wr_subscriber_free(subscriber);
    wr_test_peer_stop(&peer);
}

static void no_memory_is_an_error_or_a_lost_attempt(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "memory";
    long n = 0;
    for (bool hit = true; hit; n++) {
        struct wr_subscriber *subscriber = NULL;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_subscriber_new(&config, &subscriber, &err);
        if (result == WR_OK) { /* its thread connects, whatever failed */
            WAIT_FOR(status_of(subscriber).connected);
        } else {
            assert_int_equal(result, WR_NO_MEMORY);
        }
        hit = wr_failing_hit();
        wr_failing_off();
        wr_subscriber_free(subscriber);
    }
    assert_true(n > 5);
}

/* Each read and write of the relay in turn: the connection may go, every message comes, some twice, also from the round before. */
static void a_failed_call_loses_no_message(void **state) {
    (void)state;
    struct wr_subscriber_config config = config_plain();
    config.client_id = "calls";
    bool seen[12 * 20] = {false};
    unsigned next = 0;
    for (long n = 0; n < 12; n++) {
        struct wr_subscriber *subscriber = start(&config);
        wr_failing_io(n, n % 2 == 0 ? EIO : ECONNRESET);
        await_connected(subscriber, 1);
        wr_failing_off();
        publish_numbers(next, next + 20, 1);
        wr_failing_io(n, n % 2 == 0 ? ECONNRESET : EINTR);
        next += 20;
        for (unsigned left = 20; left > 0;) {
            struct wr_subscriber_message message = receive(subscriber);
            unsigned number = number_of(&message);
            assert_true(number < next);
            left -= !seen[number];
            seen[number] = true;
            wr_subscriber_acknowledge(subscriber, &message.token, 1);
        }
        wr_failing_off();
        wr_subscriber_free(subscriber);
    }
}

static void a_configuration_that_cannot_be_is_refused(void **state) {
    (void)state;
    struct wr_subscriber_config good = config_plain();
    struct wr_subscriber *subscriber = NULL;
    for (int i = 0; i < 5; i++) {
        struct wr_subscriber_config config = good;
        switch (i) {
        case 0:
            config.n_filters = 0;
            break;
        case 1:
            config.qos = 2;
            break;
        case 2:
            config.buffer_bytes = 1000;
            break;
        case 3:
            config.max_message_bytes = config.buffer_bytes;
            break;
        default:
            config.tls.cert = "x";
        }
        assert_int_equal(wr_subscriber_new(&config, &subscriber, NULL), WR_INVALID);
    }
}

static int set_up(void **state) {
    (void)state;
    wr_test_dir_make(dir);
    wr_test_broker_start(&broker, &(struct wr_test_broker_options){.dir = dir});
    wr_test_publisher_open(&publisher, broker.port);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_test_publisher_close(&publisher);
    wr_test_broker_kill(&broker);
    wr_test_dir_remove(dir);
    return 0;
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_whole_and_in_order),
        cmocka_unit_test(nothing_is_acknowledged_before_it_is_told),
        cmocka_unit_test(what_was_not_acknowledged_comes_again),
        cmocka_unit_test(qos_2_of_an_older_subscription_is_no_trouble),
        cmocka_unit_test(a_full_ring_loses_no_qos_1_message),
        cmocka_unit_test(a_pause_loses_nothing),
        cmocka_unit_test(qos_0_beyond_the_ring_is_dropped_and_counted),
        cmocka_unit_test(properties_and_flags_come_along),
        cmocka_unit_test(what_is_too_long_is_passed_over),
        cmocka_unit_test(a_packet_without_measure_ends_the_connection),
        cmocka_unit_test(a_stop_leaves_the_rest_to_the_broker),
        cmocka_unit_test(why_it_is_offline_is_said),
        cmocka_unit_test(a_client_certificate_is_enough),
        cmocka_unit_test(odd_brokers_are_named),
        cmocka_unit_test(an_old_broker_is_no_failure),
        cmocka_unit_test(a_shorter_keepalive_is_obeyed),
        cmocka_unit_test(no_memory_is_an_error_or_a_lost_attempt),
        cmocka_unit_test(a_failed_call_loses_no_message),
        cmocka_unit_test(a_configuration_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
