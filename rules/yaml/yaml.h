/* YAML into structs, by one schema, with all errors at once.
 *
 * Promise: a file is parsed by libyaml first, walking the schema: every unknown key, wrong type, missing key, bad duration or size is a
 * diagnostic with line, column, excerpt, caret and "did you mean"; only a file without errors is then loaded by libcyaml, from the same
 * schema. This is the only place that knows libcyaml and libyaml. Refused: anchors and aliases, tags, more than WR_YAML_BYTES bytes, more
 * than WR_YAML_DEPTH levels, duplicate keys. A scalar with a comma cut short inside a flow map gets its own hint: put it in quotes.
 *
 * Threads: any, no shared state. Ownership: *ret_record is one tree; wr_yaml_free frees all of it. Strings in it are NUL-terminated.
 * Units: durations are loaded as int64_t nanoseconds, sizes as uint64_t bytes, though they stand as "5s" and "64MB" in the file.
 */
#ifndef WEIR_RULES_YAML_YAML_H
#define WEIR_RULES_YAML_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/result.h"
#include "rules/diagnostics/diagnostics.h"

#define WR_YAML_BYTES (4u << 20)
#define WR_YAML_DEPTH 12
#define WR_YAML_FIELDS_MAX 64 /* keys of one record */
#define WR_YAML_PATH_BYTES 512

/* Codes of the diagnostics of this module: docs/diagnostics.md. */
enum wr_yaml_code {
    WR_YAML_W_SYNTAX = 300,
    WR_YAML_W_UNKNOWN_KEY = 301,
    WR_YAML_W_DUPLICATE_KEY = 302,
    WR_YAML_W_MISSING_KEY = 303,
    WR_YAML_W_SHAPE = 304, /* a list where a text is expected, ... */
    WR_YAML_W_VALUE = 305, /* not a duration, not a number, ... */
    WR_YAML_W_RANGE = 306,
    WR_YAML_W_NAME = 307,      /* not one of the names */
    WR_YAML_W_CUT_SHORT = 308, /* a comma in a flow map, without quotes */
    WR_YAML_W_REFUSED = 309,   /* anchors, aliases, tags, several documents */
    WR_YAML_W_CHARACTER = 310, /* not UTF-8, or a control character */
    WR_YAML_W_TOO_LARGE = 311,
};

enum wr_yaml_kind {
    WR_YAML_STRING,   /* char * ; NULL when absent */
    WR_YAML_BOOL,     /* bool */
    WR_YAML_INT,      /* int64_t */
    WR_YAML_COUNT,    /* uint32_t; never negative */
    WR_YAML_FLOAT,    /* double */
    WR_YAML_DURATION, /* int64_t ns */
    WR_YAML_SIZE,     /* uint64_t bytes */
    WR_YAML_ENUM,     /* int, index into names */
    WR_YAML_RECORD,   /* struct *, NULL when absent; with fallback "{}" made with the defaults of its fields instead */
    WR_YAML_STRINGS,  /* char ** and unsigned count; a single scalar is a list of one */
    WR_YAML_RECORDS,  /* struct * (array) and unsigned count */
};

struct wr_yaml_field {
    const char *key;
    enum wr_yaml_kind kind;
    size_t offset;       /* of the value in its record */
    size_t count_offset; /* of the unsigned count, for lists */
    bool required;
    const char *fallback;            /* as it would stand in the file; NULL: zero, or empty */
    const struct wr_yaml_field *fields; /* RECORD, RECORDS: ends with key NULL */
    size_t record_bytes;
    const char *const *names; /* ENUM: ends with NULL */
    bool free_keys;           /* RECORDS: a map with keys of any name: each key with its value is a record of two texts, as fields says */
    double min, max;          /* INT, COUNT, FLOAT, DURATION (ns), SIZE: checked when min < max */
    const char *help;         /* one line for the generated reference */
};

/* A loaded file: the record, and where everything stands in the text. */
struct wr_yaml {
    char *file;
    char *text;
    size_t text_len;
    void *record;
    const struct wr_yaml_field *fields;
    size_t record_bytes;
    struct wr_yaml_place *places;
    size_t n_places;
};

/* Loads a file (its name is used in diagnostics). WR_INVALID when there are errors: they are all in diagnostics. WR_IO, WR_NO_MEMORY in err. */
WR_MUST_USE enum wr_result wr_yaml_load_file(const char *file, const struct wr_yaml_field *fields, size_t record_bytes,
                                             struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml, struct wr_error *err);
WR_MUST_USE enum wr_result wr_yaml_load_text(const char *name, const char *text, size_t len, const struct wr_yaml_field *fields,
                                             size_t record_bytes, struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml,
                                             struct wr_error *err);
/* The same for a file in which errors of meaning are to be told beside errors of form: WR_OK also where there are such (diagnostics counts them), as
 * long as the text is YAML at all; values and records that cannot be loaded are left out, with what is required in them. */
WR_MUST_USE enum wr_result wr_yaml_load_file_parts(const char *file, const struct wr_yaml_field *fields, size_t record_bytes,
                                                   struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml, struct wr_error *err);
WR_MUST_USE enum wr_result wr_yaml_load_text_parts(const char *name, const char *text, size_t len, const struct wr_yaml_field *fields,
                                                   size_t record_bytes, struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml,
                                                   struct wr_error *err);
void wr_yaml_free(struct wr_yaml *yaml);

/* Where the value at a path stands, for errors found later: "rules[3].when"; offset and length are characters inside the scalar (for
 * carets inside an expression; length 0: the whole scalar). For a path that is absent: the nearest record that holds it. */
struct wr_position wr_yaml_where(const struct wr_yaml *yaml, const char *path, size_t offset, size_t length);

/* True when the file itself holds a value at this path: tells a given value from a default. */
bool wr_yaml_present(const struct wr_yaml *yaml, const char *path);

/* True when something at or below this path (a list, or one of its records: "rules[3]") could not be loaded. */
bool wr_yaml_damaged(const struct wr_yaml *yaml, const char *path);

/* Adds a diagnostic at a path. */
void wr_yaml_complain(const struct wr_yaml *yaml, struct wr_diagnostics *diagnostics, enum wr_diagnostic_level level, unsigned code,
                      const char *path, size_t offset, size_t length, const char *hint, const char *format, ...) WR_PRINTF(9, 10);

/* What a key takes, for a reference: "duration, 100ms to 10m", or "`segment`, `json`". */
WR_MUST_USE enum wr_result wr_yaml_write_kind(const struct wr_yaml_field *field, struct wr_buf *into);

/* "k=v, k2=v2" into pairs: the file's way to write a map with free keys. Texts are copied; free with wr_yaml_pairs_free. */
struct wr_yaml_pair {
    char *key;
    char *value;
};
WR_MUST_USE enum wr_result wr_yaml_pairs(const char *text, struct wr_yaml_pair **ret_pairs, size_t *ret_n, struct wr_error *err);
void wr_yaml_pairs_free(struct wr_yaml_pair *pairs, size_t n);

#endif
