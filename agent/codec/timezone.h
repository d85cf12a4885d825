/* Time zones: local time as it stands in a file to seconds since 1970, by the machine's tzdata.
 *
 * Why not the C library: it knows one zone per process, by way of the environment.
 * A local time that occurs twice (clocks set back) means the first of the two; one that is skipped (clocks set forward) is moved on by
 * the gap.
 * Source: RFC 8536 (TZif, with the rule for the future at its end, POSIX TZ).
 * Threads: immutable after wr_timezone_open, so any. Ownership: the caller frees it. Limits: zone files of at most 1 MB.
 */
#ifndef WEIR_AGENT_CODEC_TIMEZONE_H
#define WEIR_AGENT_CODEC_TIMEZONE_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

struct wr_timezone;

/* NULL, "", "UTC", "GMT" and "Z" give *ret_zone = NULL, which means UTC everywhere below. WR_NOT_FOUND: no such zone, or no tzdata. */
WR_MUST_USE enum wr_result wr_timezone_open(const char *name, struct wr_timezone **ret_zone, struct wr_error *err);
/* The same from the bytes of a zone file. WR_CORRUPT. */
WR_MUST_USE enum wr_result wr_timezone_parse(const uint8_t *bytes, size_t len, struct wr_timezone **ret_zone, struct wr_error *err);
/* NULL is fine. */
void wr_timezone_free(struct wr_timezone *zone);

/* Seconds east of UTC at a moment. */
int32_t wr_timezone_offset(const struct wr_timezone *zone, int64_t utc_s);

/* local_s: the seconds that the local date and time would have in UTC. */
int64_t wr_timezone_to_utc(const struct wr_timezone *zone, int64_t local_s);

#endif
