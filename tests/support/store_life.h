/* The life of a store on a faulty disk, with a model of its promises beside it: random work, a power cut, a start, and the question what
 * was promised and is not there.
 *
 * Looked at after every start (DESIGN: promises 2, 3 and 5; store_private.h: S1, S3):
 *   - no start is refused, nothing is quarantined, no segment is bad: a power cut makes no damage
 *   - each segment that was ever seen is there with the same bytes, or is finished or booked as evicted; what nobody acknowledged is offered again
 *   - no seq has another content than before, and new ones are above all that were seen
 *   - what the books called stored, and alarm entries and snapshots that were called journalled, are there
 *   - counts of budgets that were put a minute ago, urgent ones a second ago, are there
 *   - of what was taken nothing is missing that is older than max_loss, however tight the write budget is
 *   - what is booked as expired was older than the time to live, whatever the clock said that was not trusted
 *   - the equation of each account holds, and what the books hold is what the rows hold; nothing is delivered that nobody acknowledged
 *
 * Only the public functions of the store are used. The first thing that is not so is said in words (store_life_broken) and ends the life: a
 * test that plants a mistake wants to see it found.
 * Threads: one. Time is virtual; the same seed does the same.
 */
#ifndef WEIR_TESTS_SUPPORT_STORE_LIFE_H
#define WEIR_TESTS_SUPPORT_STORE_LIFE_H

#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

struct store_life;

struct store_life_numbers {
    uint64_t cuts;
    uint64_t cuts_at_start; /* of these, while it was being opened */
    uint64_t kills;         /* all writes kept */
    uint64_t clean_stops;
    uint64_t segments;      /* seen committed */
    uint64_t delivered;     /* readings acknowledged */
    uint64_t evicted;       /* readings, those that expired among them */
    uint64_t expired;
    uint64_t merged;        /* segments that stand for others */
    uint64_t lost;          /* readings that cuts took, all younger than max_loss */
    uint64_t resent;        /* segments that were acknowledged and come again */
    uint64_t alarms;        /* called journalled */
    int64_t oldest_lost_ns; /* how old the oldest of the lost readings was */
    int64_t days;           /* of virtual time */
};

/* Faults that a test has armed: on the disk, or in memory. */
struct store_life_faults {
    bool (*hit)(void *user);
    void (*off)(void *user);
    void *user;
};

/* Makes the disk and the store's first start without fault. */
struct store_life *store_life_new(uint64_t seed);
void store_life_free(struct store_life *life);
struct wr_fault_vfs *store_life_disk(struct store_life *life);

/* Works until the power goes at some call or the store stops in another way, then starts it again (with more cuts in between, sometimes) and
 * looks. False: a promise is broken. */
bool store_life_leg(struct store_life *life);
/* The store rests, killed with nothing on its way: only then can a life be copied. */
bool store_life_rest(struct store_life *life);
struct store_life *store_life_copy(const struct store_life *life);
/* Of a life at rest: a start and `steps` of work in which calls may fail; then without faults: what was taken can be committed, and after a power
 * cut all that was promised is there. Each error has a text. */
bool store_life_suffer(struct store_life *life, const struct store_life_faults *faults, uint64_t steps);
/* What was broken; empty: nothing. */
const char *store_life_broken(const struct store_life *life);
/* Added to what is there. */
void store_life_count(const struct store_life *life, struct store_life_numbers *sum);

#endif
