/* What two rule sets made of one recording: alarm by alarm the episodes of both, those of one alone, and how much earlier or later the new one was.
 *
 * An episode of one set and one of the other belong together when they overlap; each belongs to one at most, in the order of time. Alarms are the same by rule and
 * labels.
 * Threads: one. Ownership: reads two tallies that kept their episodes and are closed. Units: ns.
 */
#ifndef WEIR_AGENT_REPLAY_COMPARE_H
#define WEIR_AGENT_REPLAY_COMPARE_H

#include "agent/replay/tally.h"

struct wr_compare_sum {
    uint64_t both;
    uint64_t only_new;
    uint64_t only_old;
    uint64_t moved;        /* of both: with another start */
    int64_t shift_ns;      /* sum over both of new minus old: below zero is earlier */
    int64_t shift_most_ns; /* the largest of them, with its sign */
};

/* Each episode that one alone has, and each that both have at another time; old or new NULL: it has none. */
typedef void wr_compare_tell(void *user, const struct wr_tally_alarm *alarm, const struct wr_tally_episode *new_one,
                             const struct wr_tally_episode *old_one);

/* All alarms of one rule. tell may be NULL. */
struct wr_compare_sum wr_compare_rule(const struct wr_tally *new_tally, const struct wr_tally *old_tally, const char *rule,
                                      wr_compare_tell *tell, void *user);

#endif
