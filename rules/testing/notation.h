/* The notation of samples in tests: `4.0*10 9.0*14 _*2 6.9~4.0/10 bad(85) @late(5m):9.0`.
 *
 *   8.5  true  "open"    one sample             v*n           n of them, of any word
 *   a~b/n                n from a to b          v+-s, v±s     noise: at most s more or less, in steps of the last digit written
 *   _                    nothing comes          nan           a value that is no number
 *   bad(v)               marked as bad          @late(d):v    stamped d before it arrives
 *   csv(file, column)    a column of a file
 *
 * Promise: one error a text, with its place. Threads: none; pure. Ownership: runs live in the arena.
 * Limits: WR_NOTATION_RUNS words, WR_TEST_SAMPLES samples.
 */
#ifndef WEIR_RULES_TESTING_NOTATION_H
#define WEIR_RULES_TESTING_NOTATION_H

#include "core/reading.h"
#include "rules/language/arena.h"
#include "rules/language/parser.h"
#include "rules/testing/scenario.h"

#define WR_NOTATION_RUNS 10000

/* False: *ret_complaint tells what is wrong and where; its code 0: no memory. */
bool wr_notation_parse(const char *text, struct wr_arena *arena, struct wr_sample_run **ret_runs, uint32_t *ret_n,
                       struct wr_complaint *ret_complaint);

/* The same for the notation of promtool: `1+1x5 0x3 _x2 stale`. */
bool wr_notation_parse_prometheus(const char *text, struct wr_arena *arena, struct wr_sample_run **ret_runs, uint32_t *ret_n,
                                  struct wr_complaint *ret_complaint);

/* One sample of a run. */
struct wr_sample {
    enum wr_sample_kind kind; /* never WR_SAMPLE_CSV */
    double number;
    uint8_t decimals;
    bool truth;
    const char *text;
};
/* The i-th of a run that is no CSV; random drives the noise and moves on. */
struct wr_sample wr_notation_sample(const struct wr_sample_run *run, uint32_t i, uint64_t *random);

#endif
