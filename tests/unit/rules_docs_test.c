/* Every YAML example of docs/rules.md, and the example files, load without an error. */
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

static void examples_in_docs(void **state) {
    (void)state;
    char *text = read_all(WEIR_SOURCE_DIR "/docs/rules.md");
    unsigned n = 0;
    for (char *at = strstr(text, "```yaml\n"); at; at = strstr(at, "```yaml\n"), n++) {
        at += 8;
        char *end = strstr(at, "```");
        assert_non_null(end);
        *end = '\0';
        wr_ruleset_free(fixture_load(at));
        at = end + 1;
    }
    assert_true(n >= 4);
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
