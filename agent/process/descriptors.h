/* File descriptors: how many the process may have, and some that are kept from the sensors.
 *
 * Promise: connections of sensors never take the last descriptors: the store, the uplink, the control socket, HTTP and programs keep
 * WR_DESCRIPTORS_KEPT of them. So a flood of connections costs connections, and nothing else.
 * Threads: any. Ownership: nothing. Limits: below 2 * WR_DESCRIPTORS_KEPT, half of what the process may have is kept.
 */
#ifndef WEIR_AGENT_PROCESS_DESCRIPTORS_H
#define WEIR_AGENT_PROCESS_DESCRIPTORS_H

#include <stdbool.h>

#define WR_DESCRIPTORS_KEPT 64
#define WR_DESCRIPTORS_WANTED 65536 /* not more: programs that we start may walk over all that they could have */

/* Raises the soft limit towards the hard one. Failure changes nothing. */
void wr_descriptors_raise(void);

/* Whether a new connection may keep this descriptor: the kernel gives the lowest that is free, so its number says how many are in use. */
bool wr_descriptors_spare(int fd);

#endif
