/* A reload from one evaluator to another, in the two parts between which the engine gets the new one: what may lack memory, while the old rules can still go on; then everything
 * else, which cannot fail.
 *
 * Promise: entries leave through `drain` as they come, no more at once than there is room for. Threads: the engine's. Ownership: both evaluators stay the caller's, who
 * frees `from` afterwards, or `to` if the first part fails. Limits: WR_MIGRATION_SLICE series or alarms between two drains.
 */
#ifndef WEIR_RULES_EVALUATOR_MIGRATION_H
#define WEIR_RULES_EVALUATOR_MIGRATION_H

#include "rules/evaluator/evaluator.h"

#define WR_MIGRATION_SLICE 256

struct wr_migration {
    struct wr_evaluator *from;
    struct wr_evaluator *to;
    void *user;
    struct wr_now (*now)(void *user);
    struct wr_alarm_out *out;
    void (*drain)(void *user); /* empties out, in whole or, where something has to be waited for, in part */
};

/* Neither evaluator may be given samples or timers from here on until the second part has ended, or this has failed: WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_migration_prepare(const struct wr_migration *migration);
/* Alarms take their state along; transitions of rules that are gone leave by the usual way. */
void wr_migration_run(const struct wr_migration *migration);

#endif
