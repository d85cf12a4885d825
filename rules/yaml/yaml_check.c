#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/nearest.h"
#include "core/utf8.h"
#include "rules/diagnostics/lines.h"
#include "rules/yaml/yaml_private.h"

#define SHOWN_BYTES 48
#define HINT_BYTES 256
#define KNOWN_KEYS_SHOWN 10

struct checker {
    struct wr_yaml *yaml;
    struct wr_diagnostics *diagnostics;
    enum wr_result failed; /* WR_NO_MEMORY sticks */
    char path[WR_YAML_PATH_BYTES];
};

/* What a record is called in messages, once its name is known. */
struct record_name {
    const char *list_key;
    const struct wr_yaml_node *name;
};

static void complain(struct checker *c, const struct wr_yaml_span *span, enum wr_yaml_code code, const char *hint, const char *format, ...)
    WR_PRINTF(5, 6);

static void complain(struct checker *c, const struct wr_yaml_span *span, enum wr_yaml_code code, const char *hint, const char *format,
                     ...) {
    char message[WR_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    wr_diagnostics_add(c->diagnostics, WR_DIAGNOSTIC_ERROR, code, c->yaml->file, c->yaml->text, c->yaml->text_len,
                       wr_yaml_span_position(c->yaml, span), hint && hint[0] ? hint : NULL, "%s", message);
}

/* Lengthens the path; the caller cuts it back to what is returned. */
static size_t path_push(struct checker *c, const char *key, unsigned index) {
    size_t len = strlen(c->path);
    if (key)
        snprintf(c->path + len, sizeof c->path - len, "%s%s", len > 0 ? "." : "", key);
    else
        snprintf(c->path + len, sizeof c->path - len, "[%u]", index);
    return len;
}

static void place(struct checker *c, const struct wr_yaml_span *span, const struct wr_yaml_node *value) {
    bool scalar = value->kind == WR_YAML_NODE_SCALAR;
    enum wr_result added = wr_yaml_places_add(c->yaml, c->path, scalar ? &value->span : span, value->style, scalar);
    if (added != WR_OK)
        c->failed = added;
}

static const char *shape_name(const struct wr_yaml_node *node) {
    switch (node->kind) {
    case WR_YAML_NODE_SCALAR:
        return "a text";
    case WR_YAML_NODE_MAP:
        return "keys and values";
    case WR_YAML_NODE_LIST:
        return "a list";
    }
    return "something else";
}

/* key: nothing behind the colon, and no quotes. */
static bool is_absent(const struct wr_yaml_node *node) {
    return node->kind == WR_YAML_NODE_SCALAR && node->style == WR_YAML_PLAIN && node->len == 0;
}

static bool is_null_word(const struct wr_yaml_node *node) {
    return node->style == WR_YAML_PLAIN && (strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

static char *shown(char *into, size_t size, const struct wr_yaml_node *scalar) {
    return wr_error_escape(into, size, scalar->text, scalar->len);
}

/* " in rule 'flow_stuck'", " in source 'floor'", " in sources[0]", " in store", "". */
static void where_text(const struct checker *c, const struct record_name *name, char *into, size_t size) {
    char text[SHOWN_BYTES];
    into[0] = '\0';
    size_t plural = name->list_key ? strlen(name->list_key) : 0;
    if (name->name && plural > 0)
        snprintf(into, size, " in %.*s '%s'", (int)(name->list_key[plural - 1] == 's' ? plural - 1 : plural), name->list_key,
                 shown(text, sizeof text, name->name));
    else if (c->path[0])
        snprintf(into, size, " in %s", c->path);
}

static void check_value(struct checker *c, const struct wr_yaml_field *field, const struct wr_yaml_node *key, struct wr_yaml_node *value);
static void check_record(struct checker *c, const struct wr_yaml_field *fields, const struct wr_yaml_node *record, const char *list_key);

/* The records and lists around this path hold something that cannot be loaded: told by a place of their own, behind the path. */
static void damage(struct checker *c) {
    char path[WR_YAML_PATH_BYTES + 1];
    const struct wr_yaml_span nowhere = {1, 1, 1, 1};
    for (size_t i = 0; i <= strlen(c->path); i++) {
        bool ends = c->path[i] == '\0' || c->path[i] == '.' || c->path[i] == '[';
        if (!ends || i == 0)
            continue;
        snprintf(path, sizeof path, "%.*s%s", (int)i, c->path, WR_YAML_DAMAGED);
        enum wr_result added = wr_yaml_places_add(c->yaml, path, &nowhere, WR_YAML_PLAIN, false);
        if (added != WR_OK)
            c->failed = added;
    }
}

static void unknown_key(struct checker *c, const struct wr_yaml_field *fields, const struct wr_yaml_node *key,
                        const struct record_name *name) {
    const char *names[WR_YAML_FIELDS_MAX] = {NULL};
    size_t n = 0;
    for (; fields[n].key; n++)
        names[n] = fields[n].key;
    char hint[HINT_BYTES] = "";
    const char *near = key->len < SHOWN_BYTES ? wr_nearest_name(key->text, names, n) : NULL;
    if (near) {
        snprintf(hint, sizeof hint, "did you mean '%s'?", near);
    } else if (n <= KNOWN_KEYS_SHOWN) {
        size_t at = (size_t)snprintf(hint, sizeof hint, "known here:");
        for (size_t i = 0; i < n && at < sizeof hint; i++)
            at += (size_t)snprintf(hint + at, sizeof hint - at, "%s %s", i > 0 ? "," : "", names[i]);
    }
    char where[SHOWN_BYTES * 3];
    char text[SHOWN_BYTES];
    where_text(c, name, where, sizeof where);
    complain(c, &key->span, WR_YAML_W_UNKNOWN_KEY, hint, "unknown key '%s'%s", shown(text, sizeof text, key), where);
}

/* In {when: held(a, 2m)} YAML sees the value `held(a` and a key `2m)` without a value: says what is really wrong, once for all the pieces. */
static void cut_short(struct checker *c, const struct wr_yaml_node *key, const struct wr_yaml_node *value,
                      const struct wr_yaml_node *last_piece) {
    char text[SHOWN_BYTES];
    struct wr_yaml_span span = value->span;
    span.end_line = last_piece->span.end_line;
    span.end_column = last_piece->span.end_column;
    complain(c, &span, WR_YAML_W_CUT_SHORT, "put the whole value in quotes", "the value of '%s' ends at the comma",
             shown(text, sizeof text, key));
}

static bool is_piece(const struct wr_yaml_field *fields, const struct wr_yaml_node *key) {
    if (key->kind != WR_YAML_NODE_SCALAR || key->style != WR_YAML_PLAIN || !key->next || !is_absent(key->next))
        return false;
    for (; fields->key; fields++)
        if (strcmp(fields->key, key->text) == 0)
            return false;
    return true;
}

/* The last of the pieces that follow a plain value in a flow map, or NULL. */
static const struct wr_yaml_node *last_piece_of(const struct wr_yaml_field *fields, const struct wr_yaml_node *record,
                                                const struct wr_yaml_node *value) {
    if (!record->flow || value->kind != WR_YAML_NODE_SCALAR || value->style != WR_YAML_PLAIN || is_absent(value))
        return NULL;
    const struct wr_yaml_node *last = NULL;
    for (const struct wr_yaml_node *key = value->next; key && is_piece(fields, key); key = key->next->next)
        last = key;
    return last;
}

static void check_duplicate(struct checker *c, const struct wr_yaml_node *record, const struct wr_yaml_node *key) {
    for (const struct wr_yaml_node *other = record->first; other != key; other = other->next->next)
        if (other->kind == WR_YAML_NODE_SCALAR && other->len == key->len && memcmp(other->text, key->text, key->len) == 0) {
            char hint[HINT_BYTES];
            char text[SHOWN_BYTES];
            snprintf(hint, sizeof hint, "the first is in line %" PRIu32, other->span.line);
            complain(c, &key->span, WR_YAML_W_DUPLICATE_KEY, hint, "key '%s' stands twice", shown(text, sizeof text, key));
            return;
        }
}

static void check_missing(struct checker *c, const struct wr_yaml_field *fields, const struct wr_yaml_node *record, uint64_t seen,
                          const struct record_name *name) {
    for (size_t i = 0; fields[i].key; i++) {
        if (!fields[i].required || (seen >> i & 1))
            continue;
        char where[SHOWN_BYTES * 3];
        where_text(c, name, where, sizeof where);
        struct wr_yaml_span span = record->span;
        span.end_line = span.line;
        span.end_column = span.column + 1;
        complain(c, &span, WR_YAML_W_MISSING_KEY, fields[i].help, "missing key '%s'%s", fields[i].key, where);
        damage(c);
    }
}

/* One key with its value; returns the bit of its field, 0 for an unknown key. */
static uint64_t check_pair(struct checker *c, const struct wr_yaml_field *fields, const struct wr_yaml_node *record,
                           const struct wr_yaml_node *key, struct record_name *name) {
    struct wr_yaml_node *value = key->next;
    if (key->kind != WR_YAML_NODE_SCALAR) {
        if (!key->refused)
            complain(c, &key->span, WR_YAML_W_SHAPE, NULL, "a key must be a word, found %s", shape_name(key));
        return 0;
    }
    size_t i = 0;
    while (fields[i].key && (strcmp(fields[i].key, key->text) != 0 || key->len != strlen(key->text)))
        i++;
    if (!fields[i].key) {
        unknown_key(c, fields, key, name);
        return 0;
    }
    assert(i < WR_YAML_FIELDS_MAX);
    if (i == 0 && fields[0].kind == WR_YAML_STRING && value->kind == WR_YAML_NODE_SCALAR)
        name->name = value;
    if (c->diagnostics->n < WR_DIAGNOSTICS_MAX)
        check_duplicate(c, record, key);
    size_t cut = path_push(c, fields[i].key, 0);
    place(c, &key->span, value);
    check_value(c, &fields[i], key, value);
    if (value->bad)
        damage(c);
    c->path[cut] = '\0';
    return UINT64_C(1) << i;
}

static void check_record(struct checker *c, const struct wr_yaml_field *fields, const struct wr_yaml_node *record, const char *list_key) {
    struct record_name name = {.list_key = list_key};
    uint64_t seen = 0;
    for (const struct wr_yaml_node *key = record->first; key && key->next; key = key->next->next) {
        const struct wr_yaml_node *last = key->kind == WR_YAML_NODE_SCALAR ? last_piece_of(fields, record, key->next) : NULL;
        if (!last) {
            seen |= check_pair(c, fields, record, key, &name);
            continue;
        }
        cut_short(c, key, key->next, last);
        key->next->bad = true;
        size_t cut = path_push(c, key->text, 0);
        damage(c);
        c->path[cut] = '\0';
        for (size_t i = 0; fields[i].key; i++)
            seen |= strcmp(fields[i].key, key->text) == 0 ? UINT64_C(1) << i : 0;
        key = last;
    }
    if (record->whole)
        check_missing(c, fields, record, seen, &name);
}

/* True if the node is a list or scalar as wanted; complains otherwise. */
static bool check_shape(struct checker *c, const struct wr_yaml_field *field, struct wr_yaml_node *value, enum wr_yaml_node_kind wanted) {
    if (value->kind == wanted)
        return true;
    value->bad = true;
    if (!value->whole)
        return false; /* the syntax error says it */
    const char *hint = NULL;
    if (field->kind == WR_YAML_RECORDS && value->kind == WR_YAML_NODE_MAP && !field->free_keys)
        hint = "begin each record with \"- \"";
    complain(c, &value->span, WR_YAML_W_SHAPE, hint, "'%s' expects %s, found %s", c->path,
             field->free_keys ? "keys and values" : wr_yaml_kind_expects(field->kind), is_absent(value) ? "nothing" : shape_name(value));
    return false;
}

static void check_scalar(struct checker *c, const struct wr_yaml_field *field, const struct wr_yaml_node *key, struct wr_yaml_node *value) {
    if (!check_shape(c, field, value, WR_YAML_NODE_SCALAR) || !value->whole)
        return;
    if (is_absent(value) || is_null_word(value)) {
        value->bad = true;
        const char *hint = field->kind == WR_YAML_STRING ? "leave the key out, or write \"\" for an empty text" : "leave the key out";
        complain(c, is_absent(value) ? &key->span : &value->span, WR_YAML_W_SHAPE, hint, "'%s' has no value", c->path);
        return;
    }
    union wr_yaml_value parsed;
    enum wr_yaml_code code;
    char hint[HINT_BYTES];
    struct wr_error err = {0};
    if (wr_yaml_value_parse(field, value->text, value->len, &parsed, &code, hint, sizeof hint, &err) == WR_OK)
        return;
    value->bad = true;
    complain(c, &value->span, code, hint, "%s%s%s", code == WR_YAML_W_NAME ? "" : field->key, code == WR_YAML_W_NAME ? "" : ": ", err.text);
}

/* A list of texts is bad with one of them; of records each is for itself. */
static void check_list(struct checker *c, const struct wr_yaml_field *field, struct wr_yaml_node *list) {
    unsigned index = 0;
    for (struct wr_yaml_node *item = list->first; item; item = item->next, index++) {
        size_t cut = path_push(c, NULL, index);
        place(c, &item->span, item);
        if (item->refused) {
            /* complained about */
        } else if (field->kind == WR_YAML_STRINGS) {
            check_scalar(c, field, item, item);
        } else if (item->kind == WR_YAML_NODE_MAP) {
            check_record(c, field->fields, item, field->key);
        } else if (item->whole) {
            item->bad = true;
            complain(c, &item->span, WR_YAML_W_SHAPE, NULL, "'%s' expects keys and values, found %s", c->path,
                     is_absent(item) ? "nothing" : shape_name(item));
        }
        item->bad |= item->refused;
        if (item->bad)
            damage(c);
        list->bad |= item->bad && field->kind == WR_YAML_STRINGS;
        c->path[cut] = '\0';
    }
}

/* A map whose keys are the file's own: their places are list[0], list[1] ... It is bad with one of them. */
static void check_free_keys(struct checker *c, const struct wr_yaml_field *field, struct wr_yaml_node *map) {
    const struct wr_yaml_field text = {.key = field->key, .kind = WR_YAML_STRING};
    unsigned index = 0;
    for (struct wr_yaml_node *key = map->first; key && key->next; key = key->next->next, index++) {
        if (index == WR_YAML_FIELDS_MAX) {
            complain(c, &key->span, WR_YAML_W_TOO_LARGE, NULL, "more than %d keys in '%s'", WR_YAML_FIELDS_MAX, c->path);
            map->bad = true;
            return;
        }
        size_t cut = path_push(c, NULL, index);
        place(c, &key->span, key->next);
        if (key->kind != WR_YAML_NODE_SCALAR && !key->refused)
            complain(c, &key->span, WR_YAML_W_SHAPE, NULL, "a key must be a word, found %s", shape_name(key));
        if (key->kind == WR_YAML_NODE_SCALAR && c->diagnostics->n < WR_DIAGNOSTICS_MAX)
            check_duplicate(c, map, key);
        if (!key->next->refused)
            check_scalar(c, &text, key, key->next);
        map->bad |= key->kind != WR_YAML_NODE_SCALAR || key->refused || key->next->bad || key->next->refused;
        c->path[cut] = '\0';
    }
}

static void check_value(struct checker *c, const struct wr_yaml_field *field, const struct wr_yaml_node *key, struct wr_yaml_node *value) {
    value->bad |= value->refused;
    if (value->refused)
        return;
    switch (field->kind) {
    case WR_YAML_RECORD:
        if (check_shape(c, field, value, WR_YAML_NODE_MAP))
            check_record(c, field->fields, value, NULL);
        return;
    case WR_YAML_RECORDS:
        if (field->free_keys) {
            if (check_shape(c, field, value, WR_YAML_NODE_MAP))
                check_free_keys(c, field, value);
            return;
        }
        if (check_shape(c, field, value, WR_YAML_NODE_LIST))
            check_list(c, field, value);
        return;
    case WR_YAML_STRINGS:
        if (value->kind == WR_YAML_NODE_LIST)
            check_list(c, field, value);
        else
            check_scalar(c, field, key, value);
        return;
    default:
        check_scalar(c, field, key, value);
    }
}

enum wr_result wr_yaml_check(struct wr_yaml *yaml, const struct wr_yaml_node *root, struct wr_diagnostics *diagnostics) {
    struct checker c = {.yaml = yaml, .diagnostics = diagnostics};
    if (root->refused)
        return WR_OK;
    place(&c, &root->span, root);
    if (root->kind == WR_YAML_NODE_MAP)
        check_record(&c, yaml->fields, root, NULL);
    else if (is_absent(root))
        check_missing(&c, yaml->fields, root, 0, &(struct record_name){0});
    else if (root->whole)
        complain(&c, &root->span, WR_YAML_W_SHAPE, NULL, "the file expects keys and values, found %s", shape_name(root));
    wr_yaml_places_sort(yaml);
    return c.failed;
}

bool wr_yaml_check_characters(const struct wr_yaml *yaml, struct wr_diagnostics *diagnostics) {
    const char *text = yaml->text;
    for (size_t at = 0; at < yaml->text_len;) {
        uint8_t byte = (uint8_t)text[at];
        size_t bytes = wr_utf8_length(text + at, yaml->text_len - at);
        bool control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F;
        if (bytes > 0 && !control) {
            at += bytes;
            continue;
        }
        struct wr_position where = {.length = 1};
        wr_lines_position(text, yaml->text_len, at, &where.line, &where.column);
        wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_ERROR, WR_YAML_W_CHARACTER, yaml->file, text, yaml->text_len, where,
                           bytes > 0 ? NULL : "save the file as UTF-8", bytes > 0 ? "control character 0x%02x" : "byte 0x%02x is not UTF-8",
                           byte);
        return false;
    }
    return true;
}
