/* A scanner of JSON text. Either token by token, each checked as it comes; or a value is checked whole first, and then its members and elements
 * are walked. It builds nothing.
 *
 * Source: RFC 8259. Strictness: numbers, escapes, control characters in strings and commas as the RFC says; bytes that are no UTF-8 pass.
 * Threads: none; plain values. Limits: WR_JSON_PARSE_DEPTH levels.
 */
#ifndef WEIR_AGENT_CODEC_JSON_SCAN_H
#define WEIR_AGENT_CODEC_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/series.h"

#define WR_JSON_PARSE_DEPTH 32

struct wr_json_scan {
    const char *p;
    const char *start;
    const char *end;
    bool ended;        /* nothing follows behind end */
    const char *error; /* of a check that failed; p is where */
    unsigned depth;    /* containers that are open */
    bool opened;       /* the last token opened one */
    char open[WR_JSON_PARSE_DEPTH];
};

enum wr_json_found {
    WR_JSON_FOUND,
    WR_JSON_BAD,
    WR_JSON_INCOMPLETE, /* right so far, and not all there */
};

enum wr_json_kind { WR_JSON_OPEN, WR_JSON_CLOSE, WR_JSON_SCALAR };

struct wr_json_token {
    enum wr_json_kind kind;
    struct wr_word name; /* of a member, with its quotes; text NULL elsewhere, and for CLOSE */
    struct wr_word word; /* the bracket, or the scalar as written */
};

struct wr_json_scan wr_json_scan_begin(const char *text, const char *end, bool ended);

/* The next token of the value at p, checked. The value ends with the token that leaves scan->depth 0. */
enum wr_json_found wr_json_scan_token(struct wr_json_scan *scan, struct wr_json_token *ret_token);
/* The scalar at p, checked, as written. BAD also for a bracket. */
enum wr_json_found wr_json_scan_scalar(struct wr_json_scan *scan, struct wr_word *ret_word);

/* Checks one value, containers with all that is in them. *ret_word is the value as written. */
enum wr_json_found wr_json_scan_check(struct wr_json_scan *scan, struct wr_word *ret_word);

/* How much of an unfinished value is checked, so that what comes bit by bit is looked at once. Zero: nothing. */
struct wr_json_progress {
    uint32_t at; /* bytes */
    uint32_t lists; /* bit d: the container of depth d + 1 is a list */
    uint8_t depth;
    bool opened;
};

/* bytes[len] begin with what was seen before. True: it is time to parse them: there is a whole value, or one that is bad and whose line is whole. */
bool wr_json_scan_progress(struct wr_json_progress *progress, const char *bytes, size_t len);

/* For text that was checked: steps into the object or array at p; false if it is empty. */
bool wr_json_scan_enter(struct wr_json_scan *scan);
/* The name of the next member, with its quotes; false at the end of the object. */
bool wr_json_scan_member(struct wr_json_scan *scan, struct wr_word *ret_name);
/* The next value, as written; false at the end of the array. */
bool wr_json_scan_value(struct wr_json_scan *scan, struct wr_word *ret_value);

const char *wr_json_skip_space(const char *p, const char *end);

/* The inside of a checked string with its escapes resolved, into into[len]. Returns NULL, or where half of a surrogate pair stands. */
const char *wr_json_unescape(const char *text, size_t len, char *into, size_t *ret_len);

/* Checked text without white space between its parts, into into[len]. Returns its length. */
size_t wr_json_compact(const char *text, size_t len, char *into);

#endif
