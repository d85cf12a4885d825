/* Series keys and the series table. */
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/series.h"
#include "tests/support/failing.h"

#define WORD(text) ((struct wr_word){text, sizeof(text) - 1})
#define KEY(text) text, sizeof(text) /* the literal's own NUL ends the last word */

static struct wr_series_table *table_of(uint32_t max) {
    struct wr_series_table *table = NULL;
    assert_int_equal(wr_series_table_new(max, &table, NULL), WR_OK);
    return table;
}

static uint32_t intern(struct wr_series_table *table, const char *key, size_t len) {
    uint32_t id = WR_SERIES_NONE;
    assert_int_equal(wr_series_intern(table, key, len, &id), WR_OK);
    return id;
}

static void a_key_is_sorted_words(void **state) {
    (void)state;
    struct wr_tag tags[] = {{WORD("site"), WORD("riga")}, {WORD("room"), WORD("A1")}, {WORD("roo"), WORD("x")}, {WORD("Z"), WORD("y")}};
    char key[WR_SERIES_KEY_BYTES];
    size_t len = 0;
    assert_int_equal(wr_series_key_make(WORD("temp"), WORD("value"), tags, 4, key, &len, NULL), WR_OK);
    static const char expected[] = "temp\0value\0Z\0y\0roo\0x\0room\0A1\0site\0riga";
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(key, expected, len);
    assert_true(wr_series_key_valid(key, len));
    assert_int_equal(wr_series_key_make(WORD("m"), WORD("f"), NULL, 0, key, &len, NULL), WR_OK);
    assert_int_equal(len, 4);
}

static void bad_parts_are_named(void **state) {
    (void)state;
    char key[WR_SERIES_KEY_BYTES];
    size_t len = 77;
    struct wr_error err = {0};
    struct wr_tag twice[] = {{WORD("b"), WORD("1")}, {WORD("a"), WORD("1")}, {WORD("b"), WORD("2")}};
    assert_int_equal(wr_series_key_make(WORD("m"), WORD("f"), twice, 3, key, &len, &err), WR_INVALID);
    assert_string_equal(err.text, "tag 'b' twice");
    assert_int_equal(wr_series_key_make(WORD(""), WORD("f"), NULL, 0, key, &len, &err), WR_INVALID);
    assert_string_equal(err.text, "empty measurement");
    assert_int_equal(wr_series_key_make(WORD("m"), WORD(""), NULL, 0, key, &len, &err), WR_INVALID);
    assert_string_equal(err.text, "empty field name");
    struct wr_tag empty[] = {{WORD("a"), WORD("")}};
    assert_int_equal(wr_series_key_make(WORD("m"), WORD("f"), empty, 1, key, &len, &err), WR_INVALID);
    assert_string_equal(err.text, "empty tag value");
    struct wr_tag with_nul[] = {{WORD("a\0b"), WORD("x")}};
    assert_int_equal(wr_series_key_make(WORD("m"), WORD("f"), with_nul, 1, key, &len, &err), WR_INVALID);
    assert_string_equal(err.text, "NUL byte in the tag name");
    assert_int_equal(len, 77); /* set only on success */
}

static void the_limits_are_exact(void **state) {
    (void)state;
    char key[WR_SERIES_KEY_BYTES];
    char text[WR_SERIES_KEY_BYTES];
    size_t len = 0;
    memset(text, 'x', sizeof text);
    struct wr_word longest = {text, WR_SERIES_KEY_BYTES - 3};
    assert_int_equal(wr_series_key_make(longest, WORD("f"), NULL, 0, key, &len, NULL), WR_OK);
    assert_int_equal(len, WR_SERIES_KEY_BYTES);
    assert_true(wr_series_key_valid(key, len));
    longest.len++;
    assert_int_equal(wr_series_key_make(longest, WORD("f"), NULL, 0, key, &len, NULL), WR_LIMIT);
    assert_int_equal(wr_series_key_make(WORD("m"), longest, NULL, 0, key, &len, NULL), WR_LIMIT);

    struct wr_tag tags[WR_SERIES_TAGS + 1];
    char names[WR_SERIES_TAGS + 1][4];
    for (size_t i = 0; i <= WR_SERIES_TAGS; i++) {
        snprintf(names[i], sizeof names[i], "t%02zu", WR_SERIES_TAGS - i);
        tags[i] = (struct wr_tag){{names[i], 3}, WORD("v")};
    }
    assert_int_equal(wr_series_key_make(WORD("m"), WORD("f"), tags, WR_SERIES_TAGS + 1, key, &len, NULL), WR_LIMIT);
    assert_int_equal(wr_series_key_make(WORD("m"), WORD("f"), tags, WR_SERIES_TAGS, key, &len, NULL), WR_OK);
    assert_true(wr_series_key_valid(key, len));
    assert_string_equal(key + 4, "t01");
}

static void only_canonical_keys_are_valid(void **state) {
    (void)state;
    assert_true(wr_series_key_valid(KEY("m\0f")));
    assert_true(wr_series_key_valid(KEY("m\0f\0a\0x\0ab\0x\0b\0x")));
    assert_false(wr_series_key_valid("", 0));
    assert_false(wr_series_key_valid(KEY("")));
    assert_false(wr_series_key_valid(KEY("m")));
    assert_false(wr_series_key_valid(KEY("\0f")));
    assert_false(wr_series_key_valid(KEY("m\0")));
    assert_false(wr_series_key_valid("m\0f", 3)); /* no NUL at the end */
    assert_false(wr_series_key_valid(KEY("m\0f\0a")));
    assert_false(wr_series_key_valid(KEY("m\0f\0a\0")));
    assert_false(wr_series_key_valid(KEY("m\0f\0b\0x\0a\0x"))); /* not sorted */
    assert_false(wr_series_key_valid(KEY("m\0f\0a\0x\0a\0y"))); /* twice */
    char many[4 + 4 * (WR_SERIES_TAGS + 1)] = "m\0f";
    for (size_t i = 0; i <= WR_SERIES_TAGS; i++)
        memcpy(many + 4 + 4 * i, (char[]){(char)('0' + i), '\0', 'v', '\0'}, 4);
    assert_true(wr_series_key_valid(many, sizeof many - 4));
    assert_false(wr_series_key_valid(many, sizeof many));
    char longer[WR_SERIES_KEY_BYTES + 1];
    memset(longer, 'x', sizeof longer);
    longer[1] = '\0';
    longer[sizeof longer - 1] = '\0';
    assert_false(wr_series_key_valid(longer, sizeof longer));
}

static void parts_of_a_key(void **state) {
    (void)state;
    static const char key[] = "weather\0humidity\0room\0A1\0site\0riga";
    size_t len = sizeof key;
    assert_string_equal(wr_series_measurement(key), "weather");
    assert_string_equal(wr_series_field(key), "humidity");
    assert_string_equal(wr_series_tag(key, len, "room"), "A1");
    assert_string_equal(wr_series_tag(key, len, "site"), "riga");
    assert_null(wr_series_tag(key, len, "a"));
    assert_null(wr_series_tag(key, len, "rooms"));
    assert_null(wr_series_tag(key, len, "z"));
    assert_null(wr_series_tag(key, len, "riga"));
    const char *cursor = NULL;
    const char *name = NULL;
    const char *value = NULL;
    assert_true(wr_series_next_tag(key, len, &cursor, &name, &value));
    assert_string_equal(name, "room");
    assert_true(wr_series_next_tag(key, len, &cursor, &name, &value));
    assert_string_equal(value, "riga");
    assert_false(wr_series_next_tag(key, len, &cursor, &name, &value));
    assert_false(wr_series_next_tag(key, len, &cursor, &name, &value));
}

static void display(void **state) {
    (void)state;
    char text[64];
    assert_string_equal(wr_series_display(text, sizeof text, KEY("room_temp\0value\0room\0A1")), "room_temp{room=A1}");
    assert_string_equal(wr_series_display(text, sizeof text, KEY("weather\0humidity\0a\0b\0site\0riga")),
                        "weather.humidity{a=b,site=riga}");
    assert_string_equal(wr_series_display(text, sizeof text, KEY("m\0value")), "m");
    assert_string_equal(wr_series_display(text, 8, KEY("weather\0humidity")), "weather");
    assert_string_equal(wr_series_display(text, 9, KEY("weather\0humidity\0a\0b")), "weather.");
    assert_string_equal(wr_series_display(text, 5, KEY("m\0value\0\xC3\xA4\0x")), "m{\xC3\xA4");
    assert_string_equal(wr_series_display(text, 1, KEY("m\0value")), "");
}

static void ids_are_dense_and_stay(void **state) {
    (void)state;
    struct wr_series_table *table = table_of(5000);
    struct wr_series *first = NULL;
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 5000; i++) {
            char key[64];
            size_t len = (size_t)snprintf(key, sizeof key, "m%" PRIu32, i) + 1;
            len += (size_t)snprintf(key + len, sizeof key - len, "value") + 1;
            if (round == 0)
                assert_int_equal(wr_series_find(table, key, len), WR_SERIES_NONE);
            assert_int_equal(intern(table, key, len), i);
            assert_int_equal(wr_series_find(table, key, len), i);
            struct wr_series *series = wr_series_get(table, i);
            assert_int_equal(series->id, i);
            assert_int_equal(series->key_len, len);
            assert_int_equal(series->n_tags, 0);
            assert_int_equal(series->generation, 0);
            assert_memory_equal(series->key, key, len);
            if (i == 0 && round == 0)
                first = series;
        }
    assert_ptr_equal(wr_series_get(table, 0), first);
    assert_int_equal(wr_series_count(table), 5000);
    uint32_t id = 7;
    assert_int_equal(wr_series_intern(table, KEY("one\0more"), &id), WR_LIMIT);
    assert_int_equal(id, 7);
    assert_int_equal(intern(table, KEY("m4999\0value")), 4999); /* known ones still pass */
    wr_series_table_free(table);
    wr_series_table_free(NULL);
}

static void a_key_of_any_length_is_kept(void **state) {
    (void)state;
    struct wr_series_table *table = table_of(200);
    char key[WR_SERIES_KEY_BYTES];
    for (uint32_t i = 0; i < 100; i++) {
        size_t len = 4 + i * 20;
        memset(key, 'a' + (int)(i % 26), len);
        key[1] = '\0';
        key[len - 1] = '\0';
        assert_int_equal(intern(table, key, len), i);
    }
    struct wr_series *series = wr_series_get(table, intern(table, KEY("m\0f\0a\0x\0b\0y")));
    assert_int_equal(series->n_tags, 2);
    assert_int_equal((uintptr_t)series % _Alignof(struct wr_series), 0);
    wr_series_table_free(table);
}

static void the_first_type_stays(void **state) {
    (void)state;
    struct wr_series_table *table = table_of(1);
    struct wr_series *series = wr_series_get(table, intern(table, KEY("m\0f")));
    assert_int_equal(atomic_load(&series->type), WR_TYPE_NONE);
    assert_int_equal(wr_series_fix_type(series, WR_TYPE_INT), WR_TYPE_INT);
    assert_int_equal(wr_series_fix_type(series, WR_TYPE_FLOAT), WR_TYPE_INT);
    assert_int_equal(wr_series_fix_type(series, WR_TYPE_INT), WR_TYPE_INT);
    wr_series_table_free(table);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        struct wr_series_table *table = NULL;
        struct wr_error err = {0};
        if (wr_series_table_new(3000, &table, &err) != WR_OK) {
            assert_int_equal(err.code, WR_NO_MEMORY);
            assert_null(table);
            assert_true(wr_failing_hit());
            continue;
        }
        uint32_t failures = 0;
        for (uint32_t i = 0; i < 3000; i++) {
            char key[128];
            size_t len = (size_t)snprintf(key, sizeof key, "m%0100" PRIu32, i) + 1;
            memcpy(key + len, "v", 2);
            len += 2;
            uint32_t id = WR_SERIES_NONE;
            enum wr_result result = wr_series_intern(table, key, len, &id);
            if (result != WR_OK) {
                assert_int_equal(result, WR_NO_MEMORY);
                assert_int_equal(wr_series_count(table), i);
                failures++;
                result = wr_series_intern(table, key, len, &id); /* one failure costs nothing but this attempt */
            }
            assert_int_equal(result, WR_OK);
            assert_int_equal(id, i);
        }
        assert_true(failures <= 1);
        wr_series_table_free(table);
        if (!wr_failing_hit())
            break;
        assert_true(n < 1000);
    }
    wr_failing_off();
}

/* 100 k series with keys of 40 bytes: about 100 bytes each, and never more than was announced. */
static void the_memory_keeps_its_bound(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their allocators count otherwise */
#else
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct wr_series_table *table = table_of(100000);
    for (uint32_t i = 0; i < 100000; i++) {
        char key[41];
        snprintf(key, sizeof key, "temperature%09" PRIu32 "|value|room|A%07" PRIu32, i, i);
        key[20] = key[26] = key[31] = '\0'; /* the words */
        intern(table, key, sizeof key);
    }
    size_t used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    print_message("%zu bytes a series, at most %zu announced\n", used / 100000, wr_series_table_bytes(100000, 40) / 100000);
    assert_int_equal(wr_series_count(table), 100000);
    assert_in_range(used / 100000, 40, 105);
    assert_true(used <= wr_series_table_bytes(100000, 40));
    wr_series_table_free(table);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_sorted_words),
        cmocka_unit_test(bad_parts_are_named),
        cmocka_unit_test(the_limits_are_exact),
        cmocka_unit_test(only_canonical_keys_are_valid),
        cmocka_unit_test(parts_of_a_key),
        cmocka_unit_test(display),
        cmocka_unit_test(ids_are_dense_and_stay),
        cmocka_unit_test(a_key_of_any_length_is_kept),
        cmocka_unit_test(the_first_type_stays),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_memory_keeps_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
