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

bool wr_query_series_wanted(const struct wr_query_bounds *bounds, const char *key, size_t len) {
    const char *const *texts = bounds->texts;
    return (!texts[WR_QUERY_BOUND_NAME] || strcmp(texts[WR_QUERY_BOUND_NAME], wr_series_measurement(key)) == 0) &&
           (!texts[WR_QUERY_BOUND_FIELD] || strcmp(texts[WR_QUERY_BOUND_FIELD], wr_series_field(key)) == 0) &&
           (!texts[WR_QUERY_BOUND_SERIES] || is_displayed(key, len, texts[WR_QUERY_BOUND_SERIES]));
}

enum wr_result wr_query_series_tags(struct wr_buf *into, const char *key, size_t len) {
    struct wr_json json;
    const char *at = NULL;
    const char *name;
    const char *value;
    wr_buf_clear(into);
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    while (wr_series_next_tag(key, len, &at, &name, &value))
        wr_json_string(&json, name, value);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}

void wr_query_put_text(sqlite3_context *context, const char *text) {
    if (text)
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
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
