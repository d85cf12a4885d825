#include "rules/testing/notation.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quantity.h"

#define NUMBER_BYTES 64
#define TEXT_BYTES 1000

struct reader {
    const char *text;
    size_t at;
    struct wr_arena *arena;
    struct wr_complaint *complaint;
    uint64_t samples;
};

static bool refuse(struct reader *reader, size_t from, const char *hint, const char *format, ...) WR_PRINTF(4, 5);

/* From `from` to where the word ends. */
static bool refuse(struct reader *reader, size_t from, const char *hint, const char *format, ...) {
    struct wr_complaint *complaint = reader->complaint;
    size_t end = from;
    while (reader->text[end] && !isspace((unsigned char)reader->text[end]))
        end++;
    *complaint = (struct wr_complaint){.code = 360, .offset = (uint32_t)from, .len = (uint32_t)(end > from ? end - from : 1)};
    if (!reader->text[from] && from > 0)
        complaint->offset--;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text, sizeof complaint->text, format, arguments);
    va_end(arguments);
    snprintf(complaint->hint, sizeof complaint->hint, "%s", hint ? hint : "");
    return false;
}

static bool no_memory(struct reader *reader) {
    *reader->complaint = (struct wr_complaint){.code = 0};
    return false;
}

static bool take(struct reader *reader, const char *word) {
    size_t len = strlen(word);
    if (strncmp(reader->text + reader->at, word, len) != 0)
        return false;
    reader->at += len;
    return true;
}

static bool is_end(const struct reader *reader) {
    char c = reader->text[reader->at];
    return c == '\0' || isspace((unsigned char)c);
}

/* Digits with a point and an exponent, and nothing of what strtod takes besides. */
static bool read_number(struct reader *reader, double *ret_number, uint8_t *decimals) {
    const char *start = reader->text + reader->at;
    size_t n = *start == '-' || *start == '+' ? 1 : 0;
    size_t digits = 0;
    size_t behind = 0;
    for (; isdigit((unsigned char)start[n]); n++)
        digits++;
    if (start[n] == '.' && isdigit((unsigned char)start[n + 1]))
        for (n++; isdigit((unsigned char)start[n]); n++)
            behind++;
    if (digits + behind == 0)
        return refuse(reader, reader->at, NULL, "expected a number");
    bool exponent =
        (start[n] == 'e' || start[n] == 'E') && isdigit((unsigned char)start[n + 1 + (start[n + 1] == '-' || start[n + 1] == '+')]);
    if (exponent)
        for (n += 2; isdigit((unsigned char)start[n]); n++)
            ;
    char copy[NUMBER_BYTES];
    if (n >= sizeof copy)
        return refuse(reader, reader->at, NULL, "a number of more than %d characters", NUMBER_BYTES - 1);
    memcpy(copy, start, n);
    copy[n] = '\0';
    *ret_number = strtod(copy, NULL);
    if (!isfinite(*ret_number))
        return refuse(reader, reader->at, NULL, "a number that is too large");
    uint8_t written = exponent || behind > WR_DECIMALS_MAX ? WR_DECIMALS_UNKNOWN : (uint8_t)behind;
    if (*decimals < written)
        *decimals = written;
    reader->at += n;
    return true;
}

static bool read_count(struct reader *reader, const char *what, uint32_t *ret_n) {
    size_t start = reader->at;
    uint64_t n = 0;
    while (isdigit((unsigned char)reader->text[reader->at]) && n <= WR_TEST_SAMPLES)
        n = n * 10 + (uint64_t)(reader->text[reader->at++] - '0');
    if (reader->at == start || n == 0)
        return refuse(reader, start, "4.0*10 is ten samples, 4~9/6 six from 4 to 9", "expected how many %s, at least 1", what);
    if (n > WR_TEST_SAMPLES)
        return refuse(reader, start, NULL, "a test makes at most %d samples", WR_TEST_SAMPLES);
    *ret_n = (uint32_t)n;
    return true;
}

/* Up to one of the ends, which is left where it is. */
static const char *read_until(struct reader *reader, const char *ends) {
    const char *start = reader->text + reader->at;
    size_t len = strcspn(start, ends);
    if (!start[len] || len > TEXT_BYTES)
        return NULL;
    reader->at += len;
    size_t first = 0;
    size_t last = len;
    while (first < last && start[first] == ' ')
        first++;
    while (last > first && start[last - 1] == ' ')
        last--;
    return wr_arena_text(reader->arena, start + first, last - first);
}

static bool read_late(struct reader *reader, struct wr_sample_run *run) {
    size_t start = reader->at;
    struct wr_error err;
    const char *duration = read_until(reader, ")");
    if (reader->arena->failed)
        return no_memory(reader);
    if (!duration || !take(reader, "):"))
        return refuse(reader, start, NULL, "expected @late(5m):value");
    if (wr_quantity_duration(duration, &run->late_ns, &err) != WR_OK)
        return refuse(reader, start, NULL, "%s", err.text);
    return true;
}

static bool read_quoted(struct reader *reader, struct wr_sample_run *run) {
    size_t start = reader->at;
    const char quote[2] = {reader->text[reader->at++], '\0'};
    const char *from = reader->text + reader->at;
    size_t len = strcspn(from, quote);
    if (!from[len])
        return refuse(reader, start, NULL, "the closing quote is missing");
    if (len > TEXT_BYTES)
        return refuse(reader, start, NULL, "a text of more than %d bytes", TEXT_BYTES);
    reader->at += len + 1;
    run->kind = WR_SAMPLE_TEXT;
    run->text = wr_arena_text(reader->arena, from, len);
    return run->text || no_memory(reader);
}

static bool read_csv(struct reader *reader, struct wr_sample_run *run) {
    size_t start = reader->at;
    run->kind = WR_SAMPLE_CSV;
    run->n = 0;
    run->text = read_until(reader, ",)");
    if (run->text && take(reader, ","))
        run->column = read_until(reader, ")");
    if (reader->arena->failed)
        return no_memory(reader);
    const bool named = run->text && run->column && run->text[0] && run->column[0];
    if (!named || !take(reader, ")"))
        return refuse(reader, start, NULL, "expected csv(file.csv, column)");
    return true;
}

static bool read_bad(struct reader *reader, struct wr_sample_run *run) {
    run->kind = WR_SAMPLE_BAD;
    if (!read_number(reader, &run->from, &run->decimals))
        return false;
    run->to = run->from;
    return take(reader, ")") || refuse(reader, reader->at, NULL, "expected ) behind bad(number");
}

/* a, a~b/n, and noise behind either. */
static bool read_numbers(struct reader *reader, struct wr_sample_run *run) {
    run->kind = WR_SAMPLE_NUMBER;
    if (!read_number(reader, &run->from, &run->decimals))
        return false;
    run->to = run->from;
    if (take(reader, "~")) {
        if (!read_number(reader, &run->to, &run->decimals))
            return false;
        if (!take(reader, "/"))
            return refuse(reader, reader->at, "4~9/6 is six samples from 4 to 9", "expected / and how many samples");
        if (!read_count(reader, "samples", &run->n))
            return false;
        run->decimals = WR_DECIMALS_UNKNOWN; /* what lies between has more digits than its ends */
    }
    if (take(reader, "+-") || take(reader, "\xC2\xB1")) {
        size_t start = reader->at;
        uint8_t decimals = run->decimals;
        if (!read_number(reader, &run->noise, &decimals))
            return false;
        if (run->noise < 0)
            return refuse(reader, start, NULL, "noise is not negative");
        run->decimals = decimals;
    }
    return true;
}

static bool read_value(struct reader *reader, struct wr_sample_run *run) {
    if (take(reader, "csv("))
        return read_csv(reader, run);
    if (take(reader, "bad("))
        return read_bad(reader, run);
    char c = reader->text[reader->at];
    if (c == '"' || c == '\'')
        return read_quoted(reader, run);
    static const struct {
        const char *word;
        enum wr_sample_kind kind;
        bool truth;
    } words[] = {
        {"_", WR_SAMPLE_MISSING, false},
        {"nan", WR_SAMPLE_NAN, false},
        {"true", WR_SAMPLE_TRUTH, true},
        {"false", WR_SAMPLE_TRUTH, false},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (take(reader, words[i].word)) {
            run->kind = words[i].kind;
            run->truth = words[i].truth;
            return true;
        }
    if (!isdigit((unsigned char)c) && !strchr("+-.", c))
        return refuse(reader, reader->at, "texts stand in quotes: 'open'*3",
                      "expected a number, true, false, _, nan, bad(..), csv(..) or a text");
    return read_numbers(reader, run);
}

static bool read_run(struct reader *reader, struct wr_sample_run *run) {
    run->n = 1;
    run->offset = (uint32_t)reader->at;
    if (take(reader, "@late(") && !read_late(reader, run))
        return false;
    if (!read_value(reader, run))
        return false;
    if (run->late_ns > 0 && (run->kind == WR_SAMPLE_CSV || run->kind == WR_SAMPLE_MISSING))
        return refuse(reader, run->offset, run->kind == WR_SAMPLE_CSV ? "an older time in its time column comes late" : NULL,
                      "@late goes with a value, not with %s", run->kind == WR_SAMPLE_CSV ? "a file" : "what is missing");
    uint32_t times = 1;
    size_t star = reader->at;
    if (take(reader, "*")) {
        if (!read_count(reader, "times", &times))
            return false;
        if (run->kind == WR_SAMPLE_CSV || run->from != run->to || run->n > 1)
            return refuse(reader, star, NULL, "a ramp or a file is not repeated with *");
        run->n = times;
    }
    if (!is_end(reader))
        return refuse(reader, reader->at, "words stand apart: 4.0*10 9.0*14", "unexpected '%c'", reader->text[reader->at]);
    run->len = (uint32_t)(reader->at - run->offset);
    return true;
}

static void skip_space(struct reader *reader) {
    while (isspace((unsigned char)reader->text[reader->at]))
        reader->at++;
}

/* All words of a text by one reader of words. */
static bool parse(const char *text, struct wr_arena *arena, bool (*read)(struct reader *, struct wr_sample_run *),
                  struct wr_sample_run **ret_runs, uint32_t *ret_n, struct wr_complaint *ret_complaint) {
    struct reader reader = {.text = text, .arena = arena, .complaint = ret_complaint};
    size_t words = 1;
    for (size_t i = 0; text[i]; i++)
        words += isspace((unsigned char)text[i]) != 0;
    if (words > WR_NOTATION_RUNS)
        return refuse(&reader, 0, NULL, "more than %d words: v*n stands for n samples", WR_NOTATION_RUNS);
    struct wr_sample_run *runs = wr_arena_take(arena, words * sizeof *runs);
    if (!runs)
        return no_memory(&reader);
    uint32_t n = 0;
    for (skip_space(&reader); text[reader.at]; skip_space(&reader)) {
        if (!read(&reader, &runs[n]))
            return false;
        reader.samples += runs[n].n;
        if (reader.samples > WR_TEST_SAMPLES)
            return refuse(&reader, runs[n].offset, NULL, "a test makes at most %d samples", WR_TEST_SAMPLES);
        n++;
    }
    if (n == 0)
        return refuse(&reader, 0, "as in 4.0*10 9.0*14", "no values");
    *ret_runs = runs;
    *ret_n = n;
    return true;
}

bool wr_notation_parse(const char *text, struct wr_arena *arena, struct wr_sample_run **ret_runs, uint32_t *ret_n,
                       struct wr_complaint *ret_complaint) {
    return parse(text, arena, read_run, ret_runs, ret_n, ret_complaint);
}

/* a+bxn: n + 1 numbers that grow by b; axn: the same with b = 0; _ and _xn; stale. */
static bool read_prometheus_run(struct reader *reader, struct wr_sample_run *run) {
    run->n = 1;
    run->offset = (uint32_t)reader->at;
    double step = 0;
    if (take(reader, "_") || take(reader, "stale")) {
        run->kind = WR_SAMPLE_MISSING;
    } else if (take(reader, "NaN")) {
        run->kind = WR_SAMPLE_NAN;
    } else {
        run->kind = WR_SAMPLE_NUMBER;
        if (reader->text[reader->at] == '{')
            return refuse(reader, reader->at, NULL, "native histograms have no counterpart here");
        if (!read_number(reader, &run->from, &run->decimals))
            return false;
        char sign = reader->text[reader->at];
        if ((sign == '+' || sign == '-') && !read_number(reader, &step, &run->decimals))
            return false;
        if ((sign == '+' || sign == '-') && reader->text[reader->at] != 'x')
            return refuse(reader, run->offset, "as in 0+10x5", "expected x and how many more");
    }
    run->to = run->from;
    if (take(reader, "x")) {
        uint32_t more = 0;
        const size_t start = reader->at;
        if (!take(reader, "0") || !is_end(reader)) {
            reader->at = start;
            if (!read_count(reader, "more", &more))
                return false;
        }
        /* Of numbers n more come behind the first; of _ n in all. */
        run->n = run->kind == WR_SAMPLE_MISSING ? (more > 0 ? more : 1) : more + 1;
        run->to = run->from + step * more;
    }
    if (!is_end(reader))
        return refuse(reader, reader->at, "as in 0+10x5 _x2 stale", "unexpected '%c'", reader->text[reader->at]);
    run->len = (uint32_t)(reader->at - run->offset);
    return true;
}

bool wr_notation_parse_prometheus(const char *text, struct wr_arena *arena, struct wr_sample_run **ret_runs, uint32_t *ret_n,
                                  struct wr_complaint *ret_complaint) {
    return parse(text, arena, read_prometheus_run, ret_runs, ret_n, ret_complaint);
}

/* -- samples -------------------------------------------------------------------------------------------------------------------------- */

/* SplitMix64 (S. Vigna): -1 to 1. */
static double next_noise(uint64_t *random) {
    uint64_t z = (*random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1;
}

struct wr_sample wr_notation_sample(const struct wr_sample_run *run, uint32_t i, uint64_t *random) {
    struct wr_sample sample = {.kind = run->kind, .number = run->from, .decimals = run->decimals, .truth = run->truth, .text = run->text};
    if (run->kind != WR_SAMPLE_NUMBER)
        return sample;
    if (run->n > 1 && i + 1 == run->n)
        sample.number = run->to;
    else if (run->n > 1)
        sample.number = run->from + (run->to - run->from) * (double)i / (double)(run->n - 1);
    if (run->noise > 0) {
        sample.number += run->noise * next_noise(random);
        if (run->decimals <= WR_DECIMALS_MAX) {
            double power = pow(10, run->decimals);
            sample.number = round(sample.number * power) / power;
        }
    }
    return sample;
}
