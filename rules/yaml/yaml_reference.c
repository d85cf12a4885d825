/* What a key takes, in words: for the generated references of the config and of rule files. */
#include "core/quantity.h"
#include "rules/yaml/yaml.h"

static const char *kind_name(enum wr_yaml_kind kind) {
    switch (kind) {
    case WR_YAML_STRING:
        return "text";
    case WR_YAML_BOOL:
        return "true, false";
    case WR_YAML_INT:
    case WR_YAML_COUNT:
        return "whole number";
    case WR_YAML_FLOAT:
        return "number";
    case WR_YAML_DURATION:
        return "duration";
    case WR_YAML_SIZE:
        return "size";
    case WR_YAML_ENUM:
        return "";
    case WR_YAML_STRINGS:
        return "text or list of texts";
    case WR_YAML_RECORD:
        return "section";
    case WR_YAML_RECORDS:
        return "list of records";
    }
    return "";
}

static enum wr_result write_limit(struct wr_buf *into, const struct wr_yaml_field *field, double limit) {
    char text[32];
    if (field->kind == WR_YAML_DURATION)
        return wr_buf_text(into, wr_quantity_format_duration(text, sizeof text, (int64_t)limit));
    if (field->kind == WR_YAML_SIZE)
        return wr_buf_text(into, wr_quantity_format_size(text, sizeof text, (uint64_t)limit));
    return wr_buf_printf(into, "%.10g", limit);
}

enum wr_result wr_yaml_write_kind(const struct wr_yaml_field *field, struct wr_buf *into) {
    for (const char *const *name = field->names; field->kind == WR_YAML_ENUM && *name; name++)
        WR_TRY(wr_buf_printf(into, "%s`%s`", name == field->names ? "" : ", ", *name));
    WR_TRY(wr_buf_text(into, kind_name(field->kind)));
    if (!(field->min < field->max))
        return WR_OK;
    WR_TRY(wr_buf_text(into, ", "));
    WR_TRY(write_limit(into, field, field->min));
    WR_TRY(wr_buf_text(into, " to "));
    return write_limit(into, field, field->max);
}
