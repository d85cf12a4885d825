/* Selectors: what they match, and what is refused where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/series.h"
#include "rules/language/selector.h"

static struct wr_word word(const char *text) {
    return (struct wr_word){text, strlen(text)};
}

/* tags: "k=v" texts, NULL at the end. */
static bool matches(const char *text, const char *measurement, const char *field, ...) {
    struct wr_tag tags[8];
    size_t n = 0;
    va_list arguments;
    va_start(arguments, field);
    for (const char *tag; (tag = va_arg(arguments, const char *)) != NULL; n++) {
        const char *equals = strchr(tag, '=');
        tags[n] = (struct wr_tag){{tag, (size_t)(equals - tag)}, word(equals + 1)};
    }
    va_end(arguments);
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    assert_int_equal(wr_series_key_make(word(measurement), word(field), tags, n, key, &len, NULL), WR_OK);
    struct wr_selector selector;
    struct wr_error err;
    if (wr_selector_parse(text, strlen(text), &selector, NULL, &err) != WR_OK)
        fail_msg("%s: %s", text, err.text);
    return wr_selector_matches(&selector, key, len);
}

static void test_names(void **state) {
    (void)state;
    assert_true(matches("room_temp", "room_temp", "value", NULL));
    assert_true(matches("room_temp.value", "room_temp", "value", NULL));
    assert_false(matches("room_temp", "room_temp", "raw", NULL));
    assert_true(matches("weather.temp", "weather", "temp", NULL));
    assert_false(matches("weather", "weather", "temp", NULL));
    assert_false(matches("weathe", "weather", "value", NULL));
    assert_true(matches(" room temp ", "room temp", "value", NULL));
    /* A measurement may hold a dot itself: then two series have the same name, and both are meant. */
    assert_true(matches("a.b", "a.b", "value", NULL));
    assert_true(matches("a.b", "a", "b", NULL));
}

static void test_globs_see_the_display_name(void **state) {
    (void)state;
    assert_true(matches("*", "a", "b", NULL));
    assert_true(matches("door_*", "door_open", "value", NULL));
    assert_true(matches("door_*", "door_open", "count", NULL));
    assert_true(matches("weather.*", "weather", "temp", NULL));
    assert_false(matches("weather.*", "weather", "value", NULL));
    assert_true(matches("pt10?", "pt101", "value", NULL));
    assert_false(matches("pt10?", "pt10", "value", NULL));
    assert_true(matches("*.hum?dity", "weather", "humidity", NULL));
}

static void test_tags(void **state) {
    (void)state;
    assert_true(matches("t{room=A1}", "t", "value", "room=A1", NULL));
    assert_false(matches("t{room=A1}", "t", "value", "room=A2", NULL));
    assert_false(matches("t{room=A1}", "t", "value", NULL));
    assert_true(matches("t{room!=A1}", "t", "value", "room=A2", NULL));
    assert_true(matches("t{room!=A1}", "t", "value", NULL));
    assert_true(matches("t{room=~A*}", "t", "value", "room=A2", NULL));
    assert_false(matches("t{room=~A*}", "t", "value", NULL));
    assert_true(matches("t{room!~A*}", "t", "value", "room=B", NULL));
    assert_true(matches("t{room!~A*}", "t", "value", NULL));
    assert_false(matches("t{room!~A*}", "t", "value", "room=A", NULL));
    /* One = is exact, also with a star. */
    assert_false(matches("t{room=A*}", "t", "value", "room=A2", NULL));
    assert_true(matches("t { room = A 1 , site != riga }", "t", "value", "room=A 1", NULL));
    assert_true(matches("t{room=\"a,{b}\",x=\"\xC2\xB0\"}", "t", "value", "room=a,{b}", "x=\xC2\xB0", NULL));
    assert_true(matches("t{a=b=c}", "t", "value", "a=b=c", NULL));
}

static void refused(const char *text, size_t at, const char *what) {
    struct wr_selector selector;
    struct wr_error err = {0};
    size_t found = 9999;
    assert_int_equal(wr_selector_parse(text, strlen(text), &selector, &found, &err), WR_INVALID);
    assert_int_equal(found, at);
    if (!strstr(err.text, what))
        fail_msg("%s: '%s' does not say '%s'", text, err.text, what);
}

static void test_refused(void **state) {
    (void)state;
    refused("", 0, "expected a name");
    refused("  ", 2, "expected a name");
    refused("{a=b}", 0, "expected a name");
    refused("t{", 2, "expected the name of a tag");
    refused("t{}", 2, "expected the name of a tag");
    refused("t{a}", 3, "expected =, !=");
    refused("t{a", 3, "expected =, !=");
    refused("t{a!b}", 3, "expected != or !~");
    refused("t{a==b}", 3, "one =");
    refused("t{a=}", 4, "expected a value");
    refused("t{a=b", 5, "closing }");
    refused("t{a=b,}", 6, "expected the name of a tag");
    refused("t{a=b} x", 7, "after the closing }");
    refused("t}", 1, "double quotes");
    refused("t{a=\"b}", 4, "closing quote");
    refused("t{a=\"b\"c}", 7, "after the closing quote");
    refused("t{a=\"\"}", 5, "expected a value");
    refused("t\n", 1, "control character");
    struct wr_selector selector;
    size_t at;
    assert_int_equal(wr_selector_parse("a\0b", 3, &selector, &at, NULL), WR_INVALID);
    assert_int_equal(at, 1);
}

static void test_limits(void **state) {
    (void)state;
    char text[WR_SELECTOR_BYTES + 8];
    memset(text, 'a', sizeof text);
    struct wr_selector selector;
    assert_int_equal(wr_selector_parse(text, WR_SELECTOR_BYTES, &selector, NULL, NULL), WR_INVALID);
    assert_int_equal(wr_selector_parse(text, WR_SELECTOR_BYTES - 1, &selector, NULL, NULL), WR_OK);
    refused("t{a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1}", 66, "more than 16");
}

static void test_glob(void **state) {
    (void)state;
    assert_true(wr_glob_match("", ""));
    assert_true(wr_glob_match("***", ""));
    assert_false(wr_glob_match("?", ""));
    assert_true(wr_glob_match("?", "\xC2\xB0"));
    assert_false(wr_glob_match("??", "\xC2\xB0"));
    assert_true(wr_glob_match("*a*b", "xaab"));
    assert_false(wr_glob_match("*a*b", "xaabc"));
    assert_true(wr_glob_match("a?c*", "abc"));
    /* Grows with the product of the lengths, not beyond. */
    char text[2001];
    memset(text, 'a', 2000);
    text[2000] = '\0';
    assert_false(wr_glob_match("*a*a*a*a*a*a*a*a*a*a*b", text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_globs_see_the_display_name),
        cmocka_unit_test(test_tags),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_glob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
