/* The series table: measurement, field and sorted tags, interned once at the source; the hot path carries ids.
 *
 * A key is a blob of NUL-terminated words: measurement, field, then tag name and tag value in turn, tags sorted by name (bytewise), no
 * name twice. NUL may not occur inside a word. So a key compares with memcmp, hashes as it is, and needs no parsing in a segment.
 *
 * Promise: an id is dense (0, 1, 2, ...) and stays valid; the struct wr_series behind it does not move while it has open state.
 * Limits: `max_series` series; beyond it WR_LIMIT, counted by the caller. A key has at most WR_SERIES_KEY_BYTES bytes and
 * WR_SERIES_TAGS tags. The memory for all entries is part of the ceiling: wr_series_table_bytes.
 * Threads: intern from any thread (one mutex, only for series that a source has not seen yet: sources keep a cache of their own, see
 * agent/sources); get from any thread, without a lock, for every id that was handed over through a channel or a lock.
 * Ownership: the table owns entries and keys until wr_series_table_free.
 */
#ifndef WEIR_CORE_SERIES_H
#define WEIR_CORE_SERIES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/reading.h"
#include "core/result.h"

#define WR_SERIES_KEY_BYTES 2048
#define WR_SERIES_TAGS 32
#define WR_SERIES_NONE UINT32_MAX

struct wr_series {
    uint32_t id;
    uint32_t generation; /* bumped when an id is given to another key, so that a stale id is noticed */
    uint64_t hash;       /* xxh3 of the key */
    _Atomic uint8_t type; /* enum wr_type, fixed by the first reading */
    uint8_t n_tags;
    uint16_t key_len; /* bytes of key, the last NUL counted */
    char key[];
};

struct wr_series_table;

/* One word of a key under construction, not NUL-terminated. */
struct wr_word {
    const char *text;
    size_t len;
};

struct wr_tag {
    struct wr_word name;
    struct wr_word value;
};

/* Writes the canonical key of (measurement, field, tags) to key[WR_SERIES_KEY_BYTES]; sorts tags in place.
 * WR_INVALID with a reason: an empty word, a NUL byte, a tag name twice; WR_LIMIT: too long, too many tags. */
WR_MUST_USE enum wr_result wr_series_key_make(struct wr_word measurement, struct wr_word field, struct wr_tag *tags, size_t n_tags,
                                              char *key, size_t *ret_len, struct wr_error *err);

/* True if key[len] is canonical: for keys that come from a segment or any other place outside the table. */
_Bool wr_series_key_valid(const char *key, size_t len);

WR_MUST_USE enum wr_result wr_series_table_new(uint32_t max_series, struct wr_series_table **ret_table, struct wr_error *err);
void wr_series_table_free(struct wr_series_table *table);

/* The id of a key, made if it is new. WR_LIMIT: max_series reached; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_series_intern(struct wr_series_table *table, const char *key, size_t len, uint32_t *ret_id);

/* The id of a key that exists, or WR_SERIES_NONE. */
uint32_t wr_series_find(const struct wr_series_table *table, const char *key, size_t len);

/* The entry of an id that wr_series_intern gave. */
struct wr_series *wr_series_get(const struct wr_series_table *table, uint32_t id);

/* How many series there are: ids are 0 .. count - 1. */
uint32_t wr_series_count(const struct wr_series_table *table);

/* Fixes the type by the first reading. Returns the type that the series has, which may be another one. */
enum wr_type wr_series_fix_type(struct wr_series *series, enum wr_type type);

/* Parts of a key. The strings live as long as the key. */
const char *wr_series_measurement(const char *key);
const char *wr_series_field(const char *key);
/* The value of a tag, or NULL. */
const char *wr_series_tag(const char *key, size_t len, const char *name);
/* Walks tags: start with *cursor = NULL; false at the end. */
_Bool wr_series_next_tag(const char *key, size_t len, const char **cursor, const char **ret_name, const char **ret_value);

/* The name as rules and people write it: `room_temp{room=A1}`, `weather.humidity{site=riga}`; the field is left out where it is "value".
 * Cut to fit size. Returns text. */
char *wr_series_display(char *text, size_t size, const char *key, size_t len);

/* Upper bound of the memory for max_series keys of average length key_bytes. */
size_t wr_series_table_bytes(uint32_t max_series, size_t key_bytes);

#endif
