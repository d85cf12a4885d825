/* From a message to records: what is read, what is refused and why; the JSON of an aggregate there and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/json_scan.h"
#include "agent/receive/decode.h"
#include "core/record_json.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"
#include "tests/support/receive_bed.h"

/* A sink that writes down what it is told. */
struct notes {
    char text[4096];
    unsigned aggregates;
};

static enum wr_result note_begin(void *self, const struct wr_message_origin *origin, struct wr_error *err) {
    struct notes *notes = self;
    (void)err;
    snprintf(notes->text, sizeof notes->text, "%s/%s %s %016llx/%lld", origin->site, origin->key.node, wr_message_kind_name(origin->kind),
             (unsigned long long)origin->key.epoch, (long long)origin->key.seq);
    if (origin->time_quality != WR_TIME_TRUSTED) {
        const size_t used = strlen(notes->text);
        snprintf(notes->text + used, sizeof notes->text - used, " %s", wr_time_quality_name(origin->time_quality));
    }
    return WR_OK;
}

static enum wr_result note_aggregate(void *self, const struct wr_aggregate *aggregate, struct wr_error *err) {
    struct notes *notes = self;
    (void)aggregate, (void)err;
    notes->aggregates++;
    return WR_OK;
}

static enum wr_result note_text(void *self, const char *json, size_t len, struct wr_error *err) {
    struct notes *notes = self;
    (void)err;
    const size_t used = strlen(notes->text);
    snprintf(notes->text + used, sizeof notes->text - used, " %.*s", (int)len, json);
    return WR_OK;
}

static void note_end(void *self, bool keep) {
    struct notes *notes = self;
    if (!keep)
        notes->text[0] = '\0';
}

static const struct wr_receive_sink_ops ops = {.begin = note_begin, .aggregate = note_aggregate, .text = note_text, .end = note_end};

static struct notes notes;
static struct wr_error err;

static enum wr_result decode(const struct wr_subscriber_message *message) {
    struct wr_receive_decoder decoder;
    struct wr_message_origin origin;
    const struct wr_receive_sink sink = {&ops, &notes};
    memset(&notes, 0, sizeof notes);
    memset(&err, 0, sizeof err);
    enum wr_result result = wr_receive_decoder_init(&decoder, &err);
    if (result == WR_OK)
        result = wr_receive_decode(&decoder, message, "weir/1", &sink, &origin, &err);
    wr_receive_decoder_fini(&decoder);
    return result;
}

static struct wr_word word(const char *text) {
    return (struct wr_word){text, strlen(text)};
}

static enum wr_result decode_text(const char *topic, const char *type, const char *payload) {
    const struct wr_subscriber_message message = {.topic = word(topic), .content_type = word(type), .payload = word(payload)};
    return decode(&message);
}

static void refuses(const char *topic, const char *type, const char *payload, enum wr_result code, const char *reason) {
    assert_int_equal(decode_text(topic, type, payload), code);
    if (!strstr(err.text, reason))
        fail_msg("'%s' does not say '%s'", err.text, reason);
    assert_string_equal(notes.text, "");
}

#define ENVELOPE(seq, records) "{\"node\":\"gw-1\",\"epoch\":\"00000000000000aa\",\"seq\":" seq ",\"records\":[" records "]}"
#define RECORD                                                                                                                             \
    "{\"measurement\":\"m\",\"field\":\"value\",\"tags\":{\"t\":\"v\"},\"time_ns\":1,\"window_ns\":5,\"n\":1,\"sum\":1,\"min\":1,"         \
    "\"max\":1,\"first\":1,\"last\":1,\"bad\":0}"

static void test_segments_and_envelopes(void **state) {
    (void)state;
    static struct receive_bed bed;
    receive_bed_init(&bed, 10, 2, 4);
    for (unsigned i = 0; i < 10; i++) {
        char expected[80];
        struct wr_subscriber_message message = receive_bed_message(&bed, i);
        assert_int_equal(decode(&message), WR_OK);
        snprintf(expected, sizeof expected, "riga/gw-%u %s c0ffee0000000001/%u", i % 2, i % 7 == 6 ? "alarm" : "agg", i + 1);
        assert_memory_equal(notes.text, expected, strlen(expected));
        assert_int_equal(notes.aggregates, i % 7 == 6 ? 0 : 4);
        message.n_properties = 0; /* as from a broker of 3.1.1 */
        assert_int_equal(decode(&message), WR_OK);
    }
    receive_bed_fini(&bed);
    assert_int_equal(decode_text("weir/1/-/gw-1/event", "application/json", " " ENVELOPE("7", RECORD "," RECORD) "\n"), WR_OK);
    assert_string_equal(notes.text, "-/gw-1 event 00000000000000aa/7");
    assert_int_equal(notes.aggregates, 2);
    assert_int_equal(decode_text("weir/1/-/gw-1/gap", "", ENVELOPE("7", "{ \"reason\" : \"crash\" }")), WR_OK);
    assert_string_equal(notes.text, "-/gw-1 gap 00000000000000aa/7 {\"reason\":\"crash\"}");
    assert_int_equal(decode_text("weir/1/-/gw-1/agg/00000000000000aa/7", "", ENVELOPE("7", RECORD)), WR_OK);
}

#define LEDGER(cut, epoch) "{\"cut\":" cut ",\"epoch\":\"" epoch "\",\"of\":0,\"ledger\":[]}"

/* The audit counts by it, so it must be of the store whose key it came with. */
static void test_ledger_records(void **state) {
    (void)state;
    assert_int_equal(decode_text("weir/1/-/gw-1/gap", "", ENVELOPE("7", LEDGER("7", "00000000000000aa"))), WR_OK);
    refuses("weir/1/-/gw-1/gap", "", ENVELOPE("7", LEDGER("7", "00000000000000ab")), WR_INVALID, "not of the segment");
    refuses("weir/1/-/gw-1/gap", "", ENVELOPE("7", LEDGER("8", "00000000000000aa")), WR_INVALID, "not of the segment");
    refuses("weir/1/-/gw-1/gap", "", ENVELOPE("7", "{\"ledger\":1}"), WR_INVALID, "no list");
}

/* In the flags of a segment's header, and in the envelope. A word that is not known is no trust. */
static void test_time_quality(void **state) {
    (void)state;
    static const struct {
        const char *member;
        const char *expected;
    } cases[] = {{"", ""},
                 {",\"time_quality\":\"trusted\"", ""},
                 {",\"time_quality\":\"corrected\"", " corrected"},
                 {",\"time_quality\":\"untrusted\"", " untrusted"},
                 {",\"time_quality\":\"guessed\"", " untrusted"},
                 {",\"time_quality\":7", " untrusted"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char payload[600];
        char expected[80];
        snprintf(payload, sizeof payload, "{\"node\":\"gw-1\",\"epoch\":\"00000000000000aa\",\"seq\":7%s,\"records\":[" RECORD "]}",
                 cases[i].member);
        snprintf(expected, sizeof expected, "riga/gw-1 agg 00000000000000aa/7%s", cases[i].expected);
        assert_int_equal(decode_text("weir/1/riga/gw-1/agg", "", payload), WR_OK);
        assert_string_equal(notes.text, expected);
    }
    static const struct {
        bool trusted, moved;
        const char *expected;
    } flags[] = {{true, false, ""}, {true, true, " corrected"}, {false, false, " untrusted"}, {false, true, " untrusted"}};
    struct wr_encoder *encoder;
    struct wr_buf packed;
    wr_buf_init(&packed, 0);
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_encode_pack_text(&packed, "{}", 2), WR_OK);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct wr_codec_header header = {
            .kind = WR_SEGMENT_ALARMS, .epoch = 0xaa, .seq = 7, .wall_trusted = flags[i].trusted, .times_moved = flags[i].moved};
        const uint8_t *body;
        size_t len;
        char expected[80];
        assert_int_equal(wr_encode_texts(encoder, &header, packed.data, packed.len, 1, &body, &len), WR_OK);
        const struct wr_subscriber_message message = {.topic = word("weir/1/riga/gw-1/alarm"), .payload = {(const char *)body, len}};
        assert_int_equal(decode(&message), WR_OK);
        snprintf(expected, sizeof expected, "riga/gw-1 alarm 00000000000000aa/7%s {}", flags[i].expected);
        assert_string_equal(notes.text, expected);
    }
    wr_encoder_free(encoder);
    wr_buf_fini(&packed);
}

static void test_states(void **state) {
    (void)state;
    assert_int_equal(decode_text("weir/1/riga/gw-1/state", "", "{\"state\": \"online\"}"), WR_OK);
    assert_string_equal(notes.text, "riga/gw-1 state 0000000000000000/0 {\"state\":\"online\"}");
    assert_int_equal(decode_text("weir/1/riga/gw-1/state", "", ""), WR_EMPTY);
    refuses("weir/1/riga/gw-1/state", "", "{\"state\"", WR_INVALID, "not JSON: unexpected end at byte 8");
}

static void test_topics_that_are_none(void **state) {
    (void)state;
    static const char *const topics[] = {"",
                                         "weir/1",
                                         "weir/2/riga/gw-1/agg",
                                         "weir/1/riga/gw-1",
                                         "weir/1/riga/gw-1/aggs",
                                         "weir/1/riga//agg",
                                         "weir/1/riga/gw 1/agg",
                                         "weir/1/riga/gw-1/agg/",
                                         "weir/1/riga/gw-1/agg/00000000000000aa",
                                         "weir/1/riga/gw-1/agg/00000000000000AA/7",
                                         "weir/1/riga/gw-1/agg/00000000000000aa/0",
                                         "weir/1/riga/gw-1/agg/00000000000000aa/7/8"};
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
        refuses(topics[i], "", ENVELOPE("7", RECORD), WR_INVALID, "is not weir/1/SITE/NODE");
}

static void test_keys_that_contradict_each_other(void **state) {
    (void)state;
    refuses("weir/1/riga/gw-2/agg", "", ENVELOPE("7", RECORD), WR_INVALID, "not of node gw-2");
    refuses("weir/1/riga/gw-1/agg/00000000000000aa/8", "", ENVELOPE("7", RECORD), WR_INVALID, "the message says 00000000000000aa/8");
    refuses("weir/1/riga/gw-1/agg", "", ENVELOPE("0", RECORD), WR_INVALID, "seq above 0");
    refuses("weir/1/riga/gw-1/agg", "", ENVELOPE("\"7\"", RECORD), WR_INVALID, "seq above 0");
    struct wr_subscriber_property property = {word("node"), word("gw-3")};
    const struct wr_subscriber_message message = {
        .topic = word("weir/1/riga/gw-1/agg"), .payload = word(ENVELOPE("7", RECORD)), .properties = &property, .n_properties = 1};
    assert_int_equal(decode(&message), WR_INVALID);
    assert_non_null(strstr(err.text, "user properties"));
}

static void test_payloads_of_others(void **state) {
    (void)state;
    static const char topic[] = "weir/1/riga/gw-1/agg";
    refuses(topic, "text/plain", "m value=1", WR_UNSUPPORTED, "`uplink.format` of node gw-1");
    refuses(topic, "application/senml+json", "[]", WR_UNSUPPORTED, "other receivers");
    refuses(topic, "", "m value=1 1", WR_INVALID, "neither a segment nor the JSON");
    refuses(topic, "", "", WR_INVALID, "neither a segment nor the JSON");
    refuses(topic, "application/vnd.weir.segment", "{}", WR_INVALID, "neither a segment");
    refuses(topic, "application/json", "{}", WR_INVALID, "no list of records");
    refuses(topic, "application/json", "{} {}", WR_INVALID, "behind the JSON");
    refuses(topic, "application/json", ENVELOPE("7", "1"), WR_INVALID, "no object");
    refuses(topic, "application/json", ENVELOPE("7", "{\"measurement\":\"m\",\"value\":1}"), WR_INVALID, "it has no field");
    refuses(topic, "application/json", ENVELOPE("7", RECORD ",{}"), WR_INVALID, "empty record");
    refuses(topic, "", "WEIR", WR_CORRUPT, "not a segment");
}

static void test_a_damaged_segment(void **state) {
    (void)state;
    static struct receive_bed bed;
    receive_bed_init(&bed, 1, 1, 4);
    for (size_t at = 0; at < bed.messages[0].payload.len; at += 7) {
        bed.messages[0].payload.data[at] ^= 1;
        const struct wr_subscriber_message message = receive_bed_message(&bed, 0);
        const enum wr_result result = decode(&message);
        assert_true(result == WR_CORRUPT || result == WR_INVALID || result == WR_UNSUPPORTED);
        assert_string_equal(notes.text, "");
        bed.messages[0].payload.data[at] ^= 1;
    }
    receive_bed_fini(&bed);
}

/* An alarm segment with this text as its second record. */
static enum wr_result decode_alarm(const char *text) {
    struct wr_encoder *encoder;
    struct wr_buf packed;
    struct wr_codec_header header = {.kind = WR_SEGMENT_ALARMS, .lane = WR_LANE_ALARMS, .epoch = 0xaa, .seq = 7, .wall_trusted = true};
    const uint8_t *body;
    size_t len;
    wr_buf_init(&packed, 0);
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_encode_pack_text(&packed, "{\"alarm\":\"hot\"}", 15), WR_OK);
    assert_int_equal(wr_encode_pack_text(&packed, text, strlen(text)), WR_OK);
    assert_int_equal(wr_encode_texts(encoder, &header, packed.data, packed.len, 2, &body, &len), WR_OK);
    const struct wr_subscriber_message message = {.topic = word("weir/1/-/gw-1/alarm"), .payload = {(const char *)body, len}};
    const enum wr_result result = decode(&message);
    wr_encoder_free(encoder);
    wr_buf_fini(&packed);
    return result;
}

static void test_texts_of_a_segment_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"", " ", "x", "{", "{\"alarm\":\"a\nb\"}", "{\"alarm\":\"cold\"}\n{}", "[{}]", "7", "{\"alarm\":"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(decode_alarm(bad[i]), WR_INVALID);
        assert_string_equal(notes.text, "");
    }
    assert_int_equal(decode_alarm("{ \"alarm\" : \"cold\" }"), WR_OK);
    assert_string_equal(notes.text, "-/gw-1 alarm 00000000000000aa/7 {\"alarm\":\"hot\"} {\"alarm\":\"cold\"}");
}

static void test_no_memory(void **state) {
    (void)state;
    static struct receive_bed bed;
    receive_bed_init(&bed, 7, 1, 4);
    for (unsigned i = 0; i < 7; i++) {
        bool hit = true;
        for (long n = 0; hit; n++) {
            const struct wr_subscriber_message message = receive_bed_message(&bed, i);
            wr_failing_allocations(n);
            const enum wr_result result = decode(&message);
            hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        }
    }
    receive_bed_fini(&bed);
}

/* -- the JSON of an aggregate ---------------------------------------------------------------------------------------------------------------- */

static enum wr_result read_json(const char *json, size_t len, struct wr_buf *texts, char *key, struct wr_aggregate *ret_aggregate) {
    struct wr_json_scan scan = wr_json_scan_begin(json, json + len, true);
    struct wr_word object;
    assert_int_equal(wr_json_scan_check(&scan, &object), WR_JSON_FOUND);
    return wr_receive_aggregate_json(object, texts, key, ret_aggregate, &err);
}

static union wr_value value_of(struct wr_random *dice, enum wr_type type) {
    union wr_value value = {.u = wr_random_u64(dice) >> wr_random_below(dice, 64)};
    if (type == WR_TYPE_BOOL)
        value.u &= 1;
    if (type == WR_TYPE_FLOAT && wr_random_below(dice, 2))
        value.f = (double)(int64_t)wr_random_below(dice, 2000) / (wr_random_below(dice, 2) ? 10 : 1) - 50;
    if (type == WR_TYPE_FLOAT && !isfinite(value.f))
        value.f = -0.0;
    return value;
}

/* What is printed is read, and printed again the same: all digits of all types. */
static void test_there_and_back(void **state) {
    (void)state;
    struct wr_random dice = wr_random_begin();
    struct wr_buf first;
    struct wr_buf second;
    struct wr_buf texts;
    wr_buf_init(&first, 0);
    wr_buf_init(&second, 0);
    wr_buf_init(&texts, 0);
    for (int i = 0; i < 20000; i++) {
        static const char key[] = "a \"measure\"\0f\\ield\0\xC3\xA4\0\x01\x02\xE2\x82\xAC"; /* escapes and UTF-8 */
        static char read_key[WR_SERIES_KEY_BYTES];
        const enum wr_type type = (enum wr_type)(WR_TYPE_FLOAT + wr_random_below(&dice, 5));
        struct wr_aggregate aggregate = {.key = key,
                                         .key_len = sizeof key,
                                         .type = (uint8_t)type,
                                         .start_ns = (int64_t)wr_random_u64(&dice),
                                         .window_ns = (int64_t)(wr_random_u64(&dice) >> 1),
                                         .n = wr_random_below(&dice, 5),
                                         .bad = wr_random_u64(&dice),
                                         .sum = wr_sum_zero(),
                                         .first_text = "a\"\n\xF0\x9F\x98\x80",
                                         .last_text = ""};
        aggregate.min = value_of(&dice, type);
        aggregate.max = value_of(&dice, type);
        aggregate.first = value_of(&dice, type);
        aggregate.last = value_of(&dice, type);
        for (int k = 0; k < 3 && type != WR_TYPE_SYMBOL; k++)
            wr_sum_add(&aggregate.sum, type, value_of(&dice, type), 1);
        struct wr_json json;
        wr_buf_clear(&first);
        wr_json_begin(&json, &first);
        wr_record_aggregate_json(&json, &aggregate);
        assert_int_equal(wr_json_end(&json), WR_OK);
        if (strstr(wr_buf_str(&first), "\"sum\":null") && aggregate.n > 0 && type != WR_TYPE_SYMBOL)
            continue; /* a sum that overflowed: no number, refused below */
        struct wr_aggregate read;
        if (read_json(wr_buf_str(&first), first.len, &texts, read_key, &read) != WR_OK)
            fail_msg("%s: %s", err.text, wr_buf_str(&first));
        wr_buf_clear(&second);
        wr_json_begin(&json, &second);
        wr_record_aggregate_json(&json, &read);
        assert_int_equal(wr_json_end(&json), WR_OK);
        assert_string_equal(wr_buf_str(&first), wr_buf_str(&second));
    }
    wr_buf_fini(&first);
    wr_buf_fini(&second);
    wr_buf_fini(&texts);
}

static void test_aggregates_that_are_none(void **state) {
    (void)state;
    static const char *const changes[][3] = {
        {"\"measurement\":\"m\"", "\"measurement\":1", "measurement is no string"},
        {"\"measurement\":\"m\"", "\"measurement\":\"\"", "empty"},
        {"\"measurement\":\"m\"", "\"measurement\":\"\\u0000\"", "a NUL"},
        {"\"measurement\":\"m\"", "\"measurement\":\"\\ud800\"", "surrogate"},
        {"\"tags\":{\"t\":\"v\"}", "\"tags\":[]", "tags is no object"},
        {"\"tags\":{\"t\":\"v\"}", "\"tags\":{\"t\":1}", "tags is no string"},
        {"\"tags\":{\"t\":\"v\"}", "\"tags\":{\"t\":\"v\",\"t\":\"w\"}", "twice"},
        {"\"time_ns\":1", "\"time_ns\":1.5", "time_ns is not in nanoseconds"},
        {"\"n\":1", "\"n\":-1", "n is not a whole number"},
        {"\"n\":1", "\"n\":1,\"n\":1", "n is there twice"},
        {"\"min\":1", "\"min\":null", "min is not a number"},
        {"\"min\":1", "\"min\":1e999", "min is not a number"},
        {"\"last\":1", "\"last\":true", "min is not true or false"},
        {"\"last\":1", "\"last\":\"x\"", "first is no string"},
        {"\"sum\":1", "\"sum\":\"1\"", "sum is not a number"},
    };
    struct wr_buf texts;
    wr_buf_init(&texts, 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char json[512];
        char key[WR_SERIES_KEY_BYTES];
        struct wr_aggregate aggregate;
        const char *at = strstr(RECORD, changes[i][0]);
        assert_non_null(at);
        const int len = snprintf(json, sizeof json, "%.*s%s%s", (int)(at - RECORD), RECORD, changes[i][1], at + strlen(changes[i][0]));
        assert_int_not_equal(read_json(json, (size_t)len, &texts, key, &aggregate), WR_OK);
        if (!strstr(err.text, changes[i][2]))
            fail_msg("'%s' does not say '%s'", err.text, changes[i][2]);
    }
    wr_buf_fini(&texts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_and_envelopes),
        cmocka_unit_test(test_ledger_records),
        cmocka_unit_test(test_time_quality),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_topics_that_are_none),
        cmocka_unit_test(test_keys_that_contradict_each_other),
        cmocka_unit_test(test_payloads_of_others),
        cmocka_unit_test(test_a_damaged_segment),
        cmocka_unit_test(test_texts_of_a_segment_are_checked),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_aggregates_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
