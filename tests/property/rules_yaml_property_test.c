/* Random documents that the schema allows, written in random styles, come back as they were meant; and each with one key broken is refused
 * at the line of that key. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/quantity.h"
#include "core/utf8.h"
#include "rules/yaml/yaml.h"
#include "tests/support/random.h"

struct item {
    char *name;
    int64_t wait_ns;
    char **words;
    unsigned n_words;
    bool loud;
};

struct doc {
    char *title;
    int64_t number;
    uint32_t count;
    double ratio;
    uint64_t size_bytes;
    int color;
    struct item *main;
    struct item *items;
    unsigned n_items;
};

static const char *const colors[] = {"red", "green", "blue", NULL};
static const struct wr_yaml_field item_fields[] = {
    {.key = "name", .kind = WR_YAML_STRING, .offset = offsetof(struct item, name), .required = true},
    {.key = "wait", .kind = WR_YAML_DURATION, .offset = offsetof(struct item, wait_ns), .fallback = "5s"},
    {.key = "words", .kind = WR_YAML_STRINGS, .offset = offsetof(struct item, words), .count_offset = offsetof(struct item, n_words)},
    {.key = "loud", .kind = WR_YAML_BOOL, .offset = offsetof(struct item, loud), .fallback = "true"},
    {.key = NULL},
};
static const struct wr_yaml_field doc_fields[] = {
    {.key = "title", .kind = WR_YAML_STRING, .offset = offsetof(struct doc, title)},
    {.key = "number", .kind = WR_YAML_INT, .offset = offsetof(struct doc, number), .fallback = "-3"},
    {.key = "count", .kind = WR_YAML_COUNT, .offset = offsetof(struct doc, count)},
    {.key = "ratio", .kind = WR_YAML_FLOAT, .offset = offsetof(struct doc, ratio)},
    {.key = "size", .kind = WR_YAML_SIZE, .offset = offsetof(struct doc, size_bytes), .fallback = "1KiB"},
    {.key = "color", .kind = WR_YAML_ENUM, .offset = offsetof(struct doc, color), .fallback = "blue", .names = colors},
    {.key = "main",
     .kind = WR_YAML_RECORD,
     .offset = offsetof(struct doc, main),
     .fields = item_fields,
     .record_bytes = sizeof(struct item)},
    {.key = "items",
     .kind = WR_YAML_RECORDS,
     .offset = offsetof(struct doc, items),
     .count_offset = offsetof(struct doc, n_items),
     .fields = item_fields,
     .record_bytes = sizeof(struct item)},
    {.key = NULL},
};

static struct wr_random dice;

static uint64_t random_bits(void) {
    return wr_random_u64(&dice);
}

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

/* The document under construction, and what it must load as. */
static struct wr_buf text;
static struct wr_buf expected;
static unsigned line;      /* of the text, from 1 */
static unsigned mark_line; /* where a chosen key stands, to be broken */
static size_t mark_at;     /* and its first byte in the text */
static unsigned keys;

static void put(const char *format, ...) WR_PRINTF(1, 2);
static void put(const char *format, ...) {
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    for (const char *c = piece; *c; c++)
        line += *c == '\n';
    assert_int_equal(wr_buf_text(&text, piece), WR_OK);
}

static void expect(const char *name, const char *value) {
    assert_int_equal(wr_buf_printf(&expected, "%s=", name), WR_OK);
    assert_int_equal(wr_buf_text(&expected, value), WR_OK);
    assert_int_equal(wr_buf_append(&expected, "\n", 1), WR_OK);
}

static void random_text(char *into, bool plain) {
    static const char *const letters[] = {"a",
                                          "B",
                                          "0",
                                          " ",
                                          ",",
                                          ":",
                                          "#",
                                          "'",
                                          "\"",
                                          "\\",
                                          "{",
                                          "]",
                                          "&",
                                          "*",
                                          "\xC2\xB0",
                                          "\xE2\x82\xAC",
                                          "\xF0\x9F\x98\x80",
                                          "\xE2\x80\xA8",
                                          "\xC2\x85",
                                          "\n",
                                          "\t",
                                          "\x01",
                                          "\x7F",
                                          "-",
                                          "|",
                                          "%",
                                          "\r"};
    into[0] = '\0';
    uint32_t n = plain ? 1 + below(6) : below(9);
    for (uint32_t i = 0; i < n; i++)
        strcat(into, letters[below(plain ? 3 : sizeof letters / sizeof letters[0])]);
}

static void put_double_quoted(const char *value) {
    put("\"");
    for (const char *c = value; *c;) {
        size_t bytes = wr_utf8_length(c, strnlen(c, 4));
        uint8_t byte = (uint8_t)*c;
        if (byte == '"' || byte == '\\')
            put("\\%c", byte);
        else if (byte == '\n')
            put("\\n");
        else if (byte < 0x20 || byte == 0x7F)
            put("\\x%02X", byte);
        else if (bytes == 2 && byte == 0xC2 && (uint8_t)c[1] < 0xA0)
            put("\\u%04x", (uint8_t)c[1]);
        else if (bytes == 3 && byte == 0xE2 && (uint8_t)c[1] == 0x80)
            put("\\U00002028");
        else
            put("%.*s", (int)bytes, c);
        c += bytes;
    }
    put("\"");
}

static void put_text(const char *value) {
    bool one_line = strpbrk(value, "\n\r\t\x01\x7F") == NULL && !strstr(value, "\xC2\x85") && !strstr(value, "\xE2\x80\xA8");
    bool plain = value[0] && strspn(value, "aB0") == strlen(value);
    if (plain && below(2) == 0) {
        put("%s", value);
    } else if (one_line && below(2) == 0) {
        put("'");
        for (const char *c = value; *c; c++)
            put(*c == '\'' ? "''" : "%c", *c);
        put("'");
    } else {
        put_double_quoted(value);
    }
}

/* One key of a record, in the style of that record. */
struct style {
    bool flow;
    unsigned indent;
    bool first;
};

static void put_key(struct style *style, const char *key) {
    if (style->flow)
        put("%s", style->first ? "" : below(4) == 0 ? ",\n          " : ", ");
    else if (!style->first)
        put("\n%*s", (int)style->indent, "");
    style->first = false;
    keys++;
    if (below(keys) == 0) {
        mark_line = line;
        mark_at = text.len;
    }
    put("%s: ", key);
}

static void make_item(const char *name, struct style style) {
    char path[64];
    char value[128];
    bool given[4] = {true, below(2), below(2), below(2)};
    if (style.flow)
        put("{");
    put_key(&style, "name");
    random_text(value, below(2));
    put_text(value);
    snprintf(path, sizeof path, "%s.name", name);
    expect(path, value);
    int64_t wait_ns = (int64_t)(random_bits() >> below(64) >> 1);
    snprintf(path, sizeof path, "%s.wait", name);
    if (given[1]) {
        put_key(&style, "wait");
        put("%s", wr_quantity_format_duration(value, sizeof value, wait_ns));
    }
    snprintf(value, sizeof value, "%" PRId64, given[1] ? wait_ns : 5000000000);
    expect(path, value);
    uint32_t n = below(4);
    for (uint32_t i = 0; given[2] && i < n; i++) {
        if (i == 0)
            put_key(&style, "words");
        random_text(value, below(2));
        put("%s", n == 1 ? "" : i == 0 ? "[" : ", ");
        put_text(value);
        put("%s", n > 1 && i == n - 1 ? "]" : "");
        snprintf(path, sizeof path, "%s.words[%u]", name, i);
        expect(path, value);
    }
    bool loud = below(2);
    if (given[3]) {
        put_key(&style, "loud");
        put("%s", loud ? (below(2) ? "true" : "Yes") : (below(2) ? "false" : "off"));
    }
    snprintf(path, sizeof path, "%s.loud", name);
    expect(path, !given[3] || loud ? "1" : "0");
    if (style.flow)
        put("}");
}

static void make_scalars(struct style *style) {
    char value[128];
    if (below(2)) {
        put_key(style, "title");
        random_text(value, below(2));
        put_text(value);
        expect("title", value);
    }
    int64_t number = (int64_t)(random_bits() >> below(63));
    bool given = below(2);
    snprintf(value, sizeof value, "%" PRId64, given ? number : -3);
    if (given) {
        put_key(style, "number");
        put("%s", value);
    }
    expect("number", value);
    uint32_t count = (uint32_t)random_bits();
    if (below(2)) {
        put_key(style, "count");
        put("%u", count);
    } else {
        count = 0;
    }
    snprintf(value, sizeof value, "%u", count);
    expect("count", value);
    double ratio = below(2) ? (double)(int64_t)random_bits() * 1e-12 : 0;
    if (ratio != 0) {
        put_key(style, "ratio");
        put("%.17g", ratio);
    }
    snprintf(value, sizeof value, "%.17g", ratio);
    expect("ratio", value);
    uint64_t size = random_bits() >> below(60);
    given = below(2);
    if (given) {
        put_key(style, "size");
        put("%" PRIu64 "B", size);
    }
    snprintf(value, sizeof value, "%" PRIu64, given ? size : 1024);
    expect("size", value);
    uint32_t color = below(4);
    if (color < 3) {
        put_key(style, "color");
        put("%s", colors[color]);
    }
    snprintf(value, sizeof value, "%u", color < 3 ? color : 2);
    expect("color", value);
}

static void make_doc(void) {
    wr_buf_clear(&text);
    wr_buf_clear(&expected);
    line = 1;
    keys = 0;
    struct style style = {.first = true};
    put("%s", below(3) == 0 ? "# a comment\n---\n" : "");
    put_key(&style, "main");
    if (below(2)) {
        make_item("main", (struct style){.flow = true, .first = true});
    } else {
        put("\n  ");
        make_item("main", (struct style){.indent = 2, .first = true});
    }
    make_scalars(&style);
    uint32_t n = below(4);
    if (n > 0)
        put_key(&style, "items");
    for (uint32_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "items[%u]", i);
        put("\n  - ");
        make_item(name, (struct style){.flow = below(2), .indent = 4, .first = true});
    }
    put("%s", below(2) ? "\n" : "");
}

static struct wr_buf found;

static void say(const char *name, const char *value) {
    assert_int_equal(wr_buf_printf(&found, "%s=", name), WR_OK);
    assert_int_equal(wr_buf_text(&found, value), WR_OK);
    assert_int_equal(wr_buf_append(&found, "\n", 1), WR_OK);
}

static void say_item(const char *name, const struct item *item) {
    char path[64];
    char value[64];
    snprintf(path, sizeof path, "%s.name", name);
    say(path, item->name);
    snprintf(path, sizeof path, "%s.wait", name);
    snprintf(value, sizeof value, "%" PRId64, item->wait_ns);
    say(path, value);
    for (unsigned i = 0; i < item->n_words; i++) {
        snprintf(path, sizeof path, "%s.words[%u]", name, i);
        say(path, item->words[i]);
    }
    snprintf(path, sizeof path, "%s.loud", name);
    say(path, item->loud ? "1" : "0");
}

static void say_doc(const struct doc *doc) {
    char value[64];
    wr_buf_clear(&found);
    say_item("main", doc->main);
    if (doc->title)
        say("title", doc->title);
    snprintf(value, sizeof value, "%" PRId64, doc->number);
    say("number", value);
    snprintf(value, sizeof value, "%u", doc->count);
    say("count", value);
    snprintf(value, sizeof value, "%.17g", doc->ratio);
    say("ratio", value);
    snprintf(value, sizeof value, "%" PRIu64, doc->size_bytes);
    say("size", value);
    snprintf(value, sizeof value, "%d", doc->color);
    say("color", value);
    for (unsigned i = 0; i < doc->n_items; i++) {
        snprintf(value, sizeof value, "items[%u]", i);
        say_item(value, &doc->items[i]);
    }
}

static enum wr_result load(struct wr_diagnostics *d, struct wr_yaml *yaml) {
    struct wr_error err;
    return wr_yaml_load_text("r", wr_buf_str(&text), text.len, doc_fields, sizeof(struct doc), d, yaml, &err);
}

static void round_trip(void) {
    struct wr_diagnostics d;
    struct wr_yaml yaml;
    wr_diagnostics_init(&d);
    make_doc();
    if (load(&d, &yaml) != WR_OK)
        fail_msg("refused: %s\n%s", d.n > 0 ? d.list[0].message : "", wr_buf_str(&text));
    say_doc(yaml.record);
    if (strcmp(wr_buf_str(&found), wr_buf_str(&expected)) != 0)
        fail_msg("text:\n%s\nexpected:\n%s\nfound:\n%s", wr_buf_str(&text), wr_buf_str(&expected), wr_buf_str(&found));
    wr_yaml_free(&yaml);
    /* A key that nobody knows. */
    text.data[mark_at] = 'z';
    assert_int_equal(load(&d, &yaml), WR_INVALID);
    bool said = false;
    for (size_t i = 0; i < d.n; i++)
        said = said || (d.list[i].code == WR_YAML_W_UNKNOWN_KEY && d.list[i].at.line == mark_line);
    if (!said)
        fail_msg("no complaint in line %u of\n%s", mark_line, wr_buf_str(&text));
    wr_diagnostics_fini(&d);
}

static void test_round_trip(void **state) {
    (void)state;
    dice = wr_random_begin();
    wr_buf_init(&text, 0);
    wr_buf_init(&expected, 0);
    wr_buf_init(&found, 0);
    for (int i = 0; i < 3000; i++)
        round_trip();
    wr_buf_fini(&text);
    wr_buf_fini(&expected);
    wr_buf_fini(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
