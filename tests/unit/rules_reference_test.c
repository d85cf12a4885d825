/* The tables of docs/rules-reference.md are those of the program. WEIR_UPDATE_DOCS=1 writes them anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile/rule_reference.h"
#include "tests/support/failing.h"

#define PAGE WEIR_SOURCE_DIR "/docs/rules-reference.md"
#define PAGE_BYTES (1u << 18)

static const struct {
    const char *mark;
    enum wr_result (*write)(struct wr_buf *into);
} parts[] = {{"<!-- functions -->\n", wr_rule_reference_functions}, {"<!-- keys -->\n", wr_rule_reference_keys}};

static char *read_page(void) {
    char *text = calloc(1, PAGE_BYTES);
    FILE *file = fopen(PAGE, "r");
    assert_non_null(text);
    assert_non_null(file);
    size_t n = fread(text, 1, PAGE_BYTES - 1, file);
    assert_true(n > 0 && n < PAGE_BYTES - 1);
    fclose(file);
    return text;
}

/* The page with its parts made anew. */
static void remake(const char *page, struct wr_buf *into) {
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *mark = strstr(page, parts[i].mark);
        assert_non_null(mark);
        const char *begin = mark + strlen(parts[i].mark);
        const char *end = strstr(begin, "<!-- end -->");
        assert_non_null(end);
        assert_int_equal(wr_buf_append(into, page, (size_t)(begin - page)), WR_OK);
        assert_int_equal(parts[i].write(into), WR_OK);
        page = end;
    }
    assert_int_equal(wr_buf_text(into, page), WR_OK);
}

static void reference(void **state) {
    (void)state;
    char *page = read_page();
    struct wr_buf wanted;
    wr_buf_init(&wanted, 0);
    remake(page, &wanted);
    const char *update = getenv("WEIR_UPDATE_DOCS");
    if (update && update[0] == '1') {
        FILE *file = fopen(PAGE, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(wr_buf_str(&wanted), 1, wanted.len, file), wanted.len);
        assert_int_equal(fclose(file), 0);
    } else if (strcmp(page, wr_buf_str(&wanted)) != 0) {
        fail_msg("docs/rules-reference.md is not what the program says: WEIR_UPDATE_DOCS=1 build/dev/tests/rules_reference_test");
    }
    wr_buf_fini(&wanted);
    free(page);
}

/* A page that does not fit is told as such wherever it ends. */
static void short_of_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        bool hit = true;
        for (long n = 0; hit; n += 1 + n / 100) { /* each of the first lines, then every few */
            struct wr_buf into;
            wr_buf_init(&into, 0);
            wr_failing_pieces(n);
            const enum wr_result result = parts[i].write(&into);
            hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
            wr_buf_fini(&into);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference), cmocka_unit_test(short_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
