#include "rules/diagnostics/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/nearest.h"
#include "rules/diagnostics/excerpt.h"
#include "rules/diagnostics/lines.h"
#include "rules/diagnostics/sarif.h"

#define FIRST_CAP 16

void wr_diagnostics_init(struct wr_diagnostics *diagnostics) {
    *diagnostics = (struct wr_diagnostics){0};
}

static void free_entry(struct wr_diagnostic *entry) {
    free(entry->file);
    free(entry->message);
    free(entry->hint);
    free(entry->excerpt);
}

void wr_diagnostics_fini(struct wr_diagnostics *diagnostics) {
    for (size_t i = 0; i < diagnostics->n; i++)
        free_entry(&diagnostics->list[i]);
    free(diagnostics->list);
    *diagnostics = (struct wr_diagnostics){0};
}

/* Room for one more entry; false: none to be had. */
static bool grow(struct wr_diagnostics *diagnostics) {
    if (diagnostics->n < diagnostics->cap)
        return true;
    size_t cap = diagnostics->cap > 0 ? diagnostics->cap * 2 : FIRST_CAP;
    struct wr_diagnostic *list = realloc(diagnostics->list, cap * sizeof *list);
    if (!list)
        return false;
    diagnostics->list = list;
    diagnostics->cap = cap;
    return true;
}

/* A copy with everything escaped that is not printable. */
static char *copy_escaped(const char *text) {
    char shown[WR_ERROR_TEXT_BYTES];
    return strdup(wr_error_escape(shown, sizeof shown, text, strlen(text)));
}

static bool fill(struct wr_diagnostic *entry, const char *file, const char *text, size_t text_len, const char *hint, const char *message) {
    entry->file = copy_escaped(file ? file : "");
    entry->message = copy_escaped(message);
    if (!entry->file || !entry->message)
        return false;
    if (hint && !(entry->hint = copy_escaped(hint)))
        return false;
    if (!text || entry->at.line == 0)
        return true;
    size_t start;
    size_t len;
    struct wr_excerpt excerpt;
    wr_lines_find(text, text_len, entry->at.line, &start, &len);
    wr_excerpt_make(&excerpt, text + start, len, entry->at.column, entry->at.length);
    entry->caret = excerpt.caret;
    entry->carets = excerpt.carets;
    return (entry->excerpt = strdup(excerpt.text)) != NULL;
}

void wr_diagnostics_add(struct wr_diagnostics *diagnostics, enum wr_diagnostic_level level, unsigned code, const char *file,
                        const char *text, size_t text_len, struct wr_position at, const char *hint, const char *format, ...) {
    if (level == WR_DIAGNOSTIC_ERROR)
        diagnostics->errors++;
    else
        diagnostics->warnings++;
    if (diagnostics->n == WR_DIAGNOSTICS_MAX)
        return;
    char message[WR_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (at.line > 0 && at.column == 0)
        at.column = 1;
    struct wr_diagnostic entry = {.at = at, .level = level, .code = code};
    if (!grow(diagnostics) || !fill(&entry, file, text, text_len, hint, message)) {
        free_entry(&entry);
        diagnostics->out_of_memory = true;
        return;
    }
    diagnostics->list[diagnostics->n++] = entry;
}

static bool comes_after(const struct wr_diagnostic *a, const struct wr_diagnostic *b) {
    int file = strcmp(a->file, b->file);
    if (file != 0)
        return file > 0;
    if (a->at.line != b->at.line)
        return a->at.line > b->at.line;
    return a->at.column > b->at.column;
}

/* Insertion sort: stable, and there are few. */
static void sort(struct wr_diagnostics *diagnostics) {
    struct wr_diagnostic *list = diagnostics->list;
    for (size_t i = 1; i < diagnostics->n; i++) {
        struct wr_diagnostic entry = list[i];
        size_t to = i;
        for (; to > 0 && comes_after(&list[to - 1], &entry); to--)
            list[to] = list[to - 1];
        list[to] = entry;
    }
}

static const char *level_name(enum wr_diagnostic_level level) {
    return level == WR_DIAGNOSTIC_ERROR ? "error" : "warning";
}

static enum wr_result render_text_entry(const struct wr_diagnostic *entry, struct wr_buf *into) {
    bool carets = entry->excerpt && entry->carets > 0;
    if (entry->at.line > 0)
        WR_TRY(wr_buf_printf(into, "%s:%u:%u: ", entry->file, entry->at.line, entry->at.column));
    else
        WR_TRY(wr_buf_printf(into, "%s: ", entry->file));
    WR_TRY(wr_buf_printf(into, "%s W%03u: %s", level_name(entry->level), entry->code, entry->message));
    if (entry->hint && !carets)
        WR_TRY(wr_buf_printf(into, ": %s", entry->hint));
    WR_TRY(wr_buf_text(into, "\n"));
    if (!entry->excerpt)
        return WR_OK;
    WR_TRY(wr_buf_printf(into, "%5u | %s\n", entry->at.line, entry->excerpt));
    if (!carets)
        return WR_OK;
    WR_TRY(wr_buf_printf(into, "      | %*s", (int)entry->caret, ""));
    for (uint32_t i = 0; i < entry->carets; i++)
        WR_TRY(wr_buf_text(into, "^"));
    return wr_buf_printf(into, "%s%s\n", entry->hint ? " " : "", entry->hint ? entry->hint : "");
}

static enum wr_result render_text(const struct wr_diagnostics *diagnostics, struct wr_buf *into) {
    for (size_t i = 0; i < diagnostics->n; i++)
        WR_TRY(render_text_entry(&diagnostics->list[i], into));
    size_t more = diagnostics->errors + diagnostics->warnings - diagnostics->n;
    if (more > 0)
        WR_TRY(wr_buf_printf(into, "... and %zu more (%zu errors and %zu warnings in all)\n", more, diagnostics->errors,
                             diagnostics->warnings));
    return WR_OK;
}

static enum wr_result render_json(const struct wr_diagnostics *diagnostics, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_array(&json, NULL);
    for (size_t i = 0; i < diagnostics->n; i++) {
        const struct wr_diagnostic *entry = &diagnostics->list[i];
        char code[16];
        snprintf(code, sizeof code, "W%03u", entry->code);
        wr_json_object(&json, NULL);
        wr_json_string(&json, "file", entry->file);
        wr_json_uint(&json, "line", entry->at.line);
        wr_json_uint(&json, "column", entry->at.column);
        wr_json_uint(&json, "length", entry->at.length);
        wr_json_string(&json, "level", level_name(entry->level));
        wr_json_string(&json, "code", code);
        wr_json_string(&json, "message", entry->message);
        if (entry->hint)
            wr_json_string(&json, "hint", entry->hint);
        wr_json_object_end(&json);
    }
    wr_json_array_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}

enum wr_result wr_diagnostics_render(struct wr_diagnostics *diagnostics, enum wr_diagnostics_format format, struct wr_buf *into) {
    sort(diagnostics);
    switch (format) {
    case WR_DIAGNOSTICS_JSON:
        return render_json(diagnostics, into);
    case WR_DIAGNOSTICS_SARIF:
        return wr_sarif_render(diagnostics, into);
    default:
        return render_text(diagnostics, into);
    }
}
