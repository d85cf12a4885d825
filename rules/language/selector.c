#include "rules/language/selector.h"

#include <string.h>

#include "core/series.h"
#include "core/utf8.h"

/* The text under the knife: words are cut out of it by NULs. */
struct cutter {
    char *text;
    size_t len;
    size_t at;
    size_t *ret_at;
    struct wr_error *err;
};

static enum wr_result refuse(struct cutter *cutter, size_t at, const char *what) {
    if (cutter->ret_at)
        *cutter->ret_at = at;
    return wr_error_set(cutter->err, WR_INVALID, "%s", what);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static void skip_space(struct cutter *cutter) {
    while (cutter->at < cutter->len && is_space(cutter->text[cutter->at]))
        cutter->at++;
}

static char here(const struct cutter *cutter) {
    return cutter->at < cutter->len ? cutter->text[cutter->at] : '\0';
}

/* Cuts a word that ends before one of `ends`, spaces around it left out. A word in double quotes may hold anything but a quote. The NUL
 * falls on a space, a quote or the end character, so the caller looks at that one first: it is returned in *ret_end. */
static enum wr_result cut_word(struct cutter *cutter, const char *ends, const char *missing, const char **ret_word, char *ret_end) {
    skip_space(cutter);
    size_t start = cutter->at;
    size_t stop;
    if (here(cutter) == '"') {
        start++;
        const char *quote = memchr(cutter->text + start, '"', cutter->len - start);
        if (!quote)
            return refuse(cutter, start - 1, "the closing quote is missing");
        stop = (size_t)(quote - cutter->text);
        cutter->at = stop + 1;
        skip_space(cutter);
        if (cutter->at < cutter->len && !strchr(ends, here(cutter)))
            return refuse(cutter, cutter->at, "text after the closing quote");
    } else {
        while (cutter->at < cutter->len && !strchr(ends, here(cutter))) {
            if (strchr("\"{}", here(cutter)))
                return refuse(cutter, cutter->at, "a word with one of \" { } , = ! ~ in it must stand in double quotes");
            cutter->at++;
        }
        stop = cutter->at;
        while (stop > start && is_space(cutter->text[stop - 1]))
            stop--;
    }
    if (stop == start)
        return refuse(cutter, start, missing);
    *ret_end = here(cutter);
    cutter->text[stop] = '\0';
    *ret_word = cutter->text + start;
    return WR_OK;
}

/* `=`, `!=`, `=~` or `!~`; the first character was perhaps cut off already, so it is given. */
static enum wr_result parse_operator(struct cutter *cutter, char first, enum wr_selector_op *ret_op) {
    size_t start = cutter->at;
    if (first != '=' && first != '!')
        return refuse(cutter, start, "expected =, !=, =~ or !~ after the name of a tag");
    cutter->at++;
    char second = here(cutter);
    if (first == '=') {
        *ret_op = second == '~' ? WR_SELECTOR_GLOB : WR_SELECTOR_EQUAL;
        cutter->at += second == '~';
        return second == '=' ? refuse(cutter, start, "a tag is compared with one =") : WR_OK;
    }
    if (second != '=' && second != '~')
        return refuse(cutter, start, "expected != or !~");
    *ret_op = second == '=' ? WR_SELECTOR_NOT_EQUAL : WR_SELECTOR_NOT_GLOB;
    cutter->at++;
    return WR_OK;
}

/* {tag=word, ...}: the opening brace is behind us. */
static enum wr_result parse_matches(struct cutter *cutter, struct wr_selector *selector) {
    for (;;) {
        if (selector->n_matches == WR_SELECTOR_MATCHES)
            return refuse(cutter, cutter->at, "more than 16 tags in one selector");
        struct wr_selector_match *match = &selector->matches[selector->n_matches];
        char end = '\0';
        WR_TRY(cut_word(cutter, "=!,}", "expected the name of a tag", &match->tag, &end));
        WR_TRY(parse_operator(cutter, end, &match->op));
        WR_TRY(cut_word(cutter, ",}", "expected a value after the operator", &match->word, &end));
        selector->n_matches++;
        if (end == '\0')
            return refuse(cutter, cutter->len, "the closing } is missing");
        cutter->at++;
        if (end == '}')
            return WR_OK;
    }
}

enum wr_result wr_selector_parse(const char *text, size_t len, struct wr_selector *selector, size_t *ret_at, struct wr_error *err) {
    struct cutter cutter = {.text = selector->text, .len = len, .ret_at = ret_at, .err = err};
    if (len >= WR_SELECTOR_BYTES)
        return refuse(&cutter, WR_SELECTOR_BYTES - 1, "longer than 511 bytes");
    memcpy(selector->text, text, len);
    selector->text[len] = '\0';
    selector->n_matches = 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 && text[i] != '\t')
            return refuse(&cutter, i, "a control character in a selector");
    char end = '\0';
    WR_TRY(cut_word(&cutter, "{", "expected a name, as in room_temp or weather.temp{site=riga}", &selector->name, &end));
    selector->name_is_glob = strpbrk(selector->name, "*?") != NULL;
    if (end == '\0')
        return WR_OK;
    cutter.at++;
    WR_TRY(parse_matches(&cutter, selector));
    skip_space(&cutter);
    if (cutter.at < len)
        return refuse(&cutter, cutter.at, "text after the closing }");
    return WR_OK;
}

/* `measurement` where the field is "value", else `measurement.field`. */
static bool name_matches(const struct wr_selector *selector, const char *key) {
    const char *measurement = wr_series_measurement(key);
    const char *field = wr_series_field(key);
    size_t m_len = strlen(measurement);
    bool plain = strcmp(field, "value") == 0;
    if (!selector->name_is_glob) {
        if (strncmp(selector->name, measurement, m_len) != 0)
            return false;
        const char *rest = selector->name + m_len;
        return rest[0] == '\0' ? plain : rest[0] == '.' && strcmp(rest + 1, field) == 0;
    }
    if (plain)
        return wr_glob_match(selector->name, measurement);
    char name[WR_SERIES_KEY_BYTES]; /* the key holds both words and two NULs */
    memcpy(name, measurement, m_len + 1);
    name[m_len] = '.';
    memcpy(name + m_len + 1, field, strlen(field) + 1);
    return wr_glob_match(selector->name, name);
}

bool wr_selector_tag_matches(const struct wr_selector_match *match, const char *value) {
    switch (match->op) {
    case WR_SELECTOR_EQUAL:
        return value && strcmp(value, match->word) == 0;
    case WR_SELECTOR_NOT_EQUAL:
        return !value || strcmp(value, match->word) != 0;
    case WR_SELECTOR_GLOB:
        return value && wr_glob_match(match->word, value);
    case WR_SELECTOR_NOT_GLOB:
        return !value || !wr_glob_match(match->word, value);
    }
    return false;
}

bool wr_selector_matches(const struct wr_selector *selector, const char *key, size_t key_len) {
    if (!name_matches(selector, key))
        return false;
    for (size_t i = 0; i < selector->n_matches; i++)
        if (!wr_selector_tag_matches(&selector->matches[i], wr_series_tag(key, key_len, selector->matches[i].tag)))
            return false;
    return true;
}

/* Bytes of the character at text, a byte that is no UTF-8 counted as one. */
static size_t character(const char *text) {
    size_t bytes = wr_utf8_length(text, strnlen(text, 4));
    return bytes > 0 ? bytes : 1;
}

/* Only the last * can ever have to take one more character: so no recursion, and at most |glob| * |text| steps. */
bool wr_glob_match(const char *glob, const char *text) {
    const char *star = NULL; /* behind the last * seen */
    const char *star_text = NULL;
    while (*text) {
        if (*glob == '*') {
            star = ++glob;
            star_text = text;
        } else if (*glob == '?') {
            glob++;
            text += character(text);
        } else if (*glob == *text) {
            glob++;
            text++;
        } else if (star) {
            glob = star;
            star_text += character(star_text);
            text = star_text;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}
