#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/nearest.h"
#include "core/quantity.h"
#include "rules/yaml/yaml_private.h"

#define SHOWN_BYTES 48

const char *wr_yaml_kind_expects(enum wr_yaml_kind kind) {
    switch (kind) {
    case WR_YAML_STRING:
        return "a text";
    case WR_YAML_BOOL:
        return "true or false";
    case WR_YAML_INT:
    case WR_YAML_COUNT:
        return "a whole number";
    case WR_YAML_FLOAT:
        return "a number";
    case WR_YAML_DURATION:
        return "a duration such as 5s";
    case WR_YAML_SIZE:
        return "a size such as 64MB";
    case WR_YAML_ENUM:
        return "one word";
    case WR_YAML_RECORD:
        return "keys and values";
    case WR_YAML_STRINGS:
        return "a text or a list of texts";
    case WR_YAML_RECORDS:
        return "a list of records";
    }
    return "something else";
}

static bool is_one_of(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

static enum wr_result parse_bool(const char *text, bool *ret_value, struct wr_error *err) {
    static const char *const yes[] = {"true", "yes", "on", NULL};
    static const char *const no[] = {"false", "no", "off", NULL};
    if (!is_one_of(text, yes) && !is_one_of(text, no))
        return wr_error_set(err, WR_INVALID, "'%s' is neither true nor false", text);
    *ret_value = is_one_of(text, yes);
    return WR_OK;
}

static enum wr_result parse_integer(const char *text, int64_t *ret_value, struct wr_error *err) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || strchr(" \t+", text[0]))
        return wr_error_set(err, WR_INVALID, "'%s' is not a whole number", text);
    if (errno == ERANGE)
        return wr_error_set(err, WR_INVALID, "'%s' is too large", text);
    *ret_value = value;
    return WR_OK;
}

static enum wr_result parse_number(const char *text, double *ret_value, struct wr_error *err) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || strspn(text, "+-0123456789.eE") != strlen(text))
        return wr_error_set(err, WR_INVALID, "'%s' is not a number", text);
    if (!isfinite(value))
        return wr_error_set(err, WR_INVALID, "'%s' is too large", text);
    *ret_value = value;
    return WR_OK;
}

/* "one of: windows, changes" */
static void list_names(const char *const *names, char *hint, size_t size) {
    int at = snprintf(hint, size, "one of:");
    for (; *names && at > 0 && (size_t)at < size; names++)
        at += snprintf(hint + at, size - (size_t)at, "%s%s", strcmp(hint, "one of:") == 0 ? " " : ", ", *names);
}

static enum wr_result parse_enum(const struct wr_yaml_field *field, const char *text, int64_t *ret_value, char *hint, size_t hint_size,
                                 struct wr_error *err) {
    size_t n = 0;
    for (; field->names[n]; n++)
        if (strcmp(field->names[n], text) == 0) {
            *ret_value = (int64_t)n;
            return WR_OK;
        }
    const char *near = wr_nearest_name(text, field->names, n);
    if (near)
        snprintf(hint, hint_size, "did you mean '%s'?", near);
    else
        list_names(field->names, hint, hint_size);
    return wr_error_set(err, WR_INVALID, "unknown %s '%s'", field->key, text);
}

/* A limit in the words of its kind. */
static void show_limit(const struct wr_yaml_field *field, double limit, char *text, size_t size) {
    if (field->kind == WR_YAML_DURATION)
        wr_quantity_format_duration(text, size, (int64_t)limit);
    else if (field->kind == WR_YAML_SIZE)
        wr_quantity_format_size(text, size, (uint64_t)limit);
    else
        snprintf(text, size, "%.10g", limit);
}

static enum wr_result check_range(const struct wr_yaml_field *field, double value, const char *text, struct wr_error *err) {
    if (!(field->min < field->max) || (value >= field->min && value <= field->max))
        return WR_OK;
    char low[32];
    char high[32];
    show_limit(field, field->min, low, sizeof low);
    show_limit(field, field->max, high, sizeof high);
    return wr_error_set(err, WR_LIMIT, "'%s' is not between %s and %s", text, low, high);
}

static enum wr_result parse_scalar(const struct wr_yaml_field *field, const char *text, union wr_yaml_value *value,
                                   enum wr_yaml_code *ret_code, char *hint, size_t hint_size, struct wr_error *err) {
    *ret_code = WR_YAML_W_VALUE;
    switch (field->kind) {
    case WR_YAML_BOOL:
        return parse_bool(text, &value->boolean, err);
    case WR_YAML_COUNT:
    case WR_YAML_INT:
        WR_TRY(parse_integer(text, &value->integer, err));
        *ret_code = WR_YAML_W_RANGE;
        if (field->kind == WR_YAML_COUNT && (value->integer < 0 || value->integer > UINT32_MAX))
            return wr_error_set(err, WR_LIMIT, "'%s' is not between 0 and %u", text, UINT32_MAX);
        return check_range(field, (double)value->integer, text, err);
    case WR_YAML_FLOAT:
        WR_TRY(parse_number(text, &value->number, err));
        *ret_code = WR_YAML_W_RANGE;
        return check_range(field, value->number, text, err);
    case WR_YAML_DURATION:
        WR_TRY(wr_quantity_duration(text, &value->integer, err));
        *ret_code = WR_YAML_W_RANGE;
        return check_range(field, (double)value->integer, text, err);
    case WR_YAML_SIZE:
        WR_TRY(wr_quantity_size(text, &value->size, err));
        *ret_code = WR_YAML_W_RANGE;
        return check_range(field, (double)value->size, text, err);
    case WR_YAML_ENUM:
        *ret_code = WR_YAML_W_NAME;
        return parse_enum(field, text, &value->integer, hint, hint_size, err);
    case WR_YAML_STRING:
    case WR_YAML_STRINGS:
    case WR_YAML_RECORD:
    case WR_YAML_RECORDS:
        break;
    }
    return WR_OK;
}

enum wr_result wr_yaml_value_parse(const struct wr_yaml_field *field, const char *text, size_t len, union wr_yaml_value *ret_value,
                                   enum wr_yaml_code *ret_code, char *hint, size_t hint_size, struct wr_error *err) {
    hint[0] = '\0';
    *ret_code = WR_YAML_W_VALUE;
    if (memchr(text, '\0', len))
        return wr_error_set(err, WR_INVALID, "a text with a NUL character");
    if (field->kind == WR_YAML_STRING || field->kind == WR_YAML_STRINGS)
        return WR_OK;
    if (len >= SHOWN_BYTES) { /* no number or name is that long; and the message shows the start only */
        char shown[SHOWN_BYTES];
        return wr_error_set(err, WR_INVALID, "'%s' is not %s", wr_error_escape(shown, sizeof shown, text, len),
                            wr_yaml_kind_expects(field->kind));
    }
    union wr_yaml_value value = {0};
    WR_TRY(parse_scalar(field, text, &value, ret_code, hint, hint_size, err));
    *ret_value = value;
    return WR_OK;
}
