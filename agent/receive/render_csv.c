/* CSV as RFC 4180: a text with a comma, a quote or a newline stands in quotes, quotes in it are doubled. */
#include <inttypes.h>
#include <string.h>

#include "agent/receive/members.h"
#include "agent/receive/render_private.h"
#include "core/json.h"
#include "core/series.h"

/* The members of a text that have columns of their own; the whole record is the last column. */
static const char *const alarm_columns[] = {"time_ns", "event_ns", "alarm", "rule",  "instance", "id",   "transition", "severity",
                                            "cause",   "from",     "to",    "value", "limit",    "unit", "message",    NULL};
static const char *const gap_columns[] = {"reason", NULL};
static const char *const state_columns[] = {"time_ns", "state", "cause", "version", NULL};

const char *wr_render_csv_header(enum wr_message_kind kind) {
    switch (kind) {
    case WR_MESSAGE_ALARM:
        return "site,node,time_ns,event_ns,alarm,rule,instance,id,transition,severity,cause,from,to,value,limit,unit,message,time_quality,"
               "record\n";
    case WR_MESSAGE_GAP:
        return "site,node,t0_ns,t1_ns,reason,time_quality,record\n";
    case WR_MESSAGE_STATE:
        return "site,node,received_ns,time_ns,state,cause,version,record\n";
    case WR_MESSAGE_AGG:
    case WR_MESSAGE_EVENT:
    case WR_MESSAGE_KINDS:
        break;
    }
    return "time_ns,site,node,measurement,field,tags,window_ns,n,sum,min,max,first,last,bad,time_quality\n";
}

static enum wr_result put_cell(struct wr_buf *into, const char *text, size_t len) {
    bool plain = true;
    for (size_t i = 0; i < len && plain; i++)
        plain = text[i] != '"' && text[i] != ',' && text[i] != '\n' && text[i] != '\r';
    if (plain)
        return wr_buf_append(into, text, len);
    WR_TRY(wr_buf_append(into, "\"", 1));
    for (const char *end = text + len; text < end;) {
        const char *quote = memchr(text, '"', (size_t)(end - text));
        const size_t run = quote ? (size_t)(quote - text) + 1 : (size_t)(end - text);
        WR_TRY(wr_buf_append(into, text, run));
        if (quote)
            WR_TRY(wr_buf_append(into, "\"", 1));
        text += run;
    }
    return wr_buf_append(into, "\"", 1);
}

static enum wr_result put_text(struct wr_buf *into, const char *text) {
    WR_TRY(wr_buf_append(into, ",", 1));
    return text ? put_cell(into, text, strlen(text)) : WR_OK;
}

/* Empty: trusted. */
static enum wr_result put_quality(struct wr_buf *into, const struct wr_message_origin *origin) {
    return put_text(into, origin->time_quality == WR_TIME_TRUSTED ? NULL : wr_time_quality_name(origin->time_quality));
}

/* `k=v,k=v`, sorted by name, with \ before what would be misread. */
static enum wr_result put_tags(struct wr_buf *into, const struct wr_aggregate *aggregate) {
    struct wr_buf tags;
    const char *cursor = NULL;
    const char *pair[2];
    enum wr_result result = WR_OK;
    wr_buf_init(&tags, 0);
    while (result == WR_OK && wr_series_next_tag(aggregate->key, aggregate->key_len, &cursor, &pair[0], &pair[1])) {
        if (tags.len > 0)
            result = wr_buf_append(&tags, ",", 1);
        for (int part = 0; part < 2; part++) {
            for (const char *c = pair[part]; *c && result == WR_OK; c++) {
                if (strchr("\\,=", *c))
                    result = wr_buf_append(&tags, "\\", 1);
                if (result == WR_OK)
                    result = wr_buf_append(&tags, c, 1);
            }
            if (result == WR_OK && part == 0)
                result = wr_buf_append(&tags, "=", 1);
        }
    }
    if (result == WR_OK)
        result = put_text(into, wr_buf_str(&tags));
    wr_buf_fini(&tags);
    return result;
}

static enum wr_result put_value(struct wr_buf *into, enum wr_type type, union wr_value value) {
    struct wr_json json;
    wr_json_begin(&json, into);
    switch (type) {
    case WR_TYPE_INT:
        wr_json_int(&json, NULL, value.i);
        break;
    case WR_TYPE_UINT:
        wr_json_uint(&json, NULL, value.u);
        break;
    case WR_TYPE_BOOL:
        wr_json_bool(&json, NULL, value.u != 0);
        break;
    case WR_TYPE_FLOAT:
    case WR_TYPE_SYMBOL:
    case WR_TYPE_NONE:
        wr_json_double(&json, NULL, value.f);
        break;
    }
    return wr_json_end(&json);
}

static enum wr_result put_sum(struct wr_buf *into, const struct wr_aggregate *aggregate) {
    struct wr_json json;
    wr_json_begin(&json, into);
    if (aggregate->type != WR_TYPE_FLOAT && aggregate->sum.exact && aggregate->sum.decimals == 0)
        wr_json_i128(&json, NULL, aggregate->sum.scaled);
    else
        wr_json_double(&json, NULL, wr_sum_double(&aggregate->sum));
    return wr_json_end(&json);
}

static enum wr_result put_values(struct wr_buf *into, const struct wr_aggregate *aggregate) {
    const enum wr_type type = (enum wr_type)aggregate->type;
    if (aggregate->n == 0)
        return wr_buf_text(into, ",,,,,");
    if (type == WR_TYPE_SYMBOL) {
        WR_TRY(wr_buf_text(into, ",,,"));
        WR_TRY(put_text(into, aggregate->first_text));
        return put_text(into, aggregate->last_text);
    }
    const union wr_value values[] = {aggregate->min, aggregate->max, aggregate->first, aggregate->last};
    WR_TRY(wr_buf_append(into, ",", 1));
    WR_TRY(put_sum(into, aggregate));
    for (int i = 0; i < 4; i++) {
        WR_TRY(wr_buf_append(into, ",", 1));
        WR_TRY(put_value(into, type, values[i]));
    }
    return WR_OK;
}

enum wr_result wr_render_csv_aggregate(struct wr_buf *into, const struct wr_message_origin *origin, const struct wr_aggregate *aggregate) {
    WR_TRY(wr_buf_printf(into, "%" PRId64 ",%s,%s", aggregate->start_ns, origin->site, origin->key.node));
    WR_TRY(put_text(into, wr_series_measurement(aggregate->key)));
    WR_TRY(put_text(into, wr_series_field(aggregate->key)));
    WR_TRY(put_tags(into, aggregate));
    WR_TRY(wr_buf_printf(into, ",%" PRId64 ",%" PRIu64, aggregate->window_ns, aggregate->n));
    WR_TRY(put_values(into, aggregate));
    WR_TRY(wr_buf_printf(into, ",%" PRIu64, aggregate->bad));
    WR_TRY(put_quality(into, origin));
    return wr_buf_append(into, "\n", 1);
}

static enum wr_result put_members(struct wr_buf *into, const char *const *columns, const char *json, size_t len) {
    for (; *columns; columns++) {
        struct wr_word value;
        WR_TRY(wr_buf_append(into, ",", 1));
        if (!wr_members_find(json, len, *columns, &value))
            continue;
        struct wr_buf text;
        wr_buf_init(&text, 0);
        enum wr_result result = wr_members_text(&text, value);
        if (result == WR_OK)
            result = put_cell(into, wr_buf_str(&text), text.len);
        wr_buf_fini(&text);
        WR_TRY(result);
    }
    return WR_OK;
}

enum wr_result wr_render_csv_text(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len) {
    const char *const *columns = origin->kind == WR_MESSAGE_ALARM ? alarm_columns
                                 : origin->kind == WR_MESSAGE_GAP ? gap_columns
                                                                  : state_columns;
    WR_TRY(wr_buf_printf(into, "%s,%s", origin->site, origin->key.node));
    if (origin->kind == WR_MESSAGE_GAP)
        WR_TRY(wr_buf_printf(into, ",%" PRId64 ",%" PRId64, origin->t0_ns, origin->t1_ns));
    if (origin->kind == WR_MESSAGE_STATE)
        WR_TRY(wr_buf_printf(into, ",%" PRId64, origin->arrival_ns));
    WR_TRY(put_members(into, columns, json, len));
    if (origin->kind != WR_MESSAGE_STATE)
        WR_TRY(put_quality(into, origin));
    WR_TRY(wr_buf_append(into, ",", 1));
    WR_TRY(put_cell(into, json, len));
    return wr_buf_append(into, "\n", 1);
}
