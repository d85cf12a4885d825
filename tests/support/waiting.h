/* Knowing that another thread waits in a channel, without sleeping, and an end for tests that would hang.
 *
 * Threads: any. Units: seconds.
 */
#ifndef WEIR_TESTS_SUPPORT_WAITING_H
#define WEIR_TESTS_SUPPORT_WAITING_H

#include <stddef.h>

#include "core/channel.h"

/* How many threads wait to send to (receive from) the channel now. */
size_t wr_waiting_count(struct wr_channel *channel, enum wr_channel_direction direction);

/* Returns once n threads wait to send to (receive from) the channel. */
void wr_waiting_until(struct wr_channel *channel, enum wr_channel_direction direction, size_t n);

/* Ends the process with a message, by SIGABRT, unless it is over within this time. */
void wr_waiting_watchdog(unsigned seconds);

#endif
