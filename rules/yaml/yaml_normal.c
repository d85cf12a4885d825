#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/utf8.h"
#include "rules/yaml/yaml_private.h"

/* A text in double quotes. Everything but printable ASCII and ordinary characters from U+00A0 on is escaped. */
static enum wr_result write_quoted(struct wr_buf *into, const char *text, size_t len) {
    WR_TRY(wr_buf_text(into, "\""));
    for (size_t at = 0; at < len;) {
        uint8_t byte = (uint8_t)text[at];
        size_t bytes = wr_utf8_length(text + at, len - at);
        if (byte == '"' || byte == '\\')
            WR_TRY(wr_buf_printf(into, "\\%c", byte));
        else if (byte < 0x20 || byte == 0x7F)
            WR_TRY(wr_buf_printf(into, "\\x%02x", byte));
        else if (bytes == 2 && byte == 0xC2)
            WR_TRY(wr_buf_printf(into, "\\x%02x", (uint8_t)text[at + 1]));
        else if (bytes == 3 && (byte == 0xE2 || byte == 0xEF)) /* where line separators, BOM and non-characters are */
            WR_TRY(wr_buf_printf(into, "\\u%04x", (byte & 15u) << 12 | ((uint8_t)text[at + 1] & 63u) << 6 | ((uint8_t)text[at + 2] & 63u)));
        else
            WR_TRY(wr_buf_append(into, text + at, bytes));
        at += bytes > 0 ? bytes : 1;
    }
    return wr_buf_text(into, "\"");
}

/* A scalar that was checked, or a fallback of the schema. */
static enum wr_result write_scalar(struct wr_buf *into, const struct wr_yaml_field *field, const char *text, size_t len) {
    if (field->kind == WR_YAML_STRING || field->kind == WR_YAML_STRINGS)
        return write_quoted(into, text, len);
    union wr_yaml_value value = {0};
    enum wr_yaml_code code;
    char hint[8];
    enum wr_result parsed = wr_yaml_value_parse(field, text, len, &value, &code, hint, sizeof hint, NULL);
    assert(parsed == WR_OK);
    (void)parsed;
    if (field->kind == WR_YAML_BOOL)
        return wr_buf_text(into, value.boolean ? "true" : "false");
    if (field->kind == WR_YAML_FLOAT)
        return wr_buf_printf(into, "%.17g", value.number);
    if (field->kind == WR_YAML_SIZE)
        return wr_buf_printf(into, "%" PRIu64, value.size);
    return wr_buf_printf(into, "%" PRId64, value.integer);
}

static enum wr_result write_record(struct wr_buf *into, const struct wr_yaml_field *fields, const struct wr_yaml_node *record);

static enum wr_result write_list(struct wr_buf *into, const struct wr_yaml_field *field, const struct wr_yaml_node *list) {
    WR_TRY(wr_buf_text(into, "["));
    for (const struct wr_yaml_node *item = list->first; item; item = item->next) {
        if (item != list->first)
            WR_TRY(wr_buf_text(into, ","));
        if (field->kind == WR_YAML_RECORDS)
            WR_TRY(write_record(into, field->fields, item->bad || item->kind != WR_YAML_NODE_MAP ? NULL : item));
        else
            WR_TRY(write_scalar(into, field, item->text, item->len));
    }
    return wr_buf_text(into, "]");
}

/* A map with free keys as a list of records of two texts. */
static enum wr_result write_free_keys(struct wr_buf *into, const struct wr_yaml_field *field, const struct wr_yaml_node *map) {
    WR_TRY(wr_buf_text(into, "["));
    for (const struct wr_yaml_node *key = map->first; key; key = key->next->next) {
        WR_TRY(wr_buf_printf(into, "%s{\"%s\": ", key != map->first ? "," : "", field->fields[0].key));
        WR_TRY(write_quoted(into, key->text, key->len));
        WR_TRY(wr_buf_printf(into, ", \"%s\": ", field->fields[1].key));
        WR_TRY(write_quoted(into, key->next->text, key->next->len));
        WR_TRY(wr_buf_text(into, "}\n"));
    }
    return wr_buf_text(into, "]");
}

static enum wr_result write_fallback(struct wr_buf *into, const struct wr_yaml_field *field) {
    if (field->kind == WR_YAML_RECORD)
        return write_record(into, field->fields, NULL);
    bool list = field->kind == WR_YAML_STRINGS;
    WR_TRY(wr_buf_text(into, list ? "[" : ""));
    WR_TRY(write_scalar(into, field, field->fallback, strlen(field->fallback)));
    return wr_buf_text(into, list ? "]" : "");
}

static enum wr_result write_value(struct wr_buf *into, const struct wr_yaml_field *field, const struct wr_yaml_node *value) {
    if (!value)
        return write_fallback(into, field);
    if (field->kind == WR_YAML_RECORD)
        return write_record(into, field->fields, value);
    if (field->kind == WR_YAML_RECORDS && field->free_keys)
        return write_free_keys(into, field, value);
    if (value->kind == WR_YAML_NODE_LIST)
        return write_list(into, field, value);
    bool list = field->kind == WR_YAML_STRINGS;
    WR_TRY(wr_buf_text(into, list ? "[" : ""));
    WR_TRY(write_scalar(into, field, value->text, value->len));
    return wr_buf_text(into, list ? "]" : "");
}

static const struct wr_yaml_node *find(const struct wr_yaml_node *record, const char *wanted) {
    for (const struct wr_yaml_node *key = record ? record->first : NULL; key; key = key->next->next)
        if (key->kind == WR_YAML_NODE_SCALAR && strcmp(key->text, wanted) == 0)
            return key->next->bad ? NULL : key->next;
    return NULL;
}

/* record NULL: all defaults. An empty list is left out: libcyaml gives it no memory anyway. */
static enum wr_result write_record(struct wr_buf *into, const struct wr_yaml_field *fields, const struct wr_yaml_node *record) {
    const char *comma = "";
    WR_TRY(wr_buf_text(into, "{"));
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        const struct wr_yaml_node *value = find(record, field->key);
        const bool list = field->kind == WR_YAML_STRINGS || field->kind == WR_YAML_RECORDS;
        if (value ? list && value->kind != WR_YAML_NODE_SCALAR && !value->first : !field->fallback)
            continue;
        WR_TRY(wr_buf_printf(into, "%s\"%s\": ", comma, field->key));
        WR_TRY(write_value(into, field, value));
        comma = ",\n";
    }
    return wr_buf_text(into, "}");
}

enum wr_result wr_yaml_normalise(const struct wr_yaml *yaml, const struct wr_yaml_node *root, struct wr_buf *into) {
    return write_record(into, yaml->fields, root->kind == WR_YAML_NODE_MAP ? root : NULL);
}
