/* The source mqtt against a real broker: what topics and payloads become, what happens when the engine does not take it, and what a stop leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sources/mqtt_payload.h"
#include "agent/sources/mqtt_source.h"
#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "tests/support/mqtt_publisher.h"
#include "tests/support/source_bed.h"
#include "transport/subscriber.h"

static char dir[64];
static struct wr_test_broker broker;
static struct wr_test_publisher publisher;
static struct wr_bed bed;
static char *topics[3];
static char client_id[32];
static char url[64];

static int set_up(void **state) {
    (void)state;
    static unsigned test;
    (void)snprintf(client_id, sizeof client_id, "test-%u", test++);
    (void)snprintf(url, sizeof url, "mqtt://127.0.0.1:%u", (unsigned)broker.port);
    wr_bed_init(&bed, WR_SOURCE_MQTT);
    bed.print = true;
    topics[0] = (char *)(uintptr_t) "sensors/{site}/{room}";
    bed.config.format = WR_SOURCE_FORMAT_LINE;
    bed.config.mqtt = (struct wr_config_mqtt){.broker = url,
                                              .topics = topics,
                                              .n_topics = 1,
                                              .qos = 1,
                                              .client_id = client_id,
                                              .session_expiry_ns = 3600 * WR_NS_PER_S,
                                              .keepalive_ns = 10 * WR_NS_PER_S,
                                              .connect_timeout_ns = 5 * WR_NS_PER_S,
                                              .retry_max_ns = WR_NS_PER_S / 10,
                                              .receive_max = 1000,
                                              .buffer_bytes = 1 << 20,
                                              .max_message_bytes = 65536,
                                              .retained = true};
    assert_int_equal(wr_url_parse(url, &bed.config.mqtt.url, NULL), WR_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_bed_fini(&bed);
    return 0;
}

static void start(void) {
    wr_bed_start(&bed);
    wr_bed_wait(&bed.counters.mqtt.connected, 1);
}

static void publish(const char *topic, const char *payload) {
    wr_test_publisher_publish(&publisher, topic, payload, strlen(payload), 1, false);
    wr_test_publisher_flush(&publisher);
}

static void has(const char *part) {
    if (strstr(wr_buf_str(&bed.text), part) == NULL)
        fail_msg("no '%s' in:\n%s", part, wr_buf_str(&bed.text));
}

static void a_topic_gives_tags_to_line_protocol(void **state) {
    (void)state;
    start();
    publish("sensors/riga/A1", "room_temp,sensor=x value=21.5 1000\nroom_co2 value=400i 1000\n");
    publish("sensors/riga/A2", "room_temp,room=payload value=22.5 1000"); /* the topic wins */
    wr_bed_take_until(&bed, 3);
    has("{\"measurement\":\"room_temp\",\"field\":\"value\",\"tags\":{\"room\":\"A1\",\"sensor\":\"x\",\"site\":\"riga\"},\"time_ns\":1000,"
        "\"value\":21.5");
    has("\"room_co2\",\"field\":\"value\",\"tags\":{\"room\":\"A1\",\"site\":\"riga\"},\"time_ns\":1000,\"value\":400,\"type\":\"int\"");
    has("\"tags\":{\"room\":\"A2\",\"site\":\"riga\"},\"time_ns\":1000,\"value\":22.5");
}

static void a_topic_names_a_bare_value(void **state) {
    (void)state;
    topics[0] = (char *)(uintptr_t) "home/{room}/{measurement}/{field}";
    topics[1] = (char *)(uintptr_t) "home/{room}/{measurement}";
    topics[2] = (char *)(uintptr_t) "plain/+";
    bed.config.mqtt.n_topics = 3;
    bed.config.mqtt.measurement = (char *)(uintptr_t) "other";
    bed.config.format = WR_SOURCE_FORMAT_VALUE;
    start();
    publish("home/kitchen/temperature", "21.5\n");
    publish("home/kitchen/power/l1", "230");
    publish("home/hall/door", "open");
    publish("plain/x", "true");
    wr_bed_take_until(&bed, 4);
    has("{\"measurement\":\"temperature\",\"field\":\"value\",\"tags\":{\"room\":\"kitchen\"}");
    has("{\"measurement\":\"power\",\"field\":\"l1\",\"tags\":{\"room\":\"kitchen\"}");
    has("{\"measurement\":\"door\",\"field\":\"value\",\"tags\":{\"room\":\"hall\"}");
    has("\"value\":\"open\",\"type\":\"string\"");
    has("{\"measurement\":\"other\",\"field\":\"value\",\"tags\":{}");
    publish("home/kitchen/temperature", "");
    publish("home/kitchen/temperature", "warm"); /* its series is of numbers */
    wr_bed_wait(&bed.counters.books[WR_BOOK_REJECTED_SYNTAX], 1);
    wr_bed_wait(&bed.counters.books[WR_BOOK_REJECTED_TYPE], 1);
}

static void json_is_taken(void **state) {
    (void)state;
    bed.config.format = WR_SOURCE_FORMAT_JSON;
    start();
    publish("sensors/riga/A1", "[{\"measurement\":\"t\",\"value\":1.5},{\"measurement\":\"u\",\"value\":2}]");
    wr_bed_take_until(&bed, 2);
    has("{\"measurement\":\"t\",\"field\":\"value\",\"tags\":{\"room\":\"A1\",\"site\":\"riga\"}");
    publish("sensors/riga/A1", "{]");
    wr_bed_wait(&bed.counters.books[WR_BOOK_REJECTED_SYNTAX], 1);
}

/* The engine stands still: the source waits, the broker keeps. Then everything comes, in order, and nothing is booked as lost. */
static void an_engine_that_stands_still_loses_nothing(void **state) {
    (void)state;
    const unsigned messages = 20000;
    bed.print = false;
    bed.config.mqtt.receive_max = UINT16_MAX;
    start();
    int64_t sum = 0;
    for (unsigned i = 0; i < messages; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "m value=%u", i);
        wr_test_publisher_publish(&publisher, "sensors/riga/A1", text, (size_t)len, 1, false);
        sum += i;
    }
    wr_test_publisher_flush(&publisher);
    wr_bed_wait(&bed.counters.mqtt.pauses, 1);
    assert_true(wr_bed_count(&bed, WR_BOOK_RECEIVED) <= 4 * WR_BATCH_READINGS); /* all that fits into its batches */
    wr_bed_engine_start(&bed);
    wr_bed_wait_taken(&bed, messages);
    assert_int_equal(bed.value_sum, sum);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_OVERFLOW), 0);
    assert_int_equal(bed.counters.mqtt.redelivered, 0);
}

/* A stop while the engine stands still: what found no batch is not acknowledged, and comes to the next source of this name. */
static void a_stop_leaves_to_the_broker_what_was_not_taken(void **state) {
    (void)state;
    const unsigned messages = 3000;
    bed.print = false;
    start();
    for (unsigned i = 0; i < messages; i++)
        wr_test_publisher_publish(&publisher, "sensors/riga/A1", "m value=1", 9, 1, false);
    wr_test_publisher_flush(&publisher);
    wr_bed_wait(&bed.counters.waits, 1);
    assert_int_equal(wr_source_stop(bed.source, 0), WR_OK);
    assert_true(wr_bed_take(&bed) <= 4 * WR_BATCH_READINGS);
    wr_source_free(bed.source);
    assert_int_equal(wr_source_create(&bed.env, &bed.source, NULL), WR_OK);
    assert_int_equal(wr_source_start(bed.source, NULL), WR_OK);
    wr_bed_engine_start(&bed);
    wr_bed_wait_taken(&bed, messages);
    assert_int_equal(bed.value_sum, messages); /* each once: what was handed over had been acknowledged */
    wr_bed_wait(&bed.counters.mqtt.waiting, 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), messages);
}

/* QoS 0 in the ring at a stop that ran out of time: nobody will send it again, so it is booked. */
static void a_stop_books_what_nobody_sends_again(void **state) {
    (void)state;
    const unsigned messages = 3000;
    bed.print = false;
    bed.config.mqtt.qos = 0;
    start();
    for (unsigned i = 0; i < messages; i++)
        wr_test_publisher_publish(&publisher, "sensors/riga/A1", "m value=1", 9, 1, false);
    wr_test_publisher_flush(&publisher);
    wr_bed_wait(&bed.counters.mqtt.messages, messages);
    wr_bed_wait(&bed.counters.waits, 1);
    assert_int_equal(wr_source_stop(bed.source, 0), WR_TIMEOUT);
    const uint64_t taken = wr_bed_take(&bed);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), messages);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_DROPPED_STOP), messages - taken);
}

/* Offline is no failure of a start, and the trouble has a name. */
static void a_broker_that_is_not_there_is_said(void **state) {
    (void)state;
    bed.config.mqtt.url.port = wr_test_free_port();
    wr_bed_create(&bed);
    assert_int_equal(wr_source_start(bed.source, NULL), WR_OK);
    wr_bed_wait(&bed.counters.mqtt.failures, 1);
    char text[256];
    assert_non_null(strstr(wr_source_trouble(bed.source, text, sizeof text), "refused"));
    assert_int_equal(wr_source_stop(bed.source, 0), WR_OK);
    assert_string_equal(wr_source_trouble(bed.source, text, sizeof text), "");
}

/* Each allocation of create and start in turn: an error, or a source that works. */
static void no_memory_is_an_error(void **state) {
    (void)state;
    wr_bed_create(&bed);
    wr_source_free(bed.source);
    bed.source = NULL;
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_error err = {0};
        struct wr_source *source = NULL;
        wr_failing_allocations(n);
        enum wr_result result = wr_source_create(&bed.env, &source, &err);
        if (result == WR_OK)
            result = wr_source_start(source, &err);
        hit = wr_failing_hit();
        wr_failing_off();
        assert_true(result == WR_OK || result == WR_NO_MEMORY);
        wr_source_free(source);
        if (n > 200)
            fail_msg("no end");
    }
}

/* One payload, each allocation failing in turn: told to the sink, or taken. */
static enum wr_result count_record(void *user, const struct wr_record *record) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    struct wr_refusal refusal;
    assert_int_equal(wr_record_key(record, &record->fields[0], key, &len, &refusal), WR_OK);
    (*(unsigned *)user)++;
    return WR_OK;
}

static void count_refusal(void *user, const struct wr_refusal *refusal) {
    assert_int_equal(refusal->reason, WR_BOOK_REJECTED_MEMORY);
    (*(unsigned *)user)++;
}

static void no_memory_refuses_one_message(void **state) {
    (void)state;
    unsigned told = 0;
    const struct wr_sink sink = {.record = count_record, .refused = count_refusal, .user = &told};
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_mqtt_payload payload;
        size_t from = 0;
        assert_int_equal(wr_mqtt_payload_init(&payload, &bed.config, 65536, &sink, NULL), WR_OK);
        told = 0;
        wr_failing_allocations(n);
        const struct wr_word topic = {"sensors/a/b", 11};
        assert_int_equal(wr_mqtt_payload_feed(&payload, topic, (struct wr_word){"m value=1", 9}, &from), WR_OK);
        hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(told, 1);
        wr_mqtt_payload_fini(&payload);
    }
}

static int begin(void **state) {
    (void)state;
    wr_test_dir_make(dir);
    wr_test_broker_start(&broker, &(struct wr_test_broker_options){.dir = dir});
    wr_test_publisher_open(&publisher, broker.port);
    return 0;
}

static int end(void **state) {
    (void)state;
    wr_test_publisher_close(&publisher);
    wr_test_broker_kill(&broker);
    wr_test_dir_remove(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_topic_gives_tags_to_line_protocol, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_topic_names_a_bare_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_engine_that_stands_still_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_leaves_to_the_broker_what_was_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_books_what_nobody_sends_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broker_that_is_not_there_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_refuses_one_message, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
