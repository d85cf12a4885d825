#include "core/quantity.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

struct unit {
    const char *name;
    uint64_t size;
};

/* From large to small: also the order in which a compound duration is written. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000000)}, {"h", UINT64_C(3600000000000)}, {"m", UINT64_C(60000000000)}, {"s", UINT64_C(1000000000)},
    {"ms", UINT64_C(1000000)},       {"us", UINT64_C(1000)},         {"ns", UINT64_C(1)},
};
#define N_DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])

static const struct unit size_units[] = {
    {"B", UINT64_C(1)},           {"kB", UINT64_C(1000)},          {"KB", UINT64_C(1000)},     {"MB", UINT64_C(1000000)},
    {"GB", UINT64_C(1000000000)}, {"TB", UINT64_C(1000000000000)}, {"KiB", UINT64_C(1) << 10}, {"kiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},   {"GiB", UINT64_C(1) << 30},      {"TiB", UINT64_C(1) << 40},
};
#define N_SIZE_UNITS (sizeof size_units / sizeof size_units[0])

#define DURATION_FORM "write for example 250ms, 5s, 1m30s, 2h or 7d"
#define SIZE_FORM "write for example 512kB, 64MB or 1MiB"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* One "number unit" at *at. */
struct part {
    uint64_t number;
    bool overflow;
    const char *unit; /* not NUL-terminated */
    size_t unit_len;
};

/* False: there is no digit at *at. The unit is everything up to the next digit or the end, so that a message can show it. */
static bool next_part(const char **at, struct part *ret_part) {
    struct part part = {0};
    const char *c = *at;
    if (!is_digit(*c))
        return false;
    for (; is_digit(*c); c++)
        if (__builtin_mul_overflow(part.number, UINT64_C(10), &part.number) ||
            __builtin_add_overflow(part.number, (uint64_t)(*c - '0'), &part.number))
            part.overflow = true;
    part.unit = c;
    while (*c != '\0' && !is_digit(*c))
        c++;
    part.unit_len = (size_t)(c - part.unit);
    *at = c;
    *ret_part = part;
    return true;
}

static const struct unit *find_unit(const struct unit *units, size_t n, const struct part *part) {
    for (size_t i = 0; i < n; i++)
        if (strlen(units[i].name) == part->unit_len && memcmp(units[i].name, part->unit, part->unit_len) == 0)
            return &units[i];
    return NULL;
}

/* What is wrong with a text as a whole, before its units matter. Texts are shown shortened: they come from a config. */
static enum wr_result refuse(struct wr_error *err, const char *text, const char *why, const char *form) {
    char shown[80];
    wr_error_escape(shown, sizeof shown, text, strlen(text));
    return wr_error_set(err, WR_INVALID, "'%s' %s: %s", shown, why, form);
}

static enum wr_result refuse_unit(struct wr_error *err, const char *text, const struct part *part, bool duration) {
    char why[160];
    char unit[32];
    const char *form = duration ? "the units are ns, us, ms, s, m, h and d" : "the units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB";
    if (part->unit_len == 0) {
        snprintf(why, sizeof why, "has no unit");
        char hint[120];
        uint64_t n = part->number;
        if (duration)
            snprintf(hint, sizeof hint, "write %" PRIu64 "s, %" PRIu64 "m or %" PRIu64 "h", n, n, n);
        else
            snprintf(hint, sizeof hint, "write %" PRIu64 "B, %" PRIu64 "kB or %" PRIu64 "MB", n, n, n);
        return refuse(err, text, why, hint);
    }
    if (part->unit[0] == '.' || part->unit[0] == ',')
        return refuse(err, text, "has a fraction: take a smaller unit", duration ? "1500ms instead of 1.5s" : "1500MB instead of 1.5GB");
    if (part->unit[0] == ' ' || part->unit[0] == '\t')
        return refuse(err, text, "has a space", "write the unit directly after the number, as in 5s or 64MB");
    wr_error_escape(unit, sizeof unit, part->unit, part->unit_len);
    snprintf(why, sizeof why, "has the unknown unit '%s'", unit);
    return refuse(err, text, why, form);
}

enum wr_result wr_quantity_duration(const char *text, int64_t *ret_ns, struct wr_error *err) {
    if (strcmp(text, "0") == 0) {
        *ret_ns = 0;
        return WR_OK;
    }
    if (text[0] == '\0')
        return refuse(err, text, "is no duration", DURATION_FORM);
    if (text[0] == '-')
        return refuse(err, text, "is negative", DURATION_FORM);
    uint64_t total = 0;
    const struct unit *before = NULL;
    for (const char *at = text; *at != '\0';) {
        struct part part;
        if (!next_part(&at, &part))
            return refuse(err, text, "is no duration", DURATION_FORM);
        const struct unit *unit = find_unit(duration_units, N_DURATION_UNITS, &part);
        if (!unit)
            return refuse_unit(err, text, &part, true);
        if (before && unit <= before)
            return refuse(err, text, "has its units out of order", "larger units first, each once, as in 1m30s");
        before = unit;
        uint64_t ns;
        if (part.overflow || __builtin_mul_overflow(part.number, unit->size, &ns) || __builtin_add_overflow(total, ns, &total) ||
            total > (uint64_t)INT64_MAX)
            return refuse(err, text, "is too long", "at most 106751d");
    }
    *ret_ns = (int64_t)total;
    return WR_OK;
}

enum wr_result wr_quantity_size(const char *text, uint64_t *ret_bytes, struct wr_error *err) {
    if (strcmp(text, "0") == 0) {
        *ret_bytes = 0;
        return WR_OK;
    }
    if (text[0] == '-')
        return refuse(err, text, "is negative", SIZE_FORM);
    const char *at = text;
    struct part part;
    if (!next_part(&at, &part))
        return refuse(err, text, "is no size", SIZE_FORM);
    const struct unit *unit = find_unit(size_units, N_SIZE_UNITS, &part);
    if (!unit)
        return refuse_unit(err, text, &part, false);
    if (*at != '\0')
        return refuse(err, text, "is more than one size", SIZE_FORM);
    uint64_t bytes;
    if (part.overflow || __builtin_mul_overflow(part.number, unit->size, &bytes))
        return refuse(err, text, "is too large", "at most 16777215TiB");
    *ret_bytes = bytes;
    return WR_OK;
}

char *wr_quantity_format_duration(char *text, size_t size, int64_t ns) {
    char whole[64]; /* the longest has 34 */
    size_t len = 0;
    uint64_t rest = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    if (ns == 0)
        return wr_utf8_copy(text, size, "0s");
    if (ns < 0)
        whole[len++] = '-';
    for (size_t i = 0; i < N_DURATION_UNITS && rest > 0; i++) {
        uint64_t number = rest / duration_units[i].size;
        rest %= duration_units[i].size;
        if (number > 0)
            len += (size_t)snprintf(whole + len, sizeof whole - len, "%" PRIu64 "%s", number, duration_units[i].name);
        assert(len < sizeof whole);
    }
    return wr_utf8_copy(text, size, whole);
}

static uint64_t tenths_of(uint64_t bytes, uint64_t unit) {
    return bytes / (unit / 10) + (bytes % (unit / 10) >= unit / 20);
}

char *wr_quantity_format_size(char *text, size_t size, uint64_t bytes) {
    static const char *const names[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    char whole[32];
    if (bytes < 1000) {
        snprintf(whole, sizeof whole, "%" PRIu64 " B", bytes);
        return wr_utf8_copy(text, size, whole);
    }
    size_t name = 0;
    uint64_t unit = 1000;
    uint64_t tenths = tenths_of(bytes, unit);
    while (tenths >= 10000 && name + 1 < sizeof names / sizeof names[0]) { /* 999.95 kB is 1.0 MB, not 1000.0 kB */
        unit *= 1000;
        name++;
        tenths = tenths_of(bytes, unit);
    }
    snprintf(whole, sizeof whole, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, names[name]);
    return wr_utf8_copy(text, size, whole);
}
