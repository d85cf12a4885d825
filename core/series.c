#include "core/series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/intern.h"
#include "core/utf8.h"

/* The table is the interning mechanism with struct wr_series as its entry: the head ends where key_len begins. */
struct wr_series_table {
    struct wr_intern keys;
};

#define HEAD_BYTES offsetof(struct wr_series, key_len)
_Static_assert(offsetof(struct wr_series, key) == HEAD_BYTES + sizeof(uint16_t), "the key stands right behind its length");
_Static_assert(_Alignof(struct wr_series) <= 8, "entries are aligned to 8 bytes");
_Static_assert(WR_SERIES_NONE == WR_INTERN_NONE, "no series is no entry");

/* Bytewise, the shorter first: the order that strcmp gives the finished words. */
static int compare_words(struct wr_word a, struct wr_word b) {
    int order = memcmp(a.text, b.text, a.len < b.len ? a.len : b.len);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

/* At most 32, and most senders sort already: insertion is the fastest there is. */
static void sort_tags(struct wr_tag *tags, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct wr_tag moving = tags[i];
        size_t at = i;
        for (; at > 0 && compare_words(tags[at - 1].name, moving.name) > 0; at--)
            tags[at] = tags[at - 1];
        tags[at] = moving;
    }
}

static enum wr_result put_word(char *key, size_t *len, struct wr_word word, const char *what, struct wr_error *err) {
    if (word.len == 0)
        return wr_error_set(err, WR_INVALID, "empty %s", what);
    if (word.len >= WR_SERIES_KEY_BYTES - *len)
        return wr_error_set(err, WR_LIMIT, "measurement, field and tags together are longer than %d bytes", WR_SERIES_KEY_BYTES);
    if (memchr(word.text, '\0', word.len))
        return wr_error_set(err, WR_INVALID, "NUL byte in the %s", what);
    memcpy(key + *len, word.text, word.len);
    *len += word.len;
    key[(*len)++] = '\0';
    return WR_OK;
}

enum wr_result wr_series_key_make(struct wr_word measurement, struct wr_word field, struct wr_tag *tags, size_t n_tags, char *key,
                                  size_t *ret_len, struct wr_error *err) {
    if (n_tags > WR_SERIES_TAGS)
        return wr_error_set(err, WR_LIMIT, "%zu tags: at most %d", n_tags, WR_SERIES_TAGS);
    sort_tags(tags, n_tags);
    size_t len = 0;
    WR_TRY(put_word(key, &len, measurement, "measurement", err));
    WR_TRY(put_word(key, &len, field, "field name", err));
    for (size_t i = 0; i < n_tags; i++) {
        if (i > 0 && compare_words(tags[i - 1].name, tags[i].name) == 0) {
            char name[64];
            wr_error_escape(name, sizeof name, tags[i].name.text, tags[i].name.len);
            return wr_error_set(err, WR_INVALID, "tag '%s' twice", name);
        }
        WR_TRY(put_word(key, &len, tags[i].name, "tag name", err));
        WR_TRY(put_word(key, &len, tags[i].value, "tag value", err));
    }
    *ret_len = len;
    return WR_OK;
}

_Bool wr_series_key_valid(const char *key, size_t len) {
    if (len == 0 || len > WR_SERIES_KEY_BYTES || key[len - 1] != '\0')
        return 0;
    size_t words = 0;
    const char *previous_name = NULL;
    for (const char *word = key; word < key + len; word += strlen(word) + 1) {
        if (*word == '\0')
            return 0;
        if (words >= 2 && words % 2 == 0) { /* a tag name */
            if (previous_name && strcmp(previous_name, word) >= 0)
                return 0;
            previous_name = word;
        }
        words++;
    }
    return words >= 2 && words % 2 == 0 && words <= 2 + 2 * WR_SERIES_TAGS;
}

static uint8_t count_tags(const char *key, size_t len) {
    size_t words = 0;
    for (const char *word = key; word < key + len; word += strlen(word) + 1)
        words++;
    return (uint8_t)((words - 2) / 2);
}

static void made(void *entry, uint32_t id, uint64_t hash) {
    struct wr_series *series = entry;
    series->id = id;
    series->hash = hash;
    atomic_init(&series->type, WR_TYPE_NONE);
    series->n_tags = count_tags(series->key, series->key_len);
}

enum wr_result wr_series_table_new(uint32_t max_series, struct wr_series_table **ret_table, struct wr_error *err) {
    struct wr_series_table *table = calloc(1, sizeof *table);
    if (!table || wr_intern_init(&table->keys, max_series, HEAD_BYTES, made) != WR_OK) {
        free(table);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a table of %u series", max_series);
    }
    *ret_table = table;
    return WR_OK;
}

void wr_series_table_free(struct wr_series_table *table) {
    if (!table)
        return;
    wr_intern_fini(&table->keys);
    free(table);
}

enum wr_result wr_series_intern(struct wr_series_table *table, const char *key, size_t len, uint32_t *ret_id) {
    assert(wr_series_key_valid(key, len));
    return wr_intern_put(&table->keys, key, len, XXH3_64bits(key, len), ret_id);
}

uint32_t wr_series_find(const struct wr_series_table *table, const char *key, size_t len) {
    return wr_intern_find(&table->keys, key, len, XXH3_64bits(key, len));
}

struct wr_series *wr_series_get(const struct wr_series_table *table, uint32_t id) {
    struct wr_series *series = wr_intern_get(&table->keys, id);
    assert(series);
    return series;
}

uint32_t wr_series_count(const struct wr_series_table *table) {
    return wr_intern_count(&table->keys);
}

enum wr_type wr_series_fix_type(struct wr_series *series, enum wr_type type) {
    uint8_t has = atomic_load_explicit(&series->type, memory_order_relaxed);
    if (has == WR_TYPE_NONE &&
        atomic_compare_exchange_strong_explicit(&series->type, &has, (uint8_t)type, memory_order_relaxed, memory_order_relaxed))
        return type;
    return (enum wr_type)has;
}

const char *wr_series_measurement(const char *key) {
    return key;
}

const char *wr_series_field(const char *key) {
    return key + strlen(key) + 1;
}

_Bool wr_series_next_tag(const char *key, size_t len, const char **cursor, const char **ret_name, const char **ret_value) {
    const char *name = *cursor;
    if (!name) {
        name = wr_series_field(key);
        name += strlen(name) + 1;
    }
    if (name >= key + len)
        return 0;
    const char *value = name + strlen(name) + 1;
    *ret_name = name;
    *ret_value = value;
    *cursor = value + strlen(value) + 1;
    return 1;
}

const char *wr_series_tag(const char *key, size_t len, const char *name) {
    const char *cursor = NULL;
    const char *tag;
    const char *value;
    while (wr_series_next_tag(key, len, &cursor, &tag, &value)) {
        int order = strcmp(tag, name);
        if (order == 0)
            return value;
        if (order > 0)
            break; /* they are sorted */
    }
    return NULL;
}

/* Appends text to a display of size bytes, as much of it as fits. */
static size_t put(char *into, size_t size, size_t at, const char *text) {
    wr_utf8_copy(into + at, size - at, text);
    return at + strlen(into + at);
}

char *wr_series_display(char *text, size_t size, const char *key, size_t len) {
    if (size == 0)
        return text;
    size_t at = put(text, size, 0, wr_series_measurement(key));
    if (strcmp(wr_series_field(key), "value") != 0) {
        at = put(text, size, at, ".");
        at = put(text, size, at, wr_series_field(key));
    }
    const char *cursor = NULL;
    const char *name;
    const char *value;
    const char *before = "{";
    while (wr_series_next_tag(key, len, &cursor, &name, &value)) {
        at = put(text, size, at, before);
        at = put(text, size, at, name);
        at = put(text, size, at, "=");
        at = put(text, size, at, value);
        before = ",";
    }
    if (cursor)
        put(text, size, at, "}");
    return text;
}

size_t wr_series_table_bytes(uint32_t max_series, size_t key_bytes) {
    return sizeof(struct wr_series_table) + wr_intern_bytes(max_series, HEAD_BYTES, key_bytes);
}
