/* The interning mechanism where hashes collide, which no real hash makes happen in a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/intern.h"

struct head {
    uint64_t hash;
    uint32_t id;
    uint16_t zero;
};
#define HEAD_BYTES 14

static void made(void *entry, uint32_t id, uint64_t hash) {
    struct head head = {.hash = hash, .id = id, .zero = 7};
    memcpy(&head.zero, (char *)entry + offsetof(struct head, zero), sizeof head.zero);
    assert_int_equal(head.zero, 0); /* the head comes empty */
    memcpy(entry, &head, HEAD_BYTES);
}

/* Every text has one of so few hashes. */
static void texts_with_one_hash(uint32_t n, uint64_t hashes) {
    struct wr_intern intern;
    assert_int_equal(wr_intern_init(&intern, n, HEAD_BYTES, made), WR_OK);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < n; i++) {
            char text[16];
            size_t len = (size_t)snprintf(text, sizeof text, "%u", i); /* 1 is a prefix of 10 */
            uint32_t id = WR_INTERN_NONE;
            assert_int_equal(wr_intern_find(&intern, text, len, i % hashes), round == 0 ? WR_INTERN_NONE : i);
            assert_int_equal(wr_intern_put(&intern, text, len, i % hashes, &id), WR_OK);
            assert_int_equal(id, i);
            const char *entry = wr_intern_get(&intern, id);
            struct head head;
            memcpy(&head, entry, HEAD_BYTES);
            assert_int_equal(head.id, i);
            assert_int_equal(head.hash, i % hashes);
            assert_string_equal(entry + HEAD_BYTES + sizeof(uint16_t), text);
        }
    assert_int_equal(wr_intern_count(&intern), n);
    assert_null(wr_intern_get(&intern, n));
    wr_intern_fini(&intern);
}

static void colliding_texts_stay_apart(void **state) {
    (void)state;
    texts_with_one_hash(300, 1);
    texts_with_one_hash(2000, 7);
    texts_with_one_hash(2000, 1000);
}

static void hashes_with_equal_halves_stay_apart(void **state) {
    (void)state;
    struct wr_intern intern;
    uint32_t ids[2] = {9, 9};
    assert_int_equal(wr_intern_init(&intern, 2, 0, made), WR_OK);
    wr_intern_fini(&intern);
    assert_int_equal(wr_intern_init(&intern, 2, HEAD_BYTES, made), WR_OK);
    assert_int_equal(wr_intern_put(&intern, "a", 1, UINT64_C(1) << 32, &ids[0]), WR_OK);
    assert_int_equal(wr_intern_put(&intern, "b", 1, UINT64_C(2) << 32, &ids[1]), WR_OK);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 1);
    wr_intern_fini(&intern);
}

static void a_text_has_a_largest_length(void **state) {
    (void)state;
    static char text[UINT16_MAX + 1];
    struct wr_intern intern;
    uint32_t id = 9;
    assert_int_equal(wr_intern_init(&intern, 2, HEAD_BYTES, made), WR_OK);
    assert_int_equal(wr_intern_put(&intern, text, sizeof text, 1, &id), WR_LIMIT);
    assert_int_equal(wr_intern_put(&intern, text, sizeof text - 1, 1, &id), WR_OK); /* larger than a block */
    assert_int_equal(wr_intern_find(&intern, text, sizeof text - 1, 1), 0);
    assert_int_equal(wr_intern_find(&intern, text, sizeof text - 2, 1), WR_INTERN_NONE);
    wr_intern_fini(&intern);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colliding_texts_stay_apart),
        cmocka_unit_test(hashes_with_equal_halves_stay_apart),
        cmocka_unit_test(a_text_has_a_largest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
