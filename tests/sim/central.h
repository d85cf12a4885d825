/* What the far side of the simulation can know of the node's books, by what arrived alone: the rule of agent/receive/audit.h, checked at each ledger record that
 * came, and not only at the last one. A reading that is missing and that no book excuses, or one too many, is a finding.
 *
 * Threads: one. Ownership: new/free.
 */
#ifndef WEIR_TESTS_SIM_CENTRAL_H
#define WEIR_TESTS_SIM_CENTRAL_H

#include <stddef.h>
#include <stdint.h>

struct sim_central;

struct sim_central *sim_central_new(void);
void sim_central_free(struct sim_central *central);

/* A segment came for the first time: with so many readings, or with a record (of losses, which is passed over, or of the ledger). */
void sim_central_segment(struct sim_central *central, uint64_t epoch, int64_t seq, uint64_t readings);
void sim_central_record(struct sim_central *central, const char *json, size_t len);

/* Returns the number of cuts that were looked at. */
uint64_t sim_central_check(const struct sim_central *central);

#endif
