/* Mutants: small changes of a rule file, each of which a good test notices.
 *
 * In expressions each comparison is turned round and moved over its boundary (> becomes <= and >=), and/or, + -, * /, in/outside are swapped, `not` is left
 * out, a condition without any of these is negated; limits are moved by 10 % (small counts by 1), windows halved and doubled. Delays and deadbands are
 * halved, doubled and set to 0; severity, latch, no_data and the like take another value; the times of schedules move by an hour.
 *
 * Promise: a mutant is a change of the file's text at a known place, and nothing but this text differs. Threads: none; pure.
 * Ownership: the list lives in the arena. Limits: WR_MUTANTS of one file.
 */
#ifndef WEIR_RULES_TESTING_MUTANTS_H
#define WEIR_RULES_TESTING_MUTANTS_H

#include "rules/language/arena.h"
#include "rules/yaml/yaml.h"

#define WR_MUTANTS 20000

struct wr_mutant {
    const char *rule; /* of a rule: its name; NULL: of what all rules share */
    bool fallback;    /* in `defaults`: rules may overrule it */
    size_t at;        /* bytes in the text */
    size_t len;
    const char *with;
    struct wr_position place;
};

struct wr_mutants {
    struct wr_mutant *list;
    uint32_t n;
};

/* Of a file that loads without an error. WR_NO_MEMORY; WR_LIMIT. */
WR_MUST_USE enum wr_result wr_mutants_find(const struct wr_yaml *yaml, struct wr_arena *arena, struct wr_mutants *ret_mutants,
                                           struct wr_error *err);

#endif
