/* What `weir test` prints, letter by letter; the examples of docs/rule-tests.md; test files of promtool. */
#include "tests/support/suite_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/file.h"
#include "tests/support/failing.h"

#define DATA WEIR_TEST_DATA "/rule-tests"

static const struct wr_ruleset_options rules = {0};
static const struct wr_suite_options options = {.rules = &rules, .seed = WR_TEST_SEED, .verbose = true};

static struct wr_buf read_all(const char *path) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_file_read(path, 1 << 20, &text, NULL), WR_OK);
    return text;
}

typedef enum wr_result run(const struct wr_ruleset_text *file, const struct wr_suite_output *output, struct wr_suite_counts *counts,
                           struct wr_error *err);

static enum wr_result run_suite(const struct wr_ruleset_text *file, const struct wr_suite_output *output, struct wr_suite_counts *counts,
                                struct wr_error *err) {
    return wr_suite_run(file, &options, output, counts, err);
}

static enum wr_result run_mutants(const struct wr_ruleset_text *file, const struct wr_suite_output *output, struct wr_suite_counts *counts,
                                  struct wr_error *err) {
    struct wr_mutate_counts mutants = {0};
    WR_TRY(wr_mutate_run(file, &options, output, &mutants, err));
    counts->passed += mutants.killed;
    counts->failed += mutants.mutants - mutants.killed;
    return WR_OK;
}

static enum wr_result run_promtool(const struct wr_ruleset_text *file, const struct wr_suite_output *output, struct wr_suite_counts *counts,
                                   struct wr_error *err) {
    static const char *const files[] = {"promtool-rules.yaml"};
    return wr_suite_run_promtool(file, files, 1, &options, output, counts, err);
}

/* -- what is printed ------------------------------------------------------------------------------------------------------------------- */

static struct wr_buf print(const char *name, run *how, bool as_json) {
    struct wr_buf text = read_all(name);
    struct wr_buf words;
    struct wr_json json;
    struct wr_suite_counts counts = {0};
    struct wr_error err = {0};
    const struct wr_ruleset_text file = {name, wr_buf_str(&text), text.len};
    const struct wr_suite_output output = {.words = &words, .json = as_json ? &json : NULL};
    wr_buf_init(&words, 0);
    wr_json_begin(&json, &words);
    if (as_json)
        wr_json_array(&json, NULL);
    if (how(&file, &output, &counts, &err) != WR_OK)
        fail_msg("%s: %s", name, err.text);
    if (as_json) {
        wr_json_array_end(&json);
        assert_int_equal(wr_json_end(&json), WR_OK);
    }
    assert_int_equal(wr_buf_printf(&words, "\n%u passed, %u failed\n", counts.passed, counts.failed), WR_OK);
    wr_buf_fini(&text);
    return words;
}

static void is_printed(const char *name, run *how, bool as_json, const char *golden) {
    struct wr_buf words = print(name, how, as_json);
    if (getenv("WEIR_UPDATE_DOCS")) {
        FILE *file = fopen(golden, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(words.data, 1, words.len, file), words.len);
        fclose(file);
    }
    struct wr_buf expected = read_all(golden);
    assert_string_equal(wr_buf_str(&words), wr_buf_str(&expected));
    wr_buf_fini(&expected);
    wr_buf_fini(&words);
}

static void output(void **state) {
    (void)state;
    is_printed("cold-room.yaml", run_suite, false, "cold-room.out");
    is_printed("cold-room.yaml", run_mutants, false, "cold-room-mutants.out");
    is_printed("cold-room.yaml", run_mutants, true, "cold-room-mutants-json.out");
    is_printed("silences.yaml", run_suite, false, "silences.out");
    is_printed("failing.yaml", run_suite, false, "failing.out");
    is_printed("failing.yaml", run_suite, true, "failing-json.out");
    is_printed("promtool.yml", run_promtool, false, "promtool.out");
    is_printed("promtool-failing.yml", run_promtool, false, "promtool-failing.out");
    is_printed("promtool-errors.yml", run_promtool, false, "promtool-errors.out");
    is_printed("promtool-errors.yml", run_promtool, true, "promtool-errors-json.out");
}

/* -- the page of the documentation ----------------------------------------------------------------------------------------------------- */

static const char *cut_example(char **at) {
    char *start = strstr(*at, "```yaml\n");
    if (!start)
        return NULL;
    start += 8;
    char *end = strstr(start, "```");
    assert_non_null(end);
    *end = '\0';
    *at = end + 1;
    return start;
}

/* Every example passes; the first, with another delay, fails as the page says; the last leaves nothing open. */
/* A test may ask about a group of a file beside its own. */
static void group_of_another_file(void **state) {
    (void)state;
    static const char groups[] = "weir: 1\ngroups:\n  - {name: by_site, by: site, flood_start: 10, flood_end: 5, flood_window: 10m}\n";
    static const char tests[] = "weir: 1\nrules:\n  - {rule: high, when: t > 5, by: site}\ntests:\n"
                                "  - {test: a, given: [{series: \"t{site=A}\", values: \"1 9\"}], expect: [{t: 1m, none: \"%s\"}]}\n";
    for (int known = 1; known >= 0; known--) {
        char text[512];
        struct wr_buf words;
        struct wr_suite_counts counts = {0};
        struct wr_error err = {0};
        snprintf(text, sizeof text, tests, known ? "group:by_site" : "group:by_room");
        const struct wr_ruleset_text file = {"tests.yaml", text, strlen(text)};
        const struct wr_ruleset_text other = {"groups.yaml", groups, strlen(groups)};
        const struct wr_ruleset_options beside = {.others = &other, .n_others = 1};
        const struct wr_suite_options with = {.rules = &beside, .seed = WR_TEST_SEED};
        wr_buf_init(&words, 0);
        const struct wr_suite_output out = {.words = &words};
        assert_int_equal(wr_suite_run(&file, &with, &out, &counts, &err), WR_OK);
        if (known)
            assert_string_equal(wr_buf_str(&words), "");
        else
            assert_non_null(strstr(wr_buf_str(&words), "W362"));
        assert_int_equal(counts.passed, known);
        wr_buf_fini(&words);
    }
}

static void page(void **state) {
    (void)state;
    struct wr_buf whole = read_all(WEIR_SOURCE_DIR "/docs/rule-tests.md");
    struct wr_buf text = read_all(WEIR_SOURCE_DIR "/docs/rule-tests.md");
    char *at = (char *)text.data;
    char changed[4096];
    const char *first = cut_example(&at);
    const char *second = cut_example(&at);
    assert_null(cut_example(&at));
    struct suite_bed bed = suite_run("fridge.yaml", first);
    assert_int_equal(bed.counts.passed, 1);
    suite_fini(&bed);
    snprintf(changed, sizeof changed, "%s", first);
    *strstr(changed, "5m") = '6';
    bed = suite_run("fridge.yaml", changed);
    assert_int_equal(bed.counts.failed, 1);
    assert_non_null(strstr(wr_buf_str(&whole), wr_buf_str(&bed.words)));
    suite_fini(&bed);
    bed = suite_mutate("fridge.yaml", first);
    snprintf(changed, sizeof changed, "%u mutants, %u killed (%u %%)", bed.mutants.mutants, bed.mutants.killed,
             bed.mutants.killed * 100 / bed.mutants.mutants);
    assert_non_null(strstr(wr_buf_str(&whole), changed));
    changed[0] = '\0';
    strncat(changed, wr_buf_str(&bed.words), (size_t)(strchr(strchr(wr_buf_str(&bed.words), '^'), '\n') - wr_buf_str(&bed.words)));
    assert_non_null(strstr(wr_buf_str(&whole), changed));
    suite_fini(&bed);
    bed = suite_mutate("fridge.yaml", second);
    assert_string_equal(wr_buf_str(&bed.words), "");
    assert_true(bed.mutants.mutants > 10 && bed.mutants.killed == bed.mutants.mutants);
    suite_fini(&bed);
    wr_buf_fini(&text);
    wr_buf_fini(&whole);
}

/* -- no memory ------------------------------------------------------------------------------------------------------------------------- */

static void no_memory_in(const char *name, run *how) {
    struct wr_buf text = read_all(name);
    const struct wr_ruleset_text file = {name, wr_buf_str(&text), text.len};
    long n = 0;
    for (;; n++) {
        struct wr_buf words;
        struct wr_suite_counts counts = {0};
        struct wr_error err = {0};
        const struct wr_suite_output output = {.words = &words};
        wr_buf_init(&words, 0);
        wr_failing_allocations(n);
        enum wr_result result = how(&file, &output, &counts, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&words);
        assert_true(result == WR_OK || (hit && result == WR_NO_MEMORY));
        if (!hit)
            break;
    }
    assert_true(n > 50);
    wr_buf_fini(&text);
}

static void no_memory(void **state) {
    (void)state;
    no_memory_in("failing.yaml", run_suite);
    no_memory_in("promtool-failing.yml", run_promtool);
    no_memory_in("promtool-errors.yml", run_promtool);
}

int main(void) {
    if (chdir(DATA) != 0)
        return 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test(output), cmocka_unit_test(group_of_another_file), cmocka_unit_test(page),
                                       cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
