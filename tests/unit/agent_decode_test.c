/* `weir decode`: its words, its output byte for byte, its errors and exit codes, segments, and long input in constant memory. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/commands/commands.h"
#include "agent/commands/decode.h"
#include "core/buf.h"
#include "core/series.h"
#include "store/codec.h"
#include "tests/support/failing.h"

static char output[1 << 20];
static char errors[1 << 16];

static void read_back(FILE *file, char *into, size_t size) {
    rewind(file);
    const size_t n = fread(into, 1, size - 1, file);
    into[n] = '\0';
    fclose(file);
}

/* Runs it with these words (the last one NULL) on this input. Returns the exit code. */
static int decode(const void *input, size_t len, char **words) {
    FILE *in = tmpfile();
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_true(in && out && err);
    assert_int_equal(fwrite(input, 1, len, in), len);
    rewind(in);
    fflush(stdout);
    fflush(stderr);
    const int saved[3] = {dup(0), dup(1), dup(2)};
    dup2(fileno(in), 0);
    dup2(fileno(out), 1);
    dup2(fileno(err), 2);
    int argc = 0;
    while (words[argc])
        argc++;
    const int code = wr_command_decode(argc, words);
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    fclose(in);
    read_back(out, output, sizeof output);
    read_back(err, errors, sizeof errors);
    return code;
}

#define WORDS(...) ((char *[]){(char *)"decode", __VA_ARGS__, NULL})
#define W(text) ((char *)(uintptr_t)(text))
#define TEXT(text) (text), strlen(text)

static void line_protocol(void **state) {
    (void)state;
    assert_int_equal(
        decode(TEXT("cpu,host=b,dc=a usage=1.5,n=3i 17\ncpu on=t\n"), WORDS(W("--format"), W("influx"), W("--default-time"), W("99"))),
        WR_EXIT_OK);
    assert_string_equal(
        output,
        "{\"measurement\":\"cpu\",\"field\":\"usage\",\"tags\":{\"dc\":\"a\",\"host\":\"b\"},\"time_ns\":17,\"value\":1.5,\"type\":"
        "\"float\","
        "\"quality\":\"good\"}\n"
        "{\"measurement\":\"cpu\",\"field\":\"n\",\"tags\":{\"dc\":\"a\",\"host\":\"b\"},\"time_ns\":17,\"value\":3,\"type\":\"int\","
        "\"quality\":\"good\"}\n"
        "{\"measurement\":\"cpu\",\"field\":\"on\",\"tags\":{},\"time_ns\":99,\"value\":true,\"type\":\"bool\",\"quality\":\"good\"}\n");
    assert_string_equal(errors, "");
}

static void malformed_records_go_to_stderr(void **state) {
    (void)state;
    assert_int_equal(decode(TEXT("m v=1 1\nm v=x 1\nm,a=1,a=2 v=1 1\nm v=2 2\n"), WORDS(W("--format=influx"))), WR_EXIT_FOUND);
    assert_string_equal(errors, "influx:2:5: not a value (text needs quotes) at 'x 1'\ninflux:3:7: tag twice at 'a=2'\n");
    assert_non_null(strstr(output, "\"value\":1,"));
    assert_non_null(strstr(output, "\"value\":2,"));
}

static void precision(void **state) {
    (void)state;
    assert_int_equal(decode(TEXT("m v=1 17\n"), WORDS(W("--format"), W("influx"), W("--precision"), W("ms"))), WR_EXIT_OK);
    assert_non_null(strstr(output, "\"time_ns\":17000000,"));
    assert_int_equal(decode(TEXT("t,v\n17,1\n"), WORDS(W("--format"), W("csv"), W("--precision"), W("s"))), WR_EXIT_OK);
    assert_non_null(strstr(output, "\"time_ns\":17000000000,"));
}

static void csv_with_options(void **state) {
    (void)state;
    assert_int_equal(
        decode(TEXT("room,t,v,x\nA1,01.02.2026 12:00,5,9\n"),
               WORDS(W("--format"), W("csv"), W("--csv"),
                     W("time_column=t, time_format=\"%d.%m.%Y %H:%M\", tz=UTC, measurement=air, tags=site=riga, room, skip_columns=x"))),
        WR_EXIT_OK);
    assert_string_equal(
        output,
        "{\"measurement\":\"air\",\"field\":\"v\",\"tags\":{\"room\":\"A1\",\"site\":\"riga\"},\"time_ns\":1769947200000000000,\"value\":5,"
        "\"type\":\"float\",\"quality\":\"good\"}\n");
    assert_int_equal(decode(TEXT("t,v\n1970-01-01,5\n"), WORDS(W("--format"), W("csv"), W("--csv"), W("time_column=nope"))),
                     WR_EXIT_CANNOT);
    assert_non_null(strstr(errors, "csv:1:1: the header has no such column: 'nope'\n"));
}

static void json_passes_through_unchanged(void **state) {
    (void)state;
    static const char text[] = "{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{\"a\":\"1\"},\"time_ns\":5,\"value\":9007199254740993,"
                               "\"type\":\"int\",\"quality\":\"uncertain\"}\n";
    assert_int_equal(decode(TEXT(text), WORDS(W("--format"), W("json"), W("-"))), WR_EXIT_OK);
    assert_string_equal(output, text);
    assert_int_equal(decode(TEXT("{\"measurement\":\"m\",\"value\":1}\n{oops\n"), WORDS(W("--format"), W("json"), W("--default-time=7"))),
                     WR_EXIT_FOUND);
    assert_string_equal(
        output,
        "{\"measurement\":\"m\",\"field\":\"value\",\"tags\":{},\"time_ns\":7,\"value\":1,\"type\":\"float\",\"quality\":\"good\"}\n");
    assert_string_equal(errors, "json:2:2: expected a name in quotes at 'oops'\n");
}

static void json_with_a_mapping(void **state) {
    (void)state;
    assert_int_equal(
        decode(
            TEXT("{\"d\":{\"t\":17,\"v\":1.50,\"n\":3,\"x\":9},\"room\":\"A1\"}\n{\"d\":{\"v\":\"x\"}}\n"),
            WORDS(W("--format"), W("json"), W("--json"),
                  W("time=d.t, time_format=s, measurement=air, tags=room, r=room, fields=v=d.v:float, d.n:int, constant_tags=site=riga"))),
        WR_EXIT_FOUND);
    assert_string_equal(
        output,
        "{\"measurement\":\"air\",\"field\":\"v\",\"tags\":{\"r\":\"A1\",\"room\":\"A1\",\"site\":\"riga\"},\"time_ns\":17000000000,"
        "\"value\":1.5,\"type\":\"float\",\"quality\":\"good\"}\n"
        "{\"measurement\":\"air\",\"field\":\"d_n\",\"tags\":{\"r\":\"A1\",\"room\":\"A1\",\"site\":\"riga\"},\"time_ns\":17000000000,"
        "\"value\":3,\"type\":\"int\",\"quality\":\"good\"}\n");
    assert_string_equal(errors, "json:2:12: not a number at 'x\"}}'\n");
    assert_int_equal(decode(TEXT("{\"t\":17,\"v\":1}"), WORDS(W("--format"), W("json"), W("--json=time=t"), W("--precision"), W("ms"))),
                     WR_EXIT_OK);
    assert_string_equal(output, "{\"measurement\":\"json\",\"field\":\"v\",\"tags\":{},\"time_ns\":17000000,\"value\":1,\"type\":\"float\","
                                "\"quality\":\"good\"}\n");
    assert_int_equal(decode(TEXT("{}"), WORDS(W("--format"), W("json"), W("--json"), W("field=v"))), WR_EXIT_CANNOT);
    assert_non_null(strstr(errors, "--json: 'field=v' is none of records=, time=, time_format=,"));
    assert_int_equal(decode(TEXT("{}"), WORDS(W("--format"), W("json"), W("--json"), W("fields=a..b"))), WR_EXIT_CANNOT);
    assert_non_null(strstr(errors, "a name is empty"));
}

static void words_that_are_wrong(void **state) {
    (void)state;
    static char *const wrong[][5] = {
        {(char *)"decode", NULL},
        {(char *)"decode", (char *)"--format", NULL},
        {(char *)"decode", (char *)"--format", (char *)"xml", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"--default-time", (char *)"soon", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"--precision", (char *)"h", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"--csv", (char *)"column=t", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"--wat", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"a", (char *)"b", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"/no/such/file", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"--csv", (char *)"time_format=%Q", NULL},
        {(char *)"decode", (char *)"--format=csv", (char *)"--csv", (char *)"tz=Nowhere", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *words[5];
        memcpy(words, wrong[i], sizeof words);
        assert_int_equal(decode("", 0, words), WR_EXIT_CANNOT);
        assert_string_equal(output, "");
        assert_true(strlen(errors) > 10);
    }
}

static void nothing_in_gives_nothing_out(void **state) {
    (void)state;
    static const char *const formats[] = {"influx", "csv", "json", "weir"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(decode("", 0, WORDS(W("--format"), W(formats[i]))), WR_EXIT_OK);
        assert_string_equal(output, "");
        assert_string_equal(errors, "");
    }
}

static void a_line_that_is_too_long_is_one_error(void **state) {
    (void)state;
    const size_t len = (3 << 20) + 20;
    char *text = malloc(len);
    assert_non_null(text);
    static const char *const formats[] = {"influx", "csv"};
    for (size_t i = 0; i < 2; i++) {
        memset(text, 'x', len);
        memcpy(text, i == 0 ? "m v=1 1\nm " : "t,v\n1970-01-01,1\n", i == 0 ? 10 : 17);
        memcpy(text + len - 18, i == 0 ? "\nm v=2 1234567890\n" : "\n1970-01-01,2    \n", 18);
        assert_int_equal(decode(text, len, WORDS(W("--format"), W(formats[i]))), WR_EXIT_FOUND);
        assert_non_null(strstr(errors, i == 0 ? "influx:2:1: record too long\n" : "csv:3:1: record too long\n"));
        assert_non_null(strstr(output, "\"value\":1,"));
        assert_non_null(strstr(output, "\"value\":2,"));
    }
    free(text);
}

/* -- segments ---------------------------------------------------------------------------------------------------------------------- */

static size_t append_aggregates(struct wr_buf *file, int64_t seq) {
    struct wr_encoder *encoder;
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    char key[WR_SERIES_KEY_BYTES];
    size_t key_len;
    struct wr_tag tag = {{"room", 4}, {"A1", 2}};
    assert_int_equal(wr_series_key_make((struct wr_word){"temp", 4}, (struct wr_word){"value", 5}, &tag, 1, key, &key_len, NULL), WR_OK);
    struct wr_aggregate aggregate = {.key = key,
                                     .key_len = (uint16_t)key_len,
                                     .type = WR_TYPE_FLOAT,
                                     .decimals = 1,
                                     .start_ns = 60 * WR_NS_PER_S,
                                     .window_ns = 60 * WR_NS_PER_S,
                                     .sum = wr_sum_zero()};
    static const double values[] = {20.5, 21.5, 19.5};
    for (int i = 0; i < 3; i++) {
        const union wr_value value = {.f = values[i]};
        wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, value, 1);
        aggregate.n++;
    }
    aggregate.min.f = 19.5;
    aggregate.max.f = 21.5;
    aggregate.first.f = 20.5;
    aggregate.last.f = 19.5;
    aggregate.bad = 1;
    struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS, .epoch = 1, .seq = seq};
    const uint8_t *body;
    size_t len;
    assert_int_equal(wr_encode_aggregates(encoder, &header, &aggregate, 1, NULL, &body, &len), WR_OK);
    assert_int_equal(wr_buf_append(file, body, len), WR_OK);
    wr_encoder_free(encoder);
    return len;
}

static void append_alarm(struct wr_buf *file) {
    struct wr_encoder *encoder;
    struct wr_buf packed;
    wr_buf_init(&packed, 0);
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_encode_pack_text(&packed, "{\"rule\":\"hot\"}", 14), WR_OK);
    struct wr_codec_header header = {.kind = WR_SEGMENT_ALARMS, .lane = WR_LANE_ALARMS, .epoch = 1, .seq = 9};
    const uint8_t *body;
    size_t len;
    assert_int_equal(wr_encode_texts(encoder, &header, packed.data, packed.len, 1, &body, &len), WR_OK);
    assert_int_equal(wr_buf_append(file, body, len), WR_OK);
    wr_buf_fini(&packed);
    wr_encoder_free(encoder);
}

#define AGGREGATE                                                                                                                          \
    "{\"measurement\":\"temp\",\"field\":\"value\",\"tags\":{\"room\":\"A1\"},\"time_ns\":60000000000,\"window_ns\":60000000000,\"n\":3,"  \
    "\"sum\":61.5,\"min\":19.5,\"max\":21.5,\"first\":20.5,\"last\":19.5,\"bad\":1}\n"

static void segments(void **state) {
    (void)state;
    struct wr_buf file;
    wr_buf_init(&file, 0);
    append_aggregates(&file, 1);
    append_alarm(&file);
    append_aggregates(&file, 2);
    assert_int_equal(decode(file.data, file.len, WORDS(W("--format"), W("weir"))), WR_EXIT_OK);
    assert_string_equal(output, AGGREGATE "{\"rule\":\"hot\"}\n" AGGREGATE);
    wr_buf_fini(&file);
}

static void damaged_segments_leave_the_good_ones(void **state) {
    (void)state;
    struct wr_buf file;
    wr_buf_init(&file, 0);
    assert_int_equal(wr_buf_text(&file, "junk before"), WR_OK);
    const size_t len = append_aggregates(&file, 1);
    append_aggregates(&file, 2);
    append_aggregates(&file, 3);
    file.data[11 + len + len / 2 + 40] ^= 1; /* inside of the second */
    assert_int_equal(decode(file.data, file.len - 3, WORDS(W("--format"), W("weir"))), WR_EXIT_FOUND);
    assert_string_equal(output, AGGREGATE);
    assert_non_null(strstr(errors, "weir:1:1: not a segment\n"));
    assert_non_null(strstr(errors, "weir:3:1: segment 2: CRC"));
    assert_non_null(strstr(errors, "weir:4:1: cut off inside a segment\n"));
    wr_buf_fini(&file);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char text[] = "{\"measurement\":\"m\",\"value\":\"a\\n\"}\n";
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const int code = decode(text, sizeof text - 1, WORDS(W("--format"), W("json"), W("--csv"), W("tags=a=1")));
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (!hit) {
            assert_int_equal(code, WR_EXIT_OK);
            break;
        }
        assert_int_not_equal(code, WR_EXIT_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_protocol),
        cmocka_unit_test(malformed_records_go_to_stderr),
        cmocka_unit_test(precision),
        cmocka_unit_test(csv_with_options),
        cmocka_unit_test(json_passes_through_unchanged),
        cmocka_unit_test(json_with_a_mapping),
        cmocka_unit_test(words_that_are_wrong),
        cmocka_unit_test(nothing_in_gives_nothing_out),
        cmocka_unit_test(a_line_that_is_too_long_is_one_error),
        cmocka_unit_test(segments),
        cmocka_unit_test(damaged_segments_leave_the_good_ones),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
