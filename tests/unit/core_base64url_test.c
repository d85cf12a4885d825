/* Base64 for URLs: the vectors of RFC 4648 10 without padding, each text one sequence of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base64url.h"
#include "tests/support/failing.h"

static void vectors(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct wr_buf text;
        char bytes[8];
        size_t len;
        wr_buf_init(&text, 0);
        assert_int_equal(wr_base64url_append(&text, pairs[i][0], strlen(pairs[i][0])), WR_OK);
        assert_string_equal(wr_buf_str(&text), pairs[i][1]);
        assert_true(wr_base64url_decode(pairs[i][1], strlen(pairs[i][1]), bytes, strlen(pairs[i][0]), &len));
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], len);
        if (len > 0)
            assert_false(wr_base64url_decode(pairs[i][1], strlen(pairs[i][1]), bytes, len - 1, &len));
        wr_buf_fini(&text);
    }
}

/* Of all texts of two and three characters exactly those are taken that some bytes stand for. */
static void one_text_each(void **state) {
    (void)state;
    unsigned two = 0, three = 0;
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            const char text[] = {(char)a, (char)b, 'A', (char)b};
            char bytes[3];
            size_t len;
            two += wr_base64url_decode(text, 2, bytes, sizeof bytes, &len);
            three += wr_base64url_decode(text + 1, 3, bytes, sizeof bytes, &len) && a == 'A';
        }
    assert_int_equal(two, 256);
    assert_int_equal(three, 16); /* the last of three has two spare bits */
    assert_false(wr_base64url_decode("A", 1, (char[1]){0}, 1, &(size_t){0}));
}

static void without_room(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 5);
    assert_int_equal(wr_base64url_append(&text, "foobar", 6), WR_LIMIT);
    wr_buf_fini(&text);
    wr_buf_init(&text, 0);
    wr_failing_allocations(0);
    assert_int_equal(wr_base64url_append(&text, "foobar", 6), WR_NO_MEMORY);
    wr_failing_off();
    wr_buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(one_text_each), cmocka_unit_test(without_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
