#include "rules/diagnostics/lines.h"

#include <string.h>

#include "core/utf8.h"

size_t wr_lines_break(const char *text, size_t len, size_t at) {
    size_t left = len - at;
    switch (left > 0 ? (uint8_t)text[at] : 0) {
    case '\n':
        return 1;
    case '\r':
        return left > 1 && text[at + 1] == '\n' ? 2 : 1;
    case 0xC2:
        return left > 1 && (uint8_t)text[at + 1] == 0x85 ? 2 : 0;
    case 0xE2:
        return left > 2 && (uint8_t)text[at + 1] == 0x80 && ((uint8_t)text[at + 2] == 0xA8 || (uint8_t)text[at + 2] == 0xA9) ? 3 : 0;
    default:
        return 0;
    }
}

/* The byte where the line that begins at start ends. */
static size_t line_end(const char *text, size_t len, size_t start) {
    size_t at = start;
    while (at < len && wr_lines_break(text, len, at) == 0)
        at++;
    return at;
}

void wr_lines_find(const char *text, size_t len, uint32_t line, size_t *ret_start, size_t *ret_len) {
    size_t start = 0;
    for (uint32_t number = 1; number < line && start < len; number++) {
        size_t end = line_end(text, len, start);
        start = end + wr_lines_break(text, len, end);
    }
    *ret_start = start;
    *ret_len = line_end(text, len, start) - start;
}

size_t wr_lines_character(const char *text, size_t len, size_t at) {
    size_t bytes = wr_utf8_length(text + at, len - at);
    return bytes > 0 ? bytes : 1;
}

void wr_lines_position(const char *text, size_t len, size_t at, uint32_t *ret_line, uint32_t *ret_column) {
    uint32_t line = 1;
    uint32_t column = 1;
    for (size_t now = 0; now < at && now < len;) {
        size_t end = wr_lines_break(text, len, now);
        if (end > 0) {
            line++;
            column = 1;
            now += end;
        } else {
            column++;
            now += wr_lines_character(text, len, now);
        }
    }
    *ret_line = line;
    *ret_column = column;
}
