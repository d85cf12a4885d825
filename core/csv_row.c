#include "core/csv_row.h"

#include "core/scan.h"

void wr_csv_row_init(struct wr_csv_row *row, struct wr_csv_cell *cells, size_t max_cells) {
    *row = (struct wr_csv_row){.cells = cells, .max_cells = max_cells};
    wr_buf_init(&row->resolved, 0);
}

void wr_csv_row_fini(struct wr_csv_row *row) {
    wr_buf_fini(&row->resolved);
}

static enum wr_csv_found refuse(struct wr_csv_row *row, enum wr_csv_found why, const char *at, size_t len) {
    row->wrong = at;
    row->wrong_len = len;
    return why;
}

/* The cell at p, which begins with a quote. Returns the byte behind its last quote; NULL: no closing quote before `end`. */
static const char *quoted_cell(struct wr_csv_row *row, const char *p, const char *end, struct wr_csv_cell *cell) {
    const char *from = p + 1;
    size_t doubled = 0;
    for (p = from;; p++) {
        p = wr_scan_any(p, end, "\"\n", 2);
        if (p == end)
            return NULL;
        if (*p == '\n') {
            row->n_lines++;
        } else if (p + 1 < end && p[1] == '"') {
            doubled++;
            p++;
        } else {
            break;
        }
    }
    *cell = (struct wr_csv_cell){from, (size_t)(p - from), from - 1};
    if (doubled == 0)
        return p + 1;
    char *into = (char *)row->resolved.data + row->resolved.len; /* there is room: see wr_csv_row_read */
    cell->text = into;
    cell->len -= doubled;
    for (const char *c = from; c < p; c++) {
        *into++ = *c;
        c += *c == '"';
    }
    row->resolved.len += cell->len;
    return p + 1;
}

/* A quoted cell and what may follow it. *p: at its quote, then at the comma, the newline or `end`. */
static enum wr_csv_found take_quoted(struct wr_csv_row *row, const char **p, const char *start, const char *end, bool ended,
                                     struct wr_csv_cell *cell) {
    const size_t room = (size_t)(end - start) + 1;
    if (row->resolved.cap < room && wr_buf_reserve(&row->resolved, room) != WR_OK)
        return refuse(row, WR_CSV_ROW_MEMORY, *p, 0);
    const char *behind = quoted_cell(row, *p, end, cell);
    if (!behind)
        return ended ? refuse(row, WR_CSV_ROW_OPEN, *p, 1) : WR_CSV_ROW_INCOMPLETE;
    if (!ended && (behind == end || (*behind == '\r' && behind + 1 == end)))
        return WR_CSV_ROW_INCOMPLETE; /* the quote may turn out to be doubled, the return to be followed by a newline */
    *p = behind;
    if (behind < end && *behind == '\r' && (behind + 1 == end || behind[1] == '\n'))
        (*p)++;
    if (*p < end && **p != ',' && **p != '\n')
        return refuse(row, WR_CSV_ROW_BEHIND, behind, (size_t)(wr_scan_any(behind, end, "\n", 1) - behind));
    return WR_CSV_ROW_FOUND;
}

enum wr_csv_found wr_csv_row_read(struct wr_csv_row *row, const char *start, const char *end, bool ended) {
    row->n_cells = 0;
    row->n_lines = 1;
    row->resolved.len = 0;
    for (const char *p = start;; p++) {
        if (row->n_cells == row->max_cells)
            return refuse(row, WR_CSV_ROW_LONG, p, 0);
        struct wr_csv_cell *cell = &row->cells[row->n_cells];
        if (p < end && *p == '"') {
            const enum wr_csv_found found = take_quoted(row, &p, start, end, ended, cell);
            if (found != WR_CSV_ROW_FOUND)
                return found;
        } else {
            const char *from = p;
            p = wr_scan_any(p, end, ",\n", 2);
            const char *to = p > from && (p == end || *p == '\n') && p[-1] == '\r' ? p - 1 : p;
            *cell = (struct wr_csv_cell){from, (size_t)(to - from), from};
        }
        row->n_cells++;
        if (p == end) {
            row->end = end;
            return ended ? WR_CSV_ROW_FOUND : WR_CSV_ROW_INCOMPLETE;
        }
        if (*p == '\n') {
            row->end = p + 1;
            return WR_CSV_ROW_FOUND;
        }
    }
}
