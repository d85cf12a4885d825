/* What a file with every kind of error is told, letter by letter: tests/data/rules/wrong.yaml and wrong.txt. WEIR_UPDATE_DOCS=1 writes the text anew: then look at
 * the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile/ruleset.h"

static char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1u << 17);
    assert_non_null(text);
    if (file) {
        assert_true(fread(text, 1, (1u << 17) - 1, file) > 0);
        fclose(file);
    }
    return text;
}

static void golden(void **state) {
    (void)state;
    char *text = read_file(WEIR_TEST_DATA "/rules/wrong.yaml");
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_buf shown;
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&shown, 0);
    assert_int_equal(wr_ruleset_load_text("wrong.yaml", text, strlen(text), NULL, &diagnostics, &rules, NULL), WR_INVALID);
    assert_int_equal(wr_diagnostics_render(&diagnostics, false, &shown), WR_OK);
    const char *update = getenv("WEIR_UPDATE_DOCS");
    if (update && update[0] == '1') {
        FILE *file = fopen(WEIR_TEST_DATA "/rules/wrong.txt", "w");
        assert_non_null(file);
        assert_int_equal(fwrite(wr_buf_str(&shown), 1, shown.len, file), shown.len);
        assert_int_equal(fclose(file), 0);
    }
    char *expected = read_file(WEIR_TEST_DATA "/rules/wrong.txt");
    assert_string_equal(wr_buf_str(&shown), expected);
    free(expected);
    free(text);
    wr_buf_fini(&shown);
    wr_diagnostics_fini(&diagnostics);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
