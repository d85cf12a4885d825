#include "rules/language/functions.h"

#include <string.h>

#include "core/nearest.h"
#include "rules/diagnostics/diagnostics.h"

#define DAYS 86400.0

/* By their numbers in rules/operators/operator.h: enum wr_operator_method, without its first. */
static const char *const methods[] = {"robust", "relent", "cusum", "novelty", "novelty16", NULL};

/* clang-format off */
#define X {.name = "x", .kind = WR_ARGUMENT_SIGNAL}
#define C {.name = "c", .kind = WR_ARGUMENT_CONDITION}
#define ANY {.name = "x", .kind = WR_ARGUMENT_ANY}
#define NUMBER(n) {.name = n, .kind = WR_ARGUMENT_NUMBER}
#define WINDOW {.name = "w", .kind = WR_ARGUMENT_WINDOW}
#define ZONE {.name = "zone", .kind = WR_ARGUMENT_ZONE, .optional = true}
#define DURATION(n) {.name = n, .kind = WR_ARGUMENT_DURATION, .low = 1e-3, .high = 366 * DAYS}
#define OVER(n, i, a, ...) .name = n, .id = WR_FUNCTION_##i, .how = WR_HOW_OPERATOR, .answer = WR_ANSWER_##a, .parameters = {__VA_ARGS__}
#define SET(n, i, a) .name = n, .id = WR_FUNCTION_##i, .how = WR_HOW_SET, .answer = WR_ANSWER_##a, \
    .parameters = {{.name = "series", .kind = WR_ARGUMENT_SELECTOR}}

const struct wr_function wr_functions[] = {
    {.name = "last", .id = WR_FUNCTION_LAST, .how = WR_HOW_LOAD, .answer = WR_ANSWER_SAME, .parameters = {X},
     .usage = "last(x)", .help = "the last good value, also while the present one is bad", .example = "last(room_temp) > 8°C"},
    {.name = "prev", .id = WR_FUNCTION_PREV, .how = WR_HOW_LOAD, .answer = WR_ANSWER_SAME, .parameters = {X},
     .usage = "prev(x)", .help = "the good value before the last one", .example = "room_temp > prev(room_temp)"},
    {.name = "delta", .id = WR_FUNCTION_DELTA, .how = WR_HOW_LOAD, .answer = WR_ANSWER_DIFFERENCE,
     .parameters = {X, {.name = "w", .kind = WR_ARGUMENT_WINDOW, .optional = true}},
     .usage = "delta(x) or delta(x, 5m)", .help = "the value minus the one before; over a window: last minus first, resets of counters made up for",
     .example = "abs(delta(room_temp)) > 3K"},
    {.name = "age", .id = WR_FUNCTION_AGE, .how = WR_HOW_LOAD, .answer = WR_ANSWER_SECONDS, .parameters = {ANY},
     .usage = "age(x)", .help = "time since the last sample; fires by timer, needs none to come; compared with a constant", .example = "age(room_temp) > 90s"},
    {.name = "quality", .id = WR_FUNCTION_QUALITY, .how = WR_HOW_LOAD, .answer = WR_ANSWER_QUALITY, .parameters = {ANY},
     .usage = "quality(x)", .help = "of the last sample: \"good\", \"uncertain\" or \"bad\"", .example = "quality(room_temp) == \"uncertain\""},
    {.name = "period", .id = WR_FUNCTION_PERIOD, .how = WR_HOW_DECLARED, .answer = WR_ANSWER_SECONDS, .parameters = {{.name = "x", .kind = WR_ARGUMENT_SERIES}},
     .usage = "period(x)", .help = "`every` of the point", .example = "age(room_temp) > 3 * period(room_temp)"},
    {.name = "resolution", .id = WR_FUNCTION_RESOLUTION, .how = WR_HOW_DECLARED, .answer = WR_ANSWER_DIFFERENCE, .parameters = {{.name = "x", .kind = WR_ARGUMENT_SERIES}},
     .usage = "resolution(x)", .help = "`resolution` of the point", .example = "span(room_temp, 30m) < 2 * resolution(room_temp)"},
    {.name = "time", .id = WR_FUNCTION_TIME, .how = WR_HOW_TIME, .answer = WR_ANSWER_SECONDS,
     .usage = "time()", .help = "seconds since 1970, UTC, at the time of the evaluation", .example = "room_temp > 8°C and time() > 1700000000s"},
    {.name = "hour", .id = WR_FUNCTION_HOUR, .how = WR_HOW_TIME, .answer = WR_ANSWER_PLAIN, .parameters = {ZONE},
     .usage = "hour(\"Europe/Riga\")", .help = "hour of the day, 0 to 23, in a time zone; without one in UTC", .example = "power > 2kW and hour(\"Europe/Riga\") >= 22"},
    {.name = "weekday", .id = WR_FUNCTION_WEEKDAY, .how = WR_HOW_TIME, .answer = WR_ANSWER_PLAIN, .parameters = {ZONE},
     .usage = "weekday(\"Europe/Riga\")", .help = "1 Monday to 7 Sunday, in a time zone; without one in UTC", .example = "power > 2kW and weekday() >= 6"},

    {.name = "rises", .id = WR_FUNCTION_RISES, .how = WR_HOW_PULSE, .answer = WR_ANSWER_TRUTH, .parameters = {C},
     .usage = "rises(c)", .help = "true at the sample with which the condition becomes true", .example = "rises(pump_running)"},
    {.name = "falls", .id = WR_FUNCTION_FALLS, .how = WR_HOW_PULSE, .answer = WR_ANSWER_TRUTH, .parameters = {C},
     .usage = "falls(c)", .help = "true at the sample with which it becomes false", .example = "falls(flow > 5L/min)"},
    {.name = "changed", .id = WR_FUNCTION_CHANGED, .how = WR_HOW_PULSE, .answer = WR_ANSWER_TRUTH, .parameters = {ANY},
     .usage = "changed(x)", .help = "true at a sample with another value than the one before", .example = "changed(mode)"},
    {.name = "held", .id = WR_FUNCTION_HELD, .how = WR_HOW_HELD, .answer = WR_ANSWER_TRUTH, .parameters = {C, DURATION("d")},
     .usage = "held(c, 2m)", .help = "true once the condition has been true for so long", .example = "held(door_open, 2m)"},
    {OVER("hits", HITS, TRUTH, C, {.name = "n", .kind = WR_ARGUMENT_COUNT, .low = 1, .high = 4096}, {.name = "m", .kind = WR_ARGUMENT_COUNT, .low = 1, .high = 4096}),
     .usage = "hits(c, 7, 10)", .help = "the condition was true at n of the last m samples", .example = "hits(room_temp > 8°C, 7, 10)"},
    {OVER("duty", DUTY, RATIO, C, WINDOW),
     .usage = "duty(c, 1h)", .help = "part of the window's time in which the condition was true", .example = "duty(pump_running, 1h) > 80%"},
    {OVER("count_if", COUNT_IF, PLAIN, C, WINDOW),
     .usage = "count_if(c, 1h)", .help = "samples of the window at which the condition was true", .example = "count_if(flow < 5L/min, 10m) >= 3"},
    {.name = "vote", .id = WR_FUNCTION_VOTE, .how = WR_HOW_VOTE, .answer = WR_ANSWER_TRUTH, .many = true,
     .parameters = {{.name = "n", .kind = WR_ARGUMENT_COUNT, .low = 1, .high = 16}, {.name = "c", .kind = WR_ARGUMENT_TRUTH},
                    {.name = "degrade", .kind = WR_ARGUMENT_COUNT, .optional = true, .by_name = true, .low = 0, .high = 15}},
     .usage = "vote(2, c1, c2, c3, degrade=1)",
     .help = "n of the conditions are true; while at most `degrade` of them are unknown, so many fewer are needed, never less than one",
     .example = "vote(2, pt101 > 12bar, pt102 > 12bar, pt103 > 12bar, degrade=1)"},

    {OVER("avg", AVG, SAME, X, WINDOW),
     .usage = "avg(x, 5m)", .help = "mean of the samples", .example = "avg(power, 15m) > 2kW"},
    {OVER("min", MIN, SAME, X, WINDOW),
     .usage = "min(x, 5m)", .help = "the least", .example = "min(room_temp, 5m) > 8°C"},
    {OVER("max", MAX, SAME, X, WINDOW),
     .usage = "max(x, 5m)", .help = "the most", .example = "max(power, 1m) > 5kW"},
    {OVER("sum", SUM, SAME, X, WINDOW), .no_points = true,
     .usage = "sum(x, 1h)", .help = "sum of the samples", .example = "sum(rejects, 1h) > 20"},
    {OVER("count", COUNT, PLAIN, ANY, WINDOW),
     .usage = "count(x, 5m)", .help = "number of good samples", .example = "count(room_temp, 5m) < 3"},
    {OVER("span", SPAN, DIFFERENCE, X, WINDOW),
     .usage = "span(x, 30m)", .help = "the most minus the least", .example = "span(flow, 30m) < 2 * resolution(flow)"},
    {OVER("stddev", STDDEV, DIFFERENCE, X, WINDOW),
     .usage = "stddev(x, 10m)", .help = "standard deviation of the samples", .example = "stddev(room_temp, 10m) > 2K"},
    {OVER("rms", RMS, SAME, X, WINDOW), .no_points = true,
     .usage = "rms(x, 10s)", .help = "root of the mean square", .example = "rms(vib, 10s) > 4.5mm/s"},
    {OVER("median", MEDIAN, SAME, X, WINDOW),
     .usage = "median(x, 7d, step=1m)", .help = "the middle one", .example = "vib > 1.8 * median(vib, 7d, step=1m)"},
    {OVER("quantile", QUANTILE, SAME, X, {.name = "q", .kind = WR_ARGUMENT_RATIO}, WINDOW),
     .usage = "quantile(x, 95%, 1h)", .help = "the value below which that part of the samples lies", .example = "quantile(room_temp, 95%, 1h) > 8°C"},
    {OVER("slope", SLOPE, PER_SECOND, X, WINDOW),
     .usage = "slope(x, 2m)", .help = "how steep the straight line through the samples is", .example = "abs(slope(tank_level, 2m)) > 5%/min"},
    {OVER("rise", RISE, DIFFERENCE, X, WINDOW),
     .usage = "rise(x, 5m)", .help = "the last value minus the least of the window", .example = "rise(room_temp, 5m) > 1.5K"},
    {OVER("fall", FALL, DIFFERENCE, X, WINDOW),
     .usage = "fall(x, 5m)", .help = "the most of the window minus the last value", .example = "fall(tank_level, 10m) > 20%"},
    {OVER("first", FIRST, SAME, X, WINDOW),
     .usage = "first(x, 1h)", .help = "the oldest value", .example = "room_temp - first(room_temp, 1h) > 2K"},
    {OVER("integral", INTEGRAL, TIMES_TIME, X, WINDOW), .no_points = true,
     .usage = "integral(x, 1h)", .help = "the area below the samples", .example = "integral(power, 1h) > 50kWh"},
    {OVER("coverage", COVERAGE, RATIO, ANY, WINDOW),
     .usage = "coverage(x, 1h)", .help = "part of the window for which there are samples, by the period of the point", .example = "coverage(room_temp, 1h) < 90%"},
    {OVER("changes", CHANGES, PLAIN, ANY, WINDOW),
     .usage = "changes(x, 1h)", .help = "how often the value was another one than before", .example = "changes(pump_running, 1h) > 20"},

    {OVER("increase", INCREASE, DIFFERENCE, X, WINDOW),
     .usage = "increase(x, 1h)", .help = "of a counter: what was added, resets and wraps made up for", .example = "increase(energy, 1h) > 50kWh"},
    {OVER("rate", RATE, PER_SECOND, X, WINDOW),
     .usage = "rate(x, 10m)", .help = "the same by time", .example = "rate(energy, 10m) > 30kW"},
    {OVER("resets", RESETS, PLAIN, X, WINDOW),
     .usage = "resets(x, 1h)", .help = "how often a counter began again", .example = "resets(uptime, 1h) >= 3"},

    {SET("avg_of", AVG_OF, SAME),
     .usage = "avg_of(series)", .help = "mean of all series that the selector takes and the labels of `by` allow", .example = "avg_of(rack_temp) > 27°C"},
    {SET("max_of", MAX_OF, SAME),
     .usage = "max_of(series)", .help = "the most of them", .example = "max_of(rack_temp) > 32°C"},
    {SET("min_of", MIN_OF, SAME),
     .usage = "min_of(series)", .help = "the least of them", .example = "min_of(rack_temp) < 15°C"},
    {SET("spread_of", SPREAD_OF, DIFFERENCE),
     .usage = "spread_of(series)", .help = "the most minus the least of them", .example = "spread_of(rack_temp) > 8K"},
    {.name = "count_of", .id = WR_FUNCTION_COUNT_OF, .how = WR_HOW_SET, .answer = WR_ANSWER_PLAIN, .parameters = {{.name = "c", .kind = WR_ARGUMENT_ELEMENT}},
     .usage = "count_of(series > limit)", .help = "for how many of them the condition is true; of a bare series with a unit, how many are known; without one, how many are not 0",
     .example = "count_of(rack_temp > 30°C) >= 2"},

    {OVER("ewma", EWMA, SAME, X, DURATION("tau")),
     .usage = "ewma(x, 10m)", .help = "mean in which a sample's weight falls to 1/e within that time", .example = "ewma(power, 10m) > 3kW"},
    {OVER("baseline", BASELINE, SAME, X, DURATION("season"), {.name = "seasons", .kind = WR_ARGUMENT_COUNT, .optional = true, .low = 1, .high = 31},
          {.name = "step", .kind = WR_ARGUMENT_DURATION, .optional = true, .by_name = true, .low = 1e-3, .high = 366 * DAYS}),
     .usage = "baseline(x, 1d) or baseline(x, 7d, 4, step=1h)",
     .help = "what is usual at this time of the season: the median of the last seasons (7), by slots of 15 or 30 minutes, or of `step`",
     .example = "power > 2 * baseline(power, 1d)"},
    {OVER("cusum", CUSUM, PLAIN, X, DURATION("tau"), {.name = "k", .kind = WR_ARGUMENT_PLAIN, .optional = true, .low = 0, .high = 100}),
     .usage = "cusum(x, 1h) or cusum(x, 1h, 0.5)",
     .help = "small shifts that last: what lies more than k standard deviations off the usual level of the last tau, added up", .example = "cusum(room_temp, 6h) > 8"},
    {OVER("anomaly", ANOMALY, RATIO, X, {.name = "method", .kind = WR_ARGUMENT_WORD, .optional = true, .by_name = true, .words = methods},
          {.name = "warmup", .kind = WR_ARGUMENT_DURATION, .optional = true, .by_name = true, .low = 0, .high = 366 * DAYS}),
     .usage = "anomaly(x, method=novelty, warmup=3d)", .help = "how unusual the value is, 0 to 1; methods robust, relent, cusum, novelty and novelty16",
     .example = "hits(anomaly(current, method=robust, warmup=3d) > 0.99, 7, 10)"},
    {OVER("forecast", FORECAST, SAME, X, WINDOW, DURATION("ahead")),
     .usage = "forecast(x, 1h, 4h)", .help = "the straight line through the window, so far ahead of its newest sample", .example = "forecast(tank_level, 1h, 4h) > 95%"},
    {.name = "t2q", .id = WR_FUNCTION_T2Q, .how = WR_HOW_VECTOR, .answer = WR_ANSWER_RATIO, .many = true,
     .parameters = {X, {.name = "warmup", .kind = WR_ARGUMENT_COUNT, .optional = true, .by_name = true, .low = 4, .high = 1e6}},
     .usage = "t2q(a, b, c, warmup=500)", .help = "how unusual the values of 2 to 16 series are together, 0 to 1, after so many vectors to learn from",
     .example = "t2q(current, vib, flow, warmup=1000) > 0.99"},

    {.name = "abs", .id = WR_FUNCTION_ABS, .how = WR_HOW_VALUE, .answer = WR_ANSWER_SAME, .no_points = true, .parameters = {NUMBER("x")},
     .usage = "abs(x)", .help = "without its sign", .example = "abs(room_temp - air_temp) > 5K"},
    {.name = "if", .id = WR_FUNCTION_IF, .how = WR_HOW_VALUE, .answer = WR_ANSWER_SAME,
     .parameters = {{.name = "c", .kind = WR_ARGUMENT_TRUTH}, NUMBER("a"), NUMBER("b")},
     .usage = "if(c, a, b)", .help = "a while the condition is true, b while it is false", .example = "room_temp > if(door_open, 12°C, 8°C)"},
    {.name = "clamp", .id = WR_FUNCTION_CLAMP, .how = WR_HOW_VALUE, .answer = WR_ANSWER_SAME, .parameters = {NUMBER("x"), NUMBER("low"), NUMBER("high")},
     .usage = "clamp(x, low, high)", .help = "the value, but not below low and not above high", .example = "avg(power, 5m) > 2 * clamp(power, 1kW, 5kW)"},
    {.name = "round", .id = WR_FUNCTION_ROUND, .how = WR_HOW_VALUE, .answer = WR_ANSWER_SAME,
     .parameters = {NUMBER("x"), {.name = "step", .kind = WR_ARGUMENT_DIFFERENCE, .optional = true}},
     .usage = "round(x) or round(x, 0.5K)", .help = "to whole numbers of its unit, or of the step", .example = "round(room_temp, 0.5K) > 8°C"},
    {.name = "dewpoint", .id = WR_FUNCTION_DEWPOINT, .how = WR_HOW_VALUE, .answer = WR_ANSWER_CELSIUS, .parameters = {NUMBER("t"), NUMBER("rh")},
     .usage = "dewpoint(t, rh)", .help = "temperature at which the air's water condenses, from temperature and relative humidity",
     .example = "surface_temp - dewpoint(air_temp, humidity) < 2K"},
    {.name = "heat_index", .id = WR_FUNCTION_HEAT_INDEX, .how = WR_HOW_VALUE, .answer = WR_ANSWER_CELSIUS, .parameters = {NUMBER("t"), NUMBER("rh")},
     .usage = "heat_index(t, rh)", .help = "how hot it feels, from temperature and relative humidity", .example = "heat_index(air_temp, humidity) > 32°C"},
    {.name = NULL},
};
/* clang-format on */

#define N_FUNCTIONS (sizeof wr_functions / sizeof wr_functions[0] - 1)

const struct wr_function *wr_function_find(const char *name) {
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        if (strcmp(wr_functions[i].name, name) == 0)
            return &wr_functions[i];
    return NULL;
}

const char *wr_function_nearest(const char *name) {
    const char *names[N_FUNCTIONS];
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        names[i] = wr_functions[i].name;
    return wr_nearest_name(name, names, N_FUNCTIONS);
}
