/* Selectors: the one way to name series, in rules, windows and queries.
 *
 *   room_temp                  measurement.field, or the measurement alone where the field is called "value"
 *   weather.temp{site=riga}    with a tag; also != (or absent), =~ glob, !~ glob
 *   door_*                     a glob (* and ?) over the whole name; "*" is everything
 *
 * Promise: matching allocates nothing. A bare measurement name without a dot matches its field "value" only; a glob matches the display
 * name (measurement, or measurement.field). A tag that is missing matches != and !~ only.
 * Threads: immutable after parse. Limits: WR_SELECTOR_BYTES of text, 16 matches.
 */
#ifndef WEIR_RULES_LANGUAGE_SELECTOR_H
#define WEIR_RULES_LANGUAGE_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/result.h"

#define WR_SELECTOR_BYTES 512
#define WR_SELECTOR_MATCHES 16

enum wr_selector_op { WR_SELECTOR_EQUAL, WR_SELECTOR_NOT_EQUAL, WR_SELECTOR_GLOB, WR_SELECTOR_NOT_GLOB };

struct wr_selector_match {
    const char *tag;
    enum wr_selector_op op;
    const char *word;
};

struct wr_selector {
    char text[WR_SELECTOR_BYTES]; /* cut into words by NULs; the pointers below point into it */
    const char *name;
    bool name_is_glob;
    size_t n_matches;
    struct wr_selector_match matches[WR_SELECTOR_MATCHES];
};

/* The selector must not be moved afterwards (it points into itself). On error *ret_at (may be NULL) is the offset in text. */
WR_MUST_USE enum wr_result wr_selector_parse(const char *text, size_t len, struct wr_selector *selector, size_t *ret_at, struct wr_error *err);

/* key: see core/series.h. */
bool wr_selector_matches(const struct wr_selector *selector, const char *key, size_t key_len);

/* One of its labels. value NULL: there is none. */
bool wr_selector_tag_matches(const struct wr_selector_match *match, const char *value);

/* * any run, ? one character. */
bool wr_glob_match(const char *glob, const char *text);

#endif
