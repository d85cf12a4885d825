/* What a publish carries, byte for byte: line protocol, SenML, and the CBOR writer against the examples of RFC 8949. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/series.h"
#include "tests/support/failing.h"
#include "transport/payload.h"
#include "transport/statistics.h"

#define WORD(text) ((struct wr_word){(text), sizeof(text) - 1})

static char room_key[WR_SERIES_KEY_BYTES], door_key[WR_SERIES_KEY_BYTES], odd_key[WR_SERIES_KEY_BYTES];
static size_t room_len, door_len, odd_len;

static const struct wr_segment segment = {.epoch = 0xC0FFEE, .seq = 17, .lane = WR_LANE_WINDOWS, .kind = WR_SEGMENT_AGGREGATES, .n = 3};
static struct wr_place place;

static struct wr_aggregate room(void) {
    struct wr_sum sum = {.scaled = wr_i128_of(1290), .decimals = 1, .exact = true};
    return (struct wr_aggregate){.key = room_key,
                                 .key_len = (uint16_t)room_len,
                                 .type = WR_TYPE_FLOAT,
                                 .decimals = 1,
                                 .start_ns = INT64_C(1700000040) * WR_NS_PER_S,
                                 .window_ns = 60 * WR_NS_PER_S,
                                 .n = 6,
                                 .bad = 1,
                                 .sum = sum,
                                 .min = {.f = 21},
                                 .max = {.f = 22.25},
                                 .first = {.f = 21},
                                 .last = {.f = 21.5}};
}

static struct wr_aggregate door(void) {
    return (struct wr_aggregate){.key = door_key,
                                 .key_len = (uint16_t)door_len,
                                 .type = WR_TYPE_BOOL,
                                 .start_ns = INT64_C(1700000040500000000),
                                 .window_ns = 60 * WR_NS_PER_S,
                                 .n = 4,
                                 .sum = {.scaled = wr_i128_of(3), .exact = true},
                                 .min = {.u = 0},
                                 .max = {.u = 1},
                                 .first = {.u = 1},
                                 .last = {.u = 0}};
}

static struct wr_aggregate odd(void) {
    return (struct wr_aggregate){.key = odd_key,
                                 .key_len = (uint16_t)odd_len,
                                 .type = WR_TYPE_SYMBOL,
                                 .start_ns = 1 * WR_NS_PER_S,
                                 .window_ns = 60 * WR_NS_PER_S,
                                 .n = 2,
                                 .first_text = "say \"a\\b\"",
                                 .last_text = "\xC3\xA9\xFF"};
}

static enum wr_result encode(enum wr_payload_format format, struct wr_buf *into, uint32_t announced, struct wr_error *err) {
    struct wr_segment of = segment;
    const struct wr_aggregate aggregates[] = {room(), door(), odd()};
    struct wr_payload payload;
    of.n = announced;
    wr_payload_begin(&payload, format, into, &place, &of);
    for (size_t i = 0; i < 3; i++)
        wr_payload_aggregate(&payload, &aggregates[i]);
    return wr_payload_end(&payload, err);
}

static void is_encoded(enum wr_payload_format format, const char *expected) {
    struct wr_buf into;
    wr_buf_init(&into, 0);
    assert_int_equal(encode(format, &into, 3, NULL), WR_OK);
    assert_string_equal(wr_buf_str(&into), expected);
    wr_buf_fini(&into);
}

static void line_protocol(void **state) {
    (void)state;
    is_encoded(WR_PAYLOAD_INFLUX,
               "room_temp,node=gw-7,room=A1,site=riga,window=1m n=6i,mean=21.5,min=21,max=22.25,sum=129,first=21,last=21.5,bad=1i "
               "1700000040000000000\n"
               "door,node=gw-7,site=riga,weir_window=1m,window=left open_n=4i,open_mean=0.75,open_min=false,open_max=true,open_sum=3i,"
               "open_first=true,open_last=false,open_bad=0i 1700000040500000000\n"
               "\\#a\\,b,node=gw-7,site=riga,t\\=1=x\\ y,window=1m s_n=2i,s_first=\"say \\\"a\\\\b\\\"\",s_last=\"\xC3\xA9\xEF\xBF\xBD\","
               "s_bad=0i 1000000000\n");
}

/* Late readings, the part before a restart, and a second source must not write over their sibling: and the same segment gives the same again. */
static void seconds_are_moved(void **state) {
    (void)state;
    int64_t times[2][4];
    for (int run = 0; run < 2; run++) {
        struct wr_encode_influx encode_influx;
        struct wr_buf into;
        struct wr_segment of = segment;
        struct wr_aggregate late = room(), partial = room();
        const struct wr_aggregate first = room();
        late.flags = WR_AGGREGATE_LATE;
        partial.flags = WR_AGGREGATE_PARTIAL;
        const struct wr_aggregate *order[] = {&first, &first, &late, &partial};
        of.n = 4;
        of.seq += run;
        wr_buf_init(&into, 0);
        wr_encode_influx_begin(&encode_influx, &into, "riga", "gw-7", &of);
        for (int i = 0; i < 4; i++)
            wr_encode_influx_aggregate(&encode_influx, order[i]);
        assert_int_equal(wr_encode_influx_end(&encode_influx, NULL), WR_OK);
        char *line = (char *)into.data;
        for (int i = 0; i < 4; i++, line = strchr(line, '\n') + 1)
            times[run][i] = atoll(strstr(line, "bad=1i ") + 7) - first.start_ns;
        wr_buf_fini(&into);
    }
    for (int run = 0; run < 2; run++) {
        assert_int_equal(times[run][0], 0);
        for (int i = 1; i < 4; i++)
            assert_true(times[run][i] > 0 && times[run][i] < WR_NS_PER_MS);
        assert_true(times[run][1] != times[run][2] && times[run][2] != times[run][3]);
    }
    assert_true(times[0][2] != times[1][2]); /* another segment, another place */
}

static void senml_json(void **state) {
    (void)state;
    is_encoded(WR_PAYLOAD_SENML_JSON,
               "[{\"bn\":\"weir:gw-7/room_temp/value/room/A1/\",\"bt\":1700000040,\"n\":\"n\",\"u\":\"count\",\"v\":6},"
               "{\"n\":\"mean\",\"v\":21.5},{\"n\":\"min\",\"v\":21},{\"n\":\"max\",\"v\":22.25},{\"n\":\"sum\",\"v\":129},"
               "{\"n\":\"first\",\"v\":21},{\"n\":\"last\",\"v\":21.5},{\"n\":\"bad\",\"u\":\"count\",\"v\":1},"
               "{\"n\":\"window\",\"u\":\"s\",\"v\":60},"
               "{\"bn\":\"weir:gw-7/door/open/window/left/\",\"bt\":1700000040.5,\"n\":\"n\",\"u\":\"count\",\"v\":4},"
               "{\"n\":\"mean\",\"v\":0.75},{\"n\":\"min\",\"vb\":false},{\"n\":\"max\",\"vb\":true},{\"n\":\"sum\",\"v\":3},"
               "{\"n\":\"first\",\"vb\":true},{\"n\":\"last\",\"vb\":false},{\"n\":\"bad\",\"u\":\"count\",\"v\":0},"
               "{\"n\":\"window\",\"u\":\"s\",\"v\":60},"
               "{\"bn\":\"weir:gw-7/:23a:2Cb/s/t:3D1/x:20y/\",\"bt\":0,\"n\":\"n\",\"u\":\"count\",\"v\":2},"
               "{\"n\":\"first\",\"vs\":\"say \\\"a\\\\b\\\"\"},{\"n\":\"last\",\"vs\":\"\xC3\xA9\xEF\xBF\xBD\"},"
               "{\"n\":\"bad\",\"u\":\"count\",\"v\":0},{\"n\":\"window\",\"u\":\"s\",\"v\":60}]");
}

static void senml_cbor(void **state) {
    (void)state;
    struct wr_buf into;
    wr_buf_init(&into, 0);
    assert_int_equal(encode(WR_PAYLOAD_SENML_CBOR, &into, 3, NULL), WR_OK);
    static const uint8_t begin[] = "\x99\x00\x17"     /* 23 records */
                                   "\xA5\x21\x78\x22" /* a map of 5: bn, a text of 34 bytes */
                                   "weir:gw-7/room_temp/value/room/A1/"
                                   "\x22\x1A\x65\x53\xF1\x28" /* bt 1700000040 */
                                   "\x00\x61n\x01\x65"
                                   "count\x02\x06"                             /* n, u, v 6 */
                                   "\xA2\x00\x64mean\x02\xFA\x41\xAC\x00\x00"; /* 21.5 in 4 bytes */
    assert_true(into.len > sizeof begin - 1);
    assert_memory_equal(into.data, begin, sizeof begin - 1);
    wr_buf_fini(&into);
}

static void errors_are_told(void **state) {
    (void)state;
    for (int format = WR_PAYLOAD_JSON; format < WR_PAYLOAD_FORMATS; format++) {
        struct wr_buf into;
        struct wr_error err = {0};
        wr_buf_init(&into, 0);
        assert_int_equal(encode((enum wr_payload_format)format, &into, 4, &err), WR_INVALID);
        assert_non_null(strstr(err.text, "announces 4 records and holds 3"));
        wr_buf_fini(&into);
        wr_buf_init(&into, 300);
        assert_int_equal(encode((enum wr_payload_format)format, &into, 3, &err), WR_LIMIT);
        wr_buf_fini(&into);
        for (long n = 0;; n++) { /* every allocation fails once */
            wr_buf_init(&into, 0);
            wr_failing_allocations(n);
            enum wr_result result = encode((enum wr_payload_format)format, &into, 3, &err);
            bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
            wr_buf_fini(&into);
            if (!hit)
                break;
        }
    }
}

/* A line stands whole or not at all. */
static void a_line_is_never_cut(void **state) {
    (void)state;
    const struct wr_aggregate aggregate = room();
    struct wr_buf whole, into;
    wr_buf_init(&whole, 0);
    assert_int_equal(wr_encode_influx_line(&whole, "-", "gw-7", &aggregate, WR_TIME_TRUSTED, 0), WR_OK);
    assert_null(strstr(wr_buf_str(&whole), "site="));
    for (size_t max = 1; max < whole.len; max++) {
        wr_buf_init(&into, max);
        assert_int_equal(wr_encode_influx_line(&into, "-", "gw-7", &aggregate, WR_TIME_TRUSTED, 0), WR_LIMIT);
        assert_int_equal(into.len, 0);
        assert_string_equal(wr_buf_str(&into), "");
        wr_buf_fini(&into);
    }
    wr_buf_fini(&whole);
}

static void statistics_that_do_not_fit_are_left_out(void **state) {
    (void)state;
    struct wr_statistic list[WR_STATISTICS_MAX];
    struct wr_aggregate aggregate = room();
    aggregate.n = 0;
    assert_int_equal(wr_statistics_of(&aggregate, list), 2); /* n and bad */
    aggregate = room();
    aggregate.min.f = NAN;
    aggregate.max.f = -INFINITY;
    assert_int_equal(wr_statistics_of(&aggregate, list), WR_STATISTICS_MAX - 2);
    aggregate = door();
    aggregate.type = WR_TYPE_INT;
    aggregate.sum.scaled = wr_i128_of_u64((uint64_t)INT64_MAX + 1);
    assert_int_equal(wr_statistics_of(&aggregate, list), WR_STATISTICS_MAX - 1);
    aggregate.type = WR_TYPE_UINT;
    assert_int_equal(wr_statistics_of(&aggregate, list), WR_STATISTICS_MAX);
    assert_string_equal(list[4].name, "sum");
    assert_int_equal(list[4].type, WR_TYPE_UINT);
    assert_int_equal(list[4].value.u, (uint64_t)INT64_MAX + 1);
}

static void formats_have_names(void **state) {
    (void)state;
    assert_string_equal(wr_payload_name(WR_PAYLOAD_SENML_CBOR), "senml+cbor");
    assert_string_equal(wr_payload_content_type(WR_PAYLOAD_SENML_JSON), "application/senml+json");
    struct wr_segment of = {.lane = WR_LANE_WINDOWS, .kind = WR_SEGMENT_AGGREGATES};
    assert_int_equal(wr_payload_of(WR_PAYLOAD_INFLUX, &of), WR_PAYLOAD_INFLUX);
    of.lane = WR_LANE_CHANGES;
    assert_int_equal(wr_payload_of(WR_PAYLOAD_INFLUX, &of), WR_PAYLOAD_JSON);
    of = (struct wr_segment){.lane = WR_LANE_ALARMS, .kind = WR_SEGMENT_GAPS};
    assert_int_equal(wr_payload_of(WR_PAYLOAD_SEGMENT, &of), WR_PAYLOAD_JSON);
    for (int format = 0; format < WR_PAYLOAD_FORMATS; format++)
        assert_true(wr_payload_record_bytes((enum wr_payload_format)format, 100) > 0);
}

/* ---- CBOR ---- */

static void cbor_is(struct wr_cbor *cbor, const char *expected, size_t len) {
    assert_int_equal(wr_cbor_end(cbor), WR_OK);
    assert_int_equal(cbor->into->len, len);
    assert_memory_equal(cbor->into->data, expected, len);
    wr_buf_clear(cbor->into);
}
#define CBOR_IS(cbor, expected) cbor_is((cbor), (expected), sizeof(expected) - 1)

static void cbor_writes_the_examples_of_its_standard(void **state) {
    (void)state;
    struct wr_buf into;
    struct wr_cbor cbor;
    wr_buf_init(&into, 0);
    wr_cbor_begin(&cbor, &into);
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t len;
    } numbers[] = {{0, "\x00", 1},
                   {23, "\x17", 1},
                   {24, "\x18\x18", 2},
                   {100, "\x18\x64", 2},
                   {1000, "\x19\x03\xE8", 3},
                   {1000000, "\x1A\x00\x0F\x42\x40", 5},
                   {1000000000000, "\x1B\x00\x00\x00\xE8\xD4\xA5\x10\x00", 9},
                   {UINT64_MAX, "\x1B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 9}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        wr_cbor_uint(&cbor, numbers[i].value);
        cbor_is(&cbor, numbers[i].bytes, numbers[i].len);
    }
    wr_cbor_int(&cbor, -1);
    CBOR_IS(&cbor, "\x20");
    wr_cbor_int(&cbor, -1000);
    CBOR_IS(&cbor, "\x39\x03\xE7");
    wr_cbor_int(&cbor, INT64_MIN);
    CBOR_IS(&cbor, "\x3B\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    wr_cbor_double(&cbor, 1.1);
    CBOR_IS(&cbor, "\xFB\x3F\xF1\x99\x99\x99\x99\x99\x9A");
    wr_cbor_double(&cbor, 100000.0);
    CBOR_IS(&cbor, "\xFA\x47\xC3\x50\x00");
    wr_cbor_double(&cbor, -1e300);
    CBOR_IS(&cbor, "\xFB\xFE\x37\xE4\x3C\x88\x00\x75\x9C");
    wr_cbor_bool(&cbor, false);
    wr_cbor_bool(&cbor, true);
    CBOR_IS(&cbor, "\xF4\xF5");
    wr_cbor_text(&cbor, "", 0);
    wr_cbor_text(&cbor, "IETF", 4);
    wr_cbor_text(&cbor, "\xC3\xBC\xFF", 3);
    CBOR_IS(&cbor, "\x60\x64IETF\x65\xC3\xBC\xEF\xBF\xBD");
    wr_cbor_array(&cbor);
    wr_cbor_map(&cbor, 1);
    wr_cbor_int(&cbor, 1);
    wr_cbor_int(&cbor, 2);
    wr_cbor_array_end(&cbor, 1);
    CBOR_IS(&cbor, "\x99\x00\x01\xA1\x01\x02");
    wr_cbor_array(&cbor);
    wr_cbor_array_end(&cbor, 65536);
    assert_int_equal(wr_cbor_end(&cbor), WR_LIMIT);
    wr_buf_fini(&into);
}

static int start(void **state) {
    (void)state;
    struct wr_tag tag = {WORD("room"), WORD("A1")};
    assert_int_equal(wr_series_key_make(WORD("room_temp"), WORD("value"), &tag, 1, room_key, &room_len, NULL), WR_OK);
    tag = (struct wr_tag){WORD("window"), WORD("left")};
    assert_int_equal(wr_series_key_make(WORD("door"), WORD("open"), &tag, 1, door_key, &door_len, NULL), WR_OK);
    tag = (struct wr_tag){WORD("t=1"), WORD("x y")};
    assert_int_equal(wr_series_key_make(WORD("#a,b"), WORD("s"), &tag, 1, odd_key, &odd_len, NULL), WR_OK);
    return wr_place_init(&place, "weir/1", "riga", "gw-7", NULL) == WR_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_protocol),
        cmocka_unit_test(seconds_are_moved),
        cmocka_unit_test(senml_json),
        cmocka_unit_test(senml_cbor),
        cmocka_unit_test(errors_are_told),
        cmocka_unit_test(a_line_is_never_cut),
        cmocka_unit_test(statistics_that_do_not_fit_are_left_out),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(cbor_writes_the_examples_of_its_standard),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
