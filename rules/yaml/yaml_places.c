#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/diagnostics/lines.h"
#include "rules/yaml/yaml_private.h"

/* FNV-1a, 64 bits: paths are few, and a clash would only move a caret. */
static uint64_t hash_path(const char *path, size_t len) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3u;
    return hash;
}

enum wr_result wr_yaml_places_add(struct wr_yaml *yaml, const char *path, const struct wr_yaml_span *span, enum wr_yaml_style style,
                                  bool scalar) {
    if ((yaml->n_places & (yaml->n_places - 1)) == 0) { /* 0 or a power of two: full */
        size_t cap = yaml->n_places > 0 ? yaml->n_places * 2 : 1;
        struct wr_yaml_place *places = realloc(yaml->places, cap * sizeof *places);
        if (!places)
            return WR_NO_MEMORY;
        yaml->places = places;
    }
    yaml->places[yaml->n_places++] =
        (struct wr_yaml_place){.hash = hash_path(path, strlen(path)), .span = *span, .style = style, .scalar = scalar};
    return WR_OK;
}

static int compare(const void *a, const void *b) {
    uint64_t left = ((const struct wr_yaml_place *)a)->hash;
    uint64_t right = ((const struct wr_yaml_place *)b)->hash;
    return (left > right) - (left < right);
}

void wr_yaml_places_sort(struct wr_yaml *yaml) {
    if (yaml->n_places > 0)
        qsort(yaml->places, yaml->n_places, sizeof *yaml->places, compare);
}

static const struct wr_yaml_place *find(const struct wr_yaml *yaml, const char *path, size_t len) {
    const struct wr_yaml_place wanted = {.hash = hash_path(path, len)};
    return yaml->n_places > 0 ? bsearch(&wanted, yaml->places, yaml->n_places, sizeof wanted, compare) : NULL;
}

bool wr_yaml_present(const struct wr_yaml *yaml, const char *path) {
    return find(yaml, path, strlen(path)) != NULL;
}

bool wr_yaml_damaged(const struct wr_yaml *yaml, const char *path) {
    char behind[WR_YAML_PATH_BYTES + sizeof WR_YAML_DAMAGED];
    snprintf(behind, sizeof behind, "%s%s", path, WR_YAML_DAMAGED);
    return find(yaml, behind, strlen(behind)) != NULL;
}

/* The place of a path, or of the nearest record that holds it. */
static const struct wr_yaml_place *find_nearest(const struct wr_yaml *yaml, const char *path, bool *ret_exact) {
    size_t len = strlen(path);
    *ret_exact = true;
    for (;;) {
        const struct wr_yaml_place *place = find(yaml, path, len);
        if (place || len == 0)
            return place;
        *ret_exact = false;
        do
            len--;
        while (len > 0 && path[len] != '.' && path[len] != '[');
    }
}

struct wr_position wr_yaml_span_position(const struct wr_yaml *yaml, const struct wr_yaml_span *span) {
    struct wr_position at = {.line = span->line, .column = span->column};
    if (span->end_line == span->line && span->end_column > span->column) {
        at.length = span->end_column - span->column;
        return at;
    }
    size_t start;
    size_t len;
    wr_lines_find(yaml->text, yaml->text_len, span->line, &start, &len);
    uint32_t columns = 1;
    for (size_t i = 0; i < len; i += wr_lines_character(yaml->text + start, len, i))
        columns++;
    at.length = columns > span->column ? columns - span->column : 1;
    return at;
}

struct wr_position wr_yaml_where(const struct wr_yaml *yaml, const char *path, size_t offset, size_t length) {
    bool exact;
    const struct wr_yaml_place *place = find_nearest(yaml, path, &exact);
    if (!place)
        return (struct wr_position){0};
    if (!exact || !place->scalar || length == 0)
        return wr_yaml_span_position(yaml, &place->span);
    struct wr_yaml_span span = {0};
    wr_lines_position(yaml->text, yaml->text_len, wr_yaml_place_byte(yaml, place, offset, false), &span.line, &span.column);
    wr_lines_position(yaml->text, yaml->text_len, wr_yaml_place_byte(yaml, place, offset + length - 1, true), &span.end_line,
                      &span.end_column);
    return wr_yaml_span_position(yaml, &span);
}

void wr_yaml_complain(const struct wr_yaml *yaml, struct wr_diagnostics *diagnostics, enum wr_diagnostic_level level, unsigned code,
                      const char *path, size_t offset, size_t length, const char *hint, const char *format, ...) {
    char message[WR_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    wr_diagnostics_add(diagnostics, level, code, yaml->file, yaml->text, yaml->text_len, wr_yaml_where(yaml, path, offset, length), hint,
                       "%s", message);
}
