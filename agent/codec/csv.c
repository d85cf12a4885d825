#include "agent/codec/csv.h"

#include <math.h>
#include <string.h>

#include "agent/codec/number.h"
#include "core/scan.h"

/* A row being read. */
struct row {
    const char *start;
    const char *end;
    uint64_t line; /* its number */
};

enum wr_result wr_csv_init(struct wr_csv *csv, const struct wr_config_csv *options, const char *measurement, struct wr_error *err) {
    csv->options = options;
    csv->measurement = options->measurement ? options->measurement : measurement;
    csv->has_header = false;
    csv->shift_known = false;
    csv->shifted = false;
    csv->n_columns = 0;
    csv->n_time_columns = 0;
    wr_csv_row_init(&csv->row, csv->cells, WR_CSV_COLUMNS + 1);
    wr_buf_init(&csv->header, 0);
    wr_buf_init(&csv->origin, 0);
    return wr_time_format_init(&csv->time, options->time_format, options->tz, err);
}

void wr_csv_fini(struct wr_csv *csv) {
    wr_buf_fini(&csv->header);
    wr_buf_fini(&csv->origin);
    wr_csv_row_fini(&csv->row);
    wr_time_format_fini(&csv->time);
}

static __attribute__((noinline, cold)) enum wr_result refuse(struct wr_csv *csv, const struct row *row, enum wr_book reason, const char *at,
                                                             const char *message, struct wr_word quoted) {
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    wr_refusal_set(&csv->refusal, reason, row->line, row->start, at, "%s%s%s%s", message, quoted.len ? ": '" : "",
                   quoted.len ? wr_record_excerpt(excerpt, quoted.text, quoted.len) : "", quoted.len ? "'" : "");
    return WR_INVALID;
}

#define NOTHING ((struct wr_word){"", 0})

/* -- the header -------------------------------------------------------------------------------------------------------------------- */

static bool is_name(struct wr_word word, const char *name, size_t len) {
    return word.len == len && memcmp(word.text, name, len) == 0;
}

static bool find_column(const struct wr_csv *csv, const char *name, size_t len, size_t *ret_column) {
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (is_name(csv->names[i], name, len)) {
            *ret_column = i;
            return true;
        }
    }
    return false;
}

static enum wr_result give_role(struct wr_csv *csv, const struct row *row, const char *name, size_t len, enum wr_csv_role role) {
    size_t column;
    if (!find_column(csv, name, len, &column))
        return refuse(csv, row, WR_BOOK_REJECTED_SYNTAX, row->start, "the header has no such column", (struct wr_word){name, len});
    csv->roles[column] = role;
    if (role == WR_CSV_TIME) {
        if (csv->n_time_columns == WR_CSV_TIME_PARTS)
            return refuse(csv, row, WR_BOOK_REJECTED_TOO_LONG, row->start, "the time is in more than 4 columns", NOTHING);
        csv->time_columns[csv->n_time_columns++] = column;
    }
    return WR_OK;
}

/* One column, or several joined by '+', of which none needs to exist as a whole. */
static enum wr_result find_time(struct wr_csv *csv, const struct row *row) {
    const char *name = csv->options->time_column;
    size_t column;
    if (!name) {
        for (column = 0; column < csv->n_columns; column++)
            if (csv->names[column].len > 0)
                return give_role(csv, row, csv->names[column].text, csv->names[column].len, WR_CSV_TIME);
        return refuse(csv, row, WR_BOOK_REJECTED_SYNTAX, row->start, "the header names no column", NOTHING);
    }
    if (find_column(csv, name, strlen(name), &column))
        return give_role(csv, row, name, strlen(name), WR_CSV_TIME);
    for (;;) {
        const size_t len = strcspn(name, "+");
        WR_TRY(give_role(csv, row, name, len, WR_CSV_TIME));
        if (name[len] == '\0')
            return WR_OK;
        name += len + 1;
    }
}

static enum wr_result append_word(struct wr_buf *buf, const char *text, size_t len) {
    WR_TRY(wr_buf_append(buf, text, len));
    return wr_buf_append(buf, "", 1);
}

/* What all rows have in common in their origin: equal bytes must mean equal series. */
static enum wr_result make_origin(struct wr_csv *csv) {
    WR_TRY(append_word(&csv->origin, csv->measurement, strlen(csv->measurement)));
    for (unsigned i = 0; i < csv->options->n_tags; i++)
        WR_TRY(append_word(&csv->origin, csv->options->tags[i], strlen(csv->options->tags[i])));
    csv->origin_fixed = csv->origin.len;
    return WR_OK;
}

static enum wr_result take_header(struct wr_csv *csv, const struct row *row) {
    csv->n_columns = csv->row.n_cells < WR_CSV_COLUMNS ? csv->row.n_cells : WR_CSV_COLUMNS;
    const enum wr_result no_memory = WR_NO_MEMORY;
    if (wr_buf_reserve(&csv->header, (size_t)(row->end - row->start) + 1) != WR_OK || make_origin(csv) != WR_OK) {
        (void)refuse(csv, row, WR_BOOK_REJECTED_MEMORY, row->start, "no memory for the header", NOTHING);
        return no_memory;
    }
    for (size_t i = 0; i < csv->n_columns; i++) {
        const struct wr_csv_cell *cell = &csv->cells[i];
        csv->names[i] = (struct wr_word){(const char *)csv->header.data + csv->header.len, cell->len};
        csv->roles[i] = cell->len > 0 ? WR_CSV_FIELD : WR_CSV_SKIP;
        WR_TRY(wr_buf_append(&csv->header, cell->text, cell->len)); /* reserved: cannot fail, does not move */
    }
    WR_TRY(find_time(csv, row));
    for (unsigned i = 0; i < csv->options->n_tags; i++)
        if (!strchr(csv->options->tags[i], '='))
            WR_TRY(give_role(csv, row, csv->options->tags[i], strlen(csv->options->tags[i]), WR_CSV_TAG));
    for (unsigned i = 0; i < csv->options->n_skip_columns; i++)
        WR_TRY(give_role(csv, row, csv->options->skip_columns[i], strlen(csv->options->skip_columns[i]), WR_CSV_SKIP));
    csv->has_header = true;
    return WR_OK;
}

/* -- rows into records --------------------------------------------------------------------------------------------------------------- */

static const struct wr_csv_cell *cell_of(const struct wr_csv *csv, size_t column) {
    return &csv->cells[column + csv->shifted];
}

static bool is_word(const struct wr_csv_cell *cell, const char *word) {
    return cell->len == strlen(word) && strncasecmp(cell->text, word, cell->len) == 0;
}

static void read_value(const struct wr_csv_cell *cell, struct wr_field *field) {
    field->quality = WR_QUALITY_GOOD;
    field->decimals = WR_DECIMALS_UNKNOWN;
    const char *from = cell->text;
    const char *to = from + cell->len;
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    struct wr_number number;
    if (wr_number_read(from, to, &number) == to) {
        field->type = WR_TYPE_FLOAT;
        field->value.f = number.value;
        field->decimals = number.decimals;
        if (!isfinite(number.value))
            field->quality = WR_QUALITY_BAD;
    } else if (wr_number_read_nonfinite(from, to, &field->value.f) == to) {
        field->type = WR_TYPE_FLOAT;
        field->quality = WR_QUALITY_BAD;
    } else if (is_word(cell, "true") || is_word(cell, "false")) {
        field->type = WR_TYPE_BOOL;
        field->value.u = is_word(cell, "true");
    } else {
        field->type = WR_TYPE_SYMBOL;
        field->value.u = 0;
        field->text = (struct wr_word){cell->text, cell->len};
    }
}

static enum wr_result read_time(struct wr_csv *csv, const struct row *row, int64_t *ret_ns) {
    const struct wr_csv_cell *first = cell_of(csv, csv->time_columns[0]);
    struct wr_word text = {first->text, first->len};
    char joined[128];
    if (csv->n_time_columns > 1) {
        size_t len = 0;
        for (size_t i = 0; i < csv->n_time_columns; i++) {
            const struct wr_csv_cell *cell = cell_of(csv, csv->time_columns[i]);
            if (len + cell->len + 1 > sizeof joined)
                return refuse(csv, row, WR_BOOK_REJECTED_TIME, cell->at, "not a time stamp", (struct wr_word){cell->text, cell->len});
            if (i > 0)
                joined[len++] = ' ';
            memcpy(joined + len, cell->text, cell->len);
            len += cell->len;
        }
        text = (struct wr_word){joined, len};
    }
    if (!wr_time_format_read(&csv->time, text.text, text.len, ret_ns) || *ret_ns == WR_EVENT_NONE)
        return refuse(csv, row, WR_BOOK_REJECTED_TIME, first->at, text.len ? "not a time stamp" : "no time stamp", text);
    return WR_OK;
}

static enum wr_result names(const struct wr_record *record, const struct wr_field *field, struct wr_names *into,
                            struct wr_refusal *ret_refusal) {
    const struct wr_csv *csv = record->codec;
    into->measurement = (struct wr_word){csv->measurement, strlen(csv->measurement)};
    into->field = field->name;
    for (unsigned i = 0; i < csv->options->n_tags; i++) {
        const char *tag = csv->options->tags[i];
        const char *equals = strchr(tag, '=');
        struct wr_tag found;
        size_t column;
        if (equals) {
            found = (struct wr_tag){{tag, (size_t)(equals - tag)}, {equals + 1, strlen(equals + 1)}};
        } else if (find_column(csv, tag, strlen(tag), &column)) {
            const struct wr_csv_cell *cell = cell_of(csv, column);
            found = (struct wr_tag){{tag, strlen(tag)}, {cell->text, cell->len}};
        } else {
            continue;
        }
        if (found.value.len == 0)
            continue;
        if (into->n_tags == WR_SERIES_TAGS) {
            wr_refusal_set(ret_refusal, WR_BOOK_REJECTED_TOO_LONG, record->line, record->start, record->start, "more than 32 tags");
            return WR_LIMIT;
        }
        into->tags[into->n_tags++] = found;
    }
    return WR_OK;
}

static enum wr_result take_row(struct wr_csv *csv, const struct row *row, const struct wr_sink *sink) {
    if (!csv->shift_known) {
        csv->shifted = csv->row.n_cells == csv->n_columns + 1;
        csv->shift_known = true;
    }
    if (csv->row.n_cells != csv->n_columns + csv->shifted) {
        wr_refusal_set(&csv->refusal, WR_BOOK_REJECTED_SYNTAX, row->line, row->start, row->start, "%zu cells in the row, %zu in the header",
                       csv->row.n_cells, csv->n_columns + csv->shifted);
        return WR_INVALID;
    }
    struct wr_record record = {.fields = csv->fields, .start = row->start, .line = row->line, .codec = csv, .names = names};
    WR_TRY(read_time(csv, row, &record.time_ns));
    csv->origin.len = csv->origin_fixed;
    for (size_t i = 0; i < csv->n_columns; i++) {
        const struct wr_csv_cell *cell = cell_of(csv, i);
        if (csv->roles[i] == WR_CSV_TAG && append_word(&csv->origin, cell->text, cell->len) != WR_OK)
            return refuse(csv, row, WR_BOOK_REJECTED_MEMORY, row->start, "no memory for the row", NOTHING);
        if (csv->roles[i] != WR_CSV_FIELD || cell->len == 0)
            continue;
        csv->fields[record.n_fields].name = csv->names[i];
        read_value(cell, &csv->fields[record.n_fields++]);
    }
    record.origin = (struct wr_word){(const char *)csv->origin.data, csv->origin.len};
    return record.n_fields > 0 ? sink->record(sink->user, &record) : WR_OK;
}

/* What the scanner refused, in words. */
static enum wr_result refuse_row(struct wr_csv *csv, const struct row *row, enum wr_csv_found found) {
    const char *at = csv->row.wrong;
    switch (found) {
    case WR_CSV_ROW_LONG:
        return refuse(csv, row, WR_BOOK_REJECTED_TOO_LONG, at, "more than 512 columns", NOTHING);
    case WR_CSV_ROW_MEMORY:
        return refuse(csv, row, WR_BOOK_REJECTED_MEMORY, at, "no memory for the row", NOTHING);
    case WR_CSV_ROW_OPEN:
        return refuse(csv, row, WR_BOOK_REJECTED_SYNTAX, at, "quote never closed", NOTHING);
    default:
        return refuse(csv, row, WR_BOOK_REJECTED_SYNTAX, at, "text behind a closing quote", (struct wr_word){at, csv->row.wrong_len});
    }
}

enum wr_result wr_csv_feed(struct wr_csv *csv, const char *bytes, size_t len, bool ended, uint64_t *line, const struct wr_sink *sink,
                           size_t *ret_consumed) {
    const char *p = bytes;
    const char *end = bytes + len;
    *ret_consumed = 0;
    if (*line == 0 && len < 3 && !ended)
        return WR_OK;
    if (*line == 0 && len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        p += 3;
    if (p == end)
        *ret_consumed = len;
    while (p < end) {
        struct row row = {.start = p, .line = *line + 1};
        const enum wr_csv_found found = wr_csv_row_read(&csv->row, p, end, ended);
        if (found == WR_CSV_ROW_INCOMPLETE)
            break;
        row.end = csv->row.end;
        size_t n_lines = csv->row.n_lines;
        enum wr_result result = WR_OK;
        if (found != WR_CSV_ROW_FOUND) { /* on with the next line, not with the end of a row that may have swallowed good ones */
            result = refuse_row(csv, &row, found);
            const char *newline = wr_scan_any(row.start, end, "\n", 1);
            if (newline == end && !ended)
                break;
            row.end = newline < end ? newline + 1 : end;
            n_lines = 1;
        } else if (csv->row.n_cells > 1 || csv->cells[0].len > 0) { /* else an empty line */
            result = csv->has_header ? take_row(csv, &row, sink) : take_header(csv, &row);
        }
        if (result == WR_INVALID || result == WR_NO_MEMORY)
            sink->refused(sink->user, &csv->refusal);
        else if (result != WR_OK)
            return result;
        p = row.end;
        *line += n_lines;
        *ret_consumed = (size_t)(p - bytes);
        if (result != WR_OK && !csv->has_header)
            return result;
    }
    return WR_OK;
}
