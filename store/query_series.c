/* What tables of readings have in common: which series a query wants, and how parts of a reading become values of SQL. */
#include <string.h>

#include "core/record_json.h"
#include "core/series.h"
#include "store/query_private.h"

/* The text behind `word`, if it begins with that; else NULL. *word moves behind its NUL. */
static const char *behind(const char *text, const char **word) {
    const char *at = *word;
    for (; *at; at++, text++)
        if (*text != *at)
            return NULL;
    *word = at + 1;
    return text;
}

/* Whether this is how wr_series_display writes the key. Asked of each series of each segment: most are not, and it is seen early. */
static bool is_displayed(const char *key, size_t len, const char *text) {
    static const char value[] = "value";
    const char *at = key;
    if (!(text = behind(text, &at)))
        return false;
    if (strcmp(at, value) == 0)
        at += sizeof value;
    else if (*text++ != '.' || !(text = behind(text, &at)))
        return false;
    const bool has_tags = at < key + len;
    for (char before = '{'; at < key + len; before = ',')
        if (*text++ != before || !(text = behind(text, &at)) || *text++ != '=' || !(text = behind(text, &at)))
            return false;
    return strcmp(text, has_tags ? "}" : "") == 0;
}

static bool is_wanted(const struct wr_query_bounds *bounds, const char *key, size_t len) {
    const char *const *texts = bounds->texts;
    return (!texts[WR_QUERY_BOUND_NAME] || strcmp(texts[WR_QUERY_BOUND_NAME], wr_series_measurement(key)) == 0) &&
           (!texts[WR_QUERY_BOUND_FIELD] || strcmp(texts[WR_QUERY_BOUND_FIELD], wr_series_field(key)) == 0) &&
           (!texts[WR_QUERY_BOUND_SERIES] || is_displayed(key, len, texts[WR_QUERY_BOUND_SERIES]));
}

/* A segment begins: which of its runs are wanted. Behind the last of them nothing has to be decoded. */
bool wr_query_series_begin(struct wr_query_cursor *cursor) {
    struct wr_query_series *series = (struct wr_query_series *)cursor;
    size_t len;
    const char *key;
    series->key = NULL;
    series->run = 0;
    series->n_runs = 0;
    for (uint32_t i = 0; i < WR_SEGMENT_READINGS && (key = wr_query_scan_run(&cursor->scan, i, &len)); i++) {
        series->wanted[i] = is_wanted(&cursor->bounds, key, len);
        if (series->wanted[i])
            series->n_runs = i + 1;
    }
    return series->n_runs > 0;
}

void wr_query_series_begin_run(struct wr_query_series *series, const char *key, size_t key_len) {
    series->run += series->key != NULL;
    series->key = key;
    series->key_len = key_len;
    series->tags_known = false;
    series->cursor.is_wanted = series->run < series->n_runs && series->wanted[series->run];
    if (series->cursor.is_wanted)
        wr_series_display(series->name, sizeof series->name, key, key_len);
}

void wr_query_series_fini(struct wr_query_cursor *cursor) {
    wr_buf_fini(&((struct wr_query_series *)cursor)->tags);
}

/* -- columns ------------------------------------------------------------------------------------------------------------------------------- */

/* The tags of the run at hand, as JSON. */
static enum wr_result make_tags(struct wr_query_series *series) {
    struct wr_json json;
    const char *at = NULL;
    const char *name;
    const char *value;
    if (series->tags_known)
        return WR_OK;
    if (!series->tags.data)
        wr_buf_init(&series->tags, 0);
    wr_buf_clear(&series->tags);
    wr_json_begin(&json, &series->tags);
    wr_json_object(&json, NULL);
    while (wr_series_next_tag(series->key, series->key_len, &at, &name, &value))
        wr_json_string(&json, name, value);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    series->tags_known = true;
    return WR_OK;
}

int wr_query_series_column(struct wr_query_series *series, sqlite3_context *context, int column, enum wr_type type) {
    switch ((enum wr_query_series_column)column) {
    case WR_QUERY_TIME:
        wr_query_put_time(context, series->cursor.time_ns);
        break;
    case WR_QUERY_SERIES:
        wr_query_put_text(context, series->name);
        break;
    case WR_QUERY_TIME_NS:
        sqlite3_result_int64(context, series->cursor.time_ns);
        break;
    case WR_QUERY_NAME:
        wr_query_put_text(context, wr_series_measurement(series->key));
        break;
    case WR_QUERY_FIELD:
        wr_query_put_text(context, wr_series_field(series->key));
        break;
    case WR_QUERY_TAGS:
        if (make_tags(series) != WR_OK)
            return SQLITE_NOMEM;
        wr_query_put_text(context, wr_buf_str(&series->tags));
        break;
    case WR_QUERY_TYPE:
        wr_query_put_text(context, wr_type_name(type));
        break;
    case WR_QUERY_TIME_QUALITY:
        wr_query_put_time_quality(context, series->cursor.head);
        break;
    case WR_QUERY_SEQ:
        sqlite3_result_int64(context, series->cursor.head->seq);
        break;
    case WR_QUERY_KEY:
        sqlite3_result_blob(context, series->key, (int)series->key_len, SQLITE_TRANSIENT);
        break;
    case WR_QUERY_SERIES_COLUMNS:
        break;
    }
    return SQLITE_OK;
}

void wr_query_put_text(sqlite3_context *context, const char *text) {
    if (text)
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

void wr_query_put_time_quality(sqlite3_context *context, const struct wr_segment_head *head) {
    if (head->time_quality != WR_TIME_TRUSTED)
        wr_query_put_text(context, wr_time_quality_name((enum wr_time_quality)head->time_quality));
}

void wr_query_put_unsigned(sqlite3_context *context, uint64_t value) {
    if (value <= INT64_MAX)
        sqlite3_result_int64(context, (int64_t)value);
    else
        sqlite3_result_double(context, (double)value);
}

void wr_query_put_value(sqlite3_context *context, enum wr_type type, union wr_value value, const char *text) {
    switch (type) {
    case WR_TYPE_FLOAT:
        sqlite3_result_double(context, value.f);
        return;
    case WR_TYPE_INT:
        sqlite3_result_int64(context, value.i);
        return;
    case WR_TYPE_UINT:
    case WR_TYPE_BOOL:
        wr_query_put_unsigned(context, value.u);
        return;
    case WR_TYPE_SYMBOL:
        wr_query_put_text(context, text);
        return;
    case WR_TYPE_NONE:
        return;
    }
}
