#include "agent/config/config_part.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config_private.h"

#define NOWHERE UINT_MAX /* not merged */

/* -- its schema ----------------------------------------------------------------------------------------------------------------------------- */

static void free_schema(struct wr_yaml_field *fields) {
    for (struct wr_yaml_field *field = fields; field && field->key; field++)
        free_schema((struct wr_yaml_field *)(uintptr_t)field->fields);
    free(fields);
}

/* A copy in which only names are required. NULL: no memory. */
static struct wr_yaml_field *relax(const struct wr_yaml_field *fields) {
    size_t n = 1;
    for (const struct wr_yaml_field *field = fields; field->key; field++)
        n++;
    struct wr_yaml_field *copy = calloc(n, sizeof *copy);
    for (size_t i = 0; copy && i + 1 < n; i++) {
        copy[i] = fields[i];
        copy[i].required = fields[i].required && strcmp(fields[i].key, "name") == 0;
        copy[i].fields = fields[i].fields ? relax(fields[i].fields) : NULL;
        if (fields[i].fields && !copy[i].fields) {
            copy[i].key = NULL;
            free_schema(copy);
            return NULL;
        }
    }
    return copy;
}

/* -- what it may hold ----------------------------------------------------------------------------------------------------------------------- */

static const char *const sections[] = {"sources", "windows", "limits", NULL};
static const char *const of_limits[] = {"max_instances", "batches", "max_connections", "max_line", "partial_lines", "stop_deadline", NULL};
static const char *const of_sources[] = {
    "name",        "kind",        "format",      "precision",      "json",      "max_connections", "topics",
    "qos",         "measurement", "retained",    "session_expiry", "keepalive", "connect_timeout", "retry_max",
    "receive_max", "buffer",      "max_message", "every",          "max_body",  "bodies",          "collect",
    NULL};

static bool is_among(const char *const *list, const char *key) {
    while (*list && strcmp(*list, key) != 0)
        list++;
    return *list != NULL;
}

static void refuse(const struct wr_config_part *part, struct wr_diagnostics *diagnostics, const char *path, const char *why) {
    wr_yaml_complain(&part->yaml, diagnostics, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NOT_IN_BUNDLE, path, 0, 0, NULL,
                     "'%s' cannot come in a bundle: %s", path, why);
}

static void check_keys(const struct wr_config_part *part, struct wr_diagnostics *diagnostics, const char *section,
                       const struct wr_yaml_field *fields, const char *const *allowed, const char *why) {
    char path[WR_YAML_PATH_BYTES];
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        snprintf(path, sizeof path, "%s%s%s", section, section[0] ? "." : "", field->key);
        if (!is_among(allowed, field->key) && wr_yaml_present(&part->yaml, path))
            refuse(part, diagnostics, path, why);
    }
}

static const struct wr_yaml_field *fields_of(const struct wr_yaml_field *fields, const char *section) {
    while (strcmp(fields->key, section) != 0)
        fields++;
    return fields->fields;
}

static void check_sources(const struct wr_config_part *part, const struct wr_config *config, struct wr_diagnostics *diagnostics) {
    char path[WR_YAML_PATH_BYTES];
    for (unsigned i = 0; i < config->n_sources; i++) {
        snprintf(path, sizeof path, "sources[%u]", i);
        check_keys(part, diagnostics, path, fields_of(part->schema, "sources"), of_sources,
                   "where readings come from, and who may send them, is the gateway's own");
    }
}

static void check_names(const struct wr_config_part *part, struct wr_diagnostics *diagnostics, const char *list, unsigned n,
                        const char *(*name)(const struct wr_config *config, unsigned index)) {
    char path[WR_YAML_PATH_BYTES];
    for (unsigned i = 0; i < n; i++)
        for (unsigned before = 0; before < i; before++)
            if (strcmp(name(part->yaml.record, before), name(part->yaml.record, i)) == 0) {
                wr_config_path(path, list, i, "name", -1);
                wr_yaml_complain(&part->yaml, diagnostics, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_DUPLICATE, path, 0, 0, NULL,
                                 "two are called '%s'", name(part->yaml.record, i));
                break;
            }
}

static const char *name_of_source(const struct wr_config *config, unsigned index) {
    return config->sources[index].name;
}

static const char *name_of_window(const struct wr_config *config, unsigned index) {
    return config->window_sections[index].name;
}

static void check(const struct wr_config_part *part, struct wr_diagnostics *diagnostics) {
    const struct wr_config *config = part->yaml.record;
    check_keys(part, diagnostics, "", part->schema, sections,
               "it is the gateway's own; a bundle brings windows, limits, and what tunes sources");
    check_keys(part, diagnostics, "limits", fields_of(part->schema, "limits"), of_limits, "it needs a restart to change");
    check_sources(part, config, diagnostics);
    check_names(part, diagnostics, "sources", part->n_sources, name_of_source);
    check_names(part, diagnostics, "windows", part->n_windows, name_of_window);
}

/* Its record is there. */
static enum wr_result examine(struct wr_config_part *part, struct wr_diagnostics *diagnostics) {
    const struct wr_config *config = part->yaml.record;
    part->n_sources = config->n_sources;
    part->n_windows = config->n_windows;
    part->sources_at = malloc((part->n_sources + 1) * sizeof *part->sources_at);
    part->windows_at = malloc((part->n_windows + 1) * sizeof *part->windows_at);
    if (!part->sources_at || !part->windows_at)
        return WR_NO_MEMORY;
    for (unsigned i = 0; i < part->n_sources; i++)
        part->sources_at[i] = NOWHERE;
    for (unsigned i = 0; i < part->n_windows; i++)
        part->windows_at[i] = NOWHERE;
    const size_t errors = diagnostics->errors;
    check(part, diagnostics);
    return diagnostics->errors > errors ? WR_INVALID : WR_OK;
}

enum wr_result wr_config_part_read(const char *name, const char *text, size_t len, struct wr_diagnostics *diagnostics,
                                   struct wr_config_part **ret_part, struct wr_error *err) {
    struct wr_config_part *part = calloc(1, sizeof *part);
    if (!part || !(part->schema = relax(wr_config_fields))) {
        wr_config_part_free(part);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a part of the config");
    }
    enum wr_result result = wr_yaml_load_text(name, text, len, part->schema, sizeof(struct wr_config), diagnostics, &part->yaml, err);
    if (result == WR_OK) {
        result = examine(part, diagnostics);
        if (result != WR_OK)
            (void)wr_error_set(err, result, "%s: %s", name, result == WR_INVALID ? "it has errors" : "no memory");
    }
    if (result == WR_OK)
        *ret_part = part;
    else
        wr_config_part_free(part);
    return result;
}

void wr_config_part_free(struct wr_config_part *part) {
    if (!part)
        return;
    if (part->yaml.fields)
        wr_yaml_free(&part->yaml);
    free_schema(part->schema);
    free(part->sources_at);
    free(part->windows_at);
    free(part);
}

/* -- merged --------------------------------------------------------------------------------------------------------------------------------- */

static void swap(void *a, void *b, size_t bytes) {
    char kept[sizeof(uint64_t)]; /* the longest of bytes_of, and a pointer: that is shorter on some machines */
    static_assert(sizeof(void *) <= sizeof kept && sizeof(double) <= sizeof kept, "no room for a value");
    memcpy(kept, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, kept, bytes);
}

static size_t bytes_of(enum wr_yaml_kind kind) {
    return kind == WR_YAML_BOOL    ? sizeof(bool)
           : kind == WR_YAML_ENUM  ? sizeof(int)
           : kind == WR_YAML_COUNT ? sizeof(uint32_t)
                                   : sizeof(int64_t);
}

/* What was in `into` is then in `from`, and freed with it. path: of the record in the part. */
static void overlay(const struct wr_config_part *part, const struct wr_yaml_field *fields, const char *path, void *into, void *from) {
    char at[WR_YAML_PATH_BYTES];
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        char *own = (char *)into + field->offset, *given = (char *)from + field->offset;
        snprintf(at, sizeof at, "%s.%s", path, field->key);
        if (!wr_yaml_present(&part->yaml, at) || field->kind == WR_YAML_RECORDS) /* these only at the top */
            continue;
        void *record = NULL, *other = NULL;
        if (field->kind == WR_YAML_RECORD) { /* others may be shorter than a pointer */
            memcpy(&record, own, sizeof record);
            memcpy(&other, given, sizeof other);
        }
        if (field->kind == WR_YAML_RECORD && record && other)
            overlay(part, field->fields, at, record, other);
        else if (field->kind == WR_YAML_STRING || field->kind == WR_YAML_RECORD || field->kind == WR_YAML_STRINGS)
            swap(own, given, sizeof(void *));
        else
            swap(own, given, bytes_of(field->kind));
        if (field->kind == WR_YAML_STRINGS)
            swap((char *)into + field->count_offset, (char *)from + field->count_offset, sizeof(unsigned));
    }
}

/* One list of named records. */
struct named {
    const char *key;
    void *list; /* the address of the pointer to it */
    unsigned *n;
    void *given;
    unsigned n_given;
    unsigned *at;
    const char *(*name)(const struct wr_config *config, unsigned index);
};

static enum wr_result merge_list(struct wr_config_part *part, struct wr_config *config, const struct named *named, size_t bytes) {
    char path[WR_YAML_PATH_BYTES];
    for (unsigned i = 0; i < named->n_given; i++) {
        char *from = (char *)named->given + i * bytes;
        void *list;
        unsigned found = 0;
        while (found < *named->n && strcmp(named->name(config, found), named->name(part->yaml.record, i)) != 0)
            found++;
        memcpy(&list, named->list, sizeof list);
        if (found < *named->n) {
            named->at[i] = found;
            snprintf(path, sizeof path, "%s[%u]", named->key, i);
            overlay(part, fields_of(part->schema, named->key), path, (char *)list + found * bytes, from);
            continue;
        }
        list = realloc(list, (found + 1) * bytes);
        if (!list)
            return WR_NO_MEMORY;
        named->at[i] = found;
        memcpy((char *)list + found * bytes, from, bytes);
        memcpy(named->list, &list, sizeof list);
        *named->n = found + 1;
    }
    return WR_OK;
}

/* Before anything is moved: the names are still there. */
static void check_kinds(const struct wr_config_part *part, const struct wr_config *config, struct wr_diagnostics *diagnostics) {
    const struct wr_config *given = part->yaml.record;
    char path[WR_YAML_PATH_BYTES];
    for (unsigned i = 0; i < given->n_sources; i++) {
        unsigned found = 0;
        while (found < config->n_sources && strcmp(config->sources[found].name, given->sources[i].name) != 0)
            found++;
        wr_config_path(path, "sources", i, "kind", -1);
        const bool says = wr_yaml_present(&part->yaml, path);
        if (found == config->n_sources ? !says || given->sources[i].kind != WR_SOURCE_SYSTEM
                                       : says && given->sources[i].kind != config->sources[found].kind)
            refuse(part, diagnostics, path,
                   found == config->n_sources ? "there is no source of that name, and a new one may only be of kind system"
                                              : "the source of that name is of another kind");
    }
}

/* Records that were moved into the config are its own: here they are none any more. Those that were swapped are freed with the part. */
static void forget_added(struct wr_config_part *part, unsigned had_sources, unsigned had_windows) {
    struct wr_config *given = part->yaml.record;
    for (unsigned i = 0; i < part->n_sources; i++)
        if (part->sources_at[i] >= had_sources && part->sources_at[i] != NOWHERE)
            memset(&given->sources[i], 0, sizeof given->sources[i]);
    for (unsigned i = 0; i < part->n_windows; i++)
        if (part->windows_at[i] >= had_windows && part->windows_at[i] != NOWHERE)
            memset(&given->window_sections[i], 0, sizeof given->window_sections[i]);
}

enum wr_result wr_config_part_merge(struct wr_config_part *part, struct wr_config *config, struct wr_diagnostics *diagnostics) {
    struct wr_config *given = part->yaml.record;
    const size_t errors = diagnostics->errors;
    const unsigned had_sources = config->n_sources, had_windows = config->n_windows;
    const struct named of_source = {"sources",       &config->sources, &config->n_sources, given->sources,
                                    part->n_sources, part->sources_at, name_of_source};
    const struct named of_window = {"windows",       &config->window_sections, &config->n_windows, given->window_sections,
                                    part->n_windows, part->windows_at,         name_of_window};
    check_kinds(part, config, diagnostics);
    if (diagnostics->errors > errors)
        return WR_INVALID;
    enum wr_result result = merge_list(part, config, &of_source, sizeof *config->sources);
    if (result == WR_OK)
        result = merge_list(part, config, &of_window, sizeof *config->window_sections);
    forget_added(part, had_sources, had_windows);
    if (result == WR_OK && given->limits && config->limits)
        overlay(part, fields_of(part->schema, "limits"), "limits", config->limits, given->limits);
    return result;
}

/* -- where things stand --------------------------------------------------------------------------------------------------------------------- */

/* "windows[5].every" of the merged config as "windows[0].every" of the part. False: it has no such record. */
static bool map_path(const struct wr_config_part *part, const char *path, char *mapped) {
    const bool source = strncmp(path, "sources[", 8) == 0, window = strncmp(path, "windows[", 8) == 0;
    if (!source && !window) {
        snprintf(mapped, WR_YAML_PATH_BYTES, "%s", path);
        return true;
    }
    char *end;
    const unsigned long index = strtoul(path + 8, &end, 10);
    const unsigned *at = source ? part->sources_at : part->windows_at;
    const unsigned n = source ? part->n_sources : part->n_windows;
    for (unsigned i = 0; i < n; i++)
        if (at[i] == index) {
            snprintf(mapped, WR_YAML_PATH_BYTES, "%.7s[%u%s", path, i, end);
            return true;
        }
    return false;
}

const struct wr_yaml *wr_config_part_holder(const struct wr_config_part *part, const struct wr_yaml *config, const char *path,
                                            char *mapped) {
    char record[WR_YAML_PATH_BYTES];
    if (part && map_path(part, path, mapped)) {
        snprintf(record, sizeof record, "%.*s", (int)strcspn(path, "."), path);
        if (wr_yaml_present(&part->yaml, mapped) || (strchr(record, ']') && !wr_yaml_present(config, record)))
            return &part->yaml;
    }
    snprintf(mapped, WR_YAML_PATH_BYTES, "%s", path);
    return config;
}
