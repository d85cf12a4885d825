/* SQLite's own memory, of which the nth piece is refused: failing.h does not see into shared libraries.
 *
 * Threads: one. Installed once, before anything else uses SQLite. */
#ifndef WEIR_TESTS_SUPPORT_FAULT_MEMORY_H
#define WEIR_TESTS_SUPPORT_FAULT_MEMORY_H

#include <stdbool.h>

void wr_fault_memory_install(void);
/* The piece number n (from 0) is refused, or all from there on; n < 0: none. */
void wr_fault_memory_plan(long n, bool for_good);
bool wr_fault_memory_hit(void);
/* How many were asked for since the plan was made. */
long wr_fault_memory_count(void);

#endif
