/* A budget of bytes for a calendar month or a day: what is spent of it, what is left, and how sparing one has to be.
 *
 * Promise: the level compares what is left with what an even use would have left by now. Less than a half of that: what is least urgent waits; less than a quarter: the rest
 * slows down; less than a twentieth, or nothing: it waits too, so that what is urgent finds something. Each level ends only a step above where it begins. Nobody is kept
 * from spending: what has to go goes, and is counted.
 *   G1  what was spent since a period began is counted in it; a roll-over forgets what was spent before, and nothing else
 *   G2  a period ends by the wall clock only while that is trusted; where it is not, once it has been counted for 31 days (a day) of running time. What was spent while it was
 *       not, by the process that then learns of a new period, is counted in the new one
 *   G3  a wall clock that turns out to be before the period (it was wrong) forgets nothing: the period is another one, its count stays
 *   G4  the level is monotone in what is spent, and 0 where there is no limit
 *
 * Months and days are of UTC. A period that has begun ends as it was when it began, also where `from_day` changes meanwhile.
 *
 * Threads: one at a time; pure: time is an argument. Units: bytes; CLOCK_BOOTTIME and wall ns as in core/clock.h.
 */
#ifndef WEIR_CORE_BUDGET_H
#define WEIR_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

#define WR_BUDGET_LOOK_NS (15 * WR_NS_PER_S)
#define WR_BUDGET_FROM_DAY_MAX 28 /* every month has it */

enum wr_budget_period {
    WR_BUDGET_MONTH,
    WR_BUDGET_DAY,
    WR_BUDGET_PERIODS,
};

enum wr_budget_level {
    WR_BUDGET_FREE,
    WR_BUDGET_SPARING, /* what is least urgent waits */
    WR_BUDGET_SLOW,    /* ... and the rest goes at an even rate */
    WR_BUDGET_SPENT,   /* ... and waits */
    WR_BUDGET_LEVELS,
};

/* What outlives the process. All zero: nothing is known. */
struct wr_budget_count {
    uint64_t spent;
    int64_t begins_wall_ns; /* with ends_wall_ns 0: the period is not known, the wall clock was never trusted in it */
    int64_t ends_wall_ns;
    int64_t counted_ns; /* running time in it */
};

struct wr_budget {
    uint8_t period; /* enum wr_budget_period */
    uint8_t level;  /* enum wr_budget_level, as of the last look */
    uint8_t from_day;
    bool trusted;       /* as of the last look */
    bool looked;        /* there was one */
    uint64_t limit;     /* 0: none; it is counted all the same */
    uint64_t untrusted; /* of count.spent: since the wall clock was last trusted */
    int64_t looked_boot_ns;
    int64_t looked_wall_ns;
    struct wr_budget_count count;
};

/* Nothing is spent. from_day: 1 .. WR_BUDGET_FROM_DAY_MAX, the day on which months begin. */
void wr_budget_init(struct wr_budget *budget, enum wr_budget_period period, uint64_t limit, unsigned from_day);
/* Adds what was counted before, by another process or an earlier self: to be called once. What makes no sense, or is of a period that is over, is not added. */
void wr_budget_restore(struct wr_budget *budget, const struct wr_budget_count *before);

/* Rolls over if the period has ended, and sets the level. */
void wr_budget_look(struct wr_budget *budget, const struct wr_now *now);
/* Looks, then counts. */
void wr_budget_spend(struct wr_budget *budget, uint64_t bytes, const struct wr_now *now);

uint64_t wr_budget_left(const struct wr_budget *budget);
/* What is left, spread evenly over the rest of the period, as of the last look; at least 1. Only where there is a limit. */
uint64_t wr_budget_even_bytes_per_s(const struct wr_budget *budget);
/* When time alone may change something: after WR_BUDGET_LOOK_NS, or at the period's end. */
int64_t wr_budget_next_look_ns(const struct wr_budget *budget);
bool wr_budget_is_valid(const struct wr_budget *budget);
bool wr_budget_count_is_valid(const struct wr_budget_count *count);

/* "free", "sparing", "slow", "spent"; "month", "day". */
const char *wr_budget_level_name(enum wr_budget_level level);
const char *wr_budget_period_name(enum wr_budget_period period);

#endif
