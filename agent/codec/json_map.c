#include "agent/codec/json_map.h"

#include <string.h>

#include "agent/codec/json_walk.h"

/* How far the reading has come. */
struct place {
    const char *p;
    const char *line_start;
    uint64_t lines; /* before this one */
};

struct feed {
    struct wr_json_map *map;
    const struct wr_sink *sink;
    const char *end;
    bool ended;
    struct place at;
};

enum wr_result wr_json_map_init(struct wr_json_map *map, const struct wr_config_json *config, const char *measurement, size_t max_bytes,
                                struct wr_error *err) {
    const char *key;
    int index;
    map->max_bytes = max_bytes;
    map->taken = 0;
    map->seen = 0;
    map->names_len = 0;
    WR_TRY(wr_json_mapping_init(&map->mapping, config, &key, &index, err));
    wr_json_shapes_init(&map->shapes);
    wr_json_record_init(&map->record, &map->mapping, measurement);
    return WR_OK;
}

void wr_json_map_fini(struct wr_json_map *map) {
    wr_json_record_fini(&map->record);
    wr_json_mapping_fini(&map->mapping);
}

/* Moves on to `to`, counting lines. */
static void move_on(struct place *at, const char *to) {
    while (at->p < to) {
        const char *newline = memchr(at->p, '\n', (size_t)(to - at->p));
        if (!newline)
            break;
        at->p = newline + 1;
        at->line_start = at->p;
        at->lines++;
    }
    at->p = to;
}

static inline void skip_space(struct place *at, const char *end) {
    const char *p = at->p;
    for (; p < end && (*p == '\n' || *p == ' ' || *p == '\t' || *p == '\r'); p++) {
        if (*p == '\n') {
            at->line_start = p + 1;
            at->lines++;
        }
    }
    at->p = p;
}

static void refuse(struct feed *feed, enum wr_book reason, const char *where, const char *message) {
    struct place at = feed->at;
    move_on(&at, where);
    const char *newline = where < feed->end ? memchr(where, '\n', (size_t)(feed->end - where)) : NULL;
    const size_t len = (size_t)((newline ? newline : feed->end) - where);
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    if (len > 0)
        wr_refusal_set(&feed->map->refusal, reason, at.lines + 1, at.line_start, where, "%s at '%s'", message,
                       wr_record_excerpt(excerpt, where, len));
    else
        wr_refusal_set(&feed->map->refusal, reason, at.lines + 1, at.line_start, where, "%s at the end of the line", message);
    feed->sink->refused(feed->sink->user, &feed->map->refusal);
}

/* What the sink is told of the present value for the second time is not told. */
static bool is_known(struct wr_json_map *map) {
    return map->seen++ < map->taken;
}

static void refuse_element(struct feed *feed, enum wr_book reason, const char *where, const char *message) {
    if (is_known(feed->map))
        return;
    refuse(feed, reason, where, message);
    feed->map->taken++;
}

/* -- records of a value that was checked --------------------------------------------------------------------------------------------- */

/* The record at at->p, which moves behind it. */
static enum wr_result take_record(struct feed *feed, struct place *at) {
    struct wr_json_map *map = feed->map;
    struct place here = *at;
    bool newlines = true;
    const char *behind = wr_json_shapes_match(&map->shapes, &map->record, at->p, feed->end, &newlines);
    if (!behind) {
        struct wr_json_scan scan = wr_json_scan_begin(at->p, feed->end, feed->ended);
        if (wr_json_walk_record(map, &scan) != WR_JSON_FOUND)
            return WR_CORRUPT; /* it was checked: cannot be */
        behind = scan.p;
    }
    move_on(at, behind);
    if (is_known(map))
        return WR_OK;
    const struct wr_word object = {here.p, (size_t)(behind - here.p)};
    WR_TRY(wr_json_record_emit(&map->record, object, here.line_start, here.lines + 1, feed->sink));
    map->taken++;
    return WR_OK;
}

static enum wr_result take_object(struct feed *feed, struct place *at);

/* The elements of a list. whole: each is a whole value, perhaps with an envelope; else a record. */
static enum wr_result take_list(struct feed *feed, struct place at, bool whole) {
    struct wr_json_scan scan = wr_json_scan_begin(at.p, feed->end, true);
    struct wr_word element;
    if (!wr_json_scan_enter(&scan))
        return WR_OK;
    while (*(scan.p = wr_json_skip_space(scan.p, scan.end)) != ']') {
        move_on(&at, scan.p);
        if (*at.p == '{') {
            if (whole)
                WR_TRY(take_object(feed, &at));
            else
                WR_TRY(take_record(feed, &at));
            scan.p = wr_json_skip_space(at.p, scan.end);
            scan.p += *scan.p == ',';
        } else {
            (void)wr_json_scan_value(&scan, &element);
            refuse_element(feed, WR_BOOK_REJECTED_SYNTAX, element.text, "not a record");
        }
    }
    return WR_OK;
}

static enum wr_result take_records(struct feed *feed, struct place at, struct wr_word object, struct wr_word records) {
    struct wr_json_record *record = &feed->map->record;
    if (record->problem || !records.text) {
        if (is_known(feed->map))
            return WR_OK;
        (void)wr_json_record_refuse(record, WR_BOOK_REJECTED_SYNTAX, object.text, "no records at their path");
        WR_TRY(wr_json_record_emit(record, object, at.line_start, at.lines + 1, feed->sink));
        feed->map->taken++;
        return WR_OK;
    }
    wr_json_record_keep_root(record);
    move_on(&at, records.text);
    return *records.text == '[' ? take_list(feed, at, false) : take_record(feed, &at);
}

/* The object at at->p, which moves behind it. */
static enum wr_result take_object(struct feed *feed, struct place *at) {
    if (!feed->map->mapping.has_envelope)
        return take_record(feed, at);
    const struct place here = *at;
    struct wr_json_scan scan = wr_json_scan_begin(at->p, feed->end, feed->ended);
    struct wr_word records;
    if (wr_json_walk_envelope(feed->map, &scan, &records) != WR_JSON_FOUND)
        return WR_CORRUPT; /* it was checked: cannot be */
    move_on(at, scan.p);
    return take_records(feed, here, (struct wr_word){here.p, (size_t)(scan.p - here.p)}, records);
}

/* -- whole values ------------------------------------------------------------------------------------------------------------------- */

enum outcome { VALUE_TAKEN, VALUE_BAD, VALUE_INCOMPLETE };

/* A value that is no JSON: on with the next line. */
static enum outcome skip_bad(struct feed *feed, const struct wr_json_scan *scan) {
    const char *newline = memchr(feed->at.p, '\n', (size_t)(feed->end - feed->at.p));
    if (!newline && !feed->ended)
        return VALUE_INCOMPLETE; /* the line is not whole yet */
    refuse(feed, WR_BOOK_REJECTED_SYNTAX, scan->p, scan->error);
    feed->at.p = newline ? newline : feed->end;
    return VALUE_BAD;
}

/* The long way: a record, an envelope, a list, or nothing that could be taken. */
static __attribute__((noinline)) enum outcome take_value(struct feed *feed, enum wr_result *ret_result) {
    struct wr_json_map *map = feed->map;
    struct wr_json_scan scan = wr_json_scan_begin(feed->at.p, feed->end, feed->ended);
    struct wr_word word;
    struct wr_word records = {NULL, 0};
    const bool record = *feed->at.p == '{' && !map->mapping.has_envelope;
    const bool envelope = *feed->at.p == '{' && map->mapping.has_envelope;
    const enum wr_json_found found = record     ? wr_json_walk_record(map, &scan)
                                     : envelope ? wr_json_walk_envelope(map, &scan, &records)
                                                : wr_json_scan_check(&scan, &word);
    if (found == WR_JSON_INCOMPLETE)
        return VALUE_INCOMPLETE;
    if (found == WR_JSON_BAD)
        return skip_bad(feed, &scan);
    const struct wr_word whole = {feed->at.p, (size_t)(scan.p - feed->at.p)};
    if (whole.len > map->max_bytes)
        refuse(feed, WR_BOOK_REJECTED_TOO_LONG, whole.text, "longer than max_line");
    else if (record)
        *ret_result = wr_json_record_emit(&map->record, whole, feed->at.line_start, feed->at.lines + 1, feed->sink);
    else if (envelope)
        *ret_result = take_records(feed, feed->at, whole, records);
    else if (*whole.text == '[')
        *ret_result = take_list(feed, feed->at, true);
    else
        refuse(feed, WR_BOOK_REJECTED_SYNTAX, whole.text, "not a record");
    if (*ret_result == WR_OK)
        move_on(&feed->at, scan.p);
    return VALUE_TAKEN;
}

/* The short way for a record that looks like one before. */
static inline bool take_like_before(struct feed *feed, enum wr_result *ret_result) {
    struct wr_json_map *map = feed->map;
    bool newlines;
    const char *behind = wr_json_shapes_match(&map->shapes, &map->record, feed->at.p, feed->end, &newlines);
    if (!behind || (size_t)(behind - feed->at.p) > map->max_bytes)
        return false;
    const struct wr_word object = {feed->at.p, (size_t)(behind - feed->at.p)};
    *ret_result = wr_json_record_emit(&map->record, object, feed->at.line_start, feed->at.lines + 1, feed->sink);
    if (*ret_result != WR_OK)
        return true;
    if (newlines)
        move_on(&feed->at, behind);
    else
        feed->at.p = behind;
    return true;
}

enum wr_result wr_json_map_feed(struct wr_json_map *map, const char *bytes, size_t len, bool ended, uint64_t *line,
                                const struct wr_sink *sink, size_t *ret_consumed) {
    struct feed feed = {.map = map, .sink = sink, .end = bytes + len, .ended = ended};
    feed.at = (struct place){.p = bytes, .line_start = bytes, .lines = *line};
    enum wr_result result = WR_OK;
    wr_json_record_forget_root(&map->record);
    while (result == WR_OK) {
        skip_space(&feed.at, feed.end);
        if (feed.at.p == feed.end)
            break;
        if (!map->mapping.has_envelope && *feed.at.p == '{' && take_like_before(&feed, &result))
            continue;
        map->seen = 0;
        if (take_value(&feed, &result) == VALUE_INCOMPLETE)
            break;
        if (result == WR_OK)
            map->taken = 0;
    }
    *line = feed.at.lines;
    *ret_consumed = (size_t)(feed.at.p - bytes);
    return result;
}
