/* Addresses, topics, the state message, JSON segments, and small secret files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/failing.h"
#include "transport/credential.h"
#include "transport/encode_json.h"
#include "transport/topic.h"
#include "transport/trace.h"
#include "transport/url.h"

static void good_url(const char *text, bool tls, const char *host, unsigned port, bool numeric) {
    struct wr_url url;
    struct wr_error err = {0};
    if (wr_url_parse(text, &url, &err) != WR_OK)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(url.tls, tls);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_int_equal(url.numeric, numeric);
}

static void bad_url(const char *text, const char *cause) {
    struct wr_url url;
    struct wr_error err = {0};
    assert_int_equal(wr_url_parse(text, &url, &err), WR_INVALID);
    if (strstr(err.text, cause) == NULL)
        fail_msg("%s: wanted \"%s\", got \"%s\"", text, cause, err.text);
}

static void addresses(void **state) {
    (void)state;
    good_url("mqtt://broker", false, "broker", 1883, false);
    good_url("mqtts://broker.example.org", true, "broker.example.org", 8883, false);
    good_url("mqtts://127.0.0.1:18883", true, "127.0.0.1", 18883, true);
    good_url("mqtt://[::1]", false, "::1", 1883, true);
    good_url("mqtts://[2001:db8::7]:65535", true, "2001:db8::7", 65535, true);
    bad_url("broker:1883", "not a broker address");
    bad_url("http://broker", "not a broker address");
    bad_url("mqtt://", "no host");
    bad_url("mqtt://:1883", "no host");
    bad_url("mqtt://broker:", "the port");
    bad_url("mqtt://broker:0", "the port");
    bad_url("mqtt://broker:65536", "the port");
    bad_url("mqtt://broker:18x", "the port");
    bad_url("mqtt://broker/path", "unexpected '/path'");
    bad_url("mqtt://ana:secret@broker", "password_file");
    bad_url("mqtt://[::1", "without ']'");
    bad_url("mqtt://[broker]", "IPv6");
    char text[WR_URL_TEXT_BYTES];
    struct wr_url url;
    assert_int_equal(wr_url_parse("mqtt://[::1]:9", &url, NULL), WR_OK);
    assert_string_equal(wr_url_authority(text, sizeof text, &url), "[::1]:9");
    char longer[300] = "mqtt://";
    memset(longer + 7, 'a', 254);
    bad_url(longer, "longer than 253");
}

static void topics(void **state) {
    (void)state;
    struct wr_place place;
    char text[WR_TOPIC_BYTES];
    assert_int_equal(wr_place_init(&place, "weir/1", NULL, "gw-7", NULL), WR_OK);
    assert_string_equal(wr_topic_text(text, &place, WR_TOPIC_STATE), "weir/1/-/gw-7/state");
    assert_int_equal(wr_place_init(&place, "weir/1", "riga", "gw-7", NULL), WR_OK);
    assert_string_equal(wr_topic_text(text, &place, wr_topic_of(WR_LANE_ALARMS, WR_SEGMENT_ALARMS)), "weir/1/riga/gw-7/alarm");
    assert_string_equal(wr_topic_text(text, &place, wr_topic_of(WR_LANE_ALARMS, WR_SEGMENT_GAPS)), "weir/1/riga/gw-7/gap");
    assert_string_equal(wr_topic_text(text, &place, wr_topic_of(WR_LANE_CHANGES, WR_SEGMENT_AGGREGATES)), "weir/1/riga/gw-7/event");
    assert_string_equal(wr_topic_text(text, &place, wr_topic_of(WR_LANE_WINDOWS, WR_SEGMENT_AGGREGATES)), "weir/1/riga/gw-7/agg");
    assert_string_equal(wr_topic_text(text, &place, wr_topic_of(WR_LANE_RAW, WR_SEGMENT_RAW)), "weir/1/riga/gw-7/agg");
    static const char *const bad_prefixes[] = {"", "/", "/weir", "weir/", "weir//1", "weir/+", "weir/#", "$SYS/x", "we ir", "w\x01"};
    for (size_t i = 0; i < sizeof bad_prefixes / sizeof bad_prefixes[0]; i++)
        assert_int_equal(wr_place_init(&place, bad_prefixes[i], NULL, "gw-7", NULL), WR_INVALID);
    static const char *const bad_nodes[] = {"", "a/b", "a+", "#", "a b", "\xC3\xA4"};
    for (size_t i = 0; i < sizeof bad_nodes / sizeof bad_nodes[0]; i++)
        assert_int_equal(wr_place_init(&place, "weir/1", NULL, bad_nodes[i], NULL), WR_INVALID);
    /* The longest parts still fit. */
    char prefix[129];
    char name[65];
    memset(prefix, 'p', 128);
    memset(name, 'n', 64);
    prefix[128] = name[64] = '\0';
    assert_int_equal(wr_place_init(&place, prefix, name, name, NULL), WR_OK);
    wr_topic_text(text, &place, WR_TOPIC_STATE);
    assert_int_equal(strlen(text), 128 + 1 + 64 + 1 + 64 + strlen("/state"));
}

static void states(void **state) {
    (void)state;
    struct wr_place place;
    struct wr_buf json;
    struct wr_now now = {.boot_ns = 1, .wall_ns = 5, .wall_trusted = true};
    assert_int_equal(wr_place_init(&place, "weir/1", NULL, "gw-7", NULL), WR_OK);
    wr_buf_init(&json, 0);
    assert_int_equal(wr_state_json(&json, &place, NULL, 255, &now), WR_OK);
    assert_string_equal(wr_buf_str(&json), "{\"node\":\"gw-7\",\"state\":\"online\",\"version\":\"" WEIR_VERSION
                                           "\",\"running\":\"00000000000000ff\",\"time_ns\":5,\"time_trusted\":true}");
    wr_buf_clear(&json);
    assert_int_equal(wr_state_json(&json, &place, "stop", 255, NULL), WR_OK);
    assert_string_equal(wr_buf_str(&json), "{\"node\":\"gw-7\",\"state\":\"offline\",\"cause\":\"stop\"}");
    wr_buf_fini(&json);
}

static enum wr_result encode(struct wr_buf *into, uint32_t announced, struct wr_error *err) {
    static const char key[] = "m\0f\0t\0v";
    struct wr_segment segment = {
        .epoch = 0xC0FFEE, .seq = 17, .lane = 2, .kind = WR_SEGMENT_AGGREGATES, .n = announced, .t0_ns = 1, .t1_ns = 2};
    struct wr_aggregate aggregate = {
        .key = key, .key_len = sizeof key, .type = WR_TYPE_FLOAT, .start_ns = 1, .window_ns = 10, .bad = 1, .sum = wr_sum_zero()};
    struct wr_encode_json encoder;
    wr_encode_json_begin(&encoder, into, "gw-7", &segment);
    wr_encode_json_aggregate(&encoder, &aggregate);
    wr_encode_json_object(&encoder, "{\"alarm\":1}", 11);
    return wr_encode_json_end(&encoder, err);
}

static void segments_as_json(void **state) {
    (void)state;
    struct wr_buf json;
    struct wr_error err = {0};
    wr_buf_init(&json, 0);
    assert_int_equal(encode(&json, 2, &err), WR_OK);
    assert_string_equal(
        wr_buf_str(&json),
        "{\"node\":\"gw-7\",\"epoch\":\"0000000000c0ffee\",\"seq\":17,\"kind\":\"aggregates\",\"lane\":2,\"t0_ns\":1,\"t1_ns\":2,"
        "\"records\":[{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{\"t\":\"v\"},\"time_ns\":1,\"window_ns\":10,\"n\":0,"
        "\"sum\":null,\"min\":null,\"max\":null,\"first\":null,\"last\":null,\"bad\":1},{\"alarm\":1}]}");
    wr_buf_clear(&json);
    assert_int_equal(encode(&json, 3, &err), WR_INVALID);
    assert_non_null(strstr(err.text, "announces 3 records and holds 2"));
    wr_buf_fini(&json);
    for (long n = 0;; n++) { /* every allocation fails once */
        wr_buf_init(&json, 0);
        wr_failing_allocations(n);
        enum wr_result result = encode(&json, 2, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_buf_fini(&json);
        if (!hit)
            break;
    }
}

static void secret_files(void **state) {
    (void)state;
    char path[] = "/tmp/weir-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct wr_credential credential = {0};
    struct wr_error err = {0};
    assert_int_equal(wr_credential_read(path, 100, &credential, &err), WR_INVALID); /* empty */
    assert_int_equal(write(fd, "s3cret\r\n", 8), 8);
    assert_int_equal(wr_credential_read(path, 100, &credential, &err), WR_OK);
    wr_credential_trim(&credential);
    assert_int_equal(credential.len, 6);
    assert_string_equal((char *)credential.data, "s3cret");
    wr_credential_free(&credential);
    assert_null(credential.data);
    assert_int_equal(wr_credential_read(path, 7, &credential, &err), WR_LIMIT);
    assert_int_equal(wr_credential_read("/tmp", 100, &credential, &err), WR_INVALID);
    assert_int_equal(wr_credential_read("/nonexistent/x", 100, &credential, &err), WR_NOT_FOUND);
    wr_failing_io(0, EIO);
    assert_int_equal(wr_credential_read(path, 100, &credential, &err), WR_IO);
    wr_failing_allocations(0);
    assert_int_equal(wr_credential_read(path, 100, &credential, &err), WR_NO_MEMORY);
    wr_failing_off();
    assert_null(credential.data);
    (void)close(fd);
    (void)unlink(path);
}

/* The longest place leaves room for the longest key. */
static void keys_in_topics(void **state) {
    (void)state;
    char prefix[129], name[65], text[WR_TOPIC_BYTES];
    memset(prefix, 'p', sizeof prefix - 1);
    memset(name, 'n', sizeof name - 1);
    prefix[sizeof prefix - 1] = name[sizeof name - 1] = 0;
    struct wr_place place;
    assert_int_equal(wr_place_init(&place, prefix, name, name, NULL), WR_OK);
    wr_topic_add_key(wr_topic_text(text, &place, WR_TOPIC_ALARM), UINT64_MAX, INT64_MAX);
    const char *end = "/alarm/ffffffffffffffff/9223372036854775807";
    assert_string_equal(text + strlen(text) - strlen(end), end);
    assert_int_equal(wr_place_init(&place, "weir/1", NULL, "gw-7", NULL), WR_OK);
    assert_string_equal(wr_topic_add_key(wr_topic_text(text, &place, WR_TOPIC_AGG), 0xC0FFEE, 17), "weir/1/-/gw-7/agg/0000000000c0ffee/17");
}

static void traces(void **state) {
    (void)state;
    char text[WR_TRACE_PARENT_BYTES];
    assert_string_equal(wr_trace_parent(text, 0xC0FFEE, 17, 0xABCDEF0123456789), "00-0000000000c0ffee0000000000000011-abcdef0123456789-01");
    assert_string_equal(wr_trace_parent(text, 0, 0, 0), "00-00000000000000000000000000000001-0000000000000001-01");
    assert_int_equal(strlen(text), WR_TRACE_PARENT_BYTES - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),    cmocka_unit_test(topics),         cmocka_unit_test(states), cmocka_unit_test(segments_as_json),
        cmocka_unit_test(secret_files), cmocka_unit_test(keys_in_topics), cmocka_unit_test(traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
