/* Bare values: what is a number, a bool, a text, bad, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/codec/value.h"

static struct wr_field read_value(const char *text) {
    struct wr_field field = {.name = {"f", 1}};
    struct wr_refusal refusal;
    if (wr_value_read(text, strlen(text), &field, &refusal) != WR_OK)
        fail_msg("'%s': %s", text, refusal.message);
    assert_int_equal(field.name.len, 1);
    return field;
}

static void numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
        uint8_t decimals;
    } good[] = {{"21.5", 21.5, 1}, {"22", 22, 0}, {" -0.250 \r\n", -0.25, 3}, {"1e3", 1000, WR_DECIMALS_UNKNOWN}, {"+7", 7, 0}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct wr_field field = read_value(good[i].text);
        assert_int_equal(field.type, WR_TYPE_FLOAT);
        assert_int_equal(field.quality, WR_QUALITY_GOOD);
        assert_true(field.value.f == good[i].value);
        assert_int_equal(field.decimals, good[i].decimals);
    }
    static const char *const bad[] = {"nan", "NaN", "-inf", "null", "1e999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wr_field field = read_value(bad[i]);
        assert_int_equal(field.type, WR_TYPE_FLOAT);
        assert_int_equal(field.quality, WR_QUALITY_BAD);
        assert_true(field.value.f == 0);
    }
}

static void bools_and_texts(void **state) {
    (void)state;
    assert_int_equal(read_value("true").value.u, 1);
    assert_int_equal(read_value("FALSE").value.u, 0);
    assert_int_equal(read_value("False").type, WR_TYPE_BOOL);
    static const char *const texts[] = {"ON", "open", "21 C", "t", "tRue", "gr\xc3\xbc\xc3\x9f", "12:30"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct wr_field field = read_value(texts[i]);
        assert_int_equal(field.type, WR_TYPE_SYMBOL);
        assert_int_equal(field.text.len, strlen(texts[i]));
        assert_memory_equal(field.text.text, texts[i], field.text.len);
    }
}

static void what_is_no_value_is_refused(void **state) {
    (void)state;
    static char longer[WR_VALUE_TEXT_BYTES + 2];
    memset(longer, 'x', sizeof longer - 1);
    const char *const texts[] = {"", "  \n", "a\nb", "\xff\xfe", "a\x7f", longer};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct wr_field field = {.name = {"f", 1}};
        struct wr_refusal refusal;
        assert_int_equal(wr_value_read(texts[i], strlen(texts[i]), &field, &refusal), WR_INVALID);
        assert_int_equal(refusal.reason, WR_BOOK_REJECTED_SYNTAX);
        assert_true(refusal.message[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(bools_and_texts),
        cmocka_unit_test(what_is_no_value_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
