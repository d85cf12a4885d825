/* Random documents: a tree of members is made and printed with random spaces and escapes; what its scalars must become is known from the making of
 * it. Fed in random pieces to a sink that is often full, the codec must see the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/json_map.h"
#include "core/record_json.h"
#include "tests/support/collect.h"
#include "tests/support/random.h"

#define ROUNDS 300
#define RECORDS 30

static struct wr_random seed;
static struct wr_buf text;
static struct wr_buf expected;

/* The model of a record: what was printed so far, and what it must become. */
struct model {
    char room[32]; /* tag; "": none */
    char device[32];
    int64_t time_ns;
    unsigned n;
    struct {
        char name[256];
        struct wr_reading reading;
        char text[64];
    } fields[64];
};

static uint64_t below(uint64_t end) {
    return wr_random_below(&seed, end);
}

static void put(const char *what) {
    assert_int_equal(wr_buf_text(&text, what), WR_OK);
}

static bool pretty; /* spaces and newlines between the parts, of this round */

static void put_space(void) {
    static const char *const spaces[] = {" ", "\n", "\t", "  \r\n "};
    if (pretty && below(3) == 0)
        put(spaces[below(4)]);
}

/* A text as JSON writes it; some characters escaped, though they need not be. */
static void put_string(const char *string) {
    put("\"");
    for (const char *p = string; *p; p++) {
        if (*p == '"' || *p == '\\')
            assert_int_equal(wr_buf_printf(&text, "\\%c", *p), WR_OK);
        else if (*p == '\n')
            put("\\n");
        else if (below(12) == 0)
            assert_int_equal(wr_buf_printf(&text, "\\u%04x", (unsigned)*p), WR_OK);
        else
            assert_int_equal(wr_buf_append(&text, p, 1), WR_OK);
    }
    put("\"");
}

static void random_text(char *into, size_t most) {
    static const char alphabet[] = "abc \"\\{}[],:\n01.-_=";
    const size_t len = 1 + below(most - 1);
    for (size_t i = 0; i < len; i++)
        into[i] = alphabet[below(sizeof alphabet - 1)];
    into[len] = '\0';
}

static void put_number(struct wr_reading *reading) {
    char number[40];
    const uint64_t kind = below(4);
    reading->type = WR_TYPE_FLOAT;
    if (kind == 0)
        snprintf(number, sizeof number, "%d", (int)below(2000) - 1000);
    else if (kind == 1)
        snprintf(number, sizeof number, "%.*f", (int)below(8), ((double)below(1000000) - 500000) / 997);
    else if (kind == 2)
        snprintf(number, sizeof number, "%.17g", (double)(int64_t)wr_random_u64(&seed) / 1e13);
    else
        snprintf(number, sizeof number, "%d.%02de%d", (int)below(9) + 1, (int)below(100), (int)below(40) - 20);
    reading->value.f = strtod(number, NULL);
    put(number);
}

/* A scalar that is a field by the path `name`. */
static void put_field(struct model *model, const char *name) {
    const uint64_t kind = below(8);
    if (kind == 0) { /* no reading */
        put("null");
        return;
    }
    struct wr_reading *reading = &model->fields[model->n].reading;
    *reading = (struct wr_reading){.decimals = WR_DECIMALS_UNKNOWN};
    snprintf(model->fields[model->n].name, sizeof model->fields[model->n].name, "%s", name);
    if (kind == 1) {
        reading->type = WR_TYPE_BOOL;
        reading->value.u = below(2);
        put(reading->value.u ? "true" : "false");
    } else if (kind == 2) {
        reading->type = WR_TYPE_SYMBOL;
        random_text(model->fields[model->n].text, below(2) ? 8 : 40);
        put_string(model->fields[model->n].text);
    } else {
        put_number(reading);
    }
    model->n++;
}

static void put_members(struct model *model, const char *path, unsigned depth, unsigned most);

/* A list or object whose scalars are fields. */
static void put_container(struct model *model, const char *path, unsigned depth) {
    char name[256];
    if (below(2)) {
        put("{");
        put_space();
        put_members(model, path, depth + 1, 3);
        put("}");
        return;
    }
    put("[");
    for (uint64_t i = 0, n = below(4); i < n; i++) {
        put_space();
        snprintf(name, sizeof name, "%s_%d", path, (int)i);
        if (depth < 4 && below(4) == 0)
            put_container(model, name, depth + 1);
        else
            put_field(model, name);
        put_space();
        put(i + 1 < n ? "," : "");
    }
    put("]");
}

static void put_members(struct model *model, const char *path, unsigned depth, unsigned most) {
    static const char *const names[] = {"a", "temp", "hum.idity", "x\"y", "d", "value", "a long name of a member"};
    for (uint64_t i = 0, n = 1 + below(most); i < n; i++) {
        char name[256];
        const char *last = names[below(sizeof names / sizeof names[0])];
        snprintf(name, sizeof name, "%s%s%s", path, *path ? "_" : "", last);
        put_string(last);
        put_space();
        put(":");
        put_space();
        if (depth < 4 && model->n < 40 && below(5) == 0)
            put_container(model, name, depth);
        else if (model->n < 60)
            put_field(model, name);
        else
            put("null");
        put_space();
        put(i + 1 < n ? "," : "");
        put_space();
    }
}

/* Time and tag, at the beginning or at the end. */
static void put_meaning(struct model *model) {
    model->time_ns = below(8) ? (int64_t)(UINT64_C(1700000000000) + below(1000000000)) * 1000000 : WR_EVENT_NONE;
    model->room[0] = '\0';
    if (below(8))
        random_text(model->room, sizeof model->room);
    if (model->time_ns != WR_EVENT_NONE)
        assert_int_equal(
            wr_buf_printf(&text, "\"ts\":%lld.%s,", (long long)(model->time_ns / 1000000000),
                          &(char[4]){(char)('0' + model->time_ns / 100000000 % 10), (char)('0' + model->time_ns / 10000000 % 10),
                                     (char)('0' + model->time_ns / 1000000 % 10), '\0'}[0]),
            WR_OK);
    put("\"meta\":{\"room\":");
    if (model->room[0])
        put_string(model->room);
    else
        put("null");
    put("}");
}

static void expect(const struct model *model) {
    for (unsigned i = 0; i < model->n; i++) {
        struct wr_tag tags[2];
        size_t n_tags = 0;
        if (model->device[0])
            tags[n_tags++] = (struct wr_tag){{"device", 6}, {model->device, strlen(model->device)}};
        if (model->room[0])
            tags[n_tags++] = (struct wr_tag){{"room", 4}, {model->room, strlen(model->room)}};
        char key[WR_SERIES_KEY_BYTES];
        size_t len;
        const struct wr_word field = {model->fields[i].name, strlen(model->fields[i].name)};
        assert_int_equal(wr_series_key_make((struct wr_word){"m", 1}, field, tags, n_tags, key, &len, NULL), WR_OK);
        struct wr_reading reading = model->fields[i].reading;
        reading.event_ns = model->time_ns;
        struct wr_json json;
        wr_json_begin(&json, &expected);
        wr_record_reading_json(&json, key, len, &reading, model->fields[i].text, strlen(model->fields[i].text));
        assert_int_equal(wr_json_end(&json), WR_OK);
        assert_int_equal(wr_buf_text(&expected, "\n"), WR_OK);
    }
}

static void put_record(struct model *model) {
    const bool first = below(2);
    model->n = 0;
    put("{");
    if (first) {
        put_meaning(model);
        put(",");
    }
    put("\"k\":null,"); /* a record needs a member, and the rest may be empty lists */
    put_space();
    put_members(model, "", 0, 6);
    if (!first) {
        put(",");
        put_meaning(model);
    }
    put("}");
}

static void feed_in_pieces(const struct wr_config_json *config) {
    static struct wr_json_map map;
    struct wr_collect collect;
    struct wr_error err;
    wr_collect_init(&collect);
    collect.full_every = below(2) ? 2 + (unsigned)below(3) : 0;
    assert_int_equal(wr_json_map_init(&map, config, "m", 1 << 20, &err), WR_OK);
    wr_collect_feed(&collect, wr_codec_stream_feed_json_map, &map, (const char *)text.data, text.len, below(text.len + 1),
                    below(2) ? below(64) : below(5000));
    wr_json_map_fini(&map);
    const char *got = wr_buf_str(&collect.text);
    const char *wanted = wr_buf_str(&expected);
    if (strcmp(got, wanted) != 0) {
        size_t same = 0;
        while (got[same] == wanted[same])
            same++;
        while (same > 0 && got[same - 1] != '\n')
            same--;
        fail_msg("expected\n%.300s\ngot\n%.300s\nfrom\n%s", wanted + same, got + same, wr_buf_str(&text));
    }
    wr_collect_fini(&collect);
}

static void documents_are_read_as_they_were_made(void **state) {
    (void)state;
    static struct model model;
    static struct model again;
    static char *tags[] = {(char *)"room=meta.room"};
    const struct wr_config_json config = {.time = (char *)"ts", .time_format = (char *)"s", .tags = tags, .n_tags = 1};
    for (int round = 0; round < ROUNDS; round++) {
        wr_buf_clear(&text);
        wr_buf_clear(&expected);
        pretty = below(2);
        const bool list = below(3) == 0;
        put(list ? "[" : "");
        for (int i = 0; i < RECORDS; i++) {
            const size_t before = text.len;
            put_record(&model);
            expect(&model);
            if (below(2)) { /* the same once more, as a device would */
                again = model;
                const size_t len = text.len - before;
                put(list ? "," : below(2) ? "\n" : "");
                char *copy = malloc(len);
                assert_non_null(copy);
                memcpy(copy, text.data + before, len);
                assert_int_equal(wr_buf_append(&text, copy, len), WR_OK);
                free(copy);
                expect(&again);
            }
            put(!list ? (below(2) ? "\n" : "") : i + 1 < RECORDS ? ",\n" : "]");
        }
        feed_in_pieces(&config);
    }
}

static void envelopes_are_read_as_they_were_made(void **state) {
    (void)state;
    static struct model model;
    static struct model models[8];
    static char *tags[] = {(char *)"room=meta.room", (char *)"device=$.head.device"};
    const struct wr_config_json config = {
        .records = (char *)"body.list", .time = (char *)"ts", .time_format = (char *)"s", .tags = tags, .n_tags = 2};
    for (int round = 0; round < ROUNDS; round++) {
        wr_buf_clear(&text);
        wr_buf_clear(&expected);
        pretty = below(2);
        for (int i = 0; i < RECORDS / 4; i++) {
            const unsigned n = (unsigned)below(8);
            const bool head_first = below(2);
            char device[32];
            random_text(device, sizeof device);
            put("{");
            if (head_first) {
                put("\"head\":{\"device\":");
                put_string(device);
                put("},");
            }
            put_space();
            put("\"body\":{\"more\":[{\"ts\":1}],\"list\":[");
            for (unsigned k = 0; k < n; k++) {
                put_record(&model);
                models[k] = model;
                put(k + 1 < n ? "," : "");
                put_space();
            }
            put("]}");
            if (!head_first) {
                put(",\"head\":{\"device\":");
                put_string(device);
                put("}");
            }
            put("}\n");
            for (unsigned k = 0; k < n; k++) {
                memcpy(models[k].device, device, sizeof device);
                expect(&models[k]);
            }
        }
        feed_in_pieces(&config);
    }
}

int main(void) {
    seed = wr_random_begin();
    wr_buf_init(&text, 0);
    wr_buf_init(&expected, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_read_as_they_were_made),
        cmocka_unit_test(envelopes_are_read_as_they_were_made),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wr_buf_fini(&text);
    wr_buf_fini(&expected);
    return failed;
}
