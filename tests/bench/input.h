/* The bench's input, frozen with the floor: series take turns; when each has had a reading, event time moves on by one second. So a series
 * has 60 readings a window of one minute. Lines have 52.8 bytes on average: values with two decimals between 7.75 and 18.99, one in five
 * below ten, different for each series, smooth, the same in each run. */
#ifndef WEIR_TESTS_BENCH_INPUT_H
#define WEIR_TESTS_BENCH_INPUT_H

#include <stdint.h>
#include <string.h>

#define INPUT_LINE_MAX 96
#define INPUT_WINDOW_NS INT64_C(60000000000)
#define INPUT_ROUND_NS INT64_C(1000000000)
#define INPUT_NO_TIME INT64_MIN

static inline char *input_number(char *at, uint64_t number, unsigned digits) {
    for (unsigned i = digits; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + digits;
}

static inline char *input_text(char *at, const char *text) {
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

/* Line i of a run with so many series; returns its end. */
static inline char *input_line(char *at, const char *measurement, uint64_t i, uint64_t series, int64_t time_ns) {
    uint64_t s = i % series, round = i / series;
    uint64_t hundredths = 775 + (s * 7919 + round * 13 + round * round % 17) % 1125;
    at = input_text(at, measurement);
    at = input_text(at, ",sensor=sn");
    at = input_number(at, s, 5);
    at = input_text(at, " value=");
    at = input_number(at, hundredths / 100, hundredths < 1000 ? 1 : 2);
    *at++ = '.';
    at = input_number(at, hundredths % 100, 2);
    if (time_ns != INPUT_NO_TIME) {
        *at++ = ' ';
        at = input_number(at, (uint64_t)time_ns, 19);
    }
    *at++ = '\n';
    return at;
}

/* The same as a JSON record of two fields, 62.7 bytes on average: `{"ts":1700000000.001,"sensor":"s0042","temp":12.31,"hum":61.2}`. */
static inline char *input_json(char *at, uint64_t i, uint64_t series, int64_t time_ns) {
    uint64_t s = i % series, round = i / series;
    uint64_t hundredths = 775 + (s * 7919 + round * 13 + round * round % 17) % 1125;
    at = input_text(at, "{\"ts\":");
    at = input_number(at, (uint64_t)time_ns / 1000000000, 10);
    *at++ = '.';
    at = input_number(at, (uint64_t)time_ns / 1000000 % 1000, 3);
    at = input_text(at, ",\"sensor\":\"s");
    at = input_number(at, s, 4);
    at = input_text(at, "\",\"temp\":");
    at = input_number(at, hundredths / 100, hundredths < 1000 ? 1 : 2);
    *at++ = '.';
    at = input_number(at, hundredths % 100, 2);
    at = input_text(at, ",\"hum\":");
    at = input_number(at, 400 + (s * 31 + round * 7) % 500, 3);
    at[0] = at[-1];
    at[-1] = '.';
    at++;
    return input_text(at, "}\n");
}

/* Event time of line i. start_ns is a whole minute. */
static inline int64_t input_time_ns(int64_t start_ns, uint64_t i, uint64_t series) {
    return start_ns + (int64_t)(i / series) * INPUT_ROUND_NS + (int64_t)(i % series);
}

/* A whole minute so far back that all lines lie in the past, and so does the end of their last window. */
static inline int64_t input_start_ns(int64_t wall_ns, uint64_t lines, uint64_t series) {
    int64_t windows = (int64_t)(lines / series) / 60 + 2;
    return (wall_ns / INPUT_WINDOW_NS - windows) * INPUT_WINDOW_NS;
}

#endif
