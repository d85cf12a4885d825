#include "agent/replay/history_feed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/replay/history_feed_private.h"
#include "agent/replay/play.h"

#define TEXTS 65536
#define MEMORY_BYTES (UINT64_C(64) << 20)

enum { KEY, TYPE, TIME_NS, WINDOW_NS, WIDENED, QUALITY, READINGS, VALUES };
#define SELECT "SELECT key, type, time_ns, window_ns, widened, quality, n + bad, first, min, max, last FROM readings WHERE n > 0"

/* -- rows of a slice -------------------------------------------------------------------------------------------------------------------------------- */

static bool is_named(const struct wr_query_value *value, const char *name) {
    return value->kind == WR_QUERY_TEXT && strcmp(value->text, name) == 0;
}

uint8_t wr_history_feed_type(const struct wr_query_value *value) {
    for (int type = WR_TYPE_FLOAT; type <= WR_TYPE_SYMBOL; type++)
        if (is_named(value, wr_type_name((enum wr_type)type)))
            return (uint8_t)type;
    return WR_TYPE_NONE;
}

uint8_t wr_history_feed_quality(const struct wr_query_value *value) {
    return is_named(value, wr_quality_name(WR_QUALITY_UNCERTAIN)) ? WR_QUALITY_UNCERTAIN
           : is_named(value, wr_quality_name(WR_QUALITY_BAD))     ? WR_QUALITY_BAD
                                                                  : WR_QUALITY_GOOD;
}

enum wr_result wr_history_feed_value(struct feed *feed, uint8_t type, const struct wr_query_value *value, union wr_value *ret_value) {
    *ret_value = (union wr_value){.u = 0};
    if (type == WR_TYPE_SYMBOL && value->kind == WR_QUERY_TEXT)
        return wr_symbol_intern(feed->texts, value->text, value->len, &ret_value->symbol);
    if (type == WR_TYPE_FLOAT)
        ret_value->f = value->kind == WR_QUERY_INTEGER ? (double)value->integer : value->kind == WR_QUERY_REAL ? value->real : (double)NAN;
    else if (value->kind == WR_QUERY_REAL) /* beyond what SQLite keeps as an integer */
        ret_value->u = value->real < 18446744073709551616.0 ? (uint64_t)value->real : UINT64_MAX;
    else
        ret_value->i = value->integer;
    return WR_OK;
}

enum wr_result wr_history_feed_columns(void *user, const char *const *names, unsigned n, struct wr_error *err) {
    (void)user, (void)names, (void)n, (void)err;
    return WR_OK;
}

static enum wr_result on_row(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err) {
    struct feed *feed = user;
    struct row row = {.type = wr_history_feed_type(&values[TYPE]),
                      .quality = wr_history_feed_quality(&values[QUALITY]),
                      .readings = values[READINGS].integer,
                      .is_widened = values[WIDENED].integer != 0,
                      .start_ns = values[TIME_NS].integer,
                      .window_ns = values[WINDOW_NS].integer};
    (void)n;
    enum wr_result result = wr_series_intern(feed->series, values[KEY].text, values[KEY].len, &row.series);
    for (unsigned i = 0; i < N_VALUES && result == WR_OK; i++)
        result = wr_history_feed_value(feed, row.type, &values[VALUES + i], &row.values[i]);
    if (result != WR_OK)
        return wr_error_set(err, result, result == WR_LIMIT ? "too many series or texts for a replay" : "no memory");
    int64_t *shortest = &feed->shortest[row.series];
    if (!row.is_widened && (*shortest < 0 || row.window_ns < *shortest))
        *shortest = row.window_ns;
    result = wr_buf_append(&feed->rows, &row, sizeof row);
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "no memory");
}

enum wr_result wr_history_feed_ask(struct feed *feed, const char *sql, const struct wr_query_sink *sink, struct wr_error *err) {
    const struct wr_query_options options = {.history = feed->options->history, .rows_max = UINT64_MAX, .memory_bytes = MEMORY_BYTES};
    struct wr_query_report report;
    WR_TRY(wr_query_run(sql, &options, sink, &report, err));
    feed->options->damaged += report.damaged;
    if (report.unreadable > feed->options->unreadable)
        feed->options->unreadable = report.unreadable;
    return WR_OK;
}

/* -- points ------------------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result add_point(struct feed *feed, const struct row *row, int64_t at_ns, union wr_value value) {
    const struct point point = {
        .at_ns = at_ns, .order = feed->order++, .series = row->series, .type = row->type, .quality = row->quality, .value = value};
    return wr_buf_append(&feed->points, &point, sizeof point);
}

/* The lowest and highest only where first and last are not the same already. */
static enum wr_result add_window(struct feed *feed, const struct row *row) {
    const union wr_value first = row->values[FIRST];
    const union wr_value last = row->values[LAST];
    const enum wr_type type = (enum wr_type)row->type;
    const bool rises = wr_reading_below(type, first, last);
    WR_TRY(add_point(feed, row, row->start_ns, first));
    for (int i = 0; i < 2 && type != WR_TYPE_SYMBOL; i++) {
        const union wr_value value = row->values[(i == 0) == rises ? MIN : MAX];
        if (value.bits != first.bits && value.bits != last.bits)
            WR_TRY(add_point(feed, row, row->start_ns + row->window_ns / 3 * (i + 1), value));
    }
    if (row->window_ns > 1 && last.bits != first.bits)
        WR_TRY(add_point(feed, row, row->start_ns + row->window_ns - 1, last));
    return WR_OK;
}

/* Of a series with windows of several lengths the shortest count. */
bool wr_history_feed_counts(const struct feed *feed, const struct row *row) {
    if (row->window_ns == 0)
        return true;
    return row->is_widened ? feed->shortest[row->series] != 0 : row->window_ns == feed->shortest[row->series];
}

static enum wr_result make_points(struct feed *feed) {
    const struct row *rows = (const struct row *)(const void *)feed->rows.data;
    for (size_t i = 0; i < feed->rows.len / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (row->is_replaced || !wr_history_feed_counts(feed, row))
            continue;
        WR_TRY(row->window_ns == 0 ? add_point(feed, row, row->start_ns, row->values[LAST]) : add_window(feed, row));
    }
    wr_buf_clear(&feed->rows);
    return WR_OK;
}

static int by_time(const void *a, const void *b) {
    const struct point *one = a;
    const struct point *other = b;
    if (one->at_ns != other->at_ns)
        return one->at_ns < other->at_ns ? -1 : 1;
    return one->order < other->order ? -1 : 1;
}

/* -- records ------------------------------------------------------------------------------------------------------------------------------------------ */

static struct wr_word word_at(const char *text) {
    return (struct wr_word){text, strlen(text)};
}

static enum wr_result names(const struct wr_record *record, const struct wr_field *field, struct wr_names *into,
                            struct wr_refusal *ret_refusal) {
    const struct wr_series *series = record->codec;
    const char *at = NULL;
    const char *name;
    const char *value;
    (void)ret_refusal;
    into->measurement = word_at(wr_series_measurement(series->key));
    into->field = field->name;
    while (wr_series_next_tag(series->key, series->key_len, &at, &name, &value))
        into->tags[into->n_tags++] = (struct wr_tag){word_at(name), word_at(value)};
    return WR_OK;
}

static enum wr_result tell(struct feed *feed, const struct point *point) {
    struct wr_series *series = wr_series_get(feed->series, point->series);
    struct wr_field field = {.name = word_at(wr_series_field(series->key)),
                             .value = point->value,
                             .type = point->type,
                             .quality = point->quality,
                             .decimals = WR_DECIMALS_UNKNOWN};
    if (point->type == WR_TYPE_SYMBOL) {
        field.text.text = wr_symbol_text(feed->texts, point->value.symbol, &field.text.len);
        field.value.u = 0;
    }
    const struct wr_record record = {.origin = {series->key, series->key_len},
                                     .time_ns = point->at_ns,
                                     .fields = &field,
                                     .n_fields = 1,
                                     .start = series->key,
                                     .codec = series,
                                     .names = names};
    return feed->sink->record(feed->sink->user, &record);
}

/* What lies before end_ns; the rest waits: windows of the next slice may come between. */
static enum wr_result tell_until(struct feed *feed, int64_t end_ns) {
    struct point *points = (struct point *)(void *)feed->points.data;
    const size_t n = feed->points.len / sizeof *points;
    size_t i = 0;
    if (n > 0)
        qsort(points, n, sizeof *points, by_time);
    for (; i < n && points[i].at_ns < end_ns; i++)
        WR_TRY(tell(feed, &points[i]));
    if (i > 0) {
        memmove(points, points + i, (n - i) * sizeof *points);
        feed->points.len = (n - i) * sizeof *points;
    }
    return WR_OK;
}

/* -- all --------------------------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result on_span(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err) {
    struct feed *feed = user;
    (void)n, (void)err;
    if (values[0].kind == WR_QUERY_INTEGER) {
        feed->first_ns = values[0].integer;
        feed->last_ns = values[1].integer;
    }
    return WR_OK;
}

/* Where the slice that begins at at_ns ends. Where there are raw readings slices are short: they are many. */
static int64_t end_of_slice(const struct feed *feed, int64_t at_ns) {
    if (at_ns > feed->raw_last_ns)
        return wr_clock_add_ns(at_ns, WR_HISTORY_FEED_SLICE_NS);
    if (at_ns >= feed->raw_first_ns)
        return wr_clock_add_ns(at_ns, WR_HISTORY_FEED_RAW_SLICE_NS);
    const int64_t end_ns = wr_clock_add_ns(at_ns, WR_HISTORY_FEED_SLICE_NS);
    return end_ns < feed->raw_first_ns ? end_ns : feed->raw_first_ns;
}

static enum wr_result run_slice(struct feed *feed, int64_t at_ns, int64_t end_ns, struct wr_error *err) {
    const struct wr_query_sink rows = {.user = feed, .columns = wr_history_feed_columns, .row = on_row};
    char sql[320];
    snprintf(sql, sizeof sql, SELECT " AND time_ns >= %" PRId64 " AND time_ns < %" PRId64, at_ns, end_ns);
    WR_TRY(wr_history_feed_ask(feed, sql, &rows, err));
    if (at_ns <= feed->raw_last_ns && end_ns > feed->raw_first_ns)
        WR_TRY(wr_history_raw_take(feed, at_ns, end_ns, err));
    wr_history_raw_cover(feed);
    if (make_points(feed) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    return tell_until(feed, end_ns);
}

static enum wr_result find_span(struct feed *feed, struct wr_error *err) {
    const struct wr_query_sink span = {.user = feed, .columns = wr_history_feed_columns, .row = on_span};
    WR_TRY(wr_history_feed_ask(feed, "SELECT min(first_ns), max(last_ns) FROM segments WHERE kind = 'raw'", &span, err));
    feed->raw_first_ns = wr_clock_add_ns(feed->first_ns, -WR_HISTORY_FEED_SLICE_NS); /* they may fill a window that began before them */
    feed->raw_last_ns = feed->last_ns;
    WR_TRY(wr_history_feed_ask(feed, "SELECT min(first_ns), max(last_ns) FROM segments WHERE kind IN ('aggregates', 'raw')", &span, err));
    return WR_OK;
}

static enum wr_result run(struct feed *feed, struct wr_error *err) {
    WR_TRY(find_span(feed, err));
    const int64_t from_ns = feed->options->from_ns > feed->first_ns ? feed->options->from_ns : feed->first_ns;
    const int64_t to_ns = feed->options->to_ns < feed->last_ns ? feed->options->to_ns : feed->last_ns;
    for (int64_t at = from_ns; at <= to_ns;) {
        const int64_t next = end_of_slice(feed, at);
        WR_TRY(run_slice(feed, at, next <= to_ns ? next : wr_clock_add_ns(to_ns, 1), err));
        if (next == INT64_MAX)
            break;
        at = next;
    }
    return tell_until(feed, INT64_MAX);
}

enum wr_result wr_history_feed(void *user, const struct wr_sink *sink, struct wr_error *err) {
    struct feed feed = {.options = user, .sink = sink, .first_ns = INT64_MAX, .last_ns = INT64_MIN};
    wr_buf_init(&feed.rows, 0);
    wr_buf_init(&feed.points, 0);
    wr_buf_init(&feed.raw, 0);
    enum wr_result result = wr_series_table_new(WR_PLAY_SERIES, &feed.series, err);
    if (result == WR_OK)
        result = wr_symbol_table_new(TEXTS, &feed.texts, err);
    feed.shortest = malloc(WR_PLAY_SERIES * sizeof *feed.shortest);
    feed.covered_ns = malloc(WR_PLAY_SERIES * sizeof *feed.covered_ns);
    if (result == WR_OK && (!feed.shortest || !feed.covered_ns))
        result = wr_error_set(err, WR_NO_MEMORY, "no memory");
    for (size_t i = 0; feed.shortest && feed.covered_ns && i < WR_PLAY_SERIES; i++) {
        feed.shortest[i] = -1;
        feed.covered_ns[i] = INT64_MIN;
    }
    if (result == WR_OK)
        result = run(&feed, err);
    free(feed.shortest);
    free(feed.covered_ns);
    wr_symbol_table_free(feed.texts);
    wr_series_table_free(feed.series);
    wr_buf_fini(&feed.rows);
    wr_buf_fini(&feed.points);
    wr_buf_fini(&feed.raw);
    return result;
}
