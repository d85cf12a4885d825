/* Keys from a segment: what is called valid can be walked, shown, built again from its parts, and interned. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/record_json.h"
#include "core/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static struct wr_word word(const char *text) {
    return (struct wr_word){text, strlen(text)};
}

static void show(const char *key, size_t len) {
    char small[16];
    char text[WR_SERIES_KEY_BYTES + 64];
    must(strlen(wr_series_display(small, sizeof small, key, len)) < sizeof small);
    must(strlen(wr_series_display(text, sizeof text, key, len)) < sizeof text);
    struct wr_buf buf;
    struct wr_json json;
    wr_buf_init(&buf, 0);
    wr_json_begin(&json, &buf);
    wr_record_reading_json(&json, key, len, &(struct wr_reading){.type = WR_TYPE_INT}, NULL, 0);
    must(wr_json_end(&json) == WR_OK);
    wr_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *key = malloc(size + 1); /* exactly as large, for the address sanitizer */
    must(key != NULL);
    memcpy(key, data, size);
    if (wr_series_key_valid(key, size)) {
        struct wr_tag tags[WR_SERIES_TAGS];
        size_t n = 0;
        const char *cursor = NULL;
        const char *name;
        const char *value;
        while (wr_series_next_tag(key, size, &cursor, &name, &value)) {
            must(n < WR_SERIES_TAGS);
            must(wr_series_tag(key, size, name) == value);
            tags[n++] = (struct wr_tag){word(name), word(value)};
        }
        for (size_t i = 0; i < n / 2; i++) { /* backwards: it must sort */
            struct wr_tag other = tags[i];
            tags[i] = tags[n - 1 - i];
            tags[n - 1 - i] = other;
        }
        char made[WR_SERIES_KEY_BYTES];
        size_t len = 0;
        must(wr_series_key_make(word(wr_series_measurement(key)), word(wr_series_field(key)), tags, n, made, &len, NULL) == WR_OK);
        must(len == size && memcmp(made, key, len) == 0);

        struct wr_series_table *table = NULL;
        uint32_t id = WR_SERIES_NONE;
        must(wr_series_table_new(1, &table, NULL) == WR_OK);
        must(wr_series_intern(table, key, size, &id) == WR_OK && id == 0);
        must(wr_series_get(table, id)->n_tags == n);
        wr_series_table_free(table);
        show(key, size);
    }
    free(key);
    return 0;
}
