/* The `traceparent` of W3C Trace Context, so that what the cluster does with a message can be followed back to the gateway.
 *
 * A segment's trace id is its key (epoch, seq): the same each time it is sent, before and after a restart. A direct message's trace id is the one
 * of the uplink's context and its own id. The parent id is new for each publish. The flag "sampled" is set: a receiver that samples by its
 * parent's wish shall not drop everything.
 * Threads: none; pure functions. Source: W3C Trace Context, 3.2.
 */
#ifndef WEIR_TRANSPORT_TRACE_H
#define WEIR_TRANSPORT_TRACE_H

#include <stdint.h>

#define WR_TRACE_PARENT_BYTES 56

/* "00-{32 hex digits}-{16 hex digits}-01". All zeros are not allowed in either id: a 1 stands for them. Returns text. */
char *wr_trace_parent(char text[WR_TRACE_PARENT_BYTES], uint64_t trace_high, uint64_t trace_low, uint64_t span);

#endif
