/* Threads with a name, small stacks, and a join that has a deadline.
 *
 * Promise: all signals are blocked in every thread made here: they belong to the main thread. A thread that does not end by the deadline is
 * named by its owner in the log; it is never cancelled.
 * Limits: WR_THREAD_STACK_BYTES of stack, part of the memory ceiling.
 */
#ifndef WEIR_CORE_THREAD_H
#define WEIR_CORE_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "core/result.h"

#define WR_THREAD_STACK_BYTES (256u << 10)

WR_MUST_USE enum wr_result wr_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *user, const char *what, struct wr_error *err);
/* WR_TIMEOUT: it still runs; ask again, or leave it. Deadline in CLOCK_BOOTTIME ns. */
WR_MUST_USE enum wr_result wr_thread_join(pthread_t thread, int64_t deadline_boot_ns);
/* Names the calling thread, at most 15 characters, as `top -H` shows it. */
void wr_thread_name(const char *name);

#endif
