/* Diagnostics: every error and warning of a config or rule file, all at once, each with file, line, column, excerpt, caret, code and hint.
 *
 *   rules/cold.yaml:31:35: error W102: unknown function 'raise'
 *      31 |     when: held(door_open, 2m) and raise(room_temp, 5m) > 1.5K
 *         |                                   ^^^^^ did you mean 'rise'?
 *
 * Promise: text from a file is shown shortened and escaped. Lists are bounded (WR_DIAGNOSTICS_MAX); what is beyond is counted.
 * Threads: one at a time. Ownership: the list copies what it is given.
 */
#ifndef WEIR_RULES_DIAGNOSTICS_DIAGNOSTICS_H
#define WEIR_RULES_DIAGNOSTICS_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/result.h"

#define WR_DIAGNOSTICS_MAX 256

enum wr_diagnostic_level { WR_DIAGNOSTIC_WARNING, WR_DIAGNOSTIC_ERROR };

/* Where something stands: 1-based line and column (in characters), length in characters for the carets (0: none). */
struct wr_position {
    uint32_t line;
    uint32_t column;
    uint32_t length;
};

struct wr_diagnostic {
    char *file;
    struct wr_position at;
    enum wr_diagnostic_level level;
    unsigned code; /* W<code>, listed in docs/diagnostics.md */
    char *message;
    char *hint;     /* may be NULL: "did you mean 'rise'?" */
    char *excerpt;  /* the source line as it is shown: escaped, cut around the place; or NULL */
    uint32_t caret; /* characters of excerpt before the first caret */
    uint32_t carets;
};

struct wr_diagnostics {
    struct wr_diagnostic *list;
    size_t n;
    size_t cap;
    size_t errors; /* counted also beyond the bound */
    size_t warnings;
    bool out_of_memory;
};

void wr_diagnostics_init(struct wr_diagnostics *diagnostics);
void wr_diagnostics_fini(struct wr_diagnostics *diagnostics);

/* text is the whole file (for the excerpt), may be NULL. hint may be NULL. Line 0: the file as a whole. Never fails: what finds no memory is
 * counted and sets out_of_memory. */
void wr_diagnostics_add(struct wr_diagnostics *diagnostics, enum wr_diagnostic_level level, unsigned code, const char *file,
                        const char *text, size_t text_len, struct wr_position at, const char *hint, const char *format, ...)
    WR_PRINTF(9, 10);

enum wr_diagnostics_format {
    WR_DIAGNOSTICS_TEXT, /* as above */
    WR_DIAGNOSTICS_JSON, /* one array of objects */
    WR_DIAGNOSTICS_SARIF /* rules/diagnostics/sarif.h */
};

/* Sorted by file, line and column. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_diagnostics_render(struct wr_diagnostics *diagnostics, enum wr_diagnostics_format format,
                                                 struct wr_buf *into);

#endif
