#include "agent/config/config_diff.h"

#include <stdio.h>
#include <string.h>

#include "agent/config/config_private.h"

/* ---- are two records equal? by the schema ---- */

static bool equal_texts(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool equal_lists(char *const *a, unsigned n_a, char *const *b, unsigned n_b) {
    if (n_a != n_b)
        return false;
    for (unsigned i = 0; i < n_a; i++)
        if (!equal_texts(a[i], b[i]))
            return false;
    return true;
}

/* A pointer that stands at an offset of a record. */
static const void *pointer_at(const void *record, size_t offset) {
    const void *pointer;
    memcpy(&pointer, (const char *)record + offset, sizeof pointer);
    return pointer;
}

static unsigned count_at(const void *record, size_t offset) {
    unsigned count;
    memcpy(&count, (const char *)record + offset, sizeof count);
    return count;
}

static bool equal_records(const struct wr_yaml_field *fields, const void *a, const void *b);

static bool equal_fields(const struct wr_yaml_field *field, const void *a, const void *b) {
    size_t bytes = sizeof(int64_t);
    switch (field->kind) {
    case WR_YAML_STRING:
        return equal_texts(pointer_at(a, field->offset), pointer_at(b, field->offset));
    case WR_YAML_STRINGS:
        return equal_lists(pointer_at(a, field->offset), count_at(a, field->count_offset), pointer_at(b, field->offset),
                           count_at(b, field->count_offset));
    case WR_YAML_RECORD:
        return equal_records(field->fields, pointer_at(a, field->offset), pointer_at(b, field->offset));
    case WR_YAML_RECORDS: /* only at the top: compared by name */
        return true;
    case WR_YAML_BOOL:
        bytes = sizeof(bool);
        break;
    case WR_YAML_ENUM:
        bytes = sizeof(int);
        break;
    case WR_YAML_COUNT:
        bytes = sizeof(uint32_t);
        break;
    case WR_YAML_INT:
    case WR_YAML_FLOAT:
    case WR_YAML_DURATION:
    case WR_YAML_SIZE:
        break;
    }
    return memcmp((const char *)a + field->offset, (const char *)b + field->offset, bytes) == 0;
}

/* The key of the first difference, or NULL. Both or none may be absent. */
static const char *first_difference(const struct wr_yaml_field *fields, const void *a, const void *b) {
    for (const struct wr_yaml_field *field = fields; a && b && field->key; field++)
        if (!equal_fields(field, a, b))
            return field->key;
    return a && b ? NULL : !a && !b ? NULL : "";
}

static bool equal_records(const struct wr_yaml_field *fields, const void *a, const void *b) {
    return first_difference(fields, a, b) == NULL;
}

static const struct wr_yaml_field *fields_of(const char *section) {
    const struct wr_yaml_field *field = wr_config_fields;
    while (strcmp(field->key, section) != 0)
        field++;
    return field->fields;
}

/* ---- what differs ---- */

/* A section that a running agent cannot change. */
static enum wr_result check_fixed(const char *section, const void *before, const void *after, struct wr_error *err) {
    const char *key = first_difference(fields_of(section), before, after);
    return key ? wr_error_set(err, WR_DENIED, "%s.%s needs a restart to change", section, key) : WR_OK;
}

static enum wr_result check_limits(const struct wr_config_limits *before, const struct wr_config_limits *after, struct wr_error *err) {
    if (before->max_series != after->max_series)
        return wr_error_set(err, WR_DENIED, "limits.max_series needs a restart to change");
    if (before->max_symbols != after->max_symbols)
        return wr_error_set(err, WR_DENIED, "limits.max_symbols needs a restart to change");
    if (before->worker_threads != after->worker_threads)
        return wr_error_set(err, WR_DENIED, "limits.worker_threads needs a restart to change");
    return WR_OK;
}

static bool same_limits_of_sources(const struct wr_config_limits *before, const struct wr_config_limits *after) {
    return before->batches == after->batches && before->max_line_bytes == after->max_line_bytes &&
           before->partial_lines_bytes == after->partial_lines_bytes;
}

/* Sources and windows are compared in the same way, by name. */
struct named {
    uint32_t (*count)(const struct wr_config *config);
    const char *(*name)(const struct wr_config *config, uint32_t index);
    bool (*same)(const struct wr_config *before, uint32_t old, const struct wr_config *after, uint32_t now);
};

static uint32_t count_sources(const struct wr_config *config) {
    return config->n_sources;
}

static const char *name_of_source(const struct wr_config *config, uint32_t index) {
    return config->sources[index].name;
}

static bool same_source(const struct wr_config *before, uint32_t old, const struct wr_config *after, uint32_t now) {
    const struct wr_config_source *a = &before->sources[old];
    const struct wr_config_source *b = &after->sources[now];
    return equal_records(wr_config_source_fields, a, b) && same_limits_of_sources(before->limits, after->limits) &&
           equal_texts(before->directory, after->directory) &&
           equal_lists(a->replay.files, a->replay.n_files, b->replay.files, b->replay.n_files);
}

static uint32_t count_windows(const struct wr_config *config) {
    return config->n_windows;
}

static const char *name_of_window(const struct wr_config *config, uint32_t index) {
    return config->windows[index].name;
}

static bool same_window(const struct wr_config *before, uint32_t old, const struct wr_config *after, uint32_t now) {
    return equal_records(fields_of("windows"), &before->window_sections[old], &after->window_sections[now]);
}

static const struct named sources = {count_sources, name_of_source, same_source};
static const struct named windows = {count_windows, name_of_window, same_window};

static uint32_t find(const struct named *named, const struct wr_config *config, const char *name) {
    for (uint32_t i = 0; i < named->count(config); i++)
        if (strcmp(named->name(config, i), name) == 0)
            return i;
    return WR_CONFIG_NO_INDEX;
}

/* Fills items, returns their number. */
static uint32_t compare_named(const struct named *named, const struct wr_config *before, const struct wr_config *after,
                              struct wr_config_diff_item *items, bool *moved) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < named->count(after); i++) {
        struct wr_config_diff_item item = {named->name(after, i), WR_CONFIG_ADDED, WR_CONFIG_NO_INDEX, i};
        item.before = find(named, before, item.name);
        if (item.before != WR_CONFIG_NO_INDEX)
            item.change = named->same(before, item.before, after, i) ? WR_CONFIG_SAME : WR_CONFIG_CHANGED;
        *moved = *moved || (item.before != WR_CONFIG_NO_INDEX && item.before != i);
        items[n++] = item;
    }
    for (uint32_t i = 0; i < named->count(before); i++)
        if (find(named, after, named->name(before, i)) == WR_CONFIG_NO_INDEX)
            items[n++] = (struct wr_config_diff_item){named->name(before, i), WR_CONFIG_REMOVED, i, WR_CONFIG_NO_INDEX};
    return n;
}

static enum wr_config_change compare_optional(const char *section, const void *before, const void *after) {
    if (!before || !after)
        return before ? WR_CONFIG_REMOVED : after ? WR_CONFIG_ADDED : WR_CONFIG_SAME;
    return equal_records(fields_of(section), before, after) ? WR_CONFIG_SAME : WR_CONFIG_CHANGED;
}

static bool same_secrets(const struct wr_config *a, const struct wr_config *b) {
    if (a->n_secrets != b->n_secrets)
        return false;
    for (unsigned i = 0; i < a->n_secrets; i++)
        if (!equal_texts(a->secrets[i].name, b->secrets[i].name) || !equal_texts(a->secrets[i].file, b->secrets[i].file))
            return false;
    return true;
}

/* What rule files may do. */
static bool same_permissions(const struct wr_config *a, const struct wr_config *b) {
    return equal_lists(a->exec_allow, a->n_exec_allow, b->exec_allow, b->n_exec_allow) &&
           equal_lists(a->file_allow, a->n_file_allow, b->file_allow, b->n_file_allow) &&
           equal_lists(a->http_allow, a->n_http_allow, b->http_allow, b->n_http_allow) && same_secrets(a, b);
}

enum wr_result wr_config_compare(const struct wr_config *before, const struct wr_config *after, struct wr_config_diff *ret_diff,
                                 struct wr_error *err) {
    WR_TRY(check_fixed("node", before->node, after->node, err));
    WR_TRY(check_fixed("store", before->store, after->store, err));
    WR_TRY(check_fixed("control", before->control, after->control, err));
    WR_TRY(check_limits(before->limits, after->limits, err));
    memset(ret_diff, 0, sizeof *ret_diff);
    ret_diff->n_sources = compare_named(&sources, before, after, ret_diff->sources, &ret_diff->other);
    ret_diff->n_windows = compare_named(&windows, before, after, ret_diff->windows, &ret_diff->other);
    ret_diff->uplink = compare_optional("uplink", before->uplink, after->uplink);
    ret_diff->http = compare_optional("http", before->http, after->http);
    ret_diff->rules = !equal_lists(before->rule_files, before->n_rule_files, after->rule_files, after->n_rule_files) ||
                      !same_permissions(before, after) || before->limits->max_instances != after->limits->max_instances;
    ret_diff->log = !equal_records(fields_of("log"), before->log, after->log);
    ret_diff->other = ret_diff->other || before->limits->stop_deadline_ns != after->limits->stop_deadline_ns;
    return WR_OK;
}

static bool all_same(const struct wr_config_diff_item *items, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (items[i].change != WR_CONFIG_SAME)
            return false;
    return true;
}

bool wr_config_diff_is_empty(const struct wr_config_diff *diff) {
    return all_same(diff->sources, diff->n_sources) && all_same(diff->windows, diff->n_windows) && diff->uplink == WR_CONFIG_SAME &&
           diff->http == WR_CONFIG_SAME && !diff->rules && !diff->log && !diff->other;
}

/* ---- in words ---- */

struct words {
    char *text;
    size_t size;
    size_t len;
};

static void say(struct words *words, const char *before, const char *word) {
    if (words->len >= words->size)
        return;
    int wrote = snprintf(words->text + words->len, words->size - words->len, "%s%s", before, word);
    words->len += wrote > 0 ? (size_t)wrote : 0;
}

static void say_items(struct words *words, const char *what, const struct wr_config_diff_item *items, uint32_t n) {
    static const char *const signs[] = {[WR_CONFIG_ADDED] = " +", [WR_CONFIG_REMOVED] = " -", [WR_CONFIG_CHANGED] = " ~"};
    bool first = true;
    for (uint32_t i = 0; i < n; i++) {
        if (items[i].change == WR_CONFIG_SAME)
            continue;
        if (first)
            say(words, words->len > 0 ? "; " : "", what);
        first = false;
        say(words, signs[items[i].change], items[i].name);
    }
}

char *wr_config_diff_describe(char *text, size_t size, const struct wr_config_diff *diff) {
    struct words words = {.text = text, .size = size};
    text[0] = '\0';
    say_items(&words, "sources:", diff->sources, diff->n_sources);
    say_items(&words, "windows:", diff->windows, diff->n_windows);
    const struct {
        bool differs;
        const char *name;
    } sections[] = {{diff->uplink != WR_CONFIG_SAME, "uplink"},
                    {diff->http != WR_CONFIG_SAME, "http"},
                    {diff->rules, "rules"},
                    {diff->log, "log"},
                    {diff->other, "order or limits"}};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (sections[i].differs)
            say(&words, words.len > 0 ? "; " : "", sections[i].name);
    if (words.len == 0)
        say(&words, "", "nothing");
    return text;
}
