#include "agent/codec/json_mapping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json_scan.h"

/* A mapping being compiled. */
struct compile {
    struct wr_json_mapping *mapping;
    const char *key; /* of the config, and its item, under the hands */
    int index;
    char *names; /* free room */
    struct wr_error *err;
};

/* -- room -------------------------------------------------------------------------------------------------------------------------- */

static void count_path(const char *path, size_t *nodes, size_t *bytes) {
    if (!path)
        return;
    *nodes += 1;
    for (const char *p = path; *p; p++)
        *nodes += *p == '.';
    *bytes += 2 * strlen(path) + 2; /* once as names, once joined */
}

static void count_paths(char *const *paths, unsigned n, size_t *nodes, size_t *bytes) {
    for (unsigned i = 0; i < n; i++)
        count_path(paths[i], nodes, bytes);
}

/* Room for all of it at once, so that nothing moves. */
static enum wr_result make_room(struct compile *compile) {
    const struct wr_config_json *config = compile->mapping->config;
    size_t nodes = 3;
    size_t bytes = 1;
    const char *const single[] = {config->records, config->time, config->measurement_path, config->quality};
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        count_path(single[i], &nodes, &bytes);
    count_paths(config->tags, config->n_tags, &nodes, &bytes);
    count_paths(config->fields, config->n_fields, &nodes, &bytes);
    if (nodes > UINT16_MAX || config->n_tags + config->n_fields + 3 > WR_JSON_MAPPING_SLOTS)
        return wr_error_set(compile->err, WR_LIMIT, "more than %d paths", WR_JSON_MAPPING_SLOTS);
    struct wr_json_mapping *mapping = compile->mapping;
    mapping->nodes = calloc(nodes, sizeof *mapping->nodes);
    mapping->slots = calloc(config->n_tags + config->n_fields + 4, sizeof *mapping->slots);
    mapping->names = malloc(bytes);
    compile->names = mapping->names;
    if (!mapping->nodes || !mapping->slots || !mapping->names)
        return wr_error_set(compile->err, WR_NO_MEMORY, "no memory for the mapping");
    return WR_OK;
}

/* -- paths ------------------------------------------------------------------------------------------------------------------------- */

static uint16_t child_named(const struct wr_json_mapping *mapping, uint16_t node, const char *name, size_t len) {
    uint16_t child = mapping->nodes[node].child;
    while (child != 0 && (mapping->nodes[child].name.len != len || memcmp(mapping->nodes[child].name.text, name, len) != 0))
        child = mapping->nodes[child].sibling;
    return child;
}

static uint16_t add_child(struct wr_json_mapping *mapping, uint16_t node, struct wr_word name) {
    const uint16_t child = ++mapping->n_nodes;
    mapping->nodes[child].name = name;
    mapping->nodes[child].sibling = mapping->nodes[node].child;
    mapping->nodes[node].child = child;
    return child;
}

/* Walks the path [p, end) from a node on, and makes what is missing. The names of the path go to *joined, if it is not NULL. */
static enum wr_result walk_path(struct compile *compile, const char *p, const char *end, uint16_t *node, struct wr_word *joined) {
    const char *whole = p;
    const size_t bytes = (size_t)(end - p);
    char *join = compile->names + bytes;
    const char *join_start = join;
    for (;; p++) {
        char *name = compile->names;
        for (; p < end && *p != '.'; p++) {
            if (*p == '\\' && p + 1 < end && (p[1] == '.' || p[1] == '\\'))
                p++;
            *compile->names++ = *p;
        }
        const size_t len = (size_t)(compile->names - name);
        if (len == 0)
            return wr_error_set(compile->err, WR_INVALID, "'%.*s' is no path: a name is empty (write data.temp; \\. for a dot in a name)",
                                (int)bytes, whole);
        uint16_t child = child_named(compile->mapping, *node, name, len);
        if (child == 0)
            child = add_child(compile->mapping, *node, (struct wr_word){name, len});
        *node = child;
        if (join > join_start)
            *join++ = '_';
        memcpy(join, name, len);
        join += len;
        if (p >= end)
            break;
    }
    if (joined)
        *joined = (struct wr_word){join_start, (size_t)(join - join_start)};
    compile->names = join;
    return WR_OK;
}

static enum wr_result add_slot(struct compile *compile, uint16_t node, struct wr_json_slot slot) {
    struct wr_json_mapping *mapping = compile->mapping;
    const uint16_t number = ++mapping->n_slots;
    slot.number = number;
    slot.next = mapping->nodes[node].slot;
    mapping->slots[number] = slot;
    mapping->nodes[node].slot = number;
    return WR_OK;
}

/* A path of one meaning; a leading `$.` begins at the root. */
static enum wr_result add_path(struct compile *compile, const char *path, const char *end, struct wr_json_slot slot) {
    struct wr_json_mapping *mapping = compile->mapping;
    uint16_t node = mapping->record;
    if (end - path >= 2 && path[0] == '$' && path[1] == '.') {
        if (slot.role == WR_JSON_FIELD)
            return wr_error_set(compile->err, WR_INVALID, "'%.*s': fields are looked for in the records only", (int)(end - path), path);
        path += 2;
        node = mapping->root;
        slot.of_root = mapping->has_envelope;
    }
    struct wr_word joined;
    WR_TRY(walk_path(compile, path, end, &node, &joined));
    if (!slot.name.text)
        slot.name = joined;
    return add_slot(compile, node, slot);
}

static enum wr_result add_single(struct compile *compile, const char *key, const char *path, enum wr_json_role role) {
    compile->key = key;
    compile->index = -1;
    if (!path)
        return WR_OK;
    return add_path(compile, path, path + strlen(path), (struct wr_json_slot){.role = (uint8_t)role});
}

/* -- items of lists ---------------------------------------------------------------------------------------------------------------- */

static bool same_word(struct wr_word a, struct wr_word b) {
    return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static struct wr_word constant_name(const char *item) {
    return (struct wr_word){item, strcspn(item, "=")};
}

/* The last slot has the name of an earlier one of its role, or of a constant tag. */
static enum wr_result refuse_twice(struct compile *compile) {
    const struct wr_json_mapping *mapping = compile->mapping;
    const struct wr_json_slot *last = &mapping->slots[mapping->n_slots];
    bool twice = false;
    for (const struct wr_json_slot *slot = &mapping->slots[1]; slot < last; slot++) {
        const bool measurement = slot->role == WR_JSON_WORD && slot->word == 0;
        twice = twice || (slot->role == last->role && !measurement && same_word(slot->name, last->name));
    }
    for (unsigned i = 0; last->role == WR_JSON_WORD && i < mapping->config->n_constant_tags; i++)
        twice = twice || same_word(constant_name(mapping->config->constant_tags[i]), last->name);
    return !twice ? WR_OK
                  : wr_error_set(compile->err, WR_INVALID, "two %s are called '%.*s'", last->role == WR_JSON_WORD ? "tags" : "fields",
                                 (int)last->name.len, last->name.text);
}

/* The place of `=` that ends a name; a name has no `=`. NULL: the item is a path alone. */
static enum wr_result split_name(struct compile *compile, const char *item, const char **ret_path, struct wr_word *ret_name) {
    const char *equals = strchr(item, '=');
    *ret_path = equals ? equals + 1 : item;
    *ret_name = equals ? (struct wr_word){item, (size_t)(equals - item)} : (struct wr_word){NULL, 0};
    if (equals == item)
        return wr_error_set(compile->err, WR_INVALID, "'%s': write a path, or name=path", item);
    return WR_OK;
}

static enum wr_result add_tag(struct compile *compile, const char *item) {
    struct wr_json_slot slot = {.role = WR_JSON_WORD, .word = compile->mapping->n_words};
    const char *path;
    if (compile->mapping->n_words + compile->mapping->config->n_constant_tags == WR_JSON_MAPPING_WORDS)
        return wr_error_set(compile->err, WR_LIMIT, "more than %d tags", WR_SERIES_TAGS);
    WR_TRY(split_name(compile, item, &path, &slot.name));
    WR_TRY(add_path(compile, path, path + strlen(path), slot));
    compile->mapping->n_words++;
    return refuse_twice(compile);
}

/* A type behind the last colon, if it is one. Returns the end of the path. */
static const char *split_type(const char *path, uint8_t *ret_type) {
    static const enum wr_type types[] = {WR_TYPE_FLOAT, WR_TYPE_INT, WR_TYPE_UINT, WR_TYPE_BOOL, WR_TYPE_SYMBOL};
    const char *colon = strrchr(path, ':');
    for (size_t i = 0; colon && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(colon + 1, wr_type_name(types[i])) == 0) {
            *ret_type = (uint8_t)types[i];
            return colon;
        }
    }
    return path + strlen(path);
}

static enum wr_result add_field(struct compile *compile, const char *item) {
    struct wr_json_slot slot = {.role = WR_JSON_FIELD};
    const char *path;
    WR_TRY(split_name(compile, item, &path, &slot.name));
    const char *end = split_type(path, &slot.type);
    WR_TRY(add_path(compile, path, end, slot));
    return refuse_twice(compile);
}

static enum wr_result add_list(struct compile *compile, const char *key, char *const *items, unsigned n,
                               enum wr_result (*add)(struct compile *compile, const char *item)) {
    compile->key = key;
    for (unsigned i = 0; i < n; i++) {
        compile->index = (int)i;
        WR_TRY(add(compile, items[i]));
    }
    compile->index = -1;
    return WR_OK;
}

static enum wr_result check_constant(struct compile *compile, const char *item) {
    const struct wr_word name = constant_name(item);
    if (compile->index >= WR_SERIES_TAGS)
        return wr_error_set(compile->err, WR_LIMIT, "more than %d tags", WR_SERIES_TAGS);
    if (name.len == 0 || item[name.len] != '=' || item[name.len + 1] == '\0')
        return wr_error_set(compile->err, WR_INVALID, "'%s': a constant tag is name=value", item);
    for (int i = 0; i < compile->index; i++)
        if (same_word(constant_name(compile->mapping->config->constant_tags[i]), name))
            return wr_error_set(compile->err, WR_INVALID, "two tags are called '%.*s'", (int)name.len, name.text);
    return WR_OK;
}

/* -- all of it --------------------------------------------------------------------------------------------------------------------- */

static enum wr_result compile_records(struct compile *compile) {
    struct wr_json_mapping *mapping = compile->mapping;
    compile->key = "records";
    mapping->record = ++mapping->n_nodes;
    mapping->root = mapping->record;
    const char *path = mapping->config->records;
    if (!path)
        return WR_OK;
    mapping->root = ++mapping->n_nodes;
    mapping->has_envelope = true;
    path += path[0] == '$' && path[1] == '.' ? 2 : 0;
    uint16_t node = mapping->root;
    WR_TRY(walk_path(compile, path, path + strlen(path), &node, NULL));
    mapping->nodes[node].records = true;
    return WR_OK;
}

static enum wr_result compile_time(struct compile *compile) {
    struct wr_json_mapping *mapping = compile->mapping;
    const struct wr_config_json *config = mapping->config;
    compile->key = "time_format";
    if (config->time_format && !config->time)
        return wr_error_set(compile->err, WR_INVALID, "'time_format' needs 'time': the path of the member that holds it");
    WR_TRY(wr_time_format_init(&mapping->time, config->time_format, NULL, compile->err));
    wr_time_format_fini(&mapping->time);
    compile->key = "tz";
    WR_TRY(wr_time_format_init(&mapping->time, config->time_format, config->tz, compile->err));
    for (int64_t unit_ns = mapping->time.unit_ns; unit_ns > 1; unit_ns /= 10)
        mapping->time_digits++;
    return add_single(compile, "time", config->time, WR_JSON_TIME);
}

static enum wr_result compile_all(struct compile *compile) {
    struct wr_json_mapping *mapping = compile->mapping;
    const struct wr_config_json *config = mapping->config;
    WR_TRY(make_room(compile));
    WR_TRY(compile_records(compile));
    WR_TRY(compile_time(compile));
    compile->key = "measurement";
    if (config->measurement && config->measurement[0] == '\0')
        return wr_error_set(compile->err, WR_INVALID, "the measurement has no name");
    mapping->n_words = 1;
    WR_TRY(add_single(compile, "measurement_path", config->measurement_path, WR_JSON_WORD));
    WR_TRY(add_single(compile, "quality", config->quality, WR_JSON_QUALITY));
    WR_TRY(add_list(compile, "constant_tags", config->constant_tags, config->n_constant_tags, check_constant));
    WR_TRY(add_list(compile, "tags", config->tags, config->n_tags, add_tag));
    WR_TRY(add_list(compile, "fields", config->fields, config->n_fields, add_field));
    mapping->any_field = config->n_fields == 0;
    return WR_OK;
}

enum wr_result wr_json_mapping_init(struct wr_json_mapping *mapping, const struct wr_config_json *config, const char **ret_key,
                                    int *ret_index, struct wr_error *err) {
    *mapping = (struct wr_json_mapping){.config = config};
    struct compile compile = {.mapping = mapping, .key = "fields", .index = -1, .err = err};
    enum wr_result result = compile_all(&compile);
    *ret_key = compile.key;
    *ret_index = compile.index;
    if (result != WR_OK)
        wr_json_mapping_fini(mapping);
    return result;
}

void wr_json_mapping_fini(struct wr_json_mapping *mapping) {
    wr_time_format_fini(&mapping->time);
    free(mapping->nodes);
    free(mapping->slots);
    free(mapping->names);
    mapping->nodes = NULL;
    mapping->slots = NULL;
    mapping->names = NULL;
}

/* -- finding members --------------------------------------------------------------------------------------------------------------- */

uint16_t wr_json_mapping_member(const struct wr_json_mapping *mapping, uint16_t node, struct wr_word quoted) {
    if (node == 0 || mapping->nodes[node].child == 0)
        return 0;
    const char *name = quoted.text + 1;
    size_t len = quoted.len - 2;
    char resolved[256];
    if (memchr(name, '\\', len)) { /* no longer than written */
        if (len > sizeof resolved || wr_json_unescape(name, len, resolved, &len))
            return 0;
        name = resolved;
    }
    return child_named(mapping, node, name, len);
}

uint16_t wr_json_mapping_element(const struct wr_json_mapping *mapping, uint16_t node, uint32_t index) {
    if (node == 0 || mapping->nodes[node].child == 0)
        return 0;
    char name[16];
    const int len = snprintf(name, sizeof name, "%u", (unsigned)index);
    return child_named(mapping, node, name, (size_t)len);
}
