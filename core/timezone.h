/* Time zones: local time and seconds since 1970 into each other, by the machine's tzdata.
 *
 * Why not the C library: it knows one zone per process, by way of the environment.
 * Zones are found by name ("Europe/Riga") below /usr/share/zoneinfo, or below the directory that the environment variable TZDIR names, as for the C
 * library. A name cannot lead out of it. Zones that count leap seconds (right/...) are refused: the clocks here do not.
 * Source: RFC 8536 (TZif, versions 1 to 4, with the rule for the future at its end, POSIX TZ).
 * Threads: immutable after wr_timezone_open, so any. Ownership: the caller frees it. Limits: zone files of at most 1 MB, names of 64 bytes.
 */
#ifndef WEIR_CORE_TIMEZONE_H
#define WEIR_CORE_TIMEZONE_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_TIMEZONE_NEVER_S INT64_MAX

struct wr_timezone;

/* NULL, "", "UTC", "GMT" and "Z" give *ret_zone = NULL, which means UTC everywhere below. WR_INVALID: not a name; WR_NOT_FOUND: no such zone (err
 * names the nearest), or no tzdata (err says so); WR_CORRUPT, WR_UNSUPPORTED (leap seconds), WR_IO, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_timezone_open(const char *name, struct wr_timezone **ret_zone, struct wr_error *err);
/* The same from the bytes of a zone file. WR_CORRUPT, WR_UNSUPPORTED. */
WR_MUST_USE enum wr_result wr_timezone_parse(const uint8_t *bytes, size_t len, struct wr_timezone **ret_zone, struct wr_error *err);
/* NULL is fine. */
void wr_timezone_free(struct wr_timezone *zone);
size_t wr_timezone_bytes(const struct wr_timezone *zone);

/* Seconds east of UTC at a moment. */
int32_t wr_timezone_offset(const struct wr_timezone *zone, int64_t utc_s);

struct wr_timezone_time {
    int hour;    /* 0 to 23 */
    int weekday; /* 1 Monday to 7 Sunday */
};
/* What a clock on the wall and a calendar beside it show. */
struct wr_timezone_time wr_timezone_local(const struct wr_timezone *zone, int64_t wall_ns);

/* The first moment after utc_s at which the offset may be another one; WR_TIMEZONE_NEVER_S. */
int64_t wr_timezone_next_change(const struct wr_timezone *zone, int64_t utc_s);

/* local_s: the seconds that a local date and time would have in UTC. A local time that comes twice (clocks set back) means the first of the two; one
 * that is skipped (clocks set forward) is moved on by the gap: for stamps, which somebody has read off a clock that had not been set yet. */
int64_t wr_timezone_to_utc(const struct wr_timezone *zone, int64_t local_s);

/* The first moment at which the clock on the wall shows local_s or a later time: as wr_timezone_to_utc, but what is skipped is the moment of the skip.
 * Never decreases with local_s: for appointments. */
int64_t wr_timezone_reaches(const struct wr_timezone *zone, int64_t local_s);

#endif
