#include "agent/codec/record.h"

#include <stdarg.h>
#include <stdio.h>

enum wr_result wr_record_key(const struct wr_record *record, const struct wr_field *field, char *key, size_t *ret_len,
                             struct wr_refusal *ret_refusal) {
    struct wr_names names;
    names.n_tags = 0;
    names.text_len = 0;
    WR_TRY(record->names(record, field, &names, ret_refusal));
    struct wr_error err;
    enum wr_result result = wr_series_key_make(names.measurement, names.field, names.tags, names.n_tags, key, ret_len, &err);
    if (result == WR_OK)
        return WR_OK;
    wr_refusal_set(ret_refusal, result == WR_LIMIT ? WR_BOOK_REJECTED_TOO_LONG : WR_BOOK_REJECTED_SYNTAX, record->line, record->start,
                   record->start, "%s", err.text);
    return result;
}

void wr_refusal_set(struct wr_refusal *refusal, enum wr_book reason, uint64_t line, const char *start, const char *at, const char *format,
                    ...) {
    refusal->reason = reason;
    refusal->line = line;
    refusal->column = at > start ? (uint32_t)(at - start) + 1 : 1;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, args);
    va_end(args);
}

char *wr_record_excerpt(char into[static WR_RECORD_EXCERPT_BYTES], const char *text, size_t len) {
    return wr_error_escape(into, WR_RECORD_EXCERPT_BYTES, text, len);
}
