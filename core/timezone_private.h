/* What the files of core/timezone.h share. Nobody else includes this. */
#ifndef WEIR_CORE_TIMEZONE_PRIVATE_H
#define WEIR_CORE_TIMEZONE_PRIVATE_H

#include <stdbool.h>

#include "core/timezone.h"

#define WR_TIMEZONE_FILE_BYTES (1 << 20)
#define WR_TIMEZONE_TYPES 256
#define WR_TIMEZONE_OFFSET_MAX_S (26 * 3600) /* RFC 8536, 3.2 */

enum wr_timezone_day_kind {
    WR_TIMEZONE_MONTH,  /* Mm.w.d */
    WR_TIMEZONE_JULIAN, /* Jn: 1..365, without 29 February */
    WR_TIMEZONE_DAY,    /* n: 0..365 */
};

/* When summer time begins or ends, as POSIX TZ writes it. */
struct wr_timezone_switch {
    enum wr_timezone_day_kind kind;
    int month;
    int week;
    int day;
    int32_t time_s; /* local time, of the offset before */
};

/* What holds after the last transition of a file. */
struct wr_timezone_rule {
    bool exists;
    bool has_summer;
    int32_t standard_s;
    int32_t summer_s;
    struct wr_timezone_switch begins;
    struct wr_timezone_switch ends;
};

struct wr_timezone {
    size_t n;
    int64_t *at_s; /* transitions, ascending */
    uint8_t *type; /* from that moment on */
    int32_t offset_s[WR_TIMEZONE_TYPES];
    struct wr_timezone_rule rule;
};

/* timezone_rule.c. An empty text is allowed: then the last transition holds for ever. */
bool wr_timezone_rule_parse(struct wr_timezone_rule *rule, const char *text);
int32_t wr_timezone_rule_offset(const struct wr_timezone_rule *rule, int64_t utc_s);
int64_t wr_timezone_rule_next_change(const struct wr_timezone_rule *rule, int64_t utc_s);

/* timezone_name.c. The directory of the zones, without a slash at its end. */
const char *wr_timezone_directory(void);
bool wr_timezone_name_valid(const char *name);
/* Fills err for a name of which there is no file. */
enum wr_result wr_timezone_not_found(const char *name, struct wr_error *err);

#endif
