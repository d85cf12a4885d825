/* Selectors against a naive matcher: random globs, names and tags over a small alphabet, so that much of it matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/series.h"
#include "rules/language/selector.h"
#include "tests/support/random.h"

static struct wr_random dice;

static uint32_t random_below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

/* By definition: * takes nothing, or one character and stays. A character is 'a', 'b', '.' or the two bytes of '°'. */
static bool naive_glob(const char *glob, const char *text) {
    if (*glob == '\0')
        return *text == '\0';
    size_t step = (uint8_t)*text == 0xC2 ? 2 : 1;
    if (*glob == '*')
        return naive_glob(glob + 1, text) || (*text && naive_glob(glob, text + step));
    if (*text == '\0')
        return false;
    if (*glob == '?')
        return naive_glob(glob + 1, text + step);
    return *glob == *text && naive_glob(glob + 1, text + 1);
}

/* 1..max characters out of the letters. */
static void random_word(char *into, const char *letters, uint32_t max) {
    uint32_t n = 1 + random_below(max);
    into[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        char letter = letters[random_below((uint32_t)strlen(letters))];
        const char one[] = {letter, '\0'};
        strcat(into, letter == '#' ? "\xC2\xB0" : one);
    }
}

struct tag {
    char name[8];
    char value[16];
};

static bool naive_matches(const char *name, const char ops[][3], const struct tag *wanted, size_t n_wanted, const char *measurement,
                          const char *field, const struct tag *tags, size_t n_tags) {
    char full[64];
    char display[64];
    snprintf(full, sizeof full, "%s.%s", measurement, field);
    snprintf(display, sizeof display, "%s", strcmp(field, "value") == 0 ? measurement : full);
    bool named = strpbrk(name, "*?") ? naive_glob(name, display) : strcmp(name, display) == 0 || strcmp(name, full) == 0;
    for (size_t i = 0; i < n_wanted; i++) {
        const char *value = NULL;
        for (size_t j = 0; j < n_tags; j++)
            if (strcmp(tags[j].name, wanted[i].name) == 0)
                value = tags[j].value;
        bool hit = value && (ops[i][1] == '~' ? naive_glob(wanted[i].value, value) : strcmp(wanted[i].value, value) == 0);
        named = named && (ops[i][0] == '!' ? !hit : hit);
    }
    return named;
}

static int one_round(void) {
    static const char *const fields[] = {"value", "a", "b", "aa"};
    static const char op_texts[4][3] = {"=", "!=", "=~", "!~"};
    char name[32];
    char measurement[32];
    random_word(name, "ab.*?#", 5);
    random_word(measurement, "ab.#", 3);
    const char *field = fields[random_below(4)];
    struct tag tags[3];
    struct tag wanted[3];
    char ops[3][3];
    size_t n_tags = random_below(4);
    size_t n_wanted = random_below(4);
    struct wr_tag key_tags[3];
    for (size_t i = 0; i < n_tags; i++) {
        snprintf(tags[i].name, sizeof tags[i].name, "%c", (char)('x' + i));
        random_word(tags[i].value, "ab#", 2);
        key_tags[i] = (struct wr_tag){{tags[i].name, 1}, {tags[i].value, strlen(tags[i].value)}};
    }
    char text[256];
    int at = snprintf(text, sizeof text, "%s", name);
    for (size_t i = 0; i < n_wanted; i++) {
        snprintf(wanted[i].name, sizeof wanted[i].name, "%c", (char)('x' + random_below(3)));
        memcpy(ops[i], op_texts[random_below(4)], 3);
        random_word(wanted[i].value, "ab*?#", 2);
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%s%s%s", i == 0 ? "{" : ", ", wanted[i].name, ops[i], wanted[i].value);
    }
    if (n_wanted > 0)
        strcat(text, "}");
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    assert_int_equal(wr_series_key_make((struct wr_word){measurement, strlen(measurement)}, (struct wr_word){field, strlen(field)},
                                        key_tags, n_tags, key, &len, NULL),
                     WR_OK);
    struct wr_selector selector;
    struct wr_error err;
    if (wr_selector_parse(text, strlen(text), &selector, NULL, &err) != WR_OK)
        fail_msg("%s: %s", text, err.text);
    bool found = wr_selector_matches(&selector, key, len);
    bool expected = naive_matches(name, (const char(*)[3])ops, wanted, n_wanted, measurement, field, tags, n_tags);
    if (found != expected)
        fail_msg("%s on %s.%s: %d, expected %d", text, measurement, field, found, expected);
    return found;
}

static void test_as_the_naive_matcher(void **state) {
    (void)state;
    dice = wr_random_begin();
    int matched = 0;
    for (int i = 0; i < 200000; i++)
        matched += one_round();
    assert_true(matched > 2000); /* else it tests nothing */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_the_naive_matcher)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
