#include "core/correction.h"

#include <inttypes.h>
#include <string.h>

#include "core/clock.h"

static const char *const names[] = {[WR_TIME_TRUSTED] = "trusted", [WR_TIME_CORRECTED] = "corrected", [WR_TIME_UNTRUSTED] = "untrusted"};

const char *wr_time_quality_name(enum wr_time_quality quality) {
    return names[quality];
}

bool wr_time_quality_parse(const char *text, size_t len, enum wr_time_quality *ret_quality) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0) {
            *ret_quality = (enum wr_time_quality)i;
            return true;
        }
    return false;
}

bool wr_correction_time(const struct wr_correction *correction, int64_t *wall_ns) {
    return wr_correction_start(correction, wall_ns, 0);
}

bool wr_correction_start(const struct wr_correction *correction, int64_t *start_ns, int64_t window_ns) {
    if (*start_ns > correction->to_ns || wr_clock_add_ns(*start_ns, window_ns) < correction->from_ns)
        return false;
    *start_ns = wr_clock_add_ns(*start_ns, correction->move_ns);
    return true;
}

/* ---- in JSON ---- */

/* Inside of a string each quote has a backslash in front: so `"time_ns":` is a member wherever it stands. */
struct pair {
    const char *number; /* the name of the exact one, as a member */
    const char *text;   /* what follows it, up to the readable one */
    bool follows;       /* goes with the time in front of it */
};

static const struct pair pairs[] = {
    {"\"event_ns\":", ",\"event\":\"", false}, {"\"time_ns\":", ",\"time\":\"", false}, {"\"until_ns\":", ",\"until\":\"", true},
    {"\"from_ns\":", ",\"from\":\"", false},   {"\"to_ns\":", ",\"to\":\"", false},
};

static bool begins(const char *at, const char *end, const char *with) {
    const size_t len = strlen(with);
    return (size_t)(end - at) >= len && memcmp(at, with, len) == 0;
}

static const struct pair *pair_at(const char *at, const char *end) {
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (begins(at, end, pairs[i].number))
            return &pairs[i];
    return NULL;
}

/* A whole number of an object that we wrote. False: none, or one that is not ours. */
static bool read_number(const char **at, const char *end, int64_t *ret_value) {
    const char *p = *at;
    const bool negative = p < end && *p == '-';
    int64_t value = 0;
    p += negative;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, *p - '0', &value))
            return false;
    if (p == first || (!negative && value == INT64_MIN))
        return false;
    *ret_value = negative ? value : -value;
    *at = p;
    return true;
}

/* Behind the readable time, if it follows; else NULL. */
static const char *skip_text(const struct pair *pair, const char *at, const char *end) {
    if (!begins(at, end, pair->text))
        return NULL;
    at += strlen(pair->text);
    const char *quote = memchr(at, '"', (size_t)(end - at));
    return quote ? quote + 1 : NULL;
}

/* The pair at p, moved: *ret_next is behind it; NULL where it stays. */
static enum wr_result move_pair(const struct wr_correction *correction, const struct pair *pair, const char *p, const char *end,
                                bool *moved, struct wr_buf *into, const char **ret_next) {
    int64_t wall_ns;
    char text[32];
    const char *at = p + strlen(pair->number);
    *ret_next = NULL;
    if (!read_number(&at, end, &wall_ns))
        return WR_OK;
    const char *next = skip_text(pair, at, end);
    if (!next)
        return WR_OK;
    if (pair->follows && *moved)
        wall_ns = wr_clock_add_ns(wall_ns, correction->move_ns);
    else if (pair->follows || !wr_correction_time(correction, &wall_ns))
        return WR_OK;
    *moved = true;
    *ret_next = next;
    return wr_buf_printf(into, "%s%" PRId64 "%s%s\"", pair->number, wall_ns, pair->text, wr_clock_format(text, sizeof text, wall_ns));
}

enum wr_result wr_correction_json(const struct wr_correction *correction, const char *object, size_t len, struct wr_buf *into) {
    const char *end = object + len;
    const char *clean = object; /* from here on nothing is written yet */
    bool moved = false;
    for (const char *p = object; (p = memchr(p, '"', (size_t)(end - p))) != NULL;) {
        const struct pair *pair = pair_at(p, end);
        const char *next = NULL;
        if (pair) {
            WR_TRY(wr_buf_append(into, clean, (size_t)(p - clean)));
            clean = p;
            WR_TRY(move_pair(correction, pair, p, end, &moved, into, &next));
        }
        if (next)
            clean = next;
        p = next ? next : p + 1;
    }
    return wr_buf_append(into, clean, (size_t)(end - clean));
}
