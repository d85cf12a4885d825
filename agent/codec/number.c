#include "agent/codec/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const double wr_number_powers[WR_NUMBER_POWERS] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define EXACT_MANTISSA (UINT64_C(1) << 53)
#define MANTISSA_FULL (UINT64_C(1000000000000000000)) /* 10^18: one more digit still fits */
#define SIGNIFICANT_MAX UINT64_C(1000000000000000)    /* 10^15: 15 significant digits at most stay below */
#define EXPONENT_CLAMP 100000

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The text is known to be a number; it only has to be rounded. */
static double round_by_library(const char *text, const char *end) {
    char copy[WR_NUMBER_BYTES + 1];
    size_t len = (size_t)(end - text);
    memcpy(copy, text, len);
    copy[len] = '\0';
    pthread_once(&c_locale_once, make_c_locale);
    int before = errno;
    double value = c_locale ? strtod_l(copy, NULL, c_locale) : strtod(copy, NULL);
    errno = before; /* out of range is infinity or zero, no error */
    return value;
}

/* Digits gathered into a mantissa while they fit. */
struct digits {
    uint64_t mantissa;
    unsigned seen;
    unsigned after_point;
    bool fits;
};

static const char *read_digits(const char *p, const char *end, struct digits *digits, bool after_point) {
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (digits->mantissa >= MANTISSA_FULL)
            digits->fits = false;
        else
            digits->mantissa = digits->mantissa * 10 + (unsigned)(*p - '0');
        digits->seen++;
        digits->after_point += after_point;
    }
    return p;
}

/* Returns p itself when what follows is no exponent. */
static const char *read_exponent(const char *p, const char *end, int *ret_exponent) {
    const char *at = p + 1;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at >= end || *at < '0' || *at > '9')
        return p;
    int exponent = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        if (exponent < EXPONENT_CLAMP)
            exponent = exponent * 10 + (*at - '0');
    *ret_exponent = negative ? -exponent : exponent;
    return at;
}

const char *wr_number_read(const char *text, const char *end, struct wr_number *ret) {
    if (end - text > WR_NUMBER_BYTES)
        end = text + WR_NUMBER_BYTES;
    const char *p = text;
    const bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    struct digits digits = {.fits = true};
    p = read_digits(p, end, &digits, false);
    bool whole = true;
    if (p < end && *p == '.') {
        whole = false;
        p = read_digits(p + 1, end, &digits, true);
    }
    if (digits.seen == 0)
        return NULL;
    int exponent = 0;
    bool has_exponent = false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *behind = read_exponent(p, end, &exponent);
        if (behind == p)
            return NULL;
        has_exponent = true;
        p = behind;
    }

    const int scale = exponent - (int)digits.after_point;
    struct wr_number number = {.whole = whole && !has_exponent, .decimals = WR_DECIMALS_UNKNOWN};
    if (digits.fits && digits.mantissa <= EXACT_MANTISSA && scale > -WR_NUMBER_POWERS && scale < WR_NUMBER_POWERS) {
        number.value = scale < 0 ? (double)digits.mantissa / wr_number_powers[-scale] : (double)digits.mantissa * wr_number_powers[scale];
        if (negative)
            number.value = -number.value;
    } else {
        number.value = round_by_library(text, p);
    }
    if (!has_exponent && digits.fits && digits.mantissa < SIGNIFICANT_MAX && digits.after_point <= WR_DECIMALS_MAX)
        number.decimals = (uint8_t)digits.after_point;
    *ret = number;
    return p;
}

static const char *skip_word(const char *p, const char *end, const char *word) {
    for (; *word != '\0'; p++, word++)
        if (p >= end || (*p | 0x20) != *word)
            return NULL;
    return p;
}

const char *wr_number_read_nonfinite(const char *text, const char *end, double *ret_value) {
    const char *p = text;
    const bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    const char *behind = skip_word(p, end, "nan");
    if (behind) {
        *ret_value = (double)NAN;
        return behind;
    }
    behind = skip_word(p, end, "infinity");
    if (!behind)
        behind = skip_word(p, end, "inf");
    if (behind)
        *ret_value = negative ? -(double)INFINITY : (double)INFINITY;
    return behind;
}

/* Magnitude of [p, end), all digits and at least one. */
static bool read_magnitude(const char *p, const char *end, uint64_t *ret_value) {
    if (p >= end)
        return false;
    uint64_t value = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool wr_number_uint64(const char *text, const char *end, uint64_t *ret_value) {
    return read_magnitude(text < end && *text == '+' ? text + 1 : text, end, ret_value);
}

bool wr_number_int64(const char *text, const char *end, int64_t *ret_value) {
    const bool negative = text < end && *text == '-';
    uint64_t magnitude;
    if (!read_magnitude(text < end && (*text == '-' || *text == '+') ? text + 1 : text, end, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
