/* Each way in which a connection cannot come about, against real peers: its exact cause, within a bounded time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "tests/support/mqtt_peer.h"
#include "tests/support/session_alone.h"

static char dir[64];
static struct wr_test_broker mutual;   /* TLS, client certificate required */
static struct wr_test_broker password; /* TLS, user and password */
static struct wr_test_broker plain;

static struct wr_session_config config_for(const char *url) {
    struct wr_session_config config = session_alone_config();
    struct wr_error err;
    config.tls.ca = wr_test_path(dir, "ca.pem");
    if (wr_url_parse(url, &config.brokers[0], &err) != WR_OK)
        fail_msg("%s: %s", url, err.text);
    config.n_brokers = 1;
    return config;
}

static struct wr_session_event attempt(const struct wr_session_config *config) {
    struct session_alone link;
    session_alone_open(&link, config);
    assert_int_equal(wr_session_ops()->connect(link.session, 1, 0), WR_OK);
    struct wr_session_event event = session_alone_next(&link);
    session_alone_close(&link);
    return event;
}

static void refuses(const struct wr_session_config *config, const char *cause) {
    struct wr_session_event event = attempt(config);
    if (event.kind != WR_SESSION_FAILED || strstr(event.text, cause) == NULL)
        fail_msg("wanted \"%s\", got kind %d \"%s\"", cause, event.kind, event.text);
    assert_null(strstr(event.text, "s3cret"));
}

static void accepts(const struct wr_session_config *config) {
    struct wr_session_event event = attempt(config);
    if (event.kind != WR_SESSION_CONNECTED)
        fail_msg("got kind %d \"%s\"", event.kind, event.text);
}

static const char *url(const char *host, uint16_t port) {
    static char text[64];
    (void)snprintf(text, sizeof text, "%s:%u", host, (unsigned)port);
    return text;
}

static struct wr_session_config mutual_config(const char *host) {
    struct wr_session_config config = config_for(url(host, mutual.port));
    config.tls.cert = wr_test_path(dir, "client.pem");
    config.tls.key = wr_test_path(dir, "client.key");
    return config;
}

static void the_right_ones_get_in(void **state) {
    (void)state;
    struct wr_session_config config = mutual_config("mqtts://localhost");
    accepts(&config);
    config = mutual_config("mqtts://127.0.0.1"); /* the certificate has an IP SAN */
    accepts(&config);
    config = config_for(url("mqtts://localhost", password.port));
    config.user = "ana";
    config.password_file = wr_test_path(dir, "good.pw");
    accepts(&config);
    config = config_for(url("mqtt://127.0.0.1", plain.port));
    accepts(&config);
}

static void wrong_ca(void **state) {
    (void)state;
    struct wr_session_config config = mutual_config("mqtts://localhost");
    config.tls.ca = wr_test_path(dir, "other-ca.pem");
    refuses(&config, "(CN=localhost) is not signed by a CA in ");
    refuses(&config, "other-ca.pem");
}

static struct wr_test_broker with_server_cert(const char *name) {
    struct wr_test_broker broker;
    struct wr_test_broker_options options = {.dir = dir, .server_cert = name};
    wr_test_broker_start(&broker, &options);
    return broker;
}

static void wrong_host(void **state) {
    (void)state;
    struct wr_test_broker broker = with_server_cert("server-elsewhere");
    struct wr_session_config config = config_for(url("mqtts://localhost", broker.port));
    refuses(&config, "(CN=elsewhere.example) is not for host 'localhost'");
    config = config_for(url("mqtts://127.0.0.1", broker.port)); /* it has another IP SAN */
    refuses(&config, "is not for host '127.0.0.1'");
    wr_test_broker_kill(&broker);
    broker = with_server_cert("server-name-only"); /* names never stand in for an address */
    config = config_for(url("mqtts://127.0.0.1", broker.port));
    refuses(&config, "is not for host '127.0.0.1'");
    wr_test_broker_kill(&broker);
}

static void expired_server(void **state) {
    (void)state;
    struct wr_test_broker broker = with_server_cert("server-expired");
    struct wr_session_config config = config_for(url("mqtts://localhost", broker.port));
    refuses(&config, "(CN=localhost) has expired on 2");
    wr_test_broker_kill(&broker);
}

/* "Not yet valid" is tolerated only while the wall clock is untrusted; everything else about the certificate still counts then. */
static void not_yet_valid(void **state) {
    (void)state;
    struct wr_clock_virtual untrusted;
    wr_clock_virtual_init(&untrusted, 1, 1, 1);
    untrusted.trusted = false;
    struct wr_test_broker broker = with_server_cert("server-future");
    struct wr_session_config config = config_for(url("mqtts://localhost", broker.port));
    refuses(&config, "(CN=localhost) is not valid before 2040-01-01: is the clock right?");
    config.clock = &untrusted.clock;
    accepts(&config);
    config.tls.ca = wr_test_path(dir, "other-ca.pem");
    refuses(&config, "is not signed by a CA");
    wr_test_broker_kill(&broker);
}

static void no_client_certificate(void **state) {
    (void)state;
    struct wr_session_config config = config_for(url("mqtts://localhost", mutual.port));
    refuses(&config, "the broker requires a client certificate, and none is configured");
}

static void expired_client_certificate(void **state) {
    (void)state;
    struct wr_session_config config = mutual_config("mqtts://localhost");
    config.tls.cert = wr_test_path(dir, "client-expired.pem");
    config.tls.key = wr_test_path(dir, "client-expired.key");
    refuses(&config, "the broker refused our certificate: certificate_expired (TLS alert 45)");
}

static void bad_files(void **state) {
    (void)state;
    struct wr_session_config config = mutual_config("mqtts://localhost");
    config.tls.ca = wr_test_path(dir, "missing.pem");
    refuses(&config, "missing.pem: No such file or directory");
    config = mutual_config("mqtts://localhost");
    config.tls.key = wr_test_path(dir, "server.key");
    refuses(&config, "does not belong to certificate");
    config = mutual_config("mqtts://localhost");
    config.tls.key = wr_test_path(dir, "good.pw");
    refuses(&config, "key: ");
    config = config_for(url("mqtts://localhost", password.port));
    config.user = "ana";
    config.password_file = wr_test_path(dir, "missing.pw");
    refuses(&config, "password: ");
}

static void wrong_password(void **state) {
    (void)state;
    struct wr_session_config config = config_for(url("mqtts://localhost", password.port));
    config.user = "ana";
    config.password_file = wr_test_path(dir, "bad.pw");
    refuses(&config, "the broker refused the connection: Not authorized (0x87)");
}

static void plaintext_port(void **state) {
    (void)state;
    struct wr_session_config config = config_for(url("mqtts://localhost", plain.port));
    refuses(&config, "instead of answering in TLS: is this a TLS port?");
}

static void tls_port_without_tls(void **state) {
    (void)state;
    struct wr_session_config config = config_for(url("mqtt://localhost", password.port));
    struct wr_session_event event = attempt(&config);
    assert_int_equal(event.kind, WR_SESSION_FAILED);
    assert_true(strlen(event.text) > 0);
}

/* As a front at port 443 does that does not know what `alpn` names. */
static void another_protocol_is_spoken(void **state) {
    (void)state;
    uint16_t port = 0;
    int listener = wr_test_silent_listener(&port);
    struct wr_session_config config = config_for(url("mqtts://127.0.0.1", port));
    config.tls.alpn = "mqtt";
    struct session_alone link;
    session_alone_open(&link, &config);
    assert_int_equal(wr_session_ops()->connect(link.session, 1, 0), WR_OK);
    int peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(send(peer, (const uint8_t[]){0x15, 3, 3, 0, 2, 2, 120}, 7, MSG_NOSIGNAL), 7);
    assert_non_null(
        strstr(session_alone_next(&link).text, "does not speak the protocol that `alpn` names (TLS alert 120, no_application_protocol)"));
    session_alone_close(&link);
    (void)close(peer);
    (void)close(listener);
}

static void stalled(void **state) {
    (void)state;
    uint16_t port = 0;
    int fd = wr_test_silent_listener(&port);
    struct wr_session_config config = config_for(url("mqtts://localhost", port));
    config.connect_timeout_ns = 200 * WR_NS_PER_MS;
    refuses(&config, "the peer did not answer the TLS handshake in time");
    config = config_for(url("mqtt://localhost", port));
    config.connect_timeout_ns = 400 * WR_NS_PER_MS;
    refuses(&config, "the broker did not answer the MQTT CONNECT in time");
    (void)close(fd);
}

static void black_hole(void **state) {
    (void)state;
    int fds[4];
    uint16_t port = 0;
    wr_test_black_hole(fds, &port);
    struct wr_session_config config = config_for(url("mqtts://127.0.0.1", port));
    config.connect_timeout_ns = 200 * WR_NS_PER_MS;
    refuses(&config, "no answer in time");
    for (int i = 0; i < 4; i++)
        (void)close(fds[i]);
}

static void nobody_there(void **state) {
    (void)state;
    struct wr_session_config config = config_for(url("mqtts://127.0.0.1", wr_test_free_port()));
    refuses(&config, "Connection refused");
    config = config_for("mqtts://no-such-host.invalid:8883");
    refuses(&config, "'no-such-host.invalid'");
}

/* A close while the handshake stalls ends it at once, and nothing is told of it. */
static void a_stalled_connect_can_be_given_up(void **state) {
    (void)state;
    uint16_t port = 0;
    int fd = wr_test_silent_listener(&port);
    struct wr_session_config config = config_for(url("mqtts://localhost", port));
    struct session_alone link;
    session_alone_open(&link, &config);
    assert_int_equal(wr_session_ops()->connect(link.session, 1, 0), WR_OK);
    wr_session_ops()->close(link.session, 1, false);
    assert_int_equal(wr_session_ops()->connect(link.session, 2, 0), WR_OK);
    wr_session_ops()->close(link.session, 2, false);
    session_alone_close(&link); /* would take 30 s otherwise, and ctest's patience ends before */
    (void)close(fd);
}

/* paho does not report a DISCONNECT of the broker as a lost connection; the session does, with its reason. */
static void a_second_client_with_the_same_id_is_named(void **state) {
    (void)state;
    struct wr_test_peer peer = {.disconnect_after_connack = 0x8E};
    wr_test_peer_start(&peer);
    struct wr_session_config config = config_for(url("mqtt://127.0.0.1", peer.port));
    struct session_alone link;
    session_alone_open(&link, &config);
    assert_int_equal(wr_session_ops()->connect(link.session, 1, 0), WR_OK);
    assert_int_equal(session_alone_next(&link).kind, WR_SESSION_CONNECTED);
    struct wr_session_event event = session_alone_next(&link);
    assert_int_equal(event.kind, WR_SESSION_LOST);
    if (event.reason != 0x8E || strstr(event.text, "another client uses the same client id") == NULL)
        fail_msg("reason %02X, \"%s\"", event.reason, event.text);
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
}

/* A CONNACK and a DISCONNECT that name other servers: told is the place of the one that is configured; any other name is only shown. */
static void says_where_to_go(const char *reference, uint8_t reason, bool in_connack, unsigned expected, const char *text) {
    uint8_t properties[128] = {0x1F, 0, 4, 'f', 'u', 'l', 'l', 0x1C, 0, (uint8_t)strlen(reference)};
    memcpy(properties + 10, reference, strlen(reference));
    struct wr_test_peer peer = {.connack_reason = in_connack ? reason : 0, .disconnect_after_connack = in_connack ? 0 : reason};
    if (in_connack) {
        peer.connack_properties = properties;
        peer.connack_properties_len = 10 + strlen(reference);
    } else {
        peer.disconnect_properties = properties;
        peer.disconnect_properties_len = 10 + strlen(reference);
    }
    wr_test_peer_start(&peer);
    struct wr_session_config config = config_for(url("mqtt://127.0.0.1", peer.port));
    config.n_brokers = 3;
    config.brokers[1] = (struct wr_url){.host = "other.example.com", .port = 8883, .tls = true};
    config.brokers[2] = (struct wr_url){.host = "::1", .port = 1883, .numeric = true};
    struct session_alone link;
    session_alone_open(&link, &config);
    assert_int_equal(wr_session_ops()->connect(link.session, 1, 0), WR_OK);
    struct wr_session_event event = session_alone_next(&link);
    if (event.kind == WR_SESSION_CONNECTED)
        event = session_alone_next(&link);
    assert_int_equal(event.kind, in_connack ? WR_SESSION_FAILED : WR_SESSION_LOST);
    if (event.reason != reason || event.sent_to != expected || strstr(event.text, text) == NULL || strstr(event.text, "'full'") == NULL)
        fail_msg("reason %02X, to %u, \"%s\"", event.reason, event.sent_to, event.text);
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
}

static void where_a_broker_sends_us_is_told(void **state) {
    (void)state;
    for (int in_connack = 0; in_connack < 2; in_connack++) {
        says_where_to_go("OTHER.example.com", 0x9C, in_connack, 2, "Use another server (0x9C)");
        says_where_to_go("evil.example.com [::1]:1883", 0x9D, in_connack, 3, "[::1]:1883");
        says_where_to_go("other.example.com:1883", 0x9D, in_connack, 0, "none of the configured brokers: not followed");
        says_where_to_go("evil\n.example.com", 0x9C, in_connack, 0, "none of the configured brokers: not followed");
    }
}

static void what_to_do_is_told(void **state) {
    static const struct {
        uint8_t reason;
        const char *advice;
    } cases[] = {{0x86, "check user and password_file"},
                 {0x87, "the right to connect"},
                 {0x8A, "banned"},
                 {0x97, "quota"},
                 {0x9F, "fewer connections"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wr_test_peer peer = {.connack_reason = cases[i].reason};
        wr_test_peer_start(&peer);
        struct wr_session_config config = config_for(url("mqtt://127.0.0.1", peer.port));
        refuses(&config, cases[i].advice);
        wr_test_peer_stop(&peer);
    }
}

static void a_broker_without_qos_1_is_refused(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_properties = (const uint8_t[]){0x24, 0}, .connack_properties_len = 2};
    wr_test_peer_start(&peer);
    struct wr_session_config config = config_for(url("mqtt://127.0.0.1", peer.port));
    refuses(&config, "the broker offers no QoS 1");
    wr_test_peer_stop(&peer);
}

static void limits_of_the_broker_are_told(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_properties = (const uint8_t[]){0x21, 0, 5, 0x27, 0, 0, 4, 0, 0x25, 0},
                                .connack_properties_len = 10};
    wr_test_peer_start(&peer);
    struct wr_session_config config = config_for(url("mqtt://127.0.0.1", peer.port));
    struct wr_session_event event = attempt(&config);
    assert_int_equal(event.kind, WR_SESSION_CONNECTED);
    assert_int_equal(event.receive_max, 5);
    assert_int_equal(event.max_packet_bytes, 1024);
    assert_false(event.retain_available);
    wr_test_peer_stop(&peer);
}

/* The server's word counts, and is asked for from the beginning: paho goes by what it sent in its CONNECT. */
static void a_shorter_keepalive_is_obeyed(void **state) {
    (void)state;
    struct wr_test_peer peer = {.connack_properties = (const uint8_t[]){0x13, 0, 7}, .connack_properties_len = 3};
    wr_test_peer_start(&peer);
    struct wr_session_config config = config_for(url("mqtt://127.0.0.1", peer.port));
    struct session_alone link;
    session_alone_open(&link, &config);
    for (uint64_t connection = 1; connection <= 2; connection++) {
        assert_int_equal(wr_session_ops()->connect(link.session, connection, 0), WR_OK);
        assert_int_equal(session_alone_next(&link).kind, WR_SESSION_CONNECTED);
        assert_int_equal(peer.keepalive_s, 7);
        assert_int_equal(peer.connects[5], 1 + connection); /* once more, the first time */
        wr_session_ops()->close(link.session, connection, true);
    }
    session_alone_close(&link);
    wr_test_peer_stop(&peer);
}

/* The last good set serves while a rotation is half done, with a warning; a ticket shortens the second handshake. */
static void credentials_are_read_again(void **state) {
    (void)state;
    struct wr_session_config config = mutual_config("mqtts://localhost");
    char copy[160];
    (void)snprintf(copy, sizeof copy, "cp %s %s", wr_test_path(dir, "client.pem"), wr_test_path(dir, "rotating.pem"));
    assert_int_equal(system(copy), 0);
    config.tls.cert = wr_test_path(dir, "rotating.pem");
    struct session_alone link;
    struct wr_session_stats stats;
    session_alone_open(&link, &config);
    for (uint64_t connection = 1; connection <= 3; connection++) {
        assert_int_equal(wr_session_ops()->connect(link.session, connection, 0), WR_OK);
        assert_int_equal(session_alone_next(&link).kind, WR_SESSION_CONNECTED);
        wr_session_stats(link.session, &stats);
        assert_int_equal(stats.tls_resumed, connection - 1);
        assert_true(connection < 3 ? stats.tls_warning[0] == '\0' : strstr(stats.tls_warning, "rotating.pem") != NULL);
        assert_true(stats.cert_expires_wall_ns < WR_NEVER_NS);
        wr_session_ops()->close(link.session, connection, true);
        if (connection == 2)
            wr_test_write_file(wr_test_path(dir, "rotating.pem"), "-----BEGIN CERTIFICATE-----\nhalf\n");
    }
    session_alone_close(&link);
}

/* Each allocation, and each of the first reads, writes, sends and receives of a connect, fails once: it ends with a cause or in a connection, and the
 * next attempt works. */
static void every_step_may_fail(void **state) {
    (void)state;
    struct wr_session_config config = mutual_config("mqtts://localhost");
    struct session_alone link;
    session_alone_open(&link, &config);
    uint64_t connection = 0;
    bool allocations = true;
    for (long n = 0; allocations || n < 24; n++) {
        if (allocations)
            wr_failing_allocations(n);
        else
            wr_failing_io(n, ECONNRESET);
        assert_int_equal(wr_session_ops()->connect(link.session, ++connection, 0), WR_OK);
        struct wr_session_event event = session_alone_next(&link);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(event.kind == WR_SESSION_CONNECTED || (event.kind == WR_SESSION_FAILED && hit && strlen(event.text) > 0));
        if (event.kind == WR_SESSION_CONNECTED)
            wr_session_ops()->close(link.session, connection, false);
        if (allocations && !hit) {
            allocations = false;
            n = -1;
        }
    }
    assert_int_equal(wr_session_ops()->connect(link.session, ++connection, 0), WR_OK);
    struct wr_session_event event = session_alone_next(&link);
    while (event.kind == WR_SESSION_LOST && event.connection < connection)
        event = session_alone_next(&link);
    assert_int_equal(event.kind, WR_SESSION_CONNECTED);
    session_alone_close(&link);
}

static int start(void **state) {
    (void)state;
    wr_test_dir_make(dir);
    wr_test_write_file(wr_test_path(dir, "good.pw"), "s3cret\n");
    wr_test_write_file(wr_test_path(dir, "bad.pw"), "not-s3cret\n");
    wr_test_broker_start(&mutual, &(struct wr_test_broker_options){.dir = dir, .server_cert = "server", .client_cert = true});
    wr_test_broker_start(&password,
                         &(struct wr_test_broker_options){.dir = dir, .server_cert = "server", .user = "ana", .password = "s3cret"});
    wr_test_broker_start(&plain, &(struct wr_test_broker_options){.dir = dir});
    return 0;
}

static int stop(void **state) {
    (void)state;
    wr_test_broker_kill(&mutual);
    wr_test_broker_kill(&password);
    wr_test_broker_kill(&plain);
    wr_test_dir_remove(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_ones_get_in),
        cmocka_unit_test(wrong_ca),
        cmocka_unit_test(wrong_host),
        cmocka_unit_test(expired_server),
        cmocka_unit_test(not_yet_valid),
        cmocka_unit_test(no_client_certificate),
        cmocka_unit_test(expired_client_certificate),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(wrong_password),
        cmocka_unit_test(plaintext_port),
        cmocka_unit_test(tls_port_without_tls),
        cmocka_unit_test(another_protocol_is_spoken),
        cmocka_unit_test(stalled),
        cmocka_unit_test(black_hole),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(a_stalled_connect_can_be_given_up),
        cmocka_unit_test(a_second_client_with_the_same_id_is_named),
        cmocka_unit_test(where_a_broker_sends_us_is_told),
        cmocka_unit_test(what_to_do_is_told),
        cmocka_unit_test(a_broker_without_qos_1_is_refused),
        cmocka_unit_test(limits_of_the_broker_are_told),
        cmocka_unit_test(a_shorter_keepalive_is_obeyed),
        cmocka_unit_test(credentials_are_read_again),
        cmocka_unit_test(every_step_may_fail),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, start, stop);
}
