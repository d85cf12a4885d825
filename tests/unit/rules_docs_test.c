/* Every YAML example of docs/rules.md and docs/rules-reference.md, and the example files, load without an error. The table that the docs show is the example's. */
#include "tests/support/rules_fixture.h"

static char *read_all(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, file);
    assert_true(n > 0);
    fclose(file);
    return text;
}

/* An example of the docs, as a file beside the example's table. */
static void load_example(const char *text) {
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    wr_diagnostics_init(&diagnostics);
    const enum wr_result result =
        wr_ruleset_load_text(WEIR_SOURCE_DIR "/packaging/examples/docs.yaml", text, strlen(text), NULL, &diagnostics, &rules, NULL);
    if (result != WR_OK)
        fail_msg("%s\n%s", diagnostics.n > 0 ? diagnostics.list[0].message : "no memory", text);
    wr_ruleset_free(rules);
    wr_diagnostics_fini(&diagnostics);
}

static unsigned load_examples(char *text) {
    unsigned n = 0;
    for (char *at = strstr(text, "```yaml\n"); at; at = strstr(at, "```yaml\n"), n++) {
        at += 8;
        char *end = strstr(at, "```");
        assert_non_null(end);
        *end = '\0';
        load_example(at);
        at = end + 1;
    }
    return n;
}

static void examples_in_docs(void **state) {
    (void)state;
    char *text = read_all(WEIR_SOURCE_DIR "/docs/rules.md");
    char *reference = read_all(WEIR_SOURCE_DIR "/docs/rules-reference.md");
    char *table = read_all(WEIR_SOURCE_DIR "/packaging/examples/rooms.csv");
    assert_non_null(strstr(text, table));
    assert_true(load_examples(text) >= 4);
    assert_true(load_examples(reference) >= 1);
    free(table);
    free(reference);
    free(text);
}

static void example_files(void **state) {
    (void)state;
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    const char *const files[] = {WEIR_SOURCE_DIR "/packaging/examples/cold-room.yaml"};
    wr_diagnostics_init(&diagnostics);
    assert_int_equal(wr_ruleset_load(files, 1, NULL, &diagnostics, &rules, NULL), WR_OK);
    assert_int_equal(diagnostics.warnings, 0);
    assert_true(wr_ruleset_count(rules) >= 5);
    wr_ruleset_free(rules);
    const char *const twice[] = {files[0], files[0]};
    assert_int_equal(wr_ruleset_load(twice, 2, NULL, &diagnostics, &rules, NULL), WR_INVALID);
    const char *const missing[] = {"/nonexistent/rules.yaml"};
    assert_int_equal(wr_ruleset_load(missing, 1, NULL, &diagnostics, &rules, NULL), WR_IO);
    wr_diagnostics_fini(&diagnostics);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples_in_docs), cmocka_unit_test(example_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
