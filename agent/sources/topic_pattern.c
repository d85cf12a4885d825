#include "agent/sources/topic_pattern.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

#define SHARE "$share/"

/* ---- compiling ---- */

static bool is_name(struct wr_word word) {
    for (size_t i = 0; i < word.len; i++) {
        char c = word.text[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        if (!fits)
            return false;
    }
    return word.len > 0;
}

static bool is_word(struct wr_word word, const char *text) {
    return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

static bool has_tag(const struct wr_topic_pattern *pattern, struct wr_word name) {
    for (size_t i = 0; i < pattern->n_levels; i++) {
        const struct wr_topic_level *level = &pattern->levels[i];
        if (level->kind == WR_TOPIC_TAG && level->word.len == name.len && memcmp(level->word.text, name.text, name.len) == 0)
            return true;
    }
    return false;
}

static enum wr_result twice(struct wr_word name, struct wr_error *err) {
    return wr_error_set(err, WR_INVALID, "{%.*s} stands twice", (int)name.len, name.text);
}

static enum wr_result add_placeholder(struct wr_topic_pattern *pattern, struct wr_word level, struct wr_error *err) {
    struct wr_word name = {level.text + 1, level.len - 2};
    bool closed = level.len >= 2 && level.text[level.len - 1] == '}';
    if (!closed || !is_name(name))
        return wr_error_set(err, WR_INVALID, "'%.*s': a placeholder is a whole level, {name}, of A-Z a-z 0-9 . _ -", (int)level.len,
                            level.text);
    enum wr_topic_level_kind kind = WR_TOPIC_TAG;
    if (is_word(name, "measurement")) {
        if (pattern->has_measurement)
            return twice(name, err);
        pattern->has_measurement = true;
        kind = WR_TOPIC_MEASUREMENT;
    } else if (is_word(name, "field")) {
        if (pattern->has_field)
            return twice(name, err);
        pattern->has_field = true;
        kind = WR_TOPIC_FIELD;
    } else if (has_tag(pattern, name)) {
        return twice(name, err);
    }
    pattern->levels[pattern->n_levels++] = (struct wr_topic_level){kind, name};
    return WR_OK;
}

static enum wr_result add_level(struct wr_topic_pattern *pattern, struct wr_word level, bool last, struct wr_error *err) {
    if (pattern->n_levels == WR_TOPIC_PATTERN_LEVELS)
        return wr_error_set(err, WR_INVALID, "more than %d levels", WR_TOPIC_PATTERN_LEVELS);
    if (level.len > 0 && level.text[0] == '{')
        return add_placeholder(pattern, level, err);
    enum wr_topic_level_kind kind = is_word(level, "+") ? WR_TOPIC_ANY : is_word(level, "#") ? WR_TOPIC_REST : WR_TOPIC_LITERAL;
    if (kind == WR_TOPIC_REST && !last)
        return wr_error_set(err, WR_INVALID, "'#' stands for the rest of a topic: only at the end");
    for (size_t i = 0; kind == WR_TOPIC_LITERAL && i < level.len; i++)
        if (strchr("+#{}", level.text[i]))
            return wr_error_set(err, WR_INVALID, "'%.*s': +, # and {name} stand for a whole level", (int)level.len, level.text);
    pattern->levels[pattern->n_levels++] = (struct wr_topic_level){kind, level};
    return WR_OK;
}

static enum wr_result check_text(const char *text, size_t len, struct wr_error *err) {
    if (len == 0)
        return wr_error_set(err, WR_INVALID, "an empty topic");
    if (len > WR_TOPIC_PATTERN_BYTES)
        return wr_error_set(err, WR_INVALID, "longer than %d bytes", WR_TOPIC_PATTERN_BYTES);
    for (size_t i = 0; i < len;) {
        size_t n = wr_utf8_length(text + i, len - i);
        if (n == 0 || (unsigned char)text[i] < 0x20)
            return wr_error_set(err, WR_INVALID, "not a topic: control characters, or no UTF-8");
        i += n;
    }
    return WR_OK;
}

/* Behind "$share/GROUP/", or all of it. */
static enum wr_result skip_share(const char *text, const char **ret_from, struct wr_error *err) {
    *ret_from = text;
    if (strncmp(text, SHARE, strlen(SHARE)) != 0)
        return WR_OK;
    const char *group = text + strlen(SHARE);
    size_t len = strcspn(group, "/+#{}");
    if (len == 0 || group[len] != '/' || group[len + 1] == '\0')
        return wr_error_set(err, WR_INVALID, "a shared subscription is $share/GROUP/TOPIC");
    *ret_from = group + len + 1;
    return WR_OK;
}

static enum wr_result compile(struct wr_topic_pattern *pattern, struct wr_error *err) {
    const char *at;
    WR_TRY(check_text(pattern->text, strlen(pattern->text), err));
    WR_TRY(skip_share(pattern->text, &at, err));
    char *to = pattern->filter;
    memcpy(to, pattern->text, (size_t)(at - pattern->text));
    to += at - pattern->text;
    for (bool last = false; !last; at++) {
        struct wr_word level = {at, strcspn(at, "/")};
        at += level.len;
        last = *at == '\0';
        WR_TRY(add_level(pattern, level, last, err));
        if (pattern->levels[pattern->n_levels - 1].kind >= WR_TOPIC_TAG)
            level = (struct wr_word){"+", 1};
        memcpy(to, level.text, level.len);
        to += level.len;
        *to++ = last ? '\0' : '/';
    }
    return WR_OK;
}

enum wr_result wr_topic_pattern_init(struct wr_topic_pattern *pattern, const char *text, struct wr_error *err) {
    *pattern = (struct wr_topic_pattern){.text = strdup(text), .filter = malloc(strlen(text) + 1)};
    enum wr_result result =
        pattern->text && pattern->filter ? compile(pattern, err) : wr_error_set(err, WR_NO_MEMORY, "no memory for a topic");
    if (result != WR_OK)
        wr_topic_pattern_fini(pattern);
    return result;
}

void wr_topic_pattern_fini(struct wr_topic_pattern *pattern) {
    free(pattern->text);
    free(pattern->filter);
    pattern->text = pattern->filter = NULL;
}

/* ---- matching ---- */

/* Compares one level; notes what it says. */
static bool match_level(const struct wr_topic_level *level, struct wr_word found, struct wr_topic_match *match) {
    switch (level->kind) {
    case WR_TOPIC_LITERAL:
        return level->word.len == found.len && memcmp(level->word.text, found.text, found.len) == 0;
    case WR_TOPIC_MEASUREMENT:
        match->measurement = found;
        return true;
    case WR_TOPIC_FIELD:
        match->field = found;
        return true;
    case WR_TOPIC_TAG:
        match->tags[match->n_tags++] = (struct wr_tag){level->word, found};
        return true;
    case WR_TOPIC_ANY:
    case WR_TOPIC_REST:
        return true;
    }
    return false;
}

bool wr_topic_pattern_match(const struct wr_topic_pattern *pattern, struct wr_word topic, struct wr_topic_match *ret_match) {
    struct wr_topic_match match;
    match.measurement = match.field = (struct wr_word){"", 0};
    match.n_tags = 0;
    if (topic.len > 0 && topic.text[0] == '$' && pattern->levels[0].kind != WR_TOPIC_LITERAL)
        return false;
    const char *at = topic.text;
    const char *end = topic.text + topic.len;
    bool over = false; /* the topic has no more levels */
    for (size_t i = 0; i < pattern->n_levels; i++) {
        if (pattern->levels[i].kind == WR_TOPIC_REST) { /* matches also nothing: a/# the topic a */
            over = true;
            break;
        }
        if (over)
            return false;
        const char *slash = memchr(at, '/', (size_t)(end - at));
        struct wr_word found = {at, (size_t)((slash ? slash : end) - at)};
        if (!match_level(&pattern->levels[i], found, &match))
            return false;
        over = slash == NULL;
        at = slash ? slash + 1 : end;
    }
    if (!over)
        return false;
    *ret_match = match;
    return true;
}
