/* The notation of samples in tests: what each word means, and where an error is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/testing/instant.h"
#include "rules/testing/notation.h"
#include "tests/support/failing.h"

typedef bool parse(const char *text, struct wr_arena *arena, struct wr_sample_run **ret_runs, uint32_t *ret_n,
                   struct wr_complaint *ret_complaint);

/* Every sample of a text as words: "4 4 _ true 'open' nan bad:85 late5:9". */
static const char *read_by(parse *read, const char *text) {
    static char words[4096];
    struct wr_arena arena;
    struct wr_sample_run *runs = NULL;
    struct wr_complaint complaint;
    uint32_t n = 0;
    uint64_t random = 1;
    size_t at = 0;
    wr_arena_init(&arena);
    words[0] = '\0';
    if (!read(text, &arena, &runs, &n, &complaint)) {
        snprintf(words, sizeof words, "%u+%u %s%s%s", complaint.offset, complaint.len, complaint.text, complaint.hint[0] ? " | " : "",
                 complaint.hint);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (runs[i].kind == WR_SAMPLE_CSV)
            at += (size_t)snprintf(words + at, sizeof words - at, "csv:%s:%s ", runs[i].text, runs[i].column);
        for (uint32_t k = 0; k < runs[i].n; k++) {
            const struct wr_sample sample = wr_notation_sample(&runs[i], k, &random);
            char late[32] = "";
            if (runs[i].late_ns > 0)
                snprintf(late, sizeof late, "late%g:", (double)runs[i].late_ns / 1e9);
            switch (sample.kind) {
            case WR_SAMPLE_MISSING:
                at += (size_t)snprintf(words + at, sizeof words - at, "%s_ ", late);
                break;
            case WR_SAMPLE_NUMBER:
                at += (size_t)snprintf(words + at, sizeof words - at, "%s%.10g ", late, sample.number);
                break;
            case WR_SAMPLE_TRUTH:
                at += (size_t)snprintf(words + at, sizeof words - at, "%s%s ", late, sample.truth ? "true" : "false");
                break;
            case WR_SAMPLE_TEXT:
                at += (size_t)snprintf(words + at, sizeof words - at, "%s'%s' ", late, sample.text);
                break;
            case WR_SAMPLE_NAN:
                at += (size_t)snprintf(words + at, sizeof words - at, "%snan ", late);
                break;
            case WR_SAMPLE_BAD:
                at += (size_t)snprintf(words + at, sizeof words - at, "%sbad:%g ", late, sample.number);
                break;
            case WR_SAMPLE_CSV:
                break;
            }
        }
    }
    if (at > 0)
        words[at - 1] = '\0';
    wr_arena_fini(&arena);
    return words;
}

#define READS(text, words) assert_string_equal(read_by(wr_notation_parse, text), words)
#define READS_PROMETHEUS(text, words) assert_string_equal(read_by(wr_notation_parse_prometheus, text), words)

static void words(void **state) {
    (void)state;
    READS("4.0", "4");
    READS("  -4.5e1   +3\t.5\n", "-45 3 0.5");
    READS("4.0*3 9*2", "4 4 4 9 9");
    READS("4~9/6", "4 5 6 7 8 9");
    READS("9~4/3", "9 6.5 4");
    READS("1~2/1", "1");
    READS("_ _*2 7", "_ _ _ 7");
    READS("nan*2 bad(85) bad(-1.5)*2", "nan nan bad:85 bad:-1.5 bad:-1.5");
    READS("true false*2", "true false false");
    READS("'open'*2 \"half shut\"", "'open' 'open' 'half shut'");
    READS("''", "''");
    READS("@late(5m):9.0*2 @late(1h30m):'x'", "late300:9 late300:9 late5400:'x'");
    READS("csv(a/b.csv, room temp) 3", "csv:a/b.csv:room temp 3");
}

static void errors(void **state) {
    (void)state;
    READS("", "0+1 no values | as in 4.0*10 9.0*14");
    READS("   ", "0+1 no values | as in 4.0*10 9.0*14");
    READS("4.0 9.0x 1", "7+1 unexpected 'x' | words stand apart: 4.0*10 9.0*14");
    READS("4.0*", "3+1 expected how many times, at least 1 | 4.0*10 is ten samples, 4~9/6 six from 4 to 9");
    READS("4.0*0", "4+1 expected how many times, at least 1 | 4.0*10 is ten samples, 4~9/6 six from 4 to 9");
    READS("4~9", "2+1 expected / and how many samples | 4~9/6 is six samples from 4 to 9");
    READS("4~9/3*2", "5+2 a ramp or a file is not repeated with *");
    READS("csv(a.csv, b)*2", "13+2 a ramp or a file is not repeated with *");
    READS("open", "0+4 expected a number, true, false, _, nan, bad(..), csv(..) or a text | texts stand in quotes: 'open'*3");
    READS("1 'open", "2+5 the closing quote is missing");
    READS("bad(85", "5+1 expected ) behind bad(number");
    READS("csv(a.csv)", "4+6 expected csv(file.csv, column)");
    READS("csv(, b)", "4+1 expected csv(file.csv, column)");
    READS("@late(5m)9", "6+4 expected @late(5m):value");
    READS("@late(5):9", "6+4 '5' has no unit: write 5s, 5m or 5h");
    READS("1e999", "0+5 a number that is too large");
    READS("4+--1", "3+2 noise is not negative");
    READS("1*5000001", "2+7 a test makes at most 5000000 samples");
    READS("1*5000000 1", "10+1 a test makes at most 5000000 samples");
    READS("1*99999999999999999999999", "2+23 a test makes at most 5000000 samples");
    READS("-", "0+1 expected a number");
    READS("@late(5m):", "9+1 expected a number");
    READS("@late(5m", "6+2 expected @late(5m):value");
    READS("4~x/3", "2+3 expected a number");
    READS("4~9/x", "4+1 expected how many samples, at least 1 | 4.0*10 is ten samples, 4~9/6 six from 4 to 9");
    READS("4+-x", "3+1 expected a number");
    READS("bad(x)", "4+2 expected a number");
    READS("csv(a.csv, )", "4+6 expected csv(file.csv, column)");
    READS("csv(a.csv, b", "4+6 expected csv(file.csv, column)");
    READS("csv(a.csv", "4+5 expected csv(file.csv, column)");
    READS("'a'*x", "4+1 expected how many times, at least 1 | 4.0*10 is ten samples, 4~9/6 six from 4 to 9");
}

/* What is written with a digit at its end reads on as far as it is a number, and no further. */
static void numbers(void **state) {
    (void)state;
    READS("1e3 1E+3 1e-3 1.5e2", "1000 1000 0.001 150");
    READS("1e", "1+1 unexpected 'e' | words stand apart: 4.0*10 9.0*14");
    READS("1E+x", "1+3 unexpected 'E' | words stand apart: 4.0*10 9.0*14");
    READS("1.", "1+1 unexpected '.' | words stand apart: 4.0*10 9.0*14");
    READS("1.00000000000000000001", "1"); /* more digits than are kept */
    READS("1000000000000000000000000000000000000000000000000000000000000000000000", "0+70 a number of more than 63 characters");
    READS_PROMETHEUS("1+x", "1+2 expected a number");
    READS_PROMETHEUS("1-2y", "0+4 expected x and how many more | as in 0+10x5");
    READS_PROMETHEUS("x5", "0+2 expected a number");
    READS_PROMETHEUS("1x05", "1 1 1 1 1 1");
    READS_PROMETHEUS("1x2y", "3+1 unexpected 'y' | as in 0+10x5 _x2 stale");
    READS_PROMETHEUS("_x0 1", "_ 1");
}

/* Longer than what is kept of a word, and more words than are taken. */
static void too_long(void **state) {
    (void)state;
    static char text[21000];
    memset(text, 'a', 1100);
    text[0] = '\'';
    snprintf(text + 1100, 10, "'");
    READS(text, "0+1101 a text of more than 1000 bytes");
    memcpy(text, "csv(", 4);
    snprintf(text + 1100, 10, ", b)");
    assert_non_null(strstr(read_by(wr_notation_parse, text), "expected csv(file.csv, column)"));
    for (size_t i = 0; i < 10001; i++)
        memcpy(text + 2 * i, "1 ", 3);
    READS(text, "0+1 more than 10000 words: v*n stands for n samples");
    READS("csv( a b.csv ,  c d  )", "csv:a b.csv:c d"); /* blanks at the ends are none of the name */
}

static void prometheus(void **state) {
    (void)state;
    READS_PROMETHEUS("1+1x5", "1 2 3 4 5 6");
    READS_PROMETHEUS("-2+4x3", "-2 2 6 10");
    READS_PROMETHEUS("1-2x4", "1 -1 -3 -5 -7");
    READS_PROMETHEUS("1x4 7", "1 1 1 1 1 7");
    READS_PROMETHEUS("0x0", "0");
    READS_PROMETHEUS("1 _x3 stale NaN", "1 _ _ _ _ nan");
    READS_PROMETHEUS("_", "_");
    READS_PROMETHEUS("1+1", "0+3 expected x and how many more | as in 0+10x5");
    READS_PROMETHEUS("{{schema:1}}", "0+12 native histograms have no counterpart here");
    READS_PROMETHEUS("1x", "1+1 expected how many more, at least 1 | 4.0*10 is ten samples, 4~9/6 six from 4 to 9");
}

/* Noise stays within its bounds, in steps of the last digit, uses them all, and is the same again for the same seed. */
static void noise(void **state) {
    (void)state;
    struct wr_arena arena;
    struct wr_sample_run *runs;
    struct wr_complaint complaint;
    uint32_t n;
    wr_arena_init(&arena);
    assert_true(wr_notation_parse("4.0\xC2\xB1"
                                  "0.3*10000 4~9/6+-0.5",
                                  &arena, &runs, &n, &complaint));
    assert_int_equal(n, 2);
    unsigned seen[7] = {0};
    uint64_t random = 1;
    uint64_t again = 1;
    for (uint32_t i = 0; i < runs[0].n; i++) {
        const struct wr_sample sample = wr_notation_sample(&runs[0], i, &random);
        assert_true(sample.number == wr_notation_sample(&runs[0], i, &again).number);
        int step = (int)lround((sample.number - 4) * 10) + 3;
        assert_in_range(step, 0, 6);
        assert_true(sample.number == round(sample.number * 10) / 10);
        seen[step]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], i == 0 || i == 6 ? 600 : 1400, i == 0 || i == 6 ? 1100 : 1950);
    for (uint32_t i = 0; i < runs[1].n; i++)
        assert_true(fabs(wr_notation_sample(&runs[1], i, &random).number - 4 - i) <= 0.5);
    wr_arena_fini(&arena);
}

static void no_memory(void **state) {
    (void)state;
    long n = 0;
    for (;; n++) {
        struct wr_arena arena;
        struct wr_sample_run *runs;
        struct wr_complaint complaint = {.code = 1};
        uint32_t count;
        wr_arena_init(&arena);
        wr_failing_allocations(n);
        bool good = wr_notation_parse("'open'*3 csv(a.csv, b) @late(1s):4", &arena, &runs, &count, &complaint);
        bool hit = wr_failing_hit();
        wr_failing_off();
        wr_arena_fini(&arena);
        assert_true(hit ? !good && complaint.code == 0 : good);
        if (!hit)
            break;
    }
    assert_true(n >= 1);
    /* In an arena that is nearly full each piece meets the end in its turn. */
    for (size_t room = 0; room < 1024; room += 16) {
        struct wr_arena arena;
        struct wr_sample_run *runs;
        struct wr_complaint complaint = {.code = 1};
        uint32_t count;
        wr_arena_init(&arena);
        assert_non_null(wr_arena_take(&arena, 16384 - room));
        wr_failing_allocations(0);
        bool good = wr_notation_parse("'open'*3 csv(a.csv, b) @late(1s):4", &arena, &runs, &count, &complaint);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(hit ? !good && complaint.code == 0 : good);
        wr_arena_fini(&arena);
    }
}

static void instants(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: none */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-03-02T08:00:00Z", INT64_C(1772438400000000000)},
        {"2026-03-02T10:00:00+02:00", INT64_C(1772438400000000000)},
        {"2026-03-02T02:30:00-05:30", INT64_C(1772438400000000000)},
        {"2026-03-02 08:00:00", INT64_C(1772438400000000000)},
        {"2026-03-02T08:00", INT64_C(1772438400000000000)},
        {"2026-03-02", INT64_C(1772409600000000000)},
        {"2026-03-02T08:00:00.25z", INT64_C(1772438400250000000)},
        {"2026-02-29", -1},
        {"2026-13-01", -1},
        {"2026-03-02T24:00:00Z", -1},
        {"2026-03-02T08:00:00+2:00", -1},
        {"2026-03-02T08:00:00Zx", -1},
        {"2026-03-02x", -1},
        {"26-03-02", -1},
        {"2026", -1},
        {"2026-03", -1},
        {"2026-03-", -1},
        {"2026-00-02", -1},
        {"2026-03-32", -1},
        {"2026-03-02T", -1},
        {"2026-03-02T08", -1},
        {"2026-03-02T08:60Z", -1},
        {"2026-03-02T08:00:60Z", -1},
        {"2026-03-02T08:00+02", -1},
        {"2026-03-02T08:00+0200", -1},
        {"2026-03-02T08:00+24:00", -1},
        {"2026-03-02T08:00+02:60", -1},
        {"2026-03-02T08:00x02:00", -1},
        {"2026-03-02T08:00:00.123456789123", INT64_C(1772438400123456789)}, /* nine digits count */
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = -1;
        struct wr_error err;
        enum wr_result result = wr_instant_parse(cases[i].text, strlen(cases[i].text), &ns, &err);
        assert_int_equal(result, cases[i].ns < 0 ? WR_INVALID : WR_OK);
        assert_true(ns == cases[i].ns);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),     cmocka_unit_test(errors),   cmocka_unit_test(prometheus), cmocka_unit_test(noise),
        cmocka_unit_test(no_memory), cmocka_unit_test(instants), cmocka_unit_test(numbers),    cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
