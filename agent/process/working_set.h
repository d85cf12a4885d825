/* Code and constants that only a start or a reload needs, given back.
 *
 * Promise: some seconds after a start or a reload the process holds of its program and libraries only what it touches: the YAML parser, the compiler of rules and
 * the checks of a config are not looked at again until the next reload. The pages stay in the page cache: nothing is lost, nothing is read from the disk that
 * the cache still has; whoever needs one waits a microsecond for it. What is not in the file is left alone as a whole: pages that the loader has
 * relocated, a debugger's breakpoints, text that was moved into huge pages. Where the kernel does not tell (no /proc, another's process), nothing is given back.
 *
 * Threads: that of the event base; the others go on meanwhile. Errors: none; what the kernel refuses stays as it is. Source: madvise(2), MADV_DONTNEED of pages
 * that are never written; the kernel's admin-guide/mm/pagemap.rst, bits 61 to 63.
 */
#ifndef WEIR_AGENT_PROCESS_WORKING_SET_H
#define WEIR_AGENT_PROCESS_WORKING_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

#define WR_WORKING_SET_AFTER_NS (5 * WR_NS_PER_S) /* the uplink stands, the store is open */

struct event_base;

void wr_working_set_trim(void);
/* What of it is mapped at [begin, end), page by page; all of it or nothing. False: nothing. */
bool wr_working_set_forget(uintptr_t begin, uintptr_t end);
/* The same on the base's thread, in a while. */
void wr_working_set_trim_later(struct event_base *base);

#endif
