/* Commands over MQTT, and their answers: what is taken and what is only counted; the uplink's loop with a session that is none; and the whole with real brokers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/broker.h"
#include "tests/support/commands_bed.h"
#include "tests/support/mqtt_publisher.h"
#include "transport/uplink_runner.h"

/* ---- the way in ---- */

static void what_is_taken_and_what_is_counted(void **state) {
    (void)state;
    static char text[WR_COMMAND_BYTES + 1];
    memset(text, 'x', sizeof text);
    struct wr_channel *commands = command_channel();
    struct wr_command_counters counters = {0};
    struct wr_command_counts counts;
    wr_command_messages_put(commands, &counters, text, WR_COMMAND_BYTES, false);
    wr_command_messages_put(commands, &counters, text, WR_COMMAND_BYTES + 1, false);
    wr_command_messages_put(commands, &counters, "retained", 8, true);
    wr_command_messages_put(commands, &counters, NULL, 0, false);
    command_is(commands, text, WR_COMMAND_BYTES);
    command_is(commands, "", 0);
    for (int i = 0; i < WR_COMMANDS + 3; i++)
        wr_command_messages_put(commands, &counters, "a", 1, false);
    wr_command_messages_counts(&counters, &counts);
    assert_int_equal(counts.received, 2 + WR_COMMANDS);
    assert_int_equal(counts.too_large, 1);
    assert_int_equal(counts.retained, 1);
    assert_int_equal(counts.full, 3);
    wr_channel_close(commands);
    wr_command_messages_put(commands, &counters, "late", 4, false);
    wr_command_messages_counts(&counters, &counts);
    assert_int_equal(counts.full, 4);
    wr_channel_free(commands);
}

/* ---- the loop, with a session that only tells what it is asked to do ---- */

enum deed_kind { CONNECT, SUBSCRIBE, PUBLISH, CLOSE };

struct deed {
    enum deed_kind kind;
    uint64_t connection;
    uint64_t id;
    uint8_t qos;
    bool retained;
    char topic[WR_TOPIC_BYTES];
    char payload[256];
    char content_type[32];
};

struct bench {
    struct wr_uplink_runner *runner;
    struct wr_channel *deeds;
    struct wr_channel *requests;
    struct wr_channel *replies;
    struct wr_channel *directs;
    struct wr_channel *commands;
    struct wr_channel *answers;
    _Atomic int subscribe_result; /* of the fake session: enum wr_result */
    _Atomic unsigned directs_done;
    _Atomic unsigned granted; /* notices */
    _Atomic unsigned refused;
    char why[WR_UPLINK_CAUSE_BYTES]; /* of the last one; read when `refused` says so */
};

static void do_deed(struct bench *bench, const struct deed *deed) {
    assert_int_equal(wr_channel_try_send(bench->deeds, deed), WR_OK);
}

static enum wr_result fake_connect(void *self, uint64_t connection, unsigned broker) {
    assert_int_equal(broker, 0);
    do_deed(self, &(struct deed){.kind = CONNECT, .connection = connection});
    return WR_OK;
}

static enum wr_result fake_publish(void *self, const struct wr_session_publish *publish, struct wr_error *err) {
    (void)err;
    struct deed deed = {
        .kind = PUBLISH, .connection = publish->connection, .id = publish->id, .qos = publish->qos, .retained = publish->retained};
    (void)snprintf(deed.topic, sizeof deed.topic, "%s", publish->topic);
    (void)snprintf(deed.payload, sizeof deed.payload, "%.*s", (int)publish->payload_len, (const char *)publish->payload);
    (void)snprintf(deed.content_type, sizeof deed.content_type, "%s", publish->content_type != NULL ? publish->content_type : "");
    do_deed(self, &deed);
    return WR_OK;
}

static enum wr_result fake_subscribe(void *self, uint64_t connection, const char *topic, struct wr_error *err) {
    struct bench *bench = self;
    struct deed deed = {.kind = SUBSCRIBE, .connection = connection};
    (void)snprintf(deed.topic, sizeof deed.topic, "%s", topic);
    do_deed(bench, &deed);
    enum wr_result result = (enum wr_result)bench->subscribe_result;
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "no memory for a subscription");
}

static void fake_close(void *self, uint64_t connection, bool clean) {
    (void)clean;
    do_deed(self, &(struct deed){.kind = CLOSE, .connection = connection});
}

static const struct wr_session_ops fake_ops = {
    .connect = fake_connect, .publish = fake_publish, .subscribe = fake_subscribe, .close = fake_close};

static void on_notice(void *user, const struct wr_uplink_notice *notice) {
    struct bench *bench = user;
    if (notice->kind == WR_UPLINK_NOTICE_DIRECT_DONE)
        bench->directs_done++;
    if (notice->kind != WR_UPLINK_NOTICE_COMMANDS)
        return;
    (void)snprintf(bench->why, sizeof bench->why, "%s", notice->text);
    if (notice->granted)
        bench->granted++;
    else
        bench->refused++;
}

static void drop_answer(void *element, void *user) {
    (void)user;
    free(((struct wr_command_answer *)element)->payload);
}

static void bench_open(struct bench *bench, struct wr_uplink_runner_config *config, bool listening) {
    *bench = (struct bench){.subscribe_result = WR_OK};
    bench->deeds = channel("deeds", 64, sizeof(struct deed), WR_CHANNEL_REJECT);
    bench->requests = channel("requests", WR_UPLINK_REQUESTS(WINDOW), sizeof(struct wr_uplink_request), WR_CHANNEL_BLOCK);
    bench->replies = channel("replies", WR_UPLINK_REPLIES(WINDOW), sizeof(struct wr_uplink_reply), WR_CHANNEL_BLOCK);
    bench->directs = channel("directs", WR_UPLINK_DIRECT, sizeof(struct wr_uplink_direct), WR_CHANNEL_REJECT);
    bench->commands = command_channel();
    struct wr_channel_options answers = {.name = "answers",
                                         .capacity = WR_COMMAND_ANSWERS,
                                         .element_bytes = sizeof(struct wr_command_answer),
                                         .policy = WR_CHANNEL_DROP_OLDEST,
                                         .drop = drop_answer};
    assert_int_equal(wr_channel_new(&answers, &bench->answers, NULL), WR_OK);
    config->uplink = wr_uplink_defaults();
    config->uplink.window = WINDOW;
    config->uplink.backoff_min_ns = 10 * WR_NS_PER_MS;
    config->uplink.backoff_max_ns = 50 * WR_NS_PER_MS;
    config->notify = on_notice;
    config->notify_user = bench;
    config->requests = bench->requests;
    config->replies = bench->replies;
    config->directs = bench->directs;
    config->commands = listening ? bench->commands : NULL;
    config->answers = listening ? bench->answers : NULL;
    config->clock = wr_clock_real();
    assert_int_equal(wr_place_init(&config->place, "weir/1", "riga", "gw-7", NULL), WR_OK);
    struct wr_error err;
    if (wr_uplink_runner_new(config, &bench->runner, &err) != WR_OK || wr_uplink_runner_start(bench->runner, &err) != WR_OK)
        fail_msg("%s", err.text);
}

static void fake_open(struct bench *bench, bool listening) {
    struct wr_uplink_runner_config config = {.ops = &fake_ops, .self = bench};
    bench_open(bench, &config, listening);
}

static void bench_close(struct bench *bench) {
    wr_uplink_runner_free(bench->runner);
    wr_channel_free(bench->answers);
    wr_channel_free(bench->commands);
    wr_channel_free(bench->directs);
    wr_channel_free(bench->replies);
    wr_channel_free(bench->requests);
    wr_channel_free(bench->deeds);
}

static struct deed deed_is(struct bench *bench, enum deed_kind kind, const char *topic) {
    struct deed deed;
    if (wr_channel_recv(bench->deeds, &deed, soon()) != WR_OK)
        fail_msg("nothing is done, where %d was expected", kind);
    assert_int_equal(deed.kind, kind);
    assert_string_equal(deed.topic, topic);
    return deed;
}

static void happens(struct bench *bench, const struct deed *to, enum wr_session_event_kind kind, uint8_t reason) {
    struct wr_session_event event = {.kind = (uint8_t)kind,
                                     .reason = reason,
                                     .version = WR_MQTT_5,
                                     .connection = to->connection,
                                     .id = to->id,
                                     .receive_max = 100,
                                     .max_packet_bytes = UINT32_MAX,
                                     .text = "not for you"};
    assert_int_equal(wr_channel_try_send(wr_uplink_runner_events(bench->runner), &event), WR_OK);
}

/* As far as online; the SUBSCRIBE is not answered. */
static struct deed come_online(struct bench *bench, bool listening) {
    struct deed connect = deed_is(bench, CONNECT, "");
    happens(bench, &connect, WR_SESSION_CONNECTED, 0);
    struct deed asked = listening ? deed_is(bench, SUBSCRIBE, CMD) : connect;
    struct deed birth = deed_is(bench, PUBLISH, "weir/1/riga/gw-7/state");
    happens(bench, &birth, WR_SESSION_DELIVERED, 0);
    return asked;
}

static void give_answer(struct bench *bench, const char *text) {
    struct wr_command_answer answer = {.payload = (uint8_t *)strdup(text), .payload_len = strlen(text)};
    assert_int_equal(wr_channel_try_send(bench->answers, &answer), WR_OK);
}

static void give_direct(struct bench *bench) {
    struct wr_uplink_direct direct = {.id = 5, .topic = "mine", .payload = (uint8_t *)strdup("hot"), .payload_len = 3, .qos = 1};
    assert_int_equal(wr_channel_try_send(bench->directs, &direct), WR_OK);
}

static void an_answer_goes_to_its_topic_and_to_nobody_else(void **state) {
    (void)state;
    struct bench bench;
    fake_open(&bench, true);
    struct deed asked = come_online(&bench, true);
    happens(&bench, &asked, WR_SESSION_SUBSCRIBED, 1);
    until(bench.granted == 1);
    give_answer(&bench, "{\"key\":\"k\"}");
    struct deed ack = deed_is(&bench, PUBLISH, ACK);
    assert_string_equal(ack.payload, "{\"key\":\"k\"}");
    assert_string_equal(ack.content_type, WR_CONTENT_JSON);
    assert_int_equal(ack.qos, 1);
    assert_false(ack.retained);
    happens(&bench, &ack, WR_SESSION_DELIVERED, 0);
    give_direct(&bench);
    struct deed direct = deed_is(&bench, PUBLISH, "mine");
    happens(&bench, &direct, WR_SESSION_DELIVERED, 0);
    until(bench.directs_done == 1);
    struct wr_uplink_status status;
    wr_uplink_runner_stop(bench.runner, 0);
    wr_uplink_runner_status(bench.runner, &status);
    assert_int_equal(status.uplink.answers, 1);
    assert_int_equal(bench.directs_done, 1); /* the answer was not among them */
    assert_int_equal(bench.refused, 0);
    bench_close(&bench);
}

/* Two are under way, sixteen wait: of more the oldest give way. What is not answered yet goes again with the next connection. */
static void answers_wait_for_a_connection(void **state) {
    (void)state;
    struct bench bench;
    fake_open(&bench, true);
    struct deed connect = deed_is(&bench, CONNECT, "");
    char text[16];
    for (int i = 0; i < WR_UPLINK_ANSWERS; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        give_answer(&bench, text);
    }
    struct wr_channel_stats waiting;
    until((wr_channel_stats(bench.answers, &waiting), waiting.received == WR_UPLINK_ANSWERS));
    for (int i = WR_UPLINK_ANSWERS; i < WR_UPLINK_ANSWERS + WR_COMMAND_ANSWERS + 1; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        give_answer(&bench, text);
    }
    wr_channel_stats(bench.answers, &waiting);
    assert_int_equal(waiting.dropped_oldest, 1);
    happens(&bench, &connect, WR_SESSION_CONNECTED, 0);
    deed_is(&bench, SUBSCRIBE, CMD);
    deed_is(&bench, PUBLISH, "weir/1/riga/gw-7/state");
    deed_is(&bench, PUBLISH, ACK);
    deed_is(&bench, PUBLISH, ACK);
    happens(&bench, &connect, WR_SESSION_LOST, 0);
    come_online(&bench, true);
    for (int i = 0; i < WR_UPLINK_ANSWERS + WR_COMMAND_ANSWERS; i++) {
        struct deed ack = deed_is(&bench, PUBLISH, ACK);
        assert_int_equal(atoi(ack.payload), i < WR_UPLINK_ANSWERS ? i : i + 1);
        happens(&bench, &ack, WR_SESSION_DELIVERED, 0);
    }
    bench_close(&bench);
}

static void a_subscription_that_cannot_be_sent_harms_nobody(void **state) {
    (void)state;
    struct bench bench;
    fake_open(&bench, true);
    bench.subscribe_result = WR_NO_MEMORY;
    come_online(&bench, true);
    until(bench.refused == 1);
    assert_string_equal(bench.why, "no memory for a subscription");
    give_direct(&bench);
    deed_is(&bench, PUBLISH, "mine"); /* on the same connection: nothing was closed */
    bench_close(&bench);
}

static void a_refusal_is_told_with_its_cause(void **state) {
    (void)state;
    struct bench bench;
    fake_open(&bench, true);
    struct deed asked = come_online(&bench, true);
    happens(&bench, &asked, WR_SESSION_SUBSCRIBED, 0x87);
    until(bench.refused == 1);
    assert_string_equal(bench.why, "not for you");
    assert_int_equal(bench.granted, 0);
    bench_close(&bench);
}

static void without_a_channel_nothing_is_asked_for(void **state) {
    (void)state;
    struct bench bench;
    fake_open(&bench, false);
    come_online(&bench, false);
    give_direct(&bench);
    deed_is(&bench, PUBLISH, "mine");
    bench_close(&bench);
}

static void answers_may_end_before_the_uplink(void **state) {
    (void)state;
    struct bench bench;
    fake_open(&bench, true);
    come_online(&bench, true);
    wr_channel_close(bench.answers);
    give_direct(&bench);
    deed_is(&bench, PUBLISH, "mine");
    bench_close(&bench);
}

/* ---- the whole, with real brokers ---- */

static const uint8_t versions[] = {WR_MQTT_5, WR_MQTT_3_1_1};

static void real_open(struct bench *bench, uint16_t port, uint8_t version) {
    struct wr_uplink_runner_config config = {
        .session = {.client_id = "gw-7", .keepalive_s = 30, .connect_timeout_ns = 15 * WR_NS_PER_S, .version = version}};
    config.session.n_brokers = 1;
    config.session.brokers[0] = (struct wr_url){.host = "127.0.0.1", .numeric = true, .port = port};
    bench_open(bench, &config, true);
}

static void line_comes(struct wr_test_subscriber *subscriber, const char *start) {
    const char *line;
    do {
        line = wr_test_subscriber_line(subscriber, 20000);
        if (line == NULL)
            fail_msg("no '%s' came", start);
    } while (strncmp(line, start, strlen(start)) != 0);
}

static void send_command(uint16_t port, const void *payload, size_t len, bool retained) {
    static struct wr_test_publisher publisher;
    wr_test_publisher_open(&publisher, port);
    wr_test_publisher_publish(&publisher, CMD, payload, len, 1, retained);
    wr_test_publisher_flush(&publisher);
    wr_test_publisher_close(&publisher);
}

#define ONLINE "weir/1/riga/gw-7/state {\"node\":\"gw-7\",\"state\":\"online\""

/* Whoever has seen "online" is heard; what was retained is not; and after the broker's death it is the same again. */
static void a_command_is_answered_over_a_real_broker(void **state) {
    static char huge[WR_SESSION_RECEIVED_BYTES]; /* and what stands around it */
    const char *dir = *state;
    for (size_t i = 0; i < 2; i++) {
        struct wr_test_broker broker;
        struct wr_test_subscriber subscriber;
        wr_test_broker_start(&broker, &(struct wr_test_broker_options){.dir = dir});
        send_command(broker.port, "{\"old\":1}", 9, true);
        wr_test_subscriber_start(&subscriber, broker.port, "%t %p");
        struct bench bench;
        real_open(&bench, broker.port, versions[i]);
        line_comes(&subscriber, ONLINE);
        send_command(broker.port, "{\"a\":1}", 7, false);
        command_is(bench.commands, "{\"a\":1}", 7);
        give_answer(&bench, "{\"done\":1}");
        line_comes(&subscriber, ACK " {\"done\":1}");
        send_command(broker.port, huge, sizeof huge, false);
        send_command(broker.port, huge, WR_COMMAND_BYTES + 1, false);
        send_command(broker.port, "{\"b\":1}", 7, false);
        command_is(bench.commands, "{\"b\":1}", 7);
        struct wr_uplink_status status;
        until((wr_uplink_runner_status(bench.runner, &status), status.session.commands.received == 2)); /* counted behind its enqueuing */
        assert_int_equal(status.session.commands.retained, versions[i] == WR_MQTT_5 ? 0 : 1);           /* 5 does not even send it */
        assert_int_equal(status.session.commands.too_large, versions[i] == WR_MQTT_5 ? 1 : 2);          /* nor what is far too large */
        wr_test_subscriber_stop(&subscriber);
        wr_test_broker_kill(&broker);
        wr_test_broker_restart(&broker);
        wr_test_subscriber_start(&subscriber, broker.port, "%t %p");
        line_comes(&subscriber, ONLINE);
        send_command(broker.port, "{\"c\":1}", 7, false);
        command_is(bench.commands, "{\"c\":1}", 7);
        until(bench.granted == 2);
        bench_close(&bench);
        wr_test_subscriber_stop(&subscriber);
        wr_test_broker_kill(&broker);
    }
}

static int start(void **state) {
    static char dir[64];
    wr_test_dir_make(dir);
    *state = dir;
    return 0;
}

static int stop(void **state) {
    wr_test_dir_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_and_what_is_counted), cmocka_unit_test(an_answer_goes_to_its_topic_and_to_nobody_else),
        cmocka_unit_test(answers_wait_for_a_connection),     cmocka_unit_test(a_subscription_that_cannot_be_sent_harms_nobody),
        cmocka_unit_test(a_refusal_is_told_with_its_cause),  cmocka_unit_test(without_a_channel_nothing_is_asked_for),
        cmocka_unit_test(answers_may_end_before_the_uplink), cmocka_unit_test(a_command_is_answered_over_a_real_broker),
    };
    cmocka_set_test_filter(getenv("WEIR_TEST_FILTER"));
    return cmocka_run_group_tests(tests, start, stop);
}
