/* JSON by a mapping: what the members mean, values and their types, lists and envelopes; errors have a place; a record that looks like the one
 * before means what it would mean alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/json_map.h"
#include "tests/support/collect.h"
#include "tests/support/failing.h"

#define LIST(name, ...)                                                                                                                    \
    static char *name##_items[] = {__VA_ARGS__};                                                                                           \
    static const unsigned n_##name = sizeof name##_items / sizeof name##_items[0]
#define T(text) (char *)(text)

static struct wr_json_map map;
static struct wr_collect collect;

static int set_up(void **state) {
    (void)state;
    wr_collect_init(&collect);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_collect_fini(&collect);
    return 0;
}

static void begin(const struct wr_config_json *config) {
    struct wr_error err;
    if (wr_json_map_init(&map, config, "m", 65536, &err) != WR_OK)
        fail_msg("%s", err.text);
}

static const char *read_on(const char *text) {
    wr_collect_clear(&collect);
    wr_collect_feed(&collect, wr_codec_stream_feed_json_map, &map, text, strlen(text), SIZE_MAX, 0);
    return wr_buf_str(&collect.text);
}

static const char *read_all(const struct wr_config_json *config, const char *text) {
    begin(config);
    read_on(text);
    wr_json_map_fini(&map);
    return wr_buf_str(&collect.text);
}

#define R(measurement, field, tags, time, value, type, quality)                                                                            \
    "{\"measurement\":\"" measurement "\",\"field\":\"" field "\",\"tags\":{" tags "},\"time_ns\":" time ",\"value\":" value               \
    ",\"type\":\"" type "\",\"quality\":\"" quality "\"}\n"
#define F(field, value) R("m", field, "", "null", value, "float", "good")

/* -- meanings ------------------------------------------------------------------------------------------------------------------------ */

static void without_any_key_all_members_are_fields(void **state) {
    (void)state;
    const struct wr_config_json config = {0};
    assert_string_equal(
        read_all(&config,
                 "{\"t\":21.50,\"on\":true,\"s\":\"a\\tb\",\"none\":null,\"d\":{\"e\":{\"f\":-1}},\"l\":[1,{\"x\":2}],\"k\\u0065y\":0}"),
        F("t", "21.5") R("m", "on", "", "null", "true", "bool", "good") R("m", "s", "", "null", "\"a\\tb\"", "string", "good")
            F("d_e_f", "-1") F("l_0", "1") F("l_1_x", "2") F("key", "0"));
    assert_string_equal(wr_buf_str(&collect.decimals), "2--0000");
    assert_string_equal(read_all(&config, "[{\"a\":1},{\"a\":2}]\n[]\n{\"a\":3}{\"a\":4}"),
                        F("a", "1") F("a", "2") F("a", "3") F("a", "4"));
}

static void members_have_the_meaning_of_their_paths(void **state) {
    (void)state;
    LIST(tags, T("room=meta.room"), T("meta.floor"), T("serial"));
    LIST(constant, T("site=riga"));
    LIST(fields, T("temp=data.t"), T("data.h"), T("list.1.x"));
    const struct wr_config_json config = {.time = T("ts"),
                                          .time_format = T("ms"),
                                          .measurement = T("air"),
                                          .tags = tags_items,
                                          .n_tags = n_tags,
                                          .constant_tags = constant_items,
                                          .n_constant_tags = n_constant,
                                          .fields = fields_items,
                                          .n_fields = n_fields};
    assert_string_equal(
        read_all(
            &config,
            "{\"ts\":1700000000123,\"meta\":{\"room\":\"k\\u00fcche\",\"floor\":3,\"more\":[1]},\"serial\":\"\",\"data\":{\"t\":1,\"h\":2,"
            "\"x\":9},\"list\":[0,{\"x\":5}]}\n{\"data\":{\"h\":3},\"meta\":{\"room\":null,\"floor\":true}}"),
        R("air", "temp",
          "\"meta_floor\":\"3\",\"room\":\"k\xC3\xBC"
          "che\",\"site\":\"riga\"",
          "1700000000123000000", "1", "float", "good") R("air", "data_h",
                                                         "\"meta_floor\":\"3\",\"room\":\"k\xC3\xBC"
                                                         "che\",\"site\":\"riga\"",
                                                         "1700000000123000000", "2", "float", "good")
            R("air", "list_1_x",
              "\"meta_floor\":\"3\",\"room\":\"k\xC3\xBC"
              "che\",\"site\":\"riga\"",
              "1700000000123000000", "5", "float", "good")
                R("air", "data_h", "\"meta_floor\":\"true\",\"site\":\"riga\"", "null", "3", "float", "good"));
}

static void a_member_may_mean_two_things(void **state) {
    (void)state;
    LIST(tags, T("kind"), T("id=kind"));
    LIST(fields, T("v"), T("w=v:int"), T("kind"));
    const struct wr_config_json config = {
        .measurement_path = T("kind"), .tags = tags_items, .n_tags = n_tags, .fields = fields_items, .n_fields = n_fields};
    for (int round = 0; round < 2; round++)
        assert_string_equal(read_all(&config, "{\"kind\":\"a\",\"v\":2}"),
                            R("a", "kind", "\"id\":\"a\",\"kind\":\"a\"", "null", "\"a\"", "string", "good")
                                R("a", "w", "\"id\":\"a\",\"kind\":\"a\"", "null", "2", "int", "good")
                                    R("a", "v", "\"id\":\"a\",\"kind\":\"a\"", "null", "2", "float", "good"));
}

static void dots_in_names_are_escaped(void **state) {
    (void)state;
    LIST(fields, T("a\\.b.c"), T("d\\\\e"));
    const struct wr_config_json config = {.fields = fields_items, .n_fields = n_fields};
    assert_string_equal(read_all(&config, "{\"a.b\":{\"c\":1},\"d\\\\e\":2,\"a\":{\"b\":{\"c\":3}}}"), F("a.b_c", "1") F("d\\\\e", "2"));
}

static void records_are_taken_out_of_an_envelope(void **state) {
    (void)state;
    LIST(tags, T("dev=$.device.id"), T("n"));
    LIST(fields, T("value=v"));
    struct wr_config_json config = {.records = T("payload.readings"),
                                    .time = T("$.ts"),
                                    .measurement_path = T("n"),
                                    .quality = T("q"),
                                    .tags = tags_items,
                                    .n_tags = n_tags,
                                    .fields = fields_items,
                                    .n_fields = n_fields};
    /* What stands beside the records may come behind them. */
    assert_string_equal(
        read_all(
            &config,
            "{\"payload\":{\"readings\":[{\"n\":\"t\",\"v\":1},\n {\"v\":2,\"q\":\"Bad\",\"n\":\"h\"}, 5,\n{\"n\":\"x\"}]},"
            "\"device\":{\"id\":7},\"ts\":\"2024-01-01T00:00:00Z\"}\n"
            "{\"payload\":{\"readings\":{\"n\":\"t\",\"v\":3}}}\n{\"payload\":{}}\n[{\"payload\":{\"readings\":[{\"n\":\"u\",\"v\":4}]}}]\n"
            "{\"payload\":{\"readings\":[]},\"ts\":17}"),
        R("t", "value", "\"dev\":\"7\",\"n\":\"t\"", "1704067200000000000", "1", "float", "good")
            R("h", "value", "\"dev\":\"7\",\"n\":\"h\"", "1704067200000000000", "2", "float",
              "bad") "!2:29 rejected(syntax): not a record at '5,'\n"
                     "!3:1 rejected(syntax): record without any of its fields at '{\"n\":\"x\"}'\n" R("t", "value", "\"n\":\"t\"", "null",
                                                                                                      "3", "float", "good") //
        "!5:1 rejected(syntax): no records at their path at '{\"payload\":{}}'\n" R("u", "value", "\"n\":\"u\"", "null", "4", "float",
                                                                                    "good") //
        "!7:33 rejected(time): not an RFC 3339 time stamp (a number needs time_format: s, ms, us or ns) at '17}'\n");
}

/* -- values -------------------------------------------------------------------------------------------------------------------------- */

static void numbers_are_exact(void **state) {
    (void)state;
    const struct wr_config_json config = {0};
    assert_string_equal(
        read_all(&config, "{\"a\":9007199254740992,\"b\":9007199254740993,\"c\":-9223372036854775808,\"d\":9223372036854775809,\"e\":1e400,"
                          "\"f\":18446744073709551616,\"g\":0.1,\"h\":-0,\"i\":1.5e3,\"j\":21.299999999999997}"),
        F("a", "9007199254740992") R("m", "b", "", "null", "9007199254740993", "int", "good") F("c", "-9.223372036854776e+18")
            R("m", "d", "", "null", "9223372036854775809", "uint", "good") R("m", "e", "", "null", "null", "float", "bad")
                F("f", "1.8446744073709552e+19") F("g", "0.1") F("h", "-0") F("i", "1500") F("j", "21.299999999999997"));
    assert_string_equal(wr_buf_str(&collect.decimals), "------10--");
}

static void a_type_is_that_type_or_refused(void **state) {
    (void)state;
    LIST(fields, T("f:float"), T("i:int"), T("u:uint"), T("b:bool"), T("s:string"));
    const struct wr_config_json config = {.fields = fields_items, .n_fields = n_fields};
    assert_string_equal(
        read_all(&config, "{\"f\":\"2.50\",\"i\":\"-3\",\"u\":5.0,\"b\":1,\"s\":1.50}\n{\"f\":null,\"i\":null,\"b\":null,\"s\":null}\n"
                          "{\"b\":\"False\",\"s\":true}"),
        F("f", "2.5") R("m", "i", "", "null", "-3", "int", "good") R("m", "u", "", "null", "5", "uint", "good")
            R("m", "b", "", "null", "true", "bool", "good") R("m", "s", "", "null", "\"1.50\"", "string", "good")
                R("m", "f", "", "null", "null", "float", "bad") R("m", "i", "", "null", "0", "int", "bad")
                    R("m", "b", "", "null", "false", "bool", "bad") R("m", "s", "", "null", "\"\"", "string", "bad")
                        R("m", "b", "", "null", "false", "bool", "good") R("m", "s", "", "null", "\"true\"", "string", "good"));
    assert_string_equal(
        read_all(&config, "{\"f\":\"x\"}\n{\"f\":true}\n{\"i\":1.5}\n{\"i\":9223372036854775808}\n{\"u\":-1}\n{\"b\":2}\n{\"f\":{}}\n"),
        "!1:7 rejected(type): not a number at 'x\"}'\n!2:6 rejected(type): not a number at 'true}'\n"
        "!3:6 rejected(type): not an integer of 64 bits at '1.5}'\n"
        "!4:6 rejected(type): not an integer of 64 bits at '9223372036854775808}'\n"
        "!5:6 rejected(type): not an integer of 64 bits at '-1}'\n!6:6 rejected(type): not a bool (true, false, 1, 0) at '2}'\n"
        "!7:6 rejected(type): an object or list where the mapping has a value at '{}}'\n");
}

static void times_have_a_format(void **state) {
    (void)state;
    static const struct {
        const char *format;
        const char *text;
        const char *expected; /* NULL: refused */
    } cases[] = {
        {"s", "1700000000.001", "1700000000001000000"},
        {"s", "1700000000", "1700000000000000000"},
        {"s", "\"1700000000\"", "1700000000000000000"},
        {"s", "-1.5", "-1500000000"},
        {"s", "1700000000.0123456789", "1700000000012345678"},
        {"s", "17000000000000", NULL},
        {"s", "1.7e9", NULL},
        {"ms", "1700000000001.5", "1700000000001500000"},
        {"us", "1700000000001234", "1700000000001234000"},
        {"ns", "1700000000001234567", "1700000000001234567"},
        {"ns", "1.5", "1"},
        {"ns", "true", NULL},
        {NULL, "\"2023-11-14T22:13:20.5+02:00\"", "1699992800500000000"},
        {NULL, "1700000000", NULL},
        {"%Y/%m/%d %H:%M", "\"2023/11/14 22:13\"", "1699999980000000000"},
        {"%Y/%m/%d %H:%M", "\"2023/11/14\"", NULL},
        {"ns", "null", "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct wr_config_json config = {.time = T("t"), .time_format = T(cases[i].format)};
        char text[128];
        char expected[256] = "";
        snprintf(text, sizeof text, "{\"t\":%s,\"v\":1                    }", cases[i].text);
        if (cases[i].expected)
            snprintf(expected, sizeof expected, R("m", "v", "", "%s", "1", "float", "good"), cases[i].expected);
        begin(&config);
        for (int round = 0; round < 3; round++) { /* the second is like the first */
            read_on(text);
            if (cases[i].expected)
                assert_string_equal(wr_buf_str(&collect.text), expected);
            else
                assert_non_null(strstr(wr_buf_str(&collect.text), "!1:6 rejected(time): "));
        }
        wr_json_map_fini(&map);
    }
}

static void quality_is_of_the_whole_record(void **state) {
    (void)state;
    const struct wr_config_json config = {.quality = T("q")};
    assert_string_equal(
        read_all(
            &config,
            "{\"q\":\"UNCERTAIN\",\"a\":1,\"b\":1e999}\n{\"a\":1,\"q\":false}{\"q\":true,\"a\":1}{\"q\":null,\"a\":1}\n{\"q\":0,\"a\":1}"),
        R("m", "a", "", "null", "1", "float", "uncertain") R("m", "b", "", "null", "null", "float", "bad")
            R("m", "a", "", "null", "1", "float", "bad") F("a", "1")
                F("a", "1") "!3:6 rejected(syntax): not a quality (good, uncertain, bad, true, false) at '0,\"a\":1}'\n");
}

/* -- errors -------------------------------------------------------------------------------------------------------------------------- */

static void errors_have_a_place_and_the_rest_is_taken(void **state) {
    (void)state;
    LIST(tags, T("s"));
    LIST(fields, T("v"));
    const struct wr_config_json config = {
        .measurement_path = T("m"), .tags = tags_items, .n_tags = n_tags, .fields = fields_items, .n_fields = n_fields};
    assert_string_equal(
        read_all(
            &config,
            "{\"m\":\"a\",\"v\":1}\n{\"m\":\"a\",\"v\":01}\n{\"m\":\"a\",\"v\":1.}\n{\"m\":\"a\",\"v\":.5}\n{\"m\":\"a\",\"v\":1\n"
            "{\"m\":\"a\",\"v\":2}\n{\"m\":\"a\n{\"v\":1}\n{\"m\":\"\",\"v\":1}\n{\"m\":{},\"v\":1}\n{\"m\":\"a\",\"m\":\"b\",\"v\":1}\n"
            "{\"m\":\"a\",\"s\":[1],\"v\":3}\n{\"m\":\"\\ud800\",\"v\":1}\n{\"m\":\"a\",\"v\":\"\\ud800\"}\n7\n\"x\"\n[[{\"m\":\"a\",\"v\":"
            "1}]]\n"
            "{\"m\":\"a\",\"v\":+1}\n{\"m\":\"a\",\"v\":1e}\n{\"m\":\"a\",\"v\":4}"),
        R("a", "v", "", "null", "1", "float", "good") //
        "!2:14 rejected(syntax): not a number at '01}'\n!3:14 rejected(syntax): not a number at '1.}'\n"
        "!4:14 rejected(syntax): not a value at '.5}'\n!5:15 rejected(syntax): expected ',' or '}' at the end of the line\n" R(
            "a", "v", "", "null", "2", "float", "good") //
        "!7:8 rejected(syntax): control character in a string at the end of the line\n"
        "!8:1 rejected(syntax): record without a measurement at '{\"v\":1}'\n"
        "!9:1 rejected(syntax): record without a measurement at '{\"m\":\"\",\"v\":1}'\n"
        "!10:6 rejected(type): an object or list where the mapping has a value at '{},\"v\":1}'\n"
        "!11:14 rejected(syntax): the same member twice at '\"b\",\"v\":1}'\n"
        "!12:14 rejected(type): an object or list where the mapping has a value at '[1],\"v\":3}'\n"
        "!13:1 rejected(syntax): half of a surrogate pair in a tag\n!14:15 rejected(syntax): half of a surrogate pair at '\\ud800\"}'\n"
        "!15:1 rejected(syntax): not a record at '7'\n!16:1 rejected(syntax): not a record at '\"x\"'\n"
        "!17:2 rejected(syntax): not a record at '[{\"m\":\"a\",\"v\":1}]]'\n!18:14 rejected(syntax): not a value at '+1}'\n"
        "!19:14 rejected(syntax): not a number at '1e}'\n" R("a", "v", "", "null", "4", "float", "good"));
}

static void limits_refuse_one_value_each(void **state) {
    (void)state;
    const struct wr_config_json config = {0};
    static char text[200000];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"a\":1}\n{");
    for (int i = 0; i < 1025; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "\"%d\":1,", i);
    len += (size_t)snprintf(text + len, sizeof text - len, "\"z\":1}\n{\"");
    memset(text + len, 'k', 10000);
    len += 10000;
    len += (size_t)snprintf(text + len, sizeof text - len, "\":{\"a\":1,\"b\":2}}\n");
    memset(text + len, '[', 40);
    len += 40;
    len += (size_t)snprintf(text + len, sizeof text - len, "\n{\"x\":\"");
    memset(text + len, 'x', 70000);
    len += 70000;
    snprintf(text + len, sizeof text - len, "\"}\n{\"a\":2}\n");
    read_all(&config, text);
    const char *got = wr_buf_str(&collect.text);
    assert_int_equal(collect.readings, 2);
    assert_int_equal(collect.refusals, 4);
    assert_non_null(strstr(got, "rejected(too_long): more than 1024 fields"));
    assert_non_null(strstr(got, "!3:10010 rejected(too_long): the names of the fields are too long"));
    assert_non_null(strstr(got, "!4:33 rejected(syntax): nested deeper than 32 levels"));
    assert_non_null(strstr(got, "!5:1 rejected(too_long): longer than max_line"));
}

static void a_mapping_that_cannot_be_says_where(void **state) {
    (void)state;
    static char *many[300];
    char names[300][8];
    for (int i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        many[i] = names[i];
    }
    static char *constant[40];
    char pairs[40][8];
    for (int i = 0; i < 40; i++) {
        snprintf(pairs[i], sizeof pairs[i], "c%d=x", i);
        constant[i] = pairs[i];
    }
    LIST(same, T("a"), T("a=b"));
    LIST(empty, T("x"), T("a..b"));
    LIST(nameless, T("=x"));
    LIST(rooted, T("$.a"));
    LIST(no_value, T("a="));
    LIST(good, T("a=1"));
    const struct {
        struct wr_config_json config;
        const char *key;
        int index;
        const char *words;
    } cases[] = {
        {{.tags = same_items, .n_tags = n_same}, "tags", 1, "two tags are called 'a'"},
        {{.fields = same_items, .n_fields = n_same}, "fields", 1, "two fields are called 'a'"},
        {{.tags = same_items, .n_tags = 1, .constant_tags = good_items, .n_constant_tags = n_good}, "tags", 0, "two tags are called 'a'"},
        {{.fields = empty_items, .n_fields = n_empty}, "fields", 1, "'a..b' is no path: a name is empty"},
        {{.tags = nameless_items, .n_tags = n_nameless}, "tags", 0, "'=x': write a path, or name=path"},
        {{.fields = rooted_items, .n_fields = n_rooted}, "fields", 0, "fields are looked for in the records only"},
        {{.constant_tags = no_value_items, .n_constant_tags = n_no_value}, "constant_tags", 0, "a constant tag is name=value"},
        {{.tags = many, .n_tags = 33}, "tags", 32, "more than 32 tags"},
        {{.constant_tags = constant, .n_constant_tags = 40}, "constant_tags", 32, "more than 32 tags"},
        {{.tags = many, .n_tags = 1, .constant_tags = constant, .n_constant_tags = 32}, "tags", 0, "more than 32 tags"},
        {{.fields = many, .n_fields = 300}, "fields", -1, "more than 256 paths"},
        {{.time_format = T("s")}, "time_format", -1, "'time_format' needs 'time'"},
        {{.time = T("t"), .time_format = T("%Q")}, "time_format", -1, "unknown '%Q'"},
        {{.time = T("t"), .tz = T("Nowhere/Else")}, "tz", -1, "Nowhere/Else"},
        {{.time = T("")}, "time", -1, "is no path"},
        {{.records = T("a.")}, "records", -1, "is no path"},
        {{.measurement = T("")}, "measurement", -1, "the measurement has no name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wr_json_mapping mapping;
        const char *key;
        int index;
        struct wr_error err = {0};
        assert_int_not_equal(wr_json_mapping_init(&mapping, &cases[i].config, &key, &index, &err), WR_OK);
        if (!strstr(err.text, cases[i].words))
            fail_msg("%s: expected '%s'", err.text, cases[i].words);
        assert_string_equal(key, cases[i].key);
        assert_int_equal(index, cases[i].index);
    }
}

/* -- shapes, splits, memory ------------------------------------------------------------------------------------------------------------ */

/* A sink that forgets all shapes before each record, so that each goes the long way. */
static struct wr_sink inner;
static enum wr_result record_and_forget(void *user, const struct wr_record *record) {
    const enum wr_result result = inner.record(user, record);
    wr_json_shapes_init(&map.shapes);
    return result;
}

static void a_record_like_the_one_before_means_the_same(void **state) {
    (void)state;
    static const char *const values[] = {"1",
                                         "-1",
                                         "0",
                                         "-0",
                                         "0.5",
                                         "12345678901234.5",
                                         "123456789012345",
                                         "1234567890123456",
                                         "1e3",
                                         "1E-2",
                                         "1e999",
                                         "01",
                                         "1.",
                                         ".5",
                                         "-",
                                         "--1",
                                         "\"text\"",
                                         "\"0123456789abcde\"",
                                         "\"a longer text of more than sixteen bytes\"",
                                         "\"\\n\"",
                                         "\"\"",
                                         "null",
                                         "true",
                                         "false",
                                         "tru",
                                         "{}",
                                         "[]",
                                         "{\"x\":1}",
                                         "[1,2]",
                                         "1 ",
                                         " 1",
                                         "1\n",
                                         "\"\x01\"",
                                         "\"\\q\""};
    static const char *const forms[] = {"{\"t\":17%02d,\"s\":\"a\",\"v\":%s,\"w\":%s}", "{\"t\":17%02d,\"s\":%s,\"v\":%s,\"w\":1}",
                                        "{\"v\":%2$s,\"s\":\"b\",\"t\":17%1$02d,\"w\":%3$s}", "{ \"t\" : 17%02d ,\n \"v\": %s, \"s\":%s }",
                                        "{\"t\":17%02d,\"n\":[%s,{\"o\":%s}]}"};
    LIST(tags, T("s"));
    const struct wr_config_json config = {.time = T("t"), .time_format = T("s"), .tags = tags_items, .n_tags = n_tags};
    struct wr_buf text;
    wr_buf_init(&text, 0);
    uint32_t random = 1;
    for (int i = 0; i < 4000; i++) {
        const char *chosen[2];
        for (int k = 0; k < 2; k++) {
            random = random * 1664525 + 1013904223;
            const uint32_t dice = random >> 8;
            chosen[k] = values[dice % 3 ? dice / 3 % 8 : dice / 3 % (sizeof values / sizeof values[0])];
        }
        char line[256];
        random = random * 1664525 + 1013904223;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, forms[random >> 8 & 7 ? (random >> 12) % 2 : (random >> 12) % 5], i % 100, chosen[0], chosen[1]);
#pragma GCC diagnostic pop
        assert_int_equal(wr_buf_printf(&text, "%s\n", line), WR_OK);
    }
    read_all(&config, wr_buf_str(&text));
    char *quick = strdup(wr_buf_str(&collect.text));
    char *quick_decimals = strdup(wr_buf_str(&collect.decimals));
    assert_true(collect.readings > 1000 && collect.refusals > 100);
    inner = collect.sink;
    collect.sink.record = record_and_forget;
    read_all(&config, wr_buf_str(&text));
    collect.sink = inner;
    assert_string_equal(quick, wr_buf_str(&collect.text));
    assert_string_equal(quick_decimals, wr_buf_str(&collect.decimals));
    free(quick);
    free(quick_decimals);
    wr_buf_fini(&text);
}

static void no_split_changes_anything(void **state) {
    (void)state;
    static const char text[] = "{\"s\":\"a\",\"v\":-12.5e1}\n\n{\"s\":\"b\",\"v\":3.5}{\"s\":\"\\u00e9\",\"v\":0}\r\n{\"s\":\"a\",\"v\":"
                               "tru}\n[{\"s\":\"a\",\n\"v\":1},5,"
                               "{\"s\":{},\"v\":2},{\"s\":\"c\",\"v\":2}]\n{\"s\":\"a\",\"v\":\"x\n{\"s\":\"b\",\n \"v\":4} 12";
    static const char envelopes[] =
        "{\"r\":[{\"v\":1},{\"v\":2},7,{\"v\":3}],\"s\":\"a\"}\n{\"r\":{\"v\":4}}\n{\"r\":1}\n{\"s\":[],\"r\":[{\"v\":1}]}";
    LIST(tags, T("s"));
    LIST(root_tags, T("$.s"));
    const struct wr_config_json configs[] = {{.tags = tags_items, .n_tags = n_tags},
                                             {.records = T("r"), .tags = root_tags_items, .n_tags = n_root_tags}};
    const char *const texts[] = {text, envelopes};
    for (int which = 0; which < 2; which++) {
        const size_t len = strlen(texts[which]);
        read_all(&configs[which], texts[which]);
        char *whole = strdup(wr_collect_without_columns(&collect));
        assert_non_null(whole);
        assert_int_equal(collect.readings, which == 0 ? 6 : 4);
        assert_int_equal(collect.refusals, which == 0 ? 5 : 3);
        for (size_t cut = 0; cut <= len; cut++) {
            for (size_t step = 0; step < 4; step++) {
                wr_collect_clear(&collect);
                collect.full_every = cut % 4 > 1 ? (unsigned)(cut % 4) : 0;
                begin(&configs[which]);
                wr_collect_feed(&collect, wr_codec_stream_feed_json_map, &map, texts[which], len, cut, step);
                wr_json_map_fini(&map);
                assert_string_equal(wr_collect_without_columns(&collect), whole);
            }
        }
        free(whole);
        collect.full_every = 0;
    }
}

static void out_of_memory_loses_a_record_and_no_more(void **state) {
    (void)state;
    static const char text[] =
        "{\"s\":\"a\",\"r\":\"b\",\"v\":\"a\\n\"}\n{\"s\":\"a\",\"r\":\"b\",\"v\":2}\n{\"s\":\"a\",\"r\":\"b\",\"v\":3}\n";
    LIST(tags, T("s"), T("r"));
    const struct wr_config_json config = {.tags = tags_items, .n_tags = n_tags, .time = T("t"), .tz = T("Europe/Riga")};
    for (long n = 0;; n++) {
        wr_collect_clear(&collect);
        assert_int_equal(wr_buf_reserve(&collect.text, 4096), WR_OK);
        assert_int_equal(wr_buf_reserve(&collect.decimals, 64), WR_OK);
        struct wr_error err = {0};
        uint64_t line = 0;
        size_t consumed;
        wr_failing_allocations(n);
        const enum wr_result result = wr_json_map_init(&map, &config, "m", 65536, &err);
        if (result != WR_OK) {
            wr_failing_off();
            assert_int_equal(result, WR_NO_MEMORY);
            assert_true(err.text[0] != '\0');
            continue;
        }
        assert_int_equal(wr_json_map_feed(&map, text, sizeof text - 1, true, &line, &collect.sink, &consumed), WR_OK);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_json_map_fini(&map);
        assert_int_equal(collect.refusals, hit ? 1 : 0);
        assert_int_equal(collect.readings, hit ? 2 : 3);
        if (!hit)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_any_key_all_members_are_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_have_the_meaning_of_their_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_member_may_mean_two_things, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dots_in_names_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_are_taken_out_of_an_envelope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_type_is_that_type_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_have_a_format, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quality_is_of_the_whole_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_have_a_place_and_the_rest_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_refuse_one_value_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mapping_that_cannot_be_says_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_like_the_one_before_means_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_split_changes_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_loses_a_record_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
