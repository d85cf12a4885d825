/* What a file with every kind of error is told, letter by letter: tests/data/rules/wrong.yaml and wrong.txt. And told.txt: conditions and whole files, a line each, and
 * below each, indented, what is said about it. WEIR_UPDATE_DOCS=1 writes both texts anew: then look at the difference. */
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

static bool is_update(void) {
    const char *update = getenv("WEIR_UPDATE_DOCS");
    return update && update[0] == '1';
}

static void write_file(const char *path, const struct wr_buf *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(wr_buf_str(text), 1, text->len, file), text->len);
    assert_int_equal(fclose(file), 0);
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
    if (is_update())
        write_file(WEIR_TEST_DATA "/rules/wrong.txt", &shown);
    char *expected = read_file(WEIR_TEST_DATA "/rules/wrong.txt");
    assert_string_equal(wr_buf_str(&shown), expected);
    free(expected);
    free(text);
    wr_buf_fini(&shown);
    wr_diagnostics_fini(&diagnostics);
}

/* One line of told.txt as a file of rules: a condition is that of a rule, with some points. */
static void make_rules(const char *line, char *text, size_t size) {
    if (line[0] == '{' || line[0] == '[') {
        snprintf(text, size, "%s\n", line);
        return;
    }
    int n = snprintf(text, size,
                     "points:\n"
                     "  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s}\n"
                     "  - {point: p, unit: bar}\n"
                     "  - {point: hum, unit: \"%%\"}\n"
                     "rules:\n"
                     "  - rule: r\n"
                     "    respond: x\n"
                     "    when: '");
    for (const char *c = line; *c; c++)
        n += snprintf(text + n, size - (size_t)n, "%.*s%c", *c == '\'', "'", *c);
    snprintf(text + n, size - (size_t)n, "'\n");
}

/* The line and, indented, what is said about it. */
static void tell(const char *line, struct wr_buf *into) {
    char text[4096];
    static const char *const folders[] = {"/var/log/"};
    static const struct wr_ruleset_secret secrets[] = {{"pager", "/etc/weir/pager"}};
    const struct wr_ruleset_options options = {.file_allow = folders, .n_file_allow = 1, .secrets = secrets, .n_secrets = 1};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    wr_diagnostics_init(&diagnostics);
    make_rules(line, text, sizeof text);
    const enum wr_result result =
        wr_ruleset_load_text(WEIR_TEST_DATA "/rules/told.yaml", text, strlen(text), &options, &diagnostics, &rules, NULL);
    assert_int_equal(result, diagnostics.errors > 0 ? WR_INVALID : WR_OK);
    assert_int_equal(wr_buf_printf(into, "%s\n", line), WR_OK);
    for (size_t i = 0; i < diagnostics.n; i++) {
        const struct wr_diagnostic *told = &diagnostics.list[i];
        const char *message = told->message;
        const char *path = strstr(message, WEIR_TEST_DATA); /* where the tests lie is left out */
        const int before = path ? (int)(path - message) : 0;
        assert_int_equal(wr_buf_printf(into, "    %u:%u W%u: %.*s%s%s%s\n", told->at.line, told->at.column, told->code, before, message,
                                       path ? path + strlen(WEIR_TEST_DATA) : message, told->hint ? " | " : "",
                                       told->hint ? told->hint : ""),
                         WR_OK);
    }
    wr_diagnostics_fini(&diagnostics);
    wr_ruleset_free(rules);
}

static void told(void **state) {
    (void)state;
    char *expected = read_file(WEIR_TEST_DATA "/rules/told.txt");
    char *lines = strdup(expected);
    struct wr_buf shown;
    unsigned n = 0;
    wr_buf_init(&shown, 0);
    assert_non_null(lines);
    for (char *rest = lines, *line; (line = strsep(&rest, "\n"));)
        if (line[0] && line[0] != ' ') {
            tell(line, &shown);
            n++;
        }
    assert_true(n > 200);
    if (is_update())
        write_file(WEIR_TEST_DATA "/rules/told.txt", &shown);
    else
        assert_string_equal(wr_buf_str(&shown), expected);
    wr_buf_fini(&shown);
    free(lines);
    free(expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
