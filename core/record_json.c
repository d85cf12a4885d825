#include "core/record_json.h"

#include "core/series.h"

static void put_series(struct wr_json *json, const char *key, size_t key_len) {
    wr_json_string(json, "measurement", wr_series_measurement(key));
    wr_json_string(json, "field", wr_series_field(key));
    wr_json_object(json, "tags");
    const char *cursor = NULL;
    const char *name;
    const char *value;
    while (wr_series_next_tag(key, key_len, &cursor, &name, &value))
        wr_json_string(json, name, value);
    wr_json_object_end(json);
}

/* A value that is no symbol. */
static void put_value(struct wr_json *json, const char *name, enum wr_type type, union wr_value value) {
    switch (type) {
    case WR_TYPE_FLOAT:
        wr_json_double(json, name, value.f);
        return;
    case WR_TYPE_INT:
        wr_json_int(json, name, value.i);
        return;
    case WR_TYPE_UINT:
        wr_json_uint(json, name, value.u);
        return;
    case WR_TYPE_BOOL:
        wr_json_bool(json, name, value.u != 0);
        return;
    case WR_TYPE_SYMBOL:
    case WR_TYPE_NONE:
        break;
    }
    wr_json_null(json, name);
}

void wr_record_reading_json(struct wr_json *json, const char *key, size_t key_len, const struct wr_reading *reading, const char *text,
                            size_t text_len) {
    wr_json_object(json, NULL);
    put_series(json, key, key_len);
    if (reading->event_ns == WR_EVENT_NONE)
        wr_json_null(json, "time_ns");
    else
        wr_json_int(json, "time_ns", reading->event_ns);
    if (reading->type == WR_TYPE_SYMBOL)
        wr_json_bytes(json, "value", text, text_len);
    else
        put_value(json, "value", (enum wr_type)reading->type, reading->value);
    wr_json_string(json, "type", wr_type_name((enum wr_type)reading->type));
    wr_json_string(json, "quality", wr_quality_name((enum wr_quality)reading->quality));
    wr_json_object_end(json);
}

/* Integers and bool have exact sums, which may need more than 64 bits. */
static void put_sum(struct wr_json *json, enum wr_type type, const struct wr_sum *sum) {
    if (type != WR_TYPE_FLOAT && sum->exact && sum->decimals == 0)
        wr_json_i128(json, "sum", sum->scaled);
    else
        wr_json_double(json, "sum", wr_sum_double(sum));
}

static void put_text(struct wr_json *json, const char *name, const char *text) {
    if (text)
        wr_json_string(json, name, text);
    else
        wr_json_null(json, name);
}

void wr_record_aggregate_json(struct wr_json *json, const struct wr_aggregate *aggregate) {
    enum wr_type type = aggregate->n > 0 ? (enum wr_type)aggregate->type : WR_TYPE_NONE;
    wr_json_object(json, NULL);
    put_series(json, aggregate->key, aggregate->key_len);
    wr_json_int(json, "time_ns", aggregate->start_ns);
    wr_json_int(json, "window_ns", aggregate->window_ns);
    wr_json_uint(json, "n", aggregate->n);
    if (type == WR_TYPE_NONE || type == WR_TYPE_SYMBOL)
        wr_json_null(json, "sum");
    else
        put_sum(json, type, &aggregate->sum);
    put_value(json, "min", type, aggregate->min);
    put_value(json, "max", type, aggregate->max);
    if (type == WR_TYPE_SYMBOL) {
        put_text(json, "first", aggregate->first_text);
        put_text(json, "last", aggregate->last_text);
    } else {
        put_value(json, "first", type, aggregate->first);
        put_value(json, "last", type, aggregate->last);
    }
    wr_json_uint(json, "bad", aggregate->bad);
    wr_json_object_end(json);
}
