/* YAML: what is loaded, and the exact text of every complaint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/yaml/yaml.h"
#include "tests/support/failing.h"

struct part {
    char *name;
    int64_t every_ns;
    char **tags;
    unsigned n_tags;
};

struct inner {
    uint64_t budget_bytes;
    char *path;
};

struct label {
    char *name;
    char *value;
};

struct doc {
    char *name;
    bool loud;
    int64_t offset;
    uint32_t count;
    double ratio;
    int64_t wait_ns;
    uint64_t budget_bytes;
    int color;
    struct inner *inner;
    struct inner *spare;
    char **list;
    unsigned n_list;
    struct part *parts;
    unsigned n_parts;
    struct label *labels;
    unsigned n_labels;
    char *when;
};

static const char *const colors[] = {"red", "green", "blue", NULL};
static const struct wr_yaml_field inner_fields[] = {
    {.key = "budget", .kind = WR_YAML_SIZE, .offset = offsetof(struct inner, budget_bytes), .fallback = "4MB", .min = 1e6, .max = 1e9},
    {.key = "path", .kind = WR_YAML_STRING, .offset = offsetof(struct inner, path), .fallback = "data"},
    {.key = NULL},
};
static const struct wr_yaml_field part_fields[] = {
    {.key = "name", .kind = WR_YAML_STRING, .offset = offsetof(struct part, name), .required = true, .help = "a name for the messages"},
    {.key = "every", .kind = WR_YAML_DURATION, .offset = offsetof(struct part, every_ns), .fallback = "1m", .min = 1e9, .max = 3.6e12},
    {.key = "tags", .kind = WR_YAML_STRINGS, .offset = offsetof(struct part, tags), .count_offset = offsetof(struct part, n_tags)},
    {.key = NULL},
};
static const struct wr_yaml_field label_fields[] = {
    {.key = "name", .kind = WR_YAML_STRING, .offset = offsetof(struct label, name)},
    {.key = "value", .kind = WR_YAML_STRING, .offset = offsetof(struct label, value)},
    {.key = NULL},
};
static const struct wr_yaml_field doc_fields[] = {
    {.key = "name", .kind = WR_YAML_STRING, .offset = offsetof(struct doc, name), .required = true},
    {.key = "loud", .kind = WR_YAML_BOOL, .offset = offsetof(struct doc, loud)},
    {.key = "offset", .kind = WR_YAML_INT, .offset = offsetof(struct doc, offset)},
    {.key = "count", .kind = WR_YAML_COUNT, .offset = offsetof(struct doc, count), .fallback = "7"},
    {.key = "ratio", .kind = WR_YAML_FLOAT, .offset = offsetof(struct doc, ratio), .min = 0, .max = 10},
    {.key = "wait", .kind = WR_YAML_DURATION, .offset = offsetof(struct doc, wait_ns)},
    {.key = "budget", .kind = WR_YAML_SIZE, .offset = offsetof(struct doc, budget_bytes), .fallback = "64MB"},
    {.key = "color", .kind = WR_YAML_ENUM, .offset = offsetof(struct doc, color), .fallback = "green", .names = colors},
    {.key = "inner",
     .kind = WR_YAML_RECORD,
     .offset = offsetof(struct doc, inner),
     .fallback = "{}",
     .fields = inner_fields,
     .record_bytes = sizeof(struct inner)},
    {.key = "spare",
     .kind = WR_YAML_RECORD,
     .offset = offsetof(struct doc, spare),
     .fields = inner_fields,
     .record_bytes = sizeof(struct inner)},
    {.key = "list",
     .kind = WR_YAML_STRINGS,
     .offset = offsetof(struct doc, list),
     .count_offset = offsetof(struct doc, n_list),
     .fallback = "x"},
    {.key = "parts",
     .kind = WR_YAML_RECORDS,
     .offset = offsetof(struct doc, parts),
     .count_offset = offsetof(struct doc, n_parts),
     .fields = part_fields,
     .record_bytes = sizeof(struct part)},
    {.key = "labels",
     .kind = WR_YAML_RECORDS,
     .offset = offsetof(struct doc, labels),
     .count_offset = offsetof(struct doc, n_labels),
     .fields = label_fields,
     .record_bytes = sizeof(struct label),
     .free_keys = true},
    {.key = "when", .kind = WR_YAML_STRING, .offset = offsetof(struct doc, when)},
    {.key = NULL},
};

static enum wr_result load_bytes(const char *text, size_t len, struct wr_diagnostics *d, struct wr_yaml *yaml) {
    struct wr_error err;
    return wr_yaml_load_text("a.yaml", text, len, doc_fields, sizeof(struct doc), d, yaml, &err);
}

static const struct doc *loads(const char *text, struct wr_yaml *yaml) {
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    enum wr_result result = load_bytes(text, strlen(text), &d, yaml);
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&d, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    assert_string_equal(wr_buf_str(&out), "");
    assert_int_equal(result, WR_OK);
    wr_buf_fini(&out);
    wr_diagnostics_fini(&d);
    return yaml->record;
}

static void refused_bytes(const char *text, size_t len, const char *expected) {
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_yaml yaml = {0};
    assert_int_equal(load_bytes(text, len, &d, &yaml), WR_INVALID);
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&d, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    assert_string_equal(wr_buf_str(&out), expected);
    wr_buf_fini(&out);
    wr_diagnostics_fini(&d);
}

static void refused(const char *text, const char *expected) {
    refused_bytes(text, strlen(text), expected);
}

static void test_all_kinds(void **state) {
    (void)state;
    struct wr_yaml yaml;
    const struct doc *doc = loads("# a comment\n"
                                  "name: \"R\xC3\xBChr \\\"1\\\" \\u00b0\\t\"\n"
                                  "loud: yes\n"
                                  "offset: -9223372036854775808\n"
                                  "count: 4294967295\n"
                                  "ratio: 0.1\n"
                                  "wait: 1m30s\n"
                                  "budget: 1MiB\n"
                                  "color: blue\n"
                                  "inner:\n"
                                  "  path: /var\n"
                                  "list: [a, 'b''c', \"\"]\n"
                                  "parts:\n"
                                  "  - name: one\n"
                                  "    tags: single\n"
                                  "  - {name: two, every: 5s, tags: [x, y]}\n"
                                  "when: |\n"
                                  "  a > 1\n"
                                  "  and b\n",
                                  &yaml);
    assert_string_equal(doc->name, "R\xC3\xBChr \"1\" \xC2\xB0\t");
    assert_true(doc->loud);
    assert_true(doc->offset == INT64_MIN);
    assert_int_equal(doc->count, UINT32_MAX);
    assert_true(doc->ratio == 0.1);
    assert_int_equal(doc->wait_ns, 90000000000);
    assert_int_equal(doc->budget_bytes, 1048576);
    assert_int_equal(doc->color, 2);
    assert_string_equal(doc->inner->path, "/var");
    assert_int_equal(doc->inner->budget_bytes, 4000000);
    assert_null(doc->spare);
    assert_int_equal(doc->n_list, 3);
    assert_string_equal(doc->list[1], "b'c");
    assert_string_equal(doc->list[2], "");
    assert_int_equal(doc->n_parts, 2);
    assert_int_equal(doc->parts[0].n_tags, 1);
    assert_string_equal(doc->parts[0].tags[0], "single");
    assert_int_equal(doc->parts[0].every_ns, 60000000000);
    assert_int_equal(doc->parts[1].n_tags, 2);
    assert_int_equal(doc->parts[1].every_ns, 5000000000);
    assert_string_equal(doc->when, "a > 1\nand b\n");
    wr_yaml_free(&yaml);
}

/* A map with keys of the file's own. */
static void test_free_keys(void **state) {
    (void)state;
    struct wr_yaml yaml;
    const struct doc *doc = loads("name: x\nlabels:\n  'a \"b': c\n  job: 7\n  \xC3\xA9: ''\n", &yaml);
    assert_int_equal(doc->n_labels, 3);
    assert_string_equal(doc->labels[0].name, "a \"b");
    assert_string_equal(doc->labels[0].value, "c");
    assert_string_equal(doc->labels[1].name, "job");
    assert_string_equal(doc->labels[1].value, "7");
    assert_string_equal(doc->labels[2].value, "");
    const struct wr_position at = wr_yaml_where(&yaml, "labels[1]", 0, 0);
    assert_int_equal(at.line, 4);
    assert_int_equal(at.column, 8);
    wr_yaml_free(&yaml);
    doc = loads("{name: x, labels: {}}", &yaml);
    assert_int_equal(doc->n_labels, 0);
    wr_yaml_free(&yaml);
    refused("name: x\nlabels: [a, b]\n",
            "a.yaml:2:9: error W304: 'labels' expects keys and values, found a list\n    2 | labels: [a, b]\n      |         ^^^^^^\n");
    refused(
        "name: x\nlabels: {a: b, a: c}\n",
        "a.yaml:2:16: error W302: key 'a' stands twice\n    2 | labels: {a: b, a: c}\n      |                ^ the first is in line 2\n");
    refused("name: x\nlabels: {a: [b]}\n",
            "a.yaml:2:13: error W304: 'labels[0]' expects a text, found a list\n    2 | labels: {a: [b]}\n      |             ^^^\n");
    refused("name: x\nlabels: {[a]: b}\n",
            "a.yaml:2:10: error W304: a key must be a word, found a list\n    2 | labels: {[a]: b}\n      |          ^^^\n");
    char many[2048] = "name: x\nlabels: {";
    for (int i = 0; i < 65; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "k%d: v, ", i);
    strcat(many, "}\n");
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    assert_int_equal(load_bytes(many, strlen(many), &d, &yaml), WR_INVALID);
    assert_int_equal(d.n, 1);
    assert_string_equal(d.list[0].message, "more than 64 keys in 'labels'");
    wr_diagnostics_fini(&d);
}

static void test_defaults(void **state) {
    (void)state;
    struct wr_yaml yaml;
    const struct doc *doc = loads("{name: x, list: [], parts: [], spare: {}}", &yaml);
    assert_int_equal(doc->count, 7);
    assert_int_equal(doc->budget_bytes, 64000000);
    assert_int_equal(doc->color, 1);
    assert_string_equal(doc->inner->path, "data");
    assert_string_equal(doc->spare->path, "data");
    assert_int_equal(doc->n_list, 0);
    assert_null(doc->list);
    assert_int_equal(doc->n_parts, 0);
    assert_null(doc->when);
    assert_false(doc->loud);
    wr_yaml_free(&yaml);
    doc = loads("name: x", &yaml);
    assert_int_equal(doc->n_list, 1);
    assert_string_equal(doc->list[0], "x");
    wr_yaml_free(&yaml);
}

static void test_bom_and_crlf(void **state) {
    (void)state;
    struct wr_yaml yaml;
    const struct doc *doc = loads("\xEF\xBB\xBFname: x\r\ncount: 3\r\n", &yaml);
    assert_string_equal(doc->name, "x");
    assert_int_equal(doc->count, 3);
    wr_yaml_free(&yaml);
    refused("\xEF\xBB\xBFnome: x\r\nname: y\r\ncount: no\r\n",
            "a.yaml:1:1: error W301: unknown key 'nome'\n    1 | nome: x\n      | ^^^^ did you mean 'name'?\n"
            "a.yaml:3:8: error W305: count: 'no' is not a whole number\n    3 | count: no\n      |        ^^\n");
}

static void test_all_errors_at_once(void **state) {
    (void)state;
    refused("nam: x\n"
            "loud: perhaps\n"
            "wait: 5\n"
            "budget: 64Mb\n"
            "color: gren\n"
            "ratio: 11\n"
            "inner: {budget: 1kB}\n"
            "parts:\n"
            "  - {name: p, evry: 1s}\n"
            "  - {every: 2h}\n"
            "list: {a: b}\n",
            "a.yaml:1:1: error W301: unknown key 'nam'\n    1 | nam: x\n      | ^^^ did you mean 'name'?\n"
            "a.yaml:1:1: error W303: missing key 'name'\n    1 | nam: x\n      | ^\n"
            "a.yaml:2:7: error W305: loud: 'perhaps' is neither true nor false\n    2 | loud: perhaps\n      |       ^^^^^^^\n"
            "a.yaml:3:7: error W305: wait: '5' has no unit: write 5s, 5m or 5h\n    3 | wait: 5\n      |       ^\n"
            "a.yaml:4:9: error W305: budget: '64Mb' has the unknown unit 'Mb': the units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB\n    "
            "4 | budget: 64Mb\n      |    "
            "     ^^^^\n"
            "a.yaml:5:8: error W307: unknown color 'gren'\n    5 | color: gren\n      |        ^^^^ did you mean 'green'?\n"
            "a.yaml:6:8: error W306: ratio: '11' is not between 0 and 10\n    6 | ratio: 11\n      |        ^^\n"
            "a.yaml:7:17: error W306: budget: '1kB' is not between 1.0 MB and 1.0 GB\n    7 | inner: {budget: 1kB}\n      |                "
            " ^^^\n"
            "a.yaml:9:15: error W301: unknown key 'evry' in part 'p'\n    9 |   - {name: p, evry: 1s}\n      |               ^^^^ did you "
            "mean 'every'?\n"
            "a.yaml:10:5: error W303: missing key 'name' in parts[1]\n   10 |   - {every: 2h}\n      |     ^ a name for the messages\n"
            "a.yaml:10:13: error W306: every: '2h' is not between 1s and 1h\n   10 |   - {every: 2h}\n      |             ^^\n"
            "a.yaml:11:7: error W304: 'list' expects a text or a list of texts, found keys and values\n   11 | list: {a: b}\n      |       "
            "^^^^^^\n");
}

static void test_comma_in_a_flow_map(void **state) {
    (void)state;
    refused("{name: x, when: held(a, 2m, 3) > 1, count: 3}\n",
            "a.yaml:1:17: error W308: the value of 'when' ends at the comma\n"
            "    1 | {name: x, when: held(a, 2m, 3) > 1, count: 3}\n"
            "      |                 ^^^^^^^^^^^^^^^^^^ put the whole value in quotes\n");
    refused("{name: x, when: t{room=A1}}\n", "a.yaml:1:18: error W300: expected ',' or '}'\n"
                                             "    1 | {name: x, when: t{room=A1}}\n"
                                             "      |                  ^ in { } a text with one of , { } [ ] in it needs quotes\n");
}

static void test_duplicates_and_shapes(void **state) {
    (void)state;
    refused("name: a\ncount: 1\nname: b\n", "a.yaml:3:1: error W302: key 'name' stands twice\n    3 | name: b\n"
                                            "      | ^^^^ the first is in line 1\n");
    refused("name: [a]\n", "a.yaml:1:7: error W304: 'name' expects a text, found a list\n    1 | name: [a]\n      |       ^^^\n");
    refused("name:\n", "a.yaml:1:1: error W304: 'name' has no value\n    1 | name:\n"
                       "      | ^^^^ leave the key out, or write \"\" for an empty text\n");
    refused("name: a\ncount: ~\n", "a.yaml:2:8: error W304: 'count' has no value\n    2 | count: ~\n      |        ^ leave the key out\n");
    refused("name: a\ninner:\n",
            "a.yaml:2:7: error W304: 'inner' expects keys and values, found nothing\n    2 | inner:\n      |       ^\n");
    refused("name: a\nparts: {name: b}\n", "a.yaml:2:8: error W304: 'parts' expects a list of records, found keys and values\n"
                                           "    2 | parts: {name: b}\n      |        ^^^^^^^^^ begin each record with \"- \"\n");
    refused("name: a\nparts: [b]\n",
            "a.yaml:2:9: error W304: 'parts[0]' expects keys and values, found a text\n    2 | parts: [b]\n      |         ^\n");
    refused("name: a\nlist: [[b]]\n", "a.yaml:2:8: error W304: 'list[0]' expects a text or a list of texts, found a list\n"
                                      "    2 | list: [[b]]\n      |        ^^^\n");
    refused("- a\n", "a.yaml:1:1: error W304: the file expects keys and values, found a list\n    1 | - a\n      | ^^^\n");
    refused("", "a.yaml:1:1: error W303: missing key 'name'\n    1 | \n      | ^\n");
    refused("name: a\n? [x]\n: y\n", "a.yaml:2:3: error W304: a key must be a word, found a list\n    2 | ? [x]\n      |   ^^^\n");
}

static void test_refused_yaml(void **state) {
    (void)state;
    refused("name: &a x\nwhen: *a\n", "a.yaml:1:7: error W309: anchors (&name) are not taken\n    1 | name: &a x\n"
                                      "      |       ^ a text that begins with & needs quotes\n"
                                      "a.yaml:2:7: error W309: aliases (*name) are not taken\n    2 | when: *a\n"
                                      "      |       ^ a text that begins with * needs quotes\n");
    refused("name: !x y\n", "a.yaml:1:7: error W309: tags (!name) are not taken\n    1 | name: !x y\n"
                            "      |       ^ a text that begins with ! needs quotes\n");
    refused("name: *\n", "a.yaml:1:8: error W300: did not find expected alphabetic or numeric character\n    1 | name: *\n"
                         "      |        ^ a text that begins with * needs quotes\n");
    refused("name: a\n---\nname: b\n", "a.yaml:2:1: error W309: a second document: one file holds one\n    2 | ---\n      | ^^^\n");
    refused("name: x\nlist: [[[[[[[[[[[[[[a]]]]]]]]]]]]]]\n",
            "a.yaml:2:18: error W311: nested too deeply\n    2 | list: [[[[[[[[[[[[[[a]]]]]]]]]]]]]]\n      |                  ^\n");
}

static void test_syntax(void **state) {
    (void)state;
    refused("name: a\ninner:\n\tpath: b\n", "a.yaml:3:1: error W300: found character that cannot start any token\n    3 |  path: b\n"
                                            "      | ^ indent with spaces, not with tabs\n");
    refused("name: \"abc\n", "a.yaml:1:7: error W300: the closing quote is missing\n    1 | name: \"abc\n      |       ^\n");
    refused("name: a\nwhen: x: y\n", "a.yaml:2:8: error W300: a second ':' in this line, or a wrong indentation\n    2 | when: x: y\n"
                                     "      |        ^ a text with ': ' in it needs quotes\n");
    /* What stands before the syntax error is still checked, and nothing is called missing. */
    refused("count: x\nwhen: @b\n", "a.yaml:1:8: error W305: count: 'x' is not a whole number\n    1 | count: x\n      |        ^\n"
                                    "a.yaml:2:7: error W300: found character that cannot start any token\n    2 | when: @b\n"
                                    "      |       ^ a text that begins with this character needs quotes\n");
}

static void test_characters(void **state) {
    (void)state;
    refused("name: \xC3\xA9\xFF\n", "a.yaml:1:8: error W310: byte 0xff is not UTF-8\n    1 | name: \xC3\xA9\\xff\n"
                                    "      |        ^^^^ save the file as UTF-8\n");
    refused_bytes("name: a\0b\n", 10, "a.yaml:1:8: error W310: control character 0x00\n    1 | name: a\\x00b\n      |        ^^^^\n");
    refused("name: \"\xC2\xB0\\0\"\n",
            "a.yaml:1:7: error W305: name: a text with a NUL character\n    1 | name: \"\xC2\xB0\\0\"\n      |       ^^^^^\n");
    /* Columns count characters, not bytes. */
    refused("{name: \xC2\xB0\xC2\xB0, coint: 1}\n",
            "a.yaml:1:12: error W301: unknown key 'coint'\n    1 | {name: \xC2\xB0\xC2\xB0, coint: 1}\n"
            "      |            ^^^^^ did you mean 'count'?\n");
}

static void test_size(void **state) {
    (void)state;
    size_t len = WR_YAML_BYTES + 1;
    char *text = malloc(len);
    memset(text, '\n', len);
    refused_bytes(text, len, "a.yaml: error W311: larger than 4194304 bytes\n");
    free(text);
}

static void expect_where(const struct wr_yaml *yaml, const char *path, size_t offset, size_t length, unsigned line, unsigned column,
                         unsigned carets) {
    struct wr_position at = wr_yaml_where(yaml, path, offset, length);
    if (at.line != line || at.column != column || at.length != carets)
        fail_msg("%s+%zu: %u:%u+%u, expected %u:%u+%u", path, offset, at.line, at.column, at.length, line, column, carets);
}

static void test_where(void **state) {
    (void)state;
    struct wr_yaml yaml;
    loads("name: abc def\n"
          "when: \"a\\x41\\\" b\\\n"
          "   c\n"
          "   d\"\n"
          "inner: {path: 'it''s x'}\n"
          "parts:\n"
          "  - name: \xC2\xB0 pump\n"
          "    tags: [k, lm]\n"
          "list: |\n"
          "\n"
          "   x y\n"
          "    z\n",
          &yaml);
    expect_where(&yaml, "name", 0, 0, 1, 7, 7);
    expect_where(&yaml, "name", 4, 3, 1, 11, 3);
    expect_where(&yaml, "name", 7, 1, 1, 14, 1);
    expect_where(&yaml, "when", 1, 1, 2, 9, 4);        /* \x41 */
    expect_where(&yaml, "when", 2, 1, 2, 13, 2);       /* \" */
    expect_where(&yaml, "when", 4, 1, 2, 16, 1);       /* b */
    expect_where(&yaml, "when", 5, 1, 3, 4, 1);        /* c, behind an escaped line break */
    expect_where(&yaml, "when", 7, 1, 4, 4, 1);        /* d, behind a folded one */
    expect_where(&yaml, "inner.path", 2, 2, 5, 18, 3); /* 's */
    expect_where(&yaml, "parts[0].name", 2, 4, 7, 13, 4);
    expect_where(&yaml, "parts[0].tags[1]", 0, 0, 8, 15, 2);
    expect_where(&yaml, "list", 1, 1, 11, 4, 1); /* x, behind the empty line */
    expect_where(&yaml, "list", 6, 1, 12, 5, 1); /* z */
    /* What is absent stands where the record stands that could hold it. */
    expect_where(&yaml, "parts[0].every", 0, 3, 7, 5, 12);
    expect_where(&yaml, "parts[0].every[3].x", 0, 0, 7, 5, 12);
    expect_where(&yaml, "inner.budget", 0, 0, 5, 1, 5);
    expect_where(&yaml, "spare", 0, 0, 1, 1, 13);
    assert_true(wr_yaml_present(&yaml, "inner.path"));
    assert_false(wr_yaml_present(&yaml, "inner.budget"));
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    wr_yaml_complain(&yaml, &d, WR_DIAGNOSTIC_WARNING, 7, "parts[0].name", 2, 4, "h", "no %s", "pump");
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&d, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    assert_string_equal(wr_buf_str(&out),
                        "a.yaml:7:13: warning W007: no pump\n    7 |   - name: \xC2\xB0 pump\n      |             ^^^^ h\n");
    wr_buf_fini(&out);
    wr_diagnostics_fini(&d);
    wr_yaml_free(&yaml);
}

static void test_pairs(void **state) {
    (void)state;
    struct wr_yaml_pair *pairs = NULL;
    size_t n = 9;
    assert_int_equal(wr_yaml_pairs(" a = 1 x ,b=\"2, 3\" , c=d=e", &pairs, &n, NULL), WR_OK);
    assert_int_equal(n, 3);
    assert_string_equal(pairs[0].key, "a");
    assert_string_equal(pairs[0].value, "1 x");
    assert_string_equal(pairs[1].value, "2, 3");
    assert_string_equal(pairs[2].value, "d=e");
    wr_yaml_pairs_free(pairs, n);
    assert_int_equal(wr_yaml_pairs(" ", &pairs, &n, NULL), WR_OK);
    assert_int_equal(n, 0);
    wr_yaml_pairs_free(pairs, n);
    static const char *const bad[][2] = {
        {"a", "expected key=value at 'a'"}, {"=1", "expected a key before '='"},      {"a=", "expected a value"},
        {"a=1,", "after the last comma"},   {"a=1,,b=2", "expected key=value at ''"}, {"a=\"x", "closing quote"},
        {"a=\"x\"y", "expected a comma"},   {"a=1,a=2", "'a' stands twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wr_error err;
        assert_int_equal(wr_yaml_pairs(bad[i][0], &pairs, &n, &err), WR_INVALID);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.text);
    }
}

static const char rich[] = "name: x\nlist: [a, b]\nparts: [{name: p, tags: [q, r]}, {name: s}]\nspare: {path: y}\nwhen: \"\\u2028\"\n";

static void test_each_allocation_may_fail(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_diagnostics d;
        wr_diagnostics_init(&d);
        struct wr_yaml yaml;
        wr_failing_allocations(n);
        enum wr_result result = load_bytes(rich, strlen(rich), &d, &yaml);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            wr_yaml_free(&yaml);
        wr_diagnostics_fini(&d);
        if (!hit)
            break;
        assert_true(n < 1000);
    }
    for (long n = 0;; n++) {
        struct wr_yaml_pair *pairs;
        size_t count;
        wr_failing_allocations(n);
        enum wr_result result = wr_yaml_pairs("a=b, c=d", &pairs, &count, NULL);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit) {
            wr_yaml_pairs_free(pairs, count);
            break;
        }
    }
}

static void test_files(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_yaml yaml;
    struct wr_error err;
    assert_int_equal(wr_yaml_load_file("/nowhere/x.yaml", doc_fields, sizeof(struct doc), &d, &yaml, &err), WR_IO);
    assert_string_equal(err.text, "/nowhere/x.yaml: No such file or directory");
    assert_int_equal(wr_yaml_load_file("/", doc_fields, sizeof(struct doc), &d, &yaml, &err), WR_IO);
    char name[] = "/tmp/weir-yaml-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, rich, sizeof rich - 1), sizeof rich - 1);
    close(fd);
    for (long n = 0;; n++) {
        wr_failing_io(n, 5);
        enum wr_result result = wr_yaml_load_file(name, doc_fields, sizeof(struct doc), &d, &yaml, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_IO : WR_OK);
        if (!hit)
            break;
        assert_non_null(strstr(err.text, ": Input/output error"));
    }
    assert_string_equal(((struct doc *)yaml.record)->name, "x");
    wr_yaml_free(&yaml);
    unlink(name);
    wr_diagnostics_fini(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_free_keys),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_bom_and_crlf),
        cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_comma_in_a_flow_map),
        cmocka_unit_test(test_duplicates_and_shapes),
        cmocka_unit_test(test_refused_yaml),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_each_allocation_may_fail),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
