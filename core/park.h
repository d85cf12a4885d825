/* Parking: how a thread goes to sleep on a 32-bit word, and is woken.
 *
 * Promise: wr_park sleeps only while *word == expected, so that a change of the word followed by wr_unpark is never missed. It may return
 * early for no reason: callers look at the word again.
 *
 * Why a futex and not a condition variable: deadlines are CLOCK_BOOTTIME, for which glibc has no condition wait, and a waiter here belongs
 * to one thread: its word alone says whether it was chosen, so a mutex beside it would only be one more thing to lock. All data passes
 * through the word (store with release, load with acquire), which is what the thread sanitizer sees. The kernel's futex sleeps on
 * CLOCK_MONOTONIC, which stands still while the machine is suspended: a sleep with a deadline is therefore cut into slices of
 * WR_PARK_SLICE_NS, and after a resume no deadline is noticed later than that.
 *
 * wr_unpark uses the word only as an address: it may be called after the waiter has seen the change and its word is gone.
 *
 * Threads: any. Units: CLOCK_BOOTTIME nanoseconds. Source: futex(2).
 */
#ifndef WEIR_CORE_PARK_H
#define WEIR_CORE_PARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WR_PARK_SLICE_NS INT64_C(1000000000)

/* Sleeps while *word == expected; false once the deadline has passed (WR_NEVER_NS: never). True says nothing but: look again. */
bool wr_park(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_boot_ns);

/* Wakes every thread that sleeps on word. */
void wr_unpark(_Atomic uint32_t *word);

#endif
