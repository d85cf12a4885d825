#include "tests/support/query_bed.h"

#include <inttypes.h>
#include <string.h>

void query_bed_init(struct query_bed *bed, struct wr_history history) {
    *bed = (struct query_bed){.options = {.history = history,
                                          .now_wall_ns = INT64_C(1772010000) * WR_NS_PER_S, /* 2026-02-25T09:00Z */
                                          .rows_max = 1000,
                                          .memory_bytes = 16 << 20}};
    wr_buf_init(&bed->names, 0);
    wr_buf_init(&bed->rows, 0);
}

void query_bed_fini(struct query_bed *bed) {
    wr_buf_fini(&bed->names);
    wr_buf_fini(&bed->rows);
}

static enum wr_result on_columns(void *user, const char *const *names, unsigned n, struct wr_error *err) {
    struct query_bed *bed = user;
    enum wr_result result = WR_OK;
    for (unsigned i = 0; i < n && result == WR_OK; i++)
        result = wr_buf_printf(&bed->names, "%s%s", i > 0 ? "|" : "", names[i]);
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "no memory");
}

static enum wr_result put(struct wr_buf *rows, const struct wr_query_value *value) {
    switch (value->kind) {
    case WR_QUERY_INTEGER:
        return wr_buf_printf(rows, "%" PRId64, value->integer);
    case WR_QUERY_REAL:
        return wr_buf_printf(rows, "%.17g", value->real);
    case WR_QUERY_TEXT:
    case WR_QUERY_BLOB:
        return wr_buf_append(rows, value->text, value->len);
    case WR_QUERY_NULL:
        break;
    }
    return WR_OK;
}

static enum wr_result on_row(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err) {
    struct query_bed *bed = user;
    enum wr_result result = WR_OK;
    for (unsigned i = 0; i < n && result == WR_OK; i++) {
        if (i > 0)
            result = wr_buf_text(&bed->rows, "|");
        if (result == WR_OK)
            result = put(&bed->rows, &values[i]);
    }
    if (result == WR_OK)
        result = wr_buf_text(&bed->rows, "\n");
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "no memory");
}

enum wr_result query_bed_ask(struct query_bed *bed, const char *sql) {
    const struct wr_query_sink sink = {.user = bed, .columns = on_columns, .row = on_row};
    wr_buf_clear(&bed->names);
    wr_buf_clear(&bed->rows);
    memset(&bed->err, 0, sizeof bed->err);
    return wr_query_run(sql, &bed->options, &sink, &bed->report, &bed->err);
}
