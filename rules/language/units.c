#include "rules/language/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"
#include "rules/diagnostics/diagnostics.h"

/* clang-format off */
struct named_unit {
    const char *name;
    double scale;
    double offset;
    int8_t exponents[WR_BASES]; /* m kg s A K mol cd */
    bool prefixes;              /* takes n u m c k M G in front */
};

static const struct named_unit units[] = {
    {"°C",   1,                  273.15,  {0, 0, 0, 0, 1, 0, 0},   false},
    {"degC", 1,                  273.15,  {0, 0, 0, 0, 1, 0, 0},   false},
    {"°F",   5.0 / 9.0, 459.67 * 5.0 / 9, {0, 0, 0, 0, 1, 0, 0},   false},
    {"degF", 5.0 / 9.0, 459.67 * 5.0 / 9, {0, 0, 0, 0, 1, 0, 0},   false},
    {"K",    1,                  0,       {0, 0, 0, 0, 1, 0, 0},   true},
    {"%",    0.01,               0,       {0},                     false},
    {"%RH",  0.01,               0,       {0},                     false},
    {"‰",    0.001,              0,       {0},                     false},
    {"ppm",  1e-6,               0,       {0},                     false},
    {"ppb",  1e-9,               0,       {0},                     false},
    {"deg",  3.14159265358979323846 / 180, 0, {0},                 false},
    {"°",    3.14159265358979323846 / 180, 0, {0},                 false},
    {"rad",  1,                  0,       {0},                     true},
    {"dB",   1,                  0,       {0},                     false},
    {"pH",   1,                  0,       {0},                     false},
    {"m",    1,                  0,       {1, 0, 0, 0, 0, 0, 0},   true},
    {"metre", 1,                 0,       {1, 0, 0, 0, 0, 0, 0},   false},
    {"ft",   0.3048,             0,       {1, 0, 0, 0, 0, 0, 0},   false},
    {"inch", 0.0254,             0,       {1, 0, 0, 0, 0, 0, 0},   false},
    {"g",    1e-3,               0,       {0, 1, 0, 0, 0, 0, 0},   true},
    {"t",    1e3,                0,       {0, 1, 0, 0, 0, 0, 0},   false},
    {"s",    1,                  0,       {0, 0, 1, 0, 0, 0, 0},   true},
    {"min",  60,                 0,       {0, 0, 1, 0, 0, 0, 0},   false},
    {"h",    3600,               0,       {0, 0, 1, 0, 0, 0, 0},   false},
    {"d",    86400,              0,       {0, 0, 1, 0, 0, 0, 0},   false},
    {"Hz",   1,                  0,       {0, 0, -1, 0, 0, 0, 0},  true},
    {"rpm",  1.0 / 60,           0,       {0, 0, -1, 0, 0, 0, 0},  false},
    {"L",    1e-3,               0,       {3, 0, 0, 0, 0, 0, 0},   true},
    {"l",    1e-3,               0,       {3, 0, 0, 0, 0, 0, 0},   true},
    {"N",    1,                  0,       {1, 1, -2, 0, 0, 0, 0},  true},
    {"Nm",   1,                  0,       {2, 1, -2, 0, 0, 0, 0},  true},
    {"Pa",   1,                  0,       {-1, 1, -2, 0, 0, 0, 0}, true},
    {"hPa",  100,                0,       {-1, 1, -2, 0, 0, 0, 0}, false},
    {"bar",  1e5,                0,       {-1, 1, -2, 0, 0, 0, 0}, true},
    {"psi",  6894.757293168361,  0,       {-1, 1, -2, 0, 0, 0, 0}, false},
    {"J",    1,                  0,       {2, 1, -2, 0, 0, 0, 0},  true},
    {"Wh",   3600,               0,       {2, 1, -2, 0, 0, 0, 0},  true},
    {"W",    1,                  0,       {2, 1, -3, 0, 0, 0, 0},  true},
    {"VA",   1,                  0,       {2, 1, -3, 0, 0, 0, 0},  true},
    {"var",  1,                  0,       {2, 1, -3, 0, 0, 0, 0},  true},
    {"A",    1,                  0,       {0, 0, 0, 1, 0, 0, 0},   true},
    {"Ah",   3600,               0,       {0, 0, 1, 1, 0, 0, 0},   true},
    {"V",    1,                  0,       {2, 1, -3, -1, 0, 0, 0}, true},
    {"Ω",    1,                  0,       {2, 1, -3, -2, 0, 0, 0}, true},
    {"Ohm",  1,                  0,       {2, 1, -3, -2, 0, 0, 0}, true},
    {"S",    1,                  0,       {-2, -1, 3, 2, 0, 0, 0}, true},
    {"F",    1,                  0,       {-2, -1, 4, 2, 0, 0, 0}, true},
    {"T",    1,                  0,       {0, 1, -2, -1, 0, 0, 0}, true},
    {"mol",  1,                  0,       {0, 0, 0, 0, 0, 1, 0},   true},
    {"cd",   1,                  0,       {0, 0, 0, 0, 0, 0, 1},   true},
    {"lm",   1,                  0,       {0, 0, 0, 0, 0, 0, 1},   true},
    {"lx",   1,                  0,       {-2, 0, 0, 0, 0, 0, 1},  true},
    {"1",    1,                  0,       {0},                     false},
};

static const struct { const char *text; double factor; } prefixes[] = {
    {"n", 1e-9}, {"u", 1e-6}, {"µ", 1e-6}, {"μ", 1e-6}, {"m", 1e-3}, {"c", 1e-2}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9},
};

static const struct { int8_t exponents[WR_BASES]; const char *name; } dimensions[] = {
    {{0, 0, 0, 0, 1, 0, 0}, "temperature"},
    {{-1, 1, -2, 0, 0, 0, 0}, "pressure"},
    {{1, 0, 0, 0, 0, 0, 0}, "length"},
    {{2, 0, 0, 0, 0, 0, 0}, "area"},
    {{3, 0, 0, 0, 0, 0, 0}, "volume"},
    {{0, 0, 1, 0, 0, 0, 0}, "duration"},
    {{0, 0, -1, 0, 0, 0, 0}, "frequency"},
    {{0, 1, 0, 0, 0, 0, 0}, "mass"},
    {{1, 0, -1, 0, 0, 0, 0}, "speed"},
    {{1, 0, -2, 0, 0, 0, 0}, "acceleration"},
    {{3, 0, -1, 0, 0, 0, 0}, "flow"},
    {{0, 1, -1, 0, 0, 0, 0}, "mass flow"},
    {{-3, 1, 0, 0, 0, 0, 0}, "density"},
    {{1, 1, -2, 0, 0, 0, 0}, "force"},
    {{2, 1, -2, 0, 0, 0, 0}, "energy"},
    {{2, 1, -3, 0, 0, 0, 0}, "power"},
    {{0, 0, 0, 1, 0, 0, 0}, "current"},
    {{0, 0, 1, 1, 0, 0, 0}, "charge"},
    {{2, 1, -3, -1, 0, 0, 0}, "voltage"},
    {{2, 1, -3, -2, 0, 0, 0}, "resistance"},
    {{-2, 0, 0, 0, 0, 0, 1}, "illuminance"},
    {{0, 0, 0, 0, 1, 0, -0}, "temperature"},
    {{0, 0, -1, 0, 1, 0, 0}, "temperature rate"},
};
/* clang-format on */

#define N_UNITS (sizeof units / sizeof units[0])
#define EXPONENT_MAX 9

struct wr_unit wr_unit_plain(void) {
    return (struct wr_unit){.scale = 1, .plain = true};
}
struct wr_unit wr_unit_second(void) {
    return (struct wr_unit){.scale = 1, .exponents = {0, 0, 1}, .text = "s"};
}
struct wr_unit wr_unit_minute(void) {
    return (struct wr_unit){.scale = 60, .exponents = {0, 0, 1}, .text = "min"};
}

static const struct named_unit *find_exact(const char *name, size_t len) {
    for (size_t i = 0; i < N_UNITS; i++)
        if (strlen(units[i].name) == len && memcmp(units[i].name, name, len) == 0)
            return &units[i];
    return NULL;
}

/* Exact names go first, so that "min" is minutes and "Pa" no peta-something. */
static const struct named_unit *find(const char *name, size_t len, double *ret_factor) {
    *ret_factor = 1;
    const struct named_unit *unit = find_exact(name, len);
    for (size_t i = 0; !unit && i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t skip = strlen(prefixes[i].text);
        if (len <= skip || memcmp(name, prefixes[i].text, skip) != 0)
            continue;
        unit = find_exact(name + skip, len - skip);
        if (unit && !unit->prefixes)
            unit = NULL;
        *ret_factor = prefixes[i].factor;
    }
    return unit;
}

static enum wr_result unknown(const char *name, size_t len, struct wr_error *err) {
    char shown[48];
    wr_error_escape(shown, sizeof shown, name, len);
    static const char *const common[] = {"°C",  "K",  "%",   "bar", "mbar", "kPa", "Pa",  "mm",  "cm", "km", "s",  "ms",   "min",  "h",
                                         "L",   "W",  "kW",  "MW",  "Wh",   "kWh", "MWh", "V",   "mV", "A",  "mA", "Hz",   "rpm",  "kg",
                                         "ppm", "lx", "Ohm", "psi", "degC", "°F",  "kHz", "mol", "N",  "kN", "J",  "m3/h", "L/min"};
    const char *near = len < sizeof shown ? wr_nearest_name(shown, common, sizeof common / sizeof common[0]) : NULL;
    if (near)
        return wr_error_set(err, WR_INVALID, "unknown unit '%s': did you mean '%s'?", shown, near);
    return wr_error_set(err, WR_INVALID, "unknown unit '%s'", shown);
}

/* Cuts a trailing power off a factor: m3, m³, s^2. */
static size_t cut_power(const char *text, size_t len, int *ret_power) {
    *ret_power = 1;
    if (len > 1 && text[len - 1] >= '1' && text[len - 1] <= '4') {
        *ret_power = text[len - 1] - '0';
        len--;
        return len > 1 && text[len - 1] == '^' ? len - 1 : len;
    }
    if (len > 2 && (unsigned char)text[len - 2] == 0xC2 && ((unsigned char)text[len - 1] == 0xB2 || (unsigned char)text[len - 1] == 0xB3)) {
        *ret_power = (unsigned char)text[len - 1] == 0xB2 ? 2 : 3;
        return len - 2;
    }
    return len;
}

static enum wr_result take_factor(struct wr_unit *unit, const char *text, size_t len, bool divide, bool alone, struct wr_error *err) {
    int power;
    double prefix;
    size_t name_len = cut_power(text, len, &power);
    const struct named_unit *named = name_len > 0 ? find(text, name_len, &prefix) : NULL;
    if (!named)
        return unknown(text, len, err);
    bool point = named->offset != 0;
    if (point && !alone)
        return wr_error_set(err, WR_INVALID, "a temperature scale cannot be multiplied or divided: write K for a difference");
    double scale = pow(named->scale * prefix, power);
    unit->scale = divide ? unit->scale / scale : unit->scale * scale;
    for (int b = 0; b < WR_BASES; b++) {
        int exponent = unit->exponents[b] + (divide ? -1 : 1) * power * named->exponents[b];
        if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
            return wr_error_set(err, WR_INVALID, "a unit with an exponent above 9");
        unit->exponents[b] = (int8_t)exponent;
    }
    unit->point = point;
    unit->offset = named->offset;
    unit->ambiguous_m = alone && len == 1 && text[0] == 'm';
    return WR_OK;
}

enum wr_result wr_unit_parse(const char *text, size_t len, struct wr_unit *ret_unit, struct wr_error *err) {
    if (len == 0)
        return wr_error_set(err, WR_INVALID, "the unit is empty");
    if (len >= WR_UNIT_BYTES)
        return unknown(text, len, err);
    struct wr_unit unit = {.scale = 1};
    bool alone = memchr(text, '/', len) == NULL && memchr(text, '*', len) == NULL;
    bool divide = false;
    for (size_t start = 0; start <= len;) {
        size_t stop = start;
        while (stop < len && text[stop] != '/' && text[stop] != '*')
            stop++;
        WR_TRY(take_factor(&unit, text + start, stop - start, divide, alone, err));
        divide = stop < len && text[stop] == '/';
        start = stop + 1;
    }
    memcpy(unit.text, text, len);
    *ret_unit = unit;
    return WR_OK;
}

bool wr_unit_same_dimension(const struct wr_unit *a, const struct wr_unit *b) {
    return memcmp(a->exponents, b->exponents, sizeof a->exponents) == 0;
}

bool wr_unit_is_time(const struct wr_unit *unit) {
    const struct wr_unit second = wr_unit_second();
    return wr_unit_same_dimension(unit, &second);
}

bool wr_unit_is_length(const struct wr_unit *unit) {
    static const int8_t length[WR_BASES] = {1};
    return memcmp(unit->exponents, length, sizeof length) == 0;
}

bool wr_unit_same_scale(const struct wr_unit *a, const struct wr_unit *b) {
    return !(a->scale < b->scale || a->scale > b->scale || a->offset < b->offset || a->offset > b->offset);
}

double wr_unit_rounded(double value) {
    char text[40];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

double wr_unit_convert(double value, const struct wr_unit *from, const struct wr_unit *to) {
    if (wr_unit_same_scale(from, to))
        return value;
    if (from->offset == 0 && to->offset == 0) {
        /* Dividing by a factor above one keeps 5% = 0.05 and 1200mbar = 1.2bar exact to the last digit. */
        double ratio = from->scale / to->scale;
        double inverse = to->scale / from->scale;
        return inverse > 1 && fabs(inverse - nearbyint(inverse)) < inverse * 1e-12 ? value / nearbyint(inverse) : value * ratio;
    }
    return (value * from->scale + from->offset - to->offset) / to->scale;
}

struct wr_unit wr_unit_product(const struct wr_unit *a, const struct wr_unit *b, bool divide) {
    struct wr_unit unit = {.scale = divide ? a->scale / b->scale : a->scale * b->scale,
                           .plain = a->plain && b->plain,
                           .composed = (!a->plain && !b->plain) || a->composed || b->composed};
    for (int i = 0; i < WR_BASES; i++) {
        int exponent = a->exponents[i] + (divide ? -b->exponents[i] : b->exponents[i]);
        unit.exponents[i] = (int8_t)(exponent > 100 ? 100 : exponent < -100 ? -100 : exponent);
    }
    char text[2 * WR_UNIT_BYTES + 2];
    if (b->plain || b->text[0] == '\0')
        snprintf(text, sizeof text, "%s", a->text);
    else
        snprintf(text, sizeof text, "%s%s%s", a->text[0] ? a->text : divide ? "1" : "", divide ? "/" : a->text[0] ? "*" : "", b->text);
    size_t len = strlen(text);
    if (len < WR_UNIT_BYTES)
        memcpy(unit.text, text, len + 1);
    return unit;
}

struct wr_unit wr_unit_difference(const struct wr_unit *unit) {
    struct wr_unit difference = *unit;
    if (unit->point) {
        difference.point = false;
        difference.offset = 0;
        bool celsius = !(unit->scale < 1 || unit->scale > 1);
        snprintf(difference.text, sizeof difference.text, "%s", celsius ? "K" : "°F diff");
    }
    return difference;
}

char *wr_unit_describe(char *text, size_t size, const struct wr_unit *unit) {
    static const int8_t none[WR_BASES] = {0};
    if (unit->plain) {
        snprintf(text, size, "plain number");
        return text;
    }
    const char *name = memcmp(unit->exponents, none, sizeof none) == 0 ? "ratio" : "quantity";
    for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++)
        if (memcmp(unit->exponents, dimensions[i].exponents, sizeof none) == 0) {
            name = dimensions[i].name;
            break;
        }
    if (unit->point || !unit->exponents[WR_BASE_K] || strcmp(name, "temperature") != 0)
        snprintf(text, size, unit->text[0] ? "%s (%s)" : "%s", name, unit->text);
    else
        snprintf(text, size, "temperature difference (%s)", unit->text);
    return text;
}
