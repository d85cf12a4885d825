#include <stdlib.h>
#include <string.h>

#include "rules/yaml/yaml.h"

#define SHOWN_BYTES 48

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static const char *skip_space(const char *at) {
    while (is_space(*at))
        at++;
    return at;
}

/* A copy of from..to without the spaces at its end. NULL: no memory. */
static char *copy_trimmed(const char *from, const char *to) {
    while (to > from && is_space(to[-1]))
        to--;
    size_t len = (size_t)(to - from);
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, from, len);
    copy[len] = '\0';
    return copy;
}

/* The value at *at, in double quotes or up to the next comma; *at ends at the comma or the end. */
static enum wr_result parse_value(const char **at, char **ret_value, struct wr_error *err) {
    const char *from = skip_space(*at);
    const char *to;
    if (*from == '"') {
        to = strchr(++from, '"');
        if (!to)
            return wr_error_set(err, WR_INVALID, "the closing quote is missing");
        *at = skip_space(to + 1);
        if (**at != ',' && **at != '\0')
            return wr_error_set(err, WR_INVALID, "expected a comma after the closing quote");
    } else {
        to = from + strcspn(from, ",");
        *at = to;
        if (skip_space(from) == to)
            return wr_error_set(err, WR_INVALID, "expected a value after '='");
    }
    *ret_value = copy_trimmed(from, to);
    return *ret_value ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory");
}

/* One pair at *at, which ends at the comma or the end. What was copied is in *pair, also on error. */
static enum wr_result parse_pair(const char **at, struct wr_yaml_pair *pair, struct wr_error *err) {
    char shown[SHOWN_BYTES];
    const char *from = skip_space(*at);
    const char *to = from + strcspn(from, "=,");
    if (*to != '=') {
        (void)wr_error_set(err, WR_INVALID, "expected key=value at '%s'", wr_error_escape(shown, sizeof shown, from, (size_t)(to - from)));
        return WR_INVALID;
    }
    if (to == from) {
        (void)wr_error_set(err, WR_INVALID, "expected a key before '='");
        return WR_INVALID;
    }
    pair->key = copy_trimmed(from, to);
    if (!pair->key) {
        (void)wr_error_set(err, WR_NO_MEMORY, "no memory");
        return WR_NO_MEMORY;
    }
    *at = to + 1;
    return parse_value(at, &pair->value, err);
}

static bool has_key(const struct wr_yaml_pair *pairs, size_t n, const char *key) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].key, key) == 0)
            return true;
    return false;
}

enum wr_result wr_yaml_pairs(const char *text, struct wr_yaml_pair **ret_pairs, size_t *ret_n, struct wr_error *err) {
    size_t cap = 1;
    for (const char *c = text; *c; c++)
        cap += *c == ',';
    struct wr_yaml_pair *pairs = calloc(cap, sizeof *pairs);
    if (!pairs)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    size_t n = 0;
    enum wr_result result = WR_OK;
    for (const char *at = skip_space(text); *at && result == WR_OK; n++) {
        result = parse_pair(&at, &pairs[n], err);
        if (result == WR_OK && has_key(pairs, n, pairs[n].key))
            result = wr_error_set(err, WR_INVALID, "key '%s' stands twice", pairs[n].key);
        if (result == WR_OK && *at == ',' && *skip_space(++at) == '\0')
            result = wr_error_set(err, WR_INVALID, "expected key=value after the last comma");
    }
    if (result != WR_OK) {
        wr_yaml_pairs_free(pairs, n);
        return result;
    }
    *ret_pairs = pairs;
    *ret_n = n;
    return WR_OK;
}

void wr_yaml_pairs_free(struct wr_yaml_pair *pairs, size_t n) {
    if (!pairs)
        return;
    for (size_t i = 0; i < n; i++) {
        free(pairs[i].key);
        free(pairs[i].value);
    }
    free(pairs);
}
