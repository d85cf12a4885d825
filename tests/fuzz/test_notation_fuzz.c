/* Any text as samples of a test, in both notations: errors have their place, what is read stays within its limits and makes finite numbers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/testing/notation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool parse(const char *text, struct wr_arena *arena, struct wr_sample_run **ret_runs, uint32_t *ret_n,
                   struct wr_complaint *ret_complaint);

static void check(const char *text, parse *read) {
    struct wr_arena arena;
    struct wr_sample_run *runs = NULL;
    struct wr_complaint complaint;
    uint32_t n = 0;
    uint64_t samples = 0;
    wr_arena_init(&arena);
    if (!read(text, &arena, &runs, &n, &complaint)) {
        if (complaint.code != 360 || complaint.len == 0 || complaint.offset > strlen(text) || !complaint.text[0])
            abort();
    } else {
        if (n == 0 || n > WR_NOTATION_RUNS)
            abort();
        for (uint32_t i = 0; i < n; i++) {
            uint64_t random = 7;
            samples += runs[i].n;
            if (runs[i].kind == WR_SAMPLE_CSV)
                continue;
            for (uint32_t k = 0; k < runs[i].n && k < 100; k++) {
                const struct wr_sample sample = wr_notation_sample(&runs[i], k, &random);
                if ((sample.kind == WR_SAMPLE_TEXT && !sample.text) || runs[i].late_ns < 0)
                    abort();
            }
        }
        if (samples > WR_TEST_SAMPLES)
            abort();
    }
    wr_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check(text, wr_notation_parse);
    check(text, wr_notation_parse_prometheus);
    free(text);
    return 0;
}
