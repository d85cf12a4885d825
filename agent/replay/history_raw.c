/* Raw readings in place of the windows that were made of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/replay/history_feed_private.h"

enum { KEY, TYPE, TIME_NS, QUALITY, VALUE };
#define SELECT "SELECT key, type, time_ns, quality, value FROM raw"

enum raw_state { ALONE, IN_WINDOW, TAKEN };

static enum wr_result on_row(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err) {
    struct feed *feed = user;
    struct point point = {.at_ns = values[TIME_NS].integer,
                          .order = feed->order++,
                          .type = wr_history_feed_type(&values[TYPE]),
                          .quality = wr_history_feed_quality(&values[QUALITY]),
                          .state = ALONE};
    (void)n;
    enum wr_result result = wr_series_intern(feed->series, values[KEY].text, values[KEY].len, &point.series);
    if (result == WR_OK)
        result = wr_history_feed_value(feed, point.type, &values[VALUE], &point.value);
    if (result == WR_OK)
        result = wr_buf_append(&feed->raw, &point, sizeof point);
    return result == WR_OK ? WR_OK : wr_error_set(err, result, result == WR_LIMIT ? "too many series or texts for a replay" : "no memory");
}

static int by_series(const void *a, const void *b) {
    const struct point *one = a;
    const struct point *other = b;
    if (one->series != other->series)
        return one->series < other->series ? -1 : 1;
    if (one->at_ns != other->at_ns)
        return one->at_ns < other->at_ns ? -1 : 1;
    return one->order < other->order ? -1 : 1;
}

static int rows_by_series(const void *a, const void *b) {
    const struct row *one = a;
    const struct row *other = b;
    if (one->series != other->series)
        return one->series < other->series ? -1 : 1;
    if (one->start_ns != other->start_ns)
        return one->start_ns < other->start_ns ? -1 : 1;
    return one->window_ns < other->window_ns ? -1 : one->window_ns > other->window_ns;
}

/* A change is one reading, wherever it was measured. */
static int64_t end_of(const struct row *row) {
    return wr_clock_add_ns(row->start_ns, row->window_ns > 0 ? row->window_ns : 1);
}

/* The first that is not before this time of this series. */
static size_t find(const struct point *points, size_t n, uint32_t series, int64_t at_ns) {
    size_t low = 0;
    while (low < n) {
        const size_t middle = low + (n - low) / 2;
        const bool is_before = points[middle].series != series ? points[middle].series < series : points[middle].at_ns < at_ns;
        if (is_before)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* Of a window that is longer than a slice of windows not all of its readings are in memory: one stands for all. */
static int64_t needed(const struct row *row, int64_t readings) {
    return row->window_ns == 0 || row->window_ns > WR_HISTORY_FEED_SLICE_NS ? 1 : readings;
}

/* Rows of one series and window (it may have several: late ones, parts) are replaced if their readings are all there. */
static void replace(struct row *rows, size_t n_rows, struct point *raw, size_t n_raw) {
    int64_t readings = 0;
    for (size_t i = 0; i < n_rows; i++)
        readings += rows[i].readings;
    const size_t first = find(raw, n_raw, rows->series, rows->start_ns);
    const size_t last = find(raw, n_raw, rows->series, end_of(rows));
    const bool all = (int64_t)(last - first) >= needed(rows, readings);
    for (size_t i = 0; i < n_rows; i++)
        rows[i].is_replaced = all;
    for (size_t i = first; i < last; i++)
        if (all || raw[i].state == ALONE)
            raw[i].state = all ? TAKEN : IN_WINDOW;
}

static void replace_all(struct feed *feed, struct point *raw, size_t n_raw) {
    struct row *rows = (struct row *)(void *)feed->rows.data;
    const size_t n = feed->rows.len / sizeof *rows;
    if (n > 0)
        qsort(rows, n, sizeof *rows, rows_by_series);
    for (size_t i = 0; i < n;) {
        size_t same = i + 1;
        while (same < n && rows_by_series(&rows[i], &rows[same]) == 0)
            same++;
        if (wr_history_feed_counts(feed, &rows[i]))
            replace(&rows[i], same - i, raw, n_raw);
        i = same;
    }
}

void wr_history_raw_cover(struct feed *feed) {
    const struct row *rows = (const struct row *)(const void *)feed->rows.data;
    for (size_t i = 0; i < feed->rows.len / sizeof *rows; i++) {
        int64_t *covered_ns = &feed->covered_ns[rows[i].series];
        if (rows[i].window_ns <= WR_HISTORY_FEED_SLICE_NS && wr_history_feed_counts(feed, &rows[i]) && end_of(&rows[i]) > *covered_ns)
            *covered_ns = end_of(&rows[i]);
    }
}

/* What was looked at with a window of an earlier slice is not looked at again; what is in no window waits for the slice that it is in. */
static enum wr_result take(struct feed *feed, const struct point *raw, size_t n_raw, int64_t end_ns) {
    for (size_t i = 0; i < n_raw; i++) {
        const bool is_due = raw[i].state == TAKEN || (raw[i].state == ALONE && raw[i].at_ns < end_ns);
        if (is_due && raw[i].at_ns >= feed->covered_ns[raw[i].series])
            WR_TRY(wr_buf_append(&feed->points, &raw[i], sizeof raw[i]));
    }
    return WR_OK;
}

enum wr_result wr_history_raw_take(struct feed *feed, int64_t at_ns, int64_t end_ns, struct wr_error *err) {
    const struct wr_query_sink sink = {.user = feed, .columns = wr_history_feed_columns, .row = on_row};
    const struct row *rows = (const struct row *)(const void *)feed->rows.data;
    char sql[160];
    int64_t until_ns = end_ns;
    for (size_t i = 0; i < feed->rows.len / sizeof *rows; i++)
        if (rows[i].window_ns <= WR_HISTORY_FEED_SLICE_NS && end_of(&rows[i]) > until_ns)
            until_ns = end_of(&rows[i]);
    wr_buf_clear(&feed->raw);
    snprintf(sql, sizeof sql, SELECT " WHERE time_ns >= %" PRId64 " AND time_ns < %" PRId64, at_ns, until_ns);
    WR_TRY(wr_history_feed_ask(feed, sql, &sink, err));
    struct point *raw = (struct point *)(void *)feed->raw.data;
    const size_t n = feed->raw.len / sizeof *raw;
    if (n > 0)
        qsort(raw, n, sizeof *raw, by_series);
    replace_all(feed, raw, n);
    return take(feed, raw, n, end_ns) == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory");
}
