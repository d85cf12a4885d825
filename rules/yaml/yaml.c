/* The only file that knows libyaml and libcyaml: a text into a tree, and a normal form into a record. */
#include "rules/yaml/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>
#include <yaml.h>

#include "rules/yaml/yaml_private.h"

#define NORMAL_BYTES (64u << 20) /* escapes and defaults make the normal form larger than the file */

/* ---- a text into a tree, by libyaml ---- */

struct builder {
    yaml_parser_t parser;
    struct wr_yaml *yaml;
    struct wr_diagnostics *diagnostics;
    struct wr_yaml_arena *arena;
    bool stopped; /* a syntax error: said already, nothing more is read */
    bool no_memory;
};

static struct wr_yaml_span span_of(yaml_mark_t start, yaml_mark_t end) {
    return (struct wr_yaml_span){(uint32_t)start.line + 1, (uint32_t)start.column + 1, (uint32_t)end.line + 1, (uint32_t)end.column + 1};
}

static void complain(struct builder *b, const struct wr_yaml_span *span, enum wr_yaml_code code, const char *hint, const char *message) {
    wr_diagnostics_add(b->diagnostics, WR_DIAGNOSTIC_ERROR, code, b->yaml->file, b->yaml->text, b->yaml->text_len,
                       wr_yaml_span_position(b->yaml, span), hint, "%s", message);
}

/* What libyaml says, what it means, and what helps. */
static const struct {
    const char *context; /* NULL: any */
    const char *problem;
    const char *message;
    const char *hint;
    bool at_context; /* shown where the thing begins, not where the file ends */
} syntax_errors[] = {
    {"while scanning a quoted scalar", "found unexpected end of stream", "the closing quote is missing", NULL, true},
    {"while scanning an alias", NULL, NULL, "a text that begins with * needs quotes", false},
    {"while scanning an anchor", NULL, NULL, "a text that begins with & needs quotes", false},
    {NULL, "mapping values are not allowed in this context", "a second ':' in this line, or a wrong indentation",
     "a text with ': ' in it needs quotes", false},
    {NULL, "did not find expected ',' or '}'", "expected ',' or '}'", "in { } a text with one of , { } [ ] in it needs quotes", false},
    {NULL, "did not find expected ',' or ']'", "expected ',' or ']'", "in [ ] a text with one of , { } [ ] in it needs quotes", false},
    {NULL, "could not find expected ':'", "expected ':' after the key", NULL, true},
    {NULL, "did not find expected key", "expected a key", "is the line indented like its neighbours, and every quote above closed?", false},
    {NULL, "did not find expected '-' indicator", "expected '- '", "is the line indented like its neighbours?", false},
};

static bool matches(const char *wanted, const char *said) {
    return !wanted || (said && strcmp(wanted, said) == 0);
}

static void syntax_error(struct builder *b) {
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem ? p->problem : "unknown error";
    const char *hint = NULL;
    yaml_mark_t at = p->problem_mark;
    for (size_t i = 0; i < sizeof syntax_errors / sizeof syntax_errors[0]; i++) {
        if (!matches(syntax_errors[i].context, p->context) || !matches(syntax_errors[i].problem, p->problem))
            continue;
        problem = syntax_errors[i].message ? syntax_errors[i].message : problem;
        hint = syntax_errors[i].hint;
        at = syntax_errors[i].at_context && p->context ? p->context_mark : at;
        break;
    }
    yaml_mark_t end = at;
    end.column++;
    const struct wr_yaml_span span = span_of(at, end);
    char character = '\0';
    const struct wr_yaml_place place = {.span = span};
    size_t byte = wr_yaml_place_byte(b->yaml, &place, 0, false);
    if (byte < b->yaml->text_len)
        character = b->yaml->text[byte];
    if (character == '\t')
        hint = "indent with spaces, not with tabs";
    else if (!hint && character != '\0' && strchr("@`%!&*|>", character))
        hint = "a text that begins with this character needs quotes";
    complain(b, &span, WR_YAML_W_SYNTAX, hint, problem);
    b->stopped = true;
}

/* False: stopped. The event must be deleted otherwise. */
static bool next_event(struct builder *b, yaml_event_t *event) {
    if (yaml_parser_parse(&b->parser, event))
        return true;
    if (b->parser.error == YAML_MEMORY_ERROR)
        b->no_memory = b->stopped = true;
    else
        syntax_error(b);
    return false;
}

static struct wr_yaml_node *new_node(struct builder *b, enum wr_yaml_node_kind kind, const yaml_event_t *event) {
    struct wr_yaml_node *node = wr_yaml_arena_take(b->arena, sizeof *node);
    if (!node) {
        b->no_memory = b->stopped = true;
        return NULL;
    }
    node->kind = kind;
    node->span = span_of(event->start_mark, event->end_mark);
    return node;
}

static void refuse(struct builder *b, struct wr_yaml_node *node, const yaml_event_t *event, const char *message, const char *hint) {
    struct wr_yaml_span span = span_of(event->start_mark, event->start_mark);
    span.end_column++;
    complain(b, &span, WR_YAML_W_REFUSED, hint, message);
    node->refused = true;
}

static void refuse_properties(struct builder *b, struct wr_yaml_node *node, const yaml_event_t *event, const yaml_char_t *anchor,
                              const yaml_char_t *tag) {
    if (anchor)
        refuse(b, node, event, "anchors (&name) are not taken", "a text that begins with & needs quotes");
    else if (tag)
        refuse(b, node, event, "tags (!name) are not taken", "a text that begins with ! needs quotes");
}

static struct wr_yaml_node *build_scalar(struct builder *b, const yaml_event_t *event) {
    static const enum wr_yaml_style styles[] = {
        [YAML_ANY_SCALAR_STYLE] = WR_YAML_PLAIN,
        [YAML_PLAIN_SCALAR_STYLE] = WR_YAML_PLAIN,
        [YAML_SINGLE_QUOTED_SCALAR_STYLE] = WR_YAML_SINGLE,
        [YAML_DOUBLE_QUOTED_SCALAR_STYLE] = WR_YAML_DOUBLE,
        [YAML_LITERAL_SCALAR_STYLE] = WR_YAML_LITERAL,
        [YAML_FOLDED_SCALAR_STYLE] = WR_YAML_FOLDED,
    };
    struct wr_yaml_node *node = new_node(b, WR_YAML_NODE_SCALAR, event);
    if (!node)
        return NULL;
    char *text = wr_yaml_arena_take(b->arena, event->data.scalar.length + 1);
    if (!text) {
        b->no_memory = b->stopped = true;
        return NULL;
    }
    node->text = memcpy(text, event->data.scalar.value, event->data.scalar.length);
    node->len = event->data.scalar.length;
    node->style = styles[event->data.scalar.style];
    node->whole = true;
    refuse_properties(b, node, event, event->data.scalar.anchor, event->data.scalar.tag);
    return node;
}

static struct wr_yaml_node *build(struct builder *b, const yaml_event_t *event, unsigned depth);

/* Takes children until the end of a map or list. A node that a syntax error cuts off stays as far as it came. */
static void build_children(struct builder *b, struct wr_yaml_node *node, yaml_event_type_t end, unsigned depth) {
    for (;;) {
        yaml_event_t event;
        if (!next_event(b, &event))
            return;
        if (event.type == end) {
            node->span.end_line = (uint32_t)event.end_mark.line + 1;
            node->span.end_column = (uint32_t)event.end_mark.column + 1;
            node->whole = true;
            yaml_event_delete(&event);
            return;
        }
        struct wr_yaml_node *child = build(b, &event, depth);
        yaml_event_delete(&event);
        if (child) {
            *(node->last ? &node->last->next : &node->first) = child;
            node->last = child;
        }
        if (b->stopped)
            return;
    }
}

static struct wr_yaml_node *build_collection(struct builder *b, const yaml_event_t *event, unsigned depth) {
    bool map = event->type == YAML_MAPPING_START_EVENT;
    struct wr_yaml_node *node = new_node(b, map ? WR_YAML_NODE_MAP : WR_YAML_NODE_LIST, event);
    if (!node)
        return NULL;
    if (depth == WR_YAML_DEPTH) {
        complain(b, &node->span, WR_YAML_W_TOO_LARGE, NULL, "nested too deeply");
        b->stopped = true;
        return node;
    }
    if (map) {
        node->flow = event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
        refuse_properties(b, node, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    } else {
        node->flow = event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
        refuse_properties(b, node, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    }
    build_children(b, node, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth + 1);
    return node;
}

/* The node that begins with event. NULL: no memory. */
static struct wr_yaml_node *build(struct builder *b, const yaml_event_t *event, unsigned depth) {
    if (event->type == YAML_SCALAR_EVENT)
        return build_scalar(b, event);
    if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT)
        return build_collection(b, event, depth);
    struct wr_yaml_node *node = new_node(b, WR_YAML_NODE_SCALAR, event); /* an alias: nothing else comes here */
    if (!node)
        return NULL;
    node->whole = true;
    node->text = "";
    refuse(b, node, event, "aliases (*name) are not taken", "a text that begins with * needs quotes");
    return node;
}

/* The root of the first document; an absent scalar for an empty file; NULL: no memory, or a syntax error before anything was there. */
static struct wr_yaml_node *build_tree(struct builder *b) {
    struct wr_yaml_node *root = NULL;
    yaml_event_t event;
    bool end = false;
    for (unsigned documents = 0; !end && !b->stopped && next_event(b, &event);) {
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            if (++documents == 2) {
                struct wr_yaml_span span = span_of(event.start_mark, event.end_mark);
                complain(b, &span, WR_YAML_W_REFUSED, NULL, "a second document: one file holds one");
                b->stopped = true;
            }
        } else if (event.type == YAML_STREAM_END_EVENT) {
            end = true;
            if (!root && (root = new_node(b, WR_YAML_NODE_SCALAR, &event)) != NULL) {
                root->span = (struct wr_yaml_span){1, 1, 1, 2};
                root->text = "";
                root->whole = true;
            }
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_END_EVENT) {
            root = build(b, &event, 0);
        }
        yaml_event_delete(&event);
    }
    return root;
}

/* Reads the text into a tree; syntax errors go to diagnostics, then the tree ends where they are (*ret_root may be NULL). */
static enum wr_result parse(struct wr_yaml *yaml, struct wr_yaml_arena *arena, struct wr_diagnostics *diagnostics,
                            struct wr_yaml_node **ret_root, bool *ret_whole) {
    struct builder b = {.yaml = yaml, .diagnostics = diagnostics, .arena = arena};
    if (!yaml_parser_initialize(&b.parser))
        return WR_NO_MEMORY;
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)yaml->text, yaml->text_len);
    *ret_root = build_tree(&b);
    yaml_parser_delete(&b.parser);
    *ret_whole = !b.stopped;
    return b.no_memory ? WR_NO_MEMORY : WR_OK;
}

/* ---- the normal form into a record, by libcyaml ---- */

static void *cyaml_memory(void *context, void *old, size_t size) {
    (void)context;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, size);
}

static const cyaml_config_t cyaml_config = {.mem_fn = cyaml_memory, .flags = CYAML_CFG_NO_ALIAS};
static const cyaml_schema_value_t cyaml_text = {
    .type = CYAML_STRING, .flags = CYAML_FLAG_POINTER, .data_size = sizeof(char), .string = {.min = 0, .max = CYAML_UNLIMITED}};

static cyaml_schema_field_t *convert_fields(struct wr_yaml_arena *arena, const struct wr_yaml_field *fields);

/* In the normal form durations, sizes and enums are numbers. */
static bool convert_value(struct wr_yaml_arena *arena, const struct wr_yaml_field *field, cyaml_schema_value_t *value) {
    const cyaml_flag_e pointer = (cyaml_flag_e)((unsigned)CYAML_FLAG_OPTIONAL | (unsigned)CYAML_FLAG_POINTER);
    value->flags = CYAML_FLAG_OPTIONAL;
    switch (field->kind) {
    case WR_YAML_STRING:
        *value = cyaml_text;
        value->flags = pointer;
        return true;
    case WR_YAML_BOOL:
        value->type = CYAML_BOOL;
        value->data_size = sizeof(bool);
        return true;
    case WR_YAML_INT:
    case WR_YAML_DURATION:
    case WR_YAML_ENUM:
        value->type = CYAML_INT;
        value->data_size = field->kind == WR_YAML_ENUM ? sizeof(int) : sizeof(int64_t);
        return true;
    case WR_YAML_COUNT:
    case WR_YAML_SIZE:
        value->type = CYAML_UINT;
        value->data_size = field->kind == WR_YAML_COUNT ? sizeof(uint32_t) : sizeof(uint64_t);
        return true;
    case WR_YAML_FLOAT:
        value->type = CYAML_FLOAT;
        value->data_size = sizeof(double);
        return true;
    case WR_YAML_RECORD:
        value->type = CYAML_MAPPING;
        value->flags = pointer;
        value->data_size = (uint32_t)field->record_bytes;
        return (value->mapping.fields = convert_fields(arena, field->fields)) != NULL;
    case WR_YAML_STRINGS:
    case WR_YAML_RECORDS:
        break;
    }
    cyaml_schema_value_t *entry = wr_yaml_arena_take(arena, sizeof *entry);
    if (!entry)
        return false;
    *entry = cyaml_text;
    if (field->kind == WR_YAML_RECORDS) {
        *entry = (cyaml_schema_value_t){.type = CYAML_MAPPING, .data_size = (uint32_t)field->record_bytes};
        entry->mapping.fields = convert_fields(arena, field->fields);
    }
    value->type = CYAML_SEQUENCE;
    value->flags = pointer;
    value->data_size = field->kind == WR_YAML_RECORDS ? (uint32_t)field->record_bytes : sizeof(char *);
    value->sequence.entry = entry;
    value->sequence.max = CYAML_UNLIMITED;
    return field->kind == WR_YAML_STRINGS || entry->mapping.fields;
}

/* Our schema as libcyaml's tables. NULL: no memory. */
static cyaml_schema_field_t *convert_fields(struct wr_yaml_arena *arena, const struct wr_yaml_field *fields) {
    size_t n = 0;
    while (fields[n].key)
        n++;
    cyaml_schema_field_t *converted = wr_yaml_arena_take(arena, (n + 1) * sizeof *converted);
    for (size_t i = 0; converted && i < n; i++) {
        converted[i].key = fields[i].key;
        converted[i].data_offset = (uint32_t)fields[i].offset;
        converted[i].count_offset = (uint32_t)fields[i].count_offset;
        converted[i].count_size = sizeof(unsigned);
        if (!convert_value(arena, &fields[i], &converted[i].value))
            return NULL;
    }
    return converted;
}

static enum wr_result load(struct wr_yaml *yaml, struct wr_yaml_arena *arena, const struct wr_buf *normal, struct wr_error *err) {
    cyaml_schema_value_t top = {.type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER, .data_size = (uint32_t)yaml->record_bytes};
    top.mapping.fields = convert_fields(arena, yaml->fields);
    if (!top.mapping.fields)
        return wr_error_set(err, WR_NO_MEMORY, "%s: no memory", yaml->file);
    cyaml_data_t *record = NULL;
    cyaml_err_t loaded = cyaml_load_data(normal->data, normal->len, &cyaml_config, &top, &record, NULL);
    if (loaded == CYAML_ERR_OOM)
        return wr_error_set(err, WR_NO_MEMORY, "%s: no memory", yaml->file);
    if (loaded != CYAML_OK)
        return wr_error_set(err, WR_INVALID, "%s: %s", yaml->file, cyaml_strerror(loaded));
    yaml->record = record;
    return WR_OK;
}

/* ---- all together ---- */

static enum wr_result own_text(struct wr_yaml *yaml, const char *name, const char *text, size_t len) {
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark is no part of the first line */
        text += 3;
        len -= 3;
    }
    yaml->file = strdup(name);
    yaml->text = malloc(len + 1);
    if (!yaml->file || !yaml->text)
        return WR_NO_MEMORY;
    memcpy(yaml->text, text, len);
    yaml->text[len] = '\0';
    yaml->text_len = len;
    return WR_OK;
}

static enum wr_result load_owned(struct wr_yaml *yaml, bool parts, struct wr_yaml_arena *arena, struct wr_diagnostics *diagnostics,
                                 struct wr_buf *normal, struct wr_error *err) {
    size_t errors_before = diagnostics->errors;
    struct wr_yaml_node *root = NULL;
    bool whole = false;
    enum wr_result result = WR_OK;
    if (wr_yaml_check_characters(yaml, diagnostics))
        result = parse(yaml, arena, diagnostics, &root, &whole);
    if (result == WR_OK && root)
        result = wr_yaml_check(yaml, root, diagnostics);
    bool loadable = parts && whole && root && root->kind == WR_YAML_NODE_MAP && !root->refused;
    if (result == WR_OK && diagnostics->errors > errors_before && !loadable)
        return wr_error_set(err, WR_INVALID, "%s: %zu error%s", yaml->file, diagnostics->errors - errors_before,
                            diagnostics->errors - errors_before == 1 ? "" : "s");
    if (result == WR_OK)
        result = wr_yaml_normalise(yaml, root, normal);
    if (result != WR_OK)
        return wr_error_set(err, result, "%s: %s", yaml->file, wr_result_name(result));
    return load(yaml, arena, normal, err);
}

/* Into *yaml, which knows its schema. */
static enum wr_result load_text(const char *name, const char *text, size_t len, bool parts, struct wr_diagnostics *diagnostics,
                                struct wr_yaml *yaml, struct wr_error *err) {
    struct wr_yaml_arena arena = {0};
    struct wr_buf normal;
    wr_buf_init(&normal, NORMAL_BYTES);
    enum wr_result result;
    if (len > WR_YAML_BYTES) {
        wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_ERROR, WR_YAML_W_TOO_LARGE, name, NULL, 0, (struct wr_position){0}, NULL,
                           "larger than %u bytes", WR_YAML_BYTES);
        result = wr_error_set(err, WR_INVALID, "%s: too large", name);
    } else if (own_text(yaml, name, text, len) != WR_OK) {
        result = wr_error_set(err, WR_NO_MEMORY, "%s: no memory", name);
    } else {
        result = load_owned(yaml, parts, &arena, diagnostics, &normal, err);
    }
    wr_buf_fini(&normal);
    wr_yaml_arena_fini(&arena);
    if (result != WR_OK)
        wr_yaml_free(yaml);
    return result;
}

enum wr_result wr_yaml_load_text(const char *name, const char *text, size_t len, const struct wr_yaml_field *fields, size_t record_bytes,
                                 struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml, struct wr_error *err) {
    struct wr_yaml yaml = {.fields = fields, .record_bytes = record_bytes};
    WR_TRY(load_text(name, text, len, false, diagnostics, &yaml, err));
    *ret_yaml = yaml;
    return WR_OK;
}

enum wr_result wr_yaml_load_text_parts(const char *name, const char *text, size_t len, const struct wr_yaml_field *fields,
                                       size_t record_bytes, struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml,
                                       struct wr_error *err) {
    struct wr_yaml yaml = {.fields = fields, .record_bytes = record_bytes};
    WR_TRY(load_text(name, text, len, true, diagnostics, &yaml, err));
    *ret_yaml = yaml;
    return WR_OK;
}
