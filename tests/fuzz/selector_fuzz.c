/* A selector (first line) and a series key (the rest): parsing never leaves the text, errors have their place, matching ends. */
#include <stdlib.h>
#include <string.h>

#include "core/series.h"
#include "rules/language/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *line = memchr(text, '\n', size);
    size_t len = line ? (size_t)(line - text) : size;
    struct wr_selector selector;
    struct wr_error err;
    size_t at = SIZE_MAX;
    if (wr_selector_parse(text, len, &selector, &at, &err) != WR_OK) {
        if (at > len)
            abort();
        return 0;
    }
    const char *key = line ? line + 1 : "";
    size_t key_len = line ? size - len - 1 : 0;
    if (key_len <= WR_SERIES_KEY_BYTES && wr_series_key_valid(key, key_len))
        (void)wr_selector_matches(&selector, key, key_len);
    return 0;
}
