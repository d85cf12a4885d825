/* The series table against a plain array; keys against sorting by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/series.h"
#include "tests/support/random.h"

#define MAX_SERIES 700
#define TABLES 20
#define STEPS 3000

/* Short words over a small alphabet: so that equal keys, prefixes and bytes above 127 are common. */
static struct wr_word word_of(struct wr_random *random, char *text) {
    static const char alphabet[] = "ab\xC3\xFF\x01 ";
    struct wr_word word = {text, 1 + wr_random_below(random, 3)};
    for (size_t i = 0; i < word.len; i++)
        text[i] = alphabet[wr_random_below(random, sizeof alphabet - 1)];
    return word;
}

static int by_name(const void *a, const void *b) {
    const struct wr_tag *left = a;
    const struct wr_tag *right = b;
    char names[2][8] = {{0}};
    memcpy(names[0], left->name.text, left->name.len);
    memcpy(names[1], right->name.text, right->name.len);
    return strcmp(names[0], names[1]);
}

/* The key as the model makes it. 0: it has a tag twice. */
static size_t model_key(struct wr_word measurement, struct wr_word field, struct wr_tag *tags, size_t n, char *key) {
    size_t len = 0;
    struct wr_word words[2 + 2 * 4] = {measurement, field};
    if (n > 1)
        qsort(tags, n, sizeof *tags, by_name);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && by_name(&tags[i - 1], &tags[i]) == 0)
            return 0;
        words[2 + 2 * i] = tags[i].name;
        words[3 + 2 * i] = tags[i].value;
    }
    for (size_t i = 0; i < 2 + 2 * n; i++) {
        memcpy(key + len, words[i].text, words[i].len);
        key[len + words[i].len] = '\0';
        len += words[i].len + 1;
    }
    return len;
}

static size_t random_key(struct wr_random *random, char *key) {
    char texts[10][4];
    struct wr_tag tags[4];
    struct wr_tag again[4];
    size_t n = wr_random_below(random, 5);
    struct wr_word measurement = word_of(random, texts[0]);
    struct wr_word field = word_of(random, texts[1]);
    for (size_t i = 0; i < n; i++)
        again[i] = tags[i] = (struct wr_tag){word_of(random, texts[2 + 2 * i]), word_of(random, texts[3 + 2 * i])};
    char expected[64];
    size_t expected_len = model_key(measurement, field, again, n, expected);
    size_t len = 0;
    enum wr_result result = wr_series_key_make(measurement, field, tags, n, key, &len, NULL);
    assert_int_equal(result, expected_len > 0 ? WR_OK : WR_INVALID);
    assert_int_equal(len, expected_len);
    assert_memory_equal(key, expected, len);
    assert_true(len == 0 || wr_series_key_valid(key, len));
    return len;
}

struct model {
    char keys[MAX_SERIES][64];
    size_t lens[MAX_SERIES];
    uint32_t count;
};

static uint32_t model_find(const struct model *model, const char *key, size_t len) {
    for (uint32_t id = 0; id < model->count; id++)
        if (model->lens[id] == len && memcmp(model->keys[id], key, len) == 0)
            return id;
    return WR_SERIES_NONE;
}

static void the_table_is_an_array(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    static struct model model;
    for (int tables = 0; tables < TABLES; tables++) {
        uint32_t max = (uint32_t)wr_random_below(&random, MAX_SERIES + 1);
        struct wr_series_table *table = NULL;
        assert_int_equal(wr_series_table_new(max, &table, NULL), WR_OK);
        model.count = 0;
        for (int step = 0; step < STEPS; step++) {
            char key[WR_SERIES_KEY_BYTES];
            size_t len = random_key(&random, key);
            if (len == 0)
                continue;
            uint32_t expected = model_find(&model, key, len);
            assert_int_equal(wr_series_find(table, key, len), expected);
            if (wr_random_below(&random, 3) == 0)
                continue;
            uint32_t id = WR_SERIES_NONE;
            enum wr_result result = wr_series_intern(table, key, len, &id);
            if (expected == WR_SERIES_NONE && model.count < max) {
                memcpy(model.keys[model.count], key, len);
                model.lens[model.count] = len;
                expected = model.count++;
            }
            assert_int_equal(result, expected != WR_SERIES_NONE ? WR_OK : WR_LIMIT);
            assert_int_equal(id, expected);
            assert_int_equal(wr_series_count(table), model.count);
        }
        for (uint32_t id = 0; id < model.count; id++) {
            const struct wr_series *series = wr_series_get(table, id);
            assert_int_equal(series->key_len, model.lens[id]);
            assert_memory_equal(series->key, model.keys[id], model.lens[id]);
        }
        wr_series_table_free(table);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_table_is_an_array)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
