/* Time stamps as files write them, to nanoseconds since 1970.
 *
 * Formats: none given: RFC 3339, also with a space for the T, without seconds, or a date alone; "s", "ms", "us", "ns": a number since 1970, with
 * a fraction if there is one; else a pattern as of strptime: %Y %y %m %d %e %j %H %I %p %M %S %f %b %B %z %Z %s %T %R %F %D %n %t %%.
 * %S takes a fraction of a second ("07.25") by itself; %f is a fraction alone. Names of months are English, whatever the locale.
 * A stamp without an offset of its own is in the zone given.
 * Nothing is guessed: a stamp that does not match to its last character is refused. The 61st second of a minute counts as the next one.
 *
 * Threads: immutable after init, so any. Ownership: caller's memory; fini frees the zone; the pattern must outlive it.
 */
#ifndef WEIR_AGENT_CODEC_TIME_FORMAT_H
#define WEIR_AGENT_CODEC_TIME_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/timezone.h"
#include "core/result.h"

struct wr_time_format {
    enum { WR_TIME_RFC3339, WR_TIME_UNIX, WR_TIME_PATTERN } kind;
    int64_t unit_ns;
    const char *pattern;
    struct wr_timezone *zone;
};

/* format and tz may be NULL. WR_INVALID: an unknown letter behind %; WR_NOT_FOUND: no such zone. */
WR_MUST_USE enum wr_result wr_time_format_init(struct wr_time_format *format, const char *text, const char *tz, struct wr_error *err);
void wr_time_format_fini(struct wr_time_format *format);

/* False: the text is no such stamp, or out of the range of int64 nanoseconds (1677 to 2262). */
bool wr_time_format_read(const struct wr_time_format *format, const char *text, size_t len, int64_t *ret_ns);

#endif
