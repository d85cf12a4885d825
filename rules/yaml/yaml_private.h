/* What the files of the YAML loader share: the tree of a parsed text, and the steps between it and the loaded record.
 *
 *   text --libyaml--> tree --check (diagnostics, places)--> normal form --libcyaml--> record
 *
 * The normal form is the same document again, written by us: flow style, every text quoted, durations in ns, sizes in bytes, enums as
 * numbers, defaults filled in. So libcyaml reads only what was checked, and numbers where the record holds numbers.
 */
#ifndef WEIR_RULES_YAML_YAML_PRIVATE_H
#define WEIR_RULES_YAML_YAML_PRIVATE_H

#include "core/buf.h"
#include "rules/yaml/yaml.h"

enum wr_yaml_node_kind { WR_YAML_NODE_SCALAR, WR_YAML_NODE_MAP, WR_YAML_NODE_LIST };
enum wr_yaml_style { WR_YAML_PLAIN, WR_YAML_SINGLE, WR_YAML_DOUBLE, WR_YAML_LITERAL, WR_YAML_FOLDED };

/* Lines and columns from 1, columns in characters; the end is behind the last character. */
struct wr_yaml_span {
    uint32_t line;
    uint32_t column;
    uint32_t end_line;
    uint32_t end_column;
};

struct wr_yaml_node {
    enum wr_yaml_node_kind kind;
    enum wr_yaml_style style; /* of a scalar */
    bool flow;                /* a map or list in { } or [ ] */
    bool whole;               /* false: a syntax error cut it off, so nothing is missing in it */
    bool bad;                 /* set by the check: cannot be loaded */
    bool refused;             /* an alias, or with an anchor or tag: complained about already */
    struct wr_yaml_span span;
    const char *text; /* of a scalar, never NULL then; may hold NULs */
    size_t len;
    struct wr_yaml_node *first; /* children; in a map key, value, key, value ... */
    struct wr_yaml_node *last;
    struct wr_yaml_node *next;
};

/* Memory that is freed in one go. */
struct wr_yaml_arena {
    struct wr_yaml_chunk *chunks;
};
/* Zeroed; NULL: no memory. */
void *wr_yaml_arena_take(struct wr_yaml_arena *arena, size_t bytes);
void wr_yaml_arena_fini(struct wr_yaml_arena *arena);

#define WR_YAML_DAMAGED "!" /* behind a path that no file can hold: something below it cannot be loaded */

/* Where a path stands; sorted by hash. */
struct wr_yaml_place {
    uint64_t hash;
    struct wr_yaml_span span; /* of the value; of a record: its key or its first character */
    enum wr_yaml_style style;
    bool scalar;
};
WR_MUST_USE enum wr_result wr_yaml_places_add(struct wr_yaml *yaml, const char *path, const struct wr_yaml_span *span,
                                              enum wr_yaml_style style, bool scalar);
void wr_yaml_places_sort(struct wr_yaml *yaml);
/* The carets for a span: to the end of its first line if it has several. */
struct wr_position wr_yaml_span_position(const struct wr_yaml *yaml, const struct wr_yaml_span *span);
/* The byte in the text where character `offset` of a scalar stands, or the one behind that character. */
size_t wr_yaml_place_byte(const struct wr_yaml *yaml, const struct wr_yaml_place *place, size_t offset, bool behind);

/* A scalar as its field wants it. */
union wr_yaml_value {
    bool boolean;
    int64_t integer; /* INT, COUNT, DURATION, ENUM */
    uint64_t size;
    double number;
};
/* On error *ret_code is the diagnostic's code and hint[size] may be filled (else ""). */
WR_MUST_USE enum wr_result wr_yaml_value_parse(const struct wr_yaml_field *field, const char *text, size_t len, union wr_yaml_value *ret_value,
                                               enum wr_yaml_code *ret_code, char *hint, size_t hint_size, struct wr_error *err);
/* "a duration such as 5s", for messages. */
const char *wr_yaml_kind_expects(enum wr_yaml_kind kind);

/* Walks the tree by the schema. Errors go to diagnostics, places to yaml. Fails only with WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_yaml_check(struct wr_yaml *yaml, const struct wr_yaml_node *root, struct wr_diagnostics *diagnostics);

/* Says where a text stops being UTF-8, or holds a control character other than tab and line breaks. True: all is well. */
bool wr_yaml_check_characters(const struct wr_yaml *yaml, struct wr_diagnostics *diagnostics);

/* Writes the normal form of a checked tree; what is bad is left out. */
WR_MUST_USE enum wr_result wr_yaml_normalise(const struct wr_yaml *yaml, const struct wr_yaml_node *root, struct wr_buf *into);

/* Frees what a record holds, not the record itself. */
void wr_yaml_record_fini(void *record, const struct wr_yaml_field *fields);

#endif
