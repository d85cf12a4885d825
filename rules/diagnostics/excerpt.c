#include "rules/diagnostics/excerpt.h"

#include <string.h>

#include "core/result.h"
#include "rules/diagnostics/lines.h"

#define LEAD 50 /* characters kept before the place when a long line is cut */

/* One character of the line as it is shown. Returns how many characters that takes. */
static uint32_t show(const char *line, size_t len, size_t at, char shown[8]) {
    size_t bytes = wr_lines_character(line, len, at);
    if (line[at] == '\t') {
        memcpy(shown, " ", 2);
        return 1;
    }
    wr_error_escape(shown, 8, line + at, bytes == 2 && (uint8_t)line[at] == 0xC2 && (uint8_t)line[at + 1] < 0xA0 ? 1 : bytes);
    return shown[0] == '\\' && line[at] != '\\' ? 4 : 1;
}

/* The byte of the first character to show, so that the place is seen. */
static size_t first_shown(const char *line, size_t len, uint32_t column, uint32_t length, uint32_t *ret_skipped) {
    uint32_t wanted = column - 1 + (length < 20 ? length : 20);
    *ret_skipped = 0;
    if (wanted + 4 < WR_EXCERPT_CHARACTERS || column <= LEAD)
        return 0;
    size_t at = 0;
    while (*ret_skipped + LEAD + 1 < column && at < len) {
        at += wr_lines_character(line, len, at);
        (*ret_skipped)++;
    }
    return at;
}

void wr_excerpt_make(struct wr_excerpt *excerpt, const char *line, size_t len, uint32_t column, uint32_t length) {
    uint32_t skipped;
    size_t at = first_shown(line, len, column, length, &skipped);
    uint32_t width = 0;
    size_t out = 0;
    if (skipped > 0) {
        memcpy(excerpt->text, "...", 3);
        out = width = 3;
    }
    uint32_t first = UINT32_MAX; /* shown characters before the place, and before its end */
    uint32_t last = UINT32_MAX;
    for (uint32_t now = skipped + 1; at < len; now++) {
        char shown[8];
        uint32_t takes = show(line, len, at, shown);
        if (now >= column && first == UINT32_MAX)
            first = width;
        if (now - column >= length && now >= column && last == UINT32_MAX)
            last = width;
        if (width + takes + 3 > WR_EXCERPT_CHARACTERS) {
            memcpy(excerpt->text + out, "...", 3);
            out += 3;
            break;
        }
        memcpy(excerpt->text + out, shown, strlen(shown));
        out += strlen(shown);
        width += takes;
        at += wr_lines_character(line, len, at);
    }
    excerpt->text[out] = '\0';
    excerpt->caret = first != UINT32_MAX ? first : width;
    uint32_t end = last != UINT32_MAX ? last : width;
    excerpt->carets = length == 0 ? 0 : end > excerpt->caret ? end - excerpt->caret : 1;
}
