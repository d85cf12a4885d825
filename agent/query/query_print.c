#include "agent/query/query_print.h"

#include <inttypes.h>
#include <string.h>

#include "core/json.h"

void wr_query_print_init(struct wr_query_print *print, enum wr_query_format format, bool is_terminal, FILE *out) {
    *print = (struct wr_query_print){.format = format, .is_terminal = is_terminal, .out = out, .drawn = -1};
    struct wr_buf *bufs[] = {&print->names, &print->line, &print->texts, &print->cells, &print->labels, &print->points};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        wr_buf_init(bufs[i], 0);
}

void wr_query_print_fini(struct wr_query_print *print) {
    struct wr_buf *bufs[] = {&print->names, &print->line, &print->texts, &print->cells, &print->labels, &print->points};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        wr_buf_fini(bufs[i]);
}

const char *wr_query_print_name(const struct wr_query_print *print, unsigned column) {
    const char *name = wr_buf_str(&print->names);
    for (; column > 0; column--)
        name += strlen(name) + 1;
    return name;
}

/* -- one value ------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result put_hex(struct wr_buf *into, const char *bytes, size_t len) {
    WR_TRY(wr_buf_text(into, "x'"));
    for (size_t i = 0; i < len; i++)
        WR_TRY(wr_buf_printf(into, "%02x", (unsigned)(uint8_t)bytes[i]));
    return wr_buf_text(into, "'");
}

static enum wr_result put_escaped(struct wr_buf *into, const char *text, size_t len) {
    const size_t room = 4 * len + 1;
    WR_TRY(wr_buf_reserve(into, room));
    char *at = (char *)into->data + into->len;
    wr_error_escape(at, room, text, len);
    into->len += strlen(at);
    return WR_OK;
}

/* Without a NUL. */
static enum wr_result put_value(struct wr_buf *into, const struct wr_query_value *value, bool escaped) {
    char number[32];
    switch (value->kind) {
    case WR_QUERY_NULL:
        return WR_OK;
    case WR_QUERY_INTEGER:
        return wr_buf_printf(into, "%" PRId64, value->integer);
    case WR_QUERY_REAL:
        return wr_buf_append(into, number, wr_json_format_double(number, value->real));
    case WR_QUERY_TEXT:
        return escaped ? put_escaped(into, value->text, value->len) : wr_buf_append(into, value->text, value->len);
    case WR_QUERY_BLOB:
        return put_hex(into, value->text, value->len);
    }
    return WR_OK;
}

enum wr_result wr_query_print_text(struct wr_buf *into, const struct wr_query_value *value, bool escaped) {
    WR_TRY(put_value(into, value, escaped));
    return wr_buf_append(into, "", 1);
}

/* -- CSV --------------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result put_quoted(struct wr_buf *into, const char *text, size_t len) {
    const char *end = text + len;
    WR_TRY(wr_buf_text(into, "\""));
    for (const char *quote; (quote = memchr(text, '"', (size_t)(end - text))); text = quote + 1) {
        WR_TRY(wr_buf_append(into, text, (size_t)(quote - text)));
        WR_TRY(wr_buf_text(into, "\"\""));
    }
    WR_TRY(wr_buf_append(into, text, (size_t)(end - text)));
    return wr_buf_text(into, "\"");
}

static bool needs_quotes(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] == ',' || text[i] == '"' || (uint8_t)text[i] < ' ')
            return true;
    return len == 0; /* NULL has none */
}

static enum wr_result csv_row(struct wr_query_print *print, const struct wr_query_value *values, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            WR_TRY(wr_buf_text(&print->line, ","));
        wr_buf_clear(&print->texts);
        WR_TRY(put_value(&print->texts, &values[i], print->is_terminal));
        const char *text = wr_buf_str(&print->texts);
        if (values[i].kind == WR_QUERY_TEXT && needs_quotes(text, print->texts.len))
            WR_TRY(put_quoted(&print->line, text, print->texts.len));
        else
            WR_TRY(wr_buf_append(&print->line, text, print->texts.len));
    }
    return wr_buf_text(&print->line, "\n");
}

/* -- JSON -------------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result json_row(struct wr_query_print *print, const struct wr_query_value *values, unsigned n) {
    struct wr_json json;
    WR_TRY(wr_buf_text(&print->line, print->n_rows > 0 ? ",\n" : "[\n"));
    wr_json_begin(&json, &print->line);
    wr_json_object(&json, NULL);
    for (unsigned i = 0; i < n; i++) {
        const char *name = wr_query_print_name(print, i);
        if (values[i].kind == WR_QUERY_INTEGER) {
            wr_json_int(&json, name, values[i].integer);
        } else if (values[i].kind == WR_QUERY_REAL) {
            wr_json_double(&json, name, values[i].real);
        } else if (values[i].kind == WR_QUERY_NULL) {
            wr_json_null(&json, name);
        } else {
            wr_buf_clear(&print->texts);
            WR_TRY(put_value(&print->texts, &values[i], false));
            wr_json_bytes(&json, name, wr_buf_str(&print->texts), print->texts.len);
        }
    }
    wr_json_object_end(&json);
    return wr_json_end(&json);
}

/* -- table ------------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result table_row(struct wr_query_print *print, const struct wr_query_value *values, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        const struct wr_query_cell cell = {.at = print->texts.len,
                                           .is_number = values[i].kind == WR_QUERY_INTEGER || values[i].kind == WR_QUERY_REAL};
        WR_TRY(wr_query_print_text(&print->texts, &values[i], true));
        WR_TRY(wr_buf_append(&print->cells, &cell, sizeof cell));
    }
    return WR_OK;
}

/* Characters: what continues one is none. */
static int width_of(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += ((uint8_t)*text & 0xC0) != 0x80;
    return width;
}

static void put_cell(FILE *out, const char *text, int width, bool is_right, bool is_last) {
    const int blanks = is_last && *text == '\0' ? 0 : width - width_of(text);
    fprintf(out, "%*s%s%*s%s", is_right ? blanks : 0, "", text, is_right || is_last ? 0 : blanks, "", is_last ? "\n" : "  ");
}

static void print_table(const struct wr_query_print *print) {
    int widths[WR_QUERY_COLUMNS] = {0};
    const struct wr_query_cell *cells = (const struct wr_query_cell *)(const void *)print->cells.data;
    const unsigned n = print->n_columns;
    for (unsigned i = 0; i < n; i++)
        widths[i] = width_of(wr_query_print_name(print, i));
    for (uint32_t row = 0; row < print->n_rows; row++)
        for (unsigned i = 0; i < n; i++) {
            const int width = width_of((const char *)print->texts.data + cells[row * n + i].at);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    for (unsigned i = 0; i < n; i++)
        put_cell(print->out, wr_query_print_name(print, i), widths[i], print->n_rows > 0 && cells[i].is_number, i + 1 == n);
    for (uint32_t row = 0; row < print->n_rows; row++)
        for (unsigned i = 0; i < n; i++) {
            const struct wr_query_cell *cell = &cells[row * n + i];
            put_cell(print->out, (const char *)print->texts.data + cell->at, widths[i], cell->is_number, i + 1 == n);
        }
}

/* -- all ---------------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result said(enum wr_result result, struct wr_error *err) {
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "no memory for the answer");
}

static enum wr_result write_line(struct wr_query_print *print, struct wr_error *err) {
    const bool written = fwrite(print->line.data, 1, print->line.len, print->out) == print->line.len;
    wr_buf_clear(&print->line);
    return written ? WR_OK : wr_error_set(err, WR_IO, "the answer cannot be written");
}

static enum wr_result on_columns(void *user, const char *const *names, unsigned n, struct wr_error *err) {
    struct wr_query_print *print = user;
    struct wr_query_value values[WR_QUERY_COLUMNS];
    print->n_columns = n;
    for (unsigned i = 0; i < n; i++) {
        values[i] = (struct wr_query_value){.kind = WR_QUERY_TEXT, .text = names[i], .len = strlen(names[i])};
        WR_TRY(said(wr_query_print_text(&print->names, &values[i], print->format == WR_QUERY_TABLE), err));
    }
    if (print->format != WR_QUERY_CSV)
        return WR_OK;
    WR_TRY(said(csv_row(print, values, n), err));
    return write_line(print, err);
}

static enum wr_result on_row(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err) {
    struct wr_query_print *print = user;
    enum wr_result result = WR_OK;
    if (print->format == WR_QUERY_TABLE)
        result = table_row(print, values, n);
    else if (print->format == WR_QUERY_PLOT)
        result = wr_query_plot_row(print, values, n);
    else
        result = print->format == WR_QUERY_CSV ? csv_row(print, values, n) : json_row(print, values, n);
    print->n_rows++;
    WR_TRY(said(result, err));
    return print->line.len > 0 ? write_line(print, err) : WR_OK;
}

struct wr_query_sink wr_query_print_sink(struct wr_query_print *print) {
    return (struct wr_query_sink){.user = print, .columns = on_columns, .row = on_row};
}

enum wr_result wr_query_print_end(struct wr_query_print *print, struct wr_error *err) {
    if (print->format == WR_QUERY_TABLE)
        print_table(print);
    else if (print->format == WR_QUERY_PLOT)
        WR_TRY(wr_query_plot_end(print, err));
    else if (print->format == WR_QUERY_JSON)
        fputs(print->n_rows > 0 ? "\n]\n" : "[]\n", print->out);
    return fflush(print->out) == 0 && !ferror(print->out) ? WR_OK : wr_error_set(err, WR_IO, "the answer cannot be written");
}
