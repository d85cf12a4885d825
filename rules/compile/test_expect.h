/* What the two files that compile tests share (test_compile.c: given and do; test_expect.c: expect). Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_TEST_EXPECT_H
#define WEIR_RULES_COMPILE_TEST_EXPECT_H

#include "rules/compile/rule_compile.h"
#include "rules/testing/scenario.h"

extern const struct wr_yaml_field wr_test_expect_fields[];

/* One test under way. */
struct wr_test_compile {
    struct wr_compile *compile;
    struct wr_test *test;
    const struct wr_file_test *record;
};

/* "expect[3].state" into key[64]. Returns key. */
char *wr_test_key(char *key, const char *list, unsigned index, const char *name);

/* A duration since the start. False after a complaint at key. */
bool wr_test_time(struct wr_test_compile *tests, const char *key, const char *text, int64_t *ret_ns);

/* The index of a word in words[n], -1 after a complaint at key. */
int wr_test_word(struct wr_test_compile *tests, const char *key, const char *text, const char *const *words, size_t n);

/* `rule` or `rule{room=A1}`: a rule that there is, among those of the test, and its labels; one: every label of `by` must be given. NULL after a complaint. */
const struct wr_selector *wr_test_alarm(struct wr_test_compile *tests, const char *key, const char *text, bool one);

/* `margin` or `margin{room=A1}`: one series of a derived point. NULL after a complaint. */
const struct wr_selector *wr_test_point(struct wr_test_compile *tests, const char *key, const char *text);

/* All expectations of the test. False: no memory. */
bool wr_test_compile_expects(struct wr_test_compile *tests);

#endif
